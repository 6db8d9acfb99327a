//! A row of a request table: who it is, and what it asks for.

use chrono::{DateTime, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone as _, Utc};
use chrono_tz::Tz;

use super::{COLUMNS, PAGE, digest};
use crate::graph::walk::find;
use crate::graph::{AgeKind, Graph, Node};
use crate::jobs::desk::{Asked, Origin};
use crate::jobs::session::Look;
use crate::names::PersonName;
use crate::redact::Sealed;
use crate::removal::RemovalError;
use crate::store::Access;
use crate::store::target::statements::{self, Read};
use crate::store::target::{Expr, Op, Operand, Scalar};

/// Columns that it may have.
const REQUESTED: &str = "requested_at";
const DUE: &str = "due_at";

/// An open row of the request table.
pub(super) struct Row {
    /// Its key, with which the next page begins.
    pub key: Vec<Sealed>,
    /// What it is known by: an application may use a key again, but not for the same request.
    pub origin: String,
    kind: Option<Sealed>,
    by: Option<Sealed>,
    identifier: Option<Sealed>,
    requested: Option<Sealed>,
    due: Option<Sealed>,
}

/// The columns of a request table.
pub(super) struct Shape<'a> {
    node: &'a Node,
    columns: Vec<Operand>,
    answered: Operand,
    requested: Option<Operand>,
    due: Option<Operand>,
}

impl<'a> Shape<'a> {
    /// Those of an entry; `None` where it is no request table, which is refused before.
    pub fn of(node: &'a Node) -> Option<Self> {
        let scope = node.own();
        let column = |name: &str| Some(Operand { scope: scope.clone(), column: node.table.column(name)?.clone() });
        let mut columns: Vec<Operand> = COLUMNS.iter().map(|name| column(name)).collect::<Option<_>>()?;
        let answered = columns.pop()?;
        Some(Self { node, columns, answered, requested: column(REQUESTED), due: column(DUE) })
    }

    /// The next open rows after a key, in the order of keys.
    pub fn page(&self, look: &Look<'_>, secret: &Sealed, after: Option<&[Sealed]>) -> Result<Vec<Row>, RemovalError> {
        let scope = self.node.own();
        let key = self.node.key_operands(&scope);
        let mut columns = self.columns.clone();
        columns.extend(self.requested.iter().chain(&self.due).cloned());
        columns.extend(key.iter().cloned());
        let mut open = Expr::Null(self.answered.clone(), true);
        for column in &key {
            open = open.and(Expr::Null(column.clone(), false));
        }
        if let Some(after) = after {
            open = open.and(Expr::KeyAfter(key.clone(), after.to_vec()));
        }
        let read = Read {
            table: &self.node.at,
            columns: &columns,
            lookups: &[],
            condition: &open,
            order: &key,
            skip: 0,
            limit: PAGE,
            lock: false,
        };
        // No connection is kept while a request is taken in, which needs others.
        let mut conn = find::open(look.stores, self.node)?;
        let found =
            conn.transaction(Access::ReadOnly, |conn| conn.rows(&statements::read(self.node.backend, &read)))?;
        Ok(found.into_iter().filter_map(|found| self.row(found.into_values(), secret)).collect())
    }

    fn row(&self, values: Vec<Option<Sealed>>, secret: &Sealed) -> Option<Row> {
        let mut values = values.into_iter();
        let (kind, by, identifier) = (values.next()?, values.next()?, values.next()?);
        let requested = if self.requested.is_some() { values.next()? } else { None };
        let due = if self.due.is_some() { values.next()? } else { None };
        let key: Vec<Sealed> = values.collect::<Option<_>>()?;
        let text = |value: &'_ Option<Sealed>| value.as_ref().map_or("", |value| value.expose().as_str()).to_owned();
        let own = [&kind, &by, &identifier, &requested].map(text);
        let fixed = ["retentiond request 1".to_owned(), self.node.name.to_string()];
        let parts: Vec<String> =
            fixed.into_iter().chain(own).chain(key.iter().map(|part| part.expose().clone())).collect();
        let origin = digest(secret, parts.iter().map(String::as_str));
        Some(Row { key, origin, kind, by, identifier, requested, due })
    }

    /// Whether there are open rows whose key is NULL: nobody could tell which of them was answered.
    pub fn any_without_key(&self, look: &Look<'_>) -> Result<bool, RemovalError> {
        let key = self.node.key_operands(&self.node.own());
        let without = Expr::Any(key.into_iter().map(|column| Expr::Null(column, true)).collect());
        let open = Expr::Null(self.answered.clone(), true).and(without);
        let mut conn = find::open(look.stores, self.node)?;
        Ok(!conn.rows(&statements::any(self.node.backend, &self.node.at, &open))?.is_empty())
    }

    /// The very row, as long as it is open and asks for the same.
    pub fn only(&self, row: &Row) -> Expr {
        let open = Expr::Null(self.answered.clone(), true);
        let mut only = Expr::KeyIn(self.node.key_operands(&self.node.own()), vec![row.key.clone()].into()).and(open);
        if let (Some(column), Some(identifier)) = (self.columns.last(), &row.identifier) {
            only = only.and(Expr::Exact(column.clone(), identifier.clone()));
        }
        match (&self.requested, &row.requested) {
            (Some(column), Some(at)) => only.and(Expr::Compare(column.clone(), Op::Equal, Scalar::Row(at.clone()))),
            (Some(column), None) => only.and(Expr::Null(column.clone(), true)),
            (None, _) => only,
        }
    }

    /// The zone of times that name none: the entry's, or else the file's.
    fn zone(&self, look: &Look<'_>) -> Tz {
        match self.node.age.as_ref().map(|age| age.kind) {
            Some(AgeKind::Naive(Some(zone)) | AgeKind::Date(Some(zone)) | AgeKind::Text(_, Some(zone))) => zone,
            _ => look.document.timezone,
        }
    }

    /// What a row asks for.
    ///
    /// # Errors
    /// What is wrong with it, without its values.
    pub fn asked(&self, row: &Row, look: &Look<'_>) -> Result<Asked, RemovalError> {
        let refused = |why: &str| RemovalError::Refused(why.to_owned());
        let (Some(kind), Some(by), Some(identifier)) = (&row.kind, &row.by, &row.identifier) else {
            return Err(refused("its person_kind, identifier_kind or identifier is NULL"));
        };
        if identifier.expose().trim().is_empty() {
            return Err(refused("its identifier is empty"));
        }
        let none = || refused("its person_kind is none that the file knows");
        let kind: PersonName = kind.expose().trim().parse().map_err(|_| none())?;
        let due = match row.due.as_ref().map(|due| due.expose().trim()) {
            None | Some("") => None,
            Some(due) => Some(instant(due, self.zone(look)).ok_or_else(|| refused("its due_at cannot be read"))?),
        };
        let given = named(look.graph, &kind, by.expose().trim(), identifier).ok_or_else(none)?;
        Ok(Asked {
            kind,
            given: vec![given],
            origin: Origin::Table,
            origin_key: row.origin.clone(),
            by: format!("table {}", self.node.name),
            due,
        })
    }
}

/// The identifier as it is typed: the key of a person may be called `key`, unless an identifier is called so.
fn named(graph: &Graph, kind: &PersonName, by: &str, identifier: &Sealed) -> Option<Sealed> {
    let person = graph.person(kind.as_str())?;
    let pair = |name: &str| Sealed::new(format!("{name}={}", identifier.expose()));
    let whole = by == "key" && person.data.is_some() && !person.identifiers.contains_key(by);
    Some(match graph.persons(person).map(|node| node.key.as_slice()) {
        Some([only]) if whole => pair(only.name.as_str()),
        Some(_) if whole => identifier.clone(),
        _ => pair(by),
    })
}

/// An instant as databases write it. A day ends with the day.
fn instant(text: &str, zone: Tz) -> Option<DateTime<Utc>> {
    let text = text.replacen('T', " ", 1);
    let text = text.strip_suffix('Z').map_or(text.clone(), |civil| format!("{civil}+00"));
    let zoned = ["%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f %#z", "%Y-%m-%d %H:%M%#z"];
    if let Some(at) = zoned.iter().find_map(|form| DateTime::parse_from_str(&text, form).ok()) {
        return Some(at.to_utc());
    }
    let at = |civil: NaiveDateTime| zone.from_local_datetime(&civil).earliest().map(|at| at.to_utc());
    let civil = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M"];
    if let Some(civil) = civil.iter().find_map(|form| NaiveDateTime::parse_from_str(&text, form).ok()) {
        return at(civil).or_else(|| Some(civil.and_utc()));
    }
    let next = NaiveDate::parse_from_str(&text, "%Y-%m-%d").ok()?.checked_add_days(Days::new(1))?;
    let midnight = next.and_time(NaiveTime::MIN);
    Some(at(midnight).unwrap_or_else(|| midnight.and_utc()) - TimeDelta::seconds(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_read_as_databases_write_them() {
        let expected = "2026-12-28T10:30:00Z".parse::<DateTime<Utc>>().unwrap();
        let zone = chrono_tz::Europe::Helsinki;
        for text in [
            "2026-12-28 12:30:00",
            "2026-12-28 12:30",
            "2026-12-28T10:30:00Z",
            "2026-12-28 10:30:00+00:00",
            "2026-12-28 10:30:00.000000+00",
            "2026-12-28 10:30:00 +00:00",
            "2026-12-28 16:00:00+0530",
            "2026-12-28 12:30:00.000000",
        ] {
            assert_eq!(instant(text, zone), Some(expected), "{text}");
        }
        assert_eq!(instant("2026-12-28", zone), "2026-12-28T21:59:59Z".parse().ok());
        for text in ["soon", "infinity", "0000-00-00 00:00:00", "28.12.2026", "1798453800"] {
            assert_eq!(instant(text, zone), None, "{text}");
        }
    }
}
