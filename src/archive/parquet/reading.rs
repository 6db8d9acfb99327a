//! Groups of columns in, rows out.

use std::io::{BufReader, Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use ::parquet::basic::Type as Physical;
use ::parquet::column::reader::ColumnReader;
use ::parquet::data_type::ByteArray;
use ::parquet::errors::{ParquetError, Result};
use ::parquet::file::reader::{ChunkReader, FileReader as _, Length};
use ::parquet::file::serialized_reader::SerializedFileReader;

use super::plain;
use crate::archive::column::Archived;
use crate::archive::reading::{Plain, Values};
use crate::redact::Sealed;

/// Rows that are taken from their columns at a time.
const PAGE: usize = 1_024;

/// A file that is being read.
pub(in crate::archive) struct Reader {
    file: SerializedFileReader<Shared>,
    /// The columns of the group that is being read.
    columns: Vec<ColumnReader>,
    /// The group that comes next.
    next: usize,
    /// How many rows of the group are still in their columns.
    left: usize,
    page: std::vec::IntoIter<Values>,
}

impl Reader {
    pub fn open(source: Box<dyn Plain>, columns: &[Archived]) -> std::io::Result<Self> {
        let file = Shared::of(source).and_then(|shared| SerializedFileReader::new(shared).map_err(plain))?;
        let schema = file.metadata().file_metadata().schema_descr();
        let same = schema.columns().iter().zip(columns).all(|(found, said)| {
            let physical = if said.number { Physical::INT64 } else { Physical::BYTE_ARRAY };
            let levels = (found.max_def_level(), found.max_rep_level());
            found.path().parts() == [said.name.as_str()] && found.physical_type() == physical && levels == (1, 0)
        });
        if !same || schema.num_columns() != columns.len() {
            return Err(broken("its columns are not the manifest's"));
        }
        Ok(Self { file, columns: Vec::new(), next: 0, left: 0, page: Vec::new().into_iter() })
    }

    pub fn next_row(&mut self, columns: &[Archived]) -> std::io::Result<Option<Values>> {
        loop {
            if let Some(row) = self.page.next() {
                return Ok(Some(row));
            }
            if self.left > 0 {
                self.fill(columns)?;
            } else if self.next < self.file.num_row_groups() {
                self.open_group().map_err(plain)?;
            } else {
                return Ok(None);
            }
        }
    }

    fn open_group(&mut self) -> Result<()> {
        let group = self.file.get_row_group(self.next)?;
        self.columns = (0..group.num_columns()).map(|place| group.get_column_reader(place)).collect::<Result<_>>()?;
        self.left = usize::try_from(group.metadata().num_rows())?;
        self.next += 1;
        Ok(())
    }

    fn fill(&mut self, columns: &[Archived]) -> std::io::Result<()> {
        let count = self.left.min(PAGE);
        let mut rows: Vec<Values> = (0..count).map(|_| Vec::with_capacity(columns.len())).collect();
        for (from, column) in self.columns.iter_mut().zip(columns) {
            let mut levels = Vec::with_capacity(count);
            let mut texts = texts(from, column, (count, &mut levels))?.into_iter();
            if levels.len() != count {
                return Err(broken("its columns are not of one length"));
            }
            for (row, level) in rows.iter_mut().zip(levels) {
                row.push(if level == 0 {
                    None
                } else {
                    Some(texts.next().ok_or_else(|| broken("a value is missing"))?)
                });
            }
        }
        self.left -= count;
        self.page = rows.into_iter();
        Ok(())
    }
}

/// The next values of a column, those that are not NULL, and the levels of all.
fn texts(from: &mut ColumnReader, column: &Archived, want: (usize, &mut Vec<i16>)) -> std::io::Result<Vec<Sealed>> {
    let (count, levels) = want;
    match from {
        ColumnReader::Int64ColumnReader(from) => {
            let mut numbers: Vec<i64> = Vec::with_capacity(count);
            from.read_records(count, Some(levels), None, &mut numbers).map_err(plain)?;
            Ok(numbers.into_iter().map(|number| Sealed::new(number.to_string())).collect())
        }
        ColumnReader::ByteArrayColumnReader(from) => {
            let mut values: Vec<ByteArray> = Vec::with_capacity(count);
            from.read_records(count, Some(levels), None, &mut values).map_err(plain)?;
            let text = |value: &ByteArray| match column.bytes {
                Some(digits) => Ok(Sealed::new(digits.write(value.data()))),
                None => match std::str::from_utf8(value.data()) {
                    Ok(text) => Ok(Sealed::new(text.to_owned())),
                    Err(_) => Err(broken("a value is no UTF-8")),
                },
            };
            values.iter().map(text).collect()
        }
        _ => Err(broken("its columns are not the manifest's")),
    }
}

fn broken(what: &str) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, what)
}

/// The plain text of a file, decrypted where it is read. Each reader keeps its own place in it.
struct Shared {
    source: Arc<Mutex<Box<dyn Plain>>>,
    length: u64,
}

impl Shared {
    fn of(mut source: Box<dyn Plain>) -> std::io::Result<Self> {
        let length = source.seek(SeekFrom::End(0))?;
        Ok(Self { source: Arc::new(Mutex::new(source)), length })
    }
}

impl Length for Shared {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for Shared {
    type T = BufReader<Window>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        // What is read this way are the heads of pages, which are short.
        Ok(BufReader::with_capacity(256, Window { source: Arc::clone(&self.source), at: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        if self.length.checked_sub(start).is_none_or(|left| left < length as u64) {
            return Err(ParquetError::EOF("it says that it is longer".to_owned()));
        }
        let mut read = vec![0; length];
        Window { source: Arc::clone(&self.source), at: start }.read_exact(&mut read)?;
        Ok(read.into())
    }
}

/// The plain text from a place on.
struct Window {
    source: Arc<Mutex<Box<dyn Plain>>>,
    at: u64,
}

impl Read for Window {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let mut source = self.source.lock().map_err(|_| broken("reading it has failed before"))?;
        source.seek(SeekFrom::Start(self.at))?;
        let read = source.read(buffer)?;
        self.at += read as u64;
        Ok(read)
    }
}
