//! The outbox: whatever a mail server answers, or does not, and whenever the process dies: no mail is sent twice by itself,
//! none is lost without somebody being told, and of each one the state says what is known.
#![expect(clippy::unwrap_used, reason = "what goes wrong fails the test")]

mod support;

#[path = "outbox/bed.rs"]
mod bed;

use std::collections::BTreeMap;

use bed::Bed;
use retentiond::store::state::MailState;
use support::Random;
use support::fake_smtp::{At, Do};

fn long() -> bool {
    std::env::var("RETENTIOND_TORTURE").is_ok_and(|long| long == "long")
}

/// Every kind of thing that may happen at a point.
fn anything(random: &mut Random) -> Option<(At, Do)> {
    let at = At::ALL[usize::try_from(random.below(8)).unwrap()];
    let answers = [
        "421 4.3.2 going down",
        "450 4.2.0 greylisted",
        "451 4.7.1 later",
        "452 4.2.2 mailbox full",
        "500 5.5.1 what?",
        "535 5.7.8 who?",
        "550 5.1.1 nobody here",
        "550 5.2.2 mailbox full",
        "552 5.2.2 mailbox full",
        "554 5.7.1 never",
        "250 fine",
        "354 go on",
        "199 odd",
        "250-fine\r\n250 really",
        "garbage",
        "",
        "250",
        "999 what",
    ];
    // A good answer in the midst of the text would be a lie that no client can see through.
    if at == At::Text && random.coin() {
        return Some((
            at,
            Do::Say(["421 4.3.2 going down", "552 5.3.4 too large"][usize::from(random.coin())].to_owned()),
        ));
    }
    match random.below(if at == At::Text { 4 } else { 8 }) {
        0 => None,
        1 | 2 => Some((at, Do::Cut(random.coin()))),
        3 => Some((at, Do::Half(random.coin()))),
        _ => Some((at, Do::Say(answers[usize::try_from(random.below(answers.len() as u64)).unwrap()].to_owned()))),
    }
}

/// A thousand mails, each tried until it is over, with something else happening at each attempt.
#[test]
fn no_answer_makes_a_mail_come_twice_or_vanish() {
    let mut random = Random::seeded("outbox");
    let mut bed = Bed::new();
    let mails = if long() { 1_000 } else { 150 };
    let mut fates: BTreeMap<String, usize> = BTreeMap::new();
    for number in 0..mails {
        let mail = bed.post(&format!("r{number:09}"));
        let mut attempts = 0;
        let fate = loop {
            bed.server.script(anything(&mut random));
            let before = bed.taken(&mail);
            bed.send();
            attempts += 1;
            let record = bed.record(&mail);
            let taken = bed.taken(&mail);
            assert!(before == 0 && taken <= 1, "{mail} was sent although it had arrived: {record:?}");
            match record.state.as_str() {
                "sent" => assert_eq!(taken, 1, "{mail} is said to be sent and is not: {record:?}"),
                "uncertain" => assert_eq!(record.phase.as_deref(), Some("dot"), "{record:?}"),
                _ => assert_eq!(taken, 0, "{mail} has arrived and is not said to have: {record:?}"),
            }
            assert!(record.is(MailState::Sent) || record.note.is_some(), "{record:?}");
            if !record.is(MailState::Waiting) {
                break record.state;
            }
            assert!(attempts < 200, "{mail} is never over: {record:?}");
            bed.advance(&record);
        };
        *fates.entry(fate).or_default() += 1;
    }
    eprintln!("{mails} mails: {fates:?}");
    for expected in ["sent", "uncertain", "refused"] {
        assert!(fates.contains_key(expected), "no mail was {expected}: {fates:?}");
    }
}

#[test]
fn each_answer_has_its_outcome() {
    let cases: &[(At, &str, &str)] = &[
        (At::Greeting, "554 no", "waiting"),
        (At::Ehlo, "550 no", "waiting"),
        (At::Mail, "550 5.7.1 not you", "refused"),
        (At::Mail, "451 later", "waiting"),
        (At::Rcpt, "550 5.1.1 nobody", "refused"),
        (At::Rcpt, "450 4.7.1 greylisted", "waiting"),
        (At::Rcpt, "452 4.2.2 full", "waiting"),
        (At::Rcpt, "552 5.2.2 full", "waiting"),
        (At::Rcpt, "550 5.2.2 full", "waiting"),
        (At::Data, "554 no", "refused"),
        (At::Data, "250 fine", "waiting"),
        (At::Dot, "554 5.6.0 no", "refused"),
        (At::Dot, "451 later", "waiting"),
        (At::Dot, "552 5.3.4 too large", "refused"),
        (At::Dot, "hm", "uncertain"),
    ];
    for mut bed in Bed::each() {
        for (number, (at, answer, state)) in cases.iter().enumerate() {
            let mail = bed.post(&format!("case{number}"));
            bed.server.script(Some((*at, Do::Say((*answer).to_owned()))));
            bed.send();
            let record = bed.record(&mail);
            assert_eq!(record.state, *state, "{at:?} {answer}: {record:?}");
            assert!(!record.note.unwrap_or_default().contains("nobody"), "the server's words may name somebody");
            bed.forget(&mail);
        }
    }
}

/// Each of the databases: what is asked of the state is asked of all of them.
#[test]
fn what_the_file_does_not_want_any_more_does_not_leave() {
    for mut bed in Bed::each() {
        // Finished when no key was named; then one is.
        let plain = bed.post("plain");
        bed.seal = Some("keys".to_owned());
        let sealed = bed.post("sealed");
        bed.server.script(Some((At::Rcpt, Do::Say("450 4.7.1 greylisted".to_owned()))));
        bed.send();
        bed.server.script(None);
        // Taken back at once, although it would be tried again only later.
        let tally = bed.send_sealed(Some("keys"));
        assert_eq!((tally.recalled, tally.sent), (1, 0), "{tally:?}");
        assert!(!bed.has(&plain) && bed.stage(&plain) == "open", "its report is made anew");
        bed.later(1);
        bed.send_sealed(Some("keys"));
        assert_eq!((bed.record(&sealed).state.as_str(), bed.server.taken().len()), ("sent", 1));
        // What is encrypted may leave where nothing must be.
        let sealed = bed.post("sealed2");
        bed.send();
        assert_eq!(bed.record(&sealed).state, "sent");
    }
}

#[test]
fn a_host_that_is_gone_or_has_another_name_keeps_no_mail_for_ever() {
    for mut bed in Bed::each() {
        let (renamed, gone) = (bed.post("renamed"), bed.post("gone"));
        bed.on_host(&renamed, "its-name-before");
        bed.on_host(&gone, "another-machine");
        #[expect(clippy::disallowed_methods, reason = "the file lies on another machine")]
        std::fs::remove_file(bed.folder().join(bed.record(&gone).spool)).unwrap();
        let tally = bed.send();
        assert_eq!((tally.sent, tally.waiting), (1, 1), "{tally:?}");
        assert_eq!((bed.record(&renamed).state.as_str(), bed.record(&gone).state.as_str()), ("sent", "waiting"));
        bed.later(73);
        assert_eq!(bed.send().given_up, 1);
        let record = bed.record(&gone);
        assert!(record.is(MailState::GivenUp) && record.note.unwrap().contains("another-machine"));
    }
}

/// A run's mails go over one connection, as long as the server keeps it and takes them.
#[test]
fn mails_share_a_connection() {
    let mut bed = Bed::new();
    for number in 0..150 {
        bed.post(&format!("many{number}"));
    }
    assert_eq!((bed.send().sent, bed.server.connections()), (150, 2), "100 at most on each");
    // After a refusal the rest goes over another one, and a server that closed the old one is connected anew.
    let (refused, next) = (bed.post("first-refused"), bed.post("then-sent"));
    bed.server.script_once(At::Rcpt, Do::Say("550 5.1.1 nobody".to_owned()));
    bed.send();
    assert_eq!((bed.record(&refused).state.as_str(), bed.record(&next).state.as_str()), ("refused", "sent"));
    assert_eq!(bed.server.connections(), 3);
    bed.server.hang_up();
    let after = bed.post("after");
    assert_eq!((bed.send().sent, bed.taken(&after), bed.server.connections()), (1, 1, 4));
}

#[test]
fn there_may_be_more_open_requests_than_a_statement_has_room_for() {
    for mut bed in Bed::each() {
        bed.crowd(33_000);
        let mail = bed.post("among-them");
        assert_eq!(bed.send().sent, 1);
        assert_eq!(bed.taken(&mail), 1);
    }
}

#[test]
fn a_mail_is_given_up_when_its_time_is_over_and_not_before() {
    let mut bed = Bed::new();
    let mail = bed.post("patient");
    bed.server.script(Some((At::Rcpt, Do::Say("450 4.7.1 greylisted".to_owned()))));
    let mut attempts = 0;
    let given_up = loop {
        bed.send();
        attempts += 1;
        let record = bed.record(&mail);
        if !record.is(MailState::Waiting) {
            break record;
        }
        assert!(record.not_before <= record.give_up_at);
        bed.advance(&record);
    };
    assert_eq!((given_up.state.as_str(), given_up.ended_at), ("given_up", Some(given_up.give_up_at)));
    assert!((60..90).contains(&attempts), "three days, a minute at first, then an hour at most: {attempts}");
    // A person may have it sent all the same.
    assert!(bed.again(&mail) && !bed.again(&mail));
    bed.server.script(None);
    bed.send();
    assert_eq!((bed.record(&mail).state.as_str(), bed.taken(&mail)), ("sent", 1));
}

#[test]
fn an_uncertain_mail_is_sent_again_by_a_person_only_and_under_the_same_id() {
    let mut bed = Bed::new();
    let mail = bed.post("doubtful");
    bed.server.script(Some((At::Dot, Do::Cut(true))));
    bed.send();
    assert_eq!(bed.record(&mail).state, "uncertain");
    bed.server.script(None);
    for _ in 0..5 {
        bed.later(24);
        bed.send();
    }
    assert_eq!((bed.record(&mail).state.as_str(), bed.taken(&mail)), ("uncertain", 1));
    assert!(bed.again(&mail));
    bed.send();
    assert_eq!((bed.record(&mail).state.as_str(), bed.taken(&mail)), ("sent", 2));
    assert!(!bed.again(&mail), "what was sent is not sent again");
}

/// Hostile words in every field: on the wire there are the commands that were meant and no others, and the message is
/// what was finished, byte for byte.
#[test]
fn hostile_words_are_no_commands() {
    let pieces = [
        "\r\n.\r\n",
        "\n.\n",
        "\r.\r",
        ".",
        "..",
        "\r\nRCPT TO:<x@y.z>\r\n",
        "MAIL FROM:<x@y.z>",
        "\0",
        "\r\nBcc: x@y.z",
        "\u{2028}",
        "\u{202e}",
        "é",
        "😀",
        "\"",
        "\\",
        "<",
        ">",
        "=?utf-8?q?x?=",
        "--",
        "\r\n--",
        "QUIT",
        "\r\nDATA\r\n",
        " ",
        "\t",
        "\u{85}",
    ];
    let mut random = Random::seeded("hostile words");
    let mut words = || -> String {
        let count = random.below(12);
        (0..count).map(|_| pieces[usize::try_from(random.below(pieces.len() as u64)).unwrap()]).collect()
    };
    let mut bed = Bed::new();
    let mails = if long() { 4_000 } else { 120 };
    for number in 0..mails {
        let request = format!("h{number}");
        let mail = bed.post_hostile(&request, [words(), words(), words(), words(), words()]);
        let finished = std::fs::read(bed.folder().join(bed.record(&mail).spool)).unwrap();
        bed.send();
        let taken = bed.server.taken().pop().unwrap();
        let verbs: Vec<&str> = taken.commands.iter().map(|line| line.split([' ', ':', '\r']).next().unwrap()).collect();
        // On a connection that was kept it is asked first whether the server is there.
        assert!(verbs[0] == "EHLO" || number > 0 && verbs[0] == "NOOP", "{:?}", taken.commands);
        assert_eq!(verbs[1..], ["MAIL", "RCPT", "DATA"], "{:?}", taken.commands);
        assert_eq!(taken.commands[2], "RCPT TO:<dpo@example.org>\r\n");
        assert_eq!(undotted(&taken.wire), finished);
        bed.forget(&mail);
    }
    assert_eq!(bed.server.taken().len(), mails);
    assert!(bed.server.commands().iter().all(|line| !line.contains("x@y.z")));
}

/// What a server makes of the text on the wire.
fn undotted(wire: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(wire.to_vec()).unwrap();
    text.split_inclusive("\r\n").map(|line| line.strip_prefix('.').unwrap_or(line)).collect::<String>().into_bytes()
}

#[test]
fn a_spoilt_file_is_never_sent() {
    let mut bed = Bed::new();
    for (mail, spoil) in [("changed", Some("another message\r\n")), ("gone", None)] {
        let mail = bed.post(mail);
        let file = bed.folder().join(bed.record(&mail).spool);
        match spoil {
            Some(text) => std::fs::write(&file, text).unwrap(),
            None => {
                #[expect(clippy::disallowed_methods, reason = "a letter that is lost is the case")]
                std::fs::remove_file(&file).unwrap();
            }
        }
        bed.send();
        assert_eq!((bed.record(&mail).state.as_str(), bed.taken(&mail)), ("refused", 0));
        bed.forget(&mail);
    }
    assert_eq!(bed.server.connections(), 0);
}

#[test]
fn only_what_nobody_needs_is_swept() {
    let mut bed = Bed::new();
    let sent = bed.post("rsent");
    bed.send();
    let doubtful = bed.post("rdoubtful");
    bed.server.script(Some((At::Dot, Do::Cut(false))));
    bed.send();
    let (waiting, other) = (bed.post("rwaiting"), bed.post_of("other", "rother"));
    // Whom a request is about that is being made just now.
    std::fs::write(bed.folder().join("reports.rcoming.whom"), "x").unwrap();
    std::fs::write(bed.folder().join("reports.rnever.0.eml"), "x").unwrap();
    std::fs::create_dir(bed.folder().join("reports.rnever.work")).unwrap();
    bed.sweep();
    let left = |bed: &Bed, mail: &str| bed.folder().join(bed.record(mail).spool).exists();
    assert_eq!([&sent, &waiting, &other, &doubtful].map(|mail| left(&bed, mail)), [false, true, true, true]);
    assert!(!bed.folder().join("reports.rnever.0.eml").exists());
    assert!(!bed.folder().join("reports.rnever.work").exists());
    assert!(bed.folder().join("reports.rcoming.whom").exists());
    bed.close("rdoubtful");
    // The job of this one may be in the file no more.
    bed.close("rother");
    bed.sweep();
    assert_eq!([&doubtful, &other, &waiting].map(|mail| left(&bed, mail)), [false, false, true]);
}
