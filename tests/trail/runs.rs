//! What real runs leave in the trail: all they do, before they do it, and nothing is done without it.

use std::path::PathBuf;
use std::process::Output;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::run_sql;
use crate::world::{Engine, Fate, LOG, World};

const ENGINES: [Engine; 3] = [Engine::Sqlite, Engine::Postgres, Engine::Mariadb];
/// So slow that a purge is under way for a second or two.
const SLOW: &str = "rows_per_second = 4000\npause_ms = 50";

/// A world whose trail is signed with a key of its own, wherever its state is.
fn world(engine: Engine, pace: &str) -> (World, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    std::fs::write(&key, "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n").unwrap();
    let trail = format!("{pace}\n[trail]\norigin = \"example.org/trail\"\nkey = {{ file = \"{}\" }}\n", key.display());
    (World::new(engine, Fate::Delete, &trail), folder)
}

fn audit(world: &World, args: &[&str]) -> Output {
    world.command(&[&["audit"], args].concat()).output().unwrap()
}

fn records(world: &World, args: &[&str]) -> Vec<Value> {
    let output = audit(world, &[&["show", "-n", "0", "--format", "json"], args].concat());
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    json["records"].as_array().unwrap().clone()
}

fn kinds(records: &[Value]) -> Vec<&str> {
    records.iter().map(|record| record["type"].as_str().unwrap()).collect()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The trail's own last checkpoint, as an auditor would have kept it.
fn keep_checkpoint(world: &World, folder: &tempfile::TempDir) -> PathBuf {
    let export = audit(world, &["export"]);
    let text = String::from_utf8(export.stdout).unwrap();
    let last: Value = serde_json::from_str(text.lines().next_back().unwrap()).unwrap();
    let path = folder.path().join("kept");
    std::fs::write(&path, last["checkpoint"].as_str().unwrap()).unwrap();
    path
}

#[test]
fn a_run_is_in_the_trail_and_adds_up() {
    for engine in ENGINES {
        let (world, folder) = world(engine, "");
        let run = world.run(&["--all"]);
        assert_eq!(run.status.code(), Some(0), "{}", said(&run));
        let log = records(&world, &["--job", "log"]);
        assert_eq!(
            kinds(&log),
            ["run.begin", "plan.made", "batches.intent", "batches.done", "run.end"],
            "a quick run is one stretch of batches"
        );
        let (plan, done, end) = (&log[1]["d"], &log[3]["d"], &log[4]["d"]);
        assert_eq!(plan["rows"], LOG / 2);
        assert_eq!(
            done["sums"][0],
            serde_json::json!({"data": "log", "action": "delete", "rows": LOG / 2, "files": 0})
        );
        assert_eq!((&end["outcome"], &end["rows"]), (&Value::from("complete"), &Value::from(LOG / 2)));
        let recorded: u64 =
            records(&world, &["--type", "run.end"]).iter().map(|end| end["d"]["rows"].as_u64().unwrap()).sum();
        let ledger = world.sql("SELECT coalesce(sum(row_count), 0) FROM retentiond_ledger;");
        assert_eq!(recorded.to_string(), ledger.trim(), "the trail says what the ledger says");
        assert_eq!(audit(&world, &["verify"]).status.code(), Some(4), "nothing outside vouches for it");
        let kept = keep_checkpoint(&world, &folder);
        let verified = audit(&world, &["verify", "--known", kept.to_str().unwrap()]);
        assert_eq!(verified.status.code(), Some(0), "{}", said(&verified));
        run_sql(
            &world.state,
            "UPDATE trail_records SET body = replace(body, '\"rows\":10000', '\"rows\":1') WHERE kind = 'run.end';",
        );
        let tampered = audit(&world, &["verify", "--known", kept.to_str().unwrap()]);
        assert_eq!(tampered.status.code(), Some(1), "{}", said(&tampered));
        assert!(said(&tampered).contains(&format!("record {}", log[4]["seq"])), "{}", said(&tampered));
    }
}

/// Lets the state refuse records of a type.
fn refuse(world: &World, kind: &str) {
    run_sql(
        &world.state,
        &match world.engine {
            Engine::Sqlite => format!(
                "CREATE TRIGGER refused BEFORE INSERT ON trail_records WHEN NEW.kind = '{kind}'
                 BEGIN SELECT RAISE(ABORT, 'no space left'); END;"
            ),
            _ => format!("ALTER TABLE trail_records ADD CONSTRAINT refused CHECK (kind <> '{kind}');"),
        },
    );
}

fn allow(world: &World) {
    run_sql(
        &world.state,
        match world.engine {
            Engine::Sqlite => "DROP TRIGGER refused;",
            _ => "ALTER TABLE trail_records DROP CONSTRAINT refused;",
        },
    );
}

#[test]
fn a_trail_that_cannot_be_written_deletes_nothing() {
    for engine in ENGINES {
        let (world, _folder) = world(engine, "");
        let everything = "SELECT count(*) FROM contacts; SELECT count(*) FROM events; SELECT count(*) FROM recordings;
                          SELECT count(*) FROM log; SELECT count(*) FROM retentiond_ledger;";
        let before = world.sql(everything);
        // The state is made by the first command that needs it.
        assert_eq!(audit(&world, &["verify"]).status.code(), Some(4));
        for kind in ["run.begin", "plan.made", "batches.intent"] {
            refuse(&world, kind);
            let run = world.run(&["--all"]);
            assert_ne!(run.status.code(), Some(0), "{engine:?}, {kind}: {}", said(&run));
            assert!(said(&run).contains("audit trail"), "{engine:?}, {kind}: {}", said(&run));
            assert_eq!(world.sql(everything), before, "{engine:?}, {kind}: nothing is done that is not recorded");
            world.check_always();
            allow(&world);
        }
        let run = world.run(&["--all"]);
        assert_eq!(run.status.code(), Some(0), "{}", said(&run));
        world.check_done();
        let verified = audit(&world, &["verify"]);
        assert_eq!(verified.status.code(), Some(4), "an error that passed is no tampering: {}", said(&verified));
    }
}

#[test]
fn a_killed_run_has_one_end() {
    for engine in ENGINES {
        let (world, _folder) = world(engine, SLOW);
        for _ in 0..2 {
            let ledger = || world.sql("SELECT count(*) FROM retentiond_ledger;");
            let (before, until) = (ledger(), Instant::now() + Duration::from_secs(30));
            let mut run = world.start(&["log"]);
            while ledger() == before {
                assert!(Instant::now() < until && run.try_wait().unwrap().is_none(), "it commits a batch");
                std::thread::sleep(Duration::from_millis(5));
            }
            run.kill().unwrap();
            run.wait().unwrap();
            world.wait_for_quiet();
        }
        let open = audit(&world, &["verify", "--format", "json"]);
        let open: Value = serde_json::from_slice(&open.stdout).unwrap();
        assert_eq!(open["verdict"], "unanchored", "{open}");
        assert_eq!(open["open_runs"].as_array().unwrap().len(), 1, "the second was killed, and nothing came after it");
        let last = world.run(&["log"]);
        assert_eq!(last.status.code(), Some(0), "{}", said(&last));
        let ends = records(&world, &["--type", "run.end"]);
        let outcomes: Vec<&str> = ends.iter().map(|end| end["d"]["outcome"].as_str().unwrap()).collect();
        assert_eq!(outcomes, ["interrupted", "interrupted", "complete"], "{engine:?}");
        let found: u64 =
            records(&world, &["--type", "run.found"]).iter().map(|found| found["d"]["rows"].as_u64().unwrap()).sum();
        let all = found + ends[2]["d"]["rows"].as_u64().unwrap();
        assert_eq!(all, LOG / 2, "{engine:?}: what the killed runs did is found in the ledger");
        assert_eq!(audit(&world, &["verify"]).status.code(), Some(4));
    }
}

#[test]
fn nobodys_values_are_in_the_trail() {
    let (world, _folder) = world(Engine::Sqlite, "");
    world.run(&["--all"]);
    let hold = ["hold", "add", "smith-v-acme", "--data", "contacts", "--where", "caller=caller 7", "--why=asked for"];
    assert!(world.command(&hold).output().unwrap().status.success());
    let shown = said(&audit(&world, &["show", "-n", "0"]));
    assert!(shown.contains("hold.add") && shown.contains("data=contacts"), "{shown}");
    for value in ["caller 7", "smith", "asked for", ".wav"] {
        assert!(!shown.contains(value), "{value}: {shown}");
    }
}
