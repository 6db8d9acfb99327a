//! `retentiond approve JOB PLAN`: lets exactly the plan that a brake stopped pass at its next run.

use super::{ApproveArgs, Cli, remote};
use crate::clock::Clock;
use crate::control::{Exit, Failure, approving};
use crate::daemon::socket::Ask;

/// Approves it.
pub fn approve(cli: &Cli, args: &ApproveArgs) -> Result<Exit, Failure> {
    if let Some(place) = remote::place(cli, &args.socket) {
        return remote::show(cli, &place, Ask::Approve { job: args.job.clone(), plan: args.plan.clone() });
    }
    let site = cli.site_of(&args.job)?;
    let memory = site.open_state()?;
    let job = site.select(std::slice::from_ref(&args.job))?.into_iter().next();
    let job = job.ok_or_else(|| Failure::new(Exit::Usage, format!("error: there is no job `{}`", args.job)))?;
    let (approval, until) = approving::approve(&site, &memory, job, &args.plan, Clock::system().now())?;
    Ok(remote::tell(cli, &approving::said(&approval, until, site.loaded.document.timezone)))
}
