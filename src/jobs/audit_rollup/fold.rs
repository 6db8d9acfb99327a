//! One stretch of rows becomes summaries, is counted again, compared, and goes: the body of one transaction.
//!
//! **Invariant.** The statement that folds, the one that counts again and the one that deletes bear one and the same
//! condition, and see the same rows. What the summaries grew by is what the rows amount to ([`super::proof`]); else nothing
//! of it happens.
//!
//! Three statements, although PostgreSQL could fold what a `DELETE … RETURNING` gives: that keeps the rows apart as they
//! go, which takes longer than reading them twice.

use chrono::{DateTime, Utc};

use super::clustered;
use super::proof::{Proof, totals};
use super::summary::Folding;
use crate::archive::Manifest;
use crate::graph::Node;
use crate::names::DataName;
use crate::redact::Sealed;
use crate::removal::{Committed, Context, Halt, Part, RemovalError, Undone, delete_rows, refused_rows};
use crate::store::target::Guarded;
use crate::store::target::rollup::{Group, Lock, OTHER, Periods};
use crate::store::target::statements::Access;
use crate::store::{Backend, Conn, Stmt, StoreError, TextRow};

use crate::plan::Action;
use crate::trail::{Act, Digest};

/// Rows of one transaction, where a period cannot be cut.
const MOST_ROWS: u64 = 1_000_000;

/// Rows that are folded together.
pub(super) struct Stretch {
    /// The periods that they lie in.
    pub periods: Periods,
    /// Where these begin and end.
    pub span: (DateTime<Utc>, DateTime<Utc>),
    /// Which rows.
    pub rows: Guarded,
    /// Whether nothing of these periods is left afterwards.
    pub finishes: bool,
    /// Of more rows than this a shorter stretch is made.
    pub most: u64,
    /// Whether the rows may be counted by deleting them, where nothing else needs a look at each of them.
    pub by_deletion: bool,
}

/// What became of a stretch.
#[derive(Default)]
pub(super) struct Folded {
    /// Rows.
    pub rows: u64,
    /// Some of its periods have summaries and some have none: they must be done one by one.
    pub mixed: bool,
    /// It has more rows than were expected.
    pub crowded: bool,
    /// Other rows were deleted than were folded: they must be counted, to say what is wrong.
    pub uncounted: bool,
    /// The rows changed between two statements.
    pub moved: bool,
    /// The archive that its rows were written to.
    pub archived: Option<Manifest>,
}

/// How the attempt at a stretch ended.
pub(super) enum Once {
    /// It is folded and purged.
    Done(Committed),
    /// Something moved; nothing was done.
    Again,
    /// The run ends here.
    Halted(Halt),
}

/// Writes the rows of a stretch to an archive, within its transaction.
pub(super) type Archive<'a> = dyn FnMut(&mut Conn, &Stretch) -> Result<Manifest, Undone> + 'a;

/// Folds a stretch within the transaction that is open.
pub(super) fn fold(
    context: &Context<'_>,
    (folding, node): (&Folding, &Node),
    conn: &mut Conn,
    stretch: &Stretch,
    archive: Option<&mut Archive<'_>>,
    folded: &mut Folded,
) -> Result<Vec<Part>, Undone> {
    let rollup = &folding.rollup;
    let by_deletion = stretch.by_deletion && archive.is_none() && rollup.only_counts();
    let (narrower, found) = clustered::by_key(conn, folding, node, stretch, by_deletion)?.unzip();
    let stretch = narrower.as_ref().unwrap_or(stretch);
    let labels = stretch.periods.distinct();
    // What goes into an archive is locked before it is written there, else by the statement that folds.
    let (counting, folds) = if archive.is_some() { (Lock::Rows, Lock::Nothing) } else { (Lock::Nothing, Lock::Rows) };
    let found = match found.flatten() {
        Some(found) => found,
        None => one(conn, &rollup.totals_of_rows(&stretch.rows, counting, !by_deletion))?,
    };
    let mut rows = folding.count_of(&found);
    if found.is_all_null() || (rows == 0 && !by_deletion) {
        return Ok(Vec::new());
    }
    bounded(node, stretch, rows, folded)?;
    let there = conn.rows(&rollup.folded_labels(&labels))?;
    if !there.is_empty() && labels.len() > 1 {
        folded.mixed = true;
        return Err(Undone::Again);
    }
    if let Some(archive) = archive {
        let archived = archive(conn, stretch)?;
        let same = archived.rows == rows;
        folded.archived = Some(archived);
        if !same {
            // On MariaDB, a row that came since they were counted.
            folded.moved = true;
            return Err(Undone::Again);
        }
    }
    let before = if there.is_empty() { None } else { Some(totals(conn, folding, &labels)?) };
    let mut proof =
        Proof { folding, node, labels: &labels, before, found, counted: None, distinct: Vec::new(), now: None };
    // What cannot be added to stands beside what was folded first.
    let last = there.first().and_then(|row| row.count(1));
    let supplement = last.filter(|_| rollup.supplement.is_some()).map_or(0, |last| last + 1);
    if there.is_empty() || rollup.supplement.is_some() {
        conn.execute(&rollup.fold(&stretch.periods, supplement, &stretch.rows, folds))?;
    } else {
        let groups = conn.rows(&rollup.groups(&stretch.periods, &stretch.rows, folds))?;
        add_groups(folding, conn, &labels, groups)?;
    }
    if by_deletion {
        rows = proof.grown(conn)?;
        bounded(node, stretch, rows, folded)?;
        proof.counted = Some(rows);
    }
    if !folding.adds_up() {
        proof.look_at_distinct(conn, stretch, folded)?;
    }
    if folding.least > 1 && stretch.finishes {
        merge_small(conn, stretch, supplement, &mut proof)?;
    }
    proof.compare(conn, folded)?;
    end(context, (folding, node), conn, stretch, (rows, by_deletion), folded)?;
    folded.rows = rows;
    Ok(vec![Part { data: node.name.clone(), action: Action::Fold, rows, files: 0 }])
}

/// The rows go, or are entered as counted: exactly as many as were folded.
fn end(
    context: &Context<'_>,
    (folding, node): (&Folding, &Node),
    conn: &mut Conn,
    stretch: &Stretch,
    (rows, by_deletion): (u64, bool),
    folded: &mut Folded,
) -> Result<(), Undone> {
    let ended = match &folding.staying {
        Some(staying) => conn.execute(&node.identity().enter(staying.fold.id, &stretch.rows))?,
        None => delete_rows(context, conn, node, Access::Any, &stretch.rows)?,
    };
    if ended > rows && node.backend == Backend::Mysql {
        folded.moved = true;
        return Err(Undone::Again);
    }
    if ended != rows && by_deletion {
        folded.uncounted = true;
        return Err(Undone::Again);
    }
    if ended != rows && folding.staying.is_some() {
        let message = format!("`{}`: {ended} of {rows} rows were entered as counted; nothing was folded", node.name);
        return Err(doubt(message));
    }
    if ended != rows {
        return Err(refused_rows(node, rows, ended));
    }
    Ok(())
}

/// A stretch is no longer than a transaction can be.
fn bounded(node: &Node, stretch: &Stretch, rows: u64, folded: &mut Folded) -> Result<(), Undone> {
    if rows > stretch.most {
        folded.crowded = true;
        return Err(Undone::Again);
    }
    if rows > MOST_ROWS {
        return Err(doubt(format!(
            "`{}`: {rows} rows in one period cannot be folded at once; a shorter bucket, or columns without `distinct`, can",
            node.name
        )));
    }
    Ok(())
}

/// The trail says what is sealed before it is.
pub(super) fn seal(
    context: &Context<'_>,
    folding: &Folding,
    node: &Node,
    (batch, stretch): (&str, &Stretch),
    rows: u64,
) -> Result<(), RemovalError> {
    let nameless = || RemovalError::Doubt(format!("batch `{batch}` has no name for the trail"));
    let seal = Digest::parse(batch).ok_or_else(nameless)?;
    let (data, into, (from, to)) = (node.name.clone(), folding.into.clone(), stretch.span);
    let sealed = Act::RollupSeal { data, into, from, to, rows, seal };
    Ok(context.permit.trail().record(vec![sealed])?)
}

/// Adds each group to the summary that it has, or makes one.
pub(super) fn add_groups(
    folding: &Folding,
    conn: &mut Conn,
    labels: &[String],
    groups: Vec<TextRow>,
) -> Result<(), Undone> {
    for row in groups {
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
pub(super) fn merge_small(
    conn: &mut Conn,
    stretch: &Stretch,
    supplement: i64,
    proof: &mut Proof<'_>,
) -> Result<(), Undone> {
    let (folding, labels) = (proof.folding, proof.labels);
    if !proof.has_small(conn)? {
        return Ok(());
    }
    let (rollup, least) = (&folding.rollup, folding.least);
    let number = rollup.supplement.is_some().then_some(supplement);
    let merged = one(conn, &rollup.totals_of_small_groups(labels, number, least))?;
    if folding.count_of(&merged) == 0 {
        return Ok(());
    }
    proof.now = None;
    let nobody = || -> Group {
        rollup.dimensions.iter().map(|dimension| dimension.is_text().then(|| Sealed::new(OTHER.to_owned()))).collect()
    };
    if rollup.supplement.is_some() {
        // What is different among all of them is counted from the rows; it cannot be added up.
        let small = conn.rows(&rollup.small_groups_of_rows(&stretch.periods, supplement, least, &stretch.rows))?;
        proof.look_at_merged(conn, stretch, &merged, supplement)?;
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

/// The number of a summary does not say what the rows say.
pub(super) fn wrong(node: &Node, column: &str) -> Undone {
    doubt(format!(
        "`{}`: the summaries' `{column}` does not amount to what the rows amount to; a trigger, a rule or a too narrow column changes it. Nothing was purged",
        node.name
    ))
}

/// The numbers never settle.
pub(super) fn unsteady(data: &DataName) -> RemovalError {
    RemovalError::Doubt(format!(
        "`{data}`: the summaries do not amount to what the rows amount to, however often it is tried; a trigger or a rule changes one of them, or late rows come faster than they are folded. Nothing was purged"
    ))
}

pub(super) fn doubt(message: String) -> Undone {
    Undone::Failed(RemovalError::Doubt(message))
}

pub(super) fn one(conn: &mut Conn, stmt: &Stmt) -> Result<TextRow, StoreError> {
    conn.rows(stmt)?.pop().ok_or_else(|| StoreError::new(crate::store::ErrorKind::Other, "a total was not given"))
}
