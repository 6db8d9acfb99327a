//! Rollups on the three databases: what the summaries say, that nothing is counted twice or lost whatever happens
//! meanwhile, and what stops them.
#![expect(clippy::unwrap_used, reason = "the helpers of a test stop it by panicking")]

mod support;

#[path = "audit_rollup/across.rs"]
mod across;
#[path = "audit_rollup/bed.rs"]
mod bed;
#[path = "audit_rollup/killed.rs"]
mod killed;
#[path = "audit_rollup/refused.rs"]
mod refused;
#[path = "audit_rollup/stays.rs"]
mod stays;
#[path = "audit_rollup/summaries.rs"]
mod summaries;
#[path = "audit_rollup/waits.rs"]
mod waits;
