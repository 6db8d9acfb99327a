//! What an erasure does with the rows that a walk reaches, entry by entry, in an order that a killed run can go on from.
//!
//! **Invariant.** What finds the person goes last: first the mentions, which need the person's addresses, then the rows,
//! children before parents, then the entries that hold the addresses, and the person's own row at the end. Within an
//! entry the rows that are reached through others come before those that name the person, and columns are emptied when
//! nothing is reached through them any more.

use std::collections::BTreeSet;

use super::{Walk, is_never};
use crate::graph::people::can_be_blanked;
use crate::graph::{Fate, Node, OnErasure};
use crate::names::DataName;
use crate::store::catalog::TypeClass;
use crate::store::target::statements::Overwrite;
use crate::store::target::{Expr, Scope, Shape};

/// What becomes of the rows of a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// They go.
    Delete,
    /// Their personal columns are overwritten.
    Anonymise,
    /// The columns that name the person are emptied; the rest is somebody else's.
    Blank,
}

/// Rows of one entry that an erasure treats in one way.
#[derive(Clone)]
pub struct Slice {
    /// What becomes of them.
    pub change: Change,
    /// The entry as the erasure sees it.
    pub node: Node,
    /// The rows, seen from the entry's own table.
    pub rows: Expr,
    /// Whether they are needed to find the person: with them go the addresses by which other rows name the person.
    pub finds: bool,
}

/// Rows of one entry that an erasure leaves.
#[derive(Clone)]
pub struct Remains {
    /// The entry.
    pub data: DataName,
    /// The rows, seen from the entry's own table.
    pub rows: Expr,
    /// Why.
    pub ground: String,
    /// Whether they are about the person; others are about somebody else alone.
    pub about: bool,
}

/// Why rows stay that belong to the person's rows and are somebody else's alone.
const OTHERS: &str = "they are about another person";

impl Walk<'_> {
    /// What an erasure does, in its order.
    pub fn slices(&self) -> Vec<Slice> {
        let mut slices: Vec<Slice> = self.graph.children_first().flat_map(|node| self.mention_slices(node)).collect();
        let last = self.last();
        let (early, late): (Vec<&Node>, Vec<&Node>) =
            self.graph.children_first().partition(|node| !last.contains(&node.name));
        for node in early.into_iter().chain(late).filter(|node| self.can_reach(node)) {
            slices.extend(self.own_slices(node));
            slices.extend(self.blank_slices(node));
        }
        slices.retain(|slice| !is_never(&slice.rows));
        for slice in &mut slices {
            slice.finds = last.contains(&slice.node.name);
        }
        slices
    }

    /// The entries that find the person, and those above them.
    fn last(&self) -> BTreeSet<DataName> {
        let kind = self.graph.person(self.subject.kind.as_str());
        let mut waiting: Vec<DataName> = kind
            .into_iter()
            .flat_map(|kind| kind.data.iter().chain(kind.identifiers.values().map(|identifier| &identifier.data)))
            .cloned()
            .collect();
        let mut last = BTreeSet::new();
        while let Some(name) = waiting.pop() {
            if let (true, Some(node)) = (last.insert(name.clone()), self.graph.node(&name)) {
                waiting.extend(node.belongs_to.iter().map(|edge| edge.to.clone()));
            }
        }
        last
    }

    fn own_slices(&self, node: &Node) -> Vec<Slice> {
        let scope = node.own();
        match node.on_erasure {
            OnErasure::Keep(_) => Vec::new(),
            OnErasure::Delete => vec![Slice {
                change: Change::Delete,
                node: Node { fate: Fate::Delete, shared: false, ..node.clone() },
                rows: self.goes(node, &scope, 0),
                finds: false,
            }],
            OnErasure::Anonymise => {
                let mut changed = Self::changed(node, self.overwrites(node));
                (changed.marker, changed.file) = (node.marker.clone(), node.file.clone());
                // A row that a purge has marked may still name the person.
                changed.marker_decides = false;
                changed.shared = false;
                let slice = |rows| Slice { change: Change::Anonymise, node: changed.clone(), rows, finds: false };
                let all = self.changes(node, &scope, 0);
                if node.self_link().is_none() || !self.can_name(node) {
                    return vec![slice(all)];
                }
                // A row that loses the person's name no longer leads to those that belong to it.
                let names = Expr::IsTrue(Box::new(self.names(node, &scope, 0)));
                vec![slice(all.clone().and(names.clone().negated())), slice(all.and(names))]
            }
        }
    }

    /// The entry's own columns to overwrite, and those by which the person is found.
    fn overwrites(&self, node: &Node) -> Vec<Overwrite> {
        let mut all = node.overwrites.clone();
        let mut add = |column: &crate::store::catalog::Column| {
            if !all.iter().any(|overwrite| overwrite.column.name == column.name) && can_be_blanked(&node.table, column)
            {
                all.extend(Self::blank(node, column));
            }
        };
        if self.subject.key.is_some() {
            for link in node.persons.iter().filter(|link| link.kind == self.subject.kind) {
                // The last column that can be emptied takes the whole key away; the tenant stays.
                link.columns.iter().rev().find(|column| can_be_blanked(&node.table, column)).map(&mut add);
            }
        }
        if self.subject.owns_addresses() {
            node.addresses.iter().map(|link| &link.column).for_each(&mut add);
        }
        all
    }

    /// Rows that stay although they name the person: each column that does is emptied.
    fn blank_slices(&self, node: &Node) -> Vec<Slice> {
        if !self.can_name(node) || matches!(node.on_erasure, OnErasure::Keep(_)) {
            return Vec::new();
        }
        let scope = node.own();
        let stays = self.stays(node, &scope, 0);
        if is_never(&stays) {
            return Vec::new();
        }
        let mut slices = Vec::new();
        let mut add = |column: Option<&crate::store::catalog::Column>, rows: Expr| {
            let blank = column.filter(|column| can_be_blanked(&node.table, column));
            if let Some(overwrite) = blank.and_then(|column| Self::blank(node, column)) {
                let mut node = Self::changed(node, vec![overwrite]);
                node.shared = false;
                let rows = rows.and(self.in_range(&node, &scope, 0)).and(stays.clone());
                slices.push(Slice { change: Change::Blank, node, rows, finds: false });
            }
        };
        if let Some(key) = &self.subject.key {
            for link in node.persons.iter().filter(|link| link.kind == self.subject.kind) {
                let column = link.columns.iter().rev().find(|column| can_be_blanked(&node.table, column));
                add(column, link.matches(self.graph, key, &scope, 0));
            }
        }
        if self.can_address(node) {
            for link in &node.addresses {
                let mine = self.subject.addresses.iter().filter(|address| address.kind == link.kind);
                add(Some(&link.column), Expr::Any(mine.map(|address| link.matches(address, &scope)).collect()));
            }
        }
        slices
    }

    /// Rows that name the person and stay: somebody else's as well, or held back by others.
    fn stays(&self, node: &Node, scope: &Scope, alias: u8) -> Expr {
        let blocked = if node.on_erasure == OnErasure::Delete || node.shared {
            self.is_blocked(node, scope, alias)
        } else {
            Expr::Any(Vec::new())
        };
        Expr::Any(vec![self.is_anothers(node, scope, alias), blocked])
    }

    fn mention_slices(&self, node: &Node) -> Vec<Slice> {
        if matches!(node.on_erasure, OnErasure::Keep(_)) {
            return Vec::new();
        }
        let scope = node.own();
        let mut slices = Vec::new();
        for link in &node.mentions {
            let mine = self.subject.addresses.iter().filter(|address| address.kind == link.kind);
            let rows: Vec<Expr> = mine.map(|address| link.matches(address, &scope)).collect();
            let Some(overwrite) = Self::blank(node, &link.column).filter(|_| !rows.is_empty()) else { continue };
            let mut changed = Self::changed(node, vec![overwrite]);
            changed.shared = false;
            // A row that goes need not be changed first.
            let rows = Expr::Any(rows).and(self.goes(node, &scope, 0).negated());
            slices.push(Slice { change: Change::Blank, node: changed, rows, finds: false });
        }
        slices
    }

    /// What stands in a column that was emptied.
    fn blank(node: &Node, column: &crate::store::catalog::Column) -> Option<Overwrite> {
        let shape = if can_be_blanked(&node.table, column) {
            Shape::Null
        } else if column.class == TypeClass::Text && !column.unique && !column.generated && !column.nullable {
            Shape::Text(String::new())
        } else {
            return None;
        };
        let in_key = node.table.key_columns().any(|key| key.name == column.name);
        (!in_key).then(|| Overwrite { column: column.clone(), shape })
    }

    /// The entry as an erasure sees it: its rows are changed in these columns and nothing else goes along.
    fn changed(node: &Node, overwrites: Vec<Overwrite>) -> Node {
        Node { fate: Fate::Anonymise, overwrites, marker: None, file: None, ..node.clone() }
    }

    /// What an erasure leaves, and why. Counted before it runs or after it, the rows are the same.
    pub fn remains(&self) -> Vec<Remains> {
        let mut all = Vec::new();
        for node in self.graph.children_first() {
            let scope = node.own();
            let mut add = |rows: Expr, ground: &str| {
                if !is_never(&rows) {
                    let about = ground != OTHERS;
                    all.push(Remains { data: node.name.clone(), rows, ground: ground.to_owned(), about });
                }
            };
            if let OnErasure::Keep(ground) = &node.on_erasure {
                let about = if self.can_reach(node) { self.shown(node, &scope, 0) } else { Expr::Any(Vec::new()) };
                add(Expr::Any(vec![about, self.mentions(node, &scope)]), ground);
                continue;
            }
            if !self.can_reach(node) {
                continue;
            }
            let open = self.reached(node, false, &scope, 0);
            if self.ways(node).iter().any(|(_, kept)| *kept) {
                add(
                    self.reached(node, true, &scope, 0).and(open.clone().negated()),
                    "they belong to rows that are kept",
                );
            }
            if node.on_erasure == OnErasure::Delete || node.shared {
                let why = if node.shared { "others still refer to them" } else { "rows that stay belong to them" };
                add(open.and(self.is_blocked(node, &scope, 0)), why);
            }
            if self.can_name(node) {
                let both = self.names(node, &scope, 0).and(self.is_anothers(node, &scope, 0));
                add(
                    both,
                    "they are about another person too; columns that name this one are emptied where they can be",
                );
            }
            let below: Vec<Expr> =
                self.ways(node).iter().filter(|(_, kept)| !kept).map(|(path, _)| self.along(path, &scope, 0)).collect();
            if !below.is_empty() {
                let names = if self.can_name(node) { self.names(node, &scope, 0) } else { Expr::Any(Vec::new()) };
                let theirs = Expr::Any(below).and(self.is_anothers(node, &scope, 0)).and(names.negated());
                add(theirs, OTHERS);
            }
        }
        all
    }
}
