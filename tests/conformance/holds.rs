//! Legal holds: a held row, what belongs to it and what it needs stay to the byte, whatever the type of the key; all else
//! goes as before; and what a hold deferred goes after it.

use crate::client::{ALL, Db};
use crate::families::{civil, entry, job};
use crate::keys::{KEYS, Key};
use crate::site::Site;

const LONG: Key = Key {
    name: "long",
    columns: ["k text PRIMARY KEY", "k text PRIMARY KEY", "k varchar(700) CHARACTER SET utf8mb4 PRIMARY KEY"],
    value: |_, number| format!("'{}{number} '", "é".repeat(300 + number % 300)),
};

fn hold(site: &Site, case: &str, data: &str, only: &str) {
    let add = site.program(&["hold", "add", case, "--data", data, "--where", only, "--why", "a court asked for it"]);
    assert_eq!(add.exit, 0, "{:?} {add:#?}", site.database.db);
}

fn release(site: &Site, case: &str) {
    let done = site.program(&["hold", "release", case, "--approve-as", "nobody"]);
    assert_eq!(done.exit, 0, "{:?} {done:#?}", site.database.db);
}

fn fate(number: usize) -> &'static str {
    if number.is_multiple_of(3) { "stays" } else { "goes" }
}

fn old_rows(db: Db, key: &Key, count: usize) -> Vec<String> {
    (0..count)
        .map(|number| {
            let time = format!("2020-{:02}-{:02} 10:00:{:02}", number % 12 + 1, number % 28 + 1, number % 50);
            format!("'{}', '{time}', {}", fate(number), (key.value)(db, number))
        })
        .collect()
}

/// A held row stays by whatever tells it apart, in every way of walking a table.
#[test]
fn held_rows_stay_by_any_key() {
    for db in ALL {
        let indexes = ["", "CREATE INDEX people_at ON people (at);"];
        for (key, index) in KEYS.iter().chain([&LONG]).filter(|key| key.name != "none").zip(indexes.iter().cycle()) {
            let columns = key.columns[db.pick(0, 1, 2)];
            let schema = format!("CREATE TABLE people (fate {{text}}, at {{civil}}, {columns}); {index}");
            let policy = [entry("people", &format!("time = {}", civil(db))), job("people", "")].concat();
            let site = Site::new(db, &schema, &["people"], &policy);
            site.database.insert("people", &old_rows(db, key, 600));
            hold(&site, "court", "people", "fate=stays");
            let plan = site.purge("it");
            assert_eq!(plan.steps("people", "/held"), 200, "{db:?} {} {plan:#?}", key.name);
            assert_eq!(site.database.count("people", "fate = 'stays'"), 200, "{db:?} {}", key.name);
        }
    }
}

/// The children of held parents stay, and the parents of held children, by any key; the hold may be on either.
#[test]
fn families_stay_together_by_any_key() {
    for db in ALL {
        for (key, held) in KEYS.iter().filter(|key| key.name != "none").zip(["people", "notes"].iter().cycle()) {
            let columns = key.columns[db.pick(0, 1, 2)];
            let child = columns.replace("PRIMARY KEY (k, n)", "FOREIGN KEY (k, n) REFERENCES people (k, n)");
            let child = child.replace(", PRIMARY KEY (k)", "").replace(" PRIMARY KEY", "").replace(" primary key", "");
            let (index, by) = if key.name == "composite" { ("k, n", r#"["k", "n"]"#) } else { ("k", "\"k\"") };
            let schema = format!(
                "CREATE TABLE people (fate {{text}}, at {{civil}}, {columns}); CREATE TABLE notes (fate {{text}}, id {{big}} PRIMARY KEY, {child}); CREATE INDEX notes_of ON notes ({index});"
            );
            let policy = [
                entry("people", &format!("time = {}", civil(db))),
                entry("notes", &format!("belongs_to = {{ data = \"people\", by = {by} }}")),
                job("people", ""),
            ];
            let site = Site::new(db, &schema, &["people", "notes"], &policy.concat());
            site.database.insert("people", &old_rows(db, key, 300));
            let notes: Vec<String> =
                (0..300).map(|number| format!("'{}', {number}, {}", fate(number), (key.value)(db, number))).collect();
            site.database.insert("notes", &notes);
            hold(&site, "court", held, "fate=stays");
            let plan = site.purge("it");
            assert_eq!(plan.steps("people", "/held"), 100, "{db:?} {} {plan:#?}", key.name);
            assert_eq!(plan.steps("notes", "/held"), 100, "{db:?} {} {plan:#?}", key.name);
        }
    }
}

const FAMILY: &str = "CREATE TABLE parents (id {big} PRIMARY KEY, at {civil}, name {text}, fate {text});
    CREATE TABLE mails (id {big} PRIMARY KEY, parent {big}, at {civil}, fate {text}, FOREIGN KEY (parent) REFERENCES parents (id));
    CREATE TABLE files (id {big} PRIMARY KEY, mail {big}, fate {text}, FOREIGN KEY (mail) REFERENCES mails (id));
    CREATE INDEX mails_parent ON mails (parent); CREATE INDEX files_mail ON files (mail);";

/// A grandchild holds its grandparent, not its cousins; a row that came under a held one after the hold stays too.
#[test]
fn a_grandchild_keeps_what_it_needs() {
    for db in ALL {
        let keys = format!("time = {}\non_expiry = \"anonymise\"\nanonymise = {{ name = \"null\" }}", civil(db));
        let policy = [
            entry("parents", &keys),
            entry("mails", &format!("time = {}\nbelongs_to = {{ data = \"parents\", by = \"parent\" }}", civil(db))),
            entry("files", "belongs_to = { data = \"mails\", by = \"mail\" }"),
            "[jobs.it]\nkind = \"retention_purge\"\ndata = [\"parents\", \"mails\"]\nkeep = \"1 year\"\n".to_owned(),
        ];
        let site = Site::new(db, FAMILY, &["parents", "mails", "files"], &policy.concat());
        site.database.sql(
            "INSERT INTO parents VALUES (1, '2020-01-01 00:00:00', 'Ann', 'stays'), (2, '2020-01-02 00:00:00', 'Bea', 'changes'), (3, '2020-01-03 00:00:00', 'Cid', 'stays');
             INSERT INTO mails VALUES (10, 1, '2020-02-01 00:00:00', 'stays'), (11, 1, '2020-02-02 00:00:00', 'goes'), (20, 2, '2030-02-01 00:00:00', 'goes'), (30, 3, '2030-03-01 00:00:00', 'stays');
             INSERT INTO files VALUES (100, 10, 'stays'), (101, 10, 'stays'), (110, 11, 'goes'), (200, 20, 'goes'), (300, 30, 'stays');",
        );
        hold(&site, "grandchild", "files", "id = 100");
        hold(&site, "parent", "parents", "id = [3]");
        site.database.sql("INSERT INTO files VALUES (301, 30, 'stays');");
        // File 101 is not held: it goes with its mail, and that is needed.
        let plan = site.plan("it", &[]);
        // The parents, mail 10 (mail 30 is not old, but would go with its parent), the files of both.
        assert!(plan.steps("parents", "/held") == 2, "{db:?} {plan:#?}");
        let run = site.program(&["run", "it"]);
        assert_eq!((run.exit, &run.job()["outcome"]), (0, &"complete".into()), "{db:?} {run:#?}");
        assert_eq!(site.fated("goes"), 0, "{db:?}");
        assert_eq!(site.database.sql("SELECT id FROM parents WHERE name IS NULL;"), ["2"], "{db:?}");
        for (table, rows) in [("parents", 3), ("mails", 2), ("files", 4)] {
            assert_eq!(site.database.count(table, "1 = 1"), rows, "{db:?} {table}");
        }
        // What is left is held, every row of it.
        let held = site.program(&["run", "it"]);
        assert_eq!((held.exit, &held.job()["outcome"]), (4, &"held".into()), "{db:?} {held:#?}");
        release(&site, "grandchild");
        release(&site, "parent");
        let last = site.program(&["run", "it"]);
        assert_eq!((last.exit, &last.job()["outcome"]), (0, &"complete".into()), "{db:?} {last:#?}");
        assert_eq!(site.database.count("files", "1 = 1") + site.database.count("mails", "1 = 1"), 0, "{db:?}");
        assert_eq!(site.database.count("parents", "name IS NOT NULL"), 0, "{db:?}");
        assert_eq!(site.database.sql("SELECT count(*) FROM retentiond_held;"), ["0"], "{db:?}: nothing is left of it");
    }
}

/// Along a link of a table to itself: what is above a held row and what is below it stays, the rest goes.
#[test]
fn a_chain_of_references_stays_whole() {
    for db in ALL {
        let schema = "CREATE TABLE parents (id {big} PRIMARY KEY, at {civil}, up {big}, fate {text}, FOREIGN KEY (up) REFERENCES parents (id)); CREATE INDEX parents_up ON parents (up);";
        let keys = format!("time = {}\nbelongs_to = {{ data = \"parents\", by = \"up\" }}", civil(db));
        let site = Site::new(db, schema, &["parents"], &[entry("parents", &keys), job("parents", "")].concat());
        site.database.sql(
            "INSERT INTO parents VALUES (1, '2020-01-01 00:00:00', NULL, 'stays'), (2, '2020-01-02 00:00:00', 1, 'stays'),
                (3, '2020-01-03 00:00:00', 2, 'stays'), (4, '2020-01-04 00:00:00', 3, 'stays'), (5, '2020-01-05 00:00:00', 4, 'stays'),
                (6, '2020-01-06 00:00:00', 2, 'goes'), (7, '2030-01-07 00:00:00', 1, 'stays'), (8, '2020-01-08 00:00:00', NULL, 'goes'),
                (9, '2030-01-09 00:00:00', 8, 'goes');",
        );
        hold(&site, "court", "parents", "id = 3");
        let plan = site.purge("it");
        // Seven rows are due or would go along; five are kept by the hold, and the young 7 does not go without its parent.
        assert_eq!(plan.steps("parents", "/rows"), 3, "{db:?} {plan:#?}");
    }
}

/// A reply that is held for the sake of another parent keeps what it replies to, and so the parent of that.
#[test]
fn a_held_parent_keeps_the_thread_of_its_reply() {
    for (db, keyed) in ALL.into_iter().flat_map(|db| [(db, true), (db, false)]) {
        let keys = if keyed {
            ", FOREIGN KEY (post) REFERENCES posts (id), FOREIGN KEY (reply_to) REFERENCES comments (id)"
        } else {
            ""
        };
        let schema = format!(
            "CREATE TABLE posts (id {{big}} PRIMARY KEY, at {{civil}}, fate {{text}});
             CREATE TABLE comments (id {{big}} PRIMARY KEY, post {{big}}, reply_to {{big}}, fate {{text}}{keys});
             CREATE INDEX comments_post ON comments (post); CREATE INDEX comments_reply ON comments (reply_to);"
        );
        let links = "belongs_to = [{ data = \"posts\", by = \"post\" }, { data = \"comments\", by = \"reply_to\" }]";
        let policy =
            [entry("posts", &format!("time = {}", civil(db))), entry("comments", links), job("posts", "")].concat();
        let site = Site::new(db, &schema, &["posts", "comments"], &policy);
        site.database.sql(
            "INSERT INTO posts VALUES (1, '2020-01-01 00:00:00', 'stays'), (2, '2020-01-01 00:00:00', 'stays'), (3, '2020-01-01 00:00:00', 'goes');
             INSERT INTO comments VALUES (10, 1, NULL, 'stays'), (11, 2, 10, 'stays'), (12, NULL, 11, 'stays'), (30, 3, NULL, 'goes'), (31, 3, 30, 'goes');",
        );
        hold(&site, "court", "posts", "id=2");
        site.purge("it");
    }
}

/// A reference that would be unlinked is a change of the row that bears it.
#[test]
fn a_held_reference_keeps_its_target() {
    for db in ALL {
        let schema = "CREATE TABLE parents (id {big} PRIMARY KEY, at {civil}, fate {text}); CREATE TABLE notes (id {big} PRIMARY KEY, parent {big}, fate {text}, FOREIGN KEY (parent) REFERENCES parents (id)); CREATE INDEX notes_parent ON notes (parent);";
        let policy = [
            entry("parents", &format!("time = {}", civil(db))),
            entry("notes", "unlink = { data = \"parents\", by = \"parent\" }"),
            job("parents", ""),
        ];
        let site = Site::new(db, schema, &["parents", "notes"], &policy.concat());
        site.database.sql(
            "INSERT INTO parents VALUES (1, '2020-01-01 00:00:00', 'goes'), (2, '2020-01-02 00:00:00', 'stays');
             INSERT INTO notes VALUES (1, 1, 'changes'), (2, 2, 'stays');",
        );
        hold(&site, "court", "notes", "id=2");
        site.purge("it");
    }
}

/// A held row refers to one that loses a reference of its own, and stays: that one is nobody's to keep.
#[test]
fn a_row_that_is_referred_to_loses_its_own_reference() {
    for db in ALL {
        let schema = "CREATE TABLE parents (id {big} PRIMARY KEY, at {civil}, fate {text});
             CREATE TABLE notes (id {big} PRIMARY KEY, parent {big}, fate {text}, FOREIGN KEY (parent) REFERENCES parents (id));
             CREATE TABLE marks (id {big} PRIMARY KEY, note {big}, fate {text}, FOREIGN KEY (note) REFERENCES notes (id));
             CREATE INDEX notes_parent ON notes (parent); CREATE INDEX marks_note ON marks (note);";
        let policy = [
            entry("parents", &format!("time = {}", civil(db))),
            entry("notes", "unlink = { data = \"parents\", by = \"parent\" }"),
            entry("marks", "unlink = { data = \"notes\", by = \"note\" }"),
            job("parents", ""),
        ];
        let site = Site::new(db, schema, &["parents", "notes", "marks"], &policy.concat());
        site.database.sql(
            "INSERT INTO parents VALUES (1, '2020-01-01 00:00:00', 'goes');
             INSERT INTO notes VALUES (1, 1, 'changes');
             INSERT INTO marks VALUES (1, 1, 'stays');",
        );
        hold(&site, "court", "marks", "id=1");
        site.purge("it");
    }
}

/// Several cases hold one row until the last of them ends; rows that came meanwhile are held by the next run.
#[test]
fn several_cases_hold_one_row() {
    for db in ALL {
        let schema = "CREATE TABLE parents (id {big} PRIMARY KEY, at {civil}, name {text}, fate {text}); CREATE INDEX parents_at ON parents (at);";
        let policy = [entry("parents", &format!("time = {}", civil(db))), job("parents", "")].concat();
        let site = Site::new(db, schema, &["parents"], &policy);
        site.database.sql("INSERT INTO parents VALUES (1, '2020-01-01 00:00:00', '0401234567', 'stays'), (2, '2020-01-02 00:00:00', 'Bea', 'stays');");
        // A value that looks like a number, in a column of text.
        hold(&site, "first", "parents", "name=0401234567");
        hold(&site, "second", "parents", "id = { below = 3 }");
        site.database.sql("INSERT INTO parents VALUES (3, '2020-01-03 00:00:00', '0401234567', 'stays');");
        let run = site.program(&["run", "it"]);
        assert_eq!((run.exit, run.rows()), (4, 0), "{db:?} {run:#?}");
        release(&site, "first");
        let run = site.program(&["run", "it"]);
        assert_eq!((run.exit, run.rows()), (0, 1), "{db:?}: only the third was held by the first case alone {run:#?}");
        let list = site.program(&["hold", "list"]);
        let holds = list.json["holds"].as_array().unwrap();
        assert_eq!(holds.len(), 1, "{db:?} {list:#?}");
        assert_eq!((&holds[0]["case"], &holds[0]["rows_of_case"]["main"]), (&"second".into(), &2.into()), "{db:?}");
        let all = site.program(&["hold", "list", "--all"]);
        assert_eq!(all.json["holds"][0]["approved_by"], "nobody", "{db:?} {all:#?}");
        // A case that the state does not know keeps its rows: doubt never deletes.
        site.database.sql("INSERT INTO retentiond_held VALUES ('parents', '1:2', 'unknown');");
        release(&site, "second");
        let run = site.program(&["run", "it"]);
        assert_eq!((run.exit, run.rows()), (0, 1), "{db:?} {run:#?}");
        assert_eq!(site.database.sql("SELECT id FROM parents;"), ["2"], "{db:?}");
        release(&site, "unknown");
        assert_eq!(site.program(&["run", "it"]).rows(), 1, "{db:?}");
    }
}

/// A hold with an end lets go by itself; one that is nonsense, or that one person alone would release, is refused.
#[test]
fn holds_end_and_bad_ones_are_refused() {
    let db = Db::Sqlite;
    let schema = "CREATE TABLE parents (id {big} PRIMARY KEY, at {civil}, name {text}, fate {text});";
    let policy = [entry("parents", &format!("time = {}", civil(db))), job("parents", "")].concat();
    let site = Site::new(db, schema, &["parents"], &policy);
    site.database.sql("INSERT INTO parents VALUES (1, '2020-01-01 00:00:00', 'Ann', 'stays');");
    let add = |arguments: &[&str]| site.program(&[&["hold", "add", "court", "--why", "asked"], arguments].concat());
    let until = (crate::site::now() + chrono::TimeDelta::days(1)).format("%Y-%m-%d").to_string();
    for (arguments, exit, words) in [
        (vec!["--data", "parent", "--where", "id=1"], 2, "did you mean `parents`?"),
        (vec!["--data", "parents", "--where", "nam=x"], 2, "did you mean `name`?"),
        (vec!["--data", "parents", "--where", "id=x"], 2, "id"),
        (vec!["--data", "parents", "--where", "id"], 2, "COLUMN=VALUE"),
        (vec!["--data", "parents"], 2, "--where"),
        (vec!["--data", "parents", "--where", "id=1", "--until", "2020-01-01"], 2, "past"),
    ] {
        let answer = add(&arguments);
        assert_eq!(answer.exit, exit, "{arguments:?} {answer:#?}");
        assert!(answer.error().contains(words), "{arguments:?} {answer:#?}");
    }
    assert_eq!(add(&["--data", "parents", "--where", "id=1", "--until", &until]).exit, 0);
    assert_eq!(site.program(&["run", "it"]).exit, 4);
    let me = crate::site::whoami();
    let alone = site.program(&["hold", "release", "court", "--approve-as", &me]);
    assert_eq!(alone.exit, 4, "{alone:#?}");
    let stranger = site.program(&["hold", "release", "court", "--approve-as", "no-such-user"]);
    assert_eq!(stranger.exit, 4, "{stranger:#?}");
    assert_eq!(site.program(&["run", "it"]).exit, 4, "neither of them released it");
    // The day passes.
    site.state("UPDATE holds SET ends_at = '2020-01-01 00:00:00'");
    let run = site.program(&["run", "it"]);
    assert_eq!((run.exit, run.rows()), (0, 1), "{run:#?}");
}
