//! How the columns of an entry are shown: their titles, what their values are, and which values are somebody else's.
//!
//! **Invariant.** What is masked is decided when a value is read, before anything is written anywhere. A value is shown
//! only if it is not one that names somebody else: an address that is not the person's, a key that is not the person's, and,
//! in a row that is somebody else's as well, the columns that anonymising overwrites. In doubt it is masked. `show_others`
//! in the map takes a column out of this. Test: `tests/reports.rs`.

use crate::config::document::Entry as Written;
use crate::graph::{Address, Compare, Graph, KeyLink, Node, Subject, Walk};
use crate::redact::Sealed;
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
enum Mask {
    /// Never.
    Never,
    /// Unless it is one of these addresses.
    UnlessOneOf(Compare, Vec<Sealed>),
    /// In rows where this link names somebody else.
    WhereOther(Vec<usize>),
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
    pub(super) times: Times,
}

impl Columns {
    pub(super) fn of(graph: &Graph, node: &Node, written: &Written, subject: &Subject, zone: chrono_tz::Tz) -> Self {
        let mut columns = Self { shown: Vec::new(), others: node.persons.clone(), times: Times::of(graph, node, zone) };
        let person = graph.person(subject.kind.as_str()).and_then(|kind| kind.data.as_ref());
        let open = written.show_others.as_ref();
        for column in &node.table.columns {
            let name = column.name.as_str();
            let shown_in_any_case = open.is_some_and(|open| open.0.iter().any(|open| open == name));
            let title =
                written.titles.as_ref().and_then(|titles| titles.get(name).cloned()).unwrap_or_else(|| title(name));
            let of_key = node.key.iter().any(|key| key.name == column.name);
            columns.shown.push(Shown {
                about: model::Column { name: name.to_owned(), title, kind: columns.times.kind(column) },
                mask: if shown_in_any_case || person == Some(&node.name) {
                    Mask::Never
                } else {
                    mask(node, column, subject)
                },
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

    /// What has to be looked up with each row: of each link whether it names somebody else, and whether the row is
    /// somebody else's as well.
    pub(super) fn lookups(&self, graph: &Graph, node: &Node, walk: &Walk<'_>, subject: &Subject) -> Vec<Lookup> {
        let scope = node.own();
        let names_another = |link: &KeyLink| match &subject.key {
            Some(key) if link.kind == subject.kind => link.names_another(graph, key, &scope, 0),
            _ => Expr::IsTrue(Box::new(link.is_set(graph, &scope, 0))),
        };
        let mut lookups: Vec<Lookup> =
            self.others.iter().map(|link| Lookup::Which(vec![names_another(link)])).collect();
        let both = if self.shown.iter().any(|shown| shown.content) {
            vec![walk.is_anothers(node, &scope, 0)]
        } else {
            Vec::new()
        };
        lookups.push(Lookup::Which(both));
        lookups
    }

    /// How many values [`Columns::lookups`] gives.
    pub(super) fn looked_up(&self) -> usize {
        self.others.len() + 1
    }

    /// Whether a value of a row is shown; `found` is what was looked up.
    pub(super) fn is_shown(&self, place: usize, value: &Sealed, found: &[Option<Sealed>], row: RowOf) -> bool {
        let Some(shown) = self.shown.get(place) else { return false };
        let set = |place: &usize| found.get(*place).is_some_and(Option::is_some);
        let own = match &shown.mask {
            Mask::Never => true,
            Mask::UnlessOneOf(compare, mine) => {
                value.expose().is_empty()
                    || Address::normal(*compare, value.expose())
                        .is_some_and(|normal| mine.iter().any(|mine| *mine.expose() == normal))
            }
            Mask::WhereOther(links) => !links.iter().any(set),
        };
        match row {
            RowOf::Person => own,
            // A column with an address of the person says nothing of the other one.
            RowOf::Both => own && (!shown.content || matches!(shown.mask, Mask::UnlessOneOf(..))),
            RowOf::Others => shown.frame || (shown.mention && own),
        }
    }

    /// What the row is to the person, of those that are not only mentions.
    pub(super) fn row_of(&self, found: &[Option<Sealed>]) -> RowOf {
        if found.get(self.others.len()).is_some_and(Option::is_some) { RowOf::Both } else { RowOf::Person }
    }
}

fn mask(node: &Node, column: &Column, subject: &Subject) -> Mask {
    let mine = |kind: &str| -> Vec<Sealed> {
        let of_kind = subject.addresses.iter().filter(|address| address.kind == kind);
        of_kind.map(|address| address.value.clone()).collect()
    };
    if let Some(link) = node.mentions.iter().find(|link| link.column.name == column.name) {
        return Mask::UnlessOneOf(link.compare, mine(&link.kind));
    }
    if let Some(link) = node.addresses.iter().find(|link| link.column.name == column.name) {
        let mine = mine(&link.kind);
        // What a customer is not known by is the customer's own in the customer's own rows.
        return if subject.key.is_none() && mine.is_empty() {
            Mask::Never
        } else {
            Mask::UnlessOneOf(link.compare, mine)
        };
    }
    let names = |link: &KeyLink| {
        // Of a key of several columns the last one tells persons apart; those before it are shared.
        link.columns.last().is_some_and(|last| last.name == column.name)
    };
    let links: Vec<usize> =
        node.persons.iter().enumerate().filter(|(_, link)| names(link)).map(|(place, _)| place).collect();
    if links.is_empty() { Mask::Never } else { Mask::WhereOther(links) }
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
