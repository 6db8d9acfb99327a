//! `retentiond check`: the file and the map against the live databases, and whether mail can leave.

use std::io::IsTerminal as _;

use super::{Cli, Format};
use crate::control::Site;
use crate::control::{Exit, Failure};
use crate::mail::Mailer;

/// Checks everything; changes nothing.
pub fn check(cli: &Cli) -> Result<Exit, Failure> {
    let site = Site::open(&cli.config)?;
    let document = &site.loaded.document;
    let databases = site.stores.databases().map(|(name, database)| {
        (name.to_string(), database.server_version().to_owned(), database.identity().to_owned())
    });
    let roots = site.stores.roots().map(|(name, root)| (name.to_string(), "files".to_owned(), root.identity()));
    let stores: Vec<(String, String, String)> = databases.chain(roots).collect();
    let mail = site.mail.as_ref().map(|settings| Mailer::of(settings).and_then(|mailer| mailer.probe())).transpose();
    let mail =
        mail.map_err(|error| Failure::new(Exit::Unreachable, format!("error: mail could not be sent: {error}")))?;
    if cli.format == Format::Json {
        let stores: Vec<_> = stores
            .iter()
            .map(|(name, version, identity)| serde_json::json!({ "store": name, "version": version, "identity": identity }))
            .collect();
        say!(
            "{}",
            serde_json::json!({
                "ok": true, "stores": stores, "data": document.data.len(), "jobs": site.jobs.len(), "mail": mail.is_some(),
                "warnings": site.warnings.to_json(&site.loaded.source),
            })
        );
        return Ok(Exit::Done);
    }
    let warnings = site.warnings.render(&site.loaded.source, std::io::stderr().is_terminal());
    if !warnings.is_empty() {
        eprintln!("{}", warnings.trim_end());
    }
    for (name, version, identity) in &stores {
        say!("store {name}: {version}, identity = \"{identity}\"");
    }
    if mail.is_some() {
        say!("mail: can be sent");
    }
    say!(
        "{}: {} data entries fit their databases, {} jobs are ready",
        cli.config.display(),
        document.data.values().filter(|entry| entry.ignore.is_none()).count(),
        site.jobs.len()
    );
    Ok(Exit::Done)
}
