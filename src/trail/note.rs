//! Signed notes and checkpoints, as C2SP writes them (signed-note, tlog-checkpoint), with Ed25519 keys.
//!
//! A checkpoint is three lines (the trail's name, its size, its root in base64), an empty line, and one line for each
//! signature. Whoever keeps one can show later that no record below its size was changed, dropped or moved.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};

use super::hex;
use super::tree::Hash;

/// The signature algorithm Ed25519, in key ids and verifier keys.
const ED25519: u8 = 1;
/// What a signature's line begins with.
const DASH: &str = "\u{2014} ";

/// Whose signature a line is, and its bytes.
type SignedBy<'a> = (&'a str, Vec<u8>);

/// Why a note was not taken.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NoteError {
    /// It is no signed note, or its text is no checkpoint.
    #[error("this is no checkpoint: {0}")]
    Malformed(&'static str),
    /// It is a checkpoint of another trail.
    #[error("this is a checkpoint of `{0}`")]
    OtherTrail(String),
    /// Nobody whose key is known signed it.
    #[error("no key of this trail signed it")]
    NotSigned,
}

/// The note within a text: lines that were indented, line ends of another system, a mail that was saved as it was sent
/// (quoted-printable or base64). The text itself when there is none in it.
pub fn find_note(text: &[u8]) -> String {
    let plain = String::from_utf8_lossy(text).into_owned();
    let quoted = || quoted_printable::decode(text, quoted_printable::ParseMode::Robust).ok();
    note_in(&plain)
        .or_else(|| note_in(&String::from_utf8_lossy(&quoted()?)))
        .or_else(|| encoded_parts(&plain).find_map(|part| note_in(&String::from_utf8_lossy(&part))))
        .unwrap_or(plain)
}

fn note_in(text: &str) -> Option<String> {
    let lines: Vec<&str> = text.split('\n').map(|line| line.trim_matches([' ', '\t', '\r'])).collect();
    let is_signature = |line: &&str| line.starts_with(DASH);
    let first = lines.iter().position(is_signature)?;
    let body = lines.get(first.checked_sub(4)?..first)?;
    let signatures = lines.iter().skip(first).take_while(|line| is_signature(line));
    Some(body.iter().chain(signatures).flat_map(|line| [*line, "\n"]).collect())
}

/// What the parts of a mail hold that are in base64.
fn encoded_parts(text: &str) -> impl Iterator<Item = Vec<u8>> {
    let parts = text.split("Content-Transfer-Encoding: base64").skip(1);
    parts.filter_map(|part| {
        // The rest of the header's own line, and the headers after it, up to an empty line.
        let body = part.lines().skip(1).skip_while(|line| !line.trim().is_empty()).skip(1);
        let body: String = body.map(str::trim).take_while(|line| !line.is_empty() && !line.starts_with("--")).collect();
        BASE64_STANDARD.decode(body).ok()
    })
}

/// Whether a text may be the name of a trail: what C2SP asks of key names, and short.
pub fn is_origin(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_graphic() && c != '+';
    (1..=150).contains(&name.len()) && name.chars().all(plain)
}

/// A public key with the name of the trail that it signs for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    origin: String,
    key: VerifyingKey,
}

impl VerifierKey {
    /// The key of a trail, from its 32 bytes.
    pub fn new(origin: &str, public: &Hash) -> Option<Self> {
        let key = VerifyingKey::from_bytes(public).ok()?;
        is_origin(origin).then(|| Self { origin: origin.to_owned(), key })
    }

    /// Reads `origin+id+key`, as C2SP writes it.
    pub fn parse(text: &str) -> Option<Self> {
        let (origin, rest) = text.trim_end().split_once('+')?;
        let (id, key) = rest.split_once('+')?;
        let key = BASE64_STANDARD.decode(key).ok()?;
        let (ED25519, public) = key.split_first().map(|(kind, public)| (*kind, public))? else { return None };
        let key = Self::new(origin, public.try_into().ok()?)?;
        (hex::encode(&key.id()) == id).then_some(key)
    }

    /// The name of the trail.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The 32 bytes of the key.
    pub fn public(&self) -> &Hash {
        self.key.as_bytes()
    }

    fn id(&self) -> [u8; 4] {
        let hash = Sha256::new()
            .chain_update(&self.origin)
            .chain_update([b'\n', ED25519])
            .chain_update(self.key.as_bytes())
            .finalize();
        [hash[0], hash[1], hash[2], hash[3]]
    }
}

impl std::fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let key = [&[ED25519], self.key.as_bytes().as_slice()].concat();
        write!(f, "{}+{}+{}", self.origin, hex::encode(&self.id()), BASE64_STANDARD.encode(key))
    }
}

/// What a checkpoint says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The name of the trail.
    pub origin: String,
    /// How many records it had.
    pub size: u64,
    /// The root of its tree.
    pub root: Hash,
}

impl Checkpoint {
    fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, BASE64_STANDARD.encode(self.root))
    }

    /// The checkpoint as a note, signed.
    pub fn sign(&self, key: &SigningKey) -> String {
        let text = self.text();
        let verifier = VerifierKey { origin: self.origin.clone(), key: key.verifying_key() };
        let signature = [verifier.id().as_slice(), &key.sign(text.as_bytes()).to_bytes()].concat();
        format!("{text}\n{DASH}{} {}\n", self.origin, BASE64_STANDARD.encode(signature))
    }

    /// Reads a note that one of the keys signed. Every byte of it counts, but for signatures of others: a witness may have
    /// added one.
    ///
    /// # Errors
    /// Why it is not taken.
    pub fn open(note: &str, keys: &[VerifierKey]) -> Result<Self, NoteError> {
        let (checkpoint, signed) = Self::read(note)?;
        let ours: Vec<_> = keys.iter().filter(|key| key.origin == checkpoint.origin).collect();
        if ours.is_empty() && !keys.is_empty() {
            return Err(NoteError::OtherTrail(checkpoint.origin));
        }
        let valid = |(name, signature): &(&str, Vec<u8>)| {
            let Some((id, signature)) = signature.split_first_chunk::<4>() else { return false };
            let Ok(signature) = Signature::from_slice(signature) else { return false };
            ours.iter().any(|key| {
                key.origin == *name
                    && key.id() == *id
                    && key.key.verify_strict(checkpoint.text().as_bytes(), &signature).is_ok()
            })
        };
        if signed.iter().any(valid) { Ok(checkpoint) } else { Err(NoteError::NotSigned) }
    }

    /// What a note says, whoever signed it.
    fn read(note: &str) -> Result<(Self, Vec<SignedBy<'_>>), NoteError> {
        let (text, signatures) = note.split_once("\n\n").ok_or(NoteError::Malformed("an empty line is missing"))?;
        let signatures = signatures.strip_suffix('\n').ok_or(NoteError::Malformed("its last line has no end"))?;
        let mut lines = text.split('\n');
        let (Some(origin), Some(size), Some(root), None) = (lines.next(), lines.next(), lines.next(), lines.next())
        else {
            return Err(NoteError::Malformed("it has not three lines"));
        };
        let number = size.parse::<u64>().ok().filter(|number| number.to_string() == size);
        let size = number.ok_or(NoteError::Malformed("its size is no number"))?;
        let root = BASE64_STANDARD.decode(root).ok().and_then(|root| root.try_into().ok());
        let root = root.ok_or(NoteError::Malformed("its root is no hash in base64"))?;
        if !is_origin(origin) {
            return Err(NoteError::Malformed("its name is no name"));
        }
        let signature = |line: &'_ str| -> Option<(usize, Vec<u8>)> {
            let (name, signature) = line.strip_prefix(DASH)?.split_once(' ')?;
            Some((name.len(), BASE64_STANDARD.decode(signature).ok()?))
        };
        let mut signed = Vec::new();
        for line in signatures.split('\n') {
            let (length, bytes) = signature(line).ok_or(NoteError::Malformed("a line is no signature"))?;
            signed.push((line.get(DASH.len()..DASH.len() + length).unwrap_or_default(), bytes));
        }
        Ok((Self { origin: origin.to_owned(), size, root }, signed))
    }
}

#[cfg(test)]
mod tests {
    use signed_note::{Note, StandardVerifier, VerifierList};

    use super::*;

    const VECTOR_KEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    const VECTOR: &str = "This is an example message.\n\n\u{2014} example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";

    fn key() -> SigningKey {
        SigningKey::from_bytes(&[7; 32])
    }

    fn verifier(origin: &str) -> VerifierKey {
        VerifierKey::new(origin, key().verifying_key().as_bytes()).unwrap()
    }

    fn checkpoint() -> Checkpoint {
        Checkpoint { origin: "example.org/retentiond/1".to_owned(), size: 42, root: [9; 32] }
    }

    #[test]
    fn the_vector_of_c2sp_passes() {
        let key = VerifierKey::parse(VECTOR_KEY).unwrap();
        assert_eq!(key.to_string(), VECTOR_KEY);
        let (text, line) = VECTOR.split_once("\n\n").unwrap();
        let signature = line.trim_end().rsplit_once(' ').unwrap().1;
        let signature = BASE64_STANDARD.decode(signature).unwrap();
        assert_eq!(signature[..4], key.id());
        let signature = Signature::from_slice(&signature[4..]).unwrap();
        key.key.verify_strict(format!("{text}\n").as_bytes(), &signature).unwrap();
    }

    #[test]
    fn others_read_what_we_sign() {
        let note = checkpoint().sign(&key());
        let verifier = verifier("example.org/retentiond/1");
        let theirs = StandardVerifier::new(&verifier.to_string()).unwrap();
        let list = VerifierList::new(vec![Box::new(theirs)]);
        Note::from_bytes(note.as_bytes()).unwrap().verify(&list).unwrap();
        assert_eq!(VerifierKey::parse(&verifier.to_string()), Some(verifier.clone()));
        assert_eq!(Checkpoint::open(&note, &[verifier]), Ok(checkpoint()));
    }

    #[test]
    fn a_note_is_found_in_a_mail() {
        let note = checkpoint().sign(&key());
        assert_eq!(find_note(note.as_bytes()), note);
        assert_eq!(find_note(note.trim_end().as_bytes()), note, "its last line has no end");
        let mail = format!("The trail:\r\n\r\n    {}\r\n\r\nThe key:\r\n", note.trim_end().replace('\n', "\r\n    "));
        assert_eq!(find_note(mail.as_bytes()), note);
        let quoted = quoted_printable::encode(&mail);
        assert!(quoted.windows(9).any(|word| word == b"=E2=80=94"), "{}", String::from_utf8_lossy(&quoted));
        assert_eq!(find_note(&quoted), note);
        let lines: Vec<String> =
            BASE64_STANDARD.encode(&mail).as_bytes().chunks(76).map(|l| String::from_utf8_lossy(l).into()).collect();
        let parts = format!("--x\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n--x--\r\n", lines.join("\r\n"));
        assert_eq!(find_note(parts.as_bytes()), note);
        assert_eq!(find_note(b"nothing of the kind"), "nothing of the kind");
    }

    #[test]
    fn a_signature_of_a_witness_does_no_harm() {
        let note = checkpoint().sign(&key()) + "\u{2014} witness.example AAAAAAAA\n";
        assert_eq!(Checkpoint::open(&note, &[verifier("example.org/retentiond/1")]), Ok(checkpoint()));
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let note = checkpoint().sign(&key());
        let keys = [verifier("example.org/retentiond/1")];
        for place in 0..note.len() {
            for bit in 0..8 {
                let mut bytes = note.clone().into_bytes();
                bytes[place] ^= 1 << bit;
                let opened = String::from_utf8(bytes).ok().map(|note| Checkpoint::open(&note, &keys));
                assert!(!matches!(opened, Some(Ok(_))), "bit {bit} of byte {place}");
            }
        }
        for end in 0..note.len() {
            assert!(note.get(..end).is_none_or(|note| Checkpoint::open(note, &keys).is_err()), "cut at {end}");
        }
    }

    #[test]
    fn a_note_of_another_trail_is_called_so() {
        let note = checkpoint().sign(&key());
        let other = Checkpoint::open(&note, &[verifier("example.org/retentiond/2")]);
        assert_eq!(other, Err(NoteError::OtherTrail("example.org/retentiond/1".to_owned())));
        let stranger =
            VerifierKey::new("example.org/retentiond/1", SigningKey::from_bytes(&[8; 32]).verifying_key().as_bytes());
        assert_eq!(Checkpoint::open(&note, &[stranger.unwrap()]), Err(NoteError::NotSigned));
    }
}
