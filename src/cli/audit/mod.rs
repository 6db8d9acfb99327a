//! `retentiond audit`: the trail of what retentiond itself did: shown, proved, exported; and changes to personal data,
//! captured.

mod capture;
mod export;
mod show;
mod verify;

use clap::{Args, Subcommand};

use super::Cli;
use crate::control::{Exit, Failure};

#[derive(Debug, Args)]
pub(super) struct AuditArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Shows the records, oldest first.
    Show(show::ShowArgs),
    /// Proves that nobody has changed, dropped, moved or cut off anything.
    ///
    /// Exits 0 when a checkpoint that was kept elsewhere vouches for the trail, 1 when something was changed (and says
    /// where), and 4 when everything fits together but nothing outside vouches for it.
    Verify(verify::VerifyArgs),
    /// Writes the trail as JSON lines, with all that it takes to verify it elsewhere.
    Export(export::ExportArgs),
    /// Triggers that write down which attribute of a mapped table changed, when, by whom, and its new value.
    ///
    /// For applications that do not log changes themselves. The application says who acts: SET retentiond.actor on
    /// PostgreSQL, SET @retentiond_actor on MariaDB, the table retentiond_actor on SQLite; else it is the database user.
    Capture(capture::CaptureArgs),
}

impl AuditArgs {
    /// Whether it is about a store; all else is about the one trail.
    pub(super) fn is_capture(&self) -> bool {
        matches!(self.what, What::Capture(_))
    }
}

/// Does it.
pub fn audit(cli: &Cli, args: &AuditArgs) -> Result<Exit, Failure> {
    match &args.what {
        What::Show(args) => show::show(cli, args),
        What::Verify(args) => verify::verify(cli, args),
        What::Export(args) => export::export(cli, args),
        What::Capture(args) => capture::capture(cli, args),
    }
}

/// A trail that was tampered with may hold anything; a terminal obeys what it holds.
fn plain(text: &str) -> String {
    // What turns the direction of writing makes one name look like another.
    let unseen = |c: char| {
        c.is_control() || matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if unseen(c) { '\u{fffd}' } else { c }).collect()
}
