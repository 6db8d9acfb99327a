//! Requests for personal data reports: who asked, for whom (as keyed hashes), until when, and what became of it.
//!
//! Whom a request is about stands in the purged databases, as what its hold is about (`control::requests`); this table has
//! hashes with a key of the request's own, so that two requests about one person cannot be told to be.

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use diesel::prelude::*;

use super::outbox::{MailRecord, insert};
use super::schema::{outbox, outbox_phases, report_requests};
use crate::store::conn::on;
use crate::store::{Access, Conn, StoreError};

/// A request.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Insertable)]
#[diesel(table_name = report_requests)]
pub struct RequestRecord {
    /// Its id: short, to be typed.
    pub id: String,
    /// The job that answers it.
    pub job: String,
    /// `command`, `table` or `schedule`.
    pub origin: String,
    /// What it came from, as a hash; the same origin makes no second request.
    pub origin_key: Option<String>,
    /// The kind of person.
    pub person_kind: String,
    /// The key of its hashes.
    pub secret: String,
    /// The hashes, one a line: kind of identifier, `=`, hexadecimal digits.
    pub digests: String,
    /// Only rows from this instant on.
    pub range_from: Option<NaiveDateTime>,
    /// Only rows before this instant.
    pub range_to: Option<NaiveDateTime>,
    /// Who asked: a Unix user, or `table NAME`.
    pub asked_by: String,
    /// When.
    pub asked_at: NaiveDateTime,
    /// Until when it must be answered.
    pub due_at: NaiveDateTime,
    /// When that was extended.
    pub extended_at: Option<NaiveDateTime>,
    /// By whom.
    pub extended_by: Option<String>,
    /// Why.
    pub extended_why: Option<String>,
    /// `open`: no report yet; `posted`: mails are in the outbox; `answered`; `closed`: without a report.
    pub stage: String,
    /// Why the last attempt to make the report failed.
    pub problem: Option<String>,
    /// Rows by category, as JSON.
    pub counts: Option<String>,
    /// When it was answered or closed.
    pub ended_at: Option<NaiveDateTime>,
    /// By whom it was closed.
    pub ended_by: Option<String>,
    /// Why it was closed.
    pub ended_why: Option<String>,
}

impl RequestRecord {
    /// An open request about a user, for all rows, that a command made: what else is true of it, its caller says.
    pub fn open(id: &str, job: &str, by: &str, now: DateTime<Utc>, due: DateTime<Utc>) -> Self {
        Self {
            id: id.to_owned(),
            job: job.to_owned(),
            origin: "command".to_owned(),
            origin_key: None,
            person_kind: "user".to_owned(),
            secret: String::new(),
            digests: String::new(),
            range_from: None,
            range_to: None,
            asked_by: by.chars().take(128).collect(),
            asked_at: now.naive_utc(),
            due_at: due.naive_utc(),
            extended_at: None,
            extended_by: None,
            extended_why: None,
            stage: "open".to_owned(),
            problem: None,
            counts: None,
            ended_at: None,
            ended_by: None,
            ended_why: None,
        }
    }

    /// Whether it still waits for its answer.
    pub fn is_open(&self) -> bool {
        matches!(self.stage.as_str(), "open" | "posted")
    }
}

/// No statement has a longer period than a year; a day more makes up for zones.
const LONGEST_PERIOD: TimeDelta = TimeDelta::days(367);

fn failed(error: diesel::result::Error) -> StoreError {
    StoreError::from_catalog(&error)
}

/// Whether a job is one of this memory's: in a tenant's, that tenant's; in the whole one, any.
fn is_mine(conn: &Conn, job: &str) -> bool {
    let whose = job.split_once('@').map(|(_, tenant)| tenant);
    conn.scope.is_none() || whose == conn.scope.as_deref()
}

/// A new id: twelve hexadecimal digits, which the trail can name too.
///
/// # Errors
/// When the kernel gives no random bytes.
pub fn new_request_id() -> Result<String, StoreError> {
    Ok(super::erasures::random()?.chars().take(12).collect())
}

/// Remembers a request; `false` when its origin has made one already.
///
/// # Errors
/// When the state cannot be written.
pub fn add_request(conn: &mut Conn, request: &RequestRecord) -> Result<bool, StoreError> {
    conn.transaction(Access::ReadWrite, |conn| {
        if let Some(origin) = &request.origin_key {
            let same = report_requests::table
                .filter(report_requests::job.eq(&request.job))
                .filter(report_requests::origin_key.eq(origin))
                .select(report_requests::id);
            let known: Option<String> = on!(conn, raw => same.first(raw).optional()).map_err(failed)?;
            if known.is_some() {
                return Ok(false);
            }
        }
        on!(conn, raw => diesel::insert_into(report_requests::table).values(request).execute(raw)).map_err(failed)?;
        Ok(true)
    })
}

/// All requests, oldest first; in a tenant's memory, those of its jobs.
///
/// # Errors
/// When the state cannot be read.
pub fn requests(conn: &mut Conn) -> Result<Vec<RequestRecord>, StoreError> {
    let query = report_requests::table
        .order((report_requests::asked_at, report_requests::id))
        .select(report_requests::all_columns);
    let mut all: Vec<RequestRecord> = on!(conn, raw => query.load(raw)).map_err(failed)?;
    all.retain(|request| is_mine(conn, &request.job));
    Ok(all)
}

/// Requests to a job that wait for their answer, the first due first.
///
/// # Errors
/// When the state cannot be read.
pub fn open_requests(conn: &mut Conn, job: &str) -> Result<Vec<RequestRecord>, StoreError> {
    let query = report_requests::table
        .filter(report_requests::job.eq(job))
        .filter(report_requests::stage.eq_any(["open", "posted"]))
        .order((report_requests::due_at, report_requests::id))
        .select(report_requests::all_columns);
    on!(conn, raw => query.load(raw)).map_err(failed)
}

/// One request; in a tenant's memory, none of another's.
///
/// # Errors
/// When the state cannot be read.
pub fn request(conn: &mut Conn, id: &str) -> Result<Option<RequestRecord>, StoreError> {
    let query = report_requests::table.find(id).select(report_requests::all_columns);
    let found: Option<RequestRecord> = on!(conn, raw => query.first(raw).optional()).map_err(failed)?;
    Ok(found.filter(|request| is_mine(conn, &request.job)))
}

/// Whether an origin has made a request already.
///
/// # Errors
/// When the state cannot be read.
pub fn knows_origin(conn: &mut Conn, job: &str, origin: &str) -> Result<bool, StoreError> {
    let query = report_requests::table
        .filter(report_requests::job.eq(job))
        .filter(report_requests::origin_key.eq(origin))
        .select(report_requests::id);
    let known: Option<String> = on!(conn, raw => query.first(raw).optional()).map_err(failed)?;
    Ok(known.is_some())
}

/// Remembers why no report could be made, or that it could.
///
/// # Errors
/// When the state cannot be written.
pub fn note_problem(conn: &mut Conn, id: &str, problem: Option<&str>) -> Result<(), StoreError> {
    let row = report_requests::table.find(id);
    let change = report_requests::problem.eq(problem);
    on!(conn, raw => diesel::update(row).set(change).execute(raw)).map(drop).map_err(failed)
}

/// A report is finished: its mails are in the outbox from now on, or none of them is. `false` when the request waits for
/// no report any more.
///
/// # Errors
/// When the state cannot be written.
pub fn post(conn: &mut Conn, id: &str, counts: &str, mails: &[MailRecord]) -> Result<bool, StoreError> {
    conn.transaction(Access::ReadWrite, |conn| {
        let row = report_requests::table.filter(report_requests::id.eq(id)).filter(report_requests::stage.eq("open"));
        let problem = report_requests::problem.eq(None::<String>);
        let changes = (report_requests::stage.eq("posted"), report_requests::counts.eq(counts), problem);
        let rows = on!(conn, raw => diesel::update(row).set(changes).execute(raw)).map_err(failed)?;
        if rows == 0 {
            return Ok(false);
        }
        for mail in mails {
            insert(conn, mail)?;
        }
        Ok(true)
    })
}

/// A request is answered, or closed by somebody for a reason; what has not left does not leave any more. `false` when it
/// had ended before, or when one of its mails is on its way just now.
///
/// # Errors
/// When the state cannot be written.
pub fn end_request(
    conn: &mut Conn,
    id: &str,
    closed: Option<(&str, &str)>,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    conn.transaction(Access::ReadWrite, |conn| {
        let going = outbox::table.filter(outbox::request.eq(id)).filter(outbox::state.eq("going")).select(outbox::id);
        let going: Option<String> = on!(conn, raw => going.first(raw).optional()).map_err(failed)?;
        if going.is_some() {
            return Ok(false);
        }
        let row = report_requests::table
            .filter(report_requests::id.eq(id))
            .filter(report_requests::stage.eq_any(["open", "posted"]));
        let changes = (
            report_requests::stage.eq(if closed.is_some() { "closed" } else { "answered" }),
            report_requests::ended_at.eq(now.naive_utc()),
            report_requests::ended_by.eq(closed.map(|(by, _)| by)),
            report_requests::ended_why.eq(closed.map(|(_, why)| why)),
        );
        let rows = on!(conn, raw => diesel::update(row).set(changes).execute(raw)).map_err(failed)?;
        let waiting = outbox::table.filter(outbox::request.eq(id)).filter(outbox::state.eq("waiting"));
        let dropped = (outbox::state.eq("dropped"), outbox::ended_at.eq(now.naive_utc()));
        on!(conn, raw => diesel::update(waiting).set(dropped).execute(raw)).map_err(failed)?;
        Ok(rows > 0)
    })
}

/// Extends a request, once. `false` when it was extended before, or has ended.
///
/// # Errors
/// When the state cannot be written.
pub fn extend_request(
    conn: &mut Conn,
    id: &str,
    due: DateTime<Utc>,
    (by, why): (&str, &str),
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let row = report_requests::table
        .filter(report_requests::id.eq(id))
        .filter(report_requests::extended_at.is_null())
        .filter(report_requests::stage.eq_any(["open", "posted"]));
    let changes = (
        report_requests::due_at.eq(due.naive_utc()),
        report_requests::extended_at.eq(now.naive_utc()),
        report_requests::extended_by.eq(by),
        report_requests::extended_why.eq(why),
    );
    on!(conn, raw => diesel::update(row).set(changes).execute(raw)).map(|rows| rows == 1).map_err(failed)
}

/// Forgets requests that ended before an instant, with what is remembered of their mails. What a schedule asked for is
/// remembered for a year in any case: its period may last so long, and it would come again.
///
/// # Errors
/// When the state cannot be written.
pub fn forget_requests(conn: &mut Conn, before: DateTime<Utc>, now: DateTime<Utc>) -> Result<(), StoreError> {
    let year = (now - LONGEST_PERIOD).naive_utc();
    let over = report_requests::origin.ne("schedule").or(report_requests::asked_at.lt(year));
    let old = report_requests::table
        .filter(report_requests::ended_at.lt(before.naive_utc()))
        .filter(over)
        .select(report_requests::id);
    let ids: Vec<String> = on!(conn, raw => old.load(raw)).map_err(failed)?;
    for id in ids {
        conn.transaction(Access::ReadWrite, |conn| {
            let mails = outbox::table.filter(outbox::request.eq(&id)).select(outbox::id);
            let mails: Vec<String> = on!(conn, raw => mails.load(raw)).map_err(failed)?;
            let phases = outbox_phases::table.filter(outbox_phases::letter.eq_any(&mails));
            on!(conn, raw => diesel::delete(phases).execute(raw)).map_err(failed)?;
            let mails = outbox::table.filter(outbox::request.eq(&id));
            on!(conn, raw => diesel::delete(mails).execute(raw)).map_err(failed)?;
            let row = report_requests::table.find(&id);
            on!(conn, raw => diesel::delete(row).execute(raw)).map(drop).map_err(failed)
        })?;
    }
    Ok(())
}
