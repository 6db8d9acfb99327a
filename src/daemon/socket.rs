//! The control socket: how a command talks to the daemon.
//!
//! A Unix socket, by default `/run/retentiond/control.sock`. One connection carries one request, and one answer as the last
//! line; each line is a JSON object. What takes long says lines of `meanwhile` before:
//!
//! ```text
//! → {"v":1,"do":"reload"}
//! ← {"v":1,"code":3,"text":"error: …"}
//! → {"v":1,"do":{"report":{"person":{"kind":"user","given":["login=…"]}}}}
//! ← {"v":1,"code":0,"text":"request r23456789a is made: …","json":{"request":"r23456789a",…}}
//! → {"v":1,"do":{"run":{"jobs":["contacts"]}}}
//! ← {"v":1,"meanwhile":{"planned":{"job":"contacts","rows":1200}}}
//! ← {"v":1,"meanwhile":{"progress":{"data":"contacts","rows":500}}}
//! ← {"v":1,"meanwhile":{"over":{"text":"contacts: complete, …","errors":[]}}}
//! ← {"v":1,"code":0,"text":"","json":{"jobs":[…]}}
//! ```
//!
//! What `do` may be is [`Ask`], what `meanwhile` may be [`Meanwhile`]; `code` is the exit code that the command ends with, `text` what it prints, `json` what it
//! prints for programs. Another `v` is refused with code 2. Who asks is what the kernel says (`SO_PEERCRED`), and what they
//! may ask for is what `[roles]` says of their groups; root and the daemon's own user may ask for everything. Anybody may
//! connect: the socket's mode keeps nobody out, so that who is refused reads why.

mod client;
mod guest;
mod words;

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

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
pub use client::{Heard, Talk, ask, ask_for};
pub(super) use guest::Client;
use guest::Word;
pub use words::{Answer, Meanwhile};
use words::{Line, Request, VERSION};

/// Where the daemon listens when nobody says otherwise.
pub const DEFAULT: &str = "/run/retentiond/control.sock";
const LONGEST: u64 = 64 * 1024;
/// A client that says nothing, or does not read, for so long is left.
const PATIENCE: Duration = Duration::from_secs(10);

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
    let (peer, tenant, ask) = match tokio::time::timeout(PATIENCE, hear(&mut stream)).await {
        Ok(Ok(heard)) => heard,
        Ok(Err(answer)) => return last_word(&mut stream, answer).await,
        Err(_) => return,
    };
    let (client, mut words) = Client::new();
    let shared = Arc::clone(&core);
    // Finding out about the caller's groups may take a while, so it is done beside the runtime too.
    let worker = move || {
        let caller = Caller::of(peer.uid(), peer.gid());
        client.answer(carry_out(&shared, &caller, tenant.as_ref(), ask, &client));
    };
    let _answering = Answering::begin(&core);
    if let Err(error) = std::thread::Builder::new().name("control".to_owned()).spawn(worker) {
        return last_word(&mut stream, Answer::new(Exit::Failed, format!("error: {error}"))).await;
    }
    while let Some(word) = words.recv().await {
        let (line, handed) = match word {
            Word::Meanwhile(what, handed) => (Line::meanwhile(what), handed),
            Word::Answer(answer) => return last_word(&mut stream, answer).await,
        };
        // From here on nobody hears the thread any more; what it does it does to its end.
        if !say(&mut stream, &line).await {
            return;
        }
        if let Some(handed) = handed {
            // Whoever has asked may have stopped waiting.
            handed.send(()).ok();
        }
    }
    last_word(&mut stream, Answer::new(Exit::Failed, "error: the daemon failed at this")).await;
}

/// A question that is being answered: a daemon that ends says the last word first, if that is short.
struct Answering(Arc<Core>);

impl Answering {
    fn begin(core: &Arc<Core>) -> Self {
        core.answering.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(core))
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.answering.fetch_sub(1, Ordering::SeqCst);
    }
}

/// There are too many questions of this user, or of all.
async fn turn_away(mut stream: UnixStream, _guest: Guest) {
    let why = "error: too many questions at once; try again in a moment";
    // Heard out, since whoever is cut short would not read the answer.
    if tokio::time::timeout(Duration::from_secs(1), hear(&mut stream)).await.is_ok() {
        last_word(&mut stream, Answer::new(Exit::Braked, why)).await;
    }
}

async fn last_word(stream: &mut UnixStream, answer: Answer) {
    say(stream, &Line::Answer(answer)).await;
}

/// Says a line, and waits no longer for a client that does not read than for one that says nothing; `false` when it is
/// gone.
async fn say(stream: &mut UnixStream, line: &Line) -> bool {
    let line = serde_json::to_string(line).unwrap_or_default() + "\n";
    match tokio::time::timeout(PATIENCE, stream.write_all(line.as_bytes())).await {
        Ok(Ok(())) => return true,
        Ok(Err(error)) => tracing::debug!(%error, "a client of the control socket has gone"),
        Err(_) => tracing::debug!("a client of the control socket does not read what it is told"),
    }
    false
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
