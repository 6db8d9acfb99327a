//! The file that the daemon follows, made ready for the engine.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::config::Loaded;
use crate::config::document::Limits;
use crate::config::timing::CatchUp;
use crate::control::{Failure, Site, load};
use crate::jobs::{Job, KINDS};
use crate::names::JobName;
use crate::schedule::{Known, Spec};
use crate::store::state::{self, Schedule};
use crate::store::{Conn, StoreError};

/// A file that was accepted.
pub(super) struct Policy {
    /// The file.
    pub loaded: Arc<Loaded>,
    /// Its jobs that have a schedule; none where `enabled = false`.
    pub specs: BTreeMap<String, Spec>,
}

impl Policy {
    /// Reads the file and holds it against the stores that can be reached. A file that is not enabled is only read.
    ///
    /// # Errors
    /// When the file or the map is wrong.
    pub fn read(path: &std::path::Path) -> Result<(Self, Option<Site>), Failure> {
        let loaded = Arc::new(load(path)?);
        if !loaded.document.enabled {
            return Ok((Self { loaded, specs: BTreeMap::new() }, None));
        }
        let site = Site::open_reachable(&loaded)?;
        Ok((Self { specs: specs(&site), loaded }, Some(site)))
    }

    /// The limits of the file.
    pub fn limits(&self) -> Limits {
        self.loaded.document.limits
    }

    /// What a job does about slots that were missed.
    pub fn catch_up(&self, job: &str) -> Option<CatchUp> {
        self.specs.get(job).map(|spec| spec.catch_up)
    }

    /// The jobs for the engine, each with what the state knows of it.
    ///
    /// # Errors
    /// When the state cannot be asked.
    pub fn known(&self, conn: &mut Conn, now: DateTime<Utc>) -> Result<Vec<(Spec, Option<Known>)>, StoreError> {
        let fingerprints: BTreeMap<String, String> =
            self.specs.iter().map(|(name, spec)| (name.clone(), spec.timetable.fingerprint())).collect();
        // A fingerprint may be longer than its column.
        let short = fingerprints.iter().map(|(name, text)| (name.clone(), digest(text))).collect();
        let mut schedules = state::schedules(conn, &short, now)?;
        let known = |(name, spec): (&String, &Spec)| {
            let known = schedules.remove(name).map(|Schedule { since, cursor, slots }| Known {
                fingerprint: fingerprints.get(name).cloned().unwrap_or_default(),
                since,
                cursor,
                started: slots,
            });
            (spec.clone(), known)
        };
        Ok(self.specs.iter().map(known).collect())
    }
}

fn specs(site: &Site) -> BTreeMap<String, Spec> {
    let document = &site.loaded.document;
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let spec = |name: &JobName, job: &dyn Job| {
        let raw = document.jobs.get(name).filter(|raw| raw.enabled)?;
        let catch_up = KINDS.iter().find(|kind| kind.name == raw.kind)?.catch_up;
        let stores = job.needs(document).iter().map(ToString::to_string).collect();
        Some((name.to_string(), Spec::of(name.as_str(), &raw.timing, document.timezone, catch_up, stores, &host)?))
    };
    site.jobs.iter().filter_map(|(name, job)| spec(name, &**job)).collect()
}

fn digest(text: &str) -> String {
    use sha2::{Digest as _, Sha256};
    Sha256::digest(text).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
