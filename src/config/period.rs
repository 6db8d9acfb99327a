//! How long something may be kept: `"13 months"`, `"90 days"`, `"forever"`.
//!
//! Counting is calendar-aware in the file's zone: a month is a month. 31 March minus one month is the last day of
//! February; in general a day that the shorter month does not have becomes its last day. A civil time that daylight
//! saving skips or repeats becomes the earlier of the two instants it may mean, so that in doubt a row is kept longer.

use std::fmt;

use chrono::{DateTime, Days, LocalResult, Months, NaiveDateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

/// A length of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Period {
    text: String,
    months: u32,
    days: u32,
    hours: u32,
}

/// How long rows may be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keep {
    /// For this long.
    For(Period),
    /// For ever: the word `forever`.
    Forever,
}

/// Why a text is no period.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PeriodError(String);

const WRITE: &str = "write a number and a unit, as in \"13 months\", \"90 days\" or \"1 year 6 months\"";

impl Period {
    /// Reads a period.
    ///
    /// # Errors
    /// When it is blank, zero, negative, without a unit, finer than hours, or longer than 1 000 years.
    pub fn parse(text: &str) -> Result<Self, PeriodError> {
        let refuse = |why: &str| Err(PeriodError(format!("{why}; {WRITE}")));
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return refuse("this says no length of time");
        }
        if trimmed.chars().all(|c| c.is_ascii_digit() || c == '.' || c == '_') {
            return refuse("this number has no unit");
        }
        if trimmed.contains('-') || trimmed.ends_with("ago") {
            return refuse("a length of time is not negative");
        }
        if has_bare_minutes(trimmed) {
            return refuse("`m` may mean minutes or months");
        }
        let Ok(span) = trimmed.parse::<jiff::Span>() else {
            return refuse("this is no length of time");
        };
        if span.get_minutes() != 0
            || span.get_seconds() != 0
            || span.get_milliseconds() != 0
            || span.get_microseconds() != 0
            || span.get_nanoseconds() != 0
        {
            return refuse("nothing is kept by minutes or seconds, nor by fractions");
        }
        if span.is_negative() {
            return refuse("a length of time is not negative");
        }
        let months = i64::from(span.get_years()) * 12 + i64::from(span.get_months());
        let days = i64::from(span.get_weeks()) * 7 + i64::from(span.get_days());
        let hours = i64::from(span.get_hours());
        if months == 0 && days == 0 && hours == 0 {
            return refuse("zero would keep nothing");
        }
        if months > 12_000 || days > 366_000 || hours > 8_784_000 {
            return refuse("this is more than 1000 years; write \"forever\"");
        }
        let unsigned = |number: i64| u32::try_from(number).unwrap_or_default();
        Ok(Self { text: text.to_owned(), months: unsigned(months), days: unsigned(days), hours: unsigned(hours) })
    }

    /// The instant that lies this long before `now`, by the calendar of `zone`. `None` when there is none.
    pub fn before(&self, now: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
        let civil = now.with_timezone(&zone).naive_local();
        let civil =
            civil.checked_sub_months(Months::new(self.months))?.checked_sub_days(Days::new(u64::from(self.days)))?;
        let at = if self.months == 0 && self.days == 0 { now } else { earliest(civil, zone)? };
        at.checked_sub_signed(TimeDelta::hours(i64::from(self.hours)))
    }

    /// The instant that lies this long after `at`, by the calendar of `zone`: about when a row of that time expires. For
    /// people to read, never for a cutoff.
    pub fn after(&self, at: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
        let civil = at.with_timezone(&zone).naive_local();
        let civil =
            civil.checked_add_months(Months::new(self.months))?.checked_add_days(Days::new(u64::from(self.days)))?;
        let at = if self.months == 0 && self.days == 0 { at } else { earliest(civil, zone)? };
        at.checked_add_signed(TimeDelta::hours(i64::from(self.hours)))
    }

    /// Roughly how long it is: a month counts 30.44 days. For limits and waits, never for a cutoff.
    pub fn approximate(&self) -> TimeDelta {
        TimeDelta::seconds(i64::from(self.months) * 2_629_746)
            + TimeDelta::days(i64::from(self.days))
            + TimeDelta::hours(i64::from(self.hours))
    }

    /// Whether it is at least as long as another one, whatever the instant that both are counted from. In doubt it is not.
    pub fn never_shorter_than(&self, other: &Self) -> bool {
        let part_by_part = self.months >= other.months && self.days >= other.days && self.hours >= other.hours;
        part_by_part || self.hours_at_least() >= other.hours_at_most()
    }

    /// A year has 365 days, a month 28 to 31; a change of the clock takes an hour or two of a day.
    fn hours_at_least(&self) -> u64 {
        const DAYS: [u64; 12] = [0, 28, 59, 89, 120, 150, 181, 212, 242, 273, 303, 334];
        (Self::days_of(self.months, 365, DAYS) + u64::from(self.days)) * 24 + u64::from(self.hours)
    }

    fn hours_at_most(&self) -> u64 {
        const DAYS: [u64; 12] = [0, 31, 62, 92, 123, 153, 184, 215, 245, 276, 306, 337];
        (Self::days_of(self.months, 366, DAYS) + u64::from(self.days)) * 24 + u64::from(self.hours) + 3
    }

    fn days_of(months: u32, year: u64, rest: [u64; 12]) -> u64 {
        u64::from(months / 12) * year + rest.get(months as usize % 12).copied().unwrap_or_default()
    }
}

/// `13m`, `1 m`: jiff would take it for minutes.
fn has_bare_minutes(text: &str) -> bool {
    let iso = text.starts_with(['P', 'p']);
    let lower = text.to_ascii_lowercase();
    let words: Vec<&str> = lower.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| !word.is_empty()).collect();
    !iso && words.contains(&"m")
}

/// The earlier of the instants that a civil time may mean.
fn earliest(civil: NaiveDateTime, zone: Tz) -> Option<DateTime<Utc>> {
    match zone.from_local_datetime(&civil) {
        LocalResult::Single(at) => Some(at.to_utc()),
        LocalResult::Ambiguous(first, second) => Some(first.to_utc().min(second.to_utc())),
        // Skipped: with the offset after the gap, which is the larger, it lies before the gap.
        LocalResult::None => {
            let after = (1..=48).find_map(|half_hours| {
                zone.from_local_datetime(&(civil + TimeDelta::minutes(30 * half_hours)))
                    .earliest()
                    .map(|at| (at, half_hours))
            })?;
            Some((after.0 - TimeDelta::minutes(30 * after.1)).to_utc())
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text.trim())
    }
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::For(period) => period.fmt(f),
            Self::Forever => f.write_str("forever"),
        }
    }
}

impl Keep {
    /// Whether nothing goes earlier under it than under another one. In doubt something may.
    pub fn never_shorter_than(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Forever, _) => true,
            (Self::For(_), Self::Forever) => false,
            (Self::For(new), Self::For(old)) => new.never_shorter_than(old),
        }
    }

    /// Reads `"forever"` or a period.
    ///
    /// # Errors
    /// See [`Period::parse`].
    pub fn parse(text: &str) -> Result<Self, PeriodError> {
        if text == "forever" { Ok(Self::Forever) } else { Period::parse(text).map(Self::For) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn before(period: &str, now: &str, zone: Tz) -> String {
        Period::parse(period).unwrap().before(now.parse().unwrap(), zone).unwrap().to_rfc3339()
    }

    #[test]
    fn months_are_months() {
        let utc = chrono_tz::UTC;
        assert_eq!(before("1 month", "2026-03-31T12:00:00Z", utc), "2026-02-28T12:00:00+00:00");
        assert_eq!(before("1 month", "2024-03-31T12:00:00Z", utc), "2024-02-29T12:00:00+00:00");
        assert_eq!(before("1 month", "2026-01-31T12:00:00Z", utc), "2025-12-31T12:00:00+00:00");
        assert_eq!(before("13 months", "2026-11-24T02:00:00Z", utc), "2025-10-24T02:00:00+00:00");
        assert_eq!(before("1y 6mo", "2026-07-15T00:00:00Z", utc), "2025-01-15T00:00:00+00:00");
        assert_eq!(before("P13M", "2026-11-24T02:00:00Z", utc), "2025-10-24T02:00:00+00:00");
        assert_eq!(before("36 hours", "2026-11-24T02:00:00Z", utc), "2026-11-22T14:00:00+00:00");
    }

    #[test]
    fn lengths_are_compared_in_doubt_against_the_new_one() {
        let never_shorter =
            |new: &str, old: &str| Keep::parse(new).unwrap().never_shorter_than(&Keep::parse(old).unwrap());
        for (new, old) in [
            ("13 months", "13 months"),
            ("14 months", "13 months"),
            ("1 year 1 month", "13 months"),
            ("forever", "9 years"),
            ("13 months", "90 days"),
            ("400 days", "13 months"),
            ("1 year", "12 months"),
            ("8 days", "1 week"),
            ("49 hours", "1 day"),
        ] {
            assert!(never_shorter(new, old), "{new} {old}");
        }
        for (new, old) in [
            ("12 months", "13 months"),
            ("395 days", "13 months"),
            ("365 days", "1 year"),
            ("30 days", "1 month"),
            ("9 years", "forever"),
            ("1 month", "30 days"),
            ("24 hours", "1 day"),
            ("89 days", "90 days"),
            ("12 months 390 days", "25 months 1 hour"),
        ] {
            assert!(!never_shorter(new, old), "{new} {old}");
        }
    }

    #[test]
    fn daylight_saving_keeps_longer() {
        let helsinki = chrono_tz::Europe::Helsinki;
        // 29 March 2026, 03:30 does not exist; the earlier reading is 02:30 winter time.
        assert_eq!(before("1 day", "2026-03-30T00:30:00Z", helsinki), "2026-03-29T00:30:00+00:00");
        // 26 October 2025, 03:30 came twice; the first pass is meant.
        assert_eq!(before("1 day", "2025-10-27T01:30:00Z", helsinki), "2025-10-26T00:30:00+00:00");
        // A day is a day of the calendar, also when it has 25 hours.
        assert_eq!(before("1 day", "2025-10-26T12:00:00Z", helsinki), "2025-10-25T11:00:00+00:00");
    }

    const TYPOS: &[&str] = &[
        "",
        " ",
        "\t",
        "0",
        "30",
        "1.5",
        "0 days",
        "0d",
        "-3 days",
        "- 3 days",
        "3 days ago",
        "13m",
        "13 m",
        "1y 6m",
        "m",
        "days",
        "months",
        "1 dya",
        "90 dyas",
        "90days90",
        "ninety days",
        "1,5 days",
        "1.5 months",
        "1.5d",
        "10 minutes",
        "10 min",
        "10 s",
        "5 seconds",
        "1h 30m",
        "P0D",
        "PT5M",
        "P",
        "PT",
        "P1.5D",
        "13 months, ",
        "forever ",
        "Forever",
        "FOREVER",
        "never",
        "infinite",
        "∞",
        "null",
        "none",
        "9999999999 days",
        "99999999999999999999 years",
        "1001 years",
        "13 monts",
        "13months!",
        "13/months",
        "1 fortnight",
        "1 quarter",
        "NaN days",
        "+ days",
        "0x10 days",
        "1e3 days",
        "12 MM",
        "1 month 0",
        "month 1",
        "1 1 day",
        "d90",
        "90 D A Y S",
        "١٣ months",
    ];

    #[test]
    fn typos_are_refused() {
        let mut refused = 0;
        for text in TYPOS {
            assert!(Keep::parse(text).is_err(), "{text:?} was taken");
            refused += 1;
        }
        for number in ["0", "00", "-1", "-90", "1.5", "1e9", "", " ", "x"] {
            for unit in
                ["days", "months", "years", "weeks", "hours", "d", "mo", "y", "w", "h", "m", "min", "s", "", "?"]
            {
                let text = format!("{number}{unit}");
                let Ok(keep) = Keep::parse(&text) else {
                    refused += 1;
                    continue;
                };
                // Fractions of hours are the only ones that the parser knows, and they are minutes.
                panic!("{text:?} was taken as {keep:?}");
            }
        }
        assert!(refused > 150);
    }

    #[test]
    fn no_text_panics_and_no_cutoff_lies_ahead() {
        let now: DateTime<Utc> = "2026-11-24T02:00:00Z".parse().unwrap();
        let pieces = ["1", "9", "0", "d", "mo", "y", " ", "-", "P", "T", "M", "h", "forever", ".", "é", "99999"];
        let mut state = 11_u64;
        for _ in 0..20_000 {
            let mut text = String::new();
            for _ in 0..5 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                text.push_str(pieces[(state >> 33) as usize % pieces.len()]);
            }
            if let Ok(period) = Period::parse(&text)
                && let Some(at) = period.before(now, chrono_tz::Pacific::Apia)
            {
                assert!(at < now, "{text}");
            }
        }
    }
}
