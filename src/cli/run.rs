//! `retentiond run`: runs jobs now, to their end.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::failure::{Exit, Failure, exit_of};
use super::progress::Shown;
use super::site::Site;
use super::{Cli, Format, RunArgs};
use crate::clock::Clock;
use crate::jobs::{Job, Look, Outcome, Report, Session};
use crate::plan::{BrakeName, describe, grouped};
use crate::removal::{Halt, Permit, RemovalError};
use crate::stop::Stop;
use crate::store::pool::Database;
use crate::store::state::{self, Lease, LeaseError, NewStep};
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
    /// How answers are printed.
    pub format: Format,
}

/// Runs the jobs that were named.
pub fn run(cli: &Cli, args: &RunArgs) -> Result<Exit, Failure> {
    let stop = Stop::on_signals().map_err(|error| Failure::new(Exit::Failed, format!("error: {error}")))?;
    let clock = match args.now {
        None => Clock::system(),
        Some(at) if cfg!(feature = "fixed-clock") => Clock::fixed(at),
        Some(_) => {
            let text = "error: `run` takes the present instant only; `plan --now` looks ahead";
            return Err(Failure::new(Exit::Usage, text));
        }
    };
    let site = Site::open(&cli.config)?;
    let memory = site.open_state()?;
    let options = Options {
        released: args.release_brake.clone(),
        unpaced: args.unpaced,
        outside_window: args.outside_window,
        clock,
        stop,
        format: cli.format,
    };
    let jobs = site.select(&args.jobs)?;
    let mut exit = Exit::Done;
    let mut answers = Vec::new();
    for job in jobs {
        let (one, answer) = run_job(&site, &memory, job, &options)?;
        exit = exit.worse(one);
        answers.push(answer);
        if options.stop.is_raised() {
            break;
        }
    }
    if cli.format == Format::Json {
        println!("{}", serde_json::json!({ "jobs": answers }));
    }
    Ok(exit)
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
) -> Result<(Exit, serde_json::Value), Failure> {
    let name = job.name().as_str();
    let mut conn = memory.conn()?;
    let lease = match Lease::acquire(&mut conn, name, &state::this_process(), options.clock.now(), LEASE) {
        Ok(lease) => lease,
        Err(LeaseError::Held { by, .. }) => {
            let mut parts = by.split(':');
            let (host, pid) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            eprintln!("error: job {name} is running already (process {pid} on {host})");
            return Ok((Exit::Braked, refusal(job, "another process runs this job")));
        }
        Err(LeaseError::Store(error)) => return Err(error.into()),
    };
    if state::is_paused(&mut conn, name)? {
        lease.release(&mut conn, options.clock.now())?;
        eprintln!(
            "error: job {name} is paused; `retentiond resume {name}` or, after a pause of all, `retentiond resume` lets it go on"
        );
        return Ok((Exit::Braked, refusal(job, "paused")));
    }
    state::mark_interrupted(&mut conn, name, options.clock.now())?;
    let run = state::begin_run(&mut conn, name, job.kind(), &job.policy_hash(), options.clock.now())?;
    let usual = state::usual_rows(&mut conn, name)?;
    let mut shown = Shown::new(name, options.format == Format::Json);
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
            progress: &mut shown,
        };
        job.run(&mut session, &mut report)
    });
    shown.finish();
    remember(&mut conn, &run, &report, &ended, options.clock.now())?;
    lease.release(&mut conn, options.clock.now())?;
    Ok(answer(site, job, &report, ended, options.format))
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

fn refusal(job: &dyn Job, why: &str) -> serde_json::Value {
    serde_json::json!({
        "job": job.name(), "kind": job.kind(), "outcome": "failed", "error": why, "cutoff": null,
        "steps": [], "rows": 0, "files": 0,
    })
}

fn answer(
    site: &Site,
    job: &dyn Job,
    report: &Report,
    ended: Result<Outcome, RemovalError>,
    format: Format,
) -> (Exit, serde_json::Value) {
    let (exit, outcome, error) = match ended {
        Ok(Outcome::Braked) => (Exit::Braked, Outcome::Braked, None),
        Ok(Outcome::Held) => (Exit::Braked, Outcome::Held, None),
        Ok(outcome) => (Exit::Done, outcome, None),
        Err(error) => (exit_of(&error), Outcome::Failed, Some(error.to_string())),
    };
    if format == Format::Text {
        show(site, job, report, outcome, error.as_deref());
    }
    let mut json = serde_json::json!({
        "job": job.name(),
        "kind": job.kind(),
        "outcome": outcome,
        "cutoff": report.plan.as_ref().and_then(|plan| plan.cutoff).map(|at| at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)),
        "plan": report.plan.as_ref().map(|plan| plan.plan.clone()),
        "steps": report.steps,
        "rows": report.rows(),
        "files": report.files(),
        "files_missing": report.missing_files,
        "files_swept": report.swept_files,
        "seconds": report.removing.as_secs_f64(),
        "transactions": transactions(report),
    });
    if let Some(object) = json.as_object_mut() {
        if let Some(plan) = report.plan.as_ref().filter(|_| outcome == Outcome::Braked) {
            object.insert("brakes".to_owned(), serde_json::to_value(&plan.brakes).unwrap_or_default());
        }
        if let Some(error) = error {
            object.insert("error".to_owned(), error.into());
        }
    }
    (exit, json)
}

/// Number, median and longest of the transactions, in milliseconds.
fn transactions(report: &Report) -> serde_json::Value {
    let mut times = report.transactions.clone();
    times.sort();
    let ms = |time: Option<&Duration>| time.map(|time| (time.as_secs_f64() * 10_000.0).round() / 10.0);
    serde_json::json!({ "count": times.len(), "median_ms": ms(times.get(times.len() / 2)), "longest_ms": ms(times.last()) })
}

fn show(site: &Site, job: &dyn Job, report: &Report, outcome: Outcome, error: Option<&str>) {
    if outcome == Outcome::Braked
        && let Some(plan) = &report.plan
    {
        println!("{}", describe(plan, site.loaded.document.timezone, false));
        let releases = plan.releases();
        println!("  Nothing was removed. To let one run pass: retentiond run {} {}", job.name(), releases);
        return;
    }
    println!(
        "{}: {}, {} rows and {} files in {:.1} s",
        job.name(),
        outcome.as_str(),
        grouped(report.rows()),
        grouped(report.files()),
        report.removing.as_secs_f64()
    );
    for step in report.steps.iter().filter(|step| step.rows > 0 || step.files > 0) {
        let files = if step.files > 0 { format!(", {} files", grouped(step.files)) } else { String::new() };
        println!(
            "  {:<28} {:<10} {:>12} rows{files}  ({})",
            step.data.as_str(),
            step.action.as_str(),
            grouped(step.rows),
            step.rule
        );
    }
    if report.missing_files > 0 {
        println!("  {} files were not there", grouped(report.missing_files));
    }
    if let Some(error) = error {
        eprintln!("error: job {}: {error}", job.name());
    }
}
