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
