//! The root of a file store: the directory beneath which everything happens, proved by its marker file.
//!
//! A mount that is missing leaves an empty directory behind, and every recording would seem to be gone already. So a
//! root without its marker is unreachable, not empty.

use std::path::Path;
use std::sync::Arc;

use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::{self, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use super::beneath::{self, FileId};
use super::error::{FileError, FileErrorKind};
use super::path::RelativePath;

/// The names that retentiond uses in a store.
#[derive(Clone, Debug)]
pub struct RootOptions {
    /// The file that proves that the root is the real one. Default `.retentiond-store`.
    pub marker: String,
    /// The folder for removed files, directly in the root. Default `.retentiond-trash`.
    pub trash: String,
}

impl Default for RootOptions {
    fn default() -> Self {
        Self { marker: ".retentiond-store".to_owned(), trash: ".retentiond-trash".to_owned() }
    }
}

/// What is known of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileFacts {
    /// Its length in bytes.
    pub bytes: u64,
    /// Its names; with more than one, the content stays reachable after this name has gone.
    pub links: u64,
}

/// An open root. Cheap to clone; stays on the file system that was opened, whatever is mounted over it later.
#[derive(Clone)]
pub struct Root(Arc<Inner>);

struct Inner {
    fd: OwnedFd,
    device: u64,
    shown: String,
    options: RootOptions,
    marker: FileId,
    identity: String,
}

impl Root {
    /// Opens the root and proves it by its marker. Changes nothing.
    ///
    /// # Errors
    /// `Unreachable` when the directory or its marker is missing; `Refused` when the path is relative, is the file
    /// system's root, or the options are no plain names.
    pub fn open(dir: &Path, options: RootOptions) -> Result<Self, FileError> {
        let shown = dir.display().to_string();
        for name in [&options.marker, &options.trash] {
            if !is_plain_name(name) {
                return Err(refused(&shown, "the names of marker and trash folder are plain names, without `/`"));
            }
        }
        if options.marker.eq_ignore_ascii_case(&options.trash) {
            return Err(refused(&shown, "marker and trash folder need different names"));
        }
        let (fd, stat) = open_root(dir, &shown)?;
        let fail = |errno| FileError::from_errno(&shown, "reading the marker file", errno);
        let missing = || {
            let marker = &options.marker;
            FileError::new(
                FileErrorKind::Unreachable,
                format!("{shown}: the marker file {marker} is missing: not mounted, or not yet `retentiond init`"),
            )
        };
        let marker = beneath::look(&fd, &options.marker).map_err(fail)?.ok_or_else(missing)?;
        if beneath::file_type(&marker) != FileType::RegularFile {
            return Err(refused(&shown, "the marker is not a regular file"));
        }
        let content = beneath::read(&fd, &options.marker).map_err(fail)?.ok_or_else(missing)?;
        let hash: String = Sha256::digest(&content).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let identity = format!("files:{}:{}:{hash}", stat.st_dev, stat.st_ino);
        let marker = beneath::id(&marker);
        Ok(Self(Arc::new(Inner { fd, device: stat.st_dev, shown, options, marker, identity })))
    }

    /// What tells this store from every other: `files:<device>:<inode>:<hash of the marker's content>`.
    pub fn identity(&self) -> String {
        self.0.identity.clone()
    }

    /// The facts of one file; `None` when there is no such file. Changes nothing.
    ///
    /// # Errors
    /// `NotAFile` for a directory, FIFO, device or symbolic link, or when a part of the path is no directory; `Refused`
    /// for a link or a mount on the way, and for the marker and the trash folder.
    pub fn stat(&self, path: &RelativePath) -> Result<Option<FileFacts>, FileError> {
        let (_, name) = path.split();
        let Some(folder) = self.open_folder(path, None)? else {
            return Ok(None);
        };
        Ok(self.facts(&folder, name)?.map(|stat| facts_of(&stat)))
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        use rustix::fd::AsFd as _;
        self.0.fd.as_fd()
    }

    pub(super) fn trash_name(&self) -> &str {
        &self.0.options.trash
    }

    pub(super) fn fail(&self, doing: &'static str) -> impl Fn(Errno) -> FileError {
        move |errno| FileError::from_errno(&self.0.shown, doing, errno)
    }

    pub(super) fn error(&self, kind: FileErrorKind, what: &str) -> FileError {
        FileError::new(kind, format!("{}: {what}", self.0.shown))
    }

    /// Looks whether the marker is still the one that was found when the root was opened.
    pub(super) fn check_marker(&self) -> Result<(), FileError> {
        let marker = beneath::look(self.fd(), &self.0.options.marker).map_err(self.fail("looking for the marker"))?;
        match marker {
            Some(stat) if beneath::id(&stat) == self.0.marker => Ok(()),
            _ => Err(self.error(FileErrorKind::Unreachable, "the marker file has gone since the store was opened")),
        }
    }

    /// Opens the folder in which the file lies; `None` when there is no such folder.
    ///
    /// `trash` is the trash folder when it is open already; else it is looked for, since a file system that folds case
    /// or Unicode may know it by other names.
    pub(super) fn open_folder(&self, path: &RelativePath, trash: Option<FileId>) -> Result<Option<OwnedFd>, FileError> {
        let fail = self.fail("opening the folder of a file");
        let first = path.first();
        let own = [&self.0.options.marker, &self.0.options.trash];
        if own.iter().any(|name| first.eq_ignore_ascii_case(name)) {
            return Err(self.error(FileErrorKind::Refused, "a path names the marker or the trash folder"));
        }
        let (folder, _) = path.split();
        if folder.is_some() {
            let trash = match trash {
                Some(id) => Some(id),
                None => beneath::look(self.fd(), self.trash_name()).map_err(&fail)?.map(|stat| beneath::id(&stat)),
            };
            let top = beneath::look(self.fd(), first).map_err(&fail)?.map(|stat| beneath::id(&stat));
            if trash.is_some() && top == trash {
                return Err(self.error(FileErrorKind::Refused, "a path names the marker or the trash folder"));
            }
        }
        match beneath::open_dir(self.fd(), folder.unwrap_or(".")) {
            Ok(fd) => Ok(Some(fd)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(fail(errno)),
        }
    }

    /// The facts of a regular file in an open folder.
    pub(super) fn facts(&self, folder: &OwnedFd, name: &str) -> Result<Option<Stat>, FileError> {
        let Some(stat) = beneath::look(folder, name).map_err(self.fail("looking at a file"))? else {
            return Ok(None);
        };
        if beneath::file_type(&stat) != FileType::RegularFile {
            return Err(self.error(FileErrorKind::NotAFile, "a path names something that is not a regular file"));
        }
        if stat.st_dev != self.0.device {
            return Err(self.error(FileErrorKind::Refused, "a path leads to another file system"));
        }
        if beneath::id(&stat) == self.0.marker {
            return Err(self.error(FileErrorKind::Refused, "a path names the marker or the trash folder"));
        }
        Ok(Some(stat))
    }
}

/// Writes the marker that makes a directory a store; whether it was new. An existing marker stays as it is.
///
/// # Errors
/// As [`Root::open`], and when the directory cannot be written.
pub fn create_marker(dir: &Path, marker: &str) -> Result<bool, FileError> {
    let shown = dir.display().to_string();
    if !is_plain_name(marker) {
        return Err(refused(&shown, "the name of the marker is a plain name, without `/`"));
    }
    let fail = |errno| FileError::from_errno(&shown, "writing the marker file", errno);
    let (fd, _) = open_root(dir, &shown)?;
    if beneath::look(&fd, marker).map_err(fail)?.is_some() {
        return Ok(false);
    }
    let content = format!("retentiond store {}\n", uuid::Uuid::now_v7());
    let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH;
    match beneath::write_durably(&fd, marker, content.as_bytes(), mode) {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Ok(false),
        Err(errno) => Err(fail(errno)),
    }
}

pub(super) fn facts_of(stat: &Stat) -> FileFacts {
    // A length is never negative; should the kernel say so, nothing is claimed to be freed.
    FileFacts { bytes: u64::try_from(stat.st_size).unwrap_or(0), links: wide(stat.st_nlink) }
}

/// The kernel's count of links is 32 bits wide on some architectures.
fn wide(number: impl Into<u64>) -> u64 {
    number.into()
}

/// Opens the root itself: the one resolution that may follow links, since the operator wrote it.
fn open_root(dir: &Path, shown: &str) -> Result<(OwnedFd, Stat), FileError> {
    if !dir.is_absolute() {
        return Err(refused(shown, "the root of a file store is an absolute path"));
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let fd = fs::open(dir, flags, Mode::empty()).map_err(|errno| match errno {
        Errno::NOENT | Errno::NOTDIR => {
            FileError::new(FileErrorKind::Unreachable, format!("{shown}: there is no such directory"))
        }
        other => FileError::from_errno(shown, "opening the root of the file store", other),
    })?;
    let fail = |errno| FileError::from_errno(shown, "looking at the root of the file store", errno);
    let stat = fs::fstat(&fd).map_err(fail)?;
    if beneath::id(&fs::stat("/").map_err(fail)?) == beneath::id(&stat) {
        return Err(refused(shown, "the root of the file system is no file store"));
    }
    Ok((fd, stat))
}

fn refused(shown: &str, what: &str) -> FileError {
    FileError::new(FileErrorKind::Refused, format!("{shown}: {what}"))
}

fn is_plain_name(name: &str) -> bool {
    !name.trim().is_empty() && name != "." && name != ".." && name.len() <= 200 && !name.contains(['/', '\\', '\0'])
}
