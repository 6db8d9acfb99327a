//! `retentiond serve`, and the commands that talk to it: `reload`, `accept-clock`.

use std::path::PathBuf;

use super::{Cli, Format, ServeArgs, SocketArgs, for_each};
use crate::clock::Clock;
use crate::control::clocks::accept_clocks;
use crate::control::{Exit, Failure, Site};
use crate::daemon::socket::{self, Ask};
use crate::daemon::{self, Serving};
use crate::store::state;

/// Runs the daemon.
pub fn serve(cli: &Cli, args: &ServeArgs) -> Result<Exit, Failure> {
    let listeners = daemon::listeners(&cli.config)?;
    daemon::serve(Serving { config: cli.config.clone(), socket: args.socket.socket.clone(), listeners })
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
    for_each(cli, |part| {
        let site = Site::open_whole(part)?;
        let memory = site.open_state()?;
        let mut conn = memory.conn()?;
        let own = state::forget_clock_mark(&mut conn)?;
        let text = accept_clocks(own, Some(&site), &mut conn, Clock::system())?;
        print(cli, Exit::Done.code(), &text);
        Ok(Exit::Done)
    })
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
