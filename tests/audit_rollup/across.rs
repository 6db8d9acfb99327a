//! Summaries in another database than the rows.

use crate::bed::{ALL, Db};
use crate::support::{self, Project, run_sql};

struct Two {
    db: Db,
    rows: String,
    sums: String,
    project: Project,
    _folders: Vec<tempfile::TempDir>,
}

impl Two {
    fn new(db: Db, more: &str) -> Self {
        let mut folders = Vec::new();
        let mut fresh = || match db {
            Db::Sqlite => {
                let (folder, url) = support::sqlite();
                folders.push(folder);
                url
            }
            Db::Postgres => support::postgres().fresh_database(),
            Db::Mariadb => support::mariadb().fresh_database(),
        };
        let (rows, sums) = (fresh(), fresh());
        let (time, at, text) = match db {
            Db::Sqlite => {
                ("{ column = \"at\", zone = \"UTC\", format = \"%Y-%m-%d %H:%M:%S\" }", "TEXT", "VARCHAR(40)")
            }
            Db::Postgres => ("\"at\"", "TIMESTAMPTZ", "VARCHAR(40)"),
            Db::Mariadb => (
                "{ column = \"at\", zone = \"UTC\" }",
                "DATETIME",
                "VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
            ),
        };
        run_sql(
            &rows,
            &format!(
                "CREATE TABLE audit (id BIGINT NOT NULL PRIMARY KEY, at {at}, role {text}, octets BIGINT);
                 CREATE INDEX audit_at ON audit (at);"
            ),
        );
        run_sql(
            &sums,
            &format!(
                "CREATE TABLE audit_daily (period {text} NOT NULL, role {text}, row_count BIGINT NOT NULL, octets BIGINT, first_at {at});
                 CREATE INDEX audit_daily_period ON audit_daily (period);"
            ),
        );
        let entry = |name: &str, store: &str, more: &str| {
            format!("[data.{name}]\nstore = \"{store}\"\ntable = \"{name}\"\ncategory = \"reporting_data\"\n{more}\n")
        };
        let project = Project::new(&format!(
            "[state]\nurl = \"sqlite:{{dir}}/state.db\"\n[stores.main]\nurl = \"{rows}\"\n[stores.sums]\nurl = \"{sums}\"\n\
             [brakes]\nmax_percent = 100\nmax_times_usual = 1000000\n{}{}[jobs.audit]\nkind = \"audit_rollup\"\n\
             data = \"audit\"\nkeep = \"90 days\"\nbucket = \"day\"\nby = [\"role\"]\ninto = \"audit_daily\"\ncolumns = {{ \
             period = \"bucket\", row_count = \"count\", octets = \"sum:octets\", first_at = \"first\" }}\n{more}",
            entry("audit", "main", &format!("time = {time}")),
            entry("audit_daily", "sums", ""),
        ));
        let two = Self { db, rows, sums, project, _folders: folders };
        two.project.run(&["init", "main"]);
        two.project.run(&["init", "sums"]);
        two
    }

    fn number(&self, url: &str, sql: &str) -> i64 {
        run_sql(url, sql).trim().parse().unwrap()
    }

    fn add(&self, from: i64, to: i64) {
        let rows: Vec<String> = (from..to)
            .map(|id| {
                let at = format!("2025-{:02}-{:02} {:02}:00:{:02}", 5 + id % 2, id % 28 + 1, id % 24, id % 60);
                let at = if self.db == Db::Postgres { format!("'{at}+00'") } else { format!("'{at}'") };
                format!("({id}, {at}, '{}', {id})", ["admin", "clerk"][id as usize % 2])
            })
            .collect();
        run_sql(&self.rows, &format!("INSERT INTO audit VALUES {};", rows.join(", ")));
    }

    /// What seals say of the rows' table: a hash of its database and name.
    fn source(&self) -> String {
        use sha2::Digest as _;
        let check = self.project.run(&["--format", "json", "check"]).expect_code(0).json();
        let main = check["stores"].as_array().unwrap().iter().find(|store| store["store"] == "main").unwrap();
        let table = if self.db == Db::Postgres { "public.audit" } else { "audit" };
        let hash = sha2::Sha256::digest(format!("{}\n{table}", main["identity"].as_str().unwrap()));
        hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }

    /// As if a run had been killed after it had sealed this row, which is in the summaries.
    fn seal(&self, job: &str, source: &str, id: i64) {
        run_sql(
            &self.sums,
            &format!(
                "INSERT INTO retentiond_sealed (job, batch, row_key, source) VALUES ('{job}', 'killed-000001', '[\"{id}\"]', '{source}');"
            ),
        );
        if job == "audit" {
            run_sql(
                &self.sums,
                &format!(
                    "INSERT INTO audit_daily (period, role, row_count, octets) VALUES ('2025-06-04', 'clerk', 1, {id});"
                ),
            );
        }
    }

    /// Rows that are not sealed and summaries amount to what was written.
    fn assert_whole(&self, written: i64) {
        let sealed = run_sql(&self.sums, "SELECT row_key FROM retentiond_sealed;");
        let ids = run_sql(&self.rows, "SELECT id FROM audit;");
        let sealed: Vec<&str> = sealed.lines().map(|key| key.trim_matches(['[', ']', '"'])).collect();
        let free: Vec<i64> = ids.lines().filter(|id| !sealed.contains(id)).map(|id| id.parse().unwrap()).collect();
        let counted = self.number(&self.sums, "SELECT COALESCE(SUM(row_count), 0) FROM audit_daily;");
        let octets = self.number(&self.sums, "SELECT COALESCE(SUM(octets), 0) FROM audit_daily;");
        assert_eq!(counted + free.len() as i64, written, "{:?}", self.db);
        assert_eq!(octets + free.iter().sum::<i64>(), written * (written - 1) / 2, "{:?}", self.db);
    }
}

#[test]
fn killed_anywhere_nothing_is_lost_or_counted_twice() {
    for db in ALL {
        let two = Two::new(db, "pace = { rows_per_second = 4000, pause_ms = 5 }\n");
        for part in 0..4 {
            two.add(part * 1_000, part * 1_000 + 1_000);
        }
        let mut killed = 0;
        for wait in [150, 300, 450, 600, 800, 1_000, 1_300, 1_600] {
            let output = two.project.kill_after(&["run", "audit"], wait);
            killed += i64::from(output.code.is_none());
            two.assert_whole(4_000);
            if output.code == Some(0) {
                break;
            }
        }
        assert!(killed > 1, "{db:?}");
        two.project.run(&["run", "audit"]).expect_code(0);
        // Late rows are added to what is there.
        two.add(4_000, 4_010);
        two.project.run(&["run", "audit"]).expect_code(0);
        two.assert_whole(4_010);
        assert_eq!(two.number(&two.rows, "SELECT COUNT(*) FROM audit;"), 0, "{db:?}");
        assert_eq!(two.number(&two.sums, "SELECT COUNT(*) FROM retentiond_sealed;"), 0, "{db:?}");
    }
}

/// What was sealed before the kill goes first, by its key, and is folded no second time.
#[test]
fn sealed_rows_go_and_only_they() {
    for db in ALL {
        let two = Two::new(db, "");
        two.add(0, 20);
        two.seal("audit", &two.source(), 3);
        two.seal("other", "another table", 4);
        two.project.run(&["run", "audit"]).expect_code(0);
        assert_eq!(two.number(&two.sums, "SELECT SUM(row_count) FROM audit_daily;"), 20, "{db:?}");
        assert_eq!(two.number(&two.sums, "SELECT SUM(octets) FROM audit_daily;"), 190, "{db:?}");
        assert_eq!(two.number(&two.rows, "SELECT COUNT(*) FROM audit;"), 0, "{db:?}");
        assert_eq!(run_sql(&two.sums, "SELECT job FROM retentiond_sealed;").trim(), "other", "{db:?}");
        let trail = two.project.run(&["--format", "json", "audit", "show", "--type", "rollup.seal"]).expect_code(0);
        assert!(trail.stdout.contains("\"rows\":19") || trail.stdout.contains("\"rows\": 19"), "{}", trail.stdout);
    }
}

/// Seals of the same name for another table would purge rows that were never folded; another job's seals for this table
/// are of rows that would be folded twice.
#[test]
fn seals_of_others_stop_the_job() {
    for db in ALL {
        let two = Two::new(db, "");
        two.add(0, 20);
        for (job, source) in [("audit", "another table".to_owned()), ("former", two.source())] {
            two.seal(job, &source, 3);
            let output = two.project.run(&["run", "audit"]).expect_code(1);
            assert!(output.stderr.contains(&format!("job `{job}` sealed")), "{db:?} {output:?}");
            assert_eq!(two.number(&two.rows, "SELECT COUNT(*) FROM audit;"), 20, "{db:?} {job}");
            run_sql(&two.sums, "DELETE FROM retentiond_sealed; DELETE FROM audit_daily;");
        }
    }
}

/// What a killed run left is purged within the window, like everything else.
#[test]
fn sealed_rows_wait_for_the_window() {
    let now = retentiond::clock::Clock::system().now();
    let hour = |hours: i64| (now + chrono::TimeDelta::hours(hours)).format("%H:%M").to_string();
    let two = Two::new(Db::Sqlite, &format!("window = \"{}-{}\"\n", hour(6), hour(8)));
    two.add(0, 20);
    two.seal("audit", &two.source(), 3);
    two.project.run(&["run", "audit"]);
    assert_eq!(two.number(&two.rows, "SELECT COUNT(*) FROM audit;"), 20);
    two.project.run(&["run", "audit", "--outside-window"]).expect_code(0);
    assert_eq!(two.number(&two.rows, "SELECT COUNT(*) FROM audit;"), 0);
}

/// A row that a trigger keeps is counted once, and not taken for one that is held.
#[test]
fn a_row_that_a_trigger_keeps_stops_the_job() {
    for db in ALL {
        let two = Two::new(db, "");
        two.add(0, 20);
        let (keep, free) = match db {
            Db::Sqlite => (
                "CREATE TRIGGER stays BEFORE DELETE ON audit WHEN OLD.id = 7 BEGIN SELECT RAISE(IGNORE); END;",
                "DROP TRIGGER stays;",
            ),
            Db::Postgres => (
                "CREATE FUNCTION stays() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF OLD.id = 7 THEN RETURN NULL; END IF; RETURN OLD; END $$;
                 CREATE TRIGGER stays BEFORE DELETE ON audit FOR EACH ROW EXECUTE FUNCTION stays();",
                "DROP TRIGGER stays ON audit;",
            ),
            // There a trigger can only refuse, which is an error of the statement.
            Db::Mariadb => continue,
        };
        run_sql(&two.rows, keep);
        for _ in 0..2 {
            let output = two.project.run(&["run", "audit"]).expect_code(1);
            assert!(output.stderr.contains("a trigger, a rule or row security"), "{db:?} {output:?}");
            two.assert_whole(20);
        }
        run_sql(&two.rows, free);
        two.project.run(&["run", "audit"]).expect_code(0);
        two.assert_whole(20);
        assert_eq!(two.number(&two.rows, "SELECT COUNT(*) FROM audit;"), 0, "{db:?}");
    }
}
