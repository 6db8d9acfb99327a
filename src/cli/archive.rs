//! `retentiond archive`: what jobs have archived is listed, verified, and put into a table again.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Cli, Format, SocketArgs, remote};
use crate::archive::Keys;
use crate::control::archives;
use crate::control::archives::show::{self, Found, broken, each};
use crate::control::site::open_state;
use crate::control::{Exit, Failure};
use crate::daemon::socket::Ask;
use crate::graph::stores::Stores;
use crate::names::JobName;
use crate::plan::grouped;

#[derive(Debug, Args)]
pub(super) struct ArchiveArgs {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    socket: SocketArgs,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Shows the archives, oldest first, and when each goes. Exits 1 when something in their folders is no whole archive.
    List {
        /// The jobs; all when none is named.
        jobs: Vec<JobName>,
    },
    /// Reads every archive and holds it against its manifest. Exits 1 when one is not what the manifest says, or either of
    /// the two is missing.
    Verify {
        /// The jobs; all when none is named.
        jobs: Vec<JobName>,
        /// The secret keys of encrypted archives, as age-keygen writes them; without them only the bytes are compared.
        #[arg(long, value_name = "FILE")]
        identity: Option<PathBuf>,
    },
    /// Puts archived rows into a table of the store that they came from, all or none of them.
    ///
    /// The table has the same columns (`CREATE TABLE audit_restored (LIKE audit_log)`); it is not the one that the job
    /// folds, which would fold the rows, and count them, once more.
    Restore {
        /// The job.
        job: JobName,
        /// The table.
        #[arg(long, value_name = "TABLE")]
        into: String,
        /// Only these archives, by the batch that `list` shows.
        #[arg(long, value_name = "BATCH")]
        batch: Vec<String>,
        /// The secret keys of encrypted archives.
        #[arg(long, value_name = "FILE")]
        identity: Option<PathBuf>,
    },
}

/// Does what the subcommand says.
pub(super) fn archive(cli: &Cli, args: &ArchiveArgs) -> Result<Exit, Failure> {
    match &args.what {
        What::List { jobs } => {
            if let Some(place) = remote::place(cli, &args.socket) {
                return remote::show(cli, &place, Ask::ArchiveList { jobs: jobs.clone() });
            }
            Ok(remote::tell(cli, &show::list(&show::of_parts(&cli.parts()?, jobs)?)))
        }
        What::Verify { jobs, identity } => {
            let keys = keys(identity.as_ref())?;
            Ok(verify(cli, &show::of_parts(&cli.parts()?, jobs)?, &keys))
        }
        What::Restore { job, into, batch, identity } => {
            let keys = keys(identity.as_ref())?;
            let part = cli.part_of(job)?;
            let (stores, _) = Stores::open(&part.document);
            let memory = open_state(&part)?;
            let mut rows = 0;
            for cabinet in &archives::cabinets(&part.document, &stores, std::slice::from_ref(job))? {
                rows += archives::restore((&part, &stores, &memory), cabinet, (batch, into), &keys)?;
            }
            match cli.format {
                Format::Json => say!("{}", serde_json::json!({ "job": job, "into": into, "rows": rows })),
                Format::Text => say!("{} rows of job {job} are in {into}", grouped(rows)),
            }
            Ok(Exit::Done)
        }
    }
}

fn keys(identity: Option<&PathBuf>) -> Result<Keys, Failure> {
    let read = identity.map(|path| Keys::read(path)).transpose();
    Ok(read.map_err(|why| Failure::new(Exit::Usage, format!("error: --identity: {why}")))?.unwrap_or_default())
}

fn verify(cli: &Cli, cabinets: &[Found], keys: &Keys) -> Exit {
    let (mut whole, mut unread, mut broken) = (0_u64, 0_u64, broken(cabinets));
    for (cabinet, shelved, _) in each(cabinets) {
        let Some(shelf) = &cabinet.shelf else { continue };
        match shelved.verify(shelf, keys) {
            Ok(true) => whole += 1,
            Ok(false) => unread += 1,
            Err(error) => broken.push(error.to_string()),
        }
    }
    match cli.format {
        Format::Json => {
            say!("{}", serde_json::json!({ "whole": whole, "bytes_only": unread, "broken": broken }));
        }
        Format::Text => {
            say!("{whole} archives are whole");
            if unread > 0 {
                say!("{unread} are encrypted: their bytes are whole, their rows were not looked at (--identity FILE)");
            }
            for why in &broken {
                eprintln!("error: {why}");
            }
        }
    }
    if broken.is_empty() { Exit::Done } else { Exit::Failed }
}
