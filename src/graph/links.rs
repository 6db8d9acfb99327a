//! Links between entries, the order of removal, and cycles.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::columns::Reporter;
use super::{Edge, Fate, Graph, Node, Resolved, entries};
use crate::config::condition::Condition;
use crate::config::diagnostic::Diagnostics;
use crate::config::document::Document;
use crate::config::values::{Link, TimeColumn};
use crate::names::DataName;

pub(super) fn resolve(graph: &mut Graph, document: &Document, diagnostics: &mut Diagnostics) {
    let mut found = Vec::new();
    for (name, entry) in &document.data {
        let Some(node) = graph.node(name) else { continue };
        let mut reporter = Reporter::entry(diagnostics, name);
        let belongs_to =
            edges(graph, node, entry.belongs_to.as_ref().map(|links| &links.0), "belongs_to", &mut reporter);
        if belongs_to.iter().filter(|edge| edge.is_self()).count() > 1 {
            let message = format!("`{name}` belongs to itself by several links; one can be followed");
            let help = "leave one; where all rows of a set refer to the same first row, name that reference".to_owned();
            reporter.error(&["belongs_to"], message, help);
        }
        let unlink = edges(graph, node, entry.unlink.as_ref().map(|links| &links.0), "unlink", &mut reporter);
        for (own, _) in unlink.iter().flat_map(|edge| &edge.columns).filter(|(own, _)| !own.nullable) {
            let message = format!("`{}` may not be NULL, so the reference cannot be unlinked", own.name.as_str());
            reporter.error(&["unlink"], message, "use `belongs_to` if the row shall go with its target".to_owned());
        }
        let goes_with = edges(graph, node, entry.goes_with.as_ref().map(|links| &links.0), "goes_with", &mut reporter);
        found.push((name.clone(), belongs_to, goes_with, unlink));
    }
    for (name, belongs_to, goes_with, unlink) in found {
        if let Some(node) = graph.nodes.get_mut(&name) {
            node.belongs_to = belongs_to;
            node.goes_with = goes_with;
            node.unlink = unlink;
        }
    }
    resolve_ages_with(graph, document, diagnostics);
}

fn edges(graph: &Graph, node: &Node, links: Option<&Vec<Link>>, key: &str, reporter: &mut Reporter<'_>) -> Vec<Edge> {
    links.into_iter().flatten().filter_map(|link| edge(graph, node, link, key, reporter)).collect()
}

fn edge(graph: &Graph, node: &Node, link: &Link, key: &str, reporter: &mut Reporter<'_>) -> Option<Edge> {
    let target = graph.node(&link.data)?;
    if target.store != node.store {
        let message = format!("`{}` is in store `{}`, `{}` in `{}`", node.name, node.store, target.name, target.store);
        let help = "rows of two databases cannot go in one transaction; give this entry a `time` of its own";
        reporter.error(&[key], message, help.to_owned());
        return None;
    }
    let implicit = link.by.iter().filter(|(_, target)| target.is_none()).count();
    if implicit > 0 && (implicit != link.by.len() || target.key.len() != link.by.len()) {
        let message =
            format!("`by` names {} columns, but the key of `{}` has {}", link.by.len(), target.name, target.key.len());
        let help = "name the column it refers to: by = { own_column = \"their_column\" }";
        reporter.error(&[key], message, help.to_owned());
        return None;
    }
    let mut columns = Vec::new();
    for (position, (own, theirs)) in link.by.iter().enumerate() {
        let own = reporter.column(&node.table, own, &[key])?;
        let theirs = match theirs {
            Some(name) => reporter.column(&target.table, name, &[key])?,
            None => target.key.get(position)?.clone(),
        };
        columns.push((own, theirs));
    }
    let condition =
        entries::condition(graph, node, &link.condition, |message, help| reporter.error(&[key], message, help));
    Some(Edge { from: node.name.clone(), to: target.name.clone(), columns, condition })
}

/// `requires = { data = …, by = …, where = … }`: here the condition is on the row that must exist.
pub(super) fn required_row(
    graph: &Graph,
    node: &Node,
    link: &Link,
    reporter: &mut Reporter<'_>,
) -> Option<(Edge, Resolved)> {
    let bare = Link { condition: Condition::default(), ..link.clone() };
    let edge = edge(graph, node, &bare, "requires", reporter)?;
    let target = graph.node(&edge.to)?;
    let condition = entries::condition(graph, target, &link.condition, |message, help| {
        reporter.error(&["requires"], message, help)
    });
    Some((edge, condition))
}

fn resolve_ages_with(graph: &mut Graph, document: &Document, diagnostics: &mut Diagnostics) {
    let mut found = Vec::new();
    for (name, entry) in &document.data {
        let (Some(TimeColumn::Of(parent)), Some(node)) = (&entry.time, graph.node(name)) else { continue };
        match node.belongs_to.iter().find(|edge| edge.to == *parent && !edge.is_self()) {
            Some(edge) => found.push((name.clone(), edge.clone())),
            None => {
                let message = format!("`{name}` does not belong to `{parent}`, so it cannot age with it");
                let help = format!("add belongs_to = {{ data = \"{parent}\", by = … }}");
                Reporter::entry(diagnostics, name).error(&["time"], message, help);
            }
        }
    }
    for (name, edge) in found {
        if let Some(node) = graph.nodes.get_mut(&name) {
            node.ages_with = Some(edge);
        }
    }
}

/// The shortest chain of `belongs_to` links from `node` to the entry named `parent`.
pub(super) fn path_to_parent<'a>(graph: &'a Graph, node: &'a Node, parent: &str) -> Option<(Vec<Edge>, &'a Node)> {
    let mut queue = VecDeque::from([(node, Vec::<Edge>::new())]);
    let mut seen = BTreeSet::new();
    while let Some((at, path)) = queue.pop_front() {
        for edge in at.belongs_to.iter().filter(|edge| !edge.is_self()) {
            let Some(next) = graph.node(&edge.to) else { continue };
            let mut longer = path.clone();
            longer.push(edge.clone());
            if next.name.as_str() == parent {
                return Some((longer, next));
            }
            if seen.insert(next.name.clone()) {
                queue.push_back((next, longer));
            }
        }
    }
    None
}

/// All entries, children before parents; a cycle of two or more tables is reported with the tables in it.
pub(super) fn children_first(graph: &Graph, diagnostics: &mut Diagnostics) -> Vec<DataName> {
    // Edges: parent -> children that must go before it.
    let mut waiting: BTreeMap<&DataName, BTreeSet<&DataName>> =
        graph.nodes.keys().map(|name| (name, BTreeSet::new())).collect();
    for node in graph.nodes.values() {
        // A tie that is a foreign key too has to be undone from its referring end.
        let bound = node.goes_with.iter().filter(|edge| {
            node.table.foreign_keys.iter().any(|key| same_columns(edge, &key.columns, &key.target_columns))
        });
        for edge in node.belongs_to.iter().chain(bound).filter(|edge| !edge.is_self()) {
            if let Some(children) = waiting.get_mut(&edge.to) {
                children.insert(&node.name);
            }
        }
    }
    let mut order = Vec::new();
    loop {
        let ready: Vec<&DataName> =
            waiting.iter().filter(|(_, children)| children.is_empty()).map(|(name, _)| *name).collect();
        if ready.is_empty() {
            break;
        }
        for name in ready {
            waiting.remove(name);
            for children in waiting.values_mut() {
                children.remove(name);
            }
            order.push(name.clone());
        }
    }
    report_cycle(graph, &waiting, diagnostics);
    order
}

fn report_cycle(graph: &Graph, waiting: &BTreeMap<&DataName, BTreeSet<&DataName>>, diagnostics: &mut Diagnostics) {
    let Some(start) = waiting.keys().next() else { return };
    // Each waiting entry waits for another waiting one, so following them must come round.
    let mut path: Vec<&DataName> = vec![start];
    while let Some(next) = path.last().and_then(|last| waiting.get(*last)).and_then(|children| children.iter().next()) {
        if let Some(at) = path.iter().position(|name| name == next) {
            path.drain(..at);
            break;
        }
        path.push(next);
    }
    path.reverse();
    let names: Vec<String> = path.iter().chain(path.first()).map(|name| format!("`{name}`")).collect();
    let deleted = path.iter().any(|name| graph.node(name).is_some_and(|node| node.fate == Fate::Delete));
    let help = if deleted {
        "no order can remove these rows: break the circle with `unlink` on a column that may be NULL, or anonymise"
    } else {
        "break the circle: leave one `belongs_to` out"
    };
    if let Some(first) = path.first() {
        let message = format!("the entries belong to each other in a circle: {}", names.join(" → "));
        Reporter::entry(diagnostics, first).error(&["belongs_to"], message, help.to_owned());
    }
}

/// A link without a condition, for the catalog's own foreign keys.
pub(super) fn same_columns(edge: &Edge, own: &[String], theirs: &[String]) -> bool {
    edge.columns.len() == own.len()
        && edge.columns.iter().all(|(from, to)| {
            own.iter().zip(theirs).any(|(own, theirs)| own == from.name.as_str() && theirs == to.name.as_str())
        })
}

impl Resolved {
    /// A condition that says nothing.
    pub fn nothing() -> Self {
        Self::default()
    }
}
