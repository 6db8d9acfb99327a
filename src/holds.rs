//! Legal holds: what one is about, in the form in which it is kept in the purged databases.
//!
//! This is plain data. What a hold keeps is said by `graph::held`, how it gets into a database by `store::held`.

use serde::{Deserialize, Serialize};

use crate::config::condition::Condition;
use crate::names::{DataName, PersonName};

/// What a hold is about. It names persons, so it has no `Debug` and is never shown.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// The rows of one entry that satisfy all of these, with what belongs to them.
    Rows {
        /// The entry.
        data: DataName,
        /// `column=value`, as it was typed.
        only: Vec<String>,
    },
    /// Everything that the walk finds about a person, what only mentions them included.
    Person {
        /// The kind of person.
        kind: PersonName,
        /// The key, for a person known by one.
        key: Option<Vec<String>>,
        /// The addresses: kind and value.
        addresses: Vec<(String, String)>,
    },
}

impl About {
    /// The text that is kept.
    ///
    /// # Errors
    /// Never in practice: all of it is text.
    pub fn to_text(&self) -> Result<String, String> {
        serde_json::to_string(self).map_err(|error| error.to_string())
    }

    /// What a kept text says; `None` where it says nothing that this version knows.
    pub fn from_text(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

/// `column=value` in the ways it may be meant, most likely first: the value as jobs.toml would read it (a number, a list,
/// `{ below = 7 }`), or as plain text.
///
/// # Errors
/// With what is wrong, without the value.
pub fn read_pair(pair: &str) -> Result<Vec<Condition>, String> {
    let (column, value) = pair.split_once('=').ok_or("write --where COLUMN=VALUE")?;
    let column = column.trim().trim_matches('"');
    let value = value.trim();
    let typed = toml::from_str::<toml::Table>(&["v=", value].concat()).ok().and_then(|mut table| table.remove("v"));
    let readings = typed.into_iter().chain([toml::Value::String(value.to_owned())]);
    let conditions = readings.map(|value| {
        let table = toml::Table::from_iter([(column.to_owned(), value)]);
        Condition::deserialize(toml::Value::Table(table)).map_err(|error| error.message().to_owned())
    });
    let (good, bad): (Vec<_>, Vec<_>) = conditions.partition(Result::is_ok);
    let good: Vec<Condition> = good.into_iter().filter_map(Result::ok).collect();
    match bad.into_iter().find_map(Result::err) {
        Some(error) if good.is_empty() => Err(error),
        _ => Ok(good),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::condition::{Literal, Test};

    fn first(pair: &str) -> Test {
        read_pair(pair).unwrap().remove(0).0.remove(0).test
    }

    #[test]
    fn a_pair_is_read_as_the_file_would_read_it_or_as_text() {
        assert_eq!(first("id = 7"), Test::Is(Literal::Integer(7)));
        assert_eq!(first("queue_id=sales"), Test::Is(Literal::Text("sales".to_owned())));
        assert_eq!(first("id={ below = 7 }"), Test::Below(Literal::Integer(7)));
        assert_eq!(first("a=b=c"), Test::Is(Literal::Text("b=c".to_owned())));
        let both = read_pair("phone=5550100").unwrap();
        assert_eq!(both[1].0[0].test, Test::Is(Literal::Text("5550100".to_owned())));
        let parent = read_pair("contacts.queue_id=x").unwrap().remove(0).0.remove(0);
        assert_eq!((parent.parent.as_deref(), parent.column.as_str()), (Some("contacts"), "queue_id"));
        assert!(read_pair("queue_id").is_err());
        assert!(read_pair("=x").is_err());
    }
}
