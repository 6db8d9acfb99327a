//! Validated names: what an operator calls a store, a data entry, a job.
//!
//! Such a name stands in logs, metrics, ledger rows and mails, so it is short and plain: a letter, then letters, digits,
//! `_` or `-`, 64 bytes at most. A job of a tenant is named `job@tenant`, which is one name of 64 bytes too. Names of tables and columns are another matter: they are whatever the database says.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a name was refused.
#[derive(Debug, thiserror::Error)]
#[error("a name is a letter, then letters, digits, `_` or `-`, at most 64 in all")]
pub struct BadName;

fn valid(name: &str) -> bool {
    let mut chars = name.chars();
    name.len() <= 64
        && chars.next().is_some_and(|first| first.is_ascii_alphabetic())
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

/// The job and the tenant in the name of a tenant's job.
fn parts(name: &str) -> (&str, Option<&str>) {
    name.split_once('@').map_or((name, None), |(job, tenant)| (job, Some(tenant)))
}

fn valid_job(name: &str) -> bool {
    let (job, tenant) = parts(name);
    name.len() <= 64 && valid(job) && tenant.is_none_or(valid)
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident $valid:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = BadName;
            fn from_str(text: &str) -> Result<Self, BadName> {
                $valid(text).then(|| Self(text.to_owned())).ok_or(BadName)
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadName;
            fn try_from(text: String) -> Result<Self, BadName> {
                if $valid(&text) { Ok(Self(text)) } else { Err(BadName) }
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    )*};
}

names! {
    /// The name of a store, as in `[stores.operative]`.
    StoreName valid;
    /// The name of a data entry, as in `[data.contacts]`.
    DataName valid;
    /// The name of a job, as in `[jobs.contacts]`; of a tenant's, `contacts@acme`.
    JobName valid_job;
    /// The name of a tenant, as in `[tenants.acme]`.
    TenantName valid;
    /// The name of a category of personal data, one of the five or the operator's own.
    CategoryName valid;
    /// The name of a case for whose sake data is held, as in `retentiond hold add CASE`.
    CaseName valid;
    /// The name of a kind of person, as in `[people.user]`.
    PersonName valid;
}

impl JobName {
    /// The job of a tenant.
    ///
    /// # Errors
    /// When both together are too long, or this is a tenant's already.
    pub fn at(&self, tenant: &TenantName) -> Result<Self, BadName> {
        format!("{self}@{tenant}").parse()
    }

    /// What the file calls it.
    pub fn in_file(&self) -> &str {
        parts(&self.0).0
    }

    /// Whose it is.
    pub fn tenant(&self) -> Option<&str> {
        parts(&self.0).1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_pass_and_others_do_not() {
        for good in ["contacts", "a", "Chat-2", "audit_log_daily"] {
            assert!(good.parse::<DataName>().is_ok(), "{good}");
        }
        let (job, acme): (JobName, TenantName) = ("contacts".parse().unwrap(), "acme".parse().unwrap());
        let of_acme = job.at(&acme).unwrap();
        assert_eq!(
            (of_acme.as_str(), of_acme.in_file(), of_acme.tenant()),
            ("contacts@acme", "contacts", Some("acme"))
        );
        assert_eq!((job.in_file(), job.tenant()), ("contacts", None));
        assert!(of_acme.at(&acme).is_err() && "a@".parse::<JobName>().is_err() && "a@b".parse::<DataName>().is_err());
        assert!("x".repeat(60).parse::<JobName>().unwrap().at(&acme).is_err());
        let long = "x".repeat(65);
        for bad in ["", " ", "2contacts", "_x", "a b", "a.b", "é", "a\n", long.as_str()] {
            assert!(bad.parse::<DataName>().is_err(), "{bad:?}");
        }
    }
}
