//! A year in each zone, and every change of its clock until 2030.

use std::collections::BTreeSet;

use chrono::{Datelike as _, NaiveDate, Timelike as _};

use super::*;

#[test]
fn a_year_in_each_zone_has_one_run_each_day() {
    for zone in ZONES {
        let (begin, end) = (at("2026-01-01T12:00:00Z"), at("2027-01-01T12:00:00Z"));
        let times = [
            ("early", "30 2 * * *", &[(2, 30)][..]),
            ("midnight", "0 0 * * *", &[(0, 0)]),
            ("list", "30 2,14 * * *", &[(2, 30), (14, 30)]),
        ];
        let specs = times.map(|(name, cron, _)| spec(name, cron, zone, CatchUp::Latest)).to_vec();
        let started = ticks(&mut engine(specs, begin), begin, end, TimeDelta::seconds(421));
        let mut expected = BTreeMap::new();
        for (name, _, times) in times {
            for day in NaiveDate::from_ymd_opt(2026, 1, 1).unwrap().iter_days().take(367) {
                let slots =
                    times.iter().map(|(hour, minute)| first_shown(zone, day.and_hms_opt(*hour, *minute, 0).unwrap()));
                expected.extend(
                    slots.filter(|slot| begin < *slot && *slot <= end).map(|slot| ((name.to_owned(), slot), 1)),
                );
            }
        }
        assert_eq!(started, expected, "{zone}");
        assert_eq!(started.len(), 4 * 365, "{zone}");
    }
}

/// Schedules with the hours and minutes that they say.
fn schedules() -> Vec<(&'static str, Vec<u32>, Vec<u32>)> {
    let every = |step: usize, end: u32| (0..end).step_by(step).collect::<Vec<u32>>();
    vec![
        ("30 2 * * *", vec![2], vec![30]),
        ("0 0 * * *", vec![0], vec![0]),
        ("0 3 * * *", vec![3], vec![0]),
        ("30 1,2,3,14 * * *", vec![1, 2, 3, 14], vec![30]),
        ("15,45 0-4 * * *", vec![0, 1, 2, 3, 4], vec![15, 45]),
        ("*/10 2 * * *", vec![2], every(10, 60)),
        ("0 */2 * * *", every(2, 24), vec![0]),
        ("5 1-23 * * *", (1..24).collect(), vec![5]),
        ("20 * * * *", every(1, 24), vec![20]),
        ("*/7 * * * *", every(1, 24), every(7, 60)),
    ]
}

#[test]
fn every_change_of_the_clock_until_2030() {
    let mut changes = 0;
    for zone in ZONES {
        let offset = |at: DateTime<Utc>| at.with_timezone(&zone).offset().fix().local_minus_utc();
        let mut hour = at("2026-01-01T00:00:00Z");
        while hour.year() <= 2030 {
            let next = hour + TimeDelta::hours(1);
            if offset(hour) != offset(next) {
                changes += 1;
                around(zone, hour);
            }
            hour = next;
        }
    }
    assert!(changes > 90, "{changes} changes were found");
}

/// Holds the slots of two days around an instant against all minutes of them.
fn around(zone: Tz, change: DateTime<Utc>) {
    let (begin, end) = (change - TimeDelta::hours(24), change + TimeDelta::hours(24));
    for (cron, hours, minutes) in schedules() {
        let timetable = timetable(cron, zone);
        let mut expected = BTreeSet::new();
        if hours.len() == 24 {
            let instants = (0..48 * 60).map(|minute| begin + TimeDelta::minutes(minute + 1));
            expected.extend(instants.filter(|at| minutes.contains(&at.with_timezone(&zone).minute())));
        } else {
            let day = begin.with_timezone(&zone).date_naive().pred_opt().unwrap();
            for day in day.iter_days().take(5) {
                let times = hours.iter().flat_map(|hour| minutes.iter().map(move |minute| (*hour, *minute)));
                let slots = times.map(|(hour, minute)| first_shown(zone, day.and_hms_opt(hour, minute, 0).unwrap()));
                expected.extend(slots.filter(|slot| begin < *slot && *slot <= end));
            }
        }
        let slots: Vec<Slot> = timetable.after(begin).take_while(|slot| *slot <= end).collect();
        assert_eq!(slots, expected.iter().copied().collect::<Vec<_>>(), "{cron} in {zone} around {change}");
        // The last slot at or before an instant is the last of those that come before it.
        for minutes in (0..48 * 60).step_by(13) {
            let instant = begin + TimeDelta::minutes(minutes) + TimeDelta::milliseconds(400);
            if let Some(last) = expected.range(..=instant).next_back() {
                assert_eq!(timetable.latest(instant), Some(*last), "{cron} in {zone}, latest at {instant}");
            }
        }
    }
}

#[test]
fn a_day_that_a_zone_leaps_over_is_made_up_once() {
    // Samoa had no 30 December 2011.
    let slots: Vec<Slot> =
        timetable("30 2,14 * * *", Tz::Pacific__Apia).after(at("2011-12-29T20:00:00Z")).take(4).collect();
    let local: Vec<String> =
        slots.iter().map(|slot| slot.with_timezone(&Tz::Pacific__Apia).format("%d %H:%M").to_string()).collect();
    assert_eq!(local, ["29 14:30", "31 00:00", "31 02:30", "31 14:30"]);
}
