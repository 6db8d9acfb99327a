//! Archives on the three databases: what is written can be read by others and put back, a run that is killed loses no row
//! and leaves none twice, and nothing goes before its time.
#![expect(clippy::unwrap_used, reason = "the helpers of a test stop it by panicking")]

mod support;

#[path = "audit_rollup/bed.rs"]
#[allow(dead_code, reason = "shared with the tests of the rollup itself")]
mod bed;
#[path = "archives/folder.rs"]
mod folder;
#[path = "archives/parquet.rs"]
mod parquet;
#[path = "archives/restored.rs"]
mod restored;

use std::path::{Path, PathBuf};
use std::process::Command;

use bed::{ALL, Bed, DAYS, Db};

/// The formats of this build; `make test` makes it with all of them.
const FORMATS: &[&str] =
    if cfg!(feature = "parquet") { &["jsonl.zst", "csv.gz", "parquet"] } else { &["jsonl.zst", "csv.gz"] };

/// A bed whose job archives, and the job's folder of archives.
fn archiving(db: Db, keys: &str) -> (Bed, PathBuf, tempfile::TempDir) {
    let shelf = tempfile::tempdir().unwrap();
    let job = format!(
        "{DAYS}archive = {{ store = \"archive\", {keys} }}\n[stores.archive]\nurl = \"file:{}\"\n",
        shelf.path().display()
    );
    let bed = Bed::new(db, "UTC", &job);
    bed.program(&["init", "archive"]).expect_code(0);
    let folder = shelf.path().join("audit");
    (bed, folder, shelf)
}

/// Twenty days of rows with everything that a format could stumble over.
fn fill(bed: &Bed) {
    let odd = [
        "''",
        "NULL",
        "'comma, \"quote\" and\nnew line'",
        "'\\N'",
        "'Zoë — 客服'",
        "'  blanks  '",
        "'[\"json\", null]'",
    ];
    for day in 1..=20 {
        let rows: Vec<String> = odd
            .iter()
            .enumerate()
            .map(|(place, name)| {
                let at = bed.at(&format!("2025-06-{day:02} 10:00:{place:02}"));
                let octets = ["NULL", "0", "-7", "9223372036854775807"][place % 4];
                format!("{at}, {}, 'admin', 'edit', {name}, {octets}, {place}", day % 3)
            })
            .collect();
        bed.rows(&rows.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

fn rows_of(bed: &Bed, table: &str) -> String {
    let cast = if bed.db == Db::Mariadb { "CHAR" } else { "TEXT" };
    let columns = ["id", "at", "actor", "role", "action", "name", "octets_in", "octets_out"];
    let fields: Vec<String> = columns.iter().map(|column| format!("COALESCE(CAST({column} AS {cast}), '~')")).collect();
    bed.sql(&format!("SELECT {} FROM {table} ORDER BY id;", fields.join(", ")))
}

/// The archives in a folder, without manifests.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| !path.to_string_lossy().ends_with(".json"));
    found.sort();
    found
}

fn empty_copy(bed: &Bed, name: &str) {
    bed.sql(&match bed.db {
        Db::Sqlite => {
            let made = bed.sql("SELECT replace(sql, char(10), ' ') FROM sqlite_schema WHERE name = 'audit';");
            format!("{};", made.trim().replacen("audit", name, 1))
        }
        Db::Postgres => format!("CREATE TABLE {name} (LIKE audit);"),
        Db::Mariadb => format!("CREATE TABLE {name} LIKE audit;"),
    });
}

/// Reads the files with programs that are not ours and gives the rows as a JSON list of lists of texts.
fn read_elsewhere(paths: &[PathBuf], script: &str) -> String {
    // Its own Python has pyarrow too.
    let own = concat!(env!("CARGO_MANIFEST_DIR"), "/target/tools/python/bin/python3");
    let python = if cfg!(feature = "parquet") { own } else { "python3" };
    let mut command = Command::new(python);
    let output = command.arg("-c").arg(script).args(paths).output();
    let output = output.unwrap_or_else(|error| panic!("`{python}` does not start ({error}): run `make deps`"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// zstd and jq, or gzip and Python's own csv, or pyarrow.
const READ: &str = r#"
import sys, json, subprocess, gzip, csv, io
rows = 0; ids = set(); octets = 0; odd = 0
for path in sys.argv[1:]:
    if path.endswith('.jsonl.zst'):
        plain = subprocess.run(['zstd', '-dcq', path], check=True, capture_output=True).stdout
        lines = subprocess.run(['jq', '-c', '[.id, .name, .octets_out]'], input=plain, check=True, capture_output=True).stdout
        found = [json.loads(line) for line in lines.splitlines()]
    elif path.endswith('.parquet'):
        import pyarrow.parquet
        table = pyarrow.parquet.read_table(path, columns=['id', 'name', 'octets_out'], page_checksum_verification=True)
        found = [[r['id'], r['name'], r['octets_out']] for r in table.to_pylist()]
    else:
        with gzip.open(path, 'rt', encoding='utf-8', newline='') as file:
            found = [[int(r['id']), r['name'], int(r['octets_out'])] for r in csv.DictReader(file)]
    for id, name, out in found:
        rows += 1; ids.add(id); octets += out
        odd += name == 'comma, "quote" and\nnew line'
print(rows, len(ids), octets, odd)
"#;

#[test]
fn others_can_read_it_and_it_comes_back_as_it_was() {
    for db in ALL {
        for format in FORMATS {
            let (bed, folder, _shelf) = archiving(db, &format!("format = \"{format}\", keep = \"forever\""));
            fill(&bed);
            let before = rows_of(&bed, "audit");
            empty_copy(&bed, "restored");
            bed.program(&["run", "audit"]).expect_code(0);
            assert_eq!(bed.number("SELECT COUNT(*) FROM audit;"), 0, "{db:?}");
            let written = files(&folder);
            assert!(
                !written.is_empty() && written.iter().all(|path| path.to_string_lossy().ends_with(format)),
                "{written:?}"
            );
            assert_eq!(read_elsewhere(&written, READ), "140 140 420 20", "{db:?} {format}");
            let list = bed.program(&["--format", "json", "archive", "list"]).expect_code(0).json();
            let rows: u64 =
                list["archives"].as_array().unwrap().iter().map(|a| a["manifest"]["rows"].as_u64().unwrap()).sum();
            assert_eq!((rows, &list["archives"][0]["pending"]), (140, &serde_json::json!(false)), "{list}");
            bed.program(&["archive", "verify"]).expect_code(0);
            // Never where they would be counted once more.
            let refused = bed.program(&["archive", "restore", "audit", "--into", "audit"]).expect_code(2);
            assert!(refused.stderr.contains("once more"), "{refused:?}");
            bed.program(&["archive", "restore", "audit", "--into", "restored"]).expect_code(0);
            assert_eq!(rows_of(&bed, "restored"), before, "{db:?} {format}");
        }
    }
}

#[test]
fn a_changed_archive_is_noticed() {
    for format in FORMATS {
        let (bed, folder, _shelf) = archiving(Db::Sqlite, &format!("format = \"{format}\", keep = \"forever\""));
        fill(&bed);
        bed.program(&["run", "audit"]).expect_code(0);
        let file = files(&folder).remove(0);
        let mut bytes = std::fs::read(&file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&file, bytes).unwrap();
        let output = bed.program(&["archive", "verify"]).expect_code(1);
        assert!(output.stderr.contains("not the file"), "{output:?}");
        empty_copy(&bed, "restored");
        bed.program(&["archive", "restore", "audit", "--into", "restored"]).expect_code(1);
        assert_eq!(bed.number("SELECT COUNT(*) FROM restored;"), 0);
    }
}

#[test]
fn only_the_secret_key_opens_an_encrypted_archive() {
    // The pair of the published examples of age, which protects nothing.
    let (public, secret) = (
        "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa",
        "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33",
    );
    for format in FORMATS {
        let keys = format!("format = \"{format}\", keep = \"forever\", encrypt_to = \"{public}\"");
        let (bed, folder, shelf) = archiving(Db::Sqlite, &keys);
        fill(&bed);
        let before = rows_of(&bed, "audit");
        bed.program(&["run", "audit"]).expect_code(0);
        let file = files(&folder).remove(0);
        assert!(file.to_string_lossy().ends_with(&format!(".{format}.age")));
        assert!(std::fs::read(&file).unwrap().starts_with(b"age-encryption.org/v1"));
        let verified = bed.program(&["archive", "verify"]).expect_code(0);
        assert!(verified.stdout.contains("encrypted"), "{verified:?}");
        let identity = shelf.path().join("identity");
        std::fs::write(&identity, format!("{secret}\n")).unwrap();
        let identity = identity.to_str().unwrap();
        let verified = bed.program(&["archive", "verify", "--identity", identity]).expect_code(0);
        assert!(!verified.stdout.contains("encrypted"), "{verified:?}");
        empty_copy(&bed, "restored");
        bed.program(&["archive", "restore", "audit", "--into", "restored"]).expect_code(2);
        bed.program(&["archive", "restore", "audit", "--into", "restored", "--identity", identity]).expect_code(0);
        assert_eq!(rows_of(&bed, "restored"), before);
    }
}

/// Its time counts from its newest row; what lies beside it stays.
#[test]
fn an_archive_goes_when_its_own_time_is_over() {
    let (bed, folder, shelf) = archiving(Db::Sqlite, "format = \"jsonl.zst\", keep = \"1 year\"");
    bed.sql("INSERT INTO audit VALUES (1, datetime('now', '-400 days'), 1, 'r', 'a', 'n', 1, 1);");
    bed.program(&["run", "audit"]).expect_code(0);
    bed.program(&["run", "audit"]).expect_code(0);
    assert!(files(&folder).is_empty(), "older than a year: {:?}", files(&folder));
    bed.sql("INSERT INTO audit VALUES (2, datetime('now', '-300 days'), 1, 'r', 'a', 'n', 1, 1);");
    bed.program(&["run", "audit"]).expect_code(0);
    std::fs::write(shelf.path().join("beside"), "stays").unwrap();
    bed.program(&["run", "audit"]).expect_code(0);
    assert_eq!(files(&folder).len(), 1);
    assert!(shelf.path().join("beside").exists());
    // Two more jobs' names in the file would be two more folders; this one's is its own.
    assert_eq!(bed.number("SELECT SUM(row_count) FROM audit_daily;"), 2);
}

/// After each kill: every row is in its table or in an archive that is no longer pending, never in both once a run has
/// ended, and the summaries amount to what is archived.
fn a_killed_run_loses_no_row(format: &str) {
    for db in ALL {
        let keys =
            format!("format = \"{format}\", keep = \"forever\" }}\npace = {{ rows_per_second = 4000, pause_ms = 5");
        let (bed, folder, _shelf) = archiving(db, &keys);
        let rows: Vec<String> = (0..4_000)
            .map(|id| {
                let at = bed.at(&format!("2025-{:02}-{:02} {:02}:00:{:02}", 5 + id % 2, id % 28 + 1, id % 24, id % 60));
                format!("({}, {at}, 1, 'admin', 'edit', 'n', {id}, 1)", id + 1)
            })
            .collect();
        for part in rows.chunks(1_000) {
            bed.sql(&format!("INSERT INTO audit VALUES {};", part.join(", ")));
        }
        let mut killed = 0;
        for wait in [120, 260, 400, 560, 700, 900, 1_100, 1_300] {
            let output = bed.project.kill_after(&["run", "audit"], wait);
            killed += u64::from(output.code.is_none());
            if output.code == Some(0) {
                break;
            }
        }
        assert!(killed > 1, "{db:?}: nothing was killed");
        bed.program(&["run", "audit"]).expect_code(0);
        let written = files(&folder);
        assert!(written.iter().all(|path| path.to_string_lossy().ends_with(format)), "{db:?} {written:?}");
        assert_eq!(read_elsewhere(&written, READ), "4000 4000 4000 0", "{db:?}");
        assert_eq!(bed.number("SELECT SUM(row_count) FROM audit_daily;"), 4_000, "{db:?}");
        assert_eq!(bed.number("SELECT COUNT(*) FROM audit;"), 0, "{db:?}");
        bed.program(&["archive", "verify"]).expect_code(0);
    }
}

#[test]
fn a_killed_run_loses_no_row_and_archives_none_twice() {
    a_killed_run_loses_no_row("jsonl.zst");
}

#[cfg(feature = "parquet")]
#[test]
fn a_killed_run_loses_no_row_in_parquet_either() {
    a_killed_run_loses_no_row("parquet");
}

/// What a run left behind between writing and purging is not an archive: its rows are still there.
#[test]
fn a_pending_file_that_the_ledger_does_not_know_goes() {
    let (bed, folder, _shelf) = archiving(Db::Sqlite, "format = \"jsonl.zst\", keep = \"forever\"");
    fill(&bed);
    bed.program(&["run", "audit"]).expect_code(0);
    let file = files(&folder).remove(0);
    let name = file.file_name().unwrap().to_str().unwrap().to_owned();
    let manifest = folder.join(name.replace("jsonl.zst", "json"));
    // One whose batch was committed and whose run died just after; one whose batch never was.
    std::fs::rename(&file, folder.join(format!("{name}.pending"))).unwrap();
    std::fs::copy(
        folder.join(format!("{name}.pending")),
        folder.join("01939f2e-7a3c-7000-8000-0123456789ab-000001.jsonl.zst.pending"),
    )
    .unwrap();
    let said = std::fs::read_to_string(&manifest).unwrap();
    let batch = name.split('.').next().unwrap();
    let said = said.replace(batch, "01939f2e-7a3c-7000-8000-0123456789ab-000001");
    std::fs::write(folder.join("01939f2e-7a3c-7000-8000-0123456789ab-000001.json"), said).unwrap();
    bed.program(&["run", "audit"]).expect_code(0);
    assert!(file.exists(), "the ledger knows it");
    assert!(
        !folder.join("01939f2e-7a3c-7000-8000-0123456789ab-000001.jsonl.zst.pending").exists()
            && !folder.join("01939f2e-7a3c-7000-8000-0123456789ab-000001.json").exists()
    );
    assert_eq!(files(&folder), [file]);
}

#[test]
fn what_cannot_be_archived_is_said_at_once() {
    let (bed, ..) = archiving(Db::Sqlite, "format = \"jsonl.zst\", keep = \"forever\"");
    bed.sql("CREATE TABLE portraits (id INTEGER PRIMARY KEY, path TEXT);");
    for (keys, said) in [
        ("store = \"archiv\", format = \"csv.gz\", keep = \"1 year\"", "did you mean `archive`"),
        ("store = \"main\", format = \"csv.gz\", keep = \"1 year\"", "is a database"),
        ("store = \"archive\", format = \"csv\", keep = \"1 year\"", "csv.gz"),
        ("store = \"archive\", format = \"csv.gz\"", "keep"),
        ("store = \"archive\", format = \"csv.gz\", keep = \"90 days\"", "would go at once"),
        ("store = \"archive\", format = \"csv.gz\", keep = \"3 months\"", "would go at once"),
        ("store = \"pictures\", format = \"csv.gz\", keep = \"1 year\"", "has the files of `portraits`"),
        ("store = \"archive\", format = \"csv.gz\", keep = \"1 year\", formerly = [\"audit\"]", "is in the file"),
        ("store = \"archive\", format = \"csv.gz\", keep = \"1 year\", encrypt_to = \"age1no\"", "no public key"),
    ] {
        let shelf = tempfile::tempdir().unwrap();
        bed.rewrite(&format!(
            "{DAYS}archive = {{ {keys} }}\n[stores.archive]\nurl = \"file:{0}\"\n[stores.pictures]\nurl = \"file:{0}\"\n\
             [data.portraits]\nstore = \"main\"\ntable = \"portraits\"\ncategory = \"audit\"\n\
             file = {{ store = \"pictures\", path = \"path\" }}\n",
            shelf.path().display()
        ));
        std::fs::write(shelf.path().join(".retentiond-store"), "here").unwrap();
        let output = bed.program(&["check"]).expect_code(3);
        assert!(output.stderr.contains(said), "{keys}: {output:?}");
    }
}

/// The shorter `keep` of two jobs would count for the archives of one that is no more.
#[test]
fn archives_of_a_former_name_go_on_with_one_job() {
    let (bed, ..) = archiving(Db::Sqlite, "format = \"jsonl.zst\", keep = \"forever\"");
    let shelf = tempfile::tempdir().unwrap();
    std::fs::write(shelf.path().join(".retentiond-store"), "here").unwrap();
    let archive = |years: u8| {
        format!(
            "archive = {{ store = \"archive\", format = \"csv.gz\", keep = \"{years} years\", formerly = [\"old\"] }}\n"
        )
    };
    let store = format!("[stores.archive]\nurl = \"file:{}\"\n", shelf.path().display());
    let twin = DAYS.replace("[jobs.audit]", "[jobs.twin]");
    bed.rewrite(&[DAYS, &archive(1), &twin, &archive(9), &store].concat());
    let output = bed.program(&["check"]).expect_code(3);
    assert!(output.stderr.contains("two jobs say that they were `old`"), "{output:?}");
}
