//! The stores, opened for the runs that begin now.
//!
//! **Invariant.** A run sees catalogs that were read at most a minute before it began: a schema that changed meanwhile is
//! found by the next run, as `retentiond run` finds it. Runs that begin together share one opening.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::policy::Policy;
use crate::clock::uptime;
use crate::control::{Failure, Site};

const FRESH: Duration = Duration::from_secs(60);
/// Stores that are away are not asked for more often than this.
const AWAY: Duration = Duration::from_secs(5);

/// The present opening. To be used on threads that may wait.
#[derive(Default)]
pub(super) struct Sites(Mutex<Option<Open>>);

struct Open {
    at: Duration,
    site: Arc<Site>,
}

impl Open {
    fn is_fresh(&self) -> bool {
        let age = uptime().saturating_sub(self.at);
        age < if self.site.away.is_empty() { FRESH } else { AWAY }
    }
}

impl Sites {
    /// A fresh opening of the policy's stores.
    ///
    /// # Errors
    /// When the map does not fit the databases any more.
    pub fn get(&self, policy: &Policy) -> Result<Arc<Site>, Failure> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) =
            open.as_ref().filter(|open| open.is_fresh() && Arc::ptr_eq(&open.site.loaded, &policy.loaded))
        {
            return Ok(Arc::clone(&open.site));
        }
        // Closed before the next is opened: a store may allow few connections.
        *open = None;
        let at = uptime();
        let site = Arc::new(Site::open_reachable(&policy.loaded)?);
        *open = Some(Open { at, site: Arc::clone(&site) });
        Ok(site)
    }

    /// Lets go of an opening that no run would use any more.
    pub fn let_go(&self) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.take_if(|open| !open.is_fresh());
    }
}
