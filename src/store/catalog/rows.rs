//! Reading catalog answers, and what all three readers finish alike.

use std::collections::HashMap;

use super::table::{Column, Table};
use crate::store::{Conn, ErrorKind, Stmt, StoreError, TextRow};

/// Runs a fixed query.
pub(super) fn ask(conn: &mut Conn, sql: &'static str) -> Result<Vec<TextRow>, StoreError> {
    conn.catalog_rows(&Stmt::new(sql))
}

/// A text column; NULL is blank.
pub(super) fn text(row: &TextRow, index: usize) -> &str {
    row.plain(index).unwrap_or_default()
}

/// A text column that may be NULL.
pub(super) fn maybe(row: &TextRow, index: usize) -> Option<String> {
    row.plain(index).map(str::to_owned)
}

/// Whether a column says yes, in the words of any of the three.
pub(super) fn yes(row: &TextRow, index: usize) -> bool {
    matches!(text(row, index), "true" | "t" | "1" | "YES" | "yes")
}

/// A column that is not negative.
pub(super) fn number(row: &TextRow, index: usize) -> Option<u64> {
    text(row, index).parse().ok()
}

/// A column that holds a JSON list.
pub(super) fn list<T: serde::de::DeserializeOwned>(row: &TextRow, index: usize) -> Result<Vec<T>, StoreError> {
    let Some(json) = row.plain(index) else { return Ok(Vec::new()) };
    serde_json::from_str(json)
        .map_err(|error| StoreError::new(ErrorKind::Other, format!("an answer of the catalog is no list: {error}")))
}

/// The tables of an answer, found by the server's own key for them (an oid, a name).
pub(super) struct Tables {
    pub(super) tables: Vec<Table>,
    places: HashMap<String, usize>,
}

impl Tables {
    pub(super) fn new() -> Self {
        Self { tables: Vec::new(), places: HashMap::new() }
    }

    pub(super) fn add(&mut self, key: &str, table: Table) {
        self.places.insert(key.to_owned(), self.tables.len());
        self.tables.push(table);
    }

    /// The table that a row is about; `None` when it is one that was left out.
    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut Table> {
        self.places.get(key).map(|&place| &mut self.tables[place])
    }

    pub(super) fn get(&self, key: &str) -> Option<&Table> {
        self.places.get(key).map(|&place| &self.tables[place])
    }

    /// Marks the columns that stand alone in a unique index or key, and gives the tables out.
    pub(super) fn finish(self) -> Vec<Table> {
        let mut tables = self.tables;
        for table in &mut tables {
            let alone: Vec<String> = table
                .indexes
                .iter()
                .filter(|index| index.unique && !index.partial && !index.prefix && index.columns.len() == 1)
                .filter_map(|index| index.columns[0].clone())
                .collect();
            let key = if let [place] = table.primary_key[..] { Some(place) } else { None };
            for (place, column) in table.columns.iter_mut().enumerate() {
                column.unique = key == Some(place) || alone.iter().any(|name| name == column.name.as_str());
            }
        }
        tables
    }
}

/// Sets the primary key by names, in order.
pub(super) fn set_primary_key<'a>(table: &mut Table, names: impl Iterator<Item = &'a str>) {
    let place = |name: &str| table.columns.iter().position(|column: &Column| column.name.as_str() == name);
    table.primary_key = names.filter_map(place).collect();
}

/// The columns of `table` whose names stand as words in the text of an expression. For readers that are given only the
/// text: a name inside a string counts too, which errs towards naming a column too many.
pub(super) fn columns_in(table: &Table, expression: &str) -> Vec<String> {
    let lower = expression.to_lowercase();
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    let stands_in = |name: &str| {
        let name = name.to_lowercase();
        lower.match_indices(&name).any(|(at, _)| {
            !lower[..at].chars().next_back().is_some_and(is_word)
                && !lower[at + name.len()..].chars().next().is_some_and(is_word)
        })
    };
    table.columns.iter().map(|column| column.name.as_str()).filter(|name| stands_in(name)).map(str::to_owned).collect()
}
