//! `retentiond check`: the file and the map against the live databases, and whether mail can leave.

use std::io::IsTerminal as _;

use super::{Cli, Format, for_each};
use crate::control::tenants::Apart;
use crate::control::{Exit, Failure, Site};
use crate::mail::{Mailer, Settings};

/// Checks everything; changes nothing.
pub fn check(cli: &Cli) -> Result<Exit, Failure> {
    let mut mail: Option<Settings> = None;
    let (mut stores, mut warnings, mut data, mut jobs) = (Vec::new(), Vec::new(), 0, 0);
    let (mut errors, mut apart) = (Vec::new(), Apart::default());
    let exit = for_each(cli, |part| {
        let tenant = &part.document.tenant;
        let opened =
            Site::open_whole(part).and_then(|site| apart.add(tenant.as_ref(), &site.identities).map(|()| site));
        let site = match opened {
            Ok(site) => site,
            Err(failure) => {
                errors.extend(failure.errors_of(tenant.as_ref()));
                return Err(failure);
            }
        };
        if cli.format == Format::Text {
            show(&site);
        }
        stores.extend(stores_of(&site).into_iter().map(|(name, version, identity)| {
            let mut store = serde_json::json!({ "store": name, "version": version, "identity": identity });
            if let (Some(tenant), Some(store)) = (tenant, store.as_object_mut()) {
                store.insert("tenant".to_owned(), tenant.to_string().into());
            }
            store
        }));
        warnings.extend(site.warnings.to_json(&site.loaded.source).as_array().cloned().unwrap_or_default());
        data = part.document.data.values().filter(|entry| entry.ignore.is_none()).count();
        jobs += site.jobs.len();
        mail = site.mail;
        Ok(Exit::Done)
    })?;
    let sent = mail.as_ref().map(|settings| Mailer::of(settings).and_then(|mailer| mailer.probe())).transpose();
    let sent =
        sent.map_err(|error| Failure::new(Exit::Unreachable, format!("error: mail could not be sent: {error}")))?;
    if cli.format == Format::Json {
        let mut json = serde_json::json!({
            "ok": exit == Exit::Done, "stores": stores, "data": data, "jobs": jobs, "mail": sent.is_some(),
            "warnings": warnings,
        });
        // Where all is well there are none, as there are none without tenants.
        if let Some(json) = json.as_object_mut().filter(|_| !errors.is_empty()) {
            json.insert("errors".to_owned(), errors.into());
        }
        say!("{json}");
        return Ok(exit);
    }
    if sent.is_some() {
        say!("mail: can be sent");
    }
    if exit == Exit::Done {
        say!("{}: {data} data entries fit their databases, {jobs} jobs are ready", cli.config.display());
    }
    Ok(exit)
}

/// Name, version and identity of each store.
fn stores_of(site: &Site) -> Vec<(String, String, String)> {
    let databases = site.stores.databases().map(|(name, database)| {
        (name.to_string(), database.server_version().to_owned(), database.identity().to_owned())
    });
    let roots = site.stores.roots().map(|(name, root)| (name.to_string(), "files".to_owned(), root.identity()));
    databases.chain(roots).collect()
}

fn show(site: &Site) {
    let warnings = site.warnings.render(&site.loaded.source, std::io::stderr().is_terminal());
    if !warnings.is_empty() {
        eprintln!("{}", warnings.trim_end());
    }
    let whose = site.loaded.document.tenant.as_ref().map(|tenant| format!("@{tenant}")).unwrap_or_default();
    for (name, version, identity) in stores_of(site) {
        say!("store {name}{whose}: {version}, identity = \"{identity}\"");
    }
}
