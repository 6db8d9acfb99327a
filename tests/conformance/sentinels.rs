//! Rows without a time stay and are counted; values that cannot be trusted stop the run.

use crate::client::{ALL, Db};
use crate::families::{entry, job};
use crate::site::Site;

fn site(db: Db, column: &str, time: &str) -> Site {
    let schema = format!("CREATE TABLE logs (id {{big}} PRIMARY KEY, at {column}, fate {{text}});");
    Site::new(db, &schema, &["logs"], &[entry("logs", &format!("time = {time}")), job("logs", "")].concat())
}

fn purge(db: Db, column: &str, time: &str, sentinels: &[&str], goes: &str) {
    let site = site(db, column, time);
    let rows: Vec<String> = sentinels
        .iter()
        .enumerate()
        .map(|(id, value)| format!("{id}, {value}, 'stays'"))
        .chain([format!("90, {goes}, 'goes'"), "91, NULL, 'stays'".to_owned()])
        .collect();
    let lenient = db.pick("", "", "SET sql_mode = ''; SET time_zone = '+00:00'; ");
    site.database.sql(&format!("{lenient}INSERT INTO logs VALUES ({});", rows.join("),(")));
    let plan = site.purge("it");
    let kept = (plan.steps("logs", "/kept/without_time"), plan.steps("logs", "/kept/sentinel"));
    let infinite = sentinels.iter().filter(|value| matches!(**value, "'infinity'" | "'2030-01-01'")).count();
    assert_eq!(kept, (1, (sentinels.len() - infinite) as u64), "{db:?} {column} {plan:#?}");
}

#[test]
fn rows_without_a_time_stay_and_are_counted() {
    for db in ALL {
        purge(
            db,
            "{big}",
            r#"{ column = "at", unit = "s", sentinels = [1234567890] }"#,
            &["0", "1234567890"],
            "1500000000",
        );
        let text =
            r#"{ column = "at", format = "%Y-%m-%d %H:%M:%S", zone = "UTC", sentinels = ["2001-01-01 00:00:00"] }"#;
        purge(db, "{text}", text, &["''", "'1970-01-01 00:00:00'", "'2001-01-01 00:00:00'"], "'2020-01-01 00:00:00'");
    }
    let civil = r#"{ column = "at", zone = "UTC", sentinels = ["2001-01-01 00:00:00"] }"#;
    let (never, declared, old) = ("'1970-01-01 00:00:00'", "'2001-01-01 00:00:00'", "'2020-01-01 00:00:00'");
    purge(Db::Postgres, "{civil}", civil, &[never, declared, "'-infinity'", "'infinity'"], old);
    purge(
        Db::Postgres,
        "timestamptz",
        r#"{ column = "at" }"#,
        &["'1970-01-01 00:00:00+00'", "'-infinity'", "'infinity'"],
        old,
    );
    purge(Db::Postgres, "date", r#"{ column = "at", zone = "UTC" }"#, &["'-infinity'", "'infinity'"], "'2020-01-01'");
    purge(Db::Mariadb, "{civil}", civil, &[never, declared, "'0000-00-00 00:00:00'"], old);
    purge(Db::Mariadb, "date", r#"{ column = "at", zone = "UTC" }"#, &["'0000-00-00'", "'1970-01-01'"], "'2020-01-01'");
    purge(Db::Mariadb, "{instant}", r#"{ column = "at" }"#, &["'0000-00-00 00:00:00'", "'1970-01-01 00:00:01'"], old);
}

#[test]
fn seconds_declared_as_milliseconds_stop_the_run() {
    for db in ALL {
        let site = site(db, "{big}", r#"{ column = "at", unit = "ms" }"#);
        site.database.sql("INSERT INTO logs VALUES (1, 1600000000, 'stays'), (2, 1600000001, 'stays');");
        site.refuses("it", &["`at`", "`logs`"]);
    }
}

#[test]
fn milliseconds_declared_as_seconds_stop_the_run() {
    for db in ALL {
        let site = site(db, "{big}", r#"{ column = "at", unit = "s" }"#);
        site.database.sql("INSERT INTO logs VALUES (1, 1600000000123, 'stays'), (2, 1600000000, 'stays');");
        site.refuses("it", &["`at`", "`logs`"]);
    }
}

#[test]
fn text_of_another_form_stops_the_run() {
    for db in ALL {
        for text in ["2020-01-01T00:00:00", "2020-01-01 00:00:00+02:00", "soon", "9 May 2020"] {
            let site = site(db, "{text}", r#"{ column = "at", format = "%Y-%m-%d %H:%M:%S", zone = "UTC" }"#);
            site.database
                .sql(&format!("INSERT INTO logs VALUES (1, '2019-01-01 00:00:00', 'stays'), (2, '{text}', 'stays');"));
            site.refuses("it", &["`at`", "`logs`"]);
        }
    }
}

#[test]
fn an_integer_among_texts_stops_the_run() {
    let site = site(Db::Sqlite, "datetime", r#"{ column = "at", format = "%Y-%m-%d %H:%M:%S", zone = "UTC" }"#);
    site.database.sql("INSERT INTO logs VALUES (1, '2019-01-01 00:00:00', 'stays'), (2, 1600000000, 'stays');");
    site.refuses("it", &["`at`", "integer"]);
}
