//! What stands for Parquet in a build without it: nothing can be written or read.

use std::convert::Infallible;
use std::io::Write;
use std::marker::PhantomData;

use super::column::Archived;
use super::format::Format;
use super::reading::{Plain, Values};
use crate::redact::Sealed;

/// A file that cannot be written.
pub(super) struct Writer<W>(Infallible, PhantomData<W>);

impl<W: Write + Send> Writer<W> {
    pub fn begin(_: W, _: &[Archived]) -> std::io::Result<Self> {
        Err(missing())
    }

    pub fn row(&mut self, _: &[Archived], _: &[Option<Sealed>]) -> std::io::Result<()> {
        match self.0 {}
    }

    pub fn finish(self) -> std::io::Result<W> {
        match self.0 {}
    }
}

/// A file that cannot be read.
pub(super) struct Reader(Infallible);

impl Reader {
    pub fn open(_: Box<dyn Plain>, _: &[Archived]) -> std::io::Result<Self> {
        Err(missing())
    }

    pub fn next_row(&mut self, _: &[Archived]) -> std::io::Result<Option<Values>> {
        match self.0 {}
    }
}

fn missing() -> std::io::Error {
    let why = Format::Parquet.missing().unwrap_or_default();
    std::io::Error::new(std::io::ErrorKind::Unsupported, why)
}
