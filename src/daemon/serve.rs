//! Starting and ending.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::clocks::Watch;
use super::conductor::{Conductor, Message, tick};
use super::core::Core;
use super::events::{Event, Listeners};
use super::listeners::listeners;
use super::policy::{Followed, Policy};
use super::single::Single;
use super::socket::{self, Socket};
use super::{heartbeat, notify, reload};
use crate::clock::uptime;
use crate::control::auditing;
use crate::control::site::open_state;
use crate::control::{Exit, Failure};
use crate::trail::{Act, Actor, Role};

/// What `serve` is started with.
pub struct Serving {
    /// The file.
    pub config: PathBuf,
    /// Where commands reach the daemon; the usual place, when nobody says.
    pub socket: Option<PathBuf>,
}

/// A watchdog that hears nothing for longer than this restarts the daemon; the conductor may wait for the state so long.
const STUCK: Duration = Duration::from_secs(600);

/// Runs the daemon until it is told to stop.
///
/// # Errors
/// When it cannot start: the file or the map is wrong (3), another daemon works with the state (4), the state cannot be
/// reached (5).
pub fn serve(serving: Serving) -> Result<Exit, Failure> {
    notify::give_time(Duration::from_secs(90));
    Actor { role: Role::Service, uid: rustix::process::getuid().as_raw() }.is_process();
    let (policy, away) = Policy::read(&serving.config)?;
    if let Some(away) = away {
        tracing::warn!("jobs that need it wait until it can be reached: {away}");
    }
    let memory = open_state(&policy.loaded)?;
    let _single = Single::take(memory.url())?;
    let mut conn = memory.conn()?;
    let watch = Watch::new(crate::clock::Clock::system(), &mut conn)?;
    if let Some(ahead) = watch.doubt() {
        tracing::error!("{}", super::clocks::in_words(ahead));
    }
    let now = crate::clock::Clock::system().now();
    let known = policy.known(&mut conn, now)?;
    drop(conn);
    auditing::followed(&policy.loaded, vec![Act::Boot], &memory, crate::clock::Clock::system())?;
    let followed = Followed::new(&policy.loaded);
    let listeners = Listeners::new(listeners(&followed)?);
    let (sender, messages) = mpsc::channel();
    let core = Arc::new(Core::new(serving.config, memory, watch, listeners, sender, (policy, followed)));
    core.engine().set_jobs(core.policy().limits(), known, now);

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failed, format!("error: {error}")))?;
    let ended = runtime.block_on(run(&core, messages, serving.socket));
    // What the runtime still has of the core goes before the core itself, which holds connections.
    drop(runtime);
    ended.map(|()| Exit::Done)
}

async fn run(core: &Arc<Core>, messages: mpsc::Receiver<Message>, socket: Option<PathBuf>) -> Result<(), Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::new(Exit::Failed, format!("error: {error}"));
    let listening = listen(socket)?;
    let mut signals = Signals::new().map_err(|error| failed(&error))?;
    let conductor = conduct(core, messages).map_err(|error| failed(&error))?;
    if let Some(socket) = listening {
        tokio::spawn(socket.listen(Arc::clone(core)));
    }
    let beating = Arc::clone(core);
    let mut scheduler = heartbeat::start(move || beat(&beating)).await.map_err(|error| failed(&error))?;
    notify::ready();
    tracing::info!("retentiond serves {}", core.path.display());
    let mut watch = tokio::time::interval(Duration::from_millis(200));
    while !conductor.is_finished() {
        tokio::select! {
            _ = watch.tick() => {}
            _ = signals.terminate.recv() => stop(core)?,
            _ = signals.interrupt.recv() => stop(core)?,
            _ = signals.hang_up.recv() => reload_aside(core),
        }
    }
    if let Err(error) = scheduler.shutdown().await {
        tracing::debug!(%error, "the heartbeat");
    }
    say_the_last_word(core).await;
    conductor.join().map_err(|_| failed(&"the conductor's thread ended by a panic"))
}

/// Whose run was ended by the stop reads so.
async fn say_the_last_word(core: &Core) {
    for _ in 0..20 {
        if core.answering.load(Ordering::SeqCst) == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn stop(core: &Core) -> Result<(), Failure> {
    if core.stop.is_raised() {
        return Err(Failure::new(Exit::Failed, "error: told to stop twice, so nothing was waited for"));
    }
    tracing::info!("told to stop: runs end after their present batch");
    core.stop.raise();
    core.send(Message::Stop);
    Ok(())
}

/// The socket. Where nobody names one, a missing folder is no mistake: systemd makes it, a test or a person may not.
fn listen(named: Option<PathBuf>) -> Result<Option<Socket>, Failure> {
    match named {
        Some(path) => socket::bind(&path).map(Some),
        None => match socket::bind(socket::DEFAULT.as_ref()) {
            Ok(socket) => Ok(Some(socket)),
            Err(failure) if failure.exit() == Exit::Braked => Err(failure),
            Err(failure) => {
                tracing::warn!("no control socket, so `reload` is by SIGHUP only: {}", failure.text());
                Ok(None)
            }
        },
    }
}

fn conduct(core: &Arc<Core>, messages: mpsc::Receiver<Message>) -> std::io::Result<JoinHandle<()>> {
    let conductor = Conductor::new(Arc::clone(core), messages);
    std::thread::Builder::new().name("conductor".to_owned()).spawn(move || conductor.run())
}

/// Twice a second: the engine decides, the conductor hears of it, the watchdog is told that there was a tick.
fn beat(core: &Core) {
    let decisions = tick(core);
    if !decisions.is_empty() {
        core.send(Message::Decided(decisions));
    }
    let seen = Duration::from_millis(core.conducted.load(Ordering::SeqCst));
    if sd_notify::watchdog_enabled().is_some() && uptime().saturating_sub(seen) < STUCK {
        notify::alive();
    }
}

/// A reload that has not begun yet will read what is there then, so one that waits is enough.
fn reload_aside(core: &Arc<Core>) {
    if core.reload_waits.swap(true, Ordering::SeqCst) {
        return;
    }
    let shared = Arc::clone(core);
    let spawned = std::thread::Builder::new().name("reload".to_owned()).spawn(move || drop(reload::reload(&shared)));
    if let Err(error) = spawned {
        core.tell(&Event::ReloadRefused(&Failure::new(Exit::Failed, format!("error: {error}"))));
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }
}
