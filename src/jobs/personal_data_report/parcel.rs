//! One report, finished: its files gathered, the mail built, encrypted and laid down in the outbox.

use chrono::{DateTime, Utc};

use super::letter::{self, Attached};
use super::{PersonalDataReport, of_outbox};
use crate::jobs::session::Session;
use crate::mail::pgp::Keys;
use crate::mail::{Draft, MailError, Mailbox, Message, Parcel, Part, Settings};
use crate::outbox::Outbox;
use crate::removal::RemovalError;
use crate::report::Files;
use crate::store::state::{self, MailRecord, RequestRecord};

/// Makes the report of a request: mails for the outbox, and rows by category as JSON.
pub(super) fn make(
    job: &PersonalDataReport,
    session: &mut Session<'_>,
    outbox: &Outbox<'_>,
    settings: &Settings,
    request: &RequestRecord,
) -> Result<(Vec<MailRecord>, String), RemovalError> {
    let now = session.clock.now();
    let keys = keys(job, now)?;
    let gathered = session.desk.gather(request, job.spec.language.as_deref())?;
    let counts: serde_json::Map<String, serde_json::Value> =
        gathered.counts().iter().map(|(category, rows)| (category.to_string(), (*rows).into())).collect();
    // Whoever was overtaken works in a folder of its own, too.
    let own: String = state::new_secret()?.chars().take(8).collect();
    let work = format!("{}.{}.{own}.work", job.name, request.id);
    let lost = |error: std::io::Error| RemovalError::Doubt(format!("the outbox folder: {error}"));
    let folder = outbox.spool().make_folder(&work).map_err(lost)?;
    let files = gathered.files(&job.spec.formats, &folder)?;
    drop(gathered);
    if !session.permit.holds() {
        return Err(RemovalError::Overtaken);
    }
    let attached = attach(job, outbox, (request, &work), files, keys.as_ref())?;
    let mails = write(job, session, outbox, (settings, keys.as_ref()), request, attached)?;
    // What was attached is in the outbox now; what was not lies under another name.
    outbox.spool().remove(&work).map_err(lost)?;
    Ok((mails, serde_json::Value::Object(counts).to_string()))
}

pub(super) fn keys(job: &PersonalDataReport, now: DateTime<Utc>) -> Result<Option<Keys>, RemovalError> {
    if job.keys.is_empty() {
        return Ok(None);
    }
    let keys = Keys::read(&job.keys, now);
    keys.map(Some).map_err(|error| RemovalError::Doubt(format!("{error}; the report is not sent unencrypted")))
}

/// The files for the mail; those that are too large are put beside it, encrypted too where there is a key.
fn attach(
    job: &PersonalDataReport,
    outbox: &Outbox<'_>,
    (request, work): (&RequestRecord, &str),
    files: Files,
    keys: Option<&Keys>,
) -> Result<Attached, RemovalError> {
    let lost = |error: std::io::Error| RemovalError::Doubt(format!("the outbox folder: {error}"));
    let missing = files.missing.iter().map(|(format, why)| (format.as_str().to_uppercase(), why.clone())).collect();
    let bytes: u64 = files.written.iter().map(|file| file.bytes).sum();
    let names: Vec<(String, u64)> = files.written.iter().map(|file| (file.name.clone(), file.bytes)).collect();
    if bytes <= job.spec.max_bytes {
        let read = |file: &crate::report::File| {
            let bytes = std::fs::read(&file.path).map_err(lost)?;
            Ok(Part { name: file.name.clone(), media_type: file.media_type, bytes })
        };
        let parts = files.written.iter().map(read).collect::<Result<Vec<Part>, RemovalError>>()?;
        return Ok(Attached { parts, names, missing, place: None });
    }
    let kept = format!("{}.{}.files", job.name, request.id);
    if let Some(keys) = keys {
        let folder = outbox.spool().make_folder(&kept).map_err(lost)?;
        for file in &files.written {
            keys.encrypt_file(&file.path, &folder.join(format!("{}.pgp", file.name))).map_err(RemovalError::Mail)?;
        }
    } else {
        outbox.spool().remove(&kept).map_err(lost)?;
        outbox.spool().rename(work, &kept).map_err(lost)?;
    }
    let ending = if keys.is_some() { ".pgp" } else { "" };
    let names = names.into_iter().map(|(name, bytes)| (name + ending, bytes)).collect();
    Ok(Attached { parts: Vec::new(), names, missing, place: Some(outbox.spool().path().join(kept)) })
}

/// A mail for each recipient.
fn write(
    job: &PersonalDataReport,
    session: &Session<'_>,
    outbox: &Outbox<'_>,
    (settings, keys): (&Settings, Option<&Keys>),
    request: &RequestRecord,
    attached: Attached,
) -> Result<Vec<MailRecord>, RemovalError> {
    let page =
        letter::write(job, session.look.document, request, &attached, keys.is_some()).map_err(RemovalError::Mail)?;
    let mut parts = Some(attached.parts);
    let mut mails = Vec::new();
    // Where a part of the mails was taken back, the rest stands: nobody gets a second one.
    let known = state::mails_of(&mut *session.look.memory.conn()?, &request.id)?;
    let missing: Vec<&Mailbox> =
        job.to.iter().filter(|to| !known.iter().any(|mail| mail.recipient == to.address().as_str())).collect();
    let taken = |place: &usize| known.iter().any(|mail| mail.id == format!("{}.{place}", request.id));
    let places = (0..).filter(|place| !taken(place));
    let seal = keys.map(Keys::seal);
    for (index, (to, place)) in missing.iter().zip(places).enumerate() {
        let last = index + 1 == missing.len();
        let own = if last { parts.take().unwrap_or_default() } else { copies(parts.as_deref()) };
        // The id is the request's, so that a mail which comes twice is known to be one.
        let id = match place {
            0 => format!("retentiond.report.{}", request.id),
            place => format!("retentiond.report.{}.{place}", request.id),
        };
        let draft = Draft {
            from: &settings.from,
            to: std::slice::from_ref(*to),
            subject: &page.subject,
            text: &page.text,
            html: &page.html,
            date: session.clock.now(),
        };
        let message = Message::parcel(Parcel { id: &id, draft, parts: own, keys });
        let message = message.map_err(|error: MailError| RemovalError::Mail(error))?;
        let place = (job.name.as_str(), request.id.as_str(), place);
        mails.push(outbox.lay_down(&message, place, seal.as_deref(), job.spec.patience()).map_err(of_outbox)?);
    }
    Ok(mails)
}

fn copies(parts: Option<&[Part]>) -> Vec<Part> {
    let copy = |part: &Part| Part { name: part.name.clone(), media_type: part.media_type, bytes: part.bytes.clone() };
    parts.unwrap_or_default().iter().map(copy).collect()
}
