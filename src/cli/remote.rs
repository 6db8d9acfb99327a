//! Commands for people who can read neither jobs.toml nor a database: the daemon carries them out, if their role allows.
//!
//! Who can read jobs.toml (root, the service's own user) needs no daemon, and so none is asked; `--socket` asks it all the
//! same.

use std::path::PathBuf;

use super::{Cli, Format, SocketArgs};
use crate::control::said::Said;
use crate::control::{Exit, Failure};
use crate::daemon::socket::{self, Answer, Ask};

/// Where the daemon is asked; none where the command does it itself.
pub(super) fn place(cli: &Cli, args: &SocketArgs) -> Option<PathBuf> {
    args.socket.clone().or_else(|| needed(cli, args))
}

/// Where the daemon is asked because the file cannot be read.
pub(super) fn needed(cli: &Cli, args: &SocketArgs) -> Option<PathBuf> {
    let opened = std::fs::File::open(&cli.config);
    let denied = opened.is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied);
    denied.then(|| args.socket.clone().unwrap_or_else(|| socket::DEFAULT.into()))
}

/// Asks, and fails as the daemon says.
pub(super) fn ask(cli: &Cli, place: &std::path::Path, ask: Ask) -> Result<Answer, Failure> {
    let answer = socket::ask_for(place, cli.tenant.clone(), ask)?;
    match Exit::of_code(answer.code) {
        Exit::Done => Ok(answer),
        exit => Err(Failure::new(exit, answer.text)),
    }
}

/// Asks, and prints the answer.
pub(super) fn say(cli: &Cli, place: &std::path::Path, what: Ask) -> Result<Exit, Failure> {
    let answer = ask(cli, place, what)?;
    print(cli, &answer.text, answer.json.as_ref());
    Ok(Exit::Done)
}

/// Asks, prints the answer whatever it is, and ends as the daemon says; what is no answer is a failure.
pub(super) fn show(cli: &Cli, place: &std::path::Path, what: Ask) -> Result<Exit, Failure> {
    let answer = socket::ask_for(place, cli.tenant.clone(), what)?;
    let exit = Exit::of_code(answer.code);
    let Some(json) = answer.json else { return Err(Failure::new(exit, answer.text)) };
    Ok(tell(cli, &Said { exit, text: answer.text, errors: answer.errors, json }))
}

/// Prints what a command has to say, and gives how it ends.
pub(super) fn tell(cli: &Cli, said: &Said) -> Exit {
    if cli.format == Format::Json {
        say!("{}", said.json);
    }
    print_text(cli, said);
    said.exit
}

/// Prints the part of it that people read.
pub(super) fn print_text(cli: &Cli, said: &Said) {
    if cli.format == Format::Text && !said.text.is_empty() {
        say!("{}", said.text);
    }
    said.errors.iter().for_each(|error| eprintln!("{error}"));
}

/// Prints text for people, or JSON for programs.
pub(super) fn print(cli: &Cli, text: &str, json: Option<&serde_json::Value>) {
    match (cli.format, json) {
        (Format::Json, Some(json)) => say!("{json}"),
        (Format::Json, None) => say!("{}", serde_json::json!({ "text": text })),
        (Format::Text, _) => say!("{text}"),
    }
}
