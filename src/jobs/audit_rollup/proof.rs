//! What the summaries say, held against the rows before these go.
//!
//! **Invariant.** Of each number that a summary bears there is a second one, from another statement: counts and sums over
//! all rows at once, the first and the last by an extreme over all rows, different values by `DISTINCT`. Where the two
//! differ, the transaction is undone. Where only rows are counted, the second number of them is that of the deletion, in the
//! same transaction. Not held against each other are extremes of floating point numbers and of texts that
//! the two tables put into different orders. Test: `audit_rollup::refused`.

use super::fold::{Folded, Stretch, doubt, one, wrong};
use super::summary::Folding;
use crate::graph::Node;
use crate::removal::Undone;
use crate::store::target::rollup::{Measure, Output};
use crate::store::{Backend, Conn, StoreError, TextRow};

/// Decimal places that sums are compared in.
const PLACES: usize = 18;

/// What is known of a stretch from other statements than the one that folds it.
pub(super) struct Proof<'a> {
    pub folding: &'a Folding,
    pub node: &'a Node,
    pub labels: &'a [String],
    /// What the summaries of these periods amounted to.
    pub before: Option<TextRow>,
    /// What the rows amount to.
    pub found: TextRow,
    /// How many rows there are, where something else than `found` says so.
    pub counted: Option<u64>,
    /// For each output, what the summaries' numbers of different values must amount to.
    pub distinct: Vec<Option<i128>>,
    /// What the summaries amount to since the rows were folded; nothing when they were changed after that.
    pub now: Option<TextRow>,
}

impl Proof<'_> {
    /// By how many rows the summaries grew.
    pub fn grown(&mut self, conn: &mut Conn) -> Result<u64, Undone> {
        let before = self.before.as_ref().map_or(0, |row| self.folding.count_of(row));
        Ok(self.folding.count_of(&self.now(conn)?).saturating_sub(before))
    }

    /// Whether there are groups to be merged.
    pub fn has_small(&mut self, conn: &mut Conn) -> Result<bool, Undone> {
        let place = self.folding.rollup.outputs.len();
        Ok(self.now(conn)?.count(place).is_none_or(|small| small > 0))
    }

    /// What the summaries amount to.
    fn now(&mut self, conn: &mut Conn) -> Result<TextRow, Undone> {
        if let Some(now) = &self.now {
            return Ok(now.clone());
        }
        let now = totals(conn, self.folding, self.labels)?;
        self.now = Some(now.clone());
        Ok(now)
    }

    /// Counts the different values of each group in another way, as long as no group is merged.
    pub fn look_at_distinct(&mut self, conn: &mut Conn, stretch: &Stretch, folded: &mut Folded) -> Result<(), Undone> {
        let rollup = &self.folding.rollup;
        let rows = one(conn, &rollup.distinct_of_rows(&stretch.periods, &stretch.rows))?;
        let now = self.now(conn)?;
        self.distinct.clear();
        for (place, output) in rollup.outputs.iter().enumerate() {
            if output.measure.adds_up() {
                self.distinct.push(None);
                continue;
            }
            let before = self.before.as_ref().map_or(Some(0), |row| number(row, place));
            let wanted = before.and_then(|before| before.checked_add(number(&rows, place)?));
            if wanted.is_none() || wanted != number(&now, place) {
                return Err(self.differs(output.into.name.as_str(), folded));
            }
            self.distinct.push(wanted);
        }
        Ok(())
    }

    /// The same for the one group that the small ones become: `merged` is what they amount to by themselves.
    pub fn look_at_merged(
        &mut self,
        conn: &mut Conn,
        stretch: &Stretch,
        merged: &TextRow,
        supplement: i64,
    ) -> Result<(), Undone> {
        let (rollup, least) = (&self.folding.rollup, self.folding.least);
        let rows = one(conn, &rollup.distinct_of_small(&stretch.periods, supplement, least, &stretch.rows))?;
        for (place, wanted) in self.distinct.iter_mut().enumerate() {
            let apart = number(merged, place);
            *wanted = wanted.and_then(|wanted| wanted.checked_sub(apart?)?.checked_add(number(&rows, place)?));
        }
        Ok(())
    }

    /// The summaries grew by exactly what the rows amount to.
    pub fn compare(&mut self, conn: &mut Conn, folded: &mut Folded) -> Result<(), Undone> {
        let (rollup, after) = (&self.folding.rollup, self.now(conn)?);
        let mut outputs: Vec<_> = rollup.outputs.iter().enumerate().collect();
        // Numbers of rows first: where they differ, nothing else can be compared.
        outputs.sort_by_key(|(_, output)| !matches!(output.measure, Measure::Count));
        for (place, output) in outputs {
            let name = output.into.name.as_str();
            match output.measure {
                Measure::Count | Measure::Sum(_) => {
                    let before = self.before.as_ref().map_or(Some(0), |row| number(row, place));
                    let counted = self.counted.filter(|_| matches!(output.measure, Measure::Count));
                    let found = counted.map_or_else(|| number(&self.found, place), |rows| exact(&rows.to_string()));
                    let (Some(before), Some(found), Some(after)) = (before, found, number(&after, place)) else {
                        return Err(doubt(format!(
                            "`{}`: what `{name}` adds up is no exact number; nothing was folded",
                            self.node.name
                        )));
                    };
                    if before.checked_add(found) == Some(after) {
                        continue;
                    }
                    return Err(self.differs(name, folded));
                }
                Measure::Distinct(_) => {
                    let wanted = self.distinct.get(place).copied().flatten();
                    if wanted.is_none() || wanted != number(&after, place) {
                        return Err(self.differs(name, folded));
                    }
                }
                Measure::First | Measure::Last | Measure::Least(_) | Measure::Greatest(_) => {}
            }
        }
        self.compare_extremes(conn, &after, folded)
    }

    fn compare_extremes(&self, conn: &mut Conn, after: &TextRow, folded: &mut Folded) -> Result<(), Undone> {
        let rollup = &self.folding.rollup;
        // Where nothing stood before and both are written alike, no order need be known.
        let is_same = |place: usize, output: &Output| {
            let text = |row: &TextRow| row.get(place).map(|value| value.expose().clone());
            !output.measure.is_extreme() || text(after) == text(&self.found)
        };
        if self.before.is_none() && rollup.outputs.iter().enumerate().all(|(place, output)| is_same(place, output)) {
            return Ok(());
        }
        let held = one(conn, &rollup.extremes_hold(self.labels, self.before.as_ref(), &self.found))?;
        let mut outputs = rollup.outputs.iter().enumerate();
        match outputs.find(|(place, _)| held.plain(*place) == Some("0")) {
            Some((_, output)) => Err(self.differs(output.into.name.as_str(), folded)),
            None => Ok(()),
        }
    }

    /// On MariaDB a row may have come between two statements, which there see different ones: the walk tries again, not for
    /// ever. Elsewhere a number is wrong.
    fn differs(&self, column: &str, folded: &mut Folded) -> Undone {
        if self.node.backend != Backend::Mysql {
            return wrong(self.node, column);
        }
        folded.moved = true;
        Undone::Again
    }
}

/// What the summaries of some periods amount to.
pub(super) fn totals(conn: &mut Conn, folding: &Folding, labels: &[String]) -> Result<TextRow, StoreError> {
    one(conn, &folding.rollup.totals_of_summaries(labels, folding.least))
}

/// The exact number in a row, times 10¹⁸; nothing is zero.
fn number(row: &TextRow, place: usize) -> Option<i128> {
    row.get(place).map_or(Some(0), |text| exact(text.expose()))
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
