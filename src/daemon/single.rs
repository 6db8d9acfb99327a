//! One daemon alone works with a state on SQLite.
//!
//! The lock is the kernel's own and on a file beside the database, so it ends with its process, however that ends; closing
//! the database file itself would take away the locks that SQLite has on it.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;

use crate::control::{Exit, Failure};
use crate::store::url::StoreUrl;

/// Held as long as the daemon lives.
pub(super) struct Single(#[expect(dead_code, reason = "it is held, not used")] Option<File>);

impl Single {
    /// Takes the lock of a state on SQLite. Elsewhere daemons share the state.
    ///
    /// # Errors
    /// When another daemon has it.
    pub fn take(state: &StoreUrl) -> Result<Self, Failure> {
        let StoreUrl::Sqlite(path) = state else { return Ok(Self(None)) };
        let mut lock = path.clone().into_os_string();
        lock.push(".lock");
        let failed = |error: std::io::Error| {
            Failure::new(Exit::Unreachable, format!("error: {}: {error}", std::path::Path::new(&lock).display()))
        };
        let file =
            OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&lock).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(Some(file))),
            Err(TryLockError::WouldBlock) => Err(Failure::new(
                Exit::Braked,
                format!(
                    "error: another daemon works with {}; several daemons need a state on PostgreSQL or MariaDB",
                    path.display()
                ),
            )),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}
