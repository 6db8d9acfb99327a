//! A message as bytes: built once, then only carried.

use chrono::{DateTime, Utc};
use lettre::message::{Attachment, Body, Mailbox as Box_, MessageBuilder, MultiPart, SinglePart, header};

use super::MailError;
use super::address::{Address, Mailbox, file_name, plain};
use super::pgp::Keys;

/// What a message is made from.
pub struct Draft<'a> {
    /// The sender.
    pub from: &'a Mailbox,
    /// Who gets it; at least one.
    pub to: &'a [Mailbox],
    /// What it is about; made one plain line.
    pub subject: &'a str,
    /// The text for programs that show no HTML, and for people who prefer it.
    pub text: &'a str,
    /// The same as HTML.
    pub html: &'a str,
    /// When it was written.
    pub date: DateTime<Utc>,
}

/// A file that goes with a message.
pub struct Part {
    /// Its name; made plain.
    pub name: String,
    /// `application/json` and the like.
    pub media_type: &'static str,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// A message with files, under an id that is the same however often it is built.
pub struct Parcel<'a> {
    /// What stands before the `@` of the message's id.
    pub id: &'a str,
    /// What it says.
    pub draft: Draft<'a>,
    /// What goes with it.
    pub parts: Vec<Part>,
    /// Who can read it; without keys everybody on its way can.
    pub keys: Option<&'a Keys>,
}

/// A finished message: envelope and bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    id: String,
    from: Address,
    to: Vec<Address>,
    bytes: Vec<u8>,
}

impl Message {
    /// Builds one under an id of our own, `retentiond.UUID@HOST-OF-SENDER`, so that a message that was perhaps sent can be
    /// asked for at the server.
    ///
    /// # Errors
    /// When it has no recipient.
    pub fn build(draft: &Draft<'_>) -> Result<Self, MailError> {
        let seconds = u64::try_from(draft.date.timestamp()).unwrap_or_default();
        let stamp = uuid::Timestamp::from_unix(uuid::NoContext, seconds, draft.date.timestamp_subsec_nanos());
        let id = format!("retentiond.{}", uuid::Uuid::new_v7(stamp).simple());
        Self::finish(&id, draft, said(draft))
    }

    /// Builds one with files. With keys all of it is encrypted as OpenPGP/MIME (RFC 3156) but its envelope and its subject.
    ///
    /// # Errors
    /// When it has no recipient, or the keys cannot be used any more.
    pub fn parcel(parcel: Parcel<'_>) -> Result<Self, MailError> {
        let mut inner = MultiPart::mixed().multipart(said(&parcel.draft));
        for part in parcel.parts {
            inner = inner.singlepart(attached(part)?);
        }
        let whole = match parcel.keys {
            None => inner,
            Some(keys) => sealed(&keys.encrypt(inner.formatted())?)?,
        };
        Self::finish(parcel.id, &parcel.draft, whole)
    }

    fn finish(id: &str, draft: &Draft<'_>, parts: MultiPart) -> Result<Self, MailError> {
        let id = format!("{id}@{}", draft.from.address().host());
        let mut builder = head(&id, draft)?;
        for to in draft.to {
            builder = builder.to(boxed(to)?);
        }
        let bytes = builder.multipart(parts).map_err(|error| broken(&error))?.formatted();
        if draft.to.is_empty() || !is_clean(&bytes) {
            return Err(broken(&"it has no recipient, or a line that may not be sent"));
        }
        let to = draft.to.iter().map(|to| to.address().clone()).collect();
        Ok(Self { id, from: draft.from.address().clone(), to, bytes })
    }

    /// The message's id, without brackets.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The envelope's sender.
    pub fn from(&self) -> &Address {
        &self.from
    }

    /// The envelope's recipients.
    pub fn to(&self) -> &[Address] {
        &self.to
    }

    /// The message as it goes over the wire, without the dots that SMTP doubles.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

fn broken(error: &dyn std::fmt::Display) -> MailError {
    MailError::permanent(format!("the message cannot be built: {error}"))
}

fn head(id: &str, draft: &Draft<'_>) -> Result<MessageBuilder, MailError> {
    Ok(lettre::Message::builder()
        .from(boxed(draft.from)?)
        .subject(plain(draft.subject, 240))
        .message_id(Some(format!("<{id}>")))
        .date(draft.date.into())
        .raw_header(raw("Auto-Submitted", "auto-generated"))
        .raw_header(raw("X-Auto-Response-Suppress", "All")))
}

/// The words, both ways.
fn said(draft: &Draft<'_>) -> MultiPart {
    MultiPart::alternative_plain_html(lines(draft.text), lines(draft.html))
}

/// A file as a part of a message: always in base64, so that no server on the way touches a line of it.
fn attached(part: Part) -> Result<SinglePart, MailError> {
    let kind = header::ContentType::parse(part.media_type).map_err(|error| broken(&error))?;
    let body = Body::new_with_encoding(part.bytes, header::ContentTransferEncoding::Base64)
        .map_err(|_| broken(&"a file cannot be attached"))?;
    Ok(Attachment::new(file_name(&part.name)).body(body, kind))
}

/// The two parts of RFC 3156, section 4.
fn sealed(armored: &str) -> Result<MultiPart, MailError> {
    let kind = |text: &str| header::ContentType::parse(text).map_err(|error| broken(&error));
    let plain = |text: &str| {
        Body::new_with_encoding(lines(text), header::ContentTransferEncoding::SevenBit)
            .map_err(|_| broken(&"what was encrypted is no plain text"))
    };
    let version = SinglePart::builder().header(kind("application/pgp-encrypted")?);
    let content = SinglePart::builder()
        .header(kind("application/octet-stream; name=\"encrypted.asc\"")?)
        .header(header::ContentDisposition::inline_with_name("encrypted.asc"));
    Ok(MultiPart::encrypted("application/pgp-encrypted".to_owned())
        .singlepart(version.body(plain("Version: 1\n")?))
        .singlepart(content.body(plain(armored)?)))
}

fn boxed(mailbox: &Mailbox) -> Result<Box_, MailError> {
    let refused = |_| MailError::permanent("an address was refused");
    let address = mailbox.address().as_str().parse().map_err(refused)?;
    Ok(Box_::new(mailbox.name().map(str::to_owned), address))
}

fn raw(name: &'static str, value: &str) -> header::HeaderValue {
    header::HeaderValue::new(header::HeaderName::new_from_ascii_str(name), value.to_owned())
}

/// Lines that end in CR LF; control characters but the tab are left out.
fn lines(text: &str) -> String {
    let mut clean = String::with_capacity(text.len() + text.len() / 32);
    for line in text.replace("\r\n", "\n").split(['\n', '\r']) {
        // `-- ` parts the signature; other blanks at an end say nothing.
        let line = if line == "-- " { line } else { line.trim_end() };
        clean.extend(line.chars().filter(|c| !c.is_control() || *c == '\t'));
        clean.push_str("\r\n");
    }
    while clean.ends_with("\r\n\r\n") {
        clean.truncate(clean.len() - 2);
    }
    clean
}

/// Looked at once more before it is carried anywhere: ASCII, every CR with its LF, no line beyond 998 bytes.
fn is_clean(bytes: &[u8]) -> bool {
    let whole = bytes.ends_with(b"\r\n");
    let lines = bytes.split(|byte| *byte == b'\n');
    let count = lines.clone().count();
    let each = lines.enumerate().all(|(place, line)| {
        let body = line.strip_suffix(b"\r");
        let last = place + 1 == count;
        let body = if last { Some(line) } else { body };
        body.is_some_and(|body| {
            body.len() <= 998 && body.iter().all(|byte| byte.is_ascii() && !matches!(byte, b'\r' | 0))
        })
    });
    whole && each
}
