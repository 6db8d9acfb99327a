//! Who is connected to the control socket just now: nobody keeps the others out, however many connections they make.
//!
//! Each user has so many questions at a time, and all users together so many; root and the daemon's own user, who must be
//! able to reload and to stop things, have places of their own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Questions of one user at a time.
const OF_ONE: usize = 8;
/// Of root and of the daemon's own user.
const OF_OWN: usize = 64;
/// Of all others together.
const OF_ALL: usize = 64;

/// The guests.
#[derive(Clone, Default)]
pub(super) struct Guests(Arc<Mutex<BTreeMap<u32, usize>>>);

/// What becomes of a connection.
pub(super) enum Entry {
    /// It is heard.
    Heard(Guest),
    /// It is told that there are too many.
    Told(Guest),
    /// It is closed.
    Closed,
}

/// A connection, counted until this is dropped.
pub(super) struct Guest {
    all: Guests,
    uid: u32,
}

impl Guests {
    /// Somebody connects.
    pub fn enter(&self, uid: u32) -> Entry {
        let own = is_own(uid);
        let mut present = self.locked();
        let strangers: usize = present.iter().filter(|(uid, _)| !is_own(**uid)).map(|(_, count)| count).sum();
        let mine = present.entry(uid).or_default();
        let (most, room) = if own { (OF_OWN, true) } else { (OF_ONE, strangers < 2 * OF_ALL) };
        if !room || *mine >= 2 * most {
            return Entry::Closed;
        }
        let heard = *mine < most && (own || strangers < OF_ALL);
        *mine += 1;
        drop(present);
        let guest = Guest { all: self.clone(), uid };
        if heard { Entry::Heard(guest) } else { Entry::Told(guest) }
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<u32, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut present = self.all.locked();
        if let Some(count) = present.get_mut(&self.uid) {
            *count = count.saturating_sub(1);
        }
        present.retain(|_, count| *count > 0);
    }
}

fn is_own(uid: u32) -> bool {
    uid == 0 || uid == rustix::process::geteuid().as_raw()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_keeps_the_others_out() {
        let guests = Guests::default();
        let heard = |uid: u32| match guests.enter(uid) {
            Entry::Heard(guest) => Some(guest),
            Entry::Told(_) | Entry::Closed => None,
        };
        let first: Vec<Guest> = (0..100).filter_map(|_| heard(4_000_000)).collect();
        assert_eq!(first.len(), OF_ONE);
        let others: Vec<Guest> = (1..100).filter_map(|user| heard(4_000_000 + user)).collect();
        assert_eq!(others.len(), OF_ALL - OF_ONE);
        assert_eq!((0..100).filter_map(|_| heard(0)).count(), 100, "each is gone before the next comes");
        drop(first);
        assert!(heard(4_000_000).is_some());
    }
}
