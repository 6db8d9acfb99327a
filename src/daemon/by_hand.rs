//! A run that somebody asks the daemon for.
//!
//! **Invariant.** It is a run like those of the schedule, on a thread of its own: it has a place within the limits and the
//! job's lease, the same brakes stop it, and a daemon that is told to stop ends it after its batch. Whoever asked is told how
//! it goes, but it does not depend on them: it goes on when they are gone. `tests/work.rs` catches a breach.

use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::clocks;
use super::core::{Core, Running};
use super::events::Event;
use super::policy::{Policy, stores_of};
use super::socket::{Client, Meanwhile};
use super::worker::open;
use crate::clock::uptime;
use crate::config::Loaded;
use crate::control::planning::not_done;
use crate::control::ran::Ended;
use crate::control::roles::Caller;
use crate::control::runner::{Cause, Occasion, Options};
use crate::control::said::Said;
use crate::control::{Exit, Ran, exit_of, run_job};
use crate::jobs::Outcome;
use crate::jobs::session::RunProgress;
use crate::names::JobName;
use crate::plan::{BrakeName, Plan, show_instant};
use crate::removal::{Progress, Removed};
use crate::schedule::{Ending, NoPlace, Slot};
use crate::stop::Stop;

/// Progress is told no more often than this.
const EVERY: Duration = Duration::from_millis(200);

/// How somebody wants a run.
#[derive(Clone, Default)]
pub(super) struct Wanted {
    /// Brakes released.
    pub released: Vec<BrakeName>,
    /// No waiting.
    pub unpaced: bool,
    /// Whatever the window and the blackouts say.
    pub outside_window: bool,
}

/// Runs a job of this policy to its end.
pub(super) fn run(
    core: &Arc<Core>,
    (policy, part): (&Policy, &Loaded),
    name: &JobName,
    wanted: &Wanted,
    (caller, client): (&Caller, &Client),
) -> Said {
    let kind = part.document.jobs.get(name).map(|raw| raw.kind.clone()).unwrap_or_default();
    let site = match open(core, policy, name.as_str()) {
        Ok((site, _)) => site,
        Err(error) => return not_done(name, &kind, exit_of(&error), &error.to_string()),
    };
    let Some(job) = site.jobs.get(name) else {
        return not_done(name, &kind, Exit::Configuration, "it is not in the file any more");
    };
    let stores = stores_of(&part.document, &**job);
    let place = match Place::take(core, name, stores, wanted.outside_window) {
        Ok(place) => place,
        Err((exit, why)) => return not_done(name, &kind, exit, &why),
    };
    let options = options(core, part, &place, wanted, caller);
    let mut watching = Watching { client, job: &place.job, rows: 0, told: None };
    match run_job(&site, &site.own(&core.memory), &**job, &options, &mut watching) {
        Ok(ran) => {
            remember(core, &place.job, &ran);
            ran.said(&**job, part.document.timezone)
        }
        Err(failure) => not_done(name, &kind, failure.exit(), failure.text().trim_start_matches("error: ")),
    }
}

/// A place among the runs, left when this is dropped.
struct Place {
    core: Arc<Core>,
    job: String,
    slot: Slot,
    running: Running,
}

impl Place {
    /// Takes one, if there is one; else says why not.
    fn take(core: &Arc<Core>, name: &JobName, stores: Vec<String>, at_any_hour: bool) -> Result<Self, (Exit, String)> {
        if core.lost.load(Ordering::SeqCst) {
            return Err((Exit::Unreachable, "retentiond's own state is away".to_owned()));
        }
        let (job, slot) = (name.to_string(), core.clock.now());
        let running = Running { slot, stop: Stop::new(), cause: Cause::default() };
        // Both tables of what runs, the one of threads and the engine's, say the same at each instant.
        let mut all = core.running();
        let free = match all.entry(job.clone()) {
            Entry::Occupied(_) => return Err((Exit::Braked, no_place(core, &NoPlace::Going))),
            Entry::Vacant(free) => free,
        };
        let entered = core.engine().enter(&job, slot, stores, at_any_hour);
        match entered {
            Ok(()) => drop(free.insert(running.clone())),
            Err(why) => return Err((Exit::Braked, no_place(core, &why))),
        }
        drop(all);
        let place = Self { core: Arc::clone(core), job, slot, running };
        // Asked last: a daemon that is told to stop from now on stops this run as well.
        if core.stop.is_raised() {
            return Err((Exit::Braked, "the daemon is stopping".to_owned()));
        }
        Ok(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // In this order: the engine starts nothing of this job before its thread is seen to be free.
        self.core.running().remove(&self.job);
        let passed = self.core.engine().ended(&self.job, self.slot, Ending::Over, self.core.clock.now());
        debug_assert!(passed.is_none(), "the end of a run that had no slot passes over none");
    }
}

fn no_place(core: &Core, why: &NoPlace) -> String {
    match why {
        NoPlace::Going => "it is running already in this daemon; `retentiond history` shows how it ends".to_owned(),
        NoPlace::Jobs(most) => {
            format!("the daemon is running {most} jobs, as many as [limits] jobs lets it; try again when one has ended")
        }
        NoPlace::Store(store, most) => {
            format!(
                "{most} running jobs work on store `{store}`, as many as [limits] jobs_per_store lets them; try again when one has ended"
            )
        }
        NoPlace::Blackout(end) => {
            let end = show_instant(*end, core.policy().loaded.document.timezone);
            format!("it is in a blackout until {end}; --outside-window runs it all the same")
        }
    }
}

fn options(core: &Arc<Core>, part: &Loaded, place: &Place, wanted: &Wanted, caller: &Caller) -> Options {
    let watched = Arc::clone(core);
    let (job, who, uid) = (place.job.clone(), caller.name.clone(), caller.uid);
    Options {
        released: wanted.released.clone(),
        unpaced: wanted.unpaced,
        outside_window: wanted.outside_window,
        clock: core.clock,
        stop: place.running.stop.clone(),
        cause: place.running.cause.clone(),
        occasion: Occasion::Asked {
            doubt: Arc::new(move |now| watched.watch.doubt_at(now).map(clocks::in_words)),
            begun: Arc::new(move || {
                tracing::info!(job.name = job, caller = who, uid, "job {job} begins, since {who} asked for it");
            }),
        },
        lease: part.document.state.lease(),
    }
}

/// How it went stands in the log, in the metrics and in the daemon's line; nobody is written to of a failure, since somebody
/// sees it.
fn remember(core: &Core, job: &str, ran: &Ran) {
    if matches!(ran.ended, Ended::Refused(_)) {
        return;
    }
    if !matches!(ran.outcome(), Outcome::Braked | Outcome::Failed) {
        core.failing().remove(job);
    }
    core.tell(&Event::Asked { job, ran });
}

/// Tells whoever asked how the run goes.
struct Watching<'a> {
    client: &'a Client,
    job: &'a str,
    rows: u64,
    told: Option<Duration>,
}

impl Progress for Watching<'_> {
    fn batch(&mut self, removed: &Removed) {
        self.rows += removed.rows;
        let now = uptime();
        if self.told.is_none_or(|told| now.saturating_sub(told) >= EVERY) {
            self.told = Some(now);
            self.client.hint(Meanwhile::Progress { data: removed.data.to_string(), rows: self.rows });
        }
    }
}

impl RunProgress for Watching<'_> {
    fn begin(&mut self, plan: &Plan) {
        self.client.hint(Meanwhile::Planned { job: self.job.to_owned(), rows: plan.rows });
    }

    fn note(&mut self, text: &str) {
        tracing::info!(job.name = self.job, "job {}: {text}", self.job);
        self.client.hint(Meanwhile::Note { text: text.to_owned() });
    }
}
