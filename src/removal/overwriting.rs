//! Overwriting personal columns of locked rows, the computed strategies included.

use std::net::IpAddr;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::windows::marker;
use super::{Context, RemovalError};
use crate::graph::Node;
use crate::redact::Sealed;
use crate::store::catalog::{Column, TypeClass};
use crate::store::target::shape::{HASH_CHARS, HASH_PREFIX, Shape};
use crate::store::target::statements::{self, Access, Overwrite, Read};
use crate::store::target::{Expr, Operand};
use crate::store::{Conn, StoreError};

/// Whether a node's strategies need values from outside the database, row by row.
pub(super) fn is_computed(node: &Node) -> bool {
    node.overwrites.iter().any(|overwrite| !overwrite.shape.is_constant())
}

/// Overwrites the rows of `condition`, which the caller has locked; gives their number.
pub(super) fn overwrite(
    context: &Context<'_>,
    conn: &mut Conn,
    node: &Node,
    condition: &Expr,
) -> Result<u64, RemovalError> {
    let computed: Vec<&Overwrite> = node.overwrites.iter().filter(|overwrite| !overwrite.shape.is_constant()).collect();
    let values = if computed.is_empty() { Vec::new() } else { read(conn, node, &computed, condition)? };
    let marker = marker(node, context.clock.now());
    let constant = marker.is_some() || computed.len() < node.overwrites.len();
    let mut rows = 0;
    if constant {
        let rows_of = context.graph.guard(node, condition.clone()).knowing(conn.held_now());
        let stmt =
            statements::overwrite(node.backend, &node.at, Access::Any, (&node.overwrites, marker.as_ref()), &rows_of);
        rows = conn.execute(&stmt)?;
    }
    for (key, old) in &values {
        let new = new_values(context, node, &computed, old)?;
        let only = Expr::KeyIn(node.key_operands(&node.own()), vec![key.clone()].into());
        let only = context.graph.guard(node, only).knowing(conn.held_now());
        let touched = conn.execute(&statements::overwrite_row(node.backend, &node.at, &new, &only))?;
        rows += if constant { 0 } else { touched };
    }
    Ok(rows)
}

type Row = (Vec<Sealed>, Vec<Option<Sealed>>);

fn read(conn: &mut Conn, node: &Node, computed: &[&Overwrite], condition: &Expr) -> Result<Vec<Row>, StoreError> {
    let scope = node.own();
    let mut columns = node.key_operands(&scope);
    columns.extend(computed.iter().map(|overwrite| Operand { scope: scope.clone(), column: overwrite.column.clone() }));
    let read = Read {
        table: &node.at,
        columns: &columns,
        lookups: &[],
        condition,
        order: &[],
        skip: 0,
        limit: u64::from(u32::MAX),
        lock: false,
    };
    let rows = conn.rows(&statements::read(node.backend, &read))?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let mut values = row.into_values();
            let old = values.split_off(node.key.len());
            (values.into_iter().flatten().collect(), old)
        })
        .collect())
}

fn new_values(
    context: &Context<'_>,
    node: &Node,
    computed: &[&Overwrite],
    old: &[Option<Sealed>],
) -> Result<Vec<(Column, Option<Sealed>)>, RemovalError> {
    computed
        .iter()
        .zip(old)
        .map(|(overwrite, old)| {
            let new = match old {
                None => None,
                Some(old) => compute(context, node, overwrite, old)?,
            };
            Ok((overwrite.column.clone(), new))
        })
        .collect()
}

fn compute(
    context: &Context<'_>,
    node: &Node,
    overwrite: &Overwrite,
    old: &Sealed,
) -> Result<Option<Sealed>, RemovalError> {
    let text = old.expose();
    Ok(match &overwrite.shape {
        Shape::TruncatedIp => match truncate_ip(text) {
            Some(network) => Some(Sealed::new(network)),
            // What is no address may be anything, so nothing of it stays.
            None if overwrite.column.class == TypeClass::Inet => None,
            None => Some(Sealed::new(String::new())),
        },
        Shape::KeptLast(kept) => Some(Sealed::new(keep_last(text, *kept as usize))),
        Shape::Hashed => Some(Sealed::new(hash(context, node, overwrite, text)?)),
        Shape::Null | Shape::Text(_) | Shape::Zero | Shape::YearOnly => Some(old.clone()),
    })
}

/// The network of an address: 24 bits of IPv4, 48 bits of IPv6.
fn truncate_ip(text: &str) -> Option<String> {
    let address: IpAddr = text.trim().parse().ok()?;
    Some(match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            format!("{a}.{b}.{c}.0")
        }
        IpAddr::V6(v6) => {
            let [a, b, c, ..] = v6.segments();
            std::net::Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0).to_string()
        }
    })
}

/// Stars, then the last characters; a value that is no longer than what is kept becomes all stars.
fn keep_last(text: &str, kept: usize) -> String {
    let length = text.chars().count();
    let stars = if length <= kept { length } else { length - kept };
    "*".repeat(stars) + &text.chars().skip(stars).collect::<String>()
}

fn hash(context: &Context<'_>, node: &Node, overwrite: &Overwrite, text: &str) -> Result<String, RemovalError> {
    if text.starts_with(HASH_PREFIX) && text.chars().count() as u64 == HASH_CHARS {
        return Ok(text.to_owned());
    }
    let name = (node.name.clone(), overwrite.column.name.as_str().to_owned());
    let missing = || RemovalError::Doubt(format!("`{}`: the key for `hash` is not at hand", node.name));
    let key = context.hash_keys.get(&name).ok_or_else(missing)?;
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose().as_bytes()).map_err(|_| missing())?;
    mac.update(text.as_bytes());
    let digits: String = mac.finalize().into_bytes().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{HASH_PREFIX}{digits}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_become_networks() {
        for (address, network) in [
            ("192.0.2.77", "192.0.2.0"),
            ("::ffff:192.0.2.77", "192.0.2.0"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1::"),
            ("2001:db8::1", "2001:db8::"),
            ("::1", "::"),
        ] {
            assert_eq!(truncate_ip(address).as_deref(), Some(network));
            assert_eq!(truncate_ip(network).as_deref(), Some(network), "a second time changes nothing");
        }
        assert_eq!(truncate_ip("José's laptop"), None);
    }

    #[test]
    fn the_last_characters_stay_and_short_values_do_not() {
        assert_eq!(keep_last("+358401234567", 4), "*********4567");
        assert_eq!(keep_last("*********4567", 4), "*********4567");
        assert_eq!(keep_last("1234", 4), "****");
        assert_eq!(keep_last("é¥日本", 2), "**日本");
    }
}
