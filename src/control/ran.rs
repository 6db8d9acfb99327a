//! One run, over: how it ended, and how that is told.

mod show;

use std::time::Duration;

use super::failure::{Exit, exit_of};
use crate::jobs::{Job, Outcome, Report};
use crate::removal::RemovalError;
use crate::store::state::RunId;

/// Why a run was not begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Another process has the job's lease.
    Running {
        /// Its host.
        host: String,
        /// Its number there.
        pid: String,
        /// Whether it works on the very slot.
        same_slot: bool,
    },
    /// The job, or all jobs, are paused.
    Paused,
    /// The slot is done already.
    Done,
    /// The machine's clock is in doubt.
    Clock(String),
}

/// How a run ended.
#[derive(Debug)]
pub enum Ended {
    /// It was not begun.
    Refused(Refusal),
    /// It came to an end.
    With(Outcome),
    /// It failed; what was done before is in the report.
    Failed(RemovalError),
}

/// One run, over.
#[derive(Debug)]
pub struct Ran {
    /// Its id; none when it was refused.
    pub run: Option<RunId>,
    /// What it did.
    pub report: Report,
    /// How it ended.
    pub ended: Ended,
    /// How long it took, planning included.
    pub took: Duration,
    /// Whether its slot will be tried again.
    pub again: bool,
}

impl Ran {
    /// A run that was not begun.
    pub(super) fn refused(why: Refusal) -> Self {
        Self { run: None, report: Report::default(), ended: Ended::Refused(why), took: Duration::ZERO, again: false }
    }

    /// The exit code that the run deserves.
    pub fn exit(&self) -> Exit {
        match &self.ended {
            Ended::Refused(_) | Ended::With(Outcome::Braked | Outcome::Held) => Exit::Braked,
            Ended::With(_) => Exit::Done,
            Ended::Failed(error) => exit_of(error),
        }
    }

    /// The outcome's word; a run that was refused did not succeed either.
    pub fn outcome(&self) -> Outcome {
        match &self.ended {
            Ended::With(outcome) => *outcome,
            Ended::Refused(_) | Ended::Failed(_) => Outcome::Failed,
        }
    }

    /// Why it did not do what it should.
    pub fn error(&self) -> Option<String> {
        match &self.ended {
            Ended::With(_) => None,
            Ended::Refused(Refusal::Running { .. }) => Some("another process runs this job".to_owned()),
            Ended::Refused(Refusal::Paused) => Some("paused".to_owned()),
            Ended::Refused(Refusal::Done) => Some("this was done already".to_owned()),
            Ended::Refused(Refusal::Clock(why)) => Some(why.clone()),
            Ended::Failed(error) => Some(error.to_string()),
        }
    }

    /// The run as `retentiond run --format json` prints it.
    pub fn to_json(&self, job: &dyn Job) -> serde_json::Value {
        let report = &self.report;
        let plan = report.plan.as_ref();
        let cutoff = plan.and_then(|plan| plan.cutoff).map(|at| at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true));
        let mut json = serde_json::json!({
            "job": job.name(),
            "kind": job.kind(),
            "outcome": self.outcome(),
            "cutoff": cutoff,
            "plan": plan.map(|plan| plan.plan.clone()),
            "steps": report.steps,
            "rows": report.rows(),
            "files": report.files(),
            "files_missing": report.missing_files,
            "files_swept": report.swept_files,
            "seconds": report.removing.as_secs_f64(),
            "transactions": transactions(report),
        });
        if let Some(object) = json.as_object_mut() {
            if let Some(plan) = plan.filter(|_| self.outcome() == Outcome::Braked) {
                object.insert("brakes".to_owned(), serde_json::to_value(&plan.brakes).unwrap_or_default());
            }
            if let Some(error) = self.error() {
                object.insert("error".to_owned(), error.into());
            }
        }
        json
    }
}

/// Number, median and longest of the transactions, in milliseconds.
fn transactions(report: &Report) -> serde_json::Value {
    let mut times = report.transactions.clone();
    times.sort();
    let ms = |time: Option<&Duration>| time.map(|time| (time.as_secs_f64() * 10_000.0).round() / 10.0);
    serde_json::json!({ "count": times.len(), "median_ms": ms(times.get(times.len() / 2)), "longest_ms": ms(times.last()) })
}
