//! One person's erasure from plan to receipt.
//!
//! **Invariant.** Whom it is about stands in the state, as keyed hashes, before the first row goes, so that a backup that
//! is restored later cannot bring the person back unnoticed. The receipt is written only when a new walk found nothing.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};

use super::failure::{Exit, Failure};
use super::persons;
use super::ran::{Ended, Ran};
use super::receipt::{BeyondReach, Receipt};
use super::recording;
use super::runner::{Options, run_job};
use super::site::Site;
use crate::graph::{Subject, Walk};
use crate::jobs::erasure::Erasure;
use crate::jobs::session::RunProgress;
use crate::jobs::{Job, Outcome};
use crate::names::{JobName, StoreName};
use crate::plan::Plan;
use crate::store::pool::Database;
use crate::store::state::{self, ErasureRecord, Mark};
use crate::trail::{self, Act, Digest, Entry};

/// The name under which erasures take their lease and write their ledger.
const ERASE: &str = "erase";

/// A person's erasure, ready.
pub struct Prepared {
    /// The job.
    pub job: Erasure,
    subject: Subject,
    marks: Vec<Mark>,
    epoch: String,
}

/// Makes an erasure ready, on all stores or on one.
///
/// # Errors
/// When the state cannot be written.
pub fn prepare(
    memory: &Database,
    subject: Subject,
    only: Option<StoreName>,
    now: DateTime<Utc>,
) -> Result<Prepared, Failure> {
    let mut conn = memory.conn()?;
    state::forget_expired(&mut conn, now)?;
    let key = state::hash_key(&mut conn, now)?;
    let marks = persons::marks(&key, &subject);
    let name: JobName = ERASE.parse().map_err(|error| Failure::new(Exit::Failed, format!("error: {error}")))?;
    let digest: Vec<&str> = marks.iter().map(|(_, digest)| digest.as_str()).collect();
    let job = Erasure::new(name, subject.clone(), digest.join(" "), only);
    Ok(Prepared { job, subject, marks, epoch: key.epoch })
}

impl Prepared {
    /// What the erasure would do; changes nothing.
    ///
    /// # Errors
    /// When a store cannot be asked, or the search is too wide.
    pub fn plan(&self, site: &Site, memory: &Database, now: DateTime<Utc>) -> Result<Plan, Failure> {
        Ok(self.job.plan(&site.look(memory, now, None))?)
    }

    /// Does it, and gives the receipt when it is complete.
    ///
    /// # Errors
    /// When retentiond's own state fails; errors of the erasure are part of the answer.
    pub fn run(
        &self,
        site: &Site,
        memory: &Database,
        options: &Options,
        progress: &mut dyn RunProgress,
    ) -> Result<(Ran, Option<Receipt>), Failure> {
        let begun = options.clock.now();
        let record = self.record(site, begun);
        let erasure = recording::id(&record.id);
        let begin = Act::ErasureBegin {
            erasure: erasure.clone(),
            person: self.subject.kind.clone(),
            only: self.job.only().cloned(),
        };
        trail::record(memory, options.clock, vec![Entry::new(begin)])?;
        state::begin_erasure(&mut *memory.conn()?, &record, &self.marks)?;
        let ran = run_job(site, memory, &self.job, options, progress)?;
        if !matches!(ran.ended, Ended::With(Outcome::Complete)) {
            // Nobody has gone, so nobody is to be kept away.
            if ran.report.rows() == 0 {
                trail::record(memory, options.clock, vec![Entry::new(Act::ErasureCancelled { erasure })])?;
                state::cancel_erasure(&mut *memory.conn()?, &record.id)?;
            }
            return Ok((ran, None));
        }
        let ended = options.clock.now();
        // What stays is counted anew: it is what the person is told.
        let after = self.plan(site, memory, ended)?;
        let receipt = self.receipt(site, &record.id, (begun, ended), &ran, after);
        let text = serde_json::to_string(&receipt).unwrap_or_default();
        let done = Act::ErasureDone {
            erasure,
            rows: ran.report.rows(),
            files: ran.report.files(),
            remains: receipt.remains.iter().map(|left| left.rows).sum(),
            receipt: Digest::of(&Sha256::digest(&text).into()),
        };
        trail::record(memory, options.clock, vec![Entry::new(done)])?;
        state::finish_erasure(&mut *memory.conn()?, &record.id, ended, receipt.backups_expire, &text)?;
        Ok((ran, Some(receipt)))
    }

    fn record(&self, site: &Site, begun: DateTime<Utc>) -> ErasureRecord {
        let seconds = u64::try_from(begun.timestamp()).unwrap_or_default();
        let stamp = uuid::Timestamp::from_unix(uuid::NoContext, seconds, begun.timestamp_subsec_nanos());
        ErasureRecord {
            id: uuid::Uuid::new_v7(stamp).to_string(),
            person_kind: self.subject.kind.to_string(),
            epoch: self.epoch.clone(),
            range_from: self.subject.from.map(|at| at.naive_utc()),
            range_to: self.subject.to.map(|at| at.naive_utc()),
            begun_at: begun.naive_utc(),
            ended_at: None,
            expires_at: horizon(site, begun).map(|at| at.naive_utc()),
            receipt: None,
        }
    }

    fn receipt(
        &self,
        site: &Site,
        id: &str,
        (begun, ended): (DateTime<Utc>, DateTime<Utc>),
        ran: &Ran,
        after: Plan,
    ) -> Receipt {
        Receipt {
            erasure: id.to_owned(),
            person: self.subject.kind.to_string(),
            identifiers: Receipt::hashed(&self.marks),
            plan: ran.report.plan.as_ref().map(|plan| plan.plan.clone()).unwrap_or_default(),
            begun: Some(begun),
            ended: Some(ended),
            done: Receipt::done(&ran.report),
            remains: after.remains,
            beyond_reach: self.beyond_reach(site),
            backups_expire: horizon(site, ended),
            zone: site.loaded.document.timezone,
        }
    }

    /// Of the categories that can hold something about the person.
    fn beyond_reach(&self, site: &Site) -> Vec<BeyondReach> {
        let walk = Walk::new(&site.graph, &self.subject);
        let reached: BTreeSet<_> =
            site.graph.children_first().filter(|node| walk.can_reach(node)).map(|node| &node.category).collect();
        let copies = |category: &crate::names::CategoryName| {
            let copies = site.loaded.document.categories.get(category)?.beyond_reach.clone()?;
            Some(BeyondReach { category: category.clone(), copies })
        };
        reached.into_iter().filter_map(copies).collect()
    }
}

/// The exit code of an erasure: without a receipt nobody is erased, however well its run went.
pub fn exit(ran: &Ran, receipt: Option<&Receipt>) -> Exit {
    match (ran.exit(), receipt) {
        (Exit::Done, None) => Exit::Failed,
        (exit, _) => exit,
    }
}

/// When the last backup expires that was made before an instant.
fn horizon(site: &Site, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let horizon = site.loaded.document.state.backup_horizon.as_ref()?;
    Some(at + horizon.approximate())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_erasure_without_a_receipt_is_not_done() {
        let ran = |ended| Ran { run: None, report: Default::default(), ended, took: Default::default(), again: false };
        for outcome in [Outcome::Stopped, Outcome::Truncated, Outcome::Complete] {
            assert_eq!(exit(&ran(Ended::With(outcome)), None), Exit::Failed, "{outcome:?}");
        }
        assert_eq!(exit(&ran(Ended::With(Outcome::Held)), None), Exit::Braked);
    }
}
