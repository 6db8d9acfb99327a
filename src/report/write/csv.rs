//! A category as one table: the columns of all its entries side by side, with the entry's name before them; and a table of
//! what was searched, found or not.
//!
//! Spreadsheets take a text that begins with `=`, `+`, `-` or `@` for a formula, and whoever wrote the text may not be the
//! person who opens it: such a text gets an apostrophe before it, unless it is a number. The JSON has it as it was.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Write;

use crate::report::line::{Line, Plain};
use crate::report::{Gathered, Part, ReportError};

/// Writes one category.
pub(in crate::report) fn csv(report: &Gathered, part: &Part, out: &mut dyn Write) -> Result<(), ReportError> {
    let mut names: Vec<&str> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for column in part.entries.iter().filter(|(about, _)| about.rows > 0).flat_map(|(about, _)| &about.columns) {
        places.entry(&column.name).or_insert_with(|| {
            names.push(&column.name);
            names.len() - 1
        });
    }
    let mut table =
        ::csv::WriterBuilder::new().terminator(::csv::Terminator::CRLF).buffer_capacity(256 * 1024).from_writer(out);
    let heads = ["record_of", "kept_until", "mentioned_only"];
    table.write_record(heads.iter().copied().chain(names.iter().copied())).map_err(of_csv)?;
    let mut line = Line::default();
    let masked = report.texts.get("masked");
    for (about, stretch) in part.entries.iter().filter(|(about, _)| about.rows > 0) {
        // Of each column of the table the place in this entry, if it has such a column.
        let mut own: Vec<Option<usize>> = vec![None; names.len()];
        for (place, column) in about.columns.iter().enumerate() {
            if let Some(slot) = places.get(column.name.as_str()).and_then(|place| own.get_mut(*place)) {
                *slot = Some(place);
            }
        }
        let mut lines = report.spool.lines(*stretch);
        while line.next(&mut lines)? {
            table.write_field(about.data.as_str()).map_err(of_csv)?;
            table.write_field(line.kept_until()).map_err(of_csv)?;
            table.write_field(if line.is_mention() { "true" } else { "" }).map_err(of_csv)?;
            for place in &own {
                match place.and_then(|place| line.value(place)) {
                    None | Some(Plain::Nothing) => table.write_field(""),
                    Some(Plain::Masked) => table.write_field(masked),
                    Some(Plain::Word(word)) => table.write_field(word),
                    Some(Plain::Text(text)) => table.write_field(&*harmless(&text)),
                }
                .map_err(of_csv)?;
            }
            table.write_record(None::<&[u8]>).map_err(of_csv)?;
        }
    }
    table.flush()?;
    Ok(())
}

/// Writes what was searched, an entry a line: how much was found, also where that is nothing.
pub(in crate::report) fn summary(report: &Gathered, out: &mut dyn Write) -> Result<(), ReportError> {
    let mut table = ::csv::WriterBuilder::new().terminator(::csv::Terminator::CRLF).from_writer(out);
    let heads = ["category", "record_of", "title", "can_be_linked", "records", "mentioned_only", "newest_goes"];
    table.write_record(heads).map_err(of_csv)?;
    for part in &report.parts {
        for (about, _) in &part.entries {
            let [rows, mentions] = [about.rows, about.mentions].map(|count| count.to_string());
            let can_be_linked = if about.can_be_linked { "true" } else { "false" };
            let newest = about.newest_goes.as_deref().unwrap_or_default();
            let (category, title) = (part.about.name.as_str(), harmless(&about.title));
            let line = [category, about.data.as_str(), &*title, can_be_linked, &rows, &mentions, newest];
            table.write_record(line).map_err(of_csv)?;
        }
    }
    table.flush()?;
    Ok(())
}

fn of_csv(error: ::csv::Error) -> ReportError {
    match error.into_kind() {
        ::csv::ErrorKind::Io(error) => error.into(),
        // The number of fields is ours: nothing else can be wrong.
        _ => ReportError::Write(std::io::Error::other("a record has another number of fields")),
    }
}

/// A text that no spreadsheet takes for a formula.
fn harmless(text: &str) -> Cow<'_, str> {
    let begins = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    let is_number = || {
        let rest = text.trim_start_matches(['+', '-']);
        !rest.is_empty()
            && rest.chars().all(|c| c.is_ascii_digit() || matches!(c, ' ' | '.'))
            && text.len() <= rest.len() + 1
    };
    if begins && !is_number() { Cow::Owned(format!("'{text}")) } else { Cow::Borrowed(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_texts() {
        for text in ["=1+1", "+cmd|x", "-2+3", "@SUM(A1)", "\t=1", "=", "--1", "+1-1"] {
            assert_eq!(harmless(text), format!("'{text}"));
        }
        for text in ["", "a=b", "+358 40 123 4567", "-5", "-1.5", "Anna", "'x"] {
            assert_eq!(harmless(text), text);
        }
    }
}
