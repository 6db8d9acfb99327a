//! The words of a report, in the language of who reads it.
//!
//! A language is a file of words, `LANGUAGE.toml`, and all of them share one page, `report.html`. English, German and
//! Finnish are built in. In the folder that `[report] templates` names, a file of the same name takes the place of the
//! built-in one, word by word; a file of another name is another language.

use std::collections::BTreeMap;
use std::path::Path;

use super::ReportError;
use crate::config::document::Document;

const BUILT_IN: [(&str, &str); 3] = [
    ("en", include_str!("texts/en.toml")),
    ("de", include_str!("texts/de.toml")),
    ("fi", include_str!("texts/fi.toml")),
];
const PAGE: &str = include_str!("texts/report.html");

/// The words and the page of one language.
#[derive(Clone, Debug)]
pub struct Texts {
    language: String,
    words: BTreeMap<String, String>,
    page: String,
}

impl Texts {
    /// The words of a language, or of the file's own.
    ///
    /// # Errors
    /// When there is no such language, or a file of the operator cannot be read.
    pub fn load(document: &Document, language: Option<&str>) -> Result<Self, ReportError> {
        let language = language.unwrap_or(&document.report.language);
        let folder = document.report.templates.as_deref().map(Path::new);
        // English is complete, so that no word is ever missing.
        let mut words = parse("en.toml", BUILT_IN[0].1)?;
        let built_in = BUILT_IN.iter().find(|(name, _)| *name == language);
        if let Some((name, text)) = built_in {
            words.extend(parse(name, text)?);
        }
        let is_plain = language.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') && !language.is_empty();
        let own = match folder.filter(|_| is_plain) {
            Some(folder) => read(&folder.join(format!("{language}.toml")))?,
            None => None,
        };
        match own {
            Some((name, text)) => words.extend(parse(&name, &text)?),
            None if built_in.is_none() => {
                let known: Vec<&str> = BUILT_IN.iter().map(|(name, _)| *name).collect();
                let known = known.join(", ");
                return Err(ReportError::Texts(format!(
                    "there is no language `{language}`; built in are {known}, and others come from LANGUAGE.toml in the folder that [report] templates names"
                )));
            }
            None => {}
        }
        let page = match folder {
            Some(folder) => read(&folder.join("report.html"))?.map(|(_, text)| text),
            None => None,
        };
        Ok(Self { language: language.to_owned(), words, page: page.unwrap_or_else(|| PAGE.to_owned()) })
    }

    /// The language.
    pub fn language(&self) -> &str {
        &self.language
    }

    /// A word or sentence; the key itself where there is none.
    pub fn get<'a>(&'a self, key: &'a str) -> &'a str {
        self.words.get(key).map_or(key, String::as_str)
    }

    /// All words.
    pub fn words(&self) -> &BTreeMap<String, String> {
        &self.words
    }

    /// The page of HTML, a template.
    pub(super) fn page(&self) -> &str {
        &self.page
    }

    /// A length of time as the policy says it, in the language: `13 months`.
    pub fn period(&self, text: &str) -> String {
        let word = |word: &str| {
            let known = self.words.get(&format!("unit.{word}"));
            known.map_or_else(|| word.to_owned(), Clone::clone)
        };
        text.split(' ').map(word).collect::<Vec<_>>().join(" ")
    }
}

fn read(path: &Path) -> Result<Option<(String, String)>, ReportError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some((path.display().to_string(), text))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ReportError::Texts(format!("{}: {error}", path.display()))),
    }
}

/// Words by key; those in a table have its name before them, with a point.
fn parse(name: &str, text: &str) -> Result<BTreeMap<String, String>, ReportError> {
    let table: toml::Table =
        text.parse().map_err(|error: toml::de::Error| ReportError::Texts(format!("{name}: {}", error.message())))?;
    let mut words = BTreeMap::new();
    for (key, value) in table {
        match value {
            toml::Value::String(word) => drop(words.insert(key, word)),
            toml::Value::Table(inner) => {
                let inner = inner.into_iter().filter_map(|(name, value)| Some((name, value.as_str()?.to_owned())));
                words.extend(inner.map(|(name, word)| (format!("{key}.{name}"), word)));
            }
            _ => return Err(ReportError::Texts(format!("{name}: `{key}` is no text"))),
        }
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_has_every_word() {
        let english = parse("en", BUILT_IN[0].1).unwrap();
        for (name, text) in BUILT_IN {
            let words = parse(name, text).unwrap();
            assert_eq!(words.keys().collect::<Vec<_>>(), english.keys().collect::<Vec<_>>(), "{name}");
            // What a sentence is filled with is the same in each language.
            for (key, word) in &words {
                let holes = |text: &str| {
                    let mut holes: Vec<String> =
                        text.split('{').skip(1).filter_map(|rest| rest.split('}').next()).map(str::to_owned).collect();
                    holes.sort();
                    holes
                };
                assert_eq!(holes(word), holes(&english[key]), "{name}: {key}");
            }
        }
    }

    #[test]
    fn an_operators_words_come_first() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("de.toml"), "title = \"Auskunft\"").unwrap();
        std::fs::write(folder.path().join("sv.toml"), "title = \"Utdrag\"\n[unit]\nmonths = \"månader\"").unwrap();
        let text = format!("[report]\ntemplates = {:?}\nlanguage = \"de\"", folder.path());
        let document = crate::config::load_text("jobs.toml", &text).unwrap_or_else(|_| panic!("{text}")).document;
        let german = Texts::load(&document, None).unwrap();
        assert_eq!(german.get("title"), "Auskunft");
        assert_ne!(german.get("contents"), "Contents");
        let swedish = Texts::load(&document, Some("sv")).unwrap();
        assert_eq!((swedish.get("title"), swedish.get("contents")), ("Utdrag", "Contents"));
        assert_eq!(swedish.period("13 months"), "13 månader");
        for unknown in ["xx", "../en", ""] {
            assert!(matches!(Texts::load(&document, Some(unknown)), Err(ReportError::Texts(_))), "{unknown}");
        }
    }
}
