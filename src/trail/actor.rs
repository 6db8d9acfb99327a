//! Who acts: a role, and the number of a Unix user.

use std::cell::Cell;
use std::sync::OnceLock;

use super::canonical::Item;

/// In which role somebody acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The daemon itself, by its schedules.
    Service,
    /// Who installs the program, and can do anything.
    Root,
    /// Who sees to it that it runs.
    Operator,
    /// Who administers the application's users.
    Administrator,
    /// The data protection officer.
    Dpo,
    /// Who checks the others.
    Auditor,
}

impl Role {
    /// The word in records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Root => "root",
            Self::Operator => "operator",
            Self::Administrator => "administrator",
            Self::Dpo => "dpo",
            Self::Auditor => "auditor",
        }
    }
}

/// Who acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Actor {
    /// In which role.
    pub role: Role,
    /// As which Unix user.
    pub uid: u32,
}

/// Who started this process, when somebody has said so.
static PROCESS: OnceLock<Actor> = OnceLock::new();

thread_local! {
    /// For whom this thread works, when that is somebody else.
    static THREAD: Cell<Option<Actor>> = const { Cell::new(None) };
}

impl Actor {
    /// Whoever acts here: for whom this thread works ([`Actor::is_thread`]), who started this process
    /// ([`Actor::is_process`]), or the user that it runs as.
    pub fn present() -> Self {
        THREAD
            .get()
            .or_else(|| PROCESS.get().copied())
            .unwrap_or_else(|| Self::of_uid(rustix::process::getuid().as_raw()))
    }

    /// Says who started this process; the first word counts.
    pub fn is_process(self) {
        PROCESS.get_or_init(|| self);
    }

    /// Says for whom this thread works from now on: a daemon does what somebody asks for on a thread of its own.
    pub fn is_thread(self) {
        THREAD.set(Some(self));
    }

    /// Somebody at the keyboard.
    pub fn of_uid(uid: u32) -> Self {
        Self { role: if uid == 0 { Role::Root } else { Role::Operator }, uid }
    }
}

impl From<Actor> for Item {
    fn from(actor: Actor) -> Self {
        Self::map([("role", actor.role.as_str().into()), ("uid", u64::from(actor.uid).into())])
    }
}
