//! Nobody's data leaves through the side: a marked value stands in every column that holds personal data, and is looked
//! for in everything that the program says and keeps, at the most talkative level, where it succeeds and where it fails.
//!
//! That the look-out sees at all is shown by the one key that lets values into logs, `personal_data_until`.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper of a test stops it by panicking")]

#[path = "support/center.rs"]
mod center;
#[path = "canary/commands.rs"]
mod commands;
mod support;

use support::{Output, Project, run_sql};

/// What no output may contain. Every personal value begins with it.
const CANARY: &str = "kanarienvogel";

#[derive(Clone, Copy, Debug, PartialEq)]
enum Db {
    Sqlite,
    Postgres,
    Mariadb,
}

const ALL: [Db; 3] = [Db::Sqlite, Db::Postgres, Db::Mariadb];

struct Shop {
    project: Project,
    url: String,
}

/// How the run of `contacts` fails.
#[derive(Clone, Copy, Debug)]
enum Fault {
    None,
    /// Anonymising makes two rows the same.
    Unique,
    /// Anonymising makes what the table forbids.
    Check,
    /// The database's own code objects, in words with a value in them.
    Trigger,
    /// The path of a file leaves the store.
    Path,
}

impl Shop {
    fn new(db: Db, fault: Fault, extra: &str) -> Self {
        let project = Project::new("");
        let url = match db {
            Db::Sqlite => format!("sqlite:{}", project.path("shop.db").display()),
            Db::Postgres => support::postgres().fresh_database(),
            Db::Mariadb => support::mariadb().fresh_database(),
        };
        run_sql(&url, &schema(db, fault));
        std::fs::create_dir_all(project.path("voice")).unwrap();
        for id in 1..=4 {
            project.write(&format!("voice/{CANARY}-{id}.wav"), "sound");
        }
        project.write_jobs(&policy(&url, extra));
        for store in ["shop", "voice"] {
            project.run(&["init", store]).expect_code(0);
        }
        Self { project, url }
    }

    /// Runs a command as talkative as it gets, in both forms of messages.
    fn say(&self, args: &[&str]) -> Output {
        let form = if args.len().is_multiple_of(2) { "json" } else { "text" };
        let args: Vec<&str> = args.iter().chain(&["--log", "trace", "--log-format", form]).copied().collect();
        self.project.run(&args)
    }
}

impl Shop {
    /// Every byte of retentiond's own memory, what was removed from it included.
    fn state(&self) -> String {
        let files = ["state.db", "state.db-wal"].map(|name| std::fs::read(self.project.path(name)).unwrap_or_default());
        files.iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
    }
}

fn schema(db: Db, fault: Fault) -> String {
    let time = if db == Db::Postgres { "timestamp" } else { "datetime" };
    let rule = match fault {
        Fault::Unique => ", UNIQUE (kind, email)",
        Fault::Check => ", CHECK (email <> 'gone')",
        _ => "",
    };
    let text = "varchar(80)";
    let mut sql = format!(
        "CREATE TABLE contacts (id integer PRIMARY KEY, ended_at {time}, phone {text}, email {text}, subject {text}, kind integer{rule});
         CREATE TABLE notes (id integer PRIMARY KEY, contact_id integer REFERENCES contacts (id), body {text});
         CREATE TABLE recordings (id integer PRIMARY KEY, recorded_at {time}, file_path {text});
         CREATE TABLE customers ({text_key} PRIMARY KEY, seen_at {time});
         CREATE INDEX notes_contact ON notes (contact_id); CREATE INDEX contacts_time ON contacts (ended_at);
         CREATE INDEX recordings_time ON recordings (recorded_at); CREATE INDEX customers_time ON customers (seen_at);",
        text_key = format_args!("email {text}")
    );
    for id in 1..=4 {
        let year = if id < 4 { 2001 } else { 2030 };
        let at = format!("'{year}-01-0{id} 10:00:00'");
        let path =
            if matches!(fault, Fault::Path) { format!("../{CANARY}/{id}") } else { format!("{CANARY}-{id}.wav") };
        sql += &format!(
            "INSERT INTO contacts VALUES ({id}, {at}, '{CANARY}+358{id}', '{CANARY}{id}@example.org', '{CANARY} {id}', 1);
             INSERT INTO notes VALUES ({id}, {id}, '{CANARY} note {id}');
             INSERT INTO recordings VALUES ({id}, {at}, '{path}');
             INSERT INTO customers VALUES ('{CANARY}{id}@example.org', {at});"
        );
    }
    if matches!(fault, Fault::Trigger) {
        sql += match db {
            Db::Sqlite => {
                "CREATE TRIGGER keep BEFORE DELETE ON customers BEGIN SELECT RAISE(ABORT, 'kanarienvogel stays'); END;"
            }
            Db::Postgres => {
                "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN RAISE EXCEPTION 'cannot remove %', OLD.email USING DETAIL = OLD.email; END $$;
                 CREATE TRIGGER keep BEFORE DELETE ON customers FOR EACH ROW EXECUTE FUNCTION keep();"
            }
            Db::Mariadb => {
                "CREATE TRIGGER keep BEFORE DELETE ON customers FOR EACH ROW
                 SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'kanarienvogel stays';"
            }
        };
    }
    sql
}

fn policy(url: &str, extra: &str) -> String {
    // SQLite keeps times as text, so the form is said; the others would refuse that.
    let time = |column: &str| {
        if url.starts_with("sqlite") {
            format!("{{ column = \"{column}\", format = \"%Y-%m-%d %H:%M:%S\", zone = \"UTC\" }}")
        } else {
            format!("{{ column = \"{column}\", zone = \"UTC\" }}")
        }
    };
    format!(
        r#"
{extra}
[approvals]
widened = false
[state]
url = "sqlite:{{dir}}/state.db"
[stores.shop]
url = "{url}"
[stores.voice]
url = "file:{{dir}}/voice"
[people.customer]
identifiers = ["phone", "email"]
[data.contacts]
store = "shop"
table = "contacts"
category = "contact_data_records"
time = {ended}
customer = {{ phone = "phone", email = "email" }}
on_expiry = "anonymise"
anonymise = {{ phone = "null", email = "text:gone", subject = "keep_last:1" }}
[data.notes]
store = "shop"
table = "notes"
category = "contact_data_records"
belongs_to = {{ data = "contacts", by = "contact_id" }}
[data.recordings]
store = "shop"
table = "recordings"
category = "recordings"
time = {recorded}
file = {{ store = "voice", path = "file_path" }}
[data.customers]
store = "shop"
table = "customers"
category = "directory_information"
time = {seen}
[jobs.contacts]
kind = "retention_purge"
schedule = "* * * * * *"
data = ["contacts"]
keep = "2 years"
[jobs.others]
kind = "retention_purge"
schedule = "* * * * * *"
data = ["recordings", "customers"]
keep = "2 years"
"#,
        ended = time("ended_at"),
        recorded = time("recorded_at"),
        seen = time("seen_at")
    )
}

#[track_caller]
fn silent(what: &str, output: &Output) {
    for (stream, text) in [("standard output", &output.stdout), ("standard error", &output.stderr)] {
        let line = text.lines().find(|line| line.to_lowercase().contains(CANARY));
        assert!(line.is_none(), "{what}: {stream} holds somebody's data: {}", line.unwrap());
    }
}

#[test]
fn nothing_that_is_said_or_kept_holds_a_value() {
    for db in ALL {
        for fault in [Fault::None, Fault::Unique, Fault::Check, Fault::Trigger, Fault::Path] {
            let shop = Shop::new(db, fault, "");
            let what = format!("{db:?} {fault:?}");
            let looks = [&["plan", "-v"][..], &["check"], &["plan"], &["plan", "--format", "json"]];
            // Looking does not meet the faults.
            for args in &looks[..if matches!(fault, Fault::None) { looks.len() } else { 1 }] {
                silent(&what, &shop.say(args).expect_code(0));
            }
            let runs = [shop.say(&["run", "contacts"]), shop.say(&["run", "others", "--format", "json"])];
            runs.iter().for_each(|run| silent(&what, run));
            let codes = match fault {
                Fault::None => [0, 0],
                Fault::Unique | Fault::Check => [1, 0],
                Fault::Trigger | Fault::Path => [0, 1],
            };
            assert_eq!([runs[0].code, runs[1].code], codes.map(Some), "{what}: {runs:#?}");
            silent(&what, &shop.say(&["history", "--format", "json"]).expect_code(0));
            let kept = shop.state() + &run_sql(&shop.url, "SELECT * FROM retentiond_ledger");
            assert!(!kept.contains(CANARY), "{what}: retentiond keeps somebody's data: {kept}");
            assert!(kept.contains("contacts"), "{what}: nothing was kept at all: {kept}");
        }
    }
}

#[test]
fn the_daemon_holds_its_tongue_as_well() {
    for (db, fault) in [(Db::Postgres, Fault::Trigger), (Db::Mariadb, Fault::Check), (Db::Sqlite, Fault::Path)] {
        let shop = Shop::new(db, fault, "");
        let args = ["serve", "--socket", "control.sock", "--log", "trace", "--log-format", "json"];
        let served = shop.project.signal_after(&args, 6_000, rustix::process::Signal::TERM).expect_code(0);
        silent(&format!("{db:?} {fault:?}"), &served);
        let lines: Vec<serde_json::Value> =
            served.stderr.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect();
        let of = |job: &str, outcome: &str| {
            lines.iter().any(|line| line["job.name"] == job && line["run.outcome"] == outcome)
        };
        let (failing, fine) =
            if matches!(fault, Fault::Check) { ("contacts", "others") } else { ("others", "contacts") };
        assert!(of(failing, "failed") && of(fine, "complete"), "{db:?} {fault:?}: {}", served.stderr);
        assert!(!shop.state().contains(CANARY), "{db:?} {fault:?}: retentiond keeps somebody's data");
    }
}

#[test]
fn messages_may_hold_values_only_where_the_file_says_so() {
    let today = run_sql(&Shop::new(Db::Sqlite, Fault::None, "").url, "SELECT date('now'), date('now', '-2 days')");
    let (today, over) = today.trim().split_once('\t').unwrap();
    for db in ALL {
        for (until, shown) in [(today, true), (over, false)] {
            let extra = format!("[diagnostics]\npersonal_data_until = \"{until}\"");
            let shop = Shop::new(db, Fault::Trigger, &extra);
            let run = shop.project.run(&["run", "others", "--log", "debug"]).expect_code(1);
            assert_eq!(run.stderr.contains(CANARY), shown, "{db:?} {until}: {run:#?}");
            // Whoever reads the log is told.
            assert_eq!(
                run.stderr.contains("debug and trace messages may hold personal data"),
                shown,
                "{db:?} {run:#?}"
            );
            // What is printed for people and programs, and what is kept, never does.
            assert!(!run.stdout.contains(CANARY), "{db:?}: {run:#?}");
            silent("history", &shop.project.run(&["history", "--format", "json"]));
        }
    }
}
