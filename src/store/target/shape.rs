//! Anonymised values: how each strategy writes one, and how it is recognised afterwards.
//!
//! A row whose columns are all in shape is left alone, which is what makes a second run change nothing. A shape never
//! depends on the value that stood there before except as its strategy says.

use super::expr::Operand;
use crate::store::catalog::TypeClass;
use crate::store::dialect;
use crate::store::{Backend, Stmt};

/// The form that a strategy leaves behind.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// NULL.
    Null,
    /// This text, or NULL where there was NULL.
    Text(String),
    /// 0.
    Zero,
    /// An IPv4 network of 24 bits or an IPv6 network of 48 bits.
    TruncatedIp,
    /// Stars, then at most this many characters of the value.
    KeptLast(u32),
    /// `hmac:` and 32 hexadecimal digits.
    Hashed,
    /// The first of January of a year.
    YearOnly,
}

/// What a keyed hash begins with.
pub const HASH_PREFIX: &str = "hmac:";
/// The length of a keyed hash in characters: the prefix and 128 bits in hexadecimal.
pub const HASH_CHARS: u64 = 37;

impl Shape {
    /// Whether the new value is the same for all rows, so that one statement can write it to a whole window.
    pub fn is_constant(&self) -> bool {
        matches!(self, Self::Null | Self::Text(_) | Self::Zero | Self::YearOnly)
    }

    /// Writes the test; NULL is always in shape.
    pub(super) fn write_test(&self, stmt: &mut Stmt, backend: Backend, operand: &Operand) {
        stmt.sql("(");
        operand.write(stmt);
        stmt.sql(" IS NULL");
        if *self != Self::Null {
            stmt.sql(" OR ");
        }
        match self {
            Self::Null => {}
            Self::Text(text) => {
                operand.write(stmt);
                stmt.sql(" = ");
                dialect::bind_policy(stmt, &operand.column, backend, text);
            }
            Self::Zero => {
                operand.write(stmt);
                stmt.sql(" = 0");
            }
            Self::TruncatedIp => write_truncated(stmt, backend, operand),
            Self::KeptLast(kept) => write_kept(stmt, backend, operand, *kept),
            Self::Hashed => {
                stmt.sql("(");
                operand.write(stmt);
                stmt.sql(" LIKE 'hmac:%' AND ").sql(char_length(backend)).sql("(");
                operand.write(stmt);
                stmt.sql(") = 37)");
            }
            Self::YearOnly => write_year_test(stmt, backend, operand),
        }
        stmt.sql(")");
    }

    /// Writes the new value of a constant shape; others are computed row by row outside the database.
    pub(super) fn write_value(&self, stmt: &mut Stmt, backend: Backend, operand: &Operand) {
        match self {
            Self::Null => {
                stmt.sql("NULL");
            }
            Self::Text(text) => {
                stmt.sql("CASE WHEN ");
                operand.write(stmt);
                stmt.sql(" IS NULL THEN NULL ELSE ");
                dialect::bind_policy(stmt, &operand.column, backend, text);
                stmt.sql(" END");
            }
            Self::Zero => {
                stmt.sql("CASE WHEN ");
                operand.write(stmt);
                stmt.sql(" IS NULL THEN NULL ELSE 0 END");
            }
            Self::YearOnly => write_year_value(stmt, backend, operand),
            Self::TruncatedIp | Self::KeptLast(_) | Self::Hashed => operand.write(stmt),
        }
    }
}

fn char_length(backend: Backend) -> &'static str {
    match backend {
        Backend::Postgres | Backend::Mysql => "CHAR_LENGTH",
        Backend::Sqlite => "LENGTH",
    }
}

fn write_text(stmt: &mut Stmt, backend: Backend, operand: &Operand) {
    if operand.column.class == TypeClass::Inet && backend == Backend::Postgres {
        stmt.sql("host(");
        operand.write(stmt);
        stmt.sql(")");
    } else {
        stmt.sql("CAST(");
        operand.write(stmt);
        stmt.sql(if backend == Backend::Mysql { " AS CHAR)" } else { " AS TEXT)" });
    }
}

/// `…​.0` without a colon, or `…::` with at most four colons (three groups of 16 bits); the empty text stands for what
/// was no address.
fn write_truncated(stmt: &mut Stmt, backend: Backend, operand: &Operand) {
    stmt.sql("(");
    write_text(stmt, backend, operand);
    stmt.sql(" LIKE '%.0' AND ");
    write_text(stmt, backend, operand);
    stmt.sql(" NOT LIKE '%:%') OR (");
    write_text(stmt, backend, operand);
    stmt.sql(" LIKE '%::' AND ").sql(char_length(backend)).sql("(");
    write_text(stmt, backend, operand);
    stmt.sql(") - ").sql(char_length(backend)).sql("(REPLACE(");
    write_text(stmt, backend, operand);
    stmt.sql(", ':', '')) <= 4) OR ");
    write_text(stmt, backend, operand);
    stmt.sql(" = ''");
}

fn write_kept(stmt: &mut Stmt, backend: Backend, operand: &Operand, kept: u32) {
    let length = char_length(backend);
    stmt.sql("REPLACE(CASE WHEN ").sql(length).sql("(");
    operand.write(stmt);
    stmt.sql(") <= ").policy(i64::from(kept)).sql(" THEN ");
    operand.write(stmt);
    stmt.sql(" ELSE SUBSTR(");
    operand.write(stmt);
    stmt.sql(", 1, ").sql(length).sql("(");
    operand.write(stmt);
    stmt.sql(match backend {
        Backend::Postgres => ") - CAST(",
        Backend::Mysql | Backend::Sqlite => ") - (",
    });
    stmt.policy(i64::from(kept));
    stmt.sql(match backend {
        Backend::Postgres => " AS integer)) END, '*', '') = ''",
        Backend::Mysql | Backend::Sqlite => ")) END, '*', '') = ''",
    });
}

fn write_year_test(stmt: &mut Stmt, backend: Backend, operand: &Operand) {
    match backend {
        Backend::Postgres | Backend::Mysql => {
            operand.write(stmt);
            stmt.sql(" = ");
            write_year_value(stmt, backend, operand);
        }
        Backend::Sqlite => {
            stmt.sql("SUBSTR(");
            operand.write(stmt);
            stmt.sql(", 5) IN ('-01-01', '-01-01 00:00:00', '-01-01T00:00:00', '-01-01T00:00:00Z')");
        }
    }
}

fn write_year_value(stmt: &mut Stmt, backend: Backend, operand: &Operand) {
    match backend {
        Backend::Postgres => {
            stmt.sql("CAST(date_trunc('year', ");
            operand.write(stmt);
            stmt.sql(") AS ").type_name(&operand.column.sql_type).sql(")");
        }
        Backend::Mysql => {
            stmt.sql("MAKEDATE(YEAR(");
            operand.write(stmt);
            stmt.sql("), 1)");
        }
        Backend::Sqlite => {
            stmt.sql("SUBSTR(");
            operand.write(stmt);
            stmt.sql(", 1, 4) || CASE LENGTH(");
            operand.write(stmt);
            stmt.sql(") WHEN 10 THEN '-01-01' ELSE '-01-01' || SUBSTR(");
            operand.write(stmt);
            stmt.sql(", 11, 1) || '00:00:00' || CASE WHEN ");
            operand.write(stmt);
            stmt.sql(" LIKE '%Z' THEN 'Z' ELSE '' END END");
        }
    }
}
