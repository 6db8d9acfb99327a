//! `retentiond archive`: what jobs have archived is listed, verified, and put into a table again.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use comfy_table::{ContentArrangement, Table, presets};

use super::{Cli, Format};
use crate::archive::{Keys, Shelved};
use crate::config::period::Keep;
use crate::control::archives::{self, Cabinet};
use crate::control::site::load;
use crate::control::{Exit, Failure};
use crate::graph::stores::Stores;
use crate::names::JobName;
use crate::plan::grouped;

#[derive(Debug, Args)]
pub(super) struct ArchiveArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Shows the archives, oldest first, and when each goes.
    List {
        /// The jobs; all when none is named.
        jobs: Vec<JobName>,
    },
    /// Reads every archive and holds it against its manifest. Exits 1 when one is not what the manifest says.
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
    let loaded = load(&cli.config)?;
    let (stores, _) = Stores::open(&loaded.document);
    match &args.what {
        What::List { jobs } => {
            list(cli, &archives::cabinets(&loaded, &stores, jobs)?);
            Ok(Exit::Done)
        }
        What::Verify { jobs, identity } => {
            let keys = keys(identity.as_ref())?;
            Ok(verify(cli, &archives::cabinets(&loaded, &stores, jobs)?, &keys))
        }
        What::Restore { job, into, batch, identity } => {
            let keys = keys(identity.as_ref())?;
            let cabinets = archives::cabinets(&loaded, &stores, std::slice::from_ref(job))?;
            let mut rows = 0;
            for cabinet in &cabinets {
                rows += archives::restore(&loaded, &stores, cabinet, (batch, into), &keys)?;
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

fn each(cabinets: &[Cabinet]) -> impl Iterator<Item = (&Cabinet, &Shelved)> {
    cabinets.iter().flat_map(|cabinet| cabinet.shelved.iter().map(move |shelved| (cabinet, shelved)))
}

fn expires(keep: &Keep, shelved: &Shelved) -> Option<String> {
    shelved.expires(keep).map(|at| at.format("%Y-%m-%d").to_string())
}

fn list(cli: &Cli, cabinets: &[Cabinet]) {
    if cli.format == Format::Json {
        let archives: Vec<_> = each(cabinets)
            .map(|(cabinet, shelved)| {
                serde_json::json!({
                    "job": cabinet.job, "store": cabinet.keys.store, "file": shelved.file(), "pending": shelved.pending,
                    "expires": expires(&cabinet.keys.keep, shelved), "manifest": shelved.manifest,
                })
            })
            .collect();
        say!("{}", serde_json::json!({ "archives": archives }));
        return;
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["JOB", "BATCH", "ROWS", "OLDEST", "NEWEST", "BYTES", "FORMAT", "GOES"]);
    for (cabinet, shelved) in each(cabinets) {
        let manifest = &shelved.manifest;
        let format = match (shelved.pending, &manifest.encrypted_to) {
            (true, _) => format!("{} (pending)", manifest.format.as_str()),
            (false, Some(_)) => format!("{} (age)", manifest.format.as_str()),
            (false, None) => manifest.format.as_str().to_owned(),
        };
        table.add_row([
            cabinet.job.to_string(),
            manifest.batch.clone(),
            grouped(manifest.rows),
            manifest.oldest.format("%Y-%m-%d %H:%M:%SZ").to_string(),
            manifest.newest.format("%Y-%m-%d %H:%M:%SZ").to_string(),
            grouped(manifest.bytes),
            format,
            expires(&cabinet.keys.keep, shelved).unwrap_or_else(|| "never".to_owned()),
        ]);
    }
    say!("{table}");
}

fn verify(cli: &Cli, cabinets: &[Cabinet], keys: &Keys) -> Exit {
    let (mut whole, mut unread, mut broken) = (0_u64, 0_u64, Vec::new());
    for (cabinet, shelved) in each(cabinets) {
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
