//! Capturing changes: the tables that it needs, and what is installed.
//!
//! The statements of [`crate::store::target::capture`] are run as text, since nothing that makes a table or a trigger takes
//! bound values; so what is printed for people to read is what is run.

use std::collections::BTreeMap;

use super::catalog::{Catalog, Partition, Table, Trigger};
use super::session::make_tables;
use super::target::TableRef;
use super::target::capture::{CAPTURED, Capture, Home, KEY, PREFIX, drop_function, drop_trigger};
use super::{Backend, Conn, ErrorKind, Ident, Stmt, StoreError};

/// The SQL that makes the tables.
fn ddl(backend: Backend) -> &'static str {
    match backend {
        Backend::Postgres => include_str!("../../migrations/store/postgres/2_capture.sql"),
        Backend::Mysql => include_str!("../../migrations/store/mysql/2_capture.sql"),
        Backend::Sqlite => include_str!("../../migrations/store/sqlite/2_capture.sql"),
    }
}

/// What is captured, and for which shape of its table.
///
/// # Errors
/// When the database cannot be asked.
pub fn captured(conn: &mut Conn) -> Result<BTreeMap<String, String>, StoreError> {
    let rows = conn.catalog_rows(&Stmt::new("SELECT data, fingerprint FROM retentiond_captured"))?;
    Ok(rows.iter().filter_map(|row| Some((row.plain(0)?.to_owned(), row.plain(1)?.to_owned()))).collect())
}

/// Triggers of ours in a database, with their tables: also those of entries that are in the map no more.
pub fn live(catalog: &Catalog) -> Vec<Live<'_>> {
    let own = |trigger: &&Trigger| trigger.name.starts_with(PREFIX) && trigger.on_partition.is_none();
    // What PostgreSQL clones for each partition comes and goes with the trigger of the whole table.
    let cloned = |table: &Table, name: &str| {
        let above = |part: &Partition| catalog.table(part.schema.as_ref().map(Ident::as_str), part.name.as_str());
        let above = table.ancestors.iter().filter_map(above);
        above.into_iter().any(|table| table.triggers.iter().any(|trigger| trigger.name == name))
    };
    let each = catalog.tables.iter().flat_map(|table| table.triggers.iter().filter(own).map(move |one| (table, one)));
    each.filter(|(table, trigger)| !cloned(table, &trigger.name)).collect()
}

/// A trigger, and its table.
pub type Live<'c> = (&'c Table, &'c Trigger);

/// The statements that make the tables where they are missing, install the triggers of `wanted`, and take all others away.
///
/// # Errors
/// When the database cannot be asked.
pub fn installation(
    conn: &mut Conn,
    catalog: &Catalog,
    home: &Home,
    wanted: &[Capture],
) -> Result<Vec<String>, StoreError> {
    let backend = conn.backend();
    let there = Home::is_there(catalog);
    let mut statements: Vec<String> = Vec::new();
    if !there {
        let pieces = ddl(backend).split_inclusive(";\n").filter(|piece| piece.contains(';'));
        statements.extend(pieces.map(|piece| piece.trim().trim_end_matches(';').to_owned()));
    }
    if backend != Backend::Sqlite && !(there && has_secret(conn)?) {
        statements.push(secret(home)?.to_text(backend));
    }
    statements.extend(strangers(conn, catalog, home, wanted)?);
    for capture in wanted {
        let stmts = capture.remove().into_iter().chain(capture.install()).chain(note(home, capture));
        statements.extend(stmts.map(|stmt| stmt.to_text(backend)));
    }
    Ok(statements)
}

/// The statements that take all triggers away, and forget what was captured. What was written down stays.
///
/// # Errors
/// When the database cannot be asked.
pub fn removal(conn: &mut Conn, catalog: &Catalog, home: &Home) -> Result<Vec<String>, StoreError> {
    let mut statements = strangers(conn, catalog, home, &[])?;
    if Home::is_there(catalog) {
        let mut forget = Stmt::new("DELETE FROM ");
        home.write(&mut forget, CAPTURED);
        statements.push(forget.to_text(conn.backend()));
    }
    Ok(statements)
}

/// Takes away every trigger and function of ours that is not one of `wanted`, and forgets what is noted of others.
fn strangers(conn: &mut Conn, catalog: &Catalog, home: &Home, wanted: &[Capture]) -> Result<Vec<String>, StoreError> {
    let backend = conn.backend();
    let names: Vec<(String, String)> = wanted
        .iter()
        .flat_map(|capture| capture.triggers().into_iter().map(|(name, _)| (capture.table().to_owned(), name)))
        .collect();
    let mut statements: Vec<Stmt> = Vec::new();
    for (table, trigger) in live(catalog) {
        if !names.iter().any(|(label, name)| *label == table.label() && *name == trigger.name) {
            statements.push(drop_trigger(backend, &TableRef::of(table), &trigger.name));
        }
    }
    if backend == Backend::Postgres {
        // A table that was dropped leaves its function behind.
        let mut own = Stmt::new(
            "SELECT p.proname::text FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
             WHERE p.prorettype = 'pg_catalog.trigger'::pg_catalog.regtype AND pg_catalog.starts_with(p.proname::text, ",
        );
        own.policy(PREFIX).sql(") AND n.nspname = ").policy(catalog.default_schema.clone().unwrap_or_default());
        for row in conn.catalog_rows(&own)? {
            let Some(name) = row.plain(0) else { continue };
            if !names.iter().any(|(_, own)| own == name) {
                statements.push(drop_function(home, name));
            }
        }
    }
    if Home::is_there(catalog) {
        for (data, _) in captured(conn)?.iter().filter(|(data, _)| !wanted.iter().any(|one| one.data() == *data)) {
            statements.push(forget(home, data));
        }
    }
    Ok(statements.iter().map(|stmt| stmt.to_text(backend)).collect())
}

/// Runs statements. PostgreSQL and SQLite do all of them or nothing; MariaDB commits at each, and a second try goes on from
/// wherever the first ended.
///
/// # Errors
/// When the role may not.
pub fn run(conn: &mut Conn, statements: &[String]) -> Result<(), StoreError> {
    conn.transaction(super::Access::ReadWrite, |conn| statements.iter().try_for_each(|stmt| make_tables(conn, stmt)))
}

/// What is written down of a capture.
fn note(home: &Home, capture: &Capture) -> [Stmt; 2] {
    let mut stmt = Stmt::new("INSERT INTO ");
    home.write(&mut stmt, CAPTURED);
    stmt.sql(" (data, fingerprint) VALUES (").policy(capture.data()).sql(", ");
    stmt.policy(capture.fingerprint()).sql(")");
    [forget(home, capture.data()), stmt]
}

fn forget(home: &Home, data: &str) -> Stmt {
    let mut stmt = Stmt::new("DELETE FROM ");
    home.write(&mut stmt, CAPTURED);
    stmt.sql(" WHERE data = ").policy(data);
    stmt
}

fn has_secret(conn: &mut Conn) -> Result<bool, StoreError> {
    Ok(!conn.rows(&Stmt::new("SELECT 'yes' FROM retentiond_capture_key LIMIT 1"))?.is_empty())
}

/// The key of hashed values, where there is none yet: 256 random bits.
fn secret(home: &Home) -> Result<Stmt, StoreError> {
    use std::io::Read as _;
    let mut bytes = [0_u8; 32];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|error| StoreError::new(ErrorKind::Other, format!("there is no randomness: {error}")))?;
    let secret: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut stmt = Stmt::new("INSERT INTO ");
    home.write(&mut stmt, KEY);
    stmt.sql(" (secret) SELECT made.secret FROM (SELECT ")
        .policy(secret)
        .sql(" AS secret) made WHERE NOT EXISTS (SELECT 1 FROM ");
    home.write(&mut stmt, KEY);
    stmt.sql(")");
    Ok(stmt)
}
