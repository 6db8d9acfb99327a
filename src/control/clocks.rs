//! Clocks in doubt: this machine's, and those of the stores; and `retentiond accept-clock`, by which somebody who has
//! looked at them says that they are right.

use chrono::{DateTime, Utc};

use super::failure::Failure;
use super::site::Site;
use crate::clock::Clock;
use crate::store::state::{self, ClockMark};
use crate::store::{Conn, StoreError};
use crate::trail::{self, Act, Entry};

/// The clocks of the daemon and of a store may differ by this many seconds.
pub(super) const SKEW: i64 = 60;

/// The difference between a store's clock and ours, in seconds, where it is more than what was accepted allows.
///
/// # Errors
/// When the store cannot be asked.
pub(super) fn skew(conn: &mut Conn, now: DateTime<Utc>, accepted: i64) -> Result<Option<i64>, StoreError> {
    let skew = conn.clock_skew(now)?.num_seconds();
    let differs = skew.abs() > SKEW && skew.saturating_sub(accepted).saturating_abs() > SKEW;
    Ok(differs.then_some(skew))
}

/// Every clock that is in doubt, in words: while one is, jobs wait for it. A store that cannot be asked says nothing.
///
/// # Errors
/// When the state cannot be read.
pub fn doubts(site: &Site, conn: &mut Conn, clock: Clock) -> Result<Vec<String>, StoreError> {
    let mut doubts = Vec::new();
    if let Some(mark) = state::clock_mark(conn)? {
        doubts.push(format!(
            "this machine's clock jumped by {} s, noticed at {}: the daemon begins nothing until it is right again or `retentiond accept-clock` accepts it",
            mark.seconds,
            mark.since.format("%Y-%m-%d %H:%M:%S UTC")
        ));
    }
    let accepted = state::accepted_store_clocks(conn)?;
    for (name, database) in site.stores.databases() {
        let agreed = accepted.get(name.as_str()).copied().unwrap_or_default();
        let asked = database.conn().and_then(|mut store| skew(&mut store, clock.now(), agreed));
        if let Ok(Some(seconds)) = asked {
            doubts.push(format!(
                "the clock of store {name} and ours differ by {seconds} s: no job works on it until they agree or `retentiond accept-clock` accepts it"
            ));
        }
    }
    Ok(doubts)
}

/// Records that this machine's clock is accepted, which the caller then does; says so.
///
/// # Errors
/// When the state cannot be written: then it must not be accepted.
pub fn accept_own(conn: &mut Conn, clock: Clock) -> Result<String, Failure> {
    trail::append(conn, clock, &[Entry::new(Act::ClockAccepted { store: None, seconds: 0 })])?;
    // A job that began by a clock that was ahead would otherwise wait for that time to come.
    state::begin_schedules_by(conn, clock.now())?;
    Ok("this machine's clock is accepted as it is".to_owned())
}

/// Accepts the differences to the stores' clocks; a line for each that was in doubt.
///
/// # Errors
/// When a store or the state cannot be asked.
pub fn accept_stores(site: &Site, conn: &mut Conn, clock: Clock) -> Result<Vec<String>, Failure> {
    let whose = site.loaded.document.tenant.as_ref().map(|tenant| format!("@{tenant}")).unwrap_or_default();
    let mut lines = Vec::new();
    for (name, database) in site.stores.databases() {
        let now = clock.now();
        let seconds = database.conn()?.clock_skew(now)?.num_seconds();
        if seconds.abs() > SKEW {
            let accepted = Act::ClockAccepted { store: Some(name.clone()), seconds };
            trail::append(conn, clock, &[Entry::new(accepted)])?;
            state::accept_store_clock(conn, name.as_str(), ClockMark { seconds, since: now })?;
            lines.push(format!("store {name}{whose}: that its clock differs from ours by {seconds} s is accepted"));
        }
    }
    Ok(lines)
}

/// What was accepted, in words.
pub fn accepted(lines: &[String]) -> String {
    if lines.is_empty() { "no clock was in doubt".to_owned() } else { lines.join("\n") }
}
