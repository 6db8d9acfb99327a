//! Counting what a rule would take: the steps of the plan.

use std::collections::{BTreeMap, BTreeSet};

use super::earlier::Earlier;
use super::{Action, Due, Graph, Look, Node, Report, Step, Strategy, Task, branches};
use crate::graph::FileOf;
use crate::graph::ties::Ties;
use crate::names::DataName;
use crate::plan::Kept;
use crate::removal::{Branch, Done, RemovalError, choose_strategy, probe};
use crate::store::target::statements;
use crate::store::target::{Expr, Scope};
use crate::store::{Access, Conn, ErrorKind, StoreError, held};

/// What is looked at once in a plan, however many rules an entry has: a large table takes its time.
#[derive(Default)]
pub(super) struct Seen {
    /// Rows by entry.
    sizes: BTreeMap<DataName, u64>,
    /// Entries whose time column was looked at.
    times: BTreeSet<DataName>,
    /// What the steps so far take.
    earlier: Earlier,
}

/// The task of one rule, and its steps with counts, children before the entry itself. What earlier steps of
/// the job take is not counted again.
pub(super) fn count(
    look: &Look<'_>,
    node: &Node,
    (rule, due): (String, Due),
    ties: Option<&Ties>,
    seen: &mut Seen,
) -> Result<(Task, Vec<Step>), RemovalError> {
    let database = look
        .stores
        .database(&node.store)
        .ok_or_else(|| StoreError::new(ErrorKind::Unreachable, format!("store `{}` is not open", node.store)))?;
    let mut conn = database.conn()?;
    conn.allow_long_reads()?;
    // The database itself refuses writes while the plan is made.
    conn.transaction(Access::ReadOnly, |conn| {
        if seen.times.insert(node.name.clone()) {
            let with_time = probe::look_at_time(conn, node, look.now)?;
            seen.sizes.insert(node.name.clone(), size(conn, node, Some(with_time))?);
        }
        know(conn, node)?;
        count_in(conn, look.graph, node, (rule, due), (ties, seen))
    })
}

/// The rows of a table. Those that have a time were counted when the times were looked at; an index finds the others.
fn size(conn: &mut Conn, node: &Node, with_time: Option<u64>) -> Result<u64, StoreError> {
    let rest = node.age.as_ref().filter(|age| age.indexed && age.sentinels.is_empty()).zip(with_time);
    let (condition, counted) = match rest {
        Some((age, counted)) => (age.without_time(&node.own()), counted),
        None => (Expr::always(), 0),
    };
    Ok(counted + one(conn, &statements::count(node.backend, &node.at, None, &condition))?.rows)
}

fn count_in(
    conn: &mut Conn,
    graph: &Graph,
    node: &Node,
    (rule, due): (String, Due),
    (ties, seen): (Option<&Ties>, &mut Seen),
) -> Result<(Task, Vec<Step>), RemovalError> {
    let by_age = due.cutoff().is_some();
    let branches = branches(graph, node).into_iter().filter_map(|branch| along(&due, branch)).collect();
    let mut task =
        Task { root: node.name.clone(), due, rule, branches, ties: ties.cloned(), strategy: Strategy::KeyLists };
    let mut steps = Vec::new();
    for branch in &task.branches {
        if let Some(child) = graph.node(&branch.data).filter(|child| !seen.sizes.contains_key(&child.name)) {
            seen.sizes.insert(child.name.clone(), size(conn, child, None)?);
        }
        steps.extend(branch_step(conn, graph, (&task, branch), (node, seen))?);
    }
    let rows = seen.earlier.beyond(graph, node, (node, &[]), node.fate.into(), task.rows(graph, node));
    let rows = rows.knowing(conn.held_now());
    let age = node.age.as_ref().filter(|_| by_age);
    let counted = one(conn, &statements::count(node.backend, &node.at, age.map(|age| &age.column), &rows))?;
    let table_rows = seen.sizes.get(&node.name).copied().unwrap_or_default();
    let share = if table_rows == 0 { 0.0 } else { counted.rows as f64 / table_rows as f64 };
    task.strategy = choose_strategy(graph, node, !task.branches.is_empty(), by_age, share);
    let kept = kept_back(conn, graph, node, &task)?;
    let held = held_rows(conn, node, task.held_rows(graph, node))?;
    let read = |text: Option<&String>| age.zip(text).and_then(|(age, text)| age.read(text));
    steps.push(Step {
        data: node.name.clone(),
        store: node.store.clone(),
        action: node.fate.into(),
        rule: task.rule.clone(),
        cutoff: task.due.cutoff(),
        with: None,
        rows: counted.rows,
        files: files_of(conn, node, &rows)?,
        held,
        oldest: read(counted.least.as_ref()),
        newest: read(counted.greatest.as_ref()),
        kept,
        strategy: task.strategy,
        table_rows,
        sql: removing_statement(graph, node, task.due_rows(graph, node)),
    });
    Ok((task, steps))
}

/// What goes along, after the rollups that are waited for. A row that one still has to fold goes with nothing, one that came
/// a moment ago included.
fn along(due: &Due, mut branch: Branch) -> Option<Branch> {
    for unfolded in due.unfolded.iter().filter(|unfolded| !unfolded.links.is_empty()) {
        if branch.leads_through(&unfolded.links) {
            let job = unfolded.stays.as_ref()?;
            if branch.path.len() == unfolded.links.len() && branch.action != Action::Unlink {
                branch.after = Some(job.clone());
            }
        }
    }
    Some(branch)
}

/// The rows that go along through one branch.
fn branch_step(
    conn: &mut Conn,
    graph: &Graph,
    (task, branch): (&Task, &Branch),
    (root, seen): (&Node, &mut Seen),
) -> Result<Option<Step>, RemovalError> {
    let Some(node) = graph.node(&branch.data) else { return Ok(None) };
    let ancestor = |scope: &Scope, alias: u8| task.going(graph, root, scope, alias);
    let all = branch.rows(graph, node, &ancestor);
    let rows = seen.earlier.beyond(graph, node, (root, &branch.path), branch.action, all.clone());
    let rows = rows.knowing(conn.held_now());
    let kept = |scope: &Scope, alias: u8| task.held(graph, root, scope, alias);
    let held = held_rows(conn, node, branch.rows(graph, node, &kept))?;
    let counted =
        one(conn, &statements::count(node.backend, &node.at, node.age.as_ref().map(|age| &age.column), &rows))?;
    let table_rows = seen.sizes.get(&node.name).copied().unwrap_or_default();
    let read = |text: Option<&String>| node.age.as_ref().zip(text).and_then(|(age, text)| age.read(text));
    let removes = branch.action == Action::Delete || node.fate == crate::graph::Fate::Anonymise;
    let files = if removes && branch.action != Action::Unlink { files_of(conn, node, &rows)? } else { 0 };
    Ok(Some(Step {
        data: node.name.clone(),
        store: node.store.clone(),
        action: branch.action,
        rule: task.rule.clone(),
        cutoff: task.due.cutoff(),
        with: Some(task.root.clone()),
        rows: counted.rows,
        files,
        held,
        oldest: read(counted.least.as_ref()),
        newest: read(counted.greatest.as_ref()),
        kept: Kept::default(),
        strategy: Strategy::WithParent,
        table_rows,
        sql: removing_statement(graph, node, all),
    }))
}

fn removing_statement(graph: &Graph, node: &Node, rows: Expr) -> String {
    let rows = graph.guard(node, rows);
    let stmt = match node.fate {
        crate::graph::Fate::Delete => statements::delete(node.backend, &node.at, statements::Access::Any, &rows),
        crate::graph::Fate::Anonymise => {
            statements::overwrite(node.backend, &node.at, statements::Access::Any, (&node.overwrites, None), &rows)
        }
    };
    stmt.to_text(node.backend)
}

/// Learns what is held in the node's database, for the snapshot that is open.
pub(in crate::jobs) fn know(conn: &mut Conn, node: &Node) -> Result<(), StoreError> {
    if node.holds { held::learn(conn) } else { Ok(()) }
}

/// The rows that a hold keeps; nothing is looked for where nothing is held.
pub(in crate::jobs) fn held_rows(conn: &mut Conn, node: &Node, held: Expr) -> Result<u64, RemovalError> {
    let held = held.knowing(conn.held_now());
    if held.is_never() {
        return Ok(0);
    }
    Ok(one(conn, &statements::count(node.backend, &node.at, None, &held))?.rows)
}

/// Rows with a file, at most: two rows may name one, and a file may be missing.
pub(in crate::jobs) fn files_of(conn: &mut Conn, node: &Node, rows: &Expr) -> Result<u64, RemovalError> {
    let Some(FileOf { columns, .. }) = &node.file else { return Ok(0) };
    let scope = node.own();
    let named = columns
        .iter()
        .filter(|(via, _)| via.is_empty())
        .map(|(_, column)| {
            Expr::Null(crate::store::target::Operand { scope: scope.clone(), column: column.clone() }, false)
        })
        .fold(rows.clone(), Expr::and);
    Ok(one(conn, &statements::count(node.backend, &node.at, None, &named))?.rows)
}

/// What stays although it may be old: no time, or a time that means none.
fn kept_back(conn: &mut Conn, graph: &Graph, node: &Node, task: &Task) -> Result<Kept, RemovalError> {
    let (Some(age), Some(_)) = (&node.age, task.due.cutoff()) else { return Ok(Kept::default()) };
    let scope = node.own();
    let mine = task.due.scope_expr(graph, &scope, 0);
    let mut counted = |condition: Expr| -> Result<u64, RemovalError> {
        Ok(one(conn, &statements::count(node.backend, &node.at, None, &condition.and(mine.clone())))?.rows)
    };
    Ok(Kept { without_time: counted(age.without_time(&scope))?, sentinel: counted(age.unset(&scope))? })
}

pub(in crate::jobs) struct Counted {
    /// Rows.
    pub rows: u64,
    least: Option<String>,
    greatest: Option<String>,
}

pub(in crate::jobs) fn one(conn: &mut Conn, stmt: &crate::store::Stmt) -> Result<Counted, StoreError> {
    let rows = conn.rows(stmt)?;
    let row = rows.first();
    Ok(Counted {
        rows: row.and_then(|row| row.count(0)).unwrap_or_default().unsigned_abs(),
        least: row.and_then(|row| row.plain(1)).map(str::to_owned),
        greatest: row.and_then(|row| row.plain(2)).map(str::to_owned),
    })
}

/// Enters what a task did into the report's steps.
pub(in crate::jobs) fn enter(report: &mut Report, task: &Task, done: &Done) {
    for ((data, action), (rows, files)) in &done.counts {
        let step = report.steps.iter_mut().find(|step| {
            let mine = if step.with.is_some() { step.with.as_ref() == Some(&task.root) } else { *data == task.root };
            mine && step.data == *data && step.action == *action && step.rule == task.rule
        });
        if let Some(step) = step {
            step.rows += rows;
            step.files += files;
        }
    }
    report.missing_files += done.missing;
    report.refused += done.refused;
}
