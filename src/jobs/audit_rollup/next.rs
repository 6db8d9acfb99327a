//! Where the next stretch of rows ends.
//!
//! The first one is found by looking as many rows ahead as a transaction can take; those after it are taken to be as dense,
//! and looked for again where they turn out to be denser.

use chrono::{DateTime, TimeDelta, Utc};

use super::fold::Stretch;
use super::walk::Walk;
use crate::redact::Sealed;
use crate::removal::RemovalError;
use crate::store::Conn;
use crate::store::target::statements::{self, Read};
use crate::store::target::{Expr, Op, Scalar};

/// The most periods of one stretch.
pub(super) const MOST_PERIODS: usize = 366;
/// A stretch that was not looked at may have so many times the rows that were expected.
const DENSER: u64 = 2;

/// Where the next stretch ends, and what it is.
pub(super) struct Next {
    pub stretch: Stretch,
    /// Nothing before this is looked at again.
    pub low: Sealed,
    /// More rows were seen from there on, or are expected, so that the stretch after this one begins there without another
    /// look.
    pub more: bool,
    /// Whether it has all rows of its periods that are due.
    whole: bool,
}

impl Next {
    /// How many rows there are in a second, after `rows` were found.
    pub fn density(&self, rows: u64) -> Option<f64> {
        let (from, to) = self.stretch.span;
        let seconds = (to - from).num_seconds();
        (self.whole && rows > 0 && seconds > 0).then(|| rows as f64 / seconds as f64)
    }
}

/// Where a walk is.
#[derive(Default)]
pub(super) struct Place {
    /// Nothing before this is looked at again.
    pub low: Option<Sealed>,
    /// The next stretch begins at `low`, as far as is known.
    pub begins: bool,
    /// One period at a time.
    pub single: bool,
    /// So many more periods than the stretch seems to need.
    pub wider: usize,
    /// How many rows a second of the last stretch had, if the next is taken to be like it.
    pub density: Option<f64>,
}

impl Walk<'_> {
    /// The next stretch.
    pub(super) fn next(&self, conn: &mut Conn, place: &Place) -> Result<Option<Next>, RemovalError> {
        let (single, wider) = (place.single, place.wider);
        let rows = self.rows.clone().within(self.bound(Op::AtLeast, place.low.as_ref()));
        let known = place.low.clone().filter(|_| place.begins && !single && wider == 0);
        let first = match known {
            Some(low) => Some(low),
            None => self.ahead(conn, &rows, 0)?,
        };
        let Some(first) = first else { return Ok(None) };
        let calendar = &self.folding.calendar;
        let start = calendar.start(self.instant(&first)?);
        let dense = place.density.filter(|_| place.begins && !single && wider == 0);
        let guess = dense.and_then(|density| self.guess(start, density));
        let far = if guess.is_some() { None } else { self.ahead(conn, &rows, self.throttle.size())? };
        let mut to = match (guess, &far) {
            (Some(guess), _) => guess,
            (None, None) => self.end,
            (None, Some(far)) => calendar.start(self.instant(far)?),
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
            rows: self.graph.guard(self.node, self.due.clone().within(within)),
            finishes,
            most: guess.map_or(u64::MAX, |_| self.throttle.size().saturating_mul(DENSER)),
            by_deletion: !self.recounts,
        };
        let more = if guess.is_some() { to < self.end } else { far.is_some() && !single };
        Ok(Some(Next { stretch, low: until, more, whole: true }))
    }

    /// The end of as many whole periods as a transaction can take of rows so dense.
    fn guess(&self, start: DateTime<Utc>, density: f64) -> Option<DateTime<Utc>> {
        let seconds = TimeDelta::try_seconds((self.throttle.size() as f64 / density) as i64)?;
        let far = start.checked_add_signed(seconds)?;
        let to = if far < self.end { self.folding.calendar.start(far) } else { self.end };
        (to > start).then_some(to)
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
                rows: self.graph.guard(self.node, self.due.clone().within(within)),
                finishes: false,
                most: u64::MAX,
                by_deletion: !self.recounts,
            };
            return Ok(Next { stretch, low: far.clone(), more: true, whole: false });
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
            rows: self.graph.guard(self.node, self.due.clone().within(instant.and(narrowed))),
            finishes: false,
            most: u64::MAX,
            by_deletion: !self.recounts,
        };
        Ok(Next { stretch, low: first.clone(), more: false, whole: false })
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
