//! Rows that were counted and stay: how a row is known again, entered, asked for and taken out.
//!
//! **Invariant.** A row is known by one text that the database itself computes ([`super::held`]), whenever it is entered,
//! asked for, or goes: of its key where the database gives out each key once, else of its key and its time. So a key that is
//! given out a second time (SQLite's row numbers, keys that an application makes) makes no new row one that was counted.

use sha2::{Digest as _, Sha256};

use super::expr::{Expr, Operand, Scope, TableRef};
use super::held::{Guarded, write_row_key};
use super::statements::{self, Access, text_type};
use crate::store::catalog::{Column, Table, TypeClass};
use crate::store::{Backend, Stmt};

/// What tells the rows of a table apart.
#[derive(Clone, Debug)]
pub struct Identity {
    backend: Backend,
    table: TableRef,
    columns: Vec<Column>,
    /// The table and these columns, as a hash: an entry that means another table, or other columns, has another.
    pub source: String,
}

impl Identity {
    /// Rows of a table with this key, aged by this column.
    pub fn of(backend: Backend, table: &Table, key: &[Column], time: Option<&Column>) -> Self {
        // SQLite gives the number of its last row out again once this row is gone.
        let once = |column: &Column| column.class == TypeClass::Uuid || (column.auto && backend != Backend::Sqlite);
        let mut columns = key.to_vec();
        let mut described = table.label();
        for column in key {
            described += &format!("\n{}", column.name.as_str());
        }
        if let Some(time) = time.filter(|_| !key.iter().any(once)) {
            described += &format!("\n{} {}", time.name.as_str(), time.declared);
            columns.push(time.clone());
        }
        let hash = Sha256::digest(described);
        let source = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Self { backend, table: TableRef::of(table), columns, source }
    }

    /// Whether a column is part of it.
    pub fn has(&self, column: &Column) -> bool {
        self.columns.iter().any(|own| own.name == column.name)
    }

    /// The rows that are entered in a fold, seen from `scope`.
    pub fn entered(&self, fold: i64, scope: &Scope) -> Expr {
        Expr::Folded(fold, self.operands(scope))
    }

    fn operands(&self, scope: &Scope) -> Vec<Operand> {
        self.columns.iter().map(|column| Operand { scope: scope.clone(), column: column.clone() }).collect()
    }

    /// The text that a row is known by, in statements on the table itself.
    fn text(&self, stmt: &mut Stmt) {
        stmt.sql("CAST(");
        write_row_key(stmt, self.backend, &self.operands(&Scope::Own(self.table.clone())));
        stmt.sql(" AS ").sql(text_type(self.backend)).sql(")");
    }

    /// Enters rows in a fold; the caller adds them to summaries in the same transaction.
    pub fn enter(&self, fold: i64, rows: &Guarded) -> Stmt {
        let mut stmt = Stmt::new("INSERT INTO retentiond_folded (fold, row_key) SELECT CAST(");
        stmt.policy(fold).sql(if self.backend == Backend::Mysql { " AS SIGNED), " } else { " AS BIGINT), " });
        self.text(&mut stmt);
        self.among(&mut stmt, rows);
        stmt
    }

    fn among(&self, stmt: &mut Stmt, rows: &Guarded) {
        stmt.sql(" FROM ");
        self.table.write(stmt);
        stmt.sql(" WHERE ");
        rows.condition().write(stmt, self.backend);
    }

    /// Locks rows and gives the texts that they are known by. For servers whose DELETE does not give any.
    pub fn lock(&self, rows: &Guarded) -> Stmt {
        let mut stmt = Stmt::new("SELECT ");
        self.text(&mut stmt);
        self.among(&mut stmt, rows);
        stmt.sql(" FOR UPDATE");
        stmt
    }

    /// Deletes rows and gives the texts that they were known by.
    pub fn delete(&self, access: Access, rows: &Guarded) -> Stmt {
        let mut stmt = statements::delete(self.backend, &self.table, access, rows);
        stmt.sql(" RETURNING ");
        self.text(&mut stmt);
        stmt
    }

    /// At most `limit` of the texts in a fold that no row is known by any more.
    pub fn gone(&self, fold: i64, limit: u64) -> Stmt {
        let mut stmt =
            Stmt::new("SELECT retentiond_folded.row_key FROM retentiond_folded WHERE retentiond_folded.fold = ");
        stmt.policy(fold);
        let text = |stmt: &mut Stmt| self.text(stmt);
        // Each in the one form in which its server reads either table once.
        if self.backend == Backend::Postgres {
            stmt.sql(" AND NOT EXISTS (SELECT 1 FROM ");
            self.table.write(&mut stmt);
            stmt.sql(" WHERE ");
            text(&mut stmt);
            stmt.sql(" = retentiond_folded.row_key)");
        } else {
            stmt.sql(" AND retentiond_folded.row_key NOT IN (SELECT ");
            text(&mut stmt);
            stmt.sql(" FROM ");
            self.table.write(&mut stmt);
            stmt.sql(" WHERE ");
            text(&mut stmt);
            stmt.sql(" IS NOT NULL)");
        }
        stmt.sql(" LIMIT ").policy(i64::try_from(limit).unwrap_or(i64::MAX));
        stmt
    }
}

pub(super) fn write(stmt: &mut Stmt, backend: Backend, fold: i64, key: &[Operand]) {
    stmt.sql("EXISTS (SELECT 1 FROM retentiond_folded WHERE retentiond_folded.fold = ").policy(fold);
    stmt.sql(" AND retentiond_folded.row_key = ");
    write_row_key(stmt, backend, key);
    // PostgreSQL would join, and read all that was ever entered for each stretch; so it looks each row up by the index.
    stmt.sql(if backend == Backend::Postgres { " OFFSET 0)" } else { ")" });
}
