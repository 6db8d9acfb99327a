//! What a caller may ask for, and which role it takes.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::control::auditor::Filter;
use crate::control::roles::{ANY, Role};
use crate::names::{CaseName, JobName, PersonName};
use crate::plan::BrakeName;
use crate::trail::Known;

/// A person, as a client names one. It has no `Debug`: it is in no message. A key that is not known here might have
/// narrowed what goes, so it is refused.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// The kind.
    pub kind: PersonName,
    /// The identifiers.
    pub given: Vec<String>,
    /// Only rows from this day or instant on.
    pub from: Option<String>,
    /// Only rows before it.
    pub to: Option<String>,
}

/// What is asked.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Ask {
    /// Whether somebody is there.
    Ping,
    /// Whether everything is within policy.
    Status,
    /// Read the file anew.
    Reload,
    /// Accept the clocks as they are.
    AcceptClock,
    /// Stop a job, or all, before the next batch.
    Pause {
        /// The job.
        job: Option<JobName>,
    },
    /// Let it go on.
    Resume {
        /// The job.
        job: Option<JobName>,
    },
    /// What jobs would do now.
    Plan {
        /// The jobs; all when none is named.
        jobs: Vec<JobName>,
        /// Looks ahead: the instant that cutoffs count from.
        #[serde(default)]
        now: Option<DateTime<Utc>>,
        /// With the statements.
        #[serde(default)]
        verbose: bool,
    },
    /// Run jobs, one after the other.
    Run {
        /// The jobs.
        #[serde(default)]
        jobs: Vec<JobName>,
        /// All of them, where none is named.
        #[serde(default)]
        all: bool,
        /// Brakes that are released for this once.
        #[serde(default)]
        release_brake: Vec<BrakeName>,
        /// As fast as the databases can.
        #[serde(default)]
        unpaced: bool,
        /// Whatever window and blackouts say.
        #[serde(default)]
        outside_window: bool,
    },
    /// Let a plan that was stopped pass once.
    Approve {
        /// The job.
        job: JobName,
        /// The plan.
        plan: String,
    },
    /// The jobs and their next runs.
    Jobs {
        /// How many of each.
        next: usize,
        /// After this instant.
        #[serde(default)]
        now: Option<DateTime<Utc>>,
    },
    /// The last runs.
    History {
        /// Of this job.
        job: Option<JobName>,
        /// How many.
        limit: i64,
    },
    /// What jobs have archived.
    ArchiveList {
        /// The jobs; all when none is named.
        jobs: Vec<JobName>,
    },
    /// Request a person's report.
    Report {
        /// The person.
        person: Person,
        /// The job that answers it.
        job: Option<JobName>,
    },
    /// The requests.
    Reports {
        /// Those that have ended too.
        #[serde(default)]
        all: bool,
    },
    /// Send what is undecided once more.
    Resend {
        /// The request.
        id: String,
    },
    /// Extend a request.
    Extend {
        /// The request.
        id: String,
        /// Why.
        why: String,
    },
    /// Close a request.
    Close {
        /// The request.
        id: String,
        /// Why.
        why: String,
    },
    /// What an erasure would do.
    EraseDryRun {
        /// The person.
        person: Person,
    },
    /// Erase a person, by exactly this plan.
    Erase {
        /// The person.
        person: Person,
        /// The plan that was shown.
        plan: String,
        /// As fast as the databases can.
        #[serde(default)]
        unpaced: bool,
    },
    /// Hold everything about a person.
    Hold {
        /// The case.
        case: CaseName,
        /// The person.
        person: Person,
        /// Why.
        why: String,
        /// The last day.
        until: Option<chrono::NaiveDate>,
        /// The search may match more rows than one person usually has.
        #[serde(default)]
        wide: bool,
    },
    /// The holds that stand.
    Holds {
        /// Those that have ended too.
        #[serde(default)]
        all: bool,
    },
    /// Records of the audit trail.
    AuditShow {
        /// Which.
        filter: Filter,
    },
    /// The whole audit trail, as JSON lines.
    AuditExport,
    /// Whether the audit trail is what it was.
    AuditVerify {
        /// Checkpoints that the caller kept.
        known: Vec<Known>,
        /// Keys whose signatures count.
        keys: Vec<String>,
    },
    /// Release a case: the second of two persons ends it.
    Release {
        /// The case.
        case: CaseName,
    },
}

impl Ask {
    /// Its name, as it is typed.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::Status => "status",
            Self::Reload => "reload",
            Self::AcceptClock => "accept-clock",
            Self::Pause { .. } => "pause",
            Self::Resume { .. } => "resume",
            Self::Plan { .. } => "plan",
            Self::Run { .. } => "run",
            Self::Approve { .. } => "approve",
            Self::Jobs { .. } => "jobs",
            Self::History { .. } => "history",
            Self::ArchiveList { .. } => "archive list",
            Self::Report { .. } => "report",
            Self::Reports { .. } => "report list",
            Self::Resend { .. } => "report resend",
            Self::Extend { .. } => "report extend",
            Self::Close { .. } => "report close",
            Self::EraseDryRun { .. } | Self::Erase { .. } => "erase",
            Self::Hold { .. } => "hold add",
            Self::Holds { .. } => "hold list",
            Self::Release { .. } => "hold release",
            Self::AuditShow { .. } => "audit show",
            Self::AuditExport => "audit export",
            Self::AuditVerify { .. } => "audit verify",
        }
    }

    /// The roles of which the caller must have one.
    pub fn needs(&self) -> &'static [Role] {
        match self {
            Self::Ping | Self::Status | Self::Jobs { .. } | Self::History { .. } | Self::Reports { .. } => ANY,
            Self::Reload
            | Self::AcceptClock
            | Self::Pause { .. }
            | Self::Resume { .. }
            | Self::Plan { .. }
            | Self::Run { .. }
            | Self::Approve { .. } => &[Role::Operator],
            Self::ArchiveList { .. } => &[Role::Operator, Role::Auditor],
            // An administrator may request reports about users, who are known by a key.
            Self::Report { person, .. } if person.kind.as_str() == "user" => &[Role::Dpo, Role::Administrator],
            Self::Report { .. }
            | Self::Resend { .. }
            | Self::Extend { .. }
            | Self::Close { .. }
            | Self::EraseDryRun { .. }
            | Self::Erase { .. }
            | Self::Hold { .. }
            | Self::Release { .. } => &[Role::Dpo],
            Self::Holds { .. } => &[Role::Dpo, Role::Auditor],
            Self::AuditShow { .. } | Self::AuditExport | Self::AuditVerify { .. } => &[Role::Auditor],
        }
    }

    /// Whether it is about jobs and nobody's data.
    pub(super) fn is_about_jobs(&self) -> bool {
        matches!(
            self,
            Self::Plan { .. }
                | Self::Run { .. }
                | Self::Approve { .. }
                | Self::Jobs { .. }
                | Self::History { .. }
                | Self::ArchiveList { .. }
        )
    }
}
