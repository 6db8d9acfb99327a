//! Finding columns by the names that an operator wrote, and saying well what was wrong.

use crate::config::diagnostic::{Diagnostics, did_you_mean};
use crate::names::DataName;
use crate::store::catalog::{Column, Table};

/// Reports about one entry of the data map.
pub(super) struct Reporter<'a> {
    pub diagnostics: &'a mut Diagnostics,
    /// The key path of the entry or job: `["data", "contacts"]`.
    base: Vec<String>,
}

impl<'a> Reporter<'a> {
    pub fn entry(diagnostics: &'a mut Diagnostics, name: &DataName) -> Self {
        Self { diagnostics, base: vec!["data".to_owned(), name.to_string()] }
    }

    pub fn error(&mut self, keys: &[&str], message: impl Into<String>, help: impl Into<Option<String>>) {
        let path = self.path(keys);
        self.diagnostics.error(path, message.into()).with_help(help.into());
    }

    pub fn warning(&mut self, keys: &[&str], message: impl Into<String>, help: impl Into<Option<String>>) {
        let path = self.path(keys);
        self.diagnostics.warning(path, message.into()).with_help(help.into());
    }

    fn path(&self, keys: &[&str]) -> Vec<String> {
        self.base.iter().cloned().chain(keys.iter().map(|key| (*key).to_owned())).collect()
    }

    /// The column of that name, or an error at `keys` with what was probably meant.
    pub fn column(&mut self, table: &Table, name: &str, keys: &[&str]) -> Option<Column> {
        if let Some(column) = table.column(name) {
            return Some(column.clone());
        }
        let help = did_you_mean(name, table.columns.iter().map(|column| column.name.as_str()))
            .map(|near| format!("did you mean `{near}`?"))
            .or_else(|| Some(format!("its columns are {}", list(table))));
        self.error(keys, format!("table `{}` has no column `{name}`", table.label()), help);
        None
    }
}

fn list(table: &Table) -> String {
    let mut names: Vec<_> = table.columns.iter().take(12).map(|column| format!("`{}`", column.name.as_str())).collect();
    if table.columns.len() > names.len() {
        names.push("…".to_owned());
    }
    names.join(", ")
}
