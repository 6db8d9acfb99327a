//! A purge that waits for a rollup of what lies below its rows.

use crate::bed::{ALL, Bed, DAYS, Db};

/// Calls with events below them; the events are folded after a year, the calls go after 90 days, but not before.
fn calls(db: Db, after: &str) -> Bed {
    let bed = Bed::new(db, "UTC", DAYS);
    let time = |column: &str| match db {
        Db::Sqlite => format!("time = {{ column = \"{column}\", zone = \"UTC\", format = \"%Y-%m-%d %H:%M:%S\" }}"),
        Db::Postgres => format!("time = \"{column}\""),
        Db::Mariadb => format!("time = {{ column = \"{column}\", zone = \"UTC\" }}"),
    };
    let entry = |name: &str, more: &str| {
        format!("[data.{name}]\nstore = \"main\"\ntable = \"{name}\"\ncategory = \"reporting_data\"\n{more}\n")
    };
    let policy = format!(
        "[state]\nurl = \"sqlite:{{dir}}/state.db\"\n[stores.main]\nurl = \"{}\"\n[brakes]\nmax_percent = 100\n{}{}{}\
         [jobs.events]\nkind = \"audit_rollup\"\ndata = \"events\"\nkeep = \"1 year\"\nbucket = \"day\"\ninto = \"events_daily\"\nmax_runtime = \"30 minutes\"\n\
         [jobs.calls]\nkind = \"retention_purge\"\ndata = [\"calls\"]\nkeep = \"90 days\"\n{after}",
        bed.url,
        entry("calls", &time("ended_at")),
        entry("events", &format!("{}\nbelongs_to = {{ data = \"calls\", by = \"call_id\" }}", time("at"))),
        entry("events_daily", ""),
    );
    let at = match db {
        Db::Sqlite => "TEXT",
        Db::Postgres => "TIMESTAMPTZ",
        Db::Mariadb => "DATETIME",
    };
    bed.sql(&format!(
        "CREATE TABLE calls (id BIGINT NOT NULL PRIMARY KEY, ended_at {at}); CREATE INDEX calls_at ON calls (ended_at);
         CREATE TABLE events (id BIGINT NOT NULL PRIMARY KEY, call_id BIGINT REFERENCES calls (id), at {at});
         CREATE INDEX events_at ON events (at); CREATE INDEX events_call ON events (call_id);"
    ));
    bed.project.write_jobs(&policy);
    bed.program(&["init", "main"]);
    let ago = |days: i64| match db {
        Db::Sqlite => format!("datetime('now', '-{days} days')"),
        Db::Postgres => format!("now() - interval '{days} days'"),
        Db::Mariadb => format!("UTC_TIMESTAMP() - INTERVAL {days} DAY"),
    };
    bed.sql(&format!(
        "INSERT INTO calls VALUES (1, {0}), (2, {1}), (3, {1}), (4, {2});
         INSERT INTO events VALUES (1, 1, {0}), (2, 1, {0}), (3, 2, {1});",
        ago(400),
        ago(200),
        ago(10)
    ));
    bed
}

fn left(bed: &Bed) -> String {
    bed.sql("SELECT id FROM calls ORDER BY id;").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn rows_stay_until_a_summary_covers_what_lies_below_them() {
    for db in ALL {
        let bed = calls(db, "after_rollup = \"events\"\n");
        bed.program(&["run", "calls"]).expect_code(0);
        assert_eq!(left(&bed), "1 2 4", "{db:?}: only the call without events");
        bed.program(&["run", "events"]).expect_code(0);
        let plan = bed.program(&["--format", "json", "plan", "calls"]).expect_code(0).json();
        assert_eq!(plan["jobs"][0]["rows"], 1, "{db:?} {plan}");
        bed.program(&["run", "calls"]).expect_code(0);
        assert_eq!(left(&bed), "2 4", "{db:?}: the events of call 2 are not folded yet");
        assert_eq!(bed.number("SELECT COUNT(*) FROM events;"), 1, "{db:?}");
        assert_eq!(bed.number("SELECT SUM(row_count) FROM events_daily;"), 2, "{db:?}");
        // Without waiting, its event would go with it and be in no summary.
        let bed = calls(db, "");
        bed.program(&["run", "calls"]).expect_code(0);
        assert_eq!((left(&bed).as_str(), bed.number("SELECT COUNT(*) FROM events;")), ("4", 0), "{db:?}");
    }
}

/// The events are counted and stay until their call goes.
#[test]
fn rows_stay_until_what_lies_below_them_is_counted() {
    for db in ALL {
        let bed = calls(db, "after_rollup = \"events\"\n");
        let file = bed.project.path("jobs.toml");
        let written = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, written.replace("keep = \"1 year\"", "purge = false\nafter = \"1 year\"")).unwrap();
        bed.program(&["init", "main"]).expect_code(0);
        bed.program(&["run", "calls"]).expect_code(0);
        assert_eq!(left(&bed), "1 2 4", "{db:?}: only the call without events");
        bed.program(&["run", "events"]).expect_code(0);
        assert_eq!(bed.number("SELECT COUNT(*) FROM events;"), 3, "{db:?}");
        // A late one, which is not counted yet.
        bed.sql("INSERT INTO events SELECT 4, 1, at FROM events WHERE id = 1;");
        bed.program(&["run", "calls"]).expect_code(0);
        assert_eq!(left(&bed), "1 2 4", "{db:?}");
        bed.program(&["run", "events"]).expect_code(0);
        let plan = bed.program(&["--format", "json", "plan", "calls"]).expect_code(0).json();
        assert_eq!(plan["jobs"][0]["rows"], 4, "{db:?}: a call and its events {plan}");
        bed.program(&["run", "calls"]).expect_code(0);
        assert_eq!((left(&bed).as_str(), bed.number("SELECT COUNT(*) FROM events;")), ("2 4", 1), "{db:?}");
        assert_eq!(bed.number("SELECT SUM(row_count) FROM events_daily;"), 3, "{db:?}");
        assert_eq!(bed.number("SELECT COUNT(*) FROM retentiond_folded;"), 0, "{db:?}");
    }
}

#[test]
fn what_cannot_be_waited_for_is_refused() {
    for (after, said) in [
        ("after_rollup = \"audit\"\n", "there is no job `audit` of kind audit_rollup"),
        ("after_rollup = \"calls\"\n", "there is no job `calls` of kind audit_rollup"),
    ] {
        let bed = calls(Db::Sqlite, after);
        let output = bed.program(&["check"]).expect_code(3);
        assert!(output.stderr.contains(said), "{output:?}");
    }
    // A transfer of a call goes with it, and its events may not be folded yet.
    let bed = calls(Db::Sqlite, "after_rollup = \"events\"\n");
    bed.sql("ALTER TABLE calls ADD COLUMN transfer_of BIGINT;");
    let file = bed.project.path("jobs.toml");
    let written = std::fs::read_to_string(&file).unwrap();
    let link = "[data.calls]\nbelongs_to = { data = \"calls\", by = \"transfer_of\" }\n";
    std::fs::write(&file, written.replace("[data.calls]\n", link)).unwrap();
    let output = bed.program(&["check"]).expect_code(3);
    assert!(output.stderr.contains("rows of `calls` belong to one another"), "{output:?}");
}
