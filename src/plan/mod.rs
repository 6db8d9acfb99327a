//! What a run would do, step by step, with counts: plain data. Its display is the dry run.
//!
//! `plan` and `run` build the same [`Plan`]; the run then does exactly its steps, after the brakes have looked at it.

pub mod approval;
pub mod brakes;
pub mod policy;
mod show;

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::graph::Fate;
use crate::names::{DataName, JobName, StoreName};

pub use approval::{Approval, Basis};
pub use brakes::{Brake, BrakeName, Limits};
pub use policy::Policy;
pub use show::{describe, grouped, show_instant};

/// What a step does to rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Rows go.
    Delete,
    /// Personal columns are overwritten.
    Anonymise,
    /// References become NULL.
    Unlink,
    /// Rows are counted into summaries, and go.
    Fold,
}

impl From<Fate> for Action {
    fn from(fate: Fate) -> Self {
        match fate {
            Fate::Delete => Self::Delete,
            Fate::Anonymise => Self::Anonymise,
        }
    }
}

impl Action {
    /// The word in ledgers and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::Anonymise => "anonymise",
            Self::Unlink => "unlink",
            Self::Fold => "fold",
        }
    }
}

/// How the rows of a step are walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Stretches of the time column's index.
    TimeWindows,
    /// Stretches of the key.
    KeyWindows,
    /// Stretches of the table's own pages (PostgreSQL).
    PhysicalRanges,
    /// Lists of keys, where rows need individual treatment or have children.
    KeyLists,
    /// Goes with the rows of another step, in the same transactions.
    WithParent,
}

impl Strategy {
    /// The words that people read.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TimeWindows => "time windows",
            Self::KeyWindows => "key ranges",
            Self::PhysicalRanges => "physical ranges",
            Self::KeyLists => "key lists",
            Self::WithParent => "with its parent",
        }
    }
}

/// Rows that are old enough, or would be, and stay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// Their time is NULL.
    pub without_time: u64,
    /// Their time is a sentinel or lies before what is believed.
    pub sentinel: u64,
}

/// One step of a plan.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// The data entry.
    pub data: DataName,
    /// Its store.
    pub store: StoreName,
    /// What is done.
    pub action: Action,
    /// The rule: `default`, `override 1`, `requires`; for a child, its parent's.
    pub rule: String,
    /// The instant before which a row is expired; none for `requires`.
    #[serde(serialize_with = "instant", skip_serializing_if = "Option::is_none")]
    pub cutoff: Option<DateTime<Utc>>,
    /// The entry whose rows it goes with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub with: Option<DataName>,
    /// Rows.
    pub rows: u64,
    /// Files; in a plan, at most so many.
    pub files: u64,
    /// Rows kept back by a legal hold.
    pub held: u64,
    /// The oldest row.
    #[serde(serialize_with = "instant", skip_serializing_if = "Option::is_none")]
    pub oldest: Option<DateTime<Utc>>,
    /// The newest row.
    #[serde(serialize_with = "instant", skip_serializing_if = "Option::is_none")]
    pub newest: Option<DateTime<Utc>>,
    /// What stays although it may be old.
    pub kept: Kept,
    /// How the rows are walked.
    pub strategy: Strategy,
    /// Rows of the whole table.
    pub table_rows: u64,
    /// The removing statement as it will be sent, for `--verbose`.
    #[serde(skip)]
    pub sql: String,
}

/// Rows about a person that an erasure leaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Remaining {
    /// The data entry.
    pub data: DataName,
    /// Its store.
    pub store: StoreName,
    /// Rows.
    pub rows: u64,
    /// Why.
    pub ground: String,
}

/// What one run of a job would do.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// The job.
    pub job: JobName,
    /// Its kind.
    pub kind: &'static str,
    /// `planned` or `braked`.
    pub outcome: &'static str,
    /// The cutoff of the default keep; none where that is for ever.
    #[serde(serialize_with = "instant")]
    pub cutoff: Option<DateTime<Utc>>,
    /// Names this plan: the same policy, schema and counts give the same text.
    pub plan: String,
    /// The steps, children before parents.
    pub steps: Vec<Step>,
    /// Rows of all steps.
    pub rows: u64,
    /// Files of all steps.
    pub files: u64,
    /// The brakes that would stop the run.
    pub brakes: Vec<Brake>,
    /// In what the policy may remove more than the one that the job followed last; a scheduled run then waits for an
    /// approval.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub widened: Vec<String>,
    /// What it was made from.
    #[serde(skip)]
    pub basis: Basis,
    /// Requests for reports that wait for their answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// What an erasure leaves.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remains: Vec<Remaining>,
}

impl Plan {
    /// Sums the steps and names the plan.
    pub fn new(
        job: JobName,
        kind: &'static str,
        cutoff: Option<DateTime<Utc>>,
        basis: Basis,
        steps: Vec<Step>,
    ) -> Self {
        let rows = steps.iter().map(|step| step.rows).sum();
        let files = steps.iter().map(|step| step.files).sum();
        let plan = name_of(&job, &basis, &steps);
        let (brakes, widened) = (Vec::new(), Vec::new());
        Self {
            job,
            kind,
            outcome: "planned",
            cutoff,
            plan,
            steps,
            rows,
            files,
            brakes,
            widened,
            requests: None,
            remains: Vec::new(),
            basis,
        }
    }

    /// Whether rows are due, and every one of them is held.
    pub fn all_held(&self) -> bool {
        self.rows == 0 && self.steps.iter().any(|step| step.held > 0)
    }

    /// The options that let one run pass all its brakes.
    pub fn releases(&self) -> String {
        let names: BTreeSet<&str> = self.brakes.iter().map(|brake| brake.brake.as_str()).collect();
        names.into_iter().map(|name| format!("--release-brake {name}")).collect::<Vec<_>>().join(" ")
    }

    /// The command that lets exactly this plan pass.
    pub fn approve_command(&self) -> String {
        format!("retentiond approve {} {}", self.job, self.plan)
    }

    /// Whether a brake stops it that nothing releases.
    pub fn is_below_the_floor(&self) -> bool {
        self.brakes.iter().any(|brake| brake.brake == BrakeName::AgeFloor)
    }

    /// Notes the brakes that would stop the run.
    #[must_use]
    pub fn with_brakes(mut self, brakes: Vec<Brake>) -> Self {
        if !brakes.is_empty() {
            self.outcome = "braked";
        }
        self.brakes = brakes;
        self
    }
}

/// Twelve hexadecimal digits over what the plan would do; no cutoff in it, so that it holds for a while.
fn name_of(job: &JobName, basis: &Basis, steps: &[Step]) -> String {
    let mut hash = Sha256::new();
    hash.update(format!("{job}|{}|{}", basis.policy_hash, basis.schema_hash));
    for step in steps {
        hash.update(format!("|{}|{}|{}|{}|{}", step.data, step.action.as_str(), step.rule, step.rows, step.files));
    }
    hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

/// Instants in JSON: RFC 3339 in UTC, whole seconds, or null.
pub fn instant<S: Serializer>(at: &Option<DateTime<Utc>>, serializer: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => serializer.serialize_str(&at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)),
        None => serializer.serialize_none(),
    }
}
