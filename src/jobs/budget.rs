//! The window and the time budget of a run.

use chrono::{DateTime, Utc};

use crate::clock::Clock;
use crate::config::window::Window;
use crate::names::StoreName;
use crate::removal::{Halt, Permit, RemovalError};
use crate::trail::RunTrail;

/// Asks the run's own permit, then the window, then the budget.
pub(in crate::jobs) struct Budget<'a> {
    pub inner: &'a mut dyn Permit,
    pub window: Option<Window>,
    pub zone: chrono_tz::Tz,
    pub clock: Clock,
    pub until: Option<DateTime<Utc>>,
}

impl Permit for Budget<'_> {
    fn next(&mut self) -> Result<Option<Halt>, RemovalError> {
        if let Some(halt) = self.inner.next()? {
            return Ok(Some(halt));
        }
        let now = self.clock.now();
        let closed = self.window.is_some_and(|window| !window.contains(now.with_timezone(&self.zone).time()));
        let spent = self.until.is_some_and(|until| now >= until);
        Ok((closed || spent).then_some(Halt::Truncated))
    }

    fn holds(&self) -> bool {
        self.inner.holds()
    }

    fn last_batch(&self, store: &StoreName) -> Option<String> {
        self.inner.last_batch(store)
    }

    fn committed(&self, store: &StoreName, batch: &str) {
        self.inner.committed(store, batch);
    }

    fn unsettled(&self, store: &StoreName) {
        self.inner.unsettled(store);
    }

    fn trail(&self) -> &RunTrail {
        self.inner.trail()
    }
}
