//! `retentiond check` against live databases: what it finds, on which line of the file, and what it says to do.
//!
//! Each test makes a small database with the fault in it. Set-up goes through the databases' own clients, so that nothing
//! of what is tested takes part in it. A server that is not there fails the test.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "the helpers of a test stop it by panicking")]

mod support;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// A file with one store, `shop`, and what the program says of it.
struct Site {
    folder: tempfile::TempDir,
    url: String,
    text: String,
}

/// What `check` answered.
#[derive(Debug)]
struct Answer {
    code: i32,
    text: String,
    findings: Vec<Value>,
    stderr: String,
}

fn sqlite(sql: &str) -> Site {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("shop.db").display());
    Site::new(folder, url, sql)
}

fn postgres(sql: &str) -> Site {
    Site::new(tempfile::tempdir().unwrap(), support::postgres().fresh_database(), sql)
}

fn mariadb(sql: &str) -> Site {
    Site::new(tempfile::tempdir().unwrap(), support::mariadb().fresh_database(), sql)
}

/// Feeds SQL to the database's own client.
fn client(url: &str, sql: &str) -> Output {
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
    fn new(folder: tempfile::TempDir, url: String, sql: &str) -> Self {
        client(&url, sql);
        Self { folder, url, text: String::new() }
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("jobs.toml")
    }

    /// Writes the file: the store, then `body`.
    fn write(&mut self, body: &str) -> &mut Self {
        let store = format!("[stores.shop]\nurl = \"{}\"\n", self.url);
        self.write_with(&store, body)
    }

    fn write_with(&mut self, stores: &str, body: &str) -> &mut Self {
        self.text = format!(
            "[state]\nurl = \"sqlite:{}\"\n\n{stores}\n[categories.billing]\ntitle = \"Billing\"\n\n{body}",
            self.folder.path().join("state.db").display()
        );
        std::fs::write(self.config(), &self.text).unwrap();
        self
    }

    fn retentiond(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_retentiond"));
        command.args(args).env("RETENTIOND_CONFIG", self.config()).env_remove("RETENTIOND_LOG").output().unwrap()
    }

    fn init(&self) -> &Self {
        let output = self.retentiond(&["init", "shop"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        self
    }

    fn check(&self) -> Answer {
        let output = self.retentiond(&["--format", "json", "check"]);
        let stderr = String::from_utf8(output.stderr).unwrap();
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no JSON; {stderr}"));
        let findings = answer.get("errors").or_else(|| answer.get("warnings")).and_then(Value::as_array).unwrap();
        Answer { code: output.status.code().unwrap(), text: self.text.clone(), findings: findings.clone(), stderr }
    }

    /// Writes the file, makes the ledger and checks.
    fn checked(&mut self, body: &str) -> Answer {
        self.write(body).init().check()
    }

    /// Runs all jobs: the exit code and the answer.
    fn run(&self) -> (i32, Value) {
        let output = self.retentiond(&["--format", "json", "run", "--all"]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        let answer = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no JSON; {stderr}"));
        (output.status.code().unwrap(), answer)
    }

    fn ask(&self, sql: &str) -> String {
        String::from_utf8(client(&self.url, sql).stdout).unwrap().trim().to_owned()
    }
}

impl Answer {
    /// Exactly one finding has this message; it stands on the line with `line` in it. Gives its help.
    fn finding(&self, severity: &str, message: &str, line: &str) -> String {
        let matching: Vec<&Value> =
            self.findings.iter().filter(|finding| finding["message"].as_str().unwrap().contains(message)).collect();
        let [one] = matching[..] else { panic!("{} times `{message}` in {:#?}", matching.len(), self.findings) };
        assert_eq!(one["severity"], severity, "{one}");
        assert!(one["file"].as_str().unwrap().ends_with("jobs.toml"), "{one}");
        let expected = self.text.lines().position(|text| text.contains(line)).expect("the line is in the file") + 1;
        assert_eq!(one["line"], expected, "{one}, expected on the line `{line}`");
        one["help"].as_str().unwrap_or_default().to_owned()
    }

    fn error(&self, message: &str, line: &str) -> String {
        assert_eq!(self.code, 3, "{}", self.stderr);
        self.finding("error", message, line)
    }

    fn warning(&self, message: &str, line: &str) -> String {
        assert_eq!(self.code, 0, "{}", self.stderr);
        self.finding("warning", message, line)
    }

    /// Nothing was found; findings about missing indexes on small tables aside.
    fn passes(&self) {
        assert_eq!(self.code, 0, "{}", self.stderr);
    }

    fn errors(&self) -> usize {
        self.findings.iter().filter(|finding| finding["severity"] == "error").count()
    }
}

/// An entry for `table`, named like it.
fn entry(table: &str, rest: &str) -> String {
    let name = table.replace('.', "_");
    format!("[data.{name}]\nstore = \"shop\"\ntable = \"{table}\"\ncategory = \"billing\"\n{rest}\n\n")
}

const JOB: &str = "[jobs.purge]\nkind = \"retention_purge\"\ndata = [\"orders\"]\nkeep = \"1 year\"\n";

const TIME: &str = "time = { column = \"made_at\", zone = \"UTC\" }";
const TEXT_TIME: &str = "time = { column = \"made_at\", format = \"%Y-%m-%d\", zone = \"UTC\" }";

/// `orders` and `lines`, which refer to them, on the three databases. `clause` ends the foreign key.
fn orders_and_lines(clause: &str) -> Vec<(Site, &'static str, &'static str)> {
    let sql = format!(
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, made_at TIMESTAMP NULL);
         CREATE INDEX orders_made ON orders (made_at);
         CREATE TABLE order_lines (id INTEGER PRIMARY KEY, order_id INTEGER,
             CONSTRAINT lines_of_order FOREIGN KEY (order_id) REFERENCES orders (id) {clause});
         CREATE INDEX lines_order ON order_lines (order_id);"
    );
    vec![(sqlite(&sql), TEXT_TIME, ""), (postgres(&sql), TIME, "public."), (mariadb(&sql), TIME, "")]
}

// ─── Names and times ─────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn an_unknown_table_or_column_is_named_with_what_was_meant() {
    for (mut site, time, schema) in orders_and_lines("") {
        let wrong = entry("oders", time).replace("data.oders", "data.orders");
        let help = site.checked(&(wrong + JOB)).error("store `shop` has no table `oders`", "table = \"oders\"");
        assert!(help.contains("did you mean `") && help.contains("orders`"), "{help}");
        let lines = entry("order_lines", "belongs_to = { data = \"orders\", by = \"ordr_id\" }");
        let answer = site.checked(&(entry("orders", &time.replace("made_at", "maed_at")) + &lines + JOB));
        let help = answer.error(&format!("table `{schema}orders` has no column `maed_at`"), "maed_at");
        assert_eq!(help, "did you mean `made_at`?");
        let help = answer.error(&format!("table `{schema}order_lines` has no column `ordr_id`"), "ordr_id");
        assert_eq!(help, "did you mean `order_id`?");
        let conditional = JOB.replace("keep", "where = { nonesuch_madeat = 3 }\nkeep");
        let good = entry("order_lines", "belongs_to = { data = \"orders\", by = \"order_id\" }");
        let answer = site.checked(&(entry("orders", time) + &good + &conditional));
        answer.error(&format!("table `{schema}orders` has no column `nonesuch_madeat`"), "where = ");
    }
}

#[test]
fn a_number_needs_its_unit_and_a_text_its_format() {
    let sql = "CREATE TABLE orders (id INTEGER PRIMARY KEY, made BIGINT, note VARCHAR(30), flag DECIMAL(9,2));";
    for mut site in [sqlite(sql), postgres(sql), mariadb(sql)] {
        let help = site
            .checked(&(entry("orders", "time = \"made\"") + JOB))
            .error("`made` is a number; say its unit", "time = ");
        assert!(help.contains("unit = \"s\""), "{help}");
        let help = site
            .checked(&(entry("orders", "time = \"note\"") + JOB))
            .error("`note` holds text; say its format", "time = ");
        assert!(help.contains("format = \"%Y-%m-%d %H:%M:%S\""), "{help}");
        let unsorted = entry("orders", "time = { column = \"note\", format = \"%d.%m.%Y\" }");
        site.checked(&(unsorted + JOB)).error("the format `%d.%m.%Y` does not sort by age", "time = ");
        site.checked(&(entry("orders", "time = \"flag\"") + JOB)).error("which is no time", "time = ");
        let good = entry("orders", "time = { column = \"made\", unit = \"s\" }");
        let answer = site.checked(&(good + JOB));
        let help = answer.warning("each run reads the whole table", "time = ");
        assert!(help.starts_with("CREATE INDEX"), "{help}");
    }
    // SQLite stores what it is given, whatever the column is declared as.
    let mut site = sqlite("CREATE TABLE orders (id INTEGER PRIMARY KEY, made_at DATETIME);");
    site.checked(&(entry("orders", "time = \"made_at\"") + JOB))
        .error("`made_at` holds text; say its format", "time = ");
}

#[test]
fn a_view_is_refused() {
    let sql =
        "CREATE TABLE sold (id INTEGER PRIMARY KEY, made_at TIMESTAMP NULL); CREATE VIEW orders AS SELECT * FROM sold;";
    for (mut site, time) in [(sqlite(sql), TEXT_TIME), (postgres(sql), TIME), (mariadb(sql), TIME)] {
        let help =
            site.checked(&(entry("orders", time) + JOB)).error("`orders` is a view, not a table", "table = \"orders\"");
        assert_eq!(help, "name the table behind it");
    }
}

#[test]
fn a_table_of_two_schemas_needs_its_schema() {
    let mut site = postgres(
        "CREATE SCHEMA old; CREATE SCHEMA new;
         CREATE TABLE old.orders (id INT PRIMARY KEY, made_at TIMESTAMP);
         CREATE TABLE new.orders (id INT PRIMARY KEY, made_at TIMESTAMP);
         INSERT INTO old.orders VALUES (1, '2001-01-01'); INSERT INTO new.orders VALUES (1, '2001-01-01');",
    );
    let answer = site.checked(&(entry("orders", TIME) + JOB));
    let help = answer.error("several schemas of store `shop` have a table `orders`", "table = \"orders\"");
    assert!(help.contains("old") && help.contains("new"), "{help}");
    let named = entry("old.orders", TIME).replace("data.old_orders", "data.orders");
    site.checked(&(named + JOB)).passes();
    assert_eq!(site.run().0, 0);
    assert_eq!(site.ask("SELECT (SELECT count(*) FROM old.orders) || ' ' || (SELECT count(*) FROM new.orders)"), "0 1");
}

// ─── Foreign keys and indexes ────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_foreign_key_from_an_unmapped_table_is_refused() {
    let cases = [
        ("", "refers to", "and is not in the map"),
        ("ON DELETE CASCADE", "would be deleted along with rows of", "ON DELETE CASCADE"),
        ("ON DELETE SET NULL", "would be changed along with rows of", "ON DELETE SET NULL"),
    ];
    for (clause, first, second) in cases {
        for (mut site, time, schema) in orders_and_lines(clause) {
            let answer = site.checked(&(entry("orders", time) + JOB));
            let help = answer.error(first, "table = \"orders\"");
            assert!(help.contains("belongs_to = { data = \"orders\", by = \"order_id\" }"), "{help}");
            let message = answer.findings[0]["message"].as_str().unwrap();
            assert!(message.contains(&format!("`{schema}order_lines`")) && message.contains(second), "{message}");
            // A table that is left alone for a reason is no longer a question.
            let ignored =
                "[data.lines]\nstore = \"shop\"\ntable = \"order_lines\"\nignore = \"emptied by the shop itself\"\n\n";
            site.checked(&(entry("orders", time) + ignored + JOB)).passes();
        }
    }
}

#[test]
fn a_mapped_table_must_say_what_becomes_of_its_reference() {
    for (mut site, time, _) in orders_and_lines("") {
        let silent = entry("orders", time) + &entry("order_lines", "") + JOB;
        let help = site.checked(&silent).error("the map does not say what becomes of its rows", "table = \"orders\"");
        assert!(help.contains("belongs_to = ") && help.contains("unlink = "), "{help}");
        let unlink = entry("order_lines", "unlink = { data = \"orders\", by = \"order_id\" }");
        site.checked(&(entry("orders", time) + &unlink + JOB)).passes();
    }
}

#[test]
fn a_missing_index_is_an_error_whose_help_mends_it() {
    let sql = "CREATE TABLE orders (id INTEGER PRIMARY KEY, made_at TIMESTAMP NULL);
               CREATE TABLE order_lines (id INTEGER PRIMARY KEY, order_id INTEGER);";
    for (mut site, time) in [(sqlite(sql), TEXT_TIME), (postgres(sql), TIME), (mariadb(sql), TIME)] {
        let lines = entry("order_lines", "belongs_to = { data = \"orders\", by = \"order_id\" }");
        let file = entry("orders", time) + &lines + JOB;
        let help = site
            .checked(&file)
            .error("begins with order_id: each batch of `orders` would read the whole table", "belongs_to");
        assert!(help.starts_with("CREATE INDEX"), "{help}");
        client(&site.url, &help);
        site.check().passes();
    }
}

#[test]
fn a_circle_is_refused_with_the_entries_in_it() {
    let sql = "CREATE TABLE orders (id INTEGER PRIMARY KEY, made_at TIMESTAMP NULL, bill_id INTEGER);
               CREATE TABLE bills (id INTEGER PRIMARY KEY, order_id INTEGER);
               CREATE INDEX orders_bill ON orders (bill_id);
               CREATE INDEX bills_order ON bills (order_id);";
    for (mut site, time) in [(sqlite(sql), TEXT_TIME), (postgres(sql), TIME), (mariadb(sql), TIME)] {
        let orders = entry("orders", &format!("{time}\nbelongs_to = {{ data = \"bills\", by = \"bill_id\" }}"));
        let bills = entry("bills", "belongs_to = { data = \"orders\", by = \"order_id\" }");
        let answer = site.checked(&(orders + &bills + JOB));
        assert_eq!(answer.code, 3);
        let circle = answer
            .findings
            .iter()
            .find(|finding| finding["message"].as_str().unwrap().contains("in a circle"))
            .unwrap();
        let message = circle["message"].as_str().unwrap();
        assert!(message.contains("`orders`") && message.contains("`bills`"), "{message}");
        let line = usize::try_from(circle["line"].as_u64().unwrap()).unwrap();
        assert!(answer.text.lines().nth(line - 1).unwrap().starts_with("belongs_to"), "{circle}");
        assert!(circle["help"].as_str().unwrap().contains("unlink"), "{circle}");
    }
}

#[test]
fn a_second_link_to_the_same_table_is_refused() {
    let sql = "CREATE TABLE orders (id INTEGER PRIMARY KEY, made_at TIMESTAMP NULL, up INTEGER, first INTEGER);
               CREATE INDEX orders_up ON orders (up); CREATE INDEX orders_first ON orders (first);";
    let mut site = sqlite(sql);
    let links = "belongs_to = [{ data = \"orders\", by = \"up\" }, { data = \"orders\", by = \"first\" }]";
    let file = entry("orders", &format!("{TEXT_TIME}\n{links}")) + JOB;
    site.checked(&file).error("`orders` belongs to itself by several links", "belongs_to");
}

// ─── What databases do on their own ──────────────────────────────────────────────────────────────────────────────────

#[test]
fn engines_without_rollback_are_refused_unless_accepted() {
    for engine in ["MyISAM", "MEMORY"] {
        let mut site = mariadb(&format!(
            "CREATE TABLE orders (id INT PRIMARY KEY, made_at DATETIME NULL) ENGINE={engine};
             INSERT INTO orders VALUES (1, '2001-01-01'), (2, NULL);"
        ));
        let help = site
            .checked(&(entry("orders", TIME) + JOB))
            .error(&format!("stored by {engine}, which has no rollback"), "table = ");
        assert!(help.contains("allow_nontransactional = true"), "{help}");
        site.checked(&(entry("orders", &format!("{TIME}\nallow_nontransactional = true")) + JOB)).passes();
        assert_eq!(site.run().0, 0);
        assert_eq!(site.ask("SELECT GROUP_CONCAT(id) FROM orders"), "2");
    }
}

#[test]
fn row_security_is_warned_of() {
    let mut site = postgres(
        "CREATE TABLE orders (id INT PRIMARY KEY, made_at TIMESTAMP);
         ALTER TABLE orders ENABLE ROW LEVEL SECURITY;",
    );
    let help = site.checked(&(entry("orders", TIME) + JOB)).warning("`public.orders` has row security", "table = ");
    assert!(help.contains("BYPASSRLS"), "{help}");
}

#[test]
fn triggers_are_listed() {
    let table =
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, made_at TIMESTAMP NULL); CREATE TABLE copies (id INTEGER);";
    let mut sites = [
        (
            sqlite(&format!(
                "{table} CREATE TRIGGER copied AFTER DELETE ON orders BEGIN INSERT INTO copies VALUES (old.id); END;"
            )),
            TEXT_TIME,
        ),
        (
            postgres(&format!(
                "{table} CREATE FUNCTION copy() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN INSERT INTO copies VALUES (old.id); RETURN old; END $$;
                 CREATE TRIGGER copied AFTER DELETE ON orders FOR EACH ROW EXECUTE FUNCTION copy();"
            )),
            TIME,
        ),
        (
            mariadb(&format!(
                "{table} CREATE TRIGGER copied AFTER DELETE ON orders FOR EACH ROW INSERT INTO copies VALUES (old.id);"
            )),
            TIME,
        ),
    ];
    for (site, time) in &mut sites {
        let help = site.checked(&(entry("orders", time) + JOB)).warning("has a trigger `copied`", "table = ");
        assert_eq!(help, "know whether it copies personal data elsewhere");
    }
}

/// `orders` with three expired rows, of which a trigger keeps the second; with lines that go along.
fn keepers() -> [(Site, &'static str); 2] {
    let tables = "CREATE TABLE orders (id INTEGER PRIMARY KEY, made_at TIMESTAMP NULL);
                  CREATE INDEX orders_made ON orders (made_at);
                  CREATE TABLE order_lines (id INTEGER PRIMARY KEY, order_id INTEGER);
                  CREATE INDEX lines_order ON order_lines (order_id);
                  INSERT INTO orders VALUES (1, '2001-01-01'), (2, '2001-01-02'), (3, '2001-01-03');
                  INSERT INTO order_lines VALUES (1, 1), (2, 2), (3, 3);";
    let lite = "CREATE TRIGGER kept BEFORE DELETE ON orders WHEN old.id = 2 BEGIN SELECT RAISE(IGNORE); END;";
    let pg = "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS
              $$ BEGIN IF old.id = 2 THEN RETURN NULL; END IF; RETURN old; END $$;
              CREATE TRIGGER kept BEFORE DELETE ON orders FOR EACH ROW EXECUTE FUNCTION keep();";
    [(sqlite(&format!("{tables} {lite}")), TEXT_TIME), (postgres(&format!("{tables} {pg}")), TIME)]
}

/// The run fails and says why.
fn fails_for_a_trigger(site: &Site) {
    let (code, answer) = site.run();
    assert_eq!(code, 1, "{answer}");
    let job = &answer["jobs"][0];
    assert_eq!(job["outcome"], "failed", "{job}");
    let error = job["error"].as_str().unwrap();
    assert!(error.contains("`orders`") && error.contains("a trigger, a rule or row security"), "{error}");
}

#[test]
fn a_trigger_that_keeps_rows_fails_the_run() {
    for (mut site, time) in keepers() {
        let help = site.checked(&(entry("orders", time) + JOB)).warning("has a trigger `kept`", "table = ");
        assert!(help.contains("BEFORE DELETE"), "{help}");
        fails_for_a_trigger(&site);
        assert_eq!(site.ask("SELECT id FROM orders"), "2", "what could go is gone");
        let ledger = "SELECT * FROM retentiond_ledger";
        assert_eq!(site.ask(ledger).lines().count(), 1, "and stands in the ledger");
    }
}

#[test]
fn a_trigger_that_keeps_rows_with_children_has_the_batch_rolled_back() {
    for (mut site, time) in keepers() {
        let lines = entry("order_lines", "belongs_to = { data = \"orders\", by = \"order_id\" }");
        site.checked(&(entry("orders", time) + &lines + JOB)).warning("has a trigger `kept`", "table = \"orders\"");
        fails_for_a_trigger(&site);
        assert_eq!(site.ask("SELECT count(*) FROM orders"), "3");
        assert_eq!(site.ask("SELECT count(*) FROM order_lines"), "3");
        assert_eq!(site.ask("SELECT count(*) FROM retentiond_ledger"), "0");
    }
}

/// A role that is dropped with the test.
struct Role(String);

impl Role {
    fn new(site: &Site, name: &str) -> Self {
        let name = format!("{name}_{}", std::process::id());
        client(&site.url, &format!("CREATE ROLE {name} LOGIN; GRANT USAGE ON SCHEMA public TO {name};"));
        Self(name)
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        let url = support::postgres().url("postgres");
        let held = format!("SELECT datname FROM pg_database WHERE datname LIKE 't{}\\_%'", std::process::id());
        for database in String::from_utf8(client(&url, &held).stdout).unwrap().lines() {
            client(&support::postgres().url(database), &format!("DROP OWNED BY {}", self.0));
        }
        client(&url, &format!("DROP ROLE {}", self.0));
    }
}

#[test]
fn missing_privileges_are_named() {
    let mut site = postgres(
        "CREATE TABLE orders (id INT PRIMARY KEY, made_at TIMESTAMP, who TEXT);
         INSERT INTO orders VALUES (1, '2001-01-01', 'x');",
    );
    let role = Role::new(&site, "check_reader");
    site.write(&(entry("orders", TIME) + JOB)).init();
    let name = role.0.clone();
    client(
        &site.url,
        &format!(
            "GRANT SELECT ON orders TO {name}; GRANT SELECT, INSERT, UPDATE ON retentiond_schema, retentiond_ledger, retentiond_gate, retentiond_held TO {name};"
        ),
    );
    let owner = site.url.clone();
    site.url = owner.replace("postgres://postgres@", &format!("postgres://{name}@"));
    assert_ne!(site.url, owner);
    let help = site
        .write(&(entry("orders", TIME) + JOB))
        .check()
        .error("the role lacks DELETE on `public.orders`", "table = ");
    assert!(help.contains("GRANT DELETE ON public.orders"), "{help}");
    let anonymised = entry("orders", &format!("{TIME}\non_expiry = \"anonymise\"\nanonymise = {{ who = \"null\" }}"));
    site.write(&(anonymised.clone() + JOB)).check().error("the role lacks UPDATE on `public.orders`", "table = ");
    client(&owner, &format!("GRANT UPDATE ON orders TO {name}"));
    site.check().passes();
    assert_eq!(site.run().0, 0);
    assert_eq!(site.ask("SELECT who IS NULL FROM orders"), "t");
    client(&owner, &format!("GRANT DELETE ON orders TO {name}"));
    site.write(&(entry("orders", TIME) + JOB)).check().passes();
    assert_eq!(site.run().0, 0);
    assert_eq!(site.ask("SELECT count(*) FROM orders"), "0");
}

#[test]
fn locking_parents_takes_update_on_postgresql() {
    let mut site = postgres(
        "CREATE TABLE orders (id INT PRIMARY KEY, made_at TIMESTAMP);
         CREATE TABLE order_lines (id INT PRIMARY KEY, order_id INT REFERENCES orders (id));
         CREATE INDEX ON order_lines (order_id);
         INSERT INTO orders VALUES (1, '2001-01-01'); INSERT INTO order_lines VALUES (1, 1);",
    );
    let lines = entry("order_lines", "belongs_to = { data = \"orders\", by = \"order_id\" }");
    let body = entry("orders", TIME) + &lines + JOB;
    let role = Role::new(&site, "check_deleter");
    site.write(&body).init();
    let (owner, name) = (site.url.clone(), role.0.clone());
    client(
        &owner,
        &format!(
            "GRANT SELECT ON retentiond_schema, retentiond_held TO {name};
             GRANT SELECT, INSERT ON retentiond_ledger TO {name};
             GRANT SELECT, INSERT, UPDATE ON retentiond_gate TO {name};
             GRANT SELECT, DELETE ON orders, order_lines TO {name};"
        ),
    );
    site.url = owner.replace("postgres://postgres@", &format!("postgres://{name}@"));
    let help = site.write(&body).check().error("the role lacks UPDATE on `public.orders`", "table = \"orders\"");
    assert!(help.contains("GRANT UPDATE ON public.orders"), "{help}");
    client(&owner, &format!("GRANT UPDATE ON orders TO {name}"));
    site.check().passes();
    assert_eq!(site.run().0, 0);
    assert_eq!(site.ask("SELECT (SELECT count(*) FROM orders) + (SELECT count(*) FROM order_lines)"), "0");
}

#[test]
fn foreign_keys_on_partitions_do_not_hinder_a_purge() {
    let mut site = postgres(
        "CREATE TABLE customers (id INT PRIMARY KEY);
         INSERT INTO customers VALUES (1);
         CREATE TABLE orders (id INT, made_at TIMESTAMP NOT NULL, customer_id INT, PRIMARY KEY (id, made_at)) PARTITION BY RANGE (made_at);
         CREATE TABLE orders_old PARTITION OF orders FOR VALUES FROM ('2001-01-01') TO ('2002-01-01');
         CREATE TABLE orders_older PARTITION OF orders FOR VALUES FROM ('2000-01-01') TO ('2001-01-01');
         CREATE TABLE orders_new PARTITION OF orders DEFAULT;
         CREATE INDEX ON orders (made_at);
         ALTER TABLE orders_old ADD FOREIGN KEY (customer_id) REFERENCES customers (id);
         CREATE TABLE order_lines (id INT PRIMARY KEY, order_id INT, order_at TIMESTAMP,
             FOREIGN KEY (order_id, order_at) REFERENCES orders_old (id, made_at));
         CREATE INDEX ON order_lines (order_id, order_at);
         INSERT INTO orders VALUES (1, '2000-05-01', 7), (2, '2001-05-01', 1), (3, now(), 1);
         INSERT INTO order_lines VALUES (1, 2, '2001-05-01'), (2, NULL, NULL);",
    );
    let orders = entry("orders", TIME);
    let lines =
        entry("order_lines", "belongs_to = { data = \"orders\", by = { order_id = \"id\", order_at = \"made_at\" } }");
    site.checked(&(orders + &lines + JOB)).passes();
    let (code, answer) = site.run();
    assert_eq!(code, 0, "{answer}");
    assert_eq!(site.ask("SELECT string_agg(id::text, ',' ORDER BY id) FROM orders"), "3");
    assert_eq!(site.ask("SELECT string_agg(id::text, ',' ORDER BY id) FROM order_lines"), "2");
}

// ─── What is only warned of ──────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_time_without_its_zone_and_without_an_index_is_warned_of() {
    let sql = "CREATE TABLE orders (id INTEGER PRIMARY KEY, made_at TIMESTAMP NULL);";
    let text = "time = { column = \"made_at\", format = \"%Y-%m-%d\" }";
    let date = "time = \"made_at\"";
    let dates = sql.replace("TIMESTAMP", "DATE");
    // MariaDB's TIMESTAMP knows its zone, its DATETIME does not.
    let civil = sql.replace("TIMESTAMP", "DATETIME");
    for (mut site, time) in
        [(sqlite(sql), text), (postgres(sql), date), (mariadb(&civil), date), (postgres(&dates), date)]
    {
        let answer = site.checked(&(entry("orders", time) + JOB));
        let help = answer.warning("the zone of `made_at` is not said: its rows are kept 14 hours longer", "time = ");
        assert!(help.contains("zone = \"UTC\""), "{help}");
        let help = answer.warning("begins with `made_at`: each run reads the whole table", "time = ");
        assert!(help.starts_with("CREATE INDEX"), "{help}");
    }
}

#[test]
fn a_table_without_a_key_is_warned_of() {
    let sql = "CREATE TABLE orders (id INTEGER, made_at TIMESTAMP NULL);";
    for (mut site, time) in [(sqlite(sql), TEXT_TIME), (postgres(sql), TIME), (mariadb(sql), TIME)] {
        let help = site.checked(&(entry("orders", time) + JOB)).warning("has no key", "table = ");
        assert!(help.contains("key = "), "{help}");
    }
}

#[test]
fn copies_that_stay_behind_are_named() {
    let mut site = postgres(
        "CREATE TABLE orders (id INT PRIMARY KEY, made_at TIMESTAMP);
         CREATE VIEW recent AS SELECT * FROM orders;
         CREATE MATERIALIZED VIEW totals AS SELECT count(*) FROM recent;",
    );
    let answer = site.checked(&(entry("orders", TIME) + JOB));
    let help = answer.warning("the materialised view `public.totals` keeps copies of `public.orders`", "table = ");
    assert_eq!(help, "refresh it after the run");
    let mut site = mariadb("CREATE TABLE orders (id INT PRIMARY KEY, made_at DATETIME NULL) WITH SYSTEM VERSIONING;");
    let help = site.checked(&(entry("orders", TIME) + JOB)).error("`orders` is system-versioned", "table = ");
    assert!(help.contains("DELETE HISTORY"), "{help}");
}

#[test]
fn rules_that_change_a_delete_are_refused() {
    let mut site = postgres(
        "CREATE TABLE orders (id INT PRIMARY KEY, made_at TIMESTAMP);
         CREATE RULE kept AS ON DELETE TO orders DO INSTEAD NOTHING;",
    );
    site.checked(&(entry("orders", TIME) + JOB)).error("`public.orders` has rewrite rules", "table = ");
}

#[test]
fn row_security_that_limits_the_role_is_refused() {
    let mut site = postgres(
        "CREATE TABLE orders (id INT PRIMARY KEY, made_at TIMESTAMP, tenant INT);
         ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
         CREATE POLICY mine ON orders USING (tenant = 1);",
    );
    let role = Role::new(&site, "check_tenant");
    site.write(&(entry("orders", TIME) + JOB)).init();
    let (owner, name) = (site.url.clone(), role.0.clone());
    client(&owner, &format!("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {name};"));
    site.url = owner.replace("postgres://postgres@", &format!("postgres://{name}@"));
    let answer = site.write(&(entry("orders", TIME) + JOB)).check();
    let help = answer.error("has row security that limits this role", "table = ");
    assert!(help.contains("BYPASSRLS"), "{help}");
}

/// Foreign keys in a circle between columns that may not be NULL: no order of deletions is possible, and it is said so.
#[test]
fn a_circle_of_required_references_cannot_be_unlinked() {
    let sql = "CREATE TABLE orders (id INT PRIMARY KEY, made_at TIMESTAMP, bill_id INT NOT NULL);
               CREATE TABLE bills (id INT PRIMARY KEY, order_id INT NOT NULL REFERENCES orders (id));
               ALTER TABLE orders ADD FOREIGN KEY (bill_id) REFERENCES bills (id) DEFERRABLE INITIALLY DEFERRED;
               CREATE INDEX ON orders (made_at); CREATE INDEX ON orders (bill_id); CREATE INDEX ON bills (order_id);";
    let mut site = postgres(sql);
    let orders = entry("orders", &format!("{TIME}\nunlink = {{ data = \"bills\", by = \"bill_id\" }}"));
    let bills = entry("bills", "belongs_to = { data = \"orders\", by = \"order_id\" }");
    let answer = site.checked(&(orders + &bills + JOB));
    answer.error("`bill_id` may not be NULL, so the reference cannot be unlinked", "unlink = ");
}

/// A deferred key fails at COMMIT, after all statements have succeeded: then nothing of the batch has happened.
#[test]
fn a_batch_that_fails_at_its_commit_leaves_nothing() {
    let mut site = postgres(
        "CREATE TABLE orders (id INT PRIMARY KEY, made_at TIMESTAMP);
         CREATE INDEX ON orders (made_at);
         CREATE TABLE order_lines (id INT PRIMARY KEY, order_id INT REFERENCES orders (id) DEFERRABLE INITIALLY DEFERRED);
         CREATE INDEX ON order_lines (order_id);
         INSERT INTO orders VALUES (1, '2001-01-01'), (2, '2001-01-01'); INSERT INTO order_lines VALUES (1, 1);",
    );
    let lines = "[data.lines]\nstore = \"shop\"\ntable = \"order_lines\"\nignore = \"said to be empty\"\n\n";
    site.checked(&(entry("orders", TIME) + lines + JOB)).passes();
    let (code, answer) = site.run();
    assert_eq!(code, 1, "{answer}");
    assert_eq!(answer["jobs"][0]["outcome"], "failed", "{answer}");
    assert!(answer["jobs"][0]["error"].as_str().unwrap().contains("a foreign key forbids the change"), "{answer}");
    assert_eq!(site.ask("SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM retentiond_ledger)"), "2|0");
}

#[test]
fn columns_of_special_categories_are_pointed_out_in_directories() {
    let sql = "CREATE TABLE orders (id INTEGER PRIMARY KEY, made_at TIMESTAMP NULL, religion VARCHAR(20));";
    for (mut site, time) in [(sqlite(sql), TEXT_TIME), (postgres(sql), TIME), (mariadb(sql), TIME)] {
        let body = entry("orders", time).replace("\"billing\"", "\"directory_information\"") + JOB;
        site.checked(&body).warning("religion` looks like sensitive data", "table = ");
    }
}

/// A server whose clock differs by more than a minute from ours: which rows are old is then in doubt.
#[test]
fn a_server_whose_clock_is_off_stops_the_run() {
    let mut site = postgres(
        "CREATE TABLE orders (id INT PRIMARY KEY, made_at TIMESTAMP);
         CREATE INDEX ON orders (made_at);
         INSERT INTO orders VALUES (1, '2001-01-01');
         CREATE SCHEMA fake;
         CREATE FUNCTION fake.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS
             $$ SELECT pg_catalog.clock_timestamp() + interval '2 minutes' $$;",
    );
    site.checked(&(entry("orders", TIME) + JOB)).passes();
    let name = site.url.rsplit('/').next().unwrap().to_owned();
    client(&site.url, &format!("ALTER DATABASE {name} SET search_path = fake, pg_catalog, public;"));
    let (code, answer) = site.run();
    assert_eq!(code, 1, "{answer}");
    assert!(answer["jobs"][0]["error"].as_str().unwrap().contains("clock"), "{answer}");
    assert_eq!(site.ask("SELECT count(*) FROM public.orders"), "1");
}

// ─── Anonymising ─────────────────────────────────────────────────────────────────────────────────────────────────────

/// What `check` says of `anonymise = { COLUMN = STRATEGY }` on one table: message and help.
fn refused_strategies(site: &mut Site, time: &str, cases: &[(&str, &str, &str, &str)]) {
    for (column, strategy, message, help) in cases {
        let rest = format!("{time}\non_expiry = \"anonymise\"\nanonymise = {{ {column} = \"{strategy}\" }}");
        let answer = site.checked(&(entry("orders", &rest) + JOB));
        assert_eq!(answer.code, 3, "{column} = {strategy}");
        let said = answer.error(message, "anonymise = {");
        assert!(said.contains(help), "{column}: {said}");
        assert_eq!(answer.errors(), 1, "{:#?}", answer.findings);
    }
}

#[test]
fn strategies_that_a_column_would_refuse_are_refused() {
    let columns = "id INTEGER PRIMARY KEY, made_at TIMESTAMP NULL, name VARCHAR(40) NOT NULL, login VARCHAR(40) UNIQUE,
                   country VARCHAR(2), price INTEGER NOT NULL";
    let general = [
        ("name", "null", "`name` may not be NULL", "text:"),
        ("price", "null", "`price` may not be NULL", "zero"),
        ("login", "text:gone", "`login` is unique: the second row would collide with the first", "hash:"),
        ("country", "text:removed", "the text needs 7 characters, and `country` has room for 2", ""),
        ("price", "text:removed", "which takes no text", ""),
        ("name", "zero", "`name` is of type", ""),
    ];
    let mut pg = postgres(&format!(
        "CREATE TYPE colour AS ENUM ('red', 'none');
         CREATE TABLE orders ({columns}, shade colour, payload JSONB, shout TEXT GENERATED ALWAYS AS (upper(name)) STORED);"
    ));
    let mut my = mariadb(&format!(
        "CREATE TABLE orders ({columns}, shade ENUM('red', 'none'), payload JSON, shout VARCHAR(40) AS (upper(name)) STORED);"
    ));
    for site in [&mut pg, &mut my] {
        refused_strategies(site, TIME, &general);
        let special = [
            ("shade", "text:removed", "`removed` is not one of the values of `shade`: red, none", ""),
            ("payload", "text:removed", "`payload` holds JSON, and `removed` is none", ""),
            ("shout", "text:removed", "`shout` is computed by the database and cannot be written", ""),
        ];
        refused_strategies(site, TIME, &special);
        let good = "on_expiry = \"anonymise\"\nanonymise = { name = \"text:gone\", login = \"null\", country = \"text:--\", \
                    price = \"zero\", shade = \"text:none\", payload = \"text:{}\" }";
        site.checked(&(entry("orders", &format!("{TIME}\n{good}")) + JOB)).passes();
    }
    let mut lite = sqlite(&format!("CREATE TABLE orders ({columns}, shout TEXT AS (upper(name)));"));
    refused_strategies(&mut lite, TEXT_TIME, &general[..3]);
    let special = [("shout", "text:removed", "`shout` is computed by the database and cannot be written", "")];
    refused_strategies(&mut lite, TEXT_TIME, &special);
}

#[test]
fn a_key_is_not_overwritten() {
    let sql = "CREATE TABLE orders (region INTEGER NOT NULL, id INTEGER NOT NULL, made_at TIMESTAMP NULL, PRIMARY KEY (region, id));";
    for (mut site, time) in [(sqlite(sql), TEXT_TIME), (postgres(sql), TIME), (mariadb(sql), TIME)] {
        refused_strategies(&mut site, time, &[("region", "zero", "`region` is part of the key of", "")]);
    }
}

#[test]
fn a_time_that_moves_cannot_age_what_is_anonymised() {
    let mut site = mariadb(
        "CREATE TABLE orders (id INT PRIMARY KEY, name VARCHAR(40) NULL,
             made_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP);",
    );
    let moving = entry("orders", &format!("{TIME}\non_expiry = \"anonymise\"\nanonymise = {{ name = \"null\" }}"));
    let help = site
        .checked(&(moving + JOB))
        .error("would set `made_at` to the present (ON UPDATE CURRENT_TIMESTAMP)", "time = ");
    assert_eq!(help, "age the row by a column that does not move");
    site.checked(&(entry("orders", TIME) + JOB)).passes();
}

// ─── Stores ──────────────────────────────────────────────────────────────────────────────────────────────────────────

const PLAIN: &str = "CREATE TABLE orders (id INTEGER PRIMARY KEY, made_at TIMESTAMP NULL); INSERT INTO orders VALUES (1, '2001-01-01');";

#[test]
fn a_store_without_ledger_is_refused_or_accepted_by_name() {
    for (mut site, time) in [(sqlite(PLAIN), TEXT_TIME), (postgres(PLAIN), TIME), (mariadb(PLAIN), TIME)] {
        let body = entry("orders", time) + JOB;
        let help =
            site.write(&body).check().error("store `shop` does not have retentiond's tables yet", "[stores.shop]");
        assert!(help.contains("`retentiond init shop`"), "{help}");
        let store = format!("[stores.shop]\nurl = \"{}\"\nledger = false\n", site.url);
        let help = site.write_with(&store, &body).check().warning("store `shop` has no ledger", "[stores.shop]");
        assert!(help.contains("only one daemon may run"), "{help}");
        assert_eq!(site.run().0, 0);
        assert_eq!(site.ask("SELECT count(*) FROM orders"), "0");
    }
}

/// What `check` says when it cannot begin.
fn not_begun(site: &Site, code: i32, message: &str) {
    let answer = site.check();
    assert_eq!(answer.code, code, "{}", answer.stderr);
    let said = answer.findings[0]["message"].as_str().unwrap();
    assert!(said.matches("store `shop`").count() == 1 && said.contains(message), "{said}");
}

#[test]
fn a_database_that_is_not_the_pinned_one_is_refused() {
    for (mut site, time) in [(sqlite(PLAIN), TEXT_TIME), (postgres(PLAIN), TIME), (mariadb(PLAIN), TIME)] {
        let body = entry("orders", time) + JOB;
        site.write(&body).init();
        let output = site.retentiond(&["--format", "json", "check"]);
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        let identity = answer["stores"][0]["identity"].as_str().unwrap().to_owned();
        let pinned = |identity: &str| format!("[stores.shop]\nurl = \"{}\"\nidentity = \"{identity}\"\n", site.url);
        let (right, wrong) = (pinned(&identity), pinned(&format!("{identity}-other")));
        site.write_with(&right, &body).check().passes();
        site.write_with(&wrong, &body);
        not_begun(&site, 5, &format!("this is `{identity}`, and the file pins `{identity}-other`"));
        let run = site.retentiond(&["run", "--all"]);
        assert_eq!(run.status.code(), Some(5));
        assert_eq!(site.ask("SELECT count(*) FROM orders"), "1");
    }
}

#[test]
fn addresses_that_lead_nowhere_are_refused_and_nothing_is_created() {
    let mut site = sqlite(PLAIN);
    let body = entry("orders", TEXT_TIME) + JOB;
    let folder = site.folder.path().to_owned();
    let store = |url: &str| format!("[stores.shop]\nurl = \"{url}\"\n");
    let missing = folder.join("typo.db");
    site.write_with(&store(&format!("sqlite:{}", missing.display())), &body);
    not_begun(&site, 5, "typo.db");
    for command in [&["init", "shop"][..], &["plan"], &["run", "--all"]] {
        assert_eq!(site.retentiond(command).status.code(), Some(5), "{command:?}");
    }
    assert!(!missing.exists(), "a typing error makes no empty database");
    site.write_with(&store(&missing.display().to_string()), &body);
    let help = site.check().error("this is no address of a store", "typo.db");
    assert!(help.contains("sqlite:PATH"), "{help}");
    assert!(!missing.exists());
    for scheme in ["postgres", "mysql"] {
        site.write_with(&store(&format!("{scheme}://nobody@127.0.0.1:1/nowhere")), &body);
        not_begun(&site, 5, "");
    }
}

#[test]
fn a_folder_without_its_marker_is_not_reached() {
    let mut site = sqlite(PLAIN);
    let body = entry("orders", TEXT_TIME) + JOB;
    let voice = site.folder.path().join("voice");
    std::fs::create_dir(&voice).unwrap();
    let stores = format!("[stores.shop]\nurl = \"{}\"\n[stores.voice]\nurl = \"file:{}\"\n", site.url, voice.display());
    site.write_with(&stores, &body).init();
    let answer = site.check();
    assert_eq!(answer.code, 5, "{}", answer.stderr);
    assert!(
        answer.stderr.contains("store `voice`") && answer.stderr.contains(".retentiond-store"),
        "{}",
        answer.stderr
    );
    assert!(site.retentiond(&["init", "voice"]).status.success());
    site.check().passes();
}

// ─── Jobs ────────────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn two_jobs_may_not_claim_the_same_rows() {
    let mut site = sqlite(PLAIN);
    let twin = JOB.replace("purge]", "second]").replace("1 year", "2 years").replace("data", "data  ");
    let help = site
        .checked(&(entry("orders", TEXT_TIME) + JOB + "\n" + &twin))
        .error("both purge `orders` with the same `where`", "data   =");
    assert_eq!(help, "make it one job, with an override");
    let apart = |job: &str, id: u32| job.replace("keep", &format!("where = {{ id = {id} }}\nkeep"));
    site.checked(&(entry("orders", TEXT_TIME) + &apart(JOB, 1) + "\n" + &apart(&twin, 2))).passes();
}

#[test]
fn a_keep_needs_a_time() {
    let mut site = sqlite(PLAIN);
    let help = site
        .checked(&(entry("orders", "") + JOB))
        .error("`orders` has no `time`, so nothing says how old its rows are", "data = [");
    assert!(help.contains("[data.orders]"), "{help}");
}

#[test]
fn all_mistakes_are_shown_at_once_each_with_its_place() {
    let mut site = sqlite(
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, made INTEGER, name TEXT NOT NULL); CREATE TABLE bills (id INTEGER PRIMARY KEY);",
    );
    let orders = entry("orders", "time = \"made\"\non_expiry = \"anonymise\"\nanonymise = { name = \"null\" }");
    let body = orders + &entry("bils", "") + &JOB.replace("keep", "where = { nmae = \"x\" }\nkeep");
    site.write(&body).init();
    let answer = site.check();
    answer.error("`made` is a number; say its unit", "time = ");
    answer.error("`name` may not be NULL", "anonymise = {");
    assert_eq!(answer.error("store `shop` has no table `bils`", "table = \"bils\""), "did you mean `bills`?");
    assert_eq!(answer.error("table `orders` has no column `nmae`", "where = "), "did you mean `name`?");
    let text = String::from_utf8(site.retentiond(&["check"]).stderr).unwrap();
    for finding in answer.findings.iter().filter(|finding| finding["severity"] == "error") {
        let mut place = String::new();
        write!(place, "jobs.toml:{}:{}", finding["line"], finding["column"]).unwrap();
        assert!(text.contains(&place), "{place} in {text}");
        assert!(text.contains(finding["message"].as_str().unwrap()), "{text}");
    }
}

// ─── Persons ─────────────────────────────────────────────────────────────────────────────────────────────────────────

const PEOPLE: &str = "[people.user]\ndata = \"staff\"\nidentifiers = { login = \"login\", email = \"mails.address\" }\n\n\
    [people.customer]\nidentifiers = [\"phone\", \"email\"]\n\n";

/// Staff with a whole-number key, their addresses, and orders about staff and customers.
fn staffed() -> Vec<Site> {
    let sql = |json: &str| {
        format!(
            "CREATE TABLE staff (id BIGINT NOT NULL PRIMARY KEY, tenant BIGINT NOT NULL, login VARCHAR(20));
             CREATE TABLE mails (id BIGINT NOT NULL PRIMARY KEY, staff_id BIGINT NOT NULL, address VARCHAR(80));
             CREATE TABLE orders (id BIGINT NOT NULL PRIMARY KEY, staff_id BIGINT NOT NULL, taken_on DATE, mailbox VARCHAR(80),
                 payload {json}, phone VARCHAR(30), second VARCHAR(30) NOT NULL);"
        )
    };
    vec![sqlite(&sql("TEXT")), postgres(&sql("JSONB")), mariadb(&sql("JSON"))]
}

#[test]
fn links_to_persons_are_held_against_the_catalog() {
    for mut site in staffed() {
        let mails = entry("mails", "user = \"staff_id\"");
        let good = entry("staff", "") + &mails;
        let links = "user = [{ column = \"staff_id\" }, { column = \"mailbox\", before = \"@\" }, { json = \"payload\", path = \"$.by[0]\" }]\n\
                     customer = { phone = \"phone\" }\nmentions = { email = \"second\" }";
        let answer = site.checked(&(PEOPLE.to_owned() + &good + &entry("orders", links)));
        answer.passes();
        for (said, line, message, help) in [
            ("user = \"staf_id\"", "staf_id", "has no column `staf_id`", "did you mean `staff_id`?"),
            ("user = [\"staff_id\", \"id\"]", "user = [", "2 columns, but the key of `staff` has 1", "several persons"),
            ("user = \"taken_on\"", "taken_on", "`taken_on` is of type", "the person's key"),
            ("user = { json = \"payload\", path = \"by\" }", "path = ", "`by` is no path within JSON", "$.user.id"),
            ("user = { column = \"staff_id\", before = \"@\" }", "before", "has no parts", ""),
            ("customer = { fone = \"phone\" }", "fone", "no person is known by a `fone`", "did you mean `phone`?"),
            ("customer = { phone = \"taken_on\" }", "taken_on", "`taken_on` is of type", ""),
            ("mentions = { phone = \"id\" }", "mentions", "part of the key", ""),
        ] {
            site.write(&(PEOPLE.to_owned() + &good + &entry("orders", said)));
            let found = site.check().error(message, line);
            assert!(found.contains(help), "{said}: {found}");
        }
        for (said, message) in [
            (PEOPLE.replace("\"login\"", "\"logn\""), "has no column `logn`"),
            (PEOPLE.replace("mails.address", "mail.address"), "there is no data entry `mail`"),
            (PEOPLE.replace("mails.address", "orders.phone"), "does not say whose its rows are"),
            (PEOPLE.replace("\"email\"]", "\"email\"]\ndigits = 2"), "digits is from 3 to 15"),
            (PEOPLE.replace("\"email\"]", "\"email\"]\ncompare = { emial = \"exact\" }"), "no kind of identifier"),
        ] {
            site.write(&(said + &good + &entry("orders", "")));
            let answer = site.check();
            assert_eq!(answer.code, 3, "{}", answer.stderr);
            assert!(
                answer.stderr.contains(message) || format!("{:?}", answer.findings).contains(message),
                "{answer:?}"
            );
        }
    }
}

/// A column that must name the person cannot be anonymised: said so it is refused, meant so it is kept with a warning.
#[test]
fn an_anonymised_row_may_not_go_on_naming_the_person() {
    for mut site in staffed() {
        let body = |rest: &str| {
            let orders = "user = [\"staff_id\"]\nanonymise = { phone = \"null\" }\n".to_owned() + rest;
            PEOPLE.to_owned() + &entry("staff", "") + &entry("mails", "user = \"staff_id\"") + &entry("orders", &orders)
        };
        let answer = site.checked(&body("on_erasure = \"anonymise\""));
        let help = answer.error("an anonymised row would still name them", "on_erasure");
        assert!(help.contains("on_erasure = \"keep\""), "{help}");
        site.write(&body("on_expiry = \"anonymise\""));
        site.check().warning("an erasure would keep these rows", "user = [");
    }
}
