//! A place among the runs for one that somebody asks for.
//!
//! **Invariant.** Such a run counts as any other: it is never beside a run of its own job, and never one more than the
//! limits let run at a time. `a_run_that_is_asked_for_takes_a_place` catches a breach.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Engine, Running};
use crate::schedule::timetable::Slot;

/// Why there is no place for a run that somebody asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoPlace {
    /// The job is running.
    Going,
    /// So many jobs are running, and that is the limit.
    Jobs(usize),
    /// So many jobs work on this store, and that is the limit.
    Store(String, usize),
    /// It is a blackout of the job, until then.
    Blackout(DateTime<Utc>),
}

impl Engine {
    /// Takes a place for a run that somebody asks for, which has no slot: `at` stands for one. While it has the place, it
    /// counts as any other run, and its job's slots are passed over or wait; it leaves it by [`ended`](Self::ended).
    ///
    /// # Errors
    /// When there is none, and why; nothing waits for one.
    pub fn enter(&mut self, job: &str, at: Slot, stores: Vec<String>, at_any_hour: bool) -> Result<(), NoPlace> {
        let (jobs, of_store) = (self.limits.jobs.get(), self.limits.jobs_per_store.get());
        if self.running.contains_key(job) {
            return Err(NoPlace::Going);
        }
        if let Some(end) = self.job(job).filter(|_| !at_any_hour).and_then(|job| job.spec.blackouts.end(at)) {
            return Err(NoPlace::Blackout(end));
        }
        if self.running.len() >= jobs {
            return Err(NoPlace::Jobs(jobs));
        }
        if let Some(full) = stores.iter().find(|store| self.is_full(std::slice::from_ref(store))) {
            return Err(NoPlace::Store(full.clone(), of_store));
        }
        for store in &stores {
            *self.busy.entry(store.clone()).or_default() += 1;
        }
        let run = Running { slot: at, attempt: 0, stores, ran: TimeDelta::zero(), stopped: false, at_any_hour };
        self.running.insert(job.to_owned(), run);
        Ok(())
    }
}
