//! A command that root runs becomes the owner of retentiond's own state before it does anything.
//!
//! **Invariant.** No file of the state, of a store or of the trash is ever made or changed as root where the service runs
//! as somebody else: what root ran by hand would lock the service out, or remove what the service may not. There is no
//! way back, since real, effective and saved ids and all groups are given up together.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::{Gid, Uid, geteuid, getgroups};
use rustix::thread;

use crate::config::secret::keep_credentials;
use crate::config::{self, Loaded};
use crate::control::{Exit, Failure};
use crate::store::url::StoreUrl;

/// The folder that systemd makes for the service (`StateDirectory=`). Its owner counts when the state is on a server.
const STATE_DIRECTORY: &str = "/var/lib/retentiond";

/// Whether this process was root's and became somebody else's.
static WAS_ROOT: AtomicBool = AtomicBool::new(false);

/// The Unix user at the keyboard, for the record: for a command that root runs by way of sudo, the one who called sudo.
/// Who that is does not change with the user that the command becomes.
pub fn caller() -> String {
    if geteuid().is_root() || WAS_ROOT.load(Ordering::Relaxed) {
        return std::env::var("SUDO_USER").ok().filter(|user| !user.is_empty()).unwrap_or_else(|| "root".to_owned());
    }
    let asked = Command::new("/usr/bin/id").arg("-un").stderr(Stdio::null()).output();
    let name = asked.ok().filter(|asked| asked.status.success()).map(|asked| asked.stdout).unwrap_or_default();
    let name = String::from_utf8_lossy(&name).trim().to_owned();
    if name.is_empty() { format!("uid {}", geteuid().as_raw()) } else { name }
}

/// The number of that user.
pub fn caller_uid() -> u32 {
    let own = geteuid();
    let sudo = std::env::var("SUDO_UID").ok().filter(|_| own.is_root()).and_then(|uid| uid.parse().ok());
    sudo.unwrap_or_else(|| own.as_raw())
}

/// Becomes the owner of the state, when root calls; else, and when the owner is root, does nothing.
///
/// Credentials that only root may read are read before. A file that is wrong changes nothing here: the command itself
/// says what is wrong with it, and does no more.
///
/// # Errors
/// When the owner cannot be become.
pub fn become_owner(policy: &Path) -> Result<(), Failure> {
    if !geteuid().is_root() {
        return Ok(());
    }
    let Ok(loaded) = config::load(policy) else { return Ok(()) };
    let Some((uid, gid)) = owner(&loaded) else { return Ok(()) };
    keep_credentials(&loaded.source);
    let failed = |why: String| {
        Failure::new(Exit::Failed, format!("error: cannot become the owner of retentiond's state (user {uid}): {why}"))
    };
    let groups = groups_of(uid, gid).map_err(failed)?;
    // The kernel changes the ids of one thread; those that are started later inherit them.
    if std::fs::read_dir("/proc/self/task").map_err(|error| failed(error.to_string()))?.count() != 1 {
        return Err(failed("the program has started threads already".to_owned()));
    }
    let (user, group) = (Uid::from_raw(uid), Gid::from_raw(gid));
    thread::set_thread_groups(&groups)
        .and_then(|()| thread::set_thread_res_gid(group, group, group))
        .and_then(|()| thread::set_thread_res_uid(user, user, user))
        .map_err(|error| failed(error.to_string()))?;
    let foreign = getgroups().map_err(|error| failed(error.to_string()))?.iter().any(|held| !groups.contains(held));
    if foreign || thread::set_thread_uid(Uid::ROOT).is_ok() {
        return Err(failed("the privileges of root did not go away".to_owned()));
    }
    WAS_ROOT.store(true, Ordering::Relaxed);
    Ok(())
}

/// User and group of the state, unless it is root's: of its file, of the nearest folder above that is there already, or,
/// when it is on a server, of the service's own folder.
fn owner(loaded: &Loaded) -> Option<(u32, u32)> {
    let url = StoreUrl::parse(&loaded.document.state.url.resolve().ok()?).ok()?;
    let path = match url {
        StoreUrl::Sqlite(path) => std::path::absolute(path).ok()?,
        _ => PathBuf::from(STATE_DIRECTORY),
    };
    let found = path.ancestors().find_map(|place| std::fs::metadata(place).ok())?;
    (found.uid() != 0).then(|| (found.uid(), found.gid()))
}

/// All groups of a user, as a login would give them, wherever the machine keeps its users.
fn groups_of(uid: u32, gid: u32) -> Result<Vec<Gid>, String> {
    let asked = Command::new("/usr/bin/id").args(["-G", "--", &uid.to_string()]).output();
    let asked = asked.map_err(|error| format!("/usr/bin/id: {error}"))?;
    let listed = String::from_utf8_lossy(&asked.stdout);
    // A user without a name, as in a container, has the group of the file and no other.
    let known = if asked.status.success() { listed.as_ref() } else { "" };
    let mut groups = vec![gid];
    for group in known.split_whitespace() {
        groups.push(group.parse().map_err(|_| format!("`id -G` gave no list of groups for user {uid}"))?);
    }
    groups.sort_unstable();
    groups.dedup();
    Ok(groups.into_iter().map(Gid::from_raw).collect())
}
