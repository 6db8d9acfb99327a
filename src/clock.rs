//! The only caller of `Utc::now`.
//!
//! Every cutoff, lease and ledger row takes its instant from a [`Clock`] that was handed in, so that a preview can look
//! ahead (`--now`) and a test can stand at a daylight-saving change. The daemon's clock decides, never a database's
//! `now()`: a server in another zone or with a wrong clock must not shorten anybody's retention.

use std::time::Duration;

use chrono::{DateTime, Utc};
use rustix::time::{ClockId, clock_gettime};

/// Where instants come from: the machine, or one fixed instant.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock(Option<DateTime<Utc>>);

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(None)
    }

    /// A clock that stands still at `at`.
    pub fn fixed(at: DateTime<Utc>) -> Self {
        Self(Some(at))
    }

    /// The present instant.
    pub fn now(&self) -> DateTime<Utc> {
        #[expect(clippy::disallowed_methods, reason = "this is the one place that asks the machine for the time")]
        self.0.unwrap_or_else(Utc::now)
    }

    /// Whether this clock was set by hand; destructive runs refuse such a clock outside tests.
    pub fn is_fixed(&self) -> bool {
        self.0.is_some()
    }
}

/// The time since the machine was started, sleep included: it never jumps, whoever sets the machine's clock. Leases are
/// measured with it, since a process that was suspended must know for how long.
pub fn uptime() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    let seconds = Duration::from_secs(u64::try_from(time.tv_sec).unwrap_or_default());
    seconds + Duration::from_nanos(u64::try_from(time.tv_nsec).unwrap_or_default())
}
