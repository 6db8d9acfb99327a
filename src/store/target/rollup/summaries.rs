//! The statements on the summaries themselves: what they amount to, adding to them, merging those that are too small.

use super::super::expr::{Scope, separate};
use super::super::statements::text_type;
use super::{Dimension, Measure, Output, Rollup, named};
use crate::redact::Sealed;
use crate::store::{Stmt, dialect};

impl Rollup {
    /// The totals over the summaries of some periods, in the order of the outputs; then, where one row is
    /// not enough, how many of the summaries are of fewer than `least`.
    pub fn totals_of_summaries(&self, labels: &[String], least: u64) -> Stmt {
        let mut stmt = Stmt::new("SELECT ");
        for (index, output) in self.outputs.iter().enumerate() {
            separate(&mut stmt, index, ", ");
            self.merged(&mut stmt, output);
        }
        if least > 1 {
            stmt.sql(", CAST(sum(CASE WHEN ");
            self.is_small(&mut stmt, &Scope::Own(self.into.clone()), least);
            stmt.sql(" THEN 1 ELSE 0 END) AS ").sql(text_type(self.backend)).sql(")");
        }
        self.of_labels(&mut stmt, labels);
        stmt
    }

    /// The periods among `labels` that have a summary already, with their last supplement.
    pub fn folded_labels(&self, labels: &[String]) -> Stmt {
        let mut stmt = Stmt::new("SELECT ");
        dialect::read_expression(&mut stmt, &self.bucket, self.backend, &named(&self.bucket));
        stmt.sql(", CAST(");
        match &self.supplement {
            Some(column) => {
                stmt.sql("max(").name(&column.name).sql(")");
            }
            None => {
                stmt.sql("0");
            }
        }
        stmt.sql(" AS ").sql(text_type(self.backend)).sql(")");
        self.of_labels(&mut stmt, labels);
        stmt.sql(" GROUP BY ").name(&self.bucket.name);
        stmt
    }

    /// What the groups of some periods that are too small amount to, all together, in the order of the outputs.
    pub fn totals_of_small_groups(&self, labels: &[String], supplement: Option<i64>, least: u64) -> Stmt {
        let mut stmt = Stmt::new("SELECT ");
        for (index, output) in self.outputs.iter().enumerate() {
            separate(&mut stmt, index, ", ");
            self.merged(&mut stmt, output);
        }
        self.of_small_groups(&mut stmt, labels, supplement, least);
        stmt
    }

    fn of_small_groups(&self, stmt: &mut Stmt, labels: &[String], supplement: Option<i64>, least: u64) {
        self.of_labels(stmt, labels);
        if let (Some(column), Some(number)) = (&self.supplement, supplement) {
            stmt.sql(" AND ").name(&column.name).sql(" = ").policy(number);
        }
        stmt.sql(" AND ");
        self.is_small(stmt, &Scope::Own(self.into.clone()), least);
    }

    /// The groups of some periods that are too small, merged: the period, then outputs.
    pub fn small_groups(&self, labels: &[String], least: u64) -> Stmt {
        let mut stmt = Stmt::new("SELECT ");
        dialect::read_expression(&mut stmt, &self.bucket, self.backend, &named(&self.bucket));
        for output in &self.outputs {
            stmt.sql(", ");
            self.merged(&mut stmt, output);
        }
        self.of_labels(&mut stmt, labels);
        stmt.sql(" AND ");
        self.is_small(&mut stmt, &Scope::Own(self.into.clone()), least);
        stmt.sql(" GROUP BY ").name(&self.bucket.name);
        stmt
    }

    /// Takes the groups that are too small out of the summaries; what they amount to stands in the row [`OTHER`].
    pub fn drop_small_groups(&self, labels: &[String], supplement: Option<i64>, least: u64) -> Stmt {
        let mut stmt = Stmt::new("DELETE");
        self.of_small_groups(&mut stmt, labels, supplement, least);
        stmt
    }

    /// Adds a group to its summary, if there is one.
    pub fn add(&self, label: &str, group: &[Option<Sealed>]) -> Stmt {
        let mut stmt = Stmt::new("UPDATE ");
        self.into.write(&mut stmt);
        let values = group.iter().skip(self.dimensions.len());
        let mut first = true;
        for (output, value) in self.outputs.iter().zip(values) {
            let Some(value) = value else { continue };
            stmt.sql(if first { " SET " } else { ", " }).name(&output.into.name).sql(" = ");
            first = false;
            let column = &output.into;
            let keep = match output.measure {
                Measure::Count | Measure::Distinct(_) | Measure::Sum(_) => {
                    stmt.sql("COALESCE(").name(&column.name).sql(", 0) + ");
                    dialect::bind_as(&mut stmt, column, self.backend, value.expose());
                    continue;
                }
                Measure::First | Measure::Least(_) => " <= ",
                Measure::Last | Measure::Greatest(_) => " >= ",
            };
            stmt.sql("CASE WHEN ").name(&column.name).sql(keep);
            dialect::bind_as(&mut stmt, column, self.backend, value.expose());
            stmt.sql(" THEN ").name(&column.name).sql(" ELSE ");
            dialect::bind_as(&mut stmt, column, self.backend, value.expose());
            stmt.sql(" END");
        }
        stmt.sql(" WHERE ").name(&self.bucket.name).sql(" = ");
        dialect::bind_policy(&mut stmt, &self.bucket, self.backend, label);
        for (dimension, value) in self.dimensions.iter().zip(group) {
            stmt.sql(" AND ");
            self.is_value(&mut stmt, dimension, value.as_ref());
        }
        stmt
    }

    /// Writes a group as a summary of its own.
    pub fn insert(&self, label: &str, supplement: i64, group: &[Option<Sealed>]) -> Stmt {
        let mut stmt = self.insert_head();
        stmt.sql("VALUES (");
        dialect::bind_policy(&mut stmt, &self.bucket, self.backend, label);
        if self.supplement.is_some() {
            stmt.sql(", ").policy(supplement);
        }
        let columns = self.dimensions.iter().map(|dimension| &dimension.into);
        for (column, value) in columns.chain(self.outputs.iter().map(|output| &output.into)).zip(group) {
            stmt.sql(", ");
            match value {
                Some(value) => dialect::bind_as(&mut stmt, column, self.backend, value.expose()),
                None => {
                    stmt.sql("NULL");
                }
            }
        }
        stmt.sql(")");
        stmt
    }

    fn is_value(&self, stmt: &mut Stmt, dimension: &Dimension, value: Option<&Sealed>) {
        let Some(value) = value else {
            stmt.name(&dimension.into.name).sql(" IS NULL");
            return;
        };
        self.exactly(stmt, &dimension.into, &named(&dimension.into));
        stmt.sql(" = ");
        let mut bound = Stmt::default();
        dialect::bind_as(&mut bound, &dimension.into, self.backend, value.expose());
        self.exactly(stmt, &dimension.into, &bound);
    }

    /// An output of several summaries as that of one, as text.
    fn merged(&self, stmt: &mut Stmt, output: &Output) {
        let function = match output.measure {
            Measure::Count | Measure::Distinct(_) | Measure::Sum(_) => "sum(",
            Measure::First | Measure::Least(_) => "min(",
            Measure::Last | Measure::Greatest(_) => "max(",
        };
        let mut inner = Stmt::new(function);
        inner.name(&output.into.name).sql(")");
        match output.measure {
            Measure::First | Measure::Last | Measure::Least(_) | Measure::Greatest(_) => {
                dialect::read_expression(stmt, &output.into, self.backend, &inner);
            }
            Measure::Count | Measure::Distinct(_) | Measure::Sum(_) => {
                stmt.sql("CAST(").append(&inner).sql(" AS ").sql(text_type(self.backend)).sql(")");
            }
        }
    }

    pub(super) fn of_labels(&self, stmt: &mut Stmt, labels: &[String]) {
        stmt.sql(" FROM ");
        self.into.write(stmt);
        stmt.sql(" WHERE ").name(&self.bucket.name).sql(" IN (");
        for (index, label) in labels.iter().enumerate() {
            separate(stmt, index, ", ");
            dialect::bind_policy(stmt, &self.bucket, self.backend, label);
        }
        stmt.sql(")");
    }
}
