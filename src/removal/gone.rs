//! Rows go, and with them what says that a rollup counted them.
//!
//! **Invariant.** In one transaction with a row goes its entry in every fold of its table ([`crate::store::folded`]), and no
//! entry of a row that stays: the database names the rows that it deletes. Rows whose deletion another row brings about by a
//! foreign key, and those that the application deletes, leave their entries behind; these make no other row one that was
//! counted, and the rollup's next run takes them out. Test: `audit_rollup::stays`.

use super::Context;
use super::batch::{Undone, refused_rows};
use crate::graph::Node;
use crate::redact::Sealed;
use crate::store::folded::{self, Fold};
use crate::store::target::Guarded;
use crate::store::target::statements::{self, Access};
use crate::store::{Backend, Conn, StoreError, TextRow};

/// Deletes the rows of a condition within the transaction that is open, and gives their number.
pub(crate) fn delete_rows(
    context: &Context<'_>,
    conn: &mut Conn,
    node: &Node,
    access: Access,
    rows: &Guarded,
) -> Result<u64, Undone> {
    let identity = node.identity();
    let folds: Vec<i64> = match node.folds {
        true => of_store(context, conn, node, &identity.source)?,
        false => Vec::new(),
    };
    let delete = || statements::delete(node.backend, &node.at, access, rows);
    if folds.is_empty() {
        return Ok(conn.execute(&delete())?);
    }
    if node.backend != Backend::Mysql {
        let gone = conn.rows(&identity.delete(access, rows))?;
        let deleted = gone.len() as u64;
        folded::forget(conn, &folds, &texts(gone))?;
        return Ok(deleted);
    }
    // MySQL's DELETE names nothing: what it locks before cannot change, but other rows may come.
    let locked = conn.rows(&identity.lock(rows))?;
    let (wanted, deleted) = (locked.len() as u64, conn.execute(&delete())?);
    if deleted > wanted {
        return Err(Undone::Again);
    }
    if deleted < wanted {
        return Err(refused_rows(node, wanted, deleted));
    }
    folded::forget(conn, &folds, &texts(locked))?;
    Ok(deleted)
}

/// The folds of a table. A fold that is begun during this run leaves entries behind until its own next run.
fn of_store(context: &Context<'_>, conn: &mut Conn, node: &Node, source: &str) -> Result<Vec<i64>, StoreError> {
    let mut known = context.folds.borrow_mut();
    if !known.contains_key(&node.store) {
        known.insert(node.store.clone(), folded::folds(conn)?);
    }
    let all = known.get(&node.store).into_iter().flatten();
    Ok(all.filter(|fold| fold.source == source).map(|fold: &Fold| fold.id).collect())
}

/// What the rows were known by; a row without a time was never counted and has no text.
fn texts(rows: Vec<TextRow>) -> Vec<Sealed> {
    rows.into_iter().filter_map(|row| row.into_values().pop().flatten()).collect()
}
