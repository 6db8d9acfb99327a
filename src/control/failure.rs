//! How a request ends when it does not do what it was asked.

use std::process::ExitCode;

use crate::files::FileErrorKind;
use crate::graph::stores::OpenError;
use crate::mail::Certainty;
use crate::names::TenantName;
use crate::removal::RemovalError;
use crate::store::{ErrorKind, StoreError};
use crate::trail::TrailError;

/// The exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// A job failed.
    Failed,
    /// The command line is wrong.
    Usage,
    /// The file or the map is wrong.
    Configuration,
    /// Braked, held or refused.
    Braked,
    /// A database, file store or mail server could not be reached.
    Unreachable,
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Configuration => 3,
            Self::Braked => 4,
            Self::Unreachable => 5,
        }
    }

    /// What a number means; one that is none of these is a failure.
    pub fn of_code(code: u8) -> Self {
        let all = [Self::Done, Self::Failed, Self::Usage, Self::Configuration, Self::Braked, Self::Unreachable];
        all.into_iter().find(|exit| exit.code() == code).unwrap_or(Self::Failed)
    }

    /// The worse of two, for several jobs: 3, 5, 1, 4, 0.
    #[must_use]
    pub fn worse(self, other: Self) -> Self {
        let rank = |exit: Self| match exit {
            Self::Configuration => 5,
            Self::Unreachable => 4,
            Self::Failed => 3,
            Self::Braked => 2,
            Self::Usage => 1,
            Self::Done => 0,
        };
        if rank(other) > rank(self) { other } else { self }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// What went wrong, with its exit code.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    text: String,
    json: Option<serde_json::Value>,
}

impl Failure {
    /// A failure with its message.
    pub fn new(exit: Exit, text: impl Into<String>) -> Self {
        Self { exit, text: text.into(), json: None }
    }

    /// Findings in the file, rendered, and as JSON.
    pub fn findings(text: String, json: serde_json::Value) -> Self {
        Self { exit: Exit::Configuration, text, json: Some(json) }
    }

    /// The same, saying whose it is, where it is a tenant's.
    #[must_use]
    pub fn of_tenant(self, tenant: Option<&TenantName>) -> Self {
        let text = tenant.map(|tenant| format!("tenant {tenant}:\n{}", self.text()));
        let json = tenant.map(|_| self.errors_of(tenant).into());
        Self { exit: self.exit, text: text.unwrap_or(self.text), json: json.or(self.json) }
    }

    /// The message for programs, each error saying whose it is.
    pub fn errors_of(&self, tenant: Option<&TenantName>) -> Vec<serde_json::Value> {
        let mut errors = self.errors();
        for error in errors.iter_mut().filter_map(serde_json::Value::as_object_mut) {
            error.extend(tenant.map(|tenant| ("tenant".to_owned(), tenant.as_str().into())));
        }
        errors
    }

    /// All of them as one; the worst decides. None where there is none.
    pub fn all(failures: Vec<Self>) -> Option<Self> {
        let exit = failures.iter().map(Self::exit).reduce(Exit::worse)?;
        let text = failures.iter().map(Self::text).collect::<Vec<_>>().join("\n");
        let json = failures.iter().flat_map(Self::errors).collect();
        Some(Self { exit, text, json: Some(serde_json::Value::Array(json)) })
    }

    /// Its exit code.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// The message for people.
    pub fn text(&self) -> &str {
        self.text.trim_end()
    }

    /// The message for a log: a line for each mistake, with its place; no more than so many, and then how many more.
    pub fn lines(&self, most: usize) -> Vec<String> {
        let found = self.json.as_ref().and_then(serde_json::Value::as_array).cloned().unwrap_or_default();
        let mut lines: Vec<String> = found.iter().filter_map(line).collect();
        if lines.is_empty() {
            lines = self.text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect();
        }
        let more = lines.len().saturating_sub(most);
        lines.truncate(most);
        if more > 0 {
            lines.push(format!("and {more} more"));
        }
        lines
    }

    /// The message for programs: a list of errors.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({ "errors": self.errors() })
    }

    fn errors(&self) -> Vec<serde_json::Value> {
        let found = self.json.as_ref().and_then(serde_json::Value::as_array).cloned();
        found.unwrap_or_else(|| vec![serde_json::json!({ "message": self.text() })])
    }
}

/// A mistake on one line; warnings are none.
fn line(finding: &serde_json::Value) -> Option<String> {
    let text = |key: &str| finding.get(key).and_then(serde_json::Value::as_str);
    let number = |key: &str| finding.get(key).and_then(serde_json::Value::as_u64);
    if text("severity").is_some_and(|severity| severity != "error") {
        return None;
    }
    let place = match (text("file"), number("line"), number("column")) {
        (Some(file), Some(line), Some(column)) => format!("{file}:{line}:{column}: "),
        _ => String::new(),
    };
    let help = text("help").map(|help| format!(" ({help})")).unwrap_or_default();
    let whose = text("tenant").map(|tenant| format!("tenant {tenant}: ")).unwrap_or_default();
    Some(format!("{whose}{place}{}{help}", text("message")?).replace('\n', " "))
}

/// Joins what could not be opened into one failure; the worst decides.
pub fn not_opened(errors: &[OpenError]) -> Failure {
    let exit = errors.iter().map(exit_of_open).fold(Exit::Done, Exit::worse);
    let lines: Vec<String> = errors.iter().map(|error| format!("error: {error}")).collect();
    Failure::new(exit, lines.join("\n"))
}

fn exit_of_open(error: &OpenError) -> Exit {
    match error {
        OpenError::Configuration { .. } => Exit::Configuration,
        OpenError::Database { .. } | OpenError::Files { .. } => Exit::Unreachable,
    }
}

/// The exit code of a run's error.
pub fn exit_of(error: &RemovalError) -> Exit {
    match error {
        RemovalError::Store(error) if error.kind == ErrorKind::Unreachable => Exit::Unreachable,
        RemovalError::Files(error) if error.kind == FileErrorKind::Unreachable => Exit::Unreachable,
        RemovalError::Mail(error) if error.certainty == Certainty::Transient => Exit::Unreachable,
        RemovalError::Overtaken | RemovalError::Refused(_) => Exit::Braked,
        RemovalError::Store(_) | RemovalError::Files(_) | RemovalError::Mail(_) | RemovalError::Doubt(_) => {
            Exit::Failed
        }
    }
}

/// Whether a run that failed like this may succeed a little later, with nothing changed: a server was away, a lock was
/// not granted.
pub fn may_pass(error: &RemovalError) -> bool {
    match error {
        RemovalError::Store(error) => error.kind == ErrorKind::Unreachable || error.is_transient(),
        RemovalError::Files(error) => error.kind == FileErrorKind::Unreachable,
        RemovalError::Mail(error) => error.certainty == Certainty::Transient,
        RemovalError::Overtaken | RemovalError::Refused(_) | RemovalError::Doubt(_) => false,
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let exit = match error.kind {
            ErrorKind::Unreachable | ErrorKind::Refused => Exit::Unreachable,
            _ => Exit::Failed,
        };
        Self::new(exit, format!("error: {error}"))
    }
}

impl From<TrailError> for Failure {
    fn from(error: TrailError) -> Self {
        match error {
            TrailError::Store(error) => error.context("the audit trail").into(),
            other @ (TrailError::Key(_) | TrailError::Name { .. }) => {
                Self::new(Exit::Configuration, format!("error: {other}"))
            }
            other => Self::new(Exit::Failed, format!("error: {other}")),
        }
    }
}

impl From<RemovalError> for Failure {
    fn from(error: RemovalError) -> Self {
        Self::new(exit_of(&error), format!("error: {error}"))
    }
}
