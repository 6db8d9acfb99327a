//! Random maps, rows and legal holds: what a purge does to them is what a model says that was written from the manual, row by
//! row in memory. `RETENTIOND_TORTURE=long` tries 200 maps on each database; `RETENTIOND_SEED` repeats a run's choices.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::client::{ALL, Db};
use crate::families::{civil, entry};
use crate::site::Site;
use crate::support::Random;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Delete,
    Anonymise,
}

/// A link to an entry before this one, or to the entry itself.
#[derive(Clone, Debug)]
struct Link {
    column: &'static str,
    to: usize,
    /// Holds only for rows of kind `a`.
    typed: bool,
    /// There is a foreign key.
    keyed: bool,
}

/// A table `eN`, with the same columns as all others.
#[derive(Clone, Debug)]
struct Entry {
    fate: Fate,
    belongs_to: Vec<Link>,
    /// Rows of it are cut loose when this target goes; then they belong to nothing.
    unlink: Option<Link>,
    /// The job purges it by age.
    purged: bool,
    /// A row without its flag is expired at once.
    requires: bool,
    /// Its time has an index, by which PostgreSQL chooses and locks lists in one statement.
    indexed: bool,
}

#[derive(Clone, Debug)]
struct Row {
    old: bool,
    flag: bool,
    kind: Option<char>,
    /// By column `p`, `o`, `q`.
    refers: [Option<u64>; 3],
}

#[derive(Debug)]
struct Case {
    entries: Vec<Entry>,
    rows: Vec<Vec<Row>>,
    /// The rows under a legal hold.
    held: BTreeSet<Place>,
}

/// A row: its entry and its id.
type Place = (usize, u64);

const COLUMNS: [&str; 3] = ["p", "o", "q"];

fn place(column: &str) -> usize {
    COLUMNS.iter().position(|known| *known == column).unwrap()
}

impl Entry {
    fn random(random: &mut Random, index: usize, before: &[Entry]) -> Self {
        let purged = index == 0 || random.below(4) == 0;
        let mut made = Self {
            fate: *random.pick(&[Fate::Delete, Fate::Delete, Fate::Delete, Fate::Anonymise]),
            belongs_to: Vec::new(),
            unlink: None,
            purged,
            requires: purged && random.below(4) == 0,
            indexed: random.coin(),
        };
        let typed = |random: &mut Random| random.below(4) == 0;
        for column in ["p", "o"] {
            if index > 0 && (column == "p" && random.below(6) > 0 || random.below(4) == 0) {
                let to = usize::try_from(random.below(index as u64)).unwrap();
                let typed = typed(random);
                // A row that stays may not refer by a key to one that goes.
                let keyed = !typed && made.fate == Fate::Delete && random.coin();
                let link = Link { column, to, typed, keyed };
                let loose = before[to].unlink.is_none();
                if loose && made.belongs_to.iter().all(|other| other.to != to) {
                    made.belongs_to.push(link);
                }
            }
        }
        if random.below(3) == 0 {
            let typed = typed(random);
            let keyed = !typed && made.fate == Fate::Delete && random.coin();
            made.belongs_to.push(Link { column: "q", to: index, typed, keyed });
        }
        if index > 0 && random.below(5) == 0 {
            let to = usize::try_from(random.below(index as u64)).unwrap();
            let unlink = Link { column: "p", to, typed: false, keyed: random.coin() };
            return Self { belongs_to: Vec::new(), unlink: Some(unlink), purged: false, requires: false, ..made };
        }
        made
    }

    fn keys(&self, db: Db) -> String {
        let link = |link: &Link| {
            let only = if link.typed { ", where = { kind = \"a\" }" } else { "" };
            format!("{{ data = \"e{}\", by = \"{}\"{only} }}", link.to, link.column)
        };
        let mut keys = String::new();
        if self.purged {
            writeln!(keys, "time = {}", civil(db)).unwrap();
        }
        if self.requires {
            keys.push_str("requires = { flag = true }\n");
        }
        if self.fate == Fate::Anonymise {
            keys.push_str("on_expiry = \"anonymise\"\nanonymise = { note = \"text:x\" }\n");
        }
        if !self.belongs_to.is_empty() {
            let links: Vec<String> = self.belongs_to.iter().map(link).collect();
            writeln!(keys, "belongs_to = [{}]", links.join(", ")).unwrap();
        }
        if let Some(unlink) = &self.unlink {
            writeln!(keys, "unlink = {}", link(unlink)).unwrap();
        }
        keys
    }
}

impl Case {
    fn random(random: &mut Random) -> Self {
        let count = 2 + random.below(4);
        let mut entries: Vec<Entry> = Vec::new();
        for index in 0..usize::try_from(count).unwrap() {
            entries.push(Entry::random(random, index, &entries));
        }
        let counts: Vec<u64> = entries.iter().map(|_| 1 + random.below(25)).collect();
        let rows = entries
            .iter()
            .enumerate()
            .map(|(index, entry)| {
                let row = |id: u64, random: &mut Random| {
                    let mut row = Row {
                        old: random.below(3) == 0,
                        flag: random.below(5) > 0,
                        kind: *random.pick(&[Some('a'), Some('a'), Some('b'), None]),
                        refers: [None; 3],
                    };
                    for link in entry.belongs_to.iter().chain(&entry.unlink) {
                        let most = if link.to == index { id } else { counts[link.to] };
                        // Without a key some refer to nobody.
                        let most = if link.keyed || link.to == index { most } else { most + 2 };
                        row.refers[place(link.column)] = (random.below(4) > 0).then(|| 1 + random.below(most));
                    }
                    row
                };
                (1..=counts[index]).map(|id| row(id, random)).collect()
            })
            .collect();
        let mut held = BTreeSet::new();
        for (index, count) in counts.iter().enumerate() {
            let rare = 8 << random.below(3);
            held.extend((1..=*count).filter(|_| random.below(rare) == 0).map(|id| (index, id)));
        }
        // In every other case nothing is held at all.
        let held = if random.coin() { held } else { BTreeSet::new() };
        Self { entries, rows, held }
    }

    fn refers(link: &Link, row: &Row) -> Option<u64> {
        row.refers[place(link.column)].filter(|_| !link.typed || row.kind == Some('a'))
    }

    /// All links that hold: the row, what it refers to, and whether the reference is one that is unlinked.
    fn links(&self) -> Vec<(Place, Place, bool)> {
        let mut links = Vec::new();
        for (index, entry) in self.entries.iter().enumerate() {
            for (id, row) in (1..).zip(&self.rows[index]) {
                let unlink = entry.unlink.iter().map(|link| (link, true));
                for (link, unlinked) in entry.belongs_to.iter().map(|link| (link, false)).chain(unlink) {
                    links.extend(Self::refers(link, row).map(|to| ((index, id), (link.to, to), unlinked)));
                }
            }
        }
        links
    }

    /// The rows that holds keep: the held ones, what belongs to these, and what either needs.
    fn kept(&self) -> BTreeSet<Place> {
        let links = self.links();
        let mut covered = self.held.clone();
        while links.iter().any(|(row, to, unlinked)| !unlinked && covered.contains(to) && covered.insert(*row)) {}
        let mut kept = covered.clone();
        let needs = |kept: &BTreeSet<Place>, row: &Place, to: &Place, unlinked: bool| {
            let cut = unlinked && self.entries[to.0].fate == Fate::Delete && covered.contains(row);
            cut || !unlinked && kept.contains(row)
        };
        while links.iter().any(|(row, to, unlinked)| needs(&kept, row, to, *unlinked) && kept.insert(*to)) {}
        kept
    }

    /// The rows that are expired and free: by age, for lack of what they require, or for what they belong to.
    fn expired(&self) -> BTreeSet<Place> {
        let kept = self.kept();
        let mut expired = BTreeSet::new();
        loop {
            let before = expired.len();
            for (index, entry) in self.entries.iter().enumerate() {
                for (id, row) in (1..).zip(&self.rows[index]) {
                    let due = entry.purged && (row.old || entry.requires && !row.flag);
                    let parents = entry.belongs_to.iter().filter_map(|link| Some((link.to, Self::refers(link, row)?)));
                    let gone = due || parents.into_iter().any(|parent| expired.contains(&parent));
                    if gone && !kept.contains(&(index, id)) {
                        expired.insert((index, id));
                    }
                }
            }
            if expired.len() == before {
                return expired;
            }
        }
    }

    /// What becomes of a row.
    fn fate(&self, expired: &BTreeSet<Place>, (index, id): (usize, u64), row: &Row) -> &'static str {
        let entry = &self.entries[index];
        if expired.contains(&(index, id)) {
            return if entry.fate == Fate::Delete { "goes" } else { "changes" };
        }
        let cut = entry.unlink.as_ref().filter(|link| self.entries[link.to].fate == Fate::Delete);
        let target = cut.and_then(|link| Some((link.to, Self::refers(link, row)?)));
        if target.is_some_and(|target| expired.contains(&target)) { "changes" } else { "stays" }
    }

    fn schema(&self) -> String {
        let mut sql = String::new();
        for (index, entry) in self.entries.iter().enumerate() {
            let mut keys = String::new();
            for link in entry.belongs_to.iter().chain(&entry.unlink).filter(|link| link.keyed) {
                write!(keys, ", FOREIGN KEY ({}) REFERENCES e{} (id)", link.column, link.to).unwrap();
            }
            writeln!(
                sql,
                "CREATE TABLE e{index} (id {{big}} PRIMARY KEY, at {{civil}}, flag {{flag}} NOT NULL, kind {{text}}, p {{big}}, o {{big}}, \
                 q {{big}}, note {{text}}, fate {{text}}{keys});"
            )
            .unwrap();
            for column in COLUMNS.into_iter().chain(entry.indexed.then_some("at")) {
                writeln!(sql, "CREATE INDEX e{index}_{column} ON e{index} ({column});").unwrap();
            }
        }
        sql
    }

    fn insert(&self, site: &Site) {
        let expired = self.expired();
        for (index, rows) in self.rows.iter().enumerate() {
            let values = (1..).zip(rows).map(|(id, row)| {
                let at = match (row.old, id % 5) {
                    (true, _) => format!("'2020-01-{:02} 00:00:00'", 1 + id % 28),
                    (false, 0) => "NULL".to_owned(),
                    (false, _) => "'2030-01-01 00:00:00'".to_owned(),
                };
                let kind = row.kind.map_or("NULL".to_owned(), |kind| format!("'{kind}'"));
                let refers = row.refers.map(|id| id.map_or("NULL".to_owned(), |id| id.to_string())).join(", ");
                let fate = self.fate(&expired, (index, id), row);
                format!("{id}, {at}, {}, {kind}, {refers}, 'n', '{fate}'", row.flag)
            });
            // Each in a statement of its own, so that a row that is referred to is there before.
            let statements = values.map(|value| format!("INSERT INTO e{index} VALUES ({value});\n"));
            site.database.sql(&statements.collect::<String>());
        }
    }

    fn policy(&self, db: Db) -> String {
        let entries: String =
            self.entries.iter().enumerate().map(|(index, e)| entry(&format!("e{index}"), &e.keys(db))).collect();
        let purged: Vec<String> = (0..self.entries.len())
            .filter(|index| self.entries[*index].purged)
            .map(|index| format!("\"e{index}\""))
            .collect();
        format!("{entries}[jobs.it]\nkind = \"retention_purge\"\ndata = [{}]\nkeep = \"1 year\"\n", purged.join(", "))
    }

    fn hold(&self, site: &Site) {
        for index in 0..self.entries.len() {
            let ids: Vec<String> =
                self.held.iter().filter(|(at, _)| *at == index).map(|(_, id)| id.to_string()).collect();
            if !ids.is_empty() {
                let (data, only) = (format!("e{index}"), format!("id = [{}]", ids.join(", ")));
                let add =
                    ["hold", "add", &format!("case-{index}"), "--data", &data, "--where", &only, "--why", "asked"];
                let add = site.program(&add);
                assert_eq!(add.exit, 0, "{add:#?}");
            }
        }
    }

    /// Rows that stay but change were changed as they should be.
    fn check_changes(&self, site: &Site, db: Db) {
        for (index, entry) in self.entries.iter().enumerate() {
            let wrong = match &entry.unlink {
                Some(link) => format!("fate = 'changes' AND {} IS NOT NULL", link.column),
                None => "fate = 'changes' AND note <> 'x'".to_owned(),
            };
            assert_eq!(site.database.count(&format!("e{index}"), &wrong), 0, "{db:?} e{index} {self:#?}");
        }
    }
}

#[test]
fn a_purge_does_what_a_model_says() {
    let long = std::env::var("RETENTIOND_TORTURE").is_ok_and(|long| long == "long");
    let mut random = Random::seeded("random maps of a purge");
    for db in ALL {
        let (wanted, mut tried) = (if long { 200 } else { 8 }, 0);
        while tried < wanted {
            let case = Case::random(&mut random);
            let expired = case.expired();
            if expired.is_empty() {
                continue;
            }
            tried += 1;
            let tables: Vec<String> = (0..case.entries.len()).map(|index| format!("e{index}")).collect();
            let tables: Vec<&str> = tables.iter().map(String::as_str).collect();
            eprintln!("{db:?} {tried} {case:?}");
            let site = Site::new(db, &case.schema(), &tables, &case.policy(db));
            case.insert(&site);
            case.hold(&site);
            site.purge("it");
            case.check_changes(&site, db);
        }
    }
}
