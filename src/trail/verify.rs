//! Is the trail what it was? Everything that can be known from its leaves, records, keys and checkpoints.
//!
//! Proved is what a checkpoint vouches for that was kept elsewhere: nothing below its size was changed, dropped, moved or
//! cut off. What came after the last such checkpoint, only this machine's own key vouches for. Without any the trail may
//! fit together perfectly and be another one.
//!
//! Rows are handed in one after the other, so that a trail of any length takes little memory.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::meaning::Meaning;
use super::note::{Checkpoint, NoteError, VerifierKey};
use super::record::{Leaf, VERSION, commit};
use super::tree::{Frontier, Hash, leaf_hash};
use super::{canonical, hex};
use crate::store::state::StoredRow;

/// So many findings are told; the rest is counted.
const MOST: usize = 50;

/// What a trail says of itself.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    /// Its name.
    pub origin: String,
    /// How many records it has had.
    pub size: u64,
    /// Records below this number were pruned.
    pub pruned: u64,
    /// The tree, where that is kept.
    pub tree: Option<Frontier>,
    /// Those who have signed.
    pub keys: Vec<VerifierKey>,
    /// The keys of segments, by the first record of each.
    pub segments: BTreeMap<u64, Vec<u8>>,
    /// Its own checkpoints.
    pub checkpoints: Vec<String>,
}

/// A checkpoint that somebody kept.
#[derive(Clone, Debug)]
pub struct Known {
    /// What it is called here: a file's name.
    pub label: String,
    /// The note.
    pub note: String,
}

/// Something that is not as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The record, where it is one.
    pub record: Option<u64>,
    /// What is wrong.
    pub what: String,
}

/// What the trail is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing below a known checkpoint was changed.
    Proved,
    /// Something was.
    Tampered,
    /// It fits together, and nothing outside vouches for it.
    Unanchored,
}

impl Verdict {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Proved => "proved",
            Self::Tampered => "tampered",
            Self::Unanchored => "unanchored",
        }
    }
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Proof {
    /// The trail's name.
    pub origin: String,
    /// How many records it has had.
    pub size: u64,
    /// Records below this number were pruned, as recorded.
    pub pruned: u64,
    /// Its own checkpoints.
    pub checkpoints: usize,
    /// Up to this size a known checkpoint vouches for it.
    pub anchored: Option<u64>,
    /// Runs that have begun and ended.
    pub runs: u64,
    /// Runs that have begun and not ended: they are going on, or were killed and their job has not run since.
    pub open_runs: Vec<String>,
    /// What is wrong, the first of it.
    pub findings: Vec<Finding>,
    /// How much more.
    pub more: u64,
}

impl Proof {
    /// The verdict.
    pub fn verdict(&self) -> Verdict {
        match (self.findings.is_empty(), self.anchored) {
            (false, _) => Verdict::Tampered,
            (true, Some(_)) => Verdict::Proved,
            (true, None) => Verdict::Unanchored,
        }
    }

    pub(super) fn find(&mut self, record: Option<u64>, what: impl Into<String>) {
        if self.findings.len() < MOST {
            self.findings.push(Finding { record, what: what.into() });
        } else {
            self.more += 1;
        }
    }
}

/// A checkpoint that the tree must agree with when it has its size.
struct Expected {
    label: String,
    root: Hash,
    known: bool,
}

/// The check, row by row.
pub struct Check {
    claims: Claims,
    expected: BTreeMap<u64, Vec<Expected>>,
    tree: Frontier,
    next: u64,
    prev: Hash,
    gap: Gap,
    meaning: Meaning,
    proof: Proof,
}

/// The beginning of the trail, whose records are gone.
#[derive(Default)]
struct Gap {
    /// The first record that is there, and the tree up to it.
    end: Option<(u64, Hash)>,
    /// The latest hour below it.
    latest: u32,
    /// What the last record about a pruning said: below which number, older than what, the root there.
    recorded: Option<(u64, Option<DateTime<Utc>>, String)>,
}

impl Check {
    /// Begins, with the checkpoints that were kept elsewhere.
    ///
    /// # Errors
    /// When one of those is no checkpoint at all.
    pub fn begin(claims: Claims, known: &[Known]) -> Result<Self, (String, NoteError)> {
        let mut proof = Proof {
            origin: claims.origin.clone(),
            size: claims.size,
            checkpoints: claims.checkpoints.len(),
            ..Proof::default()
        };
        let mut expected: BTreeMap<u64, Vec<Expected>> = BTreeMap::new();
        let own = claims
            .checkpoints
            .iter()
            .enumerate()
            .map(|(place, note)| (format!("its own checkpoint {}", place + 1), note, false));
        let kept = known.iter().map(|known| (format!("the checkpoint {}", known.label), &known.note, true));
        let mut last = None;
        for (label, note, known) in own.chain(kept) {
            match Checkpoint::open(note, &claims.keys) {
                Ok(opened) if opened.size > claims.size => {
                    let what = format!(
                        "{label} is about {} records, and only {} are there: the end was cut off",
                        opened.size, claims.size
                    );
                    proof.find(None, what);
                }
                Ok(opened) if opened.origin != claims.origin => {
                    proof.find(None, format!("{label} is one of `{}`, another trail", opened.origin));
                }
                Ok(Checkpoint { size, .. }) if !known && last.is_some_and(|last| size <= last) => {
                    proof.find(None, format!("{label} does not stand where it should"));
                }
                Ok(Checkpoint { size, root, .. }) => {
                    last = if known { last } else { Some(size) };
                    expected.entry(size).or_default().push(Expected { label, root, known });
                }
                Err(error @ NoteError::Malformed(_)) if known => return Err((label, error)),
                Err(error) => proof.find(None, format!("{label}: {error}; the trail may have been replaced")),
            }
        }
        let mut check = Self {
            claims,
            expected,
            tree: Frontier::default(),
            next: 0,
            prev: [0; 32],
            gap: Gap::default(),
            meaning: Meaning::default(),
            proof,
        };
        check.agree();
        Ok(check)
    }

    /// Holds the tree against the checkpoints of its size.
    fn agree(&mut self) {
        for expected in self.expected.remove(&self.tree.size()).unwrap_or_default() {
            if expected.root != self.tree.root() {
                let what = format!("the first {} records are not those of {}", self.tree.size(), expected.label);
                self.proof.find(None, what);
            } else if expected.known {
                self.proof.anchored = Some(self.tree.size());
            }
        }
    }

    /// The next row.
    pub fn row(&mut self, row: &StoredRow) {
        let seq = u64::try_from(row.seq).unwrap_or(u64::MAX);
        if seq != self.next {
            let what = if seq > self.next {
                format!("records {} to {} are missing", self.next, seq.saturating_sub(1))
            } else {
                "it stands in another's place".to_owned()
            };
            self.proof.find(Some(seq), what);
        }
        self.next = seq.saturating_add(1);
        let bytes = hex::decode(&row.leaf);
        let leaf = bytes.as_deref().and_then(Leaf::from_bytes).filter(|leaf| leaf.seq == seq);
        let hash = leaf_hash(bytes.as_deref().unwrap_or(row.leaf.as_bytes()));
        match (leaf, &row.record) {
            (None, _) => self.proof.find(Some(seq), "its leaf is no leaf, or another's"),
            (Some(leaf), None) => {
                if self.gap.end.is_some() {
                    self.proof.find(Some(seq), "the record is gone, and its leaf was left");
                }
                self.gap.latest = self.gap.latest.max(leaf.hour);
            }
            (Some(leaf), Some(record)) => {
                if self.gap.end.is_none() {
                    self.gap.end = Some((seq, self.tree.root()));
                    self.meaning.starts_at(seq);
                }
                match self.read(&leaf, &record.body) {
                    Err(what) => self.proof.find(Some(seq), what),
                    Ok(value) => {
                        let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
                        if text("type").as_ref() != Some(&record.kind)
                            || text("job") != record.job
                            || text("run") != record.run
                        {
                            self.proof.find(Some(seq), "its columns say something else than the record");
                        }
                        self.note(seq, &value);
                    }
                }
            }
        }
        self.prev = hash;
        self.tree.push(hash);
        self.agree();
    }

    /// Reads a record that is the one behind the leaf.
    fn read(&self, leaf: &Leaf, body: &str) -> Result<Value, &'static str> {
        let key = self.claims.segments.range(..=leaf.seq).next_back().map(|(_, key)| key);
        let key = key.ok_or("the key of its segment is gone, and the record was left")?;
        if commit(key, leaf.seq, body) != leaf.commit {
            return Err("the record was changed: it is not the one behind its leaf");
        }
        let value = canonical::decode(body).ok_or("it is not written as a record is")?;
        let same = |name: &str, expected: Value| value.get(name) == Some(&expected);
        if !same("v", VERSION.into()) || !same("seq", leaf.seq.into()) {
            return Err("it is a record of another number or version");
        }
        if !same("prev", hex::encode(&self.prev).into()) {
            return Err("it does not follow the record before it");
        }
        let at = value.get("t").and_then(Value::as_str).and_then(|at| DateTime::parse_from_rfc3339(at).ok());
        if at.map(|at| Leaf::hour(at.to_utc())) != Some(leaf.hour) {
            return Err("its leaf is one of another hour");
        }
        Ok(value)
    }

    fn note(&mut self, seq: u64, value: &Value) {
        if value["type"] == "trail.prune" {
            let to = value["d"]["to"].as_u64().unwrap_or_default();
            let before = value["d"]["before"].as_str().and_then(|at| DateTime::parse_from_rfc3339(at).ok());
            let root = value["d"]["root"].as_str().unwrap_or_default().to_owned();
            self.gap.recorded = Some((to, before.map(|at| at.to_utc()), root));
        }
        self.meaning.record(seq, value, &mut self.proof);
    }

    /// No more rows.
    pub fn finish(mut self) -> Proof {
        if self.next != self.claims.size {
            let what = format!("{} records are there, and it has had {}", self.next, self.claims.size);
            self.proof.find(None, what);
        }
        if self.claims.tree.as_ref().is_some_and(|tree| *tree != self.tree) {
            self.proof.find(None, "its head is not the tree of its leaves");
        }
        for (size, expected) in std::mem::take(&mut self.expected) {
            for expected in expected {
                self.proof.find(None, format!("no tree of {size} records is there for {}", expected.label));
            }
        }
        self.check_gap();
        self.meaning.finish(&mut self.proof);
        self.proof
    }

    /// The records that are gone are exactly those whose pruning was recorded.
    fn check_gap(&mut self) {
        let (end, root) = self.gap.end.unwrap_or((self.next, self.tree.root()));
        let (to, before, recorded) =
            self.gap.recorded.clone().unwrap_or((0, None, hex::encode(&super::tree::empty_root())));
        if end != to || self.claims.pruned != to {
            self.proof.find(Some(end), format!("records below {end} are gone, and a pruning is recorded below {to}"));
        } else if hex::encode(&root) != recorded {
            self.proof.find(Some(end), "what was pruned is not what the pruning's record says");
        } else if to > 0 && before.is_none_or(|before| self.gap.latest >= Leaf::hour(before)) {
            self.proof.find(Some(end), "records were pruned that were younger than the pruning's record says");
        }
        self.proof.pruned = to;
    }
}
