//! Requests that come by themselves: rows of a request table, and statements at each period.
//!
//! **Invariant.** One row is one request, and one person has one statement a period, however often a run is repeated or
//! killed: what a request comes from is remembered, as a hash, in the same statement as the request. A row is marked as
//! answered only after its request has ended, by the guarded statement that holds apply to.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike as _, NaiveDateTime, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use schemars::JsonSchema;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::PersonalDataReport;
use crate::graph::Node;
use crate::graph::walk::find;
use crate::jobs::desk::{Asked, Origin};
use crate::jobs::session::{Look, Session};
use crate::names::PersonName;
use crate::redact::Sealed;
use crate::removal::RemovalError;
use crate::store::catalog::{Column, TypeClass};
use crate::store::state;
use crate::store::target::ordered::{self, KeyOrder};
use crate::store::target::statements::{self, Read};
use crate::store::target::{Expr, Operand};
use crate::store::{Access, gate};

/// The columns of a request table.
pub(super) const COLUMNS: [&str; 4] = ["person_kind", "identifier_kind", "identifier", "answered_at"];
/// One that it may have.
const DUE: &str = "due_at";
/// Rows of one look; what is beyond comes with the next run.
const PAGE: u64 = 500;

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
    fn label(self, at: DateTime<Utc>, zone: chrono_tz::Tz) -> String {
        let day = at.with_timezone(&zone);
        match self {
            Self::Year => day.year().to_string(),
            Self::Quarter => format!("{}-Q{}", day.year(), day.month0() / 3 + 1),
            Self::Month => day.format("%Y-%m").to_string(),
        }
    }
}

/// An open row of the request table.
struct Row {
    key: Vec<Sealed>,
    origin: String,
    kind: String,
    identifier: Sealed,
    due: Option<DateTime<Utc>>,
}

/// How many rows of the request table wait that have made no request yet.
pub(super) fn waiting(job: &PersonalDataReport, look: &Look<'_>) -> Result<u64, RemovalError> {
    let Some(node) = table(job, look) else { return Ok(0) };
    let mut new = 0;
    for row in rows(look, node)? {
        new += u64::from(!state::knows_origin(&mut *look.memory.conn()?, job.name.as_str(), &row.origin)?);
    }
    Ok(new)
}

/// Takes in what came since; gives what could not be taken, in words.
pub(super) fn take(job: &PersonalDataReport, session: &mut Session<'_>) -> Result<Vec<String>, RemovalError> {
    let mut refused = Vec::new();
    if let Some(node) = table(job, &session.look) {
        let by = format!("table {}", node.name);
        for row in rows(&session.look, node)? {
            let asked = asked(&row, &by);
            match asked.and_then(|asked| session.desk.take(&job.name, &asked)) {
                Ok(_) => {}
                Err(RemovalError::Refused(why)) => refused.push(format!("a row of `{}`: {why}", node.name)),
                Err(error) => return Err(error),
            }
        }
    }
    statements_of(job, session, &mut refused)?;
    // The same for many rows is said once.
    let mut counted: BTreeMap<String, usize> = BTreeMap::new();
    refused.into_iter().for_each(|why| *counted.entry(why).or_default() += 1);
    Ok(counted.into_iter().map(|(why, rows)| if rows > 1 { format!("{why} ({rows} times)") } else { why }).collect())
}

fn asked(row: &Row, by: &str) -> Result<Asked, RemovalError> {
    let kind: PersonName = row.kind.parse().map_err(|_| RemovalError::Refused("its person_kind is none".to_owned()))?;
    Ok(Asked {
        kind,
        given: vec![row.identifier.clone()],
        origin: Origin::Table,
        origin_key: row.origin.clone(),
        by: by.to_owned(),
        due: row.due,
    })
}

fn table<'a>(job: &PersonalDataReport, look: &Look<'a>) -> Option<&'a Node> {
    look.graph.node(job.spec.requests.as_ref()?)
}

/// The rows without an answer.
fn rows(look: &Look<'_>, node: &Node) -> Result<Vec<Row>, RemovalError> {
    let scope = node.own();
    let column =
        |name: &str| node.table.column(name).map(|column| Operand { scope: scope.clone(), column: column.clone() });
    let named: Option<Vec<Operand>> = COLUMNS.iter().map(|name| column(name)).collect();
    let Some(mut columns) = named else { return Ok(Vec::new()) };
    let Some(answered) = columns.pop() else { return Ok(Vec::new()) };
    let due = column(DUE);
    columns.extend(due.clone());
    let named = columns.len();
    columns.extend(node.key_operands(&scope));
    let open = Expr::Null(answered, true);
    let read = Read {
        table: &node.at,
        columns: &columns,
        lookups: &[],
        condition: &open,
        order: &[],
        skip: 0,
        limit: PAGE,
        lock: false,
    };
    let mut conn = find::open(look.stores, node)?;
    let found = conn.transaction(Access::ReadOnly, |conn| conn.rows(&statements::read(node.backend, &read)))?;
    let row = |values: Vec<Option<Sealed>>| {
        let mut values = values.into_iter();
        let (kind, by, identifier) = (values.next()??, values.next()??, values.next()??);
        let due = if named > 3 { values.next()?.and_then(|due| instant(due.expose())) } else { None };
        let key: Vec<Sealed> = values.collect::<Option<_>>()?;
        let key_names = node.key.iter().map(|column| column.name.as_str());
        let by = by.expose().trim().to_owned();
        // A key is named by its column, or called the key.
        let whole = by == "key" || by == "id" || key_names.clone().any(|name| name == by);
        let identifier = if whole { identifier } else { Sealed::new(format!("{by}={}", identifier.expose())) };
        let origin = hash(node.name.as_str(), &key);
        Some(Row { origin, kind: kind.expose().trim().to_owned(), identifier, due, key })
    };
    Ok(found.into_iter().filter_map(|found| row(found.into_values())).collect())
}

/// A row's key as a hash: it is an application's own number, and nothing of a person.
fn hash(entry: &str, key: &[Sealed]) -> String {
    let mut hash = Sha256::new();
    hash.update(entry.as_bytes());
    for part in key {
        hash.update([0]);
        hash.update(part.expose().as_bytes());
    }
    hash.finalize().iter().take(20).map(|byte| format!("{byte:02x}")).collect()
}

/// An instant as databases write it; what cannot be read is none, and the request is due in a month.
fn instant(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(at) = text.replacen(' ', "T", 1).parse::<DateTime<Utc>>() {
        return Some(at);
    }
    ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f"]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
        .map(|at| at.and_utc())
}

/// Marks rows whose requests have ended.
pub(super) fn mark_answered(job: &PersonalDataReport, session: &mut Session<'_>) -> Result<(), RemovalError> {
    let Some(node) = table(job, &session.look) else { return Ok(()) };
    let Some(age) = node.age.as_ref() else { return Ok(()) };
    let ended: BTreeMap<String, NaiveDateTime> = state::requests(&mut *session.look.memory.conn()?)?
        .into_iter()
        .filter(|request| request.job == job.name.as_str())
        .filter_map(|request| Some((request.origin_key?, request.ended_at?)))
        .collect();
    if ended.is_empty() {
        return Ok(());
    }
    for row in rows(&session.look, node)? {
        let Some(at) = ended.get(&row.origin) else { continue };
        if !session.permit.holds() {
            return Err(RemovalError::Overtaken);
        }
        let value: Vec<(Column, Option<Sealed>)> =
            vec![(age.column.clone(), Some(Sealed::new(age.cutoff_text(at.and_utc()))))];
        let scope = node.own();
        let open = Expr::Null(age.operand(&scope), true);
        let only = Expr::KeyIn(node.key_operands(&scope), vec![row.key]).and(open);
        let guarded = session.look.graph.guard(node, only);
        let stmt = statements::overwrite_row(node.backend, &node.at, &value, &guarded);
        let fenced = session.ledgers.get(&node.store).copied().unwrap_or_default();
        let mut conn = find::open(session.look.stores, node)?;
        conn.transaction(Access::ReadWrite, |conn| -> Result<(), RemovalError> {
            if fenced {
                gate::enter(conn, job.name.as_str(), session.token).map_err(|error| match error {
                    gate::GateError::Overtaken => RemovalError::Overtaken,
                    gate::GateError::Store(error) => RemovalError::Store(error),
                })?;
            }
            conn.execute(&stmt)?;
            Ok(())
        })?;
    }
    Ok(())
}

/// Takes in the statements of the present period.
fn statements_of(
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
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()) else { return String::new() };
        for part in ["retentiond statement 1", kind.as_str(), &period] {
            mac.update(part.as_bytes());
            mac.update(&[0]);
        }
        given.iter().for_each(|part| mac.update(format!("{}\0", part.expose()).as_bytes()));
        mac.finalize().into_bytes().iter().take(20).map(|byte| format!("{byte:02x}")).collect()
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

/// A key as it is typed.
fn named(node: &Node, key: &[Sealed]) -> Sealed {
    if let [only] = key {
        return only.clone();
    }
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
    fn instants_are_read_as_databases_write_them() {
        let expected = "2026-12-28T10:30:00Z".parse::<DateTime<Utc>>().unwrap();
        for text in
            ["2026-12-28 10:30:00", "2026-12-28T10:30:00Z", "2026-12-28 10:30:00+00:00", "2026-12-28 10:30:00.000000"]
        {
            assert_eq!(instant(text), Some(expected), "{text}");
        }
        assert_eq!(instant("soon"), None);
    }

    #[test]
    fn periods_follow_the_calendar_of_the_zone() {
        let at = "2026-12-31T23:30:00Z".parse().unwrap();
        let labels = [Per::Year, Per::Quarter, Per::Month].map(|per| per.label(at, chrono_tz::Europe::Helsinki));
        assert_eq!(labels, ["2027", "2027-Q1", "2027-01"]);
        assert_eq!(Per::Quarter.label(at, chrono_tz::UTC), "2026-Q4");
    }
}
