//! Triggers that write changes of operators' rows into a table of retentiond's own: the SQL, for people to read and to run.
//!
//! A trigger is one statement for each of insert, update and delete, in terms of the columns as the catalog shows them: an
//! insert yields a row for each attribute that has a value, an update one for each attribute that changed, a deletion one
//! row. Who did it is what the application says (`retentiond.actor` on PostgreSQL, `@retentiond_actor` on MariaDB, the table
//! `retentiond_actor` on SQLite), else the database user. Such SQL takes no bound values: names and types come from the
//! catalog, and what stands between quotes is checked by [`Capture::new`].
//!
//! What no trigger sees: cascades of MariaDB's foreign keys, `TRUNCATE`, and `REPLACE` on SQLite without
//! `recursive_triggers`.

use sha2::{Digest as _, Sha256};

use super::expr::TableRef;
use crate::store::catalog::{Column, Table, TypeClass};
use crate::store::{Backend, Ident, Stmt};

/// The table of changes.
pub const CHANGES: &str = "retentiond_changes";
/// What was captured, and for which shape of the table.
pub const CAPTURED: &str = "retentiond_captured";
/// What triggers and their functions are called.
pub const PREFIX: &str = "retentiond_capture_";

/// The longest name of an entry that fits into the name of a trigger.
const LONGEST: usize = 40;
const KINDS: [&str; 3] = ["insert", "update", "delete"];

/// How the values of an entry are written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// As they are.
    Plain,
    /// As a keyed hash. SQLite has none: there it is only told that a value changed.
    Hashed,
}

/// One table whose changes are captured.
#[derive(Clone, Debug)]
pub struct Capture {
    backend: Backend,
    data: String,
    at: TableRef,
    key: Vec<Column>,
    columns: Vec<Column>,
    values: Values,
}

impl Capture {
    /// The table of an entry.
    ///
    /// # Errors
    /// Why it cannot be captured.
    pub fn new(backend: Backend, data: &str, table: &Table, key: &[Column], values: Values) -> Result<Self, String> {
        if data.len() > LONGEST {
            return Err(format!("the entry's name is longer than {LONGEST} characters"));
        }
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
            backend,
            data: data.to_owned(),
            at: TableRef::of(table),
            key: key.to_vec(),
            columns: table.columns.clone(),
            values,
        })
    }

    /// The entry.
    pub fn data(&self) -> &str {
        &self.data
    }

    /// The names of its triggers.
    pub fn triggers(&self) -> Vec<String> {
        match self.backend {
            Backend::Postgres => vec![format!("{PREFIX}{}", self.data)],
            Backend::Mysql | Backend::Sqlite => {
                KINDS.iter().map(|kind| format!("{PREFIX}{}_{kind}", self.data)).collect()
            }
        }
    }

    /// The shape that the triggers are made for: another one when a column comes, goes or changes its type.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        for stmt in self.install() {
            hash.update(stmt.to_text(self.backend));
        }
        hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
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
        let mut statements = Vec::new();
        for name in self.triggers() {
            let mut stmt = Stmt::new("DROP TRIGGER IF EXISTS ");
            if self.backend == Backend::Postgres {
                stmt.name(&Ident::found(name.clone())).sql(" ON ");
                self.at.write(&mut stmt);
                statements.push(stmt);
                stmt = Stmt::new("DROP FUNCTION IF EXISTS ");
            }
            stmt.name(&Ident::found(name));
            statements.push(stmt);
        }
        statements
    }

    /// One function for the three, run as who installs it: an application need not write to the table of changes.
    fn install_postgres(&self) -> Vec<Stmt> {
        let name = Ident::found(format!("{PREFIX}{}", self.data));
        let mut function = Stmt::new("CREATE FUNCTION ");
        function.name(&name).sql(
            "() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $capture$\nBEGIN\n",
        );
        for kind in KINDS {
            function.sql("  IF TG_OP = ").policy(kind.to_ascii_uppercase()).sql(" THEN\n    ");
            self.write_insert(&mut function, kind);
            function.sql(";\n  END IF;\n");
        }
        function.sql("  RETURN NULL;\nEND $capture$");
        let mut trigger = Stmt::new("CREATE TRIGGER ");
        trigger.name(&name).sql(" AFTER INSERT OR UPDATE OR DELETE ON ");
        self.at.write(&mut trigger);
        trigger.sql(" FOR EACH ROW EXECUTE FUNCTION ").name(&name).sql("()");
        vec![function, trigger]
    }

    fn install_one(&self, kind: &'static str) -> Stmt {
        let mut stmt = Stmt::new("CREATE TRIGGER ");
        stmt.name(&Ident::found(format!("{PREFIX}{}_{kind}", self.data))).sql(match kind {
            "insert" => " AFTER INSERT ON ",
            "update" => " AFTER UPDATE ON ",
            _ => " AFTER DELETE ON ",
        });
        self.at.write(&mut stmt);
        stmt.sql(" FOR EACH ROW ");
        if self.backend == Backend::Sqlite {
            stmt.sql("BEGIN ");
        }
        self.write_insert(&mut stmt, kind);
        if self.backend == Backend::Sqlite {
            stmt.sql("; END");
        }
        stmt
    }

    /// `INSERT INTO retentiond_changes … SELECT now, who, kind, entry, key, attribute, value FROM (attributes) c WHERE …`
    fn write_insert(&self, stmt: &mut Stmt, kind: &'static str) {
        let row = if kind == "delete" { "OLD." } else { "NEW." };
        stmt.sql(
            "INSERT INTO retentiond_changes (changed_at, actor, action, data, row_key, attribute, new_value) SELECT ",
        );
        stmt.sql(match self.backend {
            Backend::Postgres => {
                "clock_timestamp(), COALESCE(NULLIF(current_setting('retentiond.actor', true), ''), session_user), "
            }
            Backend::Mysql => "UTC_TIMESTAMP(6), COALESCE(NULLIF(@retentiond_actor, ''), SESSION_USER()), ",
            Backend::Sqlite => {
                "strftime('%Y-%m-%d %H:%M:%f', 'now'), COALESCE((SELECT name FROM retentiond_actor LIMIT 1), ''), "
            }
        });
        stmt.policy(kind).sql(", ").policy(self.data.as_str()).sql(", ");
        self.write_key(stmt, row);
        if kind == "delete" {
            stmt.sql(", '*', NULL");
            return;
        }
        stmt.sql(", c.attribute, ");
        self.write_value(stmt);
        stmt.sql(" FROM (");
        for (index, column) in self.columns.iter().enumerate() {
            stmt.sql(if index == 0 { "SELECT " } else { " UNION ALL SELECT " });
            stmt.policy(column.name.as_str()).sql(" AS attribute, ");
            if kind == "update" {
                self.as_text(stmt, column, "OLD.");
                stmt.sql(" AS was, ");
            }
            self.as_text(stmt, column, "NEW.");
            stmt.sql(" AS is_now");
        }
        stmt.sql(") c WHERE ");
        stmt.sql(match (kind, self.backend) {
            ("insert", _) => "c.is_now IS NOT NULL",
            (_, Backend::Postgres) => "c.was IS DISTINCT FROM c.is_now",
            (_, Backend::Mysql) => "NOT (BINARY c.was <=> BINARY c.is_now)",
            (_, Backend::Sqlite) => "c.was IS NOT c.is_now",
        });
    }

    /// The key as text, parts after each other; a table without a key has none.
    fn write_key(&self, stmt: &mut Stmt, row: &'static str) {
        if self.key.is_empty() {
            stmt.sql("''");
            return;
        }
        let joined = self.backend == Backend::Mysql && self.key.len() > 1;
        if joined {
            stmt.sql("CONCAT(");
        }
        for (index, column) in self.key.iter().enumerate() {
            if index > 0 {
                stmt.sql(if joined { ", ':', " } else { " || ':' || " });
            }
            self.as_text(stmt, column, row);
        }
        if joined {
            stmt.sql(")");
        }
    }

    /// H(k ‖ H(k ‖ value)), so that nobody without the key can try out values; the key lies in `retentiond_capture_key`.
    fn write_value(&self, stmt: &mut Stmt) {
        stmt.sql(match (self.values, self.backend) {
            (Values::Plain, _) => "c.is_now",
            (Values::Hashed, Backend::Postgres) => {
                "(SELECT encode(sha256(convert_to(k.secret || encode(sha256(convert_to(k.secret || c.is_now, 'UTF8')), \
                 'hex'), 'UTF8')), 'hex') FROM retentiond_capture_key k)"
            }
            (Values::Hashed, Backend::Mysql) => {
                "(SELECT SHA2(CONCAT(k.secret, SHA2(CONCAT(k.secret, c.is_now), 256)), 256) FROM retentiond_capture_key k)"
            }
            (Values::Hashed, Backend::Sqlite) => "NULL",
        });
    }

    fn as_text(&self, stmt: &mut Stmt, column: &Column, row: &'static str) {
        let bytes = column.class == TypeClass::Bytes;
        let (before, after) = match self.backend {
            Backend::Postgres if bytes => ("encode(", ", 'hex')"),
            Backend::Postgres => ("CAST(", " AS text)"),
            Backend::Mysql if bytes => ("HEX(", ")"),
            Backend::Mysql => ("CAST(", " AS CHAR CHARACTER SET utf8mb4)"),
            Backend::Sqlite if bytes => ("hex(", ")"),
            Backend::Sqlite => ("CAST(", " AS TEXT)"),
        };
        stmt.sql(before).sql(row).name(&column.name).sql(after);
    }
}
