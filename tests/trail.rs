//! retentiond's own trail: what was changed is found, what was pruned is not taken for it, and a second program agrees.
#![expect(clippy::unwrap_used, reason = "the helpers of a test stop it by panicking")]

#[path = "trail/python.rs"]
mod python;
#[path = "trail/runs.rs"]
mod runs;
#[path = "trail/served.rs"]
mod served;
#[path = "trail/states.rs"]
mod states;
mod support;
#[path = "trail/tampering.rs"]
mod tampering;
#[path = "trail/verified.rs"]
mod verified;
#[path = "support/world.rs"]
mod world;
#[path = "trail/written.rs"]
mod written;
