//! Persons who were seen to be gone: since when, by keyed hashes.

use std::collections::BTreeMap;
use std::io::Read as _;

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::prelude::*;

use super::schema::{gone_persons, gone_watches};
use crate::redact::Sealed;
use crate::store::conn::on;
use crate::store::{Access, Conn, ErrorKind, StoreError};

/// Digests of one statement.
const CHUNK: usize = 500;

/// What the state knows of the persons of a kind.
pub struct Watch {
    /// The key of their hashes.
    pub secret: Sealed,
    /// The number of the last look at their table.
    pub looks: i64,
}

fn failed(error: diesel::result::Error) -> StoreError {
    StoreError::from_catalog(&error)
}

/// The watch over a kind of person; `None` before the first look.
///
/// # Errors
/// When the state cannot be read.
pub fn watch(conn: &mut Conn, person: &str) -> Result<Option<Watch>, StoreError> {
    let person = &conn.scoped(person);
    let row = gone_watches::table.filter(gone_watches::person.eq(person));
    let row = row.select((gone_watches::secret, gone_watches::looks));
    let found: Option<(String, i64)> = on!(conn, raw => row.first(raw).optional()).map_err(failed)?;
    Ok(found.map(|(secret, looks)| Watch { secret: Sealed::new(secret), looks }))
}

/// Begins to watch over a kind of person.
///
/// # Errors
/// When the state cannot be written.
pub fn begin_watch(conn: &mut Conn, person: &str) -> Result<Watch, StoreError> {
    let person = &conn.scoped(person);
    let mut bytes = [0_u8; 32];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .map_err(|error| StoreError::new(ErrorKind::Other, format!("/dev/urandom cannot be read: {error}")))?;
    let secret: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let row = (gone_watches::person.eq(person), gone_watches::secret.eq(&secret), gone_watches::looks.eq(0_i64));
    on!(conn, raw => diesel::insert_into(gone_watches::table).values(row).execute(raw)).map_err(failed)?;
    Ok(Watch { secret: Sealed::new(secret), looks: 0 })
}

/// Remembers the number of a look.
///
/// # Errors
/// When the state cannot be written.
pub fn note_look(conn: &mut Conn, person: &str, number: i64) -> Result<(), StoreError> {
    let person = &conn.scoped(person);
    let row = gone_watches::table.filter(gone_watches::person.eq(person));
    on!(conn, raw => diesel::update(row).set(gone_watches::looks.eq(number)).execute(raw)).map(drop).map_err(failed)
}

/// Since when these persons are gone, as far as it is known.
///
/// # Errors
/// When the state cannot be read.
pub fn gone_since(
    conn: &mut Conn,
    person: &str,
    digests: &[String],
) -> Result<BTreeMap<String, DateTime<Utc>>, StoreError> {
    let person = &conn.scoped(person);
    let mut found = BTreeMap::new();
    for chunk in digests.chunks(CHUNK) {
        let rows = gone_persons::table
            .filter(gone_persons::person.eq(person))
            .filter(gone_persons::digest.eq_any(chunk))
            .select((gone_persons::digest, gone_persons::first_seen));
        let rows: Vec<(String, NaiveDateTime)> = on!(conn, raw => rows.load(raw)).map_err(failed)?;
        found.extend(rows.into_iter().map(|(digest, since)| (digest, since.and_utc())));
    }
    Ok(found)
}

/// Remembers that these persons were seen to be gone now.
///
/// # Errors
/// When the state cannot be written.
pub fn note_gone(conn: &mut Conn, person: &str, digests: &[String], now: DateTime<Utc>) -> Result<(), StoreError> {
    let known = gone_since(conn, person, digests)?;
    let person = &conn.scoped(person);
    conn.transaction(Access::ReadWrite, |conn| {
        for chunk in digests.chunks(CHUNK) {
            let rows =
                gone_persons::table.filter(gone_persons::person.eq(person)).filter(gone_persons::digest.eq_any(chunk));
            let seen = gone_persons::last_seen.eq(now.naive_utc());
            on!(conn, raw => diesel::update(rows).set(seen).execute(raw)).map_err(failed)?;
        }
        for digest in digests.iter().filter(|digest| !known.contains_key(*digest)) {
            let row = (
                gone_persons::person.eq(person),
                gone_persons::digest.eq(digest),
                gone_persons::first_seen.eq(now.naive_utc()),
                gone_persons::last_seen.eq(now.naive_utc()),
            );
            on!(conn, raw => diesel::insert_into(gone_persons::table).values(row).execute(raw)).map_err(failed)?;
        }
        Ok(())
    })
}

/// Whether anybody of a kind is known to be gone.
///
/// # Errors
/// When the state cannot be read.
pub fn any_gone(conn: &mut Conn, person: &str) -> Result<bool, StoreError> {
    let person = &conn.scoped(person);
    let row = gone_persons::table.filter(gone_persons::person.eq(person)).select(gone_persons::digest).limit(1);
    let found: Option<String> = on!(conn, raw => row.first(raw).optional()).map_err(failed)?;
    Ok(found.is_some())
}

/// Forgets persons who came back; gives their number.
///
/// # Errors
/// When the state cannot be written.
pub fn forget_returned(conn: &mut Conn, person: &str, digests: &[String]) -> Result<usize, StoreError> {
    let person = &conn.scoped(person);
    let mut forgotten = 0;
    for chunk in digests.chunks(CHUNK) {
        let rows =
            gone_persons::table.filter(gone_persons::person.eq(person)).filter(gone_persons::digest.eq_any(chunk));
        forgotten += on!(conn, raw => diesel::delete(rows).execute(raw)).map_err(failed)?;
    }
    Ok(forgotten)
}

/// Forgets persons of whom nothing has been seen since an instant.
///
/// # Errors
/// When the state cannot be written.
pub fn forget_unseen(conn: &mut Conn, person: &str, since: DateTime<Utc>) -> Result<usize, StoreError> {
    let person = &conn.scoped(person);
    let rows = gone_persons::table
        .filter(gone_persons::person.eq(person))
        .filter(gone_persons::last_seen.lt(since.naive_utc()));
    on!(conn, raw => diesel::delete(rows).execute(raw)).map_err(failed)
}
