//! `retentiond pause` and `resume`: the kill switch, seen before each batch.

use std::sync::Arc;

use super::{Cli, SwitchArgs, remote};
use crate::clock::Clock;
use crate::control::site::{load, open_state};
use crate::control::switching::{self, Meant};
use crate::control::{Exit, Failure};
use crate::daemon::socket::Ask;

/// Stops a job, or all, before its next batch.
pub fn pause(cli: &Cli, args: &SwitchArgs) -> Result<Exit, Failure> {
    if let Some(place) = remote::place(cli, &args.socket) {
        return remote::say(cli, &place, Ask::Pause { job: args.job.clone() });
    }
    let loaded = Arc::new(load(&cli.config)?);
    let said = switching::pause(&loaded, &meant(cli, args), &open_state(&loaded)?, Clock::system())?;
    remote::print(cli, &said, None);
    Ok(Exit::Done)
}

/// Lets it go on.
pub fn resume(cli: &Cli, args: &SwitchArgs) -> Result<Exit, Failure> {
    if let Some(place) = remote::place(cli, &args.socket) {
        return remote::say(cli, &place, Ask::Resume { job: args.job.clone() });
    }
    let loaded = Arc::new(load(&cli.config)?);
    let said = switching::resume(&loaded, &meant(cli, args), &open_state(&loaded)?, Clock::system())?;
    remote::print(cli, &said, None);
    Ok(Exit::Done)
}

fn meant<'a>(cli: &'a Cli, args: &'a SwitchArgs) -> Meant<'a> {
    Meant { tenant: cli.tenant.as_ref(), job: args.job.as_ref() }
}
