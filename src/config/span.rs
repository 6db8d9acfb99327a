//! A short length of time by the clock: `"10 minutes"`, `"3 hours"`, `"90 s"`. For waits and limits, never for a cutoff:
//! how long something is *kept* is a [`Period`](super::period::Period), counted by the calendar.

use std::fmt;

use chrono::TimeDelta;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

/// A length of time in whole seconds; never zero.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String", extend("examples" = ["10 minutes", "3 hours", "90 s"]))]
pub struct Span {
    text: String,
    seconds: u32,
}

const WRITE: &str = "write a number and a unit, as in \"10 minutes\", \"3 hours\" or \"90 s\"";
const A_YEAR: i64 = 366 * 86_400;

impl Span {
    /// Reads a length of time.
    ///
    /// # Errors
    /// When it is blank, zero, negative, without a unit, finer than a second, counted in months or longer than a year.
    pub fn parse(text: &str) -> Result<Self, String> {
        let refuse = |why: &str| Err(format!("{why}; {WRITE}"));
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
        let Ok(span) = trimmed.parse::<jiff::Span>() else {
            return refuse("this is no length of time");
        };
        if span.get_years() != 0 || span.get_months() != 0 {
            return refuse("months and years have no fixed length");
        }
        if span.get_milliseconds() != 0 || span.get_microseconds() != 0 || span.get_nanoseconds() != 0 {
            return refuse("nothing is timed finer than a second");
        }
        // jiff bounds each of them, so the sum fits.
        let days = i64::from(span.get_weeks()) * 7 + i64::from(span.get_days());
        let hours = days * 24 + i64::from(span.get_hours());
        let seconds = (hours * 60 + span.get_minutes()) * 60 + span.get_seconds();
        match u32::try_from(seconds) {
            Ok(0) => refuse("zero is no length of time"),
            Ok(counted) if seconds <= A_YEAR => Ok(Self { text: trimmed.to_owned(), seconds: counted }),
            _ => refuse("this is more than a year"),
        }
    }

    /// A length for a default.
    pub(super) fn of_seconds(seconds: u32) -> Self {
        Self { text: format!("{seconds} s"), seconds }
    }

    /// Its length.
    pub fn length(&self) -> TimeDelta {
        TimeDelta::seconds(i64::from(self.seconds))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        super::visitors::written(deserializer, WRITE, Self::parse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read() {
        let cases = [
            ("10 minutes", 600),
            ("10m", 600),
            ("90 s", 90),
            ("3 hours", 10_800),
            ("1h 30m", 5_400),
            ("1 day", 86_400),
            ("PT15M", 900),
            ("2 weeks", 1_209_600),
            ("366 days", 31_622_400),
        ];
        for (text, seconds) in cases {
            assert_eq!(Span::parse(text).map(|span| span.length().num_seconds()), Ok(seconds), "{text}");
        }
    }

    #[test]
    fn typos_are_refused() {
        let bad = [
            "",
            " ",
            "0",
            "30",
            "1.5",
            "0 s",
            "0 minutes",
            "-5 minutes",
            "5 minutes ago",
            "minutes",
            "5 minuts",
            "1 month",
            "1 year",
            "10 ms",
            "0.5 s",
            "367 days",
            "99999999 hours",
            "forever",
            "none",
            "٥ minutes",
        ];
        for text in bad {
            assert!(Span::parse(text).is_err(), "{text:?} was taken");
        }
    }
}
