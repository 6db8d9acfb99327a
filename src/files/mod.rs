//! Everything that removes a file, and nothing else does: file stores, beneath their roots.
//!
//! **Invariant: a file is unlinked only if a ledger row says that its row is gone.** It first moves, with a manifest
//! that says where from, into a trash folder on the same file system; the rows and the ledger row go in one
//! transaction; only then is the batch marked committed, and only a committed batch is swept once its grace is over. A
//! batch that the ledger does not know goes back to its place. Nothing outside the root is ever touched, and nothing is
//! ever overwritten. The tests that would catch a breach: `a_kill_at_any_step_…`, `a_failure_at_any_step_…` and
//! `each_state_is_durable_before_the_next` (in `crash_tests.rs`); `an_attacker_…`, `a_mount_is_never_crossed` and
//! `killed_at_random_moments_…` (in `tests/files.rs`).
//!
//! Archives are the one exception, and lie in folders of their own ([`Shelf`]): a file there is the daemon's, not the
//! operator's, and goes when its rows are still in their table or when its own time is over.
//!
//! A run: [`Root::open`] → [`Root::lock`] → [`Trash::recover`] → per batch ([`Trash::begin`], [`TrashBatch::plan`],
//! [`TrashBatch::trash_all`], *the caller's transaction*, [`TrashBatch::commit`] or [`TrashBatch::roll_back`]) →
//! [`Trash::sweep`]. A transaction whose end is not known (the connection broke during COMMIT) gets neither: the batch
//! is dropped and the next recovery asks the ledger.
//!
//! retentiond's own private folder, in which nothing of a store ever lies, is [`Spool`]: it has its own invariant.
//!
//! What it cannot promise: content with a second hard link stays reachable (counted as `linked`), and whoever may
//! exchange whole folders between the store and elsewhere decides what lies in the store.

mod beneath;
mod error;
mod manifest;
mod path;
mod recover;
mod root;
mod shelf;
mod spool;
mod template;
mod trash;
mod unnamed;

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod tests;

pub use error::{FileError, FileErrorKind, RecoverError};
pub use path::{PathRefused, RelativePath};
pub use recover::{Recovery, Swept};
pub use root::{FileFacts, Root, RootOptions, create_marker};
pub use shelf::Shelf;
pub use spool::Spool;
pub use template::{PathTemplate, TemplateRefused};
pub use trash::{Restored, Trash, TrashBatch, TrashCounts};
pub use unnamed::{Pending, unnamed};
