//! The statements that count rows and summaries again, in another way than the one that folds.

use super::super::expr::separate;
use super::super::held::Guarded;
use super::super::statements::text_type;
use super::{DIMENSIONS, Lock, MEASURES, Measure, Output, Periods, Rollup, around};
use crate::store::catalog::{Column, TypeClass};
use crate::store::{Backend, Stmt, TextRow, dialect};

impl Rollup {
    /// Whether nothing but the number of rows and their first and last time is said of a group, and the database finds those
    /// two in an index: then only counting looks at each row. On SQLite the deletion of a row costs so much more that
    /// counting it before is nothing.
    pub fn only_counts(&self) -> bool {
        let says = |wanted: fn(&Measure) -> bool| self.outputs.iter().any(|output| wanted(&output.measure));
        let first_or_last = |measure: &Measure| matches!(measure, Measure::First | Measure::Last);
        self.backend != Backend::Sqlite
            && says(|measure| matches!(measure, Measure::Count))
            && says(first_or_last)
            && !says(|measure| !matches!(measure, Measure::Count | Measure::First | Measure::Last))
    }

    /// The totals over the rows of a condition, in the order of the outputs. Unless they are `counted`, their number is NULL.
    pub fn totals_of_rows(&self, condition: &Guarded, lock: Lock, counted: bool) -> Stmt {
        let mut stmt = Stmt::new("SELECT ");
        self.totals(&mut stmt, counted);
        self.of_own_rows(&mut stmt, condition);
        lock.write(&mut stmt, self.backend);
        stmt
    }

    /// The least and the greatest key of the rows of a condition, and how many they are; then, `with_totals`, what
    /// [`Self::totals_of_rows`] gives uncounted.
    pub fn ends_of_key(&self, key: &Column, condition: &Guarded, with_totals: bool) -> Stmt {
        let mut stmt = Stmt::new("SELECT ");
        for (before, after) in [("CAST(min(", ") AS "), ("), CAST(max(", ") AS ")] {
            stmt.sql(before).append(&self.operand(key)).sql(after).sql(text_type(self.backend));
        }
        stmt.sql("), CAST(count(*) AS ").sql(text_type(self.backend)).sql(")");
        if with_totals {
            stmt.sql(", ");
            self.totals(&mut stmt, false);
        }
        self.of_own_rows(&mut stmt, condition);
        stmt
    }

    fn of_own_rows(&self, stmt: &mut Stmt, condition: &Guarded) {
        stmt.sql(" FROM ");
        self.source.write(stmt);
        stmt.sql(" WHERE ");
        condition.condition().write(stmt, self.backend);
    }

    fn totals(&self, stmt: &mut Stmt, counted: bool) {
        for (index, output) in self.outputs.iter().enumerate() {
            separate(stmt, index, ", ");
            let mut inner = Stmt::default();
            match &output.measure {
                Measure::Count if !counted => {
                    stmt.sql("NULL");
                    continue;
                }
                Measure::Count | Measure::Distinct(_) => {
                    inner.sql("count(*)");
                }
                Measure::First => around(&mut inner, "min(", &self.operand(&self.time), ")"),
                Measure::Last => around(&mut inner, "max(", &self.operand(&self.time), ")"),
                Measure::Sum(columns) => {
                    inner.sql("sum(");
                    self.addends(&mut inner, columns);
                    inner.sql(")");
                }
                Measure::Least(column) => around(&mut inner, "min(", &self.operand(column), ")"),
                Measure::Greatest(column) => around(&mut inner, "max(", &self.operand(column), ")"),
            }
            self.as_text(stmt, &output.measure, &inner);
        }
    }

    /// How many different values each column that is counted so has, over all groups, in the order of the outputs; the
    /// rest is NULL. Told apart by `DISTINCT`, not counted by the aggregate that fills the summaries.
    pub fn distinct_of_rows(&self, periods: &Periods, condition: &Guarded) -> Stmt {
        self.different(periods, condition, self.dimensions.len(), None)
    }

    /// The same over the rows of the groups that are too small, taken together.
    pub fn distinct_of_small(&self, periods: &Periods, supplement: i64, least: u64, condition: &Guarded) -> Stmt {
        self.different(periods, condition, 0, Some((supplement, least)))
    }

    fn different(&self, periods: &Periods, condition: &Guarded, dimensions: usize, small: Option<(i64, u64)>) -> Stmt {
        let mut stmt = Stmt::new("SELECT ");
        for (index, (output, name)) in self.outputs.iter().zip(MEASURES).enumerate() {
            separate(&mut stmt, index, ", ");
            if output.measure.adds_up() {
                stmt.sql("NULL");
                continue;
            }
            stmt.sql("(SELECT CAST(count(*) AS ").sql(text_type(self.backend)).sql(") FROM (SELECT DISTINCT r10.b");
            for dimension in DIMENSIONS.iter().take(dimensions) {
                stmt.sql(", r10.").sql(dimension);
            }
            stmt.sql(", r10.").sql(name);
            self.of_rows(&mut stmt, periods, condition, Lock::Nothing);
            stmt.sql(" WHERE r10.").sql(name).sql(" IS NOT NULL");
            if let Some((supplement, least)) = small {
                stmt.sql(" AND ");
                self.of_small_group(&mut stmt, periods, supplement, least);
            }
            stmt.sql(") r11)");
        }
        stmt
    }

    /// Whether the extremes of some periods' summaries are those of what stood there before and of the rows: 1 or 0, in the
    /// order of the outputs, NULL where nothing can be said. The database compares, since it alone knows the order.
    pub fn extremes_hold(&self, labels: &[String], before: Option<&TextRow>, found: &TextRow) -> Stmt {
        let mut stmt = Stmt::new("SELECT ");
        for (index, output) in self.outputs.iter().enumerate() {
            separate(&mut stmt, index, ", ");
            let (function, keep) = match &output.measure {
                Measure::First | Measure::Least(_) => ("min(", " <= "),
                Measure::Last | Measure::Greatest(_) => ("max(", " >= "),
                Measure::Count | Measure::Distinct(_) | Measure::Sum(_) => ("", ""),
            };
            if function.is_empty() || !self.is_ordered_alike(output) {
                stmt.sql("NULL");
                continue;
            }
            let mut extreme = Stmt::new(function);
            extreme.name(&output.into.name).sql(")");
            let values = [before, Some(found)].map(|row| row.and_then(|row| row.get(index)));
            let values: Vec<_> = values.into_iter().flatten().collect();
            stmt.sql("CASE WHEN ").append(&extreme);
            if values.is_empty() {
                stmt.sql(" IS NULL");
            } else {
                stmt.sql(" IN (");
                for (place, value) in values.iter().enumerate() {
                    separate(&mut stmt, place, ", ");
                    dialect::bind_as(&mut stmt, &output.into, self.backend, value.expose());
                }
                stmt.sql(")");
            }
            for value in values {
                stmt.sql(" AND ").append(&extreme).sql(keep);
                dialect::bind_as(&mut stmt, &output.into, self.backend, value.expose());
            }
            stmt.sql(" THEN '1' ELSE '0' END");
        }
        self.of_labels(&mut stmt, labels);
        stmt
    }

    /// Whether rows and summaries put the values of an extreme into the same order, and write them alike.
    fn is_ordered_alike(&self, output: &Output) -> bool {
        let from = match &output.measure {
            Measure::Least(column) | Measure::Greatest(column) => column,
            _ => &self.time,
        };
        match from.class {
            TypeClass::Real | TypeClass::Bytes | TypeClass::Json | TypeClass::Other => false,
            TypeClass::Text | TypeClass::Enum => from.collation == output.into.collation,
            _ => true,
        }
    }
}
