//! What is said of an archive: enough to check it, to read it and to know when it goes. Nothing of its content.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::format::Format;
use crate::redact::Sealed;

/// The version of manifests.
pub(super) const VERSION: u32 = 1;

/// A column, as it was when its values were archived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Archived {
    /// Its name.
    pub name: String,
    /// Its type, as it was declared.
    pub declared: String,
    /// Whether it holds whole numbers, which are written as such.
    pub number: bool,
}

impl Archived {
    /// A column.
    pub fn of(name: &str, declared: &str, number: bool) -> Self {
        Self { name: name.to_owned(), declared: declared.to_owned(), number }
    }

    /// Whether a value is written as a number: it comes back as the very same text.
    pub(super) fn is_number(&self, text: &str) -> bool {
        self.number && text.parse::<i64>().is_ok_and(|number| number.to_string() == text)
    }
}

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
    /// length (64 bits, big-endian) and its UTF-8.
    pub rows_sha256: String,
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
