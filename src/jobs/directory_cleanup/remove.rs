//! Removing what goes, person by person in small groups.

use super::merge::{Gone, Key};
use super::parts::digest;
use super::{Look, NOT_COLLECTED, Report, Visit};
use crate::graph::{Due, Named, Why};
use crate::jobs::retention_purge::counting::enter;
use crate::names::PersonName;
use crate::redact::Sealed;
use crate::removal::{self, Context, Done, Halt, RemovalError, Task, goes_along};
use crate::store::state;

/// Removes what goes.
pub(super) struct Remove<'a, 'c> {
    /// The kind of person.
    pub kind: &'a PersonName,
    /// The key of their hashes.
    pub secret: &'a Sealed,
    /// Whether anybody was known to be gone before this run.
    pub watched: bool,
    /// The run.
    pub context: &'a mut Context<'c>,
    /// What it did.
    pub report: &'a mut Report,
}

impl Visit for Remove<'_, '_> {
    fn tasks(&mut self, _look: &Look<'_>, tasks: &[Task], _persons: u64) -> Result<Option<Halt>, RemovalError> {
        // Neighbours of one rule and one store go together.
        let store = |task: &Task| self.context.graph.node(&task.root).map(|node| node.store.clone());
        let groups: Vec<Vec<Task>> = tasks
            .chunk_by(|a, b| {
                let along = goes_along(self.context.graph, a) && goes_along(self.context.graph, b);
                along && a.rule == b.rule && store(a) == store(b)
            })
            .map(<[Task]>::to_vec)
            .collect();
        for group in groups {
            if let Some(halt) = self.context.permit.next()? {
                return Ok(Some(halt));
            }
            if let Some(halt) = self.group(&group)? {
                return Ok(Some(halt));
            }
        }
        Ok(None)
    }

    fn gone(&mut self, look: &Look<'_>, gone: &[Gone]) -> Result<(), RemovalError> {
        let digests: Vec<String> = gone.iter().map(|gone| digest(self.secret, self.kind, &gone.key)).collect();
        Ok(state::note_gone(&mut *look.memory.conn()?, self.kind.as_str(), &digests, look.now)?)
    }

    fn there(&mut self, look: &Look<'_>, keys: &[Key]) -> Result<(), RemovalError> {
        if self.watched && !keys.is_empty() {
            let digests: Vec<String> = keys.iter().map(|key| digest(self.secret, self.kind, key)).collect();
            state::forget_returned(&mut *look.memory.conn()?, self.kind.as_str(), &digests)?;
        }
        Ok(())
    }
}

impl Remove<'_, '_> {
    fn group(&mut self, group: &[Task]) -> Result<Option<Halt>, RemovalError> {
        let first =
            group.first().is_some_and(|task| goes_along(self.context.graph, task) && task.rule != NOT_COLLECTED);
        if !first {
            for task in group {
                let mut done = Done::default();
                let ended = removal::remove(self.context, task, &mut done);
                enter(self.report, task, &done);
                if let Some(halt) = ended? {
                    return Ok(Some(halt));
                }
            }
            return Ok(None);
        }
        let keys = |task: &Task| match &task.due.why {
            Why::Named(named) => named.keys.len(),
            _ => 1,
        };
        let most = group.iter().map(keys).max().unwrap_or(1);
        if let Some(done) = removal::together(self.context, group, most)? {
            for (task, done) in group.iter().zip(&done) {
                enter(self.report, task, done);
            }
            return Ok(None);
        }
        // Fewer persons at once: the same tasks for each half.
        for half in halves(group) {
            if let Some(halt) = self.group(&half)? {
                return Ok(Some(halt));
            }
        }
        Ok(None)
    }
}

/// The same tasks for the first and for the second half of their persons.
fn halves(group: &[Task]) -> [Vec<Task>; 2] {
    let part = |second: bool| {
        group
            .iter()
            .filter_map(|task| {
                let Why::Named(named) = &task.due.why else { return (!second).then(|| task.clone()) };
                let (head, tail) = named.keys.split_at(named.keys.len().div_ceil(2));
                let keys = if second { tail } else { head };
                let named = Named { keys: keys.to_vec(), ..named.clone() };
                let due = Due::because(Why::Named(named));
                (!keys.is_empty()).then(|| Task { due, ..task.clone() })
            })
            .collect()
    };
    [part(false), part(true)]
}
