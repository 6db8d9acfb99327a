//! Which rows of an entry a rule makes due.
//!
//! **Invariant.** [`Due::expr`] is the whole truth about a rule: the preview counts with it, the probes look with it, and
//! the removing statement repeats it. Rules are exclusive: a row that lacks what it requires is due by that alone; of the
//! overrides the first whose condition is *true* wins, so a NULL in a condition leaves the row to the default
//! (`IS NOT TRUE`), never to two rules.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::condition::{along, joined};
use super::{Edge, Fate, Graph, MarkerColumn, Named, Node, Requirement, Resolved, Subject, Walk};
use crate::store::folded::Fold;
use crate::store::target::{Expr, Operand, Scope};

/// What makes a row due.
#[derive(Clone, Debug)]
pub enum Why {
    /// Its age: older than the cutoff.
    Age(DateTime<Utc>),
    /// It lacks what it requires.
    Requirement,
    /// It names one of these persons.
    Named(Named),
    /// Its category is not collected.
    NotCollected,
    /// It is one person's, as [`super::walk`] says.
    Person(Rows),
}

/// Rows by a condition that holds values of rows, and so is never shown.
#[derive(Clone)]
pub enum Rows {
    /// These, as the walk made the condition for the entry's own table.
    Of(Box<Expr>),
    /// All that this person's erasure removes or anonymises, in whatever entry.
    Going(Arc<Subject>),
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rows")
    }
}

/// The rows that one rule makes due.
#[derive(Clone, Debug)]
pub struct Due {
    /// Why.
    pub why: Why,
    /// The job's own `where`.
    pub only: Resolved,
    /// The override's condition, when this is an override.
    pub matching: Option<Resolved>,
    /// The conditions of the overrides before it.
    pub unless: Vec<Resolved>,
    /// Rows that a rollup has not folded yet. While there is one, the row stays.
    pub unfolded: Vec<Unfolded>,
    /// Only rows that this rollup, which leaves them there, has not counted yet.
    pub fresh: Option<String>,
}

/// Rows that a rollup must have folded first.
#[derive(Clone, Debug)]
pub struct Unfolded {
    /// The links down to them; none: they are the rows themselves.
    pub links: Vec<Edge>,
    /// The job that counts them and leaves them there; without one, they are folded when they are gone.
    pub stays: Option<String>,
}

impl Due {
    /// The due rows of `node`, seen from `scope`.
    pub fn expr(&self, graph: &Graph, node: &Node, scope: &Scope, alias: u8) -> Expr {
        let mut parts = vec![match &self.why {
            Why::Age(cutoff) => expired(graph, node, scope, alias, *cutoff),
            Why::Requirement => lacks_requirement(graph, node, scope, alias),
            // Nothing narrows it: the walk has said all, links to the same table and shared rows included.
            Why::Person(Rows::Of(rows)) => return (**rows).clone(),
            Why::Person(Rows::Going(subject)) => {
                let walk = Walk::new(graph, subject);
                return Expr::Any(vec![walk.goes(node, scope, alias), walk.changes(node, scope, alias)]);
            }
            Why::Named(named) => named.expr(graph, scope, alias),
            Why::NotCollected => Expr::always(),
        }];
        if !self.only.is_empty() {
            parts.push(self.only.expr(graph, scope, alias));
        }
        if let Some(matching) = &self.matching {
            parts.push(matching.expr(graph, scope, alias));
        }
        for earlier in &self.unless {
            parts.push(Expr::IsNotTrue(Box::new(earlier.expr(graph, scope, alias))));
        }
        if node.requires.is_some() && matches!(self.why, Why::Age(_)) {
            // These are the rows of the requirement's own rule, whatever their age.
            parts.push(Expr::Not(Box::new(lacks_requirement(graph, node, scope, alias))));
        }
        for unfolded in &self.unfolded {
            parts.push(unfolded.none(graph, node, scope, alias));
        }
        if let Some(job) = &self.fresh {
            parts.push(Expr::Not(Box::new(node.folded_by(job, scope))));
        }
        if node.shared {
            parts.push(unreferred(graph, node, scope, alias));
        }
        Expr::All(parts)
    }

    /// The rows that the rule speaks of, whatever their age: for what is kept back.
    pub fn scope_expr(&self, graph: &Graph, scope: &Scope, alias: u8) -> Expr {
        let mut parts = Vec::new();
        if !self.only.is_empty() {
            parts.push(self.only.expr(graph, scope, alias));
        }
        if let Some(matching) = &self.matching {
            parts.push(matching.expr(graph, scope, alias));
        }
        for earlier in &self.unless {
            parts.push(Expr::IsNotTrue(Box::new(earlier.expr(graph, scope, alias))));
        }
        Expr::All(parts)
    }

    /// Rows for another reason than age, with no further condition.
    pub fn because(why: Why) -> Self {
        Self { why, only: Resolved::nothing(), matching: None, unless: Vec::new(), unfolded: Vec::new(), fresh: None }
    }

    /// The cutoff, when the rule has one.
    pub fn cutoff(&self) -> Option<DateTime<Utc>> {
        match self.why {
            Why::Age(cutoff) => Some(cutoff),
            Why::Requirement | Why::Person(_) | Why::Named(_) | Why::NotCollected => None,
        }
    }

    /// The rows of one person.
    pub fn person(rows: Expr) -> Self {
        Self::of(Rows::Of(Box::new(rows)))
    }

    /// All rows that a person's erasure removes or anonymises.
    pub fn going(subject: Arc<Subject>) -> Self {
        Self::of(Rows::Going(subject))
    }

    fn of(rows: Rows) -> Self {
        Self::because(Why::Person(rows))
    }
}

/// The rows that are older than the cutoff, by their own time or by that of the parent they age with.
pub fn expired(graph: &Graph, node: &Node, scope: &Scope, alias: u8, cutoff: DateTime<Utc>) -> Expr {
    if let Some(age) = &node.age {
        return age.expired(scope, cutoff);
    }
    let Some(edge) = &node.ages_with else {
        // An entry without a time is never expired by age.
        return Expr::Any(Vec::new());
    };
    let Some(parent) = graph.node(&edge.to) else {
        return Expr::Any(Vec::new());
    };
    along(graph, std::slice::from_ref(edge), scope, alias, &|scope, alias| expired(graph, parent, scope, alias, cutoff))
}

/// The rows that do not satisfy what their entry requires.
pub fn lacks_requirement(graph: &Graph, node: &Node, scope: &Scope, alias: u8) -> Expr {
    match &node.requires {
        None => Expr::Any(Vec::new()),
        Some(Requirement::Columns(condition)) => Expr::IsNotTrue(Box::new(condition.expr(graph, scope, alias))),
        Some(Requirement::Row(edge, condition)) => {
            let required = |scope: &Scope, alias: u8| condition.expr(graph, scope, alias);
            Expr::Not(Box::new(along(graph, std::slice::from_ref(edge), scope, alias, &required)))
        }
    }
}

impl Unfolded {
    /// There is none of them at the row in `scope`.
    fn none(&self, graph: &Graph, node: &Node, scope: &Scope, alias: u8) -> Expr {
        match &self.stays {
            Some(job) if self.links.is_empty() => node.folded_by(job, scope),
            _ => Expr::Not(Box::new(self.below(graph, &self.links, scope, alias))),
        }
    }

    /// There is a row at the end of these links, each from a row that refers to the one above it.
    fn below(&self, graph: &Graph, links: &[Edge], scope: &Scope, alias: u8) -> Expr {
        let Some((edge, deeper)) = links.split_first() else { return Expr::always() };
        // A link to an entry that is not there keeps everything.
        let Some(child) = graph.node(&edge.from) else { return Expr::always() };
        let inner = Scope::Alias(alias);
        let mut parts = joined(graph, edge, &inner, scope, alias + 1);
        parts.push(match &self.stays {
            Some(job) if deeper.is_empty() => Expr::Not(Box::new(child.folded_by(job, &inner))),
            _ => self.below(graph, deeper, &inner, alias + 1),
        });
        Expr::Exists { table: child.at.clone(), alias, condition: Box::new(Expr::All(parts)) }
    }
}

impl Node {
    /// The rows that a rollup which leaves them there has counted.
    pub fn folded_by(&self, job: &str, scope: &Scope) -> Expr {
        let identity = self.identity();
        identity.entered(Fold::of(job, &identity.source).id, scope)
    }
}

/// Nothing refers to the row: neither a child nor a reference that would be unlinked.
fn unreferred(graph: &Graph, node: &Node, scope: &Scope, alias: u8) -> Expr {
    let referring = graph.children(&node.name).chain(graph.unlinks(&node.name)).filter(|(_, edge)| !edge.is_self());
    Expr::All(
        referring
            .map(|(child, edge)| {
                let inner = Scope::Alias(alias);
                let condition = Expr::All(joined(graph, edge, &inner, scope, alias + 1));
                let exists = Expr::Exists { table: child.at.clone(), alias, condition: Box::new(condition) };
                Expr::Not(Box::new(exists))
            })
            .collect(),
    )
}

/// The rows of `node` that still need something done to them: all, when they are to go; those not yet anonymised, when
/// they stay.
pub fn unfinished(node: &Node, scope: &Scope) -> Expr {
    if node.fate == Fate::Delete {
        return Expr::always();
    }
    match node.marker.as_ref().filter(|_| node.marker_decides) {
        Some(MarkerColumn::Instant(age)) => Expr::Null(age.operand(scope), true),
        Some(MarkerColumn::Flag(column)) => Expr::IsNotTrue(Box::new(Expr::Compare(
            Operand { scope: scope.clone(), column: column.clone() },
            crate::store::target::Op::Equal,
            crate::store::target::Scalar::Policy(
                if column.sql_type.as_str() == "boolean" { "true" } else { "1" }.to_owned(),
            ),
        ))),
        None => Expr::Not(Box::new(Expr::All(
            node.overwrites
                .iter()
                .map(|overwrite| {
                    let operand = Operand { scope: scope.clone(), column: overwrite.column.clone() };
                    Expr::InShape(operand, overwrite.shape.clone())
                })
                .collect(),
        ))),
    }
}
