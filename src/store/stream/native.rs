//! What PostgreSQL sends in its own form, spelled as PostgreSQL itself spells it: with ISO dates, in UTC.
//!
//! Whatever has no form here was cast to text by the statement ([`crate::store::dialect::read_for_stream`]).

use std::fmt::Write as _;

use diesel::deserialize::Result;

/// The form in which PostgreSQL sends the values of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As the text that it is.
    Text,
    /// As a whole number of eight, four or two bytes.
    Integer,
    /// As microseconds since 2000.
    Timestamp,
    /// The same, of an instant.
    Instant,
}

impl Form {
    /// The form of a type that need not be cast to text, by its name in the catalog.
    pub(in crate::store) fn of_type(name: &str) -> Option<Self> {
        match name {
            "bigint" | "integer" | "smallint" => Some(Self::Integer),
            "timestamp without time zone" => Some(Self::Timestamp),
            "timestamp with time zone" => Some(Self::Instant),
            "text" => Some(Self::Text),
            _ => None,
        }
    }
}

/// Days from 1 March of the year 0 to 1 January 2000, from which PostgreSQL counts.
const DAYS_BEFORE: i64 = 730_425;
const DAY: i64 = 86_400_000_000;

/// Adds a value of this form.
pub(super) fn spell(form: Form, bytes: &[u8], into: &mut String) -> Result<()> {
    match form {
        Form::Text => into.push_str(str::from_utf8(bytes)?),
        Form::Timestamp => time(i64::from_be_bytes(bytes.try_into()?), "", into),
        Form::Instant => time(i64::from_be_bytes(bytes.try_into()?), "+00", into),
        Form::Integer => match bytes.len() {
            2 => integer(i16::from_be_bytes(bytes.try_into()?).into(), into),
            4 => integer(i32::from_be_bytes(bytes.try_into()?).into(), into),
            _ => integer(i64::from_be_bytes(bytes.try_into()?), into),
        },
    }
    Ok(())
}

fn integer(number: i64, into: &mut String) {
    let written = write!(into, "{number}");
    debug_assert!(written.is_ok(), "a string takes everything");
}

/// Microseconds since 2000.
fn time(micros: i64, zone: &str, into: &mut String) {
    match micros {
        i64::MAX => return into.push_str("infinity"),
        i64::MIN => return into.push_str("-infinity"),
        _ => {}
    }
    let (year, month, day) = date(micros.div_euclid(DAY) + DAYS_BEFORE);
    let (seconds, fraction) = (micros.rem_euclid(DAY) / 1_000_000, micros.rem_euclid(1_000_000));
    // There is no year 0: before 1 AD is 1 BC.
    let (year, era) = if year > 0 { (year, "") } else { (1 - year, " BC") };
    // Pairs of digits; a century of more than two is written before.
    let mut text = *b"0000-00-00 00:00:00";
    let numbers = [year / 100 % 100, year % 100, month, day, seconds / 3600, seconds / 60 % 60, seconds % 60];
    for (place, number) in [0, 2, 5, 8, 11, 14, 17].into_iter().zip(numbers) {
        text[place..place + 2].copy_from_slice(&two(number));
    }
    if year > 9999 {
        integer(year / 10_000, into);
    }
    into.push_str(str::from_utf8(&text).unwrap_or_default());
    if fraction > 0 {
        into.push('.');
        for pair in [fraction / 10_000, fraction / 100 % 100, fraction % 100] {
            into.push_str(str::from_utf8(&two(pair)).unwrap_or_default());
        }
        into.truncate(into.trim_end_matches('0').len());
    }
    into.push_str(zone);
    into.push_str(era);
}

/// Year, month and day of a day that is counted from 1 March of the year 0, by the calendar of today: years that begin in
/// March end with the day that some of them have not.
fn date(days: i64) -> (i64, i64, i64) {
    const ERA: i64 = 146_097;
    let (era, day) = (days.div_euclid(ERA), days.rem_euclid(ERA));
    let year = (day - day / 1_460 + day / 36_524 - day / (ERA - 1)) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, later) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + later, month, day)
}

/// Two digits.
fn two(number: i64) -> [u8; 2] {
    [b'0' + (number / 10 % 10) as u8, b'0' + (number % 10) as u8]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelled(form: Form, bytes: &[u8]) -> String {
        let mut text = String::new();
        spell(form, bytes, &mut text).unwrap();
        text
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        use chrono::Datelike as _;
        for days in (0..800_000).step_by(97) {
            let at = chrono::NaiveDate::from_ymd_opt(0, 3, 1).unwrap() + chrono::Days::new(days);
            let (year, month, day) = (i64::from(at.year()), i64::from(at.month()), i64::from(at.day()));
            assert_eq!(date(days.cast_signed()), (year, month, day), "{days}");
        }
    }

    #[test]
    fn values_are_spelled() {
        for (micros, text) in [
            (0, "2000-01-01 00:00:00"),
            (-1, "1999-12-31 23:59:59.999999"),
            (5_183_999_250_000, "2000-02-29 23:59:59.25"),
            (i64::MAX, "infinity"),
            (i64::MIN, "-infinity"),
        ] {
            assert_eq!(spelled(Form::Timestamp, &i64::to_be_bytes(micros)), text);
        }
        assert_eq!(spelled(Form::Instant, &0_i64.to_be_bytes()), "2000-01-01 00:00:00+00");
        assert_eq!(spelled(Form::Integer, &i64::MIN.to_be_bytes()), "-9223372036854775808");
        assert_eq!(
            spelled(Form::Integer, &(-7_i32).to_be_bytes()) + &spelled(Form::Integer, &7_i16.to_be_bytes()),
            "-77"
        );
        assert_eq!(spelled(Form::Text, "ä".as_bytes()), "ä");
        let mut text = String::new();
        assert!(spell(Form::Integer, b"123", &mut text).is_err() && spell(Form::Text, b"\xff", &mut text).is_err());
    }
}
