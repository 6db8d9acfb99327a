//! What is asked about persons: reports, erasures, holds.
//!
//! **Invariant.** A question about one tenant's persons, requests and cases sees and changes nothing of another's. What
//! the command line refuses is refused here too: a client may be any program.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::json;

use super::{Ask, Person, open, text};
use crate::control::erasing;
use crate::control::ran::Ended;
use crate::control::requests::{self, NewRequest};
use crate::control::roles::Caller;
use crate::control::runner::{Cause, Occasion, Options};
use crate::control::{Exit, Failure, Site, holding, persons, tenants};
use crate::daemon::core::Core;
use crate::daemon::socket::Answer;
use crate::graph::Subject;
use crate::jobs::session::RunProgress;
use crate::names::{CaseName, TenantName};
use crate::plan::{Plan, describe};
use crate::redact::Sealed;
use crate::removal::{Progress, Removed};
use crate::store::pool::Database;
use crate::trail::Actor;

/// What is asked about persons; anything else is no question for it.
pub(super) fn done(
    core: &Arc<Core>,
    caller: &Caller,
    tenant: Option<&TenantName>,
    ask: Ask,
) -> Result<Answer, Failure> {
    match ask {
        ask @ (Ask::Reports { .. } | Ask::Resend { .. } | Ask::Extend { .. } | Ask::Close { .. }) => {
            request(core, caller, tenant, ask)
        }
        Ask::Report { person, job } => {
            let (site, memory) = &open(core, tenant)?;
            let subject = subject(site, person)?;
            let new = NewRequest { subject, job, by: caller.name.clone(), actor: Actor::present() };
            let request = requests::ask(site, memory, new, core.clock)?;
            let (words, json) = requests::made(&request, site.loaded.document.timezone);
            Ok(text(words).with_json(json))
        }
        Ask::EraseDryRun { person } => {
            let (site, memory) = &open(core, tenant)?;
            let now = core.clock.now();
            let prepared = erasing::prepare(memory, subject(site, person)?, None, now)?;
            let plan = prepared.plan(site, memory, now)?;
            Ok(text(describe(&plan, site.loaded.document.timezone, false)).with_json(json!({ "jobs": [plan] })))
        }
        Ask::Erase { person, plan, unpaced } => {
            let (site, memory) = &open(core, tenant)?;
            erase(core, (site, memory), person, (&plan, unpaced))
        }
        ask => hold(core, caller, tenant, ask),
    }
}

/// What is asked of requests that were made.
fn request(core: &Core, caller: &Caller, tenant: Option<&TenantName>, ask: Ask) -> Result<Answer, Failure> {
    let policy = core.policy();
    let part = tenants::part(&policy.loaded, tenant)?;
    let own = part.document.tenant.as_ref();
    let memory = &own.map_or_else(|| core.memory.clone(), |tenant| core.memory.of_tenant(tenant.as_str()));
    let (by, zone) = (caller.name.as_str(), part.document.timezone);
    Ok(match ask {
        Ask::Reports { all } => {
            let now = core.clock.now();
            let listed = requests::list(&mut *memory.conn()?, &requests::job_names(&part), all)?;
            text(requests::table(&listed, now, zone)).with_json(requests::to_json(&listed, now, zone))
        }
        Ask::Resend { id } => text(requests::resent(&id, requests::resend(memory, &id, by, core.clock)?)),
        Ask::Extend { id, why } => {
            let due = requests::extend(memory, &id, (by, &why), zone, core.clock)?;
            text(requests::extended(&id, due, zone))
        }
        Ask::Close { id, why } => {
            let (site, memory) = &open(core, tenant)?;
            requests::close(site, memory, &id, (by, &why), core.clock)?;
            text(requests::closed(&id))
        }
        _ => return Err(Failure::new(Exit::Usage, "error: that is no question about requests")),
    })
}

/// What is asked of legal holds; anything else is no question for it.
fn hold(core: &Core, caller: &Caller, tenant: Option<&TenantName>, ask: Ask) -> Result<Answer, Failure> {
    let now = core.clock.now();
    let (site, memory) = &open(core, tenant)?;
    Ok(match ask {
        Ask::Hold { case, person, why, until, wide } => {
            let about = holding::about_one(site, subject(site, person)?, wide)?;
            let new = holding::NewHold { case: case.clone(), about, why, until, by: caller.name.clone() };
            let rows = holding::add(site, memory, &new, now)?;
            let all: u64 = rows.values().sum();
            text(holding::placed(&case, all)).with_json(json!({ "case": case, "rows": rows }))
        }
        Ask::Holds { all } => {
            let mut holds = holding::list(site, memory)?;
            holds.retain(|hold| all || hold.stands(now));
            text(holding::table(&holds, site.loaded.document.timezone)).with_json(holding::to_json(&holds, now))
        }
        Ask::Release { case } => release(site, memory, &case, caller, now)?,
        _ => return Err(Failure::new(Exit::Usage, "error: that is no question about holds")),
    })
}

fn subject(site: &Site, person: Person) -> Result<Subject, Failure> {
    let given: Vec<Sealed> = person.given.into_iter().map(Sealed::new).collect();
    let subject = persons::resolve(site, &person.kind, &given)?;
    persons::narrow(site, subject, person.from.as_deref(), person.to.as_deref())
}

fn erase(
    core: &Core,
    (site, memory): (&Site, &Database),
    person: Person,
    (plan, unpaced): (&str, bool),
) -> Result<Answer, Failure> {
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
        unpaced,
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
    Ok(Answer::new(erasing::exit(&ran, receipt.as_ref()), words).with_json(json))
}

/// The first of two persons asks for a release, the second ends the holds: both are who the kernel says.
fn release(
    site: &Site,
    memory: &Database,
    case: &CaseName,
    caller: &Caller,
    now: DateTime<Utc>,
) -> Result<Answer, Failure> {
    let by = caller.name.as_str();
    let Some(first) = holding::second(memory, case, (by, caller.uid), now)? else {
        return Ok(text(format!(
            "{by} asked for the release of case {case}; it ends when a second person with the role dpo says the same"
        )));
    };
    let (ended, left) = holding::grant(site, memory, case, (&first, by), now)?;
    let mut words = format!("case {case} is released by {} and {by}", first.name);
    if left > 0 {
        words = format!(
            "{words}: {ended} of its holds; {left} that {} did not ask for stand, and end when two persons ask",
            first.name
        );
    }
    Ok(text(words).with_json(json!({
        "case": case, "released_by": first.name, "approved_by": by, "released": ended, "standing": left
    })))
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
