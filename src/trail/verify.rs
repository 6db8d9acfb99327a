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

use super::gap::Gap;
use super::meaning::Meaning;
use super::note::{Checkpoint, NoteError, VerifierKey};
use super::proof::{Claims, Known, Proof};
use super::record::{Leaf, VERSION, commit};
use super::tree::{Frontier, Hash, leaf_hash};
use super::{canonical, hex};
use crate::store::state::{StoredRecord, StoredRow};

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
    /// When it is verified.
    now: DateTime<Utc>,
    /// The month of the first record of the segment that is written to.
    month: Option<String>,
    proof: Proof,
}

impl Check {
    /// Begins, with the checkpoints that were kept elsewhere; `now` is when it is verified.
    ///
    /// # Errors
    /// When one of those is no checkpoint at all.
    pub fn begin(mut claims: Claims, known: &[Known], now: DateTime<Utc>) -> Result<Self, (String, NoteError)> {
        let mut proof = Proof {
            origin: claims.origin.clone(),
            size: claims.size,
            checkpoints: claims.checkpoints.len(),
            ..Proof::default()
        };
        std::mem::take(&mut claims.broken).into_iter().for_each(|what| proof.find(None, what));
        let mut check = Self {
            claims,
            expected: BTreeMap::new(),
            tree: Frontier::default(),
            next: 0,
            prev: [0; 32],
            gap: Gap::default(),
            meaning: Meaning::default(),
            now,
            month: None,
            proof,
        };
        check.own();
        check.kept(known)?;
        check.agree();
        Ok(check)
    }

    /// The trail's own checkpoints: each by one who signs for it, and about more records than the one before.
    fn own(&mut self) {
        let signers: Vec<VerifierKey> = self.claims.keys.iter().chain(&self.claims.trusted).cloned().collect();
        let mut last = None;
        for (place, (kept_as, note)) in std::mem::take(&mut self.claims.checkpoints).into_iter().enumerate() {
            let label = format!("its own checkpoint {}", place + 1);
            match Checkpoint::open(&note, &signers) {
                Err(error) => {
                    self.proof.find(None, format!("{label}: {error}; the trail may have been replaced"));
                }
                Ok(opened) if last.is_some_and(|last| opened.size <= last) => {
                    self.proof.find(None, format!("{label} does not stand where it should"));
                }
                Ok(opened) if kept_as.is_some_and(|size| size != opened.size) => {
                    self.proof.find(None, format!("{label} is kept as one of another size"));
                }
                Ok(opened) => {
                    last = Some(opened.size);
                    let trusted = &self.claims.trusted;
                    let known = trusted.is_empty() || Checkpoint::open(&note, trusted).is_ok();
                    self.proof.strangers += usize::from(!known);
                    self.expect(label, opened, false);
                }
            }
        }
    }

    /// Those that were kept elsewhere, which nobody signs but those whose signatures count.
    fn kept(&mut self, known: &[Known]) -> Result<(), (String, NoteError)> {
        let trusted = if self.claims.trusted.is_empty() { &self.claims.keys } else { &self.claims.trusted };
        let trusted = trusted.clone();
        for known in known {
            let label = format!("the checkpoint {}", known.label);
            match Checkpoint::open(&known.note, &trusted) {
                Ok(opened) => self.expect(label, opened, true),
                Err(error @ NoteError::Malformed(_)) => return Err((label, error)),
                Err(_) if Checkpoint::open(&known.note, &self.claims.keys).is_ok() => self.proof.find(
                    None,
                    format!(
                        "{label}: another key signed it, which the trail names and no --key does; where the key was changed, name both"
                    ),
                ),
                Err(error) => self.proof.find(None, format!("{label}: {error}; the trail may have been replaced")),
            }
        }
        Ok(())
    }

    /// The tree must agree with a checkpoint when it has its size.
    fn expect(&mut self, label: String, opened: Checkpoint, known: bool) {
        let Checkpoint { origin, size, root } = opened;
        if size > self.claims.size {
            let there = self.claims.size;
            let what = format!("{label} is about {size} records, and only {there} are there: the end was cut off");
            self.proof.find(None, what);
        } else if origin != self.claims.origin {
            self.proof.find(None, format!("{label} is one of `{origin}`, another trail"));
        } else {
            self.expected.entry(size).or_default().push(Expected { label, root, known });
        }
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
        let Ok(seq) = u64::try_from(row.seq) else {
            return self.proof.find(None, format!("there is a leaf with the number {}", row.seq));
        };
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
            (Some(leaf), None) if self.gap.is_over() => {
                self.gap.leaf(&leaf);
                self.proof.find(Some(seq), "the record is gone, and its leaf was left");
            }
            (Some(leaf), None) => self.gap.leaf(&leaf),
            (Some(leaf), Some(record)) => self.record(&leaf, record),
        }
        self.prev = hash;
        self.tree.push(hash);
        self.agree();
    }

    fn record(&mut self, leaf: &Leaf, record: &StoredRecord) {
        let seq = leaf.seq;
        if !self.gap.is_over() {
            self.gap.ends(seq, self.tree.root());
            self.meaning.starts_at(seq);
        }
        let value = match self.read(leaf, &record.body) {
            Err(what) => return self.proof.find(Some(seq), what),
            Ok(value) => value,
        };
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        if text("type") != Some(&record.kind)
            || text("job") != record.job.as_deref()
            || text("run") != record.run.as_deref()
        {
            self.proof.find(Some(seq), "its columns say something else than the record");
        }
        if self.claims.head.as_ref().is_some_and(|head| head.segment == Some(seq)) {
            self.month = text("t").and_then(|at| at.get(..7)).map(str::to_owned);
        }
        if text("type") == Some("trail.prune") {
            self.gap.pruning(seq, &value, self.now, &mut self.proof);
        }
        self.meaning.record(seq, &value, &mut self.proof);
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

    /// No more rows.
    pub fn finish(mut self) -> Proof {
        if self.next != self.claims.size {
            let what = format!("{} records are there, and it has had {}", self.next, self.claims.size);
            self.proof.find(None, what);
        }
        self.check_head();
        for (size, expected) in std::mem::take(&mut self.expected) {
            for expected in expected {
                self.proof.find(None, format!("no tree of {size} records is there for {}", expected.label));
            }
        }
        let (whole, claims) = ((self.next, self.tree.root()), self.claims);
        self.gap.finish(whole, claims.pruned, &claims.segments, &mut self.proof);
        self.meaning.finish(&mut self.proof);
        self.proof
    }

    /// What the next record would continue is what is there.
    fn check_head(&mut self) {
        let Some(head) = &self.claims.head else { return };
        if head.tree.as_ref() != Some(&self.tree) {
            self.proof.find(None, "its head is not the tree of its leaves");
        }
        if head.last_hash != Some(self.prev) {
            self.proof.find(None, "its head does not name its last leaf");
        }
        let last = self.claims.segments.keys().next_back().copied();
        if head.segment != last || self.month.as_deref().unwrap_or_default() != head.month {
            self.proof.find(None, "its head names another segment than the last");
        }
    }
}
