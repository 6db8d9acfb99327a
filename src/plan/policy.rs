//! What a job's file says that it removes, as plain data, and whether one such policy removes more than another.
//!
//! **Invariant.** In doubt it is wider: only what can be shown to remove nothing that the earlier policy would have kept
//! counts as not wider. So a change in a file never starts to delete more by itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::config::condition::Condition;
use crate::config::document::Entry;
use crate::config::period::Keep;

/// A policy. Equal policies have equal JSON, whatever the version of the program that wrote it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// Anything of which every change counts as wider.
    pub fixed: BTreeMap<String, Value>,
    /// Limits, of which a greater number counts as wider.
    pub limits: BTreeMap<String, f64>,
    /// What the job removes of its own, by entry.
    pub rules: BTreeMap<String, Rules>,
    /// What the map says of every entry that a run can touch.
    pub entries: BTreeMap<String, BTreeMap<String, Value>>,
}

/// Which rows of an entry go, and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rules {
    /// Only these: column to test.
    pub only: BTreeMap<String, Value>,
    /// The first that matches wins.
    pub overrides: Vec<(Value, String)>,
    /// The rest.
    pub keep: String,
}

impl Rules {
    /// The rules of a job as it is written.
    pub fn of<'a>(only: &Condition, overrides: impl Iterator<Item = (&'a Condition, &'a Keep)>, keep: &Keep) -> Self {
        let tests = |condition: &Condition| {
            let named = |test: &crate::config::condition::ColumnTest| {
                let parent = test.parent.as_ref().map(|parent| format!("{parent}.")).unwrap_or_default();
                (format!("{parent}{}", test.column), value(&test.test))
            };
            condition.0.iter().map(named).collect::<BTreeMap<String, Value>>()
        };
        Self {
            only: tests(only),
            overrides: overrides.map(|(matching, keep)| (value(&tests(matching)), keep.to_string())).collect(),
            keep: keep.to_string(),
        }
    }
}

/// What the map says of an entry, as far as it decides what goes.
pub fn entry(entry: &Entry) -> BTreeMap<String, Value> {
    let all = [
        ("store", value(&entry.store)),
        ("table", value(&entry.table)),
        ("key", value(&entry.key)),
        ("time", value(&entry.time)),
        ("belongs_to", value(&entry.belongs_to)),
        ("goes_with", value(&entry.goes_with)),
        ("unlink", value(&entry.unlink)),
        ("shared", value(&entry.shared)),
        ("on_expiry", value(&entry.on_expiry)),
        ("anonymise", value(&entry.anonymise)),
        ("marker", value(&entry.marker)),
        ("requires", value(&entry.requires)),
        ("file", value(&entry.file)),
    ];
    all.into_iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key.to_owned(), value)).collect()
}

/// A value as JSON, without what says nothing: a key that a later version adds changes no policy that does not use it.
pub fn value(of: &impl Serialize) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(object) => {
                object.values_mut().for_each(strip);
                object.retain(|_, value| !value.is_null() && *value != Value::Array(Vec::new()));
            }
            Value::Array(list) => list.iter_mut().for_each(strip),
            _ => {}
        }
    }
    let mut value = serde_json::to_value(of).unwrap_or_default();
    strip(&mut value);
    value
}

impl Policy {
    /// Its name: thirty-two hexadecimal digits.
    pub fn hash(&self) -> String {
        let hash = Sha256::digest(self.to_json());
        hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }

    /// For the state.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// In what it may remove more than an earlier one; empty when it certainly does not.
    pub fn wider_than(&self, earlier: &Self) -> Vec<String> {
        let mut wider = Vec::new();
        let keys = self.fixed.keys().chain(earlier.fixed.keys()).collect::<std::collections::BTreeSet<_>>();
        for key in keys {
            if self.fixed.get(key) != earlier.fixed.get(key) {
                wider.push(format!("`{key}` was changed"));
            }
        }
        for (name, limit) in &self.limits {
            match earlier.limits.get(name) {
                Some(before) if limit <= before => {}
                _ => wider.push(format!("the limit `{name}` was loosened")),
            }
        }
        for (name, rules) in &self.rules {
            match earlier.rules.get(name) {
                None => wider.push(format!("`{name}` is new in `data`")),
                Some(before) => {
                    wider.extend(rules.wider_than(before).into_iter().map(|why| format!("`{name}`: {why}")))
                }
            }
        }
        for (name, entry) in &self.entries {
            match earlier.entries.get(name) {
                None => wider.push(format!("[data.{name}] is new in what goes along")),
                Some(before) => {
                    let keys = entry.keys().chain(before.keys()).collect::<std::collections::BTreeSet<_>>();
                    let changed = keys.into_iter().filter(|key| is_wider(key, entry, before));
                    wider.extend(changed.map(|key| format!("[data.{name}]: `{key}` was changed")));
                }
            }
        }
        wider
    }
}

impl Rules {
    fn wider_than(&self, earlier: &Self) -> Vec<String> {
        let mut wider = Vec::new();
        for (column, test) in &earlier.only {
            if !self.only.get(column).is_some_and(|new| narrows(new, test)) {
                wider.push(format!("`where` no longer limits `{column}` as before"));
            }
        }
        let wheres: Vec<&Value> = self.overrides.iter().map(|(matching, _)| matching).collect();
        for (place, (matching, keep)) in self.overrides.iter().enumerate() {
            let passed = wheres.get(..place).unwrap_or_default();
            if passed.iter().any(|passed| implies(matching, passed)) {
                continue; // No row comes so far.
            }
            let shortened = earlier.may_have_been(passed, Some(matching), keep);
            wider.extend(shortened.map(|old| format!("override {}: kept {keep}, before perhaps {old}", place + 1)));
        }
        let shortened = earlier.may_have_been(&wheres, None, &self.keep);
        wider.extend(shortened.map(|old| format!("kept {}, before perhaps {old}", self.keep)));
        wider
    }

    /// The longest keep, if it is longer than `keep`, that these rules may have given to a row which matches `matching`
    /// and none of `passed`: each override not among those passed, up to the one that it surely matches, else the rest.
    fn may_have_been(&self, passed: &[&Value], matching: Option<&Value>, keep: &str) -> Option<String> {
        let mut shortened = Vec::new();
        let mut look = |old: &str| {
            let (Ok(new), Ok(before)) = (Keep::parse(keep), Keep::parse(old)) else {
                shortened.push(old.to_owned());
                return;
            };
            if !new.never_shorter_than(&before) {
                shortened.push(old.to_owned());
            }
        };
        let mut settled = false;
        let open = |(old, _): &&(Value, String)| !passed.iter().any(|passed| implies(old, passed));
        for (old, old_keep) in self.overrides.iter().filter(open) {
            look(old_keep);
            if matching.is_some_and(|matching| implies(matching, old)) {
                settled = true;
                break;
            }
        }
        if !settled {
            look(&self.keep);
        }
        shortened.into_iter().next()
    }
}

/// Whether every row that satisfies one condition satisfies another. In doubt it does not.
fn implies(condition: &Value, other: &Value) -> bool {
    let test = |column: &str| condition.get(column);
    other
        .as_object()
        .is_some_and(|tests| tests.iter().all(|(column, old)| test(column).is_some_and(|new| narrows(new, old))))
}

/// Whether a test lets through nothing that another one would not.
fn narrows(new: &Value, old: &Value) -> bool {
    let listed = |test: &Value| match (test.get("Is"), test.get("OneOf").and_then(Value::as_array)) {
        (Some(one), _) => Some(vec![one.clone()]),
        (None, Some(list)) => Some(list.clone()),
        (None, None) => None,
    };
    new == old || listed(new).zip(listed(old)).is_some_and(|(new, old)| new.iter().all(|value| old.contains(value)))
}

/// Whether a key of an entry may let more go than before.
fn is_wider(key: &str, entry: &BTreeMap<String, Value>, earlier: &BTreeMap<String, Value>) -> bool {
    let (new, old) = (entry.get(key), earlier.get(key));
    if new == old {
        return false;
    }
    let anonymises = |entry: &BTreeMap<String, Value>| entry.get("on_expiry").is_some_and(|fate| fate == "anonymise");
    match key {
        // A requirement only ever lets more go, and a file that is no longer named stays.
        "requires" | "file" => new.is_some(),
        "shared" => old.is_some_and(|shared| shared == true),
        // What is overwritten is less than what is deleted.
        "on_expiry" => !anonymises(entry),
        "anonymise" if !anonymises(entry) => false,
        "anonymise" if !anonymises(earlier) => false,
        "anonymise" => new.and_then(Value::as_object).is_none_or(|columns| {
            columns.iter().any(|(column, strategy)| old.and_then(|old| old.get(column)) != Some(strategy))
        }),
        "belongs_to" | "unlink" => new.and_then(Value::as_array).is_some_and(|links| {
            links.iter().any(|link| !old.and_then(Value::as_array).is_some_and(|old| old.contains(link)))
        }),
        _ => true,
    }
}

#[cfg(test)]
mod tests;
