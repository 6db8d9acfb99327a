//! `retentiond demo`: a contact centre is seeded on SQLite, planned, braked, purged, and what happened is shown.
//!
//! Every step is the command that an operator would type, run as a process of its own with the shipped `jobs.toml`.

mod changes;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;

use super::Cli;
use super::seed::fill;
use crate::clock::Clock;
use crate::control::{Exit, Failure};
use crate::demo::{Options, Size, center};
use crate::plan::grouped;
use crate::redact::Sealed;
use crate::store::catalog::{Catalog, TableKind};
use crate::store::pool::{Database, DatabaseSpec};
use crate::store::target::statements::Read;
use crate::store::target::{Expr, TableRef, statements};
use crate::store::url::StoreUrl;

/// What the demonstration is like.
#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// Where the demonstration lives; a temporary folder when not said.
    #[arg(long, value_name = "DIR")]
    pub(super) dir: Option<PathBuf>,
    /// How many contacts are generated.
    #[arg(long, default_value_t = 20_000)]
    pub(super) contacts: u64,
    /// The seed: the same seed gives the same data.
    #[arg(long, default_value_t = 1711)]
    pub(super) seed: u64,
}

/// The shipped policy: the demonstration runs this very file.
const POLICY: &str = include_str!("../../jobs.toml");

/// A hold on what is left of the claims' contacts.
const HOLD: [&str; 8] =
    ["hold", "add", "case-26-117", "--data", "contacts", "--where", "queue_id=claims", "--why=asked for by a court"];

/// Rows by table, and recording files.
struct Count {
    tables: BTreeMap<String, u64>,
    files: u64,
}

/// Shows it.
pub fn demo(_cli: &Cli, args: &DemoArgs) -> Result<Exit, Failure> {
    let directory = match &args.dir {
        Some(directory) => directory.clone(),
        None => std::env::temp_dir().join(format!("retentiond-demo-{}", std::process::id())),
    };
    let stage = Stage::prepare(&directory)?;
    say!("A contact centre with seven databases and a folder of recordings, in {}", directory.display());
    let loaded = crate::control::site::load(&stage.policy)?;
    // Some rows are generated exactly at a cutoff; an hour later they are all on one side of it, for every step below.
    let now = Clock::system().now() - chrono::TimeDelta::hours(1);
    let summary = fill(&loaded, &Options { seed: args.seed, size: Size::of(args.contacts), now }, true)?;
    let rows: u64 = summary.rows.values().sum();
    say!("{} rows over five years, {} recordings, awkward cases among them:", grouped(rows), grouped(summary.files));
    for (case, count) in summary.cases.iter().take(12) {
        say!("  {:>8}  {}", grouped(*count), case.replace('_', " "));
    }
    let before = stage.count()?;
    stage.run("The map is compared with the live databases.", &["check"], &[0])?;
    stage.run("What would happen now? Nothing is changed.", &["plan", "calls", "recordings"], &[0, 4])?;
    stage.run(
        "Five years of backlog at once: the brakes stop the run before its first deletion.",
        &["run", "calls"],
        &[4],
    )?;
    let after_brake = stage.count()?;
    expect(after_brake.tables == before.tables, "a braked run changes nothing")?;
    let plan = stage.plan_of("calls")?;
    stage.run("The operator has read the plan, and lets exactly it pass.", &["approve", "calls", &plan], &[0])?;
    stage.run("Approved once, it runs once.", &["run", "calls"], &[0])?;
    let brakes = ["max_rows", "max_percent", "max_persons"].map(|brake| ["--release-brake", brake]).concat();
    let release = [&["run", "--all"], brakes.as_slice()].concat();
    stage.run("The other jobs' backlog, by a run that an operator stands beside.", &release, &[0])?;
    let after = stage.count()?;
    show(&before, &after);
    stage.run("The same again: a second run finds nothing to do.", &["run", "--all"], &[0])?;
    let again = stage.count()?;
    // The states of agents and queues come every few minutes, so one may have come of age meanwhile.
    let settled = |count: &Count| -> Vec<(String, u64)> {
        count
            .tables
            .iter()
            .filter(|(table, _)| !table.starts_with("monitoring."))
            .map(|(t, n)| (t.clone(), *n))
            .collect()
    };
    expect(settled(&again) == settled(&after) && again.files == after.files, "a second run changes nothing")?;
    stage.changes()?;
    stage.report()?;
    stage.people()?;
    stage.customer()?;
    stage.run("What was done is remembered.", &["history", "-n", "12"], &[0])?;
    stage.audit()?;
    say!(
        "\nShown: a braked run changed nothing; an approved plan passed once; the plan's rules and no others were applied; a second run changed nothing; changes of the application were captured, and removals were not; a customer was erased, and the receipt names nobody."
    );
    say!("Look around: RETENTIOND_CONFIG={} in {}", stage.policy.display(), directory.display());
    Ok(Exit::Done)
}

fn expect(holds: bool, what: &str) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(Failure::new(Exit::Failed, format!("error: the demonstration failed: {what}"))) }
}

/// The place where it happens.
struct Stage {
    directory: PathBuf,
    policy: PathBuf,
    program: PathBuf,
}

impl Stage {
    fn prepare(directory: &Path) -> Result<Self, Failure> {
        let failed =
            |error: std::io::Error| Failure::new(Exit::Failed, format!("error: {}: {error}", directory.display()));
        if directory.join("operative.db").exists() {
            let text = format!("error: {} holds a demonstration already; name another folder", directory.display());
            return Err(Failure::new(Exit::Usage, text));
        }
        std::fs::create_dir_all(directory.join("recordings")).map_err(failed)?;
        let directory = directory.canonicalize().map_err(failed)?;
        let policy = directory.join("jobs.toml");
        // The file's defaults point to /var/lib; here they point into the folder.
        let text = POLICY.replace("/var/lib/retentiond/demo", &directory.display().to_string());
        std::fs::write(&policy, text).map_err(failed)?;
        let program = std::env::current_exe().map_err(failed)?;
        Ok(Self { directory, policy, program })
    }

    fn run(&self, why: &str, arguments: &[&str], codes: &[i32]) -> Result<(), Failure> {
        say!("\n── {why}\n$ retentiond {}", arguments.join(" "));
        let status = Command::new(&self.program)
            .args(arguments)
            .env("RETENTIOND_CONFIG", &self.policy)
            .status()
            .map_err(|error| Failure::new(Exit::Failed, format!("error: {error}")))?;
        let code = status.code().unwrap_or(-1);
        if codes != [0] || code != 0 {
            say!("(exit code {code})");
        }
        expect(codes.contains(&code), &format!("`retentiond {}` ended with code {code}", arguments.join(" ")))
    }

    /// Somebody asks what is held about them.
    fn report(&self) -> Result<(), Failure> {
        let failed = |error: std::io::Error| Failure::new(Exit::Failed, format!("error: {error}"));
        let whom = self.directory.join("whom");
        std::fs::write(&whom, "7\n").map_err(failed)?;
        let (whom, out) = (format!("@{}", whom.display()), self.directory.join("report").display().to_string());
        let arguments = ["report", "--user", &whom, "--formats", "json,csv,html", "--out", &out];
        self.run("A user asks what is held about them: so many records, by category, in these files.", &arguments, &[0])
    }

    /// Somebody leaves, and a court asks for what must stay.
    fn people(&self) -> Result<(), Failure> {
        self.someone_leaves()?;
        self.run(
            "A user is deleted by the application. What is theirs goes; the name stays while contacts refer to it.",
            &["run", "directory"],
            &[0],
        )?;
        self.run("A court asks for some contacts: they stay, whatever the policy says.", &HOLD, &[0])?;
        self.run("Which holds stand?", &["hold", "list"], &[0])?;
        self.mailed()
    }

    /// The same report again, by mail.
    fn mailed(&self) -> Result<(), Failure> {
        let failed =
            |error: std::io::Error| Failure::new(Exit::Failed, format!("error: {}: {error}", self.directory.display()));
        let whom = self.directory.join("whom.txt");
        std::fs::write(&whom, "7\n").map_err(failed)?;
        let whom = format!("@{}", whom.display());
        let ask = ["report", "--user", whom.as_str()];
        self.run(
            "A user asks what is held about them, and the data protection officer is to get it by mail.",
            &ask,
            &[0],
        )?;
        self.run("The next run mails the report: here, into a folder.", &["run", "reports"], &[0])?;
        self.run("It was sent once, and nothing is held for it any more.", &["report", "list", "--all"], &[0])?;
        let folder = self.directory.join("mail");
        let mails: Vec<PathBuf> =
            std::fs::read_dir(&folder).map_err(failed)?.filter_map(Result::ok).map(|entry| entry.path()).collect();
        expect(mails.len() == 1, "one request is one mail")?;
        for mail in mails {
            say!("\n{}, as far as it can be read by everybody on its way:", mail.display());
            let text = std::fs::read_to_string(&mail).map_err(failed)?;
            text.lines()
                .take_while(|line| !line.starts_with("Content-Type: text/html"))
                .take(40)
                .for_each(|line| say!("  {line}"));
        }
        Ok(())
    }

    /// A customer asks to be forgotten.
    fn customer(&self) -> Result<(), Failure> {
        let failed = |error: std::io::Error| Failure::new(Exit::Failed, format!("error: {error}"));
        let number = self.somebodys_number()?;
        let whom = self.directory.join("whom");
        // Off the command line, where others could read it.
        std::fs::write(&whom, format!("phone={}\n", number.expose())).map_err(failed)?;
        let (whom, receipts) = (format!("@{}", whom.display()), self.directory.join("receipts"));
        std::fs::create_dir_all(&receipts).map_err(failed)?;
        let plan = self.name_of_plan(&["erase", "--customer", &whom, "--dry-run", "--format", "json"])?;
        let out = receipts.display().to_string();
        self.run(
            "A customer asks to be forgotten: all that is held about them goes, and a receipt says what, and what stays.",
            &["erase", "--customer", &whom, "--yes-i-mean", &plan, "--out", &out],
            &[0],
        )?;
        let mut seen = 0;
        for file in std::fs::read_dir(&receipts).map_err(failed)?.filter_map(Result::ok) {
            let text = std::fs::read_to_string(file.path()).map_err(failed)?;
            expect(!text.contains(number.expose().as_str()), "a receipt holds no personal data")?;
            seen += 1;
        }
        expect(seen > 0, "an erasure writes a receipt")?;
        expect(self.somebodys_number()?.expose() != number.expose(), "the customer is gone from the directory")
    }

    /// The telephone number of the first customer in the directory.
    fn somebodys_number(&self) -> Result<Sealed, Failure> {
        let database =
            Database::open(DatabaseSpec::new("directory", StoreUrl::Sqlite(self.directory.join("directory.db"))))?;
        let mut conn = database.conn()?;
        let catalog = Catalog::read(&mut conn)?;
        let missing = || Failure::new(Exit::Failed, "error: the demonstration's directory has no customers");
        let table = catalog.table(None, "directory_customers").ok_or_else(missing)?;
        let at = TableRef::of(table);
        let operand = |name: &str| table.column(name).map(|column| statements::own(&at, column)).ok_or_else(missing);
        let (phone, id) = (operand("phone")?, operand("id")?);
        let read = Read {
            table: &at,
            columns: std::slice::from_ref(&phone),
            lookups: &[],
            condition: &Expr::Null(phone.clone(), false),
            order: &[id],
            skip: 0,
            limit: 1,
            lock: false,
        };
        let row = conn.rows(&statements::read(catalog.backend, &read))?.pop();
        row.and_then(|row| row.into_values().pop().flatten()).ok_or_else(missing)
    }

    /// An auditor has kept a checkpoint; the trail is held against it.
    fn audit(&self) -> Result<(), Failure> {
        let failed = |error: String| Failure::new(Exit::Failed, format!("error: {error}"));
        let output = Command::new(&self.program)
            .args(["audit", "export"])
            .env("RETENTIOND_CONFIG", &self.policy)
            .output()
            .map_err(|error| failed(error.to_string()))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let last: serde_json::Value =
            text.lines().next_back().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default();
        let note = last["checkpoint"].as_str().ok_or_else(|| failed("no checkpoint was signed".to_owned()))?;
        let path = self.directory.join("auditor.checkpoint");
        std::fs::write(&path, note).map_err(|error| failed(error.to_string()))?;
        let known = path.display().to_string();
        self.run(
            "All of it is in the audit trail, which nobody has edited since an auditor kept a checkpoint.",
            &["audit", "verify", "--known", &known],
            &[0],
        )
    }

    /// The application deletes an account, and nothing else of it.
    fn someone_leaves(&self) -> Result<(), Failure> {
        let path = self.directory.join("configuration.db");
        let database = Database::open(DatabaseSpec::new("configuration", StoreUrl::Sqlite(path)))?;
        crate::demo::center::delete_account(&mut *database.conn()?)?;
        Ok(())
    }

    /// The name of a job's plan, as `plan` prints it.
    fn plan_of(&self, job: &str) -> Result<String, Failure> {
        self.name_of_plan(&["plan", job, "--format", "json"])
    }

    fn name_of_plan(&self, arguments: &[&str]) -> Result<String, Failure> {
        let failed = |error: String| Failure::new(Exit::Failed, format!("error: {error}"));
        let output = Command::new(&self.program)
            .args(arguments)
            .env("RETENTIOND_CONFIG", &self.policy)
            .output()
            .map_err(|error| failed(error.to_string()))?;
        let answer: serde_json::Value =
            serde_json::from_slice(&output.stdout).map_err(|error| failed(error.to_string()))?;
        let plan = answer.pointer("/jobs/0/plan").and_then(serde_json::Value::as_str);
        plan.map(str::to_owned).ok_or_else(|| failed("the plan has no name".to_owned()))
    }

    fn count(&self) -> Result<Count, Failure> {
        let mut tables = BTreeMap::new();
        for store in center::STORES {
            let path = self.directory.join(format!("{store}.db"));
            let database = Database::open(DatabaseSpec::new(*store, StoreUrl::Sqlite(path)))?;
            let mut conn = database.conn()?;
            let catalog = Catalog::read(&mut conn)?;
            for table in catalog.tables.iter().filter(|table| table.kind == TableKind::Table) {
                if table.name.as_str().starts_with("retentiond_") {
                    continue;
                }
                let stmt = statements::count(catalog.backend, &TableRef::of(table), None, &Expr::always());
                let rows = conn.rows(&stmt)?.first().and_then(|row| row.count(0)).unwrap_or_default();
                tables.insert(format!("{store}.{}", table.name.as_str()), rows.unsigned_abs());
            }
        }
        Ok(Count { tables, files: count_files(&self.directory.join("recordings")) })
    }
}

/// Files outside the trash.
fn count_files(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries
        .filter_map(Result::ok)
        .filter(|entry| !entry.file_name().to_string_lossy().starts_with(".retentiond"))
        .map(|entry| if entry.path().is_dir() { count_files(&entry.path()) } else { 1 })
        .sum()
}

fn show(before: &Count, after: &Count) {
    say!("\n── Before and after (anonymised rows stay, so that statistics stay right)");
    say!("{:<40} {:>12} {:>12}", "", "before", "after");
    for (table, rows) in &before.tables {
        let left = after.tables.get(table).copied().unwrap_or_default();
        if left != *rows {
            say!("{table:<40} {:>12} {:>12}", grouped(*rows), grouped(left));
        }
    }
    say!("{:<40} {:>12} {:>12}", "recording files", grouped(before.files), grouped(after.files));
}
