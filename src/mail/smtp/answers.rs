//! What a server's answers, and a connection that breaks, say of a message.

use lettre::transport::smtp::Error;

use crate::mail::settings::Place;
use crate::mail::{Answer, Certainty, MailError};

/// A failure before the message was handed over.
pub(super) fn before(error: &Error, place: &Place) -> MailError {
    let certainty = if error.is_permanent() || error.is_client() || error.is_tls() || certificate(error) {
        Certainty::Permanent
    } else {
        Certainty::Transient
    };
    MailError { certainty, answer: answer(error), message: text(error, place) }
}

/// A failure after it: an answer says that the message was not taken, anything else says nothing.
pub(super) fn after(error: &Error, place: &Place) -> MailError {
    if error.is_permanent() || error.is_transient() {
        return before(error, place);
    }
    MailError {
        certainty: Certainty::Uncertain,
        answer: None,
        message: format!("{}; whether the message was taken is not known", text(error, place)),
    }
}

/// An answer after the dot that says neither.
pub(super) fn doubt(what: &str, place: &Place) -> MailError {
    let Place { host, port, .. } = place;
    let message = format!("{host}:{port} {what} at the end; whether the message was taken is not known");
    MailError { certainty: Certainty::Uncertain, answer: None, message }
}

/// What the server answered. Of its words only an enhanced status code is read: they may repeat an address.
fn answer(error: &Error) -> Option<Answer> {
    let code = u16::from(error.status()?);
    let words = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    let mut parts = words.split_whitespace().next().unwrap_or_default().splitn(3, '.').map(str::parse::<u16>);
    let enhanced = match (parts.next(), parts.next(), parts.next()) {
        (Some(Ok(class @ (2 | 4 | 5))), Some(Ok(subject)), Some(Ok(detail))) => Some((class, subject, detail)),
        _ => None,
    };
    Some(Answer { code, enhanced })
}

/// What happened, without the server's own words after its number: they may repeat an address.
fn text(error: &Error, place: &Place) -> String {
    let Place { host, port, .. } = place;
    match error.status() {
        Some(code) => {
            let enhanced = answer(error).and_then(|answer| answer.enhanced);
            let enhanced = enhanced.map(|(class, subject, detail)| format!(" {class}.{subject}.{detail}"));
            format!("{host}:{port} answered {code}{}", enhanced.unwrap_or_default())
        }
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
