//! Sealed rows: folded into summaries of this database, and not yet purged in their own.
//!
//! **Invariant.** A row's key is sealed in the very transaction that adds the row to a summary, and is forgotten only when
//! the row is gone: summaries, and rows whose key is not sealed, amount to the rows that were ever written. A key means
//! nothing outside the table that it came from, so each seal bears the identity of that table too.

use sha2::{Digest as _, Sha256};

use super::session::make_tables;
use super::{Backend, Conn, ErrorKind, Stmt, StoreError};
use crate::redact::Sealed;

/// Keys of one statement.
const MOST: usize = 250;

/// The SQL that makes the table.
pub fn ddl(backend: Backend) -> &'static str {
    match backend {
        Backend::Postgres => include_str!("../../migrations/store/postgres/3_sealed.sql"),
        Backend::Mysql => include_str!("../../migrations/store/mysql/3_sealed.sql"),
        Backend::Sqlite => include_str!("../../migrations/store/sqlite/3_sealed.sql"),
    }
}

/// Makes the table.
///
/// # Errors
/// When the role may not.
pub fn install(conn: &mut Conn) -> Result<(), StoreError> {
    make_tables(conn, ddl(conn.backend())).map_err(|error| error.context("retentiond_sealed cannot be created"))
}

/// The keys of rows, as text.
pub type Keys = Vec<Vec<Sealed>>;

/// Whose rows are sealed.
#[derive(Clone, Debug)]
pub struct Whose {
    /// The job.
    pub job: String,
    /// The database and table that the rows are in, as a hash.
    pub source: String,
}

impl Whose {
    /// Rows of a table in the database of this identity.
    pub fn of(job: &str, identity: &str, table: &str) -> Self {
        let hash = Sha256::digest(format!("{identity}\n{table}"));
        let source = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Self { job: job.to_owned(), source }
    }
}

/// A job whose seals contradict ours: the same job's for another table, or another job's for the same table.
///
/// # Errors
/// When the database cannot be asked.
pub fn foreign(conn: &mut Conn, whose: &Whose) -> Result<Option<String>, StoreError> {
    let mut stmt = Stmt::new("SELECT min(job) FROM retentiond_sealed WHERE (job = ");
    stmt.policy(whose.job.as_str()).sql(" AND source <> ").policy(whose.source.as_str());
    stmt.sql(") OR (job <> ").policy(whose.job.as_str()).sql(" AND source = ").policy(whose.source.as_str()).sql(")");
    let rows = conn.catalog_rows(&stmt)?;
    Ok(rows.first().and_then(|row| row.plain(0).map(str::to_owned)))
}

/// Seals rows of a batch, within the transaction that folds them.
///
/// # Errors
/// When the database refuses; a key longer than 400 characters.
pub fn seal(conn: &mut Conn, whose: &Whose, batch: &str, keys: &[Vec<Sealed>]) -> Result<(), StoreError> {
    for part in keys.chunks(MOST) {
        let mut stmt = Stmt::new("INSERT INTO retentiond_sealed (job, source, batch, row_key) VALUES ");
        for (index, key) in part.iter().enumerate() {
            stmt.sql(if index == 0 { "(" } else { ", (" }).policy(whose.job.as_str()).sql(", ");
            stmt.policy(whose.source.as_str()).sql(", ").policy(batch).sql(", ");
            stmt.value(text(key)).sql(")");
        }
        conn.execute(&stmt)?;
    }
    Ok(())
}

/// Some sealed rows of a job, of one batch: the batch that was sealed first.
///
/// # Errors
/// When the database cannot be asked.
pub fn some(conn: &mut Conn, whose: &Whose, after: &str) -> Result<Option<(String, Keys)>, StoreError> {
    let (job, source) = (whose.job.as_str(), whose.source.as_str());
    let mut first = Stmt::new("SELECT min(batch) FROM retentiond_sealed WHERE job = ");
    first.policy(job).sql(" AND source = ").policy(source).sql(" AND batch > ").policy(after);
    let batch = conn.catalog_rows(&first)?.first().and_then(|row| row.plain(0).map(str::to_owned));
    let Some(batch) = batch else { return Ok(None) };
    let mut all = Stmt::new("SELECT row_key FROM retentiond_sealed WHERE job = ");
    all.policy(job).sql(" AND source = ").policy(source).sql(" AND batch = ").policy(batch.as_str());
    let keys = conn.rows(&all)?.into_iter().map(|row| row.get(0).and_then(|text| key(text.expose())));
    let unread = || StoreError::new(ErrorKind::Other, "a key in retentiond_sealed cannot be read");
    Ok(Some((batch, keys.collect::<Option<Keys>>().ok_or_else(unread)?)))
}

/// Forgets sealed rows that are gone.
///
/// # Errors
/// When the database refuses.
pub fn forget(conn: &mut Conn, whose: &Whose, batch: &str, keys: &[Vec<Sealed>]) -> Result<(), StoreError> {
    for part in keys.chunks(MOST) {
        let mut stmt = Stmt::new("DELETE FROM retentiond_sealed WHERE job = ");
        stmt.policy(whose.job.as_str())
            .sql(" AND source = ")
            .policy(whose.source.as_str())
            .sql(" AND batch = ")
            .policy(batch)
            .sql(" AND row_key IN (");
        for (index, key) in part.iter().enumerate() {
            stmt.sql(if index == 0 { "" } else { ", " }).value(text(key));
        }
        conn.execute(stmt.sql(")"))?;
    }
    Ok(())
}

/// A key as one text: a JSON list.
fn text(key: &[Sealed]) -> String {
    let parts: Vec<&str> = key.iter().map(|part| part.expose().as_str()).collect();
    serde_json::to_string(&parts).unwrap_or_default()
}

fn key(text: &str) -> Option<Vec<Sealed>> {
    let parts: Vec<String> = serde_json::from_str(text).ok()?;
    Some(parts.into_iter().map(Sealed::new).collect())
}
