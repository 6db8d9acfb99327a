//! `goes_with`: rows that go together or not at all.
//!
//! **Invariant.** Rows tied to one another, over however many links and in either direction, form a set. While any row of
//! a set must stay, all of it stays: [`Ties::apart`] gives those rows, and every condition that makes a tied row due leaves
//! them out. A row must stay that none of the job's rules makes due, and one that a legal hold keeps.

use std::collections::BTreeSet;

use super::columns::Reporter;
use super::condition::joined;
use super::{Due, Edge, Graph, Node};
use crate::config::diagnostic::Diagnostics;
use crate::names::DataName;
use crate::store::target::{Expr, Scope, Tie, TiedRows};

/// As many tables as one set may span.
const MOST: usize = 8;

/// Tied entries, each with the rules that make its rows due.
#[derive(Clone, Debug)]
pub struct Ties {
    members: Vec<(DataName, Vec<Due>)>,
}

impl Ties {
    /// The ties of an entry under the rules of one job; `None` when it is tied to nothing.
    pub fn of(graph: &Graph, node: &Node, dues: impl Fn(&DataName) -> Vec<Due>) -> Option<Self> {
        if !is_tied(graph, &node.name) {
            return None;
        }
        let members = tied_to(graph, &node.name).into_iter();
        Some(Self { members: members.map(|name| (name.clone(), dues(&name))).collect() })
    }

    /// The rows of `node`, seen from `scope`, whose set must stay.
    pub fn apart(&self, graph: &Graph, node: &Node, scope: &Scope) -> Expr {
        let number = |name: &DataName| self.members.iter().position(|(member, _)| member == name);
        let (from, to) = (Scope::Alias(0), Scope::Alias(1));
        let nodes: Vec<&Node> = self.members.iter().filter_map(|(name, _)| graph.node(name)).collect();
        let ties = nodes
            .iter()
            .flat_map(|node| &node.goes_with)
            .filter_map(|edge| {
                Some(Tie {
                    from: number(&edge.from)?,
                    to: number(&edge.to)?,
                    joined: Expr::All(joined(graph, edge, &from, &to, 2)),
                    from_stays: self.must_stay(graph, &edge.from, &from, 2)?,
                    to_stays: self.must_stay(graph, &edge.to, &to, 2)?,
                })
            })
            .collect();
        let tables = nodes.iter().map(|node| TiedRows { table: node.at.clone(), key: node.key.clone() }).collect();
        Expr::Apart { key: node.key_operands(scope), number: number(&node.name).unwrap_or(MOST), tables, ties }
    }

    /// The rows that may go: due by any rule, and of a set of which none must stay.
    pub fn may_go(&self, graph: &Graph, node: &Node, scope: &Scope) -> Option<Expr> {
        let stays = self.must_stay(graph, &node.name, scope, 2)?;
        Some(Expr::Not(Box::new(stays)).and(Expr::Not(Box::new(self.apart(graph, node, scope)))))
    }

    /// The rows of a member that must stay for reasons of their own.
    fn must_stay(&self, graph: &Graph, name: &DataName, scope: &Scope, alias: u8) -> Option<Expr> {
        let (_, dues) = self.members.iter().find(|(member, _)| member == name)?;
        let node = graph.node(name)?;
        let due = Expr::Any(dues.iter().map(|due| due.expr(graph, node, scope, alias)).collect());
        Some(Expr::Any(vec![due.negated(), graph.held(node, scope)]))
    }
}

/// The entries tied to one, itself included.
pub fn tied_to(graph: &Graph, name: &DataName) -> BTreeSet<DataName> {
    let mut found = BTreeSet::from([name.clone()]);
    loop {
        let more: Vec<DataName> = graph
            .children_first()
            .flat_map(|node| &node.goes_with)
            .filter(|edge| found.contains(&edge.from) != found.contains(&edge.to))
            .flat_map(|edge| [edge.from.clone(), edge.to.clone()])
            .collect();
        if more.is_empty() {
            return found;
        }
        found.extend(more);
    }
}

/// Whether rows of an entry are tied to others.
pub fn is_tied(graph: &Graph, name: &DataName) -> bool {
    graph.children_first().flat_map(|node| &node.goes_with).any(|edge| edge.from == *name || edge.to == *name)
}

/// The links from a table to itself that tie its rows.
pub fn within(node: &Node) -> impl Iterator<Item = &Edge> {
    node.goes_with.iter().filter(|edge| edge.is_self())
}

/// Refuses ties that no run could keep.
pub(super) fn check(graph: &Graph, diagnostics: &mut Diagnostics) {
    for node in graph.children_first().filter(|node| !node.goes_with.is_empty()) {
        let mut reporter = Reporter::entry(diagnostics, &node.name);
        let members = tied_to(graph, &node.name);
        if members.len() > MOST {
            let message = format!("`goes_with` ties {} entries to one another; {MOST} are the most", members.len());
            reporter.error(&["goes_with"], message, None);
        }
        for member in members.iter().filter_map(|name| graph.node(name)) {
            let name = &member.name;
            if member.key.is_empty() {
                let message = format!("`{name}` has no key, so its rows cannot be told apart in a set");
                reporter.error(&["goes_with"], message, "say `key = …`, or add a primary key".to_owned());
            }
            if !member.belongs_to.is_empty() {
                let message = format!("`{name}` goes with its parent (`belongs_to`), so it cannot wait for a set");
                reporter.error(&["goes_with"], message, "leave one of the two links out".to_owned());
            }
            if member.fate != node.fate {
                let message = format!("of `{}` and `{name}` one is deleted and one anonymised", node.name);
                reporter.error(&["goes_with"], message, "give both the same `on_expiry`".to_owned());
            }
        }
    }
}
