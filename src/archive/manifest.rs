//! What is said of an archive: enough to check it, to read it and to know when it goes. Nothing of its content.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::column::Archived;
use super::format::Format;
use crate::redact::Sealed;

/// The ending of a file whose rows are still in their table.
pub(super) const PENDING: &str = ".pending";
/// The version of manifests.
pub(super) const VERSION: u32 = 1;

/// The manifest of one archive.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The version of this form.
    pub version: u32,
    /// The batch, as the ledger in the rows' database knows it.
    pub batch: String,
    /// The run.
    pub run: String,
    /// The job.
    pub job: String,
    /// The data entry.
    pub data: String,
    /// Its store.
    pub store: String,
    /// Its table.
    pub table: String,
    /// How the rows are written.
    pub format: Format,
    /// The public key that the file is encrypted to.
    pub encrypted_to: Option<String>,
    /// The columns, in their order.
    pub columns: Vec<Archived>,
    /// How many rows.
    pub rows: u64,
    /// How long the file is.
    pub bytes: u64,
    /// SHA-256 of the file.
    pub sha256: String,
    /// SHA-256 over the rows' values, whatever the format: for each value a byte (0: NULL, 1: text), and for a text its
    /// length (64 bits, big-endian) and its UTF-8. None of an encrypted file: it would tell equal content from other.
    pub rows_sha256: Option<String>,
    /// The time of the oldest row.
    pub oldest: DateTime<Utc>,
    /// The time of the newest row: `keep` counts from it.
    pub newest: DateTime<Utc>,
    /// When it was written.
    pub written_at: DateTime<Utc>,
}

impl Manifest {
    /// The name of its file, once its rows are gone.
    pub fn file(&self) -> String {
        file(&self.batch, self.format, self.encrypted_to.is_some())
    }
}

pub(super) fn file(batch: &str, format: Format, encrypted: bool) -> String {
    format!("{batch}.{}{}", format.as_str(), if encrypted { ".age" } else { "" })
}

pub(super) fn name(batch: &str) -> String {
    format!("{batch}.json")
}

/// What a file in a folder of archives is, by its name: that of a batch, and one of our endings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named<'n> {
    /// The manifest of a batch.
    Manifest(&'n str),
    /// A manifest that was not written to its end.
    Half,
    /// The manifest of an archive that is being removed.
    Expired(&'n str),
    /// An archive.
    Archive(&'n str),
    /// A file whose rows are still in their table, as far as is known.
    Pending {
        /// The batch.
        batch: &'n str,
        /// The name that it has as an archive.
        file: &'n str,
    },
}

impl<'n> Named<'n> {
    /// `None`: somebody else's file, which is never touched.
    pub fn read(name: &'n str) -> Option<Self> {
        let (batch, ending) = name.split_once('.').filter(|(batch, _)| is_batch(batch))?;
        let is_archive = |ending: &str| {
            let plain = ending.strip_suffix(".age").unwrap_or(ending);
            Format::ALL.iter().any(|format| format.as_str() == plain)
        };
        match ending {
            "json" => Some(Self::Manifest(batch)),
            "json.tmp" => Some(Self::Half),
            "expired" => Some(Self::Expired(batch)),
            _ if is_archive(ending) => Some(Self::Archive(batch)),
            _ => {
                let file = name.strip_suffix(PENDING)?;
                ending.strip_suffix(PENDING).is_some_and(is_archive).then_some(Self::Pending { batch, file })
            }
        }
    }
}

/// A run's id (a UUID) and the number of a batch.
fn is_batch(text: &str) -> bool {
    let (run, number) = text.split_at_checked(36).unwrap_or_default();
    let number = number.strip_prefix('-').unwrap_or_default();
    uuid::Uuid::try_parse(run).is_ok() && number.len() >= 6 && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// The digest over rows.
#[derive(Default)]
pub(super) struct RowsDigest(Sha256);

impl RowsDigest {
    pub fn row(&mut self, row: &[Option<Sealed>]) {
        for value in row {
            match value {
                None => self.0.update([0]),
                Some(value) => {
                    self.0.update([1]);
                    self.0.update((value.expose().len() as u64).to_be_bytes());
                    self.0.update(value.expose());
                }
            }
        }
    }

    pub fn finish(self) -> String {
        hex(&self.0.finalize())
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_our_own_are_known() {
        let batch = "01939f2e-7a3c-7000-8000-0123456789ab-000001";
        let known = |ending: &str| Named::read(Box::leak(format!("{batch}{ending}").into_boxed_str()));
        assert_eq!(known(".json"), Some(Named::Manifest(batch)));
        assert_eq!(known(".expired"), Some(Named::Expired(batch)));
        assert_eq!(known(".csv.gz.age"), Some(Named::Archive(batch)));
        assert_eq!(known(".parquet"), Some(Named::Archive(batch)));
        let file = format!("{batch}.jsonl.zst");
        assert_eq!(known(".jsonl.zst.pending"), Some(Named::Pending { batch, file: &file }));
        for other in ["", ".pending", ".json.pending", ".expired.pending", ".jsonl.zst.pending.pending", "0.x.json"] {
            assert_eq!(known(other), None, "{other}");
        }
        for other in [".expired", ".json", "notes.json", "notes.csv.gz", "x.pending", "01939f2e-000001.expired"] {
            assert_eq!(Named::read(other), None, "{other}");
        }
    }
}
