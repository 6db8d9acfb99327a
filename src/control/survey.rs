//! Whether everything is within policy: of each job what is overdue, when it last succeeded, and what holds it up.
//!
//! **Overdue** is a row that is still there although its job had a whole turn to remove it: it had expired a day ago, or
//! one turn of the schedule where that is longer. What lacks a requirement has no age: it is overdue when its job has not
//! succeeded for as long.

use chrono::{DateTime, TimeDelta, Utc};

use super::site::Site;
use super::turns;
use crate::jobs::{Job, Overdue};
use crate::names::JobName;
use crate::plan::Brake;
use crate::store::pool::Database;
use crate::store::state::{self, RunRecord};
use crate::store::{Conn, StoreError};

/// A plan that waits for somebody to approve it.
#[derive(Clone, Debug, PartialEq)]
pub struct Waiting {
    /// The plan.
    pub plan: String,
    /// What stopped it.
    pub brakes: Vec<Brake>,
    /// Until when it may pass, once it is approved.
    pub approved_until: Option<DateTime<Utc>>,
}

/// One job, surveyed.
#[derive(Debug)]
pub struct Surveyed {
    /// The job.
    pub job: JobName,
    /// Its kind.
    pub kind: &'static str,
    /// Whether it takes part: `enabled` in the file.
    pub enabled: bool,
    /// Whether it, or everything, is paused.
    pub paused: bool,
    /// When it was last complete.
    pub last_success: Option<DateTime<Utc>>,
    /// Its last run.
    pub last_run: Option<RunRecord>,
    /// The plan that waits.
    pub waiting: Option<Waiting>,
    /// How long a row may be expired before it is overdue.
    pub turn: TimeDelta,
    /// What is overdue, by rule; or why that is not known.
    pub overdue: Result<Vec<Overdue>, String>,
}

impl Surveyed {
    /// Whether something of it is outside the policy, or may be.
    pub fn is_outside(&self) -> bool {
        self.enabled
            && self
                .overdue
                .as_ref()
                .map_or(true, |rules| rules.iter().any(|rule| rule.rows.is_none_or(|rows| rows > 0)))
    }

    /// The outcome of its last run, if that did not go well.
    pub fn trouble(&self) -> Option<&str> {
        let outcome = self.last_run.as_ref().and_then(|run| run.outcome.as_deref());
        outcome.filter(|outcome| matches!(*outcome, "failed" | "braked" | "interrupted"))
    }
}

/// Surveys every job at an instant.
///
/// # Errors
/// When the state cannot be read; a store that cannot be read is part of the answer.
pub fn survey(site: &Site, memory: &Database, now: DateTime<Utc>) -> Result<Vec<Surveyed>, StoreError> {
    let mut conn = memory.conn()?;
    site.jobs.values().map(|job| one(site, memory, &mut conn, &**job, now)).collect()
}

fn one(
    site: &Site,
    memory: &Database,
    conn: &mut Conn,
    job: &dyn Job,
    now: DateTime<Utc>,
) -> Result<Surveyed, StoreError> {
    let name = job.name().as_str();
    let raw = site.loaded.document.jobs.get(name);
    let turn = raw.map_or(turns::SHORTEST, |raw| turns::longest(raw, site.loaded.document.timezone, now));
    let last_success = state::last_success(conn, name)?;
    let last_run = state::history(conn, Some(name), 1)?.into_iter().next().map(|(run, _)| run);
    let braked = last_run.as_ref().is_some_and(|run| run.outcome.as_deref() == Some("braked"));
    let waiting = if braked { state::last_plan(conn, name)?.filter(|plan| plan.used_by.is_none()) } else { None };
    let fresh = last_success.is_some_and(|at| now - at < turn);
    let overdue = job.overdue(&site.look(memory, now - turn, None)).map_err(|error| error.to_string());
    Ok(Surveyed {
        job: job.name().clone(),
        kind: job.kind(),
        enabled: raw.is_none_or(|raw| raw.enabled) && site.loaded.document.enabled,
        paused: state::is_paused(conn, name)?,
        last_success,
        last_run,
        waiting: waiting.map(|plan| Waiting {
            plan: plan.plan,
            brakes: serde_json::from_str(&plan.brakes).unwrap_or_default(),
            approved_until: plan.approved_until.map(|at| at.and_utc()).filter(|until| *until > now),
        }),
        turn,
        overdue: overdue.map(|rules| rules.into_iter().filter(|rule| rule.cutoff.is_some() || !fresh).collect()),
    })
}
