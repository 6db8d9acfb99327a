//! A Rust file taken apart for `tests/layers.rs`: code without comments, literals and tests, and the literals beside it.

/// A file, ready to be looked at.
pub struct Source {
    /// From the root of the repository: `src/plan.rs`.
    pub path: String,
    /// The text as it is.
    pub raw: String,
    /// The text with comments, the insides of literals and test code blanked; byte for byte as long as `raw`.
    pub code: String,
    /// The string literals outside comments and test code: where they begin, and what they hold.
    pub strings: Vec<(usize, String)>,
}

impl Source {
    /// Takes a text apart.
    pub fn new(path: &str, raw: &str) -> Self {
        let (mut code, mut strings) = strip(raw);
        let is_test = path.ends_with("/tests.rs") || path.contains("/tests/");
        for (from, to) in if is_test { vec![(0, code.len())] } else { test_ranges(&code) } {
            code.replace_range(from..to, &blank(&code[from..to]));
            strings.retain(|(at, _)| !(from..to).contains(at));
        }
        Self { path: path.to_owned(), raw: raw.to_owned(), code, strings }
    }

    /// The top-level module that the file belongs to.
    pub fn module(&self) -> &str {
        let inner = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        inner.split('/').next().unwrap_or(inner)
    }

    /// How many `super` lead from the file's module to the root.
    fn depth(&self) -> usize {
        self.path.trim_start_matches("src/").trim_end_matches("/mod.rs").split('/').count()
    }

    /// `path:line: what`, for a message.
    pub fn at(&self, offset: usize, what: &str) -> String {
        format!("{}:{}: {what}", self.path, 1 + self.raw[..offset].matches('\n').count())
    }

    /// Where `word` stands in the code as a whole word.
    pub fn words<'a>(&'a self, word: &'a str) -> impl Iterator<Item = usize> + 'a {
        let part_of_name = |c: char| c.is_alphanumeric() || c == '_';
        self.code.match_indices(word).map(|(at, _)| at).filter(move |&at| {
            !self.code[..at].ends_with(part_of_name) && !self.code[at + word.len()..].starts_with(part_of_name)
        })
    }

    /// The top-level modules that the code names, and where.
    pub fn imports(&self) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        for root in ["crate::", "retentiond::"] {
            for (at, _) in self.code.match_indices(root) {
                if !self.code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
                    first_names(&self.code, at + root.len(), &mut found);
                }
            }
        }
        let climb = "super::".repeat(self.depth());
        for (at, _) in self.code.match_indices(&climb) {
            found.retain(|(place, _)| *place != at + climb.len());
            first_names(&self.code, at + climb.len(), &mut found);
        }
        found
    }
}

/// The names that begin at `at`: one, or those of a `{…}` list at its first level. Macros and types are left out.
fn first_names(code: &str, at: usize, found: &mut Vec<(usize, String)>) {
    let mut take = |at: usize| {
        let name: String = code[at..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let is_macro = code[at + name.len()..].starts_with('!');
        if name.starts_with(|c: char| c.is_lowercase()) && !is_macro && name != "self" && name != "super" {
            found.push((at, name));
        }
    };
    if !code[at..].starts_with('{') {
        return take(at);
    }
    let (mut depth, mut expected) = (0, false);
    for (offset, c) in code[at..].char_indices() {
        match c {
            '{' => (depth, expected) = (depth + 1, depth == 0),
            '}' => depth -= 1,
            ',' => expected = depth == 1,
            c if expected && !c.is_whitespace() => {
                take(at + offset);
                expected = false;
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
}

fn blank(text: &str) -> String {
    text.bytes().map(|b| if b == b'\n' { '\n' } else { ' ' }).collect()
}

/// Takes comments and the insides of literals out of a text, and gives the string literals beside it.
fn strip(raw: &str) -> (String, Vec<(usize, String)>) {
    let (mut code, mut strings, mut at) = (String::with_capacity(raw.len()), Vec::new(), 0);
    while at < raw.len() {
        let rest = &raw[at..];
        let named = code.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let hashes = rest.trim_start_matches("br").trim_start_matches('r').bytes().take_while(|b| *b == b'#').count();
        let raw_start = [format!("r{}\"", "#".repeat(hashes)), format!("br{}\"", "#".repeat(hashes))];
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if let Some(start) = raw_start.iter().find(|start| !named && rest.starts_with(start.as_str())) {
            let end = format!("\"{}", "#".repeat(hashes));
            let inside = rest[start.len()..].find(&end).unwrap_or(rest.len() - start.len() - end.len());
            strings.push((at, rest[start.len()..start.len() + inside].to_owned()));
            start.len() + inside + end.len()
        } else if rest.starts_with('"') {
            let length = quoted(rest, '"');
            strings.push((at, rest[1..length - 1].to_owned()));
            length
        } else if let Some(length) = char_literal(rest) {
            length
        } else {
            let c = rest.chars().next().unwrap_or(' ');
            // Blanks for letters of other alphabets keep the text as long in bytes as it was.
            if c.is_ascii() {
                code.push(c)
            } else {
                code.push_str(&" ".repeat(c.len_utf8()))
            }
            at += c.len_utf8();
            continue;
        };
        code.push_str(&blank(&rest[..length]));
        at += length;
    }
    (code, strings)
}

/// The length of the block comment that a text begins with; they nest.
fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        let step = if rest[at..].starts_with("/*") {
            depth += 1;
            2
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            2
        } else {
            rest[at..].chars().next().map_or(1, char::len_utf8)
        };
        at += step;
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of the literal that a text begins with, its two quotes included.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// The length of the character literal that a text begins with; none for a lifetime.
fn char_literal(rest: &str) -> Option<usize> {
    let inside = rest.strip_prefix('\'')?;
    let first = inside.chars().next()?;
    let is_literal = first == '\\' || inside[first.len_utf8()..].starts_with('\'');
    is_literal.then(|| quoted(rest, '\''))
}

/// The stretches of stripped code that `#[cfg(test)]` takes out of the program.
fn test_ranges(code: &str) -> Vec<(usize, usize)> {
    let mut ranges = Vec::new();
    for (from, _) in code.match_indices("#[cfg(test)]") {
        let (mut depth, mut to) = (0, code.len());
        for (offset, c) in code[from..].char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 && (c == '}' || c == ';') {
                to = from + offset + 1;
                break;
            }
        }
        ranges.push((from, to));
    }
    ranges
}
