//! What an auditor asks: the trail's records, read as a log, and its proof, as people and as programs read them.
//!
//! **Invariant.** Nothing is changed here, and nothing of a trail that was tampered with is printed as it stands: a
//! terminal obeys what it is given.

use std::collections::VecDeque;

use chrono::{DateTime, SecondsFormat, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::failure::{Exit, Failure};
use crate::names::JobName;
use crate::plan::grouped;
use crate::store::Conn;
use crate::trail::export::each_row;
use crate::trail::note::VerifierKey;
use crate::trail::{Finding, Proof, TrailError, Verdict};

/// Which records are wanted.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// About this job.
    pub job: Option<JobName>,
    /// Of this run.
    pub run: Option<String>,
    /// Of this type, or of a family of types.
    pub kind: Option<String>,
    /// From this instant on.
    pub since: Option<DateTime<Utc>>,
    /// Before this one.
    pub until: Option<DateTime<Utc>>,
    /// Only the last so many; 0: all.
    pub limit: usize,
}

impl Filter {
    fn wants(&self, record: &Value) -> bool {
        let text = |name: &str| record[name].as_str().unwrap_or_default();
        let at = DateTime::parse_from_rfc3339(text("t")).ok().map(|at| at.to_utc());
        let kind = |wanted: &String| {
            text("type").strip_prefix(wanted.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.job.as_ref().is_none_or(|job| job.as_str() == text("job"))
            && self.run.as_ref().is_none_or(|run| run == text("run"))
            && self.kind.as_ref().is_none_or(kind)
            && self.since.is_none_or(|since| at.is_some_and(|at| at >= since))
            && self.until.is_none_or(|until| at.is_some_and(|at| at < until))
    }
}

/// The records that are wanted, oldest first.
///
/// # Errors
/// When the state cannot be read.
pub fn records(conn: &mut Conn, filter: &Filter) -> Result<VecDeque<Value>, TrailError> {
    let mut found: VecDeque<Value> = VecDeque::new();
    each_row(conn, |row| {
        // What cannot be read is `audit verify`'s to complain about.
        let record = row.record.as_ref().and_then(|record| serde_json::from_str::<Value>(&record.body).ok());
        if let Some(record) = record.filter(|record| filter.wants(record)) {
            if filter.limit > 0 && found.len() == filter.limit {
                found.pop_front();
            }
            found.push_back(record);
        }
        Ok(())
    })?;
    Ok(found)
}

/// Records as lines of a log.
pub fn log(records: &VecDeque<Value>, zone: Tz) -> String {
    if records.is_empty() {
        return "no such records".to_owned();
    }
    records.iter().map(|record| line(record, zone)).collect::<Vec<_>>().join("\n")
}

/// One record on one line: number, instant, who, what, and the details.
fn line(record: &Value, zone: Tz) -> String {
    let text = |name: &str| record[name].as_str().map(plain).unwrap_or_default();
    let at = DateTime::parse_from_rfc3339(&text("t")).ok();
    let at = at.map(|at| at.with_timezone(&zone).to_rfc3339_opts(SecondsFormat::Secs, true)).unwrap_or_default();
    let actor = &record["actor"];
    let who = format!("{}:{}", actor["role"].as_str().map(plain).unwrap_or_default(), detail(&actor["uid"]));
    let mut parts = vec![format!("{:>6}  {at}  {who:<16} {:<16}", detail(&record["seq"]), text("type"))];
    for name in ["job", "plan", "run"].into_iter().filter(|name| record.get(name).is_some()) {
        parts.push(format!("{name}={}", text(name)));
    }
    if let Some(details) = record["d"].as_object() {
        parts.extend(details.iter().map(|(name, value)| format!("{}={}", plain(name), detail(value))));
    }
    parts.join(" ")
}

fn detail(value: &Value) -> String {
    match value {
        Value::String(text) => plain(text),
        Value::Array(items) => format!("[{}]", items.iter().map(detail).collect::<Vec<_>>().join(", ")),
        Value::Object(items) => {
            items.iter().map(|(name, value)| format!("{}={}", plain(name), detail(value))).collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}

/// A text without what a terminal obeys, and without what turns the direction of writing, so that one name looks like
/// another.
pub fn plain(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|c| if c.is_control() || turns(c) { '\u{fffd}' } else { c }).collect()
}

/// The keys that somebody names.
///
/// # Errors
/// When one is none.
pub fn keys(texts: &[String]) -> Result<Vec<VerifierKey>, Failure> {
    let none = || Failure::new(Exit::Usage, "error: --key is no verifier key (NAME+ID+KEY)");
    texts.iter().map(|key| VerifierKey::parse(key).ok_or_else(none)).collect()
}

/// How a verification ends.
pub fn exit(proof: &Proof) -> Exit {
    match proof.verdict() {
        Verdict::Proved => Exit::Done,
        Verdict::Tampered => Exit::Failed,
        Verdict::Unanchored => Exit::Braked,
    }
}

/// A proof for programs.
pub fn to_json(proof: &Proof) -> Value {
    let finding = |finding: &Finding| json!({ "record": finding.record, "what": finding.what });
    json!({
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

/// A proof for people.
pub fn to_text(proof: &Proof) -> String {
    let (size, name) = (grouped(proof.size), plain(&proof.origin));
    let mut text = match (proof.verdict(), proof.anchored) {
        (Verdict::Tampered, _) => {
            let found = |finding: &Finding| match finding.record {
                Some(record) => format!("\n  record {record}: {}", plain(&finding.what)),
                None => format!("\n  {}", plain(&finding.what)),
            };
            let found: String = proof.findings.iter().map(found).collect();
            let more = if proof.more > 0 { format!("\n  and {} more", grouped(proof.more)) } else { String::new() };
            format!("TAMPERED: the trail {name} is not what it was{found}{more}")
        }
        (_, Some(anchored)) => format!(
            "proved: {size} records of {name}; a checkpoint kept elsewhere vouches for the first {}, this host alone for the rest",
            grouped(anchored)
        ),
        (_, None) => format!(
            "unanchored: {size} records of {name} fit together, but no checkpoint that was kept elsewhere vouches for them; --known FILE names one"
        ),
    };
    details(proof, &mut text);
    text
}

fn details(proof: &Proof, text: &mut String) {
    let open = match proof.open_runs.len() {
        0 => String::new(),
        open => format!(", {open} without an end yet"),
    };
    let each = if proof.verdict() == Verdict::Tampered { "" } else { ", each with one end and the sum of its batches" };
    let own = proof.checkpoints;
    let mut say = |line: String| text.push_str(&format!("\n  {line}"));
    say(format!("{} runs{each}{open}; {own} checkpoints of its own", grouped(proof.runs)));
    if proof.strangers > 0 {
        say(format!("{} of them are signed with a key of the trail that no --key names", proof.strangers));
    }
    let Some(pruning) = proof.pruning else { return };
    say(format!(
        "records below {} have expired, all of them older than {}; their hashes are there",
        grouped(proof.pruned),
        instant(pruning.before)
    ));
    if !proof.pruning_is_proved() {
        say(format!(
            "that they expired is record {}, which no known checkpoint is about: this host alone vouches for it",
            pruning.record
        ));
    }
}
