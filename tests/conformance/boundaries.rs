//! The row just before the cutoff goes, the row at it stays, whatever the kind of the time column.

use chrono::{DateTime, TimeDelta, Utc};

use crate::client::{ALL, Db};
use crate::site::{Site, now};
use crate::support::{Project, run_sql};

/// A kind of time column.
struct Kind {
    name: &'static str,
    column: [&'static str; 3],
    /// The rest of `time = { column = "at", … }`.
    time: [&'static str; 3],
    /// An instant as a literal of this kind, for the tests with the present clock.
    format: fn(Db, DateTime<Utc>) -> String,
}

fn helsinki(at: DateTime<Utc>, format: &str) -> String {
    format!("'{}'", at.with_timezone(&chrono_tz::Europe::Helsinki).format(format))
}

const KINDS: [Kind; 9] = [
    Kind {
        name: "zoned",
        column: ["text", "timestamptz", "timestamp(6) NULL DEFAULT NULL"],
        time: [r#"format = "%Y-%m-%d %H:%M:%S%.f", zone = "UTC""#, "", ""],
        format: |db, at| format!("'{}{}'", at.format("%Y-%m-%d %H:%M:%S%.6f"), db.pick("", "+00", "")),
    },
    Kind {
        name: "civil",
        column: ["datetime", "timestamp", "datetime(6)"],
        time: [
            r#"format = "%Y-%m-%d %H:%M:%S%.f", zone = "Europe/Helsinki""#,
            r#"zone = "Europe/Helsinki""#,
            r#"zone = "Europe/Helsinki""#,
        ],
        format: |_, at| helsinki(at, "%Y-%m-%d %H:%M:%S%.6f"),
    },
    Kind {
        name: "date",
        column: ["date", "date", "date"],
        time: [
            r#"format = "%Y-%m-%d", zone = "Europe/Helsinki""#,
            r#"zone = "Europe/Helsinki""#,
            r#"zone = "Europe/Helsinki""#,
        ],
        format: |_, at| helsinki(at, "%Y-%m-%d"),
    },
    Kind {
        name: "seconds",
        column: ["integer", "bigint", "bigint"],
        time: [r#"unit = "s""#; 3],
        format: |_, at| at.timestamp().to_string(),
    },
    Kind {
        name: "milliseconds",
        column: ["integer", "bigint", "bigint"],
        time: [r#"unit = "ms""#; 3],
        format: |_, at| at.timestamp_millis().to_string(),
    },
    Kind {
        name: "microseconds",
        column: ["integer", "bigint", "bigint"],
        time: [r#"unit = "us""#; 3],
        format: |_, at| at.timestamp_micros().to_string(),
    },
    Kind {
        name: "blank",
        column: ["text", "text", "varchar(40)"],
        time: [r#"format = "%Y-%m-%d %H:%M:%S", zone = "UTC""#; 3],
        format: |_, at| at.format("'%Y-%m-%d %H:%M:%S'").to_string(),
    },
    Kind {
        name: "letters",
        column: ["text", "text", "varchar(40)"],
        time: [r#"format = "%Y-%m-%dT%H:%M:%SZ""#; 3],
        format: |_, at| at.format("'%Y-%m-%dT%H:%M:%SZ'").to_string(),
    },
    Kind {
        name: "fraction",
        column: ["text", "text", "varchar(40)"],
        time: [r#"format = "%Y-%m-%dT%H:%M:%S%.f", zone = "Europe/Helsinki""#; 3],
        format: |_, at| helsinki(at, "%Y-%m-%dT%H:%M:%S%.3f"),
    },
];

fn index(db: Db) -> usize {
    db.pick(0, 1, 2)
}

impl Kind {
    fn named(name: &str) -> &'static Self {
        KINDS.iter().find(|kind| kind.name == name).unwrap()
    }

    fn site(&self, db: Db, keep: &str) -> Site {
        let schema =
            format!("CREATE TABLE logs (id {{big}} PRIMARY KEY, at {}, fate {{text}});", self.column[index(db)]);
        let time = self.time[index(db)];
        let comma = if time.is_empty() { "" } else { ", " };
        let policy = format!(
            "[data.logs]\n{{store}}\ntable = \"logs\"\ntime = {{ column = \"at\"{comma}{time} }}\n\
             [jobs.logs]\nkind = \"retention_purge\"\ndata = [\"logs\"]\nkeep = \"{keep}\"\n"
        );
        Site::new(db, &schema, &["logs"], &policy)
    }
}

/// At the instant `now` (keep is 24 hours), which literals go and which stay.
struct Boundary {
    kind: &'static str,
    now: &'static str,
    goes: &'static [&'static str],
    stays: &'static [&'static str],
}

const fn at(
    kind: &'static str,
    now: &'static str,
    goes: &'static [&'static str],
    stays: &'static [&'static str],
) -> Boundary {
    Boundary { kind, now, goes, stays }
}

/// Autumn: on 26 October 2025 at 01:00 UTC Helsinki went from 04:00 back to 03:00. Spring: on 29 March 2026 at 01:00 UTC
/// from 03:00 on to 04:00.
const BOUNDARIES: &[Boundary] = &[
    at(
        "zoned",
        "2026-06-15T12:00:00Z",
        &["'2026-06-14 11:59:59.999999'", "'2026-06-14 11:59:59'"],
        &["'2026-06-14 12:00:00'", "'2026-06-14 12:00:00.000001'", "'2026-06-14 12:00:01'"],
    ),
    at(
        "civil",
        "2026-06-15T12:00:00Z",
        &["'2026-06-14 14:59:59.999999'", "'2026-06-14 14:59:59'"],
        &["'2026-06-14 15:00:00'", "'2026-06-14 15:00:00.000001'", "'2026-06-14 15:00:01'"],
    ),
    at(
        "civil",
        "2026-01-15T12:00:00Z",
        &["'2026-01-14 13:59:59'"],
        &["'2026-01-14 14:00:00'", "'2026-01-14 14:00:01'"],
    ),
    // Autumn, first pass of the hour: what is stamped in the hour may be of the second pass, so it stays.
    at(
        "civil",
        "2025-10-26T23:59:59Z",
        &["'2025-10-26 02:59:58'"],
        &["'2025-10-26 02:59:59'", "'2025-10-26 03:00:00'"],
    ),
    at(
        "civil",
        "2025-10-27T00:30:00Z",
        &["'2025-10-26 02:59:59'"],
        &["'2025-10-26 03:00:00'", "'2025-10-26 03:29:59'", "'2025-10-26 03:30:00'"],
    ),
    at(
        "civil",
        "2025-10-27T00:59:59Z",
        &["'2025-10-26 02:59:59'"],
        &["'2025-10-26 03:00:00'", "'2025-10-26 03:59:58'"],
    ),
    at(
        "civil",
        "2025-10-27T01:00:00Z",
        &["'2025-10-26 02:59:59'"],
        &["'2025-10-26 03:00:00'", "'2025-10-26 03:59:59'"],
    ),
    at(
        "civil",
        "2025-10-27T01:30:00Z",
        &["'2025-10-26 03:29:59'"],
        &["'2025-10-26 03:30:00'", "'2025-10-26 03:30:01'"],
    ),
    at("civil", "2025-10-27T02:00:00Z", &["'2025-10-26 03:59:59'"], &["'2025-10-26 04:00:00'"]),
    at(
        "civil",
        "2026-03-30T00:59:59Z",
        &["'2026-03-29 02:59:58'"],
        &["'2026-03-29 02:59:59'", "'2026-03-29 04:00:00'"],
    ),
    at(
        "civil",
        "2026-03-30T01:00:00Z",
        &["'2026-03-29 02:59:59'", "'2026-03-29 03:30:00'"],
        &["'2026-03-29 04:00:00'", "'2026-03-29 04:00:01'"],
    ),
    at("date", "2026-06-15T12:00:00Z", &["'2026-06-13'"], &["'2026-06-14'", "'2026-06-15'"]),
    at("date", "2026-06-15T20:59:59Z", &["'2026-06-13'"], &["'2026-06-14'"]),
    at("date", "2026-06-15T21:00:00Z", &["'2026-06-14'"], &["'2026-06-15'"]),
    at("date", "2025-10-26T20:59:59Z", &["'2025-10-24'"], &["'2025-10-25'", "'2025-10-26'"]),
    at("date", "2025-10-27T22:00:00Z", &["'2025-10-26'"], &["'2025-10-27'"]),
    at("date", "2026-03-29T22:00:00Z", &["'2026-03-28'"], &["'2026-03-29'"]),
    at("seconds", "2026-06-15T12:00:00Z", &["1781438399"], &["1781438400", "1781438401"]),
    at("milliseconds", "2026-06-15T12:00:00Z", &["1781438399999"], &["1781438400000", "1781438400001"]),
    at("microseconds", "2026-06-15T12:00:00Z", &["1781438399999999"], &["1781438400000000", "1781438400000001"]),
    at("seconds", "2026-06-15T12:00:00.9Z", &["1781438399"], &["1781438400", "1781438401"]),
    at("milliseconds", "2026-06-15T12:00:00.0019Z", &["1781438400000"], &["1781438400001", "1781438400002"]),
    at(
        "blank",
        "2026-06-15T12:00:00Z",
        &["'2026-06-14 11:59:59'"],
        &["'2026-06-14 12:00:00'", "'2026-06-14 12:00:01'"],
    ),
    at(
        "blank",
        "2026-06-15T12:00:00.9Z",
        &["'2026-06-14 11:59:59'"],
        &["'2026-06-14 12:00:00'", "'2026-06-14 12:00:01'"],
    ),
    at(
        "letters",
        "2026-06-15T12:00:00Z",
        &["'2026-06-14T11:59:59Z'"],
        &["'2026-06-14T12:00:00Z'", "'2026-06-14T12:00:01Z'"],
    ),
    at(
        "fraction",
        "2026-06-15T12:00:00Z",
        &["'2026-06-14T14:59:59.999'", "'2026-06-14T14:59:59'"],
        &["'2026-06-14T15:00:00.000'", "'2026-06-14T15:00:00'", "'2026-06-14T15:00:00.001'"],
    ),
    at(
        "fraction",
        "2025-10-27T00:30:00Z",
        &["'2025-10-26T02:59:59.999'"],
        &["'2025-10-26T03:00:00'", "'2025-10-26T03:29:59.5'"],
    ),
];

#[test]
fn a_plan_knows_the_boundary_to_the_unit() {
    for db in ALL {
        for kind in &KINDS {
            let site = kind.site(db, "24 hours");
            for boundary in BOUNDARIES.iter().filter(|boundary| boundary.kind == kind.name) {
                let rows = boundary
                    .goes
                    .iter()
                    .map(|value| (value, "goes"))
                    .chain(boundary.stays.iter().map(|value| (value, "stays")));
                let rows: Vec<String> =
                    rows.enumerate().map(|(id, (value, fate))| format!("{id}, {value}, '{fate}'")).collect();
                site.database.sql("DELETE FROM logs;");
                site.database.insert("logs", &rows);
                let plan = site.plan("logs", &["--now", boundary.now]);
                assert_eq!(plan.exit, 0, "{db:?} {} {plan:#?}", kind.name);
                let expected = boundary.goes.len() as u64;
                assert_eq!(plan.rows(), expected, "{db:?} {} at {} of {rows:?}", kind.name, boundary.now);
            }
        }
    }
}

#[test]
fn a_run_removes_what_lies_before_the_cutoff() {
    for db in ALL {
        for kind in &KINDS {
            let site = kind.site(db, "2 days");
            let cutoff = now() - TimeDelta::days(2);
            // The run's clock is some seconds ahead of this one; a date counts whole days.
            let (before, after) = if kind.name == "date" { (86_400, 86_400) } else { (5, 90) };
            let rows: Vec<String> = (0..40)
                .map(|step| (step, cutoff - TimeDelta::seconds(before + step * 86_401), "goes"))
                .chain((0..20).map(|step| (100 + step, cutoff + TimeDelta::seconds(after + step * 3_601), "stays")))
                .map(|(id, instant, fate)| format!("{id}, {}, '{fate}'", (kind.format)(db, instant)))
                .collect();
            site.database.insert("logs", &rows);
            let plan = site.purge("logs");
            let said: DateTime<Utc> = plan.job()["cutoff"].as_str().unwrap().parse().unwrap();
            assert!((said - cutoff).num_seconds().abs() < 60, "{db:?}: {said} is not two days ago");
        }
    }
}

/// What a database is set to, sessions inherit: another zone, and days before months.
#[test]
fn the_zone_of_a_session_does_not_move_the_cutoff() {
    let site = Kind::named("zoned").site(Db::Postgres, "24 hours");
    let name = site.database.url.rsplit('/').next().unwrap().to_owned();
    site.database.sql(&format!(
        "ALTER DATABASE {name} SET timezone = 'Pacific/Kiritimati'; ALTER DATABASE {name} SET datestyle = 'SQL, DMY';"
    ));
    let rows = [
        "1, '2026-06-10 14:59:59+03', 'goes'",
        "2, '2026-06-10 02:00:00-10', 'stays'",
        "3, '2026-06-11 02:00:00+14', 'stays'",
    ];
    site.database.insert("logs", &rows.map(str::to_owned));
    let plan = site.plan("logs", &["--now", "2026-06-11T12:00:00Z"]);
    assert_eq!((plan.exit, plan.rows()), (0, 1), "{plan:#?}");
}

/// A row that is made older while a run goes on, so that the run has passed its place already: by stretches of the table, and
/// by lists of parents.
#[test]
fn what_moves_behind_the_walk_goes_too() {
    let notes =
        "CREATE TABLE notes (id integer PRIMARY KEY, t integer REFERENCES t (id)); CREATE INDEX notes_t ON notes (t);";
    let entry = "[data.notes]\nstore = \"main\"\ntable = \"notes\"\ncategory = \"reporting_data\"\nbelongs_to = { data = \"t\", by = \"t\" }\n";
    for (schema, entry) in [("", ""), (notes, entry)] {
        let url = crate::support::postgres().fresh_database();
        run_sql(
            &url,
            &format!(
                "CREATE TABLE t (id integer PRIMARY KEY, at timestamptz NOT NULL); CREATE INDEX t_at ON t (at); {schema}
                 INSERT INTO t SELECT n, CASE WHEN n <= 2000 THEN timestamptz '2020-01-01' ELSE now() - interval '30 days' END + n * interval '1 min'
                 FROM generate_series(1, 12000) AS n; ANALYZE t;"
            ),
        );
        let policy = format!(
            "[state]\nurl = \"sqlite:{{dir}}/state.db\"\n[stores.main]\nurl = \"{url}\"\n[brakes]\nmax_percent = 100\n\
             [data.t]\nstore = \"main\"\ntable = \"t\"\ncategory = \"reporting_data\"\ntime = \"at\"\n{entry}\
             [jobs.t]\nkind = \"retention_purge\"\ndata = [\"t\"]\nkeep = \"1 year\"\n\
             pace = {{ rows_per_second = 700, pause_ms = 1 }}\n"
        );
        let project = Project::new(&policy);
        project.run(&["init", "main"]).expect_code(0);
        let mut run = project.spawn(&["run", "t"]);
        let count = || run_sql(&url, "SELECT count(*) FROM t;").trim().parse::<u32>().unwrap();
        while count() == 12_000 && run.try_wait().unwrap().is_none() {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let going_on = run.try_wait().unwrap().is_none();
        run_sql(&url, "UPDATE t SET at = '2019-01-01' WHERE id = 11000;");
        let ended = run.wait_with_output().unwrap();
        assert!(ended.status.success() && going_on, "{}", String::from_utf8_lossy(&ended.stderr));
        assert_eq!(count(), 9_999);
    }
}
