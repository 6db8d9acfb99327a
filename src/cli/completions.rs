//! `retentiond completions SHELL` and `retentiond man`.

use std::io::Write as _;

use crate::control::{Exit, Failure};

/// Prints completions.
pub fn completions(shell: clap_complete::Shell) -> Result<Exit, Failure> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut super::command(), "retentiond", &mut text);
    print(&text)
}

/// Prints the manual page: the command, then each of its commands.
pub fn man() -> Result<Exit, Failure> {
    let mut text = Vec::new();
    let broken = |error: std::io::Error| Failure::new(Exit::Failed, format!("error: {error}"));
    clap_mangen::Man::new(super::command()).render(&mut text).map_err(broken)?;
    for sub in super::command().get_subcommands().filter(|sub| !sub.is_hide_set()) {
        let name = format!("retentiond-{}", sub.get_name());
        clap_mangen::Man::new(sub.clone().name(name)).render(&mut text).map_err(broken)?;
    }
    print(&text)
}

/// A closed pipe (`| head`) is no error.
fn print(text: &[u8]) -> Result<Exit, Failure> {
    match std::io::stdout().write_all(text) {
        Ok(()) => Ok(Exit::Done),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(Exit::Done),
        Err(error) => Err(Failure::new(Exit::Failed, format!("error: {error}"))),
    }
}
