//! The command line: one file a command.

#[macro_use]
mod say;

mod approve;
mod archive;
mod audit;
mod check;
mod completions;
mod demo;
mod erase;
mod history;
mod hold;
mod init;
mod jobs;
mod logging;
mod plan;
mod privilege;
mod progress;
mod remote;
mod replay;
mod report;
mod requests;
mod run;
mod schema;
mod seed;
mod serve;
mod status;
mod switch;
mod tenants;
mod unit;
mod whom;

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use tracing_subscriber::filter::LevelFilter;

use crate::names::JobName;
use crate::plan::BrakeName;

use crate::control::{Exit, Failure};

use crate::trail::Actor;

use logging::{LogFormat, Logging};
use tenants::for_each;

/// The daemon that people trust with deletion.
///
/// retentiond removes personal data that is older than a policy allows from PostgreSQL, MySQL/MariaDB and SQLite
/// databases and from folders of files. Everything it does is described in one file, previewed by `plan`, stopped by
/// brakes, and written to a ledger in the transaction that does it.
#[derive(Debug, Parser)]
#[command(name = "retentiond", version, max_term_width = 100)]
pub struct Cli {
    /// The policy.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "RETENTIOND_CONFIG",
        default_value = "/etc/retentiond/jobs.toml"
    )]
    config: PathBuf,
    /// The tenant, where the file has several. Without it `check`, `plan`, `run`, `status`, `jobs` and `init` are about all;
    /// commands that are about no tenant, `serve` and `reload` among them, refuse it.
    #[arg(long, global = true, value_name = "NAME", env = "RETENTIOND_TENANT")]
    tenant: Option<crate::names::TenantName>,
    /// How answers are printed; JSON goes to standard output and is stable.
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Diagnostic messages: off, error, warn, info, debug or trace. When not said, info for `serve` and warn for the rest.
    #[arg(long, global = true, value_name = "LEVEL", env = "RETENTIOND_LOG")]
    log: Option<LevelFilter>,
    /// How diagnostic messages are written to standard error; when not said, text, or systemd's journal with its fields.
    #[arg(long, global = true, value_enum, value_name = "FORMAT", env = "RETENTIOND_LOG_FORMAT")]
    log_format: Option<LogFormat>,
    #[command(subcommand)]
    command: Command,
}

/// How answers are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Reads the file, connects, and compares the data map with the live databases; changes nothing.
    Check(CheckArgs),
    /// Shows what would happen now; changes nothing. Exits 4 where a brake would stop the run.
    Plan(PlanArgs),
    /// Runs jobs now, to their end.
    Run(RunArgs),
    /// Lets exactly the plan that a brake stopped pass at its next run.
    ///
    /// The approval is good for one run within 72 hours, of the same policy on the same schema; no step may find more than
    /// was approved. All brakes are released together, except the age floor.
    Approve(ApproveArgs),
    /// Is everything within policy, and if not, why? Exits 4 when something is overdue.
    ///
    /// A row is overdue when it had expired a day ago, or one turn of its job's schedule where that is longer, and is still
    /// there.
    Status(StatusArgs),
    /// Brings a restored store up to date: whom it brought back goes again, then ordinary jobs go on.
    Replay(replay::ReplayArgs),
    /// Erases one person: shows what would go, asks, removes it, and writes a receipt.
    Erase(erase::EraseArgs),
    /// Reports all that is held about one person: as PDF, JSON, CSV and HTML.
    ///
    /// Searches every entry of the data map as `erase` does, and shows what an erasure would remove or name as kept, by
    /// category, with purpose, legal basis and retention time. What is somebody else's in it is masked. A search by
    /// address that matches more than 1 000 rows is refused; narrow it with --from and --to.
    Report(report::ReportArgs),
    /// Shows the jobs and when they run next, in their zone and in UTC.
    Jobs(JobsArgs),
    /// Shows past runs and their outcomes.
    History(HistoryArgs),
    /// What jobs have archived: lists it, verifies it, puts it into a table again.
    Archive(archive::ArchiveArgs),
    /// Legal holds: these rows stay, whatever a policy says.
    Hold(hold::HoldArgs),
    /// The audit trail: what retentiond itself did, and the proof that nobody has changed it; and changes to personal data,
    /// captured.
    Audit(audit::AuditArgs),
    /// Stops jobs before their next batch, until `resume`.
    Pause(SwitchArgs),
    /// Lets paused jobs go on.
    Resume(SwitchArgs),
    /// Runs jobs on their schedules until it is told to stop: what systemd starts.
    Serve(ServeArgs),
    /// Lets the running daemon read its file anew. A file with mistakes is refused, and the old one is followed.
    Reload(SocketArgs),
    /// Accepts the clocks as they are now, this machine's and the stores', for all tenants: look at them first.
    ///
    /// Jobs wait after this machine's clock has jumped, and while a store's differs from it by more than a minute.
    AcceptClock(SocketArgs),
    /// Prepares a store: retentiond's tables in a database, the marker file in a folder.
    Init(InitArgs),
    /// Seeds a contact centre on SQLite, purges it, and shows what happened.
    Demo(demo::DemoArgs),
    /// Fills the contact centre's databases with generated data, for tests and measurements.
    #[command(hide = true)]
    Seed(seed::SeedArgs),
    /// Prints the JSON Schema of jobs.toml.
    Schema {
        /// Prints the schema of a personal data report in JSON instead.
        #[arg(long)]
        report: bool,
    },
    /// Prints completions for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Prints the manual page.
    Man {
        /// Writes it into this folder instead, and a page for each command.
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
}

impl Command {
    /// What is logged when nobody says: a command prints what it does, the daemon has only its log.
    fn usual_level(&self) -> LevelFilter {
        if matches!(self, Self::Serve(_)) { LevelFilter::INFO } else { LevelFilter::WARN }
    }

    /// The name of a command that is about no tenant, or about all of them at once.
    fn of_no_tenant(&self) -> Option<&'static str> {
        Some(match self {
            Self::Serve(_) => "serve",
            Self::Reload(_) => "reload",
            Self::AcceptClock(_) => "accept-clock",
            Self::Check(CheckArgs { unit: true }) => "check --unit",
            Self::Audit(args) if !args.is_capture() => "audit",
            Self::Demo(_) => "demo",
            Self::Seed(_) => "seed",
            Self::Schema { .. } => "schema",
            Self::Completions { .. } => "completions",
            Self::Man { .. } => "man",
            _ => return None,
        })
    }

    /// Whether it works on what jobs.toml describes; such a command is not run as root where the state is not root's.
    fn reads_policy(&self) -> bool {
        match self {
            Self::Check(args) => !args.unit,
            Self::Demo(_) | Self::Seed(_) | Self::Schema { .. } | Self::Completions { .. } | Self::Man { .. } => false,
            _ => true,
        }
    }
}

#[derive(Debug, Args)]
struct CheckArgs {
    /// Prints instead what the service needs of systemd: the drop-in for the unit, and the commands that prepare the
    /// stores. Connects to nothing.
    #[arg(long)]
    unit: bool,
}

#[derive(Debug, Args)]
struct PlanArgs {
    /// The jobs; all when none is named.
    jobs: Vec<JobName>,
    /// Looks ahead (or back): the instant that cutoffs count from, RFC 3339.
    #[arg(long, value_name = "INSTANT")]
    now: Option<DateTime<Utc>>,
    /// Shows the statements too.
    #[arg(long, short)]
    verbose: bool,
    #[command(flatten)]
    socket: SocketArgs,
}

#[derive(Debug, Args)]
struct RunArgs {
    /// The jobs.
    #[arg(required_unless_present = "all")]
    jobs: Vec<JobName>,
    /// All jobs of the file.
    #[arg(long, conflicts_with = "jobs")]
    all: bool,
    /// Lets this one run pass a brake; may be said several times.
    #[arg(long, value_name = "NAME", value_enum)]
    release_brake: Vec<BrakeName>,
    /// As fast as the databases can: for a maintenance window.
    #[arg(long)]
    unpaced: bool,
    /// Runs although the job's window is closed.
    #[arg(long)]
    outside_window: bool,
    /// The instant that cutoffs count from. Only for tests and the demo.
    #[arg(long, value_name = "INSTANT", hide = true)]
    now: Option<DateTime<Utc>>,
    #[command(flatten)]
    socket: SocketArgs,
}

#[derive(Debug, Args)]
struct ApproveArgs {
    /// The job.
    job: JobName,
    /// The plan, as `plan`, `run` and the mail name it.
    plan: String,
    #[command(flatten)]
    socket: SocketArgs,
}

#[derive(Debug, Args)]
struct StatusArgs {
    #[command(flatten)]
    socket: SocketArgs,
    /// Looks ahead (or back): the instant that cutoffs count from, RFC 3339.
    #[arg(long, value_name = "INSTANT")]
    now: Option<DateTime<Utc>>,
}

#[derive(Debug, Args)]
struct JobsArgs {
    /// How many runs of each job.
    #[arg(long, short = 'n', value_name = "N", default_value_t = 1)]
    next: usize,
    /// Looks ahead (or back): the instant after which runs are shown, RFC 3339.
    #[arg(long, value_name = "INSTANT")]
    now: Option<DateTime<Utc>>,
    #[command(flatten)]
    socket: SocketArgs,
}

#[derive(Debug, Args)]
struct HistoryArgs {
    /// Only this job.
    job: Option<JobName>,
    /// How many runs.
    #[arg(long, short = 'n', default_value_t = 20)]
    limit: i64,
    #[command(flatten)]
    socket: SocketArgs,
}

#[derive(Debug, Args)]
struct SwitchArgs {
    /// Only this job; all when none is named.
    job: Option<JobName>,
    #[command(flatten)]
    socket: SocketArgs,
}

#[derive(Debug, Args)]
struct SocketArgs {
    /// Where the daemon is reached. Default: /run/retentiond/control.sock.
    #[arg(long, value_name = "PATH", env = "RETENTIOND_SOCKET", global = true)]
    socket: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct ServeArgs {
    #[command(flatten)]
    socket: SocketArgs,
}

#[derive(Debug, Args)]
struct InitArgs {
    /// The store.
    store: crate::names::StoreName,
    /// Prints the SQL instead, for somebody else to run.
    #[arg(long)]
    print_sql: bool,
}

/// Parses the command line, does what it says, and gives the exit code.
pub fn main() -> std::process::ExitCode {
    let cli = match Cli::read(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors; clap knows where each belongs.
            drop(error.print());
            return if error.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() };
        }
    };
    crate::control::panics::tell_places_only();
    logging::start(Logging { level: cli.log.unwrap_or(cli.command.usual_level()), format: cli.log_format });
    if !matches!(cli.command, Command::Serve(_)) {
        Actor::of_uid(privilege::caller_uid()).is_process();
    }
    let ready = if cli.command.reads_policy() { privilege::become_owner(&cli.config) } else { Ok(()) };
    match ready.and_then(|()| dispatch(&cli)) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            tell(&failure, cli.format);
            failure.exit().into()
        }
    }
}

/// Text to standard error, JSON to standard output.
fn tell(failure: &Failure, format: Format) {
    if format == Format::Json {
        say!("{}", failure.to_json());
    }
    eprintln!("{}", failure.text());
}

fn dispatch(cli: &Cli) -> Result<Exit, Failure> {
    match &cli.command {
        Command::Check(args) if args.unit => unit::unit(cli),
        Command::Check(_) => check::check(cli),
        Command::Plan(args) => plan::plan(cli, args),
        Command::Run(args) => run::run(cli, args),
        Command::Approve(args) => approve::approve(cli, args),
        Command::Status(args) => status::status(cli, args),
        Command::Replay(args) => replay::replay(cli, args),
        Command::Erase(args) => erase::erase(cli, args),
        Command::Report(args) => report::report(cli, args),
        Command::Jobs(args) => jobs::jobs(cli, args),
        Command::History(args) => history::history(cli, args),
        Command::Archive(args) => archive::archive(cli, args),
        Command::Hold(args) => hold::hold(cli, args),
        Command::Audit(args) => audit::audit(cli, args),
        Command::Pause(args) => switch::pause(cli, args),
        Command::Resume(args) => switch::resume(cli, args),
        Command::Serve(args) => serve::serve(cli, args),
        Command::Reload(args) => serve::reload(cli, args),
        Command::AcceptClock(args) => serve::accept_clock(cli, args),
        Command::Init(args) => init::init(cli, args),
        Command::Demo(args) => demo::demo(cli, args),
        Command::Seed(args) => seed::seed(cli, args),
        Command::Schema { report } => schema::schema(*report),
        Command::Completions { shell } => completions::completions(*shell),
        Command::Man { out } => completions::man(out.as_deref()),
    }
}

/// The command line as clap sees it, for completions and the manual page.
pub fn command() -> clap::Command {
    Cli::command()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
