//! Columns that hold addresses or keys: their kinds are known, and their types hold such values.

use super::{AddressLink, Compare, compare_of};
use crate::config::diagnostic::did_you_mean;
use crate::config::document::Document;
use crate::config::values::{Columns, Identifiers};
use crate::graph::Node;
use crate::graph::columns::Reporter;
use crate::names::PersonName;
use crate::store::catalog::{Column, TypeClass};

pub(super) fn address_links(
    document: &Document,
    node: &Node,
    columns: Option<&Columns>,
    key: &str,
    reporter: &mut Reporter<'_>,
) -> Vec<AddressLink> {
    let mut found = Vec::new();
    for (kind, names) in columns.iter().flat_map(|columns| &columns.0) {
        let Some(compare) = comparison(document, kind, key == "customer") else {
            if document.people.is_empty() || (key == "customer" && !document.people.contains_key("customer")) {
                let help = format!("add [people.customer] with identifiers = [\"{kind}\"]");
                reporter.warning(
                    &[key, kind],
                    "no [people.customer] says that persons are known by this, so nobody is found by it",
                    help,
                );
            } else {
                let known: Vec<&str> = kinds(document, key == "customer");
                let help = did_you_mean(kind, known.iter().copied()).map_or_else(
                    || format!("known are {}", known.join(", ")),
                    |near| format!("did you mean `{near}`?"),
                );
                reporter.error(&[key, kind], format!("no person is known by a `{kind}`"), help);
            }
            continue;
        };
        for name in names {
            let Some(column) = reporter.column(&node.table, name, &[key, kind]) else { continue };
            if !holds_addresses(&column, compare) {
                let message = format!(
                    "`{}` is of type {}, which holds no {kind} that can be compared",
                    column.name.as_str(),
                    column.declared
                );
                reporter.error(&[key, kind], message, None);
                continue;
            }
            found.push(AddressLink { kind: kind.clone(), column, compare });
        }
    }
    found
}

/// The kinds of identifier of customers, or of all persons.
fn kinds(document: &Document, customers: bool) -> Vec<&str> {
    let people = document.people.iter().filter(|(name, _)| !customers || name.as_str() == "customer");
    people
        .flat_map(|(_, person)| match &person.identifiers {
            Identifiers::Columns(columns) => columns.keys().map(String::as_str).collect::<Vec<_>>(),
            Identifiers::Kinds(kinds) => kinds.iter().map(String::as_str).collect(),
        })
        .collect()
}

/// How a kind compares: as customers say, else as the first kind of person that knows it.
fn comparison(document: &Document, kind: &str, customers: bool) -> Option<Compare> {
    let knows = |identifiers: &Identifiers| match identifiers {
        Identifiers::Columns(columns) => columns.contains_key(kind),
        Identifiers::Kinds(kinds) => kinds.iter().any(|known| known == kind),
    };
    let of = |(_, person): (&PersonName, &crate::config::document::Person)| {
        knows(&person.identifiers).then(|| compare_of(person, kind))
    };
    let customer = document.people.iter().filter(|(name, _)| name.as_str() == "customer").find_map(of);
    customer.or_else(|| if customers { None } else { document.people.iter().find_map(of) })
}

fn holds_addresses(column: &Column, compare: Compare) -> bool {
    match column.class {
        TypeClass::Text | TypeClass::Enum | TypeClass::Other => true,
        TypeClass::Integer { .. } | TypeClass::Decimal => compare != Compare::Email,
        TypeClass::Uuid | TypeClass::Inet => compare == Compare::Exact,
        _ => false,
    }
}

/// A mention is blanked, so its column must take a blank.
pub(super) fn check_mentions(node: &Node, mentions: &[AddressLink], reporter: &mut Reporter<'_>) {
    for mention in mentions {
        let name = mention.column.name.as_str();
        if mention.column.generated {
            reporter.error(
                &["mentions", &mention.kind],
                format!("`{name}` is computed by the database and cannot be blanked"),
                None,
            );
        } else if node.table.key_columns().any(|key| key.name == mention.column.name) {
            let message = format!("`{name}` is part of the key of `{}` and cannot be blanked", node.table.label());
            reporter.error(&["mentions", &mention.kind], message, None);
        } else if !mention.column.nullable && (mention.column.class != TypeClass::Text || mention.column.unique) {
            let message = format!("`{name}` may not be NULL, so an erasure cannot blank it");
            reporter.error(&["mentions", &mention.kind], message, None);
        }
    }
}

/// Whether a text is a value of a column at all; a comparison with another one is an error on PostgreSQL.
pub(super) fn fits(column: &Column, value: &str) -> bool {
    match column.class {
        TypeClass::Integer { .. } => value.parse::<i128>().is_ok_and(|number| {
            (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(&number)
                && (number <= i128::from(i64::MAX) || column.class == TypeClass::Integer { unsigned_big: true })
        }),
        TypeClass::Decimal | TypeClass::Real => value.parse::<f64>().is_ok_and(f64::is_finite),
        TypeClass::Uuid => uuid::Uuid::parse_str(value).is_ok(),
        TypeClass::Inet => value.parse::<std::net::IpAddr>().is_ok(),
        TypeClass::Boolean => matches!(value, "true" | "false" | "0" | "1"),
        TypeClass::Enum => column.enum_labels.is_empty() || column.enum_labels.iter().any(|label| label == value),
        TypeClass::Text => !value.contains('\0'),
        TypeClass::Bytes | TypeClass::Other | TypeClass::Json => true,
        TypeClass::Date | TypeClass::TimestampNaive | TypeClass::TimestampZoned | TypeClass::Time => {
            value.starts_with(|c: char| c.is_ascii_digit())
        }
    }
}
