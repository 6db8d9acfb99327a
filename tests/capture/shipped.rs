//! The contact centre comes with its captures: as it is seeded, under the shipped policy, on the three databases.

use std::collections::BTreeMap;

use retentiond::demo::tables::Table;

use crate::center::{CAPTURED, Center, Db, POLICY, STORES};
use crate::support::{Output, try_sql};

const ALL: [Db; 3] = [Db::Sqlite, Db::Postgres, Db::Mariadb];

/// What the shipped policy leaves out, on purpose: logs, live states and counts.
const LEFT_OUT: [&str; 7] = [
    "audit_log",
    "live_agents",
    "live_queues",
    "contact_intervals",
    "agent_intervals",
    "contact_statistics",
    "agent_work_time",
];

fn shipped(db: Db) -> Center {
    Center::with(db, &["--small", "--no-files"], POLICY)
}

impl Center {
    fn changes(&self, store: &str, condition: &str) -> u64 {
        self.count(store, "retentiond_changes", condition)
    }

    fn changes_in_all(&self) -> u64 {
        CAPTURED.iter().map(|store| self.changes(store, "1 = 1")).sum()
    }

    /// Runs a statement for each table, those first that nothing refers to any more; whoever is refused has its turn later.
    fn for_each_table(&self, store: &str, sql: &dyn Fn(Table) -> String) {
        let mut left = tables(store);
        for _ in 0..10 {
            left.retain(|table| try_sql(&self.urls[store], &sql(*table)).is_err());
        }
        assert!(left.is_empty(), "{:?} {store}: {left:?} were refused", self.db);
    }

    fn json(&self, arguments: &[&str], code: i32) -> serde_json::Value {
        self.project.run(&[arguments, &["--format", "json"]].concat()).expect_code(code).json()
    }

    fn all_jobs(&self) -> Output {
        let brakes = ["max_rows", "max_percent", "max_persons", "max_times_usual"];
        let releases = brakes.map(|brake| ["--release-brake", brake]).concat();
        self.project.run(&[&["run", "--all", "--unpaced"], releases.as_slice()].concat()).expect_code(0)
    }

    /// The report about a person, and the captured changes in it, by entry.
    fn reported(&self, name: &str, whom: &str, said: &str) -> BTreeMap<String, Vec<serde_json::Value>> {
        self.project.write("whom", said);
        let out = self.project.path(name);
        let folder = out.to_str().unwrap();
        self.project.run(&["report", whom, "@whom", "--formats", "json", "--out", folder]).expect_code(0);
        let report: serde_json::Value =
            serde_json::from_slice(&std::fs::read(out.join("report.json")).unwrap()).unwrap();
        let entries = report["categories"].as_array().unwrap().iter().flat_map(|c| c["entries"].as_array().unwrap());
        let changes = entries.filter(|entry| entry["data"].as_str().unwrap().ends_with("_changes"));
        changes
            .map(|entry| (entry["data"].as_str().unwrap().to_owned(), entry["records"].as_array().unwrap().clone()))
            .filter(|(_, records)| !records.is_empty())
            .collect()
    }

    fn erase(&self, whom: &str, said: &str) {
        self.project.write("whom", said);
        let plan = self.json(&["erase", whom, "@whom", "--dry-run"], 0);
        let plan = plan["jobs"][0]["plan"].as_str().unwrap_or_else(|| panic!("{plan:#}")).to_owned();
        self.project.run(&["erase", whom, "@whom", "--yes-i-mean", &plan]).expect_code(0);
    }
}

/// The mapped tables of a store, with the entries that map them; queues and roles are about nobody.
fn tables(store: &str) -> Vec<Table> {
    let mapped = |table: &&Table| table.store() == store && !matches!(table.name(), "queues" | "roles");
    Table::ALL.iter().filter(mapped).copied().collect()
}

/// The entry of a table: two of them have another name.
fn entry(table: Table) -> &'static str {
    if table.name() == "recording_listening_log" { "listening_log" } else { table.name() }
}

/// A time of the table that is in no key.
fn time_of(table: Table) -> &'static str {
    let time = |column: &&&str| ["_at", "_since"].iter().any(|end| column.ends_with(end));
    let always = |column: &&&str| !matches!(**column, "last_login_at" | "anonymised_at");
    table.columns().iter().filter(time).find(always).unwrap()
}

fn mode(data: &str) -> Option<&'static str> {
    let section = POLICY.split(&format!("\n[data.{data}]")).nth(1).unwrap();
    let line =
        section.lines().skip(1).take_while(|line| !line.starts_with('[')).find(|line| line.starts_with("audit"))?;
    line.split('"').nth(1)
}

/// Every insert, update and delete on every mapped table, by plain SQL, yields exactly its rows; nothing else does.
fn every_statement(db: Db) {
    let center = shipped(db);
    assert_eq!(center.changes_in_all(), 0, "{db:?}: seeding is captured");
    let check = center.project.run(&["check"]).expect_code(0);
    assert!(!check.stderr.contains("captured") && !check.stderr.contains("retentiond_"), "{db:?} {check:?}");
    let left_out = STORES.iter().flat_map(|store| tables(store)).filter(|table| mode(entry(*table)) == Some("none"));
    let left_out: Vec<&str> = left_out.map(|table| table.name()).collect();
    assert_eq!(left_out, LEFT_OUT, "{db:?}");
    for store in CAPTURED {
        let captured: Vec<Table> =
            tables(store).into_iter().filter(|table| mode(entry(*table)) != Some("none")).collect();
        center.for_each_table(store, &|table| format!("CREATE TABLE copy_of_{0} AS SELECT * FROM {0};", table.name()));
        center.for_each_table(store, &|table| format!("DELETE FROM {};", table.name()));
        center.for_each_table(store, &|table| format!("INSERT INTO {0} SELECT * FROM copy_of_{0};", table.name()));
        for _ in 0..2 {
            center.for_each_table(store, &|table| {
                format!("UPDATE {} SET {} = '2001-02-03 04:05:06';", table.name(), time_of(table))
            });
        }
        let mut all = 0;
        for table in captured {
            let (data, name) = (entry(table), format!("copy_of_{}", table.name()));
            let rows = center.count(store, &name, "1 = 1");
            let values = table.columns().iter().map(|column| format!("count({column})")).collect::<Vec<_>>().join("+");
            let inserted = center.number(store, &format!("SELECT {values} FROM {name};"));
            let of = |what: &str| center.changes(store, &format!("data = '{data}' AND {what}"));
            assert!(rows > 0, "{data}");
            let time = time_of(table);
            let updated = center.count(store, &name, &format!("{time} IS NOT NULL"));
            assert_eq!(rows, updated, "{data}: {time} always has a value");
            let found = [of("action = 'delete'"), of("action = 'insert'"), of("action = 'update'")];
            assert_eq!(found, [rows, inserted, updated], "{db:?} {data}: a row for each attribute, and no other");
            assert_eq!(of("action = 'delete' AND attribute = '*' AND new_value IS NULL"), rows, "{db:?} {data}");
            let told = of(&format!("action = 'update' AND attribute = '{time}' AND new_value LIKE '2001-02-03%'"));
            let expected = if mode(data).is_none() { rows } else { 0 };
            assert_eq!(told, expected, "{db:?} {data}: values are told, or their hashes");
            all += rows + inserted + updated;
        }
        assert_eq!(center.changes(store, "1 = 1"), all, "{db:?} {store}");
    }
    whom_they_are_about(&center);
}

/// The changes of rows that name a user have the user's key, whatever was done.
fn whom_they_are_about(center: &Center) {
    let persons = [
        ("configuration", "users", "id"),
        ("configuration", "user_addresses", "user_id"),
        ("configuration", "queue_members", "user_id"),
        ("directory", "directory_users", "user_id"),
        ("operative", "contacts", "COALESCE(agent_id, transferred_to)"),
        ("outbound", "campaigns", "owner_id"),
    ];
    for (store, table, person) in persons {
        let sql = |what: &str, from: &str, more: &str| {
            let sql = format!("SELECT DISTINCT {what} FROM {from} WHERE {what} IS NOT NULL{more};");
            let mut lines: Vec<String> = center.sql(store, &sql).lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        let expected = sql(person, &format!("copy_of_{table}"), "");
        for action in ["insert", "update", "delete"] {
            let found = sql("person", "retentiond_changes", &format!(" AND data = '{table}' AND action = '{action}'"));
            assert_eq!(found, expected, "{:?} {table}: whom it is about", center.db);
        }
    }
    assert_eq!(center.changes("directory", "data = 'consents' AND person IS NOT NULL"), 0);
}

#[test]
fn the_shipped_centre_captures_every_statement_on_sqlite() {
    every_statement(Db::Sqlite);
}

#[test]
fn the_shipped_centre_captures_every_statement_on_postgres() {
    every_statement(Db::Postgres);
}

#[test]
fn the_shipped_centre_captures_every_statement_on_mariadb() {
    every_statement(Db::Mariadb);
}

/// What jobs remove, anonymise and fold stands in their ledgers; nobody else passes the triggers by.
fn removals(db: Db) {
    let center = shipped(db);
    let old = match db {
        Db::Postgres => "now() - interval '400 days'",
        Db::Mariadb => "UTC_TIMESTAMP() - INTERVAL 400 DAY",
        Db::Sqlite => "datetime('now', '-400 days')",
    };
    let overdue = format!("listened_at < {old}");
    assert!(center.count("configuration", "recording_listening_log", &overdue) > 0);
    center.all_jobs();
    assert_eq!(center.count("configuration", "recording_listening_log", &overdue), 0, "{db:?}: the listening log");
    let removed: u64 =
        CAPTURED.iter().map(|store| center.number(store, "SELECT sum(row_count) FROM retentiond_ledger;")).sum();
    assert!(removed > 1_000, "{db:?}: {removed}");
    assert_eq!(center.changes_in_all(), 0, "{db:?}: what retentiond removes is captured");
    if db == Db::Sqlite {
        for store in CAPTURED {
            assert_eq!(center.count(store, "retentiond_actor", "1 = 1"), 0, "{store}");
        }
    } else {
        // Whoever guesses at what retentiond says is captured like everybody.
        let set = if db == Db::Postgres { "SET retentiond.removes = " } else { "SET @retentiond_removes = " };
        let key = center.sql("configuration", "SELECT secret FROM retentiond_capture_key;");
        for guess in ["", "retentiond", "1", key.trim()] {
            center.sql("configuration", &format!("{set}'{guess}'; UPDATE users SET job_title = '{}';", guess.len()));
        }
        let users = center.count("configuration", "users", "1 = 1");
        assert_eq!(center.changes("configuration", "1 = 1"), users * 4, "{db:?}");
    }
    // The application deletes an account: that is captured. What then goes by the job is not.
    center.forget_changes();
    let gone = "(SELECT * FROM (SELECT max(user_id) FROM queue_members WHERE user_id IN (SELECT id FROM users)) q)";
    center.sql("configuration", &format!("DELETE FROM users WHERE id = {gone};"));
    assert_eq!(center.changes_in_all(), 1, "{db:?}");
    let run = center.json(&["run", "directory"], 0);
    assert!(run["jobs"][0]["rows"].as_u64().unwrap() > 0, "{run:#}");
    assert_eq!(center.changes_in_all(), 1, "{db:?}: a cleanup leaves changes of who is gone");
    assert_eq!(center.json(&["run", "directory"], 0)["jobs"][0]["rows"], 0, "{db:?}");
    // Captured changes expire like everything.
    let old = if db == Db::Sqlite { "strftime('%Y-%m-%d %H:%M:%f', 'now', '-400 days')" } else { old };
    center.sql("configuration", &format!("UPDATE retentiond_changes SET changed_at = {old};"));
    center.sql(
        "directory",
        "UPDATE directory_users SET job_title = 'Lead' WHERE user_id = (SELECT min(user_id) FROM directory_users);",
    );
    center.project.run(&["run", "changes", "--release-brake", "max_percent"]).expect_code(0);
    assert_eq!((center.changes("configuration", "1 = 1"), center.changes("directory", "1 = 1")), (0, 1), "{db:?}");
}

#[test]
fn removals_are_not_captured_on_sqlite() {
    removals(Db::Sqlite);
}

#[test]
fn removals_are_not_captured_on_postgres() {
    removals(Db::Postgres);
}

#[test]
fn removals_are_not_captured_on_mariadb() {
    removals(Db::Mariadb);
}

/// A person's report has what was captured about them and what they changed; an erasure takes out values and names.
#[test]
fn reports_and_erasures_find_captured_changes() {
    for db in ALL {
        let center = shipped(db);
        let user =
            center.sql("directory", "SELECT min(user_id) FROM directory_users WHERE user_id > 0;").trim().to_owned();
        let (login, other) = ("agent.x", "agent.y");
        center.sql("configuration", &format!("UPDATE users SET login_id = '{login}' WHERE id = {user};"));
        center.forget_changes();
        let customer = "SELECT min(id) FROM directory_customers";
        let id = center.sql("directory", &format!("{customer};")).trim().to_owned();
        center
            .sql("directory", &format!("UPDATE directory_customers SET phone = '+358 40 123 45 67' WHERE id = {id};"));
        center.forget_changes();
        let set = |actor: &str, sql: &str| center.sql("directory", &center.as_actor(actor, sql));
        set(other, &format!("UPDATE directory_users SET job_title = 'Nightwatch' WHERE user_id = {user};"));
        set(login, &format!("UPDATE directory_customers SET note = 'Owes us', name = 'Kafka' WHERE id = {id};"));
        set(login, &format!("UPDATE consents SET purpose = 'Postcards' WHERE customer_id = {id};"));
        let consents = center.count("directory", "consents", &format!("customer_id = {id}")) as usize;
        let of_user = center.reported("user", "--user", &format!("{user}\n"));
        assert_eq!(of_user.keys().collect::<Vec<_>>(), ["directory_changes"], "{db:?}");
        let shown = &of_user["directory_changes"];
        let text = serde_json::to_string(shown).unwrap();
        assert_eq!(shown.len(), 3 + consents, "{db:?} {text}");
        assert!(text.contains("Nightwatch") && text.contains(login), "{db:?} {text}");
        for theirs in [other, "Owes us", "Kafka", "Postcards"] {
            assert!(!text.contains(theirs), "{db:?} {theirs} in {text}");
        }
        let of_customer = center.reported("customer", "--customer", "phone=+358401234567\n");
        let text = serde_json::to_string(&of_customer["directory_changes"]).unwrap();
        assert_eq!(of_customer["directory_changes"].len(), 2 + consents, "{db:?} {text}");
        assert!(text.contains("Owes us") && text.contains("Kafka") && !text.contains(login), "{db:?} {text}");
        let rows = center.changes("directory", "1 = 1");
        center.erase("--customer", "phone=+358401234567\n");
        let valued = |sql: &str| center.changes("directory", &format!("new_value IS NOT NULL AND {sql}"));
        assert_eq!(valued("data <> 'directory_users'"), 0, "{db:?}: the customer's values");
        assert_eq!(valued("1 = 1"), 1, "{db:?}: nobody else's");
        center.erase("--user", &format!("{user}\n"));
        assert_eq!(valued("1 = 1"), 0, "{db:?}: the user's values");
        assert_eq!(center.changes("directory", "person IS NOT NULL"), 0, "{db:?}");
        assert_eq!(center.changes("directory", &format!("actor = '{login}'")), 0, "{db:?}");
        assert_eq!(
            center.changes("directory", "1 = 1"),
            rows,
            "{db:?}: nothing new, and that something was changed stays"
        );
    }
}

/// Where retentiond may not read the key, it removes nothing and says what to grant.
#[test]
fn a_role_without_the_key_removes_nothing() {
    let center = shipped(Db::Postgres);
    center.project.run(&["check"]).expect_code(0);
    let role = format!("keyless_{}", std::process::id());
    center.sql("operative", &format!("CREATE ROLE {role} LOGIN; GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}; REVOKE ALL ON retentiond_capture_key FROM {role};"));
    let policy = POLICY.replace(
        "{ env = \"RETENTIOND_OPERATIVE_URL\", default = \"sqlite:/var/lib/retentiond/demo/operative.db\" }",
        &format!("\"{}\"", center.urls["operative"].replace("postgres@", &format!("{role}@"))),
    );
    center.project.write_jobs(&policy);
    let before = center.count("operative", "presences", "1 = 1");
    let run = center.project.run(&["run", "presences", "--release-brake", "max_percent"]);
    assert_ne!(run.code, Some(0), "{run:#?}");
    assert!(run.stderr.contains("SELECT on retentiond_capture_key"), "{run:#?}");
    assert_eq!(center.count("operative", "presences", "1 = 1"), before);
    center.sql("operative", &format!("GRANT SELECT ON retentiond_capture_key TO {role};"));
    center.project.run(&["run", "presences", "--release-brake", "max_percent"]).expect_code(0);
    assert!(center.count("operative", "presences", "1 = 1") < before);
    assert_eq!(center.changes("operative", "1 = 1"), 0);
    center.sql("operative", &format!("DROP OWNED BY {role}; DROP ROLE {role};"));
}
