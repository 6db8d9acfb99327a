//! Backups that bring back whom an erasure removed: noticed before any ordinary batch, and undone by a replay.
//!
//! `RETENTIOND_TORTURE=long` restores 100 times on each database.
#![expect(clippy::unwrap_used, reason = "the helpers of a test stop it by panicking")]

#[expect(dead_code, reason = "the other test file uses the rest")]
#[path = "erasure/shop.rs"]
mod shop;
mod support;

use std::process::{Command, Stdio};

use shop::{Engine, Shop};

const RESTORED: &str = "was restored";

/// Calls of two customers and a user's, half of them older than a year; a store that a job purges.
fn calls(engine: Engine) -> Shop {
    let time = engine.pick("TEXT", "TIMESTAMP", "DATETIME");
    let schema = format!(
        "CREATE TABLE staff (id BIGINT NOT NULL PRIMARY KEY, email VARCHAR(60));
         CREATE TABLE calls (id BIGINT NOT NULL PRIMARY KEY, caller VARCHAR(40), box VARCHAR(40), at {time}, cc VARCHAR(60));
         CREATE INDEX calls_at ON calls (at);
         INSERT INTO staff VALUES (7, 'Anna@example.org'), (8, 'bert@example.org');"
    );
    let format = engine.pick(", format = \"%Y-%m-%d %H:%M:%S\"", "", "");
    let policy = format!(
        "[people.user]\ndata = \"staff\"\nidentifiers = {{ email = \"email\" }}\n[people.customer]\nidentifiers = [\"phone\"]\n\
         [data.staff]\nstore = \"shop\"\ntable = \"staff\"\ncategory = \"some\"\n\
         [data.calls]\nstore = \"shop\"\ntable = \"calls\"\ncategory = \"some\"\ntime = {{ column = \"at\", zone = \"UTC\"{format} }}\n\
         customer = {{ phone = \"caller\" }}\nuser = {{ column = \"box\", before = \"@\" }}\nmentions = {{ email = [\"cc\"] }}\n\
         [jobs.old]\nkind = \"retention_purge\"\ndata = [\"calls\"]\nkeep = \"2 years\"\n"
    );
    let shop = Shop::new(engine, &policy, &schema);
    fill(&shop);
    shop
}

fn fill(shop: &Shop) {
    shop.sql(
        "INSERT INTO calls VALUES (1, '0401234567', NULL, '2020-01-01 10:00:00', NULL), (2, '+358401234567', NULL, '2035-01-01 10:00:00', NULL),
           (3, '0407654321', NULL, '2020-01-01 10:00:00', 'anna@example.org'), (4, '0407654321', NULL, '2035-01-01 10:00:00', 'anna@example.org'),
           (5, NULL, '7@pbx', '2035-01-01 10:00:00', NULL), (6, NULL, '8@pbx', '2035-01-01 10:00:00', NULL);",
    );
}

/// A backup of the whole database by its own tools.
fn back_up(shop: &Shop, engine: Engine) -> Vec<u8> {
    if engine == Engine::Sqlite {
        return std::fs::read(shop.url.trim_start_matches("sqlite:")).unwrap();
    }
    let output = dump_command(shop, engine).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn dump_command(shop: &Shop, engine: Engine) -> Command {
    if engine == Engine::Postgres {
        let mut command = Command::new("pg_dump");
        command.args(["--clean", "--if-exists", &shop.url]);
        return command;
    }
    let url = url::Url::parse(&shop.url).unwrap();
    let mut command = Command::new("mariadb-dump");
    command.args(["--no-defaults", "--protocol=tcp", "-h", url.host_str().unwrap(), "-u", url.username()]);
    command.args(["-P", &url.port().unwrap().to_string(), url.path().trim_start_matches('/')]);
    command
}

fn restore(shop: &Shop, engine: Engine, backup: &[u8]) {
    if engine == Engine::Sqlite {
        // In place, as a copy over the file is done.
        std::fs::write(shop.url.trim_start_matches("sqlite:"), backup).unwrap();
    } else {
        shop.sql(std::str::from_utf8(backup).unwrap());
    }
}

fn ids(shop: &Shop) -> String {
    shop.sql("SELECT id FROM calls ORDER BY id;").split_whitespace().collect::<Vec<_>>().join(" ")
}

fn erase(shop: &Shop, whom: &[&str]) {
    let whom: Vec<String> = whom.iter().map(|word| (*word).to_owned()).collect();
    shop.erase(&whom, &shop.plan(&whom), "");
}

#[test]
fn sqlite_brings_nobody_back() {
    brings_nobody_back(Engine::Sqlite);
}

#[test]
fn postgres_brings_nobody_back() {
    brings_nobody_back(Engine::Postgres);
}

#[test]
fn mariadb_brings_nobody_back() {
    brings_nobody_back(Engine::Mariadb);
}

fn brings_nobody_back(engine: Engine) {
    let shop = calls(engine);
    let times = if std::env::var("RETENTIOND_TORTURE").is_ok_and(|long| long == "long") { 100 } else { 2 };
    for round in 0..times {
        if round > 0 {
            shop.sql("DELETE FROM calls; DELETE FROM staff; INSERT INTO staff VALUES (7, 'Anna@example.org'), (8, 'b@example.org');");
            fill(&shop);
        }
        let backup = back_up(&shop, engine);
        erase(&shop, &["--customer", "phone=0401234567"]);
        erase(&shop, &["--user", "7"]);
        assert_eq!(ids(&shop), "3 4 6");
        restore(&shop, engine, &backup);
        // Not one ordinary batch, although rows are due, and no other erasure.
        let run = shop.run(&["run", "old"]);
        assert_eq!((run.code, ids(&shop).as_str()), (4, "1 2 3 4 5 6"), "{run:#?}");
        assert!(run.json.to_string().contains(RESTORED), "{run:#?}");
        assert_eq!(run.json["jobs"][0]["outcome"], "failed");
        let other = shop.plan(&["--customer".to_owned(), "phone=0407654321".to_owned()]);
        let other = shop.run(&["erase", "--customer", "phone=0407654321", "--yes-i-mean", &other.name()]);
        assert_eq!((other.code, ids(&shop).as_str()), (4, "1 2 3 4 5 6"), "{other:#?}");
        // Whom the hashes name goes again, by key, by a part of a text, by address and where only mentioned.
        let replay = shop.run(&["replay", "shop"]);
        assert_eq!(replay.code, 0, "{replay:#?}");
        assert_eq!(ids(&shop), "3 4 6", "{replay:#?}");
        assert_eq!(shop.sql("SELECT id FROM staff;"), "8\n");
        assert_eq!(shop.sql("SELECT count(*) FROM calls WHERE cc IS NOT NULL;"), "0\n");
        let run = shop.run(&["run", "old"]);
        assert_eq!((run.code, ids(&shop).as_str()), (0, "4 6"), "{run:#?}");
        let again = shop.run(&["replay", "shop"]);
        assert_eq!((again.code, again.json["found"].as_u64()), (0, Some(0)), "{again:#?}");
    }
}

#[test]
fn under_a_daemon_on_sqlite() {
    under_a_daemon(Engine::Sqlite);
}

#[test]
fn under_a_daemon_on_postgres() {
    under_a_daemon(Engine::Postgres);
}

#[test]
fn under_a_daemon_on_mariadb() {
    under_a_daemon(Engine::Mariadb);
}

/// A daemon, killed at the end of its test.
struct Daemon(std::process::Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// A backup is put back under a daemon whose job is due each second: it does nothing there until the replay, and goes on by
/// itself then.
fn under_a_daemon(engine: Engine) {
    let shop = calls(engine);
    let file = shop.folder.path().join("jobs.toml");
    let policy = std::fs::read_to_string(&file).unwrap() + "schedule = \"* * * * * *\"\n";
    std::fs::write(&file, policy + "[approvals]\nwidened = false\n[brakes]\nmax_percent = 100\n").unwrap();
    let _daemon = Daemon(shop.command(&["serve"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let times = if std::env::var("RETENTIOND_TORTURE").is_ok_and(|long| long == "long") { 100 } else { 1 };
    for _ in 0..times {
        assert_eq!(shop.run(&["pause", "old"]).code, 0);
        // What was begun before the pause ends first.
        comes(&shop, "its end", || latest(&shop).get("outcome").is_none_or(|outcome| !outcome.is_null()));
        shop.sql("DELETE FROM calls; DELETE FROM staff; INSERT INTO staff VALUES (7, 'Anna@example.org'), (8, 'b@example.org');");
        fill(&shop);
        let backup = back_up_live(&shop, engine);
        erase(&shop, &["--customer", "phone=0401234567"]);
        erase(&shop, &["--user", "7"]);
        assert_eq!(ids(&shop), "3 4 6");
        assert_eq!(shop.run(&["resume", "old"]).code, 0);
        comes(&shop, "the ordinary run", || ids(&shop) == "4 6");
        restore_live(&shop, engine, &backup);
        comes(&shop, "a run that is refused", || latest(&shop).to_string().contains(RESTORED));
        let refused = latest(&shop);
        comes(&shop, "another one", || latest(&shop)["run"] != refused["run"] && !latest(&shop)["outcome"].is_null());
        assert_eq!(ids(&shop), "1 2 3 4 5 6", "{engine:?}: an ordinary batch before the replay");
        let replay = shop.run(&["replay", "shop"]);
        assert_eq!(replay.code, 0, "{replay:#?}");
        comes(&shop, "the ordinary run again", || ids(&shop) == "4 6");
        assert_eq!(shop.sql("SELECT id FROM staff;"), "8\n");
        assert_eq!(shop.sql("SELECT count(*) FROM calls WHERE cc IS NOT NULL;"), "0\n");
    }
}

/// The last run of the job.
fn latest(shop: &Shop) -> serde_json::Value {
    let history = shop.run(&["history", "old", "-n", "1"]);
    history.json["runs"][0].clone()
}

fn comes(shop: &Shop, what: &str, mut there: impl FnMut() -> bool) {
    let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !there() {
        assert!(std::time::Instant::now() < until, "{what} does not come: {:#?}", latest(shop));
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

/// A backup of a database that is in use, retentiond's own tables before all others.
fn back_up_live(shop: &Shop, engine: Engine) -> Vec<u8> {
    if engine == Engine::Sqlite {
        let copy = shop.folder.path().join("backup.db");
        sqlite(shop, &format!(".backup {}", copy.display()));
        return copy.to_str().unwrap().as_bytes().to_vec();
    }
    let mut command = dump_command(shop, engine);
    if engine == Engine::Mariadb {
        command.args([
            "retentiond_ledger",
            "retentiond_gate",
            "retentiond_held",
            "retentiond_schema",
            "calls",
            "staff",
        ]);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn restore_live(shop: &Shop, engine: Engine, backup: &[u8]) {
    let backup = std::str::from_utf8(backup).unwrap();
    match engine {
        Engine::Sqlite => sqlite(shop, &format!(".restore {backup}")),
        Engine::Postgres => drop(shop.sql(&format!("BEGIN;\n{backup}\nCOMMIT;\n"))),
        Engine::Mariadb => drop(shop.sql(backup)),
    }
}

/// Says something to the shell of SQLite, by way of which a database in use can be copied and put back.
fn sqlite(shop: &Shop, words: &str) {
    let file = shop.url.trim_start_matches("sqlite:");
    let output = Command::new("sqlite3").args([file, ".timeout 20000", words]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A database that is restored between two batches of a run is noticed by the next batch.
#[test]
fn a_restore_under_a_run_stops_it() {
    for engine in [Engine::Sqlite, Engine::Postgres, Engine::Mariadb] {
        let shop = calls(engine);
        let policy = std::fs::read_to_string(shop.folder.path().join("jobs.toml")).unwrap();
        let slow = policy.replace("pause_ms = 0", "pause_ms = 300\nrows_per_second = 1000");
        std::fs::write(shop.folder.path().join("jobs.toml"), slow + "[brakes]\nmax_percent = 100\n").unwrap();
        let rows: Vec<String> =
            (100..8_100).map(|id| format!("({id}, NULL, NULL, '2020-01-01 10:00:00', NULL)")).collect();
        for part in rows.chunks(1_000) {
            shop.sql(&format!("INSERT INTO calls VALUES {};", part.join(",")));
        }
        let child = shop.command(&["run", "old"]).stdout(Stdio::piped()).spawn().unwrap();
        let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while shop.sql("SELECT count(*) FROM retentiond_ledger;") == "0\n" && std::time::Instant::now() < until {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        shop.sql("DELETE FROM retentiond_ledger;");
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(4), "{engine:?} {said}");
        assert!(said.contains(RESTORED), "{engine:?} {said}");
        let left: u64 = shop.sql("SELECT count(*) FROM calls WHERE id >= 100;").trim().parse().unwrap();
        assert!(left > 0, "{engine:?}: the run went on to its end");
    }
}

/// The state restored from yesterday does not know what the ledger knows: it is not believed until somebody says so.
#[test]
fn a_state_older_than_the_ledger_is_refused() {
    let shop = calls(Engine::Sqlite);
    let state = shop.folder.path().join("state.db");
    let before = std::fs::read(&state).unwrap_or_default();
    assert_eq!(shop.run(&["run", "old"]).code, 0);
    assert_eq!(ids(&shop), "2 4 5 6");
    for file in ["state.db-wal", "state.db-shm"] {
        let file = shop.folder.path().join(file);
        if file.exists() {
            std::fs::write(file, "").unwrap();
        }
    }
    std::fs::write(&state, before).unwrap();
    shop.sql("INSERT INTO calls VALUES (9, NULL, NULL, '2020-01-01 10:00:00', NULL);");
    for _ in 0..2 {
        let run = shop.run(&["run", "old"]);
        assert_eq!((run.code, ids(&shop).as_str()), (4, "2 4 5 6 9"), "{run:#?}");
        assert!(run.json.to_string().contains("knows runs that our own state does not"), "{run:#?}");
    }
    assert_eq!(shop.run(&["replay", "shop", "--adopt"]).code, 0);
    assert_eq!((shop.run(&["run", "old"]).code, ids(&shop).as_str()), (0, "2 4 5 6"));
}
