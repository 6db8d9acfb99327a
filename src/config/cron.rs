//! When a job runs, in cron's words: `"30 2 * * *"`, five fields or six, or `@daily` and friends.
//!
//! Only what cron can say is decided here: whether it is well written, whether it ever comes, which civil times it names.
//! What daylight saving makes of those times is decided in `schedule`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use chrono::{DateTime, NaiveDate, NaiveDateTime};
use chrono_tz::Tz;
use croner::parser::{CronParser, Seconds, Year};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

/// A schedule that is well written and comes at least once.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(with = "String", extend("examples" = ["30 2 * * *", "*/15 8-18 * * MON-FRI", "@daily"]))]
pub struct Cron {
    text: String,
    /// Five kilobytes, most of them years: all that have the same fields share it.
    pattern: Arc<croner::Cron>,
}

const WRITE: &str = "write five fields (minute hour day month weekday), as in \"30 2 * * *\", or six with a second before them, or @daily, @hourly, @weekly, @monthly, @yearly";
const NICKNAMES: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * SUN"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];
const FIELDS: [&str; 6] = ["second", "minute", "hour", "day of the month", "month", "weekday"];
/// What may stand in each field besides digits, `*`, `,`, `-` and `/`. croner itself replaces names of days anywhere.
const LETTERS: [&str; 6] = ["", "", "", "LW?", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "ABCDEFGHIJKLMNOPQRSTUVWXYZ#?+"];

/// The patterns that somebody has, by their fields.
static KNOWN: Mutex<BTreeMap<String, Weak<croner::Cron>>> = Mutex::new(BTreeMap::new());

impl Cron {
    /// Reads a schedule.
    ///
    /// # Errors
    /// What is wrong with which field, or that such a time never comes.
    pub fn parse(text: &str) -> Result<Self, String> {
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Err(format!("this is blank; {WRITE}"));
        }
        let fields = match NICKNAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(trimmed)) {
            Some((_, fields)) => *fields,
            None if trimmed.starts_with('@') => {
                let names = NICKNAMES.iter().map(|(name, _)| *name);
                let hint = super::diagnostic::did_you_mean(trimmed, names)
                    .map_or_else(|| WRITE.to_owned(), |near| format!("did you mean `{near}`?"));
                return Err(format!("there is no `{trimmed}`; {hint}"));
            }
            None => trimmed,
        };
        let mut parts: Vec<String> = fields.split_whitespace().map(str::to_uppercase).collect();
        match parts.len() {
            5 => parts.insert(0, "0".to_owned()),
            6 => {}
            number => return Err(format!("this has {number} fields; {WRITE}")),
        }
        for (at, part) in parts.iter().enumerate() {
            check_field(at, part)?;
        }
        let pattern = shared(&parts.join(" ")).map_err(|error| format!("{error}; {WRITE}"))?;
        let cron = Self { text: trimmed.to_owned(), pattern };
        let somewhen = NaiveDate::from_ymd_opt(2026, 1, 1).unwrap_or_default().into();
        match cron.next_civil(somewhen) {
            Some(_) => Ok(cron),
            None => Err("such a time never comes; no month has that day".to_owned()),
        }
    }

    /// The first civil time after `after`.
    pub fn next_civil(&self, after: NaiveDateTime) -> Option<NaiveDateTime> {
        self.pattern.find_next_occurrence(&after, false).ok()
    }

    /// The last civil time at or before `until`.
    pub fn latest_civil(&self, until: NaiveDateTime) -> Option<NaiveDateTime> {
        self.pattern.find_previous_occurrence(&until, true).ok()
    }

    /// Whether it says every hour of the day, and so how often rather than at what time.
    pub fn is_hourly(&self) -> bool {
        self.pattern.pattern.hours.values().len() == 24
    }

    /// The first instant after `after` of a schedule of every hour: it follows real time, so an hour that comes twice
    /// counts twice.
    pub fn next_real(&self, after: &DateTime<Tz>) -> Option<DateTime<Tz>> {
        self.pattern.find_next_occurrence(after, false).ok()
    }

    /// The last instant at or before `until` of a schedule of every hour.
    pub fn latest_real(&self, until: &DateTime<Tz>) -> Option<DateTime<Tz>> {
        self.pattern.find_previous_occurrence(until, true).ok()
    }

    /// Whether both a day of the month and a weekday are said without `+`: cron then takes days that are either.
    pub fn takes_either_day(&self) -> bool {
        let pattern = &self.pattern.pattern;
        !pattern.is_dom_wildcard() && !pattern.is_dow_wildcard() && !pattern.matches_dom_and_dow()
    }

    /// The schedule in words.
    pub fn in_words(&self) -> String {
        // croner takes the last weekday of a month for its last day.
        if self.text.to_ascii_uppercase().contains("LW") { self.text.clone() } else { self.pattern.describe() }
    }
}

impl PartialEq for Cron {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Cron {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        super::visitors::written(deserializer, WRITE, Self::parse)
    }
}

fn parse(fields: &str) -> Result<croner::Cron, croner::errors::CronError> {
    CronParser::builder().seconds(Seconds::Required).year(Year::Disallowed).build().parse(fields)
}

/// The pattern of these fields: the one that is there, if any.
fn shared(fields: &str) -> Result<Arc<croner::Cron>, croner::errors::CronError> {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(pattern) = known.get(fields).and_then(Weak::upgrade) {
        return Ok(pattern);
    }
    let pattern = Arc::new(parse(fields)?);
    // Now and then those that nobody has any more are forgotten.
    if known.len().is_power_of_two() {
        known.retain(|_, pattern| pattern.strong_count() > 0);
    }
    known.insert(fields.to_owned(), Arc::downgrade(&pattern));
    Ok(pattern)
}

/// One field alone, so that a mistake is answered with the name of its field.
fn check_field(at: usize, part: &str) -> Result<(), String> {
    let name = FIELDS.get(at).copied().unwrap_or_default();
    let letters = LETTERS.get(at).copied().unwrap_or_default();
    let refuse = |why: &str| Err(format!("`{part}` is no {name}{why}; {WRITE}"));
    if !part.chars().all(|c| c.is_ascii_digit() || "*,-/".contains(c) || letters.contains(c)) {
        return refuse("");
    }
    if part.split(',').any(str::is_empty) {
        return refuse(": something is missing beside a comma");
    }
    let mut alone = ["0", "0", "0", "*", "*", "*"];
    if let Some(place) = alone.get_mut(at) {
        *place = part;
    }
    match parse(&alone.join(" ")) {
        Ok(_) => Ok(()),
        Err(croner::errors::CronError::ComponentError(why)) => refuse(&format!(": {}", why.trim_end_matches('.'))),
        Err(_) => refuse(""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_are_read() {
        let good = [
            "30 2 * * *",
            "0 30 2 * * *",
            "*/15 * * * *",
            "0 9-17/2 * * MON-FRI",
            "0 0 L * *",
            "0 0 15W * *",
            "0 0 * * 5#2",
            "0 0 * * 5L",
            "0 0 1 JAN-MAR ?",
            "@daily",
            "@Hourly",
            " 5 4 * * sun ",
            "0 0 29 2 *",
            "0 0 LW * *",
            "0 0 1 * +MON",
            "0 0 * * 7",
        ];
        for text in good {
            assert!(Cron::parse(text).is_ok(), "{text}: {:?}", Cron::parse(text));
        }
    }

    #[test]
    fn mistakes_name_their_field() {
        let bad = [
            ("", "blank"),
            ("* * * *", "4 fields"),
            ("0 0 0 1 1 * 2030", "7 fields"),
            ("61 2 * * *", "`61` is no minute"),
            ("0 24 * * *", "`24` is no hour"),
            ("0 0 32 * *", "`32` is no day of the month"),
            ("0 0 * 13 *", "`13` is no month"),
            ("0 0 * * 8", "`8` is no weekday"),
            ("0 0 * * MOM", "no weekday"),
            ("MON 0 * * *", "`MON` is no minute"),
            ("5/5 * * * *", "no minute"),
            ("1,,2 * * * *", "comma"),
            (", * * * *", "comma"),
            ("0 22-2 * * *", "`22-2` is no hour"),
            ("0 0 30 2 *", "never comes"),
            ("0 0 31 4,6 *", "never comes"),
            ("@reboot", "there is no `@reboot`"),
            ("@dayly", "did you mean `@daily`"),
            ("every day at nine", "4 fields"),
            ("0 0 L-3 * *", "no day of the month"),
            ("H 2 * * *", "`H` is no minute"),
        ];
        for (text, message) in bad {
            match Cron::parse(text) {
                Ok(_) => panic!("{text:?} was taken"),
                Err(error) => assert!(error.contains(message), "{text:?}: {error}"),
            }
        }
    }

    #[test]
    fn words_and_warnings() {
        assert_eq!(Cron::parse("30 2 * * *").unwrap().in_words(), "At 02:30.");
        assert_eq!(Cron::parse("0 0 LW * *").unwrap().in_words(), "0 0 LW * *");
        assert!(Cron::parse("0 0 1 * MON").unwrap().takes_either_day());
        for text in ["0 0 1 * +MON", "0 0 1 * *", "0 0 * * MON", "0 0 ? * MON"] {
            assert!(!Cron::parse(text).unwrap().takes_either_day(), "{text}");
        }
        assert!(Cron::parse("*/5 0-23 * * *").unwrap().is_hourly() && !Cron::parse("0 */2 * * *").unwrap().is_hourly());
    }

    #[test]
    fn those_with_the_same_fields_share_a_pattern() {
        let (one, same, other) =
            ["@daily", "0 0  * * *", "0 1 * * *"].map(|text| Cron::parse(text).unwrap().pattern).into();
        assert!(Arc::ptr_eq(&one, &same) && !Arc::ptr_eq(&one, &other));
    }
}
