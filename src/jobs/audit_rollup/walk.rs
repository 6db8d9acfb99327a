//! Walking the rows in the order of their time, a stretch of whole periods at a time.
//!
//! A stretch has about as many rows as a transaction of the pace can take: many small periods at once, or a part of one
//! that is too large, cut by time and, within one instant, by key. Where a summary cannot be added to (`distinct`), a
//! period is never cut.

use chrono::{DateTime, Utc};

use super::across::Across;
use super::archiving::Archiving;
use super::fold::{self, Folded, Once, Stretch, unsteady};
use super::summary::Folding;
use crate::graph::{Age, Graph, Node};
use crate::redact::Sealed;
use crate::removal::{
    Committed, Context, Done, Halt, RemovalError, Task, Throttle, blocked, next_id, note, open, settle, transact_in,
};
use crate::store::target::statements::{self, Read};
use crate::store::target::{Expr, Op, Operand, Scalar};
use crate::store::{Access, Backend, Conn};

/// The most periods of one stretch.
const MOST_PERIODS: usize = 366;
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

struct Walk<'t> {
    graph: &'t Graph,
    folding: &'t Folding,
    archiving: Option<&'t Archiving>,
    across: Option<Across>,
    task: &'t Task,
    node: &'t Node,
    age: &'t Age,
    time: Operand,
    /// The rows that are looked for: due, and kept by no hold.
    rows: Expr,
    /// The same for statements that are guarded by themselves.
    due: Expr,
    end: DateTime<Utc>,
    throttle: Throttle,
}

/// Where the next stretch ends, and what it is.
struct Next {
    stretch: Stretch,
    /// Nothing before this is looked at again.
    low: Sealed,
    /// More rows were seen from there on, so that the stretch after this one begins there without another look.
    more: bool,
}

/// Where a walk is.
#[derive(Default)]
struct Place {
    /// Nothing before this is looked at again.
    low: Option<Sealed>,
    /// The next stretch begins at `low`, as far as is known.
    begins: bool,
    /// One period at a time.
    single: bool,
    /// So many more periods than the stretch seems to need.
    wider: usize,
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
    let mut walk = Walk { graph, folding, archiving, across, task, node, age, time, rows, due, end, throttle };
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
            Expr::Not(Box::new(Expr::KeyIn(node.key_operands(&node.own()), kept.to_vec())))
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
            place = Place { low: Some(next.low), begins: next.more, single: false, wider: 0 };
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
            let (periods, finishes, span) = (stretch.periods.clone(), stretch.finishes, stretch.span);
            let rows = stretch.rows.clone().knowing(conn.held_now());
            let archive = write.as_mut().map(|write| write as &mut fold::Archive<'_>);
            fold::fold(folding, node, conn, &Stretch { rows, periods, finishes, span }, archive, folded)
        })?;
        if let (None, Some(archiving)) = (&committed, self.archiving) {
            archiving.undone(id)?;
        }
        Ok(committed)
    }

    /// The next stretch.
    fn next(&self, conn: &mut Conn, place: &Place) -> Result<Option<Next>, RemovalError> {
        let (single, wider) = (place.single, place.wider);
        let rows = self.rows.clone().and(self.bound(Op::AtLeast, place.low.as_ref()));
        let known = place.low.clone().filter(|_| place.begins && !single && wider == 0);
        let first = match known {
            Some(low) => Some(low),
            None => self.ahead(conn, &rows, 0)?,
        };
        let Some(first) = first else { return Ok(None) };
        let calendar = &self.folding.calendar;
        let start = calendar.start(self.instant(&first)?);
        let far = self.ahead(conn, &rows, self.throttle.size())?;
        let mut to = match &far {
            None => self.end,
            Some(far) => calendar.start(self.instant(far)?),
        };
        if to <= start {
            if self.folding.adds_up() && wider == 0 && !single {
                return self.part(conn, start, &first, far.as_ref()).map(Some);
            }
            to = calendar.next(start);
        }
        let starts = self.starts(start, if single { calendar.next(start).min(to) } else { to }, wider);
        let to = starts.last().map_or(to, |last| calendar.next(*last)).min(self.end);
        let (from, until) = (self.sealed(start), self.sealed(to));
        let within = self.bound(Op::AtLeast, Some(&from)).and(self.bound(Op::Below, Some(&until)));
        let finishes = starts.last().is_some_and(|last| calendar.next(*last) <= self.end);
        let stretch = Stretch {
            periods: self.folding.periods(self.age, &starts),
            span: (start, to),
            rows: self.graph.guard(self.node, self.due.clone().and(within)),
            finishes,
        };
        Ok(Some(Next { stretch, low: until, more: far.is_some() && !single }))
    }

    /// A part of one period that has too many rows: up to `far`, or some of the rows of one instant.
    fn part(
        &self,
        conn: &mut Conn,
        start: DateTime<Utc>,
        first: &Sealed,
        far: Option<&Sealed>,
    ) -> Result<Next, RemovalError> {
        let periods = self.folding.periods(self.age, &[start]);
        let span = (start, self.folding.calendar.next(start).min(self.end));
        if let Some(far) = far.filter(|far| *far != first) {
            let within = self.bound(Op::AtLeast, Some(first)).and(self.bound(Op::Below, Some(far)));
            let stretch = Stretch {
                periods,
                span,
                rows: self.graph.guard(self.node, self.due.clone().and(within)),
                finishes: false,
            };
            return Ok(Next { stretch, low: far.clone(), more: true });
        }
        let instant = self.bound(Op::Equal, Some(first));
        let same = self.rows.clone().and(instant.clone());
        let key = self.node.key_operands(&self.node.own());
        let up_to = if key.is_empty() {
            None
        } else {
            let read = Read {
                table: &self.node.at,
                columns: &key,
                lookups: &[],
                condition: &same,
                order: &key,
                skip: self.throttle.size().saturating_sub(1),
                limit: 1,
                lock: false,
            };
            conn.rows(&statements::read(self.node.backend, &read))?.pop()
        };
        let narrowed = up_to
            .map_or_else(Expr::always, |row| Expr::KeyUpTo(key, row.into_values().into_iter().flatten().collect()));
        let stretch = Stretch {
            periods,
            span,
            rows: self.graph.guard(self.node, self.due.clone().and(instant).and(narrowed)),
            finishes: false,
        };
        Ok(Next { stretch, low: first.clone(), more: false })
    }

    /// The beginnings of the periods from `start` on that begin before `to`, and of so many more.
    fn starts(&self, start: DateTime<Utc>, to: DateTime<Utc>, more: usize) -> Vec<DateTime<Utc>> {
        let mut starts = vec![start];
        let mut next = self.folding.calendar.next(start);
        while next < to && starts.len() < MOST_PERIODS {
            starts.push(next);
            next = self.folding.calendar.next(next);
        }
        for _ in 0..more {
            if next < self.end {
                starts.push(next);
                next = self.folding.calendar.next(next);
            }
        }
        starts
    }

    /// The time of the row that is `skip` rows ahead among those of `condition`.
    fn ahead(&self, conn: &mut Conn, condition: &Expr, skip: u64) -> Result<Option<Sealed>, RemovalError> {
        let columns = std::slice::from_ref(&self.time);
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
        let row = conn.rows(&statements::read(self.node.backend, &read))?.pop();
        Ok(row.and_then(|row| row.into_values().pop().flatten()))
    }

    fn instant(&self, time: &Sealed) -> Result<DateTime<Utc>, RemovalError> {
        self.age.read(time.expose()).ok_or_else(|| {
            RemovalError::Doubt(format!("`{}`: a time cannot be read, so it has no period", self.node.name))
        })
    }

    fn sealed(&self, at: DateTime<Utc>) -> Sealed {
        Sealed::new(self.age.cutoff_text(at))
    }

    fn bound(&self, op: Op, value: Option<&Sealed>) -> Expr {
        value.map_or_else(Expr::always, |value| Expr::Compare(self.time.clone(), op, Scalar::Row(value.clone())))
    }
}
