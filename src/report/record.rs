//! One row of a database as a line of JSON, in the form of [`super::model::Record`].

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use super::columns::{Columns, RowOf};
use super::model::ColumnKind;
use super::times;
use crate::graph::Node;
use crate::store::{StreamedRow, Tail};

/// The largest whole number that every reader of JSON holds exactly.
const EXACT: u64 = 1 << 53;

/// What stands in place of a value that is somebody else's.
const MASKED: &str = r#"{"masked":"another_person"}"#;

/// Writes rows of one entry.
pub(super) struct Writer<'a> {
    node: &'a Node,
    columns: &'a Columns,
    /// Each column's name as a key of JSON, with its colon.
    keys: Vec<String>,
    zone: Tz,
}

/// A row as it was read.
pub(super) struct Row<'a> {
    pub(super) values: &'a StreamedRow,
    /// What was looked up for the columns.
    pub(super) found: Tail<'a>,
    pub(super) of: RowOf,
    pub(super) goes: Option<DateTime<Utc>>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(node: &'a Node, columns: &'a Columns, zone: Tz) -> Self {
        let key = |name: &str| {
            let mut key = String::new();
            quote(name, &mut key);
            key + ":"
        };
        let keys = columns.shown.iter().map(|shown| key(&shown.about.name)).collect();
        Self { node, columns, keys, zone }
    }

    /// Writes a row over what `line` held.
    pub(super) fn write(&self, row: &Row<'_>, line: &mut String) {
        line.clear();
        line.push_str(r#"{"values":{"#);
        for (place, key) in self.keys.iter().enumerate() {
            if place > 0 {
                line.push(',');
            }
            line.push_str(key);
            match row.values.get(place) {
                None => line.push_str("null"),
                Some(value) if !self.columns.is_shown(place, &value, row.found, row.of) => line.push_str(MASKED),
                Some(value) => self.value(place, value.expose(), line),
            }
        }
        line.push('}');
        if let Some(goes) = row.goes {
            let written = write!(line, r#","kept_until":"{}""#, times::day(goes, self.zone));
            debug_assert!(written.is_ok(), "a string takes everything");
        }
        line.push_str(if row.of == RowOf::Others { r#","mentioned":true}"# } else { "}" });
    }

    fn value(&self, place: usize, text: &str, line: &mut String) {
        let (Some(shown), Some(column)) = (self.columns.shown.get(place), self.node.table.columns.get(place)) else {
            return line.push_str("null");
        };
        match shown.about.kind {
            ColumnKind::Boolean => match text {
                "true" | "t" | "1" => line.push_str("true"),
                "false" | "f" | "0" => line.push_str("false"),
                _ => quote(text, line),
            },
            ColumnKind::Number if is_number(text) => line.push_str(text),
            ColumnKind::Number | ColumnKind::Bytes => quote(text, line),
            ColumnKind::Time | ColumnKind::Text => match self.columns.times.read(column, text) {
                Some(at) => {
                    line.push('"');
                    self.columns.times.write(at, line);
                    line.push('"');
                }
                None => quote(text, line),
            },
        }
    }
}

/// Whether a text is a number of JSON that no reader changes.
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.bytes().all(|c| c.is_ascii_digit()) {
        let plain = digits == "0" || !digits.starts_with('0');
        return plain && digits.parse::<u64>().is_ok_and(|number| number <= EXACT);
    }
    digits.starts_with(|c: char| c.is_ascii_digit()) && serde_json::from_str::<f64>(text).is_ok_and(f64::is_finite)
}

/// A text as JSON.
fn quote(text: &str, into: &mut String) {
    into.push('"');
    let mut plain = 0;
    for (place, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0..0x20 => "",
            _ => continue,
        };
        into.push_str(&text[plain..place]);
        plain = place + 1;
        if escape.is_empty() {
            let written = write!(into, "\\u{byte:04x}");
            debug_assert!(written.is_ok(), "a string takes everything");
        } else {
            into.push_str(escape);
        }
    }
    into.push_str(&text[plain..]);
    into.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted_as_json_has_it() {
        for text in ["", "a\"b\\c", "\u{0}\u{1f}\n\r\t", "Ä😀\u{2028}</script>", "x"] {
            let mut quoted = String::new();
            quote(text, &mut quoted);
            assert_eq!(serde_json::from_str::<String>(&quoted).unwrap(), text);
            assert!(!quoted.contains('\n'));
        }
    }

    #[test]
    fn numbers_stay_what_they_are() {
        for number in ["0", "-7", "9007199254740992", "1.5", "-0.25", "1e-7"] {
            assert!(is_number(number), "{number}");
        }
        for text in ["", "-", "007", "9007199254740993", "NaN", "Infinity", "+1", ".5", "1.", "0x1", "inf"] {
            assert!(!is_number(text), "{text}");
        }
    }
}
