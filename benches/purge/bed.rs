//! Databases to measure on: made once, brought back to the same state before each measurement.

use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::data::{Rows, TABLES};
use crate::server::{self, client, run_sql};

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Postgres,
    Mariadb,
    Sqlite,
}

/// A database and what it is made anew from.
pub struct Bed {
    pub engine: Engine,
    /// The address of the database that is purged.
    pub url: String,
    template: String,
    folder: Option<TempDir>,
}

/// What a measurement found.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    pub rows: u64,
    pub seconds: f64,
}

impl Timing {
    /// Rows a second.
    pub fn rate(self) -> f64 {
        self.rows as f64 / self.seconds
    }
}

impl Bed {
    /// Makes and fills the template. `shuffled`: events lie on disk in no order.
    pub fn make(engine: Engine, events: u64, shuffled: bool) -> Self {
        let bed = Self::named(engine, &format!("bench_{}{}", events / 1000, if shuffled { "_shuffled" } else { "" }));
        bed.fill(events, shuffled);
        bed
    }

    /// An empty database, which is not made anew from anything.
    pub fn empty(engine: Engine) -> Self {
        let bed = Self::named(engine, "bench_empty");
        match engine {
            Engine::Postgres => drop(run_sql(
                &server::postgres().url("postgres"),
                "DROP DATABASE IF EXISTS bench WITH (FORCE);\nCREATE DATABASE bench;\n",
            )),
            Engine::Mariadb => {}
            Engine::Sqlite => drop(std::fs::File::create(bed.file()).expect("an empty file")),
        }
        bed
    }

    fn named(engine: Engine, name: &str) -> Self {
        let (template, url, folder) = match engine {
            Engine::Postgres => {
                let base = server::postgres();
                run_sql(&base.url("postgres"), &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
                run_sql(&base.url("postgres"), &format!("CREATE DATABASE {name}"));
                (base.url(name), base.url("bench"), None)
            }
            Engine::Mariadb => {
                let base = server::mariadb();
                for db in [name, "bench"] {
                    run_sql(&base.url("mysql"), &format!("DROP DATABASE IF EXISTS {db}; CREATE DATABASE {db}"));
                }
                (base.url(name), base.url("bench"), None)
            }
            Engine::Sqlite => {
                let folder = tempfile::tempdir().expect("a temporary directory");
                let file = |name: &str| format!("sqlite:{}", folder.path().join(name).display());
                (file("template.db"), file("bench.db"), Some(folder))
            }
        };
        Self { engine, url, template, folder }
    }

    fn fill(&self, events: u64, shuffled: bool) {
        let (before, after) = schema(self.engine);
        run_sql(&self.template, before);
        let rows = Rows::of(events);
        for table in TABLES {
            rows.load(&self.template, table);
        }
        if shuffled {
            run_sql(
                &self.template,
                "ALTER TABLE contact_events RENAME TO ordered;
                 CREATE TABLE contact_events AS SELECT * FROM ordered ORDER BY hashint8(id); DROP TABLE ordered",
            );
        }
        run_sql(&self.template, after);
        if self.engine == Engine::Mariadb {
            // Only what is purged is made anew each time; its parents stay as they are.
            run_sql(&self.url, before);
            let source = database(&self.template);
            let copies = ["contacts", "recordings"].map(|t| format!("INSERT INTO {t} SELECT * FROM {source}.{t};"));
            run_sql(&self.url, &format!("SET foreign_key_checks=0, unique_checks=0; {}", copies.join("")));
        }
    }

    /// The address of what outlives a reset: tables that a purge needs are created there.
    pub fn lasting(&self) -> &str {
        if self.engine == Engine::Mariadb { &self.url } else { &self.template }
    }

    /// Brings the database back to the state of the template, in memory and with nothing left to write.
    pub fn reset(&self) {
        match self.engine {
            Engine::Postgres => {
                let maintenance = server::postgres().url("postgres");
                let (db, template) = (database(&self.url), database(&self.template));
                run_sql(&maintenance, &format!("DROP DATABASE IF EXISTS {db} WITH (FORCE)"));
                run_sql(&maintenance, &format!("CREATE DATABASE {db} TEMPLATE {template} STRATEGY file_copy"));
                run_sql(
                    &self.url,
                    "CREATE EXTENSION IF NOT EXISTS pg_prewarm;
                     SELECT sum(pg_prewarm(oid)) FROM pg_class
                     WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'i'); CHECKPOINT",
                );
            }
            Engine::Mariadb => {
                let source = database(&self.template);
                let events = schema(self.engine).0.split(';').nth(2).expect("the third statement makes the events");
                run_sql(
                    &self.url,
                    &format!(
                        "DROP TABLE contact_events; {events}; SET foreign_key_checks=0, unique_checks=0;
                         INSERT INTO contact_events SELECT * FROM {source}.contact_events ORDER BY id;
                         ANALYZE TABLE contact_events"
                    ),
                );
            }
            Engine::Sqlite => {
                for end in ["-wal", "-shm"] {
                    // Emptied rather than removed: an empty log is no log.
                    let path = format!("{}{end}", self.file().display());
                    if std::fs::metadata(&path).is_ok() {
                        std::fs::File::create(&path).expect("the log of the last run");
                    }
                }
                std::fs::copy(self.template.trim_start_matches("sqlite:"), self.file()).expect("a copy");
                // What the copy left to be written would be written by the first commit that waits for the disk.
                std::fs::File::open(self.file()).and_then(|file| file.sync_all()).expect("the copy is on disk");
                run_sql(&self.url, "SELECT count(*), sum(length(data)) FROM contact_events");
            }
        }
    }

    /// The SQLite file.
    pub fn file(&self) -> PathBuf {
        self.folder.as_ref().expect("SQLite").path().join("bench.db")
    }

    /// Runs the statements in one transaction and gives the rows that they removed and the time that they took,
    /// measured by the client or the server: starting the client does not count.
    pub fn one_shot(&self, statements: &[String]) -> Timing {
        match self.engine {
            Engine::Postgres => {
                let body: String = statements.iter().map(|sql| format!("{sql};\n\\echo rows :ROW_COUNT\n")).collect();
                let said = run_sql(&self.url, &format!("\\timing on\nBEGIN;\n{body}COMMIT;\n"));
                let ms: f64 = said.lines().filter_map(|line| number_after(line, "Time: ")).sum();
                Timing { rows: rows_said(&said), seconds: ms / 1000.0 }
            }
            Engine::Mariadb => {
                let body: String =
                    statements.iter().map(|sql| format!("{sql}; SELECT CONCAT('rows ', ROW_COUNT());")).collect();
                let clock = "SET @begun = SYSDATE(6); BEGIN;";
                let end = "COMMIT; SELECT CONCAT('us ', TIMESTAMPDIFF(MICROSECOND, @begun, SYSDATE(6)));";
                let said = run_sql(&self.url, &format!("{clock}{body}{end}"));
                let us: f64 = said.lines().filter_map(|line| number_after(line, "us ")).sum();
                Timing { rows: rows_said(&said), seconds: us / 1_000_000.0 }
            }
            Engine::Sqlite => {
                // As retentiond's own sessions are: durable, and what is deleted is overwritten.
                let session = "PRAGMA synchronous=FULL; PRAGMA secure_delete=ON; PRAGMA foreign_keys=ON;";
                let body: String =
                    statements.iter().map(|sql| format!("{sql};\nSELECT 'rows ' || changes();\n")).collect();
                let said = run_sql(&self.url, &format!("{session}\n.timer on\nBEGIN;\n{body}COMMIT;\n"));
                let seconds = said.lines().filter_map(|line| number_after(line, "Run Time: real ")).sum();
                Timing { rows: rows_said(&said), seconds }
            }
        }
    }

    /// A transaction that holds a snapshot of before, as a long report or a dump does. It ends when this is dropped.
    pub fn old_snapshot(&self) -> Snapshot {
        use std::io::{BufRead as _, BufReader, Write as _};
        let mut child = client(&self.url).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("psql starts");
        let sql = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT id FROM contact_events LIMIT 1;\n";
        child.stdin.as_mut().expect("stdin is piped").write_all(sql.as_bytes()).expect("psql reads");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("stdout is piped")).read_line(&mut line).expect("psql answers");
        assert!(!line.trim().is_empty(), "the snapshot was not taken");
        std::thread::sleep(Duration::from_millis(50));
        Snapshot(child)
    }
}

/// See [`Bed::old_snapshot`].
pub struct Snapshot(Child);

impl Drop for Snapshot {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        drop(self.0.wait());
    }
}

/// The last part of an address.
pub fn database(url: &str) -> &str {
    url.rsplit('/').next().expect("an address has a database")
}

fn number_after(line: &str, label: &str) -> Option<f64> {
    line.strip_prefix(label)?.split_whitespace().next()?.parse().ok()
}

fn rows_said(said: &str) -> u64 {
    said.lines().filter_map(|line| number_after(line, "rows ")).sum::<f64>() as u64
}

/// The tables; and the indexes that are made once the rows are in.
fn schema(engine: Engine) -> (&'static str, &'static str) {
    match engine {
        Engine::Postgres => (
            "CREATE TABLE contacts(id bigint, uuid uuid NOT NULL, queue_id int, user_id int, channel text,
               started_at timestamptz NOT NULL, ended_at timestamptz, phone text, email text, ip text, subject text);
             CREATE TABLE recordings(id bigint, contact_id bigint, user_id int, started_at timestamptz NOT NULL,
               path text, bytes bigint, secs int);
             CREATE TABLE contact_events(id bigint, contact_id bigint NOT NULL, event_at timestamptz NOT NULL,
               kind text, code int, data text)",
            "SET maintenance_work_mem = '1GB';
             ALTER TABLE contacts ADD PRIMARY KEY(id); CREATE INDEX contacts_started ON contacts(started_at);
             CREATE INDEX contacts_user ON contacts(user_id); CREATE UNIQUE INDEX contacts_uuid ON contacts(uuid);
             ALTER TABLE recordings ADD PRIMARY KEY(id); CREATE INDEX recordings_started ON recordings(started_at);
             CREATE INDEX recordings_contact ON recordings(contact_id);
             ALTER TABLE contact_events ADD PRIMARY KEY(id);
             ALTER TABLE contact_events ALTER contact_id SET NOT NULL, ALTER event_at SET NOT NULL;
             CREATE INDEX contact_events_at ON contact_events(event_at);
             CREATE INDEX contact_events_contact ON contact_events(contact_id);
             ALTER TABLE contact_events ADD CONSTRAINT ce_fk FOREIGN KEY(contact_id) REFERENCES contacts(id);
             ALTER TABLE recordings ADD CONSTRAINT rec_fk FOREIGN KEY(contact_id) REFERENCES contacts(id);
             VACUUM (FREEZE, ANALYZE)",
        ),
        Engine::Mariadb => (
            "CREATE TABLE contacts(id bigint PRIMARY KEY, uuid char(36) NOT NULL, queue_id int, user_id int,
               channel varchar(16), started_at datetime NOT NULL, ended_at datetime, phone varchar(32),
               email varchar(128), ip varchar(45), subject varchar(255), KEY contacts_started(started_at),
               KEY contacts_user(user_id), UNIQUE KEY contacts_uuid(uuid)) ENGINE=InnoDB;
             CREATE TABLE recordings(id bigint PRIMARY KEY, contact_id bigint, user_id int,
               started_at datetime NOT NULL, path varchar(255), bytes bigint, secs int,
               KEY recordings_started(started_at), KEY recordings_contact(contact_id),
               CONSTRAINT rec_fk FOREIGN KEY(contact_id) REFERENCES contacts(id)) ENGINE=InnoDB;
             CREATE TABLE contact_events(id bigint PRIMARY KEY, contact_id bigint NOT NULL,
               event_at datetime NOT NULL, kind varchar(16), code int, data varchar(255),
               KEY contact_events_at(event_at), KEY contact_events_contact(contact_id),
               CONSTRAINT ce_fk FOREIGN KEY(contact_id) REFERENCES contacts(id)) ENGINE=InnoDB",
            "ANALYZE TABLE contacts, recordings, contact_events",
        ),
        Engine::Sqlite => (
            "PRAGMA journal_mode=WAL;
             CREATE TABLE contacts(id INTEGER PRIMARY KEY, uuid text NOT NULL, queue_id int, user_id int, channel text,
               started_at text NOT NULL, ended_at text, phone text, email text, ip text, subject text);
             CREATE TABLE recordings(id INTEGER PRIMARY KEY, contact_id bigint REFERENCES contacts(id), user_id int,
               started_at text NOT NULL, path text, bytes bigint, secs int);
             CREATE TABLE contact_events(id INTEGER PRIMARY KEY, contact_id bigint NOT NULL REFERENCES contacts(id),
               event_at text NOT NULL, kind text, code int, data text)",
            "CREATE INDEX contacts_started ON contacts(started_at); CREATE INDEX contacts_user ON contacts(user_id);
             CREATE UNIQUE INDEX contacts_uuid ON contacts(uuid);
             CREATE INDEX recordings_started ON recordings(started_at);
             CREATE INDEX recordings_contact ON recordings(contact_id);
             CREATE INDEX contact_events_at ON contact_events(event_at);
             CREATE INDEX contact_events_contact ON contact_events(contact_id);
             ANALYZE; PRAGMA wal_checkpoint(TRUNCATE)",
        ),
    }
}
