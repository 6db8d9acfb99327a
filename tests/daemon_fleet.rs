//! Three daemons share one state on PostgreSQL. They are killed, and suspended for twice the lease, at random; each slot is
//! done once all the same, and no batch is committed under a lost lease.
//!
//! `RETENTIOND_TORTURE=long` goes on until a thousand slots are done.
#![expect(clippy::unwrap_used, reason = "the helpers of a test stop it by panicking")]

#[path = "support/daemon.rs"]
mod daemon;
mod support;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use daemon::{Daemon, Logs, Random};
use rustix::process::Signal;

const JOBS: usize = 4;
/// Twice the lease that the tests' policies say.
const SUSPENDED: Duration = Duration::from_secs(6);

#[test]
fn daemons_that_are_killed_and_suspended_do_each_slot_once() {
    let wanted = if daemon::long() { 1_000 } else { 60 };
    let logs = daemon::postgres_logs(JOBS, "*/2 * * * * *", "catch_up = \"all\"");
    for store in 0..JOBS {
        logs.in_store(store, "ALTER TABLE retentiond_ledger ADD COLUMN place bigserial;");
    }
    let mut daemons: Vec<Option<Daemon>> =
        (0..3).map(|at| Some(Daemon::start_at(&logs, &format!("control{at}.sock"), &[]))).collect();
    let seed = std::env::var("RETENTIOND_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()));
    eprintln!("RETENTIOND_SEED={seed}");
    let mut random = Random::new(seed);
    let (mut kills, mut stops, mut fed) = (0, 0, 100 * JOBS as u64);
    let until = Instant::now() + Duration::from_secs(if daemon::long() { 3_000 } else { 240 });
    while done(&logs) < wanted {
        assert!(Instant::now() < until, "{} of {wanted} slots are done", done(&logs));
        for store in 0..JOBS {
            logs.fill(store, 20);
            fed += 20;
        }
        std::thread::sleep(Duration::from_millis(500 + u64::try_from(random.below(1_500)).unwrap()));
        let one = random.below(3);
        if random.below(2) == 0 {
            daemons[one].take().unwrap().kill();
            kills += 1;
            daemons[one] = Some(Daemon::start_at(&logs, &format!("control{one}.sock"), &[]));
        } else {
            daemons[one].as_ref().unwrap().signal(Signal::STOP);
            std::thread::sleep(SUSPENDED);
            daemons[one].as_ref().unwrap().signal(Signal::CONT);
            stops += 1;
        }
    }
    logs.wait_for(Duration::from_secs(120), "nothing is left", || logs.left() == 0);
    // A slot whose run found a lock of a suspended daemon waits for another try, for as long as that daemon might make it.
    logs.wait_for(Duration::from_secs(180), "no slot waits for another try", || waiting(&logs) == 0);
    for daemon in daemons.into_iter().flatten() {
        assert_eq!(daemon.stop(), Some(0));
    }
    eprintln!("{} slots done; {kills} kills, {stops} times suspended", done(&logs));
    each_slot_once(&logs);
    no_batch_under_a_lost_lease(&logs);
    assert_eq!(logs.ledger(), fed, "each row went once");
}

/// A daemon that is killed leaves its retry to whoever comes, soon after it would have made it itself.
#[test]
fn a_retry_is_anybodys_soon_after_its_time() {
    let logs = Logs::new(1, "* * * * * *", "catch_up = \"all\"");
    let (there, away) = (logs.project.path("log0.db"), logs.project.path("log0.away"));
    std::fs::rename(&there, &away).unwrap();
    let daemon = Daemon::start(&logs, &[]);
    let wait = || {
        let seconds = "SELECT CAST((julianday(not_before) - julianday('now')) * 86400 AS INTEGER) FROM slots WHERE ended_at IS NULL AND attempts > 0 AND not_before > datetime('now');";
        logs.state(seconds).lines().filter_map(|line| line.parse::<u64>().ok()).max()
    };
    logs.wait_until("a slot waits for another try", || wait().is_some());
    daemon.kill();
    // Thirty seconds for the daemon that failed, and a minute more for another.
    assert!(wait().is_some_and(|seconds| seconds <= 90), "{:?}", wait());
}

fn waiting(logs: &Logs) -> usize {
    let waiting =
        "SELECT count(*) FROM slots WHERE ended_at IS NULL AND attempts > 0 AND not_before > now() AT TIME ZONE 'UTC';";
    logs.state(waiting).trim().parse().unwrap()
}

fn done(logs: &Logs) -> usize {
    logs.state("SELECT count(*) FROM slots WHERE outcome = 'complete';").trim().parse().unwrap()
}

/// Each slot of each job between its first and its last is there, and has one run that came to its end.
fn each_slot_once(logs: &Logs) {
    let runs = logs.runs();
    for job in 0..JOBS {
        let slots = runs.slots(&format!("log{job}"));
        let (first, last) = (*slots.keys().next().unwrap(), *slots.keys().next_back().unwrap());
        for second in (first..last).step_by(2) {
            let found = slots.get(&second).map_or(&[][..], Vec::as_slice);
            let complete = found.iter().filter(|outcome| *outcome == "complete").count();
            let at = chrono::DateTime::from_timestamp(second, 0).unwrap();
            let of_slot = |run: &&daemon::Run| run.slot.parse() == Ok(at) && run.job == format!("log{job}");
            let notes: Vec<_> = runs.all.iter().filter(of_slot).map(|run| (&run.note, &run.trigger)).collect();
            assert_eq!(complete, 1, "slot {second} of log{job}: {found:?} {notes:?}");
        }
    }
}

/// In the order in which they were written, the batches of a job's runs never alternate: once a run has taken the job over,
/// the run before commits nothing any more.
fn no_batch_under_a_lost_lease(logs: &Logs) {
    for store in 0..JOBS {
        let rows = logs.in_store(store, "SELECT job, run FROM retentiond_ledger ORDER BY place;");
        let mut last: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (job, run) in rows.lines().filter_map(|line| line.split_once('\t')) {
            let runs = last.entry(job).or_default();
            if runs.last() != Some(&run) {
                assert!(!runs.contains(&run), "run {run} of {job} went on after another had taken over");
                runs.push(run);
            }
        }
    }
}
