//! What a personal data report says, as plain data: the one model of all formats, and of the published JSON Schema.
//!
//! [`Head`], [`CategoryAbout`] and [`EntryAbout`] are known when everything has been read once; the records of an entry
//! follow them from a spool, so that no format needs memory for them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names::{CategoryName, DataName, PersonName, StoreName};

/// The version of the model. A key is only ever added within a version.
pub const VERSION: u32 = 1;

/// What is held about one person.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// What the report is.
    #[serde(flatten)]
    pub head: Head,
    /// What is held, by category; every category that the data map has, also those in which nothing was found.
    pub categories: Vec<Category>,
}

/// What a report is.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Head {
    /// The version of this format: 1.
    pub version: u32,
    /// The report's own id.
    pub id: String,
    /// When it was made: RFC 3339, in `zone`.
    pub created: String,
    /// The time zone in which every time is written.
    pub zone: String,
    /// The language of its texts.
    pub language: String,
    /// Whom it is about.
    pub person: Person,
    /// Switches on the person's own row: what is collected about this very person, and what is not.
    pub switches: Vec<Switch>,
    /// When the last backup expires that can hold what is deleted today: a day. None when that is not known.
    pub backups_expire: Option<String>,
}

/// Whom a report is about.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Person {
    /// The kind of person: `user`, `customer`, or one that the data map declares.
    pub kind: PersonName,
    /// By what the person was looked for.
    pub identifiers: Vec<Identifier>,
    /// Only what is not older than this was looked for: RFC 3339.
    pub from: Option<String>,
    /// Only what is older than this was looked for: RFC 3339.
    pub to: Option<String>,
}

/// By what a person was looked for.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Identifier {
    /// Its kind: `key`, `phone`, `email` …
    pub kind: String,
    /// The form in which it was compared: an e-mail address in lower case, the last digits of a phone number.
    pub value: String,
}

/// A switch on the person's own row.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Switch {
    /// The data entry that it switches.
    pub data: DataName,
    /// That entry's title.
    pub title: String,
    /// Whether it is on; none when the person has no row any more.
    pub on: Option<bool>,
}

/// One category of personal data.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Category {
    /// What it is.
    #[serde(flatten)]
    pub about: CategoryAbout,
    /// Every entry of the data map in it.
    pub entries: Vec<Entry>,
}

/// What a category is.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CategoryAbout {
    /// Its name.
    pub name: CategoryName,
    /// Its title.
    pub title: String,
    /// Why the data is held.
    pub purpose: Option<String>,
    /// On which legal basis.
    pub legal_basis: Option<String>,
    /// Whether this is collected at all.
    pub collected: bool,
    /// Copies that cannot be reached, and so are not part of the report.
    pub beyond_reach: Option<String>,
    /// How many records were found.
    pub rows: u64,
    /// How many records fewer than `rows` follow: they are in the other files of the report.
    pub left_out: u64,
    /// The day on which the newest record goes by its retention time. None when nothing was found, or when some record
    /// has no such day.
    pub newest_goes: Option<String>,
}

/// One table, or set of files, of the data map.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// What it is.
    #[serde(flatten)]
    pub about: EntryAbout,
    /// What was found.
    pub records: Vec<Record>,
}

/// What an entry of the data map is, and how much was found in it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct EntryAbout {
    /// Its name.
    pub data: DataName,
    /// The store that holds it.
    pub store: StoreName,
    /// Its title.
    pub title: String,
    /// Whether a record of it can be about such a person at all; one that cannot holds nothing that could be linked.
    pub can_be_linked: bool,
    /// How many records were found: 0 says that it was searched and that there is nothing.
    pub rows: u64,
    /// How many of them are about somebody else and only mention the person.
    pub mentions: u64,
    /// How many of them a legal hold keeps for now.
    pub held: u64,
    /// How long records are kept.
    pub retention: Vec<Retention>,
    /// The day on which the newest record goes by its retention time.
    pub newest_goes: Option<String>,
    /// How many records have no such day: no retention time removes what is personal in them.
    pub without_end: u64,
    /// What an erasure would leave, and why.
    pub kept: Vec<Kept>,
    /// The columns of `records`.
    pub columns: Vec<Column>,
}

/// A retention time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Retention {
    /// How long, as the policy says it: `13 months`, `forever`.
    pub keep: String,
    /// From what it is counted: the title of a column, or of the entry along with which records go.
    pub from: String,
    /// The records for which this holds, where others are kept for another time: column to values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<String>,
}

/// Records that an erasure would leave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Kept {
    /// How many.
    pub rows: u64,
    /// Why.
    pub ground: String,
    /// Whether they are among the records; others are about somebody else alone.
    pub shown: bool,
}

/// A column.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Column {
    /// Its name, as the database has it: the key in a record's `values`.
    pub name: String,
    /// Its title.
    pub title: String,
    /// What its values are.
    pub kind: ColumnKind,
}

/// What the values of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ColumnKind {
    /// Text.
    Text,
    /// Numbers; those that a double cannot hold are written as text.
    Number,
    /// True or false.
    Boolean,
    /// Instants, RFC 3339; a time whose zone is not known is written without an offset.
    Time,
    /// Bytes, as hexadecimal digits.
    Bytes,
}

/// One row of a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Record {
    /// The values, by column; NULL is null.
    pub values: BTreeMap<String, Cell>,
    /// The day on which it goes by its retention time, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_until: Option<String>,
    /// It is about somebody else and only mentions the person.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mentioned: bool,
}

/// One value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Cell {
    /// NULL.
    Nothing(()),
    /// True or false.
    Boolean(bool),
    /// A whole number, up to 2^53.
    Integer(i64),
    /// Another number.
    Real(f64),
    /// Text, also that of a time.
    Text(String),
    /// A value that is somebody else's.
    Masked(Masked),
}

/// What stands in place of a value that is somebody else's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Masked {
    /// Why: always `another_person`.
    pub masked: String,
}

impl Report {
    /// How many records each category has: counts and titles, no personal data.
    pub fn counts(&self) -> Vec<(&CategoryName, &str, u64)> {
        let of = |category: &'_ Category| category.about.rows;
        self.categories.iter().map(|category| (&category.about.name, &*category.about.title, of(category))).collect()
    }

    /// How many records in all.
    pub fn rows(&self) -> u64 {
        self.categories.iter().map(|category| category.about.rows).sum()
    }
}
