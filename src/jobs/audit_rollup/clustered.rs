//! MariaDB and MySQL keep a table in the order of its primary key, and read a row that they found by another index once
//! more. Where the rows of a stretch lie close together, the statements on it get the stretch of the key as well.
//!
//! **Invariant.** The condition only becomes narrower, by the least and the greatest key of the very rows that satisfy it:
//! a row that comes afterwards with a key beyond them is one that came late, and is neither folded nor purged with them.
//! What the same look says of their first and last time is what it would say of the narrower condition.
//! Test: `audit_rollup::killed`.

use super::fold::{Stretch, one};
use super::summary::Folding;
use crate::graph::Node;
use crate::store::catalog::{Column, TypeClass};
use crate::store::target::{Expr, Op, Operand, Scalar};
use crate::store::{Backend, Conn, StoreError, TextRow};

/// Rows lie close together when they are at least one in so many of the keys between their ends.
const CLOSE: i128 = 2;

/// The same stretch, found by its key, and, `with_totals`, the totals of its rows, uncounted; `None` where that is no
/// better.
pub(super) fn by_key(
    conn: &mut Conn,
    folding: &Folding,
    node: &Node,
    stretch: &Stretch,
    with_totals: bool,
) -> Result<Option<(Stretch, Option<TextRow>)>, StoreError> {
    let Some(key) = clustered(node) else { return Ok(None) };
    let ends = one(conn, &folding.rollup.ends_of_key(key, &stretch.rows, with_totals))?;
    let number = |place| ends.get(place).and_then(|value| value.expose().parse::<i128>().ok());
    let (Some(least), Some(greatest), Some(rows)) = (number(0), number(1), number(2)) else { return Ok(None) };
    if greatest - least >= rows.saturating_mul(CLOSE) {
        return Ok(None);
    }
    let (Some(first), Some(last)) = (ends.get(0), ends.get(1)) else { return Ok(None) };
    let operand = Operand { scope: node.own(), column: key.clone() };
    let side = |op, value: &crate::redact::Sealed| Expr::Compare(operand.clone(), op, Scalar::Row(value.clone()));
    let between = side(Op::AtLeast, first).and(side(Op::AtMost, last));
    let stretch = Stretch {
        periods: stretch.periods.clone(),
        span: stretch.span,
        rows: stretch.rows.clone().narrowed(between),
        finishes: stretch.finishes,
        most: stretch.most,
        by_deletion: stretch.by_deletion,
    };
    Ok(Some((stretch, with_totals.then(|| ends.after(3)))))
}

/// The one whole number in whose order the rows are kept, where an index on their time has it too.
fn clustered(node: &Node) -> Option<&Column> {
    let indexed = node.age.as_ref().is_some_and(|age| age.indexed);
    match node.key.as_slice() {
        [only] if node.backend == Backend::Mysql && indexed => {
            let primary = node.table.key_columns().map(|column| &column.name).eq([&only.name]);
            (primary && matches!(only.class, TypeClass::Integer { .. })).then_some(only)
        }
        _ => None,
    }
}
