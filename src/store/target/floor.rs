//! The least time that is believed, in a form that suits the statement.
//!
//! PostgreSQL's planner looks at the very ends of an index when a bound lies beyond what its statistics know, and there it
//! finds the rows that the batches before have removed: a millisecond and more for each statement, longer with an old
//! snapshot open. So where other bounds find the rows, this one is written in a way that the planner makes nothing of. It
//! says the same, unknown included. Measured: `benches/NOTES.md`.

use super::expr::{Expr, Op, Operand, Scalar};
use super::scalar::write_beside;
use crate::store::{Backend, Stmt};

/// Whether a part of a conjunction says which rows are looked at, by their keys, their pages or a stretch of an index.
pub(super) fn bounds(part: &Expr) -> bool {
    match part {
        Expr::All(parts) => parts.iter().any(bounds),
        Expr::KeyIn(..) | Expr::Tids(..) | Expr::KeyAfter(..) | Expr::Pages { .. } => true,
        Expr::Compare(_, Op::Equal | Op::Above | Op::AtLeast, Scalar::Row(_)) => true,
        _ => false,
    }
}

/// Writes `column >= value`; `bounded` where other bounds find the rows.
pub(super) fn write(stmt: &mut Stmt, backend: Backend, bounded: bool, operand: &Operand, value: &Scalar) {
    let compare = |stmt: &mut Stmt, op: &'static str| {
        operand.write(stmt);
        stmt.sql(op);
        write_beside(stmt, backend, &operand.column, value);
    };
    if !(bounded && backend == Backend::Postgres) {
        return compare(stmt, " >= ");
    }
    stmt.sql("CASE WHEN ");
    compare(stmt, " >= ");
    stmt.sql(" THEN TRUE WHEN ");
    compare(stmt, " < ");
    stmt.sql(" THEN FALSE END");
}
