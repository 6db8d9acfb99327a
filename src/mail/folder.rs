//! `file:DIR`: each message becomes one `.eml` file, whole or not at all.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::{MailError, Message};

/// Writes the message beside its final name, then gives it that name.
pub(super) fn write(folder: &Path, message: &Message) -> Result<(), MailError> {
    let failed = |error: std::io::Error| MailError::transient(format!("the mail folder {}: {error}", folder.display()));
    std::fs::create_dir_all(folder).map_err(failed)?;
    let name = message.id().split('@').next().unwrap_or_default();
    let (part, whole) = (folder.join(format!(".{name}.part")), folder.join(format!("{name}.eml")));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o640).open(&part).map_err(failed)?;
    file.write_all(message.bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    std::fs::rename(&part, &whole).map_err(failed)?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}

/// Whether the folder is one, or can be made.
pub(super) fn probe(folder: &Path) -> Result<(), MailError> {
    std::fs::create_dir_all(folder)
        .map_err(|error| MailError::permanent(format!("the mail folder {}: {error}", folder.display())))
}
