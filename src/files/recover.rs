//! The start and the end of a run: bringing right what a kill left behind, and emptying the trash.
//!
//! Invariant: the manifest decides what a batch is, the ledger whether it happened, the commit record since when. A
//! batch without a commit record is never swept; one with it is never put back.

use chrono::{DateTime, TimeDelta, Utc};
use rustix::fd::OwnedFd;
use rustix::fs::FileType;
use rustix::io::Errno;

use super::beneath;
use super::error::{FileError, FileErrorKind, RecoverError};
use super::manifest::{self, name_of};
use super::root::facts_of;
use super::trash::{Trash, is_batch_id};

/// What a recovery found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Batches that the ledger knew, now marked committed.
    pub committed: u64,
    /// Files put back in their places.
    pub restored: u64,
    /// Files left in the trash, since their place is taken or cannot be reached. Each recovery tries again.
    pub conflicts: u64,
    /// The batches with conflicts: the names of their folders in the trash.
    pub conflicting: Vec<String>,
}

/// What a sweep removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Files unlinked.
    pub files: u64,
    /// Bytes of those whose last name that was.
    pub bytes: u64,
    /// Batches gone altogether.
    pub batches: u64,
    /// Among the files: those whose content stays reachable under another name (a hard link).
    pub linked: u64,
}

impl Trash {
    /// Brings right what an earlier run left behind: asks for each batch that is not marked committed whether the
    /// ledger knows it; if so it is marked, committed at `now`, else its files go back. Can be repeated from any point.
    ///
    /// # Errors
    /// When the ledger cannot be asked or the store fails; what was done until then stands.
    pub fn recover<E>(
        &self,
        now: DateTime<Utc>,
        mut known: impl FnMut(&str) -> Result<bool, E>,
    ) -> Result<Recovery, RecoverError<E>> {
        let mut recovery = Recovery::default();
        for batch in self.batches()? {
            let folder = self.folder(&batch)?;
            if manifest::read_committed(&folder, &batch).map_err(|errno| self.damaged(&batch, errno))?.is_some() {
                continue;
            }
            let intent = manifest::read_intent(&folder, &batch).map_err(|errno| self.damaged(&batch, errno))?;
            let conflicts = match intent {
                // Killed before the manifest was whole, hence before any file moved; or after the last one had gone.
                None => u64::from(!self.discard(&batch, &folder)?),
                Some(_) if known(&batch).map_err(RecoverError::Ledger)? => {
                    manifest::write_committed(&folder, &batch, now)
                        .map_err(self.root.fail("marking a batch committed"))?;
                    recovery.committed += 1;
                    0
                }
                Some(files) => {
                    let done = self.restore(&batch, &files)?;
                    recovery.restored += done.restored;
                    done.conflicts
                }
            };
            if conflicts > 0 {
                recovery.conflicts += conflicts;
                recovery.conflicting.push(batch);
            }
        }
        Ok(recovery)
    }

    /// Unlinks the files of the batches that were committed at least `grace` ago. A batch that fails does not keep the
    /// others; the first failure is reported at the end.
    ///
    /// # Errors
    /// `Refused` for a negative grace; else when a batch could not be swept.
    pub fn sweep(&self, now: DateTime<Utc>, grace: TimeDelta) -> Result<Swept, FileError> {
        if grace < TimeDelta::zero() {
            return Err(self.root.error(FileErrorKind::Refused, "a grace is not negative"));
        }
        let mut swept = Swept::default();
        let mut failure = None;
        for batch in self.batches()? {
            if let Err(error) = self.sweep_batch(&batch, now, grace, &mut swept) {
                failure.get_or_insert(error);
            }
        }
        failure.map_or(Ok(swept), Err)
    }

    /// How many files a sweep would unlink now. Changes nothing.
    ///
    /// # Errors
    /// When the trash cannot be read.
    pub fn due(&self, now: DateTime<Utc>, grace: TimeDelta) -> Result<u64, FileError> {
        let mut due = 0;
        for batch in self.batches()? {
            let folder = self.folder(&batch)?;
            let committed = manifest::read_committed(&folder, &batch).map_err(|errno| self.damaged(&batch, errno))?;
            if is_over(committed, now, grace) {
                let files = manifest::read_intent(&folder, &batch).map_err(|errno| self.damaged(&batch, errno))?;
                due += files.map_or(0, |files| files.len() as u64);
            }
        }
        Ok(due)
    }

    fn sweep_batch(
        &self,
        batch: &str,
        now: DateTime<Utc>,
        grace: TimeDelta,
        swept: &mut Swept,
    ) -> Result<(), FileError> {
        let folder = self.folder(batch)?;
        let committed = manifest::read_committed(&folder, batch).map_err(|errno| self.damaged(batch, errno))?;
        if !is_over(committed, now, grace) {
            return Ok(());
        }
        let files = manifest::read_intent(&folder, batch).map_err(|errno| self.damaged(batch, errno))?;
        // Without a manifest an earlier sweep has unlinked them all and was killed after that.
        for number in 0..files.map_or(0, |files| files.len()) {
            self.unlink_one(&folder, &name_of(number), swept)?;
        }
        beneath::sync(&folder).map_err(self.root.fail("sweeping a batch"))?;
        if !self.discard(batch, &folder)? {
            return Err(self.foreign(batch));
        }
        swept.batches += 1;
        Ok(())
    }

    fn unlink_one(&self, folder: &OwnedFd, name: &str, swept: &mut Swept) -> Result<(), FileError> {
        let fail = self.root.fail("unlinking a file in the trash");
        let Some(stat) = beneath::look(folder, name).map_err(&fail)? else {
            return Ok(());
        };
        if beneath::file_type(&stat) != FileType::RegularFile {
            return Err(self.root.error(FileErrorKind::Refused, "something in the trash is not a regular file"));
        }
        if beneath::unlink(folder, name).map_err(&fail)? {
            let facts = facts_of(&stat);
            swept.files += 1;
            if facts.links > 1 {
                swept.linked += 1;
            } else {
                swept.bytes += facts.bytes;
            }
        }
        Ok(())
    }

    /// The folders in the trash that can be batches; whatever else lies there is left alone.
    fn batches(&self) -> Result<Vec<String>, FileError> {
        let fail = self.root.fail("listing the trash");
        let mut batches = Vec::new();
        for name in beneath::names(&self.dir).map_err(&fail)?.into_iter().filter(|name| is_batch_id(name)) {
            let stat = beneath::look(&self.dir, &name).map_err(&fail)?;
            if stat.is_some_and(|stat| beneath::file_type(&stat) == FileType::Directory) {
                batches.push(name);
            }
        }
        Ok(batches)
    }

    fn damaged(&self, batch: &str, errno: Errno) -> FileError {
        if errno == Errno::BADMSG {
            let what = format!("the manifest of batch {batch} in the trash is not as it was written; nothing is done");
            return self.root.error(FileErrorKind::Refused, &what);
        }
        self.root.fail("reading the manifest of a batch")(errno)
    }

    fn foreign(&self, batch: &str) -> FileError {
        let what = format!("the folder of batch {batch} in the trash holds something that is not retentiond's");
        self.root.error(FileErrorKind::Refused, &what)
    }
}

/// Whether the grace of a batch that was committed then is over. A sum beyond the calendar is a grace that never ends.
fn is_over(committed: Option<DateTime<Utc>>, now: DateTime<Utc>, grace: TimeDelta) -> bool {
    committed.and_then(|at| at.checked_add_signed(grace)).is_some_and(|end| end <= now)
}
