//! `make bench`: retentiond against one plain DELETE of the same rows on the same server, interleaved A B A B.
//!
//! Only ratios are compared: the machine has neighbours, and absolute numbers swing by two or three. Arguments name the
//! cases (all without any), `--reps N` or `REPS=N` says how many pairs, `--baseline` measures the plain DELETE alone.
//! What was measured is put into `benches/RESULTS.md`; lines of cases that were left out stay.
#![expect(clippy::expect_used, reason = "a measurement that cannot be made ends the program")]

mod bed;
mod captures;
mod cases;
mod data;
mod foreground;
mod lock_watch;
mod purger;
mod rollups;
#[path = "../../tests/support/server.rs"]
#[allow(dead_code, clippy::expect_used, reason = "shared with the tests, which use more of it")]
mod server;

use std::path::Path;
use std::process::Command;

use cases::{CASES, Line, Plan};
use chrono::{DateTime, TimeDelta, Utc};
use retentiond::clock::Clock;

/// Half of the rows are older than this.
const MIDDLE: &str = "2025-01-01T00:00:00Z";

fn main() {
    let names: Vec<&str> = CASES.iter().map(|(name, _)| *name).collect();
    let (mut reps, mut baseline, mut chosen) = (std::env::var("REPS").ok(), false, Vec::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--bench" => {} // what cargo itself says
            "--reps" => reps = arguments.next(),
            "--baseline" => baseline = true,
            name if names.contains(&name) => chosen.push(name.to_owned()),
            other => return usage(&format!("`{other}` is no case"), &names),
        }
    }
    let Ok(reps) = reps.as_deref().unwrap_or("3").parse() else {
        return usage("--reps takes a number", &names);
    };
    if std::env::var("RETENTIOND_SERVERS").as_deref() != Ok("bench") {
        return usage("the servers of the tests forget everything and measure nothing: use `make bench`", &names);
    }
    let now = Clock::system().now();
    let middle: DateTime<Utc> = MIDDLE.parse().expect("an instant");
    let days = (now - middle).num_days();
    let cutoff = (now - TimeDelta::days(days)).format("%Y-%m-%d %H:%M:%S").to_string();
    let plan = Plan { reps, baseline, days, cutoff };
    let mut lines = Vec::new();
    for (name, case) in CASES.iter().filter(|(name, _)| chosen.is_empty() || chosen.iter().any(|c| c == name)) {
        println!("{name}");
        for line in case(&plan) {
            println!("  {}: {} — {} ({})", line.case, line.found, line.goal, verdict(line.met));
            lines.push(line);
        }
    }
    if !baseline {
        write(&lines, &now.format("%Y-%m-%d").to_string(), reps);
    }
}

fn usage(what: &str, names: &[&str]) {
    eprintln!("{what}\nusage: make bench [ARGS=\"CASE… --reps N --baseline\"]\ncases: {}", names.join(" "));
    std::process::exit(2);
}

fn verdict(met: Option<bool>) -> &'static str {
    match met {
        Some(true) => "met",
        Some(false) => "**missed**",
        None => "–",
    }
}

/// Writes the results; lines of earlier runs stay where a case was not measured now.
fn write(lines: &[Line], date: &str, reps: usize) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/RESULTS.md");
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    let mut rows: Vec<String> = before.lines().filter(|line| line.starts_with("| `")).map(str::to_owned).collect();
    for line in lines {
        let start = format!("| `{}` |", line.case);
        let row = format!("{start} {} | {} | {} | {} | {date} |", line.work, line.goal, line.found, verdict(line.met));
        match rows.iter_mut().find(|row| row.starts_with(&start)) {
            Some(old) => *old = row,
            None => rows.push(row),
        }
    }
    let text = format!(
        "# What `make bench` measured\n\n\
         retentiond against one plain `DELETE` of the same rows on the same server, interleaved A B A B A ({reps} pairs \
         in the last run), each on a fresh copy of the table. Numbers are ratios of rows a second, median (least–most); \
         *whole process* counts starting, checking and planning too. Only ratios mean anything: the machine is shared.\n\n\
         {}\n\n| case | work | goal | found | | measured |\n| --- | --- | --- | --- | --- | --- |\n{}\n",
        machine(),
        rows.join("\n")
    );
    std::fs::write(&path, text).expect("benches/RESULTS.md is written");
    println!("written to {}", path.display());
}

/// The machine and the versions, a line each.
fn machine() -> String {
    let ask = |program: &str, args: &[&str]| {
        let output = Command::new(program).args(args).output();
        output.map_or_else(|_| "?".to_owned(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let read = |file: &str, label: &str| {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(label)).unwrap_or_default();
        line.split_once(':').map_or("?", |(_, value)| value.trim()).to_owned()
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    [
        format!("- {} × {}, {}", cores, read("/proc/cpuinfo", "model name"), read("/proc/meminfo", "MemTotal")),
        format!("- Linux {}", ask("uname", &["-r"])),
        format!("- {}", server::run_sql(&server::postgres().url("postgres"), "SELECT version()").trim()),
        format!("- MariaDB {}", server::run_sql(&server::mariadb().url("mysql"), "SELECT version()").trim()),
        format!("- sqlite3 {} for the plain DELETE", ask("sqlite3", &["--version"]).split(' ').next().unwrap_or("?")),
        format!("- {}; commit {}", ask("rustc", &["--version"]), ask("git", &["rev-parse", "--short", "HEAD"])),
    ]
    .join("\n")
}
