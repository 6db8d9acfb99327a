//! Legal holds as people and programs read them; never about whom one is.

use chrono::{DateTime, NaiveDateTime, Utc};
use chrono_tz::Tz;
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::{Value, json};

use super::Listed;
use crate::names::CaseName;
use crate::plan::grouped;

impl Listed {
    /// Whether it stands; a case that only a store knows does.
    pub fn stands(&self, now: DateTime<Utc>) -> bool {
        self.record.as_ref().is_none_or(|record| record.is_active(now))
    }
}

/// What is said when a hold was placed.
pub fn placed(case: &CaseName, rows: u64) -> String {
    if rows == 0 {
        return format!("case {case} stands, but no row satisfies it now that the case did not hold before");
    }
    let rows = grouped(rows);
    format!(
        "case {case} holds {rows} more rows, what belongs to them and what they need; no batch that began before is in flight"
    )
}

/// The holds for programs.
pub fn to_json(holds: &[Listed], now: DateTime<Utc>) -> Value {
    let holds: Vec<Value> = holds.iter().map(|hold| json(hold, hold.stands(now))).collect();
    json!({ "holds": holds })
}

fn json(hold: &Listed, stands: bool) -> Value {
    let utc = |at: NaiveDateTime| at.and_utc().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let record = hold.record.as_ref();
    json!({
        "case": hold.case,
        "stands": stands,
        "what": record.map(|record| &record.what),
        "data": record.and_then(|record| record.data.as_ref()),
        "why": record.map(|record| &record.why),
        "placed": record.map(|record| utc(record.placed_at)),
        "placed_by": record.map(|record| &record.placed_by),
        "ends": record.and_then(|record| record.ends_at).map(utc),
        "released": record.and_then(|record| record.released_at).map(utc),
        "released_by": record.and_then(|record| record.released_by.as_ref()),
        "approved_by": record.and_then(|record| record.approved_by.as_ref()),
        "rows_of_case": hold.rows,
    })
}

/// The holds as a table.
pub fn table(holds: &[Listed], zone: Tz) -> String {
    if holds.is_empty() {
        return "no holds".to_owned();
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["case", "about", "placed", "by", "until", "rows of the case", "why", "ended"]);
    for hold in holds {
        let day = |at: NaiveDateTime| at.and_utc().with_timezone(&zone).format("%Y-%m-%d %H:%M").to_string();
        let rows: Vec<String> =
            hold.rows.iter().map(|(store, rows)| format!("{} in {store}", grouped(*rows))).collect();
        let Some(record) = &hold.record else {
            let why = "retentiond's state does not know this case; its rows stay held until it is released";
            table.add_row([hold.case.as_str(), "", "", "", "", &rows.join(", "), why, ""]);
            continue;
        };
        let about = record.data.as_ref().map_or_else(|| format!("a {}", record.what), |data| format!("rows of {data}"));
        let ended = match (record.released_at, &record.released_by, &record.approved_by) {
            (Some(at), Some(by), Some(second)) => format!("released {} by {by} and {second}", day(at)),
            _ => String::new(),
        };
        let until = record.ends_at.map(day).unwrap_or_default();
        table.add_row([
            record.hold_case.as_str(),
            &about,
            &day(record.placed_at),
            &record.placed_by,
            &until,
            &rows.join(", "),
            &record.why,
            &ended,
        ]);
    }
    table.to_string()
}
