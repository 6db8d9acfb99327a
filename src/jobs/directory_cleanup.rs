//! Removes what is left of a person who is gone, and what must not be collected.
//!
//! **Invariant.** A person is gone when their key is no longer among the persons, or their row says so; this is asked again
//! right before anything of theirs is removed, and within the statement where the persons are in the same database. What
//! a gone person has is removed by the map's links alone: own relations at once, in one transaction where they share a
//! database; directory entries when the person has been gone for `after`; the name when nothing refers to it any more.
//! Whatever makes many persons seem gone at once (a table that is empty, cut down or restored) stops the run at a brake
//! before its first deletion and before anybody is remembered as gone. Tests: `directory`, killed runs
//! among them.

use std::time::Instant;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Deserialize;

use super::budget::Means;
use super::session::{Decided, Look, Outcome, Report, Session};
use super::upkeep::{hash_keys, settle_files, sweep_files};
use super::{Job, Kind};
use crate::config::diagnostic::{Diagnostics, did_you_mean};
use crate::config::document::{Brakes, Document, Pace as PaceKeys};
use crate::config::period::Period;
use crate::config::section::RawJob;
use crate::config::span::Span;
use crate::config::timing::CatchUp;
use crate::config::window::Window;
use crate::graph::walk::find;
use crate::graph::{Graph, Named, Node, Why};
use crate::names::{JobName, PersonName, StoreName};
use crate::plan::{Brake, BrakeName, Limits, Plan, Policy, Step};
use crate::redact::Sealed;
use crate::removal::{Halt, RemovalError, Task};
use crate::store::target::Expr;
use crate::store::target::ordered::KeyOrder;
use crate::store::{gate, state};

mod count;
mod merge;
mod parts;
mod remove;

use count::Count;
use merge::{Gone, Key, Merge, Met, page, streams};
pub(super) use parts::refuse_idle_switches;
use parts::{Entries, since, switched, task};
pub use parts::{digest as gone_digest, own_entries};
use remove::Remove;

/// The kind.
/// One late run finds all that missed ones would have found.
pub const KIND: Kind =
    Kind { name: "directory_cleanup", read, schema: || schemars::schema_for!(Spec), catch_up: CatchUp::Latest };

/// Persons looked at together.
const CHUNK: usize = 100;
/// The rule of a switch on the person's row.
const SWITCHED_OFF: &str = "switched off";
/// The rule of a category that is not collected.
const NOT_COLLECTED: &str = "not collected";
/// How long persons are remembered of whom nothing is left, when the file knows no backups.
const REMEMBERED: chrono::TimeDelta = chrono::TimeDelta::days(35);

/// The keys of a directory cleanup.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The kind of person, one with `data`.
    pub person: PersonName,
    /// How long directory entries stay, from when the person was first seen to be gone.
    pub after: Period,
    /// The time of day in which batches are begun, in the file's zone: `"01:00-05:00"`.
    pub window: Option<Window>,
    /// A run ends after this time, and the next goes on.
    pub max_runtime: Option<Span>,
    /// Limits of this job; what is not said here is the file's.
    pub brakes: Option<Brakes>,
    /// The pace of this job; what is not said here is the file's.
    pub pace: Option<PaceKeys>,
}

/// A job of this kind.
pub struct DirectoryCleanup {
    name: JobName,
    spec: Spec,
    policy: Policy,
}

fn read(raw: &RawJob, document: &Document, graph: &Graph, diagnostics: &mut Diagnostics) -> Option<Box<dyn Job>> {
    let spec: Spec = raw.read(diagnostics)?;
    let path = |keys: &[&str]| -> Vec<String> {
        ["jobs", raw.name.as_str()].iter().chain(keys).map(|key| (*key).to_owned()).collect()
    };
    for (key, message) in spec.brakes.iter().flat_map(Brakes::mistakes) {
        diagnostics.error(path(&["brakes", key]), message);
    }
    match document.people.get(&spec.person) {
        None => {
            let near = did_you_mean(spec.person.as_str(), document.people.keys().map(PersonName::as_str));
            let help = near.map(|near| format!("did you mean `{near}`?"));
            diagnostics.error(path(&["person"]), format!("there is no [people.{}]", spec.person)).with_help(help);
        }
        Some(person) if person.data.is_none() => {
            let message = format!("a {} has no row of their own, so nobody can be seen to be gone", spec.person);
            let help = Some(format!("say data = \"…\" in [people.{}]", spec.person));
            diagnostics.error(path(&["person"]), message).with_help(help);
        }
        Some(_) => {
            let entries = Entries::of(graph, &spec.person);
            if entries.is_some_and(|entries| entries.noticed_in().is_empty()) {
                let message =
                    format!("no entry of the map has anything of a {} that this job could remove", spec.person);
                diagnostics.warning(path(&["person"]), message).with_help(None);
            }
        }
    }
    let policy = parts::policy(&spec, document, graph);
    Some(Box::new(DirectoryCleanup { name: raw.name.clone(), spec, policy }))
}

impl Job for DirectoryCleanup {
    fn name(&self) -> &JobName {
        &self.name
    }

    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn policy(&self) -> &Policy {
        &self.policy
    }

    fn stores(&self, graph: &Graph) -> Vec<StoreName> {
        let Some(entries) = Entries::of(graph, &self.spec.person) else { return Vec::new() };
        let off = graph.children_first().filter(|node| graph.switches().off.contains(&node.category));
        let switched = switched(graph, &self.spec.person).into_iter().map(|(node, _)| node);
        let all = entries.noticed_in().into_iter().chain([entries.persons]).chain(off).chain(switched);
        let mut stores: Vec<StoreName> = all.map(|node| node.store.clone()).collect();
        stores.sort();
        stores.dedup();
        stores
    }

    fn plan(&self, look: &Look<'_>) -> Result<Plan, RemovalError> {
        let mut count = Count::default();
        self.walk(look, &mut count)?;
        self.finish(look, count)
    }

    fn run(&self, session: &mut Session<'_>, report: &mut Report) -> Result<Outcome, RemovalError> {
        let Decided { plan, pass, .. } = session.decide(|look| Ok((self.plan(look)?, ())))?;
        // What was approved counts from its own instant.
        session.look.now = plan.basis.at;
        report.plan = Some(plan.clone());
        report.steps = plan.steps.iter().cloned().map(|step| Step { rows: 0, files: 0, ..step }).collect();
        let touched = self.touched(session.look.graph);
        settle_files(session, &touched)?;
        if !pass {
            return Ok(Outcome::Braked);
        }
        session.progress.begin(&plan);
        for step in plan.steps.iter().filter(|step| step.rule == NOT_COLLECTED && step.rows > 0 && step.with.is_none())
        {
            session
                .progress
                .note(&format!("{} rows of {} were there although nothing of it is collected", step.rows, step.data));
        }
        let started = Instant::now();
        let ended = self.remove_all(session, report, &touched);
        report.removing = started.elapsed();
        sweep_files(session, report, &touched)?;
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

/// What a walk over persons does with what it finds.
trait Visit {
    /// Rows of some tasks, in the order in which they go; `persons` of them lose something.
    fn tasks(&mut self, look: &Look<'_>, tasks: &[Task], persons: u64) -> Result<Option<Halt>, RemovalError>;
    /// These persons are gone.
    fn gone(&mut self, look: &Look<'_>, gone: &[Gone]) -> Result<(), RemovalError>;
    /// These persons are there.
    fn there(&mut self, look: &Look<'_>, keys: &[Key]) -> Result<(), RemovalError>;
}

impl DirectoryCleanup {
    /// One task of each entry that can be touched: for its files and the keys of its hashes.
    fn touched(&self, graph: &Graph) -> Vec<Task> {
        let Some(entries) = Entries::of(graph, &self.spec.person) else { return Vec::new() };
        let off = graph.children_first().filter(|node| graph.switches().off.contains(&node.category));
        let switched = switched(graph, &self.spec.person).into_iter().map(|(node, _)| node);
        let all = entries.noticed_in().into_iter().chain([entries.persons]).chain(off).chain(switched);
        all.map(|node| task(graph, node, Why::NotCollected, NOT_COLLECTED)).collect()
    }

    /// Meets every person once, in constant memory: those who are gone, then what switches decide.
    fn walk(&self, look: &Look<'_>, visit: &mut dyn Visit) -> Result<Option<Halt>, RemovalError> {
        let graph = look.graph;
        let Some(entries) = Entries::of(graph, &self.spec.person) else { return Ok(None) };
        let cutoff = self.cutoff(look)?;
        let watch = state::watch(&mut *look.memory.conn()?, self.spec.person.as_str())?;
        let secret = watch.as_ref().map(|watch| &watch.secret);
        let noticed = entries.noticed_in();
        let mut links: Vec<_> = noticed.iter().flat_map(|node| streams(graph, node, &entries.kind)).collect();
        if graph.switches().gone.contains_key(&entries.kind) {
            let scope = entries.persons.own();
            let gone = Expr::Not(Box::new(graph.alive(&entries.kind, &scope, 0)));
            links.push((entries.persons, entries.persons.key_operands(&scope), gone));
        }
        // A key that several links of an entry hold is met once for each; the position is the entry's.
        let of_link: Vec<usize> = links
            .iter()
            .map(|(node, ..)| noticed.iter().position(|entry| entry.name == node.name).unwrap_or(usize::MAX))
            .collect();
        let mut merge = Merge::begin(look, &entries.kind, entries.persons, &links);
        let (mut gone, mut there) = (Vec::new(), Vec::new());
        loop {
            let met = merge.next()?;
            let ended = met.is_none();
            match met {
                Some(Met::There(key)) => there.push(key),
                Some(Met::Gone(Gone { key, named_in })) => {
                    let named_in = named_in.iter().filter_map(|link| of_link.get(*link)).copied().collect();
                    gone.push(Gone { key, named_in });
                }
                None => {}
            }
            if there.len() >= 10 * CHUNK || ended {
                visit.there(look, &there)?;
                there.clear();
            }
            if gone.len() >= CHUNK || ended {
                let keys: Vec<Key> = gone.iter().map(|gone| gone.key.clone()).collect();
                let back = if keys.is_empty() { Default::default() } else { entries.there(look, &keys)? };
                gone.retain(|gone| !back.contains(&gone.key));
                if !gone.is_empty() {
                    visit.gone(look, &gone)?;
                    let known = since(look, &entries.kind, secret, &gone)?;
                    let (tasks, persons) = entries.tasks(look, &gone, &|key| known.get(key).copied(), cutoff)?;
                    if let Some(halt) = visit.tasks(look, &tasks, persons)? {
                        return Ok(Some(halt));
                    }
                }
                gone.clear();
            }
            if ended {
                break;
            }
        }
        self.switches(look, &entries, visit)
    }

    /// What the switch on a person's row, or on a category, leaves no place for.
    fn switches(
        &self,
        look: &Look<'_>,
        entries: &Entries<'_>,
        visit: &mut dyn Visit,
    ) -> Result<Option<Halt>, RemovalError> {
        let graph = look.graph;
        let persons = entries.persons;
        let (scope, orders) = (persons.own(), vec![KeyOrder::Bytes; persons.key.len()]);
        for (node, switch) in switched(graph, &entries.kind) {
            let mut last: Option<Key> = None;
            loop {
                let off = Graph::switched_off(&switch.column, &scope);
                let columns = persons.key_operands(&scope);
                let keys = page(look, persons, (&columns, &orders), &off, last.as_deref(), CHUNK as u64)?;
                let Some(next) = keys.last().cloned() else { break };
                let (via, links) = (switch.via.clone(), switch.links.clone());
                let why = Why::Named(Named { via, links, keys, unless_there: None });
                if let Some(halt) = visit.tasks(look, &[task(graph, node, why, SWITCHED_OFF)], 0)? {
                    return Ok(Some(halt));
                }
                last = Some(next);
            }
        }
        for node in graph.children_first().filter(|node| graph.switches().off.contains(&node.category)) {
            if let Some(halt) = visit.tasks(look, &[task(graph, node, Why::NotCollected, NOT_COLLECTED)], 0)? {
                return Ok(Some(halt));
            }
        }
        Ok(None)
    }

    /// A person who was first seen to be gone by then has been gone long enough.
    fn cutoff(&self, look: &Look<'_>) -> Result<DateTime<Utc>, RemovalError> {
        let cutoff = self.spec.after.before(look.now, look.document.timezone);
        cutoff.ok_or_else(|| RemovalError::Doubt(format!("after = \"{}\" gives no instant", self.spec.after)))
    }

    fn finish(&self, look: &Look<'_>, count: Count) -> Result<Plan, RemovalError> {
        let Some(entries) = Entries::of(look.graph, &self.spec.person) else {
            return Err(RemovalError::Doubt(format!("nobody is a {}", self.spec.person)));
        };
        let basis = look.basis(self.policy_hash(), &self.stores(look.graph));
        let plan = Plan::new(self.name.clone(), KIND.name, None, basis, count.steps);
        let limits = Limits::of(self.spec.brakes.as_ref(), &look.document.brakes);
        let mut brakes = limits.look_at(&plan, look.usual, look.now);
        brakes.extend(limits.look_at_persons(&entries.persons.name, count.persons, count.there));
        brakes.extend(self.restored(look, entries.persons)?);
        Ok(plan.with_brakes(brakes))
    }

    /// The persons' database remembers fewer looks than we do: it was put back to an earlier state.
    fn restored(&self, look: &Look<'_>, persons: &Node) -> Result<Option<Brake>, RemovalError> {
        let kind = self.spec.person.as_str();
        let Some(watch) = state::watch(&mut *look.memory.conn()?, kind)? else { return Ok(None) };
        if !persons.holds {
            return Ok(None);
        }
        let known = gate::last_look(&mut *find::open(look.stores, persons)?, kind)?;
        Ok((known < watch.looks).then(|| Brake {
            brake: BrakeName::PersonsRestored,
            limit: watch.looks as f64,
            found: known as f64,
            data: Some(persons.name.clone()),
            why: None,
        }))
    }

    fn remove_all(
        &self,
        session: &mut Session<'_>,
        report: &mut Report,
        touched: &[Task],
    ) -> Result<Option<Halt>, RemovalError> {
        let secret = self.note_look(session)?;
        let look = session.look;
        let means = Means {
            window: self.spec.window,
            max_runtime: self.spec.max_runtime.as_ref(),
            pace: self.spec.pace.as_ref(),
        };
        let kind = &self.spec.person;
        let watched = state::any_gone(&mut *look.memory.conn()?, kind.as_str())?;
        let worked = session.work(&self.name, means, look.graph, hash_keys(look.graph, touched)?, 0, |context| {
            self.walk(&look, &mut Remove { kind, secret: &secret, watched, context, report })
        });
        report.transactions = worked.transactions;
        let halt = worked.ended?;
        if halt.is_none() {
            let remembered = look.document.state.backup_horizon.as_ref().map_or(REMEMBERED, Period::approximate);
            state::forget_unseen(&mut *look.memory.conn()?, kind.as_str(), look.now - remembered)?;
        }
        Ok(halt)
    }

    /// Counts this look at the persons, in their own database first: a look that only that database knows of is harmless.
    fn note_look(&self, session: &Session<'_>) -> Result<Sealed, RemovalError> {
        let kind = self.spec.person.as_str();
        let look = &session.look;
        let mut memory = look.memory.conn()?;
        let watch = match state::watch(&mut memory, kind)? {
            Some(watch) => watch,
            None => state::begin_watch(&mut memory, kind)?,
        };
        if let Some(persons) = Entries::of(look.graph, &self.spec.person).map(|entries| entries.persons)
            && persons.holds
        {
            let mut conn = find::open(look.stores, persons)?;
            let number = watch.looks.max(gate::last_look(&mut conn, kind)?) + 1;
            gate::note_look(&mut conn, kind, number)?;
            state::note_look(&mut memory, kind, number)?;
        }
        Ok(watch.secret)
    }
}
