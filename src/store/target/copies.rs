//! Rows of operators' tables copied out, page by page, and put into a table again.

use super::expr::{Expr, Operand, TableRef, separate};
use super::held::Guarded;
use super::statements::{Read, read};
use crate::redact::Sealed;
use crate::store::catalog::Column;
use crate::store::dialect;
use crate::store::{Backend, Stmt};

/// At most `limit` rows of a condition as text, in the order of some columns, after the given values of these.
pub fn page(
    backend: Backend,
    table: &TableRef,
    columns: &[Operand],
    (order, after): (&[Operand], Option<&[Sealed]>),
    rows: &Guarded,
    limit: u64,
) -> Stmt {
    let after = after.map_or_else(Expr::always, |after| Expr::KeyAfter(order.to_vec(), after.to_vec()));
    let condition = rows.condition().clone().and(after);
    read(backend, &Read { table, columns, lookups: &[], condition: &condition, order, skip: 0, limit, lock: false })
}

/// Puts rows, as they were read, into a table; columns that are computed are left out.
pub fn insert(backend: Backend, table: &TableRef, columns: &[Option<Column>], rows: &[Vec<Option<Sealed>>]) -> Stmt {
    let mut stmt = Stmt::new("INSERT INTO ");
    table.write(&mut stmt);
    for (index, column) in columns.iter().flatten().enumerate() {
        stmt.sql(if index == 0 { " (" } else { ", " }).name(&column.name);
    }
    stmt.sql(")");
    if backend == Backend::Postgres {
        // Numbers that the server gave come back as they were.
        stmt.sql(" OVERRIDING SYSTEM VALUE");
    }
    stmt.sql(" VALUES ");
    for (index, row) in rows.iter().enumerate() {
        separate(&mut stmt, index, ", ");
        let written = columns.iter().zip(row).filter_map(|(column, value)| Some((column.as_ref()?, value)));
        for (place, (column, value)) in written.enumerate() {
            stmt.sql(if place == 0 { "(" } else { ", " });
            match value {
                Some(value) => dialect::bind_as(&mut stmt, column, backend, value.expose()),
                None => {
                    stmt.sql("NULL");
                }
            }
        }
        stmt.sql(")");
    }
    stmt
}
