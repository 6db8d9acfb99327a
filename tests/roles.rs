//! Roles: who may ask the daemon for what, as the kernel knows the caller, and as the file names the groups.
#![expect(clippy::unwrap_used, reason = "what goes wrong fails the test")]

mod support;

#[path = "reports_mailed/desk.rs"]
mod desk;

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use desk::{CANARY, Desk};
use support::Output;

/// Groups that every Debian has, in place of a site's own.
const ROLES: &str =
    "\n[roles]\noperator = \"daemon\"\ndpo = [\"games\", \"legal\"]\nauditor = \"mail\"\nadministrator = \"news\"\n";

struct Office {
    desk: Desk,
    daemon: Child,
}

impl Office {
    fn open() -> Self {
        let desk = Desk::new("allow_plain = true\n");
        let policy = std::fs::read_to_string(desk.project.path("jobs.toml")).unwrap();
        desk.project.write("jobs.toml", policy + ROLES);
        let daemon = desk.project.spawn(&["serve", "--socket", "control.sock", "--log", "warn"]);
        let office = Self { desk, daemon };
        let until = Instant::now() + Duration::from_secs(60);
        while !office.desk.project.path("control.sock").exists() {
            assert!(Instant::now() < until, "the daemon makes its socket");
            std::thread::sleep(Duration::from_millis(20));
        }
        // Others may reach the socket, and nothing else that is here.
        let open = |name: &str, mode| {
            std::fs::set_permissions(office.desk.project.path(name), std::fs::Permissions::from_mode(mode)).unwrap();
        };
        open(".", 0o711);
        for private in ["jobs.toml", "state.db", "shop.db"] {
            open(private, 0o600);
        }
        office
    }

    /// A command of somebody who is in this group, and in no other.
    fn says(&self, group: &str, args: &[&str]) -> Output {
        let entry = Command::new("getent").args(["group", group]).output().unwrap().stdout;
        let entry = String::from_utf8(entry).unwrap();
        let number = entry.split(':').nth(2).unwrap_or_else(|| panic!("Debian has a group {group}"));
        let socket = self.desk.project.path("control.sock");
        let started = Instant::now();
        let child = Command::new("setpriv")
            .args(["--reuid=65534", &format!("--regid={number}"), "--clear-groups", "--"])
            .arg(env!("CARGO_BIN_EXE_retentiond"))
            .args(args)
            .arg("--socket")
            .arg(&socket)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("RETENTIOND_CONFIG", self.desk.project.path("jobs.toml"))
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        support::project::finish(started, child)
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        drop(self.daemon.kill());
        drop(self.daemon.wait());
    }
}

#[test]
fn each_role_may_do_what_is_its_own_and_nothing_else() {
    let office = Office::open();
    let whom = "1";
    let commands: &[(&[&str], &[&str])] = &[
        (&["report", "list"], &["daemon", "games", "mail", "news"]),
        (&["hold", "list"], &["games", "mail"]),
        (&["report", "--user", whom], &["games", "news"]),
        (&["report", "--customer", "email=eve@example.net"], &["games"]),
        (&["erase", "--user", whom, "--dry-run"], &["games"]),
        (&["hold", "add", "case-1", "--user", whom, "--why", "court"], &["games"]),
        (&["pause", "contacts"], &["daemon"]),
        (&["resume", "contacts"], &["daemon"]),
        (&["reload"], &["daemon"]),
    ];
    for (args, may) in commands {
        for group in ["daemon", "games", "mail", "news", "nogroup"] {
            let said = office.says(group, args);
            if may.contains(&group) {
                assert_eq!(said.code, Some(0), "{group} {args:?}: {said:?}");
            } else {
                assert_eq!(said.code, Some(4), "{group} {args:?}: {said:?}");
                assert!(said.stderr.contains("needs the role"), "{group} {args:?}: {said:?}");
            }
            assert!(!said.stdout.to_lowercase().contains(CANARY) && !said.stderr.to_lowercase().contains(CANARY));
        }
    }
    // Each refusal is recorded.
    let refused: usize = office.desk.trail("refusal");
    assert_eq!(refused, commands.iter().map(|(_, may)| 5 - may.len()).sum::<usize>());
    assert_eq!(office.desk.trail("report.requested"), 3);
}

#[test]
fn a_dpo_who_can_read_nothing_erases_and_releases_with_a_second() {
    let office = Office::open();
    let planned = office.says("games", &["erase", "--user", "1", "--dry-run", "--format", "json"]);
    let plan = planned.json()["jobs"][0]["plan"].as_str().unwrap().to_owned();
    let unsure = office.says("games", &["erase", "--user", "1"]);
    assert_eq!(unsure.code, Some(4), "{unsure:?}");
    assert!(unsure.stderr.contains(&format!("--yes-i-mean {plan}")), "{unsure:?}");
    let wrong = office.says("games", &["erase", "--user", "1", "--yes-i-mean", "000000000000"]);
    assert_eq!(wrong.code, Some(4), "{wrong:?}");
    assert_eq!(office.desk.sql("SELECT count(*) FROM users;").trim(), "3");
    let erased = office.says("games", &["erase", "--user", "1", "--yes-i-mean", &plan, "--format", "json"]);
    assert_eq!(erased.code, Some(0), "{erased:?}");
    assert!(erased.json()["receipt"]["erasure"].is_string(), "{erased:?}");
    assert_eq!(office.desk.sql("SELECT count(*) FROM users;").trim(), "2");
    // One person alone releases nothing, however often.
    office.says("games", &["hold", "add", "case-2", "--user", "2", "--why", "court"]);
    assert!(office.desk.held() > 0);
    assert_eq!(office.says("games", &["hold", "release", "case-2"]).code, Some(0));
    let again = office.says("games", &["hold", "release", "case-2"]);
    assert!(again.code == Some(4) && again.stderr.contains("second person"), "{again:?}");
    assert!(office.desk.held() > 0);
    // Root is another one.
    let second = office.desk.project.run(&["hold", "release", "case-2", "--socket", "control.sock"]);
    assert_eq!(second.code, Some(0), "{second:?}");
    assert_eq!(office.desk.held(), 0);
}

/// Identifiers that nobody should see are in no answer, also where a request cannot be understood.
#[test]
fn what_is_not_understood_is_not_repeated() {
    use std::io::{BufRead as _, Write as _};
    let office = Office::open();
    for line in [
        format!(
            "{{\"v\":1,\"do\":{{\"report\":{{\"person\":{{\"kind\":\"user\",\"given\":[\"{CANARY}\"],\"more\":1}}}}}}}}"
        ),
        format!("{{\"v\":1,\"do\":{{\"reprot\":\"{CANARY}\"}}}}"),
        format!("{{\"v\":1,\"do\":\"{CANARY}\"}}"),
        CANARY.to_owned(),
        format!(
            "{{\"v\":1,\"do\":{{\"report\":{{\"person\":{{\"kind\":\"user\",\"given\":[\"login={CANARY}x\"]}}}}}}}}"
        ),
    ] {
        let mut stream = std::os::unix::net::UnixStream::connect(office.desk.project.path("control.sock")).unwrap();
        writeln!(stream, "{line}").unwrap();
        let mut answer = String::new();
        std::io::BufReader::new(stream).read_line(&mut answer).unwrap();
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
        assert_ne!(answer["code"], 0, "{answer}");
        let unknown = line.contains(&format!("\"do\":\"{CANARY}\""));
        assert!(unknown || !answer.to_string().to_lowercase().contains(CANARY), "{line}: {answer}");
    }
}
