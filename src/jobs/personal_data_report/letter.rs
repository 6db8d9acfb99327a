//! The words of the mail that brings a report: none of them is personal data, in no language.

use std::path::{Path, PathBuf};

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, context};

use super::{FETCHED_WITHIN, PersonalDataReport};
use crate::config::document::Document;
use crate::mail::letters::{Letter, Page, Tone};
use crate::mail::{MailError, Part};
use crate::store::state::RequestRecord;

const BUILT_IN: [(&str, &str); 3] = [
    ("en", include_str!("../../mail/templates/report.en.txt")),
    ("de", include_str!("../../mail/templates/report.de.txt")),
    ("fi", include_str!("../../mail/templates/report.fi.txt")),
];

/// What goes with the mail.
pub(super) struct Attached {
    /// The files.
    pub parts: Vec<Part>,
    /// Names and lengths of all files, also of those that are not attached.
    pub names: Vec<(String, u64)>,
    /// Formats that could not be made, and why.
    pub missing: Vec<(String, String)>,
    /// Where the files lie when they are too large to be mailed.
    pub place: Option<PathBuf>,
}

/// A page with its subject.
pub(super) struct Said {
    /// The subject.
    pub subject: String,
    /// As text.
    pub text: String,
    /// As HTML.
    pub html: String,
}

/// The mail in the job's language.
pub(super) fn write(
    job: &PersonalDataReport,
    document: &Document,
    request: &RequestRecord,
    attached: &Attached,
    encrypted: bool,
) -> Result<Said, MailError> {
    let language = job.spec.language.as_deref().unwrap_or(&document.report.language);
    let template = template(document.report.templates.as_deref(), language)?;
    let day = |at: chrono::NaiveDateTime| at.and_utc().with_timezone(&document.timezone).format("%Y-%m-%d").to_string();
    let files: Vec<_> =
        attached.names.iter().map(|(name, bytes)| context! { name => name, size => size(*bytes) }).collect();
    let missing: Vec<_> = attached.missing.iter().map(|(format, why)| context! { format, why }).collect();
    let values = context! {
        request => &request.id,
        asked => day(request.asked_at),
        due => day(request.due_at),
        files,
        missing,
        place => attached.place.as_ref().map(|place| place.display().to_string()),
        days => FETCHED_WITHIN.num_days(),
        host => crate::outbox::host(),
        encrypted,
    };
    let broken = |error: minijinja::Error| MailError::permanent(format!("the mail's template `{language}`: {error}"));
    let mut environment = environment().map_err(broken)?;
    environment.add_template("report", &template).map_err(broken)?;
    let text = environment.get_template("report").and_then(|page| page.render(values)).map_err(broken)?;
    let letter = parse(&text);
    let Page { text, html } = letter.lay_out_in(language)?;
    Ok(Said { subject: letter.subject, text, html })
}

/// Lines of a template that hold nothing but a block leave nothing behind.
fn environment<'a>() -> Result<Environment<'a>, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    Ok(environment)
}

/// The operator's own (`mail.LANGUAGE.txt` in the folder of templates), or the one that is built in.
fn template(folder: Option<&str>, language: &str) -> Result<String, MailError> {
    if let Some(folder) = folder {
        let path = Path::new(folder).join(format!("mail.{language}.txt"));
        match std::fs::read_to_string(&path) {
            Ok(text) => return Ok(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(MailError::permanent(format!("{}: {error}", path.display()))),
        }
    }
    let built_in = BUILT_IN.iter().find(|(name, _)| *name == language).or(BUILT_IN.first());
    Ok(built_in.map(|(_, text)| (*text).to_owned()).unwrap_or_default())
}

/// The form of a template: the subject, a blank line, the heading, a blank line, then paragraphs; a paragraph of lines
/// `name: value` that begin with a blank is a list of facts, and the last paragraph after `-- ` is the footer.
fn parse(text: &str) -> Letter {
    let mut letter = Letter { tone: Tone::Plain, ..Letter::default() };
    let (body, footer) = text.split_once("\n-- \n").unwrap_or((text, ""));
    letter.footer = one_line(footer);
    let paragraphs = body.split("\n\n").map(|part| part.trim_matches('\n')).filter(|part| !part.trim().is_empty());
    for (place, part) in paragraphs.enumerate() {
        match place {
            0 => letter.subject = one_line(part),
            1 => letter.heading = one_line(part),
            _ if part.lines().all(|line| line.starts_with(' ') && line.contains(": ")) => {
                let fact = |line: &str| line.split_once(": ").map(|(name, value)| (one_line(name), one_line(value)));
                letter.facts.extend(part.lines().filter_map(fact));
            }
            _ => letter.paragraphs.push(one_line(part)),
        }
    }
    letter
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A length in words.
fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} B"),
        10_000..10_000_000 => format!("{} kB", bytes / 1_000),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_has_a_whole_letter() {
        for (language, text) in BUILT_IN {
            let mut environment = environment().unwrap();
            environment.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
            environment.add_template("report", text).unwrap();
            for place in [None, Some("/var/lib/retentiond/outbox/reports.r2.files")] {
                let values = context! {
                    request => "r23456789a", asked => "2026-11-28", due => "2026-12-28", place, days => 30, host => "host",
                    files => [context! { name => "report.json", size => "12 kB" }],
                    missing => [context! { format => "PDF", why => "it is not installed" }], encrypted => true,
                };
                let letter = parse(&environment.get_template("report").unwrap().render(values).unwrap());
                assert!(letter.subject.contains("r23456789a") && !letter.heading.is_empty(), "{language}: {letter:?}");
                assert!(
                    letter.facts.iter().any(|(name, value)| name == "report.json" && value == "12 kB"),
                    "{letter:?}"
                );
                assert!(letter.facts.iter().any(|(_, value)| value == "2026-12-28"), "{letter:?}");
                assert!(letter.paragraphs.iter().any(|text| text.contains("it is not installed")), "{letter:?}");
                let told = letter.paragraphs.iter().any(|text| text.contains("/outbox/"));
                assert!(told == place.is_some() && !letter.footer.is_empty(), "{language}: {letter:?}");
            }
        }
    }
}
