//! `retentiond pause` and `resume`: the kill switch, seen before each batch.

use super::{Cli, SwitchArgs};
use crate::clock::Clock;
use crate::control::site::{load, open_state};
use crate::control::{Exit, Failure};
use crate::names::JobName;
use crate::store::state;

/// Stops a job, or all, before its next batch.
pub fn pause(cli: &Cli, args: &SwitchArgs) -> Result<Exit, Failure> {
    let (memory, job) = open(cli, args)?;
    state::pause(&mut *memory.conn()?, &job, Clock::system().now())?;
    match &args.job {
        Some(job) => say!("job {job} is paused; `retentiond resume {job}` lets it go on"),
        None => say!("all jobs are paused; `retentiond resume` lets them go on"),
    }
    Ok(Exit::Done)
}

/// Lets it go on.
pub fn resume(cli: &Cli, args: &SwitchArgs) -> Result<Exit, Failure> {
    let (memory, job) = open(cli, args)?;
    state::resume(&mut *memory.conn()?, &job)?;
    match &args.job {
        Some(job) => say!("job {job} may run again"),
        None => say!("all jobs may run again, except those paused by name"),
    }
    Ok(Exit::Done)
}

fn open(cli: &Cli, args: &SwitchArgs) -> Result<(crate::store::pool::Database, String), Failure> {
    let loaded = load(&cli.config)?;
    if let Some(job) = args.job.as_ref().filter(|job| !loaded.document.jobs.contains_key(job.as_str())) {
        return Err(Failure::new(Exit::Usage, format!("error: there is no job `{job}`")));
    }
    let job = args.job.as_ref().map(JobName::to_string).unwrap_or_default();
    Ok((open_state(&loaded)?, job))
}
