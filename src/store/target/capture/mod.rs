//! Triggers that write changes of operators' rows into a table of retentiond's own: the SQL, for people to read and to run.
//!
//! A trigger is one statement for each of insert, update and delete, in terms of the columns as the catalog shows them: an
//! insert yields a row for each attribute that has a value, an update one for each attribute that changed, a deletion one
//! row. Whom it is about is the key of the person whom the row names. Who did it is what the application says (`retentiond.actor` on PostgreSQL, `@retentiond_actor` on MariaDB, the table
//! `retentiond_actor` on SQLite), else the database user. Such SQL takes no bound values: names and types come from the
//! catalog, and what stands between quotes is checked by [`Capture::new`].
//!
//! **Invariant.** No value of the application's is too long for what a trigger writes: names and keys are cut or hashed to
//! their columns, so that a capture refuses no write. On PostgreSQL the function runs as who installed it: it names the
//! tables with their schema, looks for functions in `pg_catalog` first and in temporary tables last, and nobody else may
//! call it. Test: `capture`.
//!
//! What retentiond itself removes or anonymises is in its ledger and its trail, and is not captured: a change row for each
//! would name, for as long as changes are kept, who was erased ([`crate::store::removing`]).
//!
//! What no trigger sees: cascades of MariaDB's foreign keys, `TRUNCATE`, and `REPLACE` on SQLite without
//! `recursive_triggers`.

mod body;

use sha2::{Digest as _, Sha256};

use super::expr::TableRef;
use crate::store::catalog::{Catalog, Column, Table};
use crate::store::{Backend, Ident, Stmt};

/// The table of changes.
pub const CHANGES: &str = "retentiond_changes";
/// What was captured, and for which shape of the table.
pub const CAPTURED: &str = "retentiond_captured";
/// The key of hashed values.
pub const KEY: &str = "retentiond_capture_key";
/// SQLite: who writes.
pub const ACTOR: &str = "retentiond_actor";
/// SQLite: who writes while retentiond removes rows.
pub const REMOVES: &str = "retentiond:removes";
/// What triggers and their functions are called.
pub const PREFIX: &str = "retentiond_capture_";

const KINDS: [&str; 3] = ["insert", "update", "delete"];

/// How the values of an entry are written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// As they are.
    Plain,
    /// As a keyed hash. SQLite has none: there it is only told that a value changed.
    Hashed,
}

/// Where retentiond's own tables of a database are.
#[derive(Clone, Debug)]
pub struct Home {
    backend: Backend,
    /// PostgreSQL's schema.
    schema: Option<Ident>,
    /// What a session of retentiond's proves itself by: the hash of what only who may read the key can say.
    proof: Option<String>,
}

impl Home {
    /// That of a database.
    ///
    /// # Errors
    /// When PostgreSQL's search path names no schema.
    pub fn of(catalog: &Catalog) -> Result<Self, String> {
        let schema = catalog.default_schema.as_ref().map(Ident::found);
        if catalog.backend == Backend::Postgres && schema.is_none() {
            return Err("the role's search_path names no schema for the table of changes".to_owned());
        }
        Ok(Self { backend: catalog.backend, schema, proof: None })
    }

    /// The same, where this is the key of hashed values: triggers then pass over what sessions that know it remove.
    #[must_use]
    pub fn with_key(self, secret: Option<&str>) -> Self {
        Self { proof: secret.map(|secret| hex(&Sha256::digest(password(secret)), 32)), ..self }
    }

    /// Whether all tables of a capture are there.
    pub fn is_there(catalog: &Catalog) -> bool {
        let third = if catalog.backend == Backend::Sqlite { ACTOR } else { KEY };
        let there = |name: &str| catalog.table(catalog.default_schema.as_deref(), name).is_some();
        [CHANGES, CAPTURED, third].into_iter().all(there)
    }

    /// Writes the name of a table or function of ours, where the schema can and must be said. SQLite's triggers cannot.
    pub fn write(&self, stmt: &mut Stmt, name: &str) {
        if let Some(schema) = self.schema.as_ref().filter(|_| self.backend == Backend::Postgres) {
            stmt.name(schema).sql(".");
        }
        stmt.name(&Ident::found(name));
    }
}

/// One table whose changes are captured.
#[derive(Clone, Debug)]
pub struct Capture {
    backend: Backend,
    home: Home,
    data: String,
    at: TableRef,
    label: String,
    key: Vec<Column>,
    person: Vec<Column>,
    columns: Vec<Column>,
    values: Values,
}

/// What is said of a table whose changes are captured.
#[derive(Clone, Copy, Debug)]
pub struct Captured<'a> {
    /// The entry.
    pub data: &'a str,
    /// Its key.
    pub key: &'a [Column],
    /// The columns that hold the key of the person whom a row is about.
    pub person: &'a [Column],
    /// How values are written down.
    pub values: Values,
}

impl Capture {
    /// The table of an entry.
    ///
    /// # Errors
    /// Why it cannot be captured.
    pub fn new(home: &Home, table: &Table, said: Captured<'_>) -> Result<Self, String> {
        let name = table.label();
        if name.contains(['\'', '\\', '$']) {
            return Err(format!("the name of table `{name}` has a quote, a backslash or a dollar in it"));
        }
        if let Some(odd) = table.columns.iter().find(|column| column.name.as_str().contains(['\'', '\\', '$'])) {
            return Err(format!(
                "the name of column `{}` has a quote, a backslash or a dollar in it",
                odd.name.as_str()
            ));
        }
        Ok(Self {
            backend: home.backend,
            home: home.clone(),
            data: said.data.to_owned(),
            at: TableRef::of(table),
            label: name,
            key: said.key.to_vec(),
            person: said.person.to_vec(),
            columns: table.columns.clone(),
            values: said.values,
        })
    }

    /// The entry.
    pub fn data(&self) -> &str {
        &self.data
    }

    /// The table, as [`Table::label`] has it.
    pub fn table(&self) -> &str {
        &self.label
    }

    /// The names of its triggers, and what each of them does, as the catalog shows it.
    pub fn triggers(&self) -> Vec<(String, String)> {
        match self.backend {
            Backend::Postgres => vec![(self.base(), self.postgres_body().to_text(self.backend))],
            Backend::Mysql | Backend::Sqlite => KINDS
                .iter()
                .map(|kind| {
                    let mut action = Stmt::default();
                    self.write_action(&mut action, kind);
                    (self.trigger(kind), action.to_text(self.backend))
                })
                .collect(),
        }
    }

    /// `retentiond_capture_` and the entry, shortened where the database's names would be too long: 63 characters on
    /// PostgreSQL; on MariaDB 64, of which `_insert` takes 7.
    fn base(&self) -> String {
        let most = match self.backend {
            Backend::Postgres => 63,
            Backend::Mysql => 57,
            Backend::Sqlite => usize::MAX,
        };
        if PREFIX.len() + self.data.len() <= most {
            return format!("{PREFIX}{}", self.data);
        }
        let hash = hex(&Sha256::digest(&self.data), 4);
        let begin: String = self.data.chars().take(most - PREFIX.len() - 9).collect();
        format!("{PREFIX}{begin}_{hash}")
    }

    fn trigger(&self, kind: &str) -> String {
        format!("{}_{kind}", self.base())
    }

    /// The shape that the triggers are made for: another one when a column comes, goes or changes its type.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        for stmt in self.install() {
            hash.update(stmt.to_text(self.backend));
        }
        hex(&hash.finalize(), 16)
    }

    /// The statements that install the triggers; none of theirs is there yet.
    pub fn install(&self) -> Vec<Stmt> {
        match self.backend {
            Backend::Postgres => self.install_postgres(),
            Backend::Mysql | Backend::Sqlite => KINDS.iter().map(|kind| self.install_one(kind)).collect(),
        }
    }

    /// The statements that take the triggers away.
    pub fn remove(&self) -> Vec<Stmt> {
        let mut statements: Vec<Stmt> =
            self.triggers().iter().map(|(name, _)| drop_trigger(self.backend, &self.at, name)).collect();
        if self.backend == Backend::Postgres {
            statements.push(drop_function(&self.home, &self.base()));
        }
        statements
    }

    /// One function for the three, run as who installs it: an application need not write to the table of changes.
    fn install_postgres(&self) -> Vec<Stmt> {
        let name = self.base();
        let mut function = Stmt::new("CREATE FUNCTION ");
        self.home.write(&mut function, &name);
        function.sql("() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path TO pg_catalog, ");
        if let Some(schema) = &self.home.schema {
            function.name(schema).sql(", ");
        }
        function.sql("pg_temp AS $capture$").append(&self.postgres_body()).sql("$capture$");
        let mut revoke = Stmt::new("REVOKE ALL ON FUNCTION ");
        self.home.write(&mut revoke, &name);
        revoke.sql("() FROM PUBLIC");
        let mut trigger = Stmt::new("CREATE TRIGGER ");
        trigger.name(&Ident::found(name.clone())).sql(" AFTER INSERT OR UPDATE OR DELETE ON ");
        self.at.write(&mut trigger);
        trigger.sql(" FOR EACH ROW EXECUTE FUNCTION ");
        self.home.write(&mut trigger, &name);
        trigger.sql("()");
        vec![function, revoke, trigger]
    }

    fn install_one(&self, kind: &'static str) -> Stmt {
        let mut stmt = Stmt::new("CREATE TRIGGER ");
        stmt.name(&Ident::found(self.trigger(kind))).sql(match kind {
            "insert" => " AFTER INSERT ON ",
            "update" => " AFTER UPDATE ON ",
            _ => " AFTER DELETE ON ",
        });
        self.at.write(&mut stmt);
        stmt.sql(" FOR EACH ROW ");
        self.write_action(&mut stmt, kind);
        stmt
    }
}

/// What a session says before it removes rows: it follows from the key, and nothing of the key follows from it.
pub fn password(secret: &str) -> String {
    hex(&Sha256::digest(format!("retentiond removes {secret}")), 32)
}

fn hex(bytes: &[u8], most: usize) -> String {
    bytes.iter().take(most).map(|byte| format!("{byte:02x}")).collect()
}

/// Takes a trigger away, whoever it was made for.
pub fn drop_trigger(backend: Backend, table: &TableRef, name: &str) -> Stmt {
    let mut stmt = Stmt::new("DROP TRIGGER IF EXISTS ");
    stmt.name(&Ident::found(name));
    if backend == Backend::Postgres {
        stmt.sql(" ON ");
        table.write(&mut stmt);
    }
    stmt
}

/// Takes the function of a trigger away (PostgreSQL).
pub fn drop_function(home: &Home, name: &str) -> Stmt {
    let mut stmt = Stmt::new("DROP FUNCTION IF EXISTS ");
    home.write(&mut stmt, name);
    // Nothing but triggers can depend on it; one that is switched off is not among those that are known.
    stmt.sql("() CASCADE");
    stmt
}
