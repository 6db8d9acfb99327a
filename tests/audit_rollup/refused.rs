//! What stops a rollup, before it begins or before anything is purged.

use crate::bed::{ALL, Bed, DAYS, Db, MONTHS};

fn hundred(bed: &Bed) {
    for day in 1..=20 {
        let row = format!("{}, 1, 'admin', 'edit', 'n', 100, 1", bed.at(&format!("2025-06-{day:02} 10:00:00")));
        bed.rows(&[&row, &row, &row, &row, &row]);
    }
}

/// A trigger that writes other numbers than it is told.
pub fn tamper(bed: &Bed, change: &str) {
    let (name, rest) = change.split_once(' ').unwrap();
    bed.sql(&match bed.db {
        Db::Sqlite => format!(
            "CREATE TRIGGER wrong AFTER INSERT ON audit_daily BEGIN UPDATE audit_daily SET {name} = {name} {rest} WHERE rowid = NEW.rowid; END;"
        ),
        Db::Postgres => format!(
            "CREATE FUNCTION wrong() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.{name} := NEW.{name} {rest}; RETURN NEW; END $$;
             CREATE TRIGGER wrong BEFORE INSERT ON audit_daily FOR EACH ROW EXECUTE FUNCTION wrong();"
        ),
        Db::Mariadb => format!("CREATE TRIGGER wrong BEFORE INSERT ON audit_daily FOR EACH ROW SET NEW.{name} = NEW.{name} {rest};"),
    });
}

#[test]
fn a_wrong_number_purges_nothing() {
    for db in ALL {
        for change in ["octets - 1", "row_count + 1"] {
            let job = DAYS.to_owned()
                + "columns = { period = \"bucket\", row_count = \"count\", octets = \"sum:octets_in\" }\n";
            let bed = Bed::new(db, "UTC", &job);
            hundred(&bed);
            tamper(&bed, change);
            let output = bed.program(&["run", "audit"]).expect_code(1);
            assert!(output.stderr.contains("amount to"), "{db:?} {output:?}");
            assert_eq!(bed.number("SELECT COUNT(*) FROM audit;"), 100, "{db:?} {change}");
            assert_eq!(bed.number("SELECT COUNT(*) FROM audit_daily;"), 0, "{db:?} {change}");
            assert_eq!(bed.number("SELECT COUNT(*) FROM retentiond_ledger;"), 0, "{db:?} {change}");
        }
    }
}

/// Extremes and numbers of different values are held against the rows as well.
#[test]
fn a_wrong_extreme_or_number_of_actors_purges_nothing() {
    let job = DAYS.to_owned()
        + "columns = { period = \"bucket\", row_count = \"count\", least = \"min:octets_in\", most = \"max:octets_in\", first_at = \"first\", supplement = \"supplement\", actors = \"distinct:actor\" }\n";
    for db in ALL {
        for change in ["least + 1", "most - 1", "actors + 1"] {
            let bed = Bed::new(db, "UTC", &job);
            hundred(&bed);
            tamper(&bed, change);
            let output = bed.program(&["run", "audit"]).expect_code(1);
            assert!(output.stderr.contains("amount to"), "{db:?} {change} {output:?}");
            assert_eq!(bed.number("SELECT COUNT(*) FROM audit;"), 100, "{db:?} {change}");
            assert_eq!(bed.number("SELECT COUNT(*) FROM audit_daily;"), 0, "{db:?} {change}");
        }
        // The same rows, and nobody in between; two rows of a rare role become part of `(other)`, whose actors are counted.
        let bed = Bed::new(db, "UTC", &job);
        hundred(&bed);
        let rare =
            |actor: u8, role: &str| format!("{}, {actor}, '{role}', 'edit', 'n', 7, 1", bed.at("2025-06-03 11:00:00"));
        bed.rows(&[&rare(4, "rare"), &rare(5, "rarer"), &rare(5, "rarest")]);
        bed.program(&["run", "audit"]).expect_code(0);
        let other = bed.summaries(&["period", "role", "row_count", "least", "actors"]);
        assert!(other.contains(&"2025-06-03|(other)|3|7|2".to_owned()), "{db:?} {other:?}");
        assert_eq!(bed.number("SELECT SUM(row_count) FROM audit_daily;"), 103, "{db:?}");
    }
}

/// A row that the database keeps, whatever it is told, is not counted either.
#[test]
fn a_row_that_cannot_go_is_not_folded() {
    let bed = Bed::new(Db::Sqlite, "UTC", DAYS);
    hundred(&bed);
    bed.sql("CREATE TRIGGER stays BEFORE DELETE ON audit WHEN OLD.id = 50 BEGIN SELECT RAISE(IGNORE); END;");
    let output = bed.program(&["run", "audit"]).expect_code(1);
    assert!(output.stderr.contains("trigger"), "{output:?}");
    assert_eq!(bed.number("SELECT COUNT(*) FROM audit;"), 100);
    assert_eq!(bed.number("SELECT COUNT(*) FROM audit_daily;"), 0);
}

/// Where rows are only counted, the number of those that were deleted is the second one.
#[test]
fn a_wrong_number_of_rows_purges_nothing() {
    let job = DAYS.to_owned()
        + "columns = { period = \"bucket\", row_count = \"count\", first_at = \"first\", last_at = \"last\" }\n";
    // MariaDB's triggers keep no row without an error.
    let stays = |bed: &Bed| {
        bed.sql(if bed.db == Db::Sqlite {
            "CREATE TRIGGER stays BEFORE DELETE ON audit WHEN OLD.id = 50 BEGIN SELECT RAISE(IGNORE); END;"
        } else {
            "CREATE FUNCTION stays() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN IF OLD.id = 50 THEN RETURN NULL; END IF; RETURN OLD; END $$;
             CREATE TRIGGER stays BEFORE DELETE ON audit FOR EACH ROW EXECUTE FUNCTION stays();"
        })
    };
    let drop = |bed: &Bed, trigger: &str, table: &str| {
        let on = if bed.db == Db::Postgres { format!(" ON {table}") } else { String::new() };
        bed.sql(&format!("DROP TRIGGER {trigger}{on};"));
    };
    for db in ALL {
        let bed = Bed::new(db, "UTC", &job);
        hundred(&bed);
        let untouched = |words: &str| {
            let output = bed.program(&["run", "audit"]).expect_code(1);
            assert!(output.stderr.contains(words), "{db:?} {output:?}");
            assert_eq!(bed.number("SELECT COUNT(*) FROM audit;"), 100, "{db:?} {words}");
            assert_eq!(bed.number("SELECT COUNT(*) FROM audit_daily;"), 0, "{db:?} {words}");
        };
        if db != Db::Mariadb {
            stays(&bed);
            untouched("trigger");
            drop(&bed, "stays", "audit");
        }
        tamper(&bed, "row_count + 1");
        untouched("amount to");
        drop(&bed, "wrong", "audit_daily");
        bed.program(&["run", "audit"]).expect_code(0);
        assert_eq!(bed.number("SELECT COUNT(*) FROM audit;"), 0, "{db:?}");
        assert_eq!(bed.number("SELECT SUM(row_count) FROM audit_daily;"), 100, "{db:?}");
    }
}

#[test]
fn brakes_and_open_periods_hold() {
    for db in ALL {
        let bed = Bed::new(db, "UTC", &format!("{DAYS}brakes = {{ max_rows = 99 }}\n"));
        hundred(&bed);
        let run = bed.program(&["--format", "json", "run", "audit"]).expect_code(4).json();
        assert_eq!(run["jobs"][0]["outcome"], "braked", "{run}");
        assert_eq!(bed.number("SELECT COUNT(*) FROM audit;"), 100, "{db:?}");
        bed.program(&["plan", "audit"]).expect_code(4);
        bed.program(&["run", "audit", "--release-brake", "max_rows"]).expect_code(0);
        assert_eq!(bed.number("SELECT COUNT(*) FROM audit;"), 0, "{db:?}");
    }
    // With a keep of two days and months as periods, most of the present month is expired and stays all the same.
    let bed = Bed::new(Db::Sqlite, "UTC", &MONTHS.replace("90 days", "2 days"));
    bed.sql("INSERT INTO audit VALUES (1, strftime('%Y-%m-01 00:00:00', 'now'), 1, 'r', 'a', 'n', 1, 1), (2, datetime('now', 'start of month', '-1 second'), 1, 'r', 'a', 'n', 1, 1);");
    bed.program(&["run", "audit"]).expect_code(0);
    assert_eq!(bed.sql("SELECT id FROM audit;").trim(), "1");
}

/// A row under a legal hold is neither folded nor purged; when it is let go, it is folded like one that came late.
#[test]
fn held_rows_stay_and_are_not_counted() {
    for db in ALL {
        let bed = Bed::new(db, "UTC", DAYS);
        hundred(&bed);
        bed.sql("INSERT INTO retentiond_held (data, row_key, hold_case) VALUES ('audit', '1:7', 'case'), ('audit', '2:50', 'case');");
        let plan = bed.program(&["--format", "json", "plan", "audit"]).expect_code(0).json();
        let step = &plan["jobs"][0]["steps"][0];
        assert_eq!((step["rows"].as_u64(), step["held"].as_u64()), (Some(98), Some(2)), "{db:?} {plan}");
        bed.program(&["run", "audit"]).expect_code(0);
        assert_eq!(bed.sql("SELECT id FROM audit ORDER BY id;").split_whitespace().collect::<Vec<_>>(), ["7", "50"]);
        assert_eq!(bed.number("SELECT SUM(row_count) FROM audit_daily;"), 98, "{db:?}");
        bed.sql("DELETE FROM retentiond_held;");
        bed.program(&["run", "audit"]).expect_code(0);
        assert_eq!(bed.number("SELECT COUNT(*) FROM audit;"), 0, "{db:?}");
        assert_eq!(bed.number("SELECT SUM(row_count) FROM audit_daily;"), 100, "{db:?}");
        assert_eq!(bed.number("SELECT COUNT(*) FROM audit_daily WHERE supplement = 1;"), 2, "{db:?}");
    }
}

#[test]
fn the_file_is_held_against_both_tables() {
    for db in ALL {
        let bed = Bed::new(db, "UTC", DAYS);
        let mut cases = vec![
            (DAYS.replace("\"role\"", "\"actor\""), "says who a row is about"),
            (DAYS.replace("\"role\"", "\"name\""), "says who a row is about"),
            (DAYS.replace("\"role\"", "\"rolle\""), "has no column `rolle`"),
            (format!("{DAYS}minimum_group = 1\n"), "names whoever it is about"),
            (format!("{DAYS}by_person = \" \"\n"), "this is blank"),
            (DAYS.replace("\"90 days\"", "\"forever\""), "for ever is never"),
            (DAYS.replace("into = \"audit_daily\"", "into = \"audit\""), "folded into itself"),
            (DAYS.replace("\"day\"", "\"year\""), "unknown word `year`"),
            (format!("{DAYS}columns = {{ period = \"bucket\", last_at = \"last\" }}\n"), "no column counts the rows"),
            (format!("{DAYS}columns = {{ row_count = \"count\" }}\n"), "no column says the period"),
            (format!("{DAYS}columns = {{ period = \"bucket:%Y\", row_count = \"count\" }}\n"), "one and the same name"),
            (format!("{DAYS}columns = {{ period = \"bucket\", row_count = \"summ:octets_in\" }}\n"), "says nothing"),
            (
                format!(
                    "{DAYS}columns = {{ period = \"bucket\", row_count = \"count\", actors = \"distinct:actor\" }}\n"
                ),
                "no column tells supplements apart",
            ),
            (
                format!("{DAYS}columns = {{ period = \"bucket\", row_count = \"count\", first_at = \"sum:role\" }}\n"),
                "not exact",
            ),
        ];
        if db != Db::Postgres {
            // The application's own table has a collation that takes José for Jose.
            bed.sql("ALTER TABLE audit_daily RENAME TO old;");
            let collation = if db == Db::Sqlite { "NOCASE" } else { "utf8mb4_general_ci" };
            bed.sql(&format!(
                "CREATE TABLE audit_daily (period VARCHAR(40), supplement BIGINT, role VARCHAR(40) COLLATE {collation}, action VARCHAR(40) COLLATE {collation},
                     row_count BIGINT, first_at {0}, last_at {0}, actors BIGINT);",
                if db == Db::Sqlite { "TEXT" } else { "DATETIME" }
            ));
            cases.push((DAYS.to_owned(), "takes different values for one"));
        }
        for (job, message) in cases {
            bed.rewrite(&job);
            let output = bed.program(&["check"]).expect_code(3);
            assert!(output.stderr.contains(message), "{db:?} {message}: {}", output.stderr);
            assert!(output.stderr.contains("jobs.toml:"), "{}", output.stderr);
        }
    }
}

#[test]
fn the_table_is_made_by_sql_that_can_be_read_first() {
    for db in ALL {
        let bed = Bed::new(db, "UTC", DAYS);
        bed.sql("DROP TABLE audit_daily;");
        let output = bed.program(&["check"]).expect_code(3);
        assert!(output.stderr.contains("retentiond init main --print-sql"), "{}", output.stderr);
        let printed = bed.program(&["init", "main", "--print-sql"]).expect_code(0).stdout;
        let create = &printed
            [printed.find("CREATE TABLE \"audit_daily\"").or(printed.find("CREATE TABLE `audit_daily`")).unwrap()..];
        bed.program(&["check"]).expect_code(3);
        bed.sql(create);
        bed.program(&["check"]).expect_code(0);
        hundred(&bed);
        bed.program(&["run", "audit"]).expect_code(0);
        assert_eq!(bed.number("SELECT SUM(row_count) FROM audit_daily;"), 100, "{db:?}");
    }
}
