//! The databases, through their own command line clients: nothing here shares code with the program.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support;

/// The databases that every case runs on.
pub const ALL: [Db; 3] = [Db::Sqlite, Db::Postgres, Db::Mariadb];

/// A kind of database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Db {
    /// A file.
    Sqlite,
    /// A server.
    Postgres,
    /// A server.
    Mariadb,
}

impl Db {
    /// The snippet of this database.
    pub fn pick<T>(self, sqlite: T, postgres: T, mariadb: T) -> T {
        match self {
            Self::Sqlite => sqlite,
            Self::Postgres => postgres,
            Self::Mariadb => mariadb,
        }
    }

    /// Writes the types of this database in place of `{instant}`, `{civil}`, `{text}`, `{name}`, `{bytes}`, `{flag}`,
    /// `{big}`; and names in brackets in its quotes.
    pub fn dialect(self, sql: &str) -> String {
        let types = [
            ("{instant}", self.pick("text", "timestamptz", "timestamp(6) NULL DEFAULT NULL")),
            ("{civil}", self.pick("text", "timestamp", "datetime(6)")),
            ("{text}", self.pick("text", "text", "varchar(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci")),
            ("{bytes}", self.pick("blob", "bytea", "varbinary(40)")),
            ("{flag}", self.pick("boolean", "boolean", "boolean")),
            ("{big}", self.pick("integer", "bigint", "bigint")),
            ("[", self.pick("\"", "\"", "`")),
            ("]", self.pick("\"", "\"", "`")),
        ];
        types.iter().fold(sql.to_owned(), |sql, (from, to)| sql.replace(from, to))
    }
}

/// A fresh database.
pub struct Database {
    /// Its kind.
    pub db: Db,
    /// Its address, as the program is told.
    pub url: String,
}

impl Database {
    /// Creates one.
    pub fn fresh(db: Db, folder: &Path) -> Self {
        let url = match db {
            Db::Sqlite => {
                let file = folder.join("store.db");
                std::fs::write(&file, "").unwrap();
                format!("sqlite:{}", file.display())
            }
            Db::Postgres => support::postgres().fresh_database(),
            Db::Mariadb => support::mariadb().fresh_database(),
        };
        Self { db, url }
    }

    /// Runs statements and gives what they print, one line for each row.
    pub fn sql(&self, sql: &str) -> Vec<String> {
        let mut command = match self.db {
            Db::Sqlite => {
                let mut command = Command::new("sqlite3");
                command.args(["-batch", "-bail", "-cmd", ".timeout 10000", self.url.trim_start_matches("sqlite:")]);
                command
            }
            Db::Postgres => {
                let mut command = Command::new("psql");
                // The test's server has a zone that nobody expects; the fixtures are written in UTC.
                command.env("PGTZ", "UTC");
                command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", &self.url]);
                command
            }
            Db::Mariadb => {
                self.mariadb("mariadb", &["-N", "-B", "--binary-as-hex", "--init-command=SET time_zone='+00:00'"])
            }
        };
        let quick = self.db.pick("PRAGMA synchronous=OFF;BEGIN;\n", "", "");
        let end = self.db.pick("\nCOMMIT;\n", "\n", "\n");
        output(&mut command, &format!("{quick}{}{end}", self.db.dialect(sql)))
    }

    fn mariadb(&self, program: &str, options: &[&str]) -> Command {
        let (host, name) = self.url.trim_start_matches("mysql://root@").split_once('/').unwrap();
        let (host, port) = host.split_once(':').unwrap();
        let mut command = Command::new(program);
        command.args(["--no-defaults", "-uroot", "--protocol=TCP", "--default-character-set=utf8mb4"]);
        command.args(options).args(["-h", host, "-P", port, name]);
        command
    }

    /// The rows of a table that satisfy a condition, every byte of them, in a stable order.
    pub fn dump(&self, table: &str, condition: &str) -> Vec<String> {
        let (quoted, condition) = (self.db.dialect(table), self.db.dialect(condition));
        let mut rows = match self.db {
            Db::Sqlite => {
                let file = self.url.trim_start_matches("sqlite:");
                let query = format!("SELECT * FROM {quoted} WHERE {condition};");
                output(
                    Command::new("sqlite3").args(["-batch", "-cmd", ".timeout 10000", file, ".mode quote"]).arg(query),
                    "",
                )
            }
            Db::Postgres => self.sql(&format!("COPY (SELECT * FROM {quoted} WHERE {condition}) TO STDOUT;")),
            Db::Mariadb => {
                let options =
                    ["--no-create-info", "--skip-extended-insert", "--compact", "--hex-blob", "--where", &condition];
                let mut command = self.mariadb("mariadb-dump", &options);
                let name = table.trim_matches(['[', ']']);
                output(command.arg(name), "").into_iter().filter(|line| line.starts_with("INSERT")).collect()
            }
        };
        rows.sort();
        rows
    }

    /// How many rows of a table satisfy a condition.
    pub fn count(&self, table: &str, condition: &str) -> u64 {
        self.sql(&format!("SELECT count(*) FROM {table} WHERE {condition};"))[0].parse().unwrap()
    }

    /// Inserts rows, each a list of values, a thousand to a statement.
    pub fn insert(&self, table: &str, rows: &[String]) {
        let statements: Vec<String> =
            rows.chunks(1_000).map(|rows| format!("INSERT INTO {table} VALUES ({});\n", rows.join("),("))).collect();
        self.sql(&statements.concat());
    }
}

fn output(command: &mut Command, input: &str) -> Vec<String> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    writer.join().unwrap().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}
