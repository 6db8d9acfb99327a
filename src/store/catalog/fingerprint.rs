//! A table as text, for telling whether it is still the one that somebody looked at.

use std::fmt::Write as _;

use super::{Catalog, FkAction, Table};

/// How a line about a foreign key on another table begins.
const REFERENCE: &str = "reference from ";

/// Whether, by its picture, a deletion here changes rows of other tables: a foreign key on one of them does more than to
/// refuse it.
pub fn reaches_further(picture: &str) -> bool {
    let refuses = |line: &str| {
        let ends = [FkAction::NoAction, FkAction::Restrict].map(|action| format!("|{action:?}|"));
        ends.iter().any(|end| line.trim_end_matches(char::is_alphabetic).ends_with(end))
    };
    picture.lines().any(|line| line.starts_with(REFERENCE) && !refuses(line))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_only_refuses_reaches_no_further() {
        let picture = |actions: &[&str]| -> String {
            let lines =
                actions.iter().map(|action| format!("\n{REFERENCE}`notes`|([\"|NoAction|\"], [\"id\"])|{action}"));
            std::iter::once("`people`|…".to_owned()).chain(lines).collect()
        };
        for refuses in [&[][..], &["NoAction|true"], &["Restrict|false", "NoAction|true"]] {
            assert!(!reaches_further(&picture(refuses)), "{refuses:?}");
        }
        for reaches in [&["Cascade|true"][..], &["NoAction|true", "SetNull|true"], &["SetDefault|false"]] {
            assert!(reaches_further(&picture(reaches)), "{reaches:?}");
        }
    }
}
