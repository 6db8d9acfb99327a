//! The contact centre on the three databases: its schemas go up and down, and the same seed writes the same rows.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "the helpers of a test stop it by panicking")]

mod support;

use std::collections::BTreeMap;
use std::path::Path;

use retentiond::demo::center::{STORES, install};
use retentiond::demo::tables::Table;
use retentiond::demo::{Options, Size, Summary, seed};
use retentiond::store::bulk::install_schema;
use retentiond::store::{Backend, Database, DatabaseSpec, PooledConn, Stmt, StoreUrl};

const BACKENDS: [Backend; 3] = [Backend::Sqlite, Backend::Postgres, Backend::Mysql];

fn open(store: &str, backend: Backend, folder: &Path) -> PooledConn {
    let url = match backend {
        Backend::Postgres => support::postgres().fresh_database(),
        Backend::Mysql => support::mariadb().fresh_database(),
        Backend::Sqlite => {
            let file = folder.join(format!("{store}.db"));
            std::fs::write(&file, "").expect("the folder of a test can be written to");
            format!("sqlite:{}", file.display())
        }
    };
    let spec = DatabaseSpec::new(store, StoreUrl::parse(&url).unwrap());
    Database::open(spec).and_then(|database| database.conn()).unwrap_or_else(|error| panic!("{error}"))
}

fn centre(backend: Backend, folder: &Path) -> BTreeMap<&'static str, PooledConn> {
    let mut centre: BTreeMap<_, _> = STORES.iter().map(|store| (*store, open(store, backend, folder))).collect();
    for (store, conn) in &mut centre {
        install(conn, store).unwrap_or_else(|error| panic!("{}: {error}", backend.as_str()));
    }
    centre
}

fn fill(centre: &mut BTreeMap<&'static str, PooledConn>) -> Summary {
    let mut targets = centre.iter_mut().map(|(store, conn)| (*store, &mut **conn)).collect();
    let now = "2026-03-31T09:00:00Z".parse().unwrap();
    seed(&mut targets, None, &Options { seed: 42, size: Size::of(600), now }, &mut |_| ()).unwrap()
}

/// All rows of a table, in one spelling for the three databases, sorted.
fn rows(conn: &mut PooledConn, table: Table) -> Vec<String> {
    let text = if conn.backend() == Backend::Mysql { " AS CHAR)" } else { " AS TEXT)" };
    let mut stmt = Stmt::new("SELECT ");
    for (index, column) in table.columns().iter().copied().enumerate() {
        stmt.sql(if index == 0 { "CAST(" } else { ", CAST(" }).sql(column).sql(text);
    }
    stmt.sql(" FROM ").sql(table.name());
    let plain = |value: &str| match value {
        "true" => "1".to_owned(),
        "false" => "0".to_owned(),
        value => value.trim_end_matches("+00").trim_end_matches(".000000").to_owned(),
    };
    let found = conn.catalog_rows(&stmt).unwrap();
    let mut lines: Vec<String> = found
        .iter()
        .map(|row| {
            let values = (0..table.columns().len()).map(|index| row.plain(index).map_or("NULL".to_owned(), plain));
            values.collect::<Vec<_>>().join("|")
        })
        .collect();
    lines.sort();
    lines
}

#[test]
fn the_same_seed_writes_the_same_rows_on_every_database() {
    let folder = tempfile::tempdir().unwrap();
    let mut centres = BACKENDS.map(|backend| centre(backend, folder.path()));
    let summaries = centres.each_mut().map(fill);
    assert_eq!(summaries[0], summaries[1]);
    assert_eq!(summaries[0], summaries[2]);
    let [lite, others @ ..] = &mut centres;
    for table in Table::ALL {
        let expected = rows(lite.get_mut(table.store()).unwrap(), *table);
        assert_eq!(summaries[0].rows[table.name()], expected.len() as u64);
        for other in others.iter_mut() {
            let found = rows(other.get_mut(table.store()).unwrap(), *table);
            let differs = expected.iter().zip(&found).find(|(expected, found)| expected != found);
            assert_eq!(differs, None, "{}", table.name());
            assert_eq!(expected.len(), found.len(), "{}", table.name());
        }
    }
}

#[test]
fn every_schema_goes_up_and_down_and_up_again() {
    let folder = tempfile::tempdir().unwrap();
    for backend in BACKENDS {
        let dialect = match backend {
            Backend::Sqlite => "sqlite",
            Backend::Postgres => "postgres",
            Backend::Mysql => "mysql",
        };
        for store in STORES {
            let versions =
                Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/contact_center").join(dialect).join(store);
            let mut versions: Vec<_> =
                std::fs::read_dir(versions).unwrap().map(|version| version.unwrap().path()).collect();
            versions.sort();
            let down = |version: &std::path::PathBuf| std::fs::read_to_string(version.join("down.sql")).unwrap();
            // A schema is compiled in, and so `install_schema` takes text that lives as long as the program.
            let down = Box::leak(versions.iter().rev().map(down).collect::<String>().into_boxed_str());
            let mut conn = open(store, backend, folder.path());
            for _ in 0..2 {
                install(&mut conn, store).unwrap_or_else(|error| panic!("{dialect}: {error}"));
                install_schema(&mut conn, down).unwrap_or_else(|error| panic!("{dialect} {store}: {error}"));
            }
        }
    }
}

#[test]
fn every_referencing_column_has_an_index() {
    let folder = tempfile::tempdir().unwrap();
    let mut centre = centre(Backend::Sqlite, folder.path());
    let mut checked = 0;
    for table in Table::ALL {
        let conn = centre.get_mut(table.store()).unwrap();
        let mut stmt = Stmt::new("SELECT \"from\" FROM pragma_foreign_key_list(");
        stmt.policy(table.name()).sql(")");
        for key in conn.catalog_rows(&stmt).unwrap() {
            let column = key.plain(0).unwrap();
            let mut stmt = Stmt::new("SELECT CAST(COUNT(*) AS TEXT) FROM pragma_index_list(");
            stmt.policy(table.name()).sql(") l JOIN pragma_index_info(l.name) i ON i.seqno = 0 AND i.name = ");
            stmt.policy(column);
            assert!(conn.catalog_rows(&stmt).unwrap()[0].count(0) > Some(0), "{}.{column}", table.name());
            checked += 1;
        }
    }
    assert_eq!(checked, 14);
}
