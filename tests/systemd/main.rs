//! The package and its unit under a real systemd: installed, configured, run, reloaded, watched, stopped, upgraded, removed.
//!
//! `make systemd-test` builds the package and runs this, as root. It is no part of `make test`: it makes a Debian of its
//! own (fetched once, kept under `target/systemd-test`) and boots it with systemd-nspawn. Where that is not possible it
//! fails and says why. One test is one system's life; the steps follow each other.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a step that fails ends the test")]

mod container;

use std::path::{Path, PathBuf};
use std::time::Instant;

use container::Container;

/// Calls with recordings; every second older than the policy allows. `{extra}` is what a step adds.
const POLICY: &str = r#"
[state]
url = "sqlite:/var/lib/retentiond/state.db"
[approvals]
widened = false
[brakes]
max_percent = 100
[stores.shop]
url = "sqlite:/srv/shop/shop.db"
[stores.voice]
url = "file:/srv/voice"
[data.calls]
store = "shop"
table = "calls"
category = "contact_data_records"
time = { column = "ended_at", format = "%Y-%m-%d %H:%M:%S", zone = "UTC" }
on_expiry = "anonymise"
anonymise = { caller = "hash:pepper" }
[data.recordings]
store = "shop"
table = "recordings"
category = "recordings"
belongs_to = { data = "calls", by = "call_id" }
file = { store = "voice", path = "file_path" }
[data.log]
store = "shop"
table = "log"
category = "contact_data_records"
time = { column = "written_at", format = "%Y-%m-%d %H:%M:%S", zone = "UTC" }
[jobs.calls]
kind = "retention_purge"
schedule = "*/2 * * * * *"
data = ["calls"]
keep = "1 year"
"#;

/// A job that takes a while.
const SLOW: &str = r#"
[jobs.log]
kind = "retention_purge"
schedule = "*/2 * * * * *"
data = ["log"]
keep = "1 year"
brakes = { max_rows = 1000000 }
pace = { rows_per_second = 3000 }
"#;

const DATA: &str = "
CREATE TABLE calls (id INTEGER PRIMARY KEY, ended_at TEXT, caller TEXT);
CREATE TABLE recordings (id INTEGER PRIMARY KEY, call_id INTEGER REFERENCES calls (id), file_path TEXT);
CREATE TABLE log (id INTEGER PRIMARY KEY, written_at TEXT);
CREATE INDEX calls_time ON calls (ended_at);
CREATE INDEX recordings_call ON recordings (call_id);
CREATE INDEX log_time ON log (written_at);
INSERT INTO calls VALUES (1, '2001-02-03 04:05:06', '+358 1'), (2, datetime('now', '-2 days'), '+358 2');
INSERT INTO recordings VALUES (1, 1, 'a/1.wav'), (2, 2, 'a/2.wav');
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000)
INSERT INTO log SELECT i, datetime('2001-01-01', '+' || i || ' seconds') FROM n;
";

/// The package that `make deb` has built, newest first.
fn package() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/debian");
    let found = std::fs::read_dir(&folder).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
    let newest = found
        .filter(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .max_by_key(|path| path.metadata().unwrap().modified().unwrap());
    newest.unwrap_or_else(|| panic!("there is no package in {}: `make deb` builds it", folder.display()))
}

#[test]
fn debian_12() {
    life("bookworm");
}

#[test]
fn debian_13() {
    life("trixie");
}

/// What happens, and how it is looked at.
type Step = (&'static str, fn(&Container));

fn life(suite: &str) {
    let package = package();
    let system = Container::boot(suite, &format!("retentiond-{suite}"));
    std::fs::copy(&package, system.path("/root/retentiond.deb")).unwrap();
    let steps: [Step; 9] = [
        ("a fresh install is up and idle", installed),
        ("the drop-in is enough, and needed", configured),
        ("a scheduled job removes rows and files under the hardening", scheduled),
        ("what root runs leaves nothing of root's behind", by_hand),
        ("a reload takes a good file and refuses a broken one", reloaded),
        ("a daemon that stands still is started anew", watched),
        ("a stop ends the batch and loses nothing", stopped),
        ("a broken file stops the unit for good", broken),
        ("upgrade, remove and purge keep what is the operator's", removed),
    ];
    for (what, step) in steps {
        let started = Instant::now();
        step(&system);
        println!("{suite}: {what} ({:.0?})", started.elapsed());
    }
}

fn installed(system: &Container) {
    system.must("dpkg -i /root/retentiond.deb");
    system.wait(30, "systemctl is-active retentiond");
    assert_eq!(system.must("systemctl is-enabled retentiond"), "enabled");
    assert_eq!((system.property("NRestarts"), system.property("Result")), ("0".to_owned(), "success".to_owned()));
    system.wait(15, "systemctl show -P StatusText retentiond | grep -q 'enabled = false'");
    let modes = system.must(
        "stat -c '%a %U:%G %n' /etc/retentiond /etc/retentiond/jobs.toml /etc/retentiond/credentials \
         /var/lib/retentiond /run/retentiond",
    );
    let expected = "750 root:retentiond /etc/retentiond\n640 root:retentiond /etc/retentiond/jobs.toml\n\
                    700 root:root /etc/retentiond/credentials\n700 retentiond:retentiond /var/lib/retentiond\n\
                    755 retentiond:retentiond /run/retentiond";
    assert_eq!(modes, expected);
    system.must("systemd-analyze security --no-pager --threshold=15 retentiond");
    system.must("systemd-analyze verify --man=no retentiond.service");
    // Without a man page installer in the container: the page is there.
    system.must("zcat /usr/share/man/man1/retentiond-run.1.gz | grep -q SYNOPSIS");
    system.must("bash -n /usr/share/bash-completion/completions/retentiond");
}

fn configured(system: &Container) {
    system.must("systemctl stop retentiond && groupadd --system recorder && mkdir -p /srv/shop /srv/voice/a");
    system.write("/root/data.sql", DATA);
    system.must("sqlite3 /srv/shop/shop.db </root/data.sql");
    system.must("echo sound >/srv/voice/a/1.wav && echo sound >/srv/voice/a/2.wav");
    // As a recording server would have it: the files are its own, and its group may remove them.
    system.must("chown -R root:recorder /srv/voice && chmod -R u=rwX,g=rwXs,o= /srv/voice");
    system.must("chown -R retentiond:retentiond /srv/shop && chmod 700 /srv/shop");
    system.write("/etc/sysusers.d/retentiond-recorder.conf", "m retentiond recorder\n");
    system.must("systemd-sysusers");
    system.write("/etc/retentiond/jobs.toml", POLICY);
    let drop_in = system.must("retentiond check --unit");
    for line in [
        "LoadCredential=pepper:/etc/retentiond/credentials/pepper",
        "ReadWritePaths=/srv/shop",
        "ReadWritePaths=/srv/voice",
    ] {
        assert!(drop_in.lines().any(|found| found == line), "{line} is not in:\n{drop_in}");
    }
    system.write("/etc/systemd/system/retentiond.service.d/50-jobs.conf", &drop_in);
    system
        .write("/etc/systemd/system/retentiond.service.d/40-log.conf", "[Service]\nEnvironment=RETENTIOND_LOG=info\n");
    system.must("retentiond init shop && retentiond init voice && systemctl daemon-reload");
    // A secret that is not there: neither root nor the service goes on without it, and each says which.
    let check = system.run("retentiond check && retentiond run calls");
    assert!(check.code != Some(0) && check.text.contains("pepper"), "{check:?}");
    assert_ne!(system.run("systemctl start retentiond").code, Some(0));
    assert!(system.journal().contains("CREDENTIALS"), "{}", system.journal());
    system.must("systemctl stop retentiond; systemctl reset-failed retentiond; true");
    system.must("umask 077 && echo spicy >/etc/retentiond/credentials/pepper");
    system.must("retentiond check");
}

fn scheduled(system: &Container) {
    system.must("systemctl start retentiond");
    system.wait(30, "test \"$(sqlite3 /srv/shop/shop.db 'SELECT count(*) FROM recordings')\" = 1");
    system.wait(10, "! test -e /srv/voice/a/1.wav");
    let calls = system.must("sqlite3 /srv/shop/shop.db 'SELECT caller FROM calls ORDER BY id'");
    let (hashed, kept) = calls.split_once('\n').unwrap();
    assert!(!hashed.contains("358") && kept == "+358 2", "{calls}");
    system.must("test -e /srv/voice/a/2.wav && test -n \"$(find /srv/voice/.retentiond-trash -type f)\"");
    system.wait(10, "journalctl -u retentiond -o json | grep -q '\"RETENTIOND_JOB_NAME\":\"calls\"'");
    let journal = system.must("journalctl -u retentiond -o json");
    assert!(!journal.contains("358 1") && !journal.contains("spicy"), "the journal holds somebody's data: {journal}");
}

fn by_hand(system: &Container) {
    system.must("retentiond pause calls && retentiond history && retentiond resume calls");
    let owners = system.must("find /var/lib/retentiond /srv/shop -printf '%u\n' | sort -u");
    assert_eq!(owners, "retentiond");
}

fn reloaded(system: &Container) {
    let pid = system.property("MainPID");
    system.write("/etc/retentiond/jobs.toml", &POLICY.replace("*/2 * *", "*/3 * *"));
    system.must("systemctl reload retentiond");
    system.write("/etc/retentiond/jobs.toml", &POLICY.replace("keep = \"1 year\"", "kepe = \"1 year\""));
    let refused = system.run("systemctl reload retentiond");
    assert_ne!(refused.code, Some(0), "{refused:?}");
    system.wait(10, "journalctl -u retentiond | grep -q 'did you mean `keep`'");
    assert_eq!(system.must("systemctl is-active retentiond"), "active");
    // By hand the same, with the exit code of a wrong file.
    let refused = system.run("retentiond reload");
    assert!(refused.code == Some(3) && refused.text.contains("did you mean `keep`"), "{refused:?}");
    system.write("/etc/retentiond/jobs.toml", POLICY);
    system.must("systemctl reload retentiond");
    assert_eq!(system.property("MainPID"), pid, "a reload is no restart");
}

fn watched(system: &Container) {
    system
        .write("/etc/systemd/system/retentiond.service.d/60-watch.conf", "[Service]\nWatchdogSec=4s\nRestartSec=1s\n");
    system.must("systemctl daemon-reload && systemctl restart retentiond");
    let pid = system.property("MainPID");
    // Longer than the watchdog's time: a healthy daemon stays.
    std::thread::sleep(std::time::Duration::from_secs(9));
    assert_eq!(system.property("MainPID"), pid, "{}", system.journal());
    system.must(&format!("kill -STOP {pid}"));
    system.wait(
        40,
        &format!("systemctl is-active retentiond && test \"$(systemctl show -P MainPID retentiond)\" != {pid}"),
    );
    assert!(system.journal().contains("Watchdog timeout"), "{}", system.journal());
    system.must("rm /etc/systemd/system/retentiond.service.d/60-watch.conf && systemctl daemon-reload");
    system.must("systemctl restart retentiond");
}

fn stopped(system: &Container) {
    system.write("/etc/retentiond/jobs.toml", &format!("{POLICY}{SLOW}"));
    system.must("systemctl reload retentiond");
    system.wait(30, "test \"$(sqlite3 /srv/shop/shop.db 'SELECT count(*) FROM log')\" -lt 199000");
    system.must("systemctl stop retentiond");
    assert_eq!((system.property("Result"), system.property("ExecMainStatus")), ("success".to_owned(), "0".to_owned()));
    let count = |sql: &str| system.must(&format!("sqlite3 /srv/shop/shop.db \"{sql}\"")).parse::<i64>().unwrap();
    let left = count("SELECT count(*) FROM log");
    assert!(left > 1_000, "the job was over before it was stopped: {left}");
    let written = count("SELECT coalesce(sum(row_count), 0) FROM retentiond_ledger WHERE data = 'log'");
    assert_eq!(written, 200_000 - left, "the ledger does not say what went");
    let history = system.must("retentiond history log --format json");
    assert!(history.contains("\"stopped\""), "{history}");
}

fn broken(system: &Container) {
    system.write("/etc/retentiond/jobs.toml", "nonsense = 1\n");
    assert_ne!(system.run("systemctl start retentiond").code, Some(0));
    std::thread::sleep(std::time::Duration::from_secs(7));
    assert_eq!(system.property("ExecMainStatus"), "3", "{}", system.journal());
    assert_eq!(system.property("NRestarts"), "0", "{}", system.journal());
    system.write("/etc/retentiond/jobs.toml", POLICY);
    system.must("systemctl start retentiond");
}

fn removed(system: &Container) {
    let next = "cd /root && rm -rf next && dpkg-deb -R retentiond.deb next && \
                sed -i 's/^Version: .*/Version: 99.0-1/' next/DEBIAN/control && dpkg-deb -Znone -b next next.deb";
    system.must(next);
    let pid = system.property("MainPID");
    system.must("dpkg -i /root/next.deb </dev/null");
    system.wait(30, "systemctl is-active retentiond");
    assert_ne!(system.property("MainPID"), pid, "an upgrade restarts the service");
    assert_eq!(system.must("cat /etc/retentiond/jobs.toml"), POLICY.trim_end(), "an upgrade keeps the policy");
    system.must("dpkg -r retentiond");
    assert_ne!(system.run("systemctl is-active retentiond").code, Some(0));
    system.must("test -f /var/lib/retentiond/state.db && test -f /etc/retentiond/jobs.toml");
    system.must("touch /var/lib/retentiond/shop.db && dpkg --purge retentiond");
    system.must("test \"$(ls -A /var/lib/retentiond)\" = shop.db && ! test -e /etc/retentiond/jobs.toml");
    // What is the operator's stays: secrets, drop-ins, and every store.
    system
        .must("test -f /etc/retentiond/credentials/pepper && test -f /srv/shop/shop.db && test -f /srv/voice/a/2.wav");
}
