//! Capturing changes: the tables that it needs, and what is installed.
//!
//! The statements of [`crate::store::target::capture`] are run as text, since nothing that makes a table or a trigger takes
//! bound values; so what is printed for people to read is what is run.

use std::collections::BTreeMap;

use super::catalog::{Catalog, Partition, Table, Trigger};
use super::session::make_tables;
use super::target::TableRef;
use super::target::capture::{CAPTURED, CHANGES, Capture, Home, KEY, PREFIX, drop_function, drop_trigger};
use super::{Backend, Conn, ErrorKind, Ident, Stmt, StoreError};
use crate::redact::Sealed;

/// The SQL that makes the tables.
fn ddl(backend: Backend) -> &'static str {
    match backend {
        Backend::Postgres => include_str!("../../migrations/store/postgres/2_capture.sql"),
        Backend::Mysql => include_str!("../../migrations/store/mysql/2_capture.sql"),
        Backend::Sqlite => include_str!("../../migrations/store/sqlite/2_capture.sql"),
    }
}

/// The key of hashed values, by which triggers know retentiond's own removals, too.
#[derive(Clone)]
pub struct Secret {
    text: Sealed<String>,
    /// It is not in the database yet.
    new: bool,
}

impl Secret {
    /// That of a database; `None` on SQLite, which needs none, and where there is none yet.
    ///
    /// # Errors
    /// When the database cannot be asked, or the role may not read it.
    pub fn of(conn: &mut Conn, catalog: &Catalog) -> Result<Option<Self>, StoreError> {
        if conn.backend() == Backend::Sqlite || !Home::is_there(catalog) {
            return Ok(None);
        }
        Ok(conn.capture_key()?.map(|text| Self { text: Sealed::new(text), new: false }))
    }

    /// That of a database, or one of 256 random bits that is to become it.
    ///
    /// # Errors
    /// As [`Secret::of`]; when there is no randomness.
    pub fn for_capture(conn: &mut Conn, catalog: &Catalog) -> Result<Option<Self>, StoreError> {
        let found = Self::of(conn, catalog)?;
        if found.is_some() || conn.backend() == Backend::Sqlite { Ok(found) } else { random().map(Some) }
    }

    /// Where retentiond's own tables are, for triggers that know this key.
    pub fn known_to(secret: Option<&Self>, home: Home) -> Home {
        home.with_key(secret.map(|secret| secret.text.expose().as_str()))
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
    (secret, wanted): (Option<&Secret>, &[Capture]),
) -> Result<Vec<String>, StoreError> {
    let backend = conn.backend();
    let mut statements: Vec<String> = Vec::new();
    if !Home::is_there(catalog) {
        let pieces = ddl(backend).split_inclusive(";\n").filter(|piece| piece.contains(';'));
        statements.extend(pieces.map(|piece| piece.trim().trim_end_matches(';').to_owned()));
    }
    statements.extend(person_column(catalog, home).map(|stmt| stmt.to_text(backend)));
    if let Some(secret) = secret.filter(|secret| secret.new) {
        statements.push(keep(home, secret).to_text(backend));
    }
    statements.extend(strangers(conn, catalog, home, wanted)?);
    for capture in wanted {
        let stmts = capture.remove().into_iter().chain(capture.install()).chain(note(home, capture));
        statements.extend(stmts.map(|stmt| stmt.to_text(backend)));
    }
    Ok(statements)
}

/// Adds the column that tables of changes of before lack: triggers would fail without it, and the application's writes too.
fn person_column(catalog: &Catalog, home: &Home) -> Option<Stmt> {
    let table = catalog.table(catalog.default_schema.as_deref(), CHANGES)?;
    if table.column("person").is_some() {
        return None;
    }
    let mut stmt = Stmt::new("ALTER TABLE ");
    home.write(&mut stmt, CHANGES);
    stmt.sql(match catalog.backend {
        Backend::Postgres => " ADD COLUMN person VARCHAR(400)",
        Backend::Mysql => " ADD COLUMN person VARCHAR(400) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
        Backend::Sqlite => " ADD COLUMN person TEXT",
    });
    Some(stmt)
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

fn random() -> Result<Secret, StoreError> {
    use std::io::Read as _;
    let mut bytes = [0_u8; 32];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|error| StoreError::new(ErrorKind::Other, format!("there is no randomness: {error}")))?;
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Secret { text: Sealed::new(text), new: true })
}

/// Writes a new key down. Another one that came meanwhile stays: then `check` says that the triggers are not those that
/// should be there, and a second `--apply` makes them.
fn keep(home: &Home, secret: &Secret) -> Stmt {
    let mut stmt = Stmt::new("INSERT INTO ");
    home.write(&mut stmt, KEY);
    stmt.sql(" (secret) SELECT made.secret FROM (SELECT ")
        .policy(secret.text.expose().as_str())
        .sql(" AS secret) made WHERE NOT EXISTS (SELECT 1 FROM ");
    home.write(&mut stmt, KEY);
    stmt.sql(")");
    stmt
}
