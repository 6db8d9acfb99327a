//! One run of one job: under its lease, against stores whose clocks and gates were looked at, and remembered.
//!
//! **Invariant.** Nothing is begun without the job's lease, nor by a clock that is in doubt; every batch carries the
//! lease's fencing token into the store's own transaction; between batches the stop flag, the pause switch and the
//! lease are asked. Whatever ends the run, a panic included, its record has an outcome, and a run that was killed is
//! found without one and marked `interrupted` by the next.

mod occasion;

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::approving::Approvals;
use super::auditing;
use super::clocks;
use super::failure::Failure;
use super::forgetting::forget_old;
use super::holding;
use super::keeper::Keeper;
use super::marks::Marks;
use super::panics::caught;
use super::ran::{Ended, Ran, Refusal};
use super::recording::{self, Trail};
use super::requests::Counter;
use super::site::Site;
use crate::clock::{Clock, uptime};
use crate::jobs::session::RunProgress;
use crate::jobs::{Job, KINDS, Outcome, Report, Session};
use crate::names::StoreName;
use crate::plan::BrakeName;
use crate::removal::{Halt, Permit, RemovalError};
use crate::stop::Stop;
use crate::store::pool::Database;
use crate::store::state::{self, Begun, End, Lease, NewRun, NotBegun, SlotFate};
use crate::store::{StoreError, gate};
use crate::trail::{Act, RunTrail};

pub use occasion::{Because, Cause, Occasion};

/// For so long the end of a run is tried to be written down.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a run is started with, besides the site.
pub struct Options {
    /// Brakes released.
    pub released: Vec<BrakeName>,
    /// No waiting.
    pub unpaced: bool,
    /// Whatever the window says.
    pub outside_window: bool,
    /// The clock.
    pub clock: Clock,
    /// The stop flag.
    pub stop: Stop,
    /// Why the flag was raised.
    pub cause: Cause,
    /// Why it runs.
    pub occasion: Occasion,
    /// How long its lease holds without being renewed.
    pub lease: Duration,
}

/// Runs one job under its lease, and remembers the run.
///
/// # Errors
/// When retentiond's own state fails; errors of the job are part of the answer.
pub fn run_job(
    site: &Site,
    memory: &Database,
    job: &dyn Job,
    options: &Options,
    progress: &mut dyn RunProgress,
) -> Result<Ran, Failure> {
    let name = job.name().as_str();
    let policy = job.policy_hash();
    let ran = remembered(memory, name, job.kind(), &policy, options, |begun, keeper, (trail, interrupted), report| {
        let now = options.clock.now();
        if let Some(doubt) = options.occasion.doubt(now) {
            return Err(RemovalError::Doubt(doubt));
        }
        let accepted = state::accepted_store_clocks(&mut *memory.conn()?)?;
        prepare_stores(site, job, (&begun.lease, options.lease), now, &accepted, trail)?;
        if let Some(interrupted) = interrupted {
            recording::count_again(site, job, trail, interrupted)?;
        }
        holding::refresh(site, memory, &job.stores(&site.graph), now)?;
        let stores = job.stores(&site.graph);
        let marks = if job.mends() {
            Marks::none(name)
        } else {
            Marks::look(site, memory, name, &stores, (begun.run.as_str(), now))?
        };
        let mut permit = Held { memory, keeper, name, options, marks: &marks, trail };
        let by_hand = !matches!(options.occasion, Occasion::Slot { .. });
        let mut approver = Approvals::of(site, memory, job, begun.run.as_str(), by_hand, options.clock)?;
        let mut desk = Counter { site, memory, clock: options.clock };
        let mut session = Session {
            look: site.look(memory, now, begun.usual),
            clock: options.clock,
            stop: options.stop.clone(),
            run: begun.run.as_str().to_owned(),
            token: begun.lease.token(),
            ledgers: site.ledgers.clone(),
            released: options.released.clone(),
            unpaced: options.unpaced,
            outside_window: options.outside_window,
            approver: &mut approver,
            permit: &mut permit,
            desk: &mut desk,
            progress,
        };
        let ended = job.run(&mut session, report);
        marks.keep(memory)?;
        ended
    })?;
    let forgot = forget_old(&mut *memory.conn()?, &site.loaded.document, options.clock);
    if let Err(error) = forgot {
        tracing::warn!(%error, "the state's old runs could not be forgotten");
    }
    auditing::checkpoint(&site.loaded.document, memory, options.clock);
    Ok(ran)
}

/// Remembers a run that failed before its job could be looked at: a store was away, the map does not fit any more.
///
/// # Errors
/// When retentiond's own state fails.
pub fn fail_job(
    memory: &Database,
    name: &str,
    kind: &str,
    options: &Options,
    error: RemovalError,
) -> Result<Ran, Failure> {
    let kind = KINDS.iter().find(|known| known.name == kind).map_or("unknown", |known| known.name);
    remembered(memory, name, kind, "", options, |_, _, _, _| Err(error))
}

/// Does something as a run: under the job's lease, with a record.
fn remembered(
    memory: &Database,
    name: &str,
    kind: &'static str,
    policy_hash: &str,
    options: &Options,
    work: impl FnOnce(&Begun, &Keeper, Trail<'_>, &mut Report) -> Result<Outcome, RemovalError>,
) -> Result<Ran, Failure> {
    if let Some(doubt) = options.occasion.doubt(options.clock.now()) {
        return Ok(Ran::refused(Refusal::Clock(doubt)));
    }
    let asked = uptime();
    let new = NewRun {
        job: name,
        kind,
        policy_hash,
        trigger: options.occasion.trigger(),
        slot: options.occasion.slot(),
        lease: options.lease,
    };
    let begun = state::begin(&mut *memory.conn()?, &new, options.clock);
    let begun = match begun {
        Ok(begun) => begun,
        Err(NotBegun::Held { by, same_slot }) => {
            let mut parts = by.split(':').map(str::to_owned);
            let (host, pid) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            return Ok(Ran::refused(Refusal::Running { host, pid, same_slot }));
        }
        Err(NotBegun::Paused) => return Ok(Ran::refused(Refusal::Paused)),
        Err(NotBegun::Done) => return Ok(Ran::refused(Refusal::Done)),
        Err(NotBegun::Store(error)) => return Err(error.into()),
    };
    options.occasion.begun();
    let keeper = Keeper::start(memory, &begun.lease, options.clock, options.lease, asked);
    let mut report = Report::default();
    let (trail, ended) = match recording::begin(memory, (begun.run.as_str(), name, policy_hash), kind, options) {
        Ok((trail, interrupted)) => {
            let ended = caught(|| work(&begun, &keeper, (&trail, interrupted.as_ref()), &mut report))
                .unwrap_or_else(|place| Err(RemovalError::Doubt(format!("{place}; this is a mistake in retentiond"))));
            (Some(trail), ended)
        }
        Err(error) => (None, Err(error)),
    };
    drop(keeper);
    if let Some(trail) = &trail {
        recording::end(trail, &report, &ended);
    }
    let fate = options.occasion.afterwards(&ended, begun.attempts);
    let ours = write_end(memory, &begun, &recording::end_of(&report, &ended), fate, options)?;
    let ended = if ours { ended } else { Err(RemovalError::Overtaken) };
    Ok(Ran {
        run: Some(begun.run),
        report,
        ended: ended.map_or_else(Ended::Failed, Ended::With),
        took: uptime().saturating_sub(asked),
        again: ours && fate != SlotFate::Ended,
    })
}

/// Writes down how a run ended; while the state is away, for a while over and over.
fn write_end(
    memory: &Database,
    begun: &Begun,
    end: &End,
    fate: SlotFate,
    options: &Options,
) -> Result<bool, StoreError> {
    let started = uptime();
    loop {
        let written = memory.conn().and_then(|mut conn| state::end(&mut conn, begun, end, fate, options.clock));
        match written {
            Err(error) if uptime().saturating_sub(started) < PATIENCE && !options.stop.is_raised() => {
                tracing::warn!(%error, run = begun.run.as_str(), "the end of a run cannot be written down yet");
                std::thread::sleep(Duration::from_secs(1));
            }
            result => return result,
        }
    }
}

/// Before the first batch: the stores' clocks agree with ours, and their gates know our token.
fn prepare_stores(
    site: &Site,
    job: &dyn Job,
    (lease, patience): (&Lease, Duration),
    now: DateTime<Utc>,
    accepted: &BTreeMap<String, i64>,
    trail: &RunTrail,
) -> Result<(), RemovalError> {
    for store in job.stores(&site.graph) {
        let Some(database) = site.stores.database(&store) else { continue };
        let mut conn = database.conn()?;
        let agreed = accepted.get(store.as_str()).copied().unwrap_or_default();
        if let Some(skew) = clocks::skew(&mut conn, now, agreed)? {
            trail.record(vec![Act::ClockDoubt { store: Some(store.clone()), seconds: skew }])?;
            return Err(RemovalError::Doubt(format!(
                "the clock of store `{store}` and ours differ by {skew} s; until they agree, or `retentiond accept-clock` accepts it, nothing is removed"
            )));
        }
        if site.ledgers.get(&store).copied().unwrap_or_default() {
            raise_gate(&mut conn, job.name().as_str(), lease.token(), patience)?;
        }
    }
    Ok(())
}

/// Raises a store's gate to our token, and waits for a batch in flight there: the server may still be at the last one of
/// a process that was killed a moment ago.
fn raise_gate(conn: &mut crate::store::Conn, job: &str, token: i64, patience: Duration) -> Result<(), RemovalError> {
    let started = uptime();
    loop {
        match gate::raise(conn, job, token) {
            Ok(()) => return Ok(()),
            Err(gate::GateError::Overtaken) => return Err(RemovalError::Overtaken),
            Err(gate::GateError::Store(error))
                if error.is_transient() && uptime().saturating_sub(started) < patience =>
            {
                std::thread::sleep(Duration::from_millis(50));
            }
            Err(gate::GateError::Store(error)) => return Err(error.into()),
        }
    }
}

/// Asked between batches: the stop flag, the pause switch, the lease.
struct Held<'a> {
    memory: &'a Database,
    keeper: &'a Keeper,
    name: &'a str,
    options: &'a Options,
    marks: &'a Marks,
    trail: &'a RunTrail,
}

impl Permit for Held<'_> {
    fn next(&mut self) -> Result<Option<Halt>, RemovalError> {
        if self.options.stop.is_raised() {
            return match self.options.cause.said() {
                None => Ok(Some(Halt::Stopped)),
                Some(Because::Blackout) => Ok(Some(Halt::Truncated)),
                Some(Because::Timeout) => Err(RemovalError::Doubt(
                    "it took longer than its timeout and was stopped between two batches; what they did stays done"
                        .to_owned(),
                )),
            };
        }
        self.keeper.hold()?;
        if state::is_paused(&mut *self.memory.conn()?, self.name)? {
            return Ok(Some(Halt::Stopped));
        }
        Ok(None)
    }

    fn holds(&self) -> bool {
        self.keeper.holds()
    }

    fn last_batch(&self, store: &StoreName) -> Option<String> {
        self.marks.last(store)
    }

    fn committed(&self, store: &StoreName, batch: &str) {
        self.marks.committed(store, batch);
    }

    fn unsettled(&self, store: &StoreName) {
        self.marks.unsettled(store);
    }

    fn trail(&self) -> &RunTrail {
        self.trail
    }
}

#[cfg(test)]
mod tests;
