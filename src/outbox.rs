//! The outbox: finished mails, sent at most once by themselves, and never lost without somebody being told.
//!
//! **Invariant.** A mail is in the state and its file on the disk, both durable, before its first byte leaves. Each phase
//! of its way is written down before it begins ([`Phase`]); what cannot be written down does not begin. So a mail that is
//! found on its way after a crash was surely not taken when it had not come to the final dot, and is tried again; from the
//! dot on it is `uncertain`, and only a person can have it sent again. What was finished when the file named no key, or
//! another one, does not leave any more once it names one ([`Outbox::send_due`]): it is finished anew. No two finished
//! mails share a file, so whoever was overtaken while finishing one spoils no other's. Its file is removed when nobody can
//! need it any more: it was sent, or its request has ended. Tests: `outbox`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest as _, Sha256};

use crate::clock::Clock;
use crate::files::Spool;
use crate::mail::address::Address;
use crate::mail::{Carried, Certainty, Follow, MailError, Mailer, Message, Phase};
use crate::store::pool::Database;
use crate::store::state::{self, Attempt, MailRecord, MailState, RequestRecord};
use crate::store::url::StoreUrl;
use crate::store::{Conn, StoreError};

/// The distance between two attempts, doubled each time from a minute on, is never longer.
const LONGEST_WAIT: TimeDelta = TimeDelta::hours(1);
/// Whom a request is about is written down before the request is: a file that nobody knows may be of one that comes.
const COMING: Duration = Duration::from_secs(3600);
/// Where the outbox is when the state is on a server.
const USUAL: &str = "/var/lib/retentiond/outbox";

/// Why the outbox cannot work.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// The state.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The folder.
    #[error("the outbox folder {0}: {1}")]
    Folder(PathBuf, std::io::Error),
}

/// The outbox of this host.
pub struct Outbox<'a> {
    spool: Spool,
    memory: &'a Database,
    clock: Clock,
    host: String,
}

/// What became of the mails that were tried.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Taken by a server.
    pub sent: usize,
    /// To be tried again.
    pub waiting: usize,
    /// Perhaps taken.
    pub uncertain: usize,
    /// Refused for good.
    pub refused: usize,
    /// Tried for too long.
    pub given_up: usize,
    /// Taken back, to be encrypted for the keys that the file names now.
    pub recalled: usize,
    /// Why the server could not be spoken to; the rest was not tried then.
    pub away: Option<MailError>,
}

/// Where the outbox is: beside the state's file, or, when that is on a server, in the service's own folder.
pub fn folder(state: &StoreUrl) -> PathBuf {
    match state {
        StoreUrl::Sqlite(path) => path.parent().unwrap_or(Path::new("/")).join("outbox"),
        _ => PathBuf::from(USUAL),
    }
}

/// Removes all that lies in the folder for a request but a report that was too large to be mailed.
///
/// # Errors
/// When a file cannot be removed.
pub fn clear(spool: &Spool, request: &str) -> std::io::Result<()> {
    let mine = |name: &String| name.split('.').nth(1) == Some(request) && !name.ends_with(".files");
    spool.names()?.iter().filter(|name| mine(name)).try_for_each(|name| spool.remove(name))
}

/// The name of this host, under which its files are known.
pub fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

impl<'a> Outbox<'a> {
    /// Opens it, made when it is not there.
    ///
    /// # Errors
    /// When the folder cannot be used.
    pub fn open(folder: &Path, memory: &'a Database, clock: Clock) -> Result<Self, OutboxError> {
        let spool = Spool::open(folder).map_err(|error| OutboxError::Folder(folder.to_path_buf(), error))?;
        Ok(Self { spool, memory, clock, host: host() })
    }

    /// The folder.
    pub fn spool(&self) -> &Spool {
        &self.spool
    }

    fn failed(&self, error: std::io::Error) -> OutboxError {
        OutboxError::Folder(self.spool.path().to_path_buf(), error)
    }

    /// Lays a finished message down, and gives the record that makes it a mail of the outbox once it is in the state
    /// ([`state::post`]). `seal`: whose keys it is encrypted for, as a hash; none where anybody can read it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn lay_down(
        &self,
        message: &Message,
        (job, request, place): (&str, &str, usize),
        seal: Option<&str>,
        give_up_after: TimeDelta,
    ) -> Result<MailRecord, OutboxError> {
        let now = self.clock.now();
        let own: String = state::new_secret()?.chars().take(8).collect();
        let spool = format!("{job}.{request}.{place}.{own}.eml");
        self.spool.put(&spool, message.bytes()).map_err(|error| self.failed(error))?;
        Ok(MailRecord {
            id: format!("{request}.{place}"),
            request: request.to_owned(),
            sender: message.from().as_str().to_owned(),
            recipient: message.to().iter().map(Address::as_str).collect::<Vec<_>>().join(","),
            message_id: message.id().to_owned(),
            host: self.host.clone(),
            spool,
            digest: hexadecimal(&Sha256::digest(message.bytes())),
            bytes: i64::try_from(message.bytes().len()).unwrap_or(i64::MAX),
            posted_at: now.naive_utc(),
            give_up_at: (now + give_up_after).naive_utc(),
            state: MailState::Waiting.as_str().to_owned(),
            phase: None,
            attempt: 0,
            not_before: now.naive_utc(),
            note: None,
            ended_at: None,
            decided_by: None,
            sealed_for: seal.map(str::to_owned),
        })
    }

    /// Tries every mail of a job's open requests that is due, once. With a `seal`, a mail that is not encrypted for exactly
    /// these keys is taken back instead, and its request is open once more. The caller holds the lease under which the
    /// job's mails are sent; `go_on` is asked between two mails.
    ///
    /// # Errors
    /// When the state cannot be read or written; what became of each mail is in the state all the same.
    pub fn send_due(
        &self,
        (job, seal): (&str, Option<&str>),
        mailer: &Result<Mailer, MailError>,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Tally, OutboxError> {
        let (_, uncertain) =
            state::settle_mails(&mut *self.memory.conn()?, job, Phase::Dot.as_str(), self.clock.now())?;
        let mut tally = Tally { uncertain, ..Tally::default() };
        if let Some(seal) = seal {
            let waiting = state::waiting_mails(&mut *self.memory.conn()?, job, self.clock.now(), true)?;
            for mail in waiting.iter().filter(|mail| mail.sealed_for.as_deref() != Some(seal)) {
                tally.recalled += usize::from(state::recall(&mut *self.memory.conn()?, mail)?);
            }
        }
        for mail in state::waiting_mails(&mut *self.memory.conn()?, job, self.clock.now(), false)? {
            if tally.away.is_some() || !go_on() {
                break;
            }
            // A host may have got another name; what lies here is sent from here.
            if mail.host != self.host && self.spool.read(&mail.spool).is_err() {
                self.wait_for_its_host(&mail, &mut tally)?;
                continue;
            }
            let Some(attempt) = state::take_mail(&mut *self.memory.conn()?, &mail)? else { continue };
            let mut steps = Steps { memory: self.memory, clock: self.clock, attempt: &attempt, reached: None };
            let spoilt = self.check(&mail).err();
            let sent = match &spoilt {
                Some(error) => Err(error.clone()),
                None => mailer.as_ref().map_err(Clone::clone).and_then(|mailer| self.carry(&mail, mailer, &mut steps)),
            };
            let reached = steps.reached;
            let now = self.clock.now();
            // Waiting mends no spoilt file.
            let refused = spoilt.map(|_| (MailState::Refused, None));
            let fate = refused.unwrap_or_else(|| judge(sent.as_ref().err(), reached, &mail, now));
            let note = sent.as_ref().err().map(|error| error.message.as_str());
            let written = state::end_attempt(&mut *self.memory.conn()?, &attempt, fate.0, note, (fate.1, now))?;
            if !written {
                // Somebody took the attempt for a dead one and judged it; that stands.
                continue;
            }
            tracing::info!(mail = mail.id, state = fate.0.as_str(), attempt = attempt.number, "a report's mail");
            tally.count(fate.0);
            if let Err(error) = sent
                && fate.0 == MailState::Waiting
                && reached.is_none_or(|phase| phase == Phase::Connecting)
            {
                tally.away = Some(error);
            }
        }
        Ok(tally)
    }

    /// The file of a mail lies on the host that finished it. That may be gone.
    fn wait_for_its_host(&self, mail: &MailRecord, tally: &mut Tally) -> Result<(), OutboxError> {
        let now = self.clock.now();
        if now < mail.give_up_at.and_utc() {
            tally.waiting += 1;
            return Ok(());
        }
        let why = format!(
            "its file lies in the outbox of host {}, which has not sent it; close the request, and ask again",
            mail.host
        );
        tally.given_up += usize::from(state::give_mail_up(&mut *self.memory.conn()?, mail, &why, now)?);
        Ok(())
    }

    /// Whether the file is the one that was finished.
    fn check(&self, mail: &MailRecord) -> Result<(), MailError> {
        let spoilt = |why: &str| MailError::permanent(format!("the finished message {} {why}", mail.spool));
        let mut hash = Sha256::new();
        let mut piece = vec![0; 64 * 1024];
        let unreadable = |error: std::io::Error| spoilt(&format!("cannot be read: {error}"));
        let mut file = self.spool.read(&mail.spool).map_err(unreadable)?;
        loop {
            match file.read(&mut piece).map_err(unreadable)? {
                0 => break,
                read => hash.update(piece.get(..read).unwrap_or_default()),
            }
        }
        let same = hexadecimal(&hash.finalize()) == mail.digest;
        if same { Ok(()) } else { Err(spoilt("is not as it was when it was finished")) }
    }

    fn carry(&self, mail: &MailRecord, mailer: &Mailer, steps: &mut Steps<'_>) -> Result<(), MailError> {
        let parse = |text: &str| Address::parse(text).map_err(|error| MailError::permanent(error.to_string()));
        let (from, to) = (parse(&mail.sender)?, [parse(&mail.recipient)?]);
        let carried = Carried { id: &mail.message_id, from: &from, to: &to };
        let unreadable = |error| MailError::transient(format!("the finished message {}: {error}", mail.spool));
        mailer.carry(&carried, &mut self.spool.read(&mail.spool).map_err(unreadable)?, steps)
    }

    /// Removes what lies in the folder for a job and nobody can need any more: files of mails that were sent, and of
    /// requests that have ended or never came so far. Folders of reports that were too large to be mailed stay for
    /// `still_there` after the request's end. What lies there for other jobs goes when its request has ended: the job may
    /// be in the file no more.
    ///
    /// # Errors
    /// When the state cannot be read, or a file cannot be removed.
    pub fn sweep(&self, job: &str, still_there: TimeDelta) -> Result<(), OutboxError> {
        let names = self.spool.names().map_err(|error| self.failed(error))?;
        // Asked after the names were read: what is finished meanwhile is not among them.
        let (requests, mails) = {
            let mut conn = self.memory.whole().conn()?;
            (state::requests(&mut conn)?, state::mails(&mut conn)?)
        };
        let requests: BTreeMap<&str, &RequestRecord> =
            requests.iter().map(|request| (request.id.as_str(), request)).collect();
        let unsent: BTreeSet<&str> =
            mails.iter().filter(|mail| !mail.is(MailState::Sent)).map(|mail| mail.spool.as_str()).collect();
        let now = self.clock.now();
        let needed = |name: &str| {
            let mut parts = name.split('.');
            let mine = parts.next() == Some(job);
            let Some(request) = parts.next().and_then(|id| requests.get(id)) else {
                return !mine || name.ends_with(".whom") && self.is_fresh(name);
            };
            if name.ends_with(".files") {
                return request.ended_at.is_none_or(|ended| now - ended.and_utc() < still_there);
            }
            request.is_open() && (!mine || name.ends_with(".whom") || unsent.contains(name))
        };
        for name in names.iter().filter(|name| !needed(name)) {
            self.spool.remove(name).map_err(|error| self.failed(error))?;
        }
        Ok(())
    }

    /// Whether a file was written a short while ago.
    fn is_fresh(&self, name: &str) -> bool {
        self.spool.age(name).is_ok_and(|age| age < COMING)
    }
}

impl Tally {
    /// Adds what became of more mails.
    pub fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.waiting += other.waiting;
        self.uncertain += other.uncertain;
        self.refused += other.refused;
        self.given_up += other.given_up;
        self.recalled += other.recalled;
        self.away = other.away.or(self.away.take());
    }

    fn count(&mut self, state: MailState) {
        match state {
            MailState::Sent => self.sent += 1,
            MailState::Uncertain => self.uncertain += 1,
            MailState::Refused => self.refused += 1,
            MailState::GivenUp => self.given_up += 1,
            MailState::Waiting | MailState::Going | MailState::Dropped => self.waiting += 1,
        }
    }

    /// What somebody has to look at, in words; none when there is nothing.
    pub fn trouble(&self) -> Option<String> {
        let parts = [
            (self.uncertain, "uncertain: handed over, and whether they were taken is not known"),
            (self.refused, "refused by the mail server"),
            (self.given_up, "given up after too many attempts"),
        ];
        let parts: Vec<String> =
            parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
        (!parts.is_empty()).then(|| format!("mails of reports: {}; see `retentiond report list`", parts.join(", ")))
    }
}

/// Writes each phase down before it begins.
struct Steps<'a> {
    memory: &'a Database,
    clock: Clock,
    attempt: &'a Attempt,
    reached: Option<Phase>,
}

impl Follow for Steps<'_> {
    fn reach(&mut self, phase: Phase) -> Result<(), MailError> {
        let noted = |conn: &mut Conn| state::note_phase(conn, self.attempt, phase.as_str(), self.clock.now());
        match self.memory.conn().and_then(|mut conn| noted(&mut conn)) {
            Ok(true) => {
                self.reached = Some(phase);
                Ok(())
            }
            Ok(false) => Err(MailError::transient("another process took this mail over")),
            Err(error) => Err(MailError::transient(format!("retentiond's own state cannot be written: {error}"))),
        }
    }
}

/// What becomes of a mail after an attempt, and when it is tried again.
///
/// A refusal is final only when it is about the message or its recipient: what happens before the sender is named is about
/// the server or the file, and a full mailbox is emptied some day.
fn judge(
    error: Option<&MailError>,
    reached: Option<Phase>,
    mail: &MailRecord,
    now: DateTime<Utc>,
) -> (MailState, Option<DateTime<Utc>>) {
    let Some(error) = error else { return (MailState::Sent, None) };
    let about_the_message = reached.is_some_and(|phase| phase > Phase::Connecting);
    let full = error.answer.is_some_and(crate::mail::Answer::is_full);
    match error.certainty {
        Certainty::Uncertain => (MailState::Uncertain, None),
        Certainty::Permanent if about_the_message && !full => (MailState::Refused, None),
        Certainty::Permanent | Certainty::Transient => {
            let give_up = mail.give_up_at.and_utc();
            if now >= give_up {
                return (MailState::GivenUp, None);
            }
            let wait = TimeDelta::minutes(1 << mail.attempt.clamp(0, 10)).min(LONGEST_WAIT);
            (MailState::Waiting, Some((now + wait).min(give_up)))
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
