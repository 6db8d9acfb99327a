//! The daemon under a clock that is not ours: both changes of daylight saving, and a step back (libfaketime, which changes
//! what the wall clock says and leaves the monotonic clocks alone).
#![expect(clippy::unwrap_used, reason = "the helpers of a test stop it by panicking")]

#[path = "support/daemon.rs"]
mod daemon;
mod support;

use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Utc};
use daemon::{Daemon, Logs};

/// What the daemon takes for the present.
struct Faked {
    file: PathBuf,
    library: String,
}

impl Faked {
    fn new(logs: &Logs) -> Self {
        let found = std::fs::read_dir("/usr/lib").unwrap().flatten().find_map(|folder| {
            let library = folder.path().join("faketime/libfaketime.so.1");
            library.exists().then(|| library.display().to_string())
        });
        let library = found.unwrap_or_else(|| panic!("libfaketime is not installed: run `make deps`"));
        let faked = Self { file: logs.project.path("faketime"), library };
        faked.shift(0);
        faked
    }

    /// From now on the clock is so many seconds ahead.
    fn shift(&self, seconds: i64) {
        // Moved into place: the daemon reads it at any time.
        let new = self.file.with_extension("new");
        std::fs::write(&new, format!("{seconds:+}\n")).unwrap();
        std::fs::rename(&new, &self.file).unwrap();
    }

    /// From now on it is this time.
    fn set(&self, at: &str) {
        let at: DateTime<Utc> = at.parse().unwrap();
        self.shift(at.timestamp() - support::now().timestamp());
    }

    fn start<'a>(&self, logs: &'a Logs) -> Daemon<'a> {
        let environment = [
            ("LD_PRELOAD", self.library.as_str()),
            ("FAKETIME_TIMESTAMP_FILE", self.file.to_str().unwrap()),
            ("FAKETIME_NO_CACHE", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            ("DONT_FAKE_MONOTONIC", "1"),
        ];
        Daemon::start(logs, &environment)
    }
}

/// The slots of a job that came to their end.
fn slots(logs: &Logs, job: &str) -> Vec<String> {
    let sql = format!("SELECT slot FROM slots WHERE job = '{job}' AND outcome = 'complete' ORDER BY slot;");
    logs.state(&sql).lines().map(|line| line.split('.').next().unwrap().to_owned()).collect()
}

#[test]
fn a_time_that_is_skipped_runs_right_after_the_gap() {
    // On 29 March 2026 clocks in Berlin go from 02:00 to 03:00, at 01:00 UTC.
    let logs = Logs::new(1, "30 2 * * *", "timezone = \"Europe/Berlin\"");
    let faked = Faked::new(&logs);
    faked.set("2026-03-29T00:59:45Z");
    let daemon = faked.start(&logs);
    logs.wait_until("the run that was skipped", || !slots(&logs, "log0").is_empty());
    assert_eq!(daemon.stop(), Some(0));
    assert_eq!(slots(&logs, "log0"), ["2026-03-29 01:00:00"], "once, at 03:00 in Berlin");
    // Half an hour later, when 02:30 would have been, nothing is due.
    faked.set("2026-03-29T01:29:50Z");
    let daemon = faked.start(&logs);
    std::thread::sleep(Duration::from_secs(15));
    assert_eq!(daemon.stop(), Some(0));
    assert_eq!(slots(&logs, "log0").len(), 1, "{:?}", slots(&logs, "log0"));
    assert_eq!(logs.left(), 0);
}

#[test]
fn a_time_that_comes_twice_runs_at_its_first_coming() {
    // On 25 October 2026 clocks in Berlin go from 03:00 back to 02:00, at 01:00 UTC.
    let logs = Logs::new(2, "30 2 * * *", "timezone = \"Europe/Berlin\"");
    // The second job means how often, and has both half hours.
    let jobs = std::fs::read_to_string(logs.project.path("jobs.toml")).unwrap();
    let (before, after) = jobs.split_once("[jobs.log1]").unwrap();
    logs.project.write_jobs(&format!("{before}[jobs.log1]{}", after.replace("30 2 * * *", "30 * * * *")));
    let faked = Faked::new(&logs);
    faked.set("2026-10-25T00:29:45Z");
    let daemon = faked.start(&logs);
    logs.wait_until("the first coming", || !slots(&logs, "log0").is_empty() && !slots(&logs, "log1").is_empty());
    assert_eq!(daemon.stop(), Some(0));
    faked.set("2026-10-25T01:29:45Z");
    let daemon = faked.start(&logs);
    logs.wait_until("the second coming", || slots(&logs, "log1").len() == 2);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(daemon.stop(), Some(0));
    assert_eq!(slots(&logs, "log0"), ["2026-10-25 00:30:00"], "once, at the first 02:30");
    assert_eq!(slots(&logs, "log1"), ["2026-10-25 00:30:00", "2026-10-25 01:30:00"]);
}

#[test]
fn after_a_step_back_nothing_runs_until_the_clock_is_right_and_then_at_once() {
    let logs = Logs::new(1, "*/2 * * * * *", "catch_up = \"all\"");
    let faked = Faked::new(&logs);
    let daemon = faked.start(&logs);
    logs.wait_until("it works", || slots(&logs, "log0").len() >= 2);
    faked.shift(-3_600);
    logs.wait_until("it is noticed", || daemon.status().contains("the clock jumped by -3"));
    std::thread::sleep(Duration::from_secs(2));
    let before = slots(&logs, "log0").len();
    std::thread::sleep(Duration::from_secs(6));
    assert_eq!(slots(&logs, "log0").len(), before, "nothing is begun by a clock that is in doubt");
    faked.shift(0);
    logs.wait_for(Duration::from_secs(20), "it works again", || slots(&logs, "log0").len() >= before + 3);
    assert!(!daemon.status().contains("the clock jumped"), "{}", daemon.status());
    assert_eq!(daemon.stop(), Some(0));
    let runs = logs.runs();
    let of_job = runs.slots("log0");
    let (first, last) = (*of_job.keys().next().unwrap(), *of_job.keys().next_back().unwrap());
    for second in (first..=last).step_by(2) {
        assert_eq!(of_job.get(&second).map(Vec::len), Some(1), "slot {second}: no hole and no double: {of_job:?}");
    }
}

#[test]
fn a_clock_that_was_set_back_for_good_is_accepted_by_hand() {
    let logs = Logs::new(1, "*/2 * * * * *", "");
    let faked = Faked::new(&logs);
    let daemon = faked.start(&logs);
    logs.wait_until("it works", || slots(&logs, "log0").len() >= 2);
    faked.shift(-3_600);
    logs.wait_until("it is noticed", || daemon.status().contains("the clock jumped by -3"));
    logs.project.run(&["accept-clock", "--socket", "control.sock"]).expect_code(0);
    let before = slots(&logs, "log0").len();
    logs.wait_for(Duration::from_secs(30), "it works by the new time", || slots(&logs, "log0").len() >= before + 3);
    assert_eq!(daemon.stop(), Some(0));
    assert!(logs.runs().slots("log0").values().all(|found| found.len() == 1));
}
