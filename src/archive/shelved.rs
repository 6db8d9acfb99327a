//! What lies in a folder of archives, and what becomes of it.

use chrono::{DateTime, Utc};

use super::ArchiveError;
use super::manifest::{Manifest, VERSION, name};
use super::reading::{Rows, digest_of};
use super::sealing::Keys;
use super::writing::{pending, promote};
use crate::config::period::Keep;
use crate::files::Shelf;

/// The ending of a manifest whose archive is being removed, since its time is over.
const EXPIRED: &str = ".expired";

/// One archive, or a pending file.
pub struct Shelved {
    /// What is said of it.
    pub manifest: Manifest,
    /// Its rows are still in their table, as far as is known.
    pub pending: bool,
}

impl Shelved {
    /// The name that its file has now.
    pub fn file(&self) -> String {
        if self.pending { pending(&self.manifest.file()) } else { self.manifest.file() }
    }

    /// When it goes; never, where it is kept for ever.
    pub fn expires(&self, keep: &Keep) -> Option<DateTime<Utc>> {
        match keep {
            Keep::Forever => None,
            Keep::For(period) => Some(self.manifest.newest + period.approximate()),
        }
    }

    /// Holds the file against its manifest: its bytes, and, where it is not encrypted or a key is given, its rows.
    /// `false`: the rows could not be looked at.
    ///
    /// # Errors
    /// When it is not what the manifest says.
    pub fn verify(&self, shelf: &Shelf, keys: &Keys) -> Result<bool, ArchiveError> {
        let file = self.file();
        let (sha256, bytes) = digest_of(shelf, &file)?;
        if (&sha256, bytes) != (&self.manifest.sha256, self.manifest.bytes) {
            return Err(ArchiveError::broken(&file, "it is not the file that its manifest describes"));
        }
        if self.manifest.encrypted_to.is_some() && keys.0.is_empty() {
            return Ok(false);
        }
        Rows::open(shelf, &file, &self.manifest, keys)?.check(&self.manifest)?;
        Ok(true)
    }
}

/// Everything in a folder, oldest first.
///
/// # Errors
/// When a manifest cannot be read, or its file is not there.
pub fn shelved(shelf: &Shelf) -> Result<Vec<Shelved>, ArchiveError> {
    let names = shelf.names()?;
    let mut found = Vec::new();
    for written in names.iter().filter(|name| name.ends_with(".json")) {
        let broken = |what: &str| ArchiveError::broken(written, what);
        let Some(content) = shelf.read(written)? else { continue };
        let manifest: Manifest = serde_json::from_slice(&content).map_err(|_| broken("it is no manifest"))?;
        if manifest.version != VERSION || name(&manifest.batch) != *written {
            return Err(broken("it is no manifest of this version and name"));
        }
        let file = manifest.file();
        let here = names.contains(&file);
        if !here && !names.contains(&pending(&file)) {
            return Err(broken("its archive is not there"));
        }
        found.push(Shelved { manifest, pending: !here });
    }
    found.sort_by(|a, b| (a.manifest.oldest, &a.manifest.batch).cmp(&(b.manifest.oldest, &b.manifest.batch)));
    Ok(found)
}

/// Settles what a run that was killed left behind: `committed` says whether the ledger knows a batch. Gives how many
/// became archives and how many were removed, since their rows are still in their table. Whoever calls this holds the
/// job's lease, so that no other run can still commit.
///
/// # Errors
/// When the ledger or the file store cannot be asked; what was settled stays settled.
pub fn recover<E: From<ArchiveError>>(
    shelf: &Shelf,
    mut committed: impl FnMut(&str) -> Result<bool, E>,
) -> Result<(u64, u64), E> {
    let names = shelf.names().map_err(ArchiveError::from)?;
    let (mut kept, mut removed) = (0, 0);
    for left in names.iter().filter(|name| name.ends_with(".pending")) {
        let file = left.trim_end_matches(".pending");
        let batch = file.split('.').next().unwrap_or_default();
        if names.contains(&name(batch)) && committed(batch)? {
            promote(shelf, file)?;
            kept += 1;
        } else {
            discard(shelf, file, batch)?;
            removed += 1;
        }
    }
    for half in names.iter().filter(|name| name.ends_with(".json.tmp")) {
        shelf.remove(half).map_err(ArchiveError::from)?;
    }
    for gone in names.iter().filter(|name| name.ends_with(EXPIRED)) {
        let batch = gone.trim_end_matches(EXPIRED);
        for file in names.iter().filter(|name| name.starts_with(batch) && *name != gone) {
            shelf.remove(file).map_err(ArchiveError::from)?;
        }
        shelf.remove(gone).map_err(ArchiveError::from)?;
    }
    Ok((kept, removed))
}

/// Removes a pending file whose rows are still in their table. The manifest goes first: a file without one is nothing yet,
/// a manifest without its file is an archive that was lost.
fn discard(shelf: &Shelf, file: &str, batch: &str) -> Result<(), ArchiveError> {
    shelf.remove(&name(batch))?;
    shelf.remove(&pending(file))?;
    Ok(())
}

/// Removes what was written for a batch that was rolled back for certain.
///
/// # Errors
/// When it cannot be removed.
pub fn undo(shelf: &Shelf, batch: &str) -> Result<(), ArchiveError> {
    let names = shelf.names()?;
    let own = format!("{batch}.");
    for left in names.iter().filter(|name| name.starts_with(&own) && name.ends_with(".pending")) {
        discard(shelf, left.trim_end_matches(".pending"), batch)?;
    }
    Ok(())
}

/// Removes the archives whose time is over at `now`; gives how many.
///
/// # Errors
/// When one cannot be removed.
pub fn expire(shelf: &Shelf, keep: &Keep, zone: chrono_tz::Tz, now: DateTime<Utc>) -> Result<u64, ArchiveError> {
    let Keep::For(period) = keep else { return Ok(0) };
    let Some(cutoff) = period.before(now, zone).filter(|cutoff| *cutoff < now) else { return Ok(0) };
    let mut removed = 0;
    for old in shelved(shelf)?.iter().filter(|old| !old.pending && old.manifest.newest < cutoff) {
        // Whatever comes between, the next run goes on from here.
        let expired = format!("{}{EXPIRED}", old.manifest.batch);
        shelf.rename(&name(&old.manifest.batch), &expired)?;
        shelf.remove(&old.manifest.file())?;
        shelf.remove(&expired)?;
        removed += 1;
    }
    Ok(removed)
}
