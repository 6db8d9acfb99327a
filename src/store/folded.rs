//! Rows that a rollup has counted and left where they are: which, and by which job.
//!
//! **Invariant.** A row is entered in the very transaction that adds it to a summary, and taken out in the transaction in
//! which retentiond removes it, or when it is seen to be gone: it is never entered without being counted, and never counted
//! while it is entered. What tells rows apart is [`super::target::folded::Identity`].

use sha2::{Digest as _, Sha256};

use super::session::make_tables;
use super::{Backend, Conn, Stmt, StoreError};
use crate::redact::Sealed;

/// The table of the rows.
pub const TABLE: &str = "retentiond_folded";

/// Keys of one statement.
const MOST: usize = 1_000;

/// The SQL that makes the tables.
pub fn ddl(backend: Backend) -> &'static str {
    match backend {
        Backend::Postgres => include_str!("../../migrations/store/postgres/4_folded.sql"),
        Backend::Mysql => include_str!("../../migrations/store/mysql/4_folded.sql"),
        Backend::Sqlite => include_str!("../../migrations/store/sqlite/4_folded.sql"),
    }
}

/// Makes the tables.
///
/// # Errors
/// When the role may not.
pub fn install(conn: &mut Conn) -> Result<(), StoreError> {
    make_tables(conn, ddl(conn.backend())).map_err(|error| error.context("retentiond_folded cannot be created"))
}

/// A job and the rows that it counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fold {
    /// Its number, which is made of the two others.
    pub id: i64,
    /// The job.
    pub job: String,
    /// The table and what tells its rows apart, as a hash.
    pub source: String,
}

impl Fold {
    /// The fold of a job on rows of this source.
    pub fn of(job: &str, source: &str) -> Self {
        let hash = Sha256::digest(format!("{job}\n{source}"));
        let id = hash.iter().take(8).fold(0_u64, |id, byte| id << 8 | u64::from(*byte));
        Self { id: (id >> 1).cast_signed(), job: job.to_owned(), source: source.to_owned() }
    }
}

/// All folds of a database.
///
/// # Errors
/// When it cannot be asked.
pub fn folds(conn: &mut Conn) -> Result<Vec<Fold>, StoreError> {
    let rows = conn.rows(&Stmt::new("SELECT job, source FROM retentiond_folds"))?;
    Ok(rows.iter().filter_map(|row| Some(Fold::of(row.plain(0)?, row.plain(1)?))).collect())
}

/// Enters a fold, within a transaction behind the gate, if it is not there.
///
/// # Errors
/// When the database refuses.
pub fn enrol(conn: &mut Conn, fold: &Fold) -> Result<(), StoreError> {
    if folds(conn)?.contains(fold) {
        return Ok(());
    }
    let mut stmt = Stmt::new("INSERT INTO retentiond_folds (id, job, source) VALUES (");
    stmt.policy(fold.id).sql(", ").policy(fold.job.as_str()).sql(", ").policy(fold.source.as_str()).sql(")");
    conn.execute(&stmt).map(drop)
}

/// Takes rows that are gone out of these folds, within the transaction that removes them.
///
/// # Errors
/// When the database refuses.
pub fn forget(conn: &mut Conn, folds: &[i64], keys: &[Sealed]) -> Result<(), StoreError> {
    for part in keys.chunks(MOST) {
        let mut stmt = Stmt::new("DELETE FROM retentiond_folded WHERE fold IN (");
        for (index, fold) in folds.iter().enumerate() {
            stmt.sql(if index == 0 { "" } else { ", " }).policy(*fold);
        }
        stmt.sql(") AND row_key IN (");
        for (index, key) in part.iter().enumerate() {
            stmt.sql(if index == 0 { "" } else { ", " }).value(key.expose().clone());
        }
        conn.execute(stmt.sql(")"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fold_has_one_number_and_it_fits_every_database() {
        let fold = Fold::of("calls", "abc");
        assert_eq!(fold, Fold::of("calls", "abc"));
        assert!(fold.id > 0);
        assert_ne!(fold.id, Fold::of("calls", "abd").id);
        assert_ne!(fold.id, Fold::of("call", "sabc").id);
    }
}
