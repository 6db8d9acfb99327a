//! The rows of a stretch written to an archive before they go, within the transaction that folds them.
//!
//! **Invariant.** The archive holds exactly the rows that the same transaction deletes: they are read under the very
//! condition of the deletion, from one snapshot (on MariaDB they are locked), and their number is the deletion's. Only
//! after the commit does the file become an archive; what a killed run left is settled by the ledger before anything new
//! is begun. Tests: `archives`.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Deserialize;

use super::fold::{Stretch, doubt};
use super::summary::Reader;
use crate::archive::{self, ArchiveError, Archived, Format, Frame, Manifest, Recipient, Writer};
use crate::config::document::Document;
use crate::config::period::Keep;
use crate::files::Shelf;
use crate::graph::Node;
use crate::names::{JobName, StoreName};
use crate::redact::Sealed;
use crate::removal::{RemovalError, Undone};
use crate::store::catalog::TypeClass;
use crate::store::target::{Operand, copies};
use crate::store::url::StoreUrl;
use crate::store::{Conn, ErrorKind, StoreError, ledger};

use super::super::session::Look;

/// Rows that are read and written at a time.
const PAGE: u64 = 2_000;

/// Where the raw rows go before they are purged.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ArchiveKeys {
    /// The file store that takes them; each job has a folder of its own there.
    pub store: StoreName,
    /// How they are written: `"jsonl.zst"` or `"csv.gz"`.
    pub format: Format,
    /// How long an archive is kept, counted from its newest row.
    pub keep: Keep,
    /// A public key of age (`"age1…"`) that archives are encrypted to. The secret key stays elsewhere.
    pub encrypt_to: Option<String>,
}

impl ArchiveKeys {
    /// The keys as plain data, for the policy.
    pub(super) fn plain(&self) -> [(&'static str, String); 4] {
        [
            ("store", self.store.to_string()),
            ("format", self.format.as_str().to_owned()),
            ("keep", self.keep.to_string()),
            ("encrypt_to", self.encrypt_to.clone().unwrap_or_default()),
        ]
    }
}

/// Mistakes of the keys.
pub(super) fn check(reader: &mut Reader<'_>, keys: &ArchiveKeys, source: &Node, document: &Document) {
    match document.stores.get(&keys.store) {
        None => {
            let near = crate::config::diagnostic::did_you_mean(
                keys.store.as_str(),
                document.stores.keys().map(StoreName::as_str),
            );
            let help = near.map(|near| format!("did you mean `{near}`?"));
            reader.error(&["archive", "store"], format!("there is no store `{}`", keys.store), help);
        }
        Some(store) => {
            let url = store.url.as_ref().and_then(|url| url.resolve().ok()).and_then(|url| StoreUrl::parse(&url).ok());
            if url.is_some_and(|url| !matches!(url, StoreUrl::Files(_))) {
                let message = format!("`{}` is a database; an archive is kept in a file store", keys.store);
                reader.error(&["archive", "store"], message, "url = \"file:/srv/archive\"".to_owned());
            }
        }
    }
    if source.key.is_empty() {
        let message = format!("`{}` has no key, so its rows cannot be read one after the other", source.name);
        reader.error(&["archive"], message, format!("say key = [\"…\"] in [data.{}]", source.name));
    }
    if document.stores.get(&source.store).is_some_and(|store| !store.ledger) {
        let message = format!("store `{}` has no ledger, so nobody knows which archives are whole", source.store);
        reader.error(&["archive"], message, None);
    }
    if let Some(Err(why)) = keys.encrypt_to.as_deref().map(Recipient::parse) {
        reader.error(&["archive", "encrypt_to"], why, None);
    }
}

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
            .shelf(job.as_str(), true)?
            .ok_or_else(|| RemovalError::Refused(format!("the folder of archives in `{}` went away", keys.store)))?;
        let scope = node.own();
        let operand = |column: &crate::store::catalog::Column| Operand { scope: scope.clone(), column: column.clone() };
        let order: Vec<Operand> =
            node.age.iter().map(|age| age.operand(&scope)).chain(node.key.iter().map(operand)).collect();
        let columns = node.table.columns.iter().map(|column| {
            let number = matches!(column.class, TypeClass::Integer { .. });
            Archived::of(column.name.as_str(), &column.declared, number)
        });
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
        })
    }

    /// Settles what a killed run left behind.
    pub fn recover(&self, conn: &mut Conn) -> Result<(u64, u64), RemovalError> {
        archive::recover(&self.shelf, |batch| Ok(ledger::has(conn, batch)?))
    }

    /// Writes the rows of a stretch; they stay pending.
    pub fn write(
        &self,
        conn: &mut Conn,
        node: &Node,
        stretch: &Stretch,
        (batch, now): (&str, DateTime<Utc>),
    ) -> Result<Manifest, Undone> {
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
            columns: &self.columns,
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
        writer.finish(period, now).map_err(failed)
    }

    /// After the commit.
    pub fn committed(&self, manifest: &Manifest) -> Result<(), RemovalError> {
        archive::promote(&self.shelf, &manifest.file()).map_err(error)
    }

    /// After a rollback that is certain.
    pub fn undone(&self, batch: &str) -> Result<(), RemovalError> {
        archive::undo(&self.shelf, batch).map_err(error)
    }

    /// Removes what its `keep` has run out for.
    pub fn expire(&self, keep: &Keep, look: &Look<'_>) -> Result<u64, RemovalError> {
        archive::expire(&self.shelf, keep, look.document.timezone, look.now).map_err(error)
    }
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
