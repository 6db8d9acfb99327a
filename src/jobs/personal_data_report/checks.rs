//! What makes a job one that must not mail anybody's data: refused with its place in the file.

use std::path::{Path, PathBuf};

use super::Spec;
use super::intake::COLUMNS;
use crate::config::diagnostic::{Diagnostics, did_you_mean};
use crate::config::document::Document;
use crate::config::section::RawJob;
use crate::graph::Graph;
use crate::mail::Mailbox;
use crate::names::{DataName, PersonName};
use crate::report::{Format, pdf_not_installed, pdf_program};

/// A file as the job names it: a relative path is beside the file that names it.
pub(super) fn beside(raw: &RawJob, file: &str) -> PathBuf {
    let path = Path::new(file);
    if path.is_absolute() { path.to_path_buf() } else { raw.folder().join(path) }
}

/// Checks all of it; gives the recipients.
pub(super) fn check(
    raw: &RawJob,
    spec: &Spec,
    document: &Document,
    graph: &Graph,
    diagnostics: &mut Diagnostics,
) -> Vec<Mailbox> {
    let path = |keys: &[&str]| -> Vec<String> {
        ["jobs", raw.name.as_str()].iter().chain(keys).map(|key| (*key).to_owned()).collect()
    };
    let mut wrong = |keys: &[&str], message: String, help: Option<&str>| {
        diagnostics.error(path(keys), message).with_help(help.map(str::to_owned));
    };
    let mut to = Vec::new();
    for text in &spec.to.0 {
        match Mailbox::parse(text) {
            Ok(mailbox) => to.push(mailbox),
            Err(error) => wrong(&["to"], error.to_string(), None),
        }
    }
    if spec.to.0.is_empty() {
        wrong(&["to"], "nobody gets the reports".to_owned(), None);
    }
    if document.mail.is_none() {
        let help = Some("add [mail] with smtp = \"…\" and from = \"…\"");
        wrong(&["to"], "the file does not say how mail leaves".to_owned(), help);
    }
    if spec.formats.is_empty() {
        wrong(&["formats"], "a report has at least one format".to_owned(), Some("pdf, json, csv, html"));
    }
    let keys = spec.encrypt_to.as_ref().map_or(0, |files| files.0.len());
    if keys == 0 && !spec.allow_plain {
        let help = "say encrypt_to = \"dpo.asc\" (an OpenPGP public key), or allow_plain = true if every mail server on the way may read the reports";
        wrong(&[], "personal data would leave unencrypted".to_owned(), Some(help));
    }
    if keys > 0 && spec.allow_plain {
        let help = Some("with a key a report never leaves unencrypted; remove one of the two");
        wrong(&["allow_plain"], "encrypt_to and allow_plain contradict each other".to_owned(), help);
    }
    if spec.give_up_after.as_ref().is_some_and(|period| period.approximate() < chrono::TimeDelta::hours(1)) {
        wrong(&["give_up_after"], "a mail is tried for an hour at least".to_owned(), None);
    }
    if spec.person.is_some() && spec.every.is_some() {
        wrong(&["every"], "a job reports about one person or about every one".to_owned(), None);
    }
    for kind in spec.every.iter().chain(spec.person.iter().flat_map(|person| person.keys())) {
        check_kind(kind, spec.every.is_some(), document, &mut wrong);
    }
    if let Some(entry) = &spec.requests {
        check_requests(entry, document, graph, &mut wrong);
    }
    // The other formats go out without it, so that it may be installed later; alone it is a report that cannot be made.
    if spec.formats.contains(&Format::Pdf) && pdf_program().is_none() {
        let help = if spec.formats == [Format::Pdf] {
            "no report can be made without it: `make pdf` builds it"
        } else {
            "reports go out in the other formats, and say so: `make pdf` builds it, or take \"pdf\" out of formats"
        };
        diagnostics.warning(path(&["formats"]), pdf_not_installed()).with_help(Some(help.to_owned()));
    }
    to
}

type Wrong<'a> = dyn FnMut(&[&str], String, Option<&str>) + 'a;

fn check_kind(kind: &PersonName, every: bool, document: &Document, wrong: &mut Wrong<'_>) {
    let key = if every { "every" } else { "person" };
    match document.people.get(kind) {
        None => {
            let near = did_you_mean(kind.as_str(), document.people.keys().map(PersonName::as_str));
            let help = near.map(|near| format!("did you mean `{near}`?"));
            wrong(&[key], format!("there is no [people.{kind}]"), help.as_deref());
        }
        Some(person) if every && person.data.is_none() => {
            let help = Some("only persons with a row of their own (data = \"…\") can be gone through");
            wrong(&[key], format!("nobody keeps a list of every {kind}"), help);
        }
        Some(_) => {}
    }
}

/// The columns of the request table are there.
fn check_requests(entry: &DataName, document: &Document, graph: &Graph, wrong: &mut Wrong<'_>) {
    let Some(node) = graph.node(entry) else {
        // An entry whose store is away has no node; one that the file does not know is a mistake.
        if !document.data.contains_key(entry) {
            let near = did_you_mean(entry.as_str(), document.data.keys().map(DataName::as_str));
            let help = near.map(|near| format!("did you mean `{near}`?"));
            wrong(&["requests"], format!("there is no data entry `{entry}`"), help.as_deref());
        }
        return;
    };
    for column in COLUMNS {
        if node.table.column(column).is_none() {
            let help = format!("a request table has the columns {}", COLUMNS.join(", "));
            wrong(&["requests"], format!("the table of `{entry}` has no column `{column}`"), Some(&help));
        }
    }
    if node.age.as_ref().is_none_or(|age| age.column.name.as_str() != "answered_at") {
        let help = Some(
            "say time = { column = \"answered_at\", … } in the entry: an answered request is marked there, and ages from then on",
        );
        wrong(&["requests"], format!("`{entry}` does not age by its column `answered_at`"), help);
    }
    if node.key.is_empty() {
        let help = Some("say key = \"…\" in the entry");
        wrong(&["requests"], format!("rows of `{entry}` cannot be told apart: its table has no key"), help);
    }
}
