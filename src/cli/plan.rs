//! `retentiond plan`: what would happen now.

use super::{Cli, Format, PlanArgs};
use crate::clock::Clock;
use crate::control::Site;
use crate::control::{Exit, Failure};
use crate::jobs::Look;
use crate::plan::{Plan, describe};
use crate::store::state;

/// Plans jobs; changes nothing.
pub fn plan(cli: &Cli, args: &PlanArgs) -> Result<Exit, Failure> {
    let site = Site::open(&cli.config)?;
    let jobs = site.select(&args.jobs)?;
    let now = args.now.unwrap_or_else(|| Clock::system().now());
    let memory = site.open_state()?;
    let mut exit = Exit::Done;
    let mut plans = Vec::new();
    for job in jobs {
        let usual = state::usual_rows(&mut *memory.conn()?, job.name().as_str())?;
        let look = Look { document: &site.loaded.document, graph: &site.graph, stores: &site.stores, now, usual };
        match job.plan(&look) {
            Ok(plan) => {
                if !plan.brakes.is_empty() {
                    exit = exit.worse(Exit::Braked);
                }
                show(cli, &site, &plan, args.verbose);
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
    if cli.format == Format::Json {
        println!("{}", serde_json::json!({ "jobs": plans }));
    }
    Ok(exit)
}

fn show(cli: &Cli, site: &Site, plan: &Plan, verbose: bool) {
    if cli.format == Format::Json {
        return;
    }
    println!("{}", describe(plan, site.loaded.document.timezone, verbose));
    if let Some(brake) = plan.brakes.first() {
        let releases = plan.releases();
        let floor = brake.brake == crate::plan::BrakeName::AgeFloor;
        if floor {
            println!("  The age floor is lowered in the file only: [brakes] age_floor = \"…\"");
        } else {
            println!("  Nothing was removed. To let one run pass: retentiond run {} {}", plan.job, releases);
        }
    }
}
