//! Erasures that must not be undone by a restored backup: whom, as keyed hashes, and until when.
//!
//! **Invariant.** The hashes of an erasure stand here before its first row goes, and until no backup can hold the person.
//! A key is forgotten with the last erasure that needs it; from then on its hashes tell nothing.

use std::io::Read as _;

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::prelude::*;

use super::schema::{erasure_keys, erasure_marks, erasures, store_marks};
use crate::redact::Sealed;
use crate::store::conn::on;
use crate::store::{Access, Conn, ErrorKind, StoreError};

/// In place of a month: the key that stays.
const LASTING: &str = "lasting";

/// The key of hashes made in a month.
#[derive(Clone)]
pub struct HashKey {
    /// The month.
    pub epoch: String,
    /// The secret.
    pub secret: Sealed,
}

/// An erasure as it is remembered.
#[derive(Clone, Debug, Queryable, Insertable)]
#[diesel(table_name = erasures)]
pub struct ErasureRecord {
    /// Its id.
    pub id: String,
    /// The kind of person.
    pub person_kind: String,
    /// The month whose key made its hashes.
    pub epoch: String,
    /// Only rows from this instant on.
    pub range_from: Option<NaiveDateTime>,
    /// Only rows before this instant.
    pub range_to: Option<NaiveDateTime>,
    /// When it began.
    pub begun_at: NaiveDateTime,
    /// When it was complete.
    pub ended_at: Option<NaiveDateTime>,
    /// When no backup can hold the person any more.
    pub expires_at: Option<NaiveDateTime>,
    /// What was done, as JSON.
    pub receipt: Option<String>,
}

/// The kind of an identifier and its keyed hash.
pub type Mark = (String, String);

fn failed(error: diesel::result::Error) -> StoreError {
    StoreError::from_catalog(&error)
}

/// The key for hashes made now; made when the month has none yet.
///
/// # Errors
/// When the state cannot be written.
pub fn hash_key(conn: &mut Conn, now: DateTime<Utc>) -> Result<HashKey, StoreError> {
    let epoch = now.format("%Y-%m").to_string();
    if let Some(key) = hash_keys(conn)?.into_iter().find(|key| key.epoch == epoch) {
        return Ok(key);
    }
    let row = (
        erasure_keys::epoch.eq(&epoch),
        erasure_keys::secret.eq(random()?),
        erasure_keys::created_at.eq(now.naive_utc()),
    );
    let made = on!(conn, raw => diesel::insert_into(erasure_keys::table).values(row).execute(raw)).map_err(failed);
    // Another process may have made it at the same moment; then its key holds.
    let found = hash_keys(conn)?.into_iter().find(|key| key.epoch == epoch);
    found.map_or_else(|| Err(made.err().unwrap_or_else(|| StoreError::new(ErrorKind::Other, "no key"))), Ok)
}

/// The key for hashes that must stay comparable for years; made when there is none. Never forgotten.
///
/// # Errors
/// When the state cannot be written.
pub fn lasting_key(conn: &mut Conn, now: DateTime<Utc>) -> Result<Sealed, StoreError> {
    if let Some(secret) = known_lasting_key(conn)? {
        return Ok(secret);
    }
    let row = (
        erasure_keys::epoch.eq(LASTING),
        erasure_keys::secret.eq(random()?),
        erasure_keys::created_at.eq(now.naive_utc()),
    );
    let made = on!(conn, raw => diesel::insert_into(erasure_keys::table).values(row).execute(raw)).map_err(failed);
    // Another process may have made it at the same moment; then its key holds.
    match known_lasting_key(conn)? {
        Some(secret) => Ok(secret),
        None => Err(made.err().unwrap_or_else(|| StoreError::new(ErrorKind::Other, "no key"))),
    }
}

/// The same, where it was made already.
///
/// # Errors
/// When the state cannot be read.
pub fn known_lasting_key(conn: &mut Conn) -> Result<Option<Sealed>, StoreError> {
    let query = erasure_keys::table.filter(erasure_keys::epoch.eq(LASTING)).select(erasure_keys::secret);
    let found: Option<String> = on!(conn, raw => query.first(raw).optional()).map_err(failed)?;
    Ok(found.map(Sealed::new))
}

/// All keys that are still needed.
///
/// # Errors
/// When the state cannot be read.
pub fn hash_keys(conn: &mut Conn) -> Result<Vec<HashKey>, StoreError> {
    let query =
        erasure_keys::table.filter(erasure_keys::epoch.ne(LASTING)).select((erasure_keys::epoch, erasure_keys::secret));
    let rows: Vec<(String, String)> = on!(conn, raw => query.load(raw)).map_err(failed)?;
    Ok(rows.into_iter().map(|(epoch, secret)| HashKey { epoch, secret: Sealed::new(secret) }).collect())
}

/// 256 bits from the kernel, in hexadecimal.
///
/// # Errors
/// When the kernel does not give them.
pub fn random() -> Result<String, StoreError> {
    let mut bytes = [0_u8; 32];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .map_err(|error| StoreError::new(ErrorKind::Other, format!("/dev/urandom cannot be read: {error}")))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Remembers that an erasure begins, and whom it is about.
///
/// # Errors
/// When the state cannot be written: then nothing may be removed.
pub fn begin_erasure(conn: &mut Conn, record: &ErasureRecord, marks: &[Mark]) -> Result<(), StoreError> {
    let record = &ErasureRecord { person_kind: conn.scoped(&record.person_kind), ..record.clone() };
    conn.transaction(Access::ReadWrite, |conn| {
        on!(conn, raw => diesel::insert_into(erasures::table).values(record).execute(raw)).map_err(failed)?;
        for (kind, digest) in marks {
            let row = (
                erasure_marks::erasure_id.eq(&record.id),
                erasure_marks::kind.eq(kind),
                erasure_marks::digest.eq(digest),
            );
            on!(conn, raw => diesel::insert_into(erasure_marks::table).values(row).execute(raw)).map_err(failed)?;
        }
        Ok(())
    })
}

/// Remembers that an erasure is complete.
///
/// # Errors
/// When the state cannot be written.
pub fn finish_erasure(
    conn: &mut Conn,
    id: &str,
    ended: DateTime<Utc>,
    expires: Option<DateTime<Utc>>,
    receipt: &str,
) -> Result<(), StoreError> {
    let changes = (
        erasures::ended_at.eq(ended.naive_utc()),
        erasures::expires_at.eq(expires.map(|at| at.naive_utc())),
        erasures::receipt.eq(receipt),
    );
    let row = erasures::table.filter(erasures::id.eq(id));
    on!(conn, raw => diesel::update(row).set(changes).execute(raw)).map(drop).map_err(failed)
}

/// Forgets an erasure that ended before its first row went.
///
/// # Errors
/// When the state cannot be written.
pub fn cancel_erasure(conn: &mut Conn, id: &str) -> Result<(), StoreError> {
    conn.transaction(Access::ReadWrite, |conn| {
        let marks = erasure_marks::table.filter(erasure_marks::erasure_id.eq(id));
        on!(conn, raw => diesel::delete(marks).execute(raw)).map_err(failed)?;
        let row = erasures::table.filter(erasures::id.eq(id));
        on!(conn, raw => diesel::delete(row).execute(raw)).map(drop).map_err(failed)
    })
}

/// Erasures that a backup may still undo, whoever's.
fn every_unexpired(conn: &mut Conn, now: DateTime<Utc>) -> Result<Vec<ErasureRecord>, StoreError> {
    let open = erasures::expires_at.is_null().or(erasures::expires_at.gt(now.naive_utc()));
    let query = erasures::table.filter(open).order(erasures::begun_at).select(erasures::all_columns);
    on!(conn, raw => query.load(raw)).map_err(failed)
}

/// Erasures that a backup may still undo, each with its marks, oldest first. Of a tenant, that tenant's alone: another's
/// person may have the same key and be somebody else.
///
/// # Errors
/// When the state cannot be read.
pub fn unexpired(conn: &mut Conn, now: DateTime<Utc>) -> Result<Vec<(ErasureRecord, Vec<Mark>)>, StoreError> {
    let mut all = Vec::new();
    for record in every_unexpired(conn, now)? {
        let Some(person_kind) = conn.unscoped(&record.person_kind).map(str::to_owned) else { continue };
        let record = ErasureRecord { person_kind, ..record };
        let marks = erasure_marks::table
            .filter(erasure_marks::erasure_id.eq(record.id.clone()))
            .select((erasure_marks::kind, erasure_marks::digest));
        let marks: Vec<Mark> = on!(conn, raw => marks.load(raw)).map_err(failed)?;
        all.push((record, marks));
    }
    Ok(all)
}

/// The receipt of an erasure.
///
/// # Errors
/// When the state cannot be read.
pub fn receipt(conn: &mut Conn, id: &str) -> Result<Option<String>, StoreError> {
    let query = erasures::table.filter(erasures::id.eq(id)).select(erasures::receipt);
    let found: Option<Option<String>> = on!(conn, raw => query.first(raw).optional()).map_err(failed)?;
    Ok(found.flatten())
}

/// Forgets whom expired erasures were about, and the keys that nothing needs any more; receipts stay.
///
/// # Errors
/// When the state cannot be written.
pub fn forget_expired(conn: &mut Conn, now: DateTime<Utc>) -> Result<(), StoreError> {
    let old = erasures::table.filter(erasures::expires_at.le(now.naive_utc())).select(erasures::id);
    let ids: Vec<String> = on!(conn, raw => old.load(raw)).map_err(failed)?;
    for id in ids {
        let marks = erasure_marks::table.filter(erasure_marks::erasure_id.eq(id));
        on!(conn, raw => diesel::delete(marks).execute(raw)).map_err(failed)?;
    }
    let needed: Vec<String> = every_unexpired(conn, now)?.into_iter().map(|record| record.epoch).collect();
    let this_month = now.format("%Y-%m").to_string();
    let keys = erasure_keys::table
        .filter(erasure_keys::epoch.ne_all(needed))
        .filter(erasure_keys::epoch.ne(this_month))
        .filter(erasure_keys::epoch.ne(LASTING));
    on!(conn, raw => diesel::delete(keys).execute(raw)).map(drop).map_err(failed)
}

/// The last batches that a store's ledger must know, by job.
///
/// # Errors
/// When the state cannot be read.
pub fn store_marks(conn: &mut Conn, store: &str) -> Result<Vec<(String, String)>, StoreError> {
    let query = store_marks::table
        .filter(store_marks::store.eq(conn.scoped(store)))
        .select((store_marks::job, store_marks::batch));
    on!(conn, raw => query.load(raw)).map_err(failed)
}

/// Remembers the last batch of a job in a store.
///
/// # Errors
/// When the state cannot be written.
pub fn mark_store(conn: &mut Conn, store: &str, job: &str, batch: &str) -> Result<(), StoreError> {
    let store = &conn.scoped(store);
    let row = store_marks::table.filter(store_marks::store.eq(store)).filter(store_marks::job.eq(job));
    let changed =
        on!(conn, raw => diesel::update(row).set(store_marks::batch.eq(batch)).execute(raw)).map_err(failed)?;
    // MariaDB counts matched rows here, as the others do.
    if changed > 0 {
        return Ok(());
    }
    let values = (store_marks::store.eq(store), store_marks::job.eq(job), store_marks::batch.eq(batch));
    on!(conn, raw => diesel::insert_into(store_marks::table).values(values).execute(raw)).map(drop).map_err(failed)
}

/// Forgets what a store's ledger must know: it was restored, and has been brought up to date.
///
/// # Errors
/// When the state cannot be written.
pub fn unmark_store(conn: &mut Conn, store: &str) -> Result<(), StoreError> {
    let rows = store_marks::table.filter(store_marks::store.eq(conn.scoped(store)));
    on!(conn, raw => diesel::delete(rows).execute(raw)).map(drop).map_err(failed)
}
