//! One connection to any of the three databases.
//!
//! SQLite and PostgreSQL speak through Diesel's own drivers, MySQL and MariaDB through diesel-async's pure-Rust driver
//! wrapped back into a synchronous connection (the C client was seen to connect in plain text although TLS was asked
//! for). An `enum` of the three and the macro `on!` compile the same code once per database.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use diesel::connection::SimpleConnection;
use diesel::query_dsl::RunQueryDsl;
use diesel::{PgConnection, SqliteConnection};
use diesel_async::AsyncMysqlConnection;
use diesel_async::async_connection_wrapper::{AsyncConnectionWrapper, BlockOn};

use super::access::Access;
use super::error::{ErrorKind, StoreError};
use super::held::Known;
use super::stmt::{Stmt, TextRow};

/// Which database a store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Backend {
    /// PostgreSQL.
    Postgres,
    /// MySQL or MariaDB.
    Mysql,
    /// SQLite.
    Sqlite,
}

impl Backend {
    /// The name that people read.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Postgres => "PostgreSQL",
            Self::Mysql => "MySQL/MariaDB",
            Self::Sqlite => "SQLite",
        }
    }
}

/// The synchronous face of the MySQL driver.
pub type MysqlConnection = AsyncConnectionWrapper<AsyncMysqlConnection, DriverRuntime>;

/// The runtime on which the MySQL driver does its socket work; nothing else runs there.
#[derive(Clone, Copy)]
pub struct DriverRuntime(&'static tokio::runtime::Runtime);

impl BlockOn for DriverRuntime {
    fn block_on<F: Future>(&self, f: F) -> F::Output {
        self.0.block_on(f)
    }

    fn get_runtime() -> Self {
        static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
        Self(RUNTIME.get_or_init(|| {
            #[expect(clippy::expect_used, reason = "without a thread for its sockets the process cannot do anything")]
            tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .thread_name("mysql-io")
                .enable_all()
                .build()
                .expect("a runtime for the MySQL driver")
        }))
    }
}

/// The three connections.
pub(in crate::store) enum Raw {
    Postgres(PgConnection),
    Mysql(Box<MysqlConnection>),
    Sqlite(SqliteConnection),
}

/// Compiles one expression for each of the three connections.
macro_rules! on {
    ($conn:expr, $raw:ident => $body:expr) => {
        match &mut $conn.raw {
            $crate::store::conn::Raw::Postgres($raw) => $body,
            $crate::store::conn::Raw::Mysql($raw) => {
                let $raw = &mut **$raw;
                $body
            }
            $crate::store::conn::Raw::Sqlite($raw) => $body,
        }
    };
}

pub(in crate::store) use on;

/// A connection with its transaction state.
pub struct Conn {
    pub(in crate::store) raw: Raw,
    in_transaction: bool,
    /// Each commit begins the next transaction in the same message.
    chained: bool,
    /// A transaction of this kind is open, in which nothing was done yet.
    ahead: Option<Access>,
    /// A statement of the open transaction failed in a way after which the database may have undone all of it.
    spoilt: bool,
    /// Nothing more is asked of it.
    abandoned: bool,
    statement_millis: u32,
    /// Commits do not wait for the disk.
    hurried: bool,
    /// Of all connections that this process ever made, which one this is.
    pub(in crate::store) number: u64,
    /// How many transactions were made for nothing but to have earlier ones on disk.
    pub(in crate::store) flushes: u64,
    mariadb: Option<bool>,
    /// Whose memory this is, where the file has tenants.
    pub(in crate::store) scope: Option<Arc<str>>,
    /// What was last learnt of legal holds, and whether that was in the transaction that is open.
    held: (Known, bool),
    pub(in crate::store) captures: super::removing::Captures,
}

impl Conn {
    pub(in crate::store) fn new(raw: Raw) -> Self {
        static MADE: AtomicU64 = AtomicU64::new(0);
        Self {
            raw,
            in_transaction: false,
            chained: false,
            ahead: None,
            spoilt: false,
            abandoned: false,
            statement_millis: 0,
            hurried: false,
            number: MADE.fetch_add(1, Ordering::Relaxed),
            flushes: 0,
            mariadb: None,
            scope: None,
            held: (Known::NOTHING, false),
            captures: super::removing::Captures::Unknown,
        }
    }

    /// The name under which a tenant's memory has what is called so.
    pub(in crate::store) fn scoped(&self, name: &str) -> String {
        self.scope.as_ref().map_or_else(|| name.to_owned(), |tenant| format!("{name}@{tenant}"))
    }

    /// What is called so in this memory; `None` where it is another tenant's.
    pub(in crate::store) fn unscoped<'n>(&self, name: &'n str) -> Option<&'n str> {
        let (own, tenant) = name.split_once('@').map_or((name, None), |(own, tenant)| (own, Some(tenant)));
        (tenant == self.scope.as_deref()).then_some(own)
    }

    /// What is known of legal holds for certain: what was learnt in the transaction that is open.
    pub fn held_now(&self) -> &Known {
        if self.in_transaction && self.held.1 { &self.held.0 } else { &Known::NOTHING }
    }

    /// What the last transaction learnt of legal holds. It may have changed since: good for choosing rows, which are
    /// asked about again before they are touched, and for nothing else.
    pub fn held_lately(&self) -> &Known {
        &self.held.0
    }

    pub(in crate::store) fn know_held(&mut self, known: Known) {
        self.held = (known, self.in_transaction);
    }

    /// Which database this is.
    pub fn backend(&self) -> Backend {
        match self.raw {
            Raw::Postgres(_) => Backend::Postgres,
            Raw::Mysql(_) => Backend::Mysql,
            Raw::Sqlite(_) => Backend::Sqlite,
        }
    }

    /// Whether a transaction was begun and not ended.
    pub(in crate::store) fn is_in_transaction(&self) -> bool {
        self.in_transaction
    }

    /// The same, or one is open in which nothing was done yet; such a connection never goes back to its pool.
    pub(in crate::store) fn has_open_transaction(&self) -> bool {
        self.in_transaction || self.ahead.is_some()
    }

    /// The limit that was last set for a statement, in milliseconds.
    pub(in crate::store) fn statement_millis(&self) -> u32 {
        self.statement_millis
    }

    pub(in crate::store) fn set_statement_millis(&mut self, millis: u32) {
        self.statement_millis = millis;
    }

    /// Whether commits are made without waiting for the disk.
    pub(in crate::store) fn is_hurried(&self) -> bool {
        self.hurried
    }

    pub(in crate::store) fn set_hurried(&mut self, hurried: bool) {
        self.hurried = hurried;
    }

    /// Whether a MySQL server is MariaDB; asked once per connection.
    pub(in crate::store) fn is_mariadb(&mut self) -> Result<bool, StoreError> {
        if let Some(known) = self.mariadb {
            return Ok(known);
        }
        let rows = self.catalog_rows(&Stmt::new("SELECT VERSION()"))?;
        let version = rows.first().and_then(|row| row.plain(0)).unwrap_or_default();
        let known = version.to_ascii_lowercase().contains("mariadb");
        self.mariadb = Some(known);
        Ok(known)
    }

    /// Whether the server still answers.
    pub(in crate::store) fn ping(&mut self) -> Result<(), StoreError> {
        self.batch("SELECT 1")
    }

    /// Notes an error that ends the transaction it happened in, whatever the caller makes of it.
    pub(in crate::store) fn noted<T>(&mut self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(error) = &result {
            let harmless = self.backend() != Backend::Postgres
                && matches!(error.kind, ErrorKind::Constraint | ErrorKind::ForeignKey);
            self.spoilt |= self.in_transaction && !harmless;
        }
        result
    }

    /// Gives the connection up with its transaction: the pool closes it, and the server rolls back.
    pub(in crate::store) fn abandon(&mut self) {
        self.spoilt = true;
        self.abandoned = true;
    }

    /// Takes the open transaction for one that a failure has ended.
    pub(in crate::store) fn spoil(&mut self) {
        self.spoilt = true;
    }

    /// Runs a statement and gives the number of rows that the database says it touched.
    ///
    /// # Errors
    /// The class of what went wrong, without the database's words.
    pub fn execute(&mut self, stmt: &Stmt) -> Result<u64, StoreError> {
        self.leave_ahead()?;
        let count = on!(self, raw => RunQueryDsl::execute(stmt.clone(), raw));
        let count = count.map(|rows| rows as u64).map_err(|error| StoreError::from_rows(&error));
        self.noted(count)
    }

    /// Runs a query and gives all its rows; the statement bounds their number.
    ///
    /// # Errors
    /// The class of what went wrong, without the database's words.
    pub fn rows(&mut self, stmt: &Stmt) -> Result<Vec<TextRow>, StoreError> {
        self.leave_ahead()?;
        let rows = on!(self, raw => RunQueryDsl::load::<TextRow>(stmt.clone(), raw));
        self.noted(rows.map_err(|error| StoreError::from_rows(&error)))
    }

    /// Like [`Conn::rows`] for catalogs, settings and retentiond's own tables, whose errors may be shown in full.
    ///
    /// # Errors
    /// What the database said.
    pub fn catalog_rows(&mut self, stmt: &Stmt) -> Result<Vec<TextRow>, StoreError> {
        self.leave_ahead()?;
        let rows = on!(self, raw => RunQueryDsl::load::<TextRow>(stmt.clone(), raw));
        self.noted(rows.map_err(|error| StoreError::from_catalog(&error)))
    }

    /// Runs fixed SQL text: settings and DDL of retentiond's own.
    pub(in crate::store) fn batch(&mut self, sql: &str) -> Result<(), StoreError> {
        self.leave_ahead()?;
        on!(self, raw => raw.batch_execute(sql)).map_err(|error| StoreError::from_catalog(&error))
    }

    /// Runs `work` in one transaction: committed when it succeeds, rolled back when it fails.
    ///
    /// # Errors
    /// Those of `work`, and those of beginning and committing.
    pub fn transaction<T, E: From<StoreError>>(
        &mut self,
        access: Access,
        work: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        if self.in_transaction {
            return Err(StoreError::new(ErrorKind::Other, "a transaction is already open").into());
        }
        if self.ahead != Some(access) {
            self.begin(access)?;
        }
        self.ahead = None;
        self.in_transaction = true;
        self.held.1 = false;
        self.spoilt = false;
        let done = work(self).and_then(|value| {
            self.commit(access)?;
            Ok(value)
        });
        if self.in_transaction {
            // When this fails too, the pool drops the connection, and the server rolls back.
            drop(self.rollback());
        }
        if self.backend() == Backend::Sqlite && access == Access::ReadOnly {
            self.batch("PRAGMA query_only=OFF")?;
        }
        done
    }

    fn begin(&mut self, access: Access) -> Result<(), StoreError> {
        match (self.backend(), access) {
            // One snapshot for the whole preview; the session's READ COMMITTED comes back with the next transaction.
            (Backend::Mysql, Access::ReadOnly) => self.batch("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")?,
            (Backend::Sqlite, Access::ReadOnly) => self.batch("PRAGMA query_only=ON")?,
            _ => {}
        }
        let begun = self.batch(access.begins(self.backend()));
        if begun.is_err() && self.backend() == Backend::Sqlite && access == Access::ReadOnly {
            self.batch("PRAGMA query_only=OFF")?;
        }
        begun
    }

    /// Commits, and never takes a silent rollback for a commit: after a failed statement PostgreSQL answers COMMIT with
    /// ROLLBACK and no error, and MySQL has already ended a transaction that lost a deadlock.
    fn commit(&mut self, access: Access) -> Result<(), StoreError> {
        if self.spoilt {
            let message = "a statement of the transaction had failed, so it was rolled back";
            return Err(StoreError::new(ErrorKind::Other, message));
        }
        let chained = self.chained && self.backend() == Backend::Postgres;
        let mut sql = String::from(match self.backend() {
            // In a transaction that has failed, the SELECT is an error.
            Backend::Postgres => "SELECT 1; COMMIT",
            Backend::Mysql | Backend::Sqlite => "COMMIT",
        });
        if chained {
            sql.push_str("; ");
            sql.push_str(access.begins(Backend::Postgres));
        }
        // What is checked now only, by a deferred constraint or trigger, may quote a value.
        on!(self, raw => raw.batch_execute(&sql)).map_err(|error| StoreError::from_rows(&error))?;
        self.in_transaction = false;
        self.ahead = chained.then_some(access);
        Ok(())
    }

    /// From now on each commit begins the next transaction of the same kind in the same message, which spares one, or no
    /// longer does. PostgreSQL only. For whoever goes on at once: the server ends a session that lets half a minute pass in
    /// a transaction. What is asked between transactions is asked outside of them all the same.
    ///
    /// # Errors
    /// What the database said.
    pub fn chain_transactions(&mut self, chained: bool) -> Result<(), StoreError> {
        self.chained = chained;
        if chained { Ok(()) } else { self.leave_ahead() }
    }

    /// Ends a transaction that was begun ahead and in which nothing was done.
    fn leave_ahead(&mut self) -> Result<(), StoreError> {
        match self.ahead.take() {
            Some(_) => self.batch("COMMIT"),
            None => Ok(()),
        }
    }

    fn rollback(&mut self) -> Result<(), StoreError> {
        if self.abandoned {
            return Err(StoreError::new(ErrorKind::Other, "the connection was given up"));
        }
        self.batch("ROLLBACK")?;
        self.in_transaction = false;
        Ok(())
    }
}
