//! `retentiond audit capture`: triggers that write changes of mapped tables down.

use clap::Args;

use super::super::Cli;
use crate::clock::Clock;
use crate::control::{Exit, Failure, Site, capturing};
use crate::names::StoreName;
use crate::trail::{self, Act, Entry};

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
        record(&site, Act::CaptureRemove { store: args.store.clone() })?;
        found.remove()?;
        say!("store {}: nothing is captured any more; retentiond_changes stays", args.store);
        return Ok(Exit::Done);
    }
    if args.apply {
        record(&site, Act::CaptureInstall { store: args.store.clone(), tables: found.tables() as u64 })?;
        found.install()?;
        say!("store {}: changes of {} tables are written to retentiond_changes", args.store, found.tables());
        return Ok(Exit::Done);
    }
    for (place, stmt) in found.installation()?.iter().enumerate() {
        say!("{}{stmt};", if place == 0 { "" } else { "\n" });
    }
    Ok(Exit::Done)
}

/// What decides whether changes are seen is in the trail before it is done.
fn record(site: &Site, act: Act) -> Result<(), Failure> {
    Ok(trail::record(&site.open_state()?, Clock::system(), vec![Entry::new(act)])?)
}
