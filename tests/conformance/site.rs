//! A site: a database with tables, a policy, and the program run on it.
//!
//! Each table of a case has a column `fate`, which says what must become of the row: `goes`, `changes` or `stays`. It
//! belongs to the case alone; no policy speaks of it.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::client::{Database, Db};

/// A database, a policy and the program.
pub struct Site {
    /// The database.
    pub database: Database,
    folder: tempfile::TempDir,
    tables: Vec<String>,
    timezone: String,
}

/// What the program answered.
#[derive(Debug)]
pub struct Answer {
    /// The exit code.
    pub exit: i32,
    /// Standard output as JSON; null when there was none.
    pub json: Value,
    /// Standard error.
    pub stderr: String,
}

impl Answer {
    /// The one job's answer.
    pub fn job(&self) -> &Value {
        self.json.get("jobs").map_or(&self.json, |jobs| &jobs[0])
    }

    /// Rows of all steps.
    pub fn rows(&self) -> u64 {
        self.job()["rows"].as_u64().unwrap_or_else(|| panic!("no rows in {self:#?}"))
    }

    /// Sums a number over the steps of an entry.
    pub fn steps(&self, data: &str, number: &str) -> u64 {
        let steps = self.job()["steps"].as_array().unwrap();
        steps
            .iter()
            .filter(|step| step["data"] == data)
            .map(|step| step.pointer(number).unwrap().as_u64().unwrap())
            .sum()
    }

    /// What went wrong, wherever it was said.
    pub fn error(&self) -> String {
        format!("{}{}", self.stderr, self.json)
    }
}

impl Site {
    /// A fresh database with these tables, and a policy of these entries and jobs. In both, types and quotes stand for
    /// those of the database; in the policy `{store}` begins an entry on it.
    pub fn new(db: Db, schema: &str, tables: &[&str], policy: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::fresh(db, folder.path());
        database.sql(schema);
        let tables = tables.iter().map(|table| (*table).to_owned()).collect();
        let site = Self { database, folder, tables, timezone: "UTC".to_owned() };
        site.write_policy(policy);
        let init = site.program(&["init", "main"]);
        assert_eq!(init.exit, 0, "{db:?} {init:#?}");
        site
    }

    /// Writes another policy.
    pub fn write_policy(&self, policy: &str) {
        let head = format!(
            "timezone = \"{}\"\n[state]\nurl = \"sqlite:{}\"\n[stores.main]\nurl = \"{}\"\n[categories.some]\ntitle = \"Some\"\n",
            self.timezone,
            self.folder.path().join("state.db").display(),
            self.database.url
        );
        let brakes = "[brakes]\nmax_percent = 100\nmax_rows = 10000000\nmax_times_usual = 1000000\n";
        let brakes = if policy.contains("[brakes]") { "" } else { brakes };
        let policy = policy.replace("{store}", "store = \"main\"\ncategory = \"some\"");
        std::fs::write(self.policy(), format!("{head}{brakes}{policy}")).unwrap();
    }

    fn policy(&self) -> PathBuf {
        self.folder.path().join("jobs.toml")
    }

    /// A place in the program's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts a credential where the program looks for it.
    pub fn credential(&self, name: &str, secret: &str) {
        std::fs::write(self.folder.path().join(name), secret).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_retentiond"));
        command.env("CREDENTIALS_DIRECTORY", self.folder.path()).env_remove("RETENTIOND_CONFIG");
        command.args(arguments).args(["--format", "json", "--config"]).arg(self.policy());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs the program to its end.
    pub fn program(&self, arguments: &[&str]) -> Answer {
        answer(self.command(arguments).spawn().unwrap())
    }

    /// Starts the program.
    pub fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).spawn().unwrap()
    }

    /// Runs a statement on the program's own memory.
    pub fn state(&self, sql: &str) {
        let file = self.folder.path().join("state.db");
        let done = Command::new("sqlite3").args(["-batch", "-bail"]).arg(file).arg(sql).status().unwrap();
        assert!(done.success(), "{sql}");
    }

    /// Plans the job, and makes sure that nothing changed by it.
    pub fn plan(&self, job: &str, options: &[&str]) -> Answer {
        let before = self.dump("1=1");
        let plan = self.program(&[&["plan", job], options].concat());
        assert_eq!(self.dump("1=1"), before, "{:?}: a plan changed something", self.database.db);
        plan
    }

    /// All rows of all tables that satisfy a condition.
    pub fn dump(&self, condition: &str) -> Vec<Vec<String>> {
        self.tables.iter().map(|table| self.database.dump(table, condition)).collect()
    }

    /// Rows of all tables with this fate.
    pub fn fated(&self, fate: &str) -> u64 {
        self.tables.iter().map(|table| self.database.count(table, &format!("fate = '{fate}'"))).sum()
    }

    /// Rows in the ledger.
    pub fn ledger(&self) -> u64 {
        self.database.sql("SELECT coalesce(sum(row_count), 0) FROM retentiond_ledger;")[0].parse().unwrap()
    }

    /// Plans and runs the job: exactly the rows whose fate it is go, all others stay to the byte, and a second run finds
    /// nothing. Gives the plan.
    pub fn purge(&self, job: &str) -> Answer {
        let db = self.database.db;
        let (goes, changes) = (self.fated("goes"), self.fated("changes"));
        assert!(goes + changes > 0, "{db:?}: the case has no row that goes");
        let stays = self.dump("fate = 'stays'");
        let told = self.ledger();
        let plan = self.plan(job, &[]);
        assert_eq!(plan.exit, 0, "{db:?} {plan:#?}");
        assert_eq!(plan.rows(), goes + changes, "{db:?} {plan:#?}");
        let run = self.program(&["run", job]);
        assert_eq!(run.exit, 0, "{db:?} {run:#?}");
        assert_eq!(run.job()["outcome"], "complete", "{db:?} {run:#?}");
        assert_eq!(run.rows(), plan.rows(), "{db:?} {run:#?}");
        assert_eq!(self.dump("fate = 'stays'"), stays, "{db:?}: rows changed that had to stay");
        assert_eq!(self.fated("goes"), 0, "{db:?}: rows stayed that had to go");
        assert_eq!(self.fated("changes"), changes, "{db:?}: rows went that had to change");
        assert_eq!(self.ledger() - told, plan.rows(), "{db:?}: the ledger tells another number");
        let once = self.dump("1=1");
        let again = self.program(&["run", job]);
        // Where a hold keeps rows, all that is due now is held.
        let held = plan.job()["steps"].as_array().unwrap().iter().any(|step| step["held"] != 0);
        let (exit, outcome) = if held { (4, "held") } else { (0, "complete") };
        assert_eq!((again.exit, again.rows()), (exit, 0), "{db:?} {again:#?}");
        assert_eq!(again.job()["outcome"], outcome, "{db:?} {again:#?}");
        assert_eq!(self.dump("1=1"), once, "{db:?}: the second run changed something");
        plan
    }

    /// A run that must stop with an error that says these words, and change nothing.
    pub fn refuses(&self, job: &str, words: &[&str]) -> Answer {
        let before = self.dump("1=1");
        let run = self.program(&["run", job]);
        let db = self.database.db;
        assert_eq!(run.exit, 1, "{db:?} {run:#?}");
        for word in words {
            assert!(run.error().contains(word), "{db:?}: no word of {word} in {run:#?}");
        }
        assert_eq!(self.dump("1=1"), before, "{db:?}: a refused run changed something");
        assert_eq!(self.ledger(), 0, "{db:?}");
        run
    }
}

/// The Unix user that runs the tests.
pub fn whoami() -> String {
    let output = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The present, which the program's own clock tells too.
#[expect(clippy::disallowed_methods, reason = "a run takes the present instant only")]
pub fn now() -> chrono::DateTime<chrono::Utc> {
    chrono::Utc::now()
}

/// Waits for the program's end.
pub fn answer(child: Child) -> Answer {
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    Answer {
        exit: output.status.code().unwrap_or(-1),
        json: serde_json::from_str(&text).unwrap_or_default(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
