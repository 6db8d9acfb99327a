//! Who hears what happens in the daemon, besides the log: alerts by mail, pings, metrics, checkpoints of the trail.
//!
//! **Invariant.** None of them holds up a job or fails it: mail, pings and the metrics' counts have threads of their own,
//! queues that are full drop what is new, and what goes wrong there is logged. They work by the file that the daemon
//! follows, never by one that was refused.

mod alerts;
mod metrics;
mod pings;
mod survey;
mod trail;

use std::sync::Arc;

use super::events::Listener;
use super::policy::Followed;
use crate::control::Failure;

/// The listeners that the file asks for.
///
/// # Errors
/// When the address of the metrics cannot be listened on.
pub(super) fn listeners(followed: &Followed) -> Result<Vec<Arc<dyn Listener>>, Failure> {
    let mut all: Vec<Arc<dyn Listener>> =
        vec![alerts::Alerts::start(followed), pings::Pings::start(followed), trail::Checkpoints::start(followed)];
    if let Some(metrics) = &followed.get().document.metrics {
        all.push(metrics::Metrics::start(followed, &metrics.listen)?);
    }
    Ok(all)
}
