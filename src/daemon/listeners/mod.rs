//! Who hears what happens in the daemon, besides the log: alerts by mail, pings, metrics, checkpoints of the trail.
//!
//! **Invariant.** None of them holds up a job or fails it: mail, pings and the metrics' counts have threads of their own,
//! queues that are full drop what is new, and what goes wrong there is logged.

mod alerts;
mod metrics;
mod pings;
mod survey;
mod trail;

use std::path::Path;
use std::sync::Arc;

use super::events::Listener;
use crate::control::{Failure, load};

/// The listeners that the file asks for.
///
/// # Errors
/// When the file cannot be read, or the address of the metrics cannot be listened on.
pub fn listeners(config: &Path) -> Result<Vec<Arc<dyn Listener>>, Failure> {
    let loaded = load(config)?;
    let mut all: Vec<Arc<dyn Listener>> =
        vec![alerts::Alerts::start(config), pings::Pings::start(config), trail::Checkpoints::start(config)];
    if let Some(metrics) = &loaded.document.metrics {
        all.push(metrics::Metrics::start(config, &metrics.listen)?);
    }
    Ok(all)
}
