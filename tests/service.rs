//! What can be said about the service without a systemd: the files under `systemd/`, the drop-in that `check --unit`
//! prints, and that a command run by root becomes the owner of the state. `make systemd-test` does the rest.
#![expect(clippy::unwrap_used, clippy::panic, reason = "the helpers of a test stop it by panicking")]

mod support;

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use support::{Project, run_sql};

const POLICY: &str = r#"
[state]
url = "sqlite:{dir}/state.db"

[brakes]
max_percent = 100

[stores.shop]
url = "sqlite:{dir}/shop.db"

[data.orders]
store = "shop"
table = "orders"
category = "sales"
time = { column = "closed_at", format = "%Y-%m-%d", zone = "UTC" }

[categories.sales]
title = "Sales"

[jobs.orders]
kind = "retention_purge"
data = ["orders"]
keep = "2 years"
"#;

/// The user of the machine who owns nothing.
const NOBODY: u32 = 65_534;

fn shop() -> Project {
    let project = Project::new(POLICY);
    let url = format!("sqlite:{}", project.path("shop.db").display());
    run_sql(
        &url,
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, closed_at TEXT);
         INSERT INTO orders VALUES (1, '2001-02-03'), (2, '2002-03-04'), (3, '2030-01-01');",
    );
    project
}

/// Each file in the folder with its owner, the folder itself included.
fn owners(folder: &Path) -> BTreeMap<String, u32> {
    let mut owners = BTreeMap::from([(".".to_owned(), std::fs::metadata(folder).unwrap().uid())]);
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        owners.insert(entry.file_name().to_string_lossy().into_owned(), entry.metadata().unwrap().uid());
    }
    owners
}

fn give(path: &Path, user: u32) {
    chown(path, Some(user), Some(user)).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

#[test]
fn what_root_runs_belongs_to_the_owner_of_the_state() {
    let project = shop();
    let me = rustix::process::geteuid().as_raw();
    // Only root can become somebody else; whoever else runs the tests stays who they are.
    let owner = if me == 0 { NOBODY } else { me };
    if me == 0 {
        give(project.dir(), owner);
        give(&project.path("shop.db"), owner);
        give(&project.path("jobs.toml"), owner);
    }
    project.run(&["init", "shop"]).expect_code(0);
    project.run(&["check"]).expect_code(0);
    project.run(&["pause", "orders"]).expect_code(0);
    project.run(&["run", "orders"]).expect_code(4);
    project.run(&["resume", "orders"]).expect_code(0);
    let run = project.run(&["run", "orders", "--format", "json"]).expect_code(0);
    assert_eq!(run.json()["jobs"][0]["rows"], 2, "{run:#?}");
    let hold =
        ["hold", "add", "case-1", "--data", "orders", "--where", "id=3", "--why", "a lawsuit", "--format", "json"];
    let held =
        support::project::finish(Instant::now(), project.command(&hold).env("SUDO_USER", "anna").spawn().unwrap());
    held.expect_code(0);
    let holds = project.run(&["hold", "list", "--format", "json"]).expect_code(0).json();
    let by = holds["holds"][0]["placed_by"].as_str().unwrap().to_owned();
    assert_eq!(by == "anna", me == 0, "who is at the keyboard is remembered, not whom the command became: {by}");
    let owners = owners(project.dir());
    assert!(owners.contains_key("state.db"), "{owners:?}");
    assert!(owners.values().all(|user| *user == owner), "{owner} does not own all: {owners:?}");
}

#[test]
fn what_the_owner_of_the_state_may_not_root_does_not_do_either() {
    let project = shop();
    project.run(&["init", "shop"]).expect_code(0);
    std::fs::set_permissions(project.path("shop.db"), std::fs::Permissions::from_mode(0o400)).unwrap();
    if rustix::process::geteuid().is_root() {
        give(project.dir(), NOBODY);
        give(&project.path("jobs.toml"), NOBODY);
        // The database itself stays root's, and unreadable for anybody else.
    }
    let run = project.run(&["run", "orders"]);
    assert!(matches!(run.code, Some(1 | 5)), "{run:#?}");
    assert_eq!(run_sql(&format!("sqlite:{}", project.path("shop.db").display()), "SELECT count(*) FROM orders"), "3\n");
}

#[test]
fn the_drop_in_says_what_the_file_needs() {
    let mut policy = POLICY.replace("[brakes]", "[stores.voice]\nurl = \"file:/srv/voice-of-the-test\"\n\n[brakes]");
    policy = policy.replace("{dir}", "/srv/shop");
    policy = policy.replacen(
        "[brakes]",
        "[stores.pg]\nurl = \"postgres://p@h/d\"\npassword = { credential = \"pg\" }\n[brakes]",
        1,
    );
    let project = Project::new(&policy);
    let said = project.run(&["check", "--unit"]).expect_code(0).stdout;
    let lines: Vec<&str> = said.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(
        lines,
        [
            "[Service]",
            "LoadCredential=pg:/etc/retentiond/credentials/pg",
            "ReadWritePaths=/srv/shop",
            "ReadWritePaths=/srv/voice-of-the-test"
        ]
    );
    assert!(said.contains("retentiond init voice"), "{said}");
    let json = project.run(&["check", "--unit", "--format", "json"]).expect_code(0).json();
    assert_eq!(json["drop_in"].as_str().unwrap().lines().collect::<Vec<_>>(), lines);
    assert_eq!(json["commands"][0], "retentiond init voice");
}

/// The settings of a unit file, in order.
fn settings(text: &str) -> Vec<(&str, &str)> {
    text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('=')).collect()
}

#[test]
fn the_unit_is_what_the_program_expects() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd");
    let text = std::fs::read_to_string(root.join("retentiond.service")).unwrap();
    let settings = settings(&text);
    let of = |name: &str| settings.iter().filter(|(key, _)| *key == name).map(|(_, value)| *value).collect::<Vec<_>>();
    for (name, value) in [
        ("Type", "notify"),
        ("ExecStart", "/usr/bin/retentiond serve"),
        ("ExecReload", "/usr/bin/retentiond reload"),
        ("RestartPreventExitStatus", "2 3"),
        ("RuntimeDirectoryMode", "0755"),
        ("PrivateUsers", "no"),
        // Its filter answers openat2 with "no such system call", and no file store could be opened.
        ("RestrictSUIDSGID", "no"),
        ("User", "retentiond"),
    ] {
        assert_eq!(of(name), [value], "{name}");
    }
    // A credential whose source is not there would keep a fresh install from starting.
    assert_eq!(of("LoadCredential"), [""; 0]);
    assert_eq!(of("Environment"), ["MALLOC_ARENA_MAX=2"]);
}

#[test]
fn the_unit_leaves_little_open() {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/retentiond.service");
    let asked =
        Command::new("systemd-analyze").args(["security", "--offline=true", "--threshold=15"]).arg(unit).output();
    // Without a systemd there is nobody to ask; `make systemd-test` brings one along.
    let Ok(asked) = asked else { return };
    let said = String::from_utf8_lossy(&asked.stdout);
    assert!(asked.status.success() && said.contains("Overall exposure level"), "{said}");
}

#[test]
fn each_command_has_its_manual_page() {
    let project = Project::new("");
    std::fs::create_dir(project.path("man")).unwrap();
    project.run(&["man", "--out", "man"]).expect_code(0);
    let page = |name: &str| std::fs::read_to_string(project.path("man").join(name)).unwrap();
    assert!(page("retentiond.1").contains("EXIT STATUS"));
    assert!(page("retentiond-run.1").contains("release"));
    let help = project.run(&["--help"]).expect_code(0).stdout;
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let commands: Vec<&str> = listed.filter_map(|line| line.strip_prefix("  ")?.split(' ').next()).collect();
    assert!(commands.contains(&"check") && commands.contains(&"history"), "{help}");
    for command in commands.into_iter().filter(|command| !command.is_empty() && *command != "help") {
        assert!(page(&format!("retentiond-{command}.1")).contains("SYNOPSIS"), "{command}");
    }
}

/// What the package installs: nothing runs, and nobody is mailed unencrypted.
#[test]
fn the_packages_policy_is_inert_and_mails_nobody() {
    let made = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join(".ci/deb-policy")).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let policy = String::from_utf8(made.stdout).unwrap();
    let project = Project::new("");
    project.write("jobs.toml", &policy);
    project.run(&["check", "--unit"]).expect_code(0);
    let said = |key: &str| policy.lines().filter(|line| line.trim_start().starts_with(key)).count();
    assert_eq!((said("enabled = false"), said("allow_plain"), said("[jobs.reports]")), (1, 0, 0), "{policy}");
    // Taken in as it stands, the job asks for the key.
    let taken: String = policy
        .lines()
        .skip_while(|line| !line.starts_with("# [jobs.reports]"))
        .take(7)
        .fold(String::new(), |text, line| text + line.strip_prefix("# ").unwrap_or_default() + "\n");
    assert!(taken.contains("\nencrypt_to = \"dpo.asc\"") && !taken.contains("allow_plain"), "{taken}");
}

/// Purging takes retentiond's own memory, and nothing that an operator put beside it.
#[test]
fn a_purge_of_the_package_leaves_what_is_the_operators() {
    let root = tempfile::tempdir().unwrap();
    let state = root.path().join("var/lib/retentiond");
    let purge = || {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/deb/postrm");
        let purged = Command::new("sh").arg(script).arg("purge").env("DPKG_ROOT", root.path()).output().unwrap();
        assert!(purged.status.success(), "{purged:?}");
    };
    for file in ["demo/operative.db", "archive/audit/1.jsonl.zst", "shop.db", "outbox/mail.eml"] {
        std::fs::create_dir_all(state.join(file).parent().unwrap()).unwrap();
        std::fs::write(state.join(file), "").unwrap();
    }
    for file in ["state.db", "state.db-wal", "state.db-shm", "state.db.lock", "trail.key", "trail-0123abcd.signed"] {
        std::fs::write(state.join(file), "").unwrap();
    }
    purge();
    let left = |folder: &Path| owners(folder).into_keys().filter(|name| name != ".").collect::<Vec<_>>();
    assert_eq!(left(&state), ["archive", "demo", "shop.db"]);
    assert_eq!((left(&state.join("archive/audit")).len(), left(&state.join("demo")).len()), (1, 1));
    #[expect(clippy::disallowed_methods, reason = "the operator takes all away")]
    std::fs::remove_dir_all(&state).unwrap();
    std::fs::create_dir(&state).unwrap();
    std::fs::write(state.join("state.db"), "").unwrap();
    purge();
    assert!(!state.exists(), "with nothing of the operator's the folder goes too");
}
