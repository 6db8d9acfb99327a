//! Servers that must be refused: a standby, a read-only one, one without the TLS that was asked for.
//!
//! These change a whole server, so each test starts one of its own and stops it again.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "the helpers of a test stop it by panicking")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use retentiond::store::{Database, DatabaseSpec, ErrorKind, Stmt, StoreUrl};

const PG_BIN: &str = "/usr/lib/postgresql/15/bin";

/// A server's process, stopped when the test ends, however it ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Both servers take SIGQUIT as "stop at once", and take their helpers with them; a killed one leaves those behind,
        // and they keep its memory from the next start.
        let pid = rustix::process::Pid::from_child(&self.0);
        if rustix::process::kill_process(pid, rustix::process::Signal::QUIT).is_err() {
            drop(self.0.kill());
        }
        drop(self.0.wait());
    }
}

fn sh(program: &str, args: &[&str], user: Option<&str>) {
    let mut command = match user {
        Some(user) => {
            let mut command = Command::new("runuser");
            command.args(["-u", user, "--", program]);
            command
        }
        None => Command::new(program),
    };
    let output = command.args(args).current_dir("/tmp").output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn serve(program: &str, args: &[&str], user: &str) -> Running {
    // setpriv replaces itself with the server, so that killing the child is killing the server.
    let mut command = Command::new("setpriv");
    command.args(["--reuid", user, "--regid", user, "--init-groups", "--", program]).args(args).current_dir("/tmp");
    Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// An authority, and a certificate for `localhost` that it signed; the key belongs to `user`.
fn certificates(folder: &Path, user: &str) -> (PathBuf, PathBuf, PathBuf) {
    let file = |name: &str| folder.join(name);
    let (ca, ca_key, key, request, server) =
        (file("ca.pem"), file("ca.key"), file("server.key"), file("server.csr"), file("server.pem"));
    let ext = file("ext");
    std::fs::write(&ext, "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n").unwrap();
    let new = ["req", "-newkey", "rsa:2048", "-nodes"];
    let authority = ["-x509", "-keyout", text(&ca_key), "-out", text(&ca), "-days", "2", "-subj", "/CN=test authority"];
    sh("openssl", &[&new[..], &authority[..]].concat(), None);
    sh(
        "openssl",
        &[&new[..], &["-keyout", text(&key), "-out", text(&request), "-subj", "/CN=localhost"]].concat(),
        None,
    );
    let sign = ["x509", "-req", "-in", text(&request), "-CA", text(&ca), "-CAkey", text(&ca_key), "-CAcreateserial"];
    sh("openssl", &[&sign[..], &["-out", text(&server), "-days", "2", "-extfile", text(&ext)]].concat(), None);
    sh("chown", &[user, text(&key)], None);
    sh("chmod", &["600", text(&key)], None);
    (ca, server, key)
}

fn folder_for(user: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    sh("chown", &[user, text(folder.path())], None);
    sh("chmod", &["755", text(folder.path())], None);
    folder
}

fn spec(url: &str) -> DatabaseSpec {
    DatabaseSpec::new("operative", StoreUrl::parse(url).unwrap())
}

/// Opens as soon as the server is up, and gives what came of it then.
fn open_when_up(spec: &DatabaseSpec) -> Result<Database, String> {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        match Database::open(spec.clone()) {
            Ok(database) => return Ok(database),
            Err(error) if error.kind == ErrorKind::Unreachable && Instant::now() < end => {
                std::thread::sleep(Duration::from_millis(100));
            }
            Err(error) => {
                assert_eq!(error.kind, ErrorKind::Refused, "{error}");
                return Err(error.to_string());
            }
        }
    }
}

fn refused(spec: &DatabaseSpec, why: &str) {
    let error = Database::open(spec.clone()).expect_err(why);
    assert_eq!(error.kind, ErrorKind::Refused, "{error}");
    assert!(error.to_string().contains(why), "{why}: {error}");
}

#[test]
fn postgresql_needs_its_tls_and_must_not_be_a_standby() {
    let folder = folder_for("postgres");
    let (ca, server, key) = certificates(folder.path(), "postgres");
    let (data, port) = (folder.path().join("data"), free_port());
    sh(&format!("{PG_BIN}/initdb"), &["-D", text(&data), "-A", "trust", "-U", "postgres"], Some("postgres"));
    let start = |ssl: &str| {
        let port = port.to_string();
        let settings = [
            format!("unix_socket_directories={}", folder.path().display()),
            "fsync=off".to_owned(),
            format!("ssl={ssl}"),
            format!("ssl_cert_file={}", server.display()),
            format!("ssl_key_file={}", key.display()),
        ];
        let mut args = vec!["-D", text(&data), "-p", &port];
        args.extend(settings.iter().flat_map(|setting| ["-c", setting.as_str()]));
        serve(&format!("{PG_BIN}/postgres"), &args, "postgres")
    };
    let by_name = format!("postgres://postgres@localhost:{port}/postgres");
    let by_number = format!("postgres://postgres@127.0.0.1:{port}/postgres");

    let running = start("on");
    let identity = open_when_up(&spec(&by_number)).unwrap().identity().to_owned();
    let mut verified = spec(&by_name);
    verified.ca = Some(ca.clone());
    let database = Database::open(verified.clone()).unwrap();
    let rows = database
        .conn()
        .unwrap()
        .rows(&Stmt::new("SELECT CAST(ssl AS text) FROM pg_stat_ssl WHERE pid = pg_backend_pid()"));
    assert_eq!(rows.unwrap()[0].plain(0), Some("true"));
    Database::open(spec(&format!("{by_number}?sslmode=require"))).unwrap();
    let mut wrong_name = spec(&by_number);
    wrong_name.ca = Some(ca.clone());
    refused(&wrong_name, "certificate");
    let mut contradiction = spec(&format!("{by_name}?sslmode=disable"));
    contradiction.ca = Some(ca);
    refused(&contradiction, "asks for a verified connection");
    // libpq leaves TLS away on a socket, whatever was asked for.
    let socket = format!("postgres://postgres@/postgres?host={}&port={port}", folder.path().display());
    Database::open(spec(&socket)).unwrap();
    refused(&spec(&format!("{socket}&sslmode=require")), "not encrypted");
    drop(database);
    drop(running);

    // Killed, it comes up again by recovery; with the signal file it stays a standby.
    sh("rm", &["-f", text(&data.join("postmaster.pid"))], None);
    let running = start("off");
    open_when_up(&spec(&by_number)).unwrap();
    refused(&verified, "does not support SSL");
    drop(running);
    sh("rm", &["-f", text(&data.join("postmaster.pid"))], None);
    std::fs::write(data.join("standby.signal"), "").unwrap();
    let _running = start("off");
    let error = open_when_up(&spec(&by_number)).unwrap_err();
    assert!(error.contains("standby"), "{error}");
    assert!(identity.starts_with("pg:") && identity.ends_with("/postgres"), "{identity}");
}

#[test]
fn mariadb_needs_its_tls_and_must_be_writable() {
    let folder = folder_for("mysql");
    let (ca, server, key) = certificates(folder.path(), "mysql");
    let (data, port, socket) = (folder.path().join("data"), free_port(), folder.path().join("s"));
    let data_argument = format!("--datadir={}", data.display());
    sh(
        "mariadb-install-db",
        &[
            "--no-defaults",
            "--user=mysql",
            &data_argument,
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        ],
        None,
    );
    let start = |more: &[&str]| {
        let mut args = vec![
            "--no-defaults".to_owned(),
            data_argument.clone(),
            format!("--port={port}"),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--socket={}", socket.display()),
            format!("--pid-file={}", folder.path().join("pid").display()),
        ];
        args.extend(more.iter().map(|&arg| arg.to_owned()));
        serve("mariadbd", &args.iter().map(String::as_str).collect::<Vec<_>>(), "mysql")
    };
    let by_name = format!("mysql://root@localhost:{port}/mysql");
    let by_number = format!("mysql://root@127.0.0.1:{port}/mysql");

    let (cert, key) = (format!("--ssl-cert={}", server.display()), format!("--ssl-key={}", key.display()));
    let running = start(&[&cert, &key]);
    let identity = open_when_up(&spec(&by_number)).unwrap().identity().to_owned();
    let mut verified = spec(&by_name);
    verified.ca = Some(ca.clone());
    let database = Database::open(verified.clone()).unwrap();
    let rows = database.conn().unwrap().rows(&Stmt::new("SHOW SESSION STATUS LIKE 'Ssl_cipher'")).unwrap();
    assert!(!rows[0].plain(1).unwrap().is_empty());
    refused(&spec(&format!("{by_name}?ssl-mode=REQUIRED")), "certificate");
    refused(&spec(&format!("{by_name}?require_ssl=true")), "certificate");
    let mut by_ca = spec(&by_number);
    by_ca.ca = Some(ca.clone());
    refused(&by_ca, "certificate");
    by_ca.url = StoreUrl::parse(&format!("{by_number}?ssl-mode=VERIFY_CA")).unwrap();
    refused(&by_ca, "certificate");
    by_ca.url = StoreUrl::parse(&format!("{by_name}?ssl-mode=VERIFY_CA")).unwrap();
    Database::open(by_ca).unwrap();
    refused(&spec(&format!("{by_name}?require_ssl=true&socket={}", socket.display())), "not encrypted");
    database.conn().unwrap().execute(&Stmt::new("SET GLOBAL read_only = 1")).unwrap();
    refused(&spec(&by_number), "read-only (read_only)");
    drop(database);
    drop(running);

    let _running = start(&["--skip-ssl", "--log-bin", "--binlog-format=STATEMENT", "--server-id=9"]);
    let error = open_when_up(&spec(&by_number)).unwrap_err();
    assert!(error.contains("binlog_format"), "{error}");
    assert!(!error.contains(&identity));
    refused(&verified, "does not have this capability");
}
