//! What runs and people do, as the trail has it.
//!
//! **Invariant.** A run whose beginning could not be recorded does nothing. Its end stands in the trail before the state
//! says so.

use sha2::{Digest as _, Sha256};

use super::roles;
use super::runner::Options;
use super::site::Site;
use crate::clock::Clock;
use crate::holds::About;
use crate::jobs::{Job, Outcome, Report};
use crate::names::JobName;
use crate::removal::RemovalError;
use crate::store::ledger;
use crate::store::pool::Database;
use crate::store::state::{End, NewStep};
use crate::trail::{self, Act, Digest, Entry, RunTrail, act};

/// The trail of a run, and the run of its job that was interrupted before it.
pub(super) type Trail<'a> = (&'a RunTrail, Option<&'a Digest>);

/// Nothing is done by a run whose beginning is not in the trail.
pub(super) fn begin(
    memory: &Database,
    (run, name, policy): (&str, &str, &str),
    kind: &'static str,
    options: &Options,
) -> Result<(RunTrail, Option<Digest>), RemovalError> {
    let job = name.parse().map_err(|error| RemovalError::Doubt(format!("`{name}`: {error}")))?;
    let about = (kind, options.occasion.trigger().as_str());
    Ok(RunTrail::begin(memory, options.clock, (run, &job, policy), about)?)
}

/// The end stands in the trail before the state says so. When it cannot be written, the job's next run writes it.
pub(super) fn end(trail: &RunTrail, report: &Report, ended: &Result<Outcome, RemovalError>) {
    if trail.totals() != (report.rows(), report.files()) {
        let (rows, files) = trail.totals();
        tracing::debug!(rows, files, "the batches of the run are not the sum of its steps");
    }
    let (outcome, why) = match ended {
        Ok(outcome) => (*outcome, None),
        Err(error) => (Outcome::Failed, Some(class(error))),
    };
    if let Err(error) = trail.end(outcome.as_str(), why) {
        tracing::error!(%error, "the end of a run is not in the audit trail");
    }
}

/// What is remembered of a run.
pub(super) fn end_of(report: &Report, ended: &Result<Outcome, RemovalError>) -> End {
    let step = |(position, step): (usize, &crate::plan::Step)| NewStep {
        position: i32::try_from(position).unwrap_or(i32::MAX),
        data: step.data.to_string(),
        store: step.store.to_string(),
        action: step.action.as_str().to_owned(),
        rule: Some(step.rule.clone()),
        rows: step.rows,
        files: step.files,
        held: step.held,
        cutoff: step.cutoff,
    };
    let (outcome, note) = match ended {
        Ok(outcome) => (outcome.as_str(), None),
        Err(error) => (Outcome::Failed.as_str(), Some(error.to_string())),
    };
    End {
        outcome,
        cutoff: report.plan.as_ref().and_then(|plan| plan.cutoff),
        rows: report.rows(),
        files: report.files(),
        note,
        steps: report.steps.iter().enumerate().map(step).collect(),
    }
}

/// What stopped a run, without its words.
fn class(error: &RemovalError) -> &'static str {
    match error {
        RemovalError::Store(_) => "store",
        RemovalError::Files(_) => "files",
        RemovalError::Overtaken => "overtaken",
        RemovalError::Doubt(_) => "doubt",
        RemovalError::Mail(_) => "mail",
        RemovalError::Refused(_) => "refused",
    }
}

/// What the ledgers know of a run that was killed: its last batches may be in none of its records.
pub(super) fn count_again(
    site: &Site,
    job: &dyn Job,
    trail: &RunTrail,
    interrupted: &Digest,
) -> Result<(), RemovalError> {
    let (mut rows, mut files) = (0, 0);
    for store in job.stores(&site.graph).iter().filter(|store| site.ledgers.get(*store) == Some(&true)) {
        let Some(database) = site.stores.database(store) else { continue };
        let found = ledger::sum(&mut *database.conn()?, interrupted.as_str())?;
        (rows, files) = (rows + found.0, files + found.1);
    }
    Ok(trail.record(vec![Act::RunFound { interrupted: interrupted.clone(), rows, files }])?)
}

/// Records what somebody does outside of any run.
pub(super) fn note(memory: &Database, act: Act) -> Result<(), trail::TrailError> {
    trail::record(memory, Clock::system(), vec![Entry::new(act)])
}

/// The same for a job.
pub(super) fn note_for(memory: &Database, job: &JobName, act: Act) -> Result<(), trail::TrailError> {
    trail::record(memory, Clock::system(), vec![Entry::new(act).job(job)])
}

/// Whom or what a hold is about, without the values.
pub(super) fn about(about: &About) -> act::About {
    match about {
        About::Rows { data, .. } => act::About::Data(data.clone()),
        About::Person { kind, .. } => act::About::Person(kind.clone()),
    }
}

/// An id as records name it.
pub(super) fn id(id: &str) -> Digest {
    Digest::parse(id).unwrap_or_else(|| Digest::of(&Sha256::digest(id).into()))
}

/// The number of a Unix user, wherever the machine keeps its users; one without a name is called by the number.
pub(super) fn uid_of(user: &str) -> Option<u32> {
    if let Some(number) = user.strip_prefix("uid ") {
        return number.parse().ok();
    }
    roles::ask("/usr/bin/id", &["-u", "--", user])?.parse().ok()
}
