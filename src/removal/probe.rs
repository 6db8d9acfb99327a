//! The look at a time column's values before the first row goes.
//!
//! **Invariant.** A column whose values mix kinds, or lie where no row's time can lie, stops the run with what was found
//! (kinds, counts and instants, never a row). Rows without a time and sentinels are kept and counted, not doubted.

use chrono::{DateTime, Utc};

use super::RemovalError;
use crate::graph::{Age, AgeKind, Node};
use crate::store::target::probe;
use crate::store::{Backend, Conn};

/// Nothing is planned further ahead than this; a value beyond it means that the unit or the format is wrong.
const PLAUSIBLE_YEARS_AHEAD: i32 = 20;

/// Looks at the time column of a node, and gives the number of rows that have a time, sentinels left out.
///
/// # Errors
/// [`RemovalError::Doubt`] with what was found.
pub fn look_at_time(conn: &mut Conn, node: &Node, now: DateTime<Utc>) -> Result<u64, RemovalError> {
    let Some(age) = &node.age else { return Ok(0) };
    let set = age.is_set(&node.own());
    let rows = conn.rows(&probe::extremes(node.backend, &node.at, &age.column, &set))?;
    let mut all = 0;
    for row in &rows {
        let (Some(class), Some(count)) = (row.plain(0), row.count(1)) else { continue };
        all += count.unsigned_abs();
        if count == 0 {
            continue;
        }
        if node.backend == Backend::Sqlite && !class_fits(age.kind, class) {
            // The empty text and 0 mean "no time"; they lie before the floor and are kept.
            let harmless = matches!(row.plain(3), Some("" | "0"));
            if !harmless {
                return Err(doubt(node, age, &format!("{count} rows hold a value of storage class {class}")));
            }
            continue;
        }
        if let Some(text) = row.plain(3) {
            check_newest(node, age, text, now)?;
        }
    }
    check_below_floor(conn, node, age)?;
    check_form(conn, node, age)?;
    Ok(all)
}

fn class_fits(kind: AgeKind, class: &str) -> bool {
    match kind {
        AgeKind::Epoch(_) => class == "integer",
        _ => class == "text",
    }
}

fn check_newest(node: &Node, age: &Age, text: &str, now: DateTime<Utc>) -> Result<(), RemovalError> {
    let Some(newest) = age.read(text) else {
        // `infinity` and its like are later than any cutoff.
        return Ok(());
    };
    let ahead = chrono::Datelike::year(&newest) - chrono::Datelike::year(&now);
    if ahead > PLAUSIBLE_YEARS_AHEAD && !text.starts_with("9999") {
        let found = format!("the newest value is of the year {}; is the unit right?", chrono::Datelike::year(&newest));
        return Err(doubt(node, age, &found));
    }
    Ok(())
}

/// Values before the floor that are no known sentinel: seconds read as milliseconds, or a wrong column.
fn check_below_floor(conn: &mut Conn, node: &Node, age: &Age) -> Result<(), RemovalError> {
    let scope = node.own();
    let below = age.unset(&scope).and(age.is_set(&scope));
    let rows = conn.rows(&probe::extremes(node.backend, &node.at, &age.column, &below))?;
    for row in rows {
        let (Some(count), Some(greatest)) = (row.count(1), row.plain(3)) else { continue };
        if count > 0 && !is_known_sentinel(greatest) {
            let year = age
                .read(greatest)
                .map(|at| format!(", the newest of them of the year {}", chrono::Datelike::year(&at)));
            let found = format!(
                "{count} rows are older than {}{}; if that is right, say plausible_from, if they mean \"none\", say sentinels",
                age.floor,
                year.unwrap_or_default()
            );
            return Err(doubt(node, age, &found));
        }
    }
    Ok(())
}

/// What applications write for "no time": zero in any form, or the first instants of 1970.
fn is_known_sentinel(text: &str) -> bool {
    let zero = text.chars().all(|c| matches!(c, '0' | '-' | ':' | ' ' | '.' | 'T' | 'Z'));
    zero || text == "-infinity"
        || text.starts_with("1970-01-01")
        || text.starts_with("0001-01-01")
        || text.starts_with("1900-01-01")
}

fn check_form(conn: &mut Conn, node: &Node, age: &Age) -> Result<(), RemovalError> {
    let AgeKind::Text(form, _) = age.kind else { return Ok(()) };
    let scope = node.own();
    let stmt = probe::misshapen(node.backend, &node.at, &age.column, form, &age.unset(&scope).negated());
    let count = conn.rows(&stmt)?.first().and_then(|row| row.count(0)).unwrap_or_default();
    if count > 0 {
        return Err(doubt(node, age, &format!("{count} rows hold a text that is not of the declared format")));
    }
    Ok(())
}

fn doubt(node: &Node, age: &Age, found: &str) -> RemovalError {
    RemovalError::Doubt(format!(
        "the time column `{}` of `{}` (table `{}`) cannot be trusted: {found}. Nothing was removed",
        age.column.name.as_str(),
        node.name,
        node.table.label()
    ))
}
