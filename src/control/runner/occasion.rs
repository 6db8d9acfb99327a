//! Why a run runs, and why it is told to stop.

use std::sync::{Arc, OnceLock};

use chrono::{DateTime, Utc};

use crate::jobs::Outcome;
use crate::removal::RemovalError;
use crate::store::state::{SlotFate, Trigger};

/// Asked before a run is begun, with its present instant: why that instant cannot be trusted.
pub type ClockDoubt = Arc<dyn Fn(DateTime<Utc>) -> Option<String> + Send + Sync>;
/// Told once the run has its lease: from then on it is a run, and has an end.
pub type BegunNow = Arc<dyn Fn() + Send + Sync>;
/// What becomes of a slot after a run of it ended like this, having been begun so many times before.
pub type Afterwards = Arc<dyn Fn(&Result<Outcome, RemovalError>, u32) -> SlotFate + Send + Sync>;

/// Why a run runs.
#[derive(Clone)]
pub enum Occasion {
    /// A person started it.
    Manual,
    /// A person asked the daemon for it.
    Asked {
        /// Whether the clock can be trusted.
        doubt: ClockDoubt,
        /// Told when it is begun.
        begun: BegunNow,
    },
    /// It was due.
    Slot {
        /// When.
        slot: DateTime<Utc>,
        /// In time, or late.
        trigger: Trigger,
        /// Whether the clock can be trusted.
        doubt: ClockDoubt,
        /// Told when it is begun.
        begun: BegunNow,
        /// What becomes of the slot.
        afterwards: Afterwards,
    },
}

/// Why a run was told to stop; said before the flag is raised.
#[derive(Clone, Debug, Default)]
pub struct Cause(Arc<OnceLock<Because>>);

/// Why a run is to end after its present batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Because {
    /// It took longer than its timeout. That is a failure: something is wrong with it.
    Timeout,
    /// A blackout begins: the run is truncated, and the next goes on.
    Blackout,
}

impl Cause {
    /// What was said, if anything was.
    pub(super) fn said(&self) -> Option<Because> {
        self.0.get().copied()
    }

    /// Says why; the first reason counts.
    pub fn say(&self, because: Because) {
        self.0.get_or_init(|| because);
    }
}

impl Occasion {
    pub(in crate::control) fn trigger(&self) -> Trigger {
        match self {
            Self::Manual | Self::Asked { .. } => Trigger::Manual,
            Self::Slot { trigger, .. } => *trigger,
        }
    }

    pub(super) fn slot(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Manual | Self::Asked { .. } => None,
            Self::Slot { slot, .. } => Some(*slot),
        }
    }

    pub(super) fn doubt(&self, now: DateTime<Utc>) -> Option<String> {
        match self {
            Self::Manual => None,
            Self::Asked { doubt, .. } | Self::Slot { doubt, .. } => doubt(now),
        }
    }

    pub(super) fn begun(&self) {
        match self {
            Self::Manual => {}
            Self::Asked { begun, .. } | Self::Slot { begun, .. } => begun(),
        }
    }

    pub(super) fn afterwards(&self, ended: &Result<Outcome, RemovalError>, attempts: u32) -> SlotFate {
        match self {
            Self::Manual | Self::Asked { .. } => SlotFate::Ended,
            Self::Slot { afterwards, .. } => afterwards(ended, attempts),
        }
    }
}
