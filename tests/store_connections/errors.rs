//! Errors are told apart, and leave no values in their words.

use super::*;

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
