//! Clocks that leap, step back, or are wrong for a while: never a slot twice, never one lost.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const DAY: TimeDelta = TimeDelta::days(1);

/// What was started, and how often.
fn sum(parts: Vec<BTreeMap<(String, Slot), usize>>) -> BTreeMap<(String, Slot), usize> {
    let mut all = BTreeMap::new();
    for (slot, times) in parts.into_iter().flatten() {
        *all.entry(slot).or_insert(0) += times;
    }
    all
}

#[test]
fn a_glitch_of_a_day_loses_and_doubles_nothing() {
    let begin = at("2026-03-01T00:00:00Z");
    for catch_up in [CatchUp::Latest, CatchUp::All, CatchUp::Skip] {
        for cron in ["*/5 * * * *", "30 2 * * *"] {
            for glitch in [DAY, -DAY] {
                for length in [1, 7_200] {
                    let mut engine = engine(vec![spec("job", cron, Tz::UTC, catch_up)], begin);
                    let wrong = begin + TimeDelta::hours(2);
                    let second = TimeDelta::seconds(20);
                    let parts = vec![
                        ticks(&mut engine, begin, wrong, second),
                        ticks(&mut engine, wrong + glitch, wrong + glitch + TimeDelta::seconds(length), second),
                        ticks(&mut engine, wrong + second, begin + DAY * 3, second),
                    ];
                    let started = sum(parts);
                    let what = format!("{catch_up:?} {cron} {glitch} for {length} s");
                    assert!(started.values().all(|times| *times == 1), "{what}: a slot ran twice");
                    for slot in timetable(cron, Tz::UTC).after(begin).take_while(|slot| *slot <= begin + DAY * 3) {
                        assert!(started.contains_key(&("job".to_owned(), slot)), "{what}: {slot} is lost");
                    }
                }
            }
        }
    }
}

#[test]
fn a_clock_that_was_wrong_at_the_start_is_put_right() {
    let spec = || spec("job", "0 * * * *", Tz::UTC, CatchUp::Latest);
    let memory = |cursor: &str, started: &[&str]| {
        Some(Known {
            fingerprint: spec().timetable.fingerprint(),
            since: at("2026-01-01T00:00:00Z"),
            cursor: at(cursor),
            started: started.iter().map(|slot| at(slot)).collect(),
        })
    };
    let load = |known, now: &str| {
        let mut engine = Engine::new(limits(4, 1));
        engine.set_jobs(limits(4, 1), vec![(spec(), known)], at(now));
        engine
    };
    let slots =
        |started: BTreeMap<(String, Slot), usize>| started.into_keys().map(|(_, slot)| slot).collect::<Vec<_>>();
    // Started a day ahead, put right after a minute: the hours of today come in their turn.
    let mut engine = load(memory("2026-03-01T10:00:00Z", &[]), "2026-03-02T10:30:00Z");
    assert_eq!(tick(&mut engine, at("2026-03-02T10:30:00Z")).len(), 1);
    let today = ticks(&mut engine, at("2026-03-01T10:31:00Z"), at("2026-03-01T12:00:00Z"), TimeDelta::seconds(10));
    assert_eq!(slots(today), [at("2026-03-01T11:00:00Z"), at("2026-03-01T12:00:00Z")]);
    // The cursor was left a day ahead by a clock that was wrong; a slot of that time was started and is not again.
    let ran = ["2026-03-01T10:00:00Z", "2026-03-01T13:00:00Z"];
    let mut engine = load(memory("2026-03-02T10:30:00Z", &ran), "2026-03-01T11:30:00Z");
    let today = ticks(&mut engine, at("2026-03-01T11:30:00Z"), at("2026-03-01T14:00:00Z"), TimeDelta::seconds(10));
    assert_eq!(slots(today), ["2026-03-01T11:00:00Z", "2026-03-01T12:00:00Z", "2026-03-01T14:00:00Z"].map(at));
    // A machine that comes up in 2020 runs nothing, and in 2026 nothing for the years between.
    let mut engine = load(memory("2026-03-01T10:00:00Z", &["2026-03-01T10:00:00Z"]), "2020-01-01T00:00:00Z");
    assert!(
        ticks(&mut engine, at("2020-01-01T00:00:00Z"), at("2020-01-01T05:00:00Z"), TimeDelta::seconds(10)).is_empty()
    );
    let right = ticks(&mut engine, at("2026-03-01T10:40:00Z"), at("2026-03-01T11:00:00Z"), TimeDelta::seconds(10));
    assert_eq!(slots(right), [at("2026-03-01T11:00:00Z")]);
    // A job that is new while the clock is a day ahead begins when it is put right.
    let mut engine = load(None, "2026-03-02T10:30:00Z");
    engine.tick(at("2026-03-02T10:30:00Z"));
    let today = ticks(&mut engine, at("2026-03-01T10:31:00Z"), at("2026-03-01T11:00:00Z"), TimeDelta::seconds(10));
    assert_eq!(slots(today), [at("2026-03-01T11:00:00Z")]);
}

#[test]
fn a_slot_that_waits_while_the_clock_is_set_is_not_lost() {
    let begin = at("2026-03-01T00:00:00Z");
    for wrong in [-DAY, DAY, -TimeDelta::minutes(7)] {
        let mut engine = engine(vec![spec("job", "*/5 * * * *", Tz::UTC, CatchUp::All)], begin);
        ticks(&mut engine, begin, begin + TimeDelta::seconds(299), TimeDelta::seconds(1));
        let slot = begin + TimeDelta::minutes(5);
        assert!(matches!(engine.tick(slot)[..], [Decision::Start { .. }]));
        // The job was busy elsewhere; before it is tried again, the clock is wrong for a while, and nothing is begun.
        engine.ended("job", slot, Ending::Busy, slot);
        engine.set_held(true);
        for second in 0..10 {
            assert_eq!(engine.tick(slot + wrong + TimeDelta::seconds(second)), []);
        }
        engine.set_held(false);
        let end = begin + TimeDelta::minutes(30);
        let started = ticks(&mut engine, slot + TimeDelta::seconds(11), end, TimeDelta::seconds(1));
        let slots: Vec<Slot> = started.keys().map(|(_, slot)| *slot).collect();
        assert_eq!(slots, (1..=6).map(|five| begin + TimeDelta::minutes(5 * five)).collect::<Vec<_>>(), "{wrong}");
        assert!(started.values().all(|times| *times == 1), "{wrong}");
    }
}

/// Milliseconds between two ticks: mostly a tick, at times a pause, a step back, or a leap of up to a day.
fn stride() -> impl Strategy<Value = i64> {
    prop_oneof![
        90 => 0..60_000_i64,
        5 => -4_000..0_i64,
        3 => -3_600_000..7_200_000_i64,
        2 => prop_oneof![Just(86_400_000_i64), Just(-86_400_000), -90_000_000..90_000_000_i64],
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, max_shrink_iters: 100, ..ProptestConfig::default() })]

    #[test]
    fn five_thousand_random_ticks(strides in prop::collection::vec(stride(), 5_000), every in 1_u32..30) {
        let begin = at("2026-03-27T00:00:00Z");
        let cron = format!("*/{every} * * * *");
        let zone = Tz::Europe__Helsinki;
        let names = ["latest", "all"];
        let specs = vec![spec("latest", &cron, zone, CatchUp::Latest), spec("all", &cron, zone, CatchUp::All)];
        let table = timetable(&cron, zone);
        let mut engine = engine(specs, begin);
        let mut started: BTreeMap<&str, BTreeSet<Slot>> = names.iter().map(|name| (*name, BTreeSet::new())).collect();
        let mut look = |engine: &mut Engine, now: DateTime<Utc>| -> Result<usize, TestCaseError> {
            let slots = tick(engine, now);
            let number = slots.len();
            for (job, slot) in slots {
                prop_assert!(started.get_mut(job.as_str()).unwrap().insert(slot), "{job} ran {slot} twice");
                prop_assert!(slot <= now && slot > begin, "{job} ran {slot} at {now}");
            }
            // A clock that goes back by less than five seconds goes on as if it had not.
            let latest = [now, now + TimeDelta::seconds(5)].map(|now| table.latest(now).filter(|slot| *slot > begin));
            let ran = |slot: Option<Slot>| slot.is_none_or(|slot| started["latest"].contains(&slot));
            prop_assert!(latest.into_iter().any(ran), "{latest:?} did not run by {now}");
            Ok(number)
        };
        // A clock that wanders for more than a week is no longer one that is wrong for a while.
        let mut now = begin;
        for stride in strides {
            now = (now + TimeDelta::milliseconds(stride)).clamp(begin, begin + DAY * 7);
            look(&mut engine, now)?;
        }
        while look(&mut engine, now)? > 0 {}
        let expected: BTreeSet<Slot> = table.after(begin).take_while(|slot| *slot <= now).collect();
        let missing: Vec<&Slot> = expected.difference(&started["all"]).collect();
        prop_assert!(missing.is_empty(), "lost: {missing:?}");
    }
}
