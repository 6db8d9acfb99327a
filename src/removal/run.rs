//! Running tasks one after the other.

use super::windows::has_rowid_key;
use super::{Context, Done, Halt, RemovalError, Task, key_lists, windows};
use crate::graph::{Graph, Node};
use crate::plan::Strategy;
use crate::store::Backend;

/// A large share of a table is walked by its pages; below it the time column's index reads less.
const LARGE_SHARE: f64 = 0.25;
/// On MariaDB and SQLite, ranges of the clustered key beat the secondary index from here on.
const LARGE_SHARE_CLUSTERED: f64 = 0.10;

/// Does one task to its end, or to a halt.
///
/// # Errors
/// What stopped it; everything committed before stays committed and is in `done`.
pub fn remove(context: &mut Context<'_>, task: &Task, done: &mut Done) -> Result<Option<Halt>, RemovalError> {
    let graph = context.graph;
    let Some(node) = graph.node(&task.root) else { return Ok(None) };
    let ended = match task.strategy {
        Strategy::KeyLists | Strategy::WithParent => key_lists::run(context, task, node, done),
        Strategy::TimeWindows | Strategy::KeyWindows | Strategy::PhysicalRanges => {
            windows::run(context, task, node, done)
        }
    };
    // A statement that only looks for rows may be the first to find that a column is gone.
    ended.map_err(|error| match windows::open(context, node, false) {
        Ok(mut conn) => context.watch.explain(&mut conn, (graph, node, task), error),
        Err(_) => error,
    })
}

/// Chooses how the rows of a task are walked, from the catalog and from the share of the table that is due.
pub fn choose_strategy(graph: &Graph, node: &Node, has_branches: bool, by_age: bool, share: f64) -> Strategy {
    let computed = super::overwriting::is_computed(node) && node.fate == crate::graph::Fate::Anonymise;
    let tied = crate::graph::ties::is_tied(graph, &node.name);
    let referred = graph.unlinks(&node.name).next().is_some() && node.fate == crate::graph::Fate::Delete;
    let individual = has_branches
        || tied
        || referred
        || computed
        || node.file.is_some()
        || node.shared
        || node.self_link().is_some();
    if individual && !node.key.is_empty() {
        return Strategy::KeyLists;
    }
    let indexed = by_age && node.age.as_ref().is_some_and(|age| age.indexed);
    match node.backend {
        Backend::Postgres if !node.table.partitions.is_empty() => {
            if node.key.is_empty() || indexed {
                Strategy::TimeWindows
            } else {
                Strategy::KeyWindows
            }
        }
        Backend::Postgres if indexed && share < LARGE_SHARE => Strategy::TimeWindows,
        Backend::Postgres => Strategy::PhysicalRanges,
        Backend::Mysql if node.key.is_empty() => Strategy::TimeWindows,
        Backend::Mysql if indexed && share < LARGE_SHARE_CLUSTERED => Strategy::TimeWindows,
        Backend::Mysql => Strategy::KeyWindows,
        Backend::Sqlite if node.key.is_empty() => Strategy::TimeWindows,
        Backend::Sqlite if indexed && (share < LARGE_SHARE_CLUSTERED || !has_rowid_key(node)) => Strategy::TimeWindows,
        Backend::Sqlite => Strategy::KeyWindows,
    }
}
