//! Changes to personal data captured on the generated contact centre, on the three databases: every insert, update and
//! deletion on a mapped table yields its rows, with who, what and when; and `check` notices what has changed since.
#![expect(clippy::unwrap_used, reason = "the helpers of a test stop it by panicking")]

#[path = "support/center.rs"]
mod center;
#[path = "capture/shipped.rs"]
mod shipped;
#[path = "capture/small.rs"]
mod small;
mod support;

use std::collections::BTreeMap;

use center::{Center, Db, STORES};
use support::try_sql;

/// The shipped data, all of it captured whatever the shipped policy says; of users only hashes, of their settings nothing.
fn policy() -> String {
    let plain: Vec<&str> = center::POLICY.lines().filter(|line| !line.starts_with("audit = ")).collect();
    let policy = (plain.join("\n") + "\n").replace("[data.users]\n", "[data.users]\naudit = \"hash\"\n");
    policy.replace("[data.user_settings]\n", "[data.user_settings]\naudit = \"none\"\n")
}

/// A contact centre whose changes are captured.
fn captured(db: Db) -> Center {
    let center = Center::with(db, &["--small", "--no-files"], &policy());
    for store in STORES {
        center.project.run(&["audit", "capture", store, "--apply"]).expect_code(0);
    }
    let recorded = center.project.run(&["audit", "show", "--type", "capture.install", "--format", "json"]).json();
    assert_eq!(recorded["records"].as_array().unwrap().len(), STORES.len(), "{recorded}");
    center
}

impl Center {
    /// The entries of a store with their tables, as the shipped file maps them.
    fn tables(&self, store: &str) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for section in policy().split("\n[data.").skip(1) {
            let name = section.split(']').next().unwrap().to_owned();
            let said = |key: &str| {
                let line = section.lines().take_while(|line| !line.is_empty()).find(|line| line.starts_with(key))?;
                line.split('"').nth(1).map(str::to_owned)
            };
            if said("store").as_deref() == Some(store) {
                found.extend(said("table").filter(|table| table != "retentiond_changes").map(|table| (name, table)));
            }
        }
        found
    }

    /// Who acts, in the application's own words.
    fn as_actor(&self, actor: &str, sql: &str) -> String {
        match self.db {
            Db::Postgres => format!("SET retentiond.actor = '{actor}'; {sql}"),
            Db::Mariadb => format!("SET @retentiond_actor = '{actor}'; {sql}"),
            Db::Sqlite => format!(
                "BEGIN; DELETE FROM retentiond_actor; INSERT INTO retentiond_actor VALUES ('{actor}'); {sql}
                 DELETE FROM retentiond_actor; COMMIT;"
            ),
        }
    }
}

#[test]
fn every_change_of_the_contact_centre_is_captured_on_sqlite() {
    every_change(Db::Sqlite);
}

#[test]
fn every_change_of_the_contact_centre_is_captured_on_postgres() {
    every_change(Db::Postgres);
}

#[test]
fn every_change_of_the_contact_centre_is_captured_on_mariadb() {
    every_change(Db::Mariadb);
}

fn every_change(db: Db) {
    let center = captured(db);
    for store in STORES {
        let tables = center.tables(store);
        assert!(!tables.is_empty(), "{store}");
        let mut counts = BTreeMap::new();
        for (_, table) in &tables {
            center.sql(store, &format!("CREATE TABLE copy_of_{table} AS SELECT * FROM {table};"));
            counts.insert(table.clone(), center.number(store, &format!("SELECT count(*) FROM {table};")));
        }
        center.sql(store, "DELETE FROM retentiond_changes;");
        // Children before parents: whoever is still referred to is refused and has its turn later.
        let each = |sql: &dyn Fn(&str) -> String| {
            let mut left: Vec<&str> = tables.iter().map(|(_, table)| table.as_str()).collect();
            for _ in 0..10 {
                left.retain(|table| try_sql(&center.urls[store], &sql(table)).is_err());
            }
            left.into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        let stuck = each(&|table| format!("DELETE FROM {table};"));
        each(&|table| format!("INSERT INTO {table} SELECT * FROM copy_of_{table};"));
        let captured = |data: &str, table: &String| !stuck.contains(table) && data != "user_settings";
        for (data, table) in tables.iter().filter(|(data, table)| captured(data, table)) {
            let of = |action: &str, what: &str| {
                let sql =
                    format!("SELECT {what} FROM retentiond_changes WHERE data = '{data}' AND action = '{action}';");
                center.number(store, &sql)
            };
            let rows = counts[table];
            assert_eq!(center.number(store, &format!("SELECT count(*) FROM {table};")), rows, "{db:?} {table}");
            assert_eq!(of("delete", "count(*)"), rows, "{db:?} {data}: a row for each deletion");
            assert_eq!(of("insert", "count(DISTINCT row_key)"), rows, "{db:?} {data}: rows for each insert");
        }
        assert!(stuck.is_empty(), "{db:?} {store}: {stuck:?} were not tried");
    }
    let unwatched = "SELECT count(*) FROM retentiond_changes WHERE data = 'user_settings';";
    assert_eq!(center.number("configuration", unwatched), 0, "audit = \"none\"");
}

#[test]
fn what_changed_who_did_it_and_the_new_value() {
    for db in [Db::Sqlite, Db::Postgres, Db::Mariadb] {
        let center = captured(db);
        let changes = |store: &str| {
            center.sql(store, "SELECT actor, action, data, row_key, attribute, COALESCE(new_value, '~') FROM retentiond_changes ORDER BY id;")
        };
        for store in ["directory", "configuration"] {
            center.sql(store, "DELETE FROM retentiond_changes;");
        }
        let id = center
            .sql("directory", "SELECT min(id) FROM directory_customers WHERE phone IS NOT NULL;")
            .trim()
            .to_owned();
        let update = format!("UPDATE directory_customers SET name = 'O''Brien 客', phone = phone WHERE id = {id};");
        center.sql("directory", &center.as_actor("42", &update));
        assert_eq!(
            changes("directory").trim(),
            format!("42\tupdate\tdirectory_customers\t{id}\tname\tO'Brien 客"),
            "{db:?}"
        );
        let now = match db {
            Db::Sqlite => {
                "SELECT changed_at BETWEEN datetime('now', '-1 minute') AND datetime('now', '+1 minute') FROM retentiond_changes;"
            }
            Db::Postgres => {
                "SELECT CAST(max(changed_at) BETWEEN now() - interval '1 minute' AND now() AS int) FROM retentiond_changes;"
            }
            Db::Mariadb => {
                "SELECT max(changed_at) BETWEEN UTC_TIMESTAMP() - INTERVAL 1 MINUTE AND UTC_TIMESTAMP(6) FROM retentiond_changes;"
            }
        };
        assert_eq!(center.number("directory", now), 1, "{db:?}");
        // Nothing changed, nothing captured; nobody said who it is, so the database does.
        center.sql("directory", "DELETE FROM retentiond_changes;");
        center.sql("directory", "UPDATE directory_customers SET name = name;");
        assert_eq!(changes("directory"), "", "{db:?}");
        center.sql("directory", &format!("UPDATE directory_customers SET phone = NULL WHERE id = {id};"));
        let who = ["", "postgres", "root@127.0.0.1"]
            [[Db::Sqlite, Db::Postgres, Db::Mariadb].iter().position(|d| *d == db).unwrap()];
        let said = changes("directory");
        assert!(said.starts_with(&format!("{who}\tupdate\tdirectory_customers\t{id}\tphone\t~")), "{db:?} {said}");
        // The same value has the same hash, and is not the value.
        let first = center.sql("configuration", "SELECT min(id) FROM users;").trim().to_owned();
        for name in ["Hidden", "Other", "Hidden"] {
            center.sql("configuration", &format!("UPDATE users SET last_name = '{name}' WHERE id = {first};"));
        }
        let said = changes("configuration");
        assert!(!said.contains("Hidden"), "{db:?} {said}");
        let values: Vec<&str> = said
            .lines()
            .filter(|line| line.contains("\tlast_name\t"))
            .map(|line| line.rsplit('\t').next().unwrap())
            .collect();
        assert_eq!(values.len(), 3, "{said}");
        if db == Db::Sqlite {
            assert_eq!(values, ["~", "~", "~"]);
        } else {
            assert!(values[0].len() == 64 && values[0] == values[2] && values[0] != values[1], "{db:?} {said}");
        }
    }
}

#[test]
fn check_notices_a_changed_table_and_the_sql_can_be_read_first() {
    for db in [Db::Sqlite, Db::Postgres, Db::Mariadb] {
        let center = captured(db);
        let check = center.project.run(&["check"]).expect_code(0);
        assert!(!check.stderr.contains("captured") && !check.stderr.contains("retentiond_capture_"), "{check:?}");
        center.sql("configuration", "ALTER TABLE users ADD COLUMN nickname VARCHAR(40);");
        let check = center.project.run(&["check"]).expect_code(0);
        assert!(check.stderr.contains("of it has changed since its changes are captured"), "{db:?} {check:?}");
        center.project.run(&["audit", "capture", "configuration", "--apply"]).expect_code(0);
        let check = center.project.run(&["check"]).expect_code(0);
        assert!(!check.stderr.contains("has changed since"), "{db:?} {check:?}");
        center.sql("configuration", "DELETE FROM retentiond_changes; UPDATE users SET nickname = 'x' WHERE id = (SELECT * FROM (SELECT min(id) FROM users) u);");
        assert_eq!(center.number("configuration", "SELECT count(*) FROM retentiond_changes;"), 1, "{db:?}");
        // Removed, and installed again from what is printed.
        center.project.run(&["audit", "capture", "configuration", "--remove"]).expect_code(0);
        center.sql("configuration", "DELETE FROM retentiond_changes; UPDATE users SET nickname = 'y';");
        assert_eq!(center.number("configuration", "SELECT count(*) FROM retentiond_changes;"), 0, "{db:?}");
        let printed = center.project.run(&["audit", "capture", "configuration"]).expect_code(0).stdout;
        center.sql("configuration", &printed);
        center.sql(
            "configuration",
            "UPDATE users SET nickname = 'z' WHERE id = (SELECT * FROM (SELECT min(id) FROM users) u);",
        );
        assert_eq!(center.number("configuration", "SELECT count(*) FROM retentiond_changes;"), 1, "{db:?}");
    }
}
