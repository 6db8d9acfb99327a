//! `retentiond plan`: what would happen now.

use super::{Cli, Format, PlanArgs, for_each, remote};
use crate::control::planning::{self, Looking};
use crate::control::tenants::{Apart, named_jobs, no_such_job};
use crate::control::{Exit, Failure, Site};
use crate::daemon::socket::Ask;

/// Plans jobs; changes nothing.
pub fn plan(cli: &Cli, args: &PlanArgs) -> Result<Exit, Failure> {
    if let Some(place) = remote::place(cli, &args.socket) {
        let ask = Ask::Plan { jobs: args.jobs.clone(), now: args.now, verbose: args.verbose };
        return remote::show(cli, &place, ask);
    }
    let looking = Looking { now: args.now, verbose: args.verbose };
    let mut plans = Vec::new();
    let (mut known, mut apart) = (false, Apart::default());
    let exit = for_each(cli, |part| {
        let Some(jobs) = named_jobs(part, &args.jobs) else { return Ok(Exit::Done) };
        known = true;
        let site = Site::open_whole(part)?;
        apart.add(part.document.tenant.as_ref(), &site.identities)?;
        planning::plan(&site, &site.open_state()?, &jobs, looking, |said| {
            remote::print_text(cli, &said);
            plans.push(said.json);
        })
    })?;
    if !known {
        return Err(no_such_job(&args.jobs));
    }
    if cli.format == Format::Json {
        say!("{}", serde_json::json!({ "jobs": plans }));
    }
    Ok(exit)
}
