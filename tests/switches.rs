//! A switch on a user's row decides about rows that name the user only through what they belong to.

mod support;

use support::{Project, run_sql};

#[test]
fn on_sqlite() {
    let (_folder, url) = support::sqlite();
    reaches_through_the_parent(&url);
}

#[test]
fn on_postgres() {
    reaches_through_the_parent(&support::postgres().fresh_database());
}

#[test]
fn on_mariadb() {
    reaches_through_the_parent(&support::mariadb().fresh_database());
}

/// Three agents, the first of whom may not be recorded. Their calls stay, recordings without a call too.
fn reaches_through_the_parent(url: &str) {
    run_sql(
        url,
        "CREATE TABLE users (id integer PRIMARY KEY, recording_enabled integer);
         CREATE TABLE contacts (id integer PRIMARY KEY, agent_id integer);
         CREATE TABLE recordings (id integer PRIMARY KEY, contact_id integer, FOREIGN KEY (contact_id) REFERENCES contacts (id));
         CREATE TABLE notes (id integer PRIMARY KEY, recording_id integer, FOREIGN KEY (recording_id) REFERENCES recordings (id));
         CREATE INDEX recordings_contact ON recordings (contact_id);
         CREATE INDEX notes_recording ON notes (recording_id);
         INSERT INTO users VALUES (1, 0), (2, 1), (3, NULL);
         INSERT INTO contacts VALUES (10, 1), (20, 2), (30, 3), (40, NULL), (50, 1);
         INSERT INTO recordings VALUES (100, 10), (200, 20), (300, 30), (400, 40), (500, 50), (600, NULL);
         INSERT INTO notes VALUES (1000, 100), (2000, 200), (6000, 600);",
    );
    let project = Project::new(&policy(url));
    project.run(&["init", "main"]).expect_code(0);
    project.run(&["check"]).expect_code(0);
    let plan = project.run(&["plan", "directory", "--format", "json"]).expect_code(0);
    assert_eq!(plan.json()["jobs"][0]["rows"], 3, "{plan:#?}");
    project.run(&["run", "directory"]).expect_code(0);
    let left = |sql: &str| run_sql(url, sql).split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(left("SELECT id FROM recordings ORDER BY id;"), ["200", "300", "400", "600"]);
    assert_eq!(left("SELECT id FROM notes ORDER BY id;"), ["2000", "6000"]);
    assert_eq!(left("SELECT id FROM contacts ORDER BY id;"), ["10", "20", "30", "40", "50"]);
    let again = project.run(&["run", "directory", "--format", "json"]).expect_code(0);
    assert_eq!(again.json()["jobs"][0]["rows"], 0, "{again:#?}");
}

/// Nobody is named by recordings at all.
#[test]
fn whose_rows_nobody_says_is_a_mistake() {
    let (_folder, url) = support::sqlite();
    run_sql(
        &url,
        "CREATE TABLE users (id integer PRIMARY KEY, recording_enabled integer);
         CREATE TABLE contacts (id integer PRIMARY KEY, agent_id integer);
         CREATE TABLE recordings (id integer PRIMARY KEY, contact_id integer);
         CREATE TABLE notes (id integer PRIMARY KEY, recording_id integer);",
    );
    let project = Project::new(&policy(&url).replace("user = \"agent_id\"", ""));
    let check = project.run(&["check"]).expect_code(3);
    assert!(check.stderr.contains("`recordings` does not say which user it is about"), "{check:#?}");
    assert!(check.stderr.contains("an entry that it belongs to"), "{check:#?}");
}

fn policy(url: &str) -> String {
    format!(
        r#"
[state]
url = "sqlite:state.db"
[stores.main]
url = "{url}"
[people.user]
data = "users"
[data.users]
store = "main"
table = "users"
category = "user_master_data"
key = "id"
[data.contacts]
store = "main"
table = "contacts"
category = "contact_data_records"
user = "agent_id"
[data.recordings]
store = "main"
table = "recordings"
category = "recordings"
belongs_to = {{ data = "contacts", by = "contact_id" }}
allowed_by = "users.recording_enabled"
[data.notes]
store = "main"
table = "notes"
category = "contact_data_records"
belongs_to = {{ data = "recordings", by = "recording_id" }}
[jobs.directory]
kind = "directory_cleanup"
person = "user"
after = "30 days"
"#
    )
}
