//! `retentiond init STORE`: makes what jobs need in a purged store. Beside it only `audit capture --apply` creates anything
//! there.

use std::path::Path;

use super::{Cli, InitArgs, for_each};
use crate::config::Loaded;
use crate::config::document::Store;
use crate::control::{Exit, Failure};
use crate::files::{self, RootOptions};
use crate::jobs::audit_rollup;
use crate::names::StoreName;
use crate::store::catalog::{Catalog, Lookup};
use crate::store::pool::{Database, DatabaseSpec};
use crate::store::target::rollup::NewTable;
use crate::store::url::StoreUrl;
use crate::store::{Backend, Conn, folded, ledger, sealed};

/// Prepares a store; where the file has tenants, each one's, unless one is named.
pub fn init(cli: &Cli, args: &InitArgs) -> Result<Exit, Failure> {
    for_each(cli, |part| prepare(cli, args, part))
}

fn prepare(cli: &Cli, args: &InitArgs, loaded: &Loaded) -> Result<Exit, Failure> {
    if let Some(tenant) = &loaded.document.tenant {
        say!("{}tenant {tenant}:", if args.print_sql { "-- " } else { "" });
    }
    let name = &args.store;
    let Some(store) = loaded.document.stores.get(name) else {
        return Err(Failure::new(
            Exit::Usage,
            format!("error: there is no store `{name}` in {}", cli.config.display()),
        ));
    };
    let wrong = |message: String| wrong(name, &message);
    let url = store
        .url
        .as_ref()
        .ok_or_else(|| wrong("has no address".to_owned()))?
        .resolve()
        .map_err(|error| wrong(error.to_string()))?;
    let url = StoreUrl::parse(&url).map_err(|error| wrong(error.to_string()))?;
    if let StoreUrl::Files(directory) = &url {
        if args.print_sql {
            let text = format!(
                "error: store `{name}` is a folder, so there is no SQL for it: `retentiond init {name}` puts its marker there"
            );
            return Err(Failure::new(Exit::Usage, text));
        }
        return mark(name, store, directory);
    }
    let backend = url.backend().ok_or_else(|| wrong("no database".to_owned()))?;
    let summaries = audit_rollup::table::wanted(&loaded.document, name);
    let database = match open(name, store, url) {
        // Who only wants to read retentiond's own tables need not reach the database. Those of summaries are made from its
        // columns.
        Err(failure) if args.print_sql && !summaries => {
            eprintln!("warning: it is not known whether these are there already: {}", failure.text());
            say_text!("{}", ledger::ddl(backend));
            return Ok(Exit::Done);
        }
        opened => opened?,
    };
    let mut conn = database.conn()?;
    let catalog = Catalog::read(&mut conn)?;
    let missing = Missing {
        own: ledger::version(&mut conn)?.is_none(),
        seals: audit_rollup::table::sealed_wanted(&loaded.document, name)
            && !matches!(catalog.find("retentiond_sealed"), Lookup::Found(_)),
        folds: audit_rollup::table::folds_wanted(&loaded.document, name)
            && !matches!(catalog.find(folded::TABLE), Lookup::Found(_)),
        summaries: audit_rollup::table::missing(&loaded.document, name, &catalog).map_err(wrong)?,
    };
    if args.print_sql {
        missing.print(name, backend);
        return Ok(Exit::Done);
    }
    missing.create(name, &mut conn)
}

/// What a database lacks.
struct Missing {
    /// retentiond's own tables.
    own: bool,
    /// The sealed keys of rows of other databases.
    seals: bool,
    /// The rows that are counted and stay.
    folds: bool,
    /// Tables for summaries.
    summaries: Vec<NewTable>,
}

impl Missing {
    fn print(&self, name: &StoreName, backend: Backend) {
        if self.own {
            say_text!("{}", ledger::ddl(backend));
        } else {
            say!("-- store {name}: retentiond_schema and what belongs to it are there already");
        }
        if self.seals {
            say_text!("\n{}", sealed::ddl(backend));
        }
        if self.folds {
            say_text!("\n{}", folded::ddl(backend));
        }
        for stmt in self.summaries.iter().flat_map(|table| table.statements(backend)) {
            say!("\n{};", stmt.to_text(backend));
        }
    }

    fn create(&self, name: &StoreName, conn: &mut Conn) -> Result<Exit, Failure> {
        if self.own {
            ledger::install(conn)?;
            say!("store {name}: created retentiond_schema, retentiond_ledger, retentiond_gate and retentiond_held");
        } else {
            say!("store {name}: retentiond's tables are there already");
        }
        if self.seals {
            sealed::install(conn)?;
            say!(
                "store {name}: created retentiond_sealed, for rows of other stores that are folded into summaries here"
            );
        }
        if self.folds {
            folded::install(conn)?;
            say!("store {name}: created retentiond_folds and retentiond_folded, for rows that are counted and stay");
        }
        for table in &self.summaries {
            table.create(conn)?;
            say!("store {name}: created {} for summaries", table.label());
        }
        Ok(Exit::Done)
    }
}

fn wrong(name: &StoreName, message: &str) -> Failure {
    Failure::new(Exit::Configuration, format!("error: store `{name}`: {message}"))
}

/// Puts the marker into a file store.
fn mark(name: &StoreName, store: &Store, directory: &Path) -> Result<Exit, Failure> {
    let marker = store.marker.clone().unwrap_or(RootOptions::default().marker);
    files::create_marker(directory, &marker)
        .map_err(|error| Failure::new(Exit::Unreachable, format!("error: store `{name}`: {error}")))?;
    say!("store {name}: the marker `{marker}` is in place");
    Ok(Exit::Done)
}

fn open(name: &StoreName, store: &Store, url: StoreUrl) -> Result<Database, Failure> {
    let password = match &store.password {
        Some(secret) => Some(secret.resolve().map_err(|error| wrong(name, &error.to_string()))?),
        None => None,
    };
    let spec = DatabaseSpec {
        password,
        identity: store.identity.clone(),
        ca: store.ca.as_ref().map(Into::into),
        ..DatabaseSpec::new(name.as_str(), url)
    };
    Ok(Database::open(spec)?)
}
