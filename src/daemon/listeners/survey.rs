//! The gauges of what is overdue, counted on a thread of their own: every ten minutes, and soon after a run.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use metrics::gauge;

use crate::clock::Clock;
use crate::control::site::open_state;
use crate::control::survey::{Surveyed, survey};
use crate::control::{Failure, Site, auditing, load};

const EVERY: Duration = Duration::from_secs(600);
/// Several runs that end together are surveyed once.
const GATHER: Duration = Duration::from_secs(2);

/// The thread.
pub(super) struct Survey(SyncSender<()>);

impl Survey {
    /// Starts it.
    pub fn start(config: &Path) -> std::io::Result<Self> {
        let (poke, poked) = sync_channel(1);
        let config = config.to_path_buf();
        std::thread::Builder::new().name("survey".to_owned()).spawn(move || count(&config, &poked))?;
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

fn count(config: &Path, poked: &Receiver<()>) {
    loop {
        match poked.recv_timeout(EVERY) {
            Ok(()) => std::thread::sleep(GATHER),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if let Err(failure) = once(config) {
            tracing::warn!("what is overdue could not be counted: {}", failure.text());
        }
    }
}

fn once(config: &Path) -> Result<(), Failure> {
    // A store that is away takes with it what it alone knows; the others are counted.
    let now = Clock::system().now();
    let loaded = Arc::new(load(config)?);
    let unsigned = auditing::unsigned(&mut *open_state(&loaded)?.conn()?)?;
    gauge!("retentiond_trail_unsigned_records").set(unsigned as f64);
    for part in loaded.parts() {
        let site = Site::open_reachable(&part)?;
        let memory = site.open_state()?;
        for job in survey(&site, &memory, now)?.iter().filter(|job| job.enabled) {
            tell(job, now);
        }
    }
    gauge!("retentiond_surveyed_timestamp_seconds").set(now.timestamp() as f64);
    Ok(())
}

fn tell(job: &Surveyed, now: chrono::DateTime<chrono::Utc>) {
    let name = job.job.to_string();
    gauge!("retentiond_paused", "job" => name.clone()).set(if job.paused { 1.0 } else { 0.0 });
    let age = job.last_success.map_or(-1.0, |at| (now - at).as_seconds_f64().max(0.0));
    let rules = job.overdue.as_deref().unwrap_or_default();
    if rules.is_empty() {
        gauge!("retentiond_last_success_age_seconds", "job" => name.clone(), "data" => "").set(age);
    }
    for data in job.unseen.iter().filter_map(|unseen| unseen.data.clone()) {
        gauge!("retentiond_overdue_rows", "job" => name.clone(), "data" => data).set(f64::NAN);
    }
    let mut entries: Vec<&str> = rules.iter().map(|rule| rule.data.as_str()).collect();
    entries.dedup();
    for data in entries {
        let labels = [("job", name.clone()), ("data", data.to_owned())];
        let mine = || rules.iter().filter(|rule| rule.data.as_str() == data);
        gauge!("retentiond_last_success_age_seconds", &labels).set(age);
        // What could not be counted is no number.
        let rows = mine().try_fold(0.0, |sum, rule| rule.rows.map(|rows| sum + rows as f64));
        gauge!("retentiond_overdue_rows", &labels).set(rows.unwrap_or(f64::NAN));
        let oldest = mine().filter_map(|rule| Some((rule.cutoff? - rule.oldest?).as_seconds_f64())).fold(0.0, f64::max);
        gauge!("retentiond_oldest_overdue_seconds", &labels).set(oldest);
    }
}
