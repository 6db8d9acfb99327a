//! Keys in an order that all databases share, for comparing tables of different stores in one pass.
//!
//! **Invariant.** Whole numbers are in the order of numbers, everything else in the order of the bytes of its text in
//! UTF-8, whatever the collation of the column; [`compare`] is that very order. No two different keys are taken for one.

use std::cmp::Ordering;

use super::expr::{Expr, Operand, TableRef, separate};
use crate::redact::Sealed;
use crate::store::dialect;
use crate::store::{Backend, Stmt};

/// How one column of a key is ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyOrder {
    /// As whole numbers; the column's own index has this order.
    Number,
    /// By the bytes of its text.
    Bytes,
}

/// The order of two keys.
pub fn compare(orders: &[KeyOrder], left: &[Sealed], right: &[Sealed]) -> Ordering {
    let number = |text: &Sealed| text.expose().parse::<i128>().unwrap_or_default();
    for (order, (left, right)) in orders.iter().zip(left.iter().zip(right)) {
        let this = match order {
            KeyOrder::Number => number(left).cmp(&number(right)),
            KeyOrder::Bytes => left.expose().as_bytes().cmp(right.expose().as_bytes()),
        };
        if this != Ordering::Equal {
            return this;
        }
    }
    Ordering::Equal
}

/// The next distinct keys among the rows of a condition, after a key.
pub fn distinct_keys(
    backend: Backend,
    table: &TableRef,
    (columns, orders): (&[Operand], &[KeyOrder]),
    condition: &Expr,
    after: Option<&[Sealed]>,
    limit: u64,
) -> Stmt {
    let pairs: Vec<(&Operand, KeyOrder)> = columns.iter().zip(orders.iter().copied()).collect();
    let mut stmt = Stmt::new("SELECT ");
    for (index, (operand, order)) in pairs.iter().enumerate() {
        separate(&mut stmt, index, ", ");
        match order {
            KeyOrder::Number => text_of(&mut stmt, backend, operand),
            KeyOrder::Bytes => ordered(&mut stmt, backend, operand, *order),
        }
    }
    stmt.sql(" FROM ");
    table.write(&mut stmt);
    stmt.sql(" WHERE ");
    condition.write(&mut stmt, backend);
    for operand in columns {
        stmt.sql(" AND ");
        operand.write(&mut stmt);
        stmt.sql(" IS NOT NULL");
    }
    if let Some(after) = after {
        stmt.sql(" AND ");
        write_after(&mut stmt, backend, &pairs, after);
    }
    for clause in [" GROUP BY ", " ORDER BY "] {
        for (index, (operand, order)) in pairs.iter().enumerate() {
            stmt.sql(if index == 0 { clause } else { ", " });
            ordered(&mut stmt, backend, operand, *order);
        }
    }
    stmt.sql(" LIMIT ").value(i64::try_from(limit).unwrap_or(i64::MAX));
    stmt
}

/// A key as [`distinct_keys`] gave it.
pub fn read_key(backend: Backend, orders: &[KeyOrder], values: Vec<Option<Sealed>>) -> Option<Vec<Sealed>> {
    orders
        .iter()
        .zip(values)
        .map(|(order, value)| match (backend, order) {
            (Backend::Mysql, KeyOrder::Bytes) => from_hex(value?.expose()).map(Sealed::new),
            _ => value,
        })
        .collect()
}

fn text_of(stmt: &mut Stmt, backend: Backend, operand: &Operand) {
    let mut column = Stmt::default();
    operand.write(&mut column);
    dialect::read_expression(stmt, &operand.column, backend, &column);
}

/// MariaDB's text collations pad with blanks or ignore case; hexadecimal digits of the bytes do neither.
fn ordered(stmt: &mut Stmt, backend: Backend, operand: &Operand, order: KeyOrder) {
    match (order, backend) {
        (KeyOrder::Number, _) => operand.write(stmt),
        (KeyOrder::Bytes, Backend::Postgres) => {
            text_of(stmt, backend, operand);
            stmt.sql(" COLLATE \"C\"");
        }
        (KeyOrder::Bytes, Backend::Mysql) => {
            stmt.sql("HEX(");
            text_of(stmt, backend, operand);
            stmt.sql(")");
        }
        (KeyOrder::Bytes, Backend::Sqlite) => {
            text_of(stmt, backend, operand);
            stmt.sql(" COLLATE BINARY");
        }
    }
}

/// `a >= ? AND (a > ? OR (a = ? AND b > ?))`
fn write_after(stmt: &mut Stmt, backend: Backend, pairs: &[(&Operand, KeyOrder)], after: &[Sealed]) {
    let compared = |stmt: &mut Stmt, index: usize, op: &'static str| {
        let Some((operand, order)) = pairs.get(index) else { return };
        ordered(stmt, backend, operand, *order);
        stmt.sql(op);
        let value = after.get(index).map_or("", |value| value.expose().as_str());
        match (order, backend) {
            (KeyOrder::Number, _) => dialect::bind_as(stmt, &operand.column, backend, value),
            (KeyOrder::Bytes, Backend::Mysql) => {
                stmt.value(to_hex(value));
            }
            (KeyOrder::Bytes, Backend::Postgres | Backend::Sqlite) => {
                stmt.value(value);
            }
        }
    };
    stmt.sql("(");
    compared(stmt, 0, " >= ");
    stmt.sql(" AND (");
    let last = pairs.len().saturating_sub(1);
    for index in 0..=last {
        compared(stmt, index, " > ");
        if index < last {
            stmt.sql(" OR (");
            compared(stmt, index, " = ");
            stmt.sql(" AND ");
        }
    }
    for _ in 0..last {
        stmt.sql(")");
    }
    stmt.sql("))");
}

fn to_hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02X}")).collect()
}

fn from_hex(digits: &str) -> Option<String> {
    let bytes: Option<Vec<u8>> = digits
        .as_bytes()
        .chunks(2)
        .map(|pair| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok()))
        .collect();
    String::from_utf8(bytes?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(parts: &[&str]) -> Vec<Sealed> {
        parts.iter().map(|part| Sealed::new((*part).to_owned())).collect()
    }

    #[test]
    fn numbers_compare_as_numbers_and_text_by_its_bytes() {
        let numbers = [KeyOrder::Number];
        assert_eq!(compare(&numbers, &key(&["9"]), &key(&["10"])), Ordering::Less);
        assert_eq!(compare(&numbers, &key(&["-9"]), &key(&["-10"])), Ordering::Greater);
        let text = [KeyOrder::Bytes, KeyOrder::Number];
        assert_eq!(compare(&text, &key(&["José", "1"]), &key(&["jose", "1"])), Ordering::Less);
        assert_eq!(compare(&text, &key(&["a", "2"]), &key(&["a ", "1"])), Ordering::Less);
        assert_eq!(compare(&text, &key(&["a", "2"]), &key(&["a", "10"])), Ordering::Less);
        assert_eq!(compare(&text, &key(&["a", "2"]), &key(&["a", "2"])), Ordering::Equal);
    }

    #[test]
    fn hexadecimal_digits_stand_for_text() {
        assert_eq!(from_hex(&to_hex("José ☎")).as_deref(), Some("José ☎"));
        assert_eq!(from_hex("FF"), None);
    }
}
