//! `retentiond accept-clock`: somebody has looked at the clocks and says that they are right.

use super::failure::Failure;
use super::site::Site;
use crate::clock::Clock;
use crate::store::Conn;
use crate::store::state::{self, ClockMark};

/// The clocks of the daemon and of a store may differ by this many seconds.
pub(super) const SKEW: i64 = 60;

/// Accepts the differences to the stores' clocks; says what was accepted, `own` telling whether our own clock was.
///
/// # Errors
/// When a store or the state cannot be asked.
pub fn accept_clocks(own: bool, site: Option<&Site>, conn: &mut Conn, clock: Clock) -> Result<String, Failure> {
    let mut lines = Vec::new();
    if own {
        lines.push("this machine's clock is accepted".to_owned());
    }
    for (name, database) in site.iter().flat_map(|site| site.stores.databases()) {
        let now = clock.now();
        let seconds = database.conn()?.clock_skew(now)?.num_seconds();
        if seconds.abs() > SKEW {
            state::accept_store_clock(conn, name.as_str(), ClockMark { seconds, since: now })?;
            lines.push(format!("store {name}: its clock differs by {seconds} s, and that is accepted"));
        }
    }
    if lines.is_empty() {
        lines.push("no clock was in doubt".to_owned());
    }
    Ok(lines.join("\n"))
}
