//! `retentiond hold`: legal holds are placed, listed and released.
//!
//! A release needs a second person: `--approve-as USER` asks for that person's own password by way of `su`, and both are
//! remembered. Where the state is root's own, `su` asks root for none: what root does is remembered, not prevented.

use std::io::Read as _;
use std::process::{Command, Stdio};

use chrono::NaiveDate;
use clap::{Args, Subcommand};

use super::whom::Whom;
use super::{Cli, Format, SocketArgs, privilege, remote};
use crate::clock::Clock;
use crate::control::holding::{self, NewHold};
use crate::control::roles::record_refusal;
use crate::control::{Exit, Failure, Site};
use crate::daemon::socket::Ask;
use crate::holds::About;
use crate::names::{CaseName, DataName};
use crate::trail::Actor;

#[derive(Debug, Args)]
pub(super) struct HoldArgs {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    socket: SocketArgs,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Holds rows for the sake of a case, with what belongs to them and what they need; comes back when no batch that
    /// began before is in flight.
    Add(AddArgs),
    /// Shows the holds that stand, and how many rows each case holds.
    List {
        /// Those that have ended too.
        #[arg(long)]
        all: bool,
    },
    /// Ends all holds of a case; what they kept goes with the next runs of the jobs.
    Release(ReleaseArgs),
}

#[derive(Debug, Args)]
struct AddArgs {
    /// The case; several cases may hold the same rows.
    case: CaseName,
    #[command(flatten)]
    whom: Whom,
    /// The entry whose rows are held.
    #[arg(long, value_name = "NAME", requires = "only", conflicts_with_all = ["user", "customer"], required_unless_present_any = ["user", "customer"])]
    data: Option<DataName>,
    /// Which of its rows, as in jobs.toml: a value, a list, `{ below = 7 }`; several must all hold. `@FILE` and `-` read
    /// one pair a line, so that no value stands on the command line.
    #[arg(long = "where", value_name = "COLUMN=VALUE", id = "only", requires = "data")]
    only: Vec<String>,
    /// The search may match more than 1 000 rows: they are all about this person.
    #[arg(long, conflicts_with = "data")]
    wide: bool,
    /// Why, for those who read the list; without names.
    #[arg(long, value_name = "TEXT")]
    why: String,
    /// The last day on which it holds; without one it holds until it is released.
    #[arg(long, value_name = "DATE")]
    until: Option<NaiveDate>,
}

#[derive(Debug, Args)]
struct ReleaseArgs {
    /// The case.
    case: CaseName,
    /// The second person, by Unix user; not needed where the daemon is asked: there a second person with the role `dpo`
    /// gives the same command.
    #[arg(long, value_name = "USER")]
    approve_as: Option<String>,
}

/// Does what the subcommand says.
pub(super) fn hold(cli: &Cli, args: &HoldArgs) -> Result<Exit, Failure> {
    if let Some(place) = remote::place(cli, &args.socket) {
        return ask(cli, &place, &args.what);
    }
    match &args.what {
        What::Add(args) => add(cli, args),
        What::List { all } => list(cli, *all),
        What::Release(args) => release(cli, args),
    }
}

/// The daemon does it.
fn ask(cli: &Cli, place: &std::path::Path, what: &What) -> Result<Exit, Failure> {
    let usage = |text: &str| Err(Failure::new(Exit::Usage, format!("error: {text}")));
    let what = match what {
        What::Add(args) if args.data.is_some() => {
            return usage("rows of an entry are held by root on the host; the daemon holds persons");
        }
        What::Add(args) => {
            let (person, _) = args.whom.to_person()?;
            Ask::Hold { case: args.case.clone(), person, why: args.why.clone(), until: args.until, wide: args.wide }
        }
        What::List { all } => Ask::Holds { all: *all },
        What::Release(args) => Ask::Release { case: args.case.clone() },
    };
    remote::say(cli, place, what)
}

fn add(cli: &Cli, args: &AddArgs) -> Result<Exit, Failure> {
    let site = cli.site()?;
    let memory = site.open_state()?;
    let new = NewHold {
        case: args.case.clone(),
        about: about(&site, args)?,
        why: args.why.clone(),
        until: args.until,
        by: privilege::caller(),
    };
    let rows = holding::add(&site, &memory, &new, Clock::system().now())?;
    let all: u64 = rows.values().sum();
    match cli.format {
        Format::Json => say!("{}", serde_json::json!({ "case": args.case, "rows": rows })),
        Format::Text => say!("{}", holding::placed(&args.case, all)),
    }
    Ok(Exit::Done)
}

/// What the hold is about.
fn about(site: &Site, args: &AddArgs) -> Result<About, Failure> {
    match &args.data {
        Some(data) => Ok(About::Rows { data: data.clone(), only: pairs(&args.only)? }),
        None => holding::about_one(site, args.whom.resolve(site)?.subject, args.wide),
    }
}

/// The pairs, those of files and of standard input among them.
fn pairs(written: &[String]) -> Result<Vec<String>, Failure> {
    let unreadable = |error: std::io::Error| Failure::new(Exit::Usage, format!("error: --where: {error}"));
    let mut pairs = Vec::new();
    for pair in written {
        let text = match pair.strip_prefix('@') {
            Some(file) => std::fs::read_to_string(file).map_err(unreadable)?,
            None if pair == "-" => {
                let mut text = String::new();
                std::io::stdin().read_to_string(&mut text).map_err(unreadable)?;
                text
            }
            None => pair.clone(),
        };
        pairs.extend(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned));
    }
    if pairs.is_empty() {
        return Err(Failure::new(Exit::Usage, "error: --where says nothing, and that is not everything"));
    }
    Ok(pairs)
}

fn list(cli: &Cli, all: bool) -> Result<Exit, Failure> {
    let site = cli.site()?;
    let memory = site.open_state()?;
    let now = Clock::system().now();
    let mut holds = holding::list(&site, &memory)?;
    holds.retain(|listed| all || listed.stands(now));
    match cli.format {
        Format::Json => say!("{}", holding::to_json(&holds, now)),
        Format::Text => say!("{}", holding::table(&holds, site.loaded.document.timezone)),
    }
    Ok(Exit::Done)
}

fn release(cli: &Cli, args: &ReleaseArgs) -> Result<Exit, Failure> {
    let by = privilege::caller();
    let Some(second) = &args.approve_as else {
        let text = "error: a release needs a second person: --approve-as USER";
        return Err(Failure::new(Exit::Usage, text));
    };
    let site = cli.site()?;
    let memory = site.open_state()?;
    if let Err(failure) = approve(&by, second) {
        record_refusal(Actor::present(), "hold release", "not confirmed", &memory, Clock::system());
        return Err(failure);
    }
    holding::release(&site, &memory, &args.case, (&by, second), Clock::system().now())?;
    match cli.format {
        Format::Json => {
            say!("{}", serde_json::json!({ "case": args.case, "released_by": by, "approved_by": second }))
        }
        Format::Text => say!(
            "case {} is released by {by} and {}; what it kept goes with the next runs of the jobs",
            args.case,
            second
        ),
    }
    Ok(Exit::Done)
}

/// Has the second person confirm with their own password.
fn approve(first: &str, second: &str) -> Result<(), Failure> {
    let refused = |why: &str| Err(Failure::new(Exit::Braked, format!("error: not released: {why}")));
    if second.starts_with('-') || second.is_empty() {
        return Err(Failure::new(Exit::Usage, "error: --approve-as wants a Unix user"));
    }
    let id = |user: &str| {
        let output = Command::new("id").args(["-u", "--", user]).stderr(Stdio::null()).output();
        output.ok().filter(|output| output.status.success()).map(|output| output.stdout)
    };
    let Some(number) = id(second) else { return refused(&format!("there is no Unix user `{second}`")) };
    if second == first || id(first).is_some_and(|own| own == number) {
        return refused("a release needs a second person, and this is the same one");
    }
    // Neither its output nor its question may stand in an answer for programs.
    let asked = Command::new("su").args(["-s", "/bin/sh", "-c", "exit 0", "--", second]).stdout(Stdio::null()).status();
    match asked {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => refused(&format!("`{second}` did not confirm")),
        Err(error) => refused(&format!("`su`, which asks for the password of `{second}`, cannot be run: {error}")),
    }
}
