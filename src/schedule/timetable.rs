//! The slots of a schedule in its zone, across daylight saving.
//!
//! A schedule names civil times. One that the clock skips is made up at the first instant after the gap; one that comes
//! twice counts at its first coming; several that fall onto one instant are one slot. So a daily job runs once each day,
//! and so do lists and steps of hours. A schedule of every hour means "so often" and follows real time instead: it has
//! nothing to make up, and an hour that comes twice is two hours.

use chrono::{DateTime, LocalResult, NaiveDateTime, TimeDelta, TimeZone as _, Utc};
use chrono_tz::Tz;

use crate::config::cron::Cron;

/// The instant at which a schedule says a job runs.
pub type Slot = DateTime<Utc>;

/// A schedule and the zone it is meant in.
#[derive(Clone, Debug, PartialEq)]
pub struct Timetable {
    cron: Cron,
    zone: Tz,
}

/// No clock was ever set by more than this.
const WIDEST: TimeDelta = TimeDelta::hours(30);

impl Timetable {
    /// A schedule in a zone.
    pub fn new(cron: Cron, zone: Tz) -> Self {
        Self { cron, zone }
    }

    /// The zone.
    pub fn zone(&self) -> Tz {
        self.zone
    }

    /// The schedule.
    pub fn cron(&self) -> &Cron {
        &self.cron
    }

    /// What changes when the schedule means something else.
    pub fn fingerprint(&self) -> String {
        format!("{} {}", self.cron, self.zone)
    }

    /// The first slot after an instant; `None` when none comes any more.
    pub fn next(&self, after: DateTime<Utc>) -> Option<Slot> {
        let local = after.with_timezone(&self.zone);
        if self.cron.is_hourly() {
            return self.cron.next_real(&local).map(|at| at.to_utc());
        }
        let mut civil = local.naive_local();
        // Within an hour that comes a second time, all its times have been; they are passed one by one.
        loop {
            civil = self.cron.next_civil(civil)?;
            let slot = first_instant(self.zone, civil)?;
            if slot > after {
                return Some(slot);
            }
        }
    }

    /// The last slot at or before an instant.
    pub fn latest(&self, until: DateTime<Utc>) -> Option<Slot> {
        let local = until.with_timezone(&self.zone);
        if self.cron.is_hourly() {
            return self.cron.latest_real(&local).map(|at| at.to_utc());
        }
        let civil = local.naive_local();
        // Within an hour that comes a second time, later times than the clock shows have been too.
        let twice = matches!(self.zone.from_local_datetime(&civil), LocalResult::Ambiguous(..));
        let mut civil = self.cron.latest_civil(if twice { civil + WIDEST } else { civil })?;
        loop {
            let slot = first_instant(self.zone, civil)?;
            if slot <= until {
                return Some(slot);
            }
            civil = self.cron.latest_civil(civil - TimeDelta::seconds(1))?;
        }
    }

    /// The slots after an instant, in order.
    pub fn after(&self, after: DateTime<Utc>) -> impl Iterator<Item = Slot> + '_ {
        std::iter::successors(self.next(after), |slot| self.next(*slot))
    }
}

/// When a civil time comes for the first time, or, when it is skipped, the first instant after the gap.
pub(super) fn first_instant(zone: Tz, civil: NaiveDateTime) -> Option<DateTime<Utc>> {
    match zone.from_local_datetime(&civil) {
        LocalResult::Single(at) => Some(at.to_utc()),
        LocalResult::Ambiguous(first, second) => Some(first.min(second).to_utc()),
        LocalResult::None => {
            // The clock shows less than this time before the gap and more after it; where it changes is the end of the gap.
            let middle = civil.and_utc();
            let (mut before, mut after) = (middle.checked_sub_signed(WIDEST)?, middle.checked_add_signed(WIDEST)?);
            while after - before > TimeDelta::seconds(1) {
                let half = before + TimeDelta::seconds((after - before).num_seconds() / 2);
                if half.with_timezone(&zone).naive_local() > civil { after = half } else { before = half }
            }
            Some(after)
        }
    }
}
