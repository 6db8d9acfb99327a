//! Slips of the finger that could let more go than was meant: each is refused, with its place.

use std::path::Path;
use std::process::{Command, Stdio};

use retentiond::control::Failure;
use retentiond::control::site::{Site, load};

const POLICY: &str = r#"timezone = "Europe/Helsinki"
[state]
url = "sqlite:{dir}/state.db"
[stores.shop]
url = "sqlite:{dir}/shop.db"
ledger = false
[brakes]
max_rows = 1000
max_percent = 5
max_times_usual = 5
age_floor = "24 hours"
[pace]
rows_per_second = 1000
[data.orders]
store = "shop"
table = "orders"
category = "contact_data_records"
time = { column = "at", format = "%Y-%m-%d %H:%M:%S", zone = "UTC" }
on_expiry = "anonymise"
anonymise = { name = "null" }
[data.lines]
store = "shop"
table = "lines"
category = "contact_data_records"
belongs_to = { data = "orders", by = "order_id" }
requires = { consent = true }
[data.notes]
store = "shop"
table = "notes"
category = "contact_data_records"
goes_with = { data = "tickets", by = "ticket_id" }
time = { column = "at", format = "%Y-%m-%d %H:%M:%S", zone = "UTC", sentinels = ["0000-00-00 00:00:00"] }
[data.tickets]
store = "shop"
table = "tickets"
category = "contact_data_records"
time = { column = "at", format = "%Y-%m-%d %H:%M:%S", zone = "UTC" }
[jobs.orders]
kind = "retention_purge"
data = ["orders"]
keep = "13 months"
where = { channel = "call" }
window = "01:00-05:00"
[[jobs.orders.override]]
where = { queue = ["sales", "claims"] }
keep = "5 years"
[jobs.tickets]
kind = "retention_purge"
data = ["notes", "tickets"]
keep = "14 months"
"#;

const SCHEMA: &str = "CREATE TABLE orders (id INTEGER PRIMARY KEY, at TEXT, name TEXT, channel TEXT, queue TEXT);
CREATE INDEX orders_at ON orders (at);
CREATE TABLE lines (id INTEGER PRIMARY KEY, order_id INTEGER, consent BOOLEAN); CREATE INDEX lines_order ON lines (order_id);
CREATE TABLE tickets (id INTEGER PRIMARY KEY, at TEXT); CREATE INDEX tickets_at ON tickets (at);
CREATE TABLE notes (id INTEGER PRIMARY KEY, at TEXT, ticket_id INTEGER); CREATE INDEX notes_at ON notes (at);
CREATE INDEX notes_ticket ON notes (ticket_id);";

/// What is not a time that rows are kept for.
const NO_PERIODS: [&str; 30] = [
    "\"\"",
    "\" \"",
    "\"0\"",
    "0",
    "30",
    "\"30\"",
    "\"m\"",
    "\"d\"",
    "\"0 days\"",
    "\"0 months\"",
    "\"-1 days\"",
    "-1",
    "\"- 1 day\"",
    "\"1.5 years\"",
    "\"1,5 years\"",
    "\"30m\"",
    "\"13 m\"",
    "\"13 mon\"",
    "\"months\"",
    "\"13 monhts\"",
    "\"thirteen months\"",
    "\"1e3 days\"",
    "\"0x10 days\"",
    "\"13 months ago\"",
    "\"never\"",
    "true",
    "[]",
    "{}",
    "13.0",
    "\"٣ days\"",
];

/// Each way in which a word of the file is mistyped.
fn mistyped(word: &str) -> Vec<String> {
    let chars: Vec<char> = word.chars().collect();
    let text = |chars: &[char]| chars.iter().collect::<String>();
    let mut slips =
        vec![text(&chars[1..]), text(&chars[..chars.len() - 1]), format!("{word}{}", chars[chars.len() - 1])];
    let mut swapped = chars.clone();
    swapped.swap(0, 1);
    slips.push(text(&swapped));
    slips.push(word.to_uppercase());
    slips.push(word.replace('_', "-") + "x");
    slips.retain(|slip| slip != word && !slip.is_empty());
    slips
}

/// Every key of the policy mistyped, wherever it stands.
fn mistyped_keys() -> Vec<String> {
    let mut files = Vec::new();
    let of_a_key = |rest: &str| rest.trim_start().starts_with('=');
    let letter = |c: char| c.is_alphanumeric() || c == '_';
    let mut at = 0;
    while let Some(start) = POLICY[at..].find(letter).map(|found| at + found) {
        let end = POLICY[start..].find(|c| !letter(c)).map_or(POLICY.len(), |found| start + found);
        let quoted = POLICY[..start].ends_with('"');
        if of_a_key(&POLICY[end..]) && !quoted {
            let (before, word, after) = (&POLICY[..start], &POLICY[start..end], &POLICY[end..]);
            files.extend(mistyped(word).into_iter().map(|slip| format!("{before}{slip}{after}")));
        }
        at = end;
    }
    files
}

/// `before` replaced by each of these, once for each place where it stands.
fn replaced(before: &str, values: &[&str]) -> Vec<String> {
    assert!(POLICY.contains(before), "{before}");
    let places = POLICY.match_indices(before).map(|(at, _)| at);
    places
        .flat_map(|at| {
            let (start, end) = (&POLICY[..at], &POLICY[at + before.len()..]);
            values.iter().map(move |value| format!("{start}{value}{end}"))
        })
        .collect()
}

fn slips() -> Vec<String> {
    let mut files = mistyped_keys();
    for keep in ["\"13 months\"", "\"5 years\"", "\"14 months\"", "\"24 hours\""] {
        files.extend(replaced(keep, &NO_PERIODS));
    }
    let no_numbers = ["0", "-1", "\"5\"", "\"\"", "true", "[5]", "1e400"];
    for (key, value) in [("max_rows", "1000"), ("max_percent", "5"), ("max_times_usual", "5")] {
        let wrong = no_numbers.map(|number| format!("{key} = {number}"));
        files.extend(replaced(&format!("{key} = {value}"), &wrong.each_ref().map(String::as_str)));
    }
    for name in
        ["\"orders\"", "\"lines\"", "\"tickets\"", "\"notes\"", "\"order_id\"", "\"ticket_id\"", "\"at\"", "\"shop\""]
    {
        let wrong: Vec<String> = mistyped(name.trim_matches('"')).iter().map(|slip| format!("\"{slip}\"")).collect();
        // SQLite itself does not tell upper case from lower.
        let wrong = wrong.iter().map(String::as_str).filter(|slip| slip.to_lowercase() == **slip).collect::<Vec<_>>();
        files.extend(replaced(name, &wrong));
    }
    files.extend(replaced(
        "data = [\"orders\"]",
        &["", "data = []", "data = \"\"", "data = [\"\"]", "data = \"*\"", "data = [1]"],
    ));
    files.extend(replaced(
        "window = \"01:00-05:00\"",
        &["window = \"\"", "window = \"1-5\"", "window = \"01:00-25:00\"", "window = 5"],
    ));
    files.extend(replaced(
        "{ channel = \"call\" }",
        &["\"\"", "\"channel = 'call'\"", "{ channel = [] }", "{ channel = { be = 1 } }", "[]", "true"],
    ));
    files.extend(replaced("keep = \"13 months\"\n", &[""]));
    files.extend(replaced("keep = \"5 years\"\n", &[""]));
    files
}

fn open(path: &Path) -> Result<Site, Failure> {
    Site::open_whole(&std::sync::Arc::new(load(path)?))
}

fn refused(path: &Path) -> Result<(), String> {
    let Err(failure) = open(path) else { return Err("accepted".to_owned()) };
    let text = format!("{failure:?}");
    if failure.exit().code() == 3 && text.contains("jobs.toml:") { Ok(()) } else { Err(text) }
}

#[test]
fn slips_that_could_widen_a_policy_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = Command::new("sqlite3").arg(folder.path().join("shop.db")).arg(SCHEMA).stdin(Stdio::null()).status();
    assert!(sqlite.expect("sqlite3 starts").success());
    let path = folder.path().join("jobs.toml");
    let write =
        |text: &str| std::fs::write(&path, text.replace("{dir}", &folder.path().display().to_string())).unwrap();
    write(POLICY);
    if let Err(failure) = open(&path) {
        panic!("the policy itself is refused: {failure:?}");
    }
    let slips = slips();
    assert!(slips.len() >= 300, "{} slips", slips.len());
    let mut wrong = Vec::new();
    for slip in &slips {
        write(slip);
        if let Err(why) = refused(&path) {
            let line = slip.lines().zip(POLICY.lines()).find(|(a, b)| a != b).map(|(a, _)| a);
            wrong.push(format!("{}: {why}", line.unwrap_or("the last line")));
        }
    }
    assert!(wrong.is_empty(), "{} of {} slips:\n{}", wrong.len(), slips.len(), wrong.join("\n"));
}
