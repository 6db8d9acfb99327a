//! SMTP over lettre's low-level connection, a phase at a time, so that a failure says whether the message may have gone.
//!
//! lettre's own `from_url("smtp://…")` speaks no TLS at all, and its transports hide the phase that failed. Here STARTTLS
//! is required before anything else is said, AUTH is spoken on TLS only, and only the phase after the final dot leaves a
//! doubt.

use std::time::Duration;

use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{
    Certificate, CertificateStore, SmtpConnection, TlsParameters, TlsParametersBuilder,
};
use lettre::transport::smtp::commands::{Data, Mail, Noop, Rcpt};
use lettre::transport::smtp::extension::ClientId;

use super::settings::{Place, Settings, secret};
use super::{Certainty, MailError, Message};
use crate::redact::Sealed;

/// No answer for so long ends the attempt. RFC 5321 allows servers five minutes at the final dot.
const PATIENCE: Duration = Duration::from_secs(60);
const PATIENCE_AT_THE_DOT: Duration = Duration::from_secs(300);

/// A mail server, and what it takes to speak to it.
pub struct Server {
    place: Place,
    tls: TlsParameters,
    user: Option<(Sealed, Sealed)>,
    hello: ClientId,
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
        Ok(Self { place: place.clone(), tls, user, hello: hello() })
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

    pub(super) fn probe(&self) -> Result<(), MailError> {
        let mut connection = self.connect()?;
        let answer = connection.command(Noop).map(drop).map_err(|error| before(&error, &self.place));
        connection.abort();
        answer
    }

    pub(super) fn send(&self, message: &Message) -> Result<(), MailError> {
        let mut connection = self.connect()?;
        let sent = self.deliver(&mut connection, message);
        // A polite end; whatever becomes of it, the message's fate is known.
        connection.abort();
        sent
    }

    fn deliver(&self, connection: &mut SmtpConnection, message: &Message) -> Result<(), MailError> {
        let failed = |error: Error| before(&error, &self.place);
        let address = |address: &super::address::Address| {
            let parsed = address.as_str().parse::<lettre::Address>();
            parsed.map_err(|_| MailError::permanent("an address was refused"))
        };
        connection.command(Mail::new(Some(address(message.from())?), Vec::new())).map_err(failed)?;
        for to in message.to() {
            // One recipient refused: nobody has got it yet, and nobody gets it twice when it is tried again.
            connection.command(Rcpt::new(address(to)?, Vec::new())).map_err(failed)?;
        }
        connection.command(Data).map_err(failed)?;
        if connection.set_timeout(Some(PATIENCE_AT_THE_DOT)).is_err() {
            return Err(MailError::transient("the connection broke before the message"));
        }
        // lettre ends the text with CR LF, dot, CR LF.
        let text = message.bytes().strip_suffix(b"\r\n").unwrap_or(message.bytes());
        connection.message(text).map(drop).map_err(|error| after(&error, &self.place))
    }
}

/// A failure before the message was handed over.
fn before(error: &Error, place: &Place) -> MailError {
    let certainty = if error.is_permanent() || error.is_client() || error.is_tls() || certificate(error) {
        Certainty::Permanent
    } else {
        Certainty::Transient
    };
    MailError { certainty, message: text(error, place) }
}

/// A failure after it: an answer says that the message was not taken, anything else says nothing.
fn after(error: &Error, place: &Place) -> MailError {
    if error.is_permanent() || error.is_transient() {
        return before(error, place);
    }
    let message = format!("{}; whether the message was taken is not known", text(error, place));
    MailError { certainty: Certainty::Uncertain, message }
}

/// What happened, without the server's own words after its number: they may repeat an address.
fn text(error: &Error, place: &Place) -> String {
    let Place { host, port, .. } = place;
    match error.status() {
        Some(code) => format!("{host}:{port} answered {code}"),
        None => {
            let mut words = error.to_string();
            words.retain(|c| !c.is_control());
            format!("{host}:{port}: {words}")
        }
    }
}

/// Whether a certificate was refused: waiting does not help.
fn certificate(error: &Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        let wrapped = inner.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if wrapped.is_some_and(|inner| matches!(inner.downcast_ref(), Some(rustls::Error::InvalidCertificate(_)))) {
            return true;
        }
        source = inner.source();
    }
    false
}

/// How we greet: the machine's name, where it is one.
fn hello() -> ClientId {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let valid = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'));
    if valid { ClientId::Domain(name) } else { ClientId::default() }
}
