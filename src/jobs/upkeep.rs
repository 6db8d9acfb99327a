//! What every job that removes rows does around it: files of killed runs are settled, old trash goes, keys are at hand.

use std::collections::BTreeMap;

use super::session::{Report, Session};
use crate::config::period::Period;
use crate::graph::Graph;
use crate::names::{DataName, StoreName};
use crate::redact::Sealed;
use crate::removal::{self, RemovalError, Task};
use crate::trail::Act;

/// Brings back or commits what a killed run left in the trash.
pub(super) fn settle_files(session: &mut Session<'_>, tasks: &[Task]) -> Result<(), RemovalError> {
    for (store, databases) in file_stores(session.look.graph, tasks) {
        let Some(root) = session.look.stores.root(&store) else { continue };
        let trail = session.permit.trail();
        let recovery = removal::recover_files(
            root,
            session.look.stores,
            &databases,
            &session.ledgers,
            &session.stop,
            session.clock.now(),
            || Ok(trail.record(vec![Act::FilesSettle { store: store.clone() }])?),
        )?;
        if recovery.committed + recovery.restored + recovery.conflicts > 0 {
            let (committed, restored, conflicts) = (recovery.committed, recovery.restored, recovery.conflicts);
            let settled = Act::FilesSettled { store: store.clone(), committed, restored, conflicts };
            session.permit.trail().record(vec![settled])?;
            session.progress.note(&format!(
                "file store `{store}`: a killed run left {} files to commit and {} to put back; {} could not be put back",
                recovery.committed, recovery.restored, recovery.conflicts
            ));
        }
    }
    Ok(())
}

/// Unlinks what has been in the trash for longer than the grace.
pub(super) fn sweep_files(session: &mut Session<'_>, report: &mut Report, tasks: &[Task]) -> Result<(), RemovalError> {
    for store in file_stores(session.look.graph, tasks).into_keys() {
        let Some(root) = session.look.stores.root(&store) else { continue };
        let grace = session.look.document.stores.get(&store).and_then(|store| store.grace.as_ref());
        let grace = grace.map_or(chrono::TimeDelta::days(1), Period::approximate);
        let trail = session.permit.trail();
        let announce = |files| Ok(trail.record(vec![Act::FilesSweep { store: store.clone(), files }])?);
        let files = removal::sweep_files(root, &session.stop, session.clock.now(), grace, announce)?;
        if files > 0 {
            trail.record(vec![Act::FilesSwept { store, files }])?;
        }
        report.swept_files += files;
    }
    Ok(())
}

/// The file stores that tasks touch, each with the databases whose rows name its files.
fn file_stores(graph: &Graph, tasks: &[Task]) -> BTreeMap<StoreName, Vec<StoreName>> {
    let mut stores: BTreeMap<StoreName, Vec<StoreName>> = BTreeMap::new();
    let entries = tasks
        .iter()
        .flat_map(|task| std::iter::once(&task.root).chain(task.branches.iter().map(|branch| &branch.data)));
    for node in entries.filter_map(|name| graph.node(name)) {
        if let Some(file) = &node.file {
            // A batch of any database that uses the folder may have left something there.
            let databases = stores.entry(file.store.clone()).or_default();
            databases.extend(
                graph
                    .children_first()
                    .filter(|other| other.file.as_ref().is_some_and(|other| other.store == file.store))
                    .map(|other| other.store.clone()),
            );
            databases.sort();
            databases.dedup();
        }
    }
    stores
}

pub(super) fn hash_keys(graph: &Graph, tasks: &[Task]) -> Result<BTreeMap<(DataName, String), Sealed>, RemovalError> {
    let mut keys = BTreeMap::new();
    let entries = tasks
        .iter()
        .flat_map(|task| std::iter::once(&task.root).chain(task.branches.iter().map(|branch| &branch.data)));
    for node in entries.filter_map(|name| graph.node(name)) {
        for (column, secret) in &node.hash_keys {
            let key = secret.resolve().map_err(|error| RemovalError::Doubt(error.to_string()))?;
            keys.insert((node.name.clone(), column.clone()), key);
        }
    }
    Ok(keys)
}
