//! The stores, opened for the runs that begin now.
//!
//! **Invariant.** A run sees catalogs that were read at most a minute before it began: a schema that changed meanwhile is
//! found by the next run, as `retentiond run` finds it. Runs that begin together share one opening.
//!
//! **Invariant.** A connection to a store is open while somebody uses its site, and no longer: a server that holds a hundred
//! tenants allows about as many connections as it has tenants. `three_daemons_share_the_tenants…` in tests/tenants counts
//! them.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::uptime;
use crate::config::Loaded;
use crate::control::{Failure, Site};
use crate::names::TenantName;

const FRESH: Duration = Duration::from_secs(60);
/// Stores that are away are not asked for more often than this.
const AWAY: Duration = Duration::from_secs(5);

/// The present openings, one for each tenant; a file without tenants has one. To be used on threads that may wait.
#[derive(Default)]
pub(super) struct Sites(Mutex<BTreeMap<Option<TenantName>, Place>>);

/// Where a tenant's opening is, while there is one.
type Place = Arc<Mutex<Option<Open>>>;

pub(super) struct Open {
    at: Duration,
    site: Arc<Site>,
    users: Arc<Mutex<usize>>,
}

/// A site that somebody uses. Whoever is the last to let go of it closes its connections; what was read of the stores
/// stays known.
pub(super) struct InUse {
    site: Arc<Site>,
    users: Arc<Mutex<usize>>,
}

impl Deref for InUse {
    type Target = Site;

    fn deref(&self) -> &Site {
        &self.site
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        // Whoever wants the site meanwhile waits, and finds none of its connections on the point of being closed.
        let mut users = locked(&self.users);
        *users = users.saturating_sub(1);
        if *users == 0 {
            self.site.stores.rest();
        }
    }
}

impl Open {
    fn of(site: Site, at: Duration) -> Self {
        Self { at, site: Arc::new(site), users: Arc::default() }
    }

    fn used(&self) -> InUse {
        *locked(&self.users) += 1;
        InUse { site: Arc::clone(&self.site), users: Arc::clone(&self.users) }
    }

    fn is_fresh(&self) -> bool {
        let age = uptime().saturating_sub(self.at);
        age < if self.site.away.is_empty() { FRESH } else { AWAY }
    }
}

impl Sites {
    /// A fresh opening of the stores of a file, or of one tenant.
    ///
    /// # Errors
    /// When the map does not fit the databases any more.
    pub fn get(&self, part: &Arc<Loaded>) -> Result<InUse, Failure> {
        let place = Arc::clone(locked(&self.0).entry(part.document.tenant.clone()).or_default());
        // Whoever comes meanwhile waits for this opening, and tenants do not wait for each other.
        let mut open = locked(&place);
        if let Some(open) = open.as_ref().filter(|open| open.is_fresh() && Arc::ptr_eq(&open.site.loaded, part)) {
            return Ok(open.used());
        }
        // Closed before the next is opened: a store may allow few connections.
        *open = None;
        let at = uptime();
        Ok(open.insert(Open::of(Site::open_reachable(part)?, at)).used())
    }

    /// Lets go of an opening that no run would use any more.
    pub fn let_go(&self) {
        locked(&self.0).retain(|_, place| match place.try_lock() {
            Ok(open) => open.as_ref().is_some_and(Open::is_fresh),
            // Somebody is opening it.
            Err(_) => true,
        });
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
