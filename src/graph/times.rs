//! What a time column is: its kind by type, unit, zone and format, and what is wrong with it.

use super::columns::Reporter;
use super::{Age, AgeKind};
use crate::config::condition::Literal;
use crate::config::values::{TimeColumn, Unit, Zone};
use crate::store::Backend;
use crate::store::catalog::{Column, Table, TypeClass};
use crate::store::target::probe::TextForm;

/// Nothing before this day is believed to be a row's time, unless the file says otherwise: the sentinels that
/// applications use for "never" (0, 1970-01-01, `0000-00-00`) all lie before it.
const PLAUSIBLE_FROM: (i32, u32, u32) = (1990, 1, 1);

pub(super) fn plausible_from(said: Option<chrono::NaiveDate>) -> chrono::NaiveDate {
    let (year, month, day) = PLAUSIBLE_FROM;
    said.or_else(|| chrono::NaiveDate::from_ymd_opt(year, month, day)).unwrap_or(chrono::NaiveDate::MIN)
}

pub(super) fn resolve(time: &TimeColumn, table: &Table, backend: Backend, reporter: &mut Reporter<'_>) -> Option<Age> {
    let TimeColumn::Column { column: name, unit, zone, format, sentinels, plausible_from: from } = time else {
        return None;
    };
    let column = reporter.column(table, name, &["time"])?;
    let kind = age_kind(&column, backend, *unit, *zone, format.as_deref(), reporter)?;
    let sentinels: Vec<String> = sentinels
        .iter()
        .filter_map(|literal| match literal {
            Literal::Text(text) => Some(text.clone()),
            Literal::Integer(number) => Some(number.to_string()),
            Literal::Real(_) | Literal::Boolean(_) => None,
        })
        // What lies before the floor is kept anyway, and may not even be a value of the column's type.
        .filter(|text| sentinel_fits(kind, text))
        .collect();
    let indexed = table.has_index_on(&[name.as_str()]);
    Some(Age { column, kind, sentinels, floor: plausible_from(*from), indexed })
}

/// Whether a sentinel can be compared with the column at all; `""`, `0000-00-00` and `-infinity` need not be, because
/// the floor keeps them.
fn sentinel_fits(kind: AgeKind, text: &str) -> bool {
    match kind {
        AgeKind::Epoch(_) => text.parse::<i64>().is_ok(),
        AgeKind::Text(..) => true,
        AgeKind::Zoned | AgeKind::Naive(_) | AgeKind::Date(_) => {
            text.get(..4).is_some_and(|year| year.parse::<u16>().is_ok_and(|year| year > 0))
        }
    }
}

fn age_kind(
    column: &Column,
    backend: Backend,
    unit: Option<Unit>,
    zone: Option<Zone>,
    format: Option<&str>,
    reporter: &mut Reporter<'_>,
) -> Option<AgeKind> {
    let zone = zone.map(|zone| zone.0);
    let name = column.name.as_str();
    let textual = backend == Backend::Sqlite && unit.is_none();
    match &column.class {
        // MariaDB's TIMESTAMP is read and compared in the session's zone, which is UTC.
        TypeClass::TimestampZoned if unit.is_none() && backend == Backend::Mysql => {
            Some(AgeKind::Naive(Some(chrono_tz::UTC)))
        }
        TypeClass::TimestampZoned if unit.is_none() => Some(AgeKind::Zoned),
        TypeClass::TimestampNaive | TypeClass::Date | TypeClass::Text if textual => {
            text_age(name, format, zone, reporter)
        }
        TypeClass::Text if unit.is_none() => text_age(name, format, zone, reporter),
        TypeClass::TimestampNaive if unit.is_none() => Some(AgeKind::Naive(zone)),
        TypeClass::Date if unit.is_none() => Some(AgeKind::Date(zone)),
        TypeClass::Integer { .. } => epoch_age(name, unit, reporter),
        TypeClass::TimestampNaive | TypeClass::Date if backend == Backend::Sqlite => epoch_age(name, unit, reporter),
        TypeClass::TimestampZoned | TypeClass::TimestampNaive | TypeClass::Date | TypeClass::Text => {
            reporter.error(
                &["time"],
                format!("`{name}` is of type {}, which has no `unit`", column.declared),
                "leave the unit out".to_owned(),
            );
            None
        }
        _ => {
            let message = format!("`{name}` is of type {}, which is no time", column.declared);
            let help = "a time is a timestamp, a date, an epoch integer with a `unit`, or ISO text with a `format`";
            reporter.error(&["time"], message, help.to_owned());
            None
        }
    }
}

fn epoch_age(name: &str, unit: Option<Unit>, reporter: &mut Reporter<'_>) -> Option<AgeKind> {
    let Some(unit) = unit else {
        let help = format!("time = {{ column = \"{name}\", unit = \"s\" }}, or \"ms\", or \"us\"");
        reporter.error(&["time"], format!("`{name}` is a number; say its unit"), help);
        return None;
    };
    Some(AgeKind::Epoch(unit))
}

fn text_age(
    name: &str,
    format: Option<&str>,
    zone: Option<chrono_tz::Tz>,
    reporter: &mut Reporter<'_>,
) -> Option<AgeKind> {
    let Some(format) = format else {
        let help = format!("time = {{ column = \"{name}\", format = \"%Y-%m-%d %H:%M:%S\", zone = \"UTC\" }}");
        reporter.error(&["time"], format!("`{name}` holds text; say its format"), help);
        return None;
    };
    let tail = |rest: &str| matches!(rest, "" | "%.f" | "Z" | "%.fZ" | "%.3f" | "%.3fZ" | "%.6f" | "%.6fZ");
    let form = if format == "%Y-%m-%d" || format == "%F" {
        TextForm::Date
    } else if ["%Y-%m-%d %H:%M:%S", "%F %T"].iter().any(|start| format.strip_prefix(start).is_some_and(tail)) {
        TextForm::Blank
    } else if ["%Y-%m-%dT%H:%M:%S", "%FT%T"].iter().any(|start| format.strip_prefix(start).is_some_and(tail)) {
        TextForm::T
    } else {
        let help =
            "only forms that sort as text: %Y-%m-%d, %Y-%m-%d %H:%M:%S, %Y-%m-%dT%H:%M:%S, with %.f and Z after them";
        reporter.error(&["time", "format"], format!("the format `{format}` does not sort by age"), help.to_owned());
        return None;
    };
    let zulu = format.ends_with('Z');
    if zulu && zone.is_some_and(|zone| zone != chrono_tz::UTC) {
        reporter.error(&["time", "zone"], "a format that ends in Z is in UTC".to_owned(), None);
    }
    Some(AgeKind::Text(form, if zulu { Some(chrono_tz::UTC) } else { zone }))
}
