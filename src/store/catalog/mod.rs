//! What a database is made of, read once per check or run: tables, columns, keys, foreign keys, triggers, privileges.
//!
//! Plain data: everything that decides about a deletion (the graph, the plan, the strategies) asks this picture and not
//! the server. Each reader needs a handful of queries for the whole database, however many tables it has. The names in it
//! are the only ones that can be put into a statement.

mod fingerprint;
mod mysql;
mod mysql_grants;
mod mysql_sql;
mod postgres;
mod postgres_sql;
mod rows;
mod sqlite;
mod sqlite_ddl;
mod sqlite_sql;
mod table;

pub use fingerprint::reaches_further;
pub use table::{
    Check, Column, FkAction, ForeignKey, Index, Partition, Privileges, Table, TableKind, Timing, Trigger, TypeClass,
};

use super::{Backend, Conn, Ident, StoreError};

/// Which server it is; only what readers and strategies distinguish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerVersion {
    /// `15` of PostgreSQL 15.6, `10` of MariaDB 10.11.8, `3` of SQLite 3.51.
    pub major: u32,
    /// `6` of PostgreSQL 15.6, `11` of MariaDB 10.11.8, `51` of SQLite 3.51.
    pub minor: u32,
    /// Whether a MySQL server is MariaDB.
    pub mariadb: bool,
    /// What the server says of itself.
    pub text: String,
}

impl ServerVersion {
    fn parse(text: &str) -> Self {
        let mut numbers = text.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok());
        let (major, minor) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        Self { major, minor, mariadb: text.to_ascii_lowercase().contains("mariadb"), text: text.to_owned() }
    }

    /// Whether it is at least this version.
    pub fn at_least(&self, major: u32, minor: u32) -> bool {
        (self.major, self.minor) >= (major, minor)
    }
}

/// The picture of one database.
#[derive(Clone, Debug)]
pub struct Catalog {
    /// Which database.
    pub backend: Backend,
    /// Its version.
    pub version: ServerVersion,
    /// Where a table without a schema is looked for: PostgreSQL's first schema of the search path, MariaDB's connected
    /// database; `None` on SQLite.
    pub default_schema: Option<String>,
    /// All tables and views that the role may see, by schema and name.
    pub tables: Vec<Table>,
}

/// What came of looking for a table.
#[derive(Clone, Debug)]
pub enum Lookup<'a> {
    /// This one.
    Found(&'a Table),
    /// Several schemas have it and the default schema does not: their `schema.table` names.
    Ambiguous(Vec<String>),
    /// None of this name; the names that may have been meant, the likeliest first, three at most.
    Missing {
        /// Names as they would have to be written.
        near: Vec<String>,
    },
}

impl Catalog {
    /// Reads the catalog in a handful of queries.
    ///
    /// # Errors
    /// What the database said.
    pub fn read(conn: &mut Conn) -> Result<Self, StoreError> {
        let mut catalog = match conn.backend() {
            Backend::Postgres => postgres::read(conn),
            Backend::Mysql => mysql::read(conn),
            Backend::Sqlite => sqlite::read(conn),
        }
        .map_err(|error| error.context("the database's catalog could not be read"))?;
        if conn.backend() == Backend::Mysql {
            catalog.forget_schemas();
        }
        catalog.tables.sort_by(|a, b| (&a.schema, &a.name).cmp(&(&b.schema, &b.name)));
        Ok(catalog)
    }

    /// On MySQL a schema is a database, and this is one: its name before each table would only be noise.
    fn forget_schemas(&mut self) {
        for table in &mut self.tables {
            let own = table.schema.take();
            for key in &mut table.foreign_keys {
                if key.target_schema.as_deref() == own.as_ref().map(Ident::as_str) {
                    key.target_schema = None;
                }
            }
        }
        self.default_schema = None;
    }

    /// Looks for a table as the operator wrote it: `table` or `schema.table`. The dot may belong to the table's own
    /// name. Upper and lower case count, since servers fold names differently: another spelling is `near`, not found.
    /// Views are found too; their [`Table::kind`] says so.
    pub fn find(&self, written: &str) -> Lookup<'_> {
        let bare: Vec<&Table> = self.tables.iter().filter(|table| table.name.as_str() == written).collect();
        if let Some(table) = bare.iter().find(|table| self.is_default(table)) {
            return Lookup::Found(table);
        }
        if let Some(table) = self.tables.iter().find(|table| table.schema.is_some() && table.label() == written) {
            return Lookup::Found(table);
        }
        match bare.as_slice() {
            [table] => Lookup::Found(table),
            [] => Lookup::Missing { near: self.near(written) },
            several => Lookup::Ambiguous(several.iter().map(|table| table.label()).collect()),
        }
    }

    /// The table of these exact names, as a foreign key gives them.
    pub fn table(&self, schema: Option<&str>, name: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.schema_str() == schema && table.name.as_str() == name)
    }

    /// All foreign keys that point to `table`, each with the table that it stands on, itself included.
    ///
    /// A key of a partitioned table is given once, with the partitioned table; a key that only one partition has is
    /// given with the partitioned table too, and [`ForeignKey::on_partition`] names the partition. Keys that point to a
    /// partition of `table`, or to the table that `table` is a partition of, are among them.
    pub fn references_to(&self, table: &Table) -> Vec<(&Table, &ForeignKey)> {
        let reaches = |key: &ForeignKey| {
            let target = (key.target_schema.as_deref(), key.target.as_str());
            target == (table.schema_str(), table.name.as_str())
                || table.partitions.iter().any(|part| target == part.pair())
                || table.ancestors.iter().any(|above| target == above.pair())
        };
        let parents = self.tables.iter().filter(|from| from.ancestors.is_empty());
        parents
            .flat_map(|from| from.foreign_keys.iter().filter(|key| reaches(key)).map(move |key| (from, key)))
            .collect()
    }

    fn is_default(&self, table: &Table) -> bool {
        table.schema.is_none() || table.schema_str() == self.default_schema.as_deref()
    }

    /// How an operator has to write this table: without the default schema.
    pub fn written(&self, table: &Table) -> String {
        if self.is_default(table) { table.name.as_str().to_owned() } else { table.label() }
    }

    fn near(&self, written: &str) -> Vec<String> {
        let wanted = written.to_lowercase();
        let mut scored: Vec<(f64, bool, String)> = self
            .tables
            .iter()
            .map(|table| {
                let score = |name: &str| {
                    let name = name.to_lowercase();
                    if name == wanted { 2.0 } else { strsim::jaro_winkler(&name, &wanted) }
                };
                (score(table.name.as_str()).max(score(&table.label())), !self.is_default(table), self.written(table))
            })
            .filter(|(score, _, _)| *score > 0.8)
            .collect();
        scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| (a.1, &a.2).cmp(&(b.1, &b.2))));
        scored.truncate(3);
        scored.into_iter().map(|(_, _, name)| name).collect()
    }
}

/// A name that stands in a catalog answer.
fn ident(name: &str) -> Ident {
    Ident::found(name)
}
