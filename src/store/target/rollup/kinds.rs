//! What a rollup is made of: measures, dimensions, periods.

use crate::store::catalog::{Column, TypeClass};

/// What one column of a summary says of the rows of a group.
#[derive(Clone, Debug)]
pub enum Measure {
    /// How many they are.
    Count,
    /// The first time.
    First,
    /// The last time.
    Last,
    /// How many different values a column has.
    Distinct(Column),
    /// The sum of one column, or of several added up row by row.
    Sum(Vec<Column>),
    /// The least value of a column.
    Least(Column),
    /// The greatest value of a column.
    Greatest(Column),
}

impl Measure {
    /// Whether two summaries of different rows can be made one.
    pub fn adds_up(&self) -> bool {
        !matches!(self, Self::Distinct(_))
    }

    /// Whether it is the value of one row.
    pub fn is_extreme(&self) -> bool {
        matches!(self, Self::First | Self::Last | Self::Least(_) | Self::Greatest(_))
    }
}

/// A column of the summary and what it says.
#[derive(Clone, Debug)]
pub struct Output {
    /// The summary's column.
    pub into: Column,
    /// What it says.
    pub measure: Measure,
}

/// A column by which rows are told apart, and the summary's column for it.
#[derive(Clone, Debug)]
pub struct Dimension {
    /// The rows' column.
    pub from: Column,
    /// The summary's column.
    pub into: Column,
}

impl Dimension {
    /// Whether the summary's column can say [`OTHER`].
    pub fn is_text(&self) -> bool {
        self.into.class == TypeClass::Text
    }
}

/// Adjoining periods: `bounds[i]` is where `labels[i + 1]` begins, in the terms of the time column.
#[derive(Clone, Debug, Default)]
pub struct Periods {
    /// One fewer than labels.
    pub bounds: Vec<String>,
    /// The values of the period column; two adjoining periods may share one.
    pub labels: Vec<String>,
}

impl Periods {
    /// The labels, each once.
    pub fn distinct(&self) -> Vec<String> {
        let mut labels = self.labels.clone();
        labels.dedup();
        labels
    }

    /// Each period's place among the distinct labels.
    pub(super) fn places(&self) -> Vec<i64> {
        let mut place = 0;
        let mut places = Vec::new();
        for (index, label) in self.labels.iter().enumerate() {
            if index > 0 && self.labels.get(index - 1) != Some(label) {
                place += 1;
            }
            places.push(place);
        }
        places
    }
}
