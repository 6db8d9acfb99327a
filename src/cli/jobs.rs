//! `retentiond jobs`: the jobs and their next runs. Reads the file and retentiond's own state, and connects to no store.

use std::collections::BTreeSet;
use std::io::IsTerminal as _;

use chrono::{DateTime, SecondsFormat, Utc};
use comfy_table::{Cell, ContentArrangement, Table, presets};

use super::{Cli, Format, JobsArgs};
use crate::clock::Clock;
use crate::config::Loaded;
use crate::config::section::RawJob;
use crate::control::site::open_state;
use crate::control::{Exit, Failure};
use crate::jobs::find_kind;
use crate::names::JobName;
use crate::schedule::{Coming, Spec};
use crate::store::state;

/// Shows the jobs, the one that runs next first.
pub fn jobs(cli: &Cli, args: &JobsArgs) -> Result<Exit, Failure> {
    let parts = cli.parts()?;
    let now = args.now.unwrap_or_else(|| Clock::system().now());
    let Some(first) = parts.first() else { return Ok(Exit::Done) };
    let mut diagnostics = first.warnings.clone();
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let paused = paused(first)?;
    let mut rows = Vec::new();
    for (part, raw) in parts.iter().flat_map(|part| part.document.jobs.values().map(move |raw| (part, raw))) {
        let kind = find_kind(raw, &mut diagnostics);
        let zone = part.document.timezone;
        let spec =
            kind.and_then(|kind| Spec::of(raw.name.as_str(), &raw.timing, zone, kind.catch_up, Vec::new(), &host));
        rows.push(Row {
            off: off(part, raw),
            paused: paused.contains("") || paused.contains(raw.name.as_str()),
            coming: spec.iter().flat_map(|spec| spec.coming(now).take(args.next)).collect(),
            raw,
            spec,
        });
    }
    let text = diagnostics.render(&first.source, std::io::stderr().is_terminal());
    if diagnostics.has_errors() {
        return Err(Failure::findings(text, diagnostics.to_json(&first.source)));
    }
    if cli.format == Format::Text && !text.is_empty() {
        eprintln!("{}", text.trim_end());
    }
    rows.sort_by_key(|row| (row.first_start().is_none(), row.first_start()));
    match cli.format {
        Format::Json => {
            say!("{}", serde_json::json!({ "jobs": rows.iter().map(Row::to_json).collect::<Vec<_>>() }));
        }
        Format::Text if rows.is_empty() => say!("the file has no jobs"),
        Format::Text => say!("{}", table(&rows)),
    }
    Ok(Exit::Done)
}

/// The paused jobs, `""` for all.
fn paused(loaded: &Loaded) -> Result<BTreeSet<String>, Failure> {
    let memory = open_state(loaded)?;
    let mut conn = memory.conn()?;
    Ok(state::paused(&mut conn)?)
}

/// Why a job never runs by itself, whatever its schedule.
fn off(loaded: &Loaded, raw: &RawJob) -> Option<&'static str> {
    match (loaded.document.enabled, raw.enabled, &raw.timing.schedule) {
        (false, ..) => Some("off: the file says enabled = false"),
        (_, false, _) => Some("off: enabled = false"),
        (.., None) => Some("by hand only"),
        _ => None,
    }
}

/// One job.
struct Row<'a> {
    raw: &'a RawJob,
    spec: Option<Spec>,
    off: Option<&'static str>,
    paused: bool,
    coming: Vec<Coming>,
}

impl Row<'_> {
    /// When it next runs, if it does.
    fn first_start(&self) -> Option<DateTime<Utc>> {
        if self.off.is_some() || self.paused { None } else { self.coming.iter().find_map(|coming| coming.start) }
    }

    fn state(&self) -> &'static str {
        match self.off {
            Some(why) => why,
            None if self.paused => "paused",
            None => "",
        }
    }

    /// The schedule in words, with its zone.
    fn in_words(&self) -> String {
        let Some(spec) = &self.spec else { return String::new() };
        let words = spec.timetable.cron().in_words();
        let zone = spec.timetable.zone();
        let mut text = format!("{} ({zone})", words.trim_end_matches('.'));
        if spec.offset.num_seconds() > 0 {
            text.push_str(&format!(", put off by {} s", spec.offset.num_seconds()));
        }
        text
    }

    fn to_json(&self) -> serde_json::Value {
        let name: &JobName = &self.raw.name;
        let coming: Vec<serde_json::Value> = self
            .coming
            .iter()
            .zip(self.spec.iter().cycle())
            .map(|(coming, spec)| {
                let local = |at: DateTime<Utc>| at.with_timezone(&spec.timetable.zone()).to_rfc3339();
                serde_json::json!({
                    "slot": utc(coming.slot), "slot_local": local(coming.slot), "start": coming.start.map(utc),
                    "start_local": coming.start.map(local),
                    "touched": coming.touched.iter().map(|touch| touch.in_words()).collect::<Vec<_>>(),
                })
            })
            .collect();
        serde_json::json!({
            "job": name, "kind": self.raw.kind, "enabled": self.off.is_none_or(|why| !why.starts_with("off")),
            "paused": self.paused, "schedule": self.raw.timing.schedule.as_ref().map(ToString::to_string),
            "timezone": self.spec.as_ref().map(|spec| spec.timetable.zone().name()),
            "in_words": self.spec.as_ref().map(|spec| spec.timetable.cron().in_words()),
            "catch_up": self.spec.as_ref().map(|spec| spec.catch_up.as_str()),
            "spread_seconds": self.spec.as_ref().map(|spec| spec.offset.num_seconds()),
            "next": coming,
        })
    }
}

fn utc(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn table(rows: &[Row<'_>]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["job", "schedule", "next run", "in UTC", ""]);
    for row in rows {
        let head = || [row.raw.name.to_string(), row.in_words()];
        // What does not run by itself has no next run to show.
        if row.off.is_some() || row.coming.is_empty() {
            table.add_row(head().into_iter().chain([String::new(), String::new(), row.state().to_owned()]));
            continue;
        }
        for (at, coming) in row.coming.iter().enumerate() {
            let zone = row.spec.as_ref().map_or(chrono_tz::UTC, |spec| spec.timetable.zone());
            let shown = coming.start.unwrap_or(coming.slot);
            let mut notes: Vec<&str> = coming.touched.iter().map(|touch| touch.in_words()).collect();
            if row.paused {
                notes.insert(0, row.state());
            }
            let times = [
                shown.with_timezone(&zone).format("%a %Y-%m-%d %H:%M:%S %Z").to_string(),
                shown.format("%Y-%m-%d %H:%M:%SZ").to_string(),
                notes.join("; "),
            ];
            let head = if at == 0 { head() } else { [String::new(), String::new()] };
            table.add_row(head.into_iter().chain(times).map(Cell::new));
        }
    }
    table
}
