//! Rows one after the other, in memory that does not grow with their number: what a report reads.
//!
//! **Invariant.** A streamed value is, byte for byte, the text that [`super::TextRow`] would have: what the database sends
//! in its own form, because both ends are quicker so, is spelled here as the database spells it. Test:
//! `tests/dialect.rs`.

use std::sync::mpsc::{SyncSender, sync_channel};

use diesel::backend::Backend as DieselBackend;
use diesel::deserialize::{self, FromSql, QueryableByName};
use diesel::mysql::Mysql;
use diesel::pg::Pg;
use diesel::query_dsl::RunQueryDsl;
use diesel::row::{Field, NamedRow, Row};
use diesel::sql_types::Text;
use diesel::sqlite::Sqlite;

use super::conn::{Conn, Raw};
use super::error::{ErrorKind, StoreError};
use super::{Backend, Stmt};
use crate::redact::Sealed;

mod native;

/// The parts in which a cursor is read: how many rows, and how they are asked for.
const FETCHES: [(usize, &str); 3] = [
    (20, "FETCH 20 FROM retentiond_rows"),
    (200, "FETCH 200 FROM retentiond_rows"),
    (1_000, "FETCH 1000 FROM retentiond_rows"),
];

/// About how many bytes of values a part may have.
const MOST_BYTES: usize = 1 << 20;

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

impl QueryableByName<Pg> for StreamedRow {
    fn build<'a>(row: &impl NamedRow<'a, Pg>) -> deserialize::Result<Self> {
        let mut all = Self::sized(row.field_count(), 16 * row.field_count());
        for index in 0..row.field_count() {
            let field = Row::get(row, index).ok_or("a column is missing from the answer")?;
            let null = match field.value() {
                Some(value) => native::spell(value.get_oid().get(), value.as_bytes(), &mut all.text).map(|()| 0)?,
                None => NULL,
            };
            all.end(null)?;
        }
        Ok(all)
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
        stmt: &Stmt,
        mut each: impl FnMut(StreamedRow) -> Result<(), E>,
    ) -> Result<(), E> {
        if !self.is_in_transaction() {
            return Err(StoreError::new(ErrorKind::Other, "rows are streamed within a transaction only").into());
        }
        if self.backend() == Backend::Postgres {
            return self.each_by_cursor(stmt, each);
        }
        let failed = |error: &diesel::result::Error| E::from(StoreError::from_rows(error));
        macro_rules! stream {
            ($raw:expr) => {
                RunQueryDsl::load_iter::<StreamedRow, diesel::connection::DefaultLoadingMode>(stmt.clone(), $raw)
                    .map_err(|error| failed(&error))?
                    .try_for_each(|row| each(row.map_err(|error| failed(&error))?))
            };
        }
        let done = match &mut self.raw {
            Raw::Postgres(_) => Ok(()),
            Raw::Mysql(raw) => stream!(&mut **raw),
            Raw::Sqlite(raw) => stream!(raw),
        };
        if done.is_err() {
            self.spoil();
        }
        done
    }

    /// PostgreSQL's client takes a whole answer into memory, so the answer is asked for in parts of about the same size:
    /// by a thread of its own, so that the server works on the next part while this one is looked at.
    fn each_by_cursor<E: From<StoreError>>(
        &mut self,
        stmt: &Stmt,
        mut each: impl FnMut(StreamedRow) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut declare = Stmt::new("DECLARE retentiond_rows NO SCROLL CURSOR FOR ");
        declare.append(stmt);
        self.execute(&declare)?;
        let (give, parts) = sync_channel(0);
        std::thread::scope(|scope| {
            let fetched = scope.spawn(move || self.fetch(give));
            let looked = parts.iter().try_for_each(|part: Vec<StreamedRow>| part.into_iter().try_for_each(&mut each));
            // Nobody takes what is still to come after a failure.
            drop(parts);
            let gone = || Err(StoreError::new(ErrorKind::Other, "the thread that reads rows ended"));
            let fetched = fetched.join().unwrap_or_else(|_| gone());
            looked?;
            Ok(fetched?)
        })
    }

    /// Gives away all parts of the cursor, unless nobody takes them.
    fn fetch(&mut self, give: SyncSender<Vec<StreamedRow>>) -> Result<(), StoreError> {
        let mut part = &FETCHES[0];
        loop {
            let Raw::Postgres(raw) = &mut self.raw else { return Ok(()) };
            let rows = RunQueryDsl::load::<StreamedRow>(Stmt::new(part.1), raw);
            let rows = self.noted(rows.map_err(|error| StoreError::from_rows(&error)))?;
            let (count, bytes) = (rows.len(), rows.iter().map(|row| row.text.len()).sum::<usize>());
            if give.send(rows).is_err() || count < part.0 {
                break;
            }
            let fits = |fetch: &&(usize, &'static str)| fetch.0.saturating_mul(bytes / count.max(1)) <= MOST_BYTES;
            part = FETCHES.iter().rev().find(fits).unwrap_or(&FETCHES[0]);
        }
        // Whoever waits for parts need not wait for this.
        drop(give);
        self.execute(&Stmt::new("CLOSE retentiond_rows"))?;
        Ok(())
    }
}
