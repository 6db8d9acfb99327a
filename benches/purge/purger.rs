//! `retentiond` itself, run on a bed as an operator would run it.

use std::cell::Cell;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::bed::{Engine, Timing};

/// What a run of `retentiond` showed.
#[derive(Clone, Debug, Default)]
pub struct Run {
    pub rows: u64,
    /// The time of the batches, as the run itself measured it.
    pub seconds: f64,
    /// The time of the whole process: start, check, plan, batches, end.
    pub wall: f64,
    pub median_ms: f64,
    pub longest_ms: f64,
    /// The most memory it ever had resident, in KiB.
    pub peak_kib: u64,
}

impl Run {
    /// Rows and the time of the batches.
    pub fn timing(&self) -> Timing {
        Timing { rows: self.rows, seconds: self.seconds }
    }
}

/// A folder with a jobs.toml for a bed.
pub struct Purger {
    dir: TempDir,
    file: String,
    runs: Cell<u32>,
    /// The database is brought back before each run, which a memory of the last run would notice.
    restored: bool,
}

impl Purger {
    /// Events older than so many days; `parents`: contacts so old, with what belongs to them.
    pub fn new(engine: Engine, url: &str, days: i64, parents: bool) -> Self {
        let time = |column: &str| match engine {
            Engine::Postgres => format!("\"{column}\""),
            Engine::Mariadb => format!("{{ column = \"{column}\", zone = \"UTC\" }}"),
            Engine::Sqlite => format!("{{ column = \"{column}\", zone = \"UTC\", format = \"%Y-%m-%d %H:%M:%S\" }}"),
        };
        let entry = |name: &str, more: &str| {
            format!(
                "[data.{name}]\nstore = \"bench\"\ntable = \"{name}\"\ncategory = \"contact_data_records\"\n{more}\n"
            )
        };
        let belongs = "belongs_to = { data = \"contacts\", by = \"contact_id\" }";
        let (map, job) = if parents {
            let contacts = entry("contacts", &format!("time = {}", time("started_at")));
            (contacts + &entry("contact_events", belongs) + &entry("recordings", belongs), "contacts")
        } else {
            (entry("contact_events", &format!("time = {}", time("event_at"))), "contact_events")
        };
        let file = format!(
            "[stores.bench]\nurl = \"{url}\"\n\n\
             [brakes]\nmax_rows = 1000000000\nmax_percent = 100\nmax_times_usual = 1000000\n\n{map}\n\
             [jobs.purge]\nkind = \"retention_purge\"\ndata = [\"{job}\"]\nkeep = \"{days} days\"\n"
        );
        // On MariaDB the ledger outlives a reset.
        Self { restored: engine != Engine::Mariadb, ..Self::with(&file) }
    }

    /// One with a file of its own, whose job is called `purge`.
    pub fn with(file: &str) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let purger = Self { dir, file: file.to_owned(), runs: Cell::new(0), restored: false };
        purger.forget();
        purger
    }

    /// Begins with a memory of its own.
    fn forget(&self) {
        let (dir, run) = (self.dir.path(), self.runs.replace(self.runs.get() + 1));
        let state = format!("[state]\nurl = \"sqlite:{}/state-{run}.db\"\n\n", dir.display());
        std::fs::write(dir.join("jobs.toml"), state + &self.file).expect("jobs.toml");
    }

    /// A command with this folder's jobs.toml.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_retentiond"));
        command.args(args).env("RETENTIOND_CONFIG", self.dir.path().join("jobs.toml"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Creates retentiond's tables in the bed's database.
    pub fn init(&self) {
        let output = self.command(&["init", "bench"]).output().expect("retentiond starts");
        assert!(output.status.success(), "init failed: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Runs the job to its end; `unpaced` as in a maintenance window.
    pub fn run(&self, unpaced: bool) -> Run {
        let (begun, child) = self.start(unpaced);
        finish(begun, child)
    }

    /// Starts the job.
    pub fn start(&self, unpaced: bool) -> (Instant, Child) {
        if self.restored {
            self.forget();
        }
        self.go_on(unpaced)
    }

    /// Starts the job once more on the same database.
    pub fn go_on(&self, unpaced: bool) -> (Instant, Child) {
        let mut args = vec!["--format", "json", "run", "purge"];
        if unpaced {
            args.push("--unpaced");
        }
        (Instant::now(), self.command(&args).spawn().expect("retentiond starts"))
    }
}

/// Waits for the end of a run and reads what it says.
pub fn finish(begun: Instant, child: Child) -> Run {
    let pid = child.id();
    // Seldom: the machine has two cores, and the run and its server are at work on both.
    let watch = std::thread::spawn(move || {
        let mut peak_kib = 0;
        while let Some(kib) = peak_memory(pid) {
            peak_kib = kib;
            std::thread::sleep(Duration::from_millis(25));
        }
        peak_kib
    });
    let output = child.wait_with_output().expect("the run ended");
    let wall = begun.elapsed().as_secs_f64();
    let peak_kib = watch.join().expect("the watch ends with the run");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the run failed: {said}{}", String::from_utf8_lossy(&output.stdout));
    let answer: Value = serde_json::from_slice(&output.stdout).expect("the run answers in JSON");
    let job = &answer["jobs"][0];
    let seconds = job["steps"][0]["seconds"].as_f64().or(job["seconds"].as_f64()).unwrap_or(wall);
    Run {
        rows: job["rows"].as_u64().expect("the run tells its rows"),
        seconds,
        wall,
        median_ms: job["transactions"]["median_ms"].as_f64().unwrap_or(f64::NAN),
        longest_ms: job["transactions"]["longest_ms"].as_f64().unwrap_or(f64::NAN),
        peak_kib,
    }
}

/// The most memory that a process has had resident, as the kernel counts it; none of one that has ended.
fn peak_memory(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.split_whitespace().next()?.parse().ok()
}
