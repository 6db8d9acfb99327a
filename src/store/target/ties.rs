//! Rows that are tied to a row which must stay.
//!
//! `key IN (WITH RECURSIVE apart (m, k0) AS (tied rows that must stay UNION rows tied to those) SELECT k0 FROM apart WHERE
//! m = number of the table)`: rows of several tables in one recursion, told apart by the number of the table and the key
//! as text. UNION, not UNION ALL: a circle of ties ends; and MariaDB wants one of the two throughout a recursion.

use super::expr::{Expr, Operand, Scope, TableRef, alias, separate};
use crate::store::catalog::Column;
use crate::store::dialect;
use crate::store::{Backend, Stmt};

/// A table whose rows are tied.
#[derive(Clone)]
pub struct TiedRows {
    /// The table.
    pub table: TableRef,
    /// Its key.
    pub key: Vec<Column>,
}

/// A link that ties rows of `from`, under the alias 0, to rows of `to`, under the alias 1.
#[derive(Clone)]
pub struct Tie {
    /// The number of the referring table.
    pub from: usize,
    /// The number of the table referred to.
    pub to: usize,
    /// When two rows are tied.
    pub joined: Expr,
    /// When the referring row must stay.
    pub from_stays: Expr,
    /// When the row referred to must stay.
    pub to_stays: Expr,
}

const NUMBERS: [&str; 9] = ["0", "1", "2", "3", "4", "5", "6", "7", "8"];
const KEYS: [&str; 8] = ["k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7"];
const OTHERS: [&str; 8] = ["o0", "o1", "o2", "o3", "o4", "o5", "o6", "o7"];

pub(super) fn write(
    stmt: &mut Stmt,
    backend: Backend,
    (key, number): (&[Operand], usize),
    tables: &[TiedRows],
    ties: &[Tie],
) {
    let width = tables.iter().map(|table| table.key.len()).max().unwrap_or(1).min(KEYS.len());
    stmt.sql("(");
    write_key(stmt, backend, key, width);
    stmt.sql(") IN (WITH RECURSIVE apart (m");
    for name in KEYS.iter().take(width) {
        stmt.sql(", ").sql(name);
    }
    stmt.sql(") AS (");
    let sides =
        |tie: &Tie| [(tie.from, tie.to, 0, tie.from_stays.clone()), (tie.to, tie.from, 1, tie.to_stays.clone())];
    for (index, tie) in ties.iter().enumerate() {
        for (side, (mine, _, at, stays)) in sides(tie).into_iter().enumerate() {
            separate(stmt, index + side, " UNION ");
            stmt.sql("SELECT ").sql(NUMBERS[mine.min(8)]).sql(", ");
            write_key(stmt, backend, &operands(tables, mine, at), width);
            write_pair(stmt, backend, tables, tie);
            stmt.sql(" AND ");
            stays.write(stmt, backend);
        }
    }
    stmt.sql(" UNION SELECT p.n");
    for name in OTHERS.iter().take(width) {
        stmt.sql(", p.").sql(name);
    }
    stmt.sql(" FROM apart JOIN (");
    for (index, tie) in ties.iter().enumerate() {
        for (side, (mine, other, at, _)) in sides(tie).into_iter().enumerate() {
            separate(stmt, index + side, " UNION ALL ");
            stmt.sql("SELECT ").sql(NUMBERS[mine.min(8)]).sql(" AS m, ").sql(NUMBERS[other.min(8)]).sql(" AS n");
            write_named(stmt, backend, &operands(tables, mine, at), width, &KEYS);
            write_named(stmt, backend, &operands(tables, other, 1 - at), width, &OTHERS);
            write_pair(stmt, backend, tables, tie);
        }
    }
    stmt.sql(") p ON p.m = apart.m");
    for name in KEYS.iter().take(width) {
        stmt.sql(" AND p.").sql(name).sql(" = apart.").sql(name);
    }
    stmt.sql(") SELECT ");
    for (index, name) in KEYS.iter().take(width).enumerate() {
        separate(stmt, index, ", ");
        stmt.sql(name);
    }
    stmt.sql(" FROM apart WHERE m = ").sql(NUMBERS[number.min(8)]).sql(")");
}

fn operands(tables: &[TiedRows], number: usize, at: u8) -> Vec<Operand> {
    let key = tables.get(number).map(|table| table.key.as_slice()).unwrap_or_default();
    key.iter().map(|column| Operand { scope: Scope::Alias(at), column: column.clone() }).collect()
}

fn write_pair(stmt: &mut Stmt, backend: Backend, tables: &[TiedRows], tie: &Tie) {
    for (number, at, before) in [(tie.from, 0, " FROM "), (tie.to, 1, " JOIN ")] {
        stmt.sql(before);
        if let Some(rows) = tables.get(number) {
            rows.table.write(stmt);
        }
        stmt.sql(" ").sql(alias(at));
    }
    stmt.sql(" ON ");
    tie.joined.write(stmt, backend);
    stmt.sql(" WHERE 1 = 1");
}

fn write_named(stmt: &mut Stmt, backend: Backend, key: &[Operand], width: usize, names: &[&'static str]) {
    for (position, name) in names.iter().enumerate().take(width) {
        stmt.sql(", ");
        write_text(stmt, backend, key.get(position));
        stmt.sql(" AS ").sql(name);
    }
}

fn write_key(stmt: &mut Stmt, backend: Backend, key: &[Operand], width: usize) {
    for position in 0..width {
        separate(stmt, position, ", ");
        write_text(stmt, backend, key.get(position));
    }
}

/// A key column as text; what a shorter key lacks is the empty text.
fn write_text(stmt: &mut Stmt, backend: Backend, operand: Option<&Operand>) {
    // MariaDB gives a recursion the width of its first rows, and PostgreSQL a literal no type at all.
    let (before, after) = match backend {
        Backend::Mysql => ("CAST(", " AS CHAR(768))"),
        Backend::Postgres => ("CAST(", " AS text)"),
        Backend::Sqlite => ("", ""),
    };
    stmt.sql(before);
    match operand {
        None => {
            stmt.sql("''");
        }
        Some(operand) => {
            let mut inner = Stmt::default();
            operand.write(&mut inner);
            dialect::read_expression(stmt, &operand.column, backend, &inner);
        }
    }
    stmt.sql(after);
}
