//! Whether the wall clock can be believed: held against a clock that only ever goes forward.
//!
//! A cutoff is the present minus what is kept. A clock that is wrong by a year makes everything look expired, so whatever
//! removes something waits while the two clocks disagree, until the wall clock is right again or somebody accepts it.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// The two clocks may drift apart by this much.
pub const DRIFT: TimeDelta = TimeDelta::seconds(30);

/// Remembers where both clocks stood when the wall clock was last believed.
#[derive(Clone, Debug)]
pub struct Guard {
    wall: DateTime<Utc>,
    steady: Duration,
}

impl Guard {
    /// Believes the wall clock as it is now. `steady` is any clock that is never set and goes on during suspend.
    pub fn new(wall: DateTime<Utc>, steady: Duration) -> Self {
        Self { wall, steady }
    }

    /// By how much the wall clock is ahead of where it should be, when that is more than [`DRIFT`]; `None` while it is
    /// believed.
    pub fn doubt(&self, wall: DateTime<Utc>, steady: Duration) -> Option<TimeDelta> {
        let passed = TimeDelta::from_std(steady.saturating_sub(self.steady)).unwrap_or(TimeDelta::MAX);
        let ahead = (wall - self.wall) - passed;
        (ahead.abs() > DRIFT).then_some(ahead)
    }

    /// Believes the wall clock from now on.
    pub fn accept(&mut self, wall: DateTime<Utc>, steady: Duration) {
        *self = Self::new(wall, steady);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_seen_and_forgiven_when_they_are_undone() {
        let start: DateTime<Utc> = "2026-03-01T00:00:00Z".parse().unwrap();
        let (wall, steady) = (|s| start + TimeDelta::seconds(s), Duration::from_secs);
        let mut guard = Guard::new(start, steady(100));
        assert_eq!(guard.doubt(wall(86_400), steady(86_500)), None);
        assert_eq!(guard.doubt(wall(86_430), steady(86_500)), None, "30 s are drift");
        assert_eq!(guard.doubt(wall(86_431), steady(86_500)), Some(TimeDelta::seconds(31)));
        assert_eq!(guard.doubt(wall(86_400 - 3_600), steady(86_500)), Some(TimeDelta::hours(-1)));
        assert_eq!(guard.doubt(wall(86_401), steady(86_501)), None, "right again");
        guard.accept(wall(400 * 86_400), steady(86_502));
        assert_eq!(guard.doubt(wall(400 * 86_400 + 10), steady(86_512)), None);
        assert!(guard.doubt(wall(86_413), steady(86_513)).is_some());
    }
}
