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

/// A file that a folder names only when it is whole.
pub struct Pending {
    file: File,
    /// Its name to be, unless it has it already.
    path: Option<PathBuf>,
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
            Ok(file) => Ok(Self { file: file.into(), path: Some(path.to_owned()) }),
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::ISDIR | rustix::io::Errno::INVAL) => {
                let file = File::options().read(true).write(true).create_new(true).mode(0o600).open(path)?;
                Ok(Self { file, path: None })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What is written into.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// The file is whole: it gets its name.
    ///
    /// # Errors
    /// When the path was taken meanwhile, or the disk fails.
    pub fn finish(self) -> io::Result<()> {
        self.file.sync_all()?;
        let Some(path) = self.path else { return Ok(()) };
        let own = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        rustix::fs::linkat(rustix::fs::CWD, own, rustix::fs::CWD, path, AtFlags::SYMLINK_FOLLOW)?;
        Ok(())
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
        first.finish().unwrap();
        assert_eq!(second.finish().unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "whole");
        assert!(Pending::begin(&path).is_err());
        let mode = std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }
}
