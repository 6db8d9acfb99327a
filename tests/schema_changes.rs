//! A table that changes while batches run: the run stops, as failed, and says what has changed.
#![expect(clippy::unwrap_used, reason = "the helpers of a test stop it by panicking")]

mod support;

use std::time::{Duration, Instant};

use support::{Project, run_sql};

/// Enough rows for a run of ten seconds.
const ROWS: u64 = 4_000;

/// What somebody does to the table meanwhile, and what the run says of it.
const CHANGES: [(&str, &str); 3] = [
    ("ALTER TABLE events ADD COLUMN caller varchar(40);", "column `caller`"),
    (
        "CREATE TABLE pieces (id integer PRIMARY KEY, event integer, FOREIGN KEY (event) REFERENCES events (id) ON DELETE CASCADE);",
        "pieces`",
    ),
    // The statement that looks for the next rows fails first.
    ("ALTER TABLE events RENAME COLUMN at TO happened;", "column `at`, column `happened`"),
];

#[test]
fn on_sqlite() {
    let trigger = "CREATE TRIGGER copies AFTER DELETE ON events BEGIN INSERT INTO copied VALUES (old.id); END;";
    for (change, said) in CHANGES.into_iter().chain([(trigger, "trigger `copies`")]) {
        let (_folder, url) = support::sqlite();
        changed(&url, "text", r#"{ column = "at", format = "%Y-%m-%d %H:%M:%S", zone = "UTC" }"#, change, said);
    }
}

#[test]
fn on_postgres() {
    let trigger = "CREATE FUNCTION copy() RETURNS trigger LANGUAGE plpgsql AS \
        'BEGIN INSERT INTO copied VALUES (old.id); RETURN old; END'; \
        CREATE TRIGGER copies AFTER DELETE ON events FOR EACH ROW EXECUTE FUNCTION copy();";
    for (change, said) in CHANGES.into_iter().chain([(trigger, "trigger `copies`")]) {
        let url = support::postgres().fresh_database();
        changed(&url, "timestamp", r#"{ column = "at", zone = "UTC" }"#, change, said);
    }
}

#[test]
fn on_mariadb() {
    let trigger = "CREATE TRIGGER copies AFTER DELETE ON events FOR EACH ROW INSERT INTO copied VALUES (old.id);";
    for (change, said) in CHANGES.into_iter().chain([(trigger, "trigger `copies`")]) {
        let url = support::mariadb().fresh_database();
        changed(&url, "datetime", r#"{ column = "at", zone = "UTC" }"#, change, said);
    }
}

fn changed(url: &str, civil: &str, time: &str, change: &str, said: &str) {
    run_sql(
        url,
        &format!(
            "CREATE TABLE events (id integer PRIMARY KEY, at {civil});
             CREATE TABLE copied (id integer PRIMARY KEY);
             CREATE INDEX events_at ON events (at);"
        ),
    );
    let rows: Vec<String> =
        (1..=ROWS).map(|id| format!("({id}, '2020-01-{:02} 10:00:{:02}')", id % 28 + 1, id % 60)).collect();
    run_sql(url, &format!("INSERT INTO events VALUES {};", rows.join(",")));
    let project = Project::new(&format!(
        "[state]\nurl = \"sqlite:{{dir}}/state.db\"\n[stores.main]\nurl = \"{url}\"\n[categories.some]\ntitle = \"Some\"\n\
         [brakes]\nmax_percent = 100\n\
         [data.events]\nstore = \"main\"\ntable = \"events\"\ncategory = \"some\"\ntime = {time}\n\
         [jobs.events]\nkind = \"retention_purge\"\ndata = [\"events\"]\nkeep = \"1 year\"\npace = {{ rows_per_second = 300 }}\n"
    ));
    project.run(&["init", "main"]).expect_code(0);
    let left = || -> u64 { run_sql(url, "SELECT count(*) FROM events;").trim().parse().unwrap() };
    let started = Instant::now();
    let run = project.spawn(&["run", "events"]);
    while left() == ROWS {
        assert!(started.elapsed() < Duration::from_secs(60), "no batch began");
        std::thread::sleep(Duration::from_millis(20));
    }
    run_sql(url, change);
    let output = support::project::finish(started, run).expect_code(1);
    let stays = "changed while the run was at work";
    assert!(output.stderr.contains(stays) && output.stderr.contains(said), "{change}: {output:#?}");
    let left = left();
    assert!(0 < left && left < ROWS, "{change}: {left} rows are left");
    let history = project.run(&["history", "--format", "json"]).expect_code(0);
    assert!(history.stdout.contains("failed"), "{history:#?}");
    // What was removed until then is in the ledger, and nothing else.
    let ledger = run_sql(url, "SELECT sum(row_count) FROM retentiond_ledger;");
    assert_eq!(ledger.trim().parse::<u64>().unwrap(), ROWS - left, "{change}");
}
