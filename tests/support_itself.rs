//! The shared helper held to its word: servers come up, databases are new, dumps tell values apart.

mod support;

use support::{Project, dump, run_sql, snapshot};

const ODD: [&str; 3] = [
    "CREATE TABLE odd (id int PRIMARY KEY, t text, b bytea, at timestamptz);
     CREATE TABLE retentiond_ledger (id int);
     INSERT INTO odd VALUES (2, NULL, NULL, NULL), (1, E'a\\tb\\nNULL', '\\x00ff', '2024-03-01 00:00:00+02')",
    "CREATE TABLE odd (id int PRIMARY KEY, t text, b blob, at timestamp NULL);
     CREATE TABLE retentiond_ledger (id int);
     INSERT INTO odd VALUES (2, NULL, NULL, NULL), (1, 'a\\tb\\nNULL', x'00ff', '2024-02-29 22:00:00')",
    "CREATE TABLE odd (id int PRIMARY KEY, t text, b blob, at text);
     CREATE TABLE retentiond_ledger (id int);
     INSERT INTO odd VALUES (2, NULL, NULL, NULL), (1, 'a' || char(9) || 'b' || char(10) || 'NULL', x'00ff',
                             '2024-02-29 22:00:00')",
];

#[test]
fn a_fresh_database_is_empty_and_a_dump_tells_values_apart() {
    let (_dir, sqlite) = support::sqlite();
    let urls = [support::postgres().fresh_database(), support::mariadb().fresh_database(), sqlite];
    for (url, odd) in urls.iter().zip(ODD) {
        assert!(snapshot(url).is_empty(), "{url}");
        run_sql(url, odd);
        let rows = dump(url, "odd");
        assert_eq!(rows.len(), 2, "{url}");
        assert_eq!(rows[0][0..2], [Some("1".to_owned()), Some("a\tb\nNULL".to_owned())], "{url}");
        assert!(rows[0][2].as_deref().is_some_and(|bytes| bytes.ends_with("00ff")), "{url}: {rows:?}");
        assert!(rows[0][3].as_deref().is_some_and(|at| at.starts_with("2024-02-29 22:00:00")), "{url}: {rows:?}");
        assert_eq!(rows[1][1..], [None, None, None], "{url}");

        let before = snapshot(url);
        assert_eq!(before.keys().collect::<Vec<_>>(), ["odd"], "{url}: retentiond's own tables are left out");
        assert_eq!(before["odd"].0, 2);
        run_sql(url, "UPDATE odd SET t = 'NULL' WHERE id = 2");
        let after = snapshot(url);
        assert_eq!(after["odd"].0, 2);
        assert_ne!(before["odd"].1, after["odd"].1, "{url}: NULL and the word NULL are not the same");
        run_sql(url, "UPDATE odd SET t = NULL WHERE id = 2");
        assert_eq!(before, snapshot(url), "{url}");
    }
}

#[test]
fn databases_are_not_shared() {
    for server in [support::postgres(), support::mariadb()] {
        let (one, other) = (server.fresh_database(), server.fresh_database());
        run_sql(&one, "CREATE TABLE here (id int)");
        assert_eq!(snapshot(&one).len(), 1, "{one}");
        assert!(snapshot(&other).is_empty(), "{other}");
    }
}

#[test]
#[should_panic(expected = "refused a statement of the test")]
fn a_statement_that_fails_fails_the_test() {
    let (_dir, url) = support::sqlite();
    run_sql(&url, "SELECT 1; SELECT nonsense FROM nowhere; SELECT 2");
}

#[test]
fn a_project_names_its_own_folder_and_runs_the_binary() {
    let project = Project::new("# {dir}\n");
    let jobs = std::fs::read_to_string(project.path("jobs.toml")).unwrap();
    assert_eq!(jobs, format!("# {}\n", project.dir().display()));
    let output = project.run(&["--version"]);
    assert!(output.code.is_some(), "no signal ended it: {output:?}");
}
