//! Plans that brakes stopped, their approvals, and the policy that each job followed last.
//!
//! **Invariant.** An approval is used once: [`use_approval`] gives `true` to one caller, and to nobody after its end.

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::prelude::*;

use super::schema::{plans, policies};
use crate::store::conn::on;
use crate::store::{Conn, StoreError};

/// A plan that a brake stopped.
#[derive(Clone, Debug, Queryable, Insertable)]
#[diesel(table_name = plans)]
pub struct PlanRecord {
    /// The job.
    pub job: String,
    /// The plan's name.
    pub plan: String,
    /// The policy it follows.
    pub policy_hash: String,
    /// The schema it was made for.
    pub schema_hash: String,
    /// The instant that its cutoffs count from, in UTC.
    pub planned_at: NaiveDateTime,
    /// Its steps, as JSON.
    pub steps: String,
    /// What stopped it, as JSON.
    pub brakes: String,
    /// When it was approved.
    pub approved_at: Option<NaiveDateTime>,
    /// When the approval ends.
    pub approved_until: Option<NaiveDateTime>,
    /// The run that it let pass.
    pub used_by: Option<String>,
}

fn failed(error: diesel::result::Error) -> StoreError {
    StoreError::from_catalog(&error)
}

/// Remembers a plan that was stopped. One of the same name that waits for an approval gets the later instant; one that is
/// approved keeps its own.
///
/// # Errors
/// When the state cannot be written.
pub fn remember_plan(conn: &mut Conn, record: &PlanRecord) -> Result<(), StoreError> {
    let Some(known) = find_plan(conn, &record.job, &record.plan)? else {
        return on!(conn, raw => diesel::insert_into(plans::table).values(record).execute(raw))
            .map(drop)
            .map_err(failed);
    };
    let standing = known.approved_until.is_some_and(|until| until > record.planned_at) && known.used_by.is_none();
    if standing {
        return Ok(());
    }
    let same = plans::table.filter(plans::job.eq(&record.job)).filter(plans::plan.eq(&record.plan));
    let changes = (plans::planned_at.eq(record.planned_at), plans::brakes.eq(&record.brakes));
    on!(conn, raw => diesel::update(same).set(changes).execute(raw)).map(drop).map_err(failed)
}

/// A plan by its name.
///
/// # Errors
/// When the state cannot be read.
pub fn find_plan(conn: &mut Conn, job: &str, plan: &str) -> Result<Option<PlanRecord>, StoreError> {
    let query =
        plans::table.filter(plans::job.eq(job)).filter(plans::plan.eq(plan)).select(plans::all_columns).limit(1);
    let found = on!(conn, raw => query.load::<PlanRecord>(raw)).map_err(failed)?;
    Ok(found.into_iter().next())
}

/// The plan of a job that was stopped last.
///
/// # Errors
/// When the state cannot be read.
pub fn last_plan(conn: &mut Conn, job: &str) -> Result<Option<PlanRecord>, StoreError> {
    let query =
        plans::table.filter(plans::job.eq(job)).order(plans::planned_at.desc()).select(plans::all_columns).limit(1);
    let found = on!(conn, raw => query.load::<PlanRecord>(raw)).map_err(failed)?;
    Ok(found.into_iter().next())
}

/// Approves a plan until an instant, once.
///
/// # Errors
/// When the state cannot be written.
pub fn approve_plan(
    conn: &mut Conn,
    job: &str,
    plan: &str,
    now: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let same = plans::table.filter(plans::job.eq(job)).filter(plans::plan.eq(plan));
    let changes = (
        plans::approved_at.eq(Some(now.naive_utc())),
        plans::approved_until.eq(Some(until.naive_utc())),
        plans::used_by.eq(None::<String>),
    );
    on!(conn, raw => diesel::update(same).set(changes).execute(raw)).map(|rows| rows == 1).map_err(failed)
}

/// The approvals of a job that stand now, the newest first.
///
/// # Errors
/// When the state cannot be read.
pub fn standing_approvals(conn: &mut Conn, job: &str, now: DateTime<Utc>) -> Result<Vec<PlanRecord>, StoreError> {
    let query = plans::table
        .filter(plans::job.eq(job))
        .filter(plans::approved_until.gt(now.naive_utc()))
        .filter(plans::used_by.is_null())
        .order(plans::approved_at.desc())
        .select(plans::all_columns);
    on!(conn, raw => query.load::<PlanRecord>(raw)).map_err(failed)
}

/// Uses an approval up; `false` when it was used before, or has ended.
///
/// # Errors
/// When the state cannot be written.
pub fn use_approval(conn: &mut Conn, job: &str, plan: &str, run: &str, now: DateTime<Utc>) -> Result<bool, StoreError> {
    let standing = plans::table
        .filter(plans::job.eq(job))
        .filter(plans::plan.eq(plan))
        .filter(plans::used_by.is_null())
        .filter(plans::approved_until.gt(now.naive_utc()));
    on!(conn, raw => diesel::update(standing).set(plans::used_by.eq(Some(run))).execute(raw))
        .map(|rows| rows == 1)
        .map_err(failed)
}

/// The policy that the job's last run followed past its brakes, as JSON.
///
/// # Errors
/// When the state cannot be read.
pub fn followed_policy(conn: &mut Conn, job: &str) -> Result<Option<String>, StoreError> {
    let query = policies::table.filter(policies::job.eq(job)).select(policies::policy);
    let found = on!(conn, raw => query.load::<String>(raw)).map_err(failed)?;
    Ok(found.into_iter().next())
}

/// Remembers the policy that a run follows past its brakes. The caller holds the job's lease.
///
/// # Errors
/// When the state cannot be written.
pub fn follow_policy(conn: &mut Conn, job: &str, policy: &str, now: DateTime<Utc>) -> Result<(), StoreError> {
    let changes = (policies::policy.eq(policy), policies::since.eq(now.naive_utc()));
    let same = policies::table.filter(policies::job.eq(job));
    let changed = on!(conn, raw => diesel::update(same).set(changes).execute(raw)).map_err(failed)?;
    if changed == 0 && followed_policy(conn, job)?.is_none() {
        let row = (policies::job.eq(job), changes);
        on!(conn, raw => diesel::insert_into(policies::table).values(row).execute(raw)).map_err(failed)?;
    }
    Ok(())
}

/// Forgets plans made before an instant; gives their number.
///
/// # Errors
/// When the state cannot be written.
pub fn forget_plans(conn: &mut Conn, instant: DateTime<Utc>) -> Result<usize, StoreError> {
    let old = plans::table.filter(plans::planned_at.lt(instant.naive_utc()));
    on!(conn, raw => diesel::delete(old).execute(raw)).map_err(failed)
}
