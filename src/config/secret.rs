//! Where secrets are found; never the secret itself, and never in a message.
//!
//! A command that root runs becomes the service's user before it does anything ([`keep_credentials`] is called just
//! before): what only root may read is read until then and kept, and nothing else is.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::source::Source;
use super::values::{SecretRef, UrlSource};
use crate::redact::Sealed;

/// Where root keeps the credentials that systemd hands to the service.
pub const CREDENTIALS: &str = "/etc/retentiond/credentials";

/// What root read before it became somebody else.
static KEPT: OnceLock<BTreeMap<String, Sealed>> = OnceLock::new();

/// Everything outside the file that secrets and addresses are taken from.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outside {
    /// Names of credentials.
    pub credentials: BTreeSet<String>,
    /// Files that hold a secret.
    pub files: BTreeSet<String>,
    /// Environment variables without which the file cannot be used.
    pub variables: BTreeSet<String>,
    /// Environment variables that have a default.
    pub optional_variables: BTreeSet<String>,
}

impl Outside {
    /// Finds them by their form, so that the keys of jobs count too, which only their kinds know.
    pub fn of(source: &Source) -> Self {
        let mut found = Self::default();
        for (_, text) in source.shared_texts() {
            let (table, _) = DeTable::parse_recoverable(&text);
            found.table(table.get_ref(), false);
        }
        found
    }

    fn table(&mut self, table: &DeTable<'_>, overwrites: bool) {
        let text = |key: &str| table.get(key).and_then(|value| value.get_ref().as_str()).map(str::to_owned);
        let alone = table.iter().count() == 1;
        self.credentials.extend(text("credential"));
        if alone {
            self.files.extend(text("file"));
            self.variables.extend(text("env"));
        } else if text("default").is_some() {
            self.optional_variables.extend(text("env"));
        }
        for (key, value) in table.iter() {
            self.value(value, overwrites || key.get_ref() == "anonymise");
        }
    }

    fn value(&mut self, value: &Spanned<DeValue<'_>>, overwrites: bool) {
        match value.get_ref() {
            DeValue::Table(table) => self.table(table, overwrites),
            DeValue::Array(list) => list.iter().for_each(|item| self.value(item, overwrites)),
            DeValue::String(text) if overwrites => {
                self.credentials.extend(text.strip_prefix("hash:").map(|name| name.trim().to_owned()));
            }
            _ => {}
        }
    }
}

/// Whether systemd would take it for the name of a credential, and it is a plain file name.
pub fn is_credential_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@');
    (1..=200).contains(&name.len()) && !name.starts_with('.') && name.chars().all(plain)
}

/// Reads, as root, the credentials that the file asks for and keeps them; those that are not there are somebody else's
/// to miss. A second call keeps what the first one read.
pub fn keep_credentials(source: &Source) {
    let names = Outside::of(source).credentials.into_iter().filter(|name| is_credential_name(name));
    let found = names.filter_map(|name| read(&Path::new(CREDENTIALS).join(&name)).ok().map(|secret| (name, secret)));
    KEPT.get_or_init(|| found.collect());
}

/// Why a secret was not found.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SecretError(String);

impl SecretRef {
    /// Reads the secret; a newline at its end is no part of it.
    ///
    /// # Errors
    /// With the place where it was looked for.
    pub fn resolve(&self) -> Result<Sealed, SecretError> {
        match self {
            Self::Env(name) => std::env::var(name)
                .map(Sealed::new)
                .map_err(|_| SecretError(format!("the environment variable {name} is not set"))),
            Self::File(path) => read(Path::new(path)),
            Self::Credential(name) => {
                let places = credential_places(name);
                match places.iter().find(|place| place.exists()) {
                    Some(place) => read(place),
                    None => {
                        if let Some(kept) = KEPT.get().and_then(|kept| kept.get(name)) {
                            return Ok(kept.clone());
                        }
                        let list: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
                        Err(SecretError(format!("there is no credential `{name}`; looked in {}", list.join(", "))))
                    }
                }
            }
        }
    }
}

fn credential_places(name: &str) -> Vec<PathBuf> {
    let mut places = Vec::new();
    if let Some(directory) = std::env::var_os("CREDENTIALS_DIRECTORY") {
        places.push(Path::new(&directory).join(name));
    }
    if rustix::process::geteuid().is_root() || KEPT.get().is_some() {
        places.push(Path::new(CREDENTIALS).join(name));
    }
    if places.is_empty() {
        places.push(Path::new("$CREDENTIALS_DIRECTORY").join(name));
    }
    places
}

fn read(path: &Path) -> Result<Sealed, SecretError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| SecretError(format!("the secret in {} cannot be read: {}", path.display(), error.kind())))?;
    let text = text.strip_suffix('\n').map_or(text.as_str(), |text| text.strip_suffix('\r').unwrap_or(text));
    if text.is_empty() {
        return Err(SecretError(format!("the secret in {} is empty", path.display())));
    }
    Ok(Sealed::new(text.to_owned()))
}

impl UrlSource {
    /// The URL.
    ///
    /// # Errors
    /// When it stands in an environment variable that is not set and has no default.
    pub fn resolve(&self) -> Result<String, SecretError> {
        match self {
            Self::Literal(url) => Ok(url.clone()),
            Self::Env { env, default } => match (std::env::var(env), default) {
                (Ok(url), _) if !url.trim().is_empty() => Ok(url),
                (_, Some(default)) => Ok(default.clone()),
                (_, None) => Err(SecretError(format!("the environment variable {env} is not set"))),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::diagnostic::Diagnostics;

    #[test]
    fn all_that_stands_outside_the_file_is_found() {
        let text = r#"
            [state]
            url = { env = "STATE_URL" }
            password = { credential = "state" }
            [stores.a]
            url = { env = "A_URL", default = "sqlite:/a" }
            password = { file = "/run/secrets/a" }
            [stores.b]
            url = "sqlite:/b"
            password = { env = "B_PASSWORD" }
            [data.t]
            subject = "hash:not-here"
            file = { store = "voice", path = "p" }
            anonymise = { phone = "hash:pepper", name = "null" }
            [jobs.report]
            targets = [{ token = { credential = "token" } }]
        "#;
        let source = Source::of_text("x", text, &mut Diagnostics::default());
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        let expected = Outside {
            credentials: set(&["state", "pepper", "token"]),
            files: set(&["/run/secrets/a"]),
            variables: set(&["STATE_URL", "B_PASSWORD"]),
            optional_variables: set(&["A_URL"]),
        };
        assert_eq!(Outside::of(&source), expected);
    }

    #[test]
    fn a_credential_has_a_plain_name() {
        for name in ["smtp-user", "a", "db_1.key", "x@y"] {
            assert!(is_credential_name(name), "{name}");
        }
        for name in ["", ".", "..", "../x", "a/b", "a:b", "a b", "a\n", "a%b", "ä"] {
            assert!(!is_credential_name(name), "{name}");
        }
    }
}
