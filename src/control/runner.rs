//! One run of one job: under its lease, against stores whose clocks and gates were looked at, and remembered.
//!
//! **Invariant.** Nothing is begun without the job's lease; every batch carries its fencing token into the store's own
//! transaction; between batches the stop flag, the pause switch and the lease are asked. Whatever ends the run, its
//! record has an outcome, and a run that was killed is found without one and marked `interrupted` by the next.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::failure::{Exit, Failure, exit_of};
use super::site::Site;
use crate::clock::Clock;
use crate::jobs::session::RunProgress;
use crate::jobs::{Job, Look, Outcome, Report, Session};
use crate::plan::BrakeName;
use crate::removal::{Halt, Permit, RemovalError};
use crate::stop::Stop;
use crate::store::pool::Database;
use crate::store::state::{self, Lease, LeaseError, NewStep, RunId};
use crate::store::{StoreError, gate};

/// A lease holds for so long without being renewed.
const LEASE: Duration = Duration::from_secs(60);
/// The clocks of the daemon and of a store may differ by this much.
const SKEW: chrono::TimeDelta = chrono::TimeDelta::seconds(60);

/// What a run is started with, besides the site.
pub struct Options {
    /// Brakes released.
    pub released: Vec<BrakeName>,
    /// No waiting.
    pub unpaced: bool,
    /// Whatever the window says.
    pub outside_window: bool,
    /// The clock.
    pub clock: Clock,
    /// The stop flag.
    pub stop: Stop,
}

/// Why a run was not begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Another process has the job's lease.
    Running {
        /// Its host.
        host: String,
        /// Its number there.
        pid: String,
    },
    /// The job, or all jobs, are paused.
    Paused,
}

/// How a run ended.
#[derive(Debug)]
pub enum Ended {
    /// It was not begun.
    Refused(Refusal),
    /// It came to an end.
    With(Outcome),
    /// It failed; what was done before is in the report.
    Failed(RemovalError),
}

/// One run, over.
#[derive(Debug)]
pub struct Ran {
    /// Its id; none when it was refused.
    pub run: Option<RunId>,
    /// What it did.
    pub report: Report,
    /// How it ended.
    pub ended: Ended,
}

/// Runs one job under its lease, and remembers the run.
///
/// # Errors
/// When retentiond's own state fails; errors of the job are part of the answer.
pub fn run_job(
    site: &Site,
    memory: &Database,
    job: &dyn Job,
    options: &Options,
    progress: &mut dyn RunProgress,
) -> Result<Ran, Failure> {
    let name = job.name().as_str();
    let refused = |why| Ok(Ran { run: None, report: Report::default(), ended: Ended::Refused(why) });
    let mut conn = memory.conn()?;
    let lease = match Lease::acquire(&mut conn, name, &state::this_process(), options.clock.now(), LEASE) {
        Ok(lease) => lease,
        Err(LeaseError::Held { by, .. }) => {
            let mut parts = by.split(':').map(str::to_owned);
            let (host, pid) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            return refused(Refusal::Running { host, pid });
        }
        Err(LeaseError::Store(error)) => return Err(error.into()),
    };
    if state::is_paused(&mut conn, name)? {
        lease.release(&mut conn, options.clock.now())?;
        return refused(Refusal::Paused);
    }
    state::mark_interrupted(&mut conn, name, options.clock.now())?;
    let run = state::begin_run(&mut conn, name, job.kind(), &job.policy_hash(), options.clock.now())?;
    let usual = state::usual_rows(&mut conn, name)?;
    let mut report = Report::default();
    let mut permit = Held {
        memory,
        lease: &lease,
        name,
        clock: options.clock,
        stop: options.stop.clone(),
        renewed: std::time::Instant::now(),
    };
    let now = options.clock.now();
    let ended = prepare_stores(site, job, &lease, now).and_then(|()| {
        let mut session = Session {
            look: Look { document: &site.loaded.document, graph: &site.graph, stores: &site.stores, now, usual },
            clock: options.clock,
            stop: options.stop.clone(),
            run: run.as_str().to_owned(),
            token: lease.token(),
            ledgers: site.ledgers.clone(),
            released: options.released.clone(),
            unpaced: options.unpaced,
            outside_window: options.outside_window,
            permit: &mut permit,
            progress,
        };
        job.run(&mut session, &mut report)
    });
    remember(&mut conn, &run, &report, &ended, options.clock.now())?;
    lease.release(&mut conn, options.clock.now())?;
    Ok(Ran { run: Some(run), report, ended: ended.map_or_else(Ended::Failed, Ended::With) })
}

impl Ran {
    /// The exit code that the run deserves.
    pub fn exit(&self) -> Exit {
        match &self.ended {
            Ended::Refused(_) | Ended::With(Outcome::Braked | Outcome::Held) => Exit::Braked,
            Ended::With(_) => Exit::Done,
            Ended::Failed(error) => exit_of(error),
        }
    }

    /// The outcome's word; a run that was refused did not succeed either.
    pub fn outcome(&self) -> Outcome {
        match &self.ended {
            Ended::With(outcome) => *outcome,
            Ended::Refused(_) | Ended::Failed(_) => Outcome::Failed,
        }
    }

    /// Why it did not do what it should.
    pub fn error(&self) -> Option<String> {
        match &self.ended {
            Ended::With(_) => None,
            Ended::Refused(Refusal::Running { .. }) => Some("another process runs this job".to_owned()),
            Ended::Refused(Refusal::Paused) => Some("paused".to_owned()),
            Ended::Failed(error) => Some(error.to_string()),
        }
    }

    /// The run as `retentiond run --format json` prints it.
    pub fn to_json(&self, job: &dyn Job) -> serde_json::Value {
        let report = &self.report;
        let plan = report.plan.as_ref();
        let cutoff = plan.and_then(|plan| plan.cutoff).map(|at| at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true));
        let mut json = serde_json::json!({
            "job": job.name(),
            "kind": job.kind(),
            "outcome": self.outcome(),
            "cutoff": cutoff,
            "plan": plan.map(|plan| plan.plan.clone()),
            "steps": report.steps,
            "rows": report.rows(),
            "files": report.files(),
            "files_missing": report.missing_files,
            "files_swept": report.swept_files,
            "seconds": report.removing.as_secs_f64(),
            "transactions": transactions(report),
        });
        if let Some(object) = json.as_object_mut() {
            if let Some(plan) = plan.filter(|_| self.outcome() == Outcome::Braked) {
                object.insert("brakes".to_owned(), serde_json::to_value(&plan.brakes).unwrap_or_default());
            }
            if let Some(error) = self.error() {
                object.insert("error".to_owned(), error.into());
            }
        }
        json
    }
}

/// Before the first batch: the stores' clocks agree with ours, and their gates know our token.
fn prepare_stores(site: &Site, job: &dyn Job, lease: &Lease, now: DateTime<Utc>) -> Result<(), RemovalError> {
    for store in job.stores(&site.graph) {
        let Some(database) = site.stores.database(&store) else { continue };
        let mut conn = database.conn()?;
        let skew = conn.clock_skew(now)?;
        if skew.abs() > SKEW {
            return Err(RemovalError::Doubt(format!(
                "the clock of store `{store}` and ours differ by {} s; until they agree nothing is removed",
                skew.num_seconds()
            )));
        }
        if site.ledgers.get(&store).copied().unwrap_or_default() {
            raise_gate(&mut conn, job.name().as_str(), lease.token())?;
            for node in site.graph.children_first().filter(|node| node.store == store) {
                if gate::held_any(&mut conn, node.name.as_str())? {
                    return Err(RemovalError::Doubt(format!(
                        "rows of `{}` are under a legal hold, which this version cannot keep apart; nothing was removed",
                        node.name
                    )));
                }
            }
        }
    }
    Ok(())
}

/// Raises a store's gate to our token, and waits for a batch in flight there: the server may still be at the last one of
/// a process that was killed a moment ago.
fn raise_gate(conn: &mut crate::store::Conn, job: &str, token: i64) -> Result<(), RemovalError> {
    let started = std::time::Instant::now();
    loop {
        match gate::raise(conn, job, token) {
            Ok(()) => return Ok(()),
            Err(gate::GateError::Overtaken) => return Err(RemovalError::Overtaken),
            Err(gate::GateError::Store(error)) if error.is_transient() && started.elapsed() < LEASE / 2 => {
                std::thread::sleep(Duration::from_millis(50));
            }
            Err(gate::GateError::Store(error)) => return Err(error.into()),
        }
    }
}

/// Asked between batches: the stop flag, the pause switch, the lease.
struct Held<'a> {
    memory: &'a Database,
    lease: &'a Lease,
    name: &'a str,
    clock: Clock,
    stop: Stop,
    renewed: std::time::Instant,
}

impl Permit for Held<'_> {
    fn next(&mut self) -> Result<Option<Halt>, RemovalError> {
        if self.stop.is_raised() {
            return Ok(Some(Halt::Stopped));
        }
        let mut conn = self.memory.conn()?;
        if state::is_paused(&mut conn, self.name)? {
            return Ok(Some(Halt::Stopped));
        }
        if self.renewed.elapsed() >= LEASE / 3 {
            match self.lease.renew(&mut conn, self.clock.now(), LEASE) {
                Ok(()) => self.renewed = std::time::Instant::now(),
                Err(LeaseError::Held { .. }) => return Err(RemovalError::Overtaken),
                Err(LeaseError::Store(error)) => return Err(error.into()),
            }
        }
        Ok(None)
    }
}

fn remember(
    conn: &mut crate::store::Conn,
    run: &state::RunId,
    report: &Report,
    ended: &Result<Outcome, RemovalError>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    for (position, step) in report.steps.iter().enumerate() {
        let new = NewStep {
            position: i32::try_from(position).unwrap_or(i32::MAX),
            data: step.data.to_string(),
            store: step.store.to_string(),
            action: step.action.as_str().to_owned(),
            rule: Some(step.rule.clone()),
            rows: step.rows,
            files: step.files,
            held: step.held,
            cutoff: step.cutoff,
        };
        state::record_step(conn, run, &new)?;
    }
    let (outcome, note) = match ended {
        Ok(outcome) => (outcome.as_str(), None),
        Err(error) => (Outcome::Failed.as_str(), Some(error.to_string())),
    };
    let cutoff = report.plan.as_ref().and_then(|plan| plan.cutoff);
    state::finish_run(conn, run, outcome, cutoff, report.rows(), report.files(), note.as_deref(), now)
}

/// Number, median and longest of the transactions, in milliseconds.
fn transactions(report: &Report) -> serde_json::Value {
    let mut times = report.transactions.clone();
    times.sort();
    let ms = |time: Option<&Duration>| time.map(|time| (time.as_secs_f64() * 10_000.0).round() / 10.0);
    serde_json::json!({ "count": times.len(), "median_ms": ms(times.get(times.len() / 2)), "longest_ms": ms(times.last()) })
}
