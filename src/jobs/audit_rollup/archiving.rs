//! The rows of a stretch written to an archive before they go, within the transaction that folds them.
//!
//! **Invariant.** The archive holds exactly the rows that the same transaction deletes: they are read under the very
//! condition of the deletion, from one snapshot (on MariaDB they are locked), and their number is the deletion's. Only
//! after the commit does the file become an archive; what a killed run left is settled by the ledger before anything new
//! is begun. Settling and expiring happen behind the gate, with the job's lease and leave to go on. The trail says each of
//! it before, and outside of transactions: it may lie in the very file that a transaction has locked. Tests: `archives`.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use super::archive_keys::ArchiveKeys;
use super::fold::{Stretch, doubt};
use crate::archive::{self, ArchiveError, Archived, Digits, Format, Frame, Manifest, Recipient, Unsettled, Writer};
use crate::config::period::Keep;
use crate::files::Shelf;
use crate::graph::Node;
use crate::names::{DataName, JobName, StoreName};
use crate::redact::Sealed;
use crate::removal::{Context, Halt, RemovalError, Task, Undone, blocked, next_id, transact_in};
use crate::store::catalog::{Column, TypeClass};
use crate::store::target::{Operand, copies};
use crate::store::{Access, Backend, Conn, ErrorKind, StoreError, ledger};
use crate::trail::{Act, Digest};

use super::super::session::Look;

/// Rows that are read and written at a time.
const PAGE: u64 = 2_000;
/// So often something is tried while others hold the gate.
const PATIENCE: u32 = 50;

/// The archives of a job.
pub(super) struct Archiving {
    shelf: Shelf,
    format: Format,
    recipient: Option<Recipient>,
    columns: Vec<Archived>,
    /// All columns, then those of the order.
    operands: Vec<Operand>,
    /// The time column and the key: rows are read in their order.
    order: Vec<Operand>,
    job: String,
    run: String,
    store: StoreName,
    keep: Keep,
    /// The zone and the instant that `keep` counts back from.
    present: (Tz, DateTime<Utc>),
    /// The folders of former names.
    former: Vec<Shelf>,
}

impl Archiving {
    /// Opens the job's folder, made where it is missing.
    pub fn open(
        look: &Look<'_>,
        (job, run): (&JobName, &str),
        keys: &ArchiveKeys,
        node: &Node,
    ) -> Result<Self, RemovalError> {
        let root = look.stores.root(&keys.store).ok_or_else(|| {
            StoreError::new(ErrorKind::Unreachable, format!("the file store `{}` is not open", keys.store))
        })?;
        let shelf = root
            .shelf(job.in_file(), true)?
            .ok_or_else(|| RemovalError::Refused(format!("the folder of archives in `{}` went away", keys.store)))?;
        let former = keys.formerly.iter().map(|name| root.shelf(name.in_file(), false));
        let former = former.filter_map(Result::transpose).collect::<Result<Vec<_>, _>>()?;
        let scope = node.own();
        let operand = |column: &Column| Operand { scope: scope.clone(), column: column.clone() };
        let order: Vec<Operand> =
            node.age.iter().map(|age| age.operand(&scope)).chain(node.key.iter().map(operand)).collect();
        let columns = node.table.columns.iter().map(|column| archived(column, keys.format, node.backend));
        let recipient = keys.encrypt_to.as_deref().map(Recipient::parse).transpose().map_err(RemovalError::Doubt)?;
        Ok(Self {
            shelf,
            format: keys.format,
            recipient,
            columns: columns.collect(),
            operands: node.table.columns.iter().map(operand).chain(order.iter().cloned()).collect(),
            order,
            job: job.to_string(),
            run: run.to_owned(),
            store: keys.store.clone(),
            keep: keys.keep.clone(),
            present: (look.document.timezone, look.now),
            former,
        })
    }

    /// Settles what a killed run left behind. What the trail says of it is what a look before the gate has found.
    pub fn settle(
        &self,
        context: &mut Context<'_>,
        conn: &mut Conn,
        (task, node): (&Task, &Node),
    ) -> Result<Option<Halt>, RemovalError> {
        if let Some(halt) = context.permit.next()? {
            return Ok(Some(halt));
        }
        let left = self.left(conn, node)?;
        let mut acts = left.kept().map(|said| self.written_act(said, node)).collect::<Result<Vec<_>, _>>()?;
        let (kept, undone) = left.counts();
        if kept + undone > 0 {
            acts.push(Act::ArchivesSettled { data: node.name.clone(), store: self.store.clone(), kept, undone });
        }
        context.permit.trail().record(acts)?;
        self.behind_the_gate(context, conn, (task, node), |conn| Ok(self.left(conn, node)?.settle(&self.shelf)?))
    }

    fn left(&self, conn: &mut Conn, node: &Node) -> Result<Unsettled, RemovalError> {
        archive::unsettled(&self.shelf, node.store.as_str(), |batch| Ok(ledger::has(conn, batch)?))
    }

    /// Removes what its `keep` has run out for, each behind the gate. What is broken stays, and is said at the end.
    pub fn expire(
        &self,
        context: &mut Context<'_>,
        conn: &mut Conn,
        (task, node): (&Task, &Node),
    ) -> Result<Option<Halt>, RemovalError> {
        let mut broken = None;
        for shelf in self.former.iter().chain([&self.shelf]) {
            let folder = archive::survey(shelf)?;
            broken = broken.or_else(|| folder.broken.into_iter().next());
            let (zone, now) = self.present;
            for old in folder.shelved.iter().filter(|old| archive::is_over(old, &self.keep, zone, now)) {
                if let Some(halt) = context.permit.next()? {
                    return Ok(Some(halt));
                }
                let (data, store, sha256) = self.named(&old.manifest, node)?;
                context.permit.trail().record(vec![Act::ArchiveExpired { data, store, sha256 }])?;
                let removed = self.behind_the_gate(context, conn, (task, node), |_| Ok(archive::remove(shelf, old)?));
                if let Some(halt) = removed? {
                    return Ok(Some(halt));
                }
            }
        }
        broken.map_or(Ok(None), |error| {
            Err(RemovalError::Doubt(format!("{error}; `retentiond archive verify` tells more")))
        })
    }

    /// How the trail names an archive.
    fn named(&self, said: &Manifest, node: &Node) -> Result<(DataName, StoreName, Digest), RemovalError> {
        let sha256 = Digest::parse(&said.sha256)
            .ok_or_else(|| RemovalError::Doubt(format!("the manifest of archive {} has no SHA-256", said.batch)))?;
        Ok((said.data.parse().unwrap_or_else(|_| node.name.clone()), self.store.clone(), sha256))
    }

    fn written_act(&self, said: &Manifest, node: &Node) -> Result<Act, RemovalError> {
        let (data, store, sha256) = self.named(said, node)?;
        Ok(Act::ArchiveWritten { data, store, rows: said.rows, sha256 })
    }

    /// Does something in a transaction behind the gate: nobody takes the job over meanwhile.
    fn behind_the_gate(
        &self,
        context: &mut Context<'_>,
        conn: &mut Conn,
        (task, node): (&Task, &Node),
        mut work: impl FnMut(&mut Conn) -> Result<(), RemovalError>,
    ) -> Result<Option<Halt>, RemovalError> {
        for _ in 0..PATIENCE {
            if let Some(halt) = context.permit.next()? {
                return Ok(Some(halt));
            }
            let id = next_id(context);
            let context = &*context;
            let done = transact_in(context, conn, task, node, (&id, Access::ReadWrite), |conn| {
                work(conn).map(|()| Vec::new()).map_err(Undone::Failed)
            })?;
            if done.is_some() {
                return Ok(None);
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        Err(blocked(node))
    }

    /// Writes the rows of a stretch; they stay pending. Where a value is not of the type of its column, what was written
    /// goes, and all of it is written anew, that column as text: this very transaction is the only one that could commit it.
    pub fn write(
        &self,
        conn: &mut Conn,
        node: &Node,
        stretch: &Stretch,
        (batch, now): (&str, DateTime<Utc>),
    ) -> Result<Manifest, Undone> {
        let mut columns = self.columns.clone();
        loop {
            match self.attempt(conn, node, (stretch, &columns), (batch, now))? {
                Attempt::Written(manifest) => return Ok(*manifest),
                Attempt::Misfit(place) => {
                    archive::undo(&self.shelf, batch).map_err(failed)?;
                    let as_text = |(at, column): (usize, Archived)| if at == place { column.as_text() } else { column };
                    columns = columns.into_iter().enumerate().map(as_text).collect();
                }
            }
        }
    }

    fn attempt(
        &self,
        conn: &mut Conn,
        node: &Node,
        (stretch, archived): (&Stretch, &[Archived]),
        (batch, now): (&str, DateTime<Utc>),
    ) -> Result<Attempt, Undone> {
        let table = node.table.label();
        let frame = Frame {
            batch,
            run: &self.run,
            job: &self.job,
            data: node.name.as_str(),
            store: node.store.as_str(),
            table: &table,
            format: self.format,
            recipient: self.recipient.as_ref(),
            columns: archived,
        };
        let mut writer = Writer::begin(&self.shelf, frame).map_err(failed)?;
        let (mut after, mut ends): (Option<Vec<Sealed>>, Option<(Sealed, Sealed)>) = (None, None);
        loop {
            let (columns, order) = (self.operands.as_slice(), self.order.as_slice());
            let page = copies::page(node.backend, &node.at, columns, (order, after.as_deref()), &stretch.rows, PAGE);
            let rows = conn.rows(&page)?;
            let last = (rows.len() as u64) < PAGE;
            for row in rows {
                let mut values = row.into_values();
                let key: Option<Vec<Sealed>> = values.split_off(self.columns.len()).into_iter().collect();
                let Some(key) = key else { return Err(doubt(format!("`{}`: a row has no time or key", node.name))) };
                if let Some(time) = key.first() {
                    let first = ends.take().map_or_else(|| time.clone(), |(first, _)| first);
                    ends = Some((first, time.clone()));
                }
                after = Some(key);
                if let Some(place) = writer.misfit(&values) {
                    return Ok(Attempt::Misfit(place));
                }
                writer.row(&values).map_err(failed)?;
            }
            if last {
                break;
            }
        }
        let read = |time: &Sealed| node.age.as_ref().and_then(|age| age.read(time.expose()));
        let period = ends.and_then(|(first, newest)| Some((read(&first)?, read(&newest)?)));
        let Some(period) = period else {
            return Err(doubt(format!("`{}`: the rows of an archive have no time", node.name)));
        };
        Ok(Attempt::Written(Box::new(writer.finish(period, now).map_err(failed)?)))
    }

    /// After the commit: it becomes an archive, and the trail says so first.
    pub fn committed(&self, context: &Context<'_>, manifest: &Manifest, node: &Node) -> Result<(), RemovalError> {
        context.permit.trail().record(vec![self.written_act(manifest, node)?])?;
        archive::promote(&self.shelf, &manifest.file()).map_err(error)
    }

    /// After a rollback that is certain.
    pub fn undone(&self, batch: &str) -> Result<(), RemovalError> {
        archive::undo(&self.shelf, batch).map_err(error)
    }
}

/// What became of writing an archive.
enum Attempt {
    Written(Box<Manifest>),
    /// The place of a column that has a value of another type.
    Misfit(usize),
}

/// A column as it is archived. Where all values of a column are of one type, as in Parquet, numbers beyond 64 bits with
/// their sign are text.
fn archived(column: &Column, format: Format, backend: Backend) -> Archived {
    let number = match column.class {
        TypeClass::Integer { unsigned_big } => !(unsigned_big && format == Format::Parquet),
        _ => false,
    };
    let digits = if backend == Backend::Postgres { Digits::Lower } else { Digits::Upper };
    let bytes = (column.class == TypeClass::Bytes).then_some(digits);
    Archived { number, bytes, ..Archived::of(column.name.as_str(), &column.declared) }
}

impl From<ArchiveError> for RemovalError {
    fn from(error: ArchiveError) -> Self {
        match error {
            ArchiveError::Files(error) => Self::Files(error),
            broken @ ArchiveError::Broken { .. } => Self::Doubt(format!("{broken}; nothing was purged")),
        }
    }
}

fn error(error: ArchiveError) -> RemovalError {
    error.into()
}

fn failed(error: ArchiveError) -> Undone {
    Undone::Failed(error.into())
}
