//! The thread that turns decisions into rows and runs.
//!
//! A decision to start becomes a claimed slot first and a run second. What is open in the state and nobody works on is
//! looked for every few seconds: that is how a killed daemon's runs are taken over, and how this one goes on after a
//! restart. While the state is away the engine is held, as if the daemon were down; when it is back the engine begins anew
//! from what the state knows, so nothing is lost that was not written.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::core::Core;
use super::events::Event;
use super::policy::Policy;
use super::worker::{self, Task};
use super::{notify, status};
use crate::clock::uptime;
use crate::config::timing::CatchUp;
use crate::control::Because;
use crate::schedule::{Decision, Ending, Skipped, Slot, Stopped};
use crate::store::state::{self, Claim, Claimed, NewSlot, OpenSlot, Trigger};
use crate::store::{Backend, StoreError};

/// How often the state is looked at.
const LOOK: Duration = Duration::from_secs(5);
/// A slot that was claimed elsewhere and not begun after this time is nobody's.
const GRACE: Duration = Duration::from_secs(30);
/// A slot whose run was interrupted so often is given up: it may be what kills the daemon.
const MOST_ATTEMPTS: u32 = 10;
/// While it stops, systemd is asked for more time so often.
const STOPPING: Duration = Duration::from_secs(5);

/// What the conductor hears.
pub(super) enum Message {
    /// The engine has decided.
    Decided(Vec<Decision>),
    /// A run is over.
    Over {
        /// The job.
        job: String,
        /// Its slot.
        slot: Slot,
        /// How.
        ending: Ending,
    },
    /// The daemon is to end.
    Stop,
}

/// The conductor.
pub(super) struct Conductor {
    core: Arc<Core>,
    messages: Receiver<Message>,
    looked: Option<Duration>,
    gave_time: Duration,
    told: String,
}

impl Conductor {
    /// Not running yet.
    pub fn new(core: Arc<Core>, messages: Receiver<Message>) -> Self {
        Self { core, messages, looked: None, gave_time: Duration::ZERO, told: String::new() }
    }

    /// Works until the daemon is told to stop and the last run has ended.
    pub fn run(mut self) {
        loop {
            let mut decisions = Vec::new();
            let mut over = false;
            let first = self.messages.recv_timeout(Duration::from_secs(1));
            if matches!(first, Err(RecvTimeoutError::Disconnected)) {
                break;
            }
            // All that has come together is written together.
            for message in first.into_iter().chain(self.messages.try_iter()) {
                match message {
                    Message::Decided(decided) => decisions.extend(decided),
                    Message::Over { job, slot, ending } => {
                        let now = self.core.clock.now();
                        let passed = self.core.engine().ended(&job, slot, ending, now);
                        decisions.extend(passed);
                        over = true;
                    }
                    Message::Stop => self.stop(),
                }
            }
            if over {
                // There is room for what waits; without this, it would wait for the next beat.
                decisions.extend(tick(&self.core));
            }
            self.carry_out(decisions);
            if self.core.stop.is_raised() {
                if self.core.running().is_empty() {
                    break;
                }
                self.ask_for_time();
            } else {
                self.look();
            }
            self.tell();
        }
    }

    fn stop(&self) {
        notify::stopping();
        self.core.engine().set_held(true);
        for running in self.core.running().values() {
            running.stop.raise();
        }
    }

    fn ask_for_time(&mut self) {
        let now = uptime();
        if now.saturating_sub(self.gave_time) >= STOPPING {
            self.gave_time = now;
            notify::give_time(STOPPING * 6);
        }
    }

    /// Writes down what was decided, and starts what is ours to start.
    fn carry_out(&mut self, decisions: Vec<Decision>) {
        let policy = self.core.policy();
        let mut new = Vec::new();
        let mut then = Vec::new();
        for decision in decisions {
            match decision {
                Decision::Stop { job, slot, why } => self.stop_run(&job, slot, why),
                Decision::Start { job, slot, attempt, late } => {
                    let trigger = if late { Trigger::CatchUp } else { Trigger::Schedule };
                    let task = Task { job, slot, attempt, trigger };
                    if attempt > 0 {
                        self.start(task);
                        continue;
                    }
                    let all = policy.catch_up(&task.job) == Some(CatchUp::All);
                    let claim = if all { Claim::Queue } else { Claim::Run };
                    new.push(NewSlot { job: task.job.clone(), slot, trigger, claim });
                    then.push(Then::Start(task));
                }
                Decision::Skip { job, slot, slots, why } => {
                    let slots = u64::try_from(slots).unwrap_or(u64::MAX);
                    let claim = Claim::LeaveOut(why.as_str(), slots);
                    new.push(NewSlot { job: job.clone(), slot, trigger: Trigger::Schedule, claim });
                    then.push(Then::Tell { job, slot, slots, why });
                }
            }
        }
        if new.is_empty() {
            return;
        }
        let now = self.core.clock.now();
        match self.core.memory.conn().and_then(|mut conn| state::claim(&mut conn, &new, now)) {
            Ok(claimed) => {
                for ((then, new), claimed) in then.into_iter().zip(new).zip(claimed) {
                    self.follow(then, &new, claimed);
                }
            }
            Err(error) => self.lose(&error),
        }
    }

    fn follow(&self, then: Then, new: &NewSlot, claimed: Claimed) {
        match (then, claimed) {
            (Then::Start(task), Claimed::Open) => self.start(task),
            (Then::Start(task), Claimed::Known { open: true }) if new.claim == Claim::Queue => self.start(task),
            (Then::Start(task), Claimed::Known { .. }) => self.ended(&task, Ending::Taken),
            (Then::Start(task), Claimed::LeftOut(_)) => {
                self.ended(&task, Ending::Taken);
                let why = Skipped::Overlap;
                self.core.tell(&Event::Skipped { job: &task.job, slot: task.slot, slots: 1, why });
            }
            // Several daemons pass over the same slots; the one that wrote it down tells.
            (Then::Tell { job, slot, slots, why }, Claimed::LeftOut(_)) => {
                self.core.tell(&Event::Skipped { job: &job, slot, slots, why });
            }
            (Then::Tell { job, slot, slots, why }, Claimed::Known { open: true }) => {
                self.give_up(&job, slot, why.as_str());
                self.core.tell(&Event::Skipped { job: &job, slot, slots, why });
            }
            (Then::Tell { .. }, Claimed::Open | Claimed::Known { open: false }) => {}
        }
    }

    fn start(&self, task: Task) {
        if self.core.stop.is_raised() || self.core.running().contains_key(&task.job) {
            // Its slot stays open, and is found later.
            self.ended(&task, Ending::Taken);
        } else if !worker::spawn(&self.core, task.clone()) {
            self.ended(&task, Ending::Busy);
        }
    }

    fn ended(&self, task: &Task, ending: Ending) {
        self.core.send(Message::Over { job: task.job.clone(), slot: task.slot, ending });
    }

    fn stop_run(&self, job: &str, slot: Slot, why: Stopped) {
        if let Some(running) = self.core.running().get(job).filter(|running| running.slot == slot) {
            running.cause.say(match why {
                Stopped::Timeout => Because::Timeout,
                Stopped::Blackout => Because::Blackout,
            });
            running.stop.raise();
        }
    }

    fn give_up(&self, job: &str, slot: Slot, outcome: &str) {
        let now = self.core.clock.now();
        let given = self.core.memory.conn().and_then(|mut conn| state::give_up(&mut conn, job, slot, outcome, now));
        if let Err(error) = given {
            tracing::warn!(%error, job.name = job, "a slot that is given up stays open for now");
        }
    }

    /// Looks at the state: pauses, doubts about the clock, slots that nobody works on.
    fn look(&mut self) {
        let now = uptime();
        self.core.conducted.store(u64::try_from(now.as_millis()).unwrap_or(u64::MAX), Ordering::SeqCst);
        if self.looked.is_some_and(|looked| now.saturating_sub(looked) < LOOK) {
            return;
        }
        self.looked = Some(now);
        self.core.sites.let_go();
        let policy = self.core.policy();
        if self.core.lost.load(Ordering::SeqCst) && !self.find(&policy) {
            return;
        }
        if let Err(error) = self.try_look(&policy) {
            self.lose(&error);
        }
    }

    fn try_look(&self, policy: &Policy) -> Result<(), StoreError> {
        let mut conn = self.core.memory.conn()?;
        let mut paused = state::paused(&mut conn)?;
        let all = paused.remove("");
        self.core.engine().set_paused(all, paused);
        if let Some(changed) = self.core.watch.remember(&mut conn)? {
            self.core.tell(&Event::Clock(changed));
        }
        if self.core.watch.doubt().is_some() || all {
            return Ok(());
        }
        let now = self.core.clock.now();
        let there = state::server_now(&mut conn, self.core.clock)?;
        // With a state on SQLite no other daemon is there to be waited for.
        let grace = if conn.backend() == Backend::Sqlite { Duration::ZERO } else { GRACE };
        let orphans = state::orphans(&mut conn, grace, now, there)?;
        drop(conn);
        for orphan in orphans {
            self.take_up(policy, orphan, now);
        }
        Ok(())
    }

    /// Goes on with a slot that nobody works on.
    fn take_up(&self, policy: &Policy, orphan: OpenSlot, now: DateTime<Utc>) {
        if self.core.running().contains_key(&orphan.job) || !policy.loaded.document.enabled {
            return;
        }
        let OpenSlot { job, slot, trigger, attempts, .. } = orphan;
        let Some(spec) = policy.specs.get(&job) else { return self.give_up(&job, slot, "missed") };
        let late = now - slot - spec.offset;
        let too_old = spec.max_age.is_some_and(|age| late > age);
        let unwanted = spec.catch_up == CatchUp::Skip && late > TimeDelta::seconds(60);
        if too_old || unwanted {
            self.give_up(&job, slot, if too_old { Skipped::TooOld.as_str() } else { Skipped::Missed.as_str() });
            let why = if too_old { Skipped::TooOld } else { Skipped::Missed };
            return self.core.tell(&Event::Skipped { job: &job, slot, slots: 1, why });
        }
        if attempts >= MOST_ATTEMPTS {
            tracing::error!(job.name = job, "job {job}: its runs were interrupted {attempts} times, it is given up");
            return self.give_up(&job, slot, "failed");
        }
        let room = self.core.running().len() < policy.limits().jobs.get();
        if room && spec.blackouts.end(now).is_none() {
            self.start(Task { job, slot, attempt: 0, trigger });
        }
    }

    fn lose(&mut self, error: &StoreError) {
        self.core.engine().set_held(true);
        self.looked = Some(uptime());
        if !self.core.lost.swap(true, Ordering::SeqCst) {
            self.core.tell(&Event::State(Some(&error.to_string())));
        }
    }

    /// Begins anew from what the state knows, if it is back.
    fn find(&self, policy: &Policy) -> bool {
        if self.core.begin_anew(policy).is_err() {
            return false;
        }
        self.core.lost.store(false, Ordering::SeqCst);
        self.core.tell(&Event::State(None));
        true
    }

    /// Tells systemd how things are, when that has changed.
    fn tell(&mut self) {
        let line = status::line(&self.core);
        if line != self.told {
            notify::status(&line);
            self.told = line;
        }
    }
}

/// What follows once a slot was written down.
enum Then {
    Start(Task),
    Tell { job: String, slot: Slot, slots: u64, why: Skipped },
}

/// Lets the engine decide, unless something forbids to begin anything.
pub(super) fn tick(core: &Core) -> Vec<Decision> {
    let held = core.stop.is_raised() || core.lost.load(Ordering::SeqCst) || core.watch.doubt().is_some();
    let mut engine = core.engine();
    engine.set_held(held);
    engine.tick(core.clock.now())
}
