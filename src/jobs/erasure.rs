//! Erases one person: everything that the walk through the map reaches goes, is anonymised, or is named as kept.
//!
//! No job of the file: `retentiond erase` makes one for the person that was named. **Invariant.** The plan, the run and
//! the look afterwards are made from the same [`Walk`], so what is shown is what goes. Nobody else's row changes: each
//! statement carries the walk's whole condition. What finds the person goes last, and stays while a legal hold keeps other
//! rows of theirs: so an erasure that was killed, or that a hold kept from something, is run again. It is complete only
//! when a new walk finds nothing left to do. There are no brakes: one person is what was asked for. Tests: `erasure`,
//! `erasure_killed`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use super::budget::Means;
use super::retention_purge::counting::{files_of, held_rows, know};
use super::session::{Look, Outcome, Report, Session};
use super::upkeep::{hash_keys, settle_files, sweep_files};
use super::{Job, retention_purge};
use crate::graph::due::Rows;
use crate::graph::walk::find::{self, MOST_FOUND, Search};
use crate::graph::walk::remaining::{Left, counted, remaining, ties};
use crate::graph::walk::{Change, Slice};
use crate::graph::{Due, Graph, Node, Subject, Walk};
use crate::names::{DataName, JobName, StoreName};
use crate::plan::policy::{Policy, value};
use crate::plan::{Action, Kept, Plan, Remaining, Step, Strategy};
use crate::removal::{self, Done, Halt, RemovalError, Task, choose_strategy, references};
use crate::store::target::Expr;
use crate::store::{Access, Backend, Conn};

/// The kind, as run records call it.
pub const KIND: &str = "erasure";
/// Rows that come while an erasure runs are found by the next round.
const ROUNDS: usize = 4;

/// Why rows under a legal hold stay.
const HELD: &str = "a legal hold keeps them; erase the person again when it is released";
/// Why rows stay that know the person's addresses, while others are held.
const FINDS: &str = "they find what a legal hold keeps; erase the person again when it is released";

/// One person's erasure.
pub struct Erasure {
    name: JobName,
    subject: Subject,
    policy: Policy,
    only: Option<StoreName>,
    entries: Option<BTreeSet<DataName>>,
}

/// One slice, ready to be removed.
struct Work {
    graph: Graph,
    task: Task,
    rows: u64,
}

impl Erasure {
    /// An erasure of a person, on all stores or on one; `digest` stands for the person in the plan's name.
    pub fn new(name: JobName, subject: Subject, digest: String, only: Option<StoreName>) -> Self {
        let range = [subject.from, subject.to].map(|at| at.map(|at| at.timestamp()));
        let fixed = [("person", value(&digest)), ("range", value(&range)), ("store", value(&only))];
        let fixed = fixed.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        Self { name, subject, policy: Policy { fixed, ..Policy::default() }, only, entries: None }
    }

    /// The same within these entries alone.
    #[must_use]
    pub fn within(mut self, entries: BTreeSet<DataName>) -> Self {
        self.policy.fixed.insert("entries".to_owned(), value(&entries));
        self.entries = Some(entries);
        self
    }

    /// The person, their addresses looked up in the stores.
    fn subject(&self, look: &Look<'_>) -> Result<Subject, RemovalError> {
        let mut subject = self.subject.clone();
        match find::search(look.graph, look.stores, &mut subject)? {
            Search::Found => Ok(subject),
            Search::TooMany => Err(RemovalError::Refused(format!(
                "the search matches more than {MOST_FOUND} rows, too many to be about one person; leave the widest address out, or narrow it with --from and --to"
            ))),
        }
    }

    fn is_here(&self, node: &Node) -> bool {
        self.only.as_ref().is_none_or(|only| node.store == *only)
            && self.entries.as_ref().is_none_or(|entries| entries.contains(&node.name))
    }

    /// The plan, and what it is made of.
    fn prepare(&self, look: &Look<'_>) -> Result<(Plan, Vec<Work>), RemovalError> {
        let subject = Arc::new(self.subject(look)?);
        let walk = Walk::new(look.graph, &subject);
        let (mut works, mut steps) = (Vec::new(), Vec::new());
        let (mut held, mut waiting) = (false, Vec::new());
        for slice in walk.slices().into_iter().filter(|slice| self.is_here(&slice.node)) {
            let (finds, data, store) = (slice.finds, slice.node.name.clone(), slice.node.store.clone());
            let (mut work, mut counted) = count(look, slice, &subject)?;
            if finds && held && work.rows > 0 {
                waiting.push(Remaining { data, store, rows: work.rows, ground: FINDS.to_owned() });
                work.rows = 0;
                counted.iter_mut().for_each(|step| (step.rows, step.files) = (0, 0));
            }
            held |= counted.iter().any(|step| step.held > 0);
            steps.append(&mut counted);
            works.push(work);
        }
        let basis = look.basis(self.policy_hash(), &self.stores(look.graph));
        let mut plan = Plan::new(self.name.clone(), KIND, None, basis, steps);
        plan.remains = self.remains(look, &subject)?;
        for step in plan.steps.iter().filter(|step| step.held > 0) {
            let (data, store) = (step.data.clone(), step.store.clone());
            plan.remains.push(Remaining { data, store, rows: step.held, ground: HELD.to_owned() });
        }
        plan.remains.append(&mut waiting);
        Ok((plan, works))
    }

    /// What stays, and why.
    fn remains(&self, look: &Look<'_>, subject: &Arc<Subject>) -> Result<Vec<Remaining>, RemovalError> {
        let left = remaining(look.graph, look.stores, subject, self.only.as_ref())?;
        let named = |left: Left| Remaining { data: left.data, store: left.store, rows: left.rows, ground: left.ground };
        Ok(left.into_iter().map(named).collect())
    }

    fn remove(
        &self,
        session: &mut Session<'_>,
        report: &mut Report,
        works: &[Work],
        batches: &mut u64,
    ) -> Result<Option<Halt>, RemovalError> {
        for work in works.iter().filter(|work| work.rows > 0) {
            let tasks = std::slice::from_ref(&work.task);
            let keys = hash_keys(&work.graph, tasks)?;
            let mut done = Done::default();
            let mut worked = session.work(&self.name, Means::default(), &work.graph, keys, *batches, |context| {
                removal::remove(context, &work.task, &mut done)
            });
            *batches = worked.batches;
            report.transactions.append(&mut worked.transactions);
            retention_purge::counting::enter(report, &work.task, &done);
            if let Some(halt) = worked.ended? {
                return Ok(Some(halt));
            }
        }
        Ok(None)
    }
}

impl Erasure {
    /// The only store that it works on, if it is not all.
    pub fn only(&self) -> Option<&StoreName> {
        self.only.as_ref()
    }
}

impl Job for Erasure {
    fn name(&self) -> &JobName {
        &self.name
    }

    fn kind(&self) -> &'static str {
        KIND
    }

    fn policy(&self) -> &Policy {
        &self.policy
    }

    fn mends(&self) -> bool {
        self.only.is_some()
    }

    fn stores(&self, graph: &Graph) -> Vec<StoreName> {
        let walk = Walk::new(graph, &self.subject);
        let concerned = |node: &&Node| self.is_here(node) && (walk.can_reach(node) || !node.mentions.is_empty());
        let mut stores: Vec<StoreName> =
            graph.children_first().filter(concerned).map(|node| node.store.clone()).collect();
        stores.sort();
        stores.dedup();
        stores
    }

    fn plan(&self, look: &Look<'_>) -> Result<Plan, RemovalError> {
        Ok(self.prepare(look)?.0)
    }

    fn run(&self, session: &mut Session<'_>, report: &mut Report) -> Result<Outcome, RemovalError> {
        let (plan, mut works) = self.prepare(&session.look)?;
        report.steps = plan.steps.iter().cloned().map(|step| Step { rows: 0, files: 0, ..step }).collect();
        report.plan = Some(plan.clone());
        let tasks: Vec<Task> = works.iter().map(|work| work.task.clone()).collect();
        // No window is an erasure's.
        let lifted = if session.unpaced { vec!["pace"] } else { Vec::new() };
        session.announce(&plan, (true, false), lifted)?;
        settle_files(session, &tasks)?;
        session.progress.begin(&plan);
        let (started, mut batches) = (Instant::now(), 0);
        for round in 0..ROUNDS {
            let ended = self.remove(session, report, &works, &mut batches);
            report.removing = started.elapsed();
            match ended {
                Ok(None) => {}
                Ok(Some(Halt::Stopped)) => return Ok(Outcome::Stopped),
                Ok(Some(Halt::Truncated)) => return Ok(Outcome::Truncated),
                Err(error) => return Err(error),
            }
            // Walked again, as if for the first time: what is left now came meanwhile, or would not go.
            let (again, left) = self.prepare(&session.look)?;
            if again.rows == 0 {
                sweep_files(session, report, &tasks)?;
                return Ok(if plan.all_held() { Outcome::Held } else { Outcome::Complete });
            }
            if report.refused > 0 {
                break;
            }
            if round > 0 {
                session.progress.note(&format!("{} more rows were found by walking again", again.rows));
            }
            works = left;
        }
        let why = if report.refused > 0 {
            "the path of their file, or of a file below them, is refused (a URL, an absolute path or one that leaves the store)"
        } else {
            "rows about the person come as fast as they go, or the database keeps them (a trigger, a rule, row security)"
        };
        Err(RemovalError::Doubt(format!("the person is not erased completely: {why}")))
    }
}

/// What a slice's rows are called in plans and ledgers.
fn rule_of(change: Change) -> &'static str {
    match change {
        Change::Delete | Change::Anonymise => "erasure",
        Change::Blank => "blank",
    }
}

fn count(look: &Look<'_>, slice: Slice, subject: &Arc<Subject>) -> Result<(Work, Vec<Step>), RemovalError> {
    let Slice { change, node, rows, .. } = slice;
    let graph = look.graph.with(node.clone());
    let mut task = Task {
        root: node.name.clone(),
        due: Due::person(rows),
        rule: rule_of(change).to_owned(),
        branches: references(&graph, &node),
        ties: (change != Change::Blank).then(|| ties(&graph, &node, subject)).flatten(),
        strategy: Strategy::KeyLists,
    };
    task.strategy = strategy(&graph, &node, &task)?;
    let mut conn = find::open(look.stores, &node)?;
    let steps = conn.transaction(Access::ReadOnly, |conn| steps(conn, &graph, &node, &task))?;
    let rows = steps.last().map_or(0, |step| step.rows);
    Ok((Work { graph, task, rows }, steps))
}

/// Rows are named by their keys; a table without one is walked as far as its database allows.
fn strategy(graph: &Graph, node: &Node, task: &Task) -> Result<Strategy, RemovalError> {
    match (node.key.is_empty(), node.backend, &node.age) {
        (false, ..) => Ok(Strategy::KeyLists),
        (true, Backend::Postgres, _) => Ok(Strategy::PhysicalRanges),
        (true, _, Some(_)) => Ok(choose_strategy(graph, node, !task.branches.is_empty(), true, 0.0)),
        (true, ..) => Err(RemovalError::Refused(format!(
            "`{}`: its table has neither a key nor a time, so its rows cannot be named one by one; say `key = …`, or add a primary key",
            node.name
        ))),
    }
}

fn steps(conn: &mut Conn, graph: &Graph, node: &Node, task: &Task) -> Result<Vec<Step>, RemovalError> {
    let mut steps = Vec::new();
    know(conn, node)?;
    for branch in &task.branches {
        let Some(referring) = graph.node(&branch.data) else { continue };
        let rows = branch.rows(graph, referring, &|scope, _| {
            let crate::graph::Why::Person(Rows::Of(rows)) = &task.due.why else { return Expr::Any(Vec::new()) };
            // The same condition on the row that is referred to, seen under another name.
            Expr::KeyInTable {
                columns: node.key_operands(scope),
                table: node.at.clone(),
                selected: node.key_operands(&node.own()),
                condition: rows.clone(),
            }
        });
        let rows = counted(conn, referring, &rows)?;
        steps.push(step(referring, task, (rows, 0), branch.action, Some(node)));
    }
    let rows = task.rows(graph, node).knowing(conn.held_now());
    let found = (counted(conn, node, &rows)?, files_of(conn, node, &rows)?);
    let held = held_rows(conn, node, task.held_rows(graph, node))?;
    steps.push(Step { held, ..step(node, task, found, node.fate.into(), None) });
    Ok(steps)
}

fn step(node: &Node, task: &Task, (rows, files): (u64, u64), action: Action, with: Option<&Node>) -> Step {
    Step {
        data: node.name.clone(),
        store: node.store.clone(),
        action,
        rule: task.rule.clone(),
        cutoff: None,
        with: with.map(|node| node.name.clone()),
        rows,
        files,
        held: 0,
        oldest: None,
        newest: None,
        kept: Kept::default(),
        strategy: if with.is_some() { Strategy::WithParent } else { task.strategy },
        table_rows: node.table.estimated_rows.unwrap_or_default(),
        sql: String::new(),
    }
}
