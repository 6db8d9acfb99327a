//! Times as a report writes them: in the configured zone, RFC 3339.

use std::borrow::Cow;
use std::fmt::Write as _;

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, Offset, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::Tz;

use super::model::ColumnKind;
use crate::graph::{Age, AgeKind, Graph, Node};
use crate::store::Backend;
use crate::store::catalog::{Column, TypeClass};

/// What is known of the times of one entry.
pub(super) struct Times {
    zone: Tz,
    /// The zone in which times without one were written; `None`: not known.
    written: Option<Tz>,
    /// SQLite has no type for times: there a text of their very form is one, in an entry that ages by such a text.
    text: bool,
    /// What ages a row.
    age: Option<Age>,
}

impl Times {
    pub(super) fn of(graph: &Graph, node: &Node, zone: Tz) -> Self {
        let kind = kind_of_age(graph, node);
        let written = match kind {
            Some(AgeKind::Naive(zone) | AgeKind::Date(zone) | AgeKind::Text(_, zone)) => zone,
            _ => None,
        };
        let text = node.backend == Backend::Sqlite && matches!(kind, Some(AgeKind::Text(..)));
        Self { zone, written, text, age: node.age.clone() }
    }

    /// What the values of a column are.
    pub(super) fn kind(&self, column: &Column) -> ColumnKind {
        match column.class {
            _ if self.is_age(column) => ColumnKind::Time,
            TypeClass::Integer { .. } | TypeClass::Real => ColumnKind::Number,
            TypeClass::Boolean => ColumnKind::Boolean,
            TypeClass::TimestampNaive | TypeClass::TimestampZoned => ColumnKind::Time,
            TypeClass::Bytes => ColumnKind::Bytes,
            _ => ColumnKind::Text,
        }
    }

    fn is_age(&self, column: &Column) -> bool {
        self.age.as_ref().is_some_and(|age| age.column.name == column.name)
    }

    /// A value as a time in the zone; `None` when it is none, or when its zone is not known.
    pub(super) fn read(&self, column: &Column, text: &str) -> Option<DateTime<Utc>> {
        if self.is_age(column) {
            let age = self.age.as_ref()?;
            return match age.kind {
                AgeKind::Epoch(_) => age.read(text),
                AgeKind::Zoned => civil(text).map(|at| at.and_utc()),
                AgeKind::Naive(zone) | AgeKind::Text(_, zone) => instant(civil(text)?, zone?),
                AgeKind::Date(_) => None,
            };
        }
        match column.class {
            TypeClass::TimestampZoned => civil(text).map(|at| at.and_utc()),
            TypeClass::TimestampNaive => instant(civil(text)?, self.written?),
            TypeClass::Text if self.text => instant(civil(text)?, self.written?),
            _ => None,
        }
    }

    /// The time of a row, when the column that ages it holds one that means something.
    pub(super) fn age(age: &Age, text: &str) -> Option<DateTime<Utc>> {
        if age.sentinels.iter().any(|sentinel| sentinel == text) {
            return None;
        }
        let at = match age.kind {
            AgeKind::Zoned => civil(text).map(|at| at.and_utc()),
            AgeKind::Naive(Some(zone)) | AgeKind::Text(_, Some(zone)) => civil(text).and_then(|at| instant(at, zone)),
            _ => None,
        };
        at.or_else(|| age.read(text)).filter(|at| at.date_naive() >= age.floor)
    }

    /// Writes an instant.
    pub(super) fn write(&self, at: DateTime<Utc>, into: &mut String) {
        write_instant(at, self.zone, into);
    }
}

/// The kind of the column that ages a row, or the row along with which it ages.
fn kind_of_age(graph: &Graph, node: &Node) -> Option<AgeKind> {
    let (mut at, mut left) = (node, 8);
    loop {
        if let Some(age) = &at.age {
            return Some(age.kind);
        }
        at = graph.node(&at.ages_with.as_ref().or(at.belongs_to.first())?.to)?;
        left -= 1;
        if left == 0 {
            return None;
        }
    }
}

/// RFC 3339, in a zone.
pub(super) fn write_instant(at: DateTime<Utc>, zone: Tz, into: &mut String) {
    let utc = at.naive_utc();
    let seconds = zone.offset_from_utc_datetime(&utc).fix().local_minus_utc();
    let Some(local) = utc.checked_add_signed(TimeDelta::seconds(i64::from(seconds))) else { return };
    write_day(local.date(), into);
    let time = local.time();
    digits(&[b'T', 0, 0, b':', 0, 0, b':', 0, 0], &[time.hour(), time.minute(), time.second()], into);
    if time.nanosecond() > 0 {
        let fraction = format!("{:09}", time.nanosecond());
        into.push('.');
        into.push_str(fraction.trim_end_matches('0'));
    }
    let minutes = (seconds / 60).unsigned_abs();
    digits(&[if seconds < 0 { b'-' } else { b'+' }, 0, 0, b':', 0, 0], &[minutes / 60, minutes % 60], into);
}

/// `2026-03-01`. Four times a row there is a time to write: by hand it takes a tenth of what a format does.
fn write_day(day: NaiveDate, into: &mut String) {
    match u32::try_from(day.year()) {
        Ok(year @ 0..=9999) => {
            let parts = [year / 100, year % 100, day.month(), day.day()];
            digits(&[0, 0, 0, 0, b'-', 0, 0, b'-', 0, 0], &parts, into);
        }
        _ => {
            let written = write!(into, "{:04}-{:02}-{:02}", day.year(), day.month(), day.day());
            debug_assert!(written.is_ok(), "a string takes everything");
        }
    }
}

/// Writes a pattern of ASCII, numbers of two digits in place of each two zeros.
fn digits<const N: usize>(pattern: &[u8; N], numbers: &[u32], into: &mut String) {
    let mut text = *pattern;
    let (mut place, mut numbers) = (0, numbers.iter());
    while place + 1 < N {
        if text[place] == 0 {
            let number = numbers.next().copied().unwrap_or_default() % 100;
            text[place] = b'0' + (number / 10) as u8;
            text[place + 1] = b'0' + (number % 10) as u8;
            place += 1;
        }
        place += 1;
    }
    into.push_str(str::from_utf8(&text).unwrap_or_default());
}

/// A time as [`write_instant`] wrote it, for people: `2026-03-01 14:00:00 +02:00`. The offset stays: it tells a time in the
/// report's zone from one whose zone nobody knows, and from one that a text of the database has in a zone of its own. Any
/// other text stays as it is.
pub fn readable(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let zoned = bytes.len() >= 25 && bytes[10] == b'T' && matches!(bytes[bytes.len() - 6], b'+' | b'-');
    let (Some((civil_part, offset)), true) = (text.split_at_checked(text.len().saturating_sub(6)), zoned) else {
        return Cow::Borrowed(text);
    };
    if civil(civil_part).is_none() || !offset.bytes().skip(1).all(|c| c.is_ascii_digit() || c == b':') {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("{} {offset}", civil_part.replacen('T', " ", 1)))
}

/// The day of an instant, in a zone.
pub(super) fn day(at: DateTime<Utc>, zone: Tz) -> String {
    let mut text = String::with_capacity(10);
    write_day(at.with_timezone(&zone).date_naive(), &mut text);
    text
}

fn instant(civil: NaiveDateTime, zone: Tz) -> Option<DateTime<Utc>> {
    if zone == Tz::UTC {
        return Some(civil.and_utc());
    }
    zone.from_local_datetime(&civil).earliest().map(|at| at.to_utc())
}

/// `2026-03-01 12:00:00`, with `T`, a fraction, `+00` or `Z`; whatever else is no time.
fn civil(text: &str) -> Option<NaiveDateTime> {
    let bytes = text.as_bytes();
    if bytes.len() < 19 || !(b' ' == bytes[10] || b'T' == bytes[10]) {
        return None;
    }
    let marks = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
    if marks.iter().any(|(place, mark)| bytes[*place] != *mark) {
        return None;
    }
    let number = |from: usize, to: usize| {
        bytes[from..to]
            .iter()
            .try_fold(0_u32, |number, digit| digit.is_ascii_digit().then(|| number * 10 + u32::from(digit - b'0')))
    };
    let rest = text.get(19..)?;
    let rest = rest.strip_suffix("+00").or_else(|| rest.strip_suffix('Z')).unwrap_or(rest);
    let nanos = match rest.strip_prefix('.') {
        None if rest.is_empty() => 0,
        Some(digits) if !digits.is_empty() && digits.len() <= 9 && digits.bytes().all(|c| c.is_ascii_digit()) => {
            let read = |number: u32, digit: u8| number * 10 + u32::from(digit - b'0');
            digits.bytes().chain(std::iter::repeat(b'0')).take(9).fold(0, read)
        }
        _ => return None,
    };
    let year = i32::try_from(number(0, 4)?).ok()?;
    // Such years stand for "no end".
    if year >= 9000 {
        return None;
    }
    NaiveDate::from_ymd_opt(year, number(5, 7)?, number(8, 10)?)?.and_hms_nano_opt(
        number(11, 13)?,
        number(14, 16)?,
        number(17, 19)?,
        nanos,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_or_left() {
        for (text, read) in [
            ("2026-03-01 12:00:00", "2026-03-01T14:00:00+02:00"),
            ("2026-07-01T12:00:00Z", "2026-07-01T15:00:00+03:00"),
            ("2026-03-01 12:00:00.25+00", "2026-03-01T14:00:00.25+02:00"),
        ] {
            let mut written = String::new();
            write_instant(civil(text).unwrap().and_utc(), chrono_tz::Europe::Helsinki, &mut written);
            assert_eq!(written, read);
            let (civil_part, offset) = read.split_at(read.len() - 6);
            assert_eq!(readable(&written), format!("{} {offset}", civil_part.replace('T', " ")));
        }
        for (at, zone, read) in [
            ("2026-03-01T12:00:00.000001Z", chrono_tz::America::St_Johns, "2026-03-01T08:30:00.000001-03:30"),
            ("0044-03-15T12:00:00Z", Tz::UTC, "0044-03-15T12:00:00+00:00"),
            ("1900-01-01T00:00:00Z", chrono_tz::Europe::Helsinki, "1900-01-01T01:39:49+01:39"),
        ] {
            let mut written = String::new();
            write_instant(at.parse().unwrap(), zone, &mut written);
            assert_eq!(written, read);
        }
        let far = NaiveDate::from_ymd_opt(12_026, 3, 1).unwrap().and_hms_opt(0, 0, 0).unwrap().and_utc();
        assert_eq!(day(far, Tz::UTC), "12026-03-01");
        for text in ["", "2026-03-01T14:00:00", "2026-03-01T14:00:00+xx:00", "éééééééééééééééééééééééé"]
        {
            assert_eq!(readable(text), text);
        }
        for none in
            ["", "2026-03-01", "9999-12-31 00:00:00", "2026-13-01 12:00:00", "2026-03-01 12:00:00+02", "infinity"]
        {
            assert_eq!(civil(none), None, "{none}");
        }
    }
}
