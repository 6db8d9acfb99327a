//! What the file says of stores, and of the tenants who have them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::period::Period;
use super::values::{SecretRef, UrlSource};
use crate::names::StoreName;

/// `[stores.NAME]`: a database or a file store.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Store {
    /// `postgres://…`, `mysql://…`, `sqlite:PATH` or `file:DIRECTORY`; or where to find it. Where the file has tenants,
    /// each of them says its own.
    pub url: Option<UrlSource>,
    /// One address for each tenant, who is named by the last part of it: short for `[tenants.NAME.stores.…]`.
    #[serde(default)]
    pub urls: Vec<String>,
    /// Where the password is found, when the URL has none.
    pub password: Option<SecretRef>,
    /// The database's or directory's identity as `check` prints it; another one is refused.
    pub identity: Option<String>,
    /// A PEM file with the certificate authority of the server, when it is not one that the system trusts.
    pub ca: Option<String>,
    /// `false` where the operator may not create retentiond's tables: counts are then approximate, restores unnoticed,
    /// and only one daemon may run. Default `true`.
    #[serde(default = "yes")]
    pub ledger: bool,
    /// File stores: how long a removed file stays in the trash folder. Default 1 day.
    pub grace: Option<Period>,
    /// File stores: the folder below the root for removed files. Default `.retentiond-trash`.
    pub trash: Option<String>,
    /// File stores: the file that proves that the root is the real one and mounted. Default `.retentiond-store`.
    pub marker: Option<String>,
}

/// `[tenants.NAME]`: one of several that share the data map and the jobs.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tenant {
    /// Its stores: every store of the file, each with this tenant's address.
    #[serde(default)]
    pub stores: BTreeMap<StoreName, TenantStore>,
}

/// `[tenants.NAME.stores.STORE]`: where a tenant's store is. What it does not say is as in `[stores.STORE]`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantStore {
    /// The address.
    pub url: UrlSource,
    /// Where the password is found.
    pub password: Option<SecretRef>,
    /// The database's or directory's identity as `check` prints it.
    pub identity: Option<String>,
}

fn yes() -> bool {
    true
}
