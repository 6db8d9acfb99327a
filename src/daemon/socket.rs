//! The control socket: how a command talks to the daemon.
//!
//! A Unix socket, by default `/run/retentiond/control.sock`. One connection carries one request and one answer, each a JSON
//! object on a line of its own:
//!
//! ```text
//! → {"v":1,"do":"reload"}
//! ← {"v":1,"code":3,"text":"error: …"}
//! → {"v":1,"do":{"report":{"person":{"kind":"user","given":["login=…"]}}}}
//! ← {"v":1,"code":0,"text":"request r23456789a is made: …","json":{"request":"r23456789a",…}}
//! ```
//!
//! What `do` may be is [`Ask`]; `code` is the exit code that the command ends with, `text` what it prints, `json` what it
//! prints for programs. Another `v` is refused with code 2. Who asks is what the kernel says (`SO_PEERCRED`), and what they
//! may ask for is what `[roles]` says of their groups; root and the daemon's own user may ask for everything. Anybody may
//! connect: the socket's mode keeps nobody out, so that who is refused reads why.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::UCred;
use tokio::net::{UnixListener, UnixStream};

use super::core::Core;
use super::counter::carry_out;
pub use super::counter::{Ask, Person};
use super::guests::{Entry, Guest, Guests};
use crate::control::clocks::{accept_own, accept_stores, accepted};
use crate::control::roles::Caller;
use crate::control::{Exit, Failure};
use crate::names::TenantName;

/// Where the daemon listens when nobody says otherwise.
pub const DEFAULT: &str = "/run/retentiond/control.sock";
const VERSION: u32 = 1;
const LONGEST: u64 = 64 * 1024;
/// A client that says nothing, or does not read, for so long is left.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Serialize, Deserialize)]
struct Request {
    v: u32,
    /// Whose installation is meant, where the file has tenants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tenant: Option<TenantName>,
    #[serde(rename = "do")]
    ask: serde_json::Value,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    v: u32,
    /// The exit code.
    pub code: u8,
    /// What is printed.
    pub text: String,
    /// The same for programs, where that is more than the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<serde_json::Value>,
}

impl Answer {
    /// An answer.
    pub(super) fn new(exit: Exit, text: impl Into<String>) -> Self {
        Self { v: VERSION, code: exit.code(), text: text.into(), json: None }
    }

    /// A failure as an answer.
    pub(super) fn of(failure: &Failure) -> Self {
        Self::new(failure.exit(), failure.text())
    }

    /// With what programs read.
    pub(super) fn with_json(self, json: serde_json::Value) -> Self {
        Self { json: Some(json), ..self }
    }
}

/// Asks the daemon.
///
/// # Errors
/// When no daemon answers there.
pub fn ask(path: &Path, ask: Ask) -> Result<Answer, Failure> {
    ask_for(path, None, ask)
}

/// Asks the daemon about a tenant's installation.
///
/// # Errors
/// When no daemon answers there.
pub fn ask_for(path: &Path, tenant: Option<TenantName>, ask: Ask) -> Result<Answer, Failure> {
    let silent = |error: &dyn std::fmt::Display| {
        Failure::new(Exit::Unreachable, format!("error: no daemon answers at {}: {error}", path.display()))
    };
    let request = Request { v: VERSION, tenant, ask: serde_json::to_value(ask).unwrap_or_default() };
    let mut stream = BlockingStream::connect(path).map_err(|error| silent(&error))?;
    let line = serde_json::to_string(&request).unwrap_or_default() + "\n";
    stream.write_all(line.as_bytes()).map_err(|error| silent(&error))?;
    let mut answer = String::new();
    BufReader::new(stream.take(16 * 1024 * 1024)).read_line(&mut answer).map_err(|error| silent(&error))?;
    serde_json::from_str(&answer).map_err(|error| silent(&error))
}

/// The socket, bound.
pub(super) struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

/// Binds the socket; one that a dead daemon left is replaced, one on which a daemon answers is not.
///
/// # Errors
/// When another daemon listens there, or the place is not writable.
pub(super) fn bind(path: &Path) -> Result<Socket, Failure> {
    if BlockingStream::connect(path).is_ok() {
        let text = format!("error: another daemon listens at {}; --socket names another place", path.display());
        return Err(Failure::new(Exit::Braked, text));
    }
    let failed = |error: std::io::Error| {
        Failure::new(Exit::Failed, format!("error: the control socket {} cannot be made: {error}", path.display()))
    };
    // Made beside it and moved there: what a dead daemon left is replaced in one step.
    let mut made = path.to_path_buf().into_os_string();
    made.push(format!(".{}", std::process::id()));
    let listener = UnixListener::bind(&made).map_err(failed)?;
    // Who may ask for what is decided by who they are, not by who can connect.
    std::fs::set_permissions(&made, std::fs::Permissions::from_mode(0o666)).map_err(failed)?;
    std::fs::rename(&made, path).map_err(failed)?;
    Ok(Socket { listener, path: path.to_path_buf() })
}

impl Socket {
    /// Answers until the runtime ends.
    pub async fn listen(self, core: Arc<Core>) {
        let guests = Guests::default();
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => match stream.peer_cred().map(|peer| guests.enter(peer.uid())) {
                    Ok(Entry::Heard(guest)) => drop(tokio::spawn(serve(stream, Arc::clone(&core), guest))),
                    Ok(Entry::Told(guest)) => drop(tokio::spawn(turn_away(stream, guest))),
                    Ok(Entry::Closed) | Err(_) => {}
                },
                Err(error) => {
                    tracing::warn!(%error, "control socket {}", self.path.display());
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }
}

async fn serve(mut stream: UnixStream, core: Arc<Core>, _guest: Guest) {
    let answer = match tokio::time::timeout(PATIENCE, hear(&mut stream)).await {
        Ok(Ok((peer, tenant, ask))) => {
            let (tell, told) = tokio::sync::oneshot::channel();
            // Finding out about the caller's groups may take a while, so it is done beside the runtime too.
            let worker = move || {
                let caller = Caller::of(peer.uid(), peer.gid());
                drop(tell.send(carry_out(&core, &caller, tenant.as_ref(), ask)));
            };
            match std::thread::Builder::new().name("control".to_owned()).spawn(worker) {
                Ok(_) => told.await.unwrap_or_else(|_| Answer::new(Exit::Failed, "error: the daemon failed at this")),
                Err(error) => Answer::new(Exit::Failed, format!("error: {error}")),
            }
        }
        Ok(Err(answer)) => answer,
        Err(_) => return,
    };
    say(&mut stream, &answer).await;
}

/// There are too many questions of this user, or of all.
async fn turn_away(mut stream: UnixStream, _guest: Guest) {
    let why = "error: too many questions at once; try again in a moment";
    // Heard out, since whoever is cut short would not read the answer.
    if tokio::time::timeout(Duration::from_secs(1), hear(&mut stream)).await.is_ok() {
        say(&mut stream, &Answer::new(Exit::Braked, why)).await;
    }
}

/// Answers, and waits no longer for a client that does not read than for one that says nothing.
async fn say(stream: &mut UnixStream, answer: &Answer) {
    let line = serde_json::to_string(answer).unwrap_or_default() + "\n";
    match tokio::time::timeout(PATIENCE, stream.write_all(line.as_bytes())).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a client of the control socket has gone"),
        Err(_) => tracing::debug!("a client of the control socket does not read its answer"),
    }
}

/// Who asks, and what.
async fn hear(stream: &mut UnixStream) -> Result<(UCred, Option<TenantName>, Ask), Answer> {
    let refused = |text: String| Answer::new(Exit::Braked, text);
    let usage = |text: String| Answer::new(Exit::Usage, text);
    let peer = stream.peer_cred().map_err(|error| refused(format!("error: {error}")))?;
    // Heard out in any case: whoever is cut short would not read the answer.
    let mut line = String::new();
    let mut reader = tokio::io::BufReader::new(stream.take(LONGEST));
    reader.read_line(&mut line).await.map_err(|error| usage(format!("error: {error}")))?;
    // Words of the parser may repeat what was sent, and that may name somebody.
    let request: Request = serde_json::from_str(&line).map_err(|_| usage("error: this is no request".to_owned()))?;
    if request.v != VERSION {
        return Err(usage(format!("error: this daemon speaks version {VERSION}, not {}", request.v)));
    }
    let name = match &request.ask {
        serde_json::Value::String(name) => Some(name.chars().take(40).collect::<String>()),
        serde_json::Value::Object(object) => object.keys().next().map(|name| name.chars().take(40).collect()),
        _ => None,
    };
    let ask = serde_json::from_value(request.ask);
    let ask = ask.map_err(|_| usage(format!("error: this daemon cannot {:?}", name.unwrap_or_default())));
    Ok((peer, request.tenant, ask?))
}

/// Accepts the clocks as they are.
pub(super) fn accept(core: &Core) -> Result<String, Failure> {
    let mut lines = Vec::new();
    let policy = core.policy();
    let enabled = policy.loaded.document.enabled;
    if core.watch.doubt().is_some() {
        lines.push(accept_own(&mut *core.memory.conn()?, core.clock)?);
    }
    if core.watch.accept(&mut *core.memory.conn()?)? && enabled {
        core.begin_anew(&policy)?;
    }
    for part in policy.parts.iter().filter(|_| enabled) {
        let site = core.sites.get(part).map_err(|failure| failure.of_tenant(part.document.tenant.as_ref()))?;
        lines.extend(accept_stores(&site, &mut *site.own(&core.memory).conn()?, core.clock)?);
    }
    Ok(accepted(&lines))
}
