//! What is set on every connection.

use super::*;

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

/// Other tests write to the same server, so nobody but us has written only now and then; that somebody has is seen each time.
#[test]
fn who_writes_to_postgresql_is_seen() {
    let database = open(&support::postgres().fresh_database());
    let (mut ours, mut other) = (database.conn().unwrap(), database.conn().unwrap());
    ours.execute(&Stmt::new("CREATE TABLE t (n integer)")).unwrap();
    let insert = Stmt::new("INSERT INTO t VALUES (1)");
    let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
    let quiet = move |conn: &mut Conn| {
        loop {
            assert!(std::time::Instant::now() < until, "somebody writes all the time");
            if let Some(moment) = conn.quiet_moment().unwrap() {
                return moment;
            }
        }
    };
    while {
        let began = quiet(&mut ours);
        ours.execute(&insert).unwrap();
        assert!(!began.was_ours_alone(&mut other, 1).unwrap(), "another connection cannot tell");
        !began.was_ours_alone(&mut ours, 1).unwrap()
    } {}
    let began = quiet(&mut ours);
    ours.execute(&insert).unwrap();
    other.execute(&insert).unwrap();
    assert!(!began.was_ours_alone(&mut ours, 1).unwrap(), "another wrote");
    let began = quiet(&mut ours);
    assert!(!began.was_ours_alone(&mut ours, u64::MAX / 2).unwrap(), "what was not written is missed");
    while {
        let began = quiet(&mut ours);
        ours.hurry().unwrap();
        ours.execute(&insert).unwrap();
        ours.settle().unwrap();
        !began.was_ours_alone(&mut ours, 1).unwrap()
    } {}
    let begun = other.transaction(Access::ReadWrite, |conn| -> Result<_, StoreError> {
        conn.execute(&insert)?;
        ours.execute(&insert)?;
        ours.quiet_moment()
    });
    assert!(begun.unwrap().is_none(), "another is writing");
    let sqlite = open(&three().urls[2]);
    assert!(sqlite.conn().unwrap().quiet_moment().unwrap().is_none());
}

/// A commit that begins the next transaction: what is asked between them is asked outside, and is there whatever becomes of
/// the next one; the next one is of the kind that is wanted; and nothing is left open.
#[test]
fn transactions_in_a_chain_are_transactions() {
    let url = support::postgres().fresh_database();
    let database = open(&url);
    let mut ours = database.conn().unwrap();
    run(&mut ours, "CREATE TABLE t (n integer PRIMARY KEY)");
    let session = ask(&mut ours, "SELECT CAST(pg_backend_pid() AS text)");
    let elsewhere = |sql: &str| support::run_sql(&url, sql).trim().to_owned();
    let state = || elsewhere(&format!("SELECT state FROM pg_stat_activity WHERE pid = {session};"));
    let all = || elsewhere("SELECT string_agg(CAST(n AS text), ' ' ORDER BY n) FROM t;");
    let timeout = |conn: &mut Conn| ask(conn, "SELECT current_setting('statement_timeout')");
    let insert = ["INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (2)", "INSERT INTO t VALUES (3)"].map(Stmt::new);
    let nothing = |_: &mut Conn| Ok::<_, StoreError>(());

    ours.chain_transactions(true).unwrap();
    ours.transaction(Access::Brief, |conn| conn.execute(&insert[0])).unwrap();
    assert_eq!((all().as_str(), state().as_str()), ("1", "idle in transaction"));
    let within = ours.transaction(Access::Brief, |conn| Ok::<_, StoreError>(timeout(conn))).unwrap();
    assert_eq!(within, "100ms", "the next one is of the same kind");
    assert_eq!(timeout(&mut ours), "30s", "but what is asked between them is asked outside");
    assert_eq!(state(), "idle");

    ours.transaction(Access::Brief, |conn| conn.execute(&insert[1])).unwrap();
    ours.execute(&insert[2]).unwrap();
    let failed = ours.transaction(Access::Brief, |conn| conn.execute(&insert[0]));
    assert!(failed.is_err(), "it is there already");
    assert_eq!(all(), "1 2 3");

    ours.transaction(Access::Brief, nothing).unwrap();
    elsewhere("DELETE FROM t;");
    let refused = ours.transaction(Access::ReadOnly, |conn| conn.execute(&insert[0]));
    assert!(refused.is_err(), "another kind than the one before is begun as such");
    ours.transaction(Access::Brief, nothing).unwrap();
    ours.chain_transactions(false).unwrap();
    assert_eq!((all().as_str(), state().as_str()), ("", "idle"));
}
