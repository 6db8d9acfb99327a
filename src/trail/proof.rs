//! What a verification is told, and what it answers.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::note::VerifierKey;
use super::tree::{Frontier, Hash};

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
    /// What its head says besides, where it has one: an export has none.
    pub head: Option<Head>,
    /// Those who have signed, as the trail itself says.
    pub keys: Vec<VerifierKey>,
    /// Those whose signatures count, where somebody has said so: under a checkpoint that was kept elsewhere no other does.
    pub trusted: Vec<VerifierKey>,
    /// The keys of segments, by the first record of each.
    pub segments: BTreeMap<u64, Vec<u8>>,
    /// Its own checkpoints, each with the size that it is kept under, where that stands beside it.
    pub checkpoints: Vec<(Option<u64>, String)>,
    /// What was wrong before anything could be held against anything.
    pub broken: Vec<String>,
}

/// What the head of a trail says, which its next record would continue.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// The tree; none where that does not fit together.
    pub tree: Option<Frontier>,
    /// The hash of the last leaf.
    pub last_hash: Option<Hash>,
    /// The first record of the segment that is written to; none before the first record.
    pub segment: Option<u64>,
    /// The month of that.
    pub month: String,
}

/// A checkpoint that somebody kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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

/// A recorded pruning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pruning {
    /// Its record.
    pub record: u64,
    /// Everything that went was older than this.
    pub before: DateTime<Utc>,
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
    /// The pruning that says so.
    pub pruning: Option<Pruning>,
    /// Its own checkpoints.
    pub checkpoints: usize,
    /// So many of them are signed with a key that the trail names, and whoever verifies does not.
    pub strangers: usize,
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

    /// Whether a known checkpoint vouches for the pruning's own record. Where none does, whoever has the host could have
    /// made the record up, and the records that it excuses go.
    pub fn pruning_is_proved(&self) -> bool {
        self.pruning.is_none_or(|pruning| self.anchored.is_some_and(|size| pruning.record < size))
    }

    pub(super) fn find(&mut self, record: Option<u64>, what: impl Into<String>) {
        if self.findings.len() < MOST {
            self.findings.push(Finding { record, what: what.into() });
        } else {
            self.more += 1;
        }
    }
}
