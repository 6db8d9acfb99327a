//! How the small values are read, and what an editor is told of them. Hand-written, so that a mistake is answered with
//! what may stand there instead.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de::Error as _};
use toml::Value;

use super::condition::Condition;
use super::period::{Keep, Period};
use super::secret::is_credential_name;
use super::values::{
    AnonymiseStrategy, Columns, IdentifierColumn, Identifiers, Links, OneOrMany, PersonLinks, Requires, SecretRef,
    TimeColumn, Unit, UrlSource, Zone,
};

mod links;

use links::{literal, none_left, read_condition, read_links, read_person_links, read_requires};

/// What a reader of a value gives: the value, or what to write.
type Read<T> = Result<T, String>;

/// Implements `Deserialize` over a plain function on a TOML value, and `JsonSchema` by a literal.
macro_rules! value {
    ($type:ty, $read:path, $name:literal, $schema:expr) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $read(Value::deserialize(deserializer)?).map_err(D::Error::custom)
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

value!(Period, read_period, "Period", json_schema!({ "type": "string", "examples": ["13 months", "90 days"] }));
value!(Keep, read_keep, "Keep", json_schema!({ "type": "string", "examples": ["13 months", "90 days", "forever"] }));
value!(Zone, read_zone, "Zone", json_schema!({ "type": "string", "examples": ["UTC", "Europe/Helsinki"] }));
value!(OneOrMany, read_one_or_many, "OneOrMany", one_or_many());
value!(Columns, read_columns, "Columns", json_schema!({ "type": "object", "additionalProperties": one_or_many() }));
value!(
    Identifiers,
    read_identifiers,
    "Identifiers",
    json_schema!({
        "oneOf": [
            {
                "type": "object",
                "additionalProperties": {
                    "oneOf": [
                        { "type": "string" },
                        {
                            "type": "object", "required": ["column"], "additionalProperties": false,
                            "properties": { "column": { "type": "string" }, "where": { "type": "object" } }
                        }
                    ]
                }
            },
            { "type": "array", "items": { "type": "string" }, "minItems": 1 }
        ]
    })
);
value!(
    PersonLinks,
    read_person_links,
    "PersonLinks",
    json_schema!({
        "oneOf": [{ "type": "string" }, { "type": "object" }, { "type": "array", "minItems": 1 }]
    })
);
value!(
    Links,
    read_links,
    "Links",
    json_schema!({ "oneOf": [link_schema(), { "type": "array", "items": link_schema(), "minItems": 1 }] })
);
value!(Requires, read_requires, "Requires", json_schema!({ "type": "object", "minProperties": 1 }));
value!(Condition, read_condition, "Condition", json_schema!({ "type": "object", "minProperties": 1 }));
value!(
    TimeColumn,
    read_time,
    "TimeColumn",
    json_schema!({
        "oneOf": [
            { "type": "string" },
            { "type": "object", "required": ["of"], "properties": { "of": { "type": "string" } }, "additionalProperties": false },
            {
                "type": "object", "required": ["column"], "additionalProperties": false,
                "properties": {
                    "column": { "type": "string" }, "unit": { "enum": ["s", "ms", "us"] }, "zone": { "type": "string" },
                    "format": { "type": "string" }, "sentinels": { "type": "array" }, "plausible_from": { "type": "string" }
                }
            }
        ]
    })
);
value!(
    AnonymiseStrategy,
    read_strategy,
    "AnonymiseStrategy",
    json_schema!({
        "type": "string",
        "pattern": "^(null|zero|truncate_ip|date:year|text:.*|keep_last:[0-9]+|hash:.+)$"
    })
);
value!(
    SecretRef,
    read_secret,
    "SecretRef",
    json_schema!({
        "type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": false,
        "properties": { "credential": { "type": "string" }, "file": { "type": "string" }, "env": { "type": "string" } }
    })
);
value!(
    UrlSource,
    read_url,
    "UrlSource",
    json_schema!({
        "oneOf": [
            { "type": "string" },
            {
                "type": "object", "required": ["env"], "additionalProperties": false,
                "properties": { "env": { "type": "string" }, "default": { "type": "string" } }
            }
        ]
    })
);

fn one_or_many() -> Schema {
    json_schema!({ "oneOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" }, "minItems": 1 }] })
}

fn link_schema() -> Schema {
    json_schema!({
        "type": "object", "required": ["data", "by"], "additionalProperties": false,
        "properties": { "data": { "type": "string" }, "by": {}, "where": { "type": "object" } }
    })
}

fn text(value: Value, expected: &str) -> Read<String> {
    match value {
        Value::String(text) if !text.trim().is_empty() => Ok(text),
        Value::String(_) => Err(format!("this is blank; {expected}")),
        other => Err(format!("{} stands here; {expected}", what(&other))),
    }
}

/// Reads a value that is written as a text.
pub(super) fn written<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    expected: &str,
    parse: impl FnOnce(&str) -> Read<T>,
) -> Result<T, D::Error> {
    text(Value::deserialize(deserializer)?, expected).and_then(|text| parse(&text)).map_err(D::Error::custom)
}

fn what(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a text",
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a number",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list",
        Value::Table(_) => "a table",
    }
}

fn read_period(value: Value) -> Read<Period> {
    Period::parse(&text(value, "write a number and a unit in quotes, as in \"13 months\"")?)
        .map_err(|error| error.to_string())
}

fn read_keep(value: Value) -> Read<Keep> {
    let expected = "write how long in quotes, as in \"13 months\", or \"forever\"";
    Keep::parse(&text(value, expected)?).map_err(|error| error.to_string())
}

fn read_zone(value: Value) -> Read<Zone> {
    let name = text(value, "write the name of a time zone, as in \"Europe/Helsinki\"")?;
    name.parse().map(Zone).map_err(|_| {
        let names = chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
        match super::diagnostic::did_you_mean(&name, names) {
            Some(near) => format!("there is no time zone `{name}`; did you mean `{near}`?"),
            None => format!("there is no time zone `{name}`; write an IANA name, as in \"Europe/Helsinki\""),
        }
    })
}

fn texts(value: Value, expected: &str) -> Read<Vec<String>> {
    match value {
        Value::Array(list) if list.is_empty() => Err(format!("this list is empty; {expected}")),
        Value::Array(list) => list.into_iter().map(|item| text(item, expected)).collect(),
        single => Ok(vec![text(single, expected)?]),
    }
}

fn read_one_or_many(value: Value) -> Read<OneOrMany> {
    texts(value, "write a column, or a list of columns").map(OneOrMany)
}

fn read_columns(value: Value) -> Read<Columns> {
    let expected = "write { kind = \"column\" }, or a list of columns for a kind";
    let Value::Table(table) = value else { return Err(format!("{} stands here; {expected}", what(&value))) };
    if table.is_empty() {
        return Err(format!("this says nothing; {expected}"));
    }
    table
        .into_iter()
        .map(|(kind, columns)| Ok((kind, texts(columns, expected)?)))
        .collect::<Read<BTreeMap<_, _>>>()
        .map(Columns)
}

fn read_identifiers(value: Value) -> Read<Identifiers> {
    let expected =
        "write { email = \"column\" } for a person with a key, or a list of kinds such as [\"phone\", \"email\"]";
    match value {
        Value::Table(table) if !table.is_empty() => table
            .into_iter()
            .map(|(kind, column)| Ok((kind, read_identifier(column, expected)?)))
            .collect::<Read<BTreeMap<_, _>>>()
            .map(Identifiers::Columns),
        Value::Array(_) => texts(value, expected).map(Identifiers::Kinds),
        other => Err(format!("{} stands here; {expected}", what(&other))),
    }
}

fn read_identifier(value: Value, expected: &str) -> Read<IdentifierColumn> {
    let Value::Table(mut table) = value else {
        return Ok(IdentifierColumn { column: text(value, expected)?, condition: Condition::default() });
    };
    let expected = "write { column = \"entry.column\", where = { … } }";
    let column = text(table.remove("column").ok_or_else(|| format!("`column` is missing; {expected}"))?, expected)?;
    let condition = table.remove("where").map(read_condition).transpose()?.unwrap_or_default();
    none_left(&table, "column, where")?;
    Ok(IdentifierColumn { column, condition })
}

const TIME: &str =
    "write a column, { column = …, unit = \"s|ms|us\", zone = …, format = …, sentinels = […] }, or { of = \"parent\" }";

fn read_time(value: Value) -> Read<TimeColumn> {
    let plain = |column| TimeColumn::Column {
        column,
        unit: None,
        zone: None,
        format: None,
        sentinels: Vec::new(),
        plausible_from: None,
    };
    let Value::Table(mut table) = value else { return text(value, TIME).map(plain) };
    if let Some(of) = table.remove("of") {
        none_left(&table, "of")?;
        return text(of, TIME)?.parse().map(TimeColumn::Of).map_err(|error| format!("`of` names no entry: {error}"));
    }
    let column = text(table.remove("column").ok_or_else(|| format!("`column` is missing; {TIME}"))?, TIME)?;
    let unit = match table.remove("unit").map(|unit| text(unit, TIME)).transpose()?.as_deref() {
        None => None,
        Some("s") => Some(Unit::Seconds),
        Some("ms") => Some(Unit::Milliseconds),
        Some("us") => Some(Unit::Microseconds),
        Some(other) => return Err(format!("`{other}` is no unit; write \"s\", \"ms\" or \"us\"")),
    };
    let zone = table.remove("zone").map(read_zone).transpose()?;
    let format = table.remove("format").map(|format| text(format, TIME)).transpose()?;
    let sentinels = match table.remove("sentinels") {
        None => Vec::new(),
        Some(Value::Array(list)) => list.into_iter().map(literal).collect::<Read<Vec<_>>>()?,
        Some(other) => {
            return Err(format!("{} stands here; sentinels are a list, as in [\"0000-00-00\", 0]", what(&other)));
        }
    };
    let plausible_from = match table.remove("plausible_from") {
        None => None,
        Some(day) => {
            let day = match day {
                Value::Datetime(at) => at.to_string(),
                other => text(other, "write a day, as in \"1980-01-01\"")?,
            };
            Some(day.parse().map_err(|_| format!("`{day}` is no day; write it as in \"1980-01-01\""))?)
        }
    };
    none_left(&table, "column, unit, zone, format, sentinels, plausible_from")?;
    Ok(TimeColumn::Column { column, unit, zone, format, sentinels, plausible_from })
}

const STRATEGY: &str =
    "write \"null\", \"text:…\", \"truncate_ip\", \"keep_last:N\", \"hash:CREDENTIAL\", \"date:year\" or \"zero\"";

fn read_strategy(value: Value) -> Read<AnonymiseStrategy> {
    let written = text(value, STRATEGY)?;
    let (word, rest) = written.split_once(':').map_or((written.as_str(), None), |(word, rest)| (word, Some(rest)));
    match (word, rest) {
        ("null", None) => Ok(AnonymiseStrategy::Null),
        ("zero", None) => Ok(AnonymiseStrategy::Zero),
        ("truncate_ip", None) => Ok(AnonymiseStrategy::TruncateIp),
        ("text", Some(text)) => Ok(AnonymiseStrategy::Text(text.to_owned())),
        ("date", Some("year")) => Ok(AnonymiseStrategy::DateYear),
        ("keep_last", Some(kept)) => match kept.parse::<u32>() {
            Ok(kept @ 1..=32) => Ok(AnonymiseStrategy::KeepLast(kept)),
            _ => Err("keep_last takes a number from 1 to 32; as in \"keep_last:4\"".to_owned()),
        },
        ("hash", Some(credential)) if !credential.trim().is_empty() => {
            if !is_credential_name(credential) {
                return Err(CREDENTIAL.to_owned());
            }
            Ok(AnonymiseStrategy::Hash(SecretRef::Credential(credential.to_owned())))
        }
        _ => {
            let words = ["null", "text", "truncate_ip", "keep_last", "hash", "date", "zero"];
            let near = super::diagnostic::did_you_mean(word, words).filter(|near| *near != word);
            let hint = near.map_or_else(|| STRATEGY.to_owned(), |near| format!("did you mean `{near}`?"));
            Err(format!("`{written}` is no way to anonymise; {hint}"))
        }
    }
}

const CREDENTIAL: &str =
    "a credential has a plain name of letters, digits and `-_.@`; { file = \"path\" } names a file";

const SECRET: &str =
    "a secret never stands in the file; write { credential = \"name\" }, { file = \"path\" } or { env = \"VARIABLE\" }";

fn read_secret(value: Value) -> Read<SecretRef> {
    let Value::Table(mut table) = value else { return Err(SECRET.to_owned()) };
    let mut found = Vec::new();
    if let Some(name) = table.remove("credential") {
        let name = text(name, SECRET)?;
        if !is_credential_name(&name) {
            return Err(CREDENTIAL.to_owned());
        }
        found.push(SecretRef::Credential(name));
    }
    if let Some(path) = table.remove("file") {
        found.push(SecretRef::File(text(path, SECRET)?));
    }
    if let Some(name) = table.remove("env") {
        found.push(SecretRef::Env(text(name, SECRET)?));
    }
    none_left(&table, "credential, file, env")?;
    match found.len() {
        1 => Ok(found.remove(0)),
        _ => Err(SECRET.to_owned()),
    }
}

const URL: &str = "write a URL in quotes, or { env = \"VARIABLE\", default = \"URL\" }";

fn read_url(value: Value) -> Read<UrlSource> {
    let Value::Table(mut table) = value else { return text(value, URL).map(UrlSource::Literal) };
    let env = text(table.remove("env").ok_or_else(|| format!("`env` is missing; {URL}"))?, URL)?;
    let default = table.remove("default").map(|default| text(default, URL)).transpose()?;
    none_left(&table, "env, default")?;
    Ok(UrlSource::Env { env, default })
}
