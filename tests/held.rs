//! Holds placed while batches run, as fast as they can be: no row goes after its hold was acknowledged.
//!
//! Two runs go on at once, one by stretches of a table, one by lists of parents and their children, while holds are
//! placed through the same code as `retentiond hold add`. Each row that a hold is acknowledged for must be there at the
//! end, as must what it needs. `RETENTIOND_TORTURE=long` places 10 000 holds on each database; `RETENTIOND_SEED` repeats
//! a run's choices.
#![expect(clippy::unwrap_used, reason = "the helpers of a test stop it by panicking")]

mod support;
#[path = "support/world.rs"]
mod world;

use std::fmt::Write as _;
use std::process::Child;

use retentiond::control::holding::{self, NewHold};
use retentiond::control::{Site, load};
use retentiond::holds::About;
use support::{Project, run_sql};
use world::Random;

/// Rows of each table in one round: enough for the runs to last longer than the holds of a round take.
const ROWS: u64 = 2_000;

#[test]
fn on_sqlite() {
    let (_folder, url) = support::sqlite();
    race("sqlite", &url, "text", r#"{ column = "at", format = "%Y-%m-%d %H:%M:%S", zone = "UTC" }"#);
}

#[test]
fn on_postgres() {
    race("postgres", &support::postgres().fresh_database(), "timestamp", r#"{ column = "at", zone = "UTC" }"#);
}

#[test]
fn on_mariadb() {
    race("mariadb", &support::mariadb().fresh_database(), "datetime", r#"{ column = "at", zone = "UTC" }"#);
}

fn race(name: &str, url: &str, civil: &str, time: &str) {
    let long = std::env::var("RETENTIOND_TORTURE").is_ok_and(|long| long == "long");
    let wanted = if long { 10_000 } else { 60 };
    run_sql(
        url,
        &format!(
            "CREATE TABLE singles (id integer PRIMARY KEY, at {civil});
             CREATE TABLE parents (id integer PRIMARY KEY, at {civil});
             CREATE TABLE notes (id integer PRIMARY KEY, parent integer, FOREIGN KEY (parent) REFERENCES parents (id));
             CREATE INDEX singles_at ON singles (at); CREATE INDEX notes_parent ON notes (parent);"
        ),
    );
    let project = Project::new(&policy(url, time));
    project.run(&["init", "main"]).expect_code(0);
    let mut random = Random::seeded(&format!("held on {name}"));
    let (mut next, mut acknowledged, mut asked, mut rounds) = (1, Vec::new(), 0, 0);
    while acknowledged.len() < wanted {
        fill(url, next);
        let site = load(&project.path("jobs.toml"))
            .and_then(|file| Site::open_whole(&std::sync::Arc::new(file)))
            .unwrap_or_else(|failure| panic!("{}", failure.text()));
        let memory = site.open_state().unwrap_or_else(|failure| panic!("{}", failure.text()));
        let mut runs = [project.spawn(&["run", "singles"]), project.spawn(&["run", "parents"])];
        let mut ahead = Vec::new();
        while runs.iter_mut().any(is_running) && acknowledged.len() < wanted {
            if ahead.is_empty() {
                ahead = next_to_go(url);
            }
            let at = (random.unit() * ahead.len() as f64) as usize;
            if at >= ahead.len() {
                continue;
            }
            let (data, id) = ahead.swap_remove(at);
            // Some are left out, so that those who come next are looked at soon.
            ahead.truncate(ahead.len() / 2);
            let new = NewHold {
                case: format!("case-{asked}").parse().unwrap(),
                about: About::Rows { data: data.parse().unwrap(), only: vec![format!("id={id}")] },
                why: "a race".to_owned(),
                until: None,
                by: "test".to_owned(),
            };
            asked += 1;
            let rows = holding::add(&site, &memory, &new, now()).unwrap_or_else(|failure| panic!("{}", failure.text()));
            if rows.values().sum::<u64>() == 1 {
                acknowledged.push((data, id));
            }
        }
        for mut run in runs {
            run.wait().unwrap();
        }
        next += ROWS;
        rounds += 1;
    }
    // Whatever was not held goes with a last run.
    for job in ["singles", "parents"] {
        let last = project.run(&["run", job]);
        assert!(matches!(last.code, Some(0 | 4)), "{last:#?}");
    }
    let lost = check(url, &acknowledged);
    eprintln!("held on {name}: {} acknowledged of {asked} asked, {rounds} rounds, {lost} lost", acknowledged.len());
    assert_eq!(lost, 0, "{name}: rows went after their hold was acknowledged");
    assert!(asked > acknowledged.len() || !long, "{name}: no hold came too late, so nothing raced");
}

fn policy(url: &str, time: &str) -> String {
    let entry = |name: &str, keys: &str| {
        format!("[data.{name}]\nstore = \"main\"\ntable = \"{name}\"\ncategory = \"some\"\n{keys}\n")
    };
    let job = |name: &str| {
        format!(
            "[jobs.{name}]\nkind = \"retention_purge\"\ndata = [\"{name}\"]\nkeep = \"1 year\"\npace = {{ rows_per_second = 600, pause_ms = 1 }}\n"
        )
    };
    [
        format!(
            "[state]\nurl = \"sqlite:{{dir}}/state.db\"\n[stores.main]\nurl = \"{url}\"\n[categories.some]\ntitle = \"Some\"\n\
             [brakes]\nmax_percent = 100\nmax_rows = 10000000\nmax_times_usual = 1000000\n"
        ),
        entry("singles", &format!("time = {time}")),
        entry("parents", &format!("time = {time}")),
        entry("notes", "belongs_to = { data = \"parents\", by = \"parent\" }"),
        job("singles"),
        job("parents"),
    ]
    .concat()
}

/// Old rows with ids from `first` on; each note has a parent of its own number.
fn fill(url: &str, first: u64) {
    let ids = || first..first + ROWS;
    let mut sql = String::from("INSERT INTO singles VALUES ");
    let dated = |sql: &mut String| {
        for (index, id) in ids().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(sql, "{comma}({id}, '2020-01-{:02} 10:00:{:02}')", id % 28 + 1, id % 60).unwrap();
        }
    };
    dated(&mut sql);
    sql.push_str("; INSERT INTO parents VALUES ");
    dated(&mut sql);
    sql.push_str("; INSERT INTO notes VALUES ");
    let notes: Vec<String> = ids().map(|id| format!("({id}, {id})")).collect();
    run_sql(url, &format!("{sql}{};", notes.join(",")));
}

/// Rows that the next batches will take, and that nobody holds: holds on these race with the batches. Stretches go by the
/// key, parents by their time.
fn next_to_go(url: &str) -> Vec<(&'static str, u64)> {
    let key = if url.starts_with("mysql") {
        "CONCAT(LENGTH(n.id), ':', n.id)"
    } else {
        "LENGTH(CAST(n.id AS TEXT)) || ':' || n.id"
    };
    let ids = |data: &'static str, rest: &str| -> Vec<(&'static str, u64)> {
        let free =
            format!("NOT EXISTS (SELECT 1 FROM retentiond_held h WHERE h.data = '{data}' AND h.row_key = {key})");
        let sql = format!("SELECT n.id FROM {data} n {} LIMIT 60;", rest.replace("FREE", &free));
        run_sql(url, &sql).lines().map(|id| (data, id.parse().unwrap())).collect()
    };
    let mut ahead = ids("singles", "WHERE FREE ORDER BY n.id");
    ahead.append(&mut ids("notes", "JOIN parents p ON p.id = n.parent WHERE FREE ORDER BY p.at, p.id"));
    ahead
}

fn is_running(child: &mut Child) -> bool {
    child.try_wait().unwrap().is_none()
}

/// How many of the rows whose hold was acknowledged are gone, or lack what they need; and nothing else may be left.
fn check(url: &str, acknowledged: &[(&str, u64)]) -> usize {
    let left = |table: &str| -> std::collections::BTreeSet<u64> {
        run_sql(url, &format!("SELECT id FROM {table};")).lines().map(|id| id.parse().unwrap()).collect()
    };
    let (singles, parents, notes) = (left("singles"), left("parents"), left("notes"));
    let held = |data: &str| -> std::collections::BTreeSet<u64> {
        acknowledged.iter().filter(|(of, _)| *of == data).map(|(_, id)| *id).collect()
    };
    let (held_singles, held_notes) = (held("singles"), held("notes"));
    assert!(singles.is_subset(&held_singles) && notes.is_subset(&held_notes), "rows stayed that nobody holds");
    assert_eq!(parents, notes, "a parent goes with its note, or stays with it");
    (held_singles.len() - singles.len()) + (held_notes.len() - notes.len())
}

#[expect(clippy::disallowed_methods, reason = "holds are placed at the present instant")]
fn now() -> chrono::DateTime<chrono::Utc> {
    chrono::Utc::now()
}
