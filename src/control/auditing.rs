//! The audit trail's checkpoints: signed after each run and every quarter of an hour, and carried off this host.
//!
//! **Invariant.** A checkpoint that cannot be signed or carried away stops no run, since it is evidence and no guard, but
//! it is never silent: what went wrong is logged, shown by `status` and told like what goes wrong with a job, and the
//! auditors miss their mail. A checkpoint that did not reach its store is written there with the next.

use std::path::{Path, PathBuf};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

use super::alerts::{self, Standing};
use super::auditor;
use super::failure::Failure;
use crate::clock::Clock;
use crate::config::Loaded;
use crate::config::diagnostic::Diagnostics;
use crate::config::document::{Document, Store};
use crate::config::values::UrlSource;
use crate::files::{Root, RootOptions};
use crate::mail::address::Mailbox;
use crate::mail::letters::{Command, Letter};
use crate::mail::{Draft, Mailer, Message, Settings};
use crate::store::pool::Database;
use crate::store::state;
use crate::store::url::StoreUrl;
use crate::store::{Conn, StoreError};
use crate::trail::export;
use crate::trail::note::{NoteError, VerifierKey};
use crate::trail::{self, Act, Digest, Entry, Known, Proof, Signed, Signer, TrailError};

/// The folder for checkpoints in a file store.
const FOLDER: &str = "retentiond-checkpoints";
/// systemd's folder for the service, when the state is on a server.
const STATE_DIRECTORY: &str = "/var/lib/retentiond";
/// What the incident is called when something is wrong with it.
const INCIDENT: &str = ":audit trail";
/// The auditors are written to so often.
const DAILY: TimeDelta = TimeDelta::hours(23);

/// Where this installation keeps what is its own on this machine: the state's folder.
fn folder(url: &StoreUrl) -> Option<PathBuf> {
    if let StoreUrl::Sqlite(path) = url {
        return path.parent().map(Path::to_path_buf);
    }
    let named = std::env::var_os("STATE_DIRECTORY")
        .and_then(|folders| std::env::split_paths(&folders).next().filter(|folder| !folder.as_os_str().is_empty()));
    Some(named.unwrap_or_else(|| STATE_DIRECTORY.into())).filter(|folder| folder.is_dir())
}

/// Who signs for this installation.
///
/// # Errors
/// When there is no key.
pub fn signer(document: &Document, memory: &Database) -> Result<Signer, TrailError> {
    let secret =
        document.trail.key.as_ref().map(|key| key.resolve().map_err(|error| TrailError::Key(error.to_string())));
    Signer::open(secret.transpose()?, folder(memory.url()).as_deref())
}

/// Gives the trail the name that the file wants for it.
///
/// # Errors
/// When it has another one.
pub fn name(document: &Document, conn: &mut Conn) -> Result<(), Failure> {
    match &document.trail.origin {
        Some(origin) => Ok(trail::append::name(conn, origin)?),
        None => Ok(()),
    }
}

/// Records that a file is followed from now on.
///
/// # Errors
/// When the trail cannot be written: then the file must not be followed.
pub fn followed(loaded: &Loaded, acts: Vec<Act>, memory: &Database, clock: Clock) -> Result<(), TrailError> {
    let document = &loaded.document;
    let config = Digest::parse(&loaded.hash).unwrap_or_else(|| Digest::of(&[0; 32]));
    let count = |number: usize| number as u64;
    let load = Act::ConfigLoad {
        config,
        jobs: count(document.jobs.len()),
        stores: count(document.stores.len()),
        entries: count(document.data.len()),
    };
    trail::record(memory, clock, acts.into_iter().chain([load]).map(Entry::new).collect())
}

/// Signs a checkpoint, if there is something new, and carries it off; what goes wrong is told.
pub fn checkpoint(document: &Document, memory: &Database, clock: Clock) {
    let signed = signer(document, memory).and_then(|signer| {
        let signed = signer.checkpoint(&mut *memory.conn()?, clock)?;
        Ok(signed)
    });
    let wrong = match signed {
        Ok(signed) => {
            signed.iter().for_each(to_journal);
            let stored = write_to_stores(document, memory, signed);
            stored.err().map(|error| format!("a checkpoint of it could not be written to its store: {error}"))
        }
        Err(error) => Some(format!("no checkpoint of it was signed, so nobody can prove what it says: {error}")),
    };
    if let Some(wrong) = &wrong {
        tracing::warn!("the audit trail: {wrong}");
    }
    if let Err(error) = memory.conn().and_then(|mut conn| tell(&mut conn, document, wrong, clock)) {
        tracing::warn!(%error, "how the audit trail stands could not be noted");
    }
}

/// Notes how the trail stands. Where nothing was ever signed and the file names no key, nobody expects it: the log says so,
/// and `audit verify`.
fn tell(conn: &mut Conn, document: &Document, wrong: Option<String>, clock: Clock) -> Result<(), StoreError> {
    let standing = match &wrong {
        None => Standing::Well,
        Some(_) if document.trail.key.is_none() && state::last_checkpoint(conn)?.is_none() => return Ok(()),
        Some(wrong) => Standing::Wrong(wrong),
    };
    alerts::note(conn, INCIDENT, &standing, clock.now())
}

/// What is wrong with the trail's checkpoints, and since when; nothing when they are signed and carried away.
///
/// # Errors
/// When the state cannot be read.
pub fn trouble(conn: &mut Conn) -> Result<Option<(String, DateTime<Utc>)>, StoreError> {
    let incidents = state::incidents(conn)?.into_iter();
    let mut own = incidents.filter(|incident| incident.job == INCIDENT);
    Ok(own.next().map(|incident| (incident.detail, incident.since.and_utc())))
}

/// How many records no checkpoint is about yet.
///
/// # Errors
/// When the state cannot be read.
pub fn unsigned(conn: &mut Conn) -> Result<u64, StoreError> {
    let signed = state::last_checkpoint(conn)?.map_or(0, |(size, ..)| size);
    Ok(u64::try_from(state::trail_head(conn)?.size.saturating_sub(signed)).unwrap_or_default())
}

/// What cannot be written to.
pub fn check(document: &Document, diagnostics: &mut Diagnostics) {
    for (place, to) in document.trail.mail_to.iter().enumerate() {
        if let Err(error) = Mailbox::parse(to) {
            let path = vec!["trail".to_owned(), "mail_to".to_owned(), place.to_string()];
            diagnostics.error(path, error.to_string()).with_help(None);
        }
    }
}

fn to_journal(signed: &Signed) {
    tracing::info!(
        trail.size = signed.size,
        trail.checkpoint = signed.note,
        "checkpoint of the audit trail: {}",
        signed.note.trim_end().replace('\n', "\\n")
    );
}

/// Writes the last checkpoint to the file stores that the file names, unless it is there.
fn write_to_stores(document: &Document, memory: &Database, signed: Option<Signed>) -> Result<(), String> {
    let folders = store_folders(document);
    if folders.is_empty() {
        return Ok(());
    }
    let last = || {
        let last = memory.conn().and_then(|mut conn| state::last_checkpoint(&mut conn));
        let signed = |(size, note, at)| Signed { size: u64::try_from(size).unwrap_or_default(), note, at };
        last.map(|last| last.map(signed)).map_err(|error| error.to_string())
    };
    let signed = match signed {
        Some(signed) => signed,
        None => match last()? {
            Some(signed) => signed,
            None => return Ok(()),
        },
    };
    // One that is away keeps none of the others from theirs.
    let written = folders.into_iter().map(|folder| folder.and_then(|folder| write_to_store(&folder, &signed)));
    let wrong: Vec<String> = written.filter_map(Result::err).collect();
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
}

fn write_to_store(folder: &Path, signed: &Signed) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    std::fs::create_dir_all(folder).map_err(failed)?;
    let place = folder.join(file_name(signed));
    if place.try_exists().map_err(failed)? {
        return Ok(());
    }
    let new = place.with_extension(format!("new-{}", std::process::id()));
    std::fs::write(&new, &signed.note).map_err(failed)?;
    std::fs::File::open(&new).and_then(|file| file.sync_all()).map_err(failed)?;
    std::fs::rename(&new, &place).map_err(failed)
}

fn file_name(signed: &Signed) -> String {
    let at = signed.at.format("%Y%m%dT%H%M%SZ");
    format!("{at}-{}.checkpoint", signed.size)
}

/// The folders with the checkpoints: one, or, as the file has it for all, one of each tenant. The trail is all tenants'.
fn store_folders(document: &Document) -> Vec<Result<PathBuf, String>> {
    let Some(name) = &document.trail.store else { return Vec::new() };
    let Some(store) = document.stores.get(name) else { return Vec::new() };
    let tenants = document.tenants.values().filter_map(|tenant| tenant.stores.get(name)).map(|store| &store.url);
    store.url.iter().chain(tenants).map(|url| store_folder(store, url)).collect()
}

/// Of a store that is there and is the one that it was.
fn store_folder(store: &Store, url: &UrlSource) -> Result<PathBuf, String> {
    let url = url.resolve().map_err(|error| error.to_string())?;
    let StoreUrl::Files(folder) = StoreUrl::parse(&url).map_err(|error| error.to_string())? else {
        return Err("[trail] store is no file store".to_owned());
    };
    let defaults = RootOptions::default();
    let options = RootOptions {
        marker: store.marker.clone().unwrap_or(defaults.marker),
        trash: store.trash.clone().unwrap_or(defaults.trash),
    };
    Root::open(&folder, options).map_err(|error| error.to_string())?;
    Ok(folder.join(FOLDER))
}

/// The checkpoints that the file's store has kept, with their names.
///
/// # Errors
/// When the store is not there.
pub fn kept(document: &Document) -> Result<Vec<(String, String)>, String> {
    let mut kept = Vec::new();
    for folder in store_folders(document) {
        let folder = folder?;
        let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
        let entries = match std::fs::read_dir(&folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            entries => entries.map_err(failed)?,
        };
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_some_and(|extension| extension == "checkpoint") {
                kept.push((path.display().to_string(), std::fs::read_to_string(&path).map_err(failed)?));
            }
        }
    }
    kept.sort();
    Ok(kept)
}

/// Verifies the trail, with the checkpoints that somebody kept and those of the file's store.
///
/// # Errors
/// When one of them is none, or the store or the state cannot be read: that is no word against the trail.
pub fn prove(
    document: &Document,
    memory: &Database,
    mut known: Vec<Known>,
    keys: &[VerifierKey],
    clock: Clock,
) -> Result<Proof, Failure> {
    // Before the trail is looked at: one that is signed meanwhile is about records that come after it.
    let kept = kept(document)
        .map_err(|error| Failure::new(super::Exit::Unreachable, format!("error: the checkpoints' store: {error}")))?;
    known.extend(kept.into_iter().map(|(label, note)| Known { label, note }));
    export::verify_state(&mut *memory.conn()?, &known, keys, clock.now())?.map_err(no_checkpoint)
}

/// What somebody gave as a checkpoint is none.
pub fn no_checkpoint((label, error): (String, NoteError)) -> Failure {
    Failure::new(super::Exit::Usage, auditor::plain(&format!("error: {label}: {error}")))
}

/// Writes to the auditors, once a day, about the last checkpoint.
///
/// # Errors
/// When the state cannot be asked, or the mail does not leave: it is tried again later.
pub fn write_to_auditors(document: &Document, memory: &Database, clock: Clock) -> Result<(), Failure> {
    let settings = document.mail.as_ref().and_then(|mail| Settings::read(mail, &mut Diagnostics::default()));
    let to: Vec<Mailbox> = document.trail.mail_to.iter().filter_map(|to| Mailbox::parse(to).ok()).collect();
    let Some(settings) = settings.filter(|_| !to.is_empty()) else { return Ok(()) };
    let now = clock.now();
    let Some((size, note, at)) = state::last_checkpoint(&mut *memory.conn()?)? else { return Ok(()) };
    if !state::take_trail_mail(&mut *memory.conn()?, size, now - DAILY, now)? {
        return Ok(());
    }
    let key = signer(document, memory).ok().and_then(|signer| signer.verifier(note.lines().next()?));
    let letter = letter(size, &note, at, key.map(|key| key.to_string()));
    let sent = letter.lay_out().and_then(|page| {
        let draft = Draft {
            from: &settings.from,
            to: &to,
            subject: &letter.subject,
            text: &page.text,
            html: &page.html,
            date: now,
        };
        Mailer::of(&settings)?.send(&Message::build(&draft)?)
    });
    sent.map_err(|error| {
        if let Err(error) = memory.conn().and_then(|mut conn| state::give_trail_mail_back(&mut conn, size)) {
            tracing::warn!(%error, "the auditors are not written to again about this checkpoint");
        }
        Failure::new(super::Exit::Unreachable, format!("error: the auditors could not be written to: {error}"))
    })
}

fn letter(size: i64, note: &str, at: DateTime<Utc>, key: Option<String>) -> Letter {
    let command = |why: &str, line: String| Command { why: why.to_owned(), line };
    let mut commands = vec![command(
        "The checkpoint; keep this mail as it is, or exactly these lines in a file:",
        note.trim_end().replace('\n', "\n    "),
    )];
    commands.extend(key.map(|key| command("The key that signed it, which should be the one of earlier mails:", key)));
    commands.push(command(
        "To prove that nothing below it was changed:",
        "retentiond audit verify --known FILE".to_owned(),
    ));
    Letter {
        subject: format!("retentiond: checkpoint of the audit trail at {size} records"),
        heading: format!("The audit trail has {size} records."),
        paragraphs: vec![
            "Whoever keeps this mail can show later that none of them was changed, dropped, moved or cut off. It holds no personal data.".to_owned(),
        ],
        facts: vec![("Signed".to_owned(), at.to_rfc3339_opts(SecondsFormat::Secs, true))],
        commands,
        footer: "You get this mail once a day while there is something new, because [trail] mail_to names you.".to_owned(),
        ..Letter::default()
    }
}
