//! The control socket: how a command talks to the daemon.
//!
//! A Unix socket, by default `/run/retentiond/control.sock`. One connection carries one request and one answer, each a JSON
//! object on a line of its own:
//!
//! ```text
//! → {"v":1,"do":"reload"}
//! ← {"v":1,"code":3,"text":"error: …"}
//! ```
//!
//! `do` is `ping`, `reload` or `accept-clock`; `code` is the exit code that the command ends with, `text` what it prints.
//! Another `v` is refused with code 2. Who asks is what the kernel says (`SO_PEERCRED`): root and the daemon's own user may
//! ask for everything, others for nothing.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};

use super::core::Core;
use super::reload::reload;
use crate::control::clocks::accept_clocks;
use crate::control::{Exit, Failure};
use crate::store::state;

/// Where the daemon listens when nobody says otherwise.
pub const DEFAULT: &str = "/run/retentiond/control.sock";
const VERSION: u32 = 1;
const LONGEST: u64 = 64 * 1024;
/// A client that says nothing for so long is left.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ask {
    /// Whether somebody is there.
    Ping,
    /// Read the file anew.
    Reload,
    /// Accept the clocks as they are.
    AcceptClock,
}

#[derive(Serialize, Deserialize)]
struct Request {
    v: u32,
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
}

impl Answer {
    fn new(exit: Exit, text: impl Into<String>) -> Self {
        Self { v: VERSION, code: exit.code(), text: text.into() }
    }
}

/// Asks the daemon.
///
/// # Errors
/// When no daemon answers there.
pub fn ask(path: &Path, ask: Ask) -> Result<Answer, Failure> {
    let silent = |error: &dyn std::fmt::Display| {
        Failure::new(Exit::Unreachable, format!("error: no daemon answers at {}: {error}", path.display()))
    };
    let request = Request { v: VERSION, ask: serde_json::to_value(ask).unwrap_or_default() };
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
    std::fs::rename(&made, path).map_err(failed)?;
    Ok(Socket { listener, path: path.to_path_buf() })
}

impl Socket {
    /// Answers until the runtime ends.
    pub async fn listen(self, core: Arc<Core>) {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => drop(tokio::spawn(serve(stream, Arc::clone(&core)))),
                Err(error) => {
                    tracing::warn!(%error, "control socket {}", self.path.display());
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }
}

async fn serve(mut stream: UnixStream, core: Arc<Core>) {
    let answer = match tokio::time::timeout(PATIENCE, hear(&mut stream)).await {
        Ok(Ok(ask)) => {
            let (tell, told) = tokio::sync::oneshot::channel();
            let worker = move || drop(tell.send(carry_out(&core, ask)));
            match std::thread::Builder::new().name("control".to_owned()).spawn(worker) {
                Ok(_) => told.await.unwrap_or_else(|_| Answer::new(Exit::Failed, "error: the daemon failed at this")),
                Err(error) => Answer::new(Exit::Failed, format!("error: {error}")),
            }
        }
        Ok(Err(answer)) => answer,
        Err(_) => return,
    };
    let line = serde_json::to_string(&answer).unwrap_or_default() + "\n";
    if let Err(error) = stream.write_all(line.as_bytes()).await {
        tracing::debug!(%error, "a client of the control socket has gone");
    }
}

/// Who asks, and what.
async fn hear(stream: &mut UnixStream) -> Result<Ask, Answer> {
    let refused = |text: String| Answer::new(Exit::Braked, text);
    let usage = |text: String| Answer::new(Exit::Usage, text);
    let peer = stream.peer_cred().map_err(|error| refused(format!("error: {error}")))?;
    // Heard out in any case: whoever is cut short would not read the answer.
    let mut line = String::new();
    let mut reader = tokio::io::BufReader::new(stream.take(LONGEST));
    reader.read_line(&mut line).await.map_err(|error| usage(format!("error: {error}")))?;
    let own = rustix::process::geteuid().as_raw();
    if peer.uid() != 0 && peer.uid() != own {
        let text = format!("error: user {} may not control the daemon: root and the daemon's own user may", peer.uid());
        return Err(refused(text));
    }
    let request: Request =
        serde_json::from_str(&line).map_err(|error| usage(format!("error: this is no request: {error}")))?;
    if request.v != VERSION {
        return Err(usage(format!("error: this daemon speaks version {VERSION}, not {}", request.v)));
    }
    let asked = request.ask.to_string();
    serde_json::from_value(request.ask).map_err(|_| usage(format!("error: this daemon cannot {asked}")))
}

fn carry_out(core: &Core, ask: Ask) -> Answer {
    let done = match ask {
        Ask::Ping => Ok(super::status::line(core)),
        Ask::Reload => reload(core),
        Ask::AcceptClock => accept(core),
    };
    match done {
        Ok(text) => Answer::new(Exit::Done, text),
        Err(failure) => Answer::new(failure.exit(), failure.text()),
    }
}

fn accept(core: &Core) -> Result<String, Failure> {
    let own = core.watch.accept(&mut *core.memory.conn()?)?;
    let policy = core.policy();
    if !policy.loaded.document.enabled {
        return accept_clocks(own, None, &mut *core.memory.conn()?, core.clock);
    }
    if own {
        state::begin_schedules_by(&mut *core.memory.conn()?, core.clock.now())?;
        core.begin_anew(&policy)?;
    }
    let mut texts = Vec::new();
    for part in &policy.parts {
        let site = core.sites.get(part)?;
        let memory = site.own(&core.memory);
        texts.push(accept_clocks(own, Some(&site), &mut *memory.conn()?, core.clock)?);
    }
    texts.dedup();
    Ok(texts.join("\n"))
}
