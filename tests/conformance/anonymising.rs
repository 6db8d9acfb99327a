//! Each way to anonymise writes what it says, leaves NULL alone and is done once.

use crate::client::ALL;
use crate::families::{civil, entry, job};
use crate::site::Site;

/// A strategy on a column, with values before and after.
struct Way {
    strategy: &'static str,
    column: [&'static str; 3],
    values: &'static [(&'static str, &'static str)],
}

const TEXT: [&str; 3] = ["text", "text", "varchar(200) CHARACTER SET utf8mb4"];

const WAYS: &[Way] = &[
    Way { strategy: "null", column: TEXT, values: &[("'Ann'", "NULL"), ("''", "NULL")] },
    Way {
        strategy: "text:(removed)",
        column: TEXT,
        values: &[("'Ann'", "'(removed)'"), ("''", "'(removed)'"), ("'O''Brien'", "'(removed)'")],
    },
    Way {
        strategy: "truncate_ip",
        column: TEXT,
        values: &[("'192.0.2.77'", "'192.0.2.0'"), ("'10.255.255.255'", "'10.255.255.0'")],
    },
    Way {
        strategy: "keep_last:4",
        column: TEXT,
        values: &[("'0401234567'", "'******4567'"), ("'05012349'", "'****2349'")],
    },
    Way {
        strategy: "date:year",
        column: ["date", "date", "date"],
        values: &[("'1984-05-17'", "'1984-01-01'"), ("'2000-12-31'", "'2000-01-01'")],
    },
    Way { strategy: "zero", column: ["integer", "integer", "integer"], values: &[("17", "0"), ("-3", "0")] },
];

/// What no value of the column may give away after the run.
const SECRETS: [&str; 6] =
    ["2001:db8:1234:5678::9", "::ffff:192.0.2.77", "no address", "192.0.2.77 extra", "999.1.2.3", "fe80::1%eth0"];

fn schema(column: &str, marker: bool) -> String {
    let marker = if marker { ", done {instant}" } else { "" };
    format!("CREATE TABLE people (id {{big}} PRIMARY KEY, at {{civil}}, fate {{text}}, v {column}{marker});")
}

fn policy(db: crate::client::Db, strategy: &str, marker: bool) -> String {
    let keys = format!(
        "time = {}\non_expiry = \"anonymise\"\nanonymise = {{ v = \"{strategy}\" }}\n{}",
        civil(db),
        if marker { "marker = \"done\"" } else { "" }
    );
    [entry("people", &keys), job("people", "")].concat()
}

fn row(id: usize, year: u32, fate: &str, value: &str, marker: bool) -> String {
    let marker = if marker { ", NULL" } else { "" };
    format!("{id}, '{year}-01-01 00:{:02}:{:02}', '{fate}', {value}{marker}", id / 60 % 60, id % 60)
}

#[test]
fn each_way_writes_what_it_says() {
    for db in ALL {
        for way in WAYS {
            for marker in [false, true] {
                let site = Site::new(
                    db,
                    &schema(way.column[db.pick(0, 1, 2)], marker),
                    &["people"],
                    &policy(db, way.strategy, marker),
                );
                // A NULL is in shape; only a marker still has to be set.
                let null = row(1, 2020, if marker { "changes" } else { "stays" }, "NULL", marker);
                let old =
                    way.values.iter().enumerate().map(|(at, (from, _))| row(10 + at, 2020, "changes", from, marker));
                let new =
                    way.values.iter().enumerate().map(|(at, (from, _))| row(50 + at, 2030, "stays", from, marker));
                site.database.insert("people", &std::iter::once(null).chain(old).chain(new).collect::<Vec<_>>());
                site.purge("it");
                assert_eq!(site.database.count("people", "id = 1 AND v IS NULL"), 1, "{db:?} {}", way.strategy);
                for (at, (from, to)) in way.values.iter().enumerate() {
                    let test = if *to == "NULL" { "v IS NULL".to_owned() } else { format!("v = {to}") };
                    let row = format!("id = {} AND {test}", 10 + at);
                    let found = site.database.sql(&format!("SELECT v FROM people WHERE id = {};", 10 + at));
                    assert_eq!(site.database.count("people", &row), 1, "{db:?} {} of {from}: {found:?}", way.strategy);
                }
                if marker {
                    assert_eq!(
                        site.database.count("people", "done IS NOT NULL AND fate = 'changes'"),
                        site.fated("changes"),
                        "{db:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn an_address_never_stays_as_it_was() {
    for db in ALL {
        let site =
            Site::new(db, &schema(TEXT[db.pick(0, 1, 2)], false), &["people"], &policy(db, "truncate_ip", false));
        let rows: Vec<String> = SECRETS
            .iter()
            .enumerate()
            .map(|(id, value)| row(id, 2020, "changes", &format!("'{value}'"), false))
            .collect();
        site.database.insert("people", &rows);
        site.purge("it");
        for (id, secret) in SECRETS.iter().enumerate() {
            let left = site.database.sql(&format!("SELECT coalesce(v, 'NULL') FROM people WHERE id = {id};")).concat();
            assert!(
                left != *secret && !left.contains("192.0.2.77") && !left.contains("5678"),
                "{db:?}: {secret} became {left}"
            );
        }
        let six = site.database.sql("SELECT v FROM people WHERE id = 0;");
        assert_eq!(six, ["2001:db8:1234::"], "{db:?}");
    }
}

#[test]
fn a_hash_is_keyed_and_the_same_for_the_same_value() {
    for db in ALL {
        let site =
            Site::new(db, &schema(TEXT[db.pick(0, 1, 2)], false), &["people"], &policy(db, "hash:pepper", false));
        site.credential("pepper", "a long secret of this test, longer than 32 bytes");
        let names = ["Ann", "Bea", "Ann", "Ääkkö"];
        let mut rows: Vec<String> =
            (0..2_600).map(|id| row(id, 2020, "changes", &format!("'{}'", names[id % 4]), false)).collect();
        rows.push(row(9_000, 2030, "stays", "'Ann'", false));
        rows.push(row(9_001, 2020, "stays", "NULL", false));
        site.database.insert("people", &rows);
        site.purge("it");
        let hashes = site.database.sql("SELECT DISTINCT v FROM people WHERE fate = 'changes';");
        assert_eq!(hashes.len(), 3, "{db:?} {hashes:?}");
        assert!(hashes.iter().all(|hash| hash.len() == 37 && hash.starts_with("hmac:")), "{db:?} {hashes:?}");
    }
}
