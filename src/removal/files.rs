//! The files of rows that go: moved to the trash before the transaction, committed after it, put back when it fails.
//!
//! **Invariant.** A file is moved only when its row is about to go in the batch whose id stands in the manifest; the
//! ledger row of that batch is what says, after a crash, whether the row is gone. A process may be dead while its server
//! still commits for it: so the ledger is asked behind the gate, which no batch in flight lets anybody pass. A file that
//! another row still names stays until that row goes. A path that is refused keeps its row. Tests: `killed`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use super::{Context, RemovalError};
use crate::files::{self, FileError, FileErrorKind, RecoverError, RelativePath, TrashBatch};
use crate::graph::{FileOf, Node};
use crate::names::StoreName;
use crate::redact::Sealed;
use crate::stop::Stop;
use crate::store::target::statements::{self, Read};
use crate::store::target::{Expr, Operand, Scalar};
use crate::store::{Conn, held, ledger};

/// A row with a file, as a batch knows it.
pub(super) struct FileRow {
    pub key: Vec<Sealed>,
    /// The columns of the path.
    pub parts: Vec<Option<Sealed>>,
}

/// The files of one batch, sorted out.
#[derive(Default)]
pub(super) struct Sorted {
    /// Keys of rows that may go.
    pub keys: Vec<Vec<Sealed>>,
    /// Their files, by store.
    pub paths: BTreeMap<StoreName, Vec<RelativePath>>,
    /// How many files are to go.
    pub planned: u64,
    /// Keys of rows that must stay, because their path is refused.
    pub refused: Vec<Vec<Sealed>>,
}

/// Decides for each row what becomes of its file.
pub(super) fn sort_out(
    context: &Context<'_>,
    conn: &mut Conn,
    node: &Node,
    file: &FileOf,
    rows: Vec<FileRow>,
    sorted: &mut Sorted,
) -> Result<(), RemovalError> {
    let mut named: Vec<(Option<Sealed>, RelativePath)> = Vec::new();
    for row in rows {
        match file.template.fill(&row.parts) {
            Ok(None) => sorted.keys.push(row.key),
            Ok(Some(path)) => {
                sorted.keys.push(row.key);
                named.push((row.parts.into_iter().next().flatten(), path));
            }
            Err(_) => sorted.refused.push(row.key),
        }
    }
    if context.stores.root(&file.store).is_none() {
        return Err(RemovalError::Doubt(format!("file store `{}` is not open", file.store)));
    }
    let shared =
        if file.may_be_shared { still_named(conn, node, file, &named, &sorted.keys)? } else { BTreeSet::new() };
    let paths = sorted.paths.entry(file.store.clone()).or_default();
    let mine = named.into_iter().filter(|(text, _)| text.as_ref().is_none_or(|text| !shared.contains(text)));
    // Two rows of the batch may name one file.
    let distinct: BTreeSet<RelativePath> = mine.map(|(_, path)| path).collect();
    sorted.planned = distinct.len() as u64;
    paths.extend(distinct);
    Ok(())
}

/// Those of the paths that rows outside the batch name too.
fn still_named(
    conn: &mut Conn,
    node: &Node,
    file: &FileOf,
    named: &[(Option<Sealed>, RelativePath)],
    keys: &[Vec<Sealed>],
) -> Result<BTreeSet<Sealed>, RemovalError> {
    let [(via, column)] = file.columns.as_slice() else { return Ok(BTreeSet::new()) };
    if named.is_empty() || !via.is_empty() {
        return Ok(BTreeSet::new());
    }
    let scope = node.own();
    let operand = Operand { scope: scope.clone(), column: column.clone() };
    let values = named.iter().filter_map(|(text, _)| text.clone()).map(Scalar::Row).collect();
    let condition = Expr::OneOf(operand.clone(), values)
        .and(Expr::Not(Box::new(Expr::KeyIn(node.key_operands(&scope), keys.to_vec().into()))));
    let read = Read {
        table: &node.at,
        columns: std::slice::from_ref(&operand),
        lookups: &[],
        condition: &condition,
        order: &[],
        skip: 0,
        limit: u64::from(u32::MAX),
        lock: false,
    };
    let rows = conn.rows(&statements::read(node.backend, &read))?;
    Ok(rows.into_iter().flat_map(|row| row.into_values().into_iter().flatten()).collect())
}

/// The trash folders of the stores that a batch touches, taken for this process alone.
pub(super) type Locked = BTreeMap<StoreName, files::Trash>;

/// Takes the trash folders that these files need; another run that holds one is waited for, for a while.
pub(super) fn lock(
    context: &Context<'_>,
    paths: &BTreeMap<StoreName, Vec<RelativePath>>,
) -> Result<Locked, RemovalError> {
    let mut locked = Locked::new();
    for (store, _) in paths.iter().filter(|(_, paths)| !paths.is_empty()) {
        let Some(root) = context.stores.root(store) else { continue };
        locked.insert(store.clone(), patiently(&context.stop, || root.lock())?);
    }
    Ok(locked)
}

/// How long another process may hold a trash folder before a run gives up.
const PATIENCE: Duration = Duration::from_secs(10);

/// Tries again while another process is in the way.
pub(super) fn patiently<T>(stop: &Stop, mut attempt: impl FnMut() -> Result<T, FileError>) -> Result<T, FileError> {
    let until = Instant::now() + PATIENCE;
    loop {
        match attempt() {
            Err(error) if error.kind == FileErrorKind::Conflict && Instant::now() < until && !stop.is_raised() => {
                std::thread::sleep(Duration::from_millis(20));
            }
            result => return result,
        }
    }
}

/// The trash of one batch over the file stores it touches.
#[derive(Default)]
pub(super) struct Trash<'a> {
    batches: Vec<TrashBatch<'a>>,
    pub missing: u64,
}

impl<'a> Trash<'a> {
    /// Moves the files. On an error, what was moved is put back.
    pub fn move_all(
        locked: &'a mut Locked,
        id: &str,
        mut paths: BTreeMap<StoreName, Vec<RelativePath>>,
    ) -> Result<Self, RemovalError> {
        let mut trash = Self::default();
        for (store, folder) in locked {
            let mut batch = folder.begin(id)?;
            for path in paths.remove(store).unwrap_or_default() {
                batch.plan(path);
            }
            match batch.trash_all() {
                Ok(counts) => {
                    trash.missing += counts.missing;
                    trash.batches.push(batch);
                }
                Err(error) => {
                    batch.roll_back()?;
                    trash.roll_back()?;
                    return Err(error.into());
                }
            }
        }
        Ok(trash)
    }

    /// The rows are gone: the files wait for the end of their grace.
    pub fn commit(self, context: &Context<'_>) -> Result<(), RemovalError> {
        for batch in self.batches {
            batch.commit(context.clock.now())?;
        }
        Ok(())
    }

    /// The rows stay: so do the files.
    pub fn roll_back(self) -> Result<(), RemovalError> {
        let mut conflicts = 0;
        for batch in self.batches {
            conflicts += batch.roll_back()?.conflicts;
        }
        if conflicts > 0 {
            return Err(RemovalError::Doubt(format!(
                "{conflicts} files could not be put back: others stand in their places"
            )));
        }
        Ok(())
    }
}

/// What a recovery of a file store did.
pub use crate::files::Recovery;

/// Settles what a killed run left in a file store's trash, by the ledgers of the databases that use it. `announce` is told
/// before the first of it is.
///
/// # Errors
/// When a ledger cannot be asked: then nothing is decided, and the run does not begin.
pub fn recover_files(
    root: &crate::files::Root,
    stores: &crate::graph::stores::Stores,
    databases: &[StoreName],
    ledgers: &BTreeMap<StoreName, bool>,
    stop: &Stop,
    now: DateTime<Utc>,
    announce: impl FnOnce() -> Result<(), RemovalError>,
) -> Result<Recovery, RemovalError> {
    let trash = patiently(stop, || root.lock())?;
    let mut announce = Some(announce);
    let settled = trash.recover(now, |batch| {
        announce.take().map_or(Ok(()), |announce| announce())?;
        for name in databases {
            if !ledgers.get(name).copied().unwrap_or_default() {
                continue;
            }
            let Some(database) = stores.database(name) else { continue };
            let mut conn = database.conn()?;
            if held::exclusively(&mut conn, |conn| ledger::has(conn, batch))? {
                return Ok(true);
            }
        }
        Ok::<bool, RemovalError>(false)
    });
    settled.map_err(|error| match error {
        RecoverError::Files(error) => error.into(),
        RecoverError::Ledger(error) => error,
    })
}

/// Unlinks what has been in the trash for longer than the grace.
///
/// # Errors
/// Of the file system; what was not unlinked is unlinked next time.
pub fn sweep_files(
    root: &crate::files::Root,
    stop: &Stop,
    now: DateTime<Utc>,
    grace: chrono::TimeDelta,
    announce: impl FnOnce(u64) -> Result<(), RemovalError>,
) -> Result<u64, RemovalError> {
    let trash = patiently(stop, || root.lock())?;
    match trash.due(now, grace)? {
        0 => {}
        files => announce(files)?,
    }
    Ok(trash.sweep(now, grace)?.files)
}
