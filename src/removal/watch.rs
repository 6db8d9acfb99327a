//! Whether the tables are still those that the plan was made for.
//!
//! **Invariant.** A plan says what a deletion does by the columns, triggers and foreign keys that the catalog showed. A
//! column, a trigger or a cascading key that comes while batches run would make it do something else, so the run stops,
//! as failed, and the next one makes a new plan. The catalog is looked at before the first batch in a store and again
//! each second ([`EVERY`]), less often where it is large, and after a batch that the database refused: what it refused
//! may have been a column that is gone. It is not read again where nobody but the run's own batches has written anything to
//! the whole server since ([`Moment`]). Tests: `schema_changes`, `store_connections::who_writes_to_postgresql_is_seen`.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::{RemovalError, Task};
use crate::graph::{Graph, Node};
use crate::names::{DataName, StoreName};
use crate::store::Conn;
use crate::store::catalog::Catalog;
use crate::store::quiet::Moment;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);
/// A look may take this part of the time, unless that were longer than [`LONGEST`].
const SHARE: u32 = 20;
/// Between two looks at most, however long one takes.
const LONGEST: Duration = Duration::from_secs(5);

/// The last reading of each store's catalog.
#[derive(Default)]
pub struct Watch(RefCell<BTreeMap<StoreName, Reading>>);

/// A reading of a catalog.
#[derive(Clone)]
struct Reading {
    /// When it is looked at next.
    next: Instant,
    /// For which tables it was looked at.
    seen: BTreeSet<DataName>,
    /// When it was read, if nobody was writing then.
    quiet: Option<Moment>,
    /// How many batches have surely written since.
    wrote: u64,
}

impl Watch {
    /// Looks if it is time to, or if the task touches tables that were not looked at yet.
    pub(super) fn look(&self, conn: &mut Conn, graph: &Graph, node: &Node, task: &Task) -> Result<(), RemovalError> {
        let touched = touched(task);
        let last = self.0.borrow().get(&node.store).cloned();
        let started = Instant::now();
        if let Some(last) = last.as_ref().filter(|last| touched.is_subset(&last.seen)) {
            if started < last.next {
                return Ok(());
            }
            if last.is_true_still(conn)? {
                let next = started + EVERY;
                self.0.borrow_mut().insert(node.store.clone(), Reading { next, ..last.clone() });
                return Ok(());
            }
        }
        let seen: BTreeSet<DataName> = last.into_iter().flat_map(|last| last.seen).chain(touched).collect();
        let quiet = conn.quiet_moment()?;
        look_at(conn, graph, node, &seen)?;
        let next = Instant::now() + EVERY.max(started.elapsed() * SHARE).min(LONGEST);
        self.0.borrow_mut().insert(node.store.clone(), Reading { next, seen, quiet, wrote: 0 });
        Ok(())
    }

    /// A batch was committed that surely wrote to the store.
    pub(super) fn note(&self, store: &StoreName) {
        if let Some(last) = self.0.borrow_mut().get_mut(store) {
            last.wrote += 1;
        }
    }

    /// The error of a batch, or what has changed if that explains it.
    pub(super) fn explain(
        &self,
        conn: &mut Conn,
        (graph, node, task): (&Graph, &Node, &Task),
        error: RemovalError,
    ) -> RemovalError {
        match look_at(conn, graph, node, &touched(task)) {
            Err(changed @ RemovalError::Doubt(_)) => changed,
            Ok(()) | Err(_) => error,
        }
    }
}

impl Reading {
    /// Whether nobody can have changed the catalog since it was read.
    fn is_true_still(&self, conn: &mut Conn) -> Result<bool, RemovalError> {
        Ok(match self.quiet {
            Some(moment) => moment.was_ours_alone(conn, self.wrote)?,
            None => false,
        })
    }
}

/// The entries whose rows a task touches.
fn touched(task: &Task) -> BTreeSet<DataName> {
    task.branches.iter().map(|branch| &branch.data).chain([&task.root]).cloned().collect()
}

fn look_at(conn: &mut Conn, graph: &Graph, node: &Node, touched: &BTreeSet<DataName>) -> Result<(), RemovalError> {
    let catalog = Catalog::read(conn)?;
    let here = touched.iter().filter_map(|name| graph.node(name)).filter(|other| other.store == node.store);
    for node in here {
        let now = catalog
            .table(node.table.schema.as_ref().map(crate::store::Ident::as_str), node.table.name.as_str())
            .map(|table| catalog.picture(table));
        if now.as_deref() != Some(node.picture.as_str()) {
            return Err(changed(node, now.as_deref()));
        }
    }
    Ok(())
}

fn changed(node: &Node, now: Option<&str>) -> RemovalError {
    let what = now.map_or_else(|| "it is gone".to_owned(), |now| differences(&node.picture, now));
    RemovalError::Doubt(format!(
        "`{}`: table `{}` changed while the run was at work ({what}), so its plan does not hold any more. What was committed before stays; look at `retentiond check`, then run the job again",
        node.name,
        node.table.label()
    ))
}

/// What is new, gone or otherwise now, in words: `column `a`` or `trigger `b``.
fn differences(before: &str, now: &str) -> String {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
    let (before, now) = (lines(before), lines(now));
    let name = |line: &String| line.split('|').next().unwrap_or_default().trim().to_owned();
    let names: BTreeSet<String> = before.symmetric_difference(&now).map(name).collect();
    names.into_iter().collect::<Vec<_>>().join(", ")
}
