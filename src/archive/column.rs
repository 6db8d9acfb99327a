//! A column of archived rows, and how its values are written.

use serde::{Deserialize, Serialize};

/// A column, as it was when its values were archived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Archived {
    /// Its name.
    pub name: String,
    /// Its type, as it was declared.
    pub declared: String,
    /// Whether it holds whole numbers, which are written as such.
    pub number: bool,
    /// Whether it holds bytes, and with which digits the database writes them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<Digits>,
}

/// The digits of bytes, two for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Digits {
    /// `0…9a…f`: PostgreSQL.
    Lower,
    /// `0…9A…F`: MariaDB and SQLite.
    Upper,
}

impl Archived {
    /// A column of text, or of what is written as text.
    pub fn of(name: &str, declared: &str) -> Self {
        Self { name: name.to_owned(), declared: declared.to_owned(), number: false, bytes: None }
    }

    /// A value as a number, where it comes back as the very same text.
    pub(super) fn as_number(&self, text: &str) -> Option<i64> {
        if self.number { text.parse().ok().filter(|number: &i64| number.to_string() == text) } else { None }
    }

    /// Whether all values of the column can be of the type that it has: each comes back as the very same text.
    pub(super) fn takes(&self, text: &str) -> bool {
        if self.number {
            return self.as_number(text).is_some();
        }
        self.bytes.is_none_or(|digits| digits.read(text).is_some())
    }

    /// The column as one of text, which takes whatever a database gives.
    #[must_use]
    pub fn as_text(mut self) -> Self {
        (self.number, self.bytes) = (false, None);
        self
    }
}

impl Digits {
    /// The bytes of a text, where they come back as the very same text.
    pub(super) fn read(self, text: &str) -> Option<Vec<u8>> {
        let digit = |digit: u8| match (digit, self) {
            (b'0'..=b'9', _) => Some(digit - b'0'),
            (b'a'..=b'f', Self::Lower) => Some(digit - b'a' + 10),
            (b'A'..=b'F', Self::Upper) => Some(digit - b'A' + 10),
            _ => None,
        };
        let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
        pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
    }

    /// Bytes as text.
    #[cfg(any(feature = "parquet", test))]
    pub(super) fn write(self, bytes: &[u8]) -> String {
        let digits: &[u8; 16] = match self {
            Self::Lower => b"0123456789abcdef",
            Self::Upper => b"0123456789ABCDEF",
        };
        let pairs = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        pairs.filter_map(|half| digits.get(usize::from(half))).copied().map(char::from).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_takes_what_comes_back_as_it_was() {
        let number = Archived { number: true, ..Archived::of("n", "bigint") };
        for text in ["0", "-7", "9223372036854775807", "-9223372036854775808"] {
            assert!(number.takes(text), "{text}");
        }
        for text in ["", "007", "+1", "1.0", "9223372036854775808", "x'00'", "-0", " 1"] {
            assert!(!number.takes(text) && number.clone().as_text().takes(text), "{text}");
        }
        let bytes = Archived { bytes: Some(Digits::Upper), ..Archived::of("b", "blob") };
        for (text, taken) in
            [("", true), ("00FF7F", true), ("00ff7f", false), ("0", false), ("0G", false), ("é", false)]
        {
            assert_eq!(bytes.takes(text), taken, "{text}");
        }
        for digits in [Digits::Lower, Digits::Upper] {
            let all: Vec<u8> = (0..=255).collect();
            assert_eq!(digits.read(&digits.write(&all)), Some(all));
        }
        assert_eq!((Digits::Lower.write(&[175]), Digits::Upper.write(&[175])), ("af".to_owned(), "AF".to_owned()));
    }

    /// Archives that were written before columns of bytes were told apart.
    #[test]
    fn a_manifest_need_not_speak_of_bytes() {
        let said = r#"{"name":"b","declared":"blob","number":false}"#;
        let read: Archived = serde_json::from_str(said).unwrap();
        assert_eq!((read.bytes, serde_json::to_string(&read).unwrap().as_str()), (None, said));
    }
}
