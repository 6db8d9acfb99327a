//! `retentiond audit verify`: the proof, or where it fails.

use std::path::PathBuf;

use chrono::{DateTime, SecondsFormat, Utc};
use clap::Args;

use super::super::{Cli, Format};
use super::plain;
use crate::clock::Clock;
use crate::control::site::{load, open_state};
use crate::control::{Exit, Failure, auditing};
use crate::plan::grouped;
use crate::trail::note::{VerifierKey, find_note};
use crate::trail::{Known, Proof, Verdict, export};

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// A checkpoint that was kept elsewhere, alone or in the mail as it was saved; may be said several times. Those in the store that [trail]
    /// names are taken without being named.
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
pub fn verify(cli: &Cli, args: &VerifyArgs) -> Result<Exit, Failure> {
    let usage = |text: String| Failure::new(Exit::Usage, text);
    let mut known = Vec::new();
    for path in &args.known {
        let text = std::fs::read(path).map_err(|error| usage(format!("error: {}: {error}", path.display())))?;
        known.push(Known { label: path.display().to_string(), note: find_note(&text) });
    }
    let key = |key: &String| {
        VerifierKey::parse(key).ok_or_else(|| usage("error: --key is no verifier key (NAME+ID+KEY)".to_owned()))
    };
    let keys: Vec<VerifierKey> = args.keys.iter().map(key).collect::<Result<_, _>>()?;
    let now = Clock::system().now();
    let proof = match &args.export {
        Some(path) => {
            let text = std::fs::read(path).map_err(|error| usage(format!("error: {}: {error}", path.display())))?;
            export::verify_text(&text, &known, &keys, now)
        }
        None => {
            let loaded = load(&cli.config)?;
            let kept = auditing::kept(&loaded.document)
                .map_err(|error| Failure::new(Exit::Unreachable, format!("error: the checkpoints' store: {error}")))?;
            known.extend(kept.into_iter().map(|(label, note)| Known { label, note }));
            let memory = open_state(&loaded)?;
            export::verify_state(&mut *memory.conn()?, &known, &keys, now)?
        }
    };
    let proof = proof.map_err(|(label, error)| usage(plain(&format!("error: {label}: {error}"))))?;
    match cli.format {
        Format::Json => say!("{}", json(&proof)),
        Format::Text => text(&proof),
    }
    Ok(match proof.verdict() {
        Verdict::Proved => Exit::Done,
        Verdict::Tampered => Exit::Failed,
        Verdict::Unanchored => Exit::Braked,
    })
}

fn json(proof: &Proof) -> serde_json::Value {
    let finding =
        |finding: &crate::trail::Finding| serde_json::json!({ "record": finding.record, "what": finding.what });
    serde_json::json!({
        "verdict": proof.verdict().as_str(),
        "trail": proof.origin,
        "records": proof.size,
        "proved_below": proof.anchored,
        "pruned_below": proof.pruned,
        "pruned_before": proof.pruning.map(|pruning| instant(pruning.before)),
        "pruning_proved": proof.pruning.map(|_| proof.pruning_is_proved()),
        "checkpoints_of_other_keys": proof.strangers,
        "checkpoints": proof.checkpoints,
        "runs": proof.runs,
        "open_runs": proof.open_runs,
        "findings": proof.findings.iter().map(finding).collect::<Vec<_>>(),
        "more_findings": proof.more,
    })
}

fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn text(proof: &Proof) {
    let (size, name) = (grouped(proof.size), plain(&proof.origin));
    match (proof.verdict(), proof.anchored) {
        (Verdict::Tampered, _) => {
            say!("TAMPERED: the trail {name} is not what it was");
            for finding in &proof.findings {
                match finding.record {
                    Some(record) => say!("  record {record}: {}", plain(&finding.what)),
                    None => say!("  {}", plain(&finding.what)),
                }
            }
            if proof.more > 0 {
                say!("  and {} more", grouped(proof.more));
            }
        }
        (_, Some(anchored)) => say!(
            "proved: {size} records of {name}; a checkpoint kept elsewhere vouches for the first {}, this host alone for the rest",
            grouped(anchored)
        ),
        (_, None) => say!(
            "unanchored: {size} records of {name} fit together, but no checkpoint that was kept elsewhere vouches for them; --known FILE names one"
        ),
    }
    details(proof);
}

fn details(proof: &Proof) {
    let open = match proof.open_runs.len() {
        0 => String::new(),
        open => format!(", {open} without an end yet"),
    };
    let each = if proof.verdict() == Verdict::Tampered { "" } else { ", each with one end and the sum of its batches" };
    say!("  {} runs{each}{open}; {} checkpoints of its own", grouped(proof.runs), proof.checkpoints);
    if proof.strangers > 0 {
        say!("  {} of them are signed with a key of the trail that no --key names", proof.strangers);
    }
    let Some(pruning) = proof.pruning else { return };
    say!(
        "  records below {} have expired, all of them older than {}; their hashes are there",
        grouped(proof.pruned),
        instant(pruning.before)
    );
    if !proof.pruning_is_proved() {
        say!(
            "  that they expired is record {}, which no known checkpoint is about: this host alone vouches for it",
            pruning.record
        );
    }
}
