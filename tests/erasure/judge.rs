//! What an erasure makes of the rows of a random map, one by one.

use std::collections::BTreeMap;

use super::model::{Entry, Map, Row, Rows, Rule, Whom};

/// Whether two values are the same address of a kind.
fn alike(kind: &str, a: &str, b: &str) -> bool {
    match kind {
        "phone" => {
            let digits = |text: &str| {
                let all: Vec<char> = text.chars().filter(char::is_ascii_digit).collect();
                all[all.len().saturating_sub(9)..].to_vec()
            };
            digits(a).len() >= 3 && digits(a) == digits(b)
        }
        "email" => a.trim().to_lowercase() == b.trim().to_lowercase(),
        _ => a == b.replace('\\', super::model::BACKSLASH),
    }
}

/// One erasure, thought through.
pub struct Judge<'a> {
    pub map: &'a Map,
    pub rows: &'a Rows,
    pub whom: &'a Whom,
}

impl Judge<'_> {
    fn entry(&self, at: usize) -> &Entry {
        &self.map.0[at]
    }

    fn value(&self, at: usize, id: &str, column: &str) -> Option<&str> {
        self.rows.entries[at].get(id)?[column].as_deref()
    }

    fn address_is_mine(&self, kind: &str, value: Option<&str>) -> bool {
        let Whom::Customer(addresses) = self.whom else { return false };
        value.is_some_and(|value| addresses.iter().any(|(k, a)| *k == kind && alike(kind, value, a)))
    }

    fn names(&self, at: usize, id: &str) -> bool {
        match self.whom {
            Whom::User(user) => {
                self.entry(at).users.iter().any(|column| self.value(at, id, column) == Some(user.as_str()))
            }
            Whom::Customer(_) => {
                self.entry(at).customer.iter().any(|kind| self.address_is_mine(kind, self.value(at, id, kind)))
            }
        }
    }

    /// The rows that a row belongs to, other tables' first.
    fn parents(&self, at: usize, id: &str) -> Vec<(usize, String)> {
        let up = |(column, to): (&str, usize)| {
            let key = self.value(at, id, column)?;
            self.rows.entries[to].contains_key(key).then(|| (to, key.to_owned()))
        };
        self.entry(at).parents.iter().filter_map(|(column, to, _)| up((column, *to))).collect()
    }

    fn own_parent(&self, at: usize, id: &str) -> Option<String> {
        self.entry(at).own?;
        let key = self.value(at, id, "q")?;
        self.rows.entries[at].contains_key(key).then(|| key.to_owned())
    }

    fn is_anothers(&self, at: usize, id: &str) -> bool {
        match self.whom {
            Whom::User(user) => {
                let entry = self.entry(at);
                entry.users.iter().any(|column| self.value(at, id, column).is_some_and(|other| other != user))
                    || entry.customer.iter().any(|kind| self.value(at, id, kind).is_some())
                    || self.parents(at, id).iter().any(|(to, key)| self.is_anothers(*to, key))
            }
            Whom::Customer(addresses) => {
                let known = |kind: &&&str| addresses.iter().any(|(known, _)| *known == **kind);
                let set = |kind: &&str| self.value(at, id, kind).is_some();
                self.entry(at).customer.iter().filter(known).any(set) && !self.names(at, id)
            }
        }
    }

    fn reached(&self, at: usize, id: &str) -> bool {
        if self.is_anothers(at, id) {
            return false;
        }
        let through =
            |to: usize, key: &str| !self.entry(to).shared && self.entry(to).rule != Rule::Keep && self.reached(to, key);
        self.names(at, id)
            || self.parents(at, id).iter().any(|(to, key)| through(*to, key))
            || self.own_parent(at, id).is_some_and(|key| self.reached(at, &key))
    }

    /// The same, through rows that an erasure keeps too.
    fn reached_by_report(&self, at: usize, id: &str) -> bool {
        let through = |to: usize, key: &str| !self.entry(to).shared && self.reached_by_report(to, key);
        !self.is_anothers(at, id)
            && (self.names(at, id)
                || self.parents(at, id).iter().any(|(to, key)| through(*to, key))
                || self.own_parent(at, id).is_some_and(|key| self.reached_by_report(at, &key)))
    }

    /// Whether a report shows the row.
    pub fn is_shown(&self, at: usize, id: &str) -> bool {
        self.names(at, id) || self.reached_by_report(at, id) || self.is_mentioned(at, id)
    }

    /// Whether a report may show what stands in a column: what names somebody, only if it names the person.
    pub fn may_show(&self, at: usize, id: &str, column: &str) -> bool {
        let entry = self.entry(at);
        let Some(value) = self.value(at, id, column) else { return true };
        let only_mentioned = !self.names(at, id) && !self.reached_by_report(at, id);
        match column {
            "id" => true,
            "u" | "v" if entry.users.contains(&column) => matches!(self.whom, Whom::User(user) if user == value),
            "mention" if entry.mentions => self.is_my_email(value),
            _ if only_mentioned => false,
            "phone" | "email" | "name" if entry.customer.contains(&column) => match self.whom {
                Whom::User(_) => column == "email" && self.is_my_email(value),
                // What a customer is not known by is their own in their own rows.
                Whom::Customer(known) => {
                    known.iter().all(|(kind, _)| *kind != column) || self.address_is_mine(column, Some(value))
                }
            },
            "note" if entry.rule == Rule::Anonymise => !self.is_anothers(at, id),
            _ => true,
        }
    }

    /// The rows that refer to a row from other tables: entry, id, by foreign key.
    fn below(&self, at: usize, id: &str) -> Vec<(usize, String, bool)> {
        let mut found = Vec::new();
        for (child, entry) in self.map.0.iter().enumerate() {
            for (column, to, key) in entry.parents.iter().filter(|(_, to, _)| *to == at) {
                debug_assert_eq!(*to, at);
                let refer = self.rows.entries[child].iter().filter(|(_, row)| row[column].as_deref() == Some(id));
                found.extend(refer.map(|(id, _)| (child, id.clone(), *key)));
            }
        }
        found
    }

    fn is_blocked(&self, at: usize, id: &str) -> bool {
        let here = self.below(at, id).iter().any(|(child, id, key)| {
            if self.entry(at).shared {
                return !self.goes(*child, id);
            }
            match self.entry(*child).rule {
                Rule::Keep => true,
                Rule::Anonymise => *key || self.is_anothers(*child, id),
                Rule::Delete => self.is_anothers(*child, id) || self.is_blocked(*child, id),
            }
        });
        let own = self.entry(at).own.is_some()
            && (self.is_anothers(at, id)
                || self.rows.entries[at]
                    .iter()
                    .any(|(child, row)| row["q"].as_deref() == Some(id) && child != id && self.is_blocked(at, child)));
        here || own
    }

    fn goes(&self, at: usize, id: &str) -> bool {
        self.entry(at).rule == Rule::Delete && self.reached(at, id) && !self.is_blocked(at, id)
    }

    pub fn changes(&self, at: usize, id: &str) -> bool {
        let entry = self.entry(at);
        entry.rule == Rule::Anonymise && self.reached(at, id) && !(entry.shared && self.is_blocked(at, id))
    }

    /// The columns of a row that stays which name the person.
    fn blanked(&self, at: usize, id: &str) -> Vec<&'static str> {
        let entry = self.entry(at);
        if entry.rule == Rule::Keep {
            return Vec::new();
        }
        let stays =
            self.is_anothers(at, id) || ((entry.rule == Rule::Delete || entry.shared) && self.is_blocked(at, id));
        let mut columns = Vec::new();
        if stays && self.names(at, id) {
            match self.whom {
                Whom::User(user) => columns
                    .extend(entry.users.iter().filter(|column| self.value(at, id, column) == Some(user.as_str()))),
                Whom::Customer(_) => columns
                    .extend(entry.customer.iter().filter(|kind| self.address_is_mine(kind, self.value(at, id, kind)))),
            }
        }
        columns
    }

    fn mentions(&self, at: usize, id: &str) -> bool {
        self.entry(at).rule != Rule::Keep && !self.goes(at, id) && self.is_mentioned(at, id)
    }

    fn is_mentioned(&self, at: usize, id: &str) -> bool {
        self.entry(at).mentions && self.value(at, id, "mention").is_some_and(|mention| self.is_my_email(mention))
    }

    fn is_my_email(&self, value: &str) -> bool {
        match self.whom {
            Whom::User(user) => self.rows.users.get(user).is_some_and(|(_, own)| alike("email", value, own)),
            Whom::Customer(_) => self.address_is_mine("email", Some(value)),
        }
    }

    /// The row afterwards; `None` when it is gone.
    fn after(&self, at: usize, id: &str) -> Option<Row> {
        if self.goes(at, id) {
            return None;
        }
        let mut row = self.rows.entries[at][id].clone();
        if self.changes(at, id) {
            let entry = self.entry(at);
            if row["note"].is_some() {
                row.insert("note", Some("x".to_owned()));
            }
            let named = if matches!(self.whom, Whom::User(_)) { entry.users } else { entry.customer };
            for column in named {
                row.insert(column, None);
            }
        }
        for column in self.blanked(at, id) {
            row.insert(column, None);
        }
        if self.mentions(at, id) {
            row.insert("mention", None);
        }
        Some(row)
    }
}

impl Rows {
    /// The rows after an erasure.
    pub fn erased(&self, map: &Map, whom: &Whom) -> Self {
        let judge = Judge { map, rows: self, whom };
        let mut after = self.clone();
        if let Whom::User(user) = whom {
            after.users.remove(user);
        }
        for (at, rows) in self.entries.iter().enumerate() {
            after.entries[at] = rows.keys().filter_map(|id| Some((id.clone(), judge.after(at, id)?))).collect();
        }
        after
    }

    /// How many rows an erasure touches, by entry and action, as a plan counts them.
    pub fn touched(&self, map: &Map, whom: &Whom) -> BTreeMap<(String, String), u64> {
        let judge = Judge { map, rows: self, whom };
        let mut counts = BTreeMap::new();
        let mut add = |at: &str, action: &str, rows: usize| {
            *counts.entry((at.to_owned(), action.to_owned())).or_default() += rows as u64;
        };
        if let Whom::User(user) = whom {
            add("users", "delete", usize::from(self.users.contains_key(user)));
        }
        for (at, rows) in self.entries.iter().enumerate() {
            for id in rows.keys() {
                let name = format!("e{at}");
                add(&name, "delete", usize::from(judge.goes(at, id)));
                let changed = judge.after(at, id).is_some_and(|after| {
                    let own = |row: &Row| {
                        let mut row = row.clone();
                        row.remove("mention");
                        row
                    };
                    judge.changes(at, id) && own(&after) != own(&rows[id])
                });
                add(&name, "anonymise", usize::from(changed));
                add(&name, "anonymise", judge.blanked(at, id).len());
                add(&name, "anonymise", usize::from(judge.mentions(at, id)));
            }
        }
        counts.retain(|_, rows| *rows > 0);
        counts
    }
}
