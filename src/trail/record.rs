//! One record: how an act becomes a text, the text a commitment, and the commitment a leaf of the tree.
//!
//! ```text
//! salt   = HMAC-SHA256(segment key, "ralog/1 salt" ‖ u64be(seq))
//! commit = HMAC-SHA256(salt, body)
//! leaf   = 0x01 ‖ u64be(seq) ‖ u32be(unix time / 3600) ‖ u16be(type) ‖ commit          (47 bytes)
//! ```
//!
//! The leaf stays for ever; without the segment's key it tells the hour and the type of a record and nothing else of it, so
//! that a record which was pruned cannot even be guessed at.

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::act::Act;
use super::actor::Actor;
use super::canonical::{Digest, Item};
use super::tree::Hash;
use crate::names::JobName;

/// The version of records and leaves.
pub const VERSION: u8 = 1;
/// The length of a leaf.
pub const LEAF: usize = 47;

/// Something to be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What is done.
    pub act: Act,
    /// By whom.
    pub actor: Actor,
    /// In which run.
    pub run: Option<Digest>,
    /// By or for which job.
    pub job: Option<JobName>,
    /// The policy.
    pub policy: Option<Digest>,
    /// The schema of the stores.
    pub schema: Option<Digest>,
    /// The plan.
    pub plan: Option<Digest>,
}

impl Entry {
    /// An act of whoever started this process.
    pub fn new(act: Act) -> Self {
        Self { act, actor: Actor::present(), run: None, job: None, policy: None, schema: None, plan: None }
    }

    /// For a job.
    #[must_use]
    pub fn job(self, job: &JobName) -> Self {
        Self { job: Some(job.clone()), ..self }
    }

    /// Of a plan.
    #[must_use]
    pub fn plan(self, plan: &str) -> Self {
        Self { plan: Digest::parse(plan), ..self }
    }

    /// The record, with its number, its instant, the host and the hash of the leaf before it.
    pub(super) fn body(&self, seq: u64, at: DateTime<Utc>, host: &Digest, prev: &Hash) -> String {
        let (kind, _, details) = self.act.parts();
        Item::map([
            ("v", u64::from(VERSION).into()),
            ("seq", seq.into()),
            ("t", at.into()),
            ("host", host.into()),
            ("type", kind.into()),
            ("actor", self.actor.into()),
            ("d", details),
            ("prev", (&Digest::of(prev)).into()),
        ])
        .with_some("run", self.run.as_ref())
        .with_some("job", self.job.as_ref())
        .with_some("policy", self.policy.as_ref())
        .with_some("schema", self.schema.as_ref())
        .with_some("plan", self.plan.as_ref())
        .to_text()
    }
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> Hash {
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// What hides a record behind its leaf.
pub(super) fn commit(segment_key: &[u8], seq: u64, body: &str) -> Hash {
    let salt = hmac(segment_key, &[b"ralog/1 salt", &seq.to_be_bytes()]);
    hmac(&salt, &[body.as_bytes()])
}

/// What the tree is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// The record's number.
    pub seq: u64,
    /// Its hour, counted from 1970.
    pub hour: u32,
    /// The number of its type.
    pub kind: u16,
    /// What hides the record.
    pub commit: Hash,
}

impl Leaf {
    /// The hour of an instant.
    pub fn hour(at: DateTime<Utc>) -> u32 {
        u32::try_from(at.timestamp().max(0) / 3600).unwrap_or(u32::MAX)
    }

    /// The bytes.
    pub fn to_bytes(self) -> [u8; LEAF] {
        let mut bytes = [0; LEAF];
        bytes[0] = VERSION;
        bytes[1..9].copy_from_slice(&self.seq.to_be_bytes());
        bytes[9..13].copy_from_slice(&self.hour.to_be_bytes());
        bytes[13..15].copy_from_slice(&self.kind.to_be_bytes());
        bytes[15..].copy_from_slice(&self.commit);
        bytes
    }

    /// Reads the bytes; `None` when they are no leaf of this version.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first()?;
        let (seq, rest) = rest.split_first_chunk()?;
        let (hour, rest) = rest.split_first_chunk()?;
        let (kind, rest) = rest.split_first_chunk()?;
        let commit = rest.try_into().ok().filter(|_| *version == VERSION)?;
        Some(Self {
            seq: u64::from_be_bytes(*seq),
            hour: u32::from_be_bytes(*hour),
            kind: u16::from_be_bytes(*kind),
            commit,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trail::hex;

    #[test]
    fn a_record_has_this_text_and_this_leaf() {
        let at = DateTime::from_timestamp_micros(1_795_860_000_123_456).unwrap();
        let actor = Actor { role: super::super::Role::Service, uid: 998 };
        let entry = Entry {
            actor,
            run: Digest::parse("01939f2e-7a3c-7000-8000-0123456789ab"),
            ..Entry::new(Act::BatchesIntent { first: 1, last: 100 })
        };
        let entry = entry.job(&"calls".parse().unwrap()).plan("0123456789ab");
        let body = entry.body(7, at, &Digest::parse("00ff00ff").unwrap(), &[1; 32]);
        assert_eq!(
            body,
            r#"{"actor":{"role":"service","uid":998},"d":{"first":1,"last":100},"host":"00ff00ff","job":"calls","plan":"0123456789ab","prev":"0101010101010101010101010101010101010101010101010101010101010101","run":"01939f2e-7a3c-7000-8000-0123456789ab","seq":7,"t":"2026-11-28T10:00:00.123456Z","type":"batches.intent","v":1}"#
        );
        let commit = commit(&[2; 32], 7, &body);
        let leaf = Leaf { seq: 7, hour: Leaf::hour(at), kind: 15, commit };
        assert_eq!(Leaf::from_bytes(&leaf.to_bytes()), Some(leaf));
        assert_eq!(hex::encode(&leaf.to_bytes()[..15]), "01000000000000000700079ca2000f");
    }
}
