//! `retentiond audit verify`: the proof, or where it fails.

use std::path::{Path, PathBuf};

use clap::Args;

use super::super::{Cli, Format, remote};
use crate::clock::Clock;
use crate::control::site::{load, open_state};
use crate::control::{Exit, Failure, auditing, auditor};
use crate::daemon::socket::{self, Ask};
use crate::trail::note::find_note;
use crate::trail::{Known, export};

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// A checkpoint that was kept elsewhere, alone or in the mail as it was saved; may be said several times. Those in the
    /// store that [trail] names are taken without being named.
    #[arg(long, value_name = "CHECKPOINT", num_args = 1..)]
    known: Vec<PathBuf>,
    /// Verifies this exported trail instead of the state's own; needs no policy.
    #[arg(long, value_name = "FILE")]
    export: Option<PathBuf>,
    /// The key whose signatures count, as it was first mailed; without it, the keys that the trail itself names. Where the
    /// key was changed since, both are said.
    #[arg(long = "key", value_name = "KEY", num_args = 1..)]
    keys: Vec<String>,
}

/// Verifies it.
pub fn verify(cli: &Cli, place: Option<&Path>, args: &VerifyArgs) -> Result<Exit, Failure> {
    let usage = |text: String| Failure::new(Exit::Usage, text);
    let read =
        |path: &PathBuf| std::fs::read(path).map_err(|error| usage(format!("error: {}: {error}", path.display())));
    let mut known = Vec::new();
    for path in &args.known {
        known.push(Known { label: path.display().to_string(), note: find_note(&read(path)?) });
    }
    let proof = match (&args.export, place) {
        (Some(path), _) => {
            let keys = auditor::keys(&args.keys)?;
            export::verify_text(&read(path)?, &known, &keys, Clock::system().now()).map_err(auditing::no_checkpoint)?
        }
        (None, Some(place)) => return ask(cli, place, Ask::AuditVerify { known, keys: args.keys.clone() }),
        (None, None) => {
            let loaded = load(&cli.config)?;
            let memory = open_state(&loaded)?;
            auditing::prove(&loaded.document, &memory, known, &auditor::keys(&args.keys)?, Clock::system())?
        }
    };
    match cli.format {
        Format::Json => say!("{}", auditor::to_json(&proof)),
        Format::Text => say!("{}", auditor::to_text(&proof)),
    }
    Ok(auditor::exit(&proof))
}

/// The daemon verifies it, and says how that ended.
fn ask(cli: &Cli, place: &Path, what: Ask) -> Result<Exit, Failure> {
    let answer = socket::ask_for(place, cli.tenant.clone(), what)?;
    let exit = Exit::of_code(answer.code);
    match &answer.json {
        Some(json) => remote::print(cli, &answer.text, Some(json)),
        None => return Err(Failure::new(exit, answer.text)),
    }
    Ok(exit)
}
