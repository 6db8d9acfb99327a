//! A release by two persons who ask the daemon one after the other.
//!
//! **Invariant.** What ends is what the first of them asked for: a hold of the same case that was placed later stands, with
//! its rows, until two persons ask for its release too. Who is who is what the kernel says of the connection.

use chrono::{DateTime, Utc};

use super::{free_everywhere, own, refresh};
use crate::control::failure::{Exit, Failure};
use crate::control::recording;
use crate::control::site::Site;
use crate::names::{CaseName, StoreName};
use crate::store::pool::Database;
use crate::store::state;
use crate::trail::Act;

/// Who asks for a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asker {
    /// The Unix user.
    pub name: String,
    /// The user's number; not known of releases that an older version noted.
    pub uid: Option<u32>,
}

/// Notes that somebody asks for the release of a case, where two persons must; gives the first one once the second asks.
///
/// # Errors
/// When no hold of the case stands, or one person asks twice.
pub fn second(
    memory: &Database,
    case: &CaseName,
    by: (&str, u32),
    now: DateTime<Utc>,
) -> Result<Option<Asker>, Failure> {
    own::refuse(case)?;
    let mut conn = memory.conn()?;
    let mut standing = state::all_holds(&mut conn)?;
    standing.retain(|hold| hold.hold_case == case.as_str() && hold.is_active(now));
    if standing.is_empty() {
        return Err(Failure::new(Exit::Usage, format!("error: no hold of case `{case}` stands")));
    }
    let asker = |hold: &state::HoldRecord| {
        let uid = hold.released_uid.and_then(|uid| u32::try_from(uid).ok());
        hold.released_by.clone().map(|name| Asker { name, uid })
    };
    let same = |asker: &Asker| asker.uid.map_or(asker.name == by.0, |uid| uid == by.1);
    let askers: Vec<Option<Asker>> = standing.iter().map(asker).collect();
    if let Some(first) = askers.iter().flatten().find(|asker| !same(asker)) {
        return Ok(Some(first.clone()));
    }
    if askers.iter().all(Option::is_some) {
        let text = "error: not released: a release needs a second person, and this is the same one";
        return Err(Failure::new(Exit::Braked, text));
    }
    drop(conn);
    let holds = standing.iter().filter(|hold| hold.released_by.is_none()).map(|hold| recording::id(&hold.id)).collect();
    recording::note(memory, Act::HoldReleaseAsked { holds })?;
    state::ask_release(&mut *memory.conn()?, case.as_str(), by)?;
    Ok(None)
}

/// Ends the holds of a case that the first person asked for; gives how many, and how many of the case still stand.
///
/// # Errors
/// When a store cannot be reached: its rows are freed when a run next begins there.
pub fn grant(
    site: &Site,
    memory: &Database,
    case: &CaseName,
    (first, second): (&Asker, &str),
    now: DateTime<Utc>,
) -> Result<(usize, usize), Failure> {
    own::refuse(case)?;
    let mut standing = state::all_holds(&mut *memory.conn()?)?;
    standing.retain(|hold| hold.hold_case == case.as_str() && hold.is_active(now));
    let (asked, left): (Vec<_>, Vec<_>) =
        standing.iter().partition(|hold| hold.released_by.as_ref() == Some(&first.name));
    let holds = asked.iter().map(|hold| recording::id(&hold.id)).collect();
    // The record is the second person's, who acts; it names the first.
    recording::note(memory, Act::HoldRelease { holds, second: first.uid })?;
    let ended = state::grant_release(&mut *memory.conn()?, case.as_str(), (&first.name, second), now)?;
    if left.is_empty() {
        free_everywhere(site, case)?;
    } else {
        let stores: Vec<StoreName> = site.stores.databases().map(|(store, _)| store.clone()).collect();
        refresh(site, memory, &stores, now)?;
    }
    Ok((ended, left.len()))
}
