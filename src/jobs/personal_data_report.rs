//! Answers requests: gathers what is held about one person, and mails it, once.
//!
//! Removes nothing. **Invariant.** A report leaves encrypted for the keys that the file names, valid at that moment, or
//! the file says `allow_plain = true`; what cannot be encrypted is not finished, and what was finished otherwise is
//! finished anew, so neither is sent. A request is `open` until the mails of its
//! finished report are durable in the outbox ([`crate::outbox`]), `posted` until every one of them was sent, and only
//! then `answered`; until that moment its data is held. Whatever ends a run in between, the next one goes on from what the
//! state says; a report that was not posted is made anew, under the same message id. Tests: `reports_mailed`.

use std::path::PathBuf;

use chrono::TimeDelta;
use schemars::JsonSchema;
use serde::Deserialize;

use super::session::{Look, Outcome, Report, Session};
use super::{Job, Kind};
use crate::config::diagnostic::Diagnostics;
use crate::config::document::Document;
use crate::config::period::Period;
use crate::config::section::RawJob;
use crate::config::timing::CatchUp;
use crate::config::values::OneOrMany;
use crate::graph::Graph;
use crate::mail::pgp::Keys;
use crate::mail::{MailError, Mailbox, Mailer, Settings};
use crate::names::{DataName, JobName, PersonName, StoreName};
use crate::outbox::{self, Outbox, OutboxError, Tally};
use crate::plan::{Plan, Policy};
use crate::removal::RemovalError;
use crate::report::Format;
use crate::store::state::{self, MailState, RequestRecord};

mod checks;
mod intake;
mod letter;
mod parcel;

/// The kind.
/// One late run finds all that missed ones would have found.
pub const KIND: Kind =
    Kind { name: "personal_data_report", read, schema: || schemars::schema_for!(Spec), catch_up: CatchUp::Latest };

/// How long a report that was too large to be mailed lies in its folder after the request was answered.
pub const FETCHED_WITHIN: TimeDelta = TimeDelta::days(30);

/// The keys of a job that mails reports.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Who gets the reports: one address, or several; each gets a mail of its own.
    pub to: OneOrMany,
    /// In which formats: `pdf`, `json`, `csv`, `html`. Default: `["pdf", "json"]`.
    #[serde(default = "Spec::default_formats")]
    pub formats: Vec<Format>,
    /// Files with OpenPGP public keys: the whole mail is encrypted for each of them. A relative path is beside jobs.toml.
    pub encrypt_to: Option<OneOrMany>,
    /// `true` lets reports leave that every mail server on the way can read. Default `false`.
    #[serde(default)]
    pub allow_plain: bool,
    /// The language of reports and mails: `en`, `de` or `fi`, or one of the operator's own. Default: as `[report]` says.
    pub language: Option<String>,
    /// For so long a mail is tried before somebody is told that it did not leave. Default 3 days.
    pub give_up_after: Option<Period>,
    /// A report of more bytes is not attached; the mail says where it lies. Default 10 000 000.
    #[serde(default = "Spec::default_max_bytes")]
    pub max_bytes: u64,
    /// An entry of the map whose rows are requests: with the columns `person_kind`, `identifier_kind`, `identifier` and
    /// `answered_at` (NULL while the request is open; set when it was answered), perhaps `due_at`.
    pub requests: Option<DataName>,
    /// A statement about one person at each period: kind of person to the identifiers, as `--user` and `--customer` take
    /// them: `{ user = "login=jane" }`.
    pub person: Option<std::collections::BTreeMap<PersonName, OneOrMany>>,
    /// A statement about every person of this kind at each period.
    pub every: Option<PersonName>,
    /// How often there is a statement about one and the same person: `year`, `quarter` or `month`. Default `year`.
    #[serde(default)]
    pub per: intake::Per,
}

impl Spec {
    fn default_formats() -> Vec<Format> {
        vec![Format::Pdf, Format::Json]
    }

    fn default_max_bytes() -> u64 {
        10_000_000
    }

    fn patience(&self) -> TimeDelta {
        self.give_up_after.as_ref().map_or(TimeDelta::days(3), Period::approximate)
    }
}

/// The files with public keys that a job of this kind names; none of any other job.
pub fn key_files(raw: &RawJob) -> Vec<PathBuf> {
    let spec = (raw.kind == KIND.name).then(|| raw.read::<Spec>(&mut Diagnostics::default())).flatten();
    let files = spec.and_then(|spec| spec.encrypt_to).map(|files| files.0).unwrap_or_default();
    files.iter().map(|file| checks::beside(raw, file)).collect()
}

/// A job of this kind.
pub struct PersonalDataReport {
    name: JobName,
    spec: Spec,
    to: Vec<Mailbox>,
    keys: Vec<PathBuf>,
    policy: Policy,
    store: Option<StoreName>,
}

fn read(raw: &RawJob, document: &Document, graph: &Graph, diagnostics: &mut Diagnostics) -> Option<Box<dyn Job>> {
    let spec: Spec = raw.read(diagnostics)?;
    let to = checks::check(raw, &spec, document, graph, diagnostics);
    let keys = spec.encrypt_to.iter().flat_map(|files| &files.0).map(|file| checks::beside(raw, file)).collect();
    let store = spec.requests.as_ref().and_then(|entry| graph.node(entry)).map(|node| node.store.clone());
    Some(Box::new(PersonalDataReport { name: raw.name.clone(), to, keys, policy: Policy::default(), store, spec }))
}

impl Job for PersonalDataReport {
    fn name(&self) -> &JobName {
        &self.name
    }

    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn policy(&self) -> &Policy {
        &self.policy
    }

    fn removes(&self) -> bool {
        false
    }

    /// Only where requests are marked as answered is anything written.
    fn stores(&self, _: &Graph) -> Vec<StoreName> {
        self.store.iter().cloned().collect()
    }

    fn plan(&self, look: &Look<'_>) -> Result<Plan, RemovalError> {
        let known = self.open(look)?.len() as u64;
        let new = intake::waiting(self, look)?;
        let basis = look.basis(self.policy_hash(), &self.stores(look.graph));
        let mut plan = Plan::new(self.name.clone(), KIND.name, None, basis, Vec::new());
        plan.requests = Some(known + new);
        Ok(plan)
    }

    fn run(&self, session: &mut Session<'_>, report: &mut Report) -> Result<Outcome, RemovalError> {
        let plan = self.plan(&session.look)?;
        session.progress.begin(&plan);
        report.plan = Some(plan);
        let settings = self.settings(&session.look)?;
        let outbox = Outbox::open(&outbox::folder(session.look.memory.url()), session.look.memory, session.clock)
            .map_err(of_outbox)?;
        let mailer = Mailer::of(&settings);
        let mut tally = Tally::default();
        let mut problems = Vec::new();
        let keys = parcel::keys(self, session.clock.now());
        // What was finished before goes first: a run that is cut short has done that much.
        match &keys {
            Ok(keys) => self.send(session, &outbox, (&mailer, keys.as_ref()), &mut tally)?,
            Err(error) => problems.extend(self.kept_back(session, error)?),
        }
        let refused = intake::take(self, session)?;
        let mut stopped = false;
        for request in self.open(&session.look)?.iter().filter(|request| request.stage == "open") {
            if session.permit.next()?.is_some() {
                stopped = true;
                break;
            }
            problems.extend(self.answer(session, &outbox, &settings, request)?);
        }
        if let Ok(keys) = keys
            && !stopped
        {
            self.send(session, &outbox, (&mailer, keys.as_ref()), &mut tally)?;
        }
        self.finish(session)?;
        session.desk.tidy()?;
        outbox.sweep(self.name.as_str(), FETCHED_WITHIN).map_err(of_outbox)?;
        if tally.sent > 0 {
            session.progress.note(&match tally.sent {
                1 => "a mail with a report was sent".to_owned(),
                sent => format!("{sent} mails with reports were sent"),
            });
        }
        if tally.recalled > 0 {
            session
                .progress
                .note(&format!("{} finished mails are encrypted anew for the keys of the file", tally.recalled));
        }
        if tally.waiting > 0 {
            session.progress.note(&format!("{} mails could not be sent yet and are tried again", tally.waiting));
        }
        problems.extend(refused);
        problems.extend(tally.trouble());
        match (problems.is_empty(), tally.away) {
            (false, _) => Err(RemovalError::Doubt(problems.join("; "))),
            (true, Some(error)) => Err(RemovalError::Mail(error)),
            (true, None) if stopped => Ok(Outcome::Stopped),
            (true, None) => Ok(Outcome::Complete),
        }
    }
}

impl PersonalDataReport {
    /// The requests of this job that wait for their answer, the first due first.
    fn open(&self, look: &Look<'_>) -> Result<Vec<RequestRecord>, RemovalError> {
        Ok(state::open_requests(&mut *look.memory.conn()?, self.name.as_str())?)
    }

    /// What is said of finished mails that stay because a key cannot be used.
    fn kept_back(&self, session: &Session<'_>, error: &RemovalError) -> Result<Option<String>, RemovalError> {
        let now = session.clock.now();
        let waiting = state::waiting_mails(&mut *session.look.memory.conn()?, self.name.as_str(), now, false)?;
        Ok(match waiting.len() {
            0 => None,
            1 => Some(format!("1 finished mail is kept back: {error}")),
            more => Some(format!("{more} finished mails are kept back: {error}")),
        })
    }

    fn settings(&self, look: &Look<'_>) -> Result<Settings, RemovalError> {
        let mail = look.document.mail.as_ref();
        let settings = mail.and_then(|mail| Settings::read(mail, &mut Diagnostics::default()));
        settings.ok_or_else(|| RemovalError::Doubt("[mail] does not say how mail leaves".to_owned()))
    }

    fn send(
        &self,
        session: &mut Session<'_>,
        outbox: &Outbox<'_>,
        (mailer, keys): (&Result<Mailer, MailError>, Option<&Keys>),
        tally: &mut Tally,
    ) -> Result<(), RemovalError> {
        if tally.away.is_some() {
            return Ok(());
        }
        let seal = keys.map(Keys::seal);
        let before = self.unsent(session)?;
        let permit = &mut *session.permit;
        let mut lost = None;
        let mut go_on = || match permit.next() {
            Ok(halt) => halt.is_none(),
            Err(error) => {
                lost = Some(error);
                false
            }
        };
        let sent = outbox.send_due((self.name.as_str(), seal.as_deref()), mailer, &mut go_on).map_err(of_outbox)?;
        let failed = sent.refused + sent.given_up > 0;
        tally.add(sent);
        if failed {
            for (_, request) in self.unsent(session)?.iter().filter(|mail| !before.contains(mail)) {
                session.desk.failed(&self.name, request)?;
            }
        }
        lost.map_or(Ok(()), Err)
    }

    /// The mails of open requests that were refused or given up, each with its request.
    fn unsent(&self, session: &Session<'_>) -> Result<Vec<(String, String)>, RemovalError> {
        let mut unsent = Vec::new();
        for request in self.open(&session.look)?.into_iter().filter(|request| request.stage == "posted") {
            let mails = state::mails_of(&mut *session.look.memory.conn()?, &request.id)?.into_iter();
            let lost = mails.filter(|mail| mail.is(MailState::Refused) || mail.is(MailState::GivenUp));
            unsent.extend(lost.map(|mail| (mail.id, request.id.clone())));
        }
        Ok(unsent)
    }

    /// Makes a report and posts it; gives why not, when it could not be made.
    fn answer(
        &self,
        session: &mut Session<'_>,
        outbox: &Outbox<'_>,
        settings: &Settings,
        request: &RequestRecord,
    ) -> Result<Option<String>, RemovalError> {
        let made = parcel::make(self, session, outbox, settings, request);
        let (mails, counts) = match made {
            Ok(made) => made,
            // A database is away, or the lease is lost: that is the run's trouble, not the request's.
            Err(error @ (RemovalError::Overtaken | RemovalError::Store(_))) => return Err(error),
            Err(error) => {
                let why = error.to_string();
                // Each run tries again; that the same stands in the way is recorded once.
                if request.problem.as_ref() != Some(&why) {
                    session.desk.failed(&self.name, &request.id)?;
                }
                state::note_problem(&mut *session.look.memory.conn()?, &request.id, Some(&why))?;
                return Ok(Some(format!("request {}: {why}", request.id)));
            }
        };
        if !session.permit.holds() {
            return Err(RemovalError::Overtaken);
        }
        let hashes: Vec<&str> = mails.iter().map(|mail| mail.digest.as_str()).collect();
        session.desk.posting(&self.name, &request.id, &hashes)?;
        state::post(&mut *session.look.memory.conn()?, &request.id, &counts, &mails)?;
        Ok(None)
    }

    /// Requests whose mails were all sent are answered; what was held for them is let go.
    fn finish(&self, session: &mut Session<'_>) -> Result<(), RemovalError> {
        for request in self.open(&session.look)?.iter().filter(|request| request.stage == "posted") {
            let own = state::mails_of(&mut *session.look.memory.conn()?, &request.id)?;
            if own.is_empty() || !own.iter().all(|mail| mail.is(MailState::Sent)) {
                continue;
            }
            for mail in own {
                session.desk.sent(&self.name, &request.id, &mail.digest)?;
            }
            let now = session.clock.now();
            if state::end_request(&mut *session.look.memory.conn()?, &request.id, None, now)? {
                session.desk.ended(&request.id)?;
            }
        }
        intake::mark_answered(self, session)
    }
}

fn of_outbox(error: OutboxError) -> RemovalError {
    match error {
        OutboxError::Store(error) => RemovalError::Store(error),
        folder @ OutboxError::Folder(..) => RemovalError::Doubt(folder.to_string()),
    }
}
