//! Past runs and their outcomes.

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};

use super::said::Said;
use super::{Exit, Failure};
use crate::names::{JobName, TenantName};
use crate::plan::grouped;
use crate::store::pool::Database;
use crate::store::state::{self, RunRecord, StepRecord};

/// The last runs, newest first: of a job, of a tenant, or all.
///
/// # Errors
/// When the state cannot be read.
pub fn history(
    memory: &Database,
    (job, tenant): (Option<&JobName>, Option<&TenantName>),
    limit: i64,
    zone: chrono_tz::Tz,
) -> Result<Said, Failure> {
    let job = match (job, tenant) {
        (Some(job), Some(tenant)) if job.tenant().is_none() => Some(of_tenant(job, tenant)?),
        (job, _) => job.cloned(),
    };
    let runs = state::history(&mut *memory.conn()?, job.as_ref().map(JobName::as_str), limit)?;
    let runs: Vec<_> = match tenant {
        Some(tenant) => runs.into_iter().filter(|(run, _)| is_of(&run.job, tenant)).collect(),
        None => runs,
    };
    let records: Vec<serde_json::Value> = runs.iter().map(|(run, steps)| json(run, steps)).collect();
    let text = if runs.is_empty() { "no runs yet".to_owned() } else { table(&runs, zone).to_string() };
    Ok(Said::done(text, serde_json::json!({ "runs": records })))
}

fn of_tenant(job: &JobName, tenant: &TenantName) -> Result<JobName, Failure> {
    job.at(tenant).map_err(|error| Failure::new(Exit::Usage, format!("error: {error}")))
}

fn is_of(job: &str, tenant: &TenantName) -> bool {
    job.split_once('@').is_some_and(|(_, whose)| whose == tenant.as_str())
}

fn json(run: &RunRecord, steps: &[StepRecord]) -> serde_json::Value {
    let utc = |at: chrono::NaiveDateTime| at.and_utc().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let steps: Vec<serde_json::Value> = steps
        .iter()
        .map(|step| {
            serde_json::json!({
                "data": step.data, "store": step.store, "action": step.action, "rule": step.rule,
                "rows": step.row_count, "files": step.file_count, "held": step.held_count, "cutoff": step.cutoff.map(utc),
            })
        })
        .collect();
    serde_json::json!({
        "run": run.id, "job": run.job, "kind": run.kind, "outcome": run.outcome, "started": utc(run.started_at),
        "ended": run.ended_at.map(utc), "cutoff": run.cutoff.map(utc), "rows": run.row_count, "files": run.file_count,
        "host": run.host, "note": run.note, "slot": run.slot.map(utc), "trigger": run.started_by, "steps": steps,
    })
}

fn table(runs: &[(RunRecord, Vec<StepRecord>)], zone: chrono_tz::Tz) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["started", "trigger", "job", "outcome", "rows", "files", "took", "note"]);
    for (run, _) in runs {
        let right = |value: i64| Cell::new(grouped(value.unsigned_abs())).set_alignment(CellAlignment::Right);
        let took = run.ended_at.map(|end| (end - run.started_at).as_seconds_f64());
        table.add_row(vec![
            Cell::new(run.started_at.and_utc().with_timezone(&zone).format("%Y-%m-%d %H:%M:%S %Z")),
            Cell::new(run.started_by.as_deref().unwrap_or_default()),
            Cell::new(&run.job),
            Cell::new(run.outcome.as_deref().unwrap_or("running")),
            right(run.row_count),
            right(run.file_count),
            Cell::new(took.map_or_else(String::new, |seconds| format!("{seconds:.1} s")))
                .set_alignment(CellAlignment::Right),
            Cell::new(run.note.as_deref().unwrap_or_default()),
        ]);
    }
    table
}
