//! SMTP over lettre's low-level connection, a phase at a time, so that a failure says whether the message may have gone.
//!
//! lettre's own `from_url("smtp://…")` speaks no TLS at all, and its transports hide the phase that failed. Here STARTTLS
//! is required before anything else is said, AUTH is spoken on TLS only, and only the phase after the final dot leaves a
//! doubt. A connection that took a message whole is kept for the next one, and asked whether it is still there before.
//!
//! **Invariant.** Whoever follows a message ([`Follow`]) is told of a phase before its first byte is written, of the final
//! dot too, and what they refuse is not done: the connection is dropped instead, and a server keeps nothing of a message
//! whose dot never came. Test: `outbox` (every answer at every phase, cuts, kills at each persisted phase).

use std::cell::Cell;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{
    Certificate, CertificateStore, SmtpConnection, TlsParameters, TlsParametersBuilder,
};
use lettre::transport::smtp::commands::{Data, Mail, Noop, Rcpt};
use lettre::transport::smtp::extension::ClientId;

use super::MailError;
use super::address::Address;
use super::settings::{Place, Settings, secret};
use crate::redact::Sealed;

mod answers;

use answers::{after, before, doubt};

/// How far a message has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// The server is being connected, TLS is spoken, and who we are.
    Connecting,
    /// The sender is being named.
    Sender,
    /// The recipients are being named.
    Recipients,
    /// The server is asked whether it takes a message now.
    Data,
    /// The message is being written.
    Text,
    /// The final dot is being written: from here on the server may have the message.
    Dot,
}

impl Phase {
    /// All of them, in their order.
    pub const ALL: [Self; 6] = [Self::Connecting, Self::Sender, Self::Recipients, Self::Data, Self::Text, Self::Dot];

    /// The word in the state.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Sender => "sender",
            Self::Recipients => "recipients",
            Self::Data => "data",
            Self::Text => "text",
            Self::Dot => "dot",
        }
    }
}

/// Follows a message on its way.
pub trait Follow {
    /// The next phase is about to begin.
    ///
    /// # Errors
    /// When it must not: nothing more is said to the server.
    fn reach(&mut self, phase: Phase) -> Result<(), MailError>;
}

/// A message's envelope.
#[derive(Clone, Copy, Debug)]
pub struct Carried<'a> {
    /// Its id, without brackets.
    pub id: &'a str,
    /// The sender.
    pub from: &'a Address,
    /// Who gets it.
    pub to: &'a [Address],
}

/// No answer for so long ends the attempt. RFC 5321 allows servers five minutes at the final dot.
const PATIENCE: Duration = Duration::from_secs(60);
const PATIENCE_AT_THE_DOT: Duration = Duration::from_secs(300);

/// So many messages go over one connection: many servers take no more.
const MOST_MESSAGES: usize = 100;

/// A mail server, and what it takes to speak to it.
pub struct Server {
    place: Place,
    tls: TlsParameters,
    user: Option<(Sealed, Sealed)>,
    hello: ClientId,
    kept: Mutex<Option<Kept>>,
}

/// A connection on which a message was taken, and how many were.
struct Kept {
    connection: SmtpConnection,
    messages: usize,
}

impl Server {
    /// The server of `[mail]`.
    pub(super) fn of(place: &Place, settings: &Settings) -> Result<Self, MailError> {
        let user = match (&settings.username, &settings.password) {
            (Some(name), Some(password)) => Some((secret(name)?, secret(password)?)),
            _ => None,
        };
        let mut tls = TlsParametersBuilder::new(place.host.clone());
        if let Some(file) = &settings.ca {
            let wrong = |why: String| MailError::permanent(format!("[mail] ca, {}: {why}", file.display()));
            let pem = std::fs::read(file).map_err(|error| wrong(error.to_string()))?;
            let authority = Certificate::from_pem(&pem).map_err(|error| wrong(error.to_string()))?;
            tls = tls.certificate_store(CertificateStore::None).add_root_certificate(authority);
        }
        let tls = tls.build_rustls().map_err(|error| MailError::permanent(format!("TLS: {error}")))?;
        Ok(Self { place: place.clone(), tls, user, hello: hello(), kept: Mutex::default() })
    }

    /// Connects, speaks TLS and signs in.
    fn connect(&self) -> Result<SmtpConnection, MailError> {
        let Place { host, port, tls_from_the_start } = &self.place;
        let failed = |error: &Error| before(error, &self.place);
        let tls = tls_from_the_start.then_some(&self.tls);
        let mut connection = SmtpConnection::connect((host.as_str(), *port), Some(PATIENCE), &self.hello, tls, None)
            .map_err(|error| failed(&error))?;
        if !tls_from_the_start {
            if !connection.can_starttls() {
                connection.abort();
                let why = format!("{host}:{port} offers no STARTTLS; nothing is sent in plain text");
                return Err(MailError::permanent(why));
            }
            connection.starttls(&self.tls, &self.hello).map_err(|error| failed(&error))?;
        }
        if !connection.is_encrypted() {
            connection.abort();
            return Err(MailError::permanent(format!("{host}:{port}: the connection is not encrypted")));
        }
        if let Some((name, password)) = &self.user {
            let credentials = Credentials::new(name.expose().clone(), password.expose().clone());
            connection.auth(&[Mechanism::Plain, Mechanism::Login], &credentials).map_err(|error| {
                connection.abort();
                let error = failed(&error);
                MailError { message: format!("signing in: {}", error.message), ..error }
            })?;
        }
        Ok(connection)
    }

    /// The connection that was kept, if the server still answers there.
    fn kept(&self) -> Option<Kept> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        let patience = kept.connection.set_timeout(Some(PATIENCE));
        let there = patience.is_ok() && kept.connection.command(Noop).is_ok_and(|answer| answer.is_positive());
        if !there {
            kept.connection.abort();
        }
        there.then_some(kept)
    }

    fn keep(&self, mut kept: Kept) {
        kept.messages += 1;
        if kept.messages >= MOST_MESSAGES {
            return kept.connection.abort();
        }
        let before = self.kept.lock().unwrap_or_else(PoisonError::into_inner).replace(kept);
        // Another thread sent one meanwhile.
        if let Some(mut other) = before {
            other.connection.abort();
        }
    }

    pub(super) fn probe(&self) -> Result<(), MailError> {
        let mut connection = self.connect()?;
        let answer = connection.command(Noop).map(drop).map_err(|error| before(&error, &self.place));
        connection.abort();
        answer
    }

    pub(super) fn send(
        &self,
        carried: &Carried<'_>,
        bytes: &mut dyn Read,
        follow: &mut dyn Follow,
    ) -> Result<(), MailError> {
        follow.reach(Phase::Connecting)?;
        let mut kept = match self.kept() {
            Some(kept) => kept,
            None => Kept { connection: self.connect()?, messages: 0 },
        };
        match self.deliver(&mut kept.connection, carried, bytes, follow) {
            Ok(()) => {
                self.keep(kept);
                Ok(())
            }
            // A polite end where the server waits for a command; whatever becomes of it, the message's fate is known.
            Err(Ended::Between(error)) => {
                kept.connection.abort();
                Err(error)
            }
            Err(Ended::InTheText(error)) => Err(error),
        }
    }

    fn deliver(
        &self,
        connection: &mut SmtpConnection,
        carried: &Carried<'_>,
        bytes: &mut dyn Read,
        follow: &mut dyn Follow,
    ) -> Result<(), Ended> {
        let address = |address: &Address| {
            let parsed = address.as_str().parse::<lettre::Address>();
            parsed.map_err(|_| MailError::permanent("an address was refused"))
        };
        follow.reach(Phase::Sender)?;
        self.say(connection, Mail::new(Some(address(carried.from)?), Vec::new()), 2)?;
        follow.reach(Phase::Recipients)?;
        for to in carried.to {
            // One recipient refused: nobody has got it yet, and nobody gets it twice when it is tried again.
            self.say(connection, Rcpt::new(address(to)?, Vec::new()), 2)?;
        }
        follow.reach(Phase::Data)?;
        self.say(connection, Data, 3)?;
        follow.reach(Phase::Text).map_err(Ended::InTheText)?;
        connection
            .set_timeout(Some(PATIENCE_AT_THE_DOT))
            .map_err(|_| Ended::InTheText(MailError::transient("the connection broke before the message")))?;
        self.write(connection, bytes, follow)
    }

    /// Says one command. An answer of another kind than the one that goes on is none: after a `250` to DATA the message's
    /// own lines would be read as commands.
    fn say(
        &self,
        connection: &mut SmtpConnection,
        command: impl std::fmt::Display,
        kind: u16,
    ) -> Result<(), MailError> {
        let answer = connection.command(command).map_err(|error| before(&error, &self.place))?;
        let code = u16::from(answer.code());
        if code / 100 == kind {
            return Ok(());
        }
        let Place { host, port, .. } = &self.place;
        Err(MailError::transient(format!("{host}:{port} answered {code} where that makes no sense")))
    }

    fn write(
        &self,
        connection: &mut SmtpConnection,
        bytes: &mut dyn Read,
        follow: &mut dyn Follow,
    ) -> Result<(), Ended> {
        let dotted = Cell::new(false);
        let text = Text { source: bytes, held: Vec::new(), ended: false, follow, dotted: &dotted };
        // lettre writes the dot as soon as the text is at its end and offers no other way out; so whoever must not let it
        // be written unwinds, without a panic's message, and the connection is dropped.
        let written = catch_unwind(AssertUnwindSafe(|| connection.message_iter(text)));
        match written {
            Ok(Ok(answer)) if u16::from(answer.code()) / 100 == 2 => Ok(()),
            // lettre takes `3xx` for a good answer, too; after the dot it is none.
            Ok(Ok(answer)) => Err(doubt(&format!("answered {}", u16::from(answer.code())), &self.place).into()),
            Ok(Err(error)) if dotted.get() => Err(after(&error, &self.place).into()),
            Ok(Err(error)) => Err(Ended::InTheText(before(&error, &self.place))),
            Err(thrown) => Err(Ended::InTheText(match thrown.downcast::<MailError>() {
                Ok(error) => *error,
                Err(panic) => resume_unwind(panic),
            })),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let kept = self.kept.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut kept) = kept {
            kept.connection.abort();
        }
    }
}

/// Where a delivery ended.
enum Ended {
    /// Where the server waits for a command.
    Between(MailError),
    /// Within the message's text, where a command would be read as a part of it.
    InTheText(MailError),
}

impl From<MailError> for Ended {
    fn from(error: MailError) -> Self {
        Self::Between(error)
    }
}

/// The text in pieces. The last line's end is held back, since lettre ends the text with CR LF, dot, CR LF.
struct Text<'a> {
    source: &'a mut dyn Read,
    held: Vec<u8>,
    ended: bool,
    follow: &'a mut dyn Follow,
    dotted: &'a Cell<bool>,
}

impl Iterator for Text<'_> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        const PIECE: usize = 64 * 1024;
        if !self.ended {
            let mut piece = std::mem::take(&mut self.held);
            let held = piece.len();
            piece.resize(held + PIECE, 0);
            let read = match self.source.read(&mut piece[held..]) {
                Ok(read) => read,
                Err(error) => throw(MailError::transient(format!("the finished message cannot be read: {error}"))),
            };
            piece.truncate(held + read);
            if read > 0 {
                let keep = piece.len().min(2);
                self.held = piece.split_off(piece.len() - keep);
                return Some(piece);
            }
            self.ended = true;
            let last = piece.strip_suffix(b"\r\n").unwrap_or(&piece).to_vec();
            if !last.is_empty() {
                return Some(last);
            }
        }
        if let Err(error) = self.follow.reach(Phase::Dot) {
            throw(error);
        }
        self.dotted.set(true);
        None
    }
}

/// Leaves lettre's loop; see [`Server::write`].
fn throw(error: MailError) -> ! {
    resume_unwind(Box::new(error))
}

/// How we greet: the machine's name, where it is one.
fn hello() -> ClientId {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let valid = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'));
    if valid { ClientId::Domain(name) } else { ClientId::default() }
}
