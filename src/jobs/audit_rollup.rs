//! Folds old rows into summaries whose totals are proved, and purges exactly the rows that were folded.
//!
//! **Invariant.** At every instant the summaries and the rows that are left amount to the rows that were ever written: a
//! stretch of rows is folded, counted again by a different statement, compared and deleted in one transaction, under the
//! gate and with its ledger row. A number that differs undoes it. With `archive`, the rows were written to a file and read
//! back from it before ([`archiving`]). A period that has not ended is left alone; rows that come
//! late are folded by the next run. A summary names nobody: columns that the map calls personal are no dimensions unless
//! `by_person` says why, and groups of fewer than `minimum_group` rows become one. With `purge = false` nothing goes, and
//! each row is counted once ([`staying`]). Tests: `audit_rollup`.

use std::collections::BTreeMap;
use std::time::Instant;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Deserialize;

use super::budget::Means;
use super::retention_purge::counting::{held_rows, know};
use super::retention_purge::{cutoff, overdue};
use super::session::{Decided, Look, Outcome, Overdue, Report, Session};
use super::{CatchUp, Job, Kind};
use crate::config::condition::Condition;
use crate::config::diagnostic::Diagnostics;
use crate::config::document::{Brakes, Document, Pace as PaceKeys};
use crate::config::period::{Keep, Period};
use crate::config::section::RawJob;
use crate::config::span::Span;
use crate::config::window::Window;
use crate::graph::{Due, Graph, Node, Resolved, Why};
use crate::names::{DataName, JobName, StoreName};
use crate::plan::policy::{self, Policy};
use crate::plan::{Action, Kept, Limits, Plan, Step, Strategy};
use crate::removal::{Done, Halt, RemovalError, Task, probe};
use crate::report::Keeping;
use crate::store::target::{Expr, Guarded, statements};
use crate::store::{Access, Conn, ErrorKind, Stmt, StoreError};

mod across;
mod archive_keys;
mod archiving;
mod calendar;
mod checks;
mod clustered;
mod fold;
mod next;
mod proof;
mod staying;
mod summary;
pub mod table;
mod walk;

pub use archive_keys::ArchiveKeys;
use archiving::Archiving;
pub use calendar::Bucket;
use summary::Folding;

/// The kind.
pub const KIND: Kind =
    Kind { name: "audit_rollup", read, schema: || schemars::schema_for!(Spec), catch_up: CatchUp::Latest };

/// The keys of a rollup.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The entry whose rows are folded.
    pub data: DataName,
    /// How long its rows are kept before they are folded and purged, counted from their time column.
    pub keep: Option<Keep>,
    /// Whether rows go when they are folded. With `false` they stay, each counted once, and `after` stands instead of `keep`.
    #[serde(default = "purges")]
    pub purge: bool,
    /// With `purge = false`: how old rows are when they are folded, counted from their time column.
    pub after: Option<Period>,
    /// How long a period is, in the file's zone.
    pub bucket: Bucket,
    /// The columns that tell groups apart.
    #[serde(default)]
    pub by: Vec<String>,
    /// The entry of the summaries; in another store than the rows, a sealed list of keys is kept beside them.
    pub into: DataName,
    /// What the columns of the summaries say: `"bucket"`, `"bucket:%Y-%m"`, `"count"`, `"first"`, `"last"`,
    /// `"distinct:column"`, `"supplement"`, `"by:column"`, `"sum:a+b"`, `"min:column"`, `"max:column"`. Default: `period`,
    /// the columns of `by` under their own names, `row_count`, `first_at`, `last_at`; where the rows are about a user,
    /// `actors` and `supplement`.
    pub columns: Option<std::collections::BTreeMap<String, String>>,
    /// Groups of fewer rows become the one group `(other)` of their period. Default 5; less than 2 only with `by_person`.
    pub minimum_group: Option<u64>,
    /// Why a column that says who somebody is may be a dimension.
    pub by_person: Option<String>,
    /// Where the raw rows are written before they are purged: each file is closed, read back and compared first.
    pub archive: Option<ArchiveKeys>,
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
pub struct AuditRollup {
    name: JobName,
    spec: Spec,
    policy: Policy,
    folding: Folding,
}

fn purges() -> bool {
    true
}

impl Spec {
    /// How old rows are when they are folded.
    fn older(&self) -> Keep {
        self.after.clone().map(Keep::For).or_else(|| self.keep.clone()).unwrap_or(Keep::Forever)
    }
}

/// What a job of this kind folds.
#[derive(Clone, Debug)]
pub struct Fold {
    /// The job.
    pub job: JobName,
    /// The entry.
    pub data: DataName,
    /// Whether its rows go then.
    pub purges: bool,
}

/// What this job of this kind folds; `None` when there is no such job.
pub(super) fn fold(document: &Document, job: &JobName) -> Option<Fold> {
    // The file names its own jobs; a tenant's document has them as that tenant's.
    let named = |name: &JobName| name == job || (job.tenant().is_none() && name.in_file() == job.as_str());
    folds(document).into_iter().find(|fold| named(&fold.job))
}

/// What all jobs of this kind fold.
pub fn folds(document: &Document) -> Vec<Fold> {
    let jobs = document.jobs.iter().filter(|(_, raw)| raw.kind == KIND.name);
    jobs.filter_map(|(name, raw)| {
        let spec: Spec = raw.read(&mut Diagnostics::default())?;
        Some(Fold { job: name.clone(), data: spec.data, purges: spec.purge })
    })
    .collect()
}

/// The jobs that archive, with their entries and keys.
pub fn archived(document: &Document) -> Vec<(JobName, DataName, ArchiveKeys)> {
    let jobs = document.jobs.iter().filter(|(_, raw)| raw.kind == KIND.name);
    jobs.filter_map(|(name, raw)| {
        let spec: Spec = raw.read(&mut Diagnostics::default())?;
        Some((name.clone(), spec.data, spec.archive?))
    })
    .collect()
}

fn read(raw: &RawJob, document: &Document, graph: &Graph, diagnostics: &mut Diagnostics) -> Option<Box<dyn Job>> {
    let spec: Spec = raw.read(diagnostics)?;
    for (key, message) in spec.brakes.iter().flat_map(Brakes::mistakes) {
        let path = ["jobs", raw.name.as_str(), "brakes", key].map(str::to_owned);
        diagnostics.error(path.into(), message);
    }
    let folding = summary::resolve(&raw.name, &spec, document, graph, diagnostics)?;
    let policy = policy(&spec, document);
    Some(Box::new(AuditRollup { name: raw.name.clone(), spec, policy, folding }))
}

/// What the job removes, as plain data: any change of what a summary says counts as one that removes more.
fn policy(spec: &Spec, document: &Document) -> Policy {
    let whole = |name: &DataName| document.data.get(name).map(|entry| (name.to_string(), policy::entry(entry)));
    let fixed = [
        ("kind", KIND.name.into()),
        ("timezone", document.timezone.name().into()),
        ("bucket", spec.bucket.as_str().into()),
        ("by", policy::value(&spec.by)),
        ("into", policy::value(&spec.into)),
        ("columns", policy::value(&spec.columns)),
        ("minimum_group", policy::value(&spec.minimum_group)),
        ("by_person", policy::value(&spec.by_person)),
        ("archive", policy::value(&spec.archive.as_ref().map(ArchiveKeys::plain))),
    ];
    // Where rows stay, none goes by its age, whatever `after` says.
    let keep = if spec.purge { spec.older() } else { Keep::Forever };
    let rules = policy::Rules::of(&Condition::default(), std::iter::empty(), &keep);
    let stay = (!spec.purge).then(|| ("purge".to_owned(), false.into()));
    Policy {
        fixed: fixed.map(|(key, value)| (key.to_owned(), value)).into_iter().chain(stay).collect(),
        limits: Limits::of(spec.brakes.as_ref(), &document.brakes).looseness(),
        rules: [(spec.data.to_string(), rules)].into(),
        entries: [&spec.data, &spec.into].into_iter().filter_map(whole).collect(),
    }
}

impl Job for AuditRollup {
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
        if !self.spec.purge {
            return Vec::new();
        }
        let (only, keep) = (Resolved::nothing(), self.spec.older());
        vec![Keeping { data: self.spec.data.clone(), only, only_text: String::new(), overrides: Vec::new(), keep }]
    }

    fn stores(&self, graph: &Graph) -> Vec<StoreName> {
        let nodes = [&self.spec.data, &self.spec.into].into_iter().filter_map(|name| graph.node(name));
        let mut stores: Vec<StoreName> = nodes.map(|node| node.store.clone()).collect();
        stores.sort();
        stores.dedup();
        stores
    }

    fn overdue(&self, look: &Look<'_>) -> Result<Vec<Overdue>, RemovalError> {
        let node = self.node(look.graph)?;
        let Some(database) = look.stores.database(&node.store) else { return Ok(Vec::new()) };
        let (task, ..) = self.task(look, node)?;
        Ok(vec![overdue::of_task(&mut *database.conn()?, look, node, task)?])
    }

    fn plan(&self, look: &Look<'_>) -> Result<Plan, RemovalError> {
        Ok(self.prepare(look)?.0)
    }

    fn run(&self, session: &mut Session<'_>, report: &mut Report) -> Result<Outcome, RemovalError> {
        let Decided { plan, work: (task, end), pass } = session.decide(|look| self.prepare(look))?;
        report.plan = Some(plan.clone());
        report.steps = plan.steps.iter().cloned().map(|step| Step { rows: 0, ..step }).collect();
        if !pass {
            return Ok(Outcome::Braked);
        }
        session.progress.begin(&plan);
        let started = Instant::now();
        let ended = self.fold_all(session, report, &task, end);
        report.removing = started.elapsed();
        Ok(match ended? {
            Some(Halt::Stopped) => Outcome::Stopped,
            Some(Halt::Truncated) => Outcome::Truncated,
            None if plan.all_held() => Outcome::Held,
            None => Outcome::Complete,
        })
    }
}

impl AuditRollup {
    /// The plan, the rows as a task, and the instant before which they were written.
    fn prepare(&self, look: &Look<'_>) -> Result<(Plan, (Task, DateTime<Utc>)), RemovalError> {
        let node = self.node(look.graph)?;
        let (task, expired, end) = self.task(look, node)?;
        let step = self.count(look, node, &task, end)?;
        let basis = look.basis(self.policy_hash(), &self.stores(look.graph));
        let plan = Plan::new(self.name.clone(), KIND.name, Some(expired), basis, vec![step]);
        let limits = Limits::of(self.spec.brakes.as_ref(), &look.document.brakes);
        // Nothing is lost where rows stay.
        let brakes = if self.spec.purge { limits.look_at(&plan, look.usual, look.now) } else { Vec::new() };
        Ok((plan.with_brakes(brakes), (task, end)))
    }

    /// The rows that a run folds, the cutoff, and the instant before which whole periods have ended by then.
    fn task(&self, look: &Look<'_>, node: &Node) -> Result<(Task, DateTime<Utc>, DateTime<Utc>), RemovalError> {
        let expired = cutoff(&self.spec.older(), look.now, look.document.timezone)?.unwrap_or(DateTime::<Utc>::MIN_UTC);
        let end = self.folding.end(expired, look.now);
        let fresh = self.folding.staying.as_ref().map(|staying| staying.fold.job.clone());
        let due = Due { fresh, ..Due::because(Why::Age(end)) };
        let rule = self.spec.bucket.as_str().to_owned();
        let task = Task {
            root: node.name.clone(),
            due,
            rule,
            branches: Vec::new(),
            ties: None,
            strategy: Strategy::TimeWindows,
        };
        Ok((task, expired, end))
    }

    fn describe(&self, oldest: Option<DateTime<Utc>>, newest: Option<DateTime<Utc>>) -> String {
        let rule = self.folding.describe(oldest, newest, &self.spec.into);
        match &self.spec.archive {
            Some(keys) => format!("{rule}, archived in {} as {}", keys.store, keys.format.as_str()),
            None => rule,
        }
    }

    fn node<'g>(&self, graph: &'g Graph) -> Result<&'g Node, RemovalError> {
        graph
            .node(&self.spec.data)
            .ok_or_else(|| RemovalError::Doubt(format!("`{}` is not in the map", self.spec.data)))
    }

    /// What a run would fold, counted in a transaction that cannot write.
    fn count(&self, look: &Look<'_>, node: &Node, task: &Task, end: DateTime<Utc>) -> Result<Step, RemovalError> {
        let database = look
            .stores
            .database(&node.store)
            .ok_or_else(|| StoreError::new(ErrorKind::Unreachable, format!("store `{}` is not open", node.store)))?;
        let mut conn = database.conn()?;
        conn.allow_long_reads()?;
        let rows = task.rows(look.graph, node);
        conn.transaction(Access::ReadOnly, |conn| {
            probe::look_at_time(conn, node, look.now)?;
            let counts = |conn: &mut Conn, time: bool, condition: &Expr| -> Result<_, StoreError> {
                let column = node.age.as_ref().filter(|_| time).map(|age| &age.column);
                let found = conn.rows(&statements::count(node.backend, &node.at, column, condition))?;
                let row = found.into_iter().next();
                let count = row.as_ref().and_then(|row| row.count(0)).unwrap_or_default().unsigned_abs();
                let instant = |place| {
                    let text = row.as_ref().and_then(|row| row.plain(place))?;
                    node.age.as_ref()?.read(text)
                };
                Ok((count, instant(1), instant(2)))
            };
            know(conn, node)?;
            let (count, oldest, newest) = counts(conn, true, &rows.clone().knowing(conn.held_now()))?;
            let (table_rows, ..) = counts(conn, false, &Expr::always())?;
            let held = held_rows(conn, node, task.held_rows(look.graph, node))?;
            let scope = node.own();
            let mut kept = Kept::default();
            if let Some(age) = &node.age {
                kept.without_time = counts(conn, false, &age.without_time(&scope))?.0;
                kept.sentinel = counts(conn, false, &age.unset(&scope))?.0;
            }
            Ok(Step {
                data: node.name.clone(),
                store: node.store.clone(),
                action: Action::Fold,
                rule: self.describe(oldest, newest),
                cutoff: Some(end),
                with: None,
                rows: count,
                files: 0,
                held,
                oldest,
                newest,
                kept,
                strategy: task.strategy,
                table_rows,
                sql: self.statement(node, &look.graph.guard(node, rows)).to_text(node.backend),
            })
        })
    }
}

impl AuditRollup {
    /// What becomes of the rows, once they are in a summary.
    fn statement(&self, node: &Node, rows: &Guarded) -> Stmt {
        match &self.folding.staying {
            Some(staying) => node.identity().enter(staying.fold.id, rows),
            None => statements::delete(node.backend, &node.at, statements::Access::Any, rows),
        }
    }

    fn fold_all(
        &self,
        session: &mut Session<'_>,
        report: &mut Report,
        task: &Task,
        end: DateTime<Utc>,
    ) -> Result<Option<Halt>, RemovalError> {
        let look = session.look;
        let means = Means {
            window: self.spec.window,
            max_runtime: self.spec.max_runtime.as_ref(),
            pace: self.spec.pace.as_ref(),
        };
        let mut done = Done::default();
        let worked = session.work(&self.name, means, look.graph, BTreeMap::new(), 0, |context| {
            let archiving = match (&self.spec.archive, look.graph.node(&task.root)) {
                (Some(keys), Some(node)) => Some(Archiving::open(&look, (&self.name, &context.run), keys, node)?),
                _ => None,
            };
            walk::run(context, (&self.folding, archiving.as_ref()), task, end, &mut done)
        });
        for step in &mut report.steps {
            step.rows = done.counts.values().map(|(rows, _)| rows).sum();
        }
        report.transactions = worked.transactions;
        worked.ended
    }
}
