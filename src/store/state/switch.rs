//! The kill switch: jobs that are paused, and the pause of all (`''`).

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use diesel::prelude::*;

use super::schema::pauses;
use crate::store::conn::on;
use crate::store::{Conn, StoreError};

/// Pauses a job, or all (`""`).
///
/// # Errors
/// When the state cannot be written.
pub fn pause(conn: &mut Conn, job: &str, now: DateTime<Utc>) -> Result<(), StoreError> {
    if is_listed(conn, job, job)? {
        return Ok(());
    }
    let row = (pauses::job.eq(job), pauses::since.eq(now.naive_utc()));
    on!(conn, raw => diesel::insert_into(pauses::table).values(row).execute(raw))
        .map(drop)
        .map_err(|error| StoreError::from_catalog(&error))
}

/// Ends a pause.
///
/// # Errors
/// When the state cannot be written.
pub fn resume(conn: &mut Conn, job: &str) -> Result<(), StoreError> {
    on!(conn, raw => diesel::delete(pauses::table.filter(pauses::job.eq(job))).execute(raw))
        .map(drop)
        .map_err(|error| StoreError::from_catalog(&error))
}

/// Whether a job must not begin a batch.
///
/// # Errors
/// When the state cannot be read.
pub fn is_paused(conn: &mut Conn, job: &str) -> Result<bool, StoreError> {
    is_listed(conn, job, "")
}

/// The jobs that are paused; `""` among them stands for all.
///
/// # Errors
/// When the state cannot be read.
pub fn paused(conn: &mut Conn) -> Result<BTreeSet<String>, StoreError> {
    on!(conn, raw => pauses::table.select(pauses::job).load::<String>(raw))
        .map(|jobs| jobs.into_iter().collect())
        .map_err(|error| StoreError::from_catalog(&error))
}

/// Asked before each batch: a list of values would be parsed anew each time.
fn is_listed(conn: &mut Conn, job: &str, or: &str) -> Result<bool, StoreError> {
    let query = pauses::table.filter(pauses::job.eq(job).or(pauses::job.eq(or))).count();
    let count: i64 = on!(conn, raw => query.get_result(raw)).map_err(|error| StoreError::from_catalog(&error))?;
    Ok(count > 0)
}
