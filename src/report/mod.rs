//! What is held about one person: found by the walk that an erasure takes, read once, written in four formats.
//!
//! [`gather`] reads → [`Gathered`] (the model without its records, and the records in a spool) → [`Gathered::write`],
//! [`Gathered::files`]. Values leave the seal here and nowhere else: into the report that somebody asked for, and into no
//! message, log or count. Who is somebody else in it is masked before it is spooled ([`columns`]).

mod columns;
mod error;
mod files;
mod gather;
mod line;
mod model;
mod record;
mod retention;
mod schema;
mod spool;
pub mod texts;
mod times;
mod write;

use std::collections::BTreeMap;
use std::io::Write;

use chrono::{DateTime, Utc};

use crate::config::document::Document;
use crate::graph::stores::Stores;
use crate::graph::{Graph, Subject};
use crate::names::CategoryName;

pub use error::ReportError;
pub use files::{File, Files};
pub use model::{
    Category, CategoryAbout, Cell, Column, ColumnKind, Entry, EntryAbout, Head, Identifier, Kept, Masked, Person,
    Record, Report, Retention, Switch, VERSION,
};
pub use retention::Keeping;
pub use schema::json_schema;
use spool::{Spool, Stretch};
use texts::Texts;
pub use times::readable;
pub use write::pdf::{not_installed as pdf_not_installed, program as pdf_program};

/// What a report is made from.
pub struct Sources<'a> {
    /// The file.
    pub document: &'a Document,
    /// The map.
    pub graph: &'a Graph,
    /// The stores.
    pub stores: &'a Stores,
    /// How long the jobs of the file keep what.
    pub keepings: Vec<Keeping>,
}

/// Which report is wanted.
#[derive(Clone)]
pub struct Wanted {
    /// The report's id: the request's, or a new one.
    pub id: String,
    /// Whom it is about.
    pub subject: Subject,
    /// The language of its texts; none: as `[report]` says.
    pub language: Option<String>,
    /// The present instant.
    pub now: DateTime<Utc>,
}

/// In what form a report is written.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// To print; by the program `retentiond-pdf`, where it is installed.
    Pdf,
    /// All of it, for programs; its schema is published.
    Json,
    /// A table for each category, for spreadsheets.
    Csv,
    /// To read in a browser.
    Html,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Pdf, Self::Json, Self::Csv, Self::Html];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pdf => "pdf",
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Html => "html",
        }
    }
}

impl std::str::FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.map(Self::as_str).join(", ");
        Self::ALL
            .into_iter()
            .find(|format| format.as_str() == text)
            .ok_or_else(|| format!("there is no format `{text}`; there are {known}"))
    }
}

/// One category, and where the records of its entries lie.
struct Part {
    about: CategoryAbout,
    entries: Vec<(EntryAbout, Stretch)>,
}

/// A report that was read, ready to be written.
pub struct Gathered {
    head: Head,
    parts: Vec<Part>,
    spool: Spool,
    texts: Texts,
    /// Most records of a category in a PDF.
    max_rows_in_pdf: u64,
}

/// Walks through the map and reads every row about the person once.
///
/// # Errors
/// When a store cannot be read, when an address finds too much to be about one person, or when the records cannot be
/// written to the folder for temporary files.
pub fn gather(sources: &Sources<'_>, wanted: Wanted) -> Result<Gathered, ReportError> {
    gather::gather(sources, wanted)
}

impl Gathered {
    /// The report without its records: what was searched, and how much was found. Of personal data it holds only by what
    /// the person was looked for.
    pub fn report(&self) -> Report {
        let entry = |(about, _): &(EntryAbout, Stretch)| Entry { about: about.clone(), records: Vec::new() };
        let category =
            |part: &Part| Category { about: part.about.clone(), entries: part.entries.iter().map(entry).collect() };
        Report { head: self.head.clone(), categories: self.parts.iter().map(category).collect() }
    }

    /// How many records each category has: no personal data.
    pub fn counts(&self) -> BTreeMap<CategoryName, u64> {
        self.parts.iter().map(|part| (part.about.name.clone(), part.about.rows)).collect()
    }

    /// The words of its language.
    pub fn texts(&self) -> &Texts {
        &self.texts
    }

    /// Writes all of it as JSON.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_json(&self, out: &mut dyn Write) -> Result<(), ReportError> {
        write::json(self, None, out)
    }

    /// Writes all of it as one HTML page.
    ///
    /// # Errors
    /// When it cannot be written, or when the operator's template is wrong.
    pub fn write_html(&self, out: &mut dyn Write) -> Result<(), ReportError> {
        write::html(self, out)
    }

    /// Writes one category as CSV.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_csv(&self, category: &CategoryName, out: &mut dyn Write) -> Result<(), ReportError> {
        self.parts.iter().find(|part| part.about.name == *category).map_or(Ok(()), |part| write::csv(self, part, out))
    }

    /// Writes it as PDF, by the program `retentiond-pdf`.
    ///
    /// # Errors
    /// [`ReportError::NoPdf`] where that is not installed or fails; when the PDF cannot be written.
    pub fn write_pdf(&self, out: &mut dyn Write) -> Result<(), ReportError> {
        write::pdf(self, out)
    }
}
