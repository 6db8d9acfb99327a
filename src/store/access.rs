//! What a transaction may do, and how each database is told so.

use super::Backend;

/// What a transaction may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reads one consistent snapshot; the database itself refuses writes.
    ReadOnly,
    /// Writes.
    ReadWrite,
    /// The same, and on PostgreSQL no statement takes longer than a tenth of a second.
    Brief,
    /// Writes, and sees rows as they were when it began: on PostgreSQL through one snapshot, on SQLite because nobody else
    /// writes meanwhile. MariaDB has no such transaction for statements that write; there the rows must be locked first.
    Snapshot,
}

impl Access {
    /// The SQL with which such a transaction begins.
    pub(in crate::store) fn begins(self, backend: Backend) -> &'static str {
        match (backend, self) {
            (Backend::Postgres, Self::ReadOnly) => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            (Backend::Postgres, Self::ReadWrite) => "BEGIN READ WRITE",
            (Backend::Postgres, Self::Brief) => "BEGIN READ WRITE; SET LOCAL statement_timeout = 100",
            (Backend::Postgres, Self::Snapshot) => "BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE",
            (Backend::Mysql, Self::ReadOnly) => "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
            (Backend::Mysql, Self::ReadWrite | Self::Brief | Self::Snapshot) => "START TRANSACTION READ WRITE",
            (Backend::Sqlite, Self::ReadOnly) => "BEGIN DEFERRED",
            (Backend::Sqlite, Self::ReadWrite | Self::Brief | Self::Snapshot) => "BEGIN IMMEDIATE",
        }
    }
}
