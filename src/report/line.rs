//! A line of the spool, taken apart again without copying what need not be copied.
//!
//! The lines are our own ([`super::record`]), so they are not read as any JSON: `{"values":{…},"kept_until":"…","mentioned":
//! true}`, with nothing between the tokens. A line of another form is an error, never a record with less in it.

use std::borrow::Cow;
use std::io;
use std::ops::Range;

use super::spool::Lines;
use super::texts::Texts;
use super::times;

/// One record; the next one takes its place.
#[derive(Default)]
pub(super) struct Line {
    text: String,
    /// Where the values are, in the order of the columns.
    values: Vec<Range<usize>>,
    kept_until: Range<usize>,
    mentioned: bool,
}

impl Line {
    /// Takes the next record; whether there was one.
    pub(super) fn next(&mut self, lines: &mut Lines) -> io::Result<bool> {
        if !lines.next_into(&mut self.text)? {
            return Ok(false);
        }
        self.values.clear();
        match self.take_apart() {
            Some(()) => Ok(true),
            // What it says is somebody's data.
            None => Err(io::Error::new(io::ErrorKind::InvalidData, "a record was not read as it was written")),
        }
    }

    /// The values as they stand in the line, in the order of the columns.
    pub(super) fn values(&self) -> impl Iterator<Item = Plain<'_>> {
        self.values.iter().map(|range| Plain::of(&self.text[range.clone()]))
    }

    /// One value.
    pub(super) fn value(&self, place: usize) -> Option<Plain<'_>> {
        self.values.get(place).map(|range| Plain::of(&self.text[range.clone()]))
    }

    /// The day on which it goes; empty where there is none.
    pub(super) fn kept_until(&self) -> &str {
        &self.text[self.kept_until.clone()]
    }

    /// Whether it only mentions the person.
    pub(super) fn is_mention(&self) -> bool {
        self.mentioned
    }

    fn take_apart(&mut self) -> Option<()> {
        const BEGIN: &str = r#"{"values":{"#;
        const KEPT: &str = r#","kept_until":""#;
        let bytes = self.text.as_bytes();
        let mut at = bytes.starts_with(BEGIN.as_bytes()).then_some(BEGIN.len())?;
        if bytes.get(at) == Some(&b'}') {
            at += 1;
        } else {
            loop {
                let from = end_of_text(bytes, at)? + 1;
                at = (bytes.get(from - 1) == Some(&b':')).then(|| end_of_value(bytes, from))??;
                self.values.push(from..at);
                at += 1;
                match bytes.get(at - 1)? {
                    b',' => {}
                    b'}' => break,
                    _ => return None,
                }
            }
        }
        self.kept_until = 0..0;
        if bytes.get(at..)?.starts_with(KEPT.as_bytes()) {
            let from = at + KEPT.len();
            at = end_of_text(bytes, from - 1)?;
            self.kept_until = from..at - 1;
        }
        self.mentioned = match bytes.get(at..)? {
            b"}" => false,
            br#","mentioned":true}"# => true,
            _ => return None,
        };
        Some(())
    }
}

/// The place after the text that begins with the quotation mark at `at`.
fn end_of_text(bytes: &[u8], at: usize) -> Option<usize> {
    let mut at = (bytes.get(at) == Some(&b'"')).then_some(at + 1)?;
    loop {
        at += bytes.get(at..)?.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
        if bytes.get(at) == Some(&b'"') {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// The place after the value that begins at `at`. No object in a record holds another one, or a text with a brace.
fn end_of_value(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = bytes.get(at..)?;
    match rest.first()? {
        b'"' => end_of_text(bytes, at),
        b'{' => Some(at + rest.iter().position(|byte| *byte == b'}')? + 1),
        _ => Some(at + rest.iter().position(|byte| matches!(byte, b',' | b'}'))?),
    }
}

/// A value as it stands in a record.
#[derive(Debug, PartialEq)]
pub(super) enum Plain<'a> {
    Nothing,
    Text(Cow<'a, str>),
    /// A number, or a truth, as JSON writes it.
    Word(&'a str),
    Masked,
}

impl<'a> Plain<'a> {
    fn of(raw: &'a str) -> Self {
        match raw.as_bytes().first() {
            Some(b'n') | None => Self::Nothing,
            Some(b'{') => Self::Masked,
            Some(b'"') => match raw.get(1..raw.len().saturating_sub(1)) {
                Some(text) if !text.contains('\\') => Self::Text(Cow::Borrowed(text)),
                _ => Self::Text(Cow::Owned(serde_json::from_str(raw).unwrap_or_default())),
            },
            Some(_) => Self::Word(raw),
        }
    }
}

/// A value as people read it.
pub(super) fn readable(value: &Plain<'_>, texts: &Texts) -> String {
    match value {
        Plain::Nothing => String::new(),
        Plain::Masked => texts.get("masked").to_owned(),
        Plain::Word("true") => texts.get("yes").to_owned(),
        Plain::Word("false") => texts.get("no").to_owned(),
        Plain::Word(word) => (*word).to_owned(),
        Plain::Text(text) => times::readable(text).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::spool::Filling;
    use super::*;

    /// The records of a spool with these lines.
    fn read(texts: &[&str]) -> io::Result<Vec<Line>> {
        let mut filling = Filling::new(&std::env::temp_dir())?;
        texts.iter().try_for_each(|text| filling.line(text))?;
        let stretch = filling.since(0);
        let mut lines = filling.done()?.lines(stretch);
        let mut all = Vec::new();
        loop {
            let mut line = Line::default();
            if !line.next(&mut lines)? {
                return Ok(all);
            }
            all.push(line);
        }
    }

    #[test]
    fn records_are_taken_apart() {
        let text = r#"{"values":{"a\"b":"x\\","c":null,"d":-1.5,"e":{"masked":"another_person"},"f":"","g":true,"h":"}{,\"\u0001ä"}"#;
        let all = read(&[
            &format!("{text}}}"),
            &format!(r#"{text},"kept_until":"2026-03-01"}}"#),
            &format!(r#"{text},"kept_until":"2026-03-01","mentioned":true}}"#),
            r#"{"values":{},"mentioned":true}"#,
        ])
        .unwrap();
        let text = |text: &'static str| Plain::Text(text.into());
        for line in &all[..3] {
            let values: Vec<Plain<'_>> = line.values().collect();
            let expected =
                [text("x\\"), Plain::Nothing, Plain::Word("-1.5"), Plain::Masked, text(""), Plain::Word("true")];
            assert_eq!(values[..6], expected);
            assert_eq!((&values[6], line.value(6)), (&text("}{,\"\u{1}ä"), Some(text("}{,\"\u{1}ä"))));
            assert_eq!(line.value(7), None);
        }
        let ends: Vec<_> = all.iter().map(|line| (line.kept_until(), line.is_mention())).collect();
        assert_eq!(ends, [("", false), ("2026-03-01", false), ("2026-03-01", true), ("", true)]);
        assert_eq!(all[3].values().count(), 0);
    }

    #[test]
    fn what_is_no_record_is_an_error() {
        for wrong in [
            "",
            "{}",
            r#"{"values":{"a":1}"#,
            r#"{"values":{"a":"x}}"#,
            r#"{"values":{"a" :1}}"#,
            r#"{"values":{"a":1]}"#,
            r#"{"values":{"a":1}} "#,
            r#"{"values":{"a":1},"other":2}"#,
            r#"{"values":{"a":"\"#,
        ] {
            assert!(read(&[wrong]).is_err(), "{wrong}");
        }
    }
}
