//! Rows that are counted and stay (`purge = false`): which have been counted is written down in their own database.
//!
//! **Invariant.** A row is entered in `retentiond_folded` in the transaction that adds it to a summary, after the numbers
//! were proved, and no row that is entered is folded: so each is counted once, however often a run is killed or repeated,
//! whatever becomes of its columns, and however late it comes. A purge with `after_rollup` takes entered rows alone. A row
//! that goes is taken out with it ([`crate::removal`]); those that the application removed are taken out here, before
//! anything is folded. Rows that another job or an earlier form of this one has counted stop a job that begins: it would
//! count them again. Tests: `audit_rollup::stays`.

use super::Spec;
use super::summary::{Folding, Reader};
use crate::config::document::Document;
use crate::config::period::Keep;
use crate::graph::Node;
use crate::names::JobName;
use crate::removal::{Context, Halt, RemovalError, Task, blocked, next_id, transact_in};
use crate::store::folded::{self, Fold};
use crate::store::{Access, Conn};

/// Rows that are looked for at a time, of those that are gone.
const PAGE: u64 = 100_000;
/// Rows that are taken out in one transaction.
const PART: usize = 5_000;
/// So often a transaction may have to wait.
const PATIENCE: u32 = 50;

/// How rows are counted and left.
#[derive(Clone, Debug)]
pub(super) struct Staying {
    /// The rows of this job.
    pub fold: Fold,
    /// The jobs of the file that count rows of the same entry.
    jobs: Vec<String>,
}

impl Staying {
    /// For a job that purges nothing.
    pub fn of(job: &JobName, spec: &Spec, source: &Node, document: &Document) -> Option<Self> {
        let same = |fold: &super::Fold| fold.data == spec.data && !fold.purges;
        let jobs = super::folds(document).into_iter().filter(same).map(|fold| fold.job.to_string());
        (!spec.purge).then(|| Self { fold: Fold::of(job.as_str(), &source.identity().source), jobs: jobs.collect() })
    }
}

/// What is said of ages fits what becomes of the rows: neither has a default.
pub(super) fn check_ages(reader: &mut Reader<'_>, spec: &Spec) {
    match (spec.purge, &spec.keep, &spec.after) {
        (true, Some(Keep::Forever), _) => {
            reader.error(&["keep"], "a rollup folds what is older than its `keep`; for ever is never", None);
        }
        (true, None, _) => {
            let help =
                "say keep = \"…\"; or purge = false and after = \"…\", if rows shall be counted and stay".to_owned();
            reader.error(&[], "nothing says when rows are folded and purged", help);
        }
        (false, None, None) => {
            reader.error(&["purge"], "nothing says when rows are folded", "say after = \"1 day\"".to_owned());
        }
        _ => {}
    }
    if spec.purge && spec.after.is_some() {
        let help = "say purge = false if the rows shall stay, else leave `after` out".to_owned();
        reader.error(&["after"], "rows that are purged are folded when their `keep` is over", help);
    }
    if !spec.purge && spec.keep.is_some() {
        let help = "say after = \"…\"; how long the rows stay is the matter of a purge".to_owned();
        reader.error(&["keep"], "with purge = false no row goes, so none is kept for a time", help);
    }
}

/// What rows need to be known again.
pub(super) fn check(reader: &mut Reader<'_>, spec: &Spec, source: &Node, into: &Node) {
    if spec.archive.is_some() {
        reader.error(&["archive"], "rows are archived before they are purged, and purge = false purges none", None);
    }
    if source.store != into.store {
        let message = "with purge = false summaries are kept in the database of the rows: what is counted is written down there in the same transaction";
        reader.error(&["into"], message, None);
    }
    if source.key.is_empty() {
        let message = format!("`{}` has no key, by which its rows could be known again", source.name);
        reader.error(&["data"], message, format!("say key = [\"…\"] in [data.{}]", source.name));
    }
    if !source.folds {
        let help = format!(
            "`retentiond init {0} --print-sql` prints the SQL that makes it, `retentiond init {0}` runs it",
            source.store
        );
        reader.error(&["purge"], format!("store `{}` has no table {} yet", source.store, folded::TABLE), help);
    }
    if !source.table.transactional {
        let message = format!("table `{}` has no transactions, so nothing could be proved", source.table.label());
        reader.error(&["data"], message, None);
    }
    let Some(age) = &source.age else { return };
    let name = age.column.name.as_str();
    let overwritten = source.overwrites.iter().any(|overwrite| overwrite.column.name == age.column.name);
    if age.column.on_update_now || (overwritten && source.identity().has(&age.column)) {
        let message = format!("`{name}` changes with the row, which would be taken for another one and counted again");
        reader.error(&["data"], message, "age the rows by a column that does not move".to_owned());
    }
}

/// Makes sure that nothing was counted under another name, and takes out what is gone.
pub(super) fn begin(
    context: &mut Context<'_>,
    conn: &mut Conn,
    (folding, task, node): (&Folding, &Task, &Node),
) -> Result<Option<Halt>, RemovalError> {
    let Some(staying) = &folding.staying else { return Ok(None) };
    let known = folded::folds(conn)?;
    if !known.contains(&staying.fold) {
        if let Some(other) = known.iter().find(|other| staying.is_ours(other)) {
            return Err(staying.stranger(other, node));
        }
        let fold = staying.fold.clone();
        return within(context, conn, (task, node), &mut |conn| folded::enrol(conn, &fold));
    }
    loop {
        let gone = conn.rows(&node.identity().gone(staying.fold.id, PAGE))?;
        let last = (gone.len() as u64) < PAGE;
        let keys: Vec<_> = gone.into_iter().filter_map(|row| row.into_values().pop().flatten()).collect();
        for part in keys.chunks(PART) {
            let halt = within(context, conn, (task, node), &mut |conn| folded::forget(conn, &[staying.fold.id], part))?;
            if halt.is_some() {
                return Ok(halt);
            }
        }
        if last {
            return Ok(None);
        }
    }
}

/// One transaction behind the gate, so that no other daemon has taken the job over.
fn within(
    context: &mut Context<'_>,
    conn: &mut Conn,
    (task, node): (&Task, &Node),
    work: &mut dyn FnMut(&mut Conn) -> Result<(), crate::store::StoreError>,
) -> Result<Option<Halt>, RemovalError> {
    for _ in 0..PATIENCE {
        if let Some(halt) = context.permit.next()? {
            return Ok(Some(halt));
        }
        let id = next_id(context);
        let done = transact_in(context, conn, task, node, (&id, Access::ReadWrite), |conn| {
            work(conn)?;
            Ok(Vec::new())
        })?;
        if done.is_some() {
            return Ok(None);
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    Err(blocked(node))
}

impl Staying {
    /// Rows of our table that a job counted which is not in the file, or those of our job by what told them apart before.
    fn is_ours(&self, other: &Fold) -> bool {
        let tenant = |job: &str| job.split_once('@').map(|(_, tenant)| tenant.to_owned());
        let same_table = other.source == self.fold.source && !self.jobs.contains(&other.job);
        tenant(&other.job) == tenant(&self.fold.job) && (other.job == self.fold.job || same_table)
    }

    fn stranger(&self, other: &Fold, node: &Node) -> RemovalError {
        let Fold { id, job, source } = &self.fold;
        let whose =
            if other.job == *job { "for another table, key or time" } else { "and that is in the file no more" };
        RemovalError::Doubt(format!(
            "`{data}`: retentiond_folds in store `{store}` has rows that job `{before}` counted {whose}; they are in its summaries, and this job would count them again, so nothing is folded. Where these summaries are this job's: UPDATE retentiond_folded SET fold = {id} WHERE fold = {old}; UPDATE retentiond_folds SET id = {id}, job = '{job}', source = '{source}' WHERE id = {old}. Where it shall count anew, delete the rows of fold {old} from retentiond_folded, and from retentiond_folds the one whose id it is",
            data = node.name,
            store = node.store,
            before = other.job,
            old = other.id,
        ))
    }
}
