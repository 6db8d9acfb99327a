//! What is wrong with which job, and the letters about it that have not left yet.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::prelude::*;

use super::schema::{incidents, letters, schedules};
use crate::store::conn::on;
use crate::store::{Access, Conn, StoreError};

/// Something that is wrong with a job since an instant, and when somebody was last told.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Insertable)]
#[diesel(table_name = incidents)]
pub struct IncidentRecord {
    /// The job, or what else is wrong (`clock`, `state`, `file`, with a colon before it).
    pub job: String,
    /// What kind of trouble.
    pub kind: String,
    /// What it is, without personal data.
    pub detail: String,
    /// Since when, in UTC.
    pub since: NaiveDateTime,
    /// When somebody was told last.
    pub told_at: NaiveDateTime,
    /// How many times it happened.
    pub times: i32,
}

/// A letter that waits.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Insertable)]
#[diesel(table_name = letters)]
pub struct LetterRecord {
    /// Its id.
    pub id: String,
    /// What it says, as JSON.
    pub letter: String,
    /// When it was written, in UTC.
    pub written_at: NaiveDateTime,
    /// How often it was tried.
    pub attempts: i32,
    /// It is not tried before this.
    pub not_before: NaiveDateTime,
}

fn failed(error: diesel::result::Error) -> StoreError {
    StoreError::from_catalog(&error)
}

/// All incidents.
///
/// # Errors
/// When the state cannot be read.
pub fn incidents(conn: &mut Conn) -> Result<Vec<IncidentRecord>, StoreError> {
    let query = incidents::table.order(incidents::job).select(incidents::all_columns);
    on!(conn, raw => query.load::<IncidentRecord>(raw)).map_err(failed)
}

/// Replaces the incidents of the jobs named by what they are now, and queues letters, all in one transaction: a letter is
/// queued exactly when its incident says that somebody was told.
///
/// # Errors
/// When the state cannot be written.
pub fn tell(conn: &mut Conn, jobs: &[&str], now: &[IncidentRecord], queued: &[LetterRecord]) -> Result<(), StoreError> {
    conn.transaction(Access::ReadWrite, |conn| {
        let before = incidents::table.filter(incidents::job.eq_any(jobs));
        on!(conn, raw => diesel::delete(before).execute(raw)).map_err(failed)?;
        for incident in now {
            on!(conn, raw => diesel::insert_into(incidents::table).values(incident).execute(raw)).map_err(failed)?;
        }
        for letter in queued {
            on!(conn, raw => diesel::insert_into(letters::table).values(letter).execute(raw)).map_err(failed)?;
        }
        Ok(())
    })
}

/// The letters that may be tried now, the oldest first.
///
/// # Errors
/// When the state cannot be read.
pub fn letters_due(conn: &mut Conn, now: DateTime<Utc>) -> Result<Vec<LetterRecord>, StoreError> {
    let query = letters::table
        .filter(letters::not_before.le(now.naive_utc()))
        .order(letters::written_at)
        .limit(50)
        .select(letters::all_columns);
    on!(conn, raw => query.load::<LetterRecord>(raw)).map_err(failed)
}

/// Takes a letter for one attempt: nobody else tries it before `until`. `false` when somebody else took it.
///
/// # Errors
/// When the state cannot be written.
pub fn take_letter(conn: &mut Conn, letter: &LetterRecord, until: DateTime<Utc>) -> Result<bool, StoreError> {
    let same = letters::table.filter(letters::id.eq(&letter.id)).filter(letters::attempts.eq(letter.attempts));
    let changes = (letters::attempts.eq(letter.attempts + 1), letters::not_before.eq(until.naive_utc()));
    on!(conn, raw => diesel::update(same).set(changes).execute(raw)).map(|rows| rows == 1).map_err(failed)
}

/// A letter has left, or is given up.
///
/// # Errors
/// When the state cannot be written.
pub fn drop_letter(conn: &mut Conn, id: &str) -> Result<(), StoreError> {
    on!(conn, raw => diesel::delete(letters::table.filter(letters::id.eq(id))).execute(raw)).map(drop).map_err(failed)
}

/// Since when each job has had its schedule.
///
/// # Errors
/// When the state cannot be read.
pub fn schedules_since(conn: &mut Conn) -> Result<BTreeMap<String, DateTime<Utc>>, StoreError> {
    let query = schedules::table.select((schedules::job, schedules::since));
    let found = on!(conn, raw => query.load::<(String, NaiveDateTime)>(raw)).map_err(failed)?;
    Ok(found.into_iter().map(|(job, since)| (job, since.and_utc())).collect())
}
