//! Times in which a job does not run: `"Fri 18:00-Mon 06:00"` each week, or `"2026-12-20/2027-01-03"`, both days included.

use std::fmt;

use chrono::{Datelike as _, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Weekday};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

/// One blackout, by the civil clock of the job's zone.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String", extend("examples" = ["Fri 18:00-Mon 06:00", "2026-12-20/2027-01-03"]))]
pub struct Blackout {
    text: String,
    when: When,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// Minutes since Monday 00:00; the end may lie in the next week.
    Weekly { from: u32, length: u32 },
    /// From the first day's midnight up to, but without, this day's.
    Days { from: NaiveDate, until: NaiveDate },
}

const WRITE: &str =
    "write \"Fri 18:00-Mon 06:00\" for each week, or \"2026-12-20/2027-01-03\" for days, the last one included";
const WEEK: u32 = 7 * 24 * 60;

impl Blackout {
    /// Reads a blackout.
    ///
    /// # Errors
    /// What to write instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let trimmed = text.trim();
        let when = match trimmed.split_once('/') {
            Some((from, to)) => days(from, to)?,
            None => weekly(trimmed)?,
        };
        Ok(Self { text: trimmed.to_owned(), when })
    }

    /// Whether it comes each week.
    pub fn is_weekly(&self) -> bool {
        matches!(self.when, When::Weekly { .. })
    }

    /// The end of the blackout that holds at this civil time; `None` when none does.
    pub fn end(&self, at: NaiveDateTime) -> Option<NaiveDateTime> {
        match self.when {
            When::Days { from, until } => {
                (from <= at.date() && at.date() < until).then(|| until.and_time(NaiveTime::default()))
            }
            When::Weekly { from, length } => {
                let monday = at.date() - TimeDelta::days(i64::from(at.weekday().num_days_from_monday()));
                let monday = monday.and_time(NaiveTime::default());
                // It may have begun in the week before.
                [WEEK, 0].into_iter().find_map(|earlier| {
                    let begin = monday + TimeDelta::minutes(i64::from(from) - i64::from(earlier));
                    let end = begin + TimeDelta::minutes(i64::from(length));
                    (begin <= at && at < end).then_some(end)
                })
            }
        }
    }
}

/// When a civil time is free of blackouts again, those that follow without a gap included; `None` when it is free.
///
/// # Errors
/// Inside, [`Endless`]: the blackouts leave no time at all.
pub fn end_of_all(blackouts: &[Blackout], at: NaiveDateTime) -> Option<Result<NaiveDateTime, Endless>> {
    let mut reached = at;
    // Each round passes at least one of them. Each range of days is passed once, and between two such ranges each weekly
    // one at most once, unless they leave no time at all.
    let rounds = (blackouts.len() + 1) * (blackouts.len() + 1);
    for round in 0..=rounds {
        let Some(end) = blackouts.iter().filter_map(|blackout| blackout.end(reached)).max() else {
            return (round > 0).then_some(Ok(reached));
        };
        reached = end;
    }
    Some(Err(Endless))
}

/// Blackouts that leave no time at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endless;

fn days(from: &str, to: &str) -> Result<When, String> {
    let day = |text: &str| {
        let text = text.trim();
        text.parse::<NaiveDate>().map_err(|_| format!("`{text}` is no day; {WRITE}"))
    };
    let (from, to) = (day(from)?, day(to)?);
    match to.succ_opt() {
        Some(until) if from <= to => Ok(When::Days { from, until }),
        _ => Err(format!("the last day comes before the first; {WRITE}")),
    }
}

fn weekly(text: &str) -> Result<When, String> {
    let minute = |text: &str| {
        let (day, time) = text.trim().split_once(char::is_whitespace).ok_or(WRITE)?;
        let day: Weekday = day.parse().map_err(|_| format!("`{day}` is no weekday; {WRITE}"))?;
        let time = time.trim();
        let clock: Vec<Option<u32>> = time.split(':').map(|part| part.parse().ok()).collect();
        match clock.as_slice() {
            [Some(hour @ 0..24), Some(minute @ 0..60)] => Ok(day.num_days_from_monday() * 1440 + hour * 60 + minute),
            [Some(24), Some(0)] => Ok((day.num_days_from_monday() + 1) * 1440),
            _ => Err(format!("`{time}` is no time of day; {WRITE}")),
        }
    };
    let (from, to) = text.split_once('-').ok_or(WRITE)?;
    let (from, to) = (minute(from)?, minute(to)?);
    match (to + WEEK - from) % WEEK {
        0 => Err("this never begins, or never ends".to_owned()),
        length => Ok(When::Weekly { from, length }),
    }
}

impl fmt::Display for Blackout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Blackout {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        super::visitors::written(deserializer, WRITE, Self::parse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> NaiveDateTime {
        text.parse().unwrap()
    }

    #[test]
    fn weeks_and_days() {
        let weekend = Blackout::parse("Fri 18:00-Mon 06:00").unwrap();
        // 2026-03-06 is a Friday.
        assert_eq!(weekend.end(at("2026-03-06T17:59:59")), None);
        for inside in ["2026-03-06T18:00:00", "2026-03-07T12:00:00", "2026-03-09T05:59:59"] {
            assert_eq!(weekend.end(at(inside)), Some(at("2026-03-09T06:00:00")), "{inside}");
        }
        assert_eq!(weekend.end(at("2026-03-09T06:00:00")), None);
        let lunch = Blackout::parse("wed 12:00-wednesday 13:00").unwrap();
        assert_eq!(lunch.end(at("2026-03-04T12:30:00")), Some(at("2026-03-04T13:00:00")));
        assert_eq!(lunch.end(at("2026-03-05T12:30:00")), None);
        let yule = Blackout::parse("2026-12-20/2027-01-03").unwrap();
        assert_eq!(yule.end(at("2026-12-19T23:59:59")), None);
        assert_eq!(yule.end(at("2027-01-03T23:59:59")), Some(at("2027-01-04T00:00:00")));
        assert_eq!(yule.end(at("2027-01-04T00:00:00")), None);
    }

    #[test]
    fn one_leads_into_the_next() {
        let both = ["Fri 18:00-Sat 12:00", "Sat 10:00-Sun 24:00"].map(|text| Blackout::parse(text).unwrap());
        assert_eq!(end_of_all(&both, at("2026-03-06T20:00:00")), Some(Ok(at("2026-03-09T00:00:00"))));
        assert_eq!(end_of_all(&both, at("2026-03-09T00:00:00")), None);
        let always = ["Mon 00:00-Fri 00:00", "Thu 00:00-Mon 00:00"].map(|text| Blackout::parse(text).unwrap());
        assert_eq!(end_of_all(&always, at("2026-03-06T20:00:00")), Some(Err(Endless)));
    }

    #[test]
    fn mistakes_are_refused() {
        let bad = [
            "",
            "Fri",
            "Fri-Mon",
            "Fri 18:00",
            "Fri 18:00-Mon",
            "Fri 25:00-Mon 06:00",
            "Fr 18:00-Mon 06:00",
            "Mon 06:00-Mon 06:00",
            "2026-12-20",
            "2026-12-20/2026-12-19",
            "2026-13-01/2026-14-01",
            "18:00-06:00",
        ];
        for text in bad {
            assert!(Blackout::parse(text).is_err(), "{text:?} was taken");
        }
    }
}
