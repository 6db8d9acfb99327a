//! Reading an archive, row by row.

use std::io::{BufRead, BufReader, Read, Seek};

use flate2::read::MultiGzDecoder;
use sha2::{Digest as _, Sha256};

use super::ArchiveError;
use super::column::Archived;
use super::format::Format;
use super::manifest::{Manifest, RowsDigest, hex};
use super::parquet;
use super::sealing::Keys;
use crate::files::Shelf;
use crate::redact::Sealed;

/// The values of a row, in the order of the manifest's columns.
pub type Values = Vec<Option<Sealed>>;

/// What a file holds once it is decrypted; decrypted where it is read, so that none of it lies anywhere else.
pub(super) trait Plain: Read + Seek + Send {}

impl<R: Read + Seek + Send> Plain for R {}

enum Input {
    Jsonl(Box<dyn BufRead>),
    Csv(Box<dyn BufRead>),
    Parquet(Box<parquet::Reader>),
}

/// The rows of an archive.
pub struct Rows {
    name: String,
    columns: Vec<Archived>,
    input: Input,
}

impl Rows {
    /// Opens the file `name`, whatever it is called at the moment, as `manifest` describes it.
    ///
    /// # Errors
    /// When it is not there, or none of the keys opens it.
    pub fn open(shelf: &Shelf, name: &str, manifest: &Manifest, keys: &Keys) -> Result<Self, ArchiveError> {
        let broken = |what: &str| ArchiveError::broken(name, what);
        let file = shelf.open(name)?.ok_or_else(|| broken("there is no such file"))?;
        let file = BufReader::with_capacity(1 << 16, file);
        let plain: Box<dyn Plain> = if manifest.encrypted_to.is_some() {
            let opened = age::Decryptor::new(file).map_err(|error| broken(&error.to_string()))?;
            let keys = keys.0.iter().map(|key| &**key as &dyn age::Identity);
            Box::new(opened.decrypt(keys).map_err(|error| broken(&error.to_string()))?)
        } else {
            Box::new(file)
        };
        let fail = |error: std::io::Error| ArchiveError::io(name, &error);
        let columns = manifest.columns.clone();
        let input = match manifest.format {
            Format::Jsonl => Input::Jsonl(Box::new(BufReader::new(zstd::Decoder::new(plain).map_err(fail)?))),
            Format::Csv => {
                let mut input = BufReader::new(MultiGzDecoder::new(plain));
                names(&mut input, &columns).map_err(|what| broken(&what))?;
                Input::Csv(Box::new(input))
            }
            Format::Parquet => Input::Parquet(Box::new(parquet::Reader::open(plain, &columns).map_err(fail)?)),
        };
        Ok(Self { name: name.to_owned(), columns, input })
    }

    /// The next row.
    ///
    /// # Errors
    /// When the file is broken there.
    pub fn next_row(&mut self) -> Result<Option<Values>, ArchiveError> {
        match &mut self.input {
            Input::Jsonl(input) => super::jsonl::read(input, &self.columns),
            Input::Csv(input) => super::csv::read(input, self.columns.len()),
            Input::Parquet(input) => input.next_row(&self.columns).map_err(|error| error.to_string()),
        }
        .map_err(|what| ArchiveError::broken(&self.name, what))
    }

    /// Reads all rows and holds them against the manifest; gives their digest.
    ///
    /// # Errors
    /// When they are not those.
    pub fn check(mut self, manifest: &Manifest) -> Result<String, ArchiveError> {
        let (mut digest, mut rows) = (RowsDigest::default(), 0_u64);
        while let Some(row) = self.next_row()? {
            digest.row(&row);
            rows += 1;
        }
        if rows != manifest.rows {
            let what = format!("it has {rows} rows, its manifest says {}", manifest.rows);
            return Err(ArchiveError::broken(&self.name, what));
        }
        let found = digest.finish();
        if manifest.rows_sha256.as_ref().is_some_and(|said| *said != found) {
            return Err(ArchiveError::broken(&self.name, "its rows are not those of its manifest"));
        }
        Ok(found)
    }
}

/// Reads a line of names, which are those of the columns.
fn names(input: &mut impl BufRead, columns: &[Archived]) -> Result<(), String> {
    let names = super::csv::read(input, columns.len())?.unwrap_or_default();
    let same = columns
        .iter()
        .zip(&names)
        .all(|(column, name)| name.as_ref().is_some_and(|name| *name.expose() == column.name));
    if names.len() == columns.len() && same {
        Ok(())
    } else {
        Err("its line of names is not the manifest's".to_owned())
    }
}

/// SHA-256 and length of a file.
pub(super) fn digest_of(shelf: &Shelf, name: &str) -> Result<(String, u64), ArchiveError> {
    let mut file = shelf.open(name)?.ok_or_else(|| ArchiveError::broken(name, "there is no such file"))?;
    let (mut digest, mut bytes, mut buffer) = (Sha256::new(), 0_u64, vec![0; 1 << 16]);
    loop {
        let read = file.read(&mut buffer).map_err(|error| ArchiveError::io(name, &error))?;
        if read == 0 {
            return Ok((hex(&digest.finalize()), bytes));
        }
        digest.update(buffer.get(..read).unwrap_or_default());
        bytes += read as u64;
    }
}
