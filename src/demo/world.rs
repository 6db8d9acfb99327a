//! How large the contact centre is, when "now" is, and where the cutoffs of the shipped policy lie.

use chrono::{DateTime, Days, Months, NaiveDateTime, SubsecRound, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

use super::people::{Customer, customer};
use super::random::Random;

/// The zone of the shipped policy.
const ZONE: Tz = chrono_tz::Europe::Helsinki;

/// How far back the data reaches, in days.
const REACH_DAYS: i64 = 5 * 365;

/// How large the contact centre is. Fewer than 500 contacts become 500, so that every awkward case has room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Contacts of all channels.
    pub contacts: u64,
    /// Users; by default one for 500 contacts, 20 at least.
    pub users: Option<u64>,
}

impl Size {
    /// What the demo shows: large enough for every case, small enough for a second.
    pub fn small() -> Self {
        Self::of(2_000)
    }

    /// A contact centre with so many contacts and the users that go with them.
    pub fn of(contacts: u64) -> Self {
        Self { contacts, users: None }
    }
}

/// What to generate.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The same seed, size and instant give the same data.
    pub seed: u64,
    /// How much.
    pub size: Size,
    /// The instant that everything is relative to; whole seconds.
    pub now: DateTime<Utc>,
}

/// A retention time of the shipped policy; a test compares them with `jobs.toml`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    Days(u64),
    Months(u32),
}

/// What the generator needs to know everywhere.
pub(super) struct World {
    pub(super) seed: u64,
    pub(super) now: NaiveDateTime,
    pub(super) start: NaiveDateTime,
    pub(super) contacts: i64,
    pub(super) users: i64,
    pub(super) customers: i64,
    zoned: DateTime<Tz>,
}

impl World {
    pub(super) fn new(options: &Options) -> Self {
        let now = options.now.trunc_subsecs(0);
        let contacts = i64::try_from(options.size.contacts).unwrap_or(i64::MAX / 1_000_000).max(500);
        let users = options.size.users.and_then(|users| i64::try_from(users).ok()).unwrap_or(contacts / 500).max(20);
        Self {
            seed: options.seed,
            now: now.naive_utc(),
            start: now.naive_utc() - TimeDelta::days(REACH_DAYS),
            contacts,
            users,
            customers: (contacts / 5).max(100),
            zoned: ZONE.from_utc_datetime(&now.naive_utc()),
        }
    }

    pub(super) fn random(&self, kind: &str, index: i64) -> Random {
        Random::new(self.seed, kind, index.unsigned_abs())
    }

    pub(super) fn customer(&self, id: i64) -> Customer {
        customer(self.seed, id)
    }

    /// An instant between the beginning and now.
    pub(super) fn some_time(&self, random: &mut Random) -> NaiveDateTime {
        self.start + TimeDelta::seconds(random.below(REACH_DAYS * 86_400))
    }

    /// `at`, `seconds` later, but not after now.
    pub(super) fn later(&self, at: NaiveDateTime, seconds: i64) -> NaiveDateTime {
        (at + TimeDelta::seconds(seconds)).min(self.now)
    }

    /// An instant `part / of` of the way from the beginning to now.
    pub(super) fn along(&self, part: i64, of: i64) -> NaiveDateTime {
        self.start
            + TimeDelta::seconds(REACH_DAYS * 86_400 / of.max(1) * part)
            + TimeDelta::seconds(REACH_DAYS * 86_400 % of.max(1) * part / of.max(1))
    }

    /// The cutoff of `keep` for a run at this very instant, and the seconds before and after it.
    pub(super) fn around_cutoff(&self, keep: Keep) -> [NaiveDateTime; 3] {
        let local = match keep {
            Keep::Days(days) => self.zoned.naive_local() - Days::new(days),
            Keep::Months(months) => self.zoned.naive_local() - Months::new(months),
        };
        // An hour that a clock change left out or repeated has no one answer; whichever is near is a fine edge.
        let cutoff = ZONE.from_local_datetime(&local).earliest().map_or(local, |at| at.naive_utc());
        [-1, 0, 1].map(|seconds| cutoff + TimeDelta::seconds(seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cutoffs_are_calendar_days_in_the_zone_of_the_policy() {
        // 10:00 in Helsinki's summer is 07:00 UTC, in its winter 08:00 UTC.
        let now = "2026-07-31T07:00:00Z".parse().unwrap();
        let world = World::new(&Options { seed: 1, size: Size::small(), now });
        let middle = |keep| world.around_cutoff(keep)[1].to_string();
        assert_eq!(middle(Keep::Months(6)), "2026-01-31 08:00:00");
        assert_eq!(middle(Keep::Months(13)), "2025-06-30 07:00:00");
        assert_eq!(middle(Keep::Days(2)), "2026-07-29 07:00:00");
    }

    #[test]
    fn the_way_from_beginning_to_now_is_even() {
        let now = "2026-07-31T07:00:00Z".parse().unwrap();
        let world = World::new(&Options { seed: 1, size: Size::of(10_000_000), now });
        assert_eq!(world.along(0, 10_000_000), world.start);
        assert_eq!(world.along(10_000_000, 10_000_000), world.now);
        assert_eq!(world.along(1, 2), world.start + (world.now - world.start) / 2);
    }
}
