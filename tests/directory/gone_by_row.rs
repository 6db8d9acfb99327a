//! Users whose own rows say that they are gone.

use crate::shop::{ENGINES, Engine, Shop};
use crate::support;

/// Staff, some with a setting, an entry and calls, and a client whom one of them looks after.
fn staff(engine: Engine) -> Shop {
    let time = engine.pick("TEXT", "TIMESTAMP", "DATETIME");
    let schema = format!(
        "CREATE TABLE staff (id BIGINT NOT NULL PRIMARY KEY, deleted_at {time} NULL);
         CREATE TABLE names (staff BIGINT NOT NULL PRIMARY KEY, name VARCHAR(40));
         CREATE TABLE settings (id BIGINT NOT NULL PRIMARY KEY, staff BIGINT);
         CREATE TABLE entries (id BIGINT NOT NULL PRIMARY KEY, staff BIGINT);
         CREATE TABLE calls (id BIGINT NOT NULL PRIMARY KEY, staff BIGINT);
         CREATE TABLE clients (id BIGINT NOT NULL PRIMARY KEY, staff BIGINT);
         INSERT INTO clients VALUES (1, 3);
         CREATE INDEX settings_staff ON settings (staff); CREATE INDEX entries_staff ON entries (staff); CREATE INDEX calls_staff ON calls (staff);
         INSERT INTO staff VALUES (1, NULL), (2, NULL), (3, NULL);
         INSERT INTO names VALUES (1, 'A'), (2, 'B'), (3, 'C');
         INSERT INTO settings VALUES (1, 1), (2, 2), (3, 3);
         INSERT INTO entries VALUES (1, 1), (2, 2), (3, 3);
         INSERT INTO calls VALUES (1, 3);"
    );
    let entry = |name: &str, category: &str, rest: &str| {
        format!("[data.{name}]\nstore = \"shop\"\ntable = \"{name}\"\ncategory = \"{category}\"\n{rest}\n")
    };
    // A client whom one of the staff looks after is a person of their own.
    let policy = "[people.client]\ndata = \"clients\"\n[people.user]\ndata = \"staff\"\ngone = { deleted_at = { null = false } }\n\
         [brakes]\nmax_percent = 100\nmax_persons = 100\n\
         [jobs.directory]\nkind = \"directory_cleanup\"\nperson = \"user\"\nafter = \"30 days\"\nmax_runtime = \"30 minutes\"\n"
        .to_owned()
        + &entry("staff", "user_master_data", "stub = \"names\"")
        + &entry("names", "user_master_data", "user = \"staff\"")
        + &entry("settings", "user_master_data", "user = \"staff\"")
        + &entry("entries", "directory_information", "user = \"staff\"")
        + &entry("clients", "user_master_data", "unlink = { data = \"staff\", by = \"staff\" }\nuser = \"staff\"")
        + &entry("calls", "some", "user = \"staff\"");
    Shop::new(engine, &policy, &schema)
}

/// A user whose row says that they are gone: what is theirs goes at once, entries after the grace, the row with the last.
#[test]
fn a_row_that_says_gone_is_the_last_to_go() {
    for engine in ENGINES {
        let shop = staff(engine);
        let run = |rows: u64| {
            let run = shop.run(&["run", "directory"]);
            assert_eq!((run.code, run.json["jobs"][0]["rows"].as_u64()), (0, Some(rows)), "{engine:?} {run:#?}");
        };
        let ids = |table: &str, column: &str| {
            let all = shop.sql(&format!("SELECT {column} FROM {table} ORDER BY {column};"));
            all.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        run(0);
        shop.sql("UPDATE staff SET deleted_at = '2026-01-01 00:00:00' WHERE id IN (2, 3);");
        run(2);
        assert_eq!(ids("settings", "staff"), "1", "{engine:?}");
        assert_eq!(
            (ids("entries", "staff"), ids("names", "staff"), ids("staff", "id")),
            ("1 2 3".into(), "1 2 3".into(), "1 2 3".into())
        );
        // A backup brings one back, as if not gone: the row is the application's to mark, and stays; who says that they are
        // gone, has not come back.
        shop.sql("UPDATE staff SET deleted_at = NULL WHERE id = 2; INSERT INTO settings VALUES (2, 2);");
        let replay = shop.run(&["replay", "shop"]);
        assert_eq!(replay.code, 0, "{engine:?} {replay:#?}");
        let told = ["returned", "unmarked", "rows"].map(|key| replay.json[key].as_u64());
        assert_eq!(told, [Some(1), Some(1), Some(1)], "{engine:?} {replay:#?}");
        assert_eq!(
            (ids("settings", "staff"), ids("names", "staff"), ids("staff", "id")),
            ("1".into(), "1 2 3".into(), "1 2 3".into()),
            "{engine:?}"
        );
        shop.sql("UPDATE staff SET deleted_at = '2026-01-01 00:00:00' WHERE id = 2;");
        let state = format!("sqlite:{}", shop.folder.path().join("state.db").display());
        support::run_sql(&state, "UPDATE gone_persons SET first_seen = '2020-01-01 00:00:00';");
        // Two entries, and of the second, to whom nothing refers any more, the name and the row.
        run(4);
        assert_eq!(
            (ids("entries", "staff"), ids("names", "staff"), ids("staff", "id")),
            ("1".into(), "1 3".into(), "1 3".into()),
            "{engine:?}"
        );
        run(0);
        shop.sql("DELETE FROM calls; UPDATE clients SET staff = NULL;");
        run(2);
        let left = (ids("names", "staff"), ids("staff", "id"), ids("clients", "id"));
        assert_eq!(left, ("1".into(), "1".into(), "1".into()), "{engine:?}");
    }
}
