//! Files that no folder names: what is written into one goes with the process, however that ends; or it gets its name when
//! it is whole.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags};

/// Makes one on the file system of `folder`.
///
/// # Errors
/// When the folder cannot be written to.
pub fn unnamed(folder: &Path) -> io::Result<File> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    match rustix::fs::open(folder, flags, Mode::RUSR | Mode::WUSR) {
        Ok(file) => Ok(file.into()),
        // Some file systems make no file without a name: there it has one for a moment.
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::ISDIR | rustix::io::Errno::INVAL) => {
            named_at_first(folder)
        }
        Err(error) => Err(error.into()),
    }
}

/// A file that a folder names only when it is whole. Dropped before, it leaves nothing behind.
#[derive(Debug)]
pub struct Pending {
    file: File,
    path: PathBuf,
    /// Whether the folder names it: on some file systems from its beginning.
    named: bool,
}

impl Pending {
    /// Begins a file that is to have this path; one that is there already is not touched.
    ///
    /// # Errors
    /// When the path is taken, or its folder cannot be written to.
    pub fn begin(path: &Path) -> io::Result<Self> {
        if path.symlink_metadata().is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        match rustix::fs::open(folder, flags, Mode::RUSR | Mode::WUSR) {
            Ok(file) => Ok(Self { file: file.into(), path: path.to_owned(), named: false }),
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::ISDIR | rustix::io::Errno::INVAL) => {
                Self::named(path)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// For a file system that makes no file without a name.
    fn named(path: &Path) -> io::Result<Self> {
        let file = File::options().read(true).write(true).create_new(true).mode(0o600).open(path)?;
        Ok(Self { file, path: path.to_owned(), named: true })
    }

    /// What is written into.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// All files are whole: they get their names. When one of them cannot, none has its name.
    ///
    /// # Errors
    /// When a path was taken meanwhile, or the disk fails: with that path.
    pub fn finish(all: Vec<Self>) -> Result<(), (PathBuf, io::Error)> {
        // Nothing is named before everything lies on the disk.
        for one in &all {
            one.file.sync_all().map_err(|error| (one.path.clone(), error))?;
        }
        let mut done = Vec::new();
        for mut one in all {
            one.give_name().map_err(|error| (one.path.clone(), error))?;
            done.push(one);
        }
        done.iter_mut().for_each(|one| one.named = false);
        Ok(())
    }

    fn give_name(&mut self) -> io::Result<()> {
        if !self.named {
            let own = format!("/proc/self/fd/{}", self.file.as_raw_fd());
            rustix::fs::linkat(rustix::fs::CWD, own, rustix::fs::CWD, &self.path, AtFlags::SYMLINK_FOLLOW)?;
            self.named = true;
        }
        Ok(())
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if self.named {
            // Nobody else has made this name; a file that cannot be removed is one more that is not whole.
            #[expect(clippy::disallowed_methods, reason = "the name is this value's own")]
            drop(std::fs::remove_file(&self.path));
        }
    }
}

fn named_at_first(folder: &Path) -> io::Result<File> {
    let path = folder.join(format!(".retentiond-{}", uuid::Uuid::now_v7()));
    let file = File::options().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    #[expect(clippy::disallowed_methods, reason = "the name is new and this function's own")]
    std::fs::remove_file(&path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Seek as _, Write as _};

    use super::*;

    #[test]
    fn nobody_else_sees_it() {
        let folder = tempfile::tempdir().unwrap();
        for make in [unnamed, named_at_first] {
            let mut file = make(folder.path()).unwrap();
            file.write_all(b"secret").unwrap();
            file.rewind().unwrap();
            let mut text = String::new();
            file.read_to_string(&mut text).unwrap();
            assert_eq!(text, "secret");
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        }
    }

    #[test]
    fn a_file_has_its_name_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        let mut pending = Pending::begin(&path).unwrap();
        pending.file().write_all(b"half").unwrap();
        drop(pending);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let (mut first, second) = (Pending::begin(&path).unwrap(), Pending::begin(&path).unwrap());
        first.file().write_all(b"whole").unwrap();
        Pending::finish(vec![first]).unwrap();
        let (taken, error) = Pending::finish(vec![second]).unwrap_err();
        assert_eq!((taken, error.kind()), (path.clone(), io::ErrorKind::AlreadyExists));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "whole");
        assert!(Pending::begin(&path).is_err());
        let mode = std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }
    #[test]
    fn several_files_have_their_names_or_none_has() {
        for begin in [Pending::begin, Pending::named] {
            let folder = tempfile::tempdir().unwrap();
            let paths = ["a", "b", "c"].map(|name| folder.path().join(name));
            let names = || std::fs::read_dir(folder.path()).unwrap().count();
            drop(paths.iter().map(|path| begin(path).unwrap()).collect::<Vec<_>>());
            assert_eq!(names(), 0);
            let all = vec![begin(&paths[0]).unwrap(), Pending::begin(&paths[1]).unwrap(), begin(&paths[2]).unwrap()];
            std::fs::write(&paths[1], "somebody else's").unwrap();
            assert_eq!(Pending::finish(all).unwrap_err().0, paths[1]);
            assert_eq!(names(), 1);
            assert_eq!(std::fs::read_to_string(&paths[1]).unwrap(), "somebody else's");
            Pending::finish(vec![begin(&paths[0]).unwrap(), begin(&paths[2]).unwrap()]).unwrap();
            assert_eq!(names(), 3);
        }
    }
}
