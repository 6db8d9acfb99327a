//! `retentiond run`: runs jobs now, to their end.

use std::path::Path;

use super::progress::Shown;
use super::{Cli, Format, RunArgs, for_each, remote};
use crate::clock::Clock;
use crate::control::said::Said;
use crate::control::tenants::{Apart, named_jobs, no_such_job};
use crate::control::{Cause, Exit, Failure, Occasion, Options, Site, run_job};
use crate::daemon::socket::{Ask, Heard, Meanwhile, Talk};
use crate::names::JobName;
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
    if let Some(place) = remote::place(cli, &args.socket) {
        return by_daemon(cli, args, &place, &stop);
    }
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
        let said = ran.said(job, site.loaded.document.timezone);
        remote::print_text(cli, &said);
        answers.push(said.json);
        if stop.is_raised() {
            break;
        }
    }
    Ok(exit)
}

/// Lets the daemon run them, and shows how that goes. Who stops waiting stops no run.
fn by_daemon(cli: &Cli, args: &RunArgs, place: &Path, stop: &Stop) -> Result<Exit, Failure> {
    let ask = Ask::Run {
        jobs: args.jobs.clone(),
        all: args.all,
        release_brake: args.release_brake.clone(),
        unpaced: args.unpaced,
        outside_window: args.outside_window,
    };
    let mut shown: Option<Shown> = None;
    let mut answer = None;
    Talk::begin(place, cli.tenant.clone(), ask)?.listen(stop, |heard| {
        match heard {
            Heard::Answer(last) => answer = Some(last),
            Heard::Meanwhile(Meanwhile::Planned { job, rows }) => {
                shown.insert(Shown::new(&job, cli.format == Format::Json)).planned(rows);
            }
            Heard::Meanwhile(Meanwhile::Progress { data, rows }) => {
                if let Some(shown) = &mut shown {
                    shown.so_far(&data, rows);
                }
            }
            Heard::Meanwhile(Meanwhile::Note { text }) => match &shown {
                Some(shown) => shown.remark(&text),
                None => eprintln!("{text}"),
            },
            Heard::Meanwhile(Meanwhile::Over { text, errors }) => {
                if let Some(mut shown) = shown.take() {
                    shown.finish();
                }
                remote::print_text(cli, &Said { errors, ..Said::done(text, serde_json::Value::Null) });
            }
            Heard::Meanwhile(Meanwhile::Part { .. }) => {}
        }
        Ok(())
    })?;
    if let Some(mut shown) = shown.take() {
        shown.finish();
    }
    let Some(answer) = answer else { return leave() };
    let exit = Exit::of_code(answer.code);
    let Some(json) = answer.json else { return Err(Failure::new(exit, answer.text)) };
    if cli.format == Format::Json {
        say!("{json}");
    }
    Ok(exit)
}

/// The daemon is left to it, and the command ends as a signal ends it.
fn leave() -> Result<Exit, Failure> {
    eprintln!(
        "the run goes on in the daemon, and no job after it is begun: `retentiond pause JOB` stops it after its batch, `retentiond history` shows how it ends"
    );
    signal_hook::low_level::emulate_default_handler(signal_hook::consts::SIGINT)
        .map_err(|error| Failure::new(Exit::Failed, format!("error: {error}")))?;
    Ok(Exit::Failed)
}
