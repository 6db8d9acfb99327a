//! Parquet: a column is of one type, the same for whoever reads it, and never at the cost of a value.

use super::*;

/// A build without Parquet says which one has it, before anything is begun; what others have written it still lists.
#[cfg(not(feature = "parquet"))]
#[test]
fn a_build_without_it_refuses_it() {
    let (bed, folder, shelf) = archiving(Db::Sqlite, "format = \"jsonl.zst\", keep = \"forever\"");
    fill(&bed);
    bed.program(&["run", "audit"]).expect_code(0);
    let file = files(&folder).remove(0);
    std::fs::rename(&file, file.to_str().unwrap().replace("jsonl.zst", "parquet")).unwrap();
    let manifest = file.to_str().unwrap().replace("jsonl.zst", "json");
    let said = std::fs::read_to_string(&manifest).unwrap().replace("jsonl.zst", "parquet");
    std::fs::write(&manifest, said).unwrap();
    bed.program(&["archive", "list"]).expect_code(0);
    let verified = bed.program(&["archive", "verify"]).expect_code(1);
    assert!(verified.stderr.contains("made without Parquet"), "{verified:?}");
    fill(&bed);
    bed.rewrite(&format!(
        "{}archive = {{ store = \"archive\", format = \"parquet\", keep = \"forever\" }}\n[stores.archive]\nurl = \"file:{}\"\n",
        bed::DAYS,
        shelf.path().display()
    ));
    for command in [&["check"][..], &["run", "audit"]] {
        let output = bed.program(command).expect_code(3);
        assert!(output.stderr.contains("the Debian package has it"), "{output:?}");
        assert!(output.stderr.contains("jobs.toml:"), "it says where: {output:?}");
    }
    assert_eq!(bed.number("SELECT COUNT(*) FROM audit;"), 140);
}

/// The types of some columns and their values, as pyarrow has them.
#[cfg(feature = "parquet")]
fn columns_elsewhere(paths: &[PathBuf], columns: &[&str]) -> String {
    let script = r#"
import sys, pyarrow.parquet as parquet
columns = COLUMNS
for path in sys.argv[1:]:
    table = parquet.read_table(path)
    assert all(table.schema.field(name).nullable for name in table.schema.names)
    for name in columns:
        print(name, table.schema.field(name).type, table.column(name).to_pylist())
"#;
    read_elsewhere(paths, &script.replace("COLUMNS", &format!("{columns:?}")))
}

/// Whole numbers and bytes have types of their own; what they would not hold is the text that the database gave.
#[cfg(feature = "parquet")]
#[test]
fn columns_have_types() {
    for db in ALL {
        let (bed, folder, _shelf) = archiving(db, "format = \"parquet\", keep = \"forever\"");
        let (columns, bytes, amount) = match db {
            Db::Sqlite => ("bytes BLOB, amount NUMERIC, big TEXT, small TEXT", "X'00FF7F'", "0.1"),
            Db::Postgres => (
                "bytes BYTEA, amount NUMERIC(30, 10), big NUMERIC(20), small NUMERIC(20)",
                "'\\x00ff7f'",
                "0.1000000000",
            ),
            Db::Mariadb => (
                "bytes VARBINARY(9), amount DECIMAL(30, 10), big BIGINT UNSIGNED, small BIGINT UNSIGNED",
                "X'00FF7F'",
                "0.1000000000",
            ),
        };
        for column in columns.split(", ").fold(Vec::<String>::new(), joined) {
            bed.sql(&format!("ALTER TABLE audit ADD COLUMN {column};"));
        }
        let (at, empty) = (bed.at("2025-06-01 10:00:00"), if db == Db::Postgres { "'\\x'" } else { "X''" });
        bed.sql(&format!(
            "INSERT INTO audit VALUES (1, {at}, -1, 'r', 'a', NULL, 9223372036854775807, NULL, {bytes}, 0.1, \
             '18446744073709551615', '7'), (2, {at}, NULL, '', 'a', 'Zoë', -9223372036854775808, NULL, {empty}, NULL, NULL, NULL);"
        ));
        bed.program(&["run", "audit"]).expect_code(0);
        assert_eq!(
            columns_elsewhere(
                &files(&folder),
                &["id", "actor", "role", "name", "octets_in", "octets_out", "bytes", "amount", "big", "small"]
            ),
            format!(
                "id int64 [1, 2]\nactor int64 [-1, None]\nrole string ['r', '']\nname string [None, 'Zoë']\n\
                 octets_in int64 [9223372036854775807, -9223372036854775808]\noctets_out int64 [None, None]\n\
                 bytes binary [b'\\x00\\xff\\x7f', b'']\namount string ['{amount}', None]\n\
                 big string ['18446744073709551615', None]\nsmall string ['7', None]"
            ),
            "{db:?}"
        );
    }
}

/// Declarations divided at commas that are not within parentheses.
#[cfg(feature = "parquet")]
fn joined(mut whole: Vec<String>, part: &str) -> Vec<String> {
    match whole.last_mut().filter(|last| last.matches('(').count() > last.matches(')').count()) {
        Some(last) => *last = format!("{last}, {part}"),
        None => whole.push(part.to_owned()),
    }
    whole
}

/// SQLite keeps what it is given, whatever was declared. Such a column is text in that file, and the others are not.
#[cfg(feature = "parquet")]
#[test]
fn a_value_of_another_type_makes_its_column_text() {
    let (bed, folder, _shelf) = archiving(Db::Sqlite, "format = \"parquet\", keep = \"forever\"");
    bed.sql("ALTER TABLE audit ADD COLUMN bytes BLOB;");
    let at = bed.at("2025-06-01 10:00:00");
    bed.sql(&format!(
        "WITH RECURSIVE n(v) AS (VALUES (1) UNION ALL SELECT v + 1 FROM n WHERE v < 3000)
         INSERT INTO audit SELECT v, {at}, 1, 'r', 'a', NULL, v, v, X'00AA' FROM n;
         UPDATE audit SET octets_in = 'many' WHERE id = 2900; UPDATE audit SET octets_in = 1.5 WHERE id = 3;
         UPDATE audit SET octets_in = X'0A' WHERE id = 4; UPDATE audit SET bytes = 'no bytes' WHERE id = 2500;"
    ));
    let kinds = |table: &str| {
        bed.sql(&format!(
            "SELECT id, octets_in, typeof(octets_in), hex(bytes), typeof(bytes), octets_out FROM {table} ORDER BY id;"
        ))
    };
    let before = kinds("audit");
    empty_copy(&bed, "restored");
    bed.program(&["run", "audit"]).expect_code(0);
    let written = files(&folder);
    assert!(written.iter().all(|path| path.to_string_lossy().ends_with(".parquet")), "{written:?}");
    let read = columns_elsewhere(&written, &["octets_in", "octets_out", "bytes"]);
    for (column, values) in [
        ("octets_in string [", &["'1.5'", "\"x'0A'\"", "'many'"][..]),
        ("octets_out int64 [1, 2, 3", &[]),
        ("bytes string ['00AA'", &["'no bytes'"]),
    ] {
        let line =
            read.lines().find(|line| line.starts_with(column)).unwrap_or_else(|| panic!("{column}: {:.300}", read));
        assert!(values.iter().all(|value| line.contains(value)), "{line:.300}");
    }
    bed.program(&["archive", "verify"]).expect_code(0);
    bed.program(&["archive", "restore", "audit", "--into", "restored"]).expect_code(0);
    assert!(kinds("restored") == before);
}
