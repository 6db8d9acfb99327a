//! Addresses and display names, made plain before anything else sees them.
//!
//! Stricter than the standard and stricter than lettre: ASCII only, a dot-atom before the `@`, a host name after it. What
//! a mail server or a shell may read as something else is refused (`a@[127.0.0.1]`, `-oX@b.c`), and lettre's own parser
//! is never asked about text that was not accepted here: it panics on a line break in a display name.

/// Why a text is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// There is no `@`, or nothing on one side of it.
    #[error("an address is written name@host.example")]
    Form,
    /// It is too long.
    #[error("this address is too long")]
    Long,
    /// A character that has no place here.
    #[error(
        "this address has a character that mail servers disagree about; ASCII letters, digits and .!#$%&'*+/=?^_`{{|}}~- are known to all"
    )]
    Character,
    /// It begins with `-`.
    #[error("an address that begins with `-` can be taken for an option")]
    Option,
    /// `a@[127.0.0.1]`.
    #[error("an address names a host, not a number in brackets")]
    Literal,
    /// The host is none.
    #[error("what follows the @ is no host name")]
    Host,
}

/// An address, plain.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address(String);

impl Address {
    /// Reads `name@host`.
    ///
    /// # Errors
    /// What is wrong with it; the address itself is not in the message.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if text.len() > 254 {
            return Err(AddressError::Long);
        }
        let (local, host) = text.rsplit_once('@').ok_or(AddressError::Form)?;
        if local.is_empty() || host.is_empty() {
            return Err(AddressError::Form);
        }
        if local.len() > 64 {
            return Err(AddressError::Long);
        }
        if text.starts_with('-') {
            return Err(AddressError::Option);
        }
        let atom = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
        if !local.chars().all(atom) || local.starts_with('.') || local.ends_with('.') || local.contains("..") {
            return Err(AddressError::Character);
        }
        if host.starts_with('[') {
            return Err(AddressError::Literal);
        }
        let label = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let last = host.rsplit('.').next().unwrap_or_default();
        if !host.split('.').all(label) || last.chars().all(|c| c.is_ascii_digit()) {
            return Err(AddressError::Host);
        }
        Ok(Self(text.to_owned()))
    }

    /// The address as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What follows the `@`.
    pub fn host(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, host)| host)
    }
}

/// An address, perhaps with the name that is shown beside it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mailbox {
    name: Option<String>,
    address: Address,
}

impl Mailbox {
    /// An address with a name, which is made plain.
    pub fn new(name: Option<&str>, address: Address) -> Self {
        Self { name: name.map(|name| plain(name, 120)).filter(|name| !name.is_empty()), address }
    }

    /// Reads `name@host` or `Name <name@host>`.
    ///
    /// # Errors
    /// What is wrong with the address.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        match text.strip_suffix('>').and_then(|rest| rest.rsplit_once('<')) {
            Some((name, address)) => {
                let name = name.trim();
                let name = name.strip_prefix('"').and_then(|name| name.strip_suffix('"')).unwrap_or(name);
                Ok(Self::new(Some(name), Address::parse(address.trim())?))
            }
            None => Ok(Self::new(None, Address::parse(text)?)),
        }
    }

    /// The address.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The name.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }
}

/// One line of printable text: control characters, line and paragraph separators and the marks that turn the direction
/// of reading become blanks, blanks become one, and what is longer is cut at a character.
pub fn plain(text: &str, most: usize) -> String {
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') || turns(c);
    let words = text.split(|c: char| breaks(c) || c.is_whitespace()).filter(|word| !word.is_empty());
    let mut line = String::new();
    for word in words {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if line.len() > most {
        let mut end = most;
        while !line.is_char_boundary(end) {
            end -= 1;
        }
        line.truncate(end);
        line.truncate(line.trim_end().len());
    }
    line
}

/// A file's name for a mail: ASCII letters, digits, `.`, `_` and `-` of it, not beginning with a dot or a hyphen.
pub fn file_name(text: &str) -> String {
    let kept = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '_' };
    let name: String = text.chars().map(kept).skip_while(|c| matches!(c, '.' | '-')).take(100).collect();
    if name.is_empty() { "file".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_plain_or_refused() {
        for good in ["a@b.c", "ops@example.org", "o'neil+x@sub.example.org", "x@localhost", "a.b@xn--bcher-kva.example"]
        {
            assert_eq!(Address::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "@",
            "a@",
            "@b",
            "a",
            "-oX@b.c",
            "a@[127.0.0.1]",
            "a@[IPv6:::1]",
            "a@127.0.0.1",
            "a b@c.d",
            "a@b..c",
            "a@-b.c",
            "a@b-.c",
            "a\n@b.c",
            "a@b.c\r\nRCPT TO:<x@y.z>",
            "a@b.c\0",
            "\"a b\"@c.d",
            "ä@b.c",
            "a@bü.c",
            "a..b@c.d",
            ".a@b.c",
            "a<@b.c",
            "a>@b.c",
            "a@b.c>",
            "a,b@c.d",
            "a@b@c.d",
        ] {
            assert!(Address::parse(bad).is_err(), "{bad:?}");
        }
        assert!(Address::parse(&format!("{}@b.c", "a".repeat(65))).is_err());
        assert!(Address::parse(&format!("a@{}.c", "b".repeat(300))).is_err());
    }

    #[test]
    fn names_are_one_line_of_print() {
        let name = |text: &str| Mailbox::parse(text).unwrap().name().map(str::to_owned);
        assert_eq!(name("Data protection <privacy@example.org>").as_deref(), Some("Data protection"));
        assert_eq!(name("\"Ops, night\" <ops@example.org>").as_deref(), Some("Ops, night"));
        assert_eq!(name("<ops@example.org>"), None);
        assert_eq!(plain("Eve\r\nBcc: x@y.z\0\u{202e}live", 120), "Eve Bcc: x@y.z live");
        assert_eq!(plain(&"é".repeat(300), 121).chars().count(), 60);
    }
}
