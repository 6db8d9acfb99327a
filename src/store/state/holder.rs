//! Who holds a lease, and whether that process is gone.
//!
//! **Invariant.** A holder counts as gone only when this very kernel says so: same host, same boot, same PID namespace,
//! and no process with its PID, or one that was started at another time. In every other case (another machine, a
//! container beside this one, a `/proc` that hides others) it counts as alive, and its lease has to expire.

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

/// The name of this process: `host:pid:starttime:boot:namespace`.
pub fn this_process() -> String {
    let pid = std::process::id();
    let start = start_time(pid).unwrap_or_default();
    format!("{}:{pid}:{start}:{}", host(), kernel())
}

/// Whether the process that bears this name has certainly ended.
pub(super) fn is_gone(name: &str) -> bool {
    let parts: Vec<&str> = name.splitn(4, ':').collect();
    let [its_host, pid, start, its_kernel] = parts.as_slice() else { return false };
    let known = !start.is_empty() && its_kernel.split(':').all(|part| !part.is_empty());
    if !known || *its_host != host() || *its_kernel != kernel() {
        return false;
    }
    let Some((number, pid)) =
        pid.parse().ok().filter(|number: &i32| *number > 0).and_then(|number| Some((number, Pid::from_raw(number)?)))
    else {
        return false;
    };
    // Asked of the kernel and not of /proc, which may be mounted so that it hides the processes of others.
    if test_kill_process(pid) == Err(Errno::SRCH) {
        return true;
    }
    // The number may have been given to another process since.
    start_time(number.unsigned_abs()).is_some_and(|now| now != **start)
}

fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().replace(':', "-")
}

/// `boot:namespace`: PIDs mean the same where both are the same. A part that cannot be read is empty.
fn kernel() -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let namespace = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    let digits: String = namespace.to_string_lossy().chars().filter(char::is_ascii_digit).collect();
    format!("{}:{digits}", boot.trim())
}

/// When a process was started, in ticks since the boot: field 22 of its `stat`, counted after the command's name, which
/// may hold blanks and brackets itself.
fn start_time(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(19).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_there() {
        assert!(!is_gone(&this_process()));
    }

    #[test]
    fn an_ended_process_is_gone() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let name = format!("{}:{}:{}:{}", host(), child.id(), start_time(child.id()).unwrap(), kernel());
        assert!(!is_gone(&name), "it runs");
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(is_gone(&name), "it was killed");
    }

    #[test]
    fn a_pid_given_to_another_process_is_not_its_first_bearer() {
        let name = format!("{}:{}:1:{}", host(), std::process::id(), kernel());
        assert!(is_gone(&name));
    }

    #[test]
    fn what_this_kernel_cannot_know_counts_as_alive() {
        let (host, kernel) = (host(), kernel());
        let (boot, namespace) = kernel.split_once(':').unwrap();
        // No Linux gives out PIDs this large.
        let pid = 2_000_000_000;
        assert!(is_gone(&format!("{host}:{pid}:1:{kernel}")), "the rest of the names differs in one part only");
        for name in [
            format!("another-{host}:{pid}:1:{kernel}"),
            format!("{host}:{pid}:1:another-{boot}:{namespace}"),
            format!("{host}:{pid}:1:{boot}:1{namespace}"),
            format!("{host}:{pid}::{kernel}"),
            format!("{host}:{pid}:1::"),
            format!("{host}:{pid}"),
            format!("{host}:-1:1:{kernel}"),
            format!("{host}:0:1:{kernel}"),
            String::new(),
        ] {
            assert!(!is_gone(&name), "{name}");
        }
    }
}
