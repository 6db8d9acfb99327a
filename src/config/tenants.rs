//! Tenants: one map and one set of jobs, on the stores of each of several.
//!
//! **Invariant.** A tenant's document names that tenant's stores and no other: every store of the file is said for every
//! tenant, and no address twice, so no job of one tenant ever works on what is another's. Each job of the file becomes a
//! job of each tenant, `job@tenant`, with slots, lease, approvals and history of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Loaded;
use super::checks::check_url;
use super::diagnostic::{Diagnostics, did_you_mean};
use super::document::{Document, Store, Tenant, TenantStore};
use super::section::RawJob;
use super::values::UrlSource;
use crate::names::{StoreName, TenantName};

impl Loaded {
    /// What the file says for each tenant; for a file without tenants, the file itself.
    pub fn parts(self: &Arc<Self>) -> Vec<Arc<Self>> {
        let tenants = &self.document.tenants;
        if tenants.is_empty() {
            return vec![Arc::clone(self)];
        }
        let part = |(at, (name, tenant)): (usize, (&TenantName, &Tenant))| {
            Arc::new(Self {
                document: self.document.of_tenant(name, tenant),
                source: Arc::clone(&self.source),
                // Said once, they are said of all.
                warnings: if at == 0 { self.warnings.clone() } else { Diagnostics::default() },
                hash: self.hash.clone(),
            })
        };
        tenants.iter().enumerate().map(part).collect()
    }
}

impl Document {
    /// Where a store is; where the file has tenants, one of theirs.
    pub(super) fn an_address(&self, store: &StoreName) -> Option<&UrlSource> {
        let own = self.stores.get(store)?.url.as_ref();
        own.or_else(|| self.tenants.values().find_map(|tenant| Some(&tenant.stores.get(store)?.url)))
    }

    /// What it says for one tenant.
    fn of_tenant(&self, name: &TenantName, tenant: &Tenant) -> Self {
        let store = |(store, said): (&StoreName, &Store)| {
            let own = tenant.stores.get(store);
            let of_tenant = Store {
                url: own.map(|own| own.url.clone()),
                urls: Vec::new(),
                password: own.and_then(|own| own.password.clone()).or_else(|| said.password.clone()),
                identity: own.and_then(|own| own.identity.clone()),
                ..said.clone()
            };
            (store.clone(), of_tenant)
        };
        let job = |raw: &RawJob| {
            let of_tenant = raw.name.at(name).ok()?;
            Some((of_tenant.clone(), RawJob { name: of_tenant, ..raw.clone() }))
        };
        Self {
            stores: self.stores.iter().map(store).collect(),
            jobs: self.jobs.values().filter_map(job).collect(),
            tenants: BTreeMap::new(),
            tenant: Some(name.clone()),
            ..self.clone()
        }
    }
}

/// Whatever is said of stores and tenants fits together.
pub(super) fn check(document: &mut Document, diagnostics: &mut Diagnostics) {
    spread_urls(document, diagnostics);
    if document.tenants.is_empty() {
        for (name, store) in &document.stores {
            match &store.url {
                Some(url) => check_address(url, at(&["stores", name.as_str(), "url"]), diagnostics),
                None if store.urls.is_empty() => {
                    diagnostics.error(at(&["stores", name.as_str()]), "missing key `url`");
                }
                None => {}
            }
        }
        return;
    }
    for (name, store) in &document.stores {
        check_shared(name, store, diagnostics);
    }
    let mut seen = BTreeMap::new();
    for (name, tenant) in &document.tenants {
        check_tenant(document, name, tenant, &mut seen, diagnostics);
    }
}

fn at(path: &[&str]) -> Vec<String> {
    path.iter().map(|part| (*part).to_owned()).collect()
}

fn check_address(url: &UrlSource, path: Vec<String>, diagnostics: &mut Diagnostics) {
    if let UrlSource::Literal(url) | UrlSource::Env { default: Some(url), .. } = url {
        check_url(url, path, diagnostics);
    }
}

/// Where there are tenants, a store has no address that would be all of theirs.
fn check_shared(name: &StoreName, store: &Store, diagnostics: &mut Diagnostics) {
    if store.url.is_some() {
        diagnostics
            .error(at(&["stores", name.as_str(), "url"]), "each tenant has this store at an address of its own")
            .with_help(Some(format!("move it to [tenants.NAME.stores.{name}]")));
    }
    if store.identity.is_some() {
        diagnostics
            .error(at(&["stores", name.as_str(), "identity"]), "each tenant's store has an identity of its own")
            .with_help(Some(format!("move it to [tenants.NAME.stores.{name}]")));
    }
}

fn check_tenant(
    document: &Document,
    name: &TenantName,
    tenant: &Tenant,
    seen: &mut BTreeMap<String, (TenantName, StoreName)>,
    diagnostics: &mut Diagnostics,
) {
    let path = |rest: &[&str]| at(&[&["tenants", name.as_str()], rest].concat());
    for (store, said) in &tenant.stores {
        let path = path(&["stores", store.as_str(), "url"]);
        if !document.stores.contains_key(store) {
            let help = did_you_mean(store.as_str(), document.stores.keys().map(StoreName::as_str));
            let help = help.map(|near| format!("did you mean `{near}`?"));
            diagnostics.error(path, format!("there is no store `{store}`")).with_help(help);
            continue;
        }
        check_address(&said.url, path.clone(), diagnostics);
        if let Some((other, its)) = seen.insert(said.url.place(), (name.clone(), store.clone())) {
            diagnostics.error(path, format!("this is the address of store `{its}` of tenant `{other}` already"));
        }
    }
    for store in document.stores.keys().filter(|store| !tenant.stores.contains_key(*store)) {
        diagnostics
            .error(path(&[]), format!("tenant `{name}` does not say where its store `{store}` is"))
            .with_help(Some(format!("add [tenants.{name}.stores.{store}] with url = \"…\"")));
    }
    for job in document.jobs.keys().filter(|job| job.at(name).is_err()) {
        let message = format!("`{job}@{name}` is longer than 64 letters; job and tenant are one name");
        diagnostics.error(path(&[]), message).with_help(Some("shorten one of them".to_owned()));
    }
}

/// Makes tenants of `urls`.
fn spread_urls(document: &mut Document, diagnostics: &mut Diagnostics) {
    for (store, said) in &mut document.stores {
        let path = at(&["stores", store.as_str(), "urls"]);
        if !said.urls.is_empty() && said.url.is_some() {
            diagnostics.error(path.clone(), "`url` and `urls` exclude each other");
        }
        let mut named = BTreeSet::new();
        for (position, url) in said.urls.iter().enumerate() {
            let path = [path.clone(), vec![position.to_string()]].concat();
            check_url(url, path.clone(), diagnostics);
            let Ok(tenant) = last_part(url).parse::<TenantName>() else {
                diagnostics
                    .error(path, "the last part of this address is no name that a tenant could have")
                    .with_help(Some(format!("name it: [tenants.NAME.stores.{store}] with url = \"…\"")));
                continue;
            };
            let own = TenantStore { url: UrlSource::Literal(url.clone()), password: None, identity: None };
            let stores = &mut document.tenants.entry(tenant.clone()).or_default().stores;
            if !named.insert(tenant.clone()) || stores.insert(store.clone(), own).is_some() {
                diagnostics
                    .error(path, format!("tenant `{tenant}` has its store `{store}` already"))
                    .with_help(Some("a tenant is named by the last part of its address".to_owned()));
            }
        }
    }
}

/// `postgres://db1/acme?sslmode=require` and `sqlite:/srv/acme.db` are both of `acme`.
fn last_part(url: &str) -> &str {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    let last = path.trim_end_matches('/').rsplit(['/', ':']).next().unwrap_or(path);
    last.split('.').next().unwrap_or(last)
}

#[cfg(test)]
mod tests {
    use super::super::load_text;
    use super::*;

    const MAP: &str = "[data.t]\nstore = \"main\"\ntable = \"t\"\ncategory = \"reporting_data\"\n[jobs.it]\nkind = \"x\"\nping_url = \"https://hc.example/{tenant}\"\n";

    fn read(stores: &str) -> Result<Arc<Loaded>, String> {
        let text = format!("{stores}{MAP}");
        load_text("jobs.toml", &text)
            .map(Arc::new)
            .map_err(|refused| refused.diagnostics.render(&refused.source, false))
    }

    #[test]
    fn each_tenant_has_all_jobs_on_its_own_stores() {
        let both = [
            "[stores.main]\nurls = [\"postgres://db/acme?x=y\", \"sqlite:/srv/beta.db\"]\nledger = false\n",
            "[stores.main]\nledger = false\n[tenants.beta.stores.main]\nurl = \"sqlite:/srv/beta.db\"\n[tenants.acme.stores.main]\nurl = \"postgres://db/acme?x=y\"\n",
        ];
        for stores in both {
            let parts = read(stores).unwrap().parts();
            let seen: Vec<_> = parts
                .iter()
                .map(|part| {
                    let store = part.document.stores.get("main").unwrap();
                    assert!(!store.ledger && part.document.tenants.is_empty());
                    let job = part.document.jobs.values().next().unwrap();
                    assert!(job.read::<toml::Table>(&mut Diagnostics::default()).is_some());
                    (job.name.to_string(), store.url.clone().map(|url| url.resolve().unwrap()))
                })
                .collect();
            let expected = [("it@acme", "postgres://db/acme?x=y"), ("it@beta", "sqlite:/srv/beta.db")];
            assert_eq!(seen, expected.map(|(job, url)| (job.to_owned(), Some(url.to_owned()))));
        }
        let alone = read("[stores.main]\nurl = \"sqlite:/srv/a.db\"\n").unwrap();
        assert!(matches!(alone.parts().as_slice(), [part] if Arc::ptr_eq(part, &alone)));
    }

    #[test]
    fn what_would_mix_tenants_is_refused() {
        let cases = [
            ("[stores.main]\n", "missing key `url`"),
            (
                "[stores.main]\nurl = \"sqlite:/a\"\n[tenants.a.stores.main]\nurl = \"sqlite:/b\"\n",
                "an address of its own",
            ),
            ("[stores.main]\nurl = \"sqlite:/a\"\nurls = [\"sqlite:/b\"]\n", "exclude each other"),
            ("[stores.main]\nurls = [\"sqlite:/a/x.db\", \"sqlite:/b/x.db\"]\n", "has its store `main` already"),
            ("[stores.main]\nurls = [\"sqlite:/a/2.db\"]\n", "no name that a tenant could have"),
            (
                "[stores.main]\n[tenants.a.stores.main]\nurl = \"sqlite:/x\"\n[tenants.b.stores.main]\nurl = \"sqlite:/x\"\n",
                "store `main` of tenant `a` already",
            ),
            (
                "[stores.main]\n[stores.voice]\n[tenants.a.stores.main]\nurl = \"sqlite:/x\"\n",
                "does not say where its store `voice` is",
            ),
            ("[stores.main]\n[tenants.a.stores.mian]\nurl = \"sqlite:/x\"\n", "did you mean `main`?"),
            ("[stores.main]\nidentity = \"x\"\nurls = [\"sqlite:/x\"]\n", "an identity of its own"),
            ("[stores.main]\nurls = [\"postgres://u:secret@h/x\"]\n", "a password stands in the URL"),
        ];
        for (stores, message) in cases {
            let refused = read(stores).err().unwrap_or_else(|| panic!("{stores} was taken"));
            assert!(refused.contains(message), "{stores}\n{refused}");
        }
        let long = format!("[stores.main]\n[tenants.{}.stores.main]\nurl = \"sqlite:/x\"\n", "x".repeat(62));
        assert!(read(&long).is_err_and(|refused| refused.contains("longer than 64")));
    }
}
