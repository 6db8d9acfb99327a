//! What a batch folder in the trash says about itself: `intent`, and later `committed`.
//!
//! Both are written durably and whole. The paths in them are personal data; they lie beside the files they name, for
//! nobody but the daemon (0600 in 0700), and go with them.

use chrono::{DateTime, Utc};
use rustix::fd::AsFd;
use rustix::fs::Mode;
use rustix::io::{Errno, Result};
use serde::{Deserialize, Serialize};

use super::beneath;
use super::path::RelativePath;
use crate::redact::Sealed;

pub(super) const INTENT: &str = "intent";
pub(super) const COMMITTED: &str = "committed";
const VERSION: u32 = 1;
const PRIVATE: Mode = Mode::RUSR.union(Mode::WUSR);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    batch: String,
    files: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    path: String,
    name: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    version: u32,
    batch: String,
    at: DateTime<Utc>,
}

/// The name in the trash of the n-th file of a batch.
pub(super) fn name_of(number: usize) -> String {
    number.to_string()
}

pub(super) fn write_intent(folder: impl AsFd, batch: &str, files: &[RelativePath]) -> Result<()> {
    let entry = |(number, path): (usize, &RelativePath)| Entry { path: path.text().to_owned(), name: name_of(number) };
    let files = files.iter().enumerate().map(entry).collect();
    write(folder, INTENT, &Document { version: VERSION, batch: batch.to_owned(), files })
}

/// The planned files in order; `Ok(None)` where there is no manifest, `EBADMSG` where it is not one of ours.
///
/// The paths are checked again: whoever wrote into the trash must not choose where a file is put back to.
pub(super) fn read_intent(folder: impl AsFd, batch: &str) -> Result<Option<Vec<RelativePath>>> {
    let Some(document) = read::<Document>(folder, INTENT)? else {
        return Ok(None);
    };
    if document.version != VERSION || document.batch != batch {
        return Err(Errno::BADMSG);
    }
    let mut files = Vec::with_capacity(document.files.len());
    for (number, entry) in document.files.into_iter().enumerate() {
        if entry.name != name_of(number) {
            return Err(Errno::BADMSG);
        }
        files.push(RelativePath::parse(&Sealed::new(entry.path)).map_err(|_| Errno::BADMSG)?);
    }
    Ok(Some(files))
}

/// Marks the batch committed; a batch that is so already keeps its instant.
pub(super) fn write_committed(folder: impl AsFd, batch: &str, at: DateTime<Utc>) -> Result<()> {
    match write(folder, COMMITTED, &Record { version: VERSION, batch: batch.to_owned(), at }) {
        Err(Errno::EXIST) => Ok(()),
        other => other,
    }
}

/// When the batch was committed, if it was.
pub(super) fn read_committed(folder: impl AsFd, batch: &str) -> Result<Option<DateTime<Utc>>> {
    match read::<Record>(folder, COMMITTED)? {
        None => Ok(None),
        Some(record) if record.version == VERSION && record.batch == batch => Ok(Some(record.at)),
        Some(_) => Err(Errno::BADMSG),
    }
}

fn write(folder: impl AsFd, name: &str, content: &impl Serialize) -> Result<()> {
    let content = serde_json::to_vec(content).map_err(|_| Errno::INVAL)?;
    beneath::write_durably(folder, name, &content, PRIVATE)
}

fn read<T: for<'de> Deserialize<'de>>(folder: impl AsFd, name: &str) -> Result<Option<T>> {
    let content = beneath::read(folder, name)?;
    content.map(|content| serde_json::from_slice(&content).map_err(|_| Errno::BADMSG)).transpose()
}
