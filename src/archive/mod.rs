//! Rows written to files before they go: each file closed, read back and compared, with a manifest beside it.
//!
//! ```text
//! <file store>/<job>/<batch>.jsonl.zst.pending    written and read back; its rows are still in their table
//!                   <batch>.jsonl.zst             its rows are gone: the store's ledger knows the batch
//!                   <batch>.json                  the manifest
//!                   <batch>.expired               the manifest of one that is being removed
//! ```
//!
//! **Invariant.** A row is in its table or in an archive that was read back, and after each run in one of them alone: a
//! file becomes an archive (loses `.pending`) only when the ledger in the rows' own database knows its batch, and a
//! pending file is removed only when the ledger does not, while nobody else can commit that batch. An archive goes when
//! its own `keep` has run out, counted from its newest row. A file whose name is not of this pattern (a batch is a run's
//! id and a number) is somebody else's, and never touched. Tests: `archives`.

mod column;
mod csv;
mod format;
mod jsonl;
mod manifest;
#[cfg_attr(not(feature = "parquet"), path = "parquet/without.rs")]
mod parquet;
mod reading;
mod sealing;
mod settling;
mod shelved;
mod writing;

pub use column::{Archived, Digits};
pub use format::Format;
pub use manifest::Manifest;
pub use reading::{Rows, Values};
pub use sealing::{Keys, Recipient};
pub use settling::{Unsettled, undo, unsettled};
pub use shelved::{Folder, Shelved, is_over, remove, survey};
pub use writing::{Frame, Writer, promote};

use crate::files::FileError;

/// Whether a file of this name in a folder of archives is ours; whatever else lies there is never touched.
pub fn is_own(name: &str) -> bool {
    manifest::Named::read(name).is_some()
}

/// Why an archive cannot be written, read or trusted.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The file store.
    #[error("{0}")]
    Files(#[from] FileError),
    /// Reading or writing the file itself.
    #[error("archive {name}: {what}")]
    Broken {
        /// Its name.
        name: String,
        /// What is wrong, without anything of its content.
        what: String,
    },
}

impl ArchiveError {
    fn broken(name: &str, what: impl Into<String>) -> Self {
        Self::Broken { name: name.to_owned(), what: what.into() }
    }

    /// An error of reading or writing; its text comes from the system or from a library, never from a row.
    fn io(name: &str, error: &std::io::Error) -> Self {
        Self::broken(name, error.to_string())
    }
}
