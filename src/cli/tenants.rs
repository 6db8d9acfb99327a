//! Whose installation a command is about, where the file has tenants.

use std::ffi::OsString;
use std::sync::Arc;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{CommandFactory as _, FromArgMatches as _};

use super::{Cli, Command};
use crate::config::Loaded;
use crate::control::site::{follow, load};
use crate::control::{Exit, Failure, Site, tenants};
use crate::names::JobName;

impl Cli {
    /// Reads the command line. `--tenant` is refused where it would mean nothing; one that only stands in the environment
    /// is refused by what is about the daemon, and else overlooked.
    ///
    /// # Errors
    /// With what is wrong, help and version included, as clap says it.
    pub(super) fn read(args: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let matches = Self::command().try_get_matches_from(args)?;
        let cli = Self::from_arg_matches(&matches)?;
        let Some((name, tenant)) = cli.command.of_no_tenant().zip(cli.tenant.as_ref()) else { return Ok(cli) };
        let said = matches.value_source("tenant") == Some(ValueSource::CommandLine);
        if !said && !matches!(cli.command, Command::Serve(_) | Command::Reload(_) | Command::AcceptClock(_)) {
            return Ok(cli);
        }
        let place = if said { "--tenant" } else { "RETENTIOND_TENANT" };
        let text = format!("{place} {tenant}: `{name}` is about no single tenant; leave it out");
        Err(Self::command().error(ErrorKind::ArgumentConflict, text))
    }

    /// The file, which a command follows by being told to.
    pub(super) fn loaded(&self) -> Result<Arc<Loaded>, Failure> {
        let loaded = Arc::new(load(&self.config)?);
        follow(&loaded.document);
        Ok(loaded)
    }

    /// What the file says for the tenant that is named, or for each.
    pub(super) fn parts(&self) -> Result<Vec<Arc<Loaded>>, Failure> {
        tenants::parts(&self.loaded()?, self.tenant.as_ref())
    }

    /// What the file says for the one tenant that is named; a file without tenants is one.
    pub(super) fn part(&self) -> Result<Arc<Loaded>, Failure> {
        tenants::part(&self.loaded()?, self.tenant.as_ref())
    }

    /// The installation that has this job, open: the job's name may say the tenant.
    pub(super) fn site_of(&self, job: &JobName) -> Result<Site, Failure> {
        Site::open_whole(&self.part_of(job)?)
    }

    /// What the file says for the one tenant that has this job.
    pub(super) fn part_of(&self, job: &JobName) -> Result<Arc<Loaded>, Failure> {
        tenants::part_of(&self.loaded()?, self.tenant.as_ref(), job)
    }

    /// The one installation that is meant, open.
    pub(super) fn site(&self) -> Result<Site, Failure> {
        Site::open_whole(&self.part()?)
    }
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
                exit = exit.worse(failure.exit());
                eprintln!("{}", failure.of_tenant(part.document.tenant.as_ref()).text());
            }
        }
    }
    Ok(exit)
}
