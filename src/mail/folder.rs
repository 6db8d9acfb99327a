//! `file:DIR`: each message becomes one `.eml` file, whole or not at all.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::MailError;

/// Writes the message beside its final name, then gives it that name. A message that is there already, by its id, was
/// written before: it is not written again.
pub(super) fn write(folder: &Path, id: &str, bytes: &mut dyn Read) -> Result<(), MailError> {
    let failed = |error: std::io::Error| MailError::transient(format!("the mail folder {}: {error}", folder.display()));
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
    std::fs::rename(&part, &whole).map_err(failed)?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}

/// Whether the folder is one, or can be made.
pub(super) fn probe(folder: &Path) -> Result<(), MailError> {
    std::fs::create_dir_all(folder)
        .map_err(|error| MailError::permanent(format!("the mail folder {}: {error}", folder.display())))
}
