//! Small maps: what a report shows of rows that name several persons, of times, and where it cannot be written.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::{Project, run_sql};
use crate::{entry, read, valid};

const HEAD: &str = r#"
timezone = "Europe/Helsinki"
[state]
url = "sqlite:{dir}/state.db"
[stores.shop]
url = "sqlite:{dir}/shop.db"
ledger = false
[people.user]
data = "staff"
identifiers = { login = "login", email = "email" }
[people.customer]
identifiers = ["phone", "email"]
[categories.some]
title = "Some"
"#;

fn data(table: &str, rest: &str) -> String {
    format!("[data.{table}]\nstore = \"shop\"\ntable = \"{table}\"\ncategory = \"some\"\n{rest}\n")
}

fn project(policy: &str, sql: &str) -> Project {
    let staff = "CREATE TABLE staff (id INTEGER PRIMARY KEY, login TEXT, email TEXT);
                 INSERT INTO staff VALUES (1, 'me', 'me@example.net'), (2, 'other', 'other@example.net');";
    let project = Project::new(&(HEAD.to_owned() + &data("staff", "") + policy));
    let file = project.write("shop.db", "");
    run_sql(&format!("sqlite:{}", file.display()), &(staff.to_owned() + sql));
    project
}

fn report(project: &Project, kind: &str, whom: &str, formats: &str) -> PathBuf {
    project.write("whom", whom);
    let out = project.path(&format!("out-{}", uuid::Uuid::now_v7()));
    let done = project.run(&["report", kind, "@whom", "--formats", formats, "--out", out.to_str().unwrap()]);
    done.expect_code(0);
    out
}

fn records(project: &Project, whom: (&str, &str), table: &str) -> Vec<Value> {
    let folder = report(project, whom.0, whom.1, "json");
    valid(&folder.join("report.json"), project);
    entry(&read(&folder), table)["records"].as_array().unwrap().clone()
}

fn masked() -> Value {
    json!({ "masked": "another_person" })
}

/// A person's own row that names somebody else is not that one's: they see that they are named, and by no means whom.
#[test]
fn another_kind_of_person_is_not_shown_to_whom_they_name() {
    let project = project(
        &(HEAD_OF_PATIENTS.to_owned() + &data("patients", "user = \"doctor_id\"")),
        "CREATE TABLE patients (id INTEGER PRIMARY KEY, doctor_id INTEGER, name TEXT, illness TEXT);
         INSERT INTO patients VALUES (7, 1, 'CANARY', 'CANARY'), (8, 2, 'CANARY', 'CANARY');",
    );
    let shown = records(&project, ("--user", "1\n"), "patients");
    assert_eq!(shown.len(), 1);
    let values = json!({ "id": masked(), "doctor_id": 1, "name": masked(), "illness": masked() });
    assert_eq!(shown[0]["values"], values);
}

const HEAD_OF_PATIENTS: &str = "[people.patient]\ndata = \"patients\"\nidentifiers = { number = \"id\" }\n";

/// What stands in a column that may hold several kinds of address, or a key, is judged by all of them.
#[test]
fn a_column_of_several_kinds_is_shown_by_any_of_them() {
    let project = project(
        &data(
            "calls",
            "customer = { email = \"who\", phone = [\"who\", \"second\"] }\nuser = { column = \"who\", where = { kind = \"user\" } }\n\
             mentions = { login = \"about\", email = \"about\" }",
        ),
        "CREATE TABLE calls (id INTEGER PRIMARY KEY, kind TEXT, who TEXT, second TEXT, about TEXT);
         INSERT INTO calls VALUES (1, 'customer', '0401234567', NULL, 'me'), (2, 'customer', 'Anna@example.org', '0401234567', 'other'),
           (3, 'customer', '0409999999', '040 123 4567', 'ME@example.net'), (4, 'user', '1', NULL, NULL), (5, 'user', '2', '0401234567', NULL);",
    );
    let column =
        |rows: &[Value], name: &str| -> Vec<Value> { rows.iter().map(|row| row["values"][name].clone()).collect() };
    let anna = records(&project, ("--customer", "phone=0401234567\n"), "calls");
    assert_eq!(column(&anna, "id"), [1, 2, 3, 5].map(Value::from));
    assert_eq!(column(&anna, "who"), [json!("0401234567"), masked(), masked(), masked()]);
    assert_eq!(column(&anna, "second"), [Value::Null, json!("0401234567"), json!("040 123 4567"), json!("0401234567")]);
    let both = records(&project, ("--customer", "phone=0401234567\nemail=anna@example.org\n"), "calls");
    assert_eq!(column(&both, "who"), [json!("0401234567"), json!("Anna@example.org"), masked(), masked()]);
    let me = records(&project, ("--user", "1\n"), "calls");
    assert_eq!(column(&me, "id"), [4, 1, 3].map(Value::from));
    assert_eq!(column(&me, "who"), [json!("1"), masked(), masked()]);
    assert_eq!(column(&me, "about"), [Value::Null, json!("me"), json!("ME@example.net")]);
}

/// A row that only mentions the person shows its key, unless that is somebody.
#[test]
fn the_key_of_a_row_may_be_somebodys() {
    let project = project(
        &data("desks", "user = \"staff_id\"\nmentions = { phone = \"caller\" }"),
        "CREATE TABLE desks (staff_id INTEGER PRIMARY KEY, caller TEXT, note TEXT);
         INSERT INTO desks VALUES (2, '0401234567', 'CANARY');",
    );
    let shown = records(&project, ("--customer", "phone=0401234567\n"), "desks");
    assert_eq!(shown[0]["values"], json!({ "staff_id": masked(), "caller": "0401234567", "note": masked() }));
    assert_eq!(shown[0]["mentioned"], true);
}

/// A purge that leaves an address leaves the customer in the row: no day is told on which that goes.
#[test]
fn what_anonymising_leaves_has_no_end() {
    let policy = "customer = { phone = \"phone\", email = \"email\" }\non_expiry = \"anonymise\"\n\
                  time = { column = \"ended_at\", zone = \"UTC\", format = \"%Y-%m-%d %H:%M:%S\" }\n";
    let job = "[jobs.calls]\nkind = \"retention_purge\"\ndata = [\"calls\"]\nkeep = \"1 year\"\n";
    let calls = |overwritten: &str| data("calls", &format!("{policy}anonymise = {{ {overwritten} }}"));
    let project = project(
        &(calls("phone = \"null\", email = \"null\"") + job),
        "CREATE TABLE calls (id INTEGER PRIMARY KEY, phone TEXT, email TEXT, ended_at TEXT); CREATE INDEX e ON calls (ended_at);
         INSERT INTO calls VALUES (1, '0401234567', 'anna@example.org', '2026-06-01 10:00:00');",
    );
    let whom = ("--customer", "phone=0401234567\n");
    assert_eq!(records(&project, whom, "calls")[0]["kept_until"], "2027-06-01");
    project.write_jobs(&(HEAD.to_owned() + &data("staff", "") + &calls("phone = \"null\"") + job));
    let folder = report(&project, whom.0, whom.1, "json,html");
    let calls = entry(&read(&folder), "calls").clone();
    assert!(calls["records"][0].get("kept_until").is_none(), "{calls:#}");
    assert_eq!(
        (&calls["without_end"], &calls["newest_goes"], &calls["retention"]),
        (&json!(1), &Value::Null, &json!([]))
    );
    let html = std::fs::read_to_string(folder.join("report.html")).unwrap();
    assert!(html.contains("no day is set") && !html.contains("until the person leaves"), "{html}");
}

/// A time says how far its zone is from UTC, or nobody knows: no text is made to look like a time of the report's zone.
#[test]
fn times_keep_their_offsets() {
    let project = project(
        &(data(
            "calls",
            "customer = { phone = \"phone\" }\ntime = { column = \"at\", zone = \"UTC\", format = \"%Y-%m-%d %H:%M:%S\" }",
        ) + &data("notes", "customer = { phone = \"phone\" }")),
        "CREATE TABLE calls (id INTEGER PRIMARY KEY, phone TEXT, at TEXT, said TEXT); CREATE INDEX a ON calls (at);
         CREATE TABLE notes (id INTEGER PRIMARY KEY, phone TEXT, at TEXT);
         INSERT INTO calls VALUES (1, '0401234567', '2026-06-01 10:00:00', '2026-01-02T03:04:05+05:00');
         INSERT INTO notes VALUES (1, '0401234567', '2026-02-03 04:05:06');",
    );
    let html = report(&project, "--customer", "phone=0401234567\n", "html").join("report.html");
    let html = std::fs::read_to_string(html).unwrap();
    for cell in ["2026-06-01 13:00:00 +03:00", "2026-01-02 03:04:05 +05:00", "2026-02-03 04:05:06"] {
        assert!(html.contains(&format!(">{cell}</td>")), "{cell}: {html}");
    }
    assert!(!html.contains("All times are"), "{html}");
    // Each part of the page has a name of its own.
    let ids: Vec<&str> = html.split(" id=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    let names: std::collections::BTreeSet<&&str> = ids.iter().collect();
    assert!(ids.len() == 4 && names.len() == ids.len(), "{ids:?}");
    assert!(html.contains("href=\"#entry-notes\"") && ids.contains(&"entry-notes"), "{ids:?}");
}

#[test]
fn what_cannot_be_written_is_said() {
    let project = project("", "");
    project.write("whom", "1\n");
    let out = project.path("out");
    let report = |formats: &str| ["report", "--user", "@whom", "--formats", formats, "--out", "out"].map(str::to_owned);
    let run = |formats: &str| project.run_alone(&report(formats).each_ref().map(String::as_str));
    // Without the program for PDF there is none, and that alone is no report.
    let failed = run("pdf").expect_code(1);
    assert_eq!(failed.stderr.matches("there is no PDF").count(), 1, "{failed:?}");
    assert_eq!(std::fs::read_dir(&out).unwrap().count(), 0);
    let warned = run("pdf,csv").expect_code(0);
    assert_eq!(warned.stderr.matches("There is no PDF").count(), 1, "{warned:?}");
    // Of somebody of whom nothing is held there is a table too: of what was searched.
    project.write("whom", "email=nobody@example.org\n");
    project.run(&["report", "--customer", "@whom", "--formats", "csv", "--out", "none"]).expect_code(0);
    let files: Vec<_> = std::fs::read_dir(project.path("none")).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(files, [project.path("none/0-summary.csv")]);
    assert!(std::fs::read_to_string(&files[0]).unwrap().contains("\r\nsome,staff,Staff,false,0,0,\r\n"));
    // One name that is taken: the others are not given either.
    project.write("whom", "1\n");
    std::fs::create_dir(project.path("taken")).unwrap();
    project.write("taken/report.html", "mine");
    let failed = project.run(&["report", "--user", "@whom", "--formats", "json,csv,html", "--out", "taken"]);
    assert!(failed.expect_code(1).stderr.contains("report.html"));
    assert_eq!(std::fs::read_dir(project.path("taken")).unwrap().count(), 1);
    // Options of the files say so where no file is written.
    for option in [["--formats", "csv"], ["--lang", "de"]] {
        let refused = project.run(&[&["report", "--user", "@whom"][..], &option].concat()).expect_code(2);
        assert!(refused.stderr.contains("--out"), "{refused:?}");
    }
}
