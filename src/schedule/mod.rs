//! When jobs run: which slots a schedule has, which of them are due, and what becomes of those that were missed.
//!
//! All of it is pure: no clock, no I/O, no thread. Whoever drives it ([`Engine::tick`] twice a second, say) gives it the
//! present instant and does what it decides. A **slot** is the instant at which a schedule says a job runs; it names the
//! run for ever, whenever it really begins.
//!
//! **Invariant.** A slot is started at most once, and under `catch_up = "all"` each slot exactly once, whatever the clock
//! does: stands still, leaps ahead, steps back, or is wrong for a while and then right again. A job that is new, or whose
//! schedule was changed, never runs for the past. Where several daemons share the work, what makes a slot unique is its
//! row in the state; the engine is told who had it ([`Ending::Taken`]).

mod engine;
mod guard;
mod preview;
mod spec;
mod timetable;

pub use engine::{Decision, Ending, Engine, Known, NoPlace, Skipped, Stopped};
pub use guard::Guard;
pub use preview::{Coming, Touch};
pub use spec::{Blackouts, Spec};
pub use timetable::{Slot, Timetable};

#[cfg(test)]
mod tests;
