//! `retentiond audit show`: the trail, read as a log.

use std::collections::VecDeque;

use chrono::{DateTime, SecondsFormat, Utc};
use clap::Args;
use serde_json::Value;

use super::super::{Cli, Format};
use super::plain;
use crate::control::site::{load, open_state};
use crate::control::{Exit, Failure};
use crate::names::JobName;
use crate::trail::export::each_row;

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// Only records about this job.
    #[arg(long)]
    job: Option<JobName>,
    /// Only records of this run.
    #[arg(long)]
    run: Option<String>,
    /// Only records of this type (`run.end`), or of a family of types (`hold`).
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// Only records from this instant on, RFC 3339.
    #[arg(long, value_name = "INSTANT")]
    since: Option<DateTime<Utc>>,
    /// Only records before this instant, RFC 3339.
    #[arg(long, value_name = "INSTANT")]
    until: Option<DateTime<Utc>>,
    /// Only the last so many; 0: all.
    #[arg(long, short = 'n', default_value_t = 100)]
    limit: usize,
}

impl ShowArgs {
    fn wants(&self, record: &Value) -> bool {
        let text = |name: &str| record[name].as_str().unwrap_or_default();
        let at = DateTime::parse_from_rfc3339(text("t")).ok().map(|at| at.to_utc());
        let kind = |wanted: &String| {
            text("type").strip_prefix(wanted.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.job.as_ref().is_none_or(|job| job.as_str() == text("job"))
            && self.run.as_ref().is_none_or(|run| run == text("run"))
            && self.kind.as_ref().is_none_or(kind)
            && self.since.is_none_or(|since| at.is_some_and(|at| at >= since))
            && self.until.is_none_or(|until| at.is_some_and(|at| at < until))
    }
}

/// Shows it.
pub fn show(cli: &Cli, args: &ShowArgs) -> Result<Exit, Failure> {
    let loaded = load(&cli.config)?;
    let memory = open_state(&loaded)?;
    let mut found: VecDeque<Value> = VecDeque::new();
    each_row(&mut *memory.conn()?, |row| {
        // What cannot be read is `audit verify`'s to complain about.
        let record = row.record.as_ref().and_then(|record| serde_json::from_str::<Value>(&record.body).ok());
        if let Some(record) = record.filter(|record| args.wants(record)) {
            if args.limit > 0 && found.len() == args.limit {
                found.pop_front();
            }
            found.push_back(record);
        }
        Ok(())
    })?;
    match cli.format {
        Format::Json => say!("{}", serde_json::json!({ "records": found })),
        Format::Text if found.is_empty() => say!("no such records"),
        Format::Text => found.iter().for_each(|record| say!("{}", line(record, loaded.document.timezone))),
    }
    Ok(Exit::Done)
}

/// One record on one line: number, instant, who, what, and the details.
fn line(record: &Value, zone: chrono_tz::Tz) -> String {
    let text = |name: &str| record[name].as_str().map(plain).unwrap_or_default();
    let at = DateTime::parse_from_rfc3339(&text("t")).ok();
    let at = at.map(|at| at.with_timezone(&zone).to_rfc3339_opts(SecondsFormat::Secs, true)).unwrap_or_default();
    let actor = &record["actor"];
    let who = format!("{}:{}", actor["role"].as_str().map(plain).unwrap_or_default(), actor["uid"]);
    let mut parts = vec![format!("{:>6}  {at}  {who:<16} {:<16}", record["seq"].to_string(), text("type"))];
    for name in ["job", "plan", "run"].into_iter().filter(|name| record.get(name).is_some()) {
        parts.push(format!("{name}={}", text(name)));
    }
    if let Some(details) = record["d"].as_object() {
        parts.extend(details.iter().map(|(name, value)| format!("{}={}", plain(name), detail(value))));
    }
    parts.join(" ")
}

fn detail(value: &Value) -> String {
    match value {
        Value::String(text) => plain(text),
        Value::Array(items) => format!("[{}]", items.iter().map(detail).collect::<Vec<_>>().join(", ")),
        Value::Object(items) => {
            items.iter().map(|(name, value)| format!("{}={}", plain(name), detail(value))).collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}
