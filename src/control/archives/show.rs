//! Archives, as people and programs read of them.

use std::sync::Arc;

use comfy_table::{ContentArrangement, Table, presets};

use super::{Cabinet, cabinets};
use crate::archive::Shelved;
use crate::config::Loaded;
use crate::control::said::Said;
use crate::control::tenants::{named_jobs, no_such_job};
use crate::control::{Exit, Failure};
use crate::graph::stores::Stores;
use crate::names::JobName;
use crate::plan::grouped;

/// A job's archives, and the zone that their time is counted in.
pub type Found = (Cabinet, chrono_tz::Tz);

/// The archives of the jobs that were named, or of all; of each of these installations.
///
/// # Errors
/// When a job is not there or has none, or a file store cannot be reached or read.
pub fn of_parts(parts: &[Arc<Loaded>], jobs: &[JobName]) -> Result<Vec<Found>, Failure> {
    let (mut found, mut meant) = (Vec::new(), false);
    for part in parts {
        let Some(jobs) = named_jobs(part, jobs) else { continue };
        meant = true;
        let (stores, _) = Stores::open(&part.document);
        let zone = part.document.timezone;
        found.extend(cabinets(&part.document, &stores, &jobs)?.into_iter().map(|cabinet| (cabinet, zone)));
    }
    if meant { Ok(found) } else { Err(no_such_job(jobs)) }
}

/// Each archive, and the day on which it goes.
pub fn each(cabinets: &[Found]) -> impl Iterator<Item = (&Cabinet, &Shelved, Option<String>)> {
    cabinets.iter().flat_map(|(cabinet, zone)| {
        cabinet.folder.shelved.iter().map(move |shelved| {
            let at = cabinet.keep.as_ref().and_then(|keep| shelved.expires(keep, *zone));
            (cabinet, shelved, at.map(|at| at.format("%Y-%m-%d").to_string()))
        })
    })
}

/// What is no whole archive, as text.
pub fn broken(cabinets: &[Found]) -> Vec<String> {
    let all = cabinets.iter().flat_map(|(cabinet, _)| &cabinet.folder.broken);
    all.map(ToString::to_string).collect()
}

/// The list of them; it fails where something is no whole archive.
pub fn list(cabinets: &[Found]) -> Said {
    let broken = broken(cabinets);
    let archives: Vec<_> = each(cabinets)
        .map(|(cabinet, shelved, expires)| {
            serde_json::json!({
                "job": cabinet.job, "store": cabinet.store, "file": shelved.file(), "pending": shelved.pending,
                "attended": cabinet.keep.is_some(), "expires": expires, "manifest": shelved.manifest,
            })
        })
        .collect();
    Said {
        exit: if broken.is_empty() { Exit::Done } else { Exit::Failed },
        text: table(cabinets).to_string(),
        errors: broken.iter().map(|why| format!("error: {why}")).collect(),
        json: serde_json::json!({ "archives": archives, "broken": broken }),
    }
}

fn table(cabinets: &[Found]) -> Table {
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
    table
}
