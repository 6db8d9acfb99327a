//! The formats, each written from the same lines.

use std::io::Write;

use serde::ser::{Error as _, SerializeSeq as _};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::model::{CategoryAbout, EntryAbout};
use super::spool::{Spool, Stretch};
use super::{Gathered, Part, ReportError};

mod csv;
mod html;
mod pdf;

pub(super) use self::csv::{csv, summary};
pub(super) use html::html;
pub(super) use pdf::pdf;

/// Writes JSON, with at most so many records of each category.
pub(super) fn json(report: &Gathered, most: Option<u64>, out: &mut dyn Write) -> Result<(), ReportError> {
    let mut buffered = std::io::BufWriter::with_capacity(256 * 1024, out);
    let whole = Whole { report, most };
    serde_json::to_writer(&mut buffered, &whole).map_err(std::io::Error::from)?;
    buffered.write_all(b"\n")?;
    buffered.flush()?;
    Ok(())
}

/// The whole report, its records read while they are written.
#[derive(Clone, Copy)]
struct Whole<'a> {
    report: &'a Gathered,
    most: Option<u64>,
}

impl Serialize for Whole<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct View<'a> {
            #[serde(flatten)]
            head: &'a super::Head,
            categories: Categories<'a>,
        }
        View { head: &self.report.head, categories: Categories(*self) }.serialize(serializer)
    }
}

struct Categories<'a>(Whole<'a>);

impl Serialize for Categories<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut all = serializer.serialize_seq(Some(self.0.report.parts.len()))?;
        for part in &self.0.report.parts {
            all.serialize_element(&CategoryView { part, whole: self.0 })?;
        }
        all.end()
    }
}

struct CategoryView<'a> {
    part: &'a Part,
    whole: Whole<'a>,
}

impl Serialize for CategoryView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct View<'a> {
            #[serde(flatten)]
            about: CategoryAbout,
            entries: Entries<'a>,
        }
        let left_out = self.whole.most.map_or(0, |most| self.part.about.rows.saturating_sub(most));
        let about = CategoryAbout { left_out, ..self.part.about.clone() };
        View { about, entries: Entries { part: self.part, whole: self.whole } }.serialize(serializer)
    }
}

struct Entries<'a> {
    part: &'a Part,
    whole: Whole<'a>,
}

impl Serialize for Entries<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct View<'a> {
            #[serde(flatten)]
            about: &'a EntryAbout,
            records: Records<'a>,
        }
        let mut all = serializer.serialize_seq(Some(self.part.entries.len()))?;
        let shares = shares(&self.part.entries, self.whole.most);
        for ((about, stretch), most) in self.part.entries.iter().zip(shares) {
            let records = Records { spool: &self.whole.report.spool, stretch: *stretch, most };
            all.serialize_element(&View { about, records })?;
        }
        all.end()
    }
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

struct Records<'a> {
    spool: &'a Spool,
    stretch: Stretch,
    most: u64,
}

impl Serialize for Records<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut all = serializer.serialize_seq(None)?;
        let mut lines = self.spool.lines(self.stretch);
        let mut line = String::new();
        for _ in 0..self.most {
            if !lines.next_into(&mut line).map_err(S::Error::custom)? {
                break;
            }
            let record: &RawValue = serde_json::from_str(&line).map_err(S::Error::custom)?;
            all.serialize_element(record)?;
        }
        all.end()
    }
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
