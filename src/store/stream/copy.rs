//! PostgreSQL's `COPY … TO STDOUT`: the one way in which its client takes rows as they come instead of a whole answer.
//!
//! `COPY` binds no values, so the session keeps them until the transaction ends, and the statement asks for them there:
//! nothing of them becomes SQL. Diesel copies what a type names, not what a value says; so the statement waits for it in the
//! thread that asks.
//!
//! **Invariant.** An answer without its trailer is an error: libpq takes one that the server broke off for one that ended.
//! Test: `dialect::streamed::an_answer_that_breaks_off_is_an_error`.
//!
//! Source of the form: PostgreSQL's manual, COPY, "Binary Format".

use std::cell::RefCell;
use std::io::BufRead;
use std::time::{Duration, Instant};

use diesel::pg::{CopyFormat, CopyTarget, Pg};
use diesel::query_builder::AstPass;
use diesel::result::QueryResult;

use super::native::spell;
use super::{NULL, Streamed, StreamedRow};
use crate::store::conn::{Conn, Raw};
use crate::store::error::{ErrorKind, StoreError};
use crate::store::stmt::{Bind, Stmt};

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";

/// A statement lets the session keep so many values at a time.
const VALUES: usize = 200;

diesel::table! {
    /// Stands for the rows of whatever is copied.
    retentiond_rows (row) {
        /// A row.
        row -> Text,
    }
}

/// What is copied: the statement that waits.
struct Waiting;

thread_local! {
    static WAITING: RefCell<Stmt> = RefCell::default();
}

impl CopyTarget for Waiting {
    type Table = retentiond_rows::table;
    type SqlType = diesel::sql_types::Text;

    fn walk_target(mut pass: AstPass<'_, '_, Pg>) -> QueryResult<()> {
        pass.push_sql("(");
        WAITING.with_borrow(|stmt| stmt.write_from_session(&mut pass))?;
        pass.push_sql(")");
        Ok(())
    }
}

impl Conn {
    /// Gives the rows of a query to `each` as they come.
    pub(super) fn each_copied<E: From<StoreError>>(
        &mut self,
        streamed: &Streamed,
        mut each: impl FnMut(&StreamedRow) -> Result<(), E>,
    ) -> Result<(), E> {
        self.keep_values(&streamed.stmt)?;
        let begun = Instant::now();
        let ended = {
            let Raw::Postgres(raw) = &mut self.raw else { return Ok(()) };
            WAITING.set(streamed.stmt.clone());
            let copied = diesel::copy_to(Waiting).with_format(CopyFormat::Binary).load_raw(raw);
            WAITING.take();
            match copied {
                Ok(answer) => read(answer, streamed, &mut each),
                Err(error) => Err(Ended::Answer(StoreError::from_rows(&error))),
            }
        };
        match ended {
            Err(Ended::Reader(error)) => {
                // The server would send all the rest before it heard anything else.
                self.abandon();
                Err(error)
            }
            Ok(()) => Ok(self.drained()?),
            Err(Ended::Answer(error)) => Err(error.into()),
            Err(Ended::BrokenOff) => Err(self.broken_off(begun.elapsed()).into()),
        }
    }

    /// Takes the end of the answer, after which the connection hears other statements.
    fn drained(&mut self) -> Result<(), StoreError> {
        let left = self.batch("SELECT 1");
        self.noted(left)
    }

    /// Why the server broke an answer off: the client's library has kept nothing of it.
    fn broken_off(&mut self, after: Duration) -> StoreError {
        let limit = Duration::from_millis(self.statement_millis().into());
        match self.drained() {
            Err(error) if error.kind == ErrorKind::Unreachable => {
                StoreError::new(ErrorKind::Unreachable, "the connection to the database was lost")
            }
            _ if !limit.is_zero() && after >= limit => {
                StoreError::new(ErrorKind::StatementTimeout, "a statement took too long")
            }
            _ => StoreError::new(ErrorKind::Other, "the database broke its answer off"),
        }
    }

    /// Lets the session keep the values of a statement until the transaction ends.
    fn keep_values(&mut self, stmt: &Stmt) -> Result<(), StoreError> {
        let values: Vec<(usize, &Bind)> = stmt.values().enumerate().collect();
        for values in values.chunks(VALUES) {
            let mut keep = Stmt::new("SELECT ");
            for (index, (number, value)) in values.iter().enumerate() {
                keep.sql(if index > 0 { ", set_config(" } else { "set_config(" });
                keep.value(Stmt::place_in_session(*number)).sql(", ").value(value.to_text()).sql(", true)");
            }
            self.rows(&keep)?;
        }
        Ok(())
    }
}

/// Takes the answer apart: a signature, flags and an extension, then for each row the number of its values, and of each its
/// length and its bytes. A length of -1 is NULL, a number of -1 the trailer. Each message is a row.
fn read<E>(
    mut answer: impl BufRead,
    streamed: &Streamed,
    each: &mut impl FnMut(&StreamedRow) -> Result<(), E>,
) -> Result<(), Ended<E>> {
    let failed = |kind, message| Ended::Answer(StoreError::new(kind, message));
    let lost = |_| failed(ErrorKind::Unreachable, "the connection to the database was lost");
    let garbled = || failed(ErrorKind::Garbled, "an answer of the database is not of its own form");
    let mut row = StreamedRow::sized(streamed.forms.len(), 16 * streamed.forms.len());
    let mut begun = false;
    loop {
        let message = answer.fill_buf().map_err(lost)?;
        if message.is_empty() {
            return Err(Ended::BrokenOff);
        }
        let mut bytes = Bytes(message);
        if !begun {
            begun = true;
            bytes.header().ok_or_else(garbled)?;
        }
        if !bytes.0.is_empty() {
            match bytes.number().ok_or_else(garbled)? {
                -1 => return if bytes.0.is_empty() { Ok(()) } else { Err(garbled()) },
                values if usize::try_from(values) == Ok(streamed.forms.len()) => {}
                _ => return Err(garbled()),
            }
            bytes.row(streamed, &mut row).filter(|()| bytes.0.is_empty()).ok_or_else(garbled)?;
            each(&row).map_err(Ended::Reader)?;
        }
        let taken = message.len();
        answer.consume(taken);
    }
}

/// Why not all rows were given.
enum Ended<E> {
    /// Whoever looked at them had enough.
    Reader(E),
    /// The answer was none, or not of its form.
    Answer(StoreError),
    /// It has no end.
    BrokenOff,
}

/// What is left of a message.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, left) = self.0.split_at_checked(count)?;
        self.0 = left;
        Some(taken)
    }

    fn number(&mut self) -> Option<i16> {
        Some(i16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    fn length(&mut self) -> Option<i32> {
        Some(i32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    fn header(&mut self) -> Option<()> {
        (self.take(SIGNATURE.len())? == SIGNATURE).then_some(())?;
        // The upper half of the flags is what a reader must know.
        (self.length()? >> 16 == 0).then_some(())?;
        let extension = usize::try_from(self.length()?).ok()?;
        self.take(extension).map(|_| ())
    }

    fn row(&mut self, streamed: &Streamed, row: &mut StreamedRow) -> Option<()> {
        row.clear();
        for form in &streamed.forms {
            let length = self.length()?;
            if length != -1 {
                spell(*form, self.take(usize::try_from(length).ok()?)?, &mut row.text).ok()?;
            }
            row.end(if length == -1 { NULL } else { 0 }).ok()?;
        }
        Some(())
    }
}
