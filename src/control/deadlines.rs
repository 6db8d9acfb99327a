//! Deadlines: of jobs, and of requests for reports ([`note_requests`]). A job that has a schedule and was not complete for one and a half turns of it missed its deadline.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::alerts::{self, Standing};
use super::{requests, turns};
use crate::config::Loaded;
use crate::config::document::Document;
use crate::store::{Conn, StoreError, state};

/// What the incident of a request begins with.
const REQUEST: &str = ":report request ";

/// Notes every request that somebody has to look at: it is due soon, or a mail of it may or may not have arrived, was
/// refused or given up. What was looked after is well again. All of it follows from the state, so none is forgotten,
/// whatever ended the run that found it.
///
/// # Errors
/// When the state cannot be read or written.
pub fn note_requests(conn: &mut Conn, loaded: &Arc<Loaded>, now: DateTime<Utc>) -> Result<(), StoreError> {
    let zone = loaded.document.timezone;
    let open = requests::list(conn, &requests::job_names(loaded), false)?;
    let known = state::incidents(conn)?;
    for one in &open {
        let words = one.in_words(now, zone);
        let incident = format!("{REQUEST}{}", one.request.id);
        if !words.is_empty() {
            alerts::note(conn, &incident, &Standing::Asks(&words.join(". ")), now)?;
        } else if known.iter().any(|known| known.job == incident) {
            alerts::note(conn, &incident, &Standing::Well, now)?;
        }
    }
    for incident in known.iter().filter(|incident| incident.job.starts_with(REQUEST)) {
        if !open.iter().any(|one| incident.job.ends_with(&one.request.id)) {
            alerts::note(conn, &incident.job, &Standing::Well, now)?;
        }
    }
    Ok(())
}

/// Notes every job that has missed its deadline. One that is paused or not enabled has none.
///
/// # Errors
/// When the state cannot be read or written.
pub fn note(conn: &mut Conn, document: &Document, now: DateTime<Utc>) -> Result<(), StoreError> {
    if !document.enabled {
        return Ok(());
    }
    let since = state::schedules_since(conn)?;
    let known = state::incidents(conn)?;
    for (name, raw) in document.jobs.iter().filter(|(_, raw)| raw.enabled && raw.timing.schedule.is_some()) {
        let name = name.as_str();
        // What is wrong with it already has been told, and says more.
        if state::is_paused(conn, name)? || known.iter().any(|incident| incident.job == name) {
            continue;
        }
        let turn = turns::longest(raw, document.timezone, now);
        let last = state::last_success(conn, name)?;
        let Some(start) = last.into_iter().chain(since.get(name).copied()).max() else { continue };
        if now - start > turn * 3 / 2 {
            let why = match last {
                Some(at) => format!("It was last complete at {}.", at.format("%Y-%m-%d %H:%M UTC")),
                None => "It was never complete.".to_owned(),
            };
            alerts::note(conn, name, &Standing::Missed(&why), now)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use chrono::TimeDelta;

    use super::*;
    use crate::config::load_text;
    use crate::store::pool::{Database, DatabaseSpec};
    use crate::store::url::StoreUrl;

    fn memory() -> (tempfile::TempDir, Database) {
        let folder = tempfile::tempdir().unwrap();
        let url = StoreUrl::Sqlite(folder.path().join("state.db"));
        let memory = Database::open(DatabaseSpec { create: true, ..DatabaseSpec::new("state", url) }).unwrap();
        state::migrate(&mut memory.conn().unwrap()).unwrap();
        (folder, memory)
    }

    #[test]
    fn a_request_that_is_due_in_ten_days_is_told_of_at_once_and_daily_until_it_is_answered() {
        let (_folder, memory) = memory();
        let conn = &mut *memory.conn().unwrap();
        let text = "timezone = \"Europe/Helsinki\"\n[jobs.reports]\nkind = \"personal_data_report\"\n";
        let loaded = Arc::new(load_text("jobs.toml", text).unwrap_or_else(|_| panic!("it is read")));
        let due: DateTime<Utc> = "2026-04-01T20:30:00Z".parse().unwrap();
        let asked_at = due - TimeDelta::days(31);
        let request = state::RequestRecord::open("r23456789a", "reports", "jane", asked_at, due);
        state::add_request(conn, &request).unwrap();
        let mut told = |hours_left: i64| -> Vec<String> {
            let now = due - TimeDelta::hours(hours_left);
            note_requests(conn, &loaded, now).unwrap();
            alerts::digest(conn, now).unwrap();
            if hours_left == 100 {
                state::end_request(conn, &request.id, None, now).unwrap();
            }
            let letters = state::letters_due(conn, now).unwrap();
            letters.iter().for_each(|letter| state::drop_letter(conn, &letter.id).unwrap());
            letters.into_iter().map(|letter| letter.letter).collect()
        };
        assert!(told(241).is_empty(), "it is due in more than ten days");
        for hours_left in [240, 216, 192] {
            let letters = told(hours_left);
            assert_eq!(letters.len(), 1, "{hours_left}: {letters:?}");
            // In the zone of the file, and nothing of the person.
            assert!(letters[0].contains("request r23456789a is due on 2026-04-01"), "{letters:?}");
            assert!(told(hours_left - 1).is_empty(), "once a day");
        }
        let overdue = told(-2);
        assert!(overdue.concat().contains("request r23456789a was due on 2026-04-01"), "{overdue:?}");
        told(100);
        let over = told(99);
        assert_eq!(over.len(), 1, "that it is well again: {over:?}");
        assert!(told(50).is_empty() && told(-50).is_empty(), "an answered request is told of no more");
    }

    #[test]
    fn a_job_that_was_not_complete_in_one_and_a_half_turns_is_told_of_once() {
        let (_folder, memory) = memory();
        let conn = &mut *memory.conn().unwrap();
        let text = "[jobs.it]\nkind = \"x\"\nschedule = \"0 2 * * *\"\n[jobs.asleep]\nkind = \"x\"\nschedule = \"@daily\"\n[jobs.off]\nkind = \"x\"\nenabled = false\nschedule = \"@daily\"\n[jobs.by_hand]\nkind = \"x\"\n";
        let loaded = load_text("jobs.toml", text).unwrap_or_else(|_| panic!("it is read"));
        let start: DateTime<Utc> = "2026-03-02T02:00:00Z".parse().unwrap();
        let jobs = ["it", "asleep", "off"].map(|job| (job.to_owned(), "fingerprint".to_owned()));
        state::schedules(conn, &BTreeMap::from(jobs), start).unwrap();
        state::pause(conn, "asleep", start).unwrap();
        let mut letters = |hours: i64| {
            let now = start + TimeDelta::hours(hours);
            note(conn, &loaded.document, now).unwrap();
            state::letters_due(conn, now).unwrap().iter().map(|letter| letter.letter.clone()).collect::<Vec<_>>()
        };
        assert!(letters(36).is_empty(), "a turn and a half is allowed");
        let told = letters(37);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told.concat().contains("job it") && told.concat().contains("never complete"), "{told:?}");
        assert_eq!(letters(61).len(), 1, "it is told once");
    }
}
