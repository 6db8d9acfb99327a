//! What the tests share: servers, databases, a project to run the binary in, and a look at tables from outside.
//!
//! Everything here goes through the databases' own clients (`psql`, `mariadb`, `sqlite3`), so that what a test sees does
//! not depend on the code under test. Nothing is ever skipped: where a server or a client is missing, the test fails
//! and says what to install.
#![allow(
    dead_code,
    unused_imports,
    reason = "each test file is a crate of its own and uses only a part of this module"
)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper that fails must fail its test")]

pub mod fake_smtp;
pub mod mail_server;
pub mod project;
pub mod random;
pub mod server;
pub mod tables;

pub use project::{Output, Project};
pub use random::Random;
pub use server::{Server, mariadb, postgres, run_sql, sqlite, try_sql};
pub use tables::{dump, snapshot};

/// The present, which the program's own clock tells too.
#[expect(clippy::disallowed_methods, reason = "a run takes the present instant only")]
pub fn now() -> chrono::DateTime<chrono::Utc> {
    chrono::Utc::now()
}
