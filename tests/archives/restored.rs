//! Archives put into a table again, whatever the types of its columns; and what the trail knows of archives.

use super::bed::{ALL, Db};
use super::*;

/// Columns of every sort, and values that are easily bent on their way through text.
fn typed(db: Db) -> (&'static str, [&'static str; 3]) {
    match db {
        Db::Sqlite => (
            "bytes BLOB, amount NUMERIC, ratio REAL, note JSON, day DATE, yes BOOLEAN",
            [
                "X'00FF7F', 12345678901234.5, 0.1, '{\"a\": [1, 2.50]}', '2024-02-29', 1",
                "X'', -0.000001, 1e300, 'null', NULL, 0",
                "NULL, NULL, -2.5, '\"NULL\"', '1999-12-31', NULL",
            ],
        ),
        Db::Postgres => (
            "bytes BYTEA, amount NUMERIC(38, 10), ratio DOUBLE PRECISION, note JSONB, day DATE, yes BOOLEAN",
            [
                "'\\x00ff7f', 1234567890123456789012345678.0123456789, 0.1, '{\"a\": [1, 2.50]}', '2024-02-29', true",
                "'\\x', -0.0000000001, 1e300, 'null', NULL, false",
                "NULL, NULL, -2.5, '\"NULL\"', '1999-12-31', NULL",
            ],
        ),
        Db::Mariadb => (
            "bytes VARBINARY(40), amount DECIMAL(38, 10), ratio DOUBLE, note JSON, day DATE, yes BOOLEAN",
            [
                "X'00FF7F', 1234567890123456789012345678.0123456789, 0.1, '{\"a\": [1, 2.50]}', '2024-02-29', 1",
                "X'', -0.0000000001, 1e300, 'null', NULL, 0",
                "NULL, NULL, -2.5, '\"NULL\"', '1999-12-31', NULL",
            ],
        ),
    }
}

#[test]
fn values_of_every_type_come_back_as_they_were() {
    for db in ALL {
        for format in FORMATS {
            let (bed, _folder, _shelf) = archiving(db, &format!("format = \"{format}\", keep = \"forever\""));
            let (columns, rows) = typed(db);
            for column in columns.split(", ").filter(|column| !column.ends_with(')') || column.contains('(')) {
                bed.sql(&format!("ALTER TABLE audit ADD COLUMN {};", column.replace("(38", "(38, 10)")));
            }
            for (id, row) in rows.iter().enumerate() {
                let at = bed.at("2025-06-01 10:00:00");
                bed.sql(&format!("INSERT INTO audit VALUES ({id}, {at}, 1, 'admin', 'edit', 'n', 1, 1, {row});"));
            }
            let all = |table: &str| {
                let bytes = if db == Db::Postgres { "encode(bytes, 'hex')" } else { "hex(bytes)" };
                let kind = if db == Db::Sqlite { ", typeof(bytes), typeof(amount), typeof(ratio)" } else { "" };
                bed.sql(&format!(
                    "SELECT id, at, {bytes}, amount, ratio, note, day, yes{kind} FROM {table} ORDER BY id;"
                ))
            };
            let before = all("audit");
            empty_copy(&bed, "restored");
            bed.program(&["run", "audit"]).expect_code(0);
            bed.program(&["archive", "restore", "audit", "--into", "restored"]).expect_code(0);
            assert_eq!(all("restored"), before, "{db:?} {format}");
        }
    }
}

/// Not where the rows would be folded, nor where they would lie elsewhere, nor what is no archive yet.
#[test]
fn what_may_not_be_restored_says_why() {
    for db in ALL {
        let (bed, folder, _shelf) = archiving(db, "format = \"jsonl.zst\", keep = \"forever\"");
        fill(&bed);
        bed.program(&["run", "audit"]).expect_code(0);
        let refused = |into: &str, more: &[&str], why: &str| {
            let args = [&["archive", "restore", "audit", "--into", into][..], more].concat();
            let output = bed.program(&args).expect_code(2);
            assert!(output.stderr.contains(why), "{db:?} {into}: {output:?}");
        };
        bed.sql("CREATE VIEW seen AS SELECT * FROM audit;");
        refused("seen", &[], "no table of its own");
        if db == Db::Postgres {
            bed.sql("CREATE TABLE part () INHERITS (audit);");
            refused("part", &[], "once more");
        }
        empty_copy(&bed, "restored");
        let file = files(&folder).remove(0);
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        std::fs::rename(&file, folder.join(format!("{name}.pending"))).unwrap();
        refused("restored", &["--batch", name.split('.').next().unwrap()], "is pending");
        refused("restored", &["--batch", "none"], "no archive `none`");
    }
}

/// Written, settled, gone and restored: each stands in the trail, and before it is done.
#[test]
fn the_trail_knows_of_archives() {
    let (bed, folder, _shelf) = archiving(Db::Sqlite, "format = \"jsonl.zst\", keep = \"300 days\"");
    bed.sql("INSERT INTO audit VALUES (1, datetime('now', '-400 days'), 1, 'r', 'a', 'n', 1, 1);");
    let count = |kind: &str| {
        let shown = bed.program(&["--format", "json", "audit", "show", "--type", kind]).expect_code(0);
        shown.stdout.matches(&format!("\"{kind}\"")).count()
    };
    bed.program(&["run", "audit"]).expect_code(0);
    assert_eq!((count("archive.written"), count("archives.settled")), (1, 0));
    empty_copy(&bed, "restored");
    bed.program(&["archive", "restore", "audit", "--into", "restored"]).expect_code(0);
    assert_eq!((count("archives.restored"), count("archive.expired")), (1, 0));
    let file = files(&folder).remove(0);
    std::fs::rename(&file, format!("{}.pending", file.display())).unwrap();
    bed.program(&["run", "audit"]).expect_code(0);
    assert_eq!((count("archives.settled"), count("archive.written"), count("archive.expired")), (1, 2, 1));
    assert!(files(&folder).is_empty());
    bed.program(&["audit", "verify"]).expect_code(4);
}
