//! What stops a run: brakes before the first row, the window and a signal between two batches.

use std::process::Command;
use std::time::Duration;

use crate::client::{ALL, Db};
use crate::families::{civil, entry};
use crate::site::{Site, answer, now};

/// Several batches, also where a batch takes many pages.
const ROWS: u64 = 30_000;

fn site(db: Db, keep: &str, brakes: &str, job: &str) -> Site {
    let schema = "CREATE TABLE logs (id {big} PRIMARY KEY, at {civil}, fate {text}); CREATE INDEX logs_at ON logs (at);
        CREATE TABLE notes (id {big} PRIMARY KEY, log {big}); CREATE INDEX notes_log ON notes (log);";
    let policy = format!(
        "[brakes]\n{brakes}\n{}[jobs.it]\nkind = \"retention_purge\"\ndata = [\"logs\"]\nkeep = \"{keep}\"\n{job}\n",
        entry("logs", &format!("time = {}", civil(db)))
    );
    let site = Site::new(db, schema, &["logs"], &policy);
    let rows: Vec<String> = (0..ROWS + 100)
        .map(|id| {
            let (year, fate) = if id < ROWS { (2020, "goes") } else { (2030, "stays") };
            format!("{id}, '{year}-01-01 {:02}:{:02}:{:02}', '{fate}'", id / 3_600, id / 60 % 60, id % 60)
        })
        .collect();
    site.database.insert("logs", &rows);
    site
}

#[test]
fn a_brake_stops_the_run_until_it_is_released() {
    for db in ALL {
        for (brake, brakes, limit, found) in [
            ("max_rows", "max_rows = 29999\nmax_percent = 100", 29_999.0, 30_000.0),
            ("max_percent", "max_percent = 99.5", 99.5, 99.7),
        ] {
            let site = site(db, "1 year", brakes, "");
            let before = site.dump("1=1");
            let plan = site.plan("it", &[]);
            assert_eq!(plan.exit, 4, "{db:?} {plan:#?}");
            let run = site.program(&["run", "it"]);
            assert_eq!((run.exit, &run.job()["outcome"]), (4, &"braked".into()), "{db:?} {run:#?}");
            let said = &run.job()["brakes"][0];
            assert_eq!(
                (&said["brake"], said["limit"].as_f64(), said["found"].as_f64()),
                (&brake.into(), Some(limit), Some(found)),
                "{db:?}"
            );
            assert_eq!((site.dump("1=1"), site.ledger()), (before, 0), "{db:?}: a braked run changed something");
            let other = if brake == "max_rows" { "max_percent" } else { "max_rows" };
            assert_eq!(site.program(&["run", "it", "--release-brake", other]).exit, 4, "{db:?}");
            let run = site.program(&["run", "it", "--release-brake", brake]);
            assert_eq!((run.exit, run.rows()), (0, ROWS), "{db:?} {run:#?}");
            assert_eq!((site.fated("goes"), site.fated("stays"), site.ledger()), (0, 100, ROWS), "{db:?}");
        }
    }
}

#[test]
fn a_limit_that_is_just_met_is_no_brake() {
    for db in ALL {
        site(db, "1 year", "max_rows = 30000\nmax_percent = 99.7", "").purge("it");
    }
}

#[test]
fn the_age_floor_cannot_be_released() {
    for db in ALL {
        let site = site(db, "23 hours", "max_percent = 100", "");
        let before = site.dump("1=1");
        let run = site.program(&["run", "it", "--release-brake", "age_floor"]);
        assert_eq!((run.exit, &run.job()["brakes"][0]["brake"]), (4, &"age_floor".into()), "{db:?} {run:#?}");
        assert_eq!((site.dump("1=1"), site.ledger()), (before, 0), "{db:?}");
    }
}

#[test]
fn outside_its_window_a_run_is_truncated() {
    for db in ALL {
        // Open for one hour that is twelve hours away.
        let open = now() + chrono::TimeDelta::hours(12);
        let window =
            format!("window = \"{}-{}\"", open.format("%H:00"), (open + chrono::TimeDelta::hours(1)).format("%H:00"));
        let site = site(db, "1 year", "max_percent = 100", &window);
        let before = site.dump("1=1");
        let run = site.program(&["run", "it"]);
        assert_eq!((run.exit, &run.job()["outcome"], run.rows()), (0, &"truncated".into(), 0), "{db:?} {run:#?}");
        assert_eq!((site.dump("1=1"), site.ledger()), (before, 0), "{db:?}");
        let run = site.program(&["run", "it", "--outside-window"]);
        assert_eq!(
            (run.exit, &run.job()["outcome"], site.fated("goes")),
            (0, &"complete".into(), 0),
            "{db:?} {run:#?}"
        );
    }
}

#[test]
fn a_signal_stops_a_run_and_the_next_completes_it() {
    for db in ALL {
        // With a child the rows go by lists of keys: a stretch of PostgreSQL's pages may hold them all in one batch.
        let notes = entry("notes", "belongs_to = { data = \"logs\", by = \"log\" }");
        let site = site(db, "1 year", "max_percent = 100", &format!("pace = {{ rows_per_second = 3000 }}\n{notes}"));
        let stays = site.dump("fate = 'stays'");
        let child = site.start(&["run", "it"]);
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        while site.ledger() == 0 {
            assert!(std::time::Instant::now() < deadline, "{db:?}: no batch in a minute");
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
        let run = answer(child);
        assert_eq!((run.exit, &run.job()["outcome"]), (0, &"stopped".into()), "{db:?} {run:#?}");
        let left = site.fated("goes");
        assert!(left > 0 && left < ROWS, "{db:?}: {left} rows left");
        assert_eq!((run.rows(), site.ledger()), (ROWS - left, ROWS - left), "{db:?} {run:#?}");
        let next = site.program(&["run", "it", "--unpaced"]);
        assert_eq!((next.exit, next.rows(), &next.job()["outcome"]), (0, left, &"complete".into()), "{db:?} {next:#?}");
        assert_eq!((site.fated("goes"), site.ledger(), site.dump("fate = 'stays'")), (0, ROWS, stays), "{db:?}");
    }
}
