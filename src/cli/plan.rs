//! `retentiond plan`: what would happen now.

use super::{Cli, Format, PlanArgs, for_each, named_jobs, no_such_job};
use crate::clock::Clock;
use crate::control::tenants::Apart;
use crate::control::{Exit, Failure, Site, approving};
use crate::jobs::Job;
use crate::names::JobName;
use crate::plan::{Plan, describe};
use crate::store::pool::Database;
use crate::store::state;

/// Plans jobs; changes nothing.
pub fn plan(cli: &Cli, args: &PlanArgs) -> Result<Exit, Failure> {
    let mut plans = Vec::new();
    let (mut known, mut apart) = (false, Apart::default());
    let exit = for_each(cli, |part| {
        let Some(jobs) = named_jobs(part, &args.jobs) else { return Ok(Exit::Done) };
        known = true;
        let site = Site::open_whole(part)?;
        apart.add(part.document.tenant.as_ref(), &site.identities)?;
        plan_part(cli, args, &site, &jobs, &mut plans)
    })?;
    if !known {
        return Err(no_such_job(&args.jobs));
    }
    if cli.format == Format::Json {
        say!("{}", serde_json::json!({ "jobs": plans }));
    }
    Ok(exit)
}

/// Plans jobs of one installation.
fn plan_part(
    cli: &Cli,
    args: &PlanArgs,
    site: &Site,
    jobs: &[JobName],
    plans: &mut Vec<serde_json::Value>,
) -> Result<Exit, Failure> {
    let now = args.now.unwrap_or_else(|| Clock::system().now());
    let memory = site.open_state()?;
    let mut exit = Exit::Done;
    for job in site.select(jobs)? {
        let usual = state::usual_rows(&mut *memory.conn()?, job.name().as_str())?;
        match job.plan(&site.look(&memory, now, usual)) {
            Ok(mut plan) => {
                note_widened(site, &memory, job, &mut plan)?;
                // Looking ahead makes no plan that anybody could approve.
                if args.now.is_none() && !(plan.brakes.is_empty() && plan.widened.is_empty()) {
                    approving::remember(&mut *memory.conn()?, &plan)?;
                }
                if !plan.brakes.is_empty() {
                    exit = exit.worse(Exit::Braked);
                }
                show(cli, site, &plan, args.verbose);
                plans.push(serde_json::to_value(&plan).unwrap_or_default());
            }
            Err(error) => {
                exit = exit.worse(crate::control::exit_of(&error));
                eprintln!("error: job {}: {error}", job.name());
                plans.push(serde_json::json!({
                    "job": job.name(), "kind": job.kind(), "outcome": "failed", "error": error.to_string(),
                    "cutoff": null, "steps": [], "rows": 0, "files": 0,
                }));
            }
        }
    }
    Ok(exit)
}

fn show(cli: &Cli, site: &Site, plan: &Plan, verbose: bool) {
    if cli.format == Format::Json {
        return;
    }
    say!("{}", describe(plan, site.loaded.document.timezone, verbose));
    if !plan.brakes.is_empty() {
        say!("{}", how_to_pass(plan));
    } else if !plan.widened.is_empty() {
        say!("  A scheduled run waits for an approval, since the policy may remove more than before:");
        plan.widened.iter().for_each(|why| say!("    {why}"));
        say!("  To let exactly this plan pass: {}", plan.approve_command());
    }
}

/// What lets a braked plan pass.
pub(super) fn how_to_pass(plan: &Plan) -> String {
    if plan.is_below_the_floor() {
        return "  Nothing was removed. The age floor is lowered in the file only: [brakes] age_floor = \"…\""
            .to_owned();
    }
    let (approve, releases) = (plan.approve_command(), plan.releases());
    format!(
        "  Nothing was removed. To let exactly this plan pass at its next run: {approve}\n  To run now, whatever the count: retentiond run {} {releases}",
        plan.job
    )
}

/// Whether a scheduled run would wait for an approval; a job without a schedule has none, and one that removes nothing
/// asks for none.
fn note_widened(site: &Site, memory: &Database, job: &dyn Job, plan: &mut Plan) -> Result<(), Failure> {
    let document = &site.loaded.document;
    let scheduled = document.jobs.get(job.name()).is_some_and(|raw| raw.timing.schedule.is_some());
    if scheduled && document.approvals.widened && job.removes() {
        plan.widened = approving::widened(&mut *memory.conn()?, job)?;
    }
    Ok(())
}
