//! The kinds of job. A kind is one file, one line in [`KINDS`] and one test file.

pub mod audit_rollup;
mod budget;
pub mod desk;
pub mod directory_cleanup;
pub mod erasure;
pub mod personal_data_report;
pub mod retention_purge;
pub mod session;
mod upkeep;

use std::collections::{BTreeMap, BTreeSet};

use crate::config::diagnostic::Diagnostics;
use crate::config::document::{Document, Entry};
use crate::config::section::RawJob;
use crate::config::timing::CatchUp;
use crate::graph::Graph;
use crate::names::{DataName, JobName, StoreName};
use crate::plan::{Plan, Policy};
use crate::removal::RemovalError;
use crate::report::Keeping;

pub use session::{Approver, Decided, Look, Outcome, Overdue, Report, Session};

/// One job of the file, ready to be planned and run.
pub trait Job: Send + Sync {
    /// The job's name.
    fn name(&self) -> &JobName;
    /// The kind, as the file writes it.
    fn kind(&self) -> &'static str;
    /// What the job removes, as plain data: what approvals are bound to, and what a later policy is compared with.
    fn policy(&self) -> &Policy;
    /// The policy's name: a change of policy changes it.
    fn policy_hash(&self) -> String {
        self.policy().hash()
    }
    /// What should have gone by the look's instant and is still there, by rule: cheap, bounded, reading only. A kind that
    /// removes nothing by age has nothing to say.
    ///
    /// # Errors
    /// When a store cannot be read.
    fn overdue(&self, look: &Look<'_>) -> Result<Vec<Overdue>, RemovalError> {
        let _ = look;
        Ok(Vec::new())
    }
    /// How long the job keeps rows of which entries: what a report about a person says of them.
    fn keeps(&self) -> Vec<Keeping> {
        Vec::new()
    }
    /// What a run would do now; changes nothing.
    ///
    /// # Errors
    /// When a store cannot be read, or its values cannot be trusted.
    fn plan(&self, look: &Look<'_>) -> Result<Plan, RemovalError>;
    /// Does what [`Job::plan`] says.
    ///
    /// # Errors
    /// What stopped the run; `report` has what was done before.
    fn run(&self, session: &mut Session<'_>, report: &mut Report) -> Result<Outcome, RemovalError>;
    /// Whether the job brings a restored store up to date, and so may work on one.
    fn mends(&self) -> bool {
        false
    }
    /// Whether a run removes anything, so that somebody has to approve what it may remove.
    fn removes(&self) -> bool {
        true
    }
    /// Every store without which the job must not run, as the file alone says: all, unless a kind knows better.
    fn needs(&self, document: &Document) -> BTreeSet<StoreName> {
        document.stores.keys().cloned().collect()
    }
    /// The stores that the job works on.
    fn stores(&self, graph: &Graph) -> Vec<StoreName>;
}

/// Reads a job of one kind; what is wrong with it goes to the diagnostics.
pub type ReadJob = fn(&RawJob, &Document, &Graph, &mut Diagnostics) -> Option<Box<dyn Job>>;

/// One kind.
pub struct Kind {
    /// What `kind = "…"` says.
    pub name: &'static str,
    /// Reads a job of this kind.
    pub read: ReadJob,
    /// The JSON Schema of its keys.
    pub schema: fn() -> schemars::Schema,
    /// What becomes of missed runs, where the job does not say.
    pub catch_up: CatchUp,
}

/// All kinds.
pub const KINDS: &[Kind] =
    &[audit_rollup::KIND, directory_cleanup::KIND, personal_data_report::KIND, retention_purge::KIND];

/// The kind of a job; one that is not known goes to the diagnostics.
pub fn find_kind(raw: &RawJob, diagnostics: &mut Diagnostics) -> Option<&'static Kind> {
    let kind = KINDS.iter().find(|kind| kind.name == raw.kind);
    if kind.is_none() {
        let known: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
        let help = crate::config::diagnostic::did_you_mean(&raw.kind, known.iter().copied()).map_or_else(
            || format!("this version knows {}", known.join(", ")),
            |near| format!("did you mean `{near}`?"),
        );
        let path = vec!["jobs".to_owned(), raw.name.to_string(), "kind".to_owned()];
        diagnostics.error(path, format!("there is no job kind `{}`", raw.kind)).with_help(Some(help));
    }
    kind
}

/// Reads all jobs of a document.
pub fn read_all(document: &Document, graph: &Graph, diagnostics: &mut Diagnostics) -> BTreeMap<JobName, Box<dyn Job>> {
    let mut jobs = BTreeMap::new();
    for (name, raw) in &document.jobs {
        let Some(kind) = find_kind(raw, diagnostics) else { continue };
        if let Some(job) = (kind.read)(raw, document, graph, diagnostics) {
            jobs.insert(name.clone(), job);
        }
    }
    retention_purge::refuse_twins(document, diagnostics);
    directory_cleanup::refuse_idle_switches(document, diagnostics);
    warn_of_idle_stores(document, diagnostics);
    jobs
}

/// A store that nothing uses may be a slip of the pen.
fn warn_of_idle_stores(document: &Document, diagnostics: &mut Diagnostics) {
    let entries = document.data.values();
    let of_entries = entries.flat_map(|entry| entry.store.iter().chain(entry.file.iter().map(|file| &file.store)));
    let mut used: BTreeSet<&StoreName> = of_entries.chain(&document.trail.store).collect();
    let archived = audit_rollup::archived(document);
    used.extend(archived.iter().map(|(_, _, keys)| &keys.store));
    for store in document.stores.keys().filter(|store| !used.contains(store)) {
        diagnostics.warning(vec!["stores".to_owned(), store.to_string()], format!("nothing uses store `{store}`"));
    }
}

/// The stores of some entries and of all that is linked with them, in whichever direction, their files included.
fn stores_around(document: &Document, entries: &[DataName]) -> BTreeSet<StoreName> {
    let links = |entry: &Entry| -> Vec<DataName> {
        let links = [&entry.belongs_to, &entry.goes_with, &entry.unlink];
        links.into_iter().flatten().flat_map(|links| links.0.iter().map(|link| link.data.clone())).collect()
    };
    let mut around: BTreeSet<DataName> = entries.iter().cloned().collect();
    loop {
        let before = around.len();
        for (name, entry) in &document.data {
            let linked = links(entry);
            if around.contains(name) || linked.iter().any(|other| around.contains(other)) {
                around.insert(name.clone());
                around.extend(linked);
            }
        }
        if around.len() == before {
            break;
        }
    }
    let entries = around.iter().filter_map(|name| document.data.get(name));
    entries.flat_map(|entry| entry.store.iter().chain(entry.file.iter().map(|file| &file.store))).cloned().collect()
}
