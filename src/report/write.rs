//! The formats, each written from the same lines.

use std::io::{self, Write};

use serde::Serialize;

use super::model::{CategoryAbout, EntryAbout};
use super::spool::{Spool, Stretch};
use super::{Gathered, ReportError};

mod csv;
mod html;
pub mod pdf;

pub(super) use self::csv::{csv, summary};
pub(super) use html::html;
pub(super) use pdf::pdf;

/// Writes JSON, with at most so many records of each category. The records are what was spooled, as it was spooled.
pub(super) fn json(report: &Gathered, most: Option<u64>, out: &mut dyn Write) -> Result<(), ReportError> {
    let mut out = io::BufWriter::with_capacity(256 * 1024, out);
    begin(&report.head, "categories", &mut out)?;
    for (place, part) in report.parts.iter().enumerate() {
        separate(place, &mut out)?;
        let left_out = most.map_or(0, |most| part.about.rows.saturating_sub(most));
        begin(&CategoryAbout { left_out, ..part.about.clone() }, "entries", &mut out)?;
        let shares = shares(&part.entries, most);
        for (place, ((about, stretch), share)) in part.entries.iter().zip(shares).enumerate() {
            separate(place, &mut out)?;
            begin(about, "records", &mut out)?;
            if share == about.rows {
                report.spool.copy(*stretch, &mut out)?;
            } else {
                first(&report.spool, *stretch, share, &mut out)?;
            }
            out.write_all(b"]}")?;
        }
        out.write_all(b"]}")?;
    }
    out.write_all(b"]}\n")?;
    out.flush()?;
    Ok(())
}

/// Writes an object but for its end, and the beginning of a list that is the last thing in it.
fn begin(about: &impl Serialize, list: &str, out: &mut dyn Write) -> io::Result<()> {
    let object = serde_json::to_string(about)?;
    let fields = object.strip_suffix('}').ok_or(io::ErrorKind::InvalidData)?;
    write!(out, "{fields},\"{list}\":[")
}

fn separate(place: usize, out: &mut dyn Write) -> io::Result<()> {
    if place > 0 { out.write_all(b",") } else { Ok(()) }
}

/// Writes the first records of a stretch.
fn first(spool: &Spool, stretch: Stretch, count: u64, out: &mut dyn Write) -> io::Result<()> {
    let (mut lines, mut line) = (spool.lines(stretch), String::new());
    for place in 0..count {
        if !lines.next_into(&mut line)? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        out.write_all(if place > 0 { b",\n" } else { b"" })?;
        out.write_all(line.as_bytes())?;
    }
    Ok(())
}

/// How many records of each entry are written, when only so many of a category are: every entry gets its part, so that
/// none is crowded out by a long one before it.
fn shares(entries: &[(EntryAbout, Stretch)], most: Option<u64>) -> Vec<u64> {
    let mut shares: Vec<u64> = entries.iter().map(|(about, _)| about.rows).collect();
    let Some(most) = most else { return shares };
    // The longest ones are cut to one and the same length, the greatest that fits.
    let fits = |length: u64| shares.iter().map(|rows| rows.min(&length)).sum::<u64>() <= most;
    let (mut low, mut high) = (0, shares.iter().copied().max().unwrap_or_default());
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if fits(middle) { low = middle } else { high = middle - 1 }
    }
    let mut left = most.saturating_sub(shares.iter().map(|rows| rows.min(&low)).sum());
    for share in &mut shares {
        let more = u64::from(*share > low && left > 0);
        left -= more;
        *share = (*share).min(low + more);
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_gets_its_share() {
        let share = |rows: &[u64], most| {
            let entry = |rows: &u64| {
                let about = serde_json::json!({
                    "data": "a", "store": "s", "title": "A", "can_be_linked": true, "rows": rows, "mentions": 0, "held": 0,
                    "retention": [], "newest_goes": null, "without_end": 0, "kept": [], "columns": [],
                });
                (serde_json::from_value(about).unwrap(), Stretch::default())
            };
            shares(&rows.iter().map(entry).collect::<Vec<_>>(), most)
        };
        assert_eq!(share(&[500, 3], None), [500, 3]);
        assert_eq!(share(&[500, 3], Some(200)), [197, 3]);
        assert_eq!(share(&[500, 500, 10], Some(201)), [96, 95, 10]);
        assert_eq!(share(&[5, 5], Some(200)), [5, 5]);
        assert_eq!(share(&[5, 5, 5], Some(2)), [1, 1, 0]);
        assert_eq!(share(&[], Some(2)), [0; 0]);
    }
}
