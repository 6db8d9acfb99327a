//! A line of the spool, taken apart again without copying what need not be copied.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::texts::Texts;
use super::times;

/// One record.
#[derive(Deserialize)]
pub(super) struct Line<'a> {
    #[serde(borrow)]
    pub(super) values: Values<'a>,
    #[serde(default, borrow)]
    pub(super) kept_until: Option<&'a str>,
    #[serde(default)]
    pub(super) mentioned: bool,
}

/// The values, in the order of the columns.
pub(super) struct Values<'a>(pub(super) Vec<&'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for Values<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Values<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("values by column")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Values<'de>, A::Error> {
                let mut values = Vec::new();
                while let Some((_, value)) = map.next_entry::<serde::de::IgnoredAny, &'de RawValue>()? {
                    values.push(value);
                }
                Ok(Values(values))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

/// A value as it stands in a record.
pub(super) enum Plain<'a> {
    Nothing,
    Text(Cow<'a, str>),
    /// A number, or a truth, as JSON writes it.
    Word(&'a str),
    Masked,
}

impl<'a> Plain<'a> {
    pub(super) fn of(value: &'a RawValue) -> Self {
        let raw = value.get();
        match raw.as_bytes().first() {
            Some(b'n') | None => Self::Nothing,
            Some(b'{') => Self::Masked,
            Some(b'"') => match raw.get(1..raw.len().saturating_sub(1)) {
                Some(text) if !text.contains('\\') => Self::Text(Cow::Borrowed(text)),
                _ => Self::Text(Cow::Owned(serde_json::from_str(raw).unwrap_or_default())),
            },
            Some(_) => Self::Word(raw),
        }
    }
}

/// A value as people read it.
pub(super) fn readable(value: &RawValue, texts: &Texts) -> String {
    match Plain::of(value) {
        Plain::Nothing => String::new(),
        Plain::Masked => texts.get("masked").to_owned(),
        Plain::Word("true") => texts.get("yes").to_owned(),
        Plain::Word("false") => texts.get("no").to_owned(),
        Plain::Word(word) => word.to_owned(),
        Plain::Text(text) => times::readable(&text).into_owned(),
    }
}
