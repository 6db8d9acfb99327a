//! Approvals: the one way in which an approved plan passes, and all the ways in which it must not; and which changes of a
//! policy count as wider.
#![expect(clippy::unwrap_used, reason = "what goes wrong fails the test")]

mod support;

use std::sync::Arc;

use retentiond::clock::Clock;
use retentiond::control::runner::{Cause, Occasion, Options, run_job};
use retentiond::control::{Site, approving, load};
use retentiond::jobs::session::RunProgress;
use retentiond::plan::Plan;
use retentiond::removal::{Progress, Removed};
use retentiond::stop::Stop;
use retentiond::store::state::{self, Claim, Claimed, NewSlot, SlotFate, Trigger};
use serde_json::Value;
use support::{Project, mariadb, postgres, run_sql};

/// 2 000 rows of 2020 and 100 of 2030; a child for every tenth.
const TABLES: &str = "CREATE TABLE logs (id INTEGER PRIMARY KEY, at TEXT NOT NULL, kind INTEGER, queue TEXT);
CREATE TABLE notes (id INTEGER PRIMARY KEY, log INTEGER NOT NULL, at TEXT, body TEXT);
CREATE INDEX notes_log ON notes (log);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2100)
INSERT INTO logs SELECT i, CASE WHEN i <= 2000 THEN '2020-01-01 00:00:00' ELSE '2030-01-01 00:00:00' END, i % 3, 'q' FROM n;
INSERT INTO notes SELECT id, id, '2020-01-01 00:00:00', 'text' FROM logs WHERE id % 10 = 0;";

const LOGS: &str = "[data.logs]\nstore = \"main\"\ntable = \"logs\"\ncategory = \"reporting_data\"\ntime = { column = \"at\", format = \"%Y-%m-%d %H:%M:%S\", zone = \"UTC\" }\n";
const NOTES: &str = "[data.notes]\nstore = \"main\"\ntable = \"notes\"\ncategory = \"reporting_data\"\nbelongs_to = { data = \"logs\", by = \"log\" }\n";
const JOB: &str =
    "[jobs.it]\nkind = \"retention_purge\"\nschedule = \"@daily\"\ndata = [\"logs\"]\nkeep = \"13 months\"\n";

struct World {
    project: Project,
    state: String,
}

fn head(state: &str) -> String {
    format!("[state]\nurl = \"{state}\"\n[stores.main]\nurl = \"sqlite:{{dir}}/main.db\"\n")
}

impl World {
    fn new() -> Self {
        Self::with_state("sqlite:{dir}/state.db".to_owned())
    }

    fn with_state(state: String) -> Self {
        let project = Project::new("");
        project.write("main.db", "");
        let world = Self { project, state };
        world.policy(&[LOGS, NOTES, JOB].concat());
        world.sql(TABLES);
        world.project.run(&["init", "main"]).expect_code(0);
        world
    }

    fn policy(&self, rest: &str) {
        self.project.write_jobs(&format!("{}{rest}", head(&self.state)));
    }

    fn sql(&self, sql: &str) -> String {
        run_sql(&format!("sqlite:{}", self.project.path("main.db").display()), sql)
    }

    fn state_sql(&self, sql: &str) -> String {
        run_sql(&self.state.replace("{dir}", &self.project.dir().display().to_string()), sql)
    }

    fn logs(&self) -> u64 {
        self.sql("SELECT count(*) FROM logs").trim().parse().unwrap()
    }

    #[track_caller]
    fn json(&self, args: &[&str], code: i32) -> Value {
        self.project.run(&[args, &["--format", "json"]].concat()).expect_code(code).json()
    }

    /// Plans the job, whose brake must stop it, and gives the plan's name.
    #[track_caller]
    fn braked(&self) -> String {
        let answer = self.json(&["plan", "it"], 4);
        answer["jobs"][0]["plan"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    fn approve(&self, plan: &str) {
        self.project.run(&["approve", "it", plan]).expect_code(0);
    }

    /// A run as the daemon does it: nobody started it by hand.
    fn scheduled(&self) -> (&'static str, Vec<String>) {
        let site = load(&self.project.path("jobs.toml"))
            .and_then(|file| Site::open_whole(&std::sync::Arc::new(file)))
            .map_err(|failure| failure.text().to_owned())
            .unwrap();
        let memory = site.open_state().map_err(|failure| failure.text().to_owned()).unwrap();
        let slot = support::now();
        let job = site.jobs.values().next().unwrap();
        let new = NewSlot { job: job.name().to_string(), slot, trigger: Trigger::Schedule, claim: Claim::Run };
        assert_eq!(state::claim(&mut memory.conn().unwrap(), &[new], slot).unwrap(), [Claimed::Open]);
        let options = Options {
            occasion: Occasion::Slot {
                slot,
                trigger: Trigger::Schedule,
                begun: Arc::new(|| {}),
                doubt: Arc::new(|_| None),
                afterwards: Arc::new(|_, _| SlotFate::Ended),
            },
            cause: Cause::default(),
            lease: site.loaded.document.state.lease(),
            released: Vec::new(),
            unpaced: true,
            outside_window: true,
            clock: Clock::system(),
            stop: Stop::new(),
        };
        let ran =
            run_job(&site, &memory, &**job, &options, &mut Quiet).map_err(|failure| failure.text().to_owned()).unwrap();
        let plan = ran.report.plan.as_ref().unwrap();
        (ran.outcome().as_str(), plan.brakes.iter().map(|brake| brake.brake.as_str().to_owned()).collect())
    }

    /// In what the policy counts as wider than the one that was followed last.
    fn widened(&self) -> Vec<String> {
        let site = load(&self.project.path("jobs.toml"))
            .and_then(|file| Site::open_whole(&std::sync::Arc::new(file)))
            .map_err(|failure| failure.text().to_owned())
            .unwrap();
        let memory = site.open_state().map_err(|failure| failure.text().to_owned()).unwrap();
        let job = site.jobs.values().next().unwrap();
        approving::widened(&mut memory.conn().unwrap(), &**job).unwrap()
    }
}

struct Quiet;

impl Progress for Quiet {
    fn batch(&mut self, _: &Removed) {}
}

impl RunProgress for Quiet {
    fn begin(&mut self, _: &Plan) {}
    fn note(&mut self, _: &str) {}
}

#[test]
fn an_approved_plan_passes_once_wherever_the_state_is() {
    for state in ["sqlite:{dir}/state.db".to_owned(), postgres().fresh_database(), mariadb().fresh_database()] {
        let world = World::with_state(state);
        let plan = world.braked();
        let run = world.project.run(&["run", "it"]).expect_code(4);
        let command = format!("retentiond approve it {plan}");
        assert!(run.stdout.contains(&command), "plan and run name it alike: {run:?}");
        let said = world.json(&["approve", "it", &plan], 0);
        assert_eq!((&said["plan"], said["rows"].as_u64()), (&Value::from(plan.as_str()), Some(2_200)), "{said}");
        let now = chrono::DateTime::parse_from_rfc3339(said["until"].as_str().unwrap()).unwrap();
        let hours = (now.timestamp() - support::now().timestamp()) as f64 / 3_600.0;
        assert!((71.9..=72.0).contains(&hours), "{hours} hours");
        let run = world.json(&["run", "it"], 0);
        assert_eq!(
            (&run["jobs"][0]["outcome"], run["jobs"][0]["rows"].as_u64()),
            (&"complete".into(), Some(2_200)),
            "{run}"
        );
        assert_eq!(world.logs(), 100);
        // The same rows come back, from a backup: the approval was for one run.
        let again = TABLES.split(';').skip(3).collect::<Vec<_>>().join(";");
        world.sql(&again.replace("INSERT INTO", "INSERT OR IGNORE INTO"));
        assert_eq!(world.braked(), plan, "the same plan has the same name");
        assert_eq!(world.json(&["run", "it"], 4)["jobs"][0]["outcome"], "braked");
        assert_eq!(world.logs(), 2_100);
        // Somebody may approve it again.
        world.approve(&plan);
        world.project.run(&["run", "it"]).expect_code(0);
        assert_eq!(world.logs(), 100);
    }
}

#[test]
fn an_approval_counts_from_the_plan_and_not_from_tonight() {
    let world = World::new();
    let plan = world.braked();
    world.approve(&plan);
    // Younger than the plan's cutoff by a minute when it was made; expired by now, had the clock gone on.
    let keep = chrono::TimeDelta::minutes(30);
    world.state_sql("UPDATE plans SET planned_at = datetime(planned_at, '-1 hour')");
    let border = support::now().checked_sub_months(chrono::Months::new(13)).unwrap() - keep;
    world.sql(&format!("INSERT INTO logs VALUES (9001, '{}', 0, 'q')", border.format("%Y-%m-%d %H:%M:%S")));
    let run = world.json(&["run", "it"], 0);
    assert_eq!(run["jobs"][0]["rows"].as_u64(), Some(2_200), "{run}");
    assert_eq!(world.sql("SELECT id FROM logs WHERE id > 9000"), "9001\n", "the row that expired since stays");
}

#[test]
fn an_approval_does_not_hold_for_anything_else() {
    let stays = |what: &str, world: &World, change: &dyn Fn(&World)| {
        let plan = world.braked();
        world.approve(&plan);
        change(world);
        let before = world.logs();
        let run = world.project.run(&["run", "it"]).expect_code(4);
        assert!(run.stdout.contains("BRAKE"), "{what}: {run:?}");
        assert_eq!(world.logs(), before, "{what}");
    };
    let world = World::new();
    stays("one row more", &world, &|world| {
        drop(world.sql("INSERT INTO logs VALUES (9001, '2020-02-01 00:00:00', 0, 'q')"))
    });
    let world = World::new();
    stays("one child more", &world, &|world| drop(world.sql("INSERT INTO notes VALUES (9001, 1, NULL, 'x')")));
    let world = World::new();
    stays("more in one step, fewer in another", &world, &|world| {
        world.sql("DELETE FROM logs WHERE id IN (1, 2, 3); INSERT INTO notes VALUES (9001, 4, NULL, 'x')");
    });
    let world = World::new();
    stays("a longer keep", &world, &|world| {
        world.policy(&[LOGS, NOTES, JOB].concat().replace("13 months", "14 months"))
    });
    let world = World::new();
    stays("another map", &world, &|world| {
        let anonymised = format!("{NOTES}on_expiry = \"anonymise\"\nanonymise = {{ body = \"null\" }}\n");
        world.policy(&[LOGS, &anonymised, JOB].concat());
    });
    let world = World::new();
    stays("a new column", &world, &|world| drop(world.sql("ALTER TABLE notes ADD COLUMN more TEXT")));
    let world = World::new();
    stays("a trigger", &world, &|world| {
        world.sql("CREATE TRIGGER t AFTER DELETE ON logs BEGIN SELECT 1; END");
    });
    let world = World::new();
    world.sql("CREATE TRIGGER t AFTER DELETE ON logs BEGIN SELECT 1; END");
    stays("a trigger that does something else", &world, &|world| {
        world.sql("DROP TRIGGER t; CREATE TRIGGER t AFTER DELETE ON logs BEGIN SELECT 2; END");
    });
    let world = World::new();
    stays("73 hours", &world, &|world| {
        drop(world.state_sql("UPDATE plans SET approved_until = datetime(approved_until, '-73 hours')"))
    });
}

#[test]
fn a_plan_with_fewer_rows_still_passes() {
    let world = World::new();
    world.approve(&world.braked());
    world.sql("DELETE FROM notes WHERE id = 10; DELETE FROM logs WHERE id = 1");
    assert_eq!(world.json(&["run", "it"], 0)["jobs"][0]["rows"].as_u64(), Some(2_198));
}

#[test]
fn the_age_floor_is_never_approved() {
    let world = World::new();
    let brakes = "[brakes]\nage_floor = \"100 years\"\n";
    world.policy(&[brakes, LOGS, NOTES, JOB].concat());
    world.approve(&world.braked());
    let run = world.project.run(&["run", "it"]).expect_code(4);
    assert!(run.stdout.contains("age_floor") && !run.stdout.contains("approve"), "{run:?}");
    assert_eq!((world.logs(), world.scheduled().0), (2_100, "braked"));
}

#[test]
fn an_approval_is_refused_for_a_plan_that_does_not_stand() {
    let world = World::new();
    let refused = |plan: &str, words: &str| {
        let answer = world.project.run(&["approve", "it", plan]).expect_code(4);
        assert!(answer.stderr.contains(words), "{answer:?}");
    };
    refused("0123456789ab", "no plan 0123456789ab of job it was stopped");
    let plan = world.braked();
    world.policy(&[LOGS, NOTES, JOB].concat().replace("13 months", "12 months"));
    refused(&plan, "the policy has changed");
    world.policy(&[LOGS, NOTES, JOB].concat());
    world.sql("ALTER TABLE logs ADD COLUMN more TEXT");
    refused(&plan, "has changed since");
    // Looking ahead makes no plan to approve.
    let ahead =
        world.json(&["plan", "it", "--now", "2027-06-01T00:00:00Z"], 4)["jobs"][0]["plan"].as_str().unwrap().to_owned();
    refused(&ahead, "was stopped by a brake");
    world.project.run(&["approve", "none", &plan]).expect_code(2);
}

#[test]
fn the_first_scheduled_run_of_a_job_waits_and_a_run_by_hand_does_not() {
    let world = World::new();
    world.policy(&["[brakes]\nmax_percent = 100\n", LOGS, NOTES, JOB].concat());
    assert_eq!(world.scheduled(), ("braked", vec!["widened".to_owned()]));
    assert_eq!(world.logs(), 2_100);
    let plan = world.project.run(&["plan", "it"]).expect_code(0);
    assert!(
        plan.stdout.contains("A scheduled run waits") && plan.stdout.contains("retentiond approve it "),
        "{plan:?}"
    );
    let name = world.json(&["plan", "it"], 0)["jobs"][0]["plan"].as_str().unwrap().to_owned();
    world.approve(&name);
    assert_eq!((world.scheduled(), world.logs()), (("complete", vec![]), 100));
    assert_eq!(world.scheduled(), ("complete", vec![]), "its policy is followed now");
    // Another job's first run, by hand.
    let world = World::new();
    world.policy(&["[brakes]\nmax_percent = 100\n", LOGS, NOTES, JOB].concat());
    world.project.run(&["run", "it"]).expect_code(0);
    assert_eq!((world.scheduled(), world.logs()), (("complete", vec![]), 100));
    world.policy(&["[brakes]\nmax_percent = 100\n", LOGS, NOTES, &JOB.replace("13 months", "12 months")].concat());
    assert_eq!(world.scheduled(), ("braked", vec!["widened".to_owned()]));
    world.policy(
        &[
            "[approvals]\nwidened = false\n[brakes]\nmax_percent = 100\n",
            LOGS,
            NOTES,
            &JOB.replace("13 months", "12 months"),
        ]
        .concat(),
    );
    assert_eq!(world.scheduled(), ("complete", vec![]));
}

/// What of the file, what instead, and whether it is wider.
const CHANGES: &[(&str, &str, bool)] = &[
    ("keep = \"13 months\"", "keep = \"13 months\"", false),
    ("keep = \"13 months\"", "keep = \"12 months\"", true),
    ("keep = \"13 months\"", "keep = \"395 days\"", true),
    ("keep = \"13 months\"", "keep = \"400 days\"", false),
    ("keep = \"13 months\"", "keep = \"1 year 1 month\"", false),
    ("keep = \"13 months\"", "keep = \"forever\"", false),
    ("schedule = \"@daily\"", "schedule = \"@hourly\"", false),
    ("schedule = \"@daily\"", "window = \"00:00-01:00\"\nschedule = \"@daily\"", false),
    ("where = { kind = [1, 2] }", "", true),
    ("where = { kind = [1, 2] }", "where = { kind = 1 }", false),
    ("where = { kind = [1, 2] }", "where = { kind = [2, 1] }", false),
    ("where = { kind = [1, 2] }", "where = { kind = [1, 2, 0] }", true),
    ("where = { kind = [1, 2] }", "where = { kind = [1, 2], queue = \"q\" }", false),
    ("where = { kind = [1, 2] }", "where = { queue = \"q\" }", true),
    ("where = { kind = [1, 2] }", "where = { kind = { not = 1 } }", true),
    ("keep = \"5 years\"", "keep = \"4 years\"", true),
    ("keep = \"5 years\"", "keep = \"6 years\"", false),
    ("where = { queue = \"claims\" }", "where = { queue = \"sales\" }", true),
    ("where = { queue = \"claims\" }", "where = { queue = [\"claims\", \"sales\"] }", false),
    (
        "[[jobs.it.override]]",
        "[[jobs.it.override]]\nwhere = { kind = 2 }\nkeep = \"1 year\"\n[[jobs.it.override]]",
        true,
    ),
    (
        "[[jobs.it.override]]",
        "[[jobs.it.override]]\nwhere = { kind = 2 }\nkeep = \"9 years\"\n[[jobs.it.override]]",
        false,
    ),
    ("[[jobs.it.override]]\nwhere = { queue = \"claims\" }\nkeep = \"5 years\"\n", "", true),
    ("timezone = \"Europe/Helsinki\"", "timezone = \"UTC\"", true),
    ("max_percent = 50", "max_percent = 51", true),
    ("max_percent = 50", "max_percent = 49", false),
    ("max_percent = 50", "max_percent = 50\nmax_rows = 100001", true),
    ("max_percent = 50", "max_percent = 50\nage_floor = \"23 hours\"", true),
    ("max_percent = 50", "max_percent = 50\nage_floor = \"25 hours\"", false),
    ("on_expiry = \"anonymise\"\nanonymise = { body = \"null\" }", "", true),
    ("{ body = \"null\" }", "{ body = \"text:gone\" }", true),
    ("{ body = \"null\" }", "{ body = \"null\", at = \"null\" }", true),
    ("requires = { kind = [0, 1, 2] }", "", false),
    ("requires = { kind = [0, 1, 2] }", "requires = { kind = [0, 1] }", true),
    ("zone = \"UTC\" }", "zone = \"Europe/Helsinki\" }", true),
    ("zone = \"UTC\" }", "zone = \"UTC\", plausible_from = \"1980-01-01\" }", true),
    ("data = [\"logs\"]", "data = [\"logs\", \"others\"]", true),
    ("data = [\"logs\"]", "data = [\"logs\"]\npace = { rows_per_second = 9 }", false),
    ("[data.others]", "[data.others]\nbelongs_to = { data = \"logs\", by = \"log\" }", true),
    ("title = \"Notes\"", "title = \"Other notes\"", false),
];

#[test]
fn every_change_that_may_remove_more_counts_as_wider() {
    let world = World::new();
    world.sql(
        "CREATE TABLE others (id INTEGER PRIMARY KEY, log INTEGER, at TEXT, kind INTEGER, queue TEXT); CREATE INDEX others_log ON others (log)",
    );
    let others = "[data.others]\nstore = \"main\"\ntable = \"others\"\ncategory = \"reporting_data\"\ntime = { column = \"at\", format = \"%Y-%m-%d %H:%M:%S\", zone = \"Asia/Tokyo\" }\n";
    let notes = format!("{NOTES}title = \"Notes\"\non_expiry = \"anonymise\"\nanonymise = {{ body = \"null\" }}\n");
    let logs = format!("{LOGS}requires = {{ kind = [0, 1, 2] }}\n");
    let job = format!(
        "{JOB}where = {{ kind = [1, 2] }}\n[[jobs.it.override]]\nwhere = {{ queue = \"claims\" }}\nkeep = \"5 years\"\n"
    );
    let text = ["[brakes]\nmax_percent = 50\n", &logs, &notes, others, &job].concat();
    let write =
        |text: &str| world.project.write_jobs(&format!("timezone = \"Europe/Helsinki\"\n{}{text}", head(&world.state)));
    write(&text);
    world.project.run(&["run", "it", "--release-brake", "max_percent"]).expect_code(0);
    for (from, to, wider) in CHANGES {
        let whole = format!("timezone = \"Europe/Helsinki\"\n{}{text}", head(&world.state));
        assert_eq!(whole.matches(from).count(), 1, "{from}");
        world.project.write_jobs(&whole.replace(from, to));
        let reasons = world.widened();
        assert_eq!(!reasons.is_empty(), *wider, "{from} → {to}: {reasons:?}");
        // Back again is no change.
        write(&text);
        assert_eq!(world.widened(), Vec::<String>::new(), "{from}");
    }
}
