//! A contact centre made of nothing: its databases and everything in them, from a seed.
//!
//! The demo, the tests and the benchmarks run on this data. The same seed, size and instant give the same rows and
//! files, on every database. Five years are filled evenly; the awkward cases of reality are in it, each counted
//! ([`Case`]). Everything streams: ten million contacts need no more memory than a thousand.
//!
//! Reading order: `center` (the databases), `tables`, `cases`, `random`, `world`, `people`, then what is written:
//! `users`, `contacts` with `channels` and `voice`, `campaigns`.

mod campaigns;
pub mod cases;
pub mod center;
mod channels;
mod contacts;
mod people;
pub mod random;
pub mod tables;
mod users;
mod voice;
mod world;

use std::collections::BTreeMap;
use std::path::Path;

use crate::store::{Conn, StoreError};

pub use cases::Case;
pub use world::{Options, Size};

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Rows by table.
    pub rows: BTreeMap<&'static str, u64>,
    /// Recording files, orphans included; counted even when none were to be written.
    pub files: u64,
    /// How often each awkward case occurs, by [`Case::as_str`].
    pub cases: BTreeMap<&'static str, u64>,
}

/// Why the contact centre could not be filled.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A database refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A recording could not be written.
    #[error("the recordings cannot be written: {0}")]
    Files(#[from] std::io::Error),
    /// A database is not there.
    #[error("the contact centre needs a database named {0}")]
    Missing(&'static str),
}

/// Fills the empty databases in `targets` (all of [`center::STORES`], tables installed) and writes the recordings below
/// `recordings`; without a directory no file is written. `progress` hears the number of contacts written so far.
///
/// # Errors
/// When a database is missing, refuses, or when a file cannot be written.
pub fn seed(
    targets: &mut BTreeMap<&'static str, &mut Conn>,
    recordings: Option<&Path>,
    options: &Options,
    progress: &mut dyn FnMut(u64),
) -> Result<Summary, DemoError> {
    if let Some(missing) = center::STORES.iter().find(|store| !targets.contains_key(*store)) {
        return Err(DemoError::Missing(missing));
    }
    let world = world::World::new(options);
    let mut voice = voice::Voice::new(recordings)?;
    let mut writer = tables::Writer::new(targets);
    users::write_basics(&world, &mut writer);
    users::write_users(&world, &mut writer)?;
    contacts::write_contacts(&world, &mut writer, &mut voice, progress)?;
    users::write_rest(&world, &mut writer)?;
    campaigns::write_customers(&world, &mut writer)?;
    campaigns::write_campaigns(&world, &mut writer)?;
    let (rows, cases) = writer.finish()?;
    Ok(Summary { rows, files: voice.files, cases })
}

#[cfg(test)]
mod tests;
