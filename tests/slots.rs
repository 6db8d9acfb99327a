//! Slots, leases and cursors in retentiond's own state, on each database: done once, by whichever daemon.
#![expect(clippy::unwrap_used, reason = "the helpers of a test stop it by panicking")]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use retentiond::clock::Clock;
use retentiond::store::pool::{Database, DatabaseSpec};
use retentiond::store::state::{
    self, Begun, Claim, Claimed, End, NewRun, NewSlot, NotBegun, SlotFate, Trigger, claim, open_slots, orphans,
    schedules,
};
use retentiond::store::url::StoreUrl;

fn open(url: &str) -> Database {
    let url = StoreUrl::parse(url).unwrap();
    let memory = Database::open(DatabaseSpec { create: true, ..DatabaseSpec::new("state", url) }).unwrap();
    state::migrate(&mut memory.conn().unwrap()).unwrap();
    memory
}

/// A state, opened as often as there are daemons.
fn on_each(test: fn(&dyn Fn() -> Database)) {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = format!("sqlite:{}", folder.path().join("state.db").display());
    for url in [sqlite, support::postgres().fresh_database(), support::mariadb().fresh_database()] {
        eprintln!("{url}");
        test(&|| open(&url));
    }
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_772_000_000 + seconds, 0).unwrap()
}

fn due(job: &str, seconds: i64, claim: Claim) -> NewSlot {
    NewSlot { job: job.to_owned(), slot: at(seconds), trigger: Trigger::Schedule, claim }
}

fn begin(memory: &Database, job: &str, slot: DateTime<Utc>) -> Result<Begun, NotBegun> {
    let new = NewRun {
        job,
        kind: "retention_purge",
        policy_hash: "hash",
        trigger: Trigger::Schedule,
        slot: Some(slot),
        lease: Duration::from_secs(30),
    };
    state::begin(&mut memory.conn().unwrap(), &new, Clock::system())
}

fn end(memory: &Database, begun: &Begun, outcome: &'static str, fate: SlotFate) -> bool {
    let end = End { outcome, cutoff: None, rows: 7, files: 0, note: None, steps: Vec::new() };
    state::end(&mut memory.conn().unwrap(), begun, &end, fate, Clock::system()).unwrap()
}

#[test]
fn a_slot_is_claimed_once_and_done_once() {
    on_each(|daemon| {
        let (one, other) = (daemon(), daemon());
        let slots = [due("a", 0, Claim::Run), due("b", 0, Claim::Run)];
        let first = claim(&mut one.conn().unwrap(), &slots, at(1)).unwrap();
        assert_eq!(first, [Claimed::Open, Claimed::Open]);
        let slots = [due("a", 0, Claim::Run), due("c", 0, Claim::Run)];
        assert_eq!(
            claim(&mut other.conn().unwrap(), &slots, at(1)).unwrap(),
            [Claimed::Known { open: true }, Claimed::Open]
        );

        let begun = begin(&other, "a", at(0)).unwrap();
        assert_eq!(begun.attempts, 0);
        assert!(matches!(begin(&one, "a", at(0)), Err(NotBegun::Held { same_slot: true, .. })));
        assert!(end(&other, &begun, "complete", SlotFate::Ended));
        assert!(matches!(begin(&one, "a", at(0)), Err(NotBegun::Done)));
        let open: Vec<String> =
            open_slots(&mut one.conn().unwrap()).unwrap().into_iter().map(|open| open.job).collect();
        assert_eq!(open, ["b", "c"]);
        let runs = state::history(&mut one.conn().unwrap(), Some("a"), 9).unwrap();
        assert_eq!(runs.len(), 1, "a run that was not begun left no record: {runs:?}");
    });
}

#[test]
fn many_daemons_that_claim_at_once_share_the_slots() {
    on_each(|daemon| {
        let slots: Vec<NewSlot> = (0..1_200).map(|job| due(&format!("j{job}"), 0, Claim::Run)).collect();
        let daemons: Vec<Database> = (0..3).map(|_| daemon()).collect();
        let won: usize = std::thread::scope(|scope| {
            let claims: Vec<_> = daemons
                .iter()
                .map(|daemon| scope.spawn(|| claim(&mut daemon.conn().unwrap(), &slots, at(1)).unwrap()))
                .collect();
            claims
                .into_iter()
                .map(|thread| thread.join().unwrap().iter().filter(|claimed| **claimed == Claimed::Open).count())
                .sum()
        });
        assert_eq!(won, 1_200);
        assert_eq!(open_slots(&mut daemons[0].conn().unwrap()).unwrap().len(), 1_200);
        let begun = std::thread::scope(|scope| {
            let begun: Vec<_> = daemons.iter().map(|daemon| scope.spawn(|| begin(daemon, "j7", at(0)))).collect();
            begun.into_iter().map(|thread| thread.join().unwrap()).filter(Result::is_ok).count()
        });
        assert_eq!(begun, 1, "the very first lease of a job is had by one");
    });
}

#[test]
fn the_next_slot_waits_or_is_left_out_while_one_is_open() {
    on_each(|daemon| {
        let memory = daemon();
        let mut conn = memory.conn().unwrap();
        assert_eq!(claim(&mut conn, &[due("a", 0, Claim::Run)], at(1)).unwrap(), [Claimed::Open]);
        assert_eq!(claim(&mut conn, &[due("a", 60, Claim::Run)], at(61)).unwrap(), [Claimed::LeftOut("overlap")]);
        assert_eq!(claim(&mut conn, &[due("a", 120, Claim::Queue)], at(121)).unwrap(), [Claimed::Open]);
        let missed = due("b", 60, Claim::LeaveOut("missed", 17));
        assert_eq!(claim(&mut conn, &[missed], at(61)).unwrap(), [Claimed::LeftOut("missed")]);
        let open: Vec<_> = open_slots(&mut conn).unwrap().into_iter().map(|open| (open.job, open.slot)).collect();
        assert_eq!(open, [("a".to_owned(), at(0)), ("a".to_owned(), at(120))]);
    });
}

#[test]
fn a_retry_keeps_its_slot_and_gives_way_to_the_next() {
    on_each(|daemon| {
        let memory = daemon();
        let mut conn = memory.conn().unwrap();
        claim(&mut conn, &[due("a", 0, Claim::Run)], at(1)).unwrap();
        let first = begin(&memory, "a", at(0)).unwrap();
        assert!(end(&memory, &first, "failed", SlotFate::Again(at(1_000))));
        let open = open_slots(&mut conn).unwrap();
        assert_eq!((open[0].attempts, open[0].not_before), (1, at(1_000)));
        let second = begin(&memory, "a", at(0)).unwrap();
        assert_eq!(second.attempts, 1);
        assert!(end(&memory, &second, "failed", SlotFate::Again(at(2_000))));
        assert_eq!(claim(&mut conn, &[due("a", 60, Claim::Run)], at(1_500)).unwrap(), [Claimed::Open]);
        let open: Vec<_> = open_slots(&mut conn).unwrap().into_iter().map(|open| open.slot).collect();
        assert_eq!(open, [at(60)], "the retry that waited gave way");
        let runs = state::history(&mut conn, Some("a"), 9).unwrap();
        let triggers: Vec<_> = runs.iter().map(|(run, _)| run.started_by.clone().unwrap()).collect();
        assert_eq!(triggers, ["retry", "schedule"]);
    });
}

#[test]
fn a_new_job_and_a_changed_schedule_begin_now() {
    on_each(|daemon| {
        let memory = daemon();
        let mut conn = memory.conn().unwrap();
        let jobs = |fingerprint: &str| BTreeMap::from([("a".to_owned(), fingerprint.to_owned())]);
        assert_eq!(schedules(&mut conn, &jobs("1"), at(0)).unwrap()["a"].cursor, at(0));
        assert_eq!(schedules(&mut conn, &jobs("1"), at(500)).unwrap()["a"].cursor, at(0), "what was missed is known");
        claim(&mut conn, &[due("a", 300, Claim::Run)], at(500)).unwrap();
        assert_eq!(schedules(&mut conn, &jobs("1"), at(600)).unwrap()["a"].cursor, at(300));
        assert_eq!(schedules(&mut conn, &jobs("2"), at(700)).unwrap()["a"].cursor, at(700));
        let begun = begin(&memory, "a", at(300)).unwrap();
        assert!(end(&memory, &begun, "complete", SlotFate::Ended));
        let later = DateTime::from_timestamp(Clock::system().now().timestamp(), 0).unwrap() + TimeDelta::days(1);
        assert_eq!(state::forget_slots(&mut conn, later).unwrap(), 1);
        assert_eq!(schedules(&mut conn, &jobs("2"), later).unwrap()["a"].cursor, later, "nothing is due again");
    });
}

#[test]
fn what_nobody_works_on_is_found() {
    on_each(|daemon| {
        let memory = daemon();
        let mut conn = memory.conn().unwrap();
        let now = Clock::system().now();
        let grace = Duration::from_secs(20);
        claim(&mut conn, &[due("a", 0, Claim::Queue), due("a", 60, Claim::Queue), due("b", 0, Claim::Run)], now)
            .unwrap();
        let found = |conn: &mut retentiond::store::Conn, seconds: i64| -> Vec<(String, DateTime<Utc>)> {
            let later = now + TimeDelta::seconds(seconds);
            let orphans = orphans(conn, grace, later, later).unwrap();
            orphans.into_iter().map(|open| (open.job, open.slot)).collect()
        };
        assert!(found(&mut conn, 1).is_empty(), "they may be on their way");
        assert_eq!(found(&mut conn, 25), [("a".to_owned(), at(0)), ("b".to_owned(), at(0))], "one of each job");
        let begun = begin(&memory, "a", at(0)).unwrap();
        assert_eq!(found(&mut conn, 25), [("b".to_owned(), at(0))], "somebody works on it");
        assert_eq!(found(&mut conn, 40).len(), 2, "or did, until the lease ran out");
        assert!(end(&memory, &begun, "stopped", SlotFate::Open));
        assert_eq!(found(&mut conn, 1), [("a".to_owned(), at(0))], "a daemon that stops leaves it to the next");
    });
}
