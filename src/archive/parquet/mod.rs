//! Rows as a Parquet file, compressed by Zstandard page by page.
//!
//! A column is INT64 where it holds whole numbers, BYTE_ARRAY where it holds bytes, else a UTF-8 string of what the
//! database gave; every one may be null. Which it is stands in the manifest, and the file must say the same.
//!
//! **Invariant.** What is read is, value by value, the very text that the database gave: a value that its column's type
//! would change is not written (`Archived::takes`), and the file is begun anew with that column as text. Neither writing
//! nor reading holds more than a group of rows ([`GROUP_BYTES`] and one row), also of an encrypted file: its plain text
//! is never on the disk. Tests: below, and `archives`.

mod reading;
mod writing;

pub(super) use reading::Reader;
pub(super) use writing::Writer;

use ::parquet::errors::ParquetError;

/// So many rows make a group at most.
const GROUP_ROWS: usize = 65_536;
/// About so many bytes of values make a group.
const GROUP_BYTES: usize = 8 << 20;

/// What went wrong, without anything of a value: of the library's texts only those that come from the system.
fn plain(error: ParquetError) -> std::io::Error {
    match error {
        ParquetError::External(inner) => match inner.downcast::<std::io::Error>() {
            Ok(io) => *io,
            Err(_) => std::io::Error::other("a value is not what Parquet takes it for"),
        },
        ParquetError::EOF(_) => std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "a part of the file is missing"),
        _ => std::io::Error::new(std::io::ErrorKind::InvalidData, "it is no whole Parquet file"),
    }
}

#[cfg(test)]
mod tests;
