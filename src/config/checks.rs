//! The document as a whole: names that are referred to exist, and what belongs together is said together.

use super::diagnostic::{Diagnostics, did_you_mean};
use super::document::{Document, Entry, OnErasure, OnExpiry, Person};
use super::tenants;
use super::values::{Identifiers, Link, Requires, TimeColumn, UrlSource};
use crate::names::{CategoryName, DataName, PersonName, StoreName};

/// The five categories that need no declaration.
const CATEGORIES: [&str; 5] =
    ["user_master_data", "directory_information", "reporting_data", "recordings", "contact_data_records"];

pub(super) fn check(document: &mut Document, diagnostics: &mut Diagnostics) {
    resolve_like(document, diagnostics);
    tenants::check(document, diagnostics);
    for (name, entry) in &document.data {
        let mut at = Entries { document, name, diagnostics };
        at.check(entry);
    }
    check_people(document, diagnostics);
    check_limits(document, diagnostics);
    super::trail::check(document, diagnostics);
}

pub(super) fn check_url(url: &str, path: Vec<String>, diagnostics: &mut Diagnostics) {
    let scheme = url.split_once(':').map(|(scheme, _)| scheme);
    let known = ["postgres", "postgresql", "mysql", "mariadb", "sqlite", "file"];
    match scheme {
        Some("s3") => {
            diagnostics
                .error(path, "object stores are not built yet")
                .with_help(Some("file:DIRECTORY names a folder".to_owned()));
        }
        Some(scheme) if known.contains(&scheme) => {
            let authority = url.split_once("://").map_or("", |(_, rest)| rest.split('/').next().unwrap_or_default());
            if authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':')) {
                diagnostics
                    .error(path, "a password stands in the URL; secrets never stand in the file")
                    .with_help(Some("say password = { credential = \"…\" }, { file = … } or { env = … }".to_owned()));
            }
        }
        _ => {
            let help = "postgres://…, mysql://…, sqlite:PATH or file:DIRECTORY";
            diagnostics.error(path, "this is no address of a store").with_help(Some(help.to_owned()));
        }
    }
}

/// Fills entries from those that they are like.
fn resolve_like(document: &mut Document, diagnostics: &mut Diagnostics) {
    let names: Vec<DataName> = document.data.keys().cloned().collect();
    for name in &names {
        let mut chain = vec![name.clone()];
        let mut like = document.data.get(name).and_then(|entry| entry.like.clone());
        while let Some(next) = like {
            let path = vec!["data".to_owned(), name.to_string(), "like".to_owned()];
            if chain.contains(&next) {
                diagnostics.error(path, format!("`{name}` would be like itself"));
                break;
            }
            let Some(model) = document.data.get(&next).cloned() else {
                let help = did_you_mean(next.as_str(), names.iter().map(DataName::as_str))
                    .map(|near| format!("did you mean `{near}`?"));
                diagnostics.error(path, format!("there is no data entry `{next}`")).with_help(help);
                break;
            };
            if let Some(entry) = document.data.get_mut(name) {
                fill(entry, &model);
            }
            chain.push(next);
            like = model.like;
        }
    }
}

fn fill(entry: &mut Entry, model: &Entry) {
    macro_rules! fill {
        ($($field:ident),*) => {$(
            if entry.$field.is_none() {
                entry.$field.clone_from(&model.$field);
            }
        )*};
    }
    fill!(
        store,
        table,
        category,
        title,
        titles,
        show_others,
        key,
        label,
        stub,
        time,
        user,
        person,
        customer,
        mentions,
        belongs_to,
        goes_with,
        unlink,
        shared,
        survives_erasure,
        on_expiry,
        on_erasure,
        ground,
        anonymise,
        marker,
        requires,
        allowed_by,
        file,
        audit,
        allow_nontransactional
    );
}

/// The checks of one entry.
struct Entries<'a> {
    document: &'a Document,
    name: &'a DataName,
    diagnostics: &'a mut Diagnostics,
}

impl Entries<'_> {
    fn error(&mut self, keys: &[&str], message: impl Into<String>, help: Option<String>) {
        let path = ["data", self.name.as_str()].iter().chain(keys).map(|key| (*key).to_owned()).collect();
        self.diagnostics.error(path, message).with_help(help);
    }

    fn check(&mut self, entry: &Entry) {
        match &entry.store {
            None => {
                self.error(&[], format!("`{}` does not say its store", self.name), Some("add store = \"…\"".to_owned()))
            }
            Some(store) => match self.document.stores.get(store) {
                None => {
                    let near = did_you_mean(store.as_str(), self.document.stores.keys().map(|name| name.as_str()));
                    let help = near.map(|near| format!("did you mean `{near}`?"));
                    self.error(&["store"], format!("there is no store `{store}`"), help);
                }
                Some(_) if is_files(self.document, store) == Some(true) => {
                    self.error(&["store"], format!("`{store}` is a file store, not a database"), None);
                }
                Some(_) => {}
            },
        }
        if entry.table.as_deref().is_none_or(|table| table.trim().is_empty()) {
            self.error(&[], format!("`{}` does not say its table", self.name), Some("add table = \"…\"".to_owned()));
        }
        if entry.ignore.is_some() {
            self.check_ignored(entry);
            return;
        }
        self.check_category(entry.category.as_ref());
        self.check_fate(entry);
        self.check_links(entry);
        self.check_twin(entry);
    }

    fn check_ignored(&mut self, entry: &Entry) {
        let said = entry.time.is_some()
            || entry.belongs_to.is_some()
            || entry.on_expiry.is_some()
            || entry.anonymise.is_some();
        if said {
            let help = "an ignored table is left alone: say only store and table".to_owned();
            self.error(&["ignore"], format!("`{}` is ignored and described at once", self.name), Some(help));
        }
        if entry.ignore.as_deref().is_some_and(|why| why.trim().is_empty()) {
            self.error(&["ignore"], "say why the table is left alone", None);
        }
    }

    fn check_category(&mut self, category: Option<&CategoryName>) {
        let declared = self.document.categories.keys().map(CategoryName::as_str);
        let known: Vec<&str> = CATEGORIES.into_iter().chain(declared).collect();
        match category {
            None => {
                let help = format!("add category = \"…\": {}", known.join(", "));
                self.error(&[], format!("`{}` does not say its category", self.name), Some(help));
            }
            Some(category) if !known.contains(&category.as_str()) => {
                let help = did_you_mean(category.as_str(), known.iter().copied()).map_or_else(
                    || format!("declare it as [categories.{category}]"),
                    |near| format!("did you mean `{near}`?"),
                );
                self.error(&["category"], format!("there is no category `{category}`"), Some(help));
            }
            Some(_) => {}
        }
    }

    fn check_fate(&mut self, entry: &Entry) {
        let anonymises = entry.on_expiry == Some(OnExpiry::Anonymise) || entry.on_erasure == Some(OnErasure::Anonymise);
        let columns = entry.anonymise.as_ref().is_some_and(|columns| !columns.is_empty());
        if anonymises && !columns {
            let help = "add anonymise = { column = \"null\", … }".to_owned();
            self.error(&["on_expiry"], format!("`{}` is anonymised, but no column is said", self.name), Some(help));
        }
        if columns && !anonymises {
            let path = vec!["data".to_owned(), self.name.to_string(), "anonymise".to_owned()];
            let help =
                "say on_expiry = \"anonymise\" or on_erasure = \"anonymise\", or leave the columns out".to_owned();
            let message = format!("`{}` says columns to anonymise, but its rows are deleted", self.name);
            self.diagnostics.error(path, message).with_help(Some(help));
        }
        if entry.on_erasure == Some(OnErasure::Keep)
            && entry.ground.as_deref().is_none_or(|ground| ground.trim().is_empty())
        {
            let help = "add ground = \"…\"".to_owned();
            self.error(&["on_erasure"], "an erasure that keeps rows needs a ground", Some(help));
        }
    }

    fn check_links(&mut self, entry: &Entry) {
        let lists = [("belongs_to", &entry.belongs_to), ("goes_with", &entry.goes_with), ("unlink", &entry.unlink)];
        for (key, links) in lists {
            for link in links.iter().flat_map(|links| &links.0) {
                self.check_link(key, link);
            }
        }
        if let Some(Requires::Row(link)) = &entry.requires {
            self.check_link("requires", link);
        }
        if let Some(TimeColumn::Of(parent)) = &entry.time {
            self.check_name("time", parent);
        }
        if let Some(stub) = &entry.stub {
            self.check_name("stub", stub);
        }
        if let Some(file) = &entry.file {
            match self.document.stores.get(&file.store) {
                None => {
                    let near = did_you_mean(file.store.as_str(), self.document.stores.keys().map(|name| name.as_str()));
                    let help = near.map(|near| format!("did you mean `{near}`?"));
                    self.error(&["file", "store"], format!("there is no store `{}`", file.store), help);
                }
                Some(_) if is_files(self.document, &file.store) == Some(false) => {
                    self.error(&["file", "store"], format!("`{}` is a database, not a file store", file.store), None);
                }
                Some(_) => {}
            }
            let ledger =
                entry.store.as_ref().and_then(|store| self.document.stores.get(store)).is_none_or(|store| store.ledger);
            if !ledger {
                let help = "the ledger is what says, after a crash, whether a row is gone; leave `ledger = false` out"
                    .to_owned();
                self.error(&["file"], "files of rows need the ledger in the rows' store", Some(help));
            }
        }
    }

    fn check_link(&mut self, key: &str, link: &Link) {
        self.check_name(key, &link.data);
    }

    fn check_name(&mut self, key: &str, name: &DataName) {
        match self.document.data.get(name) {
            None => {
                let near = did_you_mean(name.as_str(), self.document.data.keys().map(DataName::as_str));
                let help = near.map(|near| format!("did you mean `{near}`?"));
                self.error(&[key], format!("there is no data entry `{name}`"), help);
            }
            Some(entry) if entry.ignore.is_some() => {
                self.error(&[key], format!("`{name}` is ignored, so nothing can belong to it"), None);
            }
            Some(_) => {}
        }
    }

    /// Two entries for one table would remove each other's rows.
    fn check_twin(&mut self, entry: &Entry) {
        let twin = self.document.data.iter().find(|(name, other)| {
            *name < self.name && other.ignore.is_none() && other.store == entry.store && other.table == entry.table
        });
        if let Some((other, _)) = twin
            && entry.table.is_some()
        {
            let message = format!("`{other}` and `{}` are the same table of the same store", self.name);
            self.error(&["table"], message, Some("one entry describes one table".to_owned()));
        }
    }
}

/// Whether a store is a folder; `None` when its URL is known only from the environment.
pub(super) fn is_files(document: &Document, store: &StoreName) -> Option<bool> {
    match document.an_address(store)? {
        UrlSource::Literal(url) | UrlSource::Env { default: Some(url), .. } => Some(url.starts_with("file:")),
        UrlSource::Env { default: None, .. } => None,
    }
}

fn check_people(document: &Document, diagnostics: &mut Diagnostics) {
    for (name, person) in &document.people {
        if let Some(data) = &person.data
            && !document.data.contains_key(data)
        {
            let near = did_you_mean(data.as_str(), document.data.keys().map(DataName::as_str));
            let path = vec!["people".to_owned(), name.to_string(), "data".to_owned()];
            let help = near.map(|near| format!("did you mean `{near}`?"));
            diagnostics.error(path, format!("there is no data entry `{data}`")).with_help(help);
        }
        check_person(name, person, diagnostics);
    }
}

fn check_person(name: &PersonName, person: &Person, diagnostics: &mut Diagnostics) {
    let path = |key: &str| vec!["people".to_owned(), name.to_string(), key.to_owned()];
    if person.digits.is_some_and(|digits| !(3..=15).contains(&digits)) {
        let help = "fewer digits take strangers for one person; 9 leave a national number whole".to_owned();
        diagnostics.error(path("digits"), "digits is from 3 to 15").with_help(Some(help));
    }
    let kinds: Vec<&str> = match &person.identifiers {
        Identifiers::Columns(columns) => columns.keys().map(String::as_str).collect(),
        Identifiers::Kinds(kinds) => kinds.iter().map(String::as_str).collect(),
    };
    for kind in person.compare.keys().filter(|kind| !kinds.contains(&kind.as_str())) {
        let help = did_you_mean(kind, kinds.iter().copied()).map(|near| format!("did you mean `{near}`?"));
        let message = format!("`{kind}` is no kind of identifier of `{name}`");
        diagnostics.error([path("compare"), vec![kind.clone()]].concat(), message).with_help(help);
    }
    match (&person.identifiers, &person.data) {
        (Identifiers::Columns(columns), None) if columns.is_empty() => {
            let help = "say data = \"…\" for a person with a row of their own, or identifiers = [\"phone\", \"email\"]"
                .to_owned();
            let message = format!("nothing says how a {name} is known");
            diagnostics.error(vec!["people".to_owned(), name.to_string()], message).with_help(Some(help));
        }
        (Identifiers::Columns(_), None) => {
            let help = "add data = \"…\", or list the kinds alone: identifiers = [\"phone\", \"email\"]".to_owned();
            let message = format!("the identifiers of `{name}` name columns, but no entry has one row for each person");
            diagnostics.error(path("identifiers"), message).with_help(Some(help));
        }
        (Identifiers::Kinds(_), Some(data)) => {
            let help = "say the column of each: identifiers = { email = \"email\" }".to_owned();
            let message = format!("`{name}` is known by the key of `{data}`, so its identifiers are columns");
            diagnostics.error(path("identifiers"), message).with_help(Some(help));
        }
        _ => {}
    }
}

fn check_limits(document: &Document, diagnostics: &mut Diagnostics) {
    let brakes = &document.brakes;
    for (key, message) in brakes.mistakes() {
        diagnostics.error(vec!["brakes".to_owned(), key.to_owned()], message);
    }
}
