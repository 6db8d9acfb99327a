//! The trail of one run: its beginning, what it does, and its end.
//!
//! Batches take a twentieth of a second each, and a record takes a commit of its own, so they are recorded by the stretch:
//! an intent names the numbers of the batches that may follow, before the first of them begins, and when the stretch is
//! over what the databases counted in it is recorded. The ledger in each database has every single batch.
//!
//! **Invariant.** No batch begins whose number no intent on disk names ([`RunTrail::intend`] is asked where the batch's
//! transaction begins). A run that has begun has one end: one that was killed gets it from the next run of its job, before
//! that begins; one that lost its job to another writes none.

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
}

impl Stretch {
    fn covers(&self, batch: u64) -> bool {
        self.open.is_some_and(|(first, last, begun)| {
            (first..=last).contains(&batch) && uptime().saturating_sub(begun) < LENGTH
        })
    }

    /// What the stretch did, and the end of it.
    fn close(&mut self) -> Option<Act> {
        let (first, ..) = self.open.take()?;
        let sum = |((data, action), (rows, files))| Sum { data, action, rows, files };
        let sums = std::mem::take(&mut self.sums).into_iter().map(sum).collect();
        Some(Act::BatchesDone { first, last: self.latest.max(first), sums })
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
        let done = stretch.close();
        self.record(done.into_iter().chain([Act::BatchesIntent { first, last }]).collect())?;
        stretch.open = Some((first, last, uptime()));
        stretch.latest = 0;
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

    /// Records what the last batches did, and how the run ended; nothing when somebody else has ended it.
    ///
    /// # Errors
    /// When the trail cannot be written.
    pub fn end(&self, outcome: &'static str) -> Result<(), TrailError> {
        let mut stretch = self.stretch.borrow_mut();
        let (rows, files) = (stretch.rows, stretch.files);
        let ended = Act::RunEnd { outcome, rows, files, unknown: None };
        let acts = stretch.close().into_iter().chain([ended]);
        let entries: Vec<Entry> = acts.map(|act| Entry { act, ..self.blank.clone() }).collect();
        match self.write(entries) {
            Err(TrailError::Ended) => Ok(()),
            other => other,
        }
    }
}

/// The last run of a job, if it has no end, and the end that it deserves.
fn unended(conn: &mut Conn, job: &JobName) -> Result<Option<(Digest, Act)>, StoreError> {
    let Some((_, run)) = state::last_of_job(conn, job.as_str(), "run.begin")? else { return Ok(None) };
    let records = state::trail_of_run(conn, &run)?;
    if records.iter().any(|(kind, _)| kind == "run.end") {
        return Ok(None);
    }
    let (mut rows, mut files, mut unknown) = (0, 0, None);
    for (kind, body) in &records {
        let Some(record) = canonical::decode(body) else { continue };
        let number = |name: &str| record["d"][name].as_u64().unwrap_or_default();
        match kind.as_str() {
            "batches.intent" => unknown = Some((number("first"), number("last"))),
            "batches.done" => {
                (rows, files) = (rows + number("rows"), files + number("files"));
                unknown = None;
            }
            _ => {}
        }
    }
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
