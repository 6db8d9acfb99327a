//! Whether everything is within policy: of each job what is overdue, when it last succeeded, and what holds it up.
//!
//! **Overdue** is a row that is still there although its job had a whole turn to remove it: it had expired a day ago, or
//! one turn of the schedule where that is longer. What lacks a requirement has no age: it is overdue when its job has not
//! succeeded for as long.
//!
//! A store that is away takes with it what it alone knows; of all others everything is said.

use chrono::{DateTime, TimeDelta, Utc};

use super::site::Site;
use super::turns;
use crate::config::section::RawJob;
use crate::jobs::{Job, Overdue};
use crate::names::{JobName, StoreName};
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

/// Where things stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is overdue.
    Within,
    /// Of something it is not known, and of nothing that it is overdue.
    Unknown,
    /// Something is overdue.
    Outside,
}

impl Verdict {
    /// All of them together: what is surely overdue counts more than what is not known.
    pub fn of(jobs: &[Surveyed]) -> Self {
        let verdicts = || jobs.iter().map(Surveyed::verdict);
        if verdicts().any(|verdict| verdict == Self::Outside) {
            Self::Outside
        } else if verdicts().any(|verdict| verdict == Self::Unknown) {
            Self::Unknown
        } else {
            Self::Within
        }
    }

    /// Whether it is within policy; `None` where that is not known.
    pub fn is_within(self) -> Option<bool> {
        match self {
            Self::Within => Some(true),
            Self::Outside => Some(false),
            Self::Unknown => None,
        }
    }
}

/// An entry of which nothing is known, since its store is away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unseen {
    /// The entry, or none where the job as a whole could not be looked at.
    pub data: Option<String>,
    /// The store.
    pub store: StoreName,
}

/// One job, surveyed.
#[derive(Debug)]
pub struct Surveyed {
    /// The job.
    pub job: JobName,
    /// Its kind.
    pub kind: String,
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
    /// What is overdue, by rule, as far as it could be looked at; or why nothing could.
    pub overdue: Result<Vec<Overdue>, String>,
    /// What could not be looked at, since its store is away.
    pub unseen: Vec<Unseen>,
}

impl Surveyed {
    /// Where it stands. A job that is not enabled removes nothing, so it is never late.
    pub fn verdict(&self) -> Verdict {
        let rules = self.overdue.as_deref().unwrap_or_default();
        if !self.enabled {
            Verdict::Within
        } else if rules.iter().any(|rule| rule.rows.is_some_and(|rows| rows > 0)) {
            Verdict::Outside
        } else if self.overdue.is_err() || !self.unseen.is_empty() || rules.iter().any(|rule| rule.rows.is_none()) {
            Verdict::Unknown
        } else {
            Verdict::Within
        }
    }

    /// The outcome of its last run, if that did not go well.
    pub fn trouble(&self) -> Option<&str> {
        let outcome = self.last_run.as_ref().and_then(|run| run.outcome.as_deref());
        outcome.filter(|outcome| matches!(*outcome, "failed" | "braked" | "interrupted"))
    }
}

/// Surveys every job of the file at an instant.
///
/// # Errors
/// When the state cannot be read; a store that cannot be read is part of the answer.
pub fn survey(site: &Site, memory: &Database, now: DateTime<Utc>) -> Result<Vec<Surveyed>, StoreError> {
    let mut conn = memory.conn()?;
    site.loaded.document.jobs.values().map(|raw| one(site, memory, &mut conn, raw, now)).collect()
}

/// What is overdue of one job, seen from an instant, and what could not be looked at.
fn overdue(
    site: &Site,
    memory: &Database,
    job: Option<&dyn Job>,
    from: DateTime<Utc>,
) -> (Result<Vec<Overdue>, String>, Vec<Unseen>) {
    // A job that could not even be read while a store is away needs that store.
    let whole = || site.away.keys().map(|store| Unseen { data: None, store: store.clone() }).collect();
    let Some(job) = job else { return (Ok(Vec::new()), whole()) };
    let data = &site.loaded.document.data;
    let unseen = job.policy().rules.keys().filter_map(|name| {
        let store = data.get(name.as_str())?.store.as_ref()?;
        site.away.contains_key(store).then(|| Unseen { data: Some(name.clone()), store: store.clone() })
    });
    let mut unseen: Vec<Unseen> = unseen.collect();
    let overdue = job.overdue(&site.look(memory, from, None));
    match overdue {
        // What fails while a store is away fails for that, and the store's own words say more.
        Err(_) if !site.away.is_empty() => {
            if unseen.is_empty() {
                unseen = whole();
            }
            (Ok(Vec::new()), unseen)
        }
        overdue => (overdue.map_err(|error| error.to_string()), unseen),
    }
}

fn one(
    site: &Site,
    memory: &Database,
    conn: &mut Conn,
    raw: &RawJob,
    now: DateTime<Utc>,
) -> Result<Surveyed, StoreError> {
    let name = raw.name.as_str();
    let turn = turns::longest(raw, site.loaded.document.timezone, now);
    let last_success = state::last_success(conn, name)?;
    let last_run = state::history(conn, Some(name), 1)?.into_iter().next().map(|(run, _)| run);
    let braked = last_run.as_ref().is_some_and(|run| run.outcome.as_deref() == Some("braked"));
    let waiting = if braked { state::last_plan(conn, name)?.filter(|plan| plan.used_by.is_none()) } else { None };
    let fresh = last_success.is_some_and(|at| now - at < turn);
    let job = site.jobs.get(&raw.name).map(|job| &**job);
    let (overdue, unseen) = overdue(site, memory, job, now - turn);
    Ok(Surveyed {
        job: raw.name.clone(),
        kind: raw.kind.clone(),
        enabled: raw.enabled && site.loaded.document.enabled,
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
        unseen,
    })
}
