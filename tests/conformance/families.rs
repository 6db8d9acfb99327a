//! Parents with children: children first, each by its own rule, and nobody else's children.

use crate::client::{ALL, Db};
use crate::site::Site;

/// `time = …` of a civil column in UTC.
pub fn civil(db: Db) -> &'static str {
    let declared = r#"{ column = "at", zone = "UTC" }"#;
    db.pick(r#"{ column = "at", format = "%Y-%m-%d %H:%M:%S", zone = "UTC" }"#, declared, declared)
}

/// An entry on a table of the same name, with more keys.
pub fn entry(name: &str, keys: &str) -> String {
    format!("[data.{name}]\n{{store}}\ntable = \"{name}\"\n{keys}\n")
}

/// A job that keeps an entry for a year.
pub fn job(data: &str, keys: &str) -> String {
    format!("[jobs.it]\nkind = \"retention_purge\"\ndata = [\"{data}\"]\nkeep = \"1 year\"\n{keys}\n")
}

const PARENTS: &str = "CREATE TABLE parents (id {big} PRIMARY KEY, at {civil}, a {big}, b {big}, fate {text});";

#[test]
fn two_children_and_grandchildren_under_foreign_keys() {
    for db in ALL {
        let schema = format!(
            "{PARENTS} CREATE TABLE notes (id {{big}} PRIMARY KEY, parent {{big}}, fate {{text}}, FOREIGN KEY (parent) REFERENCES parents (id));
             CREATE TABLE mails (id {{big}} PRIMARY KEY, parent {{big}}, fate {{text}}, FOREIGN KEY (parent) REFERENCES parents (id));
             CREATE TABLE files (id {{big}} PRIMARY KEY, mail {{big}}, fate {{text}}, FOREIGN KEY (mail) REFERENCES mails (id));
             CREATE INDEX notes_parent ON notes (parent); CREATE INDEX mails_parent ON mails (parent); CREATE INDEX files_mail ON files (mail);"
        );
        let policy = [
            entry("parents", &format!("time = {}", civil(db))),
            entry("notes", "belongs_to = { data = \"parents\", by = \"parent\" }"),
            entry("mails", "belongs_to = { data = \"parents\", by = \"parent\" }"),
            entry("files", "belongs_to = { data = \"mails\", by = \"mail\" }"),
            job("parents", ""),
        ];
        let site = Site::new(db, &schema, &["parents", "notes", "mails", "files"], &policy.concat());
        let fate = |parent: u32| if parent.is_multiple_of(2) { "goes" } else { "stays" };
        let year = |parent: u32| if parent.is_multiple_of(2) { 2020 } else { 2030 };
        let rows = |count: u32, row: &dyn Fn(u32) -> String| (0..count).map(row).collect::<Vec<_>>();
        site.database.insert(
            "parents",
            &rows(3_000, &|id| format!("{id}, '{}-01-01 00:00:{:02}', NULL, NULL, '{}'", year(id), id % 60, fate(id))),
        );
        site.database.insert("notes", &rows(4_000, &|id| format!("{id}, {}, '{}'", id % 3_000, fate(id % 3_000))));
        site.database.insert("mails", &rows(4_000, &|id| format!("{id}, {}, '{}'", id / 2, fate(id / 2))));
        site.database.insert("files", &rows(5_000, &|id| format!("{id}, {}, '{}'", id % 4_000, fate(id % 4_000 / 2))));
        // Nobody's rows stay.
        site.database
            .sql("INSERT INTO notes VALUES (90000, NULL, 'stays'); INSERT INTO files VALUES (90000, NULL, 'stays');");
        let plan = site.purge("it");
        assert_eq!(plan.steps("mails", "/rows"), 2_000, "{db:?} {plan:#?}");
    }
}

/// One parent has more children than a batch takes, and few of these have children: nobody's children are left without
/// theirs, with foreign keys and without.
#[test]
fn more_children_than_a_batch_go_after_their_own() {
    for (db, keyed) in ALL.into_iter().flat_map(|db| [(db, true), (db, false)]) {
        let key = |column: &str, to: &str| {
            if keyed { format!(", FOREIGN KEY ({column}) REFERENCES {to} (id)") } else { String::new() }
        };
        let schema = format!(
            "{PARENTS} CREATE TABLE mails (id {{big}} PRIMARY KEY, parent {{big}}, fate {{text}}{});
             CREATE TABLE files (id {{big}} PRIMARY KEY, mail {{big}}, fate {{text}}{});
             CREATE INDEX mails_parent ON mails (parent); CREATE INDEX files_mail ON files (mail);",
            key("parent", "parents"),
            key("mail", "mails")
        );
        let policy = [
            entry("parents", &format!("time = {}", civil(db))),
            entry("mails", "belongs_to = { data = \"parents\", by = \"parent\" }"),
            entry("files", "belongs_to = { data = \"mails\", by = \"mail\" }"),
            job("parents", ""),
        ];
        let site = Site::new(db, &schema, &["parents", "mails", "files"], &policy.concat());
        site.database.sql(
            "INSERT INTO parents VALUES (1, '2020-01-01 00:00:00', NULL, NULL, 'goes'), (2, '2030-01-01 00:00:00', NULL, NULL, 'stays'),
               (3, '2020-01-02 00:00:00', NULL, NULL, 'goes');",
        );
        let mut mails: Vec<String> = (1..=22_000).map(|id| format!("{id}, 1, 'goes'")).collect();
        mails.extend((22_001..=22_010).map(|id| format!("{id}, 2, 'stays'")));
        mails.extend((22_011..=22_020).map(|id| format!("{id}, 3, 'goes'")));
        site.database.insert("mails", &mails);
        let files = (1..=22_020).step_by(5).map(|mail| {
            let fate = if (22_001..=22_010).contains(&mail) { "stays" } else { "goes" };
            format!("{mail}, {mail}, '{fate}'")
        });
        site.database.insert("files", &files.collect::<Vec<_>>());
        site.purge("it");
    }
}

/// On PostgreSQL the children of a batch are not counted before they go, but where that takes longer than a tenth of a
/// second: here each statement on them does. Nothing of such an attempt stays, and the run goes on with care.
#[test]
fn children_that_take_long_are_counted_first() {
    let schema = format!(
        "{PARENTS} CREATE INDEX parents_at ON parents (at);
         CREATE TABLE mails (id {{big}} PRIMARY KEY, parent {{big}} REFERENCES parents (id), fate {{text}});
         CREATE INDEX mails_parent ON mails (parent); CREATE SEQUENCE tried;
         CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
             'BEGIN PERFORM nextval(''tried''), pg_sleep(0.15); RETURN NULL; END';
         CREATE TRIGGER slow BEFORE DELETE ON mails FOR EACH STATEMENT EXECUTE FUNCTION slow();"
    );
    let policy = [
        entry("parents", &format!("time = {}", civil(Db::Postgres))),
        entry("mails", "belongs_to = { data = \"parents\", by = \"parent\" }"),
        job("parents", ""),
    ];
    let site = Site::new(Db::Postgres, &schema, &["parents", "mails"], &policy.concat());
    let rows = |fate: &str, ids: std::ops::Range<u64>, at: &str| -> (Vec<String>, Vec<String>) {
        let parent = |id| format!("{id}, '{at}', NULL, NULL, '{fate}'");
        let mail = |id| format!("{id}, {id}, '{fate}'");
        (ids.clone().map(parent).collect(), ids.map(mail).collect())
    };
    for (parents, mails) in
        [rows("goes", 1..301, "2020-01-01 00:00:00"), rows("stays", 301..311, "2030-01-01 00:00:00")]
    {
        site.database.insert("parents", &parents);
        site.database.insert("mails", &mails);
    }
    let run = site.purge("it");
    assert_eq!(run.steps("mails", "/rows"), 300, "{run:#?}");
    // One attempt came to nothing, unless the machine was too slow to get so far; the batches after it took their time.
    let number = |sql: &str| -> u64 { site.database.sql(sql)[0].trim().parse().unwrap() };
    let batches = number("SELECT count(DISTINCT batch) FROM retentiond_ledger WHERE data = 'mails';");
    let tried = number("SELECT last_value FROM tried;");
    assert!((batches..=batches + 1).contains(&tried), "{tried} attempts for {batches} batches: {run:#?}");
}

/// Comments on a post and replies to them: what belongs to a comment goes with it, however deep, also where only the
/// comment says which post it is about.
#[test]
fn children_with_children_of_their_own_kind_go_from_the_end() {
    for (db, keyed) in ALL.into_iter().flat_map(|db| [(db, true), (db, false)]) {
        let keys = if keyed {
            ", FOREIGN KEY (post) REFERENCES parents (id), FOREIGN KEY (reply_to) REFERENCES comments (id)"
        } else {
            ""
        };
        let schema = format!(
            "{PARENTS} CREATE TABLE comments (id {{big}} PRIMARY KEY, post {{big}}, reply_to {{big}}, fate {{text}}{keys});
             CREATE TABLE likes (id {{big}} PRIMARY KEY, comment {{big}}, fate {{text}});
             CREATE INDEX comments_post ON comments (post); CREATE INDEX comments_reply ON comments (reply_to);
             CREATE INDEX likes_comment ON likes (comment);"
        );
        let policy = [
            entry("parents", &format!("time = {}", civil(db))),
            entry(
                "comments",
                "belongs_to = [{ data = \"parents\", by = \"post\" }, { data = \"comments\", by = \"reply_to\" }]",
            ),
            entry("likes", "belongs_to = { data = \"comments\", by = \"comment\" }"),
            job("parents", ""),
        ];
        let site = Site::new(db, &schema, &["parents", "comments", "likes"], &policy.concat());
        site.database.sql(
            "INSERT INTO parents VALUES (1, '2020-01-01 00:00:00', NULL, NULL, 'goes'), (2, '2030-01-01 00:00:00', NULL, NULL, 'stays');
             INSERT INTO comments VALUES (1, 1, NULL, 'goes'), (2, 1, 1, 'goes'), (3, 1, 2, 'goes'), (4, NULL, 3, 'goes'), (5, NULL, 4, 'goes'),
               (6, 2, NULL, 'stays'), (7, 2, 6, 'stays'), (8, NULL, 7, 'stays'), (9, NULL, NULL, 'stays');
             INSERT INTO likes VALUES (1, 1, 'goes'), (2, 5, 'goes'), (3, 8, 'stays'), (4, NULL, 'stays');",
        );
        site.purge("it");
    }
}

/// A reply that came after its thread was anonymised is found through what is done already, however deep.
#[test]
fn late_replies_are_anonymised_too() {
    for db in ALL {
        let schema = format!(
            "{PARENTS} CREATE TABLE comments (id {{big}} PRIMARY KEY, post {{big}}, reply_to {{big}}, words {{text}}, fate {{text}});
             CREATE INDEX comments_post ON comments (post); CREATE INDEX comments_reply ON comments (reply_to);"
        );
        let anonymise = "on_expiry = \"anonymise\"\nanonymise = ";
        let policy = [
            entry("parents", &format!("time = {}\n{anonymise}{{ a = \"null\" }}", civil(db))),
            entry(
                "comments",
                &format!(
                    "{anonymise}{{ words = \"null\" }}\nbelongs_to = [{{ data = \"parents\", by = \"post\" }}, {{ data = \"comments\", by = \"reply_to\" }}]"
                ),
            ),
            job("parents", ""),
        ];
        let site = Site::new(db, &schema, &["parents", "comments"], &policy.concat());
        site.database.sql(
            "INSERT INTO parents VALUES (1, '2020-01-01 00:00:00', 1, NULL, 'changes'), (2, '2030-01-01 00:00:00', 1, NULL, 'stays');
             INSERT INTO comments VALUES (1, 1, NULL, 'Ann', 'changes'), (2, NULL, 1, 'Bea', 'changes'), (3, 2, NULL, 'Cid', 'stays');",
        );
        site.purge("it");
        site.database.sql(
            "UPDATE parents SET fate = 'stays' WHERE id = 1; UPDATE comments SET fate = 'stays' WHERE id < 3;
             INSERT INTO comments VALUES (4, NULL, 2, 'Dan', 'changes'), (5, NULL, 3, 'Eve', 'stays');",
        );
        site.purge("it");
        assert_eq!(site.database.count("comments", "words IS NULL"), 3, "{db:?}");
    }
}

/// A typed link to the same table: only rows that say so belong to a row of it, though others hold its number too.
#[test]
fn a_typed_link_to_the_same_table_takes_its_own_type_only() {
    for db in ALL {
        let schema = "CREATE TABLE notes (id {big} PRIMARY KEY, at {civil}, kind {text}, object {big}, fate {text});
             CREATE INDEX notes_object ON notes (object);";
        let keys = format!(
            "time = {}\nbelongs_to = {{ data = \"notes\", by = \"object\", where = {{ kind = \"note\" }} }}",
            civil(db)
        );
        let site = Site::new(db, schema, &["notes"], &[entry("notes", &keys), job("notes", "")].concat());
        site.database.sql(
            "INSERT INTO notes VALUES (1, '2020-01-01 00:00:00', 'ticket', 5, 'goes'), (2, '2030-01-01 00:00:00', 'note', 1, 'goes'),
               (3, '2030-01-01 00:00:00', 'ticket', 1, 'stays'), (4, '2030-01-01 00:00:00', NULL, 1, 'stays'),
               (5, '2030-01-01 00:00:00', 'note', NULL, 'stays'), (6, '2030-01-01 00:00:00', 'note', 3, 'stays');",
        );
        site.purge("it");
    }
}

/// The first column of a link is NULL in one parent, its second holds the key of another: the children of that other
/// stay, whatever the order in which the links are looked at.
#[test]
fn a_null_in_a_composite_link_refers_to_nobody() {
    for db in ALL {
        let child = |name: &str| {
            format!(
                "CREATE TABLE {name} (id {{big}} PRIMARY KEY, a {{big}}, b {{big}}, parent {{big}}, fate {{text}}); CREATE INDEX {name}_ab ON {name} (a, b); CREATE INDEX {name}_parent ON {name} (parent);"
            )
        };
        let schema = [PARENTS.to_owned(), child("aaa"), child("mmm"), child("zzz")].concat();
        let composite = r#"belongs_to = { data = "parents", by = { a = "a", b = "b" } }"#;
        let policy = [
            entry("parents", &format!("time = {}", civil(db))),
            entry("aaa", composite),
            entry("mmm", "belongs_to = { data = \"parents\", by = \"parent\" }"),
            entry("zzz", composite),
            job("parents", ""),
        ];
        let site = Site::new(db, &schema, &["parents", "aaa", "mmm", "zzz"], &policy.concat());
        site.database.sql(
            "INSERT INTO parents VALUES (1, '2020-01-01 00:00:00', NULL, 7, 'goes'), (7, '2030-01-01 00:00:00', 1, 1, 'stays'),
               (8, '2020-02-01 00:00:00', 5, 6, 'goes'), (9, '2030-02-01 00:00:00', 6, 5, 'stays');
             INSERT INTO aaa VALUES (1, NULL, 7, NULL, 'stays'), (2, 1, 1, NULL, 'stays'), (3, 5, 6, NULL, 'goes'), (4, 6, 5, NULL, 'stays');
             INSERT INTO zzz VALUES (1, NULL, 7, NULL, 'stays'), (2, 1, 1, NULL, 'stays'), (3, 5, 6, NULL, 'goes'), (4, 5, 5, NULL, 'stays');
             INSERT INTO mmm VALUES (1, NULL, NULL, 1, 'goes'), (2, NULL, NULL, 7, 'stays'), (3, NULL, NULL, NULL, 'stays'), (4, 1, 1, 8, 'goes');",
        );
        site.purge("it");
    }
}

#[test]
fn a_typed_link_takes_its_own_type_only() {
    for db in ALL {
        let schema = format!(
            "{PARENTS} CREATE TABLE notes (id {{big}} PRIMARY KEY, kind {{text}}, object {{big}}, fate {{text}}); CREATE INDEX notes_object ON notes (object);"
        );
        let policy = [
            entry("parents", &format!("time = {}", civil(db))),
            entry("notes", "belongs_to = { data = \"parents\", by = \"object\", where = { kind = \"parent\" } }"),
            job("parents", ""),
        ];
        let site = Site::new(db, &schema, &["parents", "notes"], &policy.concat());
        site.database.sql(
            "INSERT INTO parents VALUES (1, '2020-01-01 00:00:00', 0, 0, 'goes'), (2, '2030-01-01 00:00:00', 0, 0, 'stays');
             INSERT INTO notes VALUES (1, 'parent', 1, 'goes'), (2, 'other', 1, 'stays'), (3, NULL, 1, 'stays'), (4, 'parent', 2, 'stays');",
        );
        site.purge("it");
    }
}

#[test]
fn a_reference_is_unlinked() {
    for db in ALL {
        let schema = format!(
            "{PARENTS} CREATE TABLE notes (id {{big}} PRIMARY KEY, parent {{big}}, fate {{text}}, FOREIGN KEY (parent) REFERENCES parents (id)); CREATE INDEX notes_parent ON notes (parent);"
        );
        let policy = [
            entry("parents", &format!("time = {}", civil(db))),
            entry("notes", "unlink = { data = \"parents\", by = \"parent\" }"),
            job("parents", ""),
        ];
        let site = Site::new(db, &schema, &["parents", "notes"], &policy.concat());
        site.database.sql(
            "INSERT INTO parents VALUES (1, '2020-01-01 00:00:00', 0, 0, 'goes'), (2, '2030-01-01 00:00:00', 0, 0, 'stays');
             INSERT INTO notes VALUES (1, 1, 'changes'), (2, 2, 'stays'), (3, NULL, 'stays');",
        );
        site.purge("it");
        assert_eq!(site.database.count("notes", "parent IS NULL"), 2, "{db:?}");
    }
}

#[test]
fn a_chain_of_five_goes_from_its_end() {
    for db in ALL {
        let schema = "CREATE TABLE parents (id {big} PRIMARY KEY, at {civil}, up {big}, fate {text}, FOREIGN KEY (up) REFERENCES parents (id)); CREATE INDEX parents_up ON parents (up);";
        let keys = format!("time = {}\nbelongs_to = {{ data = \"parents\", by = \"up\" }}", civil(db));
        let site = Site::new(db, schema, &["parents"], &[entry("parents", &keys), job("parents", "")].concat());
        let rows: Vec<String> = (1..=5)
            .map(|id| {
                format!(
                    "{id}, '2020-01-0{id} 00:00:00', {}, 'goes'",
                    if id == 1 { "NULL".to_owned() } else { (id - 1).to_string() }
                )
            })
            .chain((6..=10).map(|id| {
                format!(
                    "{id}, '2030-01-0{} 00:00:00', {}, 'stays'",
                    id - 5,
                    if id == 6 { "NULL".to_owned() } else { (id - 1).to_string() }
                )
            }))
            .collect();
        site.database.insert("parents", &rows);
        site.purge("it");
    }
}

#[test]
fn a_parent_of_thirty_thousand() {
    for db in ALL {
        let schema = format!(
            "{PARENTS} CREATE TABLE notes (id {{big}} PRIMARY KEY, parent {{big}}, fate {{text}}, FOREIGN KEY (parent) REFERENCES parents (id)); CREATE INDEX notes_parent ON notes (parent);"
        );
        let policy = [
            entry("parents", &format!("time = {}", civil(db))),
            entry("notes", "belongs_to = { data = \"parents\", by = \"parent\" }"),
            job("parents", ""),
        ];
        let site = Site::new(db, &schema, &["parents", "notes"], &policy.concat());
        site.database.sql(
            "INSERT INTO parents VALUES (1, '2020-01-01 00:00:00', 0, 0, 'goes'), (2, '2030-01-01 00:00:00', 0, 0, 'stays'), (3, '2020-01-02 00:00:00', 0, 0, 'goes');",
        );
        let notes: Vec<String> = (0..30_100)
            .map(|id| if id < 30_000 { format!("{id}, 1, 'goes'") } else { format!("{id}, 2, 'stays'") })
            .collect();
        site.database.insert("notes", &notes);
        site.purge("it");
    }
}

#[test]
fn a_parent_is_anonymised_and_its_child_goes() {
    for db in ALL {
        let schema = "CREATE TABLE parents (id {big} PRIMARY KEY, at {civil}, name {text}, fate {text});
             CREATE TABLE notes (id {big} PRIMARY KEY, parent {big}, fate {text}, FOREIGN KEY (parent) REFERENCES parents (id)); CREATE INDEX notes_parent ON notes (parent);";
        let keys = format!("time = {}\non_expiry = \"anonymise\"\nanonymise = {{ name = \"null\" }}", civil(db));
        let policy = [
            entry("parents", &keys),
            entry("notes", "belongs_to = { data = \"parents\", by = \"parent\" }"),
            job("parents", ""),
        ];
        let site = Site::new(db, schema, &["parents", "notes"], &policy.concat());
        site.database.sql(
            "INSERT INTO parents VALUES (1, '2020-01-01 00:00:00', 'Ann', 'changes'), (2, '2030-01-01 00:00:00', 'Bea', 'stays'), (3, '2020-01-02 00:00:00', 'Cid', 'changes');
             INSERT INTO notes VALUES (1, 1, 'goes'), (2, 2, 'stays'), (3, NULL, 'stays'), (4, 1, 'goes');",
        );
        site.purge("it");
        assert_eq!(site.database.sql("SELECT id FROM parents WHERE name IS NULL ORDER BY id;"), ["1", "3"], "{db:?}");
    }
}
