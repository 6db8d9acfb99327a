//! Checkpoints of the audit trail while no run ends: every quarter of an hour, if there is something new; and the mail to
//! the auditors, once a day.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use super::super::events::{Event, Listener};
use super::super::policy::Followed;
use crate::clock::Clock;
use crate::control::{Failure, auditing, site::open_state};
use crate::store::pool::Database;

const EVERY: Duration = Duration::from_secs(900);

/// The thread that signs.
pub(super) struct Checkpoints(SyncSender<()>);

impl Checkpoints {
    /// Starts it; the first checkpoint is about the start.
    pub fn start(followed: &Followed) -> Arc<Self> {
        let (poke, poked) = sync_channel(1);
        let followed = followed.clone();
        let thread = std::thread::Builder::new().name("checkpoints".to_owned()).spawn(move || sign(&followed, &poked));
        if let Err(error) = thread {
            tracing::error!(%error, "the audit trail is signed after runs only");
        }
        Arc::new(Self(poke))
    }
}

impl Listener for Checkpoints {
    fn hear(&self, event: &Event<'_>, _: &Database) {
        // A run has signed by itself; what else matters is signed soon.
        if matches!(event, Event::Clock(_) | Event::Reloaded) {
            let _poked = self.0.try_send(());
        }
    }
}

fn sign(followed: &Followed, poked: &Receiver<()>) {
    let mut memory: Option<Database> = None;
    let mut wait = Duration::from_secs(5);
    loop {
        match poked.recv_timeout(wait) {
            Ok(()) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        wait = EVERY;
        if let Err(failure) = once(followed, &mut memory) {
            tracing::warn!("{}", failure.text());
        }
    }
}

fn once(followed: &Followed, memory: &mut Option<Database>) -> Result<(), Failure> {
    // Asked anew each time: addresses and secrets may have changed.
    let loaded = followed.get();
    let memory = match memory {
        Some(memory) => memory,
        none => none.insert(open_state(&loaded)?),
    };
    auditing::checkpoint(&loaded.document, memory, Clock::system());
    auditing::write_to_auditors(&loaded.document, memory, Clock::system())
}
