//! A person's report on the contact centre, on the three databases: every row that plain SQL finds about a person who was
//! planted in every entry, nobody else's, and nothing of anybody else in any of the files.
#![expect(clippy::unwrap_used, reason = "the helpers of a test stop it by panicking")]

#[path = "support/center.rs"]
mod center;
#[path = "reports/maps.rs"]
mod maps;
#[path = "reports/planted.rs"]
mod planted;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use center::{Center, Db};
use planted::{CUSTOMER, USER};
use serde_json::Value;
use support::{Output, Project};

/// The shipped contact centre.
fn small(db: Db) -> Center {
    Center::with(db, &["--small"], center::POLICY)
}

impl Center {
    /// Writes a report into a new folder.
    fn report(&self, name: &str, whom: &str, file: &str, more: &[&str]) -> (Output, PathBuf) {
        self.project.write("whom", file);
        let out = self.project.path(name);
        let folder = out.to_str().unwrap().to_owned();
        let arguments = [&["report", whom, "@whom", "--out", &folder], more].concat();
        (self.project.run(&arguments), out)
    }

    /// The keys that plain SQL finds, by entry; keys of several columns are joined.
    fn keys(&self, queries: &[(&'static str, &str, &str)]) -> BTreeMap<String, BTreeSet<String>> {
        let of = |(data, store, query): &(&'static str, &str, &str)| {
            let found = self.sql(store, &format!("SELECT {query};"));
            ((*data).to_owned(), found.lines().map(|line| line.replace('\t', "|")).collect())
        };
        queries.iter().map(of).collect()
    }
}

/// The keys of a report's records, by entry, those of entries without any left out.
fn keys_of(report: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let mut all = BTreeMap::new();
    for entry in entries(report) {
        let data = entry["data"].as_str().unwrap();
        let key: &[&str] = match data {
            "user_names" => &["user_id"],
            "queue_members" => &["queue_id", "user_id"],
            "user_roles" => &["user_id", "role_id"],
            "user_settings" => &["user_id", "name"],
            "attached_data" => &["contact_id", "name"],
            "campaigns" => &["code"],
            "contact_statistics" => &["contact_id"],
            _ => &["id"],
        };
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let keys: BTreeSet<String> = entry["records"]
            .as_array()
            .unwrap()
            .iter()
            .map(|record| key.iter().map(|name| text(&record["values"][name])).collect::<Vec<_>>().join("|"))
            .collect();
        assert_eq!(keys.len() as u64, entry["rows"].as_u64().unwrap(), "{data}: as many records as it says");
        if !keys.is_empty() {
            all.insert(data.to_owned(), keys);
        }
    }
    all
}

fn entries(report: &Value) -> Vec<&Value> {
    report["categories"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|category| category["entries"].as_array().unwrap())
        .collect()
}

fn entry<'a>(report: &'a Value, name: &str) -> &'a Value {
    entries(report).into_iter().find(|entry| entry["data"] == name).unwrap()
}

/// The record of an entry whose `id` is this.
fn record<'a>(report: &'a Value, data: &str, id: u64) -> &'a Value {
    entry(report, data)["records"].as_array().unwrap().iter().find(|record| record["values"]["id"] == id).unwrap()
}

fn read(folder: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(folder.join("report.json")).unwrap()).unwrap()
}

#[expect(clippy::too_many_lines, reason = "one story, told from its beginning to its end")]
fn customers(db: Db) {
    let center = small(db);
    for (store, sql) in CUSTOMER {
        center.sql(store, sql);
    }
    // That these were written is captured, too; `capture` looks at what a report shows of that.
    center.forget_changes();
    let (output, folder) = center.report(
        "out",
        "--customer",
        "phone=+358 40 700-8001\nemail=anna.kivi@example.org\n",
        &["--formats", "json,csv,html"],
    );
    let output = output.expect_code(0);
    let report = read(&folder);
    let phones = "('0407008001','+358 40 700 8001','00358-40-7008001','sip:0407008001@pbx','+358407008001','040 700 8001','+358 (40) 7008001')";
    let mine = format!("caller_number IN {phones} OR lower(trim(caller_email)) = 'anna.kivi@example.org'");
    let calls = format!("FROM contacts WHERE {mine}");
    let of_contacts = format!("contact_id IN (SELECT id {calls})");
    let expected = center.keys(&[
        ("directory_customers", "directory", &format!("id FROM directory_customers WHERE phone IN {phones}")),
        ("consents", "directory", &format!("id FROM consents WHERE customer_id IN (SELECT id FROM directory_customers WHERE phone IN {phones})")),
        ("contacts", "operative", &format!("id {calls}")),
        ("contact_events", "operative", &format!("id FROM contact_events WHERE {of_contacts}")),
        ("emails", "operative", "id FROM emails WHERE lower(from_address) = 'anna.kivi@example.org' OR lower(to_address) = 'anna.kivi@example.org'"),
        ("email_attachments", "operative", "id FROM email_attachments WHERE email_id = 900001"),
        ("chats", "operative", &format!("id FROM chats WHERE {of_contacts}")),
        ("chat_transcripts", "operative", &format!("id FROM chat_transcripts WHERE chat_id IN (SELECT id FROM chats WHERE {of_contacts})")),
        ("internal_notes", "operative", &format!("id FROM internal_notes WHERE {of_contacts}")),
        ("attached_data", "operative", &format!("contact_id, name FROM attached_data WHERE {of_contacts}")),
        ("recordings", "operative", &format!("id FROM recordings WHERE {of_contacts}")),
        ("campaign_customers", "outbound", &format!("id FROM campaign_customers WHERE phone IN {phones}")),
        ("campaign_calls", "outbound", &format!("id FROM campaign_calls WHERE campaign_customer_id IN (SELECT id FROM campaign_customers WHERE phone IN {phones})")),
        ("live_agents", "monitoring", &format!("id FROM live_agents WHERE current_caller IN {phones}")),
        ("live_queues", "monitoring", &format!("id FROM live_queues WHERE first_caller IN {phones}")),
        ("contact_statistics", "history", &format!("contact_id FROM contact_statistics WHERE caller_number IN {phones}")),
    ]);
    assert!(expected.values().all(|keys| !keys.is_empty()), "the person is in every entry: {expected:#?}");
    assert_eq!(keys_of(&report), expected);

    // What somebody else's row or column holds is in no file.
    for file in std::fs::read_dir(&folder).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains("CANARY"), "{} holds something of somebody else", path.display());
    }
    assert!(!format!("{output:?}").contains("7008001") && !format!("{output:?}").to_lowercase().contains("kivi"));

    // What is said of the records.
    let masked = serde_json::json!({ "masked": "another_person" });
    let call = record(&report, "contacts", 900_004);
    assert_eq!(call["values"]["caller_email"], masked);
    assert_eq!(call["values"]["agent_id"], masked);
    assert_eq!(call["values"]["caller_number"], "sip:0407008001@pbx");
    assert_eq!(record(&report, "contacts", 900_001)["values"]["started_at"], "2026-06-01T13:00:00+03:00");
    assert_eq!(record(&report, "contacts", 900_001)["kept_until"], "2028-06-01", "sales: two years");
    assert_eq!(record(&report, "contacts", 900_002)["kept_until"], "2027-07-02", "any other call: 13 months");
    assert_eq!(record(&report, "contacts", 900_003).get("kept_until"), None, "a contact that is open");
    assert_eq!(record(&report, "recordings", 900_001)["kept_until"], "2027-02-01", "three months, before its call");
    let today = support::now().with_timezone(&chrono_tz::Europe::Helsinki).date_naive().to_string();
    assert_eq!(record(&report, "recordings", 900_002)["kept_until"], today, "without consent: at once");
    let mention = record(&report, "emails", 900_101);
    assert_eq!(mention["mentioned"], true);
    assert_eq!(mention["values"]["to_address"], "Anna.Kivi@example.org");
    assert_eq!(mention["values"]["body"], masked);
    assert_eq!(record(&report, "emails", 900_001)["values"]["reply_to"], masked);
    let kept = &entry(&report, "emails")["kept"];
    assert_eq!(kept[0]["shown"], false, "{kept:#}");
    assert_eq!(kept[0]["rows"], 1, "{kept:#}");
    assert_eq!(entry(&report, "agent_work_time")["rows"], 0);
    assert_eq!(entry(&report, "agent_work_time")["can_be_linked"], false);
    let category =
        |name: &str| report["categories"].as_array().unwrap().iter().find(|category| category["name"] == name).unwrap();
    assert_eq!(category("recordings")["beyond_reach"], "Recordings that a user saved on a workstation");
    assert!(category("recordings")["purpose"].is_string() && category("recordings")["legal_basis"].is_string());
    assert_eq!(category("recordings")["newest_goes"], "2027-02-01");
    valid(&folder.join("report.json"), &center.project);

    // The other formats have the same records.
    let csv = std::fs::read_to_string(folder.join("contact_data_records.csv")).unwrap();
    let mut table = csv::Reader::from_reader(csv.as_bytes());
    let rows = table.records().map(Result::unwrap).count() as u64;
    assert_eq!(rows, category("contact_data_records")["rows"].as_u64().unwrap());
    assert!(csv.contains("\"a \"\"quoted\"\", line\nand another\"") && csv.contains("\r\n"));
    assert!(std::fs::read_to_string(folder.join("directory_information.csv")).unwrap().contains("'=1+1"));
    let html = std::fs::read_to_string(folder.join("report.html")).unwrap();
    assert!(html.contains("Grüße 你好 مرحبا") && html.contains("2026-06-01 13:00:00"));
    assert_eq!(
        html.matches("<tr><td dir").count() as u64,
        expected.values().map(|keys| keys.len() as u64).sum::<u64>()
    );
    for file in std::fs::read_dir(&folder).unwrap() {
        let mode = std::os::unix::fs::PermissionsExt::mode(&file.unwrap().metadata().unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600, "its owner alone reads it");
    }

    // A range narrows; what is there already is not written over; too much is too much.
    let (output, narrow) = center.report(
        "narrow",
        "--customer",
        "phone=0407008001\n",
        &["--from", "2026-06-02", "--to", "2026-06-05", "--formats", "json", "--lang", "fi"],
    );
    output.expect_code(0);
    let text = std::fs::read_to_string(narrow.join("report.json")).unwrap();
    // Who is known by phone alone has whatever address stands in their own calls.
    assert!(text.contains("CANARY-shared@example.net") && text.matches("CANARY").count() == 1, "{text}");
    let narrow = read(&narrow);
    assert_eq!(keys_of(&narrow)["contacts"], ["900002", "900004"].map(str::to_owned).into());
    assert_eq!(narrow["language"], "fi");
    let (again, _) = center.report("out", "--customer", "phone=0407008001\n", &["--formats", "json"]);
    assert!(again.expect_code(1).stderr.contains("report.json"));
    let (none, out) =
        center.report("none", "--customer", "email=nobody@nowhere.example\n", &["--formats", "json,html"]);
    none.expect_code(0);
    assert_eq!(keys_of(&read(&out)), BTreeMap::new());
    valid(&out.join("report.json"), &center.project);
    center.sql("operative", &many_calls());
    let (wide, out) = center.report("wide", "--customer", "phone=0407008001\n", &[]);
    assert!(wide.expect_code(4).stderr.contains("1000 rows"));
    assert!(!out.exists());
}

fn many_calls() -> String {
    let row = |id: u64| format!("({id}, 'call', 'in', '0407008001', '2026-06-07 10:00:00')");
    let rows: Vec<String> = (910_000..911_000).map(row).collect();
    format!("INSERT INTO contacts (id, channel, direction, caller_number, started_at) VALUES {};", rows.join(","))
}

#[expect(clippy::too_many_lines, reason = "one story, told from its beginning to its end")]
fn users(db: Db) {
    let center = small(db);
    for (store, sql) in USER {
        center.sql(store, sql);
    }
    // That these were written is captured, too; `capture` looks at what a report shows of that.
    center.forget_changes();
    let (output, folder) =
        center.report("out", "--user", "login=erik.x\n", &["--formats", "json,csv,html", "--lang", "de"]);
    output.expect_code(0);
    let report = read(&folder);
    let by_user = |table: &str| format!("id FROM {table} WHERE user_id = 990001");
    let expected = center.keys(&[
        ("users", "configuration", "id FROM users WHERE id = 990001"),
        ("user_names", "configuration", "user_id FROM user_names WHERE user_id = 990001"),
        ("user_addresses", "configuration", &by_user("user_addresses")),
        ("queue_members", "configuration", "queue_id, user_id FROM queue_members WHERE user_id = 990001"),
        ("user_roles", "configuration", "user_id, role_id FROM user_roles WHERE user_id = 990001"),
        ("user_settings", "configuration", "user_id, name FROM user_settings WHERE user_id = 990001"),
        ("listening_log", "configuration", &by_user("recording_listening_log")),
        (
            "audit_log",
            "configuration",
            "id FROM audit_log WHERE actor_id = 990001 OR (object_type = 'user' AND object_id = 990001)",
        ),
        ("privacy_requests", "configuration", "id FROM privacy_requests WHERE requested_by = 990001"),
        ("directory_users", "directory", &by_user("directory_users")),
        ("contacts", "operative", "id FROM contacts WHERE agent_id = 990001 OR transferred_to = 990001"),
        ("contact_events", "operative", "id FROM contact_events WHERE agent_id = 990001"),
        ("internal_notes", "operative", "id FROM internal_notes WHERE author_id = 990001"),
        ("recordings", "operative", &by_user("recordings")),
        ("presences", "operative", &by_user("presences")),
        ("campaigns", "outbound", "code FROM campaigns WHERE owner_id = 990001"),
        ("campaign_calls", "outbound", "id FROM campaign_calls WHERE agent_id = 990001"),
        ("live_agents", "monitoring", &by_user("live_agents")),
        ("agent_intervals", "reporting", &by_user("agent_intervals")),
        (
            "contact_statistics",
            "history",
            "contact_id FROM contact_statistics WHERE agent_id = 990001 OR agent_login = 'erik.x'",
        ),
        ("agent_work_time", "history", &by_user("agent_work_time")),
    ]);
    assert!(expected.values().all(|keys| !keys.is_empty()), "the person is in every entry: {expected:#?}");
    assert_eq!(keys_of(&report), expected);
    for file in std::fs::read_dir(&folder).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains("CANARY"), "{} holds something of somebody else", path.display());
    }
    no_key_of_another(&report);
    let switch =
        |data: &str| report["switches"].as_array().unwrap().iter().find(|switch| switch["data"] == data).unwrap();
    assert_eq!(
        (&switch("recordings")["on"], &switch("directory_users")["on"]),
        (&Value::Bool(false), &Value::Bool(true))
    );
    let masked = serde_json::json!({ "masked": "another_person" });
    assert_eq!(record(&report, "contacts", 990_002)["values"]["agent_id"], masked);
    assert_eq!(record(&report, "contacts", 990_002)["values"]["transferred_to"], 990_001);
    assert_eq!(record(&report, "contacts", 990_002)["values"]["subject"], masked);
    assert_eq!(record(&report, "audit_log", 990_001)["values"]["object_id"], 5, "a contact's number is nobody's key");
    assert_eq!(record(&report, "audit_log", 990_002)["values"]["actor_id"], masked);
    // Of a change to the person the new value is shown, of one that they made to others it is not.
    assert_eq!(record(&report, "audit_log", 990_002)["values"]["new_value"], "Erik");
    assert_eq!(record(&report, "audit_log", 990_004)["values"]["new_value"], masked);
    assert_eq!(entry(&report, "audit_log")["kept"][0]["rows"], 3, "an erasure keeps the log, and says why");
    assert_eq!(record(&report, "live_agents", 990_001)["values"]["updated_at"], "2026-09-21T17:13:21+03:00");
    valid(&folder.join("report.json"), &center.project);

    // The map may say that a column is shown.
    let open = include_str!("../jobs.toml").replace(
        "title = \"Contacts\"\n",
        "title = \"Contacts\"\nshow_others = [\"subject\", \"agent_id\"]\ntitles = { subject = \"About what\" }\n",
    );
    center.project.write_jobs(&open);
    let (output, folder) = center.report("open", "--user", "990001\n", &["--formats", "json"]);
    output.expect_code(0);
    let report = read(&folder);
    assert_eq!(record(&report, "contacts", 990_002)["values"]["subject"], "CANARY-subject");
    assert_eq!(record(&report, "contacts", 990_002)["values"]["agent_id"], 990_002);
    assert_eq!(record(&report, "contacts", 990_002)["values"]["caller_number"], masked);
    let columns = entry(&report, "contacts")["columns"].as_array().unwrap();
    assert!(
        columns.iter().any(|column| column["title"] == "About what")
            && columns.iter().any(|column| column["title"] == "Caller number")
    );
}

/// Where a column names a user it names the person, or its value is masked.
fn no_key_of_another(report: &Value) {
    let (mut own, mut others) = (0, 0);
    for record in entries(report).into_iter().flat_map(|entry| entry["records"].as_array().unwrap()) {
        for column in ["user_id", "agent_id", "transferred_to", "author_id", "owner_id", "actor_id", "requested_by"] {
            match &record["values"][column] {
                Value::Null => {}
                Value::Number(key) => {
                    assert_eq!(key.as_u64(), Some(990_001), "{column} of {record}");
                    own += 1;
                }
                masked => {
                    assert_eq!(masked["masked"], "another_person", "{column} of {record}");
                    others += 1;
                }
            }
        }
    }
    assert!(own > 10 && others > 2, "{own} keys of the person, {others} of others");
}

/// The JSON is what the published schema says, as another program reads that.
fn valid(report: &Path, project: &Project) {
    let schema = project.write("schema.json", project.run(&["schema", "--report"]).expect_code(0).stdout);
    let program = "import json, sys, jsonschema\n\
                   schema, report = (json.load(open(name)) for name in sys.argv[1:])\n\
                   jsonschema.Draft202012Validator.check_schema(schema)\n\
                   jsonschema.Draft202012Validator(schema).validate(report)\n\
                   broken = json.loads(json.dumps(report)); broken['categories'][0]['surprise'] = 1\n\
                   assert not jsonschema.Draft202012Validator(schema).is_valid(broken), 'the schema lets anything pass'\n";
    let output = Command::new("python3").args(["-c", program]).arg(schema).arg(report).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_customer_on_sqlite() {
    customers(Db::Sqlite);
}

#[test]
fn a_customer_on_postgres() {
    customers(Db::Postgres);
}

#[test]
fn a_customer_on_mariadb() {
    customers(Db::Mariadb);
}

#[test]
fn a_user_on_sqlite() {
    users(Db::Sqlite);
}

#[test]
fn a_user_on_postgres() {
    users(Db::Postgres);
}

#[test]
fn a_user_on_mariadb() {
    users(Db::Mariadb);
}
