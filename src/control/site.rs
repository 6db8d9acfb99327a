//! From the file to open stores, a checked graph and typed jobs: what most commands begin with.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::archives;
use super::capturing;
use super::failure::{Exit, Failure, not_opened};
use crate::clock::Clock;
use crate::config::diagnostic::Diagnostics;
use crate::config::document::Document;
use crate::config::{self, Loaded};
use crate::graph::Graph;
use crate::graph::stores::{OpenError, Stores};
use crate::jobs::{self, Job, Look};
use crate::mail;
use crate::names::{JobName, StoreName};
use crate::redact;
use crate::store::catalog::Catalog;
use crate::store::ledger;
use crate::store::pool::{Database, DatabaseSpec};
use crate::store::state;
use crate::store::url::StoreUrl;

/// Everything of one installation.
pub struct Site {
    /// The file.
    pub loaded: Arc<Loaded>,
    /// The stores, open.
    pub stores: Stores,
    /// The map, checked.
    pub graph: Graph,
    /// The jobs.
    pub jobs: BTreeMap<JobName, Box<dyn Job>>,
    /// How mail leaves.
    pub mail: Option<mail::Settings>,
    /// Which stores have retentiond's tables.
    pub ledgers: BTreeMap<StoreName, bool>,
    /// Which database or folder each store is.
    pub identities: BTreeMap<StoreName, String>,
    /// Stores that could not be reached, and why. No job that needs one of them may run on this site.
    pub away: BTreeMap<StoreName, String>,
    /// The same as one failure.
    pub unreachable: Option<Failure>,
    /// What was found that is no error.
    pub warnings: Diagnostics,
}

/// Reads the file. It is not followed yet: what it permits is not permitted by its being read.
///
/// # Errors
/// With all its mistakes.
pub fn load(path: &Path) -> Result<Loaded, Failure> {
    config::load(path).map_err(|failed| {
        let text = failed.diagnostics.render(&failed.source, std::io::stderr().is_terminal());
        Failure::findings(text, failed.diagnostics.to_json(&failed.source))
    })
}

/// From now on this file is followed, also in what it permits logs to hold; whoever reads these is told.
pub fn follow(document: &Document) {
    let until = config::personal::permitted_until(document);
    redact::show_until(until);
    let last = document.diagnostics.personal_data_until.as_deref().unwrap_or_default();
    if until.is_some_and(|until| until > Clock::system().now()) {
        tracing::warn!(
            diagnostics.personal_data_until = last,
            "debug and trace messages may hold personal data until the end of {last}"
        );
    }
}

impl Site {
    /// Opens everything of a file that was read, or of one tenant.
    ///
    /// # Errors
    /// When the map is wrong, or a store cannot be reached.
    pub fn open_whole(loaded: &Arc<Loaded>) -> Result<Self, Failure> {
        let mut site = Self::open_reachable(loaded)?;
        site.unreachable.take().map_or(Ok(site), Err)
    }

    /// Opens what can be reached and checks the map against it: what a daemon goes on with while a store is away.
    ///
    /// # Errors
    /// When the file or the map is wrong.
    pub fn open_reachable(loaded: &Arc<Loaded>) -> Result<Self, Failure> {
        let document = &loaded.document;
        let (stores, mut errors) = Stores::open(document);
        if errors.iter().any(|error| matches!(error, OpenError::Configuration { .. })) {
            return Err(not_opened(&errors));
        }
        let (catalogs, unread) = stores.catalogs();
        errors.extend(unread);
        let away = errors.iter().map(|error| (error.store().clone(), error.to_string())).collect();
        let mut diagnostics = loaded.warnings.clone();
        let graph = Graph::build(document, &catalogs, &mut diagnostics);
        let jobs = jobs::read_all(document, &graph, &mut diagnostics);
        let mail = document.mail.as_ref().and_then(|mail| mail::Settings::read(mail, &mut diagnostics));
        super::auditing::check(document, &mut diagnostics);
        let ledgers = find_ledgers(loaded, &stores, &catalogs, &mut diagnostics)?;
        archives::warn(document, &stores, &mut diagnostics);
        capturing::warn(document, &graph, &stores, &catalogs, &mut diagnostics)?;
        if diagnostics.has_errors() {
            let text = diagnostics.render(&loaded.source, std::io::stderr().is_terminal());
            return Err(Failure::findings(text, diagnostics.to_json(&loaded.source)));
        }
        let unreachable = (!errors.is_empty()).then(|| not_opened(&errors));
        let loaded = Arc::clone(loaded);
        let identities = identities(&stores, &catalogs);
        Ok(Self { loaded, stores, graph, jobs, mail, ledgers, identities, away, unreachable, warnings: diagnostics })
    }

    /// The jobs that were named, or all.
    ///
    /// # Errors
    /// When a job is not there.
    pub fn select(&self, names: &[JobName]) -> Result<Vec<&dyn Job>, Failure> {
        let chosen = select(&self.loaded.document, names)?;
        let found = chosen.iter().map(|name| (name, self.jobs.get(name)));
        // Of all jobs, those that could be read.
        let wanted = found.filter(|(_, job)| job.is_some() || !names.is_empty());
        wanted.map(|(name, job)| job.map(|job| &**job).ok_or_else(|| no_job(&self.loaded.document, name))).collect()
    }

    /// What a plan is made from, seen from an instant.
    pub fn look<'a>(&'a self, memory: &'a Database, now: DateTime<Utc>, usual: Option<u64>) -> Look<'a> {
        Look { document: &self.loaded.document, graph: &self.graph, stores: &self.stores, memory, now, usual }
    }

    /// Opens retentiond's own memory, made when it is not there.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open_state(&self) -> Result<Database, Failure> {
        open_state(&self.loaded)
    }

    /// retentiond's own memory as this installation has it.
    pub fn own(&self, memory: &Database) -> Database {
        own(&self.loaded, memory)
    }
}

/// The names of the jobs that were named, or of all that are enabled; a tenant's job is also known by its name in the file.
///
/// # Errors
/// When a job is not there.
pub fn select(document: &Document, names: &[JobName]) -> Result<Vec<JobName>, Failure> {
    if names.is_empty() {
        let enabled = document.jobs.iter().filter(|(_, raw)| raw.enabled);
        return Ok(enabled.map(|(name, _)| name.clone()).collect());
    }
    let known = |name: &JobName| {
        let own = |known: &&JobName| name.tenant().is_none() && known.in_file() == name.as_str();
        document.jobs.get_key_value(name).map(|(name, _)| name).or_else(|| document.jobs.keys().find(own)).cloned()
    };
    names.iter().map(|name| known(name).ok_or_else(|| no_job(document, name))).collect()
}

fn no_job(document: &Document, name: &JobName) -> Failure {
    let near = config::diagnostic::did_you_mean(name.as_str(), document.jobs.keys().map(JobName::in_file));
    let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    Failure::new(Exit::Usage, format!("error: there is no job `{name}`{hint}"))
}

/// Which database or folder each store is; of a PostgreSQL database, which of its schemas too.
fn identities(stores: &Stores, catalogs: &BTreeMap<StoreName, Catalog>) -> BTreeMap<StoreName, String> {
    let databases = stores.databases().map(|(name, database)| {
        let schema = catalogs.get(name).and_then(|catalog| catalog.default_schema.clone());
        (
            name.clone(),
            format!("{}{}", database.identity(), schema.map(|schema| format!(".{schema}")).unwrap_or_default()),
        )
    });
    databases.chain(stores.roots().map(|(name, root)| (name.clone(), root.identity()))).collect()
}

fn own(loaded: &Loaded, memory: &Database) -> Database {
    loaded.document.tenant.as_ref().map_or_else(|| memory.clone(), |tenant| memory.of_tenant(tenant.as_str()))
}

/// Opens retentiond's own memory; for a tenant, as that tenant has it.
///
/// # Errors
/// When it cannot be opened.
pub fn open_state(loaded: &Loaded) -> Result<Database, Failure> {
    let section = &loaded.document.state;
    let wrong = |message: String| Failure::new(Exit::Configuration, format!("error: [state]: {message}"));
    let url = section.url.resolve().map_err(|error| wrong(error.to_string()))?;
    let url = StoreUrl::parse(&url).map_err(|error| wrong(error.to_string()))?;
    let password = match &section.password {
        Some(secret) => Some(secret.resolve().map_err(|error| wrong(error.to_string()))?),
        None => None,
    };
    // One for each run, and for who keeps its lease, hears of it and decides what comes next.
    let connections = u32::try_from(loaded.document.limits.jobs.get()).unwrap_or(u32::MAX).saturating_add(4);
    let spec = DatabaseSpec { password, create: true, connections, ..DatabaseSpec::new("state", url) };
    let unreachable = |error: crate::store::StoreError| {
        Failure::new(Exit::Unreachable, format!("error: retentiond's own state cannot be opened: {error}"))
    };
    // Two processes that make one and the same new file at once are in each other's way for a moment, and SQLite does not
    // wait there by itself.
    let mut attempts = if matches!(spec.url, StoreUrl::Sqlite(_)) { 20 } else { 1 };
    let database = loop {
        attempts -= 1;
        match open_and_migrate(&spec) {
            Err(_) if attempts > 0 => std::thread::sleep(std::time::Duration::from_millis(100)),
            result => break result.map_err(unreachable)?,
        }
    };
    super::auditing::name(&loaded.document, &mut *database.conn()?)?;
    Ok(own(loaded, &database))
}

fn open_and_migrate(spec: &DatabaseSpec) -> Result<Database, crate::store::StoreError> {
    let database = Database::open(spec.clone())?;
    state::migrate(&mut *database.conn()?)?;
    Ok(database)
}

/// Which databases have the ledger; one that should and has not is an error that says how to make it.
fn find_ledgers(
    loaded: &Loaded,
    stores: &Stores,
    catalogs: &BTreeMap<StoreName, Catalog>,
    diagnostics: &mut Diagnostics,
) -> Result<BTreeMap<StoreName, bool>, Failure> {
    let mut ledgers = BTreeMap::new();
    let used = |name: &StoreName| loaded.document.data.values().any(|entry| entry.store.as_ref() == Some(name));
    for (name, database) in stores.databases().filter(|(name, _)| used(name) && catalogs.contains_key(*name)) {
        let wanted = loaded.document.stores.get(name).is_none_or(|store| store.ledger);
        let path = vec!["stores".to_owned(), name.to_string()];
        if !wanted {
            let help = "counts are approximate, restores are not noticed, and only one daemon may run".to_owned();
            diagnostics.warning(path, format!("store `{name}` has no ledger")).with_help(Some(help));
            ledgers.insert(name.clone(), false);
            continue;
        }
        let version = ledger::version(&mut *database.conn()?)?;
        if version.is_none() {
            let help = format!(
                "run `retentiond init {name}`, or `retentiond init {name} --print-sql` for somebody who may; or say ledger = false"
            );
            diagnostics
                .error(path, format!("store `{name}` does not have retentiond's tables yet"))
                .with_help(Some(help));
        }
        ledgers.insert(name.clone(), version.is_some());
    }
    Ok(ledgers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_permits_nothing_until_it_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jobs.toml");
        let now = Clock::system().now();
        let tomorrow = (now + chrono::TimeDelta::days(1)).format("%Y-%m-%d");
        std::fs::write(&path, format!("[diagnostics]\npersonal_data_until = \"{tomorrow}\"\n")).unwrap();
        let loaded = load(&path).unwrap();
        assert!(!redact::may_be_shown(now));
        follow(&loaded.document);
        assert!(redact::may_be_shown(now));
        redact::show_until(None);
    }
}
