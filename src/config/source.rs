//! The files of a policy and where each key stands in them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::{Diagnostics, Place};

/// Keys that only the first file may have.
const ONLY_FIRST: [&str; 3] = ["include", "timezone", "enabled"];

struct File {
    name: String,
    /// Parsed anew by whoever needs the tables: they borrow from it, and it is small.
    text: Arc<str>,
}

/// Where a key and its value stand.
#[derive(Clone, Debug)]
struct Spans {
    file: usize,
    key: Range<usize>,
    value: Range<usize>,
}

/// All files.
pub struct Source {
    files: Vec<File>,
    spans: BTreeMap<Vec<String>, Spans>,
}

impl Source {
    /// Reads a file and what it includes.
    pub fn read(path: &Path, diagnostics: &mut Diagnostics) -> Self {
        let mut source = Self { files: Vec::new(), spans: BTreeMap::new() };
        let name = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => source.add(&name, &text, diagnostics),
            Err(error) => {
                source.add(&name, "", diagnostics);
                let message = format!("the file cannot be read: {}", describe(&error));
                diagnostics
                    .error_at(0, 0..0, message)
                    .with_help(Some("name the file with --config FILE or in RETENTIOND_CONFIG".to_owned()));
                return source;
            }
        }
        for (pattern, span) in source.includes(diagnostics) {
            source.include(path, &pattern, span, diagnostics);
        }
        source
    }

    /// The folder of one of the files.
    pub fn folder(&self, file: usize) -> PathBuf {
        let path = self.files.get(file).map(|file| Path::new(&file.name));
        let folder = path.and_then(Path::parent).unwrap_or(Path::new(""));
        std::path::absolute(if folder.as_os_str().is_empty() { Path::new(".") } else { folder })
            .unwrap_or_else(|_| folder.to_path_buf())
    }

    /// A source of one text.
    pub fn of_text(name: &str, text: &str, diagnostics: &mut Diagnostics) -> Self {
        let mut source = Self { files: Vec::new(), spans: BTreeMap::new() };
        source.add(name, text, diagnostics);
        source
    }

    fn add(&mut self, name: &str, text: &str, diagnostics: &mut Diagnostics) {
        let file = self.files.len();
        let text: Arc<str> = text.strip_prefix('\u{feff}').unwrap_or(text).into();
        let (table, errors) = DeTable::parse_recoverable(&text);
        for error in errors {
            let message = error.message().to_owned();
            diagnostics.error_at(file, error.span().unwrap_or(0..0), message);
        }
        let mut spans = Vec::new();
        gather(table.get_ref(), file, &mut Vec::new(), &mut spans);
        for (path, found) in spans {
            if let Some(first) = self.spans.get(&path) {
                let whole = path.len() == 1;
                let top = path.first().map_or("", String::as_str);
                if whole && !ONLY_FIRST.contains(&top) || path.len() > 2 {
                    continue;
                }
                let place = self.files.get(first.file).map_or(name, |file| file.name.as_str()).to_owned();
                diagnostics
                    .error_at(file, found.key.clone(), format!("`{}` is said a second time", path.join(".")))
                    .with_help(Some(format!("it stands in {place} already")));
                continue;
            }
            self.spans.insert(path, found);
        }
        self.files.push(File { name: name.to_owned(), text });
    }

    fn includes(&self, diagnostics: &mut Diagnostics) -> Vec<(String, Range<usize>)> {
        let Some(file) = self.files.first() else { return Vec::new() };
        let (table, _) = DeTable::parse_recoverable(&file.text);
        let Some(value) = table.get_ref().get("include") else { return Vec::new() };
        let wrong = "`include` is a list of file names, as in [\"data.d/*.toml\"]";
        let Some(list) = value.get_ref().as_array() else {
            diagnostics.error_at(0, value.span(), wrong);
            return Vec::new();
        };
        let mut found = Vec::new();
        for item in list.iter() {
            match item.get_ref().as_str() {
                Some(pattern) if !pattern.is_empty() => found.push((pattern.to_owned(), item.span())),
                _ => drop(diagnostics.error_at(0, item.span(), wrong)),
            }
        }
        found
    }

    fn include(&mut self, main: &Path, pattern: &str, span: Range<usize>, diagnostics: &mut Diagnostics) {
        let base = main.parent().unwrap_or_else(|| Path::new("."));
        let paths = match expand(base, pattern) {
            Ok(paths) => paths,
            Err(message) => {
                diagnostics.error_at(0, span, message);
                return;
            }
        };
        for path in paths {
            match std::fs::read_to_string(&path) {
                Ok(text) => {
                    let file = self.files.len();
                    self.add(&path.display().to_string(), &text, diagnostics);
                    self.refuse_first_only(file, diagnostics);
                }
                Err(error) => {
                    let message = format!("`{}` cannot be read: {}", path.display(), describe(&error));
                    diagnostics.error_at(0, span.clone(), message);
                }
            }
        }
    }

    fn refuse_first_only(&self, file: usize, diagnostics: &mut Diagnostics) {
        let Some(added) = self.files.get(file) else { return };
        let (table, _) = DeTable::parse_recoverable(&added.text);
        for (key, _) in table.get_ref().iter().filter(|(key, _)| ONLY_FIRST.contains(&key.get_ref().as_ref())) {
            let message = format!("`{}` may only stand in the first file", key.get_ref());
            diagnostics.error_at(file, key.span(), message);
        }
    }

    /// The texts of all files, shared, each with its number.
    pub(super) fn shared_texts(&self) -> impl Iterator<Item = (usize, Arc<str>)> {
        self.files.iter().enumerate().map(|(number, file)| (number, Arc::clone(&file.text)))
    }

    /// Name and text of a file.
    pub fn file(&self, number: usize) -> (&str, &str) {
        self.files.get(number).map_or(("", ""), |file| (file.name.as_str(), &*file.text))
    }

    /// The texts of all files.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|file| &*file.text)
    }

    /// Where something stands: the value of the key, or the nearest key above that exists.
    pub fn place(&self, place: &Place) -> (usize, Range<usize>) {
        match place {
            Place::Span(file, span) => (*file, span.clone()),
            Place::Path(path) => {
                let path = &in_file(path);
                for length in (1..=path.len()).rev() {
                    let Some(spans) = path.get(..length).and_then(|path| self.spans.get(path)) else { continue };
                    let whole = length == path.len() && spans.value.len() < 400;
                    return (spans.file, if whole { spans.value.clone() } else { spans.key.clone() });
                }
                (0, 0..0)
            }
        }
    }
}

/// A tenant's job stands in the file without its tenant.
fn in_file(path: &[String]) -> Vec<String> {
    let mut path = path.to_vec();
    if let [section, job, ..] = path.as_mut_slice()
        && section == "jobs"
        && let Some(at) = job.find('@')
    {
        job.truncate(at);
    }
    path
}

fn expand(base: &Path, pattern: &str) -> Result<Vec<PathBuf>, String> {
    let path = base.join(pattern);
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let folder = path.parent().unwrap_or(base);
    if !pattern.contains('*') {
        return Ok(vec![path]);
    }
    if folder.to_string_lossy().contains('*') {
        return Err("`*` may only stand in the file's name".to_owned());
    }
    let Some((before, after)) = name.split_once('*') else { return Ok(Vec::new()) };
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(Vec::new()) };
    let mut found: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            name.len() >= before.len() + after.len()
                && name.starts_with(before)
                && name.ends_with(after)
                && !name.starts_with('.')
        })
        .collect();
    found.sort();
    Ok(found)
}

fn describe(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        std::io::ErrorKind::InvalidData => "it is not UTF-8 text".to_owned(),
        _ => error.to_string(),
    }
}

fn gather(table: &DeTable<'_>, file: usize, path: &mut Vec<String>, found: &mut Vec<(Vec<String>, Spans)>) {
    for (key, value) in table.iter() {
        path.push(key.get_ref().to_string());
        found.push((path.clone(), Spans { file, key: key.span(), value: value.span() }));
        gather_value(value, file, path, found);
        path.pop();
    }
}

fn gather_value(
    value: &Spanned<DeValue<'_>>,
    file: usize,
    path: &mut Vec<String>,
    found: &mut Vec<(Vec<String>, Spans)>,
) {
    match value.get_ref() {
        DeValue::Table(table) => gather(table, file, path, found),
        DeValue::Array(list) => {
            for (index, item) in list.iter().enumerate() {
                path.push(index.to_string());
                found.push((path.clone(), Spans { file, key: item.span(), value: item.span() }));
                gather_value(item, file, path, found);
                path.pop();
            }
        }
        _ => {}
    }
}
