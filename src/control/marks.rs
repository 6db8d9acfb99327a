//! Whether a store is the one that we left: restored databases and a forgetful state are noticed here.
//!
//! **Invariant.** The last batch of each job stands in the store's own ledger. A ledger that does not know a batch which
//! the state remembers is older than the state: the database was restored, and whoever was erased since is back. A ledger
//! whose newest run the state never heard of is newer than the state: that one was restored, or is another's. In both
//! cases nothing is removed, before the first batch and in each batch's own transaction.

use std::cell::RefCell;
use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::site::Site;
use crate::names::StoreName;
use crate::removal::RemovalError;
use crate::store::pool::Database;
use crate::store::state;
use crate::store::{Conn, StoreError, ledger};

/// In place of a job's name: up to this run the ledger is taken as it is.
pub const ADOPTED: &str = "";

/// The last batches of one job.
pub struct Marks {
    job: String,
    known: RefCell<BTreeMap<StoreName, String>>,
    fresh: RefCell<BTreeMap<StoreName, String>>,
}

impl Marks {
    /// Looks at the stores before a run, and gives what its batches must find there.
    ///
    /// # Errors
    /// [`RemovalError::Refused`] when a store or the state was restored.
    pub fn look(
        site: &Site,
        memory: &Database,
        job: &str,
        stores: &[StoreName],
        (run, now): (&str, DateTime<Utc>),
    ) -> Result<Self, RemovalError> {
        let marks = Self::none(job);
        for store in stores.iter().filter(|store| site.ledgers.get(*store).copied().unwrap_or_default()) {
            let Some(database) = site.stores.database(store) else { continue };
            // No connection is held while another one is waited for: runs beside this one would wait for each other.
            let remembered = state::store_marks(&mut *memory.conn()?, store.as_str())?;
            let batches = remembered.iter().filter(|(job, _)| job != ADOPTED).map(|(_, batch)| batch.as_str());
            let newest = newest_run(&mut *database.conn()?, store, batches)?;
            let adopted = remembered.iter().find(|(job, _)| job == ADOPTED).map(|(_, run)| run.as_str());
            if let Some(newest) = newest
                && newest != run
                && adopted.is_none_or(|adopted| newest.as_str() > adopted)
                && is_remembered_time(site, &newest, now)
                && !state::knows_run(&mut *memory.conn()?, &newest)?
            {
                return Err(RemovalError::Refused(format!(
                    "the ledger of store `{store}` knows runs that our own state does not: the state was restored, or another daemon with a state of its own works here. Nothing was removed; if the state is the right one, `retentiond replay {store} --adopt` accepts the ledger"
                )));
            }
            let mine = remembered.into_iter().find(|(name, _)| name == job);
            if let Some((_, batch)) = mine {
                marks.known.borrow_mut().insert(store.clone(), batch);
            }
        }
        Ok(marks)
    }

    /// No store must know anything: what brings a restored one up to date looks at none.
    pub fn none(job: &str) -> Self {
        Self { job: job.to_owned(), known: RefCell::default(), fresh: RefCell::default() }
    }

    /// The batch that a store's ledger must know.
    pub fn last(&self, store: &StoreName) -> Option<String> {
        self.known.borrow().get(store).cloned()
    }

    /// A batch was committed.
    pub fn committed(&self, store: &StoreName, batch: &str) {
        self.known.borrow_mut().insert(store.clone(), batch.to_owned());
        self.fresh.borrow_mut().insert(store.clone(), batch.to_owned());
    }

    /// Batches that a server may have lost by a crash are not asked for later: what it was asked for before still stands.
    pub fn unsettled(&self, store: &StoreName) {
        self.fresh.borrow_mut().remove(store);
    }

    /// Writes down what was committed.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub fn keep(&self, memory: &Database) -> Result<(), StoreError> {
        let mut conn = memory.conn()?;
        for (store, batch) in self.fresh.borrow().iter() {
            state::mark_store(&mut conn, store.as_str(), &self.job, batch)?;
        }
        Ok(())
    }
}

/// The newest run of a store's ledger, which must know all of our batches.
fn newest_run<'b>(
    conn: &mut Conn,
    store: &StoreName,
    batches: impl Iterator<Item = &'b str>,
) -> Result<Option<String>, RemovalError> {
    for batch in batches {
        if !ledger::has(conn, batch)? {
            return Err(restored(store));
        }
    }
    Ok(ledger::newest_run(conn)?)
}

fn restored(store: &StoreName) -> RemovalError {
    RemovalError::Refused(crate::removal::restored(store))
}

/// Runs that began before the state's own memory reaches are not expected to be known.
fn is_remembered_time(site: &Site, run: &str, now: DateTime<Utc>) -> bool {
    let Ok(id) = uuid::Uuid::parse_str(run) else { return false };
    let Some((seconds, _)) = id.get_timestamp().map(|stamp| stamp.to_unix()) else { return false };
    let begun = i64::try_from(seconds).ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    match &site.loaded.document.state.keep {
        crate::config::period::Keep::Forever => true,
        crate::config::period::Keep::For(period) => begun.is_some_and(|begun| begun > now - period.approximate()),
    }
}
