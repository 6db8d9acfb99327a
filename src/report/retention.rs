//! How long the records of an entry are kept: by its own rules, and by those of the rows that it belongs to.
//!
//! The earliest decides, as when a purge runs. A record that is anonymised goes too, unless what names the person is not
//! among the columns that are overwritten: such a record stays.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use super::model::Retention;
use super::times::Times;
use crate::config::document::Document;
use crate::config::period::Keep;
use crate::graph::condition::{along, joined};
use crate::graph::due::{lacks_requirement, unfinished};
use crate::graph::{Age, Edge, Fate, Graph, Node, Resolved, Subject};
use crate::names::DataName;
use crate::store::Tail;
use crate::store::catalog::Column;
use crate::store::target::statements::{Lookup, MOST_WAYS};
use crate::store::target::{Expr, Operand, Scope};

/// What one job says about how long rows of one entry are kept.
#[derive(Clone, Debug)]
pub struct Keeping {
    /// The entry.
    pub data: DataName,
    /// Only rows that satisfy this.
    pub only: Resolved,
    /// Other times for some rows: the first that matches wins. With each, how it reads.
    pub overrides: Vec<(Resolved, String, Keep)>,
    /// `only`, as it reads; empty when it says nothing.
    pub only_text: String,
    /// How long the rest is kept.
    pub keep: Keep,
}

/// The alias of a row above in what is looked up; the walk's own conditions are not among that.
const ALIAS: u8 = 8;

/// One rule that may let a record go: of the entry itself, or of a row above it.
struct Rule<'a> {
    /// The links up to the row whose rule it is.
    via: Vec<Edge>,
    /// What ages that row: the links from there, and the column.
    age: (Vec<Edge>, Age),
    keeping: &'a Keeping,
}

/// All that decides how long the records of one entry are kept.
pub(super) struct Retentions<'a> {
    rules: Vec<Rule<'a>>,
    /// The entries, the own one or those above, whose rows may lack what they require.
    required: Vec<Vec<Edge>>,
    /// Purged records stay all the same, and the person with them.
    stays: bool,
    /// Purged records stay, and are as they are to be then.
    anonymised: bool,
    zone: Tz,
}

impl<'a> Retentions<'a> {
    pub(super) fn of(graph: &Graph, node: &Node, subject: &Subject, keepings: &'a [Keeping], zone: Tz) -> Self {
        let mut retentions = Self {
            rules: Vec::new(),
            required: Vec::new(),
            stays: stays(node, subject),
            anonymised: node.fate == Fate::Anonymise,
            zone,
        };
        let mut seen = BTreeSet::new();
        retentions.add(graph, node, Vec::new(), keepings, &mut seen);
        retentions
    }

    fn add(
        &mut self,
        graph: &Graph,
        node: &Node,
        via: Vec<Edge>,
        keepings: &'a [Keeping],
        seen: &mut BTreeSet<DataName>,
    ) {
        if !seen.insert(node.name.clone()) {
            return;
        }
        if let Some(age) = age(graph, node) {
            let rules = keepings.iter().filter(|keeping| keeping.data == node.name);
            self.rules.extend(rules.map(|keeping| Rule { via: via.clone(), age: age.clone(), keeping }));
        }
        if node.requires.is_some() {
            self.required.push(via.clone());
        }
        for edge in node.belongs_to.iter().filter(|edge| !edge.is_self()) {
            if let Some(parent) = graph.node(&edge.to) {
                let longer = via.iter().chain([edge]).cloned().collect();
                self.add(graph, parent, longer, keepings, seen);
            }
        }
    }

    /// What is looked up with each record: of each rule the time and the number of the override, then whether there is
    /// something left to anonymise, then of each requirement whether it fails.
    pub(super) fn lookups(&self, graph: &Graph, node: &Node) -> Vec<Lookup> {
        let mut lookups = Vec::new();
        if self.stays {
            return lookups;
        }
        for rule in &self.rules {
            let all: Vec<Edge> = rule.via.iter().chain(&rule.age.0).cloned().collect();
            lookups.push(column(graph, node, &all, &rule.age.1));
            lookups.push(which(graph, node, &rule.via, &|scope, alias| rule.ways(graph, scope, alias)));
        }
        if self.anonymised {
            lookups.push(Lookup::Which(vec![unfinished(node, &node.own())]));
        }
        for via in &self.required {
            lookups.push(which(graph, node, via, &|scope, alias| {
                let required = via.last().and_then(|edge| graph.node(&edge.to)).unwrap_or(node);
                vec![lacks_requirement(graph, required, scope, alias)]
            }));
        }
        lookups
    }

    /// When a record goes, from what was looked up; `now` for one that goes at once.
    pub(super) fn goes(&self, found: Tail<'_>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if self.stays {
            return None;
        }
        let unfinished = self.rules.len() * 2;
        // A record that is anonymised already has nothing left to go.
        if self.anonymised && !found.is_set(unfinished) {
            return None;
        }
        let required = unfinished + usize::from(self.anonymised);
        if (required..required + self.required.len()).any(|place| found.is_set(place)) {
            return Some(now);
        }
        let dates = self.rules.iter().enumerate().filter_map(|(place, rule)| {
            let (at, which) = (found.get(place * 2)?, found.get(place * 2 + 1)?);
            let Keep::For(period) = rule.keep(which.expose().parse().ok()?)? else { return None };
            period.after(Times::age(&rule.age.1, at.expose())?, self.zone)
        });
        dates.min()
    }

    /// What the report says of it.
    pub(super) fn about(&self, document: &Document) -> Vec<Retention> {
        if self.stays {
            return Vec::new();
        }
        let mut all = Vec::new();
        for rule in &self.rules {
            let from = match rule.via.last() {
                None => document_title(document, &rule.keeping.data, Some(&rule.age.1)),
                Some(_) => document_title(document, &rule.keeping.data, None),
            };
            let own = (!rule.keeping.only_text.is_empty()).then(|| rule.keeping.only_text.clone());
            let mut add = |keep: &Keep, more: Option<&String>| {
                let only = own.iter().chain(more).cloned().collect();
                let retention = Retention { keep: keep.to_string(), from: from.clone(), only };
                if !all.contains(&retention) {
                    all.push(retention);
                }
            };
            for (_, text, keep) in &rule.keeping.overrides {
                add(keep, Some(text));
            }
            add(&rule.keeping.keep, None);
        }
        all
    }
}

impl Rule<'_> {
    /// The overrides, and the rest; a row that the job does not concern satisfies none.
    fn ways(&self, graph: &Graph, scope: &Scope, alias: u8) -> Vec<Expr> {
        let only = Expr::IsTrue(Box::new(self.keeping.only.expr(graph, scope, alias)));
        let overrides = self.keeping.overrides.iter().take(MOST_WAYS - 1);
        let mut ways: Vec<Expr> =
            overrides.map(|(matching, ..)| only.clone().and(matching.expr(graph, scope, alias))).collect();
        ways.push(only);
        ways
    }

    fn keep(&self, which: usize) -> Option<&Keep> {
        let overrides = self.keeping.overrides.len().min(MOST_WAYS - 1);
        if which == overrides {
            Some(&self.keeping.keep)
        } else {
            self.keeping.overrides.get(which).map(|(.., keep)| keep)
        }
    }
}

fn document_title(document: &Document, data: &DataName, age: Option<&Age>) -> String {
    let written = document.data.get(data.as_str());
    match age {
        Some(age) => {
            let name = age.column.name.as_str();
            let title = written.and_then(|written| written.titles.as_ref()?.get(name).cloned());
            title.unwrap_or_else(|| super::columns::title(name))
        }
        None => {
            written.and_then(|written| written.title.clone()).unwrap_or_else(|| super::columns::title(data.as_str()))
        }
    }
}

/// Whether a purged record would still name the person: by key, or a customer by any address.
fn stays(node: &Node, subject: &Subject) -> bool {
    if node.fate != Fate::Anonymise {
        return false;
    }
    let overwritten = |column: &Column| node.overwrites.iter().any(|overwrite| overwrite.column.name == column.name);
    let by_key = subject.key.is_some()
        && node.persons.iter().any(|link| link.kind == subject.kind && !link.columns.iter().any(overwritten));
    by_key || (subject.owns_addresses() && node.addresses.iter().any(|link| !overwritten(&link.column)))
}

/// The links up to the row by which rows of an entry age, and its column.
fn age(graph: &Graph, node: &Node) -> Option<(Vec<Edge>, Age)> {
    let (mut at, mut via) = (node, Vec::new());
    loop {
        if let Some(age) = &at.age {
            return Some((via, age.clone()));
        }
        let edge = at.ages_with.as_ref()?;
        via.push(edge.clone());
        at = graph.node(&edge.to).filter(|_| via.len() < 8)?;
    }
}

/// The row at the end of some links.
fn above<'g>(graph: &'g Graph, node: &Node, via: &[Edge]) -> Option<(&'g Node, Expr)> {
    let (last, before) = via.split_last()?;
    let target = Scope::Alias(ALIAS);
    let condition =
        along(graph, before, &node.own(), 0, &|scope, next| Expr::All(joined(graph, last, scope, &target, next)));
    Some((graph.node(&last.to)?, condition))
}

fn column(graph: &Graph, node: &Node, via: &[Edge], age: &Age) -> Lookup {
    match above(graph, node, via) {
        None => Lookup::Own(age.operand(&node.own())),
        Some((parent, condition)) => Lookup::Parent {
            table: parent.at.clone(),
            alias: ALIAS,
            operand: Operand { scope: Scope::Alias(ALIAS), column: age.column.clone() },
            condition: Box::new(condition),
        },
    }
}

fn which(graph: &Graph, node: &Node, via: &[Edge], ways: &dyn Fn(&Scope, u8) -> Vec<Expr>) -> Lookup {
    match above(graph, node, via) {
        None => Lookup::Which(ways(&node.own(), 0)),
        Some((parent, condition)) => Lookup::ParentsWhich {
            table: parent.at.clone(),
            alias: ALIAS,
            ways: ways(&Scope::Alias(ALIAS), ALIAS + 1),
            condition: Box::new(condition),
        },
    }
}
