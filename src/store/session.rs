//! What is set on every new connection, and what a server must be to be worked on.
//!
//! Everything is in UTC, waits are short (a purge gives way to the application), and nothing that the server's own
//! configuration leaves loose (foreign keys, overwriting of deleted pages, silent truncation) stays loose here.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use rustix::fs::{Access as FileAccess, access};

use super::conn::{Backend, Conn, Raw};
use super::connect::Tls;
use super::error::{ErrorKind, StoreError};
use super::held::Known;
use super::pool::DatabaseSpec;
use super::stmt::{Stmt, TextRow};
use super::url::StoreUrl;

/// How long one statement of a batch may take, in milliseconds.
const STATEMENT_MILLIS: u32 = 30_000;
/// How long a statement that only reads for a plan may take, in milliseconds: six hours.
const LONG_READ_MILLIS: u32 = 6 * 3_600_000;

/// No statement is compiled (`jit`): a deep condition is thought dearer than it is, and a thousand small functions of one
/// take a minute to compile and some milliseconds to run.
const POSTGRES: &str = "
    SET TimeZone = 'UTC';
    SET lock_timeout = '200ms';
    SET idle_in_transaction_session_timeout = '30s';
    SET plan_cache_mode = force_custom_plan;
    SET jit = off;
    SET application_name = 'retentiond';
    SET client_encoding = 'UTF8';
    SET standard_conforming_strings = on;
    SET DateStyle = 'ISO, YMD';
    SET IntervalStyle = 'postgres';
    SET extra_float_digits = 1;
    SET bytea_output = 'hex';
    SET default_transaction_isolation = 'read committed';
    SET client_min_messages = error";

/// Zero dates can still be read and kept (no NO_ZERO_DATE), but nothing is cut to fit.
const MYSQL: [&str; 4] = [
    "SET NAMES utf8mb4 COLLATE utf8mb4_bin",
    "SET SESSION time_zone = '+00:00', \
        sql_mode = 'STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION', \
        innodb_lock_wait_timeout = 1, lock_wait_timeout = 5, autocommit = 1, wait_timeout = 600, \
        foreign_key_checks = 1, unique_checks = 1, sql_safe_updates = 0, sql_auto_is_null = 0, \
        lc_messages = 'en_US'",
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    "SET SESSION TRANSACTION READ WRITE",
];

/// A batch that waits holds the locks it has already, and InnoDB's shortest wait is a second: on MariaDB it does not wait
/// at all (0), and the next attempt is made without locks in hand. MySQL does not know 0, and passes over this comment.
const MYSQL_BATCHES: &str = "SET SESSION /*M! innodb_lock_wait_timeout = 0, */ lock_wait_timeout = 5";

/// Twice the pages of a batch have to fit into the cache (3.6 MB here), or they are written to the log more than once.
const SQLITE: &str = "
    PRAGMA busy_timeout = 5000;
    PRAGMA foreign_keys = ON;
    PRAGMA secure_delete = ON;
    PRAGMA trusted_schema = OFF;
    PRAGMA cache_size = -3600;
    PRAGMA synchronous = FULL";

/// Sets the session of a new connection.
pub(in crate::store) fn apply(conn: &mut Conn, own_state: bool) -> Result<(), StoreError> {
    match conn.backend() {
        Backend::Postgres => {
            conn.batch(POSTGRES)?;
            // Messages are sorted by their English words. Only superusers and granted roles may choose the language;
            // `identity` refuses the store when this failed on a server of another one.
            drop(conn.batch("SET lc_messages = 'C'"));
        }
        Backend::Mysql => {
            for sql in MYSQL {
                conn.batch(sql)?;
            }
            if !own_state {
                conn.batch(MYSQL_BATCHES)?;
            }
        }
        Backend::Sqlite => {
            conn.batch(SQLITE)?;
            if let Raw::Sqlite(raw) = &mut conn.raw {
                super::target::people::register(raw)?;
            }
            if own_state {
                conn.batch("PRAGMA journal_mode = WAL")?;
            }
        }
    }
    conn.set_statement_timeout(STATEMENT_MILLIS)
}

/// Runs statements that make tables. They may wait for locks, unlike batches: they are run by hand, and hold none that an
/// application could miss.
pub(in crate::store) fn make_tables(conn: &mut Conn, sql: &str) -> Result<(), StoreError> {
    conn.wait_for_locks(true)?;
    let made = conn.batch(sql);
    // Within a transaction of PostgreSQL that failed nothing more can be set, and its rollback takes the wait back.
    let reset = conn.wait_for_locks(false);
    made.and(reset)
}

/// Takes back what a user of a pooled connection changed.
pub(in crate::store) fn restore(conn: &mut Conn) -> Result<(), StoreError> {
    conn.chain_transactions(false)?;
    if conn.is_hurried() {
        conn.settle()?;
    }
    conn.know_held(Known::NOTHING);
    conn.forget_removal()?;
    if conn.statement_millis() == STATEMENT_MILLIS { Ok(()) } else { conn.set_statement_timeout(STATEMENT_MILLIS) }
}

/// What can be known of an SQLite file before it is opened; SQLite would open a read-only one without a word.
pub(in crate::store) fn before_open(spec: &DatabaseSpec) -> Result<(), StoreError> {
    let StoreUrl::Sqlite(path) = &spec.url else { return Ok(()) };
    if spec.create && !path.exists() {
        // Created here, so that nobody else can read it from the first moment on.
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        match made {
            Ok(_) => {}
            // Another process that starts at the same moment was quicker.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(unreachable_file(path, &format!("cannot be created: {error}"))),
        }
    }
    let meta = std::fs::metadata(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => unreachable_file(path, "does not exist, and retentiond does not create it"),
        _ => unreachable_file(path, &error.to_string()),
    })?;
    if !meta.is_file() {
        return Err(refused(format!("{} is not a file", path.display())));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    for (what, needed) in [
        (path.as_path(), FileAccess::READ_OK | FileAccess::WRITE_OK),
        (folder, FileAccess::WRITE_OK | FileAccess::EXEC_OK),
    ] {
        access(what, needed).map_err(|error| refused(format!("{} is not writable: {error}", what.display())))?;
    }
    Ok(())
}

fn unreachable_file(path: &Path, why: &str) -> StoreError {
    StoreError::new(ErrorKind::Unreachable, format!("{} {why}", path.display()))
}

fn refused(message: impl Into<String>) -> StoreError {
    StoreError::new(ErrorKind::Refused, message)
}

/// Refuses a session that is not encrypted although it should be, a standby and a read-only server.
///
/// Asked on every connection, not only at the first: an address may lead elsewhere after a failover.
pub(in crate::store) fn guard(conn: &mut Conn, tls: Tls) -> Result<(), StoreError> {
    let encrypted = match conn.backend() {
        Backend::Postgres => {
            let rows = conn.catalog_rows(&Stmt::new(
                "SELECT CAST(pg_is_in_recovery() AS text), current_setting('transaction_read_only'), \
                 (SELECT CAST(ssl AS text) FROM pg_stat_ssl WHERE pid = pg_backend_pid()), \
                 current_setting('session_replication_role')",
            ))?;
            if text(&rows, 0) == "true" {
                return Err(refused("the server is a standby: it cannot be purged, its primary can"));
            }
            if text(&rows, 1) == "on" {
                return Err(refused("the server, database or role is read-only (default_transaction_read_only)"));
            }
            if text(&rows, 3) != "origin" {
                return Err(refused("foreign keys and triggers are off for this role (session_replication_role)"));
            }
            text(&rows, 2) == "true"
        }
        Backend::Mysql => {
            for (name, value) in mysql_variables(conn)? {
                let on = !matches!(value.to_ascii_uppercase().as_str(), "OFF" | "0" | "");
                if matches!(name.as_str(), "read_only" | "super_read_only" | "transaction_read_only" | "tx_read_only")
                    && on
                {
                    return Err(refused(format!("the server is read-only ({name}): a replica cannot be purged")));
                }
            }
            let rows = conn.catalog_rows(&Stmt::new("SHOW SESSION STATUS LIKE 'Ssl_cipher'"))?;
            !text(&rows, 1).is_empty()
        }
        Backend::Sqlite => true,
    };
    if tls == Tls::Asked && !encrypted {
        return Err(refused("TLS was asked for, and the session is not encrypted"));
    }
    Ok(())
}

fn text(rows: &[TextRow], column: usize) -> &str {
    rows.first().and_then(|row| row.plain(column)).unwrap_or_default()
}

/// The server's variables that tell what it is, by their lower-case names.
pub(in crate::store) fn mysql_variables(conn: &mut Conn) -> Result<Vec<(String, String)>, StoreError> {
    let rows = conn.catalog_rows(&Stmt::new(
        "SHOW VARIABLES WHERE Variable_name IN ('read_only', 'super_read_only', 'transaction_read_only', \
         'tx_read_only', 'server_uuid', 'server_id', 'hostname', 'port', 'datadir', 'log_bin', 'binlog_format')",
    ))?;
    let pair = |row: &TextRow| Some((row.plain(0)?.to_ascii_lowercase(), row.plain(1)?.to_owned()));
    Ok(rows.iter().filter_map(pair).collect())
}

/// A write lock is taken and given back at once: SQLite tells only then that its file is read-only.
pub(in crate::store) fn can_write(conn: &mut Conn) -> Result<(), StoreError> {
    if conn.backend() != Backend::Sqlite {
        return Ok(());
    }
    conn.batch("PRAGMA busy_timeout = 0")?;
    let begun = conn.batch("BEGIN IMMEDIATE");
    let ended = match begun {
        Ok(()) => conn.batch("ROLLBACK"),
        // Somebody else is writing, so the file can be written to.
        Err(error) if error.kind == ErrorKind::LockTimeout => Ok(()),
        Err(error) => Err(error),
    };
    conn.batch("PRAGMA busy_timeout = 5000")?;
    ended
}

impl Conn {
    /// Limits every following statement to `millis` milliseconds. SQLite knows no such limit. Oracle's MySQL limits only
    /// what reads. Between transactions only: a rollback would take it back.
    ///
    /// # Errors
    /// What the database said.
    pub fn set_statement_timeout(&mut self, millis: u32) -> Result<(), StoreError> {
        match self.backend() {
            Backend::Postgres => {
                let mut stmt = Stmt::new("SELECT set_config('statement_timeout', CAST(CAST(");
                stmt.value(i64::from(millis)).sql(" AS bigint) AS text), false)");
                self.catalog_rows(&stmt)?;
            }
            Backend::Mysql => {
                let mut stmt = if self.is_mariadb()? {
                    let mut stmt = Stmt::new("SET SESSION max_statement_time = ");
                    stmt.value(super::Bind::Real(f64::from(millis) / 1000.0));
                    stmt
                } else {
                    let mut stmt = Stmt::new("SET SESSION max_execution_time = ");
                    stmt.value(i64::from(millis));
                    stmt
                };
                self.execute(stmt.sql(""))?;
            }
            Backend::Sqlite => {}
        }
        self.set_statement_millis(millis);
        Ok(())
    }

    /// Lets this session wait for locks for half a minute, or takes that back: for what must be done and holds no lock
    /// that an application could miss.
    ///
    /// # Errors
    /// What the database said.
    pub fn wait_for_locks(&mut self, patiently: bool) -> Result<(), StoreError> {
        self.batch(match (self.backend(), patiently) {
            (Backend::Postgres, true) => "SET lock_timeout = '30s'",
            (Backend::Postgres, false) => "SET lock_timeout = '200ms'",
            (Backend::Mysql, true) => "SET SESSION innodb_lock_wait_timeout = 30, lock_wait_timeout = 30",
            (Backend::Mysql, false) => MYSQL_BATCHES,
            (Backend::Sqlite, true) => "PRAGMA busy_timeout = 30000",
            (Backend::Sqlite, false) => "PRAGMA busy_timeout = 5000",
        })
    }

    /// Lets the statements of a plan, which only read, take up to six hours; the pool takes it back.
    ///
    /// # Errors
    /// What the database said.
    pub fn allow_long_reads(&mut self) -> Result<(), StoreError> {
        self.set_statement_timeout(LONG_READ_MILLIS)
    }

    /// Whether PostgreSQL may reuse a plan for other values. Walks by ranges need a plan for each range; removing parents
    /// by key wants reuse, since the server's own foreign key checks would be planned anew for each row otherwise (three
    /// times the time for 36 000 parents).
    ///
    /// # Errors
    /// When the session cannot be changed.
    pub fn reuse_plans(&mut self, reuse: bool) -> Result<(), StoreError> {
        match (self.backend(), reuse) {
            (Backend::Postgres, true) => self.batch("SET plan_cache_mode = auto"),
            (Backend::Postgres, false) => self.batch("SET plan_cache_mode = force_custom_plan"),
            (Backend::Mysql | Backend::Sqlite, _) => Ok(()),
        }
    }

    /// Lets PostgreSQL answer a COMMIT before its log is on disk: small transactions take half the time. A server that
    /// crashes may forget the last of them, rows and ledger together, never a part of one. Whoever asks for this calls
    /// [`Conn::settle`] before anything is told or done on the strength of a commit.
    ///
    /// # Errors
    /// When the session cannot be changed.
    pub fn hurry(&mut self) -> Result<(), StoreError> {
        if self.backend() == Backend::Postgres {
            self.batch("SET synchronous_commit = off")?;
            self.set_hurried(true);
        }
        Ok(())
    }

    /// Waits until all commits so far are on disk, and hurries on.
    ///
    /// # Errors
    /// When the server does not answer: then the last commits may be lost.
    pub fn flush(&mut self) -> Result<(), StoreError> {
        if self.is_hurried() {
            self.settle()?;
            self.hurry()?;
        }
        Ok(())
    }

    /// Ends [`Conn::hurry`] and waits until all commits so far are on disk.
    ///
    /// # Errors
    /// When the server does not answer: then the last commits may be lost.
    pub fn settle(&mut self) -> Result<(), StoreError> {
        if self.is_hurried() {
            // A message in the log is the least transaction that has to be written; the log before it is written with it.
            self.batch("SET synchronous_commit = on; SELECT pg_logical_emit_message(true, 'retentiond', '')")?;
            self.flushes += 1;
            self.batch("RESET synchronous_commit")?;
            self.set_hurried(false);
        }
        Ok(())
    }

    /// The server's clock minus `now`, which is ours; zero for SQLite, which has no clock of its own.
    ///
    /// # Errors
    /// What the database said.
    pub fn clock_skew(&mut self, now: DateTime<Utc>) -> Result<TimeDelta, StoreError> {
        let stmt = match self.backend() {
            Backend::Postgres => {
                "SELECT CAST(CAST(floor(extract(epoch FROM clock_timestamp()) * 1000000) AS bigint) AS text)"
            }
            Backend::Mysql => "SELECT CAST(CAST(UNIX_TIMESTAMP(SYSDATE(6)) * 1000000 AS SIGNED) AS CHAR)",
            Backend::Sqlite => return Ok(TimeDelta::zero()),
        };
        let rows = self.catalog_rows(&Stmt::new(stmt))?;
        let micros = rows.first().and_then(|row| row.count(0));
        let micros = micros.ok_or_else(|| StoreError::new(ErrorKind::Other, "the server did not tell its time"))?;
        Ok(TimeDelta::microseconds(micros.saturating_sub(now.timestamp_micros())))
    }

    /// How many bytes PostgreSQL has written to its log so far; `None` on the other databases.
    ///
    /// # Errors
    /// What the database said.
    pub fn wal_position(&mut self) -> Result<Option<u64>, StoreError> {
        if self.backend() != Backend::Postgres {
            return Ok(None);
        }
        let rows = self.catalog_rows(&Stmt::new("SELECT CAST(pg_current_wal_insert_lsn() - '0/0' AS text)"))?;
        Ok(rows.first().and_then(|row| row.plain(0)).and_then(|bytes| bytes.parse().ok()))
    }
}
