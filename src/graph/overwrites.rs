//! Strategies of `anonymise = { … }` held against their columns, so that none can fail in a batch.

use std::collections::BTreeMap;

use super::columns::Reporter;
use crate::config::document::{Entry, OnErasure, OnExpiry};
use crate::config::values::{AnonymiseStrategy, SecretRef, TimeColumn};
use crate::store::Backend;
use crate::store::catalog::{Column, Table, TypeClass};
use crate::store::target::Shape;
use crate::store::target::shape::{HASH_CHARS, HASH_PREFIX};
use crate::store::target::statements::Overwrite;

pub(super) fn resolve(
    entry: &Entry,
    table: &Table,
    backend: Backend,
    has_marker: bool,
    reporter: &mut Reporter<'_>,
) -> (Vec<Overwrite>, BTreeMap<String, SecretRef>) {
    let mut overwrites = Vec::new();
    let mut hash_keys = BTreeMap::new();
    for (name, strategy) in entry.anonymise.iter().flatten() {
        let Some(column) = reporter.column(table, name, &["anonymise", name]) else { continue };
        if let Some(message) = refusal(&column, strategy, table, backend) {
            reporter.error(&["anonymise", name], message, hint(&column, strategy));
            continue;
        }
        if let AnonymiseStrategy::Hash(secret) = strategy {
            hash_keys.insert(name.clone(), secret.clone());
        }
        overwrites.push(Overwrite { column, shape: shape(strategy) });
    }
    if entry.on_expiry == Some(OnExpiry::Anonymise) {
        refuse_moving_time(entry, table, has_marker, reporter);
        check_key_untouched(entry, table, reporter);
    }
    if entry.on_expiry == Some(OnExpiry::Anonymise) || entry.on_erasure == Some(OnErasure::Anonymise) {
        warn_of_checks(entry, table, reporter);
    }
    (overwrites, hash_keys)
}

fn shape(strategy: &AnonymiseStrategy) -> Shape {
    match strategy {
        AnonymiseStrategy::Null => Shape::Null,
        AnonymiseStrategy::Text(text) => Shape::Text(text.clone()),
        AnonymiseStrategy::TruncateIp => Shape::TruncatedIp,
        AnonymiseStrategy::KeepLast(kept) => Shape::KeptLast(*kept),
        AnonymiseStrategy::Hash(_) => Shape::Hashed,
        AnonymiseStrategy::DateYear => Shape::YearOnly,
        AnonymiseStrategy::Zero => Shape::Zero,
    }
}

/// Why a strategy would fail on this column, if it would.
fn refusal(column: &Column, strategy: &AnonymiseStrategy, table: &Table, backend: Backend) -> Option<String> {
    let name = column.name.as_str();
    if column.generated {
        return Some(format!("`{name}` is computed by the database and cannot be written"));
    }
    if column.unique && !matches!(strategy, AnonymiseStrategy::Null | AnonymiseStrategy::Hash(_)) {
        return Some(format!("`{name}` is unique: the second row would collide with the first"));
    }
    let text = matches!(column.class, TypeClass::Text);
    let wrong_type = || Some(format!("`{name}` is of type {}", column.declared));
    match strategy {
        AnonymiseStrategy::Null if !column.nullable => Some(format!("`{name}` may not be NULL")),
        AnonymiseStrategy::Null => None,
        AnonymiseStrategy::Text(value) => text_refusal(column, value),
        AnonymiseStrategy::TruncateIp if text || column.class == TypeClass::Inet => None,
        AnonymiseStrategy::KeepLast(_) if text => None,
        AnonymiseStrategy::Hash(_) if text => too_long(column, HASH_CHARS, &format!("`{HASH_PREFIX}` and 32 digits")),
        AnonymiseStrategy::DateYear => match column.class {
            TypeClass::Date | TypeClass::TimestampNaive | TypeClass::TimestampZoned => None,
            TypeClass::Text if backend == Backend::Sqlite => None,
            _ => wrong_type(),
        },
        AnonymiseStrategy::Zero => match column.class {
            TypeClass::Integer { .. } | TypeClass::Decimal | TypeClass::Real => {
                let referred = table.foreign_keys.iter().any(|key| key.columns.iter().any(|column| column == name));
                referred.then(|| format!("`{name}` refers to another table, which may have no row 0"))
            }
            _ => wrong_type(),
        },
        AnonymiseStrategy::TruncateIp | AnonymiseStrategy::KeepLast(_) | AnonymiseStrategy::Hash(_) => wrong_type(),
    }
}

fn text_refusal(column: &Column, value: &str) -> Option<String> {
    let name = column.name.as_str();
    match column.class {
        TypeClass::Text => too_long(column, value.chars().count() as u64, "the text"),
        TypeClass::Enum if column.enum_labels.iter().any(|label| label == value) => None,
        TypeClass::Enum => {
            Some(format!("`{value}` is not one of the values of `{name}`: {}", column.enum_labels.join(", ")))
        }
        TypeClass::Json if serde_json::from_str::<serde_json::Value>(value).is_ok() => None,
        TypeClass::Json => Some(format!("`{name}` holds JSON, and `{value}` is none")),
        _ => Some(format!("`{name}` is of type {}, which takes no text", column.declared)),
    }
}

fn too_long(column: &Column, needed: u64, what: &str) -> Option<String> {
    let room = column.max_chars?;
    (needed > room)
        .then(|| format!("{what} needs {needed} characters, and `{}` has room for {room}", column.name.as_str()))
}

fn hint(column: &Column, strategy: &AnonymiseStrategy) -> Option<String> {
    match (strategy, &column.class) {
        (AnonymiseStrategy::Null, TypeClass::Text) => Some("\"text:…\" puts a fixed text in its place".to_owned()),
        (AnonymiseStrategy::Null, TypeClass::Integer { .. } | TypeClass::Decimal) => {
            Some("\"zero\" puts 0 in its place".to_owned())
        }
        (AnonymiseStrategy::Text(_), _) if column.unique => {
            Some("\"hash:CREDENTIAL\" keeps the values apart, or \"null\" where the column allows it".to_owned())
        }
        _ => None,
    }
}

/// An `ON UPDATE CURRENT_TIMESTAMP` column becomes new when its row is anonymised, and would age it again.
fn refuse_moving_time(entry: &Entry, table: &Table, has_marker: bool, reporter: &mut Reporter<'_>) {
    let Some(TimeColumn::Column { column: name, .. }) = &entry.time else { return };
    if table.column(name).is_some_and(|column| column.on_update_now) {
        let message = format!("anonymising a row would set `{name}` to the present (ON UPDATE CURRENT_TIMESTAMP)");
        reporter.error(&["time"], message, "age the row by a column that does not move".to_owned());
    }
    if entry.anonymise.iter().flatten().any(|(column, _)| column == name) && !has_marker {
        let message = format!("`{name}` both ages the row and is overwritten");
        reporter.error(&["anonymise", name], message, "a `marker` column would say that the row is done".to_owned());
    }
}

fn check_key_untouched(entry: &Entry, table: &Table, reporter: &mut Reporter<'_>) {
    let key: Vec<&str> = table
        .primary_key
        .iter()
        .filter_map(|&index| table.columns.get(index))
        .map(|column| column.name.as_str())
        .collect();
    for (name, _) in entry.anonymise.iter().flatten().filter(|(name, _)| key.contains(&name.as_str())) {
        reporter.error(&["anonymise", name], format!("`{name}` is part of the key of `{}`", table.label()), None);
    }
}

fn warn_of_checks(entry: &Entry, table: &Table, reporter: &mut Reporter<'_>) {
    for (name, _) in entry.anonymise.iter().flatten() {
        if table.checks.iter().any(|check| check.columns.iter().any(|column| column == name)) {
            let message =
                format!("a CHECK constraint of `{}` speaks of `{name}`; it may refuse the new value", table.label());
            reporter.warning(&["anonymise", name], message, "try it on one row by hand".to_owned());
        }
    }
}
