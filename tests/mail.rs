//! Mail to a real server: it leaves over checked TLS or not at all, whole, and a failure says what is known.
#![expect(clippy::unwrap_used, reason = "what goes wrong fails the test")]

mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use retentiond::config::diagnostic::Diagnostics;
use retentiond::config::document::Mail;
use retentiond::mail::address::Address;
use retentiond::mail::letters::{Command, Letter, Table, Tone};
use retentiond::mail::{Certainty, Draft, MailError, Mailbox, Mailer, Message, Settings};
use support::Project;
use support::mail_server::{MailServer, USER, free_port};

fn mailer(url: &str, ca: Option<&Path>, password: Option<&str>) -> Mailer {
    let dir = tempfile::tempdir().unwrap();
    let secret = |name: &str, text: &str| {
        std::fs::write(dir.path().join(name), text).unwrap();
        format!("{name} = {{ file = \"{}\" }}\n", dir.path().join(name).display())
    };
    let mut text = format!("smtp = \"{url}\"\nfrom = \"Data protection <privacy@example.org>\"\n");
    if let Some(ca) = ca {
        text.push_str(&format!("ca = \"{}\"\n", ca.display()));
    }
    if let Some(password) = password {
        text.push_str(&secret("username", USER.0));
        text.push_str(&secret("password", password));
    }
    let mail: Mail = toml::from_str(&text).unwrap();
    let mut diagnostics = Diagnostics::default();
    let settings = Settings::read(&mail, &mut diagnostics);
    assert!(!diagnostics.has_errors(), "{diagnostics:?}");
    Mailer::of(&settings.unwrap()).unwrap()
}

fn message(to: &str, name: &str, subject: &str, text: &str) -> Message {
    let from = Mailbox::parse("Data protection <privacy@example.org>").unwrap();
    let to = [Mailbox::new(Some(name), Address::parse(to).unwrap())];
    let date = chrono::DateTime::from_timestamp(1_790_000_000, 0).unwrap();
    Message::build(&Draft { from: &from, to: &to, subject, text, html: "<p>HTML</p>", date }).unwrap()
}

fn plain_message(to: &str) -> Message {
    message(to, "Operations", "A test", "A line.\n")
}

#[track_caller]
fn failed(result: Result<(), MailError>, certainty: Certainty, words: &str) {
    let error = result.unwrap_err();
    assert!(error.certainty == certainty && error.message.contains(words), "{error:?}");
}

#[test]
fn a_message_arrives_whole() {
    let server = MailServer::start(true);
    let lines = "First line.\n.\n..two dots\n.one dot\nÄ last line, with a tab\tin it\n";
    for url in [format!("smtp://localhost:{}", server.port), format!("smtps://localhost:{}", server.tls_port)] {
        let mailer = mailer(&url, Some(&server.ca()), Some(USER.1));
        mailer.probe().unwrap();
        mailer.send(&message("ops@example.org", "Öperations", "Überschrift", lines)).unwrap();
    }
    for mail in server.mailbox(2) {
        let (_, body) = mail.split_once("\n\n").unwrap();
        assert!(mail.contains("\nMessage-ID: <retentiond."), "{mail}");
        assert!(mail.contains("\nTo: =?utf-8?b?w5ZwZXJhdGlvbnM=?= <ops@example.org>\n"), "{mail}");
        assert!(mail.contains("\nSubject: =?utf-8?b?w5xiZXJzY2hyaWZ0?=\n"), "{mail}");
        let sent = "First line.\n.\n..two dots\n.one dot\n=C3=84 last line, with a tab\tin it\n";
        assert!(body.contains(sent), "{mail}");
        assert!(body.contains("<p>HTML</p>"), "{mail}");
    }
    assert_eq!(server.delivered().len(), 2);
}

#[test]
fn nothing_leaves_without_checked_tls() {
    let server = MailServer::start(true);
    let bare = MailServer::start(false);
    let (port, tls) = (server.port, server.tls_port);
    let other = server.other_ca();
    let (ca, password) = (server.ca(), Some(USER.1));
    let mail = plain_message("ops@example.org");
    for url in [format!("smtp://localhost:{port}"), format!("smtps://localhost:{tls}")] {
        failed(mailer(&url, Some(&other), password).send(&mail), Certainty::Permanent, "certificate");
        failed(mailer(&url, None, password).send(&mail), Certainty::Permanent, "certificate");
    }
    for url in [format!("smtp://127.0.0.1:{port}"), format!("smtps://127.0.0.1:{tls}")] {
        failed(mailer(&url, Some(&ca), password).send(&mail), Certainty::Permanent, "certificate");
    }
    let plain = format!("smtp://localhost:{}", bare.port);
    failed(mailer(&plain, Some(&bare.ca()), password).send(&mail), Certainty::Permanent, "no STARTTLS");
    failed(mailer(&plain, Some(&bare.ca()), None).probe(), Certainty::Permanent, "no STARTTLS");
    // TLS from the start is not spoken on the other port, and its silence is no permission for plain text.
    let crossed = mailer(&format!("smtps://localhost:{port}"), Some(&ca), password).send(&mail).unwrap_err();
    assert_ne!(crossed.certainty, Certainty::Uncertain, "{crossed:?}");
    assert_eq!((server.delivered().len(), bare.delivered().len()), (0, 0));
    // The password went nowhere: a server that offers no TLS never heard AUTH.
    assert!(!bare.log().contains("AUTH"), "{}", bare.log());
}

#[test]
fn a_failure_says_what_is_known() {
    let mut server = MailServer::start(true);
    let url = format!("smtp://localhost:{}", server.port);
    let ca = server.ca();
    let send = |password: Option<&str>, to: &str| mailer(&url, Some(&ca), password).send(&plain_message(to));
    failed(send(Some("wrong"), "ops@example.org"), Certainty::Permanent, "signing in");
    failed(send(None, "ops@example.org"), Certainty::Permanent, "answered 550");
    failed(send(Some(USER.1), "never@example.org"), Certainty::Permanent, "answered 550");
    failed(send(Some(USER.1), "later@example.org"), Certainty::Transient, "answered 451");
    let nobody = mailer(&format!("smtp://localhost:{}", free_port()), Some(&ca), None);
    failed(nobody.send(&plain_message("ops@example.org")), Certainty::Transient, "refused");
    let slow = std::thread::scope(|scope| {
        let sending = scope.spawn(|| send(Some(USER.1), "slow@example.org"));
        // By then the message has been handed over, and its answer is being waited for.
        std::thread::sleep(Duration::from_secs(2));
        assert!(!sending.is_finished());
        server.kill();
        sending.join().unwrap()
    });
    failed(slow, Certainty::Uncertain, "not known");
    let words = mailer(&url, Some(&ca), None).send(&plain_message("never@example.org")).unwrap_err();
    assert!(!words.message.contains("example.org"), "an address stands in {words:?}");
}

#[test]
fn hostile_names_reach_a_server_as_plain_text() {
    let server = MailServer::start(true);
    let mailer = mailer(&format!("smtp://localhost:{}", server.port), Some(&server.ca()), Some(USER.1));
    let hostile = [
        "Eve\r\nBcc: x@y.z",
        "Eve\nRCPT TO:<x@y.z>",
        "Eve\0",
        "Eve\r\n.\r\nMAIL FROM:<x@y.z>\r\n",
        "\"Eve\" <x@y.z>,",
        "=?utf-8?q?x=0D=0ABcc:_x=40y=2Ez?=",
        "\u{202e}evil\u{2028}line",
        "é\r".repeat(200).as_str(),
    ]
    .map(str::to_owned);
    for text in &hostile {
        mailer.send(&message("ops@example.org", text, text, text)).unwrap();
    }
    let mails = server.mailbox(hostile.len());
    assert_eq!(mails.len(), hostile.len());
    for mail in mails {
        let (head, _) = mail.split_once("\n\n").unwrap();
        let fields: Vec<&str> = head.lines().filter(|line| !line.starts_with([' ', '\t'])).collect();
        let named = |name: &str| fields.iter().filter(|line| line.to_lowercase().starts_with(name)).count();
        assert_eq!((named("bcc:"), named("to:"), named("subject:"), named("from:")), (0, 1, 1, 1), "{mail}");
    }
    assert!(!server.log().contains("x@y.z"), "{}", server.log());
}

#[test]
fn a_folder_takes_whole_messages() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("out");
    let mailer = mailer(&format!("file:{}", folder.display()), None, None);
    let mail = plain_message("ops@example.org");
    mailer.send(&mail).unwrap();
    let files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1);
    assert!(files[0].extension().is_some_and(|end| end == "eml"));
    assert_eq!(std::fs::read(&files[0]).unwrap(), mail.bytes());
}

#[test]
fn check_speaks_to_the_server() {
    let server = MailServer::start(true);
    let policy = |mail: &str| {
        let state = "[state]\nurl = \"sqlite:{dir}/state.db\"\n";
        format!("{state}[mail]\nfrom = \"privacy@example.org\"\nalerts = [\"ops@example.org\"]\n{mail}\n")
    };
    let smtp = format!("smtp = \"smtp://localhost:{}\"\n", server.port);
    let project = Project::new(&policy(&format!("{smtp}ca = \"{}\"", server.ca().display())));
    assert!(project.run(&["check"]).expect_code(0).stdout.contains("mail"));
    project.write_jobs(&policy(&format!("{smtp}ca = \"{}\"", server.other_ca().display())));
    let refused = project.run(&["check"]).expect_code(5);
    assert!(refused.stderr.contains("certificate"), "{refused:?}");
    project.write_jobs(&policy("smtp = \"smtp://u:p@localhost\"\npassword = { env = \"X\" }"));
    let wrong = project.run(&["check"]).expect_code(3);
    for words in ["secrets never stand in the file", "go together", "jobs.toml:"] {
        assert!(wrong.stderr.contains(words), "{words}: {wrong:?}");
    }
    project.write_jobs(&policy("smtp = \"file:/tmp\"").replace("ops@example.org", "ops@[127.0.0.1]"));
    assert!(project.run(&["check"]).expect_code(3).stderr.contains("not a number in brackets"));
}

#[test]
fn letters_read_well_both_ways() {
    let letter = Letter {
        subject: "calls: stopped".to_owned(),
        tone: Tone::Decide,
        heading: "The run of job calls was stopped before its first deletion.".to_owned(),
        paragraphs: vec!["1 < 2 & <b>bold</b>".to_owned()],
        facts: vec![("Job".to_owned(), "calls".to_owned())],
        table: Some(Table {
            heads: vec!["data".to_owned(), "rows>".to_owned()],
            rows: vec![vec!["contacts".to_owned(), "7".to_owned()], vec!["e".to_owned(), "1 200".to_owned()]],
        }),
        commands: vec![Command { why: "To let it pass:".to_owned(), line: "retentiond approve calls 1234".to_owned() }],
        footer: "retentiond on host".to_owned(),
    };
    let page = letter.lay_out().unwrap();
    assert!(page.text.contains("  data       rows\n  contacts      7\n  e         1 200\n"), "{}", page.text);
    assert!(page.text.contains("\n    retentiond approve calls 1234\n"), "{}", page.text);
    assert!(page.text.contains("1 < 2 & <b>bold</b>"), "{}", page.text);
    assert!(page.html.contains("1 &lt; 2 &amp; &lt;b&gt;bold&lt;&#x2f;b&gt;"), "{}", page.html);
    assert!(page.html.contains("<td align=\"right\"") && page.html.contains("retentiond approve calls 1234</pre>"));
    let started = Instant::now();
    letter.lay_out().unwrap();
    assert!(started.elapsed() < Duration::from_secs(1));
}
