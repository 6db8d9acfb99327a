//! The letters that operators get.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

use crate::mail::letters::{Command, Letter, Table, Tone};
use crate::plan::{Plan, grouped};
use crate::store::state::IncidentRecord;

fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

fn footer() -> String {
    format!(
        "retentiond on {}. This mail holds no personal data. `retentiond status` shows how things stand now.",
        host()
    )
}

fn utc(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true).replace('T', " ").replace('Z', " UTC")
}

fn command(why: &str, line: String) -> Command {
    Command { why: why.to_owned(), line }
}

/// A brake stopped a run: the plan, and the one command that lets exactly it pass.
pub fn braked(plan: &Plan) -> Letter {
    let mut letter = Letter {
        subject: format!("retentiond: job {} waits for you", plan.job),
        tone: Tone::Decide,
        heading: format!("A brake stopped job {} before its first deletion.", plan.job),
        paragraphs: plan.brakes.iter().map(|brake| format!("{brake}.")).collect(),
        facts: vec![
            ("Plan".to_owned(), plan.plan.clone()),
            ("Expired before".to_owned(), plan.cutoff.map_or_else(|| "see the rules".to_owned(), utc)),
            ("In all".to_owned(), format!("{} rows, {} files", grouped(plan.rows), grouped(plan.files))),
            ("Host".to_owned(), host()),
        ],
        table: Some(steps(plan)),
        commands: Vec::new(),
        footer: footer(),
    };
    letter.paragraphs.push("Nothing was removed, and nothing will be until somebody decides.".to_owned());
    if plan.is_below_the_floor() {
        letter.paragraphs.push("The age floor is lowered in the file only: [brakes] age_floor.".to_owned());
    } else {
        let why = "If the plan is right, this lets exactly it pass, once, within 72 hours:";
        letter.commands.push(command(why, plan.approve_command()));
    }
    letter.commands.push(command("To look at it again:", format!("retentiond plan {}", plan.job)));
    letter
}

fn steps(plan: &Plan) -> Table {
    let heads = ["data", "action", "rows>", "files>", "of>", "oldest", "newest", "rule"];
    let day = |at: Option<DateTime<Utc>>| at.map_or_else(|| "-".to_owned(), |at| at.format("%Y-%m-%d").to_string());
    let rows = plan.steps.iter().filter(|step| step.rows > 0).map(|step| {
        let with = step.with.as_ref().map(|with| format!(" (with {with})")).unwrap_or_default();
        vec![
            step.data.to_string(),
            step.action.as_str().to_owned(),
            grouped(step.rows),
            grouped(step.files),
            grouped(step.table_rows),
            day(step.oldest),
            day(step.newest),
            format!("{}{with}", step.rule),
        ]
    });
    Table { heads: heads.map(str::to_owned).to_vec(), rows: rows.collect() }
}

/// What an incident is called.
fn name(incident: &IncidentRecord) -> String {
    match incident.job.strip_prefix(':') {
        Some(what) => format!("The {what}"),
        None => format!("Job {}", incident.job),
    }
}

fn verb(incident: &IncidentRecord) -> &'static str {
    match incident.kind.as_str() {
        "failed" => "failed",
        "braked" => "was stopped by a brake",
        "missed" => "missed its deadline",
        "asks" => "needs somebody",
        _ => "is wrong",
    }
}

/// Something went wrong for the first time.
pub fn trouble(incident: &IncidentRecord) -> Letter {
    let mut commands = Vec::new();
    if incident.kind == "asks" {
        commands.push(command("All open requests:", "retentiond report list".to_owned()));
    }
    if !incident.job.starts_with(':') {
        commands.push(command("Its last runs:", format!("retentiond history {}", incident.job)));
    }
    Letter {
        subject: format!("retentiond: {} {}", name(incident).to_lowercase(), verb(incident)),
        tone: Tone::Wrong,
        heading: format!("{} {}.", name(incident), verb(incident)),
        paragraphs: vec![incident.detail.clone()],
        facts: vec![("Since".to_owned(), utc(incident.since.and_utc())), ("Host".to_owned(), host())],
        commands,
        footer: footer(),
        ..Letter::default()
    }
}

/// It is over.
pub fn recovered(incident: &IncidentRecord, now: DateTime<Utc>) -> Letter {
    Letter {
        subject: format!("retentiond: {} is well again", name(incident).to_lowercase()),
        tone: Tone::Good,
        heading: format!("{} is well again.", name(incident)),
        paragraphs: vec![format!("It {} before: {}", verb(incident), incident.detail)],
        facts: vec![
            ("Since".to_owned(), utc(incident.since.and_utc())),
            ("Until".to_owned(), utc(now)),
            ("Lasted".to_owned(), length(now - incident.since.and_utc())),
        ],
        footer: footer(),
        ..Letter::default()
    }
}

/// What still lasts.
pub fn digest(open: &[IncidentRecord], now: DateTime<Utc>) -> Letter {
    let heads = ["what", "trouble", "since", "times>"].map(str::to_owned).to_vec();
    let rows = open.iter().map(|incident| {
        let since = incident.since.and_utc().format("%Y-%m-%d %H:%M").to_string();
        vec![
            incident.job.trim_start_matches(':').to_owned(),
            verb(incident).to_owned(),
            since,
            incident.times.to_string(),
        ]
    });
    Letter {
        subject: format!("retentiond: still wrong: {}", open.len()),
        tone: Tone::Wrong,
        heading: format!("What is still wrong on {}.", utc(now)),
        paragraphs: open.iter().map(|incident| format!("{}: {}", name(incident), incident.detail)).collect(),
        table: Some(Table { heads, rows: rows.collect() }),
        commands: vec![command("How things stand:", "retentiond status".to_owned())],
        footer: footer(),
        ..Letter::default()
    }
}

fn length(delta: TimeDelta) -> String {
    match (delta.num_days(), delta.num_hours(), delta.num_minutes()) {
        (0, 0, minutes) => format!("{minutes} minutes"),
        (0, hours, minutes) => format!("{hours} hours {} minutes", minutes % 60),
        (days, hours, _) => format!("{days} days {} hours", hours % 24),
    }
}
