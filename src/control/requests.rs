//! Requests for personal data reports: taken in, held for, listed, extended, closed.
//!
//! **Invariant.** Before a request is in the state the person's data is held for it, by a legal hold of the system's own
//! whose case is named after the request; so no purge removes what the report is to show. The hold goes when the request
//! has ended, and not before: `hold release` does not touch it. Whom a request is about is kept where it is kept for every
//! hold: in the purged databases, never in the state. A person without a single row in a database that can hold is kept in
//! a private file beside the finished mails instead.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Months, TimeDelta, Utc};
use chrono_tz::Tz;

use super::failure::{Exit, Failure};
use super::holding::{self, NewHold};
use super::persons;
use super::site::Site;
use crate::clock::Clock;
use crate::config::Loaded;
use crate::files::Spool;
use crate::graph::Subject;
use crate::holds::About;
use crate::jobs::desk::Origin;
use crate::jobs::personal_data_report;
use crate::names::{CaseName, JobName, PersonName};
use crate::outbox;
use crate::store::pool::Database;
use crate::store::state::{self, HashKey, MailRecord, RequestRecord};
use crate::store::{self, Conn, StoreError};
use crate::trail::{self, Act, Actor, Digest, Entry};

mod counter;
mod deciding;
mod show;

pub use counter::Counter;
pub use deciding::{close, extend, resend};
pub use show::{closed, extended, made, resent, table, to_json};

/// What the cases of requests begin with.
pub const CASE: &str = store::held::OWN_CASE;
/// A request is answered within so many months, and within so many more when it was extended: Article 12(3) GDPR.
const MONTHS: u32 = 1;
const MORE_MONTHS: u32 = 2;
/// What is due within this is shown.
const SOON: TimeDelta = TimeDelta::days(10);

/// A request that somebody makes by command.
pub struct NewRequest {
    /// The person.
    pub subject: Subject,
    /// The job that answers it; the only one of its kind when nobody says.
    pub job: Option<JobName>,
    /// Who asks.
    pub by: String,
    /// The same, as the trail names them.
    pub actor: Actor,
}

/// A request, and its mails.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The request.
    pub request: RequestRecord,
    /// Its mails.
    pub mails: Vec<MailRecord>,
    /// The file has no such job any more that would answer it.
    pub orphaned: bool,
}

/// What of a request somebody has to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concern {
    /// It is due within ten days.
    DueSoon,
    /// It was due before now.
    Overdue,
    /// The file has no job that answers it.
    Orphaned,
    /// No report could be made.
    Problem,
    /// A mail was refused, given up, or may or may not have arrived.
    Undecided,
}

/// The instant so many calendar months later.
fn months_later(at: DateTime<Utc>, months: u32, zone: Tz) -> DateTime<Utc> {
    let later = at.with_timezone(&zone).checked_add_months(Months::new(months));
    // A time that the zone leaves out on that day is made up by the length of a month.
    later.map_or(at + TimeDelta::days(i64::from(months) * 30), |at| at.to_utc())
}

/// Makes a request; gives its record.
///
/// # Errors
/// When no job answers it, or the person's data cannot be held.
pub fn ask(site: &Site, memory: &Database, new: NewRequest, clock: Clock) -> Result<RequestRecord, Failure> {
    let now = clock.now();
    let job = job_for(site, new.job.as_ref())?;
    let due = months_later(now, MONTHS, site.loaded.document.timezone);
    let taken = place(site, memory, &job, new.subject, (Origin::Command, None), (&new.by, due, new.actor), clock)?;
    taken.ok_or_else(|| Failure::new(Exit::Failed, "error: the request was made already"))
}

/// The job that answers requests: the one that is named, or the only one.
fn job_for(site: &Site, named: Option<&JobName>) -> Result<JobName, Failure> {
    let usage = |text: String| Failure::new(Exit::Usage, format!("error: {text}"));
    let mut all = site.jobs.values().filter(|job| job.kind() == personal_data_report::KIND.name).map(|job| job.name());
    if let Some(named) = named {
        return all
            .find(|job| *job == named)
            .cloned()
            .ok_or_else(|| usage(format!("there is no job `{named}` of kind {}", personal_data_report::KIND.name)));
    }
    match (all.next(), all.next()) {
        (Some(job), None) => Ok(job.clone()),
        (None, _) => Err(usage(format!(
            "no job of the file mails reports (kind = \"{}\"); write this one into a folder with --out DIR",
            personal_data_report::KIND.name
        ))),
        (Some(first), Some(second)) => {
            Err(usage(format!("several jobs mail reports; say which: --job {first}, --job {second} …")))
        }
    }
}

/// Holds the person's data, then remembers the request; none when its origin made one already.
fn place(
    site: &Site,
    memory: &Database,
    job: &JobName,
    subject: Subject,
    (origin, origin_key): (Origin, Option<String>),
    (by, due, actor): (&str, DateTime<Utc>, Actor),
    clock: Clock,
) -> Result<Option<RequestRecord>, Failure> {
    let now = clock.now();
    let id = state::new_request_id()?;
    let secret = state::new_secret()?;
    let key = HashKey { epoch: String::new(), secret: crate::redact::Sealed::new(secret.clone()) };
    let digests: Vec<String> =
        persons::marks(&key, &subject).iter().map(|(kind, digest)| format!("{kind}={digest}")).collect();
    let about = holding::about_person(&subject);
    record(memory, clock, actor, job, &id, |report| Act::ReportRequested { report, person: subject.kind.clone() })?;
    let record = RequestRecord {
        origin: origin.as_str().to_owned(),
        origin_key,
        person_kind: subject.kind.to_string(),
        secret,
        digests: digests.join("\n"),
        range_from: subject.from.map(|at| at.naive_utc()),
        range_to: subject.to.map(|at| at.naive_utc()),
        ..RequestRecord::open(&id, job.as_str(), by, now, due)
    };
    hold(site, memory, &record, about, now)?;
    // An error may come after the request was written down: then the hold must stand, and if it was not, the hold goes
    // with those that nobody knows (`Desk::tidy`).
    let added = state::add_request(&mut *memory.conn()?, &record)?;
    if !added {
        free(site, memory, &record, now)?;
    }
    Ok(added.then_some(record))
}

/// Records that a person's report is read, and written into files of whoever asks, before either is done.
///
/// # Errors
/// When the trail cannot be written: then nobody may read it.
pub fn written(memory: &Database, clock: Clock, id: &str, person: PersonName) -> Result<(), Failure> {
    let report = Digest::parse(id).ok_or_else(|| Failure::new(Exit::Failed, "error: the report has no id"))?;
    trail::record(memory, clock, vec![Entry::new(Act::ReportWritten { report, person })])
        .map_err(|error| Failure::new(Exit::Failed, format!("error: nothing was read: {error}")))
}

/// Records in the trail what becomes of a request.
fn record(
    memory: &Database,
    clock: Clock,
    actor: Actor,
    job: &JobName,
    request: &str,
    act: impl Fn(Digest) -> Act,
) -> Result<(), Failure> {
    let Some(report) = Digest::parse(request) else { return Ok(()) };
    let entry = Entry { actor, ..Entry::new(act(report)).job(job) };
    let recorded = trail::append(&mut *memory.conn()?, clock, &[entry]);
    recorded.map(drop).map_err(|error| Failure::new(Exit::Failed, format!("error: {error}")))
}

fn case(request: &str) -> Result<CaseName, Failure> {
    let case = format!("{CASE}{request}").parse();
    case.map_err(|error| Failure::new(Exit::Failed, format!("error: {error}")))
}

fn whom_file(request: &RequestRecord) -> String {
    format!("{}.{}.whom", request.job, request.id)
}

fn spool(memory: &Database) -> Result<Spool, Failure> {
    let folder = outbox::folder(memory.url());
    Spool::open(&folder)
        .map_err(|error| Failure::new(Exit::Failed, format!("error: the outbox folder {}: {error}", folder.display())))
}

fn hold(
    site: &Site,
    memory: &Database,
    request: &RequestRecord,
    about: About,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    let text = about.to_text().map_err(|error| Failure::new(Exit::Failed, format!("error: {error}")))?;
    let new = NewHold {
        case: case(&request.id)?,
        about,
        why: "an open request for a personal data report".to_owned(),
        until: None,
        by: request.asked_by.clone(),
    };
    if !holding::add_where_possible(site, memory, &new, now)? {
        let put = spool(memory)?.put(&whom_file(request), text.as_bytes());
        put.map_err(|error| Failure::new(Exit::Failed, format!("error: the outbox folder: {error}")))?;
    }
    Ok(())
}

/// Lets go of what is held for a request, and of whom it is about.
fn free(site: &Site, memory: &Database, request: &RequestRecord, now: DateTime<Utc>) -> Result<(), Failure> {
    holding::release_own(site, memory, &case(&request.id)?, now)?;
    let forgotten = spool(memory)?.remove(&whom_file(request));
    forgotten.map_err(|error| Failure::new(Exit::Failed, format!("error: the outbox folder: {error}")))
}

/// Whom a request is about.
fn whom(site: &Site, memory: &Database, request: &RequestRecord) -> Result<Subject, Failure> {
    let doubt = |text: String| Failure::new(Exit::Failed, format!("error: {text}"));
    let about = match holding::about_case(site, memory, &case(&request.id)?)? {
        Some(about) => about,
        None => {
            use std::io::Read as _;
            let lost = |_| {
                doubt("nobody knows any more whom the request is about (was a database restored?); close it, and ask again".to_owned())
            };
            let mut text = String::new();
            spool(memory)?
                .read(&whom_file(request))
                .and_then(|mut file| file.read_to_string(&mut text))
                .map_err(lost)?;
            About::from_text(&text).ok_or_else(|| doubt("whom the request is about cannot be read".to_owned()))?
        }
    };
    let mut subject = holding::subject_of(&site.graph, &about).map_err(doubt)?;
    subject.from = request.range_from.map(|at| at.and_utc());
    subject.to = request.range_to.map(|at| at.and_utc());
    Ok(subject)
}

/// The jobs of a file, of all its tenants, that answer requests.
pub type JobNames = BTreeSet<String>;

/// The jobs of a file, of all its tenants, that answer requests. A request to any other job is answered by none.
pub fn job_names(loaded: &Arc<Loaded>) -> JobNames {
    let mut names = JobNames::new();
    for part in loaded.parts() {
        let answering = part.document.jobs.iter().filter(|(_, raw)| raw.kind == personal_data_report::KIND.name);
        names.extend(answering.map(|(name, _)| name.to_string()));
    }
    names
}

/// Requests with their mails, oldest first; `all`: those that have ended too.
///
/// # Errors
/// When the state cannot be read.
pub fn list(conn: &mut Conn, jobs: &JobNames, all: bool) -> Result<Vec<Listed>, StoreError> {
    let mut mails: BTreeMap<String, Vec<MailRecord>> = BTreeMap::new();
    for mail in state::mails(conn)? {
        mails.entry(mail.request.clone()).or_default().push(mail);
    }
    let of = |request: RequestRecord| {
        let mails = mails.remove(&request.id).unwrap_or_default();
        Listed { orphaned: !jobs.contains(&request.job), request, mails }
    };
    let requests = state::requests(conn)?.into_iter();
    Ok(requests.filter(|request| all || request.is_open()).map(of).collect())
}

impl Listed {
    /// What somebody has to look at.
    pub fn concerns(&self, now: DateTime<Utc>) -> Vec<Concern> {
        if !self.request.is_open() {
            return Vec::new();
        }
        let left = self.request.due_at.and_utc() - now;
        let due =
            if left < TimeDelta::zero() { Some(Concern::Overdue) } else { (left <= SOON).then_some(Concern::DueSoon) };
        let problem = self.request.problem.as_ref().map(|_| Concern::Problem);
        let undecided = self.mails.iter().any(MailRecord::is_undecided).then_some(Concern::Undecided);
        let orphaned = self.orphaned.then_some(Concern::Orphaned);
        due.into_iter().chain(orphaned).chain(problem).chain(undecided).collect()
    }
}
