//! Capturing changes: the tables that it needs, and what is installed.
//!
//! The statements of [`crate::store::target::capture`] are run as text, since nothing that makes a table or a trigger takes
//! bound values.

use std::collections::BTreeMap;

use super::catalog::Catalog;
use super::catalog::Lookup;
use super::session::make_tables;
use super::target::capture::{CAPTURED, Capture};
use super::{Backend, Conn, ErrorKind, Stmt, StoreError};

/// The SQL that makes the tables.
pub fn ddl(backend: Backend) -> &'static str {
    match backend {
        Backend::Postgres => include_str!("../../migrations/store/postgres/2_capture.sql"),
        Backend::Mysql => include_str!("../../migrations/store/mysql/2_capture.sql"),
        Backend::Sqlite => include_str!("../../migrations/store/sqlite/2_capture.sql"),
    }
}

/// Whether the tables are there.
pub fn is_there(catalog: &Catalog) -> bool {
    matches!(catalog.find(CAPTURED), Lookup::Found(_))
}

/// What is captured, and for which shape of its table.
///
/// # Errors
/// When the database cannot be asked.
pub fn captured(conn: &mut Conn) -> Result<BTreeMap<String, String>, StoreError> {
    let rows = conn.catalog_rows(&Stmt::new("SELECT data, fingerprint FROM retentiond_captured"))?;
    Ok(rows.iter().filter_map(|row| Some((row.plain(0)?.to_owned(), row.plain(1)?.to_owned()))).collect())
}

/// Installs the triggers of these tables, and takes away those of `gone`. PostgreSQL and SQLite do all of it or nothing;
/// MariaDB commits at each statement, and a second try goes on from wherever the first ended.
///
/// # Errors
/// When the role may not.
pub fn install(conn: &mut Conn, tables: bool, wanted: &[Capture]) -> Result<(), StoreError> {
    conn.transaction(super::Access::ReadWrite, |conn| {
        let backend = conn.backend();
        if tables {
            for piece in ddl(backend).split_inclusive(";\n").filter(|piece| piece.contains(';')) {
                make_tables(conn, piece)?;
            }
            if backend != Backend::Sqlite {
                write_secret(conn)?;
            }
        }
        for capture in wanted {
            for stmt in capture.remove().iter().chain(&capture.install()) {
                make_tables(conn, &stmt.to_text(backend)).map_err(|error| error.context(capture.data()))?;
            }
            forget(conn, capture)?;
            let mut stmt = Stmt::new("INSERT INTO retentiond_captured (data, fingerprint) VALUES (");
            stmt.policy(capture.data()).sql(", ").policy(capture.fingerprint()).sql(")");
            conn.execute(&stmt)?;
        }
        Ok(())
    })
}

/// Takes the triggers of these tables away. What was captured stays.
///
/// # Errors
/// When the role may not.
pub fn remove(conn: &mut Conn, captures: &[Capture]) -> Result<(), StoreError> {
    conn.transaction(super::Access::ReadWrite, |conn| {
        let backend = conn.backend();
        for capture in captures {
            for stmt in capture.remove() {
                make_tables(conn, &stmt.to_text(backend)).map_err(|error| error.context(capture.data()))?;
            }
            forget(conn, capture)?;
        }
        Ok(())
    })
}

fn forget(conn: &mut Conn, capture: &Capture) -> Result<(), StoreError> {
    let mut stmt = Stmt::new("DELETE FROM retentiond_captured WHERE data = ");
    stmt.policy(capture.data());
    conn.execute(&stmt).map(drop)
}

/// The key of hashed values: 256 random bits.
fn write_secret(conn: &mut Conn) -> Result<(), StoreError> {
    use std::io::Read as _;
    let mut bytes = [0_u8; 32];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|error| StoreError::new(ErrorKind::Other, format!("there is no randomness: {error}")))?;
    let secret: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut stmt = Stmt::new("INSERT INTO retentiond_capture_key (secret) VALUES (");
    stmt.value(secret).sql(")");
    conn.execute(&stmt).map(drop)
}
