//! Links and conditions.

use toml::Value;

use super::{Read, text, texts, what};
use crate::config::condition::{ColumnTest, Condition, Literal, Test};
use crate::config::diagnostic::did_you_mean;
use crate::config::values::{Link, Links, PersonLink, PersonLinks, Requires};
use crate::names::DataName;

const PERSON: &str = "write a column, a list of the columns of one key, { column = …, where = … }, { column = …, after = \"user\", before = \"/\" }, { json = …, path = … }, or a list of such tables";

pub(super) fn read_person_links(value: Value) -> Read<PersonLinks> {
    let plain = |columns| PersonLink {
        columns,
        path: None,
        after: None,
        before: None,
        condition: Condition::default(),
        hides: Vec::new(),
    };
    match value {
        Value::Array(list) if list.iter().any(Value::is_table) => {
            list.into_iter().map(read_person_link).collect::<Read<Vec<_>>>().map(PersonLinks)
        }
        Value::Table(_) => Ok(PersonLinks(vec![read_person_link(value)?])),
        other => Ok(PersonLinks(vec![plain(texts(other, PERSON)?)])),
    }
}

pub(super) fn read_person_link(value: Value) -> Read<PersonLink> {
    let Value::Table(mut table) = value else { return Err(format!("{} stands here; {PERSON}", what(&value))) };
    let condition = table.remove("where").map(read_condition).transpose()?.unwrap_or_default();
    let hides = table.remove("hides").map(|columns| texts(columns, PERSON)).transpose()?.unwrap_or_default();
    let path = table.remove("path").map(|path| text(path, PERSON)).transpose()?;
    // Blanks count here, so a text of blanks is one.
    let mut part = |key: &str| match table.remove(key) {
        None => Ok(None),
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
        Some(_) => Err(format!("`{key}` is a text that is not empty; {PERSON}")),
    };
    let (after, before) = (part("after")?, part("before")?);
    let columns = match (table.remove("column"), table.remove("json")) {
        (Some(column), None) if path.is_none() => texts(column, PERSON)?,
        (None, Some(json)) if path.is_some() && after.is_none() && before.is_none() => vec![text(json, PERSON)?],
        _ => return Err(format!("this names no column; {PERSON}")),
    };
    if columns.len() > 1 && (after.is_some() || before.is_some()) {
        return Err(format!("a part of a column names a key of one column; {PERSON}"));
    }
    none_left(&table, "column, json, path, after, before, where, hides")?;
    Ok(PersonLink { columns, path, after, before, condition, hides })
}

pub(super) fn none_left(table: &toml::Table, known: &str) -> Read<()> {
    match table.keys().next() {
        None => Ok(()),
        Some(key) => {
            let near = did_you_mean(key, known.split(", "));
            let hint = near.map_or_else(|| format!("known here: {known}"), |near| format!("did you mean `{near}`?"));
            Err(format!("unknown key `{key}`; {hint}"))
        }
    }
}

const LINK: &str = "write { data = \"entry\", by = \"column\" }, with by = [\"a\", \"b\"] or { own = \"theirs\" } for more, and where = { … } for some rows only";

pub(super) fn read_links(value: Value) -> Read<Links> {
    match value {
        Value::Array(list) if list.is_empty() => Err(format!("this list is empty; {LINK}")),
        Value::Array(list) => list.into_iter().map(read_link).collect::<Read<Vec<_>>>().map(Links),
        single => Ok(Links(vec![read_link(single)?])),
    }
}

pub(super) fn read_link(value: Value) -> Read<Link> {
    let Value::Table(mut table) = value else { return Err(format!("{} stands here; {LINK}", what(&value))) };
    let data = table.remove("data").ok_or_else(|| format!("`data` is missing; {LINK}"))?;
    let data: DataName = text(data, LINK)?.parse().map_err(|error| format!("`data` is no name: {error}"))?;
    let by = match table.remove("by").ok_or_else(|| format!("`by` is missing; {LINK}"))? {
        Value::Table(pairs) if !pairs.is_empty() => {
            pairs.into_iter().map(|(own, theirs)| Ok((own, Some(text(theirs, LINK)?)))).collect::<Read<Vec<_>>>()?
        }
        Value::Table(_) => return Err(format!("`by` says nothing; {LINK}")),
        columns => texts(columns, LINK)?.into_iter().map(|own| (own, None)).collect(),
    };
    let condition = table.remove("where").map(read_condition).transpose()?.unwrap_or_default();
    none_left(&table, "data, by, where")?;
    Ok(Link { data, by, condition })
}

pub(super) fn read_requires(value: Value) -> Read<Requires> {
    match &value {
        Value::Table(table) if table.contains_key("data") && table.contains_key("by") => {
            read_link(value).map(Requires::Row)
        }
        _ => read_condition(value).map(Requires::Condition),
    }
}

const TEST: &str = "write column = value, a list of values, or { below = …, above = …, null = true, not = … }";

pub(super) fn read_condition(value: Value) -> Read<Condition> {
    let Value::Table(table) = value else { return Err(format!("{} stands here; {TEST}", what(&value))) };
    if table.is_empty() {
        return Err("this condition says nothing; leave it out, or say what must hold".to_owned());
    }
    table
        .into_iter()
        .map(|(key, value)| {
            let (parent, column) = match key.split_once('.') {
                Some((parent, column)) => (Some(parent.to_owned()), column.to_owned()),
                None => (None, key),
            };
            if column.trim().is_empty() || parent.as_deref() == Some("") {
                return Err(format!("a column has no name here; {TEST}"));
            }
            Ok(ColumnTest { parent, column, test: read_test(value)? })
        })
        .collect::<Read<Vec<_>>>()
        .map(Condition)
}

pub(super) fn read_test(value: Value) -> Read<Test> {
    match value {
        Value::Array(list) if list.is_empty() => Err(format!("this list is empty, so nothing would match; {TEST}")),
        Value::Array(list) => list.into_iter().map(literal).collect::<Read<Vec<_>>>().map(Test::OneOf),
        Value::Table(table) => {
            let mut tests = Vec::new();
            for (key, value) in table {
                tests.push(match key.as_str() {
                    "below" => Test::Below(literal(value)?),
                    "above" => Test::Above(literal(value)?),
                    "null" => Test::Null(value.as_bool().ok_or_else(|| format!("`null` is true or false; {TEST}"))?),
                    "not" => Test::Not(Box::new(read_test(value)?)),
                    other => {
                        let near = did_you_mean(other, ["below", "above", "null", "not"]);
                        let hint = near.map_or_else(|| TEST.to_owned(), |near| format!("did you mean `{near}`?"));
                        return Err(format!("unknown test `{other}`; {hint}"));
                    }
                });
            }
            match tests.len() {
                0 => Err(format!("this test says nothing; {TEST}")),
                1 => Ok(tests.remove(0)),
                _ => Ok(Test::All(tests)),
            }
        }
        single => literal(single).map(Test::Is),
    }
}

pub(super) fn literal(value: Value) -> Read<Literal> {
    match value {
        Value::String(text) => Ok(Literal::Text(text)),
        Value::Integer(number) => Ok(Literal::Integer(number)),
        Value::Float(number) if number.is_finite() => Ok(Literal::Real(number)),
        Value::Boolean(truth) => Ok(Literal::Boolean(truth)),
        Value::Datetime(at) => Ok(Literal::Text(at.to_string())),
        other => Err(format!("{} cannot be compared with; {TEST}", what(&other))),
    }
}
