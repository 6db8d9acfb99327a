//! Alerts: what happened is noted in the state, and a thread of its own sends what has to be sent.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use super::super::events::{Event, Listener};
use super::super::policy::Followed;
use crate::clock::Clock;
use crate::config::diagnostic::Diagnostics;
use crate::control::alerts::{self, Standing};
use crate::control::ran::Ended;
use crate::control::{deadlines, site::open_state};
use crate::jobs::Outcome;
use crate::mail::Settings;
use crate::store::pool::Database;
use crate::store::{Conn, StoreError, state};

/// Letters are looked for so often, and at once when something happened.
const EVERY: Duration = Duration::from_secs(20);
/// Deadlines and the digest are looked at so often.
const ROUND: Duration = Duration::from_secs(300);

/// Notes what happens.
pub(super) struct Alerts {
    clock: Clock,
    poke: SyncSender<()>,
}

impl Alerts {
    /// Starts the thread that sends.
    pub fn start(followed: &Followed) -> Arc<Self> {
        let (poke, poked) = sync_channel(1);
        let clock = Clock::system();
        let followed = followed.clone();
        let thread =
            std::thread::Builder::new().name("alerts".to_owned()).spawn(move || send(&followed, clock, &poked));
        if let Err(error) = thread {
            tracing::error!(%error, "no alerts can be sent");
        }
        Arc::new(Self { clock, poke })
    }

    fn note(&self, event: &Event<'_>, conn: &mut Conn) -> Result<(), StoreError> {
        let now = self.clock.now();
        match event {
            // Another attempt comes: it may yet go well.
            Event::Finished { ran, .. } if ran.again => Ok(()),
            Event::Finished { due, ran } => {
                let standing = match (&ran.ended, &ran.report.plan) {
                    (Ended::Refused(_), _) | (Ended::With(Outcome::Stopped), _) => return Ok(()),
                    (Ended::With(Outcome::Braked), Some(plan)) => Standing::Braked(plan),
                    (Ended::With(_), _) => Standing::Well,
                    (Ended::Failed(error), _) => {
                        return alerts::note(conn, due.job, &Standing::Failed(&error.to_string()), now);
                    }
                };
                alerts::note(conn, due.job, &standing, now)
            }
            // Who asked sees what is wrong; that it is right again ends what others were written of.
            Event::Asked { job, ran } => match &ran.ended {
                Ended::With(Outcome::Complete | Outcome::Truncated | Outcome::Held) => {
                    alerts::note(conn, job, &Standing::Well, now)
                }
                Ended::With(_) | Ended::Failed(_) | Ended::Refused(_) => Ok(()),
            },
            Event::Clock(Some(_)) => {
                let why = "it jumped, or runs away from the monotonic clock; nothing is removed until it is right, or `retentiond accept-clock` accepts it";
                alerts::note(conn, ":clock", &Standing::Wrong(why), now)
            }
            Event::Clock(None) => alerts::note(conn, ":clock", &Standing::Well, now),
            Event::ReloadRefused(why) => alerts::note(conn, ":file", &Standing::Wrong(why.text()), now),
            Event::Reloaded => alerts::note(conn, ":file", &Standing::Well, now),
            Event::Started(_) | Event::Lost(_) | Event::Skipped { .. } | Event::State(_) => Ok(()),
        }
    }
}

impl Listener for Alerts {
    fn hear(&self, event: &Event<'_>, memory: &Database) {
        if let Err(error) = memory.conn().and_then(|mut conn| self.note(event, &mut conn)) {
            tracing::error!(%error, "what happened could not be noted for an alert");
        }
        // A full channel means that the thread has been poked already.
        let _poked = self.poke.try_send(());
    }
}

/// Sends what is due until the daemon ends.
fn send(followed: &Followed, clock: Clock, poked: &Receiver<()>) {
    let mut memory: Option<Database> = None;
    let mut round = Instant::now();
    loop {
        match poked.recv_timeout(EVERY) {
            Ok(()) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if let Err(error) = work(followed, clock, &mut memory, &mut round) {
            tracing::warn!(%error, "alerts wait for the state");
        }
    }
}

fn work(
    followed: &Followed,
    clock: Clock,
    memory: &mut Option<Database>,
    round: &mut Instant,
) -> Result<(), StoreError> {
    let now = clock.now();
    let turn = round.elapsed() >= ROUND;
    if let Some(memory) = memory.as_ref().filter(|_| !turn)
        && state::letters_due(&mut *memory.conn()?, now)?.is_empty()
    {
        return Ok(());
    }
    // Asked anew each time: addresses and secrets may have changed.
    let loaded = followed.get();
    let settings = loaded.document.mail.as_ref().and_then(|mail| Settings::read(mail, &mut Diagnostics::default()));
    if memory.is_none() {
        *memory = open_state(&loaded).ok();
    }
    let (Some(memory), Some(settings)) = (memory, settings.filter(|settings| !settings.alerts.is_empty())) else {
        return Ok(());
    };
    let mut conn = memory.conn()?;
    deadlines::note_requests(&mut conn, &loaded, now)?;
    if turn {
        *round = Instant::now();
        for part in loaded.parts() {
            deadlines::note(&mut conn, &part.document, now)?;
        }
        alerts::digest(&mut conn, now)?;
    }
    alerts::send_due(&mut conn, &settings, now)
}
