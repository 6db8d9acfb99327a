//! What an erasure leaves behind for the person and for those who must prove it: what went, what remains and why.
//!
//! **Invariant.** No personal data in it: counts, names of entries, instants, and keyed hashes of the identifiers.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::jobs::Report;
use crate::names::{CategoryName, DataName, StoreName};
use crate::plan::{Action, Remaining, grouped, instant, show_instant};
use crate::store::state::Mark;

/// A receipt.
#[derive(Clone, Debug, Serialize)]
pub struct Receipt {
    /// The erasure's id.
    pub erasure: String,
    /// The kind of person.
    pub person: String,
    /// Keyed hashes of the identifiers.
    pub identifiers: Vec<Hashed>,
    /// The plan that was confirmed.
    pub plan: String,
    /// When it began.
    #[serde(serialize_with = "instant")]
    pub begun: Option<DateTime<Utc>>,
    /// When it was complete.
    #[serde(serialize_with = "instant")]
    pub ended: Option<DateTime<Utc>>,
    /// What was removed or changed.
    pub done: Vec<Done>,
    /// What remains, and on which ground.
    pub remains: Vec<Remaining>,
    /// Copies that retentiond cannot reach.
    pub beyond_reach: Vec<BeyondReach>,
    /// When the last backup that may hold the person expires; none when `[state] backup_horizon` does not say.
    #[serde(serialize_with = "instant")]
    pub backups_expire: Option<DateTime<Utc>>,
    /// The zone in which the text shows instants.
    #[serde(skip)]
    pub zone: chrono_tz::Tz,
}

/// One identifier.
#[derive(Clone, Debug, Serialize)]
pub struct Hashed {
    /// Its kind.
    pub kind: String,
    /// Its keyed hash.
    pub digest: String,
}

/// What was done to the rows of one entry.
#[derive(Clone, Debug, Serialize)]
pub struct Done {
    /// The entry.
    pub data: DataName,
    /// Its store.
    pub store: StoreName,
    /// What.
    pub action: Action,
    /// Rows.
    pub rows: u64,
    /// Files.
    pub files: u64,
}

/// Copies out of reach.
#[derive(Clone, Debug, Serialize)]
pub struct BeyondReach {
    /// The category.
    pub category: CategoryName,
    /// What and where.
    pub copies: String,
}

impl Receipt {
    /// The identifiers.
    pub fn hashed(marks: &[Mark]) -> Vec<Hashed> {
        marks.iter().map(|(kind, digest)| Hashed { kind: kind.clone(), digest: digest.clone() }).collect()
    }

    /// What a run did, entry by entry.
    pub fn done(report: &Report) -> Vec<Done> {
        let steps = report.steps.iter().filter(|step| step.rows > 0 || step.files > 0);
        steps
            .map(|step| Done {
                data: step.data.clone(),
                store: step.store.clone(),
                action: step.action,
                rows: step.rows,
                files: step.files,
            })
            .collect()
    }
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |instant: Option<DateTime<Utc>>| instant.map(|at| show_instant(at, self.zone)).unwrap_or_default();
        writeln!(f, "Receipt of erasure {}", self.erasure)?;
        writeln!(f, "  a {}, from {} to {}, plan {}", self.person, at(self.begun), at(self.ended), self.plan)?;
        for hashed in &self.identifiers {
            writeln!(f, "  {} (keyed hash) {}", hashed.kind, hashed.digest)?;
        }
        writeln!(f, "Removed or changed:")?;
        for done in &self.done {
            let files = if done.files > 0 { format!(", {} files", grouped(done.files)) } else { String::new() };
            let (data, store) = (done.data.as_str(), &done.store);
            writeln!(
                f,
                "  {data:<28} {:<10} {:>10} rows{files}  in {store}",
                done.action.as_str(),
                grouped(done.rows)
            )?;
        }
        if self.done.is_empty() {
            writeln!(f, "  nothing was there")?;
        }
        if !self.remains.is_empty() {
            writeln!(f, "Remains:")?;
        }
        for left in &self.remains {
            writeln!(f, "  {:<28} {:>10} rows: {}", left.data.as_str(), grouped(left.rows), left.ground)?;
        }
        for copies in &self.beyond_reach {
            writeln!(f, "Beyond reach ({}): {}", copies.category, copies.copies)?;
        }
        match self.backups_expire {
            Some(expire) => {
                write!(f, "The last backup that may hold this person expires on {}.", show_instant(expire, self.zone))
            }
            None => write!(
                f,
                "When the last backup that may hold this person expires is not said ([state] backup_horizon)."
            ),
        }
    }
}
