//! A job as the file has it, its own keys not read yet: this module knows no job kind.
//!
//! A job keeps the piece of the file's text that holds it, so that reading ten thousand jobs is ten thousand small
//! readings, not ten thousand readings of the whole file.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::Diagnostics;
use super::section::read_at;
use super::timing::{self, Timing};
use crate::names::JobName;

/// A job whose own keys are not read yet.
#[derive(Clone, Debug)]
pub struct RawJob {
    /// Its name.
    pub name: JobName,
    /// Its kind, as the file writes it.
    pub kind: String,
    /// `enabled = false` leaves it out of `--all`.
    pub enabled: bool,
    /// When it runs.
    pub timing: Timing,
    /// Where it stands.
    pub(super) piece: Piece,
    /// The folder of the file.
    pub(super) folder: std::path::PathBuf,
}

impl RawJob {
    /// The folder of the file that describes it: relative paths count from there.
    pub fn folder(&self) -> &std::path::Path {
        &self.folder
    }

    /// Reads the keys of a kind.
    pub fn read<T: DeserializeOwned>(&self, diagnostics: &mut Diagnostics) -> Option<T> {
        let (table, _) = DeTable::parse_recoverable(&self.piece.text);
        let (_, job) = find(table.get_ref(), self.name.in_file())?;
        let mut keys = job.clone();
        if let DeValue::Table(keys) = keys.get_mut() {
            for common in ["kind", "enabled"].iter().chain(&timing::KEYS) {
                keys.remove(*common);
            }
        }
        read_at(self.piece.file, self.piece.start, &keys, diagnostics)
    }
}

/// A piece of a file that says everything of one job.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) file: usize,
    start: usize,
    text: Arc<str>,
}

impl Piece {
    /// The piece with a job: its own lines where they say the same alone, and else the whole text.
    pub fn of(file: usize, text: &Arc<str>, key: &Spanned<Cow<'_, str>>, value: &Spanned<DeValue<'_>>) -> Self {
        Self::own(file, text, key, value).unwrap_or_else(|| Self { file, start: 0, text: Arc::clone(text) })
    }

    fn own(file: usize, text: &str, key: &Spanned<Cow<'_, str>>, value: &Spanned<DeValue<'_>>) -> Option<Self> {
        let mut spans = vec![key.span()];
        gather(value, &mut spans);
        let first = spans.iter().map(|span| span.start).min()?;
        let last = spans.iter().map(|span| span.end).max()?;
        let start = text.get(..first)?.rfind('\n').map_or(0, |end| end + 1);
        let end = text.get(last..)?.find('\n').map_or(text.len(), |end| last + end);
        let own = text.get(start..end)?.trim_end_matches('\r');
        let (table, errors) = DeTable::parse_recoverable(own);
        let (own_key, own_value) = find(table.get_ref(), key.get_ref()).filter(|_| errors.is_empty())?;
        let mut found = vec![own_key.span()];
        gather(own_value, &mut found);
        let moved = |span: &Range<usize>| span.start + start..span.end + start;
        // The same keys and values at the same places are the same job.
        (found.len() == spans.len() && found.iter().map(moved).eq(spans)).then(|| Self {
            file,
            start,
            text: own.into(),
        })
    }
}

/// A job in the tables of a text.
fn find<'t, 'i>(table: &'t DeTable<'i>, name: &str) -> Option<(&'t Spanned<Cow<'i, str>>, &'t Spanned<DeValue<'i>>)> {
    table.get("jobs")?.get_ref().as_table()?.get_key_value(name)
}

/// Where every key and value of a job stands.
fn gather(value: &Spanned<DeValue<'_>>, spans: &mut Vec<Range<usize>>) {
    spans.push(value.span());
    match value.get_ref() {
        DeValue::Table(table) => {
            for (key, value) in table.iter() {
                spans.push(key.span());
                gather(value, spans);
            }
        }
        DeValue::Array(list) => list.iter().for_each(|item| gather(item, spans)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::load_text;

    #[test]
    fn a_job_keeps_its_own_lines_alone() {
        let texts = [
            "[jobs.a]\nkind = \"x\"\nkeep = \"é\" # why\n\n[[jobs.a.override]]\nwhere = { q = [\"1\",\n \"2\"] }\n",
            "  [jobs.b]\r\nkind = 'x'\r\nnote = '''\r\n[jobs.c]\r\n'''\r\n",
            "[jobs.c]\nkind = \"y\"\n",
        ];
        let whole = format!("timezone = \"UTC\"\n{}\n# é\n", texts.join("\n"));
        let loaded = load_text("jobs.toml", &whole).unwrap_or_else(|_| panic!("it is read"));
        for (name, text) in ["a", "b", "c"].into_iter().zip(texts) {
            let piece = &loaded.document.jobs.get(name).unwrap().piece;
            assert_eq!(&*piece.text, text.trim_end_matches(['\n', '\r']), "{name}");
            assert_eq!(whole.get(piece.start..piece.start + piece.text.len()), Some(&*piece.text));
        }
    }

    #[test]
    fn what_says_less_alone_is_kept_whole() {
        for text in [
            "[jobs]\na = { kind = \"x\" }\n",
            "jobs.a.kind = \"x\"\n[jobs.a.override]\n",
            "jobs = { a = { kind = \"x\" } }",
        ] {
            let loaded = load_text("jobs.toml", text).unwrap_or_else(|_| panic!("{text} is read"));
            let job = loaded.document.jobs.get("a").unwrap();
            assert!(job.read::<toml::Table>(&mut Default::default()).is_some(), "{text}");
        }
    }
}
