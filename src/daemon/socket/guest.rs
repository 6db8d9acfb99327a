//! The daemon's end of one conversation: what the thread that does the work says to whoever asked.
//!
//! **Invariant.** Nothing waits for a client longer than [`super::PATIENCE`]: who does not read for so long, or is gone, is
//! told nothing more, and what was begun for them goes on.

use tokio::sync::{mpsc, oneshot};

use super::words::{Answer, Meanwhile};

/// So many words wait for a client that reads slowly; what may be missed is left out before.
const WAITING: usize = 64;

/// A word on its way.
pub(super) enum Word {
    /// Before the answer; and who wants to know that it was handed over.
    Meanwhile(Meanwhile, Option<oneshot::Sender<()>>),
    /// The last one.
    Answer(Answer),
}

/// Who asked.
#[derive(Clone)]
pub(in crate::daemon) struct Client(mpsc::Sender<Word>);

impl Client {
    /// One, and where its words come out.
    pub(super) fn new() -> (Self, mpsc::Receiver<Word>) {
        let (sender, words) = mpsc::channel(WAITING);
        (Self(sender), words)
    }

    /// Says what may be missed: it is left out where the client is slow.
    pub fn hint(&self, what: Meanwhile) {
        drop(self.0.try_send(Word::Meanwhile(what, None)));
    }

    /// Says what must not be missed, and waits for room; `false` when nobody is there any more.
    pub fn tell(&self, what: Meanwhile) -> bool {
        self.0.blocking_send(Word::Meanwhile(what, None)).is_ok()
    }

    /// Says it, and waits until it was handed over; `false` when nobody is there any more.
    pub fn deliver(&self, what: Meanwhile) -> bool {
        let (done, handed) = oneshot::channel();
        self.0.blocking_send(Word::Meanwhile(what, Some(done))).is_ok() && handed.blocking_recv().is_ok()
    }

    /// Says the last word.
    pub(super) fn answer(&self, answer: Answer) {
        drop(self.0.blocking_send(Word::Answer(answer)));
    }
}
