//! The keys that every job may have, whatever its kind: when it runs, and what happens when it could not.

use schemars::JsonSchema;
use serde::Deserialize;

use super::blackout::{Blackout, end_of_all};
use super::cron::Cron;
use super::diagnostic::Diagnostics;
use super::span::Span;
use super::values::{UrlSource, Zone};
use crate::names::JobName;

/// When a job runs.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Timing {
    /// When it runs: five cron fields (minute hour day month weekday), six with a second before them, or `@daily`,
    /// `@hourly`, `@weekly`, `@monthly`, `@yearly`. A time that daylight saving skips is made up right after the gap; one
    /// that comes twice counts once, at its first coming. A schedule of every hour (`*`) follows real time. Without it,
    /// the job runs by hand only.
    pub schedule: Option<Cron>,
    /// The zone of `schedule` and `blackout`. Default: the file's.
    pub timezone: Option<Zone>,
    /// What becomes of runs that were missed, because the daemon was down or in a blackout: `latest` makes up for the last
    /// of them, `all` for each, in order, `skip` for none. The default depends on the kind.
    pub catch_up: Option<CatchUp>,
    /// Runs that were missed for longer than this are not made up. Default: however long.
    pub catch_up_max_age: Option<Span>,
    /// What becomes of a run that is due while the one before is still going: it is left out, and counted.
    #[serde(default)]
    pub overlap: Overlap,
    /// Runs are put off by up to this much: always by the same on one host, so that many hosts do not begin at once.
    pub spread: Option<Span>,
    /// A run that takes longer is stopped after its present batch.
    pub timeout: Option<Span>,
    /// How often a run that failed for a reason that may pass (a server away, a lock) is tried again.
    #[serde(default)]
    pub retry: Retry,
    /// Times in which it does not run, in the job's zone: `"Fri 18:00-Mon 06:00"`, `"2026-12-20/2027-01-03"`. What falls
    /// there is made up afterwards as `catch_up` says; a run that is still going is stopped.
    #[serde(default)]
    pub blackout: Vec<Blackout>,
    /// A dead man's switch (the protocol of healthchecks.io): told when a run begins (`/start`), succeeds, or fails
    /// (`/fail`), so that silence is noticed. `"https://…"`, or where to find it.
    pub ping_url: Option<UrlSource>,
}

/// The keys of [`Timing`].
pub const KEYS: [&str; 10] = [
    "schedule",
    "timezone",
    "catch_up",
    "catch_up_max_age",
    "overlap",
    "spread",
    "timeout",
    "retry",
    "blackout",
    "ping_url",
];

/// What becomes of runs that were missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CatchUp {
    /// The last of them runs: one late run does what all would have done.
    Latest,
    /// Each of them runs, in order.
    All,
    /// None of them runs.
    Skip,
}

impl CatchUp {
    /// The word in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Latest => "latest",
            Self::All => "all",
            Self::Skip => "skip",
        }
    }
}

/// What becomes of a run that is due while the one before is still going.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Overlap {
    /// It is left out, and counted. Where `catch_up` is `all`, it waits instead.
    #[default]
    Skip,
}

/// How often, and after how long, a run that failed for a reason that may pass is tried again.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// How often. Default 3; 0 for never.
    #[serde(default = "Retry::default_max")]
    pub max: u32,
    /// The wait before the first; each next one is twice as long. Default 30 seconds.
    #[serde(default = "Retry::default_base")]
    pub base: Span,
    /// The longest wait. Default 10 minutes.
    #[serde(default = "Retry::default_cap")]
    pub cap: Span,
}

impl Retry {
    fn default_max() -> u32 {
        3
    }

    fn default_base() -> Span {
        Span::of_seconds(30)
    }

    fn default_cap() -> Span {
        Span::of_seconds(600)
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self { max: Self::default_max(), base: Self::default_base(), cap: Self::default_cap() }
    }
}

impl Timing {
    /// What is wrong or odd when the keys are looked at together.
    pub(super) fn check(&self, job: &JobName, diagnostics: &mut Diagnostics) {
        let path = |key: &str| vec!["jobs".to_owned(), job.to_string(), key.to_owned()];
        if self.retry.base.length() > self.retry.cap.length() {
            let message =
                format!("the first wait ({}) is longer than the longest ({})", self.retry.base, self.retry.cap);
            diagnostics.error(path("retry"), message);
        }
        if let Some(UrlSource::Literal(url)) = &self.ping_url
            && !url.starts_with("https://")
            && !url.starts_with("http://")
        {
            let help = "write \"https://…\", or { env = \"…\" } for one that is a secret".to_owned();
            diagnostics.error(path("ping_url"), "this is no address to ping").with_help(Some(help));
        }
        let Some(schedule) = &self.schedule else { return };
        if schedule.takes_either_day() {
            let message = "both a day of the month and a weekday are said: it runs on days that are either";
            let help = "write `+` before the weekday for days that are both, or `*` for one of them".to_owned();
            diagnostics.warning(path("schedule"), message).with_help(Some(help));
        }
        if self.never_runs(schedule) {
            let help = "shorten a blackout, or choose another time".to_owned();
            diagnostics.error(path("blackout"), "the blackouts leave this job no time to run").with_help(Some(help));
        }
    }

    /// Whether blackouts hold for ever, or all times of a job that makes nothing up fall into them.
    fn never_runs(&self, schedule: &Cron) -> bool {
        let somewhen = chrono::NaiveDate::from_ymd_opt(2026, 1, 1).unwrap_or_default().into();
        let mut times = std::iter::successors(schedule.next_civil(somewhen), |at| schedule.next_civil(*at));
        if self.catch_up == Some(CatchUp::Skip) {
            // Blackouts of days pass; only weekly ones can take all times.
            let weekly: Vec<&Blackout> = self.blackout.iter().filter(|blackout| blackout.is_weekly()).collect();
            return times.take(1_000).all(|at| weekly.iter().any(|blackout| blackout.end(at).is_some()));
        }
        times.next().is_some_and(|at| matches!(end_of_all(&self.blackout, at), Some(Err(_))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_are_those_of_the_type() {
        let schema = schemars::schema_for!(Timing);
        let properties = schema.get("properties").and_then(|keys| keys.as_object()).unwrap();
        let mut keys: Vec<&str> = KEYS.to_vec();
        keys.sort_unstable();
        let mut said: Vec<&str> = properties.keys().map(String::as_str).collect();
        said.sort_unstable();
        assert_eq!(keys, said);
    }
}
