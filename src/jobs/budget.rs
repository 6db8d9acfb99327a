//! What a job may use for its work: window, time and pace, and the work within them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::session::Session;
use crate::clock::Clock;
use crate::config::document::Pace as PaceKeys;
use crate::config::span::Span;
use crate::config::window::Window;
use crate::graph::Graph;
use crate::names::{DataName, JobName, StoreName};
use crate::redact::Sealed;
use crate::removal::{Context, Halt, Pace, Permit, RemovalError, Watch};
use crate::trail::RunTrail;

/// The keys of a job that say when, for how long and how fast it may work; the default is the file's pace and no limit.
#[derive(Clone, Copy, Default)]
pub(in crate::jobs) struct Means<'a> {
    pub window: Option<Window>,
    pub max_runtime: Option<&'a Span>,
    pub pace: Option<&'a PaceKeys>,
}

/// What was worked, and what it took.
pub(in crate::jobs) struct Worked<T> {
    pub ended: Result<T, RemovalError>,
    /// What each transaction took.
    pub transactions: Vec<Duration>,
    /// The number of the run's last batch.
    pub batches: u64,
}

impl Session<'_> {
    /// Works on rows of `graph`, within the means of a job; `batches` of the run were done before.
    pub(in crate::jobs) fn work<T>(
        &mut self,
        job: &JobName,
        means: Means<'_>,
        graph: &Graph,
        hash_keys: BTreeMap<(DataName, String), Sealed>,
        batches: u64,
        work: impl FnOnce(&mut Context<'_>) -> Result<T, RemovalError>,
    ) -> Worked<T> {
        let document = self.look.document;
        let mut permit = Budget {
            inner: &mut *self.permit,
            window: means.window.filter(|_| !self.outside_window),
            zone: document.timezone,
            clock: self.clock,
            until: means.max_runtime.map(|limit| self.clock.now() + limit.length()),
        };
        let mut context = Context {
            graph,
            stores: self.look.stores,
            clock: self.clock,
            stop: self.stop.clone(),
            run: self.run.clone(),
            job: job.to_string(),
            token: self.token,
            ledgers: self.ledgers.clone(),
            pace: if self.unpaced { Pace::unpaced() } else { Pace::of(means.pace, &document.pace) },
            hash_keys,
            permit: &mut permit,
            progress: &mut *self.progress,
            transactions: Vec::new(),
            batches,
            folds: RefCell::default(),
            watch: Watch::default(),
        };
        let ended = work(&mut context);
        Worked { ended, transactions: context.transactions, batches: context.batches }
    }
}

/// Asks the run's own permit, then the window, then the budget.
struct Budget<'a> {
    inner: &'a mut dyn Permit,
    window: Option<Window>,
    zone: chrono_tz::Tz,
    clock: Clock,
    until: Option<DateTime<Utc>>,
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
