//! The audit trail's checkpoints: signed after each run and every quarter of an hour, and carried off this host.
//!
//! **Invariant.** A checkpoint that cannot be signed or carried away stops no run, since it is evidence and no guard, but
//! it is never silent: what went wrong is logged, and the auditors miss their mail.

use std::path::{Path, PathBuf};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

use super::failure::Failure;
use crate::clock::Clock;
use crate::config::Loaded;
use crate::config::diagnostic::Diagnostics;
use crate::config::document::Document;
use crate::files::{Root, RootOptions};
use crate::mail::address::Mailbox;
use crate::mail::letters::{Command, Letter};
use crate::mail::{Draft, Mailer, Message, Settings};
use crate::store::Conn;
use crate::store::pool::Database;
use crate::store::state;
use crate::store::url::StoreUrl;
use crate::trail::{self, Act, Digest, Entry, Signed, Signer, TrailError};

/// The folder for checkpoints in a file store.
const FOLDER: &str = "retentiond-checkpoints";
/// systemd's folder for the service, when the state is on a server.
const STATE_DIRECTORY: &str = "/var/lib/retentiond";
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

/// Signs a checkpoint, if there is something new, and carries it off; what goes wrong is logged.
pub fn checkpoint(document: &Document, memory: &Database, clock: Clock) {
    let signed = signer(document, memory).and_then(|signer| {
        let signed = signer.checkpoint(&mut *memory.conn()?, clock)?;
        Ok(signed)
    });
    match signed {
        Ok(Some(signed)) => carry_off(document, &signed),
        Ok(None) => {}
        // Without a key there is nothing to miss but the proof; `audit verify` says so.
        Err(error @ TrailError::Key(_)) => tracing::info!(%error, "no checkpoint of the audit trail was signed"),
        Err(error) => tracing::error!(%error, "no checkpoint of the audit trail was signed"),
    }
}

/// To the journal, and to the file store that the file names.
fn carry_off(document: &Document, signed: &Signed) {
    tracing::info!(
        trail.size = signed.size,
        trail.checkpoint = signed.note,
        "checkpoint of the audit trail: {}",
        signed.note.trim_end().replace('\n', "\\n")
    );
    if let Err(error) = write_to_store(document, signed) {
        tracing::error!("a checkpoint of the audit trail could not be written to its store: {error}");
    }
}

fn write_to_store(document: &Document, signed: &Signed) -> Result<(), String> {
    let Some(folder) = store_folder(document)? else { return Ok(()) };
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    std::fs::create_dir_all(&folder).map_err(failed)?;
    let place = folder.join(file_name(signed));
    let new = place.with_extension(format!("new-{}", std::process::id()));
    std::fs::write(&new, &signed.note).map_err(failed)?;
    std::fs::File::open(&new).and_then(|file| file.sync_all()).map_err(failed)?;
    std::fs::rename(&new, &place).map_err(failed)
}

fn file_name(signed: &Signed) -> String {
    let at = signed.at.format("%Y%m%dT%H%M%SZ");
    format!("{at}-{}.checkpoint", signed.size)
}

/// The folder with the checkpoints, of a store that is there and is the one that it was.
fn store_folder(document: &Document) -> Result<Option<PathBuf>, String> {
    let Some(store) = document.trail.store.as_ref().and_then(|name| document.stores.get(name)) else { return Ok(None) };
    let url = store.url.as_ref().ok_or("[trail] store is a store of a tenant alone")?;
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
    Ok(Some(folder.join(FOLDER)))
}

/// The checkpoints that the file's store has kept, with their names.
///
/// # Errors
/// When the store is not there.
pub fn kept(document: &Document) -> Result<Vec<(String, String)>, String> {
    let Some(folder) = store_folder(document)? else { return Ok(Vec::new()) };
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    let entries = match std::fs::read_dir(&folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut kept = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "checkpoint") {
            kept.push((path.display().to_string(), std::fs::read_to_string(&path).map_err(failed)?));
        }
    }
    kept.sort();
    Ok(kept)
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
        "The checkpoint; keep exactly these lines, without the blanks before them, in a file:",
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
