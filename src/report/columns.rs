//! How the columns of an entry are shown: their titles, what their values are, and which values are somebody else's.
//!
//! **Invariant.** What is masked is decided when a value is read, before anything is written anywhere. A value is shown
//! only if it is not one that names somebody else: an address that is not the person's, a key that is not the person's, and,
//! in a row that is somebody else's as well, the columns that anonymising overwrites, or, where the row *is* another
//! person, all that does not name this one. A column that names people in several ways is the person's where one of them
//! says so. In doubt it is masked. `show_others` in the map takes a column out of this, `hides` in a link adds to it. Test:
//! `tests/reports.rs`.

use crate::config::document::Entry as Written;
use crate::graph::{Address, AddressLink, Compare, Graph, KeyLink, Node, Subject, Walk};
use crate::names::PersonName;
use crate::redact::Sealed;
use crate::store::Tail;
use crate::store::catalog::Column;
use crate::store::target::Expr;
use crate::store::target::statements::Lookup;

use super::model;
use super::times::Times;

/// What a row is to the person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowOf {
    /// The person's alone.
    Person,
    /// Somebody else's as well.
    Both,
    /// Somebody else's; it only mentions the person.
    Others,
}

/// When the value of a column is somebody else's.
#[derive(Default)]
struct Mask {
    /// The person's addresses, of every kind that the column may hold; `None`: it holds no addresses, or nothing is known
    /// of the person to compare with.
    addresses: Option<Vec<(Compare, Sealed)>>,
    /// The links by which it holds keys: in rows where one of them names somebody else, the value is theirs.
    links: Vec<usize>,
    /// Hidden from those whom the row names by nothing but links that say so: where that is looked up.
    hidden: Option<usize>,
}

/// One column.
pub(super) struct Shown {
    pub(super) about: model::Column,
    mask: Mask,
    /// Anonymising overwrites it, so it says something of the person whom the row is about.
    content: bool,
    /// It tells rows apart, or ages them: this much is shown of any row.
    frame: bool,
    /// It mentions somebody.
    mention: bool,
}

/// The columns of an entry, for one person.
pub(super) struct Columns {
    pub(super) shown: Vec<Shown>,
    /// Links to persons whose conditions the database has to look at: is somebody else named by it?
    others: Vec<KeyLink>,
    /// Columns that are hidden from some of those whom a row names.
    hidden: Vec<Column>,
    /// Each row of the entry is a person.
    persons: bool,
    /// One of them is the person: that row is theirs whatever its columns hold.
    own: bool,
    kind: PersonName,
    key: Option<Vec<Sealed>>,
    pub(super) times: Times,
}

impl Columns {
    pub(super) fn of(graph: &Graph, node: &Node, written: &Written, subject: &Subject, zone: chrono_tz::Tz) -> Self {
        let mut columns = Self {
            shown: Vec::new(),
            others: node.persons.clone(),
            hidden: Vec::new(),
            persons: graph.people().values().any(|kind| kind.data.as_ref() == Some(&node.name)),
            own: graph.person(subject.kind.as_str()).is_some_and(|kind| kind.data.as_ref() == Some(&node.name)),
            kind: subject.kind.clone(),
            key: subject.key.clone(),
            times: Times::of(graph, node, zone),
        };
        let open = written.show_others.as_ref();
        for column in &node.table.columns {
            let name = column.name.as_str();
            let shown_in_any_case = open.is_some_and(|open| open.0.iter().any(|open| open == name));
            let title =
                written.titles.as_ref().and_then(|titles| titles.get(name).cloned()).unwrap_or_else(|| title(name));
            // The key of a person is theirs.
            let of_key = !columns.persons && node.key.iter().any(|key| key.name == column.name);
            let mask = if shown_in_any_case {
                Mask::default()
            } else {
                Mask { hidden: columns.hidden(column), ..mask(node, column, subject) }
            };
            columns.shown.push(Shown {
                about: model::Column { name: name.to_owned(), title, kind: columns.times.kind(column) },
                mask,
                content: !shown_in_any_case
                    && node.overwrites.iter().any(|overwrite| overwrite.column.name == column.name),
                frame: shown_in_any_case
                    || of_key
                    || node.age.as_ref().is_some_and(|age| age.column.name == column.name),
                mention: node.mentions.iter().any(|link| link.column.name == column.name),
            });
        }
        columns
    }

    /// The place of a column among those that are hidden from some.
    fn hidden(&mut self, column: &Column) -> Option<usize> {
        let hides = |link: &KeyLink| link.kind == self.kind && link.hides(column);
        if self.key.is_none() || !self.others.iter().any(hides) {
            return None;
        }
        self.hidden.push(column.clone());
        Some(self.hidden.len() - 1)
    }

    /// What has to be looked up with each row: of each link whether it names somebody else, whether the row is somebody
    /// else's as well, and of each column that is hidden from some whether it is hidden from this person.
    pub(super) fn lookups(&self, graph: &Graph, node: &Node, walk: &Walk<'_>) -> Vec<Lookup> {
        let scope = node.own();
        let names_another = |link: &KeyLink| match &self.key {
            Some(key) if link.kind == self.kind => link.names_another(graph, key, &scope, 0),
            _ => Expr::IsTrue(Box::new(link.is_set(graph, &scope, 0))),
        };
        let mut lookups: Vec<Lookup> =
            self.others.iter().map(|link| Lookup::Which(vec![names_another(link)])).collect();
        let both = if self.persons || self.shown.iter().any(|shown| shown.content) {
            vec![walk.is_anothers(node, &scope, 0)]
        } else {
            Vec::new()
        };
        lookups.push(Lookup::Which(both));
        let key = self.key.as_deref().unwrap_or_default();
        for column in &self.hidden {
            let (hiding, showing): (Vec<&KeyLink>, Vec<&KeyLink>) =
                self.others.iter().filter(|link| link.kind == self.kind).partition(|link| link.hides(column));
            let by = |links: Vec<&KeyLink>| {
                Expr::Any(links.iter().map(|link| link.matches(graph, key, &scope, 0)).collect())
            };
            lookups.push(Lookup::Which(vec![by(hiding).and(by(showing).negated())]));
        }
        lookups
    }

    /// How many values [`Columns::lookups`] gives.
    pub(super) fn looked_up(&self) -> usize {
        self.others.len() + 1 + self.hidden.len()
    }

    /// Whether a value of a row is shown; `found` is what was looked up.
    pub(super) fn is_shown(&self, place: usize, value: &Sealed<&str>, found: Tail<'_>, row: RowOf) -> bool {
        let Some(shown) = self.shown.get(place) else { return false };
        if self.own && row == RowOf::Person {
            return true;
        }
        let mask = &shown.mask;
        if mask.hidden.is_some_and(|hidden| found.is_set(self.others.len() + 1 + hidden)) {
            return false;
        }
        let own = match &mask.addresses {
            None => !mask.links.iter().any(|link| found.is_set(*link)),
            Some(mine) => {
                let is = |(compare, mine): &(Compare, Sealed)| {
                    Address::normal(*compare, value.expose()).is_some_and(|normal| *mine.expose() == normal)
                };
                value.expose().is_empty()
                    || mine.iter().any(is)
                    || mask.links.iter().any(|link| self.reads(*link, value))
            }
        };
        let names = mask.addresses.is_some() || !mask.links.is_empty();
        own && match row {
            RowOf::Person => true,
            RowOf::Both if self.persons => shown.frame || names,
            // A column with an address of the person says nothing of the other one.
            RowOf::Both => !shown.content || mask.addresses.is_some(),
            RowOf::Others => shown.frame || shown.mention,
        }
    }

    /// Whether a link reads the person's key from a value.
    fn reads(&self, link: usize, value: &Sealed<&str>) -> bool {
        let of_kind = self.others.get(link).filter(|link| link.kind == self.kind);
        let read = of_kind.and_then(|link| link.read(&[Some(Sealed::new((*value.expose()).to_owned()))]));
        let (Some(read), Some(key)) = (read, &self.key) else { return false };
        read.iter().map(|part| part.expose()).eq(key.iter().map(|part| part.expose()))
    }

    /// What the row is to the person, of those that are not only mentions.
    pub(super) fn row_of(&self, found: Tail<'_>) -> RowOf {
        if found.is_set(self.others.len()) { RowOf::Both } else { RowOf::Person }
    }
}

fn mask(node: &Node, column: &Column, subject: &Subject) -> Mask {
    let of = |links: &[AddressLink]| -> Vec<AddressLink> {
        links.iter().filter(|link| link.column.name == column.name).cloned().collect()
    };
    let (own, mentions) = (of(&node.addresses), of(&node.mentions));
    let mine: Vec<(Compare, Sealed)> = own
        .iter()
        .chain(&mentions)
        .flat_map(|link| {
            let of_kind = subject.addresses.iter().filter(|address| address.kind == link.kind);
            of_kind.map(|address| (link.compare, address.value.clone()))
        })
        .collect();
    let holds = !own.is_empty() || !mentions.is_empty();
    // What a customer is not known by is the customer's own in the customer's own rows.
    let open = mentions.is_empty() && subject.key.is_none() && mine.is_empty();
    let names = |link: &KeyLink| {
        // Of a key of several columns the last one tells persons apart; those before it are shared.
        link.columns.last().is_some_and(|last| last.name == column.name)
    };
    Mask {
        addresses: (holds && !open).then_some(mine),
        links: node.persons.iter().enumerate().filter(|(_, link)| names(link)).map(|(place, _)| place).collect(),
        hidden: None,
    }
}

/// `caller_number` → `Caller number`.
pub(super) fn title(name: &str) -> String {
    let mut words = String::with_capacity(name.len());
    for (place, c) in name.chars().enumerate() {
        match c {
            '_' | '-' => words.push(' '),
            _ if place == 0 => words.extend(c.to_uppercase()),
            _ => words.push(c),
        }
    }
    words
}
