//! The keys of `archive = { … }`, and what is wrong with them.

use schemars::JsonSchema;
use serde::Deserialize;

use super::summary::Reader;
use crate::archive::{Format, Recipient};
use crate::config::document::Document;
use crate::config::period::Keep;
use crate::graph::Node;
use crate::names::{JobName, StoreName};
use crate::store::url::StoreUrl;

/// Where the raw rows go before they are purged.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ArchiveKeys {
    /// The file store that takes them; each job has a folder of its own there.
    pub store: StoreName,
    /// How they are written: `"jsonl.zst"`, `"csv.gz"` or `"parquet"`.
    pub format: Format,
    /// How long an archive is kept, counted from its newest row.
    pub keep: Keep,
    /// What the job was called before: archives of these names go when their time is over, too.
    #[serde(default)]
    pub formerly: Vec<JobName>,
    /// A public key of age (`"age1…"`) that archives are encrypted to. The secret key stays elsewhere.
    pub encrypt_to: Option<String>,
}

impl ArchiveKeys {
    /// The keys as plain data, for the policy.
    pub(super) fn plain(&self) -> [(&'static str, String); 5] {
        [
            ("store", self.store.to_string()),
            ("format", self.format.as_str().to_owned()),
            ("keep", self.keep.to_string()),
            ("formerly", self.formerly.iter().map(JobName::as_str).collect::<Vec<_>>().join(" ")),
            ("encrypt_to", self.encrypt_to.clone().unwrap_or_default()),
        ]
    }
}

/// Mistakes of the keys.
pub(super) fn check(reader: &mut Reader<'_>, (keys, keep): (&ArchiveKeys, &Keep), source: &Node, document: &Document) {
    let longer = match (&keys.keep, keep) {
        (Keep::For(archives), Keep::For(rows)) => {
            archives.never_shorter_than(rows) && !rows.never_shorter_than(archives)
        }
        (Keep::Forever, _) => true,
        (Keep::For(_), Keep::Forever) => false,
    };
    if !longer {
        let message =
            format!("rows are {keep} old when they are archived; with this keep their archives would go at once");
        reader.error(&["archive", "keep"], message, "it counts from the time of the rows: say a longer one".to_owned());
    }
    let of_rows =
        document.data.iter().find(|(_, entry)| entry.file.as_ref().is_some_and(|file| file.store == keys.store));
    if let Some((data, _)) = of_rows {
        let message = format!("store `{}` has the files of `{data}`; archives need a store of their own", keys.store);
        reader.error(&["archive", "store"], message, None);
    }
    for (place, name) in keys.formerly.iter().enumerate() {
        if document.jobs.keys().any(|job| job.in_file() == name.in_file()) {
            let message = format!("job `{name}` is in the file, and looks after its archives itself");
            reader.error(&["archive", "formerly", &place.to_string()], message, None);
        }
        // Of two jobs the shorter `keep` would count.
        let claims = super::archived(document).into_iter().filter(|(.., other)| other.store == keys.store);
        if claims.filter(|(.., other)| other.formerly.iter().any(|its| its.in_file() == name.in_file())).count() > 1 {
            let message = format!("two jobs say that they were `{name}`; its archives go on with one");
            reader.error(&["archive", "formerly", &place.to_string()], message, None);
        }
    }
    match document.stores.get(&keys.store) {
        None => {
            let near = crate::config::diagnostic::did_you_mean(
                keys.store.as_str(),
                document.stores.keys().map(StoreName::as_str),
            );
            let help = near.map(|near| format!("did you mean `{near}`?"));
            reader.error(&["archive", "store"], format!("there is no store `{}`", keys.store), help);
        }
        Some(store) => {
            let url = store.url.as_ref().and_then(|url| url.resolve().ok()).and_then(|url| StoreUrl::parse(&url).ok());
            if url.is_some_and(|url| !matches!(url, StoreUrl::Files(_))) {
                let message = format!("`{}` is a database; an archive is kept in a file store", keys.store);
                reader.error(&["archive", "store"], message, "url = \"file:/srv/archive\"".to_owned());
            }
        }
    }
    if let Some(why) = keys.format.missing() {
        reader.error(&["archive", "format"], why.to_owned(), None);
    }
    if source.key.is_empty() {
        let message = format!("`{}` has no key, so its rows cannot be read one after the other", source.name);
        reader.error(&["archive"], message, format!("say key = [\"…\"] in [data.{}]", source.name));
    }
    if document.stores.get(&source.store).is_some_and(|store| !store.ledger) {
        let message = format!("store `{}` has no ledger, so nobody knows which archives are whole", source.store);
        reader.error(&["archive"], message, None);
    }
    if let Some(Err(why)) = keys.encrypt_to.as_deref().map(Recipient::parse) {
        reader.error(&["archive", "encrypt_to"], why, None);
    }
}
