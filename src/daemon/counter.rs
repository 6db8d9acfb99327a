//! The counter: what a caller of the socket may ask for, and what becomes of it.
//!
//! **Invariant.** Each request names the roles it needs ([`Ask::needs`]) in one exhaustive match, and is carried out only
//! after the caller was found to have one of them. Identifiers of persons come in and are looked up here, with the daemon's
//! own credentials; an answer holds counts, states and names of tables, never a value of a row (but for the keys of several
//! hits, which somebody with the role to see them asked for).

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::core::Core;
use super::socket::Answer;
use crate::config::Loaded;
use crate::control::auditor::Filter;
use crate::control::roles::{ANY, Caller, Role, record_refusal, refuse};
use crate::control::screen::{self, Screen};
use crate::control::switching::{self, Meant};
use crate::control::{Exit, Failure, Site, auditing, auditor, requests, tenants};
use crate::names::{CaseName, JobName, PersonName, TenantName};
use crate::store::pool::Database;
use crate::trail::Known;

mod people;

/// A person, as a client names one. It has no `Debug`: it is in no message. A key that is not known here might have
/// narrowed what goes, so it is refused.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// The kind.
    pub kind: PersonName,
    /// The identifiers.
    pub given: Vec<String>,
    /// Only rows from this day or instant on.
    pub from: Option<String>,
    /// Only rows before it.
    pub to: Option<String>,
}

/// What is asked.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Ask {
    /// Whether somebody is there.
    Ping,
    /// Whether everything is within policy.
    Status,
    /// Read the file anew.
    Reload,
    /// Accept the clocks as they are.
    AcceptClock,
    /// Stop a job, or all, before the next batch.
    Pause {
        /// The job.
        job: Option<JobName>,
    },
    /// Let it go on.
    Resume {
        /// The job.
        job: Option<JobName>,
    },
    /// Request a person's report.
    Report {
        /// The person.
        person: Person,
        /// The job that answers it.
        job: Option<JobName>,
    },
    /// The requests.
    Reports {
        /// Those that have ended too.
        #[serde(default)]
        all: bool,
    },
    /// Send what is undecided once more.
    Resend {
        /// The request.
        id: String,
    },
    /// Extend a request.
    Extend {
        /// The request.
        id: String,
        /// Why.
        why: String,
    },
    /// Close a request.
    Close {
        /// The request.
        id: String,
        /// Why.
        why: String,
    },
    /// What an erasure would do.
    EraseDryRun {
        /// The person.
        person: Person,
    },
    /// Erase a person, by exactly this plan.
    Erase {
        /// The person.
        person: Person,
        /// The plan that was shown.
        plan: String,
        /// As fast as the databases can.
        #[serde(default)]
        unpaced: bool,
    },
    /// Hold everything about a person.
    Hold {
        /// The case.
        case: CaseName,
        /// The person.
        person: Person,
        /// Why.
        why: String,
        /// The last day.
        until: Option<chrono::NaiveDate>,
        /// The search may match more rows than one person usually has.
        #[serde(default)]
        wide: bool,
    },
    /// The holds that stand.
    Holds {
        /// Those that have ended too.
        #[serde(default)]
        all: bool,
    },
    /// Records of the audit trail.
    AuditShow {
        /// Which.
        filter: Filter,
    },
    /// Whether the audit trail is what it was.
    AuditVerify {
        /// Checkpoints that the caller kept.
        known: Vec<Known>,
        /// Keys whose signatures count.
        keys: Vec<String>,
    },
    /// Release a case: the second of two persons ends it.
    Release {
        /// The case.
        case: CaseName,
    },
}

impl Ask {
    /// Its name, as it is typed.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::Status => "status",
            Self::Reload => "reload",
            Self::AcceptClock => "accept-clock",
            Self::Pause { .. } => "pause",
            Self::Resume { .. } => "resume",
            Self::Report { .. } => "report",
            Self::Reports { .. } => "report list",
            Self::Resend { .. } => "report resend",
            Self::Extend { .. } => "report extend",
            Self::Close { .. } => "report close",
            Self::EraseDryRun { .. } | Self::Erase { .. } => "erase",
            Self::Hold { .. } => "hold add",
            Self::Holds { .. } => "hold list",
            Self::Release { .. } => "hold release",
            Self::AuditShow { .. } => "audit show",
            Self::AuditVerify { .. } => "audit verify",
        }
    }

    /// The roles of which the caller must have one.
    pub fn needs(&self) -> &'static [Role] {
        match self {
            Self::Ping | Self::Status | Self::Reports { .. } => ANY,
            Self::Reload | Self::AcceptClock | Self::Pause { .. } | Self::Resume { .. } => &[Role::Operator],
            // An administrator may request reports about users, who are known by a key.
            Self::Report { person, .. } if person.kind.as_str() == "user" => &[Role::Dpo, Role::Administrator],
            Self::Report { .. }
            | Self::Resend { .. }
            | Self::Extend { .. }
            | Self::Close { .. }
            | Self::EraseDryRun { .. }
            | Self::Erase { .. }
            | Self::Hold { .. }
            | Self::Release { .. } => &[Role::Dpo],
            Self::Holds { .. } => &[Role::Dpo, Role::Auditor],
            Self::AuditShow { .. } | Self::AuditVerify { .. } => &[Role::Auditor],
        }
    }
}

/// Carries a request out, if the caller may ask for it.
pub(super) fn carry_out(core: &Arc<Core>, caller: &Caller, tenant: Option<&TenantName>, ask: Ask) -> Answer {
    let roles = &core.policy().loaded.document.roles;
    if !caller.may(ask.needs(), roles) {
        return Answer::of(&refuse(caller, (ask.name(), ask.needs()), roles, &core.memory, core.clock));
    }
    // What is done is recorded as done by the caller.
    let (actor, command) = (caller.actor(ask.needs(), roles), ask.name());
    actor.is_thread();
    match done(core, caller, tenant, ask) {
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

fn done(core: &Arc<Core>, caller: &Caller, tenant: Option<&TenantName>, ask: Ask) -> Result<Answer, Failure> {
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
            let records = auditor::records(&mut *memory.conn()?, &filter)?;
            let zone = core.policy().loaded.document.timezone;
            text(auditor::log(&records, zone)).with_json(json!({ "records": records }))
        }
        Ask::AuditVerify { known, keys } => {
            let document = &core.policy().loaded.document;
            let proof = auditing::prove(document, memory, known, &auditor::keys(&keys)?, core.clock)?;
            Answer::new(auditor::exit(&proof), auditor::to_text(&proof)).with_json(auditor::to_json(&proof))
        }
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
fn open(core: &Core, tenant: Option<&TenantName>) -> Result<(Arc<Site>, Database), Failure> {
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
