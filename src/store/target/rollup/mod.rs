//! The statements of a rollup: rows folded into summaries, and both counted again in another way.
//!
//! **Invariant.** Every statement that reads the operator's rows takes the same [`Guarded`] condition as the deletion that follows it.
//! Groups are told apart byte by byte: no collation merges two values, NULL is a group of its own. Sums are whole or
//! decimal numbers in the database's exact types, never floating point. Tests: `audit_rollup`.

mod kinds;
mod proofs;
mod summaries;
mod table;

pub use kinds::{Dimension, Measure, Output, Periods};
pub use table::{NewColumn, NewTable};

use super::expr::{Operand, Scope, TableRef, separate};
use super::held::Guarded;
use super::statements::{own, text_type};
use crate::redact::Sealed;
use crate::store::catalog::{Column, TypeClass};
use crate::store::dialect;
use crate::store::{Backend, Stmt};

/// What stands in a text dimension of the row that takes up all groups that are too small.
pub const OTHER: &str = "(other)";

/// The most dimensions, and the most columns that are counted or added up.
pub const MOST: usize = 16;

const DIMENSIONS: [&str; MOST] =
    ["d0", "d1", "d2", "d3", "d4", "d5", "d6", "d7", "d8", "d9", "d10", "d11", "d12", "d13", "d14", "d15"];
const MEASURES: [&str; MOST] =
    ["v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15"];

/// Whether a statement that reads rows locks them, so that later ones see the same. Only MariaDB and MySQL need it: the
/// others have one snapshot for a transaction that writes, or one writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// It only reads.
    Nothing,
    /// It locks what it reads.
    Rows,
}

impl Lock {
    fn write(self, stmt: &mut Stmt, backend: Backend) {
        if self == Self::Rows && backend == Backend::Mysql {
            stmt.sql(" FOR UPDATE");
        }
    }
}

/// How rows of one table become rows of another.
#[derive(Clone, Debug)]
pub struct Rollup {
    /// The database of the rows.
    pub backend: Backend,
    /// The rows' table.
    pub source: TableRef,
    /// The summaries' table.
    pub into: TableRef,
    /// The column that says when a row was written.
    pub time: Column,
    /// The summary's column for the period.
    pub bucket: Column,
    /// The summary's column that tells a later supplement from what was folded first.
    pub supplement: Option<Column>,
    /// What tells groups apart.
    pub dimensions: Vec<Dimension>,
    /// What is said of each group.
    pub outputs: Vec<Output>,
}

/// The rows of one group as text: dimensions, then outputs, in their order.
pub type Group = Vec<Option<Sealed>>;

impl Rollup {
    /// `INSERT INTO summary … SELECT … GROUP BY …`: folds the rows of a condition, each period and group into a new row.
    pub fn fold(&self, periods: &Periods, supplement: i64, condition: &Guarded, lock: Lock) -> Stmt {
        let mut stmt = self.insert_head();
        self.folded(&mut stmt, periods, supplement);
        self.of_rows(&mut stmt, periods, condition, lock);
        self.group_by(&mut stmt, self.dimensions.len());
        stmt
    }

    /// `SELECT` label, supplement, dimensions, measures of the groups.
    fn folded(&self, stmt: &mut Stmt, periods: &Periods, supplement: i64) {
        stmt.sql("SELECT ");
        self.label_of_place(stmt, periods, "r10.b");
        if self.supplement.is_some() {
            stmt.sql(", ").policy(supplement);
        }
        for (dimension, name) in self.dimensions.iter().zip(DIMENSIONS) {
            stmt.sql(", ");
            self.dimension_back(stmt, dimension, name);
        }
        for (output, name) in self.outputs.iter().zip(MEASURES) {
            stmt.sql(", ");
            self.measure(stmt, &output.measure, name);
        }
    }

    /// The same groups, read as text: the period's place among the distinct labels, dimensions, outputs.
    pub fn groups(&self, periods: &Periods, condition: &Guarded, lock: Lock) -> Stmt {
        let mut stmt = Stmt::new("SELECT CAST(r10.b AS ");
        stmt.sql(text_type(self.backend)).sql(")");
        for (dimension, name) in self.dimensions.iter().zip(DIMENSIONS) {
            stmt.sql(", ");
            let mut inner = Stmt::default();
            self.dimension_back(&mut inner, dimension, name);
            dialect::read_expression(&mut stmt, &dimension.into, self.backend, &inner);
        }
        self.measures_as_text(&mut stmt);
        self.of_rows(&mut stmt, periods, condition, lock);
        self.group_by(&mut stmt, self.dimensions.len());
        stmt
    }

    /// What the rows of the groups that are too small amount to, for each period: place, then outputs.
    pub fn small_groups_of_rows(&self, periods: &Periods, supplement: i64, least: u64, condition: &Guarded) -> Stmt {
        let mut stmt = Stmt::new("SELECT CAST(r10.b AS ");
        stmt.sql(text_type(self.backend)).sql(")");
        self.measures_as_text(&mut stmt);
        self.of_rows(&mut stmt, periods, condition, Lock::Nothing);
        stmt.sql(" WHERE ");
        self.of_small_group(&mut stmt, periods, supplement, least);
        self.group_by(&mut stmt, 0);
        stmt
    }

    /// The row's group has a summary that is too small.
    fn of_small_group(&self, stmt: &mut Stmt, periods: &Periods, supplement: i64, least: u64) {
        stmt.sql("EXISTS (SELECT 1 FROM ");
        self.into.write(stmt);
        stmt.sql(" r9 WHERE r9.").name(&self.bucket.name).sql(" = ");
        self.label_of_place(stmt, periods, "r10.b");
        for (dimension, name) in self.dimensions.iter().zip(DIMENSIONS) {
            stmt.sql(" AND ");
            self.same_dimension(stmt, dimension, name);
        }
        if let Some(column) = &self.supplement {
            stmt.sql(" AND r9.").name(&column.name).sql(" = ").policy(supplement);
        }
        stmt.sql(" AND ");
        self.is_small(stmt, &Scope::Alias(9), least);
        stmt.sql(")");
    }

    fn insert_head(&self) -> Stmt {
        let mut stmt = Stmt::new("INSERT INTO ");
        self.into.write(&mut stmt);
        stmt.sql(" (").name(&self.bucket.name);
        let columns = self.supplement.iter().chain(self.dimensions.iter().map(|dimension| &dimension.into));
        for column in columns.chain(self.outputs.iter().map(|output| &output.into)) {
            stmt.sql(", ").name(&column.name);
        }
        stmt.sql(") ");
        stmt
    }

    /// `FROM (SELECT place of the period AS b, dimensions, values FROM rows WHERE …) r10`. Here, and not behind `GROUP BY`,
    /// MariaDB locks the rows of a table.
    fn of_rows(&self, stmt: &mut Stmt, periods: &Periods, condition: &Guarded, lock: Lock) {
        stmt.sql(" FROM (SELECT ");
        self.row(stmt, periods);
        stmt.sql(" FROM ");
        self.source.write(stmt);
        stmt.sql(" WHERE ");
        condition.condition().write(stmt, self.backend);
        lock.write(stmt, self.backend);
        stmt.sql(") r10");
    }

    /// The place of the row's period AS b, its dimensions, its values.
    fn row(&self, stmt: &mut Stmt, periods: &Periods) {
        self.place(stmt, &periods.bounds, &periods.places());
        stmt.sql(" AS b");
        for (dimension, name) in self.dimensions.iter().zip(DIMENSIONS) {
            stmt.sql(", ");
            self.exactly(stmt, &dimension.from, &self.operand(&dimension.from));
            stmt.sql(" AS ").sql(name);
        }
        for (output, name) in self.outputs.iter().zip(MEASURES) {
            stmt.sql(", ");
            match &output.measure {
                Measure::Count => {
                    stmt.sql("1");
                }
                Measure::First | Measure::Last => {
                    stmt.append(&self.operand(&self.time));
                }
                Measure::Distinct(column) => self.exactly(stmt, column, &self.operand(column)),
                Measure::Sum(columns) => self.addends(stmt, columns),
                Measure::Least(column) | Measure::Greatest(column) => {
                    stmt.append(&self.operand(column));
                }
            }
            stmt.sql(" AS ").sql(name);
        }
    }

    /// The period's place, found by halving: a few comparisons for each row, however many periods there are.
    fn place(&self, stmt: &mut Stmt, bounds: &[String], places: &[i64]) {
        let middle = bounds.len() / 2;
        let (Some(bound), (below, above)) = (bounds.get(middle), places.split_at((middle + 1).min(places.len())))
        else {
            stmt.policy(places.first().copied().unwrap_or_default());
            return;
        };
        stmt.sql("CASE WHEN ").append(&self.operand(&self.time)).sql(" < ");
        dialect::bind_beside(stmt, &self.time, self.backend, bound, true);
        stmt.sql(" THEN ");
        self.place(stmt, bounds.get(..middle).unwrap_or_default(), below);
        stmt.sql(" ELSE ");
        self.place(stmt, bounds.get(middle + 1..).unwrap_or_default(), above);
        stmt.sql(" END");
    }

    /// The label that a place stands for.
    fn label_of_place(&self, stmt: &mut Stmt, periods: &Periods, place: &'static str) {
        let labels = periods.distinct();
        if let [only] = labels.as_slice() {
            dialect::bind_policy(stmt, &self.bucket, self.backend, only);
            return;
        }
        stmt.sql("CASE ").sql(place);
        for (number, label) in labels.iter().enumerate() {
            stmt.sql(" WHEN ").policy(i64::try_from(number).unwrap_or(i64::MAX)).sql(" THEN ");
            dialect::bind_policy(stmt, &self.bucket, self.backend, label);
        }
        stmt.sql(" END");
    }

    fn group_by(&self, stmt: &mut Stmt, dimensions: usize) {
        stmt.sql(" GROUP BY r10.b");
        for name in DIMENSIONS.iter().take(dimensions) {
            stmt.sql(", r10.").sql(name);
        }
    }

    fn operand(&self, column: &Column) -> Stmt {
        let mut stmt = Stmt::default();
        own(&self.source, column).write(&mut stmt);
        stmt
    }

    /// A value in a form whose equality is that of its bytes.
    fn exactly(&self, stmt: &mut Stmt, column: &Column, value: &Stmt) {
        let textual = matches!(column.class, TypeClass::Text | TypeClass::Enum);
        match self.backend {
            Backend::Postgres if textual => around(stmt, "CAST(", value, " AS text) COLLATE \"C\""),
            Backend::Mysql if textual => around(stmt, "CAST(CONVERT(", value, " USING utf8mb4) AS BINARY)"),
            Backend::Sqlite => around(stmt, "", value, " COLLATE BINARY"),
            Backend::Postgres | Backend::Mysql => {
                stmt.append(value);
            }
        }
    }

    /// A grouped dimension as a value of the summary's column.
    fn dimension_back(&self, stmt: &mut Stmt, dimension: &Dimension, name: &'static str) {
        let textual = matches!(dimension.from.class, TypeClass::Text | TypeClass::Enum);
        match self.backend {
            Backend::Postgres => {
                stmt.sql("CAST(r10.").sql(name).sql(" AS ").type_name(&dimension.into.sql_type).sql(")");
            }
            Backend::Mysql if textual => {
                stmt.sql("CONVERT(r10.").sql(name).sql(" USING utf8mb4)");
            }
            Backend::Mysql | Backend::Sqlite => {
                stmt.sql("r10.").sql(name);
            }
        }
    }

    fn same_dimension(&self, stmt: &mut Stmt, dimension: &Dimension, name: &'static str) {
        let mut summary = Stmt::new("r9.");
        summary.name(&dimension.into.name);
        self.exactly(stmt, &dimension.into, &summary);
        stmt.sql(match self.backend {
            Backend::Postgres => " IS NOT DISTINCT FROM ",
            Backend::Mysql => " <=> ",
            Backend::Sqlite => " IS ",
        });
        stmt.sql("r10.").sql(name);
    }

    fn measure(&self, stmt: &mut Stmt, measure: &Measure, name: &'static str) {
        let function = match measure {
            Measure::Count => {
                stmt.sql("count(*)");
                return;
            }
            Measure::First | Measure::Least(_) => "min(r10.",
            Measure::Last | Measure::Greatest(_) => "max(r10.",
            Measure::Distinct(_) => "count(DISTINCT r10.",
            Measure::Sum(_) => "sum(r10.",
        };
        stmt.sql(function).sql(name).sql(")");
    }

    fn measures_as_text(&self, stmt: &mut Stmt) {
        for (output, name) in self.outputs.iter().zip(MEASURES) {
            stmt.sql(", ");
            let mut inner = Stmt::default();
            self.measure(&mut inner, &output.measure, name);
            self.as_text(stmt, &output.measure, &inner);
        }
    }

    fn as_text(&self, stmt: &mut Stmt, measure: &Measure, value: &Stmt) {
        match measure {
            Measure::First | Measure::Last => dialect::read_expression(stmt, &self.time, self.backend, value),
            Measure::Least(column) | Measure::Greatest(column) => {
                dialect::read_expression(stmt, column, self.backend, value);
            }
            Measure::Count | Measure::Distinct(_) | Measure::Sum(_) => {
                stmt.sql("CAST(").append(value).sql(" AS ").sql(text_type(self.backend)).sql(")");
            }
        }
    }

    /// The group has fewer than `least` rows, and is not the one that small groups are merged into.
    fn is_small(&self, stmt: &mut Stmt, scope: &Scope, least: u64) {
        let column = |stmt: &mut Stmt, column: &Column| {
            Operand { scope: scope.clone(), column: column.clone() }.write(stmt);
        };
        for output in self.outputs.iter().filter(|output| matches!(output.measure, Measure::Count)).take(1) {
            column(stmt, &output.into);
            stmt.sql(" < ").policy(i64::try_from(least).unwrap_or(i64::MAX));
        }
        stmt.sql(" AND (");
        for (index, dimension) in self.dimensions.iter().filter(|dimension| dimension.is_text()).enumerate() {
            separate(stmt, index, " AND ");
            column(stmt, &dimension.into);
            stmt.sql(" = ");
            dialect::bind_policy(stmt, &dimension.into, self.backend, OTHER);
        }
        stmt.sql(") IS NOT TRUE");
    }

    /// One plain number for each addend, so that nothing overflows on the way.
    fn addends(&self, stmt: &mut Stmt, columns: &[Column]) {
        for (index, column) in columns.iter().enumerate() {
            separate(stmt, index, " + ");
            let whole = matches!(column.class, TypeClass::Integer { .. });
            match self.backend {
                Backend::Postgres if whole => around(stmt, "CAST(", &self.operand(column), " AS numeric)"),
                Backend::Mysql if whole => around(stmt, "CAST(", &self.operand(column), " AS DECIMAL(38,0))"),
                Backend::Postgres | Backend::Mysql | Backend::Sqlite => {
                    stmt.append(&self.operand(column));
                }
            }
        }
    }
}

fn around(stmt: &mut Stmt, before: &'static str, value: &Stmt, after: &'static str) {
    stmt.sql(before).append(value).sql(after);
}

fn named(column: &Column) -> Stmt {
    let mut stmt = Stmt::default();
    stmt.name(&column.name);
    stmt
}
