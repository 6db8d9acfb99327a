//! Who is gone: one merge of ordered streams of keys, in constant memory.
//!
//! **Invariant.** All streams are in the order of [`ordered`], so each key is met once on each side, whatever the
//! collations of the databases. A key that is met in an entry and not among the persons is gone at that moment; before
//! anything is removed, the persons are asked once more.

use std::cmp::Ordering;
use std::collections::VecDeque;

use super::{Look, Node, RemovalError};
use crate::graph::walk::find;
use crate::graph::{Graph, KeyForm, KeyLink};
use crate::names::PersonName;
use crate::redact::Sealed;
use crate::store::catalog::TypeClass;
use crate::store::target::ordered::{self, KeyOrder};
use crate::store::target::{Expr, Operand};
use crate::store::{Access, StoreError};

/// Keys of one page of a stream.
const PAGE: u64 = 2_000;
/// Where the database must sort a whole table for each page, pages are larger.
const SORTED_PAGE: u64 = 20_000;

/// A person's key.
pub(super) type Key = Vec<Sealed>;

/// One ordered stream of distinct keys.
struct Stream<'a> {
    node: &'a Node,
    columns: Vec<Operand>,
    condition: Expr,
    page: VecDeque<Key>,
    last: Option<Key>,
    ended: bool,
}

/// The streams of one look.
pub(super) struct Merge<'a> {
    look: &'a Look<'a>,
    orders: Vec<KeyOrder>,
    persons: Stream<'a>,
    entries: Vec<Stream<'a>>,
}

/// Somebody who is gone, and which of the entries name them.
pub(super) struct Gone {
    pub key: Key,
    pub named_in: Vec<usize>,
}

/// What a merge met next.
pub(super) enum Met {
    /// A person who is there.
    There(Key),
    /// One who is not.
    Gone(Gone),
}

impl<'a> Merge<'a> {
    /// Begins a merge of the persons of a kind with the links of some entries to them.
    pub fn begin(
        look: &'a Look<'a>,
        kind: &PersonName,
        persons: &'a Node,
        entries: &[(&'a Node, Vec<Operand>, Expr)],
    ) -> Self {
        let orders = persons
            .key
            .iter()
            .enumerate()
            .map(|(position, column)| {
                let number = |class: &TypeClass| matches!(class, TypeClass::Integer { .. });
                let all = entries.iter().filter_map(|(_, columns, _)| columns.get(position));
                if number(&column.class) && all.into_iter().all(|operand| number(&operand.column.class)) {
                    KeyOrder::Number
                } else {
                    KeyOrder::Bytes
                }
            })
            .collect();
        let scope = persons.own();
        let alive = look.graph.alive(kind, &scope, 0);
        let stream = |node: &'a Node, columns: Vec<Operand>, condition: Expr| Stream {
            node,
            columns,
            condition,
            page: VecDeque::new(),
            last: None,
            ended: false,
        };
        Self {
            look,
            orders,
            persons: stream(persons, persons.key_operands(&scope), alive),
            entries: entries.iter().map(|(node, columns, rows)| stream(node, columns.clone(), rows.clone())).collect(),
        }
    }

    /// The next key, in order.
    pub fn next(&mut self) -> Result<Option<Met>, RemovalError> {
        let (look, orders) = (self.look, &self.orders);
        self.persons.fill(look, orders)?;
        let mut least: Option<&Key> = None;
        for entry in &mut self.entries {
            entry.fill(look, orders)?;
        }
        for head in self.entries.iter().filter_map(|entry| entry.page.front()) {
            if least.is_none_or(|least| ordered::compare(orders, head, least) == Ordering::Less) {
                least = Some(head);
            }
        }
        let Some(least) = least.cloned() else { return Ok(self.persons.page.pop_front().map(Met::There)) };
        let is_there = match self.persons.page.front() {
            None => false,
            Some(person) => match ordered::compare(orders, person, &least) {
                Ordering::Less => return Ok(self.persons.page.pop_front().map(Met::There)),
                Ordering::Equal => true,
                Ordering::Greater => false,
            },
        };
        let mut named_in = Vec::new();
        for (position, entry) in self.entries.iter_mut().enumerate() {
            let mine = entry.page.front().is_some_and(|head| ordered::compare(orders, head, &least) == Ordering::Equal);
            if mine {
                entry.page.pop_front();
                named_in.push(position);
            }
        }
        if is_there {
            return Ok(self.persons.page.pop_front().map(Met::There));
        }
        Ok(Some(Met::Gone(Gone { key: least, named_in })))
    }
}

impl Stream<'_> {
    fn fill(&mut self, look: &Look<'_>, orders: &[KeyOrder]) -> Result<(), StoreError> {
        if self.ended || !self.page.is_empty() {
            return Ok(());
        }
        let limit = if orders.contains(&KeyOrder::Bytes) { SORTED_PAGE } else { PAGE };
        let keys = page(look, self.node, (&self.columns, orders), &self.condition, self.last.as_deref(), limit)?;
        self.ended = (keys.len() as u64) < limit;
        self.last = keys.last().cloned().or_else(|| self.last.take());
        self.page = keys.into();
        Ok(())
    }
}

/// One page of distinct keys.
pub(super) fn page(
    look: &Look<'_>,
    node: &Node,
    (columns, orders): (&[Operand], &[KeyOrder]),
    condition: &Expr,
    after: Option<&[Sealed]>,
    limit: u64,
) -> Result<Vec<Key>, StoreError> {
    let mut conn = find::open(look.stores, node)?;
    let stmt = ordered::distinct_keys(node.backend, &node.at, (columns, orders), condition, after, limit);
    let rows = conn.transaction(Access::ReadOnly, |conn| conn.rows(&stmt))?;
    Ok(rows.into_iter().filter_map(|row| ordered::read_key(node.backend, orders, row.into_values())).collect())
}

/// The links of an entry to a kind of person that can be read in order: whole columns.
pub(super) fn streams<'a>(
    graph: &Graph,
    node: &'a Node,
    kind: &PersonName,
) -> impl Iterator<Item = (&'a Node, Vec<Operand>, Expr)> {
    let scope = node.own();
    let links: Vec<&KeyLink> =
        node.persons.iter().filter(|link| link.kind == *kind && link.form == KeyForm::Whole).collect();
    links
        .into_iter()
        .map(|link| {
            let columns = link.columns.iter().map(|column| Operand { scope: scope.clone(), column: column.clone() });
            (node, columns.collect(), link.condition.expr(graph, &scope, 0))
        })
        .collect::<Vec<_>>()
        .into_iter()
}
