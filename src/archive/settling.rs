//! What a run that was killed left in a folder of archives, and what becomes of it.
//!
//! **Invariant.** A pending file goes only when the ledger of the very store that its rows came from does not know its
//! batch. Where its manifest says another store, or is not there although the batch is known, nothing is decided. Whoever
//! settles is behind the gate of that store, with the job's lease, so that nobody can still commit such a batch.

use super::ArchiveError;
use super::manifest::{Manifest, Named, name};
use super::shelved::{expired, finish, manifest};
use super::writing::{pending, promote};
use crate::files::Shelf;

/// What is to be done.
#[derive(Default)]
pub struct Unsettled {
    /// Pending files whose batches were committed: they become archives.
    kept: Vec<Manifest>,
    /// Pending files, with their batches, whose rows are still in their table.
    undone: Vec<(String, String)>,
    /// Manifests that were not written to their end.
    halves: Vec<String>,
    /// Archives whose removal has begun.
    leaving: Vec<Manifest>,
}

/// Looks at what was left behind: `committed` says whether the ledger of `store` knows a batch. Changes nothing.
///
/// # Errors
/// When the ledger or the folder cannot be asked, or a pending file's rows may be in another store.
pub fn unsettled<E: From<ArchiveError>>(
    shelf: &Shelf,
    store: &str,
    mut committed: impl FnMut(&str) -> Result<bool, E>,
) -> Result<Unsettled, E> {
    let mut found = Unsettled::default();
    for left in &shelf.names().map_err(ArchiveError::from)? {
        match Named::read(left) {
            Some(Named::Pending { batch, file }) => {
                let doubt = |what: String| Err(ArchiveError::broken(left, what).into());
                let said = manifest(shelf, &name(batch), batch)?;
                if let Some(other) = said.as_ref().filter(|said| said.store != store) {
                    return doubt(format!(
                        "its rows came from store `{}`, which is not the job's any more: nobody knows whether they are still there",
                        other.store
                    ));
                }
                match (committed(batch)?, said) {
                    (true, Some(said)) if said.file() == file => found.kept.push(said),
                    (true, _) => return doubt("its rows are gone, and its manifest is not there".to_owned()),
                    (false, _) => found.undone.push((file.to_owned(), batch.to_owned())),
                }
            }
            Some(Named::Half) => found.halves.push(left.clone()),
            Some(Named::Expired(batch)) => found.leaving.extend(manifest(shelf, &expired(batch), batch)?),
            _ => {}
        }
    }
    Ok(found)
}

impl Unsettled {
    /// How many files become archives, and how many go since their rows are still in their table.
    pub fn counts(&self) -> (u64, u64) {
        (self.kept.len() as u64, self.undone.len() as u64)
    }

    /// The manifests of files that become archives.
    pub fn kept(&self) -> impl Iterator<Item = &Manifest> {
        self.kept.iter()
    }

    /// Does it.
    ///
    /// # Errors
    /// When the folder cannot be changed; what was settled stays settled.
    pub fn settle(self, shelf: &Shelf) -> Result<(), ArchiveError> {
        for manifest in &self.kept {
            promote(shelf, &manifest.file())?;
        }
        for (file, batch) in &self.undone {
            discard(shelf, file, batch)?;
        }
        for half in &self.halves {
            shelf.remove(half)?;
        }
        self.leaving.iter().try_for_each(|manifest| finish(shelf, manifest))
    }
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
    for left in &shelf.names()? {
        match Named::read(left) {
            Some(Named::Pending { batch: own, file }) if own == batch => discard(shelf, file, batch)?,
            _ => {}
        }
    }
    Ok(())
}
