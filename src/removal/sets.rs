//! Rows of one table that are tied to one another: found step by step from those of a batch, and removed in an order that
//! foreign keys allow.

use std::collections::BTreeSet;

use crate::graph::Node;
use crate::graph::ties::within;
use crate::redact::Sealed;
use crate::store::Backend;
use crate::store::target::{Expr, Keys};

/// For each tie within the table: the values of a row's referring columns, and of the columns that others refer to. A NULL
/// refers to nothing.
pub(super) type Ends = Vec<(Option<Vec<Sealed>>, Option<Vec<Sealed>>)>;

/// The rows that refer to some of these rows, or that these refer to.
pub(super) fn tied_to(node: &Node, rows: &[Ends]) -> Expr {
    let scope = node.own();
    Expr::Any(
        within(node)
            .enumerate()
            .flat_map(|(index, edge)| {
                let side = |referring: bool| -> Vec<Vec<Sealed>> {
                    let ends = rows.iter().filter_map(|row| row.get(index));
                    let values = ends.filter_map(|(own, theirs)| if referring { own.clone() } else { theirs.clone() });
                    values.collect::<BTreeSet<_>>().into_iter().collect()
                };
                [
                    Expr::KeyIn(edge.referring(&scope), side(false).into()),
                    Expr::KeyIn(edge.referred(&scope), side(true).into()),
                ]
            })
            .collect(),
    )
}

/// The keys in the order in which they can be removed. MySQL looks at foreign keys row by row, so there a row goes before
/// the one that it refers to; the others look at the end of the statement.
pub(super) fn layers(node: &Node, keys: &Keys, ends: &[Ends]) -> Vec<Keys> {
    let in_order = node.backend == Backend::Mysql && within(node).next().is_some();
    let Some(keys) = keys.listed().filter(|_| in_order) else { return vec![keys.clone()] };
    let mut left: Vec<usize> = (0..keys.len()).collect();
    let mut layers = Vec::new();
    while !left.is_empty() {
        let referred = referred(ends, &left);
        let (waiting, ready): (Vec<usize>, Vec<usize>) =
            left.iter().partition(|row| is_referred(ends, **row, &referred));
        // Rows that refer to each other in a circle: the database decides.
        let (layer, rest) = if ready.is_empty() { (waiting, Vec::new()) } else { (ready, waiting) };
        layers.push(layer.iter().filter_map(|row| keys.get(*row).cloned()).collect::<Vec<_>>().into());
        left = rest;
    }
    layers
}

/// What rows refer to, by tie; a row that refers to itself is no obstacle to its own removal.
fn referred<'e>(ends: &'e [Ends], rows: &[usize]) -> BTreeSet<(usize, &'e Vec<Sealed>)> {
    let ties = rows.iter().filter_map(|row| ends.get(*row)).flat_map(|row| row.iter().enumerate());
    ties.filter(|(_, (own, theirs))| own != theirs).filter_map(|(tie, (own, _))| Some((tie, own.as_ref()?))).collect()
}

fn is_referred(ends: &[Ends], row: usize, referred: &BTreeSet<(usize, &Vec<Sealed>)>) -> bool {
    let ties = ends.get(row).into_iter().flat_map(|row| row.iter().enumerate());
    ties.filter_map(|(tie, (_, theirs))| Some((tie, theirs.as_ref()?))).any(|end| referred.contains(&end))
}
