//! How a run is told to who asked for it.

use super::{Ended, Ran, Refusal};
use crate::control::planning::how_to_pass;
use crate::control::said::Said;
use crate::jobs::{Job, Outcome};
use crate::plan::{describe, grouped};

impl Ran {
    /// The run, for people and for programs. `zone` is the zone that instants are shown in.
    pub fn said(&self, job: &dyn Job, zone: chrono_tz::Tz) -> Said {
        let name = job.name();
        let errors = match &self.ended {
            Ended::Refused(Refusal::Running { host, pid, .. }) => {
                vec![format!("error: job {name} is running already (process {pid} on {host})")]
            }
            Ended::Refused(Refusal::Paused) => vec![format!(
                "error: job {name} is paused; `retentiond resume {name}` or, after a pause of all, `retentiond resume` lets it go on"
            )],
            Ended::Refused(Refusal::Done) => vec![format!("error: job {name}: this was done already")],
            Ended::Refused(Refusal::Clock(why)) => vec![format!("error: job {name}: {why}")],
            Ended::Failed(error) => vec![format!("error: job {name}: {error}")],
            Ended::With(_) => Vec::new(),
        };
        let text = match &self.ended {
            Ended::Refused(_) => String::new(),
            Ended::With(_) | Ended::Failed(_) => self.text(job, zone),
        };
        Said { exit: self.exit(), text, errors, json: self.to_json(job) }
    }

    fn text(&self, job: &dyn Job, zone: chrono_tz::Tz) -> String {
        let report = &self.report;
        if self.outcome() == Outcome::Braked
            && let Some(plan) = &report.plan
        {
            return format!("{}\n{}", describe(plan, zone, false), how_to_pass(plan));
        }
        let mut lines = vec![format!(
            "{}: {}, {} rows and {} files in {:.1} s",
            job.name(),
            self.outcome().as_str(),
            grouped(report.rows()),
            grouped(report.files()),
            report.removing.as_secs_f64()
        )];
        for step in report.steps.iter().filter(|step| step.rows > 0 || step.files > 0) {
            let files = if step.files > 0 { format!(", {} files", grouped(step.files)) } else { String::new() };
            lines.push(format!(
                "  {:<28} {:<10} {:>12} rows{files}  ({})",
                step.data.as_str(),
                step.action.as_str(),
                grouped(step.rows),
                step.rule
            ));
        }
        if report.missing_files > 0 {
            lines.push(format!("  {} files were not there", grouped(report.missing_files)));
        }
        lines.join("\n")
    }
}
