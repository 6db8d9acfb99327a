//! retentiond's own trail: what it did, and who told it to, in a log that cannot be quietly edited.
//!
//! An [`Act`] becomes a record ([`record`]), is chained to the one before and hashed into a Merkle tree as RFC 6962 has it
//! ([`tree`]), all of it in retentiond's own state ([`append`]). At the end of each run, and every quarter of an hour while
//! there is something new, a checkpoint of the tree is signed ([`sign`], [`note`]); those that leave the host are what
//! [`verify`] holds the trail against. Records expire ([`prune`]); their leaves stay, so that later proofs stay valid.
//!
//! **Invariants.** An act is recorded before it is done, and one that cannot be recorded is not done. A record holds no
//! personal data and no text that somebody typed: [`canonical::Item`] cannot be made of any. What proves the trail is
//! read from nothing but the trail, and is written down in `examples/verify_trail.py` for people who do not trust this
//! program. Tests: `trail`.

pub mod act;
pub mod actor;
pub mod append;
pub mod canonical;
pub mod export;
mod gap;
pub mod hex;
mod meaning;
pub mod note;
mod proof;
pub mod prune;
pub mod record;
pub mod run;
pub mod sign;
pub mod tree;
pub mod verify;

use crate::store::StoreError;

pub use act::Act;
pub use actor::{Actor, Role};
pub use append::append;
pub use canonical::Digest;
pub use proof::{Claims, Finding, Head, Known, Proof, Pruning, Verdict};
pub use prune::prune;
pub use record::Entry;
pub use run::{RunTrail, record};
pub use sign::{Signed, Signer};

/// Why the trail could not be written, read or signed.
#[derive(Debug, thiserror::Error)]
pub enum TrailError {
    /// The state.
    #[error("the audit trail: {0}")]
    Store(#[from] StoreError),
    /// It does not fit together.
    #[error("the audit trail is damaged: {0}; `retentiond audit verify` says where")]
    Broken(&'static str),
    /// No key, or one that cannot be used.
    #[error("the audit trail's signing key: {0}")]
    Key(String),
    /// What is to be signed does not continue what was signed before.
    #[error("the audit trail is not signed: {0}")]
    Fork(String),
    /// Its name cannot be changed.
    #[error("the audit trail is called `{is}`, and a trail that has begun cannot be called `{wanted}`")]
    Name {
        /// Its name.
        is: String,
        /// What it should be called.
        wanted: String,
    },
    /// It could not be written elsewhere.
    #[error("the audit trail's export: {0}")]
    Export(String),
    /// Another process has ended the run.
    #[error("another process has taken this run's job over, and recorded its end")]
    Ended,
}
