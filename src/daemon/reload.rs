//! A new file takes the place of the old one, or is refused and changes nothing.
//!
//! **Invariant.** The new file is read and held against the stores in full, with the daemon's own credentials, before
//! anything of it counts; from then on all of it counts. Runs that are going end by the file they began with. A store that
//! is away is no mistake of the file.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use super::core::Core;
use super::events::Event;
use super::policy::Policy;
use crate::control::{Exit, Failure, auditing};

/// Reads the file anew; gives what changed, in words.
///
/// # Errors
/// With all mistakes of the file.
pub(super) fn reload(core: &Core) -> Result<String, Failure> {
    let _one = core.reloading.lock().unwrap_or_else(PoisonError::into_inner);
    core.reload_waits.store(false, Ordering::SeqCst);
    let done = try_reload(core);
    match &done {
        Ok(_) => core.tell(&Event::Reloaded),
        Err(failure) => core.tell(&Event::ReloadRefused(failure)),
    }
    done
}

fn try_reload(core: &Core) -> Result<String, Failure> {
    let (policy, away) = Policy::read(&core.path)?;
    let before = core.policy();
    let state = |policy: &Policy| policy.loaded.document.state.url.resolve().ok();
    if state(&policy) != state(&before) {
        let text = "error: [state] url has changed; that takes a restart, since it is what the daemon remembers";
        return Err(Failure::new(Exit::Configuration, text));
    }
    let now = core.clock.now();
    let known = policy.known(&mut *core.memory.conn()?, now)?;
    let text = changes(&core.path, &before, &policy);
    let away =
        away.map(|text| format!("\nwarning: its jobs wait until it can be reached: {}", text.replace("error: ", "")));
    auditing::followed(&policy.loaded, Vec::new(), &core.memory, core.clock)?;
    let policy = Arc::new(policy);
    core.engine().set_jobs(policy.limits(), known, now);
    core.follow(policy);
    Ok(text + &away.unwrap_or_default())
}

fn changes(path: &Path, before: &Policy, now: &Policy) -> String {
    let (old, new) = (names(before), names(now));
    let changed: Vec<&str> = now
        .specs
        .iter()
        .filter(|(name, spec)| before.specs.get(*name).is_some_and(|old| old.timetable != spec.timetable))
        .map(|(name, _)| name.as_str())
        .collect();
    let mut parts = vec![format!("{}: {} jobs with a schedule", path.display(), new.len())];
    let mut part = |what: &str, names: Vec<&str>| {
        if !names.is_empty() {
            parts.push(format!("{what} {}", names.join(", ")));
        }
    };
    part("new:", new.difference(&old).copied().collect());
    part("gone:", old.difference(&new).copied().collect());
    part("another schedule:", changed);
    parts.join("; ")
}

fn names(policy: &Policy) -> BTreeSet<&str> {
    policy.specs.keys().map(String::as_str).collect()
}
