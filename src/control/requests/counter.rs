//! The desk of a site: what a running job asks for about requests.

use std::collections::BTreeMap;

use chrono::TimeDelta;

use super::{CASE, MONTHS, case, free, months_later, place, record, whom};
use crate::clock::Clock;
use crate::control::failure::{Exit, Failure};
use crate::control::site::Site;
use crate::control::{holding, persons, reporting};
use crate::jobs::desk::{Asked, Desk};
use crate::names::JobName;
use crate::removal::RemovalError;
use crate::report::Gathered;
use crate::store::pool::Database;
use crate::store::state::{self, RequestRecord};
use crate::store::{ErrorKind, StoreError};
use crate::trail::{Act, Actor, Digest};

/// The desk of a site.
pub struct Counter<'a> {
    /// The site.
    pub site: &'a Site,
    /// The state.
    pub memory: &'a Database,
    /// The clock.
    pub clock: Clock,
}

/// Failures of the desk as a run's errors.
fn of_failure(failure: Failure) -> RemovalError {
    let text = failure.text().trim_start_matches("error: ").to_owned();
    match failure.exit() {
        Exit::Unreachable => RemovalError::Store(StoreError::new(ErrorKind::Unreachable, text)),
        Exit::Usage | Exit::Braked => RemovalError::Refused(text),
        _ => RemovalError::Doubt(text),
    }
}

impl Desk for Counter<'_> {
    fn take(&mut self, job: &JobName, asked: &Asked) -> Result<bool, RemovalError> {
        let now = self.clock.now();
        if state::knows_origin(&mut *self.memory.conn()?, job.as_str(), &asked.origin_key)? {
            return Ok(false);
        }
        let subject = persons::resolve_unseen(self.site, &asked.kind, &asked.given).map_err(of_failure)?;
        let due = asked.due.unwrap_or_else(|| months_later(now, MONTHS, self.site.loaded.document.timezone));
        let origin = (asked.origin, Some(asked.origin_key.clone()));
        let by = (asked.by.as_str(), due, Actor::present());
        place(self.site, self.memory, job, subject, origin, by, self.clock)
            .map(|placed| placed.is_some())
            .map_err(of_failure)
    }

    fn gather(&mut self, request: &RequestRecord, language: Option<&str>) -> Result<Gathered, RemovalError> {
        let subject = whom(self.site, self.memory, request).map_err(of_failure)?;
        let language = language.map(str::to_owned);
        reporting::gather(self.site, subject, language, request.id.clone(), self.clock.now()).map_err(of_failure)
    }

    fn posting(&mut self, job: &JobName, request: &str, mails: &[&str]) -> Result<(), RemovalError> {
        let mails: Vec<Digest> = mails.iter().filter_map(|hash| Digest::parse(hash)).collect();
        let act = |report| Act::ReportPosted { report, mails: mails.clone() };
        record(self.memory, self.clock, Actor::present(), job, request, act).map_err(of_failure)
    }

    fn failed(&mut self, job: &JobName, request: &str) -> Result<(), RemovalError> {
        let act = |report| Act::ReportFailed { report };
        record(self.memory, self.clock, Actor::present(), job, request, act).map_err(of_failure)
    }

    fn sent(&mut self, job: &JobName, request: &str, sha256: &str) -> Result<(), RemovalError> {
        let Some(sha256) = Digest::parse(sha256) else { return Ok(()) };
        let act = |report| Act::ReportSent { report, sha256: sha256.clone() };
        record(self.memory, self.clock, Actor::present(), job, request, act).map_err(of_failure)
    }

    fn ended(&mut self, request: &str) -> Result<(), RemovalError> {
        match state::request(&mut *self.memory.conn()?, request)? {
            Some(request) => free(self.site, self.memory, &request, self.clock.now()).map_err(of_failure),
            None => Ok(()),
        }
    }

    fn tidy(&mut self) -> Result<(), RemovalError> {
        let now = self.clock.now();
        let (requests, holds) = {
            let mut conn = self.memory.conn()?;
            (state::requests(&mut conn)?, state::all_holds(&mut conn)?)
        };
        let requests: BTreeMap<&str, &RequestRecord> =
            requests.iter().map(|request| (request.id.as_str(), request)).collect();
        for hold in holds.iter().filter(|hold| hold.is_active(now)) {
            let Some(id) = hold.hold_case.strip_prefix(CASE) else { continue };
            // One that is not known yet may be about to be written down.
            let fresh = now - hold.placed_at.and_utc() < TimeDelta::hours(1);
            match requests.get(id) {
                Some(request) if request.is_open() => {}
                Some(request) => free(self.site, self.memory, request, now).map_err(of_failure)?,
                None if fresh => {}
                None => {
                    let case = case(id).map_err(of_failure)?;
                    holding::release_own(self.site, self.memory, &case, now).map_err(of_failure)?;
                }
            }
        }
        holding::free_ended(self.site, self.memory, now).map_err(of_failure)
    }
}
