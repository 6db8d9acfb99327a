//! A daemon under test, and the jobs that it runs: plain logs in SQLite files, one job each.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper that fails must fail its test")]
#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::PathBuf;
use std::process::Child;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::{self, Output, Project, run_sql};

/// Whether the long versions of tests are asked for.
pub fn long() -> bool {
    std::env::var("RETENTIOND_TORTURE").is_ok_and(|long| long == "long")
}

/// Numbers that a seed repeats.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit.max(1)
    }
}

/// A policy of purges.
pub struct Logs {
    pub project: Project,
    stores: Vec<String>,
    state: String,
}

const ROWS: u64 = 100;

impl Logs {
    /// So many jobs with this schedule and these keys besides, each on a table of its own, with some rows due.
    pub fn new(jobs: usize, schedule: &str, keys: &str) -> Self {
        let project = Project::new("");
        let stores: Vec<String> =
            (0..jobs).map(|job| format!("sqlite:{}", project.path(&format!("log{job}.db")).display())).collect();
        let state = format!("sqlite:{}", project.path("state.db").display());
        let schedules = vec![schedule.to_owned(); jobs];
        // A database for each of a hundred jobs would be another test.
        let shared = if jobs > 10 { 1 } else { jobs };
        Self::made(project, stores[..shared].to_vec(), state, &schedules, keys)
    }

    /// So many jobs on one table, each of them due once, at its own second of the minute that begins at `from`.
    pub fn many(jobs: usize, from: chrono::DateTime<chrono::Utc>) -> Self {
        let project = Project::new("");
        let store = format!("sqlite:{}", project.path("log0.db").display());
        let state = format!("sqlite:{}", project.path("state.db").display());
        let schedules: Vec<String> =
            (0..jobs).map(|job| format!("{} {}", job % 60, from.format("%-M %-H %-d %-m *"))).collect();
        Self::made(project, vec![store], state, &schedules, "catch_up = \"all\"")
    }

    /// Jobs on databases that are there.
    pub fn made(project: Project, stores: Vec<String>, state: String, schedules: &[String], keys: &str) -> Self {
        let mut file = format!(
            "timezone = \"UTC\"\n[state]\nurl = \"{state}\"\nlease = \"3 s\"\n[approvals]\nwidened = false\n[brakes]\nmax_percent = 100.0\n\
             [limits]\njobs = 8\njobs_per_store = 8\n\
             [categories.calls]\ntitle = \"Calls\"\npurpose = \"To serve\"\nlegal_basis = \"Art. 6(1)(b)\"\n"
        );
        for (at, url) in stores.iter().enumerate() {
            let form = if url.starts_with("sqlite") { "TEXT" } else { "TIMESTAMP" };
            if let Some(path) = url.strip_prefix("sqlite:") {
                std::fs::write(path, "").unwrap();
            }
            run_sql(
                url,
                &format!(
                    "CREATE TABLE log (id BIGINT NOT NULL PRIMARY KEY, line VARCHAR(40), written_at {form});
                     CREATE INDEX log_written_at ON log (written_at);"
                ),
            );
            let kept = if form == "TEXT" { "format = \"%Y-%m-%d %H:%M:%S\", " } else { "" };
            write!(
                file,
                "[stores.db{at}]\nurl = \"{url}\"\n[data.log{at}]\nstore = \"db{at}\"\ntable = \"log\"\n\
                 category = \"calls\"\ntime = {{ column = \"written_at\", {kept}zone = \"UTC\" }}\n"
            )
            .unwrap();
        }
        for (job, schedule) in schedules.iter().enumerate() {
            let data = job % stores.len();
            // The same entry may have several jobs if they differ in what they take.
            let own =
                if stores.len() == schedules.len() { String::new() } else { format!("where = {{ id = {job} }}\n") };
            let keep = "keep = \"2 years\"";
            write!(
                file,
                "[jobs.log{job}]\nkind = \"retention_purge\"\nschedule = \"{schedule}\"\ndata = [\"log{data}\"]\n{keep}\n{own}{keys}\n"
            )
            .unwrap();
        }
        project.write_jobs(&file);
        let logs = Self { project, stores, state };
        for at in 0..logs.stores.len() {
            logs.project.run(&["init", &format!("db{at}")]).expect_code(0);
            logs.fill(at, ROWS);
        }
        logs
    }

    /// Adds expired rows to a table.
    pub fn fill(&self, store: usize, rows: u64) {
        let mut sql = String::from("BEGIN;");
        let from: u64 =
            run_sql(&self.stores[store], "SELECT coalesce(max(id) + 1, 0) FROM log;").trim().parse().unwrap();
        for chunk in (from..from + rows).collect::<Vec<_>>().chunks(500) {
            let rows: Vec<String> = chunk.iter().map(|id| format!("({id},'x','2020-01-01 10:00:00')")).collect();
            write!(sql, "INSERT INTO log VALUES {};", rows.join(",")).unwrap();
        }
        run_sql(&self.stores[store], &(sql + "COMMIT;"));
    }

    /// Expired rows that are left, in all tables.
    pub fn left(&self) -> u64 {
        (0..self.stores.len()).map(|store| self.left_in(store)).sum()
    }

    /// Expired rows that are left in one table.
    pub fn left_in(&self, store: usize) -> u64 {
        run_sql(&self.stores[store], "SELECT count(*) FROM log;").trim().parse().unwrap()
    }

    /// Rows that the ledgers know of.
    pub fn ledger(&self) -> u64 {
        let sum = "SELECT coalesce(sum(row_count), 0) FROM retentiond_ledger;";
        self.stores.iter().map(|url| run_sql(url, sum).trim().parse::<u64>().unwrap()).sum()
    }

    /// Says something to a job's database.
    pub fn in_store(&self, store: usize, sql: &str) -> String {
        run_sql(&self.stores[store], sql)
    }

    /// Takes the state, which is on PostgreSQL, away from everybody.
    pub fn cut_state(&self) {
        let (server, name) = self.state.rsplit_once('/').unwrap();
        let name = name.split('?').next().unwrap();
        run_sql(
            &format!("{server}/postgres"),
            &format!(
                "ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false;
             SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}';"
            ),
        );
    }

    /// Gives it back.
    pub fn mend_state(&self) {
        let (server, name) = self.state.rsplit_once('/').unwrap();
        let name = name.split('?').next().unwrap();
        run_sql(&format!("{server}/postgres"), &format!("ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true;"));
    }

    /// Asks the state.
    pub fn state(&self, sql: &str) -> String {
        run_sql(&self.state, sql)
    }

    /// Waits for something, half a minute at most.
    #[track_caller]
    pub fn wait_until(&self, what: &str, done: impl FnMut() -> bool) {
        self.wait_for(Duration::from_secs(90), what, done);
    }

    #[track_caller]
    pub fn wait_for(&self, patience: Duration, what: &str, mut done: impl FnMut() -> bool) {
        let until = Instant::now() + patience;
        while !done() {
            assert!(Instant::now() < until, "{what}: not within {patience:?}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// All runs, oldest first.
    pub fn runs(&self) -> Runs {
        let output = self.project.run(&["--format", "json", "history", "-n", "1000000"]).expect_code(0);
        let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
        let run = |run: &serde_json::Value| Run {
            id: text(&run["run"]).unwrap(),
            job: text(&run["job"]).unwrap(),
            slot: text(&run["slot"]).unwrap_or_default(),
            trigger: text(&run["trigger"]).unwrap_or_default(),
            outcome: text(&run["outcome"]),
            note: text(&run["note"]).unwrap_or_default(),
            rows: run["rows"].as_u64().unwrap(),
        };
        Runs { all: output.json()["runs"].as_array().unwrap().iter().rev().map(run).collect() }
    }
}

/// One run as `history` tells it.
#[derive(Debug)]
pub struct Run {
    pub id: String,
    pub job: String,
    pub slot: String,
    pub trigger: String,
    pub outcome: Option<String>,
    pub note: String,
    pub rows: u64,
}

pub struct Runs {
    pub all: Vec<Run>,
}

impl Runs {
    /// The slots of a job, in seconds, each with the outcomes of its runs.
    pub fn slots(&self, job: &str) -> BTreeMap<i64, Vec<String>> {
        let mut slots: BTreeMap<i64, Vec<String>> = BTreeMap::new();
        for run in self.all.iter().filter(|run| run.job == job) {
            let at = chrono::DateTime::parse_from_rfc3339(&run.slot).unwrap().timestamp();
            slots.entry(at).or_default().push(run.outcome.clone().unwrap_or_else(|| "running".to_owned()));
        }
        slots
    }
}

/// A daemon that runs; killed when dropped.
pub struct Daemon<'a> {
    project: &'a Project,
    child: Child,
    socket: String,
    status: Arc<Mutex<String>>,
    alive: Arc<AtomicU32>,
    log: PathBuf,
}

impl<'a> Daemon<'a> {
    /// Starts it and waits until it says that it is ready.
    pub fn start(logs: &'a Logs, environment: &[(&str, &str)]) -> Self {
        Self::start_at(logs, "control.sock", environment)
    }

    /// The same with a socket of its own.
    pub fn start_at(logs: &'a Logs, socket: &str, environment: &[(&str, &str)]) -> Self {
        Self::of(&logs.project, socket, environment)
    }

    /// The daemon of any project.
    pub fn of(project: &'a Project, socket: &str, environment: &[(&str, &str)]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let notify: PathBuf = project.path(&format!("notify{number}"));
        let listener = UnixDatagram::bind(&notify).unwrap();
        let mut command = project.command(&["serve", "--socket", socket]);
        command.env("NOTIFY_SOCKET", &notify).envs(environment.iter().copied());
        let log = project.path(&format!("daemon{number}.log"));
        command.stderr(std::fs::File::create(&log).unwrap());
        let mut child = command.spawn().expect("the daemon starts");
        let status = Arc::new(Mutex::new(String::new()));
        let (ready, told) = std::sync::mpsc::channel();
        let heard = Arc::clone(&status);
        let alive = Arc::new(AtomicU32::new(0));
        let pinged = Arc::clone(&alive);
        std::thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            while let Ok(length) = listener.recv(&mut buffer) {
                for line in String::from_utf8_lossy(&buffer[..length]).lines() {
                    if let Some(text) = line.strip_prefix("STATUS=") {
                        text.clone_into(&mut heard.lock().unwrap());
                    }
                    if line == "WATCHDOG=1" {
                        pinged.fetch_add(1, Ordering::Relaxed);
                    }
                    if line == "READY=1" {
                        ready.send(()).unwrap_or_default();
                    }
                }
            }
        });
        let patience = Duration::from_secs(if long() { 600 } else { 60 });
        if told.recv_timeout(patience).is_err() {
            drop(child.kill());
            drop(child.wait());
            let log = std::fs::read_to_string(&log).unwrap_or_default();
            panic!("the daemon is not ready after {patience:?}:\n{log}");
        }
        Self { project, child, socket: socket.to_owned(), status, alive, log }
    }

    /// Where it logs.
    pub fn log(&self) -> &PathBuf {
        &self.log
    }

    /// What it told systemd last.
    pub fn status(&self) -> String {
        self.status.lock().unwrap().clone()
    }

    /// How often it told the watchdog that it is alive.
    pub fn pings(&self) -> u32 {
        self.alive.load(Ordering::Relaxed)
    }

    pub fn signal(&self, signal: Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal).unwrap();
    }

    /// SIGTERM, and its exit code.
    #[track_caller]
    pub fn stop(mut self) -> Option<i32> {
        self.signal(Signal::TERM);
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < until, "the daemon stops");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// `retentiond reload`.
    pub fn reload(&self) -> Output {
        self.project.run(&["reload", "--socket", &self.socket])
    }

    /// Sends a line to the control socket and gives the answer.
    pub fn ask(&self, line: &str) -> serde_json::Value {
        let mut stream = UnixStream::connect(self.project.path(&self.socket)).unwrap();
        writeln!(stream, "{line}").unwrap();
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap()
    }

    /// Processor time used so far, and bytes resident.
    pub fn usage(&self) -> (Duration, u64) {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        let pages: u64 = fields[21].parse().unwrap();
        (Duration::from_millis(ticks * 10), pages * 4096)
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            drop(self.child.kill());
            drop(self.child.wait());
        }
        if std::thread::panicking() {
            for entry in std::fs::read_dir(self.project.dir()).unwrap().flatten() {
                if entry.path().extension().is_some_and(|extension| extension == "log") {
                    let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
                    let tail: Vec<&str> = text.lines().rev().take(40).collect();
                    eprintln!("{}:", entry.path().display());
                    tail.iter().rev().for_each(|line| eprintln!("  {line}"));
                }
            }
        }
    }
}

/// The servers, for those who need more than SQLite.
pub fn postgres_logs(jobs: usize, schedule: &str, keys: &str) -> Logs {
    let project = Project::new("");
    let stores = (0..jobs.min(4)).map(|_| support::postgres().fresh_database()).collect();
    let state = support::postgres().fresh_database();
    Logs::made(project, stores, state, &vec![schedule.to_owned(); jobs], keys)
}
