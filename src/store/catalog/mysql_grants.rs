//! What an account of MySQL or MariaDB may do, from `SHOW GRANTS`, which alone includes the account's roles.
//!
//! An approximation that errs towards saying no: MySQL's roles are not spelt out there, its partial revokes are not
//! read. What is wrongly thought to be allowed is refused by the server itself.

use super::table::Privileges;

/// One `GRANT … ON …`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Grant {
    /// A pattern of databases; `None` for all.
    database: Option<String>,
    /// `None` for all tables.
    table: Option<String>,
    /// What it adds. Reading some of the columns is not reading the table; writing some is enough to anonymise them.
    adds: Privileges,
}

impl Grant {
    /// Reads one line; `None` for those that grant roles, routines and the like.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let rest = line.strip_prefix("GRANT ")?;
        let (what, object) = split_once_outside(rest, " ON ")?;
        let object = object.strip_prefix("TABLE ").unwrap_or(object);
        let (database, after) = name(object)?;
        let (table, after) = name(after.strip_prefix('.')?)?;
        if !after.starts_with(" TO ") {
            return None;
        }
        let mut adds = Privileges::default();
        let mut rest = what;
        while !rest.is_empty() {
            let (one, further) = split_once_outside(rest, ", ").unwrap_or((rest, ""));
            rest = further;
            let (word, columns) = one.split_once(" (").map_or((one, false), |(word, _)| (word, true));
            match word {
                "ALL PRIVILEGES" | "ALL" => adds = ALL,
                "SELECT" => adds.select |= !columns,
                "INSERT" => adds.insert = true,
                "UPDATE" => adds.update = true,
                "DELETE" => adds.delete = true,
                _ => {}
            }
        }
        Some(Self { database, table, adds })
    }

    /// Adds what it grants on this table.
    pub(super) fn apply(&self, database: &str, table: &str, privileges: &mut Privileges) {
        // Only a grant on a whole database may hold a pattern.
        let here = match (&self.database, &self.table) {
            (None, _) => true,
            (Some(pattern), None) => like(pattern.as_bytes(), database.as_bytes()),
            (Some(name), Some(_)) => name == database,
        };
        if here && self.table.as_ref().is_none_or(|name| name == table) {
            privileges.select |= self.adds.select;
            privileges.insert |= self.adds.insert;
            privileges.update |= self.adds.update;
            privileges.delete |= self.adds.delete;
        }
    }
}

const ALL: Privileges = Privileges { select: true, insert: true, update: true, delete: true };

/// Splits at the first `separator` that stands neither in backticks nor in brackets.
fn split_once_outside<'a>(text: &'a str, separator: &str) -> Option<(&'a str, &'a str)> {
    let (mut quoted, mut depth) = (false, 0_i32);
    for (at, c) in text.char_indices() {
        match c {
            '`' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            _ if !quoted && depth == 0 && text[at..].starts_with(separator) => {
                return Some((&text[..at], &text[at + separator.len()..]));
            }
            _ => {}
        }
    }
    None
}

/// A name in backticks (`None` for `*`), and what follows it.
fn name(text: &str) -> Option<(Option<String>, &str)> {
    if let Some(after) = text.strip_prefix('*') {
        return Some((None, after));
    }
    let inner = text.strip_prefix('`')?;
    let mut found = String::new();
    let mut chars = inner.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c != '`' {
            found.push(c);
        } else if chars.next_if(|&(_, next)| next == '`').is_some() {
            found.push('`');
        } else {
            return Some((Some(found), &inner[at + 1..]));
        }
    }
    None
}

/// SQL's LIKE: `%` any number of characters, `_` one, after `\` each itself.
fn like(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        ([b'%', rest @ ..], _) => like(rest, text) || (!text.is_empty() && like(pattern, &text[1..])),
        ([b'_', rest @ ..], [_, further @ ..]) => like(rest, further),
        ([b'\\', c, rest @ ..], [d, further @ ..]) => c == d && like(rest, further),
        ([c, rest @ ..], [d, further @ ..]) => c == d && like(rest, further),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted(lines: &[&str], database: &str, table: &str) -> Privileges {
        let mut privileges = Privileges::default();
        for grant in lines.iter().filter_map(|line| Grant::parse(line)) {
            grant.apply(database, table, &mut privileges);
        }
        privileges
    }

    #[test]
    fn grants_count_where_they_apply() {
        let p = |line, database, table| granted(&[line], database, table);
        assert_eq!(
            p("GRANT ALL PRIVILEGES ON *.* TO `r`@`%` IDENTIFIED BY PASSWORD '*X' WITH GRANT OPTION", "a", "b"),
            ALL
        );
        assert_eq!(p("GRANT ALL PRIVILEGES ON `app\\_%`.* TO `r`@`%`", "app_1", "b"), ALL);
        assert_eq!(p("GRANT ALL PRIVILEGES ON `app\\_%`.* TO `r`@`%`", "appx1", "b"), Privileges::default());
        assert_eq!(p("GRANT SELECT ON `a_b`.`t` TO `r`@`%`", "axb", "t"), Privileges::default());
        assert!(p("GRANT SELECT, DELETE ON `a`.`x ON ``y` TO `r`@`%`", "a", "x ON `y").delete);
        let columns = p("GRANT SELECT (`a`, `DELETE`), UPDATE (`b`) ON `a`.`t` TO `r`@`%`", "a", "t");
        assert_eq!(columns, Privileges { update: true, ..Privileges::default() });
        for other in [
            "GRANT `role` TO `u`@`%`",
            "GRANT PROXY ON ''@'' TO 'root'@'localhost'",
            "SET DEFAULT ROLE x",
            "",
            "GRANT EXECUTE ON PROCEDURE `a`.`DELETE` TO `u`@`%`",
            "GRANT DELETE ON `a",
        ] {
            assert_eq!(Grant::parse(other), None, "{other}");
        }
    }
}
