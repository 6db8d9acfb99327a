//! `retentiond audit capture`: triggers that write changes of mapped tables down.

use clap::Args;

use super::super::Cli;
use crate::control::{Exit, Failure, capturing};
use crate::names::StoreName;

/// The options of a capture.
#[derive(Debug, Args)]
pub struct CaptureArgs {
    /// The database.
    store: StoreName,
    /// Installs the triggers, and the tables that they need. Without it the SQL is printed, and nothing is changed.
    #[arg(long, conflicts_with = "remove")]
    apply: bool,
    /// Takes the triggers away; what was captured stays.
    #[arg(long)]
    remove: bool,
}

/// Prints, installs or takes away.
pub fn capture(cli: &Cli, args: &CaptureArgs) -> Result<Exit, Failure> {
    let site = cli.site()?;
    let mut found = capturing::of_store(&site, &args.store)?;
    if args.remove {
        found.remove()?;
        say!("store {}: nothing is captured any more; retentiond_changes stays", args.store);
        return Ok(Exit::Done);
    }
    if args.apply {
        found.install()?;
        say!("store {}: changes of {} tables are written to retentiond_changes", args.store, found.tables());
        return Ok(Exit::Done);
    }
    for (place, stmt) in found.installation()?.iter().enumerate() {
        say!("{}{stmt};", if place == 0 { "" } else { "\n" });
    }
    Ok(Exit::Done)
}
