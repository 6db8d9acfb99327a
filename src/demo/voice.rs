//! The recording server: small files with real audio headers.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Samples of silence in a file: 20 ms at 8 kHz.
const SAMPLES: u32 = 160;
/// The file that proves that the root is the real one.
const MARKER: &str = ".retentiond-store";

/// Where recordings are written; without a directory, files are only counted.
pub(super) struct Voice<'p> {
    root: Option<&'p Path>,
    made: HashSet<PathBuf>,
    sound: Vec<u8>,
    pub(super) files: u64,
}

impl<'p> Voice<'p> {
    /// Makes the root with its marker.
    pub(super) fn new(root: Option<&'p Path>) -> io::Result<Self> {
        if let Some(root) = root {
            fs::create_dir_all(root)?;
            // A marker that stands there already pins the folder's identity.
            if !root.join(MARKER).exists() {
                fs::write(root.join(MARKER), b"a contact centre's recordings\n")?;
            }
        }
        Ok(Self { root, made: HashSet::new(), sound: wav(), files: 0 })
    }

    /// Writes one recording at `path` below the root.
    pub(super) fn write(&mut self, path: &str) -> io::Result<()> {
        self.files += 1;
        let Some(root) = self.root else { return Ok(()) };
        let path = root.join(path);
        if let Some(folder) = path.parent()
            && !self.made.contains(folder)
        {
            fs::create_dir_all(folder)?;
            self.made.insert(folder.to_owned());
        }
        fs::write(path, &self.sound)
    }
}

/// A RIFF/WAVE file: one channel of unsigned 8-bit samples at 8 kHz, all silent.
fn wav() -> Vec<u8> {
    let mut bytes = Vec::with_capacity(44 + SAMPLES as usize);
    bytes.extend(b"RIFF");
    bytes.extend((36 + SAMPLES).to_le_bytes());
    bytes.extend(b"WAVEfmt ");
    bytes.extend(16_u32.to_le_bytes());
    bytes.extend(1_u16.to_le_bytes()); // PCM
    bytes.extend(1_u16.to_le_bytes()); // channels
    bytes.extend(8_000_u32.to_le_bytes()); // samples a second
    bytes.extend(8_000_u32.to_le_bytes()); // bytes a second
    bytes.extend(1_u16.to_le_bytes()); // bytes of one sample of all channels
    bytes.extend(8_u16.to_le_bytes()); // bits of a sample
    bytes.extend(b"data");
    bytes.extend(SAMPLES.to_le_bytes());
    bytes.resize(bytes.len() + SAMPLES as usize, 0x80);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_has_a_header_that_tells_its_true_size() {
        let bytes = wav();
        let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        assert_eq!(&bytes[..4], b"RIFF");
        assert_eq!(number(4), bytes.len() - 8);
        assert_eq!(number(40), bytes.len() - 44);
    }
}
