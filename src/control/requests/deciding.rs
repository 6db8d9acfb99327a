//! What somebody decides about a request: sent once more, extended, closed.
//!
//! **Invariant.** Each of these stands in the trail before it is done. A request of another tenant is none.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;

use super::{MORE_MONTHS, free, months_later, record, spool};
use crate::clock::Clock;
use crate::control::failure::{Exit, Failure};
use crate::control::site::Site;
use crate::names::JobName;
use crate::outbox;
use crate::store::pool::Database;
use crate::store::state::{self, MailRecord, RequestRecord};
use crate::trail::{Act, Actor, Digest};

fn unknown(id: &str) -> Failure {
    Failure::new(Exit::Usage, format!("error: there is no request `{id}`; `retentiond report list` shows them"))
}

fn refused(text: String) -> Failure {
    Failure::new(Exit::Braked, format!("error: {text}"))
}

fn find(memory: &Database, id: &str) -> Result<RequestRecord, Failure> {
    state::request(&mut *memory.conn()?, id)?.ok_or_else(|| unknown(id))
}

/// Has the undecided mails of a request sent once more; gives how many.
///
/// # Errors
/// When there are none.
pub fn resend(memory: &Database, id: &str, by: &str, clock: Clock) -> Result<usize, Failure> {
    let now = clock.now();
    let request = find(memory, id)?;
    if !request.is_open() {
        return Err(refused(format!("request {id} has ended: it was {}", request.stage)));
    }
    let mut undecided = state::mails_of(&mut *memory.conn()?, id)?;
    undecided.retain(MailRecord::is_undecided);
    if undecided.is_empty() {
        return Err(refused(format!("request {id} has no mail about which somebody has to decide")));
    }
    let mails = undecided.len() as u64;
    decided(memory, clock, &request, |report| Act::ReportResent { report, mails })?;
    let mut conn = memory.conn()?;
    let mut again = 0;
    for mail in &undecided {
        // It is tried for as long as it was meant to be tried the first time.
        let patience = mail.give_up_at.and_utc() - mail.posted_at.and_utc();
        let patience = patience.clamp(TimeDelta::hours(1), TimeDelta::days(30));
        again += usize::from(state::mail_again(&mut conn, &mail.id, by, (now, now + patience))?);
    }
    Ok(again)
}

/// Extends a request by two months, once; gives its new due date.
///
/// # Errors
/// When it was extended before, or has ended.
pub fn extend(
    memory: &Database,
    id: &str,
    (by, why): (&str, &str),
    zone: Tz,
    clock: Clock,
) -> Result<DateTime<Utc>, Failure> {
    let request = find(memory, id)?;
    if why.trim().is_empty() {
        return Err(Failure::new(Exit::Usage, "error: --why says nothing"));
    }
    let due = months_later(request.due_at.and_utc(), MORE_MONTHS, zone);
    let too_late = || match request.extended_at {
        Some(_) if request.is_open() => format!("request {id} was extended before, and is extended once only"),
        _ => format!("request {id} has ended: it was {}", request.stage),
    };
    if request.extended_at.is_some() || !request.is_open() {
        return Err(refused(too_late()));
    }
    decided(memory, clock, &request, |report| Act::ReportExtended { report, due })?;
    match state::extend_request(&mut *memory.conn()?, id, due, (by, why), clock.now())? {
        true => Ok(due),
        false => Err(refused(too_late())),
    }
}

/// Records what somebody decides about a request, before it is done.
fn decided(
    memory: &Database,
    clock: Clock,
    request: &RequestRecord,
    act: impl Fn(Digest) -> Act,
) -> Result<(), Failure> {
    let job = request.job.parse();
    let job: JobName = job.map_err(|error| Failure::new(Exit::Failed, format!("error: {error}")))?;
    record(memory, clock, Actor::present(), &job, &request.id, act)
}

/// Closes a request without a (further) report; what was finished of it is removed.
///
/// # Errors
/// When it has ended, or a mail is on its way just now.
pub fn close(site: &Site, memory: &Database, id: &str, (by, why): (&str, &str), clock: Clock) -> Result<(), Failure> {
    let now = clock.now();
    let request = find(memory, id)?;
    if why.trim().is_empty() {
        return Err(Failure::new(Exit::Usage, "error: --why says nothing"));
    }
    if !request.is_open() {
        return Err(refused(format!("request {id} has ended: it was {}", request.stage)));
    }
    decided(memory, clock, &request, |report| Act::ReportClosed { report })?;
    if !state::end_request(&mut *memory.conn()?, id, Some((by, why)), now)? {
        return Err(refused(format!("a mail of request {id} is on its way just now; try again in a moment")));
    }
    free(site, memory, &request, now)?;
    // Its job may be in the file no more, and so clears nothing up.
    let cleared = outbox::clear(&spool(memory)?, id);
    cleared.map_err(|error| Failure::new(Exit::Failed, format!("error: the outbox folder: {error}")))
}
