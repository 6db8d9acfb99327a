//! Connections to real servers: what is set on them, what is refused, and how errors are sorted.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "the helpers of a test stop it by panicking")]

#[path = "store_connections/errors.rs"]
mod errors;
#[path = "store_connections/gate.rs"]
mod gate;
#[path = "store_connections/sessions.rs"]
mod sessions;
mod support;

use std::path::PathBuf;

use chrono::TimeDelta;
use retentiond::clock::Clock;
use retentiond::redact::Sealed;
use retentiond::store::{Access, Backend, Bind, Conn, Database, DatabaseSpec, ErrorKind, Stmt, StoreError, StoreUrl};

fn spec(url: &str) -> DatabaseSpec {
    DatabaseSpec::new("operative", StoreUrl::parse(url).unwrap())
}

fn open(url: &str) -> Database {
    Database::open(spec(url)).unwrap_or_else(|error| panic!("{url}: {error}"))
}

/// An empty database of each kind; the folder keeps the SQLite file.
struct Three {
    urls: Vec<String>,
    _folder: tempfile::TempDir,
}

fn three() -> Three {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("app.db");
    std::fs::write(&file, "").unwrap();
    let urls = vec![
        support::postgres().fresh_database(),
        support::mariadb().fresh_database(),
        format!("sqlite:{}", file.display()),
    ];
    Three { urls, _folder: folder }
}

fn run(conn: &mut Conn, sql: &'static str) -> u64 {
    conn.execute(&Stmt::new(sql)).unwrap_or_else(|error| panic!("{sql}: {error}"))
}

fn ask(conn: &mut Conn, sql: &'static str) -> String {
    let rows = conn.rows(&Stmt::new(sql)).unwrap_or_else(|error| panic!("{sql}: {error}"));
    rows[0].plain(0).unwrap_or("NULL").to_owned()
}

fn fail(conn: &mut Conn, sql: &'static str) -> StoreError {
    conn.execute(&Stmt::new(sql)).expect_err(sql)
}

#[test]
fn all_three_open_and_say_what_they_are() {
    let three = three();
    for (url, backend) in three.urls.iter().zip([Backend::Postgres, Backend::Mysql, Backend::Sqlite]) {
        let database = open(url);
        assert_eq!(database.backend(), backend);
        assert_eq!(database.name(), "operative");
        assert!(database.server_version().starts_with(|c: char| c.is_ascii_digit()), "{}", database.server_version());
        let again = open(url);
        assert_eq!(database.identity(), again.identity());
        let mut pinned = spec(url);
        pinned.identity = Some(database.identity().to_owned());
        Database::open(pinned.clone()).unwrap();
        pinned.identity = Some(format!("{}x", database.identity()));
        let error = Database::open(pinned).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Refused);
        assert!(error.to_string().contains(database.identity()), "{error}");
        let mut conn = database.conn().unwrap();
        let skew = conn.clock_skew(Clock::system().now()).unwrap();
        assert!(skew.abs() < TimeDelta::seconds(5), "{skew}");
        let ahead = conn.clock_skew(Clock::system().now() + TimeDelta::minutes(5)).unwrap();
        let expected = if backend == Backend::Sqlite { 0 } else { -300 };
        assert!((ahead.num_seconds() - expected).abs() < 5, "{ahead}");
    }
}

#[test]
fn the_log_position_of_postgresql_grows() {
    let three = three();
    let database = open(&three.urls[0]);
    let mut conn = database.conn().unwrap();
    let before = conn.wal_position().unwrap().unwrap();
    run(&mut conn, "CREATE TABLE grows (id bigint)");
    assert!(conn.wal_position().unwrap().unwrap() > before);
    for url in &three.urls[1..] {
        assert_eq!(open(url).conn().unwrap().wal_position().unwrap(), None);
    }
}

#[test]
fn commits_in_a_hurry_are_on_disk_once_they_are_settled() {
    let url = support::postgres().fresh_database();
    let name = url.rsplit('/').next().unwrap();
    // The tests' server itself is always in a hurry.
    support::run_sql(&url, &format!("ALTER DATABASE {name} SET synchronous_commit = on; CREATE TABLE t (n int)"));
    let database = open(&url);
    let mut conn = database.conn().unwrap();
    let setting = |conn: &mut Conn| ask(conn, "SELECT current_setting('synchronous_commit')");
    assert_eq!(setting(&mut conn), "on");
    conn.hurry().unwrap();
    assert_eq!(setting(&mut conn), "off");
    let insert = |conn: &mut Conn| conn.execute(&Stmt::new("INSERT INTO t VALUES (1)"));
    conn.transaction::<_, StoreError>(Access::ReadWrite, insert).unwrap();
    let position = |conn: &mut Conn, sql: &'static str| ask(conn, sql).parse::<u64>().unwrap();
    let written = position(&mut conn, "SELECT CAST(pg_current_wal_insert_lsn() - '0/0' AS text)");
    conn.settle().unwrap();
    let on_disk = position(&mut conn, "SELECT CAST(pg_current_wal_flush_lsn() - '0/0' AS text)");
    assert!(on_disk >= written, "{on_disk} of {written}");
    assert_eq!(setting(&mut conn), "on");
    conn.hurry().unwrap();
    drop(conn);
    assert_eq!(setting(&mut database.conn().unwrap()), "on", "one that went back to the pool in a hurry");
}

#[test]
fn a_file_that_is_not_there_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("typo.db");
    let error = Database::open(spec(&format!("sqlite:{}", file.display()))).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreachable);
    assert!(
        error.to_string().starts_with("store `operative`: ") && error.to_string().contains("does not exist"),
        "{error}"
    );
    assert!(!file.exists());
    let error = Database::open(spec(&format!("sqlite:{}", folder.path().display()))).unwrap_err();
    assert!(error.to_string().contains("is not a file"), "{error}");
    std::fs::write(&file, "this is no database, but long enough to look like one ".repeat(40)).unwrap();
    let error = Database::open(spec(&format!("sqlite:{}", file.display()))).unwrap_err();
    assert!(error.to_string().contains("not a database"), "{error}");
    // Removed under a pool that had it open: a new connection must not make it anew.
    let good = folder.path().join("good.db");
    std::fs::write(&good, "").unwrap();
    let database = open(&format!("sqlite:{}", good.display()));
    let first = database.conn().unwrap();
    std::fs::rename(&good, folder.path().join("moved.db")).unwrap();
    let error = database.conn().map(drop).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreachable, "{error}");
    assert!(!good.exists());
    drop(first);
}

#[test]
fn who_does_not_answer_is_told_at_once_and_without_the_password() {
    let postgres = support::postgres();
    let mariadb = support::mariadb();
    let cases = [
        ("postgres://u:hunter2@127.0.0.1:1/x".to_owned(), ErrorKind::Unreachable),
        ("mysql://u:hunter2@127.0.0.1:1/x".to_owned(), ErrorKind::Unreachable),
        ("postgres://u:hunter2@no.such.host.invalid/x".to_owned(), ErrorKind::Unreachable),
        ("mysql://u:hunter2@no.such.host.invalid/x".to_owned(), ErrorKind::Unreachable),
        (postgres.url("no_such_database"), ErrorKind::Refused),
        (mariadb.url("no_such_database"), ErrorKind::Refused),
        (postgres.url("postgres?user=no_such_role"), ErrorKind::Refused),
        (postgres.url("postgres?hunter2=x"), ErrorKind::Unreachable),
    ];
    for (url, kind) in cases {
        let begun = std::time::Instant::now();
        let mut spec = spec(&url);
        spec.password = Some(Sealed::new("hunter2".to_owned()));
        assert!(!format!("{spec:?}").contains("hunter2:"), "{spec:?}");
        let error = Database::open(spec).unwrap_err();
        assert!(begun.elapsed().as_secs() < 5, "{url}: {:?}", begun.elapsed());
        assert_eq!(error.kind, kind, "{url}: {error}");
        assert!(!error.to_string().contains("timed out") && !error.to_string().contains("hunter2"), "{error}");
    }
}

#[test]
fn a_password_with_every_awkward_character_is_given() {
    let word = "p@ s/s%:?#&=+é'\"\\😀";
    let postgres = support::postgres();
    let mut conn = open(&postgres.url("postgres")).conn().unwrap();
    drop(conn.execute(&Stmt::new("DROP ROLE IF EXISTS store_test_word")));
    run(&mut conn, "CREATE ROLE store_test_word LOGIN PASSWORD 'p@ s/s%:?#&=+é''\"\\😀'");
    let mariadb = support::mariadb();
    let url = mariadb.fresh_database();
    let mut conn = open(&url).conn().unwrap();
    run(&mut conn, "CREATE OR REPLACE USER store_test_word@'127.0.0.1' IDENTIFIED BY 'p@ s/s%:?#&=+é''\"\\\\😀'");
    run(&mut conn, "GRANT ALL ON *.* TO store_test_word@'127.0.0.1'");
    let mut spec = spec(&url.replacen("root", "store_test_word", 1));
    let error = Database::open(spec.clone()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused, "{error}");
    spec.password = Some(Sealed::new(word.to_owned()));
    Database::open(spec).unwrap();
    // PostgreSQL trusts this address; that the address is still read shows that the word did not break it.
    let mut spec = self::spec(&postgres.url("postgres?user=store_test_word"));
    spec.password = Some(Sealed::new(word.to_owned()));
    let database = Database::open(spec).unwrap();
    assert_eq!(ask(&mut database.conn().unwrap(), "SELECT CAST(current_user AS text)"), "store_test_word");
    assert!(database.identity().starts_with("pg:"), "{}", database.identity());
}

#[test]
fn a_read_only_database_is_refused() {
    let postgres = support::postgres();
    let url = postgres.fresh_database();
    let name = url.rsplit('/').next().unwrap();
    diesel_batch(&postgres.url("postgres"), &format!("ALTER DATABASE {name} SET default_transaction_read_only = on"));
    let error = Database::open(spec(&url)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    assert!(error.to_string().contains("read-only"), "{error}");
}

fn diesel_batch(url: &str, sql: &str) {
    use diesel::{Connection, connection::SimpleConnection};
    diesel::PgConnection::establish(url).unwrap().batch_execute(sql).unwrap();
}

#[test]
fn one_text_is_prepared_once_and_many_are_kept_apart() {
    let three = three();
    for url in &three.urls {
        let database = open(url);
        let mut conn = database.conn().unwrap();
        run(&mut conn, "CREATE TABLE t (id bigint, name varchar(40))");
        let count = |conn: &mut Conn| -> i64 {
            match conn.backend() {
                Backend::Postgres => {
                    ask(conn, "SELECT CAST(count(*) AS text) FROM pg_prepared_statements").parse().unwrap()
                }
                Backend::Mysql => {
                    let rows = conn.rows(&Stmt::new("SHOW SESSION STATUS LIKE 'Com_stmt_prepare'")).unwrap();
                    rows[0].count(1).unwrap()
                }
                Backend::Sqlite => 0,
            }
        };
        let insert = |conn: &mut Conn, number: i64| {
            let mut stmt = Stmt::new("INSERT INTO t (id, name) VALUES (");
            stmt.value(number).sql(", ").value(format!("name {number}")).sql(")");
            assert_eq!(conn.execute(&stmt).unwrap(), 1);
        };
        insert(&mut conn, 0);
        count(&mut conn);
        let before = count(&mut conn);
        for number in 1..50 {
            insert(&mut conn, number);
        }
        assert_eq!(count(&mut conn), before, "{url}");
        // More different texts than the driver's own cache would hold, each used again after all others.
        for _ in 0..2 {
            for wide in 1..150 {
                let mut stmt = Stmt::new("DELETE FROM t WHERE id IN (-1");
                for _ in 0..wide {
                    stmt.sql(", ").value(-2_i64);
                }
                assert_eq!(conn.execute(stmt.sql(")")).unwrap(), 0, "{url}");
            }
        }
    }
}

#[test]
fn tls_that_is_asked_for_is_there_or_the_store_is_refused() {
    // A socket of the machine carries no TLS, and libpq does not say so.
    let mut spec = spec(&support::postgres().url("postgres"));
    spec.ca = Some(PathBuf::from("/nonexistent/ca.pem"));
    assert!(Database::open(spec).is_err());
    let mut spec = self::spec(&support::mariadb().url("mysql"));
    spec.ca = Some(PathBuf::from("/nonexistent/ca.pem"));
    assert!(Database::open(spec.clone()).is_err());
    spec.ca = None;
    spec.url = StoreUrl::parse(&support::mariadb().url("mysql?ssl-mode=REQUIRED")).unwrap();
    assert!(Database::open(spec).is_err(), "no public authority signed the test server's certificate");
}
