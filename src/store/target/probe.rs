//! What a time column really holds, asked before the first row goes.
//!
//! A wrong type expires everything: on SQLite an integer is below any text, on MariaDB an epoch number below any date,
//! seconds read as milliseconds make every row 1970. The probe looks at the values themselves.

use super::expr::{Expr, Operand, TableRef};
use super::statements::{own, text_type};
use crate::store::catalog::Column;
use crate::store::{Backend, Stmt};

/// One row: number of rows with a value, least value, greatest value, as text. For SQLite, one row for each storage class,
/// its name first.
pub fn extremes(backend: Backend, table: &TableRef, time: &Column, condition: &Expr) -> Stmt {
    let operand = own(table, time);
    let mut stmt = Stmt::new("SELECT ");
    if backend == Backend::Sqlite {
        stmt.sql("typeof(");
        operand.write(&mut stmt);
        stmt.sql(")");
    } else {
        stmt.sql("'value'");
    }
    stmt.sql(", CAST(count(*) AS ").sql(text_type(backend)).sql(")");
    for function in ["min(", "max("] {
        stmt.sql(", ");
        let mut inner = Stmt::new(function);
        operand.write(&mut inner);
        inner.sql(")");
        crate::store::dialect::read_expression(&mut stmt, time, backend, &inner);
    }
    stmt.sql(" FROM ");
    table.write(&mut stmt);
    stmt.sql(" WHERE ");
    operand.write(&mut stmt);
    stmt.sql(" IS NOT NULL AND ");
    condition.write(&mut stmt, backend);
    if backend == Backend::Sqlite {
        stmt.sql(" GROUP BY 1 ORDER BY 1");
    }
    stmt
}

/// The shape that a text time must have. Only big-endian forms, since text is compared as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextForm {
    /// `YYYY-MM-DD`
    Date,
    /// `YYYY-MM-DD HH:MM:SS`, then anything the format says (a fraction, `Z`).
    Blank,
    /// `YYYY-MM-DDTHH:MM:SS`, then anything the format says.
    T,
}

/// How many rows hold a text that is not of the declared form.
pub fn misshapen(backend: Backend, table: &TableRef, time: &Column, form: TextForm, condition: &Expr) -> Stmt {
    let operand = own(table, time);
    let mut stmt = Stmt::new("SELECT CAST(count(*) AS ");
    stmt.sql(text_type(backend)).sql(") FROM ");
    table.write(&mut stmt);
    stmt.sql(" WHERE ");
    condition.write(&mut stmt, backend);
    stmt.sql(" AND ");
    operand.write(&mut stmt);
    stmt.sql(" IS NOT NULL AND NOT (");
    operand.write(&mut stmt);
    stmt.sql(match (backend, form) {
        (Backend::Postgres, TextForm::Date) => " ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}$'",
        (Backend::Postgres, TextForm::Blank) => {
            " ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?Z?$'"
        }
        (Backend::Postgres, TextForm::T) => {
            " ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?Z?$'"
        }
        (Backend::Mysql, TextForm::Date) => " REGEXP '^[0-9]{4}-[0-9]{2}-[0-9]{2}$'",
        (Backend::Mysql, TextForm::Blank) => {
            " REGEXP '^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?Z?$'"
        }
        (Backend::Mysql, TextForm::T) => {
            " REGEXP '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?Z?$'"
        }
        (Backend::Sqlite, TextForm::Date) => " GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]'",
        (Backend::Sqlite, TextForm::Blank) => {
            " GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9] [0-9][0-9]:[0-9][0-9]:[0-9][0-9]*'"
        }
        (Backend::Sqlite, TextForm::T) => {
            " GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9]*'"
        }
    });
    if backend == Backend::Sqlite && form != TextForm::Date {
        tail_is_fraction_or_zulu(&mut stmt, &operand);
    }
    stmt.sql(")");
    stmt
}

/// SQLite has no regular expressions: what follows the seconds may hold digits, one dot and `Z`, nothing else (an offset
/// such as `+02:00` would not sort).
fn tail_is_fraction_or_zulu(stmt: &mut Stmt, operand: &Operand) {
    stmt.sql(" AND SUBSTR(");
    operand.write(stmt);
    stmt.sql(", 20) NOT GLOB '*[^0-9.Z]*'");
}
