//! Work by way of the daemon: who can read neither its file nor its databases plans, runs and approves jobs, and exports the
//! audit trail, if their role allows.
#![expect(clippy::unwrap_used, reason = "what goes wrong fails the test")]

mod support;

#[path = "work/counted.rs"]
mod counted;
#[path = "reports_mailed/desk.rs"]
mod desk;
#[path = "roles/office.rs"]
mod office;

use std::os::unix::fs::MetadataExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use desk::{CANARY, Desk};
use office::Office;
use rustix::process::Signal;
use support::Output;
use support::project::{finish, signal};

const OPERATOR: &str = "daemon";
const DPO: &str = "games";
const AUDITOR: &str = "mail";

/// Batches of the contacts of an office take long.
const SLOW: &str = "[jobs.contacts]\npace = { rows_per_second = 2000, pause_ms = 100 }\n";

fn slow(policy: String, _: &Desk) -> String {
    policy.replacen("[jobs.contacts]\n", SLOW, 1)
}

/// Adds expired rows.
fn fill(office: &Office, rows: usize) {
    office.desk.sql(&format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
         INSERT INTO contacts SELECT i + 100, NULL, '{CANARY}@example.net', '2021-01-01 10:00:00', '{CANARY}' FROM n;"
    ));
}

fn left(office: &Office) -> usize {
    office.desk.sql("SELECT count(*) FROM contacts;").trim().parse().unwrap()
}

#[track_caller]
fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(90);
    while !done() {
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What somebody reads holds nothing of a row.
#[track_caller]
fn discreet(said: Output) -> Output {
    let all = format!("{}{}", said.stdout, said.stderr).to_lowercase();
    assert!(!all.contains(CANARY) && !all.contains("example.net"), "{said:?}");
    said
}

/// Lets a command end whose answer is not wanted.
fn ended(child: Child) -> Output {
    finish(Instant::now(), child)
}

fn operator(office: &Office, args: &[&str]) -> Output {
    discreet(office.says(OPERATOR, args))
}

fn plans_runs_and_looks_back(office: &Office) {
    let jobs = operator(office, &["jobs", "--format", "json"]).expect_code(0).json();
    assert_eq!(jobs["jobs"].as_array().unwrap().len(), 2, "{jobs}");
    assert!(operator(office, &["jobs"]).expect_code(0).stdout.contains("by hand only"));
    let planned = operator(office, &["plan", "--format", "json"]).expect_code(0).json();
    assert_eq!((&planned["jobs"][0]["job"], &planned["jobs"][0]["rows"]), (&"contacts".into(), &2.into()), "{planned}");
    let shown = operator(office, &["plan", "contacts", "--verbose"]).expect_code(0);
    assert!(shown.stdout.contains("2 rows in all") && shown.stdout.contains("ended_at"), "{shown:?}");
    let ahead = operator(office, &["plan", "contacts", "--now", "2020-06-01T00:00:00Z", "--format", "json"]).json();
    assert_eq!(ahead["jobs"][0]["rows"], 0, "{ahead}");
    assert_eq!(left(office), 2, "a plan changes nothing");
    // What is no job, and what is no run, is said before anything is done.
    let unknown = operator(office, &["run", "contacts", "contcats"]).expect_code(2);
    assert!(unknown.stderr.contains("there is no job `contcats`; did you mean `contacts`?"), "{unknown:?}");
    assert_eq!(left(office), 2);
    let ran = operator(office, &["run", "contacts", "--format", "json"]).expect_code(0);
    let run = &ran.json()["jobs"][0];
    assert_eq!((&run["outcome"], &run["rows"]), (&"complete".into(), &2.into()), "{ran:?}");
    assert_eq!((&run["steps"][0]["action"], &run["kind"]), (&"delete".into(), &"retention_purge".into()), "{ran:?}");
    assert_eq!(left(office), 0);
    let again = operator(office, &["run", "--all"]).expect_code(0);
    assert!(again.stdout.contains("contacts: complete, 0 rows") && again.stdout.contains("reports: "), "{again:?}");
    for group in [OPERATOR, DPO, AUDITOR] {
        let past = discreet(office.says(group, &["history", "contacts", "--format", "json"])).expect_code(0).json();
        let runs: Vec<_> = past["runs"].as_array().unwrap().iter().collect();
        assert_eq!(runs.len(), 2, "{past}");
        assert_eq!((&runs[1]["trigger"], &runs[1]["rows"]), (&"manual".into(), &2.into()), "{past}");
    }
    // The run is recorded as the operator's.
    let begun = &office.records("run.begin")[0];
    assert_eq!(begun["actor"], serde_json::json!({ "role": "operator", "uid": 65534 }), "{begun}");
    assert_eq!(begun["d"]["trigger"], "manual", "{begun}");
}

#[test]
fn an_operator_who_can_read_nothing_runs_jobs() {
    plans_runs_and_looks_back(&Office::open());
}

#[test]
fn an_operator_runs_jobs_on_postgresql() {
    let office = Office::on_postgres(|policy, _| policy);
    plans_runs_and_looks_back(&office);
    // What the database says of a row stays in the daemon.
    office.desk.sql(&format!(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''no %'', OLD.note USING DETAIL = OLD.email; END';
         INSERT INTO contacts VALUES (9, 1, '{CANARY}@example.net', '2020-01-01 10:00:00', '{CANARY}');
         CREATE TRIGGER refuse BEFORE DELETE ON contacts FOR EACH ROW EXECUTE FUNCTION refuse();"
    ));
    let failed = operator(&office, &["run", "contacts", "--format", "json"]);
    assert!(matches!(failed.code, Some(1 | 3)), "{failed:?}");
    assert_eq!(failed.json()["jobs"][0]["outcome"], "failed", "{failed:?}");
    assert_eq!(left(&office), 1);
    operator(&office, &["history"]).expect_code(0);
    operator(&office, &["status"]);
}

#[test]
fn brakes_stop_an_operator_who_may_approve_and_release() {
    let office =
        Office::with(|policy, _| policy.replacen("max_percent = 100.0", "max_percent = 100.0\nmax_rows = 1", 1));
    let braked = operator(&office, &["run", "contacts"]).expect_code(4);
    assert!(braked.stdout.contains("BRAKE") && braked.stdout.contains("retentiond approve contacts "), "{braked:?}");
    let json = operator(&office, &["run", "contacts", "--format", "json"]).expect_code(4).json();
    assert_eq!((&json["jobs"][0]["outcome"], left(&office)), (&"braked".into(), 2), "{json}");
    let planned = operator(&office, &["plan", "--format", "json"]).expect_code(4).json();
    let plan = planned["jobs"][0]["plan"].as_str().unwrap();
    assert_eq!(planned["jobs"][0]["plan"], json["jobs"][0]["plan"]);
    operator(&office, &["approve", "contacts", "000000000000"]).expect_code(4);
    let approved = operator(&office, &["approve", "contacts", plan, "--format", "json"]).expect_code(0).json();
    assert_eq!((&approved["plan"], &approved["rows"]), (&plan.into(), &2.into()), "{approved}");
    let passed = operator(&office, &["run", "contacts"]).expect_code(0);
    assert!(passed.stderr.contains(&format!("plan {plan} was approved")) && left(&office) == 0, "{passed:?}");
    // A plan that no run has made yet can be approved as well.
    fill(&office, 2);
    let json = operator(&office, &["plan", "contacts", "--format", "json"]).expect_code(4).json();
    operator(&office, &["approve", "contacts", json["jobs"][0]["plan"].as_str().unwrap()]).expect_code(0);
    operator(&office, &["run", "contacts"]).expect_code(0);
    // An approval is good once; the next run stops, and is released by name.
    fill(&office, 3);
    operator(&office, &["run", "contacts"]).expect_code(4);
    operator(&office, &["run", "contacts", "--release-brake", "max_persons"]).expect_code(4);
    assert_eq!(left(&office), 3);
    operator(&office, &["run", "contacts", "--release-brake", "max_rows", "--unpaced", "--outside-window"])
        .expect_code(0);
    assert_eq!(left(&office), 0);
    // Who did that is recorded.
    assert_eq!(office.records("limits.lifted")[0]["d"]["limits"], serde_json::json!(["pace", "window"]));
    for (kind, times) in [("approval", 2), ("brake.released", 1), ("limits.lifted", 1)] {
        let records = office.records(kind);
        let records: Vec<_> = records.iter().filter(|record| record["type"] == kind).collect();
        assert_eq!(records.len(), times, "{records:?}");
        assert_eq!(records[0]["actor"], serde_json::json!({ "role": "operator", "uid": 65534 }), "{records:?}");
    }
    // What the file forbids nobody who asks is let do.
    operator(&office, &["pause", "contacts"]).expect_code(0);
    let paused = operator(&office, &["run", "contacts"]).expect_code(4);
    assert!(paused.stderr.contains("job contacts is paused"), "{paused:?}");
    let json = operator(&office, &["run", "--all", "--format", "json"]).expect_code(4).json();
    assert_eq!(
        (&json["jobs"][0]["error"], &json["jobs"][1]["outcome"]),
        (&"paused".into(), &"complete".into()),
        "{json}"
    );
}

/// The daemon runs no more than its limits say, and no job twice; who waits for a run may go, the run stays.
#[test]
fn a_run_that_was_asked_for_goes_on_alone() {
    let office = Office::with(slow);
    fill(&office, 12_000);
    let mut first = office.begins(OPERATOR, &["run", "contacts", "reports"]);
    wait_until("a batch is done", || left(&office) < 12_000);
    let second = operator(&office, &["run", "contacts", "--format", "json"]).expect_code(4);
    assert!(second.json()["jobs"][0]["error"].as_str().unwrap().contains("running already"), "{second:?}");
    let other = operator(&office, &["run", "reports"]).expect_code(4);
    assert!(other.stderr.contains("[limits] jobs_per_store"), "{other:?}");
    let status = office.root_says(&["status"]);
    assert!(operator(&office, &["status"]).stdout.contains("running contacts"), "{status:?}");
    operator(&office, &["plan", "contacts"]).expect_code(0);
    // Who stops waiting is told what becomes of it.
    signal(&mut first, Signal::INT);
    let first = ended(first);
    assert!(first.code.is_none() && first.stderr.contains("the run goes on in the daemon"), "{first:?}");
    assert!(left(&office) > 0, "it was not over");
    wait_until("the rest is done", || left(&office) == 0);
    let runs = || operator(&office, &["history", "--format", "json"]).json()["runs"].as_array().unwrap().clone();
    wait_until("the run has ended", || runs().iter().all(|run| run["outcome"] == "complete"));
    std::thread::sleep(Duration::from_secs(1));
    let jobs: Vec<String> = runs().iter().map(|run| run["job"].as_str().unwrap().to_owned()).collect();
    assert_eq!(jobs, ["contacts"], "no other job was begun when nobody waited");
    // The place is free again.
    operator(&office, &["run", "contacts"]).expect_code(0);
}

/// A pause stops it, and so does the end of the daemon, after its batch; whoever waits reads so.
#[test]
fn a_run_that_was_asked_for_is_stopped_like_any_other() {
    let mut office = Office::with(slow);
    fill(&office, 12_000);
    let first = office.begins(OPERATOR, &["run", "contacts", "--format", "json"]);
    wait_until("a batch is done", || left(&office) < 12_000);
    operator(&office, &["pause"]).expect_code(0);
    let first = ended(first).expect_code(0);
    assert_eq!(first.json()["jobs"][0]["outcome"], "stopped", "{first:?}");
    operator(&office, &["resume"]).expect_code(0);
    let before = left(&office);
    assert!(before > 0);
    let second = office.begins(OPERATOR, &["run", "--all", "--format", "json"]);
    wait_until("another batch is done", || left(&office) < before);
    signal(&mut office.daemon, Signal::TERM);
    let second = ended(second).expect_code(0);
    assert_eq!(second.json()["jobs"][0]["outcome"], "stopped", "{second:?}");
    assert_eq!(second.json()["jobs"].as_array().unwrap().len(), 1, "nothing was begun after that");
    assert!(office.daemon.wait().unwrap().success());
    assert!(left(&office) > 0);
}

#[test]
fn an_operator_runs_the_jobs_of_each_tenant_or_of_one() {
    let office = Office::of_tenants();
    let names = |said: &Output| -> Vec<String> {
        let json = said.json();
        json["jobs"].as_array().unwrap().iter().map(|job| job["job"].as_str().unwrap().to_owned()).collect()
    };
    let planned = operator(&office, &["plan", "contacts", "--format", "json"]).expect_code(0);
    assert_eq!(names(&planned), ["contacts@a", "contacts@b"]);
    let one = operator(&office, &["run", "contacts", "--tenant", "b", "--format", "json"]).expect_code(0);
    assert_eq!((names(&one), &one.json()["jobs"][0]["rows"]), (vec!["contacts@b".to_owned()], &2.into()), "{one:?}");
    assert_eq!(left(&office), 2, "the other tenant's rows are there");
    let both = operator(&office, &["run", "contacts", "--format", "json"]).expect_code(0);
    assert_eq!((names(&both), left(&office)), (vec!["contacts@a".to_owned(), "contacts@b".to_owned()], 0));
    let past = operator(&office, &["history", "--tenant", "a", "--format", "json"]).expect_code(0).json();
    assert_eq!(past["runs"].as_array().unwrap().len(), 1, "{past}");
    for args in [&["run", "contacts", "--tenant", "c"][..], &["run", "contacts@c"], &["history", "--tenant", "c"]] {
        operator(&office, args).expect_code(2);
    }
}

/// A client may be any program: what the command line would refuse is refused, and half a connection is enough.
#[test]
fn what_no_command_would_ask_is_refused() {
    use std::io::{BufRead as _, Write as _};
    let office = Office::open();
    let says = |line: &str| {
        let mut stream = std::os::unix::net::UnixStream::connect(office.desk.project.path("control.sock")).unwrap();
        writeln!(stream, "{line}").unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let lines: Vec<String> = std::io::BufReader::new(stream).lines().map(Result::unwrap).collect();
        let last: serde_json::Value = serde_json::from_str(lines.last().unwrap()).unwrap();
        (last, lines)
    };
    for (ask, code) in [
        (r#"{"run":{}}"#, 2),
        (r#"{"run":{"jobs":["contacts"],"all":true}}"#, 2),
        (r#"{"run":{"jobs":["contacts"],"force":true}}"#, 2),
        (r#"{"run":{"jobs":["contacts"],"release_brake":["all"]}}"#, 2),
        (r#"{"history":{"limit":100000}}"#, 2),
        (r#"{"history":{"limit":-1}}"#, 2),
        (r#""ping""#, 0),
    ] {
        let (answer, _) = says(&format!("{{\"v\":1,\"do\":{ask}}}"));
        assert_eq!(answer["code"], code, "{ask}: {answer}");
    }
    assert_eq!(left(&office), 2);
    let (answer, lines) = says(r#"{"v":1,"do":{"run":{"jobs":["contacts"]}}}"#);
    assert_eq!((&answer["code"], &answer["json"]["jobs"][0]["rows"]), (&0.into(), &2.into()), "{answer}");
    assert!(lines[0].contains(r#""planned":{"job":"contacts","rows":2}"#), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains(r#""meanwhile":{"over""#)), "{lines:?}");
}

/// Makes the trail long, and not a true one.
fn lengthen(office: &Office, records: usize) {
    support::run_sql(
        &office.desk.state_url(),
        &format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {records})
             INSERT INTO trail_leaves SELECT i + 100000, 'ff' FROM n;
             INSERT INTO trail_records (seq, kind, body) SELECT seq, 'x', printf('%.*c', 800, 'ö') FROM trail_leaves WHERE seq > 100000;"
        ),
    );
}

fn high_water(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// A folder that everybody may write to.
fn shared(office: &Office) -> std::path::PathBuf {
    let folder = office.desk.project.path("shared");
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o1777)).unwrap();
    folder
}

#[test]
fn an_auditor_exports_the_trail() {
    let office = Office::open();
    let folder = shared(&office);
    let out = folder.join("trail.jsonl");
    let path = out.to_str().unwrap();
    office.says(AUDITOR, &["audit", "export", "--out", path]).expect_code(0);
    let own = office.desk.project.run(&["audit", "export"]).expect_code(0).stdout;
    assert_eq!(std::fs::read_to_string(&out).unwrap(), own, "it is the very trail");
    let piped = office.says(AUDITOR, &["audit", "export"]).expect_code(0);
    assert_eq!(piped.stdout, own);
    let meta = out.metadata().unwrap();
    assert_eq!((meta.uid(), meta.mode() & 0o777), (65534, 0o600), "it is the auditor's alone");
    office.says(AUDITOR, &["audit", "verify", "--export", path]).expect_code(4);
    // What is there stays, and what the auditor may not write to is not written to by the daemon.
    let taken = office.says(AUDITOR, &["audit", "export", "--out", path]).expect_code(1);
    assert!(taken.stderr.contains("trail.jsonl"), "{taken:?}");
    let forbidden = office.desk.project.path("trail.jsonl");
    office.says(AUDITOR, &["audit", "export", "--out", forbidden.to_str().unwrap()]).expect_code(1);
    assert!(!forbidden.exists());
    for limit in ["0", "10001"] {
        let many = office.says(AUDITOR, &["audit", "show", "--limit", limit]).expect_code(2);
        assert!(many.stderr.contains("audit export"), "{many:?}");
    }
}

/// However long the trail is, neither end holds it in memory, and what is cut short leaves no file.
#[test]
fn a_long_trail_is_exported_in_little_memory_whole_or_not_at_all() {
    let mut office = Office::open();
    lengthen(&office, 60_000);
    let folder = shared(&office);
    let out = folder.join("trail.jsonl");
    office.says(AUDITOR, &["audit", "show"]).expect_code(0);
    let before = high_water(office.daemon.id());
    let mut client = office.begins(AUDITOR, &["audit", "export", "--out", out.to_str().unwrap()]);
    let mut most = 0;
    while client.try_wait().unwrap().is_none() {
        let status = std::fs::read_to_string(format!("/proc/{}/status", client.id())).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
        most = most.max(line.split_whitespace().nth(1).map_or(0, |kib| kib.parse::<u64>().unwrap()));
        std::thread::sleep(Duration::from_millis(10));
    }
    ended(client).expect_code(0);
    let (long, grown) = (out.metadata().unwrap().len() / 1024, high_water(office.daemon.id()) - before);
    eprintln!("a trail of {long} KiB: the daemon grew by {grown} KiB, the client took {most} KiB");
    assert!(long > 90_000, "{long}");
    assert!(grown < 24_000, "the daemon grew by {grown} KiB");
    assert!(most < 40_000, "the client took {most} KiB");
    let other = folder.join("other.jsonl");
    let mut client = office.begins(AUDITOR, &["audit", "export", "--out", other.to_str().unwrap()]);
    std::thread::sleep(Duration::from_millis(150));
    office.daemon.kill().unwrap();
    assert!(client.try_wait().unwrap().is_none(), "the trail is too short for this test");
    let cut = ended(client).expect_code(5);
    assert!(cut.stderr.contains("went away before it had answered"), "{cut:?}");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "there is the first export alone");
}

/// Who does not read keeps nobody else out for long.
#[test]
fn an_auditor_who_does_not_read_is_left() {
    let office = Office::open();
    lengthen(&office, 5_000);
    let program = "use Socket; $| = 1; socket(my $s, AF_UNIX, SOCK_STREAM, 0); connect($s, sockaddr_un($ARGV[0])) or die; syswrite($s, qq({\"v\":1,\"do\":\"audit-export\"}\\n)); print \"ready\\n\"; sleep 600";
    let mut idle = Command::new("/usr/bin/perl")
        .args(["-e", program])
        .arg(office.desk.project.path("control.sock"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(idle.stdout.take().unwrap()), &mut String::new()).unwrap();
    std::thread::sleep(Duration::from_secs(1));
    let busy = office.says(AUDITOR, &["audit", "export"]).expect_code(4);
    assert!(busy.stderr.contains("try again in a moment"), "{busy:?}");
    office.says(OPERATOR, &["history"]).expect_code(0);
    wait_until("the one who does not read is left", || office.says(AUDITOR, &["audit", "export"]).code == Some(0));
    assert!(idle.try_wait().unwrap().is_none(), "it was left, and did not leave");
    idle.kill().unwrap();
    idle.wait().unwrap();
}
