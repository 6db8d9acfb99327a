//! Who hears when something goes wrong: at its first time, once more a day while it lasts, and when it is over.
//!
//! **Invariant.** What somebody was told is kept in the state and written in the same transaction as the letter, so a
//! restart neither repeats nor forgets a mail. Letters hold names of jobs and entries, counts and errors without personal
//! data. Sending is somebody else's work ([`send_due`]): a mail server that is away holds up no job.

use chrono::{DateTime, TimeDelta, Utc};

use super::letters;
use crate::mail::letters::Letter;
use crate::mail::{Certainty, Draft, Mailer, Message, Settings};
use crate::plan::Plan;
use crate::store::state::{self, IncidentRecord, LetterRecord};
use crate::store::{Conn, StoreError};

/// While something lasts, it is told again after so long.
const AGAIN: TimeDelta = TimeDelta::hours(24);
/// A letter that could not be sent for so long is given up: what it says is old by then.
const GIVEN_UP: TimeDelta = TimeDelta::days(7);
/// The distance between two attempts, doubled each time from a minute on, is never longer.
const LONGEST_WAIT: TimeDelta = TimeDelta::hours(1);

/// How a job stands after something happened.
#[derive(Clone, Debug)]
pub enum Standing<'a> {
    /// A run failed.
    Failed(&'a str),
    /// A brake stopped a run.
    Braked(&'a Plan),
    /// No run was complete for longer than the schedule allows.
    Missed(&'a str),
    /// Something beside the jobs is wrong: the clock, the state, the file.
    Wrong(&'a str),
    /// A request for a report waits for somebody.
    Asks(&'a str),
    /// It is well.
    Well,
}

impl Standing<'_> {
    fn kind(&self) -> &'static str {
        match self {
            Self::Failed(_) => "failed",
            Self::Braked(_) => "braked",
            Self::Missed(_) => "missed",
            Self::Wrong(_) => "wrong",
            Self::Asks(_) => "asks",
            Self::Well => "well",
        }
    }

    fn detail(&self) -> String {
        let text = match self {
            Self::Failed(text) | Self::Missed(text) | Self::Wrong(text) | Self::Asks(text) => (*text).to_owned(),
            Self::Braked(plan) => plan.brakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
            Self::Well => String::new(),
        };
        text.chars().take(2_000).collect()
    }
}

/// Something happened to a job: notes it, and queues the letter that it deserves, if any.
///
/// # Errors
/// When the state cannot be written.
pub fn note(conn: &mut Conn, job: &str, standing: &Standing<'_>, now: DateTime<Utc>) -> Result<(), StoreError> {
    let before = state::incidents(conn)?.into_iter().find(|incident| incident.job == job);
    let (after, letter) = judge(before.as_ref(), job, standing, now);
    if after == before && letter.is_none() {
        return Ok(());
    }
    let queued: Vec<LetterRecord> = letter.iter().map(|letter| record(letter, now)).collect();
    state::tell(conn, &[job], after.as_slice(), &queued)
}

/// The rule, without the state: first of its kind, recovery, and silence in between.
fn judge(
    before: Option<&IncidentRecord>,
    job: &str,
    standing: &Standing<'_>,
    now: DateTime<Utc>,
) -> (Option<IncidentRecord>, Option<Letter>) {
    if matches!(standing, Standing::Well) {
        return (None, before.map(|incident| letters::recovered(incident, now)));
    }
    match before.filter(|incident| incident.kind == standing.kind()) {
        Some(incident) => {
            let times = incident.times.saturating_add(1);
            (Some(IncidentRecord { times, detail: standing.detail(), ..incident.clone() }), None)
        }
        None => {
            let incident = IncidentRecord {
                job: job.to_owned(),
                kind: standing.kind().to_owned(),
                detail: standing.detail(),
                since: before.map_or_else(|| now.naive_utc(), |before| before.since),
                told_at: now.naive_utc(),
                times: 1,
            };
            let letter = match standing {
                Standing::Braked(plan) => letters::braked(plan),
                _ => letters::trouble(&incident),
            };
            (Some(incident), Some(letter))
        }
    }
}

/// Queues the day's digest, when something that was told a day ago still lasts.
///
/// # Errors
/// When the state cannot be written.
pub fn digest(conn: &mut Conn, now: DateTime<Utc>) -> Result<(), StoreError> {
    let mut open = state::incidents(conn)?;
    if !open.iter().any(|incident| now - incident.told_at.and_utc() >= AGAIN) {
        return Ok(());
    }
    let letter = letters::digest(&open, now);
    open.iter_mut().for_each(|incident| incident.told_at = now.naive_utc());
    let jobs: Vec<String> = open.iter().map(|incident| incident.job.clone()).collect();
    let jobs: Vec<&str> = jobs.iter().map(String::as_str).collect();
    state::tell(conn, &jobs, &open, &[record(&letter, now)])
}

fn record(letter: &Letter, now: DateTime<Utc>) -> LetterRecord {
    LetterRecord {
        id: state::new_id(now),
        letter: serde_json::to_string(letter).unwrap_or_default(),
        written_at: now.naive_utc(),
        attempts: 0,
        not_before: now.naive_utc(),
    }
}

/// Tries every letter that is due once. What could not be sent stays, and is tried again later.
///
/// # Errors
/// When the state cannot be read or written.
pub fn send_due(conn: &mut Conn, settings: &Settings, now: DateTime<Utc>) -> Result<(), StoreError> {
    let due = state::letters_due(conn, now)?;
    if due.is_empty() {
        return Ok(());
    }
    let mailer = Mailer::of(settings);
    for record in due {
        let wait = TimeDelta::minutes(1 << record.attempts.clamp(0, 10)).min(LONGEST_WAIT);
        // Taken before it is tried: a process that dies while it sends leaves it for a later attempt.
        if !state::take_letter(conn, &record, now + wait)? {
            continue;
        }
        let sent = mailer
            .as_ref()
            .map_err(Clone::clone)
            .and_then(|mailer| message(settings, &record).and_then(|message| mailer.send(&message)));
        match sent {
            Ok(()) => state::drop_letter(conn, &record.id)?,
            // It may have arrived; an alert that comes twice is worse than one that a digest repeats.
            Err(error) if error.certainty == Certainty::Uncertain => {
                tracing::warn!(%error, "an alert may or may not have been sent");
                state::drop_letter(conn, &record.id)?;
            }
            Err(error) if now - record.written_at.and_utc() >= GIVEN_UP => {
                tracing::error!(%error, "an alert could not be sent for a week and is given up");
                state::drop_letter(conn, &record.id)?;
            }
            Err(error) => tracing::warn!(%error, attempts = record.attempts + 1, "an alert could not be sent yet"),
        }
    }
    Ok(())
}

fn message(settings: &Settings, record: &LetterRecord) -> Result<Message, crate::mail::MailError> {
    let letter: Letter = serde_json::from_str(&record.letter).unwrap_or_default();
    let page = letter.lay_out()?;
    Message::build(&Draft {
        from: &settings.from,
        to: &settings.alerts,
        subject: &letter.subject,
        text: &page.text,
        html: &page.html,
        date: record.written_at.and_utc(),
    })
}

#[cfg(test)]
mod tests;
