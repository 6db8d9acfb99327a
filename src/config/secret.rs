//! Where secrets are found; never the secret itself, and never in a message.

use std::path::{Path, PathBuf};

use super::values::{SecretRef, UrlSource};
use crate::redact::Sealed;

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
    if rustix::process::geteuid().is_root() {
        places.push(Path::new("/etc/retentiond/credentials").join(name));
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
