//! The data map held against the live catalogs: what belongs to what, what ages a row, in which order rows go.
//!
//! Purge, cleanup, erasure, report and orphan check all walk this one graph. Building it *is* the check: a map that does
//! not fit the databases gives diagnostics with a place in `jobs.toml`, never a graph.

pub mod age;
mod catalog_checks;
mod columns;
pub mod condition;
pub mod due;
mod entries;
mod held;
mod links;
mod overwrites;
pub mod people;
pub mod stores;
pub mod switches;
pub mod ties;
mod times;
pub mod walk;

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};

use crate::config::diagnostic::Diagnostics;
use crate::config::document::Document;
use crate::files::PathTemplate;
use crate::names::{CategoryName, DataName, StoreName};
use crate::store::Backend;
use crate::store::catalog::{Catalog, Column, ForeignKey, Table};
use crate::store::target::folded::Identity;
use crate::store::target::statements::Overwrite;
use crate::store::target::{Operand, Scope, TableRef};

pub use age::{Age, AgeKind};
pub use condition::Resolved;
pub use due::{Due, Unfolded, Why};
pub use entries::condition as resolve_condition;
pub use people::{Address, AddressLink, Compare, KeyForm, KeyLink, OnErasure, People, PersonKind};
pub use switches::{Named, Switch, Switches};
pub use walk::{Subject, Walk};

/// What becomes of an expired row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It goes.
    Delete,
    /// Its personal columns are overwritten.
    Anonymise,
}

/// How a row says that it was anonymised.
#[derive(Clone, Debug)]
pub enum MarkerColumn {
    /// A timestamp that is set.
    Instant(Age),
    /// A boolean that is true.
    Flag(Column),
}

/// A link from rows of one entry to rows of another (or of the same).
#[derive(Clone, Debug)]
pub struct Edge {
    /// The entry that refers.
    pub from: DataName,
    /// The entry referred to.
    pub to: DataName,
    /// Referring column, column referred to.
    pub columns: Vec<(Column, Column)>,
    /// The referring rows for which the link holds.
    pub condition: Resolved,
}

impl Edge {
    /// Whether the link stays within one table.
    pub fn is_self(&self) -> bool {
        self.from == self.to
    }

    /// Whether both are the same link, whatever their conditions.
    pub fn is_same_link(&self, other: &Self) -> bool {
        let names = |edge: &Self| -> Vec<_> {
            edge.columns.iter().map(|(own, theirs)| (own.name.clone(), theirs.name.clone())).collect()
        };
        self.from == other.from && self.to == other.to && names(self) == names(other)
    }

    /// Whether a foreign key of the referring table says the same.
    pub fn is_keyed(&self, from: &Node) -> bool {
        self.foreign_key(from).is_some()
    }

    /// The foreign key of the referring table that says the same.
    pub fn foreign_key<'n>(&self, from: &'n Node) -> Option<&'n ForeignKey> {
        from.table.foreign_keys.iter().find(|key| links::same_columns(self, &key.columns, &key.target_columns))
    }

    /// The referring columns in a scope.
    pub fn referring(&self, scope: &Scope) -> Vec<Operand> {
        self.columns.iter().map(|(own, _)| Operand { scope: scope.clone(), column: own.clone() }).collect()
    }

    /// The columns referred to, in a scope.
    pub fn referred(&self, scope: &Scope) -> Vec<Operand> {
        self.columns.iter().map(|(_, target)| Operand { scope: scope.clone(), column: target.clone() }).collect()
    }
}

/// The file of a row.
#[derive(Clone, Debug)]
pub struct FileOf {
    /// The file store.
    pub store: StoreName,
    /// How the path is made.
    pub template: PathTemplate,
    /// The columns of the path, in the template's order, each with the links to the parent that has it.
    pub columns: Vec<(Vec<Edge>, Column)>,
    /// Whether two rows may name the same file: a single column that no unique index covers.
    pub may_be_shared: bool,
}

/// One table of the data map, resolved.
#[derive(Clone, Debug)]
pub struct Node {
    /// The entry's name.
    pub name: DataName,
    /// Its store.
    pub store: StoreName,
    /// The store's database.
    pub backend: Backend,
    /// The live table.
    pub table: Table,
    /// The table and what points to it as they were then, for seeing that they have changed since.
    pub picture: String,
    /// The table as SQL names it.
    pub at: TableRef,
    /// The category.
    pub category: CategoryName,
    /// Whether the store has the table of held rows: where it has none, nothing can be held.
    pub holds: bool,
    /// Whether the store has the table of rows that were counted and stay.
    pub folds: bool,
    /// What tells rows apart, in order; empty when the table has no key.
    pub key: Vec<Column>,
    /// What ages a row.
    pub age: Option<Age>,
    /// The link along which it ages with a parent instead.
    pub ages_with: Option<Edge>,
    /// What becomes of an expired row.
    pub fate: Fate,
    /// The columns that anonymising overwrites.
    pub overwrites: Vec<Overwrite>,
    /// The keys of keyed hashes, by column.
    pub hash_keys: BTreeMap<String, crate::config::values::SecretRef>,
    /// What says that a row is done.
    pub marker: Option<MarkerColumn>,
    /// Whether the marker alone says it; else it is set, and the columns themselves say it.
    pub marker_decides: bool,
    /// Links to parents: the row goes when its parent goes.
    pub belongs_to: Vec<Edge>,
    /// Links to rows that go together with this one or not at all.
    pub goes_with: Vec<Edge>,
    /// References that become NULL when their target goes.
    pub unlink: Vec<Edge>,
    /// The row goes only when nothing refers to it.
    pub shared: bool,
    /// Its file.
    pub file: Option<FileOf>,
    /// A row that does not satisfy this is expired at once.
    pub requires: Option<Requirement>,
    /// How a row names persons by key.
    pub persons: Vec<KeyLink>,
    /// The columns that hold addresses of the customer whom a row is about.
    pub addresses: Vec<AddressLink>,
    /// The columns that hold addresses of somebody whom a row only mentions.
    pub mentions: Vec<AddressLink>,
    /// What an erasure does with a row.
    pub on_erasure: OnErasure,
}

/// What a row must satisfy to be kept at all.
#[derive(Clone, Debug)]
pub enum Requirement {
    /// A condition on its own columns or its parents'.
    Columns(Resolved),
    /// A row of another entry in the same store, with what that row must satisfy.
    Row(Edge, Resolved),
}

impl Node {
    /// The scope of statements on the table itself.
    pub fn own(&self) -> Scope {
        Scope::Own(self.at.clone())
    }

    /// The key columns in a scope.
    pub fn key_operands(&self, scope: &Scope) -> Vec<Operand> {
        self.key.iter().map(|column| Operand { scope: scope.clone(), column: column.clone() }).collect()
    }

    /// What tells its rows apart when some are counted and stay.
    pub fn identity(&self) -> Identity {
        Identity::of(self.backend, &self.table, &self.key, self.age.as_ref().map(|age| &age.column))
    }

    /// The link to the same table along which rows go with their parent, if there is one.
    pub fn self_link(&self) -> Option<&Edge> {
        self.belongs_to.iter().find(|edge| edge.is_self())
    }
}

/// The whole map.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    nodes: BTreeMap<DataName, Node>,
    order: Vec<DataName>,
    people: People,
    switches: Switches,
    /// The stores whose catalogs the map was held against.
    seen: BTreeSet<StoreName>,
}

impl Graph {
    /// Holds the map against the catalogs.
    ///
    /// Everything that does not fit is added to `diagnostics`; with an error among them the graph must not be used.
    pub fn build(document: &Document, catalogs: &BTreeMap<StoreName, Catalog>, diagnostics: &mut Diagnostics) -> Self {
        let mut graph = entries::resolve(document, catalogs, diagnostics);
        graph.seen = catalogs.keys().cloned().collect();
        links::resolve(&mut graph, document, diagnostics);
        graph.order = links::children_first(&graph, diagnostics);
        ties::check(&graph, diagnostics);
        people::resolve(&mut graph, document, diagnostics);
        entries::resolve_requirements(&mut graph, document, diagnostics);
        entries::resolve_files(&mut graph, document, diagnostics);
        switches::resolve(&mut graph, document, diagnostics);
        catalog_checks::check(&graph, document, catalogs, diagnostics);
        graph
    }

    /// Whether a store's catalog was read; nothing can be said of the entries of one that is away.
    pub fn has_seen(&self, store: &StoreName) -> bool {
        self.seen.contains(store)
    }

    /// The same map with another form of one of its entries.
    #[must_use]
    pub fn with(&self, node: Node) -> Self {
        let mut graph = self.clone();
        graph.nodes.insert(node.name.clone(), node);
        graph
    }

    /// An entry.
    pub fn node(&self, name: &DataName) -> Option<&Node> {
        self.nodes.get(name)
    }

    /// All entries, children before parents.
    pub fn children_first(&self) -> impl Iterator<Item = &Node> {
        self.order.iter().filter_map(|name| self.nodes.get(name))
    }

    /// The databases as they were looked at: their identities, and every mapped table in them with all that decides about a
    /// deletion. Thirty-two hexadecimal digits.
    pub fn schema_hash(&self, stores: &stores::Stores, which: &[StoreName]) -> String {
        let mut hash = Sha256::new();
        for name in which {
            hash.update(format!("store {name}|{}\n", stores.database(name).map_or("", |database| database.identity())));
            for node in self.nodes.values().filter(|node| node.store == *name) {
                hash.update(format!("entry {}\n{}\n", node.name, node.picture));
            }
        }
        hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }

    /// The links of other entries (and of the entry itself) along which rows go with rows of `parent`.
    pub fn children<'a>(&'a self, parent: &'a DataName) -> impl Iterator<Item = (&'a Node, &'a Edge)> {
        self.children_first().flat_map(move |node| {
            node.belongs_to.iter().filter(move |edge| edge.to == *parent).map(move |edge| (node, edge))
        })
    }

    /// The references to rows of `target` that become NULL when it goes.
    pub fn unlinks<'a>(&'a self, target: &'a DataName) -> impl Iterator<Item = (&'a Node, &'a Edge)> {
        self.children_first().flat_map(move |node| {
            node.unlink.iter().filter(move |edge| edge.to == *target).map(move |edge| (node, edge))
        })
    }
}
