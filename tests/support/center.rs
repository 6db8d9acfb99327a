//! The generated contact centre with the shipped policy, on any of the three databases.
#![expect(clippy::unwrap_used, reason = "the helpers of a test stop it by panicking")]
#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::BTreeMap;

use crate::support::{self, Project, run_sql};

/// The databases of the contact centre.
pub const STORES: [&str; 7] =
    ["configuration", "directory", "operative", "outbound", "monitoring", "reporting", "history"];

/// Those whose changes are captured.
pub const CAPTURED: [&str; 4] = ["configuration", "directory", "operative", "outbound"];

/// The shipped policy.
pub const POLICY: &str = include_str!("../../jobs.toml");

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Db {
    Sqlite,
    Postgres,
    Mariadb,
}

/// A contact centre, seeded and prepared.
pub struct Center {
    pub db: Db,
    pub project: Project,
    /// The addresses of the stores, and of `state`.
    pub urls: BTreeMap<&'static str, String>,
}

impl Center {
    /// Seeds one of this size, under this policy.
    pub fn with(db: Db, size: &[&str], policy: &str) -> Self {
        let mut project = Project::new(policy);
        let mut urls = BTreeMap::new();
        for store in STORES {
            let url = match db {
                Db::Postgres => support::postgres().fresh_database(),
                Db::Mariadb => support::mariadb().fresh_database(),
                Db::Sqlite => format!("sqlite:{}", project.write(&format!("{store}.db"), "").display()),
            };
            project.env(&format!("RETENTIOND_{}_URL", store.to_uppercase()), &url);
            urls.insert(store, url);
        }
        let state = format!("sqlite:{}", project.path("state.db").display());
        let voice = project.path("recordings");
        std::fs::create_dir(&voice).unwrap();
        project.env("RETENTIOND_STATE_URL", &state).env("RETENTIOND_VOICE_URL", &format!("file:{}", voice.display()));
        urls.insert("state", state);
        let center = Self { db, project, urls };
        center.project.run(&[&["seed"], size].concat()).expect_code(0);
        for store in STORES.iter().chain(&["voice"]) {
            center.project.run(&["init", store]).expect_code(0);
        }
        center
    }

    /// Runs SQL on a store; `{yes}` and `{no}` are the truth values of its database.
    pub fn sql(&self, store: &str, sql: &str) -> String {
        let truth = if self.db == Db::Postgres { ("true", "false") } else { ("1", "0") };
        run_sql(&self.urls[store], &sql.replace("{yes}", truth.0).replace("{no}", truth.1))
    }

    /// Captured changes are gone, as if they had expired: for tests that are about other rows.
    pub fn forget_changes(&self) {
        for store in CAPTURED {
            self.sql(store, "DELETE FROM retentiond_changes;");
        }
    }

    /// The number that a query gives.
    pub fn number(&self, store: &str, sql: &str) -> u64 {
        self.sql(store, sql).trim().parse().unwrap()
    }

    /// Rows of a table that satisfy a condition.
    pub fn count(&self, store: &str, table: &str, condition: &str) -> u64 {
        self.number(store, &format!("SELECT count(*) FROM {table} WHERE {condition};"))
    }
}
