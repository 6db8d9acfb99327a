//! Captures on tables of one's own: what stays after an entry has gone, what is too long, and what others could abuse.

use crate::center::Db;
use crate::support::{Project, mariadb, postgres, run_sql, sqlite, try_sql};

const ALL: [Db; 3] = [Db::Sqlite, Db::Postgres, Db::Mariadb];

struct Small {
    db: Db,
    url: String,
    project: Project,
    _folder: Option<tempfile::TempDir>,
}

impl Small {
    /// Tables `people` and `things`, with entries of these names, tables and further words.
    fn new(db: Db, entries: &[(&str, &str, &str)]) -> Self {
        let (folder, url) = match db {
            Db::Sqlite => {
                let (folder, url) = sqlite();
                (Some(folder), url)
            }
            Db::Postgres => (None, postgres().fresh_database()),
            Db::Mariadb => (None, mariadb().fresh_database()),
        };
        let bytes = ["BLOB", "BYTEA", "LONGBLOB"][ALL.iter().position(|one| *one == db).unwrap()];
        run_sql(
            &url,
            &format!(
                "CREATE TABLE people (id VARCHAR(700) NOT NULL PRIMARY KEY, name VARCHAR(700), portrait {bytes});
                 CREATE TABLE things (id INT NOT NULL PRIMARY KEY, name VARCHAR(40));"
            ),
        );
        let small = Self { db, url, project: Project::new(""), _folder: folder };
        small.map(entries);
        small.program(&["init", "main"], 0);
        small
    }

    fn map(&self, entries: &[(&str, &str, &str)]) {
        let entry = |(name, table, more): &(&str, &str, &str)| {
            format!("[data.{name}]\nstore = \"main\"\ntable = \"{table}\"\ncategory = \"reporting_data\"\n{more}\n")
        };
        self.project.write_jobs(&format!(
            "[state]\nurl = \"sqlite:{{dir}}/state.db\"\n[stores.main]\nurl = \"{}\"\n{}",
            self.url,
            entries.iter().map(entry).collect::<String>()
        ));
    }

    #[track_caller]
    fn program(&self, args: &[&str], code: i32) -> String {
        let output = self.project.run(args).expect_code(code);
        output.stdout + &output.stderr
    }

    fn apply(&self) {
        self.program(&["audit", "capture", "main", "--apply"], 0);
    }

    fn sql(&self, sql: &str) -> String {
        run_sql(&self.url, sql)
    }

    /// What is captured of an insert, as `data` and `row_key`.
    fn inserted(&self, sql: &str) -> Vec<String> {
        self.sql("DELETE FROM retentiond_changes;");
        self.sql(sql);
        let rows = self.sql("SELECT data, row_key FROM retentiond_changes WHERE attribute = 'id' ORDER BY id;");
        rows.lines().map(str::to_owned).collect()
    }
}

/// An entry that is renamed or gone leaves no trigger behind, and `check` sees the triggers themselves.
#[test]
fn what_is_not_asked_for_any_more_is_taken_away() {
    for db in ALL {
        let small = Small::new(db, &[("people", "people", ""), ("things", "things", "")]);
        small.apply();
        small.map(&[("persons", "people", ""), ("things", "things", "")]);
        let check = small.program(&["check"], 0);
        assert!(check.contains("nothing asks for it"), "{db:?} {check}");
        small.apply();
        assert_eq!(small.inserted("INSERT INTO people (id) VALUES ('a');"), ["persons\ta"], "{db:?}");
        let check = small.program(&["check"], 0);
        assert!(!check.contains("captured"), "{db:?} {check}");
        // A trigger that somebody dropped, whatever is noted of it.
        small.sql(match db {
            Db::Postgres => "DROP TRIGGER retentiond_capture_things ON things;",
            _ => "DROP TRIGGER retentiond_capture_things_update;",
        });
        let check = small.program(&["check"], 0);
        assert!(check.contains("`things`: its"), "{db:?} {check}");
        small.apply();
        if db == Db::Postgres {
            small.sql("CREATE OR REPLACE FUNCTION retentiond_capture_things() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';");
            let check = small.program(&["check"], 0);
            assert!(check.contains("`things`: its table, its triggers"), "{check}");
        }
        small.map(&[("things", "things", "")]);
        small.program(&["audit", "capture", "main", "--remove"], 0);
        assert!(small.inserted("INSERT INTO people (id) VALUES ('b');").is_empty(), "{db:?}");
        let check = small.program(&["check"], 0);
        assert!(!check.contains("captured"), "{db:?} {check}");
        if db == Db::Postgres {
            assert_eq!(small.sql("SELECT count(*) FROM pg_proc WHERE proname LIKE 'retentiond%';").trim(), "0");
        }
    }
}

/// Names of entries as long as they may be, and tables that cannot be captured and are not to be.
#[test]
fn long_names_and_tables_that_are_left_out_block_nothing() {
    for db in ALL {
        let long = ["a", "b"].map(|last| format!("{}{last}", "long_name_".repeat(6) + "_of"));
        let small = Small::new(db, &[(&long[0], "people", ""), (&long[1], "things", "")]);
        let odd = if db == Db::Mariadb { "`it's`" } else { "\"it's\"" };
        small.sql(&format!("CREATE TABLE odd (id INT PRIMARY KEY, {odd} INT);"));
        small.map(&[(&long[0], "people", ""), (&long[1], "things", ""), ("odd", "odd", "audit = \"none\"")]);
        small.apply();
        let captured = small.inserted("INSERT INTO people (id) VALUES ('a'); INSERT INTO things (id) VALUES (1);");
        assert_eq!(captured, [format!("{}\ta", long[0]), format!("{}\t1", long[1])], "{db:?}");
        let check = small.program(&["check"], 0);
        assert!(!check.contains("captured"), "{db:?} {check}");
    }
}

/// Whatever the application writes and says of itself, its own statement is not refused.
#[test]
fn no_write_is_refused_for_being_too_long() {
    for db in ALL {
        let small = Small::new(db, &[("people", "people", "")]);
        small.apply();
        let (key, actor) = ("k".repeat(700), "客".repeat(600));
        let insert = format!("INSERT INTO people (id, name) VALUES ('{key}', '{key}');");
        let insert = match db {
            Db::Sqlite => format!("INSERT INTO retentiond_actor VALUES ('{actor}'); {insert}"),
            Db::Postgres => format!("SET retentiond.actor = '{actor}'; {insert}"),
            Db::Mariadb => format!("SET @retentiond_actor = '{actor}'; {insert}"),
        };
        let captured = small.inserted(&insert);
        let row_key = captured[0].split('\t').nth(1).unwrap();
        if db == Db::Sqlite {
            assert_eq!(row_key, key);
        } else {
            assert!(row_key.starts_with("sha256:") && row_key.len() == 71, "{db:?} {row_key}");
        }
        // Two megabytes of bytes are told by their hash, and a change of the last of them is one.
        let bytes = |last: &str| match db {
            Db::Sqlite => format!("CAST(printf('%.2000000c', 'x') || '{last}' AS BLOB)"),
            Db::Postgres => format!("convert_to(repeat('x', 2000000) || '{last}', 'UTF8')"),
            Db::Mariadb => format!("CONCAT(REPEAT('x', 2000000), '{last}')"),
        };
        small.sql("DELETE FROM retentiond_changes;");
        for last in ["a", "b"] {
            small.sql(&format!("UPDATE people SET portrait = {};", bytes(last)));
        }
        let said = small.sql("SELECT length(new_value) FROM retentiond_changes WHERE attribute = 'portrait';");
        let expected = if db == Db::Sqlite { ["4000002"; 2] } else { ["71"; 2] };
        assert_eq!(said.lines().collect::<Vec<_>>(), expected, "{db:?}");
    }
}

/// Two spellings of one table are one table, captured as the strictest of its entries says.
#[test]
fn the_strictest_of_two_entries_counts() {
    let hashed = [("a_people", "people", ""), ("b_people", "public.people", "audit = \"hash\"")];
    let small = Small::new(Db::Postgres, &hashed);
    small.apply();
    small.sql("INSERT INTO people (id, name) VALUES ('a', 'Jane');");
    assert_eq!(small.sql("SELECT count(*), min(length(new_value)) FROM retentiond_changes;").trim(), "2\t64");
    small.map(&[hashed[0], ("b_people", "public.people", "audit = \"none\"")]);
    small.apply();
    assert!(small.inserted("INSERT INTO people (id) VALUES ('b');").is_empty());
}

/// A partition has its trigger from the whole table, and is no table that nobody asks for.
#[test]
fn partitions_are_captured_with_their_table() {
    let small = Small::new(Db::Postgres, &[("people", "people", "")]);
    small.sql(
        "CREATE TABLE parted (id INT NOT NULL, name TEXT, PRIMARY KEY (id)) PARTITION BY RANGE (id);
         CREATE TABLE parted_low PARTITION OF parted FOR VALUES FROM (0) TO (10);",
    );
    small.map(&[("parted", "parted", "")]);
    for _ in 0..2 {
        small.apply();
        assert_eq!(small.inserted("INSERT INTO parted (id) VALUES (1);"), ["parted\t1"]);
        small.sql("DELETE FROM parted;");
        let check = small.program(&["check"], 0);
        assert!(!check.contains("captured"), "{check}");
    }
    small.program(&["audit", "capture", "main", "--remove"], 0);
    assert!(small.inserted("INSERT INTO parted (id) VALUES (1);").is_empty());
}

/// The function runs as who installed it: no temporary table of the writer's takes the place of ours, nobody may call it.
#[test]
fn the_function_serves_nobody_else() {
    let small = Small::new(Db::Postgres, &[("people", "people", "")]);
    small.apply();
    let own = "FROM pg_proc WHERE proname = 'retentiond_capture_people'";
    assert_eq!(small.sql(&format!("SELECT has_function_privilege('public', oid, 'EXECUTE') {own};")).trim(), "f");
    let path = small.sql(&format!("SELECT array_to_string(proconfig, ' ') {own};"));
    assert_eq!(path.trim(), "search_path=pg_catalog, public, pg_temp");
    small.sql(
        "CREATE TEMPORARY TABLE retentiond_changes (LIKE public.retentiond_changes);
         CREATE FUNCTION pg_temp.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS 'SELECT NULL::timestamptz';
         INSERT INTO people (id) VALUES ('a');",
    );
    assert_eq!(small.sql("SELECT count(*) FROM retentiond_changes;").trim(), "1");
}

/// What is printed does what `--apply` does, and either goes on where a first try ended.
#[test]
fn what_is_printed_is_what_is_applied() {
    for db in ALL {
        let entries = [("people", "people", "audit = \"hash\""), ("things", "things", "")];
        let (printed, applied) = (Small::new(db, &entries), Small::new(db, &entries));
        let text = printed.program(&["audit", "capture", "main"], 0);
        // As if the first try had ended after the first table.
        let first = text.split_inclusive(";\n").next().unwrap();
        for small in [&printed, &applied] {
            small.sql(first);
        }
        try_sql(&printed.url, &text).unwrap();
        applied.apply();
        for small in [&printed, &applied] {
            let check = small.program(&["check"], 0);
            assert!(!check.contains("captured"), "{db:?} {check}");
            assert_eq!(small.sql("SELECT count(*) FROM retentiond_captured;").trim(), "2", "{db:?}");
            small.sql("INSERT INTO people (id, name) VALUES ('a', 'Jane');");
            let value = small.sql("SELECT COALESCE(new_value, '~') FROM retentiond_changes WHERE attribute = 'name';");
            let hashed = if db == Db::Sqlite { value.trim() == "~" } else { value.trim().len() == 64 };
            assert!(hashed && small.db == db, "{db:?} {value}");
        }
        let again = printed.program(&["audit", "capture", "main"], 0);
        assert!(!again.contains("CREATE TABLE") && !again.contains("secret) SELECT"), "{db:?} {again}");
    }
}

/// A table of changes that was made before there were persons in it gets the column before the triggers need it.
#[test]
fn an_older_table_of_changes_gets_its_column() {
    for db in ALL {
        let small = Small::new(db, &[("people", "people", "")]);
        small.apply();
        small.program(&["audit", "capture", "main", "--remove"], 0);
        small.sql(match db {
            Db::Sqlite => "DROP INDEX retentiond_changes_person; ALTER TABLE retentiond_changes DROP COLUMN person;",
            _ => "ALTER TABLE retentiond_changes DROP COLUMN person;",
        });
        small.apply();
        assert_eq!(small.inserted("INSERT INTO people (id) VALUES ('a');"), ["people\ta"], "{db:?}");
        let again = small.program(&["audit", "capture", "main"], 0);
        assert!(!again.contains("ALTER TABLE"), "{db:?} {again}");
    }
}
