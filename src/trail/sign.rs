//! Checkpoints are signed: with the installation's own key, and only what continues what that key signed before.
//!
//! **Invariant.** What was signed last stands in a file beside the key, outside the state: size and subtrees, from which
//! the leaves that came since must lead to the tree that is signed now. A state that was changed below that size, or that
//! is shorter, is not signed for. One signs at a time, whichever thread or process it is, and reads what was signed last
//! before the trail's head: so the trail is never shorter than that because somebody else signed meanwhile.

use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use ed25519_dalek::SigningKey;
use sha2::{Digest as _, Sha256};

use super::act::Act;
use super::append::{Tip, add, signed, with_trail};
use super::canonical::Digest;
use super::note::{Checkpoint, VerifierKey};
use super::prune::extend;
use super::record::Entry;
use super::tree::{Frontier, Hash};
use super::{TrailError, hex};
use crate::clock::Clock;
use crate::redact::Sealed;
use crate::store::state;
use crate::store::{Conn, ErrorKind as StoreKind, StoreError};

/// The key, in the state's folder.
const KEY: &str = "trail.key";

/// Signs checkpoints.
pub struct Signer {
    key: SigningKey,
    folder: Option<PathBuf>,
}

/// A checkpoint that was signed just now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// How many records it is about.
    pub size: u64,
    /// The note.
    pub note: String,
    /// When it was signed.
    pub at: DateTime<Utc>,
}

impl Signer {
    /// The signer of an installation. `secret`: the key, where the file says where to find it; else it stands in the
    /// folder, made when it is not there. `folder`: where what was signed is remembered.
    ///
    /// # Errors
    /// When there is no key, it is none, or others than its owner may read it.
    pub fn open(secret: Option<Sealed>, folder: Option<&Path>) -> Result<Self, TrailError> {
        let key = match (&secret, folder) {
            (Some(secret), _) => read_key(secret.expose(), "the secret that [trail] key names")?,
            (None, Some(folder)) => own_key(&folder.join(KEY))?,
            (None, None) => {
                return Err(TrailError::Key(
                    "the state has no folder on this machine to keep one in; say [trail] key = { credential = \"…\" }"
                        .to_owned(),
                ));
            }
        };
        Ok(Self { key, folder: folder.map(Path::to_path_buf) })
    }

    /// The public key.
    pub fn public(&self) -> Hash {
        self.key.verifying_key().to_bytes()
    }

    /// The public key, as those who check signatures want it.
    pub fn verifier(&self, origin: &str) -> Option<VerifierKey> {
        VerifierKey::new(origin, &self.public())
    }

    fn place(&self, origin: &str) -> Option<PathBuf> {
        let hash: Hash = Sha256::digest(origin).into();
        Some(self.folder.as_ref()?.join(format!("trail-{}.signed", hex::encode(&hash[..4]))))
    }

    /// The tree that was signed last; empty when none was.
    fn last(&self, origin: &str) -> Result<Frontier, TrailError> {
        let Some(place) = self.place(origin) else { return Ok(Frontier::default()) };
        let text = match std::fs::read_to_string(&place) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Frontier::default()),
            Err(error) => return Err(TrailError::Key(format!("{}: {error}", place.display()))),
        };
        let mut lines = text.lines();
        let size = lines.next().and_then(|size| size.parse().ok());
        let hashes = lines.map(hex::hash).collect::<Option<Vec<Hash>>>();
        let tree = size.zip(hashes).and_then(|(size, hashes)| Frontier::of(size, hashes));
        tree.ok_or_else(|| TrailError::Key(format!("{}: it does not say what was signed last", place.display())))
    }

    fn remember(&self, origin: &str, tree: &Frontier) -> Result<(), TrailError> {
        let Some(place) = self.place(origin) else { return Ok(()) };
        let failed = |error: std::io::Error| TrailError::Key(format!("{}: {error}", place.display()));
        let hashes: String = tree.hashes().iter().map(|hash| hex::encode(hash) + "\n").collect();
        // Whoever is interrupted leaves what was signed before as it is.
        let new = place.with_extension(format!("new-{}", std::process::id()));
        let mut file = private().create(true).truncate(true).open(&new).map_err(failed)?;
        file.write_all(format!("{}\n{hashes}", tree.size()).as_bytes()).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        std::fs::rename(&new, &place).map_err(failed)
    }

    /// Keeps everybody else from signing until the lock is dropped.
    fn alone(&self) -> Result<Option<std::fs::File>, TrailError> {
        let Some(folder) = &self.folder else { return Ok(None) };
        let failed = |error: std::io::Error| TrailError::Key(format!("{}: {error}", folder.display()));
        let lock = std::fs::File::open(folder).map_err(failed)?;
        lock.lock().map_err(failed)?;
        Ok(Some(lock))
    }

    /// Signs the trail as it is; `None` when it is empty, or signed already.
    ///
    /// # Errors
    /// When it cannot be read, or does not continue what was signed before: then it is not signed.
    pub fn checkpoint(&self, conn: &mut Conn, clock: Clock) -> Result<Option<Signed>, TrailError> {
        if Tip::of(&state::trail_head(conn)?)?.frontier.size() == 0 {
            return Ok(None);
        }
        self.introduce(conn, clock)?;
        let _alone = self.alone()?;
        let mut tree = self.last(&state::trail_head(conn)?.origin)?;
        let tip = Tip::of(&state::trail_head(conn)?)?;
        let size = tip.frontier.size();
        if state::last_checkpoint(conn)?.is_some_and(|(last, ..)| u64::try_from(last) == Ok(size)) {
            return Ok(None);
        }
        if tree.size() > size {
            return Err(TrailError::Fork(format!(
                "it has {size} records, and {} were signed for before; was the state restored, or records cut off?",
                tree.size()
            )));
        }
        let before = tree.size();
        extend(conn, &mut tree, size)?;
        if tree.root() != tip.frontier.root() {
            return Err(TrailError::Fork(format!(
                "it does not continue the {before} records that were signed for before"
            )));
        }
        let checkpoint = Checkpoint { origin: tip.origin.clone(), size, root: tree.root() };
        let (note, at) = (checkpoint.sign(&self.key), clock.now());
        match state::add_checkpoint(conn, signed(size)?, &note, at) {
            // Another daemon has just signed for the same size.
            Err(StoreError { kind: StoreKind::Constraint, .. }) => {}
            other => other?,
        }
        self.remember(&tip.origin, &tree)?;
        Ok(Some(Signed { size, note, at }))
    }

    /// Records the key when it signs for the first time.
    fn introduce(&self, conn: &mut Conn, clock: Clock) -> Result<(), TrailError> {
        let public = Digest::of(&self.public());
        if state::trail_signers(conn)?.iter().any(|known| known == public.as_str()) {
            return Ok(());
        }
        with_trail(conn, |conn, tip| {
            if state::trail_signers(conn)?.iter().all(|known| known != public.as_str()) {
                add(conn, tip, clock, &[Entry::new(Act::KeyUse { key: public.clone() })])?;
                state::add_trail_signer(conn, public.as_str(), clock.now())?;
            }
            Ok(())
        })
    }
}

fn private() -> std::fs::OpenOptions {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).mode(0o600);
    options
}

fn read_key(text: &str, place: &str) -> Result<SigningKey, TrailError> {
    let key = hex::hash(text.trim()).ok_or_else(|| {
        TrailError::Key(format!("{place} is no key: 64 hexadecimal digits (`openssl rand -hex 32` makes one)"))
    })?;
    Ok(SigningKey::from_bytes(&key))
}

/// The key of the installation, made at its first use: by whoever has the file's lock and finds it empty.
fn own_key(path: &Path) -> Result<SigningKey, TrailError> {
    use std::os::unix::fs::PermissionsExt as _;
    let failed = |error: std::io::Error| TrailError::Key(format!("{}: {error}", path.display()));
    let mut file = private().read(true).create(true).truncate(false).open(path).map_err(failed)?;
    file.lock().map_err(failed)?;
    if file.metadata().map_err(failed)?.permissions().mode() & 0o077 != 0 {
        return Err(TrailError::Key(format!("{}: others may read it; chmod 600 it", path.display())));
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(failed)?;
    if text.is_empty() {
        text = state::new_secret()? + "\n";
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    }
    read_key(&text, &path.display().to_string())
}
