//! Reports by mail: requested, held for, encrypted, sent once, and told about when they were not.
#![expect(clippy::unwrap_used, reason = "what goes wrong fails the test")]

mod support;

#[path = "reports_mailed/desk.rs"]
mod desk;
#[path = "reports_mailed/gpg.rs"]
mod gpg;
#[path = "reports_mailed/ways.rs"]
mod ways;

use desk::{CANARY, Desk};
use gpg::Gpg;
use support::Random;
use support::fake_smtp::{At, Do};

fn long() -> bool {
    std::env::var("RETENTIOND_TORTURE").is_ok_and(|long| long == "long")
}

#[test]
fn a_request_is_answered_encrypted_and_once() {
    let gpg = Gpg::new();
    let keys = format!("encrypt_to = \"{}\"\nschedule = \"@yearly\"\n", gpg.public().display());
    let desk = Desk::new(&keys);
    let id = desk.request(&["report", "--user", "@whom"]);
    // Until it is answered, the person's data is held, by a hold that nobody can release.
    assert!(desk.held() > 0);
    let release = desk.project.run(&["hold", "release", &format!("report-{id}"), "--approve-as", "nobody"]);
    assert!(release.code == Some(4) || release.code == Some(2), "{release:?}");
    let plan = desk.project.run(&["plan", "reports"]).expect_code(0);
    assert!(plan.stdout.contains("1 request waits for a report"), "{plan:?}");
    assert!(!plan.stdout.contains("approv"), "what removes nothing waits for nobody: {plan:?}");
    desk.project.run(&["run", "reports"]).expect_code(0);
    let taken = desk.server.taken();
    assert_eq!(taken.len(), 1);
    let outer = desk.parse(&taken[0].wire);
    assert_eq!(outer["content_type"], "multipart/encrypted");
    assert_eq!(outer["defects"].as_array().unwrap().len(), 0, "{outer}");
    let wire = String::from_utf8(taken[0].wire.clone()).unwrap();
    assert!(!wire.to_lowercase().contains(CANARY), "something of the person stands in the plain mail");
    assert!(wire.contains(&format!("\r\nMessage-ID: <retentiond.report.{id}@example.org>\r\n")), "{wire}");
    let opened = gpg.decrypt(&taken[0].wire);
    let inner = desk.parse(&opened);
    let names: Vec<&str> =
        inner["files"].as_array().unwrap().iter().map(|file| file["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["report.json"], "{inner}");
    assert!(inner["files"][0]["text"].as_str().unwrap().to_lowercase().contains(CANARY), "{inner}");
    assert!(!inner["text"].as_str().unwrap().to_lowercase().contains(CANARY), "{inner}");
    assert!(inner["html"].as_str().unwrap().contains(&id), "{inner}");
    // What stays: who asked, what categories and counts, when, to whom.
    assert_eq!((desk.held(), desk.spooled().len()), (0, 0));
    let listed = desk.list(&["--all"]);
    assert_eq!((&listed[0]["state"], &listed[0]["mails"][0]["state"]), (&"answered".into(), &"sent".into()));
    assert_eq!(listed[0]["mails"][0]["to"], "dpo@example.org");
    assert!(listed[0]["rows"]["user_master_data"].as_u64().unwrap() > 0, "{listed}");
    assert!(!desk.state().to_lowercase().contains(CANARY), "the state holds personal data");
    desk.project.run(&["run", "reports"]).expect_code(0);
    assert_eq!(desk.server.taken().len(), 1);
}

#[test]
fn nothing_leaves_unencrypted_unless_the_file_says_so() {
    let refused = Desk::checked("");
    for words in ["personal data would leave unencrypted", "allow_plain = true", "jobs.toml:"] {
        assert!(refused.stderr.contains(words), "{words}: {refused:?}");
    }
    for (keys, words) in [
        ("allow_plain = true\nto = \"dpo@[127.0.0.1]\"", "duplicate key"),
        ("allow_plain = true\nencrypt_to = \"x.asc\"", "contradict each other"),
        ("allow_plain = true\nrequests = \"requsts\"", "there is no data entry"),
        ("allow_plain = true\nevery = \"custmer\"", "there is no [people.custmer]"),
        ("allow_plain = true\nformats = []", "at least one format"),
    ] {
        let refused = Desk::checked(keys);
        assert!(refused.stderr.contains(words), "{words}: {refused:?}");
    }
    let gpg = Gpg::new();
    for (key, words) in [
        (gpg.expired(), "expired on"),
        (gpg.revoked(), "was revoked"),
        (gpg.signing_only(), "no valid part that encrypts"),
        (gpg.nonsense(), "no OpenPGP public key"),
        (gpg.public().with_file_name("absent.asc"), "cannot be read"),
    ] {
        let desk = Desk::new(&format!("encrypt_to = \"{}\"\n", key.display()));
        let id = desk.request(&["report", "--user", "@whom"]);
        let failed = desk.project.run(&["run", "reports"]).expect_code(1);
        assert!(failed.stderr.contains(words), "{words}: {failed:?}");
        assert_eq!(desk.server.connections(), 0, "something left for a key that cannot be used");
        let open = desk.list(&[]);
        assert!(open[0]["request"] == id && open[0]["problem"].as_str().unwrap().contains(words), "{open}");
        assert!(desk.held() > 0);
        desk.project.run(&["run", "reports"]).expect_code(1);
        assert_eq!((desk.trail("report.failed"), desk.trail("report.posted")), (1, 0), "once for each trouble");
    }
}

/// Where the only format cannot be made nothing is mailed: the request waits, and says why.
#[test]
fn a_report_without_a_file_is_no_answer() {
    let desk = Desk::new("allow_plain = true\n");
    let jobs = std::fs::read_to_string(desk.project.path("jobs.toml")).unwrap();
    desk.project.write_jobs(&jobs.replace("formats = [\"json\"]", "formats = [\"pdf\"]"));
    let warned = desk.project.run_alone(&["check"]).expect_code(0);
    for words in ["warning", "retentiond-pdf is not installed", "no report can be made without it", "jobs.toml:"] {
        assert!(warned.stderr.contains(words), "{words}: {warned:?}");
    }
    // `check` tries the mail server.
    let connections = desk.server.connections();
    let id = desk.request(&["report", "--user", "@whom"]);
    let failed = desk.project.run_alone(&["run", "reports"]).expect_code(1);
    assert!(failed.stderr.contains("retentiond-pdf is not installed"), "{failed:?}");
    assert_eq!(desk.server.connections(), connections);
    let open = desk.list(&[]);
    assert!(open[0]["request"] == id && open[0]["problem"].as_str().unwrap().contains("no PDF"), "{open}");
    assert!(desk.held() > 0);
    // With another format beside it the report leaves, and the mail says once what is missing.
    desk.project.write_jobs(&jobs.replace("formats = [\"json\"]", "formats = [\"pdf\", \"json\"]"));
    let warned = desk.project.run_alone(&["check"]).expect_code(0);
    assert!(warned.stderr.contains("reports go out in the other formats, and say so"), "{warned:?}");
    desk.project.run_alone(&["run", "reports"]).expect_code(0);
    let mail = desk.parse(&desk.server.taken()[0].wire);
    let text = mail["text"].as_str().unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(text.matches("There is no PDF: the program retentiond-pdf is not installed").count(), 1, "{text}");
    assert_eq!(text.matches("There is no PDF").count(), 1, "{text}");
    // What is held for the request itself is no legal hold.
    let report: serde_json::Value = serde_json::from_str(mail["files"][0]["text"].as_str().unwrap()).unwrap();
    assert_eq!(Desk::held_by_entry(&report), [("contacts", 0), ("users", 0)].map(|(n, c)| (n.to_owned(), c)).into());
}

#[test]
fn a_legal_hold_beside_the_requests_own_is_told() {
    let desk = Desk::new("allow_plain = true\n");
    desk.project.run(&["hold", "add", "lawsuit", "--user", "@whom", "--why", "a lawsuit"]).expect_code(0);
    desk.request(&["report", "--user", "@whom"]);
    desk.project.run(&["run", "reports"]).expect_code(0);
    let mail = desk.parse(&desk.server.taken()[0].wire);
    let report: serde_json::Value = serde_json::from_str(mail["files"][0]["text"].as_str().unwrap()).unwrap();
    assert_eq!(Desk::held_by_entry(&report), [("contacts", 1), ("users", 1)].map(|(n, c)| (n.to_owned(), c)).into());
}

/// The process is killed wherever the server is just then; what is known is right, and the next run goes on from it.
#[test]
fn a_killed_run_sends_no_mail_twice_and_loses_none() {
    let rounds = if long() { 60 } else { 1 };
    let desk = Desk::new("allow_plain = true\n");
    let mut uncertain = 0;
    for round in 0..rounds {
        for at in At::ALL {
            for taken in [false, true] {
                if taken && at != At::Dot {
                    continue;
                }
                let id = desk.request(&["report", "--user", "@whom"]);
                desk.server.script(Some((at, Do::Kill(taken))));
                let child = desk.project.spawn(&["run", "reports"]);
                desk.server.victim(child.id());
                let killed = support::project::finish(std::time::Instant::now(), child);
                assert_eq!(killed.code, None, "{round} {at:?}: {killed:?}");
                desk.server.script(None);
                let after = desk.project.run(&["run", "reports"]);
                let arrived = desk.arrived(&id);
                // The end of the text may be on its way when the server has read its beginning.
                if at == At::Dot || at == At::Text && after.code == Some(1) {
                    uncertain += 1;
                    assert_eq!(after.code, Some(1), "{after:?}");
                    assert_eq!(arrived, usize::from(taken));
                    let status = desk.project.run(&["status"]);
                    assert!(status.stdout.contains(&format!("request {id}: its mail is uncertain")), "{status:?}");
                    let told = desk.project.run(&["run", "reports"]).expect_code(0);
                    assert_eq!(desk.arrived(&id), arrived, "an uncertain mail was sent again by itself: {told:?}");
                    if taken {
                        desk.project.run(&["report", "close", &id, "--why", "it has arrived"]).expect_code(0);
                    } else {
                        desk.project.run(&["report", "resend", &id]).expect_code(0);
                        desk.project.run(&["run", "reports"]).expect_code(0);
                        assert_eq!(desk.arrived(&id), 1);
                    }
                } else {
                    assert_eq!((after.code, arrived), (Some(0), 1), "{round} {at:?}: {after:?}");
                }
            }
        }
    }
    assert!((2 * rounds..=3 * rounds).contains(&uncertain), "{uncertain}");
    desk.project.run(&["run", "reports"]).expect_code(0);
    assert!(desk.list(&[]).as_array().unwrap().is_empty() && desk.spooled().is_empty() && desk.held() == 0);
}

/// The process is killed at any moment, in making the report too.
#[test]
fn a_run_killed_at_any_moment_is_simply_run_again() {
    let mut random = Random::seeded("reports_killed");
    let desk = Desk::new("allow_plain = true\n");
    for _ in 0..if long() { 200 } else { 10 } {
        let id = desk.request(&["report", "--user", "@whom"]);
        for _ in 0..3 {
            desk.project.kill_after(&["run", "reports"], random.below(400));
        }
        let listed = loop {
            desk.project.run(&["run", "reports"]);
            let listed = desk.list(&["--all"]);
            let own = listed.as_array().unwrap().iter().find(|one| one["request"] == id.as_str()).unwrap().clone();
            if own["state"] == "answered" || own["mails"][0]["state"] == "uncertain" {
                break own;
            }
        };
        let arrived = desk.arrived(&id);
        match listed["state"].as_str().unwrap() {
            "answered" => assert_eq!(arrived, 1, "{listed}"),
            _ => {
                assert!(arrived <= 1, "{listed}");
                desk.project.run(&["report", "close", &id, "--why", "looked at"]).expect_code(0);
            }
        }
    }
    desk.project.run(&["run", "reports"]).expect_code(0);
    assert_eq!((desk.spooled(), desk.held()), (Vec::new(), 0));
}

#[test]
fn a_report_that_is_too_large_stays_and_the_mail_says_where() {
    let gpg = Gpg::new();
    let keys = format!("encrypt_to = \"{}\"\nmax_bytes = 100\nlanguage = \"fi\"\n", gpg.public().display());
    let desk = Desk::new(&keys);
    let id = desk.request(&["report", "--user", "@whom"]);
    desk.project.run(&["run", "reports"]).expect_code(0);
    let inner = desk.parse(&gpg.decrypt(&desk.server.taken()[0].wire));
    assert!(inner["files"].as_array().unwrap().is_empty(), "{inner}");
    let text = inner["text"].as_str().unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    let folder = desk.project.path(&format!("outbox/reports.{id}.files"));
    assert!(text.contains("Se on liian suuri") && text.contains(&folder.display().to_string()), "{text}");
    let files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(files, [folder.join("report.json.pgp")]);
    let report = gpg.open(&std::fs::read(&files[0]).unwrap());
    assert!(String::from_utf8(report).unwrap().to_lowercase().contains(CANARY));
}

#[test]
fn a_request_is_extended_once_closed_with_a_reason_and_never_forgotten() {
    let desk = Desk::new("allow_plain = true\n");
    let id = desk.request(&["report", "--customer", "@customer"]);
    let due = |desk: &Desk| desk.list(&[])[0]["due"].as_str().unwrap()[..10].to_owned();
    let before = due(&desk);
    desk.project.run(&["report", "extend", &id, "--why", " "]).expect_code(2);
    desk.project.run(&["report", "extend", &id, "--why", "many mailboxes"]).expect_code(0);
    let after = due(&desk);
    assert!(after > before, "{before} {after}");
    let twice = desk.project.run(&["report", "extend", &id, "--why", "again"]).expect_code(4);
    assert!(twice.stderr.contains("extended once only"), "{twice:?}");
    // What is due soon is shown.
    let ahead = format!("{after}T00:00:00Z");
    let soon = desk.project.run(&["status", "--now", &ahead]);
    assert!(soon.stdout.contains(&format!("request {id} is due on")), "{soon:?}");
    let unknown = desk.project.run(&["report", "resend", "r000000000"]).expect_code(2);
    assert!(unknown.stderr.contains("report list"), "{unknown:?}");
    desk.project.run(&["report", "resend", &id]).expect_code(4);
    assert!(desk.held() > 0);
    desk.project.run(&["report", "close", &id, "--why", "withdrawn"]).expect_code(0);
    assert_eq!(desk.held(), 0);
    desk.project.run(&["run", "reports"]).expect_code(0);
    assert_eq!(desk.server.taken().len(), 0, "a closed request is not answered");
    let closed = desk.list(&["--all"]);
    assert_eq!((&closed[0]["state"], &closed[0]["ended_why"]), (&"closed".into(), &"withdrawn".into()));
}

#[test]
fn an_open_request_keeps_what_a_purge_would_remove() {
    let desk = Desk::new("allow_plain = true\n");
    let id = desk.request(&["report", "--user", "@whom"]);
    let rows = |desk: &Desk| desk.sql("SELECT count(*) FROM contacts;").trim().to_owned();
    desk.project.run(&["run", "contacts"]).expect_code(0);
    assert_eq!(rows(&desk), "1", "the person's old contact is held, others' are gone");
    desk.project.run(&["run", "reports"]).expect_code(0);
    assert_eq!(desk.arrived(&id), 1);
    desk.project.run(&["run", "contacts"]).expect_code(0);
    assert_eq!(rows(&desk), "0");
}

#[test]
fn several_recipients_have_each_their_own_outcome() {
    let desk = Desk::with_recipients("allow_plain = true\n", &["dpo@example.org", "second@example.org"]);
    let id = desk.request(&["report", "--user", "@whom"]);
    desk.project.run(&["run", "reports"]).expect_code(0);
    let recipients: Vec<String> =
        desk.server.commands().into_iter().filter(|command| command.starts_with("RCPT")).collect();
    assert_eq!(recipients, ["RCPT TO:<dpo@example.org>\r\n", "RCPT TO:<second@example.org>\r\n"]);
    assert_eq!(desk.server.connections(), 1, "a run's mails share a connection");
    let listed = desk.list(&["--all"]);
    let ids: Vec<&str> =
        listed[0]["mails"].as_array().unwrap().iter().map(|mail| mail["message_id"].as_str().unwrap()).collect();
    let expected = [format!("retentiond.report.{id}@example.org"), format!("retentiond.report.{id}.1@example.org")];
    assert_eq!(ids, expected);
}

#[test]
fn a_person_in_no_store_that_can_hold_is_reported_all_the_same() {
    let desk = Desk::without_ledger("allow_plain = true\n");
    desk.request(&["report", "--user", "@whom"]);
    assert!(desk.spooled().iter().any(|name| name.ends_with(".whom")));
    assert!(!desk.state().to_lowercase().contains(CANARY));
    desk.project.run(&["run", "reports"]).expect_code(0);
    assert_eq!((desk.server.taken().len(), desk.spooled().len()), (1, 0));
}

/// Nobody's data in anything that is said or kept, at the most verbose level.
#[test]
fn nothing_that_is_said_or_kept_holds_a_value() {
    for (at, what) in [
        (At::Dot, None),
        (At::Rcpt, Some(Do::Say(format!("550 5.1.1 <{CANARY}@example.org> is nobody")))),
        (At::Dot, Some(Do::Say(format!("554 5.7.1 {CANARY}")))),
        (At::Mail, Some(Do::Cut(false))),
    ] {
        let desk = Desk::new("allow_plain = true\n");
        desk.server.script(what.map(|what| (at, what)));
        let verbose = |args: &[&str]| desk.project.run(&[args, &["--log", "trace"]].concat());
        let mut said = vec![verbose(&["report", "--user", "@whom"]), verbose(&["plan", "reports", "-v"])];
        let child = desk.project.spawn(&["run", "reports", "--log", "trace"]);
        let command_line = std::fs::read(format!("/proc/{}/cmdline", child.id())).unwrap_or_default();
        said.push(support::project::finish(std::time::Instant::now(), child));
        said.push(verbose(&["run", "reports", "--format", "json"]));
        for args in [
            &["report", "list", "--all"][..],
            &["report", "list", "--format", "json"],
            &["status"],
            &["history"],
            &["hold", "list"],
        ] {
            said.push(verbose(args));
        }
        for output in &said {
            for text in [&output.stdout, &output.stderr] {
                let line = text.lines().find(|line| line.to_lowercase().contains(CANARY));
                assert!(line.is_none(), "{}", line.unwrap());
            }
        }
        assert!(!String::from_utf8_lossy(&command_line).to_lowercase().contains(CANARY));
        assert!(!desk.state().to_lowercase().contains(CANARY), "the state holds personal data");
    }
}
