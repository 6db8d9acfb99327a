//! retentiond's own memory expires by itself: `[state] keep`.
//!
//! **Invariant.** Leases stay for ever, so that no fencing token comes twice; so do pauses, the policy that each job
//! followed last and the beginnings of schedules: forgetting them would let something run that must not.

use crate::clock::Clock;
use crate::config::document::Document;
use crate::config::period::Keep;
use crate::store::Conn;
use crate::store::state;
use crate::trail::{self, TrailError};

/// Forgets runs, slots, stopped plans and records of the trail that are older than the file says.
///
/// # Errors
/// When the state cannot be written.
pub fn forget_old(conn: &mut Conn, document: &Document, clock: Clock) -> Result<(), TrailError> {
    let now = clock.now();
    if let Keep::For(period) = &document.trail.keep
        && let Some(before) = period.before(now, document.timezone).filter(|before| *before < now)
    {
        trail::prune(conn, clock, before)?;
    }
    let Keep::For(period) = &document.state.keep else { return Ok(()) };
    let Some(before) = period.before(now, document.timezone).filter(|before| *before < now) else { return Ok(()) };
    state::forget_before(conn, before)?;
    state::forget_slots(conn, before)?;
    state::forget_plans(conn, before)?;
    state::forget_requests(conn, before, now)?;
    Ok(())
}
