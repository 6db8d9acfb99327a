//! `retentiond report` without `--out`, and `report list · resend · extend · close`: requests that a job answers by mail.

use clap::Subcommand;

use super::whom::Whom;
use super::{Cli, SocketArgs, privilege, remote};
use crate::clock::Clock;
use crate::control::requests::{self, NewRequest};
use crate::control::site::open_state;
use crate::control::{Exit, Failure};
use crate::daemon::socket::Ask;
use crate::names::JobName;
use crate::trail::Actor;

/// What is done with requests.
#[derive(Clone, Debug, Subcommand)]
pub enum What {
    /// Shows the requests, what became of their mails, and what somebody has to look at.
    List {
        /// Those that have ended too.
        #[arg(long)]
        all: bool,
    },
    /// Sends the mails of a request once more that may or may not have arrived, were refused, or were given up.
    Resend {
        /// The request.
        id: String,
    },
    /// Extends a request by two months, once (Article 12(3) GDPR).
    Extend {
        /// The request.
        id: String,
        /// Why; the person must be told, too. Without names.
        #[arg(long, value_name = "TEXT")]
        why: String,
    },
    /// Closes a request without a (further) report: it has arrived after all, was withdrawn, or is answered otherwise.
    /// Nothing is held for it any more.
    Close {
        /// The request.
        id: String,
        /// Why; without names.
        #[arg(long, value_name = "TEXT")]
        why: String,
    },
}

/// Requests a report by mail.
pub fn ask(cli: &Cli, socket: &SocketArgs, whom: &Whom, job: Option<&JobName>) -> Result<Exit, Failure> {
    if let Some(place) = remote::place(cli, socket) {
        let (person, _) = whom.to_person()?;
        return remote::say(cli, &place, Ask::Report { person, job: job.cloned() });
    }
    let site = cli.site()?;
    let memory = site.open_state()?;
    let subject = whom.resolve(&site)?.subject;
    let new = NewRequest { subject, job: job.cloned(), by: privilege::caller(), actor: Actor::present() };
    let request = requests::ask(&site, &memory, new, Clock::system())?;
    let (text, json) = requests::made(&request, site.loaded.document.timezone);
    remote::print(cli, &text, Some(&json));
    Ok(Exit::Done)
}

/// Does what the subcommand says.
pub fn requests(cli: &Cli, socket: &SocketArgs, what: &What) -> Result<Exit, Failure> {
    if let Some(place) = remote::place(cli, socket) {
        let ask = match what.clone() {
            What::List { all } => Ask::Reports { all },
            What::Resend { id } => Ask::Resend { id },
            What::Extend { id, why } => Ask::Extend { id, why },
            What::Close { id, why } => Ask::Close { id, why },
        };
        return remote::say(cli, &place, ask);
    }
    let (by, clock) = (privilege::caller(), Clock::system());
    let loaded = cli.part()?;
    let memory = open_state(&loaded)?;
    let zone = loaded.document.timezone;
    match what {
        What::List { all } => {
            let listed = requests::list(&mut *memory.conn()?, &requests::job_names(&loaded), *all)?;
            let now = clock.now();
            let (text, json) = (requests::table(&listed, now, zone), requests::to_json(&listed, now, zone));
            remote::print(cli, &text, Some(&json));
        }
        What::Resend { id } => {
            let mails = requests::resend(&memory, id, &by, clock)?;
            remote::print(cli, &requests::resent(id, mails), None);
        }
        What::Extend { id, why } => {
            let due = requests::extend(&memory, id, (&by, why), zone, clock)?;
            remote::print(cli, &requests::extended(id, due, zone), None);
        }
        What::Close { id, why } => {
            requests::close(&cli.site()?, &memory, id, (&by, why), clock)?;
            remote::print(cli, &requests::closed(id), None);
        }
    }
    Ok(Exit::Done)
}
