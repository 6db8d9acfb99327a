//! Telling the triggers of a capture that what follows is a removal of retentiond's own.
//!
//! **Invariant.** What retentiond removes or anonymises leaves no row in `retentiond_changes`: it stands in the ledger, in
//! the same transaction, and in the trail, without the keys of those who were erased. Nobody else can pass the triggers by:
//! a session says what only a role that may read `retentiond_capture_key` can say, and the triggers know its hash. SQLite
//! has no sessions; whoever may write the file may drop its triggers, too. There a row in `retentiond_actor` says it, and
//! that row is there within the transaction alone. Where a store captures and the key cannot be read, nothing is removed;
//! but MariaDB hides the table from a role without any privilege on it, and what such a role removes is captured.
//! Tests: `capture`.

use super::target::capture::{ACTOR, KEY, REMOVES, password};
use super::{Backend, Conn, ErrorKind, Stmt, StoreError};

/// What is known of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Captures {
    /// It was not asked yet.
    Unknown,
    /// Nothing is captured in this database.
    Not,
    /// Something is, and the session has said what it is about to do.
    Told,
}

impl Conn {
    /// Says it, once for a connection from the pool. Before a transaction begins.
    ///
    /// # Errors
    /// When changes are captured here, and the role may not read the key.
    pub fn announce_removal(&mut self) -> Result<(), StoreError> {
        if self.captures == Captures::Unknown {
            self.captures = if self.captures_changes()? { Captures::Told } else { Captures::Not };
        }
        Ok(())
    }

    /// What else belongs before the first statement of a transaction that removes rows.
    ///
    /// # Errors
    /// What the database said.
    pub fn begin_removal(&mut self) -> Result<(), StoreError> {
        self.note_removal("INSERT INTO retentiond_actor (name) VALUES (", ")")
    }

    /// What belongs behind the last one.
    ///
    /// # Errors
    /// What the database said.
    pub fn end_removal(&mut self) -> Result<(), StoreError> {
        self.note_removal("DELETE FROM retentiond_actor WHERE name = ", "")
    }

    /// Takes back what was said; the next user of the connection may be somebody else.
    pub(in crate::store) fn forget_removal(&mut self) -> Result<(), StoreError> {
        if std::mem::replace(&mut self.captures, Captures::Unknown) == Captures::Told {
            self.say_removal("")?;
        }
        Ok(())
    }

    fn note_removal(&mut self, before: &'static str, after: &'static str) -> Result<(), StoreError> {
        if self.captures == Captures::Told && self.backend() == Backend::Sqlite {
            self.execute(Stmt::new(before).policy(REMOVES).sql(after))?;
        }
        Ok(())
    }

    fn captures_changes(&mut self) -> Result<bool, StoreError> {
        let name = if self.backend() == Backend::Sqlite { ACTOR } else { KEY };
        let mut there = match self.backend() {
            Backend::Postgres => Stmt::new("SELECT CAST(to_regclass("),
            Backend::Mysql => Stmt::new(
                "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ",
            ),
            Backend::Sqlite => Stmt::new("SELECT name FROM sqlite_master WHERE type = 'table' AND name = "),
        };
        there.policy(name).sql(if self.backend() == Backend::Postgres { ") AS text)" } else { "" });
        if self.catalog_rows(&there)?.first().and_then(|row| row.plain(0)).is_none() {
            return Ok(false);
        }
        if self.backend() == Backend::Sqlite {
            return Ok(true);
        }
        let Some(secret) = self.capture_key()? else { return Ok(false) };
        self.say_removal(&password(&secret))?;
        Ok(true)
    }

    /// The key of hashed values, in a database that has a table for it.
    ///
    /// # Errors
    /// When the role may not read it: then the message says what to grant.
    pub fn capture_key(&mut self) -> Result<Option<String>, StoreError> {
        let rows = self.rows(&Stmt::new("SELECT secret FROM retentiond_capture_key LIMIT 1")).map_err(|error| {
            if error.kind != ErrorKind::Permission {
                return error;
            }
            let message = "changes are captured in this database (`retentiond audit capture`), and what retentiond removes \
                           is not to be captured; the role needs the privilege SELECT on retentiond_capture_key";
            StoreError::new(ErrorKind::Permission, message)
        })?;
        Ok(rows.first().and_then(|row| row.plain(0)).map(str::to_owned))
    }

    fn say_removal(&mut self, password: &str) -> Result<(), StoreError> {
        match self.backend() {
            Backend::Postgres => {
                let mut stmt = Stmt::new("SELECT set_config('retentiond.removes', ");
                stmt.value(password).sql(", false)");
                self.catalog_rows(&stmt)?;
            }
            Backend::Mysql => {
                let mut stmt = Stmt::new("SET @retentiond_removes = ");
                stmt.value(password);
                self.execute(&stmt)?;
            }
            Backend::Sqlite => {}
        }
        Ok(())
    }
}
