//! One line on how things are: what is wrong, what runs, what comes next.

use std::sync::atomic::Ordering;

use super::clocks;
use super::core::Core;

/// The line.
pub(super) fn line(core: &Core) -> String {
    let mut parts = wrong(core);
    let policy = core.policy();
    let document = &policy.loaded.document;
    if !document.enabled {
        parts.push("the file says enabled = false: nothing runs".to_owned());
        return parts.join("; ");
    }
    let running: Vec<String> = core.running().keys().cloned().collect();
    if core.stop.is_raised() {
        parts.push(if running.is_empty() {
            "stopping".to_owned()
        } else {
            format!("stopping after the present batch of {}", list(&running))
        });
        return parts.join("; ");
    }
    parts.push(if running.is_empty() { "idle".to_owned() } else { format!("running {}", list(&running)) });
    let engine = core.engine();
    if engine.waiting() > 0 {
        parts.push(format!("{} waiting", engine.waiting()));
    }
    match engine.coming() {
        Some((at, job)) => {
            let at = at.with_timezone(&document.timezone).format("%Y-%m-%d %H:%M:%S %Z");
            parts.push(format!("{} jobs, next {job} at {at}", policy.specs.len()));
        }
        None => parts.push(format!("{} jobs with a schedule", policy.specs.len())),
    }
    parts.join("; ")
}

fn wrong(core: &Core) -> Vec<String> {
    let mut wrong = Vec::new();
    if let Some(ahead) = core.watch.doubt() {
        wrong.push(clocks::in_words(ahead));
    }
    if core.lost.load(Ordering::SeqCst) {
        wrong.push("retentiond's own state is away".to_owned());
    }
    let failing: Vec<String> = core.failing().iter().map(|(job, outcome)| format!("{job} {outcome}")).collect();
    if !failing.is_empty() {
        wrong.push(list(&failing));
    }
    wrong
}

/// The first few, and how many more.
fn list(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match names.len().checked_sub(SHOWN) {
        Some(more) if more > 0 => format!("{shown} and {more} more"),
        _ => shown,
    }
}
