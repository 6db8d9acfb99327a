//! The plan as a person reads it.

use chrono::{DateTime, Utc};
use comfy_table::{Attribute, Cell, CellAlignment, ContentArrangement, Table, presets};

use super::{Action, Plan, Step};

/// The plan as text; with `verbose`, the statements too. `zone` is the zone that instants are shown in.
pub fn describe(plan: &Plan, zone: chrono_tz::Tz, verbose: bool) -> String {
    let cutoff = plan.cutoff.map(|cutoff| format!(", expired before {}", show_instant(cutoff, zone)));
    let mut lines = vec![format!("Job {} ({}){}", plan.job, plan.kind, cutoff.unwrap_or_default())];
    if plan.steps.iter().any(|step| step.rows + step.held > 0) || verbose {
        lines.push(table(plan, zone, verbose).trim_fmt());
    }
    lines.extend(plan.steps.iter().filter_map(kept_line).map(|line| format!("  {line}")));
    lines.extend(
        plan.remains.iter().map(|left| format!("  kept in {}: {}: {}", left.data, rows(left.rows), left.ground)),
    );
    if verbose {
        let told = plan.steps.iter().filter(|step| !step.sql.is_empty());
        lines.extend(told.map(|step| format!("  {} ({}):\n    {}", step.data, step.rule, step.sql)));
    }
    if let Some(requests) = plan.requests {
        let waiting =
            if requests == 1 { "1 request waits".to_owned() } else { format!("{} requests wait", grouped(requests)) };
        lines.push(format!("  {waiting} for a report; nothing is removed"));
        return lines.join("\n");
    }
    lines.push(format!("  {} in all, {}; plan {}", rows(plan.rows), files(plan.files), plan.plan));
    lines.extend(plan.brakes.iter().map(|brake| format!("  BRAKE {brake}")));
    lines.join("\n")
}

/// The steps; those that would do nothing only when everything is to be seen.
fn table(plan: &Plan, zone: chrono_tz::Tz, all: bool) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    let heads = ["  data", "action", "rows", "files", "held", "of", "oldest", "newest", "rule", "how"];
    table.set_header(heads.map(|head| Cell::new(head).add_attribute(Attribute::Bold)));
    for step in plan.steps.iter().filter(|step| all || step.rows + step.held > 0) {
        let right = |value: u64| Cell::new(grouped(value)).set_alignment(CellAlignment::Right);
        let rule = match &step.with {
            Some(parent) => format!("{} (with {parent})", step.rule),
            None => step.rule.clone(),
        };
        table.add_row(vec![
            Cell::new(format!("  {}", step.data)),
            Cell::new(step.action.as_str()),
            right(step.rows),
            right(step.files),
            right(step.held),
            right(step.table_rows),
            Cell::new(day(step.oldest, zone)),
            Cell::new(day(step.newest, zone)),
            Cell::new(rule),
            Cell::new(step.strategy.as_str()),
        ]);
    }
    table
}

fn kept_line(step: &Step) -> Option<String> {
    let mut reasons = Vec::new();
    if step.kept.without_time > 0 {
        reasons.push(format!("{} without a time", grouped(step.kept.without_time)));
    }
    if step.kept.sentinel > 0 {
        reasons.push(format!("{} with a time that means none", grouped(step.kept.sentinel)));
    }
    let who = format!("{} ({})", step.data, step.rule);
    (!reasons.is_empty() && step.action != Action::Unlink).then(|| format!("kept in {who}: {}", reasons.join(", ")))
}

fn day(at: Option<DateTime<Utc>>, zone: chrono_tz::Tz) -> String {
    at.map_or_else(|| "-".to_owned(), |at| at.with_timezone(&zone).format("%Y-%m-%d %H:%M").to_string())
}

/// An instant with its zone.
pub fn show_instant(at: DateTime<Utc>, zone: chrono_tz::Tz) -> String {
    at.with_timezone(&zone).format("%Y-%m-%d %H:%M:%S %Z").to_string()
}

fn rows(count: u64) -> String {
    if count == 1 { "1 row".to_owned() } else { format!("{} rows", grouped(count)) }
}

fn files(count: u64) -> String {
    if count == 1 { "1 file".to_owned() } else { format!("{} files", grouped(count)) }
}

/// A number in groups of three digits, parted by narrow blanks.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}
