//! Holds of the system's own: an open request for a report holds the person's data until it is answered.
//!
//! **Invariant.** Nobody places or releases such a hold by hand, so it stands exactly as long as its request is open. A
//! store that cannot hold anything (ledger = false) is left out instead of refused: the request must be taken in all the
//! same, and `check` says what such a store cannot promise.

use chrono::{DateTime, Utc};

use super::{NewHold, about, free_everywhere, has_holds, hold_in, record_of, stores_reached};
use crate::control::failure::{Exit, Failure};
use crate::control::recording;
use crate::control::requests::CASE;
use crate::control::site::Site;
use crate::holds::About;
use crate::names::{CaseName, StoreName};
use crate::store::pool::Database;
use crate::store::{ErrorKind, held, state};
use crate::trail::Act;

/// Whether a case is the system's own.
pub fn is_own(case: &str) -> bool {
    case.starts_with(CASE)
}

/// Such a case is not touched by hand.
pub(super) fn refuse(case: &CaseName) -> Result<(), Failure> {
    let Some(request) = case.as_str().strip_prefix(CASE) else { return Ok(()) };
    let text = format!(
        "error: `{CASE}…` are the holds of open requests for reports; `retentiond report close {request} --why …` ends a request"
    );
    Err(Failure::new(Exit::Braked, text))
}

/// The stores that have something about a person and can hold it.
pub(super) fn able(site: &Site, about: &About) -> Result<Vec<StoreName>, Failure> {
    Ok(stores_reached(site, about)?.into_iter().filter(|store| has_holds(site, store)).collect())
}

/// Places a hold wherever that is possible; `false` where it is nowhere, and so nobody keeps what it is about.
///
/// # Errors
/// When a store that could hold refuses; what was placed holds all the same.
pub fn add_where_possible(site: &Site, memory: &Database, new: &NewHold, now: DateTime<Utc>) -> Result<bool, Failure> {
    let stores = able(site, &new.about)?;
    if stores.is_empty() {
        return Ok(false);
    }
    hold_in((site, memory), &record_of(new, None, now), &new.about, stores).map(|_| true)
}

/// Releases a hold of the system's own; one that does not stand is none.
///
/// # Errors
/// When the state or a store cannot be reached.
pub fn release_own(site: &Site, memory: &Database, case: &CaseName, now: DateTime<Utc>) -> Result<(), Failure> {
    let own = "retentiond";
    let holds = state::all_holds(&mut *memory.conn()?)?;
    let mine = |hold: &&state::HoldRecord| hold.hold_case == case.as_str() && hold.released_at.is_none();
    let holds: Vec<_> = holds.iter().filter(mine).map(|hold| recording::id(&hold.id)).collect();
    if !holds.is_empty() {
        recording::note(memory, Act::HoldRelease { holds, second: None })?;
    }
    state::release_case(&mut *memory.conn()?, case.as_str(), (own, own), now)?;
    free_everywhere(site, case).map(drop)
}

/// Frees what a process that died between the state and a store left held of such cases. A store that is away has its turn
/// at the next run.
///
/// # Errors
/// When the state cannot be read, or a store refuses.
pub fn free_ended(site: &Site, memory: &Database, now: DateTime<Utc>) -> Result<(), Failure> {
    let records = state::all_holds(&mut *memory.conn()?)?;
    let over = |case: &str| {
        let mut mine = records.iter().filter(|record| record.hold_case == case).peekable();
        is_own(case) && mine.peek().is_some() && mine.all(|record| !record.is_active(now))
    };
    for (_, database) in site.stores.databases().filter(|(store, _)| has_holds(site, store)) {
        let mut conn = match database.conn() {
            Err(error) if error.kind == ErrorKind::Unreachable => continue,
            conn => conn?,
        };
        for (case, _) in held::cases(&mut conn)?.iter().filter(|(case, _)| over(case)) {
            held::exclusively(&mut conn, |conn| held::free(conn, case))?;
        }
    }
    Ok(())
}

/// What a case holds, from the first store that knows.
///
/// # Errors
/// When the state or a store cannot be asked.
pub fn about_case(site: &Site, memory: &Database, case: &CaseName) -> Result<Option<About>, Failure> {
    let records = state::all_holds(&mut *memory.conn()?)?;
    for record in records.iter().filter(|record| record.hold_case == case.as_str() && record.released_at.is_none()) {
        if let Some(found) = about(site, record)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}
