//! `retentiond approve JOB PLAN`: lets exactly the plan that a brake stopped pass at its next run.

use super::{ApproveArgs, Cli, Format};
use crate::clock::Clock;
use crate::control::{Exit, Failure, approving};
use crate::plan::{grouped, show_instant};

/// Approves it.
pub fn approve(cli: &Cli, args: &ApproveArgs) -> Result<Exit, Failure> {
    let site = cli.site_of(&args.job)?;
    let memory = site.open_state()?;
    let job = site.select(std::slice::from_ref(&args.job))?.into_iter().next();
    let job = job.ok_or_else(|| Failure::new(Exit::Usage, format!("error: there is no job `{}`", args.job)))?;
    let (approval, until) = approving::approve(&site, &memory, job, &args.plan, Clock::system().now())?;
    let rows: u64 = approval.steps.iter().map(|step| step.rows).sum();
    if cli.format == Format::Json {
        let utc = |at: chrono::DateTime<chrono::Utc>| at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        say!(
            "{}",
            serde_json::json!({
                "job": approval.job, "plan": approval.plan, "until": utc(until), "planned": utc(approval.basis.at),
                "steps": approval.steps, "rows": rows,
            })
        );
        return Ok(Exit::Done);
    }
    say!("job {}: plan {} may pass once, until {}", approval.job, approval.plan, {
        show_instant(until, site.loaded.document.timezone)
    });
    for step in approval.steps.iter().filter(|step| step.rows > 0 || step.files > 0) {
        let files = if step.files > 0 { format!(", {} files", grouped(step.files)) } else { String::new() };
        say!("  {:<56} at most {:>12} rows{files}", step.label(), grouped(step.rows));
    }
    say!("  Rows are counted from {}, as in the plan.", show_instant(approval.basis.at, site.loaded.document.timezone));
    Ok(Exit::Done)
}
