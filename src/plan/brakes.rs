//! Limits that stop a run before its first deletion.
//!
//! **Invariant.** The brakes look at the finished plan; a run with a brake that was not released does nothing. The age
//! floor cannot be released, only lowered in the file.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{Action, Plan};
use crate::config::document::{
    Brakes, DEFAULT_MAX_PERCENT, DEFAULT_MAX_PERSONS, DEFAULT_MAX_ROWS, DEFAULT_MAX_TIMES_USUAL,
};
use crate::names::DataName;

/// Tables smaller than this know no percentage: half of ten rows is nothing.
const PERCENT_FROM_ROWS: u64 = 1_000;

/// So few persons are no share.
const FEW_PERSONS: u64 = 2;

/// The brakes by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum BrakeName {
    /// Most rows of a run.
    MaxRows,
    /// Most of a table in percent.
    MaxPercent,
    /// Most rows as a multiple of the usual.
    MaxTimesUsual,
    /// The least age of what is removed.
    AgeFloor,
    /// The policy removes more than the one that the job followed last. Stops scheduled runs only.
    #[value(skip)]
    Widened,
    /// Most persons of a run.
    MaxPersons,
    /// The persons' database is older than our memory of it.
    PersonsRestored,
}

impl BrakeName {
    /// The key in `[brakes]`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MaxRows => "max_rows",
            Self::MaxPercent => "max_percent",
            Self::MaxTimesUsual => "max_times_usual",
            Self::AgeFloor => "age_floor",
            Self::Widened => "widened",
            Self::MaxPersons => "max_persons",
            Self::PersonsRestored => "persons_restored",
        }
    }
}

/// One brake that stops a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Brake {
    /// Which.
    pub brake: BrakeName,
    /// Its limit.
    pub limit: f64,
    /// What was found.
    pub found: f64,
    /// The entry it was found in, if it is one entry's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<DataName>,
    /// What it found, in words, where a number does not say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl Brake {
    fn new(brake: BrakeName, limit: f64, found: f64, data: Option<DataName>) -> Self {
        Self { brake, limit, found, data, why: None }
    }

    /// The brake for a policy that has become wider.
    pub fn widened(reasons: &[String]) -> Self {
        let why = Some(reasons.join("; "));
        Self { why, ..Self::new(BrakeName::Widened, 0.0, reasons.len() as f64, None) }
    }
}

impl std::fmt::Display for Brake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let entry = self.data.as_ref().map(|data| format!(" of `{data}`")).unwrap_or_default();
        let (limit, found) = (self.limit, self.found);
        match self.brake {
            BrakeName::MaxRows => write!(f, "max_rows: {found} rows would go, the limit is {limit}"),
            BrakeName::MaxPercent => {
                write!(f, "max_percent: {found:.1} %{entry} would go, the limit is {limit} %")
            }
            BrakeName::MaxTimesUsual => {
                write!(
                    f,
                    "max_times_usual: {found:.1} times the usual number of rows would go, the limit is {limit} times"
                )
            }
            BrakeName::MaxPersons => {
                write!(f, "max_persons: data of {found} persons would go, the limit is {limit}")
            }
            BrakeName::PersonsRestored => {
                write!(
                    f,
                    "persons_restored: the database{entry} knows of {found} looks at it, not of {limit}: it was restored, and persons may seem gone who are not"
                )
            }
            BrakeName::AgeFloor => {
                write!(f, "age_floor: rows{entry} of only {found:.1} hours would go, the floor is {limit} hours")
            }
            BrakeName::Widened => {
                write!(
                    f,
                    "widened: the policy may remove more than before: {}",
                    self.why.as_deref().unwrap_or_default()
                )
            }
        }
    }
}

/// The limits of one job: its own, else the file's, else the defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    max_rows: u64,
    max_percent: f64,
    max_times_usual: f64,
    max_persons: u64,
    age_floor: TimeDelta,
}

impl Limits {
    /// Joins the job's brakes with those of the file.
    pub fn of(job: Option<&Brakes>, file: &Brakes) -> Self {
        let said = |get: fn(&Brakes) -> Option<f64>| job.and_then(get).or_else(|| get(file));
        Self {
            max_rows: job.and_then(|brakes| brakes.max_rows).or(file.max_rows).unwrap_or(DEFAULT_MAX_ROWS),
            max_percent: said(|brakes| brakes.max_percent).unwrap_or(DEFAULT_MAX_PERCENT),
            max_times_usual: said(|brakes| brakes.max_times_usual).unwrap_or(DEFAULT_MAX_TIMES_USUAL),
            max_persons: job.and_then(|brakes| brakes.max_persons).or(file.max_persons).unwrap_or(DEFAULT_MAX_PERSONS),
            age_floor: job
                .and_then(|brakes| brakes.age_floor.as_ref())
                .or(file.age_floor.as_ref())
                .map_or(TimeDelta::hours(24), |floor| floor.approximate()),
        }
    }

    /// The limits for comparing policies: of each, more is looser.
    pub fn looseness(&self) -> std::collections::BTreeMap<String, f64> {
        let all = [
            ("max_rows", self.max_rows as f64),
            ("max_percent", self.max_percent),
            ("max_times_usual", self.max_times_usual),
            ("age_floor", -(self.age_floor.num_seconds() as f64)),
        ];
        all.into_iter().map(|(name, limit)| (name.to_owned(), limit)).collect()
    }

    /// Most persons of a run.
    pub fn max_persons(&self) -> u64 {
        self.max_persons
    }

    /// The brakes that the plan runs into. `usual` is the median of the job's last complete runs.
    pub fn look_at(&self, plan: &Plan, usual: Option<u64>, now: DateTime<Utc>) -> Vec<Brake> {
        let mut brakes = Vec::new();
        if plan.rows > self.max_rows {
            brakes.push(Brake::new(BrakeName::MaxRows, self.max_rows as f64, plan.rows as f64, None));
        }
        brakes.extend(self.percent(plan));
        if let Some(usual) = usual
            && usual > 0
        {
            let found = plan.rows as f64 / usual as f64;
            if found > self.max_times_usual {
                brakes.push(Brake::new(BrakeName::MaxTimesUsual, self.max_times_usual, found, None));
            }
        }
        brakes.extend(self.floor(plan, now));
        brakes
    }

    /// The brakes on persons: `going` lose something, `there` are left in the entry `data`.
    ///
    /// One or two persons are no share of anything, unless nobody is left at all.
    pub fn look_at_persons(&self, data: &DataName, going: u64, there: u64) -> Vec<Brake> {
        let mut brakes = Vec::new();
        let brake = |brake, limit, found| Brake { brake, limit, found, data: Some(data.clone()), why: None };
        if going > self.max_persons {
            brakes.push(brake(BrakeName::MaxPersons, self.max_persons as f64, going as f64));
        }
        let percent = going as f64 / (going + there).max(1) as f64 * 100.0;
        if going > 0 && percent > self.max_percent && (going > FEW_PERSONS || there == 0) {
            brakes.push(brake(BrakeName::MaxPercent, self.max_percent, (percent * 10.0).round() / 10.0));
        }
        brakes
    }

    /// Each table of the plan, children included; all rules of one table together.
    fn percent(&self, plan: &Plan) -> Vec<Brake> {
        let mut brakes: Vec<Brake> = Vec::new();
        for step in
            plan.steps.iter().filter(|step| step.table_rows >= PERCENT_FROM_ROWS && step.action != Action::Unlink)
        {
            if brakes.iter().any(|brake| brake.data.as_ref() == Some(&step.data)) {
                continue;
            }
            let rows: u64 = plan.steps.iter().filter(|other| other.data == step.data).map(|other| other.rows).sum();
            let found = (rows as f64 / step.table_rows as f64 * 1000.0).round() / 10.0;
            if rows as f64 / step.table_rows as f64 * 100.0 > self.max_percent {
                let data = Some(step.data.clone());
                brakes.push(Brake::new(BrakeName::MaxPercent, self.max_percent, found, data));
            }
        }
        brakes
    }

    fn floor(&self, plan: &Plan, now: DateTime<Utc>) -> Option<Brake> {
        let step = plan.steps.iter().find(|step| step.cutoff.is_some_and(|cutoff| now - cutoff < self.age_floor))?;
        let hours = |delta: TimeDelta| (delta.num_seconds() as f64 / 360.0).round() / 10.0;
        let (limit, found) = (hours(self.age_floor), hours(now - step.cutoff?));
        Some(Brake::new(BrakeName::AgeFloor, limit, found, Some(step.data.clone())))
    }
}
