//! From a person to a report: the same walk as an erasure's, each row read once.
//!
//! **Invariant.** An entry's records are the rows of [`Walk::shown`] and, after them, those of [`Walk::mentions`] that are
//! not among them: what an erasure removes, changes or names as kept. All rows of one store are of one moment. Every entry
//! of the map is in the report, also one in which nothing was found. Tests: `tests/reports.rs`, `tests/erasure.rs`.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, SubsecRound as _, Utc};

use super::columns::{Columns, RowOf};
use super::model::{CategoryAbout, EntryAbout, Head, Identifier, Kept, Person, Switch, VERSION};
use super::record::{Row, Writer};
use super::retention::Retentions;
use super::spool::{Filling, Stretch};
use super::times;
use super::{Gathered, Part, ReportError, Sources, Wanted, texts::Texts};
use crate::config::document::Entry as Written;
use crate::graph::walk::find::{self, Search};
use crate::graph::walk::remaining::{Left, counted, remaining};
use crate::graph::{Node, Subject, Walk};
use crate::names::{CategoryName, DataName, StoreName};
use crate::store::target::statements::{self, Lookup, Read};
use crate::store::target::{Expr, Operand};
use crate::store::{Access, Conn};

/// The categories in the order in which a person would look for them; others follow by name.
const ORDER: [&str; 8] = [
    "user_master_data",
    "directory_information",
    "recordings",
    "contact_data_records",
    "reporting_data",
    "campaign_data",
    "consents",
    "audit_data",
];

/// What was found in one entry.
struct Found {
    about: EntryAbout,
    records: Stretch,
    /// When the newest of its records goes.
    newest: Option<DateTime<Utc>>,
}

/// Everything that the reading of one entry needs.
struct Reading<'a> {
    sources: &'a Sources<'a>,
    subject: &'a Arc<Subject>,
    left: &'a [Left],
    now: DateTime<Utc>,
}

pub(super) fn gather(sources: &Sources<'_>, wanted: Wanted) -> Result<Gathered, ReportError> {
    let texts = Texts::load(sources.document, wanted.language.as_deref())?;
    let mut subject = wanted.subject;
    if matches!(find::search(sources.graph, sources.stores, &mut subject)?, Search::TooMany) {
        return Err(ReportError::TooMany);
    }
    let subject = Arc::new(subject);
    let left = remaining(sources.graph, sources.stores, &subject, None)?;
    let reading = Reading { sources, subject: &subject, left: &left, now: wanted.now };
    let mut spool = Filling::new(&std::env::temp_dir())?;
    let mut found = BTreeMap::new();
    let stores: std::collections::BTreeSet<&StoreName> =
        sources.graph.children_first().map(|node| &node.store).collect();
    for store in stores {
        let nodes: Vec<&Node> = sources.graph.children_first().filter(|node| node.store == *store).collect();
        let Some(first) = nodes.first() else { continue };
        let mut conn = find::open(sources.stores, first)?;
        conn.transaction(Access::ReadOnly, |conn| -> Result<(), ReportError> {
            for node in &nodes {
                found.insert(node.name.clone(), reading.entry(conn, node, &mut spool)?);
            }
            Ok(())
        })?;
    }
    let switches = reading.switches()?;
    let head = reading.head(&wanted.id, &texts, switches);
    Ok(Gathered {
        head,
        parts: reading.parts(found),
        spool: spool.done()?,
        texts,
        max_rows_in_pdf: sources.document.report.max_rows_in_pdf,
    })
}

impl Reading<'_> {
    fn zone(&self) -> chrono_tz::Tz {
        self.sources.document.timezone
    }

    fn written(&self, node: &Node) -> Written {
        self.sources.document.data.get(node.name.as_str()).cloned().unwrap_or_default()
    }

    /// Reads one entry.
    fn entry(&self, conn: &mut Conn, node: &Node, spool: &mut Filling) -> Result<Found, ReportError> {
        let (graph, written) = (self.sources.graph, self.written(node));
        let walk = Walk::new(graph, self.subject);
        let scope = node.own();
        let columns = Columns::of(graph, node, &written, self.subject, self.zone());
        let retentions = Retentions::of(graph, node, self.subject, &self.sources.keepings, self.zone());
        let mut found = Found {
            about: EntryAbout {
                data: node.name.clone(),
                store: node.store.clone(),
                title: written.title.clone().unwrap_or_else(|| super::columns::title(node.name.as_str())),
                can_be_linked: walk.can_reach(node) || walk.can_mention(node),
                rows: 0,
                mentions: 0,
                held: 0,
                retention: retentions.about(self.sources.document),
                newest_goes: None,
                without_end: 0,
                kept: self.kept(&node.name),
                columns: columns.shown.iter().map(|shown| shown.about.clone()).collect(),
            },
            records: Stretch::default(),
            newest: None,
        };
        let from = spool.at();
        let mut read = |conn: &mut Conn, rows: Expr, mentioned: bool, found: &mut Found| {
            Records { reading: self, node, columns: &columns, retentions: &retentions, walk: &walk, mentioned }
                .read(conn, &rows, spool, found)
        };
        if walk.can_reach(node) {
            read(conn, walk.shown(node, &scope, 0), false, &mut found)?;
            if found.about.rows > 0 && node.holds {
                let held = walk.shown(node, &scope, 0).and(graph.legally_held(node, &scope));
                found.about.held = counted(conn, node, &held)?;
            }
        }
        if walk.can_mention(node) {
            let shown = if walk.can_reach(node) { walk.shown(node, &scope, 0) } else { Expr::Any(Vec::new()) };
            let others = walk.mentions(node, &scope).and(shown.negated());
            let own = found.about.rows;
            read(conn, others, true, &mut found)?;
            found.about.mentions = found.about.rows - own;
        }
        found.records = spool.since(from);
        found.about.newest_goes = goes((found.about.rows, found.about.without_end), found.newest, self.zone());
        Ok(found)
    }

    fn kept(&self, data: &DataName) -> Vec<Kept> {
        let of_entry = self.left.iter().filter(|left| left.data == *data);
        of_entry.map(|left| Kept { rows: left.rows, ground: left.ground.clone(), shown: left.about }).collect()
    }

    /// The switches on the person's own row.
    fn switches(&self) -> Result<Vec<Switch>, ReportError> {
        let graph = self.sources.graph;
        let kind = graph.person(self.subject.kind.as_str());
        let Some(persons) = kind.and_then(|kind| graph.persons(kind)).filter(|_| self.subject.key.is_some()) else {
            return Ok(Vec::new());
        };
        let scope = persons.own();
        let mut switches = Vec::new();
        let all = graph.switches().allowed_by.iter();
        for (data, switch) in all.filter(|(_, switch)| switch.kind == self.subject.kind) {
            let Some(node) = graph.node(data) else { continue };
            let mut own = (**self.subject).clone();
            (own.from, own.to) = (None, None);
            let rows = Walk::new(graph, &own).names(persons, &scope, 0);
            let columns = [Operand { scope: scope.clone(), column: switch.column.clone() }];
            let read = read_of(persons, &columns, &[], &rows);
            let mut conn = find::open(self.sources.stores, persons)?;
            let rows = conn.rows(&statements::read(persons.backend, &Read { limit: 1, ..read }))?;
            let value = rows.first().and_then(|row| row.plain(0));
            let on = value.map(|value| !matches!(value, "0" | "false" | "f"));
            let title = self.written(node).title.unwrap_or_else(|| super::columns::title(data.as_str()));
            switches.push(Switch { data: data.clone(), title, on });
        }
        Ok(switches)
    }

    fn head(&self, id: &str, texts: &Texts, switches: Vec<Switch>) -> Head {
        let instant = |at: DateTime<Utc>| {
            let mut text = String::new();
            times::write_instant(at, self.zone(), &mut text);
            text
        };
        let key = self.subject.key.iter().map(|key| {
            let parts: Vec<&str> = key.iter().map(|part| part.expose().as_str()).collect();
            Identifier { kind: "key".to_owned(), value: parts.join(", ") }
        });
        let addresses = self
            .subject
            .addresses
            .iter()
            .map(|address| Identifier { kind: address.kind.clone(), value: address.value.expose().clone() });
        let horizon = self.sources.document.state.backup_horizon.as_ref();
        Head {
            version: VERSION,
            id: id.to_owned(),
            created: instant(self.now.trunc_subsecs(0)),
            zone: self.zone().name().to_owned(),
            language: texts.language().to_owned(),
            person: Person {
                kind: self.subject.kind.clone(),
                identifiers: key.chain(addresses).collect(),
                from: self.subject.from.map(instant),
                to: self.subject.to.map(instant),
            },
            switches,
            backups_expire: horizon
                .and_then(|horizon| horizon.after(self.now, self.zone()))
                .map(|at| times::day(at, self.zone())),
        }
    }

    /// The entries by category, parents before their children.
    fn parts(&self, mut found: BTreeMap<DataName, Found>) -> Vec<Part> {
        let mut by_category: BTreeMap<&CategoryName, Vec<Found>> = BTreeMap::new();
        for node in self.sources.graph.children_first() {
            by_category.entry(&node.category).or_default().extend(found.remove(&node.name));
        }
        let mut parts: Vec<Part> = by_category
            .into_iter()
            .map(|(name, mut entries)| {
                entries.reverse();
                self.part(name, entries)
            })
            .collect();
        let place =
            |part: &Part| ORDER.iter().position(|name| *name == part.about.name.as_str()).unwrap_or(ORDER.len());
        parts.sort_by_key(place);
        parts
    }

    fn part(&self, name: &CategoryName, entries: Vec<Found>) -> Part {
        let written = self.sources.document.categories.get(name).cloned().unwrap_or_default();
        let rows = entries.iter().map(|entry| entry.about.rows).sum();
        let without_end = entries.iter().map(|entry| entry.about.without_end).sum();
        let newest = entries.iter().filter_map(|entry| entry.newest).max();
        Part {
            about: CategoryAbout {
                name: name.clone(),
                title: written.title.unwrap_or_else(|| super::columns::title(name.as_str())),
                purpose: written.purpose,
                legal_basis: written.legal_basis,
                collected: written.collect.unwrap_or(true),
                beyond_reach: written.beyond_reach,
                rows,
                left_out: 0,
                newest_goes: goes((rows, without_end), newest, self.zone()),
            },
            entries: entries.into_iter().map(|entry| (entry.about, entry.records)).collect(),
        }
    }
}

/// The day on which the last of some records goes, when all of them do.
fn goes((rows, without_end): (u64, u64), newest: Option<DateTime<Utc>>, zone: chrono_tz::Tz) -> Option<String> {
    newest.filter(|_| rows > 0 && without_end == 0).map(|at| times::day(at, zone))
}

fn read_of<'a>(node: &'a Node, columns: &'a [Operand], lookups: &'a [Lookup], condition: &'a Expr) -> Read<'a> {
    Read { table: &node.at, columns, lookups, condition, order: &[], skip: 0, limit: u64::MAX, lock: false }
}

/// The records of one entry: those about the person, or those that mention them.
struct Records<'a> {
    reading: &'a Reading<'a>,
    node: &'a Node,
    columns: &'a Columns,
    retentions: &'a Retentions<'a>,
    walk: &'a Walk<'a>,
    mentioned: bool,
}

impl Records<'_> {
    fn read(&self, conn: &mut Conn, rows: &Expr, spool: &mut Filling, found: &mut Found) -> Result<(), ReportError> {
        let (graph, node, reading) = (self.reading.sources.graph, self.node, self.reading);
        let scope = node.own();
        let all: Vec<Operand> =
            node.table.columns.iter().map(|column| Operand { scope: scope.clone(), column: column.clone() }).collect();
        let mut lookups = self.columns.lookups(graph, node, self.walk);
        lookups.extend(self.retentions.lookups(graph, node));
        // A table without a key has no order of its own; its rows come as the database finds them.
        let order = node.key_operands(&scope);
        let read = Read { order: &order, ..read_of(node, &all, &lookups, rows) };
        let writer = Writer::new(node, self.columns, reading.zone());
        let mut line = String::new();
        conn.each_row(&statements::stream(node.backend, &read), |row| {
            let of_columns = row.tail(all.len());
            let goes = self.retentions.goes(row.tail(all.len() + self.columns.looked_up()), reading.now);
            let of = if self.mentioned { RowOf::Others } else { self.columns.row_of(of_columns) };
            writer.write(&Row { values: row, found: of_columns, of, goes }, &mut line);
            spool.line(&line)?;
            found.about.rows += 1;
            found.newest = found.newest.max(goes);
            found.about.without_end += u64::from(goes.is_none());
            Ok(())
        })
    }
}
