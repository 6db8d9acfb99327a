//! PostgreSQL's catalog, from `pg_catalog`.
//!
//! Eleven queries for the whole database. What only newer servers know (`tgparentid`, `conenforced`) is not asked for by
//! name, so that version 12 answers too. Partitions are tables of their own here; what hangs on one of them alone is
//! shown at the partitioned table as well.

use std::collections::HashMap;

use super::postgres_sql as sql;
use super::rows::{Tables, ask, list, maybe, number, set_primary_key, text, yes};
use super::table::{
    Check, Column, FkAction, ForeignKey, Index, Partition, Privileges, Table, TableKind, Timing, Trigger, TypeClass,
};
use super::{Catalog, ServerVersion, ident};
use crate::store::{Backend, Conn, StoreError, TextRow, TypeName};

/// Reads everything that the role may see.
pub(super) fn read(conn: &mut Conn) -> Result<Catalog, StoreError> {
    let server = ask(conn, sql::SERVER)?;
    let version = ServerVersion::parse(server.first().map(|row| text(row, 0)).unwrap_or_default());
    let default_schema = server.first().and_then(|row| maybe(row, 1));
    let mut tables = Tables::new();
    for row in ask(conn, sql::TABLES)? {
        tables.add(text(&row, 0), table(&row, &version));
    }
    let correlations = correlations(conn)?;
    for row in ask(conn, sql::COLUMNS)? {
        if let Some(table) = tables.get_mut(text(&row, 0)) {
            let place = (table.schema_str().unwrap_or_default().to_owned(), table.name.as_str().to_owned());
            let mut column = column(&row)?;
            column.correlation = correlations.get(&(place.0, place.1, column.name.as_str().to_owned())).copied();
            table.columns.push(column);
        }
    }
    for row in ask(conn, sql::INDEXES)? {
        if let Some(table) = tables.get_mut(text(&row, 0)) {
            let index = index(&row)?;
            if yes(&row, 3) {
                set_primary_key(table, index.columns.iter().filter_map(Option::as_deref));
            }
            table.indexes.push(index);
        }
    }
    constraints(conn, &mut tables)?;
    for row in ask(conn, sql::TRIGGERS)? {
        if let Some(table) = tables.get_mut(text(&row, 0)) {
            table.triggers.push(trigger(&row));
        }
    }
    for row in ask(conn, sql::MATERIALISED)? {
        if let Some(table) = tables.get_mut(text(&row, 0)) {
            table.materialised_by.push(text(&row, 1).to_owned());
        }
    }
    inherit(conn, &mut tables)?;
    Ok(Catalog { backend: Backend::Postgres, version, default_schema, tables: tables.finish() })
}

fn table(row: &TextRow, version: &ServerVersion) -> Table {
    let kind = match text(row, 3) {
        "p" => TableKind::Partitioned,
        "v" | "m" => TableKind::View,
        "f" => TableKind::Foreign,
        _ => TableKind::Table,
    };
    let pages = number(row, 5);
    // Before version 14 a table that was never counted has 0 rows on 0 pages; since then it has -1.
    let unknown = number(row, 4).is_none() || (!version.at_least(14, 0) && pages == Some(0));
    Table {
        row_security: yes(row, 6),
        row_security_active: yes(row, 7),
        rules: yes(row, 8),
        privileges: Privileges {
            select: yes(row, 9),
            insert: yes(row, 10),
            update: yes(row, 11),
            delete: yes(row, 12),
        },
        estimated_rows: number(row, 4).filter(|_| !unknown),
        pages: pages.filter(|_| !unknown),
        ..Table::new(row.plain(1), text(row, 2), kind)
    }
}

/// By schema, table and column.
fn correlations(conn: &mut Conn) -> Result<HashMap<(String, String, String), f64>, StoreError> {
    let rows = ask(conn, sql::CORRELATIONS)?;
    let entry = |row: &TextRow| {
        let key = (text(row, 0).to_owned(), text(row, 1).to_owned(), text(row, 2).to_owned());
        Some((key, text(row, 3).parse().ok()?))
    };
    Ok(rows.iter().filter_map(entry).collect())
}

fn column(row: &TextRow) -> Result<Column, StoreError> {
    let (base, type_kind, category) = (text(row, 4), text(row, 5), text(row, 6));
    Ok(Column {
        name: ident(text(row, 1)),
        sql_type: TypeName::found(text(row, 3)),
        declared: text(row, 2).to_owned(),
        class: class(base, type_kind, category),
        nullable: !yes(row, 8),
        max_chars: if base == "name" { Some(63) } else { number(row, 7).filter(|_| is_sized(base)) },
        generated: !text(row, 9).is_empty(),
        auto: !text(row, 10).is_empty() || text(row, 12).starts_with("nextval("),
        has_default: yes(row, 11) && text(row, 9).is_empty(),
        on_update_now: false,
        enum_labels: list(row, 13)?,
        unique: false,
        correlation: None,
        collation: maybe(row, 14),
    })
}

fn is_sized(base: &str) -> bool {
    matches!(base, "varchar" | "bpchar")
}

/// `base` is blank for types that are not PostgreSQL's own.
fn class(base: &str, type_kind: &str, category: &str) -> TypeClass {
    match base {
        "int2" | "int4" | "int8" => TypeClass::Integer { unsigned_big: false },
        "numeric" => TypeClass::Decimal,
        "float4" | "float8" => TypeClass::Real,
        "bool" => TypeClass::Boolean,
        "bytea" => TypeClass::Bytes,
        "uuid" => TypeClass::Uuid,
        "date" => TypeClass::Date,
        "timestamp" => TypeClass::TimestampNaive,
        "timestamptz" => TypeClass::TimestampZoned,
        "time" | "timetz" => TypeClass::Time,
        "json" | "jsonb" => TypeClass::Json,
        "inet" | "cidr" => TypeClass::Inet,
        _ if type_kind == "e" => TypeClass::Enum,
        // Strings, those of extensions such as citext among them.
        _ if category == "S" => TypeClass::Text,
        _ => TypeClass::Other,
    }
}

fn index(row: &TextRow) -> Result<Index, StoreError> {
    Ok(Index {
        name: text(row, 1).to_owned(),
        unique: yes(row, 2),
        partial: yes(row, 4),
        equality: yes(row, 5),
        columns: list(row, 6)?,
        prefix: false,
    })
}

fn constraints(conn: &mut Conn, tables: &mut Tables) -> Result<(), StoreError> {
    for row in ask(conn, sql::FOREIGN_KEYS)? {
        let on_delete = match text(&row, 4) {
            "r" => FkAction::Restrict,
            "c" => FkAction::Cascade,
            "n" => FkAction::SetNull,
            "d" => FkAction::SetDefault,
            _ => FkAction::NoAction,
        };
        let key = ForeignKey {
            name: text(&row, 1).to_owned(),
            columns: list(&row, 7)?,
            target_schema: maybe(&row, 2),
            target: text(&row, 3).to_owned(),
            target_columns: list(&row, 8)?,
            on_delete,
            deferrable: yes(&row, 5),
            enforced: yes(&row, 6),
            on_partition: None,
        };
        if let Some(table) = tables.get_mut(text(&row, 0)) {
            table.foreign_keys.push(key);
        }
    }
    for row in ask(conn, sql::CHECKS)? {
        let check = Check { name: text(&row, 1).to_owned(), columns: list(&row, 2)?, text: text(&row, 3).to_owned() };
        if let Some(table) = tables.get_mut(text(&row, 0)) {
            table.checks.push(check);
        }
    }
    Ok(())
}

/// The bits of `pg_trigger.tgtype`.
fn trigger(row: &TextRow) -> Trigger {
    let bits: u32 = text(row, 2).parse().unwrap_or(0);
    let timing = match (bits & 2 != 0, bits & 64 != 0) {
        (_, true) => Timing::InsteadOf,
        (true, false) => Timing::Before,
        (false, false) => Timing::After,
    };
    Trigger {
        name: text(row, 1).to_owned(),
        timing,
        insert: bits & 4 != 0,
        delete: bits & 8 != 0,
        update: bits & 16 != 0,
        body: text(row, 3).to_owned(),
        on_partition: None,
    }
}

/// Fills in partitions and ancestors, and shows at the parent what hangs on one of its partitions alone.
fn inherit(conn: &mut Conn, tables: &mut Tables) -> Result<(), StoreError> {
    let mut parents: HashMap<String, Vec<String>> = HashMap::new();
    for row in ask(conn, sql::INHERITS)? {
        parents.entry(text(&row, 0).to_owned()).or_default().push(text(&row, 1).to_owned());
    }
    let mut children: Vec<&String> = parents.keys().collect();
    children.sort_by_key(|key| tables.get(key).map(Table::label));
    for child in children {
        let Some(below) = tables.get(child).cloned() else { continue };
        let mut above = parents.get(child).cloned().unwrap_or_default();
        let mut next = 0;
        while let Some(key) = above.get(next).cloned() {
            next += 1;
            for further in parents.get(&key).into_iter().flatten() {
                if !above.contains(further) {
                    above.push(further.clone());
                }
            }
            if let Some(ancestor) = tables.get_mut(&key) {
                adopt(ancestor, &below);
                let entry = partition(ancestor);
                if let Some(table) = tables.get_mut(child) {
                    table.ancestors.push(entry);
                }
            }
        }
    }
    for table in &mut tables.tables {
        if table.kind == TableKind::Partitioned {
            table.estimated_rows = None;
        }
    }
    sum_estimates(tables);
    Ok(())
}

fn partition(table: &Table) -> Partition {
    Partition { schema: table.schema.clone(), name: table.name.clone(), leaf: table.kind != TableKind::Partitioned }
}

fn adopt(ancestor: &mut Table, below: &Table) {
    ancestor.partitions.push(partition(below));
    for key in below.foreign_keys.iter().filter(|key| key.on_partition.is_none()) {
        let same = |own: &ForeignKey| {
            own.on_partition.is_none()
                && (&own.target_schema, &own.target) == (&key.target_schema, &key.target)
                && own.columns == key.columns
        };
        if !ancestor.foreign_keys.iter().any(same) {
            ancestor.foreign_keys.push(ForeignKey { on_partition: Some(below.label()), ..key.clone() });
        }
    }
    for trigger in below.triggers.iter().filter(|trigger| trigger.on_partition.is_none()) {
        if !ancestor.triggers.iter().any(|own| own.on_partition.is_none() && own.name == trigger.name) {
            ancestor.triggers.push(Trigger { on_partition: Some(below.label()), ..trigger.clone() });
        }
    }
}

/// A partitioned table has the sum of its partitions, when all of them were counted.
fn sum_estimates(tables: &mut Tables) {
    let counted: HashMap<String, (Option<u64>, Option<u64>)> =
        tables.tables.iter().map(|table| (table.label(), (table.estimated_rows, table.pages))).collect();
    for table in tables.tables.iter_mut().filter(|table| !table.partitions.is_empty()) {
        let leaves: Vec<_> = table
            .partitions
            .iter()
            .filter(|part| part.leaf)
            .map(|part| counted.get(&part.label()).copied().unwrap_or_default())
            .collect();
        let own =
            if table.kind == TableKind::Partitioned { (Some(0), Some(0)) } else { (table.estimated_rows, table.pages) };
        table.estimated_rows = leaves.iter().map(|leaf| leaf.0).chain([own.0]).sum();
        table.pages = leaves.iter().map(|leaf| leaf.1).chain([own.1]).sum();
    }
}
