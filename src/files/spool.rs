//! retentiond's own private folder: finished messages that have not left, and reports in the making.
//!
//! **Invariant.** The folder is retentiond's own, and nobody else can look into it: what is there already with another
//! owner, or open to others, is refused. Only plain names directly in it, or directly in a folder in it, are ever opened
//! or removed, and no link is followed; so nothing outside it can be touched, whoever wrote the name. No file of a store
//! is ever here. Tests: `only_what_is_in_the_folder_is_touched` below.

use std::fs::File;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fd::OwnedFd;
use rustix::fs::{FileType, Mode, OFlags};

use super::beneath;

/// The folder, open.
pub struct Spool {
    path: PathBuf,
    dir: OwnedFd,
}

impl Spool {
    /// Opens the folder, made when it is not there.
    ///
    /// # Errors
    /// When it cannot be made, is somebody else's, or others can look into it.
    pub fn open(path: &Path) -> io::Result<Self> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let dir = rustix::fs::open(path, flags, Mode::empty())?;
        let facts = File::from(dir.try_clone()?).metadata()?;
        let refused = |why: &str| Err(io::Error::new(io::ErrorKind::PermissionDenied, why.to_owned()));
        if facts.uid() != rustix::process::geteuid().as_raw() {
            return refused("it belongs to another user");
        }
        if facts.mode() & 0o077 != 0 {
            return refused("others than its owner can look into it (chmod 700)");
        }
        Ok(Self { path: path.to_path_buf(), dir })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file, whole and durable, or not at all; one of the same name is replaced.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        plain(name)?;
        beneath::unlink(&self.dir, name)?;
        Ok(beneath::write_durably(&self.dir, name, bytes, Mode::RUSR | Mode::WUSR)?)
    }

    /// Opens a file for reading.
    ///
    /// # Errors
    /// When it is not there, or is no plain file.
    pub fn read(&self, name: &str) -> io::Result<File> {
        plain(name)?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::openat(&self.dir, name, flags, Mode::empty())?);
        if file.metadata()?.is_file() { Ok(file) } else { Err(io::ErrorKind::InvalidInput.into()) }
    }

    /// How long ago a file was written; one from the future was written just now.
    ///
    /// # Errors
    /// When it is not there, or is no plain file.
    pub fn age(&self, name: &str) -> io::Result<Duration> {
        Ok(self.read(name)?.metadata()?.modified()?.elapsed().unwrap_or_default())
    }

    /// Makes an empty folder in it and gives its path; what was there under that name is removed first.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn make_folder(&self, name: &str) -> io::Result<PathBuf> {
        plain(name)?;
        self.remove(name)?;
        beneath::make_dir(&self.dir, name, Mode::RWXU)?;
        Ok(self.path.join(name))
    }

    /// Gives a folder or a file in it another name, and makes that durable.
    ///
    /// # Errors
    /// When it is not there, or something of the new name is.
    pub fn rename(&self, name: &str, new_name: &str) -> io::Result<()> {
        plain(name)?;
        plain(new_name)?;
        beneath::rename(&self.dir, name, &self.dir, new_name)?;
        Ok(beneath::sync(&self.dir)?)
    }

    /// Removes a file, or a folder with the files in it; what is not there needs no removing.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        plain(name)?;
        let Some(facts) = beneath::look(&self.dir, name)? else { return Ok(()) };
        if beneath::file_type(&facts) == FileType::Directory {
            let folder = beneath::open_dir(&self.dir, name)?;
            for file in beneath::names(&folder)? {
                beneath::unlink(&folder, &file)?;
            }
            beneath::remove_empty_dir(&self.dir, name)?;
        } else {
            beneath::unlink(&self.dir, name)?;
        }
        Ok(beneath::sync(&self.dir)?)
    }

    /// What is in it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn names(&self) -> io::Result<Vec<String>> {
        // Read from a descriptor of its own: the place in a folder is shared by all that were made from one.
        let own =
            rustix::fs::openat(&self.dir, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(beneath::names(own)?)
    }
}

/// One plain name: no folder, no dot at its beginning.
fn plain(name: &str) -> io::Result<()> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '@');
    if (1..=200).contains(&name.len()) && !name.starts_with('.') && name.chars().all(good) {
        Ok(())
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "no plain name"))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn only_what_is_in_the_folder_is_touched() {
        let place = tempfile::tempdir().unwrap();
        let outside = place.path().join("outside");
        std::fs::write(&outside, "stays").unwrap();
        let spool = Spool::open(&place.path().join("spool")).unwrap();
        for name in ["../outside", "/etc/hostname", "..", ".", "", ".hidden", "a/b", "a\0", "ä", &"a".repeat(201)] {
            assert!(
                spool.remove(name).is_err() && spool.put(name, b"x").is_err() && spool.read(name).is_err(),
                "{name:?}"
            );
        }
        symlink(&outside, spool.path().join("link")).unwrap();
        assert!(spool.read("link").is_err());
        spool.put("link", b"new").unwrap();
        assert_eq!(std::fs::read_to_string(&outside).unwrap(), "stays");
        let folder = spool.make_folder("work").unwrap();
        symlink(&outside, folder.join("link")).unwrap();
        std::fs::write(folder.join("report.json"), "{}").unwrap();
        spool.remove("work").unwrap();
        assert!(!folder.exists() && outside.exists());
        symlink(place.path(), spool.path().join("away")).unwrap();
        spool.remove("away").unwrap();
        assert!(outside.exists());
    }

    #[test]
    fn a_file_is_private_whole_and_replaced() {
        let place = tempfile::tempdir().unwrap();
        let spool = Spool::open(&place.path().join("a/b")).unwrap();
        spool.put("x.eml", b"one").unwrap();
        spool.put("x.eml", b"two").unwrap();
        let mut text = String::new();
        let mut file = spool.read("x.eml").unwrap();
        file.read_to_string(&mut text).unwrap();
        assert_eq!((text.as_str(), file.metadata().unwrap().permissions().mode() & 0o777), ("two", 0o600));
        assert_eq!(spool.names().unwrap(), ["x.eml"]);
        assert_eq!(spool.names().unwrap(), ["x.eml"]);
        spool.remove("x.eml").unwrap();
        spool.remove("x.eml").unwrap();
        assert!(spool.names().unwrap().is_empty());
        std::fs::set_permissions(spool.path(), std::fs::Permissions::from_mode(0o750)).unwrap();
        assert!(Spool::open(spool.path()).is_err());
    }
}
