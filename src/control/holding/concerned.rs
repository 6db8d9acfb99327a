//! What a hold concerns: the rows of an entry, the person, the stores.

use chrono::{DateTime, NaiveDate, TimeZone as _, Utc};

use crate::control::failure::{Exit, Failure};
use crate::control::site::Site;
use crate::graph::walk::find::{self, MOST_FOUND, Search};
use crate::graph::{Address, Graph, Node, Subject, Walk, resolve_condition};
use crate::holds::{About, read_pair};
use crate::names::StoreName;
use crate::redact::Sealed;
use crate::store::target::Expr;

/// The kind of person or `data`, and the entry.
pub(super) fn described(about: &About) -> (String, Option<String>) {
    match about {
        About::Rows { data, .. } => ("data".to_owned(), Some(data.to_string())),
        About::Person { kind, .. } => (kind.to_string(), None),
    }
}

/// The rows of an entry that a hold is about; `None` where it is not about the entry at all.
pub(super) fn rows_of(graph: &Graph, node: &Node, about: &About) -> Result<Option<Expr>, String> {
    match about {
        About::Rows { data, only } if *data == node.name => {
            let mut all = Vec::new();
            for pair in only {
                all.push(pair_of(graph, node, pair)?);
            }
            Ok(Some(Expr::All(all)))
        }
        About::Rows { .. } => Ok(None),
        About::Person { .. } => {
            let subject = subject_of(graph, about)?;
            let walk = Walk::new(graph, &subject);
            if !walk.can_reach(node) && node.mentions.is_empty() {
                return Ok(None);
            }
            let scope = node.own();
            let shown = if walk.can_reach(node) { walk.shown(node, &scope, 0) } else { Expr::Any(Vec::new()) };
            Ok(Some(Expr::Any(vec![shown, walk.mentions(node, &scope)])))
        }
    }
}

/// The person whom a hold is about.
///
/// # Errors
/// When it is about rows, or the map knows such a person no more.
pub fn subject_of(graph: &Graph, about: &About) -> Result<Subject, String> {
    let About::Person { kind, key, addresses } = about else { return Err("the hold is about no person".to_owned()) };
    let person = graph.person(kind.as_str()).ok_or_else(|| format!("the file knows no [people.{kind}] any more"))?;
    let addresses = addresses
        .iter()
        .map(|(name, value)| {
            let compare =
                person.compare.get(name).ok_or_else(|| format!("a {kind} is not known by {name} any more"))?;
            Address::new(name, *compare, value).map_err(|error| error.to_string())
        })
        .collect::<Result<Vec<_>, _>>()?;
    let sealed = |key: &Vec<String>| key.iter().cloned().map(Sealed::new).collect();
    Ok(match key {
        Some(key) => Subject { addresses, ..Subject::by_key(person, sealed(key)) },
        None => Subject::by_addresses(person, addresses),
    })
}

/// What a hold about one person is about; `wide`: a search by address may match more rows than one person usually has.
///
/// # Errors
/// When the search is too wide, or narrowed to a time, of which a hold knows nothing.
pub fn about_one(site: &Site, mut subject: Subject, wide: bool) -> Result<About, Failure> {
    if subject.from.is_some() || subject.to.is_some() {
        return Err(Failure::new(Exit::Usage, "error: a hold knows no --from and --to"));
    }
    if !wide && matches!(find::search(&site.graph, &site.stores, &mut subject)?, Search::TooMany) {
        let text = format!(
            "error: the search matches more than {MOST_FOUND} rows, too many to be about one person; leave the widest address out, hold rows by --data and --where, or say --wide if they are all about this person"
        );
        return Err(Failure::new(Exit::Braked, text));
    }
    Ok(about_person(&subject))
}

/// What a hold about a person keeps of whom it is.
pub fn about_person(subject: &Subject) -> About {
    About::Person {
        kind: subject.kind.clone(),
        key: subject.key.as_ref().map(|key| key.iter().map(|part| part.expose().clone()).collect()),
        addresses: subject
            .addresses
            .iter()
            .map(|address| (address.kind.clone(), address.value.expose().clone()))
            .collect(),
    }
}

/// `column=value`, in the first reading that fits the column.
fn pair_of(graph: &Graph, node: &Node, pair: &str) -> Result<Expr, String> {
    let mut first = None;
    for reading in read_pair(pair)? {
        let mut wrong = None;
        let resolved = resolve_condition(graph, node, &reading, |message, help| {
            wrong = Some(help.map_or(message.clone(), |help| format!("{message}; {help}")));
        });
        match wrong {
            None => return Ok(resolved.expr(graph, &node.own(), 0)),
            Some(wrong) => first = first.or(Some(wrong)),
        }
    }
    Err(first.unwrap_or_default())
}

/// The stores that a hold concerns.
pub(super) fn stores_of(site: &Site, about: &About) -> Result<Vec<StoreName>, Failure> {
    let data = match about {
        About::Rows { data, .. } => data,
        About::Person { .. } => return stores_of_person(site, about),
    };
    let Some(node) = site.graph.node(data) else {
        let near = crate::config::diagnostic::did_you_mean(
            data.as_str(),
            site.graph.children_first().map(|node| node.name.as_str()),
        );
        let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        return Err(Failure::new(Exit::Usage, format!("error: there is no data entry `{data}`{hint}")));
    };
    if !has_holds(site, &node.store) {
        return Err(cannot_hold(&node.store));
    }
    Ok(vec![node.store.clone()])
}

/// Every store in which the walk can find something about a person; all of them must be able to hold it.
fn stores_of_person(site: &Site, about: &About) -> Result<Vec<StoreName>, Failure> {
    let stores = stores_reached(site, about)?;
    match stores.iter().find(|store| !has_holds(site, store)) {
        Some(store) => Err(cannot_hold(store)),
        None => Ok(stores),
    }
}

/// The same, whether they can hold anything or not.
pub(super) fn stores_reached(site: &Site, about: &About) -> Result<Vec<StoreName>, Failure> {
    let mut stores = Vec::new();
    for node in site.graph.children_first() {
        let rows = rows_of(&site.graph, node, about);
        let rows = rows.map_err(|message| Failure::new(Exit::Braked, format!("error: {message}")))?;
        if rows.is_none() || stores.contains(&node.store) {
            continue;
        }
        stores.push(node.store.clone());
    }
    Ok(stores)
}

fn cannot_hold(store: &StoreName) -> Failure {
    let text = format!(
        "error: store `{store}` does not have retentiond's tables (ledger = false), so nothing in it can be held"
    );
    Failure::new(Exit::Braked, text)
}

pub(super) fn has_holds(site: &Site, store: &StoreName) -> bool {
    site.ledgers.get(store).copied().unwrap_or_default()
}

/// The end of a day in a zone: the first instant of the next.
pub(super) fn end_of(day: NaiveDate, zone: chrono_tz::Tz) -> Result<DateTime<Utc>, Failure> {
    let next = day.succ_opt().map(|next| next.and_time(chrono::NaiveTime::MIN));
    let at = next.and_then(|next| {
        // A midnight that a zone leaves out comes an hour later.
        zone.from_local_datetime(&next)
            .latest()
            .or_else(|| zone.from_local_datetime(&(next + chrono::TimeDelta::hours(1))).latest())
    });
    at.map(|at| at.to_utc()).ok_or_else(|| Failure::new(Exit::Usage, "error: --until is no day of this calendar"))
}
