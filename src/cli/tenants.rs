//! Whose installation a command is about, where the file has tenants.

use std::sync::Arc;

use super::Cli;
use crate::config::Loaded;
use crate::control::{Exit, Failure, Site, load, tenants};
use crate::names::JobName;

impl Cli {
    /// What the file says for the tenant that is named, or for each.
    pub(super) fn parts(&self) -> Result<Vec<Arc<Loaded>>, Failure> {
        tenants::parts(&Arc::new(load(&self.config)?), self.tenant.as_ref())
    }

    /// What the file says for the one tenant that is named; a file without tenants is one.
    pub(super) fn part(&self) -> Result<Arc<Loaded>, Failure> {
        tenants::part(&Arc::new(load(&self.config)?), self.tenant.as_ref())
    }

    /// The installation that has this job, open: the job's name may say the tenant.
    pub(super) fn site_of(&self, job: &JobName) -> Result<Site, Failure> {
        Site::open_whole(&self.part_of(job)?)
    }

    /// What the file says for the one tenant that has this job.
    pub(super) fn part_of(&self, job: &JobName) -> Result<Arc<Loaded>, Failure> {
        let named = job.tenant().and_then(|tenant| tenant.parse().ok());
        tenants::part(&Arc::new(load(&self.config)?), self.tenant.as_ref().or(named.as_ref()))
    }

    /// The one installation that is meant, open.
    pub(super) fn site(&self) -> Result<Site, Failure> {
        Site::open_whole(&self.part()?)
    }
}

/// The jobs of one tenant among those that were named; `None` where none is. With no name, all.
pub(super) fn named_jobs(part: &Loaded, names: &[JobName]) -> Option<Vec<JobName>> {
    let tenant = part.document.tenant.as_ref().map(|tenant| tenant.as_str());
    let own = |name: &&JobName| name.tenant().is_none() || name.tenant() == tenant;
    let jobs: Vec<JobName> = names.iter().filter(own).cloned().collect();
    (names.is_empty() || !jobs.is_empty()).then_some(jobs)
}

/// None of the tenants has a job of these names.
pub(super) fn no_such_job(names: &[JobName]) -> Failure {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    Failure::new(Exit::Usage, format!("error: there is no job {} of a tenant that is meant", names.join(", ")))
}

/// Does something for each tenant that is meant. What fails for one is said, and the others have their turn; for a file
/// without tenants it is simply the failure.
pub(super) fn for_each(
    cli: &Cli,
    mut done: impl FnMut(&Arc<Loaded>) -> Result<Exit, Failure>,
) -> Result<Exit, Failure> {
    let parts = cli.parts()?;
    let mut exit = Exit::Done;
    for part in &parts {
        match done(part) {
            Ok(ended) => exit = exit.worse(ended),
            Err(failure) if parts.len() == 1 => return Err(failure),
            Err(failure) => {
                let tenant = part.document.tenant.as_ref().map(ToString::to_string).unwrap_or_default();
                eprintln!("tenant {tenant}: {}", failure.text());
                exit = exit.worse(failure.exit());
            }
        }
    }
    Ok(exit)
}
