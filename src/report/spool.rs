//! The records of a report between reading and writing: in a file that no folder names, one line of JSON each.
//!
//! Memory does not grow with their number, every format is written from the very same lines, and what is personal in them
//! goes with the process.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use crate::files::unnamed;

/// Bytes that are written or read at a time.
const BUFFER: usize = 256 * 1024;

/// A spool that is being filled.
pub(super) struct Filling {
    out: BufWriter<File>,
    at: u64,
}

/// Where the records of an entry lie.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stretch {
    from: u64,
    to: u64,
}

impl Filling {
    pub(super) fn new(folder: &Path) -> io::Result<Self> {
        Ok(Self { out: BufWriter::with_capacity(BUFFER, unnamed(folder)?), at: 0 })
    }

    /// The place of what comes next.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    pub(super) fn since(&self, from: u64) -> Stretch {
        Stretch { from, to: self.at }
    }

    /// Adds one line; it holds no line break of its own.
    pub(super) fn line(&mut self, line: &str) -> io::Result<()> {
        self.out.write_all(line.as_bytes())?;
        self.out.write_all(b"\n")?;
        self.at += line.len() as u64 + 1;
        Ok(())
    }

    pub(super) fn done(self) -> io::Result<Spool> {
        Ok(Spool(Arc::new(self.out.into_inner().map_err(io::IntoInnerError::into_error)?)))
    }
}

/// A spool that is full.
#[derive(Clone)]
pub(super) struct Spool(Arc<File>);

impl Spool {
    /// The lines of a stretch, one after the other.
    pub(super) fn lines(&self, stretch: Stretch) -> Lines {
        let part = Part { file: Arc::clone(&self.0), at: stretch.from, to: stretch.to };
        Lines { from: BufReader::with_capacity(BUFFER, part) }
    }
}

/// A part of the file, read at its own place.
struct Part {
    file: Arc<File>,
    at: u64,
    to: u64,
}

impl Read for Part {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.to.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let most = into.len().min(left);
        let count = self.file.read_at(&mut into[..most], self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

/// The lines of a stretch.
pub(super) struct Lines {
    from: BufReader<Part>,
}

impl Lines {
    /// The next line, without its end, in `into`; whether there was one.
    pub(super) fn next_into(&mut self, into: &mut String) -> io::Result<bool> {
        into.clear();
        let count = self.from.read_line(into)?;
        if into.ends_with('\n') {
            into.pop();
        }
        Ok(count > 0)
    }
}
