//! Choosing the rows of a batch of keys: the next in order, and those of the same table that are tied to them.

use std::collections::BTreeSet;

use super::pace::Parts;
use super::sets::{self, Ends};
use super::{RemovalError, Task};
use crate::graph::due::unfinished;
use crate::graph::ties::within;
use crate::graph::{Graph, Node};
use crate::redact::Sealed;
use crate::store::catalog::{Column, TypeClass};
use crate::store::target::key_list::Together;
use crate::store::target::statements::{self, Read};
use crate::store::target::{Expr, Keys, Operand};
use crate::store::{Backend, Conn, TextRow};

use super::files::Sorted;

/// Most rows of one set: they go in one transaction.
const LARGEST_SET: u64 = 10_000;

/// The rows chosen for a batch.
pub(super) struct Chosen {
    pub keys: Keys,
    /// Where they lie, if the transaction that has locked them may go by that.
    pub tids: Option<Sealed>,
    /// For each branch: the values of the root's columns that its last link refers to.
    pub referred: Vec<Keys>,
    /// The files of the root's own rows and of branches.
    pub files: Vec<(usize, Sorted)>,
    /// For each row: what its ties within the table refer to.
    pub ends: Vec<Ends>,
    /// Where the next batch begins.
    pub last: Vec<Sealed>,
}

impl Chosen {
    /// The rows, in layers that can be removed one after the other, and how many each has.
    pub fn layers(&self, node: &Node) -> Vec<(Expr, u64)> {
        if let Some(tids) = &self.tids {
            return vec![(Expr::Tids(tids.clone()), self.keys.len())];
        }
        let key = node.key_operands(&node.own());
        let layers = sets::layers(node, &self.keys, &self.ends).into_iter();
        layers.map(|keys| (Expr::KeyIn(key.clone(), keys.clone()), keys.len())).collect()
    }

    /// The keys of a branch's rows whose files were moved.
    pub fn listed(&self, index: usize) -> Vec<Vec<Sealed>> {
        self.files.iter().find(|(at, _)| *at == index).map(|(_, sorted)| sorted.keys.clone()).unwrap_or_default()
    }
}

/// A row as it was read.
type Row = Vec<Option<Sealed>>;

/// How rows are chosen.
pub(super) struct Choice<'t> {
    node: &'t Node,
    order: Vec<Operand>,
    /// The rows that a batch must visit.
    pub visited: Expr,
    /// What the rows of a batch are locked under: with ties, also the rows that other rules make due.
    pub locked: Expr,
    layout: Layout,
    /// What links from below refer to is told by the same text there as here.
    alike: bool,
    /// Rows are removed by where they lie: they have no heirs, and nothing that goes before them changes them.
    pub by_tid: bool,
}

/// Which columns are read, each once, and where the values are that a batch needs.
#[derive(Default)]
struct Layout {
    columns: Vec<Operand>,
    order: Vec<usize>,
    key: Vec<usize>,
    referred: Vec<Vec<usize>>,
    ends: Vec<(Vec<usize>, Vec<usize>)>,
}

impl Layout {
    fn add(&mut self, operands: &[Operand]) -> Vec<usize> {
        operands
            .iter()
            .map(|operand| {
                let known = self.columns.iter().position(|known| known.column.name == operand.column.name);
                known.unwrap_or_else(|| {
                    self.columns.push(operand.clone());
                    self.columns.len() - 1
                })
            })
            .collect()
    }
}

/// Whether PostgreSQL writes a value of one column in an array as it would one of the other that is equal to it. A `char(10)`
/// is filled up with blanks there, and a boolean is one letter.
fn are_told_alike(one: &Column, other: &Column) -> bool {
    let integers = [one, other].iter().all(|column| matches!(column.class, TypeClass::Integer { .. }));
    let texts = [one, other].iter().all(|column| matches!(column.sql_type.as_str(), "text" | "character varying"));
    one.sql_type.as_str() == other.sql_type.as_str() || integers || texts
}

/// The values at these places; `None` when one of them is NULL.
fn pick(row: &Row, places: &[usize]) -> Option<Vec<Sealed>> {
    places.iter().map(|place| row.get(*place).cloned().flatten()).collect()
}

impl<'t> Choice<'t> {
    pub fn new(graph: &Graph, task: &Task, node: &'t Node, order: Vec<Operand>) -> Self {
        let scope = node.own();
        let mut layout = Layout::default();
        layout.order = layout.add(&order);
        layout.key = layout.add(&node.key_operands(&scope));
        for branch in &task.branches {
            let referred = branch.path.last().map(|edge| edge.referred(&scope)).unwrap_or_default();
            let places = layout.add(&referred);
            layout.referred.push(places);
        }
        for edge in within(node) {
            let ends = (layout.add(&edge.referring(&scope)), layout.add(&edge.referred(&scope)));
            layout.ends.push(ends);
        }
        let visited = task.visited(graph, node);
        let tied = task.ties.as_ref().filter(|_| within(node).next().is_some());
        let locked = tied.and_then(|ties| ties.may_go(graph, node, &scope));
        let locked = locked.map_or_else(|| visited.clone(), |may_go| may_go.and(unfinished(node, &scope)));
        let links = task.branches.iter().filter_map(|branch| branch.path.last()).flat_map(|edge| &edge.columns);
        let alike = links.into_iter().all(|(own, theirs)| are_told_alike(own, theirs));
        Self { node, order, visited, locked, layout, alike, by_tid: false }
    }

    /// The next keys in order, with the values that links from below refer to.
    pub fn next(&self, conn: &mut Conn, after: Option<&[Sealed]>, limit: u64) -> Result<Option<Chosen>, RemovalError> {
        // What is chosen is looked at again when it is locked.
        let visited = self.visited.clone().knowing(conn.held_lately());
        let mut rows = self.read(conn, &visited.within(self.from(after)), (&self.order, limit))?;
        let last = rows.last().and_then(|row| pick(row, &self.layout.order)).unwrap_or_default();
        if !self.layout.ends.is_empty() {
            self.complete(conn, &mut rows)?;
        }
        Ok(self.chosen(&rows, last))
    }

    /// Whether rows can be locked by the statement that chooses them: on PostgreSQL, which locks the rows that it gives and no
    /// others, and as long as no row brings others of its table along. Their keys stay with the database, together, so long
    /// as there are names for all columns.
    pub fn locks(&self) -> bool {
        let together = self.alike && self.layout.ends.is_empty() && self.layout.columns.len() <= 32;
        self.node.backend == Backend::Postgres && together
    }

    /// The same, locked, as so many lists at most: in a transaction, behind the gate.
    pub fn lock_next(
        &self,
        conn: &mut Conn,
        after: Option<&[Sealed]>,
        Parts { number, size }: Parts,
    ) -> Result<Vec<Chosen>, RemovalError> {
        let visited = self.visited.clone().knowing(conn.held_now());
        let (condition, limit) = (&visited.within(self.from(after)), u64::from(number) * size);
        let (columns, order) = (&self.layout.columns, &self.order);
        let read = Read { table: &self.node.at, columns, lookups: &[], condition, order, skip: 0, limit, lock: true };
        let keys: Vec<Vec<usize>> = self.layout.referred.iter().chain([&self.layout.key]).cloned().collect();
        let together = Together { read, keys: &keys, size, tids: self.by_tid };
        let found = together.found(conn.rows(&together.stmt())?);
        let chosen = found.into_iter().filter_map(|mut found| {
            let (keys, referred) = (found.keys.pop()?, found.keys);
            let (files, ends) = (Vec::new(), Vec::new());
            Some(Chosen { keys, tids: found.tids, referred, files, ends, last: found.last })
        });
        Ok(chosen.collect())
    }

    fn from(&self, after: Option<&[Sealed]>) -> Expr {
        after.map_or_else(Expr::always, |after| Expr::KeyAfter(self.order.clone(), after.to_vec()))
    }

    fn chosen(&self, rows: &[Row], last: Vec<Sealed>) -> Option<Chosen> {
        // A NULL is referred to by nothing.
        let values = |places: &[usize]| rows.iter().filter_map(|row| pick(row, places)).collect::<Vec<_>>();
        let keys = Keys::from(values(&self.layout.key));
        let referred = self.layout.referred.iter().map(|places| values(places).into()).collect();
        let ends = rows.iter().map(|row| self.ends(row)).collect();
        (!keys.is_empty()).then(|| Chosen { keys, tids: None, referred, files: Vec::new(), ends, last })
    }

    fn read(
        &self,
        conn: &mut Conn,
        condition: &Expr,
        (order, limit): (&[Operand], u64),
    ) -> Result<Vec<Row>, RemovalError> {
        let columns = &self.layout.columns;
        let read = Read { table: &self.node.at, columns, lookups: &[], condition, order, skip: 0, limit, lock: false };
        let rows = conn.rows(&statements::read(self.node.backend, &read))?;
        Ok(rows.into_iter().map(TextRow::into_values).collect())
    }

    fn ends(&self, row: &Row) -> Ends {
        self.layout.ends.iter().map(|(own, theirs)| (pick(row, own), pick(row, theirs))).collect()
    }

    /// Adds the rows of the table that are tied to the chosen ones, so that a set goes in one transaction.
    fn complete(&self, conn: &mut Conn, rows: &mut Vec<Row>) -> Result<(), RemovalError> {
        let mut known: BTreeSet<Option<Vec<Sealed>>> = rows.iter().map(|row| pick(row, &self.layout.key)).collect();
        let mut from = 0;
        while from < rows.len() {
            let fresh: Vec<Ends> = rows.iter().skip(from).map(|row| self.ends(row)).collect();
            from = rows.len();
            let condition = self.locked.clone().knowing(conn.held_lately()).and(sets::tied_to(self.node, &fresh));
            let found = self.read(conn, &condition, (&[], LARGEST_SET + 1))?;
            rows.extend(found.into_iter().filter(|row| known.insert(pick(row, &self.layout.key))));
            if rows.len() as u64 > LARGEST_SET {
                return Err(RemovalError::Doubt(format!(
                    "`{}`: more than {LARGEST_SET} rows are tied to one another (`goes_with`), too many for one transaction",
                    self.node.name
                )));
            }
        }
        Ok(())
    }
}
