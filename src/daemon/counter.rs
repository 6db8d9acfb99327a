//! The counter: what a caller of the socket may ask for, and what becomes of it. What is asked is in [`ask`].
//!
//! **Invariant.** Each request names the roles it needs ([`Ask::needs`]) in one exhaustive match, and is carried out only
//! after the caller was found to have one of them. Identifiers of persons come in and are looked up here, with the daemon's
//! own credentials; an answer holds counts, states and names of tables, never a value of a row (but for the keys of several
//! hits, which somebody with the role to see them asked for).

use std::sync::Arc;

use serde_json::json;

use super::core::Core;
use super::sites::InUse;
use super::socket::{Answer, Client};
use crate::config::Loaded;
use crate::control::roles::{Caller, record_refusal, refuse};
use crate::control::screen::{self, Screen};
use crate::control::switching::{self, Meant};
use crate::control::{Exit, Failure, auditing, auditor, requests, tenants};
use crate::names::TenantName;
use crate::store::pool::Database;

mod ask;
mod export;
mod people;
mod work;

pub use ask::{Ask, Person};

/// So many records of the trail are shown at a time.
const MOST_RECORDS: usize = 10_000;

/// Carries a request out, if the caller may ask for it.
pub(super) fn carry_out(
    core: &Arc<Core>,
    caller: &Caller,
    tenant: Option<&TenantName>,
    ask: Ask,
    client: &Client,
) -> Answer {
    let roles = &core.policy().loaded.document.roles;
    if !caller.may(ask.needs(), roles) {
        return Answer::of(&refuse(caller, (ask.name(), ask.needs()), roles, &core.memory, core.clock));
    }
    // What is done is recorded as done by the caller.
    let (actor, command) = (caller.actor(ask.needs(), roles), ask.name());
    actor.is_thread();
    match done(core, (caller, client), tenant, ask) {
        Ok(answer) => answer,
        Err(failure) => {
            if failure.exit() == Exit::Braked {
                record_refusal(actor, command, "refused", &core.memory, core.clock);
            }
            Answer::of(&failure)
        }
    }
}

fn text(text: impl Into<String>) -> Answer {
    Answer::new(Exit::Done, text)
}

fn done(
    core: &Arc<Core>,
    (caller, client): (&Caller, &Client),
    tenant: Option<&TenantName>,
    ask: Ask,
) -> Result<Answer, Failure> {
    let memory = &core.memory;
    Ok(match ask {
        Ask::Ping => text(super::status::line(core)),
        Ask::Status => status(core, tenant)?,
        Ask::Reload => text(super::reload::reload(core)?),
        Ask::AcceptClock => text(super::socket::accept(core)?),
        Ask::Pause { job } => {
            let meant = Meant { tenant, job: job.as_ref() };
            text(switching::pause(&core.policy().loaded, &meant, memory, core.clock)?)
        }
        Ask::Resume { job } => {
            let meant = Meant { tenant, job: job.as_ref() };
            text(switching::resume(&core.policy().loaded, &meant, memory, core.clock)?)
        }
        Ask::AuditShow { filter } => {
            if !(1..=MOST_RECORDS).contains(&filter.limit) {
                let text = format!(
                    "error: the daemon shows {MOST_RECORDS} records at most: say fewer with --limit; `retentiond audit export` has them all"
                );
                return Err(Failure::new(Exit::Usage, text));
            }
            let records = auditor::records(&mut *memory.conn()?, &filter)?;
            let zone = core.policy().loaded.document.timezone;
            text(auditor::log(&records, zone)).with_json(json!({ "records": records }))
        }
        Ask::AuditVerify { known, keys } => {
            let document = &core.policy().loaded.document;
            let proof = auditing::prove(document, memory, known, &auditor::keys(&keys)?, core.clock)?;
            Answer::new(auditor::exit(&proof), auditor::to_text(&proof)).with_json(auditor::to_json(&proof))
        }
        Ask::AuditExport => export::hand_out(core, client)?,
        ask if ask.is_about_jobs() => work::done(core, (caller, client), tenant, ask)?,
        ask => people::done(core, caller, tenant, ask)?,
    })
}

/// How things stand, for one tenant or for all.
fn status(core: &Core, tenant: Option<&TenantName>) -> Result<Answer, Failure> {
    let policy = core.policy();
    let meant = |part: &&Arc<Loaded>| tenant.is_none() || part.document.tenant.as_ref() == tenant;
    // An unknown tenant is refused.
    tenants::parts(&policy.loaded, tenant)?;
    let mut screen = Screen::new(&policy.loaded.document, core.clock.now(), Some(super::status::line(core)));
    let parts: Vec<&Arc<Loaded>> = policy.parts.iter().filter(meant).collect();
    for part in &parts {
        let looked = core.sites.get(part).and_then(|site| screen.add(&site, &site.own(&core.memory)));
        screen.unless_wrong(part, looked, parts.len())?;
    }
    let memory = tenant.map_or_else(|| core.memory.clone(), |tenant| core.memory.of_tenant(tenant.as_str()));
    screen.add_state(&memory, &requests::job_names(&policy.loaded))?;
    Ok(Answer::new(screen.exit(), screen::to_text(&screen)).with_json(screen::to_json(&screen)))
}

/// The site with every store, and the state as it is the site's: what is done to one person's data is done in all stores.
fn open(core: &Core, tenant: Option<&TenantName>) -> Result<(InUse, Database), Failure> {
    let policy = core.policy();
    if !policy.loaded.document.enabled {
        return Err(Failure::new(Exit::Braked, "error: the file says enabled = false: nothing is done"));
    }
    // The very part that the daemon follows, whose stores may be open already.
    let meant = tenants::part(&policy.loaded, tenant)?;
    let own = policy.parts.iter().find(|part| part.document.tenant == meant.document.tenant);
    let site = core.sites.get(own.unwrap_or(&meant))?;
    if let Some(failure) = &site.unreachable {
        return Err(Failure::new(failure.exit(), failure.text()));
    }
    let memory = site.own(&core.memory);
    Ok((site, memory))
}
