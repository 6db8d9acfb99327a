//! How large a batch is and how long to wait after it.
//!
//! A batch adapts to the time of its transaction, not to a number of rows: 50 ms are aimed at (7 ms on SQLite at the
//! default pace, since a writer waits for the whole transaction there). Every wait stands between transactions.

use std::time::{Duration, Instant};

use crate::config::document;
use crate::stop::Stop;
use crate::store::{Backend, Conn, StoreError};

/// The transaction time that batches aim at.
pub const TARGET: Duration = Duration::from_millis(50);
/// The same on SQLite at a quiet pace. A writer that finds the file locked looks again after 1, 3, 8 and 18 ms.
const TARGET_SQLITE: Duration = Duration::from_millis(7);
/// A batch of one row that is refused over and over gives up after this time without a commit.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between a batch that was refused and the next attempt, with no lock held.
const BREATH: Duration = Duration::from_millis(20);
/// A lost race or a timeout halves the batch, down to this.
const SMALLEST: u64 = 1;
/// A batch of no more rows than this, children included, is not slow for its size: on a busy machine a transaction may
/// take longer than is aimed at whatever is in it, and one row a transaction would never come to an end.
const SMALL: u64 = 100;
/// Most parts of a batch.
const MOST_PARTS: u64 = 10;
/// How much of the time that is aimed at parts are made to fit into: half of those that were to fill it would exceed it.
const FILLED: f64 = 0.9;
/// Where batches begin.
const FIRST: u64 = 1_000;

/// How fast a run goes.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    rows_per_second: Option<u64>,
    wal_bytes_per_second: Option<u64>,
    pause: Option<Duration>,
}

impl Pace {
    /// The pace of a job: its own, else the file's, else quiet.
    pub fn of(job: Option<&document::Pace>, file: &document::Pace) -> Self {
        let said = |get: fn(&document::Pace) -> Option<u64>| job.and_then(get).or_else(|| get(file));
        Self {
            rows_per_second: Some(said(|pace| pace.rows_per_second).unwrap_or(50_000)),
            wal_bytes_per_second: Some(said(|pace| pace.wal_bytes_per_second).unwrap_or(9_000_000)),
            pause: said(|pace| pace.pause_ms).map(Duration::from_millis),
        }
    }

    /// No waiting at all: for a maintenance window.
    pub fn unpaced() -> Self {
        Self { rows_per_second: None, wal_bytes_per_second: None, pause: Some(Duration::ZERO) }
    }

    /// Whether the run goes as fast as it can.
    pub fn is_unpaced(&self) -> bool {
        self.rows_per_second.is_none()
    }

    fn pause_on(&self, backend: Backend) -> Duration {
        self.pause.unwrap_or(match backend {
            Backend::Sqlite => Duration::from_millis(20),
            Backend::Postgres | Backend::Mysql => Duration::ZERO,
        })
    }

    fn target_on(&self, backend: Backend) -> Duration {
        if backend == Backend::Sqlite && !self.is_unpaced() { TARGET_SQLITE } else { TARGET }
    }
}

/// The parts of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parts {
    pub number: u32,
    /// Most rows of one.
    pub size: u64,
}

/// The batch size and the debt of waiting for one walk over one store.
pub(crate) struct Throttle {
    pace: Pace,
    backend: Backend,
    size: u64,
    /// What a part of that size takes, by the last ones; most batches are one.
    part: Duration,
    largest: u64,
    smallest: u64,
    rows: u64,
    started: Instant,
    wal_from: Option<u64>,
    refused: Option<Instant>,
}

impl Throttle {
    /// Begins a walk. `largest` bounds the batch, `smallest` is what its time alone may shrink it to.
    pub fn begin(pace: Pace, conn: &mut Conn, largest: u64, smallest: u64) -> Result<Self, StoreError> {
        let wal_from = if pace.wal_bytes_per_second.is_some() { conn.wal_position()? } else { None };
        let backend = conn.backend();
        // A batch that alone takes longer than a second at the pace would not be paced at all.
        let largest = largest.min(pace.rows_per_second.unwrap_or(u64::MAX)).max(SMALLEST);
        Ok(Self {
            pace,
            backend,
            size: FIRST.min(largest),
            part: TARGET,
            largest,
            smallest,
            rows: 0,
            started: Instant::now(),
            wal_from,
            refused: None,
        })
    }

    /// How many rows the next batch may have.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// How many parts a transaction may have, and how large ones: as many of [`Throttle::size`] as take no longer than is
    /// aimed at, by what the last ones took; or one more, each a little smaller, where much of the time would be left. A
    /// part that had to become smaller goes alone, as does each where somebody asked for a pause between them.
    pub fn parts(&self) -> Parts {
        let alone = self.size < self.largest || self.pace.pause.is_some_and(|pause| !pause.is_zero());
        if alone {
            return Parts { number: 1, size: self.size };
        }
        let by_pace = self.pace.rows_per_second.unwrap_or(u64::MAX) / self.size.max(1);
        let by_time = self.pace.target_on(self.backend).as_secs_f64() / self.part.as_secs_f64().max(0.001);
        let (whole, filled) = (by_time.floor(), by_time * FILLED);
        if filled - whole >= 0.5 && whole >= 1.0 && (whole as u64) < by_pace.min(MOST_PARTS) {
            let number = whole as u32 + 1;
            return Parts { number, size: (self.size as f64 * filled / f64::from(number)) as u64 };
        }
        Parts { number: (whole as u64).min(by_pace).clamp(1, MOST_PARTS) as u32, size: self.size }
    }

    /// Whether there is time for one more in a transaction that began with something for all parts, and of which so many
    /// have taken so long since.
    pub fn has_room(&self, before: Duration, took: Duration, parts: u32) -> bool {
        before + took + took / parts.max(1) <= self.pace.target_on(self.backend)
    }

    /// Takes note of a committed batch: `took` is the time of its transaction.
    pub fn committed(&mut self, rows: u64, took: Duration) {
        self.committed_in_parts(rows, took, Parts { number: 1, size: self.size });
    }

    /// The same of a batch that had so many parts.
    pub fn committed_in_parts(&mut self, rows: u64, took: Duration, parts: Parts) {
        self.rows += rows;
        self.refused = None;
        let number = parts.number.max(1);
        let target = self.pace.target_on(self.backend).as_secs_f64();
        let least = if rows / u64::from(number) <= SMALL { 1.0 } else { 0.25 };
        let each = (took / number).mul_f64(self.size.max(1) as f64 / parts.size.max(1) as f64);
        // One that was slow says little of the next; the clock is looked at before each further part as well.
        self.part = each.min((self.part + each) / 2);
        let factor = (target / each.as_secs_f64().max(0.000_1)).clamp(least, 2.0);
        self.size = ((self.size as f64 * factor) as u64).clamp(self.smallest.min(self.largest), self.largest);
    }

    /// Halves the batch.
    pub fn halve(&mut self) {
        self.size = (self.size / 2).max(SMALLEST);
    }

    /// Halves the batch after a timeout or a conflict and takes a breath; `false` when even one row has been refused for
    /// too long.
    pub fn refused(&mut self) -> bool {
        let since = *self.refused.get_or_insert_with(Instant::now);
        let goes_on = self.size > SMALLEST || since.elapsed() < PATIENCE;
        self.halve();
        std::thread::sleep(BREATH);
        goes_on
    }

    /// Waits for as long as the pace demands, but not past a stop.
    pub fn wait(&self, conn: &mut Conn, stop: &Stop) -> Result<(), StoreError> {
        let mut due = self.pace.pause_on(self.backend);
        let elapsed = self.started.elapsed();
        if let Some(rate) = self.pace.rows_per_second {
            due = due.max(Duration::from_secs_f64(self.rows as f64 / rate.max(1) as f64).saturating_sub(elapsed));
        }
        if let (Some(rate), Some(from)) = (self.pace.wal_bytes_per_second, self.wal_from)
            && let Some(now) = conn.wal_position()?
        {
            let written = now.saturating_sub(from) as f64;
            // Others write to the log too; more than a second's wait would be for them, not for us.
            let wait = Duration::from_secs_f64(written / rate.max(1) as f64).saturating_sub(elapsed);
            due = due.max(wait.min(Duration::from_secs(1)));
        }
        let until = Instant::now() + due;
        while !stop.is_raised() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            std::thread::sleep(left.min(Duration::from_millis(50)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn throttle() -> Throttle {
        Throttle {
            pace: Pace::unpaced(),
            backend: Backend::Postgres,
            size: FIRST,
            part: TARGET,
            largest: FIRST,
            smallest: 1,
            rows: 0,
            started: Instant::now(),
            wal_from: None,
            refused: None,
        }
    }

    #[test]
    fn slow_batches_shrink_but_small_ones_are_slow_for_another_reason() {
        let mut throttle = throttle();
        for _ in 0..50 {
            // A machine so busy that a transaction takes a second, whatever is in it.
            throttle.committed(throttle.size(), Duration::from_secs(1));
        }
        assert!((SMALL / 4..=SMALL).contains(&throttle.size()), "{}", throttle.size());
        for _ in 0..50 {
            // Each of these has a hundred children: there, fewer help.
            throttle.committed(throttle.size() * 100, Duration::from_secs(1));
        }
        assert_eq!(throttle.size(), 1);
        for _ in 0..20 {
            throttle.committed(throttle.size(), Duration::from_millis(5));
        }
        assert_eq!(throttle.size(), FIRST);
    }

    #[test]
    fn quick_parts_share_a_transaction() {
        let mut throttle = throttle();
        let whole = |number| Parts { number, size: FIRST };
        assert_eq!(throttle.parts(), whole(1), "of the first nothing is known");
        throttle.committed(FIRST, Duration::from_millis(20));
        assert_eq!(throttle.parts(), whole(2));
        let has_room =
            |before, took, parts| throttle.has_room(Duration::from_millis(before), Duration::from_millis(took), parts);
        assert!(has_room(0, 24, 1) && !has_room(0, 26, 1) && has_room(0, 33, 2) && !has_room(0, 34, 2));
        assert!(has_room(30, 2, 1) && !has_room(30, 11, 1), "what is for all parts is not one part's time");
        throttle.committed(FIRST, Duration::from_millis(40));
        assert_eq!(
            throttle.parts(),
            Parts { number: 2, size: 750 },
            "a slow one counts half, and two smaller ones fit"
        );
        throttle.committed_in_parts(1_500, Duration::from_millis(45), Parts { number: 2, size: 750 });
        assert_eq!((throttle.size(), throttle.parts()), (FIRST, Parts { number: 2, size: 750 }), "they say the same");
        throttle.committed(FIRST, Duration::from_millis(40));
        assert_eq!(throttle.parts(), whole(1), "too little would be left for a second");
        throttle.committed_in_parts(3 * FIRST, Duration::from_millis(45), whole(3));
        assert_eq!((throttle.size(), throttle.parts()), (FIRST, whole(3)));
        throttle.committed_in_parts(3 * FIRST, Duration::from_micros(300), whole(3));
        assert_eq!(u64::from(throttle.parts().number), MOST_PARTS);
        throttle.pace.rows_per_second = Some(2 * FIRST + 1);
        assert_eq!(throttle.parts(), whole(2), "no more than go in a second");
        throttle.pace.pause = Some(Duration::from_millis(1));
        assert_eq!(throttle.parts(), whole(1), "a pause stands between parts");
        throttle.pace.pause = None;
        throttle.halve();
        let half = Parts { number: 1, size: FIRST / 2 };
        assert_eq!(throttle.parts(), half, "what had to become smaller goes alone");
    }
}
