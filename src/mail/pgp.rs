//! OpenPGP: whom a message is encrypted for, and encrypting it.
//!
//! **Invariant.** A message is encrypted only for a key whose owner can be expected to read it, and nobody else: a subkey
//! that is bound to the key by a good signature, made for encryption, not revoked and not expired at the moment of
//! encrypting. The library checks none of this by itself. Where no such key is left nothing is encrypted, and so nothing
//! is sent.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use pgp::composed::{ArmorOptions, Deserializable as _, MessageBuilder, SignedPublicKey, SignedPublicSubKey};
use pgp::crypto::sym::SymmetricKeyAlgorithm;
use pgp::packet::{Signature, SignatureType};
use pgp::types::{KeyDetails as _, Tag};
use sha2::{Digest as _, Sha256};

use super::MailError;

/// Why a key cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read.
    #[error("{0} cannot be read: {1}")]
    Unreadable(PathBuf, std::io::ErrorKind),
    /// It holds no public key.
    #[error("{0} is no OpenPGP public key; `gpg --armor --export ADDRESS` writes one")]
    NoKey(PathBuf),
    /// Its owner revoked it.
    #[error("the key in {0} was revoked")]
    Revoked(PathBuf),
    /// It is too old.
    #[error("the key in {0} expired on {1}")]
    Expired(PathBuf, String),
    /// It is for signing only, or what encrypts has expired or was revoked.
    #[error("the key in {0} has no valid part that encrypts")]
    NotForEncryption(PathBuf),
}

/// The keys that a message is encrypted for. Read from their files anew for each use, since keys expire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    keys: Vec<Usable>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Usable {
    key: SignedPublicKey,
    /// The place of the subkey; the key itself encrypts where there is none.
    subkey: Option<usize>,
}

impl Keys {
    /// Reads public keys, armoured or not.
    ///
    /// # Errors
    /// When one of them cannot be used at this instant.
    pub fn read(files: &[PathBuf], now: DateTime<Utc>) -> Result<Self, KeyError> {
        let keys = files.iter().map(|file| usable(file, now)).collect::<Result<_, _>>()?;
        Ok(Self { keys })
    }

    /// What stands for these keys: the same for the same parts that encrypt, in whatever order.
    pub fn seal(&self) -> String {
        let mut prints: Vec<String> = self
            .keys
            .iter()
            .map(|Usable { key, subkey }| match subkey.and_then(|place| key.public_subkeys.get(place)) {
                Some(subkey) => format!("{:x}", subkey.key.fingerprint()),
                None => format!("{:x}", key.fingerprint()),
            })
            .collect();
        prints.sort_unstable();
        prints.dedup();
        Sha256::digest(prints.join("\n")).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Encrypts a file for every key into another one, which its owner alone can read; in constant memory.
    ///
    /// # Errors
    /// When a file cannot be read or written, or a key is of a kind that cannot be used after all.
    pub fn encrypt_file(&self, from: &Path, to: &Path) -> Result<(), MailError> {
        use std::os::unix::fs::OpenOptionsExt as _;
        let failed = |error: &dyn std::fmt::Display| {
            MailError::permanent(format!("the report cannot be encrypted into {}: {error}", to.display()))
        };
        let source = std::fs::File::open(from).map_err(|error| failed(&error))?;
        let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(to);
        let mut file = std::io::BufWriter::new(file.map_err(|error| failed(&error))?);
        let random = rand::rngs::OsRng;
        let mut builder = MessageBuilder::from_reader("", std::io::BufReader::new(source))
            .seipd_v1(random, SymmetricKeyAlgorithm::AES256);
        for Usable { key, subkey } in &self.keys {
            match subkey.and_then(|place| key.public_subkeys.get(place)) {
                Some(subkey) => builder.encrypt_to_key(random, subkey),
                None => builder.encrypt_to_key(random, key),
            }
            .map_err(|error| failed(&error))?;
        }
        builder.to_writer(random, &mut file).map_err(|error| failed(&error))?;
        file.into_inner().map_err(|error| failed(&error))?.sync_all().map_err(|error| failed(&error))
    }

    /// Encrypts for every key; gives armoured text.
    ///
    /// # Errors
    /// When a key is of a kind that cannot be used after all.
    pub fn encrypt(&self, bytes: Vec<u8>) -> Result<String, MailError> {
        let failed =
            |error: pgp::errors::Error| MailError::permanent(format!("the message cannot be encrypted: {error}"));
        let random = rand::rngs::OsRng;
        let mut builder = MessageBuilder::from_bytes("", bytes).seipd_v1(random, SymmetricKeyAlgorithm::AES256);
        for Usable { key, subkey } in &self.keys {
            match subkey.and_then(|place| key.public_subkeys.get(place)) {
                Some(subkey) => builder.encrypt_to_key(random, subkey),
                None => builder.encrypt_to_key(random, key),
            }
            .map_err(failed)?;
        }
        if self.keys.is_empty() {
            return Err(MailError::permanent("the message cannot be encrypted: no key is named"));
        }
        builder.to_armored_string(random, ArmorOptions::default()).map_err(failed)
    }
}

fn usable(file: &Path, now: DateTime<Utc>) -> Result<Usable, KeyError> {
    let bytes = std::fs::read(file).map_err(|error| KeyError::Unreadable(file.to_path_buf(), error.kind()))?;
    let (key, _) =
        SignedPublicKey::from_reader_single(bytes.as_slice()).map_err(|_| KeyError::NoKey(file.to_path_buf()))?;
    // A file with a second key may be meant for either; the first is the one that would be used unseen.
    let primary = &key.primary_key;
    if key.details.revocation_signatures.iter().any(|signature| signature.verify_key(primary).is_ok()) {
        return Err(KeyError::Revoked(file.to_path_buf()));
    }
    let own = newest(own_signatures(&key)).ok_or_else(|| KeyError::NoKey(file.to_path_buf()))?;
    if let Some(end) = end_of(key.created_at().as_secs(), own).filter(|end| *end <= now) {
        return Err(KeyError::Expired(file.to_path_buf(), end.format("%Y-%m-%d").to_string()));
    }
    let mut best: Option<(u32, usize)> = None;
    for (place, subkey) in key.public_subkeys.iter().enumerate() {
        let made = subkey.key.created_at().as_secs();
        if encrypts(&key, subkey, now) && best.is_none_or(|(other, _)| other <= made) {
            best = Some((made, place));
        }
    }
    let itself = is_for_encryption(own) && key.algorithm().can_encrypt();
    match best {
        Some((_, place)) => Ok(Usable { subkey: Some(place), key }),
        None if itself => Ok(Usable { subkey: None, key }),
        None => Err(KeyError::NotForEncryption(file.to_path_buf())),
    }
}

/// What the key's owner signed about the key itself. Others' signatures say nothing about what it is for.
fn own_signatures(key: &SignedPublicKey) -> impl Iterator<Item = &Signature> {
    let primary = &key.primary_key;
    let direct = key.details.direct_signatures.iter().filter(move |signature| signature.verify_key(primary).is_ok());
    let users = key.details.users.iter().flat_map(move |user| {
        let own = |signature: &&Signature| signature.verify_certification(primary, Tag::UserId, &user.id).is_ok();
        user.signatures.iter().filter(own)
    });
    direct.chain(users)
}

fn newest<'a>(signatures: impl Iterator<Item = &'a Signature>) -> Option<&'a Signature> {
    signatures.max_by_key(|signature| signature.created().map_or(0, pgp::types::Timestamp::as_secs))
}

fn encrypts(key: &SignedPublicKey, subkey: &SignedPublicSubKey, now: DateTime<Utc>) -> bool {
    let good = |kind: SignatureType| {
        let bound = |signature: &&Signature| {
            signature.typ() == Some(kind) && signature.verify_subkey_binding(&key.primary_key, &subkey.key).is_ok()
        };
        subkey.signatures.iter().filter(bound).collect::<Vec<_>>()
    };
    if !good(SignatureType::SubkeyRevocation).is_empty() || !subkey.key.algorithm().can_encrypt() {
        return false;
    }
    let Some(binding) = newest(good(SignatureType::SubkeyBinding).into_iter()) else { return false };
    let made = subkey.key.created_at().as_secs();
    is_for_encryption(binding) && end_of(made, binding).is_none_or(|end| end > now)
}

fn is_for_encryption(signature: &Signature) -> bool {
    let flags = signature.key_flags();
    flags.encrypt_comms() || flags.encrypt_storage()
}

/// When a key ends; none when it does not.
fn end_of(made: u32, signature: &Signature) -> Option<DateTime<Utc>> {
    let length = signature.key_expiration_time()?.as_secs();
    if length == 0 {
        return None;
    }
    DateTime::from_timestamp(i64::from(made) + i64::from(length), 0)
}
