//! When somebody hears of something, on a state that is opened anew each time, as after a restart.

use chrono::{DateTime, TimeDelta, Utc};

use super::*;
use crate::plan::{Basis, Brake};
use crate::store::pool::{Database, DatabaseSpec};
use crate::store::url::StoreUrl;

struct World {
    folder: tempfile::TempDir,
    now: DateTime<Utc>,
}

impl World {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), now: "2026-11-25T02:00:00Z".parse().unwrap() }
    }

    /// A new process's look at the state.
    fn memory(&self) -> Database {
        let url = StoreUrl::Sqlite(self.folder.path().join("state.db"));
        let mut spec = DatabaseSpec::new("state", url);
        spec.create = true;
        let memory = Database::open(spec).unwrap();
        state::migrate(&mut memory.conn().unwrap()).unwrap();
        memory
    }

    /// Goes on by so many hours, notes something, and gives the subjects of the letters that wait.
    fn after(&mut self, hours: i64, job: &str, standing: &Standing<'_>) -> Vec<String> {
        self.now += TimeDelta::hours(hours);
        let memory = self.memory();
        let mut conn = memory.conn().unwrap();
        note(&mut conn, job, standing, self.now).unwrap();
        digest(&mut conn, self.now).unwrap();
        self.take(&mut conn)
    }

    fn take(&self, conn: &mut Conn) -> Vec<String> {
        let due = state::letters_due(conn, self.now).unwrap();
        due.iter()
            .map(|record| {
                state::drop_letter(conn, &record.id).unwrap();
                serde_json::from_str::<Letter>(&record.letter).unwrap().subject
            })
            .collect()
    }
}

fn plan() -> Plan {
    let plan = Plan::new("calls".parse().unwrap(), "retention_purge", None, Basis::default(), Vec::new());
    plan.with_brakes(vec![Brake::widened(&["kept 12 months, before perhaps 13 months".to_owned()])])
}

#[test]
fn one_mail_at_first_one_a_day_and_one_when_it_is_over() {
    let mut world = World::new();
    let none: [&str; 0] = [];
    assert_eq!(world.after(0, "calls", &Standing::Well), none);
    assert_eq!(world.after(1, "calls", &Standing::Failed("a server is away")), ["retentiond: job calls failed"]);
    for _ in 0..23 {
        assert_eq!(world.after(1, "calls", &Standing::Failed("a server is away")), none);
    }
    assert_eq!(world.after(1, "calls", &Standing::Failed("still away")), ["retentiond: still wrong: 1"]);
    assert_eq!(world.after(1, "calls", &Standing::Failed("still away")), none);
    // Another job is another matter, and both are in the next day's digest.
    assert_eq!(world.after(1, "chats", &Standing::Failed("x")), ["retentiond: job chats failed"]);
    assert_eq!(world.after(24, "chats", &Standing::Failed("x")), ["retentiond: still wrong: 2"]);
    assert_eq!(world.after(1, "calls", &Standing::Well), ["retentiond: job calls is well again"]);
    assert_eq!(world.after(1, "calls", &Standing::Well), none);
    assert_eq!(world.after(1, "calls", &Standing::Failed("again")), ["retentiond: job calls failed"]);
}

#[test]
fn a_brake_after_a_failure_is_told_at_once_and_carries_the_command() {
    let mut world = World::new();
    world.after(0, "calls", &Standing::Failed("a server is away"));
    let plan = plan();
    assert_eq!(world.after(1, "calls", &Standing::Braked(&plan)), ["retentiond: job calls waits for you"]);
    assert_eq!(world.after(1, "calls", &Standing::Braked(&plan)), Vec::<String>::new());
    let page = letters::braked(&plan).lay_out().unwrap();
    let command = format!("retentiond approve calls {}", plan.plan);
    assert!(page.text.contains(&format!("\n    {command}\n")) && page.html.contains(&command), "{}", page.text);
}

#[test]
fn what_cannot_be_sent_is_tried_again_ever_later_and_given_up_after_a_week() {
    let mut world = World::new();
    let folder = world.folder.path().join("mail");
    std::fs::write(&folder, "a file where the folder should be").unwrap();
    let settings = Settings {
        way: crate::mail::settings::Way::Folder(folder.clone()),
        from: crate::mail::Mailbox::parse("retentiond@example.org").unwrap(),
        alerts: vec![crate::mail::Mailbox::parse("ops@example.org").unwrap()],
        username: None,
        password: None,
        ca: None,
    };
    let mut conn = world.memory().conn().unwrap();
    note(&mut conn, "calls", &Standing::Failed("x"), world.now).unwrap();
    let tries = |conn: &mut Conn, now: DateTime<Utc>| {
        let before = state::letters_due(conn, now).unwrap().len();
        send_due(conn, &settings, now).unwrap();
        before
    };
    assert_eq!(tries(&mut conn, world.now), 1);
    assert_eq!(tries(&mut conn, world.now + TimeDelta::seconds(59)), 0, "a minute passes first");
    assert_eq!(tries(&mut conn, world.now + TimeDelta::seconds(60)), 1);
    assert_eq!(tries(&mut conn, world.now + TimeDelta::seconds(179)), 0, "then two");
    // The way is free: it leaves, once.
    std::fs::rename(&folder, world.folder.path().join("away")).unwrap();
    world.now += TimeDelta::hours(2);
    assert_eq!(tries(&mut conn, world.now), 1);
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
    assert_eq!(tries(&mut conn, world.now + TimeDelta::days(1)), 0);
    std::fs::rename(&folder, world.folder.path().join("full")).unwrap();
    std::fs::write(&folder, "").unwrap();
    note(&mut conn, "chats", &Standing::Failed("x"), world.now).unwrap();
    assert_eq!(tries(&mut conn, world.now + TimeDelta::days(8)), 1);
    assert_eq!(tries(&mut conn, world.now + TimeDelta::days(9)), 0, "given up");
}
