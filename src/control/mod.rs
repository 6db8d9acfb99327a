//! What a run needs around it, whoever asks for it: the site opened from its file, a job run under its lease and
//! remembered, and how a request ends when it does not do what it was asked.
//!
//! The command line and the daemon both come here, so that a job run by hand and by schedule is one and the same run.

pub mod alerts;
pub mod approving;
pub mod archives;
pub mod auditing;
pub mod auditor;
pub mod capturing;
pub mod clocks;
pub mod coming;
pub mod deadlines;
pub mod erasing;
pub mod failure;
mod forgetting;
pub mod holding;
mod keeper;
mod letters;
mod marks;
pub mod panics;
pub mod past;
pub mod persons;
pub mod planning;
pub mod ran;
pub mod receipt;
mod recording;
pub mod replaying;
pub mod reporting;
pub mod requests;
pub mod roles;
pub mod runner;
pub mod said;
pub mod screen;
pub mod site;
pub mod survey;
pub mod switching;
pub mod tenants;
mod turns;

pub use failure::{Exit, Failure, exit_of};
pub use ran::{Ended, Ran, Refusal};
pub use runner::{Because, Cause, Occasion, Options, fail_job, run_job};
pub use site::{Site, load};
