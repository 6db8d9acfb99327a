//! Runs that end in ways that no job means to.

use std::sync::Arc;

use super::*;
use crate::store::pool::DatabaseSpec;
use crate::store::state::{Claim, NewSlot, Trigger};
use crate::store::url::StoreUrl;

fn memory(folder: &tempfile::TempDir) -> Database {
    let url = StoreUrl::parse(&format!("sqlite:{}", folder.path().join("state.db").display())).unwrap();
    let memory = Database::open(DatabaseSpec { create: true, ..DatabaseSpec::new("state", url) }).unwrap();
    state::migrate(&mut memory.conn().unwrap()).unwrap();
    memory
}

fn slot() -> DateTime<Utc> {
    "2026-03-01T02:30:00Z".parse().unwrap()
}

fn due(memory: &Database, lease: Duration) -> Options {
    let new = NewSlot { job: "calls".to_owned(), slot: slot(), trigger: Trigger::Schedule, claim: Claim::Run };
    state::claim(&mut memory.conn().unwrap(), &[new], Clock::system().now()).unwrap();
    Options {
        released: Vec::new(),
        unpaced: false,
        outside_window: false,
        clock: Clock::system(),
        stop: Stop::new(),
        cause: Cause::default(),
        occasion: Occasion::Slot {
            slot: slot(),
            trigger: Trigger::Schedule,
            begun: Arc::new(|| {}),
            doubt: Arc::new(|_| None),
            afterwards: Arc::new(|_, _| SlotFate::Ended),
        },
        lease,
    }
}

#[test]
fn a_panic_is_a_failed_run_with_a_record_and_without_its_message() {
    super::super::panics::tell_places_only();
    let folder = tempfile::tempdir().unwrap();
    let memory = memory(&folder);
    let options = due(&memory, Duration::from_secs(30));
    let ran = remembered(&memory, "calls", "retention_purge", "hash", &options, |_, _, _, _| {
        let name: Result<u32, _> = "Jane Doe".parse::<u32>().map_err(|_| "Jane Doe");
        Ok(if name.unwrap() > 0 { Outcome::Complete } else { Outcome::Held })
    });
    // Else this very test could not say why it fails.
    drop(std::panic::take_hook());
    assert!(matches!(ran.unwrap().ended, Ended::Failed(RemovalError::Doubt(_))));
    let runs = state::history(&mut memory.conn().unwrap(), None, 10).unwrap();
    let [(run, _)] = runs.as_slice() else { panic!("{runs:?}") };
    assert_eq!(run.outcome.as_deref(), Some("failed"));
    assert_eq!(run.started_by.as_deref(), Some("schedule"));
    assert_eq!(run.slot, Some(slot().naive_utc()));
    let note = run.note.as_deref().unwrap();
    assert!(note.contains("runner/tests.rs") && !note.contains("Doe"), "{note}");
    assert!(state::open_slots(&mut memory.conn().unwrap()).unwrap().is_empty(), "the slot is done");
    let again = remembered(&memory, "calls", "retention_purge", "hash", &options, |_, _, _, _| Ok(Outcome::Complete));
    assert!(matches!(again.unwrap().ended, Ended::Refused(Refusal::Done)), "and not done twice");
}

#[test]
fn a_lease_outlives_a_run_that_asks_for_nothing_in_between() {
    let folder = tempfile::tempdir().unwrap();
    let memory = memory(&folder);
    let options = due(&memory, Duration::from_secs(1));
    let ran = remembered(&memory, "calls", "retention_purge", "hash", &options, |_, keeper, _, _| {
        for _ in 0..30 {
            std::thread::sleep(Duration::from_millis(100));
            assert!(keeper.holds());
        }
        Ok(Outcome::Complete)
    });
    assert!(matches!(ran.unwrap().ended, Ended::With(Outcome::Complete)));
}

#[test]
fn a_run_whose_lease_was_taken_ends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let memory = memory(&folder);
    let options = due(&memory, Duration::from_secs(30));
    let ran = remembered(&memory, "calls", "retention_purge", "hash", &options, |_, _, _, _| {
        // As if this process had been suspended: the lease has run out, and somebody else has gone on.
        let sql = "UPDATE leases SET expires_at = '2020-01-01 00:00:00'";
        let file = folder.path().join("state.db");
        assert!(std::process::Command::new("sqlite3").arg(file).arg(sql).status().unwrap().success());
        let taken = remembered(&memory, "calls", "retention_purge", "hash", &options, |begun, _, _, _| {
            assert_eq!(begun.attempts, 1);
            Ok(Outcome::Complete)
        });
        assert!(matches!(taken.unwrap().ended, Ended::With(Outcome::Complete)));
        Ok(Outcome::Complete)
    });
    assert!(matches!(ran.unwrap().ended, Ended::Failed(RemovalError::Overtaken)));
    let runs = state::history(&mut memory.conn().unwrap(), None, 10).unwrap();
    let outcomes: Vec<_> = runs.iter().map(|(run, _)| (run.started_by.as_deref(), run.outcome.as_deref())).collect();
    assert_eq!(outcomes, [(Some("retry"), Some("complete")), (Some("schedule"), Some("interrupted"))]);
}

#[test]
fn a_clock_in_doubt_begins_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let memory = memory(&folder);
    let mut options = due(&memory, Duration::from_secs(30));
    if let Occasion::Slot { doubt, .. } = &mut options.occasion {
        *doubt = Arc::new(|_| Some("it jumped".to_owned()));
    }
    let ran = remembered(&memory, "calls", "retention_purge", "hash", &options, |_, _, _, _| panic!("it began"));
    assert!(matches!(ran.unwrap().ended, Ended::Refused(Refusal::Clock(_))));
    assert!(state::history(&mut memory.conn().unwrap(), None, 10).unwrap().is_empty());
    assert_eq!(state::open_slots(&mut memory.conn().unwrap()).unwrap().len(), 1, "it stays due");
}
