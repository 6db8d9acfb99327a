//! The counter: what a caller of the socket may ask for, and what becomes of it.
//!
//! **Invariant.** Each request names the roles it needs ([`Ask::needs`]) in one exhaustive match, and is carried out only
//! after the caller was found to have one of them. Identifiers of persons come in and are looked up here, with the daemon's
//! own credentials; an answer holds counts, states and names of tables, never a value of a row (but for the keys of several
//! hits, which somebody with the role to see them asked for).

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::core::Core;
use super::socket::Answer;
use crate::control::erasing;
use crate::control::ran::Ended;
use crate::control::requests::{self, NewRequest};
use crate::control::roles::{ANY, Caller, Role, refuse};
use crate::control::runner::{Cause, Occasion, Options};
use crate::control::{Exit, Failure, Site, holding, persons, tenants};
use crate::graph::Subject;
use crate::jobs::session::RunProgress;
use crate::names::{CaseName, JobName, PersonName, TenantName};
use crate::plan::{Plan, describe};
use crate::redact::Sealed;
use crate::removal::{Progress, Removed};
use crate::store::pool::Database;
use crate::store::state;

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
    },
    /// The holds that stand.
    Holds {
        /// Those that have ended too.
        #[serde(default)]
        all: bool,
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
        }
    }

    /// The roles of which the caller must have one.
    pub fn needs(&self) -> &'static [Role] {
        match self {
            Self::Ping | Self::Reports { .. } => ANY,
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
        }
    }
}

/// Carries a request out, if the caller may ask for it.
pub(super) fn carry_out(core: &Arc<Core>, caller: &Caller, tenant: Option<&TenantName>, ask: Ask) -> Answer {
    let roles = &core.policy().loaded.document.roles;
    if !caller.may(ask.needs(), roles) {
        return Answer::of(&refuse(caller, ask.name(), ask.needs(), &core.memory, core.clock));
    }
    // What is done is recorded as done by the caller.
    caller.actor(roles).is_thread();
    match done(core, caller, tenant, ask) {
        Ok(answer) => answer,
        Err(failure) => Answer::of(&failure),
    }
}

fn text(text: impl Into<String>) -> Answer {
    Answer::new(Exit::Done, text)
}

fn done(core: &Arc<Core>, caller: &Caller, tenant: Option<&TenantName>, ask: Ask) -> Result<Answer, Failure> {
    let by = caller.name.as_str();
    let now = core.clock.now();
    let memory = &core.memory;
    let zone = core.policy().loaded.document.timezone;
    Ok(match ask {
        Ask::Ping => text(super::status::line(core)),
        Ask::Reload => text(super::reload::reload(core)?),
        Ask::AcceptClock => text(super::socket::accept(core)?),
        Ask::Pause { job } => {
            state::pause(&mut *memory.conn()?, &known(core, job.as_ref())?, now)?;
            text(job.map_or("all jobs are paused".to_owned(), |job| format!("job {job} is paused")))
        }
        Ask::Resume { job } => {
            state::resume(&mut *memory.conn()?, &known(core, job.as_ref())?)?;
            text(job.map_or("all jobs may run again".to_owned(), |job| format!("job {job} may run again")))
        }
        Ask::Report { person, job } => {
            let (site, memory) = &open(core, tenant)?;
            let subject = subject(site, person)?;
            let actor = caller.actor(&core.policy().loaded.document.roles);
            let new = NewRequest { subject, job, by: by.to_owned(), actor };
            let request = requests::ask(site, memory, new, core.clock)?;
            let (words, json) = requests::made(&request, zone);
            text(words).with_json(json)
        }
        Ask::Reports { all } => {
            let listed = requests::list(&mut *memory.conn()?, all)?;
            text(requests::table(&listed, now, zone)).with_json(requests::to_json(&listed, now, zone))
        }
        Ask::Resend { id } => {
            let mails = requests::resend(memory, &id, by, now)?;
            text(requests::resent(&id, mails))
        }
        Ask::Extend { id, why } => {
            let due = requests::extend(memory, &id, (by, &why), zone, now)?;
            text(requests::extended(&id, due, zone))
        }
        Ask::Close { id, why } => {
            let (site, memory) = &open(core, tenant)?;
            requests::close(site, memory, &id, (by, &why), now)?;
            text(requests::closed(&id))
        }
        Ask::EraseDryRun { person } => {
            let (site, memory) = &open(core, tenant)?;
            let prepared = erasing::prepare(memory, subject(site, person)?, None, now)?;
            let plan = prepared.plan(site, memory, now)?;
            text(describe(&plan, zone, false)).with_json(json!({ "jobs": [plan] }))
        }
        Ask::Erase { person, plan } => {
            let (site, memory) = &open(core, tenant)?;
            erase(core, site, memory, person, &plan)?
        }
        ask @ (Ask::Hold { .. } | Ask::Holds { .. } | Ask::Release { .. }) => hold(core, caller, tenant, ask)?,
    })
}

/// What is asked of legal holds; anything else is no question for it.
fn hold(core: &Arc<Core>, caller: &Caller, tenant: Option<&TenantName>, ask: Ask) -> Result<Answer, Failure> {
    let now = core.clock.now();
    let (site, memory) = &open(core, tenant)?;
    Ok(match ask {
        Ask::Hold { case, person, why, until } => {
            let about = holding::about_person(&subject(site, person)?);
            let new = holding::NewHold { case: case.clone(), about, why, until, by: caller.name.clone() };
            let rows = holding::add(site, memory, &new, now)?;
            let all: u64 = rows.values().sum();
            text(format!("case {case} holds {all} more rows, what belongs to them and what they need"))
                .with_json(json!({ "case": case, "rows": rows }))
        }
        Ask::Holds { all } => {
            let mut holds = holding::list(site, memory)?;
            holds.retain(|hold| all || hold.stands(now));
            text(holding::table(&holds, core.policy().loaded.document.timezone))
                .with_json(holding::to_json(&holds, now))
        }
        Ask::Release { case } => release(site, memory, &case, caller, now)?,
        _ => return Err(Failure::new(Exit::Usage, "error: that is no question about holds")),
    })
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

fn known(core: &Core, job: Option<&JobName>) -> Result<String, Failure> {
    let policy = core.policy();
    match job.filter(|job| !policy.loaded.document.jobs.contains_key(job.as_str())) {
        Some(job) => Err(Failure::new(Exit::Usage, format!("error: there is no job `{job}`"))),
        None => Ok(job.map(JobName::to_string).unwrap_or_default()),
    }
}

fn subject(site: &Site, person: Person) -> Result<Subject, Failure> {
    let given: Vec<Sealed> = person.given.into_iter().map(Sealed::new).collect();
    let subject = persons::resolve(site, &person.kind, &given)?;
    persons::narrow(site, subject, person.from.as_deref(), person.to.as_deref())
}

fn erase(core: &Core, site: &Site, memory: &Database, person: Person, plan: &str) -> Result<Answer, Failure> {
    let now = core.clock.now();
    let prepared = erasing::prepare(memory, subject(site, person)?, None, now)?;
    let found = prepared.plan(site, memory, now)?;
    if found.plan != plan {
        let text = format!(
            "error: the plan is {} now, not the one that was meant; look at it, and confirm that one. Nothing was removed",
            found.plan
        );
        return Err(Failure::new(Exit::Braked, text));
    }
    let options = Options {
        released: Vec::new(),
        unpaced: false,
        outside_window: true,
        clock: core.clock,
        stop: core.stop.clone(),
        occasion: Occasion::Manual,
        cause: Cause::default(),
        lease: site.loaded.document.state.lease(),
    };
    let (ran, receipt) = prepared.run(site, memory, &options, &mut Unseen)?;
    let words = match (&receipt, &ran.ended) {
        (Some(receipt), _) => receipt.to_string(),
        (None, Ended::Failed(error)) => format!("error: {error}"),
        (None, Ended::With(outcome)) => format!("error: {}; run it again to go on", outcome.as_str()),
        (None, Ended::Refused(_)) => "error: another erasure is running, or jobs are paused".to_owned(),
    };
    let json = json!({ "jobs": [ran.to_json(&prepared.job)], "receipt": receipt });
    Ok(Answer::new(ran.exit(), words).with_json(json))
}

/// The first of two persons asks for a release, the second ends the hold: both are who the kernel says.
fn release(
    site: &Site,
    memory: &Database,
    case: &CaseName,
    caller: &Caller,
    now: DateTime<Utc>,
) -> Result<Answer, Failure> {
    let by = caller.name.as_str();
    let Some(first) = holding::second(memory, case, by)? else {
        return Ok(text(format!(
            "{by} asked for the release of case {case}; it ends when a second person with the role dpo says the same"
        )));
    };
    holding::release(site, memory, case, (&first, by), now)?;
    let words = format!("case {case} is released by {first} and {by}");
    Ok(text(words).with_json(json!({ "case": case, "released_by": first, "approved_by": by })))
}

/// Nobody watches.
struct Unseen;

impl Progress for Unseen {
    fn batch(&mut self, _: &Removed) {}
}

impl RunProgress for Unseen {
    fn begin(&mut self, _: &Plan) {}
    fn note(&mut self, text: &str) {
        tracing::info!("erasure: {text}");
    }
}
