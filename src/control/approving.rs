//! Approvals kept in the state, and the comparison of a job's policy with the one that it followed last.
//!
//! **Invariant.** A scheduled run of a policy that was never followed, or that cannot be shown to remove no more than the
//! one followed last, waits for an approval. A run that a person starts is that person's act: it passes, and its policy is
//! the one that later ones are compared with.

use chrono::{DateTime, TimeDelta, Utc};

use super::said::Said;
use super::site::Site;
use super::{Exit, Failure};
use crate::clock::Clock;
use crate::jobs::{Approver, Job};
use crate::names::JobName;
use crate::plan::approval::ApprovedStep;
use crate::plan::{Approval, Basis, Plan, Policy, grouped, show_instant};
use crate::removal::RemovalError;
use crate::store::pool::Database;
use crate::store::state::{self, PlanRecord};
use crate::store::{Conn, StoreError};
use crate::trail::{self, Act, Digest, Entry};

/// So long an approval stands.
pub const STANDS: TimeDelta = TimeDelta::hours(72);

/// The approver of one run.
pub struct Approvals<'a> {
    memory: &'a Database,
    job: &'a dyn Job,
    run: String,
    clock: Clock,
    widened: Vec<String>,
}

impl<'a> Approvals<'a> {
    /// For a run of a job. A run that nobody started by hand is stopped where its policy has become wider.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn of(
        site: &Site,
        memory: &'a Database,
        job: &'a dyn Job,
        run: &str,
        by_hand: bool,
        clock: Clock,
    ) -> Result<Self, StoreError> {
        let asked = !by_hand && site.loaded.document.approvals.widened;
        let widened = if asked { widened(&mut *memory.conn()?, job)? } else { Vec::new() };
        Ok(Self { memory, job, run: run.to_owned(), clock, widened })
    }
}

/// In what a job's policy may remove more than the one it followed last.
///
/// # Errors
/// When the state cannot be read.
pub fn widened(conn: &mut Conn, job: &dyn Job) -> Result<Vec<String>, StoreError> {
    let Some(text) = state::followed_policy(conn, job.name().as_str())? else {
        return Ok(vec!["no run of this job was started by hand or approved yet".to_owned()]);
    };
    // A record that cannot be read shows nothing.
    let earlier = serde_json::from_str::<Policy>(&text);
    Ok(earlier.map_or_else(
        |_| vec!["the earlier policy cannot be read".to_owned()],
        |earlier| job.policy().wider_than(&earlier),
    ))
}

impl Approver for Approvals<'_> {
    fn widened(&self) -> &[String] {
        &self.widened
    }

    fn standing(&mut self, basis: &Basis) -> Result<Vec<Approval>, RemovalError> {
        let name = self.job.name();
        let records = state::standing_approvals(&mut *self.memory.conn()?, name.as_str(), self.clock.now())?;
        let approvals = records.iter().filter_map(|record| read(name, record));
        Ok(approvals.filter(|approval| approval.is_for(name, basis)).collect())
    }

    fn consume(&mut self, approval: &Approval) -> Result<bool, RemovalError> {
        let name = self.job.name().as_str();
        let mut conn = self.memory.conn()?;
        Ok(state::use_approval(&mut conn, name, &approval.plan, &self.run, self.clock.now())?)
    }

    fn stopped(&mut self, plan: &Plan) -> Result<(), RemovalError> {
        Ok(remember(&mut *self.memory.conn()?, plan)?)
    }

    fn passed(&mut self) -> Result<(), RemovalError> {
        let policy = self.job.policy().to_json();
        Ok(state::follow_policy(&mut *self.memory.conn()?, self.job.name().as_str(), &policy, self.clock.now())?)
    }
}

/// Remembers a plan, so that exactly it can be approved.
///
/// # Errors
/// When the state cannot be written.
pub fn remember(conn: &mut Conn, plan: &Plan) -> Result<(), StoreError> {
    let approval = Approval::of(plan);
    let record = PlanRecord {
        job: plan.job.to_string(),
        plan: plan.plan.clone(),
        policy_hash: plan.basis.policy_hash.clone(),
        schema_hash: plan.basis.schema_hash.clone(),
        planned_at: plan.basis.at.naive_utc(),
        steps: serde_json::to_string(&approval.steps).unwrap_or_default(),
        brakes: serde_json::to_string(&plan.brakes).unwrap_or_default(),
        approved_at: None,
        approved_until: None,
        used_by: None,
    };
    state::remember_plan(conn, &record)
}

fn read(job: &JobName, record: &PlanRecord) -> Option<Approval> {
    let steps: Vec<ApprovedStep> = serde_json::from_str(&record.steps).ok()?;
    let basis = Basis {
        policy_hash: record.policy_hash.clone(),
        schema_hash: record.schema_hash.clone(),
        at: record.planned_at.and_utc(),
    };
    Some(Approval { job: job.clone(), plan: record.plan.clone(), basis, steps })
}

/// Approves a plan: one that was stopped, of the policy and schema of now.
///
/// # Errors
/// When there is no such plan, or it does not stand any more.
pub fn approve(
    site: &Site,
    memory: &Database,
    job: &dyn Job,
    plan: &str,
    now: DateTime<Utc>,
) -> Result<(Approval, DateTime<Utc>), Failure> {
    let name = job.name();
    let refused = |why: &str| {
        let text = format!("error: {why}; `retentiond plan {name}` shows the plan that stands now");
        Failure::new(Exit::Braked, text)
    };
    let mut conn = memory.conn()?;
    let record = state::find_plan(&mut conn, name.as_str(), plan)?;
    let record = record.ok_or_else(|| refused(&format!("no plan {plan} of job {name} was stopped by a brake")))?;
    let approval = read(name, &record).ok_or_else(|| refused("the record of this plan cannot be read"))?;
    let basis = site.look(memory, now, None).basis(job.policy_hash(), &job.stores(&site.graph));
    if approval.basis.policy_hash != basis.policy_hash {
        return Err(refused("the policy has changed since this plan was made"));
    }
    if approval.basis.schema_hash != basis.schema_hash {
        return Err(refused("a database, or a table of it, has changed since this plan was made"));
    }
    let until = now + STANDS;
    let entry = Entry {
        policy: Digest::parse(&basis.policy_hash),
        schema: Digest::parse(&basis.schema_hash),
        ..Entry::new(Act::Approval { until }).job(name).plan(plan)
    };
    trail::append(&mut conn, Clock::system(), &[entry])?;
    if !state::approve_plan(&mut conn, name.as_str(), plan, now, until)? {
        return Err(refused("the plan is gone"));
    }
    Ok((approval, until))
}

/// What an approval that stands until then lets pass.
pub fn said(approval: &Approval, until: DateTime<Utc>, zone: chrono_tz::Tz) -> Said {
    let rows: u64 = approval.steps.iter().map(|step| step.rows).sum();
    let utc = |at: DateTime<Utc>| at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let json = serde_json::json!({
        "job": approval.job, "plan": approval.plan, "until": utc(until), "planned": utc(approval.basis.at),
        "steps": approval.steps, "rows": rows,
    });
    let mut lines = vec![format!(
        "job {}: plan {} may pass once, until {}",
        approval.job,
        approval.plan,
        show_instant(until, zone)
    )];
    for step in approval.steps.iter().filter(|step| step.rows > 0 || step.files > 0) {
        let files = if step.files > 0 { format!(", {} files", grouped(step.files)) } else { String::new() };
        lines.push(format!("  {:<56} at most {:>12} rows{files}", step.label(), grouped(step.rows)));
    }
    lines.push(format!("  Rows are counted from {}, as in the plan.", show_instant(approval.basis.at, zone)));
    Said::done(lines.join("\n"), json)
}
