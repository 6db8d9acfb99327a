//! The trail of one run: its beginning, what it does, and its end.
//!
//! Batches take a twentieth of a second each, and a record takes a commit of its own, so they are recorded by the stretch:
//! an intent names the numbers of the batches that may follow, before the first of them begins, and when the stretch is
//! over what the databases counted in it is recorded. The ledger in each database has every single batch.
//!
//! **Invariant.** No batch begins whose number no intent on disk names ([`RunTrail::intend`] is asked where the batch's
//! transaction begins). A run that has begun has one end: one that was killed gets it from the next run of its job, before
//! that begins; one that lost its job to another writes none. What could not be written is not lost: it is written with
//! what comes next, and when nobody knows whether it was written (a connection that broke at the commit), the trail is
//! asked first. So an error that passes never makes a trail that does not add up. Tests: `trail`, `states`.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use super::TrailError;
use super::act::{Act, Sum};
use super::append::{add, with_trail};
use super::canonical::{self, Digest};
use super::record::Entry;
use crate::clock::{Clock, uptime};
use crate::names::{DataName, JobName};
use crate::store::pool::Database;
use crate::store::state;
use crate::store::{Conn, StoreError};

/// A stretch has at most so many batches …
const BATCHES: u64 = 100;
/// … and what it did is recorded after so long.
const LENGTH: Duration = Duration::from_secs(10);
/// The end of a run is tried so often before it is left to the job's next run …
const ATTEMPTS: u32 = 3;
/// … with as much between.
const PAUSE: Duration = Duration::from_millis(300);

/// Rows and files of one entry that a batch did something with.
pub type Count<'a> = (&'a DataName, &'static str, u64, u64);

/// A run that writes its trail.
pub struct RunTrail {
    memory: Database,
    clock: Clock,
    blank: Entry,
    stretch: RefCell<Stretch>,
}

#[derive(Default)]
struct Stretch {
    /// First and last number, and when it began.
    open: Option<(u64, u64, Duration)>,
    latest: u64,
    sums: BTreeMap<(DataName, &'static str), (u64, u64)>,
    rows: u64,
    files: u64,
    /// A record could not be written, or was and nobody knows.
    doubt: bool,
}

impl Stretch {
    fn covers(&self, batch: u64) -> bool {
        self.open.is_some_and(|(first, last, begun)| {
            (first..=last).contains(&batch) && uptime().saturating_sub(begun) < LENGTH
        })
    }

    /// What has to be said of a stretch that the trail holds open: what was done in it.
    fn done(&self, open: Option<(u64, u64)>) -> Option<Act> {
        let (first, last) = open?;
        // One that this process does not know was announced by a record of which it was told that it failed.
        let known = self.open.is_some_and(|(ours, until, _)| (ours, until) == (first, last));
        let sum = |((data, action), (rows, files)): (&(DataName, &'static str), &(u64, u64))| Sum {
            data: data.clone(),
            action,
            rows: *rows,
            files: *files,
        };
        let sums = if known { self.sums.iter().map(sum).collect() } else { Vec::new() };
        Some(Act::BatchesDone { first, last: if known { self.latest.max(first) } else { first }, sums })
    }

    /// That was written.
    fn close(&mut self) {
        (self.open, self.latest, self.doubt) = (None, 0, false);
        self.sums.clear();
    }
}

impl RunTrail {
    /// Records that a run begins; gives its trail, and the run of the same job that was interrupted before it, if any.
    ///
    /// # Errors
    /// When the trail cannot be written: then nothing may be done.
    pub fn begin(
        memory: &Database,
        clock: Clock,
        (run, job, policy): (&str, &JobName, &str),
        (kind, trigger): (&'static str, &'static str),
    ) -> Result<(Self, Option<Digest>), TrailError> {
        let blank = Entry { run: Digest::parse(run), policy: Digest::parse(policy), ..Entry::new(Act::Boot).job(job) };
        let begin = Entry { act: Act::RunBegin { kind, trigger }, ..blank.clone() };
        let interrupted = with_trail(&mut *memory.conn()?, |conn, tip| {
            let left = unended(conn, job)?;
            let end =
                left.as_ref().map(|(run, act)| Entry { run: Some(run.clone()), ..Entry::new(act.clone()).job(job) });
            let entries: Vec<Entry> = end.into_iter().chain([begin.clone()]).collect();
            add(conn, tip, clock, &entries)?;
            Ok(left.map(|(run, _)| run))
        })?;
        Ok((Self { memory: memory.clone(), clock, blank, stretch: RefCell::default() }, interrupted))
    }

    /// Records something that this run does.
    ///
    /// # Errors
    /// When the trail cannot be written: then it must not be done.
    pub fn record(&self, acts: Vec<Act>) -> Result<(), TrailError> {
        self.write(acts.into_iter().map(|act| Entry { act, ..self.blank.clone() }).collect())
    }

    /// Records something that this run does by a plan.
    ///
    /// # Errors
    /// When the trail cannot be written: then it must not be done.
    pub fn record_plan(&self, acts: Vec<Act>, plan: &str, schema: &str) -> Result<(), TrailError> {
        let blank = Entry { plan: Digest::parse(plan), schema: Digest::parse(schema), ..self.blank.clone() };
        self.write(acts.into_iter().map(|act| Entry { act, ..blank.clone() }).collect())
    }

    fn write(&self, entries: Vec<Entry>) -> Result<(), TrailError> {
        if entries.is_empty() {
            return Ok(());
        }
        with_trail(&mut *self.memory.conn()?, |conn, tip| {
            if self.is_ended(conn)? {
                return Err(TrailError::Ended);
            }
            add(conn, tip, self.clock, &entries).map(drop)
        })
    }

    /// Whether somebody has recorded the end of this run: nothing comes after that.
    fn is_ended(&self, conn: &mut Conn) -> Result<bool, StoreError> {
        let Some(run) = &self.blank.run else { return Ok(false) };
        Ok(state::last_of_run(conn, run.as_str())?.is_some_and(|kind| kind == "run.end"))
    }

    /// Whether a batch needs a record before it begins: what was done so far should be on disk then.
    pub fn is_due(&self, batch: u64) -> bool {
        !self.stretch.borrow().covers(batch)
    }

    /// A batch is about to begin.
    ///
    /// # Errors
    /// When the trail cannot be written: then the batch must not begin.
    pub fn intend(&self, batch: u64) -> Result<(), TrailError> {
        let mut stretch = self.stretch.borrow_mut();
        if stretch.covers(batch) {
            return Ok(());
        }
        let (first, last) = (batch, batch.saturating_add(BATCHES - 1));
        self.turn(&mut stretch, vec![Act::BatchesIntent { first, last }])?;
        stretch.open = Some((first, last, uptime()));
        Ok(())
    }

    /// Records what the stretch did, and what comes after it.
    fn turn(&self, stretch: &mut Stretch, next: Vec<Act>) -> Result<(), TrailError> {
        let entry = |act: Act| Entry { act, ..self.blank.clone() };
        let written = self.memory.conn().map_err(TrailError::from).and_then(|mut conn| {
            with_trail(&mut conn, |conn, tip| {
                if self.is_ended(conn)? {
                    return Err(TrailError::Ended);
                }
                let open = match &self.blank.run {
                    Some(run) if stretch.doubt => open_intent(&state::trail_of_run(conn, run.as_str())?),
                    _ => stretch.open.map(|(first, last, _)| (first, last)),
                };
                let entries: Vec<Entry> = stretch.done(open).into_iter().chain(next.clone()).map(entry).collect();
                add(conn, tip, self.clock, &entries)
            })
        });
        match written {
            Ok(_) => stretch.close(),
            Err(error) => {
                stretch.doubt = true;
                return Err(error);
            }
        }
        Ok(())
    }

    /// A batch was committed.
    pub fn done<'a>(&self, batch: u64, counts: impl Iterator<Item = Count<'a>>) {
        let mut stretch = self.stretch.borrow_mut();
        stretch.latest = stretch.latest.max(batch);
        for (data, action, rows, files) in counts.filter(|(.., rows, files)| rows + files > 0) {
            let sum = stretch.sums.entry((data.clone(), action)).or_default();
            (sum.0, sum.1) = (sum.0 + rows, sum.1 + files);
            (stretch.rows, stretch.files) = (stretch.rows + rows, stretch.files + files);
        }
    }

    /// Rows and files of all batches.
    pub fn totals(&self) -> (u64, u64) {
        let stretch = self.stretch.borrow();
        (stretch.rows, stretch.files)
    }

    /// Records what the last batches did, what stopped the run, if anything did, and how it ended; nothing when somebody
    /// else has ended it.
    ///
    /// # Errors
    /// When the trail cannot be written.
    pub fn end(&self, outcome: &'static str, refused: Option<&'static str>) -> Result<(), TrailError> {
        let mut stretch = self.stretch.borrow_mut();
        let (rows, files) = (stretch.rows, stretch.files);
        let ended = Act::RunEnd { outcome, rows, files, unknown: None };
        let acts: Vec<Act> =
            refused.map(|why| Act::Refusal { why, command: None }).into_iter().chain([ended]).collect();
        let mut attempts = ATTEMPTS;
        loop {
            attempts -= 1;
            match self.turn(&mut stretch, acts.clone()) {
                Err(TrailError::Ended) => return Ok(()),
                Err(_) if attempts > 0 => std::thread::sleep(PAUSE),
                other => return other,
            }
        }
    }
}

/// The batches that the records of a run announce, and do not say to be done.
fn open_intent(records: &[(String, String)]) -> Option<(u64, u64)> {
    records.iter().fold(None, |open, (kind, body)| match kind.as_str() {
        "batches.intent" => {
            let record = canonical::decode(body).unwrap_or_default();
            Some((record["d"]["first"].as_u64().unwrap_or_default(), record["d"]["last"].as_u64().unwrap_or_default()))
        }
        "batches.done" => None,
        _ => open,
    })
}

/// The last run of a job, if it has no end, and the end that it deserves.
fn unended(conn: &mut Conn, job: &JobName) -> Result<Option<(Digest, Act)>, StoreError> {
    let Some((_, run)) = state::last_of_job(conn, job.as_str(), "run.begin")? else { return Ok(None) };
    let records = state::trail_of_run(conn, &run)?;
    if records.iter().any(|(kind, _)| kind == "run.end") {
        return Ok(None);
    }
    let (mut rows, mut files) = (0, 0);
    for (_, body) in records.iter().filter(|(kind, _)| kind == "batches.done") {
        let Some(record) = canonical::decode(body) else { continue };
        let number = |name: &str| record["d"][name].as_u64().unwrap_or_default();
        (rows, files) = (rows + number("rows"), files + number("files"));
    }
    let unknown = open_intent(&records);
    let end = Act::RunEnd { outcome: "interrupted", rows, files, unknown };
    Ok(Digest::parse(&run).map(|run| (run, end)))
}

/// Records acts outside of any run, in this order.
///
/// # Errors
/// When the trail cannot be written: then they must not be done.
pub fn record(memory: &Database, clock: Clock, entries: Vec<Entry>) -> Result<(), TrailError> {
    super::append(&mut *memory.conn()?, clock, &entries).map(drop)
}
