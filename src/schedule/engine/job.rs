//! One job in the engine: its cursor, what it waits to start, and the holes that the clock left.

use std::collections::{BTreeSet, VecDeque};

use chrono::{DateTime, TimeDelta, Utc};

use super::{GRACE, Skipped};
use crate::config::timing::CatchUp;
use crate::schedule::spec::Spec;
use crate::schedule::timetable::Slot;

/// So many missed slots are counted one by one.
const COUNTED: usize = 100;
/// So many slots that were started already are passed over in one tick.
const PASSED: usize = 10_000;
/// A hole older than this was no glitch.
const HEALED: TimeDelta = TimeDelta::days(8);
/// So many holes, and slots beyond them, are remembered; the state remembers all.
const HOLES: usize = 256;
const STARTED: usize = 20_000;

/// What the state remembers of a job's schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// [`Timetable::fingerprint`](crate::schedule::Timetable::fingerprint): another schedule begins anew.
    pub fingerprint: String,
    /// No slot up to here ever runs: the job, or its schedule, is not older.
    pub since: DateTime<Utc>,
    /// Every slot up to here is decided.
    pub cursor: DateTime<Utc>,
    /// The slots that the state has rows of, the last thousand or so. [`Engine::known`](super::Engine::known) leaves this
    /// empty: rows are the driver's.
    pub started: Vec<Slot>,
}

/// A slot that waits to be started.
#[derive(Clone, Debug)]
pub(super) struct Queued {
    pub slot: Slot,
    pub attempt: u32,
    pub not_before: DateTime<Utc>,
}

/// Slots that were passed over.
pub(super) struct Taken {
    pub slot: Slot,
    pub slots: usize,
    pub why: Skipped,
}

pub(super) struct Job {
    pub spec: Spec,
    pub queued: Option<Queued>,
    since: DateTime<Utc>,
    /// It began in this process, so `since` is as right or wrong as the clock was then.
    fresh: bool,
    cursor: DateTime<Utc>,
    /// `since` and `cursor` of a fresh job while the clock shows a time before it began: either was wrong.
    before_birth: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// The first slot after the cursor.
    next: Option<Slot>,
    /// Stretches that the clock leapt over, in order and apart from each other.
    holes: VecDeque<(DateTime<Utc>, DateTime<Utc>)>,
    /// Slots that were started and that a clock set back may bring again.
    started: BTreeSet<Slot>,
}

impl Job {
    /// A job that begins now.
    pub fn new(spec: Spec, now: DateTime<Utc>) -> Self {
        let next = spec.timetable.next(now);
        Self {
            spec,
            queued: None,
            since: now,
            fresh: true,
            cursor: now,
            before_birth: None,
            next,
            holes: VecDeque::new(),
            started: BTreeSet::new(),
        }
    }

    /// A job that goes on where it was, if its schedule is the same.
    pub fn known(spec: Spec, known: Option<Known>, now: DateTime<Utc>) -> Self {
        let Some(known) = known.filter(|known| known.fingerprint == spec.timetable.fingerprint()) else {
            return Self::new(spec, now);
        };
        // A cursor ahead of the clock was left by a clock that was wrong, or this one is; what was really started says
        // how far things are.
        let cursor = if known.cursor <= now {
            known.cursor
        } else {
            known.started.iter().copied().filter(|slot| *slot <= now).max().unwrap_or(known.since)
        };
        let cursor = cursor.max(known.since);
        let next = spec.timetable.next(cursor);
        let mut job = Self {
            spec,
            queued: None,
            since: known.since,
            fresh: false,
            cursor,
            before_birth: None,
            next,
            holes: VecDeque::new(),
            started: known.started.into_iter().filter(|slot| *slot > cursor).collect(),
        };
        if cursor < now {
            job.leap(cursor, now);
        }
        job
    }

    /// The same job with other keys.
    pub fn with(self, spec: Spec) -> Self {
        Self { spec, ..self }
    }

    pub fn remembered(&self) -> Known {
        // What only waits is not decided yet.
        let waiting = self.queued.as_ref().filter(|queued| queued.attempt == 0).map(|queued| queued.slot);
        let cursor = waiting.map_or(self.cursor, |slot| self.cursor.min(slot - TimeDelta::seconds(1)));
        let fingerprint = self.spec.timetable.fingerprint();
        Known { fingerprint, since: self.since, cursor, started: Vec::new() }
    }

    /// When it is to be looked at next.
    pub fn due(&self) -> Option<DateTime<Utc>> {
        self.next?.checked_add_signed(self.spec.offset)
    }

    /// The clock leapt.
    pub fn leap(&mut self, from: DateTime<Utc>, to: DateTime<Utc>) {
        self.heal(to);
        if let Some((since, cursor)) = self.before_birth.take_if(|(since, _)| *since < to) {
            self.since = since;
            self.move_cursor(cursor);
        } else if self.before_birth.is_some() {
            self.since = to;
            self.move_cursor(to);
            return;
        }
        // What is decided already was not leapt over.
        let from = from.max(self.cursor);
        if from < to {
            if self.holes.len() == HOLES {
                self.holes.pop_front();
            }
            self.holes.push_back((from, to));
        }
    }

    /// Forgets old holes, and what is remembered for their sake.
    fn heal(&mut self, now: DateTime<Utc>) {
        while self.holes.front().is_some_and(|(_, to)| *to + HEALED < now) {
            self.holes.pop_front();
        }
        let needed = self.holes.front().map_or(self.cursor, |(from, _)| *from).min(self.cursor);
        while self.started.first().is_some_and(|slot| *slot < needed) || self.started.len() > STARTED {
            self.started.pop_first();
        }
    }

    /// The clock went back: what it had leapt over comes again.
    pub fn step_back(&mut self, now: DateTime<Utc>) {
        let mut cursor = self.cursor;
        self.holes.retain_mut(|(from, to)| {
            if *to > now {
                cursor = cursor.min(*from);
                *to = now;
            }
            *from < *to
        });
        if let Some(queued) = &mut self.queued {
            queued.not_before = queued.not_before.min(now + self.spec.retry.cap.length());
        }
        if self.fresh && self.since > now {
            // What only waits is not decided, and comes again by itself.
            let decided = self.remembered().cursor.max(self.since);
            self.before_birth.get_or_insert((self.since, decided));
            self.since = now;
            cursor = now;
        }
        let cursor = cursor.max(self.since);
        if cursor < self.cursor {
            self.move_cursor(cursor);
            // It comes again by itself.
            self.queued.take_if(|queued| queued.attempt == 0 && queued.slot > cursor);
        }
    }

    fn move_cursor(&mut self, cursor: DateTime<Utc>) {
        self.cursor = cursor;
        self.next = self.spec.timetable.next(cursor);
    }

    /// The slots after the cursor up to an instant: the last of them, and how many there are.
    fn slots_until(&self, until: DateTime<Utc>) -> Option<(Slot, usize)> {
        let counted = self.spec.timetable.after(self.cursor).take_while(|slot| *slot <= until).take(COUNTED);
        let (last, number) = counted.fold((None, 0), |(_, number), slot| (Some(slot), number + 1));
        let last = if number == COUNTED { self.spec.timetable.latest(until).or(last) } else { last };
        last.map(|slot| (slot, number))
    }

    /// Decides the slots up to now. Where circumstances forbid a run, all of them are passed over.
    pub fn take(&mut self, now: DateTime<Utc>, circumstances: Option<Skipped>) -> Vec<Taken> {
        let until = now - self.spec.offset;
        match self.before_birth.take_if(|(since, _)| *since <= until) {
            Some((since, cursor)) => {
                let taken = self.take_until(since - TimeDelta::seconds(1), now, circumstances);
                self.move_cursor(cursor);
                taken
            }
            None => self.take_until(until, now, circumstances),
        }
    }

    fn take_until(&mut self, until: DateTime<Utc>, now: DateTime<Utc>, circumstances: Option<Skipped>) -> Vec<Taken> {
        let mut taken = Vec::new();
        if let Some(limit) = self.spec.max_age.and_then(|age| until.checked_sub_signed(age))
            && let Some((slot, slots)) = self.slots_until(limit)
        {
            self.move_cursor(slot);
            taken.push(Taken { slot, slots, why: Skipped::TooOld });
        }
        if self.spec.catch_up == CatchUp::All {
            self.take_first(until, now);
            return taken;
        }
        let Some((slot, slots)) = self.slots_until(until) else { return taken };
        self.move_cursor(slot);
        let why = circumstances.or_else(|| {
            let late = self.spec.catch_up == CatchUp::Skip && until - slot > GRACE;
            late.then_some(Skipped::Missed)
        });
        if let Some(why) = why {
            taken.push(Taken { slot, slots, why });
            return taken;
        }
        // An attempt that waits gives way to the next slot, and its own was begun.
        if let Some(old) = self.queued.take_if(|queued| queued.attempt == 0) {
            taken.push(Taken { slot: old.slot, slots: 1, why: Skipped::Missed });
        }
        if slots > 1
            && let Some(before) = self.spec.timetable.latest(slot - TimeDelta::seconds(1))
        {
            taken.push(Taken { slot: before, slots: slots - 1, why: Skipped::Missed });
        }
        if !self.started.contains(&slot) {
            self.queued = Some(Queued { slot, attempt: 0, not_before: now });
        }
        taken
    }

    /// The next slot that was not started yet.
    fn take_first(&mut self, until: DateTime<Utc>, now: DateTime<Utc>) {
        for _ in 0..PASSED {
            let Some(slot) = self.next.filter(|slot| *slot <= until && self.queued.is_none()) else { return };
            self.move_cursor(slot);
            if !self.started.contains(&slot) {
                self.queued = Some(Queued { slot, attempt: 0, not_before: now });
            }
        }
    }

    /// What waits is started.
    pub fn begin(&mut self, now: DateTime<Utc>) {
        if let Some(queued) = self.queued.take() {
            self.started.insert(queued.slot);
        }
        self.heal(now);
    }

    /// A run failed for a reason that may pass. An attempt never crosses the next slot, unless each slot has its turn.
    pub fn retry(&mut self, slot: Slot, attempt: u32, now: DateTime<Utc>) {
        let not_before = now + self.spec.backoff(slot, attempt);
        let crosses = self.spec.catch_up != CatchUp::All && self.due().is_some_and(|due| due <= not_before);
        if attempt <= self.spec.retry.max && !crosses && self.queued.is_none() {
            self.queued = Some(Queued { slot, attempt, not_before });
        }
    }

    /// A run was not begun, and waits again.
    pub fn put_back(&mut self, slot: Slot, attempt: u32, not_before: DateTime<Utc>) {
        self.started.remove(&slot);
        if self.queued.is_none() {
            self.queued = Some(Queued { slot, attempt, not_before });
        }
    }
}
