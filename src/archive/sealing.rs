//! Encryption to a public key (age), and what opens it again.
//!
//! A file must be read back before its rows go, and whoever writes it has the public key alone. So each file is encrypted
//! to a second key too, which is made for it, lives in memory only until the file was read back, and is then forgotten.

use std::path::Path;

use age::x25519;

/// A public key, `age1…`.
#[derive(Clone)]
pub struct Recipient {
    pub(super) key: x25519::Recipient,
}

impl Recipient {
    /// Reads a key.
    ///
    /// # Errors
    /// Why it is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        text.trim().parse().map(|key| Self { key }).map_err(|why: &str| format!("this is no public key of age: {why}"))
    }

    /// The key as text.
    pub fn text(&self) -> String {
        self.key.to_string()
    }
}

/// The secret keys that open an archive.
#[derive(Default)]
pub struct Keys(pub(super) Vec<Box<dyn age::Identity + Send + Sync>>);

impl Keys {
    /// Reads a file of secret keys, as `age-keygen` writes it.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = path.display().to_string();
        let failed = |why: String| format!("{text}: {why}");
        let file = age::IdentityFile::from_file(text.clone()).map_err(|error| failed(error.to_string()))?;
        let keys = file.into_identities().map_err(|error| failed(error.to_string()))?;
        if keys.is_empty() { Err(failed("there is no secret key in it".to_owned())) } else { Ok(Self(keys)) }
    }

    /// The one key that was made for a file.
    pub(super) fn only(key: x25519::Identity) -> Self {
        Self(vec![Box::new(key)])
    }
}
