//! What can go wrong with a file store, without a word of anybody's data in it.
//!
//! The path of a file may name a person (`recordings/jose@….wav`), so no message holds one. The store's root and the
//! names of its own folders may be shown. A caller that wants to know which of the planned files was meant asks for its
//! number.

use std::io;

use rustix::io::Errno;

/// The class of a file store's error: what a caller can act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileErrorKind {
    /// The root or its marker is not there, or the disk went away: exit code 5.
    Unreachable,
    /// The request or what was found is not acceptable (a link or mount in the way, a damaged manifest): exit code 4.
    Refused,
    /// The path names something that is not a regular file, or passes through such a thing.
    NotAFile,
    /// Somebody else was in the way: another process holds the trash, or a file was exchanged under our hands.
    Conflict,
    /// The system said no.
    Io(io::ErrorKind),
}

/// A file store's error.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct FileError {
    /// The class.
    pub kind: FileErrorKind,
    /// The number that [`plan`](super::TrashBatch::plan) gave to the file that was meant, where there was one.
    pub file: Option<usize>,
    message: String,
}

impl FileError {
    /// An error with a message that holds no path of a file.
    pub fn new(kind: FileErrorKind, message: impl Into<String>) -> Self {
        Self { kind, file: None, message: message.into() }
    }

    pub(super) fn at(self, file: usize) -> Self {
        Self { file: Some(file), ..self }
    }

    pub(super) fn from_errno(shown: &str, doing: &str, errno: Errno) -> Self {
        let (kind, what) = classify(errno);
        let what = what.map_or_else(|| errno.to_string(), str::to_owned);
        Self::new(kind, format!("{shown}: {doing}: {what}"))
    }
}

fn classify(errno: Errno) -> (FileErrorKind, Option<&'static str>) {
    match errno {
        Errno::LOOP => (FileErrorKind::Refused, Some("a symbolic link is in the way, and none is followed")),
        Errno::XDEV | Errno::BUSY => (FileErrorKind::Refused, Some("a mount is in the way, and none is crossed")),
        Errno::NOSYS => (FileErrorKind::Refused, Some("this kernel or its sandbox lacks openat2 (Linux 5.6)")),
        Errno::NOTDIR | Errno::ISDIR => (FileErrorKind::NotAFile, Some("not a regular file")),
        Errno::STALE | Errno::NODEV | Errno::NXIO | Errno::NOTCONN | Errno::SHUTDOWN => {
            (FileErrorKind::Unreachable, Some("the disk went away"))
        }
        other => (FileErrorKind::Io(io::Error::from(other).kind()), None),
    }
}

/// Why a recovery ended early.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError<E> {
    /// The file store failed.
    #[error(transparent)]
    Files(#[from] FileError),
    /// The ledger could not be asked; nothing was done for the batch in question.
    #[error("the ledger could not be asked whether it knows a batch")]
    Ledger(#[source] E),
}
