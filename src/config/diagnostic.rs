//! Findings in the file: message, place, and what was probably meant.

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::source::Source;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The file is refused.
    Error,
    /// It is odd.
    Warning,
}

/// Where it is.
#[derive(Clone, Debug)]
pub enum Place {
    /// At a key, by its path.
    Path(Vec<String>),
    /// At bytes of a file, by its number.
    Span(usize, std::ops::Range<usize>),
}

/// One finding.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// How bad.
    pub severity: Severity,
    /// Where.
    pub place: Place,
    /// What.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

impl Diagnostic {
    /// Adds what to write instead.
    pub fn with_help(&mut self, help: Option<String>) -> &mut Self {
        self.help = help;
        self
    }
}

/// All findings.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// Adds an error at a key.
    pub fn error(&mut self, path: Vec<String>, message: impl Into<String>) -> &mut Diagnostic {
        self.push(Severity::Error, Place::Path(path), message.into())
    }

    /// Adds a warning at a key.
    pub fn warning(&mut self, path: Vec<String>, message: impl Into<String>) -> &mut Diagnostic {
        self.push(Severity::Warning, Place::Path(path), message.into())
    }

    /// Adds an error at bytes of a file.
    pub fn error_at(
        &mut self,
        file: usize,
        span: std::ops::Range<usize>,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        self.push(Severity::Error, Place::Span(file, span), message.into())
    }

    fn push(&mut self, severity: Severity, place: Place, message: String) -> &mut Diagnostic {
        let at = self.0.len();
        self.0.push(Diagnostic { severity, place, message, help: None });
        &mut self.0[at]
    }

    /// Whether the file is refused.
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them as text: file, line and column, the line itself, and what was meant.
    pub fn render(&self, source: &Source, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let mut text = String::new();
        for diagnostic in &self.0 {
            let level = match diagnostic.severity {
                Severity::Error => Level::ERROR,
                Severity::Warning => Level::WARNING,
            };
            let (file, span) = source.place(&diagnostic.place);
            let (name, content) = source.file(file);
            let span = clamp(content, span);
            let title = level.primary_title(diagnostic.message.as_str());
            // Of a file that could not be read there is no line to show.
            let title = if content.is_empty() {
                title.element(Origin::path(name))
            } else {
                title.element(Snippet::source(content).path(name).annotation(AnnotationKind::Primary.span(span)))
            };
            let mut groups = vec![title];
            if let Some(help) = &diagnostic.help {
                groups.push(Group::with_title(Level::HELP.secondary_title(help.as_str())));
            }
            text.push_str(&renderer.render(&groups));
            text.push_str("\n\n");
        }
        text
    }

    /// All of them for programs.
    pub fn to_json(&self, source: &Source) -> serde_json::Value {
        self.0
            .iter()
            .map(|diagnostic| {
                let (file, span) = source.place(&diagnostic.place);
                let (name, content) = source.file(file);
                let (line, column) = line_and_column(content, span.start);
                serde_json::json!({
                    "severity": if diagnostic.severity == Severity::Error { "error" } else { "warning" },
                    "file": name, "line": line, "column": column, "message": diagnostic.message, "help": diagnostic.help,
                })
            })
            .collect()
    }

    /// File, line and column of each, for tests.
    pub fn positions(&self, source: &Source) -> Vec<(String, usize, usize)> {
        self.0
            .iter()
            .map(|diagnostic| {
                let (file, span) = source.place(&diagnostic.place);
                let (name, content) = source.file(file);
                let (line, column) = line_and_column(content, span.start);
                (name.to_owned(), line, column)
            })
            .collect()
    }
}

/// A span within the text and on character boundaries, and only its first line: a whole table would fill the screen.
fn clamp(text: &str, span: std::ops::Range<usize>) -> std::ops::Range<usize> {
    let mut start = span.start.min(text.len());
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    let mut end = span.end.clamp(start, text.len());
    while !text.is_char_boundary(end) {
        end += 1;
    }
    let line = text[start..end].find('\n').map_or(end, |at| start + at);
    start..line.max(start)
}

fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let at = clamp(text, at..at).start;
    let before = &text[..at];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

/// The candidate that was probably meant.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&word.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}
