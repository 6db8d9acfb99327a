//! `retentiond audit capture`: triggers that write changes of mapped tables down.

use clap::Args;

use super::super::Cli;
use crate::control::{Exit, Failure, capturing};
use crate::names::StoreName;
use crate::store::capture;

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
    let found = capturing::of_store(&site, &args.store)?;
    let database = site
        .stores
        .database(&args.store)
        .ok_or_else(|| Failure::new(Exit::Usage, format!("error: there is no database `{}`", args.store)))?;
    let mut conn = database.conn()?;
    if args.remove {
        if found.is_there {
            let all: Vec<_> = found.wanted.into_iter().chain(found.unwanted).collect();
            capture::remove(&mut conn, &all)?;
        }
        say!("store {}: nothing is captured any more; retentiond_changes stays", args.store);
        return Ok(Exit::Done);
    }
    if args.apply {
        capture::install(&mut conn, !found.is_there, &found.wanted)?;
        if found.is_there {
            capture::remove(&mut conn, &found.unwanted)?;
        }
        say!("store {}: changes of {} tables are written to retentiond_changes", args.store, found.wanted.len());
        return Ok(Exit::Done);
    }
    let backend = conn.backend();
    if !found.is_there {
        say_text!("{}", capture::ddl(backend));
    }
    for stmt in found.wanted.iter().flat_map(|capture| [capture.remove(), capture.install()]).flatten() {
        say!("\n{};", stmt.to_text(backend));
    }
    Ok(Exit::Done)
}
