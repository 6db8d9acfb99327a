//! `goes_with`: together or not at all.

use crate::client::{ALL, Db};
use crate::families::{civil, entry, job};
use crate::site::Site;

const TICKETS: &str =
    "CREATE TABLE tickets (id {big} PRIMARY KEY, at {civil}, queue {text}, merged {big}, fate {text});
    CREATE INDEX tickets_merged ON tickets (merged);";
const SELF: &str = "goes_with = { data = \"tickets\", by = \"merged\" }";

fn tickets(db: Db, keys: &str) -> String {
    entry("tickets", &format!("time = {}\n{keys}", civil(db)))
}

/// One of a set is young, four ties away; another set has a circle; a tie may lead nowhere.
#[test]
fn a_set_in_one_table_waits_for_its_youngest_row() {
    for db in ALL {
        let site = Site::new(db, TICKETS, &["tickets"], &[tickets(db, SELF), job("tickets", "")].concat());
        site.database.sql(
            "INSERT INTO tickets VALUES
               (1, '2020-01-01 00:00:00', 'a', NULL, 'goes'), (2, '2030-01-01 00:00:00', 'a', NULL, 'stays'),
               (3, '2020-01-01 00:00:00', 'a', 4, 'stays'), (4, '2020-01-02 00:00:00', 'a', 5, 'stays'),
               (5, '2020-01-03 00:00:00', 'a', 6, 'stays'), (6, '2020-01-04 00:00:00', 'a', 7, 'stays'),
               (7, '2030-01-05 00:00:00', 'a', NULL, 'stays'), (8, '2020-01-06 00:00:00', 'a', 6, 'stays'),
               (9, '2020-01-01 00:00:00', 'a', 10, 'goes'), (10, '2020-01-02 00:00:00', 'a', 11, 'goes'),
               (11, '2020-01-03 00:00:00', 'a', 9, 'goes'), (12, '2020-01-03 00:00:00', 'a', 12, 'goes'),
               (13, '2020-01-03 00:00:00', 'a', 99, 'goes'),
               (14, NULL, 'a', NULL, 'stays'), (15, '2020-01-01 00:00:00', 'a', 14, 'stays');",
        );
        site.purge("it");
    }
}

/// A member that an override keeps longer keeps its set; members that different rules make due go together.
#[test]
fn the_rules_of_one_job_count_together() {
    for db in ALL {
        let rules = "[[jobs.it.override]]\nwhere = { queue = \"long\" }\nkeep = \"9 years\"\n\
                     [[jobs.it.override]]\nwhere = { queue = \"short\" }\nkeep = \"40 days\"\n";
        let site = Site::new(db, TICKETS, &["tickets"], &[tickets(db, SELF), job("tickets", rules)].concat());
        site.database.sql(
            "INSERT INTO tickets VALUES
               (1, '2020-01-01 00:00:00', 'long', NULL, 'stays'), (2, '2020-01-01 00:00:00', 'a', 1, 'stays'),
               (3, '2020-01-01 00:00:00', 'short', NULL, 'goes'), (4, '2020-01-01 00:00:00', 'a', 3, 'goes'),
               (5, '2010-01-01 00:00:00', 'long', 4, 'goes'), (6, '2010-01-01 00:00:00', 'long', NULL, 'goes');",
        );
        site.purge("it");
    }
}

/// A foreign key from a table to itself, and a chain that is longer than its order of removal is obvious.
#[test]
fn a_chain_under_a_foreign_key_goes_in_one_transaction() {
    for db in ALL {
        let schema = "CREATE TABLE tickets (id {big} PRIMARY KEY, at {civil}, queue {text}, merged {big}, fate {text}, FOREIGN KEY (merged) REFERENCES tickets (id));
            CREATE INDEX tickets_merged ON tickets (merged);";
        let site = Site::new(db, schema, &["tickets"], &[tickets(db, SELF), job("tickets", "")].concat());
        let rows = |fate: &str, from: u32, last: &str| -> Vec<String> {
            (0..200)
                .map(|n| {
                    let merged = if n == 0 { "NULL".to_owned() } else { (from + n - 1).to_string() };
                    let at = if n == 199 { last } else { "2020-01-01 00:00:00" };
                    format!("{}, '{at}', 'a', {merged}, '{fate}'", from + n)
                })
                .collect()
        };
        site.database.insert("tickets", &rows("goes", 1_000, "2020-02-02 00:00:00"));
        site.database.insert("tickets", &rows("stays", 2_000, "2030-02-02 00:00:00"));
        site.purge("it");
        let batches = site.database.sql("SELECT count(*) FROM retentiond_ledger WHERE row_count > 0;");
        assert_eq!(batches, ["1"], "{db:?}");
    }
}

/// Rows of two tables, with children of their own, under a foreign key.
#[test]
fn a_set_over_two_tables_goes_or_stays() {
    for db in ALL {
        let schema = format!(
            "{TICKETS} CREATE TABLE cases (id {{text}} PRIMARY KEY, at {{civil}}, ticket {{big}}, fate {{text}}, FOREIGN KEY (ticket) REFERENCES tickets (id));
             CREATE TABLE notes (id {{big}} PRIMARY KEY, parent {{big}}, fate {{text}}, FOREIGN KEY (parent) REFERENCES tickets (id));
             CREATE INDEX cases_ticket ON cases (ticket); CREATE INDEX notes_parent ON notes (parent);"
        );
        let policy = [
            tickets(db, SELF),
            entry("cases", &format!("time = {}\ngoes_with = {{ data = \"tickets\", by = \"ticket\" }}", civil(db))),
            entry("notes", "belongs_to = { data = \"tickets\", by = \"parent\" }"),
            job("tickets", "").replace("[\"tickets\"]", "[\"tickets\", \"cases\"]"),
        ];
        let site = Site::new(db, &schema, &["tickets", "cases", "notes"], &policy.concat());
        site.database.sql(
            "INSERT INTO tickets VALUES
               (1, '2020-01-01 00:00:00', 'a', NULL, 'goes'), (2, '2020-01-01 00:00:00', 'a', NULL, 'stays'),
               (3, '2030-01-01 00:00:00', 'a', NULL, 'stays'), (4, '2020-01-01 00:00:00', 'a', NULL, 'goes'),
               (5, '2020-01-01 00:00:00', 'a', NULL, 'stays'), (6, '2020-01-01 00:00:00', 'a', 5, 'stays');
             INSERT INTO cases VALUES
               ('a', '2020-01-01 00:00:00', 1, 'goes'), ('b', '2030-01-01 00:00:00', 2, 'stays'),
               ('c', '2020-01-01 00:00:00', 3, 'stays'), ('d', '2020-01-01 00:00:00', NULL, 'goes'),
               ('e', '2020-01-01 00:00:00', 6, 'stays'), ('f', '2030-01-01 00:00:00', 6, 'stays'),
               ('g', '2020-01-01 00:00:00', 1, 'goes');
             INSERT INTO notes VALUES (1, 1, 'goes'), (2, 2, 'stays'), (3, 4, 'goes'), (4, 5, 'stays');",
        );
        site.purge("it");
        // The young case grows old: everything that waited for it goes.
        site.database.sql(
            "UPDATE cases SET at = '2020-03-03 00:00:00' WHERE id = 'f';
            UPDATE tickets SET fate = 'goes' WHERE id IN (5, 6); UPDATE cases SET fate = 'goes' WHERE id IN ('e', 'f');
            UPDATE notes SET fate = 'goes' WHERE id = 4;",
        );
        site.purge("it");
    }
}

/// Rows that are anonymised wait for one another as well, and those that are done hold nobody up.
#[test]
fn a_set_is_anonymised_or_not() {
    for db in ALL {
        let keys = format!("{SELF}\non_expiry = \"anonymise\"\nanonymise = {{ queue = \"null\" }}");
        let site = Site::new(db, TICKETS, &["tickets"], &[tickets(db, &keys), job("tickets", "")].concat());
        site.database.sql(
            "INSERT INTO tickets VALUES
               (1, '2020-01-01 00:00:00', 'a', 2, 'changes'), (2, '2020-01-01 00:00:00', NULL, NULL, 'stays'),
               (3, '2020-01-01 00:00:00', 'a', 4, 'stays'), (4, '2030-01-01 00:00:00', 'a', NULL, 'stays');",
        );
        site.purge("it");
    }
}

/// What is tied to a held row stays with it, and goes after the hold.
#[test]
fn a_hold_on_one_row_keeps_its_set() {
    for db in ALL {
        let site = Site::new(db, TICKETS, &["tickets"], &[tickets(db, SELF), job("tickets", "")].concat());
        site.database.sql(
            "INSERT INTO tickets VALUES
               (1, '2020-01-01 00:00:00', 'court', NULL, 'stays'), (2, '2020-01-01 00:00:00', 'a', 1, 'stays'),
               (3, '2020-01-01 00:00:00', 'a', 2, 'stays'), (4, '2020-01-01 00:00:00', 'a', NULL, 'goes'),
               (5, '2020-01-01 00:00:00', 'a', 4, 'goes');",
        );
        let add =
            ["hold", "add", "case", "--data", "tickets", "--where", "queue=court", "--why", "a court asked for it"];
        let added = site.program(&add);
        assert_eq!(added.exit, 0, "{db:?} {added:#?}");
        let plan = site.purge("it");
        assert_eq!(plan.steps("tickets", "/held"), 1, "{db:?} {plan:#?}");
        let released = site.program(&["hold", "release", "case", "--approve-as", "nobody"]);
        assert_eq!(released.exit, 0, "{db:?} {released:#?}");
        site.database.sql("UPDATE tickets SET fate = 'goes';");
        site.purge("it");
    }
}

#[test]
fn ties_that_no_run_could_keep_are_refused() {
    for db in ALL {
        let schema = format!(
            "{TICKETS} CREATE TABLE cases (id {{big}} PRIMARY KEY, at {{civil}}, ticket {{big}}, name {{text}}, fate {{text}}); CREATE INDEX cases_ticket ON cases (ticket);"
        );
        let cases = |keys: &str| {
            let tie = "goes_with = { data = \"tickets\", by = \"ticket\" }";
            entry("cases", &format!("time = {}\n{tie}\n{keys}", civil(db)))
        };
        let both = job("tickets", "").replace("[\"tickets\"]", "[\"tickets\", \"cases\"]");
        let site = Site::new(db, &schema, &["tickets"], &[tickets(db, ""), cases(""), both.clone()].concat());
        let anonymised = cases("on_expiry = \"anonymise\"\nanonymise = { name = \"null\" }");
        let child = cases("belongs_to = { data = \"tickets\", by = \"ticket\" }");
        for (policy, words) in [
            (tickets(db, "") + &cases("") + &job("tickets", ""), "which this job does not purge"),
            (tickets(db, "") + &anonymised + &both, "one is deleted and one anonymised"),
            (tickets(db, "") + &child + &both, "cannot wait for a set"),
        ] {
            site.write_policy(&policy);
            let check = site.program(&["check"]);
            assert_eq!(check.exit, 3, "{db:?} {check:#?}");
            assert!(check.error().contains(words), "{db:?} {check:#?}");
        }
    }
}

/// A requirement met by a row of another table that satisfies a condition of its own.
#[test]
fn a_required_row_may_have_to_satisfy_a_condition() {
    for db in ALL {
        let schema = "CREATE TABLE calls (id {big} PRIMARY KEY, at {civil}, customer {big}, fate {text});
            CREATE TABLE consents (id {big} PRIMARY KEY, customer {big}, given {text}, fate {text});
            CREATE INDEX consents_customer ON consents (customer);";
        let requires =
            "requires = { data = \"consents\", by = { customer = \"customer\" }, where = { given = \"yes\" } }";
        let policy =
            [entry("calls", &format!("time = {}\n{requires}", civil(db))), entry("consents", ""), job("calls", "")];
        let site = Site::new(db, schema, &["calls", "consents"], &policy.concat());
        site.database.sql(
            "INSERT INTO consents VALUES (1, 1, 'yes', 'stays'), (2, 2, 'no', 'stays'), (3, 3, 'no', 'stays'), (4, 3, 'yes', 'stays'), (5, 4, NULL, 'stays');
             INSERT INTO calls VALUES
               (1, '2030-01-01 00:00:00', 1, 'stays'), (2, '2030-01-01 00:00:00', 2, 'goes'), (3, '2030-01-01 00:00:00', 3, 'stays'),
               (4, '2030-01-01 00:00:00', 4, 'goes'), (5, '2030-01-01 00:00:00', 5, 'goes'), (6, '2030-01-01 00:00:00', NULL, 'goes'),
               (7, '2020-01-01 00:00:00', 1, 'goes');",
        );
        site.purge("it");
        site.write_policy(&policy.concat().replace("given =", "gvien ="));
        let check = site.program(&["check"]);
        assert_eq!(check.exit, 3, "{db:?} {check:#?}");
        assert!(check.error().contains("no column `gvien`"), "{db:?} {check:#?}");
    }
}
