//! What is asked about jobs: what they would do, what they did, that they run now.
//!
//! **Invariant.** No answer holds anything of a row: counts, names of entries and instants, as in logs. Whoever reads it may
//! be no one who is to see personal data; the canaries of `tests/work.rs` catch a breach.

use std::sync::Arc;
use std::sync::TryLockError;

use serde_json::json;

use super::Ask;
use crate::config::Loaded;
use crate::control::archives::show as archives;
use crate::control::planning::{self, Looking};
use crate::control::roles::Caller;
use crate::control::said::Said;
use crate::control::site::select;
use crate::control::tenants::{self, named_jobs, no_such_job};
use crate::control::{Exit, Failure, Site, approving, coming, past};
use crate::daemon::by_hand::{self, Wanted};
use crate::daemon::core::Core;
use crate::daemon::policy::Policy;
use crate::daemon::socket::{Answer, Client, Meanwhile};
use crate::names::{JobName, TenantName};

/// So many runs are shown to whoever asks the daemon.
const MOST_RUNS: i64 = 1_000;
/// So many slots of each job.
const MOST_SLOTS: usize = 1_000;

/// What is asked about jobs; anything else is no question for it.
pub(super) fn done(
    core: &Arc<Core>,
    (caller, client): (&Caller, &Client),
    tenant: Option<&TenantName>,
    ask: Ask,
) -> Result<Answer, Failure> {
    let policy = core.policy();
    Ok(Answer::said(match ask {
        Ask::Jobs { next, now } => {
            let parts = tenants::parts(&policy.loaded, tenant)?;
            let said =
                coming::jobs(&parts, &core.memory, next.min(MOST_SLOTS), now.unwrap_or_else(|| core.clock.now()))?;
            // What could be better in the file is for who writes it.
            Said { errors: Vec::new(), ..said }
        }
        Ask::History { job, limit } => {
            if !(0..=MOST_RUNS).contains(&limit) {
                let text = format!("error: the daemon shows {MOST_RUNS} runs at most; --limit says fewer");
                return Err(Failure::new(Exit::Usage, text));
            }
            // An unknown tenant is refused.
            tenants::parts(&policy.loaded, tenant)?;
            past::history(&core.memory, (job.as_ref(), tenant), limit, policy.loaded.document.timezone)?
        }
        Ask::ArchiveList { jobs } => archives::list(&archives::of_parts(&meant(&policy, tenant)?, &jobs)?),
        Ask::Plan { jobs, now, verbose } => plan(core, &meant(&policy, tenant)?, &jobs, Looking { now, verbose })?,
        Ask::Approve { job, plan } => approve(core, tenant, &job, &plan)?,
        Ask::Run { jobs, all, release_brake, unpaced, outside_window } => {
            // Missing never means all.
            if all != jobs.is_empty() {
                return Err(Failure::new(Exit::Usage, "error: either jobs are named or all are meant"));
            }
            let wanted = Wanted { released: release_brake, unpaced, outside_window };
            run(core, &policy, (tenant, &jobs), &wanted, (caller, client))?
        }
        _ => return Err(Failure::new(Exit::Usage, "error: that is no question about jobs")),
    }))
}

/// The installations that are meant, as the daemon follows them; none where the file is inert.
fn meant(policy: &Policy, tenant: Option<&TenantName>) -> Result<Vec<Arc<Loaded>>, Failure> {
    if !policy.loaded.document.enabled {
        return Err(Failure::new(Exit::Braked, "error: the file says enabled = false: nothing is done"));
    }
    let asked = tenants::parts(&policy.loaded, tenant)?;
    let is_meant = |part: &&Arc<Loaded>| asked.iter().any(|asked| asked.document.tenant == part.document.tenant);
    Ok(policy.parts.iter().filter(is_meant).cloned().collect())
}

/// Plans as the command line does, with connections of its own: a run waits for none of them.
fn plan(core: &Core, parts: &[Arc<Loaded>], jobs: &[JobName], looking: Looking) -> Result<Said, Failure> {
    let _one = match core.planning.try_lock() {
        Err(TryLockError::WouldBlock) => {
            let text = "error: the daemon is making another plan; try again in a moment";
            return Err(Failure::new(Exit::Braked, text));
        }
        Ok(one) => one,
        Err(TryLockError::Poisoned(one)) => one.into_inner(),
    };
    let (mut whole, mut plans) = (Gathered::default(), Vec::new());
    let mut known = false;
    for part in parts {
        let Some(jobs) = named_jobs(part, jobs) else { continue };
        known = true;
        let planned = Site::open_whole(part).and_then(|site| {
            planning::plan(&site, &site.own(&core.memory), &jobs, looking, |said| plans.push(whole.add(said)))
        });
        if let Err(failure) = planned {
            whole.fail(failure, part, parts.len())?;
        }
    }
    if !known {
        return Err(no_such_job(jobs));
    }
    Ok(whole.said(json!({ "jobs": plans })))
}

fn approve(core: &Core, tenant: Option<&TenantName>, job: &JobName, plan: &str) -> Result<Said, Failure> {
    let policy = core.policy();
    let part = tenants::part_of(&policy.loaded, tenant, job)?;
    let (site, memory) = super::open(core, part.document.tenant.as_ref())?;
    let found = site.select(std::slice::from_ref(job))?.into_iter().next();
    let found = found.ok_or_else(|| no_such_job(std::slice::from_ref(job)))?;
    let (approval, until) = approving::approve(&site, &memory, found, plan, core.clock.now())?;
    Ok(approving::said(&approval, until, site.loaded.document.timezone))
}

/// Runs one job after the other. Whoever asked is told of each; when they are gone no other is begun.
fn run(
    core: &Arc<Core>,
    policy: &Policy,
    (tenant, jobs): (Option<&TenantName>, &[JobName]),
    wanted: &Wanted,
    who: (&Caller, &Client),
) -> Result<Said, Failure> {
    let parts = meant(policy, tenant)?;
    // Nothing is begun before every name is known.
    let mut chosen = Vec::new();
    for part in &parts {
        let names = named_jobs(part, jobs).map(|names| select(&part.document, &names)).transpose()?;
        chosen.extend(names.unwrap_or_default().into_iter().map(|name| (part, name)));
    }
    if chosen.is_empty() && !jobs.is_empty() {
        return Err(no_such_job(jobs));
    }
    let (mut exit, mut ran) = (Exit::Done, Vec::new());
    for (part, name) in chosen {
        let said = by_hand::run(core, (policy, part), &name, wanted, who);
        exit = exit.worse(said.exit);
        ran.push(said.json);
        if !who.1.deliver(Meanwhile::Over { text: said.text, errors: said.errors }) || core.stop.is_raised() {
            break;
        }
    }
    Ok(Said { exit, ..Said::done(String::new(), json!({ "jobs": ran })) })
}

/// Several answers in one.
#[derive(Default)]
struct Gathered {
    exit: Option<Exit>,
    texts: Vec<String>,
    errors: Vec<String>,
}

impl Gathered {
    /// Adds one, and gives what programs read of it.
    fn add(&mut self, said: Said) -> serde_json::Value {
        self.worse(said.exit);
        self.texts.extend(Some(said.text).filter(|text| !text.is_empty()));
        self.errors.extend(said.errors);
        said.json
    }

    /// What fails for one of several tenants is said, and the others have their turn.
    fn fail(&mut self, failure: Failure, part: &Loaded, parts: usize) -> Result<(), Failure> {
        if parts == 1 {
            return Err(failure);
        }
        self.worse(failure.exit());
        self.errors.push(failure.of_tenant(part.document.tenant.as_ref()).text().to_owned());
        Ok(())
    }

    fn worse(&mut self, exit: Exit) {
        self.exit = Some(self.exit.map_or(exit, |worst| worst.worse(exit)));
    }

    fn said(self, json: serde_json::Value) -> Said {
        Said { exit: self.exit.unwrap_or(Exit::Done), text: self.texts.join("\n"), errors: self.errors, json }
    }
}
