//! `retentiond audit`: the trail of what retentiond itself did: shown, proved, exported; and changes to personal data,
//! captured.

mod capture;
mod export;
mod show;
mod verify;

use clap::{Args, Subcommand};

use super::{Cli, SocketArgs, remote};
use crate::control::{Exit, Failure};

#[derive(Debug, Args)]
pub(super) struct AuditArgs {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    socket: SocketArgs,
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
    let place = remote::place(cli, &args.socket);
    match &args.what {
        What::Show(args) => show::show(cli, place.as_deref(), args),
        What::Verify(args) => verify::verify(cli, place.as_deref(), args),
        What::Export(args) => export::export(cli, place.as_deref(), args),
        What::Capture(args) => capture::capture(cli, args),
    }
}
