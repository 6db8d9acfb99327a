//! Legal holds: placed, listed, refreshed before a run, released.
//!
//! **Invariant.** The state remembers a hold before the first row is held, so that a run that begins meanwhile holds the
//! rows itself; `hold add` comes back only after the rows are held in every store, each under its gate, so that no older
//! batch is in flight anywhere. A store frees the rows of a case only if the state says that it was released or has
//! ended: rows of a case that the state does not know stay held. What a hold is about is read from the stores; where none
//! knows it any more, the run does not begin.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, TimeZone as _, Utc};

use super::failure::{Exit, Failure};
use super::recording;
use super::site::Site;
use crate::graph::{Address, Graph, Node, Subject, Walk, resolve_condition};
use crate::holds::{About, read_pair};
use crate::names::{CaseName, StoreName};
use crate::redact::Sealed;
use crate::removal::RemovalError;
use crate::store::pool::Database;
use crate::store::state::{self, HoldRecord};
use crate::store::target::Expr;
use crate::store::target::held::{Placing, place};
use crate::store::{Conn, Stmt, StoreError, held};
use crate::trail::Act;

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
    let (what, data) = described(&new.about);
    let record = HoldRecord {
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
    };
    let hold = recording::id(&record.id);
    let about = recording::about(&new.about);
    recording::note(memory, Act::HoldAdd { hold: hold.clone(), about, until: ends_at })?;
    state::add_hold(&mut *memory.conn()?, &record)?;
    let mut rows = BTreeMap::new();
    for store in stores {
        let Some(database) = site.stores.database(&store) else { continue };
        let mut conn = database.conn()?;
        conn.allow_long_reads()?;
        let placing = Placement::of(&site.graph, &store, &record, &new.about)?;
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
    let standing = |record: &HoldRecord| record.hold_case == case.as_str() && record.is_active(now);
    let holds = state::all_holds(&mut *memory.conn()?)?;
    let holds = holds.iter().filter(|record| standing(record)).map(|record| recording::id(&record.id)).collect();
    recording::note(memory, Act::HoldRelease { holds, second: recording::uid_of(people.1) })?;
    let mut ended = state::release_case(&mut *memory.conn()?, case.as_str(), people, now)?;
    for (_, database) in site.stores.databases().filter(|(store, _)| has_holds(site, store)) {
        let mut conn = database.conn()?;
        if held::cases(&mut conn)?.iter().any(|(held, _)| held == case.as_str()) {
            held::exclusively(&mut conn, |conn| held::free(conn, case.as_str()))?;
            ended = ended.max(1);
        }
    }
    if ended == 0 {
        return Err(Failure::new(Exit::Usage, format!("error: no hold of case `{case}` stands")));
    }
    Ok(ended)
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
        let about = about(site, record)?;
        let concerned = stores_of(site, &about).map_err(|failure| RemovalError::Doubt(failure.text().to_owned()))?;
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
fn about(site: &Site, record: &HoldRecord) -> Result<About, RemovalError> {
    for (_, database) in site.stores.databases().filter(|(store, _)| has_holds(site, store)) {
        if let Some(text) = held::read_criterion(&mut *database.conn()?, &record.hold_case, &record.id)? {
            let unknown = || {
                RemovalError::Doubt(format!(
                    "what case `{}` holds is written in a way that this version does not know",
                    record.hold_case
                ))
            };
            return About::from_text(&text).ok_or_else(unknown);
        }
    }
    Err(RemovalError::Doubt(format!(
        "no store knows any more what case `{}` holds (was a database restored?); place it again, or release it. Nothing was removed",
        record.hold_case
    )))
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

/// The kind of person or `data`, and the entry.
fn described(about: &About) -> (String, Option<String>) {
    match about {
        About::Rows { data, .. } => ("data".to_owned(), Some(data.to_string())),
        About::Person { kind, .. } => (kind.to_string(), None),
    }
}

/// The rows of an entry that a hold is about; `None` where it is not about the entry at all.
fn rows_of(graph: &Graph, node: &Node, about: &About) -> Result<Option<Expr>, String> {
    match about {
        About::Rows { data, only } if *data == node.name => {
            let mut all = Vec::new();
            for pair in only {
                all.push(pair_of(graph, node, pair)?);
            }
            Ok(Some(Expr::All(all)))
        }
        About::Rows { .. } => Ok(None),
        About::Person { .. } => {
            let subject = subject_of(graph, about)?;
            let walk = Walk::new(graph, &subject);
            if !walk.can_reach(node) && node.mentions.is_empty() {
                return Ok(None);
            }
            let scope = node.own();
            let shown = if walk.can_reach(node) { walk.shown(node, &scope, 0) } else { Expr::Any(Vec::new()) };
            Ok(Some(Expr::Any(vec![shown, walk.mentions(node, &scope)])))
        }
    }
}

/// The person whom a hold is about.
fn subject_of(graph: &Graph, about: &About) -> Result<Subject, String> {
    let About::Person { kind, key, addresses } = about else { return Err("the hold is about no person".to_owned()) };
    let person = graph.person(kind.as_str()).ok_or_else(|| format!("the file knows no [people.{kind}] any more"))?;
    let addresses = addresses
        .iter()
        .map(|(name, value)| {
            let compare =
                person.compare.get(name).ok_or_else(|| format!("a {kind} is not known by {name} any more"))?;
            Address::new(name, *compare, value).map_err(|error| error.to_string())
        })
        .collect::<Result<Vec<_>, _>>()?;
    let sealed = |key: &Vec<String>| key.iter().cloned().map(Sealed::new).collect();
    Ok(match key {
        Some(key) => Subject { addresses, ..Subject::by_key(person, sealed(key)) },
        None => Subject::by_addresses(person, addresses),
    })
}

/// What a hold about a person keeps of whom it is.
pub fn about_person(subject: &Subject) -> About {
    About::Person {
        kind: subject.kind.clone(),
        key: subject.key.as_ref().map(|key| key.iter().map(|part| part.expose().clone()).collect()),
        addresses: subject
            .addresses
            .iter()
            .map(|address| (address.kind.clone(), address.value.expose().clone()))
            .collect(),
    }
}

/// `column=value`, in the first reading that fits the column.
fn pair_of(graph: &Graph, node: &Node, pair: &str) -> Result<Expr, String> {
    let mut first = None;
    for reading in read_pair(pair)? {
        let mut wrong = None;
        let resolved = resolve_condition(graph, node, &reading, |message, help| {
            wrong = Some(help.map_or(message.clone(), |help| format!("{message}; {help}")));
        });
        match wrong {
            None => return Ok(resolved.expr(graph, &node.own(), 0)),
            Some(wrong) => first = first.or(Some(wrong)),
        }
    }
    Err(first.unwrap_or_default())
}

/// The stores that a hold concerns.
fn stores_of(site: &Site, about: &About) -> Result<Vec<StoreName>, Failure> {
    let data = match about {
        About::Rows { data, .. } => data,
        About::Person { .. } => return stores_of_person(site, about),
    };
    let Some(node) = site.graph.node(data) else {
        let near = crate::config::diagnostic::did_you_mean(
            data.as_str(),
            site.graph.children_first().map(|node| node.name.as_str()),
        );
        let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        return Err(Failure::new(Exit::Usage, format!("error: there is no data entry `{data}`{hint}")));
    };
    if !has_holds(site, &node.store) {
        return Err(cannot_hold(&node.store));
    }
    Ok(vec![node.store.clone()])
}

/// Every store in which the walk can find something about a person; all of them must be able to hold it.
fn stores_of_person(site: &Site, about: &About) -> Result<Vec<StoreName>, Failure> {
    let mut stores = Vec::new();
    for node in site.graph.children_first() {
        let rows = rows_of(&site.graph, node, about);
        let rows = rows.map_err(|message| Failure::new(Exit::Braked, format!("error: {message}")))?;
        if rows.is_none() || stores.contains(&node.store) {
            continue;
        }
        if !has_holds(site, &node.store) {
            return Err(cannot_hold(&node.store));
        }
        stores.push(node.store.clone());
    }
    Ok(stores)
}

fn cannot_hold(store: &StoreName) -> Failure {
    let text = format!(
        "error: store `{store}` does not have retentiond's tables (ledger = false), so nothing in it can be held"
    );
    Failure::new(Exit::Braked, text)
}

fn has_holds(site: &Site, store: &StoreName) -> bool {
    site.ledgers.get(store).copied().unwrap_or_default()
}

/// The end of a day in a zone: the first instant of the next.
fn end_of(day: NaiveDate, zone: chrono_tz::Tz) -> Result<DateTime<Utc>, Failure> {
    let next = day.succ_opt().map(|next| next.and_time(chrono::NaiveTime::MIN));
    let at = next.and_then(|next| {
        // A midnight that a zone leaves out comes an hour later.
        zone.from_local_datetime(&next)
            .latest()
            .or_else(|| zone.from_local_datetime(&(next + chrono::TimeDelta::hours(1))).latest())
    });
    at.map(|at| at.to_utc()).ok_or_else(|| Failure::new(Exit::Usage, "error: --until is no day of this calendar"))
}
