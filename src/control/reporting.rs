//! A person's report, on an open site.

use chrono::{DateTime, Utc};

use super::failure::{Exit, Failure};
use super::site::Site;
use crate::graph::Subject;
use crate::report::{self, Gathered, ReportError, Sources, Wanted};

/// What reports are made from.
pub fn sources(site: &Site) -> Sources<'_> {
    let keepings = site.jobs.values().flat_map(|job| job.keeps()).collect();
    Sources { document: &site.loaded.document, graph: &site.graph, stores: &site.stores, keepings }
}

/// Reads everything about a person.
///
/// # Errors
/// See [`report::gather`].
pub fn gather(
    site: &Site,
    subject: Subject,
    language: Option<String>,
    id: String,
    now: DateTime<Utc>,
) -> Result<Gathered, Failure> {
    Ok(report::gather(&sources(site), Wanted { id, subject, language, now })?)
}

impl From<ReportError> for Failure {
    fn from(error: ReportError) -> Self {
        let exit = match error {
            ReportError::Store(error) => return error.into(),
            ReportError::TooMany => Exit::Braked,
            ReportError::Texts(_) => Exit::Configuration,
            ReportError::Write(_) | ReportError::NoPdf(_) => Exit::Failed,
        };
        Self::new(exit, format!("error: {error}"))
    }
}
