//! Conditions on columns that name a person: by a key, by an address, by a part of a text.
//!
//! **Invariant.** No collation takes two people for one. Every comparison here ends in one of bytes (`COLLATE "C"`,
//! `CAST … AS BINARY`, `COLLATE BINARY`); the column's own collation only narrows first, so that its index helps. What
//! does not count is taken away before: the case and the blanks around an e-mail address, all of a phone number but its
//! last digits. [`email`] and [`phone`] do the same to the value that is looked for, and SQLite calls these very functions.

use diesel::sql_types::{Integer, Nullable, Text};

use super::expr::{Operand, Scalar, separate};
use super::scalar::write_scalar;
use crate::redact::Sealed;
use crate::store::catalog::TypeClass;
use crate::store::{Backend, Stmt, StoreError};

/// Fewer digits than this name nobody.
pub const LEAST_DIGITS: usize = 3;

/// An address in the form in which it compares.
#[derive(Clone)]
pub enum Alike {
    /// An e-mail address, in the spellings that lower case may give it on the three databases.
    Email(Vec<Sealed>),
    /// A phone number: its last digits, at most so many.
    Phone(u8, Sealed),
}

/// One step of a path within JSON: a member's name or a place in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JsonStep {
    /// `.name`
    Member(String),
    /// `[0]`
    Place(u32),
}

/// An e-mail address without what does not count.
pub fn email(value: &str) -> String {
    value.trim().to_lowercase()
}

/// The last digits of a phone number; `None` for what is none. A SIP address counts by its user part.
pub fn phone(value: &str, digits: usize) -> Option<String> {
    let (user, is_address) = value.split_once('@').map_or((value, false), |(user, _)| (user, true));
    let start = value.get(..5).unwrap_or(value).to_ascii_lowercase();
    if is_address && !start.starts_with("sip:") && !start.starts_with("sips:") {
        return None;
    }
    let all: Vec<char> = user.chars().filter(char::is_ascii_digit).collect();
    (all.len() >= LEAST_DIGITS).then(|| all.iter().skip(all.len().saturating_sub(digits)).collect())
}

#[diesel::declare_sql_function]
extern "SQL" {
    /// [`phone`] for SQLite, which has no regular expressions.
    fn retentiond_phone(value: Nullable<Text>, digits: Integer) -> Nullable<Text>;
    /// [`email`] for SQLite, whose own lower case knows ASCII only.
    fn retentiond_email(value: Nullable<Text>) -> Nullable<Text>;
}

/// Gives a SQLite connection the two functions.
pub(in crate::store) fn register(conn: &mut diesel::SqliteConnection) -> Result<(), StoreError> {
    let failed = |error: diesel::result::Error| StoreError::from_catalog(&error);
    retentiond_phone_utils::register_impl(conn, |value: Option<String>, digits: i32| {
        value.and_then(|value| phone(&value, usize::try_from(digits).unwrap_or_default()))
    })
    .map_err(failed)?;
    retentiond_email_utils::register_impl(conn, |value: Option<String>| value.map(|value| email(&value)))
        .map_err(failed)
}

/// The column as text in one character set.
fn write_text(stmt: &mut Stmt, backend: Backend, operand: &Operand) {
    stmt.sql(if backend == Backend::Mysql { "CONVERT(" } else { "CAST(" });
    operand.write(stmt);
    stmt.sql(if backend == Backend::Mysql { " USING utf8mb4)" } else { " AS TEXT)" });
}

/// `expression = value`, byte for byte; the expression gives text.
fn write_bytes_equal(stmt: &mut Stmt, backend: Backend, expression: impl FnOnce(&mut Stmt), value: &Sealed) {
    match backend {
        Backend::Postgres => {
            stmt.sql("(");
            expression(stmt);
            stmt.sql(") COLLATE \"C\" = ").value(value.expose().as_str());
        }
        Backend::Mysql => {
            stmt.sql("CAST(");
            expression(stmt);
            stmt.sql(" AS BINARY) = CAST(").value(value.expose().as_str()).sql(" AS BINARY)");
        }
        Backend::Sqlite => {
            expression(stmt);
            stmt.sql(" = ").value(value.expose().as_str()).sql(" COLLATE BINARY");
        }
    }
}

/// Equal to the byte; by its type, where the column is no text.
pub(super) fn write_exact(stmt: &mut Stmt, backend: Backend, operand: &Operand, value: &Sealed) {
    stmt.sql("(");
    operand.write(stmt);
    stmt.sql(" = ");
    write_scalar(stmt, backend, &operand.column, &Scalar::Row(value.clone()));
    if operand.column.class == TypeClass::Text {
        stmt.sql(" AND ");
        write_bytes_equal(stmt, backend, |stmt| write_text(stmt, backend, operand), value);
    }
    stmt.sql(")");
}

/// The same address.
pub(super) fn write_alike(stmt: &mut Stmt, backend: Backend, operand: &Operand, alike: &Alike) {
    stmt.sql("(");
    match alike {
        Alike::Email(spellings) => {
            for (index, value) in spellings.iter().enumerate() {
                separate(stmt, index, " OR ");
                write_bytes_equal(stmt, backend, |stmt| write_email(stmt, backend, operand), value);
            }
        }
        Alike::Phone(digits, value) => {
            write_bytes_equal(stmt, backend, |stmt| write_phone(stmt, backend, operand, *digits), value);
        }
    }
    stmt.sql(")");
}

fn write_email(stmt: &mut Stmt, backend: Backend, operand: &Operand) {
    stmt.sql(match backend {
        Backend::Postgres => "lower(btrim(",
        Backend::Mysql => "LOWER(TRIM(",
        Backend::Sqlite => "retentiond_email((",
    });
    write_text(stmt, backend, operand);
    stmt.sql("))");
}

fn write_phone(stmt: &mut Stmt, backend: Backend, operand: &Operand, digits: u8) {
    if backend == Backend::Sqlite {
        stmt.sql("retentiond_phone(");
        write_text(stmt, backend, operand);
        stmt.sql(", ").policy(i64::from(digits)).sql(")");
        return;
    }
    stmt.sql("CASE WHEN ");
    write_text(stmt, backend, operand);
    stmt.sql(" LIKE '%@%' AND LOWER(");
    write_text(stmt, backend, operand);
    stmt.sql(") NOT LIKE 'sip:%' AND LOWER(");
    write_text(stmt, backend, operand);
    stmt.sql(") NOT LIKE 'sips:%' THEN NULL ELSE ");
    stmt.sql(if backend == Backend::Postgres {
        "right(regexp_replace(split_part("
    } else {
        "RIGHT(REGEXP_REPLACE(SUBSTRING_INDEX("
    });
    write_text(stmt, backend, operand);
    if backend == Backend::Postgres {
        stmt.sql(", '@', 1), '[^0-9]', '', 'g'), CAST(").policy(i64::from(digits)).sql(" AS integer)) END");
    } else {
        stmt.sql(", '@', 1), '[^0-9]', ''), ").policy(i64::from(digits)).sql(") END");
    }
}

/// A text that begins with another one.
pub(super) fn write_begins(stmt: &mut Stmt, backend: Backend, operand: &Operand, start: &Sealed) {
    let length = i64::try_from(start.expose().chars().count()).unwrap_or(i64::MAX);
    let first = |stmt: &mut Stmt| {
        stmt.sql("SUBSTR(");
        write_text(stmt, backend, operand);
        stmt.sql(if backend == Backend::Postgres { ", 1, CAST(" } else { ", 1, (" }).policy(length);
        stmt.sql(if backend == Backend::Postgres { " AS integer))" } else { "))" });
    };
    write_bytes_equal(stmt, backend, first, start);
}

/// What stands at a path within JSON: this text, or anything at all. What is no JSON has nothing there.
pub(super) fn write_json(
    stmt: &mut Stmt,
    backend: Backend,
    operand: &Operand,
    path: &[JsonStep],
    value: Option<&Sealed>,
) {
    let found = |stmt: &mut Stmt| write_json_value(stmt, backend, operand, path);
    match value {
        Some(value) => write_bytes_equal(stmt, backend, found, value),
        None => {
            stmt.sql("(");
            found(stmt);
            stmt.sql(") IS NOT NULL");
        }
    }
}

fn write_json_value(stmt: &mut Stmt, backend: Backend, operand: &Operand, path: &[JsonStep]) {
    match backend {
        Backend::Postgres => {
            stmt.sql("CAST(");
            operand.write(stmt);
            stmt.sql(" AS jsonb)");
            for (index, step) in path.iter().enumerate() {
                stmt.sql(if index + 1 == path.len() { " ->> " } else { " -> " });
                match step {
                    JsonStep::Member(name) => stmt.policy(name.as_str()),
                    JsonStep::Place(place) => stmt.sql("CAST(").policy(i64::from(*place)).sql(" AS integer)"),
                };
            }
        }
        Backend::Mysql => {
            stmt.sql("CASE WHEN JSON_VALID(");
            operand.write(stmt);
            // A JSON null is no value, and would be the text `null`.
            stmt.sql(") AND JSON_TYPE(JSON_EXTRACT(");
            operand.write(stmt);
            stmt.sql(", ").policy(dotted(path)).sql(")) <> 'NULL' THEN JSON_UNQUOTE(JSON_EXTRACT(");
            operand.write(stmt);
            stmt.sql(", ").policy(dotted(path)).sql(")) END");
        }
        Backend::Sqlite => {
            stmt.sql("CASE WHEN json_valid(");
            operand.write(stmt);
            stmt.sql(") THEN CAST(json_extract(");
            operand.write(stmt);
            stmt.sql(", ").policy(dotted(path)).sql(") AS TEXT) END");
        }
    }
}

/// The path as MariaDB and SQLite write it; names hold letters, digits and `_` only.
fn dotted(path: &[JsonStep]) -> String {
    path.iter().fold("$".to_owned(), |text, step| match step {
        JsonStep::Member(name) => text + "." + name,
        JsonStep::Place(place) => text + "[" + &place.to_string() + "]",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phones_compare_by_their_last_digits() {
        for spelling in
            ["+358 40 123 4567", "0401234567", "00358-40-1234567", "sip:0401234567@pbx", "tel:+358401234567"]
        {
            assert_eq!(phone(spelling, 9).as_deref(), Some("401234567"), "{spelling}");
        }
        assert_eq!(phone("4711", 9).as_deref(), Some("4711"));
        assert_eq!(phone("0401234567", 3).as_deref(), Some("567"));
        for none in ["", "12", "user123456789@example.org", "name", "é@"] {
            assert_eq!(phone(none, 9), None, "{none}");
        }
    }

    #[test]
    fn emails_compare_without_case() {
        assert_eq!(email(" José.ÄÄ@Example.ORG "), "josé.ää@example.org");
        assert_ne!(email("josé@x"), email("jose@x"));
    }
}
