//! Names, addresses and subjects that somebody chose to do harm: none panics, none adds a header or a line.

use proptest::prelude::*;

use super::address::{Address, Mailbox};
use super::{Draft, Message, Parcel, Part};

const PIECES: &[&str] = &[
    "\n",
    "\r",
    "\r\n",
    "\r\n\r\n",
    "\0",
    "\t",
    "\u{7f}",
    "\u{85}",
    "\u{2028}",
    "\u{202e}",
    "Bcc: x@y.z",
    "\r\n.\r\n",
    "\n.\n",
    "MAIL FROM:<x@y.z>",
    "<x@y.z>",
    "\"",
    "\\",
    ",",
    ";",
    "=?utf-8?q?x?=",
    "=?utf-8?b?",
    "é",
    "日本",
    "😀",
    " ",
    "<",
    ">",
    "@",
    "a",
    ":",
    "--",
    ".",
    "\r\n--",
    "Content-Type: text/html",
    "\u{feff}",
    "((",
    "\u{1b}[31m",
];

fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => proptest::collection::vec(proptest::sample::select(PIECES), 0..24).prop_map(|pieces| pieces.concat()),
        1 => any::<String>(),
        1 => "[ -~]{0,900}",
    ]
}

fn draft<'a>(from: &'a Mailbox, to: &'a [Mailbox], subject: &'a str, body: &'a str) -> Draft<'a> {
    let date = chrono::DateTime::from_timestamp(1_790_000_000, 0).unwrap();
    Draft { from, to, subject, text: body, html: body, date }
}

/// Header fields by name, in order; folded lines belong to the one before.
fn headers(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let (head, _) = text.split_once("\r\n\r\n").unwrap();
    head.split("\r\n")
        .filter(|line| !line.starts_with([' ', '\t']))
        .map(|line| line.split_once(':').unwrap_or_else(|| panic!("{line:?} is no header")).0.to_owned())
        .collect()
}

fn bare(bytes: &[u8]) -> bool {
    bytes.windows(2).any(|two| (two[1] == b'\n' && two[0] != b'\r') || (two[0] == b'\r' && two[1] != b'\n'))
        || bytes.starts_with(b"\n")
        || bytes.ends_with(b"\r")
}

/// What makes all this necessary: lettre itself panics on such a name, and leaves a lone dot unescaped after a bare LF.
/// When this test fails, lettre has become safer, and the comment in `address.rs` may go.
#[test]
fn lettre_alone_would_panic() {
    for name in ["Eve\nX", "Eve\rX", "Eve\0X"] {
        let built = std::panic::catch_unwind(|| {
            let to = lettre::message::Mailbox::new(Some(name.to_owned()), "d@e.f".parse().unwrap());
            lettre::Message::builder().from("a@b.c".parse().unwrap()).to(to).body(String::new()).unwrap().formatted()
        });
        assert!(built.is_err(), "{name:?}");
    }
}

#[test]
fn headers_are_those_that_were_meant() {
    let from = Mailbox::parse("Data protection <privacy@example.org>").unwrap();
    let to = [Mailbox::parse("ops@example.org").unwrap()];
    let message = Message::build(&draft(&from, &to, "Hello", "One\nTwo\n")).unwrap();
    assert_eq!(headers(message.bytes()), MEANT);
    let text = String::from_utf8_lossy(message.bytes()).into_owned();
    assert!(text.contains(&format!("Message-ID: <{}>\r\n", message.id())), "{text}");
    assert!(message.id().starts_with("retentiond.") && message.id().ends_with("@example.org"));
}

const MEANT: [&str; 9] = [
    "From",
    "Subject",
    "Message-ID",
    "Date",
    "Auto-Submitted",
    "X-Auto-Response-Suppress",
    "To",
    "MIME-Version",
    "Content-Type",
];

/// What a part is called, and how often the words stand at the beginning of a line.
fn lines_that_begin(bytes: &[u8], words: &str) -> usize {
    String::from_utf8(bytes.to_vec()).unwrap().split("\r\n").filter(|line| line.starts_with(words)).count()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// With five fields each, twenty thousand hostile strings.
    #[test]
    fn nothing_hostile_gets_through_in_a_report(
        name in hostile(), subject in hostile(), body in hostile(), file in hostile(), content in hostile()
    ) {
        let from = Mailbox::new(Some(&name), Address::parse("privacy@example.org").unwrap());
        let to = [Mailbox::new(Some(&file), Address::parse("dpo@example.org").unwrap())];
        let part = Part { name: file, media_type: "application/json", bytes: content.into_bytes() };
        let draft = draft(&from, &to, &subject, &body);
        let message = Message::parcel(Parcel { id: "retentiond.report.0", draft, parts: vec![part], keys: None }).unwrap();
        prop_assert!(!bare(message.bytes()));
        prop_assert_eq!(headers(message.bytes()), MEANT);
        prop_assert_eq!(message.to().len(), 1);
        prop_assert_eq!(lines_that_begin(message.bytes(), "Content-Disposition:"), 1);
        prop_assert_eq!(lines_that_begin(message.bytes(), "Message-ID: <retentiond.report.0@example.org>"), 1);
        prop_assert!(message.bytes().split(|byte| *byte == b'\n').all(|line| line.len() <= 999));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_hostile_gets_through(name in hostile(), subject in hostile(), body in hostile(), address in hostile()) {
        let refused = Address::parse(&address).is_err();
        prop_assert!(refused || address.chars().all(|c| c.is_ascii_graphic()));
        drop(Mailbox::parse(&format!("{name} <{address}>")));
        let from = Mailbox::new(Some(&name), Address::parse("privacy@example.org").unwrap());
        let to = [Mailbox::new(Some(&subject), Address::parse("ops@example.org").unwrap()), from.clone()];
        let message = Message::build(&draft(&from, &to, &subject, &body)).unwrap();
        prop_assert!(!bare(message.bytes()));
        prop_assert_eq!(headers(message.bytes()), MEANT);
        prop_assert!(message.bytes().split(|byte| *byte == b'\n').all(|line| line.len() <= 999));
    }
}
