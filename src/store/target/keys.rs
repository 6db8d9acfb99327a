//! Conditions on keys: lists of keys, and key ranges in the order of the key's columns.
//!
//! Row-value comparisons are written out, because MariaDB does not use an index for `(a, b) > (?, ?)`. A list of keys is
//! one bound array on PostgreSQL, so that a thousand keys are one parameter.

use super::expr::{Expr, Op, Operand, Scalar, alias, separate};
use super::key_list::Keys;
use super::scalar::write_scalar;
use crate::redact::Sealed;
use crate::store::catalog::TypeClass;
use crate::store::dialect;
use crate::store::{Backend, Stmt};

pub(super) fn write(expr: &Expr, stmt: &mut Stmt, backend: Backend) {
    match expr {
        Expr::KeyIn(columns, keys) => write_list(stmt, backend, columns, keys),
        Expr::Tids(tids) => write_tids(stmt, tids),
        Expr::KeyAfter(columns, key) => write_range(stmt, backend, columns, key, Side::After),
        Expr::KeyUpTo(columns, key) => write_range(stmt, backend, columns, key, Side::UpTo),
        Expr::KeyInRows { columns, table, alias: number, selected, condition } => {
            write_rows(stmt, backend, (columns, selected), (table, Some(*number)), condition);
        }
        Expr::KeyInTable { columns, table, selected, condition } => {
            write_rows(stmt, backend, (columns, selected), (table, None), condition);
        }
        Expr::Closure { key, table, link, seed_alias, seed, step } => {
            write_closure(stmt, backend, (key, table, link), *seed_alias, (seed, step));
        }
        _ => {}
    }
}

fn write_rows(
    stmt: &mut Stmt,
    backend: Backend,
    (columns, selected): (&[Operand], &[Operand]),
    (table, number): (&super::TableRef, Option<u8>),
    condition: &Expr,
) {
    write_tuple(stmt, columns);
    stmt.sql(" IN (SELECT ");
    for (index, operand) in selected.iter().enumerate() {
        separate(stmt, index, ", ");
        operand.write(stmt);
    }
    stmt.sql(" FROM ");
    table.write(stmt);
    if let Some(number) = number {
        stmt.sql(" ").sql(alias(number));
    }
    stmt.sql(" WHERE ");
    condition.write(stmt, backend);
    stmt.sql(")");
}

/// `key IN (WITH RECURSIVE going (k0, l0) AS (seed UNION rows that refer to it) SELECT k0 FROM going)`: `k` are the key
/// columns, `l` the columns that a link refers to. UNION, not UNION ALL: a circle of references ends.
fn write_closure(
    stmt: &mut Stmt,
    backend: Backend,
    (key, table, link): (
        &[Operand],
        &super::TableRef,
        &[(crate::store::catalog::Column, crate::store::catalog::Column)],
    ),
    seed_alias: u8,
    (seed, step): (&Expr, &Expr),
) {
    let below = alias(seed_alias.wrapping_add(1));
    const KEYS: [&str; 8] = ["k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7"];
    const LINKS: [&str; 8] = ["l0", "l1", "l2", "l3", "l4", "l5", "l6", "l7"];
    let names = |stmt: &mut Stmt, prefix: &'static str| {
        for (index, name) in KEYS.iter().take(key.len()).chain(LINKS.iter().take(link.len())).enumerate() {
            separate(stmt, index, ", ");
            stmt.sql(prefix).sql(name);
        }
    };
    let columns = |stmt: &mut Stmt, from: &'static str| {
        let all = key.iter().map(|operand| &operand.column).chain(link.iter().map(|(_, referred)| referred));
        for (index, column) in all.enumerate() {
            separate(stmt, index, ", ");
            stmt.sql(from).sql(".").name(&column.name);
        }
    };
    write_tuple(stmt, key);
    stmt.sql(" IN (WITH RECURSIVE going (");
    names(stmt, "");
    stmt.sql(") AS (SELECT ");
    columns(stmt, alias(seed_alias));
    stmt.sql(" FROM ");
    table.write(stmt);
    stmt.sql(" ").sql(alias(seed_alias)).sql(" WHERE ");
    seed.write(stmt, backend);
    stmt.sql(" UNION SELECT ");
    columns(stmt, below);
    stmt.sql(" FROM ");
    table.write(stmt);
    stmt.sql(" ").sql(below).sql(" JOIN going ON ");
    for (index, (referring, _)) in link.iter().enumerate() {
        separate(stmt, index, " AND ");
        stmt.sql(below).sql(".").name(&referring.name).sql(" = going.").sql(LINKS[index % LINKS.len()]);
    }
    if !step.is_always() {
        stmt.sql(" WHERE ");
        step.write(stmt, backend);
    }
    stmt.sql(") SELECT ");
    for (index, name) in KEYS.iter().take(key.len()).enumerate() {
        separate(stmt, index, ", ");
        stmt.sql(name);
    }
    stmt.sql(" FROM going)");
}

pub(super) fn write_tuple(stmt: &mut Stmt, columns: &[Operand]) {
    if let [only] = columns {
        only.write(stmt);
        return;
    }
    stmt.sql("(");
    for (index, operand) in columns.iter().enumerate() {
        separate(stmt, index, ", ");
        operand.write(stmt);
    }
    stmt.sql(")");
}

fn write_list(stmt: &mut Stmt, backend: Backend, columns: &[Operand], keys: &Keys) {
    let keys = match keys {
        Keys::Arrays(arrays, _) => return write_known(stmt, columns, arrays),
        Keys::Listed(keys) => keys,
    };
    if keys.is_empty() {
        stmt.sql("1 = 0");
        return;
    }
    match (backend, columns) {
        (Backend::Postgres, _) => {
            write_arrays(stmt, columns, |position| Some(array_of(columns.get(position)?, keys, position)));
        }
        (_, [column]) => {
            column.write(stmt);
            stmt.sql(" IN (");
            for (index, key) in keys.iter().enumerate() {
                separate(stmt, index, ", ");
                if let [value] = key.as_slice() {
                    dialect::bind_as(stmt, &column.column, backend, value.expose());
                }
            }
            stmt.sql(")");
        }
        (Backend::Sqlite, _) => {
            write_tuple(stmt, columns);
            stmt.sql(" IN (VALUES ");
            for (index, key) in keys.iter().enumerate() {
                separate(stmt, index, ", ");
                stmt.sql("(");
                for (position, (column, value)) in columns.iter().zip(key).enumerate() {
                    separate(stmt, position, ", ");
                    dialect::bind_as(stmt, &column.column, backend, value.expose());
                }
                stmt.sql(")");
            }
            stmt.sql(")");
        }
        (Backend::Mysql, _) => {
            stmt.sql("(");
            for (index, key) in keys.iter().enumerate() {
                separate(stmt, index, " OR ");
                stmt.sql("(");
                for (position, (column, value)) in columns.iter().zip(key).enumerate() {
                    separate(stmt, position, " AND ");
                    compare(stmt, backend, column, Op::Equal, value);
                }
                stmt.sql(")");
            }
            stmt.sql(")");
        }
    }
}

/// `c = ANY(CAST($1 AS type[]))`; for several columns, rows of `unnest`.
fn write_arrays(stmt: &mut Stmt, columns: &[Operand], array: impl Fn(usize) -> Option<String>) {
    let write = |stmt: &mut Stmt, position: usize, column: &Operand| {
        let array = array(position).unwrap_or_else(|| "{}".to_owned());
        stmt.plan_anew().sql("CAST(").value(array).sql(" AS ").type_name(&column.column.sql_type).sql("[])");
    };
    if let [column] = columns {
        column.write(stmt);
        stmt.sql(" = ANY(");
        write(stmt, 0, column);
        stmt.sql(")");
        return;
    }
    write_tuple(stmt, columns);
    stmt.sql(" IN (SELECT * FROM unnest(");
    for (position, column) in columns.iter().enumerate() {
        separate(stmt, position, ", ");
        write(stmt, position, column);
    }
    stmt.sql("))");
}

/// `c = ANY(…)` of an array that the planner does not look into: of each of its values it would estimate how many rows have it,
/// which takes longer than finding some of them. It takes the array to have ten values, so it finds rows by them, and by one
/// plan for all lists: the bounds of their time, which could lead it astray, are hidden from it beside keys.
fn write_known(stmt: &mut Stmt, columns: &[Operand], arrays: &[Sealed]) {
    let ([column], [array]) = (columns, arrays) else {
        return write_arrays(stmt, columns, |position| arrays.get(position).map(|array| array.expose().clone()));
    };
    column.write(stmt);
    stmt.sql(" = ANY(CAST((SELECT CAST(").value(array.expose().as_str()).sql(" AS ");
    stmt.type_name(&column.column.sql_type).sql("[])) AS ").type_name(&column.column.sql_type).sql("[]))");
}

/// The same of where rows lie, which spares looking them up in the index of their key.
fn write_tids(stmt: &mut Stmt, tids: &Sealed) {
    stmt.sql("ctid = ANY(CAST((SELECT CAST(").value(tids.expose().as_str()).sql(" AS tid[])) AS tid[]))");
}

/// An array of the keys' values at one position, as PostgreSQL reads it.
fn array_of(column: &Operand, keys: &[Vec<Sealed>], position: usize) -> String {
    let mut literal = String::from("{");
    for (index, key) in keys.iter().enumerate() {
        if index > 0 {
            literal.push(',');
        }
        literal.push('"');
        if column.column.class == TypeClass::Bytes {
            literal.push_str("\\\\x");
        }
        let value = key.get(position).map_or("", |value| value.expose().as_str());
        for c in value.chars() {
            if c == '"' || c == '\\' {
                literal.push('\\');
            }
            literal.push(c);
        }
        literal.push('"');
    }
    literal.push('}');
    literal
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    After,
    UpTo,
}

/// `a > ? OR (a = ? AND (b > ? …))`, with `a >= ?` before it, which is what an index range needs.
fn write_range(stmt: &mut Stmt, backend: Backend, columns: &[Operand], key: &[Sealed], side: Side) {
    let (strict, loose) = if side == Side::After { (Op::Above, Op::AtLeast) } else { (Op::Below, Op::AtMost) };
    if let ([column], [value]) = (columns, key) {
        compare(stmt, backend, column, if side == Side::After { strict } else { loose }, value);
        return;
    }
    let (Some(first), Some(value)) = (columns.first(), key.first()) else {
        stmt.sql("1 = 0");
        return;
    };
    stmt.sql("(");
    compare(stmt, backend, first, loose, value);
    stmt.sql(" AND ");
    let last = columns.len().saturating_sub(1);
    let mut open = 0;
    for (position, (column, value)) in columns.iter().zip(key).enumerate() {
        if position == last {
            compare(stmt, backend, column, if side == Side::After { strict } else { loose }, value);
        } else {
            stmt.sql("(");
            compare(stmt, backend, column, strict, value);
            stmt.sql(" OR (");
            compare(stmt, backend, column, Op::Equal, value);
            stmt.sql(" AND ");
            open += 1;
        }
    }
    for _ in 0..open {
        stmt.sql("))");
    }
    stmt.sql(")");
}

fn compare(stmt: &mut Stmt, backend: Backend, column: &Operand, op: Op, value: &Sealed) {
    column.write(stmt);
    stmt.sql(op.text());
    write_scalar(stmt, backend, &column.column, &Scalar::Row(value.clone()));
}
