//! Keys of every type tell rows apart, over several batches.

use crate::client::{ALL, Db};
use crate::site::Site;

/// A kind of key, with the value for each row.
pub struct Key {
    /// What it is called.
    pub name: &'static str,
    /// The columns and the primary key.
    pub columns: [&'static str; 3],
    /// The values of the key in the row of this number.
    pub value: fn(Db, usize) -> String,
}

fn hexadecimal(db: Db, number: usize) -> String {
    // Some begin with NUL, some are no UTF-8.
    let digits = format!("{:02x}00ff{number:08x}", number % 251);
    db.pick(format!("X'{digits}'"), format!("'\\x{digits}'"), format!("X'{digits}'"))
}

fn awkward(db: Db, number: usize) -> String {
    let backslash = db.pick("\\", "\\", "\\\\");
    match number % 8 {
        0 => format!("'o''brien \"{number}\"'"),
        1 => format!("'100% _{number}'"),
        2 => format!("'Jyväskylä ☎ {number}'"),
        3 => format!("'back{backslash}slash {number}'"),
        4 => format!("'{number}'"),
        5 => format!("'Case {}'", number - 5),
        // Differs from the row before by case alone, where the database tells them apart.
        6 => db.pick(format!("'case {}'", number - 6), format!("'case {}'", number - 6), format!("'kase {number}'")),
        _ => db.pick(format!("'{} '", number - 3), format!("'{} '", number - 3), format!("'$1 ; -- {number}'")),
    }
}

pub const KEYS: [Key; 7] = [
    Key {
        name: "bigint",
        columns: ["k bigint, PRIMARY KEY (k)", "k bigint, PRIMARY KEY (k)", "k bigint, PRIMARY KEY (k)"],
        value: |_, number| {
            if number.is_multiple_of(2) {
                format!("{}", -(number as i64))
            } else {
                format!("{}", i64::MAX - number as i64)
            }
        },
    },
    Key {
        name: "unsigned",
        columns: ["k integer primary key", "k numeric(20,0) PRIMARY KEY", "k bigint unsigned PRIMARY KEY"],
        value: |db, number| {
            let number = number as u64;
            format!("{}", db.pick(number, (1 << 63) - 1_500 + number, (1 << 63) - 1_500 + number))
        },
    },
    Key {
        name: "text",
        columns: ["k text PRIMARY KEY", "k text PRIMARY KEY", "k varchar(80) CHARACTER SET utf8mb4 PRIMARY KEY"],
        value: awkward,
    },
    Key {
        name: "uuid",
        columns: ["k text PRIMARY KEY", "k uuid PRIMARY KEY", "k uuid PRIMARY KEY"],
        value: |_, number| {
            format!("'{:08x}-1111-4abc-8def-{:012x}'", number.wrapping_mul(2_654_435_761) % (1 << 32), number)
        },
    },
    Key {
        name: "binary",
        columns: ["k blob PRIMARY KEY", "k bytea PRIMARY KEY", "k varbinary(16) PRIMARY KEY"],
        value: hexadecimal,
    },
    Key {
        name: "composite",
        columns: [
            "k text, n integer, PRIMARY KEY (k, n)",
            "k text, n int, PRIMARY KEY (k, n)",
            "k varchar(40), n int, PRIMARY KEY (k, n)",
        ],
        value: |_, number| format!("'group {}', {}", number % 7, number),
    },
    Key { name: "none", columns: ["k integer", "k int", "k int"], value: |_, number| format!("{}", number % 3) },
];

/// Old and new rows, mixed so that no range of keys is all old; some share their time.
fn rows(db: Db, key: &Key, count: usize) -> Vec<String> {
    (0..count)
        .map(|number| {
            let (year, fate) = if number % 3 == 0 { (2098, "stays") } else { (2020, "goes") };
            let time = format!("{year}-{:02}-{:02} 10:00:{:02}", number % 12 + 1, number % 28 + 1, number % 50);
            let time = if year == 2098 { time.replacen("2098", "2030", 1) } else { time };
            format!("'{fate}', '{time}', {}", (key.value)(db, number))
        })
        .collect()
}

fn time(db: Db) -> &'static str {
    db.pick(
        r#"{ column = "at", format = "%Y-%m-%d %H:%M:%S", zone = "UTC" }"#,
        r#"{ column = "at", zone = "UTC" }"#,
        r#"{ column = "at", zone = "UTC" }"#,
    )
}

const JOB: &str =
    "[jobs.people]\nkind = \"retention_purge\"\ndata = [\"people\"]\nkeep = \"1 year\"\npace = { pause_ms = 0 }\n";

#[test]
fn rows_go_by_any_key() {
    for db in ALL {
        for key in &KEYS {
            for index in ["", "CREATE INDEX people_at ON people (at);"] {
                let columns = key.columns[db.pick(0, 1, 2)];
                let schema = format!("CREATE TABLE people (fate {{text}}, at {{civil}}, {columns}); {index}");
                let policy = format!("[data.people]\n{{store}}\ntable = \"people\"\ntime = {}\n{JOB}", time(db));
                let site = Site::new(db, &schema, &["people"], &policy);
                site.database.insert("people", &rows(db, key, 2_600));
                let before = site.fated("stays");
                site.purge("people");
                assert_eq!(site.fated("stays"), before, "{db:?} {}", key.name);
            }
        }
    }
}

/// With a child the rows go by lists of keys, each value of which must come back as it was read.
#[test]
fn parents_go_by_lists_of_any_key() {
    for db in ALL {
        // With an index on the time PostgreSQL keeps the lists.
        let indexes = db.pick(&[""][..], &["", "CREATE INDEX people_at ON people (at);"], &[""]);
        let keys = KEYS.iter().filter(|key| key.name != "none");
        for (key, index) in keys.flat_map(|key| indexes.iter().map(move |index| (key, index))) {
            let columns = key.columns[db.pick(0, 1, 2)];
            let child = columns.replace("PRIMARY KEY (k, n)", "FOREIGN KEY (k, n) REFERENCES people (k, n)");
            let child = child.replace(", PRIMARY KEY (k)", "").replace(" PRIMARY KEY", "").replace(" primary key", "");
            let schema = format!(
                "CREATE TABLE people (fate {{text}}, at {{civil}}, {columns}); CREATE TABLE notes (fate {{text}}, id {{big}} PRIMARY KEY, {child}); CREATE INDEX notes_of ON notes ({}); {index}",
                if key.name == "composite" { "k, n" } else { "k" }
            );
            let by = if key.name == "composite" { r#"["k", "n"]"# } else { "\"k\"" };
            let policy = format!(
                "[data.people]\n{{store}}\ntable = \"people\"\ntime = {}\n\
                 [data.notes]\n{{store}}\ntable = \"notes\"\nbelongs_to = {{ data = \"people\", by = {by} }}\n{JOB}",
                time(db)
            );
            let site = Site::new(db, &schema, &["people", "notes"], &policy);
            site.database.insert("people", &rows(db, key, 2_600));
            let notes: Vec<String> = (0..2_600)
                .map(|number| {
                    format!(
                        "'{}', {number}, {}",
                        if number % 3 == 0 { "stays" } else { "goes" },
                        (key.value)(db, number)
                    )
                })
                .collect();
            site.database.insert("notes", &notes);
            site.purge("people");
        }
    }
}
