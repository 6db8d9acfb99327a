//! Whose installation a request is about, where the file has tenants.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::failure::{Exit, Failure};
use crate::config::Loaded;
use crate::config::diagnostic::did_you_mean;
use crate::names::{JobName, StoreName, TenantName};

/// What the file says for the tenant that is named, or else for each; for a file without tenants, the file itself.
///
/// # Errors
/// When there is no such tenant.
pub fn parts(loaded: &Arc<Loaded>, tenant: Option<&TenantName>) -> Result<Vec<Arc<Loaded>>, Failure> {
    let mut parts = loaded.parts();
    if let Some(name) = tenant {
        parts.retain(|part| part.document.tenant.as_ref() == Some(name));
        if parts.is_empty() {
            return Err(Failure::new(Exit::Usage, format!("error: {}", no_such(loaded, name))));
        }
    }
    Ok(parts)
}

/// What the file says for one: what is asked about a person, a case or a store is asked of one tenant alone.
///
/// # Errors
/// When there is no such tenant, or there are several and none is named.
pub fn part(loaded: &Arc<Loaded>, tenant: Option<&TenantName>) -> Result<Arc<Loaded>, Failure> {
    let mut parts = parts(loaded, tenant)?;
    match (parts.pop(), parts.is_empty()) {
        (Some(part), true) => Ok(part),
        _ => {
            let names: Vec<&str> = loaded.document.tenants.keys().take(5).map(TenantName::as_str).collect();
            let more = if loaded.document.tenants.len() > names.len() { ", …" } else { "" };
            let text = format!("error: the file has tenants: say whose with --tenant ({}{more})", names.join(", "));
            Err(Failure::new(Exit::Usage, text))
        }
    }
}

/// What the file says for the one that has this job: the job's name may say the tenant.
///
/// # Errors
/// When there is no such tenant, or there are several and none is named.
pub fn part_of(loaded: &Arc<Loaded>, tenant: Option<&TenantName>, job: &JobName) -> Result<Arc<Loaded>, Failure> {
    let named = job.tenant().and_then(|tenant| tenant.parse().ok());
    part(loaded, tenant.or(named.as_ref()))
}

/// The jobs of one tenant among those that were named; `None` where none is. With no name, all.
pub fn named_jobs(part: &Loaded, names: &[JobName]) -> Option<Vec<JobName>> {
    let tenant = part.document.tenant.as_ref().map(|tenant| tenant.as_str());
    let own = |name: &&JobName| name.tenant().is_none() || name.tenant() == tenant;
    let jobs: Vec<JobName> = names.iter().filter(own).cloned().collect();
    (names.is_empty() || !jobs.is_empty()).then_some(jobs)
}

/// None of the tenants has a job of these names.
pub fn no_such_job(names: &[JobName]) -> Failure {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    Failure::new(Exit::Usage, format!("error: there is no job {} of a tenant that is meant", names.join(", ")))
}

/// The stores of all tenants so far, each by what it is: two addresses may lead to one and the same database.
#[derive(Default)]
pub struct Apart(BTreeMap<String, (TenantName, StoreName)>);

impl Apart {
    /// Adds a tenant's stores.
    ///
    /// # Errors
    /// When one of them is another tenant's too: each would remove what is the other's.
    pub fn add(
        &mut self,
        tenant: Option<&TenantName>,
        identities: &BTreeMap<StoreName, String>,
    ) -> Result<(), Failure> {
        let Some(tenant) = tenant else { return Ok(()) };
        for (store, identity) in identities {
            let (other, its) = self.0.entry(identity.clone()).or_insert_with(|| (tenant.clone(), store.clone()));
            if other != tenant {
                let text =
                    format!("error: store `{store}` is store `{its}` of tenant `{other}` too, at another address");
                return Err(Failure::new(Exit::Configuration, text));
            }
        }
        Ok(())
    }
}

fn no_such(loaded: &Loaded, name: &TenantName) -> String {
    if loaded.document.tenants.is_empty() {
        return "the file has no tenants".to_owned();
    }
    let near = did_you_mean(name.as_str(), loaded.document.tenants.keys().map(TenantName::as_str));
    let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    format!("there is no tenant `{name}`{hint}")
}
