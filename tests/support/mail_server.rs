//! A real mail server: Debian's Exim, without privileges, on free ports, with a certificate of an authority made here.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Exim, running until this is dropped.
pub struct MailServer {
    dir: TempDir,
    child: Child,
    /// The port with STARTTLS.
    pub port: u16,
    /// The port that speaks TLS from the first byte.
    pub tls_port: u16,
}

/// The user that may sign in, and the password.
pub const USER: (&str, &str) = ("privacy", "correct horse battery staple");

impl MailServer {
    /// A server whose certificate is for `localhost`. Recipients: `later@…` is put off (451), `never@…` refused (550), a
    /// message to `slow@…` is not answered for a minute; everybody else's is put into [`MailServer::mailbox`].
    pub fn start(starttls: bool) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let place = dir.path();
        certificates(place);
        for folder in ["spool", "log", "mail"] {
            fs::create_dir(place.join(folder)).expect("a folder");
        }
        // A copy has no set-user-id bit: the server has no more rights than this test.
        fs::copy("/usr/sbin/exim4", place.join("exim")).expect("Debian's exim4-daemon-light: run `make deps`");
        let (port, tls_port) = (free_port(), free_port());
        fs::write(place.join("exim.conf"), config(place, port, tls_port, starttls)).expect("a file");
        // Exim refuses to deliver as root; `nobody` then owns the folder.
        let root = rustix::process::geteuid().is_root();
        let mut command = if root { Command::new("setpriv") } else { Command::new(place.join("exim")) };
        if root {
            run("chown", &["-R", "nobody:nogroup", &place.display().to_string()]);
            command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"]).arg(place.join("exim"));
        }
        command.arg("-C").arg(place.join("exim.conf")).args(["-bdf", "-q1h"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit()).process_group(0);
        let child = command.spawn().expect("exim starts");
        let mut server = Self { dir, child, port, tls_port };
        server.wait_until_it_listens();
        server
    }

    fn wait_until_it_listens(&mut self) {
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let ended = self.child.try_wait().expect("the child is ours");
            assert!(
                ended.is_none() && started.elapsed() < Duration::from_secs(20),
                "exim does not listen: {}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The certificate authority.
    pub fn ca(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// An authority that signed nothing.
    pub fn other_ca(&self) -> PathBuf {
        self.dir.path().join("other.pem")
    }

    /// What the server says of itself.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log/mainlog")).unwrap_or_default()
    }

    /// The messages that were delivered, once there are `count` of them.
    #[track_caller]
    pub fn mailbox(&self, count: usize) -> Vec<String> {
        let started = Instant::now();
        loop {
            let messages = self.delivered();
            if messages.len() >= count {
                return messages;
            }
            assert!(started.elapsed() < Duration::from_secs(20), "{} of {count}: {}", messages.len(), self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What has been delivered so far.
    pub fn delivered(&self) -> Vec<String> {
        let Ok(folder) = fs::read_dir(self.dir.path().join("mail/new")) else { return Vec::new() };
        let mut files: Vec<PathBuf> = folder.filter_map(Result::ok).map(|entry| entry.path()).collect();
        files.sort();
        files.iter().map(|file| String::from_utf8(fs::read(file).expect("a message")).expect("ASCII")).collect()
    }

    /// Kills the server and every process of it, as a power failure would.
    pub fn kill(&mut self) {
        let group = rustix::process::Pid::from_child(&self.child);
        // It may have ended by itself.
        let _gone = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        drop(self.child.wait());
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port that nobody listens on just now.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}

fn run(program: &str, args: &[&str]) {
    let output =
        Command::new(program).args(args).stdin(Stdio::null()).output().unwrap_or_else(|e| panic!("{program}: {e}"));
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Writes an authority, the server's certificate for `localhost`, and another authority.
pub fn certificates(place: &Path) {
    let at = |name: &str| place.join(name).display().to_string();
    let new = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
    for (name, subject) in [("ca", "/CN=Test authority"), ("other", "/CN=Another authority")] {
        let (key, pem) = (at(&format!("{name}.key")), at(&format!("{name}.pem")));
        run("openssl", &[&new[..], &["-subj", subject, "-keyout", &key, "-out", &pem]].concat());
    }
    let signed = ["-CA", &at("ca.pem"), "-CAkey", &at("ca.key"), "-addext", "subjectAltName=DNS:localhost"];
    let own = ["-subj", "/CN=localhost", "-keyout", &at("server.key"), "-out", &at("server.pem")];
    run("openssl", &[&new[..], &signed, &["-addext", "basicConstraints=critical,CA:FALSE"], &own].concat());
}

fn config(place: &Path, port: u16, tls_port: u16, starttls: bool) -> String {
    let dir = place.display();
    let (user, group) = if rustix::process::geteuid().is_root() {
        ("nobody".to_owned(), "nogroup".to_owned())
    } else {
        (rustix::process::geteuid().as_raw().to_string(), rustix::process::getegid().as_raw().to_string())
    };
    let (name, password) = USER;
    let advertise = if starttls { "*" } else { "" };
    format!(
        "exim_path = {dir}/exim
spool_directory = {dir}/spool
log_file_path = {dir}/log/%slog
pid_file_path = {dir}/exim.pid
exim_user = {user}
exim_group = {group}
primary_hostname = localhost
keep_environment =
deliver_drop_privilege = true
local_interfaces = <; 127.0.0.1.{port} ; 127.0.0.1.{tls_port}
tls_on_connect_ports = {tls_port}
tls_advertise_hosts = {advertise}
tls_certificate = {dir}/server.pem
tls_privatekey = {dir}/server.key
auth_advertise_hosts = ${{if def:tls_in_cipher {{*}}}}
rfc1413_query_timeout = 0s
acl_smtp_rcpt = rcpt
acl_smtp_data = data
begin acl
rcpt:
  defer local_parts = later
  deny  local_parts = never
  deny  !authenticated = *
  accept
data:
  warn  condition = ${{if match{{$recipients}}{{slow@}}}}
        delay = 60s
  accept
begin routers
everybody:
  driver = accept
  transport = folder
begin transports
folder:
  driver = appendfile
  directory = {dir}/mail
  maildir_format
  create_directory
  user = {user}
begin retry
* * F,1h,1m
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if and {{{{eq{{$auth2}}{{{name}}}}}{{eq{{$auth3}}{{{password}}}}}}}}}
  server_set_id = $auth2
"
    )
}
