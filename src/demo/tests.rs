//! The generated contact centre on SQLite: the same twice, everything in it, and at home in the shipped policy.

use std::collections::BTreeMap;
use std::path::Path;

use chrono::{DateTime, Utc};

use super::center::{STORES, install};
use super::tables::Table;
use super::world::Keep;
use super::{Options, Size, Summary, contacts, seed};
use crate::store::bulk::memory;
use crate::store::{Conn, Stmt};

type Centre = BTreeMap<&'static str, Conn>;

fn now() -> DateTime<Utc> {
    "2026-03-31T09:00:00Z".parse().unwrap()
}

fn fill(number: u64, size: u64, recordings: Option<&Path>) -> (Centre, Summary) {
    let mut centre: Centre = STORES.iter().map(|store| (*store, memory())).collect();
    for (store, conn) in &mut centre {
        install(conn, store).unwrap();
    }
    let mut targets = centre.iter_mut().map(|(store, conn)| (*store, conn)).collect();
    let options = Options { seed: number, size: Size::of(size), now: now() };
    let summary = seed(&mut targets, recordings, &options, &mut |_| ()).unwrap();
    (centre, summary)
}

fn count(centre: &mut Centre, store: &str, sql: &'static str) -> i64 {
    let rows = centre.get_mut(store).unwrap().catalog_rows(&Stmt::new(sql)).unwrap();
    rows[0].count(0).unwrap()
}

/// All that is in a store, as text.
fn dump(conn: &mut Conn, store: &str) -> String {
    let mut text = String::new();
    for table in Table::ALL.iter().filter(|table| table.store() == store) {
        let mut stmt = Stmt::new("SELECT ");
        for (index, column) in table.columns().iter().copied().enumerate() {
            stmt.sql(if index == 0 { "CAST(" } else { ", CAST(" }).sql(column).sql(" AS TEXT)");
        }
        stmt.sql(" FROM ").sql(table.name());
        for row in conn.catalog_rows(&stmt).unwrap() {
            let values: Vec<_> = (0..table.columns().len()).map(|index| row.plain(index).unwrap_or("NULL")).collect();
            text.push_str(&values.join("|"));
            text.push('\n');
        }
    }
    text
}

#[test]
fn the_same_seed_gives_the_same_data_and_another_another() {
    let ((mut one, first), (mut two, second), (mut other, _)) =
        (fill(7, 600, None), fill(7, 600, None), fill(8, 600, None));
    assert_eq!(first, second);
    for store in STORES {
        let text = dump(one.get_mut(store).unwrap(), store);
        assert_eq!(text, dump(two.get_mut(store).unwrap(), store), "{store}");
        assert_ne!(text, dump(other.get_mut(store).unwrap(), store), "{store}");
    }
}

#[test]
fn the_summary_is_what_the_databases_hold() {
    let (mut centre, summary) = fill(1, 1_000, None);
    for table in Table::ALL {
        let mut stmt = Stmt::new("SELECT CAST(COUNT(*) AS TEXT) FROM ");
        stmt.sql(table.name());
        let found = centre.get_mut(table.store()).unwrap().catalog_rows(&stmt).unwrap()[0].count(0).unwrap();
        assert_eq!(summary.rows[table.name()], found.unsigned_abs(), "{}", table.name());
        assert!(found > 0, "{} is empty", table.name());
    }
    assert_eq!(summary.rows["contacts"], 1_000 + 3 * 11);
    assert_eq!(summary.rows["contact_events"], 5 * summary.rows["contacts"]);
    let (calls, recordings) = (
        count(&mut centre, "operative", "SELECT CAST(COUNT(*) AS TEXT) FROM contacts WHERE channel = 'call'"),
        count(&mut centre, "operative", "SELECT CAST(COUNT(*) AS TEXT) FROM recordings"),
    );
    assert!((33..48).contains(&(recordings * 100 / calls)), "{recordings} of {calls}");
    assert_eq!(fill(1, 20_000, None).1.rows["user_names"], 40, "one user for 500 contacts");
}

#[test]
fn every_awkward_case_is_there_however_small_the_centre() {
    let (mut centre, summary) = fill(3, 500, None);
    let missing: Vec<_> = summary.cases.iter().filter(|(_, number)| **number == 0).collect();
    assert!(missing.is_empty(), "{missing:?}");
    // What the counters say is what the rows say.
    for (case, store, sql) in [
        (
            "sentinel_end",
            "operative",
            "SELECT CAST(COUNT(*) AS TEXT) FROM contacts WHERE ended_at = '1970-01-01 00:00:00'",
        ),
        ("no_queue", "operative", "SELECT CAST(COUNT(*) AS TEXT) FROM contacts WHERE queue_id IS NULL"),
        (
            "consent_missing",
            "operative",
            "SELECT CAST(COUNT(*) AS TEXT) FROM recordings WHERE customer_consent IS NULL",
        ),
        ("consent_refused", "operative", "SELECT CAST(COUNT(*) AS TEXT) FROM recordings WHERE customer_consent = 0"),
        (
            "number_withheld",
            "operative",
            "SELECT CAST(COUNT(*) AS TEXT) FROM contacts WHERE channel = 'call' AND caller_number IS NULL",
        ),
        (
            "phone_spelling",
            "operative",
            "SELECT CAST(COUNT(*) AS TEXT) FROM contacts WHERE caller_number LIKE '0%' OR caller_number LIKE '% %'",
        ),
        ("running_campaign", "outbound", "SELECT CAST(COUNT(*) AS TEXT) FROM campaigns WHERE finished_at IS NULL"),
        (
            "lasting_presence",
            "operative",
            "SELECT CAST(COUNT(*) AS TEXT) FROM presences WHERE ended_at = '9999-12-31 00:00:00'",
        ),
        ("never_updated", "monitoring", "SELECT CAST(COUNT(*) AS TEXT) FROM live_agents WHERE updated_at = 0"),
        (
            "open_request",
            "configuration",
            "SELECT CAST(COUNT(*) AS TEXT) FROM privacy_requests WHERE answered_at IS NULL",
        ),
        (
            "deleted_user",
            "configuration",
            "SELECT CAST(COUNT(*) AS TEXT) FROM user_names WHERE user_id NOT IN (SELECT id FROM users)",
        ),
    ] {
        assert_eq!(summary.cases[case], count(&mut centre, store, sql).unsigned_abs(), "{case}");
    }
    let open = summary.cases["open_contact"] + summary.cases["never_closed"];
    let sql = "SELECT CAST(COUNT(*) AS TEXT) FROM contacts WHERE ended_at IS NULL";
    assert_eq!(open, count(&mut centre, "operative", sql).unsigned_abs());
}

#[test]
fn times_lie_in_five_years_and_in_their_order() {
    let (mut centre, _) = fill(5, 3_000, None);
    for (what, sql) in [
        ("future", "SELECT CAST(COUNT(*) AS TEXT) FROM contacts WHERE ended_at > '2026-03-31 09:00:00'"),
        (
            "backwards",
            "SELECT CAST(COUNT(*) AS TEXT) FROM contacts WHERE ended_at < answered_at AND ended_at > '1971' OR answered_at < started_at",
        ),
        (
            "recorded before the call",
            "SELECT CAST(COUNT(*) AS TEXT) FROM recordings r JOIN contacts c ON c.id = r.contact_id WHERE r.recorded_at < c.started_at",
        ),
        (
            "events",
            "SELECT CAST(COUNT(*) AS TEXT) FROM contact_events WHERE occurred_at > '2026-03-31 09:00:00' OR duration_seconds < 0",
        ),
    ] {
        assert_eq!(count(&mut centre, "operative", sql), 0, "{what}");
    }
    // Text times have one format, which the policy states: a fraction of a second would break it.
    for table in Table::ALL.iter().filter(|table| table.store() != "monitoring") {
        for column in table.columns().iter().copied().filter(|column| column.ends_with("_at")) {
            let mut stmt = Stmt::new("SELECT CAST(COUNT(*) AS TEXT) FROM ");
            stmt.sql(table.name()).sql(" WHERE LENGTH(").sql(column).sql(") <> 19");
            let found = centre.get_mut(table.store()).unwrap().catalog_rows(&stmt).unwrap();
            assert_eq!(found[0].count(0), Some(0), "{}.{column}", table.name());
        }
    }
    for (year, sql) in [
        (2021, "SELECT CAST(COUNT(*) AS TEXT) FROM contacts WHERE started_at < '2022-01-01'"),
        (2023, "SELECT CAST(COUNT(*) AS TEXT) FROM contacts WHERE started_at BETWEEN '2023-01-01' AND '2024-01-01'"),
        (2026, "SELECT CAST(COUNT(*) AS TEXT) FROM contacts WHERE started_at >= '2026-01-01'"),
    ] {
        assert!(count(&mut centre, "operative", sql) > 100, "{year}");
    }
}

#[test]
fn every_recording_has_its_file_but_those_that_are_missing_and_orphans_have_no_row() {
    let folder = tempfile::tempdir().unwrap();
    let (mut centre, summary) = fill(11, 1_500, Some(folder.path()));
    let rows =
        centre.get_mut("operative").unwrap().catalog_rows(&Stmt::new("SELECT file_path FROM recordings")).unwrap();
    let missing = rows.iter().filter(|row| !folder.path().join(row.plain(0).unwrap()).exists()).count();
    assert_eq!(missing as u64, summary.cases["missing_file"]);
    let mut folders = vec![folder.path().to_owned()];
    let (mut files, mut orphans) = (0, 0);
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else if entry.file_name() != ".retentiond-store" {
                files += 1;
                orphans += u64::from(entry.file_name().to_string_lossy().starts_with("orphan"));
                assert_eq!(&std::fs::read(entry.path()).unwrap()[..4], b"RIFF");
            }
        }
    }
    assert_eq!(files, summary.files);
    assert_eq!(orphans, summary.cases["orphan_file"]);
    assert_eq!(files, summary.rows["recordings"] - summary.cases["missing_file"] + orphans);
}

#[test]
fn the_cutoffs_in_the_data_are_those_of_the_shipped_policy() {
    let policy: toml::Table = include_str!("../../jobs.toml").parse().unwrap();
    let said = |job: &str, queue: Option<&str>| -> String {
        let job = policy["jobs"][job].as_table().unwrap();
        let names = |rule: &toml::Value, queue: &str| {
            let queues = rule["where"].as_table().unwrap().values().next().unwrap();
            queues.as_str() == Some(queue)
                || queues.as_array().is_some_and(|list| list.iter().any(|name| name.as_str() == Some(queue)))
        };
        let rules = job.get("override").and_then(toml::Value::as_array);
        let found = queue.map(|queue| rules.unwrap().iter().find(|rule| names(rule, queue)).unwrap());
        found.map_or(&job["keep"], |rule| &rule["keep"]).as_str().unwrap().to_owned()
    };
    let spelled = |keep: Keep| match keep {
        Keep::Days(days) => format!("{days} days"),
        Keep::Months(12) => "1 year".to_owned(),
        Keep::Months(months) if months % 12 == 0 => format!("{} years", months / 12),
        Keep::Months(months) => format!("{months} months"),
    };
    for (channel, queue, keep) in contacts::KEEPS {
        assert_eq!(said(&format!("{channel}s"), *queue), spelled(*keep), "{channel} {queue:?}");
    }
    for (queue, keep) in contacts::RECORDING_KEEPS {
        assert_eq!(said("recordings", *queue), spelled(*keep), "{queue:?}");
    }
    for (job, keep) in [
        ("campaigns", "6 months"),
        ("reporting", "3 years"),
        ("presences", "1 year"),
        ("listening_log", "1 year"),
        ("monitoring", "2 days"),
    ] {
        assert_eq!(said(job, None), keep, "{job}");
    }
}

#[test]
fn the_policy_names_only_tables_and_columns_that_exist() {
    let policy: toml::Table = include_str!("../../jobs.toml").parse().unwrap();
    let data = policy["data"].as_table().unwrap();
    let jobs = policy["jobs"].as_table().unwrap();
    // Summaries are made by their job, not by the generator; `check` holds them against the live table.
    let summaries: Vec<&str> = jobs.values().filter_map(|job| job.get("into")?.as_str()).collect();
    // Tables of captured changes are made with their triggers, when the generator is done.
    let generated = |name: &str, entry: &toml::Value| {
        !summaries.contains(&name) && entry["table"].as_str() != Some(crate::store::target::capture::CHANGES)
    };
    for (name, entry) in data.iter().filter(|(name, entry)| generated(name, entry)) {
        let table = Table::ALL.iter().find(|table| Some(table.name()) == entry["table"].as_str()).unwrap();
        assert_eq!(entry["store"].as_str(), Some(table.store()), "{name}");
        let column = |column: &str| assert!(table.columns().contains(&column), "{name}: {column}");
        if let Some(time) = entry.get("time") {
            column(time["column"].as_str().unwrap());
        }
        if let Some(strategies) = entry.get("anonymise") {
            strategies.as_table().unwrap().keys().for_each(|key| column(key));
        }
        for key in ["marker", "user"] {
            if let Some(name) = entry.get(key).and_then(toml::Value::as_str) {
                column(name);
            }
        }
        for key in ["customer", "mentions"] {
            for columns in entry.get(key).and_then(toml::Value::as_table).into_iter().flat_map(toml::Table::values) {
                let several = columns.as_array().into_iter().flatten().filter_map(toml::Value::as_str);
                several.chain(columns.as_str()).for_each(column);
            }
        }
        let links = match entry.get("belongs_to") {
            Some(toml::Value::Array(links)) => links.clone(),
            Some(link) => vec![link.clone()],
            None => Vec::new(),
        };
        for link in links {
            column(link["by"].as_str().unwrap());
            assert_eq!(data[link["data"].as_str().unwrap()]["store"], entry["store"], "{name} crosses stores");
        }
    }
    for (name, job) in jobs {
        let several = job.get("data").and_then(toml::Value::as_array).into_iter().flatten();
        let named: Vec<&str> = several.chain(job.get("data")).filter_map(toml::Value::as_str).collect();
        assert!(named.iter().all(|entry| data.contains_key(*entry)), "{name}");
        // A report is about whomever it is asked for.
        if job["kind"].as_str() == Some("personal_data_report") {
            continue;
        }
        // A cleanup is about a kind of person, and about whatever the map says of it.
        let person = job.get("person").and_then(toml::Value::as_str);
        assert!(!named.is_empty() || person.is_some_and(|kind| policy["people"].get(kind).is_some()), "{name}");
    }
}
