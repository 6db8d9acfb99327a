//! What would happen now: plans for people and for programs.
//!
//! **Invariant.** Nothing of a store is changed. A plan that was stopped is remembered, so that exactly it can be approved,
//! but none that looks ahead.

use chrono::{DateTime, Utc};

use super::said::Said;
use super::site::Site;
use super::{Exit, Failure, approving, exit_of};
use crate::clock::Clock;
use crate::jobs::Job;
use crate::names::JobName;
use crate::plan::{Plan, describe};
use crate::store::pool::Database;
use crate::store::state;

/// How somebody wants to see plans.
#[derive(Clone, Copy, Debug, Default)]
pub struct Looking {
    /// Ahead (or back): the instant that cutoffs count from.
    pub now: Option<DateTime<Utc>>,
    /// With the statements.
    pub verbose: bool,
}

/// Plans jobs of one installation, all where none is named. Each is told when it is made, its JSON alone; gives the worst
/// exit code.
///
/// # Errors
/// When there is no such job, or the state cannot be read.
pub fn plan(
    site: &Site,
    memory: &Database,
    jobs: &[JobName],
    looking: Looking,
    mut tell: impl FnMut(Said),
) -> Result<Exit, Failure> {
    let now = looking.now.unwrap_or_else(|| Clock::system().now());
    let mut exit = Exit::Done;
    for job in site.select(jobs)? {
        let usual = state::usual_rows(&mut *memory.conn()?, job.name().as_str())?;
        let said = match job.plan(&site.look(memory, now, usual)) {
            Ok(mut plan) => {
                note_widened(site, memory, job, &mut plan)?;
                // Looking ahead makes no plan that anybody could approve.
                if looking.now.is_none() && !(plan.brakes.is_empty() && plan.widened.is_empty()) {
                    approving::remember(&mut *memory.conn()?, &plan)?;
                }
                Said {
                    exit: if plan.brakes.is_empty() { Exit::Done } else { Exit::Braked },
                    text: text(site, &plan, looking.verbose),
                    errors: Vec::new(),
                    json: serde_json::to_value(&plan).unwrap_or_default(),
                }
            }
            Err(error) => not_done(job.name(), job.kind(), exit_of(&error), &error.to_string()),
        };
        exit = exit.worse(said.exit);
        tell(said);
    }
    Ok(exit)
}

/// A job that came to nothing, neither planned nor run.
pub fn not_done(job: &JobName, kind: &str, exit: Exit, why: &str) -> Said {
    let json = serde_json::json!({
        "job": job, "kind": kind, "outcome": "failed", "error": why, "cutoff": null, "steps": [], "rows": 0, "files": 0,
    });
    Said { exit, text: String::new(), errors: vec![format!("error: job {job}: {why}")], json }
}

fn text(site: &Site, plan: &Plan, verbose: bool) -> String {
    let mut lines = vec![describe(plan, site.loaded.document.timezone, verbose)];
    if !plan.brakes.is_empty() {
        lines.push(how_to_pass(plan));
    } else if !plan.widened.is_empty() {
        lines.push("  A scheduled run waits for an approval, since the policy may remove more than before:".to_owned());
        lines.extend(plan.widened.iter().map(|why| format!("    {why}")));
        lines.push(format!("  To let exactly this plan pass: {}", plan.approve_command()));
    }
    lines.join("\n")
}

/// What lets a braked plan pass.
pub fn how_to_pass(plan: &Plan) -> String {
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
