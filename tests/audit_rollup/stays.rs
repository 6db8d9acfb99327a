//! Rows that are counted and stay: each once, and none goes before it is counted where a purge waits for that.

use crate::bed::{ALL, Bed, Db};

/// Sums and numbers, by day, role and action; late rows are added.
const ADDED: &str = "columns = { period = \"bucket\", row_count = \"count\", octets = \"sum:octets_in\" }\n";
/// Numbers of different actors; late rows get a supplement.
const DISTINCT: &str = "columns = { period = \"bucket\", row_count = \"count\", octets = \"sum:octets_in\", supplement = \"supplement\", actors = \"distinct:actor\" }\n";
/// Single rows may be seen: each is folded when it is a day old.
const SINGLE: &str = "minimum_group = 1\nby_person = \"billing\"\n";

const STAYS: &str = r#"
[jobs.audit]
kind = "audit_rollup"
data = "audit"
purge = false
after = "1 day"
bucket = "day"
by = ["role", "action"]
into = "audit_daily"
"#;

const OLD: &str = r#"
[jobs.old]
kind = "retention_purge"
data = ["audit"]
keep = "90 days"
"#;

const WAITS: &str = "after_rollup = \"audit\"\n";

fn hundred(bed: &Bed) {
    for day in 1..=20 {
        let row = format!("{}, 1, 'admin', 'edit', 'n', 100, 1", bed.at(&format!("2025-06-{day:02} 10:00:00")));
        bed.rows(&[&row, &row, &row, &row, &row]);
    }
}

fn rows(bed: &Bed) -> i64 {
    bed.number("SELECT COUNT(*) FROM audit;")
}

fn counted(bed: &Bed) -> i64 {
    bed.number("SELECT COALESCE(SUM(row_count), 0) FROM audit_daily;")
}

fn entered(bed: &Bed) -> i64 {
    bed.number("SELECT COUNT(*) FROM retentiond_folded;")
}

fn run(bed: &Bed, job: &str) {
    bed.program(&["run", job]).expect_code(0);
}

/// What `plan` says that a run would do.
fn planned(bed: &Bed, job: &str) -> i64 {
    bed.program(&["--format", "json", "plan", job]).expect_code(0).json()["jobs"][0]["rows"].as_i64().unwrap()
}

#[test]
fn each_row_is_counted_once_and_stays() {
    for db in ALL {
        for columns in [ADDED, DISTINCT] {
            // A brake that would stop whatever removes a row.
            let brakes = "brakes = { max_percent = 0.5, max_rows = 1 }\n";
            let bed = Bed::new(db, "Europe/Helsinki", &format!("{STAYS}{columns}{brakes}"));
            hundred(&bed);
            let now = if db == Db::Sqlite { "datetime('now')" } else { "now()" };
            bed.rows(&[&format!("{now}, 1, 'admin', 'edit', 'n', 100, 1")]);
            assert_eq!(planned(&bed, "audit"), 100, "{db:?}");
            run(&bed, "audit");
            assert_eq!((rows(&bed), counted(&bed), entered(&bed)), (101, 100, 100), "{db:?}");
            assert_eq!(bed.number("SELECT SUM(row_count) FROM retentiond_ledger WHERE action = 'fold';"), 100);
            // Whatever becomes of them, they are counted.
            bed.sql("UPDATE audit SET role = 'gone', name = NULL, octets_in = 5, actor = 9;");
            assert_eq!(planned(&bed, "audit"), 0, "{db:?}");
            run(&bed, "audit");
            assert_eq!((rows(&bed), counted(&bed), entered(&bed)), (101, 100, 100), "{db:?}");
            // Late ones are counted when they come, in a period with others and in one without.
            let late = |at: &str| format!("{}, 2, 'admin', 'edit', 'n', 7, 1", bed.at(at));
            let (one, other) = (late("2025-06-03 11:00:00"), late("2025-02-03 11:00:00"));
            bed.rows(&[&one, &one, &one, &one, &one, &one, &other, &other, &other, &other, &other]);
            run(&bed, "audit");
            run(&bed, "audit");
            assert_eq!((rows(&bed), counted(&bed), entered(&bed)), (112, 111, 111), "{db:?} {columns}");
            assert_eq!(bed.number("SELECT SUM(octets) FROM audit_daily;"), 100 * 100 + 11 * 7, "{db:?}");
            let third = bed.number("SELECT SUM(row_count) FROM audit_daily WHERE period = '2025-06-03';");
            assert_eq!(third, 11, "{db:?} {columns}");
        }
    }
}

#[test]
fn a_purge_waits_for_the_count_and_takes_what_says_so_along() {
    for db in ALL {
        let bed = Bed::new(db, "UTC", &format!("{STAYS}{ADDED}{OLD}{WAITS}"));
        hundred(&bed);
        run(&bed, "old");
        assert_eq!((rows(&bed), planned(&bed, "old")), (100, 0), "{db:?}: nothing is counted yet");
        run(&bed, "audit");
        // It came after the count.
        let late = format!("{}, 1, 'admin', 'edit', 'n', 100, 1", bed.at("2025-06-04 10:00:00"));
        bed.rows(&[&late, &late, &late, &late, &late]);
        assert_eq!(planned(&bed, "old"), 100, "{db:?}");
        run(&bed, "old");
        assert_eq!((rows(&bed), counted(&bed), entered(&bed)), (5, 100, 0), "{db:?}");
        assert_eq!(bed.number("SELECT MIN(id) FROM audit;"), 101, "{db:?}: the late ones");
        run(&bed, "audit");
        run(&bed, "old");
        assert_eq!((rows(&bed), counted(&bed), entered(&bed)), (0, 105, 0), "{db:?}");
        // Their keys are given out again.
        hundred(&bed);
        run(&bed, "old");
        assert_eq!(rows(&bed), 100, "{db:?}");
        run(&bed, "audit");
        assert_eq!((counted(&bed), entered(&bed)), (205, 100), "{db:?}");
        // The application removes rows, and gives their keys to others before anybody has looked.
        bed.sql("DELETE FROM audit WHERE id > 50;");
        let new = format!("{}, 1, 'admin', 'edit', 'n', 100, 1", bed.at("2025-07-04 10:00:00"));
        bed.rows(&[&new, &new, &new, &new, &new, &new]);
        run(&bed, "old");
        assert_eq!(rows(&bed), 6, "{db:?}: those are not counted");
        run(&bed, "audit");
        assert_eq!((counted(&bed), entered(&bed)), (211, 6), "{db:?}: what is gone is forgotten");
        run(&bed, "old");
        assert_eq!((rows(&bed), entered(&bed)), (0, 0), "{db:?}");
        // A purge that waits for nothing takes along what says that rows were counted, too.
        hundred(&bed);
        run(&bed, "audit");
        bed.rewrite(&format!("{STAYS}{ADDED}{OLD}"));
        run(&bed, "old");
        assert_eq!((rows(&bed), counted(&bed), entered(&bed)), (0, 311, 0), "{db:?}");
    }
}

#[test]
fn an_anonymised_row_is_counted_before_and_never_again() {
    for db in ALL {
        let bed = Bed::new(db, "UTC", &format!("{STAYS}{DISTINCT}{OLD}{WAITS}"));
        let file = bed.project.path("jobs.toml");
        let written = std::fs::read_to_string(&file).unwrap();
        let entry =
            "[data.audit]\non_expiry = \"anonymise\"\nanonymise = { name = \"text:{anonymised}\", actor = \"null\" }\n";
        std::fs::write(&file, written.replace("[data.audit]\n", entry)).unwrap();
        hundred(&bed);
        let blank = "SELECT COUNT(*) FROM audit WHERE actor IS NULL;";
        run(&bed, "old");
        assert_eq!(bed.number(blank), 0, "{db:?}");
        run(&bed, "audit");
        let late = format!("{}, 2, 'admin', 'edit', 'n', 100, 1", bed.at("2025-06-04 10:00:00"));
        bed.rows(&[&late, &late, &late, &late, &late]);
        run(&bed, "old");
        assert_eq!((bed.number(blank), entered(&bed)), (100, 100), "{db:?}");
        run(&bed, "audit");
        run(&bed, "old");
        run(&bed, "audit");
        assert_eq!((bed.number(blank), rows(&bed), counted(&bed), entered(&bed)), (105, 105, 105, 105), "{db:?}");
        assert_eq!(bed.number("SELECT SUM(actors) FROM audit_daily;"), 21, "{db:?}: the actors of before");
    }
}

/// Where the database gives out each key once, a row stays the same whatever becomes of its time.
#[test]
fn a_row_with_a_key_of_the_servers_own_is_known_by_it_alone() {
    for db in [Db::Postgres, Db::Mariadb] {
        let bed = Bed::new(db, "UTC", &format!("{STAYS}{ADDED}{SINGLE}{OLD}{WAITS}"));
        bed.sql(match db {
            Db::Mariadb => "ALTER TABLE audit MODIFY id BIGINT NOT NULL AUTO_INCREMENT;",
            _ => "ALTER TABLE audit ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY;",
        });
        hundred(&bed);
        run(&bed, "audit");
        bed.sql("UPDATE audit SET at = at + INTERVAL '1' DAY;");
        run(&bed, "audit");
        assert_eq!((counted(&bed), entered(&bed)), (100, 100), "{db:?}");
        run(&bed, "old");
        assert_eq!((rows(&bed), entered(&bed)), (0, 0), "{db:?}");
    }
}

#[test]
fn a_wrong_number_counts_nothing() {
    for db in ALL {
        for change in ["octets - 1", "row_count + 1"] {
            let bed = Bed::new(db, "UTC", &format!("{STAYS}{ADDED}{OLD}{WAITS}"));
            hundred(&bed);
            crate::refused::tamper(&bed, change);
            let output = bed.program(&["run", "audit"]).expect_code(1);
            assert!(output.stderr.contains("amount to"), "{db:?} {output:?}");
            assert_eq!((rows(&bed), counted(&bed), entered(&bed)), (100, 0, 0), "{db:?} {change}");
            assert_eq!(bed.number("SELECT COUNT(*) FROM retentiond_ledger;"), 0, "{db:?} {change}");
            run(&bed, "old");
            assert_eq!(rows(&bed), 100, "{db:?} {change}");
        }
    }
}

/// Two jobs count the rows of one entry, each for itself.
#[test]
fn several_jobs_count_the_same_rows() {
    for db in ALL {
        let other = STAYS.replace("jobs.audit", "jobs.other").replace("\"audit_daily\"", "\"other_daily\"");
        let entry = "[data.other_daily]\nstore = \"main\"\ntable = \"other_daily\"\ncategory = \"audit\"\n";
        let jobs = format!("{STAYS}{ADDED}{other}{ADDED}{OLD}after_rollup = \"other\"\n{entry}");
        let bed = Bed::new(db, "UTC", &jobs);
        hundred(&bed);
        run(&bed, "audit");
        run(&bed, "old");
        assert_eq!(rows(&bed), 100, "{db:?}: the other one is waited for");
        run(&bed, "other");
        assert_eq!((counted(&bed), entered(&bed)), (100, 200), "{db:?}");
        assert_eq!(bed.number("SELECT SUM(row_count) FROM other_daily;"), 100, "{db:?}");
        run(&bed, "old");
        assert_eq!((rows(&bed), entered(&bed)), (0, 0), "{db:?}");
    }
}

/// A job under another name would count everything again.
#[test]
fn what_another_job_counted_stops_one_that_begins() {
    let bed = Bed::new(Db::Sqlite, "UTC", &format!("{STAYS}{ADDED}"));
    hundred(&bed);
    run(&bed, "audit");
    let renamed = STAYS.replace("jobs.audit", "jobs.daily");
    bed.rewrite(&format!("{renamed}{ADDED}"));
    let output = bed.program(&["run", "daily"]).expect_code(1);
    assert!(output.stderr.contains("that job `audit` counted"), "{output:?}");
    assert_eq!(counted(&bed), 100);
    let told = output.stderr.split("this job's: ").nth(1).unwrap().split(". Where").next().unwrap();
    bed.sql(&format!("{told};"));
    run(&bed, "daily");
    assert_eq!((counted(&bed), entered(&bed)), (100, 100));
}

/// What says that a row was counted goes with the person whose row it was.
#[test]
fn an_erasure_leaves_nothing_of_a_counted_row() {
    for db in ALL {
        let bed = Bed::new(db, "UTC", &format!("{STAYS}{ADDED}"));
        bed.sql("INSERT INTO staff VALUES (1, 'one'), (2, 'two');");
        hundred(&bed);
        let two = format!("{}, 2, 'admin', 'edit', 'n', 100, 1", bed.at("2025-06-04 10:00:00"));
        bed.rows(&[&two, &two, &two]);
        run(&bed, "audit");
        assert_eq!(entered(&bed), 103, "{db:?}");
        let planned = bed.program(&["--format", "json", "erase", "--user", "2", "--dry-run"]).expect_code(0).json();
        let plan = planned["jobs"][0]["plan"].as_str().unwrap().to_owned();
        bed.program(&["erase", "--user", "2", "--yes-i-mean", &plan]).expect_code(0);
        assert_eq!((rows(&bed), counted(&bed), entered(&bed)), (100, 103, 100), "{db:?}");
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let bed = Bed::new(Db::Sqlite, "UTC", &format!("{STAYS}{ADDED}"));
    let archive = "archive = { store = \"main\", format = \"jsonl.zst\", keep = \"1 year\" }\n";
    let keep = "keep = \"90 days\"\n";
    for (job, said) in [
        (format!("{STAYS}{ADDED}{keep}"), "with purge = false no row goes"),
        (STAYS.replace("after = \"1 day\"\n", ""), "nothing says when rows are folded"),
        (STAYS.replace("purge = false\n", keep), "rows that are purged are folded when their `keep` is over"),
        (STAYS.replace("purge = false\nafter = \"1 day\"\n", ""), "nothing says when rows are folded and purged"),
        (format!("{STAYS}{ADDED}{archive}"), "purge = false purges none"),
        (
            STAYS.replace("purge = false\nafter = \"1 day\"\n", keep) + ADDED + OLD + WAITS,
            "purges the rows of `audit` itself",
        ),
    ] {
        bed.rewrite(&job);
        let output = bed.program(&["check"]).expect_code(3);
        assert!(output.stderr.contains(said), "{said}: {output:?}");
    }
    bed.sql("DROP TABLE retentiond_folded;");
    bed.rewrite(&format!("{STAYS}{ADDED}"));
    let output = bed.program(&["check"]).expect_code(3);
    assert!(output.stderr.contains("has no table retentiond_folded yet"), "{output:?}");
}
