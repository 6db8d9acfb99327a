//! A small world to purge with the real binary: contacts with recordings (rows and files) and events, and a plain log.
//!
//! Even ids are expired, odd ids are not. Each file holds its own path, so that it is known wherever it lies.
#![expect(clippy::unwrap_used, reason = "the helpers of a test stop it by panicking")]
#![allow(dead_code, unused_imports, reason = "each test file uses its part")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

#[path = "world/policy.rs"]
mod policy;

use crate::support;
pub use crate::support::Random;
use policy::policy;

/// Contacts; half of them are expired.
pub const CONTACTS: u64 = 3_000;
/// Rows of the plain log; half of them are expired.
pub const LOG: u64 = 20_000;
/// This expired contact has more recordings than one batch takes.
const RICH: u64 = 1_000;
const RICH_RECORDINGS: u64 = 1_050;
/// Every so manieth expired recording names the file of a recording that stays.
const SHARED: u64 = 300;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
    Mariadb,
}

/// What becomes of an expired contact and its events; recordings always go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Delete,
    Anonymise,
}

pub struct World {
    pub engine: Engine,
    fate: Fate,
    folder: tempfile::TempDir,
    url: String,
    /// The address of retentiond's own memory.
    pub state: String,
    /// Rows outside the policy, as they were in the beginning.
    kept: String,
    /// All files, by their paths.
    files: BTreeSet<String>,
    /// Those whose rows stay.
    kept_files: BTreeSet<String>,
    recordings: u64,
}

impl World {
    /// Builds it; `pace` is the `[pace]` section's inside.
    pub fn new(engine: Engine, fate: Fate, pace: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (url, state) = match engine {
            Engine::Sqlite => {
                let file = folder.path().join("data.db");
                std::fs::write(&file, "").unwrap();
                (format!("sqlite:{}", file.display()), format!("sqlite:{}", folder.path().join("state.db").display()))
            }
            Engine::Postgres => (support::postgres().fresh_database(), support::postgres().fresh_database()),
            Engine::Mariadb => (support::mariadb().fresh_database(), support::mariadb().fresh_database()),
        };
        let mut world = Self {
            engine,
            fate,
            folder,
            url,
            state,
            kept: String::new(),
            files: BTreeSet::new(),
            kept_files: BTreeSet::new(),
            recordings: 0,
        };
        std::fs::write(world.config(), policy(&world.url, &world.state, &world.voice(), fate, pace)).unwrap();
        std::fs::create_dir(world.voice()).unwrap();
        let sql = world.fill();
        world.sql(&sql);
        for store in ["db", "voice"] {
            assert!(world.command(&["init", store]).output().unwrap().status.success(), "init {store}");
        }
        world.kept = world.outside_the_policy();
        world
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("jobs.toml")
    }

    /// The file store of the recordings.
    pub fn voice(&self) -> PathBuf {
        self.folder.path().join("voice")
    }

    /// Tables and rows as one text of SQL; the files are written at once.
    fn fill(&mut self) -> String {
        let time = match self.engine {
            Engine::Sqlite => "TEXT",
            Engine::Postgres => "TIMESTAMP",
            Engine::Mariadb => "DATETIME",
        };
        let mut sql = format!(
            "CREATE TABLE contacts (id BIGINT NOT NULL PRIMARY KEY, caller VARCHAR(40), ended_at {time}, removed_at {time} NULL);
             CREATE TABLE recordings (id BIGINT NOT NULL PRIMARY KEY, contact_id BIGINT NOT NULL, path VARCHAR(100) NOT NULL,
                 FOREIGN KEY (contact_id) REFERENCES contacts (id));
             CREATE TABLE events (id BIGINT NOT NULL PRIMARY KEY, contact_id BIGINT NOT NULL, address VARCHAR(40),
                 FOREIGN KEY (contact_id) REFERENCES contacts (id));
             CREATE TABLE log (id BIGINT NOT NULL PRIMARY KEY, line VARCHAR(40) NOT NULL, written_at {time});
             CREATE INDEX recordings_contact ON recordings (contact_id);
             CREATE INDEX recordings_path ON recordings (path);
             CREATE INDEX events_contact ON events (contact_id);
             CREATE INDEX log_written_at ON log (written_at);
             BEGIN;\n"
        );
        let when = |id: u64| match id % 2 {
            0 => format!("'2020-{:02}-{:02} 10:00:00'", id % 12 + 1, id % 28 + 1),
            // Some have no end yet.
            _ if id % 10 == 1 => "NULL".to_owned(),
            _ => format!("'{} 10:00:00'", young_day(id % 200)),
        };
        insert(&mut sql, "contacts", (1..=CONTACTS).map(|id| format!("({id},'caller {id}',{},NULL)", when(id))));
        insert(&mut sql, "events", (1..=2 * CONTACTS).map(|id| format!("({id},{},'address {id}')", id.div_ceil(2))));
        insert(&mut sql, "log", (1..=LOG).map(|id| format!("({id},'line {id}',{})", when(id))));
        let mut rows = Vec::new();
        let contacts =
            (1..=CONTACTS).filter(|id| id % 3 == 0).chain(std::iter::repeat_n(RICH, RICH_RECORDINGS as usize));
        for contact in contacts {
            let id = rows.len() as u64 + 1;
            let stays = contact % 2 == 1;
            // The contact before it is odd and has a recording of the same position in the list.
            let shared = !stays && contact != RICH && contact % SHARED == 0;
            let named = if shared { id - 1 } else { id };
            let path = format!("{:02}/{named}.wav", named % 20);
            if self.files.insert(path.clone()) {
                let file = self.voice().join(&path);
                std::fs::create_dir_all(file.parent().unwrap()).unwrap();
                std::fs::write(file, &path).unwrap();
            }
            if stays {
                self.kept_files.insert(path.clone());
            }
            rows.push(format!("({id},{contact},'{path}')"));
        }
        self.recordings = rows.len() as u64;
        insert(&mut sql, "recordings", rows.into_iter());
        sql.push_str("COMMIT;\n");
        sql
    }

    /// Runs SQL through the database's own client; columns are parted by `|`.
    pub fn sql(&self, sql: &str) -> String {
        let mut client = self.client();
        let mut child = client.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        let text = sql.to_owned();
        let writer = std::thread::spawn(move || std::io::Write::write_all(&mut input, text.as_bytes()));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().replace('\t', "|")
    }

    /// The database's own client, reading SQL from its standard input.
    pub fn client(&self) -> Command {
        match self.engine {
            Engine::Sqlite => {
                let mut client = Command::new("sqlite3");
                client.args(["-batch", "-bail", "-cmd", ".timeout 20000"]).arg(self.folder.path().join("data.db"));
                client
            }
            Engine::Postgres => {
                let mut client = Command::new("psql");
                client.args(["-XqAt", "-v", "ON_ERROR_STOP=1", &self.url]);
                client
            }
            Engine::Mariadb => {
                let url = url::Url::parse(&self.url).unwrap();
                let mut client = Command::new("mariadb");
                client.args(["--no-defaults", "--protocol=tcp", "--batch", "--skip-column-names", "--unbuffered"]);
                client.args(["-h", url.host_str().unwrap(), "-u", url.username()]);
                client.args(["-P", &url.port().unwrap_or(3306).to_string(), url.path().trim_start_matches('/')]);
                client
            }
        }
    }

    /// The program.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_retentiond"));
        // What an installation keeps on its machine is in the state's folder, also where the state is on a server.
        command.env("STATE_DIRECTORY", self.folder.path());
        command.arg("--config").arg(self.config()).args(args).stdin(Stdio::null());
        command
    }

    /// Starts `run` with these arguments.
    pub fn start(&self, args: &[&str]) -> Child {
        let args: Vec<&str> = std::iter::once("run").chain(args.iter().copied()).collect();
        self.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Runs with these arguments to the end.
    pub fn run(&self, args: &[&str]) -> Output {
        self.start(args).wait_with_output().unwrap()
    }

    /// Id and outcome of each run, oldest first.
    pub fn history(&self) -> Vec<(String, Option<String>)> {
        let output = self.command(&["--format", "json", "history", "-n", "100000"]).output().unwrap();
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
        let runs = json["runs"].as_array().unwrap();
        runs.iter().rev().map(|run| (text(&run["run"]).unwrap(), text(&run["outcome"]))).collect()
    }

    /// Waits until the server has noticed that the program is gone.
    pub fn wait_for_quiet(&self) {
        let sessions = match self.engine {
            Engine::Sqlite => return,
            Engine::Postgres => {
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend';"
            }
            Engine::Mariadb => {
                "SELECT count(*) FROM information_schema.processlist WHERE db = database() AND id <> connection_id();"
            }
        };
        let until = Instant::now() + Duration::from_secs(20);
        while self.sql(sessions).trim() != "0" {
            assert!(Instant::now() < until, "a session of a killed run is still there");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn outside_the_policy(&self) -> String {
        self.sql(
            "SELECT * FROM contacts WHERE id % 2 = 1 ORDER BY id; SELECT * FROM events WHERE contact_id % 2 = 1 ORDER BY id;
             SELECT * FROM recordings WHERE contact_id % 2 = 1 ORDER BY id; SELECT * FROM log WHERE id % 2 = 1 ORDER BY id;",
        )
    }

    fn counts(&self, queries: &[&str]) -> Vec<u64> {
        let text =
            self.sql(&queries.iter().map(|query| format!("SELECT count(*) FROM {query};\n")).collect::<String>());
        text.lines().map(|line| line.parse().unwrap()).collect()
    }

    /// What holds at any moment: nothing outside the policy is touched, the ledger counts what is gone, a contact and
    /// what hangs on it go together, and no file is lost.
    pub fn check_always(&self) {
        assert!(self.kept == self.outside_the_policy(), "rows outside the policy are as they were");
        let gone: BTreeMap<&str, u64> = match self.fate {
            Fate::Delete => {
                let left = self.counts(&["contacts", "events", "recordings", "log"]);
                let had = [CONTACTS, 2 * CONTACTS, self.recordings, LOG];
                let names = ["contacts", "events", "recordings", "log"];
                names.into_iter().zip(had.iter().zip(&left).map(|(had, left)| had - left)).collect()
            }
            Fate::Anonymise => {
                let left = self.counts(&[
                    "contacts WHERE removed_at IS NOT NULL",
                    "events WHERE address IS NULL",
                    "recordings",
                    "log",
                    "contacts WHERE (removed_at IS NULL) = (caller IS NULL)",
                    "contacts c JOIN events e ON e.contact_id = c.id WHERE (c.removed_at IS NULL) = (e.address IS NULL)",
                    "contacts c JOIN recordings r ON r.contact_id = c.id WHERE c.removed_at IS NOT NULL",
                ]);
                assert_eq!(left[4..], [0, 0, 0], "a contact and what hangs on it are anonymised together");
                [
                    ("contacts", left[0]),
                    ("events", left[1]),
                    ("recordings", self.recordings - left[2]),
                    ("log", LOG - left[3]),
                ]
                .into()
            }
        };
        for (data, gone) in gone {
            let ledger =
                self.sql(&format!("SELECT coalesce(sum(row_count), 0) FROM retentiond_ledger WHERE data = '{data}';"));
            assert_eq!(ledger.trim().parse::<u64>().unwrap(), gone, "the ledger knows what is gone of {data}");
        }
        let (placed, trashed) = self.files_now();
        assert!(self.kept_files.is_subset(&placed), "files whose rows stay are in their places");
        let all: BTreeSet<String> = placed.union(&trashed).cloned().collect();
        assert!(all == self.files && placed.is_disjoint(&trashed), "each file is there, once");
    }

    /// What holds when nothing is under way: each row has its file, and each file its row.
    pub fn check_files(&self) {
        let named: BTreeSet<String> = self.sql("SELECT path FROM recordings;").lines().map(str::to_owned).collect();
        let (placed, _) = self.files_now();
        assert_eq!(named.difference(&placed).count(), 0, "no row is without its file");
        assert_eq!(placed.difference(&named).count(), 0, "no file is without its row");
        for batch in folder(&self.trash()).filter(|path| path.is_dir()) {
            assert!(batch.join("committed").exists(), "each batch in the trash is settled");
        }
    }

    /// The policy has been followed to its end.
    pub fn check_done(&self) {
        let verified = self.command(&["audit", "verify"]).output().unwrap();
        let sound = matches!(verified.status.code(), Some(0 | 4));
        assert!(sound, "the trail is sound: {}", String::from_utf8_lossy(&verified.stdout));
        self.check_always();
        self.check_files();
        let expired_contacts = match self.fate {
            Fate::Delete => "contacts WHERE id % 2 = 0",
            Fate::Anonymise => "contacts WHERE id % 2 = 0 AND (removed_at IS NULL OR caller IS NOT NULL)",
        };
        let expired_events = match self.fate {
            Fate::Delete => "events WHERE contact_id % 2 = 0",
            Fate::Anonymise => "events WHERE contact_id % 2 = 0 AND address IS NOT NULL",
        };
        let left = self.counts(&[
            expired_contacts,
            expired_events,
            "recordings WHERE contact_id % 2 = 0",
            "log WHERE id % 2 = 0",
            "contacts",
            "events",
        ]);
        let rows = if self.fate == Fate::Delete { [CONTACTS / 2, CONTACTS] } else { [CONTACTS, 2 * CONTACTS] };
        assert_eq!(left, [0, 0, 0, 0, rows[0], rows[1]], "expired rows are gone, the others are not");
        assert!(self.files_now().0 == self.kept_files, "the files of rows that stay, and no others");
    }

    fn trash(&self) -> PathBuf {
        self.voice().join(".retentiond-trash")
    }

    /// The paths of the files in their places, and of those in the trash.
    fn files_now(&self) -> (BTreeSet<String>, BTreeSet<String>) {
        let (mut placed, mut trashed) = (BTreeSet::new(), BTreeSet::new());
        for shelf in folder(&self.voice()).filter(|path| path.is_dir() && *path != self.trash()) {
            for file in folder(&shelf) {
                let path = std::fs::read_to_string(&file).unwrap();
                assert!(file.ends_with(&path), "{} holds what it held", file.display());
                placed.insert(path);
            }
        }
        for batch in folder(&self.trash()).filter(|path| path.is_dir()) {
            let is_file =
                |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().bytes().all(|c| c.is_ascii_digit());
            trashed.extend(folder(&batch).filter(is_file).map(|file| std::fs::read_to_string(file).unwrap()));
        }
        (placed, trashed)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{:?}, {:?}: {}", self.engine, self.fate, self.url);
        }
    }
}

fn folder(path: &Path) -> impl Iterator<Item = PathBuf> {
    std::fs::read_dir(path).into_iter().flatten().map(|entry| entry.unwrap().path())
}

fn insert(sql: &mut String, table: &str, rows: impl Iterator<Item = String>) {
    let rows: Vec<String> = rows.collect();
    for rows in rows.chunks(500) {
        writeln!(sql, "INSERT INTO {table} VALUES {};", rows.join(",")).unwrap();
    }
}

/// A day of the last months.
fn young_day(days: u64) -> String {
    let today = retentiond::clock::Clock::system().now();
    (today - chrono::TimeDelta::days(days as i64)).format("%Y-%m-%d").to_string()
}
