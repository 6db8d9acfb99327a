//! Rows under a legal hold: how a statement leaves them out, and how they get into `retentiond_held`.
//!
//! **Invariant.** A row's key becomes text by one expression ([`write_row_key`]) that the database itself computes, when a
//! hold is placed (`INSERT … SELECT`) and when a statement asks whether a row is held. So both agree to the byte whatever
//! the type of the key: each column is read as text without losing anything, and is preceded by its length, so that no
//! two keys give the same text, trailing blanks included. A text too long for the column becomes its digest. The text is
//! compared byte by byte, whatever the collation of the key.
//!
//! An entry without a key has no single rows: all of it is held, by the row key `*`.

use super::expr::{Expr, Operand, TableRef, alias, separate};
use super::keys::write_tuple;
use crate::store::catalog::{Column, TypeClass};
use crate::store::dialect;
use crate::store::held::OWN_CASE;
use crate::store::{Backend, Stmt};

/// The row key that stands for all rows of an entry without a key.
pub const WHOLE_TABLE: &str = "*";

/// Longer keys are kept as a digest; the column holds 400 characters.
const LONGEST: i64 = 380;

/// Whose holds a condition is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldBy {
    /// Everybody's.
    Any,
    /// Those that somebody placed, not those of open requests for reports.
    People,
}

/// A condition that leaves held rows out, as every removing or overwriting statement takes it.
///
/// There is no other way to one than [`Guarded::new`], which only `graph::held` calls (`tests/layers.rs` sees to it): so
/// a statement that forgets the holds does not compile.
#[derive(Clone)]
pub struct Guarded(Expr);

impl Guarded {
    /// The rows of `rows` that are `free`.
    pub fn new(free: Expr, rows: Expr) -> Self {
        Self(rows.and(free))
    }

    /// Fewer of them.
    #[must_use]
    pub fn narrowed(self, only: Expr) -> Self {
        Self(self.0.and(only))
    }

    pub(super) fn condition(&self) -> &Expr {
        &self.0
    }

    pub(super) fn map(self, change: impl FnOnce(Expr) -> Expr) -> Self {
        Self(change(self.0))
    }
}

pub(super) fn write(expr: &Expr, stmt: &mut Stmt, backend: Backend) {
    match expr {
        Expr::AnyHeld(entries) => {
            stmt.sql("EXISTS (SELECT 1 FROM retentiond_held WHERE retentiond_held.data IN (");
            for (index, data) in entries.iter().enumerate() {
                separate(stmt, index, ", ");
                stmt.policy(data.as_str());
            }
            stmt.sql("))");
        }
        Expr::Held(data, key, by) => {
            stmt.sql("EXISTS (SELECT 1 FROM retentiond_held WHERE retentiond_held.data = ").policy(data.as_str());
            if !key.is_empty() {
                stmt.sql(" AND retentiond_held.row_key = ");
                write_row_key(stmt, backend, key);
            }
            if *by == HeldBy::People {
                stmt.sql(" AND retentiond_held.hold_case NOT LIKE ").policy(format!("{OWN_CASE}%"));
            }
            stmt.sql(")");
        }
        Expr::Needed { key, table, link, seed_alias, seed, linked } => {
            write_needed(stmt, backend, (key, table, link), *seed_alias, (seed, linked));
        }
        _ => {}
    }
}

/// `key IN (WITH RECURSIVE needed (k0, l0) AS (seed UNION rows that it refers to) SELECT k0 FROM needed)`: `k` are the key
/// columns, `l` the referring ones, NULL where the link does not hold. UNION, not UNION ALL: a circle of references ends.
fn write_needed(
    stmt: &mut Stmt,
    backend: Backend,
    (key, table, link): (&[Operand], &TableRef, &[(Column, Column)]),
    seed_alias: u8,
    (seed, linked): (&Expr, &(Expr, Expr)),
) {
    const KEYS: [&str; 8] = ["k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7"];
    const LINKS: [&str; 8] = ["l0", "l1", "l2", "l3", "l4", "l5", "l6", "l7"];
    let above = alias(seed_alias.wrapping_add(1));
    let columns = |stmt: &mut Stmt, from: &'static str, linked: &Expr| {
        for (index, operand) in key.iter().enumerate() {
            separate(stmt, index, ", ");
            stmt.sql(from).sql(".").name(&operand.column.name);
        }
        for (referring, _) in link {
            if linked.is_always() {
                stmt.sql(", ").sql(from).sql(".").name(&referring.name);
            } else {
                stmt.sql(", CASE WHEN ");
                linked.write(stmt, backend);
                stmt.sql(" THEN ").sql(from).sql(".").name(&referring.name).sql(" END");
            }
        }
    };
    write_tuple(stmt, key);
    stmt.sql(" IN (WITH RECURSIVE needed (");
    for (index, name) in KEYS.iter().take(key.len()).chain(LINKS.iter().take(link.len())).enumerate() {
        separate(stmt, index, ", ");
        stmt.sql(name);
    }
    stmt.sql(") AS (SELECT ");
    columns(stmt, alias(seed_alias), &linked.0);
    stmt.sql(" FROM ");
    table.write(stmt);
    stmt.sql(" ").sql(alias(seed_alias)).sql(" WHERE ");
    seed.write(stmt, backend);
    stmt.sql(" UNION SELECT ");
    columns(stmt, above, &linked.1);
    stmt.sql(" FROM ");
    table.write(stmt);
    stmt.sql(" ").sql(above).sql(" JOIN needed ON ");
    for (index, (_, referred)) in link.iter().enumerate() {
        separate(stmt, index, " AND ");
        stmt.sql(above).sql(".").name(&referred.name).sql(" = needed.").sql(LINKS[index % LINKS.len()]);
    }
    stmt.sql(") SELECT ");
    for (index, name) in KEYS.iter().take(key.len()).enumerate() {
        separate(stmt, index, ", ");
        stmt.sql(name);
    }
    stmt.sql(" FROM needed)");
}

/// The key of a row as one text: `2:42`, and `2:425:queue` for two columns.
pub(super) fn write_row_key(stmt: &mut Stmt, backend: Backend, key: &[Operand]) {
    let short = key.iter().all(|operand| {
        matches!(
            operand.column.class,
            TypeClass::Integer { .. } | TypeClass::Boolean | TypeClass::Uuid | TypeClass::Date | TypeClass::Decimal
        )
    });
    let mut text = Stmt::default();
    write_parts(&mut text, backend, key);
    match backend {
        // SQLite does not mind the length of a text.
        Backend::Sqlite => {
            stmt.append(&text);
        }
        Backend::Postgres if short => {
            stmt.sql("(").append(&text).sql(") COLLATE \"C\"");
        }
        Backend::Mysql if short => {
            stmt.append(&text);
        }
        Backend::Postgres => {
            stmt.sql("(CASE WHEN char_length(").append(&text).sql(") <= ").policy(LONGEST);
            stmt.sql(" THEN ").append(&text).sql(" ELSE '#' || encode(sha256(convert_to(").append(&text);
            stmt.sql(", 'UTF8')), 'hex') END) COLLATE \"C\"");
        }
        Backend::Mysql => {
            stmt.sql("CASE WHEN CHAR_LENGTH(").append(&text).sql(") <= ").policy(LONGEST);
            stmt.sql(" THEN ").append(&text).sql(" ELSE CONCAT('#', SHA2(").append(&text).sql(", 256)) END");
        }
    }
}

fn write_parts(stmt: &mut Stmt, backend: Backend, key: &[Operand]) {
    if backend == Backend::Mysql {
        stmt.sql("CONCAT(");
    }
    for (index, operand) in key.iter().enumerate() {
        let mut column = Stmt::default();
        operand.write(&mut column);
        let mut text = Stmt::default();
        dialect::read_expression(&mut text, &operand.column, backend, &column);
        match backend {
            Backend::Mysql => {
                separate(stmt, index, ", ");
                stmt.sql("CHAR_LENGTH(").append(&text).sql("), ':', ").append(&text);
            }
            Backend::Postgres => {
                separate(stmt, index, " || ");
                stmt.sql("char_length(").append(&text).sql(") || ':' || ").append(&text);
            }
            Backend::Sqlite => {
                separate(stmt, index, " || ");
                stmt.sql("length(").append(&text).sql(") || ':' || ").append(&text);
            }
        }
    }
    if backend == Backend::Mysql {
        stmt.sql(")");
    }
}

/// The rows to be held: of which entry, in which table, by which case.
pub struct Placing<'a> {
    /// The entry.
    pub data: &'a str,
    /// The case.
    pub case: &'a str,
    /// Its table.
    pub table: &'a TableRef,
    /// The key columns in the table's own scope; empty where it has none.
    pub key: &'a [Operand],
}

/// Holds the rows of a condition, as far as the case does not hold them already. The caller holds the gate.
pub fn place(backend: Backend, what: &Placing<'_>, condition: &Expr) -> Stmt {
    let row_key = |stmt: &mut Stmt| {
        if what.key.is_empty() {
            stmt.policy(WHOLE_TABLE);
        } else {
            write_row_key(stmt, backend, what.key);
        }
    };
    let (text, end) = match backend {
        Backend::Postgres | Backend::Sqlite => ("CAST(", " AS TEXT)"),
        Backend::Mysql => ("CAST(", " AS CHAR)"),
    };
    let mut stmt = Stmt::new("INSERT INTO retentiond_held (data, row_key, hold_case) SELECT DISTINCT ");
    stmt.sql(text).policy(what.data).sql(end).sql(", ");
    stmt.sql(text);
    row_key(&mut stmt);
    stmt.sql(end).sql(", ").sql(text).policy(what.case).sql(end).sql(" FROM ");
    what.table.write(&mut stmt);
    stmt.sql(" WHERE ");
    condition.write(&mut stmt, backend);
    stmt.sql(" AND NOT EXISTS (SELECT 1 FROM retentiond_held WHERE retentiond_held.data = ").policy(what.data);
    stmt.sql(" AND retentiond_held.hold_case = ").policy(what.case).sql(" AND retentiond_held.row_key = ");
    row_key(&mut stmt);
    stmt.sql(")");
    stmt
}
