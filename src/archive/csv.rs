//! A row as comma-separated values (RFC 4180). Written here and not by a library, because a field that is quoted and one
//! that is not must be told apart: `""` is an empty text, nothing is NULL.

use std::io::{BufRead, Write};

use super::column::Archived;
use super::reading::Values;
use crate::redact::Sealed;

pub(super) fn write(out: &mut impl Write, columns: &[Archived], row: &[Option<Sealed>]) -> std::io::Result<()> {
    for (place, (column, value)) in columns.iter().zip(row).enumerate() {
        if place > 0 {
            out.write_all(b",")?;
        }
        match value {
            None => {}
            Some(value) if column.as_number(value.expose()).is_some() => out.write_all(value.expose().as_bytes())?,
            Some(value) => quoted(out, value.expose())?,
        }
    }
    out.write_all(b"\r\n")
}

pub(super) fn write_names(out: &mut impl Write, columns: &[Archived]) -> std::io::Result<()> {
    for (place, column) in columns.iter().enumerate() {
        if place > 0 {
            out.write_all(b",")?;
        }
        quoted(out, &column.name)?;
    }
    out.write_all(b"\r\n")
}

fn quoted(out: &mut impl Write, text: &str) -> std::io::Result<()> {
    out.write_all(b"\"")?;
    out.write_all(text.replace('"', "\"\"").as_bytes())?;
    out.write_all(b"\"")
}

/// A record; `None` at the end. A table has at least one column, and a record of one NULL is an empty line.
pub(super) fn read(input: &mut impl BufRead, columns: usize) -> Result<Option<Values>, String> {
    let mut record = Vec::new();
    // A line ends where an even number of quotes has been seen.
    loop {
        let before = record.len();
        if input.read_until(b'\n', &mut record).map_err(|error| error.to_string())? == 0 {
            if record.is_empty() {
                return Ok(None);
            }
            return Err("the file ends within a record".to_owned());
        }
        let ends = record.ends_with(b"\r\n") && record.iter().filter(|byte| **byte == b'"').count().is_multiple_of(2);
        if ends {
            break;
        }
        if record.len() == before {
            return Err("a record has no end".to_owned());
        }
    }
    let text = std::str::from_utf8(&record).map_err(|_| "a record is no UTF-8".to_owned())?;
    let values = fields(text.strip_suffix("\r\n").unwrap_or(text));
    match values {
        Some(values) if values.len() == columns => Ok(Some(values)),
        _ => Err("a record has too few or too many fields".to_owned()),
    }
}

fn fields(mut rest: &str) -> Option<Values> {
    let mut values = Vec::new();
    loop {
        let value;
        if let Some(inner) = rest.strip_prefix('"') {
            let mut end = 0;
            loop {
                end += inner.get(end..)?.find('"')?;
                if inner.get(end + 1..)?.starts_with('"') {
                    end += 2;
                } else {
                    break;
                }
            }
            value = Some(Sealed::new(inner.get(..end)?.replace("\"\"", "\"")));
            rest = inner.get(end + 1..)?;
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            let bare = rest.get(..end)?;
            value = (!bare.is_empty()).then(|| Sealed::new(bare.to_owned()));
            rest = rest.get(end..)?;
        }
        values.push(value);
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None if rest.is_empty() => return Some(values),
            None => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let columns = ["id", "a", "b"].map(|name| Archived::of(name, "text"));
        let texts =
            [None, Some(""), Some("a,b"), Some("\"x\""), Some("l\r\nm\n"), Some("\\N"), Some(","), Some("\"\"")];
        let mut out = Vec::new();
        let value = |text: Option<&str>| text.map(|text| Sealed::new(text.to_owned()));
        let rows: Vec<Values> =
            texts.iter().flat_map(|a| texts.map(|b| vec![value(Some("1")), value(*a), value(b)])).collect();
        for row in &rows {
            write(&mut out, &columns, row).unwrap();
        }
        let mut input = out.as_slice();
        for row in &rows {
            assert!(read(&mut input, 3).unwrap().as_ref() == Some(row));
        }
        assert!(read(&mut input, 3).unwrap().is_none());
        for bad in ["1,2\r\n", "\"a\"b,1,2\r\n", "1,2,3", "\"1,2,3\r\n"] {
            assert!(read(&mut bad.as_bytes(), 3).is_err(), "{bad}");
        }
    }
}
