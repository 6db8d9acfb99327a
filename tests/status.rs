//! `status`: whether everything is within policy, and why not; and that retentiond's own memory expires.
#![expect(clippy::unwrap_used, reason = "what goes wrong fails the test")]

mod support;

use chrono::{DateTime, Months, TimeDelta, Utc};
use serde_json::Value;
use support::{Project, mariadb, now, postgres, run_sql};

struct World {
    project: Project,
    store: String,
}

impl World {
    fn new(store: String) -> Self {
        let project = Project::new("");
        project.write("main.db", "");
        let store = store.replace("{dir}", &project.dir().display().to_string());
        let world = Self { project, store };
        world.policy("", "");
        let time = if world.store.starts_with("mysql") { "DATETIME" } else { "TIMESTAMP" };
        world.sql(&format!(
            "CREATE TABLE logs (id INTEGER PRIMARY KEY, at {time} NULL, consent INTEGER); CREATE INDEX logs_at ON logs (at)"
        ));
        world.project.run(&["init", "main"]).expect_code(0);
        world
    }

    fn policy(&self, entry: &str, job: &str) {
        let time = if self.store.starts_with("sqlite") {
            "{ column = \"at\", format = \"%Y-%m-%d %H:%M:%S\", zone = \"UTC\" }"
        } else {
            "{ column = \"at\", zone = \"UTC\" }"
        };
        self.project.write_jobs(&format!(
            "[state]\nurl = \"sqlite:{{dir}}/state.db\"\n[stores.main]\nurl = \"{}\"\n[data.logs]\nstore = \"main\"\ntable = \"logs\"\ncategory = \"reporting_data\"\ntime = {time}\n{entry}\n[jobs.it]\nkind = \"retention_purge\"\ndata = [\"logs\"]\nkeep = \"13 months\"\n{job}\n",
            self.store
        ));
    }

    fn sql(&self, sql: &str) -> String {
        run_sql(&self.store, sql)
    }

    /// Adds a row that expired so long ago.
    fn expired(&self, id: u32, ago: TimeDelta) {
        let at: DateTime<Utc> = now().checked_sub_months(Months::new(13)).unwrap() - ago;
        self.sql(&format!("INSERT INTO logs VALUES ({id}, '{}', 1)", at.format("%Y-%m-%d %H:%M:%S")));
    }

    #[track_caller]
    fn status(&self, args: &[&str], code: i32) -> Value {
        let status = self.project.run(&[&["status", "--format", "json"], args].concat()).expect_code(code).json();
        assert_eq!(status["within_policy"], code == 0, "{status}");
        status["jobs"][0].clone()
    }
}

#[test]
fn what_should_have_gone_is_overdue_until_it_goes() {
    for store in ["sqlite:{dir}/main.db".to_owned(), postgres().fresh_database(), mariadb().fresh_database()] {
        let world = World::new(store);
        assert_eq!(world.status(&[], 0)["overdue_rows"], 0);
        world.sql("INSERT INTO logs VALUES (1, NULL, 1), (2, '2030-01-01 00:00:00', 1), (3, '1970-01-01 00:00:00', 1)");
        world.expired(4, TimeDelta::minutes(24 * 60 - 5));
        world.status(&[], 0);
        // In ten minutes it will have been expired for a day.
        let ahead = (now() + TimeDelta::minutes(10)).to_rfc3339();
        world.status(&["--now", &ahead], 4);
        world.expired(5, TimeDelta::minutes(24 * 60 + 5));
        world.expired(6, TimeDelta::days(40));
        let job = world.status(&[], 4);
        assert_eq!(
            (&job["overdue_rows"], &job["data"][0]["rows"], &job["last_success"]),
            (&2.into(), &2.into(), &Value::Null),
            "{job}"
        );
        let seconds = job["data"][0]["oldest_overdue_seconds"].as_i64().unwrap();
        assert!((39 * 86_400 - 3_700..=39 * 86_400 + 3_700).contains(&seconds), "{job}");
        let screen = world.project.run(&["status"]).expect_code(4).stdout;
        assert!(screen.starts_with("NOT within policy") && screen.contains("never"), "{screen}");
        world.project.run(&["run", "it"]).expect_code(0);
        let job = world.status(&[], 0);
        assert_eq!((&job["overdue_rows"], &job["last_outcome"]), (&0.into(), &"complete".into()), "{job}");
        let screen = world.project.run(&["status"]).expect_code(0).stdout;
        assert!(screen.starts_with("Everything is within policy") && screen.contains("No daemon answers"), "{screen}");
    }
}

#[test]
fn a_schedule_may_let_a_row_wait_for_its_turn() {
    let world = World::new("sqlite:{dir}/main.db".to_owned());
    world.expired(1, TimeDelta::days(3));
    world.status(&[], 4);
    world.policy("", "schedule = \"@weekly\"");
    assert_eq!(world.status(&[], 0)["overdue_after_seconds"], 7 * 86_400);
    world.expired(2, TimeDelta::days(8));
    assert_eq!(world.status(&[], 4)["overdue_rows"], 1);
    world.policy("", "enabled = false");
    assert_eq!(world.status(&[], 0)["enabled"], false);
}

#[test]
fn what_lacks_a_requirement_is_overdue_when_its_job_has_not_run() {
    let world = World::new("sqlite:{dir}/main.db".to_owned());
    world.policy("requires = { consent = 1 }", "");
    world.sql("INSERT INTO logs VALUES (1, '2030-01-01 00:00:00', 0)");
    assert_eq!(world.status(&[], 4)["overdue_rows"], 1);
    world.project.run(&["run", "it"]).expect_code(0);
    world.sql("INSERT INTO logs VALUES (2, '2030-01-01 00:00:00', 0)");
    assert_eq!(world.status(&[], 0)["overdue_rows"], 0);
    let ahead = (now() + TimeDelta::hours(25)).to_rfc3339();
    assert_eq!(world.status(&["--now", &ahead], 4)["overdue_rows"], 1);
}

#[test]
fn status_says_what_holds_a_job_up() {
    let world = World::new("sqlite:{dir}/main.db".to_owned());
    world.sql("INSERT INTO logs WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) SELECT i, '2020-01-01 00:00:00', 1 FROM n");
    world.project.run(&["run", "it"]).expect_code(4);
    let job = world.status(&[], 4);
    let command = job["waiting"]["command"].as_str().unwrap().to_owned();
    assert!(command.starts_with("retentiond approve it "), "{job}");
    let screen = world.project.run(&["status"]).expect_code(4).stdout;
    assert!(screen.contains(&command) && screen.contains("max_percent"), "{screen}");
    world.project.run(&["approve", "it", job["waiting"]["plan"].as_str().unwrap()]).expect_code(0);
    assert!(world.project.run(&["status"]).expect_code(4).stdout.contains("is approved until"));
    world.project.run(&["pause", "it"]).expect_code(0);
    assert!(world.project.run(&["status"]).expect_code(4).stdout.contains("retentiond resume it"));
    world.project.run(&["resume", "it"]).expect_code(0);
    world.project.run(&["run", "it"]).expect_code(0);
    assert_eq!(world.status(&[], 0)["waiting"], Value::Null);
}

#[test]
fn a_store_that_is_away_hides_only_what_it_alone_knows() {
    let world = World::new("sqlite:{dir}/main.db".to_owned());
    let away = "[stores.far]\nurl = \"postgres://nobody@127.0.0.1:1/far\"\n[data.far]\nstore = \"far\"\ntable = \"t\"\ncategory = \"reporting_data\"\ntime = \"at\"\n[jobs.far]\nkind = \"retention_purge\"\ndata = [\"far\"]\nkeep = \"1 year\"\n[jobs.both]\nkind = \"retention_purge\"\ndata = [\"logs\", \"far\"]\nkeep = \"3 years\"\nwhere = { consent = 1 }";
    world.policy("", away);
    let status = |code: i32| world.project.run(&["status", "--format", "json"]).expect_code(code).json();
    let known = status(5);
    let jobs: Vec<_> = known["jobs"].as_array().unwrap().iter().map(|job| job["within_policy"].clone()).collect();
    assert_eq!(jobs, [Value::Null, Value::Null, Value::Bool(true)], "both, far, it: {known}");
    assert_eq!(known["within_policy"], Value::Null);
    assert!(known["stores_away"]["far"].as_str().unwrap().contains("far"), "{known}");
    assert_eq!(known["jobs"][0]["unseen"][0]["data"], "far", "{known}");
    let screen = world.project.run(&["status"]).expect_code(5).stdout;
    assert!(screen.starts_with("NOT KNOWN") && screen.contains("AWAY: store `far`"), "{screen}");
    assert!(screen.contains("? (far is away)"), "{screen}");
    // What is surely overdue counts more than what is not known.
    world.expired(1, TimeDelta::days(3));
    let known = status(4);
    assert_eq!((&known["within_policy"], &known["jobs"][2]["overdue_rows"]), (&false.into(), &1.into()), "{known}");
    assert_eq!(known["jobs"][0]["data"][0]["data"], "logs", "the other entry of a job on both stores: {known}");
}

#[test]
fn status_shows_a_doubt_about_the_clock() {
    let world = World::new("sqlite:{dir}/main.db".to_owned());
    assert!(!world.project.run(&["status"]).expect_code(0).stdout.contains("CLOCK"));
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let state = format!("sqlite:{}", world.project.path("state.db").display());
    run_sql(&state, &format!("INSERT INTO clocks VALUES ('host:{host}', 3600, '2026-03-01 10:00:00')"));
    let screen = world.project.run(&["status"]).expect_code(0).stdout;
    assert!(screen.contains("CLOCK: this machine's clock jumped by 3600 s"), "{screen}");
    let doubts = world.project.run(&["status", "--format", "json"]).json()["clock_doubts"].clone();
    assert_eq!(doubts.as_array().map(Vec::len), Some(1), "{doubts}");
}

#[test]
fn the_state_forgets_by_itself() {
    let world = World::new("sqlite:{dir}/main.db".to_owned());
    let state = format!("sqlite:{}", world.project.path("state.db").display());
    let count = |table: &str| run_sql(&state, &format!("SELECT count(*) FROM {table}")).trim().to_owned();
    world.expired(1, TimeDelta::days(9));
    world.project.run(&["run", "it"]).expect_code(0);
    let age = |months: u32, days: i64| {
        let at = now().checked_sub_months(Months::new(months)).unwrap() - TimeDelta::days(days);
        run_sql(
            &state,
            &format!("UPDATE runs SET started_at = '{0}', ended_at = '{0}'", at.format("%Y-%m-%d %H:%M:%S")),
        );
    };
    age(24, -1);
    world.project.run(&["run", "it"]).expect_code(0);
    assert_eq!(count("runs"), "2", "younger than 24 months");
    age(24, 1);
    let (token, policies) = (run_sql(&state, "SELECT token FROM leases"), count("policies"));
    world.project.run(&["run", "it"]).expect_code(0);
    assert_eq!((count("runs"), count("run_steps"), count("policies")), ("1".to_owned(), "1".to_owned(), policies));
    let after: i64 = run_sql(&state, "SELECT token FROM leases").trim().parse().unwrap();
    assert_eq!(after, token.trim().parse::<i64>().unwrap() + 1, "a token never goes back");
}
