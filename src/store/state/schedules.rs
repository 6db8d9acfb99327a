//! How far each job's schedule was followed.
//!
//! **Invariant.** A job that is new, or whose schedule was changed, is never due for the time before; else its latest slot
//! says how far things are, whatever daemon claimed it.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::prelude::*;

use super::schema::{schedules, slots};
use super::slots::{ATTEMPTS, failed};
use crate::store::conn::on;
use crate::store::{Access, Conn, ErrorKind, StoreError};

/// What is known of a job's schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// The job, or its schedule, is not older.
    pub since: DateTime<Utc>,
    /// Its latest slot, if that is later.
    pub cursor: DateTime<Utc>,
    /// Its last slots, where the latest lies in the future: some clock was wrong.
    pub slots: Vec<DateTime<Utc>>,
}

/// Schedules that are said to begin later than this instant begin at it: the clock that said so was ahead, and what comes
/// is the future by the one that is accepted now.
///
/// # Errors
/// When the state cannot be written.
pub fn begin_schedules_by(conn: &mut Conn, now: DateTime<Utc>) -> Result<(), StoreError> {
    let ahead = schedules::table.filter(schedules::since.gt(now.naive_utc()));
    on!(conn, raw => diesel::update(ahead).set(schedules::since.eq(now.naive_utc())).execute(raw))
        .map(drop)
        .map_err(failed)
}

/// What is known of each job, given with its schedule's fingerprint. A job that is new, or whose schedule has changed,
/// begins now.
///
/// # Errors
/// When the state cannot be read or written.
pub fn schedules(
    conn: &mut Conn,
    jobs: &BTreeMap<String, String>,
    now: DateTime<Utc>,
) -> Result<BTreeMap<String, Schedule>, StoreError> {
    let mut attempts = ATTEMPTS;
    loop {
        attempts -= 1;
        match conn.transaction(Access::ReadWrite, |conn| try_schedules(conn, jobs, now)) {
            Err(error) if attempts > 0 && (error.kind == ErrorKind::Constraint || error.is_transient()) => {}
            result => return result,
        }
    }
}

fn try_schedules(
    conn: &mut Conn,
    jobs: &BTreeMap<String, String>,
    now: DateTime<Utc>,
) -> Result<BTreeMap<String, Schedule>, StoreError> {
    let all = schedules::table.select((schedules::job, schedules::fingerprint, schedules::since));
    let all = on!(conn, raw => all.load::<(String, String, NaiveDateTime)>(raw)).map_err(failed)?;
    let known: BTreeMap<String, (String, NaiveDateTime)> =
        all.into_iter().map(|(job, fingerprint, since)| (job, (fingerprint, since))).collect();
    let latest = slots::table.group_by(slots::job).select((slots::job, diesel::dsl::max(slots::slot)));
    let latest: BTreeMap<String, Option<NaiveDateTime>> =
        on!(conn, raw => latest.load::<(String, Option<NaiveDateTime>)>(raw)).map_err(failed)?.into_iter().collect();
    let mut found = BTreeMap::new();
    for (job, fingerprint) in jobs {
        let since = match known.get(job) {
            Some((same, since)) if same == fingerprint => since.and_utc(),
            Some(_) => {
                let changes = (schedules::fingerprint.eq(fingerprint), schedules::since.eq(now.naive_utc()));
                let row = schedules::table.filter(schedules::job.eq(job));
                on!(conn, raw => diesel::update(row).set(changes).execute(raw)).map_err(failed)?;
                now
            }
            None => {
                let row = (
                    schedules::job.eq(job),
                    schedules::fingerprint.eq(fingerprint),
                    schedules::since.eq(now.naive_utc()),
                );
                on!(conn, raw => diesel::insert_into(schedules::table).values(row).execute(raw)).map_err(failed)?;
                now
            }
        };
        let cursor = latest.get(job).copied().flatten().map_or(since, |latest| since.max(latest.and_utc()));
        let slots = if cursor > now { last_slots(conn, job)? } else { Vec::new() };
        found.insert(job.clone(), Schedule { since, cursor, slots });
    }
    Ok(found)
}

fn last_slots(conn: &mut Conn, job: &str) -> Result<Vec<DateTime<Utc>>, StoreError> {
    let query = slots::table.filter(slots::job.eq(job)).order(slots::slot.desc()).limit(1_000).select(slots::slot);
    let found = on!(conn, raw => query.load::<NaiveDateTime>(raw)).map_err(failed)?;
    Ok(found.into_iter().map(|slot| slot.and_utc()).collect())
}

/// Forgets slots that ended before an instant; no job becomes due for the time before it again.
///
/// # Errors
/// When the state cannot be written.
pub fn forget_slots(conn: &mut Conn, instant: DateTime<Utc>) -> Result<usize, StoreError> {
    conn.transaction(Access::ReadWrite, |conn| {
        let at = instant.naive_utc();
        let behind = schedules::table.filter(schedules::since.lt(at));
        on!(conn, raw => diesel::update(behind).set(schedules::since.eq(at)).execute(raw)).map_err(failed)?;
        let old = slots::table.filter(slots::ended_at.lt(at)).filter(slots::slot.lt(at));
        on!(conn, raw => diesel::delete(old).execute(raw)).map_err(failed)
    })
}
