//! Asking the stores who is meant, and where a person's addresses stand.

use std::collections::{BTreeMap, BTreeSet};

use super::{Subject, Walk};
use crate::graph::people::Identifier;
use crate::graph::stores::Stores;
use crate::graph::{Address, Graph, Node, PersonKind};
use crate::redact::Sealed;
use crate::store::target::statements::{self, Read};
use crate::store::target::{Expr, Operand};
use crate::store::{Access, Conn, ErrorKind, PooledConn, StoreError};

/// A search by address that finds more rows than this is too wide to be about one person.
pub const MOST_FOUND: u64 = 1_000;

/// What a search by address found.
pub enum Search {
    /// The rows, now in the subject.
    Found,
    /// More than [`MOST_FOUND`].
    TooMany,
}

/// Finds the rows that bear the subject's addresses and notes their keys.
///
/// # Errors
/// When a store cannot be asked.
pub fn search(graph: &Graph, stores: &Stores, subject: &mut Subject) -> Result<Search, StoreError> {
    subject.found = None;
    let mut found = BTreeMap::new();
    let mut left = MOST_FOUND;
    for node in graph.children_first() {
        let walk = Walk::new(graph, subject);
        if !walk.can_address(node) {
            continue;
        }
        let scope = node.own();
        let rows = walk.in_range(node, &scope, 0).and(walk.addressed(node, &scope));
        let keys = if node.key.is_empty() {
            // Rows that have no key are only counted; each statement searches them again.
            let mut conn = open(stores, node)?;
            let stmt = statements::count_up_to(node.backend, &node.at, &rows, left + 1);
            let count = conn.rows(&stmt)?.first().and_then(|row| row.count(0)).unwrap_or_default().unsigned_abs();
            if count > left {
                return Ok(Search::TooMany);
            }
            left -= count;
            continue;
        } else {
            keys(stores, node, &rows, left + 1)?
        };
        match left.checked_sub(keys.len() as u64) {
            None => return Ok(Search::TooMany),
            Some(rest) => left = rest,
        }
        if !keys.is_empty() {
            found.insert(node.name.clone(), keys);
        }
    }
    subject.found = Some(found);
    Ok(Search::Found)
}

/// The persons of a kind that an identifier names, by key, at most `most` of them.
///
/// # Errors
/// When a store cannot be asked.
pub fn persons(
    graph: &Graph,
    stores: &Stores,
    identifier: &Identifier,
    address: &Address,
    most: u64,
) -> Result<BTreeSet<Vec<Sealed>>, StoreError> {
    let Some(node) = graph.node(&identifier.data) else { return Ok(BTreeSet::new()) };
    let scope = node.own();
    let link = crate::graph::AddressLink {
        kind: address.kind.clone(),
        column: identifier.column.clone(),
        compare: address.compare,
    };
    let rows = link.matches(address, &scope).and(identifier.condition.expr(graph, &scope, 0));
    let columns = operands(&identifier.key, node);
    let mut conn = open(stores, node)?;
    read(&mut conn, node, &columns, &rows, most).map(|rows| rows.into_iter().collect())
}

/// A person's key as their own row has it; `None` when there is no such row.
///
/// # Errors
/// When the store cannot be asked.
pub fn own_key(
    graph: &Graph,
    stores: &Stores,
    kind: &PersonKind,
    key: &[Sealed],
) -> Result<Option<Vec<Sealed>>, StoreError> {
    let Some(node) = graph.persons(kind) else { return Ok(None) };
    let subject = Subject::by_key(kind, key.to_vec());
    let rows = Walk::new(graph, &subject).names(node, &node.own(), 0);
    Ok(keys(stores, node, &rows, 1)?.into_iter().next())
}

/// The addresses of a person known by key, where the map says that they stand.
///
/// # Errors
/// When a store cannot be asked.
pub fn addresses(
    graph: &Graph,
    stores: &Stores,
    kind: &PersonKind,
    key: &[Sealed],
) -> Result<Vec<Address>, StoreError> {
    let mut found: Vec<Address> = Vec::new();
    for (name, identifier) in &kind.identifiers {
        let (Some(node), Some(compare)) = (graph.node(&identifier.data), kind.compare.get(name)) else { continue };
        let scope = node.own();
        let link = crate::graph::KeyLink {
            condition: identifier.condition.clone(),
            ..crate::graph::KeyLink::whole(&kind.name, &identifier.key)
        };
        let rows = link.matches(graph, key, &scope, 0);
        let columns = operands(std::slice::from_ref(&identifier.column), node);
        let mut conn = open(stores, node)?;
        for value in read(&mut conn, node, &columns, &rows, MOST_FOUND)?.into_iter().flatten() {
            // A blank, or a text that is no number, names nobody.
            if let Ok(address) = Address::new(name, *compare, value.expose())
                && !found.iter().any(|known| known.kind == address.kind && known.value == address.value)
            {
                found.push(address);
            }
        }
    }
    Ok(found)
}

fn operands(columns: &[crate::store::catalog::Column], node: &Node) -> Vec<Operand> {
    columns.iter().map(|column| Operand { scope: node.own(), column: column.clone() }).collect()
}

fn keys(stores: &Stores, node: &Node, rows: &Expr, most: u64) -> Result<Vec<Vec<Sealed>>, StoreError> {
    let mut conn = open(stores, node)?;
    let columns = node.key_operands(&node.own());
    read(&mut conn, node, &columns, rows, most)
}

fn read(
    conn: &mut Conn,
    node: &Node,
    columns: &[Operand],
    rows: &Expr,
    most: u64,
) -> Result<Vec<Vec<Sealed>>, StoreError> {
    let read =
        Read { table: &node.at, columns, lookups: &[], condition: rows, order: &[], skip: 0, limit: most, lock: false };
    let rows = conn.transaction(Access::ReadOnly, |conn| conn.rows(&statements::read(node.backend, &read)))?;
    Ok(rows.into_iter().map(|row| row.into_values().into_iter().flatten().collect()).collect())
}

pub(crate) fn open(stores: &Stores, node: &Node) -> Result<PooledConn, StoreError> {
    let database = stores
        .database(&node.store)
        .ok_or_else(|| StoreError::new(ErrorKind::Unreachable, format!("store `{}` is not open", node.store)))?;
    let mut conn = database.conn()?;
    conn.allow_long_reads()?;
    Ok(conn)
}
