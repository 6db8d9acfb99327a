//! `retentiond serve`, and the commands that talk to it: `reload`, `accept-clock`.

use std::path::PathBuf;

use super::{Cli, Format, ServeArgs, SocketArgs, for_each};
use crate::clock::Clock;
use crate::control::clocks::{accept_own, accept_stores, accepted};
use crate::control::site::open_state;
use crate::control::{Exit, Failure, Site};
use crate::daemon::socket::{self, Ask};
use crate::daemon::{self, Serving};
use crate::store::state;

/// Runs the daemon.
pub fn serve(cli: &Cli, args: &ServeArgs) -> Result<Exit, Failure> {
    daemon::serve(Serving { config: cli.config.clone(), socket: args.socket.socket.clone() })
}

/// Lets the daemon read its file anew; what it finds is printed here.
pub fn reload(cli: &Cli, args: &SocketArgs) -> Result<Exit, Failure> {
    say(cli, &socket::ask(&place(args), Ask::Reload)?)
}

/// Accepts the clocks as they are: the daemon does it, or, when none answers, the state is told.
pub fn accept_clock(cli: &Cli, args: &SocketArgs) -> Result<Exit, Failure> {
    if let Ok(answer) = socket::ask(&place(args), Ask::AcceptClock) {
        return say(cli, &answer);
    }
    let mut lines = Vec::new();
    // This machine's clock is everybody's.
    let loaded = cli.loaded()?;
    let memory = open_state(&loaded)?;
    if state::clock_mark(&mut *memory.conn()?)?.is_some() {
        lines.push(accept_own(&mut *memory.conn()?, Clock::system())?);
        state::forget_clock_mark(&mut *memory.conn()?)?;
    }
    let exit = for_each(cli, |part| {
        let site = Site::open_whole(part)?;
        lines.extend(accept_stores(&site, &mut *site.own(&memory).conn()?, Clock::system())?);
        Ok(Exit::Done)
    })?;
    print(cli, exit.code(), &accepted(&lines));
    Ok(exit)
}

pub(super) fn place(args: &SocketArgs) -> PathBuf {
    args.socket.clone().unwrap_or_else(|| socket::DEFAULT.into())
}

fn say(cli: &Cli, answer: &socket::Answer) -> Result<Exit, Failure> {
    match Exit::of_code(answer.code) {
        Exit::Done => {
            print(cli, answer.code, &answer.text);
            Ok(Exit::Done)
        }
        exit => Err(Failure::new(exit, answer.text.clone())),
    }
}

fn print(cli: &Cli, code: u8, text: &str) {
    match cli.format {
        Format::Json => say!("{}", serde_json::json!({ "code": code, "text": text })),
        Format::Text => say!("{text}"),
    }
}
