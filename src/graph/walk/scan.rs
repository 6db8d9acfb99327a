//! Every row of a table once, page by page: for comparisons that no database can make.

use super::find::open;
use crate::graph::Node;
use crate::graph::stores::Stores;
use crate::redact::Sealed;
use crate::store::StoreError;
use crate::store::catalog::Column;
use crate::store::target::statements::{self, Read};
use crate::store::target::{Expr, Operand};

/// Rows of a page.
const PAGE: u64 = 1_000;

/// Gives the columns of each of the `rows`, a condition in the table's own scope, to `look`. A table without a key is
/// paged by its columns themselves.
///
/// # Errors
/// When the store cannot be asked.
pub fn scan(
    stores: &Stores,
    (node, rows): (&Node, &Expr),
    columns: &[Column],
    look: &mut dyn FnMut(&[Option<Sealed>]),
) -> Result<(), StoreError> {
    let scope = node.own();
    let wanted = columns.iter().map(|column| Operand { scope: scope.clone(), column: column.clone() });
    let key = node.key_operands(&scope);
    let all: Vec<Operand> = key.iter().cloned().chain(wanted).collect();
    let order = if key.is_empty() { all.clone() } else { key.clone() };
    let (mut after, mut skip): (Option<Vec<Sealed>>, u64) = (None, 0);
    let mut conn = open(stores, node)?;
    loop {
        let from = after.take().map_or_else(Expr::always, |after| Expr::KeyAfter(key.clone(), after));
        let condition = rows.clone().and(from);
        let read = Read {
            table: &node.at,
            columns: &all,
            lookups: &[],
            condition: &condition,
            order: &order,
            skip,
            limit: PAGE,
            lock: false,
        };
        let rows = conn.rows(&statements::read(node.backend, &read))?;
        let count = rows.len() as u64;
        for row in rows {
            let mut values = row.into_values();
            let found = values.split_off(key.len());
            look(&found);
            after = Some(values.into_iter().flatten().collect());
        }
        if count < PAGE {
            return Ok(());
        }
        if key.is_empty() {
            (after, skip) = (None, skip + count);
        }
    }
}
