//! How rows are written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Format {
    /// A JSON object a line, compressed by Zstandard.
    #[serde(rename = "jsonl.zst")]
    Jsonl,
    /// Comma-separated values with a line of names (RFC 4180), compressed by gzip. NULL is an empty field, an empty text
    /// is `""`.
    #[serde(rename = "csv.gz")]
    Csv,
}

impl Format {
    /// The word, which is the ending of the files too.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl.zst",
            Self::Csv => "csv.gz",
        }
    }
}
