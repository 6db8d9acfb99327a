//! Letters: what a mail says, laid out as text and as HTML by two templates that are built into the binary.
//!
//! A letter holds counts, names of jobs and entries, instants and commands; never a value of a row.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Value};
use serde::{Deserialize, Serialize};

use super::MailError;

const TEXT: &str = include_str!("templates/letter.txt");
const HTML: &str = include_str!("templates/letter.html");

/// How a letter looks at first sight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tone {
    /// Somebody has to decide.
    Decide,
    /// Something is wrong.
    Wrong,
    /// All is well again.
    Good,
    /// For information.
    #[default]
    Plain,
}

/// A command to type, and why.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Command {
    /// What it does.
    pub why: String,
    /// The command, whole.
    pub line: String,
}

/// A table.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Table {
    /// Its heads; a column whose head ends in `>` is aligned to the right.
    pub heads: Vec<String>,
    /// Its rows.
    pub rows: Vec<Vec<String>>,
}

/// What a letter says.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Letter {
    /// The subject.
    pub subject: String,
    /// At first sight.
    pub tone: Tone,
    /// The one sentence that says it all.
    pub heading: String,
    /// Paragraphs.
    pub paragraphs: Vec<String>,
    /// Name and value.
    pub facts: Vec<(String, String)>,
    /// A table.
    pub table: Option<Table>,
    /// Commands.
    pub commands: Vec<Command>,
    /// Where it comes from.
    pub footer: String,
}

/// A letter, laid out.
#[derive(Clone, Debug)]
pub struct Page {
    /// As text.
    pub text: String,
    /// As HTML.
    pub html: String,
}

/// What the templates are given.
#[derive(Serialize)]
struct Values<'a> {
    letter: &'a Letter,
    language: &'a str,
    heading: String,
    fact_lines: Vec<String>,
    paragraphs: Vec<String>,
    table_lines: Vec<String>,
    columns: Vec<(&'a str, bool)>,
}

impl Letter {
    /// Lays it out.
    ///
    /// # Errors
    /// When a template fails, which the tests rule out.
    pub fn lay_out(&self) -> Result<Page, MailError> {
        self.lay_out_in("en")
    }

    /// Lays it out, in this language.
    ///
    /// # Errors
    /// When a template fails, which the tests rule out.
    pub fn lay_out_in(&self, language: &str) -> Result<Page, MailError> {
        let mut environment = Environment::new();
        let broken = |error: minijinja::Error| MailError::permanent(format!("a letter cannot be laid out: {error}"));
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().map_err(broken)?;
        environment.set_syntax(syntax);
        environment.set_auto_escape_callback(|name| match name {
            "letter.html" => AutoEscape::Html,
            _ => AutoEscape::None,
        });
        environment.add_template("letter.txt", TEXT).map_err(broken)?;
        environment.add_template("letter.html", HTML).map_err(broken)?;
        let width = self.facts.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
        let facts: Vec<String> = self.facts.iter().map(|(name, value)| format!("{name:width$}  {value}")).collect();
        let paragraphs: Vec<String> = self.paragraphs.iter().map(|text| wrap(text, 76)).collect();
        let columns: Vec<(&str, bool)> = self.table.iter().flat_map(Table::columns).collect();
        let table_lines = self.table.as_ref().map(Table::lines).unwrap_or_default();
        let values = Value::from(Serde(Values {
            letter: self,
            language,
            heading: wrap(&self.heading, 76),
            fact_lines: facts,
            paragraphs,
            table_lines,
            columns,
        }));
        let render =
            |name: &str| environment.get_template(name).and_then(|page| page.render(values.clone())).map_err(broken);
        Ok(Page { text: render("letter.txt")?, html: render("letter.html")? })
    }
}

impl Table {
    /// Heads without their mark, and whether the column is aligned to the right.
    fn columns(&self) -> Vec<(&str, bool)> {
        self.heads.iter().map(|head| (head.trim_end_matches('>'), head.ends_with('>'))).collect()
    }

    /// The table in letters of one width.
    fn lines(&self) -> Vec<String> {
        let columns = self.columns();
        let heads: Vec<String> = columns.iter().map(|(head, _)| (*head).to_owned()).collect();
        let all: Vec<&Vec<String>> = std::iter::once(&heads).chain(&self.rows).collect();
        let width = |place: usize| {
            all.iter().filter_map(|row| row.get(place)).map(|cell| cell.chars().count()).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..columns.len()).map(width).collect();
        all.iter()
            .map(|row| {
                let cells = row.iter().zip(&columns).zip(&widths).map(|((cell, (_, right)), width)| {
                    if *right { format!("{cell:>width$}") } else { format!("{cell:width$}") }
                });
                cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
            })
            .collect()
    }
}

/// Breaks a paragraph between words.
fn wrap(text: &str, width: usize) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.last().map_or(0, |line| line.chars().count());
        if last > 0 && last + 1 + word.chars().count() > width {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.join("\n")
}
