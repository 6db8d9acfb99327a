//! `retentiond pause` and `resume`: the kill switch, seen before each batch.

use super::{Cli, SwitchArgs, remote};
use crate::clock::Clock;
use crate::control::site::{load, open_state};
use crate::control::{Exit, Failure};
use crate::daemon::socket::Ask;
use crate::names::JobName;
use crate::store::pool::Database;
use crate::store::state;
use crate::trail::{self, Act, Entry};

/// Stops a job, or all, before its next batch.
pub fn pause(cli: &Cli, args: &SwitchArgs) -> Result<Exit, Failure> {
    if let Some(place) = remote::place(cli, &args.socket) {
        return remote::say(cli, &place, Ask::Pause { job: args.job.clone() });
    }
    let (memory, jobs) = open(cli, args)?;
    record(&memory, &jobs, &Act::Pause)?;
    for job in &jobs {
        state::pause(&mut *memory.conn()?, job, Clock::system().now())?;
    }
    match &args.job {
        Some(job) => say!("{} paused; `retentiond resume {job}` lets it go on", named(&jobs)),
        None if cli.tenant.is_some() => say!("{} paused", named(&jobs)),
        None => say!("all jobs are paused; `retentiond resume` lets them go on"),
    }
    Ok(Exit::Done)
}

/// Lets it go on.
pub fn resume(cli: &Cli, args: &SwitchArgs) -> Result<Exit, Failure> {
    if let Some(place) = remote::place(cli, &args.socket) {
        return remote::say(cli, &place, Ask::Resume { job: args.job.clone() });
    }
    let (memory, jobs) = open(cli, args)?;
    record(&memory, &jobs, &Act::Resume)?;
    for job in &jobs {
        state::resume(&mut *memory.conn()?, job)?;
    }
    match &args.job {
        Some(job) => say!("job {job} may run again"),
        None if cli.tenant.is_some() => say!("the jobs of this tenant may run again"),
        None => say!("all jobs may run again, except those paused by name"),
    }
    Ok(Exit::Done)
}

fn record(memory: &Database, jobs: &[String], act: &Act) -> Result<(), Failure> {
    // The empty name stands for all.
    let entry = |job: &String| Entry { job: job.parse().ok(), ..Entry::new(act.clone()) };
    Ok(trail::record(memory, Clock::system(), jobs.iter().map(entry).collect())?)
}

fn named(jobs: &[String]) -> String {
    match jobs {
        [job] => format!("job {job} is"),
        jobs => format!("jobs {} are", jobs.join(", ")),
    }
}

/// The state, and the jobs that are meant: `""` for all of the file, and of each tenant where none is named.
fn open(cli: &Cli, args: &SwitchArgs) -> Result<(Database, Vec<String>), Failure> {
    let memory = open_state(&load(&cli.config)?)?;
    if args.job.is_none() && cli.tenant.is_none() {
        return Ok((memory, vec![String::new()]));
    }
    let mut jobs = Vec::new();
    for part in cli.parts()? {
        let meant = |name: &&JobName| {
            args.job.as_ref().is_none_or(|job| *name == job || job.tenant().is_none() && name.in_file() == job.as_str())
        };
        jobs.extend(part.document.jobs.keys().filter(meant).map(ToString::to_string));
    }
    match &args.job {
        Some(job) if jobs.is_empty() => Err(Failure::new(Exit::Usage, format!("error: there is no job `{job}`"))),
        _ => Ok((memory, jobs)),
    }
}
