//! What the daemon's threads share.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::clocks::Watch;
use super::conductor::Message;
use super::events::{Event, Listeners};
use super::policy::{Followed, Policy};
use super::sites::Sites;
use crate::clock::Clock;
use crate::control::Cause;
use crate::schedule::{Engine, Slot};
use crate::stop::Stop;
use crate::store::StoreError;
use crate::store::pool::Database;

/// What the daemon's threads share.
pub(super) struct Core {
    /// The file's path.
    pub path: PathBuf,
    /// The clock.
    pub clock: Clock,
    /// retentiond's own state. Asked on threads that may wait, never on the runtime.
    pub memory: Database,
    /// Whether the clock can be trusted.
    pub watch: Watch,
    /// The stores.
    pub sites: Sites,
    /// Who hears what happens.
    pub listeners: Listeners,
    /// To the conductor.
    pub conductor: Sender<Message>,
    /// The daemon is to end.
    pub stop: Stop,
    /// The state is away, so nothing is decided.
    pub lost: AtomicBool,
    /// When the conductor was last seen, in milliseconds of uptime.
    pub conducted: AtomicU64,
    /// One reload at a time.
    pub reloading: Mutex<()>,
    /// One plan at a time, and one export of the trail: each keeps connections for as long as it takes.
    pub planning: Mutex<()>,
    /// See [`Core::planning`].
    pub exporting: Mutex<()>,
    /// Questions on the control socket that have no answer yet.
    pub answering: AtomicUsize,
    /// A reload was asked for and has not begun.
    pub reload_waits: AtomicBool,
    engine: Mutex<Engine>,
    policy: Mutex<Arc<Policy>>,
    followed: Followed,
    running: Mutex<BTreeMap<String, Running>>,
    failing: Mutex<BTreeMap<String, String>>,
}

/// A run that is going.
#[derive(Clone)]
pub(super) struct Running {
    /// Its slot.
    pub slot: Slot,
    /// Its stop flag.
    pub stop: Stop,
    /// Why that was raised.
    pub cause: Cause,
}

impl Core {
    /// Puts it together.
    pub fn new(
        path: PathBuf,
        memory: Database,
        watch: Watch,
        listeners: Listeners,
        conductor: Sender<Message>,
        (policy, followed): (Policy, Followed),
    ) -> Self {
        Self {
            path,
            clock: Clock::system(),
            memory,
            watch,
            sites: Sites::default(),
            listeners,
            conductor,
            stop: Stop::new(),
            lost: AtomicBool::new(false),
            conducted: AtomicU64::new(0),
            reloading: Mutex::new(()),
            planning: Mutex::new(()),
            exporting: Mutex::new(()),
            answering: AtomicUsize::new(0),
            reload_waits: AtomicBool::new(false),
            engine: Mutex::new(Engine::new(policy.limits())),
            policy: Mutex::new(Arc::new(policy)),
            followed,
            running: Mutex::default(),
            failing: Mutex::default(),
        }
    }

    /// The engine; held for the time of a decision, never while waiting for anything.
    pub fn engine(&self) -> MutexGuard<'_, Engine> {
        locked(&self.engine)
    }

    /// The file that is followed now.
    pub fn policy(&self) -> Arc<Policy> {
        Arc::clone(&locked(&self.policy))
    }

    /// Follows another file from now on.
    pub fn follow(&self, policy: Arc<Policy>) {
        self.followed.set(&policy.loaded);
        *locked(&self.policy) = policy;
    }

    /// Lets the engine begin anew from what the state knows. Runs that are going go on, and keep their slots.
    ///
    /// # Errors
    /// When the state cannot be asked.
    pub fn begin_anew(&self, policy: &Policy) -> Result<(), StoreError> {
        let now = self.clock.now();
        let known = policy.known(&mut *self.memory.conn()?, now)?;
        let mut engine = Engine::new(policy.limits());
        engine.set_jobs(policy.limits(), known, now);
        *self.engine() = engine;
        Ok(())
    }

    /// The runs that are going.
    pub fn running(&self) -> MutexGuard<'_, BTreeMap<String, Running>> {
        locked(&self.running)
    }

    /// The jobs whose last run did not succeed, with the outcome.
    pub fn failing(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        locked(&self.failing)
    }

    /// Tells everybody.
    pub fn tell(&self, event: &Event<'_>) {
        self.listeners.tell(event, &self.memory);
    }

    /// Sends to the conductor; at the very end there is none any more.
    pub fn send(&self, message: Message) {
        drop(self.conductor.send(message));
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
