//! The statements of a batch of keys: locking, removing children and parents, reading rows with their files.

use super::batch::{self, Undone};
use super::files::FileRow;
use super::gone::delete_rows;
use super::overwriting::overwrite;
use super::task::has_child;
use super::{Branch, Context, RemovalError, Task};
use crate::graph::{Fate, FileOf, Graph, Node};
use crate::plan::Action;
use crate::redact::Sealed;
use crate::store::catalog::FkAction;
use crate::store::target::statements::{self, Access, Lookup, Read};
use crate::store::target::{Expr, Keys, Operand, Scope};
use crate::store::{Backend, Conn};

/// Locks the chosen rows under the whole condition; fewer than chosen means that something moved.
pub(super) fn lock(conn: &mut Conn, node: &Node, visited: &Expr, keys: &Keys) -> Result<(), Undone> {
    let own = node.key_operands(&node.own());
    let condition = Expr::KeyIn(own.clone(), keys.clone()).and(visited.clone().knowing(conn.held_now()));
    let read = Read {
        table: &node.at,
        // Only their number is asked for.
        columns: own.get(..1).unwrap_or_default(),
        lookups: &[],
        condition: &condition,
        order: &[],
        skip: 0,
        limit: keys.len() + 1,
        lock: true,
    };
    let found = conn.rows(&statements::read(node.backend, &read))?.len();
    if found as u64 == keys.len() { Ok(()) } else { Err(Undone::Again) }
}

/// Removes the rows of a branch. Of an entry with files exactly those in `listed` go: a row that came meanwhile has its file
/// in place still, and one that moved has lost its file for nothing; in both cases the batch is done anew.
pub(super) fn remove_branch(
    context: &Context<'_>,
    conn: &mut Conn,
    graph: &Graph,
    (branch, child): (&Branch, &Node),
    listed: Vec<Vec<Sealed>>,
    referred: &Keys,
) -> Result<u64, Undone> {
    let rows = branch.rows_of(graph, child, referred);
    if child.file.is_none() || branch.action == Action::Unlink {
        return apply(context, conn, branch, child, rows);
    }
    let listed = Expr::KeyIn(child.key_operands(&child.own()), listed.into());
    // Asked before, since what belongs to a row of the same table is found through it.
    let others = rows.clone().and(Expr::Not(Box::new(listed.clone())));
    if !conn.rows(&statements::any(child.backend, &child.at, &others))?.is_empty() {
        return Err(Undone::Again);
    }
    remove_listed(context, conn, (branch, child), &listed, rows)
}

/// Removes those of `rows` that are `listed`, whose files are in the trash already; when one of these stays, nothing goes.
pub(super) fn remove_listed(
    context: &Context<'_>,
    conn: &mut Conn,
    (branch, child): (&Branch, &Node),
    listed: &Expr,
    rows: Expr,
) -> Result<u64, Undone> {
    let removed = apply(context, conn, branch, child, listed.clone().and(rows.clone()))?;
    let left = listed.clone().and(branch.unfinished(child, &child.own()));
    let any = |conn: &mut Conn, rows: &Expr| conn.rows(&statements::any(child.backend, &child.at, rows));
    if any(conn, &left)?.is_empty() {
        Ok(removed)
    } else if any(conn, &left.and(rows))?.is_empty() {
        // They belong to something else by now.
        Err(Undone::Again)
    } else {
        Err(batch::refused(child))
    }
}

pub(super) fn apply(
    context: &Context<'_>,
    conn: &mut Conn,
    branch: &Branch,
    child: &Node,
    rows: Expr,
) -> Result<u64, Undone> {
    Ok(match branch.action {
        Action::Delete | Action::Fold => delete(context, conn, child, rows)?,
        Action::Anonymise => overwrite(context, conn, child, &rows).map_err(Undone::Failed)?,
        Action::Unlink => {
            let columns: Vec<_> =
                branch.path.first().into_iter().flat_map(|edge| &edge.columns).map(|(own, _)| own.clone()).collect();
            let rows = context.graph.guard_reference(child, rows).knowing(conn.held_now());
            conn.execute(&statements::unlink(child.backend, &child.at, &columns, &rows))?
        }
    })
}

/// Deletes rows; from the ends on where the database looks at the foreign key of a table to itself row by row.
fn delete(context: &Context<'_>, conn: &mut Conn, node: &Node, rows: Expr) -> Result<u64, Undone> {
    let once = |conn: &mut Conn, rows: Expr| {
        let rows = context.graph.guard(node, rows).knowing(conn.held_now());
        delete_rows(context, conn, node, Access::Any, &rows)
    };
    let mut deleted = 0;
    cut_loose(context, conn, node, &rows)?;
    if let Some(ends) = ends(context.graph, node).filter(|_| is_looked_at_row_by_row(node)) {
        loop {
            let rows = once(conn, rows.clone().and(ends.clone()))?;
            deleted += rows;
            if rows == 0 {
                break;
            }
        }
    }
    // Of rows that refer to each other in a circle the database decides.
    Ok(deleted + once(conn, rows)?)
}

/// Whether rows of a table that refer to each other cannot go in one statement: MySQL looks at foreign keys row by row, the
/// others at the end of the statement, but where the key says RESTRICT.
fn is_looked_at_row_by_row(node: &Node) -> bool {
    let key = node.self_link().and_then(|edge| edge.foreign_key(node));
    key.is_some_and(|key| node.backend == Backend::Mysql || key.on_delete == FkAction::Restrict)
}

/// MySQL and MariaDB do not delete a row that refers to itself by a foreign key: its reference becomes NULL first, in the
/// transaction in which it goes. One column of it is enough, which must not be part of what else finds the row.
fn cut_loose(context: &Context<'_>, conn: &mut Conn, node: &Node, rows: &Expr) -> Result<(), Undone> {
    let Some(edge) = node.self_link().filter(|_| node.backend == Backend::Mysql) else { return Ok(()) };
    let scope = node.own();
    let itself =
        edge.referring(&scope).into_iter().zip(edge.referred(&scope)).map(|(own, theirs)| Expr::Same(own, theirs));
    let rows = rows.clone().and(Expr::All(itself.collect()));
    if !edge.is_keyed(node) || conn.rows(&statements::any(node.backend, &node.at, &rows))?.is_empty() {
        return Ok(());
    }
    let others = node.belongs_to.iter().filter(|other| !other.is_self()).flat_map(|other| &other.columns);
    let taken: Vec<&str> = others.map(|(own, _)| own).chain(&node.key).map(|column| column.name.as_str()).collect();
    let mut own = edge.columns.iter().map(|(own, _)| own);
    let Some(loose) = own.find(|column| column.nullable && !taken.contains(&column.name.as_str())) else {
        let message = format!("`{}`: a row refers to itself by columns none of which can become NULL", node.name);
        return Err(Undone::Failed(RemovalError::Doubt(message)));
    };
    let rows = context.graph.guard(node, rows).knowing(conn.held_now());
    conn.execute(&statements::unlink(node.backend, &node.at, std::slice::from_ref(loose), &rows))?;
    Ok(())
}

/// Rows to which none of the same table belongs.
pub(super) fn ends(graph: &Graph, node: &Node) -> Option<Expr> {
    let edge = node.self_link()?;
    Some(Expr::Not(Box::new(has_child(graph, node, edge, &node.own()))))
}

pub(super) fn remove_roots(
    context: &Context<'_>,
    conn: &mut Conn,
    task: &Task,
    node: &Node,
    graph: &Graph,
    (listed, count): (Expr, u64),
) -> Result<u64, Undone> {
    // With a link to the same table the rows are due through others; they were locked as such just now. So are those whose
    // ties were looked at.
    let locked = node.self_link().is_some() || task.ties.is_some();
    let condition = if locked { listed } else { listed.and(task.due_rows(graph, node)) };
    match node.fate {
        Fate::Anonymise => overwrite(context, conn, node, &condition).map_err(Undone::Failed),
        Fate::Delete => {
            cut_loose(context, conn, node, &condition)?;
            let guarded = graph.guard(node, condition).knowing(conn.held_now());
            let rows = delete_rows(context, conn, node, Access::Any, &guarded)?;
            if rows == count { Ok(rows) } else { Err(batch::refused_rows(node, count, rows)) }
        }
    }
}

/// Keys and path columns of rows with files.
pub(super) fn file_rows(
    conn: &mut Conn,
    graph: &Graph,
    node: &Node,
    file: &FileOf,
    condition: &Expr,
    limit: u64,
) -> Result<Vec<FileRow>, RemovalError> {
    let scope = node.own();
    let lookups: Vec<Lookup> = file.columns.iter().map(|(via, column)| lookup(graph, &scope, via, column)).collect();
    read_rows(conn, node, &lookups, condition, limit)
}

/// The key of the last of the next `limit` rows, in the key's order.
pub(super) fn last_of(
    conn: &mut Conn,
    node: &Node,
    condition: &Expr,
    limit: u64,
) -> Result<Option<Vec<Sealed>>, RemovalError> {
    let columns = node.key_operands(&node.own());
    let read = Read {
        table: &node.at,
        columns: &columns,
        lookups: &[],
        condition,
        order: &columns,
        skip: 0,
        limit,
        lock: false,
    };
    let last = conn.rows(&statements::read(node.backend, &read))?.pop();
    Ok(last.map(|row| row.into_values().into_iter().flatten().collect()))
}

pub(super) fn read_rows(
    conn: &mut Conn,
    node: &Node,
    lookups: &[Lookup],
    condition: &Expr,
    limit: u64,
) -> Result<Vec<FileRow>, RemovalError> {
    let columns = node.key_operands(&node.own());
    let read = Read { table: &node.at, columns: &columns, lookups, condition, order: &[], skip: 0, limit, lock: false };
    let rows = conn.rows(&statements::read(node.backend, &read))?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let mut key = row.into_values();
            let parts = key.split_off(node.key.len());
            FileRow { key: key.into_iter().flatten().collect(), parts }
        })
        .collect())
}

/// A column of the row itself or of a parent, as a sub-select.
pub(super) fn lookup(
    graph: &Graph,
    scope: &Scope,
    via: &[crate::graph::Edge],
    column: &crate::store::catalog::Column,
) -> Lookup {
    let Some((last, before)) = via.split_last() else {
        return Lookup::Own(Operand { scope: scope.clone(), column: column.clone() });
    };
    let Some(parent) = graph.node(&last.to) else {
        return Lookup::Own(Operand { scope: scope.clone(), column: column.clone() });
    };
    let alias = 8;
    let target = Scope::Alias(alias);
    let condition = crate::graph::condition::along(graph, before, scope, 0, &|scope, next| {
        Expr::All(crate::graph::condition::joined(graph, last, scope, &target, next))
    });
    Lookup::Parent {
        table: parent.at.clone(),
        alias,
        operand: Operand { scope: target.clone(), column: column.clone() },
        condition: Box::new(condition),
    }
}
