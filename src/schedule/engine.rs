//! What is due at an instant, and what becomes of it.
//!
//! Each job has a **cursor**: every slot up to it is decided. A tick decides the slots between the cursor and now: one
//! goes to the queue, the others are passed over as the job's `catch_up` says. The queue is started as far as the limits
//! let it. Where the clock leapt ahead, the job remembers the **hole** that it leapt over; when the clock comes back into
//! or before the hole, the cursor goes back to where the hole began, so that nothing is lost to a clock that was wrong for
//! a while, and the slots started beyond it are remembered, so that nothing runs twice.

mod job;
mod place;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use chrono::{DateTime, TimeDelta, Utc};

use super::spec::Spec;
use super::timetable::Slot;
use crate::config::document::Limits;
use crate::config::timing::CatchUp;
use job::{Job, Queued, Taken};

pub use job::Known;
pub use place::NoPlace;

/// A slot that begins later than this is late; `catch_up = "skip"` begins none later.
const GRACE: TimeDelta = TimeDelta::seconds(60);
/// Ticks further apart than this leave a hole.
const LEAP: TimeDelta = TimeDelta::seconds(60);
/// A clock that goes back by less was only disciplined.
const STEP: TimeDelta = TimeDelta::seconds(5);
/// When a job that runs elsewhere is looked at again.
const BUSY: TimeDelta = TimeDelta::seconds(15);

/// What a tick decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Run this job for this slot, and say when it [`ended`](Engine::ended).
    Start {
        /// The job.
        job: String,
        /// The slot.
        slot: Slot,
        /// 0, or how often it was tried before.
        attempt: u32,
        /// Whether it is made up for: it was due more than a minute ago.
        late: bool,
    },
    /// Slots are passed over.
    Skip {
        /// The job.
        job: String,
        /// The last of them.
        slot: Slot,
        /// How many; of a very large number only a lower bound.
        slots: usize,
        /// Why.
        why: Skipped,
    },
    /// Let this run end after its present batch.
    Stop {
        /// The job.
        job: String,
        /// The slot.
        slot: Slot,
        /// Why.
        why: Stopped,
    },
}

/// Why slots were passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skipped {
    /// They were missed, and a later one is run for them, or none is to be.
    Missed,
    /// They were missed for longer than `catch_up_max_age`.
    TooOld,
    /// The run before was still going.
    Overlap,
    /// They fell into a blackout.
    Blackout,
    /// The job was paused.
    Paused,
}

impl Skipped {
    /// The word in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missed => "missed",
            Self::TooOld => "too old",
            Self::Overlap => "overlap",
            Self::Blackout => "blackout",
            Self::Paused => "paused",
        }
    }
}

/// Why a run is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// It took longer than `timeout`.
    Timeout,
    /// A blackout began.
    Blackout,
}

/// How a started slot ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It came to an end, good or bad.
    Over,
    /// It failed for a reason that may pass: it is tried again as `retry` says.
    Transient,
    /// It was not begun: another daemon had the slot already.
    Taken,
    /// It was not begun: the job is still running elsewhere.
    Busy,
}

/// A run that is going.
struct Running {
    slot: Slot,
    attempt: u32,
    stores: Vec<String>,
    ran: TimeDelta,
    stopped: bool,
    /// Somebody wants it whatever the hour.
    at_any_hour: bool,
}

/// Decides. Plain data in, plain data out.
pub struct Engine {
    limits: Limits,
    jobs: Vec<Job>,
    index: BTreeMap<String, usize>,
    /// When each job is to be looked at next.
    due: BTreeSet<(DateTime<Utc>, usize)>,
    /// What waits to be started, the earliest slot first.
    queue: BTreeSet<(Slot, usize)>,
    running: BTreeMap<String, Running>,
    busy: BTreeMap<String, usize>,
    paused_all: bool,
    paused: BTreeSet<String>,
    held: bool,
    last: Option<DateTime<Utc>>,
}

impl Engine {
    /// An engine without jobs.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            jobs: Vec::new(),
            index: BTreeMap::new(),
            due: BTreeSet::new(),
            queue: BTreeSet::new(),
            running: BTreeMap::new(),
            busy: BTreeMap::new(),
            paused_all: false,
            paused: BTreeSet::new(),
            held: false,
            last: None,
        }
    }

    /// Sets the limits and the jobs, at the start and after a reload. A job that the engine has keeps its place when its
    /// schedule is the same; else what is [`Known`] of it from the state counts, and else it begins now. Runs of jobs that
    /// are gone go on until they [`ended`](Self::ended).
    pub fn set_jobs(&mut self, limits: Limits, jobs: Vec<(Spec, Option<Known>)>, now: DateTime<Utc>) {
        self.limits = limits;
        self.last.get_or_insert(now);
        let mut before: BTreeMap<String, Job> =
            std::mem::take(&mut self.jobs).into_iter().map(|job| (job.spec.name.clone(), job)).collect();
        self.jobs = jobs
            .into_iter()
            .map(|(spec, known)| match before.remove(&spec.name) {
                Some(job) if job.spec.timetable == spec.timetable => job.with(spec),
                Some(_) => Job::new(spec, now),
                None => Job::known(spec, known, now),
            })
            .collect();
        self.index = self.jobs.iter().enumerate().map(|(at, job)| (job.spec.name.clone(), at)).collect();
        self.due.clear();
        self.queue.clear();
        for (at, job) in self.jobs.iter().enumerate() {
            self.due.extend(job.due().map(|due| (due, at)));
            self.queue.extend(job.queued.iter().map(|queued| (queued.slot, at)));
        }
    }

    /// Which jobs are paused. Their slots are passed over; those of a job that makes up for each of them wait.
    pub fn set_paused(&mut self, all: bool, jobs: BTreeSet<String>) {
        self.paused_all = all;
        self.paused = jobs;
    }

    /// While it is held nothing is decided, as if the daemon were down: the clock is in doubt, or there is no lease.
    pub fn set_held(&mut self, held: bool) {
        self.held = held;
    }

    /// What to remember of a job in the state, whenever a decision named it and after [`set_jobs`](Self::set_jobs).
    pub fn known(&self, job: &str) -> Option<Known> {
        self.job(job).map(Job::remembered)
    }

    /// The next slot that comes, and whose it is.
    pub fn coming(&self) -> Option<(DateTime<Utc>, &str)> {
        let (at, job) = self.due.first()?;
        Some((*at, self.jobs.get(*job)?.spec.name.as_str()))
    }

    /// The jobs that run, with their slots.
    pub fn running(&self) -> impl Iterator<Item = (&str, Slot)> {
        self.running.iter().map(|(job, running)| (job.as_str(), running.slot))
    }

    /// How many slots wait for a place, a retry or the end of a blackout.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    fn job(&self, name: &str) -> Option<&Job> {
        self.jobs.get(*self.index.get(name)?)
    }

    /// Decides what is due at `now`. To be called twice a second or so; later calls make up for it.
    pub fn tick(&mut self, now: DateTime<Utc>) -> Vec<Decision> {
        let mut decisions = Vec::new();
        let passed = self.look_at_clock(now);
        self.look_at_runs(now, passed, &mut decisions);
        if !self.held {
            let ready: Vec<usize> = self.due.range(..=(now, usize::MAX)).map(|(_, job)| *job).collect();
            for job in ready {
                self.take_slots(job, now, &mut decisions);
            }
            self.start(now, &mut decisions);
        }
        decisions
    }

    /// Notes leaps and steps of the clock; gives the time that surely passed since the last tick.
    fn look_at_clock(&mut self, now: DateTime<Utc>) -> TimeDelta {
        let Some(last) = self.last.replace(now) else { return TimeDelta::zero() };
        if now > last + LEAP {
            for at in 0..self.jobs.len() {
                self.change(at, |job| job.leap(last, now));
            }
        } else if now < last - STEP {
            for at in 0..self.jobs.len() {
                self.change(at, |job| job.step_back(now));
            }
        } else if now < last {
            self.last = Some(last);
        }
        (now - last).clamp(TimeDelta::zero(), LEAP)
    }

    /// Changes a job, and keeps `due` and `queue` true.
    fn change<T>(&mut self, at: usize, change: impl FnOnce(&mut Job) -> T) -> Option<T> {
        let job = self.jobs.get_mut(at)?;
        if let Some(due) = job.due() {
            self.due.remove(&(due, at));
        }
        if let Some(queued) = &job.queued {
            self.queue.remove(&(queued.slot, at));
        }
        let result = change(job);
        self.due.extend(job.due().map(|due| (due, at)));
        self.queue.extend(job.queued.iter().map(|queued| (queued.slot, at)));
        Some(result)
    }

    fn look_at_runs(&mut self, now: DateTime<Utc>, passed: TimeDelta, decisions: &mut Vec<Decision>) {
        for (name, run) in &mut self.running {
            run.ran += passed;
            let Some(job) = self.index.get(name).and_then(|at| self.jobs.get(*at)) else { continue };
            if run.stopped {
                continue;
            }
            let why = if job.spec.timeout.is_some_and(|timeout| run.ran > timeout) {
                Stopped::Timeout
            } else if !run.at_any_hour && job.spec.blackouts.end(now).is_some() {
                Stopped::Blackout
            } else {
                continue;
            };
            run.stopped = true;
            decisions.push(Decision::Stop { job: name.clone(), slot: run.slot, why });
        }
    }

    /// Decides the slots of a job that have come since its cursor.
    fn take_slots(&mut self, at: usize, now: DateTime<Utc>, decisions: &mut Vec<Decision>) {
        let Some(job) = self.jobs.get(at) else { return };
        let going = self.running.contains_key(&job.spec.name);
        let mut circumstances = None;
        if job.spec.catch_up != CatchUp::All {
            if self.paused_all || self.paused.contains(&job.spec.name) {
                circumstances = Some(Skipped::Paused);
            } else if going {
                circumstances = Some(Skipped::Overlap);
            } else if job.spec.blackouts.end(now).is_some() {
                if job.spec.catch_up == CatchUp::Latest {
                    return;
                }
                circumstances = Some(Skipped::Blackout);
            }
        } else if going {
            return;
        }
        let name = job.spec.name.clone();
        let taken = self.change(at, |job| job.take(now, circumstances)).unwrap_or_default();
        decisions.extend(taken.into_iter().map(|Taken { slot, slots, why }| Decision::Skip {
            job: name.clone(),
            slot,
            slots,
            why,
        }));
    }

    /// Starts what waits, the earliest slot first, as far as the limits let it.
    fn start(&mut self, now: DateTime<Utc>, decisions: &mut Vec<Decision>) {
        let mut passed = Bound::Unbounded;
        while self.running.len() < self.limits.jobs.get() {
            let Some((slot, at)) = self.queue.range((passed, Bound::Unbounded)).next().copied() else { return };
            passed = Bound::Excluded((slot, at));
            let Some(job) = self.jobs.get(at) else { continue };
            let Some(queued) = job.queued.clone() else { continue };
            let spec = &job.spec;
            let blocked = if self.paused_all || self.paused.contains(&spec.name) {
                Some(Skipped::Paused)
            } else {
                spec.blackouts.end(now).map(|_| Skipped::Blackout)
            };
            if let Some(why) = blocked {
                let waits =
                    spec.catch_up == CatchUp::All || (spec.catch_up, why) == (CatchUp::Latest, Skipped::Blackout);
                if !waits {
                    decisions.push(Decision::Skip { job: spec.name.clone(), slot: queued.slot, slots: 1, why });
                    self.change(at, |job| job.queued = None);
                }
                continue;
            }
            if queued.not_before > now || self.running.contains_key(&spec.name) || self.is_full(&spec.stores) {
                continue;
            }
            let (name, stores) = (spec.name.clone(), spec.stores.clone());
            let late = now - queued.slot - spec.offset > GRACE;
            self.change(at, |job| job.begin(now));
            for store in &stores {
                *self.busy.entry(store.clone()).or_default() += 1;
            }
            let Queued { slot, attempt, .. } = queued;
            let run = Running { slot, attempt, stores, ran: TimeDelta::zero(), stopped: false, at_any_hour: false };
            self.running.insert(name.clone(), run);
            decisions.push(Decision::Start { job: name, slot, attempt, late });
        }
    }

    fn is_full(&self, stores: &[String]) -> bool {
        let most = self.limits.jobs_per_store.get();
        stores.iter().any(|store| self.busy.get(store).is_some_and(|jobs| *jobs >= most))
    }

    /// Says how a started slot ended. What that passes over is given back, as from a tick.
    pub fn ended(&mut self, job: &str, slot: Slot, ending: Ending, now: DateTime<Utc>) -> Option<Decision> {
        let run = match self.running.get(job) {
            Some(run) if run.slot == slot => self.running.remove(job)?,
            _ => return None,
        };
        for store in &run.stores {
            if let Some(jobs) = self.busy.get_mut(store) {
                *jobs = jobs.saturating_sub(1);
            }
        }
        self.busy.retain(|_, jobs| *jobs > 0);
        let at = *self.index.get(job)?;
        let all = self.jobs.get(at)?.spec.catch_up == CatchUp::All;
        match ending {
            Ending::Over | Ending::Taken => None,
            Ending::Transient => {
                self.change(at, |job| job.retry(slot, run.attempt + 1, now));
                None
            }
            Ending::Busy if all => {
                self.change(at, |job| job.put_back(slot, run.attempt, now + BUSY));
                None
            }
            Ending::Busy => Some(Decision::Skip { job: job.to_owned(), slot, slots: 1, why: Skipped::Overlap }),
        }
    }
}
