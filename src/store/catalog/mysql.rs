//! The catalog of MySQL and MariaDB, from `information_schema`; the connected database only.
//!
//! Triggers are listed only to a role with the TRIGGER privilege, so without it there seem to be none.

use super::mysql_grants::Grant;
use super::mysql_sql as sql;
use super::rows::{Tables, ask, columns_in, maybe, number, set_primary_key, text, yes};
use super::table::{
    Check, Column, FkAction, ForeignKey, Index, Partition, Table, TableKind, Timing, Trigger, TypeClass,
};
use super::{Catalog, ServerVersion, ident};
use crate::store::{Backend, Conn, Stmt, StoreError, TextRow, TypeName};

/// Reads everything that the role may see.
pub(super) fn read(conn: &mut Conn) -> Result<Catalog, StoreError> {
    let server = ask(conn, sql::SERVER)?;
    let version = ServerVersion::parse(server.first().map(|row| text(row, 0)).unwrap_or_default());
    let default_schema = server.first().and_then(|row| maybe(row, 1));
    let mut tables = Tables::new();
    for row in ask(conn, sql::TABLES)? {
        tables.add(text(&row, 0), table(&row, default_schema.as_deref()));
    }
    for row in ask(conn, sql::COLUMNS)? {
        if let Some(table) = tables.get_mut(text(&row, 0)) {
            table.columns.push(column(&row));
        }
    }
    indexes(conn, &mut tables, &version)?;
    for row in ask(conn, sql::FOREIGN_KEYS)? {
        if let Some(table) = tables.get_mut(text(&row, 0)) {
            foreign_key(table, &row);
        }
    }
    for row in ask(conn, sql::TRIGGERS)? {
        if let Some(table) = tables.get_mut(text(&row, 0)) {
            table.triggers.push(trigger(&row));
        }
    }
    for row in ask(conn, sql::PARTITIONS)? {
        if let Some(table) = tables.get_mut(text(&row, 0)) {
            table.kind = TableKind::Partitioned;
            table.partitions.push(Partition { schema: None, name: ident(text(&row, 1)), leaf: true });
        }
    }
    checks(conn, &mut tables, &version)?;
    privileges(conn, &mut tables)?;
    Ok(Catalog { backend: Backend::Mysql, version, default_schema, tables: tables.finish() })
}

fn table(row: &TextRow, schema: Option<&str>) -> Table {
    let engine = maybe(row, 2);
    let elsewhere = ["FEDERATED", "CONNECT", "SPIDER", "S3"];
    let kind = match text(row, 1) {
        "VIEW" | "SYSTEM VIEW" => TableKind::View,
        "TEMPORARY" | "LOCAL TEMPORARY" => TableKind::Temporary,
        _ if engine.as_ref().is_some_and(|engine| elsewhere.contains(&engine.to_uppercase().as_str())) => {
            TableKind::Foreign
        }
        _ => TableKind::Table,
    };
    Table {
        transactional: kind == TableKind::View || yes(row, 6),
        keeps_history: text(row, 1) == "SYSTEM VERSIONED",
        engine,
        estimated_rows: number(row, 3),
        pages: number(row, 4),
        ..Table::new(schema, text(row, 0), kind)
    }
}

fn column(row: &TextRow) -> Column {
    let (declared, data_type) = (text(row, 2), text(row, 3).to_ascii_lowercase());
    let extra = text(row, 6).to_ascii_uppercase();
    let (class, sql_type) = class(&data_type, declared, number(row, 9), number(row, 10));
    let listed = matches!(data_type.as_str(), "enum" | "set");
    Column {
        name: ident(text(row, 1)),
        sql_type: TypeName::found(sql_type),
        declared: declared.to_owned(),
        class,
        nullable: yes(row, 4),
        max_chars: number(row, 5),
        generated: ["VIRTUAL GENERATED", "STORED GENERATED", "PERSISTENT"].iter().any(|word| extra.contains(word)),
        auto: extra.contains("AUTO_INCREMENT"),
        // MariaDB writes the word NULL where the default is NULL.
        has_default: row.plain(7).is_some_and(|default| default != "NULL"),
        on_update_now: extra.contains("ON UPDATE"),
        enum_labels: if listed { labels(declared) } else { Vec::new() },
        unique: false,
        correlation: None,
        collation: maybe(row, 8),
    }
}

/// The class, and the type for a `CAST`: one that never cuts or rounds what it is compared with.
fn class(data_type: &str, declared: &str, precision: Option<u64>, scale: Option<u64>) -> (TypeClass, String) {
    let declared = declared.to_ascii_lowercase();
    let plain = |class, sql_type: &str| (class, sql_type.to_owned());
    match data_type {
        "tinyint" if declared.starts_with("tinyint(1)") => plain(TypeClass::Boolean, "SIGNED"),
        "bit" if declared == "bit(1)" => plain(TypeClass::Boolean, "UNSIGNED"),
        "bit" => plain(TypeClass::Integer { unsigned_big: declared == "bit(64)" }, "UNSIGNED"),
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" => {
            let unsigned = declared.contains("unsigned");
            let class = TypeClass::Integer { unsigned_big: unsigned && data_type == "bigint" };
            plain(class, if unsigned { "UNSIGNED" } else { "SIGNED" })
        }
        "year" => plain(TypeClass::Integer { unsigned_big: false }, "UNSIGNED"),
        "decimal" => {
            let (precision, scale) = (precision.unwrap_or(10), scale.unwrap_or(0));
            // The widest type that holds the column whole: 35 digits before the point, 30 after it.
            let wide = precision.saturating_sub(scale) <= 35 && scale <= 30;
            let sql_type = if wide { "DECIMAL(65,30)".to_owned() } else { format!("DECIMAL({precision},{scale})") };
            (TypeClass::Decimal, sql_type)
        }
        "float" | "double" => plain(TypeClass::Real, "DOUBLE"),
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" => plain(TypeClass::Text, "CHAR"),
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => plain(TypeClass::Bytes, "BINARY"),
        "date" => plain(TypeClass::Date, "DATE"),
        "datetime" => plain(TypeClass::TimestampNaive, "DATETIME(6)"),
        "timestamp" => plain(TypeClass::TimestampZoned, "DATETIME(6)"),
        "time" => plain(TypeClass::Time, "TIME(6)"),
        "json" => plain(TypeClass::Json, "JSON"),
        "uuid" => plain(TypeClass::Uuid, "UUID"),
        "inet4" => plain(TypeClass::Inet, "INET4"),
        "inet6" => plain(TypeClass::Inet, "INET6"),
        "enum" => plain(TypeClass::Enum, "CHAR"),
        _ => plain(TypeClass::Other, "CHAR"),
    }
}

/// The labels in `enum('a','it''s')`.
fn labels(declared: &str) -> Vec<String> {
    let mut labels = Vec::new();
    let mut chars = declared.chars().skip_while(|&c| c != '\'').peekable();
    while chars.next() == Some('\'') {
        let mut label = String::new();
        while let Some(c) = chars.next() {
            if c != '\'' {
                label.push(c);
            } else if chars.next_if_eq(&'\'').is_some() {
                label.push('\'');
            } else {
                break;
            }
        }
        labels.push(label);
        while chars.next_if(|&c| c != '\'').is_some() {}
    }
    labels
}

fn indexes(conn: &mut Conn, tables: &mut Tables, version: &ServerVersion) -> Result<(), StoreError> {
    let mut stmt = Stmt::new(sql::INDEXES);
    stmt.sql(match version.mariadb {
        true if version.at_least(10, 6) => sql::INDEX_IGNORED,
        false if version.at_least(8, 0) => sql::INDEX_INVISIBLE,
        _ => sql::INDEX_USED,
    });
    stmt.sql(sql::INDEXES_FROM);
    for row in conn.catalog_rows(&stmt)? {
        let Some(table) = tables.get_mut(text(&row, 0)) else { continue };
        let name = text(&row, 1);
        if table.indexes.last().is_none_or(|index| index.name != name) {
            table.indexes.push(Index {
                name: name.to_owned(),
                columns: Vec::new(),
                unique: text(&row, 2) == "0",
                partial: false,
                prefix: false,
                equality: matches!(text(&row, 5), "BTREE" | "HASH") && !yes(&row, 6),
            });
        }
        if let Some(index) = table.indexes.last_mut() {
            index.columns.push(maybe(&row, 3));
            index.prefix |= row.get(4).is_some();
            if name == "PRIMARY" {
                let names = index.columns.clone();
                set_primary_key(table, names.iter().filter_map(Option::as_deref));
            }
        }
    }
    Ok(())
}

fn foreign_key(table: &mut Table, row: &TextRow) {
    let name = text(row, 1);
    if table.foreign_keys.last().is_none_or(|key| key.name != name) {
        table.foreign_keys.push(ForeignKey {
            name: name.to_owned(),
            columns: Vec::new(),
            target_schema: maybe(row, 3),
            target: text(row, 4).to_owned(),
            target_columns: Vec::new(),
            on_delete: action(text(row, 6)),
            deferrable: false,
            enforced: true,
            on_partition: None,
        });
    }
    if let Some(key) = table.foreign_keys.last_mut() {
        key.columns.push(text(row, 2).to_owned());
        key.target_columns.push(text(row, 5).to_owned());
    }
}

/// An action in the words of the standard, which SQLite uses too.
pub(super) fn action(words: &str) -> FkAction {
    match words {
        "CASCADE" => FkAction::Cascade,
        "SET NULL" => FkAction::SetNull,
        "SET DEFAULT" => FkAction::SetDefault,
        "RESTRICT" => FkAction::Restrict,
        _ => FkAction::NoAction,
    }
}

fn trigger(row: &TextRow) -> Trigger {
    let event = text(row, 3);
    Trigger {
        name: text(row, 1).to_owned(),
        timing: if text(row, 2) == "BEFORE" { Timing::Before } else { Timing::After },
        insert: event.contains("INSERT"),
        update: event.contains("UPDATE"),
        delete: event.contains("DELETE"),
        body: text(row, 4).to_owned(),
        on_partition: None,
    }
}

/// Also finds the columns that MariaDB's `JSON` made: text with a check that it is JSON.
fn checks(conn: &mut Conn, tables: &mut Tables, version: &ServerVersion) -> Result<(), StoreError> {
    let rows = match version.mariadb {
        true if version.at_least(10, 3) => ask(conn, sql::CHECKS_MARIADB)?,
        false if version.at_least(8, 1) || version.text.starts_with("8.0.") => {
            // Before 8.0.16 there is no such table, and no such constraint either.
            ask(conn, sql::CHECKS_MYSQL).unwrap_or_default()
        }
        _ => Vec::new(),
    };
    for row in rows {
        let Some(table) = tables.get_mut(text(&row, 0)) else { continue };
        let clause = text(&row, 2);
        let columns = columns_in(table, clause);
        if let [name] = columns.as_slice()
            && clause.to_lowercase() == format!("json_valid(`{}`)", name.to_lowercase())
            && let Some(column) = table.columns.iter_mut().find(|column| column.name.as_str() == name)
        {
            column.class = TypeClass::Json;
        }
        table.checks.push(Check { name: text(&row, 1).to_owned(), columns, text: clause.to_owned() });
    }
    Ok(())
}

fn privileges(conn: &mut Conn, tables: &mut Tables) -> Result<(), StoreError> {
    let rows = ask(conn, sql::GRANTS)?;
    let grants: Vec<Grant> = rows.iter().filter_map(|row| Grant::parse(text(row, 0))).collect();
    for table in &mut tables.tables {
        let (database, name) = (table.schema_str().unwrap_or_default().to_owned(), table.name.as_str().to_owned());
        grants.iter().for_each(|grant| grant.apply(&database, &name, &mut table.privileges));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::labels;

    #[test]
    fn labels_of_an_enum_are_read_with_their_quotes() {
        assert_eq!(labels("enum('open','it''s','a,b','')"), ["open", "it's", "a,b", ""]);
        assert_eq!(labels("set('a')"), ["a"]);
        assert!(labels("int(11)").is_empty());
    }
}
