//! A Debian with a systemd of its own, made with debootstrap, booted with systemd-nspawn, and gone when it is dropped.
//!
//! The freshly made tree is kept under `target/systemd-test`, so that it is fetched once; each test boots a copy.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What the tree holds beside a minimal Debian: what the package depends on, and what the test looks with.
const PACKAGES: &str = "systemd,systemd-sysv,dbus,procps,ca-certificates,sqlite3";

/// OpenSSL's library, which Debian 13 has under another name that provides the first.
fn openssl(suite: &str) -> &'static str {
    if suite == "bookworm" { "libssl3" } else { "libssl3t64" }
}

/// Boots where /run is no tmpfs and no systemd runs: nspawn would look for both.
const BOOT: &str = "mount -t tmpfs tmpfs /run && exec systemd-nspawn -q -b -D \"$0\" --machine=\"$1\" --register=no \
                    --keep-unit --console=pipe";

/// A booted container.
pub struct Container {
    root: PathBuf,
    nspawn: Child,
    leader: String,
}

/// What a command in the container said.
#[derive(Debug)]
pub struct Said {
    /// The exit code.
    pub code: Option<i32>,
    /// Standard output and standard error.
    pub text: String,
}

impl Container {
    /// Makes and boots one.
    pub fn boot(suite: &str, name: &str) -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "systemd-nspawn needs root: run this with sudo, or in a machine of its own"
        );
        for tool in ["debootstrap", "systemd-nspawn", "unshare", "nsenter", "dpkg-deb"] {
            let there = Command::new("sh").args(["-c", "command -v \"$0\"", tool]).output().unwrap();
            assert!(there.status.success(), "{tool} is missing: .ci/deps systemd installs what this needs");
        }
        let root = copy(&base(suite), name);
        let log = root.with_extension("console");
        let console = std::fs::File::create(&log).unwrap();
        let mut nspawn = Command::new("unshare")
            .args(["-m", "--propagation", "private", "bash", "-c", BOOT])
            .arg(&root)
            .arg(name)
            .stdin(Stdio::null())
            .stdout(console.try_clone().unwrap())
            .stderr(console)
            .spawn()
            .unwrap();
        let children = format!("/proc/{0}/task/{0}/children", nspawn.id());
        let started = Instant::now();
        let leader = loop {
            let said = || std::fs::read_to_string(&log).unwrap_or_default();
            let ended = nspawn.try_wait().unwrap();
            assert!(ended.is_none(), "no container can be booted here ({}):\n{}", ended.unwrap(), said());
            assert!(started.elapsed() < Duration::from_secs(60), "the container does not come up:\n{}", said());
            let leader = std::fs::read_to_string(&children).unwrap_or_default().trim().to_owned();
            // nspawn's first child only sets the stage; the container is up when its systemd answers.
            if !leader.is_empty() && enter(&leader, "systemctl is-system-running").text.contains("running") {
                break leader;
            }
            std::thread::sleep(Duration::from_millis(200));
        };
        Self { root, nspawn, leader }
    }

    /// Runs a shell command in it, as root.
    pub fn run(&self, command: &str) -> Said {
        enter(&self.leader, command)
    }

    /// Runs a shell command in it that must succeed, and gives what it said.
    #[track_caller]
    pub fn must(&self, command: &str) -> String {
        let said = self.run(command);
        if said.code != Some(0) {
            panic!("`{command}` ended with {:?}:\n{}\n{}", said.code, said.text, self.journal());
        }
        said.text.trim_end().to_owned()
    }

    /// Writes a file into it.
    pub fn write(&self, path: &str, content: &str) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// A path of the container, as it is outside.
    pub fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// Waits until a command in it succeeds.
    #[track_caller]
    pub fn wait(&self, seconds: u64, command: &str) {
        let started = Instant::now();
        while self.run(command).code != Some(0) {
            if started.elapsed() > Duration::from_secs(seconds) {
                panic!("`{command}` did not come true in {seconds} s:\n{}", self.journal());
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// One property of the unit.
    pub fn property(&self, name: &str) -> String {
        self.must(&format!("systemctl show retentiond --property={name} --value"))
    }

    /// The end of what the unit logged, for messages.
    pub fn journal(&self) -> String {
        let mut text = self.run("systemctl status retentiond --no-pager -l -n 0").text;
        write!(text, "{}", self.run("journalctl -u retentiond --no-pager -n 60").text).unwrap();
        text
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        enter(&self.leader, "systemctl poweroff");
        let started = Instant::now();
        while matches!(self.nspawn.try_wait(), Ok(None)) {
            if started.elapsed() > Duration::from_secs(30) {
                drop(self.nspawn.kill());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        remove(&self.root);
    }
}

fn enter(leader: &str, command: &str) -> Said {
    let output = Command::new("nsenter")
        .args(["-t", leader, "-m", "-u", "-i", "-n", "-p", "-C", "env", "-i", "HOME=/root", "LANG=C.UTF-8"])
        .args(["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive", "sh", "-c", command])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    Said { code: output.status.code(), text }
}

fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/systemd-test");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// The untouched tree of a suite, fetched when it is not there yet.
fn base(suite: &str) -> PathBuf {
    let base = folder().join(suite);
    if !base.is_dir() {
        let part = base.with_extension("part");
        remove(&part);
        let made = Command::new("debootstrap")
            .args(["--variant=minbase", &format!("--include={PACKAGES},{}", openssl(suite)), suite])
            .arg(&part)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(made.status.success(), "debootstrap failed:\n{}", String::from_utf8_lossy(&made.stdout));
        std::fs::rename(&part, &base).unwrap();
    }
    base
}

#[expect(clippy::disallowed_methods, reason = "the container's tree is no store")]
fn remove(tree: &Path) {
    drop(std::fs::remove_dir_all(tree));
}

fn copy(base: &Path, name: &str) -> PathBuf {
    let root = folder().join(name);
    remove(&root);
    let copied = Command::new("cp").args(["-a", "--reflink=auto"]).arg(base).arg(&root).status().unwrap();
    assert!(copied.success(), "the container's tree could not be copied");
    root
}
