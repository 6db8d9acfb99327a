//! Killed with SIGKILL at random moments of an erasure, then run again: complete, and nobody else touched.
//!
//! `RETENTIOND_TORTURE=long` kills 200 times on each database; `RETENTIOND_SEED` repeats a run's choices.
#![expect(clippy::unwrap_used, reason = "the helpers of a test stop it by panicking")]

#[expect(dead_code, reason = "the other test file uses the rest")]
#[path = "erasure/shop.rs"]
mod shop;
mod support;

use std::time::{Duration, Instant};

use shop::{Engine, Shop};
use support::Random;

const ACTS: u64 = 4_000;
const SOUNDS: u64 = 300;
/// Of every table, the rows of users 1 and 2.
const TABLES: [&str; 4] = ["users", "acts", "pieces", "sounds"];

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

/// Two users with acts, what belongs to these, and recordings with files; each mentioned by the other.
fn two_users(engine: Engine) -> Shop {
    let schema = "CREATE TABLE users (id BIGINT NOT NULL PRIMARY KEY, email VARCHAR(40));
         CREATE TABLE acts (id BIGINT NOT NULL PRIMARY KEY, owner BIGINT, cc VARCHAR(40));
         CREATE TABLE pieces (id BIGINT NOT NULL PRIMARY KEY, act BIGINT NOT NULL, owner BIGINT NOT NULL, FOREIGN KEY (act) REFERENCES acts (id));
         CREATE TABLE sounds (id BIGINT NOT NULL PRIMARY KEY, owner BIGINT, path VARCHAR(40) NOT NULL);
         CREATE INDEX acts_owner ON acts (owner); CREATE INDEX pieces_act ON pieces (act); CREATE INDEX sounds_owner ON sounds (owner);";
    let entry = |name: &str, rest: &str| {
        format!("[data.{name}]\nstore = \"shop\"\ntable = \"{name}\"\ncategory = \"some\"\n{rest}\n")
    };
    let voice = tempfile::tempdir().unwrap().keep();
    let policy = format!(
        "[people.user]\ndata = \"users\"\nidentifiers = {{ email = \"email\" }}\n[stores.voice]\nurl = \"file:{}\"\n",
        voice.display()
    ) + &entry("users", "")
        + &entry("acts", "user = \"owner\"\nmentions = { email = [\"cc\"] }")
        + &entry("pieces", "belongs_to = { data = \"acts\", by = \"act\" }")
        + &entry("sounds", "user = \"owner\"\nfile = { store = \"voice\", path = \"path\" }");
    let shop = Shop::new(engine, &policy, schema);
    assert_eq!(shop.run(&["init", "voice"]).code, 0);
    let insert = |table: &str, rows: Vec<String>| {
        for part in rows.chunks(1_000) {
            shop.sql(&format!("INSERT INTO {table} VALUES {};", part.join(",")));
        }
    };
    let owner = |id: u64| 1 + id % 2;
    insert("users", vec!["(1, 'One@example.org')".to_owned(), "(2, 'two@example.org')".to_owned()]);
    insert("acts", (1..=ACTS).map(|id| format!("({id}, {}, {})", owner(id), cc(id))).collect());
    insert("pieces", (1..=ACTS).map(|id| format!("({id}, {id}, {})", owner(id))).collect());
    insert("sounds", (1..=SOUNDS).map(|id| format!("({id}, {}, '{id}.wav')", owner(id))).collect());
    for id in 1..=SOUNDS {
        std::fs::write(voice.join(format!("{id}.wav")), id.to_string()).unwrap();
    }
    std::fs::write(shop.folder.path().join("voice"), voice.display().to_string()).unwrap();
    let config = shop.folder.path().join("jobs.toml");
    let slow =
        std::fs::read_to_string(&config).unwrap().replace("pause_ms = 0", "pause_ms = 60\nrows_per_second = 8000");
    std::fs::write(config, slow).unwrap();
    shop
}

/// Some rows of user 2 mention user 1, and so lose that; some of both mention user 2.
fn cc(id: u64) -> &'static str {
    match id % 7 {
        1 => "'one@example.org'",
        2 => "'two@example.org'",
        _ => "NULL",
    }
}

/// What belongs to the other user, but for the mentions of the one who goes.
fn others(shop: &Shop) -> Vec<String> {
    let rows = TABLES.map(|table| {
        let who = if table == "users" { "id" } else { "owner" };
        let columns = if table == "acts" {
            "id, owner, CASE WHEN lower(cc) = 'one@example.org' THEN NULL ELSE cc END"
        } else {
            "*"
        };
        shop.sql(&format!("SELECT {columns} FROM {table} WHERE {who} = 2 ORDER BY id;"))
    });
    rows.into()
}

fn files(shop: &Shop) -> usize {
    let voice = std::fs::read_to_string(shop.folder.path().join("voice")).unwrap();
    let files = std::fs::read_dir(voice).unwrap().filter_map(Result::ok);
    files.filter(|file| file.file_name().to_string_lossy().ends_with(".wav")).count()
}

fn count(shop: &Shop, sql: &str) -> usize {
    shop.sql(sql).trim().parse().unwrap()
}

fn torture(engine: Engine) {
    let wanted = if std::env::var("RETENTIOND_TORTURE").is_ok_and(|long| long == "long") { 200 } else { 3 };
    let mut random = Random::seeded(&format!("erasure killed on {engine:?}"));
    let (mut killed, mut inside) = (0, 0);
    while killed < wanted {
        let shop = two_users(engine);
        let before = others(&shop);
        let whom = ["--user".to_owned(), "1".to_owned()];
        // Growing delays, so that the kills fall on the whole of an erasure.
        for step in 1..=3 {
            let plan = shop.plan(&whom);
            if plan.rows().is_empty() {
                break;
            }
            let mut child = shop.command(&["erase", "--user", "1", "--yes-i-mean", &plan.name()]).spawn().unwrap();
            let until = Instant::now() + Duration::from_millis(150 + random.below(500 * step));
            while Instant::now() < until && child.try_wait().unwrap().is_none() {
                std::thread::sleep(Duration::from_millis(5));
            }
            if child.try_wait().unwrap().is_some() {
                break;
            }
            child.kill().unwrap();
            child.wait().unwrap();
            killed += 1;
            let left = count(&shop, "SELECT count(*) FROM acts WHERE owner = 1;");
            inside += u32::from(left > 0 && left < (ACTS / 2) as usize || shop.plan(&whom).rows() != plan.rows());
            assert_eq!(others(&shop), before, "{engine:?}: somebody else's row changed");
            let user = count(&shop, "SELECT count(*) FROM users WHERE id = 1;");
            assert!(user == 1 || left == 0, "{engine:?}: the person went before their rows");
        }
        let plan = shop.plan(&whom);
        shop.erase(&whom, &plan, "");
        assert_eq!(others(&shop), before, "{engine:?}: somebody else's row changed");
        for table in ["acts", "pieces", "sounds"] {
            assert_eq!(
                count(&shop, &format!("SELECT count(*) FROM {table} WHERE owner = 1;")),
                0,
                "{engine:?} {table}"
            );
        }
        assert_eq!(count(&shop, "SELECT count(*) FROM acts WHERE lower(cc) = 'one@example.org';"), 0);
        assert_eq!(
            files(&shop),
            count(&shop, "SELECT count(*) FROM sounds;"),
            "{engine:?}: rows and files stay together"
        );
        assert_eq!(shop.plan(&whom).rows().len(), 0);
    }
    eprintln!("erasure killed on {engine:?}: {killed} times, {inside} of them within the removal");
}
