//! What can go wrong with a store, without a word of anybody's data in it.
//!
//! Databases quote values in their messages ("Duplicate entry 'jose@…' for key"). Statements that touch rows therefore
//! report the class of the error and the constraint, never the message; statements that touch only catalogs, settings
//! or retentiond's own tables may show it.

use diesel::result::{DatabaseErrorKind, Error as DieselError};

/// The class of a store's error: what a caller can act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The server, file or network is not there: exit code 5.
    Unreachable,
    /// The store is reachable but not what was expected (wrong database, standby, read-only, no TLS): exit code 5.
    Refused,
    /// A lock was not granted in time; a smaller batch may do.
    LockTimeout,
    /// A statement took too long; a smaller batch may do.
    StatementTimeout,
    /// The database broke a deadlock or a serialization conflict at our cost; trying again is right.
    Conflict,
    /// A foreign key forbids the change.
    ForeignKey,
    /// Another constraint forbids the change.
    Constraint,
    /// The role may not do this.
    Permission,
    /// A value in a table of retentiond's own is not of its column's type: somebody has written there.
    Garbled,
    /// Anything else.
    Other,
}

/// A store's error.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct StoreError {
    /// The class.
    pub kind: ErrorKind,
    message: String,
}

impl StoreError {
    /// An error with a message that holds no personal data.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// Whether trying again, perhaps with less, can help.
    pub fn is_transient(&self) -> bool {
        matches!(self.kind, ErrorKind::LockTimeout | ErrorKind::StatementTimeout | ErrorKind::Conflict)
    }

    /// Puts what was being done before the message.
    #[must_use]
    pub fn context(self, doing: &str) -> Self {
        Self { kind: self.kind, message: format!("{doing}: {}", self.message) }
    }

    /// From a statement that touches rows: the message of the database stays out.
    pub(in crate::store) fn from_rows(error: &DieselError) -> Self {
        tracing::debug!(target: crate::redact::PERSONAL, "a statement on rows failed: {error}");
        let (kind, detail) = classify(error);
        let message = match (kind, detail) {
            (kind, Some(name)) => format!("{} ({name})", class_text(kind)),
            (kind, None) => class_text(kind).to_owned(),
        };
        Self { kind, message }
    }

    /// From a statement that touches no rows of an application.
    pub(in crate::store) fn from_catalog(error: &DieselError) -> Self {
        let kind = match error {
            DieselError::DeserializationError(_) => ErrorKind::Garbled,
            _ => classify(error).0,
        };
        Self { kind, message: error.to_string() }
    }
}

fn class_text(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Unreachable => "the connection to the database was lost",
        ErrorKind::Refused => "the database refused",
        ErrorKind::LockTimeout => "a lock was not granted in time",
        ErrorKind::StatementTimeout => "a statement took too long",
        ErrorKind::Conflict => "another transaction was in the way (deadlock or serialization conflict)",
        ErrorKind::ForeignKey => "a foreign key forbids the change",
        ErrorKind::Constraint => "a constraint forbids the change",
        ErrorKind::Permission => "the database role lacks the privilege",
        ErrorKind::Garbled => "a value is not of its column's type",
        ErrorKind::Other => "the database reported an error (its message is withheld, since it may quote a value)",
    }
}

fn classify(error: &DieselError) -> (ErrorKind, Option<String>) {
    let DieselError::DatabaseError(kind, info) = error else {
        return (ErrorKind::Other, None);
    };
    let kind = match kind {
        DatabaseErrorKind::ForeignKeyViolation | DatabaseErrorKind::RestrictViolation => ErrorKind::ForeignKey,
        DatabaseErrorKind::UniqueViolation
        | DatabaseErrorKind::NotNullViolation
        | DatabaseErrorKind::CheckViolation
        | DatabaseErrorKind::ExclusionViolation => ErrorKind::Constraint,
        DatabaseErrorKind::SerializationFailure => ErrorKind::Conflict,
        DatabaseErrorKind::ReadOnlyTransaction => ErrorKind::Refused,
        DatabaseErrorKind::ClosedConnection => ErrorKind::Unreachable,
        _ => by_message(info.message()),
    };
    let constraint = info.constraint_name().or_else(|| info.table_name()).map(str::to_owned);
    (kind, constraint.or_else(|| foreign_key_in(kind, info.message())))
}

/// MariaDB names a foreign key only in its words, which for this error hold names and no values.
fn foreign_key_in(kind: ErrorKind, message: &str) -> Option<String> {
    if kind != ErrorKind::ForeignKey {
        return None;
    }
    let (_, after) = message.split_once("CONSTRAINT `")?;
    after.split_once('`').map(|(name, _)| name.to_owned())
}

/// Classes that the drivers do not tell apart, by the words of the servers (in English, which the session asks for).
///
/// Phrases are whole enough that a value quoted in some other message is not taken for one. A statement cancelled by a
/// person ("due to user request") is in no class on purpose: trying again would be against their will.
const PHRASES: [(ErrorKind, &[&str]); 7] = [
    (
        ErrorKind::LockTimeout,
        &[
            "canceling statement due to lock timeout",
            "could not obtain lock on",
            "lock wait timeout exceeded",
            "database is locked",
            "database table is locked",
            "database schema is locked",
        ],
    ),
    (
        ErrorKind::StatementTimeout,
        &[
            "canceling statement due to statement timeout",
            "max_statement_time exceeded",
            "maximum statement execution time exceeded",
        ],
    ),
    (
        ErrorKind::Conflict,
        &[
            "deadlock detected",
            "deadlock found when trying to get lock",
            "could not serialize access",
            "canceling statement due to conflict with recovery",
            "record has changed since last read",
        ],
    ),
    (ErrorKind::ForeignKey, &["a foreign key constraint fails", "foreign key constraint failed"]),
    (
        ErrorKind::Refused,
        &[
            "attempt to write a readonly database",
            "running with the --read-only option",
            "running with the --super-read-only option",
            "in a read-only transaction",
            "file is not a database",
            "database disk image is malformed",
        ],
    ),
    (
        ErrorKind::Permission,
        &[
            "permission denied for",
            "permission denied to",
            "must be owner of",
            "violates row-level security policy",
            "query would be affected by row-level security",
            "command denied to user",
            "access denied for user",
            "access denied; you need",
        ],
    ),
    (
        ErrorKind::Unreachable,
        &[
            "server closed the connection",
            "connection refused",
            "broken pipe",
            "connection reset",
            "connection timed out",
            "gone away",
            "terminating connection",
            "terminating background worker",
            "no connection to the server",
            "input/output error",
            "connection closed",
            "connection was killed",
            "connection to the server was lost",
            "could not connect",
            "could not receive data from server",
            "could not send data to server",
            "ssl connection has been closed",
            "server shutdown in progress",
            "the database system is",
            "unable to open database file",
        ],
    ),
];

fn by_message(message: &str) -> ErrorKind {
    let text = message.to_ascii_lowercase();
    let known = PHRASES.iter().find(|(_, phrases)| phrases.iter().any(|phrase| text.contains(phrase)));
    match known {
        Some((kind, _)) => *kind,
        // CONSTRAINT `positive` failed for `db`.`t`: MariaDB's CHECK, which the driver does not know.
        None if text.starts_with("constraint `") && text.contains("` failed for ") => ErrorKind::Constraint,
        None => ErrorKind::Other,
    }
}
