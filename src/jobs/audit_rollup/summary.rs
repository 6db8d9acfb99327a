//! What the columns of a summary say, held against the two tables.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use super::calendar::{Bucket, Calendar};
use super::checks::{check_format, check_people, check_summary};
use super::staying::{self, Staying};
use super::{Spec, table};
use crate::config::diagnostic::{Diagnostics, did_you_mean};
use crate::config::document::Document;
use crate::graph::{Age, AgeKind, Fate, Graph, Node, ties};
use crate::names::{DataName, JobName, StoreName};
use crate::store::Backend;
use crate::store::catalog::{Column, Table, TypeClass};
use crate::store::target::rollup::{Dimension, Measure, Output, Periods, Rollup};

/// How a period is written into its column.
#[derive(Clone, Debug)]
enum Label {
    /// As text.
    Text(String),
    /// As its first day.
    Day,
    /// As its first instant.
    Instant(&'static str),
    /// As the civil time of its first instant.
    Civil,
}

/// How the rows of a job become summaries.
pub(super) struct Folding {
    /// The tables and columns.
    pub rollup: Rollup,
    /// The periods.
    pub calendar: Calendar,
    /// Groups of fewer rows are merged; 1: none is.
    pub least: u64,
    /// The summaries' store.
    pub store: StoreName,
    /// Their entry.
    pub into: DataName,
    /// Where the rows stay.
    pub staying: Option<Staying>,
    label: Label,
}

impl Folding {
    /// Whether two parts of a period can be folded one after the other.
    pub fn adds_up(&self) -> bool {
        self.rollup.outputs.iter().all(|output| output.measure.adds_up())
    }

    /// The instant before which rows are folded. Where summaries add up and no group is merged, that is the cutoff itself;
    /// else the last period must be expired as a whole, so that it is seen as a whole. The period of the present is never
    /// touched.
    pub fn end(&self, cutoff: DateTime<Utc>, now: DateTime<Utc>) -> DateTime<Utc> {
        let row_by_row = self.adds_up() && self.least <= 1;
        let end = if row_by_row { cutoff } else { self.calendar.start(cutoff) };
        end.min(self.calendar.start(now))
    }

    /// The periods that begin at `starts`, in the terms of the rows and of the summaries.
    pub fn periods(&self, age: &Age, starts: &[DateTime<Utc>]) -> Periods {
        Periods {
            bounds: starts.iter().skip(1).map(|start| age.cutoff_text(*start)).collect(),
            labels: starts.iter().map(|start| self.label(*start)).collect(),
        }
    }

    fn label(&self, start: DateTime<Utc>) -> String {
        match &self.label {
            Label::Text(format) => self.calendar.label(start, format),
            Label::Day => self.calendar.label(start, "%Y-%m-%d"),
            Label::Instant(format) => start.format(format).to_string(),
            Label::Civil => self.calendar.label(start, "%Y-%m-%d %H:%M:%S"),
        }
    }

    /// Whether a text that the database gave is this label; it may have written a fraction of the second.
    pub fn is_label(&self, label: &str, text: &str) -> bool {
        let plain = |text: &str| text.split_once('.').map_or(text, |(whole, _)| whole).to_owned();
        label == text || (!matches!(self.label, Label::Text(_)) && plain(text) == label)
    }

    /// The number of rows, among the outputs.
    pub fn count_of(&self, row: &crate::store::TextRow) -> u64 {
        let place = self.rollup.outputs.iter().position(|output| matches!(output.measure, Measure::Count));
        place.and_then(|place| row.count(place)).unwrap_or_default().unsigned_abs()
    }

    /// The rule as a plan shows it.
    pub fn describe(&self, oldest: Option<DateTime<Utc>>, newest: Option<DateTime<Utc>>, into: &DataName) -> String {
        let mut periods = 0_u32;
        if let (Some(oldest), Some(newest)) = (oldest, newest) {
            let mut start = self.calendar.start(oldest);
            while start <= newest && periods < 1_000_000 {
                periods += 1;
                start = self.calendar.next(start);
            }
        }
        let stay = if self.staying.is_some() { ", the rows stay" } else { "" };
        format!("{} into {into}, at most {periods} periods{stay}", self.calendar.bucket.as_str())
    }
}

/// Gathers what is wrong with one job.
pub(super) struct Reader<'a> {
    job: &'a JobName,
    diagnostics: &'a mut Diagnostics,
    failed: bool,
}

impl Reader<'_> {
    pub fn error(&mut self, keys: &[&str], message: impl Into<String>, help: impl Into<Option<String>>) {
        let path = ["jobs", self.job.as_str()].iter().chain(keys).map(|key| (*key).to_owned()).collect();
        self.diagnostics.error(path, message.into()).with_help(help.into());
        self.failed = true;
    }

    pub fn warning(&mut self, keys: &[&str], message: impl Into<String>) {
        let path = ["jobs", self.job.as_str()].iter().chain(keys).map(|key| (*key).to_owned()).collect();
        self.diagnostics.warning(path, message.into());
    }

    fn column(&mut self, table: &Table, name: &str, keys: &[&str]) -> Option<Column> {
        if let Some(column) = table.column(name) {
            return Some(column.clone());
        }
        let near = did_you_mean(name, table.columns.iter().map(|column| column.name.as_str()));
        let help = near.map(|near| format!("did you mean `{near}`?"));
        self.error(keys, format!("table `{}` has no column `{name}`", table.label()), help);
        None
    }
}

/// Holds the job against the map; `None` when something is wrong.
pub(super) fn resolve(
    job: &JobName,
    spec: &Spec,
    document: &Document,
    graph: &Graph,
    diagnostics: &mut Diagnostics,
) -> Option<Folding> {
    let mut reader = Reader { job, diagnostics, failed: false };
    let reader = &mut reader;
    staying::check_ages(reader, spec);
    let source = entry(reader, graph, document, &spec.data, "data")?;
    let into = entry(reader, graph, document, &spec.into, "into")?;
    if spec.purge {
        check_source(reader, source, graph);
        if let Some(keys) = &spec.archive {
            super::archive_keys::check(reader, (keys, &spec.older()), source, document);
        }
        if source.store != into.store {
            check_across(reader, spec, source, into);
        }
    } else {
        staying::check(reader, spec, source, into);
    }
    if source.store == into.store && source.table.label() == into.table.label() {
        reader.error(&["into"], "a table cannot be folded into itself", None);
    }
    let least = check_people(reader, spec, document);
    let zone = document.timezone;
    let age = check_time(reader, source, spec.bucket, zone)?;
    let written = table::columns(spec, document.data.get(spec.data.as_str())?);
    let (rollup, label) = columns(reader, spec, (source, age), into, &written)?;
    check_summary(reader, &rollup, into, least);
    let calendar = Calendar { bucket: spec.bucket, zone };
    if let Label::Text(format) = &label {
        check_format(reader, &calendar, format);
    }
    let least = if rollup.dimensions.is_empty() { 1 } else { least };
    if source.store != into.store && rollup.outputs.iter().any(|output| !output.measure.adds_up()) {
        let help = "leave `distinct` out, by way of `columns`".to_owned();
        reader.error(&["columns"], "numbers of different values need the rows in the summaries' own store", help);
    }
    (!reader.failed).then_some(Folding {
        rollup,
        calendar,
        least,
        label,
        store: into.store.clone(),
        into: into.name.clone(),
        staying: Staying::of(job, spec, source, document),
    })
}

fn entry<'g>(
    reader: &mut Reader<'_>,
    graph: &'g Graph,
    document: &Document,
    name: &DataName,
    key: &str,
) -> Option<&'g Node> {
    if let Some(node) = graph.node(name) {
        return Some(node);
    }
    match document.data.get(name.as_str()) {
        None => {
            let near = did_you_mean(name.as_str(), document.data.keys().map(DataName::as_str));
            let help = near.map(|near| format!("did you mean `{near}`?"));
            reader.error(&[key], format!("there is no data entry `{name}`"), help);
        }
        // A store that is away is no mistake of the file.
        Some(entry) if entry.store.as_ref().is_some_and(|store| !graph.has_seen(store)) => {}
        Some(entry) if key == "into" => {
            let store = entry.store.as_ref().map(ToString::to_string).unwrap_or_default();
            let help = format!(
                "`retentiond init {store} --print-sql` prints the SQL that makes it, `retentiond init {store}` runs it"
            );
            reader.error(&[key], format!("the table of `{name}` cannot be used yet"), help);
        }
        Some(_) => reader.error(&[key], format!("`{name}` cannot be folded"), None),
    }
    None
}

/// Summaries in another store: what their protocol needs.
fn check_across(reader: &mut Reader<'_>, spec: &Spec, source: &Node, into: &Node) {
    if source.backend != into.backend {
        let message = format!(
            "`{}` is in {}, `{}` in {}: values would be rounded or read in another way",
            source.name,
            source.backend.as_str(),
            into.name,
            into.backend.as_str()
        );
        reader.error(&["into"], message, "keep summaries in a database of the same kind".to_owned());
    }
    if source.key.is_empty() {
        let message = format!("`{}` has no key, by which its rows could be sealed", source.name);
        reader.error(&["into"], message, format!("say key = [\"…\"] in [data.{}]", source.name));
    }
    if spec.archive.is_some() {
        reader.error(&["archive"], "rows are archived only where their summaries are in the same store", None);
    }
}

fn check_source(reader: &mut Reader<'_>, node: &Node, graph: &Graph) {
    let hangs = graph.children(&node.name).next().is_some()
        || graph.unlinks(&node.name).next().is_some()
        || node.file.is_some()
        || ties::tied_to(graph, &node.name).iter().any(|other| *other != node.name)
        || node.shared;
    if hangs {
        let message = format!(
            "`{}` has children, files or rows that it goes with or is shared by, which a rollup does not take along",
            node.name
        );
        reader.error(&["data"], message, None);
    }
    if node.fate == Fate::Anonymise {
        let message =
            format!("`{}` is anonymised on expiry, but a rollup purges the rows that it has folded", node.name);
        reader.error(&["data"], message, None);
    }
    if !node.table.transactional {
        let message = format!("table `{}` has no transactions, so nothing could be proved", node.table.label());
        reader.error(&["data"], message, None);
    }
}

fn check_time<'n>(reader: &mut Reader<'_>, node: &'n Node, bucket: Bucket, zone: Tz) -> Option<&'n Age> {
    let Some(age) = &node.age else {
        let message = format!("`{}` has no `time` of its own, so nothing says which period a row is of", node.name);
        reader.error(&["data"], message, format!("say time = \"…\" in [data.{}]", node.name));
        return None;
    };
    let name = age.column.name.as_str();
    match age.kind {
        AgeKind::Naive(None) | AgeKind::Text(_, None) => {
            let message = format!("`{name}` has no zone, so nothing says which period a row is of");
            let help = format!("say time = {{ column = \"{name}\", zone = \"{zone}\", … }} in [data.{}]", node.name);
            reader.error(&["data"], message, help);
        }
        AgeKind::Date(_) | AgeKind::Text(crate::store::target::probe::TextForm::Date, _) if bucket == Bucket::Hour => {
            reader.error(&["bucket"], format!("`{name}` is a day, which has no hours"), None);
        }
        AgeKind::Date(Some(own)) | AgeKind::Text(crate::store::target::probe::TextForm::Date, Some(own))
            if own != zone =>
        {
            let message = format!("`{name}` is a day in {own}, the periods are those of {zone}");
            reader.error(&["bucket"], message, None);
        }
        _ => {}
    }
    if !age.indexed {
        reader.warning(&["data"], format!("no index begins with `{name}`; each stretch reads the whole table"));
    }
    Some(age)
}

fn columns(
    reader: &mut Reader<'_>,
    spec: &Spec,
    (source, age): (&Node, &Age),
    into: &Node,
    written: &[(String, String)],
) -> Option<(Rollup, Label)> {
    let mut rollup = Rollup {
        backend: source.backend,
        source: source.at.clone(),
        into: into.at.clone(),
        time: age.column.clone(),
        bucket: age.column.clone(),
        supplement: None,
        dimensions: Vec::new(),
        outputs: Vec::new(),
    };
    let mut label = None;
    for (name, what) in written {
        let keys = if spec.columns.is_some() { vec!["columns", name.as_str()] } else { vec!["into"] };
        let Some(column) = reader.column(&into.table, name, &keys) else { continue };
        let (word, rest) = what.split_once(':').map_or((what.as_str(), None), |(word, rest)| (word, Some(rest)));
        let named = |reader: &mut Reader<'_>| rest.and_then(|rest| reader.column(&source.table, rest.trim(), &keys));
        let measure = match (word, rest) {
            ("bucket", format) => {
                label = label_of(reader, &column, spec.bucket, format, source.backend, &keys);
                rollup.bucket = column;
                continue;
            }
            ("supplement", None) => {
                rollup.supplement = Some(column);
                continue;
            }
            ("by", Some(_)) => {
                if let Some(from) = named(reader) {
                    rollup.dimensions.push(Dimension { from, into: column });
                }
                continue;
            }
            ("count", None) => Some(Measure::Count),
            ("first", None) => Some(Measure::First),
            ("last", None) => Some(Measure::Last),
            ("distinct", Some(_)) => named(reader).map(Measure::Distinct),
            ("min", Some(_)) => named(reader).map(Measure::Least),
            ("max", Some(_)) => named(reader).map(Measure::Greatest),
            ("sum", Some(rest)) => {
                let parts: Vec<Option<Column>> =
                    rest.split('+').map(|part| reader.column(&source.table, part.trim(), &keys)).collect();
                parts.into_iter().collect::<Option<Vec<_>>>().map(Measure::Sum)
            }
            _ => {
                let help = "known: \"bucket\", \"bucket:%Y-%m\", \"by:column\", \"count\", \"first\", \"last\", \"distinct:column\", \"supplement\", \"sum:a+b\", \"min:column\", \"max:column\"";
                reader.error(&keys, format!("`{what}` says nothing of a group"), help.to_owned());
                None
            }
        };
        rollup.outputs.extend(measure.map(|measure| Output { into: column, measure }));
    }
    if label.is_none() && !reader.failed {
        reader.error(&["columns"], "no column says the period", "say one = \"bucket\"".to_owned());
    }
    Some((rollup, label?))
}

fn label_of(
    reader: &mut Reader<'_>,
    column: &Column,
    bucket: Bucket,
    format: Option<&str>,
    backend: Backend,
    keys: &[&str],
) -> Option<Label> {
    let label = match &column.class {
        TypeClass::Text => Label::Text(format.unwrap_or(bucket.format()).to_owned()),
        TypeClass::Date if bucket != Bucket::Hour => Label::Day,
        TypeClass::TimestampZoned if backend == Backend::Postgres => Label::Instant("%Y-%m-%d %H:%M:%S+00"),
        TypeClass::TimestampZoned => Label::Instant("%Y-%m-%d %H:%M:%S"),
        TypeClass::TimestampNaive => Label::Civil,
        _ => {
            let message = format!("`{}` is of type {}, which is no period", column.name.as_str(), column.declared);
            reader.error(keys, message, "a period is text, a date or a timestamp".to_owned());
            return None;
        }
    };
    if format.is_some() && !matches!(label, Label::Text(_)) {
        let message = format!("`{}` is of type {}, which has no format", column.name.as_str(), column.declared);
        reader.error(keys, message, "leave the format out".to_owned());
    }
    Some(label)
}
