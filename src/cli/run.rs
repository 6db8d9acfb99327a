//! `retentiond run`: runs jobs now, to their end.

use super::plan::how_to_pass;
use super::progress::Shown;
use super::{Cli, Format, RunArgs, for_each, named_jobs, no_such_job};
use crate::clock::Clock;
use crate::control::tenants::Apart;
use crate::control::{Cause, Ended, Exit, Failure, Occasion, Options, Ran, Refusal, Site, run_job};
use crate::jobs::{Job, Outcome};
use crate::names::JobName;
use crate::plan::{describe, grouped};
use crate::stop::Stop;

/// Runs the jobs that were named.
pub fn run(cli: &Cli, args: &RunArgs) -> Result<Exit, Failure> {
    let stop = Stop::on_signals().map_err(|error| Failure::new(Exit::Failed, format!("error: {error}")))?;
    let clock = match args.now {
        None => Clock::system(),
        Some(at) if cfg!(feature = "fixed-clock") => Clock::fixed(at),
        Some(_) => {
            let text = "error: `run` takes the present instant only; `plan --now` looks ahead";
            return Err(Failure::new(Exit::Usage, text));
        }
    };
    let mut answers = Vec::new();
    let (mut known, mut apart) = (false, Apart::default());
    let exit = for_each(cli, |part| {
        if stop.is_raised() {
            return Ok(Exit::Done);
        }
        let Some(jobs) = named_jobs(part, &args.jobs) else { return Ok(Exit::Done) };
        known = true;
        let site = Site::open_whole(part)?;
        apart.add(part.document.tenant.as_ref(), &site.identities)?;
        run_part(cli, args, &site, &jobs, (clock, &stop), &mut answers)
    })?;
    if !known {
        return Err(no_such_job(&args.jobs));
    }
    if cli.format == Format::Json {
        say!("{}", serde_json::json!({ "jobs": answers }));
    }
    Ok(exit)
}

/// Runs jobs of one installation.
fn run_part(
    cli: &Cli,
    args: &RunArgs,
    site: &Site,
    jobs: &[JobName],
    (clock, stop): (Clock, &Stop),
    answers: &mut Vec<serde_json::Value>,
) -> Result<Exit, Failure> {
    let memory = site.open_state()?;
    let options = Options {
        released: args.release_brake.clone(),
        unpaced: args.unpaced,
        outside_window: args.outside_window,
        clock,
        stop: stop.clone(),
        cause: Cause::default(),
        occasion: Occasion::Manual,
        lease: site.loaded.document.state.lease(),
    };
    let mut exit = Exit::Done;
    for job in site.select(jobs)? {
        let mut shown = Shown::new(job.name().as_str(), cli.format == Format::Json);
        let ran = run_job(site, &memory, job, &options, &mut shown);
        shown.finish();
        let ran = ran?;
        exit = exit.worse(ran.exit());
        show(site, job, &ran, cli.format);
        answers.push(ran.to_json(job));
        if stop.is_raised() {
            break;
        }
    }
    Ok(exit)
}

fn show(site: &Site, job: &dyn Job, ran: &Ran, format: Format) {
    let name = job.name();
    let error = match &ran.ended {
        Ended::Refused(Refusal::Running { host, pid, .. }) => {
            eprintln!("error: job {name} is running already (process {pid} on {host})");
            return;
        }
        Ended::Refused(Refusal::Paused) => {
            eprintln!(
                "error: job {name} is paused; `retentiond resume {name}` or, after a pause of all, `retentiond resume` lets it go on"
            );
            return;
        }
        Ended::Refused(Refusal::Done | Refusal::Clock(_)) | Ended::With(_) => None,
        Ended::Failed(error) => Some(error.to_string()),
    };
    if format == Format::Json {
        return;
    }
    let report = &ran.report;
    if ran.outcome() == Outcome::Braked
        && let Some(plan) = &report.plan
    {
        say!("{}", describe(plan, site.loaded.document.timezone, false));
        say!("{}", how_to_pass(plan));
        return;
    }
    say!(
        "{name}: {}, {} rows and {} files in {:.1} s",
        ran.outcome().as_str(),
        grouped(report.rows()),
        grouped(report.files()),
        report.removing.as_secs_f64()
    );
    for step in report.steps.iter().filter(|step| step.rows > 0 || step.files > 0) {
        let files = if step.files > 0 { format!(", {} files", grouped(step.files)) } else { String::new() };
        say!(
            "  {:<28} {:<10} {:>12} rows{files}  ({})",
            step.data.as_str(),
            step.action.as_str(),
            grouped(step.rows),
            step.rule
        );
    }
    if report.missing_files > 0 {
        say!("  {} files were not there", grouped(report.missing_files));
    }
    if let Some(error) = error {
        eprintln!("error: job {name}: {error}");
    }
}
