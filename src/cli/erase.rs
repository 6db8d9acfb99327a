//! `retentiond erase`: one person's erasure: plan, confirmation, removal, receipt.

use std::path::{Path, PathBuf};

use clap::Args;

use super::progress::Shown;
use super::whom::{Whom, ask, can_ask};
use super::{Cli, Format, SocketArgs, remote};
use crate::clock::Clock;
use crate::control::erasing::{self, Prepared};
use crate::control::ran::{Ended, Ran, Refusal};
use crate::control::receipt::Receipt;
use crate::control::roles::record_refusal;
use crate::control::runner::{Cause, Occasion, Options};
use crate::control::{Exit, Failure};
use crate::daemon::socket::Ask;
use crate::plan::describe;
use crate::redact::Sealed;
use crate::stop::Stop;
use crate::trail::Actor;

/// The options of an erasure.
#[derive(Debug, Args)]
pub struct EraseArgs {
    #[command(flatten)]
    whom: Whom,
    /// Shows the plan and changes nothing.
    #[arg(long)]
    dry_run: bool,
    /// Confirms, for scripts: the name of the plan that `--dry-run` prints.
    #[arg(long, value_name = "PLAN", conflicts_with = "dry_run")]
    yes_i_mean: Option<String>,
    /// Writes the receipt into this folder, which is made if it is not there, as text and as JSON.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// As fast as the databases can.
    #[arg(long)]
    unpaced: bool,
    #[command(flatten)]
    socket: SocketArgs,
}

/// Erases one person.
pub fn erase(cli: &Cli, args: &EraseArgs) -> Result<Exit, Failure> {
    if let Some(place) = remote::place(cli, &args.socket) {
        return ask_daemon(cli, args, &place);
    }
    let stop = Stop::on_signals().map_err(|error| Failure::new(Exit::Failed, format!("error: {error}")))?;
    let clock = Clock::system();
    let site = cli.site()?;
    let memory = site.open_state()?;
    let named = args.whom.resolve(&site)?;
    let prepared = erasing::prepare(&memory, named.subject.clone(), None, clock.now())?;
    let plan = prepared.plan(&site, &memory, clock.now())?;
    if cli.format == Format::Text {
        say!("{}", describe(&plan, site.loaded.document.timezone, false));
    }
    if args.dry_run {
        if cli.format == Format::Json {
            say!("{}", serde_json::json!({ "jobs": [plan] }));
        }
        return Ok(Exit::Done);
    }
    if let Err(failure) = confirm(args, &named.given, &plan.plan, plan.rows) {
        record_refusal(Actor::present(), "erase", "not confirmed", &memory, clock);
        return Err(failure);
    }
    // Where the receipt goes is there before anything goes.
    args.out.as_deref().map_or(Ok(()), super::report::make)?;
    let options = Options {
        released: Vec::new(),
        unpaced: args.unpaced,
        outside_window: true,
        clock,
        stop,
        occasion: Occasion::Manual,
        cause: Cause::default(),
        lease: site.loaded.document.state.lease(),
    };
    let mut shown = Shown::new("erase", cli.format == Format::Json);
    let result = prepared.run(&site, &memory, &options, &mut shown);
    shown.finish();
    let (ran, receipt) = result?;
    // Shown first: a disk that is full takes no receipt from whoever reads this one.
    show(cli, &prepared, &ran, receipt.as_ref());
    if let (Some(receipt), Some(folder)) = (&receipt, &args.out) {
        let json = serde_json::to_string_pretty(receipt).unwrap_or_default() + "\n";
        write(&receipt.erasure, (&json, &format!("{receipt}\n")), folder)?;
    }
    Ok(erasing::exit(&ran, receipt.as_ref()))
}

/// The daemon plans and erases; who asks sees the plan, and confirms exactly it.
fn ask_daemon(cli: &Cli, args: &EraseArgs, place: &Path) -> Result<Exit, Failure> {
    let (person, given) = args.whom.to_person()?;
    let planned = remote::ask(cli, place, Ask::EraseDryRun { person: person.clone() })?;
    if args.dry_run || cli.format == Format::Text {
        remote::print(cli, &planned.text, planned.json.as_ref());
    }
    if args.dry_run {
        return Ok(Exit::Done);
    }
    let found = |pointer: &str| planned.json.as_ref().and_then(|json| json.pointer(pointer)).cloned();
    let plan = found("/jobs/0/plan").and_then(|plan| plan.as_str().map(str::to_owned)).unwrap_or_default();
    let rows = found("/jobs/0/rows").and_then(|rows| rows.as_u64()).unwrap_or_default();
    confirm(args, &given, &plan, rows)?;
    args.out.as_deref().map_or(Ok(()), super::report::make)?;
    let done = remote::ask(cli, place, Ask::Erase { person, plan, unpaced: args.unpaced })?;
    let receipt = done.json.as_ref().and_then(|json| json.get("receipt")).filter(|receipt| !receipt.is_null());
    remote::print(cli, &done.text, done.json.as_ref());
    if let (Some(receipt), Some(folder)) = (receipt, &args.out) {
        let id = receipt.get("erasure").and_then(|id| id.as_str()).unwrap_or_default();
        let json = serde_json::to_string_pretty(receipt).unwrap_or_default() + "\n";
        write(id, (&json, &format!("{}\n", done.text)), folder)?;
    }
    Ok(Exit::Done)
}

/// Nothing goes before somebody has typed the identifier again, or named the very plan.
fn confirm(args: &EraseArgs, given: &[Sealed], plan: &str, rows: u64) -> Result<(), Failure> {
    let refused = |text: String| Err(Failure::new(Exit::Braked, text));
    match &args.yes_i_mean {
        Some(meant) if meant == plan => Ok(()),
        Some(_) => refused(format!(
            "error: the plan is {plan} now, not the one that was meant; look at it, and confirm that one. Nothing was removed"
        )),
        None if rows == 0 => Ok(()),
        None if can_ask() => {
            let typed = ask("Type the identifier again to erase this person: ")?;
            let same = given.iter().any(|given| {
                let value = given.expose().split_once('=').map_or(given.expose().as_str(), |(_, value)| value);
                typed == *given || typed.expose() == value
            });
            if same { Ok(()) } else { refused("error: that is another one. Nothing was removed".to_owned()) }
        }
        None => refused(format!(
            "error: nobody can confirm here. Nothing was removed; a script confirms with --yes-i-mean {plan}"
        )),
    }
}

fn write(erasure: &str, (json, text): (&str, &str), folder: &Path) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        let text =
            format!("error: the person is erased, but the receipt cannot be written to {}: {error}", folder.display());
        Failure::new(Exit::Failed, text)
    };
    for (ending, text) in [("json", json), ("txt", text)] {
        std::fs::write(folder.join(format!("erasure-{erasure}.{ending}")), text).map_err(failed)?;
    }
    Ok(())
}

fn show(cli: &Cli, prepared: &Prepared, ran: &Ran, receipt: Option<&Receipt>) {
    if cli.format == Format::Json {
        say!("{}", serde_json::json!({ "jobs": [ran.to_json(&prepared.job)], "receipt": receipt }));
    } else if let Some(receipt) = receipt {
        say!("{receipt}");
    }
    match &ran.ended {
        Ended::Refused(Refusal::Running { host, pid, .. }) => {
            eprintln!("error: another erasure is running (process {pid} on {host})");
        }
        Ended::Refused(Refusal::Paused) => eprintln!("error: paused; `retentiond resume` lets it go on"),
        Ended::Refused(Refusal::Done | Refusal::Clock(_)) => eprintln!("error: it was not begun"),
        Ended::Failed(error) => eprintln!("error: {error}"),
        Ended::With(outcome) if receipt.is_none() => {
            eprintln!("error: {}; run it again to go on", outcome.as_str());
        }
        Ended::With(_) => {}
    }
}
