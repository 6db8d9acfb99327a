//! `retentiond seed`: the contact centre's databases, made and filled with generated data.

use std::collections::BTreeMap;
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use clap::Args;

use super::Cli;
use crate::clock::Clock;
use crate::config::Loaded;
use crate::control::site::load;
use crate::control::{Exit, Failure, capturing};
use crate::demo::{self, Options, Size, Summary};
use crate::files;
use crate::names::{BadName, StoreName};
use crate::plan::grouped;
use crate::store::pool::{Database, DatabaseSpec, PooledConn};
use crate::store::url::StoreUrl;
use crate::store::{Conn, ledger};

/// What is generated.
#[derive(Debug, Args)]
pub(super) struct SeedArgs {
    /// How many contacts are generated.
    #[arg(long, default_value_t = 20_000)]
    contacts: u64,
    /// A few hundred contacts.
    #[arg(long, conflicts_with = "contacts")]
    small: bool,
    /// The seed.
    #[arg(long, default_value_t = 1711)]
    seed: u64,
    /// No recording files.
    #[arg(long)]
    no_files: bool,
    /// The instant that ages count back from.
    #[arg(long, value_name = "INSTANT")]
    now: Option<DateTime<Utc>>,
}

/// Fills the stores of the file.
pub fn seed(cli: &Cli, args: &SeedArgs) -> Result<Exit, Failure> {
    let loaded = load(&cli.config)?;
    let size = if args.small { Size::small() } else { Size::of(args.contacts) };
    let now = args.now.unwrap_or_else(|| Clock::system().now());
    let summary = fill(&loaded, &Options { seed: args.seed, size, now }, !args.no_files)?;
    for (table, rows) in &summary.rows {
        say!("{table:<32} {:>12}", grouped(*rows));
    }
    say!("{:<32} {:>12}", "recording files", grouped(summary.files));
    Ok(Exit::Done)
}

/// Makes and fills the contact centre's stores that a file names.
///
/// # Errors
/// When one cannot be made.
pub fn fill(loaded: &Loaded, options: &Options, with_files: bool) -> Result<Summary, Failure> {
    let mut connections: BTreeMap<&'static str, PooledConn> = BTreeMap::new();
    for &store in demo::center::STORES {
        let url = address(loaded, store)?;
        let mut spec = DatabaseSpec::new(store, url);
        spec.create = true;
        let database = Database::open(spec)?;
        let mut conn = database.conn()?;
        demo::center::install(&mut conn, store)?;
        ledger::install(&mut conn)?;
        connections.insert(store, conn);
    }
    let recordings = recordings_folder(loaded)?;
    let mut targets: BTreeMap<&'static str, &mut Conn> =
        connections.iter_mut().map(|(&store, conn)| (store, &mut **conn)).collect();
    let folder = recordings.as_deref().filter(|_| with_files);
    let failed =
        |error: String| Failure::new(Exit::Failed, format!("error: the contact centre cannot be generated: {error}"));
    let summary = demo::seed(&mut targets, folder, options, &mut |_| {}).map_err(|error| failed(error.to_string()))?;
    // What is generated is no change of anybody's: from here on changes are captured.
    let named = targets.into_iter().map(|(store, conn)| Ok((store.parse::<StoreName>()?, conn)));
    let named = named.collect::<Result<_, BadName>>().map_err(|error| failed(error.to_string()))?;
    capturing::install_mapped(&loaded.document, named)?;
    Ok(summary)
}

fn address(loaded: &Loaded, store: &str) -> Result<StoreUrl, Failure> {
    let wrong = |message: String| Failure::new(Exit::Configuration, format!("error: store `{store}`: {message}"));
    let section = loaded.document.stores.get(store).ok_or_else(|| wrong("it is not in the file".to_owned()))?;
    let url = section
        .url
        .as_ref()
        .ok_or_else(|| wrong("it has no address".to_owned()))?
        .resolve()
        .map_err(|error| wrong(error.to_string()))?;
    StoreUrl::parse(&url).map_err(|error| wrong(error.to_string()))
}

fn recordings_folder(loaded: &Loaded) -> Result<Option<PathBuf>, Failure> {
    let StoreUrl::Files(folder) = address(loaded, "voice")? else { return Ok(None) };
    let failed = |error: String| Failure::new(Exit::Unreachable, format!("error: the recordings' folder: {error}"));
    std::fs::create_dir_all(&folder).map_err(|error| failed(error.to_string()))?;
    files::create_marker(&folder, ".retentiond-store").map_err(|error| failed(error.to_string()))?;
    Ok(Some(folder))
}
