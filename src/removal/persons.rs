//! Rows of several entries that go with persons, in one transaction where they share a database.
//!
//! **Invariant.** As for every batch: one transaction under the gate with its ledger rows in it, children before parents,
//! each statement with its whole condition and without held rows. Nothing of it is done unless all of it is.

use super::batch::{self, Part, Undone};
use super::gone::delete_rows;
use super::overwriting::overwrite;
use super::pace::Throttle;
use super::rows::apply;
use super::windows::{blocked, note, open};
use super::{Context, Done, RemovalError, Task};
use crate::graph::{Fate, Graph, Node};
use crate::plan::Action;
use crate::store::Conn;
use crate::store::target::statements::Access;

/// Whether a task can go along with others: no files, no link of a table to itself.
pub fn goes_along(graph: &Graph, task: &Task) -> bool {
    let plain = |node: &Node| node.file.is_none() && node.self_link().is_none();
    let branches = task.branches.iter().filter(|branch| branch.action != Action::Unlink);
    std::iter::once(&task.root)
        .chain(branches.map(|branch| &branch.data))
        .all(|name| graph.node(name).is_some_and(plain))
}

/// Does these tasks, all of one store, in one transaction, and gives what each did. `None`: something was in the way and
/// nothing was done; fewer than these `persons` at once may do.
///
/// # Errors
/// What stopped it.
pub fn together(context: &mut Context<'_>, tasks: &[Task], persons: usize) -> Result<Option<Vec<Done>>, RemovalError> {
    let graph = context.graph;
    let Some((first, node)) = tasks.first().and_then(|task| Some((task, graph.node(&task.root)?))) else {
        return Ok(Some(Vec::new()));
    };
    let mut conn = open(context, node, true)?;
    let mut throttle = Throttle::begin(context.pace, &mut conn, 1_000, 1)?;
    for task in tasks {
        context.watch.look(&mut conn, graph, node, task)?;
    }
    loop {
        let id = batch::next_id(context);
        let shared = &*context;
        let mut each: Vec<Done> = Vec::new();
        let committed = batch::transact(shared, &mut conn, first, node, &id, |conn: &mut Conn| {
            let mut parts = Vec::new();
            for task in tasks {
                let before = parts.len();
                one(shared, conn, task, &mut parts)?;
                let mut done = Done::default();
                for part in parts.iter().skip(before) {
                    done.add(&part.data, part.action, part.rows, 0);
                }
                each.push(done);
            }
            Ok(parts)
        })?;
        if let Some(committed) = committed {
            context.transactions.push(committed.took);
            throttle.committed(committed.rows(), committed.took);
            note(context, first, &committed, &mut Done::default());
            throttle.wait(&mut conn, &context.stop)?;
            return Ok(Some(each));
        }
        if persons > 1 {
            return Ok(None);
        }
        if !throttle.refused() {
            return Err(blocked(node));
        }
    }
}

fn one(context: &Context<'_>, conn: &mut Conn, task: &Task, parts: &mut Vec<Part>) -> Result<(), Undone> {
    let graph = context.graph;
    let Some(node) = graph.node(&task.root) else { return Ok(()) };
    for branch in &task.branches {
        let Some(child) = graph.node(&branch.data) else { continue };
        let rows = branch.rows(graph, child, &|scope, alias| task.going(graph, node, scope, alias));
        let rows = rows.knowing(conn.held_now());
        let rows = apply(context, conn, branch, child, rows)?;
        parts.push(Part { data: child.name.clone(), action: branch.action, rows, files: 0 });
    }
    let due = task.due_rows(graph, node);
    let rows = match node.fate {
        Fate::Delete => {
            let due = graph.guard(node, due).knowing(conn.held_now());
            delete_rows(context, conn, node, Access::Any, &due)?
        }
        Fate::Anonymise => overwrite(context, conn, node, &due).map_err(Undone::Failed)?,
    };
    parts.push(Part { data: node.name.clone(), action: node.fate.into(), rows, files: 0 });
    Ok(())
}
