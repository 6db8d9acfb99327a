//! What the records say must make sense together: a run that has begun has one end, and its batches add up to its total.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::proof::Proof;

/// What is known of the runs so far.
#[derive(Default)]
pub(super) struct Meaning {
    /// Where the records begin: of runs that began before, only the rest is known.
    start: u64,
    open: BTreeMap<String, Run>,
    ended: BTreeSet<String>,
}

#[derive(Default)]
struct Run {
    job: String,
    /// Its beginning was pruned.
    torn: bool,
    /// The batches that were intended and not yet done.
    stretch: Option<(u64, u64)>,
    rows: u64,
    files: u64,
}

impl Meaning {
    /// The first record that is there.
    pub fn starts_at(&mut self, seq: u64) {
        self.start = seq;
    }

    /// A record.
    pub fn record(&mut self, seq: u64, value: &Value, proof: &mut Proof) {
        let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        let (kind, run, job) = (text("type"), text("run"), text("job"));
        if run.is_empty() {
            return;
        }
        if self.ended.contains(&run) {
            return proof.find(Some(seq), format!("run {run} goes on after its end"));
        }
        if kind == "run.begin" {
            return self.begin(seq, run, job, proof);
        }
        if !self.open.contains_key(&run) {
            if self.start == 0 {
                return proof.find(Some(seq), format!("run {run} has no beginning"));
            }
            self.open.insert(run.clone(), Run { job: job.clone(), torn: true, ..Run::default() });
        }
        let Some(known) = self.open.get_mut(&run) else { return };
        if known.job != job {
            proof.find(Some(seq), format!("run {run} is one of job {}, not of {job}", known.job));
        }
        let fault = match kind.as_str() {
            "batches.intent" => known.intend(&value["d"]),
            "batches.done" => known.done(&value["d"]),
            "run.end" => known.end(&value["d"]),
            _ => None,
        };
        if let Some(fault) = fault {
            proof.find(Some(seq), format!("run {run}: {fault}"));
        }
        if kind == "run.end" {
            self.open.remove(&run);
            self.ended.insert(run);
            proof.runs += 1;
        }
    }

    fn begin(&mut self, seq: u64, run: String, job: String, proof: &mut Proof) {
        if self.open.contains_key(&run) {
            return proof.find(Some(seq), format!("run {run} begins twice"));
        }
        if let Some((other, _)) = self.open.iter().find(|(_, known)| known.job == job && !known.torn) {
            proof.find(Some(seq), format!("job {job} begins again, and its run {other} has no end"));
        }
        self.open.insert(run, Run { job, ..Run::default() });
    }

    /// No more records.
    pub fn finish(self, proof: &mut Proof) {
        proof.open_runs = self.open.into_keys().collect();
    }
}

fn number(details: &Value, name: &str) -> u64 {
    details[name].as_u64().unwrap_or_default()
}

impl Run {
    fn intend(&mut self, details: &Value) -> Option<String> {
        let stretch = (number(details, "first"), number(details, "last"));
        let before = self.stretch.replace(stretch);
        before.map(|_| "batches are intended, and what the ones before did is not recorded".to_owned())
    }

    fn done(&mut self, details: &Value) -> Option<String> {
        let sums = details["sums"].as_array().map(Vec::as_slice).unwrap_or_default();
        // A record that was forged may count to anything.
        let sum = |name: &str| sums.iter().map(|sum| number(sum, name)).fold(0, u64::saturating_add);
        let (rows, files) = (number(details, "rows"), number(details, "files"));
        (self.rows, self.files) = (self.rows.saturating_add(rows), self.files.saturating_add(files));
        let (first, last) = (number(details, "first"), number(details, "last"));
        match self.stretch.take() {
            None if !self.torn => Some("batches were done that were not intended".to_owned()),
            Some((from, to)) if from != first || last > to => Some("other batches were done than intended".to_owned()),
            _ if (rows, files) != (sum("rows"), sum("files")) => Some("its batches do not add up".to_owned()),
            _ => None,
        }
    }

    fn end(&mut self, details: &Value) -> Option<String> {
        let unknown = details.get("unknown").map(|unknown| (number(unknown, "first"), number(unknown, "last")));
        if self.torn {
            return None;
        }
        if unknown != self.stretch {
            return Some("it ends, and what its last batches did is not recorded".to_owned());
        }
        if (number(details, "rows"), number(details, "files")) != (self.rows, self.files) {
            return Some(format!(
                "its batches removed {} rows and {} files, and its end says {} and {}",
                self.rows,
                self.files,
                number(details, "rows"),
                number(details, "files")
            ));
        }
        None
    }
}
