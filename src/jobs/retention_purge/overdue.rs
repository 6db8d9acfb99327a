//! What should have gone by now and has not: cheap counts for `status` and the metrics.
//!
//! **Invariant.** It only reads, counts no further than [`MOST`], and each statement is bounded in time where the database
//! can do that; what could not be counted is said to be unknown, never to be nothing.

use super::counting::know;
use super::{RetentionPurge, Task};
use crate::graph::ties::Ties;
use crate::graph::{Due, Node};
use crate::jobs::session::{Look, Overdue};
use crate::plan::Strategy;
use crate::removal::RemovalError;
use crate::store::target::statements;
use crate::store::{Access, Conn, ErrorKind, StoreError};

/// Counting ends here: so many rows are overdue as much as twice as many.
const MOST: u64 = 100_000;
/// A count takes no longer than this, in milliseconds.
const PATIENCE: u32 = 5_000;

/// Counts by rule, seen from the look's instant.
pub(super) fn overdue(job: &RetentionPurge, look: &Look<'_>) -> Result<Vec<Overdue>, RemovalError> {
    let zone = look.document.timezone;
    let mut found = Vec::new();
    for node in look.graph.children_first() {
        let Some(rules) = job.rules.iter().find(|rules| rules.data == node.name) else { continue };
        let database = look
            .stores
            .database(&node.store)
            .ok_or_else(|| StoreError::new(ErrorKind::Unreachable, format!("store `{}` is not open", node.store)))?;
        let mut conn = database.conn()?;
        // What waits for a row that must stay is kept, not late.
        let ties = job.ties(look, node)?;
        for rule in job.dues(rules, node, look.now, zone)? {
            found.push(one(&mut conn, look, node, rule, ties.clone())?);
        }
    }
    Ok(found)
}

fn one(
    conn: &mut Conn,
    look: &Look<'_>,
    node: &Node,
    (rule, due): (String, Due),
    ties: Option<Ties>,
) -> Result<Overdue, RemovalError> {
    let task = Task { root: node.name.clone(), due, rule, branches: Vec::new(), ties, strategy: Strategy::KeyLists };
    of_task(conn, look, node, task)
}

/// The rows of one task.
pub(in crate::jobs) fn of_task(
    conn: &mut Conn,
    look: &Look<'_>,
    node: &Node,
    task: Task,
) -> Result<Overdue, RemovalError> {
    conn.set_statement_timeout(PATIENCE)?;
    let cutoff = task.due.cutoff();
    let rows = task.rows(look.graph, node);
    let age = node.age.as_ref().filter(|_| cutoff.is_some());
    let counted = conn.transaction(Access::ReadOnly, |conn| {
        know(conn, node)?;
        let rows = rows.knowing(conn.held_now());
        let count = statements::count_up_to(node.backend, &node.at, &rows, MOST);
        let count = conn.rows(&count)?.first().and_then(|row| row.count(0)).unwrap_or_default().unsigned_abs();
        let oldest = match age.filter(|_| count > 0) {
            Some(age) => {
                let least = statements::least(node.backend, &node.at, &age.column, &rows);
                conn.rows(&least)?.first().and_then(|row| row.plain(0).and_then(|text| age.read(text)))
            }
            None => None,
        };
        Ok::<_, StoreError>((count, oldest))
    });
    let (rows, oldest) = match counted {
        Ok((rows, oldest)) => (Some(rows), oldest),
        Err(error) if error.kind == ErrorKind::StatementTimeout => (None, None),
        Err(error) => return Err(error.into()),
    };
    let capped = rows == Some(MOST);
    Ok(Overdue { data: node.name.clone(), rule: task.rule, cutoff, rows, capped, oldest })
}
