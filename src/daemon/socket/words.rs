//! What goes over the control socket, as both ends spell it.

use serde::{Deserialize, Serialize};

use crate::control::said::Said;
use crate::control::{Exit, Failure};
use crate::names::TenantName;

/// The version that is spoken.
pub(super) const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
pub(super) struct Request {
    pub v: u32,
    /// Whose installation is meant, where the file has tenants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantName>,
    #[serde(rename = "do")]
    pub ask: serde_json::Value,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    v: u32,
    /// The exit code.
    pub code: u8,
    /// What is printed.
    pub text: String,
    /// What is printed on standard error besides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
    /// The same for programs, where that is more than the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<serde_json::Value>,
}

impl Answer {
    /// An answer.
    pub(in crate::daemon) fn new(exit: Exit, text: impl Into<String>) -> Self {
        Self { v: VERSION, code: exit.code(), text: text.into(), errors: Vec::new(), json: None }
    }

    /// A failure as an answer.
    pub(in crate::daemon) fn of(failure: &Failure) -> Self {
        Self::new(failure.exit(), failure.text())
    }

    /// What a command has to say as an answer.
    pub(in crate::daemon) fn said(said: Said) -> Self {
        Self { errors: said.errors, ..Self::new(said.exit, said.text).with_json(said.json) }
    }

    /// With what programs read.
    pub(in crate::daemon) fn with_json(self, json: serde_json::Value) -> Self {
        Self { json: Some(json), ..self }
    }
}

/// What is said before the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Meanwhile {
    /// A run's plan stands.
    Planned {
        /// The job.
        job: String,
        /// The rows that are to go.
        rows: u64,
    },
    /// Batches were committed. Some of these may be missing.
    Progress {
        /// The entry of the last one.
        data: String,
        /// The rows of the run so far.
        rows: u64,
    },
    /// A remark.
    Note {
        /// What it is.
        text: String,
    },
    /// One of several things is done.
    Over {
        /// What is printed.
        text: String,
        /// What is printed on standard error.
        errors: Vec<String>,
    },
    /// A part of what is asked for, where it is too long for one line; all of them one after another are the whole.
    Part {
        /// The part.
        text: String,
    },
}

/// A line from the daemon.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Line {
    Meanwhile { v: u32, meanwhile: Meanwhile },
    Answer(Answer),
}

impl Line {
    pub fn meanwhile(meanwhile: Meanwhile) -> Self {
        Self::Meanwhile { v: VERSION, meanwhile }
    }
}
