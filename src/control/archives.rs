//! The archives that jobs have written: found, verified, and put into a table again.

pub mod show;

use std::collections::BTreeSet;

use super::failure::{Exit, Failure};
use super::recording;
use crate::archive::{self, Folder, Keys, Rows, Shelved, Values};
use crate::config::Loaded;
use crate::config::diagnostic::Diagnostics;
use crate::config::document::Document;
use crate::config::period::Keep;
use crate::files::Shelf;
use crate::graph::stores::Stores;
use crate::jobs::audit_rollup;
use crate::names::{JobName, StoreName};
use crate::removal::RemovalError;
use crate::store::catalog::{Catalog, Column, Lookup, Table, TableKind};
use crate::store::pool::Database;
use crate::store::target::{TableRef, copies};
use crate::store::{Access, Conn};
use crate::trail::Act;

/// Placeholders of one statement.
const PLACEHOLDERS: usize = 1_000;

/// The archives of one job.
pub struct Cabinet {
    /// The job; one that is in the file no more has its folder still.
    pub job: JobName,
    /// The file store.
    pub store: StoreName,
    /// How long the job keeps archives; none where no job looks after them.
    pub keep: Option<Keep>,
    /// Their folder; none before the first.
    pub shelf: Option<Shelf>,
    /// What lies in it.
    pub folder: Folder,
}

/// The archives of the jobs that were named, or of all: also of those that are in the file no more.
///
/// # Errors
/// When a job is not there or has none, or a file store cannot be reached or read.
pub fn cabinets(document: &Document, stores: &Stores, jobs: &[JobName]) -> Result<Vec<Cabinet>, Failure> {
    let wanted = |job: &JobName| {
        let named = |name: &JobName| name == job || (name.tenant().is_none() && name.as_str() == job.in_file());
        jobs.is_empty() || jobs.iter().any(named)
    };
    let mut cabinets = Vec::new();
    for (job, _, keys) in audit_rollup::archived(document).into_iter().filter(|(job, ..)| wanted(job)) {
        for folder in [job.in_file()].into_iter().chain(keys.formerly.iter().map(JobName::in_file)) {
            let (shelf, folder) = look(stores, &keys.store, folder)?;
            if shelf.is_some() || !jobs.is_empty() {
                let (store, keep) = (keys.store.clone(), Some(keys.keep.clone()));
                cabinets.push(Cabinet { job: job.clone(), store, keep, shelf, folder });
            }
        }
    }
    for (store, name) in unattended(document, stores).map_err(Failure::from)?.into_iter().filter(|(_, job)| wanted(job))
    {
        let (shelf, folder) = look(stores, &store, name.in_file())?;
        cabinets.push(Cabinet { job: name, store, keep: None, shelf, folder });
    }
    match jobs.iter().find(|name| {
        let own = |job: &JobName| *name == job || (name.tenant().is_none() && name.as_str() == job.in_file());
        !cabinets.iter().any(|cabinet| own(&cabinet.job))
    }) {
        Some(unknown) => Err(Failure::new(Exit::Usage, format!("error: there is no job `{unknown}` that archives"))),
        None => Ok(cabinets),
    }
}

fn look(stores: &Stores, store: &StoreName, folder: &str) -> Result<(Option<Shelf>, Folder), Failure> {
    let root = stores
        .root(store)
        .ok_or_else(|| Failure::new(Exit::Unreachable, format!("error: the file store `{store}` cannot be opened")))?;
    let shelf = root.shelf(folder, false).map_err(RemovalError::from)?;
    let found = shelf.as_ref().map(archive::survey).transpose().map_err(RemovalError::from)?;
    Ok((shelf, found.unwrap_or_default()))
}

/// Folders of archives that no job of the file looks after, with their stores. Stores with the files of rows have none.
fn unattended(document: &Document, stores: &Stores) -> Result<Vec<(StoreName, JobName)>, RemovalError> {
    let mut attended: BTreeSet<(StoreName, String)> = BTreeSet::new();
    for (job, _, keys) in audit_rollup::archived(document) {
        let names = keys.formerly.iter().chain([&job]);
        attended.extend(names.map(|name| (keys.store.clone(), name.in_file().to_owned())));
    }
    let of_rows = |store: &StoreName| {
        document.data.values().any(|entry| entry.file.as_ref().is_some_and(|file| file.store == *store))
    };
    let mut found = Vec::new();
    for (store, root) in stores.roots().filter(|(store, _)| !of_rows(store)) {
        for folder in root.folders()? {
            let Ok(job) = folder.parse::<JobName>() else { continue };
            if attended.contains(&(store.clone(), folder)) {
                continue;
            }
            let Some(shelf) = root.shelf(job.in_file(), false)? else { continue };
            if shelf.names()?.iter().any(|name| archive::is_own(name)) {
                found.push((store.clone(), job));
            }
        }
    }
    Ok(found)
}

/// Warns of archives that nothing removes, since their job is in the file no more.
pub(super) fn warn(document: &Document, stores: &Stores, diagnostics: &mut Diagnostics) {
    // A folder that cannot be read now is no mistake of the file; `archive list` says what is wrong with it.
    for (store, job) in unattended(document, stores).unwrap_or_default() {
        let message =
            format!("store `{store}` has archives of `{job}`, which no job looks after: nothing removes them");
        let help = format!("say formerly = [\"{job}\"] in the `archive` of the job that goes on with it");
        diagnostics.warning(vec!["stores".to_owned(), store.to_string()], message).with_help(Some(help));
    }
}

/// Puts the rows of archives into the table `into`, all of them in one transaction; gives how many.
///
/// # Errors
/// When the table is one that a job folds, or a part of it (its rows would be folded and counted once more), lacks a
/// column, or refuses a row; when an archive is not what its manifest says. Nothing is written then.
pub fn restore(
    (loaded, stores, memory): (&Loaded, &Stores, &Database),
    cabinet: &Cabinet,
    (batches, into): (&[String], &str),
    keys: &Keys,
) -> Result<u64, Failure> {
    let chosen = chosen(cabinet, batches)?;
    let (Some(shelf), Some(first)) = (&cabinet.shelf, chosen.first()) else { return Ok(0) };
    // Nothing is put into a table before all of it was read once.
    for shelved in &chosen {
        if !shelved.verify(shelf, keys).map_err(RemovalError::from)? {
            return Err(usage(format!("archive {} is encrypted; --identity names its secret key", shelved.file())));
        }
    }
    let from = &first.manifest.store;
    if chosen.iter().any(|other| other.manifest.store != *from) {
        return Err(usage("these archives come from several stores; --batch names those of one".to_owned()));
    }
    let store: StoreName = from.parse().map_err(|_| usage(format!("`{from}` is no name of a store")))?;
    let database = stores
        .database(&store)
        .ok_or_else(|| Failure::new(Exit::Unreachable, format!("error: store `{store}` is not open")))?;
    let mut conn = database.conn()?;
    let catalog = Catalog::read(&mut conn)?;
    let table = target(&loaded.document, &store, &catalog, into)?;
    let data = first.manifest.data.parse().map_err(|_| usage("a manifest names no entry".to_owned()))?;
    let (archives, rows) = (chosen.len() as u64, chosen.iter().map(|shelved| shelved.manifest.rows).sum());
    let act = Act::ArchivesRestored { data, store: cabinet.store.clone(), archives, rows };
    recording::note_for(memory, &cabinet.job, act).map_err(RemovalError::from)?;
    let mut restored = 0;
    conn.transaction::<(), RemovalError>(Access::ReadWrite, |conn| {
        for shelved in &chosen {
            let columns = columns(table, shelved)?;
            let rows = Rows::open(shelf, &shelved.file(), &shelved.manifest, keys)?;
            restored += put(conn, &TableRef::of(table), &columns, rows)?;
        }
        Ok(())
    })?;
    Ok(restored)
}

fn usage(message: String) -> Failure {
    Failure::new(Exit::Usage, format!("error: {message}"))
}

/// The archives that were named, or all; none of them broken or pending.
fn chosen<'c>(cabinet: &'c Cabinet, batches: &[String]) -> Result<Vec<&'c Shelved>, Failure> {
    let folder = &cabinet.folder;
    if batches.is_empty() {
        if let Some(broken) = folder.broken.first() {
            let message = format!("error: {broken}; nothing was restored (--batch names those that are whole)");
            return Err(Failure::new(Exit::Failed, message));
        }
        return Ok(folder.shelved.iter().filter(|shelved| !shelved.pending).collect());
    }
    let find = |batch: &String| match folder.shelved.iter().find(|shelved| shelved.manifest.batch == *batch) {
        None => Err(usage(format!("job `{}` has no archive `{batch}`", cabinet.job))),
        Some(shelved) if shelved.pending => {
            Err(usage(format!("`{batch}` is pending: its rows are still in their table, as far as is known")))
        }
        Some(shelved) => Ok(shelved),
    };
    let once: BTreeSet<&String> = batches.iter().collect();
    once.into_iter().map(find).collect()
}

/// The table that rows are put into.
fn target<'c>(document: &Document, store: &StoreName, catalog: &'c Catalog, into: &str) -> Result<&'c Table, Failure> {
    let find = |name: &str| match catalog.find(name) {
        Lookup::Found(table) => Some(table),
        _ => None,
    };
    let table = find(into)
        .ok_or_else(|| usage(format!("there is no table `{into}` in store `{store}`: make one like its own first")))?;
    if !matches!(table.kind, TableKind::Table | TableKind::Partitioned) {
        return Err(usage(format!("`{into}` is no table of its own: rows put there would lie elsewhere")));
    }
    let within = |one: &Table, other: &Table| {
        one.label() == other.label()
            || one.partitions.iter().chain(&one.ancestors).any(|part| part.label() == other.label())
    };
    let entries = audit_rollup::folds(document).into_iter().filter_map(|fold| {
        let entry = document.data.get(&fold.data).filter(|entry| entry.store.as_ref() == Some(store))?;
        Some((fold.job, find(entry.table.as_ref()?)?))
    });
    for (job, folded) in entries {
        if within(table, folded) || within(folded, table) {
            let message = format!("job `{job}` folds `{into}`: it would fold these rows, and count them, once more");
            return Err(usage(format!("{message}; restore them into another table")));
        }
    }
    Ok(table)
}

/// The columns of an archive as the table has them; those that it computes are left out.
fn columns(table: &Table, shelved: &Shelved) -> Result<Vec<Option<Column>>, RemovalError> {
    let found = |name: &str| {
        table.column(name).ok_or_else(|| {
            let message = format!("table `{}` has no column `{name}`; nothing was restored", table.label());
            RemovalError::Refused(message)
        })
    };
    let columns = shelved.manifest.columns.iter();
    columns.map(|column| Ok(Some(found(&column.name)?).filter(|found| !found.generated).cloned())).collect()
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
