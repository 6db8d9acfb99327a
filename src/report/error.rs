//! Why there is no report. No message holds a value of a row.

use crate::graph::walk::find::MOST_FOUND;
use crate::removal::RemovalError;
use crate::store::StoreError;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A search by address finds too much to be about one person.
    #[error(
        "the search matches more than {MOST_FOUND} rows, too many to be about one person; leave the widest address out, or narrow it with --from and --to"
    )]
    TooMany,
    /// A database.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// A file or folder of this machine.
    #[error("the report cannot be written: {0}")]
    Write(#[from] std::io::Error),
    /// A language or a template that the operator named.
    #[error("{0}")]
    Texts(String),
    /// There is no PDF, for this reason.
    #[error("there is no PDF: {0}")]
    NoPdf(String),
}

impl From<ReportError> for RemovalError {
    fn from(error: ReportError) -> Self {
        match error {
            ReportError::Store(error) => Self::Store(error),
            ReportError::TooMany => Self::Refused(error.to_string()),
            ReportError::Write(_) | ReportError::Texts(_) | ReportError::NoPdf(_) => Self::Doubt(error.to_string()),
        }
    }
}
