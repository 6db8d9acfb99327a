//! What becomes of slots that were missed, that overlap, that fall into a blackout, that fail, that are too many.

use std::collections::BTreeSet;

use super::*;
use crate::config::blackout::Blackout;
use crate::config::span::Span;

fn known(spec: &Spec, cursor: &str) -> Option<Known> {
    let cursor = at(cursor);
    Some(Known {
        fingerprint: spec.timetable.fingerprint(),
        since: at("2026-01-01T00:00:00Z"),
        cursor,
        started: Vec::new(),
    })
}

fn starts(decisions: &[Decision]) -> Vec<Slot> {
    decisions
        .iter()
        .filter_map(|decision| if let Decision::Start { slot, .. } = decision { Some(*slot) } else { None })
        .collect()
}

fn skips(decisions: &[Decision]) -> Vec<(usize, Skipped)> {
    decisions
        .iter()
        .filter_map(
            |decision| if let Decision::Skip { slots, why, .. } = decision { Some((*slots, *why)) } else { None },
        )
        .collect()
}

/// Everything that is decided in an hour of ticks, each run ended at once.
fn an_hour(engine: &mut Engine, from: &str) -> Vec<Decision> {
    let mut decisions = Vec::new();
    for tick in 0..3_600 {
        let now = at(from) + TimeDelta::seconds(tick);
        let decided = engine.tick(now);
        for decision in &decided {
            if let Decision::Start { job, slot, .. } = decision {
                engine.ended(job, *slot, Ending::Over, now);
            }
        }
        decisions.extend(decided);
    }
    decisions
}

#[test]
fn three_days_down() {
    let day = |day: u32| at(&format!("2026-03-{day:02}T03:00:00Z"));
    let cases = [
        (CatchUp::Latest, None, vec![day(4)], vec![(2, Skipped::Missed)]),
        (CatchUp::All, None, vec![day(2), day(3), day(4)], vec![]),
        (CatchUp::Skip, None, vec![], vec![(3, Skipped::Missed)]),
        (CatchUp::Latest, Some("6 hours"), vec![], vec![(3, Skipped::TooOld)]),
        (CatchUp::All, Some("36 hours"), vec![day(3), day(4)], vec![(1, Skipped::TooOld)]),
    ];
    for (catch_up, max_age, expected, skipped) in cases {
        let mut job = spec("job", "0 3 * * *", Tz::UTC, catch_up);
        job.max_age = max_age.map(|age| Span::parse(age).unwrap().length());
        let mut engine = Engine::new(limits(4, 1));
        let memory = known(&job, "2026-03-01T12:00:00Z");
        engine.set_jobs(limits(4, 1), vec![(job, memory)], at("2026-03-04T12:00:00Z"));
        let decisions = an_hour(&mut engine, "2026-03-04T12:00:00Z");
        assert_eq!(starts(&decisions), expected, "{catch_up:?} {max_age:?}");
        assert_eq!(skips(&decisions), skipped, "{catch_up:?} {max_age:?}");
        assert_eq!(engine.known("job").unwrap().cursor, day(4));
    }
}

#[test]
fn nothing_runs_for_the_past_of_a_new_job_or_of_another_schedule() {
    let now = at("2026-03-04T12:00:00Z");
    let job = spec("job", "0 3 * * *", Tz::UTC, CatchUp::All);
    let other = Known { fingerprint: "0 4 * * * UTC".to_owned(), ..known(&job, "2026-03-01T12:00:00Z").unwrap() };
    for memory in [None, Some(other)] {
        let mut engine = Engine::new(limits(4, 1));
        engine.set_jobs(limits(4, 1), vec![(job.clone(), memory)], now);
        assert_eq!(an_hour(&mut engine, "2026-03-04T12:00:00Z"), []);
        assert_eq!(engine.coming().map(|(at, _)| at), Some(at("2026-03-05T03:00:00Z")));
        // Changed while the daemon runs: the same.
        let changed = spec("job", "0 2 * * *", Tz::UTC, CatchUp::All);
        engine.set_jobs(limits(4, 1), vec![(changed, None)], at("2026-03-05T02:30:00Z"));
        assert_eq!(engine.tick(at("2026-03-05T03:30:00Z")), []);
        // Reloaded unchanged: it goes on where it was.
        let same = spec("job", "0 2 * * *", Tz::UTC, CatchUp::All);
        engine.set_jobs(limits(4, 1), vec![(same, None)], at("2026-03-06T02:30:00Z"));
        assert_eq!(starts(&engine.tick(at("2026-03-06T02:30:00Z"))), [at("2026-03-06T02:00:00Z")]);
    }
}

#[test]
fn a_run_that_is_due_while_the_one_before_goes_on() {
    let begin = at("2026-03-01T00:00:00Z");
    for (catch_up, expected) in [(CatchUp::Latest, 1), (CatchUp::Skip, 1), (CatchUp::All, 4)] {
        let mut engine = engine(vec![spec("job", "*/10 * * * *", Tz::UTC, catch_up)], begin);
        let mut decisions = Vec::new();
        for second in 0..2_410 {
            decisions.extend(engine.tick(begin + TimeDelta::seconds(second)));
        }
        assert_eq!(starts(&decisions), [at("2026-03-01T00:10:00Z")], "{catch_up:?}");
        let overlaps = if catch_up == CatchUp::All { vec![] } else { vec![(1, Skipped::Overlap); 3] };
        assert_eq!(skips(&decisions), overlaps, "{catch_up:?}");
        engine.ended("job", at("2026-03-01T00:10:00Z"), Ending::Over, begin + TimeDelta::seconds(2_410));
        let after = ticks(
            &mut engine,
            begin + TimeDelta::seconds(2_410),
            begin + TimeDelta::seconds(2_990),
            TimeDelta::seconds(1),
        );
        assert_eq!(after.len() + 1, expected, "{catch_up:?}");
    }
}

#[test]
fn limits_hold_in_all_and_per_store() {
    let begin = at("2026-03-01T02:59:59Z");
    let mut specs: Vec<Spec> =
        (0..6).map(|job| spec(&format!("job{job}"), "0 3 * * *", Tz::UTC, CatchUp::Skip)).collect();
    for (at, job) in specs.iter_mut().enumerate() {
        job.stores = vec![format!("store{}", at % 3), "shared".to_owned()];
    }
    let mut engine = Engine::new(limits(2, 1));
    engine.set_jobs(limits(3, 1), specs.iter().cloned().map(|spec| (spec, None)).collect(), begin);
    let first = starts(&engine.tick(begin + TimeDelta::seconds(1)));
    assert_eq!(first.len(), 1, "the shared store takes one");
    specs.iter_mut().for_each(|spec| spec.stores.truncate(1));
    engine.ended("job0", first[0], Ending::Over, begin);
    engine.set_jobs(limits(2, 1), specs.into_iter().map(|spec| (spec, None)).collect(), begin);
    // Late by ten minutes because the others had the places: still its own slot, even under `skip`.
    let later = begin + TimeDelta::minutes(10);
    let second = engine.tick(later);
    assert_eq!(starts(&second).len(), 2, "two in all");
    assert!(matches!(&second[0], Decision::Start { job, late: true, .. } if job == "job1"));
    engine.ended("job1", first[0], Ending::Over, later);
    engine.ended("job2", first[0], Ending::Over, later);
    let third = engine.tick(later);
    assert!(
        matches!(&third[..], [Decision::Start { job: a, .. }, Decision::Start { job: b, .. }] if a == "job3" && b == "job4")
    );
    engine.ended("job3", first[0], Ending::Over, later);
    assert_eq!(starts(&engine.tick(later)).len(), 1, "job5's store is free");
    assert_eq!((engine.waiting(), engine.running().count()), (0, 2));
}

#[test]
fn blackouts_put_off_or_pass_over() {
    // 2026-03-06 is a Friday.
    let weekend = vec![Blackout::parse("Fri 18:00-Mon 06:00").unwrap()];
    for (catch_up, expected) in [(CatchUp::Latest, vec![9]), (CatchUp::All, vec![7, 8, 9]), (CatchUp::Skip, vec![])] {
        let mut job = spec("job", "0 3 * * *", Tz::Europe__Helsinki, catch_up);
        job.blackouts.list.clone_from(&weekend);
        let mut engine = engine(vec![job], at("2026-03-06T12:00:00Z"));
        let before = ticks(&mut engine, at("2026-03-06T12:00:00Z"), at("2026-03-09T03:59:59Z"), TimeDelta::seconds(30));
        assert!(before.is_empty(), "{catch_up:?}: {before:?}");
        let after = ticks(&mut engine, at("2026-03-09T04:00:00Z"), at("2026-03-09T05:00:00Z"), TimeDelta::seconds(30));
        let expected: BTreeSet<Slot> = expected.iter().map(|day| at(&format!("2026-03-{day:02}T01:00:00Z"))).collect();
        assert_eq!(after.into_keys().map(|(_, slot)| slot).collect::<BTreeSet<_>>(), expected, "{catch_up:?}");
    }
}

#[test]
fn runs_are_stopped_by_timeout_and_blackout_once() {
    let begin = at("2026-03-06T15:59:50Z");
    let mut job = spec("job", "0 18 * * *", Tz::Europe__Helsinki, CatchUp::Latest);
    job.timeout = Some(TimeDelta::minutes(10));
    let mut other = spec("other", "0 18 * * *", Tz::Europe__Helsinki, CatchUp::Latest);
    other.blackouts.list = vec![Blackout::parse("Fri 18:05-Mon 06:00").unwrap()];
    let mut engine = engine(vec![job, other], begin);
    let mut stops = Vec::new();
    for second in 0..1_200 {
        for decision in engine.tick(begin + TimeDelta::seconds(second)) {
            if let Decision::Stop { job, why, .. } = decision {
                stops.push((job, why, second));
            }
        }
    }
    assert_eq!(stops, [("other".to_owned(), Stopped::Blackout, 310), ("job".to_owned(), Stopped::Timeout, 611)]);
}

#[test]
fn what_is_transient_is_tried_again_with_patience() {
    let begin = at("2026-03-01T02:59:59Z");
    let mut job = spec("job", "0 3 * * *", Tz::UTC, CatchUp::Latest);
    job.retry = Retry { max: 4, base: Span::parse("60 s").unwrap(), cap: Span::parse("3 minutes").unwrap() };
    let mut engine = engine(vec![job.clone()], begin);
    let mut tried = Vec::new();
    for second in 0..3_600 {
        let now = begin + TimeDelta::seconds(second);
        for decision in engine.tick(now) {
            let Decision::Start { slot, attempt, .. } = decision else { panic!("{decision:?}") };
            tried.push((attempt, second));
            assert_eq!(engine.ended("job", slot, Ending::Transient, now), None);
        }
    }
    let waits: Vec<i64> = tried.windows(2).map(|pair| pair[1].1 - pair[0].1).collect();
    assert_eq!(tried.iter().map(|(attempt, _)| *attempt).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    for (wait, longest) in waits.iter().zip([60, 120, 180, 180]) {
        assert!((longest * 3 / 4..=longest + 1).contains(wait), "{waits:?}");
    }
    // An attempt never crosses the next slot.
    job.timetable = timetable("* * * * *", Tz::UTC);
    let mut engine = self::engine(vec![job], begin);
    let mut tries = BTreeMap::new();
    for second in 0..600 {
        let now = begin + TimeDelta::seconds(second);
        for decision in engine.tick(now) {
            let Decision::Start { slot, .. } = decision else { panic!("{decision:?}") };
            *tries.entry(slot).or_insert(0) += 1;
            engine.ended("job", slot, Ending::Transient, now);
        }
    }
    assert_eq!(tries.len(), 10);
    assert!(tries.values().all(|tries| *tries <= 2), "{tries:?}");
}

#[test]
fn pauses_pass_over_and_holding_does_not() {
    let begin = at("2026-03-01T00:00:00Z");
    let specs =
        || vec![spec("one", "0 3 * * *", Tz::UTC, CatchUp::Latest), spec("each", "0 3 * * *", Tz::UTC, CatchUp::All)];
    let mut engine = engine(specs(), begin);
    engine.set_paused(false, ["one".to_owned(), "each".to_owned()].into());
    let decisions = engine.tick(at("2026-03-01T03:00:10Z"));
    assert_eq!((starts(&decisions), skips(&decisions)), (vec![], vec![(1, Skipped::Paused)]));
    engine.set_paused(true, BTreeSet::new());
    assert_eq!(skips(&engine.tick(at("2026-03-02T03:00:10Z"))), [(1, Skipped::Paused)]);
    engine.set_paused(false, BTreeSet::new());
    let resumed = ticks(&mut engine, at("2026-03-02T03:01:00Z"), at("2026-03-02T03:02:00Z"), TimeDelta::seconds(1));
    let each = |day: u32| ("each".to_owned(), at(&format!("2026-03-{day:02}T03:00:00Z")));
    assert_eq!(resumed.into_keys().collect::<Vec<_>>(), [each(1), each(2)]);
    engine.set_held(true);
    assert_eq!(engine.tick(at("2026-03-03T03:00:00Z")), []);
    engine.set_held(false);
    assert_eq!(starts(&engine.tick(at("2026-03-03T04:00:00Z"))).len(), 2);
}

#[test]
fn several_daemons_share_slots() {
    let begin = at("2026-03-01T02:59:59Z");
    let slot = at("2026-03-01T03:00:00Z");
    for catch_up in [CatchUp::Latest, CatchUp::All] {
        let mut engine = engine(vec![spec("job", "0 3 * * *", Tz::UTC, catch_up)], begin);
        assert_eq!(starts(&engine.tick(slot)), [slot]);
        assert_eq!(engine.ended("job", slot, Ending::Taken, slot), None);
        assert_eq!(engine.tick(slot + TimeDelta::seconds(1)), []);
        // The other daemon is still at it when the next one comes.
        let next = slot + TimeDelta::days(1);
        assert_eq!(starts(&engine.tick(next)), [next]);
        let answer = engine.ended("job", next, Ending::Busy, next);
        let again = ticks(&mut engine, next, next + TimeDelta::seconds(30), TimeDelta::seconds(1));
        if catch_up == CatchUp::All {
            assert_eq!((answer, again.into_keys().map(|(_, slot)| slot).collect()), (None, vec![next]));
        } else {
            assert!(matches!(answer, Some(Decision::Skip { why: Skipped::Overlap, .. })) && again.is_empty());
        }
    }
}

#[test]
fn a_slot_that_only_waits_survives_a_restart() {
    let now = at("2026-03-01T03:00:00Z");
    let specs =
        vec![spec("a", "0 3 * * *", Tz::UTC, CatchUp::Latest), spec("b", "0 3 * * *", Tz::UTC, CatchUp::Latest)];
    let mut engine = Engine::new(limits(1, 1));
    engine.set_jobs(
        limits(1, 1),
        specs.iter().cloned().map(|spec| (spec, None)).collect(),
        now - TimeDelta::seconds(1),
    );
    assert!(matches!(&engine.tick(now)[..], [Decision::Start { job, .. }] if job == "a"));
    let memory: Vec<(Spec, Option<Known>)> = specs
        .into_iter()
        .map(|spec| {
            let known = engine.known(&spec.name);
            (spec, known)
        })
        .collect();
    let mut engine = Engine::new(limits(1, 1));
    engine.set_jobs(limits(1, 1), memory, now + TimeDelta::minutes(5));
    assert!(
        matches!(&engine.tick(now + TimeDelta::minutes(5))[..], [Decision::Start { job, slot, late: true, .. }] if job == "b" && *slot == now)
    );
}

#[test]
fn the_spread_is_stable_and_differs() {
    let timing = Timing {
        schedule: Some(Cron::parse("0 3 * * *").unwrap()),
        spread: Some(Span::parse("2 hours").unwrap()),
        ..Timing::default()
    };
    let offset =
        |name: &str, host: &str| Spec::of(name, &timing, Tz::UTC, CatchUp::Latest, Vec::new(), host).unwrap().offset;
    let offsets: BTreeSet<TimeDelta> = (0..50).map(|host| offset("calls", &format!("host{host}"))).collect();
    assert!(offsets.len() > 45 && offsets.iter().all(|offset| (0..7_200).contains(&offset.num_seconds())));
    assert_eq!(offset("calls", "db1"), offset("calls", "db1"));
    let spec = Spec::of("calls", &timing, Tz::UTC, CatchUp::Latest, Vec::new(), "db1").unwrap();
    let due = at("2026-03-01T03:00:00Z") + spec.offset;
    let mut engine = engine(vec![spec], at("2026-03-01T00:00:00Z"));
    assert_eq!(engine.tick(due - TimeDelta::seconds(1)), []);
    assert!(
        matches!(&engine.tick(due)[..], [Decision::Start { slot, late: false, .. }] if *slot == at("2026-03-01T03:00:00Z"))
    );
}

#[test]
fn ten_thousand_jobs_due_in_one_minute_run_once_each() {
    let begin = at("2026-03-01T02:59:30Z");
    let specs: Vec<Spec> = (0..10_000)
        .map(|job| spec(&format!("job{job}"), &format!("{} 0 3 * * *", job % 60), Tz::UTC, CatchUp::Skip))
        .collect();
    let mut engine = Engine::new(limits(16, 1));
    engine.set_jobs(limits(16, 1), specs.into_iter().map(|spec| (spec, None)).collect(), begin);
    let watch = std::time::Instant::now();
    let mut started: BTreeSet<(String, Slot)> = BTreeSet::new();
    let mut running: Vec<(String, Slot)> = Vec::new();
    let mut now = begin;
    while now < begin + TimeDelta::minutes(20) {
        for (job, slot) in std::mem::take(&mut running) {
            engine.ended(&job, slot, Ending::Over, now);
        }
        for decision in engine.tick(now) {
            let Decision::Start { job, slot, .. } = decision else { panic!("{decision:?}") };
            assert!(started.insert((job.clone(), slot)), "{job} ran twice");
            running.push((job, slot));
        }
        assert!(running.len() <= 16);
        now += TimeDelta::milliseconds(500);
    }
    assert_eq!(started.len(), 10_000);
    assert!(watch.elapsed().as_secs() < 20, "{:?}", watch.elapsed());
    println!("10 000 jobs, 2 400 ticks: {:?}", watch.elapsed());
}

/// The next slot of a job passes over while somebody has it run, its store is full, and there is one place less.
#[test]
fn a_run_that_is_asked_for_takes_a_place() {
    let begin = at("2026-03-01T00:00:30Z");
    let mut specs: Vec<Spec> =
        ["a", "b", "c"].iter().map(|name| spec(name, "* * * * *", Tz::UTC, CatchUp::Latest)).collect();
    specs[0].stores = vec!["shop".to_owned()];
    specs[1].stores = vec!["shop".to_owned()];
    specs[2].blackouts.list = vec![Blackout::parse("Sun 01:00-Sun 02:00").unwrap()];
    let mut engine = Engine::new(limits(2, 1));
    engine.set_jobs(limits(2, 1), specs.into_iter().map(|spec| (spec, None)).collect(), begin);
    let shop = || vec!["shop".to_owned()];
    engine.enter("a", begin, shop(), false).unwrap();
    assert_eq!(engine.enter("a", begin, shop(), false), Err(NoPlace::Going));
    assert_eq!(engine.enter("b", begin, shop(), false), Err(NoPlace::Store("shop".to_owned(), 1)));
    let minute = at("2026-03-01T00:01:00Z");
    let decided = engine.tick(minute);
    let started = |decided: &[Decision]| -> Vec<String> {
        let job = |decision: &Decision| match decision {
            Decision::Start { job, .. } => Some(job.clone()),
            _ => None,
        };
        decided.iter().filter_map(job).collect()
    };
    assert_eq!(started(&decided), ["c"], "b waits for the store, a is running");
    assert_eq!(skips(&decided), [(1, Skipped::Overlap)]);
    assert_eq!(engine.enter("hand", minute, Vec::new(), false), Err(NoPlace::Jobs(2)));
    assert_eq!(engine.ended("a", begin, Ending::Over, minute), None);
    assert_eq!(started(&engine.tick(minute)), ["b"], "the place is given back");
    // A blackout binds who asks, too, unless they say otherwise; then it does not stop the run.
    engine.ended("c", minute, Ending::Over, minute);
    let dark = at("2026-03-01T01:30:00Z");
    let free = at("2026-03-01T02:00:00Z");
    assert_eq!(engine.enter("c", dark, Vec::new(), false), Err(NoPlace::Blackout(free)));
    engine.enter("c", dark, Vec::new(), true).unwrap();
    assert!(!engine.tick(dark).iter().any(|decision| matches!(decision, Decision::Stop { .. })));
}
