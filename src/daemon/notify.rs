//! What systemd is told: ready, how things are, still alive, stopping. Without systemd nobody listens, and nothing is sent.

use std::time::Duration;

use sd_notify::NotifyState;

/// The daemon runs.
pub(super) fn ready() {
    send(&[NotifyState::Ready]);
}

/// It takes so long that systemd should wait for this much more.
pub(super) fn give_time(time: Duration) {
    send(&[NotifyState::ExtendTimeoutUsec(u32::try_from(time.as_micros()).unwrap_or(u32::MAX))]);
}

/// The daemon stops.
pub(super) fn stopping() {
    send(&[NotifyState::Stopping]);
}

/// The daemon lives: sent after a tick, and only then.
pub(super) fn alive() {
    send(&[NotifyState::Watchdog]);
}

/// One line that `systemctl status` shows.
pub(super) fn status(text: &str) {
    // A line break would begin another assignment.
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    send(&[NotifyState::Status(&line)]);
}

fn send(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "systemd could not be told");
    }
}
