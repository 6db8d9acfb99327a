//! Rows that are streamed: all of them, in their order, or an error.

use super::*;

/// Parts of different lengths, NULL among the values, and a reader that has had enough.
#[test]
fn rows_are_streamed_whole_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = folder.path().join("app.db");
    std::fs::write(&sqlite, "").unwrap();
    let sqlite = format!("sqlite:{}", sqlite.display());
    for url in [support::postgres().fresh_database(), support::mariadb().fresh_database(), sqlite] {
        for (count, bytes) in [(0, 1), (20, 1), (220, 1), (3_500, 1), (300, 200_000)] {
            let numbers = format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})");
            let text = match url.split(':').next() {
                Some("sqlite") => format!("replace(printf('%*d', {bytes}, 0), ' ', '0')"),
                _ => format!("repeat('0', {bytes})"),
            };
            let insert = if url.starts_with("mysql") { ("INSERT INTO k0 ", "") } else { ("", "INSERT INTO k0 ") };
            let fill = format!(
                "{}{numbers} {}SELECT i, CASE WHEN i % 3 > 0 THEN {text} END FROM n WHERE {count} > 0",
                insert.0, insert.1
            );
            let most = "SET max_recursive_iterations = 10000".to_owned();
            let create = "CREATE TABLE k0 (id int, c text)".to_owned();
            let create = if url.starts_with("mysql") { create.replace("text", "longtext") } else { create };
            let mut all = vec!["DROP TABLE IF EXISTS k0".to_owned(), create, fill];
            if url.starts_with("mysql") {
                all.insert(2, most);
            }
            load(&url, &all);
            let database = database(&url);
            let mut conn = database.conn().unwrap();
            let catalog = Catalog::read(&mut conn).unwrap();
            let (table, column) = table(&catalog, "k0");
            let rows = streamed(&mut conn, table, column);
            assert_eq!(rows.len(), count, "{url}");
            for (place, (id, text)) in rows.iter().enumerate() {
                assert_eq!(*id, (place + 1).to_string());
                assert_eq!(text.as_ref().map(String::len), ((place + 1) % 3 > 0).then_some(bytes), "{url} {id}");
            }
            let mut seen = 0;
            let mut stmt = Stmt::new("SELECT ");
            read_as_text(&mut stmt, column, conn.backend());
            stmt.sql(" FROM ").name(&table.name);
            let stmt = Streamed { stmt, forms: vec![Form::Text] };
            let enough = conn.transaction(Access::ReadOnly, |conn| {
                conn.each_row(&stmt, |_| {
                    seen += 1;
                    if seen < 30 { Ok(()) } else { Err(StoreError::new(ErrorKind::Other, "enough")) }
                })
            });
            assert_eq!(enough.is_err(), count >= 30, "{url} {count}");
            assert_eq!(seen, count.min(30));
            // A connection whose answer nobody wanted may be gone; the pool has others.
            drop(conn);
            let mut conn = database.conn().unwrap();
            assert_eq!(streamed(&mut conn, table, column).len(), count);
            let wrong = Streamed { stmt: Stmt::new("SELECT 1 FROM nowhere"), forms: vec![Form::Text] };
            let failed = conn.transaction(Access::ReadOnly, |conn| conn.each_row(&wrong, |_| Ok::<(), StoreError>(())));
            assert!(failed.is_err());
        }
    }
}

/// The client library takes such an answer for one that has ended.
#[test]
fn an_answer_that_breaks_off_is_an_error() {
    let database = database(&support::postgres().fresh_database());
    let mut conn = database.conn().unwrap();
    let mut stmt = Stmt::new("SELECT CAST(100 / (50 - n) AS text), ");
    stmt.value("ä'\\\n").sql(", ").value(-7).sql(", CAST(").value(Bind::Real(0.25)).sql(" AS text), encode(");
    stmt.value(Bind::Bytes(vec![0, 255])).sql(", 'hex') FROM generate_series(1, ").policy(60).sql(") AS n");
    let forms = vec![Form::Text, Form::Text, Form::Integer, Form::Text, Form::Text];
    let streamed = Streamed { stmt, forms };
    let mut seen = 0;
    let read = conn.transaction(Access::ReadOnly, |conn| {
        conn.each_row(&streamed, |row| {
            let text = |place| *row.get(place).unwrap().expose();
            let found = [1, 2, 3, 4].map(text);
            assert_eq!(found, ["ä'\\\n", "-7", "0.25", "00ff"], "values come back from the session");
            seen += 1;
            Ok::<(), StoreError>(())
        })
    });
    assert!(read.unwrap_err().to_string().contains("broke its answer off"));
    assert_eq!(seen, 49);
    assert_eq!(conn.rows(&Stmt::new("SELECT '1'")).unwrap().len(), 1, "the connection is as good as before");
    drop(conn);
    // Rows are still to come when the server ends the session.
    let mut many =
        Stmt::new("SELECT CAST(pg_backend_pid() AS text) || repeat('x', 1000) FROM generate_series(1, 100000)");
    many.sql(" AS n");
    let many = Streamed { stmt: many, forms: vec![Form::Text] };
    let mut other = database.conn().unwrap();
    let mut ended = false;
    let read = database.conn().unwrap().transaction(Access::ReadOnly, |conn| {
        conn.each_row(&many, |row| {
            let pid: i64 = row.get(0).unwrap().expose().trim_end_matches('x').parse().unwrap();
            if !std::mem::replace(&mut ended, true) {
                let mut end = Stmt::new("SELECT CAST(pg_terminate_backend(CAST(");
                end.value(pid).sql(" AS integer)) AS text)");
                other.rows(&end)?;
            }
            Ok::<(), StoreError>(())
        })
    });
    assert_eq!(read.unwrap_err().kind, ErrorKind::Unreachable, "and the run is tried again");
}
