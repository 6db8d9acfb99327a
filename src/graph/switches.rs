//! What decides about a person's data besides age: that the person is gone, a switch on the person's row, a category that
//! is not collected.

use std::collections::{BTreeMap, BTreeSet};

use super::columns::Reporter;
use super::condition::along;
use super::{Edge, Graph, KeyForm, KeyLink, Node, Resolved, entries};
use crate::config::diagnostic::{Diagnostics, did_you_mean};
use crate::config::document::Document;
use crate::names::{CategoryName, DataName, PersonName};
use crate::redact::Sealed;
use crate::store::catalog::{Column, TypeClass};
use crate::store::target::{Expr, Op, Operand, Scalar, Scope};

/// The one category that cannot be switched off unless the file says otherwise.
const MANDATORY: &str = "user_master_data";

/// The switches of a map.
#[derive(Clone, Debug, Default)]
pub struct Switches {
    /// `allowed_by`: the switch of an entry.
    pub allowed_by: BTreeMap<DataName, Switch>,
    /// The entry that keeps the name of a person of this kind.
    pub stubs: BTreeMap<PersonName, DataName>,
    /// Persons whose row says that they are gone.
    pub gone: BTreeMap<PersonName, Resolved>,
    /// Categories that are not collected.
    pub off: BTreeSet<CategoryName>,
}

/// A switch on the persons' own rows that decides about the rows of an entry.
#[derive(Clone, Debug)]
pub struct Switch {
    /// The kind of person.
    pub kind: PersonName,
    /// The column of the persons' table.
    pub column: Column,
    /// The links to the row that names the person; none when the entry's own rows do.
    pub via: Vec<Edge>,
    /// How that row names the person.
    pub links: Vec<KeyLink>,
}

pub(super) fn resolve(graph: &mut Graph, document: &Document, diagnostics: &mut Diagnostics) {
    let mut switches = Switches::default();
    for (name, category) in document.categories.iter().filter(|(_, category)| category.collect == Some(false)) {
        if category.mandatory.unwrap_or(name.as_str() == MANDATORY) {
            let path = ["categories", name.as_str(), "collect"].map(str::to_owned).to_vec();
            let message = format!("`{name}` is mandatory: it cannot be switched off");
            diagnostics.error(path, message).with_help(None);
        }
        switches.off.insert(name.clone());
    }
    for (name, entry) in &document.data {
        let Some(node) = graph.node(name) else { continue };
        let mut reporter = Reporter::entry(diagnostics, name);
        if let Some(written) = &entry.allowed_by
            && let Some(switch) = switch(graph, node, written, &mut reporter)
        {
            switches.allowed_by.insert(name.clone(), switch);
        }
        if let Some(stub) = &entry.stub {
            let kind = graph.people().values().find(|kind| kind.data.as_ref() == Some(name));
            let Some(kind) = kind else {
                let help = format!("name the persons' entry: [people.user] data = \"{name}\"");
                reporter.error(&["stub"], format!("`{name}` is no entry of persons, so no name is kept for it"), help);
                continue;
            };
            let names = |node: &Node| node.persons.iter().any(|link| link.kind == kind.name);
            match graph.node(stub) {
                Some(node) if names(node) => {
                    switches.stubs.insert(kind.name.clone(), stub.clone());
                }
                Some(_) => {
                    let help = format!("say {} = \"COLUMN\" in [data.{stub}]", kind.name);
                    reporter.error(&["stub"], format!("`{stub}` does not say whose name it keeps"), help);
                }
                // A name that is no entry was reported already.
                None => {}
            }
        }
    }
    for (name, written) in &document.people {
        let (Some(kind), Some(condition)) = (graph.person(name.as_str()), &written.gone) else { continue };
        let path = ["people", name.as_str(), "gone"].map(str::to_owned).to_vec();
        let Some(persons) = graph.persons(kind) else {
            let message = format!("a {name} has no row of their own that could say so");
            diagnostics.error(path, message).with_help(Some("say data = \"…\"".to_owned()));
            continue;
        };
        let gone = entries::condition(graph, persons, condition, |message, help| {
            diagnostics.error(path.clone(), message).with_help(help);
        });
        switches.gone.insert(name.clone(), gone);
    }
    graph.switches = switches;
}

fn switch(graph: &Graph, node: &Node, written: &str, reporter: &mut Reporter<'_>) -> Option<Switch> {
    let wrong = |reporter: &mut Reporter<'_>, message: String, help: Option<String>| {
        reporter.error(&["allowed_by"], message, help);
        None
    };
    let Some((entry, column)) = written.split_once('.') else {
        return wrong(reporter, "write the switch as `entry.column`".to_owned(), None);
    };
    let kind = graph.people().values().find(|kind| kind.data.as_ref().is_some_and(|data| data.as_str() == entry));
    let Some(kind) = kind else {
        let known = graph.people().values().filter_map(|kind| kind.data.as_ref()).map(DataName::as_str);
        let help = did_you_mean(entry, known).map(|near| format!("did you mean `{near}`?"));
        return wrong(reporter, format!("`{entry}` is no entry of persons"), help);
    };
    let Some((via, links)) = whose(graph, node, &kind.name) else {
        let help = format!("say {0} = \"COLUMN\" here or in an entry that it belongs to", kind.name);
        return wrong(reporter, format!("`{}` does not say which {} it is about", node.name, kind.name), Some(help));
    };
    let persons = graph.persons(kind)?;
    let column = reporter.column(&persons.table, column, &["allowed_by"])?;
    if !matches!(column.class, TypeClass::Boolean | TypeClass::Integer { .. }) {
        let message = format!("a switch is true or false; `{written}` is of type {}", column.declared);
        return wrong(reporter, message, None);
    }
    Some(Switch { kind: kind.name.clone(), column, via, links })
}

/// Where it stands which person of a kind the rows of an entry are about: on the row itself, or on the nearest row that
/// it belongs to.
fn whose(graph: &Graph, node: &Node, kind: &PersonName) -> Option<(Vec<Edge>, Vec<KeyLink>)> {
    let mut seen = BTreeSet::from([&node.name]);
    let mut level = vec![(node, Vec::new())];
    while !level.is_empty() {
        for (at, via) in &level {
            let whole = |link: &&KeyLink| link.kind == *kind && link.form == KeyForm::Whole;
            let links: Vec<KeyLink> = at.persons.iter().filter(whole).cloned().collect();
            if !links.is_empty() {
                return Some((via.clone(), links));
            }
        }
        let parents = level.iter().flat_map(|(at, via)| at.belongs_to.iter().map(move |edge| (via, edge)));
        let next: Vec<_> = parents
            .filter_map(|(via, edge)| {
                Some((graph.node(&edge.to)?, [via.as_slice(), std::slice::from_ref(edge)].concat()))
            })
            .filter(|(parent, _)| seen.insert(&parent.name))
            .collect();
        level = next;
    }
    None
}

/// Persons of a kind by key, for rows that are about one of them.
#[derive(Clone)]
pub struct Named {
    /// The links to the row that names one; none when a row does itself.
    pub via: Vec<Edge>,
    /// The links by which that row names one.
    pub links: Vec<KeyLink>,
    /// The keys.
    pub keys: Vec<Vec<Sealed>>,
    /// Only persons who are gone at the moment of the statement, where their rows are in the same database.
    pub unless_there: Option<PersonName>,
}

impl std::fmt::Debug for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} persons", self.keys.len())
    }
}

impl Named {
    /// The rows that name one of them.
    pub fn expr(&self, graph: &Graph, scope: &Scope, alias: u8) -> Expr {
        along(graph, &self.via, scope, alias, &|scope, alias| self.named(graph, scope, alias))
    }

    fn named(&self, graph: &Graph, scope: &Scope, alias: u8) -> Expr {
        let ways = self.links.iter().map(|link| {
            let there = self
                .unless_there
                .as_ref()
                .map_or_else(|| Expr::Any(Vec::new()), |kind| graph.is_there(kind, link, scope, alias));
            self.by_link(graph, link, scope, alias).and(Expr::Not(Box::new(there)))
        });
        Expr::Any(ways.collect())
    }

    fn by_link(&self, graph: &Graph, link: &KeyLink, scope: &Scope, alias: u8) -> Expr {
        let numbers = link.columns.iter().all(|column| matches!(column.class, TypeClass::Integer { .. }));
        if link.form != KeyForm::Whole || !numbers {
            return Expr::Any(self.keys.iter().map(|key| link.matches(graph, key, scope, alias)).collect());
        }
        let columns = link.columns.iter().map(|column| Operand { scope: scope.clone(), column: column.clone() });
        let fits = |key: &&Vec<Sealed>| key.iter().all(|part| part.expose().parse::<i64>().is_ok());
        let keys: Vec<_> = self.keys.iter().filter(fits).cloned().collect();
        Expr::KeyIn(columns.collect(), keys.into()).and(link.condition.expr(graph, scope, alias))
    }
}

impl Graph {
    /// The switches.
    pub fn switches(&self) -> &Switches {
        &self.switches
    }

    /// The persons' rows of a kind that do not say that the person is gone.
    pub fn alive(&self, kind: &PersonName, scope: &Scope, alias: u8) -> Expr {
        match self.switches.gone.get(kind) {
            None => Expr::always(),
            Some(gone) => Expr::IsNotTrue(Box::new(gone.expr(self, scope, alias))),
        }
    }

    /// The persons' rows whose switch is off.
    pub fn switched_off(column: &Column, scope: &Scope) -> Expr {
        let operand = Operand { scope: scope.clone(), column: column.clone() };
        let off = if column.sql_type.as_str() == "boolean" { "false" } else { "0" };
        Expr::Compare(operand, Op::Equal, Scalar::Policy(off.to_owned()))
    }

    /// The person whom a row names by a link is there, as far as this row's own database can tell.
    fn is_there(&self, kind: &PersonName, link: &KeyLink, scope: &Scope, alias: u8) -> Expr {
        let persons = self.person(kind.as_str()).and_then(|kind| self.persons(kind));
        let Some(persons) = persons.filter(|_| link.form == KeyForm::Whole) else { return Expr::Any(Vec::new()) };
        let inner = Scope::Alias(alias);
        let mut parts: Vec<Expr> = persons
            .key_operands(&inner)
            .into_iter()
            .zip(&link.columns)
            .map(|(key, column)| Expr::Same(key, Operand { scope: scope.clone(), column: column.clone() }))
            .collect();
        parts.push(self.alive(kind, &inner, alias + 1));
        Expr::Exists { table: persons.at.clone(), alias, condition: Box::new(Expr::All(parts)) }
    }
}
