//! Doubts about clocks, and what an operator accepted: kept here, so that they outlive the daemon.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;

use super::schema::clocks;
use crate::store::conn::on;
use crate::store::{Access, Conn, StoreError};

const STORE: &str = "store:";

/// A doubt about a host's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockMark {
    /// By how many seconds it jumped.
    pub seconds: i64,
    /// Since when it is in doubt, by that clock.
    pub since: DateTime<Utc>,
}

fn host() -> String {
    let name = format!("host:{}", rustix::system::uname().nodename().to_string_lossy());
    name.chars().take(190).collect()
}

/// The doubt about this host's clock.
///
/// # Errors
/// When the state cannot be read.
pub fn clock_mark(conn: &mut Conn) -> Result<Option<ClockMark>, StoreError> {
    let row = clocks::table.filter(clocks::name.eq(host())).select((clocks::seconds, clocks::since));
    let found = on!(conn, raw => row.first::<(i64, chrono::NaiveDateTime)>(raw).optional())
        .map_err(|error| StoreError::from_catalog(&error))?;
    Ok(found.map(|(seconds, since)| ClockMark { seconds, since: since.and_utc() }))
}

/// Remembers a doubt about this host's clock.
///
/// # Errors
/// When the state cannot be written.
pub fn mark_clock(conn: &mut Conn, mark: ClockMark) -> Result<(), StoreError> {
    replace(conn, &host(), mark)
}

/// Forgets the doubt about this host's clock; `false` when there was none.
///
/// # Errors
/// When the state cannot be written.
pub fn forget_clock_mark(conn: &mut Conn) -> Result<bool, StoreError> {
    let row = clocks::table.filter(clocks::name.eq(host()));
    on!(conn, raw => diesel::delete(row).execute(raw))
        .map(|count| count > 0)
        .map_err(|error| StoreError::from_catalog(&error))
}

/// Accepts the difference between a store's clock and ours.
///
/// # Errors
/// When the state cannot be written.
pub fn accept_store_clock(conn: &mut Conn, store: &str, mark: ClockMark) -> Result<(), StoreError> {
    replace(conn, &format!("{STORE}{}", conn.scoped(store)), mark)
}

/// The differences that were accepted, in seconds, by store.
///
/// # Errors
/// When the state cannot be read.
pub fn accepted_store_clocks(conn: &mut Conn) -> Result<BTreeMap<String, i64>, StoreError> {
    let rows = clocks::table.select((clocks::name, clocks::seconds));
    let found = on!(conn, raw => rows.load::<(String, i64)>(raw)).map_err(|error| StoreError::from_catalog(&error))?;
    let store = |(name, seconds): (String, i64)| Some((conn.unscoped(name.strip_prefix(STORE)?)?.to_owned(), seconds));
    Ok(found.into_iter().filter_map(store).collect())
}

fn replace(conn: &mut Conn, name: &str, mark: ClockMark) -> Result<(), StoreError> {
    conn.transaction(Access::ReadWrite, |conn| {
        let failed = |error: diesel::result::Error| StoreError::from_catalog(&error);
        let old = clocks::table.filter(clocks::name.eq(name));
        on!(conn, raw => diesel::delete(old).execute(raw)).map_err(failed)?;
        let row = (clocks::name.eq(name), clocks::seconds.eq(mark.seconds), clocks::since.eq(mark.since.naive_utc()));
        on!(conn, raw => diesel::insert_into(clocks::table).values(row).execute(raw)).map(drop).map_err(failed)
    })
}
