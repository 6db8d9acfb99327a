//! Runs and their steps.

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::prelude::*;

use super::schema::{run_steps, runs};
use crate::store::conn::on;
use crate::store::{Conn, StoreError};

/// The outcome of a run whose process died.
const INTERRUPTED: &str = "interrupted";
/// The outcome of a run that did everything.
const COMPLETE: &str = "complete";
/// A run is usual when so many complete ones stand behind it.
const USUAL_FROM: usize = 5;

/// The id of a run: a UUID of version 7, so that ids sort by time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunId(String);

impl RunId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A run as it is remembered.
#[derive(Clone, Debug, Queryable, Insertable)]
#[diesel(table_name = runs)]
pub struct RunRecord {
    /// Its id.
    pub id: String,
    /// The job.
    pub job: String,
    /// The kind of job.
    pub kind: String,
    /// The hash of the policy it followed.
    pub policy_hash: String,
    /// When it began, in UTC.
    pub started_at: NaiveDateTime,
    /// When it ended; `None` while it runs.
    pub ended_at: Option<NaiveDateTime>,
    /// How it ended; `None` while it runs.
    pub outcome: Option<String>,
    /// The cutoff of the default rule.
    pub cutoff: Option<NaiveDateTime>,
    /// Rows removed or changed.
    pub row_count: i64,
    /// Files removed.
    pub file_count: i64,
    /// The host it ran on.
    pub host: String,
    /// What went wrong, without personal data.
    pub note: Option<String>,
    /// When it was due; none when a person started it.
    pub slot: Option<NaiveDateTime>,
    /// What started it; `None` in a run of an older version.
    pub started_by: Option<String>,
}

/// What started a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// Its schedule.
    Schedule,
    /// Its schedule, for a slot that was missed.
    CatchUp,
    /// A person.
    Manual,
    /// A run of the same slot that failed or was interrupted.
    Retry,
}

impl Trigger {
    /// The word in tables and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::CatchUp => "catch_up",
            Self::Manual => "manual",
            Self::Retry => "retry",
        }
    }

    pub(super) fn parse(word: &str) -> Self {
        let all = [Self::Schedule, Self::CatchUp, Self::Retry];
        all.into_iter().find(|trigger| trigger.as_str() == word).unwrap_or(Self::Manual)
    }
}

/// A step of a run as it is remembered.
#[derive(Clone, Debug, Queryable, Insertable)]
#[diesel(table_name = run_steps)]
pub struct StepRecord {
    /// The run.
    pub run_id: String,
    /// Its place in the run.
    pub position: i32,
    /// The data entry.
    pub data: String,
    /// The store.
    pub store: String,
    /// What was done.
    pub action: String,
    /// By which rule.
    pub rule: Option<String>,
    /// Rows.
    pub row_count: i64,
    /// Files.
    pub file_count: i64,
    /// Rows held back.
    pub held_count: i64,
    /// The cutoff.
    pub cutoff: Option<NaiveDateTime>,
}

/// A step to be remembered.
#[derive(Clone, Debug)]
pub struct NewStep {
    /// Its place in the run.
    pub position: i32,
    /// The data entry.
    pub data: String,
    /// The store.
    pub store: String,
    /// What was done.
    pub action: String,
    /// By which rule.
    pub rule: Option<String>,
    /// Rows.
    pub rows: u64,
    /// Files.
    pub files: u64,
    /// Rows held back.
    pub held: u64,
    /// The cutoff.
    pub cutoff: Option<DateTime<Utc>>,
}

/// A new id: a UUID of version 7, so that ids sort by time.
pub fn new_id(now: DateTime<Utc>) -> String {
    let seconds = u64::try_from(now.timestamp()).unwrap_or_default();
    let timestamp = uuid::Timestamp::from_unix(uuid::NoContext, seconds, now.timestamp_subsec_nanos());
    uuid::Uuid::new_v7(timestamp).to_string()
}

pub(super) fn new_run_id(now: DateTime<Utc>) -> RunId {
    RunId(new_id(now))
}

/// Remembers that a run begins.
pub(super) fn insert_run(conn: &mut Conn, record: &RunRecord) -> Result<(), StoreError> {
    on!(conn, raw => diesel::insert_into(runs::table).values(record).execute(raw))
        .map(drop)
        .map_err(|error| StoreError::from_catalog(&error))
}

/// Remembers what a step did.
pub(super) fn record_step(conn: &mut Conn, run: &RunId, step: &NewStep) -> Result<(), StoreError> {
    let record = StepRecord {
        run_id: run.0.clone(),
        position: step.position,
        data: step.data.clone(),
        store: step.store.clone(),
        action: step.action.clone(),
        rule: step.rule.clone(),
        row_count: signed(step.rows),
        file_count: signed(step.files),
        held_count: signed(step.held),
        cutoff: step.cutoff.map(|at| at.naive_utc()),
    };
    on!(conn, raw => diesel::insert_into(run_steps::table).values(&record).execute(raw))
        .map(drop)
        .map_err(|error| StoreError::from_catalog(&error))
}

/// How a run ended, to be remembered.
#[derive(Clone, Debug)]
pub struct End {
    /// The outcome's word.
    pub outcome: &'static str,
    /// The cutoff of the default rule.
    pub cutoff: Option<DateTime<Utc>>,
    /// Rows removed or changed.
    pub rows: u64,
    /// Files removed.
    pub files: u64,
    /// What went wrong, without personal data.
    pub note: Option<String>,
    /// What each step did.
    pub steps: Vec<NewStep>,
}

/// Remembers how a run ended; `false` when it had been ended by somebody else.
pub(super) fn finish_run(conn: &mut Conn, run: &RunId, end: &End, now: DateTime<Utc>) -> Result<bool, StoreError> {
    let changes = (
        runs::outcome.eq(end.outcome),
        runs::ended_at.eq(now.naive_utc()),
        runs::cutoff.eq(end.cutoff.map(|at| at.naive_utc())),
        runs::row_count.eq(signed(end.rows)),
        runs::file_count.eq(signed(end.files)),
        runs::note.eq(end.note.as_deref()),
    );
    let open = runs::table.filter(runs::id.eq(&run.0)).filter(runs::outcome.is_null());
    let changed = on!(conn, raw => diesel::update(open).set(changes).execute(raw))
        .map_err(|error| StoreError::from_catalog(&error))?;
    Ok(changed == 1)
}

/// Marks runs of a job that have no end; the caller holds the job's lease, so their process is gone or has lost it.
pub(super) fn mark_interrupted(conn: &mut Conn, job: &str, now: DateTime<Utc>) -> Result<usize, StoreError> {
    let open = runs::table.filter(runs::job.eq(job)).filter(runs::outcome.is_null());
    let changes = (runs::outcome.eq(INTERRUPTED), runs::ended_at.eq(now.naive_utc()));
    on!(conn, raw => diesel::update(open).set(changes).execute(raw)).map_err(|error| StoreError::from_catalog(&error))
}

/// The median number of rows of the job's last complete runs; `None` before there are five.
///
/// # Errors
/// When the state cannot be read.
pub fn usual_rows(conn: &mut Conn, job: &str) -> Result<Option<u64>, StoreError> {
    let query = runs::table
        .filter(runs::job.eq(job))
        .filter(runs::outcome.eq(COMPLETE))
        .order(runs::started_at.desc())
        .limit(15)
        .select(runs::row_count);
    let mut rows: Vec<i64> =
        on!(conn, raw => query.load::<i64>(raw)).map_err(|error| StoreError::from_catalog(&error))?;
    rows.sort_unstable();
    if rows.len() < USUAL_FROM {
        return Ok(None);
    }
    Ok(rows.get(rows.len() / 2).map(|rows| rows.unsigned_abs()))
}

/// The last runs, newest first, with their steps.
///
/// # Errors
/// When the state cannot be read.
pub fn history(
    conn: &mut Conn,
    job: Option<&str>,
    limit: i64,
) -> Result<Vec<(RunRecord, Vec<StepRecord>)>, StoreError> {
    let failed = |error: diesel::result::Error| StoreError::from_catalog(&error);
    let newest = runs::table.order(runs::id.desc()).limit(limit).select(runs::all_columns);
    let found: Vec<RunRecord> = match job {
        None => on!(conn, raw => newest.load::<RunRecord>(raw)),
        Some(job) => on!(conn, raw => newest.filter(runs::job.eq(job)).load::<RunRecord>(raw)),
    }
    .map_err(failed)?;
    let mut all = Vec::new();
    for run in found {
        let steps = run_steps::table
            .filter(run_steps::run_id.eq(run.id.clone()))
            .order(run_steps::position)
            .select(run_steps::all_columns);
        let steps = on!(conn, raw => steps.load::<StepRecord>(raw)).map_err(failed)?;
        all.push((run, steps));
    }
    Ok(all)
}

/// Whether a run is remembered.
///
/// # Errors
/// When the state cannot be read.
pub fn knows_run(conn: &mut Conn, id: &str) -> Result<bool, StoreError> {
    let query = runs::table.filter(runs::id.eq(id)).count();
    let count: i64 = on!(conn, raw => query.get_result(raw)).map_err(|error| StoreError::from_catalog(&error))?;
    Ok(count > 0)
}

/// When the job was last complete.
///
/// # Errors
/// When the state cannot be read.
pub fn last_success(conn: &mut Conn, job: &str) -> Result<Option<DateTime<Utc>>, StoreError> {
    let query = runs::table
        .filter(runs::job.eq(job))
        .filter(runs::outcome.eq(COMPLETE))
        .order(runs::started_at.desc())
        .limit(1)
        .select(runs::ended_at);
    let found: Vec<Option<NaiveDateTime>> =
        on!(conn, raw => query.load::<Option<NaiveDateTime>>(raw)).map_err(|error| StoreError::from_catalog(&error))?;
    Ok(found.into_iter().flatten().next().map(|at| at.and_utc()))
}

/// Forgets runs that ended before an instant; gives their number.
///
/// # Errors
/// When the state cannot be written.
pub fn forget_before(conn: &mut Conn, instant: DateTime<Utc>) -> Result<usize, StoreError> {
    let failed = |error: diesel::result::Error| StoreError::from_catalog(&error);
    let old = runs::table.filter(runs::ended_at.lt(instant.naive_utc())).select(runs::id);
    let ids: Vec<String> = on!(conn, raw => old.load::<String>(raw)).map_err(failed)?;
    for id in &ids {
        on!(conn, raw => diesel::delete(run_steps::table.filter(run_steps::run_id.eq(id))).execute(raw))
            .map_err(failed)?;
        on!(conn, raw => diesel::delete(runs::table.filter(runs::id.eq(id))).execute(raw)).map_err(failed)?;
    }
    Ok(ids.len())
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
