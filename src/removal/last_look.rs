//! The look for rows that are due, after a walk has visited every place once.
//!
//! It finds what an update moved behind the walk, and what a trigger, a rule or row security kept. It reads the index over
//! all that was removed, which on a quiet server is up to a fifth of the whole run; so it is left out where it would find
//! nothing.
//!
//! **Invariant.** It is left out only when nothing can keep a row, or write one on our behalf, and when, since before the walk
//! began, nobody else has written anything on the whole server. Tests:
//! `conformance::boundaries::what_moves_behind_the_walk_goes_too`,
//! `conformance::lists::what_a_trigger_moves_behind_the_lists_goes_too`,
//! `store_connections::who_writes_to_postgresql_is_seen`.

use super::batch::Committed;
use super::{Context, RemovalError};
use crate::graph::{Fate, Node};
use crate::store::catalog::{TableKind, reaches_further};
use crate::store::quiet::Moment;
use crate::store::target::{Expr, statements};
use crate::store::{Backend, Conn};

/// What is known since before the first batch of a walk, to tell whether a look would find anything.
pub(super) struct LastLook {
    /// When nobody was writing yet.
    began: Option<Moment>,
    /// Whether each batch takes a number, because it locks the gate.
    gated: bool,
    /// How many of our transactions have surely written since.
    wrote: u64,
}

impl LastLook {
    /// Before the first batch of a walk over rows that take rows of these other entries along, which are deleted too.
    pub fn begin(context: &Context<'_>, conn: &mut Conn, node: &Node, along: &[&Node]) -> Result<Self, RemovalError> {
        let began = if touches_nothing_else(node, along) { conn.quiet_moment()? } else { None };
        let gated = context.ledgers.get(&node.store).copied().unwrap_or_default();
        Ok(Self { began, gated, wrote: 0 })
    }

    /// For a walk that cannot leave it out.
    pub fn always() -> Self {
        Self { began: None, gated: false, wrote: 0 }
    }

    /// A batch was committed.
    pub fn note(&mut self, committed: &Committed) {
        self.wrote += u64::from(self.gated || committed.rows() > 0);
    }

    /// A batch found nothing to do behind the gate, and was rolled back.
    pub fn note_nothing(&mut self) {
        self.wrote += u64::from(self.gated);
    }

    /// Whether rows are left.
    pub fn finds(&self, conn: &mut Conn, node: &Node, rows: &Expr) -> Result<bool, RemovalError> {
        if let Some(began) = self.began
            && began.was_ours_alone(conn, self.wrote)?
        {
            return Ok(false);
        }
        Ok(!conn.rows(&statements::any(node.backend, &node.at, rows))?.is_empty())
    }
}

/// Whether rows of a table, deleted with rows of these other entries, are all that is changed by that.
pub(super) fn touches_nothing_else(node: &Node, along: &[&Node]) -> bool {
    node.fate == Fate::Delete && along.iter().chain([&node]).all(|node| changes_nothing_else(node))
}

/// Whether PostgreSQL does to the rows of this table what it is told, and nothing else by that: no trigger, rule or foreign
/// key has it keep rows, or write others.
fn changes_nothing_else(node: &Node) -> bool {
    let table = &node.table;
    node.backend == Backend::Postgres
        && table.kind == TableKind::Table
        && !reaches_further(&node.picture)
        && table.triggers.is_empty()
        && !table.rules
        && !table.row_security
        && table.partitions.is_empty()
        && table.ancestors.is_empty()
}
