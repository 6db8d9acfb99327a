//! The system calls of this module, each beneath a directory that is already open.
//!
//! Names are resolved by `openat2` with BENEATH, NO_SYMLINKS, NO_XDEV and NO_MAGICLINKS only. Each call that changes
//! something is a step: the tests kill the process, or let the call fail, at each of them in turn.

use std::fs::File;
use std::io::{Read as _, Write as _};

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, RenameFlags, ResolveFlags, Stat};
use rustix::io::{Errno, Result};

const RESOLVE: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_XDEV)
    .union(ResolveFlags::NO_MAGICLINKS);
/// The kernel asks for another try when a rename elsewhere crosses the resolution.
const TRIES: usize = 64;

/// What tells one file from all others while it exists.
pub(super) type FileId = (u64, u64);

pub(super) fn id(stat: &Stat) -> FileId {
    (stat.st_dev, stat.st_ino)
}

pub(super) fn file_type(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

fn resolve(at: BorrowedFd<'_>, path: &str, flags: OFlags, mode: Mode) -> Result<OwnedFd> {
    let mut last = Errno::AGAIN;
    for _ in 0..TRIES {
        match fs::openat2(at, path, flags | OFlags::CLOEXEC, mode, RESOLVE) {
            Err(errno @ (Errno::AGAIN | Errno::INTR)) => last = errno,
            done => return done,
        }
    }
    Err(last)
}

/// Opens a directory for reading and `fsync`.
pub(super) fn open_dir(at: impl AsFd, path: &str) -> Result<OwnedFd> {
    resolve(at.as_fd(), path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())
}

/// The facts of whatever the path names, a link included; `None` where there is nothing.
pub(super) fn look(at: impl AsFd, path: &str) -> Result<Option<Stat>> {
    match resolve(at.as_fd(), path, OFlags::PATH | OFlags::NOFOLLOW, Mode::empty()) {
        Ok(fd) => fs::fstat(fd).map(Some),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// The content of a regular file; `None` where there is none.
pub(super) fn read(at: impl AsFd, name: &str) -> Result<Option<Vec<u8>>> {
    let Some(mut file) = open_file(at, name)? else { return Ok(None) };
    let mut content = Vec::new();
    file.read_to_end(&mut content).map_err(errno_of)?;
    Ok(Some(content))
}

/// A new file, for writing; one that is there already stays, and EEXIST is reported.
pub(super) fn create(dir: impl AsFd, name: &str, mode: Mode) -> Result<File> {
    step("create")?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
    resolve(dir.as_fd(), name, flags, mode).map(File::from)
}

/// A regular file, for reading; `None` where there is none.
pub(super) fn open_file(at: impl AsFd, name: &str) -> Result<Option<File>> {
    // NONBLOCK, so that a FIFO put in the file's place cannot hold us up.
    let fd = match resolve(at.as_fd(), name, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(None),
        other => other?,
    };
    if file_type(&fs::fstat(&fd)?) != FileType::RegularFile {
        return Err(Errno::NOTDIR);
    }
    Ok(Some(File::from(fd)))
}

/// Writes a file so that after a crash it is either whole or absent: temporary name, `fsync`, rename, `fsync`.
///
/// An existing file of that name stays, and EEXIST is reported.
pub(super) fn write_durably(dir: impl AsFd, name: &str, content: &[u8], mode: Mode) -> Result<()> {
    let temporary = temporary(name);
    step("create")?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW;
    let mut file = File::from(resolve(dir.as_fd(), &temporary, flags, mode)?);
    step("write")?;
    file.write_all(content).map_err(errno_of)?;
    step("sync file")?;
    fs::fsync(&file)?;
    rename(&dir, &temporary, &dir, name)?;
    sync(dir)
}

pub(super) fn temporary(name: &str) -> String {
    format!("{name}.tmp")
}

/// Renames; what is already at the new name stays, and EEXIST is reported.
pub(super) fn rename(from: impl AsFd, name: &str, to: impl AsFd, new_name: &str) -> Result<()> {
    step("rename")?;
    fs::renameat_with(from, name, to, new_name, RenameFlags::NOREPLACE)
}

pub(super) fn make_dir(at: impl AsFd, name: &str, mode: Mode) -> Result<()> {
    step("mkdir")?;
    fs::mkdirat(at, name, mode)
}

/// Makes a directory durable.
pub(super) fn sync(dir: impl AsFd) -> Result<()> {
    step("sync dir")?;
    fs::fsync(dir)
}

/// Unlinks one name that is not a directory; whether there was one.
pub(super) fn unlink(at: impl AsFd, name: &str) -> Result<bool> {
    step("unlink")?;
    match fs::unlinkat(at, name, AtFlags::empty()) {
        Err(Errno::NOENT) => Ok(false),
        other => other.map(|()| true),
    }
}

/// Removes a directory that is empty.
pub(super) fn remove_empty_dir(at: impl AsFd, name: &str) -> Result<()> {
    step("rmdir")?;
    fs::unlinkat(at, name, AtFlags::REMOVEDIR)
}

/// The names in a directory, in order.
pub(super) fn names(dir: impl AsFd) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::Dir::read_from(dir)? {
        // A name that is not UTF-8 is not one of ours.
        if let Ok(name) = entry?.file_name().to_str()
            && name != "."
            && name != ".."
        {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn errno_of(error: std::io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}

#[cfg(not(test))]
fn step(_: &'static str) -> Result<()> {
    Ok(())
}

#[cfg(test)]
fn step(name: &'static str) -> Result<()> {
    steps::take(name)
}

/// Where the tests break in: a count of the steps of this thread, and what happens at one of them.
#[cfg(test)]
pub(super) mod steps {
    use std::cell::RefCell;

    use rustix::io::Errno;

    /// What happens at a step.
    #[derive(Clone, Copy)]
    pub(in crate::files) enum Fault {
        /// The process dies: nothing runs any more, and what was open is closed.
        Kill,
        /// This one call fails.
        Once(Errno),
        /// This call and all that follow fail.
        FromNowOn(Errno),
        /// Somebody else gets in just before this call.
        Meddle(&'static dyn Fn()),
    }

    /// The payload of the panic that stands for SIGKILL.
    pub(in crate::files) struct Killed;

    #[derive(Default)]
    struct State {
        log: Vec<&'static str>,
        fault: Option<(usize, Fault)>,
    }

    thread_local!(static STATE: RefCell<State> = RefCell::default());

    pub(super) fn take(name: &'static str) -> rustix::io::Result<()> {
        let fault = STATE.with_borrow_mut(|state| {
            state.log.push(name);
            let number = state.log.len();
            state.fault.filter(|(at, fault)| match fault {
                Fault::FromNowOn(_) => number >= *at,
                _ => number == *at,
            })
        });
        match fault {
            None => Ok(()),
            Some((_, Fault::Meddle(meddle))) => {
                meddle();
                Ok(())
            }
            Some((_, Fault::Kill)) => std::panic::resume_unwind(Box::new(Killed)),
            Some((_, Fault::Once(errno) | Fault::FromNowOn(errno))) => Err(errno),
        }
    }

    /// Runs `work` with a fault at its n-th step (from 1); `None` when it was killed. Also says which steps were taken.
    pub(in crate::files) fn with<T>(
        fault: Option<(usize, Fault)>,
        work: impl FnOnce() -> T,
    ) -> (Option<T>, Vec<&'static str>) {
        STATE.with_borrow_mut(|state| *state = State { log: Vec::new(), fault });
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        let state = STATE.take();
        match done {
            Ok(value) => (Some(value), state.log),
            Err(payload) if payload.is::<Killed>() => (None, state.log),
            Err(payload) => std::panic::resume_unwind(payload),
        }
    }
}
