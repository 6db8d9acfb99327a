//! `retentiond serve` as systemd would run it: the real binary, a notify socket, signals, the control socket.
#![expect(clippy::unwrap_used, reason = "the helpers of a test stop it by panicking")]

#[path = "support/daemon.rs"]
mod daemon;
mod support;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use daemon::{Daemon, Logs, Runs};

/// A slot has one run, and the slots of a job that is due each second have no hole between the first and the last.
fn each_second_once(runs: &Runs, job: &str) -> usize {
    let slots = runs.slots(job);
    let (first, last) = (*slots.keys().next().unwrap(), *slots.keys().next_back().unwrap());
    for second in first..=last {
        let found = slots.get(&second).map_or(&[][..], Vec::as_slice);
        assert_eq!(found, ["complete"], "slot {second} of {job}");
    }
    slots.len()
}

#[test]
fn jobs_run_on_their_schedules_once_a_slot() {
    let logs = Logs::new(2, "* * * * * *", "overlap = \"skip\"");
    let daemon = Daemon::start(&logs, &[]);
    std::thread::sleep(Duration::from_secs(5));
    let status = daemon.status();
    assert!(status.contains("2 jobs, next log"), "{status}");
    assert_eq!(daemon.stop(), Some(0));
    let runs = logs.runs();
    for job in ["log0", "log1"] {
        assert!(each_second_once(&runs, job) >= 3);
    }
    assert_eq!(logs.left(), 0, "and did what they are for");
    assert!(runs.all.iter().all(|run| run.trigger == "schedule"));
}

#[test]
fn a_daemon_that_was_down_makes_up_for_the_last_slot() {
    let logs = Logs::new(1, "* * * * * *", "");
    let first = Daemon::start(&logs, &[]);
    std::thread::sleep(Duration::from_millis(2_500));
    assert_eq!(first.stop(), Some(0));
    std::thread::sleep(Duration::from_secs(4));
    let second = Daemon::start(&logs, &[]);
    std::thread::sleep(Duration::from_millis(2_500));
    assert_eq!(second.stop(), Some(0));
    let missed = logs.state("SELECT sum(stands_for) FROM slots WHERE outcome = 'missed';");
    assert!(missed.trim().parse::<u32>().unwrap() >= 2, "what was missed is counted: {missed}");
    let runs = logs.runs();
    assert!(runs.slots("log0").values().all(|found| found.len() == 1));
}

#[test]
fn a_stop_ends_the_batch_and_the_next_daemon_goes_on() {
    let logs = Logs::new(1, "* * * * * *", "pace = { rows_per_second = 2000, pause_ms = 100 }");
    logs.fill(0, 20_000);
    let first = Daemon::start(&logs, &[]);
    logs.wait_until("a batch is done", || logs.left() < 20_100);
    let before = Instant::now();
    assert_eq!(first.stop(), Some(0));
    assert!(before.elapsed() < Duration::from_secs(10), "the batch alone was waited for");
    let left = logs.left();
    assert!(left > 0);
    let runs = logs.runs();
    assert_eq!(runs.all.last().unwrap().outcome.as_deref(), Some("stopped"));
    let second = Daemon::start(&logs, &[]);
    logs.wait_until("the rest is done", || logs.runs().all.last().unwrap().outcome.as_deref() == Some("complete"));
    assert_eq!(second.stop(), Some(0));
    assert_eq!(logs.left(), 0);
    let slot = runs.all.last().unwrap().slot.clone();
    let of_slot: Vec<_> = logs.runs().all.into_iter().filter(|run| run.slot == slot).collect();
    let words: Vec<_> = of_slot.iter().map(|run| (run.trigger.as_str(), run.outcome.as_deref().unwrap())).collect();
    assert_eq!(words, [("schedule", "stopped"), ("retry", "complete")], "the slot is the same");
}

#[test]
fn a_killed_daemon_is_followed_where_it_was() {
    let logs = Logs::new(1, "* * * * * *", "pace = { rows_per_second = 2000, pause_ms = 100 }");
    logs.fill(0, 20_000);
    let first = Daemon::start(&logs, &[]);
    logs.wait_until("a batch is done", || logs.left() < 20_100);
    first.kill();
    let left = logs.left();
    assert!(left > 0 && left < 20_100);
    let second = Daemon::start(&logs, &[]);
    logs.wait_until("the rest is done", || logs.left() == 0);
    assert_eq!(second.stop(), Some(0));
    let runs = logs.runs();
    let interrupted = runs.all.iter().find(|run| run.outcome.as_deref() == Some("interrupted")).unwrap();
    let of_slot: Vec<_> = runs.all.iter().filter(|run| run.slot == interrupted.slot).collect();
    assert_eq!(of_slot.len(), 2);
    assert_eq!((of_slot[1].trigger.as_str(), of_slot[1].outcome.as_deref()), ("retry", Some("complete")));
    assert_eq!(logs.ledger(), 20_100, "each row went once");
}

#[test]
fn a_run_that_is_still_going_is_not_joined() {
    let logs = Logs::new(1, "* * * * * *", "pace = { rows_per_second = 4000, pause_ms = 50 }");
    logs.fill(0, 20_000);
    let daemon = Daemon::start(&logs, &[]);
    logs.wait_until("all is done", || logs.left() == 0);
    assert_eq!(daemon.stop(), Some(0));
    let overlaps = logs.state("SELECT count(*) FROM slots WHERE outcome = 'overlap';");
    assert!(overlaps.trim().parse::<u32>().unwrap() >= 1, "what was left out is counted");
    assert!(logs.runs().slots("log0").values().all(|found| found.len() == 1));
}

#[test]
fn a_run_past_its_timeout_fails() {
    let logs = Logs::new(1, "* * * * * *", "timeout = \"1 s\"\npace = { rows_per_second = 1000, pause_ms = 100 }");
    logs.fill(0, 20_000);
    let daemon = Daemon::start(&logs, &[]);
    logs.wait_until("a run fails", || logs.runs().all.iter().any(|run| run.outcome.as_deref() == Some("failed")));
    assert!(daemon.status().contains("log0 failed") || logs.left() < 20_100);
    assert_eq!(daemon.stop(), Some(0));
    let runs = logs.runs();
    let failed = runs.all.iter().find(|run| run.outcome.as_deref() == Some("failed")).unwrap();
    assert!(failed.note.contains("timeout"), "{}", failed.note);
    assert!(failed.rows > 0, "what its batches did stays done");
}

#[test]
fn a_second_daemon_on_sqlite_is_refused() {
    let logs = Logs::new(1, "0 0 1 1 *", "");
    let first = Daemon::start(&logs, &[]);
    let second = logs.project.run(&["serve", "--socket", "other.sock"]).expect_code(4);
    assert!(second.stderr.contains("another daemon works with"), "{}", second.stderr);
    assert_eq!(first.stop(), Some(0));
    let third = Daemon::start(&logs, &[]);
    third.kill();
    assert_eq!(Daemon::start(&logs, &[]).stop(), Some(0), "a killed daemon leaves no lock behind");
}

#[test]
fn a_file_that_is_not_enabled_is_served_idly() {
    let logs = Logs::new(1, "* * * * * *", "");
    let jobs = std::fs::read_to_string(logs.project.path("jobs.toml")).unwrap();
    // Its stores are not even opened.
    logs.project.write_jobs(&format!("enabled = false\n{}", jobs.replace("log0.db", "nowhere.db")));
    let daemon = Daemon::start(&logs, &[]);
    std::thread::sleep(Duration::from_millis(1_500));
    assert!(daemon.status().contains("enabled = false"), "{}", daemon.status());
    logs.project.write_jobs(&jobs);
    daemon.reload().expect_code(0);
    logs.wait_until("it works", || logs.left() == 0);
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn a_store_that_is_away_fails_its_jobs_and_no_other() {
    let logs = Logs::new(2, "* * * * * *", "retry = { max = 50, base = \"1 s\", cap = \"1 s\" }");
    let (there, away) = (logs.project.path("log1.db"), logs.project.path("log1.away"));
    std::fs::rename(&there, &away).unwrap();
    let daemon = Daemon::start(&logs, &[]);
    logs.wait_until("the other works", || logs.left_in(0) == 0);
    logs.wait_until("this one fails", || daemon.status().contains("log1 failed"));
    std::fs::rename(&away, &there).unwrap();
    logs.wait_until("it works again", || logs.left() == 0);
    logs.wait_until("and is well again", || !daemon.status().contains("failed"));
    assert_eq!(daemon.stop(), Some(0));
    let failed = logs.runs().all.into_iter().find(|run| run.outcome.as_deref() == Some("failed")).unwrap();
    assert!(failed.note.contains("log1.db"), "{}", failed.note);
}

#[test]
fn what_check_refuses_is_not_served() {
    let logs = Logs::new(1, "* * * * * *", "");
    let jobs = std::fs::read_to_string(logs.project.path("jobs.toml")).unwrap();
    logs.project.write_jobs(&jobs.replace("table = \"log\"", "table = \"lgo\""));
    let output = logs.project.run(&["serve"]).expect_code(3);
    assert!(output.stderr.contains("has no table `lgo`"), "{}", output.stderr);
}

#[test]
fn a_broken_file_is_refused_and_the_old_one_followed() {
    let count = if daemon::long() { 10_000 } else { 200 };
    let logs = Logs::new(1, "* * * * * *", "");
    let good = std::fs::read_to_string(logs.project.path("jobs.toml")).unwrap();
    let daemon = Daemon::start(&logs, &[]);
    let mut random = daemon::Random::new(7);
    let mut refused = 0;
    for round in 0..count {
        // A byte is lost, a stretch is cut away, or a key is one that nobody knows.
        let mut text = good.clone();
        match round % 3 {
            0 => drop(text.remove(random.below(text.len()))),
            1 => text.truncate(random.below(text.len())),
            _ => text = text.replacen("keep =", &format!("keeep{round} ="), 1),
        }
        logs.project.write_jobs(&text);
        if round % 10 == 9 {
            daemon.signal(rustix::process::Signal::HUP);
        } else {
            // A process for each would take most of the time.
            let answer = daemon.ask(r#"{"v":1,"do":"reload"}"#);
            match answer["code"].as_u64() {
                Some(3) => refused += 1,
                // What is left may be a file, if a smaller one.
                Some(0) => {}
                _ => panic!("round {round}: {answer}\n{text}"),
            }
        }
    }
    assert!(refused > count / 2, "most of them are broken: {refused}");
    let broken = good.replacen("[stores.db0]", "[stores.db0", 1);
    logs.project.write_jobs(&broken);
    let output = daemon.reload().expect_code(3);
    assert!(output.stderr.contains("jobs.toml:"), "file, line and column: {}", output.stderr);
    logs.project.write_jobs(&good);
    daemon.reload().expect_code(0);
    logs.fill(0, 100);
    logs.wait_until("the same process works on", || logs.left() == 0);
    let runs = || logs.state("SELECT count(*) FROM runs WHERE outcome = 'complete';").trim().parse::<u32>().unwrap();
    logs.project.write_jobs(&broken);
    daemon.reload().expect_code(3);
    let before = runs();
    logs.wait_until("by the old file", || runs() > before + 1);
    assert_eq!(daemon.stop(), Some(0));
    logs.project.write_jobs(&good);
    assert!(logs.runs().slots("log0").values().all(|found| found.len() == 1));
}

#[test]
fn only_root_and_the_daemons_own_user_control_it() {
    let logs = Logs::new(1, "0 0 1 1 *", "");
    let daemon = Daemon::start(&logs, &[]);
    assert_eq!(daemon.ask(r#"{"v":1,"do":"ping"}"#)["code"], 0);
    assert_eq!(daemon.ask(r#"{"v":2,"do":"ping"}"#)["code"], 2);
    assert_eq!(daemon.ask(r#"{"v":1,"do":"dance"}"#)["code"], 2);
    assert_eq!(daemon.ask("dance")["code"], 2);
    if rustix::process::geteuid().is_root() {
        // So that somebody else can reach the socket at all.
        let open = |path: &std::path::Path, mode| {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        open(logs.project.dir(), 0o755);
        open(&logs.project.path("control.sock"), 0o777);
        let socket = logs.project.path("control.sock");
        let script = format!(
            "use IO::Socket::UNIX; my $s = IO::Socket::UNIX->new('{}') or die $!; \
             print $s '{{\"v\":1,\"do\":\"ping\"}}', \"\\n\"; print <$s>;",
            socket.display()
        );
        let output = std::process::Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/perl", "-e", &script])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains("may not control the daemon") && said.contains("operator"), "{output:?}");
    }
    assert_eq!(daemon.stop(), Some(0));
    logs.project.run(&["reload", "--socket", "control.sock"]).expect_code(5);
}

#[test]
fn a_pause_is_kept_and_what_it_passes_over_is_counted() {
    let logs = Logs::new(1, "* * * * * *", "");
    logs.project.run(&["pause", "log0"]).expect_code(0);
    let daemon = Daemon::start(&logs, &[]);
    std::thread::sleep(Duration::from_secs(3));
    assert!(logs.left() > 0 && logs.runs().all.is_empty());
    logs.project.run(&["resume", "log0"]).expect_code(0);
    logs.wait_until("it works", || logs.left() == 0);
    assert_eq!(daemon.stop(), Some(0));
    assert_ne!(logs.state("SELECT count(*) FROM slots WHERE outcome = 'paused';").trim(), "0");
}

#[test]
fn a_clock_in_doubt_is_not_accepted_by_a_restart() {
    let logs = Logs::new(1, "* * * * * *", "");
    assert_eq!(Daemon::start(&logs, &[]).stop(), Some(0));
    logs.fill(0, 100);
    // As the daemon leaves it when the clock jumps.
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    logs.state(&format!("INSERT INTO clocks VALUES ('host:{host}', 31536000, '2026-01-01 00:00:00');"));
    let daemon = Daemon::start(&logs, &[]);
    std::thread::sleep(Duration::from_secs(3));
    assert!(daemon.status().contains("the clock jumped by 31536000 s"), "{}", daemon.status());
    assert_eq!(logs.left(), 200, "nothing is begun");
    let accepted = logs.project.run(&["accept-clock", "--socket", "control.sock"]).expect_code(0);
    assert!(accepted.stdout.contains("this machine's clock is accepted"), "{}", accepted.stdout);
    logs.wait_until("it works", || logs.left() == 0);
    assert_eq!(daemon.stop(), Some(0));
    assert_eq!(logs.state("SELECT count(*) FROM clocks;").trim(), "0");
}

#[test]
fn while_the_state_is_away_nothing_is_begun_and_afterwards_nothing_was_lost() {
    let logs = daemon::postgres_logs(1, "*/2 * * * * *", "catch_up = \"all\"");
    let daemon = Daemon::start(&logs, &[]);
    logs.wait_until("it works", || logs.left() == 0);
    logs.cut_state();
    logs.wait_until("it is noticed", || daemon.status().contains("state is away"));
    // A run that was going may still end.
    std::thread::sleep(Duration::from_secs(2));
    logs.fill(0, 100);
    std::thread::sleep(Duration::from_secs(8));
    assert_eq!(logs.left(), 100, "nothing goes without a memory of it");
    logs.mend_state();
    logs.wait_until("it works again", || logs.left() == 0);
    logs.wait_until("and says so", || !daemon.status().contains("away"));
    assert_eq!(daemon.stop(), Some(0), "it is the same process");
    let runs = logs.runs();
    let slots = runs.slots("log0");
    let (first, last) = (*slots.keys().next().unwrap(), *slots.keys().next_back().unwrap());
    // The last may have been stopped with the daemon.
    for second in (first..last).step_by(2) {
        let found = slots.get(&second).map_or(&[][..], Vec::as_slice);
        let complete = found.iter().filter(|outcome| *outcome == "complete").count();
        assert_eq!(complete, 1, "slot {second}: {found:?}");
    }
}

#[test]
fn the_watchdog_hears_of_each_tick_and_of_none_while_it_stands_still() {
    let logs = Logs::new(1, "0 0 1 1 *", "");
    let daemon = Daemon::start(&logs, &[("WATCHDOG_USEC", "60000000")]);
    logs.wait_until("it is alive", || daemon.pings() >= 3);
    daemon.signal(rustix::process::Signal::STOP);
    std::thread::sleep(Duration::from_millis(500));
    let before = daemon.pings();
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(daemon.pings(), before);
    daemon.signal(rustix::process::Signal::CONT);
    logs.wait_until("it is alive again", || daemon.pings() > before + 2);
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn each_mistake_of_a_refused_file_is_a_line_of_the_log() {
    let logs = Logs::new(1, "0 0 1 1 *", "");
    let good = std::fs::read_to_string(logs.project.path("jobs.toml")).unwrap();
    let daemon = Daemon::start(&logs, &[("RETENTIOND_LOG_FORMAT", "json")]);
    let unknown: String = (0..30).map(|number| format!("unknown{number} = 1\n")).collect();
    logs.project.write_jobs(&format!("{good}{unknown}"));
    daemon.reload().expect_code(3);
    let log = std::fs::read_to_string(daemon.log()).unwrap();
    let messages: Vec<String> = log
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["message"].as_str().unwrap().to_owned())
        .collect();
    let of_file: Vec<&String> = messages.iter().filter(|message| message.contains("jobs.toml:")).collect();
    assert_eq!(of_file.len(), 20, "{messages:#?}");
    assert!(messages.iter().all(|message| !message.contains('\n')), "{messages:#?}");
    assert!(messages.iter().any(|message| message == "and 10 more"), "{messages:#?}");
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn many_jobs_that_are_due_at_once_all_run() {
    let jobs = if daemon::long() { 10_000 } else { 120 };
    // One minute has them all, a minute that begins when the daemon has long been ready.
    let lead = chrono::TimeDelta::seconds(if daemon::long() { 240 } else { 45 });
    let minute = (support::now() + lead).timestamp() / 60 * 60 + 60;
    let logs = Logs::many(jobs, chrono::DateTime::from_timestamp(minute, 0).unwrap());
    let started = Instant::now();
    let daemon = Daemon::start(&logs, &[]);
    eprintln!("{jobs} jobs: ready after {:.1} s", started.elapsed().as_secs_f64());
    let patience = Duration::from_secs(if daemon::long() { 1_800 } else { 180 });
    logs.wait_for(patience, "each job has run", || {
        logs.state("SELECT count(DISTINCT job) FROM slots WHERE outcome = 'complete';").trim() == jobs.to_string()
    });
    eprintln!("{jobs} jobs: all have run after {:.1} s", started.elapsed().as_secs_f64());
    assert_eq!(daemon.stop(), Some(0));
    let runs = logs.runs();
    let mut of_job: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for run in &runs.all {
        let slot = chrono::DateTime::parse_from_rfc3339(&run.slot).unwrap().timestamp();
        of_job.entry(&run.job).or_default().push(slot - minute);
    }
    for job in 0..i64::try_from(jobs).unwrap() {
        assert_eq!(of_job.get(&*format!("log{job}")), Some(&vec![job % 60]), "the one slot of log{job}, once");
    }
}

#[test]
fn an_idle_daemon_costs_next_to_nothing() {
    let logs = Logs::new(100, "0 0 1 1 *", "");
    let daemon = Daemon::start(&logs, &[]);
    // The stores are let go of after a minute.
    std::thread::sleep(Duration::from_secs(if daemon::long() { 90 } else { 5 }));
    let (cpu, _) = daemon.usage();
    let wait = Duration::from_secs(if daemon::long() { 120 } else { 10 });
    std::thread::sleep(wait);
    let (after, resident) = daemon.usage();
    let percent = (after - cpu).as_secs_f64() / wait.as_secs_f64() * 100.0;
    eprintln!("idle with 100 jobs: {percent:.3} % of a core, {:.1} MiB resident", resident as f64 / 1_048_576.0);
    if daemon::long() {
        assert!(percent < 0.3, "{percent} % of a core");
        assert!(resident < 40 * 1_048_576, "{resident} bytes resident");
    }
    assert_eq!(daemon.stop(), Some(0));
}
