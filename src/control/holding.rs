//! Legal holds: placed, listed, refreshed before a run, released.
//!
//! **Invariant.** The state remembers a hold before the first row is held, so that a run that begins meanwhile holds the
//! rows itself; `hold add` comes back only after the rows are held in every store, each under its gate, so that no older
//! batch is in flight anywhere. A store frees the rows of a case only if the state says that it was released or has
//! ended: rows of a case that the state does not know stay held. What a hold is about is read from the stores; where none
//! knows it any more, the run does not begin.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};

use super::failure::{Exit, Failure};
use super::recording;
use super::requests::CASE;
use super::site::Site;
use crate::graph::Graph;
use crate::holds::About;
use crate::names::{CaseName, StoreName};
use crate::removal::RemovalError;
use crate::store::pool::Database;
use crate::store::state::{self, HoldRecord};
use crate::store::target::held::{Placing, place};
use crate::store::{Conn, Stmt, StoreError, held};
use crate::trail::{Act, Digest};

mod concerned;
mod own;
mod second;
mod show;

pub use concerned::{about_one, about_person, subject_of};
use concerned::{described, end_of, has_holds, rows_of, stores_of, stores_reached};
pub use own::{about_case, add_where_possible, free_ended, is_own, release_own};
pub use second::{Asker, grant, second};
pub use show::{placed, table, to_json};

/// A hold to be placed.
pub struct NewHold {
    /// The case.
    pub case: CaseName,
    /// What it is about.
    pub about: About,
    /// Why.
    pub why: String,
    /// The last day on which it holds.
    pub until: Option<NaiveDate>,
    /// Who places it.
    pub by: String,
}

/// One hold, or a case that only a store knows, with the rows it holds.
pub struct Listed {
    /// The case.
    pub case: String,
    /// What the state knows of it; nothing of a case that it does not know.
    pub record: Option<HoldRecord>,
    /// Held rows of the case, by store.
    pub rows: BTreeMap<StoreName, u64>,
}

/// Places a hold; gives the rows held by store.
///
/// # Errors
/// When it cannot be placed everywhere; what was placed holds all the same.
pub fn add(
    site: &Site,
    memory: &Database,
    new: &NewHold,
    now: DateTime<Utc>,
) -> Result<BTreeMap<StoreName, u64>, Failure> {
    own::refuse(&new.case)?;
    if new.why.trim().is_empty() {
        return Err(Failure::new(Exit::Usage, "error: --why says nothing"));
    }
    let stores = stores_of(site, &new.about)?;
    let ends_at = new.until.map(|day| end_of(day, site.loaded.document.timezone)).transpose()?;
    if ends_at.is_some_and(|end| end <= now) {
        return Err(Failure::new(Exit::Usage, "error: --until lies in the past"));
    }
    // Looked at before anything is remembered: a wrong condition is no hold.
    for node in site.graph.children_first() {
        rows_of(&site.graph, node, &new.about)
            .map_err(|message| Failure::new(Exit::Usage, format!("error: {message}")))?;
    }
    hold_in((site, memory), &record_of(new, ends_at, now), &new.about, stores)
}

fn record_of(new: &NewHold, ends_at: Option<DateTime<Utc>>, now: DateTime<Utc>) -> HoldRecord {
    let (what, data) = described(&new.about);
    HoldRecord {
        id: state::new_id(now),
        hold_case: new.case.to_string(),
        what,
        data,
        why: new.why.clone(),
        placed_at: now.naive_utc(),
        placed_by: new.by.clone(),
        ends_at: ends_at.map(|at| at.naive_utc()),
        released_at: None,
        released_by: None,
        approved_by: None,
        released_uid: None,
    }
}

/// Remembers a hold, and holds the rows in these stores, each under its gate.
fn hold_in(
    (site, memory): (&Site, &Database),
    record: &HoldRecord,
    about: &About,
    stores: Vec<StoreName>,
) -> Result<BTreeMap<StoreName, u64>, Failure> {
    let hold = recording::id(&record.id);
    let ends_at = record.ends_at.map(|at| at.and_utc());
    recording::note(memory, Act::HoldAdd { hold: hold.clone(), about: recording::about(about), until: ends_at })?;
    state::add_hold(&mut *memory.conn()?, record)?;
    let mut rows = BTreeMap::new();
    for store in stores {
        let Some(database) = site.stores.database(&store) else { continue };
        let mut conn = database.conn()?;
        conn.allow_long_reads()?;
        let placing = Placement::of(&site.graph, &store, record, about)?;
        rows.insert(store, held::exclusively(&mut conn, |conn| placing.place(conn, true))?);
    }
    recording::note(memory, Act::HoldPlaced { hold, rows: rows.values().sum() })?;
    Ok(rows)
}

/// All holds, and cases that only a store knows.
///
/// # Errors
/// When the state or a store cannot be asked.
pub fn list(site: &Site, memory: &Database) -> Result<Vec<Listed>, Failure> {
    let mut rows: BTreeMap<String, BTreeMap<StoreName, u64>> = BTreeMap::new();
    for (store, database) in site.stores.databases().filter(|(store, _)| has_holds(site, store)) {
        for (case, count) in held::cases(&mut *database.conn()?)? {
            rows.entry(case).or_default().insert(store.clone(), count);
        }
    }
    let records = state::all_holds(&mut *memory.conn()?)?;
    let mut listed: Vec<Listed> = records
        .into_iter()
        .map(|record| Listed {
            case: record.hold_case.clone(),
            rows: rows.get(&record.hold_case).cloned().unwrap_or_default(),
            record: Some(record),
        })
        .collect();
    for (case, rows) in rows {
        if !listed.iter().any(|known| known.case == case) {
            listed.push(Listed { case, record: None, rows });
        }
    }
    Ok(listed)
}

/// Releases a case, in the state and then in the stores; gives the number of holds that this ended.
///
/// # Errors
/// When there is no such case, or a store cannot be reached: its rows are freed when a run next begins there.
pub fn release(
    site: &Site,
    memory: &Database,
    case: &CaseName,
    people: (&str, &str),
    now: DateTime<Utc>,
) -> Result<usize, Failure> {
    own::refuse(case)?;
    let holds = unreleased(memory, case)?;
    if holds.is_empty() && holders(site, case)?.is_empty() {
        return Err(Failure::new(Exit::Usage, format!("error: no hold of case `{case}` stands")));
    }
    recording::note(memory, Act::HoldRelease { holds, second: recording::uid_of(people.1) })?;
    let ended = state::release_case(&mut *memory.conn()?, case.as_str(), people, now)?;
    Ok(ended.max(free_everywhere(site, case)?))
}

/// The holds of a case that nobody has released, as the trail names them.
fn unreleased(memory: &Database, case: &CaseName) -> Result<Vec<Digest>, Failure> {
    let holds = state::all_holds(&mut *memory.conn()?)?.into_iter();
    let mine = holds.filter(|record| record.hold_case == case.as_str() && record.released_at.is_none());
    Ok(mine.map(|record| recording::id(&record.id)).collect())
}

/// The databases that hold rows of a case.
fn holders<'a>(site: &'a Site, case: &CaseName) -> Result<Vec<&'a Database>, Failure> {
    let mut holders = Vec::new();
    for (_, database) in site.stores.databases().filter(|(store, _)| has_holds(site, store)) {
        if held::cases(&mut *database.conn()?)?.iter().any(|(held, _)| held == case.as_str()) {
            holders.push(database);
        }
    }
    Ok(holders)
}

/// Frees the rows of a case in every store that has some; 1 when there was any.
fn free_everywhere(site: &Site, case: &CaseName) -> Result<usize, Failure> {
    let holders = holders(site, case)?;
    for database in &holders {
        held::exclusively(&mut *database.conn()?, |conn| held::free(conn, case.as_str()))?;
    }
    Ok(usize::from(!holders.is_empty()))
}

/// Brings the held rows of some stores up to date: rows that came since, holds that ended.
///
/// # Errors
/// When a store refuses, or no store knows any more what a hold is about.
pub fn refresh(site: &Site, memory: &Database, stores: &[StoreName], now: DateTime<Utc>) -> Result<(), RemovalError> {
    // No connection is held while another one is waited for: runs beside this one would wait for each other.
    let records = state::all_holds(&mut *memory.conn()?)?;
    if records.is_empty() {
        return Ok(());
    }
    let mut active = Vec::new();
    for record in records.iter().filter(|record| record.is_active(now)) {
        let about = match about(site, record)? {
            Some(about) => about,
            // No database can hold anything any more, so nothing is held for a request.
            None if is_own(&record.hold_case) && !site.stores.databases().any(|(store, _)| has_holds(site, store)) => {
                continue;
            }
            None => return Err(forgotten(record)),
        };
        let concerned = if is_own(&record.hold_case) { own::able(site, &about) } else { stores_of(site, &about) };
        let concerned = concerned.map_err(|failure| RemovalError::Doubt(failure.text().to_owned()))?;
        active.push((record, about, concerned));
    }
    for store in stores.iter().filter(|store| has_holds(site, store)) {
        let Some(database) = site.stores.database(store) else { continue };
        let mut conn = database.conn()?;
        let here = held::cases(&mut conn)?;
        // A case one of whose holds has ended is placed anew with those that stand.
        let over = |case: &str| records.iter().any(|record| record.hold_case == case && !record.is_active(now));
        let ended: Vec<&str> = here.iter().map(|(case, _)| case.as_str()).filter(|case| over(case)).collect();
        let mut standing = Vec::new();
        for (record, about, _) in active.iter().filter(|(.., concerned)| concerned.contains(store)) {
            let known = held::read_criterion(&mut conn, &record.hold_case, &record.id)?.is_some();
            let anew = !known || ended.contains(&record.hold_case.as_str());
            standing.push((Placement::of(&site.graph, store, record, about)?, anew));
        }
        if ended.is_empty() && standing.is_empty() {
            continue;
        }
        conn.allow_long_reads()?;
        held::exclusively(&mut conn, |conn| {
            for case in &ended {
                held::free(conn, case)?;
            }
            for (placement, anew) in &standing {
                placement.place(conn, *anew)?;
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// What a hold is about, from the first store that knows.
fn about(site: &Site, record: &HoldRecord) -> Result<Option<About>, RemovalError> {
    for (_, database) in site.stores.databases().filter(|(store, _)| has_holds(site, store)) {
        if let Some(text) = held::read_criterion(&mut *database.conn()?, &record.hold_case, &record.id)? {
            let unknown = || {
                RemovalError::Doubt(format!(
                    "what case `{}` holds is written in a way that this version does not know",
                    record.hold_case
                ))
            };
            return About::from_text(&text).ok_or_else(unknown).map(Some);
        }
    }
    Ok(None)
}

fn forgotten(record: &HoldRecord) -> RemovalError {
    let way = match record.hold_case.strip_prefix(CASE) {
        Some(request) => format!("end the request (`retentiond report close {request} --why …`) and make it again"),
        None => "place it again, or release it".to_owned(),
    };
    RemovalError::Doubt(format!(
        "no store knows any more what case `{}` holds (was a database restored?); {way}. Nothing was removed",
        record.hold_case
    ))
}

/// What one hold does in one store.
struct Placement<'a> {
    record: &'a HoldRecord,
    text: String,
    statements: Vec<Stmt>,
}

impl<'a> Placement<'a> {
    fn of(graph: &Graph, store: &StoreName, record: &'a HoldRecord, about: &About) -> Result<Self, RemovalError> {
        let mut statements = Vec::new();
        for node in graph.children_first().filter(|node| node.store == *store) {
            let Some(rows) = rows_of(graph, node, about).map_err(RemovalError::Doubt)? else { continue };
            let what = Placing {
                data: node.name.as_str(),
                case: &record.hold_case,
                table: &node.at,
                key: &node.key_operands(&node.own()),
            };
            statements.push(place(node.backend, &what, &rows));
        }
        Ok(Self { record, text: about.to_text().map_err(RemovalError::Doubt)?, statements })
    }

    /// Holds the rows; `anew`: the store does not know yet what the hold is about. Gives the number of rows not held
    /// before.
    fn place(&self, conn: &mut Conn, anew: bool) -> Result<u64, StoreError> {
        if anew {
            held::write_criterion(conn, &self.record.hold_case, &self.record.id, &self.text)?;
        }
        let mut rows = 0;
        for stmt in &self.statements {
            rows += conn.execute(stmt)?;
        }
        Ok(rows)
    }
}
