//! Rows in, groups of columns out.

use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;

use ::parquet::basic::{Compression, LogicalType, Repetition, Type as Physical, ZstdLevel};
use ::parquet::column::writer::ColumnWriter;
use ::parquet::data_type::ByteArray;
use ::parquet::errors::{ParquetError, Result};
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::writer::SerializedFileWriter;
use ::parquet::schema::types::Type;

use super::{GROUP_BYTES, GROUP_ROWS, plain};
use crate::archive::column::Archived;
use crate::redact::Sealed;

/// A file that is being written.
pub(in crate::archive) struct Writer<W: Write + Send> {
    file: SerializedFileWriter<W>,
    group: Vec<Chunk>,
    rows: usize,
    bytes: usize,
}

impl<W: Write + Send> Writer<W> {
    pub fn begin(out: W, columns: &[Archived]) -> std::io::Result<Self> {
        let level = ZstdLevel::try_new(3).map_err(plain)?;
        let properties = WriterProperties::builder().set_compression(Compression::ZSTD(level)).build();
        let schema = schema(columns).map_err(plain)?;
        let file = SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties)).map_err(plain)?;
        Ok(Self { file, group: columns.iter().map(Chunk::of).collect(), rows: 0, bytes: 0 })
    }

    /// Adds a row. Its values are such as their columns take.
    pub fn row(&mut self, columns: &[Archived], row: &[Option<Sealed>]) -> std::io::Result<()> {
        for ((chunk, column), value) in self.group.iter_mut().zip(columns).zip(row) {
            chunk.put(column, value.as_ref()).ok_or_else(|| {
                std::io::Error::new(std::io::ErrorKind::InvalidInput, "a value is not of the type of its column")
            })?;
            self.bytes += value.as_ref().map_or(2, |value| value.expose().len() + 8);
        }
        self.rows += 1;
        if self.rows >= GROUP_ROWS || self.bytes >= GROUP_BYTES {
            self.flush().map_err(plain)?;
        }
        Ok(())
    }

    /// The end of the file, on its way.
    pub fn finish(mut self) -> std::io::Result<W> {
        if self.rows > 0 {
            self.flush().map_err(plain)?;
        }
        self.file.into_inner().map_err(plain)
    }

    fn flush(&mut self) -> Result<()> {
        let mut group = self.file.next_row_group()?;
        for chunk in &mut self.group {
            let mut column = group.next_column()?.ok_or_else(missing)?;
            chunk.write(column.untyped())?;
            column.close()?;
        }
        group.close()?;
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }
}

fn missing() -> ParquetError {
    ParquetError::General("a column is missing".to_owned())
}

fn schema(columns: &[Archived]) -> Result<Type> {
    let field = |column: &Archived| {
        let (physical, logical) = match (column.number, column.bytes) {
            (true, _) => (Physical::INT64, None),
            (false, Some(_)) => (Physical::BYTE_ARRAY, None),
            (false, None) => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        };
        let field = Type::primitive_type_builder(&column.name, physical).with_logical_type(logical);
        Ok(Arc::new(field.with_repetition(Repetition::OPTIONAL).build()?))
    };
    let fields = columns.iter().map(field).collect::<Result<_>>()?;
    Type::group_type_builder("rows").with_fields(fields).build()
}

/// The values of one column in a group.
struct Chunk {
    /// 1 for a value, 0 for NULL.
    levels: Vec<i16>,
    values: Values,
}

enum Values {
    Numbers(Vec<i64>),
    /// One behind the other, and where each ends.
    Bytes(Vec<u8>, Vec<usize>),
}

impl Chunk {
    fn of(column: &Archived) -> Self {
        let values = if column.number { Values::Numbers(Vec::new()) } else { Values::Bytes(Vec::new(), Vec::new()) };
        Self { levels: Vec::new(), values }
    }

    /// `None`: the value is none that the column takes.
    fn put(&mut self, column: &Archived, value: Option<&Sealed>) -> Option<()> {
        self.levels.push(value.is_some().into());
        let Some(text) = value.map(Sealed::expose) else { return Some(()) };
        match &mut self.values {
            Values::Numbers(numbers) => numbers.push(column.as_number(text)?),
            Values::Bytes(bytes, ends) => {
                match column.bytes {
                    Some(digits) => bytes.extend(digits.read(text)?),
                    None => bytes.extend_from_slice(text.as_bytes()),
                }
                ends.push(bytes.len());
            }
        }
        Some(())
    }

    /// Writes all of it, and is empty again.
    fn write(&mut self, column: &mut ColumnWriter<'_>) -> Result<()> {
        let levels = std::mem::take(&mut self.levels);
        match (&mut self.values, column) {
            (Values::Numbers(numbers), ColumnWriter::Int64ColumnWriter(out)) => {
                out.write_batch(&std::mem::take(numbers), Some(&levels), None)?;
            }
            (Values::Bytes(bytes, ends), ColumnWriter::ByteArrayColumnWriter(out)) => {
                let all = Bytes::from(std::mem::take(bytes));
                let mut start = 0;
                let value = |end: usize| ByteArray::from(all.slice(std::mem::replace(&mut start, end)..end));
                let values: Vec<ByteArray> = std::mem::take(ends).into_iter().map(value).collect();
                out.write_batch(&values, Some(&levels), None)?;
            }
            _ => return Err(missing()),
        }
        Ok(())
    }
}
