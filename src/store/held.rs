//! Placing and ending legal holds in a purged database.
//!
//! **Invariant.** Whatever changes the table of held rows does so while it has the gate's row `hold` to itself. Every batch
//! has that row in share mode from its beginning to its end, so no batch that began before a hold was placed goes on after
//! it, and every later one finds the held rows. [`exclusively`] waits for the batches in flight; they wait for it briefly.
//!
//! What a hold is about (a user's key, a customer's address, a condition) is kept here too, in rows of the entry
//! [`CRITERIA`], cut into pieces: these are the databases that have the person's data anyway, and retentiond's own state
//! has none. The rows go with the hold.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use diesel::prelude::*;

use super::conn::on;
use super::{Access, Conn, ErrorKind, Stmt, StoreError};

mod schema {
    diesel::table! {
        retentiond_gate (name) {
            name -> Text,
            token -> BigInt,
        }
    }

    diesel::table! {
        retentiond_held (data, row_key, hold_case) {
            data -> Text,
            row_key -> Text,
            hold_case -> Text,
        }
    }
}

use schema::{retentiond_gate, retentiond_held};

/// The table of held rows.
pub const TABLE: &str = "retentiond_held";
/// What the cases of retentiond's own holds begin with: those of open requests for reports.
pub const OWN_CASE: &str = "report-";
/// What stands in place of an entry's name in rows that say what a hold is about. No entry can be named so.
const CRITERIA: &str = "?";
/// What stands in place of an entry's name when the ledger knows a batch. No entry can be named so.
const IN_LEDGER: &str = "!";
/// A piece of a criterion, in characters; the column holds 400, of which the hold's id takes some.
const PIECE: usize = 300;
/// How long placing a hold waits for batches in flight.
const PATIENCE: Duration = Duration::from_secs(60);

/// Does `work` in a transaction that no batch overlaps.
///
/// # Errors
/// Those of `work`; a lock timeout when batches never let go.
pub fn exclusively<T>(
    conn: &mut Conn,
    mut work: impl FnMut(&mut Conn) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    conn.wait_for_locks(true)?;
    let started = Instant::now();
    let done = loop {
        let done = conn.transaction(Access::ReadWrite, |conn| {
            close_gate(conn)?;
            work(conn)
        });
        match done {
            Err(error) if error.is_transient() && started.elapsed() < PATIENCE => {}
            done => break done,
        }
    };
    conn.wait_for_locks(false)?;
    done
}

/// Takes the gate's row for itself, to the end of the transaction.
fn close_gate(conn: &mut Conn) -> Result<(), StoreError> {
    let row = retentiond_gate::table.filter(retentiond_gate::name.eq("hold"));
    let raised = diesel::update(row).set(retentiond_gate::token.eq(retentiond_gate::token + 1));
    let rows = on!(conn, raw => raised.execute(raw)).map_err(|error| StoreError::from_catalog(&error))?;
    if rows == 1 {
        return Ok(());
    }
    Err(StoreError::new(ErrorKind::Refused, "the gate has no row `hold`: retentiond's tables were changed"))
}

/// Which entries have rows under a legal hold in one database; the default knows nothing.
#[derive(Clone, Debug, Default)]
pub struct Known(Option<BTreeSet<String>>);

impl Known {
    /// Nothing is known.
    pub const NOTHING: Self = Self(None);

    /// Whether the database was asked.
    pub(in crate::store) fn is_known(&self) -> bool {
        self.0.is_some()
    }

    /// Whether rows of the entry may be held. Where the database takes upper and lower case for one, so does this.
    pub(in crate::store) fn holds(&self, entry: &str) -> bool {
        self.0.as_ref().is_none_or(|held| held.contains(&entry.to_ascii_lowercase()))
    }

    #[cfg(test)]
    pub(in crate::store) fn of<const N: usize>(entries: [&str; N]) -> Self {
        Self(Some(entries.into_iter().map(str::to_owned).collect()))
    }
}

/// Learns which entries have held rows, for the rest of the transaction that is open ([`Conn::held_now`]).
///
/// The caller is behind the gate, so that this stays true until the transaction ends, or reads one snapshot.
///
/// # Errors
/// Outside a transaction, and when the database cannot be asked.
pub fn learn(conn: &mut Conn) -> Result<(), StoreError> {
    ask(conn, &Stmt::new(KNOWN)).map(drop)
}

/// The same, and whether the ledger knows a batch: one question instead of two in each batch.
pub(in crate::store) fn learn_after(conn: &mut Conn, batch: Option<&str>) -> Result<bool, StoreError> {
    ask(conn, &question(batch)).map(|in_ledger| in_ledger || batch.is_none())
}

/// Asks for the names of entries with held rows, and for a mark if the ledger knows a batch.
pub(in crate::store) fn question(batch: Option<&str>) -> Stmt {
    let mut stmt = Stmt::new(KNOWN);
    if let Some(batch) = batch {
        stmt.sql(" UNION ALL SELECT '").sql(IN_LEDGER).sql("' FROM retentiond_ledger WHERE batch = ").policy(batch);
    }
    stmt
}

/// From each name to the next by the index, however many rows are held.
const KNOWN: &str = "WITH RECURSIVE known (data) AS (SELECT min(data) FROM retentiond_held UNION ALL SELECT \
                     (SELECT min(next.data) FROM retentiond_held next WHERE next.data > known.data) FROM known WHERE \
                     known.data IS NOT NULL) SELECT data FROM known WHERE data IS NOT NULL";

fn ask(conn: &mut Conn, stmt: &Stmt) -> Result<bool, StoreError> {
    let rows = conn.rows(stmt)?;
    learnt(conn, rows.iter().filter_map(|row| row.plain(0)))
}

/// Takes note of the answer to [`question`], and says whether the ledger knows the batch.
pub(in crate::store) fn learnt<'a>(conn: &mut Conn, names: impl Iterator<Item = &'a str>) -> Result<bool, StoreError> {
    if !conn.is_in_transaction() {
        return Err(StoreError::new(ErrorKind::Other, "what is held can be known within a transaction only"));
    }
    let mut names: BTreeSet<String> = names.map(str::to_ascii_lowercase).collect();
    let in_ledger = names.remove(IN_LEDGER);
    conn.know_held(Known(Some(names)));
    Ok(in_ledger)
}

/// The cases that hold something here, each with its number of held rows.
///
/// # Errors
/// When the database cannot be asked.
pub fn cases(conn: &mut Conn) -> Result<Vec<(String, u64)>, StoreError> {
    let failed = |error: diesel::result::Error| StoreError::from_catalog(&error);
    let cases = retentiond_held::table.select(retentiond_held::hold_case).distinct().order(retentiond_held::hold_case);
    let cases: Vec<String> = on!(conn, raw => cases.load(raw)).map_err(failed)?;
    let mut counted = Vec::new();
    for case in cases {
        let rows = retentiond_held::table
            .filter(retentiond_held::hold_case.eq(&case))
            .filter(retentiond_held::data.ne(CRITERIA))
            .count();
        let rows: i64 = on!(conn, raw => rows.get_result(raw)).map_err(failed)?;
        counted.push((case, rows.unsigned_abs()));
    }
    Ok(counted)
}

/// Frees all rows of a case, and forgets what it was about. The caller has the gate.
///
/// # Errors
/// When the database refuses.
pub fn free(conn: &mut Conn, case: &str) -> Result<(), StoreError> {
    let mine = retentiond_held::table.filter(retentiond_held::hold_case.eq(case));
    on!(conn, raw => diesel::delete(mine).execute(raw)).map(drop).map_err(|error| StoreError::from_catalog(&error))
}

/// Remembers what a hold is about. The caller has the gate.
///
/// # Errors
/// When the database refuses.
pub fn write_criterion(conn: &mut Conn, case: &str, id: &str, text: &str) -> Result<(), StoreError> {
    let chars: Vec<char> = text.chars().collect();
    for (number, piece) in chars.chunks(PIECE).enumerate() {
        let row = (
            retentiond_held::data.eq(CRITERIA),
            retentiond_held::row_key.eq(format!("{id} {number:04} {}|", piece.iter().collect::<String>())),
            retentiond_held::hold_case.eq(case),
        );
        on!(conn, raw => diesel::insert_into(retentiond_held::table).values(row).execute(raw))
            .map_err(|error| StoreError::from_rows(&error))?;
    }
    Ok(())
}

/// What a hold is about, if this database knows it.
///
/// # Errors
/// When the database cannot be asked.
pub fn read_criterion(conn: &mut Conn, case: &str, id: &str) -> Result<Option<String>, StoreError> {
    let query = retentiond_held::table
        .filter(retentiond_held::data.eq(CRITERIA))
        .filter(retentiond_held::hold_case.eq(case))
        .select(retentiond_held::row_key);
    let rows: Vec<String> = on!(conn, raw => query.load(raw)).map_err(|error| StoreError::from_rows(&error))?;
    let mut pieces: Vec<(&str, &str)> = rows
        .iter()
        .filter_map(|row| row.strip_prefix(id)?.strip_prefix(' ')?.split_once(' '))
        // A mark ends each piece, so that blanks at its end are nobody's to cut.
        .filter_map(|(number, piece)| Some((number, piece.strip_suffix('|')?)))
        .collect();
    pieces.sort_unstable();
    let text: String = pieces.iter().map(|(_, piece)| *piece).collect();
    Ok((!pieces.is_empty()).then_some(text))
}
