//! Who may do what through the daemon: roles are Unix groups, and the caller is who the kernel says.
//!
//! **Invariant.** What a caller may do follows from what the kernel tells of the connection and from the file alone,
//! never from what the caller says. Who may not is refused with the roles that would be needed, before anything is looked
//! up; the refusal is recorded by [`refuse`], the one place for it.

use std::collections::BTreeSet;
use std::fmt;
use std::process::{Command, Stdio};

use super::failure::{Exit, Failure};
use crate::clock::Clock;
use crate::config::document::Roles;
use crate::config::values::OneOrMany;
use crate::store::pool::Database;
use crate::trail::{self, Act, Actor, Entry};

/// A role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Plans, runs, approves, pauses and resumes jobs, lets the file be read anew, accepts clocks, sees what is archived and
    /// the list of requests.
    Operator,
    /// Reports about anyone, erasures, holds.
    Dpo,
    /// Reads, verifies and exports the trail, sees what is archived and the lists of requests and of holds.
    Auditor,
    /// Reports about users, and the list of requests.
    Administrator,
}

impl Role {
    /// Its name in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Dpo => "dpo",
            Self::Auditor => "auditor",
            Self::Administrator => "administrator",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Every role: what each of them may do.
pub const ANY: &[Role] = &[Role::Operator, Role::Dpo, Role::Auditor, Role::Administrator];

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The Unix user, by name where there is one.
    pub name: String,
    /// The user's number.
    pub uid: u32,
    /// Root, or the daemon's own user: everything is allowed.
    everything: bool,
    groups: BTreeSet<String>,
}

impl Caller {
    /// Who the kernel says is at the other end.
    pub fn of(uid: u32, gid: u32) -> Self {
        // Asked by number, which names nobody else; a user or a group may be called like a number.
        let users = ask("/usr/bin/getent", &["passwd", &uid.to_string()]).unwrap_or_default();
        let name = named(&users, uid).next();
        let listed = name.as_ref().and_then(|name| ask("/usr/bin/id", &["-G", "--", name])).unwrap_or_default();
        let mut numbers: BTreeSet<u32> = listed.split_whitespace().filter_map(|number| number.parse().ok()).collect();
        // The group that the process has just now, which the kernel vouches for too (`sg`, a service's Group=).
        numbers.insert(gid);
        let asked: Vec<String> = numbers.iter().map(u32::to_string).collect();
        let asked: Vec<&str> = std::iter::once("group").chain(asked.iter().map(String::as_str)).collect();
        let entries = ask("/usr/bin/getent", &asked).unwrap_or_default();
        let groups = numbers.iter().flat_map(|number| named(&entries, *number)).collect();
        let own = rustix::process::geteuid().as_raw();
        let name = name.unwrap_or_else(|| format!("uid {uid}"));
        Self { name, uid, everything: uid == 0 || uid == own, groups }
    }

    /// The roles that the file gives this caller.
    pub fn roles(&self, roles: &Roles) -> BTreeSet<Role> {
        let all = [
            (Role::Operator, &roles.operator),
            (Role::Dpo, &roles.dpo),
            (Role::Auditor, &roles.auditor),
            (Role::Administrator, &roles.administrator),
        ];
        let holds = |groups: &Option<OneOrMany>| {
            groups.iter().flat_map(|groups| &groups.0).any(|group| self.groups.contains(group))
        };
        all.into_iter().filter(|(_, groups)| holds(groups)).map(|(role, _)| role).collect()
    }

    /// The caller as the trail names one: by the role that this needs, by another one where none of the caller's does, and
    /// without any as somebody at the keyboard.
    pub fn actor(&self, needed: &[Role], roles: &Roles) -> Actor {
        let own = self.roles(roles);
        let role = match needed.iter().find(|role| own.contains(role)).or(own.first()) {
            Some(Role::Dpo) => trail::Role::Dpo,
            Some(Role::Auditor) => trail::Role::Auditor,
            Some(Role::Administrator) => trail::Role::Administrator,
            Some(Role::Operator) => trail::Role::Operator,
            None => Actor::of_uid(self.uid).role,
        };
        Actor { role, uid: self.uid }
    }

    /// Whether one of these roles is the caller's.
    pub fn may(&self, needed: &[Role], roles: &Roles) -> bool {
        let own = self.roles(roles);
        self.everything || needed.iter().any(|role| own.contains(role))
    }
}

/// Refuses a command, and records that, in the trail and in the log.
pub fn refuse(
    caller: &Caller,
    (command, needed): (&'static str, &[Role]),
    roles: &Roles,
    memory: &Database,
    clock: Clock,
) -> Failure {
    record_refusal(caller.actor(needed, roles), command, "it needs another role", memory, clock);
    refused(caller, command, needed)
}

/// Records that a command was not carried out.
pub fn record_refusal(actor: Actor, command: &'static str, why: &'static str, memory: &Database, clock: Clock) {
    let entry = Entry { actor, ..Entry::new(Act::Refusal { why, command: Some(command) }) };
    if let Err(error) = trail::record(memory, clock, vec![entry]) {
        tracing::error!(%error, "a refusal could not be recorded");
    }
}

fn refused(caller: &Caller, command: &str, needed: &[Role]) -> Failure {
    let needed: Vec<&str> = needed.iter().map(|role| role.as_str()).collect();
    let needed = needed.join(" or ");
    tracing::warn!(
        caller = caller.name,
        uid = caller.uid,
        command,
        needed,
        "a command was refused: it needs another role"
    );
    let text = format!(
        "error: user {} may not control the daemon like this: `{command}` needs the role {needed} ([roles] in jobs.toml names its groups)",
        caller.name
    );
    Failure::new(Exit::Braked, text)
}

/// What a program of the system says. Users and groups may come from anywhere (LDAP, a local file), which it knows. One
/// that was asked of several, and does not know each, says what it knows.
pub(super) fn ask(program: &str, args: &[&str]) -> Option<String> {
    let asked = Command::new(program).args(args).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    Some(String::from_utf8_lossy(&asked.stdout).trim().to_owned())
}

/// The names that entries `name:password:number:…` give a number.
fn named(entries: &str, number: u32) -> impl Iterator<Item = String> {
    let entry = move |line: &str| {
        let mut fields = line.split(':');
        let (name, of) = (fields.next()?, fields.nth(1)?);
        (of.parse() == Ok(number) && !name.is_empty()).then(|| name.to_owned())
    };
    entries.lines().filter_map(entry).collect::<Vec<_>>().into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(groups: &[&str]) -> Caller {
        let groups = groups.iter().map(|group| (*group).to_owned()).collect();
        Caller { name: "jane".to_owned(), uid: 4_000_000, everything: false, groups }
    }

    #[test]
    fn names_are_those_of_the_number() {
        let entries = "27:x:4000:\nops:x:27:jane,joe\nno entry\n:x:27:\nops2:x:27:";
        assert_eq!(named(entries, 27).collect::<Vec<_>>(), ["ops", "ops2"]);
        assert_eq!(named(entries, 4000).collect::<Vec<_>>(), ["27"]);
        assert!(!Caller::of(4_000_000, 4_000_001).groups.contains("4000001"), "a group without a name is none");
    }

    #[test]
    fn who_has_several_roles_acts_in_the_one_that_is_needed() {
        let roles: Roles = toml::from_str("operator = \"ops\"\ndpo = \"privacy\"\nauditor = \"audit\"").unwrap();
        let both = caller(&["ops", "privacy"]);
        assert_eq!(both.actor(&[Role::Dpo], &roles).role, trail::Role::Dpo);
        assert_eq!(both.actor(&[Role::Operator], &roles).role, trail::Role::Operator);
        assert_eq!(caller(&["audit"]).actor(&[Role::Dpo], &roles).role, trail::Role::Auditor);
    }

    #[test]
    fn a_role_is_a_group_and_no_role_is_no_right() {
        let roles: Roles = toml::from_str("operator = \"ops\"\ndpo = [\"privacy\", \"legal\"]").unwrap();
        assert!(caller(&["legal"]).may(&[Role::Dpo], &roles));
        assert!(caller(&["ops", "users"]).may(ANY, &roles));
        assert!(!caller(&["ops"]).may(&[Role::Dpo, Role::Auditor], &roles));
        assert!(!caller(&["audit"]).may(ANY, &roles));
        assert!(!caller(&[]).may(ANY, &Roles::default()));
        assert!(Caller::of(0, 0).may(&[Role::Dpo], &Roles::default()));
        let text = refused(&caller(&["ops"]), "erase", &[Role::Dpo]);
        assert!(text.text().contains("jane") && text.text().contains("role dpo"), "{}", text.text());
    }
}
