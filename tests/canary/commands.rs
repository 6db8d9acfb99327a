//! Every command and every job of the shipped policy, at the most verbose level, over a contact centre in which each
//! personal column holds a marked value.

use std::io::{Read as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::center::{Center, Db, POLICY};
use crate::support::mail_server::free_port;
use crate::support::{Output, project};

/// What a value is known by: a word in names, texts and addresses, digits in phone numbers, and in addresses of machines.
const MARKS: [&str; 3] = ["kanarienvogel", "4446661", "4446:661"];

/// What makes each personal column a marked one; `id` stands for the row.
const MARKED: [(&str, &str); 7] = [
    (
        "configuration",
        "UPDATE users SET login_id = 'kanarienvogel.' || id, first_name = 'Kanarienvogel' || id, last_name = 'Kanarienvogel', job_title = 'Kanarienvogel';
         UPDATE user_names SET first_name = 'Kanarienvogel' || user_id, last_name = 'Kanarienvogel';
         UPDATE user_addresses SET address = CASE kind WHEN 'phone' THEN '+3584446661' || user_id ELSE 'kanarienvogel' || user_id || '@example.org' END;
         UPDATE user_settings SET value = 'kanarienvogel'; UPDATE recording_listening_log SET reason = 'kanarienvogel';
         UPDATE audit_log SET new_value = 'kanarienvogel' || id;
         UPDATE privacy_requests SET identifier = CASE identifier_kind WHEN 'phone' THEN '+35844466611' ELSE 'kanarienvogel1@example.org' END;",
    ),
    (
        "directory",
        "UPDATE directory_users SET first_name = 'Kanarienvogel' || id, last_name = 'Kanarienvogel', phone = '+3584446661' || id, email = 'kanarienvogel' || id || '@example.org', job_title = 'kanarienvogel', responsibilities = 'kanarienvogel';
         UPDATE directory_customers SET name = 'Kanarienvogel ' || id, phone = '+3584446661' || id, email = 'kanarienvogel' || id || '@example.org', company = 'kanarienvogel', note = 'kanarienvogel';",
    ),
    (
        "operative",
        "UPDATE contacts SET caller_number = '+3584446661' || id, caller_email = 'kanarienvogel' || id || '@example.org', caller_name = 'Kanarienvogel ' || id, client_ip = '2001:db8:4446:661::' || (id % 1000), subject = 'kanarienvogel' || id;
         UPDATE contact_events SET address = '+3584446661' || contact_id;
         UPDATE emails SET message_id = 'kanarienvogel' || id || '@example.org', from_address = 'kanarienvogel' || contact_id || '@example.org', reply_to = 'kanarienvogel' || id || '@example.net', to_address = 'kanarienvogel' || id || '@example.com', subject = 'kanarienvogel', body = 'kanarienvogel';
         UPDATE email_attachments SET file_name = 'kanarienvogel.pdf', content = 'kanarienvogel';
         UPDATE chats SET nickname = 'kanarienvogel', client_ip = '2001:db8:4446:661::' || (contact_id % 1000);
         UPDATE chat_transcripts SET line = 'kanarienvogel'; UPDATE internal_notes SET note = 'kanarienvogel';
         UPDATE attached_data SET value = 'kanarienvogel'; UPDATE recordings SET file_path = 'kanarienvogel/' || id || '.wav';",
    ),
    (
        "outbound",
        "UPDATE campaigns SET name = 'kanarienvogel'; UPDATE campaign_calls SET note = 'kanarienvogel';
         UPDATE campaign_customers SET name = 'Kanarienvogel ' || id, phone = '+3584446661' || id, email = 'kanarienvogel' || id || '@example.org';",
    ),
    (
        "monitoring",
        "UPDATE live_agents SET login_id = 'kanarienvogel.' || user_id, current_caller = '+3584446661' || id;
         UPDATE live_queues SET first_caller = '+3584446661' || id;",
    ),
    ("reporting", "UPDATE agent_intervals SET login_id = 'kanarienvogel.' || user_id;"),
    (
        "history",
        "UPDATE contact_statistics SET agent_login = 'kanarienvogel.' || agent_id, caller_number = '+3584446661' || contact_id;
         UPDATE agent_work_time SET agent_name = 'Kanarienvogel ' || user_id;",
    ),
];

fn mark(text: &str) -> Option<&str> {
    text.lines().find(|line| MARKS.iter().any(|mark| line.to_lowercase().contains(mark)))
}

struct Watched {
    center: Center,
    /// How many commands were run.
    said: usize,
}

impl Watched {
    fn new(db: Db) -> Self {
        let archive = "# archive = { store = \"archive\", format = \"jsonl.zst\", keep = \"6 years\" }";
        assert!(POLICY.contains(archive));
        let policy = POLICY.replace(archive, archive.trim_start_matches("# "))
            + &format!(
                "\n[stores.archive]\nurl = \"file:{{dir}}/archive\"\n[metrics]\nlisten = \"127.0.0.1:{}\"\n",
                free_port()
            );
        let policy = policy.replace("widened = true", "widened = false");
        let mut center = Center::with(db, &["--small"], POLICY);
        let mails = format!("file:{}", center.project.path("mails").display());
        center.project.env("RETENTIOND_SMTP_URL", &mails);
        for (store, sql) in MARKED {
            center.sql(store, sql);
        }
        let voice = center.project.path("recordings/kanarienvogel");
        std::fs::create_dir_all(&voice).unwrap();
        for id in center.sql("operative", "SELECT id FROM recordings;").lines() {
            std::fs::write(voice.join(format!("{id}.wav")), "sound").unwrap();
        }
        std::fs::create_dir_all(center.project.path("archive")).unwrap();
        center.project.write_jobs(&policy);
        center.project.run(&["init", "archive"]).expect_code(0);
        Self { center, said: 0 }
    }

    /// Runs a command at the most verbose level; neither stream holds a marked value.
    #[track_caller]
    fn say(&mut self, args: &[&str]) -> Output {
        self.said += 1;
        let form = if self.said.is_multiple_of(2) { "json" } else { "text" };
        let output = self.center.project.run(&[args, &["--log", "trace", "--log-format", form]].concat());
        self.silent(args, &output);
        output
    }

    #[track_caller]
    fn silent(&self, args: &[&str], output: &Output) {
        for (stream, text) in [("standard output", &output.stdout), ("standard error", &output.stderr)] {
            assert_eq!(mark(text), None, "{args:?}: {stream} holds somebody's data");
        }
        assert!(output.code.is_some(), "{args:?}: {output:?}");
    }

    /// What retentiond keeps of its own: the state, its outbox, the trail, what it wrote beside the operators' rows.
    fn kept(&self) -> String {
        let mut kept = String::new();
        for name in ["state.db", "state.db-wal"] {
            kept += &String::from_utf8_lossy(&std::fs::read(self.center.project.path(name)).unwrap_or_default());
        }
        for file in std::fs::read_dir(self.center.project.path("outbox")).into_iter().flatten() {
            kept += &String::from_utf8_lossy(&std::fs::read(file.unwrap().path()).unwrap_or_default());
        }
        for store in crate::center::STORES {
            kept += &self.center.sql(store, "SELECT * FROM retentiond_ledger;");
        }
        kept
    }
}

/// Looks at the command lines of all processes that are called retentiond, until it is told to stop.
fn command_lines(stop: &AtomicBool) -> (usize, Option<String>) {
    let mut seen = 0;
    while !stop.load(Ordering::Relaxed) {
        for process in std::fs::read_dir("/proc").unwrap().flatten() {
            let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            if line.split(' ').next().is_some_and(|program| program.contains("/retentiond")) {
                seen += 1;
                if mark(&line).is_some() {
                    return (seen, Some(line));
                }
            }
        }
        std::thread::sleep(Duration::from_millis(3));
    }
    (seen, None)
}

#[test]
fn no_command_says_or_keeps_anybodys_data() {
    for db in [Db::Sqlite, Db::Postgres] {
        let stop = AtomicBool::new(false);
        let (seen, line) = std::thread::scope(|scope| {
            let looking = scope.spawn(|| command_lines(&stop));
            let told = std::panic::catch_unwind(|| every_command(db));
            stop.store(true, Ordering::Relaxed);
            let looked = looking.join().unwrap();
            if let Err(told) = told {
                std::panic::resume_unwind(told);
            }
            looked
        });
        assert_eq!(line, None, "{db:?}");
        assert!(seen > 50, "{db:?}: {seen} command lines were seen");
    }
}

#[expect(clippy::too_many_lines, reason = "a list of all commands")]
fn every_command(db: Db) {
    let mut all = Watched::new(db);
    all.center.project.write("user", "login=kanarienvogel.5\n");
    all.center.project.write("customer", "phone=+3584446661 11\nemail=kanarienvogel11@example.org\n");
    all.center.project.write("nobody", "email=kanarienvogel@nowhere.example\n");
    all.center.project.write("wrong", "kanarienvogel.99999\n");
    for args in [
        &["check"][..],
        &["check", "--format", "json"],
        &["check", "--unit"],
        &["plan", "-v"],
        &["plan", "--format", "json"],
        &["jobs", "--next", "3"],
        &["jobs", "--format", "json"],
        &["status"],
        &["status", "--format", "json"],
        &["schema"],
        &["schema", "--report"],
        &["completions", "bash"],
        &["man"],
        &["audit", "capture", "configuration"],
        &["init", "operative", "--print-sql"],
        &["hold", "add", "case", "--user", "@user", "--why", "a lawsuit"],
        &["hold", "list"],
        &["hold", "list", "--format", "json"],
        &["report", "--user", "@wrong", "--out", "none"],
        &["report", "--customer", "@nobody", "--out", "empty", "--formats", "json,csv,html"],
        &["report", "--user", "@user", "--out", "user-files", "--formats", "json,csv,html"],
        &["report", "--customer", "@customer", "--out", "customer-files", "--formats", "pdf,json"],
        &["report", "--user", "@user"],
        &["report", "--customer", "@customer", "--format", "json"],
        &["report", "list"],
        &["report", "list", "--format", "json"],
        &["run", "reports"],
        &["report", "list", "--all"],
        &["pause", "calls"],
        &["run", "calls"],
        &["resume", "calls"],
        &["run", "--all"],
        &[
            "run",
            "--all",
            "--release-brake",
            "max_rows",
            "--release-brake",
            "max_percent",
            "--outside-window",
            "--format",
            "json",
        ],
        &["approve", "calls", "00000000"],
        &["erase", "--customer", "@nobody", "--dry-run"],
        &["erase", "--user", "@user", "--dry-run"],
        &["erase", "--user", "@user", "--yes-i-mean", "0000"],
    ] {
        all.say(args);
    }
    assert_eq!(std::fs::read_dir(all.center.project.path("mails")).unwrap().count(), 2, "two reports were mailed");
    let plan = all.say(&["erase", "--customer", "@customer", "--dry-run", "--format", "json"]).json();
    let plan = plan["jobs"][0]["plan"].as_str().unwrap_or_else(|| panic!("{plan}")).to_owned();
    // What the hold on the user keeps stays.
    all.say(&["erase", "--customer", "@customer", "--yes-i-mean", &plan, "--out", "receipt"]).expect_code(0);
    for file in std::fs::read_dir(all.center.project.path("receipt")).unwrap() {
        let receipt = std::fs::read_to_string(file.unwrap().path()).unwrap();
        assert_eq!(mark(&receipt), None, "a receipt holds somebody's data");
    }
    all.center.sql("configuration", "DELETE FROM users WHERE id = 9;");
    for args in [
        &["run", "directory", "--release-brake", "max_percent"][..],
        &["history"],
        &["history", "--format", "json"],
        &["audit", "show"],
        &["audit", "show", "--format", "json"],
        &["audit", "verify"],
        &["audit", "export"],
        &["archive", "list"],
        &["archive", "verify"],
        &["replay"],
        &["reload"],
        &["accept-clock"],
        &["status"],
    ] {
        all.say(args);
    }
    serve(&mut all);
    let kept = all.kept();
    assert!(kept.contains("report") && kept.contains("contacts"), "nothing was kept at all");
    let place = MARKS.iter().find_map(|mark| kept.to_lowercase().find(mark));
    assert_eq!(place.map(|place| &kept[place.saturating_sub(60)..(place + 60).min(kept.len())]), None, "{db:?}");
}

/// The daemon, its metrics and what it answers.
fn serve(all: &mut Watched) {
    let jobs = std::fs::read_to_string(all.center.project.path("jobs.toml")).unwrap();
    let metrics = jobs.split("listen = \"").last().unwrap().split('"').next().unwrap().to_owned();
    let args = ["serve", "--socket", "control.sock", "--log", "trace", "--log-format", "json"];
    let mut daemon = all.center.project.spawn(&args);
    let mut scraped = String::new();
    for _ in 0..300 {
        std::thread::sleep(Duration::from_millis(100));
        let Ok(mut stream) = std::net::TcpStream::connect(&metrics) else { continue };
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
        scraped.clear();
        stream.read_to_string(&mut scraped).unwrap();
        if scraped.contains("retentiond_oldest_overdue_seconds") {
            break;
        }
    }
    assert!(scraped.contains("retentiond_oldest_overdue_seconds"), "{scraped}");
    assert_eq!(mark(&scraped), None);
    for args in [
        &["status", "--socket", "control.sock"][..],
        &["report", "list", "--socket", "control.sock"],
        &["pause", "--socket", "control.sock"],
        &["reload", "--socket", "control.sock"],
    ] {
        all.say(args);
    }
    project::signal(&mut daemon, rustix::process::Signal::TERM);
    let served = project::finish(std::time::Instant::now(), daemon).expect_code(0);
    all.silent(&args, &served);
    assert!(served.stderr.lines().count() > 3, "{}", served.stderr);
}
