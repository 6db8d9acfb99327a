//! What a job is given to plan and to run, and what it gives back.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::clock::Clock;
use crate::config::document::Document;
use crate::graph::Graph;
use crate::graph::stores::Stores;
use crate::names::StoreName;
use crate::plan::{BrakeName, Plan, Step};
use crate::removal::{Permit, Progress};
use crate::stop::Stop;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Everything was done.
    Complete,
    /// The budget or the window ended first; the next run goes on.
    Truncated,
    /// A brake stopped it before its first deletion.
    Braked,
    /// Every due row is held.
    Held,
    /// A signal or a pause stopped it.
    Stopped,
    /// It failed.
    Failed,
}

impl Outcome {
    /// The word in tables and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Truncated => "truncated",
            Self::Braked => "braked",
            Self::Held => "held",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        }
    }
}

/// What a plan is made from. Nothing in it can write.
pub struct Look<'a> {
    /// The file.
    pub document: &'a Document,
    /// The map.
    pub graph: &'a Graph,
    /// The stores.
    pub stores: &'a Stores,
    /// The instant that cutoffs count from.
    pub now: DateTime<Utc>,
    /// The median number of rows of the job's last complete runs.
    pub usual: Option<u64>,
}

/// What a run is given besides.
pub struct Session<'a> {
    /// What its plan is made from.
    pub look: Look<'a>,
    /// The clock for ledger rows.
    pub clock: Clock,
    /// The stop flag.
    pub stop: Stop,
    /// The run's id.
    pub run: String,
    /// The fencing token of the job's lease.
    pub token: i64,
    /// Which stores have retentiond's tables.
    pub ledgers: BTreeMap<StoreName, bool>,
    /// Brakes released for this run.
    pub released: Vec<BrakeName>,
    /// No waiting between batches.
    pub unpaced: bool,
    /// Batches may be begun outside the job's window.
    pub outside_window: bool,
    /// Asked between batches.
    pub permit: &'a mut dyn Permit,
    /// Hears of the plan and of each batch.
    pub progress: &'a mut dyn RunProgress,
}

/// Hears how a run goes.
pub trait RunProgress: Progress {
    /// The plan stands; batches begin.
    fn begin(&mut self, plan: &Plan);
    /// Something worth telling that is no error.
    fn note(&mut self, text: &str);
}

/// What a run did.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Its plan.
    pub plan: Option<Plan>,
    /// The steps with what was really done.
    pub steps: Vec<Step>,
    /// What each transaction took.
    pub transactions: Vec<Duration>,
    /// Time spent in batches, pauses included.
    pub removing: Duration,
    /// Files that were not there.
    pub missing_files: u64,
    /// Files unlinked because their grace ended.
    pub swept_files: u64,
    /// Rows that stay because their path is refused.
    pub refused: u64,
}

impl Report {
    /// Rows of all steps.
    pub fn rows(&self) -> u64 {
        self.steps.iter().map(|step| step.rows).sum()
    }

    /// Files of all steps.
    pub fn files(&self) -> u64 {
        self.steps.iter().map(|step| step.files).sum()
    }
}
