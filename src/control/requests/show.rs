//! Requests as people and programs read them: ids, states, days, kinds of person; never whom one is about.

use chrono::{DateTime, NaiveDateTime, SecondsFormat, Utc};
use chrono_tz::Tz;
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::{Value, json};

use super::{Concern, Listed};
use crate::store::state::{MailRecord, RequestRecord};

impl Concern {
    /// The word for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DueSoon => "due_soon",
            Self::Overdue => "overdue",
            Self::Orphaned => "orphaned",
            Self::Problem => "problem",
            Self::Undecided => "undecided",
        }
    }
}

impl Listed {
    /// The same in words, without personal data.
    pub fn in_words(&self, now: DateTime<Utc>, zone: Tz) -> Vec<String> {
        let id = &self.request.id;
        let day = self.request.due_at.and_utc().with_timezone(&zone).format("%Y-%m-%d");
        let mut words = Vec::new();
        for concern in self.concerns(now) {
            match concern {
                Concern::DueSoon => words.push(format!("request {id} is due on {day}")),
                Concern::Overdue => words.push(format!("request {id} was due on {day}")),
                Concern::Orphaned => words.push(format!(
                    "request {id}: the file has no job {} any more that answers it; name it so again, or close the request (`retentiond report close {id} --why …`) and ask anew",
                    self.request.job
                )),
                Concern::Problem => {
                    let why = self.request.problem.as_deref().unwrap_or_default();
                    words.push(format!("request {id}: no report could be made: {why}"));
                }
                Concern::Undecided => {
                    for mail in self.mails.iter().filter(|mail| mail.is_undecided()) {
                        let (state, why) = (mail.state.replace('_', " "), mail.note.as_deref().unwrap_or_default());
                        words.push(format!(
                            "request {id}: its mail is {state}: {why}; `retentiond report resend {id}` sends it once more, `retentiond report close {id} --why …` says that it has arrived or is not needed"
                        ));
                    }
                }
            }
        }
        words
    }
}

fn day(at: NaiveDateTime, zone: Tz) -> String {
    at.and_utc().with_timezone(&zone).format("%Y-%m-%d").to_string()
}

fn utc(at: NaiveDateTime) -> String {
    at.and_utc().to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// What is said when a request was made.
pub fn made(request: &RequestRecord, zone: Tz) -> (String, Value) {
    let text = format!(
        "request {} is made: job {} answers it at its next run, until {} at the latest; until then the person's data is held",
        request.id,
        request.job,
        day(request.due_at, zone)
    );
    (text, json!({ "request": request.id, "job": request.job, "due": utc(request.due_at) }))
}

/// What is said when mails are to be sent once more.
pub fn resent(request: &str, mails: usize) -> String {
    let mails = if mails == 1 { "1 mail is".to_owned() } else { format!("{mails} mails are") };
    format!("{mails} sent once more, at the next run of the job of request {request}")
}

/// What is said when a request was extended.
pub fn extended(request: &str, due: DateTime<Utc>, zone: Tz) -> String {
    format!("request {request} is due on {}; tell the person, and why", due.with_timezone(&zone).format("%Y-%m-%d"))
}

/// What is said when a request was closed.
pub fn closed(request: &str) -> String {
    format!("request {request} is closed; nothing is held for it any more")
}

/// The list as a table, and below it what somebody has to look at.
pub fn table(listed: &[Listed], now: DateTime<Utc>, zone: Tz) -> String {
    if listed.is_empty() {
        return "no requests".to_owned();
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["request", "about", "asked", "by", "due", "state", "mails"]);
    for one in listed {
        let request = &one.request;
        let due = day(request.due_at, zone) + if request.extended_at.is_some() { " (extended)" } else { "" };
        let ended = request.ended_at.map(|at| format!(" {}", day(at, zone))).unwrap_or_default();
        let mails: Vec<String> = one.mails.iter().map(|mail| mail.state.replace('_', " ")).collect();
        table.add_row([
            request.id.clone(),
            format!("a {}", request.person_kind),
            day(request.asked_at, zone),
            request.asked_by.clone(),
            due,
            format!("{}{ended}", request.stage),
            mails.join(", "),
        ]);
    }
    let words = listed.iter().flat_map(|one| one.in_words(now, zone));
    std::iter::once(table.to_string()).chain(words).collect::<Vec<_>>().join("\n")
}

/// The list for programs.
pub fn to_json(listed: &[Listed], now: DateTime<Utc>, zone: Tz) -> Value {
    let mail = |mail: &MailRecord| {
        json!({
            "to": mail.recipient, "message_id": mail.message_id, "state": mail.state, "phase": mail.phase,
            "attempts": mail.attempt, "note": mail.note, "posted": utc(mail.posted_at),
            "next_attempt": (mail.state == "waiting").then(|| utc(mail.not_before)), "ended": mail.ended_at.map(utc),
        })
    };
    let one = |one: &Listed| {
        let request = &one.request;
        let counts = request.counts.as_deref().and_then(|counts| serde_json::from_str::<Value>(counts).ok());
        json!({
            "request": request.id, "job": request.job, "person": request.person_kind, "origin": request.origin,
            "asked": utc(request.asked_at), "asked_by": request.asked_by, "due": utc(request.due_at),
            "extended": request.extended_at.map(utc), "extended_by": request.extended_by,
            "extended_why": request.extended_why, "state": request.stage, "problem": request.problem,
            "rows": counts, "ended": request.ended_at.map(utc), "ended_by": request.ended_by,
            "ended_why": request.ended_why, "mails": one.mails.iter().map(mail).collect::<Vec<_>>(),
            "concerns": one.concerns(now).iter().map(|concern| concern.as_str()).collect::<Vec<_>>(),
            "in_words": one.in_words(now, zone),
        })
    };
    json!({ "requests": listed.iter().map(one).collect::<Vec<_>>() })
}
