//! A database, a policy, and the program run on it.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::{self, run_sql};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
    Mariadb,
}

pub const ENGINES: [Engine; 3] = [Engine::Sqlite, Engine::Postgres, Engine::Mariadb];

impl Engine {
    /// The snippet of this database.
    pub fn pick<T>(self, sqlite: T, postgres: T, mariadb: T) -> T {
        match self {
            Self::Sqlite => sqlite,
            Self::Postgres => postgres,
            Self::Mariadb => mariadb,
        }
    }
}

pub struct Shop {
    pub folder: tempfile::TempDir,
    pub url: String,
}

/// What the program answered.
#[derive(Debug)]
pub struct Answer {
    pub code: i32,
    pub json: Value,
    pub stderr: String,
}

impl Answer {
    /// Rows by entry and action; entries with none are left out.
    pub fn rows(&self) -> BTreeMap<(String, String), u64> {
        let mut rows = BTreeMap::new();
        for step in self.json["jobs"][0]["steps"].as_array().unwrap() {
            let key = (step["data"].as_str().unwrap().to_owned(), step["action"].as_str().unwrap().to_owned());
            *rows.entry(key).or_default() += step["rows"].as_u64().unwrap();
        }
        rows.retain(|_, rows| *rows > 0);
        rows
    }

    pub fn name(&self) -> String {
        self.json["jobs"][0]["plan"].as_str().unwrap().to_owned()
    }
}

/// By entry the rows that a report shows, by id, and how many of them it says an erasure would keep.
pub type Shown = BTreeMap<String, (BTreeMap<String, Value>, u64)>;

impl Shop {
    /// A fresh database with this schema; `policy` says all but where it is.
    pub fn new(engine: Engine, policy: &str, schema: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = match engine {
            Engine::Sqlite => {
                let file = folder.path().join("shop.db");
                std::fs::write(&file, "").unwrap();
                format!("sqlite:{}", file.display())
            }
            Engine::Postgres => support::postgres().fresh_database(),
            Engine::Mariadb => support::mariadb().fresh_database(),
        };
        run_sql(&url, schema);
        let shop = Self { folder, url };
        shop.write_policy(policy);
        let init = shop.run(&["init", "shop"]);
        assert_eq!(init.code, 0, "{init:#?}\n{policy}");
        shop
    }

    pub fn write_policy(&self, policy: &str) {
        let head = format!(
            "[state]\nurl = \"sqlite:{}\"\nbackup_horizon = \"35 days\"\n[stores.shop]\nurl = \"{}\"\n[pace]\npause_ms = 0\n[categories.some]\ntitle = \"Some\"\n",
            self.folder.path().join("state.db").display(),
            self.url
        );
        std::fs::write(self.folder.path().join("jobs.toml"), head + policy).unwrap();
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_retentiond"));
        command
            .args(arguments)
            .args(["--format", "json"])
            .env("RETENTIOND_CONFIG", self.folder.path().join("jobs.toml"));
        command.current_dir(self.folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Answer {
        let output = self.command(arguments).output().unwrap();
        let json = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        Answer { code: output.status.code().unwrap_or(-1), json, stderr }
    }

    fn erasure(&self, whom: &[String], options: &[&str]) -> Answer {
        let whom = whom.iter().map(String::as_str);
        self.run(&std::iter::once("erase").chain(whom).chain(options.iter().copied()).collect::<Vec<_>>())
    }

    pub fn plan(&self, whom: &[String]) -> Answer {
        let plan = self.erasure(whom, &["--dry-run"]);
        assert_eq!(plan.code, 0, "{plan:#?}");
        plan
    }

    /// Erases as planned: the same rows, and a receipt.
    pub fn erase(&self, whom: &[String], plan: &Answer, context: &str) -> Answer {
        let done = self.erasure(whom, &["--yes-i-mean", &plan.name()]);
        assert_eq!(done.code, 0, "{done:#?} {context}");
        assert_eq!(done.rows(), plan.rows(), "the run did something else than the plan: {done:#?} {context}");
        assert!(done.json["receipt"].is_object(), "{done:#?} {context}");
        done
    }

    /// What a report shows.
    pub fn report(&self, whom: &[String], context: &str) -> Shown {
        let out = self.folder.path().join("report");
        let folder = out.to_str().unwrap();
        let whom = whom.iter().map(String::as_str);
        let options = ["--formats", "json", "--out", folder];
        let done = self.run(&std::iter::once("report").chain(whom).chain(options).collect::<Vec<_>>());
        assert_eq!(done.code, 0, "{done:#?} {context}");
        let report: serde_json::Value =
            serde_json::from_slice(&std::fs::read(out.join("report.json")).unwrap()).unwrap();
        #[expect(clippy::disallowed_methods, reason = "the report's folder is no store")]
        std::fs::remove_dir_all(out).unwrap();
        let mut shown = Shown::new();
        let categories = report["categories"].as_array().unwrap();
        for entry in categories.iter().flat_map(|category| category["entries"].as_array().unwrap()) {
            let of = |record: &Value| (record["values"]["id"].to_string(), record["values"].clone());
            let records = entry["records"].as_array().unwrap().iter().map(of).collect();
            let kept = entry["kept"].as_array().unwrap().iter().filter(|kept| kept["shown"] == true);
            let kept = kept.map(|kept| kept["rows"].as_u64().unwrap()).sum();
            shown.insert(entry["data"].as_str().unwrap().to_owned(), (records, kept));
        }
        shown
    }

    pub fn sql(&self, sql: &str) -> String {
        run_sql(&self.url, sql)
    }
}
