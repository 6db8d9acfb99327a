//! The end of the socket that a command holds.
//!
//! **Invariant.** It holds one line at a time, and no line is longer than [`LONGEST`], however long the daemon talks.

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::Ask;
use super::words::{Answer, Line, Meanwhile, Request, VERSION};
use crate::control::{Exit, Failure};
use crate::names::TenantName;
use crate::stop::Stop;

const LONGEST: usize = 16 * 1024 * 1024;
/// How often it is looked whether the person at the keyboard still waits.
const GLANCE: Duration = Duration::from_millis(200);

/// Asks the daemon.
///
/// # Errors
/// When no daemon answers there.
pub fn ask(path: &Path, ask: Ask) -> Result<Answer, Failure> {
    ask_for(path, None, ask)
}

/// Asks the daemon about a tenant's installation.
///
/// # Errors
/// When no daemon answers there.
pub fn ask_for(path: &Path, tenant: Option<TenantName>, ask: Ask) -> Result<Answer, Failure> {
    let mut answer = None;
    Talk::begin(path, tenant, ask)?.listen(&Stop::new(), |heard| {
        answer = Some(heard);
        Ok(())
    })?;
    match answer {
        Some(Heard::Answer(answer)) => Ok(answer),
        _ => Err(gone(path)),
    }
}

/// What the daemon says.
#[derive(Debug)]
pub enum Heard {
    /// It is at work.
    Meanwhile(Meanwhile),
    /// It has answered; nothing comes after that.
    Answer(Answer),
}

/// A question that was asked.
pub struct Talk<'p> {
    path: &'p Path,
    reader: BufReader<UnixStream>,
}

impl<'p> Talk<'p> {
    /// Asks.
    ///
    /// # Errors
    /// When no daemon answers there.
    pub fn begin(path: &'p Path, tenant: Option<TenantName>, ask: Ask) -> Result<Self, Failure> {
        let silent = |error: std::io::Error| {
            Failure::new(Exit::Unreachable, format!("error: no daemon answers at {}: {error}", path.display()))
        };
        let request = Request { v: VERSION, tenant, ask: serde_json::to_value(ask).unwrap_or_default() };
        let mut stream = UnixStream::connect(path).map_err(silent)?;
        let line = serde_json::to_string(&request).unwrap_or_default() + "\n";
        stream.write_all(line.as_bytes()).map_err(silent)?;
        stream.set_read_timeout(Some(GLANCE)).map_err(silent)?;
        Ok(Self { path, reader: BufReader::new(stream) })
    }

    /// Hears the daemon out, or until nobody waits any more.
    ///
    /// # Errors
    /// When the daemon goes away without an answer, and those of who hears it.
    pub fn listen(mut self, enough: &Stop, mut hear: impl FnMut(Heard) -> Result<(), Failure>) -> Result<(), Failure> {
        let mut line = Vec::new();
        while let Some(whole) = self.line(&mut line, enough)? {
            match serde_json::from_slice(whole).map_err(|_| gone(self.path))? {
                Line::Meanwhile { meanwhile, .. } => hear(Heard::Meanwhile(meanwhile))?,
                Line::Answer(answer) => return hear(Heard::Answer(answer)),
            }
            line.clear();
        }
        Ok(())
    }

    /// The next line; none when nobody waits for it any more.
    fn line<'l>(&mut self, line: &'l mut Vec<u8>, enough: &Stop) -> Result<Option<&'l [u8]>, Failure> {
        loop {
            if enough.is_raised() {
                return Ok(None);
            }
            let room = LONGEST.saturating_sub(line.len());
            // What has come before the time was up stays in the line.
            match self.reader.by_ref().take(room as u64).read_until(b'\n', line) {
                Ok(_) if line.ends_with(b"\n") => return Ok(Some(line)),
                Ok(_) => return Err(gone(self.path)),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => return Err(gone(self.path)),
            }
        }
    }
}

fn gone(path: &Path) -> Failure {
    let text = format!("error: the daemon at {} went away before it had answered", path.display());
    Failure::new(Exit::Unreachable, text)
}
