//! What the rows of a batch take along, looked at before they go: how many children, and which files.
//!
//! A batch whose children are too many is made smaller; the children of one parent that are too many go first, deepest
//! first. Nothing is removed here.

use super::batch::Committed;
use super::chosen::Chosen;
use super::files::{Sorted, sort_out};
use super::key_lists::LARGEST;
use super::pace::Parts;
use super::rows::file_rows;
use super::{Context, RemovalError, Task};
use crate::graph::{Graph, Node};
use crate::plan::Action;
use crate::redact::Sealed;
use crate::store::Conn;
use crate::store::target::Expr;
use crate::store::target::statements;

/// Most children that a batch of parents may take along.
pub(super) const MOST_CHILDREN: u64 = 20_000;
/// Most rows with files in a batch.
pub(super) const MOST_FILES: u64 = 1_000;

/// The index of the root's own files in [`Chosen::files`].
pub(super) const ROOT: usize = usize::MAX;

/// What a look at the next rows found.
pub(super) enum Look {
    /// None are left.
    Nothing,
    /// So many rows would take too much along.
    TooMuch,
    /// One row alone takes too much along through this branch.
    Drain(Box<Chosen>, usize),
    /// A row that must stay, because a path below it is refused.
    Skip(Box<Chosen>),
    /// A batch.
    Batch(Box<Chosen>),
    /// A batch of so many lists that is gone already, up to this row.
    Removed(Committed, Vec<Sealed>, Parts),
    /// Something moved; nothing was done.
    Moved,
}

/// Looks at what chosen rows take along.
pub(super) fn weigh(
    context: &Context<'_>,
    conn: &mut Conn,
    (task, node, graph): (&Task, &Node, &Graph),
    mut chosen: Chosen,
) -> Result<Look, RemovalError> {
    let alone = chosen.keys.len() == 1;
    let mut filled: Vec<usize> = Vec::new();
    for (index, branch) in task.branches.iter().enumerate() {
        let Some(child) = graph.node(&branch.data) else { continue };
        let rows = branch.rows_of(graph, child, &chosen.referred[index]);
        let filed = child.file.is_some() && branch.action != Action::Unlink;
        let cap = if filed { MOST_FILES } else { MOST_CHILDREN };
        let found = conn
            .rows(&statements::count_up_to(child.backend, &child.at, &rows, cap + 1))?
            .first()
            .and_then(|row| row.count(0))
            .unwrap_or_default();
        if found > 0 {
            filled.push(index);
        }
        if found.unsigned_abs() > cap {
            // What lies deepest below it goes first, however little it is: a drained child leaves none of its own
            // behind. What hangs on the parent beside it goes with the parent.
            let below = |at: &&usize| task.branches.get(**at).is_some_and(|other| other.lies_below(branch));
            let deepest = filled.iter().find(below).copied().unwrap_or(index);
            let drained = task.branches.get(deepest).and_then(|branch| graph.node(&branch.data));
            return Ok(match drained.filter(|node| !node.key.is_empty()) {
                _ if !alone => Look::TooMuch,
                Some(_) => Look::Drain(Box::new(chosen), deepest),
                None => Look::Batch(Box::new(chosen)),
            });
        }
        // A row whose reference is unlinked keeps its file.
        if found > 0
            && branch.action != Action::Unlink
            && let Some(file) = &child.file
        {
            let mut sorted = Sorted::default();
            let rows = file_rows(conn, graph, child, file, &rows, cap)?;
            sort_out(context, conn, child, file, rows, &mut sorted)?;
            if !sorted.refused.is_empty() {
                return Ok(if alone { Look::Skip(Box::new(chosen)) } else { Look::TooMuch });
            }
            chosen.files.push((index, sorted));
        }
    }
    if let Some(file) = &node.file {
        let mine = Expr::KeyIn(node.key_operands(&node.own()), chosen.keys.clone());
        let mut sorted = Sorted::default();
        let rows = file_rows(conn, graph, node, file, &mine, LARGEST)?;
        sort_out(context, conn, node, file, rows, &mut sorted)?;
        if !sorted.refused.is_empty() {
            return Ok(if alone { Look::Skip(Box::new(chosen)) } else { Look::TooMuch });
        }
        chosen.files.push((ROOT, sorted));
    }
    Ok(Look::Batch(Box::new(chosen)))
}
