//! From an entry of the file and a table of the catalog to a [`Node`].

use std::collections::BTreeMap;

use super::columns::Reporter;
use super::condition::{ResolvedTest, mismatch};
use super::{
    Age, AgeKind, Edge, Fate, FileOf, Graph, MarkerColumn, Node, OnErasure, Requirement, Resolved, links, overwrites,
    times,
};
use crate::config::condition::Condition;
use crate::config::diagnostic::Diagnostics;
use crate::config::document::{Document, Entry, OnExpiry};
use crate::config::values::{Requires, TimeColumn};
use crate::files::PathTemplate;
use crate::names::{DataName, StoreName};
use crate::store::Backend;
use crate::store::catalog::{Catalog, Column, Lookup, Table, TableKind, TypeClass};
use crate::store::target::TableRef;
use crate::store::target::probe::TextForm;
use crate::store::{folded, held};

pub(super) fn resolve(
    document: &Document,
    catalogs: &BTreeMap<StoreName, Catalog>,
    diagnostics: &mut Diagnostics,
) -> Graph {
    let mut graph = Graph::default();
    for (name, entry) in document.data.iter().filter(|(_, entry)| entry.ignore.is_none()) {
        let mut reporter = Reporter::entry(diagnostics, name);
        if let Some(node) = resolve_entry(name, entry, catalogs, &mut reporter) {
            graph.nodes.insert(name.clone(), node);
        }
    }
    graph
}

fn resolve_entry(
    name: &DataName,
    entry: &Entry,
    catalogs: &BTreeMap<StoreName, Catalog>,
    reporter: &mut Reporter<'_>,
) -> Option<Node> {
    let store = entry.store.clone()?;
    let catalog = catalogs.get(&store)?;
    let table = find_table(catalog, entry.table.as_deref()?, &store, reporter)?;
    let key = resolve_key(entry, &table, reporter);
    let fate = match entry.on_expiry.unwrap_or_default() {
        OnExpiry::Delete => Fate::Delete,
        OnExpiry::Anonymise => Fate::Anonymise,
    };
    let age = match &entry.time {
        Some(time @ TimeColumn::Column { .. }) => times::resolve(time, &table, catalog.backend, reporter),
        _ => None,
    };
    let marker = entry.marker.as_deref().and_then(|column| resolve_marker(column, &table, catalog.backend, reporter));
    for name in entry.titles.iter().flat_map(BTreeMap::keys) {
        reporter.column(&table, name, &["titles", name]);
    }
    for name in entry.show_others.iter().flat_map(|open| &open.0) {
        reporter.column(&table, name, &["show_others"]);
    }
    let (overwrites, hash_keys) = overwrites::resolve(entry, &table, catalog.backend, marker.is_some(), reporter);
    Some(Node {
        name: name.clone(),
        at: TableRef::of(&table),
        picture: catalog.picture(&table),
        backend: catalog.backend,
        category: entry.category.clone()?,
        holds: !matches!(catalog.find(held::TABLE), Lookup::Missing { .. }),
        folds: !matches!(catalog.find(folded::TABLE), Lookup::Missing { .. }),
        key,
        age,
        ages_with: None,
        fate,
        overwrites,
        hash_keys,
        marker,
        marker_decides: true,
        belongs_to: Vec::new(),
        goes_with: Vec::new(),
        unlink: Vec::new(),
        shared: entry.shared.unwrap_or_default(),
        file: None,
        requires: None,
        persons: Vec::new(),
        addresses: Vec::new(),
        mentions: Vec::new(),
        on_erasure: OnErasure::Delete,
        store,
        table,
    })
}

/// The table that the operator wrote, if it is one whose rows can be removed.
fn find_table(catalog: &Catalog, written: &str, store: &StoreName, reporter: &mut Reporter<'_>) -> Option<Table> {
    match catalog.find(written) {
        Lookup::Found(table) => match table.kind {
            TableKind::Table | TableKind::Partitioned => Some(table.clone()),
            TableKind::View => {
                reporter.error(
                    &["table"],
                    format!("`{written}` is a view, not a table"),
                    "name the table behind it".to_owned(),
                );
                None
            }
            _ => {
                reporter.error(&["table"], format!("`{written}` is not an ordinary table"), None);
                None
            }
        },
        Lookup::Ambiguous(schemas) => {
            let help = format!("write the schema before it: {}", schemas.join(", "));
            reporter.error(&["table"], format!("several schemas of store `{store}` have a table `{written}`"), help);
            None
        }
        Lookup::Missing { near } => {
            let help = near.first().map(|near| format!("did you mean `{near}`?"));
            reporter.error(&["table"], format!("store `{store}` has no table `{written}`"), help);
            None
        }
    }
}

fn resolve_key(entry: &Entry, table: &Table, reporter: &mut Reporter<'_>) -> Vec<Column> {
    if let Some(written) = &entry.key {
        let columns: Vec<Column> = written.0.iter().filter_map(|name| reporter.column(table, name, &["key"])).collect();
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        if columns.len() == written.0.len() && !is_unique(table, &names) {
            let help = "a key tells every row from every other; name the columns of a primary key or unique index";
            reporter.error(
                &["key"],
                format!("no unique index of `{}` covers this key", table.label()),
                help.to_owned(),
            );
        }
        if let Some(column) = columns.iter().find(|column| column.nullable) {
            let message =
                format!("key column `{}` may be NULL, so it does not tell every row apart", column.name.as_str());
            reporter.error(&["key"], message, None);
        }
        return columns;
    }
    let key: Vec<Column> = table.primary_key.iter().filter_map(|&index| table.columns.get(index).cloned()).collect();
    if let Some(column) = key.iter().find(|column| column.class == TypeClass::Real) {
        let message = format!(
            "the key column `{}` is a floating point number, which cannot name a row exactly",
            column.name.as_str()
        );
        reporter.error(&["table"], message, None);
    }
    key
}

fn is_unique(table: &Table, key: &[&str]) -> bool {
    let primary: Vec<&str> = table
        .primary_key
        .iter()
        .filter_map(|&index| table.columns.get(index))
        .map(|column| column.name.as_str())
        .collect();
    let covers = |columns: &[&str]| !columns.is_empty() && columns.iter().all(|column| key.contains(column));
    covers(&primary)
        || table.indexes.iter().filter(|index| index.unique && !index.partial).any(|index| {
            let columns: Option<Vec<&str>> = index.columns.iter().map(|column| column.as_deref()).collect();
            columns.is_some_and(|columns| covers(&columns))
        })
}

fn resolve_marker(name: &str, table: &Table, backend: Backend, reporter: &mut Reporter<'_>) -> Option<MarkerColumn> {
    let column = reporter.column(table, name, &["marker"])?;
    let utc = Some(chrono_tz::UTC);
    let kind = match (&column.class, backend) {
        (TypeClass::Boolean | TypeClass::Integer { .. }, _) => return Some(MarkerColumn::Flag(column)),
        (TypeClass::TimestampZoned, Backend::Mysql) => AgeKind::Naive(utc),
        (TypeClass::TimestampZoned, _) => AgeKind::Zoned,
        (TypeClass::TimestampNaive | TypeClass::Text, Backend::Sqlite) => AgeKind::Text(TextForm::Blank, utc),
        (TypeClass::TimestampNaive, _) => AgeKind::Naive(utc),
        (TypeClass::Date, Backend::Sqlite) => AgeKind::Text(TextForm::Date, utc),
        (TypeClass::Date, _) => AgeKind::Date(utc),
        _ => {
            let message = format!("a marker is a timestamp or a boolean; `{name}` is of type {}", column.declared);
            reporter.error(&["marker"], message, None);
            return None;
        }
    };
    if !column.nullable {
        reporter.error(
            &["marker"],
            format!("`{name}` may not be NULL, so it cannot say that a row is not done yet"),
            None,
        );
        return None;
    }
    Some(MarkerColumn::Instant(Age {
        column,
        kind,
        sentinels: Vec::new(),
        floor: times::plausible_from(None),
        indexed: false,
    }))
}

/// A condition on the rows of `node`: own columns, and `parent.column` through links of `belongs_to`.
pub fn condition(
    graph: &Graph,
    node: &Node,
    condition: &Condition,
    mut report: impl FnMut(String, Option<String>),
) -> Resolved {
    let mut tests = Vec::new();
    for column_test in &condition.0 {
        let (via, table) = match &column_test.parent {
            None => (Vec::new(), &node.table),
            Some(parent) => match links::path_to_parent(graph, node, parent) {
                Some((via, parent)) => (via, &parent.table),
                None => {
                    let message = format!("`{}` belongs to no `{parent}`", node.name);
                    report(message, Some("a parent's column is named through the entry in `belongs_to`".to_owned()));
                    continue;
                }
            },
        };
        let Some(column) = table.column(&column_test.column) else {
            let near = crate::config::diagnostic::did_you_mean(
                &column_test.column,
                table.columns.iter().map(|column| column.name.as_str()),
            );
            let help = near.map(|near| format!("did you mean `{near}`?"));
            report(format!("table `{}` has no column `{}`", table.label(), column_test.column), help);
            continue;
        };
        if let Some(why) = mismatch(column, &column_test.test) {
            report(why, None);
            continue;
        }
        tests.push(ResolvedTest { via, column: column.clone(), test: column_test.test.clone() });
    }
    Resolved(tests)
}

pub(super) fn resolve_requirements(graph: &mut Graph, document: &Document, diagnostics: &mut Diagnostics) {
    let mut found = Vec::new();
    for (name, entry) in &document.data {
        let (Some(requires), Some(node)) = (&entry.requires, graph.node(name)) else { continue };
        let mut reporter = Reporter::entry(diagnostics, name);
        let requirement = match requires {
            Requires::Condition(written) => {
                Some(Requirement::Columns(condition(graph, node, written, |message, help| {
                    reporter.error(&["requires"], message, help);
                })))
            }
            Requires::Row(link) => links::required_row(graph, node, link, &mut reporter)
                .map(|(edge, condition)| Requirement::Row(edge, condition)),
        };
        found.extend(requirement.map(|requirement| (name.clone(), requirement)));
    }
    for (name, requirement) in found {
        if let Some(node) = graph.nodes.get_mut(&name) {
            node.requires = Some(requirement);
        }
    }
}

pub(super) fn resolve_files(graph: &mut Graph, document: &Document, diagnostics: &mut Diagnostics) {
    let mut found = Vec::new();
    for (name, entry) in &document.data {
        let (Some(link), Some(node)) = (&entry.file, graph.node(name)) else { continue };
        let mut reporter = Reporter::entry(diagnostics, name);
        let template = match PathTemplate::parse(&link.path) {
            Ok(template) => template,
            Err(error) => {
                reporter.error(&["file", "path"], error.to_string(), None);
                continue;
            }
        };
        let columns = file_columns(graph, node, &template, &mut reporter);
        if node.key.is_empty() {
            reporter.error(
                &["file"],
                "a row with a file needs a key".to_owned(),
                "say `key = …`, or add a primary key".to_owned(),
            );
        }
        let unique = columns.iter().any(|(via, column)| via.is_empty() && column.unique);
        let file =
            FileOf { store: link.store.clone(), template, may_be_shared: columns.len() == 1 && !unique, columns };
        found.push((name.clone(), file));
    }
    for (name, file) in found {
        if let Some(node) = graph.nodes.get_mut(&name) {
            node.file = Some(file);
        }
    }
}

fn file_columns(
    graph: &Graph,
    node: &Node,
    template: &PathTemplate,
    reporter: &mut Reporter<'_>,
) -> Vec<(Vec<Edge>, Column)> {
    let mut columns = Vec::new();
    for (parent, name) in template.columns() {
        let (via, table) = match parent {
            None => (Vec::new(), &node.table),
            Some(parent) => match links::path_to_parent(graph, node, parent) {
                Some((via, parent)) => (via, &parent.table),
                None => {
                    reporter.error(&["file", "path"], format!("`{}` belongs to no `{parent}`", node.name), None);
                    continue;
                }
            },
        };
        columns.extend(reporter.column(table, name, &["file", "path"]).map(|column| (via, column)));
    }
    columns
}
