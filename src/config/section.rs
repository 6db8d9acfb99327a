//! Reading one section after the other, and all mistakes of each.
//!
//! serde stops at its first error. So the key that it blames is noted, left out, and the section is read again, until
//! nothing is left to blame: the types that read the file stay plain, and their JSON Schema is true.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::str::FromStr;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::diagnostic::{Diagnostics, did_you_mean};
use super::document::{
    Approvals, Brakes, Diagnostics as DiagnosticsKeys, Document, Limits, Pace, ReportKeys, Roles, State,
};
use super::raw::Piece;
pub use super::raw::RawJob;
use super::source::Source;
use super::timing::{self, Timing};
use super::trail::Trail;
use super::values::UrlSource;
use super::values::Zone;
use crate::names::JobName;

/// The sections of a file.
const SECTIONS: [&str; 20] = [
    "timezone",
    "enabled",
    "include",
    "state",
    "mail",
    "metrics",
    "approvals",
    "brakes",
    "pace",
    "limits",
    "trail",
    "diagnostics",
    "report",
    "roles",
    "stores",
    "tenants",
    "people",
    "categories",
    "data",
    "jobs",
];

pub(super) fn read_document(source: &Source, diagnostics: &mut Diagnostics) -> Document {
    let mut document = Document {
        timezone: chrono_tz::UTC,
        enabled: true,
        state: State::default(),
        mail: None,
        metrics: None,
        approvals: Approvals::default(),
        brakes: Brakes::default(),
        pace: Pace::default(),
        limits: Limits::default(),
        trail: Trail::default(),
        diagnostics: DiagnosticsKeys::default(),
        report: ReportKeys::default(),
        roles: Roles::default(),
        stores: BTreeMap::new(),
        tenants: BTreeMap::new(),
        tenant: None,
        people: BTreeMap::new(),
        categories: BTreeMap::new(),
        data: BTreeMap::new(),
        jobs: BTreeMap::new(),
    };
    for (file, text) in source.shared_texts() {
        let (table, _) = DeTable::parse_recoverable(&text);
        for (key, value) in table.get_ref().iter() {
            read_section(&mut document, file, &text, key, value, diagnostics);
        }
    }
    for job in document.jobs.values_mut() {
        job.folder = source.folder(job.piece.file);
    }
    document
}

fn read_section(
    document: &mut Document,
    file: usize,
    text: &Arc<str>,
    key: &Spanned<std::borrow::Cow<'_, str>>,
    value: &Spanned<DeValue<'_>>,
    diagnostics: &mut Diagnostics,
) {
    match key.get_ref().as_ref() {
        "timezone" => set(&mut document.timezone, read::<Zone>(file, value, diagnostics).map(|zone| zone.0)),
        "enabled" => set(&mut document.enabled, read(file, value, diagnostics)),
        "state" => set(&mut document.state, read(file, value, diagnostics)),
        "mail" => document.mail = read(file, value, diagnostics),
        "metrics" => document.metrics = read(file, value, diagnostics),
        "approvals" => set(&mut document.approvals, read(file, value, diagnostics)),
        "brakes" => set(&mut document.brakes, read(file, value, diagnostics)),
        "pace" => set(&mut document.pace, read(file, value, diagnostics)),
        "limits" => set(&mut document.limits, read(file, value, diagnostics)),
        "trail" => set(&mut document.trail, read(file, value, diagnostics)),
        "diagnostics" => set(&mut document.diagnostics, read(file, value, diagnostics)),
        "report" => set(&mut document.report, read(file, value, diagnostics)),
        "roles" => set(&mut document.roles, read(file, value, diagnostics)),
        "stores" => read_named(&mut document.stores, file, value, diagnostics),
        "tenants" => read_named(&mut document.tenants, file, value, diagnostics),
        "people" => read_named(&mut document.people, file, value, diagnostics),
        "categories" => read_named(&mut document.categories, file, value, diagnostics),
        "data" => read_named(&mut document.data, file, value, diagnostics),
        "jobs" => read_jobs(document, file, text, value, diagnostics),
        "include" => {}
        unknown => {
            let help = did_you_mean(unknown, SECTIONS).map_or_else(
                || format!("the sections are {}", SECTIONS.join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            diagnostics.error_at(file, key.span(), format!("there is no section `{unknown}`")).with_help(Some(help));
        }
    }
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

fn entries<'a, 'i>(
    file: usize,
    value: &'a Spanned<DeValue<'i>>,
    diagnostics: &mut Diagnostics,
) -> Option<&'a DeTable<'i>> {
    let table = value.get_ref().as_table();
    if table.is_none() {
        diagnostics.error_at(file, value.span(), "a table of named entries is expected here");
    }
    table
}

fn name<N: FromStr>(file: usize, key: &Spanned<std::borrow::Cow<'_, str>>, diagnostics: &mut Diagnostics) -> Option<N>
where
    N::Err: std::fmt::Display,
{
    match key.get_ref().parse() {
        Ok(name) => Some(name),
        Err(error) => {
            diagnostics.error_at(file, key.span(), format!("`{}` is no name: {error}", key.get_ref()));
            None
        }
    }
}

fn read_named<N: FromStr + Ord, T: DeserializeOwned>(
    into: &mut BTreeMap<N, T>,
    file: usize,
    value: &Spanned<DeValue<'_>>,
    diagnostics: &mut Diagnostics,
) where
    N::Err: std::fmt::Display,
{
    let Some(table) = entries(file, value, diagnostics) else { return };
    for (key, value) in table.iter() {
        let name = name(file, key, diagnostics);
        let entry = read(file, value, diagnostics);
        if let (Some(name), Some(entry)) = (name, entry) {
            into.insert(name, entry);
        }
    }
}

fn read_jobs(
    document: &mut Document,
    file: usize,
    text: &Arc<str>,
    value: &Spanned<DeValue<'_>>,
    diagnostics: &mut Diagnostics,
) {
    let Some(table) = entries(file, value, diagnostics) else { return };
    for (key, value) in table.iter() {
        let Some(name) = name::<JobName>(file, key, diagnostics) else { continue };
        if name.tenant().is_some() {
            diagnostics
                .error_at(file, key.span(), format!("`{name}` is the name of a tenant's job"))
                .with_help(Some("a job of the file is every tenant's; leave `@` and what follows out".to_owned()));
            continue;
        }
        let Some(job) = value.get_ref().as_table() else {
            diagnostics.error_at(file, value.span(), "a job is a table of keys");
            continue;
        };
        let kind = match job.get("kind") {
            Some(kind) => read::<String>(file, kind, diagnostics),
            None => {
                diagnostics
                    .error_at(file, key.span(), format!("job `{name}` does not say its kind"))
                    .with_help(Some("add kind = \"…\"".to_owned()));
                None
            }
        };
        let enabled = job.get("enabled").and_then(|enabled| read(file, enabled, diagnostics)).unwrap_or(true);
        let timing = read_timing(file, value, diagnostics);
        if let (Some(kind), Some(timing)) = (kind, timing) {
            timing.check(&name, diagnostics);
            let (piece, folder) = (Piece::of(file, text, key, value), std::path::PathBuf::new());
            let raw = RawJob { name: name.clone(), kind, enabled, timing, piece, folder };
            document.jobs.insert(name, raw);
        }
    }
}

/// Reads the keys of a job that say when it runs.
fn read_timing(file: usize, job: &Spanned<DeValue<'_>>, diagnostics: &mut Diagnostics) -> Option<Timing> {
    let mut keys = job.clone();
    if let DeValue::Table(keys) = keys.get_mut() {
        let others: Vec<String> = keys.iter().map(|(key, _)| key.get_ref().to_string()).collect();
        for other in others.iter().filter(|key| !timing::KEYS.contains(&key.as_str())) {
            keys.remove(other.as_str());
        }
    }
    read(file, &keys, diagnostics)
}

/// Reads one value, noting all its mistakes. `None` when there was any.
pub fn read<T: DeserializeOwned>(
    file: usize,
    value: &Spanned<DeValue<'_>>,
    diagnostics: &mut Diagnostics,
) -> Option<T> {
    read_at(file, 0, value, diagnostics)
}

/// The same from a piece of the file that begins at `start`.
pub(super) fn read_at<T: DeserializeOwned>(
    file: usize,
    start: usize,
    value: &Spanned<DeValue<'_>>,
    diagnostics: &mut Diagnostics,
) -> Option<T> {
    let mut value = value.clone();
    let mut blamed = BTreeSet::new();
    let mut clean = true;
    // Each round takes at least one key away; a section has not that many.
    for _ in 0..200 {
        let error = match T::deserialize(ValueDeserializer::from(value.clone())) {
            Ok(read) => return clean.then_some(read),
            Err(error) => error,
        };
        let span = error.span().unwrap_or_else(|| value.span());
        let (message, help) = reword(error.message());
        let missing = message.starts_with("missing ");
        // A key that was left out because of its value is not missing.
        let excused = missing && blamed.iter().any(|key: &String| message.contains(&format!("`{key}`")));
        if !excused {
            diagnostics.error_at(file, span.start + start..span.end + start, message).with_help(help);
        }
        clean = false;
        match take_away(&mut value, &span) {
            Some(key) if !missing => {
                blamed.insert(key);
            }
            _ => return None,
        }
    }
    None
}

/// serde's words in ours, with what was probably meant.
fn reword(message: &str) -> (String, Option<String>) {
    let message = message.trim();
    let mut quoted = message.split('`').skip(1).step_by(2);
    for start in ["unknown field", "unknown variant"] {
        if message.starts_with(start) {
            let word = quoted.next().unwrap_or_default().to_owned();
            let known: Vec<&str> = quoted.collect();
            let help = did_you_mean(&word, known.iter().copied())
                .map_or_else(|| format!("known here: {}", known.join(", ")), |near| format!("did you mean `{near}`?"));
            let what = if start == "unknown field" { "unknown key" } else { "unknown word" };
            return (format!("{what} `{word}`"), Some(help));
        }
    }
    if let Some(rest) = message.strip_prefix("missing field ") {
        return (format!("missing key {rest}"), None);
    }
    if let Some((first, help)) = message.split_once("; ") {
        return (first.to_owned(), Some(help.to_owned()));
    }
    (message.to_owned(), None)
}

/// Takes the innermost key away whose own name or value the span is; gives the name of the topmost key that holds it.
fn take_away(value: &mut Spanned<DeValue<'_>>, span: &std::ops::Range<usize>) -> Option<String> {
    let DeValue::Table(table) = value.get_mut() else { return None };
    let holds = |range: std::ops::Range<usize>| range.start <= span.start && span.end <= range.end;
    let name = table
        .iter()
        .find(|(key, value)| holds(key.span()) || holds(value.span()))
        .map(|(key, _)| key.get_ref().to_string())?;
    let inner = table.get_mut(name.as_str())?;
    let deeper = matches!(inner.get_ref(), DeValue::Table(_)) && inner.span() != *span;
    let took = deeper && take_away(inner, span).is_some();
    if !took {
        table.remove(name.as_str());
    }
    Some(name)
}

impl Default for Limits {
    fn default() -> Self {
        Self { jobs: Self::default_jobs(), jobs_per_store: Self::default_jobs_per_store() }
    }
}

impl Limits {
    pub(super) fn default_jobs() -> NonZeroUsize {
        NonZeroUsize::MIN.saturating_add(3)
    }

    pub(super) fn default_jobs_per_store() -> NonZeroUsize {
        NonZeroUsize::MIN
    }
}

impl Default for State {
    fn default() -> Self {
        Self { url: Self::default_url(), password: None, keep: Self::default_keep(), lease: None, backup_horizon: None }
    }
}

impl State {
    pub(super) fn default_url() -> UrlSource {
        UrlSource::Literal("sqlite:/var/lib/retentiond/state.db".to_owned())
    }

    /// How long the lease of a job holds without being renewed.
    pub fn lease(&self) -> std::time::Duration {
        let said = self.lease.as_ref().and_then(|lease| lease.length().to_std().ok());
        said.unwrap_or(std::time::Duration::from_secs(30))
    }

    pub(super) fn default_keep() -> super::period::Keep {
        super::period::Keep::parse("24 months").unwrap_or(super::period::Keep::Forever)
    }
}
