//! Slots: when a job was due, and what became of it.
//!
//! **Invariant.** A job has one row for each slot, whatever number of daemons came upon it: who inserts it has claimed it,
//! for all. It is open until it has ended; a run of it begins only under the job's lease and only while it is open, and
//! only the run that the row names ends it. So each slot is done once, and what a killed daemon leaves is found open. The
//! latest slot of a job is its cursor (`schedules`): nothing before it is looked at again.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::prelude::*;

use super::runs::RunId;
use super::schema::{leases, slots};
use super::{Trigger, holder};
use crate::store::conn::on;
use crate::store::{Access, Backend, Conn, ErrorKind, StoreError};

/// So many rows go into one statement.
const CHUNK: usize = 500;
/// Two daemons that claim the same slots at once: the later one looks again.
pub(super) const ATTEMPTS: usize = 5;

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
    /// Its row was there already.
    Known {
        /// Whether it is still open.
        open: bool,
    },
}

/// The outcome of a slot that was left out because the run before had not ended.
pub const OVERLAP: &str = "overlap";

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
    let known = slots::table.filter(slots::slot.between(first.naive_utc(), last.naive_utc())).select((
        slots::job,
        slots::slot,
        slots::ended_at.is_null(),
    ));
    let known = on!(conn, raw => known.load::<(String, NaiveDateTime, bool)>(raw)).map_err(failed)?;
    let known: BTreeMap<(String, NaiveDateTime), bool> =
        known.into_iter().map(|(job, slot, open)| ((job, slot), open)).collect();
    let mut busy = supersede(conn, new, now)?;
    let mut claimed = Vec::new();
    let mut rows = Vec::new();
    for new in new {
        if let Some(open) = known.get(&(new.job.clone(), new.slot.naive_utc())) {
            claimed.push(Claimed::Known { open: *open });
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
    let found = on!(conn, raw => query.load::<Found>(raw)).map_err(failed)?;
    Ok(found.into_iter().map(open_slot).collect())
}

type Found = (String, NaiveDateTime, String, i32, NaiveDateTime);

fn open_slot((job, slot, started_by, attempts, not_before): Found) -> OpenSlot {
    OpenSlot {
        job,
        slot: slot.and_utc(),
        trigger: Trigger::parse(&started_by),
        attempts: attempts.unsigned_abs(),
        not_before: not_before.and_utc(),
    }
}

/// Whether a run works on a slot, or did: `None` when it is done, or not there.
pub(super) fn is_begun(conn: &mut Conn, job: &str, slot: DateTime<Utc>) -> Result<Option<bool>, StoreError> {
    let row = slots::table
        .filter(slots::job.eq(job))
        .filter(slots::slot.eq(slot.naive_utc()))
        .filter(slots::ended_at.is_null());
    on!(conn, raw => row.select(slots::attempts).first::<i32>(raw).optional())
        .map(|found| found.map(|attempts| attempts > 0))
        .map_err(failed)
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
pub fn give_up(
    conn: &mut Conn,
    job: &str,
    slot: DateTime<Utc>,
    outcome: &str,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let row = slots::table
        .filter(slots::job.eq(job))
        .filter(slots::slot.eq(slot.naive_utc()))
        .filter(slots::ended_at.is_null());
    let changes = (slots::ended_at.eq(now.naive_utc()), slots::outcome.eq(outcome));
    on!(conn, raw => diesel::update(row).set(changes).execute(raw)).map(drop).map_err(failed)
}

/// Open slots on which nobody works: their daemon died or was stopped, or a retry is due that nobody came for. A slot
/// that was claimed less than `grace` ago and not begun yet may still be on its way. `there` is the state's own time
/// ([`super::server_now`]).
///
/// # Errors
/// When the state cannot be read.
pub fn orphans(
    conn: &mut Conn,
    grace: std::time::Duration,
    now: DateTime<Utc>,
    there: DateTime<Utc>,
) -> Result<Vec<OpenSlot>, StoreError> {
    let fresh = (now - grace).naive_utc();
    let query = slots::table
        .filter(slots::ended_at.is_null())
        .filter(slots::not_before.le(now.naive_utc()))
        .filter(slots::attempts.gt(0).or(slots::claimed_at.lt(fresh)))
        .order((slots::slot, slots::job))
        .select((slots::job, slots::slot, slots::started_by, slots::attempts, slots::not_before));
    let found = on!(conn, raw => query.load::<Found>(raw)).map_err(failed)?;
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let held = leases::table.filter(leases::expires_at.gt(there.naive_utc())).select((leases::job, leases::holder));
    let held = on!(conn, raw => held.load::<(String, String)>(raw)).map_err(failed)?;
    let mut seen: BTreeSet<String> =
        held.into_iter().filter(|(_, holder)| !holder::is_gone(holder)).map(|(job, _)| job).collect();
    // One at a time of each job, the oldest first.
    Ok(found.into_iter().map(open_slot).filter(|open| seen.insert(open.job.clone())).collect())
}

#[expect(clippy::needless_pass_by_value, reason = "a function for map_err")]
pub(super) fn failed(error: diesel::result::Error) -> StoreError {
    StoreError::from_catalog(&error)
}
