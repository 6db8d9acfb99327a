//! The model: random maps and rows, and what an erasure makes of them, row by row in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::judge::Judge;
use crate::shop::{Engine, Shop, Shown};
use crate::support::{self, Random};

/// What an erasure does with rows of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    Delete,
    Anonymise,
    Keep,
}

/// One entry: a table `eN` with the same columns as all others, of which the map uses some.
#[derive(Clone, Debug)]
pub struct Entry {
    pub rule: Rule,
    pub shared: bool,
    /// The entries that `p` and `o` refer to, all of them before this one, and whether by foreign key.
    pub parents: Vec<(&'static str, usize, bool)>,
    /// Whether `q` refers to the same table, and whether by foreign key.
    pub own: Option<bool>,
    pub users: &'static [&'static str],
    pub customer: &'static [&'static str],
    pub mentions: bool,
}

#[derive(Clone, Debug)]
pub struct Map(pub Vec<Entry>);

impl Map {
    pub fn random(random: &mut Random) -> Self {
        let count = 2 + random.below(4);
        let mut entries = Vec::new();
        for index in 0..usize::try_from(count).unwrap() {
            let mut parents = Vec::new();
            for column in ["p", "o"] {
                if index > 0 && random.below(3) > 0 && (column == "p" || random.below(3) == 0) {
                    let to = usize::try_from(random.below(index as u64)).unwrap();
                    if parents.iter().all(|(_, other, _)| *other != to) {
                        parents.push((column, to, random.coin()));
                    }
                }
            }
            entries.push(Entry {
                rule: *random.pick(&[Rule::Delete, Rule::Delete, Rule::Delete, Rule::Anonymise, Rule::Keep]),
                shared: random.below(6) == 0,
                parents,
                own: (random.below(4) == 0).then(|| random.coin()),
                users: random.pick::<&[&str]>(&[&[], &["u"], &["u", "v"]]),
                customer: random.pick::<&[&str]>(&[&[], &["phone"], &["phone", "email"], &["email", "name"]]),
                mentions: random.coin(),
            });
        }
        Self(entries)
    }

    pub fn policy(&self) -> String {
        let mut text = "[people.user]\ndata = \"users\"\nidentifiers = { login = \"login\", email = \"email\" }\n\
                        [people.customer]\nidentifiers = [\"phone\", \"email\", \"name\"]\n\
                        [data.users]\nstore = \"shop\"\ntable = \"users\"\ncategory = \"some\"\n"
            .to_owned();
        for (index, entry) in self.0.iter().enumerate() {
            write!(text, "[data.e{index}]\nstore = \"shop\"\ntable = \"e{index}\"\ncategory = \"some\"\n").unwrap();
            let mut links: Vec<String> = entry
                .parents
                .iter()
                .map(|(column, to, _)| format!("{{ data = \"e{to}\", by = \"{column}\" }}"))
                .collect();
            links.extend(entry.own.map(|_| format!("{{ data = \"e{index}\", by = \"q\" }}")));
            if !links.is_empty() {
                writeln!(text, "belongs_to = [{}]", links.join(", ")).unwrap();
            }
            if !entry.users.is_empty() {
                let links: Vec<String> =
                    entry.users.iter().map(|column| format!("{{ column = \"{column}\" }}")).collect();
                writeln!(text, "user = [{}]", links.join(", ")).unwrap();
            }
            if !entry.customer.is_empty() {
                let links: Vec<String> =
                    entry.customer.iter().map(|column| format!("{column} = \"{column}\"")).collect();
                writeln!(text, "customer = {{ {} }}", links.join(", ")).unwrap();
            }
            if entry.mentions {
                text.push_str("mentions = { email = [\"mention\"] }\n");
            }
            if entry.shared {
                text.push_str("shared = true\n");
            }
            text.push_str(match entry.rule {
                Rule::Delete => "",
                Rule::Anonymise => "on_erasure = \"anonymise\"\nanonymise = { note = \"text:x\" }\n",
                Rule::Keep => "on_erasure = \"keep\"\nground = \"the books\"\n",
            });
        }
        text
    }

    pub fn schema(&self, engine: Engine) -> String {
        // Collations under which José is jose, so that only the program keeps them apart.
        let text = engine.pick(
            "TEXT COLLATE NOCASE",
            "VARCHAR(60)",
            "VARCHAR(60) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
        );
        let mut sql = format!("CREATE TABLE users (id BIGINT NOT NULL PRIMARY KEY, login {text}, email {text});\n");
        for (index, entry) in self.0.iter().enumerate() {
            let mut keys = String::new();
            for (column, to, _) in entry.parents.iter().filter(|(.., key)| *key) {
                write!(keys, ", FOREIGN KEY ({column}) REFERENCES e{to} (id)").unwrap();
            }
            if entry.own == Some(true) {
                write!(keys, ", FOREIGN KEY (q) REFERENCES e{index} (id)").unwrap();
            }
            writeln!(
                sql,
                "CREATE TABLE e{index} (id BIGINT NOT NULL PRIMARY KEY, p BIGINT, o BIGINT, q BIGINT, u BIGINT, v BIGINT, \
                 phone {text}, email {text}, name {text}, mention {text}, note {text}{keys});"
            )
            .unwrap();
            for column in ["p", "o", "q"] {
                writeln!(sql, "CREATE INDEX e{index}_{column} ON e{index} ({column});").unwrap();
            }
        }
        sql
    }
}

const COLUMNS: [&str; 11] = ["id", "p", "o", "q", "u", "v", "phone", "email", "name", "mention", "note"];

pub type Row = BTreeMap<&'static str, Option<String>>;

/// The rows of all entries, by id, and the users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rows {
    pub users: BTreeMap<String, (String, String)>,
    pub entries: Vec<BTreeMap<String, Row>>,
}

/// Spellings of three people's addresses.
const PHONES: [&[&str]; 3] =
    [&["+358 40 123 4567", "0401234567", "00358-40-1234567"], &["+358 40 123 4568", "0401234568"], &["4567"]];
const EMAILS: [&[&str]; 3] =
    [&["josé@example.org", " JOSÉ@Example.org"], &["jose@example.org", "Jose@example.org"], &["a_b%@example.org"]];
const NAMES: [&[&str]; 3] = [&["José"], &["Jose"], &["o'brien%_\\"]];

impl Rows {
    /// What a report showed before an erasure is every row that the walk finds and no other, of each what names nobody else;
    /// and it is what this removed or changed, what it named as kept, and what bore nothing personal any more.
    pub fn check_report(&self, (map, whom): (&Map, &Whom), after: &Self, shown: &Shown, context: &str) {
        let judge = Judge { map, rows: self, whom };
        for (index, rows) in self.entries.iter().enumerate() {
            let (records, kept) = &shown[&format!("e{index}")];
            let ids: BTreeSet<&String> = records.keys().collect();
            let expected: BTreeSet<&String> = rows.keys().filter(|id| judge.is_shown(index, id)).collect();
            assert_eq!(ids, expected, "e{index}: {context}");
            for (id, record) in records {
                for column in COLUMNS {
                    let (value, own) = (&record[column], rows[id][column].as_ref());
                    let text = value.as_str().map(str::to_owned).or_else(|| value.as_i64().map(|id| id.to_string()));
                    let expected = own.filter(|_| judge.may_show(index, id, column));
                    assert_eq!(text.as_ref(), expected, "e{index}.{column} of {id} is shown as {value}: {context}");
                    assert_eq!(value["masked"].is_string(), own != expected, "e{index}.{column} of {id}: {context}");
                }
            }
            let untouched = ids
                .iter()
                .filter(|id| after.entries[index].get(**id) == Some(&rows[**id]) && !judge.changes(index, id));
            let untouched: Vec<_> = untouched.collect();
            assert!(
                untouched.len() as u64 <= *kept,
                "e{index}: {untouched:?} are shown and stay as they are; {kept} are named: {context}"
            );
        }
    }

    pub fn random(map: &Map, random: &mut Random) -> Self {
        let users = (1..=3).map(|id| (id.to_string(), (format!("login{id}"), EMAILS[id - 1][0].to_owned()))).collect();
        let mut entries: Vec<BTreeMap<String, Row>> = Vec::new();
        for (index, entry) in map.0.iter().enumerate() {
            let mut rows = BTreeMap::new();
            for id in 1..=3 + random.below(9) {
                let mut row: Row = COLUMNS.iter().map(|column| (*column, None)).collect();
                row.insert("id", Some(id.to_string()));
                for (column, to, _) in &entry.parents {
                    let there = entries[*to].len() as u64;
                    row.insert(column, (random.below(4) > 0).then(|| (1 + random.below(there)).to_string()));
                }
                if entry.own.is_some() && id > 1 && random.coin() {
                    row.insert("q", Some((1 + random.below(id - 1)).to_string()));
                }
                for column in ["u", "v"] {
                    row.insert(column, (random.below(3) == 0).then(|| (1 + random.below(3)).to_string()));
                }
                for (column, spellings) in [("phone", PHONES), ("email", EMAILS), ("name", NAMES), ("mention", EMAILS)]
                {
                    if random.below(4) == 0 {
                        let whose = *random.pick(&spellings);
                        row.insert(column, Some((*random.pick(whose)).to_owned()));
                    }
                }
                row.insert("note", random.coin().then(|| format!("note {index} {id}")));
                rows.insert(id.to_string(), row);
            }
            entries.push(rows);
        }
        Self { users, entries }
    }

    /// Some rows of each entry, or none.
    pub fn pick(&self, random: &mut Random) -> BTreeMap<usize, BTreeSet<String>> {
        let mut picked = BTreeMap::new();
        for (at, rows) in self.entries.iter().enumerate() {
            let ids: BTreeSet<String> = rows.keys().filter(|_| random.below(8) == 0).cloned().collect();
            if !ids.is_empty() {
                picked.insert(at, ids);
            }
        }
        picked
    }

    /// The picked rows and all that belong to them.
    pub fn covered(&self, map: &Map, picked: &BTreeMap<usize, BTreeSet<String>>) -> BTreeSet<(usize, String)> {
        let mut covered: BTreeSet<(usize, String)> =
            picked.iter().flat_map(|(at, ids)| ids.iter().map(|id| (*at, id.clone()))).collect();
        loop {
            let before = covered.len();
            for (at, entry) in map.0.iter().enumerate() {
                let own = entry.own.map(|_| ("q", at));
                let links: Vec<(&str, usize)> =
                    entry.parents.iter().map(|(column, to, _)| (*column, *to)).chain(own).collect();
                for (id, row) in &self.entries[at] {
                    let up = links.iter().filter_map(|(column, to)| Some((*to, row[column].clone()?)));
                    if up.into_iter().any(|parent| covered.contains(&parent)) {
                        covered.insert((at, id.clone()));
                    }
                }
            }
            if covered.len() == before {
                return covered;
            }
        }
    }

    pub fn sql(&self, map: &Map) -> String {
        let literal = |value: &Option<String>| match value {
            None => "NULL".to_owned(),
            Some(value) => format!("'{}'", value.replace('\'', "''")),
        };
        let mut sql = String::new();
        for (id, (login, email)) in &self.users {
            writeln!(sql, "INSERT INTO users VALUES ({id}, '{login}', '{email}');").unwrap();
        }
        for (index, rows) in self.entries.iter().enumerate().take(map.0.len()) {
            // By number, so that a row stands after the one that it refers to.
            let mut sorted: Vec<(&String, &Row)> = rows.iter().collect();
            sorted.sort_by_key(|(id, _)| id.parse::<u64>().unwrap());
            for (_, row) in sorted {
                let values: Vec<String> = COLUMNS.iter().map(|column| literal(&row[column])).collect();
                writeln!(sql, "INSERT INTO e{index} VALUES ({});", values.join(", ")).unwrap();
            }
        }
        sql.replace('\\', BACKSLASH)
    }

    /// What stands in the database.
    pub fn read(map: &Map, shop: &Shop) -> Self {
        let value = |value: Option<&Option<String>>| value.unwrap().clone();
        let users = support::dump(&shop.url, "users")
            .into_iter()
            .map(|row| (value(row.first()).unwrap(), (value(row.get(1)).unwrap(), value(row.get(2)).unwrap())))
            .collect();
        let table = |index: usize| {
            let rows = support::dump(&shop.url, &format!("e{index}"));
            rows.into_iter()
                .map(|row| {
                    let row: Row = COLUMNS.iter().copied().zip(row).collect();
                    (row["id"].clone().unwrap(), row)
                })
                .collect()
        };
        Self { users, entries: (0..map.0.len()).map(table).collect() }
    }
}

/// MariaDB reads a backslash in a literal as an escape, the others do not: none stands in the rows.
pub const BACKSLASH: &str = "";

/// Whom an erasure is about.
#[derive(Clone, Debug)]
pub enum Whom {
    User(String),
    Customer(Vec<(&'static str, &'static str)>),
}

impl Whom {
    pub fn random(rows: &Rows, random: &mut Random) -> Self {
        let users: Vec<&String> = rows.users.keys().collect();
        if random.coin() {
            return Self::User((*random.pick(&users)).clone());
        }
        let mut addresses = Vec::new();
        for (kind, spellings) in [("phone", PHONES), ("email", EMAILS), ("name", NAMES)] {
            if random.coin() || (kind == "name" && addresses.is_empty()) {
                let whose = *random.pick(&spellings);
                addresses.push((kind, *random.pick(whose)));
            }
        }
        Self::Customer(addresses)
    }

    pub fn arguments(&self) -> Vec<String> {
        match self {
            Self::User(id) => vec!["--user".to_owned(), id.clone()],
            Self::Customer(addresses) => {
                let given = addresses.iter().map(|(kind, value)| format!("{kind}={}", value.replace('\\', BACKSLASH)));
                std::iter::once("--customer".to_owned()).chain(given).collect()
            }
        }
    }
}
