//! Who is meant: from what somebody typed to one person.
//!
//! **Invariant.** An identifier that names nobody or several is refused, never guessed at. What was typed appears in no
//! message; the keys of several hits are listed for the person at the keyboard, who asked ([`resolve`]), and for nobody
//! where what is said goes to logs and mails ([`resolve_unseen`]).

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, NaiveTime, TimeZone as _, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::failure::{Exit, Failure};
use super::site::Site;
use crate::graph::walk::find;
use crate::graph::{Address, PersonKind, Subject};
use crate::names::PersonName;
use crate::redact::Sealed;
use crate::store::state::{HashKey, Mark};

/// Most hits that are listed.
const MOST_HITS: u64 = 20;

fn usage(text: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Usage, format!("error: {text}"))
}

fn refused(text: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Braked, format!("error: {text}"))
}

/// The person that these identifiers name: `KIND=VALUE`, or a bare key.
///
/// # Errors
/// When they name nobody or several, or a store cannot be asked.
pub fn resolve(site: &Site, kind: &PersonName, given: &[Sealed]) -> Result<Subject, Failure> {
    find_one(site, kind, given, Hits::Listed)
}

/// The same for what nobody typed: keys of several hits are counted only.
///
/// # Errors
/// When they name nobody or several, or a store cannot be asked.
pub fn resolve_unseen(site: &Site, kind: &PersonName, given: &[Sealed]) -> Result<Subject, Failure> {
    find_one(site, kind, given, Hits::Counted)
}

/// What is said of several hits.
#[derive(Clone, Copy)]
enum Hits {
    /// Their keys.
    Listed,
    /// That there are several.
    Counted,
}

fn find_one(site: &Site, kind: &PersonName, given: &[Sealed], hits: Hits) -> Result<Subject, Failure> {
    let Some(person) = site.graph.person(kind.as_str()) else {
        let known: Vec<&str> = site.graph.people().keys().map(PersonName::as_str).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        return Err(usage(format!("the file knows no [people.{kind}]; it knows {known}")));
    };
    if given.is_empty() {
        return Err(usage("nobody is named"));
    }
    if person.data.is_none() {
        let addresses = given.iter().map(|given| address(person, given)).collect::<Result<Vec<_>, _>>()?;
        return Ok(Subject::by_addresses(person, addresses));
    }
    let mut keys = BTreeSet::new();
    for given in given {
        keys.insert(key(site, person, given, hits)?);
    }
    let mut keys = keys.into_iter();
    let (Some(key), None) = (keys.next(), keys.next()) else {
        return Err(refused("these identifiers name several persons; name one"));
    };
    let key = find::own_key(&site.graph, &site.stores, person, &key)?.unwrap_or(key);
    let mut subject = Subject::by_key(person, key.clone());
    subject.addresses = find::addresses(&site.graph, &site.stores, person, &key)?;
    Ok(subject)
}

fn pair(given: &Sealed) -> Option<(&str, &str)> {
    given.expose().split_once('=').map(|(kind, value)| (kind.trim(), value))
}

fn address(person: &PersonKind, given: &Sealed) -> Result<Address, Failure> {
    let known = || person.kinds().map(|kind| format!("{kind}=…")).collect::<Vec<_>>().join(", ");
    let Some((kind, value)) = pair(given) else {
        return Err(usage(format!("a {} is named by {}", person.name, known())));
    };
    let Some(compare) = person.compare.get(kind) else {
        return Err(usage(format!("a {} is not known by what was named; known are {}", person.name, known())));
    };
    Address::new(kind, *compare, value).map_err(usage)
}

/// The key: bare, column by column, or by way of an identifier.
fn key(site: &Site, person: &PersonKind, given: &Sealed, said: Hits) -> Result<Vec<Sealed>, Failure> {
    let Some(node) = site.graph.persons(person) else { return Err(usage("nobody can be named")) };
    let names: Vec<&str> = node.key.iter().map(|column| column.name.as_str()).collect();
    let text = given.expose();
    if !text.contains('=') {
        if names.len() == 1 && !text.trim().is_empty() {
            return Ok(vec![Sealed::new(text.clone())]);
        }
        return Err(usage(format!("the key of a {} is {}=…", person.name, names.join("=…,"))));
    }
    // As many parts as the key has columns, so that a comma within the last value is part of it.
    let parts: Vec<(&str, &str)> =
        text.splitn(names.len(), ',').filter_map(|part| part.split_once('=')).map(|(n, v)| (n.trim(), v)).collect();
    let by_column: Option<Vec<Sealed>> = names
        .iter()
        .map(|name| parts.iter().find(|(given, _)| given == name).map(|(_, value)| Sealed::new((*value).to_owned())))
        .collect();
    if let (Some(key), true) = (by_column, parts.len() == names.len()) {
        return Ok(key);
    }
    let known = || {
        let all = names.iter().copied().chain(person.identifiers.keys().map(String::as_str));
        all.map(|name| format!("{name}=…")).collect::<Vec<_>>().join(", ")
    };
    let by_identifier = pair(given)
        .and_then(|(kind, value)| Some((kind, value, person.identifiers.get(kind)?, *person.compare.get(kind)?)));
    let Some((kind, value, identifier, compare)) = by_identifier else {
        return Err(usage(format!("a {} is named by a key, or by {}", person.name, known())));
    };
    let address = Address::new(kind, compare, value).map_err(usage)?;
    let hits = find::persons(&site.graph, &site.stores, identifier, &address, MOST_HITS)?;
    match hits.len() {
        0 => Err(refused(format!("no {} is known by this {kind}", person.name))),
        1 => Ok(hits.into_iter().next().unwrap_or_default()),
        _ if matches!(said, Hits::Counted) => {
            Err(refused(format!("several of the kind {} are known by this {kind}; name one by key", person.name)))
        }
        _ => {
            let keys: Vec<String> = hits.iter().map(|key| show_key(&names, key)).collect();
            let message = format!("several are known by this {kind}; name one by key:\n  {}", keys.join("\n  "));
            Err(refused(message))
        }
    }
}

fn show_key(names: &[&str], key: &[Sealed]) -> String {
    let parts: Vec<String> = names.iter().zip(key).map(|(name, value)| format!("{name}={}", value.expose())).collect();
    parts.join(",")
}

/// The kind of a mark that stands for a person's key.
pub const KEY: &str = "key";

/// A keyed hash of one identifier.
pub fn digest(key: &HashKey, person: &PersonName, kind: &str, value: &str) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.secret.expose().as_bytes()) else { return String::new() };
    for part in ["retentiond person 1", person.as_str(), kind, value] {
        mac.update(part.as_bytes());
        mac.update(&[0]);
    }
    mac.finalize().into_bytes().iter().take(20).map(|byte| format!("{byte:02x}")).collect()
}

/// A key of several columns as one text.
pub fn joined_key(key: &[Sealed]) -> String {
    key.iter().map(|value| value.expose().as_str()).collect::<Vec<_>>().join("\u{1f}")
}

/// What stands for a person in state and receipts.
pub fn marks(key: &HashKey, subject: &Subject) -> Vec<Mark> {
    let own = subject.key.iter().map(|own| (KEY.to_owned(), digest(key, &subject.kind, KEY, &joined_key(own))));
    let addresses = subject
        .addresses
        .iter()
        .map(|address| (address.kind.clone(), digest(key, &subject.kind, &address.kind, address.value.expose())));
    let mut marks: Vec<Mark> = own.chain(addresses).collect();
    marks.sort();
    marks.dedup();
    marks
}

/// Narrows a person's rows to a time: from this day or instant on, and before that one.
///
/// # Errors
/// When one of them is none, or they are in the wrong order.
pub fn narrow(site: &Site, mut subject: Subject, from: Option<&str>, to: Option<&str>) -> Result<Subject, Failure> {
    let zone = site.loaded.document.timezone;
    subject.from = from.map(|text| instant(text, zone)).transpose()?;
    subject.to = to.map(|text| instant(text, zone)).transpose()?;
    if let (Some(from), Some(to)) = (subject.from, subject.to)
        && from >= to
    {
        return Err(usage("--from is not before --to"));
    }
    Ok(subject)
}

/// A day begins in the file's zone.
fn instant(text: &str, zone: chrono_tz::Tz) -> Result<DateTime<Utc>, Failure> {
    if let Ok(at) = text.parse::<DateTime<Utc>>() {
        return Ok(at);
    }
    let day: NaiveDate = text
        .parse()
        .map_err(|_| usage(format!("`{text}` is no day; write it as in 2025-12-31, or an RFC 3339 instant")))?;
    let midnight = zone.from_local_datetime(&day.and_time(NaiveTime::MIN)).earliest();
    midnight.map(|at| at.to_utc()).ok_or_else(|| usage(format!("{text} does not begin at midnight in {zone}")))
}
