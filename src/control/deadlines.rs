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

    #[test]
    fn a_job_that_was_not_complete_in_one_and_a_half_turns_is_told_of_once() {
        let folder = tempfile::tempdir().unwrap();
        let spec = DatabaseSpec {
            create: true,
            ..DatabaseSpec::new("state", StoreUrl::Sqlite(folder.path().join("state.db")))
        };
        let memory = Database::open(spec).unwrap();
        let conn = &mut *memory.conn().unwrap();
        state::migrate(conn).unwrap();
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
