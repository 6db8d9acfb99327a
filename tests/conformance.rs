//! What the program does to rows, seen from outside: the real binary on SQLite, PostgreSQL and MariaDB, the same cases on
//! each, looked at through the databases' own command line clients. Of every table it is checked that exactly the
//! expected rows went, and that all others are the same to the byte.
#![expect(clippy::unwrap_used, reason = "the helpers of a test stop it by panicking")]

#[path = "conformance/anonymising.rs"]
mod anonymising;
#[path = "conformance/boundaries.rs"]
mod boundaries;
#[path = "conformance/brakes.rs"]
mod brakes;
#[path = "conformance/client.rs"]
mod client;
#[path = "conformance/families.rs"]
mod families;
#[path = "conformance/files.rs"]
mod files;
#[path = "conformance/holds.rs"]
mod holds;
#[path = "conformance/keys.rs"]
mod keys;
#[path = "conformance/lists.rs"]
mod lists;
#[path = "conformance/names.rs"]
mod names;
#[path = "conformance/overrides.rs"]
mod overrides;
#[path = "conformance/random_maps.rs"]
mod random_maps;
#[path = "conformance/sentinels.rs"]
mod sentinels;
#[path = "conformance/site.rs"]
mod site;
mod support;
#[path = "conformance/ties.rs"]
mod ties;
