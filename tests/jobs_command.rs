//! `retentiond jobs`: what comes, in the job's zone and UTC, with what daylight saving, a blackout or a pause does to it.
#![expect(clippy::unwrap_used, reason = "the helpers of a test stop it by panicking")]

mod support;

use serde_json::{Value, json};
use support::Project;

const JOBS: &str = r#"
timezone = "Europe/Helsinki"
[state]
url = "sqlite:{dir}/state.db"
[stores.shop]
url = "postgres://nobody@no.such.host.invalid/shop"
[data.orders]
store = "shop"
table = "orders"
category = "contact_data_records"
time = "closed_at"
[jobs.nightly]
kind = "retention_purge"
schedule = "30 3 * * *"
data = ["orders"]
keep = "1 year"
[jobs.office]
kind = "retention_purge"
schedule = "0 8 * * MON-FRI"
timezone = "America/New_York"
blackout = ["2026-03-30/2026-03-31"]
catch_up = "skip"
data = ["orders"]
keep = "2 years"
[jobs.off]
kind = "retention_purge"
schedule = "@hourly"
enabled = false
data = ["orders"]
keep = "3 years"
[jobs.by_hand]
kind = "retention_purge"
data = ["orders"]
keep = "4 years"
"#;

fn job<'a>(answer: &'a Value, name: &str) -> &'a Value {
    answer["jobs"].as_array().unwrap().iter().find(|job| job["job"] == name).unwrap()
}

#[test]
fn coming_runs_are_shown_without_asking_any_store() {
    let project = Project::new(JOBS);
    let args = ["jobs", "--next", "3", "--now", "2026-03-27T11:59:00Z"];
    let json: Value = project.run(&[&args[..], &["--format", "json"]].concat()).expect_code(0).json();
    let names: Vec<&Value> = json["jobs"].as_array().unwrap().iter().map(|job| &job["job"]).collect();
    assert_eq!(names, ["office", "nightly", "by_hand", "off"], "the one that runs next comes first");
    let nightly = job(&json, "nightly");
    assert_eq!(
        nightly["next"],
        json!([
            { "slot": "2026-03-28T01:30:00Z", "slot_local": "2026-03-28T03:30:00+02:00", "start": "2026-03-28T01:30:00Z",
              "start_local": "2026-03-28T03:30:00+02:00", "touched": [] },
            { "slot": "2026-03-29T01:00:00Z", "slot_local": "2026-03-29T04:00:00+03:00", "start": "2026-03-29T01:00:00Z",
              "start_local": "2026-03-29T04:00:00+03:00", "touched": ["clock goes forward: made up after the gap"] },
            { "slot": "2026-03-30T00:30:00Z", "slot_local": "2026-03-30T03:30:00+03:00", "start": "2026-03-30T00:30:00Z",
              "start_local": "2026-03-30T03:30:00+03:00", "touched": [] },
        ])
    );
    assert_eq!(
        (&nightly["in_words"], &nightly["catch_up"], &nightly["paused"]),
        (&json!("At 03:30."), &json!("latest"), &json!(false))
    );
    let office = job(&json, "office");
    assert_eq!(office["next"][0]["start_local"], "2026-03-27T08:00:00-04:00");
    assert_eq!(
        (&office["next"][1]["start"], &office["next"][1]["touched"]),
        (&json!(null), &json!(["blackout: passed over"]))
    );
    assert_eq!((&job(&json, "off")["enabled"], &job(&json, "by_hand")["next"]), (&json!(false), &json!([])));
    let text = project.run(&args).expect_code(0).stdout;
    let line =
        |word: &str| text.lines().find(|line| line.contains(word)).unwrap_or_else(|| panic!("no {word}: {text}"));
    assert!(
        line("nightly").contains("Sat 2026-03-28 03:30:00 EET") && line("nightly").contains("2026-03-28 01:30:00Z")
    );
    assert!(line("goes forward").contains("Sun 2026-03-29 04:00:00 EEST"), "{text}");
    assert!(line("enabled = false").contains("off") && line("by_hand").contains("by hand only"), "{text}");
}

#[test]
fn pauses_and_files_that_are_off_are_shown() {
    let project = Project::new(JOBS);
    let said = |args: &[&str]| project.run(args).expect_code(0).stdout;
    said(&["pause", "nightly"]);
    let json: Value = project.run(&["jobs", "--format", "json"]).expect_code(0).json();
    assert_eq!([&job(&json, "nightly")["paused"], &job(&json, "office")["paused"]], [&json!(true), &json!(false)]);
    assert!(said(&["jobs"]).lines().any(|line| line.contains("nightly") && line.contains("paused")));
    said(&["resume", "nightly"]);
    said(&["pause"]);
    let all = said(&["jobs"]);
    assert_eq!(all.matches("paused").count(), 2, "those with a next run: {all}");
    said(&["resume"]);
    assert!(!said(&["jobs"]).contains("paused"));
    project.write_jobs(&format!("enabled = false\n{JOBS}"));
    let off = said(&["jobs"]);
    assert_eq!(off.matches("the file says enabled = false").count(), 4, "{off}");
}

#[test]
fn schedules_that_cannot_be_are_refused_where_they_stand() {
    let bad = JOBS.replace("30 3 * * *", "30 3 30 2 *").replace("@hourly", "0 25 * * *");
    let answer = Project::new(&bad).run(&["jobs"]).expect_code(3).stderr;
    assert!(answer.contains("never comes") && answer.contains("`25` is no hour"), "{answer}");
    assert!(answer.contains("jobs.toml:14:12") && answer.contains("jobs.toml:27:12"), "{answer}");
    let either = JOBS.replace("30 3 * * *", "30 3 1 * MON");
    let answer = Project::new(&either).run(&["jobs"]).expect_code(0).stderr;
    assert!(answer.contains("days that are either"), "{answer}");
    let never = JOBS.replace("[\"2026-03-30/2026-03-31\"]", "[\"Mon 00:00-Fri 12:00\"]");
    let answer = Project::new(&never).run(&["jobs"]).expect_code(3).stderr;
    assert!(answer.contains("no time to run"), "{answer}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let project = Project::new(JOBS);
    for args in [&["jobs"][..], &["jobs", "--format", "json"], &["history"], &["schema"], &["completions", "bash"]] {
        let started = std::time::Instant::now();
        let mut child = project.spawn(args);
        drop(child.stdout.take());
        let ended = support::project::finish(started, child).expect_code(0);
        assert_eq!(ended.stderr, "", "{args:?}");
    }
}
