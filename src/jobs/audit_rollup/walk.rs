//! Walking the rows in the order of their time, a stretch of whole periods at a time.
//!
//! A stretch has about as many rows as a transaction of the pace can take: many small periods at once, or a part of one
//! that is too large, cut by time and, within one instant, by key. Where a summary cannot be added to (`distinct`), a
//! period is never cut.

use chrono::{DateTime, Utc};

use super::across::Across;
use super::archiving::Archiving;
use super::fold::{self, Folded, Once, Stretch, unsteady};
use super::next::{MOST_PERIODS, Place};
use super::staying;
use super::summary::Folding;
use crate::graph::{Age, Graph, Node};
use crate::removal::{
    Committed, Context, Done, Halt, RemovalError, Task, Throttle, blocked, next_id, note, open, settle, transact_in,
};
use crate::store::target::{Expr, Operand};
use crate::store::{Access, Backend, Conn};

/// No stretch has more rows, unless a single period has.
const LARGEST: u64 = 50_000;
/// On MariaDB and SQLite a row costs about ten times as much.
const LARGEST_ROW_STORES: u64 = 10_000;
/// No stretch is smaller for being slow: its statements alone take their time, however few its rows.
const SMALLEST: u64 = 5_000;
/// The same there.
const SMALLEST_ROW_STORES: u64 = 1_000;
/// So often rows may have moved between two statements before the numbers are called wrong: each time the stretch becomes
/// half as long, so that late rows of a busy application find it less and less often.
const PATIENCE: u32 = 40;

pub(super) struct Walk<'t> {
    pub(super) graph: &'t Graph,
    pub(super) folding: &'t Folding,
    pub(super) archiving: Option<&'t Archiving>,
    pub(super) across: Option<Across>,
    pub(super) task: &'t Task,
    pub(super) node: &'t Node,
    pub(super) age: &'t Age,
    pub(super) time: Operand,
    /// The rows that are looked for: due, and kept by no hold.
    pub(super) rows: Expr,
    /// The same for statements that are guarded by themselves.
    pub(super) due: Expr,
    pub(super) end: DateTime<Utc>,
    pub(super) throttle: Throttle,
    /// Rows are counted before they are folded.
    pub(super) recounts: bool,
}

/// Folds all rows of the task that were written before `end`.
pub(super) fn run(
    context: &mut Context<'_>,
    (folding, archiving): (&Folding, Option<&Archiving>),
    task: &Task,
    end: DateTime<Utc>,
    done: &mut Done,
) -> Result<Option<Halt>, RemovalError> {
    let Some(node) = context.graph.node(&task.root) else { return Ok(None) };
    let Some(age) = &node.age else { return Ok(None) };
    let mut conn = open(context, node, false)?;
    let mut expired = Ok(None);
    match archiving {
        Some(archiving) => {
            if let Some(halt) = archiving.settle(context, &mut conn, (task, node))? {
                return Ok(Some(halt));
            }
            expired = archiving.expire(context, &mut conn, (task, node));
            if let Ok(Some(halt)) = expired {
                return Ok(Some(halt));
            }
        }
        // Rows, summaries and ledger row are one transaction: a server that crashes forgets all of it or none.
        None if folding.store == node.store => conn.hurry()?,
        None => {}
    }
    if let Some(halt) = staying::begin(context, &mut conn, (folding, task, node))? {
        settle(context, &mut conn, &node.store)?;
        return Ok(Some(halt));
    }
    let mut across = Across::open(context, folding, node)?;
    if let Some(across) = &mut across
        && let Some(halt) = across.settle(context, &mut conn, (task, node), done)?
    {
        return Ok(Some(halt));
    }
    let ended = walk(context, &mut conn, (folding, archiving, across, task, node, age), end, done);
    settle(context, &mut conn, &node.store)?;
    // An archive that is broken keeps no row from being folded.
    match ended? {
        None => expired,
        halt => Ok(halt),
    }
}

type Parts<'t> = (&'t Folding, Option<&'t Archiving>, Option<Across>, &'t Task, &'t Node, &'t Age);

fn walk(
    context: &mut Context<'_>,
    conn: &mut Conn,
    (folding, archiving, across, task, node, age): Parts<'_>,
    end: DateTime<Utc>,
    done: &mut Done,
) -> Result<Option<Halt>, RemovalError> {
    let (largest, smallest) = match conn.backend() {
        Backend::Postgres => (LARGEST, SMALLEST),
        Backend::Mysql | Backend::Sqlite => (LARGEST_ROW_STORES, SMALLEST_ROW_STORES),
    };
    let throttle = Throttle::begin(context.pace, conn, largest, smallest)?;
    let time = age.operand(&node.own());
    let (graph, none) = (context.graph, Expr::always());
    let (rows, due) = (none.clone(), none);
    let mut walk =
        Walk { graph, folding, archiving, across, task, node, age, time, rows, due, end, throttle, recounts: false };
    walk.leave_out();
    walk.all(context, conn, done)
}

impl Walk<'_> {
    /// What is in a summary already and must stay is not folded again, not even when its hold ends during the run.
    fn leave_out(&mut self) {
        let (node, kept) = (self.node, self.across.as_ref().map_or(&[][..], |across| &across.kept));
        let fresh = if kept.is_empty() {
            Expr::always()
        } else {
            Expr::Not(Box::new(Expr::KeyIn(node.key_operands(&node.own()), kept.to_vec().into())))
        };
        self.rows = self.task.rows(self.graph, node).and(fresh.clone());
        self.due = self.task.due_rows(self.graph, node).and(fresh);
    }

    fn all(
        &mut self,
        context: &mut Context<'_>,
        conn: &mut Conn,
        done: &mut Done,
    ) -> Result<Option<Halt>, RemovalError> {
        let mut place = Place::default();
        let mut moved = 0;
        loop {
            if let Some(halt) = context.permit.next()? {
                return Ok(Some(halt));
            }
            let Some(next) = self.next(conn, &place)? else { return Ok(None) };
            let mut folded = Folded::default();
            let id = next_id(context);
            let committed = match self.once(context, conn, (id.as_str(), &next.stretch), &mut folded, done)? {
                Once::Halted(halt) => return Ok(Some(halt)),
                Once::Done(committed) => Some(committed),
                Once::Again => None,
            };
            let node = self.node;
            let Some(committed) = committed else {
                moved = if folded.moved { moved + 1 } else { 0 };
                if moved > PATIENCE {
                    return Err(unsteady(&node.name));
                }
                if folded.moved {
                    self.throttle.halve();
                }
                if folded.crowded || folded.uncounted {
                    self.recounts |= folded.uncounted;
                    place.density = None;
                    continue;
                }
                if folded.mixed {
                    place.single = true;
                } else if !folded.moved && !self.throttle.refused() {
                    return Err(blocked(node));
                }
                self.throttle.wait(conn, &context.stop)?;
                continue;
            };
            moved = 0;
            if folded.rows == 0 && place.begins {
                place.begins = false;
                continue;
            }
            if folded.rows == 0 {
                // A civil time that came twice may lie on the other side of the change of the clocks.
                place.wider += 1;
                if place.wider > MOST_PERIODS {
                    return Err(RemovalError::Doubt(format!("`{}`: rows lie in no period", node.name)));
                }
                continue;
            }
            let density = next.density(folded.rows).filter(|_| self.across.is_none());
            place = Place { low: Some(next.low), begins: next.more, single: false, wider: 0, density };
            context.transactions.push(committed.took);
            note(context, self.task, &committed, done);
            if let (Some(archiving), Some(manifest)) = (self.archiving, &folded.archived) {
                archiving.committed(context, manifest, node)?;
            }
            self.throttle.committed(folded.rows, committed.took);
            self.throttle.wait(conn, &context.stop)?;
        }
    }

    /// Folds a stretch and purges it: here, or across two databases.
    fn once(
        &mut self,
        context: &mut Context<'_>,
        conn: &mut Conn,
        (id, stretch): (&str, &Stretch),
        folded: &mut Folded,
        done: &mut Done,
    ) -> Result<Once, RemovalError> {
        let Some(across) = &mut self.across else {
            return Ok(self.fold(context, conn, (id, stretch), folded)?.map_or(Once::Again, Once::Done));
        };
        let kept = across.kept.len();
        let ended = across.fold(context, conn, (self.folding, self.task, self.node), (id, stretch), folded, done)?;
        if across.kept.len() > kept {
            self.leave_out();
        }
        Ok(ended)
    }

    /// Folds a stretch and purges it, in one transaction.
    fn fold(
        &self,
        context: &Context<'_>,
        conn: &mut Conn,
        (id, stretch): (&str, &Stretch),
        folded: &mut Folded,
    ) -> Result<Option<Committed>, RemovalError> {
        let (folding, node) = (self.folding, self.node);
        let now = context.clock.now();
        let mut write = self
            .archiving
            .map(|archiving| move |conn: &mut Conn, stretch: &Stretch| archiving.write(conn, node, stretch, (id, now)));
        let committed = transact_in(context, conn, self.task, node, (id, Access::Snapshot), |conn| {
            let &Stretch { ref periods, finishes, span, most, by_deletion, .. } = stretch;
            let periods = periods.clone();
            let rows = stretch.rows.clone().knowing(conn.held_now());
            let archive = write.as_mut().map(|write| write as &mut fold::Archive<'_>);
            fold::fold(
                context,
                (folding, node),
                conn,
                &Stretch { rows, periods, finishes, span, most, by_deletion },
                archive,
                folded,
            )
        })?;
        if let (None, Some(archiving)) = (&committed, self.archiving) {
            archiving.undone(id)?;
        }
        Ok(committed)
    }
}
