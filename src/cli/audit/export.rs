//! `retentiond audit export`: the trail as JSON lines.

use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;

use super::super::Cli;
use crate::control::site::{load, open_state};
use crate::control::{Exit, Failure};
use crate::trail::export;

#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// Writes it into this file instead of to standard output; one that is there is not overwritten.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Writes it.
pub fn export(cli: &Cli, args: &ExportArgs) -> Result<Exit, Failure> {
    let memory = open_state(&load(&cli.config)?)?;
    let mut conn = memory.conn()?;
    let Some(path) = &args.out else {
        let mut out = std::io::stdout().lock();
        export::write(&mut conn, |line| out.write_all(line.as_bytes()))?;
        return Ok(Exit::Done);
    };
    let failed = |error: std::io::Error| Failure::new(Exit::Failed, format!("error: {}: {error}", path.display()));
    let mut file = std::io::BufWriter::new(std::fs::File::create_new(path).map_err(failed)?);
    export::write(&mut conn, |line| file.write_all(line.as_bytes()))?;
    file.into_inner().map_err(|error| failed(error.into_error()))?.sync_all().map_err(failed)?;
    Ok(Exit::Done)
}
