//! What is shown of the slots that come is what the engine then does.

use super::*;
use crate::config::blackout::Blackout;

fn shown(spec: &Spec, after: &str, number: usize) -> Vec<(String, Vec<Touch>)> {
    let zone = spec.timetable.zone();
    let local = |at: DateTime<Utc>| at.with_timezone(&zone).format("%a %d %H:%M").to_string();
    spec.coming(at(after))
        .take(number)
        .map(|coming| (coming.start.map_or_else(|| format!("({})", local(coming.slot)), local), coming.touched))
        .collect()
}

#[test]
fn slots_that_the_clock_touches_say_so() {
    let helsinki = Tz::Europe__Helsinki;
    let plain = |text: &str| (text.to_owned(), vec![]);
    let with = |text: &str, touch| (text.to_owned(), vec![touch]);
    // 2026: 03:00 → 04:00 on 29 March, 04:00 → 03:00 on 25 October.
    let daily = spec("job", "30 3 * * *", helsinki, CatchUp::Latest);
    let spring = [plain("Sat 28 03:30"), with("Sun 29 04:00", Touch::Skipped), plain("Mon 30 03:30")];
    assert_eq!(shown(&daily, "2026-03-27T12:00:00Z", 3), spring);
    let autumn = [plain("Sat 24 03:30"), with("Sun 25 03:30", Touch::First), plain("Mon 26 03:30")];
    assert_eq!(shown(&daily, "2026-10-23T12:00:00Z", 3), autumn);
    // A slot at the very end of the gap makes up for nothing.
    let four = spec("job", "0 4 * * *", helsinki, CatchUp::Latest);
    assert_eq!(shown(&four, "2026-03-28T12:00:00Z", 1), [plain("Sun 29 04:00")]);
    let hourly = spec("job", "30 * * * *", helsinki, CatchUp::Latest);
    let twice = [with("Sun 25 03:30", Touch::First), with("Sun 25 03:30", Touch::Second), plain("Sun 25 04:30")];
    assert_eq!(shown(&hourly, "2026-10-25T00:00:00Z", 3), twice);
    assert_eq!(shown(&hourly, "2026-03-29T00:45:00Z", 1), [plain("Sun 29 04:30")]);
}

#[test]
fn blackouts_are_shown_as_they_will_be() {
    let weekend = vec![Blackout::parse("Fri 18:00-Mon 06:00").unwrap()];
    let cases = [
        (CatchUp::Latest, ["(Sat 07 03:00)", "(Sun 08 03:00)", "Mon 09 06:00", "Tue 10 03:00"]),
        (CatchUp::All, ["Mon 09 06:00", "Mon 09 06:00", "Mon 09 06:00", "Tue 10 03:00"]),
        (CatchUp::Skip, ["(Sat 07 03:00)", "(Sun 08 03:00)", "(Mon 09 03:00)", "Tue 10 03:00"]),
    ];
    for (catch_up, expected) in cases {
        let mut job = spec("job", "0 3 * * *", Tz::Europe__Helsinki, catch_up);
        job.blackouts.list.clone_from(&weekend);
        let shown = shown(&job, "2026-03-06T12:00:00Z", 4);
        assert_eq!(shown.iter().map(|(time, _)| time.as_str()).collect::<Vec<_>>(), expected, "{catch_up:?}");
        // The engine starts as many, and no earlier.
        let (begin, end) = (at("2026-03-06T12:00:00Z"), at("2026-03-10T02:00:00Z"));
        let coming: Vec<Slot> =
            job.coming(begin).take(4).filter(|coming| coming.start.is_some()).map(|coming| coming.slot).collect();
        let started = ticks(&mut engine(vec![job], begin), begin, end, TimeDelta::seconds(30));
        assert_eq!(started.into_keys().map(|(_, slot)| slot).collect::<Vec<_>>(), coming, "{catch_up:?}");
    }
}
