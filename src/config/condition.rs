//! `where = { … }`: structured conditions, never SQL text.
//!
//! `column = value | [values] | { below = n, above = n, null = true, not = … }`. All columns must satisfy their test; a
//! column of a parent is named `parent.column`, where `parent` is a data entry.

use std::fmt;

use serde::Serialize;

/// A literal of a condition.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Literal {
    /// Text, dates and instants included.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A floating point number.
    Real(f64),
    /// True or false.
    Boolean(bool),
}

/// What a column must be.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Test {
    /// Equal to this.
    Is(Literal),
    /// Equal to one of these; the list is never empty.
    OneOf(Vec<Literal>),
    /// Less than this.
    Below(Literal),
    /// Greater than this.
    Above(Literal),
    /// NULL (`true`) or not NULL (`false`).
    Null(bool),
    /// Not so. A NULL column satisfies neither a test nor its negation.
    Not(Box<Test>),
    /// All of these at once, as in `{ above = 1, below = 9 }`; never empty.
    All(Vec<Test>),
}

/// One column's test.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ColumnTest {
    /// The data entry that the column belongs to, when it is a parent's.
    pub parent: Option<String>,
    /// The column.
    pub column: String,
    /// What it must be.
    pub test: Test,
}

/// All of these must hold; empty only where the key was not said at all.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Condition(pub Vec<ColumnTest>);

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Integer(number) => number.fmt(f),
            Self::Real(number) => number.fmt(f),
            Self::Boolean(truth) => truth.fmt(f),
        }
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(literal) => write!(f, "= {literal}"),
            Self::OneOf(literals) => {
                let all: Vec<String> = literals.iter().map(Literal::to_string).collect();
                write!(f, "= {}", all.join(" | "))
            }
            Self::Below(literal) => write!(f, "< {literal}"),
            Self::Above(literal) => write!(f, "> {literal}"),
            Self::Null(is_null) => f.write_str(if *is_null { "= ∅" } else { "≠ ∅" }),
            Self::Not(inner) => write!(f, "¬({inner})"),
            Self::All(tests) => {
                let all: Vec<String> = tests.iter().map(Test::to_string).collect();
                f.write_str(&all.join(", "))
            }
        }
    }
}

/// As people read it: `queue_id = sales | claims`.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, column) in self.0.iter().enumerate() {
            let separator = if place == 0 { "" } else { ", " };
            let parent = column.parent.as_ref().map(|parent| format!("{parent}.")).unwrap_or_default();
            write!(f, "{separator}{parent}{} {}", column.column, column.test)?;
        }
        Ok(())
    }
}
