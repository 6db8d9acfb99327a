//! `retentiond status`: is everything within policy, and if not, why?

use super::serve::place;
use super::{Cli, Format, StatusArgs, remote};
use crate::clock::Clock;
use crate::control::screen::{self, Screen};
use crate::control::site::open_state;
use crate::control::{Exit, Failure, Site, requests};
use crate::daemon::socket::{self, Ask};

/// Shows one screen; exits 4 when something is overdue, 5 when nothing is that could be looked at, but not all could, and 3
/// when a tenant's map is wrong.
pub fn status(cli: &Cli, args: &StatusArgs) -> Result<Exit, Failure> {
    // `--socket` alone names the daemon that is asked how it is.
    if let Some(place) = remote::needed(cli, &args.socket) {
        if args.now.is_some() {
            return Err(Failure::new(
                Exit::Usage,
                "error: the daemon looks at the present only; --now is for who can read jobs.toml",
            ));
        }
        let answer = socket::ask_for(&place, cli.tenant.clone(), Ask::Status)?;
        let exit = Exit::of_code(answer.code);
        // A screen has its JSON; a failure has none.
        let Some(json) = &answer.json else { return Err(Failure::new(exit, answer.text)) };
        remote::print(cli, &answer.text, Some(json));
        return Ok(exit);
    }
    let parts = cli.parts()?;
    let Some(first) = parts.first() else { return Ok(Exit::Done) };
    let daemon = socket::ask(&place(&args.socket), Ask::Ping).ok().map(|answer| answer.text);
    let now = args.now.unwrap_or_else(|| Clock::system().now());
    let mut screen = Screen::new(&first.document, now, daemon);
    for part in &parts {
        let looked = Site::open_reachable(part).and_then(|site| screen.add(&site, &site.open_state()?));
        screen.unless_wrong(part, looked, parts.len())?;
    }
    // Those of a tenant that the file names no more are seen where all are looked at.
    let memory = open_state(first)?;
    let memory = if cli.tenant.is_some() { memory } else { memory.whole() };
    let jobs = parts.iter().flat_map(requests::job_names).collect();
    screen.add_state(&memory, &jobs)?;
    match cli.format {
        Format::Json => say!("{}", screen::to_json(&screen)),
        Format::Text => say!("{}", screen::to_text(&screen)),
    }
    Ok(screen.exit())
}
