//! `retentiond report`: what is held about one person, as files, or by mail ([`super::requests`]).

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;

use super::requests::{self, What};
use super::whom::Whom;
use super::{Cli, Format as Answer, SocketArgs};
use crate::clock::Clock;
use crate::control::{Exit, Failure, reporting, requests as recorded};
use crate::names::JobName;
use crate::report::{Files, Format, Gathered};

/// The options of a report.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct ReportArgs {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    whom: Whom,
    /// Writes the report into this folder, which is made if it is not there; without it, a job of kind
    /// `personal_data_report` mails it.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The job that mails it, where the file has several.
    #[arg(long, value_name = "JOB", conflicts_with = "out")]
    job: Option<JobName>,
    #[command(flatten)]
    socket: SocketArgs,
    /// In which formats the files are: pdf, json, csv, html. A report that is mailed has those of its job.
    #[arg(long, value_name = "FORMATS", value_delimiter = ',', default_value = "pdf,json,csv,html", requires = "out")]
    formats: Vec<Format>,
    /// The language of the files' texts: en, de, fi, or one of the operator's own. Default: as [report] in jobs.toml says. A
    /// report that is mailed has that of its job.
    #[arg(long, value_name = "LANGUAGE", requires = "out")]
    lang: Option<String>,
}

/// Reports about one person.
pub fn report(cli: &Cli, args: &ReportArgs) -> Result<Exit, Failure> {
    if let Some(what) = &args.what {
        return requests::requests(cli, &args.socket, what);
    }
    let Some(folder) = &args.out else { return requests::ask(cli, &args.socket, &args.whom, args.job.as_ref()) };
    let site = cli.site()?;
    let named = args.whom.resolve(&site)?;
    let now = Clock::system().now();
    let id = new_id(now);
    recorded::written(&site.open_state()?, Clock::system(), &id, named.subject.kind.clone())?;
    let begun = Instant::now();
    let report = reporting::gather(&site, named.subject, args.lang.clone(), id.clone(), now)?;
    let read = begun.elapsed();
    make(folder)?;
    let files = report.files(&args.formats, folder)?;
    show(cli, &id, &report, &files, [read, begun.elapsed().saturating_sub(read)]);
    Ok(Exit::Done)
}

fn new_id(now: chrono::DateTime<chrono::Utc>) -> String {
    let seconds = u64::try_from(now.timestamp()).unwrap_or_default();
    uuid::Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, now.timestamp_subsec_nanos())).to_string()
}

/// Makes the folder, for its owner alone.
pub(super) fn make(folder: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::DirBuilderExt as _;
    match std::fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists || !folder.is_dir() => {
            Err(Failure::new(Exit::Usage, format!("error: --out {}: {error}", folder.display())))
        }
        _ => Ok(()),
    }
}

/// What was found and written; nothing of it is personal data.
fn show(cli: &Cli, id: &str, report: &Gathered, files: &Files, took: [Duration; 2]) {
    let model = report.report();
    if cli.format == Answer::Json {
        let categories: serde_json::Map<String, serde_json::Value> =
            report.counts().iter().map(|(name, rows)| (name.to_string(), (*rows).into())).collect();
        let written: Vec<_> = files
            .written
            .iter()
            .map(|file| serde_json::json!({ "format": file.format, "path": file.path, "bytes": file.bytes }))
            .collect();
        let missing: Vec<_> =
            files.missing.iter().map(|(format, why)| serde_json::json!({ "format": format, "why": why })).collect();
        let rows = model.rows();
        let took = serde_json::json!({ "read_seconds": took[0].as_secs_f64(), "write_seconds": took[1].as_secs_f64() });
        say!(
            "{}",
            serde_json::json!({ "report": id, "rows": rows, "categories": categories, "files": written, "missing": missing, "took": took })
        );
    } else {
        for (_, title, rows) in model.counts() {
            say!("{rows:>9}  {title}");
        }
        for file in &files.written {
            say!("{}", file.path.display());
        }
    }
    for (_, why) in &files.missing {
        eprintln!("warning: {}", report.texts().get("no_pdf").replace("{why}", why));
    }
}
