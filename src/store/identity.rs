//! Which database this is, and whether it gives values back as it got them.
//!
//! The identity is what `check` prints and `identity = "…"` pins, so that a policy is never let loose on a copy, a test
//! system or a neighbour by a mistake in an address. It survives restarts, and changes as follows:
//! - PostgreSQL `pg:<system identifier>/<database>`: with `initdb` or a logical restore elsewhere; a physical copy and a
//!   promoted standby keep it. A role that may not ask for the system identifier gets `pg:oid-<oid>/<database>`, which
//!   changes when the database is made anew.
//! - MySQL `mysql:<server_uuid>/<database>`; MariaDB, which has no such number, `mysql:<hash>/<database>` over host
//!   name, port, data directory and `server_id`: with a change of any of these.
//! - SQLite `sqlite:<application_id>:<inode>:<path>`: when the file is moved, or restored from a copy. The device number
//!   is left out: it may change with a reboot.

use std::fmt::Write as _;
use std::os::unix::fs::MetadataExt;

use sha2::{Digest, Sha256};

use super::conn::{Backend, Conn};
use super::error::{ErrorKind, StoreError};
use super::session::{can_write, mysql_variables};
use super::stmt::{Bind, Stmt};

/// What was learnt when a database was opened.
pub(in crate::store) struct Facts {
    pub(in crate::store) identity: String,
    pub(in crate::store) server_version: String,
}

/// Asks who the server is, and checks that values survive the way there and back.
pub(in crate::store) fn examine(conn: &mut Conn) -> Result<Facts, StoreError> {
    let facts = Facts { identity: of(conn)?, server_version: version(conn)? };
    refuse_other_languages(conn)?;
    refuse_statement_binlog(conn)?;
    can_write(conn)?;
    let probes = probes(conn.backend());
    self_check(conn, &probes)?;
    Ok(facts)
}

/// Refuses any other database than the pinned one.
pub(in crate::store) fn require(conn: &mut Conn, pin: &str) -> Result<(), StoreError> {
    let found = of(conn)?;
    if found == pin {
        return Ok(());
    }
    Err(refused(format!("this is `{found}`, and the file pins `{pin}`")))
}

fn refused(message: impl Into<String>) -> StoreError {
    StoreError::new(ErrorKind::Refused, message)
}

/// The first column of the first row.
fn single(conn: &mut Conn, sql: &'static str) -> Result<String, StoreError> {
    let rows = conn.catalog_rows(&Stmt::new(sql))?;
    let text = rows.first().and_then(|row| row.plain(0)).map(str::to_owned);
    text.ok_or_else(|| StoreError::new(ErrorKind::Other, "the database did not answer a question about itself"))
}

fn of(conn: &mut Conn) -> Result<String, StoreError> {
    match conn.backend() {
        Backend::Postgres => {
            let database = single(conn, "SELECT CAST(current_database() AS text)")?;
            let allowed = single(
                conn,
                "SELECT CAST(has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE') AS text)",
            )?;
            let system = if allowed == "true" {
                single(conn, "SELECT CAST(system_identifier AS text) FROM pg_catalog.pg_control_system()")?
            } else {
                let oid = "SELECT CAST(oid AS text) FROM pg_catalog.pg_database WHERE datname = current_database()";
                format!("oid-{}", single(conn, oid)?)
            };
            Ok(format!("pg:{system}/{database}"))
        }
        Backend::Mysql => {
            let database = single(conn, "SELECT DATABASE()")?;
            Ok(format!("mysql:{}/{database}", mysql_server(conn)?))
        }
        Backend::Sqlite => sqlite(conn),
    }
}

fn mysql_server(conn: &mut Conn) -> Result<String, StoreError> {
    let variables = mysql_variables(conn)?;
    let find = |wanted: &str| variables.iter().find(|(name, _)| name == wanted).map_or("", |(_, value)| value.as_str());
    if !find("server_uuid").is_empty() {
        return Ok(find("server_uuid").to_owned());
    }
    let mut hash = Sha256::new();
    for name in ["hostname", "port", "datadir", "server_id"] {
        hash.update(find(name).as_bytes());
        hash.update([0]);
    }
    let mut text = String::new();
    for byte in &hash.finalize()[..12] {
        write!(text, "{byte:02x}").map_err(|_| StoreError::new(ErrorKind::Other, "a hash could not be written"))?;
    }
    Ok(text)
}

fn sqlite(conn: &mut Conn) -> Result<String, StoreError> {
    let path = single(conn, "SELECT file FROM pragma_database_list WHERE name = 'main'")?;
    let seen = |error: std::io::Error| StoreError::new(ErrorKind::Unreachable, format!("{path}: {error}"));
    let full = std::fs::canonicalize(&path).map_err(seen)?;
    let inode = std::fs::metadata(&full).map_err(seen)?.ino();
    let application = single(conn, "SELECT CAST(application_id AS TEXT) FROM pragma_application_id")?;
    Ok(format!("sqlite:{application}:{inode}:{}", full.display()))
}

fn version(conn: &mut Conn) -> Result<String, StoreError> {
    match conn.backend() {
        Backend::Postgres => single(conn, "SELECT current_setting('server_version')"),
        Backend::Mysql => single(conn, "SELECT VERSION()"),
        Backend::Sqlite => single(conn, "SELECT sqlite_version()"),
    }
}

/// The driver tells few classes of PostgreSQL's errors apart, so the others are told by their words. A session in another
/// language, whose role may not choose English, would take a lock that was waited for too long for a failure: such a
/// store is refused, by the words that the server really says (it may have no translation of its language).
fn refuse_other_languages(conn: &mut Conn) -> Result<(), StoreError> {
    if conn.backend() != Backend::Postgres {
        return Ok(());
    }
    let language = single(conn, "SELECT current_setting('lc_messages')")?;
    if matches!(language.as_str(), "C" | "POSIX") {
        return Ok(());
    }
    match conn.catalog_rows(&Stmt::new("SELECT CAST(1 / 0 AS text)")) {
        Err(error) if !error.to_string().contains("division by zero") => {
            let role = single(conn, "SELECT CAST(quote_ident(CAST(current_user AS text)) AS text)")?;
            Err(refused(format!(
                "the server's messages are in another language (lc_messages = {language}), and this role may not choose: its errors could not be told apart. Let a superuser run: ALTER ROLE {role} SET lc_messages = 'C'"
            )))
        }
        Err(_) | Ok(_) => Ok(()),
    }
}

/// At READ COMMITTED, a server that logs statements refuses every DELETE.
fn refuse_statement_binlog(conn: &mut Conn) -> Result<(), StoreError> {
    if conn.backend() != Backend::Mysql {
        return Ok(());
    }
    let variables = mysql_variables(conn)?;
    let is = |wanted: &str, value: &str| {
        variables.iter().any(|(name, found)| name == wanted && found.eq_ignore_ascii_case(value))
    };
    if is("log_bin", "ON") && is("binlog_format", "STATEMENT") {
        return Err(refused("the server's binlog_format is STATEMENT; deleting at READ COMMITTED needs MIXED or ROW"));
    }
    Ok(())
}

/// One value with what the database must answer for it.
struct Probe {
    what: &'static str,
    before: &'static str,
    bind: Bind,
    after: &'static str,
    answer: Answer,
}

enum Answer {
    Exactly(&'static str),
    Number(f64),
    Nothing,
}

/// 2^53 + 1, which a detour over a floating point number would change.
const BIG: i64 = 9_007_199_254_740_993;
const REAL: f64 = 1_234.567_89;
const TEXT: &str = "é ß 漢 😀 ' '' \" ` \\ % ? $1 :a \t";
const BYTES: [u8; 6] = [0, 0xff, 0x27, 0x5c, 0x80, 0x0a];

fn probe(
    what: &'static str,
    before: &'static str,
    bind: impl Into<Bind>,
    after: &'static str,
    answer: Answer,
) -> Probe {
    Probe { what, before, bind: bind.into(), after, answer }
}

fn probes(backend: Backend) -> [Probe; 8] {
    use Answer::{Exactly, Nothing, Number};
    // The casts are needed: PostgreSQL cannot tell the type of a bare `$1`.
    let [text, integer, negative, real, bytes, null, time, instant] = match backend {
        Backend::Postgres => [
            ("CAST(", " AS text)"),
            ("CAST(CAST(", " AS bigint) AS text)"),
            ("CAST(CAST(", " AS bigint) AS text)"),
            ("CAST(CAST(", " AS double precision) AS text)"),
            ("encode(CAST(", " AS bytea), 'hex')"),
            ("NULLIF(CAST(", " AS text), 'x')"),
            ("CAST(CAST(CAST(", " AS text) AS timestamp) AS text)"),
            ("CAST(to_timestamp(CAST(", " AS bigint)) AS text)"),
        ],
        Backend::Mysql => [
            ("CAST(", " AS CHAR)"),
            ("CAST(", " AS CHAR)"),
            ("CAST(", " AS CHAR)"),
            ("CAST(", " AS CHAR)"),
            ("LOWER(HEX(", "))"),
            ("NULLIF(CAST(", " AS CHAR), 'x')"),
            ("CAST(CAST(", " AS DATETIME(6)) AS CHAR)"),
            ("CAST(FROM_UNIXTIME(", ") AS CHAR)"),
        ],
        Backend::Sqlite => [
            ("CAST(", " AS TEXT)"),
            ("CAST(", " AS TEXT)"),
            ("CAST(", " AS TEXT)"),
            ("CAST(", " AS TEXT)"),
            ("lower(hex(", "))"),
            ("NULLIF(", ", 'x')"),
            ("strftime('%Y-%m-%d %H:%M:%f000', ", ")"),
            ("datetime(", ", 'unixepoch')"),
        ],
    };
    let utc = if backend == Backend::Postgres { "2024-03-31 01:30:00+00" } else { "2024-03-31 01:30:00" };
    [
        probe("text", text.0, TEXT, text.1, Exactly(TEXT)),
        probe("whole number", integer.0, BIG, integer.1, Exactly("9007199254740993")),
        probe("negative number", negative.0, -BIG, negative.1, Exactly("-9007199254740993")),
        probe("floating point number", real.0, Bind::Real(REAL), real.1, Number(REAL)),
        probe("bytes", bytes.0, Bind::Bytes(BYTES.to_vec()), bytes.1, Exactly("00ff275c800a")),
        probe("NULL", null.0, "x", null.1, Nothing),
        probe("time", time.0, "2024-02-29 23:59:59.125000", time.1, Exactly("2024-02-29 23:59:59.125000")),
        probe("instant in UTC", instant.0, 1_711_848_600_i64, instant.1, Exactly(utc)),
    ]
}

/// Binds known values, reads them back and refuses a store that changes one.
fn self_check(conn: &mut Conn, probes: &[Probe]) -> Result<(), StoreError> {
    let mut stmt = Stmt::new("SELECT ");
    for (index, probe) in probes.iter().enumerate() {
        stmt.sql(if index == 0 { "" } else { ", " }).sql(probe.before).value(probe.bind.clone()).sql(probe.after);
    }
    let rows = conn.catalog_rows(&stmt)?;
    let [row] = rows.as_slice() else { return Err(refused("one row was asked for, another number came")) };
    for (index, probe) in probes.iter().enumerate() {
        let found = row.plain(index);
        let same = match probe.answer {
            Answer::Exactly(wanted) => found == Some(wanted) || trimmed_fraction(found, wanted),
            Answer::Number(wanted) => found.and_then(|text| text.parse::<f64>().ok()) == Some(wanted),
            Answer::Nothing => found.is_none(),
        };
        if !same {
            let found = found.unwrap_or("NULL").escape_debug().to_string();
            return Err(refused(format!("a bound {} came back changed, as `{found}`", probe.what)));
        }
    }
    Ok(())
}

/// PostgreSQL writes `.125`, the others `.125000`; both are the same time.
fn trimmed_fraction(found: Option<&str>, wanted: &str) -> bool {
    found.is_some_and(|found| found.contains('.') && found == wanted.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::pool::{Database, DatabaseSpec};
    use crate::store::url::StoreUrl;

    #[test]
    fn any_value_that_comes_back_changed_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut spec = DatabaseSpec::new("x", StoreUrl::Sqlite(folder.path().join("x.db")));
        spec.create = true;
        let database = Database::open(spec).unwrap();
        let mut conn = database.conn().unwrap();
        for index in 0..8 {
            let mut probes = probes(Backend::Sqlite);
            self_check(&mut conn, &probes).unwrap();
            probes[index].answer = match probes[index].answer {
                Answer::Nothing => Answer::Exactly("x"),
                Answer::Number(number) => Answer::Number(number + 1e-9),
                Answer::Exactly(_) => Answer::Exactly("9007199254740992"),
            };
            let error = self_check(&mut conn, &probes).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Refused);
            assert!(error.to_string().contains(probes[index].what), "{error}");
            probes[index].answer = Answer::Nothing;
            assert_eq!(self_check(&mut conn, &probes).is_ok(), probes[index].what == "NULL");
        }
    }
}
