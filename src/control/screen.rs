//! One screen: is everything within policy, and if not, why? Counts, states and names; never whom anything is about.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use serde_json::{Value, json};

use super::auditing;
use super::clocks::doubts;
use super::failure::{Exit, Failure};
use super::requests;
use super::site::Site;
use super::survey::{Surveyed, Verdict, survey};
use crate::clock::Clock;
use crate::config::Loaded;
use crate::config::document::Document;
use crate::jobs::Overdue;
use crate::plan::grouped;
use crate::store::pool::Database;

/// All that is shown.
pub struct Screen {
    zone: chrono_tz::Tz,
    enabled: bool,
    now: DateTime<Utc>,
    jobs: Vec<Surveyed>,
    /// Stores that are away, and why.
    away: BTreeMap<String, String>,
    /// Tenants of which nothing is known, since their map is wrong.
    wrong: BTreeMap<String, Failure>,
    /// What the daemon says of itself; `None` when none answers.
    daemon: Option<String>,
    clocks: Vec<String>,
    /// What is wrong with the audit trail's checkpoints, and since when.
    trail: Option<(String, DateTime<Utc>)>,
    /// Open requests for reports.
    requests: Vec<requests::Listed>,
}

impl Screen {
    /// An empty one.
    pub fn new(document: &Document, now: DateTime<Utc>, daemon: Option<String>) -> Self {
        Self {
            zone: document.timezone,
            enabled: document.enabled,
            now,
            jobs: Vec::new(),
            away: BTreeMap::new(),
            wrong: BTreeMap::new(),
            daemon,
            clocks: Vec::new(),
            trail: None,
            requests: Vec::new(),
        }
    }

    /// Looks at one installation.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn add(&mut self, site: &Site, memory: &Database) -> Result<(), Failure> {
        self.jobs.extend(survey(site, memory, self.now)?);
        // This machine's clock is everybody's.
        for doubt in doubts(site, &mut *memory.conn()?, Clock::system())? {
            if !self.clocks.contains(&doubt) {
                self.clocks.push(doubt);
            }
        }
        let whose = site.loaded.document.tenant.as_ref().map(|tenant| format!("@{tenant}")).unwrap_or_default();
        self.away.extend(site.away.iter().map(|(store, why)| (format!("{store}{whose}"), why.clone())));
        Ok(())
    }

    /// One of several tenants that could not be looked at is named, and the others are shown all the same.
    ///
    /// # Errors
    /// When there are no others.
    pub fn unless_wrong(&mut self, part: &Loaded, looked: Result<(), Failure>, parts: usize) -> Result<(), Failure> {
        match (looked, &part.document.tenant) {
            (Err(failure), Some(tenant)) if parts > 1 => drop(self.wrong.insert(tenant.to_string(), failure)),
            (looked, _) => return looked,
        }
        Ok(())
    }

    /// Adds the open requests of this memory, which these jobs answer, and what is wrong with the audit trail.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn add_state(&mut self, memory: &Database, jobs: &requests::JobNames) -> Result<(), Failure> {
        self.requests = requests::list(&mut *memory.conn()?, jobs, false)?;
        self.trail = auditing::trouble(&mut *memory.conn()?)?;
        Ok(())
    }

    fn verdict(&self) -> Verdict {
        match Verdict::of(&self.jobs) {
            Verdict::Within if !self.wrong.is_empty() => Verdict::Unknown,
            verdict => verdict,
        }
    }

    /// 4 when something is overdue, 5 when nothing is that could be looked at, but not all could; what is wrong with a
    /// tenant counts more.
    pub fn exit(&self) -> Exit {
        let exit = match Verdict::of(&self.jobs) {
            Verdict::Outside => Exit::Braked,
            Verdict::Unknown => Exit::Unreachable,
            Verdict::Within => Exit::Done,
        };
        self.wrong.values().map(Failure::exit).fold(exit, Exit::worse)
    }
}

fn utc(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// The screen for programs.
pub fn to_json(screen: &Screen) -> Value {
    let overdue = |rule: &Overdue| {
        json!({
            "data": rule.data, "rule": rule.rule, "rows": rule.rows, "at_least": rule.capped,
            "oldest": rule.oldest.map(utc), "oldest_overdue_seconds": overdue_seconds(rule),
        })
    };
    let jobs: Vec<Value> = screen
        .jobs
        .iter()
        .map(|job| {
            let (rules, error) = match &job.overdue {
                Ok(rules) => (rules.iter().map(overdue).collect(), None),
                Err(error) => (Vec::new(), Some(error)),
            };
            json!({
                "job": job.job, "kind": job.kind, "enabled": job.enabled, "paused": job.paused,
                "within_policy": job.verdict().is_within(),
                "overdue_rows": job.overdue.as_ref().ok().map(|rules| rules.iter().filter_map(|rule| rule.rows).sum::<u64>()),
                "data": rules, "error": error,
                "unseen": job.unseen.iter().map(|unseen| json!({ "data": unseen.data, "store": unseen.store })).collect::<Vec<_>>(),
                "overdue_after_seconds": job.turn.num_seconds(),
                "last_success": job.last_success.map(utc),
                "last_outcome": job.last_run.as_ref().and_then(|run| run.outcome.clone()),
                "last_note": job.last_run.as_ref().and_then(|run| run.note.clone()),
                "waiting": job.waiting.as_ref().map(|waiting| json!({
                    "plan": waiting.plan, "brakes": waiting.brakes, "approved_until": waiting.approved_until.map(utc),
                    "command": format!("retentiond approve {} {}", job.job, waiting.plan),
                })),
            })
        })
        .collect();
    let wrong = |(tenant, failure): (&String, &Failure)| (tenant.clone(), failure.lines(20).into());
    json!({
        "tenants_wrong": screen.wrong.iter().map(wrong).collect::<serde_json::Map<_, _>>(),
        "within_policy": screen.verdict().is_within(), "now": utc(screen.now), "daemon": screen.daemon.is_some(),
        "daemon_says": screen.daemon, "clock_doubts": screen.clocks, "stores_away": screen.away,
        "trail_trouble": screen.trail.as_ref().map(|(why, since)| json!({ "why": why, "since": utc(*since) })),
        "enabled": screen.enabled, "jobs": jobs,
        "requests": requests::to_json(&screen.requests, screen.now, screen.zone)["requests"],
    })
}

/// For how long the oldest row has been expired.
fn overdue_seconds(rule: &Overdue) -> Option<i64> {
    Some((rule.cutoff? - rule.oldest?).num_seconds())
}

/// The screen for people.
pub fn to_text(screen: &Screen) -> String {
    let day = |at: DateTime<Utc>| at.with_timezone(&screen.zone).format("%Y-%m-%d %H:%M").to_string();
    let verdict = match screen.verdict() {
        Verdict::Within => "Everything is within policy",
        Verdict::Unknown => {
            "NOT KNOWN whether everything is within policy; nothing is overdue that could be looked at,"
        }
        Verdict::Outside => "NOT within policy",
    };
    let mut lines = vec![format!("{verdict} at {}", day(screen.now))];
    lines.push(match &screen.daemon {
        Some(line) => format!("The daemon runs: {line}."),
        None => "No daemon answers: jobs run by hand only.".to_owned(),
    });
    if !screen.enabled {
        lines.push("The file says enabled = false: no job runs by itself.".to_owned());
    }
    lines.extend(screen.clocks.iter().map(|doubt| format!("CLOCK: {doubt}.")));
    if let Some((why, since)) = &screen.trail {
        lines.push(format!("AUDIT TRAIL: since {}, {why}.", day(*since)));
    }
    let away = |(store, why): (&String, &String)| {
        if why.contains(store.as_str()) { format!("AWAY: {why}.") } else { format!("AWAY: store `{store}`: {why}.") }
    };
    lines.extend(screen.away.iter().map(away));
    for (tenant, failure) in &screen.wrong {
        lines.push(format!("WRONG: of tenant {tenant} nothing is known, and none of its jobs runs:"));
        lines.extend(failure.lines(5).iter().map(|line| format!("  {line}")));
    }
    lines.push(table(&screen.jobs, &day).to_string());
    for job in &screen.jobs {
        lines.extend(reasons(job, &day).iter().map(|reason| format!("  {}: {reason}", job.job)));
    }
    lines.extend(of_requests(&screen.requests, screen.now, screen.zone));
    lines.join("\n")
}

/// A line for each entry of each job.
fn table(jobs: &[Surveyed], day: &dyn Fn(DateTime<Utc>) -> String) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["  job", "data", "overdue", "oldest row", "last success", "last run"]);
    for job in jobs {
        let last = |at: Option<DateTime<Utc>>| at.map_or_else(|| "never".to_owned(), day);
        let outcome = job.last_run.as_ref().map(|run| run.outcome.clone().unwrap_or_else(|| "running".to_owned()));
        let mut line = |data: &str, rows: String, oldest: String| {
            table.add_row(vec![
                Cell::new(format!("  {}", job.job)),
                Cell::new(data),
                Cell::new(rows).set_alignment(CellAlignment::Right),
                Cell::new(oldest),
                Cell::new(last(job.last_success)),
                Cell::new(outcome.as_deref().unwrap_or("-")),
            ]);
        };
        match &job.overdue {
            Err(_) => line("?", "?".to_owned(), "-".to_owned()),
            Ok(rules) => by_entry(rules).into_iter().for_each(|(data, rows, oldest)| {
                line(&data, rows, oldest.map_or_else(|| "-".to_owned(), day));
            }),
        }
        for unseen in &job.unseen {
            let away = format!("? ({} is away)", unseen.store);
            line(unseen.data.as_deref().unwrap_or("?"), away, "-".to_owned());
        }
    }
    table
}

/// Open requests for reports, and what of them somebody has to look at.
fn of_requests(open: &[requests::Listed], now: DateTime<Utc>, zone: chrono_tz::Tz) -> Vec<String> {
    let Some(due) = open.iter().map(|one| one.request.due_at).min() else { return Vec::new() };
    let first = due.and_utc().with_timezone(&zone).format("%Y-%m-%d");
    let mut lines = vec![format!("  {} open requests for reports, the first due on {first}", open.len())];
    lines.extend(open.iter().flat_map(|one| one.in_words(now, zone)).map(|words| format!("  {words}")));
    lines
}

/// The rules of one entry together: rows in words, and the oldest.
fn by_entry(rules: &[Overdue]) -> Vec<(String, String, Option<DateTime<Utc>>)> {
    let mut entries: Vec<(String, String, Option<DateTime<Utc>>)> = Vec::new();
    let mut names: Vec<&str> = rules.iter().map(|rule| rule.data.as_str()).collect();
    names.dedup();
    for name in names {
        let mine: Vec<&Overdue> = rules.iter().filter(|rule| rule.data.as_str() == name).collect();
        let rows: u64 = mine.iter().filter_map(|rule| rule.rows).sum();
        let unknown = mine.iter().any(|rule| rule.rows.is_none());
        let more = if mine.iter().any(|rule| rule.capped) { "+" } else { "" };
        let words = if unknown { "? (too slow)".to_owned() } else { format!("{}{more}", grouped(rows)) };
        entries.push((name.to_owned(), words, mine.iter().filter_map(|rule| rule.oldest).min()));
    }
    entries
}

/// What holds a job up, and what to type.
fn reasons(job: &Surveyed, day: &dyn Fn(DateTime<Utc>) -> String) -> Vec<String> {
    let mut reasons = Vec::new();
    if !job.enabled {
        reasons.push("not enabled".to_owned());
    }
    if job.paused {
        reasons.push(format!("paused; `retentiond resume {}`, or after a pause of all `retentiond resume`", job.job));
    }
    if let Some(waiting) = &job.waiting {
        reasons.extend(waiting.brakes.iter().map(ToString::to_string));
        reasons.push(match waiting.approved_until {
            Some(until) => format!("plan {} is approved until {} and passes at the next run", waiting.plan, day(until)),
            None => format!("waits for an approval: retentiond approve {} {}", job.job, waiting.plan),
        });
    } else if let Some(outcome) = job.trouble() {
        let note = job.last_run.as_ref().and_then(|run| run.note.as_deref()).unwrap_or_default();
        reasons.push(format!("the last run {outcome}{}{note}", if note.is_empty() { "" } else { ": " }));
    }
    if let Err(error) = &job.overdue {
        reasons.push(format!("what is overdue is not known: {error}"));
    }
    reasons
}
