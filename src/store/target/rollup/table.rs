//! The table of summaries that does not exist yet, as SQL for people to read and to run.

use crate::store::catalog::{Column, TypeClass};
use crate::store::{Backend, Conn, Ident, Stmt, StoreError, TypeName};

use super::OTHER;
use crate::store::session::make_tables;

/// What a column of a new table holds.
#[derive(Clone, Debug)]
pub enum NewColumn {
    /// The period, as text.
    Period,
    /// The number of the supplement.
    Supplement,
    /// A number of rows or of values.
    Count,
    /// A sum.
    Sum,
    /// What a column of the rows holds, told apart byte by byte.
    Dimension(Column),
    /// What a column of the rows holds.
    Like(Column),
}

/// A table to be made.
#[derive(Clone, Debug)]
pub struct NewTable {
    name: Vec<Ident>,
    columns: Vec<(Ident, NewColumn)>,
}

impl PartialEq for NewTable {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl NewTable {
    /// A table called `name` (or `schema.name`).
    ///
    /// # Errors
    /// When a name is not plain: a letter or `_`, then letters, digits or `_`, 60 characters at most. Unlike all others,
    /// these names come from the file and not from a catalog.
    pub fn new(name: &str, columns: Vec<(String, NewColumn)>) -> Result<Self, String> {
        let plain = |name: &str| {
            let mut chars = name.chars();
            let fits = chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_') && name.len() <= 60;
            if fits && chars.all(|c| c.is_ascii_alphanumeric() || c == '_') {
                Ok(Ident::found(name))
            } else {
                Err(format!("`{name}` is no name for a new table or column; make the table by hand"))
            }
        };
        let name = name.split('.').map(plain).collect::<Result<Vec<_>, _>>()?;
        let columns = columns.into_iter().map(|(name, column)| Ok((plain(&name)?, column)));
        Ok(Self { name, columns: columns.collect::<Result<Vec<_>, String>>()? })
    }

    /// Its name.
    pub fn label(&self) -> String {
        self.name.iter().map(Ident::as_str).collect::<Vec<_>>().join(".")
    }

    /// The statements that make it.
    pub fn statements(&self, backend: Backend) -> Vec<Stmt> {
        let mut create = Stmt::new("CREATE TABLE ");
        self.write_name(&mut create);
        create.sql(" (\n");
        for (index, (name, column)) in self.columns.iter().enumerate() {
            create.sql(if index == 0 { "    " } else { ",\n    " }).name(name).sql(" ");
            column.write(&mut create, backend);
        }
        create.sql(if backend == Backend::Mysql { "\n) ENGINE = InnoDB" } else { "\n)" });
        let mut statements = vec![create];
        let period = self.columns.iter().find(|(_, column)| matches!(column, NewColumn::Period));
        if let (Some((period, _)), Some(table)) = (period, self.name.last()) {
            let mut index = Stmt::new("CREATE INDEX ");
            index.name(&Ident::found(format!("{}_ix", table.as_str()))).sql(" ON ");
            self.write_name(&mut index);
            index.sql(" (").name(period).sql(")");
            statements.push(index);
        }
        statements
    }

    /// Makes it.
    ///
    /// # Errors
    /// When the role may not.
    pub fn create(&self, conn: &mut Conn) -> Result<(), StoreError> {
        for stmt in self.statements(conn.backend()) {
            let made = make_tables(conn, &stmt.to_text(conn.backend()));
            made.map_err(|error| error.context(&format!("table {} cannot be made", self.label())))?;
        }
        Ok(())
    }

    fn write_name(&self, stmt: &mut Stmt) {
        for (index, part) in self.name.iter().enumerate() {
            stmt.sql(if index == 0 { "" } else { "." }).name(part);
        }
    }
}

impl NewColumn {
    fn write(&self, stmt: &mut Stmt, backend: Backend) {
        match self {
            Self::Period => stmt.sql(match backend {
                Backend::Postgres => "VARCHAR(40) NOT NULL",
                Backend::Mysql => "VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL",
                Backend::Sqlite => "TEXT NOT NULL",
            }),
            Self::Supplement | Self::Count => stmt.sql("BIGINT NOT NULL"),
            Self::Sum => stmt.sql(match backend {
                Backend::Postgres => "NUMERIC NULL",
                Backend::Mysql => "DECIMAL(38,0) NULL",
                Backend::Sqlite => "INTEGER NULL",
            }),
            Self::Dimension(column) if matches!(column.class, TypeClass::Text | TypeClass::Enum) => match backend {
                Backend::Postgres | Backend::Sqlite => stmt.sql("TEXT NULL"),
                Backend::Mysql => {
                    let most = column.max_chars.unwrap_or(255).max(OTHER.len() as u64);
                    let text = if most > 1_000 { "TEXT".to_owned() } else { format!("VARCHAR({most})") };
                    stmt.type_name(&TypeName::found(text)).sql(" CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL")
                }
            },
            Self::Dimension(column) | Self::Like(column) => {
                stmt.type_name(&TypeName::found(column.declared.clone())).sql(" NULL")
            }
        };
    }
}
