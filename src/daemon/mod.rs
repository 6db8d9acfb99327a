//! `retentiond serve`: runs the jobs of a file on their schedules. The only asynchronous code, and little of it.
//!
//! **Threads.** The runtime ([`heartbeat`], [`socket`], signals) has one thread and waits for nothing but itself: it
//! ticks the engine, which is pure, and hands what that decides to the [`conductor`]. The conductor's thread writes to the
//! state: a slot is claimed there before anything else happens. Each run has a thread of its own ([`worker`], or
//! [`by_hand`] where somebody asks for it), on which stores are opened, used and closed. A panic of a run fails the run; nothing that a run waits for delays a tick.
//!
//! **Invariants.** A slot is claimed before its run begins, and is open until it has ended, so what a daemon leaves when it
//! is killed is taken up by the next (`store::state::slots`). Nothing is begun while the clock is in doubt ([`clocks`]), nor
//! while the state is away; a store that is away fails the jobs that need it and no other. A file that is refused changes
//! nothing ([`reload`]).
//!
//! Whoever wants to know what happens implements [`events::Listener`] and is started by [`listeners`].

mod by_hand;
mod clocks;
mod conductor;
mod core;
mod counter;
mod events;
mod guests;
mod heartbeat;
mod listeners;
mod notify;
mod policy;
mod reload;
mod serve;
mod single;
mod sites;
pub mod socket;
mod status;
mod worker;

pub use serve::{Serving, serve};
