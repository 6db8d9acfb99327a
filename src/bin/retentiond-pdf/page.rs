//! From the report to pages: what is shown of it, and typst.

use std::collections::BTreeMap;

use retentiond::report::{Cell, Entry, Record, Report, readable};
use serde_json::{Value, json};
use typst_as_lib::TypstEngine;
use typst_as_lib::typst_kit_options::TypstKitFontOptions;
use typst_layout::PagedDocument;
use typst_pdf::{PdfOptions, PdfStandard, PdfStandards, Timestamp};

/// The page.
const TEMPLATE: &str = include_str!("report.typ");

/// Where Debian's fonts are, and an administrator's own.
const FONTS: [&str; 2] = ["/usr/share/fonts", "/usr/local/share/fonts"];

/// An entry with more columns than this is shown record by record, a line for each value.
const MOST_COLUMNS: usize = 6;

/// Words longer than this may be broken.
const LONGEST_WORD: usize = 18;

type Words = BTreeMap<String, String>;

/// Lays the report out.
pub fn pdf(report: &Report, words: &Words) -> Result<Vec<u8>, String> {
    let data = serde_json::to_vec(&shown(report, words)).map_err(|_| "the report cannot be laid out".to_owned())?;
    let engine = TypstEngine::builder()
        .main_file(TEMPLATE)
        .with_static_file_resolver([("data.json", data)])
        .search_fonts_with(
            TypstKitFontOptions::default().include_system_fonts(false).include_embedded_fonts(true).include_dirs(FONTS),
        )
        .build();
    let document: PagedDocument = engine.compile().output.map_err(|_| "the document cannot be laid out".to_owned())?;
    // A glyph that no font has makes it no less a tagged document, but none that the standards let pass.
    let options = |standards: &[PdfStandard]| PdfOptions {
        standards: PdfStandards::new(standards).unwrap_or_default(),
        timestamp: None::<Timestamp>,
        ..PdfOptions::default()
    };
    typst_pdf::pdf(&document, &options(&[PdfStandard::A_2a, PdfStandard::Ua_1]))
        .or_else(|_| typst_pdf::pdf(&document, &options(&[])))
        .map_err(|_| "the document cannot be written as PDF".to_owned())
}

/// The report as the page shows it: texts alone.
fn shown(report: &Report, words: &Words) -> Value {
    let head = &report.head;
    let created = readable(&head.created).into_owned();
    let date: Vec<i64> = created.split([' ', '-', ':']).filter_map(|part| part.parse().ok()).take(3).collect();
    let identifiers: Vec<Value> = head
        .person
        .identifiers
        .iter()
        .map(|identifier| {
            json!([word(words, &format!("kind.{}", identifier.kind), &identifier.kind), text(&identifier.value)])
        })
        .collect();
    let range = (head.person.from.is_some() || head.person.to.is_some()).then(|| {
        let end = |at: &Option<String>| {
            at.as_deref().map_or_else(|| words["range_open"].clone(), |at| readable(at).into_owned())
        };
        fill(words, "range", &[("from", &end(&head.person.from)), ("to", &end(&head.person.to))])
    });
    let switches: Vec<Value> = head
        .switches
        .iter()
        .map(|switch| {
            let key = match switch.on {
                None => "switch_unknown",
                Some(true) => "switch_on",
                Some(false) => "switch_off",
            };
            json!([switch.title, get(words, key)])
        })
        .collect();
    let categories: Vec<Value> = report.categories.iter().map(|category| self::category(category, words)).collect();
    json!({
        "lang": head.language.get(..2).unwrap_or("en"),
        "words": words,
        "date": date,
        "created": created,
        "id": head.id,
        "kind": word(words, &format!("kind.{}", head.person.kind), head.person.kind.as_str()),
        "identifiers": identifiers,
        "zone_note": fill(words, "zone_note", &[("zone", &head.zone)]),
        "range": range,
        "backups": head.backups_expire.as_ref().map(|date| fill(words, "backups", &[("date", date)])),
        "switches": switches,
        "rows": report.rows(),
        "categories": categories,
    })
}

fn category(category: &retentiond::report::Category, words: &Words) -> Value {
    let about = &category.about;
    let stated = |text: &Option<String>| text.clone().unwrap_or_else(|| get(words, "not_stated"));
    let entries: Vec<Value> = category.entries.iter().map(|entry| self::entry(entry, words)).collect();
    json!({
        "title": about.title,
        "purpose": stated(&about.purpose),
        "legal_basis": stated(&about.legal_basis),
        "rows": about.rows,
        "newest_goes": about.newest_goes,
        "beyond_reach": about.beyond_reach,
        "collected": about.collected,
        "left_out": (about.left_out > 0).then(|| fill(words, "left_out", &[("count", &about.left_out.to_string())])),
        "entries": entries,
    })
}

fn entry(entry: &Entry, words: &Words) -> Value {
    let about = &entry.about;
    let mut notes = Vec::new();
    for retention in &about.retention {
        let keep = period(words, &retention.keep);
        let mut note = format!(
            "{}: {}",
            get(words, "retention"),
            fill(words, "retention_from", &[("keep", &keep), ("from", &retention.from)])
        );
        if !retention.only.is_empty() {
            note = format!("{note} – {}", fill(words, "retention_only", &[("only", &retention.only.join("; "))]));
        }
        notes.push(note);
    }
    if about.retention.is_empty() {
        notes.push(get(words, "retention_none"));
    }
    match &about.newest_goes {
        Some(day) => notes.push(format!("{}: {day}", get(words, "newest_goes"))),
        None if about.rows > 0 && !about.retention.is_empty() => notes.push(get(words, "no_end") + "."),
        None => {}
    }
    let mut marks: Vec<String> = about
        .kept
        .iter()
        .map(|kept| {
            let key = if kept.shown { "kept" } else { "kept_others" };
            fill(
                words,
                key,
                &[
                    ("count", &kept.rows.to_string()),
                    ("ground", &word(words, &format!("ground.{}", kept.ground), &kept.ground)),
                ],
            )
        })
        .collect();
    for (key, count) in [("held", about.held), ("mentions", about.mentions)] {
        if count > 0 {
            marks.push(fill(words, key, &[("count", &count.to_string())]));
        }
    }
    let empty = (about.rows == 0).then(|| get(words, if about.can_be_linked { "empty" } else { "not_linked" }));
    let (table, cards) = records(entry, words);
    json!({
        "title": about.title, "rows": about.rows, "notes": notes, "marks": marks, "empty": empty,
        "table": table, "cards": cards,
    })
}

/// As one table where its columns fit, else as one list for each record. A column that is empty in all records is left out.
fn records(entry: &Entry, words: &Words) -> (Value, Vec<Value>) {
    let is_set = |name: &str| {
        entry.records.iter().any(|record| !matches!(record.values.get(name), None | Some(Cell::Nothing(()))))
    };
    let columns: Vec<_> = entry.about.columns.iter().filter(|column| is_set(&column.name)).collect();
    let cell = |record: &Record, name: &str| {
        record.values.get(name).map_or_else(String::new, |value| self::cell(value, words))
    };
    if columns.len() <= MOST_COLUMNS {
        let mut heads: Vec<String> = columns.iter().map(|column| column.title.clone()).collect();
        heads.push(get(words, "kept_until"));
        let rows: Vec<Vec<Value>> = entry
            .records
            .iter()
            .map(|record| {
                let cells = columns.iter().map(|column| text(&cell(record, &column.name)));
                cells.chain([text(&ending(record, words))]).collect()
            })
            .collect();
        let table = if rows.is_empty() { Value::Null } else { json!({ "heads": heads, "rows": rows }) };
        return (table, Vec::new());
    }
    let cards = entry.records.iter().enumerate().map(|(place, record)| {
        let mut lines: Vec<Value> = columns
            .iter()
            .map(|column| (&column.title, cell(record, &column.name)))
            .filter(|(_, value)| !value.is_empty())
            .map(|(title, value)| json!([title, text(&value)]))
            .collect();
        let ending = ending(record, words);
        if !ending.is_empty() {
            lines.push(json!([get(words, "kept_until"), text(&ending)]));
        }
        json!({ "number": place + 1, "lines": lines })
    });
    (Value::Null, cards.collect())
}

fn ending(record: &Record, words: &Words) -> String {
    let mentioned = record.mentioned.then(|| get(words, "mentioned"));
    mentioned.into_iter().chain(record.kept_until.clone()).collect::<Vec<_>>().join(", ")
}

fn cell(cell: &Cell, words: &Words) -> String {
    match cell {
        Cell::Nothing(()) => String::new(),
        Cell::Boolean(truth) => get(words, if *truth { "yes" } else { "no" }),
        Cell::Integer(number) => number.to_string(),
        Cell::Real(number) => number.to_string(),
        Cell::Text(text) => readable(text).into_owned(),
        Cell::Masked(_) => get(words, "masked"),
    }
}

/// A value, with the direction in which it is written, and places where a long word may be broken.
fn text(value: &str) -> Value {
    let mut broken = String::with_capacity(value.len());
    let mut run = 0;
    for c in value.chars() {
        // What no font can show, and what would hide or reorder the text around it, is shown as a replacement.
        let c = match c {
            '\n' => '\n',
            '\r' => continue,
            '\t' => ' ',
            c if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') => '\u{fffd}',
            c => c,
        };
        run = if c.is_whitespace() || c > '\u{2e80}' { 0 } else { run + 1 };
        if run > LONGEST_WORD {
            broken.push('\u{200b}');
            run = 1;
        }
        broken.push(c);
    }
    json!({ "text": broken, "rtl": is_rtl(value) })
}

/// Whether the first letter with a direction is written from right to left.
fn is_rtl(value: &str) -> bool {
    let rtl = |c: char| matches!(c, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{feff}');
    value.chars().find(|c| c.is_alphabetic()).is_some_and(rtl)
}

fn get(words: &Words, key: &str) -> String {
    words.get(key).cloned().unwrap_or_else(|| key.to_owned())
}

fn word(words: &Words, key: &str, otherwise: &str) -> String {
    words.get(key).cloned().unwrap_or_else(|| otherwise.to_owned())
}

fn fill(words: &Words, key: &str, holes: &[(&str, &str)]) -> String {
    holes.iter().fold(get(words, key), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
}

fn period(words: &Words, text: &str) -> String {
    text.split(' ').map(|part| word(words, &format!("unit.{part}"), part)).collect::<Vec<_>>().join(" ")
}
