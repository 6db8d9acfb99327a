//! One map and one set of jobs for several tenants, each with stores of its own: by hand, and shared by three daemons.
#![expect(clippy::unwrap_used, reason = "the helpers of a test stop it by panicking")]

#[path = "support/daemon.rs"]
mod daemon;
#[path = "tenants/served.rs"]
mod served;
mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use daemon::Daemon;
use serde_json::{Value, json};
use support::{Project, mariadb, postgres, run_sql};

const MAP: &str = "
[people.user]
data = \"users\"
identifiers = { login = \"login\" }
[data.users]
store = \"main\"
table = \"users\"
category = \"user_master_data\"
user = \"id\"
[data.log]
store = \"main\"
table = \"log\"
category = \"reporting_data\"
user = \"user_id\"
";

/// A policy for tenants whose databases are there.
struct Tenants {
    project: Project,
    urls: BTreeMap<String, String>,
}

impl Tenants {
    fn new(state: &str, urls: &[(String, String)], jobs: &str) -> Self {
        let project = Project::new("");
        let mut urls: BTreeMap<String, String> = urls.iter().cloned().collect();
        let mut file = format!(
            "[state]\nurl = \"{state}\"\nlease = \"3 s\"\n[approvals]\nwidened = false\n[brakes]\nmax_percent = 100.0\n[limits]\njobs = 2\n[stores.main]\n"
        );
        for (name, url) in &mut urls {
            *url = url.replace("{dir}", &project.dir().display().to_string());
            if let Some(path) = url.strip_prefix("sqlite:") {
                std::fs::write(path, "").unwrap();
            }
            let time = if url.starts_with("mysql") { "DATETIME" } else { "TIMESTAMP" };
            run_sql(
                url,
                &format!(
                    "CREATE TABLE users (id BIGINT NOT NULL PRIMARY KEY, login VARCHAR(40));
                     CREATE TABLE log (id BIGINT NOT NULL PRIMARY KEY, user_id BIGINT, written_at {time} NULL);
                     CREATE INDEX log_written_at ON log (written_at);
                     INSERT INTO users VALUES (7, 'anna');
                     INSERT INTO log VALUES (1, 7, '2030-01-01 10:00:00'), (2, 7, '2020-01-01 10:00:00');"
                ),
            );
            write!(file, "[tenants.{name}.stores.main]\nurl = \"{url}\"\n").unwrap();
        }
        // On SQLite the column is text; the others do not mind.
        let sqlite = urls.values().all(|url| url.starts_with("sqlite"));
        let format = if sqlite { "format = \"%Y-%m-%d %H:%M:%S\", " } else { "" };
        write!(file, "{MAP}time = {{ column = \"written_at\", {format}zone = \"UTC\" }}\n[jobs.log]\nkind = \"retention_purge\"\ndata = [\"log\"]\nkeep = \"2 years\"\n{jobs}\n").unwrap();
        project.write_jobs(&file);
        Self { project, urls }
    }

    fn two() -> Self {
        let of = |name: &str| (name.to_owned(), format!("sqlite:{{dir}}/{name}.db"));
        let tenants = Self::new("sqlite:{dir}/state.db", &[of("acme"), of("beta")], "");
        tenants.project.run(&["init", "main"]).expect_code(0);
        tenants
    }

    fn sql(&self, tenant: &str, sql: &str) -> String {
        run_sql(&self.urls[tenant], sql).trim().to_owned()
    }

    fn left(&self, tenant: &str) -> String {
        self.sql(tenant, "SELECT count(*) FROM log;")
    }

    fn json(&self, args: &[&str], code: i32) -> Value {
        self.project.run(&[&["--format", "json"], args].concat()).expect_code(code).json()
    }
}

fn names(answer: &Value, of: &str, key: &str) -> Vec<String> {
    answer[of].as_array().unwrap().iter().map(|one| one[key].as_str().unwrap().to_owned()).collect()
}

#[test]
fn commands_are_about_all_tenants_or_the_one_that_is_named() {
    let tenants = Tenants::two();
    let project = &tenants.project;
    let checked = tenants.json(&["check"], 0);
    assert_eq!(names(&checked, "stores", "tenant"), ["acme", "beta"]);
    assert_eq!(names(&tenants.json(&["jobs"], 0), "jobs", "job"), ["log@acme", "log@beta"]);
    assert_eq!(names(&tenants.json(&["plan"], 0), "jobs", "job"), ["log@acme", "log@beta"]);
    assert_eq!(names(&tenants.json(&["plan", "log@beta"], 0), "jobs", "job"), ["log@beta"]);
    assert_eq!(names(&tenants.json(&["--tenant", "acme", "plan", "log"], 0), "jobs", "job"), ["log@acme"]);
    let wrong = project.run(&["plan", "--tenant", "amce"]).expect_code(2);
    assert!(wrong.stderr.contains("did you mean `acme`?"), "{}", wrong.stderr);
    project.run(&["plan", "log@gamma"]).expect_code(2);
    project.run(&["plan", "gol"]).expect_code(2);
    tenants.json(&["run", "log", "--tenant", "acme"], 0);
    assert_eq!((tenants.left("acme"), tenants.left("beta")), ("1".to_owned(), "2".to_owned()), "acme's alone");
    let status = tenants.json(&["status"], 4);
    let within: Vec<&Value> = status["jobs"].as_array().unwrap().iter().map(|job| &job["within_policy"]).collect();
    assert_eq!(within, [true, false], "{status}");
    project.run(&["pause", "log@beta"]).expect_code(0);
    project.run(&["run", "--all"]).expect_code(4);
    project.run(&["resume", "log"]).expect_code(0);
    project.run(&["run", "--all"]).expect_code(0);
    assert_eq!(tenants.left("beta"), "1");
    assert_eq!(names(&tenants.json(&["history", "--tenant", "acme"], 0), "runs", "job"), ["log@acme"; 3]);
    assert_eq!(names(&tenants.json(&["history", "log", "--tenant", "beta"], 0), "runs", "job"), ["log@beta"]);
}

#[test]
fn one_tenants_trouble_is_not_the_others() {
    let tenants = Tenants::two();
    #[expect(clippy::disallowed_methods, reason = "the database that goes away is the case")]
    std::fs::remove_file(tenants.project.path("acme.db")).unwrap();
    let ran = tenants.project.run(&["run", "--all"]).expect_code(5);
    assert!(ran.stderr.contains("tenant acme:\n"), "{}", ran.stderr);
    assert_eq!(tenants.left("beta"), "1");
    let status = tenants.json(&["status"], 5);
    assert!(status["stores_away"]["main@acme"].is_string(), "{status}");
}

#[test]
fn a_person_is_one_tenants_alone() {
    let tenants = Tenants::two();
    let project = &tenants.project;
    let erase = |args: &[&str]| project.run(&[&["erase", "--user", "7"], args].concat());
    let which = erase(&["--dry-run"]).expect_code(2);
    assert!(which.stderr.contains("--tenant (acme, beta)"), "{}", which.stderr);
    project.run(&["hold", "add", "case-1", "--user", "7", "--why", "x"]).expect_code(2);
    // The same key is another person at another tenant's: neither held there nor erased.
    project.run(&["hold", "add", "case-1", "--user", "7", "--why", "x", "--tenant", "beta"]).expect_code(0);
    let holds = |tenant: &str| tenants.json(&["hold", "list", "--tenant", tenant], 0).to_string();
    assert!(
        holds("beta").contains("case-1") && !holds("acme").contains("case-1"),
        "{} {}",
        holds("acme"),
        holds("beta")
    );
    project.run(&["run", "log@beta"]).expect_code(4);
    let plan = tenants.json(&["--tenant", "acme", "erase", "--user", "7", "--dry-run"], 0);
    let meant = plan["jobs"][0]["plan"].as_str().unwrap().to_owned();
    erase(&["--tenant", "acme", "--yes-i-mean", &meant]).expect_code(0);
    assert_eq!((tenants.left("acme"), tenants.left("beta")), ("0".to_owned(), "2".to_owned()));
    // A replay at another tenant's must not find a person by this tenant's hashes.
    let replayed = project.run(&["replay", "main", "--tenant", "beta"]);
    assert!(tenants.left("beta") == "2", "{replayed:?}");
    tenants.sql("acme", "INSERT INTO log VALUES (3, 7, '2030-01-01 10:00:00'); INSERT INTO users VALUES (7, 'anna');");
    project.run(&["replay", "main", "--tenant", "acme"]).expect_code(0);
    assert_eq!(
        (tenants.left("acme"), tenants.left("beta")),
        ("0".to_owned(), "2".to_owned()),
        "acme's is back, and gone"
    );
}

/// What a rollup archives, what `after_rollup` waits for, and what is captured: each tenant has its own.
#[test]
fn archives_waiting_and_captures_are_each_tenants_own() {
    let of = |name: &str| (name.to_owned(), format!("sqlite:{{dir}}/{name}.db"));
    let jobs = "keep = \"2 years\"\n[stores.archive]\n[data.log_daily]\nstore = \"main\"\ntable = \"log_daily\"\n\
        category = \"reporting_data\"\n[data.marks]\nstore = \"main\"\ntable = \"marks\"\ncategory = \"reporting_data\"\n\
        time = { column = \"made_at\", format = \"%Y-%m-%d %H:%M:%S\", zone = \"UTC\" }\n[jobs.roll]\n\
        kind = \"audit_rollup\"\ndata = \"log\"\nkeep = \"2 years\"\nbucket = \"month\"\ninto = \"log_daily\"\n\
        archive = { store = \"archive\", format = \"csv.gz\", keep = \"10 years\" }\n[jobs.marks]\n\
        kind = \"retention_purge\"\ndata = [\"marks\"]\nkeep = \"2 years\"\nafter_rollup = \"roll\"\n";
    let tenants = Tenants::new("sqlite:{dir}/state.db", &[of("acme"), of("beta")], "");
    let project = &tenants.project;
    let mut file = std::fs::read_to_string(project.path("jobs.toml")).unwrap();
    file = file.replace(
        "[jobs.log]\nkind = \"retention_purge\"\ndata = [\"log\"]\nkeep = \"2 years\"",
        &jobs["keep = \"2 years\"\n".len()..],
    );
    file = file.replace("[data.log]\n", "[data.log]\nbelongs_to = { data = \"marks\", by = \"mark\" }\n");
    for name in ["acme", "beta"] {
        tenants.sql(
            name,
            "CREATE TABLE marks (id INTEGER NOT NULL PRIMARY KEY, made_at TIMESTAMP);
             INSERT INTO marks VALUES (1, '2020-01-01 10:00:00'); ALTER TABLE log ADD COLUMN mark INTEGER; CREATE INDEX log_mark ON log (mark);
             UPDATE log SET mark = 1 WHERE id = 2;",
        );
        std::fs::create_dir(project.path(&format!("{name}-archive"))).unwrap();
        write!(
            file,
            "[tenants.{name}.stores.archive]\nurl = \"file:{}\"\n",
            project.path(&format!("{name}-archive")).display()
        )
        .unwrap();
    }
    project.write_jobs(&file);
    for store in ["main", "archive"] {
        project.run(&["init", store]).expect_code(0);
    }
    let marks = |name: &str| tenants.sql(name, "SELECT count(*) FROM marks;");
    project.run(&["run", "marks@acme"]);
    assert_eq!(marks("acme"), "1", "what lies below it is not folded yet");
    project.run(&["run", "roll@acme", "marks@acme"]).expect_code(0);
    assert_eq!((tenants.left("acme"), tenants.left("beta")), ("1".to_owned(), "2".to_owned()));
    assert_eq!((marks("acme"), marks("beta")), ("0".to_owned(), "1".to_owned()));
    assert_eq!(names(&tenants.json(&["archive", "list"], 0), "archives", "job"), ["roll@acme"]);
    assert!(names(&tenants.json(&["archive", "list", "roll", "--tenant", "beta"], 0), "archives", "job").is_empty());
    tenants.sql("acme", "CREATE TABLE again AS SELECT * FROM log WHERE 0;");
    project.run(&["archive", "restore", "roll", "--into", "again"]).expect_code(2);
    project.run(&["archive", "restore", "roll@acme", "--into", "again"]).expect_code(0);
    assert_eq!(tenants.sql("acme", "SELECT count(*) FROM again;"), "1");
    project.run(&["audit", "capture", "main", "--apply"]).expect_code(2);
    project.run(&["audit", "capture", "main", "--apply", "--tenant", "beta"]).expect_code(0);
    for name in ["acme", "beta"] {
        let triggers = tenants.sql(name, "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger';");
        assert_eq!(triggers == "0", name == "acme", "{name}");
    }
}

/// A copy of the file with this in place of that.
fn edit(project: &Project, from: &str, to: &str) {
    let policy = std::fs::read_to_string(project.path("jobs.toml")).unwrap();
    assert!(policy.contains(from), "{from}\n{policy}");
    project.write("jobs.toml", policy.replace(from, to));
}

/// Two addresses that lead to one database would let each tenant's jobs remove what the other's holds keep.
#[test]
fn no_database_is_two_tenants() {
    for server in [postgres(), mariadb()] {
        let url = server.fresh_database();
        let tenants = Tenants::new("sqlite:{dir}/state.db", &[("acme".to_owned(), url.clone())], "");
        tenants.project.run(&["init", "main"]).expect_code(0);
        let other = url.replace("127.0.0.1", "localhost");
        assert_ne!(url, other);
        let both =
            format!("[tenants.acme.stores.main]\nurl = \"{url}\"\n[tenants.beta.stores.main]\nurl = \"{other}\"\n");
        edit(&tenants.project, &format!("[tenants.acme.stores.main]\nurl = \"{url}\"\n"), &both);
        for args in [&["check"][..], &["plan"], &["run", "--all"], &["serve", "--socket", "control.sock"]] {
            let refused = tenants.project.run(args).expect_code(3);
            assert!(refused.stderr.contains("store `main` of tenant `acme` too"), "{args:?}: {}", refused.stderr);
        }
    }
    let tenants = Tenants::two();
    edit(&tenants.project, "/beta.db", "/./acme.db");
    let refused = tenants.project.run(&["check"]).expect_code(3);
    assert!(refused.stderr.contains("store `main` of tenant `acme` already"), "{}", refused.stderr);
}

#[test]
fn what_is_about_no_tenant_takes_none() {
    let tenants = Tenants::two();
    for args in [&["serve"][..], &["reload"], &["accept-clock"], &["check", "--unit"], &["schema"], &["audit", "show"]]
    {
        let refused = tenants.project.run(&[args, &["--tenant", "acme"]].concat()).expect_code(2);
        assert!(refused.stderr.contains("is about no single tenant"), "{args:?}: {}", refused.stderr);
    }
}

/// What is wrong with one is told as that one's, and hides nothing of the others.
#[test]
fn a_wrong_map_of_one_tenant_is_its_own() {
    let tenants = Tenants::two();
    let project = &tenants.project;
    let daemon = Daemon::of(project, "control.sock", &[]);
    tenants.sql("acme", "DROP TABLE log;");
    let status = tenants.json(&["status"], 3);
    assert_eq!(names(&status, "jobs", "job"), ["log@beta"], "{status}");
    assert_eq!((&status["within_policy"], status["jobs"][0]["overdue_rows"].as_u64()), (&false.into(), Some(1)));
    assert!(status["tenants_wrong"]["acme"].to_string().contains("log"), "{status}");
    let shown = project.run(&["status"]).expect_code(3).stdout;
    assert!(shown.contains("WRONG: of tenant acme") && shown.contains("log@beta"), "{shown}");
    let checked = project.run(&["--format", "json", "check"]).expect_code(3);
    let errors = checked.json()["errors"].clone();
    assert_eq!(names(&json!({ "errors": errors }), "errors", "tenant"), ["acme"], "{errors}");
    assert_eq!(checked.stderr.matches("tenant acme").count(), 1, "{}", checked.stderr);
    // All mistakes of all tenants at once.
    tenants.sql("beta", "DROP TABLE log;");
    let refused = daemon.reload().expect_code(3).stderr;
    assert!(refused.contains("tenant acme:") && refused.contains("tenant beta:"), "{refused}");
    assert_eq!(daemon.stop(), Some(0));
}

/// The trail is all tenants': each one's store of that name gets its checkpoints.
#[test]
fn checkpoints_go_to_each_tenants_store() {
    let tenants = Tenants::two();
    let project = &tenants.project;
    let policy = std::fs::read_to_string(project.path("jobs.toml")).unwrap();
    let mut more = String::from("\n[trail]\nstore = \"seals\"\n[stores.seals]\n");
    for tenant in ["acme", "beta"] {
        std::fs::create_dir(project.path(tenant)).unwrap();
        write!(more, "[tenants.{tenant}.stores.seals]\nurl = \"file:{}\"\n", project.path(tenant).display()).unwrap();
    }
    project.write("jobs.toml", policy + &more);
    project.run(&["init", "seals", "--print-sql"]).expect_code(2);
    assert!(project.path("acme").read_dir().unwrap().next().is_none(), "to print is to print");
    project.run(&["init", "seals"]).expect_code(0);
    let printed = project.run(&["init", "main", "--print-sql"]).expect_code(0).stdout;
    assert!(!printed.contains("CREATE TABLE") && printed.contains("there already"), "{printed}");
    project.run(&["check"]).expect_code(0);
    project.run(&["run", "--all"]).expect_code(0);
    for tenant in ["acme", "beta"] {
        let kept = project.path(tenant).join("retentiond-checkpoints");
        assert!(kept.read_dir().unwrap().next().is_some(), "{tenant}");
    }
    project.run(&["audit", "verify"]).expect_code(0);
    std::fs::write(project.path("new.db"), "").unwrap();
    edit(project, "/beta.db", "/new.db");
    let printed = project.run(&["init", "main", "--print-sql", "--tenant", "beta"]).expect_code(0).stdout;
    assert!(printed.contains("CREATE TABLE"), "{printed}");
}
