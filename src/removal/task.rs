//! One rule on one entry, with everything that goes along with its rows.

use crate::graph::condition::{closed, joined, needed};
use crate::graph::due::unfinished;
use crate::graph::ties::Ties;
use crate::graph::{Due, Edge, Fate, Graph, Node, Why};
use crate::names::DataName;
use crate::plan::{Action, Strategy};
use crate::store::target::{Expr, Keys, Scope};

/// Rows that go along with the rows of a task.
#[derive(Clone, Debug)]
pub struct Branch {
    /// Their entry.
    pub data: DataName,
    /// The links from them up to the task's entry.
    pub path: Vec<Edge>,
    /// What is done to them.
    pub action: Action,
    /// The rollup that must have counted each of them before it goes.
    pub after: Option<String>,
}

/// One rule on one entry.
#[derive(Clone, Debug)]
pub struct Task {
    /// The entry.
    pub root: DataName,
    /// Which of its rows.
    pub due: Due,
    /// The rule's name: `default`, `override 1`, `requires`.
    pub rule: String,
    /// What goes along, children before parents.
    pub branches: Vec<Branch>,
    /// The rows that they go together with.
    pub ties: Option<Ties>,
    /// How the rows are walked.
    pub strategy: Strategy,
}

/// What goes along when rows of `root` go or are anonymised, children before parents.
pub fn branches(graph: &Graph, root: &Node) -> Vec<Branch> {
    let mut found = Vec::new();
    gather(graph, root, &[], &mut found);
    found
}

fn gather(graph: &Graph, node: &Node, path: &[Edge], found: &mut Vec<Branch>) {
    for (child, edge) in graph.children(&node.name).filter(|(_, edge)| !edge.is_self()) {
        let mut longer = vec![edge.clone()];
        longer.extend_from_slice(path);
        gather(graph, child, &longer, found);
        found.push(Branch { data: child.name.clone(), path: longer, action: child.fate.into(), after: None });
    }
    if node.fate == Fate::Delete {
        for (referring, edge) in graph.unlinks(&node.name) {
            let mut longer = vec![edge.clone()];
            longer.extend_from_slice(path);
            found.push(Branch { data: referring.name.clone(), path: longer, action: Action::Unlink, after: None });
        }
    }
}

/// References to rows of `root` that become NULL when these go; nothing else goes along.
pub fn references(graph: &Graph, root: &Node) -> Vec<Branch> {
    let unlink = |(referring, edge): (&Node, &Edge)| Branch {
        data: referring.name.clone(),
        path: vec![edge.clone()],
        action: Action::Unlink,
        after: None,
    };
    if root.fate == Fate::Delete { graph.unlinks(&root.name).map(unlink).collect() } else { Vec::new() }
}

impl Branch {
    /// Whether its links lead through another branch's, or are these.
    pub fn lies_below(&self, other: &Self) -> bool {
        let above = self.path.len().checked_sub(other.path.len());
        above.is_some_and(|above| self.path.iter().skip(above).zip(&other.path).all(|(a, b)| a.is_same_link(b)))
    }

    /// Whether it leads through these links, the uppermost first, or is these.
    pub fn leads_through(&self, links: &[Edge]) -> bool {
        self.path.len() >= links.len() && self.path.iter().rev().zip(links).all(|(a, b)| a.is_same_link(b))
    }

    /// The rows of the branch that still need something done, among those whose ancestor at the root satisfies `ancestor`.
    pub fn rows(&self, graph: &Graph, node: &Node, ancestor: &dyn Fn(&Scope, u8) -> Expr) -> Expr {
        let scope = node.own();
        self.unfinished(node, &scope).and(self.below_root(graph, 0, &scope, 0, ancestor))
    }

    /// Rows at a place of the path, whose ancestor at the root satisfies `ancestor`.
    fn below_root(
        &self,
        graph: &Graph,
        position: usize,
        scope: &Scope,
        alias: u8,
        ancestor: &dyn Fn(&Scope, u8) -> Expr,
    ) -> Expr {
        let Some(edge) = self.path.get(position) else { return ancestor(scope, alias) };
        let (Some(node), Some(parent)) = (graph.node(&edge.from), graph.node(&edge.to)) else {
            return Expr::Any(Vec::new());
        };
        self.with_own_kind(graph, node, position, (scope, alias), &|scope, alias| {
            let inner = Scope::Alias(alias);
            let above = self.below_root(graph, position + 1, &inner, alias + 1, ancestor);
            if self.closes(graph) && edge.columns.iter().all(|(own, theirs)| Expr::are_comparable(own, theirs)) {
                // Once for all rows: within a condition that is asked row by row, PostgreSQL walks along the links for each.
                let own = edge.condition.expr(graph, scope, alias + 1);
                let (columns, selected) = (edge.referring(scope), edge.referred(&inner));
                let condition = Box::new(above);
                return own.and(Expr::KeyInRows { columns, table: parent.at.clone(), alias, selected, condition });
            }
            let mut parts = joined(graph, edge, scope, &inner, alias + 1);
            parts.push(above);
            Expr::Exists { table: parent.at.clone(), alias, condition: Box::new(Expr::All(parts)) }
        })
    }

    /// Whether a table on the way, or the root's, has a link to itself.
    fn closes(&self, graph: &Graph) -> bool {
        let has = |name: &DataName| graph.node(name).is_some_and(|node| node.self_link().is_some());
        self.path.iter().any(|edge| has(&edge.from) || has(&edge.to))
    }

    /// What belongs to a row of the same table goes with it; but a reference that is unlinked is one reference.
    fn with_own_kind(
        &self,
        graph: &Graph,
        node: &Node,
        position: usize,
        (scope, alias): (&Scope, u8),
        base: &dyn Fn(&Scope, u8) -> Expr,
    ) -> Expr {
        let single = position == 0 && self.action == Action::Unlink;
        if single { base(scope, alias) } else { closed(graph, node, scope, alias, base) }
    }

    /// What still needs doing to a row of the branch; a reference that is NULL already refers to nothing. A row that came a
    /// moment ago is counted first, where its rollup is waited for.
    pub fn unfinished(&self, node: &Node, scope: &Scope) -> Expr {
        if self.action == Action::Unlink {
            return Expr::always();
        }
        let counted = self.after.as_ref().map_or_else(Expr::always, |job| node.folded_by(job, scope));
        unfinished(node, scope).and(counted)
    }

    /// The same rows, by the values of the root's columns that the last link refers to: what the batch knows of them.
    pub fn rows_of(&self, graph: &Graph, node: &Node, values: &Keys) -> Expr {
        let scope = node.own();
        self.unfinished(node, &scope).and(self.up(graph, 0, &scope, 0, values))
    }

    fn up(&self, graph: &Graph, position: usize, scope: &Scope, alias: u8, values: &Keys) -> Expr {
        let Some(edge) = self.path.get(position) else { return Expr::Any(Vec::new()) };
        let (Some(node), Some(parent)) = (graph.node(&edge.from), graph.node(&edge.to)) else {
            return Expr::Any(Vec::new());
        };
        self.with_own_kind(graph, node, position, (scope, alias), &|scope, alias| {
            let own =
                if edge.condition.is_empty() { Expr::always() } else { edge.condition.expr(graph, scope, alias + 1) };
            if position + 1 == self.path.len() {
                return own.and(Expr::KeyIn(edge.referring(scope), values.clone()));
            }
            let inner = Scope::Alias(alias);
            own.and(Expr::KeyInRows {
                columns: edge.referring(scope),
                table: parent.at.clone(),
                alias,
                selected: edge.referred(&inner),
                condition: Box::new(self.up(graph, position + 1, &inner, alias + 1, values)),
            })
        })
    }
}

impl Task {
    /// The rows of the entry that the rule makes due, that no hold keeps and that still need something done to themselves.
    pub fn rows(&self, graph: &Graph, node: &Node) -> Expr {
        let scope = node.own();
        self.going(graph, node, &scope, 0).and(unfinished(node, &scope))
    }

    /// The same without a look at holds, for statements that are guarded by themselves.
    pub fn due_rows(&self, graph: &Graph, node: &Node) -> Expr {
        let scope = node.own();
        let due = self.closed(graph, node, (&scope, 0), &|_| Expr::always());
        due.and(self.together(graph, node, &scope)).and(unfinished(node, &scope))
    }

    /// The rows that a batch must visit: those of [`Task::rows`], and those that are done themselves but have something
    /// left below them.
    pub fn visited(&self, graph: &Graph, node: &Node) -> Expr {
        let scope = node.own();
        let due = self.going(graph, node, &scope, 0);
        if node.fate == Fate::Delete {
            return match node.self_link() {
                // Leaves first: a row whose own children are still there waits for the next pass.
                Some(edge) => due.and(Expr::Not(Box::new(has_child(graph, node, edge, &scope)))),
                None => due,
            };
        }
        let mut work = vec![unfinished(node, &scope)];
        work.extend(self.branches.iter().map(|branch| below(graph, branch, branch.path.len(), &scope, 0)));
        due.and(Expr::Any(work))
    }

    /// The rows that the rule makes due and that no legal hold keeps.
    pub fn going(&self, graph: &Graph, node: &Node, scope: &Scope, alias: u8) -> Expr {
        let free = |scope: &Scope| graph.free(node, scope);
        self.closed(graph, node, (scope, alias), &free).and(self.together(graph, node, scope))
    }

    /// The rows that the rule makes due and that a legal hold keeps.
    pub fn held(&self, graph: &Graph, node: &Node, scope: &Scope, alias: u8) -> Expr {
        self.closed(graph, node, (scope, alias), &|_| Expr::always()).and(graph.held(node, scope))
    }

    /// Those of the entry that would go now but for a hold.
    pub fn held_rows(&self, graph: &Graph, node: &Node) -> Expr {
        let scope = node.own();
        self.held(graph, node, &scope, 0).and(unfinished(node, &scope))
    }

    /// The rows of sets of which none must stay.
    fn together(&self, graph: &Graph, node: &Node, scope: &Scope) -> Expr {
        let apart = self.ties.as_ref().map(|ties| ties.apart(graph, node, scope));
        apart.map_or_else(Expr::always, |apart| Expr::Not(Box::new(apart)))
    }

    /// The rule's rows and, along a link to the same table, all that belong to them; those of `only` alone. What belongs
    /// to a row that stays does not go with it.
    fn closed(&self, graph: &Graph, node: &Node, (scope, alias): (&Scope, u8), only: &dyn Fn(&Scope) -> Expr) -> Expr {
        let seed = |scope: &Scope, alias: u8| self.due.expr(graph, node, scope, alias).and(only(scope));
        // A person's walk has said all already, links to the same table included.
        if node.self_link().is_none() || matches!(self.due.why, Why::Person(_)) {
            return seed(scope, alias);
        }
        closed(graph, node, scope, alias, &seed).and(only(scope))
    }
}

/// A row of the same table, other than itself, belongs to the row in `scope`.
pub(super) fn has_child(graph: &Graph, node: &Node, edge: &Edge, scope: &Scope) -> Expr {
    let inner = Scope::Alias(9);
    let mut parts = joined(graph, edge, &inner, scope, 10);
    // A row that refers to itself is no obstacle to its own removal.
    let same: Vec<Expr> =
        node.key_operands(&inner).into_iter().zip(node.key_operands(scope)).map(|(a, b)| Expr::Same(a, b)).collect();
    parts.push(Expr::Not(Box::new(Expr::All(same))));
    Expr::Exists { table: node.at.clone(), alias: 9, condition: Box::new(Expr::All(parts)) }
}

/// Something of the branch below a row in `scope`, `depth` links down, along links of a table to itself too.
fn below(graph: &Graph, branch: &Branch, depth: usize, scope: &Scope, alias: u8) -> Expr {
    let Some(edge) = depth.checked_sub(1).and_then(|position| branch.path.get(position)) else {
        return Expr::Any(Vec::new());
    };
    let Some(child) = graph.node(&edge.from) else { return Expr::Any(Vec::new()) };
    let inner = Scope::Alias(alias);
    let mut parts = joined(graph, edge, &inner, scope, alias + 1);
    let left = |scope: &Scope, alias: u8| {
        if depth == 1 { branch.unfinished(child, scope) } else { below(graph, branch, depth - 1, scope, alias) }
    };
    // Where the child itself is something, nothing below it is asked for; a reference that is unlinked is one reference.
    let itself = depth == 1 && (branch.action == Action::Unlink || child.fate == Fate::Delete);
    parts.push(if itself { left(&inner, alias + 1) } else { needed(graph, child, &inner, alias + 1, &left) });
    Expr::Exists { table: child.at.clone(), alias, condition: Box::new(Expr::All(parts)) }
}
