//! What the engine knows of one job.

use chrono::{DateTime, TimeDelta, TimeZone as _, Utc};
use chrono_tz::Tz;
use sha2::{Digest as _, Sha256};

use super::timetable::{Slot, Timetable, first_instant};
use crate::config::blackout::{Blackout, end_of_all};
use crate::config::timing::{CatchUp, Retry, Timing};

/// A job that has a schedule.
#[derive(Clone, Debug)]
pub struct Spec {
    /// What it is called in slots, leases and runs.
    pub name: String,
    /// When it runs.
    pub timetable: Timetable,
    /// What becomes of slots that were missed.
    pub catch_up: CatchUp,
    /// Slots that were missed for longer are not made up.
    pub max_age: Option<TimeDelta>,
    /// By how much its slots are put off.
    pub offset: TimeDelta,
    /// A run that takes longer is stopped.
    pub timeout: Option<TimeDelta>,
    /// How often a run is tried again.
    pub retry: Retry,
    /// When it does not run.
    pub blackouts: Blackouts,
    /// What it works on; so many jobs as the limits say work on each of these at a time.
    pub stores: Vec<String>,
}

impl Spec {
    /// A job of a file; `None` when it has no schedule. `host` keeps the spread apart from that of other hosts.
    pub fn of(
        name: &str,
        timing: &Timing,
        zone: Tz,
        catch_up: CatchUp,
        stores: Vec<String>,
        host: &str,
    ) -> Option<Self> {
        let zone = timing.timezone.map_or(zone, |own| own.0);
        let spread = timing.spread.as_ref().map_or(0, |spread| spread.length().num_seconds().unsigned_abs());
        // Always the same on one host: a preview shows the true time, and a restart changes nothing.
        let offset = stable_hash(&[host, name]).checked_rem(spread).unwrap_or_default();
        Some(Self {
            name: name.to_owned(),
            timetable: Timetable::new(timing.schedule.clone()?, zone),
            catch_up: timing.catch_up.unwrap_or(catch_up),
            max_age: timing.catch_up_max_age.as_ref().map(|age| age.length()),
            offset: TimeDelta::seconds(i64::try_from(offset).unwrap_or_default()),
            timeout: timing.timeout.as_ref().map(|timeout| timeout.length()),
            retry: timing.retry.clone(),
            blackouts: Blackouts { zone, list: timing.blackout.clone() },
            stores,
        })
    }

    /// How long to wait before an attempt (the second is 1): twice as long each time, up to the cap, and up to a quarter
    /// less, so that jobs that failed together do not come back together.
    pub fn backoff(&self, slot: Slot, attempt: u32) -> TimeDelta {
        let doubled = 1_i32.checked_shl(attempt.saturating_sub(1).min(30)).unwrap_or(i32::MAX);
        let wait = self.retry.base.length().checked_mul(doubled).unwrap_or(TimeDelta::MAX);
        let wait = wait.min(self.retry.cap.length());
        let share = stable_hash(&[&self.name, &slot.timestamp().to_string(), &attempt.to_string()]) % 250;
        wait - wait * i32::try_from(share).unwrap_or_default() / 1000
    }
}

/// The same for ever, whatever the version of the compiler.
fn stable_hash(parts: &[&str]) -> u64 {
    let hash = Sha256::digest(parts.join("\0"));
    hash.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// The blackouts of a job, in its zone.
#[derive(Clone, Debug)]
pub struct Blackouts {
    /// The zone.
    pub zone: Tz,
    /// The blackouts.
    pub list: Vec<Blackout>,
}

impl Blackouts {
    /// When an instant is free of blackouts again; `None` when it is free.
    pub fn end(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if self.list.is_empty() {
            return None;
        }
        match end_of_all(&self.list, at.with_timezone(&self.zone).naive_local())? {
            Ok(end) => {
                // Within an hour that comes twice, the end's second coming may be meant.
                let both = self.zone.from_local_datetime(&end);
                let ends = [both.earliest(), both.latest()].into_iter().flatten().map(|end| end.to_utc());
                ends.into_iter().find(|end| *end > at).or_else(|| first_instant(self.zone, end))
            }
            // The file is refused for this; still, never is the answer that runs nothing.
            Err(_) => Some(DateTime::<Utc>::MAX_UTC),
        }
    }
}
