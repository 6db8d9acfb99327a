//! `retentiond audit export`: the trail as JSON lines.
//!
//! **Invariant.** A file has its name when the whole trail lies in it, and is there with the rights of whoever asked, also
//! where the daemon reads the trail. `tests/work.rs` catches a breach.

use std::fs::File;
use std::io::{BufWriter, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;

use super::super::Cli;
use crate::control::site::{load, open_state};
use crate::control::{Exit, Failure};
use crate::daemon::socket::{Answer, Ask, Heard, Meanwhile, Talk};
use crate::files::{Pending, unnamed};
use crate::stop::Stop;
use crate::trail::export;

#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// Writes it into this file instead of to standard output; one that is there is not overwritten.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Writes it.
pub fn export(cli: &Cli, place: Option<&Path>, args: &ExportArgs) -> Result<Exit, Failure> {
    match (place, &args.out) {
        (None, None) => {
            let memory = open_state(&load(&cli.config)?)?;
            let mut out = std::io::stdout().lock();
            export::write(&mut *memory.conn()?, |line| out.write_all(line.as_bytes()))?;
            Ok(Exit::Done)
        }
        (None, Some(path)) => {
            let memory = open_state(&load(&cli.config)?)?;
            into_file(path, |out| Ok(export::write(&mut *memory.conn()?, |line| out.write_all(line.as_bytes()))?))
        }
        (Some(place), Some(path)) => into_file(path, |out| receive(place, out)),
        (Some(place), None) => {
            // The daemon waits for no one who pages through it: it lies here first.
            let folder = std::env::temp_dir();
            let mut spool = unnamed(&folder).map_err(|error| failed(&folder, &error))?;
            receive(place, &mut BufWriter::new(&mut spool))?;
            spool.rewind().map_err(|error| failed(&folder, &error))?;
            copy(spool).map_err(|error| failed(Path::new("standard output"), &error))?;
            Ok(Exit::Done)
        }
    }
}

/// A new file, whole or not at all.
fn into_file(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&mut File>) -> Result<(), Failure>,
) -> Result<Exit, Failure> {
    let mut pending = Pending::begin(path).map_err(|error| failed(path, &error))?;
    let mut out = BufWriter::new(pending.file());
    write(&mut out)?;
    out.flush().map_err(|error| failed(path, &error))?;
    drop(out);
    Pending::finish(vec![pending]).map_err(|(path, error)| failed(&path, &error))?;
    Ok(Exit::Done)
}

/// Takes the trail from the daemon, part by part.
fn receive(place: &Path, out: &mut BufWriter<&mut File>) -> Result<(), Failure> {
    let mut last: Option<Answer> = None;
    Talk::begin(place, None, Ask::AuditExport)?.listen(&Stop::new(), |heard| {
        match heard {
            Heard::Meanwhile(Meanwhile::Part { text }) => out
                .write_all(text.as_bytes())
                .map_err(|error| Failure::new(Exit::Failed, format!("error: the trail cannot be written: {error}")))?,
            Heard::Meanwhile(_) => {}
            Heard::Answer(answer) => last = Some(answer),
        }
        Ok(())
    })?;
    match last.map(|answer| (Exit::of_code(answer.code), answer.text)) {
        Some((Exit::Done, _)) => out
            .flush()
            .map_err(|error| Failure::new(Exit::Failed, format!("error: the trail cannot be written: {error}"))),
        Some((exit, text)) => Err(Failure::new(exit, text)),
        None => Err(Failure::new(Exit::Unreachable, "error: the daemon has not answered")),
    }
}

fn copy(mut from: File) -> std::io::Result<()> {
    let (mut out, mut buffer) = (std::io::stdout().lock(), vec![0; 64 * 1024]);
    loop {
        match from.read(&mut buffer)? {
            0 => return out.flush(),
            read => out.write_all(buffer.get(..read).unwrap_or_default())?,
        }
    }
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("error: {}: {error}", path.display()))
}
