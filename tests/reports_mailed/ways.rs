//! The ways that mail takes: a real server, and a folder.

use crate::desk::Desk;
use crate::support::mail_server::MailServer;
use crate::support::project::finish;

/// Debian's Exim: TLS, a password, and what it answers to some recipients.
#[test]
fn a_real_server_takes_it_puts_it_off_or_refuses_it() {
    let mut server = MailServer::start(true);
    for (to, state, code) in
        [("dpo", "sent", 0), ("later", "waiting", 0), ("never", "refused", 1), ("slow", "uncertain", 1)]
    {
        let desk = Desk::to_server(&server, &[&format!("{to}@example.org")], "allow_plain = true\n");
        let id = desk.request(&["report", "--user", "@whom"]);
        let run = if to == "slow" {
            let child = desk.project.spawn(&["run", "reports"]);
            // By then the message has been handed over, and its answer is being waited for.
            std::thread::sleep(std::time::Duration::from_secs(8));
            server.kill();
            finish(std::time::Instant::now(), child)
        } else {
            desk.project.run(&["run", "reports"])
        };
        assert_eq!(run.code, Some(code), "{to}: {run:?}");
        let listed = desk.list(&["--all"]);
        assert_eq!(listed[0]["mails"][0]["state"], state, "{to}: {listed}");
        assert_eq!(desk.trail("report.posted"), 1, "{to}: before it left");
        assert_eq!(desk.trail("report.failed"), usize::from(to == "never"), "{to}");
        if state == "sent" {
            let mail = server.mailbox(1).remove(0).replace('\n', "\r\n");
            let parsed = desk.parse(mail.as_bytes());
            assert_eq!(parsed["files"][0]["name"], "report.json", "{parsed}");
            assert!(parsed["subject"].as_str().unwrap().contains(&id), "{parsed}");
            assert_eq!(parsed["defects"].as_array().unwrap().len(), 0, "{parsed}");
        }
    }
}

/// A server that takes some recipients: who has the report gets no second one because of the others.
#[test]
fn a_server_that_takes_some_recipients_is_asked_again_for_the_others_alone() {
    let server = MailServer::start(true);
    let to = ["dpo@example.org", "later@example.org", "never@example.org"];
    let desk = Desk::to_server(&server, &to, "allow_plain = true\n");
    let id = desk.request(&["report", "--user", "@whom"]);
    let states = |desk: &Desk| -> Vec<String> {
        let listed = desk.list(&[]);
        let mails = listed[0]["mails"].as_array().unwrap();
        mails.iter().map(|mail| mail["state"].as_str().unwrap().to_owned()).collect()
    };
    for code in [1, 0] {
        desk.project.run(&["run", "reports"]).expect_code(code);
        assert_eq!(states(&desk), ["sent", "waiting", "refused"]);
        assert_eq!(server.mailbox(1).len(), 1);
    }
    let status = desk.project.run(&["status"]);
    assert!(status.stdout.contains(&format!("request {id}: its mail is refused")), "{status:?}");
    assert!(desk.held() > 0, "it is not answered");
}

#[test]
fn mail_goes_to_a_folder_once_whatever_was_left_there() {
    let desk = Desk::to_folder("allow_plain = true\n");
    let id = desk.request(&["report", "--user", "@whom"]);
    std::fs::create_dir_all(desk.project.path("mails")).unwrap();
    desk.project.write(&format!("mails/.retentiond.report.{id}.part"), "half a mail that a killed process left");
    desk.project.run(&["run", "reports"]).expect_code(0);
    let mails: Vec<_> =
        std::fs::read_dir(desk.project.path("mails")).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(mails, [desk.project.path(&format!("mails/retentiond.report.{id}.eml"))]);
    let parsed = desk.parse(&std::fs::read(&mails[0]).unwrap());
    assert_eq!(parsed["files"][0]["name"], "report.json", "{parsed}");
    assert!(parsed["text"].as_str().unwrap().contains("This mail is not encrypted"), "{parsed}");
}
