//! retentiond: the daemon that people trust with deletion.
//!
//! `jobs.toml` → [`config`] → [`graph`] (the map, checked against the live catalogs) → [`plan`] (what would happen) →
//! [`removal`] (batches) → run record. The modules in reading order:
//!
//! | module | what it is |
//! | --- | --- |
//! | [`names`], [`clock`], [`redact`], [`stop`] | validated names; the only caller of the machine's clock; values that cannot be formatted; the stop flag |
//! | [`config`] | `jobs.toml` → document, spans kept; knows no job kind |
//! | [`store`] | everything that speaks SQL: connections, catalogs, operators' tables, own state, ledger |
//! | [`mail`] | one mailer: SMTP over TLS, a folder, memory; what a mail says and how it looks |
//! | [`files`] | everything that removes a file, and nothing else does |
//! | [`schedule`] | which slots are due, and what becomes of missed ones: pure |
//! | [`trail`] | what retentiond itself did, in a log that cannot be quietly edited |
//! | [`holds`] | what a legal hold is about |
//! | [`archive`] | rows written to files before they go, read back, and read again |
//! | [`outbox`] | finished mails, each sent at most once by itself |
//! | [`graph`] | the data map resolved against the live catalogs |
//! | [`plan`] | plan, step, brake: plain data |
//! | [`removal`] | rows and files go, batch by batch |
//! | [`report`] | what is held about one person: read once, written in four formats |
//! | [`demo`] | the contact centre, generated |
//! | [`jobs`] | the kinds of job, one file each |
//! | [`control`] | the site opened from its file, a job run under its lease and remembered |
//! | [`daemon`] | `serve`: ticks, claims what is due, runs it on threads; the only asynchronous code |
//! | [`cli`] | one file a command |
//!
//! **Import rule**: a module imports only what stands before it: `names clock redact stop → config →
//! store | mail | files | schedule → trail | holds | archive | outbox → graph → plan → removal → report → demo → jobs →
//! control → daemon → cli → main`; siblings never import each other. `tests/layers.rs` holds it.

pub mod clock;
pub mod names;
pub mod redact;
pub mod stop;

pub mod config;

pub mod files;
pub mod mail;
pub mod schedule;
pub mod store;

pub mod archive;
pub mod holds;
pub mod outbox;
pub mod trail;

pub mod graph;

pub mod plan;

pub mod removal;

pub mod report;

pub mod demo;

pub mod jobs;

pub mod control;

pub mod daemon;

pub mod cli;
