//! The beginning of a trail whose records have expired: what is gone must be exactly what a record says went.
//!
//! **Invariant.** A pruning takes whole segments, their keys with them, and nothing that was not older than it says; it says
//! of nothing that it was old before it was. Who can write the trail can still write a pruning that satisfies all of this:
//! what makes it more than this host's word is a checkpoint kept elsewhere that is about the pruning's own record.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::hex;
use super::proof::{Proof, Pruning};
use super::record::Leaf;
use super::tree::{Hash, empty_root};

/// The clock of whoever verifies may be behind by as much.
const SKEW: TimeDelta = TimeDelta::days(1);

/// What is known of the gap so far.
#[derive(Default)]
pub(super) struct Gap {
    /// The first record that is there, and the root of the tree up to it.
    end: Option<(u64, Hash)>,
    /// The latest hour of a leaf below it.
    latest: u32,
    /// What the last record of a pruning says: below which number, and the root there.
    recorded: Option<(u64, String, Option<Pruning>)>,
}

impl Gap {
    /// Whether a record has been there already.
    pub fn is_over(&self) -> bool {
        self.end.is_some()
    }

    /// A leaf whose record is gone.
    pub fn leaf(&mut self, leaf: &Leaf) {
        self.latest = self.latest.max(leaf.hour);
    }

    /// The first record that is there.
    pub fn ends(&mut self, seq: u64, root: Hash) {
        self.end = Some((seq, root));
    }

    /// A record of a pruning.
    pub fn pruning(&mut self, seq: u64, record: &Value, now: DateTime<Utc>, proof: &mut Proof) {
        let at = |value: &Value| Some(DateTime::parse_from_rfc3339(value.as_str()?).ok()?.to_utc());
        let (details, written) = (&record["d"], at(&record["t"]));
        let to = details["to"].as_u64().unwrap_or_default();
        let pruning = at(&details["before"]).map(|before| Pruning { record: seq, before });
        if pruning.zip(written).is_none_or(|(pruning, written)| pruning.before >= written) {
            proof.find(Some(seq), "it prunes what was not older than itself");
        }
        if written.is_some_and(|written| written > now + SKEW) {
            proof.find(Some(seq), "it is a pruning from the future");
        }
        if self.recorded.as_ref().is_some_and(|(before, ..)| to <= *before) {
            proof.find(Some(seq), "it prunes what was pruned before");
        }
        self.recorded = Some((to, details["root"].as_str().unwrap_or_default().to_owned(), pruning));
    }

    /// No more rows. `whole`: the number of leaves, and their root.
    pub fn finish(self, whole: (u64, Hash), claimed: u64, segments: &BTreeMap<u64, Vec<u8>>, proof: &mut Proof) {
        let (end, root) = self.end.unwrap_or(whole);
        let (to, recorded, pruning) = self.recorded.unwrap_or_else(|| (0, hex::encode(&empty_root()), None));
        let first = segments.keys().next().copied();
        if end != to || claimed != to {
            proof.find(Some(end), format!("records below {end} are gone, and a pruning is recorded below {to}"));
        } else if hex::encode(&root) != recorded {
            proof.find(Some(end), "what was pruned is not what the pruning's record says");
        } else if to > 0 && pruning.is_none_or(|pruning| self.latest >= Leaf::hour(pruning.before)) {
            proof.find(Some(end), "records were pruned that were younger than the pruning's record says");
        } else if first.is_some_and(|first| first < to) {
            proof.find(first, "its records were pruned, and the key that hid them was left");
        } else if to > 0 && first != Some(to) {
            proof.find(Some(to), "records were pruned that are not whole segments");
        }
        if let Some(beyond) = segments.keys().next_back().filter(|last| **last >= whole.0) {
            proof.find(None, format!("there is a key for records from {beyond} on, of which there are none"));
        }
        (proof.pruned, proof.pruning) = (to, pruning.filter(|_| to > 0));
    }
}
