//! The audit trail, handed out part by part.
//!
//! **Invariant.** However long the trail is, a few parts of it are in memory. It is read in one transaction, which lasts as
//! long as the client takes it; a client that keeps the daemon waiting is left ([`PATIENCE`]), and there is one at a time,
//! so that nobody keeps the state's connections.

use std::io::{Error, ErrorKind};
use std::sync::TryLockError;
use std::time::Duration;

use serde_json::json;

use crate::clock::uptime;
use crate::control::{Exit, Failure};
use crate::daemon::core::Core;
use crate::daemon::socket::{Answer, Client, Meanwhile};
use crate::trail::export;

/// A part is as long as this, before it is put into JSON.
const PART: usize = 64 * 1024;
/// For so long in all the daemon waits for the client.
const PATIENCE: Duration = Duration::from_secs(300);

/// Hands the trail out.
pub(super) fn hand_out(core: &Core, client: &Client) -> Result<Answer, Failure> {
    let _one = match core.exporting.try_lock() {
        Err(TryLockError::WouldBlock) => {
            let text = "error: the trail is being exported for somebody else; try again in a moment";
            return Err(Failure::new(Exit::Braked, text));
        }
        Ok(one) => one,
        Err(TryLockError::Poisoned(one)) => one.into_inner(),
    };
    let mut parts = Parts { client, text: String::new(), lines: 0, waited: Duration::ZERO };
    export::write(&mut *core.memory.conn()?, |line| parts.put(line))?;
    parts.send().map_err(|error| Failure::new(Exit::Failed, format!("error: {error}")))?;
    Ok(Answer::new(Exit::Done, "").with_json(json!({ "lines": parts.lines })))
}

struct Parts<'a> {
    client: &'a Client,
    text: String,
    lines: u64,
    waited: Duration,
}

impl Parts<'_> {
    fn put(&mut self, line: &str) -> std::io::Result<()> {
        self.lines += 1;
        // A line may be of any length, if somebody has made it so.
        for piece in pieces(line, PART) {
            self.text.push_str(piece);
            if self.text.len() >= PART {
                self.send()?;
            }
        }
        Ok(())
    }

    fn send(&mut self) -> std::io::Result<()> {
        let text = std::mem::take(&mut self.text);
        let before = uptime();
        let there = text.is_empty() || self.client.tell(Meanwhile::Part { text });
        self.waited += uptime().saturating_sub(before);
        if !there {
            return Err(Error::new(ErrorKind::BrokenPipe, "whoever asked for the trail reads no more of it"));
        }
        if self.waited > PATIENCE {
            return Err(Error::new(ErrorKind::TimedOut, "whoever asked for the trail reads it too slowly"));
        }
        Ok(())
    }
}

/// A text in pieces of at most so many bytes, none of them within a character.
fn pieces(mut text: &str, most: usize) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end))?;
        let (piece, rest) = text.split_at(end);
        text = rest;
        (!piece.is_empty()).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_the_text() {
        for text in ["", "a", "abcdefgh", "äöüäöü", "𝄞𝄞𝄞a"] {
            for most in 4..9 {
                let all: Vec<&str> = pieces(text, most).collect();
                assert_eq!(all.concat(), text);
                assert!(all.iter().all(|piece| piece.len() <= most));
            }
        }
    }
}
