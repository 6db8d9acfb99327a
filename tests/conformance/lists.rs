//! Lists of keys that stay with PostgreSQL: parents with an index on their time are chosen, locked and removed in one
//! transaction, and their keys come and go as arrays.

use crate::client::Db;
use crate::families::{civil, entry, job};
use crate::site::Site;

/// Parents with a child each; what both tables have besides is up to the case.
fn site(parents: &str, child: &str, by: &str) -> Site {
    let schema =
        format!("{parents} CREATE INDEX parents_at ON parents (at); {child} CREATE INDEX notes_of ON notes ({by});");
    let columns = by.split(", ").map(|column| format!("{column} = \"{column}\"")).collect::<Vec<_>>().join(", ");
    // One column may be called otherwise than the key that it refers to.
    let by_key = if by == "parent" { "\"parent\"".to_owned() } else { format!("{{ {columns} }}") };
    let policy = [
        entry("parents", &format!("time = {}", civil(Db::Postgres))),
        entry("notes", &format!("belongs_to = {{ data = \"parents\", by = {by_key} }}")),
        job("parents", ""),
    ];
    Site::new(Db::Postgres, &schema, &["parents", "notes"], &policy.concat())
}

fn fate(number: u64) -> (&'static str, u64) {
    if number.is_multiple_of(3) { ("stays", 2030) } else { ("goes", 2020) }
}

/// A parent's row: key, time and fate.
fn parent(number: u64) -> String {
    let (fate, year) = fate(number);
    format!("{number}, '{year}-01-{:02} 00:00:00', '{fate}'", number % 28 + 1)
}

/// Of types whose text PostgreSQL puts in quotes within an array, or writes in many ways, each value finds its rows again.
#[test]
fn values_of_any_type_come_back_from_an_array() {
    type Value = fn(u64) -> String;
    let cases: [(&str, &str, Value); 10] = [
        ("", "char(12)", |number| format!("'c {number}'")),
        ("", "varchar(40)", |number| format!("E'{{}},\\\\ \"{number}\" NULL'")),
        ("", "text", |number| if number == 1 { "''".into() } else { format!("E'a\\nb\\t{number}'") }),
        ("", "numeric(12,3)", |number| format!("{number}.5")),
        ("", "timestamptz", |number| {
            format!("timestamptz '1999-12-31 23:59:59.000001+02' + interval '{number} hours'")
        }),
        ("", "date", |number| format!("date '1583-10-15' + {number}")),
        ("", "inet", |number| format!("'10.{}.{}.1'", number / 250, number % 250)),
        ("", "bytea", |number| format!("decode('00ff5c22{number:08x}', 'hex')")),
        ("CREATE DOMAIN code AS varchar(20) CHECK (value <> '');", "code", |number| format!("'d,{number}'")),
        ("", "uuid", |number| format!("'{number:08x}-1111-4abc-8def-000000000000'")),
    ];
    for (before, key, value) in cases {
        let site = site(
            &format!("{before} CREATE TABLE parents (k {key} PRIMARY KEY, at {{civil}}, fate {{text}});"),
            &format!("CREATE TABLE notes (id {{big}} PRIMARY KEY, k {key} REFERENCES parents (k), fate {{text}});"),
            "k",
        );
        let numbers = 1..=60;
        let parent = |number| {
            let (fate, year) = fate(number);
            format!("{}, '{year}-01-01 00:00:{:02}', '{fate}'", value(number), number % 7)
        };
        let note = |number| format!("{number}, {}, '{}'", value(number), fate(number).0);
        site.database.insert("parents", &numbers.clone().map(parent).collect::<Vec<_>>());
        site.database.insert("notes", &numbers.map(note).collect::<Vec<_>>());
        site.database.sql("INSERT INTO notes VALUES (1000, NULL, 'stays');");
        let plan = site.purge("it");
        assert_eq!(plan.steps("notes", "/rows"), 40, "{key}: {plan:#?}");
    }
}

/// Children refer to columns that are no key, some of which are NULL: a NULL is referred to by nothing, and is no reason to
/// take anything else.
#[test]
fn nothing_belongs_to_a_null() {
    let site = site(
        "CREATE TABLE parents (id {big} PRIMARY KEY, at {civil}, area {text}, code {big}, fate {text}, UNIQUE (area, code));",
        "CREATE TABLE notes (id {big} PRIMARY KEY, area {text}, code {big}, fate {text});",
        "area, code",
    );
    let code = |number: u64| match number % 4 {
        0 => "NULL, 7".to_owned(),
        1 => format!("'a', {number}"),
        2 => format!("'NULL', {number}"),
        _ => "'a', NULL".to_owned(),
    };
    let parent = |number| {
        let (fate, year) = fate(number);
        format!("{number}, '{year}-01-01 00:00:{:02}', {}, '{fate}'", number % 7, code(number))
    };
    let note = |number: u64| {
        let fate = if matches!(number % 4, 0 | 3) { "stays" } else { fate(number).0 };
        format!("{number}, {}, '{fate}'", code(number))
    };
    site.database.insert("parents", &(1..=60).map(parent).collect::<Vec<_>>());
    site.database.insert("notes", &(1..=60).map(note).collect::<Vec<_>>());
    // A pair that no parent has, of values that parents have.
    site.database.sql("INSERT INTO notes VALUES (1000, 'a', 2, 'stays'), (1001, 'NULL', 1, 'stays');");
    site.purge("it");
}

/// A `char` is filled up with blanks, in an array too; the `text` that is equal to it is not.
#[test]
fn children_that_are_equal_by_another_type_go_too() {
    for (parents, notes) in [("char(12)", "text"), ("boolean", "boolean"), ("int", "bigint"), ("varchar(9)", "text")] {
        let site = site(
            &format!("CREATE TABLE parents (k {parents} PRIMARY KEY, at {{civil}}, fate {{text}});"),
            &format!("CREATE TABLE notes (id {{big}} PRIMARY KEY, k {notes}, fate {{text}});"),
            "k",
        );
        site.database.sql(
            "INSERT INTO parents VALUES ('1', '2020-01-01 00:00:00', 'goes'), ('0', '2030-01-01 00:00:00', 'stays');
             INSERT INTO notes VALUES (1, '1', 'goes'), (2, '0', 'stays'), (3, NULL, 'stays');",
        );
        let plan = site.purge("it");
        assert_eq!(plan.steps("notes", "/rows"), 1, "{parents} {notes}: {plan:#?}");
    }
}

/// A reply that goes with its thread may have no time of its own, by which the lists are in order.
#[test]
fn a_reply_without_a_time_goes_with_its_thread() {
    let schema = "CREATE TABLE posts (id {big} PRIMARY KEY, at {civil}, reply_to {big}, fate {text});
                  CREATE INDEX posts_at ON posts (at); CREATE INDEX posts_of ON posts (reply_to);";
    let posts = format!("time = {}\nbelongs_to = {{ data = \"posts\", by = \"reply_to\" }}", civil(Db::Postgres));
    let site = Site::new(Db::Postgres, schema, &["posts"], &[entry("posts", &posts), job("posts", "")].concat());
    site.database.sql(
        "INSERT INTO posts VALUES (1, '2020-01-01 00:00:00', NULL, 'goes'), (2, NULL, 1, 'goes'), (3, '2020-02-01 00:00:00', 2, 'goes'),
           (4, NULL, NULL, 'stays'), (5, NULL, 4, 'stays'), (6, '2030-01-01 00:00:00', NULL, 'stays'), (7, NULL, 6, 'stays');",
    );
    site.purge("it");
}

/// A reply that is unlinked may be due for that, at a place that the lists have passed.
#[test]
fn what_is_unlinked_may_be_due_for_that() {
    let schema = "CREATE TABLE posts (id {big} PRIMARY KEY, at {civil}, reply_to {big}, fate {text});
                  CREATE INDEX posts_at ON posts (at); CREATE INDEX posts_of ON posts (reply_to);";
    let posts = format!("time = {}\nunlink = {{ data = \"posts\", by = \"reply_to\" }}", civil(Db::Postgres));
    let threads = job("posts", "where = { reply_to = { null = true } }");
    let site = Site::new(Db::Postgres, schema, &["posts"], &[entry("posts", &posts), threads].concat());
    site.database.sql(
        "INSERT INTO posts VALUES (1, '2020-01-02 00:00:00', NULL, 'goes'), (2, '2020-01-01 00:00:00', 1, 'goes'),
           (3, '2030-01-01 00:00:00', 1, 'stays'), (4, '2020-01-01 00:00:00', 3, 'stays');",
    );
    let run = site.program(&["run", "it"]);
    assert_eq!((run.exit, site.fated("goes"), site.fated("stays")), (0, 0, 2), "{run:#?}");
}

/// Quick lists share a transaction, which is told in the ledger as one batch.
#[test]
fn quick_lists_share_a_transaction() {
    // On a busy machine none may be quick.
    let shared = (0..5).any(|_| {
        let site = site(
            "CREATE TABLE parents (id {big} PRIMARY KEY, at {civil}, fate {text});",
            "CREATE TABLE notes (id {big} PRIMARY KEY, parent {big}, fate {text});",
            "parent",
        );
        site.database.insert("parents", &(0..12_150).map(parent).collect::<Vec<_>>());
        let note = |number: u64| {
            let parent = number * 9 + number % 2;
            format!("{number}, {parent}, '{}'", fate(parent).0)
        };
        site.database.insert("notes", &(0..1_350).map(note).collect::<Vec<_>>());
        site.purge("it");
        let number = |sql: &str| -> u64 { site.database.sql(sql)[0].trim().parse().unwrap() };
        assert_eq!(number("SELECT sum(row_count) FROM retentiond_ledger WHERE data = 'parents';"), 8_100);
        number("SELECT max(row_count) FROM retentiond_ledger WHERE data = 'parents';") > 1_000
    });
    assert!(shared, "each list had a transaction of its own");
}

/// What a trigger of the children moves behind the lists goes too: nobody else wrote to the server, but the look is not left
/// out where something may write on our behalf.
#[test]
fn what_a_trigger_moves_behind_the_lists_goes_too() {
    let site = site(
        "CREATE TABLE parents (id {big} PRIMARY KEY, at {civil}, fate {text});",
        "CREATE TABLE notes (id {big} PRIMARY KEY, parent {big}, fate {text});
         CREATE FUNCTION older() RETURNS trigger LANGUAGE plpgsql AS
             'BEGIN UPDATE parents SET at = ''2019-01-01'' WHERE id = old.id; RETURN NULL; END';
         CREATE TRIGGER older AFTER DELETE ON notes FOR EACH ROW EXECUTE FUNCTION older();",
        "parent",
    );
    let parent = |number: u64| {
        let (fate, year) = if number.is_multiple_of(3) { ("stays", 2030) } else { ("goes", 2020) };
        format!("{number}, '{year}-01-01 00:00:00', '{fate}'")
    };
    site.database.insert("parents", &(1..=4_000).map(parent).collect::<Vec<_>>());
    // With the note of the last parent that goes, another one comes to be due, before the first.
    site.database.sql("INSERT INTO notes VALUES (3999, 4000, 'goes');");
    assert_eq!(site.database.count("parents", "fate = 'goes'"), 2_667);
    let run = site.program(&["run", "it"]);
    assert_eq!((run.exit, run.steps("parents", "/rows")), (0, 2_668), "{run:#?}");
    assert_eq!(site.database.count("parents", "id = 3999"), 0);
}

/// A row that is changed while a batch waits for it lies elsewhere when the batch has it, and goes from there.
#[test]
fn a_row_that_is_changed_meanwhile_goes_from_where_it_lies() {
    let site = site(
        "CREATE TABLE parents (id {big} PRIMARY KEY, at {civil}, fate {text});",
        "CREATE TABLE notes (id {big} PRIMARY KEY, parent {big} REFERENCES parents (id), fate {text});",
        "parent",
    );
    site.database.insert("parents", &(1..=3_000).map(parent).collect::<Vec<_>>());
    let notes = (1..=3_000).map(|number| format!("{number}, {number}, '{}'", fate(number).0));
    site.database.insert("notes", &notes.collect::<Vec<_>>());
    let kept = site.dump("fate = 'stays'");
    // Somebody has changed rows, and lets them go when the batch waits for them.
    let changes = "BEGIN; UPDATE parents SET fate = fate WHERE id % 300 = 1;
         DO $$ BEGIN FOR i IN 1..3000 LOOP
             PERFORM pg_stat_clear_snapshot();
             IF EXISTS (SELECT 1 FROM pg_stat_activity WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))) THEN RETURN; END IF;
             PERFORM pg_sleep(0.005);
         END LOOP; RAISE 'nobody waited'; END $$;
         COMMIT;";
    let changed =
        "SELECT count(*) FROM pg_locks WHERE relation = CAST('parents' AS regclass) AND mode = 'RowExclusiveLock';";
    let run = std::thread::scope(|scope| {
        let application = scope.spawn(|| site.database.sql(changes));
        while site.database.sql(changed)[0].trim() == "0" && !application.is_finished() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let run = site.program(&["run", "it", "--unpaced"]);
        application.join().unwrap();
        run
    });
    assert_eq!((run.exit, run.steps("parents", "/rows"), run.steps("notes", "/rows")), (0, 2_000, 2_000), "{run:#?}");
    assert_eq!((site.fated("goes"), site.dump("fate = 'stays'")), (0, kept));
}

/// A trigger of the children may write their parent itself, which then lies elsewhere than where it was locked.
#[test]
fn a_parent_that_counts_its_children_goes_with_them() {
    let site = site(
        "CREATE TABLE parents (id {big} PRIMARY KEY, at {civil}, notes {big}, fate {text});",
        "CREATE TABLE notes (id {big} PRIMARY KEY, parent {big} REFERENCES parents (id), fate {text});
         CREATE FUNCTION counted() RETURNS trigger LANGUAGE plpgsql AS
             'BEGIN UPDATE parents SET notes = notes - 1 WHERE id = old.parent; RETURN NULL; END';
         CREATE TRIGGER counted AFTER DELETE ON notes FOR EACH ROW EXECUTE FUNCTION counted();",
        "parent",
    );
    let parent = |number| {
        let (fate, year) = fate(number);
        format!("{number}, '{year}-01-{:02} 00:00:00', 2, '{fate}'", number % 28 + 1)
    };
    site.database.insert("parents", &(1..=300).map(parent).collect::<Vec<_>>());
    let notes = (0..600).map(|number| format!("{number}, {}, '{}'", number / 2 + 1, fate(number / 2 + 1).0));
    site.database.insert("notes", &notes.collect::<Vec<_>>());
    let run = site.purge("it");
    assert_eq!((run.steps("parents", "/rows"), run.steps("notes", "/rows")), (200, 400), "{run:#?}");
}

/// Rows of a table and of its heirs may lie at the same places of each.
#[test]
fn rows_of_heirs_go_with_those_of_the_table() {
    let site = site(
        "CREATE TABLE parents (id {big} PRIMARY KEY, at {civil}, fate {text});
         CREATE TABLE heirs (PRIMARY KEY (id)) INHERITS (parents); CREATE INDEX heirs_at ON heirs (at);",
        "CREATE TABLE notes (id {big} PRIMARY KEY, parent {big}, fate {text});",
        "parent",
    );
    // Of each pair one lies in each table.
    for (table, odd) in [("parents", 0), ("heirs", 1)] {
        let rows = (0..3_000).filter(|number| number % 2 == odd).map(parent);
        site.database.insert(table, &rows.collect::<Vec<_>>());
    }
    let notes = (0..3_000).map(|number| format!("{number}, {number}, '{}'", fate(number).0));
    site.database.insert("notes", &notes.collect::<Vec<_>>());
    let run = site.purge("it");
    assert_eq!((run.steps("parents", "/rows"), run.steps("notes", "/rows")), (2_000, 2_000), "{run:#?}");
}
