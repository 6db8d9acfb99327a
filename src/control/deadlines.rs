//! Deadlines: a job that has a schedule and was not complete for one and a half turns of it missed its deadline.

use chrono::{DateTime, Utc};

use super::alerts::{self, Standing};
use super::turns;
use crate::config::document::Document;
use crate::store::{Conn, StoreError, state};

/// Notes every job that has missed its deadline. One that is paused or not enabled has none.
///
/// # Errors
/// When the state cannot be read or written.
pub fn note(conn: &mut Conn, document: &Document, now: DateTime<Utc>) -> Result<(), StoreError> {
    if !document.enabled {
        return Ok(());
    }
    let since = state::schedules_since(conn)?;
    let known = state::incidents(conn)?;
    for (name, raw) in document.jobs.iter().filter(|(_, raw)| raw.enabled && raw.timing.schedule.is_some()) {
        let name = name.as_str();
        // What is wrong with it already has been told, and says more.
        if state::is_paused(conn, name)? || known.iter().any(|incident| incident.job == name) {
            continue;
        }
        let turn = turns::longest(raw, document.timezone, now);
        let last = state::last_success(conn, name)?;
        let Some(start) = last.into_iter().chain(since.get(name).copied()).max() else { continue };
        if now - start > turn * 3 / 2 {
            let why = match last {
                Some(at) => format!("It was last complete at {}.", at.format("%Y-%m-%d %H:%M UTC")),
                None => "It was never complete.".to_owned(),
            };
            alerts::note(conn, name, &Standing::Missed(&why), now)?;
        }
    }
    Ok(())
}
