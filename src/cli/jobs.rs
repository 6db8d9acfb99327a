//! `retentiond jobs`: the jobs and their next runs. Reads the file and retentiond's own state, and connects to no store.

use super::{Cli, Format, JobsArgs, remote};
use crate::clock::Clock;
use crate::control::site::open_state;
use crate::control::{Exit, Failure, coming};
use crate::daemon::socket::Ask;

/// Shows the jobs, the one that runs next first.
pub fn jobs(cli: &Cli, args: &JobsArgs) -> Result<Exit, Failure> {
    if let Some(place) = remote::place(cli, &args.socket) {
        return remote::show(cli, &place, Ask::Jobs { next: args.next, now: args.now });
    }
    let parts = cli.parts()?;
    let Some(first) = parts.first() else { return Ok(Exit::Done) };
    let now = args.now.unwrap_or_else(|| Clock::system().now());
    let mut said = coming::jobs(&parts, &open_state(first)?, args.next, now)?;
    if cli.format == Format::Json {
        // What could be better in the file is for people.
        said.errors.clear();
    }
    Ok(remote::tell(cli, &said))
}
