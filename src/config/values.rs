//! The small values of the file: links, time columns, strategies, secrets.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

use super::condition::{Condition, Literal};
use crate::names::{DataName, StoreName};

/// How changes of rows are captured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AuditMode {
    /// With the new value.
    #[default]
    Value,
    /// With a keyed hash of it.
    Hash,
    /// Not at all.
    None,
}

/// `"a"` or `["a", "b"]`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OneOrMany(pub Vec<String>);

/// Kind of address to the columns that hold it: `{ phone = "caller", email = ["from", "reply_to"] }`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Columns(pub BTreeMap<String, Vec<String>>);

/// Where a kind of identifier stands: `"email"`, `"entry.column"`, or `{ column = …, where = … }` for some rows only.
#[derive(Clone, Debug, PartialEq)]
pub struct IdentifierColumn {
    /// The column of the person's own row, or `entry.column` of a child table.
    pub column: String,
    /// The rows that hold this kind.
    pub condition: Condition,
}

/// `identifiers` of a person: kind to column, or only the kinds.
#[derive(Clone, Debug, PartialEq)]
pub enum Identifiers {
    /// A person known by a key: kind of identifier to its column.
    Columns(BTreeMap<String, IdentifierColumn>),
    /// A person known only by addresses: the kinds.
    Kinds(Vec<String>),
}

impl Default for Identifiers {
    fn default() -> Self {
        Self::Columns(BTreeMap::new())
    }
}

/// One way in which a row names a person by key.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PersonLink {
    /// The column, or the columns of a composite key, in the key's order.
    pub columns: Vec<String>,
    /// A path inside a JSON column (`$.userId`); then `columns` has exactly one.
    pub path: Option<String>,
    /// The key stands after this text, with which the column begins; then `columns` has exactly one.
    pub after: Option<String>,
    /// The key ends before this text (`"@"`: the local part of an address); then `columns` has exactly one.
    pub before: Option<String>,
    /// The rows for which the link holds.
    pub condition: Condition,
    /// Columns that a report hides from a person whom the row names by nothing but such links.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hides: Vec<String>,
}

/// `user = "col"` (one), `["tenant_id", "id"]` (one composite), `[{ column = … }, …]` (several),
/// `{ column = …, where = … }` (typed), `{ json = …, path = … }`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PersonLinks(pub Vec<PersonLink>);

/// A link to a row of another entry (or of the same).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Link {
    /// The entry linked to.
    pub data: DataName,
    /// Own column, and the target's column; `None`: the target's key, in its order.
    pub by: Vec<(String, Option<String>)>,
    /// The own rows for which the link holds (`where = { object_type = "ticket" }`).
    pub condition: Condition,
}

/// One link or a list of them; never empty.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Links(pub Vec<Link>);

/// The unit of an epoch column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Milliseconds,
    /// Microseconds.
    Microseconds,
}

/// An IANA zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zone(pub chrono_tz::Tz);

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.name())
    }
}

/// What ages a row.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum TimeColumn {
    /// An own column.
    Column {
        /// The column.
        column: String,
        /// The unit of an epoch column.
        unit: Option<Unit>,
        /// The zone of a column without one.
        zone: Option<Zone>,
        /// The format of a text column, as `%Y-%m-%d %H:%M:%S`.
        format: Option<String>,
        /// Values that mean "no time": rows that are kept and counted.
        sentinels: Vec<Literal>,
        /// The earliest date that is believed (`YYYY-MM-DD`); default 1990-01-01.
        plausible_from: Option<chrono::NaiveDate>,
    },
    /// `{ of = "contacts" }`: the row ages with its parent.
    Of(DataName),
}

/// How a column is overwritten.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum AnonymiseStrategy {
    /// `null`
    Null,
    /// `text:…`, literal.
    Text(String),
    /// `truncate_ip`: IPv4 to /24, IPv6 to /48.
    TruncateIp,
    /// `keep_last:N`: all but the last N characters become `*`.
    KeepLast(u32),
    /// `hash:CREDENTIAL`: a keyed hash (HMAC-SHA-256); the key is found like any secret, by this credential name.
    Hash(SecretRef),
    /// `date:year`: 1 January of the same year.
    DateYear,
    /// `zero`
    Zero,
}

/// Where a secret is found; never the secret itself.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum SecretRef {
    /// `{ credential = "x" }`: in `$CREDENTIALS_DIRECTORY`, then, for root, in `/etc/retentiond/credentials`.
    Credential(String),
    /// `{ file = "…" }`
    File(String),
    /// `{ env = "…" }`
    Env(String),
}

/// How two identifiers of a kind compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Comparison {
    /// To the byte.
    Exact,
    /// Without regard to case, and to blanks around it.
    Email,
    /// By its last digits.
    Phone,
}

/// A URL, or `{ env = "…", default = "…" }`.
#[derive(Clone, Debug, PartialEq)]
pub enum UrlSource {
    /// Said in the file.
    Literal(String),
    /// From the environment, with an optional default.
    Env {
        /// The variable.
        env: String,
        /// What holds when it is not set.
        default: Option<String>,
    },
}

/// `requires = { customer_consent = true }`, or a row of another entry: `{ data = "consents", by = …, where = … }`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Requires {
    /// Own columns.
    Condition(Condition),
    /// A row of another entry must exist.
    Row(Link),
}

/// A store named by a file link; kept here so that `files` needs no document.
pub type FileStoreName = StoreName;
