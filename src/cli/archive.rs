//! `retentiond archive`: what jobs have archived is listed, verified, and put into a table again.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use comfy_table::{ContentArrangement, Table, presets};

use super::{Cli, Format, named_jobs, no_such_job};
use crate::archive::{Keys, Shelved};
use crate::control::archives::{self, Cabinet};
use crate::control::site::open_state;
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
        What::List { jobs } => Ok(list(cli, &cabinets(cli, jobs)?)),
        What::Verify { jobs, identity } => {
            let keys = keys(identity.as_ref())?;
            Ok(verify(cli, &cabinets(cli, jobs)?, &keys))
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

/// A job's archives, and the zone that their time is counted in.
type Found = (Cabinet, chrono_tz::Tz);

/// The archives of the jobs that were named, or of all; of each tenant that is meant.
fn cabinets(cli: &Cli, jobs: &[JobName]) -> Result<Vec<Found>, Failure> {
    let (mut found, mut meant) = (Vec::new(), false);
    for part in &cli.parts()? {
        let Some(jobs) = named_jobs(part, jobs) else { continue };
        meant = true;
        let (stores, _) = Stores::open(&part.document);
        let zone = part.document.timezone;
        found.extend(archives::cabinets(&part.document, &stores, &jobs)?.into_iter().map(|cabinet| (cabinet, zone)));
    }
    if meant { Ok(found) } else { Err(no_such_job(jobs)) }
}

fn each(cabinets: &[Found]) -> impl Iterator<Item = (&Cabinet, &Shelved, Option<String>)> {
    cabinets.iter().flat_map(|(cabinet, zone)| {
        cabinet.folder.shelved.iter().map(move |shelved| {
            let at = cabinet.keep.as_ref().and_then(|keep| shelved.expires(keep, *zone));
            (cabinet, shelved, at.map(|at| at.format("%Y-%m-%d").to_string()))
        })
    })
}

/// What is no whole archive, as text.
fn broken(cabinets: &[Found]) -> Vec<String> {
    let all = cabinets.iter().flat_map(|(cabinet, _)| &cabinet.folder.broken);
    all.map(ToString::to_string).collect()
}

fn list(cli: &Cli, cabinets: &[Found]) -> Exit {
    let broken = broken(cabinets);
    let exit = if broken.is_empty() { Exit::Done } else { Exit::Failed };
    if cli.format == Format::Json {
        let archives: Vec<_> = each(cabinets)
            .map(|(cabinet, shelved, expires)| {
                serde_json::json!({
                    "job": cabinet.job, "store": cabinet.store, "file": shelved.file(), "pending": shelved.pending,
                    "attended": cabinet.keep.is_some(), "expires": expires, "manifest": shelved.manifest,
                })
            })
            .collect();
        say!("{}", serde_json::json!({ "archives": archives, "broken": broken }));
        return exit;
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["JOB", "BATCH", "ROWS", "OLDEST", "NEWEST", "BYTES", "FORMAT", "GOES"]);
    for (cabinet, shelved, expires) in each(cabinets) {
        let manifest = &shelved.manifest;
        let format = match (shelved.pending, &manifest.encrypted_to) {
            (true, _) => format!("{} (pending)", manifest.format.as_str()),
            (false, Some(_)) => format!("{} (age)", manifest.format.as_str()),
            (false, None) => manifest.format.as_str().to_owned(),
        };
        let never = if cabinet.keep.is_some() { "never" } else { "never: no job looks after it" };
        table.add_row([
            cabinet.job.to_string(),
            manifest.batch.clone(),
            grouped(manifest.rows),
            manifest.oldest.format("%Y-%m-%d %H:%M:%SZ").to_string(),
            manifest.newest.format("%Y-%m-%d %H:%M:%SZ").to_string(),
            grouped(manifest.bytes),
            format,
            expires.unwrap_or_else(|| never.to_owned()),
        ]);
    }
    say!("{table}");
    for why in &broken {
        eprintln!("error: {why}");
    }
    exit
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
