//! One stretch of rows becomes summaries, is counted again, compared, and goes: the body of one transaction.
//!
//! **Invariant.** The statement that folds, the one that counts again and the one that deletes bear one and the same
//! condition, and see the same rows. What the summaries grew by is what the rows amount to, for each count and sum; else
//! nothing of it happens.

use super::summary::Folding;
use crate::graph::Node;
use crate::redact::Sealed;
use crate::removal::{Part, RemovalError, Undone, refused_rows};
use crate::store::target::rollup::{Group, Measure, OTHER, Periods};
use crate::store::target::{Guarded, statements};
use crate::store::{Backend, Conn, Stmt, StoreError, TextRow};

use crate::plan::Action;

/// Decimal places that sums are compared in.
const PLACES: usize = 18;
/// Rows of one transaction, where a period cannot be cut.
const MOST_ROWS: u64 = 1_000_000;

/// Rows that are folded together.
pub(super) struct Stretch {
    /// The periods that they lie in.
    pub periods: Periods,
    /// Which rows.
    pub rows: Guarded,
    /// Whether nothing of these periods is left afterwards.
    pub finishes: bool,
}

/// What became of a stretch.
#[derive(Default)]
pub(super) struct Folded {
    /// Rows.
    pub rows: u64,
    /// Some of its periods have summaries and some have none: they must be done one by one.
    pub mixed: bool,
    /// The rows changed between two statements.
    pub moved: bool,
}

/// Folds a stretch within the transaction that is open.
pub(super) fn fold(
    folding: &Folding,
    node: &Node,
    conn: &mut Conn,
    stretch: &Stretch,
    folded: &mut Folded,
) -> Result<Vec<Part>, Undone> {
    let rollup = &folding.rollup;
    let labels = stretch.periods.distinct();
    let found = one(conn, &rollup.totals_of_rows(&stretch.rows))?;
    let rows = folding.count_of(&found);
    if rows == 0 {
        return Ok(Vec::new());
    }
    if rows > MOST_ROWS {
        return Err(doubt(format!(
            "`{}`: {rows} rows in one period cannot be folded at once; a shorter bucket, or columns without `distinct`, can",
            node.name
        )));
    }
    let there = conn.rows(&rollup.folded_labels(&labels))?;
    if !there.is_empty() && labels.len() > 1 {
        folded.mixed = true;
        return Err(Undone::Again);
    }
    let before = if there.is_empty() { None } else { Some(one(conn, &rollup.totals_of_summaries(&labels))?) };
    // What cannot be added to stands beside what was folded first.
    let last = there.first().and_then(|row| row.count(1));
    let supplement = last.filter(|_| rollup.supplement.is_some()).map_or(0, |last| last + 1);
    if there.is_empty() || rollup.supplement.is_some() {
        conn.execute(&rollup.fold(&stretch.periods, supplement, &stretch.rows))?;
    } else {
        add_groups(folding, conn, stretch, &labels)?;
    }
    if folding.least > 1 && stretch.finishes {
        merge_small(folding, conn, stretch, &labels, supplement)?;
    }
    let after = one(conn, &rollup.totals_of_summaries(&labels))?;
    compare(folding, node, (before.as_ref(), &found, &after), folded)?;
    let deleted = conn.execute(&statements::delete(node.backend, &node.at, statements::Access::Any, &stretch.rows))?;
    if deleted > rows && node.backend == Backend::Mysql {
        folded.moved = true;
        return Err(Undone::Again);
    }
    if deleted != rows {
        return Err(refused_rows(node, rows, deleted));
    }
    folded.rows = rows;
    Ok(vec![Part { data: node.name.clone(), action: Action::Fold, rows, files: 0 }])
}

/// Adds each group to the summary that it has, or makes one.
fn add_groups(folding: &Folding, conn: &mut Conn, stretch: &Stretch, labels: &[String]) -> Result<(), Undone> {
    let rollup = &folding.rollup;
    for row in conn.rows(&rollup.groups(&stretch.periods, &stretch.rows))? {
        let place = row.count(0).and_then(|place| usize::try_from(place).ok()).unwrap_or(usize::MAX);
        let group: Group = row.into_values().into_iter().skip(1).collect();
        add(folding, conn, labels.get(place), &group)?;
    }
    Ok(())
}

fn add(folding: &Folding, conn: &mut Conn, label: Option<&String>, group: &[Option<Sealed>]) -> Result<(), Undone> {
    let Some(label) = label else {
        return Err(doubt("a row fell into a period that was not asked for".to_owned()));
    };
    if conn.execute(&folding.rollup.add(label, group))? == 0 {
        conn.execute(&folding.rollup.insert(label, 0, group))?;
    }
    Ok(())
}

/// Makes the groups of each period that are too small one group, which says of nobody what it did.
fn merge_small(
    folding: &Folding,
    conn: &mut Conn,
    stretch: &Stretch,
    labels: &[String],
    supplement: i64,
) -> Result<(), Undone> {
    let (rollup, least) = (&folding.rollup, folding.least);
    let nobody = || -> Group {
        rollup.dimensions.iter().map(|dimension| dimension.is_text().then(|| Sealed::new(OTHER.to_owned()))).collect()
    };
    if rollup.supplement.is_some() {
        // What is different among all of them is counted from the rows; it cannot be added up.
        let small = conn.rows(&rollup.small_groups_of_rows(&stretch.periods, supplement, least, &stretch.rows))?;
        conn.execute(&rollup.drop_small_groups(labels, Some(supplement), least))?;
        for row in small {
            let place = row.count(0).and_then(|place| usize::try_from(place).ok()).unwrap_or(usize::MAX);
            let Some(label) = labels.get(place) else { continue };
            let group: Group = nobody().into_iter().chain(row.into_values().into_iter().skip(1)).collect();
            conn.execute(&rollup.insert(label, supplement, &group))?;
        }
        return Ok(());
    }
    let small = conn.rows(&rollup.small_groups(labels, least))?;
    conn.execute(&rollup.drop_small_groups(labels, None, least))?;
    for row in small {
        let label = row.plain(0).and_then(|text| labels.iter().find(|label| folding.is_label(label, text)));
        let label = label.cloned();
        let group: Group = nobody().into_iter().chain(row.into_values().into_iter().skip(1)).collect();
        add(folding, conn, label.as_ref(), &group)?;
    }
    Ok(())
}

/// The summaries grew by exactly what the rows amount to.
fn compare(
    folding: &Folding,
    node: &Node,
    (before, found, after): (Option<&TextRow>, &TextRow, &TextRow),
    folded: &mut Folded,
) -> Result<(), Undone> {
    let mut outputs: Vec<_> = folding.rollup.outputs.iter().enumerate().collect();
    outputs.retain(|(_, output)| matches!(output.measure, Measure::Count | Measure::Sum(_)));
    // Numbers of rows first: where they differ, sums cannot be compared.
    outputs.sort_by_key(|(_, output)| !matches!(output.measure, Measure::Count));
    for (place, output) in outputs {
        let number = |row: &TextRow| row.get(place).map_or(Some(0), |text| exact(text.expose()));
        let (Some(before), Some(found), Some(after)) = (before.map_or(Some(0), number), number(found), number(after))
        else {
            return Err(doubt(format!(
                "`{}`: what `{}` adds up is no exact number; nothing was folded",
                node.name,
                output.into.name.as_str()
            )));
        };
        if before.checked_add(found) == Some(after) {
            continue;
        }
        if matches!(output.measure, Measure::Count) && node.backend == Backend::Mysql {
            // A row may have come between two statements, which there see different ones; the walk tries again, not for ever.
            folded.moved = true;
            return Err(Undone::Again);
        }
        return Err(wrong(node, output.into.name.as_str()));
    }
    Ok(())
}

/// The number of a summary does not say what the rows say.
pub(super) fn wrong(node: &Node, column: &str) -> Undone {
    doubt(format!(
        "`{}`: the summaries' `{column}` does not amount to what the rows amount to; a trigger, a rule or a too narrow column changes it. Nothing was purged",
        node.name
    ))
}

fn doubt(message: String) -> Undone {
    Undone::Failed(RemovalError::Doubt(message))
}

fn one(conn: &mut Conn, stmt: &Stmt) -> Result<TextRow, StoreError> {
    conn.rows(stmt)?.pop().ok_or_else(|| StoreError::new(crate::store::ErrorKind::Other, "a total was not given"))
}

/// A decimal number, times 10¹⁸; `None` when it is none, or has more places.
fn exact(text: &str) -> Option<i128> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction = fraction.trim_end_matches('0');
    let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !plain(whole) || !plain(fraction) || fraction.len() > PLACES {
        return None;
    }
    let number: i128 = format!("{whole}{fraction:0<PLACES$}").parse().ok()?;
    Some(sign * number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_exact_or_refused() {
        assert_eq!(exact("5429042189538"), Some(5_429_042_189_538 * 10_i128.pow(18)));
        assert_eq!(exact("-0.50"), Some(-5 * 10_i128.pow(17)));
        assert_eq!(exact("0"), Some(0));
        for bad in ["", "1e15", "1.0e+15", "Inf", ".5", "1,5", "0.0000000000000000001", "+1", "--1"] {
            assert_eq!(exact(bad), None, "{bad}");
        }
    }
}
