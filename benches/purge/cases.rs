//! The measurements, one for each goal.

use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::bed::{Bed, Engine, Timing};
use crate::captures;
use crate::foreground::{percentile, pgbench, sqlite_writer};
use crate::lock_watch::LockWatch;
use crate::purger::{Purger, Run};
use crate::rollups;
use crate::server::run_sql;

/// What to do, and how often.
pub struct Plan {
    /// Pairs of A and B.
    pub reps: usize,
    /// Only the plain DELETE: for trying the harness itself.
    pub baseline: bool,
    /// The cutoff is so many days ago.
    pub days: i64,
    /// The same as a literal in UTC.
    pub cutoff: String,
}

/// A line of the results.
pub struct Line {
    pub case: String,
    pub work: String,
    pub goal: String,
    pub found: String,
    pub met: Option<bool>,
}

/// Makes its beds, measures, and gives the lines for the table.
type Measure = fn(&Plan) -> Vec<Line>;

/// Each case, by its name.
pub const CASES: &[(&str, Measure)] = &[
    ("pg-1m", |plan| purge(plan, "pg-1m", Engine::Postgres, 1_000_000, "PostgreSQL, half of 1 M rows", 0.75)),
    ("pg-10m", |plan| purge(plan, "pg-10m", Engine::Postgres, 10_000_000, "PostgreSQL, half of 10 M rows", 0.95)),
    ("pg-random", |plan| purge(plan, "pg-random", Engine::Postgres, 1_000_000, "PostgreSQL, 1 M in random order", 0.9)),
    ("pg-snapshot", snapshot),
    ("pg-parents", parents),
    ("mariadb", mariadb),
    ("sqlite", |plan| purge(plan, "sqlite", Engine::Sqlite, 1_000_000, "SQLite, half of 1 M rows", 0.7)),
    ("sqlite-paced", sqlite_paced),
    ("pg-pace", pace),
    ("rollup-pg", |plan| rollups::all(plan, "rollup-pg", Engine::Postgres, "PostgreSQL", 0.75, false)),
    ("rollup-pg-distinct", |plan| {
        rollups::all(plan, "rollup-pg-distinct", Engine::Postgres, "PostgreSQL, distinct actors too", 0.75, true)
    }),
    ("rollup-mariadb", |plan| rollups::all(plan, "rollup-mariadb", Engine::Mariadb, "MariaDB", 0.4, false)),
    ("rollup-sqlite", |plan| rollups::all(plan, "rollup-sqlite", Engine::Sqlite, "SQLite", 0.7, false)),
    ("rollup-day", rollups::day),
    ("capture-pg", |plan| captures::cost(plan, "capture-pg", Engine::Postgres, "PostgreSQL")),
    ("capture-mariadb", |plan| captures::cost(plan, "capture-mariadb", Engine::Mariadb, "MariaDB")),
    ("capture-sqlite", |plan| captures::cost(plan, "capture-sqlite", Engine::Sqlite, "SQLite")),
];

fn old_events(plan: &Plan) -> Vec<String> {
    vec![format!("DELETE FROM contact_events WHERE event_at < '{}'", plan.cutoff)]
}

pub fn median(values: &[f64]) -> f64 {
    percentile(&mut values.to_vec(), 0.5)
}

/// `median (least–most)`.
pub fn spread(values: &[f64], digits: usize) -> String {
    let (least, most) = values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(*v), b.max(*v)));
    format!("{:.digits$} ({least:.digits$}–{most:.digits$})", median(values))
}

/// A, B, A, B, …, A: each B is compared with the mean of its two neighbours.
struct Pairs {
    plain: Vec<Timing>,
    runs: Vec<Run>,
}

impl Pairs {
    fn measure(plan: &Plan, mut plain: impl FnMut() -> Timing, mut run: impl FnMut() -> Run) -> Self {
        let mut pairs = Self { plain: vec![plain()], runs: Vec::new() };
        tell("A", pairs.plain[0]);
        for _ in 0..plan.reps {
            if !plan.baseline {
                pairs.runs.push(run());
                tell("B", pairs.runs[pairs.runs.len() - 1].timing());
            }
            pairs.plain.push(plain());
            tell("A", pairs.plain[pairs.plain.len() - 1]);
        }
        pairs
    }

    fn ratios(&self, rate: impl Fn(&Run) -> f64) -> Vec<f64> {
        let neighbours = self.plain.windows(2).map(|two| f64::midpoint(two[0].rate(), two[1].rate()));
        self.runs.iter().zip(neighbours).map(|(run, plain)| rate(run) / plain).collect()
    }

    fn line(&self, case: &str, work: &str, least: f64) -> Line {
        let plain: Vec<f64> = self.plain.iter().map(|timing| timing.rate() / 1000.0).collect();
        let ratios = self.ratios(|run| run.timing().rate());
        let found = if ratios.is_empty() {
            format!("plain DELETE {} k rows/s", spread(&plain, 0))
        } else {
            format!(
                "{}; whole process {}; plain DELETE {} k rows/s",
                spread(&ratios, 2),
                spread(&self.ratios(|run| run.rows as f64 / run.wall), 2),
                spread(&plain, 0)
            )
        };
        let met = (!ratios.is_empty()).then(|| median(&ratios) >= least);
        Line { case: case.into(), work: work.into(), goal: format!("≥ {least} × plain DELETE"), found, met }
    }

    fn transactions(&self, case: &str, work: &str) -> Line {
        let medians: Vec<f64> = self.runs.iter().map(|run| run.median_ms).collect();
        let longest: Vec<f64> = self.runs.iter().map(|run| run.longest_ms).collect();
        let worst = longest.iter().copied().fold(0.0, f64::max);
        Line {
            case: format!("{case}, transactions"),
            work: work.into(),
            goal: "median ≤ 50 ms, longest ≤ 250 ms".into(),
            found: format!("median {}, longest {} ms", spread(&medians, 0), spread(&longest, 0)),
            met: (!self.runs.is_empty()).then(|| median(&medians) <= 50.0 && worst <= 250.0),
        }
    }

    fn memory(&self, case: &str, work: &str) -> Line {
        let peaks: Vec<f64> = self.runs.iter().map(|run| run.peak_kib as f64 / 1024.0).collect();
        Line {
            case: format!("{case}, memory"),
            work: work.into(),
            goal: "≤ 32 MiB resident".into(),
            found: format!("{} MiB", spread(&peaks, 1)),
            met: (!peaks.is_empty()).then(|| peaks.iter().all(|peak| *peak <= 32.0)),
        }
    }

    /// The lines of a case: the ratio, and what the runs themselves showed.
    fn lines(&self, case: &str, work: &str, least: f64) -> Vec<Line> {
        let mut lines = vec![self.line(case, work, least)];
        if !self.runs.is_empty() {
            lines.extend([self.transactions(case, work), self.memory(case, work)]);
        }
        lines
    }
}

pub fn tell(who: &str, timing: Timing) {
    println!("  {who} {} rows in {:.3} s, {:.0} rows/s", timing.rows, timing.seconds, timing.rate());
}

/// A bed with retentiond's tables in it, and the purger for it.
fn ready(plan: &Plan, engine: Engine, events: u64, shuffled: bool, parents: bool) -> (Bed, Purger) {
    println!("  loading {events} events");
    let bed = Bed::make(engine, events, shuffled);
    if !plan.baseline {
        Purger::new(engine, bed.lasting(), plan.days, parents).init();
    }
    let purger = Purger::new(engine, &bed.url, plan.days, parents);
    (bed, purger)
}

fn purge(plan: &Plan, case: &str, engine: Engine, events: u64, work: &str, least: f64) -> Vec<Line> {
    let (bed, purger) = ready(plan, engine, events, case == "pg-random", false);
    let plain = || {
        bed.reset();
        bed.one_shot(&old_events(plan))
    };
    let run = || {
        bed.reset();
        purger.run(true)
    };
    Pairs::measure(plan, plain, run).lines(case, &format!("{work}, unpaced"), least)
}

fn snapshot(plan: &Plan) -> Vec<Line> {
    let (bed, purger) = ready(plan, Engine::Postgres, 1_000_000, false, false);
    let plain = || {
        bed.reset();
        let _held = bed.old_snapshot();
        bed.one_shot(&old_events(plan))
    };
    let mut slowing = Vec::new();
    let run = || {
        bed.reset();
        let _held = bed.old_snapshot();
        let run = purger.run(true);
        slowing.push(last_tenth_to_first(&bed));
        run
    };
    let work = "PostgreSQL, half of 1 M rows, old snapshot open, unpaced";
    let mut lines = Pairs::measure(plan, plain, run).lines("pg-snapshot", work, 0.6);
    lines.push(Line {
        case: "pg-snapshot, last tenth".into(),
        work: work.into(),
        goal: "last tenth ≤ 1.5 × the first, time a row".into(),
        found: spread(&slowing, 2),
        met: (!slowing.is_empty()).then(|| median(&slowing) <= 1.5),
    });
    lines
}

/// Time a row over the last tenth of the rows, as a multiple of the first tenth, by the ledger's own instants. The very
/// last batch is left out: it is a remainder, whose time goes into looking for more.
fn last_tenth_to_first(bed: &Bed) -> f64 {
    let sql = "SELECT extract(epoch FROM written_at), row_count FROM retentiond_ledger ORDER BY written_at, batch";
    let said = run_sql(&bed.url, sql);
    let written: Vec<(f64, f64)> = said
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .filter_map(|(at, rows)| Some((at.parse().ok()?, rows.parse().ok()?)))
        .collect();
    let mut batches: Vec<(f64, f64)> = written.windows(2).map(|two| (two[1].0 - two[0].0, two[1].1)).collect();
    batches.pop();
    let all: f64 = batches.iter().map(|(_, rows)| rows).sum();
    let per_row = |batches: &mut dyn Iterator<Item = &(f64, f64)>| {
        let (mut seconds, mut rows) = (0.0, 0.0);
        while let Some((took, removed)) = batches.next().filter(|_| rows < all / 10.0) {
            (seconds, rows) = (seconds + took, rows + removed);
        }
        seconds / rows
    };
    per_row(&mut batches.iter().rev()) / per_row(&mut batches.iter())
}

fn parents(plan: &Plan) -> Vec<Line> {
    let (bed, purger) = ready(plan, Engine::Postgres, 1_000_000, false, true);
    let old = format!("started_at < '{}'", plan.cutoff);
    let child = |table: &str| format!("DELETE FROM {table} WHERE contact_id IN (SELECT id FROM contacts WHERE {old})");
    let statements = [child("contact_events"), child("recordings"), format!("DELETE FROM contacts WHERE {old}")];
    let plain = || {
        bed.reset();
        bed.one_shot(&statements)
    };
    let run = || {
        bed.reset();
        purger.run(true)
    };
    let work = "PostgreSQL, parents with two child tables, NO ACTION, unpaced";
    Pairs::measure(plan, plain, run).lines("pg-parents", work, 0.9)
}

fn mariadb(plan: &Plan) -> Vec<Line> {
    let (bed, purger) = ready(plan, Engine::Mariadb, 1_000_000, false, false);
    let mut locked = Vec::new();
    let plain = || {
        bed.reset();
        bed.one_shot(&old_events(plan))
    };
    let run = || {
        bed.reset();
        purger.run(true)
    };
    let work = "MariaDB, half of 1 M rows, unpaced";
    let pairs = Pairs::measure(plan, plain, run);
    let mut lines = pairs.lines("mariadb", work, 0.40);
    lines.push(archiver(plan, &bed, &pairs));
    if !plan.baseline {
        bed.reset();
        let watch = LockWatch::start(&bed);
        purger.run(true);
        locked.push(watch.finish());
    }
    let found = match locked.first() {
        Some(Some((share, locks, rows))) => format!("{locks} locks for {rows} rows ({:+.1} %)", (share - 1.0) * 100.0),
        _ => "no sample".into(),
    };
    lines.push(Line {
        case: "mariadb, locks".into(),
        work: "MariaDB, rows locked by a batch, most in any sample".into(),
        goal: "≤ rows of the batch + 1 %".into(),
        found,
        met: locked.first().and_then(|sample| sample.as_ref()).map(|(share, ..)| *share <= 1.01),
    });
    lines
}

/// pt-archiver as tuned for the goals, where it is installed.
fn archiver(plan: &Plan, bed: &Bed, pairs: &Pairs) -> Line {
    let line = |found: String, met| Line {
        case: "mariadb, pt-archiver".into(),
        work: "MariaDB, half of 1 M rows, against pt-archiver --limit 1000 --commit-each --bulk-delete".into(),
        goal: "≥ 1.8 × pt-archiver".into(),
        found,
        met,
    };
    if Command::new("pt-archiver").arg("--version").stdout(Stdio::null()).status().is_err() {
        return line("not measured: pt-archiver is not installed (apt-get install percona-toolkit)".into(), None);
    }
    let (place, db) = bed.url.rsplit_once('/').expect("an address with a database");
    let port = place.rsplit(':').next().expect("an address with a port");
    let mut rates = Vec::new();
    for _ in 0..plan.reps.min(2) {
        bed.reset();
        let source = format!("h=127.0.0.1,P={port},u=root,D={db},t=contact_events,i=contact_events_at");
        let filter = format!("event_at < '{}'", plan.cutoff);
        let begun = Instant::now();
        let output = Command::new("pt-archiver")
            .args(["--source", &source, "--purge", "--where", &filter, "--no-check-charset", "--statistics"])
            .args(["--limit", "1000", "--commit-each", "--bulk-delete", "--primary-key-only"])
            .output()
            .expect("pt-archiver starts");
        let seconds = begun.elapsed().as_secs_f64();
        let said = String::from_utf8_lossy(&output.stdout);
        let rows = said.lines().find_map(|line| line.strip_prefix("DELETE ")?.trim().parse::<u64>().ok());
        let rows = rows.unwrap_or_else(|| panic!("pt-archiver: {}", String::from_utf8_lossy(&output.stderr)));
        tell("pt-archiver", Timing { rows, seconds });
        rates.push(rows as f64 / seconds);
    }
    if pairs.runs.is_empty() {
        return line(format!("pt-archiver {:.0} rows/s", median(&rates)), None);
    }
    let ratios: Vec<f64> = pairs.runs.iter().map(|run| run.rows as f64 / run.wall / median(&rates)).collect();
    line(format!("{} (whole processes)", spread(&ratios, 2)), Some(median(&ratios) >= 1.8))
}

fn sqlite_paced(plan: &Plan) -> Vec<Line> {
    let (bed, purger) = ready(plan, Engine::Sqlite, 1_000_000, false, false);
    let (mut p99, mut longest, mut rates) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..plan.reps {
        bed.reset();
        let (stop, writer) = sqlite_writer(&bed);
        std::thread::sleep(Duration::from_secs(1));
        let timing = if plan.baseline { bed.one_shot(&old_events(plan)) } else { purger.run(false).timing() };
        stop.store(true, Ordering::Relaxed);
        let mut latencies = writer.join().expect("the writer ends");
        p99.push(percentile(&mut latencies, 0.99));
        longest.push(percentile(&mut latencies, 1.0));
        rates.push(timing.rate() / 1000.0);
        tell(if plan.baseline { "A" } else { "B" }, timing);
    }
    vec![Line {
        case: "sqlite-paced".into(),
        work: "SQLite, half of 1 M rows at the default pace, a writer each 10 ms beside it".into(),
        goal: "writer's p99 ≤ 20 ms at ≥ 15 k rows/s".into(),
        found: format!(
            "p99 {} ms, longest {} ms, at {} k rows/s",
            spread(&p99, 1),
            spread(&longest, 0),
            spread(&rates, 1)
        ),
        met: (!plan.baseline).then(|| median(&p99) <= 20.0 && median(&rates) >= 15.0),
    }]
}

fn pace(plan: &Plan) -> Vec<Line> {
    let (bed, purger) = ready(plan, Engine::Postgres, 10_000_000, false, false);
    let (mut with, mut without, mut rates) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..plan.reps.min(2) {
        for control in [true, false] {
            if plan.baseline && !control {
                continue;
            }
            bed.reset();
            let mut slots = pgbench(&bed, (!control).then_some(&purger), 6);
            let ratio = percentile(&mut slots.on, 0.95) / percentile(&mut slots.off, 0.95);
            println!("  {} p95 on/off {ratio:.2}", if control { "control" } else { "purge" });
            if control {
                without.push(ratio);
            } else {
                with.push(ratio);
                rates.push(slots.rows as f64 / slots.seconds / 1000.0);
            }
        }
    }
    let control = format!("control without a purge {}", spread(&without, 2));
    vec![Line {
        case: "pg-pace".into(),
        work: "PostgreSQL, 10 M rows at the default pace, reads and inserts at 300/s beside it".into(),
        goal: "p95 with the purge ≤ 1.10 × without".into(),
        found: if with.is_empty() {
            control
        } else {
            format!("{}, at {} k rows/s; {control}", spread(&with, 2), spread(&rates, 0))
        },
        met: (!with.is_empty()).then(|| median(&with) <= 1.10),
    }]
}
