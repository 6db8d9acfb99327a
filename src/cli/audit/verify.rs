//! `retentiond audit verify`: the proof, or where it fails.

use std::path::PathBuf;

use clap::Args;

use super::super::{Cli, Format};
use crate::control::site::{load, open_state};
use crate::control::{Exit, Failure, auditing};
use crate::plan::grouped;
use crate::trail::note::{VerifierKey, find_note};
use crate::trail::{Known, Proof, Verdict, export};

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// A checkpoint that was kept elsewhere, as it was mailed; may be said several times. Those in the store that [trail]
    /// names are taken without being named.
    #[arg(long, value_name = "CHECKPOINT", num_args = 1..)]
    known: Vec<PathBuf>,
    /// Verifies this exported trail instead of the state's own; needs no policy.
    #[arg(long, value_name = "FILE")]
    export: Option<PathBuf>,
    /// The key whose signatures count, as it was first mailed; without it, the keys that the trail itself names.
    #[arg(long, value_name = "KEY", requires = "export")]
    key: Option<String>,
}

/// Verifies it.
pub fn verify(cli: &Cli, args: &VerifyArgs) -> Result<Exit, Failure> {
    let usage = |text: String| Failure::new(Exit::Usage, text);
    let mut known = Vec::new();
    for path in &args.known {
        let text =
            std::fs::read_to_string(path).map_err(|error| usage(format!("error: {}: {error}", path.display())))?;
        known.push(Known { label: path.display().to_string(), note: find_note(&text) });
    }
    let proof = match &args.export {
        Some(path) => {
            let text = std::fs::read(path).map_err(|error| usage(format!("error: {}: {error}", path.display())))?;
            let key = args.key.as_deref().map(|key| {
                VerifierKey::parse(key).ok_or_else(|| usage("error: --key is no verifier key (NAME+ID+KEY)".to_owned()))
            });
            export::verify_text(&text, &known, &Vec::from_iter(key.transpose()?))
        }
        None => {
            let loaded = load(&cli.config)?;
            let kept = auditing::kept(&loaded.document)
                .map_err(|error| Failure::new(Exit::Unreachable, format!("error: the checkpoints' store: {error}")))?;
            known.extend(kept.into_iter().map(|(label, note)| Known { label, note }));
            let memory = open_state(&loaded)?;
            export::verify_state(&mut *memory.conn()?, &known)?
        }
    };
    let proof = proof.map_err(|(label, error)| usage(format!("error: {label}: {error}")))?;
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
        "checkpoints": proof.checkpoints,
        "runs": proof.runs,
        "open_runs": proof.open_runs,
        "findings": proof.findings.iter().map(finding).collect::<Vec<_>>(),
        "more_findings": proof.more,
    })
}

fn text(proof: &Proof) {
    let size = grouped(proof.size);
    match (proof.verdict(), proof.anchored) {
        (Verdict::Tampered, _) => {
            say!("TAMPERED: the trail {} is not what it was", proof.origin);
            for finding in &proof.findings {
                match finding.record {
                    Some(record) => say!("  record {record}: {}", finding.what),
                    None => say!("  {}", finding.what),
                }
            }
            if proof.more > 0 {
                say!("  and {} more", grouped(proof.more));
            }
        }
        (_, Some(anchored)) => say!(
            "proved: {size} records of {}; a checkpoint kept elsewhere vouches for the first {}, this host alone for the rest",
            proof.origin,
            grouped(anchored)
        ),
        (_, None) => say!(
            "unanchored: {size} records of {} fit together, but no checkpoint that was kept elsewhere vouches for them; --known FILE names one",
            proof.origin
        ),
    }
    let open = match proof.open_runs.len() {
        0 => String::new(),
        open => format!(", {open} without an end yet"),
    };
    say!(
        "  {} runs, each with one end and the sum of its batches{open}; {} checkpoints of its own",
        grouped(proof.runs),
        proof.checkpoints
    );
    if proof.pruned > 0 {
        say!("  records below {} have expired; their hashes are there", grouped(proof.pruned));
    }
}
