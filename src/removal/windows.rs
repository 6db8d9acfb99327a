//! Walking a table by stretches: of its time column, of its key, or of its pages.
//!
//! **Invariant.** A stretch only narrows the rule's condition, it never replaces it: the statement is `WHERE rule AND
//! stretch`. The lower bound is carried along and never set back, so that dead index entries that an old snapshot keeps
//! are read once, not once for each batch. What was moved behind the walk by an update is found by the last look.

use super::batch::{self, Committed, Part};
use super::gone::delete_rows;
use super::last_look::LastLook;
use super::pace::Throttle;
use super::{Context, Done, Halt, RemovalError, Removed, Task};
use crate::graph::{Fate, MarkerColumn, Node};
use crate::names::StoreName;
use crate::plan::Strategy;
use crate::redact::Sealed;
use crate::store::target::statements::{self, Access, Marker, Read};
use crate::store::target::{Expr, Op, Operand, Scalar};
use crate::store::{Conn, ErrorKind, StoreError};

/// No window is larger than this, however fast the transactions are.
const LARGEST: u64 = 50_000;
/// No window is smaller than this for being slow: what is slow then is not its size.
const SMALLEST: u64 = 100;
/// On SQLite a commit alone was seen to take as long as the removal of thousands of rows.
const SMALLEST_SQLITE: u64 = 1_000;
/// On MariaDB and SQLite a row costs about ten times as much.
const LARGEST_ROW_STORES: u64 = 10_000;
/// Rows on a page of a table without statistics; narrow rows, so that the first batch is rather too small.
const UNKNOWN_DENSITY: u64 = 200;
/// A walk is repeated when rows were moved behind it; not for ever.
const PASSES: u32 = 4;

/// The walk over one table.
struct Walk<'t> {
    task: &'t Task,
    node: &'t Node,
    /// The rule's rows that are not done yet.
    due: Expr,
    /// Those of them that no hold keeps.
    rows: Expr,
    throttle: Throttle,
    access: Access,
    last_look: LastLook,
}

/// What a walk by key is bounded by.
struct Stretch {
    /// The rows that it is about.
    within: Expr,
    /// Where it ends.
    end: Expr,
}

/// Runs a task by windows.
pub(super) fn run(
    context: &mut Context<'_>,
    task: &Task,
    node: &Node,
    done: &mut Done,
) -> Result<Option<Halt>, RemovalError> {
    let mut conn = open(context, node, false)?;
    // No file goes with these rows.
    conn.hurry()?;
    let ended = walk(context, &mut conn, task, node, done);
    batch::settle(context, &mut conn, &node.store)?;
    ended
}

fn walk(
    context: &mut Context<'_>,
    conn: &mut Conn,
    task: &Task,
    node: &Node,
    done: &mut Done,
) -> Result<Option<Halt>, RemovalError> {
    let largest = if conn.backend() == crate::store::Backend::Postgres { LARGEST } else { LARGEST_ROW_STORES };
    let smallest = if conn.backend() == crate::store::Backend::Sqlite { SMALLEST_SQLITE } else { SMALLEST };
    let throttle = Throttle::begin(context.pace, conn, largest, smallest)?;
    let by_rowid = task.strategy == Strategy::KeyWindows && has_rowid_key(node);
    let access = if by_rowid { Access::Rowid } else { Access::Any };
    let (due, rows) = (task.due_rows(context.graph, node), task.rows(context.graph, node));
    let last_look = LastLook::begin(context, conn, node, &[])?;
    let mut walk = Walk { task, node, due, rows, throttle, access, last_look };
    // Rows may come between a pass and the look: only what was there before a pass, which then took nothing, is kept.
    let mut seen = false;
    for _ in 0..PASSES {
        let before = done.counts.clone();
        let halt = match task.strategy {
            Strategy::PhysicalRanges => walk.pages(context, conn, done)?,
            Strategy::TimeWindows => walk.times(context, conn, done)?,
            Strategy::KeyWindows | Strategy::KeyLists | Strategy::WithParent => walk.keys(context, conn, done)?,
        };
        if halt.is_some() {
            return Ok(halt);
        }
        if !walk.last_look.finds(conn, node, &walk.rows)? {
            return Ok(None);
        }
        if seen && done.counts == before {
            break;
        }
        seen = true;
    }
    Err(RemovalError::Doubt(format!(
        "`{}`: rows that are due stay in the table although they were told to go; a trigger, a rule or row security keeps them",
        node.name
    )))
}

pub(crate) fn open(
    context: &Context<'_>,
    node: &Node,
    reuse_plans: bool,
) -> Result<crate::store::pool::PooledConn, RemovalError> {
    let mut conn = open_store(context, &node.store)?;
    conn.reuse_plans(reuse_plans)?;
    Ok(conn)
}

/// A connection to a database, for a run.
pub(crate) fn open_store(
    context: &Context<'_>,
    store: &StoreName,
) -> Result<crate::store::pool::PooledConn, RemovalError> {
    let database = context
        .stores
        .database(store)
        .ok_or_else(|| StoreError::new(ErrorKind::Unreachable, format!("store `{store}` is not open")))?;
    let mut conn = database.conn()?;
    conn.allow_long_reads()?;
    Ok(conn)
}

/// SQLite: whether the key is the row's own number.
pub(super) fn has_rowid_key(node: &Node) -> bool {
    let integer = |column: &crate::store::catalog::Column| column.declared.eq_ignore_ascii_case("INTEGER");
    node.backend == crate::store::Backend::Sqlite
        && node.table.rowid
        && matches!(node.key.as_slice(), [only] if integer(only))
        && node.table.primary_key.len() == 1
        && node.table.key_columns().all(|column| node.key.iter().any(|key| key.name == column.name))
}

impl Walk<'_> {
    /// Stretches of the time column's index: `[low, high)`, each with about one batch of rows.
    fn times(
        &mut self,
        context: &mut Context<'_>,
        conn: &mut Conn,
        done: &mut Done,
    ) -> Result<Option<Halt>, RemovalError> {
        let Some(age) = self.node.age.clone() else {
            return self.keys(context, conn, done);
        };
        let time = age.operand(&self.node.own());
        let mut low: Option<Sealed> = None;
        loop {
            if let Some(halt) = context.permit.next()? {
                return Ok(Some(halt));
            }
            let from = bound(&time, Op::AtLeast, low.as_ref());
            let high = self.ahead(
                conn,
                std::slice::from_ref(&time),
                &self.rows.clone().within(from.clone()),
                self.throttle.size(),
            )?;
            let high = high.and_then(|mut row| row.pop());
            if high.is_some() && high == low {
                // More rows bear one and the same time than a batch may have.
                if let Some(halt) = self.ties(context, conn, done, &time, low.as_ref())? {
                    return Ok(Some(halt));
                }
                low = self.next_after(conn, &time, low.as_ref())?;
                if low.is_none() {
                    return Ok(None);
                }
                continue;
            }
            let window = from.and(bound(&time, Op::Below, high.as_ref()));
            if self.batch(context, conn, done, &window)?.is_none() {
                continue;
            }
            match high {
                None => return Ok(None),
                high => low = high,
            }
        }
    }

    /// The rows of one instant, by key; without a key, in one batch.
    fn ties(
        &mut self,
        context: &mut Context<'_>,
        conn: &mut Conn,
        done: &mut Done,
        time: &Operand,
        at: Option<&Sealed>,
    ) -> Result<Option<Halt>, RemovalError> {
        let same = bound(time, Op::Equal, at);
        if self.node.key.is_empty() {
            while self.batch(context, conn, done, &same)?.is_none() {}
            return Ok(None);
        }
        let key = self.node.key_operands(&self.node.own());
        self.by_key(context, conn, done, &key, &Stretch { within: same, end: Expr::always() })
    }

    fn next_after(&self, conn: &mut Conn, time: &Operand, at: Option<&Sealed>) -> Result<Option<Sealed>, RemovalError> {
        let condition = self.rows.clone().within(bound(time, Op::Above, at));
        Ok(self.ahead(conn, std::slice::from_ref(time), &condition, 0)?.and_then(|mut row| row.pop()))
    }

    /// Stretches of the key over the whole table.
    fn keys(
        &mut self,
        context: &mut Context<'_>,
        conn: &mut Conn,
        done: &mut Done,
    ) -> Result<Option<Halt>, RemovalError> {
        let key = self.node.key_operands(&self.node.own());
        if key.is_empty() {
            while self.batch(context, conn, done, &Expr::always())?.is_none() {
                if let Some(halt) = context.permit.next()? {
                    return Ok(Some(halt));
                }
            }
            return Ok(None);
        }
        // Behind the last row that is due there is nothing to walk.
        let (Some(column), [only]) = (self.node.key.first(), key.as_slice()) else {
            return self.by_key(context, conn, done, &key, &Stretch { within: Expr::always(), end: Expr::always() });
        };
        let stmt = statements::greatest(self.node.backend, &self.node.at, column, &self.rows);
        let last = conn.rows(&stmt)?.pop().and_then(|row| row.into_values().pop().flatten());
        let Some(last) = last else { return Ok(None) };
        let bounded = Expr::KeyUpTo(vec![only.clone()], vec![last]);
        self.by_key(context, conn, done, &key, &Stretch { within: Expr::always(), end: bounded })
    }

    /// Stretches `(after, up to]` of the key. Each has one upper bound and no more: of two, SQLite takes the first for the
    /// range and reads on to it, however near the second is.
    fn by_key(
        &mut self,
        context: &mut Context<'_>,
        conn: &mut Conn,
        done: &mut Done,
        key: &[Operand],
        stretch: &Stretch,
    ) -> Result<Option<Halt>, RemovalError> {
        let probe = self.rows.clone().and(stretch.within.clone()).and(stretch.end.clone());
        let mut after: Option<Vec<Sealed>> = None;
        loop {
            if let Some(halt) = context.permit.next()? {
                return Ok(Some(halt));
            }
            let from = after.clone().map_or_else(Expr::always, |after| Expr::KeyAfter(key.to_vec(), after));
            let ahead = self.throttle.size().saturating_sub(1);
            let up_to = self.ahead(conn, key, &probe.clone().and(from.clone()), ahead)?;
            let to = up_to.clone().map_or_else(|| stretch.end.clone(), |value| Expr::KeyUpTo(key.to_vec(), value));
            let window = stretch.within.clone().and(from).and(to);
            if self.batch(context, conn, done, &window)?.is_none() {
                continue;
            }
            match up_to {
                None => return Ok(None),
                up_to => after = up_to,
            }
        }
    }

    /// Stretches of pages.
    fn pages(
        &mut self,
        context: &mut Context<'_>,
        conn: &mut Conn,
        done: &mut Done,
    ) -> Result<Option<Halt>, RemovalError> {
        let pages = statements::page_count(conn, &self.node.at)?.max(1);
        // A table that was never analysed has no estimate; the first batches must not be whole tables for that.
        let rows_per_page = self.node.table.estimated_rows.map_or(UNKNOWN_DENSITY, |rows| rows / pages).clamp(1, 300);
        let mut from = 0;
        while from < pages {
            if let Some(halt) = context.permit.next()? {
                return Ok(Some(halt));
            }
            // The last stretch has no end: rows may have been added since the pages were counted.
            let to = from + (self.throttle.size() / rows_per_page).max(1);
            let end = if to >= pages { u64::from(u32::MAX) } else { to };
            if self.batch(context, conn, done, &Expr::Pages { from, to: end })?.is_some() {
                from = to;
            }
        }
        Ok(None)
    }

    /// The columns of the row that is `skip` rows ahead among those of `condition`, in the order of the columns.
    fn ahead(
        &self,
        conn: &mut Conn,
        columns: &[Operand],
        condition: &Expr,
        skip: u64,
    ) -> Result<Option<Vec<Sealed>>, RemovalError> {
        // Where a stretch ends is no matter of safety: its statement asks for everything again.
        let condition = &condition.clone().knowing(conn.held_lately());
        let read = Read {
            table: &self.node.at,
            columns,
            lookups: &[],
            condition,
            order: columns,
            skip,
            limit: 1,
            lock: false,
        };
        let row = conn.rows(&statements::read_by(self.node.backend, self.access, &read))?.pop();
        Ok(row.map(|row| row.into_values().into_iter().flatten().collect()))
    }

    /// Removes what is due in a window. `None`: it timed out; the window must become smaller.
    fn batch(
        &mut self,
        context: &mut Context<'_>,
        conn: &mut Conn,
        done: &mut Done,
        window: &Expr,
    ) -> Result<Option<u64>, RemovalError> {
        let node = self.node;
        let condition = context.graph.guard(node, self.due.clone().within(window.clone()));
        let marker = marker(node, context.clock.now());
        let access = self.access;
        let id = batch::next_id(context);
        let shared = &*context;
        let committed = batch::transact(shared, conn, self.task, node, &id, |conn: &mut Conn| {
            let condition = condition.knowing(conn.held_now());
            let rows = match node.fate {
                Fate::Delete => delete_rows(shared, conn, node, access, &condition)?,
                Fate::Anonymise => {
                    let columns = (node.overwrites.as_slice(), marker.as_ref());
                    conn.execute(&statements::overwrite(node.backend, &node.at, access, columns, &condition))?
                }
            };
            Ok(vec![Part { data: node.name.clone(), action: node.fate.into(), rows, files: 0 }])
        })?;
        let Some(committed) = committed else {
            if !self.throttle.refused() {
                return Err(blocked(node));
            }
            self.throttle.wait(conn, &context.stop)?;
            return Ok(None);
        };
        let rows = committed.rows();
        self.last_look.note(&committed);
        context.transactions.push(committed.took);
        note(context, self.task, &committed, done);
        self.throttle.committed(rows, committed.took);
        self.throttle.wait(conn, &context.stop)?;
        Ok(Some(rows))
    }
}

/// Tells everybody of a committed batch.
pub(crate) fn note(context: &mut Context<'_>, task: &Task, committed: &Committed, done: &mut Done) {
    for part in committed.parts.iter().filter(|part| part.rows > 0 || part.files > 0) {
        done.add(&part.data, part.action, part.rows, part.files);
        context.progress.batch(&Removed {
            data: part.data.clone(),
            rule: task.rule.clone(),
            action: part.action,
            rows: part.rows,
            files: part.files,
        });
    }
}

pub(crate) fn blocked(node: &Node) -> RemovalError {
    RemovalError::Store(StoreError::new(
        ErrorKind::LockTimeout,
        format!("`{}`: even a batch of one row waits too long for a lock; somebody else holds it", node.name),
    ))
}

/// The marker column with what it is set to.
pub(super) fn marker(node: &Node, now: chrono::DateTime<chrono::Utc>) -> Option<Marker> {
    node.marker.as_ref().map(|marker| match marker {
        MarkerColumn::Flag(column) => Marker::True(column.clone()),
        MarkerColumn::Instant(age) => Marker::Instant(age.column.clone(), age.cutoff_text(now)),
    })
}

fn bound(time: &Operand, op: Op, value: Option<&Sealed>) -> Expr {
    value.map_or_else(Expr::always, |value| Expr::Compare(time.clone(), op, Scalar::Row(value.clone())))
}
