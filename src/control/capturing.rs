//! Changes of mapped tables, captured by triggers: what belongs into a store, what is there, and what has changed since.

use std::collections::BTreeMap;

use super::failure::{Exit, Failure};
use super::site::Site;
use crate::config::diagnostic::Diagnostics;
use crate::config::document::Document;
use crate::config::values::AuditMode;
use crate::graph::Graph;
use crate::graph::stores::Stores;
use crate::names::StoreName;
use crate::store::capture;
use crate::store::catalog::Catalog;
use crate::store::target::capture::{CHANGES, Capture, Values};

/// What is to be captured in one store.
pub struct Capturing {
    /// Each mapped table whose changes are to be captured.
    pub wanted: Vec<Capture>,
    /// Tables that are captured and should not be.
    pub unwanted: Vec<Capture>,
    /// Whether the table of changes is there.
    pub is_there: bool,
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
    let catalog = Catalog::read(&mut *database.conn()?)?;
    let mut capturing = Capturing { wanted: Vec::new(), unwanted: Vec::new(), is_there: capture::is_there(&catalog) };
    for (capture, wanted) in captures(&site.loaded.document, &site.graph, store) {
        let capture = capture.map_err(|why| Failure::new(Exit::Configuration, format!("error: {why}")))?;
        if wanted { &mut capturing.wanted } else { &mut capturing.unwanted }.push(capture);
    }
    Ok(capturing)
}

/// The entries of a store, and whether each is to be captured.
fn captures<'a>(
    document: &'a Document,
    graph: &'a Graph,
    store: &'a StoreName,
) -> impl Iterator<Item = (Result<Capture, String>, bool)> + 'a {
    let mut tables: Vec<String> = Vec::new();
    graph.children_first().filter(move |node| node.store == *store).filter_map(move |node| {
        let mode = document.data.get(node.name.as_str())?.audit.unwrap_or_default();
        // Two entries may describe one table; it is captured once.
        if node.table.name.as_str() == CHANGES || tables.contains(&node.table.label()) {
            return None;
        }
        tables.push(node.table.label());
        let values = if mode == AuditMode::Hash { Values::Hashed } else { Values::Plain };
        let capture = Capture::new(node.backend, node.name.as_str(), &node.table, &node.key, values);
        Some((capture.map_err(|why| format!("`{}` cannot be captured: {why}", node.name)), mode != AuditMode::None))
    })
}

/// Warns of captured tables that have changed since, and of mapped ones that are not captured beside others that are.
pub(super) fn warn(
    document: &Document,
    graph: &Graph,
    stores: &Stores,
    catalogs: &BTreeMap<StoreName, Catalog>,
    diagnostics: &mut Diagnostics,
) -> Result<(), Failure> {
    for (store, _) in catalogs.iter().filter(|(_, catalog)| capture::is_there(catalog)) {
        let Some(database) = stores.database(store) else { continue };
        let installed = capture::captured(&mut *database.conn()?)?;
        if installed.is_empty() {
            continue;
        }
        for capture in captures(document, graph, store).filter_map(|(capture, wanted)| capture.ok().filter(|_| wanted))
        {
            let what = match installed.get(capture.data()) {
                Some(fingerprint) if *fingerprint == capture.fingerprint() => continue,
                Some(_) => "its table, or what the map says of it, has changed since its changes are captured",
                None => "its changes are not captured, those of other tables of the store are",
            };
            let help = format!("`retentiond audit capture {store} --apply` captures all of it");
            let path = vec!["data".to_owned(), capture.data().to_owned()];
            diagnostics.warning(path, format!("`{}`: {what}", capture.data())).with_help(Some(help));
        }
    }
    Ok(())
}
