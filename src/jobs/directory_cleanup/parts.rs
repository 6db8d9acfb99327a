//! What of a gone person goes when: own relations at once, directory entries after a while, the name last.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::merge::{Gone, Key, page};
use super::{KIND, Look, Node, RemovalError, Spec};
use crate::config::diagnostic::Diagnostics;
use crate::config::document::Document;
use crate::graph::ties::Ties;
use crate::graph::walk::find;
use crate::graph::{Due, Graph, KeyForm, KeyLink, Named, OnErasure, Switch, Why};
use crate::names::{DataName, PersonName};
use crate::plan::policy::{self, Policy};
use crate::plan::{Limits, Strategy};
use crate::redact::Sealed;
use crate::removal::{Task, branches, choose_strategy};
use crate::store::target::ordered::KeyOrder;
use crate::store::target::statements;
use crate::store::target::{Expr, Operand};
use crate::store::{Access, state};

const RELATIONS: &str = "user_master_data";
const DIRECTORY: &str = "directory_information";

/// The rule of own relations.
pub(super) const GONE: &str = "gone";
/// The rule of directory entries.
pub(super) const AFTER: &str = "gone long enough";
/// The rule of the name, and of a row that says that its person is gone.
pub(super) const LAST: &str = "nothing refers to it";

/// The entries that have something of persons of a kind.
pub(super) struct Entries<'a> {
    pub kind: PersonName,
    pub persons: &'a Node,
    pub relations: Vec<&'a Node>,
    pub directory: Vec<&'a Node>,
    pub stub: Option<&'a Node>,
    /// All that may still refer to a person.
    references: Vec<&'a Node>,
}

impl<'a> Entries<'a> {
    pub fn of(graph: &'a Graph, kind: &PersonName) -> Option<Self> {
        let persons = graph.persons(graph.person(kind.as_str())?)?;
        let stub = graph.switches().stubs.get(kind).and_then(|stub| graph.node(stub));
        let names = |node: &&Node| node.persons.iter().any(|link| link.kind == *kind);
        let mine: Vec<&Node> = graph
            .children_first()
            .filter(names)
            .filter(|node| node.name != persons.name && stub.is_none_or(|stub| stub.name != node.name))
            .collect();
        let of = |category: &str| -> Vec<&'a Node> {
            let removable =
                |node: &&&Node| !matches!(node.on_erasure, OnErasure::Keep(_)) && !graph.are_others(node, kind);
            mine.iter().filter(|node| node.category.as_str() == category).filter(removable).copied().collect()
        };
        Some(Self {
            kind: kind.clone(),
            persons,
            relations: of(RELATIONS),
            directory: of(DIRECTORY),
            stub,
            references: mine,
        })
    }

    /// The entries in which a person who is gone is noticed: those of the persons, of the stub, relations, directory.
    pub fn noticed_in(&self) -> Vec<&'a Node> {
        let all = self.relations.iter().chain(&self.directory).copied().chain(self.stub);
        all.collect()
    }

    /// Those of some persons who are there now.
    pub fn there(&self, look: &Look<'_>, keys: &[Key]) -> Result<BTreeSet<Key>, RemovalError> {
        let scope = self.persons.own();
        let rows = any_of(look.graph, self.persons, &self.kind, keys).and(look.graph.alive(&self.kind, &scope, 0));
        let columns = self.persons.key_operands(&scope);
        let orders = vec![KeyOrder::Bytes; columns.len()];
        let limit = keys.len() as u64 + 1;
        Ok(page(look, self.persons, (&columns, &orders), &rows, None, limit)?.into_iter().collect())
    }

    /// Those of some persons to whom something refers that does not go now.
    fn referred(&self, look: &Look<'_>, keys: &[Key], due: &[Key]) -> Result<BTreeSet<Key>, RemovalError> {
        let mut found = BTreeSet::new();
        for node in &self.references {
            let at_once = self.relations.iter().any(|relation| relation.name == node.name);
            let later = self.directory.iter().any(|entry| entry.name == node.name);
            for link in node.persons.iter().filter(|link| link.kind == self.kind) {
                let named = |keys: &[Key]| {
                    let named =
                        Named { via: Vec::new(), links: vec![link.clone()], keys: keys.to_vec(), unless_there: None };
                    named.expr(look.graph, &node.own(), 0)
                };
                let held = || look.graph.held(node, &node.own());
                let waiting: Vec<Key> = keys.iter().filter(|key| !due.contains(key)).cloned().collect();
                let rows = if at_once {
                    named(keys).and(held())
                } else if later {
                    Expr::Any(vec![named(&waiting), named(due).and(held())])
                } else {
                    named(keys)
                };
                if link.form == KeyForm::Whole {
                    let columns: Vec<Operand> = link
                        .columns
                        .iter()
                        .map(|column| Operand { scope: node.own(), column: column.clone() })
                        .collect();
                    let orders = vec![KeyOrder::Bytes; columns.len()];
                    found.extend(page(look, node, (&columns, &orders), &rows, None, keys.len() as u64 + 1)?);
                } else if any(look, node, &rows)? {
                    // Which of them it names cannot be read off the column; each is asked for by itself.
                    for key in keys {
                        let rows = named(std::slice::from_ref(key));
                        if any(look, node, &rows)? {
                            found.insert(key.clone());
                        }
                    }
                }
            }
        }
        Ok(found)
    }

    /// What goes of some persons who are gone, those first seen to be gone at or before `cutoff` long enough: by store
    /// and time. Gives the number of persons who lose anything too.
    pub fn tasks(
        &self,
        look: &Look<'_>,
        gone: &[Gone],
        since: &dyn Fn(&Key) -> Option<DateTime<Utc>>,
        cutoff: DateTime<Utc>,
    ) -> Result<(Vec<Task>, u64), RemovalError> {
        let all: Vec<Key> = gone.iter().map(|gone| gone.key.clone()).collect();
        let due: Vec<Key> = all.iter().filter(|key| since(key).is_some_and(|since| since <= cutoff)).cloned().collect();
        let referred = self.referred(look, &all, &due)?;
        let last: Vec<Key> = all.iter().filter(|key| !referred.contains(*key)).cloned().collect();
        let last_due: Vec<Key> = due.iter().filter(|key| !referred.contains(*key)).cloned().collect();
        let mut tasks = Vec::new();
        for node in &self.relations {
            tasks.extend(self.task(look.graph, node, &all, GONE));
        }
        for node in &self.directory {
            tasks.extend(self.task(look.graph, node, &due, AFTER));
        }
        tasks.extend(self.stub.and_then(|stub| self.task(look.graph, stub, &last, LAST)));
        if look.graph.switches().gone.contains_key(&self.kind) {
            tasks.extend(self.task(look.graph, self.persons, &last_due, LAST));
        }
        let noticed = self.noticed_in();
        let loses = |gone: &&Gone| {
            gone.named_in.iter().filter_map(|position| noticed.get(*position)).any(|node| {
                let is = |nodes: &[&Node]| nodes.iter().any(|other| other.name == node.name);
                is(&self.relations)
                    || is(&self.directory) && due.contains(&gone.key)
                    || self.stub.is_some_and(|stub| stub.name == node.name) && last.contains(&gone.key)
            })
        };
        Ok((tasks, gone.iter().filter(loses).count() as u64))
    }

    fn task(&self, graph: &Graph, node: &Node, keys: &[Key], rule: &str) -> Option<Task> {
        (!keys.is_empty()).then(|| {
            let named = Named {
                via: Vec::new(),
                links: links(node, &self.kind, self.persons),
                keys: keys.to_vec(),
                unless_there: (node.store == self.persons.store).then(|| self.kind.clone()),
            };
            task(graph, node, Why::Named(named), rule)
        })
    }
}

/// The entries that go at once with a person of a kind who is gone: own relations, and the person's own row, but where it
/// is that row which says who is gone.
pub fn own_entries(graph: &Graph, kind: &PersonName) -> BTreeSet<DataName> {
    let stays = graph.switches().gone.contains_key(kind);
    let entries = Entries::of(graph, kind).into_iter();
    entries
        .flat_map(|entries| entries.relations.into_iter().chain((!stays).then_some(entries.persons)))
        .map(|node| node.name.clone())
        .collect()
}

/// The links by which rows name persons of a kind; a person's own row has its key.
fn links(node: &Node, kind: &PersonName, persons: &Node) -> Vec<crate::graph::KeyLink> {
    if node.name == persons.name {
        return vec![KeyLink::whole(kind, &node.key)];
    }
    node.persons.iter().filter(|link| link.kind == *kind).cloned().collect()
}

/// A task for another reason than age.
pub(super) fn task(graph: &Graph, node: &Node, why: Why, rule: &str) -> Task {
    let branches = branches(graph, node);
    let strategy =
        if node.key.is_empty() { choose_strategy(graph, node, false, false, 0.0) } else { Strategy::KeyLists };
    let due = Due::because(why);
    // Of a set of rows that go together, those of other entries stay, so the whole set does.
    let ties = Ties::of(graph, node, |name| if *name == node.name { vec![due.clone()] } else { Vec::new() });
    Task { root: node.name.clone(), due, rule: rule.to_owned(), branches, strategy, ties }
}

fn any(look: &Look<'_>, node: &Node, rows: &Expr) -> Result<bool, RemovalError> {
    let mut conn = find::open(look.stores, node)?;
    let stmt = statements::any(node.backend, &node.at, rows);
    Ok(!conn.transaction(Access::ReadOnly, |conn| conn.rows(&stmt))?.is_empty())
}

fn any_of(graph: &Graph, persons: &Node, kind: &PersonName, keys: &[Key]) -> Expr {
    let named =
        Named { via: Vec::new(), links: links(persons, kind, persons), keys: keys.to_vec(), unless_there: None };
    named.expr(graph, &persons.own(), 0)
}

/// What stands for a person in the state.
pub fn digest(secret: &Sealed, kind: &PersonName, key: &[Sealed]) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()) else { return String::new() };
    for part in ["retentiond gone 1", kind.as_str()].into_iter().chain(key.iter().map(|part| part.expose().as_str())) {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part.as_bytes());
    }
    mac.finalize().into_bytes().iter().take(20).map(|byte| format!("{byte:02x}")).collect()
}

/// Since when persons are gone, by the state.
pub(super) fn since(
    look: &Look<'_>,
    kind: &PersonName,
    secret: Option<&Sealed>,
    gone: &[Gone],
) -> Result<BTreeMap<Key, DateTime<Utc>>, RemovalError> {
    let Some(secret) = secret else { return Ok(BTreeMap::new()) };
    let digests: Vec<String> = gone.iter().map(|gone| digest(secret, kind, &gone.key)).collect();
    let known = state::gone_since(&mut *look.memory.conn()?, kind.as_str(), &digests)?;
    let pairs = gone.iter().zip(&digests);
    Ok(pairs.filter_map(|(gone, digest)| Some((gone.key.clone(), *known.get(digest)?))).collect())
}

/// The entries of the map by which a switch decides, with the switch.
pub(super) fn switched<'a>(graph: &'a Graph, kind: &PersonName) -> Vec<(&'a Node, &'a Switch)> {
    let mine = graph.switches().allowed_by.iter().filter(|(_, switch)| switch.kind == *kind);
    mine.filter_map(|(name, switch)| Some((graph.node(name)?, switch))).collect()
}

/// A switch that no job acts on would be a promise that nobody keeps.
pub(in crate::jobs) fn refuse_idle_switches(document: &Document, diagnostics: &mut Diagnostics) {
    if document.jobs.values().any(|raw| raw.kind == KIND.name) {
        return;
    }
    let help = || Some("add [jobs.directory] with kind = \"directory_cleanup\"".to_owned());
    for name in document.categories.iter().filter(|(_, category)| category.collect == Some(false)).map(|(name, _)| name)
    {
        let path = ["categories", name.as_str(), "collect"].map(str::to_owned).to_vec();
        diagnostics.error(path, "no job removes what is there or still arrives").with_help(help());
    }
    for name in document.data.iter().filter(|(_, entry)| entry.allowed_by.is_some()).map(|(name, _)| name) {
        let path = ["data", name.as_str(), "allowed_by"].map(str::to_owned).to_vec();
        diagnostics.warning(path, "no job acts on this switch").with_help(help());
    }
}

/// The policy of a job: whatever of it changes may remove more.
pub(super) fn policy(spec: &Spec, document: &Document, graph: &Graph) -> Policy {
    let mut fixed = BTreeMap::from([
        ("kind".to_owned(), KIND.name.into()),
        ("timezone".to_owned(), document.timezone.name().into()),
        ("person".to_owned(), spec.person.as_str().into()),
        ("after".to_owned(), spec.after.to_string().into()),
    ]);
    let off: Vec<&str> = graph.switches().off.iter().map(crate::names::CategoryName::as_str).collect();
    fixed.insert("not_collected".to_owned(), off.into());
    if let Some(person) = document.people.get(&spec.person) {
        fixed.insert("gone".to_owned(), policy::value(&person.gone));
    }
    let decides = |(name, entry): (&DataName, &crate::config::document::Entry)| {
        let mut keys = policy::entry(entry);
        keys.insert("category".to_owned(), policy::value(&entry.category));
        keys.insert("user".to_owned(), policy::value(&entry.user));
        keys.insert("person".to_owned(), policy::value(&entry.person));
        keys.insert("allowed_by".to_owned(), policy::value(&entry.allowed_by));
        keys.insert("stub".to_owned(), policy::value(&entry.stub));
        (name.to_string(), keys)
    };
    let brakes = Limits::of(spec.brakes.as_ref(), &document.brakes);
    let mut limits = brakes.looseness();
    limits.insert("max_persons".to_owned(), brakes.max_persons() as f64);
    Policy { fixed, limits, rules: BTreeMap::new(), entries: document.data.iter().map(decides).collect() }
}
