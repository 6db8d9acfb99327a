//! What steps of one plan have in common: a row that several of them take is counted once, by the first, as it goes once.

use std::collections::BTreeMap;

use crate::graph::{Edge, Graph, Node};
use crate::names::DataName;
use crate::plan::Action;
use crate::store::target::Expr;

/// The rows of the steps so far, by entry.
#[derive(Default)]
pub(super) struct Earlier(BTreeMap<DataName, Vec<Step>>);

struct Step {
    action: Action,
    /// The entry whose rule it is, and the links up to it.
    root: DataName,
    path: Vec<Link>,
    rows: Expr,
}

/// The entries of a link and its own columns.
type Link = (DataName, DataName, Vec<String>);

impl Earlier {
    /// `rows` of an entry that go along a path of links with rows of a root, without those of earlier steps; they become
    /// those of an earlier step.
    pub fn beyond(
        &mut self,
        graph: &Graph,
        node: &Node,
        (root, path): (&Node, &[Edge]),
        action: Action,
        rows: Expr,
    ) -> Expr {
        // Rules of one entry exclude each other. Where a table refers to itself, each takes along what belongs to its rows.
        let refers_to_itself = |name: &DataName| graph.node(name).is_some_and(|node| node.self_link().is_some());
        let apart = root.self_link().is_none() && !path.iter().any(|edge| refers_to_itself(&edge.from));
        let path: Vec<Link> = path.iter().map(link).collect();
        let steps = self.0.entry(node.name.clone()).or_default();
        let beyond = steps
            .iter()
            // A reference that became NULL leaves the row for others to take, and its other references.
            .filter(|step| {
                step.action != Action::Unlink || action == Action::Unlink && step.path.first() == path.first()
            })
            .filter(|step| !(apart && step.root == root.name && step.path == path))
            .map(|step| Expr::IsNotTrue(Box::new(step.rows.clone())))
            .fold(rows.clone(), Expr::and);
        steps.push(Step { action, root: root.name.clone(), path, rows });
        beyond
    }
}

fn link(edge: &Edge) -> Link {
    let columns = edge.columns.iter().map(|(own, _)| own.name.as_str().to_owned());
    (edge.from.clone(), edge.to.clone(), columns.collect())
}
