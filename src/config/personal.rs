//! `[diagnostics] personal_data_until`: the one key that lets values into diagnostic logs, and for how long.
//!
//! Who debugs a refused statement may need the database's own words, and these may quote a value. So the permission ends
//! by itself: a date, at most [`DAYS_AHEAD`] days ahead, and over with that day.

use chrono::{DateTime, Days, NaiveDate, TimeZone as _, Utc};

use super::diagnostic::Diagnostics;
use super::document::Document;

/// How far ahead the date may lie.
pub const DAYS_AHEAD: u64 = 14;

/// The instant at which the permission ends; `None` where there is none.
pub fn permitted_until(document: &Document) -> Option<DateTime<Utc>> {
    let last = document.diagnostics.personal_data_until.as_deref()?.parse::<NaiveDate>().ok()?;
    let midnight = last.checked_add_days(Days::new(1))?.and_hms_opt(0, 0, 0)?;
    // Where daylight saving takes midnight away, the day is taken for over an hour early.
    let end = document.timezone.from_local_datetime(&midnight).earliest();
    Some(end.map_or_else(|| midnight.and_utc() - chrono::TimeDelta::hours(15), |end| end.with_timezone(&Utc)))
}

pub(super) fn check(document: &Document, now: DateTime<Utc>, diagnostics: &mut Diagnostics) {
    let Some(written) = &document.diagnostics.personal_data_until else { return };
    let path = vec!["diagnostics".to_owned(), "personal_data_until".to_owned()];
    let today = now.with_timezone(&document.timezone).date_naive();
    let latest = today.checked_add_days(Days::new(DAYS_AHEAD)).unwrap_or(today);
    let help = Some(format!("write a date up to \"{latest}\""));
    match written.parse::<NaiveDate>() {
        Err(_) => {
            diagnostics.error(path, "this is no date").with_help(help);
        }
        Ok(last) if last > latest => {
            let message = format!("logs may hold personal data for at most {DAYS_AHEAD} days");
            diagnostics.error(path, message).with_help(help);
        }
        Ok(last) if last < today => {
            let help = Some("take the key out".to_owned());
            diagnostics.warning(path, "this day is over: logs hold no personal data").with_help(help);
        }
        Ok(_) => {
            let message = format!("until the end of {written}, debug and trace messages may hold personal data");
            diagnostics.warning(path, message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(date: &str) -> (bool, String) {
        let text = format!("timezone = \"Europe/Helsinki\"\n[diagnostics]\npersonal_data_until = \"{date}\"\n");
        let mut diagnostics = Diagnostics::default();
        let source = super::super::source::Source::of_text("x", &text, &mut diagnostics);
        let document = super::super::section::read_document(&source, &mut diagnostics);
        // 2 March in Helsinki already.
        let now = "2026-03-01T22:30:00Z".parse().unwrap();
        check(&document, now, &mut diagnostics);
        (diagnostics.has_errors(), diagnostics.render(&source, false))
    }

    #[test]
    fn the_date_lies_at_most_fourteen_days_ahead() {
        for (date, refused, words) in [
            ("2026-03-01", false, "is over"),
            ("2026-03-02", false, "may hold"),
            ("2026-03-16", false, "may hold"),
            ("2026-03-17", true, "at most 14 days"),
            ("soon", true, "no date"),
        ] {
            let (errors, text) = findings(date);
            assert_eq!(errors, refused, "{date}: {text}");
            assert!(text.contains(words), "{date}: {text}");
        }
    }

    #[test]
    fn the_permission_ends_with_the_day() {
        let mut document = crate::config::load_text("x", "timezone = \"Europe/Helsinki\"\n").ok().unwrap().document;
        assert_eq!(permitted_until(&document), None);
        document.diagnostics.personal_data_until = Some("2026-03-02".to_owned());
        assert_eq!(permitted_until(&document), Some("2026-03-02T22:00:00Z".parse().unwrap()));
    }
}
