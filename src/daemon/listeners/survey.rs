//! The gauges of what is overdue, counted on a thread of their own: every ten minutes, and soon after a run.
//!
//! What could not be counted is no number: its gauge becomes NaN, never stays what it was.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use chrono::{DateTime, Utc};
use metrics::gauge;

use super::super::policy::Followed;
use crate::clock::Clock;
use crate::config::Loaded;
use crate::control::site::open_state;
use crate::control::survey::{Surveyed, survey};
use crate::control::{Failure, Site, auditing};
use crate::store::pool::Database;
use crate::store::state;

const EVERY: Duration = Duration::from_secs(600);
/// Several runs that end together are surveyed once.
const GATHER: Duration = Duration::from_secs(2);

/// The thread.
pub(super) struct Survey(SyncSender<()>);

impl Survey {
    /// Starts it.
    pub fn start(followed: &Followed) -> std::io::Result<Self> {
        let (poke, poked) = sync_channel(1);
        let mut counter = Counter { followed: followed.clone(), memory: None, told: BTreeSet::new() };
        std::thread::Builder::new().name("survey".to_owned()).spawn(move || counter.count(&poked))?;
        let survey = Self(poke);
        survey.soon();
        Ok(survey)
    }

    /// Asks for a count before the ten minutes are over.
    pub fn soon(&self) {
        // A full channel means that one is asked for already.
        let _poked = self.0.try_send(());
    }
}

/// A job's name and an entry's: the labels of a gauge.
type Labels = (String, String);

struct Counter {
    followed: Followed,
    /// The state, once it was reached.
    memory: Option<Database>,
    /// The gauges that have held a number.
    told: BTreeSet<Labels>,
}

impl Counter {
    fn count(&mut self, poked: &Receiver<()>) {
        loop {
            match poked.recv_timeout(EVERY) {
                Ok(()) => std::thread::sleep(GATHER),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let mut counted = BTreeSet::new();
            if let Err(failure) = self.once(&mut counted) {
                tracing::warn!("what is overdue could not be counted: {}", failure.text());
            }
            self.told.difference(&counted).for_each(unknown);
            self.told.append(&mut counted);
        }
    }

    /// Counts for each tenant. One whose map is wrong takes with it what is its own.
    fn once(&mut self, counted: &mut BTreeSet<Labels>) -> Result<(), Failure> {
        let now = Clock::system().now();
        let loaded = self.followed.get();
        let memory = match &self.memory {
            Some(memory) => memory,
            None => self.memory.insert(open_state(&loaded)?),
        };
        let unsigned = auditing::unsigned(&mut *memory.conn()?)?;
        gauge!("retentiond_trail_unsigned_records").set(unsigned as f64);
        let mut wrong = Vec::new();
        for part in loaded.parts() {
            if let Err(failure) = count_part(&part, memory, now, counted) {
                tell_state(&part, memory, now, &self.told)?;
                wrong.push(failure.of_tenant(part.document.tenant.as_ref()));
            }
        }
        match Failure::all(wrong) {
            Some(wrong) => Err(wrong),
            None => {
                gauge!("retentiond_surveyed_timestamp_seconds").set(now.timestamp() as f64);
                Ok(())
            }
        }
    }
}

/// A store that is away takes with it what it alone knows; the others are counted.
fn count_part(
    part: &Arc<Loaded>,
    memory: &Database,
    now: DateTime<Utc>,
    counted: &mut BTreeSet<Labels>,
) -> Result<(), Failure> {
    let site = Site::open_reachable(part)?;
    for job in survey(&site, &site.own(memory), now)?.iter().filter(|job| job.enabled) {
        counted.extend(tell(job, now));
    }
    Ok(())
}

/// What the state knows is known although nothing could be counted.
fn tell_state(part: &Loaded, memory: &Database, now: DateTime<Utc>, told: &BTreeSet<Labels>) -> Result<(), Failure> {
    let mut conn = memory.conn()?;
    for (job, data) in told.iter().filter(|(job, _)| part.document.jobs.contains_key(job.as_str())) {
        let age = age(state::last_success(&mut conn, job)?, now);
        gauge!("retentiond_last_success_age_seconds", "job" => job.clone(), "data" => data.clone()).set(age);
        let paused = state::is_paused(&mut conn, job)?;
        gauge!("retentiond_paused", "job" => job.clone()).set(if paused { 1.0 } else { 0.0 });
    }
    Ok(())
}

fn unknown((job, data): &Labels) {
    let labels = [("job", job.clone()), ("data", data.clone())];
    gauge!("retentiond_overdue_rows", &labels).set(f64::NAN);
    gauge!("retentiond_oldest_overdue_seconds", &labels).set(f64::NAN);
}

/// In seconds; -1 for never.
fn age(last_success: Option<DateTime<Utc>>, now: DateTime<Utc>) -> f64 {
    last_success.map_or(-1.0, |at| (now - at).as_seconds_f64().max(0.0))
}

/// Sets a job's gauges; gives those that hold a number now.
fn tell(job: &Surveyed, now: DateTime<Utc>) -> Vec<Labels> {
    let name = job.job.to_string();
    gauge!("retentiond_paused", "job" => name.clone()).set(if job.paused { 1.0 } else { 0.0 });
    let age = age(job.last_success, now);
    let rules = job.overdue.as_deref().unwrap_or_default();
    if rules.is_empty() {
        gauge!("retentiond_last_success_age_seconds", "job" => name.clone(), "data" => "").set(age);
    }
    for data in job.unseen.iter().filter_map(|unseen| unseen.data.clone()) {
        unknown(&(name.clone(), data));
    }
    let mut entries: Vec<&str> = rules.iter().map(|rule| rule.data.as_str()).collect();
    entries.dedup();
    let mut told = Vec::new();
    for data in entries {
        let labels = [("job", name.clone()), ("data", data.to_owned())];
        let mine = || rules.iter().filter(|rule| rule.data.as_str() == data);
        gauge!("retentiond_last_success_age_seconds", &labels).set(age);
        // What could not be counted is no number.
        let rows = mine().try_fold(0.0, |sum, rule| rule.rows.map(|rows| sum + rows as f64));
        gauge!("retentiond_overdue_rows", &labels).set(rows.unwrap_or(f64::NAN));
        let oldest = mine().filter_map(|rule| Some((rule.cutoff? - rule.oldest?).as_seconds_f64())).fold(0.0, f64::max);
        gauge!("retentiond_oldest_overdue_seconds", &labels).set(oldest);
        told.push((name.clone(), data.to_owned()));
    }
    told
}
