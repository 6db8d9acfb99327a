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
    /// Apache Parquet, compressed by Zstandard: whole numbers are INT64, bytes are BYTE_ARRAY, all else are strings. The
    /// Debian package has it, and a build with the feature `parquet`.
    #[serde(rename = "parquet")]
    Parquet,
}

impl Format {
    /// All of them.
    pub(super) const ALL: [Self; 3] = [Self::Jsonl, Self::Csv, Self::Parquet];

    /// The word, which is the ending of the files too.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl.zst",
            Self::Csv => "csv.gz",
            Self::Parquet => "parquet",
        }
    }

    /// Why this build can neither write nor read it; nothing where it can.
    pub fn missing(self) -> Option<&'static str> {
        match self {
            Self::Parquet if !cfg!(feature = "parquet") => Some(
                "this build of retentiond was made without Parquet: the Debian package has it, and so has `make build FEATURES=parquet`",
            ),
            Self::Jsonl | Self::Csv | Self::Parquet => None,
        }
    }

    /// Whether all values of a column are of one type, so that a value of another makes it a column of text.
    pub(super) fn is_typed(self) -> bool {
        match self {
            Self::Parquet => true,
            Self::Jsonl | Self::Csv => false,
        }
    }
}
