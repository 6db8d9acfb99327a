//! A table of audit rows, a job that folds it, and the program run on both.

use crate::support::{self, Project, run_sql};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Db {
    Sqlite,
    Postgres,
    Mariadb,
}

pub const ALL: [Db; 3] = [Db::Sqlite, Db::Postgres, Db::Mariadb];

pub struct Bed {
    pub db: Db,
    pub url: String,
    pub project: Project,
    _folder: Option<tempfile::TempDir>,
    policy: String,
}

/// Distinct actors by day and role, in Helsinki's days.
pub const DAYS: &str = r#"
[jobs.audit]
kind = "audit_rollup"
data = "audit"
keep = "90 days"
bucket = "day"
by = ["role", "action"]
into = "audit_daily"
"#;

/// Everything by person, nothing merged: sums, extremes.
pub const MONTHS: &str = r#"
[jobs.audit]
kind = "audit_rollup"
data = "audit"
keep = "90 days"
bucket = "month"
by = ["name"]
by_person = "usage is billed by subscriber"
minimum_group = 1
into = "audit_daily"
columns = { month = "bucket:%Y-%m", rows = "count", octets = "sum:octets_in+octets_out", least = "min:octets_in", most = "max:octets_in" }
"#;

impl Bed {
    /// A database with the table `audit`, and the summaries that `init` makes for the job.
    pub fn new(db: Db, zone: &str, job: &str) -> Self {
        let (folder, url) = match db {
            Db::Sqlite => {
                let (folder, url) = support::sqlite();
                (Some(folder), url)
            }
            Db::Postgres => (None, support::postgres().fresh_database()),
            Db::Mariadb => (None, support::mariadb().fresh_database()),
        };
        let time = match db {
            Db::Sqlite => "time = { column = \"at\", zone = \"UTC\", format = \"%Y-%m-%d %H:%M:%S\" }",
            Db::Postgres => "time = \"at\"",
            Db::Mariadb => "time = { column = \"at\", zone = \"UTC\" }",
        };
        let policy = format!(
            "timezone = \"{zone}\"\n[state]\nurl = \"sqlite:{{dir}}/state.db\"\n[stores.main]\nurl = \"{url}\"\n\
             [brakes]\nmax_percent = 100\nmax_rows = 100000000\nmax_times_usual = 1000000\n\
             [categories.audit]\ntitle = \"Audit\"\n\
             [people.user]\ndata = \"staff\"\nidentifiers = {{ login = \"login\" }}\n\
             [data.staff]\nstore = \"main\"\ntable = \"staff\"\ncategory = \"audit\"\n\
             [data.audit]\nstore = \"main\"\ntable = \"audit\"\ncategory = \"audit\"\nuser = \"actor\"\n\
             customer = {{ name = \"name\" }}\n{time}\n\
             [data.audit_daily]\nstore = \"main\"\ntable = \"audit_daily\"\ncategory = \"audit\"\n"
        );
        let project = Project::new(&format!("{policy}{job}"));
        let bed = Self { db, url, project, _folder: folder, policy };
        let (at, text) = match db {
            Db::Sqlite => ("TEXT", "VARCHAR(40) COLLATE NOCASE"),
            Db::Postgres => ("TIMESTAMPTZ", "VARCHAR(40)"),
            Db::Mariadb => ("DATETIME", "VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"),
        };
        bed.sql(&format!(
            "CREATE TABLE staff (id BIGINT NOT NULL PRIMARY KEY, login VARCHAR(40));
             CREATE TABLE audit (id BIGINT NOT NULL PRIMARY KEY, at {at}, actor BIGINT, role {text}, action {text}, name {text},
                 octets_in BIGINT, octets_out BIGINT);
             CREATE INDEX audit_at ON audit (at);"
        ));
        bed.program(&["init", "main"]).expect_code(0);
        bed
    }

    pub fn sql(&self, sql: &str) -> String {
        run_sql(&self.url, sql)
    }

    /// Another job in place of the first.
    pub fn rewrite(&self, job: &str) {
        self.project.write_jobs(&format!("{}{job}", self.policy));
    }

    pub fn program(&self, arguments: &[&str]) -> support::Output {
        self.project.run(arguments)
    }

    /// Rows `(at, actor, role, action, name, in, out)`, SQL literals each.
    pub fn rows(&self, rows: &[&str]) {
        let first: i64 = self.sql("SELECT COALESCE(MAX(id), 0) FROM audit;").trim().parse().unwrap();
        let values: Vec<String> =
            rows.iter().enumerate().map(|(place, row)| format!("({}, {row})", first + 1 + place as i64)).collect();
        self.sql(&format!("INSERT INTO audit VALUES {};", values.join(", ")));
    }

    /// An instant as a literal.
    pub fn at(&self, instant: &str) -> String {
        if self.db == Db::Postgres { format!("'{instant}+00'") } else { format!("'{instant}'") }
    }

    /// The summaries, `|` between columns, NULL as `~`, sorted.
    pub fn summaries(&self, columns: &[&str]) -> Vec<String> {
        let cast = if self.db == Db::Mariadb { "CHAR" } else { "TEXT" };
        let fields: Vec<String> =
            columns.iter().map(|column| format!("COALESCE(CAST({column} AS {cast}), '~')")).collect();
        let mut lines: Vec<String> = self
            .sql(&format!("SELECT {} FROM audit_daily;", fields.join(", ")))
            .lines()
            .map(|line| line.replace('\t', "|").replace("+00", ""))
            .collect();
        lines.sort();
        lines
    }

    /// The number that a query gives.
    pub fn number(&self, sql: &str) -> i64 {
        self.sql(sql).trim().parse().unwrap()
    }
}
