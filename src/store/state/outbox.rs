//! The outbox as the state remembers it: finished mails, and how far each attempt to send one came.
//!
//! **Invariant.** An attempt is taken, each of its phases noted, and its end written, only as long as it is the latest one
//! of a mail that is going ([`take_mail`] counts it up): whoever was overtaken is told so before the next byte is written.
//! A mail whose attempt ended in the phase `dot` without an end written is uncertain, never waiting ([`settle_mails`]).

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::prelude::*;

use super::schema::{outbox, outbox_phases, report_requests};
use crate::store::conn::on;
use crate::store::{Access, Conn, StoreError};

/// A finished mail.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Insertable)]
#[diesel(table_name = outbox)]
pub struct MailRecord {
    /// Its id: the request's, and a place.
    pub id: String,
    /// The request.
    pub request: String,
    /// The envelope's sender.
    pub sender: String,
    /// The envelope's recipient.
    pub recipient: String,
    /// The message's id, without brackets.
    pub message_id: String,
    /// The host where its file lies.
    pub host: String,
    /// The file, in the outbox folder.
    pub spool: String,
    /// The file's SHA-256.
    pub digest: String,
    /// The file's length.
    pub bytes: i64,
    /// When it was finished.
    pub posted_at: NaiveDateTime,
    /// When it is not tried any more.
    pub give_up_at: NaiveDateTime,
    /// See [`MailState`].
    pub state: String,
    /// How far the last attempt came.
    pub phase: Option<String>,
    /// How many attempts there were.
    pub attempt: i32,
    /// It is not tried before this.
    pub not_before: NaiveDateTime,
    /// What became of the last attempt; no personal data.
    pub note: Option<String>,
    /// When it was over.
    pub ended_at: Option<NaiveDateTime>,
    /// Who had it sent again.
    pub decided_by: Option<String>,
    /// Whose keys it is encrypted for, as a hash; none where anybody can read it.
    pub sealed_for: Option<String>,
}

/// What became of a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailState {
    /// It will be tried.
    Waiting,
    /// It is being tried.
    Going,
    /// A server took it.
    Sent,
    /// It was handed over, and whether it was taken is not known. Never sent again by itself.
    Uncertain,
    /// The server will not take it.
    Refused,
    /// It was tried for as long as the file says.
    GivenUp,
    /// Its request was closed before it left.
    Dropped,
}

impl MailState {
    /// The word in the state.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Going => "going",
            Self::Sent => "sent",
            Self::Uncertain => "uncertain",
            Self::Refused => "refused",
            Self::GivenUp => "given_up",
            Self::Dropped => "dropped",
        }
    }
}

impl MailRecord {
    /// Whether somebody has to decide about it.
    pub fn is_undecided(&self) -> bool {
        [MailState::Uncertain, MailState::Refused, MailState::GivenUp].iter().any(|state| self.is(*state))
    }

    /// Whether it is in this state.
    pub fn is(&self, state: MailState) -> bool {
        self.state == state.as_str()
    }
}

/// One attempt to send a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The mail.
    pub mail: String,
    /// Its number.
    pub number: i32,
}

fn failed(error: diesel::result::Error) -> StoreError {
    StoreError::from_catalog(&error)
}

pub(super) fn insert(conn: &mut Conn, mail: &MailRecord) -> Result<(), StoreError> {
    on!(conn, raw => diesel::insert_into(outbox::table).values(mail).execute(raw)).map(drop).map_err(failed)
}

/// All mails, oldest first.
///
/// # Errors
/// When the state cannot be read.
pub fn mails(conn: &mut Conn) -> Result<Vec<MailRecord>, StoreError> {
    let query = outbox::table.order((outbox::posted_at, outbox::id)).select(outbox::all_columns);
    on!(conn, raw => query.load(raw)).map_err(failed)
}

/// Mails of a request.
///
/// # Errors
/// When the state cannot be read.
pub fn mails_of(conn: &mut Conn, request: &str) -> Result<Vec<MailRecord>, StoreError> {
    let query = outbox::table.filter(outbox::request.eq(request)).order(outbox::id).select(outbox::all_columns);
    on!(conn, raw => query.load(raw)).map_err(failed)
}

/// The open requests of a job, for a condition: there may be more of them than a statement has room for.
macro_rules! open_of {
    ($job:expr) => {
        report_requests::table
            .filter(report_requests::job.eq($job))
            .filter(report_requests::stage.eq_any(["open", "posted"]))
            .select(report_requests::id)
    };
}

/// Mails of a job's open requests that wait and may be tried now, oldest first; `all`: those too whose time has not come.
///
/// # Errors
/// When the state cannot be read.
pub fn waiting_mails(conn: &mut Conn, job: &str, now: DateTime<Utc>, all: bool) -> Result<Vec<MailRecord>, StoreError> {
    let query = outbox::table
        .filter(outbox::state.eq("waiting"))
        .filter(outbox::request.eq_any(open_of!(job)))
        .order((outbox::posted_at, outbox::id))
        .select(outbox::all_columns);
    let mut waiting: Vec<MailRecord> = on!(conn, raw => query.load(raw)).map_err(failed)?;
    waiting.retain(|mail| all || mail.not_before <= now.naive_utc());
    Ok(waiting)
}

/// Takes a mail that waits out of the outbox again, so that its report is made anew: its request is open once more.
/// `false` when it does not wait any more.
///
/// # Errors
/// When the state cannot be written.
pub fn recall(conn: &mut Conn, mail: &MailRecord) -> Result<bool, StoreError> {
    conn.transaction(Access::ReadWrite, |conn| {
        let row = outbox::table
            .filter(outbox::id.eq(&mail.id))
            .filter(outbox::state.eq("waiting"))
            .filter(outbox::attempt.eq(mail.attempt));
        if on!(conn, raw => diesel::delete(row).execute(raw)).map_err(failed)? == 0 {
            return Ok(false);
        }
        let phases = outbox_phases::table.filter(outbox_phases::letter.eq(&mail.id));
        on!(conn, raw => diesel::delete(phases).execute(raw)).map_err(failed)?;
        let request = report_requests::table
            .filter(report_requests::id.eq(&mail.request))
            .filter(report_requests::stage.eq("posted"));
        let open = report_requests::stage.eq("open");
        on!(conn, raw => diesel::update(request).set(open).execute(raw)).map_err(failed)?;
        Ok(true)
    })
}

/// Gives up a mail that waits, with the reason; `false` when it does not wait any more.
///
/// # Errors
/// When the state cannot be written.
pub fn give_mail_up(conn: &mut Conn, mail: &MailRecord, why: &str, now: DateTime<Utc>) -> Result<bool, StoreError> {
    let row = outbox::table
        .filter(outbox::id.eq(&mail.id))
        .filter(outbox::state.eq("waiting"))
        .filter(outbox::attempt.eq(mail.attempt));
    let changes = (outbox::state.eq("given_up"), outbox::note.eq(why), outbox::ended_at.eq(now.naive_utc()));
    on!(conn, raw => diesel::update(row).set(changes).execute(raw)).map(|rows| rows == 1).map_err(failed)
}

/// Begins an attempt; none when somebody else did, or the mail does not wait any more.
///
/// # Errors
/// When the state cannot be written.
pub fn take_mail(conn: &mut Conn, mail: &MailRecord) -> Result<Option<Attempt>, StoreError> {
    let number = mail.attempt + 1;
    let row = outbox::table
        .filter(outbox::id.eq(&mail.id))
        .filter(outbox::state.eq("waiting"))
        .filter(outbox::attempt.eq(mail.attempt));
    let changes = (outbox::state.eq("going"), outbox::attempt.eq(number), outbox::phase.eq(None::<String>));
    let rows = on!(conn, raw => diesel::update(row).set(changes).execute(raw)).map_err(failed)?;
    Ok((rows == 1).then(|| Attempt { mail: mail.id.clone(), number }))
}

/// Notes that an attempt enters a phase; `false` when it is not the latest any more, and must stop.
///
/// # Errors
/// When the state cannot be written: then the phase must not begin.
pub fn note_phase(conn: &mut Conn, attempt: &Attempt, phase: &str, now: DateTime<Utc>) -> Result<bool, StoreError> {
    conn.transaction(Access::ReadWrite, |conn| {
        let row = outbox::table
            .filter(outbox::id.eq(&attempt.mail))
            .filter(outbox::state.eq("going"))
            .filter(outbox::attempt.eq(attempt.number));
        let rows = on!(conn, raw => diesel::update(row).set(outbox::phase.eq(phase)).execute(raw)).map_err(failed)?;
        if rows != 1 {
            return Ok(false);
        }
        let noted = (
            outbox_phases::letter.eq(&attempt.mail),
            outbox_phases::attempt.eq(attempt.number),
            outbox_phases::phase.eq(phase),
            outbox_phases::reached_at.eq(now.naive_utc()),
        );
        on!(conn, raw => diesel::insert_into(outbox_phases::table).values(noted).execute(raw)).map_err(failed)?;
        Ok(true)
    })
}

/// Writes how an attempt ended; `false` when it is not the latest any more. A mail that goes on waiting is tried again
/// from `not_before` on.
///
/// # Errors
/// When the state cannot be written.
pub fn end_attempt(
    conn: &mut Conn,
    attempt: &Attempt,
    state: MailState,
    note: Option<&str>,
    (not_before, now): (Option<DateTime<Utc>>, DateTime<Utc>),
) -> Result<bool, StoreError> {
    let row = outbox::table
        .filter(outbox::id.eq(&attempt.mail))
        .filter(outbox::state.eq("going"))
        .filter(outbox::attempt.eq(attempt.number));
    let over = (state != MailState::Waiting).then(|| now.naive_utc());
    let changes = (
        outbox::state.eq(state.as_str()),
        outbox::note.eq(note),
        outbox::not_before.eq(not_before.unwrap_or(now).naive_utc()),
        outbox::ended_at.eq(over),
    );
    on!(conn, raw => diesel::update(row).set(changes).execute(raw)).map(|rows| rows == 1).map_err(failed)
}

/// Judges attempts for a job's requests whose process ended before it wrote how they ended: before the dot the mail waits
/// again, from the dot on it is uncertain. The caller holds the lease under which mails of these requests are sent. Gives
/// the number of each.
///
/// # Errors
/// When the state cannot be written.
pub fn settle_mails(conn: &mut Conn, job: &str, dot: &str, now: DateTime<Utc>) -> Result<(usize, usize), StoreError> {
    let note = "the process ended after the message was handed over; whether it was taken is not known";
    conn.transaction(Access::ReadWrite, |conn| {
        let going = || outbox::table.filter(outbox::state.eq("going")).filter(outbox::request.eq_any(open_of!(job)));
        let doubtful = going().filter(outbox::phase.eq(dot));
        let changes = (outbox::state.eq("uncertain"), outbox::note.eq(note), outbox::ended_at.eq(now.naive_utc()));
        let doubtful = on!(conn, raw => diesel::update(doubtful).set(changes).execute(raw)).map_err(failed)?;
        // The count goes up, so that a process that only slept is told that it was overtaken.
        let changes = (outbox::state.eq("waiting"), outbox::attempt.eq(outbox::attempt + 1));
        let waiting = on!(conn, raw => diesel::update(going()).set(changes).execute(raw)).map_err(failed)?;
        Ok((waiting, doubtful))
    })
}

/// Somebody decided that a mail is sent once more; `false` when nobody has to decide about it.
///
/// # Errors
/// When the state cannot be written.
pub fn mail_again(
    conn: &mut Conn,
    id: &str,
    by: &str,
    (now, give_up): (DateTime<Utc>, DateTime<Utc>),
) -> Result<bool, StoreError> {
    let row =
        outbox::table.filter(outbox::id.eq(id)).filter(outbox::state.eq_any(["uncertain", "refused", "given_up"]));
    let changes = (
        outbox::state.eq("waiting"),
        outbox::not_before.eq(now.naive_utc()),
        outbox::give_up_at.eq(give_up.naive_utc()),
        outbox::ended_at.eq(None::<NaiveDateTime>),
        outbox::decided_by.eq(by),
    );
    on!(conn, raw => diesel::update(row).set(changes).execute(raw)).map(|rows| rows == 1).map_err(failed)
}
