//! The records of a report between reading and writing: in a file that no folder names, one line of JSON each.
//!
//! Memory does not grow with their number, every format is written from the very same lines, and what is personal in them
//! goes with the process. A line ends with the comma that JSON has between the elements of a list, so that a stretch of the
//! file is such a list and is copied, not taken apart, where all of it is wanted.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use crate::files::unnamed;

/// Bytes that are written or read at a time.
const BUFFER: usize = 256 * 1024;

/// What stands between records, and after the last one.
const BETWEEN: &str = ",\n";

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
        self.out.write_all(BETWEEN.as_bytes())?;
        self.at += (line.len() + BETWEEN.len()) as u64;
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
        Lines { from: BufReader::with_capacity(BUFFER, self.part(stretch)) }
    }

    /// Writes all records of a stretch, as the elements of a list of JSON.
    pub(super) fn copy(&self, stretch: Stretch, out: &mut dyn Write) -> io::Result<()> {
        let last = stretch.to.saturating_sub(BETWEEN.len() as u64).max(stretch.from);
        let mut part = self.part(Stretch { to: last, ..stretch });
        let mut buffer = vec![0; BUFFER];
        while part.at < last {
            match part.read(&mut buffer)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => out.write_all(&buffer[..count])?,
            }
        }
        Ok(())
    }

    fn part(&self, stretch: Stretch) -> Part {
        Part { file: Arc::clone(&self.0), at: stretch.from, to: stretch.to }
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
        if into.ends_with(BETWEEN) {
            into.truncate(into.len() - BETWEEN.len());
        }
        Ok(count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_are_lists_and_lines() {
        let mut filling = Filling::new(&std::env::temp_dir()).unwrap();
        let mut stretches = Vec::new();
        // The second one is longer than what is read at a time.
        for records in [0, 40_000, 1, 0, 3] {
            let from = filling.at();
            (0..records).for_each(|number| filling.line(&format!(r#"{{"a":"{number} ,ä"}}"#)).unwrap());
            stretches.push((records, filling.since(from)));
        }
        let spool = filling.done().unwrap();
        for (records, stretch) in stretches {
            let mut list = b"[".to_vec();
            spool.copy(stretch, &mut list).unwrap();
            list.push(b']');
            let list: Vec<serde_json::Value> = serde_json::from_slice(&list).unwrap();
            assert_eq!(list.len(), records);
            let (mut lines, mut line) = (spool.lines(stretch), String::new());
            for one in list {
                assert!(lines.next_into(&mut line).unwrap());
                assert_eq!(serde_json::from_str::<serde_json::Value>(&line).unwrap(), one);
            }
            assert!(!lines.next_into(&mut line).unwrap());
        }
    }
}
