//! Writing retentiond's own reference data quickly: its schemas and many rows at once.
//!
//! For the demo, the tests and the benchmarks only; no operator's table is ever written through this file. SQLite and
//! MariaDB take statements with many rows of placeholders, in sizes that are powers of two, so that a table needs a
//! handful of prepared statements. PostgreSQL takes one array for each column and unnests them, which its planner sees
//! as one short statement, however many rows there are.

use chrono::NaiveDateTime;
use diesel::backend::Backend as DieselBackend;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::query_dsl::RunQueryDsl;
use diesel::result::QueryResult;
use diesel::serialize::ToSql;
use diesel::sql_types::{BigInt, Double, HasSqlType, Nullable, Text};

use super::access::Access;
use super::conn::{Backend, Conn, on};
use super::error::{ErrorKind, StoreError};
use super::session::make_tables;
use super::stmt::{Ident, Stmt, TypeName};

/// Rows of one transaction.
const TRANSACTION_ROWS: usize = 10_000;
/// Placeholders of one statement: far below the limits of SQLite (32 766) and MariaDB (65 535); more gains nothing.
const PLACEHOLDERS: usize = 1_000;
/// Rows of one statement on PostgreSQL.
const ARRAY_ROWS: usize = 2_000;

/// One value to be written.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// NULL.
    Null,
    /// A whole number.
    Int(i64),
    /// Text; also UUIDs.
    Text(String),
    /// A floating point number.
    Real(f64),
    /// True or false.
    Bool(bool),
    /// An instant in UTC.
    Time(NaiveDateTime),
}

impl From<i64> for Cell {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<&str> for Cell {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Cell {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<bool> for Cell {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<NaiveDateTime> for Cell {
    fn from(value: NaiveDateTime) -> Self {
        Self::Time(value)
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// Runs the statements of a schema of retentiond's own, each ended by `;` at the end of a line.
///
/// # Errors
/// What the database said: a schema holds nobody's data.
pub fn install_schema(conn: &mut Conn, sql: &'static str) -> Result<(), StoreError> {
    // MariaDB commits at each statement; on the others a schema is there as a whole or not at all.
    conn.transaction(Access::ReadWrite, |conn| {
        sql.split_inclusive(";\n").filter(|piece| piece.contains(';')).try_for_each(|piece| make_tables(conn, piece))
    })
}

/// Writes `rows`, whose cells stand in the order of `columns`, in transactions of 10 000 rows, or in the transaction
/// that is open already. Gives the number of rows written.
///
/// # Errors
/// Those of the database; a row with another number of cells than there are columns.
pub fn insert(conn: &mut Conn, table: &str, columns: &[&str], rows: &[Vec<Cell>]) -> Result<u64, StoreError> {
    if rows.is_empty() {
        return Ok(0);
    }
    if columns.is_empty() || rows.iter().any(|row| row.len() != columns.len()) {
        return Err(StoreError::new(ErrorKind::Other, format!("{table}: a row has too few or too many cells")));
    }
    let table = Ident::found(table);
    let columns: Vec<Ident> = columns.iter().map(|name| Ident::found(*name)).collect();
    let types = if conn.backend() == Backend::Postgres { column_types(conn, &table, &columns)? } else { Vec::new() };
    let mut written = 0;
    for part in rows.chunks(TRANSACTION_ROWS) {
        let work = |conn: &mut Conn| match conn.backend() {
            Backend::Postgres => insert_arrays(conn, &table, &columns, &types, part),
            Backend::Mysql | Backend::Sqlite => insert_values(conn, &table, &columns, part),
        };
        written += if conn.is_in_transaction() { work(conn)? } else { conn.transaction(Access::ReadWrite, work)? };
    }
    Ok(written)
}

/// The types of the columns, in their order, as PostgreSQL names them.
fn column_types(conn: &mut Conn, table: &Ident, columns: &[Ident]) -> Result<Vec<TypeName>, StoreError> {
    let mut stmt = Stmt::new(
        "SELECT attname::text, format_type(atttypid, NULL)::text FROM pg_attribute \
         WHERE attnum > 0 AND NOT attisdropped AND attrelid = to_regclass(quote_ident(",
    );
    stmt.policy(table.as_str()).sql("))");
    let found = conn.catalog_rows(&stmt)?;
    let type_of = |column: &Ident| found.iter().find(|row| row.plain(0) == Some(column.as_str()))?.plain(1);
    columns
        .iter()
        .map(|column| {
            type_of(column).map(TypeName::found).ok_or_else(|| {
                let what = format!("there is no column {}.{}", table.as_str(), column.as_str());
                StoreError::new(ErrorKind::Other, what)
            })
        })
        .collect()
}

fn insert_arrays(
    conn: &mut Conn,
    table: &Ident,
    columns: &[Ident],
    types: &[TypeName],
    rows: &[Vec<Cell>],
) -> Result<u64, StoreError> {
    // The session plans every statement anew, which suits windows over time; here it would also plan each check of a
    // foreign key anew, row by row.
    conn.batch("SET LOCAL plan_cache_mode = auto")?;
    let mut written = 0;
    for part in rows.chunks(ARRAY_ROWS) {
        let mut stmt = Stmt::new("INSERT INTO ");
        stmt.name(table).sql(" (");
        for (index, column) in columns.iter().enumerate() {
            stmt.sql(if index == 0 { "" } else { ", " }).name(column);
        }
        stmt.sql(") SELECT * FROM unnest(");
        for (index, type_name) in types.iter().enumerate() {
            stmt.sql(if index == 0 { "CAST(" } else { ", CAST(" }).value(array_literal(part, index));
            stmt.sql(" AS ").type_name(type_name).sql("[])");
        }
        stmt.sql(")");
        written += conn.execute(&stmt)?;
    }
    Ok(written)
}

/// Column `index` of the rows as a PostgreSQL array literal.
fn array_literal(rows: &[Vec<Cell>], index: usize) -> String {
    let mut text = String::with_capacity(rows.len() * 12);
    text.push('{');
    for (number, cell) in rows.iter().filter_map(|row| row.get(index)).enumerate() {
        if number > 0 {
            text.push(',');
        }
        match cell {
            Cell::Null => text.push_str("NULL"),
            Cell::Int(value) => text.push_str(&value.to_string()),
            Cell::Real(value) => text.push_str(&value.to_string()),
            Cell::Bool(value) => text.push(if *value { 't' } else { 'f' }),
            Cell::Time(value) => {
                text.push('"');
                text.push_str(&value.to_string());
                text.push_str("+00\"");
            }
            Cell::Text(value) => push_element(&mut text, value),
        }
    }
    text.push('}');
    text
}

fn push_element(text: &mut String, value: &str) {
    text.push('"');
    for c in value.chars() {
        if c == '"' || c == '\\' {
            text.push('\\');
        }
        text.push(c);
    }
    text.push('"');
}

fn insert_values(conn: &mut Conn, table: &Ident, columns: &[Ident], rows: &[Vec<Cell>]) -> Result<u64, StoreError> {
    let mut size = (PLACEHOLDERS / columns.len()).max(1).next_power_of_two();
    let (mut rest, mut written) = (rows, 0);
    while !rest.is_empty() {
        while size > rest.len() {
            size /= 2;
        }
        let (part, later) = rest.split_at(size);
        rest = later;
        let values = Values { table, columns, kinds: kinds(part, columns.len()), times: times(part), rows: part };
        let count = on!(conn, raw => RunQueryDsl::execute(values, raw));
        written += count.map_err(|error| StoreError::from_rows(&error))? as u64;
    }
    Ok(written)
}

/// How a column's values are bound; also its NULLs, so that one prepared statement serves every row.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Integer,
    Real,
}

fn kinds(rows: &[Vec<Cell>], columns: usize) -> Vec<Kind> {
    let kind_of = |index: usize| {
        rows.iter().find_map(|row| match row.get(index)? {
            Cell::Null => None,
            Cell::Int(_) | Cell::Bool(_) => Some(Kind::Integer),
            Cell::Real(_) => Some(Kind::Real),
            Cell::Text(_) | Cell::Time(_) => Some(Kind::Text),
        })
    };
    (0..columns).map(|index| kind_of(index).unwrap_or(Kind::Text)).collect()
}

/// The instants of the rows as text, in the order in which they are met.
fn times(rows: &[Vec<Cell>]) -> Vec<String> {
    let cells = rows.iter().flatten();
    cells.filter_map(|cell| if let Cell::Time(at) = cell { Some(at.to_string()) } else { None }).collect()
}

/// `INSERT INTO … VALUES (…), (…)`, borrowing its values.
struct Values<'a> {
    table: &'a Ident,
    columns: &'a [Ident],
    kinds: Vec<Kind>,
    times: Vec<String>,
    rows: &'a [Vec<Cell>],
}

impl QueryId for Values<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<C> RunQueryDsl<C> for Values<'_> {}

impl<DB> QueryFragment<DB> for Values<'_>
where
    DB: DieselBackend + HasSqlType<Text> + HasSqlType<BigInt> + HasSqlType<Double>,
    String: ToSql<Text, DB>,
    i64: ToSql<BigInt, DB>,
    f64: ToSql<Double, DB>,
    Option<String>: ToSql<Nullable<Text>, DB>,
    Option<i64>: ToSql<Nullable<BigInt>, DB>,
    Option<f64>: ToSql<Nullable<Double>, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.push_sql("INSERT INTO ");
        out.push_identifier(self.table.as_str())?;
        for (index, column) in self.columns.iter().enumerate() {
            out.push_sql(if index == 0 { " (" } else { ", " });
            out.push_identifier(column.as_str())?;
        }
        out.push_sql(") VALUES ");
        let mut times = self.times.iter();
        for (number, row) in self.rows.iter().enumerate() {
            for (index, (cell, kind)) in row.iter().zip(&self.kinds).enumerate() {
                out.push_sql(match (number, index) {
                    (0, 0) => "(",
                    (_, 0) => "), (",
                    _ => ", ",
                });
                match (cell, kind) {
                    (Cell::Null, Kind::Text) => out.push_bind_param::<Nullable<Text>, _>(&None::<String>)?,
                    (Cell::Null, Kind::Integer) => out.push_bind_param::<Nullable<BigInt>, _>(&None::<i64>)?,
                    (Cell::Null, Kind::Real) => out.push_bind_param::<Nullable<Double>, _>(&None::<f64>)?,
                    (Cell::Text(value), _) => out.push_bind_param::<Text, _>(value)?,
                    (Cell::Int(value), _) => out.push_bind_param::<BigInt, _>(value)?,
                    (Cell::Bool(value), _) => out.push_bind_param::<BigInt, _>(if *value { &1_i64 } else { &0 })?,
                    (Cell::Real(value), _) => out.push_bind_param::<Double, _>(value)?,
                    (Cell::Time(_), _) => {
                        if let Some(text) = times.next() {
                            out.push_bind_param::<Text, _>(text)?;
                        }
                    }
                }
            }
        }
        out.push_sql(")");
        Ok(())
    }
}

/// An empty SQLite database in memory.
#[cfg(test)]
pub(crate) fn memory() -> Conn {
    use diesel::Connection;
    let raw = diesel::SqliteConnection::establish(":memory:").unwrap();
    Conn::new(super::conn::Raw::Sqlite(raw))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> NaiveDateTime {
        text.parse().unwrap()
    }

    #[test]
    fn every_kind_of_cell_comes_back() {
        let mut conn = memory();
        install_schema(&mut conn, "CREATE TABLE t (a INTEGER, b TEXT, c REAL, d BOOLEAN, e TEXT);\n").unwrap();
        let full = vec![
            Cell::Int(i64::MIN),
            Cell::Text("O'Brien \"%_\\\" {,}".into()),
            Cell::Real(0.1),
            Cell::Bool(true),
            Cell::Time(at("2024-02-29T23:59:59")),
        ];
        let rows = vec![full, vec![Cell::Null; 5]];
        assert_eq!(insert(&mut conn, "t", &["a", "b", "c", "d", "e"], &rows).unwrap(), 2);
        let stmt = Stmt::new("SELECT CAST(a AS TEXT), b, CAST(c AS TEXT), CAST(d AS TEXT), e FROM t ORDER BY a DESC");
        let found = conn.rows(&stmt).unwrap();
        let texts: Vec<_> = (0..5).map(|index| found[0].plain(index)).collect();
        let back = ["-9223372036854775808", "O'Brien \"%_\\\" {,}", "0.1", "1", "2024-02-29 23:59:59"].map(Some);
        assert_eq!(texts, back);
        assert!((0..5).all(|index| found[1].get(index).is_none()));
    }

    #[test]
    fn any_number_of_rows_is_written_whole() {
        for number in [0, 1, 2, 3, 255, 256, 257, 10_001, 25_000] {
            let mut conn = memory();
            install_schema(&mut conn, "CREATE TABLE t (a INTEGER PRIMARY KEY, b INTEGER, c TEXT);\n").unwrap();
            let row = |n: i64| vec![Cell::Int(n), Cell::Int(n * 3), Cell::Text(n.to_string())];
            let rows: Vec<_> = (0..number).map(row).collect();
            assert_eq!(insert(&mut conn, "t", &["a", "b", "c"], &rows).unwrap(), rows.len() as u64);
            let mut stmt = Stmt::new("SELECT CAST(COUNT(*) AS TEXT), CAST(COALESCE(SUM(b), 0) AS TEXT) FROM t");
            stmt.sql(" WHERE b = a * 3 AND c = CAST(a AS TEXT)");
            let found = conn.rows(&stmt).unwrap();
            assert_eq!(found[0].count(0), Some(number));
            assert_eq!(found[0].count(1), Some(3 * (0..number).sum::<i64>()));
        }
    }

    #[test]
    fn a_failed_chunk_leaves_nothing_of_itself() {
        let mut conn = memory();
        install_schema(&mut conn, "CREATE TABLE t (a INTEGER PRIMARY KEY);\n").unwrap();
        let mut rows: Vec<_> = (0..300).map(|n| vec![Cell::Int(n)]).collect();
        rows.push(vec![Cell::Int(7)]);
        assert_eq!(insert(&mut conn, "t", &["a"], &rows).unwrap_err().kind, ErrorKind::Constraint);
        let count = conn.rows(&Stmt::new("SELECT CAST(COUNT(*) AS TEXT) FROM t")).unwrap();
        assert_eq!(count[0].count(0), Some(0));
        assert!(insert(&mut conn, "t", &["a"], &[vec![]]).is_err(), "a row with too few cells");
    }

    #[test]
    fn array_literals_quote_what_they_must() {
        let rows = [Cell::Text("a\"b\\,{}".into()), Cell::Null, Cell::Text("NULL".into())].map(|cell| vec![cell]);
        assert_eq!(array_literal(&rows, 0), r#"{"a\"b\\,{}",NULL,"NULL"}"#);
        let rows = [vec![Cell::Time(at("2024-01-02T03:04:05"))]];
        assert_eq!(array_literal(&rows, 0), r#"{"2024-01-02 03:04:05+00"}"#);
    }
}
