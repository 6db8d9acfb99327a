//! The trash folder, held by one process at a time, and one batch on its way into it.
//!
//! ```text
//! .retentiond-trash/<batch>/intent      the manifest: which file lies here under which number
//!                          /0 /1 …      the files
//!                          /committed   since when the ledger has known the batch
//! ```

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use rustix::fd::OwnedFd;
use rustix::fs::{self, FileType, FlockOperation, Mode};
use rustix::io::Errno;

use super::beneath::{self, FileId};
use super::error::{FileError, FileErrorKind};
use super::manifest::{self, name_of};
use super::path::RelativePath;
use super::root::{Root, facts_of};

const PRIVATE_DIR: Mode = Mode::RWXU;

/// The trash folder of a root, locked against every other process and run until this is dropped.
///
/// Only its holder can begin, recover or sweep; a batch borrows it, so that nothing recovers while a batch is open.
pub struct Trash {
    pub(super) root: Root,
    pub(super) dir: OwnedFd,
    id: FileId,
}

/// What became of the planned files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrashCounts {
    /// Moved into the trash.
    pub moved: u64,
    /// Were not there any more.
    pub missing: u64,
    /// Among the moved: those whose content stays reachable under another name (a hard link).
    pub linked: u64,
}

/// What became of the files of a batch that was taken back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Files back in their places.
    pub restored: u64,
    /// Files left in the trash, because their place is taken or cannot be reached; the manifest stays with them, they
    /// are never swept, and each recovery tries again.
    pub conflicts: u64,
}

impl Root {
    /// Takes the trash folder, creating it where there is none.
    ///
    /// # Errors
    /// `Conflict` when another process or run holds it: try again later. `Unreachable` when the marker has gone since.
    /// `Refused` when the folder is not the daemon's own alone.
    pub fn lock(&self) -> Result<Trash, FileError> {
        self.check_marker()?;
        let name = self.trash_name();
        match beneath::make_dir(self.fd(), name, PRIVATE_DIR) {
            Ok(()) => beneath::sync(self.fd()).map_err(self.fail("creating the trash folder"))?,
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(self.fail("creating the trash folder")(errno)),
        }
        let fail = self.fail("opening the trash folder");
        let dir = beneath::open_dir(self.fd(), name).map_err(&fail)?;
        match fs::flock(&dir, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::AGAIN) => {
                return Err(self.error(FileErrorKind::Conflict, "another process or run holds the trash folder"));
            }
            Err(errno) => return Err(fail(errno)),
        }
        let stat = fs::fstat(&dir).map_err(&fail)?;
        let id = beneath::id(&stat);
        if beneath::look(self.fd(), name).map_err(&fail)?.map(|now| beneath::id(&now)) != Some(id) {
            return Err(self.error(FileErrorKind::Conflict, "the trash folder was exchanged while it was being opened"));
        }
        if stat.st_uid != rustix::process::geteuid().as_raw() || stat.st_mode & 0o077 != 0 {
            let what = "the trash folder must belong to the daemon's user, with mode 0700";
            return Err(self.error(FileErrorKind::Refused, what));
        }
        Ok(Trash { root: self.clone(), dir, id })
    }
}

impl Trash {
    /// Begins a batch. Nothing is written yet.
    ///
    /// # Errors
    /// `Refused` unless the id is 1 to 64 ASCII letters, digits, `-` or `_`; `Conflict` when the trash knows it already.
    pub fn begin(&mut self, batch: &str) -> Result<TrashBatch<'_>, FileError> {
        if !is_batch_id(batch) {
            let what = "a batch id is 1 to 64 ASCII letters, digits, `-` or `_`";
            return Err(self.root.error(FileErrorKind::Refused, what));
        }
        if beneath::look(&self.dir, batch).map_err(self.root.fail("beginning a batch"))?.is_some() {
            return Err(self.root.error(FileErrorKind::Conflict, "the trash has a batch of this id already"));
        }
        let state = State::Open;
        Ok(TrashBatch { trash: self, batch: batch.to_owned(), files: Vec::new(), numbers: HashMap::new(), state })
    }

    pub(super) fn folder(&self, batch: &str) -> Result<OwnedFd, FileError> {
        beneath::open_dir(&self.dir, batch).map_err(self.root.fail("opening a batch in the trash"))
    }

    /// Puts the files of a batch back, then removes its manifest and folder. Can be repeated from any point.
    pub(super) fn restore(&self, batch: &str, files: &[RelativePath]) -> Result<Restored, FileError> {
        let fail = self.root.fail("putting files back");
        let folder = self.folder(batch)?;
        let mut done = Restored::default();
        for (number, path) in files.iter().enumerate() {
            let name = name_of(number);
            if beneath::look(&folder, &name).map_err(&fail)?.is_none() {
                continue;
            }
            if self.put_back(&folder, &name, path).map_err(|error| error.at(number))? {
                done.restored += 1;
            } else {
                done.conflicts += 1;
            }
        }
        // All of them, not only those of this pass: an earlier one may have been killed before it came here.
        self.sync_folders(files)?;
        beneath::sync(&folder).map_err(&fail)?;
        if done.conflicts == 0 && !self.discard(batch, &folder)? {
            done.conflicts += 1;
        }
        Ok(done)
    }

    /// Puts one file back; whether its place was free and could be reached.
    fn put_back(&self, folder: &OwnedFd, name: &str, path: &RelativePath) -> Result<bool, FileError> {
        let home = match self.open_or_make_folder(path) {
            Ok(home) => home,
            Err(error) if matches!(error.kind, FileErrorKind::Refused | FileErrorKind::NotAFile) => return Ok(false),
            Err(error) => return Err(error),
        };
        match beneath::rename(folder, name, home, path.split().1) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST | Errno::NOENT | Errno::XDEV | Errno::BUSY) => Ok(false),
            Err(errno) => Err(self.root.fail("putting a file back")(errno)),
        }
    }

    /// Opens the folder a file came from. A recorder may have removed it when it was left empty: then it is made again,
    /// with owner and mode of the folder above it.
    fn open_or_make_folder(&self, path: &RelativePath) -> Result<OwnedFd, FileError> {
        if let Some(fd) = self.root.open_folder(path, Some(self.id))? {
            return Ok(fd);
        }
        let fail = self.root.fail("making the folder of a file again");
        let mut at = beneath::open_dir(self.root.fd(), ".").map_err(&fail)?;
        for part in path.split().0.unwrap_or_default().split('/').filter(|part| !part.is_empty()) {
            let above = fs::fstat(&at).map_err(&fail)?;
            match beneath::make_dir(&at, part, Mode::RWXU) {
                Ok(()) => {
                    let made = beneath::open_dir(&at, part).map_err(&fail)?;
                    let (uid, gid) = (fs::Uid::from_raw(above.st_uid), fs::Gid::from_raw(above.st_gid));
                    // Without the privilege to give it away it stays ours; the file itself keeps its owner either way.
                    match fs::fchown(&made, Some(uid), Some(gid)) {
                        Ok(()) | Err(Errno::PERM) => {}
                        Err(errno) => return Err(fail(errno)),
                    }
                    fs::fchmod(&made, Mode::from_raw_mode(above.st_mode & 0o7777)).map_err(&fail)?;
                    beneath::sync(&at).map_err(&fail)?;
                    at = made;
                }
                Err(Errno::EXIST) => at = beneath::open_dir(&at, part).map_err(&fail)?,
                Err(errno) => return Err(fail(errno)),
            }
        }
        Ok(at)
    }

    /// Makes the folders of these files durable; a folder that has gone needs no more of it.
    fn sync_folders(&self, files: &[RelativePath]) -> Result<(), FileError> {
        let folders: BTreeSet<&str> = files.iter().map(|path| path.split().0.unwrap_or(".")).collect();
        for folder in folders {
            match beneath::open_dir(self.root.fd(), folder) {
                Ok(fd) => beneath::sync(fd).map_err(self.root.fail("making a folder durable"))?,
                // Gone, or exchanged for a link: nothing of ours was renamed through what is there now.
                Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR | Errno::XDEV) => {}
                Err(errno) => return Err(self.root.fail("making a folder durable")(errno)),
            }
        }
        Ok(())
    }

    /// Removes a batch folder that holds no file any more; false when something else lies in it.
    pub(super) fn discard(&self, batch: &str, folder: &OwnedFd) -> Result<bool, FileError> {
        let fail = self.root.fail("removing a batch folder");
        for name in [manifest::INTENT, manifest::COMMITTED] {
            beneath::unlink(folder, &beneath::temporary(name)).map_err(&fail)?;
        }
        // The record of the commit goes last: while it is there, no manifest can be taken for an open one.
        if beneath::unlink(folder, manifest::INTENT).map_err(&fail)? {
            beneath::sync(folder).map_err(&fail)?;
        }
        beneath::unlink(folder, manifest::COMMITTED).map_err(&fail)?;
        match beneath::remove_empty_dir(&self.dir, batch) {
            Ok(()) => {}
            Err(Errno::NOTEMPTY | Errno::EXIST) => return Ok(false),
            Err(errno) => return Err(fail(errno)),
        }
        beneath::sync(&self.dir).map_err(&fail)?;
        Ok(true)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing is on disk.
    Open,
    /// Perhaps something is.
    Moving,
    /// Every file is in the trash, durably.
    Moved,
}

/// The files of one batch. Dropped without [`commit`](Self::commit) or [`roll_back`](Self::roll_back), it stays as it
/// is on disk, for the next recovery.
pub struct TrashBatch<'t> {
    trash: &'t Trash,
    batch: String,
    files: Vec<RelativePath>,
    numbers: HashMap<RelativePath, usize>,
    state: State,
}

impl TrashBatch<'_> {
    /// Adds a file and gives its number, which is how an error names it. A file that was planned before keeps its
    /// number and is moved, and counted, once.
    pub fn plan(&mut self, path: RelativePath) -> usize {
        let next = self.files.len();
        *self.numbers.entry(path).or_insert_with_key(|path| {
            self.files.push(path.clone());
            next
        })
    }

    /// Writes the manifest, moves the files into the trash and makes all of it durable.
    ///
    /// # Errors
    /// Then some files may have moved: call [`roll_back`](Self::roll_back). `NotAFile`, `Refused` and `Conflict` carry
    /// the number of the file.
    pub fn trash_all(&mut self) -> Result<TrashCounts, FileError> {
        let root = &self.trash.root;
        if self.state != State::Open {
            return Err(root.error(FileErrorKind::Refused, "the files of a batch are moved once"));
        }
        if self.files.is_empty() {
            self.state = State::Moved;
            return Ok(TrashCounts::default());
        }
        let fail = root.fail("writing the manifest of a batch");
        self.state = State::Moving;
        beneath::make_dir(&self.trash.dir, &self.batch, PRIVATE_DIR).map_err(&fail)?;
        beneath::sync(&self.trash.dir).map_err(&fail)?;
        let folder = self.trash.folder(&self.batch)?;
        manifest::write_intent(&folder, &self.batch, &self.files).map_err(&fail)?;
        let counts = self.move_all(&folder)?;
        // The new names first, then the old ones: a file system without a journal may keep both, never neither.
        beneath::sync(&folder).map_err(root.fail("making a batch durable"))?;
        self.trash.sync_folders(&self.files)?;
        self.state = State::Moved;
        Ok(counts)
    }

    fn move_all(&self, folder: &OwnedFd) -> Result<TrashCounts, FileError> {
        let mut counts = TrashCounts::default();
        // Neighbours mostly lie in one folder; its descriptor stays beneath the root whatever is renamed meanwhile.
        let mut open: Option<(Option<&str>, OwnedFd)> = None;
        for (number, path) in self.files.iter().enumerate() {
            let (home, _) = path.split();
            let reached = match open.take() {
                Some((at, fd)) if at == home && home.is_some() => Some(fd),
                _ => self.trash.root.open_folder(path, Some(self.trash.id)).map_err(|error| error.at(number))?,
            };
            let Some(fd) = reached else {
                counts.missing += 1;
                continue;
            };
            self.move_one(folder, &fd, path, number, &mut counts).map_err(|error| error.at(number))?;
            open = Some((home, fd));
        }
        Ok(counts)
    }

    fn move_one(
        &self,
        folder: &OwnedFd,
        home: &OwnedFd,
        path: &RelativePath,
        number: usize,
        counts: &mut TrashCounts,
    ) -> Result<(), FileError> {
        let root = &self.trash.root;
        let fail = root.fail("moving a file to the trash");
        let (name, new_name) = (path.split().1, name_of(number));
        let Some(before) = root.facts(home, name)? else {
            counts.missing += 1;
            return Ok(());
        };
        match beneath::rename(home, name, folder, &new_name) {
            Ok(()) => {}
            // It has gone just now; or else it is the batch folder that has.
            Err(Errno::NOENT) if root.facts(home, name)?.is_none() => {
                counts.missing += 1;
                return Ok(());
            }
            Err(Errno::INVAL) => {
                let what = "this file system cannot rename without replacing, so files cannot be moved safely";
                return Err(root.error(FileErrorKind::Refused, what));
            }
            Err(errno) => return Err(fail(errno)),
        }
        let after = beneath::look(folder, &new_name).map_err(&fail)?;
        let same = after.is_some_and(|after| {
            beneath::id(&after) == beneath::id(&before) && beneath::file_type(&after) == FileType::RegularFile
        });
        if !same {
            // It goes back at once, where its place is still free; what cannot is for roll_back to report.
            match beneath::rename(folder, &new_name, home, name) {
                Ok(()) | Err(Errno::EXIST | Errno::NOENT) => {}
                Err(errno) => return Err(fail(errno)),
            }
            return Err(root.error(FileErrorKind::Conflict, "a file was exchanged while it was being moved"));
        }
        counts.moved += 1;
        counts.linked += u64::from(facts_of(&before).links > 1);
        Ok(())
    }

    /// Marks the batch committed at `now`, from which its grace counts. To be called once the transaction with the
    /// ledger row has committed, and never otherwise.
    ///
    /// # Errors
    /// When the record cannot be written. The next recovery asks the ledger and writes it then.
    pub fn commit(self, now: DateTime<Utc>) -> Result<(), FileError> {
        let root = &self.trash.root;
        if self.files.is_empty() {
            return Ok(());
        }
        if self.state != State::Moved {
            let what = "a batch whose files have not all been moved cannot be committed";
            return Err(root.error(FileErrorKind::Refused, what));
        }
        let folder = self.trash.folder(&self.batch)?;
        manifest::write_committed(folder, &self.batch, now).map_err(root.fail("marking a batch committed"))
    }

    /// Puts every file back. To be called when the transaction has certainly not committed.
    ///
    /// # Errors
    /// When a file cannot be put back now. The next recovery asks the ledger and goes on.
    pub fn roll_back(self) -> Result<Restored, FileError> {
        if self.state == State::Open || self.files.is_empty() {
            return Ok(Restored::default());
        }
        let known =
            beneath::look(&self.trash.dir, &self.batch).map_err(self.trash.root.fail("rolling a batch back"))?;
        if known.is_none() {
            return Ok(Restored::default());
        }
        self.trash.restore(&self.batch, &self.files)
    }
}

pub(super) fn is_batch_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}
