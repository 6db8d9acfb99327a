//! Deletes or anonymises what is older than it may be kept, rows and files together.
//!
//! **Invariant.** A row is touched only if it satisfies exactly one rule of the job (an override, the default, or a
//! requirement that it fails) at the moment of the statement, or goes along with such a row as the map says. The cutoff
//! is fixed when the run starts, never lies in the future, and never nearer than the age floor. The plan that the brakes
//! looked at and the run use the same [`Task`]s, so they cannot differ. Tests: `conformance`, `killed`, `examples`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Deserialize;

use super::budget::Means;
use super::session::{Decided, Look, Outcome, Report, Session};
use super::upkeep::{hash_keys, settle_files, sweep_files};
use super::{CatchUp, Job, Kind};
use crate::config::condition::Condition;
use crate::config::diagnostic::Diagnostics;
use crate::config::document::{Brakes, Document, Pace as PaceKeys};
use crate::config::period::Keep;
use crate::config::section::RawJob;
use crate::config::span::Span;
use crate::config::window::Window;
use crate::graph::ties::Ties;
use crate::graph::{Due, Graph, Node, Resolved, Unfolded, Why};
use crate::names::{DataName, JobName, StoreName};
use crate::plan::{Action, Limits, Plan, Policy, Step, Strategy};
use crate::removal::{self, Done, Halt, RemovalError, Task, branches};
use crate::report::Keeping;

mod checks;
pub(super) mod counting;
mod earlier;
pub(super) mod overdue;
mod policy;

pub(super) use checks::refuse_twins;

/// The kind. One late purge does what all missed ones would have done.
pub const KIND: Kind =
    Kind { name: "retention_purge", read, schema: || schemars::schema_for!(Spec), catch_up: CatchUp::Latest };

/// The keys of a retention purge.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The entries it works on; their children go along as the map says.
    pub data: Vec<DataName>,
    /// How long rows are kept, counted from their time column: `"13 months"`, `"forever"`.
    pub keep: Keep,
    /// Only rows that satisfy this.
    #[serde(default, rename = "where")]
    pub only: Condition,
    /// Other times for some rows: the first that matches wins, `keep` applies to the rest.
    #[serde(default, rename = "override")]
    pub overrides: Vec<Override>,
    /// A job of kind `audit_rollup`: a row stays until a summary covers it, where the rollup leaves rows of this entry there
    /// (`purge = false`), and as long as there is a row below it that no summary covers yet.
    pub after_rollup: Option<JobName>,
    /// The time of day in which batches are begun, in the file's zone: `"01:00-05:00"`.
    pub window: Option<Window>,
    /// A run ends after this time, and the next goes on.
    pub max_runtime: Option<Span>,
    /// Limits of this job; what is not said here is the file's.
    pub brakes: Option<Brakes>,
    /// The pace of this job; what is not said here is the file's.
    pub pace: Option<PaceKeys>,
}

/// One override.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Override {
    /// The rows it is for.
    #[serde(rename = "where")]
    pub matching: Condition,
    /// How long these are kept.
    pub keep: Keep,
}

/// A job of this kind.
pub struct RetentionPurge {
    name: JobName,
    spec: Spec,
    rules: Vec<Rules>,
    policy: Policy,
}

/// The conditions of the job on one entry, resolved.
struct Rules {
    data: DataName,
    only: Resolved,
    overrides: Vec<Resolved>,
    /// What a rollup must have folded first.
    unfolded: Vec<Unfolded>,
}

fn read(raw: &RawJob, document: &Document, graph: &Graph, diagnostics: &mut Diagnostics) -> Option<Box<dyn Job>> {
    let spec: Spec = raw.read(diagnostics)?;
    let path = |keys: &[&str]| -> Vec<String> {
        ["jobs", raw.name.as_str()].iter().chain(keys).map(|key| (*key).to_owned()).collect()
    };
    if spec.data.is_empty() {
        diagnostics.error(path(&["data"]), "a purge needs at least one data entry").with_help(None);
    }
    for (key, message) in spec.brakes.iter().flat_map(Brakes::mistakes) {
        diagnostics.error(path(&["brakes", key]), message);
    }
    let mut rules = Vec::new();
    for (position, data) in spec.data.iter().enumerate() {
        let place = path(&["data", &position.to_string()]);
        let Some(node) = graph.node(data) else {
            if !document.data.contains_key(data.as_str()) {
                let near =
                    crate::config::diagnostic::did_you_mean(data.as_str(), document.data.keys().map(DataName::as_str));
                let help = near.map(|near| format!("did you mean `{near}`?"));
                diagnostics.error(place, format!("there is no data entry `{data}`")).with_help(help);
            } else if document.data.get(data.as_str()).is_some_and(|entry| entry.ignore.is_some()) {
                diagnostics.error(place, format!("`{data}` is ignored, so it cannot be purged")).with_help(None);
            }
            continue;
        };
        checks::ties(graph, &spec, data, &place, diagnostics);
        checks::ages(node, &spec, document, place, diagnostics);
        let mut condition = |keys: &[&str], written: &Condition| {
            crate::graph::resolve_condition(graph, node, written, |message, help| {
                diagnostics.error(path(keys), message).with_help(help);
            })
        };
        let only = condition(&["where"], &spec.only);
        let overrides = spec
            .overrides
            .iter()
            .enumerate()
            .map(|(index, rule)| condition(&["override", &index.to_string(), "where"], &rule.matching))
            .collect();
        let fold = spec.after_rollup.as_ref().and_then(|job| checks::fold(document, job));
        let unfolded = fold.map(|fold| checks::unfolded(graph, node, &fold)).unwrap_or_default();
        rules.push(Rules { data: data.clone(), only, overrides, unfolded });
    }
    checks::after_rollup(&spec, document, graph, &path(&["after_rollup"]), diagnostics);
    let policy = policy::policy(&spec, document, graph);
    Some(Box::new(RetentionPurge { name: raw.name.clone(), spec, rules, policy }))
}

impl Job for RetentionPurge {
    fn name(&self) -> &JobName {
        &self.name
    }

    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn policy(&self) -> &Policy {
        &self.policy
    }

    fn keeps(&self) -> Vec<Keeping> {
        let of = |rules: &Rules| Keeping {
            data: rules.data.clone(),
            only: rules.only.clone(),
            only_text: self.spec.only.to_string(),
            overrides: rules
                .overrides
                .iter()
                .zip(&self.spec.overrides)
                .map(|(matching, written)| (matching.clone(), written.matching.to_string(), written.keep.clone()))
                .collect(),
            keep: self.spec.keep.clone(),
        };
        self.rules.iter().map(of).collect()
    }

    fn needs(&self, document: &Document) -> BTreeSet<StoreName> {
        super::stores_around(document, &self.spec.data)
    }

    fn stores(&self, graph: &Graph) -> Vec<StoreName> {
        let mut stores: Vec<StoreName> =
            self.spec.data.iter().filter_map(|data| graph.node(data)).map(|node| node.store.clone()).collect();
        stores.sort();
        stores.dedup();
        stores
    }

    fn overdue(&self, look: &Look<'_>) -> Result<Vec<super::Overdue>, RemovalError> {
        overdue::overdue(self, look)
    }

    fn plan(&self, look: &Look<'_>) -> Result<Plan, RemovalError> {
        Ok(self.prepare(look)?.0)
    }

    fn run(&self, session: &mut Session<'_>, report: &mut Report) -> Result<Outcome, RemovalError> {
        let Decided { plan, work: tasks, pass } = session.decide(|look| self.prepare(look))?;
        report.plan = Some(plan.clone());
        report.steps = plan.steps.iter().cloned().map(|step| Step { rows: 0, files: 0, ..step }).collect();
        // Rows of a killed run that stay want their files back, whether or not this run goes on.
        settle_files(session, &tasks)?;
        if !pass {
            return Ok(Outcome::Braked);
        }
        session.progress.begin(&plan);
        let started = Instant::now();
        let ended = self.remove_all(session, report, &tasks);
        report.removing = started.elapsed();
        sweep_files(session, report, &tasks)?;
        match ended? {
            Some(Halt::Stopped) => Ok(Outcome::Stopped),
            Some(Halt::Truncated) => Ok(Outcome::Truncated),
            None if report.refused > 0 => Err(RemovalError::Doubt(format!(
                "{} rows stay: the path of their file, or of a file below them, is refused (a URL, an absolute path or one that leaves the store)",
                report.refused
            ))),
            None if plan.all_held() => Ok(Outcome::Held),
            None => Ok(Outcome::Complete),
        }
    }
}

impl RetentionPurge {
    /// The plan and the tasks it is made of.
    fn prepare(&self, look: &Look<'_>) -> Result<(Plan, Vec<Task>), RemovalError> {
        let zone = look.document.timezone;
        let default_cutoff = cutoff(&self.spec.keep, look.now, zone)?;
        let mut tasks = Vec::new();
        let mut steps = Vec::new();
        let mut seen = counting::Seen::default();
        // Children before parents, whatever the order in the file.
        for node in look.graph.children_first() {
            let Some(rules) = self.rules.iter().find(|rules| rules.data == node.name) else { continue };
            let ties = self.ties(look, node)?;
            for rule in self.dues(rules, node, look.now, zone)? {
                let (task, mut counted) = counting::count(look, node, rule, ties.as_ref(), &mut seen)?;
                steps.append(&mut counted);
                tasks.push(task);
            }
        }
        let basis = look.basis(self.policy_hash(), &self.stores(look.graph));
        let plan = Plan::new(self.name.clone(), KIND.name, default_cutoff, basis, steps);
        let limits = Limits::of(self.spec.brakes.as_ref(), &look.document.brakes);
        let brakes = limits.look_at(&plan, look.usual, look.now);
        Ok((plan.with_brakes(brakes), tasks))
    }

    /// What the rows of an entry go together with: the rules of this job say which of those may go.
    fn ties(&self, look: &Look<'_>, node: &Node) -> Result<Option<Ties>, RemovalError> {
        let mut dues = BTreeMap::new();
        for rules in &self.rules {
            let Some(node) = look.graph.node(&rules.data) else { continue };
            let rules = self.dues(rules, node, look.now, look.document.timezone)?;
            dues.insert(node.name.clone(), rules.into_iter().map(|(_, due)| due).collect::<Vec<_>>());
        }
        Ok(Ties::of(look.graph, node, |name| dues.get(name).cloned().unwrap_or_default()))
    }

    /// The rules of the job on one entry: requirement, overrides in their order, default.
    fn dues(
        &self,
        rules: &Rules,
        node: &Node,
        now: DateTime<Utc>,
        zone: chrono_tz::Tz,
    ) -> Result<Vec<(String, Due)>, RemovalError> {
        let mut dues = Vec::new();
        let due = |why, matching, unless: &[Resolved]| Due {
            why,
            only: rules.only.clone(),
            matching,
            unless: unless.to_vec(),
            unfolded: rules.unfolded.clone(),
            fresh: None,
        };
        if node.requires.is_some() {
            dues.push(("requires".to_owned(), due(Why::Requirement, None, &[])));
        }
        for (index, rule) in self.spec.overrides.iter().enumerate() {
            let (Some(matching), earlier) =
                (rules.overrides.get(index), rules.overrides.get(..index).unwrap_or_default())
            else {
                continue;
            };
            if let Some(cutoff) = cutoff(&rule.keep, now, zone)? {
                dues.push((format!("override {}", index + 1), due(Why::Age(cutoff), Some(matching.clone()), earlier)));
            }
        }
        if let Some(cutoff) = cutoff(&self.spec.keep, now, zone)? {
            dues.push(("default".to_owned(), due(Why::Age(cutoff), None, &rules.overrides)));
        }
        Ok(dues)
    }

    fn remove_all(
        &self,
        session: &mut Session<'_>,
        report: &mut Report,
        tasks: &[Task],
    ) -> Result<Option<Halt>, RemovalError> {
        let means = Means {
            window: self.spec.window,
            max_runtime: self.spec.max_runtime.as_ref(),
            pace: self.spec.pace.as_ref(),
        };
        let graph = session.look.graph;
        let worked = session.work(&self.name, means, graph, hash_keys(graph, tasks)?, 0, |context| {
            for task in tasks {
                let mut done = Done::default();
                let ended = removal::remove(context, task, &mut done);
                counting::enter(report, task, &done);
                if let Some(halt) = ended? {
                    return Ok(Some(halt));
                }
            }
            Ok(None)
        });
        report.transactions = worked.transactions;
        worked.ended
    }
}

/// The instant before which rows are expired; `None` for ever.
pub(super) fn cutoff(
    keep: &Keep,
    now: DateTime<Utc>,
    zone: chrono_tz::Tz,
) -> Result<Option<DateTime<Utc>>, RemovalError> {
    match keep {
        Keep::Forever => Ok(None),
        Keep::For(period) => match period.before(now, zone) {
            Some(cutoff) if cutoff < now => Ok(Some(cutoff)),
            _ => Err(RemovalError::Doubt(format!("keep = \"{period}\" gives no instant in the past"))),
        },
    }
}
