//! Whether the wall clock can be trusted, for the whole daemon.
//!
//! **Invariant.** From the moment that the clock is more than 30 s away from where it should be, nothing is begun: the very
//! instant that a run's cutoffs count from is looked at before it begins. That ends when the clock is right again, or when
//! somebody accepts it. A doubt is kept in the state, so that a restart does not accept it; after a restart only a person
//! can end it.

use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

use crate::clock::{Clock, uptime};
use crate::schedule::Guard;
use crate::store::Conn;
use crate::store::StoreError;
use crate::store::state::{self, ClockMark};
use crate::trail::{self, Act, Entry, TrailError};

/// The watch over the clock.
pub(super) struct Watch {
    clock: Clock,
    inner: Mutex<Inner>,
}

struct Inner {
    guard: Guard,
    /// A doubt of an earlier process.
    inherited: Option<TimeDelta>,
    /// What the state has been told.
    told: Option<TimeDelta>,
}

impl Watch {
    /// Believes the clock as it is, unless the state knows of a doubt.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn new(clock: Clock, conn: &mut Conn) -> Result<Self, StoreError> {
        let inherited = state::clock_mark(conn)?.map(|mark| TimeDelta::seconds(mark.seconds));
        let guard = Guard::new(clock.now(), uptime());
        Ok(Self { clock, inner: Mutex::new(Inner { guard, inherited, told: inherited }) })
    }

    /// By how much an instant of the wall clock is away from where it should be; `None` while it is trusted.
    pub fn doubt_at(&self, now: DateTime<Utc>) -> Option<TimeDelta> {
        let inner = self.inner();
        inner.inherited.or_else(|| inner.guard.doubt(now, uptime()))
    }

    /// The same of the present instant.
    pub fn doubt(&self) -> Option<TimeDelta> {
        self.doubt_at(self.clock.now())
    }

    /// Believes the clock as it is now; `false` when it was believed already.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub fn accept(&self, conn: &mut Conn) -> Result<bool, StoreError> {
        let was = self.doubt().is_some();
        state::forget_clock_mark(conn)?;
        let mut inner = self.inner();
        inner.guard.accept(self.clock.now(), uptime());
        inner.inherited = None;
        Ok(was)
    }

    /// Tells the state of a doubt that begins or ends; gives the change.
    ///
    /// # Errors
    /// When the state cannot be written; the change is then told later.
    pub fn remember(&self, conn: &mut Conn) -> Result<Option<Option<TimeDelta>>, StoreError> {
        let doubt = self.doubt();
        if doubt.is_some() == self.inner().told.is_some() {
            return Ok(None);
        }
        match doubt {
            Some(ahead) => {
                let seconds = ahead.num_seconds();
                trail::append(conn, self.clock, &[Entry::new(Act::ClockDoubt { store: None, seconds })])
                    .map_err(of_trail)?;
                state::mark_clock(conn, ClockMark { seconds: ahead.num_seconds(), since: self.clock.now() })?;
            }
            None => {
                trail::append(conn, self.clock, &[Entry::new(Act::ClockTrusted)]).map_err(of_trail)?;
                state::forget_clock_mark(conn)?;
            }
        }
        self.inner().told = doubt;
        Ok(Some(doubt))
    }

    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn of_trail(error: TrailError) -> StoreError {
    match error {
        TrailError::Store(error) => error,
        other => StoreError::new(crate::store::ErrorKind::Other, other.to_string()),
    }
}

/// Says it.
pub(super) fn in_words(ahead: TimeDelta) -> String {
    format!(
        "the clock jumped by {} s; nothing is begun until it is right again or `retentiond accept-clock` accepts it",
        ahead.num_seconds()
    )
}
