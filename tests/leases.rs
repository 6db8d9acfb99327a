//! One process at a time works on a job; what stands in its way ends it clearly and costs nobody else more than a moment.
#![expect(clippy::unwrap_used, reason = "the helpers of a test stop it by panicking")]

mod support;
#[path = "support/world.rs"]
mod world;

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Output, Stdio};
use std::time::{Duration, Instant};

use world::{Engine, Fate, World};

/// So slow that a purge is under way for a second or two.
const SLOW: &str = "rows_per_second = 4000\npause_ms = 50";

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Waits until a run has committed something of an entry, and gives it back still running.
fn under_way(world: &World, args: &[&str], data: &str) -> Child {
    let before = ledger(world, data);
    let mut run = world.start(args);
    let until = Instant::now() + Duration::from_secs(30);
    while ledger(world, data) == before {
        assert!(Instant::now() < until && run.try_wait().unwrap().is_none(), "a run commits its first batch");
        std::thread::sleep(Duration::from_millis(5));
    }
    run
}

fn ledger(world: &World, data: &str) -> u64 {
    let sql = format!("SELECT coalesce(sum(row_count), 0) FROM retentiond_ledger WHERE data = '{data}';");
    world.sql(&sql).trim().parse().unwrap()
}

/// A live run cannot be joined; a killed one can be followed at once, long before its lease would expire.
fn one_at_a_time(engine: Engine) {
    let world = World::new(engine, Fate::Delete, SLOW);
    let mut first = under_way(&world, &["log"], "log");
    let second = world.run(&["log"]);
    assert_eq!(second.status.code(), Some(4), "{}", stderr(&second));
    let message = stderr(&second);
    assert!(message.contains("job log is running already") && message.contains(&first.id().to_string()), "{message}");
    assert!(first.try_wait().unwrap().is_none(), "the first still runs");
    first.kill().unwrap();
    first.wait().unwrap();
    let third = world.run(&["--all"]);
    assert_eq!(third.status.code(), Some(0), "{}", stderr(&third));
    world.check_done();
}

#[test]
fn one_at_a_time_on_sqlite() {
    one_at_a_time(Engine::Sqlite);
}

#[test]
fn one_at_a_time_on_postgres() {
    one_at_a_time(Engine::Postgres);
}

#[test]
fn one_at_a_time_on_mariadb() {
    one_at_a_time(Engine::Mariadb);
}

#[test]
fn two_that_start_at_once_do_not_both_run() {
    let world = World::new(Engine::Sqlite, Fate::Delete, SLOW);
    let both = [world.start(&["log"]), world.start(&["log"])];
    let both = both.map(|run| run.wait_with_output().unwrap());
    let mut codes = both.each_ref().map(|output| output.status.code().unwrap());
    codes.sort_unstable();
    assert_eq!(codes, [0, 4], "{}{}", stderr(&both[0]), stderr(&both[1]));
    assert_eq!(world.run(&["--all"]).status.code(), Some(0));
    world.check_done();
}

/// The server ends the run's sessions while it works.
fn connection_lost(engine: Engine) {
    let world = World::new(engine, Fate::Delete, SLOW);
    for job in ["log", "contacts"] {
        let run = under_way(&world, &[job], job);
        end_sessions(&world);
        let output = run.wait_with_output().unwrap();
        let code = output.status.code();
        assert!(matches!(code, Some(1 | 5)), "exit {code:?}: {}", stderr(&output));
        world.wait_for_quiet();
        world.check_always();
    }
    let output = world.run(&["--all"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    world.check_done();
}

fn end_sessions(world: &World) {
    if world.engine == Engine::Postgres {
        world.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend';",
        );
        return;
    }
    let ids =
        world.sql("SELECT id FROM information_schema.processlist WHERE db = database() AND id <> connection_id();");
    for id in ids.lines() {
        // One that has ended by itself meanwhile is no error.
        world.sql(&format!(
            "DELIMITER //\nBEGIN NOT ATOMIC DECLARE CONTINUE HANDLER FOR 1094 BEGIN END; KILL {id}; END//\n"
        ));
    }
}

#[test]
fn a_lost_connection_on_postgres() {
    connection_lost(Engine::Postgres);
}

#[test]
fn a_lost_connection_on_mariadb() {
    connection_lost(Engine::Mariadb);
}

/// A session of somebody else, kept open.
struct Somebody {
    client: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Somebody {
    fn new(world: &World) -> Self {
        let mut client = world.client().stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (client.stdin.take().unwrap(), BufReader::new(client.stdout.take().unwrap()));
        Self { client, input, output }
    }

    /// Says these statements, and gives the time they took.
    fn say(&mut self, sql: &str) -> Duration {
        let before = Instant::now();
        writeln!(self.input, "{sql} SELECT 'done';").unwrap();
        self.input.flush().unwrap();
        let mut line = String::new();
        while !line.ends_with("done\n") {
            line.clear();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "the client goes on");
        }
        before.elapsed()
    }

    fn leave(mut self) {
        drop(self.input);
        self.client.wait().unwrap();
    }
}

/// Somebody holds a lock on an expired row: the run says so and changes nothing else wrongly, and those who work on
/// other rows, due or not, are not kept waiting.
fn locked_row(engine: Engine) {
    let world = World::new(engine, Fate::Delete, "pause_ms = 20");
    let mut holder = Somebody::new(&world);
    holder.say("BEGIN; UPDATE contacts SET caller = caller WHERE id = 1500;");
    let mut run = world.start(&["contacts"]);
    let mut other = Somebody::new(&world);
    other.say("SELECT 1;");
    let (mut longest, mut id) = (Duration::ZERO, 1);
    while run.try_wait().unwrap().is_none() {
        id = id % 2_990 + 7;
        longest = longest.max(
            other.say(&format!("UPDATE contacts SET caller = caller WHERE id = {};", if id == 1500 { 1 } else { id })),
        );
        std::thread::sleep(Duration::from_millis(3));
    }
    let output = run.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("somebody else holds it"), "{}", stderr(&output));
    eprintln!("{engine:?}: others waited {} ms at most", longest.as_millis());
    assert!(longest < Duration::from_millis(250), "others waited {} ms", longest.as_millis());
    world.check_always();
    holder.say("ROLLBACK;");
    holder.leave();
    other.leave();
    let output = world.run(&["--all"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    world.check_done();
}

#[test]
fn a_locked_row_on_postgres() {
    locked_row(Engine::Postgres);
}

#[test]
fn a_locked_row_on_mariadb() {
    locked_row(Engine::Mariadb);
}
