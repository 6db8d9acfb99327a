//! `retentiond replay`: a restored database is brought up to date before ordinary jobs go on.

use clap::Args;

use super::progress::Shown;
use super::{Cli, Format};
use crate::clock::Clock;
use crate::control::replaying::{self, Replayed};
use crate::control::runner::{Cause, Occasion, Options};
use crate::control::{Exit, Failure};
use crate::names::StoreName;
use crate::stop::Stop;

/// The options of a replay.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// The store that was restored.
    store: StoreName,
    /// The state is the right one although it does not know all runs of the store's ledger: from here on it counts.
    #[arg(long)]
    adopt: bool,
}

/// Erases again whom a restored store has brought back.
pub fn replay(cli: &Cli, args: &ReplayArgs) -> Result<Exit, Failure> {
    let stop = Stop::on_signals().map_err(|error| Failure::new(Exit::Failed, format!("error: {error}")))?;
    let site = cli.site()?;
    let memory = site.open_state()?;
    if args.adopt {
        replaying::adopt(&site, &memory, &args.store)?;
    }
    let options = Options {
        released: Vec::new(),
        unpaced: false,
        outside_window: true,
        clock: Clock::system(),
        stop,
        occasion: Occasion::Manual,
        cause: Cause::default(),
        lease: site.loaded.document.state.lease(),
    };
    let mut shown = Shown::new("replay", cli.format == Format::Json);
    let replayed = replaying::replay(&site, &memory, &args.store, &options, &mut shown);
    shown.finish();
    let replayed = replayed?;
    show(cli, args, &replayed);
    Ok(replayed.runs.iter().map(|ran| ran.exit()).fold(Exit::Done, Exit::worse))
}

fn show(cli: &Cli, args: &ReplayArgs, replayed: &Replayed) {
    let rows: u64 = replayed.runs.iter().map(|ran| ran.report.rows()).sum();
    if cli.format == Format::Json {
        let answer = serde_json::json!({
            "store": args.store, "erasures": replayed.erasures, "found": replayed.found,
            "returned": replayed.returned, "unmarked": replayed.unmarked, "rows": rows,
            "complete": replayed.is_complete(),
        });
        say!("{answer}");
    } else {
        say!(
            "store {}: of {} erasures that a backup may undo, {} identifiers were there again, and {} users who had been seen to be gone; {rows} rows removed or changed",
            args.store,
            replayed.erasures,
            replayed.found,
            replayed.returned
        );
        if replayed.unmarked > 0 {
            say!(
                "{} of these users have a row that does not say any more that they are gone: mark them again in the application",
                replayed.unmarked
            );
        }
    }
    if replayed.is_complete() {
        eprintln!("ordinary jobs go on");
    } else {
        eprintln!("error: not all could be erased again; the store stays closed to ordinary jobs");
        for ran in &replayed.runs {
            if let Some(error) = ran.error() {
                eprintln!("error: {error}");
            }
        }
    }
}
