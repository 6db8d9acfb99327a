//! Periods of the calendar: where each begins, in the zone of the file, whatever daylight saving does.
//!
//! **Invariant.** The periods adjoin and do not overlap: the end of one is the beginning of the next. A day has 23, 24 or
//! 25 hours; an hour in which the clocks are changed is cut at the change, so that the hour that comes twice is two
//! periods.

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, Offset, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::Tz;
use schemars::JsonSchema;
use serde::Deserialize;

/// How long a period is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Bucket {
    /// An hour of the clock.
    Hour,
    /// A day.
    Day,
    /// A week, from Monday.
    Week,
    /// A month.
    Month,
}

impl Bucket {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// How a period is named where the file does not say.
    pub fn format(self) -> &'static str {
        match self {
            Self::Hour => "%Y-%m-%d %H:00%:z",
            Self::Day => "%Y-%m-%d",
            Self::Week => "%G-W%V",
            Self::Month => "%Y-%m",
        }
    }
}

/// Periods in a zone.
#[derive(Clone, Copy, Debug)]
pub struct Calendar {
    /// How long they are.
    pub bucket: Bucket,
    /// Whose days they are.
    pub zone: Tz,
}

impl Calendar {
    /// The beginning of the period that an instant lies in.
    pub fn start(&self, at: DateTime<Utc>) -> DateTime<Utc> {
        if self.bucket == Bucket::Hour {
            return self.hour_start(at);
        }
        let date = self.first_day(at.with_timezone(&self.zone).date_naive());
        let start = self.midnight(date);
        // Where a change of the clocks reaches over midnight, the instant may lie before the day that it is named after.
        if start <= at {
            start
        } else {
            self.midnight(self.first_day(date.checked_sub_days(Days::new(1)).unwrap_or(date)))
        }
    }

    /// The beginning of the period after the one that begins at `start`.
    pub fn next(&self, start: DateTime<Utc>) -> DateTime<Utc> {
        if self.bucket == Bucket::Hour {
            let local = start.with_timezone(&self.zone);
            let rest = 3600 - i64::from(local.minute() * 60 + local.second());
            let whole = start + TimeDelta::seconds(rest.max(1));
            return self.change_between(start, whole).unwrap_or(whole);
        }
        let mut date = self.first_day(start.with_timezone(&self.zone).date_naive());
        // A zone may leave a day out (Samoa, 30 December 2011).
        for _ in 0..4 {
            date = match self.bucket {
                Bucket::Hour | Bucket::Day => date.checked_add_days(Days::new(1)),
                Bucket::Week => date.checked_add_days(Days::new(7)),
                Bucket::Month => date.checked_add_months(Months::new(1)),
            }
            .unwrap_or(NaiveDate::MAX);
            let next = self.midnight(date);
            if next > start {
                return next;
            }
        }
        start + TimeDelta::days(1)
    }

    /// The name of the period that begins at `start`.
    pub fn label(&self, start: DateTime<Utc>, format: &str) -> String {
        start.with_timezone(&self.zone).format(format).to_string()
    }

    fn first_day(&self, date: NaiveDate) -> NaiveDate {
        let first = match self.bucket {
            Bucket::Hour | Bucket::Day => Some(date),
            Bucket::Week => date.checked_sub_days(Days::new(u64::from(date.weekday().num_days_from_monday()))),
            Bucket::Month => date.with_day(1),
        };
        first.unwrap_or(date)
    }

    /// The first instant of a day.
    fn midnight(&self, date: NaiveDate) -> DateTime<Utc> {
        let civil = date.and_time(NaiveTime::MIN);
        if let Some(at) = self.zone.from_local_datetime(&civil).earliest() {
            return at.to_utc();
        }
        // The day begins with the change of the clocks: look for the first second whose civil time is not before it.
        let (mut before, mut after) = (civil.and_utc() - TimeDelta::hours(30), civil.and_utc() + TimeDelta::hours(30));
        while after - before > TimeDelta::seconds(1) {
            let middle = DateTime::from_timestamp(i64::midpoint(before.timestamp(), after.timestamp()), 0);
            let Some(middle) = middle else { break };
            if middle.with_timezone(&self.zone).naive_local() < civil { before = middle } else { after = middle }
        }
        after
    }

    fn hour_start(&self, at: DateTime<Utc>) -> DateTime<Utc> {
        let local = at.with_timezone(&self.zone);
        let into = i64::from(local.minute() * 60 + local.second());
        let whole = DateTime::from_timestamp(at.timestamp() - into, 0).unwrap_or(at);
        self.change_between(whole, at).unwrap_or(whole)
    }

    /// The change of the clocks after `from`, up to and with `to`, if there is one.
    fn change_between(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let offset = |at: DateTime<Utc>| at.with_timezone(&self.zone).offset().fix().local_minus_utc();
        let last = DateTime::from_timestamp(to.timestamp(), 0)?;
        if offset(from) == offset(last) {
            return None;
        }
        let (mut before, mut after) = (from, last);
        while after - before > TimeDelta::seconds(1) {
            let middle = DateTime::from_timestamp(i64::midpoint(before.timestamp(), after.timestamp()), 0)?;
            if offset(middle) == offset(from) { before = middle } else { after = middle }
        }
        Some(after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn calendar(bucket: Bucket, zone: Tz) -> Calendar {
        Calendar { bucket, zone }
    }

    #[test]
    fn days_follow_daylight_saving() {
        let days = calendar(Bucket::Day, chrono_tz::Europe::Helsinki);
        let start = days.start(at("2025-10-26T12:00:00Z"));
        assert_eq!(start, at("2025-10-25T21:00:00Z"));
        assert_eq!(days.next(start) - start, TimeDelta::hours(25));
        let start = days.start(at("2026-03-29T12:00:00Z"));
        assert_eq!(days.next(start) - start, TimeDelta::hours(23));
        assert_eq!(days.label(start, Bucket::Day.format()), "2026-03-29");
        // On 29 March 2026 Beirut had no midnight: the day began at one o'clock.
        let beirut = calendar(Bucket::Day, chrono_tz::Asia::Beirut);
        assert_eq!(beirut.start(at("2026-03-29T12:00:00Z")), at("2026-03-28T22:00:00Z"));
        // Samoa left a day out.
        let apia = calendar(Bucket::Day, chrono_tz::Pacific::Apia);
        let start = apia.start(at("2011-12-30T09:00:00Z"));
        assert_eq!(apia.label(start, "%F"), "2011-12-29");
        assert_eq!(apia.label(apia.next(start), "%F"), "2011-12-31");
    }

    #[test]
    fn an_hour_that_comes_twice_is_two_periods() {
        let hours = calendar(Bucket::Hour, chrono_tz::Europe::Helsinki);
        let first = hours.start(at("2025-10-26T00:30:00Z"));
        assert_eq!(hours.label(first, Bucket::Hour.format()), "2025-10-26 03:00+03:00");
        assert_eq!(hours.label(hours.next(first), Bucket::Hour.format()), "2025-10-26 03:00+02:00");
        // Lord Howe goes back by half an hour at two, so that half past one comes twice.
        let hours = calendar(Bucket::Hour, chrono_tz::Australia::Lord_Howe);
        let first = hours.start(at("2026-04-04T14:30:00Z"));
        assert_eq!(first, at("2026-04-04T14:00:00Z"));
        assert_eq!(hours.next(first), at("2026-04-04T15:00:00Z"));
        assert_eq!(hours.start(at("2026-04-04T15:10:00Z")), at("2026-04-04T15:00:00Z"));
        assert_eq!(hours.next(at("2026-04-04T15:00:00Z")), at("2026-04-04T15:30:00Z"));
        // India is half an hour off the full one.
        let hours = calendar(Bucket::Hour, chrono_tz::Asia::Kolkata);
        assert_eq!(hours.start(at("2026-04-04T15:10:00Z")), at("2026-04-04T14:30:00Z"));
    }

    #[test]
    fn weeks_and_months_begin_where_they_should() {
        let weeks = calendar(Bucket::Week, chrono_tz::UTC);
        let start = weeks.start(at("2027-01-03T23:59:59Z"));
        assert_eq!(
            (start, weeks.label(start, Bucket::Week.format()).as_str()),
            (at("2026-12-28T00:00:00Z"), "2026-W53")
        );
        let months = calendar(Bucket::Month, chrono_tz::America::Sao_Paulo);
        let start = months.start(at("2024-03-01T02:59:59Z"));
        assert_eq!((start, months.next(start)), (at("2024-02-01T03:00:00Z"), at("2024-03-01T03:00:00Z")));
    }

    #[test]
    fn periods_adjoin_in_every_zone() {
        for zone in chrono_tz::TZ_VARIANTS {
            for bucket in [Bucket::Hour, Bucket::Day, Bucket::Week, Bucket::Month] {
                let calendar = calendar(bucket, zone);
                let mut start = calendar.start(at("2011-12-20T05:17:00Z"));
                for _ in 0..40 {
                    let next = calendar.next(start);
                    assert!(next > start, "{zone} {bucket:?} {start}");
                    let last = next - TimeDelta::seconds(1);
                    assert_eq!(calendar.start(start), start, "{zone} {bucket:?}");
                    assert_eq!(calendar.start(last), start, "{zone} {bucket:?} {last}");
                    assert_eq!(calendar.start(next), next, "{zone} {bucket:?}");
                    start = next;
                }
            }
        }
    }
}
