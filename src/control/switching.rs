//! Pause and resume: which jobs are meant, and the trail's record of it.
//!
//! **Invariant.** Whoever asks, at the keyboard or through the daemon, means the same jobs by the same words: a tenant's
//! pause stops that tenant's jobs and its resume lets go on nobody else's. What is done is recorded before it is done.

use std::sync::Arc;

use super::failure::{Exit, Failure};
use super::tenants;
use crate::clock::Clock;
use crate::config::Loaded;
use crate::names::{JobName, TenantName};
use crate::store::pool::Database;
use crate::store::state;
use crate::trail::{self, Act, Entry};

/// The jobs that somebody means.
pub struct Meant<'a> {
    /// The tenant that was named.
    pub tenant: Option<&'a TenantName>,
    /// The job that was named, as the file calls it or with its tenant.
    pub job: Option<&'a JobName>,
}

impl Meant<'_> {
    /// Their names; the empty name stands for all of the file.
    fn names(&self, loaded: &Arc<Loaded>) -> Result<Vec<String>, Failure> {
        if self.job.is_none() && self.tenant.is_none() {
            return Ok(vec![String::new()]);
        }
        let meant = |name: &&JobName| {
            self.job.is_none_or(|job| *name == job || job.tenant().is_none() && name.in_file() == job.as_str())
        };
        let mut names = Vec::new();
        for part in tenants::parts(loaded, self.tenant)? {
            names.extend(part.document.jobs.keys().filter(meant).map(ToString::to_string));
        }
        if names.is_empty() {
            let job = self.job.map_or_else(|| "job".to_owned(), |job| format!("job `{job}`"));
            let whose = self.tenant.map(|tenant| format!(" of tenant `{tenant}`")).unwrap_or_default();
            return Err(Failure::new(Exit::Usage, format!("error: there is no {job}{whose}")));
        }
        Ok(names)
    }

    /// How the same would be resumed.
    fn command(&self) -> String {
        let job = self.job.map(|job| format!(" {job}")).unwrap_or_default();
        let tenant = self.tenant.map(|tenant| format!(" --tenant {tenant}")).unwrap_or_default();
        format!("retentiond resume{job}{tenant}")
    }
}

/// Stops jobs before their next batch; gives the answer in words.
///
/// # Errors
/// When there is no such job, or the trail or the state cannot be written.
pub fn pause(loaded: &Arc<Loaded>, meant: &Meant<'_>, memory: &Database, clock: Clock) -> Result<String, Failure> {
    let names = meant.names(loaded)?;
    record(memory, &names, &Act::Pause, clock)?;
    let mut conn = memory.conn()?;
    for name in &names {
        state::pause(&mut conn, name, clock.now())?;
    }
    let (which, whom) = match names.as_slice() {
        [all] if all.is_empty() => ("all jobs are".to_owned(), "them"),
        [job] => (format!("job {job} is"), "it"),
        jobs => (format!("jobs {} are", jobs.join(", ")), "them"),
    };
    Ok(format!("{which} paused; `{}` lets {whom} go on", meant.command()))
}

/// Lets jobs go on; gives the answer in words.
///
/// # Errors
/// When there is no such job, or the trail or the state cannot be written.
pub fn resume(loaded: &Arc<Loaded>, meant: &Meant<'_>, memory: &Database, clock: Clock) -> Result<String, Failure> {
    let names = meant.names(loaded)?;
    record(memory, &names, &Act::Resume, clock)?;
    let mut conn = memory.conn()?;
    for name in &names {
        state::resume(&mut conn, name)?;
    }
    let mut still = state::paused(&mut conn)?;
    let all_paused = still.remove("");
    Ok(match names.as_slice() {
        [all] if all.is_empty() && still.is_empty() => "all jobs may run again".to_owned(),
        [all] if all.is_empty() => {
            let by_name = still.into_iter().collect::<Vec<_>>().join(", ");
            format!("all jobs may run again, except those paused by name: {by_name}")
        }
        _ if all_paused => {
            "this pause is over, but all jobs are paused: `retentiond resume` lets them go on".to_owned()
        }
        [job] => format!("job {job} may run again"),
        jobs => format!("jobs {} may run again", jobs.join(", ")),
    })
}

fn record(memory: &Database, names: &[String], act: &Act, clock: Clock) -> Result<(), Failure> {
    // The empty name stands for all.
    let entry = |name: &String| Entry { job: name.parse().ok(), ..Entry::new(act.clone()) };
    Ok(trail::record(memory, clock, names.iter().map(entry).collect())?)
}
