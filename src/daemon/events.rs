//! What happens in the daemon, told to whoever wants to know: the log, alerts, pings, metrics.
//!
//! A listener is called on the thread where the thing happened, a run's or the conductor's, never on the runtime. It may
//! take its time over a run's event; whatever it does must not fail the daemon, so it has no error to give back.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use crate::control::{Failure, Ran};
use crate::jobs::Outcome;
use crate::schedule::Skipped;
use crate::store::pool::Database;
use crate::store::state::Trigger;

/// So many mistakes of a file are logged.
const MISTAKES: usize = 20;

/// Something that happened.
#[derive(Debug)]
pub enum Event<'a> {
    /// A run begins: it has its job's lease. What is refused before has no beginning and no end.
    Started(Due<'a>),
    /// A run that has begun could not be remembered, since the state is away: how it ended is not known here. Its slot is
    /// taken up again.
    Lost(Due<'a>),
    /// A run is over; `ran.again` says whether its slot will be tried again.
    Finished {
        /// What was due.
        due: Due<'a>,
        /// How it went.
        ran: &'a Ran,
    },
    /// A run that somebody asked for is over. Who asked is told; others are written to only when it ends their trouble.
    Asked {
        /// The job.
        job: &'a str,
        /// How it went.
        ran: &'a Ran,
    },
    /// Slots were passed over.
    Skipped {
        /// The job.
        job: &'a str,
        /// The last of the slots.
        slot: DateTime<Utc>,
        /// How many.
        slots: u64,
        /// Why.
        why: Skipped,
    },
    /// The wall clock jumped by this much, or is right again (`None`); while it is in doubt nothing is begun.
    Clock(Option<TimeDelta>),
    /// The state cannot be reached (with the reason), or is back (`None`); while it is away nothing is begun.
    State(Option<&'a str>),
    /// A new file is followed from now on.
    Reloaded,
    /// A new file was refused, and the old one is followed; all its mistakes.
    ReloadRefused(&'a Failure),
}

/// What a run is for.
#[derive(Clone, Copy, Debug)]
pub struct Due<'a> {
    /// The job.
    pub job: &'a str,
    /// When it was due.
    pub slot: DateTime<Utc>,
    /// Why it runs now.
    pub trigger: Trigger,
}

/// Hears what happens.
pub trait Listener: Send + Sync {
    /// Something happened. `memory` is the daemon's state.
    fn hear(&self, event: &Event<'_>, memory: &Database);
}

/// All that listen.
#[derive(Clone)]
pub struct Listeners(Vec<Arc<dyn Listener>>);

impl Listeners {
    /// The log, and these.
    pub fn new(others: Vec<Arc<dyn Listener>>) -> Self {
        let log: Arc<dyn Listener> = Arc::new(Log);
        Self(std::iter::once(log).chain(others).collect())
    }

    /// Tells all.
    pub fn tell(&self, event: &Event<'_>, memory: &Database) {
        for listener in &self.0 {
            listener.hear(event, memory);
        }
    }
}

/// Writes events to the log.
struct Log;

impl Listener for Log {
    fn hear(&self, event: &Event<'_>, _: &Database) {
        match event {
            Event::Started(due) => tracing::info!(
                job.name = due.job,
                run.slot = %due.slot,
                run.trigger = due.trigger.as_str(),
                "job {} begins",
                due.job
            ),
            // Why is logged where it is found out.
            Event::Lost(_) => {}
            Event::Finished { due, ran } => finished(due, ran),
            Event::Asked { job, ran } => asked(job, ran),
            Event::Skipped { job, slot, slots, why } => tracing::warn!(
                job.name = *job,
                run.slot = %slot,
                slots = *slots,
                "job {job}: {slots} slots up to {slot} are passed over: {}",
                why.as_str()
            ),
            Event::Clock(Some(ahead)) => tracing::error!(
                clock.seconds = ahead.num_seconds(),
                "the clock jumped by {} s: nothing is begun until it is right again or `retentiond accept-clock` accepts it",
                ahead.num_seconds()
            ),
            Event::Clock(None) => tracing::info!("the clock is trusted again"),
            Event::State(Some(why)) => tracing::error!("retentiond's own state is away, nothing is begun: {why}"),
            Event::State(None) => tracing::info!("retentiond's own state is back"),
            Event::Reloaded => tracing::info!("the file was read anew"),
            Event::ReloadRefused(why) => {
                let lines = why.lines(MISTAKES);
                tracing::error!(mistakes = lines.len(), "the new file was refused, and the old one is followed");
                lines.iter().for_each(|line| tracing::error!("{line}"));
            }
        }
    }
}

fn finished(due: &Due<'_>, ran: &Ran) {
    let (outcome, ms) = (ran.outcome().as_str(), u64::try_from(ran.took.as_millis()).unwrap_or(u64::MAX));
    let (rows, files) = (ran.report.rows(), ran.report.files());
    if ran.outcome() == Outcome::Braked {
        return braked(due, ran, ms);
    }
    match ran.error() {
        None => tracing::info!(
            job.name = due.job,
            run.id = ran.run.as_ref().map(|run| run.as_str()),
            run.outcome = outcome,
            run.rows = rows,
            run.files = files,
            run.duration_ms = ms,
            "job {}: {outcome}, {rows} rows and {files} files",
            due.job
        ),
        Some(error) => tracing::error!(
            job.name = due.job,
            run.id = ran.run.as_ref().map(|run| run.as_str()),
            run.outcome = outcome,
            run.rows = rows,
            run.files = files,
            run.duration_ms = ms,
            "job {}: {error}{}",
            due.job,
            if ran.again { "; it is tried again" } else { "" }
        ),
    }
}

fn asked(job: &str, ran: &Ran) {
    let (outcome, rows, files) = (ran.outcome().as_str(), ran.report.rows(), ran.report.files());
    let error = ran.error().map(|error| format!(": {error}")).unwrap_or_default();
    tracing::info!(
        job.name = job,
        run.id = ran.run.as_ref().map(|run| run.as_str()),
        run.outcome = outcome,
        run.rows = rows,
        run.files = files,
        "job {job}: {outcome}, {rows} rows and {files} files{error}"
    );
}

/// Which brakes stopped it, and the command that lets exactly this plan pass.
fn braked(due: &Due<'_>, ran: &Ran, ms: u64) {
    let Some(plan) = &ran.report.plan else { return };
    let stopped = plan.brakes.iter().map(|brake| {
        let found = brake.why.clone().unwrap_or_else(|| format!("{} of {}", brake.found, brake.limit));
        let place = brake.data.as_ref().map(|data| format!(" on {data}")).unwrap_or_default();
        format!("{}{place} ({found})", brake.brake.as_str())
    });
    let brakes = stopped.collect::<Vec<_>>().join(", ");
    tracing::warn!(
        job.name = due.job,
        run.id = ran.run.as_ref().map(|run| run.as_str()),
        run.outcome = Outcome::Braked.as_str(),
        run.plan = plan.plan.as_str(),
        run.brakes = brakes,
        run.duration_ms = ms,
        "job {0}: nothing was removed, since it was braked by {brakes}; `retentiond approve {0} {1}` lets this plan pass",
        due.job,
        plan.plan
    );
}
