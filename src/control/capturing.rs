//! Changes of mapped tables, captured by triggers: what belongs into a store, what is there, and what has changed since.

use std::collections::BTreeMap;

use super::failure::{Exit, Failure};
use super::site::Site;
use crate::config::diagnostic::Diagnostics;
use crate::config::document::{Document, Entry};
use crate::config::values::AuditMode;
use crate::graph::stores::Stores;
use crate::graph::{Graph, KeyForm, KeyLink, Node};
use crate::names::StoreName;
use crate::store::capture::{self, Secret};
use crate::store::catalog::{Catalog, Column};
use crate::store::pool::PooledConn;
use crate::store::target::capture::{CHANGES, Capture, Captured, Home, Values};
use crate::store::{Backend, Conn, StoreError};

/// A database whose changes are or are to be captured.
pub struct Capturing {
    conn: PooledConn,
    catalog: Catalog,
    home: Home,
    secret: Option<Secret>,
    wanted: Vec<Capture>,
}

/// Looks at the mapped tables of a store. The table of changes itself is not captured, nor what the map leaves out.
///
/// # Errors
/// When the store is no database, or a table cannot be captured.
pub fn of_store(site: &Site, store: &StoreName) -> Result<Capturing, Failure> {
    let database = site
        .stores
        .database(store)
        .ok_or_else(|| Failure::new(Exit::Usage, format!("error: there is no database `{store}` in the file")))?;
    let mut conn = database.conn()?;
    let catalog = Catalog::read(&mut conn)?;
    let (home, secret) = at_home(&mut conn, &catalog)?;
    let wanted = wanted(&site.loaded.document, &site.graph, store, &home)?;
    Ok(Capturing { conn, catalog, home, secret, wanted })
}

/// Installs the captures of databases that were made a moment ago, where the file maps their tables of changes. What else is
/// wrong with the file is for `check` to say.
///
/// # Errors
/// When a database refuses, or a table cannot be captured.
pub fn install_mapped(document: &Document, conns: BTreeMap<StoreName, &mut Conn>) -> Result<(), Failure> {
    let mut conns: BTreeMap<StoreName, (&mut Conn, Catalog)> = conns
        .into_iter()
        .map(|(store, conn)| {
            Ok((store, {
                let catalog = Catalog::read(conn)?;
                (conn, catalog)
            }))
        })
        .collect::<Result<_, StoreError>>()?;
    let catalogs = conns.iter().map(|(store, (_, catalog))| (store.clone(), catalog.clone())).collect();
    let graph = Graph::build(document, &catalogs, &mut Diagnostics::default());
    let maps = |store: &StoreName| {
        let changes = |entry: &&Entry| entry.table.as_deref() == Some(CHANGES) && entry.store.as_ref() == Some(store);
        document.data.values().any(|entry| changes(&entry))
    };
    for (store, (conn, catalog)) in conns.iter_mut().filter(|(store, _)| maps(store)) {
        let (home, secret) = at_home(conn, catalog)?;
        let wanted = wanted(document, &graph, store, &home)?;
        let statements = capture::installation(conn, catalog, &home, (secret.as_ref(), &wanted))?;
        capture::run(conn, &statements)?;
    }
    Ok(())
}

/// Where the tables of a capture are or are to be, and the key that its triggers know.
fn at_home(conn: &mut Conn, catalog: &Catalog) -> Result<(Home, Option<Secret>), Failure> {
    let secret = Secret::for_capture(conn, catalog)?;
    Ok((Secret::known_to(secret.as_ref(), Home::of(catalog).map_err(wrong)?), secret))
}

fn wanted(document: &Document, graph: &Graph, store: &StoreName, home: &Home) -> Result<Vec<Capture>, Failure> {
    captures(document, graph, store, home).into_iter().collect::<Result<Vec<_>, _>>().map_err(wrong)
}

fn wrong(why: String) -> Failure {
    Failure::new(Exit::Configuration, format!("error: {why}"))
}

impl Capturing {
    /// How many tables are captured.
    pub fn tables(&self) -> usize {
        self.wanted.len()
    }

    /// The statements that install all of it, and take away what is installed besides.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub fn installation(&mut self) -> Result<Vec<String>, Failure> {
        let wanted = (self.secret.as_ref(), self.wanted.as_slice());
        Ok(capture::installation(&mut self.conn, &self.catalog, &self.home, wanted)?)
    }

    /// Installs all of it.
    ///
    /// # Errors
    /// When the role may not.
    pub fn install(&mut self) -> Result<(), Failure> {
        let statements = self.installation()?;
        Ok(capture::run(&mut self.conn, &statements)?)
    }

    /// Takes every trigger of ours away, whether its entry is still in the map or not; what was captured stays.
    ///
    /// # Errors
    /// When the role may not, or a trigger is there afterwards.
    pub fn remove(&mut self) -> Result<(), Failure> {
        let statements = capture::removal(&mut self.conn, &self.catalog, &self.home)?;
        capture::run(&mut self.conn, &statements)?;
        let after = Catalog::read(&mut self.conn)?;
        match capture::live(&after).first() {
            None => Ok(()),
            Some((table, trigger)) => {
                let message = format!("error: trigger `{}` on `{}` is still there", trigger.name, table.label());
                Err(Failure::new(Exit::Failed, message))
            }
        }
    }
}

/// The tables of a store that are to be captured.
fn captures(document: &Document, graph: &Graph, store: &StoreName, home: &Home) -> Vec<Result<Capture, String>> {
    let mode = |node: &Node| document.data.get(node.name.as_str()).and_then(|entry| entry.audit).unwrap_or_default();
    let nodes: Vec<&Node> = graph.children_first().filter(|node| node.store == *store).collect();
    let mut tables: Vec<String> = Vec::new();
    let mut found = Vec::new();
    for node in nodes.iter().filter(|node| node.table.name.as_str() != CHANGES) {
        let label = node.table.label();
        if tables.contains(&label) {
            continue;
        }
        // Several entries may describe one table: it is captured once, and as the strictest of them says.
        let said: Vec<AuditMode> =
            nodes.iter().filter(|other| other.table.label() == label).map(|other| mode(other)).collect();
        tables.push(label);
        if said.contains(&AuditMode::None) {
            continue;
        }
        let values = if said.contains(&AuditMode::Hash) { Values::Hashed } else { Values::Plain };
        let person = person(graph, node);
        let said = Captured { data: node.name.as_str(), key: &node.key, person: &person, values };
        let capture = Capture::new(home, &node.table, said);
        found.push(capture.map_err(|why| format!("`{}` cannot be captured: {why}", node.name)));
    }
    found
}

/// The columns that hold the key of the person whom a row is about: that of the persons' own rows, or what names them by a
/// key of one column. Of several kinds of person the first that an entry names counts.
fn person(graph: &Graph, node: &Node) -> Vec<Column> {
    if graph.people().values().any(|kind| kind.data.as_ref() == Some(&node.name)) {
        return if node.key.len() == 1 { node.key.clone() } else { Vec::new() };
    }
    let whole = |link: &&KeyLink| link.form == KeyForm::Whole && link.condition.is_empty() && link.columns.len() == 1;
    let mut links = node.persons.iter().filter(whole).peekable();
    let kind = links.peek().map(|link| link.kind.clone());
    links.filter(|link| Some(&link.kind) == kind.as_ref()).flat_map(|link| link.columns.clone()).collect()
}

/// Warns where the triggers that are there are not those that the file and the tables ask for.
pub(super) fn warn(
    document: &Document,
    graph: &Graph,
    stores: &Stores,
    catalogs: &BTreeMap<StoreName, Catalog>,
    diagnostics: &mut Diagnostics,
) -> Result<(), Failure> {
    for (store, catalog) in catalogs {
        let (Some(database), Ok(home)) = (stores.database(store), Home::of(catalog)) else { continue };
        let live = capture::live(catalog);
        let noted = if Home::is_there(catalog) { capture::captured(&mut *database.conn()?)? } else { BTreeMap::new() };
        if noted.is_empty() && live.is_empty() {
            continue;
        }
        let home = Secret::known_to(Secret::of(&mut *database.conn()?, catalog)?.as_ref(), home);
        let wanted: Vec<Capture> = captures(document, graph, store, &home).into_iter().filter_map(Result::ok).collect();
        let help = format!("`retentiond audit capture {store} --apply` captures all of it");
        let mut warn = |path: [&str; 2], message: String| {
            let path = path.map(str::to_owned).into();
            diagnostics.warning(path, message).with_help(Some(help.clone()));
        };
        // MariaDB shows triggers only to who may make them.
        let blind = live.is_empty() && catalog.backend == Backend::Mysql;
        if blind {
            let message = format!(
                "store `{store}`: the triggers that capture changes are gone, or the role may not see them (TRIGGER)"
            );
            warn(["stores", store.as_str()], message);
        }
        for capture in &wanted {
            let (there, same) = if blind {
                let note = noted.get(capture.data());
                (note.is_some(), note.is_some_and(|note| *note == capture.fingerprint()))
            } else {
                compare(capture, &live)
            };
            let what = match (there, same) {
                (_, true) => continue,
                (true, _) => {
                    "its table, its triggers or what the map says of it has changed since its changes are captured"
                }
                (false, _) => "its changes are not captured, those of other tables of the store are",
            };
            warn(["data", capture.data()], format!("`{}`: {what}", capture.data()));
        }
        let asked = |table: &str, name: &str| {
            let own = |capture: &&Capture| capture.table() == table;
            wanted.iter().filter(own).any(|capture| capture.triggers().iter().any(|(own, _)| own == name))
        };
        for (table, trigger) in live.iter().filter(|(table, trigger)| !asked(&table.label(), &trigger.name)) {
            let message = format!("`{}` is captured by `{}`, and nothing asks for it", table.label(), trigger.name);
            warn(["stores", store.as_str()], message);
        }
    }
    Ok(())
}

/// Whether triggers of a capture are there, and whether they are all of them and do what they should.
fn compare(capture: &Capture, live: &[capture::Live<'_>]) -> (bool, bool) {
    let of_table = |name: &str| {
        let own = live.iter().find(|(table, trigger)| table.label() == capture.table() && trigger.name == name);
        own.map(|(_, trigger)| trigger.body.as_str())
    };
    let triggers = capture.triggers();
    let there = triggers.iter().any(|(name, _)| of_table(name).is_some());
    (there, triggers.iter().all(|(name, body)| of_table(name).is_some_and(|live| live.contains(body.as_str()))))
}
