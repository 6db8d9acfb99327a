//! Roles: who may ask the daemon for what, as the kernel knows the caller, and as the file names the groups.
#![expect(clippy::unwrap_used, reason = "what goes wrong fails the test")]

mod support;

#[path = "reports_mailed/desk.rs"]
mod desk;
#[path = "roles/office.rs"]
mod office;

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use desk::{CANARY, Desk};
use office::Office;

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
    // An operator sees how things stand: that something is overdue, too.
    for (group, args) in [("daemon", &["status"][..]), ("mail", &["status", "--format", "json"])] {
        let shown = office.says(group, args);
        assert_eq!(shown.code, Some(4), "{shown:?}");
        assert!(shown.stdout.contains("NOT within policy") || shown.json()["within_policy"] == false, "{shown:?}");
    }
    let refused = office.says("nogroup", &["status"]);
    assert!(refused.stderr.contains("needs the role") && refused.stdout.is_empty(), "{refused:?}");
    // Each refusal is recorded.
    let refused: usize = office.desk.trail("refusal");
    assert_eq!(refused, commands.iter().map(|(_, may)| 5 - may.len()).sum::<usize>() + 1);
    let roles: Vec<_> = office.records("report.requested").iter().map(|record| record["actor"].clone()).collect();
    let by = |role: &str| serde_json::json!({ "role": role, "uid": 65534 });
    assert_eq!(roles, [by("dpo"), by("administrator"), by("dpo")]);
    assert!(office.records("refusal").iter().any(|record| record["actor"] == by("auditor")));
}

/// Whoever lacks the role is told which it takes, and that they asked is in the trail, with their number.
#[test]
fn every_command_that_is_refused_is_recorded() {
    let office = Office::open();
    let all = ["daemon", "games", "mail", "news", "nogroup"];
    let commands: &[(&str, &[&str], &[&str])] = &[
        ("status", &["status"], &["nogroup"]),
        ("jobs", &["jobs"], &["nogroup"]),
        ("history", &["history"], &["nogroup"]),
        ("report list", &["report", "list"], &["nogroup"]),
        ("plan", &["plan"], &["games", "mail", "news", "nogroup"]),
        ("run", &["run", "--all"], &["games", "mail", "news", "nogroup"]),
        ("run", &["run", "contacts", "--release-brake", "max_rows"], &["games", "mail", "news", "nogroup"]),
        ("approve", &["approve", "contacts", "000000000000"], &["games", "mail", "news", "nogroup"]),
        ("pause", &["pause"], &["games", "mail", "news", "nogroup"]),
        ("resume", &["resume"], &["games", "mail", "news", "nogroup"]),
        ("reload", &["reload"], &["games", "mail", "news", "nogroup"]),
        ("accept-clock", &["accept-clock"], &["games", "mail", "news", "nogroup"]),
        ("archive list", &["archive", "list"], &["games", "news", "nogroup"]),
        ("audit show", &["audit", "show"], &["daemon", "games", "news", "nogroup"]),
        ("audit verify", &["audit", "verify"], &["daemon", "games", "news", "nogroup"]),
        ("audit export", &["audit", "export"], &["daemon", "games", "news", "nogroup"]),
        ("hold list", &["hold", "list"], &["daemon", "news", "nogroup"]),
        ("hold add", &["hold", "add", "c", "--user", "1", "--why", "court"], &["daemon", "mail", "news", "nogroup"]),
        ("hold release", &["hold", "release", "c"], &["daemon", "mail", "news", "nogroup"]),
        ("report", &["report", "--user", "1"], &["daemon", "mail", "nogroup"]),
        ("report", &["report", "--customer", "email=eve@example.net"], &["daemon", "mail", "news", "nogroup"]),
        ("report resend", &["report", "resend", "r1"], &["daemon", "mail", "news", "nogroup"]),
        ("report extend", &["report", "extend", "r1", "--why", "x"], &["daemon", "mail", "news", "nogroup"]),
        ("report close", &["report", "close", "r1", "--why", "x"], &["daemon", "mail", "news", "nogroup"]),
        ("erase", &["erase", "--user", "1", "--dry-run"], &["daemon", "mail", "news", "nogroup"]),
    ];
    let role = |group: &str| match group {
        "daemon" => "operator",
        "games" => "dpo",
        "mail" => "auditor",
        "news" => "administrator",
        _ => "",
    };
    let mut expected = Vec::new();
    for (command, args, refused) in commands {
        for group in refused.iter() {
            let said = office.says(group, args);
            assert_eq!(said.code, Some(4), "{group} {args:?}: {said:?}");
            let (_, needed) = said.stderr.split_once("needs the role ").unwrap_or_else(|| panic!("{said:?}"));
            // The roles that are named are those of whoever is not refused, and no others.
            for other in all.iter().filter(|other| **other != "nogroup") {
                let named = needed.split([' ', '(']).any(|word| word == role(other));
                assert_eq!(named, !refused.contains(other), "{group} {args:?}: {said:?}");
            }
            assert!(said.stdout.is_empty() && needed.is_ascii(), "{said:?}");
            expected.push((*command).to_owned());
        }
    }
    let recorded = office.records("refusal");
    assert!(recorded.iter().all(|record| record["actor"]["uid"] == 65534 && !record.to_string().contains("eve@")));
    let recorded: Vec<&str> = recorded.iter().map(|record| record["d"]["command"].as_str().unwrap()).collect();
    assert_eq!(recorded, expected);
    assert_eq!(office.desk.sql("SELECT count(*) FROM contacts;").trim(), "2", "nothing was done");
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
    // That one asked, and was refused alone, is recorded too.
    let asked = office.records("hold.release.asked");
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0]["actor"], serde_json::json!({ "role": "dpo", "uid": 65534 }));
    assert!(office.records("refusal").iter().any(|record| record["d"]["command"] == "hold release"));
    let unknown = office.says("games", &["hold", "release", "case-9"]);
    assert_eq!(unknown.code, Some(2), "{unknown:?}");
    assert_eq!(office.records("hold.release").len(), 2, "the question and the release, and none of an unknown case");
}

/// An auditor who can read neither the file nor the state reads the trail, and proves it.
#[test]
fn an_auditor_reads_the_trail_by_way_of_the_daemon() {
    let office = Office::open();
    let shown = office.says("mail", &["audit", "show", "--type", "config", "--format", "json"]);
    assert_eq!(shown.code, Some(0), "{shown:?}");
    assert_eq!(shown.json()["records"][0]["type"], "config.load", "{shown:?}");
    assert!(office.says("mail", &["audit", "show"]).stdout.contains(" boot "));
    let proof = office.says("mail", &["audit", "verify", "--format", "json"]);
    assert_eq!(proof.code, Some(4), "{proof:?}");
    assert_eq!(proof.json()["verdict"], "unanchored", "{proof:?}");
    office.desk.project.write("note", "no checkpoint\n");
    let note = office.desk.project.path("note");
    std::fs::set_permissions(&note, std::fs::Permissions::from_mode(0o644)).unwrap();
    let none = office.says("mail", &["audit", "verify", "--known", note.to_str().unwrap()]);
    assert!(none.code == Some(2) && none.stderr.contains("this is no checkpoint"), "{none:?}");
    for other in ["daemon", "games", "news", "nogroup"] {
        for what in ["show", "verify"] {
            let refused = office.says(other, &["audit", what]);
            assert!(refused.code == Some(4) && refused.stderr.contains("needs the role auditor"), "{refused:?}");
        }
    }
}

/// Whoever reads what is held about a person is recorded before the first row is read.
#[test]
fn a_report_into_files_is_recorded_first() {
    let desk = Desk::new("allow_plain = true\n");
    desk.project.write("whom", "1\n");
    let out = desk.project.path("out");
    let report = ["report", "--user", "@whom", "--formats", "json", "--out", out.to_str().unwrap()];
    desk.project.run(&report).expect_code(0);
    assert_eq!(desk.trail("report.written"), 1);
    let out = desk.project.path("other");
    let report = [&report[..6], &[out.to_str().unwrap()]].concat();
    let refuse = "CREATE TRIGGER refused BEFORE INSERT ON trail_records WHEN NEW.kind = 'report.written' BEGIN SELECT RAISE(ABORT, 'no space left'); END;";
    support::run_sql(&desk.state_url(), refuse);
    let refused = desk.project.run(&report).expect_code(1);
    assert!(refused.stderr.contains("nothing was read") && !out.exists(), "{refused:?}");
    // An erasure that nobody confirms is a refusal.
    desk.project.run(&["erase", "--user", "@whom", "--yes-i-mean", "000000000000"]).expect_code(4);
    assert_eq!(desk.trail("refusal"), 1);
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

/// What ends is what the first of the two persons asked for.
#[test]
fn a_hold_that_was_placed_after_the_first_person_asked_stands() {
    let office = Office::open();
    let add = |whom: &str| office.says("games", &["hold", "add", "case-3", "--user", whom, "--why", "court"]);
    assert_eq!(add("1").code, Some(0));
    assert_eq!(office.says("games", &["hold", "release", "case-3"]).code, Some(0));
    assert_eq!(add("2").code, Some(0));
    let both = office.desk.held();
    let second = office.root_says(&["hold", "release", "case-3"]);
    assert!(second.code == Some(0) && second.stdout.contains("1 that nobody did not ask for stand"), "{second:?}");
    let left = office.desk.held();
    assert!(left > 0 && left < both, "{left} of {both}");
    // The record is the second person's, and names the first.
    let released = office.records("hold.release").pop().unwrap();
    assert_eq!((&released["actor"]["uid"], &released["d"]["second"]), (&0.into(), &65534.into()), "{released}");
    assert!(office.root_says(&["hold", "release", "case-3"]).stdout.contains("asked for the release"));
    assert!(office.root_says(&["hold", "release", "case-3"]).stderr.contains("second person"));
    assert_eq!((office.says("games", &["hold", "release", "case-3"]).code, office.desk.held()), (Some(0), 0));
}

/// What the command line refuses, the daemon refuses too.
#[test]
fn a_hold_by_way_of_the_daemon_has_the_limits_of_the_command_line() {
    let office = Office::open();
    office.desk.sql(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1100)
         INSERT INTO contacts SELECT i + 100, NULL, 'many@example.net', '2026-01-01 10:00:00', 'x' FROM n;",
    );
    let add = |more: &[&str]| {
        let args = ["hold", "add", "case-4", "--customer", "email=many@example.net", "--why"];
        office.says("games", &[&args[..], more].concat())
    };
    let wide = add(&["court"]);
    assert!(wide.code == Some(4) && wide.stderr.contains("more than 1000 rows"), "{wide:?}");
    let silent = add(&[" ", "--wide"]);
    assert!(silent.code == Some(2) && silent.stderr.contains("--why says nothing"), "{silent:?}");
    let narrow = add(&["court", "--from", "2026-01-01"]);
    assert!(narrow.code == Some(2) && narrow.stderr.contains("--from"), "{narrow:?}");
    assert_eq!(office.desk.held(), 0);
    assert_eq!(add(&["court", "--wide"]).code, Some(0));
    assert!(office.desk.held() >= 1_100);
}

/// Whoever floods the socket keeps nobody else out.
#[test]
fn many_silent_connections_are_those_of_one_user() {
    let office = Office::open();
    let program = "use Socket; $| = 1; for (1..200) { socket(my $s, AF_UNIX, SOCK_STREAM, 0); connect($s, sockaddr_un($ARGV[0])) or die; push @kept, $s } print \"ready\\n\"; sleep 60";
    let mut flood = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--", "/usr/bin/perl", "-e", program])
        .arg(office.desk.project.path("control.sock"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(flood.stdout.take().unwrap()), &mut ready).unwrap();
    assert_eq!(ready, "ready\n");
    let other = office.root_says(&["report", "list"]);
    let same = office.says("games", &["report", "list"]);
    flood.kill().unwrap();
    flood.wait().unwrap();
    assert_eq!(other.code, Some(0), "{other:?}");
    assert_ne!(same.code, Some(0), "{same:?}");
    assert_eq!(office.says("games", &["report", "list"]).code, Some(0), "they are gone");
}

/// One tenant's persons, requests and cases are nothing to another's.
#[test]
fn a_tenant_is_asked_about_alone() {
    let office = Office::of_tenants();
    let of = |tenant: &str, args: &[&str]| office.says("games", &[args, &["--tenant", tenant]].concat());
    let made = of("a", &["report", "--user", "1", "--format", "json"]);
    let id = made.json()["request"].as_str().unwrap().to_owned();
    let list = |tenant: &str| of(tenant, &["report", "list", "--format", "json"]).json()["requests"].clone();
    assert_eq!((list("a").as_array().unwrap().len(), list("b").as_array().unwrap().len()), (1, 0));
    for what in [&["close"][..], &["extend"]] {
        let args = [&["report"], what, &[&*id, "--why", "x"]].concat();
        for said in [of("b", &args), office.desk.project.run(&[&args[..], &["--tenant", "b"]].concat())] {
            assert!(said.code == Some(2) && said.stderr.contains("there is no request"), "{said:?}");
        }
        let whose = office.says("games", &args);
        assert!(whose.code == Some(2) && whose.stderr.contains("say whose with --tenant"), "{whose:?}");
    }
    let open = |tenant: &str| {
        let shown = of(tenant, &["status", "--format", "json"]).json()["requests"].as_array().unwrap().len();
        let own =
            office.desk.project.run(&["status", "--format", "json", "--tenant", tenant]).json()["requests"].clone();
        assert_eq!(own.as_array().unwrap().len(), shown, "{own}");
        shown
    };
    assert_eq!((open("a"), open("b")), (1, 0));
    assert!(office.desk.held() > 0, "the request is open, and holds");
    // Two cases of one name are two.
    for tenant in ["a", "b"] {
        assert_eq!(of(tenant, &["hold", "add", "case-5", "--user", "2", "--why", "court"]).code, Some(0));
    }
    assert_eq!(of("b", &["hold", "release", "case-5"]).code, Some(0));
    let alone = office.root_says(&["hold", "release", "case-5", "--tenant", "a"]);
    assert!(alone.stdout.contains("asked for the release"), "nobody asked for this tenant's: {alone:?}");
    let both = office.root_says(&["hold", "release", "case-5", "--tenant", "b"]);
    assert!(both.stdout.contains("is released by"), "{both:?}");
    let stands = |tenant: &str| of(tenant, &["hold", "list"]).stdout.contains("case-5");
    assert_eq!((stands("a"), stands("b")), (true, false));
    assert_eq!(of("a", &["report", "close", &id, "--why", "withdrawn"]).code, Some(0));
}
