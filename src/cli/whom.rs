//! Which person a command is about: `--user` and `--customer`, read from the terminal, a file, standard input, or, with a
//! warning, from the command line.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use clap::Args;

use crate::control::{Exit, Failure, Site, persons};
use crate::daemon::socket::Person;
use crate::graph::Subject;
use crate::names::PersonName;
use crate::redact::Sealed;

/// A person.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Whom {
    /// A person with a key: the key, `column=…,column=…`, or an identifier as `login=…`. Without a value it is asked for
    /// on the terminal; `-` reads it from standard input, `@FILE` from a file.
    #[arg(long, value_name = "KEY", num_args = 0..=1, default_missing_value = "", conflicts_with = "customer")]
    user: Option<String>,
    /// A person known by addresses: `phone=…`, `email=…`, `name=…`, several of them as alternatives. Without a value they
    /// are asked for on the terminal; `-` reads one a line from standard input, `@FILE` from a file.
    #[arg(long, value_name = "KIND=VALUE", num_args = 0.., default_missing_value = "")]
    customer: Option<Vec<String>>,
    /// The kind of person, where the file declares others than `user` and `customer`.
    #[arg(long, value_name = "KIND")]
    kind: Option<PersonName>,
    /// Only rows from this day on (or instant, RFC 3339); rows without a time are left out then.
    #[arg(long, value_name = "DATE")]
    from: Option<String>,
    /// Only rows before this day (or instant).
    #[arg(long, value_name = "DATE")]
    to: Option<String>,
}

fn usage(text: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Usage, format!("error: {text}"))
}

/// What was read, and what its confirmation must be.
pub struct Named {
    /// The person.
    pub subject: Subject,
    /// What was given, to be typed again.
    pub given: Vec<Sealed>,
}

impl Whom {
    /// Reads the kind of person and the identifiers, and looks nothing up.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn read(&self) -> Result<(PersonName, Vec<Sealed>), Failure> {
        let name = if self.user.is_some() { "user" } else { "customer" };
        let kind = match &self.kind {
            Some(kind) => kind.clone(),
            None => name.parse().map_err(usage)?,
        };
        let written: Vec<&str> = match (&self.user, &self.customer) {
            (Some(user), _) => vec![user.as_str()],
            (None, customer) => customer.iter().flatten().map(String::as_str).collect(),
        };
        let mut given = Vec::new();
        for written in written {
            read(written, name, &mut given)?;
        }
        Ok((kind, given))
    }

    /// For the daemon, which looks the person up itself; with what was given, to be typed again.
    ///
    /// # Errors
    /// When the identifiers cannot be read.
    pub fn to_person(&self) -> Result<(Person, Vec<Sealed>), Failure> {
        let (kind, given) = self.read()?;
        let words = given.iter().map(|given| given.expose().clone()).collect();
        Ok((Person { kind, given: words, from: self.from.clone(), to: self.to.clone() }, given))
    }

    /// Reads the identifiers and finds the person.
    ///
    /// # Errors
    /// When nobody or several are meant.
    pub fn resolve(&self, site: &Site) -> Result<Named, Failure> {
        let (kind, given) = self.read()?;
        let subject = persons::resolve(site, &kind, &given)?;
        let subject = persons::narrow(site, subject, self.from.as_deref(), self.to.as_deref())?;
        Ok(Named { subject, given })
    }
}

/// One word of the command line: what it is, or where to find it.
fn read(written: &str, name: &str, given: &mut Vec<Sealed>) -> Result<(), Failure> {
    match written {
        "" => {
            given.push(ask(&format!("Which {name}? "))?);
            Ok(())
        }
        "-" => lines(std::io::stdin().lock(), given),
        _ => {
            if let Some(path) = written.strip_prefix('@') {
                return lines(std::io::BufReader::new(open(path)?), given);
            }
            let (kind, value) = written.split_once('=').map_or((None, written), |(kind, value)| (Some(kind), value));
            let mut values = Vec::new();
            match (kind, value, value.strip_prefix('@')) {
                (Some(_), "-", _) => lines(std::io::stdin().lock(), &mut values)?,
                (Some(_), _, Some(path)) => lines(std::io::BufReader::new(open(path)?), &mut values)?,
                _ => {
                    eprintln!(
                        "warning: the identifier stands on the command line, where others on this machine can see it; leave it out to be asked, or use @FILE or -"
                    );
                    given.push(Sealed::new(written.to_owned()));
                }
            }
            let kind = kind.unwrap_or_default();
            given.extend(values.into_iter().map(|value| Sealed::new(format!("{kind}={}", value.expose()))));
            Ok(())
        }
    }
}

fn open(path: &str) -> Result<std::fs::File, Failure> {
    std::fs::File::open(path).map_err(|error| usage(format!("{path}: {error}")))
}

fn lines(source: impl std::io::BufRead, given: &mut Vec<Sealed>) -> Result<(), Failure> {
    for line in source.lines() {
        let line = line.map_err(|error| usage(format!("the identifiers cannot be read: {error}")))?;
        let line = line.trim_end_matches('\r');
        if !line.is_empty() {
            given.push(Sealed::new(line.to_owned()));
        }
    }
    Ok(())
}

/// Whether somebody sits at a terminal who can be asked.
pub fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks on the terminal.
///
/// # Errors
/// When there is none.
pub fn ask(question: &str) -> Result<Sealed, Failure> {
    if !can_ask() {
        return Err(usage("nobody can be asked here; give the identifier by @FILE or -"));
    }
    eprint!("{question}");
    let failed = |error: std::io::Error| usage(format!("the terminal cannot be read: {error}"));
    std::io::stderr().flush().map_err(failed)?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).map_err(failed)?;
    Ok(Sealed::new(line.trim_end_matches(['\n', '\r']).to_owned()))
}
