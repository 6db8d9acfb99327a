//! One run, on a thread of its own.

use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, TimeDelta, Utc};

use super::clocks;
use super::conductor::Message;
use super::core::{Core, Running};
use super::events::{Due, Event};
use super::policy::Policy;
use super::sites::InUse;
use crate::config::timing::CatchUp;
use crate::control::failure::may_pass;
use crate::control::{Ended, Exit, Failure, Occasion, Options, Ran, Refusal, fail_job, run_job};
use crate::jobs::Outcome;
use crate::jobs::session::RunProgress;
use crate::names::JobName;
use crate::plan::Plan;
use crate::removal::{Progress, RemovalError, Removed};
use crate::schedule::{Ending, Slot};
use crate::store::state::{self, SlotFate, Trigger};
use crate::store::{ErrorKind, StoreError};

/// A retry belongs to the daemon that ran first, for so much longer than the wait before it; then it is anybody's.
const OURS: TimeDelta = TimeDelta::seconds(60);

/// What a worker is to run.
#[derive(Clone, Debug)]
pub(super) struct Task {
    /// The job.
    pub job: String,
    /// The slot.
    pub slot: Slot,
    /// How often the engine has tried it.
    pub attempt: u32,
    /// What started it.
    pub trigger: Trigger,
}

impl Task {
    fn due(&self) -> Due<'_> {
        Due { job: &self.job, slot: self.slot, trigger: self.trigger }
    }
}

/// Runs a task on a thread of its own; the conductor hears when it is over. `false` when the job is running already, or no
/// thread could be had.
pub(super) fn spawn(core: &Arc<Core>, task: Task) -> bool {
    let running = Running { slot: task.slot, stop: crate::stop::Stop::new(), cause: crate::control::Cause::default() };
    match core.running().entry(task.job.clone()) {
        // Somebody has asked for it meanwhile.
        Entry::Occupied(_) => return false,
        Entry::Vacant(free) => drop(free.insert(running.clone())),
    }
    let name: String = format!("job {}", task.job).chars().take(15).collect();
    let (job, shared) = (task.job.clone(), Arc::clone(core));
    let spawned = std::thread::Builder::new().name(name).spawn(move || {
        let mut report = Report { core: &shared, task: &task, ending: Ending::Taken };
        report.ending = work(&shared, &task, &running);
    });
    if spawned.is_err() {
        core.running().remove(&job);
    }
    spawned.is_ok()
}

/// Says that the run is over, also when it ends by a panic: its slot is then open, and found by the next look.
struct Report<'a> {
    core: &'a Arc<Core>,
    task: &'a Task,
    ending: Ending,
}

impl Drop for Report<'_> {
    fn drop(&mut self) {
        self.core.running().remove(&self.task.job);
        let (job, slot) = (self.task.job.clone(), self.task.slot);
        self.core.send(Message::Over { job, slot, ending: self.ending });
    }
}

fn work(core: &Arc<Core>, task: &Task, running: &Running) -> Ending {
    let policy = core.policy();
    let begun = Arc::new(AtomicBool::new(false));
    let options = options(core, &policy, task, running, &begun);
    let due = task.due();
    let ran = match open(core, &policy, &task.job) {
        Ok((site, name)) => match site.jobs.get(&name) {
            Some(job) => run_job(&site, &site.own(&core.memory), &**job, &options, &mut Silent { job: &task.job }),
            // It was taken out of the file between the decision and now.
            None => return give_up(core, task, "missed"),
        },
        Err(error) => {
            let raw = policy.part(&task.job).and_then(|part| part.document.jobs.get(task.job.as_str()));
            let kind = raw.map_or("", |raw| raw.kind.as_str());
            fail_job(&core.memory, &task.job, kind, &options, error)
        }
    };
    match ran {
        Ok(ran) => ended(core, &policy, task, due, &ran),
        Err(failure) => {
            tracing::error!(job.name = task.job, "job {}: {}", task.job, failure.text());
            if begun.load(Ordering::SeqCst) {
                core.tell(&Event::Lost(due));
            }
            Ending::Taken
        }
    }
}

/// The site with all stores that the job needs.
pub(super) fn open(core: &Core, policy: &Policy, job: &str) -> Result<(InUse, JobName), RemovalError> {
    let name: JobName = job.parse().map_err(|_| RemovalError::Doubt(format!("`{job}` is no name")))?;
    let part = policy.part(job).ok_or_else(|| RemovalError::Doubt(format!("the tenant of `{job}` is gone")))?;
    let site = core.sites.get(part).map_err(|failure| of_failure(&failure))?;
    // A job that cannot be read while a store is away needs that store.
    let missed = match site.jobs.get(&name) {
        Some(job) => job.needs(&site.loaded.document).iter().any(|store| site.away.contains_key(store)),
        None => site.loaded.document.jobs.contains_key(&name),
    };
    match &site.unreachable {
        Some(failure) if missed => Err(of_failure(failure)),
        _ => Ok((site, name)),
    }
}

fn of_failure(failure: &Failure) -> RemovalError {
    let text = failure.text().to_owned();
    match failure.exit() {
        Exit::Unreachable => RemovalError::Store(StoreError::new(ErrorKind::Unreachable, text)),
        _ => RemovalError::Doubt(text),
    }
}

fn options(core: &Arc<Core>, policy: &Policy, task: &Task, running: &Running, begun: &Arc<AtomicBool>) -> Options {
    let (watched, stopping) = (Arc::clone(core), core.stop.clone());
    let (telling, begun, told) = (Arc::clone(core), Arc::clone(begun), task.clone());
    let (attempt, clock) = (task.attempt, core.clock);
    let spec = policy.specs.get(&task.job).filter(|spec| attempt < spec.retry.max);
    let again = spec.map(|spec| spec.backoff(task.slot, attempt + 1) + OURS);
    Options {
        released: Vec::new(),
        unpaced: false,
        outside_window: false,
        clock,
        stop: running.stop.clone(),
        cause: running.cause.clone(),
        occasion: Occasion::Slot {
            slot: task.slot,
            trigger: task.trigger,
            doubt: Arc::new(move |now: DateTime<Utc>| watched.watch.doubt_at(now).map(clocks::in_words)),
            begun: Arc::new(move || {
                begun.store(true, Ordering::SeqCst);
                telling.tell(&Event::Started(told.due()));
            }),
            afterwards: Arc::new(move |ended: &Result<Outcome, RemovalError>, _| match ended {
                Ok(Outcome::Stopped) if stopping.is_raised() => SlotFate::Open,
                Err(RemovalError::Overtaken) => SlotFate::Open,
                Err(error) if may_pass(error) => {
                    again.map_or(SlotFate::Ended, |wait| SlotFate::Again(clock.now() + wait))
                }
                _ => SlotFate::Ended,
            }),
        },
        lease: policy.loaded.document.state.lease(),
    }
}

/// What the engine hears of a run, after everybody else has.
fn ended(core: &Arc<Core>, policy: &Policy, task: &Task, due: Due<'_>, ran: &Ran) -> Ending {
    let all = policy.catch_up(&task.job) == Some(CatchUp::All);
    match &ran.ended {
        Ended::Refused(Refusal::Done | Refusal::Clock(_) | Refusal::Running { same_slot: true, .. }) => Ending::Taken,
        Ended::Refused(Refusal::Running { .. }) => Ending::Busy,
        Ended::Refused(Refusal::Paused) if all => Ending::Busy,
        Ended::Refused(Refusal::Paused) => give_up(core, task, "paused"),
        Ended::With(_) | Ended::Failed(_) => {
            match ran.outcome() {
                Outcome::Complete | Outcome::Truncated | Outcome::Held | Outcome::Stopped => {
                    core.failing().remove(&task.job);
                }
                outcome @ (Outcome::Braked | Outcome::Failed) => {
                    core.failing().insert(task.job.clone(), outcome.as_str().to_owned());
                }
            }
            core.tell(&Event::Finished { due, ran });
            let passing = matches!(&ran.ended, Ended::Failed(error) if may_pass(error));
            if ran.again && passing { Ending::Transient } else { Ending::Over }
        }
    }
}

fn give_up(core: &Core, task: &Task, outcome: &str) -> Ending {
    let given = core
        .memory
        .conn()
        .and_then(|mut conn| state::give_up(&mut conn, &task.job, task.slot, outcome, core.clock.now()));
    if let Err(error) = given {
        tracing::warn!(%error, job.name = task.job, "a slot that is given up stays open for now");
    }
    Ending::Taken
}

/// Hears of each batch; what is worth telling goes to the log.
struct Silent<'a> {
    job: &'a str,
}

impl Progress for Silent<'_> {
    fn batch(&mut self, removed: &Removed) {
        tracing::debug!(
            job.name = self.job,
            data = removed.data.as_str(),
            rows = removed.rows,
            files = removed.files,
            "a batch was committed"
        );
    }
}

impl RunProgress for Silent<'_> {
    fn begin(&mut self, plan: &Plan) {
        tracing::debug!(job.name = self.job, plan = plan.plan.as_str(), "the plan stands");
    }

    fn note(&mut self, text: &str) {
        tracing::info!(job.name = self.job, "job {}: {text}", self.job);
    }
}
