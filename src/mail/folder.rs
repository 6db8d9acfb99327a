//! `file:DIR`: each message becomes one `.eml` file, whole or not at all.
//!
//! **Invariant.** A message that is there by its id is not written again; and since whoever reads the folder may take it
//! away, the moment in which it gets its name is the final dot here ([`Phase::Dot`]): from then on a process that dies
//! leaves a doubt, and no second file.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::smtp::{Follow, Phase};
use super::{Certainty, MailError};

/// Writes the message beside its final name, then gives it that name. A message that is there already, by its id, was
/// written before: it is not written again.
pub(super) fn write(folder: &Path, id: &str, bytes: &mut dyn Read, follow: &mut dyn Follow) -> Result<(), MailError> {
    let failed = |error: std::io::Error| MailError::transient(format!("the mail folder {}: {error}", folder.display()));
    follow.reach(Phase::Connecting)?;
    std::fs::create_dir_all(folder).map_err(failed)?;
    let name = id.split('@').next().unwrap_or_default();
    let (part, whole) = (folder.join(format!(".{name}.part")), folder.join(format!("{name}.eml")));
    if whole.symlink_metadata().is_ok() {
        return Ok(());
    }
    // What a killed process left of it is written over.
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o640).open(&part).map_err(failed)?;
    std::io::copy(bytes, &mut file).and_then(|_| file.sync_all()).map_err(failed)?;
    follow.reach(Phase::Dot)?;
    std::fs::rename(&part, &whole).map_err(failed)?;
    let durable = File::open(folder).and_then(|folder| folder.sync_all());
    durable.map_err(|error| MailError { certainty: Certainty::Uncertain, ..failed(error) })
}

/// Whether the folder is one, or can be made.
pub(super) fn probe(folder: &Path) -> Result<(), MailError> {
    std::fs::create_dir_all(folder)
        .map_err(|error| MailError::permanent(format!("the mail folder {}: {error}", folder.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes down which phases came, and whether the message had its name by then.
    struct Seen<'a>(&'a Path, Vec<(Phase, bool)>, Option<Phase>);

    impl Follow for Seen<'_> {
        fn reach(&mut self, phase: Phase) -> Result<(), MailError> {
            self.1.push((phase, self.0.exists()));
            if self.2 == Some(phase) { Err(MailError::transient("not noted")) } else { Ok(()) }
        }
    }

    #[test]
    fn a_message_gets_its_name_after_that_was_written_down() {
        let folder = tempfile::tempdir().unwrap();
        let whole = folder.path().join("one.eml");
        let mut seen = Seen(&whole, Vec::new(), Some(Phase::Dot));
        assert!(write(folder.path(), "one@example.org", &mut &b"text\r\n"[..], &mut seen).is_err());
        assert_eq!(seen.1, [(Phase::Connecting, false), (Phase::Dot, false)]);
        assert!(!whole.exists(), "what could not be written down is not done");
        let mut seen = Seen(&whole, Vec::new(), None);
        write(folder.path(), "one@example.org", &mut &b"text\r\n"[..], &mut seen).unwrap();
        write(folder.path(), "one@example.org", &mut &b"other\r\n"[..], &mut seen).unwrap();
        assert_eq!(std::fs::read(&whole).unwrap(), b"text\r\n");
    }
}
