//! What makes a summary one that cannot be proved, or one that names somebody: refused with its place in the file.

use chrono::DateTime;

use super::Spec;
use super::calendar::Calendar;
use super::summary::Reader;
use crate::config::document::{Document, Entry};
use crate::graph::Node;
use crate::store::Backend;
use crate::store::catalog::{Column, TypeClass};
use crate::store::target::rollup::{Dimension, MOST, Measure, OTHER, Output, Rollup};

/// Groups of fewer rows are merged, where the file does not say.
const MINIMUM_GROUP: u64 = 5;

/// The columns that say who a row is about, or that the policy itself treats as personal.
fn personal(entry: &Entry, data: &str, document: &Document) -> Vec<String> {
    let mut columns: Vec<String> = Vec::new();
    columns.extend(entry.user.iter().flat_map(|links| &links.0).flat_map(|link| link.columns.clone()));
    for addresses in entry.customer.iter().chain(&entry.mentions) {
        columns.extend(addresses.0.values().flatten().cloned());
    }
    columns.extend(entry.label.iter().flat_map(|label| label.0.clone()));
    columns.extend(entry.anonymise.iter().flat_map(|columns| columns.keys().cloned()));
    for person in document.people.values().filter(|person| person.data.as_ref().is_some_and(|own| own.as_str() == data))
    {
        if let crate::config::values::Identifiers::Columns(identifiers) = &person.identifiers {
            columns.extend(identifiers.values().map(|identifier| identifier.column.clone()));
        }
        columns.extend(entry.key.iter().flat_map(|key| key.0.clone()));
    }
    columns
}

/// Persons are no dimensions, unless the file says why. Gives the least size of a group.
pub(super) fn check_people(reader: &mut Reader<'_>, spec: &Spec, document: &Document) -> u64 {
    let least = spec.minimum_group.unwrap_or(MINIMUM_GROUP);
    if spec.by_person.as_ref().is_some_and(|why| why.trim().is_empty()) {
        reader.error(&["by_person"], "by_person says why; this is blank", None);
    }
    if spec.by_person.is_some() {
        if least == 0 {
            reader.error(&["minimum_group"], "a group has at least 1 row", None);
        }
        return least;
    }
    if least < 2 {
        let help = "say by_person = \"why\" if single persons may be seen in the summaries".to_owned();
        reader.error(&["minimum_group"], "a group of one row names whoever it is about", help);
    }
    if let Some(entry) = document.data.get(spec.data.as_str()) {
        let personal = personal(entry, spec.data.as_str(), document);
        for (place, column) in spec.by.iter().enumerate().filter(|(_, column)| personal.contains(column)) {
            let message = format!("`{column}` says who a row is about, so it is no dimension of a summary");
            let help = "say by_person = \"why\" if the summaries must be by person".to_owned();
            reader.error(&["by", &place.to_string()], message, help);
        }
    }
    least
}

/// The format must tell one period from the next.
pub(super) fn check_format(reader: &mut Reader<'_>, calendar: &Calendar, format: &str) {
    let wrong = chrono::format::StrftimeItems::new(format).any(|item| item == chrono::format::Item::Error);
    if wrong {
        reader.error(&["columns"], format!("`{format}` is no format of a time"), "as in \"bucket:%Y-%m\"".to_owned());
        return;
    }
    let mut start = calendar.start(DateTime::UNIX_EPOCH + chrono::TimeDelta::days(20_000));
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..60 {
        if !seen.insert(calendar.label(start, format)) {
            let message = format!("`{format}` gives two different periods one and the same name");
            reader.error(&["columns"], message, None);
            return;
        }
        start = calendar.next(start);
    }
}

pub(super) fn check_summary(reader: &mut Reader<'_>, rollup: &Rollup, into: &Node, least: u64) {
    let keys = &["columns"];
    if !rollup.outputs.iter().any(|output| matches!(output.measure, Measure::Count)) {
        reader.error(keys, "no column counts the rows, so nothing could be proved", "say one = \"count\"".to_owned());
    }
    if rollup.outputs.len() > MOST || rollup.dimensions.len() > MOST {
        reader.error(keys, format!("a summary has at most {MOST} dimensions and {MOST} other columns"), None);
    }
    let distinct = rollup.outputs.iter().any(|output| !output.measure.adds_up());
    if distinct && rollup.supplement.is_none() {
        let help = "say one = \"supplement\": rows that come late get a summary beside the first".to_owned();
        reader.error(keys, "`distinct` cannot be added to, and no column tells supplements apart", help);
    }
    if !distinct && rollup.supplement.is_some() {
        reader.error(keys, "without `distinct` late rows are added to the summary, and there is no supplement", None);
    }
    let may = &into.table.privileges;
    for (name, granted) in
        [("SELECT", may.select), ("INSERT", may.insert), ("UPDATE", may.update), ("DELETE", may.delete)]
    {
        if !granted {
            reader.error(&["into"], format!("the role has no {name} on table `{}`", into.table.label()), None);
        }
    }
    for output in &rollup.outputs {
        check_output(reader, rollup, output);
    }
    for dimension in &rollup.dimensions {
        check_dimension(reader, dimension, rollup.backend, least);
    }
    if least > 1 && !rollup.dimensions.is_empty() && !rollup.dimensions.iter().any(Dimension::is_text) {
        let message = "small groups are merged into one called `(other)`, but no dimension is a text";
        reader.error(&["by"], message, None);
    }
    let mine = |column: &Column| {
        let outputs = rollup.outputs.iter().map(|output| &output.into);
        let dimensions = rollup.dimensions.iter().map(|dimension| &dimension.into);
        outputs.chain(dimensions).chain(&rollup.supplement).any(|own| own.name == column.name)
            || rollup.bucket.name == column.name
    };
    for column in into.table.columns.iter().filter(|column| !mine(column)) {
        if !column.nullable && !column.has_default && !column.auto && !column.generated {
            let message = format!("`{}` must have a value, and nothing says which", column.name.as_str());
            reader.error(keys, message, None);
        }
    }
}

fn check_output(reader: &mut Reader<'_>, rollup: &Rollup, output: &Output) {
    let whole = |column: &Column| matches!(column.class, TypeClass::Integer { .. });
    let exact = |column: &Column| whole(column) || column.class == TypeClass::Decimal;
    let name = output.into.name.as_str();
    let fits = match &output.measure {
        Measure::Count | Measure::Distinct(_) => exact(&output.into),
        Measure::Sum(columns) => {
            let from = |column: &Column| if rollup.backend == Backend::Sqlite { whole(column) } else { exact(column) };
            for column in columns.iter().filter(|column| !from(column)) {
                let message =
                    format!("`{}` is of type {}, whose sum is not exact", column.name.as_str(), column.declared);
                reader.error(&["columns", name], message, None);
            }
            exact(&output.into)
        }
        Measure::First | Measure::Last => output.into.class == rollup.time.class,
        Measure::Least(column) | Measure::Greatest(column) => output.into.class == column.class,
    };
    if !fits {
        let message = format!("`{name}` is of type {}, which cannot hold what it is to say", output.into.declared);
        reader.error(&["columns", name], message, None);
    }
}

fn check_dimension(reader: &mut Reader<'_>, dimension: &Dimension, backend: Backend, least: u64) {
    let (from, into) = (&dimension.from, &dimension.into);
    let keys = &["by"];
    let unfit = matches!(from.class, TypeClass::Bytes | TypeClass::Json | TypeClass::Real | TypeClass::Other);
    if unfit || (into.class != from.class && into.class != TypeClass::Text) {
        let message = format!(
            "`{}` is of type {}, the summary's `{}` of type {}",
            from.name.as_str(),
            from.declared,
            into.name.as_str(),
            into.declared
        );
        reader.error(keys, message, "a dimension has the same type in both tables, or is a text".to_owned());
    }
    if least > 1 && dimension.is_text() && into.max_chars.is_some_and(|most| most < OTHER.len() as u64) {
        let message = format!("the summary's `{}` is too short for `{OTHER}`", into.name.as_str());
        reader.error(keys, message, None);
    }
    if !into.nullable && least > 1 && !dimension.is_text() {
        let message = format!("the summary's `{}` must be able to be NULL for merged groups", into.name.as_str());
        reader.error(keys, message, None);
    } else if !into.nullable && from.nullable {
        let message =
            format!("the summary's `{}` cannot be NULL; a row with NULL would stop the job", into.name.as_str());
        reader.warning(keys, message);
    }
    let merges = match (backend, into.collation.as_deref()) {
        (Backend::Mysql, Some(collation)) => into.class == TypeClass::Text && !collation.ends_with("bin"),
        (Backend::Sqlite, Some(collation)) => !collation.eq_ignore_ascii_case("binary"),
        (Backend::Postgres, _) | (_, None) => false,
    };
    if merges {
        let collation = into.collation.as_deref().unwrap_or_default();
        let message = format!(
            "the collation {collation} of the summary's `{}` takes different values for one",
            into.name.as_str()
        );
        let help = if backend == Backend::Mysql { "utf8mb4_bin" } else { "BINARY" };
        reader.error(keys, message, format!("declare the column with the collation {help}"));
    }
}
