//! What a job is given to plan and to run, and what it gives back.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::desk::Desk;
use crate::clock::Clock;
use crate::config::document::Document;
use crate::graph::Graph;
use crate::graph::stores::Stores;
use crate::names::{DataName, StoreName};
use crate::plan::{Approval, Basis, Brake, BrakeName, Plan, Step};
use crate::removal::{Permit, Progress, RemovalError};
use crate::stop::Stop;
use crate::store::Database;
use crate::trail::Act;
use crate::trail::act::{Braked, Sum};

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
#[derive(Clone, Copy)]
pub struct Look<'a> {
    /// The file.
    pub document: &'a Document,
    /// The map.
    pub graph: &'a Graph,
    /// The stores.
    pub stores: &'a Stores,
    /// retentiond's own memory; a plan only reads it.
    pub memory: &'a Database,
    /// The instant that cutoffs count from.
    pub now: DateTime<Utc>,
    /// The median number of rows of the job's last complete runs.
    pub usual: Option<u64>,
}

impl Look<'_> {
    /// What a plan is made from: a policy, the schema of these stores, and the instant.
    pub fn basis(&self, policy_hash: String, stores: &[StoreName]) -> Basis {
        Basis { policy_hash, schema_hash: self.graph.schema_hash(self.stores, stores), at: self.now }
    }
}

/// Rows of one rule that are due, as a cheap look finds them.
#[derive(Clone, Debug)]
pub struct Overdue {
    /// The entry.
    pub data: DataName,
    /// The rule.
    pub rule: String,
    /// The instant before which a row is expired; none for `requires`.
    pub cutoff: Option<DateTime<Utc>>,
    /// How many; `None` when counting took too long.
    pub rows: Option<u64>,
    /// Whether counting ended there, and there may be more.
    pub capped: bool,
    /// The time of the oldest.
    pub oldest: Option<DateTime<Utc>>,
}

/// Knows what was approved, and what the job followed before.
pub trait Approver {
    /// In what the job's policy may remove more than the one it followed last, if that stops this run.
    fn widened(&self) -> &[String];
    /// The approvals that stand for plans made from this, whatever their instant.
    ///
    /// # Errors
    /// When the state cannot be read.
    fn standing(&mut self, basis: &Basis) -> Result<Vec<Approval>, RemovalError>;
    /// Uses an approval up; `false` when somebody else did.
    ///
    /// # Errors
    /// When the state cannot be written.
    fn consume(&mut self, approval: &Approval) -> Result<bool, RemovalError>;
    /// A plan was stopped: it can be approved from now on.
    ///
    /// # Errors
    /// When the state cannot be written.
    fn stopped(&mut self, plan: &Plan) -> Result<(), RemovalError>;
    /// The brakes let the run pass: its policy is the one that later ones are compared with.
    ///
    /// # Errors
    /// When the state cannot be written.
    fn passed(&mut self) -> Result<(), RemovalError>;
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
    /// Asked when a brake would stop the run.
    pub approver: &'a mut dyn Approver,
    /// Asked between batches.
    pub permit: &'a mut dyn Permit,
    /// Takes requests in and makes their reports.
    pub desk: &'a mut dyn Desk,
    /// Hears of the plan and of each batch.
    pub progress: &'a mut dyn RunProgress,
}

/// A plan with what it takes to carry it out, after the brakes.
pub struct Decided<T> {
    /// The plan.
    pub plan: Plan,
    /// What was made along with it.
    pub work: T,
    /// Whether it may be carried out; else it was stopped, and can be approved.
    pub pass: bool,
}

impl Session<'_> {
    /// Makes the plan and asks the brakes: it passes when none stops it, when the operator released those that do, or by
    /// an approval of exactly such a plan, which is then used up. The age floor is never released.
    ///
    /// # Errors
    /// Those of `prepare`, and of the state.
    pub fn decide<T>(
        &mut self,
        prepare: impl Fn(&Look<'_>) -> Result<(Plan, T), RemovalError>,
    ) -> Result<Decided<T>, RemovalError> {
        let (mut plan, mut work) = prepare(&self.look)?;
        if !self.approver.widened().is_empty() {
            let brake = Brake::widened(self.approver.widened());
            let brakes = std::mem::take(&mut plan.brakes).into_iter().chain([brake]).collect();
            plan = plan.with_brakes(brakes);
        }
        let held = |brake: &Brake| brake.brake == BrakeName::AgeFloor || !self.released.contains(&brake.brake);
        let (mut pass, mut approved) = (!plan.brakes.iter().any(held), false);
        if !pass && !plan.is_below_the_floor() {
            for approval in self.approver.standing(&plan.basis)? {
                // The approved cutoffs, not tonight's: otherwise there would always be a few rows more.
                let (same, ready) = prepare(&Look { now: approval.basis.at, ..self.look })?;
                if same.is_below_the_floor() {
                    continue;
                }
                if let Some(why) = approval.refuses(&same) {
                    self.progress.note(&format!("the approval of plan {} does not hold: {why}", approval.plan));
                } else if self.approver.consume(&approval)? {
                    self.progress.note(&format!("plan {} was approved", approval.plan));
                    (plan, work, pass, approved) = (same, ready, true, true);
                    break;
                }
            }
        }
        let limits = [(self.unpaced, "pace"), (self.outside_window, "window")];
        let lifted = limits.into_iter().filter_map(|(is_lifted, limit)| is_lifted.then_some(limit)).collect();
        self.announce(&plan, (pass, approved), lifted)?;
        if pass {
            self.approver.passed()?;
        } else {
            self.approver.stopped(&plan)?;
        }
        Ok(Decided { plan, work, pass })
    }
}

impl Session<'_> {
    /// Writes into the trail that the plan stands, what the brakes said, and which limits somebody lifted for it, before
    /// anything comes of it.
    ///
    /// # Errors
    /// When the trail cannot be written: then nothing may be done.
    pub fn announce(
        &self,
        plan: &Plan,
        (pass, approved): (bool, bool),
        lifted: Vec<&'static str>,
    ) -> Result<(), RemovalError> {
        let mut acts = vec![made(plan)];
        if approved {
            acts.push(Act::ApprovalUsed);
        } else if pass && !plan.brakes.is_empty() {
            acts.push(Act::BrakeReleased { brakes: plan.brakes.iter().map(|brake| brake.brake.as_str()).collect() });
        } else if !pass {
            acts.push(Act::Brake { brakes: plan.brakes.iter().map(braked).collect() });
        }
        if pass && !lifted.is_empty() {
            acts.push(Act::LimitsLifted { limits: lifted });
        }
        Ok(self.permit.trail().record_plan(acts, &plan.plan, &plan.basis.schema_hash)?)
    }
}

fn made(plan: &Plan) -> Act {
    let sum =
        |step: &Step| Sum { data: step.data.clone(), action: step.action.as_str(), rows: step.rows, files: step.files };
    Act::PlanMade {
        cutoff: plan.cutoff,
        rows: plan.rows,
        files: plan.files,
        held: plan.steps.iter().map(|step| step.held).sum(),
        steps: plan.steps.iter().filter(|step| step.rows + step.files > 0).map(sum).collect(),
    }
}

fn braked(brake: &Brake) -> Braked {
    // Whole thousandths: a record has no fractions.
    let thousandths = |number: f64| if number.is_finite() { (number * 1_000.0).round().max(0.0) as u64 } else { 0 };
    Braked {
        brake: brake.brake.as_str(),
        data: brake.data.clone(),
        limit: thousandths(brake.limit),
        found: thousandths(brake.found),
    }
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
