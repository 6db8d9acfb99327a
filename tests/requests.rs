//! Requests for reports that come by themselves, and what becomes of those that nobody answers.
#![expect(clippy::unwrap_used, reason = "what goes wrong fails the test")]

mod support;

#[path = "reports_mailed/desk.rs"]
mod desk;
#[path = "reports_mailed/gpg.rs"]
mod gpg;

use desk::{CANARY, Desk};
use gpg::Gpg;
use support::fake_smtp::{At, Do};
use support::run_sql;

#[test]
fn rows_of_a_request_table_are_answered_once_and_marked() {
    for desk in Desk::each("allow_plain = true\nrequests = \"requests\"\n") {
        rows_are_answered_once(&desk);
    }
}

fn rows_are_answered_once(desk: &Desk) {
    desk.sql(
        "INSERT INTO requests VALUES (1, 'user', 'id', '1', '2026-11-27 10:00:00', '2026-12-20 10:00:00', NULL);
         INSERT INTO requests VALUES (2, 'customer', 'email', 'eve@example.net', '2026-11-27 10:00:00', NULL, NULL);
         INSERT INTO requests VALUES (3, 'user', 'login', 'nobody-here', '2026-11-27 10:00:00', NULL, NULL);
         INSERT INTO requests VALUES (4, 'user', 'id', '1', '2026-01-01 10:00:00', NULL, '2026-01-02 10:00:00');",
    );
    let run = desk.project.run(&["run", "reports"]).expect_code(1);
    assert!(run.stderr.contains("a row of `requests`") && run.stderr.contains("no user is known"), "{run:?}");
    assert!(!run.stderr.contains("nobody-here"));
    assert_eq!(desk.server.taken().len(), 2);
    let open = desk.sql("SELECT id FROM requests WHERE answered_at IS NULL ORDER BY id;");
    assert_eq!(open.trim(), "3", "an answered row is marked, another one is not");
    let due: Vec<String> =
        desk.list(&["--all"]).as_array().unwrap().iter().map(|one| one["due"].as_str().unwrap().to_owned()).collect();
    assert!(due.contains(&"2026-12-20T10:00:00Z".to_owned()), "{due:?}");
    desk.sql("UPDATE requests SET answered_at = NULL WHERE id = 1;");
    desk.project.run(&["run", "reports"]).expect_code(1);
    assert_eq!(desk.server.taken().len(), 2, "one row is one request");
}

/// An application may use a key again: the row is another one, and is answered for itself.
#[test]
fn a_row_is_known_by_what_it_asks_for_and_when() {
    for desk in Desk::each("allow_plain = true\nrequests = \"requests\"\n") {
        let insert = |values: &str| desk.sql(&format!("INSERT INTO requests VALUES ({values});"));
        let answered = |desk: &Desk| desk.sql("SELECT count(*) FROM requests WHERE answered_at IS NOT NULL;");
        insert("1, 'user', 'id', '1', '2026-11-27 10:00:00', NULL, NULL");
        desk.project.run(&["run", "reports"]).expect_code(0);
        for (number, values) in [
            "1, 'customer', 'email', 'eve@example.net', '2026-11-27 10:00:00', NULL, NULL",
            "1, 'user', 'id', '1', '2026-11-27 11:00:00', NULL, NULL",
            "1, 'user', 'key', '2', '2026-11-27 11:00:00', NULL, NULL",
        ]
        .into_iter()
        .enumerate()
        {
            desk.sql("DELETE FROM requests;");
            insert(values);
            // Whoever cannot send must not mark either.
            desk.server.script(Some((At::Rcpt, Do::Say("450 4.7.1 greylisted".to_owned()))));
            desk.project.run(&["run", "reports"]);
            assert_eq!((answered(&desk).trim(), desk.server.taken().len()), ("0", number + 1), "{values}");
            desk.server.script(None);
            run_sql(&desk.state_url(), "UPDATE outbox SET not_before = '2026-01-01 00:00:00' WHERE state = 'waiting';");
            desk.project.run(&["run", "reports"]).expect_code(0);
            assert_eq!((answered(&desk).trim(), desk.server.taken().len()), ("1", number + 2), "{values}");
        }
    }
}

#[test]
fn what_cannot_be_taken_in_is_named_and_keeps_nothing_else() {
    for desk in Desk::each("allow_plain = true\nrequests = \"requests\"\n") {
        let bad: Vec<String> =
            (1..1_200).map(|id| format!("({id}, 'user', 'login', 'nobody-{id}', NULL, NULL, NULL)")).collect();
        desk.sql(&format!(
            "INSERT INTO requests VALUES {};
             INSERT INTO requests VALUES (2001, NULL, 'id', '1', NULL, NULL, NULL), (2002, 'user', 'id', NULL, NULL, NULL, NULL),
                 (2003, 'user', 'id', '1', NULL, 'soon', NULL), (2004, 'kanarienvogel', 'id', '1', NULL, NULL, NULL),
                 (2005, 'user', 'email', 'twice@example.net', NULL, NULL, NULL), (2006, 'user', 'id', ' ', NULL, NULL, NULL),
                 (3001, 'user', 'id', '1', NULL, '2026-12-20', NULL), (3002, 'user', 'id', '2', NULL, '2026-12-21 10:00:00+00', NULL);
             INSERT INTO users VALUES (1710771077, 'a', 'twice@example.net', 'a'), (1710771078, 'b', 'twice@example.net', 'b');",
            bad.join(", ")
        ));
        let plan = desk.project.run(&["plan", "reports"]).expect_code(0);
        assert!(plan.stdout.contains("1 207 requests wait") || plan.stdout.contains("1207 requests wait"), "{plan:?}");
        let run = desk.project.run(&["run", "reports"]).expect_code(1);
        for words in [
            "identifier is NULL (2 times)",
            "its due_at cannot be read",
            "its person_kind is none that the file knows",
            "several of the kind user are known by this email",
            "its identifier is empty",
            "no user is known by this login (1199 times)",
        ] {
            assert!(run.stderr.contains(words), "{words}: {run:?}");
        }
        assert_eq!(desk.server.taken().len(), 2, "the good ones behind them are answered");
        let listed = desk.list(&["--all"]);
        let mut due: Vec<&str> = listed.as_array().unwrap().iter().map(|one| one["due"].as_str().unwrap()).collect();
        due.sort_unstable();
        assert_eq!(due, ["2026-12-20T23:59:59Z", "2026-12-21T10:00:00Z"]);
        // Keys are personal data: neither here nor in what is kept or mailed.
        let history = desk.project.run(&["history"]);
        for said in [&run.stderr, &run.stdout, &history.stdout, &desk.state()] {
            assert!(!said.contains("17107710") && !said.to_lowercase().contains(CANARY), "{said}");
        }
    }
}

#[test]
fn statements_come_once_a_period() {
    let desk = Desk::new("allow_plain = true\nevery = \"user\"\n");
    desk.project.run(&["run", "reports"]).expect_code(0);
    desk.project.run(&["run", "reports"]).expect_code(0);
    assert_eq!(desk.server.taken().len(), 3, "one for each user");
    // A state that forgets sooner than the period is over remembers this.
    run_sql(&desk.state_url(), "UPDATE report_requests SET ended_at = '2020-01-01 00:00:00';");
    desk.project.run(&["run", "reports"]).expect_code(0);
    desk.project.run(&["run", "reports"]).expect_code(0);
    assert_eq!(desk.server.taken().len(), 3, "one for each user, once a year");
    let one = Desk::new("allow_plain = true\nperson = { user = \"login=jane\" }\nper = \"month\"\n");
    one.project.run(&["run", "reports"]).expect_code(0);
    one.project.run(&["run", "reports"]).expect_code(0);
    assert_eq!(one.server.taken().len(), 1);
}

/// A report that was finished in plain text waits; then the file names a key.
#[test]
fn a_mail_that_waits_is_encrypted_once_the_file_names_a_key() {
    let gpg = Gpg::new();
    let desk = Desk::new("allow_plain = true\n");
    let id = desk.request(&["report", "--user", "@whom"]);
    desk.server.script(Some((At::Rcpt, Do::Say("450 4.7.1 greylisted".to_owned()))));
    desk.project.run(&["run", "reports"]).expect_code(0);
    let policy = std::fs::read_to_string(desk.project.path("jobs.toml")).unwrap();
    let keyed = policy.replace("allow_plain = true", &format!("encrypt_to = \"{}\"", gpg.public().display()));
    desk.project.write("jobs.toml", &keyed);
    desk.server.script(None);
    let run = desk.project.run(&["run", "reports"]).expect_code(0);
    assert_eq!(desk.arrived(&id), 1, "{run:?}");
    let wire = String::from_utf8(desk.server.taken()[0].wire.clone()).unwrap();
    assert!(!wire.to_lowercase().contains(CANARY) && wire.contains("BEGIN PGP MESSAGE"), "{wire}");
    assert!(desk.spooled().is_empty() && desk.held() == 0);
    // A key that cannot be used keeps back what was finished for another.
    desk.request(&["report", "--user", "@whom"]);
    desk.server.script(Some((At::Rcpt, Do::Say("450 4.7.1 greylisted".to_owned()))));
    desk.project.run(&["run", "reports"]).expect_code(0);
    desk.server.script(None);
    run_sql(&desk.state_url(), "UPDATE outbox SET not_before = '2026-01-01 00:00:00' WHERE state = 'waiting';");
    desk.project.write(
        "jobs.toml",
        policy.replace("allow_plain = true", &format!("encrypt_to = \"{}\"", gpg.revoked().display())),
    );
    let failed = desk.project.run(&["run", "reports"]).expect_code(1);
    assert!(
        failed.stderr.contains("1 finished mail is kept back") && failed.stderr.contains("was revoked"),
        "{failed:?}"
    );
    assert_eq!(desk.server.taken().len(), 1);
}

#[test]
fn a_request_whose_job_is_gone_is_shown_and_leaves_nothing_behind() {
    let desk = Desk::new("allow_plain = true\n");
    let id = desk.request(&["report", "--user", "@whom"]);
    desk.server.script(Some((At::Rcpt, Do::Say("450 4.7.1 greylisted".to_owned()))));
    desk.project.run(&["run", "reports"]).expect_code(0);
    assert_eq!(desk.spooled().len(), 1);
    let policy = std::fs::read_to_string(desk.project.path("jobs.toml")).unwrap();
    desk.project.write("jobs.toml", policy.replace("[jobs.reports]", "[jobs.mails]"));
    desk.project.run(&["run", "mails"]).expect_code(0);
    let words = "the file has no job reports any more";
    assert!(desk.list(&[])[0]["concerns"].to_string().contains("orphaned"), "{}", desk.list(&[]));
    assert!(desk.project.run(&["status"]).stdout.contains(words));
    assert!(desk.held() > 0 && desk.spooled().len() == 1, "somebody may name the job so again");
    desk.project.run(&["report", "close", &id, "--why", "asked anew"]).expect_code(0);
    assert_eq!((desk.held(), desk.spooled().len()), (0, 0));
}

/// What somebody decides stands in the trail.
#[test]
fn decisions_about_requests_are_recorded() {
    let desk = Desk::new("allow_plain = true\n");
    let id = desk.request(&["report", "--user", "@whom"]);
    desk.server.script(Some((At::Dot, Do::Cut(false))));
    desk.project.run(&["run", "reports"]).expect_code(1);
    desk.project.run(&["report", "resend", &id]).expect_code(0);
    desk.project.run(&["report", "extend", &id, "--why", "many mailboxes"]).expect_code(0);
    desk.project.run(&["report", "extend", &id, "--why", "more"]).expect_code(4);
    desk.project.run(&["report", "close", &id, "--why", "withdrawn"]).expect_code(0);
    for kind in ["report.resent", "report.extended", "report.closed"] {
        assert_eq!(desk.trail(kind), 1, "{kind}");
    }
}
