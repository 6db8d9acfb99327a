//! How long a job's schedule lets anything wait.

use chrono::{DateTime, TimeDelta, Utc};

use crate::config::section::RawJob;
use crate::schedule::Timetable;

/// A turn is never shorter than a day: a job that runs every five minutes may be stopped for a night.
pub const SHORTEST: TimeDelta = TimeDelta::days(1);
/// So many turns are looked at: a week of a job that runs daily, the weekend of one that rests then.
const LOOKED_AT: usize = 10;

/// The longest time between two of the job's coming slots, a day at least.
pub fn longest(raw: &RawJob, zone: chrono_tz::Tz, now: DateTime<Utc>) -> TimeDelta {
    let Some(cron) = raw.timing.schedule.clone() else { return SHORTEST };
    let zone = raw.timing.timezone.map_or(zone, |own| own.0);
    let slots: Vec<DateTime<Utc>> = Timetable::new(cron, zone).after(now).take(LOOKED_AT).collect();
    let gaps = slots.windows(2).filter_map(|two| Some(*two.last()? - *two.first()?));
    gaps.max().unwrap_or(SHORTEST).max(SHORTEST)
}
