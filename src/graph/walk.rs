//! From one person to every row about them, in every store: the walk that report, erasure, hold and cleanup share.
//!
//! **Invariant.** Each row that the walk reaches is in exactly one [`Slice`] (what an erasure removes or changes) or one
//! [`Remains`] (what it names as kept, and why), or in both where a row stays but loses the columns that name the person.
//! A row is reached because it names the person itself, or because it belongs to a row that is reached. The walk ends at
//! rows that are somebody else's ([`Walk::is_anothers`]), at rows that are kept, and at shared rows: what belongs to those
//! is not this person's. Everything is a condition in SQL, so that it holds at the moment of the statement and takes no
//! memory; only rows found by address are named by their keys besides, so that a table is searched once.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeZone, Utc};

use super::condition::{closed_over, joined};
use super::due::expired;
use super::{Address, Edge, Graph, KeyLink, Node, OnErasure, PersonKind};
use crate::names::{DataName, PersonName};
use crate::redact::Sealed;
use crate::store::target::{Expr, Scope};

pub mod find;
pub mod remaining;
pub mod scan;
mod slices;
mod staying;

pub use slices::{Change, Remains, Slice};

/// Whom a walk looks for.
#[derive(Clone)]
pub struct Subject {
    /// The kind of person.
    pub kind: PersonName,
    /// The key, for a person known by one.
    pub key: Option<Vec<Sealed>>,
    /// The addresses: they find what mentions the person and, for customers, what is about them.
    pub addresses: Vec<Address>,
    /// Only rows whose time is not before this.
    pub from: Option<DateTime<Utc>>,
    /// Only rows whose time is before this.
    pub to: Option<DateTime<Utc>>,
    /// The keys of the rows found by address, by entry ([`find::search`]); `None` before the search.
    pub found: Option<BTreeMap<DataName, Vec<Vec<Sealed>>>>,
}

impl Subject {
    /// A person known by a key.
    pub fn by_key(kind: &PersonKind, key: Vec<Sealed>) -> Self {
        Self { kind: kind.name.clone(), key: Some(key), addresses: Vec::new(), from: None, to: None, found: None }
    }

    /// A person known by addresses.
    pub fn by_addresses(kind: &PersonKind, addresses: Vec<Address>) -> Self {
        Self { kind: kind.name.clone(), key: None, addresses, from: None, to: None, found: None }
    }

    /// Whether rows with these addresses are about the person, and do not only mention them.
    pub fn owns_addresses(&self) -> bool {
        self.kind.as_str() == "customer"
    }
}

/// A walk for one person.
#[derive(Clone, Copy)]
pub struct Walk<'a> {
    graph: &'a Graph,
    subject: &'a Subject,
}

impl<'a> Walk<'a> {
    /// A walk through a map.
    pub fn new(graph: &'a Graph, subject: &'a Subject) -> Self {
        Self { graph, subject }
    }

    /// The person's own row.
    fn is_person(&self, node: &Node) -> bool {
        let data = self.graph.person(self.subject.kind.as_str()).and_then(|kind| kind.data.as_ref());
        data == Some(&node.name)
    }

    /// The links of an entry by which a row is about the person; the entry of the persons themselves has its key.
    fn links(&self, node: &Node) -> Vec<KeyLink> {
        let own = self.is_person(node).then(|| KeyLink::whole(&self.subject.kind, &node.key));
        let declared = node.persons.iter().filter(|link| link.kind == self.subject.kind).cloned();
        own.into_iter().chain(declared).collect()
    }

    /// Whether rows of an entry can name the person at all.
    pub fn can_name(&self, node: &Node) -> bool {
        let by_key = self.subject.key.is_some() && !self.links(node).is_empty();
        by_key || self.can_address(node)
    }

    fn can_address(&self, node: &Node) -> bool {
        self.subject.owns_addresses()
            && node.addresses.iter().any(|link| self.subject.addresses.iter().any(|address| address.kind == link.kind))
    }

    /// Rows that are about the person by their own columns.
    pub fn names(&self, node: &Node, scope: &Scope, alias: u8) -> Expr {
        let mut ways: Vec<Expr> = Vec::new();
        if let Some(key) = &self.subject.key {
            ways.extend(self.links(node).iter().map(|link| link.matches(self.graph, key, scope, alias)));
        }
        if self.can_address(node) {
            let addressed = self.addressed(node, scope);
            let found = self.subject.found.as_ref().filter(|_| !node.key.is_empty());
            ways.push(match found.map(|found| found.get(&node.name)) {
                None => addressed,
                Some(None) => Expr::Any(Vec::new()),
                Some(Some(keys)) => Expr::KeyIn(node.key_operands(scope), keys.clone().into()).and(addressed),
            });
        }
        self.in_range(node, scope, alias).and(Expr::Any(ways))
    }

    /// Rows with one of the addresses, whether or not the search has found them.
    fn addressed(&self, node: &Node, scope: &Scope) -> Expr {
        let pairs = node.addresses.iter().flat_map(|link| {
            let mine = self.subject.addresses.iter().filter(|address| address.kind == link.kind);
            mine.map(|address| link.matches(address, scope))
        });
        Expr::Any(pairs.collect())
    }

    /// A row without a time lies in no range.
    fn in_range(&self, node: &Node, scope: &Scope, alias: u8) -> Expr {
        if self.subject.from.is_none() && self.subject.to.is_none() {
            return Expr::always();
        }
        let end = Utc.with_ymd_and_hms(9000, 1, 1, 0, 0, 0).single().unwrap_or(DateTime::<Utc>::MAX_UTC);
        let before = expired(self.graph, node, scope, alias, self.subject.to.unwrap_or(end));
        match self.subject.from {
            None => before,
            Some(from) => before.and(expired(self.graph, node, scope, alias, from).negated()),
        }
    }

    /// Rows that are somebody else's, or somebody else's as well.
    ///
    /// For a person known by key: another person's own row, a row that names another person by key, or a customer by any
    /// address, or belongs to such a row. A customer's rows are the customer's whoever worked on them; but a row that
    /// belongs to one of them and bears another address, of a kind that is known of the customer, is another
    /// customer's.
    pub fn is_anothers(&self, node: &Node, scope: &Scope, alias: u8) -> Expr {
        match &self.subject.key {
            Some(key) if self.is_person(node) => {
                KeyLink::whole(&self.subject.kind, &node.key).names_another(self.graph, key, scope, alias)
            }
            None if self.is_person(node) => Expr::Any(Vec::new()),
            Some(key) => self.names_others(node, key, scope, alias),
            None => {
                let known = |kind: &str| self.subject.addresses.iter().any(|address| address.kind == kind);
                let set: Vec<Expr> =
                    node.addresses.iter().filter(|link| known(&link.kind)).map(|link| link.is_set(scope)).collect();
                if set.is_empty() {
                    return Expr::Any(set);
                }
                Expr::IsTrue(Box::new(Expr::Any(set))).and(self.addressed(node, scope).negated())
            }
        }
    }

    fn names_others(&self, node: &Node, key: &[Sealed], scope: &Scope, alias: u8) -> Expr {
        if self.graph.are_others(node, &self.subject.kind) {
            return Expr::always();
        }
        let mut parts = Vec::new();
        for link in &node.persons {
            if link.kind == self.subject.kind {
                parts.push(link.names_another(self.graph, key, scope, alias));
            } else if !self.subject.owns_addresses() {
                parts.push(Expr::IsTrue(Box::new(link.is_set(self.graph, scope, alias))));
            }
        }
        if self.subject.owns_addresses() {
            return Expr::Any(parts);
        }
        parts.extend(node.addresses.iter().map(|link| Expr::IsTrue(Box::new(link.is_set(scope)))));
        for edge in node.belongs_to.iter().filter(|edge| !edge.is_self()) {
            let Some(parent) = self.graph.node(&edge.to).filter(|parent| !self.is_person(parent)) else { continue };
            let inner = Scope::Alias(alias);
            let theirs = self.names_others(parent, key, &inner, alias + 1);
            if is_never(&theirs) {
                continue;
            }
            let mut condition = joined(self.graph, edge, scope, &inner, alias + 1);
            condition.push(theirs);
            parts.push(exists(parent, alias, condition));
        }
        Expr::Any(parts)
    }

    /// The chains of links from an entry up to those whose rows can name the person; `kept`: through a kept entry.
    fn ways(&self, node: &Node) -> Vec<(Vec<Edge>, bool)> {
        let mut found = Vec::new();
        self.climb(node, &[], false, &mut found);
        found
    }

    fn climb(&self, node: &Node, path: &[Edge], kept: bool, found: &mut Vec<(Vec<Edge>, bool)>) {
        for edge in node.belongs_to.iter().filter(|edge| !edge.is_self()) {
            // Many people's rows may hang on a shared row.
            let Some(parent) = self.graph.node(&edge.to).filter(|parent| !parent.shared) else { continue };
            let longer: Vec<Edge> = path.iter().chain([edge]).cloned().collect();
            let kept = kept || matches!(parent.on_erasure, OnErasure::Keep(_));
            if self.can_name(parent) {
                found.push((longer.clone(), kept));
            }
            self.climb(parent, &longer, kept, found);
        }
    }

    /// Rows at the lower end of a way whose upper end names the person; nothing between is somebody else's.
    fn along(&self, path: &[Edge], scope: &Scope, alias: u8) -> Expr {
        let Some((edge, rest)) = path.split_first() else { return Expr::Any(Vec::new()) };
        let Some(parent) = self.graph.node(&edge.to) else { return Expr::Any(Vec::new()) };
        let inner = Scope::Alias(alias);
        let reached = self.closed(parent, &inner, alias + 1, &|scope, alias| {
            let up = if rest.is_empty() { self.names(parent, scope, alias) } else { self.along(rest, scope, alias) };
            up.and(self.is_anothers(parent, scope, alias).negated())
        });
        let own = edge.condition.expr(self.graph, scope, alias);
        if edge.columns.iter().any(|(own, theirs)| !Expr::are_comparable(own, theirs)) {
            let mut condition = joined(self.graph, edge, scope, &inner, alias + 1);
            condition.push(reached);
            return exists(parent, alias, condition);
        }
        own.and(Expr::KeyInRows {
            columns: edge.referring(scope),
            table: parent.at.clone(),
            alias,
            selected: edge.referred(&inner),
            condition: Box::new(reached),
        })
    }

    /// Along a link to the same table, the rows that belong to reached ones are reached too, unless somebody else's.
    fn closed(&self, node: &Node, scope: &Scope, alias: u8, base: &dyn Fn(&Scope, u8) -> Expr) -> Expr {
        let own = |scope: &Scope, alias: u8| self.is_anothers(node, scope, alias).negated();
        closed_over(self.graph, node, (scope, alias), base, &own)
    }

    /// Rows that the walk reaches and that are this person's alone; through kept entries too where `kept`.
    fn reached(&self, node: &Node, kept: bool, scope: &Scope, alias: u8) -> Expr {
        self.closed(node, scope, alias, &|scope, alias| {
            let mut ways = Vec::new();
            if self.can_name(node) {
                ways.push(self.names(node, scope, alias));
            }
            let open = self.ways(node).into_iter().filter(|(_, through_kept)| kept || !through_kept);
            ways.extend(open.map(|(path, _)| self.along(&path, scope, alias)));
            Expr::Any(ways).and(self.is_anothers(node, scope, alias).negated())
        })
    }

    /// Whether any row of an entry can be reached.
    pub fn can_reach(&self, node: &Node) -> bool {
        self.can_name(node) || !self.ways(node).is_empty()
    }

    /// All rows about the person: what a report shows. Rows that only mention them are [`Walk::mentions`].
    pub fn shown(&self, node: &Node, scope: &Scope, alias: u8) -> Expr {
        let names = if self.can_name(node) { self.names(node, scope, alias) } else { Expr::Any(Vec::new()) };
        Expr::Any(vec![names, self.reached(node, true, scope, alias)])
    }

    /// Whether rows of an entry can mention the person.
    pub fn can_mention(&self, node: &Node) -> bool {
        !self.mention_pairs(node).is_empty()
    }

    /// Rows in which one of the mentioning columns holds an address of the person.
    pub fn mentions(&self, node: &Node, scope: &Scope) -> Expr {
        Expr::Any(self.mention_pairs(node).into_iter().map(|(link, address)| link.matches(address, scope)).collect())
    }

    fn mention_pairs<'n>(&self, node: &'n Node) -> Vec<(&'n super::AddressLink, &'a Address)> {
        let pairs = |link| self.subject.addresses.iter().map(move |address| (link, address));
        node.mentions.iter().flat_map(pairs).filter(|(link, address)| link.kind == address.kind).collect()
    }

    /// Rows that an erasure deletes.
    pub fn goes(&self, node: &Node, scope: &Scope, alias: u8) -> Expr {
        if node.on_erasure != OnErasure::Delete || !self.can_reach(node) {
            return Expr::Any(Vec::new());
        }
        self.reached(node, false, scope, alias).and(self.is_blocked(node, scope, alias).negated())
    }

    /// Rows that an erasure anonymises.
    pub fn changes(&self, node: &Node, scope: &Scope, alias: u8) -> Expr {
        if node.on_erasure != OnErasure::Anonymise || !self.can_reach(node) {
            return Expr::Any(Vec::new());
        }
        let reached = self.reached(node, false, scope, alias);
        // What others refer to stays as it is.
        if node.shared { reached.and(self.is_blocked(node, scope, alias).negated()) } else { reached }
    }
}

impl Graph {
    /// Whether each row of an entry is a person of another kind than this one, and does not belong to one of this kind: what
    /// names somebody there is a reference, and no reason to remove the other.
    pub fn are_others(&self, node: &Node, kind: &PersonName) -> bool {
        let mine = self.person(kind.as_str()).and_then(|kind| kind.data.as_ref());
        let another = self.people().values().any(|kind| kind.data.as_ref() == Some(&node.name));
        another && mine != Some(&node.name) && !mine.is_some_and(|mine| self.belongs_to(node, mine, 0))
    }

    fn belongs_to(&self, node: &Node, to: &DataName, depth: u8) -> bool {
        let mut parents = node.belongs_to.iter().filter_map(|edge| self.node(&edge.to));
        depth < 8 && parents.any(|parent| parent.name == *to || self.belongs_to(parent, to, depth + 1))
    }
}

fn exists(node: &Node, alias: u8, condition: Vec<Expr>) -> Expr {
    Expr::Exists { table: node.at.clone(), alias, condition: Box::new(Expr::All(condition)) }
}

/// Whether a condition can be seen to hold for no row.
fn is_never(condition: &Expr) -> bool {
    match condition {
        Expr::Any(parts) => parts.iter().all(is_never),
        Expr::All(parts) => parts.iter().any(is_never),
        Expr::IsTrue(inner) => is_never(inner),
        _ => false,
    }
}
