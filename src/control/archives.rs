//! The archives that jobs have written: found, verified, and put into a table again.

use std::collections::BTreeSet;

use super::failure::{Exit, Failure};
use crate::archive::{self, Keys, Rows, Shelved, Values};
use crate::config::Loaded;
use crate::files::Shelf;
use crate::graph::stores::Stores;
use crate::jobs::audit_rollup::{self, ArchiveKeys};
use crate::names::{DataName, JobName};
use crate::removal::RemovalError;
use crate::store::catalog::{Catalog, Column, Lookup};
use crate::store::target::{TableRef, copies};
use crate::store::{Access, Conn};

/// Placeholders of one statement.
const PLACEHOLDERS: usize = 1_000;

/// The archives of one job.
pub struct Cabinet {
    /// The job.
    pub job: JobName,
    /// The entry whose rows they are.
    pub data: DataName,
    /// What the job says of them.
    pub keys: ArchiveKeys,
    /// Their folder; none before the first.
    pub shelf: Option<Shelf>,
    /// What lies in it, oldest first.
    pub shelved: Vec<Shelved>,
}

/// The archives of the jobs that were named, or of all.
///
/// # Errors
/// When a job is not there or has none, or a file store cannot be reached or read.
pub fn cabinets(loaded: &Loaded, stores: &Stores, jobs: &[JobName]) -> Result<Vec<Cabinet>, Failure> {
    let all = audit_rollup::archived(&loaded.document);
    if let Some(unknown) = jobs.iter().find(|name| !all.iter().any(|(job, ..)| job == *name)) {
        return Err(Failure::new(Exit::Usage, format!("error: there is no job `{unknown}` that archives")));
    }
    let mut cabinets = Vec::new();
    for (job, data, keys) in all.into_iter().filter(|(job, ..)| jobs.is_empty() || jobs.contains(job)) {
        let root = stores.root(&keys.store).ok_or_else(|| {
            Failure::new(Exit::Unreachable, format!("error: the file store `{}` cannot be opened", keys.store))
        })?;
        let shelf = root.shelf(job.as_str(), false).map_err(RemovalError::from)?;
        let shelved = shelf.as_ref().map(archive::shelved).transpose().map_err(RemovalError::from)?;
        cabinets.push(Cabinet { job, data, keys, shelf, shelved: shelved.unwrap_or_default() });
    }
    Ok(cabinets)
}

/// Puts the rows of archives into the table `into`, all of them in one transaction; gives how many.
///
/// # Errors
/// When the table is the one that the job folds (its rows would be folded and counted once more), lacks a column, or
/// refuses a row; when an archive is not what its manifest says. Nothing is written then.
pub fn restore(
    loaded: &Loaded,
    stores: &Stores,
    cabinet: &Cabinet,
    (batches, into): (&[String], &str),
    keys: &Keys,
) -> Result<u64, Failure> {
    let usage = |message: String| Failure::new(Exit::Usage, format!("error: {message}"));
    let known: BTreeSet<&str> = cabinet.shelved.iter().map(|shelved| shelved.manifest.batch.as_str()).collect();
    if let Some(unknown) = batches.iter().find(|batch| !known.contains(batch.as_str())) {
        return Err(usage(format!("job `{}` has no archive `{unknown}`", cabinet.job)));
    }
    let chosen: Vec<&Shelved> = cabinet
        .shelved
        .iter()
        .filter(|shelved| !shelved.pending && (batches.is_empty() || batches.contains(&shelved.manifest.batch)))
        .collect();
    let Some(shelf) = &cabinet.shelf else { return Ok(0) };
    // Nothing is put into a table before all of it was read once.
    for shelved in &chosen {
        if !shelved.verify(shelf, keys).map_err(RemovalError::from)? {
            return Err(usage(format!("archive {} is encrypted; --identity names its secret key", shelved.file())));
        }
    }
    let entry = loaded.document.data.get(cabinet.data.as_str());
    let database = entry.and_then(|entry| stores.database(entry.store.as_ref()?)).ok_or_else(|| {
        Failure::new(Exit::Unreachable, format!("error: the store of `{}` is not open", cabinet.data))
    })?;
    let mut conn = database.conn()?;
    let catalog = Catalog::read(&mut conn)?;
    let find = |name: &str| match catalog.find(name) {
        Lookup::Found(table) => Some(table),
        _ => None,
    };
    let table = find(into).ok_or_else(|| {
        usage(format!("there is no table `{into}` in the store of `{}`: make one like its own first", cabinet.data))
    })?;
    let own = entry.and_then(|entry| find(entry.table.as_ref()?));
    if own.is_some_and(|own| own.label() == table.label()) {
        let message =
            format!("job `{}` folds `{into}`: it would fold these rows, and count them, once more", cabinet.job);
        return Err(usage(format!("{message}; restore them into another table")));
    }
    let at = TableRef::of(table);
    let mut restored = 0;
    conn.transaction::<(), RemovalError>(Access::ReadWrite, |conn| {
        for shelved in &chosen {
            let columns = shelved.manifest.columns.iter().map(|column| {
                let found = table.column(&column.name).ok_or_else(|| {
                    RemovalError::Refused(format!(
                        "table `{into}` has no column `{}`; nothing was restored",
                        column.name
                    ))
                })?;
                Ok((!found.generated).then(|| found.clone()))
            });
            let columns = columns.collect::<Result<Vec<_>, RemovalError>>()?;
            let rows = Rows::open(shelf, &shelved.file(), &shelved.manifest, keys)?;
            restored += put(conn, &at, &columns, rows)?;
        }
        Ok(())
    })?;
    Ok(restored)
}

fn put(conn: &mut Conn, table: &TableRef, columns: &[Option<Column>], mut rows: Rows) -> Result<u64, RemovalError> {
    let backend = conn.backend();
    let most = (PLACEHOLDERS / columns.len().max(1)).max(1);
    let (mut batch, mut written): (Vec<Values>, u64) = (Vec::new(), 0);
    loop {
        let row = rows.next_row()?;
        let ended = row.is_none();
        batch.extend(row);
        if batch.len() >= most || (ended && !batch.is_empty()) {
            written += conn.execute(&copies::insert(backend, table, columns, &batch))?;
            batch.clear();
        }
        if ended {
            return Ok(written);
        }
    }
}
