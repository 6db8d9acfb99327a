//! Work in the foreground while a purge goes on: how long do the application's own statements take?

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, SqliteConnection};
use retentiond::clock::Clock;

use crate::bed::Bed;
use crate::purger::{Purger, finish};
use crate::server::run_sql;

const READ: &str = "\\set id random(1, 1900000)\nSELECT * FROM contacts WHERE id = :id;\n\
    SELECT * FROM contact_events WHERE contact_id = :id;\n";
const INSERT: &str = "BEGIN;\n\
    INSERT INTO contacts(id,uuid,queue_id,user_id,channel,started_at,subject) \
    VALUES (nextval('s'), gen_random_uuid(), 1, 5, 'voice', now(), 'new') RETURNING id \\gset\n\
    INSERT INTO contact_events(id,contact_id,event_at,kind,code,data) \
    VALUES (nextval('s'), :id, now(), 'queued', 1, 'x');\nCOMMIT;\n";
/// A slot with the purge on; what is before the settling time does not count, since the run is planning then.
const ON: Duration = Duration::from_secs(9);
const SETTLING: Duration = Duration::from_secs(4);
const OFF: Duration = Duration::from_secs(5);

/// The value below which `share` of the latencies lie; the latencies are sorted by this.
pub fn percentile(latencies: &mut [f64], share: f64) -> f64 {
    latencies.sort_by(f64::total_cmp);
    let last = latencies.len().saturating_sub(1);
    latencies.get(((latencies.len() as f64 * share) as usize).min(last)).copied().unwrap_or(f64::NAN)
}

/// Latencies in milliseconds of slots with and without a purge, in one run of pgbench.
#[derive(Default)]
pub struct Slots {
    pub on: Vec<f64>,
    pub off: Vec<f64>,
    pub rows: u64,
    pub seconds: f64,
}

/// Runs 80 % reads and 20 % inserts at 300 a second, and the purge at its default pace in every other slot. Without a
/// purger, both kinds of slot are quiet: what differs then is chance.
pub fn pgbench(bed: &Bed, purger: Option<&Purger>, pairs: u32) -> Slots {
    run_sql(&bed.url, "CREATE SEQUENCE s START 1000000000 CACHE 100");
    let dir = tempfile::tempdir().expect("a temporary directory");
    for (name, script) in [("read.sql", READ), ("insert.sql", INSERT)] {
        std::fs::write(dir.path().join(name), script).expect("a script");
    }
    let length = (ON + OFF) * pairs + Duration::from_secs(4);
    let mut bench = Command::new(pgbench_program())
        .args(["-n", "-M", "prepared", "-f", "read.sql@8", "-f", "insert.sql@2", "-c", "4", "-j", "1", "-R", "300"])
        .args(["-T", &length.as_secs().to_string(), "-l", "--log-prefix=log", &bed.url])
        .current_dir(dir.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("pgbench starts");
    std::thread::sleep(Duration::from_millis(1500));
    let (mut slots, mut times, mut first) = (Slots::default(), Vec::new(), true);
    for pair in 0..pairs {
        for on in [pair % 2 == 0, pair % 2 == 1] {
            let begun = epoch();
            if on {
                if let Some(purger) = purger {
                    let run = slot(purger, std::mem::take(&mut first));
                    slots.rows += run.rows;
                    slots.seconds += run.seconds;
                } else {
                    std::thread::sleep(ON);
                }
                times.push((begun + SETTLING.as_secs_f64(), begun + ON.as_secs_f64() - 0.1, true));
            } else {
                std::thread::sleep(OFF);
                times.push((begun + 0.2, begun + OFF.as_secs_f64() - 0.1, false));
            }
        }
    }
    assert!(bench.wait().expect("pgbench ends").success(), "pgbench failed");
    for entry in std::fs::read_dir(dir.path()).expect("the folder").flatten() {
        if entry.file_name().to_string_lossy().starts_with("log.") {
            read_log(&std::fs::read_to_string(entry.path()).expect("a log"), &times, &mut slots);
        }
    }
    slots
}

/// One run that is stopped at the end of its slot as an operator would stop it.
fn slot(purger: &Purger, first: bool) -> crate::purger::Run {
    let (begun, mut child) = if first { purger.start(false) } else { purger.go_on(false) };
    while begun.elapsed() < ON - Duration::from_millis(100) && child.try_wait().expect("our child").is_none() {
        std::thread::sleep(Duration::from_millis(10));
    }
    if child.try_wait().expect("our child").is_none() {
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("a signal to our child");
    }
    let run = finish(begun, child);
    std::thread::sleep(ON.saturating_sub(begun.elapsed()));
    run
}

/// `client transaction latency script seconds microseconds …`; skipped ones have no number.
fn read_log(log: &str, times: &[(f64, f64, bool)], slots: &mut Slots) {
    for line in log.lines() {
        let field: Vec<f64> = line.split(' ').map(|text| text.parse().unwrap_or(f64::NAN)).collect();
        let [_, _, latency, _, seconds, micros, ..] = field[..] else { continue };
        let at = seconds + micros / 1e6;
        if let Some((_, _, on)) = times.iter().find(|(from, to, _)| (*from..*to).contains(&at)) {
            let list = if *on { &mut slots.on } else { &mut slots.off };
            list.push(latency / 1000.0);
        }
    }
}

fn epoch() -> f64 {
    Clock::system().now().timestamp_micros() as f64 / 1e6
}

fn pgbench_program() -> String {
    let found = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let programs = found.map(|version| version.path().join("bin/pgbench")).filter(|path| path.exists());
    programs.max().map_or("pgbench".to_owned(), |path| path.display().to_string())
}

/// A writer that inserts a row each 10 ms until it is told to stop; gives its latencies in milliseconds.
pub fn sqlite_writer(bed: &Bed) -> (Arc<AtomicBool>, std::thread::JoinHandle<Vec<f64>>) {
    let (stop, path) = (Arc::new(AtomicBool::new(false)), bed.file().display().to_string());
    let told = Arc::clone(&stop);
    let writer = std::thread::spawn(move || {
        let mut conn = SqliteConnection::establish(&path).expect("the database opens");
        let session = "PRAGMA busy_timeout=30000; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON";
        conn.batch_execute(session).expect("a session");
        let mut latencies = Vec::new();
        let mut id = 1_000_000_000_u64;
        while !told.load(Ordering::Relaxed) {
            id += 1;
            let begun = Instant::now();
            let row = format!("INSERT INTO contact_events VALUES ({id}, 1, '2026-01-01 00:00:00', 'queued', 1, 'x')");
            conn.batch_execute(&row).expect("an insert");
            latencies.push(begun.elapsed().as_secs_f64() * 1000.0);
            std::thread::sleep(Duration::from_millis(10));
        }
        latencies
    });
    (stop, writer)
}
