//! The engine under virtual time, held against slots that are counted minute by minute.

mod clocks;
mod policies;
mod previews;
mod zones;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use chrono::{DateTime, NaiveDateTime, Offset as _, TimeDelta, TimeZone as _, Utc};
use chrono_tz::Tz;

use super::*;
use crate::config::cron::Cron;
use crate::config::document::Limits;
use crate::config::timing::{CatchUp, Retry, Timing};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn limits(jobs: usize, jobs_per_store: usize) -> Limits {
    Limits { jobs: NonZeroUsize::new(jobs).unwrap(), jobs_per_store: NonZeroUsize::new(jobs_per_store).unwrap() }
}

fn timetable(cron: &str, zone: Tz) -> Timetable {
    Timetable::new(Cron::parse(cron).unwrap(), zone)
}

fn spec(name: &str, cron: &str, zone: Tz, catch_up: CatchUp) -> Spec {
    let timing = Timing { schedule: Some(Cron::parse(cron).unwrap()), ..Timing::default() };
    Spec::of(name, &timing, zone, catch_up, vec![name.to_owned()], "host").unwrap()
}

/// An engine with jobs that are new at an instant.
fn engine(specs: Vec<Spec>, now: DateTime<Utc>) -> Engine {
    let mut engine = Engine::new(limits(100_000, 100));
    engine.set_jobs(limits(100_000, 100), specs.into_iter().map(|spec| (spec, None)).collect(), now);
    engine
}

/// Ticks, ends at once what is started, and gives what was started: the job and the slot.
fn tick(engine: &mut Engine, now: DateTime<Utc>) -> Vec<(String, Slot)> {
    let mut started = Vec::new();
    for decision in engine.tick(now) {
        if let Decision::Start { job, slot, .. } = decision {
            assert_eq!(engine.ended(&job, slot, Ending::Over, now), None);
            started.push((job, slot));
        }
    }
    started
}

/// Ticks every `step` from one instant to another; gives how often each slot of each job was started.
fn ticks(
    engine: &mut Engine,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    step: TimeDelta,
) -> BTreeMap<(String, Slot), usize> {
    let mut started = BTreeMap::new();
    let mut now = from;
    while now <= to {
        for slot in tick(engine, now) {
            *started.entry(slot).or_insert(0) += 1;
        }
        now += step;
    }
    started
}

/// The first instant, counted minute by minute, at which a clock in the zone shows this civil time or a later one.
fn first_shown(zone: Tz, civil: NaiveDateTime) -> DateTime<Utc> {
    let offset = |hours| zone.offset_from_utc_datetime(&(civil + TimeDelta::hours(hours))).fix().local_minus_utc();
    let mut instant =
        civil.and_utc() - TimeDelta::seconds(i64::from(offset(-16).max(offset(16)))) - TimeDelta::minutes(1);
    assert!(instant.with_timezone(&zone).naive_local() < civil);
    while instant.with_timezone(&zone).naive_local() < civil {
        instant += TimeDelta::minutes(1);
    }
    instant
}

const ZONES: [Tz; 12] = [
    Tz::UTC,
    Tz::Europe__Helsinki,
    Tz::Europe__Berlin,
    Tz::Europe__Dublin,
    Tz::America__New_York,
    Tz::America__Santiago,
    Tz::America__St_Johns,
    Tz::Africa__Cairo,
    Tz::Africa__Casablanca,
    Tz::Antarctica__Troll,
    Tz::Australia__Lord_Howe,
    Tz::Pacific__Chatham,
];
