//! Where the three databases differ in reading and binding the values of operators' columns.
//!
//! Every value travels as text, because the back ends share no other type for a column that is known only at run time.
//! [`read_as_text`] and [`bind_as`] are each other's inverse: `WHERE c = bind_as(read_as_text(c))` finds the row again,
//! with the index on `c`. Exceptions, none of which can be a key: PostgreSQL has no `=` for `json`, `xml` and `point`.
//! A text that is no value of the column's type is an error on PostgreSQL and finds nothing on the others. The column's
//! own collation decides what is equal; where it ignores case, so does the comparison.

use super::catalog::{Column, TypeClass};
use super::{Backend, Bind, Form, Stmt};

/// Appends an expression that reads the column as text without losing anything. Bytes become hexadecimal digits.
pub fn read_as_text(stmt: &mut Stmt, column: &Column, backend: Backend) {
    let mut name = Stmt::default();
    name.name(&column.name);
    read_expression(stmt, column, backend, &name);
}

/// Like [`read_as_text`] for an expression of the column's type: the column of another table, its least value.
pub fn read_expression(stmt: &mut Stmt, column: &Column, backend: Backend, expression: &Stmt) {
    match backend {
        Backend::Postgres => read_postgres(stmt, expression, column),
        Backend::Mysql => read_mysql(stmt, expression, column),
        Backend::Sqlite => read_sqlite(stmt, expression, column),
    }
}

/// Like [`read_expression`] for what is streamed ([`super::Streamed`]): PostgreSQL sends numbers and times in its own form,
/// which is given back and spelled here; to have it spell four times a row takes it longer than to find the row.
pub fn read_for_stream(stmt: &mut Stmt, column: &Column, backend: Backend, expression: &Stmt) -> Form {
    if let Some(form) = Form::of_type(column.sql_type.as_str()).filter(|_| backend == Backend::Postgres) {
        stmt.append(expression);
        return form;
    }
    read_expression(stmt, column, backend, expression);
    Form::Text
}

/// Appends an expression that is the value of `value`, a text that [`read_as_text`] gave, for a comparison with the
/// column by way of its index.
pub fn bind_as(stmt: &mut Stmt, column: &Column, backend: Backend, value: &str) {
    bind(stmt, column, backend, Given { value, policy: false });
}

/// The same for a value from the policy, which may be shown.
pub fn bind_policy(stmt: &mut Stmt, column: &Column, backend: Backend, value: &str) {
    bind(stmt, column, backend, Given { value, policy: true });
}

/// The same beside a column itself and an operator, and nowhere else. MySQL reads a text there once, as a time, where it
/// would call a CAST for each row that is looked at: 0.3 µs of the 1.5 that a row of a rollup takes.
pub fn bind_beside(stmt: &mut Stmt, column: &Column, backend: Backend, value: &str, policy: bool) {
    let given = Given { value, policy };
    let is_time = matches!(column.class, TypeClass::TimestampNaive | TypeClass::TimestampZoned);
    if backend == Backend::Mysql && is_time && is_usual_time(value) {
        given.put(stmt, value);
    } else {
        bind(stmt, column, backend, given);
    }
}

/// Whether a text is a time in the years that MySQL promises to know, as MySQL writes it: no zero date among them.
fn is_usual_time(text: &str) -> bool {
    let at = chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f");
    at.is_ok_and(|at| (1000..=9999).contains(&chrono::Datelike::year(&at)))
}

/// A value and where it comes from.
#[derive(Clone, Copy)]
struct Given<'a> {
    value: &'a str,
    policy: bool,
}

impl Given<'_> {
    fn put(self, stmt: &mut Stmt, bind: impl Into<Bind>) -> &mut Stmt {
        if self.policy { stmt.policy(bind) } else { stmt.value(bind) }
    }
}

fn bind(stmt: &mut Stmt, column: &Column, backend: Backend, given: Given<'_>) {
    match backend {
        Backend::Postgres => bind_postgres(stmt, column, given),
        Backend::Mysql => bind_mysql(stmt, column, given),
        Backend::Sqlite => bind_sqlite(stmt, column, given),
    }
}

/// `before`, the expression, `after`.
fn around(stmt: &mut Stmt, before: &'static str, expression: &Stmt, after: &'static str) {
    stmt.sql(before).append(expression).sql(after);
}

fn read_postgres(stmt: &mut Stmt, expression: &Stmt, column: &Column) {
    let (before, after) = match column.class {
        TypeClass::Bytes => ("encode(", ", 'hex')"),
        // As people write it: a single address without its /32.
        TypeClass::Inet if column.sql_type.as_str() == "inet" => ("abbrev(", ")"),
        TypeClass::Inet
        | TypeClass::Integer { .. }
        | TypeClass::Decimal
        | TypeClass::Real
        | TypeClass::Boolean
        | TypeClass::Text
        | TypeClass::Uuid
        | TypeClass::Date
        | TypeClass::TimestampNaive
        | TypeClass::TimestampZoned
        | TypeClass::Time
        | TypeClass::Json
        | TypeClass::Enum
        | TypeClass::Other => ("CAST(", " AS text)"),
    };
    around(stmt, before, expression, after);
}

fn bind_postgres(stmt: &mut Stmt, column: &Column, given: Given<'_>) {
    let value = given.value;
    match column.class {
        TypeClass::Bytes => {
            given.put(stmt.sql("decode("), value).sql(", 'hex')");
        }
        TypeClass::Integer { .. } if value.parse::<i64>().is_ok() => {
            // bigint compares with the smaller integers in one and the same index.
            given.put(stmt, value.parse::<i64>().unwrap_or_default());
        }
        TypeClass::TimestampZoned | TypeClass::TimestampNaive | TypeClass::Date if epoch(value).is_some() => {
            bind_instant(stmt, column.class, given, epoch(value).unwrap_or_default());
        }
        TypeClass::Integer { .. }
        | TypeClass::Decimal
        | TypeClass::Real
        | TypeClass::Boolean
        | TypeClass::Text
        | TypeClass::Uuid
        | TypeClass::Date
        | TypeClass::TimestampNaive
        | TypeClass::TimestampZoned
        | TypeClass::Time
        | TypeClass::Json
        | TypeClass::Inet
        | TypeClass::Enum
        | TypeClass::Other => cast(stmt, column, given),
    }
}

/// A time as a number: reading a time from text depends on the session's settings in PostgreSQL's eyes, so it would be
/// read again for each row that is looked at, and the planner would not know its value.
fn bind_instant(stmt: &mut Stmt, class: TypeClass, given: Given<'_>, epoch: f64) {
    let (before, after) = match class {
        TypeClass::TimestampZoned => ("to_timestamp(", ")"),
        TypeClass::Date => ("CAST(timezone('UTC', to_timestamp(", ")) AS date)"),
        _ => ("timezone('UTC', to_timestamp(", "))"),
    };
    given.put(stmt.sql(before), Bind::Real(epoch)).sql(after);
}

/// Seconds since 1970 of a time in PostgreSQL's own spelling, in UTC. A double holds microseconds exactly until the year
/// 2255, and PostgreSQL rounds to them; anything else, `infinity` and years before 1900 included, is left to a cast.
fn epoch(text: &str) -> Option<f64> {
    let civil = text.strip_suffix("+00").unwrap_or(text);
    let at = chrono::NaiveDateTime::parse_from_str(civil, "%Y-%m-%d %H:%M:%S%.f").ok().or_else(|| {
        chrono::NaiveDate::parse_from_str(civil, "%Y-%m-%d").ok().map(|day| day.and_time(chrono::NaiveTime::MIN))
    })?;
    let year = chrono::Datelike::year(&at);
    // i64 to f64 is exact below 2^53 microseconds.
    (1900..2200).contains(&year).then(|| at.and_utc().timestamp_micros() as f64 / 1_000_000.0)
}

fn cast(stmt: &mut Stmt, column: &Column, given: Given<'_>) {
    given.put(stmt.sql("CAST("), given.value).sql(" AS ").type_name(&column.sql_type).sql(")");
}

/// The types that MySQL keeps as geometry.
fn is_geometry(column: &Column) -> bool {
    let types = ["geometry", "point", "linestring", "polygon", "multi", "geomcollection"];
    types.iter().any(|name| column.declared.starts_with(name))
}

fn read_mysql(stmt: &mut Stmt, expression: &Stmt, column: &Column) {
    let (before, after) = match column.class {
        TypeClass::Bytes => ("HEX(", ")"),
        // BIT as text would be bytes, ZEROFILL would have its zeros, YEAR is a number.
        TypeClass::Integer { .. } | TypeClass::Boolean if column.sql_type.as_str() == "UNSIGNED" => {
            ("CAST(CAST(", " AS UNSIGNED) AS CHAR)")
        }
        // FLOAT as text would lose its last digits.
        TypeClass::Real => ("CAST(CAST(", " AS DOUBLE) AS CHAR)"),
        TypeClass::Other if is_geometry(column) => ("ST_AsText(", ")"),
        TypeClass::Integer { .. }
        | TypeClass::Decimal
        | TypeClass::Boolean
        | TypeClass::Text
        | TypeClass::Uuid
        | TypeClass::Date
        | TypeClass::TimestampNaive
        | TypeClass::TimestampZoned
        | TypeClass::Time
        | TypeClass::Json
        | TypeClass::Inet
        | TypeClass::Enum
        | TypeClass::Other => ("CAST(", " AS CHAR)"),
    };
    around(stmt, before, expression, after);
}

fn bind_mysql(stmt: &mut Stmt, column: &Column, given: Given<'_>) {
    let value = given.value;
    match column.class {
        TypeClass::Bytes => {
            given.put(stmt.sql("UNHEX("), value).sql(")");
        }
        TypeClass::Integer { .. } | TypeClass::Boolean if value.parse::<i64>().is_ok() => {
            given.put(stmt, value.parse::<i64>().unwrap_or_default());
        }
        TypeClass::Real if value.parse::<f64>().is_ok() => {
            given.put(stmt, Bind::Real(value.parse().unwrap_or_default()));
        }
        TypeClass::Integer { .. }
        | TypeClass::Boolean
        | TypeClass::Real
        | TypeClass::Decimal
        | TypeClass::Date
        | TypeClass::TimestampNaive
        | TypeClass::TimestampZoned
        | TypeClass::Time => cast(stmt, column, given),
        // MySQL's own JSON; that of MariaDB is text.
        TypeClass::Json if column.sql_type.as_str() == "JSON" => cast(stmt, column, given),
        TypeClass::Other if is_geometry(column) => {
            given.put(stmt.sql("ST_GeomFromText("), value).sql(")");
        }
        // A bound text takes the collation, and where it can the type, of the column that it is compared with.
        TypeClass::Json | TypeClass::Text | TypeClass::Uuid | TypeClass::Inet | TypeClass::Enum | TypeClass::Other => {
            given.put(stmt, value);
        }
    }
}

/// SQLite keeps the kind of a value with the value and not with the column, so reading looks at each.
fn read_sqlite(stmt: &mut Stmt, expression: &Stmt, column: &Column) {
    let this = expression;
    around(stmt, "CASE typeof(", this, ") WHEN 'blob' THEN ");
    match column.class {
        TypeClass::Bytes => around(stmt, "hex(", this, ")"),
        TypeClass::Integer { .. }
        | TypeClass::Decimal
        | TypeClass::Real
        | TypeClass::Boolean
        | TypeClass::Text
        | TypeClass::Uuid
        | TypeClass::Date
        | TypeClass::TimestampNaive
        | TypeClass::TimestampZoned
        | TypeClass::Time
        | TypeClass::Json
        | TypeClass::Inet
        | TypeClass::Enum
        // Bytes where none were declared are marked, so that they come back as bytes.
        | TypeClass::Other => around(stmt, "'x''' || hex(", this, ") || ''''"),
    }
    // The bundled SQLite writes 17 digits of a floating point number, as many as it takes.
    around(stmt, " ELSE CAST(", this, " AS TEXT) END");
}

fn bind_sqlite(stmt: &mut Stmt, column: &Column, given: Given<'_>) {
    let value = given.value;
    let bind = match column.class {
        TypeClass::Text => Bind::from(value),
        TypeClass::Bytes => bytes(value).map_or_else(|| Bind::from(value), Bind::Bytes),
        TypeClass::Integer { .. }
        | TypeClass::Decimal
        | TypeClass::Real
        | TypeClass::Boolean
        | TypeClass::Uuid
        | TypeClass::Date
        | TypeClass::TimestampNaive
        | TypeClass::TimestampZoned
        | TypeClass::Time
        | TypeClass::Json
        | TypeClass::Inet
        | TypeClass::Enum
        | TypeClass::Other => by_its_looks(value),
    };
    given.put(stmt, bind);
}

/// A column with numeric affinity turns a text that looks like a number into one; one without any declared type does
/// not, and would not find the number 5 by the text `5`.
fn by_its_looks(value: &str) -> Bind {
    if let Some(bytes) = value.strip_prefix("x'").and_then(|rest| rest.strip_suffix('\'')).and_then(bytes) {
        return Bind::Bytes(bytes);
    }
    if let Ok(number) = value.parse::<i64>()
        && number.to_string() == value
    {
        return Bind::Integer(number);
    }
    let numeric = value.contains(|c: char| c.is_ascii_digit()) && value.contains(['.', 'e']) || value.ends_with("Inf");
    match value.parse::<f64>() {
        Ok(number) if numeric => Bind::Real(number),
        _ => Bind::from(value),
    }
}

/// The bytes that pairs of hexadecimal digits stand for.
fn bytes(hex: &str) -> Option<Vec<u8>> {
    if !hex.len().is_multiple_of(2) {
        return None;
    }
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    hex.as_bytes().chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_digits_are_read_or_refused() {
        assert_eq!(bytes("00fFA0"), Some(vec![0, 255, 160]));
        assert_eq!(bytes(""), Some(Vec::new()));
        for bad in ["0", "0g", "+1", "é"] {
            assert_eq!(bytes(bad), None, "{bad}");
        }
    }
}
