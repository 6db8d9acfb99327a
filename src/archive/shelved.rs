//! What lies in a folder of archives, and what goes from it since its time is over.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use super::ArchiveError;
use super::manifest::{Manifest, Named, VERSION, name};
use super::reading::{Rows, digest_of};
use super::sealing::Keys;
use super::writing::pending;
use crate::config::period::Keep;
use crate::files::Shelf;

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

    /// About when it goes; never, where it is kept for ever.
    pub fn expires(&self, keep: &Keep, zone: Tz) -> Option<DateTime<Utc>> {
        match keep {
            Keep::Forever => None,
            Keep::For(period) => period.after(self.manifest.newest, zone),
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

/// What was found in a folder.
#[derive(Default)]
pub struct Folder {
    /// Archives and pending files, oldest first.
    pub shelved: Vec<Shelved>,
    /// What is no whole archive: a manifest without its file, a file without its manifest, a manifest that is none.
    pub broken: Vec<ArchiveError>,
}

/// Everything in a folder that is ours.
///
/// # Errors
/// When it cannot be read.
pub fn survey(shelf: &Shelf) -> Result<Folder, ArchiveError> {
    let names = shelf.names()?;
    let known: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    let mut folder = Folder::default();
    for written in &names {
        match Named::read(written) {
            Some(Named::Manifest(batch)) => match manifest(shelf, written, batch) {
                Ok(None) => {}
                Ok(Some(manifest)) => {
                    let file = manifest.file();
                    let here = known.contains(file.as_str());
                    if here || known.contains(pending(&file).as_str()) {
                        folder.shelved.push(Shelved { manifest, pending: !here });
                    } else {
                        folder.broken.push(ArchiveError::broken(written, "its archive is not there"));
                    }
                }
                Err(error) => folder.broken.push(error),
            },
            Some(Named::Archive(batch))
                if !known.contains(name(batch).as_str()) && !known.contains(expired(batch).as_str()) =>
            {
                folder.broken.push(ArchiveError::broken(written, "its manifest is not there"));
            }
            _ => {}
        }
    }
    folder.shelved.sort_by(|a, b| (a.manifest.oldest, &a.manifest.batch).cmp(&(b.manifest.oldest, &b.manifest.batch)));
    Ok(folder)
}

/// The manifest of a batch in the file `written`; `None` where there is no such file.
pub(super) fn manifest(shelf: &Shelf, written: &str, batch: &str) -> Result<Option<Manifest>, ArchiveError> {
    let broken = |what: &str| ArchiveError::broken(written, what);
    let Some(content) = shelf.read(written)? else { return Ok(None) };
    let manifest: Manifest = serde_json::from_slice(&content).map_err(|_| broken("it is no manifest"))?;
    if manifest.version != VERSION || manifest.batch != batch {
        return Err(broken("it is no manifest of this version and name"));
    }
    Ok(Some(manifest))
}

/// The name of a manifest whose archive is being removed.
pub(super) fn expired(batch: &str) -> String {
    format!("{batch}.expired")
}

/// Whether the time of an archive is over at `now`.
pub fn is_over(shelved: &Shelved, keep: &Keep, zone: Tz, now: DateTime<Utc>) -> bool {
    let Keep::For(period) = keep else { return false };
    let cutoff = period.before(now, zone).filter(|cutoff| *cutoff < now);
    !shelved.pending && cutoff.is_some_and(|cutoff| shelved.manifest.newest < cutoff)
}

/// Removes an archive whose time is over. Whatever comes between, the next run goes on from there.
///
/// # Errors
/// When it cannot be removed.
pub fn remove(shelf: &Shelf, old: &Shelved) -> Result<(), ArchiveError> {
    let batch = &old.manifest.batch;
    shelf.rename(&name(batch), &expired(batch))?;
    finish(shelf, &old.manifest)
}

/// The rest of a removal that has begun.
pub(super) fn finish(shelf: &Shelf, manifest: &Manifest) -> Result<(), ArchiveError> {
    shelf.remove(&manifest.file())?;
    shelf.remove(&expired(&manifest.batch))?;
    Ok(())
}
