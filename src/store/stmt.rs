//! One SQL statement for any of the three databases, built from pieces that cannot be injected into.
//!
//! A [`Stmt`] is made of SQL text known at compile time (`&'static str`), names and types that were found in a live
//! catalog ([`Ident`], [`TypeName`]: only `store` can make them), and bound values. There is no way to put run-time text
//! into it, so neither a data value nor a line of `jobs.toml` can become SQL. Diesel quotes the names and numbers the
//! placeholders for each server.

use diesel::backend::Backend as DieselBackend;
use diesel::deserialize::{self, FromSql, QueryableByName};
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::row::{Field, Row};
use diesel::serialize::ToSql;
use diesel::sql_types::{BigInt, Binary, Double, HasSqlType, Text, Untyped};

use super::Backend;
use crate::redact::Sealed;

/// The name of a table, column or schema that a live catalog has shown us.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ident(String);

impl Ident {
    /// Takes a name from a catalog answer, or one of retentiond's own.
    pub(in crate::store) fn found(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The bare name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A type as the catalog spells it (`timestamp with time zone`, `uuid`), for a `CAST`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeName(String);

impl TypeName {
    /// Takes a type from a catalog answer or from the dialect's own list.
    pub(in crate::store) fn found(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The type as SQL text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A bound value. It has no `Debug`: it may come from an operator's column.
#[derive(Clone)]
pub enum Bind {
    /// Text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A floating point number.
    Real(f64),
    /// Bytes.
    Bytes(Vec<u8>),
}

impl Bind {
    /// The value as text: of bytes the hexadecimal digits.
    pub(in crate::store) fn to_text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Integer(number) => number.to_string(),
            Self::Real(number) => number.to_string(),
            Self::Bytes(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }

    /// The SQL that makes PostgreSQL's type of that text; by a query, since its answer is found once and not for each row.
    fn around_text(&self) -> (&'static str, &'static str) {
        match self {
            Self::Text(_) => ("(SELECT ", ")"),
            Self::Integer(_) => ("(SELECT CAST(", " AS bigint))"),
            Self::Real(_) => ("(SELECT CAST(", " AS double precision))"),
            Self::Bytes(_) => ("(SELECT decode(", ", 'hex'))"),
        }
    }
}

impl From<&str> for Bind {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Bind {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Bind {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

#[derive(Clone)]
enum Part {
    Sql(&'static str),
    Name(Ident),
    Type(TypeName),
    /// A value from a row: never shown.
    Value(Bind),
    /// A value from the policy (a cutoff, a literal of a condition): shown by `plan --verbose`.
    Policy(Bind),
}

/// One statement.
#[derive(Clone, Default)]
pub struct Stmt {
    parts: Vec<Part>,
    /// It is not kept prepared, so that the server plans it for its own values each time.
    anew: bool,
}

impl Stmt {
    /// A statement that begins with `sql`.
    pub fn new(sql: &'static str) -> Self {
        Self { parts: vec![Part::Sql(sql)], anew: false }
    }

    /// Adds SQL text.
    pub fn sql(&mut self, sql: &'static str) -> &mut Self {
        self.parts.push(Part::Sql(sql));
        self
    }

    /// Adds a quoted name.
    pub fn name(&mut self, name: &Ident) -> &mut Self {
        self.parts.push(Part::Name(name.clone()));
        self
    }

    /// Adds a type.
    pub fn type_name(&mut self, name: &TypeName) -> &mut Self {
        self.parts.push(Part::Type(name.clone()));
        self
    }

    /// Binds a value that came from a row.
    pub fn value(&mut self, value: impl Into<Bind>) -> &mut Self {
        self.parts.push(Part::Value(value.into()));
        self
    }

    /// Binds a value that came from the policy.
    pub fn policy(&mut self, value: impl Into<Bind>) -> &mut Self {
        self.parts.push(Part::Policy(value.into()));
        self
    }

    /// Adds all of another statement.
    pub fn append(&mut self, other: &Self) -> &mut Self {
        self.parts.extend(other.parts.iter().cloned());
        self.anew |= other.anew;
        self
    }

    /// Has the server plan the statement for these values each time. PostgreSQL guesses ten keys in an array that it does
    /// not know, and few rows between two instants that it does not know: of a thousand keys and all expired rows it then
    /// reads the rows.
    pub(in crate::store) fn plan_anew(&mut self) -> &mut Self {
        self.anew = true;
        self
    }

    /// The values that it binds, in their order.
    pub(in crate::store) fn values(&self) -> impl Iterator<Item = &Bind> {
        self.parts.iter().filter_map(|part| match part {
            Part::Value(bind) | Part::Policy(bind) => Some(bind),
            Part::Sql(_) | Part::Name(_) | Part::Type(_) => None,
        })
    }

    /// Where PostgreSQL's session keeps a value of a statement that can bind none.
    pub(in crate::store) fn place_in_session(number: usize) -> String {
        format!("retentiond.v{number}")
    }

    /// Writes a statement that asks the session for its values.
    pub(in crate::store) fn write_from_session(&self, out: &mut AstPass<'_, '_, Pg>) -> QueryResult<()> {
        let mut number = 0;
        for part in &self.parts {
            match part {
                Part::Sql(sql) => out.push_sql(sql),
                Part::Name(name) => out.push_identifier(name.as_str())?,
                Part::Type(name) => out.push_sql(name.as_str()),
                Part::Value(bind) | Part::Policy(bind) => {
                    let (before, after) = bind.around_text();
                    out.push_sql(before);
                    out.push_sql(&format!("current_setting('{}')", Self::place_in_session(number)));
                    out.push_sql(after);
                    number += 1;
                }
            }
        }
        Ok(())
    }

    /// Whether nothing was added yet.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The statement as a person reads it, in the spelling of one database. Values from rows are shown as `?`, values
    /// from the policy as literals. For reading only: it is never sent anywhere.
    pub fn to_text(&self, backend: Backend) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Sql(sql) => text.push_str(sql),
                Part::Name(name) => push_quoted(&mut text, name, backend),
                Part::Type(name) => text.push_str(name.as_str()),
                Part::Value(_) => text.push('?'),
                Part::Policy(bind) => push_literal(&mut text, bind),
            }
        }
        text
    }
}

fn push_quoted(text: &mut String, name: &Ident, backend: Backend) {
    let quote = if backend == Backend::Mysql { '`' } else { '"' };
    text.push(quote);
    for c in name.as_str().chars() {
        if c == quote {
            text.push(quote);
        }
        text.push(c);
    }
    text.push(quote);
}

fn push_literal(text: &mut String, bind: &Bind) {
    match bind {
        Bind::Text(value) => {
            text.push('\'');
            text.push_str(&value.replace('\'', "''"));
            text.push('\'');
        }
        Bind::Integer(value) => text.push_str(&value.to_string()),
        Bind::Real(value) => text.push_str(&value.to_string()),
        Bind::Bytes(_) => text.push('?'),
    }
}

impl QueryId for Stmt {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Stmt {
    type SqlType = Untyped;
}

impl<C> diesel::query_dsl::RunQueryDsl<C> for Stmt {}

impl<DB> QueryFragment<DB> for Stmt
where
    DB: DieselBackend + HasSqlType<Text> + HasSqlType<BigInt> + HasSqlType<Double> + HasSqlType<Binary>,
    String: ToSql<Text, DB>,
    i64: ToSql<BigInt, DB>,
    f64: ToSql<Double, DB>,
    Vec<u8>: ToSql<Binary, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        if self.anew {
            out.unsafe_to_cache_prepared();
        }
        for part in &self.parts {
            match part {
                Part::Sql(sql) => out.push_sql(sql),
                Part::Name(name) => out.push_identifier(name.as_str())?,
                Part::Type(name) => out.push_sql(name.as_str()),
                Part::Value(bind) | Part::Policy(bind) => match bind {
                    Bind::Text(value) => out.push_bind_param::<Text, _>(value)?,
                    Bind::Integer(value) => out.push_bind_param::<BigInt, _>(value)?,
                    Bind::Real(value) => out.push_bind_param::<Double, _>(value)?,
                    Bind::Bytes(value) => out.push_bind_param::<Binary, _>(value)?,
                },
            }
        }
        Ok(())
    }
}

/// One row of an answer. Every column was cast to text by the statement ([`super::dialect`] has the casts), because the
/// three back ends share no other way to read a column whose type is known only at run time.
#[derive(Clone)]
pub struct TextRow(Vec<Option<Sealed>>);

impl TextRow {
    /// The value of column `index`; `None` for NULL and for a column that is not there.
    pub fn get(&self, index: usize) -> Option<&Sealed> {
        self.0.get(index).and_then(Option::as_ref)
    }

    /// All values, in order.
    pub fn into_values(self) -> Vec<Option<Sealed>> {
        self.0
    }

    /// The row without its first columns.
    #[must_use]
    pub fn after(mut self, columns: usize) -> Self {
        Self(self.0.split_off(columns.min(self.0.len())))
    }

    /// Whether every value is NULL.
    pub fn is_all_null(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    /// How many bytes the values have in all.
    pub fn bytes(&self) -> usize {
        self.0.iter().flatten().map(|value| value.expose().len()).sum()
    }

    /// Column `index` as a whole number: for counts and sizes, which say nothing about a person.
    pub fn count(&self, index: usize) -> Option<i64> {
        self.get(index)?.expose().parse().ok()
    }

    /// Column `index` as plain text: for what is no personal data, such as names in a catalog or an instant.
    pub fn plain(&self, index: usize) -> Option<&str> {
        self.get(index).map(|value| value.expose().as_str())
    }
}

impl<DB: DieselBackend> QueryableByName<DB> for TextRow
where
    String: FromSql<Text, DB>,
{
    fn build<'a>(row: &impl diesel::row::NamedRow<'a, DB>) -> deserialize::Result<Self> {
        let mut values = Vec::with_capacity(row.field_count());
        for index in 0..row.field_count() {
            let field = Row::get(row, index).ok_or("a column is missing from the answer")?;
            let value = match field.value() {
                Some(raw) => Some(Sealed::new(<String as FromSql<Text, DB>>::from_sql(raw)?)),
                None => None,
            };
            values.push(value);
        }
        Ok(Self(values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_reads_well_and_hides_row_values() {
        let mut stmt = Stmt::new("DELETE FROM ");
        stmt.name(&Ident::found("Order \"x\" `y`")).sql(" WHERE ").name(&Ident::found("at")).sql(" < ");
        stmt.policy("it's").sql(" AND id = ").value(7);
        assert_eq!(stmt.to_text(Backend::Sqlite), r#"DELETE FROM "Order ""x"" `y`" WHERE "at" < 'it''s' AND id = ?"#);
        assert_eq!(stmt.to_text(Backend::Mysql), "DELETE FROM `Order \"x\" ``y``` WHERE `at` < 'it''s' AND id = ?");
    }

    #[test]
    fn diesel_numbers_the_placeholders_of_postgresql() {
        let mut stmt = Stmt::new("SELECT ");
        stmt.policy(1).sql(", ").value("a");
        let text = diesel::debug_query::<diesel::pg::Pg, _>(&stmt).to_string();
        assert!(text.starts_with("SELECT $1, $2"), "{text}");
    }
}
