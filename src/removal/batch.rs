//! One batch: one transaction under the gate, with its ledger row, intended in the trail before it begins.

use std::time::{Duration, Instant};

use super::{Context, RemovalError, Task};
use crate::graph::Node;
use crate::names::{DataName, StoreName};
use crate::plan::Action;
use crate::store::gate::{self, GateError};
use crate::store::ledger::{self, LedgerRow};
use crate::store::{Access, Conn, ErrorKind, StoreError};

/// Rows of one entry that a batch removed.
#[derive(Clone)]
pub(crate) struct Part {
    pub data: DataName,
    pub action: Action,
    pub rows: u64,
    pub files: u64,
}

/// A committed batch.
pub(crate) struct Committed {
    pub parts: Vec<Part>,
    pub took: Duration,
}

impl Committed {
    pub fn rows(&self) -> u64 {
        self.parts.iter().map(|part| part.rows).sum()
    }
}

/// Why a batch was rolled back.
pub(crate) enum Undone {
    /// Something moved under it; the same batch may be tried again.
    Again,
    /// An error of the run.
    Failed(RemovalError),
}

impl From<StoreError> for Undone {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

/// The id of the next batch.
pub(crate) fn next_id(context: &mut Context<'_>) -> String {
    context.batches += 1;
    format!("{}-{:06}", context.run, context.batches)
}

/// Runs `work` as one batch. `None`: something moved or timed out, nothing was done, a smaller batch may do.
pub(super) fn transact(
    context: &Context<'_>,
    conn: &mut Conn,
    task: &Task,
    node: &Node,
    id: &str,
    work: impl FnOnce(&mut Conn) -> Result<Vec<Part>, Undone>,
) -> Result<Option<Committed>, RemovalError> {
    transact_in(context, conn, task, node, (id, Access::ReadWrite), work)
}

/// The same in a transaction of the given kind.
pub(crate) fn transact_in(
    context: &Context<'_>,
    conn: &mut Conn,
    task: &Task,
    node: &Node,
    (id, access): (&str, Access),
    work: impl FnOnce(&mut Conn) -> Result<Vec<Part>, Undone>,
) -> Result<Option<Committed>, RemovalError> {
    let ledger = context.ledgers.get(&node.store).copied().unwrap_or_default();
    context.watch.look(conn, context.graph, node, task)?;
    announce(context, conn)?;
    conn.announce_removal()?;
    let started = Instant::now();
    let result = conn.transaction::<Vec<Part>, Undone>(access, |conn| {
        if ledger {
            let known = enter_knowing(context, conn, context.permit.last_batch(&node.store).as_deref())?;
            if !known {
                return Err(Undone::Failed(RemovalError::Refused(super::restored(&node.store))));
            }
        }
        conn.begin_removal()?;
        let parts = work(conn)?;
        if ledger {
            write_ledger(context, conn, task, id, &parts)?;
        }
        conn.end_removal()?;
        Ok(parts)
    });
    let took = started.elapsed();
    match result {
        Ok(parts) => {
            let counts = parts.iter().map(|part| (&part.data, part.action.as_str(), part.rows, part.files));
            context.permit.trail().done(context.batches, counts);
            let removed = parts.iter().any(|part| part.rows > 0);
            if ledger && removed {
                context.permit.committed(&node.store, id);
            }
            if ledger || removed {
                context.watch.note(&node.store);
            }
            Ok(Some(Committed { parts, took }))
        }
        Err(Undone::Again) => Ok(None),
        Err(Undone::Failed(RemovalError::Store(error))) if error.is_transient() => Ok(None),
        Err(Undone::Failed(error)) => {
            Err(context.watch.explain(conn, (context.graph, node, task), named(node, task, error)))
        }
    }
}

/// A refusal of the database says which rows were about to go.
fn named(node: &Node, task: &Task, error: RemovalError) -> RemovalError {
    let refused = |kind| matches!(kind, ErrorKind::ForeignKey | ErrorKind::Constraint | ErrorKind::Permission);
    match error {
        RemovalError::Store(error) if refused(error.kind) => {
            let along = if task.branches.is_empty() { "" } else { " and what belongs to them" };
            RemovalError::Store(error.context(&format!(
                "rows of `{}` (table `{}`){along}",
                node.name,
                node.table.label()
            )))
        }
        error => error,
    }
}

/// The batch is intended in the trail before its transaction begins. Where the trail has to say what the last batches did,
/// they are on disk before that.
fn announce(context: &Context<'_>, conn: &mut Conn) -> Result<(), RemovalError> {
    let trail = context.permit.trail();
    if trail.is_due(context.batches) {
        conn.flush()?;
        trail.intend(context.batches)?;
    }
    Ok(())
}

/// Enters the gate of a database within a transaction that writes there.
pub(crate) fn enter(context: &Context<'_>, conn: &mut Conn) -> Result<(), Undone> {
    let entered = gate::enter(conn, &context.job, context.token);
    still_ours(context, entered)
}

/// The same, with what is to be known behind it; whether the ledger knows a batch.
fn enter_knowing(context: &Context<'_>, conn: &mut Conn, last: Option<&str>) -> Result<bool, Undone> {
    let entered = gate::enter_knowing(conn, &context.job, context.token, last);
    still_ours(context, entered)
}

/// Behind the gate nobody can take the job over before this batch is committed.
fn still_ours<T>(context: &Context<'_>, entered: Result<T, GateError>) -> Result<T, Undone> {
    match entered {
        Ok(known) if context.permit.holds() => Ok(known),
        Ok(_) | Err(GateError::Overtaken) => Err(Undone::Failed(RemovalError::Overtaken)),
        Err(GateError::Store(error)) => Err(Undone::Failed(error.into())),
    }
}

/// Waits until what was committed is on disk. When the server does not answer, its last batches may be lost with the ledger
/// rows that name them.
///
/// # Errors
/// When the server does not answer.
pub(crate) fn settle(context: &Context<'_>, conn: &mut Conn, store: &StoreName) -> Result<(), RemovalError> {
    conn.settle().map_err(|error| {
        context.permit.unsettled(store);
        error.into()
    })
}

/// The ledger has one row for each entry and action of a batch; the first bears the batch's id, which is how a recovery
/// of files knows that the batch was committed.
fn write_ledger(
    context: &Context<'_>,
    conn: &mut Conn,
    task: &Task,
    id: &str,
    parts: &[Part],
) -> Result<(), StoreError> {
    let written_at = context.clock.now();
    let rows = parts.iter().filter(|part| part.rows > 0).enumerate().map(|(position, part)| LedgerRow {
        batch: if position == 0 { id.to_owned() } else { format!("{id}.{position}") },
        run: context.run.clone(),
        job: context.job.clone(),
        data: part.data.to_string(),
        action: part.action.as_str().to_owned(),
        rule: Some(task.rule.clone()),
        rows: part.rows,
        files: part.files,
        cutoff: task.due.cutoff(),
        written_at,
    });
    ledger::write(conn, &rows.collect::<Vec<_>>())
}

/// Rows of an entry stayed although the database was told to remove them.
pub(super) fn refused(node: &Node) -> Undone {
    Undone::Failed(RemovalError::Store(StoreError::new(
        ErrorKind::Refused,
        format!(
            "`{}`: rows stay that the database was told to remove; a trigger, a rule or row security stands in the way. The batch was rolled back, its files are in place",
            node.name
        ),
    )))
}

/// The database removed fewer rows than were locked for it: a trigger, a rule or row security stands in the way.
pub(crate) fn refused_rows(node: &Node, asked: u64, done: u64) -> Undone {
    Undone::Failed(RemovalError::Store(StoreError::new(
        ErrorKind::Refused,
        format!(
            "`{}`: the database touched {done} of {asked} rows that it had locked for the batch; a trigger, a rule or row security stands in the way. The batch was rolled back",
            node.name
        ),
    )))
}
