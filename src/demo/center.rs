//! The contact centre's databases: which there are, and their schemas.

use crate::store::bulk::install_schema;
use crate::store::{Backend, Conn, ErrorKind, StoreError};

macro_rules! schemas {
    ($($store:literal [$($version:literal),+]),* $(,)?) => {
        /// The contact centre's databases, in the order in which people think of them.
        pub const STORES: &[&str] = &[$($store),*];

        /// The schema of a store, one version after the other.
        fn schema(store: &str, backend: Backend) -> Option<&'static [&'static str]> {
            match (store, backend) {
                $(
                    ($store, Backend::Sqlite) => Some(&[$(include_str!(concat!(
                        "../../migrations/contact_center/sqlite/", $store, "/", $version, "/up.sql"
                    ))),+]),
                    ($store, Backend::Postgres) => Some(&[$(include_str!(concat!(
                        "../../migrations/contact_center/postgres/", $store, "/", $version, "/up.sql"
                    ))),+]),
                    ($store, Backend::Mysql) => Some(&[$(include_str!(concat!(
                        "../../migrations/contact_center/mysql/", $store, "/", $version, "/up.sql"
                    ))),+]),
                )*
                _ => None,
            }
        }
    };
}

schemas!(
    "configuration" ["2026-01-15-000000_create", "2026-11-25-000080_audit_log_daily"],
    "directory" ["2026-01-15-000000_create"],
    "operative" ["2026-01-15-000000_create"],
    "outbound" ["2026-01-15-000000_create"],
    "monitoring" ["2026-01-15-000000_create"],
    "reporting" ["2026-01-15-000000_create"],
    "history" ["2026-01-15-000000_create"],
);

/// The variable that tells `jobs.toml` where a store is, as in `RETENTIOND_OPERATIVE_URL`; `voice` is the file store.
pub fn url_variable(store: &str) -> String {
    format!("RETENTIOND_{}_URL", store.to_ascii_uppercase())
}

/// Creates the tables of `store` (one of [`STORES`]) in the empty database behind `conn`.
///
/// # Errors
/// What the database said; an unknown store.
pub fn install(conn: &mut Conn, store: &str) -> Result<(), StoreError> {
    let Some(versions) = schema(store, conn.backend()) else {
        return Err(StoreError::new(ErrorKind::Other, format!("the contact centre has no store named {store}")));
    };
    let mut versions = versions.iter();
    versions
        .try_for_each(|sql| install_schema(conn, sql))
        .map_err(|error| error.context(&format!("creating the tables of {store}")))
}

/// Deletes one user's account in the configuration database, as the application does it: the account, and nothing else.
///
/// # Errors
/// What the database said.
pub fn delete_account(conn: &mut Conn) -> Result<(), StoreError> {
    install_schema(conn, include_str!("../../migrations/contact_center/delete_account.sql"))
}

/// Corrects one user's entry in an SQLite directory, as the application does it where changes are captured.
///
/// # Errors
/// What the database said.
pub fn correct_entry(conn: &mut Conn) -> Result<(), StoreError> {
    install_schema(conn, include_str!("../../migrations/contact_center/correct_entry.sql"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::bulk::memory;

    #[test]
    fn every_store_installs_once() {
        for store in STORES {
            let mut conn = memory();
            install(&mut conn, store).unwrap();
            assert!(install(&mut conn, store).is_err(), "{store} twice");
        }
        assert!(install(&mut memory(), "kitchen").is_err());
    }

    #[test]
    fn the_policy_finds_its_stores_by_these_variables() {
        let policy = include_str!("../../jobs.toml");
        for store in STORES.iter().chain(&["voice", "state"]) {
            assert!(policy.contains(&format!("env = \"{}\"", url_variable(store))), "{store}");
        }
    }

    #[test]
    fn the_three_databases_have_the_same_tables_and_columns() {
        let shape = |sql: &str| -> Vec<String> {
            let lines = sql.lines().filter(|line| !line.starts_with("--") && !line.contains(") ENGINE"));
            let name = |line: &str| line.trim_start().split([' ', ';']).take(3).collect::<Vec<_>>().join(" ");
            lines
                .filter(|line| !line.starts_with(')'))
                .map(|line| {
                    let column = line.starts_with("    ") && !line.contains("KEY (");
                    if column { line.split_whitespace().next().unwrap_or("").to_owned() } else { name(line) }
                })
                .collect()
        };
        for store in STORES {
            let [one, two, three] = [Backend::Sqlite, Backend::Postgres, Backend::Mysql]
                .map(|backend| shape(&schema(store, backend).unwrap().concat()));
            assert_eq!(one, two, "{store}");
            assert_eq!(one, three, "{store}");
            assert!(one.len() > 5, "{store}");
        }
    }
}
