//! The trail expires too: old records go, with the key that hid them; their leaves stay.
//!
//! **Invariant.** Whole segments go, oldest first, never the one that is written to, and only those whose every record is
//! older than asked for. That they go is a record, written in the transaction that removes them: it names the number below
//! which nothing is left, and the root of the tree over it, so that a gap which nobody recorded is none of ours. Test:
//! `trail_checks::pruning_is_no_tampering`.

use chrono::{DateTime, Utc};

use super::act::Act;
use super::append::{Tip, add, keep, signed, with_trail};
use super::canonical::Digest;
use super::record::{Entry, Leaf};
use super::tree::{Frontier, leaf_hash};
use super::{TrailError, hex};
use crate::clock::Clock;
use crate::store::Conn;
use crate::store::state;

const PAGE: i64 = 1_000;

/// Removes what is older than an instant; gives the number of records that went.
///
/// # Errors
/// When the trail cannot be read or written; then nothing went.
pub fn prune(conn: &mut Conn, clock: Clock, before: DateTime<Utc>) -> Result<u64, TrailError> {
    // Looked at without the lock first: most often there is nothing to do.
    let tip = Tip::of(&state::trail_head(conn)?)?;
    if boundary(conn, &tip, before)?.is_none() {
        return Ok(0);
    }
    with_trail(conn, |conn, tip| {
        let Some((to, frontier)) = boundary(conn, tip, before)? else { return Ok(0) };
        let pruned = to - tip.pruned;
        let act = Act::Prune { to, before, root: Digest::of(&frontier.root()) };
        add(conn, tip, clock, &[Entry::new(act)])?;
        tip.pruned = to;
        keep(conn, tip)?;
        state::prune_trail(conn, signed(to)?)?;
        state::forget_checkpoints(conn, signed(to)?)?;
        Ok(pruned)
    })
}

/// Where the first segment begins that must stay, and the tree up to there.
fn boundary(conn: &mut Conn, tip: &Tip, before: DateTime<Utc>) -> Result<Option<(u64, Frontier)>, TrailError> {
    let segments: Vec<u64> =
        state::trail_segments(conn)?.into_iter().filter_map(|(first, _)| u64::try_from(first).ok()).collect();
    // An hour of the leaf may begin before the instant and end after it.
    let hour = Leaf::hour(before);
    let mut to = None;
    for pair in segments.windows(2) {
        let [first, next] = *pair else { continue };
        if next > tip.segment() || !is_older(conn, first, next, hour)? {
            break;
        }
        to = Some(next);
    }
    let Some(to) = to.filter(|to| *to > tip.pruned) else { return Ok(None) };
    Ok(Some((to, tree_up_to(conn, to)?)))
}

/// Whether every record of a segment is from an hour before this one; clocks may have been set back within it.
fn is_older(conn: &mut Conn, first: u64, next: u64, hour: u32) -> Result<bool, TrailError> {
    let mut from = first;
    while from < next {
        let rows = state::trail_leaves(conn, signed(from)?, PAGE)?;
        if rows.is_empty() {
            return Err(TrailError::Broken("a leaf is missing"));
        }
        for (_, leaf) in rows.iter().filter(|(seq, _)| u64::try_from(*seq).is_ok_and(|seq| seq < next)) {
            let leaf = hex::decode(leaf).as_deref().and_then(Leaf::from_bytes);
            if leaf.ok_or(TrailError::Broken("a leaf is none"))?.hour >= hour {
                return Ok(false);
            }
        }
        from += rows.len() as u64;
    }
    Ok(true)
}

fn tree_up_to(conn: &mut Conn, to: u64) -> Result<Frontier, TrailError> {
    let mut tree = Frontier::default();
    extend(conn, &mut tree, to)?;
    Ok(tree)
}

/// Adds the leaves to a tree that stand there up to a size.
pub(super) fn extend(conn: &mut Conn, tree: &mut Frontier, to: u64) -> Result<(), TrailError> {
    while tree.size() < to {
        let limit = PAGE.min(signed(to - tree.size())?);
        let rows = state::trail_leaves(conn, signed(tree.size())?, limit)?;
        for (seq, leaf) in &rows {
            let bytes = hex::decode(leaf).ok_or(TrailError::Broken("a leaf is none"))?;
            if u64::try_from(*seq) != Ok(tree.size()) {
                return Err(TrailError::Broken("a leaf is missing"));
            }
            tree.push(leaf_hash(&bytes));
        }
        if rows.is_empty() {
            return Err(TrailError::Broken("leaves are missing at its end"));
        }
    }
    Ok(())
}
