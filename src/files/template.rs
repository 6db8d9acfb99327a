//! Paths made of columns: `file_path`, or `{contacts.queue}-{id}/{name}`.
//!
//! A text without braces is one column that holds the whole path. With braces, each `{column}` or `{parent.column}` is
//! replaced by the value and the rest is literal. Within such a template the folders are the operator's, so a value may
//! not contain `/`: one row's value must not choose another row's folder. Alone (`file_path`, `{file_path}`) a value
//! may hold folders.

use std::fmt;

use super::path::{PathRefused, RelativePath};
use crate::redact::Sealed;

/// Why a template was refused; the text is the operator's own and may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateRefused {
    /// Blank.
    #[error("a path is a column (`file_path`) or made of columns (`{{queue}}/{{name}}`)")]
    Blank,
    /// A brace without its partner, or one within another.
    #[error("a `{{` without its `}}`, or the other way round")]
    Brace,
    /// `{}` or `{parent.}`.
    #[error("the braces hold no column: `{{column}}` or `{{parent.column}}`")]
    NoColumn,
    /// A folder but no column: the same file for each row.
    #[error("there is no column in it, so that it would be the same file for each row; write `{{column}}`")]
    Constant,
    /// The literal text could never be a path beneath the root.
    #[error("the text between the columns makes no path beneath the store's root")]
    Literal,
}

#[derive(Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Column { parent: Option<String>, column: String },
}

/// A path made of columns, the parents' included.
#[derive(Clone, PartialEq, Eq)]
pub struct PathTemplate {
    parts: Vec<Part>,
}

impl PathTemplate {
    /// Reads a template.
    ///
    /// # Errors
    /// When the braces do not match, name no column, or the literal text is no part of a relative path.
    pub fn parse(text: &str) -> Result<Self, TemplateRefused> {
        if text.trim().is_empty() {
            return Err(TemplateRefused::Blank);
        }
        if !text.contains(['{', '}']) {
            if text.contains(['/', '\\', '\0']) {
                return Err(TemplateRefused::Constant);
            }
            return Ok(Self { parts: vec![column(text)?] });
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (literal, after) = rest.split_once('{').map_or((rest, None), |(before, after)| (before, Some(after)));
            if literal.contains('}') {
                return Err(TemplateRefused::Brace);
            }
            if !literal.is_empty() {
                parts.push(Part::Literal(literal.to_owned()));
            }
            let Some(after) = after else { break };
            let (inside, next) = after.split_once('}').ok_or(TemplateRefused::Brace)?;
            if inside.contains('{') {
                return Err(TemplateRefused::Brace);
            }
            parts.push(column(inside)?);
            rest = next;
        }
        let template = Self { parts };
        template.check_literals()?;
        Ok(template)
    }

    /// The columns in the order in which [`fill`](Self::fill) takes their values: the parent entry, if any, and the
    /// column's name.
    pub fn columns(&self) -> Vec<(Option<&str>, &str)> {
        let columns = self.parts.iter().filter_map(|part| match part {
            Part::Column { parent, column } => Some((parent.as_deref(), column.as_str())),
            Part::Literal(_) => None,
        });
        columns.collect()
    }

    /// The path of one row's file; `None` when a column is NULL or blank, for then the row has no file.
    ///
    /// # Errors
    /// When the values make no path beneath the root, or one within a longer template holds a `/`. This is not the same
    /// as having no file: the row must stay until somebody has looked.
    pub fn fill(&self, values: &[Option<Sealed<String>>]) -> Result<Option<RelativePath>, PathRefused> {
        if values.len() != self.columns().len() {
            return Err(PathRefused::ValueCount);
        }
        let mut values = values.iter();
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Column { .. } => {
                    let Some(value) = values.next().and_then(Option::as_ref).map(Sealed::expose) else {
                        return Ok(None);
                    };
                    if value.trim().is_empty() {
                        return Ok(None);
                    }
                    if self.parts.len() > 1 && value.contains(['/', '\0']) {
                        return Err(PathRefused::SeparatorInValue);
                    }
                    text.push_str(value);
                }
            }
        }
        RelativePath::parse(&Sealed::new(text)).map(Some)
    }

    /// Fills harmless values in, so that a literal that can never be right is refused when the file is read.
    fn check_literals(&self) -> Result<(), TemplateRefused> {
        let sample: Vec<_> = self.columns().iter().map(|_| Some(Sealed::new("00".to_owned()))).collect();
        if sample.is_empty() {
            return Err(TemplateRefused::Constant);
        }
        self.fill(&sample).map(drop).map_err(|_| TemplateRefused::Literal)
    }
}

/// The template as it was written; it holds names of columns, no values.
impl fmt::Display for PathTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.iter().try_for_each(|part| match part {
            Part::Literal(literal) => f.write_str(literal),
            Part::Column { parent: Some(parent), column } => write!(f, "{{{parent}.{column}}}"),
            Part::Column { parent: None, column } => write!(f, "{{{column}}}"),
        })
    }
}

impl fmt::Debug for PathTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PathTemplate({self})")
    }
}

fn column(text: &str) -> Result<Part, TemplateRefused> {
    let (parent, column) = match text.split_once('.') {
        Some((parent, column)) => (Some(parent), column),
        None => (None, text),
    };
    if column.trim().is_empty() || parent.is_some_and(|parent| parent.trim().is_empty()) {
        return Err(TemplateRefused::NoColumn);
    }
    Ok(Part::Column { parent: parent.map(str::to_owned), column: column.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(values: &[&str]) -> Vec<Option<Sealed<String>>> {
        values.iter().map(|value| Some(Sealed::new((*value).to_owned()))).collect()
    }

    fn filled(template: &str, values: &[&str]) -> Result<Option<String>, PathRefused> {
        let path = PathTemplate::parse(template).unwrap().fill(&sealed(values))?;
        Ok(path.map(|path| path.text().to_owned()))
    }

    #[test]
    fn columns_are_found_with_their_parents() {
        let template = PathTemplate::parse("{contacts.queue}-{id}/{name}").unwrap();
        assert_eq!(template.columns(), [(Some("contacts"), "queue"), (None, "id"), (None, "name")]);
        assert_eq!(template.to_string(), "{contacts.queue}-{id}/{name}");
        assert_eq!(PathTemplate::parse("file_path").unwrap().columns(), [(None, "file_path")]);
        assert_eq!(PathTemplate::parse("contacts.file").unwrap().columns(), [(Some("contacts"), "file")]);
    }

    #[test]
    fn values_are_put_in_their_places() {
        assert_eq!(filled("{q}-{id}/{name}", &["sales", "7", "a.wav"]), Ok(Some("sales-7/a.wav".into())));
        assert_eq!(filled("file_path", &["2024/01/a.wav"]), Ok(Some("2024/01/a.wav".into())));
        assert_eq!(filled("{file_path}", &["2024/01/a.wav"]), Ok(Some("2024/01/a.wav".into())));
    }

    #[test]
    fn null_and_blank_mean_no_file_but_a_smuggled_folder_is_an_error() {
        let template = PathTemplate::parse("{q}/{name}").unwrap();
        assert!(template.fill(&[None, Some(Sealed::new("a".into()))]).unwrap().is_none());
        assert_eq!(filled("{q}/{name}", &["sales", "  "]), Ok(None));
        assert_eq!(filled("{q}/{name}", &["sales", "../x"]), Err(PathRefused::SeparatorInValue));
        assert_eq!(filled("{q}/{name}", &["..", "x"]), Err(PathRefused::Dots));
        assert_eq!(filled("{q}x{name}", &["a", "b\0"]), Err(PathRefused::SeparatorInValue));
        assert_eq!(filled("file_path", &["../x"]), Err(PathRefused::Dots));
        assert_eq!(filled("{q}{name}", &[".", "."]), Err(PathRefused::Dots));
        assert_eq!(filled("{q}/{name}", &["a"]), Err(PathRefused::ValueCount));
    }

    #[test]
    fn templates_that_cannot_be_right_are_refused() {
        for (bad, why) in [
            ("", TemplateRefused::Blank),
            ("a/b", TemplateRefused::Constant),
            ("{a", TemplateRefused::Brace),
            ("a}", TemplateRefused::Brace),
            ("{a{b}}", TemplateRefused::Brace),
            ("{{a}}", TemplateRefused::Brace),
            ("x{}", TemplateRefused::NoColumn),
            ("{a.}", TemplateRefused::NoColumn),
            ("{.a}", TemplateRefused::NoColumn),
            ("/{a}", TemplateRefused::Literal),
            ("../{a}", TemplateRefused::Literal),
            ("x/./{a}", TemplateRefused::Literal),
            ("{a}//{b}", TemplateRefused::Literal),
            ("{a}/", TemplateRefused::Literal),
            ("s3://bucket/{a}", TemplateRefused::Literal),
            (".retentiond-trash/{a}", TemplateRefused::Literal),
        ] {
            assert_eq!(PathTemplate::parse(bad).err(), Some(why), "{bad:?}");
        }
    }
}
