//! Counting what an erasure leaves, and why: what its plan, its receipt and a report about the person say.

use std::sync::Arc;

use super::{Subject, Walk, find};
use crate::graph::stores::Stores;
use crate::graph::ties::Ties;
use crate::graph::{Due, Graph, Node};
use crate::names::{DataName, StoreName};
use crate::store::target::{Expr, statements};
use crate::store::{Access, Conn, StoreError};

/// Rows of one entry that an erasure leaves for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// The entry.
    pub data: DataName,
    /// Its store.
    pub store: StoreName,
    /// How many, at least one.
    pub rows: u64,
    /// Why.
    pub ground: String,
    /// Whether they are about the person; others are about somebody else alone.
    pub about: bool,
}

/// What goes together with rows of an entry, so that it stays where these stay.
pub fn ties(graph: &Graph, node: &Node, subject: &Arc<Subject>) -> Option<Ties> {
    Ties::of(graph, node, |_| vec![Due::going(Arc::clone(subject))])
}

/// Counts what stays, in all stores or in one.
///
/// # Errors
/// When a store cannot be asked.
pub fn remaining(
    graph: &Graph,
    stores: &Stores,
    subject: &Arc<Subject>,
    only: Option<&StoreName>,
) -> Result<Vec<Left>, StoreError> {
    let is_here = |node: &&Node| only.is_none_or(|only| node.store == *only);
    let mut all = Vec::new();
    for left in Walk::new(graph, subject).remains() {
        let Some(node) = graph.node(&left.data).filter(is_here) else { continue };
        let mut conn = find::open(stores, node)?;
        let rows = conn.transaction(Access::ReadOnly, |conn| counted(conn, node, &left.rows))?;
        let (data, store) = (left.data, node.store.clone());
        all.extend((rows > 0).then_some(Left { data, store, rows, ground: left.ground, about: left.about }));
    }
    for node in graph.children_first().filter(is_here) {
        let Some(ties) = ties(graph, node, subject) else { continue };
        let scope = node.own();
        let mine = Due::going(Arc::clone(subject)).expr(graph, node, &scope, 0);
        let mut conn = find::open(stores, node)?;
        let rows = counted(&mut conn, node, &mine.and(ties.apart(graph, node, &scope)))?;
        let ground = "they go together with rows that stay".to_owned();
        let (data, store) = (node.name.clone(), node.store.clone());
        all.extend((rows > 0).then_some(Left { data, store, rows, ground, about: true }));
    }
    Ok(all)
}

/// How many rows of an entry satisfy a condition.
///
/// # Errors
/// When the store cannot be asked.
pub fn counted(conn: &mut Conn, node: &Node, rows: &Expr) -> Result<u64, StoreError> {
    let rows = conn.rows(&statements::count(node.backend, &node.at, None, rows))?;
    Ok(rows.first().and_then(|row| row.count(0)).unwrap_or_default().unsigned_abs())
}
