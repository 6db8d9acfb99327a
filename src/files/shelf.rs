//! A folder of archives in a file store: files that are written once and read, and go by name.
//!
//! **Invariant.** Nothing outside the folder is touched, no file of it is ever written over, and one is removed only as
//! whoever asks says that it may be: `archive` says so of a file whose rows never left their table, and of one whose own
//! `keep` has run out. A folder that belongs to somebody else, or that others may write to, is none of ours.
//! Tests: `archives`.

use std::fs::File;

use rustix::fd::OwnedFd;
use rustix::fs::{FileType, Mode};
use rustix::io::Errno;

use super::beneath;
use super::error::{FileError, FileErrorKind};
use super::root::Root;

const PRIVATE_DIR: Mode = Mode::RWXU;
const PRIVATE: Mode = Mode::RUSR.union(Mode::WUSR);

/// A folder directly in the root, for the daemon's user alone.
pub struct Shelf {
    root: Root,
    dir: OwnedFd,
}

impl Root {
    /// The folder `name`, made where it is missing and `create` says so.
    ///
    /// # Errors
    /// When it cannot be opened or made, is the trash folder, or is to be written to and not ours alone.
    pub fn shelf(&self, name: &str, create: bool) -> Result<Option<Shelf>, FileError> {
        let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        if !plain || name.eq_ignore_ascii_case(self.trash_name()) {
            return Err(self.error(FileErrorKind::Refused, "this is no name for a folder of archives"));
        }
        self.check_marker()?;
        let fail = self.fail("opening the folder of archives");
        if create {
            match beneath::make_dir(self.fd(), name, PRIVATE_DIR) {
                Ok(()) => beneath::sync(self.fd()).map_err(&fail)?,
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(fail(errno)),
            }
        }
        match beneath::open_dir(self.fd(), name) {
            Ok(dir) => {
                let stat = rustix::fs::fstat(&dir).map_err(fail)?;
                if create && (stat.st_uid != rustix::process::geteuid().as_raw() || stat.st_mode & 0o022 != 0) {
                    let what = format!("the folder `{name}` belongs to somebody else, or others may write to it");
                    return Err(self.error(FileErrorKind::Refused, &what));
                }
                Ok(Some(Shelf { root: self.clone(), dir }))
            }
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(fail(errno)),
        }
    }
}

impl Root {
    /// The names of the folders directly in the root, without the trash folder.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn folders(&self) -> Result<Vec<String>, FileError> {
        let fail = self.fail("reading the root");
        let names = beneath::names(beneath::open_dir(self.fd(), ".").map_err(&fail)?).map_err(&fail)?;
        let is_folder = |name: &String| {
            let found = beneath::look(self.fd(), name).ok().flatten();
            found.is_some_and(|stat| beneath::file_type(&stat) == FileType::Directory)
        };
        Ok(names.into_iter().filter(|name| !name.eq_ignore_ascii_case(self.trash_name()) && is_folder(name)).collect())
    }
}

impl Shelf {
    /// The names in it, in order.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn names(&self) -> Result<Vec<String>, FileError> {
        // An open directory is read to its end once; each look needs one of its own.
        let dir = beneath::open_dir(&self.dir, ".").map_err(self.root.fail("reading the folder of archives"))?;
        beneath::names(dir).map_err(self.root.fail("reading the folder of archives"))
    }

    /// A new file, to be written and then given to [`Shelf::close`].
    ///
    /// # Errors
    /// When it is there already, or cannot be made.
    pub fn create(&self, name: &str) -> Result<File, FileError> {
        beneath::create(&self.dir, name, PRIVATE).map_err(self.root.fail("making an archive"))
    }

    /// Puts what was written on disk, name and content.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn close(&self, file: File) -> Result<(), FileError> {
        let fail = self.root.fail("closing an archive");
        rustix::fs::fsync(&file).map_err(&fail)?;
        drop(file);
        beneath::sync(&self.dir).map_err(fail)
    }

    /// A file for reading; `None` where there is none.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(&self, name: &str) -> Result<Option<File>, FileError> {
        beneath::open_file(&self.dir, name).map_err(self.root.fail("opening an archive"))
    }

    /// The content of a small file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, FileError> {
        beneath::read(&self.dir, name).map_err(self.root.fail("reading what is said of an archive"))
    }

    /// Writes a small file, whole or not at all.
    ///
    /// # Errors
    /// When it is there already, or cannot be written.
    pub fn write(&self, name: &str, content: &[u8]) -> Result<(), FileError> {
        beneath::write_durably(&self.dir, name, content, PRIVATE)
            .map_err(self.root.fail("writing what is said of an archive"))
    }

    /// Gives a file another name, durably. A file that bears the new name already stays.
    ///
    /// # Errors
    /// When it is not there, or the new name is taken.
    pub fn rename(&self, from: &str, to: &str) -> Result<(), FileError> {
        let fail = self.root.fail("naming an archive");
        beneath::rename(&self.dir, from, &self.dir, to).map_err(&fail)?;
        beneath::sync(&self.dir).map_err(fail)
    }

    /// Removes a file, durably; whether it was there.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&self, name: &str) -> Result<bool, FileError> {
        let fail = self.root.fail("removing an archive");
        let was = beneath::unlink(&self.dir, name).map_err(&fail)?;
        beneath::sync(&self.dir).map_err(fail)?;
        Ok(was)
    }
}
