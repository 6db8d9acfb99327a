//! The ledger: what retentiond writes into a purged database, in the same transaction as the rows it removes.

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::prelude::*;

use super::conn::on;
use super::session::make_tables;
use super::{Backend, Conn, ErrorKind, Stmt, StoreError};

mod schema {
    diesel::table! {
        retentiond_ledger (batch) {
            batch -> Text,
            run -> Text,
            job -> Text,
            data -> Text,
            action -> Text,
            rule -> Nullable<Text>,
            row_count -> BigInt,
            file_count -> BigInt,
            cutoff -> Nullable<Timestamp>,
            written_at -> Timestamp,
        }
    }
}

use schema::retentiond_ledger;

/// One row of the ledger.
#[derive(Clone, Debug)]
pub struct LedgerRow {
    /// The batch; a second entry of the same batch bears a suffix.
    pub batch: String,
    /// The run.
    pub run: String,
    /// The job.
    pub job: String,
    /// The data entry.
    pub data: String,
    /// What was done.
    pub action: String,
    /// By which rule.
    pub rule: Option<String>,
    /// Rows, as the database counted them.
    pub rows: u64,
    /// Files moved to the trash.
    pub files: u64,
    /// The cutoff.
    pub cutoff: Option<DateTime<Utc>>,
    /// When, by our clock.
    pub written_at: DateTime<Utc>,
}

/// The SQL that makes retentiond's tables, for people to read and run.
pub fn ddl(backend: Backend) -> &'static str {
    match backend {
        Backend::Postgres => include_str!("../../migrations/store/postgres/1_create.sql"),
        Backend::Mysql => include_str!("../../migrations/store/mysql/1_create.sql"),
        Backend::Sqlite => include_str!("../../migrations/store/sqlite/1_create.sql"),
    }
}

/// Makes retentiond's tables.
///
/// # Errors
/// When the role may not, or they are there already.
pub fn install(conn: &mut Conn) -> Result<(), StoreError> {
    make_tables(conn, ddl(conn.backend())).map_err(|error| error.context("retentiond's tables cannot be created"))
}

/// The version of retentiond's tables; `None` when there are none. Needs no right to write.
///
/// # Errors
/// When the database cannot be asked.
pub fn version(conn: &mut Conn) -> Result<Option<i64>, StoreError> {
    let stmt = match conn.backend() {
        Backend::Sqlite => Stmt::new("SELECT CAST(max(version) AS TEXT) FROM retentiond_schema"),
        Backend::Postgres => Stmt::new("SELECT CAST(max(version) AS TEXT) FROM retentiond_schema"),
        Backend::Mysql => Stmt::new("SELECT CAST(max(version) AS CHAR) FROM retentiond_schema"),
    };
    match conn.catalog_rows(&stmt) {
        Ok(rows) => Ok(rows.first().and_then(|row| row.count(0))),
        // No such table.
        Err(error) if error.kind == ErrorKind::Other => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes rows; the caller has a transaction open.
///
/// # Errors
/// When they cannot be written: then the batch must not be committed.
pub fn write(conn: &mut Conn, rows: &[LedgerRow]) -> Result<(), StoreError> {
    // Statements of a fixed number of rows stay prepared.
    let (threes, rest) = rows.as_chunks::<3>();
    for three in threes {
        insert(conn, three)?;
    }
    let (twos, ones) = rest.as_chunks::<2>();
    for two in twos {
        insert(conn, two)?;
    }
    ones.iter().try_for_each(|row| insert(conn, std::array::from_ref(row)))
}

fn insert<const N: usize>(conn: &mut Conn, rows: &[LedgerRow; N]) -> Result<(), StoreError> {
    let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let values = rows.each_ref().map(|row| {
        (
            retentiond_ledger::batch.eq(row.batch.clone()),
            retentiond_ledger::run.eq(row.run.clone()),
            retentiond_ledger::job.eq(row.job.clone()),
            retentiond_ledger::data.eq(row.data.clone()),
            retentiond_ledger::action.eq(row.action.clone()),
            retentiond_ledger::rule.eq(row.rule.clone()),
            retentiond_ledger::row_count.eq(signed(row.rows)),
            retentiond_ledger::file_count.eq(signed(row.files)),
            retentiond_ledger::cutoff.eq(row.cutoff.map(|at| at.naive_utc())),
            retentiond_ledger::written_at.eq(row.written_at.naive_utc()),
        )
    });
    on!(conn, raw => diesel::insert_into(retentiond_ledger::table).values(values).execute(raw))
        .map(drop)
        .map_err(|error| StoreError::from_catalog(&error))
}

/// Whether a batch was committed.
///
/// # Errors
/// When the database cannot be asked.
pub fn has(conn: &mut Conn, batch: &str) -> Result<bool, StoreError> {
    let query = retentiond_ledger::table.filter(retentiond_ledger::batch.eq(batch)).count();
    let count: i64 = on!(conn, raw => query.get_result(raw)).map_err(|error| StoreError::from_catalog(&error))?;
    Ok(count > 0)
}

/// Rows and files of a run, by the ledger.
///
/// # Errors
/// When the database cannot be asked.
pub fn sum(conn: &mut Conn, run: &str) -> Result<(u64, u64), StoreError> {
    let query = retentiond_ledger::table
        .filter(retentiond_ledger::run.eq(run))
        .select((retentiond_ledger::row_count, retentiond_ledger::file_count));
    let rows: Vec<(i64, i64)> =
        on!(conn, raw => query.load::<(i64, i64)>(raw)).map_err(|error| StoreError::from_catalog(&error))?;
    Ok(rows.iter().fold((0, 0), |(rows, files), (more_rows, more_files)| {
        (rows + more_rows.unsigned_abs(), files + more_files.unsigned_abs())
    }))
}

/// The last instant that the ledger knows.
///
/// # Errors
/// When the database cannot be asked.
pub fn last_written(conn: &mut Conn) -> Result<Option<DateTime<Utc>>, StoreError> {
    let query = retentiond_ledger::table.select(diesel::dsl::max(retentiond_ledger::written_at));
    let found: Option<NaiveDateTime> =
        on!(conn, raw => query.get_result(raw)).map_err(|error| StoreError::from_catalog(&error))?;
    Ok(found.map(|at| at.and_utc()))
}

/// The newest run that the ledger knows; ids of runs sort by time.
///
/// # Errors
/// When the database cannot be asked.
pub fn newest_run(conn: &mut Conn) -> Result<Option<String>, StoreError> {
    let query = retentiond_ledger::table.select(diesel::dsl::max(retentiond_ledger::run));
    on!(conn, raw => query.get_result(raw)).map_err(|error| StoreError::from_catalog(&error))
}

/// The newest batch that the ledger knows.
///
/// # Errors
/// When the database cannot be asked.
pub fn newest_batch(conn: &mut Conn) -> Result<Option<String>, StoreError> {
    let query = retentiond_ledger::table.select(diesel::dsl::max(retentiond_ledger::batch));
    on!(conn, raw => query.get_result(raw)).map_err(|error| StoreError::from_catalog(&error))
}
