//! `jobs.toml` as a typed document. Plain data: what each key means, its unit and its default.
//!
//! The JSON Schema of the file is made from these very types, so a key's documentation here is what an operator's editor
//! shows. Nothing destructive has a default: a key that widens what is removed is said, or the file is refused.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::listen::Listen;
use super::period::{Keep, Period};
pub use super::roles::Roles;
use super::span::Span;
pub use super::stores::{Store, Tenant, TenantStore};
use super::trail::Trail;
use super::values::{
    AnonymiseStrategy, AuditMode, Columns, Comparison, Identifiers, Links, OneOrMany, PersonLinks, Requires, SecretRef,
    TimeColumn, UrlSource,
};
use crate::names::{CategoryName, DataName, JobName, PersonName, StoreName, TenantName};

/// The whole file, includes merged in. Jobs stay untyped here: this module knows no job kind.
#[derive(Clone, Debug)]
pub struct Document {
    /// The zone of schedules and calendar periods; UTC when the file does not say.
    pub timezone: chrono_tz::Tz,
    /// `enabled = false` makes the whole file inert.
    pub enabled: bool,
    /// retentiond's own memory.
    pub state: State,
    /// How mail leaves.
    pub mail: Option<Mail>,
    /// Where the daemon's metrics are read.
    pub metrics: Option<Metrics>,
    /// What needs an approval.
    pub approvals: Approvals,
    /// Limits that stop a run before its first deletion.
    pub brakes: Brakes,
    /// How fast a run goes.
    pub pace: Pace,
    /// How many jobs run at a time.
    pub limits: Limits,
    /// retentiond's own audit trail.
    pub trail: Trail,
    /// What diagnostic logs may hold.
    pub diagnostics: Diagnostics,
    /// How reports about persons look.
    pub report: ReportKeys,
    /// Who may do what through the daemon.
    pub roles: Roles,
    /// The stores.
    pub stores: BTreeMap<StoreName, Store>,
    /// The tenants: the same map and jobs for each, on stores of its own. Empty in a document that was made one tenant's.
    pub tenants: BTreeMap<TenantName, Tenant>,
    /// Whose document it is, after [`Document::of_tenant`](super::tenants).
    pub tenant: Option<TenantName>,
    /// The kinds of person.
    pub people: BTreeMap<PersonName, Person>,
    /// The categories, for reports.
    pub categories: BTreeMap<CategoryName, Category>,
    /// The data map.
    pub data: BTreeMap<DataName, Entry>,
    /// The jobs, each with its kind and its keys still untyped.
    pub jobs: BTreeMap<JobName, super::section::RawJob>,
}

/// `[state]`: retentiond's own memory (runs, leases, approvals).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// A database URL. SQLite for one daemon; PostgreSQL or MariaDB when several share the work.
    #[serde(default = "State::default_url")]
    pub url: UrlSource,
    /// Where the password is found, when the URL has none.
    pub password: Option<SecretRef>,
    /// How long runs are remembered.
    #[serde(default = "State::default_keep")]
    pub keep: Keep,
    /// How long a job stays with a daemon that does not answer any more; another one then takes it over. Default 30
    /// seconds.
    pub lease: Option<Span>,
    /// How old the oldest backup can be that may hold what was erased.
    pub backup_horizon: Option<Period>,
}

/// `[mail]`: how mail leaves.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    /// `smtp://host:587` (STARTTLS required), `smtps://host:465` (TLS from the start) or `file:DIR` (writes `.eml`); or
    /// where to find it.
    pub smtp: UrlSource,
    /// A PEM file with the certificate authorities to believe instead of the system's.
    pub ca: Option<String>,
    /// The sender.
    pub from: String,
    /// Where the user name is found.
    pub username: Option<SecretRef>,
    /// Where the password is found.
    pub password: Option<SecretRef>,
    /// Who hears when a job fails, brakes or falls behind.
    #[serde(default)]
    pub alerts: Vec<String>,
}

/// `[metrics]`: where the daemon's metrics are read. A change needs a restart.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// `"127.0.0.1:9187"` or `"unix:/run/retentiond/metrics.sock"`: `GET /metrics` and `GET /healthz`. Nothing that another
    /// machine could reach.
    pub listen: Listen,
}

/// `[approvals]`: what needs one besides a brake.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Approvals {
    /// The first scheduled run of a policy that removes more than the one before waits for `retentiond approve`. Default
    /// `true`.
    #[serde(default = "yes")]
    pub widened: bool,
}

impl Default for Approvals {
    fn default() -> Self {
        Self { widened: true }
    }
}

/// `[brakes]`, and `brakes = { … }` in a job: limits that stop a run before its first deletion.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Brakes {
    /// Most rows that one run may remove or change. Default 100 000.
    pub max_rows: Option<u64>,
    /// Most of a table, in percent, for tables of 1 000 rows or more. Default 5.
    pub max_percent: Option<f64>,
    /// Most rows, as a multiple of the median of the last complete runs (five at least). Default 5.
    pub max_times_usual: Option<f64>,
    /// Most persons whose data one run of a directory cleanup may remove. Default 100.
    pub max_persons: Option<u64>,
    /// The least age of anything that is removed. Default 24 hours.
    pub age_floor: Option<Period>,
}

/// `[pace]`: how fast a run goes. The default is quiet.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pace {
    /// Rows a second. Default 50 000.
    pub rows_per_second: Option<u64>,
    /// Bytes of write-ahead log a second (PostgreSQL). Default 9 000 000.
    pub wal_bytes_per_second: Option<u64>,
    /// Pause between two batches in milliseconds. Default 20 on SQLite, 0 elsewhere.
    pub pause_ms: Option<u64>,
}

/// `[limits]`: how many jobs the daemon runs at a time. Jobs that are due beyond that wait, the earliest first.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Jobs in all. Default 4.
    #[serde(default = "Limits::default_jobs")]
    pub jobs: NonZeroUsize,
    /// Jobs that work on one and the same store. Default 1.
    #[serde(default = "Limits::default_jobs_per_store")]
    pub jobs_per_store: NonZeroUsize,
}

/// `[diagnostics]`: what diagnostic logs may hold.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Diagnostics {
    /// A date (`"2026-03-02"`), at most 14 days ahead, up to and with which debug and trace messages may hold personal
    /// data: the words of databases and of the libraries that speak to them. Off by default, and off by itself after it.
    pub personal_data_until: Option<String>,
}

/// `[report]`: how reports about persons look.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReportKeys {
    /// The language of their texts: `en`, `de` or `fi`, or one of the operator's own. Default `en`.
    #[serde(default = "ReportKeys::default_language")]
    pub language: String,
    /// A folder with texts and pages that take the place of the built-in ones: `LANGUAGE.toml`, `report.html`.
    pub templates: Option<String>,
    /// Most records of a category in a PDF; the rest is in the data files. Default 200.
    #[serde(default = "ReportKeys::default_max_rows_in_pdf")]
    pub max_rows_in_pdf: u64,
}

impl ReportKeys {
    fn default_language() -> String {
        "en".to_owned()
    }

    fn default_max_rows_in_pdf() -> u64 {
        200
    }
}

impl Default for ReportKeys {
    fn default() -> Self {
        Self { language: Self::default_language(), templates: None, max_rows_in_pdf: Self::default_max_rows_in_pdf() }
    }
}

/// `[people.NAME]`: a kind of person.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// The data entry with one row for each person; absent when the person is known only by addresses.
    pub data: Option<DataName>,
    /// What identifies the person: `{ login = "login_id" }`, `{ email = "user_addresses.address" }`,
    /// `{ email = { column = "user_addresses.address", where = { kind = "email" } } }`, or a list of kinds of address. A person
    /// with `data` who has none is named by the key alone.
    #[serde(default)]
    pub identifiers: Identifiers,
    /// The person's own row says that the person is gone: `{ deleted_at = { null = false } }`. A row that is not there
    /// says so in any case.
    pub gone: Option<super::condition::Condition>,
    /// Phone numbers are the same when their last so many digits are. Default 9, at least 3.
    pub digits: Option<u8>,
    /// How kinds of identifier compare: `exact`, `email` (case does not count) or `phone` (the last digits count).
    /// Default: `email` and `phone` as their names say, all others exactly.
    #[serde(default)]
    pub compare: BTreeMap<String, Comparison>,
}

/// `[categories.NAME]`: what a report says of a category.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Category {
    /// Its human title.
    pub title: Option<String>,
    /// Why the data is held.
    pub purpose: Option<String>,
    /// On which legal basis.
    pub legal_basis: Option<String>,
    /// `false`: collection is switched off.
    pub collect: Option<bool>,
    /// Mandatory categories cannot be switched off. Default: only `user_master_data`.
    pub mandatory: Option<bool>,
    /// Copies that retentiond cannot reach; printed in every report and receipt.
    pub beyond_reach: Option<String>,
}

/// What becomes of a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OnExpiry {
    /// The row goes.
    #[default]
    Delete,
    /// The row stays, its personal columns are overwritten.
    Anonymise,
}

/// What an erasure does with a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnErasure {
    /// The row goes.
    Delete,
    /// The row stays, its personal columns are overwritten.
    Anonymise,
    /// The row stays, for the reason in `ground`.
    Keep,
}

/// `[data.NAME]`: one table of the data map. Every key is optional here, because `like` may supply it; what an entry must
/// have after that is checked in a later pass.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Another entry of the same shape: only what differs is said here.
    pub like: Option<DataName>,
    /// The store that holds the table.
    pub store: Option<StoreName>,
    /// The table, as `table` or `schema.table`.
    pub table: Option<String>,
    /// The table is left alone, for the reason given here; nothing else is said of it.
    pub ignore: Option<String>,
    /// The category of personal data.
    pub category: Option<CategoryName>,
    /// Its human title, for reports.
    pub title: Option<String>,
    /// Human titles of its columns, for reports: column to title. Default: made from the column's name.
    pub titles: Option<BTreeMap<String, String>>,
    /// Columns that a report about a person shows although what stands there may be somebody else's. Without this, an
    /// address or key that is not the person's is masked, and so is, in rows that are about somebody else as well, what
    /// anonymising would overwrite.
    pub show_others: Option<OneOrMany>,
    /// The columns that tell rows apart; default: the primary key.
    pub key: Option<OneOrMany>,
    /// Columns that name the row to a person.
    pub label: Option<OneOrMany>,
    /// The entry that keeps the name until nothing else refers to the person.
    pub stub: Option<DataName>,
    /// What ages a row: a column, `{ column = …, unit = …, zone = …, sentinels = […] }`, or `{ of = "parent" }`.
    pub time: Option<TimeColumn>,
    /// The rows are about this user: short for `person = { user = … }`.
    pub user: Option<PersonLinks>,
    /// The rows are about these persons, by kind: `person = { staff = "staff_id" }`.
    pub person: Option<BTreeMap<PersonName, PersonLinks>>,
    /// The rows are about this customer: kind of address to column or columns.
    pub customer: Option<Columns>,
    /// These columns name somebody else: an erasure blanks them, the row stays.
    pub mentions: Option<Columns>,
    /// The row goes when its parent goes, before it; with several, when the first of them goes.
    pub belongs_to: Option<Links>,
    /// Together or not at all.
    pub goes_with: Option<Links>,
    /// The reference is set to NULL when its target goes.
    pub unlink: Option<Links>,
    /// The row goes only when nothing refers to it any more.
    pub shared: Option<bool>,
    /// The row survives an erasure, for the reason given here.
    pub survives_erasure: Option<String>,
    /// What happens to an expired row. Default: it is deleted.
    pub on_expiry: Option<OnExpiry>,
    /// What an erasure does with the row.
    pub on_erasure: Option<OnErasure>,
    /// Why an erasure keeps the row.
    pub ground: Option<String>,
    /// Column to strategy, for rows that are anonymised.
    pub anonymise: Option<BTreeMap<String, AnonymiseStrategy>>,
    /// A timestamp or boolean column that says that a row was anonymised.
    pub marker: Option<String>,
    /// A row that does not satisfy this is expired at once, whatever its age.
    pub requires: Option<Requires>,
    /// A switch on the person's own row, as `entry.column`.
    pub allowed_by: Option<String>,
    /// The file that belongs to the row.
    pub file: Option<FileLink>,
    /// How `retentiond audit capture` writes changes of these rows down: `value`, the default, `hash` or `none`.
    pub audit: Option<AuditMode>,
    /// Says that a table whose engine has no rollback may be purged all the same.
    pub allow_nontransactional: Option<bool>,
}

/// `file = { store = "voice", path = "file_path" }`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileLink {
    /// The file store.
    pub store: StoreName,
    /// A column, or a template of columns in braces, parents' as `{parent.column}`.
    pub path: String,
}

fn yes() -> bool {
    true
}

/// Most rows of one run, when the file does not say.
pub const DEFAULT_MAX_ROWS: u64 = 100_000;
/// Most of a table in percent, when the file does not say.
pub const DEFAULT_MAX_PERCENT: f64 = 5.0;
/// Most persons of one run, when the file does not say.
pub const DEFAULT_MAX_PERSONS: u64 = 100;
/// Multiple of the usual run, when the file does not say.
pub const DEFAULT_MAX_TIMES_USUAL: f64 = 5.0;

impl Brakes {
    /// Limits that make no sense, by key.
    pub fn mistakes(&self) -> Vec<(&'static str, &'static str)> {
        let mut found = Vec::new();
        if self.max_rows == Some(0) {
            found.push(("max_rows", "max_rows = 0 would never let anything go; at least 1"));
        }
        if self.max_persons == Some(0) {
            found.push(("max_persons", "max_persons = 0 would never let anybody's data go; at least 1"));
        }
        if self.max_percent.is_some_and(|percent| !(percent > 0.0 && percent <= 100.0)) {
            found.push(("max_percent", "max_percent is more than 0 and at most 100"));
        }
        if self.max_times_usual.is_some_and(|times| !(times >= 1.0 && times.is_finite())) {
            found.push(("max_times_usual", "max_times_usual is at least 1"));
        }
        found
    }
}
