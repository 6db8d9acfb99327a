//! Writing one archive: rows in, then closed, on disk, read back and compared.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::iter::once;

use age::stream::StreamWriter;
use age::x25519;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};

use super::ArchiveError;
use super::column::Archived;
use super::format::Format;
use super::manifest::{Manifest, PENDING, RowsDigest, VERSION, file, hex, name};
use super::parquet;
use super::reading::{Rows, digest_of};
use super::sealing::{Keys, Recipient};
use crate::files::Shelf;
use crate::redact::Sealed;

/// What is said of an archive before its rows are known.
pub struct Frame<'a> {
    /// The batch.
    pub batch: &'a str,
    /// The run.
    pub run: &'a str,
    /// The job.
    pub job: &'a str,
    /// The data entry.
    pub data: &'a str,
    /// Its store.
    pub store: &'a str,
    /// Its table.
    pub table: &'a str,
    /// How the rows are written.
    pub format: Format,
    /// The public key that the file is encrypted to.
    pub recipient: Option<&'a Recipient>,
    /// The columns.
    pub columns: &'a [Archived],
}

/// An archive that is being written.
pub struct Writer<'a> {
    shelf: &'a Shelf,
    frame: Frame<'a>,
    pending: String,
    encoder: Encoder,
    secret: Option<x25519::Identity>,
    digest: RowsDigest,
    rows: u64,
}

impl<'a> Writer<'a> {
    /// Begins a pending file.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn begin(shelf: &'a Shelf, frame: Frame<'a>) -> Result<Self, ArchiveError> {
        let pending = pending(&file(frame.batch, frame.format, frame.recipient.is_some()));
        let fail = |error: &std::io::Error| ArchiveError::io(&pending, error);
        let out = BufWriter::with_capacity(1 << 16, Hashed::of(shelf.create(&pending)?));
        let secret = frame.recipient.map(|_| x25519::Identity::generate());
        let sink = match (frame.recipient, &secret) {
            (Some(recipient), Some(secret)) => {
                let own = secret.to_public();
                let keys = once(&recipient.key as &dyn age::Recipient).chain(once(&own as &dyn age::Recipient));
                let encryptor = age::Encryptor::with_recipients(keys)
                    .map_err(|error| ArchiveError::broken(&pending, error.to_string()))?;
                Sink::Sealed(Box::new(encryptor.wrap_output(out).map_err(|error| fail(&error))?))
            }
            _ => Sink::Plain(out),
        };
        let encoder = match frame.format {
            Format::Jsonl => {
                let encoder = zstd::Encoder::new(sink, 3).and_then(|mut encoder| {
                    // A file that was cut or changed is noticed by every reader.
                    encoder.include_checksum(true)?;
                    Ok(encoder)
                });
                Encoder::Jsonl(Box::new(encoder.map_err(|error| fail(&error))?))
            }
            Format::Csv => {
                let mut encoder = GzEncoder::new(sink, flate2::Compression::default());
                super::csv::write_names(&mut encoder, frame.columns).map_err(|error| fail(&error))?;
                Encoder::Csv(Box::new(encoder))
            }
            Format::Parquet => {
                Encoder::Parquet(Box::new(parquet::Writer::begin(sink, frame.columns).map_err(|error| fail(&error))?))
            }
        };
        Ok(Self { shelf, frame, pending, encoder, secret, digest: RowsDigest::default(), rows: 0 })
    }

    /// The place of a value that the type of its column would change. The archive is begun anew then, with that column as
    /// text: on SQLite a column of numbers may hold anything.
    pub fn misfit(&self, row: &[Option<Sealed>]) -> Option<usize> {
        let mut values = row.iter().zip(self.frame.columns);
        let misfit = |(value, column): (&Option<Sealed>, &Archived)| {
            value.as_ref().is_some_and(|value| !column.takes(value.expose()))
        };
        if self.frame.format.is_typed() { values.position(misfit) } else { None }
    }

    /// Adds a row without a misfit, its values in the order of the columns.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn row(&mut self, row: &[Option<Sealed>]) -> Result<(), ArchiveError> {
        let columns = self.frame.columns;
        match &mut self.encoder {
            Encoder::Jsonl(out) => super::jsonl::write(out, columns, row),
            Encoder::Csv(out) => super::csv::write(out, columns, row),
            Encoder::Parquet(out) => out.row(columns, row),
        }
        .map_err(|error| ArchiveError::io(&self.pending, &error))?;
        self.digest.row(row);
        self.rows += 1;
        Ok(())
    }

    /// How many rows there are so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Closes the file, reads it back, compares, and writes the manifest. The file stays pending.
    ///
    /// # Errors
    /// When what is read is not what was written.
    pub fn finish(
        self,
        (oldest, newest): (chrono::DateTime<chrono::Utc>, chrono::DateTime<chrono::Utc>),
        written_at: chrono::DateTime<chrono::Utc>,
    ) -> Result<Manifest, ArchiveError> {
        let (shelf, frame, pending) = (self.shelf, self.frame, self.pending);
        let hashed = self.encoder.finish().map_err(|error| ArchiveError::io(&pending, &error))?;
        let (bytes, sha256) = (hashed.bytes, hex(&hashed.digest.finalize()));
        shelf.close(hashed.file)?;
        let rows_sha256 = self.digest.finish();
        let manifest = Manifest {
            version: VERSION,
            batch: frame.batch.to_owned(),
            run: frame.run.to_owned(),
            job: frame.job.to_owned(),
            data: frame.data.to_owned(),
            store: frame.store.to_owned(),
            table: frame.table.to_owned(),
            format: frame.format,
            encrypted_to: frame.recipient.map(Recipient::text),
            columns: frame.columns.to_vec(),
            rows: self.rows,
            bytes,
            sha256,
            rows_sha256: frame.recipient.is_none().then(|| rows_sha256.clone()),
            oldest,
            newest,
            written_at,
        };
        if digest_of(shelf, &pending)? != (manifest.sha256.clone(), manifest.bytes) {
            return Err(ArchiveError::broken(&pending, "the disk gives back other bytes than were written"));
        }
        let keys = self.secret.map(Keys::only).unwrap_or_default();
        if Rows::open(shelf, &pending, &manifest, &keys)?.check(&manifest)? != rows_sha256 {
            return Err(ArchiveError::broken(&pending, "its rows are not those that were written"));
        }
        let text = serde_json::to_vec_pretty(&manifest)
            .map_err(|_| ArchiveError::broken(&pending, "its manifest cannot be written"))?;
        shelf.write(&name(frame.batch), &text)?;
        Ok(manifest)
    }
}

/// The rows are gone, and the ledger knows it: the pending file is an archive from now on.
///
/// # Errors
/// When it cannot be named.
pub fn promote(shelf: &Shelf, file: &str) -> Result<(), ArchiveError> {
    Ok(shelf.rename(&pending(file), file)?)
}

pub(super) fn pending(file: &str) -> String {
    format!("{file}{PENDING}")
}

/// A file that counts and digests what goes into it.
struct Hashed {
    file: File,
    digest: Sha256,
    bytes: u64,
}

impl Hashed {
    fn of(file: File) -> Self {
        Self { file, digest: Sha256::new(), bytes: 0 }
    }
}

impl Write for Hashed {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        let written = self.file.write(buffer)?;
        self.digest.update(buffer.get(..written).unwrap_or_default());
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

enum Sink {
    Plain(BufWriter<Hashed>),
    Sealed(Box<StreamWriter<BufWriter<Hashed>>>),
}

impl Sink {
    fn finish(self) -> std::io::Result<Hashed> {
        let out = match self {
            Self::Plain(out) => out,
            Self::Sealed(out) => out.finish()?,
        };
        out.into_inner().map_err(std::io::IntoInnerError::into_error)
    }
}

impl Write for Sink {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(out) => out.write(buffer),
            Self::Sealed(out) => out.write(buffer),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Self::Plain(out) => out.flush(),
            Self::Sealed(out) => out.flush(),
        }
    }
}

enum Encoder {
    Jsonl(Box<zstd::Encoder<'static, Sink>>),
    Csv(Box<GzEncoder<Sink>>),
    Parquet(Box<parquet::Writer<Sink>>),
}

impl Encoder {
    fn finish(self) -> std::io::Result<Hashed> {
        match self {
            Self::Jsonl(encoder) => encoder.finish()?.finish(),
            Self::Csv(encoder) => encoder.finish()?.finish(),
            Self::Parquet(encoder) => encoder.finish()?.finish(),
        }
    }
}
