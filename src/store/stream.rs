//! Rows one after the other, in memory that does not grow with their number: what a report reads.
//!
//! **Invariant.** A streamed value is, byte for byte, the text that [`super::TextRow`] would have: what PostgreSQL sends
//! in its own form, because both ends are quicker so, is spelled here as PostgreSQL spells it. An answer that breaks off
//! is an error. Tests: `tests/dialect.rs`.

use diesel::backend::Backend as DieselBackend;
use diesel::deserialize::{self, FromSql, QueryableByName};
use diesel::mysql::Mysql;
use diesel::query_dsl::RunQueryDsl;
use diesel::row::{Field, NamedRow, Row};
use diesel::sql_types::Text;
use diesel::sqlite::Sqlite;

use super::Stmt;
use super::conn::{Conn, Raw};
use super::error::{ErrorKind, StoreError};
use crate::redact::Sealed;

mod copy;
mod native;

pub use native::Form;

/// A query whose rows are streamed.
pub struct Streamed {
    /// The query.
    pub stmt: Stmt,
    /// In which form PostgreSQL sends each of its columns.
    pub forms: Vec<Form>,
}

/// Stands for NULL among the ends of values; no row is so long.
const NULL: u32 = 1 << 31;

/// One row of a streamed answer; all its values in one piece of memory.
pub struct StreamedRow {
    text: String,
    /// Where each value ends, and whether it is NULL.
    ends: Vec<u32>,
}

impl StreamedRow {
    fn sized(columns: usize, bytes: usize) -> Self {
        Self { text: String::with_capacity(bytes), ends: Vec::with_capacity(columns) }
    }

    fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }

    fn end(&mut self, null: u32) -> deserialize::Result<()> {
        let end = u32::try_from(self.text.len()).ok().filter(|end| *end < NULL);
        self.ends.push(end.ok_or("a row is longer than two gigabytes")? | null);
        Ok(())
    }

    /// The value of column `index`; `None` for NULL and for a column that is not there.
    pub fn get(&self, index: usize) -> Option<Sealed<&str>> {
        let end = self.ends.get(index).filter(|end| **end & NULL == 0)?;
        let begin = index.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(0, |end| end & !NULL);
        self.text.get(begin as usize..*end as usize).map(Sealed::new)
    }

    /// Whether column `index` has a value.
    pub fn is_set(&self, index: usize) -> bool {
        self.ends.get(index).is_some_and(|end| end & NULL == 0)
    }

    /// The values from one column on.
    pub fn tail(&self, from: usize) -> Tail<'_> {
        Tail { row: self, from }
    }

    fn as_text<'a, DB: DieselBackend>(row: &impl NamedRow<'a, DB>) -> deserialize::Result<Self>
    where
        String: FromSql<Text, DB>,
    {
        let mut all = Self::sized(row.field_count(), 16 * row.field_count());
        for index in 0..row.field_count() {
            let field = Row::get(row, index).ok_or("a column is missing from the answer")?;
            let value = field.value().map(<String as FromSql<Text, DB>>::from_sql).transpose()?;
            all.text.push_str(value.as_deref().unwrap_or_default());
            all.end(if value.is_none() { NULL } else { 0 })?;
        }
        Ok(all)
    }
}

/// The values of a row from one column on.
#[derive(Clone, Copy)]
pub struct Tail<'a> {
    row: &'a StreamedRow,
    from: usize,
}

impl<'a> Tail<'a> {
    /// The value at a place, counted from its beginning.
    pub fn get(self, place: usize) -> Option<Sealed<&'a str>> {
        self.row.get(self.from + place)
    }

    /// Whether there is a value at a place.
    pub fn is_set(self, place: usize) -> bool {
        self.row.is_set(self.from + place)
    }
}

impl QueryableByName<Mysql> for StreamedRow {
    fn build<'a>(row: &impl NamedRow<'a, Mysql>) -> deserialize::Result<Self> {
        Self::as_text(row)
    }
}

impl QueryableByName<Sqlite> for StreamedRow {
    fn build<'a>(row: &impl NamedRow<'a, Sqlite>) -> deserialize::Result<Self> {
        Self::as_text(row)
    }
}

impl Conn {
    /// Runs a query and gives its rows to `each`, one after the other, in memory that does not grow with their number.
    /// Within a transaction only, so that all are of one moment.
    ///
    /// # Errors
    /// The class of what went wrong, without the database's words; or that of `each`, which ends the reading.
    pub fn each_row<E: From<StoreError>>(
        &mut self,
        streamed: &Streamed,
        mut each: impl FnMut(&StreamedRow) -> Result<(), E>,
    ) -> Result<(), E> {
        if !self.is_in_transaction() {
            return Err(StoreError::new(ErrorKind::Other, "rows are streamed within a transaction only").into());
        }
        let failed = |error: &diesel::result::Error| E::from(StoreError::from_rows(error));
        macro_rules! stream {
            ($raw:expr) => {
                RunQueryDsl::load_iter::<StreamedRow, diesel::connection::DefaultLoadingMode>(
                    streamed.stmt.clone(),
                    $raw,
                )
                .map_err(|error| failed(&error))?
                .try_for_each(|row| each(&row.map_err(|error| failed(&error))?))
            };
        }
        let done = match &mut self.raw {
            Raw::Postgres(_) => self.each_copied(streamed, each),
            Raw::Mysql(raw) => stream!(&mut **raw),
            Raw::Sqlite(raw) => stream!(raw),
        };
        if done.is_err() {
            self.spoil();
        }
        done
    }
}
