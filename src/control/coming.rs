//! The jobs and their next runs, as the file and retentiond's own state have them; no store is asked.

use std::io::IsTerminal as _;
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use comfy_table::{Cell, ContentArrangement, Table, presets};

use super::Failure;
use super::said::Said;
use crate::config::Loaded;
use crate::config::section::RawJob;
use crate::jobs::find_kind;
use crate::names::JobName;
use crate::schedule::{Coming, Spec};
use crate::store::pool::Database;
use crate::store::state;

/// The jobs of these installations, the one that runs next first, each with so many runs after `now`.
///
/// # Errors
/// When the state cannot be read, or a job is of no kind.
pub fn jobs(parts: &[Arc<Loaded>], memory: &Database, next: usize, now: DateTime<Utc>) -> Result<Said, Failure> {
    let Some(first) = parts.first() else {
        return Ok(Said::done("the file has no jobs".to_owned(), serde_json::json!({ "jobs": [] })));
    };
    let mut diagnostics = first.warnings.clone();
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    // The empty name stands for all.
    let paused = state::paused(&mut *memory.conn()?)?;
    let mut rows = Vec::new();
    for (part, raw) in parts.iter().flat_map(|part| part.document.jobs.values().map(move |raw| (part, raw))) {
        let kind = find_kind(raw, &mut diagnostics);
        let zone = part.document.timezone;
        let spec =
            kind.and_then(|kind| Spec::of(raw.name.as_str(), &raw.timing, zone, kind.catch_up, Vec::new(), &host));
        rows.push(Row {
            off: off(part, raw),
            paused: paused.contains("") || paused.contains(raw.name.as_str()),
            coming: spec.iter().flat_map(|spec| spec.coming(now).take(next)).collect(),
            raw,
            spec,
        });
    }
    let text = diagnostics.render(&first.source, std::io::stderr().is_terminal());
    if diagnostics.has_errors() {
        return Err(Failure::findings(text, diagnostics.to_json(&first.source)));
    }
    rows.sort_by_key(|row| (row.first_start().is_none(), row.first_start()));
    let json = serde_json::json!({ "jobs": rows.iter().map(Row::to_json).collect::<Vec<_>>() });
    let shown = if rows.is_empty() { "the file has no jobs".to_owned() } else { table(&rows).to_string() };
    let warnings = Some(text.trim_end().to_owned()).filter(|text| !text.is_empty());
    Ok(Said { errors: warnings.into_iter().collect(), ..Said::done(shown, json) })
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
