//! A restored database is brought up to date: whom it brought back goes again.
//!
//! **Invariant.** Persons are found by the keyed hashes of their erasures alone: each value that the map says names
//! somebody is hashed and compared, page by page. Users who were seen to be gone are found by their hashes as well;
//! of them goes what their own database brought back and goes at once with them: their row too, but where the rows
//! themselves say who is gone, since such a row stays for as long as the cleanup says. All else of theirs, names that
//! something still refers to among it, is left to the ordinary cleanup, which knows since when they are gone. Only
//! when all that were found are gone again is the store released for ordinary jobs.

use std::collections::{BTreeMap, BTreeSet};

use super::erasing;
use super::failure::{Exit, Failure};
use super::marks::ADOPTED;
use super::persons::{KEY, digest, joined_key};
use super::ran::{Ended, Ran};
use super::recording;
use super::runner::{Options, run_job};
use super::site::Site;
use crate::graph::walk::find;
use crate::graph::walk::scan::scan;
use crate::graph::{Address, AddressLink, KeyLink, Node, PersonKind, Subject};
use crate::jobs::Outcome;
use crate::jobs::directory_cleanup::{gone_digest, own_entries};
use crate::jobs::erasure::Erasure;
use crate::jobs::session::RunProgress;
use crate::names::{JobName, StoreName};
use crate::redact::Sealed;
use crate::store::pool::Database;
use crate::store::state::{self, ErasureRecord, HashKey};
use crate::store::target::Expr;
use crate::store::{StoreError, gate, ledger};
use crate::trail::{self, Act, Entry};

/// The name under which users who came back are removed again.
const REPLAY: &str = "replay";
/// Users whose hashes are looked up together.
const CHUNK: usize = 500;

/// What a replay did.
pub struct Replayed {
    /// The erasures that no backup horizon has outlived.
    pub erasures: usize,
    /// How many persons (by key or address) were there again.
    pub found: usize,
    /// How many users who had been seen to be gone were there again.
    pub returned: usize,
    /// How many of these have a row of their own that does not say any more that they are gone.
    pub unmarked: usize,
    /// Their erasures.
    pub runs: Vec<Ran>,
}

impl Replayed {
    /// Whether everybody is gone again.
    pub fn is_complete(&self) -> bool {
        self.runs.iter().all(|ran| matches!(ran.ended, Ended::With(Outcome::Complete)))
    }
}

/// The hashes that are looked for, and what they look at.
struct Wanted<'a> {
    keys: Vec<HashKey>,
    erasures: BTreeMap<(String, String), ErasureRecord>,
    kinds: Vec<&'a PersonKind>,
    found: Vec<Subject>,
    seen: BTreeSet<(String, String)>,
}

impl Wanted<'_> {
    /// The erasure of whoever this value names.
    fn erasure(&mut self, person: &PersonKind, kind: &str, value: &str) -> Option<ErasureRecord> {
        let hit = self.keys.iter().find_map(|key| {
            let mark = (kind.to_owned(), digest(key, &person.name, kind, value));
            self.erasures.get(&mark).map(|erasure| (mark, erasure.clone()))
        });
        let (mark, erasure) = hit?;
        self.seen.insert(mark).then_some(erasure)
    }

    fn note(&mut self, mut subject: Subject, erasure: &ErasureRecord) {
        subject.from = erasure.range_from.map(|at| at.and_utc());
        subject.to = erasure.range_to.map(|at| at.and_utc());
        self.found.push(subject);
    }

    fn look_at_key(&mut self, kind: &PersonKind, key: Vec<Sealed>) {
        if let Some(erasure) = self.erasure(kind, KEY, &joined_key(&key)) {
            self.note(Subject::by_key(kind, key), &erasure);
        }
    }

    fn look_at_address(&mut self, link: &AddressLink, value: &Sealed) {
        let Ok(address) = Address::new(&link.kind, link.compare, value.expose()) else { return };
        for kind in self.kinds.clone() {
            if let Some(erasure) = self.erasure(kind, &address.kind, address.value.expose()) {
                self.note(Subject::by_addresses(kind, vec![address.clone()]), &erasure);
            }
        }
    }
}

/// Removes again, from one store, whom erasures have removed before.
///
/// # Errors
/// When the store is no database of the file, or the state fails.
pub fn replay(
    site: &Site,
    memory: &Database,
    store: &StoreName,
    options: &Options,
    progress: &mut dyn RunProgress,
) -> Result<Replayed, Failure> {
    let database = database(site, store)?;
    let now = options.clock.now();
    let (keys, unexpired) = {
        let mut conn = memory.conn()?;
        state::forget_expired(&mut conn, now)?;
        (state::hash_keys(&mut conn)?, state::unexpired(&mut conn, now)?)
    };
    trail::record(memory, options.clock, vec![Entry::new(Act::ReplayBegin { store: store.clone() })])?;
    let erasures = unexpired.len();
    let marked = unexpired
        .into_iter()
        .flat_map(|(erasure, marks)| marks.into_iter().map(move |mark| (mark, erasure.clone())).collect::<Vec<_>>());
    let kinds = site.graph.people().values().collect();
    let mut wanted = Wanted { keys, erasures: marked.collect(), kinds, found: Vec::new(), seen: BTreeSet::new() };
    for node in site.graph.children_first().filter(|node| node.store == *store) {
        look(site, node, &mut wanted)?;
    }
    let returned = returned(site, memory, store)?;
    let mut replayed = Replayed {
        erasures,
        found: wanted.found.len(),
        returned: returned.jobs.len(),
        unmarked: returned.unmarked,
        runs: Vec::new(),
    };
    for subject in wanted.found {
        if options.stop.is_raised() {
            break;
        }
        let prepared = erasing::prepare(memory, subject, Some(store.clone()), now)?;
        let (ran, _) = prepared.run(site, memory, options, progress)?;
        replayed.runs.push(ran);
    }
    for job in returned.jobs {
        if options.stop.is_raised() {
            break;
        }
        replayed.runs.push(run_job(site, memory, &job, options, progress)?);
    }
    let complete = replayed.is_complete() && !options.stop.is_raised();
    let done = Act::ReplayDone { store: store.clone(), found: (replayed.found + replayed.returned) as u64, complete };
    trail::record(memory, options.clock, vec![Entry::new(done)])?;
    if complete {
        release(memory, store, database)?;
        count_as_looked_at(site, memory, store)?;
    }
    Ok(replayed)
}

/// Users whose own table has them again although they were seen to be gone.
#[derive(Default)]
struct Returned {
    /// Their removals.
    jobs: Vec<Erasure>,
    /// How many have a row that said so, which only the application can make say it again.
    unmarked: usize,
}

fn returned(site: &Site, memory: &Database, store: &StoreName) -> Result<Returned, Failure> {
    let mut found = Returned::default();
    for (kind, persons) in persons_in(site, store) {
        let Some(watch) = state::watch(&mut *memory.conn()?, kind.name.as_str())? else { continue };
        let mut keys: BTreeMap<String, Vec<Sealed>> = BTreeMap::new();
        let mut gone: Vec<(String, Vec<Sealed>)> = Vec::new();
        let mut failed = None;
        let mut sort_out = |keys: &mut BTreeMap<String, Vec<Sealed>>| -> Result<(), StoreError> {
            let digests: Vec<String> = keys.keys().cloned().collect();
            let known = state::gone_since(&mut *memory.conn()?, kind.name.as_str(), &digests)?;
            gone.extend(std::mem::take(keys).into_iter().filter(|(digest, _)| known.contains_key(digest)));
            Ok(())
        };
        // Of a kind whose rows say that somebody is gone, those that say so are as they should be.
        let alive = site.graph.alive(&kind.name, &persons.own(), 0);
        scan(&site.stores, (persons, &alive), &persons.key, &mut |values| {
            if let Some(key) = values.iter().cloned().collect::<Option<Vec<_>>>() {
                keys.insert(gone_digest(&watch.secret, &kind.name, &key), key);
            }
            if keys.len() >= CHUNK && failed.is_none() {
                failed = sort_out(&mut keys).err();
            }
        })?;
        failed.map_or(Ok(()), Err)?;
        sort_out(&mut keys)?;
        let name: JobName = REPLAY.parse().map_err(|error| Failure::new(Exit::Failed, format!("error: {error}")))?;
        if site.graph.switches().gone.contains_key(&kind.name) {
            found.unmarked += gone.len();
        }
        found.jobs.extend(gone.into_iter().map(|(digest, key)| {
            let job = Erasure::new(name.clone(), Subject::by_key(kind, key), digest, Some(store.clone()));
            job.within(own_entries(&site.graph, &kind.name))
        }));
    }
    Ok(found)
}

/// The kinds of person whose own rows stand in a store.
fn persons_in<'a>(site: &'a Site, store: &'a StoreName) -> impl Iterator<Item = (&'a PersonKind, &'a Node)> {
    let kinds = site.graph.people().values();
    kinds.filter_map(|kind| Some((kind, site.graph.persons(kind)?))).filter(move |(_, node)| node.store == *store)
}

/// The persons' own table is what it should be: it is no longer an older one than we saw last.
fn count_as_looked_at(site: &Site, memory: &Database, store: &StoreName) -> Result<(), Failure> {
    for (kind, persons) in persons_in(site, store).filter(|(_, persons)| persons.holds) {
        if let Some(watch) = state::watch(&mut *memory.conn()?, kind.name.as_str())? {
            let mut conn = find::open(&site.stores, persons)?;
            if gate::last_look(&mut conn, kind.name.as_str())? < watch.looks {
                gate::note_look(&mut conn, kind.name.as_str(), watch.looks)?;
            }
        }
    }
    Ok(())
}

/// Takes a ledger as it is, although the state does not know all of its runs.
///
/// # Errors
/// When the store is no database of the file, or cannot be asked.
pub fn adopt(site: &Site, memory: &Database, store: &StoreName) -> Result<(), Failure> {
    let database = database(site, store)?;
    if let Some(run) = ledger::newest_run(&mut *database.conn()?)? {
        recording::note(memory, Act::StoreAdopted { store: store.clone() })?;
        state::mark_store(&mut *memory.conn()?, store.as_str(), ADOPTED, &run)?;
    }
    Ok(())
}

fn database<'a>(site: &'a Site, store: &StoreName) -> Result<&'a Database, Failure> {
    match site.stores.database(store).filter(|_| site.ledgers.get(store).copied().unwrap_or_default()) {
        Some(database) => Ok(database),
        None => Err(Failure::new(Exit::Usage, format!("error: the file has no database `{store}` with a ledger"))),
    }
}

/// From here on the ledger must know what it knows now.
fn release(memory: &Database, store: &StoreName, database: &Database) -> Result<(), Failure> {
    let newest = ledger::newest_batch(&mut *database.conn()?)?;
    let run = ledger::newest_run(&mut *database.conn()?)?;
    let mut conn = memory.conn()?;
    state::unmark_store(&mut conn, store.as_str())?;
    if let (Some(batch), Some(run)) = (newest, run) {
        state::mark_store(&mut conn, store.as_str(), "replay", &batch)?;
        state::mark_store(&mut conn, store.as_str(), ADOPTED, &run)?;
    }
    Ok(())
}

/// Hashes every value of an entry that names somebody.
fn look(site: &Site, node: &Node, wanted: &mut Wanted<'_>) -> Result<(), Failure> {
    for kind in wanted.kinds.clone() {
        if kind.data.as_ref() == Some(&node.name) {
            scan(&site.stores, (node, &Expr::always()), &node.key, &mut |values| {
                if let Some(key) = values.iter().cloned().collect::<Option<Vec<_>>>() {
                    wanted.look_at_key(kind, key);
                }
            })?;
        }
    }
    for link in &node.persons {
        look_at_link(site, node, link, wanted)?;
    }
    for link in node.addresses.iter().chain(&node.mentions) {
        scan(&site.stores, (node, &Expr::always()), std::slice::from_ref(&link.column), &mut |values| {
            if let Some(Some(value)) = values.first() {
                wanted.look_at_address(link, value);
            }
        })?;
    }
    Ok(())
}

fn look_at_link(site: &Site, node: &Node, link: &KeyLink, wanted: &mut Wanted<'_>) -> Result<(), Failure> {
    let Some(kind) = site.graph.person(link.kind.as_str()) else { return Ok(()) };
    scan(&site.stores, (node, &Expr::always()), &link.columns, &mut |values| {
        if let Some(key) = link.read(values) {
            wanted.look_at_key(kind, key);
        }
    })?;
    Ok(())
}
