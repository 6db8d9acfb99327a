//! Summaries in another database than the rows: a sealed list of keys is written first, and only sealed rows go.
//!
//! **Invariant.** A row is added to a summary and its key is sealed in one transaction there; in its own database it goes
//! by its key alone, under the guard of the holds and the condition of the rule; its seal is forgotten when it is gone. So
//! whatever is killed, and whenever, summaries and rows that are not sealed amount to the rows that were ever written. What
//! a killed run has sealed is purged before anything else is folded; a sealed row that a hold keeps meanwhile stays sealed,
//! and is folded no second time. Seals of the same job for another table, or of another job for this one, stop everything.
//! Nothing is purged without leave to go on. Both databases fence the job by its token. Tests: `audit_rollup::across`.

use std::time::Instant;

use super::fold::{Folded, Once, Stretch, add_groups, doubt, merge_small, one, seal};
use super::proof::{Proof, totals};
use super::summary::Folding;
use crate::graph::Node;
use crate::names::StoreName;
use crate::plan::Action;
use crate::redact::Sealed;
use crate::removal::{
    Committed, Context, Done, Halt, Part, RemovalError, Task, Undone, delete_rows, enter_gate, next_id, note,
    open_store, refused_rows, transact_in,
};
use crate::store::sealed::{self, Keys, Whose};
use crate::store::target::rollup::Lock;
use crate::store::target::statements::{self, Read};
use crate::store::target::{Expr, copies};
use crate::store::{Access, Conn, Database, PooledConn, StoreError, TextRow};

/// Keys that are read at a time.
const PAGE: u64 = 5_000;
/// Keys of one deletion.
const KEYS: usize = 500;
/// So many sealed rows may be kept by holds; more would make every condition too long.
const MOST_KEPT: usize = 1_000;

/// The other database.
pub(super) struct Across {
    store: StoreName,
    whose: Whose,
    conn: PooledConn,
    /// Sealed rows that stay, since a hold keeps them.
    pub kept: Keys,
}

impl Across {
    /// Opens the summaries' store, where it is another one than the rows'.
    pub fn open(context: &Context<'_>, folding: &Folding, node: &Node) -> Result<Option<Self>, RemovalError> {
        if folding.store == node.store {
            return Ok(None);
        }
        let rows = context.stores.database(&node.store).map(Database::identity).unwrap_or_default();
        let whose = Whose::of(&context.job, rows, &node.table.label());
        let conn = open_store(context, &folding.store)?;
        Ok(Some(Self { store: folding.store.clone(), whose, conn, kept: Vec::new() }))
    }

    /// Purges what a killed run has sealed.
    pub fn settle(
        &mut self,
        context: &mut Context<'_>,
        conn: &mut Conn,
        (task, node): (&Task, &Node),
        done: &mut Done,
    ) -> Result<Option<Halt>, RemovalError> {
        if let Some(job) = sealed::foreign(&mut self.conn, &self.whose)? {
            return Err(self.stranger(&job, node));
        }
        let mut after = String::new();
        while let Some((batch, keys)) = sealed::some(&mut self.conn, &self.whose, &after)? {
            if let Some(halt) = self.purge(context, conn, (task, node), (&batch, keys), done)? {
                return Ok(Some(halt));
            }
            after = batch;
        }
        if self.kept.len() > MOST_KEPT {
            return Err(RemovalError::Doubt(format!(
                "`{}`: more than {MOST_KEPT} rows are in summaries already and kept by legal holds; nothing more is folded until these end",
                node.name
            )));
        }
        Ok(None)
    }

    fn stranger(&self, job: &str, node: &Node) -> RemovalError {
        let (store, Whose { job: own, source }) = (&self.store, &self.whose);
        let whose = if job == own { "for another table or database" } else { "for the same table" };
        RemovalError::Doubt(format!(
            "`{}`: retentiond_sealed in store `{store}` has rows that job `{job}` sealed {whose}; they are in its summaries and perhaps not purged, so nothing is folded. Where they are rows of this table, UPDATE retentiond_sealed SET job = '{own}', source = '{source}' WHERE job = '{job}'; where their table is gone, delete them there",
            node.name
        ))
    }

    /// Folds a stretch: read here, added and sealed there, purged here. `None`: something moved, nothing was sealed.
    pub fn fold(
        &mut self,
        context: &mut Context<'_>,
        conn: &mut Conn,
        (folding, task, node): (&Folding, &Task, &Node),
        (id, stretch): (&str, &Stretch),
        folded: &mut Folded,
        done: &mut Done,
    ) -> Result<Once, RemovalError> {
        let started = Instant::now();
        let read = conn.transaction::<_, RemovalError>(Access::ReadOnly, |conn| read(folding, conn, node, stretch))?;
        let Some(read) = read else {
            return Ok(Once::Done(Committed { parts: Vec::new(), took: started.elapsed() }));
        };
        let fenced = context.ledgers.get(&self.store).copied().unwrap_or_default();
        let (keys, whose) = (read.keys.clone(), &self.whose);
        seal(context, folding, node, (id, stretch), keys.len() as u64)?;
        let sealed = self.conn.transaction::<(), Undone>(Access::Snapshot, |conn| {
            if fenced {
                enter_gate(context, conn)?;
            }
            add(folding, conn, node, stretch, read, folded)?;
            Ok(sealed::seal(conn, whose, id, &keys)?)
        });
        match sealed {
            Ok(()) => {}
            Err(Undone::Again) => return Ok(Once::Again),
            Err(Undone::Failed(RemovalError::Store(error))) if error.is_transient() => return Ok(Once::Again),
            Err(Undone::Failed(error)) => return Err(error),
        }
        folded.rows = keys.len() as u64;
        let took = started.elapsed();
        // A run that ends here leaves seals behind, and the next one begins with them.
        let halted = self.purge(context, conn, (task, node), (id, keys), done)?;
        Ok(halted.map_or(Once::Done(Committed { parts: Vec::new(), took }), Once::Halted))
    }

    /// Deletes sealed rows by their keys and forgets the seals of those that are gone. A row that stays although nothing
    /// holds it stops the run: whatever keeps it would keep it for ever.
    fn purge(
        &mut self,
        context: &mut Context<'_>,
        conn: &mut Conn,
        (task, node): (&Task, &Node),
        (batch, keys): (&str, Keys),
        done: &mut Done,
    ) -> Result<Option<Halt>, RemovalError> {
        let key = node.key_operands(&node.own());
        for part in keys.chunks(KEYS) {
            if let Some(halt) = context.permit.next()? {
                return Ok(Some(halt));
            }
            let these = Expr::KeyIn(key.clone(), part.to_vec().into());
            let condition = context.graph.guard(node, task.due_rows(context.graph, node).and(these.clone()));
            let stayed = statements::count_guarded(node.backend, &node.at, &condition);
            let id = next_id(context);
            let mut tries = 0;
            let committed = loop {
                let part = transact_in(context, conn, task, node, (&id, Access::ReadWrite), |conn| {
                    let rows = delete_rows(context, conn, node, statements::Access::Any, &condition)?;
                    let stayed = one(conn, &stayed)?.count(0).unwrap_or_default().unsigned_abs();
                    if stayed > 0 {
                        return Err(refused_rows(node, rows + stayed, rows));
                    }
                    Ok(vec![Part { data: node.name.clone(), action: Action::Fold, rows, files: 0 }])
                })?;
                tries += 1;
                match part {
                    Some(committed) => break committed,
                    // What is sealed and not purged is purged by the next run.
                    None if tries > 50 => return Err(crate::removal::blocked(node)),
                    None => std::thread::sleep(std::time::Duration::from_millis(20)),
                }
            };
            note(context, task, &committed, done);
            let read = Read {
                table: &node.at,
                columns: &key,
                lookups: &[],
                condition: &these,
                order: &key,
                skip: 0,
                limit: KEYS as u64,
                lock: false,
            };
            let left: Keys = conn.rows(&statements::read(node.backend, &read))?.into_iter().map(key_of).collect();
            let gone: Keys = part.iter().filter(|key| !left.contains(key)).cloned().collect();
            let whose = &self.whose;
            self.conn
                .transaction::<(), StoreError>(Access::ReadWrite, |conn| sealed::forget(conn, whose, batch, &gone))?;
            self.kept.extend(left);
        }
        Ok(None)
    }
}

fn key_of(row: TextRow) -> Vec<Sealed> {
    row.into_values().into_iter().flatten().collect()
}

/// What is known of a stretch from its own database, from one snapshot.
struct Rows {
    found: TextRow,
    groups: Vec<TextRow>,
    keys: Keys,
}

fn read(folding: &Folding, conn: &mut Conn, node: &Node, stretch: &Stretch) -> Result<Option<Rows>, RemovalError> {
    let rollup = &folding.rollup;
    let found = one(conn, &rollup.totals_of_rows(&stretch.rows, Lock::Nothing, true))?;
    let rows = folding.count_of(&found);
    if rows == 0 {
        return Ok(None);
    }
    let groups = conn.rows(&rollup.groups(&stretch.periods, &stretch.rows, Lock::Nothing))?;
    let (key, mut keys): (_, Keys) = (node.key_operands(&node.own()), Vec::new());
    loop {
        let after = keys.last().cloned();
        let page = copies::page(node.backend, &node.at, &key, (&key, after.as_deref()), &stretch.rows, PAGE);
        let found = conn.rows(&page)?;
        let last = (found.len() as u64) < PAGE;
        keys.extend(found.into_iter().map(key_of));
        if last {
            break;
        }
    }
    if keys.len() as u64 != rows {
        let message = format!("`{}`: {rows} rows have {} keys; nothing was folded", node.name, keys.len());
        return Err(RemovalError::Doubt(message));
    }
    Ok(Some(Rows { found, groups, keys }))
}

/// Adds what was read to the summaries, and holds them against it.
fn add(
    folding: &Folding,
    conn: &mut Conn,
    node: &Node,
    stretch: &Stretch,
    read: Rows,
    folded: &mut Folded,
) -> Result<(), Undone> {
    let labels = stretch.periods.distinct();
    let before = Some(totals(conn, folding, &labels)?);
    let mut proof = Proof {
        folding,
        node,
        labels: &labels,
        before,
        found: read.found,
        counted: None,
        distinct: Vec::new(),
        now: None,
    };
    add_groups(folding, conn, &labels, read.groups)?;
    if folding.least > 1 && stretch.finishes {
        merge_small(conn, stretch, 0, &mut proof)?;
    }
    match proof.compare(conn, folded) {
        // Nobody else writes these summaries: here a number that differs is a wrong one, on every database.
        Err(Undone::Again) => {
            Err(doubt(format!("`{}`: the summaries do not amount to the rows; nothing was purged", node.name)))
        }
        other => other,
    }
}
