//! How a record is written: JSON by RFC 8785 (JCS), with no fractions and no numbers beyond 2^53 − 1.
//!
//! Keys are sorted, nothing is between the tokens, and strings are escaped as little as JSON allows. So a value has one
//! text, in any language: Python's `json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)` writes
//! the same. A text that is not written so is no record.
//!
//! **Invariant.** A record holds an [`Item`], and what an item can be made of is a count, a switch, a word of the program, a
//! hash, an instant, or a name that was validated: no text that somebody typed, and no value of a column. It is the types
//! that see to that.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::Value;

use super::hex;
use super::tree::Hash;
use crate::names::{CategoryName, DataName, JobName, PersonName, StoreName};

/// The largest integer that every JSON reader reads exactly.
const LARGEST: u64 = (1 << 53) - 1;

/// A hash or a random id: hexadecimal digits and hyphens, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Digest(String);

impl Digest {
    /// Of bytes.
    pub fn of(hash: &Hash) -> Self {
        Self(hex::encode(hash))
    }

    /// Of a text of hexadecimal digits and hyphens, 4 to 64 of them; `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        let plain = |c: char| matches!(c, '0'..='9' | 'a'..='f' | '-');
        ((4..=64).contains(&text.len()) && text.chars().all(plain)).then(|| Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Something that a record may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item(Inner);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Inner {
    Number(i64),
    Flag(bool),
    Text(String),
    List(Vec<Item>),
    Map(BTreeMap<&'static str, Item>),
}

impl Item {
    /// A list.
    pub fn list(items: impl IntoIterator<Item = Item>) -> Self {
        Self(Inner::List(items.into_iter().collect()))
    }

    /// Named items.
    pub fn map<const N: usize>(items: [(&'static str, Item); N]) -> Self {
        Self(Inner::Map(items.into_iter().collect()))
    }

    /// Adds a named item to named items.
    #[must_use]
    pub fn with(mut self, name: &'static str, item: impl Into<Item>) -> Self {
        if let Inner::Map(items) = &mut self.0 {
            items.insert(name, item.into());
        }
        self
    }

    /// Adds a named item, if there is one.
    #[must_use]
    pub fn with_some(self, name: &'static str, item: Option<impl Into<Item>>) -> Self {
        match item {
            Some(item) => self.with(name, item),
            None => self,
        }
    }

    fn to_value(&self) -> Value {
        match &self.0 {
            Inner::Number(number) => Value::from(*number),
            Inner::Flag(flag) => Value::from(*flag),
            Inner::Text(text) => Value::from(text.as_str()),
            Inner::List(items) => Value::Array(items.iter().map(Self::to_value).collect()),
            Inner::Map(items) => {
                Value::Object(items.iter().map(|(name, item)| ((*name).to_owned(), item.to_value())).collect())
            }
        }
    }

    /// The text.
    pub fn to_text(&self) -> String {
        // An item has no number that JSON could not write.
        encode(&self.to_value()).unwrap_or_default()
    }
}

impl From<u64> for Item {
    fn from(count: u64) -> Self {
        Self(Inner::Number(i64::try_from(count.min(LARGEST)).unwrap_or_default()))
    }
}

impl From<i64> for Item {
    fn from(number: i64) -> Self {
        let most = i64::try_from(LARGEST).unwrap_or_default();
        Self(Inner::Number(number.clamp(-most, most)))
    }
}

impl From<bool> for Item {
    fn from(flag: bool) -> Self {
        Self(Inner::Flag(flag))
    }
}

/// A word of the program.
impl From<&'static str> for Item {
    fn from(word: &'static str) -> Self {
        Self(Inner::Text(word.to_owned()))
    }
}

impl From<&Digest> for Item {
    fn from(digest: &Digest) -> Self {
        Self(Inner::Text(digest.0.clone()))
    }
}

impl From<DateTime<Utc>> for Item {
    fn from(at: DateTime<Utc>) -> Self {
        Self(Inner::Text(at.to_rfc3339_opts(SecondsFormat::Micros, true)))
    }
}

macro_rules! copies {
    ($($plain:ty)*) => {$(
        impl From<&$plain> for Item {
            fn from(plain: &$plain) -> Self {
                (*plain).into()
            }
        }
    )*};
}

copies! { u64 i64 bool &'static str DateTime<Utc> }

macro_rules! lists {
    ($($plain:ty)*) => {$(
        impl From<&Vec<$plain>> for Item {
            fn from(items: &Vec<$plain>) -> Self {
                Self::list(items.iter().map(Self::from))
            }
        }
    )*};
}

lists! { &'static str Digest super::act::Sum super::act::Braked }

macro_rules! names {
    ($($name:ident)*) => {$(
        impl From<&$name> for Item {
            fn from(name: &$name) -> Self {
                Self(Inner::Text(name.as_str().to_owned()))
            }
        }
    )*};
}

// No `CaseName`: what a case is called may name a person.
names! { CategoryName DataName JobName PersonName StoreName }

/// The one text of a value; `None` when a number in it has a fraction or is too large.
pub fn encode(value: &Value) -> Option<String> {
    let mut text = String::new();
    write(value, &mut text)?;
    Some(text)
}

fn write(value: &Value, text: &mut String) -> Option<()> {
    match value {
        Value::Null | Value::Bool(_) => text.push_str(&value.to_string()),
        Value::Number(number) => {
            let magnitude = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs))?;
            if magnitude > LARGEST {
                return None;
            }
            text.push_str(&number.to_string());
        }
        // serde_json escapes as RFC 8785 asks.
        Value::String(string) => text.push_str(&serde_json::to_string(string).ok()?),
        Value::Array(items) => {
            text.push('[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    text.push(',');
                }
                write(item, text)?;
            }
            text.push(']');
        }
        Value::Object(items) => {
            // By UTF-16, which for the names that we use is the order of bytes.
            let mut names: Vec<&String> = items.keys().collect();
            names.sort_by(|a, b| a.encode_utf16().cmp(b.encode_utf16()));
            text.push('{');
            for (place, name) in names.into_iter().enumerate() {
                if place > 0 {
                    text.push(',');
                }
                text.push_str(&serde_json::to_string(name).ok()?);
                text.push(':');
                write(items.get(name)?, text)?;
            }
            text.push('}');
        }
    }
    Some(())
}

/// Reads a text that is written in the one way.
pub fn decode(text: &str) -> Option<Value> {
    let value: Value = serde_json::from_str(text).ok()?;
    (encode(&value)? == text).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_8785_is_sorted_and_escaped_so() {
        let text = r#"{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh","1":"One","\ud83d\ude00":"Emoji: Grinning Face","\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis"}"#;
        let value: Value = serde_json::from_str(text).unwrap();
        let expected = "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u{80}\":\"Control\",\"ö\":\"Latin Small Letter O With Diaeresis\",\"€\":\"Euro Sign\",\"😀\":\"Emoji: Grinning Face\",\"\u{fb33}\":\"Hebrew Letter Dalet With Dagesh\"}";
        assert_eq!(encode(&value).unwrap(), expected);
    }

    #[test]
    fn only_the_one_text_is_read() {
        for good in ["{}", r#"{"a":1,"b":[true,null,"x\n"]}"#, "-5", "9007199254740991"] {
            assert!(decode(good).is_some(), "{good}");
        }
        for bad in
            ["{ }", r#"{"b":1,"a":2}"#, "1.5", "1e3", "9007199254740992", r#""\u0041""#, "{\"a\":1,\"a\":1}", "01"]
        {
            assert!(decode(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn an_item_is_written_in_the_one_way() {
        let item = Item::map([("z", 7_u64.into()), ("a", Item::list([true.into(), "word".into()]))])
            .with("m", -3_i64)
            .with_some("no", None::<u64>);
        assert_eq!(item.to_text(), r#"{"a":[true,"word"],"m":-3,"z":7}"#);
        assert!(decode(&item.to_text()).is_some());
    }

    #[test]
    fn a_digest_is_no_text() {
        for bad in ["", "abc", "Ada Lovelace", "ABCD", "dead beef", "deadbeefé", &"a".repeat(65)] {
            assert!(Digest::parse(bad).is_none(), "{bad}");
        }
        assert!(Digest::parse("01939f2e-7a3c-7000-8000-0123456789ab").is_some());
    }
}
