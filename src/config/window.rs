//! A time of day in which batches are begun: `"01:00-05:00"`. It may pass midnight: `"22:00-04:00"`.

use chrono::NaiveTime;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

/// From the first time of day, up to but without the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String")]
pub struct Window {
    from: NaiveTime,
    to: NaiveTime,
}

impl Window {
    /// Reads `HH:MM-HH:MM`.
    ///
    /// # Errors
    /// What to write instead.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const WRITE: &str = "a window is written \"HH:MM-HH:MM\", as in \"01:00-05:00\"";
        let (from, to) = text.split_once('-').ok_or(WRITE)?;
        let time = |text: &str| NaiveTime::parse_from_str(text.trim(), "%H:%M").map_err(|_| WRITE);
        let window = Self { from: time(from)?, to: time(to)? };
        if window.from == window.to { Err("this window never opens") } else { Ok(window) }
    }

    /// Whether a time of day lies in the window.
    pub fn contains(&self, at: NaiveTime) -> bool {
        if self.from < self.to { self.from <= at && at < self.to } else { at >= self.from || at < self.to }
    }
}

impl<'de> Deserialize<'de> for Window {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_open_and_close() {
        let at = |hour, minute| NaiveTime::from_hms_opt(hour, minute, 0).unwrap();
        let night = Window::parse("22:00-04:00").unwrap();
        assert!(
            night.contains(at(22, 0))
                && night.contains(at(3, 59))
                && !night.contains(at(4, 0))
                && !night.contains(at(12, 0))
        );
        let early = Window::parse("01:00-05:00").unwrap();
        assert!(early.contains(at(1, 0)) && !early.contains(at(5, 0)) && !early.contains(at(0, 59)));
        for bad in ["", "01:00", "1-5", "25:00-26:00", "01:00-01:00", "01:00–05:00"] {
            assert!(Window::parse(bad).is_err(), "{bad}");
        }
    }
}
