//! Killed at random moments while rows keep coming: at every instant that anybody looks, the summaries and the rows that
//! are left amount to the rows that were ever written.
//!
//! `RETENTIOND_TORTURE=long` kills 200 times on each database.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::bed::{Bed, DAYS, Db};

const SLOW: &str = "pace = { rows_per_second = 6000, pause_ms = 5 }\n";
const ADDED: &str = "columns = { period = \"bucket\", row_count = \"count\", octets = \"sum:octets_in\" }\n";
/// Nothing that must be added up: the rows are counted by deleting them.
const COUNTED: &str =
    "columns = { period = \"bucket\", row_count = \"count\", first_at = \"first\", last_at = \"last\" }\n";
const DISTINCT: &str = "columns = { period = \"bucket\", row_count = \"count\", octets = \"sum:octets_in\", supplement = \"supplement\", actors = \"distinct:actor\" }\n";
const ROWS: u64 = 16_000;

#[test]
fn on_sqlite() {
    torture(Db::Sqlite);
}

#[test]
fn on_postgres() {
    torture(Db::Postgres);
}

#[test]
fn on_mariadb() {
    torture(Db::Mariadb);
}

fn kills() -> u64 {
    if std::env::var("RETENTIOND_TORTURE").is_ok_and(|long| long == "long") { 200 } else { 6 }
}

fn random(db: Db) -> impl FnMut(u64) -> u64 {
    let mut seed = std::env::var("RETENTIOND_SEED").ok().map_or_else(
        || u64::from_le_bytes(uuid::Uuid::now_v7().as_bytes()[8..].try_into().unwrap()),
        |seed| seed.parse().unwrap(),
    );
    eprintln!("rollup killed on {db:?}: RETENTIOND_SEED={seed}");
    move |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    }
}

/// Rows that are counted and stay, and a purge that waits for that, killed in turns: what the summaries count, and the rows
/// that are not entered as counted, amount to the rows that were ever written. An entry without its row would show.
#[test]
fn where_rows_stay_each_is_counted_once_on_sqlite() {
    stays(Db::Sqlite);
}

#[test]
fn where_rows_stay_each_is_counted_once_on_postgres() {
    stays(Db::Postgres);
}

#[test]
fn where_rows_stay_each_is_counted_once_on_mariadb() {
    stays(Db::Mariadb);
}

fn stays(db: Db) {
    let (wanted, mut random) = (kills(), random(db));
    let (mut killed, samples) = (0, AtomicU64::new(0));
    for round in 0.. {
        let columns = if round % 2 == 0 { ADDED } else { DISTINCT };
        let counts = DAYS.replace("keep = \"90 days\"", "purge = false\nafter = \"1 day\"");
        let purge = "[jobs.old]\nkind = \"retention_purge\"\ndata = [\"audit\"]\nkeep = \"90 days\"\nafter_rollup = \"audit\"\n";
        let bed = filled(db, &format!("{counts}{SLOW}{columns}{purge}{SLOW}"));
        let stop = AtomicBool::new(false);
        std::thread::scope(|threads| {
            let writer = threads.spawn(|| write(&bed, &stop));
            let watcher = threads.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    assert_counted(&bed);
                    samples.fetch_add(1, Ordering::Relaxed);
                }
            });
            for turn in 0..8.min(2 * (wanted - killed)) {
                let job = if turn % 2 == 0 { "audit" } else { "old" };
                let output = bed.project.kill_after(&["run", job], 100 + random(1500));
                if output.code.is_some_and(|code| code != 0) {
                    stop.store(true, Ordering::Relaxed);
                    panic!("{db:?} {output:?}");
                }
                killed += u64::from(output.code.is_none());
            }
            stop.store(true, Ordering::Relaxed);
            writer.join().unwrap();
            watcher.join().unwrap();
        });
        for job in ["audit", "old"] {
            bed.program(&["run", job]).expect_code(0);
            assert_counted(&bed);
        }
        assert_eq!(bed.number("SELECT COUNT(*) FROM audit;"), 0, "{db:?}");
        let octets = bed.sql("SELECT (SELECT SUM(octets) FROM audit_daily) - octets FROM written;");
        assert_eq!(octets.trim(), "0", "{db:?}: a row was counted twice, or with a number of another");
        eprintln!("rollup that purges nothing on {db:?}: {killed} kills, {} looks", samples.load(Ordering::Relaxed));
        if killed >= wanted || round > 4 * wanted {
            break;
        }
    }
    assert!(samples.load(Ordering::Relaxed) > 5, "somebody looked");
    assert!(killed >= wanted.min(4), "{killed} of {wanted} hit a run");
}

/// One statement, so that it sees one instant.
fn assert_counted(bed: &Bed) {
    let found = bed.sql(
        "SELECT (SELECT COUNT(*) FROM audit) + (SELECT COALESCE(SUM(row_count), 0) FROM audit_daily)
                - (SELECT COUNT(*) FROM retentiond_folded) - n FROM written;",
    );
    assert_eq!(found.trim(), "0", "{:?}: rows were lost or counted twice", bed.db);
}

fn torture(db: Db) {
    let (wanted, mut random) = (kills(), random(db));
    let (mut killed, samples) = (0, AtomicU64::new(0));
    for round in 0_usize.. {
        let columns = [ADDED, DISTINCT, COUNTED][round % 3];
        let bed = filled(db, &format!("{DAYS}{SLOW}{columns}"));
        let stop = AtomicBool::new(false);
        std::thread::scope(|threads| {
            let writer = threads.spawn(|| write(&bed, &stop));
            let watcher = threads.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    assert_whole(&bed, columns);
                    samples.fetch_add(1, Ordering::Relaxed);
                }
            });
            for _ in 0..(if wanted > 6 { 4 } else { 2 }).min(wanted - killed) {
                let output = bed.project.kill_after(&["run", "audit"], 100 + random(1500));
                if output.code.is_some_and(|code| code != 0) {
                    stop.store(true, Ordering::Relaxed);
                    panic!("{db:?} {output:?}");
                }
                killed += u64::from(output.code.is_none());
                if output.code.is_some() {
                    break;
                }
            }
            stop.store(true, Ordering::Relaxed);
            writer.join().unwrap();
            watcher.join().unwrap();
        });
        finish(&bed, columns);
        eprintln!("rollup on {db:?}: {killed} kills, {} looks", samples.load(Ordering::Relaxed));
        if killed >= wanted || round as u64 > 4 * wanted {
            break;
        }
    }
    assert!(samples.load(Ordering::Relaxed) > 5, "somebody looked");
    assert!(killed >= wanted.min(4), "{killed} of {wanted} hit a run");
}

/// 40 days of rows, a quarter of all on one of them, and what was ever written.
fn filled(db: Db, job: &str) -> Bed {
    let bed = Bed::new(db, "Europe/Helsinki", job);
    let mut sql = String::from("BEGIN;\n");
    for part in 0..ROWS / 1_000 {
        let rows: Vec<String> = (part * 1_000 + 1..=part * 1_000 + 1_000)
            .map(|id| {
                let (month, day) = if id % 4 == 0 { (6, 15) } else { (5 + id / 28 % 2, id % 28 + 1) };
                let at = bed.at(&format!("2025-{month:02}-{day:02} {:02}:{:02}:{:02}", id % 24, id % 60, id % 59));
                let role = if id % 1_900 == 0 { "rare" } else { ["admin", "clerk", "agent"][id as usize % 3] };
                format!("({id}, {at}, {}, '{role}', 'edit', 'n', {id}, 0)", id % 11)
            })
            .collect();
        sql.push_str(&format!("INSERT INTO audit VALUES {};\n", rows.join(", ")));
    }
    sql.push_str("CREATE TABLE written (n BIGINT, octets BIGINT);\n");
    sql.push_str("INSERT INTO written SELECT COUNT(*), SUM(octets_in) FROM audit;\nCOMMIT;\n");
    bed.sql(&sql);
    bed
}

/// Rows that come late and rows of today, one transaction after the other.
fn write(bed: &Bed, stop: &AtomicBool) {
    let begin = if bed.db == Db::Sqlite { "BEGIN IMMEDIATE" } else { "BEGIN" };
    let mut id = ROWS;
    while !stop.load(Ordering::Relaxed) {
        let rows: Vec<String> = (0..5)
            .map(|_| {
                id += 1;
                let at = bed.at(&format!("2025-{:02}-{:02} 10:00:00", 5 + id % 2, id % 28 + 1));
                format!("({id}, {at}, {}, 'late', 'edit', 'n', 7, 0)", id % 5)
            })
            .collect();
        bed.sql(&format!(
            "{begin}; INSERT INTO audit VALUES {}; UPDATE written SET n = n + 5, octets = octets + 35; COMMIT;",
            rows.join(", ")
        ));
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// One statement, so that it sees one instant.
fn assert_whole(bed: &Bed, columns: &str) {
    let octets = if columns == COUNTED {
        "0"
    } else {
        "(SELECT COALESCE(SUM(octets_in), 0) FROM audit) + (SELECT COALESCE(SUM(octets), 0) FROM audit_daily) - octets"
    };
    let found = bed.sql(&format!(
        "SELECT (SELECT COUNT(*) FROM audit) + (SELECT COALESCE(SUM(row_count), 0) FROM audit_daily) - n, {octets}
         FROM written;"
    ));
    assert_eq!(found.trim(), "0\t0", "{:?}: rows were lost or counted twice", bed.db);
}

fn finish(bed: &Bed, columns: &str) {
    bed.program(&["run", "audit"]).expect_code(0);
    bed.program(&["run", "audit"]).expect_code(0);
    assert_whole(bed, columns);
    assert_eq!(bed.number("SELECT COUNT(*) FROM audit;"), 0, "{:?}", bed.db);
    assert_eq!(bed.number("SELECT COUNT(*) FROM audit_daily WHERE row_count < 5 AND role <> '(other)';"), 0);
    let ledger = bed.number("SELECT SUM(row_count) FROM retentiond_ledger WHERE action = 'fold';");
    assert_eq!(ledger, bed.number("SELECT n FROM written;"), "{:?}", bed.db);
}

/// On MariaDB, where a transaction that writes has no snapshot, the statement that folds locks what it reads: no row of it
/// can become another before it is deleted and counted.
#[test]
fn what_is_folded_is_locked_on_mariadb() {
    let bed = filled(Db::Mariadb, &format!("{DAYS}{COUNTED}"));
    bed.sql("CREATE TRIGGER slow BEFORE INSERT ON audit_daily FOR EACH ROW SET NEW.row_count = NEW.row_count + SLEEP(0.05);");
    let mut run = bed.project.spawn(&["run", "audit"]);
    let until = std::time::Instant::now() + Duration::from_secs(60);
    let sleeps = "SELECT COUNT(*) FROM information_schema.processlist WHERE state = 'User sleep';";
    while bed.number(sleeps) == 0 {
        assert!(std::time::Instant::now() < until, "the fold was never seen");
    }
    // The oldest rows are folded first.
    let change = "SET SESSION innodb_lock_wait_timeout = 0; UPDATE audit SET role = 'other' ORDER BY at LIMIT 1;";
    let refused = crate::support::server::try_sql(&bed.url, change).expect_err("the row is locked");
    assert!(refused.contains("1205"), "{refused}");
    drop(run.kill());
    drop(run.wait());
    bed.sql("DROP TRIGGER slow;");
    bed.program(&["run", "audit"]).expect_code(0);
    assert_eq!(bed.number("SELECT SUM(row_count) FROM audit_daily;"), i64::try_from(ROWS).unwrap());
}
