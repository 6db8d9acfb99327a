//! What is left of users who are gone, on the generated contact centre with the shipped policy: what the job removes when,
//! and what stops it.
#![expect(clippy::unwrap_used, reason = "the helpers of a test stop it by panicking")]

#[path = "support/center.rs"]
mod center;
#[path = "directory/gone_by_row.rs"]
mod gone_by_row;
#[path = "directory/large.rs"]
mod large;
#[expect(dead_code, reason = "other test files use the rest")]
#[path = "erasure/shop.rs"]
mod shop;
mod support;

use center::{Center, Db};
use support::{Output, Random, run_sql};

/// The shipped contact centre.
fn small(db: Db) -> Center {
    Center::with(db, &["--small"], center::POLICY)
}

impl Center {
    fn cleanup(&self, arguments: &[&str]) -> Output {
        self.project.run(&[&["run", "directory", "--format", "json"], arguments].concat())
    }

    /// A run that completes; gives its number of rows.
    fn completes(&self) -> u64 {
        let run = self.cleanup(&[]).expect_code(0);
        assert_eq!(run.json()["jobs"][0]["outcome"], "complete", "{run:#?}");
        run.json()["jobs"][0]["rows"].as_u64().unwrap()
    }

    /// The first runs tidy what the generated centre has of long gone users.
    fn settled(self) -> Self {
        let releases = ["max_persons", "max_percent", "max_rows"].map(|brake| ["--release-brake", brake]).concat();
        self.cleanup(&releases).expect_code(0);
        self.days_pass();
        self.cleanup(&releases).expect_code(0);
        self
    }

    /// Every byte of what the job may touch.
    fn all(&self) -> Vec<String> {
        let tables = [
            ("configuration", "user_names", "user_id"),
            ("configuration", "user_addresses", "id"),
            ("configuration", "queue_members", "user_id, queue_id"),
            ("configuration", "user_roles", "user_id, role_id"),
            ("configuration", "user_settings", "user_id, name"),
            ("directory", "directory_users", "id"),
            ("directory", "directory_customers", "id"),
            ("operative", "contacts", "id"),
            ("operative", "recordings", "id"),
        ];
        let dump = |(store, table, order): &(&str, &str, &str)| {
            self.sql(store, &format!("SELECT * FROM {table} ORDER BY {order};"))
        };
        tables.iter().map(dump).collect()
    }

    /// Time passes since users were first seen to be gone, and captured changes, which name them too, have expired.
    fn days_pass(&self) {
        self.sql("state", "UPDATE gone_persons SET first_seen = '2020-01-01 00:00:00';");
        self.forget_changes();
    }

    /// Somebody with relations and a directory entry, to whom nothing else refers.
    fn hire(&self, id: u32) {
        let flag = if self.urls["configuration"].starts_with("postgres") { "true" } else { "1" };
        let at = "'2026-01-01 00:00:00'";
        self.sql(
            "configuration",
            &format!(
                "INSERT INTO users (id, login_id, first_name, last_name, recording_enabled, in_directory, created_at) VALUES ({id}, 'u{id}', 'New', 'Person', {flag}, {flag}, {at});
                 INSERT INTO user_names (user_id, first_name, last_name, kept_since) VALUES ({id}, 'New', 'Person', {at});
                 INSERT INTO user_addresses (id, user_id, kind, address, added_at) VALUES ({id}, {id}, 'email', 'new{id}@example.org', {at});
                 INSERT INTO user_settings (user_id, name, value, changed_at) VALUES ({id}, 'language', 'fi', {at});"
            ),
        );
        self.sql(
            "directory",
            &format!("INSERT INTO directory_users (id, user_id, first_name, last_name, updated_at) VALUES ({id}, {id}, 'New', 'Person', {at});"),
        );
    }

    fn relations(&self, id: &str) -> u64 {
        let of = format!("user_id = {id}");
        ["user_addresses", "queue_members", "user_roles", "user_settings"]
            .iter()
            .map(|table| self.count("configuration", table, &of))
            .sum()
    }

    /// What is left of some users: addresses, settings, directory entries, names.
    fn parts(&self, whose: &str) -> [u64; 4] {
        [
            self.count("configuration", "user_addresses", whose),
            self.count("configuration", "user_settings", whose),
            self.count("directory", "directory_users", whose),
            self.count("configuration", "user_names", whose),
        ]
    }

    /// Somebody whom contacts refer to.
    fn veteran(&self) -> String {
        let id = self.sql(
            "operative",
            "SELECT agent_id FROM contacts WHERE agent_id IS NOT NULL GROUP BY agent_id ORDER BY count(*) DESC, agent_id LIMIT 1;",
        );
        id.trim().to_owned()
    }
}

fn leaves_in_order(db: Db) {
    let center = small(db).settled();
    assert_eq!(center.completes(), 0, "{db:?}: a second run finds nothing");
    let veteran = center.veteran();
    center.hire(900_001);
    center.hire(900_002);
    assert_eq!(center.completes(), 0, "{db:?}: those who are there lose nothing");
    let before = center.all();
    assert!(center.relations(&veteran) > 0);
    center.sql("configuration", &format!("DELETE FROM users WHERE id IN ({veteran}, 900001);"));
    let plan = center.project.run(&["plan", "directory", "--format", "json"]).expect_code(0);
    assert_eq!(center.all(), before, "{db:?}: a plan changes nothing");
    let rows = center.completes();
    assert_eq!(plan.json()["jobs"][0]["rows"], rows, "{db:?}: a preview is the run {plan:#?}");
    // Own relations at once; the directory entry waits, and so does the name that it refers to.
    for id in [veteran.as_str(), "900001"] {
        assert_eq!(center.relations(id), 0, "{db:?}");
        assert_eq!(center.count("configuration", "user_names", &format!("user_id = {id}")), 1, "{db:?}");
    }
    assert_eq!(center.count("directory", "directory_users", "user_id = 900001"), 1, "{db:?}");
    assert_eq!(center.relations("900002"), 2, "{db:?}: nobody else loses anything");
    assert_eq!(center.completes(), 0, "{db:?}");
    center.days_pass();
    center.completes();
    assert_eq!(center.count("directory", "directory_users", &format!("user_id IN ({veteran}, 900001)")), 0, "{db:?}");
    // The name goes with the last reference to it, and not before.
    assert_eq!(center.count("configuration", "user_names", "user_id = 900001"), 0, "{db:?}");
    assert_eq!(center.count("configuration", "user_names", &format!("user_id = {veteran}")), 1, "{db:?}");
    assert_eq!(center.completes(), 0, "{db:?}: a second run finds nothing");
    assert_eq!(center.relations("900002"), 2, "{db:?}");
    assert_eq!(center.count("directory", "directory_users", "user_id = 900002"), 1, "{db:?}");
}

#[test]
fn a_user_leaves_in_order_on_sqlite() {
    leaves_in_order(Db::Sqlite);
}

#[test]
fn a_user_leaves_in_order_on_postgres() {
    leaves_in_order(Db::Postgres);
}

#[test]
fn a_user_leaves_in_order_on_mariadb() {
    leaves_in_order(Db::Mariadb);
}

/// A user who comes back has never been gone.
#[test]
fn who_comes_back_is_forgotten_as_gone() {
    let center = small(Db::Sqlite).settled();
    center.hire(900_001);
    let row = center.sql("configuration", "SELECT quote(login_id) FROM users WHERE id = 900001;");
    center.sql("configuration", "DELETE FROM users WHERE id = 900001;");
    center.completes();
    let known = center.count("state", "gone_persons", "1 = 1");
    center.days_pass();
    center.sql("configuration", &format!("INSERT INTO users (id, login_id, first_name, last_name, recording_enabled, in_directory, created_at) VALUES (900001, {}, 'New', 'Person', 1, 1, '2026-01-01 00:00:00');", row.trim()));
    assert_eq!(center.completes(), 0);
    assert_eq!(center.count("state", "gone_persons", "1 = 1"), known - 1);
    assert_eq!(center.count("directory", "directory_users", "user_id = 900001"), 1);
    // Gone again, the time counts anew.
    center.sql("configuration", "DELETE FROM users WHERE id = 900001;");
    center.completes();
    assert_eq!(center.count("directory", "directory_users", "user_id = 900001"), 1);
}

/// A users' table that is emptied, halved, restored or unreachable is a doubt, not many deletions.
#[test]
fn doubt_about_the_users_deletes_nothing() {
    let center = small(Db::Sqlite).settled();
    let stops = |code: i32, words: &[&str]| {
        let before = center.all();
        let run = center.cleanup(&[]);
        assert_eq!(run.code, Some(code), "{run:#?}");
        for word in words {
            assert!(format!("{}{}", run.stdout, run.stderr).contains(word), "no word of {word} in {run:#?}");
        }
        assert_eq!(center.all(), before);
    };
    let file = center.project.path("configuration.db");
    let yesterday = std::fs::read(&file).unwrap();
    let known = center.count("state", "gone_persons", "1 = 1");
    center.sql("configuration", "DELETE FROM users WHERE id % 2 = 0;");
    stops(4, &["max_percent", "users"]);
    center.sql("configuration", "DELETE FROM users;");
    stops(4, &["max_percent", "users"]);
    assert_eq!(center.count("state", "gone_persons", "1 = 1"), known, "nobody is remembered as gone for that");
    std::fs::write(&file, &yesterday).unwrap();
    assert_eq!(center.completes(), 0);
    // One leaves; then the database is put back to yesterday, before a user came whom the directory knows already.
    let veteran = center.veteran();
    center.sql("configuration", &format!("DELETE FROM users WHERE id = {veteran};"));
    center.completes();
    std::fs::write(&file, &yesterday).unwrap();
    stops(4, &["restored", "retentiond replay configuration"]);
    // Whom the hashes name goes again, with what goes at once; the name stays as long as something refers to it.
    let there = |table: &str, id: &str| center.count("configuration", table, &format!("{id} = {veteran}"));
    assert!(there("users", "id") == 1 && center.relations(&veteran) > 0);
    let others = center.count("configuration", "users", "1 = 1") - 1;
    let replay = center.project.run(&["replay", "configuration", "--format", "json"]).expect_code(0);
    assert_eq!(replay.json()["returned"], 1, "{replay:#?}");
    assert_eq!((there("users", "id"), center.relations(&veteran), there("user_names", "user_id")), (0, 0, 1));
    assert_eq!(center.count("configuration", "users", "1 = 1"), others, "nobody else goes");
    assert_eq!(center.completes(), 0);
    // The number of the last look alone tells it as well.
    center.sql("configuration", "UPDATE retentiond_gate SET token = 1 WHERE name LIKE 'look:%';");
    stops(4, &["persons_restored", "restored"]);
    center.cleanup(&["--release-brake", "persons_restored"]).expect_code(0);
    center.completes();
    std::fs::rename(&file, center.project.path("away.db")).unwrap();
    let run = center.cleanup(&[]);
    assert_eq!(run.code, Some(5), "{run:#?}");
    assert!(run.stderr.contains("configuration"), "{run:#?}");
}

/// Switches: of one user, of a category; a mandatory one is refused.
#[test]
fn what_is_switched_off_goes() {
    let center = small(Db::Sqlite).settled();
    let listed = center.sql("directory", "SELECT user_id FROM directory_users ORDER BY user_id LIMIT 1;");
    let listed = listed.trim();
    let before = center.count("directory", "directory_users", "1 = 1");
    center.sql("configuration", &format!("UPDATE users SET in_directory = 0 WHERE id = {listed};"));
    assert_eq!(center.completes(), center.count("directory", "directory_users", "1 = 1").abs_diff(before));
    assert_eq!(center.count("directory", "directory_users", &format!("user_id = {listed}")), 0);
    assert!(center.relations(listed) > 0, "the user is there and loses nothing else");
    assert_eq!(center.completes(), 0);

    let policy = include_str!("../jobs.toml");
    let off = |category: &str| {
        policy.replace(&format!("[categories.{category}]\n"), &format!("[categories.{category}]\ncollect = false\n"))
    };
    center.project.write_jobs(&off("user_master_data"));
    let refused = center.project.run(&["check"]);
    assert_eq!(refused.code, Some(3), "{refused:#?}");
    assert!(refused.stderr.contains("mandatory"), "{refused:#?}");
    center.project.write_jobs(&off("directory_information"));
    center.cleanup(&["--release-brake", "max_percent"]).expect_code(0);
    assert_eq!(center.count("directory", "directory_users", "1 = 1"), 0);
    assert_eq!(center.count("directory", "directory_customers", "1 = 1"), 0);
    assert_eq!(center.count("directory", "consents", "1 = 1"), 0, "they belong to the entries");
    // What still arrives is told and goes.
    center.sql("directory", "INSERT INTO directory_users (id, user_id, first_name, last_name, updated_at) VALUES (1, 1, 'A', 'B', '2026-01-01 00:00:00');");
    let run = center.project.run(&["run", "directory"]).expect_code(0);
    assert!(format!("{}{}", run.stdout, run.stderr).contains("although nothing of it is collected"), "{run:#?}");
    assert_eq!(center.count("directory", "directory_users", "1 = 1"), 0);
}

/// A held user keeps everything, and the run says so.
#[test]
fn a_hold_keeps_what_is_left_of_a_user() {
    let center = small(Db::Sqlite).settled();
    center.hire(900_001);
    center.forget_changes();
    let add = ["hold", "add", "court", "--user", "900001", "--why", "asked", "--format", "json"];
    let held = center.project.run(&add).expect_code(0).json();
    assert_eq!((&held["rows"]["configuration"], &held["rows"]["directory"]), (&4.into(), &1.into()), "{held:#?}");
    let nobody = center.project.run(&["hold", "add", "court", "--why", "asked"]);
    assert_eq!(nobody.code, Some(2), "{nobody:#?}");
    center.sql("configuration", "DELETE FROM users WHERE id = 900001;");
    let run = center.cleanup(&[]).expect_code(4);
    assert_eq!(run.json()["jobs"][0]["outcome"], "held", "{run:#?}");
    assert_eq!(center.relations("900001"), 2);
    center.project.run(&["hold", "release", "court", "--approve-as", "nobody"]).expect_code(0);
    assert_eq!(center.completes(), 2);
}

/// Killed with SIGKILL at random moments, then run again: everything of those who left is gone, and of nobody else a byte.
///
/// `RETENTIOND_TORTURE=long` kills 200 times on each database; `RETENTIOND_SEED` repeats a run's choices.
fn killed_at_random(db: Db) {
    const FIRST: u32 = 900_001;
    const PEOPLE: u32 = 20;
    let wanted = if std::env::var("RETENTIOND_TORTURE").is_ok_and(|long| long == "long") { 200 } else { 4 };
    let mut random = Random::seeded(&format!("cleanup killed on {db:?}"));
    let brakes = ["max_persons", "max_percent", "max_rows", "max_times_usual"];
    let releases = brakes.map(|brake| ["--release-brake", brake]).concat();
    let command = [&["run", "directory"][..], &releases].concat();
    let center = small(db).settled();
    let before = center.all();
    let theirs = format!("user_id BETWEEN {FIRST} AND {}", FIRST + PEOPLE - 1);
    let (mut killed, mut inside) = (0, 0);
    // About how many milliseconds a run takes that nobody kills.
    let mut length = None;
    while killed < wanted {
        (FIRST..FIRST + PEOPLE).for_each(|id| center.hire(id));
        center.sql("configuration", &format!("DELETE FROM users WHERE id >= {FIRST};"));
        // Twice: relations go in the first run, directory entries and names in one after the grace.
        for _ in 0..2 {
            let whole = center.parts(&theirs);
            let longest = *length.get_or_insert_with(|| {
                let started = std::time::Instant::now();
                center.project.run(&["plan", "directory"]);
                started.elapsed().as_millis() as u64
            });
            let ended = center.project.kill_after(&command, longest / 2 + random.below(longest));
            killed += u32::from(ended.code.is_none());
            let left = center.parts(&theirs);
            // Within a database all of it goes at once; the run has more to do in others, and must remember what it did.
            inside += u32::from(ended.code.is_none() && left != whole);
            // Most of a run is its beginning, and a machine may become busy: later when a kill was too early, earlier when
            // there was nothing left to kill.
            length = Some(match ended.code {
                Some(_) => longest * 9 / 10,
                None if left == whole => longest * 21 / 20,
                None => longest,
            });
            center.cleanup(&releases).expect_code(0);
            center.days_pass();
        }
        center.cleanup(&releases).expect_code(0);
        assert_eq!(center.parts(&theirs), [0; 4], "{db:?}: something of those who left is still there");
        assert_eq!(center.all(), before, "{db:?}: somebody else lost something");
        assert_eq!(
            center.cleanup(&releases).expect_code(0).json()["jobs"][0]["rows"],
            0,
            "{db:?}: a second run finds nothing"
        );
    }
    eprintln!("cleanup killed on {db:?}: {killed} times, {inside} of them after something was gone");
    assert!(wanted < 100 || inside > 10, "few kills came after something was gone");
}

#[test]
fn killed_at_random_on_sqlite() {
    killed_at_random(Db::Sqlite);
}

#[test]
fn killed_at_random_on_postgres() {
    killed_at_random(Db::Postgres);
}

#[test]
fn killed_at_random_on_mariadb() {
    killed_at_random(Db::Mariadb);
}
