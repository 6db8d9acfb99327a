//! `retentiond check --unit`: what systemd must give the service for this jobs.toml, as a drop-in for the unit.
//!
//! The unit that is shipped may write to its own state and nowhere else, sees no home and no shared /tmp, and has no
//! secret. What a file needs beyond that is said here, and nothing more. Nothing is connected to: the credentials that a
//! connection needs are not there yet when an operator asks.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::{Cli, Format};
use crate::config::Loaded;
use crate::config::document::Store;
use crate::config::listen::Listen;
use crate::config::secret::{CREDENTIALS, Outside};
use crate::config::values::UrlSource;
use crate::control::site::load;
use crate::control::{Exit, Failure};
use crate::files::RootOptions;
use crate::jobs::personal_data_report::key_files;
use crate::mail::settings::Way;
use crate::names::{StoreName, TenantName};
use crate::store::url::StoreUrl;

/// Folders that the unit gives to the service by itself.
const OWN: [&str; 2] = ["/var/lib/retentiond", "/run/retentiond"];
/// Folders that `ProtectHome=yes` hides.
const HOMES: [&str; 3] = ["/home", "/root", "/run/user"];
/// Folders that `PrivateTmp=yes` replaces by empty ones.
const TEMPORARY: [&str; 2] = ["/tmp", "/var/tmp"];

/// Prints the drop-in.
pub fn unit(cli: &Cli) -> Result<Exit, Failure> {
    let loaded = Arc::new(load(&cli.config)?);
    let needs = Needs::of(&loaded);
    if cli.format == Format::Json {
        say!("{}", serde_json::json!({ "drop_in": needs.drop_in(), "commands": needs.commands, "notes": needs.notes }));
    } else {
        say_text!("{}", needs.text(&cli.config));
    }
    Ok(Exit::Done)
}

/// What the file needs of systemd, and of the operator.
#[derive(Default)]
struct Needs {
    credentials: BTreeSet<String>,
    writable: BTreeSet<PathBuf>,
    bound: BTreeSet<PathBuf>,
    bound_read_only: BTreeSet<PathBuf>,
    homes: bool,
    commands: Vec<String>,
    notes: Vec<String>,
}

impl Needs {
    fn of(loaded: &Arc<Loaded>) -> Self {
        let mut needs = Self::default();
        let document = &loaded.document;
        let outside = Outside::of(&loaded.source);
        needs.place("[state]", &document.state.url);
        for part in loaded.parts() {
            for (name, store) in &part.document.stores {
                needs.store(name, store, part.document.tenant.as_ref());
            }
        }
        if let Some(Listen::Unix(socket)) = document.metrics.as_ref().map(|metrics| &metrics.listen) {
            needs.write("[metrics]", socket.parent().unwrap_or(socket));
        }
        if let Some(mail) = &document.mail {
            if let Some(ca) = &mail.ca {
                needs.read("[mail]", Path::new(ca));
            }
            let way = mail.smtp.resolve().ok().and_then(|url| Way::parse(&url).ok());
            if let Some(Way::Folder(folder)) = way {
                needs.write("[mail]", &folder);
            }
        }
        for file in &outside.files {
            needs.read("a secret", Path::new(file));
        }
        if let Some(templates) = &document.report.templates {
            needs.read("[report]", Path::new(templates));
        }
        for raw in document.jobs.values() {
            for file in key_files(raw) {
                needs.read(&format!("[jobs.{}]", raw.name), &file);
            }
        }
        needs.variables(&outside);
        needs.credentials = outside.credentials;
        needs
    }

    fn store(&mut self, name: &StoreName, store: &Store, tenant: Option<&TenantName>) {
        let whose = tenant.map(|tenant| format!("tenants.{tenant}.")).unwrap_or_default();
        let what = format!("[{whose}stores.{name}]");
        if let Some(ca) = &store.ca {
            self.read(&what, Path::new(ca));
        }
        let Some(StoreUrl::Files(folder)) = store.url.as_ref().and_then(|url| self.place(&what, url)) else { return };
        let marker = store.marker.clone().unwrap_or_else(|| RootOptions::default().marker);
        if !folder.join(&marker).exists() {
            let tenant = tenant.map(|tenant| format!(" --tenant {tenant}")).unwrap_or_default();
            self.commands.push(format!("retentiond init {name}{tenant}"));
        }
    }

    /// Looks where an address points to.
    fn place(&mut self, what: &str, url: &UrlSource) -> Option<StoreUrl> {
        // Without its variable the address is not known here; that the variable is needed is said elsewhere.
        let url = url.resolve().ok().and_then(|url| StoreUrl::parse(&url).ok())?;
        match &url {
            // SQLite keeps its journal beside the file, so it is the folder that must be writable.
            StoreUrl::Sqlite(file) => self.write(what, file.parent().unwrap_or(file)),
            StoreUrl::Files(folder) => self.write(what, folder),
            StoreUrl::Postgres(address) | StoreUrl::Mysql(address) => {
                if let Some(socket) = socket(address) {
                    self.read(what, &socket);
                }
            }
        }
        Some(url)
    }

    fn write(&mut self, what: &str, path: &Path) {
        let Some(path) = self.whole(what, path) else { return };
        if OWN.iter().any(|own| path.starts_with(own)) {
            return;
        }
        if self.hidden(&path) {
            self.bound.insert(path)
        } else {
            self.writable.insert(path)
        };
    }

    fn read(&mut self, what: &str, path: &Path) {
        let Some(path) = self.whole(what, path) else { return };
        if self.hidden(&path) {
            self.bound_read_only.insert(path);
        }
    }

    fn hidden(&mut self, path: &Path) -> bool {
        let home = HOMES.iter().any(|home| path.starts_with(home));
        self.homes |= home;
        home || TEMPORARY.iter().any(|folder| path.starts_with(folder))
    }

    /// The path, if it is one that means the same to the service as to whoever asks.
    fn whole(&mut self, what: &str, path: &Path) -> Option<PathBuf> {
        if path.is_absolute() && path.components().all(|part| part != Component::ParentDir) {
            return Some(path.components().collect());
        }
        let shown = path.display();
        self.notes.push(format!("{what}: `{shown}` is no whole path; the service starts in /, so write one"));
        None
    }

    fn variables(&mut self, outside: &Outside) {
        let list = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(", ");
        if !outside.variables.is_empty() {
            let names = list(&outside.variables);
            self.notes
                .push(format!("the file takes these from the environment: {names}. Set them with EnvironmentFile="));
        }
        if !outside.optional_variables.is_empty() {
            let names = list(&outside.optional_variables);
            self.notes.push(format!("these may be set with EnvironmentFile=, and have defaults: {names}"));
        }
    }

    /// The lines of the drop-in.
    fn drop_in(&self) -> String {
        let mut lines = vec!["[Service]".to_owned()];
        lines.extend(self.credentials.iter().map(|name| format!("LoadCredential={name}:{CREDENTIALS}/{name}")));
        lines.extend(self.writable.iter().map(|path| format!("ReadWritePaths={}", quoted(path))));
        lines.extend(self.homes.then(|| "ProtectHome=tmpfs".to_owned()));
        lines.extend(self.bound.iter().map(|path| format!("BindPaths={}", quoted(path))));
        let read = self.bound_read_only.difference(&self.bound);
        lines.extend(read.map(|path| format!("BindReadOnlyPaths={}", quoted(path))));
        lines.join("\n") + "\n"
    }

    fn text(&self, policy: &Path) -> String {
        let mut lines = vec![
            format!("# What retentiond.service needs for {}. Written to", policy.display()),
            "# /etc/systemd/system/retentiond.service.d/50-jobs.conf, it is read by `systemctl daemon-reload`."
                .to_owned(),
        ];
        lines.extend(self.notes.iter().map(|note| format!("# Note: {note}.")));
        lines.extend(self.credentials.iter().map(|name| format!("# Secret: {CREDENTIALS}/{name}, root's, mode 0400.")));
        lines.extend(self.commands.iter().map(|command| format!("# Once, by hand: {command}")));
        lines.join("\n") + "\n" + &self.drop_in()
    }
}

/// The folder or file of a server's Unix socket, where the address names one.
fn socket(address: &str) -> Option<PathBuf> {
    let parsed = url::Url::parse(address).ok()?;
    let named = parsed.query_pairs().find(|(key, _)| matches!(key.as_ref(), "host" | "socket"));
    let path = named.map(|(_, value)| value.into_owned())?;
    path.starts_with('/').then(|| PathBuf::from(path))
}

/// A path as a unit file writes it: a percent sign begins a specifier there, and blanks part words.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string().replace('%', "%%");
    if text.chars().any(|c| c.is_whitespace() || matches!(c, '"' | '\'' | '\\')) {
        return format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load_text;

    fn needs(text: &str) -> Needs {
        match load_text("jobs.toml", text) {
            Ok(loaded) => Needs::of(&Arc::new(loaded)),
            Err(refused) => panic!("{}", refused.diagnostics.render(&refused.source, false)),
        }
    }

    #[test]
    fn a_file_within_the_state_needs_nothing() {
        let found = needs("[stores.a]\nurl = \"sqlite:/var/lib/retentiond/a.db\"\n");
        assert_eq!(found.drop_in(), "[Service]\n");
        assert!(found.notes.is_empty() && found.commands.is_empty());
    }

    #[test]
    fn what_lies_elsewhere_is_opened_and_no_more() {
        let found = needs(
            r#"
            [state]
            url = "postgres://r@db/state"
            password = { credential = "state" }
            [mail]
            smtp = "file:/srv/mail out"
            from = "privacy@example.org"
            [metrics]
            listen = "unix:/srv/metrics/r.sock"
            [report]
            templates = "/home/jo/texts"
            [jobs.reports]
            kind = "personal_data_report"
            to = "dpo@example.org"
            encrypt_to = ["/root/dpo.asc", "/etc/keys/dpo.asc"]
            [stores.shop]
            url = "sqlite:/srv/100%/shop.db"
            [stores.home]
            url = "sqlite:/home/jo/x.db"
            [stores.socket]
            url = "postgres:///db?host=/tmp/pg"
            password = { file = "/root/secret" }
            ca = "/etc/ssl/ca.pem"
            [stores.voice]
            url = "file:/srv/voice"
            "#,
        );
        let expected = "[Service]\n\
            LoadCredential=state:/etc/retentiond/credentials/state\n\
            ReadWritePaths=/srv/100%%\n\
            ReadWritePaths=\"/srv/mail out\"\n\
            ReadWritePaths=/srv/metrics\n\
            ReadWritePaths=/srv/voice\n\
            ProtectHome=tmpfs\n\
            BindPaths=/home/jo\n\
            BindReadOnlyPaths=/home/jo/texts\n\
            BindReadOnlyPaths=/root/dpo.asc\n\
            BindReadOnlyPaths=/root/secret\n\
            BindReadOnlyPaths=/tmp/pg\n";
        assert_eq!(found.drop_in(), expected);
        assert_eq!(found.commands, ["retentiond init voice"]);
    }

    #[test]
    fn each_tenants_folders_are_opened() {
        let found = needs(
            "[stores.voice]\n[tenants.a.stores.voice]\nurl = \"file:/srv/a\"\npassword = { credential = \"a\" }\n[tenants.b.stores.voice]\nurl = \"file:/srv/b\"\n",
        );
        assert!(found.drop_in().contains("LoadCredential=a:") && found.drop_in().contains("ReadWritePaths=/srv/b\n"));
        assert_eq!(found.commands, ["retentiond init voice --tenant a", "retentiond init voice --tenant b"]);
    }

    #[test]
    fn what_the_service_would_not_find_is_said() {
        let found = needs(
            "[stores.a]\nurl = \"sqlite:a.db\"\n[stores.b]\nurl = { env = \"B\" }\n[stores.c]\nurl = \"file:/srv/../x\"\n",
        );
        assert_eq!(found.drop_in(), "[Service]\n");
        assert_eq!(found.notes.len(), 3, "{:?}", found.notes);
        assert!(found.notes.iter().any(|note| note.contains("environment: B.")), "{:?}", found.notes);
    }
}
