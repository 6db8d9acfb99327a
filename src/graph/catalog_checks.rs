//! What a live database does behind a map's back: cascades, foreign keys from elsewhere, triggers, engines without
//! rollback, row security, missing privileges and indexes. Each of these has bitten somebody; each is refused or warned of
//! before the first row goes.

use std::collections::{BTreeMap, BTreeSet};

use super::columns::Reporter;
use super::links::same_columns;
use super::{Edge, Fate, Graph, Node, OnErasure};
use crate::config::diagnostic::Diagnostics;
use crate::config::document::Document;
use crate::names::StoreName;
use crate::store::Backend;
use crate::store::catalog::{Catalog, Column, FkAction, ForeignKey, Table};
use crate::store::target::statements;

pub(super) fn check(
    graph: &Graph,
    document: &Document,
    catalogs: &BTreeMap<StoreName, Catalog>,
    diagnostics: &mut Diagnostics,
) {
    for node in graph.children_first() {
        let Some(entry) = document.data.get(&node.name) else { continue };
        let Some(catalog) = catalogs.get(&node.store) else { continue };
        let mut reporter = Reporter::entry(diagnostics, &node.name);
        check_table(node, entry.allow_nontransactional.unwrap_or_default(), &mut reporter);
        check_privileges(graph, node, &mut reporter);
        check_erasure_privileges(node, &mut reporter);
        check_foreign_keys(graph, document, catalog, node, &mut reporter);
        check_indexes(graph, node, &mut reporter);
        check_sensitive(node, &mut reporter);
    }
}

fn check_table(node: &Node, nontransactional: bool, reporter: &mut Reporter<'_>) {
    let table = &node.table;
    let label = table.label();
    if !table.transactional && !nontransactional {
        let engine = table.engine.as_deref().unwrap_or("its engine");
        let message = format!("`{label}` is stored by {engine}, which has no rollback: a batch cannot be undone");
        reporter.error(&["table"], message, "convert it to InnoDB, or say allow_nontransactional = true".to_owned());
    }
    if table.row_security_active {
        let message =
            format!("`{label}` has row security that limits this role: it would see and remove only some of the rows");
        reporter.error(
            &["table"],
            message,
            "give the role BYPASSRLS, or a policy that lets it see all rows".to_owned(),
        );
    } else if table.row_security {
        let message = format!("`{label}` has row security; it does not limit this role");
        reporter.warning(&["table"], message, "keep BYPASSRLS with the role that purges".to_owned());
    }
    if table.keeps_history {
        let message = format!("`{label}` is system-versioned: what is deleted stays in its history");
        reporter.error(
            &["table"],
            message,
            "drop the system versioning, or purge the history with DELETE HISTORY".to_owned(),
        );
    }
    // Those of `audit capture` are known, and where they write is in the map or the operator's to decide.
    let own = crate::store::target::capture::PREFIX;
    for trigger in table.triggers.iter().filter(|trigger| !trigger.name.starts_with(own)) {
        let message = format!("`{label}` has a trigger `{}`, which runs for each row", trigger.name);
        let help = if trigger.before_delete() {
            "a BEFORE DELETE trigger can keep rows; a run that leaves rows which are due fails and says so"
        } else {
            "know whether it copies personal data elsewhere"
        };
        reporter.warning(&["table"], message, help.to_owned());
    }
    if table.rules {
        reporter.error(&["table"], format!("`{label}` has rewrite rules, which change what a DELETE does"), None);
    }
    check_age(node, reporter);
    for view in &table.materialised_by {
        let message = format!("the materialised view `{view}` keeps copies of `{label}`");
        reporter.warning(&["table"], message, "refresh it after the run".to_owned());
    }
    if node.key.is_empty() {
        let message = format!("`{label}` has no key: its rows can only be removed by ranges of time");
        reporter.warning(&["table"], message, "say `key = …` if a unique index tells its rows apart".to_owned());
    }
}

fn check_age(node: &Node, reporter: &mut Reporter<'_>) {
    let label = node.table.label();
    if let Some(age) = &node.age
        && !age.indexed
    {
        let message =
            format!("no index of `{label}` begins with `{}`: each run reads the whole table", age.column.name.as_str());
        reporter.warning(&["time"], message, create_index(node, &[age.column.name.as_str()]));
    }
    if let Some(age) = &node.age
        && matches!(age.kind, super::AgeKind::Naive(None) | super::AgeKind::Date(None) | super::AgeKind::Text(_, None))
    {
        let message =
            format!("the zone of `{}` is not said: its rows are kept 14 hours longer", age.column.name.as_str());
        let help = format!(
            "time = {{ column = \"{}\", zone = \"UTC\" }}, or the zone it was written in",
            age.column.name.as_str()
        );
        reporter.warning(&["time"], message, help);
    }
}

fn check_privileges(graph: &Graph, node: &Node, reporter: &mut Reporter<'_>) {
    let privileges = &node.table.privileges;
    let mut missing = Vec::new();
    if !privileges.select {
        missing.push("SELECT");
    }
    if node.fate == Fate::Delete && !privileges.delete {
        missing.push("DELETE");
    }
    let locked = node.backend == Backend::Postgres && is_locked_by_key(graph, node);
    if (node.fate == Fate::Anonymise || !node.unlink.is_empty() || locked) && !privileges.update {
        missing.push("UPDATE");
    }
    if !missing.is_empty() {
        let what = missing.join(", ");
        let message = format!("the role lacks {what} on `{}`", node.table.label());
        let why = if locked { "; rows are locked before what refers to them goes, which takes UPDATE" } else { "" };
        reporter.error(&["table"], message, format!("GRANT {what} ON {} TO the role{why}", node.table.label()));
    }
}

/// What an erasure needs besides: rows of a person are locked one by one, and columns that name them are emptied.
fn check_erasure_privileges(node: &Node, reporter: &mut Reporter<'_>) {
    let named = !node.persons.is_empty() || !node.addresses.is_empty() || !node.mentions.is_empty();
    let mut missing = Vec::new();
    if !node.table.privileges.update {
        missing.push("UPDATE");
    }
    if node.on_erasure == OnErasure::Delete && !node.table.privileges.delete {
        missing.push("DELETE");
    }
    if named && !missing.is_empty() && !matches!(node.on_erasure, OnErasure::Keep(_)) {
        let (what, label) = (missing.join(", "), node.table.label());
        let message = format!("an erasure would lack {what} on `{label}`");
        reporter.warning(&["table"], message, format!("GRANT {what} ON {label} TO the role"));
    }
}

/// Whether expired rows are locked one by one (`SELECT … FOR UPDATE`) because something else goes or changes with them.
fn is_locked_by_key(graph: &Graph, node: &Node) -> bool {
    let begins = node.age.is_some() || node.ages_with.is_some() || node.requires.is_some();
    let together = graph.children(&node.name).next().is_some() || graph.unlinks(&node.name).next().is_some();
    let tied = super::ties::is_tied(graph, &node.name);
    begins && (together || tied || node.file.is_some() || node.shared)
}

fn check_foreign_keys(graph: &Graph, document: &Document, catalog: &Catalog, node: &Node, reporter: &mut Reporter<'_>) {
    let ignored: BTreeSet<&str> = document
        .data
        .values()
        .filter(|entry| entry.ignore.is_some() && entry.store.as_ref() == Some(&node.store))
        .filter_map(|entry| entry.table.as_deref())
        .collect();
    for (table, key) in catalog.references_to(&node.table) {
        if node.fate == Fate::Anonymise || (is_partition_of(table, &node.table)) {
            continue;
        }
        let referring: Vec<&Node> = graph
            .children_first()
            .filter(|other| other.store == node.store && is_same_table(&other.table, table))
            .collect();
        if referring.is_empty() {
            let partition_parent_is_mapped =
                graph.children_first().any(|other| other.store == node.store && is_partition_of(table, &other.table));
            if !ignored.contains(table.label().as_str())
                && !ignored.contains(table.name.as_str())
                && !partition_parent_is_mapped
            {
                refuse_unmapped(node, table, key, reporter);
            }
            continue;
        }
        let declared = referring.iter().any(|other| is_declared(other, node, key));
        if !declared {
            refuse_undeclared(node, table, key, reporter);
        }
    }
}

fn is_same_table(a: &Table, b: &Table) -> bool {
    a.schema == b.schema && a.name == b.name
}

fn is_partition_of(table: &Table, parent: &Table) -> bool {
    parent.partitions.iter().any(|partition| partition.schema == table.schema && partition.name == table.name)
}

fn is_declared(child: &Node, parent: &Node, key: &ForeignKey) -> bool {
    let links: Vec<&Edge> = child
        .belongs_to
        .iter()
        .chain(&child.unlink)
        .chain(&child.goes_with)
        .filter(|edge| edge.to == parent.name)
        .collect();
    links.iter().any(|edge| same_columns(edge, &key.columns, &key.target_columns)) || parent.shared
}

fn refuse_unmapped(node: &Node, table: &Table, key: &ForeignKey, reporter: &mut Reporter<'_>) {
    let columns = key.columns.join(", ");
    let message = match key.on_delete {
        FkAction::Cascade => format!(
            "rows of `{}`, which is not in the map, would be deleted along with rows of `{}` (foreign key `{}`, ON DELETE CASCADE)",
            table.label(),
            node.table.label(),
            key.name
        ),
        FkAction::SetNull | FkAction::SetDefault => format!(
            "rows of `{}`, which is not in the map, would be changed along with rows of `{}` (foreign key `{}`, ON DELETE SET NULL)",
            table.label(),
            node.table.label(),
            key.name
        ),
        FkAction::NoAction | FkAction::Restrict => format!(
            "`{}` refers to `{}` (foreign key `{}` on {columns}) and is not in the map",
            table.label(),
            node.table.label(),
            key.name
        ),
    };
    let help = format!(
        "add a [data] entry for it with belongs_to = {{ data = \"{}\", by = \"{columns}\" }}, or one with ignore = \"why\"",
        node.name
    );
    reporter.error(&["table"], message, help);
}

fn refuse_undeclared(node: &Node, table: &Table, key: &ForeignKey, reporter: &mut Reporter<'_>) {
    let columns = key.columns.join(", ");
    let message = format!(
        "`{}` refers to `{}` by {columns} (foreign key `{}`), and the map does not say what becomes of its rows",
        table.label(),
        node.table.label(),
        key.name
    );
    let help = format!(
        "in its entry: belongs_to = {{ data = \"{0}\", by = \"{columns}\" }} if it goes too, unlink = {{ data = \"{0}\", by = \"{columns}\" }} if the reference becomes NULL",
        node.name
    );
    reporter.error(&["table"], message, help);
}

/// Without an index on the referring column, each removed parent reads the whole child table.
fn check_indexes(graph: &Graph, node: &Node, reporter: &mut Reporter<'_>) {
    let links = [("belongs_to", &node.belongs_to), ("goes_with", &node.goes_with), ("unlink", &node.unlink)];
    let links = links.into_iter().flat_map(|(key, edges)| edges.iter().map(move |edge| (key, edge)));
    for (key, edge) in links {
        let visits = graph.node(&edge.to).is_some_and(|parent| parent.age.is_some() || parent.fate == Fate::Delete);
        let columns: Vec<&str> = edge.columns.iter().map(|(own, _)| own.name.as_str()).collect();
        if visits && !node.table.has_index_on(&columns) {
            let (label, columns_text) = (node.table.label(), columns.join(", "));
            if graph.node(&edge.to).is_some_and(|parent| expires(graph, parent)) {
                let message = format!(
                    "no index of `{label}` begins with {columns_text}: each batch of `{}` would read the whole table",
                    edge.to
                );
                reporter.error(&[key], message, create_index(node, &columns));
            } else {
                let message =
                    format!("no index of `{label}` begins with {columns_text}: an erasure reads the whole table");
                reporter.warning(&[key], message, create_index(node, &columns));
            }
        }
    }
}

/// Whether a purge can take rows of an entry, by themselves or along with others.
fn expires(graph: &Graph, node: &Node) -> bool {
    let begins = node.age.is_some() || node.ages_with.is_some() || node.requires.is_some();
    begins
        || node
            .belongs_to
            .iter()
            .filter(|edge| !edge.is_self())
            .any(|edge| graph.node(&edge.to).is_some_and(|parent| expires(graph, parent)))
}

fn create_index(node: &Node, columns: &[&str]) -> Option<String> {
    let columns: Vec<Column> = columns.iter().filter_map(|name| node.table.column(name).cloned()).collect();
    Some(statements::create_index(node.backend, &node.at, &columns).to_text(node.backend))
}

/// A directory is not designed for special categories of data (Article 9 GDPR); a column named like one is pointed out.
fn check_sensitive(node: &Node, reporter: &mut Reporter<'_>) {
    const WORDS: [&str; 16] = [
        "ssn",
        "social_security",
        "national_id",
        "hetu",
        "personnummer",
        "religion",
        "ethnic",
        "race",
        "gender",
        "sex",
        "health",
        "disab",
        "diagnos",
        "sexual",
        "political",
        "union_member",
    ];
    if node.category.as_str() != "directory_information" {
        return;
    }
    for column in &node.table.columns {
        let name = column.name.as_str().to_ascii_lowercase();
        let parts: Vec<&str> = name.split('_').collect();
        if WORDS.iter().any(|word| parts.contains(word) || (word.len() > 5 && name.contains(word))) {
            let message = format!(
                "`{}.{}` looks like sensitive data, which a directory should not hold",
                node.table.label(),
                column.name.as_str()
            );
            reporter.warning(&["table"], message, None);
        }
    }
}
