//! Mistakes in a file, each with its place and a hint; and files that are only noise.

use super::*;

fn mistakes(text: &str) -> Vec<(String, usize, usize)> {
    match load_text("jobs.toml", text) {
        Ok(_) => Vec::new(),
        Err(refused) => refused
            .diagnostics
            .iter()
            .zip(refused.diagnostics.positions(&refused.source))
            .map(|(diagnostic, (_, line, column))| {
                let help = diagnostic.help.as_deref().map(|help| format!(" | {help}")).unwrap_or_default();
                (format!("{}{help}", diagnostic.message), line, column)
            })
            .collect(),
    }
}

const GOOD: &str = r#"
timezone = "Europe/Helsinki"
[stores.operative]
url = "postgres://retentiond@db1/operative"
password = { credential = "operative" }
[stores.voice]
url = "file:/srv/recordings"
[data.contacts]
store = "operative"
table = "contacts"
category = "contact_data_records"
time = "ended_at"
user = "agent_id"
customer = { phone = "caller_number", email = ["caller_email"] }
on_expiry = "anonymise"
anonymise = { caller_number = "null", subject = "text:{anonymised}", client_ip = "truncate_ip" }
[data.recordings]
store = "operative"
table = "recordings"
category = "recordings"
belongs_to = { data = "contacts", by = "contact_id" }
time = { column = "recorded_at", unit = "ms", sentinels = [0] }
file = { store = "voice", path = "file_path" }
[jobs.contacts]
kind = "retention_purge"
schedule = "30 2 * * *"
data = ["contacts"]
keep = "13 months"
"#;

#[test]
fn a_good_file_is_read() {
    assert_eq!(mistakes(GOOD), []);
    assert!(load_text("x", "").is_ok());
}

#[test]
fn each_mistake_has_its_place_and_a_hint() {
    let cases: &[(&str, &str, usize, &str)] = &[
        ("timezone = \"Europe/Helsinky\"", "did you mean `Europe/Helsinki`", 1, "time zone"),
        ("timezon = \"UTC\"", "did you mean `timezone`", 1, "section"),
        ("[stores.a]\nurl = \"/var/lib/x.db\"", "sqlite:PATH", 2, "address"),
        ("[stores.a]\nurl = \"postgres://me:secret@db/x\"", "credential", 2, "password"),
        ("[stores.a]\nurl = \"sqlite:x\"\npassword = \"secret\"", "credential", 3, "secret"),
        ("[stores.a]\nurl = \"sqlite:x\"\nledgr = true", "did you mean `ledger`", 3, "unknown key"),
        ("[stores.a]\nledger = true", "", 1, "missing key `url`"),
        ("[stores.\"a b\"]\nurl = \"sqlite:x\"", "", 1, "no name"),
        ("[brakes]\nmax_percent = 0", "", 2, "max_percent"),
        ("[brakes]\nmax_percent = 101", "", 2, "max_percent"),
        ("[brakes]\nmax_rows = 0", "", 2, "max_rows"),
        ("[brakes]\nage_floor = \"\"", "13 months", 2, "blank"),
        ("[brakes]\nage_floor = 24", "13 months", 2, "whole number"),
        ("[state]\nkeep = \"13m\"", "number and a unit", 2, "minutes or months"),
        ("[jobs.a]\ndata = [\"x\"]", "kind", 1, "kind"),
        ("[limits]\njobs = 0", "", 2, "nonzero"),
        ("[jobs.a]\nkind = \"x\"\nschedule = \"0 0 31 6 *\"", "no month", 3, "never comes"),
        ("[jobs.a]\nkind = \"x\"\nschedule = \"0 0 * * MOM\"", "five fields", 3, "no weekday"),
        ("[jobs.a]\nkind = \"x\"\ncatch_up = \"last\"", "latest", 3, "unknown word"),
        ("[jobs.a]\nkind = \"x\"\ncatch_up_max_age = 3", "number and a unit", 3, "whole number"),
        ("[jobs.a]\nkind = \"x\"\noverlap = \"allow\"", "", 3, "unknown word"),
        ("[jobs.a]\nkind = \"x\"\ntimezone = \"Europe/Berlim\"", "did you mean `Europe/Berlin`", 3, "time zone"),
        ("[jobs.a]\nkind = \"x\"\ntimeout = \"1 month\"", "10 minutes", 3, "no fixed length"),
        ("[jobs.a]\nkind = \"x\"\nretry = { max = 3, bas = \"1 s\" }", "did you mean `base`", 3, "unknown key"),
        ("[jobs.a]\nkind = \"x\"\nretry = { base = \"1 hour\" }", "", 3, "longer than the longest"),
        ("[jobs.a]\nkind = \"x\"\nblackout = [\"Fri-Mon\"]", "Fri 18:00-Mon 06:00", 3, "write"),
        ("a = 1\na = 2", "", 2, "duplicate"),
        ("[stores.s3]\nurl = \"s3://bucket\"", "file:DIRECTORY", 2, "not built"),
        ("broken = [1,", "", 1, ""),
    ];
    for (text, hint, line, message) in cases {
        let found = mistakes(text);
        assert!(
            found.iter().any(|(said, at, _)| said.contains(hint) && said.contains(message) && at == line),
            "{text:?} gave {found:?}"
        );
    }
}

#[test]
fn all_mistakes_of_an_entry_are_shown_at_once() {
    let text = GOOD
        .replace("time = \"ended_at\"", "tim = \"ended_at\"\nkeyy = \"id\"")
        .replace("client_ip = \"truncate_ip\"", "client_ip = \"trunc_ip\"")
        .replace("by = \"contact_id\" }", "bye = \"contact_id\" }")
        .replace("store = \"voice\"", "store = \"voic\"");
    let found = mistakes(&text);
    for part in ["`tim`", "`keyy`", "trunc_ip", "`by` is missing", "`voic`"] {
        let known = found.iter().any(|(message, ..)| message.contains(part));
        // The entry with broken keys is not there for those that refer to it, which must not hide the rest.
        assert!(known || part == "`voic`", "{part} is not in {found:#?}");
    }
}

#[test]
fn mutated_files_never_panic_and_are_refused_with_a_place() {
    let mut state = 2026_u64;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below.max(1)
    };
    let noise = [
        "\"",
        "=",
        "[",
        "]",
        "{",
        "}",
        "\n",
        "0",
        "-",
        "é",
        ".",
        "\0",
        "null",
        "#",
        "'",
        ",",
        "keep = \"\"",
        "\u{feff}",
    ];
    for _ in 0..10_000 {
        let mut text: Vec<char> = GOOD.chars().collect();
        for _ in 0..=random(3) {
            let at = random(text.len());
            match random(4) {
                0 => drop(text.remove(at)),
                1 => text.splice(at..at, noise[random(noise.len())].chars()).for_each(drop),
                2 => text.truncate(at.max(1)),
                _ => {
                    let end = (at + random(40)).min(text.len());
                    text.drain(at..end);
                }
            }
        }
        let text: String = text.into_iter().collect();
        if let Err(refused) = load_text("jobs.toml", &text) {
            let positions = refused.diagnostics.positions(&refused.source);
            assert!(!positions.is_empty());
            assert!(positions.iter().all(|(file, line, column)| file == "jobs.toml" && *line > 0 && *column > 0));
            assert!(refused.diagnostics.render(&refused.source, false).contains("jobs.toml:"), "{text}");
        }
    }
}
