//! A table as text, for telling whether it is still the one that somebody looked at.

use std::fmt::Write as _;

use super::{Catalog, Table};

/// How a line about a foreign key on another table begins.
const REFERENCE: &str = "reference from ";

/// Whether, by its picture, any table refers to this one.
pub fn is_referred_to(picture: &str) -> bool {
    picture.lines().any(|line| line.starts_with(REFERENCE))
}

impl Table {
    /// What decides about a deletion here: columns and types, the key, foreign keys, triggers and what they do, rules, row security, engine.
    /// Partitions, indexes, privileges and statistics come and go without changing what rows mean; they are left out.
    pub fn fingerprint(&self) -> String {
        let mut text = format!(
            "{}|{:?}|{:?}|{}|{}|{}|{}",
            self.label(),
            self.kind,
            self.engine,
            self.row_security,
            self.row_security_active,
            self.keeps_history,
            self.rules
        );
        let mut line = |entry: String| {
            // Writing to a text does not fail.
            let _written = write!(text, "\n{entry}");
        };
        for column in &self.columns {
            line(format!(
                "column `{}`|{}|{:?}|{}|{}|{}|{:?}|{:?}",
                column.name.as_str(),
                column.declared,
                column.class,
                column.nullable,
                column.generated,
                column.on_update_now,
                column.enum_labels,
                column.collation
            ));
        }
        line(format!("key|{:?}", self.key_columns().map(|column| column.name.as_str()).collect::<Vec<_>>()));
        let mut keys: Vec<String> = self
            .foreign_keys
            .iter()
            .filter(|key| key.on_partition.is_none())
            .map(|key| {
                format!(
                    "foreign key |{:?}|{:?}|{}|{:?}|{:?}|{}|{}",
                    key.columns,
                    key.target_schema,
                    key.target,
                    key.target_columns,
                    key.on_delete,
                    key.deferrable,
                    key.enforced
                )
            })
            .collect();
        keys.sort();
        keys.into_iter().for_each(&mut line);
        let mut triggers: Vec<String> = self
            .triggers
            .iter()
            .filter(|trigger| trigger.on_partition.is_none())
            .map(|trigger| format!("trigger `{}`|{trigger:?}", trigger.name))
            .collect();
        triggers.sort();
        triggers.into_iter().for_each(&mut line);
        text
    }
}

impl Catalog {
    /// The fingerprint of a table with the foreign keys that point to it: what a deletion here does, to other tables too.
    pub fn picture(&self, table: &Table) -> String {
        let mut text = table.fingerprint();
        let mut keys: Vec<String> = self
            .references_to(table)
            .into_iter()
            .filter(|(_, key)| key.on_partition.is_none())
            .map(|(from, key)| {
                let columns = (&key.columns, &key.target_columns);
                format!("{REFERENCE}`{}`|{columns:?}|{:?}|{}", from.label(), key.on_delete, key.enforced)
            })
            .collect();
        keys.sort();
        for key in keys {
            text.push('\n');
            text.push_str(&key);
        }
        text
    }
}
