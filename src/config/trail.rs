//! `[trail]`: retentiond's own audit trail.

use schemars::JsonSchema;
use serde::Deserialize;

use super::checks::is_files;
use super::diagnostic::{Diagnostics, did_you_mean};
use super::document::Document;
use super::period::Keep;
use super::values::SecretRef;
use crate::names::StoreName;

/// `[trail]`: what retentiond did, in a log that cannot be quietly edited.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Trail {
    /// How long records stay; their hashes stay for ever. Default 6 years.
    #[serde(default = "Trail::default_keep")]
    pub keep: Keep,
    /// Where the key is found that signs checkpoints: 64 hexadecimal digits. When the file does not say, it is made at its
    /// first use, in the state's folder. Daemons that share a state share a key.
    pub key: Option<SecretRef>,
    /// What checkpoints call the trail, such as `example.org/retentiond`. It is said before the first record or never.
    pub origin: Option<String>,
    /// The auditors, who get the last checkpoint by mail once a day.
    #[serde(default)]
    pub mail_to: Vec<String>,
    /// A file store that every checkpoint is written to, in the folder `retentiond-checkpoints`; where the file has
    /// tenants, each one's store of that name.
    pub store: Option<StoreName>,
}

impl Default for Trail {
    fn default() -> Self {
        Self { keep: Self::default_keep(), key: None, origin: None, mail_to: Vec::new(), store: None }
    }
}

impl Trail {
    fn default_keep() -> Keep {
        Keep::parse("6 years").unwrap_or(Keep::Forever)
    }
}

pub(super) fn check(document: &Document, diagnostics: &mut Diagnostics) {
    let (trail, path) = (&document.trail, |key: &str| vec!["trail".to_owned(), key.to_owned()]);
    if let Some(origin) = &trail.origin {
        let plain = |c: char| c.is_ascii_graphic() && c != '+';
        if !(1..=150).contains(&origin.len()) || !origin.chars().all(plain) {
            let help = "a name without blanks and without `+`, such as example.org/retentiond".to_owned();
            diagnostics.error(path("origin"), "this cannot be the name of a trail").with_help(Some(help));
        }
    }
    if let Some(store) = &trail.store {
        match document.stores.get(store) {
            None => {
                let near = did_you_mean(store.as_str(), document.stores.keys().map(StoreName::as_str));
                let help = near.map(|near| format!("did you mean `{near}`?"));
                diagnostics.error(path("store"), format!("there is no store `{store}`")).with_help(help);
            }
            Some(_) if is_files(document, store) == Some(false) => {
                diagnostics.error(path("store"), format!("`{store}` is no file store")).with_help(None);
            }
            Some(_) => {}
        }
    }
    if !trail.mail_to.is_empty() && document.mail.is_none() {
        diagnostics.error(path("mail_to"), "there is no [mail], so nobody can be written to").with_help(None);
    }
}
