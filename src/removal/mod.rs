//! Removing rows and their files, batch by batch.
//!
//! **Invariant.** A row is removed or overwritten only by a statement that carries the whole condition of its rule
//! ([`crate::graph::Due`]), or by the list of keys of rows that were locked under that condition in the same transaction.
//! Each batch is one transaction with its ledger row in it, begun under the gate and the lease's fencing token; the count
//! is the one that the database gave back. Batches without files are on disk before the run is told to be over
//! ([`crate::store::Conn::settle`]); those with files, each before its files are given up. Nothing is begun after a stop,
//! outside the window, past the budget or without the lease. So a run that is killed anywhere is simply run again.
//! A run also stops when a
//! table that it touches has changed since its plan ([`Watch`]). Tests: `conformance`, `killed`, `schema_changes`.

mod batch;
mod chosen;
mod files;
mod gone;
mod key_lists;
mod last_look;
mod look;
mod overwriting;
mod pace;
mod persons;
pub mod probe;
mod rows;
mod run;
mod sets;
mod task;
mod watch;
mod windows;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use crate::clock::Clock;
use crate::files::FileError;
use crate::graph::Graph;
use crate::graph::stores::Stores;
use crate::names::{DataName, StoreName};
use crate::plan::Action;
use crate::redact::Sealed;
use crate::stop::Stop;
use crate::store::StoreError;
use crate::store::folded::Fold;
use crate::trail::{RunTrail, TrailError};

pub(crate) use batch::{Committed, Part, Undone, enter as enter_gate, next_id, refused_rows, settle, transact_in};
pub use files::{Recovery, recover_files, sweep_files};
pub(crate) use gone::delete_rows;
pub(crate) use pace::Throttle;
pub use pace::{Pace, TARGET};
pub use persons::{goes_along, together};
pub use run::{choose_strategy, remove};
pub use task::{Branch, Task, branches, references};
pub use watch::Watch;
pub(crate) use windows::{blocked, note, open, open_store};

/// How a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Halt {
    /// A stop signal, or a pause.
    Stopped,
    /// The window closed or the time budget is used up.
    Truncated,
}

/// What stopped a run with an error.
#[derive(Debug, thiserror::Error)]
pub enum RemovalError {
    /// A database.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// A file store.
    #[error("{0}")]
    Files(#[from] FileError),
    /// Another process holds the lease now.
    #[error("another process took this job over; nothing was done under the lost lease")]
    Overtaken,
    /// The database did not do as it was told.
    #[error("{0}")]
    Doubt(String),
    /// The mail server, or how it is spoken to.
    #[error("{0}")]
    Mail(crate::mail::MailError),
    /// It was not begun, for this reason.
    #[error("{0}")]
    Refused(String),
}

impl From<TrailError> for RemovalError {
    fn from(error: TrailError) -> Self {
        match error {
            TrailError::Store(error) => {
                Self::Store(error.context("the audit trail cannot be written, so nothing is done"))
            }
            TrailError::Ended => Self::Overtaken,
            other => Self::Doubt(format!("{other}; nothing is done without it")),
        }
    }
}

/// Whether the run may begin its next batch; asked between batches, outside any transaction.
pub trait Permit {
    /// `None`: go on.
    ///
    /// # Errors
    /// When the lease is lost or the state cannot be reached.
    fn next(&mut self) -> Result<Option<Halt>, RemovalError>;

    /// Whether the run still has its lease; asked within each batch's transaction, by a clock that counts the time for
    /// which the process was suspended.
    fn holds(&self) -> bool;

    /// The batch that a store's ledger must know: asked within each batch's transaction, so that a database which was
    /// restored meanwhile is noticed before anything goes.
    fn last_batch(&self, store: &StoreName) -> Option<String>;

    /// A batch of a store was committed with its ledger row.
    fn committed(&self, store: &StoreName, batch: &str);

    /// The last batches of a store may never have come to its disk: its server went away before it said so.
    fn unsettled(&self, store: &StoreName);

    /// The run's trail: no batch begins that is not intended there.
    fn trail(&self) -> &RunTrail;
}

/// What is said of a store whose ledger does not know a batch that was committed there.
pub fn restored(store: &StoreName) -> String {
    format!(
        "store `{store}` was restored: its ledger is older than our memory of it, so persons who were erased may be back. Nothing was removed; `retentiond replay {store}` erases them again and lets jobs go on"
    )
}

/// Hears what has been done, after it was committed.
pub trait Progress {
    /// A batch of a step was committed.
    fn batch(&mut self, removed: &Removed);
}

/// One committed batch, as the progress hears it.
#[derive(Clone, Debug)]
pub struct Removed {
    /// The entry.
    pub data: DataName,
    /// The rule.
    pub rule: String,
    /// What was done.
    pub action: Action,
    /// Rows, as the database counted them.
    pub rows: u64,
    /// Files moved to the trash.
    pub files: u64,
}

/// What a run needs throughout.
pub struct Context<'a> {
    /// The map.
    pub graph: &'a Graph,
    /// The stores.
    pub stores: &'a Stores,
    /// The clock for ledger rows and commit records.
    pub clock: Clock,
    /// The stop flag, asked while waiting.
    pub stop: Stop,
    /// The run's id; batch ids begin with it.
    pub run: String,
    /// The job.
    pub job: String,
    /// The lease's fencing token.
    pub token: i64,
    /// Stores with retentiond's tables in them.
    pub ledgers: BTreeMap<StoreName, bool>,
    /// How fast.
    pub pace: Pace,
    /// Keys of keyed hashes, by entry and column.
    pub hash_keys: BTreeMap<(DataName, String), Sealed>,
    /// Asked between batches.
    pub permit: &'a mut dyn Permit,
    /// Hears of each batch.
    pub progress: &'a mut dyn Progress,
    /// What each committed transaction took.
    pub transactions: Vec<Duration>,
    /// Batches begun, for their ids.
    pub batches: u64,
    /// Which rows were counted and stay, by store, as far as it was asked for.
    pub folds: RefCell<BTreeMap<StoreName, Vec<Fold>>>,
    /// Looks whether the tables are still the same.
    pub watch: Watch,
}

/// What one task did, by entry and action.
#[derive(Clone, Debug, Default)]
pub struct Done {
    /// Rows and files.
    pub counts: BTreeMap<(DataName, Action), (u64, u64)>,
    /// Rows that stay because their path is refused.
    pub refused: u64,
    /// Files that were not there.
    pub missing: u64,
}

impl Done {
    pub(crate) fn add(&mut self, data: &DataName, action: Action, rows: u64, files: u64) {
        let count = self.counts.entry((data.clone(), action)).or_default();
        count.0 += rows;
        count.1 += files;
    }
}
