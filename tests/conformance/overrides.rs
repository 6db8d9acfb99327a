//! Which rule keeps a row: overrides in their order, the default for the rest, requirements at once.

use crate::client::ALL;
use crate::families::{civil, entry, job};
use crate::site::Site;

#[test]
fn the_first_override_that_matches_wins_and_null_falls_to_the_default() {
    for db in ALL {
        let schema = "CREATE TABLE calls (id {big} PRIMARY KEY, at {civil}, kind {text}, queue {text}, fate {text});";
        let rules = "where = { kind = \"call\" }
            [[jobs.it.override]]\nwhere = { queue = [\"sales\", \"billing\"] }\nkeep = \"30 years\"
            [[jobs.it.override]]\nwhere = { queue = \"billing\" }\nkeep = \"2 days\"
            [[jobs.it.override]]\nwhere = { queue = { not = \"open\" } }\nkeep = \"10 years\"";
        let policy = [entry("calls", &format!("time = {}", civil(db))), job("calls", rules)].concat();
        let site = Site::new(db, schema, &["calls"], &policy);
        site.database.sql(
            "INSERT INTO calls VALUES
               (1, '2020-01-01 00:00:01', 'call', 'sales', 'stays'), (2, '1990-01-01 00:00:02', 'call', 'sales', 'goes'),
               (3, '2020-01-01 00:00:03', 'call', 'billing', 'stays'), (4, '2020-01-01 00:00:04', 'call', NULL, 'goes'),
               (5, '2020-01-01 00:00:05', 'call', 'open', 'goes'), (6, '2020-01-01 00:00:06', 'call', 'other', 'stays'),
               (7, '2012-01-01 00:00:07', 'call', 'other', 'goes'), (8, '2012-01-01 00:00:08', 'mail', 'other', 'stays'),
               (9, '2012-01-01 00:00:09', NULL, NULL, 'stays'), (10, '2012-01-01 00:00:10', 'call', '', 'goes'),
               (11, NULL, 'call', NULL, 'stays');",
        );
        let plan = site.purge("it");
        assert!(plan.steps("calls", "/kept/without_time") > 0, "{db:?} {plan:#?}");
    }
}

#[test]
fn a_column_of_the_parent_decides() {
    for db in ALL {
        let schema = "CREATE TABLE contacts (id {big} PRIMARY KEY, queue_id {text}, fate {text});
            CREATE TABLE recordings (id {big} PRIMARY KEY, at {civil}, contact {big}, fate {text}); CREATE INDEX recordings_contact ON recordings (contact);";
        let rules = "[[jobs.it.override]]\nwhere = { \"contacts.queue_id\" = \"claims\" }\nkeep = \"30 years\"";
        let policy = [
            entry("contacts", ""),
            entry(
                "recordings",
                &format!("time = {}\nbelongs_to = {{ data = \"contacts\", by = \"contact\" }}", civil(db)),
            ),
            job("recordings", rules),
        ];
        let site = Site::new(db, schema, &["contacts", "recordings"], &policy.concat());
        site.database.sql(
            "INSERT INTO contacts VALUES (1, 'claims', 'stays'), (2, 'sales', 'stays'), (3, NULL, 'stays');
             INSERT INTO recordings VALUES (1, '2020-01-01 00:00:01', 1, 'stays'), (2, '2020-01-01 00:00:02', 2, 'goes'),
               (3, '2020-01-01 00:00:03', 3, 'goes'), (4, '2020-01-01 00:00:04', NULL, 'goes'), (5, '1990-01-01 00:00:05', 1, 'goes'),
               (6, '2030-01-01 00:00:06', 2, 'stays'), (7, '2020-01-01 00:00:07', 77, 'goes');",
        );
        site.purge("it");
    }
}

#[test]
fn what_is_not_allowed_goes_at_once() {
    for db in ALL {
        let schema =
            "CREATE TABLE recordings (id {big} PRIMARY KEY, at {civil}, consent {flag}, queue {text}, fate {text});";
        let rules = "[[jobs.it.override]]\nwhere = { queue = \"claims\" }\nkeep = \"30 years\"";
        let policy = [
            entry("recordings", &format!("time = {}\nrequires = {{ consent = true }}", civil(db))),
            job("recordings", rules),
        ];
        let site = Site::new(db, schema, &["recordings"], &policy.concat());
        site.database.sql(
            "INSERT INTO recordings VALUES (1, '2030-01-01 00:00:01', true, NULL, 'stays'), (2, '2030-01-01 00:00:02', false, NULL, 'goes'),
               (3, '2030-01-01 00:00:03', NULL, NULL, 'goes'), (4, '2020-01-01 00:00:04', NULL, 'claims', 'goes'),
               (5, '2020-01-01 00:00:05', true, 'claims', 'stays'), (6, '2020-01-01 00:00:06', true, NULL, 'goes'),
               (7, NULL, false, 'claims', 'goes'), (8, '2020-01-01 00:00:08', false, NULL, 'goes');",
        );
        site.purge("it");
    }
}
