//! One page of HTML, laid out by a template; the records come to it one after the other.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Value};

use crate::report::line::{Line, readable};
use crate::report::spool::{Spool, Stretch};
use crate::report::texts::Texts;
use crate::report::{EntryAbout, Gathered, Part, ReportError};

/// Writes the page.
pub(in crate::report) fn html(report: &Gathered, out: &mut dyn Write) -> Result<(), ReportError> {
    let broken = |error: minijinja::Error| {
        let line = error.line().map(|line| format!(", line {line}")).unwrap_or_default();
        ReportError::Texts(format!("report.html{line}: the page cannot be laid out: {:?}", error.kind()))
    };
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().map_err(broken)?;
    environment.set_syntax(syntax);
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    let texts = Arc::new(report.texts.clone());
    let words = Arc::clone(&texts);
    // `fill("held", count=3)`: a sentence of the language, filled in.
    environment.add_function("fill", move |key: String, holes: minijinja::value::Kwargs| {
        let mut text = words.get(&key).to_owned();
        for name in holes.args() {
            let value: Value = holes.get(name)?;
            text = text.replace(&format!("{{{name}}}"), &value.to_string());
        }
        Ok(text)
    });
    let words = Arc::clone(&texts);
    environment.add_filter("word", move |key: String| words.get(&key).to_owned());
    let words = Arc::clone(&texts);
    environment.add_filter("period", move |text: String| words.period(&text));
    // Kinds of identifier, and reasons why something is kept: translated where the language knows them.
    for (filter, table) in [("identifier", "kind"), ("ground", "ground")] {
        let words = Arc::clone(&texts);
        environment.add_filter(filter, move |text: String| {
            let key = format!("{table}.{text}");
            let word = words.get(&key);
            if word == key { text } else { word.to_owned() }
        });
    }
    environment.add_filter("moment", |text: String| crate::report::readable(&text).into_owned());
    environment.add_template("report.html", report.texts.page()).map_err(broken)?;
    let page = environment.get_template("report.html").map_err(broken)?;
    let source = Source { spool: report.spool.clone(), texts, failed: Arc::default() };
    let categories: Vec<Value> = report.parts.iter().map(|part| category(part, &source)).collect();
    let values = BTreeMap::from([
        ("head", Value::from(Serde(&report.head))),
        ("rows", Value::from(report.parts.iter().map(|part| part.about.rows).sum::<u64>())),
        ("categories", Value::from(categories)),
    ]);
    let mut buffered = std::io::BufWriter::with_capacity(256 * 1024, Watched { out, failed: None });
    if let Err(error) = page.render_captured_to(values, &mut buffered) {
        // What the disk refused is not the page's fault.
        let (watched, _) = buffered.into_parts();
        return Err(watched.failed.map_or_else(|| broken(error), ReportError::Write));
    }
    buffered.flush()?;
    if source.failed.load(Ordering::Relaxed) {
        return Err(std::io::Error::other("its records cannot be read again").into());
    }
    Ok(())
}

/// Remembers why it could not be written.
struct Watched<'a> {
    out: &'a mut dyn Write,
    failed: Option<std::io::Error>,
}

impl Watched<'_> {
    fn note<T>(&mut self, done: std::io::Result<T>) -> std::io::Result<T> {
        done.map_err(|error| {
            let kind = error.kind();
            self.failed.get_or_insert(error);
            kind.into()
        })
    }
}

impl Write for Watched<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.out.write(bytes);
        self.note(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let flushed = self.out.flush();
        self.note(flushed)
    }
}

/// Where the page's records come from.
#[derive(Clone)]
struct Source {
    spool: Spool,
    texts: Arc<Texts>,
    /// Records could not be read again: the page is not whole.
    failed: Arc<AtomicBool>,
}

fn category(part: &Part, source: &Source) -> Value {
    let entries: Vec<Value> = part.entries.iter().map(|(about, stretch)| entry(about, *stretch, source)).collect();
    Value::from(BTreeMap::from([("about", Value::from(Serde(&part.about))), ("entries", Value::from(entries))]))
}

fn entry(about: &EntryAbout, stretch: Stretch, source: &Source) -> Value {
    let source = source.clone();
    let records = Value::make_iterable(move || source.records(stretch));
    Value::from(BTreeMap::from([("about", Value::from(Serde(about))), ("records", records)]))
}

impl Source {
    /// The records of an entry, each made when the page comes to it.
    fn records(&self, stretch: Stretch) -> impl Iterator<Item = Value> + Send + Sync + use<> {
        let mut lines = self.spool.lines(stretch);
        let (texts, failed) = (Arc::clone(&self.texts), Arc::clone(&self.failed));
        let mut line = Line::default();
        std::iter::from_fn(move || {
            match line.next(&mut lines) {
                Ok(true) => {}
                Ok(false) => return None,
                Err(_) => {
                    failed.store(true, Ordering::Relaxed);
                    return None;
                }
            }
            let values: Vec<Value> = line.values().map(|value| Value::from(readable(&value, &texts))).collect();
            Some(Value::from(BTreeMap::from([
                ("cells", Value::from(values)),
                ("kept_until", Value::from(line.kept_until())),
                ("mentioned", Value::from(line.is_mention())),
            ])))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::spool::Filling;
    use crate::report::{Head, Person};

    fn empty() -> Gathered {
        let document = crate::config::load_text("jobs.toml", "").unwrap_or_else(|_| panic!("an empty file")).document;
        let person = Person { kind: "user".parse().unwrap(), identifiers: Vec::new(), from: None, to: None };
        let text = |text: &str| text.to_owned();
        Gathered {
            head: Head {
                version: 1,
                id: text("1"),
                created: text("2026-03-01T14:00:00+02:00"),
                zone: text("Europe/Helsinki"),
                language: text("en"),
                person,
                switches: Vec::new(),
                backups_expire: None,
            },
            parts: Vec::new(),
            spool: Filling::new(&std::env::temp_dir()).unwrap().done().unwrap(),
            texts: Texts::load(&document, None).unwrap(),
            max_rows_in_pdf: 200,
        }
    }

    #[test]
    fn a_full_disk_is_no_mistake_in_the_page() {
        let mut full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let failed = html(&empty(), &mut full).unwrap_err();
        let ReportError::Write(error) = failed else { panic!("{failed}") };
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
        let mut page = Vec::new();
        html(&empty(), &mut page).unwrap();
        assert!(String::from_utf8(page).unwrap().contains("2026-03-01 14:00:00 +02:00"));
    }
}
