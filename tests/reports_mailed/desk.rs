//! A small shop with a job that mails reports, a scripted mail server, and a state of its own.

#![allow(dead_code, reason = "each test file uses its part")]

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::support::fake_smtp::FakeSmtp;
use crate::support::mail_server::{MailServer, USER};
use crate::support::{Output, Project, mariadb, postgres, run_sql};

/// Stands in every personal column.
pub const CANARY: &str = "kanarienvogel";

pub struct Desk {
    pub project: Project,
    pub server: FakeSmtp,
    shop: String,
}

fn policy(mail: &str, to: &str, keys: &str, ledger: bool) -> String {
    format!(
        r#"
[approvals]
widened = false
[brakes]
max_percent = 100.0
[state]
url = "sqlite:{{dir}}/state.db"
[mail]
{mail}
from = "Data protection <privacy@example.org>"
alerts = ["ops@example.org"]
[stores.shop]
url = "sqlite:{{dir}}/shop.db"
ledger = {ledger}
[people.user]
data = "users"
identifiers = {{ login = "login", email = "email" }}
[people.customer]
identifiers = ["email", "phone"]
[data.users]
store = "shop"
table = "users"
category = "user_master_data"
[data.contacts]
store = "shop"
table = "contacts"
category = "contact_data_records"
user = "user_id"
customer = {{ email = "email" }}
time = {{ column = "ended_at", zone = "UTC", format = "%Y-%m-%d %H:%M:%S" }}
[data.requests]
store = "shop"
table = "requests"
category = "audit_data"
time = {{ column = "answered_at", zone = "UTC", format = "%Y-%m-%d %H:%M:%S" }}
[categories.audit_data]
title = "Requests"
[jobs.contacts]
kind = "retention_purge"
data = ["contacts"]
keep = "1 year"
[jobs.reports]
kind = "personal_data_report"
to = {to}
formats = ["json"]
{keys}
"#
    )
}

impl Desk {
    pub fn new(keys: &str) -> Self {
        Self::with_recipients(keys, &["dpo@example.org"])
    }

    pub fn with_recipients(keys: &str, to: &[&str]) -> Self {
        let server = FakeSmtp::start();
        let mail = format!("smtp = \"{}\"\nca = \"{}\"", server.url(), server.ca().display());
        Self::made(server, &policy(&mail, &format!("{to:?}"), keys, true), true)
    }

    /// With the shop on each of the databases; what is text on SQLite is a time on the others.
    pub fn each(keys: &str) -> [Self; 3] {
        [Self::new(keys), Self::on_postgres(keys), Self::on(mariadb().fresh_database(), keys)]
    }

    pub fn on_postgres(keys: &str) -> Self {
        Self::on(postgres().fresh_database(), keys)
    }

    fn on(url: String, keys: &str) -> Self {
        let server = FakeSmtp::start();
        let mail = format!("smtp = \"{}\"\nca = \"{}\"", server.url(), server.ca().display());
        let policy = policy(&mail, "\"dpo@example.org\"", keys, true);
        let policy = policy.replace("sqlite:{dir}/shop.db", &url).replace(", format = \"%Y-%m-%d %H:%M:%S\"", "");
        Self::made_on(server, &policy, true, Some(url))
    }

    pub fn without_ledger(keys: &str) -> Self {
        let server = FakeSmtp::start();
        let mail = format!("smtp = \"{}\"\nca = \"{}\"", server.url(), server.ca().display());
        Self::made(server, &policy(&mail, "\"dpo@example.org\"", keys, false), false)
    }

    pub fn to_folder(keys: &str) -> Self {
        let policy = policy("smtp = \"file:{dir}/mails\"", "\"dpo@example.org\"", keys, true);
        Self::made(FakeSmtp::start(), &policy, true)
    }

    /// With Exim instead of the scripted server.
    pub fn to_server(server: &MailServer, to: &[&str], keys: &str) -> Self {
        let mail = format!(
            "smtp = \"smtp://localhost:{}\"\nca = \"{}\"\nusername = {{ file = \"{{dir}}/user\" }}\npassword = {{ file = \"{{dir}}/password\" }}",
            server.port,
            server.ca().display()
        );
        let desk = Self::made(FakeSmtp::start(), &policy(&mail, &format!("{to:?}"), keys, true), true);
        desk.project.write("user", USER.0);
        desk.project.write("password", USER.1);
        desk
    }

    fn made(server: FakeSmtp, policy: &str, ledger: bool) -> Self {
        Self::made_on(server, policy, ledger, None)
    }

    fn made_on(server: FakeSmtp, policy: &str, ledger: bool, shop: Option<String>) -> Self {
        let project = Project::new(policy);
        let shop = shop.unwrap_or_else(|| format!("sqlite:{}", project.path("shop.db").display()));
        let time = match &shop {
            url if url.starts_with("sqlite") => "TEXT",
            url if url.starts_with("mysql") => "DATETIME NULL",
            _ => "TIMESTAMP",
        };
        let desk = Self { project, server, shop };
        desk.sql(&format!(
            "CREATE TABLE users (id INTEGER PRIMARY KEY, login VARCHAR(80), email VARCHAR(80), name VARCHAR(80));
             CREATE TABLE contacts (id INTEGER PRIMARY KEY, user_id INTEGER, email VARCHAR(80), ended_at {time}, note TEXT);
             CREATE INDEX contacts_ended ON contacts (ended_at);
             CREATE TABLE requests (id INTEGER PRIMARY KEY, person_kind VARCHAR(80), identifier_kind VARCHAR(80),
                 identifier VARCHAR(80), requested_at {time}, due_at VARCHAR(40), answered_at {time});
             INSERT INTO users VALUES (1, '{CANARY}', '{CANARY}@example.net', 'Jane {CANARY}'),
                 (2, 'jane', 'jane@example.net', 'Jane'), (3, 'joe', 'joe@example.net', 'Joe');
             INSERT INTO contacts VALUES (1, 1, 'eve@example.net', '2020-01-01 10:00:00', '{CANARY} called'),
                 (2, 2, 'adam@example.net', '2020-01-02 10:00:00', 'x');"
        ));
        if ledger {
            desk.project.run(&["init", "shop"]).expect_code(0);
        }
        desk.project.write("whom", "1\n");
        desk.project.write("customer", "email=eve@example.net\n");
        desk
    }

    /// What `check` says of a job with these keys.
    pub fn checked(keys: &str) -> Output {
        let mail = "smtp = \"file:{dir}/mails\"";
        let desk =
            Self::made(FakeSmtp::start(), &policy(mail, "\"dpo@example.org\"", "allow_plain = true", true), true);
        let file = policy(mail, "\"dpo@example.org\"", keys, true);
        // What the case says of formats stands in place of the desk's own.
        let file = if keys.contains("formats") { file.replacen("formats = [\"json\"]\n", "", 1) } else { file };
        desk.project.write_jobs(&file);
        desk.project.run(&["check"]).expect_code(3)
    }

    /// Makes a request, and gives its id.
    pub fn request(&self, args: &[&str]) -> String {
        let made = self.project.run(&[&["--format", "json"], args].concat()).expect_code(0);
        made.json()["request"].as_str().unwrap().to_owned()
    }

    pub fn list(&self, args: &[&str]) -> serde_json::Value {
        let listed = self.project.run(&[&["--format", "json", "report", "list"], args].concat()).expect_code(0);
        listed.json()["requests"].clone()
    }

    /// How often the server took the mail of a request.
    pub fn arrived(&self, request: &str) -> usize {
        let id = format!("<retentiond.report.{request}@example.org>");
        self.server.taken().iter().filter(|taken| taken.id == id).count()
    }

    pub fn sql(&self, sql: &str) -> String {
        run_sql(&self.shop, sql)
    }

    pub fn state_url(&self) -> String {
        format!("sqlite:{}", self.project.path("state.db").display())
    }

    /// All that the state holds.
    pub fn state(&self) -> String {
        let tables = run_sql(&self.state_url(), "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name;");
        tables.lines().map(|table| run_sql(&self.state_url(), &format!("SELECT * FROM \"{table}\";"))).collect()
    }

    /// How many records of a type the trail holds.
    pub fn trail(&self, kind: &str) -> usize {
        let count = format!("SELECT count(*) FROM trail_records WHERE kind = '{kind}';");
        run_sql(&self.state_url(), &count).trim().parse().unwrap()
    }

    /// Held rows.
    pub fn held(&self) -> usize {
        self.sql("SELECT count(*) FROM retentiond_held WHERE data <> '?';").trim().parse().unwrap()
    }

    /// How many rows a report says are held, by entry in which something was found.
    pub fn held_by_entry(report: &serde_json::Value) -> std::collections::BTreeMap<String, u64> {
        let categories = report["categories"].as_array().unwrap().iter();
        let entries = categories.flat_map(|category| category["entries"].as_array().unwrap());
        let found = entries.filter(|entry| entry["rows"].as_u64().unwrap() > 0);
        found.map(|entry| (entry["data"].as_str().unwrap().to_owned(), entry["held"].as_u64().unwrap())).collect()
    }

    /// What lies in the outbox folder.
    pub fn spooled(&self) -> Vec<String> {
        let Ok(folder) = std::fs::read_dir(self.project.path("outbox")) else { return Vec::new() };
        folder.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
    }

    /// A mail as Python's library reads it.
    pub fn parse(&self, mail: &[u8]) -> serde_json::Value {
        let program = r#"
import email, email.policy, json, sys
mail = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.default)
found = {"content_type": mail.get_content_type(), "subject": mail["subject"], "files": [], "text": "", "html": "",
    "headers": [name for name in mail.keys()], "to": mail["to"], "defects": [repr(d) for part in mail.walk() for d in part.defects]}
for part in mail.walk():
    if part.is_multipart(): continue
    if part.get_content_disposition() == "attachment":
        found["files"].append({"name": part.get_filename(), "type": part.get_content_type(), "text": part.get_payload(decode=True).decode("utf-8", "replace")})
    elif part.get_content_type() == "text/plain": found["text"] = part.get_content()
    elif part.get_content_type() == "text/html": found["html"] = part.get_content()
json.dump(found, sys.stdout)
"#;
        let mut child =
            Command::new("python3").args(["-c", program]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(mail).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        serde_json::from_slice(&output.stdout).unwrap()
    }
}
