//! What ages a row, and what "expired" means for each kind of time column.
//!
//! **Invariant.** A row is expired only if its time lies in `[floor, cutoff)` in the column's own terms and is no sentinel.
//! NULL, `-infinity`, 1970-01-01, 0, `''` and `0000-00-00` all fall below the floor; values of another storage class fall
//! out at one end or the other (SQLite orders numbers before text). Where a zone is not known, the cutoff moves back by
//! 14 hours: in doubt a row is kept longer. Tests: `conformance::boundaries`, `conformance::sentinels`.

use chrono::{DateTime, Days, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

use crate::config::values::Unit;
use crate::store::catalog::Column;
use crate::store::target::probe::TextForm;
use crate::store::target::{Expr, Op, Operand, Scalar, Scope};

/// The kinds of time column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgeKind {
    /// An instant that the database knows the zone of.
    Zoned,
    /// A civil time in this zone; `None`: not known.
    Naive(Option<Tz>),
    /// A day in this zone; it ends with the day.
    Date(Option<Tz>),
    /// Seconds, milliseconds or microseconds since 1970.
    Epoch(Unit),
    /// Text of a big-endian form.
    Text(TextForm, Option<Tz>),
}

/// A row's age.
#[derive(Clone, Debug)]
pub struct Age {
    /// The column.
    pub column: Column,
    /// Its kind.
    pub kind: AgeKind,
    /// Declared values that mean "no time", as text of the column's type.
    pub sentinels: Vec<String>,
    /// Nothing before this is believed.
    pub floor: NaiveDate,
    /// Whether an index begins with the column.
    pub indexed: bool,
}

/// How far behind UTC the civil time of an unknown zone may have been written, with two hours to spare.
const UNKNOWN_ZONE: TimeDelta = TimeDelta::hours(14);

impl Age {
    /// The rows that are expired at `cutoff`.
    pub fn expired(&self, scope: &Scope, cutoff: DateTime<Utc>) -> Expr {
        let operand = self.operand(scope);
        let mut parts = vec![
            Expr::Floor(operand.clone(), Scalar::Policy(self.floor_text())),
            Expr::Compare(operand.clone(), Op::Below, Scalar::Policy(self.cutoff_text(cutoff))),
        ];
        if !self.sentinels.is_empty() {
            parts.push(Expr::Not(Box::new(self.is_sentinel(operand))));
        }
        Expr::All(parts)
    }

    /// The rows without a time.
    pub fn without_time(&self, scope: &Scope) -> Expr {
        Expr::Null(self.operand(scope), true)
    }

    /// The rows whose time is a declared sentinel or lies before the floor.
    pub fn unset(&self, scope: &Scope) -> Expr {
        let operand = self.operand(scope);
        let below = Expr::Compare(operand.clone(), Op::Below, Scalar::Policy(self.floor_text()));
        if self.sentinels.is_empty() { below } else { Expr::Any(vec![below, self.is_sentinel(operand)]) }
    }

    /// Rows with a time that is neither NULL nor a declared sentinel: those that the probe looks at.
    pub fn is_set(&self, scope: &Scope) -> Expr {
        let operand = self.operand(scope);
        let set = Expr::Null(operand.clone(), false);
        if self.sentinels.is_empty() { set } else { set.and(Expr::Not(Box::new(self.is_sentinel(operand)))) }
    }

    fn is_sentinel(&self, operand: Operand) -> Expr {
        Expr::OneOf(operand, self.sentinels.iter().cloned().map(Scalar::Policy).collect())
    }

    /// The column in a scope.
    pub fn operand(&self, scope: &Scope) -> Operand {
        Operand { scope: scope.clone(), column: self.column.clone() }
    }

    /// The cutoff in the column's own terms: never later than the instant, at most as much earlier as the column's
    /// resolution and zone demand.
    pub fn cutoff_text(&self, cutoff: DateTime<Utc>) -> String {
        match self.kind {
            AgeKind::Zoned => cutoff.format("%Y-%m-%d %H:%M:%S%.6f+00").to_string(),
            AgeKind::Naive(zone) => civil(cutoff, zone).format("%Y-%m-%d %H:%M:%S%.6f").to_string(),
            AgeKind::Date(zone) => civil(cutoff, zone).date().format("%Y-%m-%d").to_string(),
            AgeKind::Epoch(Unit::Seconds) => cutoff.timestamp().to_string(),
            AgeKind::Epoch(Unit::Milliseconds) => cutoff.timestamp_millis().to_string(),
            AgeKind::Epoch(Unit::Microseconds) => cutoff.timestamp_micros().to_string(),
            AgeKind::Text(form, zone) => civil(cutoff, zone).format(text_format(form)).to_string(),
        }
    }

    fn floor_text(&self) -> String {
        let midnight = self.floor.and_time(NaiveTime::MIN);
        match self.kind {
            AgeKind::Zoned => midnight.format("%Y-%m-%d %H:%M:%S%.6f+00").to_string(),
            AgeKind::Naive(_) => midnight.format("%Y-%m-%d %H:%M:%S%.6f").to_string(),
            AgeKind::Date(_) => self.floor.format("%Y-%m-%d").to_string(),
            AgeKind::Epoch(unit) => epoch(midnight.and_utc(), unit).to_string(),
            AgeKind::Text(form, _) => midnight.format(text_format(form)).to_string(),
        }
    }

    /// A value of the column as an instant, for people to read; `None` when it is not one.
    pub fn read(&self, text: &str) -> Option<DateTime<Utc>> {
        match self.kind {
            AgeKind::Zoned => DateTime::parse_from_str(&format!("{text}00"), "%Y-%m-%d %H:%M:%S%.f%z")
                .map(|at| at.to_utc())
                .ok()
                .or_else(|| parse_civil(text).map(|civil| civil.and_utc())),
            AgeKind::Naive(zone) | AgeKind::Text(_, zone) => instant(parse_civil(text)?, zone),
            AgeKind::Date(zone) => instant(parse_civil(text)?, zone),
            AgeKind::Epoch(unit) => {
                let number: i64 = text.parse().ok()?;
                match unit {
                    Unit::Seconds => DateTime::from_timestamp(number, 0),
                    Unit::Milliseconds => DateTime::from_timestamp_millis(number),
                    Unit::Microseconds => DateTime::from_timestamp_micros(number),
                }
            }
        }
    }
}

fn epoch(at: DateTime<Utc>, unit: Unit) -> i64 {
    match unit {
        Unit::Seconds => at.timestamp(),
        Unit::Milliseconds => at.timestamp_millis(),
        Unit::Microseconds => at.timestamp_micros(),
    }
}

fn text_format(form: TextForm) -> &'static str {
    match form {
        TextForm::Date => "%Y-%m-%d",
        TextForm::Blank => "%Y-%m-%d %H:%M:%S",
        TextForm::T => "%Y-%m-%dT%H:%M:%S",
    }
}

fn parse_civil(text: &str) -> Option<NaiveDateTime> {
    let text = text.trim_end_matches('Z');
    ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f"]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
        .or_else(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().map(|day| day.and_time(NaiveTime::MIN)))
}

fn instant(civil: NaiveDateTime, zone: Option<Tz>) -> Option<DateTime<Utc>> {
    match zone {
        None => Some(civil.and_utc()),
        Some(zone) => zone.from_local_datetime(&civil).earliest().map(|at| at.to_utc()),
    }
}

/// The civil time of an instant. An instant in the first pass of an hour that comes twice moves back to the beginning of
/// that hour: a row stamped within it may be of the second pass, which lies after the cutoff.
fn civil(at: DateTime<Utc>, zone: Option<Tz>) -> NaiveDateTime {
    let Some(zone) = zone else {
        return (at - UNKNOWN_ZONE).naive_utc();
    };
    let local = at.with_timezone(&zone);
    let civil = local.naive_local();
    match zone.from_local_datetime(&civil) {
        chrono::LocalResult::Ambiguous(first, second) if first.to_utc() == at => {
            // The fold began when civil time was set back by this much: the first civil time that comes twice is the
            // transition's civil time after it.
            let back = first.offset().fix().local_minus_utc() - second.offset().fix().local_minus_utc();
            fold_start(zone, at, i64::from(back)).unwrap_or(civil - Days::new(1))
        }
        _ => civil,
    }
}

/// The first civil time of the fold that `at` stands in, found by halving the span in which the offset changes.
fn fold_start(zone: Tz, at: DateTime<Utc>, back_seconds: i64) -> Option<NaiveDateTime> {
    let offset = |instant: DateTime<Utc>| instant.with_timezone(&zone).offset().fix().local_minus_utc();
    let before = offset(at);
    let (mut low, mut high) = (at, at.checked_add_signed(TimeDelta::seconds(back_seconds))?);
    if offset(high) == before {
        return None;
    }
    while high - low > TimeDelta::seconds(1) {
        let middle = low + (high - low) / 2;
        if offset(middle) == before {
            low = middle;
        } else {
            high = middle;
        }
    }
    Some(DateTime::from_timestamp(high.timestamp(), 0)?.with_timezone(&zone).naive_local())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    const HELSINKI: Tz = chrono_tz::Europe::Helsinki;

    #[test]
    fn an_hour_that_comes_twice_keeps_longer() {
        // On 26 October 2025 at 04:00 Helsinki went back to 03:00 (01:00 UTC).
        assert_eq!(civil(at("2025-10-26T00:30:00Z"), Some(HELSINKI)).to_string(), "2025-10-26 03:00:00");
        assert_eq!(civil(at("2025-10-26T01:30:00Z"), Some(HELSINKI)).to_string(), "2025-10-26 03:30:00");
        assert_eq!(civil(at("2025-10-25T23:59:59Z"), Some(HELSINKI)).to_string(), "2025-10-26 02:59:59");
        // Lord Howe moves by half an hour.
        let lord_howe = chrono_tz::Australia::Lord_Howe;
        assert_eq!(civil(at("2026-04-04T14:45:00Z"), Some(lord_howe)).to_string(), "2026-04-05 01:30:00");
    }

    #[test]
    fn an_unknown_zone_keeps_longer() {
        assert_eq!(civil(at("2025-06-01T12:00:00Z"), None).to_string(), "2025-05-31 22:00:00");
    }
}
