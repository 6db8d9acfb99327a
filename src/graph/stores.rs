//! The stores of a document, opened.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::config::document::Document;
use crate::files::{FileError, Root, RootOptions};
use crate::names::StoreName;
use crate::store::catalog::Catalog;
use crate::store::pool::{Database, DatabaseSpec};
use crate::store::url::StoreUrl;
use crate::store::{ErrorKind, StoreError};

/// What could not be opened, and why.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A database; the message names the store.
    #[error("{error}")]
    Database {
        /// The store.
        name: StoreName,
        /// Why.
        error: StoreError,
    },
    /// A file store.
    #[error("store `{name}`: {error}")]
    Files {
        /// The store.
        name: StoreName,
        /// Why.
        error: FileError,
    },
    /// A secret or an environment variable that is not there.
    #[error("store `{name}`: {message}")]
    Configuration {
        /// The store.
        name: StoreName,
        /// What is missing.
        message: String,
    },
}

impl OpenError {
    /// The store that could not be opened.
    pub fn store(&self) -> &StoreName {
        match self {
            Self::Database { name, .. } | Self::Files { name, .. } | Self::Configuration { name, .. } => name,
        }
    }
}

/// All stores that the data map uses.
#[derive(Default)]
pub struct Stores {
    databases: BTreeMap<StoreName, Database>,
    roots: BTreeMap<StoreName, Root>,
}

impl Stores {
    /// Opens every store, all at once, since one that is away makes itself waited for; errors are gathered, so that an
    /// operator sees all that is wrong.
    pub fn open(document: &Document) -> (Self, Vec<OpenError>) {
        let mut stores = Self::default();
        let mut errors = Vec::new();
        let opened: Vec<_> = std::thread::scope(|scope| {
            let open = |name| scope.spawn(move || (name, open_one(document, name)));
            let threads: Vec<_> = document.stores.keys().map(open).collect();
            threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
        });
        for (name, opened) in opened {
            match opened {
                Ok(Opened::Database(database)) => drop(stores.databases.insert(name.clone(), database)),
                Ok(Opened::Root(root)) => drop(stores.roots.insert(name.clone(), root)),
                Err(error) => errors.push(error),
            }
        }
        (stores, errors)
    }

    /// Whether a store is open.
    pub fn has(&self, name: &StoreName) -> bool {
        self.databases.contains_key(name) || self.roots.contains_key(name)
    }

    /// A database.
    pub fn database(&self, name: &StoreName) -> Option<&Database> {
        self.databases.get(name)
    }

    /// All databases.
    pub fn databases(&self) -> impl Iterator<Item = (&StoreName, &Database)> {
        self.databases.iter()
    }

    /// Closes the connections to all databases that nobody uses now.
    pub fn rest(&self) {
        self.databases.values().for_each(Database::rest);
    }

    /// A file store.
    pub fn root(&self, name: &StoreName) -> Option<&Root> {
        self.roots.get(name)
    }

    /// All file stores.
    pub fn roots(&self) -> impl Iterator<Item = (&StoreName, &Root)> {
        self.roots.iter()
    }

    /// Reads the catalogs of all databases.
    pub fn catalogs(&self) -> (BTreeMap<StoreName, Catalog>, Vec<OpenError>) {
        let mut catalogs = BTreeMap::new();
        let mut errors = Vec::new();
        for (name, database) in &self.databases {
            let named = |error: StoreError| error.context(&format!("store `{name}`"));
            match database.conn().and_then(|mut conn| Catalog::read(&mut conn).map_err(named)) {
                Ok(catalog) => {
                    catalogs.insert(name.clone(), catalog);
                }
                Err(error) => errors.push(OpenError::Database { name: name.clone(), error }),
            }
        }
        (catalogs, errors)
    }
}

/// A store, open.
enum Opened {
    Database(Database),
    Root(Root),
}

fn open_one(document: &Document, name: &StoreName) -> Result<Opened, OpenError> {
    let configuration = |message: String| OpenError::Configuration { name: name.clone(), message };
    let store = document.stores.get(name).ok_or_else(|| configuration("is not declared".to_owned()))?;
    let url = store.url.as_ref().ok_or_else(|| configuration("has no address without a tenant".to_owned()))?;
    let url = url.resolve().map_err(|error| configuration(error.to_string()))?;
    let url = StoreUrl::parse(&url).map_err(|error| configuration(error.to_string()))?;
    if let StoreUrl::Files(directory) = &url {
        let defaults = RootOptions::default();
        let options = RootOptions {
            marker: store.marker.clone().unwrap_or(defaults.marker),
            trash: store.trash.clone().unwrap_or(defaults.trash),
        };
        let root = Root::open(directory, options).map_err(|error| OpenError::Files { name: name.clone(), error })?;
        if let Some(pinned) = &store.identity
            && *pinned != root.identity()
        {
            let found = root.identity();
            let message = format!("store `{name}`: the directory's identity is {found}, the file pins {pinned}");
            let error = StoreError::new(ErrorKind::Refused, message);
            return Err(OpenError::Database { name: name.clone(), error });
        }
        return Ok(Opened::Root(root));
    }
    let password = match &store.password {
        Some(secret) => Some(secret.resolve().map_err(|error| configuration(error.to_string()))?),
        None => None,
    };
    let spec = DatabaseSpec {
        name: name.to_string(),
        url,
        password,
        identity: store.identity.clone(),
        ca: store.ca.as_ref().map(PathBuf::from),
        create: false,
        connections: u32::try_from(document.limits.jobs_per_store.get()).unwrap_or(u32::MAX).saturating_mul(2),
    };
    let failed = |error| OpenError::Database { name: name.clone(), error };
    Database::open(spec).map(Opened::Database).map_err(failed)
}
