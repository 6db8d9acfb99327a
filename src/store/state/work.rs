//! The beginning and the end of a run, each one transaction.
//!
//! **Invariant.** Lease, run record and slot change together: a run that is begun has all three, one that has ended gave
//! all three back. A run whose lease was taken meanwhile ends nothing: the taker has marked its record `interrupted` and
//! bears the slot now.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::lease::{Lease, LeaseError};
use super::runs::{self, End, RunId, RunRecord, Trigger, usual_rows};
use super::slots::{self, SlotFate};
use super::{is_paused, this_process};
use crate::clock::Clock;
use crate::store::{Access, Conn, ErrorKind, StoreError};

/// Two processes that begin at once: the later one looks again.
const ATTEMPTS: usize = 5;

/// The present instant by the state's own clock: all daemons that share it agree on that, whatever their own clocks say.
///
/// # Errors
/// When the state cannot be asked.
pub fn server_now(conn: &mut Conn, clock: Clock) -> Result<DateTime<Utc>, StoreError> {
    let now = clock.now();
    Ok(now + conn.clock_skew(now)?)
}

/// A run that wants to begin.
#[derive(Clone, Debug)]
pub struct NewRun<'a> {
    /// The job.
    pub job: &'a str,
    /// Its kind.
    pub kind: &'a str,
    /// The hash of its policy.
    pub policy_hash: &'a str,
    /// What starts it.
    pub trigger: Trigger,
    /// When it was due; none when a person starts it.
    pub slot: Option<DateTime<Utc>>,
    /// How long its lease holds.
    pub lease: Duration,
}

/// A run that was begun.
#[derive(Clone, Debug)]
pub struct Begun {
    /// Its id.
    pub run: RunId,
    /// Its job's lease.
    pub lease: Lease,
    /// How many runs of the same slot were begun before.
    pub attempts: u32,
    /// The median number of rows of the job's last complete runs.
    pub usual: Option<u64>,
}

/// Why a run was not begun.
#[derive(Debug, thiserror::Error)]
pub enum NotBegun {
    /// Another process has the job's lease.
    #[error("held by {by}")]
    Held {
        /// Who.
        by: String,
        /// Whether the slot was begun there.
        same_slot: bool,
    },
    /// The job, or all jobs, are paused.
    #[error("paused")]
    Paused,
    /// The slot is done.
    #[error("the slot is done")]
    Done,
    /// The state could not be asked.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// Begins a run: takes the job's lease, marks what a dead process left, and names the run that works on the slot.
///
/// # Errors
/// Why it was not begun; nothing was changed then.
pub fn begin(conn: &mut Conn, new: &NewRun<'_>, clock: Clock) -> Result<Begun, NotBegun> {
    let mut attempts = ATTEMPTS;
    loop {
        attempts -= 1;
        let there = server_now(conn, clock)?;
        let begun = conn.transaction(Access::ReadWrite, |conn| try_begin(conn, new, there, clock.now()));
        match begun {
            Err(NotBegun::Store(error))
                if attempts > 0 && (error.kind == ErrorKind::Constraint || error.is_transient()) => {}
            result => return result,
        }
    }
}

fn try_begin(conn: &mut Conn, new: &NewRun<'_>, there: DateTime<Utc>, now: DateTime<Utc>) -> Result<Begun, NotBegun> {
    let lease = match Lease::acquire(conn, new.job, &this_process(), there, new.lease) {
        Ok(lease) => lease,
        Err(LeaseError::Held { by, .. }) => {
            return Err(match new.slot.map(|slot| slots::is_begun(conn, new.job, slot)).transpose()? {
                Some(None) => NotBegun::Done,
                begun => NotBegun::Held { by, same_slot: begun.flatten().unwrap_or_default() },
            });
        }
        Err(LeaseError::Store(error)) => return Err(error.into()),
    };
    if is_paused(conn, new.job)? {
        return Err(NotBegun::Paused);
    }
    let run = runs::new_run_id(now);
    let attempts = match new.slot {
        None => 0,
        Some(slot) => slots::take_slot(conn, new.job, slot, &run)?.ok_or(NotBegun::Done)?,
    };
    runs::mark_interrupted(conn, new.job, now)?;
    let trigger = if attempts > 0 { Trigger::Retry } else { new.trigger };
    let record = RunRecord {
        id: run.as_str().to_owned(),
        job: new.job.to_owned(),
        kind: new.kind.to_owned(),
        policy_hash: new.policy_hash.to_owned(),
        started_at: now.naive_utc(),
        ended_at: None,
        outcome: None,
        cutoff: None,
        row_count: 0,
        file_count: 0,
        host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        note: None,
        slot: new.slot.map(|slot| slot.naive_utc()),
        started_by: Some(trigger.as_str().to_owned()),
    };
    runs::insert_run(conn, &record)?;
    let usual = usual_rows(conn, new.job)?;
    Ok(Begun { run, lease, attempts, usual })
}

/// Ends a run, and gives its lease back; `false` when somebody else has taken the job over meanwhile.
///
/// # Errors
/// When the state cannot be written; nothing was changed then.
pub fn end(conn: &mut Conn, begun: &Begun, end: &End, fate: SlotFate, clock: Clock) -> Result<bool, StoreError> {
    let mut attempts = ATTEMPTS;
    loop {
        attempts -= 1;
        let ended = conn.transaction(Access::ReadWrite, |conn| {
            let now = clock.now();
            if !runs::finish_run(conn, &begun.run, end, now)? {
                return Ok(false);
            }
            for step in &end.steps {
                runs::record_step(conn, &begun.run, step)?;
            }
            slots::leave_slot(conn, &begun.run, fate, end.outcome, now)?;
            begun.lease.release(conn)?;
            Ok::<bool, StoreError>(true)
        });
        match ended {
            Err(error) if attempts > 0 && error.is_transient() => {}
            result => return result,
        }
    }
}
