//! `retentiond audit show`: the trail, read as a log.

use std::path::Path;

use chrono::{DateTime, Utc};
use clap::Args;

use super::super::{Cli, Format, remote};
use crate::control::auditor::{self, Filter};
use crate::control::site::{load, open_state};
use crate::control::{Exit, Failure};
use crate::daemon::socket::Ask;
use crate::names::JobName;

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

/// Shows it.
pub fn show(cli: &Cli, place: Option<&Path>, args: &ShowArgs) -> Result<Exit, Failure> {
    let filter = Filter {
        job: args.job.clone(),
        run: args.run.clone(),
        kind: args.kind.clone(),
        since: args.since,
        until: args.until,
        limit: args.limit,
    };
    if let Some(place) = place {
        return remote::say(cli, place, Ask::AuditShow { filter });
    }
    let loaded = load(&cli.config)?;
    let found = auditor::records(&mut *open_state(&loaded)?.conn()?, &filter)?;
    match cli.format {
        Format::Json => say!("{}", serde_json::json!({ "records": found })),
        Format::Text => say!("{}", auditor::log(&found, loaded.document.timezone)),
    }
    Ok(Exit::Done)
}
