//! `retentiond history`: past runs and their outcomes.

use super::{Cli, HistoryArgs, remote};
use crate::control::site::{load, open_state};
use crate::control::{Exit, Failure, past};
use crate::daemon::socket::Ask;

/// Shows the last runs, newest first.
pub fn history(cli: &Cli, args: &HistoryArgs) -> Result<Exit, Failure> {
    if let Some(place) = remote::place(cli, &args.socket) {
        return remote::show(cli, &place, Ask::History { job: args.job.clone(), limit: args.limit });
    }
    let loaded = load(&cli.config)?;
    let memory = open_state(&loaded)?;
    let whose = (args.job.as_ref(), cli.tenant.as_ref());
    Ok(remote::tell(cli, &past::history(&memory, whose, args.limit, loaded.document.timezone)?))
}
