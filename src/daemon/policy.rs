//! The file that the daemon follows, made ready for the engine.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};

use crate::config::Loaded;
use crate::config::document::{Document, Limits};
use crate::config::timing::CatchUp;
use crate::control::site::{follow, load};
use crate::control::tenants::Apart;
use crate::control::{Exit, Failure, Site};
use crate::jobs::{Job, KINDS};
use crate::names::{JobName, StoreName, TenantName};
use crate::schedule::{Known, Spec};
use crate::store::state::{self, Schedule};
use crate::store::{Conn, StoreError};

/// So many tenants' stores are opened together when a file is read.
const AT_A_TIME: usize = 8;

/// A file that was accepted.
pub(super) struct Policy {
    /// The file.
    pub loaded: Arc<Loaded>,
    /// What it says for each tenant; for a file without tenants, the file itself.
    pub parts: Vec<Arc<Loaded>>,
    /// Its jobs that have a schedule; none where `enabled = false`.
    pub specs: BTreeMap<String, Spec>,
}

/// The file that is followed now, for threads of their own: what they do is by this file, never by one that stands on
/// the disk and was not accepted.
#[derive(Clone)]
pub(super) struct Followed(Arc<Mutex<Arc<Loaded>>>);

impl Followed {
    /// Follows a file from now on, also in what it permits logs to hold.
    pub fn new(loaded: &Arc<Loaded>) -> Self {
        follow(&loaded.document);
        Self(Arc::new(Mutex::new(Arc::clone(loaded))))
    }

    /// Follows another.
    pub fn set(&self, loaded: &Arc<Loaded>) {
        follow(&loaded.document);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(loaded);
    }

    /// The file.
    pub fn get(&self) -> Arc<Loaded> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Policy {
    /// Reads the file and holds it against the stores that can be reached. A file that is not enabled is only read. Gives
    /// also, in words, which stores are away.
    ///
    /// # Errors
    /// When the file or a tenant's map is wrong, with all mistakes of all tenants.
    pub fn read(path: &std::path::Path) -> Result<(Self, Option<String>), Failure> {
        let loaded = Arc::new(load(path)?);
        let parts = loaded.parts();
        let mut policy = Self { loaded, parts, specs: BTreeMap::new() };
        if !policy.loaded.document.enabled {
            return Ok((policy, None));
        }
        let (mut away, mut wrong, mut apart) = (Vec::new(), Vec::new(), Apart::default());
        // A few tenants at a time, whose stores are let go before the next ones' are opened.
        for some in policy.parts.chunks(AT_A_TIME) {
            for (part, looked) in some.iter().zip(look_at(some)) {
                let tenant = part.document.tenant.as_ref();
                match looked.and_then(|looked| apart.add(tenant, &looked.identities).map(|()| looked)) {
                    Ok(looked) => {
                        policy.specs.extend(looked.specs);
                        away.extend(looked.away);
                    }
                    // All mistakes of all tenants are told at once.
                    Err(failure) => wrong.push(failure.of_tenant(tenant)),
                }
            }
        }
        if let Some(wrong) = Failure::all(wrong) {
            return Err(wrong);
        }
        Ok((policy, (!away.is_empty()).then(|| away.join("\n"))))
    }

    /// What the file says for the tenant whose job this is.
    pub fn part(&self, job: &str) -> Option<&Arc<Loaded>> {
        let tenant = job.split_once('@').map(|(_, tenant)| tenant);
        self.parts.iter().find(|part| part.document.tenant.as_ref().map(TenantName::as_str) == tenant)
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

/// What was seen of a tenant.
struct LookedAt {
    specs: BTreeMap<String, Spec>,
    /// What is away, in words.
    away: Option<String>,
    identities: BTreeMap<StoreName, String>,
}

/// The specs of a few tenants, and what is away there. All at once, since a store that is away makes itself waited for.
fn look_at(parts: &[Arc<Loaded>]) -> Vec<Result<LookedAt, Failure>> {
    let look = |part: &Arc<Loaded>| {
        let site = Site::open_reachable(part)?;
        let away = site.unreachable.as_ref().map(|failure| failure.text().to_owned());
        Ok(LookedAt { specs: specs(&site), away, identities: site.identities })
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = parts.iter().map(|part| scope.spawn(move || look(part))).collect();
        let broken = || Err(Failure::new(Exit::Failed, "error: the file could not be looked at"));
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| broken())).collect()
    })
}

/// The stores that count when so many jobs work on each at a time: of a tenant, that tenant's.
pub(super) fn stores_of(document: &Document, job: &dyn Job) -> Vec<String> {
    let whose = document.tenant.as_ref().map(|tenant| format!("@{tenant}")).unwrap_or_default();
    job.needs(document).iter().map(|store| format!("{store}{whose}")).collect()
}

fn specs(site: &Site) -> BTreeMap<String, Spec> {
    let document = &site.loaded.document;
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let spec = |name: &JobName, job: &dyn Job| {
        let raw = document.jobs.get(name).filter(|raw| raw.enabled)?;
        let catch_up = KINDS.iter().find(|kind| kind.name == raw.kind)?.catch_up;
        let stores = stores_of(document, job);
        Some((name.to_string(), Spec::of(name.as_str(), &raw.timing, document.timezone, catch_up, stores, &host)?))
    };
    site.jobs.iter().filter_map(|(name, job)| spec(name, &**job)).collect()
}

fn digest(text: &str) -> String {
    use sha2::{Digest as _, Sha256};
    Sha256::digest(text).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
