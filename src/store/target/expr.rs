//! Conditions on an operator's table, as a tree that renders itself for each database.
//!
//! A condition is built once, by the graph, and then stands in the count of a preview, in the probe for the next batch and
//! in the deleting statement itself. All names in it come from a catalog, all values are bound.

use super::floor;
use super::held::HeldBy;
use super::key_list::Keys;
use super::people::{self, Alike, JsonStep};
use super::same;
pub use super::scalar::{Op, Scalar};
use super::scalar::{write_beside, write_scalar};
use super::shape::Shape;
use super::ties::{Tie, TiedRows};
use crate::redact::Sealed;
use crate::store::catalog::{Column, Table};
use crate::store::{Backend, Ident, Stmt};

/// A table as SQL names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableRef {
    schema: Option<Ident>,
    name: Ident,
}

impl TableRef {
    /// The reference to a table of a catalog.
    pub fn of(table: &Table) -> Self {
        Self { schema: table.schema.clone(), name: table.name.clone() }
    }

    pub(super) fn schema_name(&self) -> Option<&str> {
        self.schema.as_ref().map(Ident::as_str)
    }

    pub(super) fn table_name(&self) -> &str {
        self.name.as_str()
    }

    pub(in crate::store) fn write(&self, stmt: &mut Stmt) {
        if let Some(schema) = &self.schema {
            stmt.name(schema).sql(".");
        }
        stmt.name(&self.name);
    }
}

/// Where a column is looked up: in the table of the statement itself, or in a table that a sub-select names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The table that is counted, deleted from or updated, by its own name (not every server takes an alias there).
    Own(TableRef),
    /// The alias of a sub-select.
    Alias(u8),
}

/// A column in a scope.
#[derive(Clone, Debug)]
pub struct Operand {
    /// Where it is looked up.
    pub scope: Scope,
    /// The column.
    pub column: Column,
}

impl Operand {
    pub(in crate::store) fn write(&self, stmt: &mut Stmt) {
        match &self.scope {
            Scope::Own(table) => table.write(stmt),
            Scope::Alias(number) => {
                stmt.sql(alias(*number));
            }
        }
        stmt.sql(".").name(&self.column.name);
    }
}

/// The aliases of sub-selects; nesting is as deep as links are long.
pub(super) fn alias(number: u8) -> &'static str {
    const NAMES: [&str; 32] = [
        "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "r16",
        "r17", "r18", "r19", "r20", "r21", "r22", "r23", "r24", "r25", "r26", "r27", "r28", "r29", "r30", "r31",
    ];
    NAMES[usize::from(number) % NAMES.len()]
}

/// A condition.
#[derive(Clone)]
pub enum Expr {
    /// All of these; with none of them, true.
    All(Vec<Expr>),
    /// One of these; with none of them, false.
    Any(Vec<Expr>),
    /// `(…) IS NOT TRUE`: false or unknown.
    IsNotTrue(Box<Expr>),
    /// `(…) IS TRUE`
    IsTrue(Box<Expr>),
    /// `NOT (…)`: unknown stays unknown.
    Not(Box<Expr>),
    /// A column against a value.
    Compare(Operand, Op, Scalar),
    /// A time that is not before this, which is the least that is believed.
    Floor(Operand, Scalar),
    /// A column equal to one of several values.
    OneOf(Operand, Vec<Scalar>),
    /// A column that is NULL (`true`) or is not.
    Null(Operand, bool),
    /// Two columns that are equal.
    Same(Operand, Operand),
    /// A column equal to a value to the byte, whatever its collation.
    Exact(Operand, Sealed),
    /// A column that holds the same address.
    Alike(Operand, Alike),
    /// A column whose text begins with this.
    Begins(Operand, Sealed),
    /// What stands at a path within a JSON column: this text, or, with none, anything.
    Json(Operand, Vec<JsonStep>, Option<Sealed>),
    /// A row of another table (or of the same) under an alias.
    Exists {
        /// The table.
        table: TableRef,
        /// Its alias in `condition`.
        alias: u8,
        /// What the row satisfies.
        condition: Box<Expr>,
    },
    /// A column whose value is already in the form that anonymising gives it (NULL counts as such).
    InShape(Operand, Shape),
    /// Key columns equal to one of a list of keys.
    KeyIn(Vec<Operand>, Keys),
    /// PostgreSQL: rows that lie at the places of an array (`ctid`). Only of rows that this transaction has locked, of a
    /// table that has neither partitions nor heirs: an update gives a row another place, and a vacuum its place another row.
    Tids(Sealed),
    /// Key columns after a key, in the order of the columns.
    KeyAfter(Vec<Operand>, Vec<Sealed>),
    /// Key columns at or before a key.
    KeyUpTo(Vec<Operand>, Vec<Sealed>),
    /// Key columns in the rows of a sub-select.
    KeyInRows {
        /// The columns.
        columns: Vec<Operand>,
        /// The table of the sub-select.
        table: TableRef,
        /// Its alias.
        alias: u8,
        /// The columns it gives.
        selected: Vec<Operand>,
        /// Its condition.
        condition: Box<Expr>,
    },
    /// Key columns in the rows of a sub-select that names its table as it is called, for conditions made for that table.
    KeyInTable {
        /// The columns.
        columns: Vec<Operand>,
        /// The table of the sub-select.
        table: TableRef,
        /// The columns it gives.
        selected: Vec<Operand>,
        /// Its condition.
        condition: Box<Expr>,
    },
    /// Rows whose key is that of a seed row, or of a row that refers to such a row, however many steps down.
    Closure {
        /// The key columns.
        key: Vec<Operand>,
        /// The table.
        table: TableRef,
        /// Referring column and column referred to, both of this table.
        link: Vec<(Column, Column)>,
        /// The alias under which `seed` sees the table.
        seed_alias: u8,
        /// Which rows begin.
        seed: Box<Expr>,
        /// Which referring rows are followed, seen under the alias after `seed_alias`.
        step: Box<Expr>,
    },
    /// The other way: rows whose key is that of a seed row, or of a row that such a row refers to.
    Needed {
        /// The key columns.
        key: Vec<Operand>,
        /// The table.
        table: TableRef,
        /// Referring column and column referred to, both of this table.
        link: Vec<(Column, Column)>,
        /// The alias under which `seed` sees the table.
        seed_alias: u8,
        /// Which rows begin.
        seed: Box<Expr>,
        /// Of which rows the link holds: seen under the alias of the seed, and under the one after it.
        linked: Box<(Expr, Expr)>,
    },
    /// Whether any row of these entries is under a legal hold: the same for all rows of a statement, so it is asked once.
    AnyHeld(Vec<String>),
    /// A row of this entry with this key is under a hold.
    Held(String, Vec<Operand>, HeldBy),
    /// A row that is entered in this fold, by what tells it apart.
    Folded(i64, Vec<Operand>),
    /// Rows that are tied, over any number of ties, to a row which must stay.
    Apart {
        /// The key columns.
        key: Vec<Operand>,
        /// The number of their table among `tables`.
        number: usize,
        /// The tables whose rows are tied.
        tables: Vec<TiedRows>,
        /// What ties them.
        ties: Vec<Tie>,
    },
    /// PostgreSQL: rows on pages `from..to` of the table's own file.
    Pages {
        /// First page.
        from: u64,
        /// One past the last page.
        to: u64,
    },
}

impl Expr {
    /// A condition that every row satisfies.
    pub fn always() -> Self {
        Self::All(Vec::new())
    }

    /// Whether this is [`Expr::always`].
    pub fn is_always(&self) -> bool {
        matches!(self, Self::All(parts) if parts.iter().all(Expr::is_always))
    }

    /// Whether two columns compare as they are; others compare as text.
    pub fn are_comparable(left: &Column, right: &Column) -> bool {
        same::comparable(left, right)
    }

    /// The condition is not true: false or unknown.
    #[must_use]
    pub fn negated(self) -> Self {
        Self::IsNotTrue(Box::new(self))
    }

    /// Both conditions.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (a, b) if a.is_always() => b,
            (a, b) if b.is_always() => a,
            (Self::All(mut parts), b) => {
                parts.push(b);
                Self::All(parts)
            }
            (a, b) => Self::All(vec![a, b]),
        }
    }

    /// Writes the condition.
    pub(in crate::store) fn write(&self, stmt: &mut Stmt, backend: Backend) {
        self.write_among(stmt, backend, false);
    }

    /// Writes it as a part of a conjunction that is `bounded` if other parts find the rows.
    fn write_among(&self, stmt: &mut Stmt, backend: Backend, bounded: bool) {
        match self {
            Self::All(parts) => {
                let bounded = bounded || parts.iter().any(floor::bounds);
                write_joined(stmt, parts, (" AND ", "1 = 1"), |part, stmt| part.write_among(stmt, backend, bounded));
            }
            Self::Any(parts) => write_joined(stmt, parts, (" OR ", "1 = 0"), |part, stmt| part.write(stmt, backend)),
            Self::Floor(operand, value) => floor::write(stmt, backend, bounded, operand, value),
            Self::IsNotTrue(inner) => write_wrapped(stmt, backend, "(", inner, ") IS NOT TRUE"),
            Self::IsTrue(inner) => write_wrapped(stmt, backend, "(", inner, ") IS TRUE"),
            Self::Not(inner) => write_wrapped(stmt, backend, "NOT (", inner, ")"),
            Self::Compare(operand, op, value) => {
                operand.write(stmt);
                stmt.sql(op.text());
                write_beside(stmt, backend, &operand.column, value);
            }
            Self::OneOf(operand, values) => {
                operand.write(stmt);
                stmt.sql(" IN (");
                for (index, value) in values.iter().enumerate() {
                    separate(stmt, index, ", ");
                    write_scalar(stmt, backend, &operand.column, value);
                }
                stmt.sql(")");
            }
            Self::Null(operand, is_null) => {
                operand.write(stmt);
                stmt.sql(if *is_null { " IS NULL" } else { " IS NOT NULL" });
            }
            Self::Same(left, right) => same::write(stmt, backend, left, right),
            Self::Exact(operand, value) => people::write_exact(stmt, backend, operand, value),
            Self::Alike(operand, alike) => people::write_alike(stmt, backend, operand, alike),
            Self::Begins(operand, start) => people::write_begins(stmt, backend, operand, start),
            Self::Json(operand, path, value) => people::write_json(stmt, backend, operand, path, value.as_ref()),
            Self::Exists { table, alias: number, condition } => {
                stmt.sql("EXISTS (SELECT 1 FROM ");
                table.write(stmt);
                stmt.sql(" ").sql(alias(*number)).sql(" WHERE ");
                condition.write(stmt, backend);
                stmt.sql(")");
            }
            Self::InShape(operand, shape) => shape.write_test(stmt, backend, operand),
            Self::KeyIn(..)
            | Self::Tids(..)
            | Self::KeyAfter(..)
            | Self::KeyUpTo(..)
            | Self::KeyInRows { .. }
            | Self::KeyInTable { .. }
            | Self::Closure { .. } => {
                super::keys::write(self, stmt, backend);
            }
            Self::AnyHeld(_) | Self::Held(..) | Self::Needed { .. } => super::held::write(self, stmt, backend),
            Self::Folded(fold, key) => super::folded::write(stmt, backend, *fold, key),
            Self::Apart { key, number, tables, ties } => {
                super::ties::write(stmt, backend, (key, *number), tables, ties);
            }
            Self::Pages { from, to } => write_pages(stmt, *from, *to),
        }
    }
}

pub(super) fn separate(stmt: &mut Stmt, index: usize, separator: &'static str) {
    if index > 0 {
        stmt.sql(separator);
    }
}

fn write_joined(
    stmt: &mut Stmt,
    parts: &[Expr],
    (joiner, empty): (&'static str, &'static str),
    write: impl Fn(&Expr, &mut Stmt),
) {
    if parts.is_empty() {
        stmt.sql(empty);
        return;
    }
    if let [only] = parts {
        write(only, stmt);
        return;
    }
    stmt.sql("(");
    for (index, part) in parts.iter().enumerate() {
        separate(stmt, index, joiner);
        write(part, stmt);
    }
    stmt.sql(")");
}

fn write_wrapped(stmt: &mut Stmt, backend: Backend, open: &'static str, inner: &Expr, close: &'static str) {
    stmt.sql(open);
    inner.write(stmt, backend);
    stmt.sql(close);
}

fn write_pages(stmt: &mut Stmt, from: u64, to: u64) {
    stmt.sql("(ctid >= CAST(").value(format!("({from},0)")).sql(" AS tid) AND ctid < CAST(");
    stmt.value(format!("({to},0)")).sql(" AS tid))");
}
