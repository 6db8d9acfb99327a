//! The PDF of a report: its text, as poppler reads it, is what the JSON says, in German, Arabic and Chinese, in tables that
//! go over pages and in records with many columns. Needs the feature `pdf`, and the fonts that the package recommends.
#![expect(clippy::unwrap_used, reason = "the helpers of a test stop it by panicking")]

mod support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use support::{Project, run_sql};

const POLICY: &str = r#"
timezone = "Europe/Berlin"
[state]
url = "sqlite:{dir}/state.db"
[report]
max_rows_in_pdf = 120
[stores.shop]
url = "sqlite:{dir}/shop.db"
ledger = false
[people.customer]
identifiers = ["email"]
[categories.shop]
title = "Bestellungen und Briefe"
purpose = "Damit die Ware ankommt"
legal_basis = "Art. 6 Abs. 1 Buchst. b DSGVO"
[data.customers]
store = "shop"
table = "customers"
category = "shop"
title = "Kundschaft"
customer = { email = "email" }
[data.letters]
store = "shop"
table = "letters"
category = "shop"
title = "Briefe"
belongs_to = { data = "customers", by = "customer_id" }
time = { column = "sent_at", zone = "UTC", format = "%Y-%m-%d %H:%M:%S" }
[data.orders]
store = "shop"
table = "orders"
category = "shop"
title = "Bestellungen"
belongs_to = { data = "customers", by = "customer_id" }
[data.returns]
store = "shop"
table = "returns"
category = "shop"
title = "Rücksendungen"
belongs_to = { data = "customers", by = "customer_id" }
[jobs.letters]
kind = "retention_purge"
data = ["letters"]
keep = "10 years"
"#;

/// Texts that a page must stand: scripts, directions, markup of typst, a word longer than a line, many lines.
const TEXTS: [&str; 8] = [
    "Straßenüberquerungshilfe für Fußgängerübergangsverkehrszeichenaufstellung",
    "你好，世界。个人数据报告应当完整而清楚。",
    "مرحبا بالعالم، هذا تقرير عن البيانات الشخصية",
    "#let x = evil() $ _* @ref <label> \\ // 1 + 1",
    "first line\nsecond line\n\nfourth",
    "שלום עולם",
    "Ελληνικά и кириллица, “quotes” – and 'apostrophes' ... -- --- ~",
    "https://example.org/a/very/long/address/without/a/blank?with=parameters&and=more_of_them&until=the_end_of_the_line",
];

fn project() -> Project {
    let project = Project::new(POLICY);
    let file = project.write("shop.db", "");
    let url = format!("sqlite:{}", file.display());
    let quoted = |text: &str| text.replace('\'', "''");
    let mut sql = String::from(
        "CREATE TABLE customers (id INTEGER PRIMARY KEY, email TEXT, name TEXT, note TEXT);
         CREATE TABLE letters (id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customers (id), sent_at TEXT, body TEXT);
         CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customers (id), street TEXT, town TEXT,
           country TEXT, article TEXT, price REAL, paid BOOLEAN, wish TEXT, remark TEXT);
         CREATE TABLE returns (id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customers (id));
         CREATE INDEX l ON letters (customer_id); CREATE INDEX o ON orders (customer_id); CREATE INDEX r ON returns (customer_id);
         INSERT INTO customers VALUES (1, 'anna@example.org', 'Anna Müller', 'x'), (2, 'else@example.org', 'CANARY', 'CANARY');",
    );
    for id in 1..=150_usize {
        let text = quoted(TEXTS[id % TEXTS.len()]);
        sql += &format!(
            "INSERT INTO letters VALUES ({id}, 1, '2026-0{}-1{} 10:0{}:00', '{text}');\n",
            id % 9 + 1,
            id % 10,
            id % 10
        );
    }
    for id in 1..=16_usize {
        let text = quoted(TEXTS[id % TEXTS.len()]);
        let more = quoted(TEXTS[(id + 3) % TEXTS.len()]);
        sql += &format!(
            "INSERT INTO orders VALUES ({id}, 1, 'Hauptstraße {id}', 'Köln', NULL, '{text}', {id}.25, {}, '{more}', NULL);\n",
            id % 2
        );
    }
    run_sql(&url, &sql);
    project
}

fn report(project: &Project, formats: &str, lang: &str) -> PathBuf {
    project.write("whom", "email=Anna@Example.org\n");
    let out = project.path(&format!("out-{lang}"));
    let done = project.run(&[
        "report",
        "--customer",
        "@whom",
        "--formats",
        formats,
        "--lang",
        lang,
        "--out",
        out.to_str().unwrap(),
    ]);
    let done = done.expect_code(0);
    assert!(!done.stderr.contains("PDF"), "{done:#?}");
    out
}

fn text_of(pdf: &Path) -> String {
    let output = Command::new("pdftotext").args(["-enc", "UTF-8", "-raw"]).arg(pdf).arg("-").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The text without what is only for the eye: blanks, breaks and marks of direction.
fn bare(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_whitespace() && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{ad}'))
        .collect()
}

/// Letters of one direction in the order of their codes: poppler gives those from right to left as they stand on the page.
fn letters(text: &str) -> Vec<char> {
    let mut all: Vec<char> = bare(text).chars().collect();
    all.sort_unstable();
    all
}

fn facts(pdf: &Path) -> String {
    String::from_utf8(Command::new("pdfinfo").arg(pdf).output().unwrap().stdout).unwrap()
}

#[test]
fn its_text_is_what_the_json_says() {
    let project = project();
    let out = report(&project, "pdf,json", "de");
    let pdf = out.join("report.pdf");
    let text = text_of(&pdf);
    let all = bare(&text);
    assert!(!all.contains("CANARY"));
    for words in [
        "Auskunft über personenbezogene Daten",
        "Inhalt",
        "Bestellungen und Briefe",
        "Damit die Ware ankommt",
        "Kundschaft",
        "Art. 6 Abs. 1 Buchst. b DSGVO",
        "10 Jahre, gerechnet ab: Sent at",
        "Durchsucht: Es wurde nichts gefunden.",
        "Europe/Berlin",
    ] {
        assert!(all.contains(&bare(words)), "{words}: {text}");
    }
    let json: Value = serde_json::from_slice(&std::fs::read(out.join("report.json")).unwrap()).unwrap();
    let category = &json["categories"][0];
    assert_eq!(category["rows"], 1 + 150 + 16);
    // 120 of them are printed: all of the short entries, and 103 of the long one.
    assert!(all.contains(&bare("47 weitere Einträge stehen in den Datendateien")), "{text}");
    let mut seen = BTreeSet::new();
    let mut right_to_left = String::new();
    for entry in category["entries"].as_array().unwrap() {
        for record in entry["records"].as_array().unwrap().iter().take(103) {
            for value in record["values"].as_object().unwrap().values() {
                let shown = match value {
                    Value::Null => continue,
                    Value::Bool(truth) => if *truth { "ja" } else { "nein" }.to_owned(),
                    Value::String(text) if text.len() == 25 && text.as_bytes()[10] == b'T' => {
                        format!("{} {}", text[..19].replace('T', " "), &text[19..])
                    }
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                if shown.chars().any(|c| matches!(c, '\u{590}'..='\u{6ff}')) {
                    right_to_left.push_str(&shown);
                } else {
                    assert!(all.contains(&bare(&shown)), "{shown:?} is not in the PDF: {text}");
                }
                seen.insert(shown);
            }
        }
    }
    assert!(TEXTS.iter().all(|text| seen.contains(*text)), "{seen:#?}");
    // What is written from right to left is there letter by letter.
    let strange = |c: &char| matches!(c, '\u{590}'..='\u{6ff}');
    let expected: Vec<char> = letters(&right_to_left).into_iter().filter(strange).collect();
    let found: Vec<char> = letters(&text).into_iter().filter(strange).collect();
    assert_eq!(found, expected);
    let info = facts(&pdf);
    assert!(info.contains("Tagged:          yes"), "{info}");
    let pages: u32 = info.lines().find_map(|line| line.strip_prefix("Pages:")).unwrap().trim().parse().unwrap();
    assert!((5..60).contains(&pages), "{info}");
    assert!(all.contains(&format!("Seite{pages}von{pages}")), "{text}");
}

#[test]
fn each_language_has_its_words() {
    let project = project();
    for (lang, words) in [("en", "Personal data report"), ("fi", "Henkilötietoraportti")] {
        let out = report(&project, "pdf", lang);
        assert!(bare(&text_of(&out.join("report.pdf"))).contains(&bare(words)), "{lang}");
    }
}

#[test]
fn what_is_no_report_is_refused_without_a_word_of_it() {
    let program = env!("CARGO_BIN_EXE_retentiond-pdf");
    for input in ["", "{}\n", "{\"a\":\"CANARY\"}\n{\"version\":\"CANARY\"}", "CANARY\nCANARY"] {
        let mut child = Command::new(program)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        drop(std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()));
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{input}");
        assert!(output.stdout.is_empty());
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!said.contains("CANARY") && said.lines().count() == 1, "{said}");
    }
}
