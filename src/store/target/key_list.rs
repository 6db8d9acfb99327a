//! Lists of keys: as they are known here, or as PostgreSQL keeps them together.
//!
//! A thousand keys that a statement locks and the next ones name need not be known here at all: the database gives an array
//! for each column and takes it back, which costs this process nothing for a key.

use std::collections::BTreeSet;

use super::expr::{alias, separate};
use super::statements::{Access, Read, write_found};
use crate::redact::Sealed;
use crate::store::dialect;
use crate::store::{Backend, Stmt, TextRow};

/// A list of keys.
#[derive(Clone)]
pub enum Keys {
    /// One by one, each with a value for each column.
    Listed(Vec<Vec<Sealed>>),
    /// An array for each column, as PostgreSQL writes it, and of how many rows; a value may be NULL there.
    Arrays(Vec<Sealed>, u64),
}

impl Keys {
    /// How many they are.
    pub fn len(&self) -> u64 {
        match self {
            Self::Listed(keys) => keys.len() as u64,
            Self::Arrays(_, rows) => *rows,
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The keys one by one, where they are known here.
    pub fn listed(&self) -> Option<&[Vec<Sealed>]> {
        match self {
            Self::Listed(keys) => Some(keys),
            Self::Arrays(..) => None,
        }
    }
}

impl From<Vec<Vec<Sealed>>> for Keys {
    fn from(keys: Vec<Vec<Sealed>>) -> Self {
        Self::Listed(keys)
    }
}

/// What is read of rows together, a list after the other.
pub struct Together<'a> {
    /// The rows, and every column that is needed of them, those of their order included.
    pub read: Read<'a>,
    /// The places among the columns whose values make up keys.
    pub keys: &'a [Vec<usize>],
    /// Most rows of a list.
    pub size: u64,
    /// Whether it is asked where each row lies (`ctid`).
    pub tids: bool,
}

/// A list of rows that were read together.
pub struct Found {
    /// For each list of places: the keys.
    pub keys: Vec<Keys>,
    /// Where the rows lie, if that was asked. It holds as long as they are locked.
    pub tids: Option<Sealed>,
    /// The last row's values of the columns that order them; none when one of them is NULL.
    pub last: Vec<Sealed>,
}

impl Together<'_> {
    /// Reads rows with each column of a key in one array. PostgreSQL only, which locks those rows of a sub-select that it
    /// gives, and gives them in their order.
    pub fn stmt(&self) -> Stmt {
        let columns = self.read.columns;
        let mut stmt = Stmt::new("SELECT CAST(count(*) AS text)");
        for list in 0..self.lists() {
            let (first, last) = (number(list * self.size + 1), number((list + 1) * self.size));
            for place in self.places() {
                stmt.sql(", CAST((").append(&array(place)).sql(")[").append(&first).sql(":").append(&last);
                stmt.sql("] AS text)");
            }
            if self.tids {
                stmt.sql(", CAST((array_agg(tid))[").append(&first).sql(":").append(&last).sql("] AS text)");
            }
            for operand in self.read.order {
                let place = columns.iter().position(|column| column.column.name == operand.column.name);
                let mut value = Stmt::new("(");
                value.append(&array(place.unwrap_or_default())).sql(")[least(").append(&last);
                value.sql(", CAST(count(*) AS integer))]");
                stmt.sql(", ");
                dialect::read_expression(&mut stmt, &operand.column, Backend::Postgres, &value);
            }
        }
        stmt.sql(" FROM (SELECT ");
        for (index, operand) in columns.iter().enumerate() {
            separate(&mut stmt, index, ", ");
            operand.write(&mut stmt);
            stmt.sql(" AS ").sql(alias(index as u8));
        }
        if self.tids {
            stmt.sql(", ctid AS tid");
        }
        write_found(&mut stmt, Backend::Postgres, Access::Any, &self.read);
        stmt.sql(") chosen");
        stmt
    }

    /// Reads the answer: the lists that have rows.
    pub fn found(&self, rows: Vec<TextRow>) -> Vec<Found> {
        let Some(row) = rows.into_iter().next() else { return Vec::new() };
        let rows = row.count(0).unwrap_or_default().unsigned_abs();
        let values = row.after(1).into_values();
        let places: Vec<usize> = self.places().collect();
        let list = |(values, first): (&[Option<Sealed>], u64)| {
            let rows = rows.saturating_sub(first).min(self.size);
            let (arrays, rest) = values.split_at_checked(places.len()).filter(|_| rows > 0)?;
            let (tids, last) = rest.split_at_checked(usize::from(self.tids))?;
            let array = |place: &usize| arrays.get(places.iter().position(|known| known == place)?)?.clone();
            let keys = |places: &Vec<usize>| Some(Keys::Arrays(places.iter().map(array).collect::<Option<_>>()?, rows));
            let last = last.iter().cloned().collect::<Option<Vec<_>>>().unwrap_or_default();
            let tids = tids.first().cloned().flatten();
            Some(Found { keys: self.keys.iter().map(keys).collect::<Option<_>>()?, tids, last })
        };
        let width = (places.len() + usize::from(self.tids) + self.read.order.len()).max(1);
        values.chunks(width).zip((0..).step_by(self.size.max(1) as usize)).map_while(list).collect()
    }

    fn lists(&self) -> u64 {
        self.read.limit.div_ceil(self.size.max(1))
    }

    /// The columns of keys, each once.
    fn places(&self) -> impl Iterator<Item = usize> {
        let places: BTreeSet<usize> = self.keys.iter().flatten().copied().collect();
        places.into_iter()
    }
}

/// All values of a column, in the order of the rows.
fn array(place: usize) -> Stmt {
    let mut stmt = Stmt::new("array_agg(");
    stmt.sql(alias(place as u8)).sql(")");
    stmt
}

/// A place in an array.
fn number(place: u64) -> Stmt {
    let mut stmt = Stmt::new("CAST(");
    stmt.value(i64::try_from(place).unwrap_or(i64::MAX)).sql(" AS integer)");
    stmt
}
