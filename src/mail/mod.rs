//! Mail: one [`Mailer`], three ways out (SMTP, a folder of `.eml` files, memory for tests).
//!
//! **Invariant.** Nothing reaches lettre or a connection that was not made plain before ([`address`], [`message`]): no
//! control character in a name, an address or a subject, and on the wire no CR without its LF nor LF without its CR. A
//! message leaves over TLS whose certificate and host name were checked, or it does not leave ([`smtp`]): there is no
//! fall-back to plain text. Every failure says whether the message may have been sent ([`Certainty`]), so that nobody
//! sends one twice by mistake.

pub mod address;
mod folder;
pub mod letters;
pub mod message;
pub mod pgp;
pub mod settings;
mod smtp;

use std::io::Read;
use std::sync::{Arc, Mutex};

pub use address::Mailbox;
pub use message::{Draft, Message, Parcel, Part};
pub use settings::Settings;
pub use smtp::{Carried, Follow, Phase};

/// Whether a message that failed may have been sent, and whether trying again makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certainty {
    /// It was not sent and will not be as it is: refused for good, wrong address, certificate or password.
    Permanent,
    /// It was not sent; later it may be.
    Transient,
    /// It was handed over, but the server did not say whether it took it.
    Uncertain,
}

/// Why a message did not leave. The text holds no address but the server's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct MailError {
    /// What is known of it.
    pub certainty: Certainty,
    /// What the server answered, where it did.
    pub answer: Option<Answer>,
    /// What happened.
    pub message: String,
}

/// A refusing answer of a mail server, without its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its three digits.
    pub code: u16,
    /// The enhanced status code of RFC 3463, where it gave one.
    pub enhanced: Option<(u16, u16, u16)>,
}

impl Answer {
    /// Whether it says that the mailbox, or the server's disk, is full just now: `X.2.2` and `X.3.1`, whichever digit they
    /// begin with, and `552` and `452` where nothing more exact is said.
    pub fn is_full(self) -> bool {
        match self.enhanced {
            Some((_, subject, detail)) => matches!((subject, detail), (2, 2) | (3, 1)),
            None => matches!(self.code, 452 | 552),
        }
    }
}

impl MailError {
    /// It was not sent, and will not be as it is.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self { certainty: Certainty::Permanent, answer: None, message: message.into() }
    }

    /// It was not sent; later it may be.
    pub fn transient(message: impl Into<String>) -> Self {
        Self { certainty: Certainty::Transient, answer: None, message: message.into() }
    }
}

/// Sends messages.
#[derive(Clone)]
pub enum Mailer {
    /// To a mail server.
    Smtp(Arc<smtp::Server>),
    /// Into a folder, one `.eml` file a message.
    Folder(std::path::PathBuf),
    /// Into memory, for tests.
    Memory(Arc<Mutex<Vec<Message>>>),
}

impl Mailer {
    /// The mailer of `[mail]`; secrets are found now.
    ///
    /// # Errors
    /// When a secret or the file of the certificate authority is not there.
    pub fn of(settings: &Settings) -> Result<Self, MailError> {
        match &settings.way {
            settings::Way::Folder(folder) => Ok(Self::Folder(folder.clone())),
            settings::Way::Smtp(place) => smtp::Server::of(place, settings).map(Arc::new).map(Self::Smtp),
        }
    }

    /// A mailer that keeps what it is given.
    pub fn memory() -> Self {
        Self::Memory(Arc::default())
    }

    /// Sends one message.
    ///
    /// # Errors
    /// With what is known of the message.
    pub fn send(&self, message: &Message) -> Result<(), MailError> {
        match self {
            Self::Smtp(server) => {
                let carried = Carried { id: message.id(), from: message.from(), to: message.to() };
                server.send(&carried, &mut message.bytes(), &mut Unseen)
            }
            Self::Folder(folder) => folder::write(folder, message.id(), &mut message.bytes(), &mut Unseen),
            Self::Memory(kept) => {
                kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(message.clone());
                Ok(())
            }
        }
    }

    /// Sends one message from where it lies, telling of each phase before it is begun.
    ///
    /// # Errors
    /// With what is known of the message; and those of `follow`, after which nothing more was done.
    pub fn carry(&self, carried: &Carried<'_>, bytes: &mut dyn Read, follow: &mut dyn Follow) -> Result<(), MailError> {
        match self {
            Self::Smtp(server) => server.send(carried, bytes, follow),
            Self::Folder(folder) => folder::write(folder, carried.id, bytes, follow),
            Self::Memory(_) => Err(MailError::permanent("memory is for messages that are built at once")),
        }
    }

    /// Whether a message could be sent now: connects, speaks TLS and signs in, or looks at the folder.
    ///
    /// # Errors
    /// What stands in the way.
    pub fn probe(&self) -> Result<(), MailError> {
        match self {
            Self::Smtp(server) => server.probe(),
            Self::Folder(folder) => folder::probe(folder),
            Self::Memory(_) => Ok(()),
        }
    }

    /// What a mailer in memory was given.
    pub fn kept(&self) -> Vec<Message> {
        match self {
            Self::Memory(kept) => kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone(),
            Self::Smtp(_) | Self::Folder(_) => Vec::new(),
        }
    }
}

/// Nobody follows.
struct Unseen;

impl Follow for Unseen {
    fn reach(&mut self, _: Phase) -> Result<(), MailError> {
        Ok(())
    }
}

#[cfg(test)]
mod hostile_tests;
