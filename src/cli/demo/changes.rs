//! Captured changes in the demonstration: what the application changes is written down by triggers, what retentiond has
//! removed is not.

use super::{Stage, expect};
use crate::control::{Exit, Failure};
use crate::demo::center;
use crate::store::catalog::Catalog;
use crate::store::pool::{Database, DatabaseSpec};
use crate::store::target::capture::CHANGES;
use crate::store::target::statements::{self, Read};
use crate::store::target::{Expr, TableRef};
use crate::store::url::StoreUrl;

/// As many captured changes are read at most: a handful is there.
const MOST: u64 = 100;

impl Stage {
    /// Somebody corrects an entry of the directory, and the triggers see it.
    pub(super) fn changes(&self) -> Result<(), Failure> {
        let captured = |store: &str| self.captured(store);
        for store in ["configuration", "directory", "operative", "outbound"] {
            expect(captured(store)?.is_empty(), "what retentiond removes is in its ledger, and not captured")?;
        }
        center::correct_entry(&mut *self.database("directory")?.conn()?)?;
        say!(
            "\n── Somebody corrects a user's entry. Triggers write down who changed what and when; the report below has it"
        );
        let changes = captured("directory")?;
        changes.iter().for_each(|change| say!("  {change}"));
        expect(changes.len() == 2, "each attribute that changed is captured")
    }

    fn database(&self, store: &str) -> Result<Database, Failure> {
        let path = self.directory.join(format!("{store}.db"));
        Ok(Database::open(DatabaseSpec::new(store, StoreUrl::Sqlite(path)))?)
    }

    /// The captured changes of a store, without the values.
    fn captured(&self, store: &str) -> Result<Vec<String>, Failure> {
        let missing = || Failure::new(Exit::Failed, "error: the demonstration captures no changes");
        let mut conn = self.database(store)?.conn()?;
        let catalog = Catalog::read(&mut conn)?;
        let table = catalog.table(None, CHANGES).ok_or_else(missing)?;
        let at = TableRef::of(table);
        let columns = ["id", "changed_at", "actor", "action", "data", "attribute"];
        let columns: Option<Vec<_>> =
            columns.iter().map(|name| table.column(name).map(|column| statements::own(&at, column))).collect();
        let columns = columns.ok_or_else(missing)?;
        let read = Read {
            table: &at,
            columns: &columns,
            lookups: &[],
            condition: &Expr::always(),
            order: &columns[..1],
            skip: 0,
            limit: MOST,
            lock: false,
        };
        let rows = conn.rows(&statements::read(catalog.backend, &read))?;
        let line = |row: crate::store::TextRow| {
            let values = row.into_values().into_iter().skip(1).flatten();
            values.map(|value| format!("{:<24}", value.expose())).collect::<String>().trim_end().to_owned()
        };
        Ok(rows.into_iter().map(line).collect())
    }
}
