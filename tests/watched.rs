//! The daemon says what happens: alerts by mail, pings, metrics. A real daemon, mail server and HTTP clients.
#![expect(clippy::unwrap_used, reason = "what goes wrong fails the test")]

mod support;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use support::mail_server::{MailServer, USER, free_port};
use support::server::try_sql;
use support::{Project, run_sql};

struct World {
    project: Project,
    daemon: Option<Child>,
}

impl World {
    /// 2 000 expired rows of 2 000: the brake `max_percent` stops the job, which is due every two seconds.
    fn new(more: &str, job: &str) -> Self {
        let project = Project::new("");
        project.write("main.db", "");
        let world = Self { project, daemon: None };
        world.policy(more, job);
        world.sql(
            "CREATE TABLE logs (id INTEGER PRIMARY KEY, at TEXT, caller TEXT); CREATE INDEX logs_at ON logs (at);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
             INSERT INTO logs SELECT i, '2020-01-01 00:00:00', 'Canary Person' FROM n;",
        );
        world.project.run(&["init", "main"]).expect_code(0);
        world
    }

    fn policy(&self, more: &str, job: &str) {
        self.project.write_jobs(&format!(
            "[state]\nurl = \"sqlite:{{dir}}/state.db\"\n{more}\n[stores.main]\nurl = \"sqlite:{{dir}}/main.db\"\n[data.logs]\nstore = \"main\"\ntable = \"logs\"\ncategory = \"reporting_data\"\ntime = {{ column = \"at\", format = \"%Y-%m-%d %H:%M:%S\", zone = \"UTC\" }}\n[jobs.it]\nkind = \"retention_purge\"\ndata = [\"logs\"]\nkeep = \"13 months\"\nschedule = \"*/2 * * * * *\"\n{job}\n"
        ));
    }

    fn sql(&self, sql: &str) -> String {
        run_sql(&format!("sqlite:{}", self.project.path("main.db").display()), sql)
    }

    fn state(&self, sql: &str) -> String {
        // Empty as long as the daemon has not made its tables.
        try_sql(&format!("sqlite:{}", self.project.path("state.db").display()), sql)
            .unwrap_or_default()
            .trim()
            .to_owned()
    }

    fn start(&mut self) {
        let mut command = self.project.command(&["serve", "--socket", "control.sock"]);
        let log = std::fs::File::options().create(true).append(true).open(self.project.path("log")).unwrap();
        command.stdout(Stdio::null()).stderr(log);
        self.daemon = Some(command.spawn().unwrap());
    }

    fn stop(&mut self) {
        let Some(mut daemon) = self.daemon.take() else { return };
        support::project::signal(&mut daemon, rustix::process::Signal::TERM);
        daemon.wait().unwrap();
    }

    #[track_caller]
    fn wait(&self, what: &str, mut done: impl FnMut() -> bool) {
        let until = Instant::now() + Duration::from_secs(90);
        while !done() {
            let log = || std::fs::read_to_string(self.project.path("log")).unwrap_or_default();
            assert!(Instant::now() < until, "{what}: not within 90 s\n{}", log());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn runs(&self) -> u64 {
        self.state("SELECT count(*) FROM runs WHERE outcome IS NOT NULL").parse().unwrap_or_default()
    }

    /// Waits for so many more runs.
    fn more_runs(&self, count: u64) {
        let wanted = self.runs() + count;
        self.wait("runs", || self.runs() >= wanted);
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop();
    }
}

fn subjects(mails: &[String]) -> Vec<&str> {
    mails.iter().flat_map(|mail| mail.lines().filter_map(|line| line.strip_prefix("Subject: "))).collect()
}

#[test]
fn a_brake_is_mailed_once_with_its_command_and_so_is_the_recovery() {
    let server = MailServer::start(true);
    let mut world = World::new("", "");
    for (name, text) in [("user", USER.0), ("password", USER.1)] {
        world.project.write(name, text);
    }
    let mail = format!(
        "[mail]\nsmtp = \"smtp://localhost:{}\"\nca = \"{}\"\nfrom = \"retentiond <retentiond@example.org>\"\nalerts = [\"ops@example.org\"]\nusername = {{ file = \"{{dir}}/user\" }}\npassword = {{ file = \"{{dir}}/password\" }}\n",
        server.port,
        server.ca().display()
    );
    world.policy(&mail, "");
    world.start();
    let mails = server.mailbox(1);
    let plan = world.state("SELECT plan FROM plans");
    assert!(subjects(&mails)[0] == "retentiond: job it waits for you", "{mails:?}");
    assert!(mails[0].contains(&format!("\n    retentiond approve it {plan}\n")), "{}", mails[0]);
    assert!(mails[0].contains("To: ops@example.org\n"), "{}", mails[0]);
    assert!(!mails[0].contains("Canary"), "{}", mails[0]);
    // The next runs are stopped by the same brake, before and after a restart.
    world.more_runs(2);
    world.stop();
    world.start();
    world.more_runs(2);
    assert_eq!(server.delivered().len(), 1, "{:?}", subjects(&server.delivered()));
    // What the mail says lets it pass.
    world.project.run(&["approve", "it", &plan]).expect_code(0);
    let mails = server.mailbox(2);
    assert!(subjects(&mails).contains(&"retentiond: job it is well again"), "{:?}", subjects(&mails));
    assert_eq!(world.sql("SELECT count(*) FROM logs"), "0\n");
    let status = world.project.run(&["status", "--socket", "control.sock", "--format", "json"]).expect_code(0).json();
    assert_eq!((&status["daemon"], &status["within_policy"]), (&true.into(), &true.into()), "{status}");
    world.more_runs(2);
    assert_eq!(server.delivered().len(), 2);
    world.wait("no letter waits", || world.state("SELECT count(*) FROM letters") == "0");
}

#[test]
fn a_mail_server_that_is_away_holds_up_nothing_and_gets_its_mail_later() {
    let port = free_port();
    let mail = |way: &str| {
        format!("[mail]\nsmtp = \"{way}\"\nfrom = \"retentiond@example.org\"\nalerts = [\"ops@example.org\"]\n")
    };
    let mut world = World::new(&mail(&format!("smtps://localhost:{port}")), "");
    world.start();
    world.wait("the letter waits", || world.state("SELECT count(*) FROM letters WHERE attempts > 0") == "1");
    world.more_runs(2);
    world.stop();
    world.policy(&mail("file:{dir}/out"), "");
    world.state("UPDATE letters SET not_before = '2020-01-01 00:00:00'");
    world.start();
    let out = world.project.path("out");
    world.wait("the mail has left", || world.state("SELECT count(*) FROM letters") == "0");
    let mails = std::fs::read_dir(&out).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    assert_eq!(mails.filter(|name| name.ends_with(".eml")).count(), 1);
}

/// An HTTP server that notes what is asked for.
fn notes() -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let noted = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&noted);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let first = lines.next().unwrap().unwrap();
            lines.take_while(|line| line.as_ref().is_ok_and(|line| !line.is_empty())).for_each(drop);
            notes.lock().unwrap().push(first.split(' ').nth(1).unwrap().to_owned());
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nOK").unwrap();
        }
    });
    (port, noted)
}

#[test]
fn pings_tell_of_start_failure_and_success() {
    let (port, noted) = notes();
    let mut world = World::new("", &format!("ping_url = \"http://127.0.0.1:{port}/uuid/\""));
    world.start();
    world.wait("a failure", || noted.lock().unwrap().iter().any(|path| path.starts_with("/uuid/fail?rid=")));
    let plan = world.state("SELECT plan FROM plans");
    world.project.run(&["approve", "it", &plan]).expect_code(0);
    world.wait("a success", || noted.lock().unwrap().iter().any(|path| path.starts_with("/uuid?rid=")));
    world.stop();
    // Each end has the id of the start just before it.
    let paths = noted.lock().unwrap().clone();
    let id = |path: &String| path.split("rid=").nth(1).unwrap().to_owned();
    for two in paths.chunks_exact(2) {
        assert!(two[0].starts_with("/uuid/start?rid=") && !two[1].contains("start"), "{paths:?}");
        assert_eq!(id(&two[0]), id(&two[1]), "{paths:?}");
    }
}

#[test]
fn a_ping_that_nobody_answers_delays_no_run() {
    // It accepts, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/uuid", silent.local_addr().unwrap());
    let mut world = World::new("", &format!("ping_url = \"{url}\""));
    world.start();
    world.wait("the first run", || world.project.path("state.db").exists() && world.runs() > 0);
    let started = Instant::now();
    world.more_runs(2);
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
}

/// What a GET answers: the status line and the body.
fn get(mut stream: impl std::io::Read + std::io::Write, path: &str) -> (String, String) {
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    BufReader::new(stream).read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

/// Samples by name and labels; whatever is no line of the exposition format fails the test.
fn parse(text: &str) -> BTreeMap<String, f64> {
    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with("# HELP ") && !line.starts_with("# TYPE "))
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no sample: {line}"));
            (name.to_owned(), value.parse().unwrap_or_else(|_| panic!("no number: {line}")))
        })
        .collect()
}

#[test]
fn metrics_are_scraped_and_hold_nobodys_data() {
    let port = free_port();
    let mut world = World::new(&format!("[metrics]\nlisten = \"127.0.0.1:{port}\""), "");
    world.start();
    let scrape = || TcpStream::connect(("127.0.0.1", port)).ok().map(|stream| parse(&get(stream, "/metrics").1));
    let overdue = "retentiond_overdue_rows{job=\"it\",data=\"logs\"}";
    world.wait("the count", || {
        scrape().is_some_and(|samples| {
            samples.contains_key(overdue) && samples.contains_key("retentiond_braked{job=\"it\"}")
        })
    });
    let samples = scrape().unwrap();
    let of = |samples: &BTreeMap<String, f64>, name: &str| {
        *samples.get(name).unwrap_or_else(|| panic!("{name}: {samples:#?}"))
    };
    assert_eq!(of(&samples, overdue), 2_000.0);
    assert!(of(&samples, "retentiond_oldest_overdue_seconds{job=\"it\",data=\"logs\"}") > 100_000_000.0);
    assert_eq!(of(&samples, "retentiond_last_success_age_seconds{job=\"it\",data=\"logs\"}"), -1.0);
    assert_eq!(of(&samples, "retentiond_braked{job=\"it\"}"), 1.0);
    assert!(of(&samples, "retentiond_brakes_total{job=\"it\",brake=\"max_percent\"}") >= 1.0);
    assert!(of(&samples, "retentiond_runs_total{job=\"it\",outcome=\"braked\"}") >= 1.0);
    assert!(of(&samples, "retentiond_lag_seconds{job=\"it\"}") < 60.0);
    let plan = world.state("SELECT plan FROM plans");
    world.project.run(&["approve", "it", &plan]).expect_code(0);
    // Rows may be counted as gone before their run has ended.
    let removed = "retentiond_rows_removed_total{job=\"it\",data=\"logs\",action=\"delete\"}";
    world.wait("nothing is overdue", || {
        scrape().is_some_and(|samples| samples.get(overdue) == Some(&0.0) && samples.get(removed) > Some(&0.0))
    });
    let samples = scrape().unwrap();
    assert_eq!(of(&samples, removed), 2_000.0);
    assert!(of(&samples, "retentiond_last_success_age_seconds{job=\"it\",data=\"logs\"}") >= 0.0);
    assert!(of(&samples, "retentiond_run_seconds_count{job=\"it\"}") >= 2.0);
    let (status, body) = get(TcpStream::connect(("127.0.0.1", port)).unwrap(), "/healthz");
    assert!(status.contains("200") && body.contains("\"ok\":true"), "{status} {body}");
    let text = get(TcpStream::connect(("127.0.0.1", port)).unwrap(), "/metrics").1;
    assert!(!text.contains("Canary") && !text.contains("main.db"), "{text}");
}

#[test]
fn what_is_not_known_any_more_is_no_number() {
    let port = free_port();
    let mut world = World::new(
        &format!("[metrics]\nlisten = \"127.0.0.1:{port}\"\n[brakes]\nmax_percent = 100\n[approvals]\nwidened = false"),
        "",
    );
    world.start();
    let scrape =
        || TcpStream::connect(("127.0.0.1", port)).map(|stream| parse(&get(stream, "/metrics").1)).unwrap_or_default();
    let overdue = "retentiond_overdue_rows{job=\"it\",data=\"logs\"}";
    let lease = "retentiond_lease_held{job=\"it\"}";
    world.wait("a complete run", || scrape().get(overdue) == Some(&0.0));
    // Whoever looks every five seconds sees a pause late: a slot is refused before, and a refusal begins nothing.
    world.project.run(&["pause", "it"]).expect_code(0);
    world.wait("a refused slot", || world.state("SELECT count(*) FROM slots WHERE outcome = 'paused'") != "0");
    world.wait("nothing runs", || scrape().get(lease) == Some(&0.0));
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(scrape().get(lease), Some(&0.0), "nobody has the lease");
    // The map fits no more.
    world.sql("ALTER TABLE logs RENAME TO other");
    world.project.run(&["resume", "it"]).expect_code(0);
    world.wait("no number", || scrape().get(overdue).is_some_and(|rows| rows.is_nan()));
    let samples = scrape();
    assert_eq!(samples["retentiond_paused{job=\"it\"}"], 0.0, "{samples:#?}");
    assert!(samples["retentiond_oldest_overdue_seconds{job=\"it\",data=\"logs\"}"].is_nan(), "{samples:#?}");
    assert!(samples["retentiond_last_success_age_seconds{job=\"it\",data=\"logs\"}"] >= 0.0, "{samples:#?}");
}

/// Who hears of a refused file is whom the file says that is followed.
#[test]
fn a_refused_file_is_told_of_by_the_file_that_is_followed() {
    let mail = |folder: &str| {
        format!(
            "[mail]\nsmtp = \"file:{{dir}}/{folder}\"\nfrom = \"r@example.org\"\nalerts = [\"ops@example.org\"]\n[brakes]\nmax_percent = 100\n"
        )
    };
    let mut world = World::new(&mail("out"), "");
    world.start();
    world.wait("a run", || world.project.path("state.db").exists() && world.runs() > 0);
    world.policy(&mail("elsewhere"), "keeep = 1");
    world.project.run(&["reload", "--socket", "control.sock"]).expect_code(3);
    let mails = || {
        let folder = std::fs::read_dir(world.project.path("out")).into_iter().flatten().flatten();
        folder.map(|mail| std::fs::read_to_string(mail.path()).unwrap()).collect::<String>()
    };
    world.wait("a mail about the file", || mails().contains("keeep"));
    assert!(!world.project.path("elsewhere").exists());
}

#[test]
fn metrics_are_read_on_this_machine_only() {
    let mut world = World::new("[metrics]\nlisten = \"unix:{dir}/metrics.sock\"", "");
    world.start();
    let socket = world.project.path("metrics.sock");
    world.wait("the socket", || UnixStream::connect(&socket).is_ok());
    let (status, body) = get(UnixStream::connect(&socket).unwrap(), "/healthz");
    assert!(status.contains("200"), "{status} {body}");
    world.policy("[metrics]\nlisten = \"0.0.0.0:9187\"", "");
    let refused = world.project.run(&["check"]).expect_code(3);
    assert!(refused.stderr.contains("on this machine only") && refused.stderr.contains("jobs.toml:4"), "{refused:?}");
    world.policy("", "ping_url = \"ftp://x\"");
    assert!(world.project.run(&["check"]).expect_code(3).stderr.contains("no address to ping"));
}
