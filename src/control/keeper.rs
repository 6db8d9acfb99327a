//! The lease of a run, kept alive by a thread of its own: a count or a plan may take longer than the lease.
//!
//! **Invariant.** [`Keeper::holds`] is true only while the state is known to have the lease as ours: it is counted from
//! before the last renewal was asked for, by a clock that goes on while the process is suspended. So it ends here before it
//! ends for the others.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::clock::{Clock, uptime};
use crate::removal::RemovalError;
use crate::store::pool::Database;
use crate::store::state::{self, Lease, LeaseError};

/// How soon a renewal that failed is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// Keeps a lease until it is dropped.
pub(super) struct Keeper {
    kept: Arc<Kept>,
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct Kept {
    memory: Database,
    lease: Lease,
    clock: Clock,
    length: Duration,
    /// Milliseconds of uptime.
    until: AtomicU64,
    taken: AtomicBool,
    /// One renewal at a time.
    renewing: Mutex<()>,
}

impl Keeper {
    /// Keeps a lease that was asked for at `asked` of the uptime.
    pub fn start(memory: &Database, lease: &Lease, clock: Clock, length: Duration, asked: Duration) -> Self {
        let kept = Arc::new(Kept {
            memory: memory.clone(),
            lease: lease.clone(),
            clock,
            length,
            until: AtomicU64::new(millis(asked + length)),
            taken: AtomicBool::new(false),
            renewing: Mutex::new(()),
        });
        let (end, ended) = mpsc::channel();
        let worker = Arc::clone(&kept);
        let thread = std::thread::Builder::new().name("lease".to_owned()).spawn(move || {
            let mut wait = worker.length / 3;
            while ended.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) && !worker.taken.load(Ordering::SeqCst) {
                wait = if worker.renew().is_ok() { worker.length / 3 } else { AGAIN.min(worker.length / 3) };
            }
        });
        // Without a thread the lease is renewed between batches alone.
        Self { kept, end: Some(end), thread: thread.ok() }
    }

    /// Whether the lease is ours now.
    pub fn holds(&self) -> bool {
        self.kept.holds()
    }

    /// Whether the lease is ours now; one that has run out and that nobody took is renewed.
    pub fn hold(&self) -> Result<(), RemovalError> {
        if self.kept.holds() { Ok(()) } else { self.kept.renew() }
    }
}

impl Kept {
    fn holds(&self) -> bool {
        !self.taken.load(Ordering::SeqCst) && millis(uptime()) < self.until.load(Ordering::SeqCst)
    }

    fn renew(&self) -> Result<(), RemovalError> {
        let _one = self.renewing.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = uptime();
        let mut conn = self.memory.conn()?;
        let there = state::server_now(&mut conn, self.clock)?;
        match self.lease.renew(&mut conn, there, self.length) {
            Ok(()) => {
                self.until.store(millis(asked + self.length), Ordering::SeqCst);
                Ok(())
            }
            Err(LeaseError::Held { .. }) => {
                self.taken.store(true, Ordering::SeqCst);
                Err(RemovalError::Overtaken)
            }
            Err(LeaseError::Store(error)) => Err(error.into()),
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.end = None;
        // A renewal that came after the lease was given back would hold it for nobody.
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
