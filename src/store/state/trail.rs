//! The tables of the trail. What stands in them is the business of [`crate::trail`]; here it is locked, read and written.
//!
//! **Invariant.** Leaves are only ever added. Records and keys go by [`prune`] alone, which its caller records in the same
//! transaction.

use chrono::{DateTime, Utc};
use diesel::prelude::*;

use super::erasures::random;
use super::schema::{trail_checkpoints, trail_head, trail_leaves, trail_records, trail_segments, trail_signers};
use crate::store::conn::on;
use crate::store::{Backend, Conn, StoreError};

/// The one row that stands for the whole trail.
#[derive(Clone, Debug, Default, PartialEq, Eq, Queryable, AsChangeset)]
#[diesel(table_name = trail_head)]
pub struct TrailHead {
    /// Records ever written.
    pub size: i64,
    /// The hash of the last leaf; empty before the first.
    pub last_hash: String,
    /// The hashes of the perfect subtrees, largest first.
    pub frontier: String,
    /// What checkpoints call the trail.
    pub origin: String,
    /// The first record of the present segment; -1 before the first.
    pub segment: i64,
    /// The month of the present segment.
    pub segment_month: String,
    /// Records below this number were pruned.
    pub pruned: i64,
}

/// A record to be written, with its leaf.
#[derive(Clone, Debug)]
pub struct TrailRow {
    /// Its number.
    pub seq: i64,
    /// The leaf, in hexadecimal.
    pub leaf: String,
    /// The record's type.
    pub kind: String,
    /// The job that it is about.
    pub job: Option<String>,
    /// The run that it is about.
    pub run: Option<String>,
    /// The record.
    pub body: String,
}

/// A leaf with its record, as they stand there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRow {
    /// Its number.
    pub seq: i64,
    /// The leaf.
    pub leaf: String,
    /// The record; none once it was pruned.
    pub record: Option<StoredRecord>,
}

/// A record as it stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRecord {
    /// Its type.
    pub kind: String,
    /// Its job.
    pub job: Option<String>,
    /// Its run.
    pub run: Option<String>,
    /// All of it.
    pub body: String,
}

fn failed(error: diesel::result::Error) -> StoreError {
    StoreError::from_catalog(&error)
}

type HeadColumns = (
    trail_head::size,
    trail_head::last_hash,
    trail_head::frontier,
    trail_head::origin,
    trail_head::segment,
    trail_head::segment_month,
    trail_head::pruned,
);

fn head_columns() -> HeadColumns {
    (
        trail_head::size,
        trail_head::last_hash,
        trail_head::frontier,
        trail_head::origin,
        trail_head::segment,
        trail_head::segment_month,
        trail_head::pruned,
    )
}

/// Reads the head.
///
/// # Errors
/// When the state cannot be read.
pub fn trail_head(conn: &mut Conn) -> Result<TrailHead, StoreError> {
    let query = trail_head::table.filter(trail_head::id.eq(1)).select(head_columns());
    on!(conn, raw => query.first::<TrailHead>(raw)).map_err(failed)
}

/// The head, where it is there: somebody may have removed it.
///
/// # Errors
/// When the state cannot be read.
pub fn find_trail_head(conn: &mut Conn) -> Result<Option<TrailHead>, StoreError> {
    let query = trail_head::table.filter(trail_head::id.eq(1)).select(head_columns());
    on!(conn, raw => query.first::<TrailHead>(raw).optional()).map_err(failed)
}

/// Reads the head and keeps all other writers out until the transaction ends.
///
/// # Errors
/// When it cannot be locked in time.
pub fn lock_trail(conn: &mut Conn) -> Result<TrailHead, StoreError> {
    // On SQLite a transaction that writes is alone from its beginning on.
    if conn.backend() != Backend::Sqlite {
        // An update locks on both servers alike; it changes nothing.
        let row = trail_head::table.filter(trail_head::id.eq(1));
        on!(conn, raw => diesel::update(row).set(trail_head::id.eq(1)).execute(raw)).map_err(failed)?;
    }
    trail_head(conn)
}

/// Writes the head; the caller has it locked.
///
/// # Errors
/// When the state cannot be written.
pub fn set_trail_head(conn: &mut Conn, head: &TrailHead) -> Result<(), StoreError> {
    let row = trail_head::table.filter(trail_head::id.eq(1));
    on!(conn, raw => diesel::update(row).set(head).execute(raw)).map(drop).map_err(failed)
}

/// Adds records with their leaves; the caller has the head locked.
///
/// # Errors
/// When the state cannot be written.
pub fn add_trail_rows(conn: &mut Conn, rows: &[TrailRow]) -> Result<(), StoreError> {
    for row in rows {
        let leaf = (trail_leaves::seq.eq(row.seq), trail_leaves::leaf.eq(&row.leaf));
        on!(conn, raw => diesel::insert_into(trail_leaves::table).values(leaf).execute(raw)).map_err(failed)?;
        let record = (
            trail_records::seq.eq(row.seq),
            trail_records::kind.eq(&row.kind),
            trail_records::job.eq(&row.job),
            trail_records::run.eq(&row.run),
            trail_records::body.eq(&row.body),
        );
        on!(conn, raw => diesel::insert_into(trail_records::table).values(record).execute(raw)).map_err(failed)?;
    }
    Ok(())
}

/// Leaves from a number on, in order.
///
/// # Errors
/// When the state cannot be read.
pub fn trail_leaves(conn: &mut Conn, from: i64, limit: i64) -> Result<Vec<(i64, String)>, StoreError> {
    let query = trail_leaves::table
        .filter(trail_leaves::seq.ge(from))
        .order(trail_leaves::seq)
        .limit(limit)
        .select((trail_leaves::seq, trail_leaves::leaf));
    on!(conn, raw => query.load(raw)).map_err(failed)
}

/// Leaves from a number on, with the records that are still there, in order. A record without a leaf is not among them:
/// [`count_trail_records`] tells of those.
///
/// # Errors
/// When the state cannot be read.
pub fn trail_rows(conn: &mut Conn, from: i64, limit: i64) -> Result<Vec<StoredRow>, StoreError> {
    let leaves = trail_leaves(conn, from, limit)?;
    let Some(last) = leaves.last().map(|(seq, _)| *seq) else { return Ok(Vec::new()) };
    type Found = (i64, String, Option<String>, Option<String>, String);
    let records = trail_records::table
        .filter(trail_records::seq.ge(from))
        .filter(trail_records::seq.le(last))
        .order(trail_records::seq)
        .select((trail_records::seq, trail_records::kind, trail_records::job, trail_records::run, trail_records::body));
    let records: Vec<Found> = on!(conn, raw => records.load(raw)).map_err(failed)?;
    let mut records = records.into_iter().peekable();
    let row = |(seq, leaf): (i64, String)| {
        while records.peek().is_some_and(|(other, ..)| *other < seq) {
            records.next();
        }
        let found = records.next_if(|(other, ..)| *other == seq);
        let record = found.map(|(_, kind, job, run, body)| StoredRecord { kind, job, run, body });
        StoredRow { seq, leaf, record }
    };
    Ok(leaves.into_iter().map(row).collect())
}

/// How many records there are, to be held against how many were read with their leaves.
///
/// # Errors
/// When the state cannot be read.
pub fn count_trail_records(conn: &mut Conn) -> Result<i64, StoreError> {
    on!(conn, raw => trail_records::table.count().get_result(raw)).map_err(failed)
}

/// The run of the last record of a type about a job, with its number.
///
/// # Errors
/// When the state cannot be read.
pub fn last_of_job(conn: &mut Conn, job: &str, kind: &str) -> Result<Option<(i64, String)>, StoreError> {
    let query = trail_records::table
        .filter(trail_records::job.eq(job))
        .filter(trail_records::kind.eq(kind))
        .order(trail_records::seq.desc())
        .limit(1)
        .select((trail_records::seq, trail_records::run));
    let found: Vec<(i64, Option<String>)> = on!(conn, raw => query.load(raw)).map_err(failed)?;
    Ok(found.into_iter().next().and_then(|(seq, run)| Some((seq, run?))))
}

/// The type of the last record about a run.
///
/// # Errors
/// When the state cannot be read.
pub fn last_of_run(conn: &mut Conn, run: &str) -> Result<Option<String>, StoreError> {
    let query = trail_records::table
        .filter(trail_records::run.eq(run))
        .order(trail_records::seq.desc())
        .limit(1)
        .select(trail_records::kind);
    on!(conn, raw => query.first(raw).optional()).map_err(failed)
}

/// Type and text of all records about a run, in order.
///
/// # Errors
/// When the state cannot be read.
pub fn trail_of_run(conn: &mut Conn, run: &str) -> Result<Vec<(String, String)>, StoreError> {
    let query = trail_records::table
        .filter(trail_records::run.eq(run))
        .order(trail_records::seq)
        .select((trail_records::kind, trail_records::body));
    on!(conn, raw => query.load(raw)).map_err(failed)
}

/// The keys of the segments, by the first record of each.
///
/// # Errors
/// When the state cannot be read.
pub fn trail_segments(conn: &mut Conn) -> Result<Vec<(i64, String)>, StoreError> {
    let query = trail_segments::table.order(trail_segments::first_seq).select(trail_segments::all_columns);
    on!(conn, raw => query.load(raw)).map_err(failed)
}

/// The key of one segment.
///
/// # Errors
/// When the state cannot be read, or has no such key.
pub fn trail_segment(conn: &mut Conn, first: i64) -> Result<String, StoreError> {
    let query = trail_segments::table.filter(trail_segments::first_seq.eq(first)).select(trail_segments::secret);
    on!(conn, raw => query.first(raw)).map_err(failed)
}

/// Begins a segment with a new key, and gives that.
///
/// # Errors
/// When the state cannot be written.
pub fn begin_trail_segment(conn: &mut Conn, first: i64) -> Result<String, StoreError> {
    let secret = random()?;
    let row = (trail_segments::first_seq.eq(first), trail_segments::secret.eq(&secret));
    on!(conn, raw => diesel::insert_into(trail_segments::table).values(row).execute(raw)).map_err(failed)?;
    Ok(secret)
}

/// Removes the records and the keys below a number; the caller has recorded that in the same transaction.
///
/// # Errors
/// When the state cannot be written.
pub fn prune_trail(conn: &mut Conn, below: i64) -> Result<(), StoreError> {
    let records = trail_records::table.filter(trail_records::seq.lt(below));
    on!(conn, raw => diesel::delete(records).execute(raw)).map_err(failed)?;
    let segments = trail_segments::table.filter(trail_segments::first_seq.lt(below));
    on!(conn, raw => diesel::delete(segments).execute(raw)).map(drop).map_err(failed)
}

/// Keeps a signed checkpoint; one of the same size stays as it is.
///
/// # Errors
/// When the state cannot be written.
pub fn add_checkpoint(conn: &mut Conn, size: i64, note: &str, at: DateTime<Utc>) -> Result<(), StoreError> {
    let same = trail_checkpoints::table.filter(trail_checkpoints::size.eq(size)).count();
    if on!(conn, raw => same.get_result::<i64>(raw)).map_err(failed)? > 0 {
        return Ok(());
    }
    let row = (
        trail_checkpoints::size.eq(size),
        trail_checkpoints::note.eq(note),
        trail_checkpoints::made_at.eq(at.naive_utc()),
    );
    on!(conn, raw => diesel::insert_into(trail_checkpoints::table).values(row).execute(raw)).map(drop).map_err(failed)
}

/// The signed checkpoints, smallest first.
///
/// # Errors
/// When the state cannot be read.
pub fn checkpoints(conn: &mut Conn) -> Result<Vec<(i64, String)>, StoreError> {
    let query = trail_checkpoints::table
        .order(trail_checkpoints::size)
        .select((trail_checkpoints::size, trail_checkpoints::note));
    on!(conn, raw => query.load(raw)).map_err(failed)
}

/// The last signed checkpoint: its size, the note, and when it was made.
///
/// # Errors
/// When the state cannot be read.
pub fn last_checkpoint(conn: &mut Conn) -> Result<Option<(i64, String, DateTime<Utc>)>, StoreError> {
    let query = trail_checkpoints::table.order(trail_checkpoints::size.desc()).limit(1).select((
        trail_checkpoints::size,
        trail_checkpoints::note,
        trail_checkpoints::made_at,
    ));
    let found: Vec<(i64, String, chrono::NaiveDateTime)> = on!(conn, raw => query.load(raw)).map_err(failed)?;
    Ok(found.into_iter().next().map(|(size, note, at)| (size, note, at.and_utc())))
}

/// Takes it on oneself to write to the auditors about a checkpoint: `false` when somebody has done so since an instant.
///
/// # Errors
/// When the state cannot be written.
pub fn take_trail_mail(
    conn: &mut Conn,
    size: i64,
    since: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let later = trail_checkpoints::table.filter(trail_checkpoints::mailed_at.gt(since.naive_utc())).count();
    if on!(conn, raw => later.get_result::<i64>(raw)).map_err(failed)? > 0 {
        return Ok(false);
    }
    let row = trail_checkpoints::table
        .filter(trail_checkpoints::size.eq(size))
        .filter(trail_checkpoints::mailed_at.is_null());
    let change = trail_checkpoints::mailed_at.eq(Some(now.naive_utc()));
    on!(conn, raw => diesel::update(row).set(change).execute(raw)).map(|rows| rows == 1).map_err(failed)
}

/// The auditors could not be written to about a checkpoint.
///
/// # Errors
/// When the state cannot be written.
pub fn give_trail_mail_back(conn: &mut Conn, size: i64) -> Result<(), StoreError> {
    let row = trail_checkpoints::table.filter(trail_checkpoints::size.eq(size));
    let change = trail_checkpoints::mailed_at.eq(None::<chrono::NaiveDateTime>);
    on!(conn, raw => diesel::update(row).set(change).execute(raw)).map(drop).map_err(failed)
}

/// Forgets checkpoints of a pruned trail, all but the last.
///
/// # Errors
/// When the state cannot be written.
pub fn forget_checkpoints(conn: &mut Conn, below: i64) -> Result<(), StoreError> {
    let Some((last, ..)) = last_checkpoint(conn)? else { return Ok(()) };
    let old = trail_checkpoints::table.filter(trail_checkpoints::size.lt(below.min(last)));
    on!(conn, raw => diesel::delete(old).execute(raw)).map(drop).map_err(failed)
}

/// The public keys of those who have signed, in hexadecimal.
///
/// # Errors
/// When the state cannot be read.
pub fn trail_signers(conn: &mut Conn) -> Result<Vec<String>, StoreError> {
    let query = trail_signers::table.order(trail_signers::since).select(trail_signers::public_key);
    on!(conn, raw => query.load(raw)).map_err(failed)
}

/// Adds the public key of one who signs.
///
/// # Errors
/// When the state cannot be written.
pub fn add_trail_signer(conn: &mut Conn, public: &str, at: DateTime<Utc>) -> Result<(), StoreError> {
    let row = (trail_signers::public_key.eq(public), trail_signers::since.eq(at.naive_utc()));
    on!(conn, raw => diesel::insert_into(trail_signers::table).values(row).execute(raw)).map(drop).map_err(failed)
}
