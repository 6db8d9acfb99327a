//! SQLite's catalog, from `sqlite_schema` and the pragmas as table-valued functions; the main database only.
//!
//! SQLite enforces few of the types it is told. What an application means by `DATETIME` or `UUID` stands in the words of
//! the declaration, so these decide first, and affinity for the rest. `varchar(2)` limits nothing and is no limit here.

use super::mysql::action;
use super::rows::{Tables, ask, columns_in, maybe, number, set_primary_key, text, yes};
use super::sqlite_ddl::{TableText, read_table, read_trigger};
use super::sqlite_sql as sql;
use super::table::{Check, Column, ForeignKey, Index, Privileges, Table, TableKind, Trigger, TypeClass};
use super::{Catalog, ServerVersion, ident};
use crate::store::{Backend, Conn, Stmt, StoreError, TextRow, TypeName};

/// How many tables are asked for their rowids in one statement.
const PROBES: usize = 50;

/// Reads everything but temporary tables.
pub(super) fn read(conn: &mut Conn) -> Result<Catalog, StoreError> {
    let server = ask(conn, sql::SERVER)?;
    let version = ServerVersion::parse(server.first().map(|row| text(row, 0)).unwrap_or_default());
    let mut tables = Tables::new();
    let mut texts: Vec<(String, TableText)> = Vec::new();
    for row in ask(conn, sql::TABLES)? {
        let table = table(&row);
        if table.kind == TableKind::Table {
            texts.push((text(&row, 0).to_owned(), read_table(text(&row, 3))));
        }
        tables.add(text(&row, 0), table);
    }
    columns(conn, &mut tables)?;
    for (name, made) in &texts {
        if let Some(table) = tables.get_mut(name) {
            finish_columns(table, made);
        }
    }
    for row in ask(conn, sql::INDEXES)? {
        if let Some(table) = tables.get_mut(text(&row, 0)) {
            index(table, &row);
        }
    }
    foreign_keys(conn, &mut tables, &texts)?;
    for row in ask(conn, sql::TRIGGERS)? {
        let folded = fold(&tables, text(&row, 0));
        if let Some(table) = tables.get_mut(&folded) {
            table.triggers.push(trigger(&row));
        }
    }
    estimates(conn, &mut tables)?;
    Ok(Catalog { backend: Backend::Sqlite, version, default_schema: None, tables: tables.finish() })
}

fn table(row: &TextRow) -> Table {
    let kind = match text(row, 1) {
        "view" => TableKind::View,
        "virtual" | "shadow" => TableKind::Virtual,
        _ => TableKind::Table,
    };
    let writes = kind != TableKind::View;
    Table {
        rowid: kind == TableKind::Table && !yes(row, 2),
        privileges: Privileges { select: true, insert: writes, update: writes, delete: writes },
        ..Table::new(None, text(row, 0), kind)
    }
}

fn columns(conn: &mut Conn, tables: &mut Tables) -> Result<(), StoreError> {
    let mut keys: Vec<(String, u64, String)> = Vec::new();
    for kind in ["table", "shadow", "view", "virtual"] {
        let mut stmt = Stmt::new(sql::COLUMNS);
        stmt.policy(kind).sql(sql::COLUMNS_ORDER);
        let rows = match conn.catalog_rows(&stmt) {
            Ok(rows) => rows,
            // A view of a table that is gone, a module that is not compiled in: neither can be purged anyway.
            Err(_) if matches!(kind, "view" | "virtual") => continue,
            Err(error) => return Err(error),
        };
        for row in rows {
            let Some(table) = tables.get_mut(text(&row, 0)) else { continue };
            if text(&row, 6) != "1" {
                table.columns.push(column(&row));
            }
            if let Some(place) = number(&row, 5).filter(|&place| place > 0) {
                keys.push((text(&row, 0).to_owned(), place, text(&row, 1).to_owned()));
            }
        }
    }
    keys.sort();
    for group in keys.chunk_by(|a, b| a.0 == b.0) {
        if let Some(table) = tables.get_mut(&group[0].0) {
            set_primary_key(table, group.iter().map(|(_, _, name)| name.as_str()));
        }
    }
    Ok(())
}

fn column(row: &TextRow) -> Column {
    let declared = text(row, 2);
    let (class, sql_type) = class(declared);
    let default = row.plain(4).is_some_and(|default| !default.eq_ignore_ascii_case("null"));
    Column {
        name: ident(text(row, 1)),
        sql_type: TypeName::found(sql_type),
        declared: declared.to_owned(),
        class,
        nullable: !yes(row, 3),
        max_chars: None,
        generated: matches!(text(row, 6), "2" | "3"),
        auto: false,
        has_default: default,
        on_update_now: false,
        enum_labels: Vec::new(),
        unique: false,
        correlation: None,
        collation: None,
    }
}

/// The class by the declared words, then by SQLite's own rules of affinity, in their order.
fn class(declared: &str) -> (TypeClass, &'static str) {
    let words = declared.to_ascii_uppercase();
    let has = |word: &str| words.contains(word);
    if has("TIMESTAMP") || has("DATETIME") {
        let zoned = has("TIMESTAMPTZ") || has("WITH TIME ZONE");
        (if zoned { TypeClass::TimestampZoned } else { TypeClass::TimestampNaive }, "TEXT")
    } else if words == "DATE" {
        (TypeClass::Date, "TEXT")
    } else if words == "TIME" {
        (TypeClass::Time, "TEXT")
    } else if has("BOOL") {
        (TypeClass::Boolean, "INTEGER")
    } else if words == "JSON" {
        (TypeClass::Json, "TEXT")
    } else if matches!(words.as_str(), "UUID" | "GUID" | "UNIQUEIDENTIFIER") {
        (TypeClass::Uuid, "TEXT")
    } else if has("INT") {
        (TypeClass::Integer { unsigned_big: false }, "INTEGER")
    } else if has("CHAR") || has("CLOB") || has("TEXT") {
        (TypeClass::Text, "TEXT")
    } else if has("BLOB") || has("BINARY") || words == "BYTEA" {
        (TypeClass::Bytes, "BLOB")
    } else if has("REAL") || has("FLOA") || has("DOUB") {
        (TypeClass::Real, "REAL")
    } else if has("DECIMAL") || has("NUMERIC") || has("MONEY") {
        (TypeClass::Decimal, "NUMERIC")
    } else {
        (TypeClass::Other, "TEXT")
    }
}

/// Collations, checks, and which column is the rowid: one of exactly the type INTEGER that is the key alone.
fn finish_columns(table: &mut Table, made: &TableText) {
    for column in &mut table.columns {
        let of = |(name, _): &&(String, String)| name.eq_ignore_ascii_case(column.name.as_str());
        column.collation = made.collations.iter().find(of).map(|(_, collation)| collation.clone());
    }
    let single = if let [place] = table.primary_key[..] { Some(place) } else { None };
    for place in table.primary_key.clone() {
        let column = &mut table.columns[place];
        let alias = table.rowid && single == Some(place) && column.declared.eq_ignore_ascii_case("INTEGER");
        column.auto = alias;
        // Every other key of a rowid table admits NULL, which SQLite keeps for old times' sake.
        column.nullable &= table.rowid && !alias;
    }
    for (name, expression) in &made.checks {
        let columns = columns_in(table, expression);
        table.checks.push(Check { name: name.clone(), columns, text: expression.clone() });
    }
}

fn index(table: &mut Table, row: &TextRow) {
    let name = text(row, 1);
    if table.indexes.last().is_none_or(|index| index.name != name) {
        table.indexes.push(Index {
            name: name.to_owned(),
            columns: Vec::new(),
            unique: yes(row, 2),
            partial: yes(row, 3),
            prefix: false,
            equality: true,
        });
    }
    let column = maybe(row, 5).filter(|_| text(row, 4) != "-2");
    let own = column.as_deref().and_then(|name| table.column(name)).and_then(|column| column.collation.clone());
    let same = own.as_deref().unwrap_or("BINARY").eq_ignore_ascii_case(text(row, 6));
    if let Some(index) = table.indexes.last_mut() {
        // An index in another order than the column's own comparison is not used for it.
        index.equality &= same || column.is_none();
        index.columns.push(column);
    }
}

/// SQLite does not mind the case of a name: the one that the table itself has.
fn fold(tables: &Tables, name: &str) -> String {
    let same = tables.tables.iter().find(|table| table.name.as_str().eq_ignore_ascii_case(name));
    same.map_or_else(|| name.to_owned(), |table| table.name.as_str().to_owned())
}

fn fold_column(table: Option<&Table>, name: &str) -> String {
    let columns = table.map(|table| table.columns.as_slice()).unwrap_or_default();
    let same = columns.iter().find(|column| column.name.as_str().eq_ignore_ascii_case(name));
    same.map_or_else(|| name.to_owned(), |column| column.name.as_str().to_owned())
}

fn foreign_keys(conn: &mut Conn, tables: &mut Tables, texts: &[(String, TableText)]) -> Result<(), StoreError> {
    let rows = ask(conn, sql::FOREIGN_KEYS)?;
    for group in rows.chunk_by(|a, b| (text(a, 0), text(a, 1)) == (text(b, 0), text(b, 1))) {
        let owner = text(&group[0], 0);
        let target = fold(tables, text(&group[0], 2));
        let columns: Vec<String> = group.iter().map(|row| fold_column(tables.get(owner), text(row, 3))).collect();
        let named = group.iter().filter_map(|row| row.plain(4));
        let mut target_columns: Vec<String> = named.map(|name| fold_column(tables.get(&target), name)).collect();
        if target_columns.is_empty() {
            let key = tables.get(&target).into_iter().flat_map(Table::key_columns);
            target_columns = key.map(|column| column.name.as_str().to_owned()).collect();
        }
        let written = texts.iter().find(|(name, _)| name == owner).map(|(_, made)| &made.deferred);
        let on_delete = action(text(&group[0], 5));
        if let Some(table) = tables.get_mut(owner) {
            // Keys count backwards and are read from the highest, so this is the order of their writing.
            let deferrable = written.and_then(|keys| keys.get(table.foreign_keys.len())).copied().unwrap_or(false);
            table.foreign_keys.push(ForeignKey {
                name: format!("{owner}({})", columns.join(", ")),
                columns,
                target_schema: None,
                target,
                target_columns,
                on_delete,
                deferrable,
                enforced: true,
                on_partition: None,
            });
        }
    }
    Ok(())
}

fn trigger(row: &TextRow) -> Trigger {
    let (timing, event) = read_trigger(text(row, 2));
    Trigger {
        name: text(row, 1).to_owned(),
        timing,
        insert: event == "INSERT",
        update: event == "UPDATE",
        delete: event == "DELETE",
        body: text(row, 2).to_owned(),
        on_partition: None,
    }
}

/// The counts of `ANALYZE`, else the span of the rowids, whose ends SQLite finds at once.
fn estimates(conn: &mut Conn, tables: &mut Tables) -> Result<(), StoreError> {
    if !ask(conn, sql::ANALYSED)?.is_empty() {
        for row in ask(conn, sql::COUNTS)? {
            let rows = text(&row, 1).split(' ').next().and_then(|count| count.parse().ok());
            if let Some(table) = tables.get_mut(text(&row, 0)) {
                table.estimated_rows = rows.max(table.estimated_rows);
            }
        }
    }
    let unknown: Vec<usize> = (0..tables.tables.len())
        .filter(|&place| tables.tables[place].rowid && tables.tables[place].estimated_rows.is_none())
        .collect();
    for places in unknown.chunks(PROBES) {
        let mut stmt = Stmt::new("SELECT ");
        let mut asked = Vec::new();
        for &place in places {
            let Some(word) = rowid_word(&tables.tables[place]) else { continue };
            if !asked.is_empty() {
                stmt.sql(", ");
            }
            let table = &tables.tables[place].name;
            stmt.sql("CAST((SELECT max(").sql(word).sql(") FROM main.").name(table);
            stmt.sql(") - (SELECT min(").sql(word).sql(") FROM main.").name(table).sql(") + 1 AS TEXT)");
            asked.push(place);
        }
        if asked.is_empty() {
            continue;
        }
        let rows = conn.catalog_rows(&stmt)?;
        for (column, place) in asked.into_iter().enumerate() {
            let span = rows.first().and_then(|row| row.count(column)).unwrap_or(0);
            tables.tables[place].estimated_rows = Some(u64::try_from(span).unwrap_or(0));
        }
    }
    Ok(())
}

/// A word for the rowid that no column has taken.
fn rowid_word(table: &Table) -> Option<&'static str> {
    let taken = |word: &str| table.columns.iter().any(|column| column.name.as_str().eq_ignore_ascii_case(word));
    ["rowid", "_rowid_", "oid"].into_iter().find(|word| !taken(word))
}
