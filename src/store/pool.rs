//! A database of the file, opened, checked and pooled.
//!
//! Two connections at most for each run, none kept for its own sake ([`Database::rest`]). Whoever holds one waits for no
//! other: runs would wait for each other. A connection leaves the pool only after its session was set and the server was
//! found to be the one that was meant ([`super::session`]). r2d2 retries a failed connect until its time is up and then says
//! "timed out": here a failure is handed through the pool as it is, at once and only once.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use diesel::r2d2::{ManageConnection, NopErrorHandler, Pool, PooledConnection};
use scheduled_thread_pool::ScheduledThreadPool;

use super::conn::{Backend, Conn};
use super::error::{ErrorKind, StoreError};
use super::url::StoreUrl;
use super::{connect, identity, session};
use crate::redact::Sealed;

/// How long [`Database::conn`] waits.
const PATIENCE: Duration = Duration::from_secs(10);
/// A failure older than this was met by somebody else and says nothing about now.
const STALE: Duration = Duration::from_secs(1);

/// What the file says of one database.
#[derive(Clone)]
pub struct DatabaseSpec {
    /// The store's name, for messages.
    pub name: String,
    /// Where it is.
    pub url: StoreUrl,
    /// The password, when it does not stand in the address.
    pub password: Option<Sealed<String>>,
    /// The pinned identity; another database is refused.
    pub identity: Option<String>,
    /// The certificate of the authority (PEM) that signed the server's; asks for a verified TLS connection.
    pub ca: Option<PathBuf>,
    /// Whether an SQLite file may be created: for retentiond's own state, never for a purged database.
    pub create: bool,
    /// How many connections there may be at a time. A run keeps one to a store, and needs a second at times.
    pub connections: u32,
}

impl fmt::Debug for DatabaseSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseSpec")
            .field("name", &self.name)
            .field("url", &self.url)
            .field("identity", &self.identity)
            .field("ca", &self.ca)
            .field("create", &self.create)
            .finish_non_exhaustive()
    }
}

impl DatabaseSpec {
    /// A database without password, pin and certificate.
    pub fn new(name: impl Into<String>, url: StoreUrl) -> Self {
        Self { name: name.into(), url, password: None, identity: None, ca: None, create: false, connections: 2 }
    }
}

/// An open database. Cheap to clone; clones share the pool.
#[derive(Clone)]
pub struct Database {
    pool: Pool<Manager>,
    spec: Arc<DatabaseSpec>,
    backend: Backend,
    identity: String,
    server_version: String,
    scope: Option<Arc<str>>,
}

impl Database {
    /// Connects, checks that the server is the right one and may be written to, and that values come back from it as
    /// they were sent.
    ///
    /// # Errors
    /// [`ErrorKind::Unreachable`] when there is no answer, [`ErrorKind::Refused`] when it is the wrong one; the
    /// message begins with the store's name.
    pub fn open(spec: DatabaseSpec) -> Result<Self, StoreError> {
        let spec = Arc::new(spec);
        let named = |error: StoreError| error.context(&format!("store `{}`", spec.name));
        session::before_open(&spec).map_err(named)?;
        let pool = Pool::builder()
            .max_size(spec.connections.max(2))
            .min_idle(Some(0))
            .connection_timeout(PATIENCE)
            .idle_timeout(Some(Duration::from_secs(60)))
            .test_on_check_out(true)
            .thread_pool(workers())
            .error_handler(Box::new(NopErrorHandler))
            .build_unchecked(Manager { spec: Arc::clone(&spec) });
        let mut conn = take(&pool).map_err(named)?;
        let facts = identity::examine(&mut conn).map_err(named)?;
        let backend = conn.backend();
        drop(conn);
        Ok(Self { pool, spec, backend, identity: facts.identity, server_version: facts.server_version, scope: None })
    }

    /// retentiond's own memory as one tenant has it: what is remembered by the name of a store, a person or a case is this
    /// tenant's alone. Names of jobs say themselves whose they are.
    #[must_use]
    pub fn of_tenant(&self, tenant: &str) -> Self {
        Self { scope: Some(tenant.into()), ..self.clone() }
    }

    /// The memory of all tenants, and of what is no tenant's.
    #[must_use]
    pub fn whole(&self) -> Self {
        Self { scope: None, ..self.clone() }
    }

    /// A connection from the pool, or a new one. Not inside an async runtime: it blocks.
    ///
    /// # Errors
    /// Those of connecting; the message begins with the store's name.
    pub fn conn(&self) -> Result<PooledConn, StoreError> {
        let mut conn = take(&self.pool).map_err(|error| error.context(&format!("store `{}`", self.spec.name)))?;
        conn.scope.clone_from(&self.scope);
        Ok(conn)
    }

    /// Closes the connections that nobody uses: a server has few, and other clients. The next [`Self::conn`] makes a new one.
    pub fn rest(&self) {
        while let Some(mut slot) = self.pool.try_get() {
            *slot = Slot::Closed;
        }
    }

    /// Which database this is.
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// The store's name in the file.
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// What `identity = "…"` must say to pin this database; [`super::identity`] has what changes it.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// The server's version, as it says it.
    pub fn server_version(&self) -> &str {
        &self.server_version
    }

    /// Where it is, to be shown without passwords.
    pub fn url(&self) -> &StoreUrl {
        &self.spec.url
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("spec", &self.spec).field("identity", &self.identity).finish_non_exhaustive()
    }
}

/// The threads on which all pools connect.
fn workers() -> Arc<ScheduledThreadPool> {
    static WORKERS: OnceLock<Arc<ScheduledThreadPool>> = OnceLock::new();
    Arc::clone(WORKERS.get_or_init(|| {
        Arc::new(ScheduledThreadPool::builder().num_threads(2).thread_name_pattern("store-connect-{}").build())
    }))
}

fn take(pool: &Pool<Manager>) -> Result<PooledConn, StoreError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let mut slot = pool.get_timeout(left).map_err(|_| {
            let message = "no connection became free within 10 s, and no new one was made";
            StoreError::new(ErrorKind::Unreachable, message)
        })?;
        match &mut *slot {
            Slot::Live(conn) => {
                session::restore(conn)?;
                return Ok(PooledConn(slot));
            }
            Slot::Failed { at, .. } if at.elapsed() > STALE => {}
            Slot::Closed => {}
            Slot::Failed { error, .. } => return Err(StoreError::new(error.kind, error.to_string())),
        }
    }
}

/// A connection, or why there is none.
enum Slot {
    Live(Box<Conn>),
    Failed { error: StoreError, at: Instant },
    Closed,
}

struct Manager {
    spec: Arc<DatabaseSpec>,
}

impl Manager {
    fn make(&self) -> Result<Conn, StoreError> {
        let (mut conn, tls) = connect::establish(&self.spec)?;
        session::apply(&mut conn, self.spec.create)?;
        session::guard(&mut conn, tls)?;
        if let Some(pin) = &self.spec.identity {
            identity::require(&mut conn, pin)?;
        }
        Ok(conn)
    }
}

impl ManageConnection for Manager {
    type Connection = Slot;
    type Error = StoreError;

    fn connect(&self) -> Result<Slot, StoreError> {
        Ok(match self.make() {
            Ok(conn) => Slot::Live(Box::new(conn)),
            Err(error) => Slot::Failed { error, at: Instant::now() },
        })
    }

    fn is_valid(&self, slot: &mut Slot) -> Result<(), StoreError> {
        match slot {
            Slot::Live(conn) => conn.ping(),
            Slot::Failed { .. } | Slot::Closed => Ok(()),
        }
    }

    fn has_broken(&self, slot: &mut Slot) -> bool {
        match slot {
            Slot::Live(conn) => conn.has_open_transaction(),
            Slot::Failed { .. } | Slot::Closed => true,
        }
    }
}

/// A connection that goes back to its pool when dropped; one with an open transaction is closed instead, and the server
/// rolls back.
pub struct PooledConn(PooledConnection<Manager>);

impl Deref for PooledConn {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        match &*self.0 {
            Slot::Live(conn) => conn,
            Slot::Failed { .. } | Slot::Closed => unreachable!("only live connections are handed out"),
        }
    }
}

impl DerefMut for PooledConn {
    fn deref_mut(&mut self) -> &mut Conn {
        match &mut *self.0 {
            Slot::Live(conn) => conn,
            Slot::Failed { .. } | Slot::Closed => unreachable!("only live connections are handed out"),
        }
    }
}
