//! Statements at each period, about one person or about every one.

use chrono::{DateTime, Datelike as _, Utc};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{PAGE, digest};
use crate::graph::Node;
use crate::graph::walk::find;
use crate::jobs::desk::{Asked, Origin};
use crate::jobs::personal_data_report::PersonalDataReport;
use crate::jobs::session::Session;
use crate::names::PersonName;
use crate::redact::Sealed;
use crate::removal::RemovalError;
use crate::store::Access;
use crate::store::catalog::{Column, TypeClass};
use crate::store::state;
use crate::store::target::Expr;
use crate::store::target::ordered::{self, KeyOrder};

/// How often there is a statement about a person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Per {
    /// Once a calendar year.
    #[default]
    Year,
    /// Once a calendar quarter.
    Quarter,
    /// Once a calendar month.
    Month,
}

impl Per {
    /// The period of an instant.
    pub(super) fn label(self, at: DateTime<Utc>, zone: chrono_tz::Tz) -> String {
        let day = at.with_timezone(&zone);
        match self {
            Self::Year => day.year().to_string(),
            Self::Quarter => format!("{}-Q{}", day.year(), day.month0() / 3 + 1),
            Self::Month => day.format("%Y-%m").to_string(),
        }
    }
}

/// Takes in the statements of the present period.
pub(super) fn take(
    job: &PersonalDataReport,
    session: &mut Session<'_>,
    refused: &mut Vec<String>,
) -> Result<(), RemovalError> {
    if job.spec.every.is_none() && job.spec.person.is_none() {
        return Ok(());
    }
    let now = session.clock.now();
    let period = job.spec.per.label(now, session.look.document.timezone);
    let secret = state::lasting_key(&mut *session.look.memory.conn()?, now)?;
    let origin = |kind: &PersonName, given: &[Sealed]| {
        let fixed = ["retentiond statement 1", kind.as_str(), &period];
        digest(&secret, fixed.into_iter().chain(given.iter().map(|part| part.expose().as_str())))
    };
    let mut one = |session: &mut Session<'_>, kind: &PersonName, given: Vec<Sealed>| -> Result<(), RemovalError> {
        let origin_key = origin(kind, &given);
        if state::knows_origin(&mut *session.look.memory.conn()?, job.name.as_str(), &origin_key)? {
            return Ok(());
        }
        let (by, kind) = (format!("schedule of {}", job.name), kind.clone());
        let asked = Asked { kind, given, origin: Origin::Schedule, origin_key, by, due: None };
        match session.desk.take(&job.name, &asked) {
            Ok(_) => Ok(()),
            Err(RemovalError::Refused(why)) => {
                refused.push(format!("a statement: {why}"));
                Ok(())
            }
            Err(error) => Err(error),
        }
    };
    for (kind, given) in job.spec.person.iter().flatten() {
        one(session, kind, given.0.iter().cloned().map(Sealed::new).collect())?;
    }
    let Some(kind) = &job.spec.every else { return Ok(()) };
    let graph = session.look.graph;
    let Some(node) = graph.person(kind.as_str()).and_then(|person| graph.persons(person)) else { return Ok(()) };
    let columns = node.key_operands(&node.own());
    let orders: Vec<KeyOrder> = node.key.iter().map(order).collect();
    let mut after: Option<Vec<Sealed>> = None;
    loop {
        let (by, everybody) = ((columns.as_slice(), orders.as_slice()), Expr::always());
        let stmt = ordered::distinct_keys(node.backend, &node.at, by, &everybody, after.as_deref(), PAGE);
        let page = {
            let mut conn = find::open(session.look.stores, node)?;
            conn.transaction(Access::ReadOnly, |conn| conn.rows(&stmt))?
        };
        let keys = page.into_iter().filter_map(|row| ordered::read_key(node.backend, &orders, row.into_values()));
        let keys: Vec<Vec<Sealed>> = keys.collect();
        let Some(last) = keys.last().cloned() else { return Ok(()) };
        for key in keys {
            if session.permit.next()?.is_some() {
                return Ok(());
            }
            one(session, kind, vec![named(node, &key)])?;
        }
        after = Some(last);
    }
}

fn order(column: &Column) -> KeyOrder {
    if matches!(column.class, TypeClass::Integer { .. }) { KeyOrder::Number } else { KeyOrder::Bytes }
}

/// A key as it is typed, column by column: a value may look like one.
fn named(node: &Node, key: &[Sealed]) -> Sealed {
    let parts: Vec<String> = node
        .key
        .iter()
        .zip(key)
        .map(|(column, value)| format!("{}={}", column.name.as_str(), value.expose()))
        .collect();
    Sealed::new(parts.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_follow_the_calendar_of_the_zone() {
        let at = "2026-12-31T23:30:00Z".parse().unwrap();
        let labels = [Per::Year, Per::Quarter, Per::Month].map(|per| per.label(at, chrono_tz::Europe::Helsinki));
        assert_eq!(labels, ["2027", "2027-Q1", "2027-01"]);
        assert_eq!(Per::Quarter.label(at, chrono_tz::UTC), "2026-Q4");
    }
}
