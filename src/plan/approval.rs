//! An approval: somebody looked at a plan that a brake stopped and lets exactly it pass, once.
//!
//! **Invariant.** A plan passes by an approval only if it follows the same policy on the same schema, counts from the same
//! instant, and no step of it finds more rows or files than the step that was approved.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Action, Plan, Step};
use crate::names::{DataName, JobName};

/// What a plan was made from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Basis {
    /// The policy.
    pub policy_hash: String,
    /// The databases and their tables.
    pub schema_hash: String,
    /// The instant that cutoffs count from.
    pub at: DateTime<Utc>,
}

/// A step as it was approved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovedStep {
    data: DataName,
    action: String,
    rule: String,
    with: Option<DataName>,
    /// Rows, at most.
    pub rows: u64,
    /// Files, at most.
    pub files: u64,
}

/// A plan that was approved, or may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// The job.
    pub job: JobName,
    /// The plan's name.
    pub plan: String,
    /// What it was made from; the approved run counts from the same instant.
    pub basis: Basis,
    /// Its steps.
    pub steps: Vec<ApprovedStep>,
}

impl ApprovedStep {
    fn of(step: &Step) -> Self {
        Self {
            data: step.data.clone(),
            action: step.action.as_str().to_owned(),
            rule: step.rule.clone(),
            with: step.with.clone(),
            rows: step.rows,
            files: step.files,
        }
    }

    fn is(&self, step: &Step) -> bool {
        self.data == step.data
            && self.action == step.action.as_str()
            && self.rule == step.rule
            && self.with == step.with
    }

    /// The entry and what is done there, for people.
    pub fn label(&self) -> String {
        let with = self.with.as_ref().map(|with| format!(" with {with}")).unwrap_or_default();
        format!("{} {} ({}{with})", self.action, self.data, self.rule)
    }
}

impl Approval {
    /// The approval of a plan as it stands.
    pub fn of(plan: &Plan) -> Self {
        Self {
            job: plan.job.clone(),
            plan: plan.plan.clone(),
            basis: plan.basis.clone(),
            steps: plan.steps.iter().map(ApprovedStep::of).collect(),
        }
    }

    /// Whether it was made for the policy and schema that a plan was made from.
    pub fn is_for(&self, job: &JobName, basis: &Basis) -> bool {
        self.job == *job && self.basis.policy_hash == basis.policy_hash && self.basis.schema_hash == basis.schema_hash
    }

    /// Why it does not let a plan pass; `None` when it does.
    pub fn refuses(&self, plan: &Plan) -> Option<String> {
        if !self.is_for(&plan.job, &plan.basis) {
            return Some("policy or schema have changed since".to_owned());
        }
        if self.basis.at != plan.basis.at {
            return Some("it counts from another instant".to_owned());
        }
        plan.steps.iter().find_map(|step| {
            let (rows, files) =
                self.steps.iter().find(|approved| approved.is(step)).map_or((0, 0), |step| (step.rows, step.files));
            let more = |what: &str, found: u64, approved: u64| {
                let action = Action::as_str(step.action);
                (found > approved).then(|| format!("{action} {}: {found} {what}, approved were {approved}", step.data))
            };
            more("rows", step.rows, rows).or_else(|| more("files", step.files, files))
        })
    }
}
