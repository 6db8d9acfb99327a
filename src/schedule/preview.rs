//! What comes: the next slots of a job, and which of them daylight saving or a blackout touches.

use chrono::{DateTime, LocalResult, Offset as _, TimeDelta, TimeZone as _, Utc};

use super::spec::Spec;
use super::timetable::Slot;
use crate::config::timing::CatchUp;

/// A slot that comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coming {
    /// The slot.
    pub slot: Slot,
    /// When it begins, if nothing is in its way; `None` when it is passed over.
    pub start: Option<DateTime<Utc>>,
    /// What touches it.
    pub touched: Vec<Touch>,
}

/// What touches a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touch {
    /// Daylight saving skips a time of the schedule, which is made up here, at the end of the gap.
    Skipped,
    /// The clock shows this time twice; this is the first.
    First,
    /// The clock shows this time twice; this is the second, and counts since the schedule is of every hour.
    Second,
    /// It falls into a blackout and begins at its end.
    PutOff,
    /// It falls into a blackout and is passed over.
    PassedOver,
}

impl Touch {
    /// What it means, for people.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Skipped => "clock goes forward: made up after the gap",
            Self::First => "clock goes back: the first of two",
            Self::Second => "clock goes back: the second of two",
            Self::PutOff => "blackout: begins at its end",
            Self::PassedOver => "blackout: passed over",
        }
    }
}

impl Spec {
    /// The slots after an instant, in order, with what touches them.
    pub fn coming(&self, after: DateTime<Utc>) -> impl Iterator<Item = Coming> + '_ {
        self.timetable.after(after - self.offset).map(|slot| {
            let mut touched: Vec<Touch> = self.touch_of_clock(slot).into_iter().collect();
            let due = slot + self.offset;
            let Some(end) = self.blackouts.end(due) else { return Coming { slot, start: Some(due), touched } };
            // One run at the end of a blackout stands for all that fell into it, unless each has its turn.
            let another = || self.timetable.next(slot).is_some_and(|next| next + self.offset <= end);
            let runs = match self.catch_up {
                CatchUp::All => true,
                CatchUp::Latest => !another(),
                CatchUp::Skip => false,
            };
            touched.push(if runs { Touch::PutOff } else { Touch::PassedOver });
            Coming { slot, start: runs.then_some(end), touched }
        })
    }

    fn touch_of_clock(&self, slot: Slot) -> Option<Touch> {
        let zone = self.timetable.zone();
        let offset = |at: DateTime<Utc>| i64::from(at.with_timezone(&zone).offset().fix().local_minus_utc());
        let civil = slot.with_timezone(&zone).naive_local();
        if let LocalResult::Ambiguous(first, _) = zone.from_local_datetime(&civil) {
            return Some(if first.to_utc() == slot { Touch::First } else { Touch::Second });
        }
        let gap = offset(slot) - offset(slot - TimeDelta::seconds(1));
        let skipped = || self.timetable.cron().latest_civil(civil - TimeDelta::seconds(1));
        let makes_up = gap > 0 && !self.timetable.cron().is_hourly();
        (makes_up && skipped().is_some_and(|last| last >= civil - TimeDelta::seconds(gap))).then_some(Touch::Skipped)
    }
}
