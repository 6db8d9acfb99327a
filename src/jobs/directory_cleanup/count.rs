//! Counting what would go: the steps of the plan.

use std::collections::BTreeMap;

use super::merge::{Gone, Key};
use super::{Halt, Look, Node, RemovalError, Task, Visit};
use crate::graph::walk::find;
use crate::jobs::retention_purge::counting::{files_of, held_rows, know, one};
use crate::names::DataName;
use crate::plan::{Action, Kept, Step, Strategy};
use crate::store::Access;
use crate::store::target::{Expr, statements};

/// Counts what would go.
#[derive(Default)]
pub(super) struct Count {
    /// The steps.
    pub steps: Vec<Step>,
    /// Persons who would lose something.
    pub persons: u64,
    /// Persons who are there.
    pub there: u64,
    table_rows: BTreeMap<DataName, u64>,
}

impl Visit for Count {
    fn tasks(&mut self, look: &Look<'_>, tasks: &[Task], persons: u64) -> Result<Option<Halt>, RemovalError> {
        self.persons += persons;
        for task in tasks {
            self.count(look, task)?;
        }
        Ok(None)
    }

    fn gone(&mut self, _look: &Look<'_>, _gone: &[Gone]) -> Result<(), RemovalError> {
        Ok(())
    }

    fn there(&mut self, _look: &Look<'_>, keys: &[Key]) -> Result<(), RemovalError> {
        self.there += keys.len() as u64;
        Ok(())
    }
}

impl Count {
    fn count(&mut self, look: &Look<'_>, task: &Task) -> Result<(), RemovalError> {
        let graph = look.graph;
        let Some(root) = graph.node(&task.root) else { return Ok(()) };
        let mut conn = find::open(look.stores, root)?;
        let mut found = Vec::new();
        conn.transaction(Access::ReadOnly, |conn| -> Result<(), RemovalError> {
            know(conn, root)?;
            for branch in &task.branches {
                let Some(child) = graph.node(&branch.data) else { continue };
                let rows = branch.rows(graph, child, &|scope, alias| task.going(graph, root, scope, alias));
                let held = branch.rows(graph, child, &|scope, alias| task.held(graph, root, scope, alias));
                found.push((child, branch.action, Some(root), rows, held));
            }
            found.push((root, root.fate.into(), None, task.rows(graph, root), task.held_rows(graph, root)));
            for (node, action, with, rows, held) in found {
                let rows = rows.knowing(conn.held_now());
                let counted = one(conn, &statements::count(node.backend, &node.at, None, &rows))?.rows;
                let files =
                    if node.file.is_some() && action != Action::Unlink { files_of(conn, node, &rows)? } else { 0 };
                let held = held_rows(conn, node, held)?;
                let table_rows = match self.table_rows.get(&node.name) {
                    Some(rows) => *rows,
                    None => one(conn, &statements::count(node.backend, &node.at, None, &Expr::always()))?.rows,
                };
                self.table_rows.insert(node.name.clone(), table_rows);
                self.add(node, task, (action, with), (counted, files, held), table_rows);
            }
            Ok(())
        })
    }

    fn add(
        &mut self,
        node: &Node,
        task: &Task,
        (action, with): (Action, Option<&Node>),
        (rows, files, held): (u64, u64, u64),
        table_rows: u64,
    ) {
        let with = with.map(|node| node.name.clone());
        let known = self.steps.iter_mut().find(|step| {
            step.data == node.name && step.action == action && step.rule == task.rule && step.with == with
        });
        if let Some(step) = known {
            step.rows += rows;
            step.files += files;
            step.held += held;
            return;
        }
        let strategy = if with.is_some() { Strategy::WithParent } else { task.strategy };
        self.steps.push(Step {
            data: node.name.clone(),
            store: node.store.clone(),
            action,
            rule: task.rule.clone(),
            cutoff: None,
            with,
            rows,
            files,
            held,
            oldest: None,
            newest: None,
            kept: Kept::default(),
            strategy,
            table_rows,
            sql: String::new(),
        });
    }
}
