//! From what the file says of persons to links whose columns and types were found.

use super::addresses::{address_links, check_mentions};
use super::{AddressLink, Identifier, KeyForm, KeyLink, OnErasure, PersonKind, begin, key_columns};
use crate::config::diagnostic::{Diagnostics, did_you_mean};
use crate::config::document::{Document, Entry, OnErasure as Said, OnExpiry};
use crate::config::values::{IdentifierColumn, Identifiers, PersonLink};
use crate::graph::columns::Reporter;
use crate::graph::{Graph, Node, entries};
use crate::names::{DataName, PersonName};
use crate::store::Backend;
use crate::store::catalog::{Column, Table, TypeClass};
use crate::store::target::JsonStep;

/// Adds the persons to a graph whose entries and links stand.
pub(in crate::graph) fn resolve(graph: &mut Graph, document: &Document, diagnostics: &mut Diagnostics) {
    graph.people = begin(document);
    let mut found = Vec::new();
    for (name, entry) in &document.data {
        let Some(node) = graph.node(name) else { continue };
        let mut reporter = Reporter::entry(diagnostics, name);
        let keys = key_links(graph, document, node, entry, &mut reporter);
        let addresses = address_links(document, node, entry.customer.as_ref(), "customer", &mut reporter);
        let mentions = address_links(document, node, entry.mentions.as_ref(), "mentions", &mut reporter);
        check_mentions(node, &mentions, &mut reporter);
        let stuck = is_stuck(node, entry, (&keys, &addresses), &mut reporter);
        let rule = if stuck { OnErasure::Keep(STUCK.to_owned()) } else { on_erasure(entry) };
        found.push((name.clone(), keys, addresses, mentions, rule));
    }
    for (name, keys, addresses, mentions, rule) in found {
        if let Some(node) = graph.nodes.get_mut(&name) {
            (node.persons, node.addresses, node.mentions, node.on_erasure) = (keys, addresses, mentions, rule);
        }
    }
    let mut kinds = Vec::new();
    for (name, written) in &document.people {
        let Identifiers::Columns(columns) = &written.identifiers else { continue };
        let Some(kind) = graph.people.get(name) else { continue };
        let Some(persons) = graph.persons(kind) else { continue };
        if persons.key.is_empty() {
            let message = format!("`{}` has no key, so nobody can be named by it", persons.name);
            diagnostics.error(person_path(name, &["data"]), message);
            continue;
        }
        let mut identifiers = Vec::new();
        for (identifier, column) in columns {
            let found = resolve_identifier(graph, kind, persons, (identifier, column), diagnostics);
            identifiers.extend(found.map(|found| (identifier.clone(), found)));
        }
        kinds.push((name.clone(), identifiers));
    }
    for (name, identifiers) in kinds {
        if let Some(kind) = graph.people.get_mut(&name) {
            kind.identifiers = identifiers.into_iter().collect();
        }
    }
}

fn person_path(name: &PersonName, keys: &[&str]) -> Vec<String> {
    ["people", name.as_str()].iter().chain(keys).map(|key| (*key).to_owned()).collect()
}

fn resolve_identifier(
    graph: &Graph,
    kind: &PersonKind,
    persons: &Node,
    (name, written): (&str, &IdentifierColumn),
    diagnostics: &mut Diagnostics,
) -> Option<Identifier> {
    let path = person_path(&kind.name, &["identifiers", name]);
    let (node, column) = match written.column.split_once('.') {
        None => (persons, written.column.as_str()),
        Some((entry, column)) => match entry.parse::<DataName>().ok().and_then(|entry| graph.node(&entry)) {
            Some(node) => (node, column),
            None => {
                let near = did_you_mean(entry, graph.nodes.keys().map(DataName::as_str));
                let help = near.map(|near| format!("did you mean `{near}`?"));
                diagnostics.error(path, format!("there is no data entry `{entry}`")).with_help(help);
                return None;
            }
        },
    };
    let Some(column) = node.table.column(column) else {
        let near = did_you_mean(column, node.table.columns.iter().map(|column| column.name.as_str()));
        let help = near.map(|near| format!("did you mean `{near}`?"));
        diagnostics.error(path, format!("table `{}` has no column `{column}`", node.table.label())).with_help(help);
        return None;
    };
    let key = if node.name == persons.name {
        persons.key.clone()
    } else {
        let Some(key) = key_columns(node, &node.persons, kind, &persons.key) else {
            let help = format!("in its entry: {} = \"…\", the column with the key", link_key(&kind.name));
            let message = format!("`{}` does not say whose its rows are", node.name);
            diagnostics.error(path, message).with_help(Some(help));
            return None;
        };
        key
    };
    let condition = entries::condition(graph, node, &written.condition, |message, help| {
        diagnostics.error(path.clone(), message).with_help(help);
    });
    Some(Identifier { data: node.name.clone(), column: column.clone(), condition, key })
}

fn link_key(kind: &PersonName) -> String {
    if kind.as_str() == "user" { "user".to_owned() } else { format!("person.{kind}") }
}

fn key_links(
    graph: &Graph,
    document: &Document,
    node: &Node,
    entry: &Entry,
    reporter: &mut Reporter<'_>,
) -> Vec<KeyLink> {
    let mut found = Vec::new();
    let user: Option<PersonName> = "user".parse().ok();
    let short = entry.user.iter().zip(&user).map(|(links, name)| (name, links, vec!["user"]));
    let long = entry.person.iter().flatten().map(|(name, links)| (name, links, vec!["person", name.as_str()]));
    for (name, links, keys) in short.chain(long) {
        let kind = graph.people.get(name);
        if kind.is_none_or(|kind| kind.data.is_none()) {
            let near = did_you_mean(name.as_str(), document.people.keys().map(PersonName::as_str));
            let help = near.map_or_else(
                || format!("add [people.{name}] with data = \"…\", the entry with one row for each"),
                |near| format!("did you mean `{near}`?"),
            );
            reporter.warning(
                &keys,
                format!("no [people.{name}] says where these persons are, so nobody is found by this"),
                help,
            );
        }
        let persons = kind.and_then(|kind| graph.persons(kind));
        for link in &links.0 {
            let link = key_link(graph, node, persons, (name, link), &keys, reporter);
            found.extend(link.filter(|link| !is_of_another(node, persons, link, &keys, reporter)));
        }
    }
    found
}

fn key_link(
    graph: &Graph,
    node: &Node,
    persons: Option<&Node>,
    (kind, link): (&PersonName, &PersonLink),
    keys: &[&str],
    reporter: &mut Reporter<'_>,
) -> Option<KeyLink> {
    let columns: Option<Vec<Column>> =
        link.columns.iter().map(|column| reporter.column(&node.table, column, keys)).collect();
    let columns = columns?;
    let form = key_form(node.backend, &columns, link, keys, reporter)?;
    if let Some(persons) = persons.filter(|persons| !persons.key.is_empty()) {
        if persons.key.len() != columns.len() {
            let message = format!(
                "this names {} columns, but the key of `{}` has {}",
                columns.len(),
                persons.name,
                persons.key.len()
            );
            let help = "[\"a\", \"b\"] is one key of two columns; several persons are [{ column = \"a\" }, { column = \"b\" }]";
            reporter.error(keys, message, help.to_owned());
            return None;
        }
        let mut whole = columns.iter().zip(&persons.key).filter(|_| form == KeyForm::Whole);
        if let Some((own, key)) = whole.find(|(own, key)| !comparable(own, key)) {
            let message = format!(
                "`{}` is of type {}, the key `{}` of `{}` of type {}: no value is both",
                own.name.as_str(),
                own.declared,
                key.name.as_str(),
                persons.name,
                key.declared
            );
            reporter.error(keys, message, "name the column that holds the person's key".to_owned());
            return None;
        }
    }
    let condition =
        entries::condition(graph, node, &link.condition, |message, help| reporter.error(keys, message, help));
    let hides: Option<Vec<Column>> = link.hides.iter().map(|name| reporter.column(&node.table, name, keys)).collect();
    Some(KeyLink { kind: kind.clone(), columns, form, condition, hides: hides? })
}

/// A row of the persons' own entry is about the person of its key: another of the same kind whom it names, the one who
/// manages them or who invited them, must not take it along.
fn is_of_another(
    node: &Node,
    persons: Option<&Node>,
    link: &KeyLink,
    keys: &[&str],
    reporter: &mut Reporter<'_>,
) -> bool {
    let own = |key: &[Column]| {
        link.form == KeyForm::Whole
            && link.columns.iter().map(|column| &column.name).eq(key.iter().map(|key| &key.name))
    };
    if persons.is_none_or(|persons| persons.name != node.name || own(&persons.key)) {
        return false;
    }
    let (name, kind) = (&node.name, &link.kind);
    let columns: Vec<&str> = link.columns.iter().map(|column| column.name.as_str()).collect();
    let by = match columns.as_slice() {
        [only] => format!("\"{only}\""),
        several => format!("[\"{}\"]", several.join("\", \"")),
    };
    let message = format!(
        "each row of `{name}` is one {kind}, so `{}` names another one: an erasure of that one would take this row along",
        columns.join("`, `")
    );
    let help = format!(
        "to empty the reference when that one goes: unlink = {{ data = \"{name}\", by = {by} }}; for rows of one and the same person: goes_with"
    );
    reporter.error(keys, message, help);
    true
}

fn key_form(
    backend: Backend,
    columns: &[Column],
    link: &PersonLink,
    keys: &[&str],
    reporter: &mut Reporter<'_>,
) -> Option<KeyForm> {
    let text = |column: &Column| matches!(column.class, TypeClass::Text);
    if let (Some(path), [column]) = (&link.path, columns) {
        let Some(steps) = json_path(path) else {
            let help = "write it as in \"$.user.id\" or \"$.users[0]\"; names hold letters, digits and `_`".to_owned();
            reporter.error(keys, format!("`{path}` is no path within JSON"), help);
            return None;
        };
        // A text that is no JSON would be an error there, not a row without a person.
        let fits = column.class == TypeClass::Json || (text(column) && backend != Backend::Postgres);
        if !fits {
            let message = format!("`{}` is of type {}, not JSON", column.name.as_str(), column.declared);
            reporter.error(keys, message, None);
            return None;
        }
        return Some(KeyForm::Json(steps));
    }
    if link.after.is_some() || link.before.is_some() {
        if let Some(column) = columns.iter().find(|column| !text(column)) {
            let message = format!("`{}` is of type {}, which has no parts", column.name.as_str(), column.declared);
            reporter.error(keys, message, None);
            return None;
        }
        return Some(KeyForm::Part { after: link.after.clone(), before: link.before.clone() });
    }
    Some(KeyForm::Whole)
}

/// `$.a.b[0]` in steps.
fn json_path(path: &str) -> Option<Vec<JsonStep>> {
    let mut rest = path.strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(name) = rest.strip_prefix('.') {
            let end = name.find(['.', '[']).unwrap_or(name.len());
            let (name, behind) = name.split_at(end);
            let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            steps.push(JsonStep::Member(plain.then(|| name.to_owned())?));
            rest = behind;
        } else {
            let (place, behind) = rest.strip_prefix('[')?.split_once(']')?;
            steps.push(JsonStep::Place(place.parse().ok()?));
            rest = behind;
        }
    }
    (!steps.is_empty()).then_some(steps)
}

/// Whether a column can hold the values of a key at all.
fn comparable(own: &Column, key: &Column) -> bool {
    let family = |class: &TypeClass| match class {
        TypeClass::Integer { .. } | TypeClass::Decimal => 1,
        TypeClass::Text | TypeClass::Enum => 2,
        TypeClass::Uuid => 3,
        TypeClass::Bytes => 4,
        _ => 0,
    };
    match (family(&own.class), family(&key.class)) {
        // Text holds the key as it is written: 42, or a UUID.
        (2, 1..=3) | (3, 2) | (1, 2) => true,
        (0, _) | (_, 0) => own.declared == key.declared,
        (own, key) => own == key,
    }
}

fn on_erasure(entry: &Entry) -> OnErasure {
    if let Some(why) = &entry.survives_erasure {
        return OnErasure::Keep(why.clone());
    }
    match (entry.on_erasure, entry.on_expiry.unwrap_or_default()) {
        (Some(Said::Keep), _) => OnErasure::Keep(entry.ground.clone().unwrap_or_default()),
        (Some(Said::Anonymise), _) | (None, OnExpiry::Anonymise) => OnErasure::Anonymise,
        (Some(Said::Delete), _) | (None, OnExpiry::Delete) => OnErasure::Delete,
    }
}

/// Why an erasure leaves rows that it should anonymise and cannot.
const STUCK: &str = "a column that names the person cannot be emptied";

/// After an erasure no anonymised row may name the person any more. Where a column cannot be emptied the rows are kept;
/// a file that asks for the impossible is refused.
fn is_stuck(
    node: &Node,
    entry: &Entry,
    (keys, addresses): (&[KeyLink], &[AddressLink]),
    reporter: &mut Reporter<'_>,
) -> bool {
    if on_erasure(entry) != OnErasure::Anonymise {
        return false;
    }
    let overwritten = |column: &Column| node.overwrites.iter().any(|overwrite| overwrite.column.name == column.name);
    let stuck = |column: &Column| !overwritten(column) && !can_be_blanked(&node.table, column);
    // One of a composite key's columns is enough.
    let by_key = keys.iter().filter(|link| link.columns.iter().all(stuck)).filter_map(|link| link.columns.last());
    let by_address = addresses.iter().map(|link| &link.column).filter(|column| stuck(column));
    let found: Vec<(&str, &Column)> =
        by_key.map(|column| ("user", column)).chain(by_address.map(|column| ("customer", column))).collect();
    for (key, column) in &found {
        let name = column.name.as_str();
        let help = format!(
            "say anonymise = {{ {name} = \"…\" }}, on_erasure = \"delete\", or on_erasure = \"keep\" with its ground"
        );
        if entry.on_erasure.is_some() {
            let message =
                format!("`{name}` names the person and cannot become NULL, so an anonymised row would still name them");
            reporter.error(&["on_erasure"], message, help);
        } else {
            let message = format!("an erasure would keep these rows: `{name}` names the person and cannot become NULL");
            reporter.warning(&[key], message, help);
        }
    }
    !found.is_empty()
}

/// Whether a column can be emptied without touching the row's key.
pub(in crate::graph) fn can_be_blanked(table: &Table, column: &Column) -> bool {
    column.nullable && !column.generated && !table.key_columns().any(|key| key.name == column.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_within_json_are_read_or_refused() {
        let member = |name: &str| JsonStep::Member(name.to_owned());
        assert_eq!(json_path("$.user.id"), Some(vec![member("user"), member("id")]));
        assert_eq!(json_path("$.users[0].id"), Some(vec![member("users"), JsonStep::Place(0), member("id")]));
        for bad in ["", "$", "user", "$.", "$.a b", "$[x]", "$.a[", "$.a'", "$..a", "$[-1]"] {
            assert_eq!(json_path(bad), None, "{bad}");
        }
    }
}
