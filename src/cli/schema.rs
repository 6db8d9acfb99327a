//! `retentiond schema`: the JSON Schema of jobs.toml, made from the types that read it, or of a report, made from those that
//! write it.

use crate::control::{Exit, Failure};
use crate::jobs::KINDS;

/// Prints the schema.
pub fn schema(report: bool) -> Result<Exit, Failure> {
    let kinds = || KINDS.iter().map(|kind| (kind.name, (kind.schema)())).collect();
    let schema = if report { crate::report::json_schema() } else { crate::config::schema::json_schema(kinds()) };
    let text = serde_json::to_string_pretty(&schema).map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
    say!("{text}");
    Ok(Exit::Done)
}
