//! `retentiond check` against live databases: what it finds, on which line of the file, and what it says to do.
//!
//! Each test makes a small database with the fault in it. Set-up goes through the databases' own clients, so that nothing
//! of what is tested takes part in it. A server that is not there fails the test.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "the helpers of a test stop it by panicking")]

#[path = "check/anonymising.rs"]
mod anonymising;
#[path = "check/databases.rs"]
mod databases;
#[path = "check/jobs.rs"]
mod jobs;
#[path = "check/links.rs"]
mod links;
#[path = "check/persons.rs"]
mod persons;
#[path = "check/site.rs"]
mod site;
#[path = "check/stores.rs"]
mod stores;
mod support;
#[path = "check/times.rs"]
mod times;
#[path = "check/warned.rs"]
mod warned;
