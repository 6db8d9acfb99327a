//! `retentiond status`: is everything within policy, and if not, why?

use chrono::{DateTime, SecondsFormat, Utc};
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use serde_json::{Value, json};

use super::serve::place;
use super::{Cli, Format, StatusArgs};
use crate::clock::Clock;
use crate::control::survey::{Surveyed, survey};
use crate::control::{Exit, Failure, Site};
use crate::daemon::socket::{self, Ask};
use crate::jobs::Overdue;
use crate::plan::grouped;

/// Shows one screen; exits 4 when something is overdue.
pub fn status(cli: &Cli, args: &StatusArgs) -> Result<Exit, Failure> {
    let site = Site::open(&cli.config)?;
    let memory = site.open_state()?;
    let now = args.now.unwrap_or_else(|| Clock::system().now());
    let jobs = survey(&site, &memory, now)?;
    let daemon = socket::ask(&place(&args.socket), Ask::Ping).is_ok();
    let outside = jobs.iter().any(Surveyed::is_outside);
    match cli.format {
        Format::Json => say!("{}", to_json(&site, &jobs, now, !outside, daemon)),
        Format::Text => show(&site, &jobs, now, !outside, daemon),
    }
    Ok(if outside { Exit::Braked } else { Exit::Done })
}

fn utc(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn to_json(site: &Site, jobs: &[Surveyed], now: DateTime<Utc>, within: bool, daemon: bool) -> Value {
    let overdue = |rule: &Overdue| {
        json!({
            "data": rule.data, "rule": rule.rule, "rows": rule.rows, "at_least": rule.capped,
            "oldest": rule.oldest.map(utc), "oldest_overdue_seconds": overdue_seconds(rule),
        })
    };
    let jobs: Vec<Value> = jobs
        .iter()
        .map(|job| {
            let (rules, error) = match &job.overdue {
                Ok(rules) => (rules.iter().map(overdue).collect(), None),
                Err(error) => (Vec::new(), Some(error)),
            };
            json!({
                "job": job.job, "kind": job.kind, "enabled": job.enabled, "paused": job.paused,
                "within_policy": !job.is_outside(),
                "overdue_rows": job.overdue.as_ref().ok().map(|rules| rules.iter().filter_map(|rule| rule.rows).sum::<u64>()),
                "data": rules, "error": error,
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
    json!({ "within_policy": within, "now": utc(now), "daemon": daemon, "enabled": site.loaded.document.enabled, "jobs": jobs })
}

/// For how long the oldest row has been expired.
fn overdue_seconds(rule: &Overdue) -> Option<i64> {
    Some((rule.cutoff? - rule.oldest?).num_seconds())
}

fn show(site: &Site, jobs: &[Surveyed], now: DateTime<Utc>, within: bool, daemon: bool) {
    let zone = site.loaded.document.timezone;
    let day = |at: DateTime<Utc>| at.with_timezone(&zone).format("%Y-%m-%d %H:%M").to_string();
    say!("{} at {}", if within { "Everything is within policy" } else { "NOT within policy" }, day(now));
    say!("{}", if daemon { "The daemon runs." } else { "No daemon answers: jobs run by hand only." });
    if !site.loaded.document.enabled {
        say!("The file says enabled = false: no job runs by itself.");
    }
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
    }
    say!("{table}");
    for job in jobs {
        reasons(job, &day).iter().for_each(|reason| say!("  {}: {reason}", job.job));
    }
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
