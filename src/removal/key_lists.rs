//! Rows that need individual treatment: parents with children, rows with files, computed columns.
//!
//! **Invariant.** The keys of a list are locked under the rule's whole condition in the same transaction that removes
//! them, children first; when fewer are found than were chosen before it, the batch is rolled back and chosen anew. On
//! PostgreSQL, where no file has to be moved first, they are chosen by the statement that locks them, and quick lists
//! share a transaction where none changes what another was chosen by, each removed whole. There rows also go by where they
//! lie: nothing changes them between the lock and their end. A child goes only because one of these locked rows is its
//! ancestor. A parent with more children than a batch loses them in several transactions, itself last, and each of these
//! loses its own before it goes. Rows of one table that are tied to one another (`goes_with`) go in one transaction. Tests:
//! `conformance::families`, `conformance::lists`, `conformance::keys`, `killed`.

use std::collections::BTreeMap;
use std::time::Instant;

use super::batch::{self, Committed, Part, Undone};
use super::chosen::{Choice, Chosen};
use super::files::{Sorted, Trash, lock as lock_trash, sort_out};
use super::last_look::{LastLook, touches_nothing_else};
use super::look::{self, Look, MOST_CHILDREN, MOST_FILES, ROOT};
use super::pace::{Parts, Throttle};
use super::rows::{apply, ends, file_rows, last_of, lock, remove_branch, remove_listed, remove_roots};
use super::windows::{blocked, note, open};
use super::{Context, Done, Halt, RemovalError, Task};
use crate::files::RelativePath;
use crate::graph::{Graph, Node, Why};
use crate::names::{DataName, StoreName};
use crate::plan::Action;
use crate::redact::Sealed;
use crate::store::target::Expr;
use crate::store::{Access, Backend, Conn, ErrorKind};

/// Most parents of a list.
pub(super) const LARGEST: u64 = 1_000;
/// On SQLite a batch that is slow for waiting for the disk is not made smaller than this for it: a commit alone may take
/// longer than is aimed at, and one row a commit would never come to an end.
const SMALLEST_SQLITE: u64 = 50;
/// After a batch that took too long without, the children of so many batches are counted.
const COUNTED: u32 = 100;
/// A chain of references within one table is this long at most.
const PASSES: u32 = 10_000;

struct Walk<'t> {
    task: &'t Task,
    node: &'t Node,
    graph: &'t Graph,
    choice: Choice<'t>,
    throttle: Throttle,
    /// Rows are chosen in the transaction in which they go.
    at_once: bool,
    /// Removing a list changes nothing that another list was chosen by, so several may go in one transaction.
    shares: bool,
    /// In the transaction in which they go, the children of so many batches are counted before.
    counted: u32,
    last_look: LastLook,
}

/// Runs a task by lists of keys.
pub(super) fn run(
    context: &mut Context<'_>,
    task: &Task,
    node: &Node,
    done: &mut Done,
) -> Result<Option<Halt>, RemovalError> {
    let mut conn = open(context, node, true)?;
    let below = task.branches.iter().filter_map(|branch| context.graph.node(&branch.data));
    let unfiled = below.chain([node]).all(|node| node.file.is_none());
    if unfiled {
        conn.hurry()?;
    }
    let ended = walk(context, &mut conn, (task, node), unfiled, done);
    batch::settle(context, &mut conn, &node.store)?;
    ended
}

fn walk(
    context: &mut Context<'_>,
    conn: &mut Conn,
    (task, node): (&Task, &Node),
    unfiled: bool,
    done: &mut Done,
) -> Result<Option<Halt>, RemovalError> {
    let smallest = if conn.backend() == Backend::Sqlite { SMALLEST_SQLITE } else { 1 };
    let throttle = Throttle::begin(context.pace, conn, LARGEST, smallest)?;
    let graph = context.graph;
    let scope = node.own();
    let mut order = node.key_operands(&scope);
    let indexed = node.age.as_ref().filter(|age| age.indexed && matches!(task.due.why, Why::Age(_)));
    if let Some(age) = indexed {
        order.insert(0, age.operand(&scope));
    }
    let mut choice = Choice::new(graph, task, node, order);
    // Without an index the search for the next rows may take long, and no transaction waits for it.
    let at_once = unfiled && indexed.is_some() && choice.locks();
    conn.chain_transactions(at_once && context.pace.is_unpaced())?;
    let along: Vec<&Node> = task.branches.iter().filter_map(|branch| graph.node(&branch.data)).collect();
    // Where a row waits for others of its table, a pass may leave it to the next; and what is not deleted but changed may
    // be due for that.
    let deletes = task.branches.iter().all(|branch| branch.action == Action::Delete);
    let apart = at_once && deletes && node.self_link().is_none() && task.ties.is_none();
    let last_look = if apart { LastLook::begin(context, conn, node, &along)? } else { LastLook::always() };
    let shares = apart && touches_nothing_else(node, &along);
    choice.by_tid = shares;
    let mut walk = Walk { task, node, graph, choice, throttle, at_once, shares, counted: 0, last_look };
    for _ in 0..PASSES {
        let before = (done.counts.clone(), done.refused);
        if let Some(halt) = walk.pass(context, conn, done)? {
            return Ok(Some(halt));
        }
        let left = walk.last_look.finds(conn, node, &walk.choice.visited)?;
        if !left || done.refused > 0 {
            break;
        }
        if (done.counts.clone(), done.refused) == before {
            return Err(RemovalError::Doubt(format!("`{}`: rows that are due could not be removed", node.name)));
        }
    }
    let remaining = task.rows(graph, node);
    if done.refused == 0 && walk.last_look.finds(conn, node, &remaining)? {
        let why = if node.self_link().is_some() { ": they refer to each other in a circle" } else { "" };
        return Err(RemovalError::Doubt(format!("`{}`: rows that are due could not be removed{why}", node.name)));
    }
    Ok(None)
}

impl Walk<'_> {
    fn pass(
        &mut self,
        context: &mut Context<'_>,
        conn: &mut Conn,
        done: &mut Done,
    ) -> Result<Option<Halt>, RemovalError> {
        let mut after: Option<Vec<Sealed>> = None;
        loop {
            if let Some(halt) = context.permit.next()? {
                return Ok(Some(halt));
            }
            let look = if self.at_once {
                self.remove_next(context, conn, after.as_deref())?
            } else {
                self.look(context, conn, after.as_deref())?
            };
            let mut lists = Parts { number: 1, size: self.throttle.size() };
            let committed = match look {
                Look::Moved => None,
                Look::Removed(committed, last, removed) => {
                    (after, lists) = (Some(last), removed);
                    Some(committed)
                }
                Look::Nothing => {
                    if self.at_once {
                        self.last_look.note_nothing();
                    }
                    return Ok(None);
                }
                Look::TooMuch => {
                    self.throttle.halve();
                    continue;
                }
                Look::Skip(chosen) => {
                    done.refused += 1;
                    after = Some(chosen.last);
                    continue;
                }
                Look::Drain(chosen, branch) => self.drain(context, conn, *chosen, branch, done)?,
                Look::Batch(chosen) => {
                    let last = chosen.last.clone();
                    let committed = self.remove(context, conn, *chosen, done)?;
                    if committed.is_some() {
                        after = Some(last);
                    }
                    committed
                }
            };
            match committed {
                Some(committed) => {
                    context.transactions.push(committed.took);
                    self.throttle.committed_in_parts(committed.rows(), committed.took, lists);
                    self.last_look.note(&committed);
                    note(context, self.task, &committed, done);
                }
                None if !self.throttle.refused() => return Err(blocked(self.node)),
                None => {}
            }
            self.throttle.wait(conn, &context.stop)?;
        }
    }

    /// Chooses the next rows and looks at what they take along.
    fn look(&self, context: &Context<'_>, conn: &mut Conn, after: Option<&[Sealed]>) -> Result<Look, RemovalError> {
        match self.choice.next(conn, after, self.throttle.size())? {
            Some(chosen) => look::weigh(context, conn, (self.task, self.node, self.graph), chosen),
            None => Ok(Look::Nothing),
        }
    }

    /// Removes a batch: files to the trash, then children and parents in one transaction, then the files' fate.
    fn remove(
        &self,
        context: &mut Context<'_>,
        conn: &mut Conn,
        mut chosen: Chosen,
        done: &mut Done,
    ) -> Result<Option<Committed>, RemovalError> {
        let id = batch::next_id(context);
        let paths = take_paths(&mut chosen);
        let mut locked = lock_trash(context, &paths)?;
        let trash = Trash::move_all(&mut locked, &id, paths)?;
        done.missing += trash.missing;
        let files = files_by_entry(self.task, self.node, &chosen);
        let shared = &*context;
        let result = batch::transact(shared, conn, self.task, self.node, &id, |conn| {
            lock(conn, self.node, &self.choice.locked, &chosen.keys)?;
            self.families(shared, conn, &chosen, &files)
        });
        settle(context, trash, result)
    }

    /// Chooses, locks and removes the next rows in one transaction. How many children they have is asked only where a
    /// batch before took too long without: counting costs a tenth of the whole, and most parents have few.
    fn remove_next(
        &mut self,
        context: &mut Context<'_>,
        conn: &mut Conn,
        after: Option<&[Sealed]>,
    ) -> Result<Look, RemovalError> {
        let id = batch::next_id(context);
        let (shared, mut seen, uncounted) = (&*context, Look::Moved, self.counted == 0);
        let alone = Parts { number: 1, size: self.throttle.size() };
        let most = if uncounted && self.shares { self.throttle.parts() } else { alone };
        let mut lists = Parts { number: 1, ..most };
        let access = if uncounted { Access::Brief } else { Access::ReadWrite };
        let committed = batch::transact_in(shared, conn, self.task, self.node, (&id, access), |conn| {
            let began = Instant::now();
            let mut next = self.choice.lock_next(conn, after, most).map_err(Undone::Failed)?.into_iter();
            let chose = began.elapsed();
            seen = match next.next() {
                Some(chosen) if uncounted => Look::Batch(Box::new(chosen)),
                Some(chosen) => {
                    look::weigh(shared, conn, (self.task, self.node, self.graph), chosen).map_err(Undone::Failed)?
                }
                None => Look::Nothing,
            };
            // It is rolled back: nothing was done.
            let Look::Batch(chosen) = &mut seen else { return Err(Undone::Again) };
            let mut parts = self.families(shared, conn, chosen, &[])?;
            for another in next {
                if !self.throttle.has_room(chose, began.elapsed() - chose, lists.number) {
                    break;
                }
                let removed = self.families(shared, conn, &another, &[])?;
                for (sum, part) in parts.iter_mut().zip(removed) {
                    sum.rows += part.rows;
                }
                chosen.last = another.last;
                lists.number += 1;
            }
            Ok(parts)
        })?;
        self.counted = match (&committed, &seen) {
            // Too much at once, or somebody stood in the way: the same again, with care.
            (None, Look::Batch(_) | Look::Moved) if uncounted => COUNTED,
            _ => self.counted.saturating_sub(1),
        };
        Ok(match (committed, seen) {
            (Some(committed), Look::Batch(chosen)) => Look::Removed(committed, chosen.last, lists),
            (None, Look::Batch(_)) => Look::Moved,
            (_, seen) => seen,
        })
    }

    /// Removes locked rows and what belongs to them, children first.
    fn families(
        &self,
        context: &Context<'_>,
        conn: &mut Conn,
        chosen: &Chosen,
        files: &[(usize, DataName, u64)],
    ) -> Result<Vec<Part>, Undone> {
        let (task, node, graph) = (self.task, self.node, self.graph);
        let mut parts = Vec::new();
        for (index, branch) in task.branches.iter().enumerate() {
            let Some(child) = graph.node(&branch.data) else { continue };
            let (listed, referred) = (chosen.listed(index), &chosen.referred[index]);
            let rows = remove_branch(context, conn, graph, (branch, child), listed, referred)?;
            parts.push(part(child, branch.action, rows, files, index));
        }
        let mut rows = 0;
        for layer in chosen.layers(node) {
            rows += remove_roots(context, conn, task, node, graph, layer)?;
        }
        parts.push(part(node, node.fate.into(), rows, files, ROOT));
        Ok(parts)
    }

    /// Removes some of the many children of one parent, which itself stays for now.
    fn drain(
        &self,
        context: &mut Context<'_>,
        conn: &mut Conn,
        chosen: Chosen,
        index: usize,
        done: &mut Done,
    ) -> Result<Option<Committed>, RemovalError> {
        let Some(branch) = self.task.branches.get(index) else { return Ok(None) };
        let Some(child) = self.graph.node(&branch.data) else { return Ok(None) };
        let mut rows = branch.rows_of(self.graph, child, &chosen.referred[index]);
        if let Some(ends) = ends(self.graph, child).filter(|_| branch.action == Action::Delete) {
            // What belongs to a row of the same table is found through it, so it must go first.
            rows = rows.and(ends);
        }
        let mut sorted = Sorted::default();
        let filed = child.file.as_ref().filter(|_| branch.action != Action::Unlink);
        let key = child.key_operands(&child.own());
        let (some, listed) = match filed {
            Some(file) => {
                let found = file_rows(conn, self.graph, child, file, &rows, MOST_FILES)?;
                sort_out(context, conn, child, file, found, &mut sorted)?;
                if sorted.keys.is_empty() {
                    let message = format!("`{}`: paths of all rows of one parent are refused", child.name);
                    return Err(RemovalError::Doubt(message));
                }
                (Expr::KeyIn(key, std::mem::take(&mut sorted.keys).into()), true)
            }
            // A stretch of the key: of a long list of keys and the links up, SQLite tries each key for each ancestor.
            None => match last_of(conn, child, &rows, MOST_CHILDREN / 4)? {
                Some(last) => (Expr::KeyUpTo(key, last), false),
                None if child.self_link().is_some() => {
                    return Err(RemovalError::Doubt(format!("`{}`: rows refer to each other in a circle", child.name)));
                }
                None => return Ok(None),
            },
        };
        let id = batch::next_id(context);
        let moved = sorted.planned;
        let mut locked = lock_trash(context, &sorted.paths)?;
        let trash = Trash::move_all(&mut locked, &id, std::mem::take(&mut sorted.paths))?;
        done.missing += trash.missing;
        let (task, node, locked) = (self.task, self.node, &self.choice.locked);
        let shared = &*context;
        let result = batch::transact(shared, conn, task, node, &id, |conn: &mut Conn| {
            lock(conn, node, locked, &chosen.keys)?;
            let rows = if listed {
                remove_listed(shared, conn, (branch, child), &some, rows)?
            } else {
                apply(shared, conn, branch, child, some.and(rows))?
            };
            Ok(vec![Part { data: child.name.clone(), action: branch.action, rows, files: moved }])
        });
        settle(context, trash, result)
    }
}

/// The paths of all files of a batch, by store.
fn take_paths(chosen: &mut Chosen) -> BTreeMap<StoreName, Vec<RelativePath>> {
    let mut paths: BTreeMap<StoreName, Vec<RelativePath>> = BTreeMap::new();
    for (_, sorted) in &mut chosen.files {
        for (store, mut list) in std::mem::take(&mut sorted.paths) {
            paths.entry(store).or_default().append(&mut list);
        }
    }
    paths
}

fn settle(
    context: &Context<'_>,
    trash: Trash<'_>,
    result: Result<Option<Committed>, RemovalError>,
) -> Result<Option<Committed>, RemovalError> {
    match &result {
        Ok(Some(_)) => trash.commit(context)?,
        Ok(None) => trash.roll_back()?,
        // Whether the transaction was committed is not known when the connection was lost: the recovery asks the ledger.
        Err(RemovalError::Store(error)) if matches!(error.kind, ErrorKind::Unreachable | ErrorKind::Other) => {}
        Err(_) => trash.roll_back()?,
    }
    result
}

fn part(node: &Node, action: Action, rows: u64, files: &[(usize, DataName, u64)], index: usize) -> Part {
    let files = files.iter().filter(|(at, ..)| *at == index).map(|(.., count)| count).sum();
    Part { data: node.name.clone(), action, rows, files }
}

fn files_by_entry(task: &Task, node: &Node, chosen: &Chosen) -> Vec<(usize, DataName, u64)> {
    chosen
        .files
        .iter()
        .map(|(index, sorted)| {
            let name = task.branches.get(*index).map_or(&node.name, |branch| &branch.data);
            (*index, name.clone(), sorted.planned)
        })
        .collect()
}
