//! An office: a desk with a daemon, and people who can read neither its file nor its databases.

#![allow(dead_code, reason = "each test file uses its part")]

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::desk::Desk;
use crate::support::{self, Output};

/// Groups that every Debian has, in place of a site's own.
pub const ROLES: &str =
    "\n[roles]\noperator = \"daemon\"\ndpo = [\"games\", \"legal\"]\nauditor = \"mail\"\nadministrator = \"news\"\n";

pub struct Office {
    pub desk: Desk,
    pub daemon: Child,
}

impl Office {
    pub fn open() -> Self {
        Self::with(|policy, _| policy)
    }

    /// Two tenants, each with a shop of its own.
    pub fn of_tenants() -> Self {
        Self::with(|policy, desk| {
            std::fs::copy(desk.project.path("shop.db"), desk.project.path("b.db")).unwrap();
            let shop = format!("url = \"sqlite:{}\"\n", desk.project.path("shop.db").display());
            let other = format!("url = \"sqlite:{}\"\n", desk.project.path("b.db").display());
            let tenants = format!("[tenants.a.stores.shop]\n{shop}[tenants.b.stores.shop]\n{other}[people.user]");
            policy.replacen(&shop, "", 1).replacen("[people.user]", &tenants, 1)
        })
    }

    pub fn with(change: impl Fn(String, &Desk) -> String) -> Self {
        Self::at(Desk::new("allow_plain = true\n"), change)
    }

    /// With its shop on PostgreSQL.
    pub fn on_postgres(change: impl Fn(String, &Desk) -> String) -> Self {
        Self::at(Desk::on_postgres("allow_plain = true\n"), change)
    }

    fn at(desk: Desk, change: impl Fn(String, &Desk) -> String) -> Self {
        let policy = std::fs::read_to_string(desk.project.path("jobs.toml")).unwrap();
        desk.project.write("jobs.toml", change(policy, &desk) + ROLES);
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
            if office.desk.project.path(private).exists() {
                open(private, 0o600);
            }
        }
        office
    }

    /// What anybody may ask of a socket, asked by root.
    pub fn root_says(&self, args: &[&str]) -> Output {
        self.desk.project.run(&[args, &["--socket", "control.sock"]].concat())
    }

    /// The records of a type in the trail, oldest first.
    pub fn records(&self, kind: &str) -> Vec<serde_json::Value> {
        let shown = self.desk.project.run(&["audit", "show", "--type", kind, "--format", "json"]).expect_code(0).json();
        shown["records"].as_array().unwrap_or_else(|| panic!("{shown}")).clone()
    }

    /// A command of somebody who is in this group, and in no other.
    pub fn says(&self, group: &str, args: &[&str]) -> Output {
        let started = Instant::now();
        support::project::finish(started, self.begins(group, args))
    }

    /// The same, not waited for.
    pub fn begins(&self, group: &str, args: &[&str]) -> Child {
        let entry = Command::new("getent").args(["group", group]).output().unwrap().stdout;
        let entry = String::from_utf8(entry).unwrap();
        let number = entry.split(':').nth(2).unwrap_or_else(|| panic!("Debian has a group {group}"));
        let socket = self.desk.project.path("control.sock");
        Command::new("setpriv")
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
            .unwrap()
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        drop(self.daemon.kill());
        drop(self.daemon.wait());
    }
}
