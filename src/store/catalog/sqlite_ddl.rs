//! What SQLite tells only in the text that made a table or trigger: collations, checks, deferred keys, a trigger's event.
//!
//! No parser of the language, only of its words and brackets: a text that SQLite has accepted is read, never judged.

use super::table::Timing;

/// A word, a quoted name, a string or a single sign, with its place in the text.
#[derive(Clone, Copy, Debug)]
struct Token<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Token<'a> {
    fn is(&self, word: &str) -> bool {
        self.text.eq_ignore_ascii_case(word)
    }

    /// The name that the token stands for.
    fn name(&self) -> String {
        let mut chars = self.text.chars();
        match chars.next() {
            Some(quote @ ('"' | '`' | '\'')) => {
                let inner = chars.as_str();
                let inner = inner.strip_suffix(quote).unwrap_or(inner);
                inner.replace(&format!("{quote}{quote}"), &quote.to_string())
            }
            Some('[') => chars.as_str().trim_end_matches(']').to_owned(),
            _ => self.text.to_owned(),
        }
    }

    fn end(&self) -> usize {
        self.at + self.text.len()
    }
}

/// Splits SQL into tokens; comments are left out. An opening bracket has the depth of what is around it.
fn tokens(sql: &str) -> Vec<Token<'_>> {
    let bytes = sql.as_bytes();
    let mut found = Vec::new();
    let (mut at, mut depth) = (0, 0_usize);
    while at < bytes.len() {
        let rest = &sql[at..];
        let length = match bytes[at] {
            b'-' if rest.starts_with("--") => {
                at += rest.find('\n').unwrap_or(rest.len());
                continue;
            }
            b'/' if rest.starts_with("/*") => {
                at += rest.find("*/").map_or(rest.len(), |end| end + 2);
                continue;
            }
            c if c.is_ascii_whitespace() => {
                at += 1;
                continue;
            }
            quote @ (b'"' | b'\'' | b'`') => quoted(&bytes[at..], quote),
            b'[' => rest.find(']').map_or(rest.len(), |end| end + 1),
            c if is_word(c) => bytes[at..].iter().take_while(|&&c| is_word(c)).count(),
            _ => 1,
        };
        let text = &sql[at..at + length];
        if text == ")" {
            depth = depth.saturating_sub(1);
        }
        found.push(Token { text, at, depth });
        if text == "(" {
            depth += 1;
        }
        at += length;
    }
    found
}

fn is_word(c: u8) -> bool {
    c.is_ascii_alphanumeric() || c == b'_' || c == b'$' || !c.is_ascii()
}

/// The length of a quoted piece; a doubled quote does not end it.
fn quoted(bytes: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < bytes.len() {
        if bytes[at] != quote {
            at += 1;
        } else if bytes.get(at + 1) == Some(&quote) {
            at += 2;
        } else {
            return at + 1;
        }
    }
    bytes.len()
}

/// What stands in a `CREATE TABLE` and nowhere else.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct TableText {
    /// Columns and their collations, upper case.
    pub(super) collations: Vec<(String, String)>,
    /// The expressions of CHECK constraints, with their names where they have one.
    pub(super) checks: Vec<(String, String)>,
    /// For each foreign key, in the order of their writing, whether it is deferred.
    pub(super) deferred: Vec<bool>,
}

/// Reads the text that made a table.
pub(super) fn read_table(sql: &str) -> TableText {
    let all = tokens(sql);
    let mut found = TableText::default();
    let mut column = String::new();
    let mut fresh = false;
    for (place, token) in all.iter().enumerate() {
        let next = all.get(place + 1);
        match token.text {
            "(" if token.depth == 0 => fresh = true,
            "," if token.depth == 1 => fresh = true,
            _ if token.depth != 1 => {}
            _ if fresh => {
                column = token.name();
                fresh = false;
                if token.is("CHECK") {
                    check(sql, &all, place, &mut found);
                } else if token.is("FOREIGN") || token.is("CONSTRAINT") {
                    column.clear();
                }
            }
            _ if token.is("COLLATE") => {
                if let Some(next) = next {
                    found.collations.push((column.clone(), next.name().to_ascii_uppercase()));
                }
            }
            _ if token.is("CHECK") => check(sql, &all, place, &mut found),
            _ if token.is("REFERENCES") => found.deferred.push(is_deferred(&all[place..])),
            _ => {}
        }
    }
    found
}

fn check(sql: &str, all: &[Token<'_>], place: usize, found: &mut TableText) {
    let Some(open) = all.get(place + 1).filter(|token| token.text == "(") else { return };
    let Some(close) = all[place + 2..].iter().find(|token| token.text == ")" && token.depth == open.depth) else {
        return;
    };
    let named = place >= 2 && all[place - 2].is("CONSTRAINT");
    let name = if named { all[place - 1].name() } else { String::new() };
    found.checks.push((name, sql[open.end()..close.at].trim().to_owned()));
}

/// Whether `DEFERRABLE INITIALLY DEFERRED` follows before the next column or key.
fn is_deferred(rest: &[Token<'_>]) -> bool {
    let own: Vec<&Token<'_>> = rest
        .iter()
        .enumerate()
        .take_while(|(place, token)| *place == 0 || !ends(token))
        .map(|(_, token)| token)
        .collect();
    own.windows(4)
        .any(|four| !four[0].is("NOT") && four[1].is("DEFERRABLE") && four[2].is("INITIALLY") && four[3].is("DEFERRED"))
}

fn ends(token: &Token<'_>) -> bool {
    (token.depth == 1 && (token.text == "," || token.is("REFERENCES"))) || token.depth == 0
}

/// When a trigger runs and for what (`DELETE`, `INSERT` or `UPDATE`).
pub(super) fn read_trigger(sql: &str) -> (Timing, String) {
    let all = tokens(sql);
    let mut rest = all.iter().skip_while(|token| !token.is("TRIGGER")).skip(1).peekable();
    if rest.next_if(|token| token.is("IF")).is_some() {
        rest.nth(1);
    }
    rest.next();
    if rest.next_if(|token| token.text == ".").is_some() {
        rest.next();
    }
    let mut timing = Timing::Before;
    for token in rest {
        if token.is("AFTER") {
            timing = Timing::After;
        } else if token.is("INSTEAD") {
            timing = Timing::InsteadOf;
        } else if !token.is("BEFORE") && !token.is("OF") {
            return (timing, token.text.to_ascii_uppercase());
        }
    }
    (timing, String::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collations_checks_and_deferred_keys_are_found() {
        let text = read_table(
            "CREATE TABLE \"a (b\" (id INTEGER, -- not , here (\n [e mail] TEXT COLLATE NOCASE UNIQUE, \
             \"CHECK\" INT CHECK (x IN (',', ')')), /* COLLATE rtrim, */ p REFERENCES q(id) ON DELETE CASCADE, \
             r INT REFERENCES s DEFERRABLE INITIALLY DEFERRED, t NUMERIC(10, 2) DEFAULT (1), \
             CONSTRAINT positive CHECK (t > 0), FOREIGN KEY (t, r) REFERENCES u(a, b) NOT DEFERRABLE INITIALLY DEFERRED)",
        );
        assert_eq!(text.collations, [("e mail".to_owned(), "NOCASE".to_owned())]);
        let checks = [("", "x IN (',', ')')"), ("positive", "t > 0")];
        assert_eq!(text.checks, checks.map(|(name, text)| (name.to_owned(), text.to_owned())));
        assert_eq!(text.deferred, [false, true, false]);
    }

    #[test]
    fn broken_text_is_no_panic() {
        for sql in [
            "",
            "(",
            "CREATE TABLE t(a CHECK",
            "x'",
            "\"",
            "[",
            "CHECK (",
            "CREATE TRIGGER",
            "/*",
            "(a\"",
            "''",
            "(\"é",
        ] {
            read_table(sql);
            read_trigger(sql);
            for token in tokens(sql) {
                token.name();
            }
        }
    }

    #[test]
    fn the_event_of_a_trigger_is_found_whatever_its_name() {
        let event = |sql| read_trigger(sql);
        assert_eq!(event("CREATE TRIGGER t DELETE ON x BEGIN SELECT 1; END"), (Timing::Before, "DELETE".into()));
        assert_eq!(
            event("create temp trigger if not exists main.\"after\" after update of a, b on x begin select 1; end"),
            (Timing::After, "UPDATE".into())
        );
        assert_eq!(
            event("CREATE TRIGGER [a b] INSTEAD OF INSERT ON v BEGIN END"),
            (Timing::InsteadOf, "INSERT".into())
        );
    }
}
