//! Rows that stay although the walk reaches them, because of rows around them that stay.

use super::{Walk, exists, is_never};
use crate::graph::condition::joined;
use crate::graph::{Edge, Node, OnErasure, links};
use crate::store::target::{Expr, Scope};

impl Walk<'_> {
    /// Rows that must stay although they are this person's: rows that stay belong to them, or others refer to them.
    pub(super) fn is_blocked(&self, node: &Node, scope: &Scope, alias: u8) -> Expr {
        let below = |scope: &Scope, alias: u8| self.is_blocked_below(node, scope, alias);
        let Some(edge) = node.self_link() else { return below(scope, alias) };
        // Upwards from each row of the table that stays.
        Expr::Closure {
            key: node.key_operands(scope),
            table: node.at.clone(),
            link: edge.columns.iter().map(|(own, theirs)| (theirs.clone(), own.clone())).collect(),
            seed_alias: alias,
            seed: Box::new(Expr::Any(vec![
                self.is_anothers(node, &Scope::Alias(alias), alias + 2),
                below(&Scope::Alias(alias), alias + 2),
            ])),
            step: Box::new(Expr::always()),
        }
    }

    fn is_blocked_below(&self, node: &Node, scope: &Scope, alias: u8) -> Expr {
        let mut parts = Vec::new();
        let inner = Scope::Alias(alias);
        let unlinks = self.graph.unlinks(&node.name).filter(|_| node.shared);
        for (child, edge) in self.graph.children(&node.name).chain(unlinks).filter(|(_, edge)| !edge.is_self()) {
            let stays = if node.shared {
                self.goes(child, &inner, alias + 1).negated()
            } else {
                self.stays_below(child, edge, &inner, alias + 1)
            };
            if is_never(&stays) {
                continue;
            }
            let mut condition = joined(self.graph, edge, &inner, scope, alias + 1);
            condition.push(stays);
            parts.push(exists(child, alias, condition));
        }
        Expr::Any(parts)
    }

    /// Of the rows that belong to a row that goes, those that stay.
    fn stays_below(&self, child: &Node, edge: &Edge, scope: &Scope, alias: u8) -> Expr {
        match child.on_erasure {
            OnErasure::Keep(_) => Expr::always(),
            OnErasure::Anonymise if self.is_foreign_key(child, edge) => Expr::always(),
            OnErasure::Anonymise => self.is_anothers(child, scope, alias),
            OnErasure::Delete => {
                Expr::Any(vec![self.is_anothers(child, scope, alias), self.is_blocked(child, scope, alias)])
            }
        }
    }

    fn is_foreign_key(&self, child: &Node, edge: &Edge) -> bool {
        let Some(parent) = self.graph.node(&edge.to) else { return false };
        child.table.foreign_keys.iter().any(|key| {
            key.enforced
                && key.target == parent.table.name.as_str()
                && links::same_columns(edge, &key.columns, &key.target_columns)
        })
    }
}
