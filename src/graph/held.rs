//! What a legal hold keeps: the held rows, what belongs to them, and what they need.
//!
//! **Invariant.** A row is free only if neither it nor a row that it belongs to is held, and if nothing that would go
//! or be unlinked with it is kept for such a reason. So a held row stays as it is, its children with it, and the
//! parents that it needs; anonymising counts as touching. The condition stands in every removing or overwriting
//! statement by way of [`Graph::guard`] and [`Graph::guard_reference`], which alone give a [`Guarded`], and is worked
//! out by the database at that moment: a row that came after the hold was placed is kept by the parent it came under.
//!
//! Which entries have held rows at all is asked once in a batch, behind the gate, where nobody can place a hold before the
//! batch has ended (`store::held::learn`). What follows from that for each statement, mostly that no row of it is held, is
//! put in place of the conditions (`Expr::knowing`); they ask row by row for the rest. Outside such a transaction what is
//! known may help to choose rows, never to touch them. Tests: `held` (holds that race with batches), `conformance`.
//!
//! The links of an entry to itself are followed where rows are chosen and locked, in the same transaction and under the
//! same gate as the statement that removes them; so no hold can come between, and the statement asks for the rest.

use std::collections::BTreeSet;

use super::condition::{closed, joined, needed};
use super::{Edge, Fate, Graph, Node};
use crate::names::DataName;
use crate::store::target::{Expr, Guarded, HeldBy, Scope};

/// The aliases of the tables that a hold is looked for in begin here; nothing else goes as far.
const FIRST_ALIAS: u8 = 12;

/// Where a condition stands, and which link led there: it is not followed back.
#[derive(Clone, Copy)]
struct Place<'a> {
    scope: &'a Scope,
    alias: u8,
    from: Option<&'a Edge>,
    by: HeldBy,
}

/// Which end of a link is looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    /// The row referred to.
    Above,
    /// The rows that refer.
    Below,
}

impl Place<'_> {
    fn came_by(&self, edge: &Edge) -> bool {
        self.from.is_some_and(|from| from.is_same_link(edge))
    }
}

impl Graph {
    /// `rows` without those that a hold keeps: what every removing or overwriting statement on the entry takes.
    pub fn guard(&self, node: &Node, rows: Expr) -> Guarded {
        let scope = node.own();
        let place = Place { scope: &scope, alias: FIRST_ALIAS, from: None, by: HeldBy::Any };
        Guarded::new(
            self.unless_held(node, || Expr::Any(vec![self.flat_covered(node, place), self.flat_needed(node, place)])),
            rows,
        )
    }

    /// The same for a statement that empties a reference of theirs: such a row stays with all that belongs to it or refers
    /// to it, so only a hold on the row itself, or on what it belongs to, keeps it as it is.
    pub fn guard_reference(&self, node: &Node, rows: Expr) -> Guarded {
        let scope = node.own();
        let place = Place { scope: &scope, alias: FIRST_ALIAS, from: None, by: HeldBy::Any };
        Guarded::new(self.unless_held(node, || self.flat_covered(node, place)), rows)
    }

    /// The rows that no hold keeps, seen from `scope`.
    pub fn free(&self, node: &Node, scope: &Scope) -> Expr {
        self.unless_held(node, || self.stays(node, Place { scope, alias: FIRST_ALIAS, from: None, by: HeldBy::Any }))
    }

    /// The rows that a hold keeps, seen from `scope`.
    pub fn held(&self, node: &Node, scope: &Scope) -> Expr {
        self.held_by(node, scope, HeldBy::Any)
    }

    /// The rows that somebody's legal hold keeps: those that are held for an open request alone are not among them.
    pub fn legally_held(&self, node: &Node, scope: &Scope) -> Expr {
        self.held_by(node, scope, HeldBy::People)
    }

    fn held_by(&self, node: &Node, scope: &Scope, by: HeldBy) -> Expr {
        if !node.holds {
            return Expr::Any(Vec::new());
        }
        self.stays(node, Place { scope, alias: FIRST_ALIAS, from: None, by })
    }

    /// Without any hold on an entry that matters, the database looks at nothing else.
    fn unless_held(&self, node: &Node, kept: impl FnOnce() -> Expr) -> Expr {
        if !node.holds {
            return Expr::always();
        }
        Expr::Not(Box::new(Expr::All(vec![Expr::AnyHeld(names(self.that_matter(node))), kept()])))
    }

    /// The entries a hold on whose rows may keep rows of `node`.
    pub fn that_matter(&self, node: &Node) -> BTreeSet<DataName> {
        let mut found = BTreeSet::new();
        self.add_upwards(node, &mut found);
        self.add_downwards(node, &mut found);
        found
    }

    fn add_upwards(&self, node: &Node, found: &mut BTreeSet<DataName>) {
        if found.insert(node.name.clone()) {
            node.belongs_to
                .iter()
                .filter_map(|edge| self.node(&edge.to))
                .for_each(|parent| self.add_upwards(parent, found));
        }
    }

    fn add_downwards(&self, node: &Node, found: &mut BTreeSet<DataName>) {
        for (child, _) in self.children(&node.name).filter(|(_, edge)| !edge.is_self()) {
            self.add_upwards(child, found);
            self.add_downwards(child, found);
        }
        for (referring, _) in self.unlinks(&node.name) {
            self.add_upwards(referring, found);
        }
    }

    /// Kept by itself, by what it belongs to or by what belongs to it, along links of the entry to itself too.
    fn stays(&self, node: &Node, place: Place<'_>) -> Expr {
        let flat = |place: Place<'_>| Expr::Any(vec![self.covered(node, place), self.flat_needed(node, place)]);
        match node.self_link() {
            None => flat(place),
            Some(_) => needed(self, node, place.scope, place.alias, &seed(&flat, place.by)),
        }
    }

    /// Held, or belonging to a row that is.
    fn covered(&self, node: &Node, place: Place<'_>) -> Expr {
        let flat = |place: Place<'_>| self.flat_covered(node, place);
        match node.self_link() {
            None => flat(place),
            Some(_) => closed(self, node, place.scope, place.alias, &seed(&flat, place.by)),
        }
    }

    fn flat_covered(&self, node: &Node, place: Place<'_>) -> Expr {
        let mut reasons = vec![Expr::Held(node.name.to_string(), node.key_operands(place.scope), place.by)];
        for edge in node.belongs_to.iter().filter(|edge| !edge.is_self() && !place.came_by(edge)) {
            let Some(parent) = self.node(&edge.to) else { continue };
            let inner = Scope::Alias(place.alias);
            let held = self.covered(parent, Place { scope: &inner, alias: place.alias + 1, from: None, by: place.by });
            let above = self.above(parent);
            let linked = self.linked(edge, (parent, Side::Above), place, &above, held);
            reasons.push(Expr::All(vec![Expr::AnyHeld(names(above)), linked]));
        }
        Expr::Any(reasons)
    }

    /// Something that belongs to it is kept, or something whose reference to it would be unlinked.
    fn flat_needed(&self, node: &Node, place: Place<'_>) -> Expr {
        let children = self.children(&node.name).map(|(child, edge)| (child, edge, false));
        let referring = self.unlinks(&node.name).filter(|_| node.fate == Fate::Delete);
        let links =
            children.filter(|(_, edge, _)| !edge.is_self()).chain(referring.map(|(node, edge)| (node, edge, true)));
        let reasons = links
            .map(|(child, edge, unlinked)| {
                let inner = Scope::Alias(place.alias);
                let below = Place { scope: &inner, alias: place.alias + 1, from: Some(edge), by: place.by };
                let kept = if unlinked { self.covered(child, below) } else { self.stays(child, below) };
                let matter = if unlinked { self.above(child) } else { self.that_matter(child) };
                let linked = self.linked(edge, (child, Side::Below), place, &matter, kept);
                Expr::All(vec![Expr::AnyHeld(names(matter)), linked])
            })
            .collect();
        Expr::Any(reasons)
    }

    /// A row of `node`, at the other end of a link from the rows of a place, satisfies `condition`, which is about `entries`.
    ///
    /// Where one of these has a link to itself, the rows are found once for all: along such links the databases walk
    /// through the whole table, within a condition that is asked row by row for each row anew, and so on at each level.
    fn linked(
        &self,
        edge: &Edge,
        (node, side): (&Node, Side),
        place: Place<'_>,
        entries: &BTreeSet<DataName>,
        condition: Expr,
    ) -> Expr {
        let inner = Scope::Alias(place.alias);
        let (from, to) = if side == Side::Above { (place.scope, &inner) } else { (&inner, place.scope) };
        let closes = entries.iter().filter_map(|name| self.node(name)).any(|node| node.self_link().is_some());
        if !closes || !edge.columns.iter().all(|(own, theirs)| Expr::are_comparable(own, theirs)) {
            let mut parts = joined(self, edge, from, to, place.alias + 1);
            parts.push(condition);
            return Expr::Exists { table: node.at.clone(), alias: place.alias, condition: Box::new(Expr::All(parts)) };
        }
        let holds = edge.condition.expr(self, from, place.alias + 1);
        let (referring, referred) = (edge.referring(from), edge.referred(to));
        let rows = |columns, selected, condition| Expr::KeyInRows {
            columns,
            table: node.at.clone(),
            alias: place.alias,
            selected,
            condition: Box::new(condition),
        };
        // A NULL refers to nothing; IN says that it does not know.
        Expr::IsTrue(Box::new(match side {
            Side::Above => holds.and(rows(referring, referred, condition)),
            Side::Below => rows(referred, referring, holds.and(condition)),
        }))
    }

    fn above(&self, node: &Node) -> BTreeSet<DataName> {
        let mut found = BTreeSet::new();
        self.add_upwards(node, &mut found);
        found
    }
}

fn names(entries: BTreeSet<DataName>) -> Vec<String> {
    entries.into_iter().map(String::from).collect()
}

/// The condition of the rows that a walk within one table begins with. They are other rows than the one that is asked
/// about, so what they belong to is looked at along every link, the one that led here included.
fn seed<'f>(flat: &'f dyn Fn(Place<'_>) -> Expr, by: HeldBy) -> impl Fn(&Scope, u8) -> Expr + 'f {
    move |scope, alias| flat(Place { scope, alias, from: None, by })
}
