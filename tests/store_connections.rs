//! Connections to real servers: what is set on them, what is refused, and how errors are sorted.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "the helpers of a test stop it by panicking")]

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
fn the_session_of_postgresql_is_set() {
    let database = open(&support::postgres().fresh_database());
    let mut conn = database.conn().unwrap();
    for (sql, wanted) in [
        ("SELECT current_setting('TimeZone')", "UTC"),
        ("SELECT current_setting('lock_timeout')", "200ms"),
        ("SELECT current_setting('statement_timeout')", "30s"),
        ("SELECT current_setting('idle_in_transaction_session_timeout')", "30s"),
        ("SELECT current_setting('plan_cache_mode')", "force_custom_plan"),
        ("SELECT current_setting('application_name')", "retentiond"),
        ("SELECT current_setting('client_encoding')", "UTF8"),
        ("SELECT current_setting('standard_conforming_strings')", "on"),
        ("SELECT current_setting('DateStyle')", "ISO, YMD"),
        ("SELECT current_setting('IntervalStyle')", "postgres"),
        ("SELECT current_setting('extra_float_digits')", "1"),
        ("SELECT current_setting('bytea_output')", "hex"),
        ("SELECT current_setting('transaction_isolation')", "read committed"),
        ("SELECT CAST(CAST('2024-06-01 12:00:00+02' AS timestamptz) AS text)", "2024-06-01 10:00:00+00"),
    ] {
        assert_eq!(ask(&mut conn, sql), wanted, "{sql}");
    }
    conn.allow_long_reads().unwrap();
    assert_eq!(ask(&mut conn, "SELECT current_setting('statement_timeout')"), "6h");
    drop(conn);
    let mut conn = database.conn().unwrap();
    assert_eq!(ask(&mut conn, "SELECT current_setting('statement_timeout')"), "30s");
}

#[test]
fn the_session_of_mariadb_is_set() {
    let database = open(&support::mariadb().fresh_database());
    let mut conn = database.conn().unwrap();
    for (sql, wanted) in [
        ("SELECT @@time_zone", "+00:00"),
        ("SELECT @@sql_mode", "STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"),
        ("SELECT CAST(@@innodb_lock_wait_timeout AS CHAR)", "0"),
        ("SELECT CAST(@@lock_wait_timeout AS CHAR)", "5"),
        ("SELECT CAST(@@autocommit + 0 AS CHAR)", "1"),
        ("SELECT CAST(@@wait_timeout AS CHAR)", "600"),
        ("SELECT CAST(@@foreign_key_checks + 0 AS CHAR)", "1"),
        ("SELECT @@tx_isolation", "READ-COMMITTED"),
        ("SELECT @@collation_connection", "utf8mb4_bin"),
        ("SELECT @@character_set_client", "utf8mb4"),
        ("SELECT @@character_set_results", "utf8mb4"),
        ("SELECT @@lc_messages", "en_US"),
        ("SELECT CAST(ROUND(@@max_statement_time) AS CHAR)", "30"),
        ("SELECT CAST(FROM_UNIXTIME(0) AS CHAR)", "1970-01-01 00:00:00"),
        ("SELECT CAST('a' = 'A' AS CHAR)", "0"),
    ] {
        assert_eq!(ask(&mut conn, sql), wanted, "{sql}");
    }
    run(&mut conn, "CREATE TABLE zero (at DATETIME, name VARCHAR(3))");
    run(&mut conn, "INSERT INTO zero VALUES ('0000-00-00', 'a')");
    assert_eq!(ask(&mut conn, "SELECT CAST(at AS CHAR) FROM zero"), "0000-00-00 00:00:00");
    fail(&mut conn, "UPDATE zero SET name = 'long'");
    assert_eq!(run(&mut conn, "UPDATE zero SET name = 'a'"), 1, "matched rows are counted, not changed ones");
    conn.allow_long_reads().unwrap();
    assert_eq!(ask(&mut conn, "SELECT CAST(ROUND(@@max_statement_time) AS CHAR)"), "21600");
    drop(conn);
    let mut conn = database.conn().unwrap();
    assert_eq!(ask(&mut conn, "SELECT CAST(ROUND(@@max_statement_time) AS CHAR)"), "30");
}

#[test]
fn the_session_of_sqlite_is_set() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a b%20?#é.db");
    std::fs::write(&file, "").unwrap();
    let database = open(&format!("sqlite:{}", file.display()));
    let mut conn = database.conn().unwrap();
    for (sql, wanted) in [
        ("SELECT CAST(foreign_keys AS TEXT) FROM pragma_foreign_keys", "1"),
        ("SELECT CAST(secure_delete AS TEXT) FROM pragma_secure_delete", "1"),
        ("SELECT CAST(trusted_schema AS TEXT) FROM pragma_trusted_schema", "0"),
        ("SELECT CAST(timeout AS TEXT) FROM pragma_busy_timeout", "5000"),
        ("SELECT CAST(synchronous AS TEXT) FROM pragma_synchronous", "2"),
        ("SELECT journal_mode FROM pragma_journal_mode", "delete"),
    ] {
        assert_eq!(ask(&mut conn, sql), wanted, "{sql}");
    }
    run(&mut conn, "CREATE TABLE t (id INTEGER PRIMARY KEY)");
    assert!(std::fs::metadata(&file).unwrap().len() > 0, "the very file was written");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "and no other was made");
    let folder_mode = folder.path().join("state.db");
    let mut state = spec(&format!("sqlite:{}", folder_mode.display()));
    state.create = true;
    let database = Database::open(state).unwrap();
    assert_eq!(ask(&mut database.conn().unwrap(), "SELECT journal_mode FROM pragma_journal_mode"), "wal");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&folder_mode).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
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
fn locks_and_timeouts_are_told_apart() {
    let three = three();
    for url in &three.urls {
        let database = open(url);
        let mut one = database.conn().unwrap();
        let mut two = database.conn().unwrap();
        run(&mut one, "CREATE TABLE t (id bigint PRIMARY KEY, n bigint)");
        run(&mut one, "INSERT INTO t VALUES (1, 0), (2, 0)");
        let sqlite = one.backend() == Backend::Sqlite;
        one.transaction(Access::ReadWrite, |one| {
            run(one, "UPDATE t SET n = 1 WHERE id = 1");
            let error = two
                .transaction(Access::ReadWrite, |two| two.execute(&Stmt::new("UPDATE t SET n = 2 WHERE id = 1")))
                .unwrap_err();
            assert_eq!(error.kind, ErrorKind::LockTimeout, "{url}: {error}");
            assert!(error.is_transient());
            Ok::<_, StoreError>(())
        })
        .unwrap();
        assert_eq!(ask(&mut two, "SELECT CAST(n AS char(1)) FROM t WHERE id = 1"), "1");
        if !sqlite {
            two.set_statement_timeout(100).unwrap();
            let sql = if two.backend() == Backend::Postgres {
                "DELETE FROM t WHERE n = 7 AND pg_sleep(3) IS NOT NULL OR pg_sleep(3) IS NULL"
            } else {
                "DELETE FROM t WHERE n = 7 OR SLEEP(3) = 5"
            };
            let error = fail(&mut two, sql);
            assert_eq!(error.kind, ErrorKind::StatementTimeout, "{url}: {error}");
        }
    }
}

#[test]
fn a_deadlock_is_a_conflict_and_undoes_everything() {
    let three = three();
    for url in &three.urls[..2] {
        let database = open(url);
        let mut conn = database.conn().unwrap();
        run(&mut conn, "CREATE TABLE t (id bigint PRIMARY KEY, n bigint)");
        run(&mut conn, "INSERT INTO t VALUES (1, 0), (2, 0)");
        drop(conn);
        let barrier = std::sync::Barrier::new(2);
        let work = |first: &'static str, second: &'static str| {
            let mut conn = database.conn().unwrap();
            if conn.backend() == Backend::Postgres {
                // Longer than deadlock_timeout, so that the deadlock is found first.
                conn.rows(&Stmt::new("SELECT set_config('lock_timeout', '10s', false)")).unwrap();
            }
            conn.transaction(Access::ReadWrite, |conn| {
                run(conn, first);
                barrier.wait();
                // The error is swallowed on purpose: the transaction must not be taken for a success.
                Ok::<_, StoreError>(conn.execute(&Stmt::new(second)).err().map(|error| error.kind))
            })
        };
        let (one, two) = std::thread::scope(|scope| {
            let one = scope.spawn(|| work("UPDATE t SET n = 1 WHERE id = 1", "UPDATE t SET n = 1 WHERE id = 2"));
            let two = scope.spawn(|| work("UPDATE t SET n = 2 WHERE id = 2", "UPDATE t SET n = 2 WHERE id = 1"));
            (one.join().unwrap(), two.join().unwrap())
        });
        let winners = [&one, &two].into_iter().filter(|outcome| matches!(outcome, Ok(None))).count();
        let losers = [&one, &two].into_iter().filter(|outcome| outcome.is_err()).count();
        // MariaDB's sessions do not wait for locks at all, so there both may lose.
        let waits = url.starts_with("postgres");
        assert!(winners + losers == 2 && (winners == 1 || !waits && winners == 0), "{url}: {one:?} {two:?}");
        let all = ask(&mut database.conn().unwrap(), "SELECT CAST(min(n) * 10 + max(n) AS char(2)) FROM t");
        assert!(all == "11" || all == "22" || winners == 0 && all == "0", "{url}: half of a transaction stayed: {all}");
    }
}

#[test]
fn constraints_privileges_and_data_are_told_apart_and_values_stay_out() {
    let three = three();
    for url in &three.urls {
        let database = open(url);
        let mut conn = database.conn().unwrap();
        run(
            &mut conn,
            "CREATE TABLE parent (id bigint PRIMARY KEY, email varchar(40) NOT NULL UNIQUE, \
                        CONSTRAINT positive CHECK (id > 0))",
        );
        run(
            &mut conn,
            "CREATE TABLE child (id bigint PRIMARY KEY, pid bigint NOT NULL, \
                        CONSTRAINT child_parent FOREIGN KEY (pid) REFERENCES parent (id))",
        );
        run(&mut conn, "INSERT INTO parent VALUES (1, 'jose@example.org'), (2, 'deadlock detected')");
        run(&mut conn, "INSERT INTO child VALUES (1, 1)");
        let fk = fail(&mut conn, "DELETE FROM parent WHERE id = 1");
        assert_eq!(fk.kind, ErrorKind::ForeignKey, "{url}: {fk}");
        assert!(url.starts_with("sqlite") || fk.to_string().contains("child_parent"), "{url}: {fk}");
        assert_eq!(fail(&mut conn, "INSERT INTO child VALUES (2, 99)").kind, ErrorKind::ForeignKey, "{url}");
        for sql in [
            "INSERT INTO parent VALUES (3, 'jose@example.org')",
            "INSERT INTO parent VALUES (3, 'deadlock detected')",
            "UPDATE parent SET email = NULL",
            "UPDATE parent SET id = -1 WHERE id = 2",
        ] {
            let error = fail(&mut conn, sql);
            assert_eq!(error.kind, ErrorKind::Constraint, "{url}: {sql}: {error}");
            assert!(!error.to_string().contains("jose"), "{error}");
        }
        let error = fail(&mut conn, "DELETE FROM parent WHERE nonsense = 'jose@example.org'");
        assert_eq!(error.kind, ErrorKind::Other);
        assert!(!error.to_string().contains("jose"), "{error}");
    }
}

#[test]
fn a_missing_privilege_is_told() {
    let postgres = support::postgres();
    let url = postgres.fresh_database();
    let mut conn = open(&url).conn().unwrap();
    run(&mut conn, "CREATE TABLE t (id bigint)");
    drop(conn.execute(&Stmt::new("CREATE ROLE store_test_reader LOGIN")));
    run(&mut conn, "GRANT SELECT ON t TO store_test_reader");
    let reader = url.replacen("//postgres@", "//store_test_reader@", 1);
    assert_eq!(fail(&mut open(&reader).conn().unwrap(), "DELETE FROM t").kind, ErrorKind::Permission);

    let url = support::mariadb().fresh_database();
    let mut conn = open(&url).conn().unwrap();
    run(&mut conn, "CREATE TABLE t (id bigint)");
    run(&mut conn, "CREATE OR REPLACE USER store_test_reader@'127.0.0.1'");
    run(&mut conn, "GRANT SELECT ON *.* TO store_test_reader@'127.0.0.1'");
    let reader = url.replacen("root", "store_test_reader", 1);
    assert_eq!(fail(&mut open(&reader).conn().unwrap(), "DELETE FROM t").kind, ErrorKind::Permission);
}

/// A role that may not choose the language of errors: refused where the server speaks another one, and told what helps.
#[test]
fn a_server_of_another_language_is_refused() {
    let url = support::postgres().fresh_database();
    let mut conn = open(&url).conn().unwrap();
    drop(conn.execute(&Stmt::new("CREATE ROLE store_test_german LOGIN")));
    run(&mut conn, "ALTER ROLE store_test_german SET lc_messages = 'de_DE.utf8'");
    let german = url.replacen("//postgres@", "//store_test_german@", 1);
    let error = Database::open(spec(&german)).err().unwrap();
    assert_eq!(error.kind, ErrorKind::Refused, "{error}");
    assert!(error.to_string().contains("ALTER ROLE store_test_german SET lc_messages = 'C'"), "{error}");

    run(&mut conn, "ALTER ROLE store_test_german SET lc_messages = 'C'");
    run(&mut conn, "CREATE TABLE t (id bigint)");
    let mut conn = open(&german).conn().unwrap();
    assert_eq!(fail(&mut conn, "DELETE FROM t").kind, ErrorKind::Permission);
    drop(conn);
    // A superuser's own connections speak English, whatever its role says.
    let mut conn = open(&url).conn().unwrap();
    run(&mut conn, "ALTER ROLE store_test_german SUPERUSER");
    run(&mut conn, "ALTER ROLE store_test_german SET lc_messages = 'de_DE.utf8'");
    assert_eq!(ask(&mut open(&german).conn().unwrap(), "SELECT current_setting('lc_messages')"), "C");
    run(&mut conn, "ALTER ROLE store_test_german NOSUPERUSER");
}

#[test]
fn a_lost_connection_is_told_and_replaced() {
    let three = three();
    for url in &three.urls[..2] {
        let database = open(url);
        let mut victim = database.conn().unwrap();
        let mut killer = database.conn().unwrap();
        let mut kill = if victim.backend() == Backend::Postgres {
            let id: i64 = ask(&mut victim, "SELECT CAST(pg_backend_pid() AS text)").parse().unwrap();
            let mut stmt = Stmt::new("SELECT CAST(pg_terminate_backend(CAST(");
            stmt.value(id).sql(" AS integer)) AS text)");
            stmt
        } else {
            let id: i64 = ask(&mut victim, "SELECT CAST(CONNECTION_ID() AS CHAR)").parse().unwrap();
            let mut stmt = Stmt::new("KILL ");
            stmt.value(id);
            stmt
        };
        drop(killer.rows(kill.sql("")));
        std::thread::sleep(std::time::Duration::from_millis(300));
        let error = fail(&mut victim, "DELETE FROM nothing");
        assert_eq!(error.kind, ErrorKind::Unreachable, "{url}: {error}");
        drop(victim);
        let mut fresh = database.conn().unwrap();
        assert_eq!(ask(&mut fresh, "SELECT CAST(1 AS char(1))"), "1", "{url}");
    }
}

#[test]
fn a_read_only_transaction_cannot_write_and_leaves_nothing_behind() {
    let three = three();
    for url in &three.urls {
        let database = open(url);
        let mut conn = database.conn().unwrap();
        run(&mut conn, "CREATE TABLE t (id bigint PRIMARY KEY)");
        let error = conn
            .transaction(Access::ReadOnly, |conn| conn.execute(&Stmt::new("INSERT INTO t VALUES (1)")))
            .unwrap_err();
        assert_eq!(error.kind, ErrorKind::Refused, "{url}: {error}");
        assert_eq!(run(&mut conn, "INSERT INTO t VALUES (2)"), 1);
        // A failed statement that the caller forgives is no success.
        let forgiven = conn.transaction(Access::ReadWrite, |conn| {
            run(conn, "INSERT INTO t VALUES (3)");
            drop(conn.execute(&Stmt::new("INSERT INTO nothing VALUES (1)")));
            Ok::<_, StoreError>(())
        });
        assert!(forgiven.is_err(), "{url}");
        assert_eq!(ask(&mut conn, "SELECT CAST(count(*) AS char(1)) FROM t"), "1", "{url}");
        // And a unique violation may be forgiven where the database goes on after it.
        let mut stmt = Stmt::new("INSERT INTO t VALUES (");
        stmt.value(Bind::Integer(2)).sql(")");
        let forgiven = conn.transaction(Access::ReadWrite, |conn| {
            run(conn, "INSERT INTO t VALUES (4)");
            drop(conn.execute(&stmt));
            Ok::<_, StoreError>(())
        });
        assert_eq!(forgiven.is_ok(), !url.starts_with("postgres"), "{url}");
        assert_eq!(
            conn.transaction(Access::ReadWrite, |conn| Ok::<_, StoreError>(run(conn, "DELETE FROM t WHERE id = 2")))
                .unwrap(),
            1
        );
    }
}

#[test]
fn a_commit_that_fails_is_an_error_and_the_connection_goes_on() {
    let three = three();
    for url in [&three.urls[0], &three.urls[2]] {
        let database = open(url);
        let mut conn = database.conn().unwrap();
        run(&mut conn, "CREATE TABLE p (id bigint PRIMARY KEY)");
        run(&mut conn, "CREATE TABLE c (pid bigint REFERENCES p (id) DEFERRABLE INITIALLY DEFERRED)");
        let error = conn
            .transaction(Access::ReadWrite, |conn| conn.execute(&Stmt::new("INSERT INTO c VALUES (7)")))
            .unwrap_err();
        assert_eq!(error.kind, ErrorKind::ForeignKey, "{url}: {error}");
        conn.transaction(Access::ReadWrite, |conn| conn.execute(&Stmt::new("INSERT INTO p VALUES (7)"))).unwrap();
        assert_eq!(ask(&mut conn, "SELECT CAST(count(*) AS char(1)) FROM c"), "0", "{url}");
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
