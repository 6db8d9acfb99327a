//! A row as a JSON object, in the order of the columns: whole numbers as numbers, all else as the text that the database
//! gave, NULL as null.

use std::io::{BufRead, Write};

use super::column::Archived;
use super::reading::Values;
use crate::redact::Sealed;

pub(super) fn write(out: &mut impl Write, columns: &[Archived], row: &[Option<Sealed>]) -> std::io::Result<()> {
    for (place, (column, value)) in columns.iter().zip(row).enumerate() {
        out.write_all(if place == 0 { b"{" } else { b"," })?;
        serde_json::to_writer(&mut *out, &column.name)?;
        out.write_all(b":")?;
        match value {
            None => out.write_all(b"null")?,
            Some(value) if column.as_number(value.expose()).is_some() => out.write_all(value.expose().as_bytes())?,
            Some(value) => serde_json::to_writer(&mut *out, value.expose())?,
        }
    }
    out.write_all(b"}\n")
}

pub(super) fn read(input: &mut impl BufRead, columns: &[Archived]) -> Result<Option<Values>, String> {
    let mut line = String::new();
    if input.read_line(&mut line).map_err(|error| error.to_string())? == 0 {
        return Ok(None);
    }
    // serde_json's own message would quote the line.
    let mut row: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(&line).map_err(|_| "a line is no JSON object".to_owned())?;
    let value = |column: &Archived| match row.remove(&column.name) {
        Some(serde_json::Value::Null) => Ok(None),
        Some(serde_json::Value::String(text)) => Ok(Some(Sealed::new(text))),
        Some(serde_json::Value::Number(number)) => Ok(Some(Sealed::new(number.to_string()))),
        _ => Err(format!("a row says nothing of `{}`", column.name)),
    };
    let values = columns.iter().map(value).collect::<Result<Values, _>>()?;
    if row.is_empty() { Ok(Some(values)) } else { Err("a row has columns that the manifest does not know".to_owned()) }
}
