//! Slots: when a job was due, and what became of it.
//!
//! **Invariant.** A job has one row for each slot, whatever number of daemons came upon it: who inserts it has claimed it,
//! for all. It is open until it has ended; a run of it begins only under the job's lease and only while it is open, and
//! only the run that the row names ends it. So each slot is done once, and what a killed daemon leaves is found open. The
//! latest slot of a job is its cursor: nothing before it is looked at again.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::prelude::*;

use super::runs::RunId;
use super::schema::{leases, schedules, slots};
use super::{Trigger, holder};
use crate::store::conn::on;
use crate::store::{Access, Backend, Conn, ErrorKind, StoreError};

/// So many rows go into one statement.
const CHUNK: usize = 500;
/// Two daemons that claim the same slots at once: the later one looks again.
const ATTEMPTS: usize = 5;

/// What becomes of a slot that is claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It shall run; where an earlier slot of the job is still open, it is left out.
    Run,
    /// It shall run, after the earlier ones.
    Queue,
    /// It is left out: how many slots it stands for, and why.
    LeaveOut(&'static str, u64),
}

/// A slot to be claimed.
#[derive(Clone, Debug)]
pub struct NewSlot {
    /// The job.
    pub job: String,
    /// When it was due.
    pub slot: DateTime<Utc>,
    /// How it came to be considered.
    pub trigger: Trigger,
    /// What becomes of it.
    pub claim: Claim,
}

/// What became of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// It is open, and ours to begin.
    Open,
    /// It is written down as left out.
    LeftOut(&'static str),
    /// Somebody else was quicker.
    Elsewhere,
}

/// The outcome of a slot that was left out because the run before had not ended.
pub const OVERLAP: &str = "skipped";

/// A slot that waits for a run, or has one that is not over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenSlot {
    /// The job.
    pub job: String,
    /// When it was due.
    pub slot: DateTime<Utc>,
    /// How it came to be considered.
    pub trigger: Trigger,
    /// How many runs of it were begun.
    pub attempts: u32,
    /// No run begins earlier.
    pub not_before: DateTime<Utc>,
}

#[derive(Clone, Copy, Insertable)]
#[diesel(table_name = slots)]
struct Row<'a> {
    job: &'a str,
    slot: NaiveDateTime,
    started_by: &'a str,
    claimed_at: NaiveDateTime,
    attempts: i32,
    not_before: NaiveDateTime,
    ended_at: Option<NaiveDateTime>,
    outcome: Option<&'a str>,
    stands_for: i64,
}

/// Claims slots, all in one transaction; gives what became of each.
///
/// # Errors
/// When the state cannot be written; none is then claimed.
pub fn claim(conn: &mut Conn, new: &[NewSlot], now: DateTime<Utc>) -> Result<Vec<Claimed>, StoreError> {
    let mut attempts = ATTEMPTS;
    loop {
        attempts -= 1;
        match conn.transaction(Access::ReadWrite, |conn| try_claim(conn, new, now)) {
            Err(error) if attempts > 0 && (error.kind == ErrorKind::Constraint || error.is_transient()) => {}
            result => return result,
        }
    }
}

fn try_claim(conn: &mut Conn, new: &[NewSlot], now: DateTime<Utc>) -> Result<Vec<Claimed>, StoreError> {
    let (Some(first), Some(last)) = (new.iter().map(|new| new.slot).min(), new.iter().map(|new| new.slot).max()) else {
        return Ok(Vec::new());
    };
    let known =
        slots::table.filter(slots::slot.between(first.naive_utc(), last.naive_utc())).select((slots::job, slots::slot));
    let known: BTreeSet<(String, NaiveDateTime)> =
        on!(conn, raw => known.load::<(String, NaiveDateTime)>(raw)).map_err(failed)?.into_iter().collect();
    let mut busy = supersede(conn, new, now)?;
    let mut claimed = Vec::new();
    let mut rows = Vec::new();
    for new in new {
        if known.contains(&(new.job.clone(), new.slot.naive_utc())) {
            claimed.push(Claimed::Elsewhere);
            continue;
        }
        let (outcome, stands_for) = match new.claim {
            Claim::LeaveOut(why, stands_for) => (Some(why), i64::try_from(stands_for).unwrap_or(i64::MAX)),
            Claim::Run if busy.contains(&new.job) => (Some(OVERLAP), 1),
            Claim::Run | Claim::Queue => (None, 1),
        };
        if outcome.is_none() {
            busy.insert(new.job.clone());
        }
        claimed.push(outcome.map_or(Claimed::Open, Claimed::LeftOut));
        rows.push(Row {
            job: &new.job,
            slot: new.slot.naive_utc(),
            started_by: new.trigger.as_str(),
            claimed_at: now.naive_utc(),
            attempts: 0,
            not_before: new.slot.naive_utc().min(now.naive_utc()),
            ended_at: outcome.map(|_| now.naive_utc()),
            outcome,
            stands_for,
        });
    }
    insert_all(conn, &rows)?;
    Ok(claimed)
}

/// Diesel begins a transaction of its own to insert several rows into SQLite, which is not there to be begun: row by row
/// costs nothing there, and elsewhere a round trip each.
fn insert_all(conn: &mut Conn, rows: &[Row<'_>]) -> Result<(), StoreError> {
    let single = conn.backend() == Backend::Sqlite;
    for rows in rows.chunks(if single { 1 } else { CHUNK }) {
        match rows {
            [only] => on!(conn, raw => diesel::insert_into(slots::table).values(*only).execute(raw)),
            rows => on!(conn, raw => diesel::insert_into(slots::table).values(rows).execute(raw)),
        }
        .map_err(failed)?;
    }
    Ok(())
}

/// A retry that waits gives way to the next slot of its job. Gives the jobs that have an open slot after that.
fn supersede(conn: &mut Conn, new: &[NewSlot], now: DateTime<Utc>) -> Result<BTreeSet<String>, StoreError> {
    let next: BTreeSet<&str> = new.iter().filter(|new| new.claim == Claim::Run).map(|new| new.job.as_str()).collect();
    let mut busy = BTreeSet::new();
    for open in open_slots(conn)? {
        if open.not_before <= now || !next.contains(open.job.as_str()) {
            busy.insert(open.job);
            continue;
        }
        let row = slots::table.filter(slots::job.eq(&open.job)).filter(slots::slot.eq(open.slot.naive_utc()));
        let changes = (slots::ended_at.eq(now.naive_utc()), slots::outcome.eq("failed"));
        on!(conn, raw => diesel::update(row).set(changes).execute(raw)).map_err(failed)?;
    }
    Ok(busy)
}

/// All open slots, oldest first.
///
/// # Errors
/// When the state cannot be read.
pub fn open_slots(conn: &mut Conn) -> Result<Vec<OpenSlot>, StoreError> {
    let query = slots::table.filter(slots::ended_at.is_null()).order((slots::slot, slots::job)).select((
        slots::job,
        slots::slot,
        slots::started_by,
        slots::attempts,
        slots::not_before,
    ));
    type Found = (String, NaiveDateTime, String, i32, NaiveDateTime);
    let found = on!(conn, raw => query.load::<Found>(raw)).map_err(failed)?;
    let slot = |(job, slot, started_by, attempts, not_before): Found| OpenSlot {
        job,
        slot: slot.and_utc(),
        trigger: Trigger::parse(&started_by),
        attempts: attempts.unsigned_abs(),
        not_before: not_before.and_utc(),
    };
    Ok(found.into_iter().map(slot).collect())
}

/// Names the run that works on a slot, if it is still open; gives how many were begun before. Within the transaction
/// that begins the run, under the job's lease.
pub(super) fn take_slot(
    conn: &mut Conn,
    job: &str,
    slot: DateTime<Utc>,
    run: &RunId,
) -> Result<Option<u32>, StoreError> {
    let row = slots::table
        .filter(slots::job.eq(job))
        .filter(slots::slot.eq(slot.naive_utc()))
        .filter(slots::ended_at.is_null());
    let before: Option<i32> =
        on!(conn, raw => row.select(slots::attempts).first::<i32>(raw).optional()).map_err(failed)?;
    let Some(before) = before else { return Ok(None) };
    let changes = (slots::attempts.eq(before + 1), slots::run_id.eq(run.as_str()));
    on!(conn, raw => diesel::update(row).set(changes).execute(raw)).map_err(failed)?;
    Ok(Some(before.unsigned_abs()))
}

/// What becomes of a slot when a run of it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotFate {
    /// It is done, whatever came out.
    Ended,
    /// It is tried again, not before this instant.
    Again(DateTime<Utc>),
    /// It stays open: the daemon stops, and the next one goes on.
    Open,
}

/// Ends a slot, or puts it off; only where `run` is the run that works on it.
pub(super) fn leave_slot(
    conn: &mut Conn,
    run: &RunId,
    fate: SlotFate,
    outcome: &str,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let row = slots::table.filter(slots::run_id.eq(run.as_str())).filter(slots::ended_at.is_null());
    let changed = match fate {
        SlotFate::Open => return Ok(()),
        SlotFate::Again(at) => {
            on!(conn, raw => diesel::update(row).set(slots::not_before.eq(at.naive_utc())).execute(raw))
        }
        SlotFate::Ended => {
            let changes = (slots::ended_at.eq(now.naive_utc()), slots::outcome.eq(outcome));
            on!(conn, raw => diesel::update(row).set(changes).execute(raw))
        }
    };
    changed.map(drop).map_err(failed)
}

/// Ends a slot for which no run shall be begun any more.
///
/// # Errors
/// When the state cannot be written.
pub fn give_up(conn: &mut Conn, open: &OpenSlot, outcome: &str, now: DateTime<Utc>) -> Result<(), StoreError> {
    let row = slots::table
        .filter(slots::job.eq(&open.job))
        .filter(slots::slot.eq(open.slot.naive_utc()))
        .filter(slots::ended_at.is_null());
    let changes = (slots::ended_at.eq(now.naive_utc()), slots::outcome.eq(outcome));
    on!(conn, raw => diesel::update(row).set(changes).execute(raw)).map(drop).map_err(failed)
}

/// The jobs whose lease somebody holds who may be alive. `now` is the state's own time ([`super::server_now`]).
///
/// # Errors
/// When the state cannot be read.
pub fn leased_jobs(conn: &mut Conn, now: DateTime<Utc>) -> Result<BTreeSet<String>, StoreError> {
    let query = leases::table.filter(leases::expires_at.gt(now.naive_utc())).select((leases::job, leases::holder));
    let found = on!(conn, raw => query.load::<(String, String)>(raw)).map_err(failed)?;
    Ok(found.into_iter().filter(|(_, holder)| !holder::is_gone(holder)).map(|(job, _)| job).collect())
}

/// Each job's cursor: nothing at or before it is due any more. A job that is new, or whose schedule's fingerprint has
/// changed, begins now.
///
/// # Errors
/// When the state cannot be read or written.
pub fn cursors(
    conn: &mut Conn,
    jobs: &BTreeMap<String, String>,
    now: DateTime<Utc>,
) -> Result<BTreeMap<String, DateTime<Utc>>, StoreError> {
    let mut attempts = ATTEMPTS;
    loop {
        attempts -= 1;
        match conn.transaction(Access::ReadWrite, |conn| try_cursors(conn, jobs, now)) {
            Err(error) if attempts > 0 && (error.kind == ErrorKind::Constraint || error.is_transient()) => {}
            result => return result,
        }
    }
}

fn try_cursors(
    conn: &mut Conn,
    jobs: &BTreeMap<String, String>,
    now: DateTime<Utc>,
) -> Result<BTreeMap<String, DateTime<Utc>>, StoreError> {
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
            Some((same, since)) if same == fingerprint => *since,
            Some(_) => {
                let changes = (schedules::fingerprint.eq(fingerprint), schedules::since.eq(now.naive_utc()));
                let row = schedules::table.filter(schedules::job.eq(job));
                on!(conn, raw => diesel::update(row).set(changes).execute(raw)).map_err(failed)?;
                now.naive_utc()
            }
            None => {
                let row = (
                    schedules::job.eq(job),
                    schedules::fingerprint.eq(fingerprint),
                    schedules::since.eq(now.naive_utc()),
                );
                on!(conn, raw => diesel::insert_into(schedules::table).values(row).execute(raw)).map_err(failed)?;
                now.naive_utc()
            }
        };
        let latest = latest.get(job).copied().flatten().unwrap_or(since);
        found.insert(job.clone(), since.max(latest).and_utc());
    }
    Ok(found)
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

#[expect(clippy::needless_pass_by_value, reason = "a function for map_err")]
fn failed(error: diesel::result::Error) -> StoreError {
    StoreError::from_catalog(&error)
}
