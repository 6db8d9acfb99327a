//! The statements that touch operators' rows.
//!
//! **Invariant.** Every statement here that removes or overwrites rows takes a [`Guarded`] and renders all of it into its
//! own `WHERE`: a row that does not satisfy the whole condition at the moment of the statement, or that a legal hold
//! keeps, is not touched, whatever a probe said before. [`delete`], [`overwrite`], [`overwrite_row`] and [`unlink`] are
//! the only four; `tests/conformance` plants rows just before, at and just after each cutoff, under holds and beside
//! them, and compares all others byte for byte.

use super::expr::{Expr, Operand, Scope, TableRef, alias, separate};
use super::held::Guarded;
pub use super::lookup::{Lookup, MOST_WAYS};
use super::lookup::{ReadValue, read_text};
use super::shape::Shape;
use crate::redact::Sealed;
use crate::store::catalog::Column;
use crate::store::dialect;
use crate::store::{Backend, Ident, Stmt, Streamed};

/// One column and the shape it is given.
#[derive(Clone, Debug)]
pub struct Overwrite {
    /// The column.
    pub column: Column,
    /// Its new form.
    pub shape: Shape,
}

/// How a marker column says "done".
#[derive(Clone, Debug)]
pub enum Marker {
    /// A timestamp: the instant, as text of the column's type.
    Instant(Column, String),
    /// A boolean: true.
    True(Column),
}

/// `SELECT count(*), min(time), max(time) FROM table WHERE condition`
pub fn count(backend: Backend, table: &TableRef, time: Option<&Column>, condition: &Expr) -> Stmt {
    let mut stmt = Stmt::new("SELECT CAST(count(*) AS ");
    stmt.sql(text_type(backend)).sql(")");
    for function in [", min(", ", max("] {
        if let Some(time) = time {
            let operand = own(table, time);
            stmt.sql(", ");
            let mut inner = Stmt::new(function.trim_start_matches(", "));
            operand.write(&mut inner);
            inner.sql(")");
            dialect::read_expression(&mut stmt, time, backend, &inner);
        }
    }
    stmt.sql(" FROM ");
    table.write(&mut stmt);
    stmt.sql(" WHERE ");
    condition.write(&mut stmt, backend);
    stmt
}

/// Counts the rows that a deletion under the guard of the holds is about.
pub fn count_guarded(backend: Backend, table: &TableRef, rows: &Guarded) -> Stmt {
    count(backend, table, None, rows.condition())
}

/// The greatest value of a column among the rows of a condition.
pub fn greatest(backend: Backend, table: &TableRef, column: &Column, condition: &Expr) -> Stmt {
    extreme("max(", backend, table, column, condition)
}

/// The least value of a column among the rows of a condition.
pub fn least(backend: Backend, table: &TableRef, column: &Column, condition: &Expr) -> Stmt {
    extreme("min(", backend, table, column, condition)
}

fn extreme(function: &'static str, backend: Backend, table: &TableRef, column: &Column, condition: &Expr) -> Stmt {
    let mut extreme = Stmt::new(function);
    own(table, column).write(&mut extreme);
    extreme.sql(")");
    let mut stmt = Stmt::new("SELECT ");
    dialect::read_expression(&mut stmt, column, backend, &extreme);
    stmt.sql(" FROM ");
    table.write(&mut stmt);
    stmt.sql(" WHERE ");
    condition.write(&mut stmt, backend);
    stmt
}

/// Whether any row satisfies the condition.
pub fn any(backend: Backend, table: &TableRef, condition: &Expr) -> Stmt {
    let mut stmt = Stmt::new("SELECT '1' FROM ");
    table.write(&mut stmt);
    stmt.sql(" WHERE ");
    condition.write(&mut stmt, backend);
    stmt.sql(" LIMIT 1");
    stmt
}

/// Counts at most `cap` rows: enough to know whether a batch would be too large.
pub fn count_up_to(backend: Backend, table: &TableRef, condition: &Expr, cap: u64) -> Stmt {
    let mut stmt = Stmt::new("SELECT CAST(count(*) AS ");
    stmt.sql(text_type(backend)).sql(") FROM (SELECT 1 AS one FROM ");
    table.write(&mut stmt);
    stmt.sql(" WHERE ");
    condition.write(&mut stmt, backend);
    stmt.sql(" LIMIT ").value(bound(cap)).sql(") ").sql(alias(11));
    stmt
}

/// What is read of rows: columns in an order, at most `limit` of them, `skip` left out first.
pub struct Read<'a> {
    /// The table.
    pub table: &'a TableRef,
    /// The columns to read as text.
    pub columns: &'a [Operand],
    /// Further values, after the columns.
    pub lookups: &'a [Lookup],
    /// The condition.
    pub condition: &'a Expr,
    /// The columns to order by.
    pub order: &'a [Operand],
    /// Rows to skip.
    pub skip: u64,
    /// Most rows.
    pub limit: u64,
    /// Whether the rows are locked until the transaction ends.
    pub lock: bool,
}

/// Reads columns of rows as text.
pub fn read(backend: Backend, what: &Read<'_>) -> Stmt {
    read_by(backend, Access::Any, what)
}

/// As [`read`], by way of `access`.
pub fn read_by(backend: Backend, access: Access, what: &Read<'_>) -> Stmt {
    read_with(backend, access, what, read_text).stmt
}

/// As [`read`], for [`crate::store::Conn::each_row`] alone.
pub fn stream(backend: Backend, what: &Read<'_>) -> Streamed {
    read_with(backend, Access::Any, what, dialect::read_for_stream)
}

fn read_with(backend: Backend, access: Access, what: &Read<'_>, read: ReadValue) -> Streamed {
    let mut stmt = Stmt::new("SELECT ");
    let mut forms = Vec::new();
    for (index, operand) in what.columns.iter().enumerate() {
        separate(&mut stmt, index, ", ");
        let mut inner = Stmt::default();
        operand.write(&mut inner);
        forms.push(read(&mut stmt, &operand.column, backend, &inner));
    }
    for (index, lookup) in what.lookups.iter().enumerate() {
        separate(&mut stmt, index + what.columns.len(), ", ");
        forms.push(lookup.write(&mut stmt, backend, read));
    }
    write_found(&mut stmt, backend, access, what);
    Streamed { stmt, forms }
}

/// Everything behind the columns that are read.
pub(super) fn write_found(stmt: &mut Stmt, backend: Backend, access: Access, what: &Read<'_>) {
    stmt.sql(" FROM ");
    what.table.write(stmt);
    access.write(stmt, backend);
    stmt.sql(" WHERE ");
    what.condition.write(stmt, backend);
    for (index, operand) in what.order.iter().enumerate() {
        stmt.sql(if index == 0 { " ORDER BY " } else { ", " });
        operand.write(stmt);
    }
    stmt.sql(" LIMIT ").value(bound(what.limit));
    if what.skip > 0 {
        stmt.sql(" OFFSET ").value(bound(what.skip));
    }
    if what.lock && backend != Backend::Sqlite {
        stmt.sql(" FOR UPDATE");
    }
}

/// How the server finds the rows of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// As it thinks best.
    Any,
    /// SQLite: by the row's own number. A window of row numbers is found at once, but the planner would rather read the
    /// whole expired part of an index on the time column, for each window anew.
    Rowid,
}

impl Access {
    fn write(self, stmt: &mut Stmt, backend: Backend) {
        if self == Self::Rowid && backend == Backend::Sqlite {
            stmt.sql(" NOT INDEXED");
        }
    }
}

/// `DELETE FROM table WHERE condition`
pub fn delete(backend: Backend, table: &TableRef, access: Access, rows: &Guarded) -> Stmt {
    let mut stmt = Stmt::new("DELETE FROM ");
    table.write(&mut stmt);
    access.write(&mut stmt, backend);
    stmt.sql(" WHERE ");
    rows.condition().write(&mut stmt, backend);
    stmt
}

/// `UPDATE table SET … WHERE condition`, for shapes that are the same for every row, and the marker.
pub fn overwrite(
    backend: Backend,
    table: &TableRef,
    access: Access,
    (columns, marker): (&[Overwrite], Option<&Marker>),
    rows: &Guarded,
) -> Stmt {
    let mut stmt = Stmt::new("UPDATE ");
    table.write(&mut stmt);
    access.write(&mut stmt, backend);
    let mut first = true;
    for overwrite in columns.iter().filter(|overwrite| overwrite.shape.is_constant()) {
        next_assignment(&mut stmt, &mut first, &overwrite.column);
        overwrite.shape.write_value(&mut stmt, backend, &own(table, &overwrite.column));
    }
    write_marker(&mut stmt, &mut first, backend, marker);
    stmt.sql(" WHERE ");
    rows.condition().write(&mut stmt, backend);
    stmt
}

/// `UPDATE table SET … WHERE condition` for one row, with values that were computed outside the database.
pub fn overwrite_row(backend: Backend, table: &TableRef, values: &[(Column, Option<Sealed>)], rows: &Guarded) -> Stmt {
    let mut stmt = Stmt::new("UPDATE ");
    table.write(&mut stmt);
    let mut first = true;
    for (column, value) in values {
        next_assignment(&mut stmt, &mut first, column);
        match value {
            None => {
                stmt.sql("NULL");
            }
            Some(value) => dialect::bind_as(&mut stmt, column, backend, value.expose()),
        }
    }
    stmt.sql(" WHERE ");
    rows.condition().write(&mut stmt, backend);
    stmt
}

/// `UPDATE table SET a = NULL, b = NULL WHERE condition`: a reference to a row that goes.
pub fn unlink(backend: Backend, table: &TableRef, columns: &[Column], rows: &Guarded) -> Stmt {
    let values: Vec<_> = columns.iter().map(|column| (column.clone(), None)).collect();
    overwrite_row(backend, table, &values, rows)
}

fn next_assignment(stmt: &mut Stmt, first: &mut bool, column: &Column) {
    stmt.sql(if *first { " SET " } else { ", " }).name(&column.name).sql(" = ");
    *first = false;
}

fn write_marker(stmt: &mut Stmt, first: &mut bool, backend: Backend, marker: Option<&Marker>) {
    match marker {
        None => {}
        Some(Marker::Instant(column, instant)) => {
            next_assignment(stmt, first, column);
            dialect::bind_policy(stmt, column, backend, instant);
        }
        Some(Marker::True(column)) => {
            next_assignment(stmt, first, column);
            stmt.sql(match backend {
                Backend::Postgres => "TRUE",
                Backend::Mysql | Backend::Sqlite => "1",
            });
        }
    }
}

/// The column of the statement's own table.
pub fn own(table: &TableRef, column: &Column) -> Operand {
    Operand { scope: Scope::Own(table.clone()), column: column.clone() }
}

pub(super) fn text_type(backend: Backend) -> &'static str {
    match backend {
        Backend::Postgres | Backend::Sqlite => "TEXT",
        Backend::Mysql => "CHAR",
    }
}

fn bound(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The index that mends a missing one, for people to read and run.
pub fn create_index(backend: Backend, table: &TableRef, columns: &[Column]) -> Stmt {
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    let mut stmt =
        Stmt::new(if backend == Backend::Postgres { "CREATE INDEX CONCURRENTLY ON " } else { "CREATE INDEX " });
    if backend != Backend::Postgres {
        stmt.name(&Ident::found(format!("retention_{}", names.join("_")))).sql(" ON ");
    }
    table.write(&mut stmt);
    stmt.sql(" (");
    for (index, column) in columns.iter().enumerate() {
        separate(&mut stmt, index, ", ");
        stmt.name(&column.name);
    }
    stmt.sql(");");
    stmt
}

/// How many pages the table's own file has (PostgreSQL).
///
/// # Errors
/// When the server cannot be asked.
pub fn page_count(conn: &mut crate::store::Conn, table: &TableRef) -> Result<u64, crate::store::StoreError> {
    let mut stmt = Stmt::new(
        "SELECT CAST(pg_relation_size(c.oid) / CAST(current_setting('block_size') AS bigint) AS text) \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = ",
    );
    stmt.value(table.schema_name().unwrap_or("public")).sql(" AND c.relname = ").value(table.table_name());
    let rows = conn.catalog_rows(&stmt)?;
    Ok(rows.first().and_then(|row| row.count(0)).unwrap_or_default().unsigned_abs())
}
