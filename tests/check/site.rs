//! A small database with a file about it, and what `check` says of them.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// A file with one store, `shop`, and what the program says of it.
pub struct Site {
    pub folder: tempfile::TempDir,
    pub url: String,
    pub text: String,
}

/// What `check` answered.
#[derive(Debug)]
pub struct Answer {
    pub code: i32,
    pub text: String,
    pub findings: Vec<Value>,
    pub stderr: String,
}

pub fn sqlite(sql: &str) -> Site {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("shop.db").display());
    Site::new(folder, url, sql)
}

pub fn postgres(sql: &str) -> Site {
    Site::new(tempfile::tempdir().unwrap(), crate::support::postgres().fresh_database(), sql)
}

pub fn mariadb(sql: &str) -> Site {
    Site::new(tempfile::tempdir().unwrap(), crate::support::mariadb().fresh_database(), sql)
}

/// Feeds SQL to the database's own client.
pub fn client(url: &str, sql: &str) -> Output {
    let mut command = if let Some(path) = url.strip_prefix("sqlite:") {
        let mut command = Command::new("sqlite3");
        command.args(["-bail", path]);
        command
    } else if url.starts_with("postgres") {
        let mut command = Command::new("psql");
        command.args(["-qXAt", "-v", "ON_ERROR_STOP=1", url]);
        command
    } else {
        let parsed = url::Url::parse(url).unwrap();
        let mut command = Command::new("mariadb");
        command.args(["--no-defaults", "-N", "-h", parsed.host_str().unwrap(), "-u", parsed.username()]);
        command.args(["-P", &parsed.port().unwrap().to_string(), parsed.path().trim_start_matches('/')]);
        command
    };
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(sql.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

impl Site {
    pub fn new(folder: tempfile::TempDir, url: String, sql: &str) -> Self {
        client(&url, sql);
        Self { folder, url, text: String::new() }
    }

    pub fn config(&self) -> PathBuf {
        self.folder.path().join("jobs.toml")
    }

    /// Writes the file: the store, then `body`.
    pub fn write(&mut self, body: &str) -> &mut Self {
        let store = format!("[stores.shop]\nurl = \"{}\"\n", self.url);
        self.write_with(&store, body)
    }

    pub fn write_with(&mut self, stores: &str, body: &str) -> &mut Self {
        self.text = format!(
            "[state]\nurl = \"sqlite:{}\"\n\n{stores}\n[categories.billing]\ntitle = \"Billing\"\n\n{body}",
            self.folder.path().join("state.db").display()
        );
        std::fs::write(self.config(), &self.text).unwrap();
        self
    }

    pub fn retentiond(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_retentiond"));
        command.args(args).env("RETENTIOND_CONFIG", self.config()).env_remove("RETENTIOND_LOG").output().unwrap()
    }

    pub fn init(&self) -> &Self {
        let output = self.retentiond(&["init", "shop"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        self
    }

    pub fn check(&self) -> Answer {
        let output = self.retentiond(&["--format", "json", "check"]);
        let stderr = String::from_utf8(output.stderr).unwrap();
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no JSON; {stderr}"));
        let findings = answer.get("errors").or_else(|| answer.get("warnings")).and_then(Value::as_array).unwrap();
        Answer { code: output.status.code().unwrap(), text: self.text.clone(), findings: findings.clone(), stderr }
    }

    /// Writes the file, makes the ledger and checks.
    pub fn checked(&mut self, body: &str) -> Answer {
        self.write(body).init().check()
    }

    /// Runs all jobs: the exit code and the answer.
    pub fn run(&self) -> (i32, Value) {
        let output = self.retentiond(&["--format", "json", "run", "--all"]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        let answer = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no JSON; {stderr}"));
        (output.status.code().unwrap(), answer)
    }

    pub fn ask(&self, sql: &str) -> String {
        String::from_utf8(client(&self.url, sql).stdout).unwrap().trim().to_owned()
    }
}

impl Answer {
    /// Exactly one finding has this message; it stands on the line with `line` in it. Gives its help.
    pub fn finding(&self, severity: &str, message: &str, line: &str) -> String {
        let matching: Vec<&Value> =
            self.findings.iter().filter(|finding| finding["message"].as_str().unwrap().contains(message)).collect();
        let [one] = matching[..] else { panic!("{} times `{message}` in {:#?}", matching.len(), self.findings) };
        assert_eq!(one["severity"], severity, "{one}");
        assert!(one["file"].as_str().unwrap().ends_with("jobs.toml"), "{one}");
        let expected = self.text.lines().position(|text| text.contains(line)).expect("the line is in the file") + 1;
        assert_eq!(one["line"], expected, "{one}, expected on the line `{line}`");
        one["help"].as_str().unwrap_or_default().to_owned()
    }

    pub fn error(&self, message: &str, line: &str) -> String {
        assert_eq!(self.code, 3, "{}", self.stderr);
        self.finding("error", message, line)
    }

    pub fn warning(&self, message: &str, line: &str) -> String {
        assert_eq!(self.code, 0, "{}", self.stderr);
        self.finding("warning", message, line)
    }

    /// Nothing was found; findings about missing indexes on small tables aside.
    pub fn passes(&self) {
        assert_eq!(self.code, 0, "{}", self.stderr);
    }

    pub fn errors(&self) -> usize {
        self.findings.iter().filter(|finding| finding["severity"] == "error").count()
    }
}

/// An entry for `table`, named like it.
pub fn entry(table: &str, rest: &str) -> String {
    let name = table.replace('.', "_");
    format!("[data.{name}]\nstore = \"shop\"\ntable = \"{table}\"\ncategory = \"billing\"\n{rest}\n\n")
}

pub const JOB: &str = "[jobs.purge]\nkind = \"retention_purge\"\ndata = [\"orders\"]\nkeep = \"1 year\"\n";

pub const TIME: &str = "time = { column = \"made_at\", zone = \"UTC\" }";
pub const TEXT_TIME: &str = "time = { column = \"made_at\", format = \"%Y-%m-%d\", zone = \"UTC\" }";

/// `orders` and `lines`, which refer to them, on the three databases. `clause` ends the foreign key.
pub fn orders_and_lines(clause: &str) -> Vec<(Site, &'static str, &'static str)> {
    let sql = format!(
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, made_at TIMESTAMP NULL);
         CREATE INDEX orders_made ON orders (made_at);
         CREATE TABLE order_lines (id INTEGER PRIMARY KEY, order_id INTEGER,
             CONSTRAINT lines_of_order FOREIGN KEY (order_id) REFERENCES orders (id) {clause});
         CREATE INDEX lines_order ON order_lines (order_id);"
    );
    vec![(sqlite(&sql), TEXT_TIME, ""), (postgres(&sql), TIME, "public."), (mariadb(&sql), TIME, "")]
}

pub const PLAIN: &str = "CREATE TABLE orders (id INTEGER PRIMARY KEY, made_at TIMESTAMP NULL); INSERT INTO orders VALUES (1, '2001-01-01');";

/// A role that is dropped with the test.
pub struct Role(pub String);

impl Role {
    pub fn new(site: &Site, name: &str) -> Self {
        let name = format!("{name}_{}", std::process::id());
        client(&site.url, &format!("CREATE ROLE {name} LOGIN; GRANT USAGE ON SCHEMA public TO {name};"));
        Self(name)
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        let url = crate::support::postgres().url("postgres");
        let held = format!("SELECT datname FROM pg_database WHERE datname LIKE 't{}\\_%'", std::process::id());
        for database in String::from_utf8(client(&url, &held).stdout).unwrap().lines() {
            client(&crate::support::postgres().url(database), &format!("DROP OWNED BY {}", self.0));
        }
        client(&url, &format!("DROP ROLE {}", self.0));
    }
}
