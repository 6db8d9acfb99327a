//! Killed with SIGKILL at random moments of a purge, then run again: nothing that should stay is lost, nothing that
//! should go stays, the ledger counts what is gone, and rows and files stay together.
//!
//! `RETENTIOND_TORTURE=long` kills 200 times on each database; `RETENTIOND_SEED` repeats a run's choices.
#![expect(clippy::unwrap_used, reason = "the helpers of a test stop it by panicking")]

mod support;
#[path = "support/world.rs"]
mod world;

use std::time::{Duration, Instant};

use world::{Engine, Fate, Random, World};

/// Kills in one world, one after the other.
const KILLS: usize = 4;
/// So slow that a purge takes a second or two.
const PACE: &str = "rows_per_second = 8000\npause_ms = 20";

#[test]
fn on_sqlite() {
    torture(Engine::Sqlite);
}

#[test]
fn on_postgres() {
    torture(Engine::Postgres);
}

#[test]
fn on_mariadb() {
    torture(Engine::Mariadb);
}

/// MariaDB commits each statement of DDL by itself, so a kill leaves some of retentiond's own tables and not the others.
#[test]
fn while_tables_are_made_on_mariadb() {
    let world = World::new(Engine::Mariadb, Fate::Delete, PACE);
    world.sql("DROP TABLE retentiond_held; DELETE FROM retentiond_schema;");
    let (_, state) = world.state.rsplit_once('/').unwrap();
    assert_eq!(world.history().len(), 0);
    world.sql(&format!("DROP TABLE {state}.pauses; DELETE FROM {state}.__diesel_schema_migrations;"));
    assert_eq!(world.command(&["init", "db"]).output().unwrap().status.code(), Some(0));
    assert_eq!(world.run(&["--all"]).status.code(), Some(0));
    world.check_done();
}

#[test]
fn a_commit_in_flight_is_waited_for_on_postgres() {
    commit_in_flight(Engine::Postgres, "BEGIN", "FOR SHARE", "pg_sleep(4)");
}

#[test]
fn a_commit_in_flight_is_waited_for_on_mariadb() {
    commit_in_flight(Engine::Mariadb, "START TRANSACTION", "LOCK IN SHARE MODE", "sleep(4)");
}

/// A run is dead, and its server still commits its last batch: the next run must not put the batch's files back.
fn commit_in_flight(engine: Engine, begin: &str, share: &str, sleep: &str) {
    use retentiond::files::{RelativePath, Root, RootOptions};
    const BATCH: &str = "dead-000001";
    let world = World::new(engine, Fate::Delete, PACE);
    let path = world.sql("SELECT path FROM recordings WHERE contact_id = 6;");
    let root = Root::open(&world.voice(), RootOptions::default()).unwrap();
    let mut trash = root.lock().unwrap();
    let mut batch = trash.begin(BATCH).unwrap();
    batch.plan(RelativePath::parse(&retentiond::redact::Sealed::new(path.trim().to_owned())).unwrap());
    assert_eq!(batch.trash_all().unwrap().moved, 1);
    drop(trash);
    // What the dead run's session does, slowly.
    let sql = format!(
        "{begin}; SELECT name FROM retentiond_gate WHERE name = 'hold' {share};
         DELETE FROM recordings WHERE contact_id = 6;
         INSERT INTO retentiond_ledger (batch, run, job, data, action, row_count, file_count, written_at)
         VALUES ('{BATCH}', 'dead', 'contacts', 'recordings', 'delete', 1, 1, '2026-01-01 00:00:00');
         SELECT {sleep}; COMMIT;"
    );
    std::thread::scope(|scope| {
        let session = scope.spawn(|| world.sql(&sql));
        std::thread::sleep(Duration::from_secs(1));
        let output = world.run(&["--all"]);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        session.join().unwrap();
    });
    world.check_done();
}

fn torture(engine: Engine) {
    let wanted = if std::env::var("RETENTIOND_TORTURE").is_ok_and(|long| long == "long") { 200 } else { 8 };
    let mut random = Random::seeded(&format!("killed on {engine:?}"));
    let mut lengths = [Fate::Delete, Fate::Anonymise].map(|fate| (fate, measure(engine, fate))).into_iter().cycle();
    let (mut killed, mut inside) = (0, 0);
    while killed < wanted {
        let (fate, length) = lengths.next().unwrap();
        let world = World::new(engine, fate, PACE);
        let (kills, open) = kill_and_finish(&world, &length, KILLS.min(wanted - killed), &mut random);
        killed += kills;
        inside += open;
    }
    eprintln!("killed on {engine:?}: {killed} times, {inside} of them within a run");
    assert!(inside * 2 >= killed, "most kills hit a run");
}

/// How long an unkilled run takes: until its first batch, and in all.
#[derive(Clone, Copy)]
struct Length {
    start: Duration,
    whole: Duration,
}

fn measure(engine: Engine, fate: Fate) -> Length {
    let world = World::new(engine, fate, PACE);
    let before = Instant::now();
    assert_eq!(world.run(&["--all"]).status.code(), Some(0));
    let whole = before.elapsed();
    world.check_done();
    // With nothing left to do it is all start.
    let before = Instant::now();
    assert_eq!(world.run(&["--all"]).status.code(), Some(0));
    let length = Length { start: before.elapsed().min(whole / 2), whole };
    eprintln!(
        "unkilled on {engine:?}, {fate:?}: {:.1} s, {:.1} s of them before the first batch",
        whole.as_secs_f64(),
        length.start.as_secs_f64()
    );
    length
}

/// Kills up to `kills` times and then lets a run end; gives the number of kills, and how many hit a run that had begun.
fn kill_and_finish(world: &World, length: &Length, kills: usize, random: &mut Random) -> (usize, usize) {
    // Moments uniform over the whole purge; each run goes on where the one before was killed.
    let mut moments: Vec<f64> = (0..kills).map(|_| random.unit()).collect();
    moments.sort_by(f64::total_cmp);
    let (mut killed, mut reached) = (0, 0.0);
    for moment in moments {
        let delay = if random.unit() < 0.1 {
            length.start.mul_f64(random.unit())
        } else {
            length.start + (length.whole - length.start).mul_f64(moment - reached)
        };
        reached = moment;
        let mut run = world.start(&["--all"]);
        std::thread::sleep(delay);
        run.kill().unwrap();
        let output = run.wait_with_output().unwrap();
        if let Some(code) = output.status.code() {
            assert_eq!(code, 0, "{}", String::from_utf8_lossy(&output.stderr));
            break;
        }
        killed += 1;
        // At times the next run is started while the server has not noticed the end of this one.
        if random.coin() {
            world.wait_for_quiet();
            world.check_always();
        }
    }
    let before = world.history();
    let output = world.run(&["--all"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    world.check_done();
    let after = world.history();
    for (id, outcome) in before {
        let now = after.iter().find(|(other, _)| *other == id).and_then(|(_, outcome)| outcome.clone());
        assert_eq!(now.as_deref(), Some(outcome.as_deref().unwrap_or("interrupted")), "what became of run {id}");
    }
    let interrupted = after.iter().filter(|(_, outcome)| outcome.as_deref() == Some("interrupted")).count();
    (killed, interrupted)
}
