//! The servers, and SQL sent to a database by its own client.
//!
//! One PostgreSQL and one MariaDB serve all test processes. `servers.sh` starts and stops them; `make test` runs the
//! tests within it and says where they are in `RETENTIOND_TEST_POSTGRES` and `RETENTIOND_TEST_MARIADB`. Without these
//! variables the first test that needs a server has it started. Each process holds a shared lock on `users.lock` while
//! it lives, and the script's watchdog stops the servers when nobody holds it any more.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

/// A running server.
pub struct Server {
    base: String,
    /// Held while this process lives; absent where somebody else keeps the server up.
    _in_use: Option<File>,
}

/// PostgreSQL: user `postgres`, no password. Its own zone is Pacific/Kiritimati; write zones into literals.
pub fn postgres() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| Server::find("postgres", "RETENTIOND_TEST_POSTGRES"))
}

/// MariaDB: user `root`, no password, utf8mb4. Its own zone is +13:00.
pub fn mariadb() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| Server::find("mariadb", "RETENTIOND_TEST_MARIADB"))
}

/// An empty SQLite database and the directory that it lives in: keep the directory as long as the database.
pub fn sqlite() -> (TempDir, String) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("store.db");
    File::create(&file).expect("an empty file is an empty SQLite database");
    let url = format!("sqlite:{}", file.display());
    (dir, url)
}

impl Server {
    fn find(name: &str, variable: &str) -> Server {
        match std::env::var(variable) {
            Ok(base) if !base.is_empty() => Server { base, _in_use: None },
            _ => Server::start(name),
        }
    }

    fn start(name: &str) -> Server {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/servers.sh");
        let ask = |what: &[&str]| {
            let output = Command::new(&script).args(what).stdin(Stdio::null()).output().expect("servers.sh runs");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "no {name} server for this test:\n{said}\n`make deps` installs it");
            String::from_utf8(output.stdout).expect("an address").trim().to_owned()
        };
        // In this order: once the lock is held, no watchdog stops what the script then finds running or starts.
        let lock = PathBuf::from(ask(&["dir"])).join("users.lock");
        let in_use = File::create(&lock).expect("the lock file of the servers");
        in_use.lock_shared().expect("a shared lock");
        Server { base: ask(&["start", name]), _in_use: Some(in_use) }
    }

    /// The address of the database called `db`, which need not exist.
    pub fn url(&self, db: &str) -> String {
        format!("{}/{db}", self.base)
    }

    /// The address of the server itself, without a database: `postgres://postgres@127.0.0.1:PORT`.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Creates an empty database and gives its address. It is dropped some time after this process has ended.
    pub fn fresh_database(&self) -> String {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        // The number of a process comes back some day; the random end of a UUID does not.
        let random = uuid::Uuid::now_v7().simple().to_string()[20..].to_owned();
        let name = format!("t{}_{}_{random}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let maintenance = if self.base.starts_with("mysql") { "mysql" } else { "postgres" };
        run_sql(&self.url(maintenance), &format!("CREATE DATABASE {name}"));
        self.url(&name)
    }
}

/// Sends `sql` (any number of statements) to the database and gives what its client prints: a line a row, columns
/// separated by tabs, without headings. The session is in UTC. The test fails if a statement does.
pub fn run_sql(url: &str, sql: &str) -> String {
    try_sql(url, sql).unwrap_or_else(|said| panic!("{url} refused a statement of the test:\n{said}\n{sql}"))
}

/// As [`run_sql`], but gives back what the client says when a statement fails.
pub fn try_sql(url: &str, sql: &str) -> Result<String, String> {
    let mut command = client(url);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child = command.spawn().unwrap_or_else(|e| panic!("`{program}` does not start ({e}): run `make deps`"));
    let mut input = child.stdin.take().expect("stdin is piped");
    let sql = sql.to_owned();
    // A thread of its own: a client that prints before it has read everything would otherwise wait for us for ever.
    let writer = std::thread::spawn(move || input.write_all(sql.as_bytes()));
    let output = child.wait_with_output().expect("the client ends");
    let written = writer.join().expect("the writer ends");
    if output.status.success() && written.is_ok() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// The client for an address, told to print bare tab-separated rows, to stop at the first error and to be in UTC.
pub fn client(url: &str) -> Command {
    if let Some(path) = url.strip_prefix("sqlite:") {
        let mut command = Command::new("sqlite3");
        command.args(["-batch", "-bail", "-noheader", "-separator", "\t", "-cmd", ".timeout 10000"]);
        command.args(["-cmd", "PRAGMA foreign_keys=ON", path]);
        return command;
    }
    if let Some(rest) = url.strip_prefix("mysql://") {
        let (user, host, port, db) = parts(rest);
        let mut command = Command::new("mariadb");
        command.args(["--no-defaults", "--batch", "--raw", "--skip-column-names", "--default-character-set=utf8mb4"]);
        command.args(["--protocol=tcp", "--init-command=SET time_zone='+00:00'"]);
        command.arg(format!("--user={user}")).arg(format!("--host={host}")).arg(format!("--port={port}")).arg(db);
        return command;
    }
    let mut command = Command::new("psql");
    command.args(["-XqAt", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-d", url]);
    command.env("PGTZ", "UTC").env("PGCLIENTENCODING", "UTF8").env("PGOPTIONS", "-c client_min_messages=warning");
    command
}

/// `user@host:port/db` in its parts.
fn parts(address: &str) -> (&str, &str, &str, &str) {
    let (user, rest) = address.split_once('@').expect("an address with a user");
    let (place, db) = rest.split_once('/').expect("an address with a database");
    let (host, port) = place.split_once(':').expect("an address with a port");
    (user, host, port, db.split('?').next().unwrap_or_default())
}
