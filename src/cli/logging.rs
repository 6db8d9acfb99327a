//! Where diagnostic messages go: to the journal with their fields, when systemd's journal is what standard error leads to;
//! else to standard error, as text or as JSON.
//!
//! **Invariant.** No message shows a value of anybody's row. Our own messages are made of names and counts; what a library
//! says below a warning is left out, since it may quote what it carries. Only where the file permits it for a while
//! (`[diagnostics] personal_data_until`) all of it comes through.
//!
//! A message says what happened and reads for itself; its fields, with dotted names (`job.name`, `run.id`) and units in
//! their names (`run.duration_ms`), are for whoever searches. In the journal `job.name` is `RETENTIOND_JOB_NAME`.

use std::io::IsTerminal as _;
use std::os::fd::AsFd as _;

use clap::ValueEnum;
use tracing::{Level, Metadata};
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::filter::{DynFilterFn, LevelFilter, dynamic_filter_fn};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::Registry;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::clock::Clock;
use crate::redact;

/// How messages on standard error are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// A line a message.
    Text,
    /// A JSON object a line.
    Json,
}

/// What is shown, and how.
#[derive(Clone, Copy, Debug)]
pub struct Logging {
    /// The least important level that is shown; when nobody said one, the command's own.
    pub level: LevelFilter,
    /// The format; `None`: the journal where there is one, else text.
    pub format: Option<LogFormat>,
}

/// Starts it. A second start in one process (tests) keeps the first.
pub fn start(logging: Logging) {
    let output: Box<dyn Layer<Registry> + Send + Sync> = match (logging.format, journal(logging.format)) {
        (_, Some(journal)) => Box::new(journal),
        (Some(LogFormat::Json), None) => Box::new(
            tracing_subscriber::fmt::layer()
                .json()
                .flatten_event(true)
                .log_internal_errors(false)
                .with_writer(std::io::stderr),
        ),
        (Some(LogFormat::Text) | None, None) => Box::new(
            tracing_subscriber::fmt::layer()
                .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
                .log_internal_errors(false)
                .with_writer(std::io::stderr),
        ),
    };
    let shown = filter(logging.level, Clock::system());
    drop(tracing_subscriber::registry().with(output.with_filter(shown)).try_init());
}

/// Which messages are shown. Asked anew for each message, since the permission to show values ends by itself.
fn filter(
    level: LevelFilter,
    clock: Clock,
) -> DynFilterFn<Registry, impl Fn(&Metadata<'_>, &Context<'_, Registry>) -> bool> {
    let shown = move |message: &Metadata<'_>, _: &Context<'_, Registry>| {
        let target = message.target();
        if *message.level() > level {
            return false;
        }
        let ours = target.split("::").next() == Some("retentiond") && target != redact::PERSONAL;
        ours || *message.level() <= Level::WARN && target != redact::PERSONAL || redact::may_be_shown(clock.now())
    };
    dynamic_filter_fn(shown).with_max_level_hint(level)
}

/// The journal, when it is what standard error leads to: systemd says so in `JOURNAL_STREAM`, which a child that writes
/// elsewhere inherits as well, so device and inode are compared.
fn journal(format: Option<LogFormat>) -> Option<tracing_journald::Layer> {
    let stream = std::env::var("JOURNAL_STREAM").ok()?;
    let (device, inode) = stream.split_once(':')?;
    let stat = rustix::fs::fstat(std::io::stderr().as_fd()).ok()?;
    if format.is_some() || device.parse() != Ok(stat.st_dev) || inode.parse() != Ok(stat.st_ino) {
        return None;
    }
    let layer = tracing_journald::layer().ok()?;
    Some(
        layer
            .with_syslog_identifier("retentiond".to_owned())
            .with_field_prefix(Some("RETENTIOND".to_owned()))
            .with_priority_mappings(PriorityMappings { info: Priority::Informational, ..PriorityMappings::new() }),
    )
}
