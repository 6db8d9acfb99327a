//! The desk: what a job that answers requests asks of those above it, who know how a person is found and held.

use chrono::{DateTime, Utc};

use crate::names::{JobName, PersonName};
use crate::redact::Sealed;
use crate::removal::RemovalError;
use crate::report::Gathered;
use crate::store::state::RequestRecord;

/// Where a request comes from. Its word stands in the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Somebody asked by command.
    Command,
    /// A row of a request table.
    Table,
    /// The job's own schedule.
    Schedule,
}

impl Origin {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Table => "table",
            Self::Schedule => "schedule",
        }
    }
}

/// A request to be taken in.
pub struct Asked {
    /// The kind of person.
    pub kind: PersonName,
    /// The identifiers, as `--user` and `--customer` take them.
    pub given: Vec<Sealed>,
    /// Where it comes from.
    pub origin: Origin,
    /// What it comes from, as a hash: the same makes no second request.
    pub origin_key: String,
    /// Who asked.
    pub by: String,
    /// Until when it must be answered, where that is known; else a month from now.
    pub due: Option<DateTime<Utc>>,
}

/// Takes requests in, makes their reports, and lets go of what they held.
pub trait Desk {
    /// Takes a request in: from then on the person's data is held for it. `false` when its origin made one already.
    ///
    /// # Errors
    /// [`RemovalError::Refused`] when the identifiers name nobody, or several.
    fn take(&mut self, job: &JobName, asked: &Asked) -> Result<bool, RemovalError>;

    /// Gathers the report of a request.
    ///
    /// # Errors
    /// When a store cannot be read, or nobody knows any more whom the request is about.
    fn gather(&mut self, request: &RequestRecord, language: Option<&str>) -> Result<Gathered, RemovalError>;

    /// A report is finished and its mails, of these hashes, are about to leave: that is recorded first.
    ///
    /// # Errors
    /// When the trail cannot be written: then none of them may leave.
    fn posting(&mut self, job: &JobName, request: &str, mails: &[&str]) -> Result<(), RemovalError>;

    /// No report could be made, or a mail of it was refused or given up: that is recorded.
    ///
    /// # Errors
    /// When the trail cannot be written.
    fn failed(&mut self, job: &JobName, request: &str) -> Result<(), RemovalError>;

    /// A mail of a request was taken by a server: that is recorded, with the hash of what was sent.
    ///
    /// # Errors
    /// When the trail cannot be written.
    fn sent(&mut self, job: &JobName, request: &str, sha256: &str) -> Result<(), RemovalError>;

    /// A request has ended: nothing is held for it any more.
    ///
    /// # Errors
    /// When a store cannot be reached; it is made up for by [`Desk::tidy`].
    fn ended(&mut self, request: &str) -> Result<(), RemovalError>;

    /// Lets go of what is held for requests that have ended, or never came to be.
    ///
    /// # Errors
    /// When a store cannot be reached.
    fn tidy(&mut self) -> Result<(), RemovalError>;
}
