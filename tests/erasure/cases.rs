//! Single cases: how a person is named, what is refused, files, ranges, receipts.

use std::fmt::Write as _;
use std::io::Write as _;

use crate::shop::{ENGINES, Engine, Shop};

fn entry(name: &str, rest: &str) -> String {
    format!("[data.{name}]\nstore = \"shop\"\ntable = \"{name}\"\ncategory = \"some\"\n{rest}\n")
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Users of two tenants, with every way in which a row can name one.
fn tenants(engine: Engine) -> Shop {
    let json = engine.pick("TEXT", "JSONB", "JSON");
    let schema = format!(
        "CREATE TABLE users (tenant BIGINT NOT NULL, id BIGINT NOT NULL, login VARCHAR(40), PRIMARY KEY (tenant, id));
         CREATE TABLE mails (id BIGINT NOT NULL PRIMARY KEY, tenant BIGINT NOT NULL, user_id BIGINT, kind VARCHAR(10), address VARCHAR(60));
         CREATE TABLE acts (id BIGINT NOT NULL PRIMARY KEY, tenant BIGINT NOT NULL, actor BIGINT, kind VARCHAR(10));
         INSERT INTO users VALUES (1, 42, 'anna'), (2, 42, 'bert'), (1, 7, 'anna');
         INSERT INTO mails VALUES (1, 1, 42, 'email', 'Anna@example.org'), (2, 2, 42, 'email', 'bert@example.org'), (3, 1, 42, 'phone', '12345');
         INSERT INTO acts VALUES (1, 1, 42, 'user'), (2, 2, 42, 'user'), (3, 1, 42, 'robot'), (4, 1, NULL, 'user');
         CREATE TABLE staff (id VARCHAR(20) NOT NULL PRIMARY KEY);
         CREATE TABLE boxes (id BIGINT NOT NULL PRIMARY KEY, mailbox VARCHAR(60), path VARCHAR(60), payload {json});
         INSERT INTO staff VALUES ('u1'), ('u12');
         INSERT INTO boxes VALUES (1, 'u1@pbx', NULL, NULL), (2, 'u12@pbx', NULL, NULL), (3, 'U1@pbx', NULL, NULL), (4, 'u1', NULL, NULL),
             (5, NULL, 'home/u1/a.wav', NULL), (6, NULL, 'home/u12/a.wav', NULL), (7, NULL, 'u1/a.wav', NULL),
             (8, NULL, NULL, '{{\"by\": [{{\"id\": \"u1\"}}]}}'), (9, NULL, NULL, '{{\"by\": [{{\"id\": \"u12\"}}]}}'), (10, NULL, NULL, '{{\"id\": \"u1\"}}');"
    );
    let policy = "[people.user]\ndata = \"users\"\n\
        identifiers = { login = \"login\", email = { column = \"mails.address\", where = { kind = \"email\" } } }\n\
        [people.staff]\ndata = \"staff\"\nidentifiers = { badge = \"id\" }\n"
        .to_owned()
        + &entry("users", "")
        + &entry("mails", "user = [\"tenant\", \"user_id\"]")
        + &entry("acts", "user = { column = [\"tenant\", \"actor\"], where = { kind = \"user\" } }")
        + &entry("staff", "")
        + &entry(
            "boxes",
            "person.staff = [{ column = \"mailbox\", before = \"@\" }, { column = \"path\", after = \"home/\", before = \"/\" }, { json = \"payload\", path = \"$.by[0].id\" }]",
        );
    Shop::new(engine, &policy, &schema)
}

#[test]
fn a_composite_key_a_type_and_identifiers_name_one_person() {
    for engine in ENGINES {
        let shop = tenants(engine);
        for given in ["email=anna@EXAMPLE.org", "tenant=1,id=42"] {
            let plan = shop.plan(&words(&["--user", given]));
            let rows: Vec<u64> = plan.rows().into_values().collect();
            assert_eq!(rows, [1, 2, 1], "{given}: one act, two mails, the user: {plan:#?}");
        }
        let several = shop.run(&["erase", "--user", "login=anna", "--dry-run"]);
        assert_eq!(several.code, 4, "{several:#?}");
        for hit in ["tenant=1,id=42", "tenant=1,id=7"] {
            assert!(several.stderr.contains(hit), "{several:#?}");
        }
        assert_eq!(shop.run(&["erase", "--user", "login=nobody", "--dry-run"]).code, 4);
        assert_eq!(shop.run(&["erase", "--user", "12345", "--dry-run"]).code, 2, "a key of two columns");
        assert_eq!(shop.run(&["erase", "--user", "emil=a@b", "--dry-run"]).code, 2, "no such identifier");
        let whom = words(&["--user", "tenant=1,id=42"]);
        shop.erase(&whom, &shop.plan(&whom), "");
        assert_eq!(shop.sql("SELECT tenant, id FROM users ORDER BY 1, 2;"), "1\t7\n2\t42\n");
        assert_eq!(shop.sql("SELECT id FROM mails;"), "2\n");
        assert_eq!(shop.sql("SELECT id FROM acts ORDER BY id;"), "2\n3\n4\n");
    }
}

#[test]
fn a_part_of_a_text_and_a_place_in_json_name_the_key_and_no_longer_one() {
    for engine in ENGINES {
        let shop = tenants(engine);
        let whom = words(&["--user", "u1", "--kind", "staff"]);
        shop.erase(&whom, &shop.plan(&whom), "");
        assert_eq!(shop.sql("SELECT id FROM boxes ORDER BY id;"), "2\n3\n6\n7\n9\n10\n", "{engine:?}");
        assert_eq!(shop.sql("SELECT id FROM staff;"), "u12\n");
        // No window is an erasure's, so that nobody lifted one.
        let lifted = shop.run(&["audit", "show", "--type", "limits.lifted"]);
        let records = lifted.json["records"].as_array().map_or(usize::MAX, Vec::len);
        assert_eq!((lifted.code, records), (0, 0), "{lifted:#?}");
    }
}

/// Whoever is erased takes along nobody who names them: the reference is emptied, and the other person stays, with all
/// that is theirs.
#[test]
fn another_person_who_names_the_erased_one_stays() {
    for engine in ENGINES {
        let schema = "CREATE TABLE doctors (id BIGINT NOT NULL PRIMARY KEY, chief BIGINT, login VARCHAR(20));
            CREATE TABLE patients (id BIGINT NOT NULL PRIMARY KEY, doctor_id BIGINT, name VARCHAR(20));
            CREATE TABLE visits (id BIGINT NOT NULL PRIMARY KEY, patient_id BIGINT, doctor_id BIGINT);
            CREATE INDEX v ON visits (patient_id); CREATE INDEX c ON doctors (chief);
            INSERT INTO doctors VALUES (1, NULL, 'a'), (2, 1, 'b');
            INSERT INTO patients VALUES (7, 1, 'Anna'), (8, 2, 'Bert');
            INSERT INTO visits VALUES (1, 7, 1), (2, 8, 2), (3, NULL, 1);";
        let policy = |chief: &str| {
            "[people.user]\ndata = \"doctors\"\nidentifiers = { login = \"login\" }\n\
             [people.patient]\ndata = \"patients\"\nidentifiers = { number = \"id\" }\n"
                .to_owned()
                + &entry("doctors", chief)
                + &entry("patients", "user = \"doctor_id\"")
                + &entry("visits", "user = \"doctor_id\"\nbelongs_to = { data = \"patients\", by = \"patient_id\" }")
        };
        let shop = Shop::new(engine, &policy("unlink = { data = \"doctors\", by = \"chief\" }"), schema);
        let whom = words(&["--user", "1"]);
        // Refused before anything is planned.
        shop.write_policy(&policy("user = \"chief\""));
        assert_eq!(shop.run(&["erase", "--user", "1", "--dry-run"]).code, 3);
        // A link of the entry to itself says what belongs together, not who one person is.
        shop.write_policy(&policy("belongs_to = { data = \"doctors\", by = \"chief\" }"));
        assert!(!shop.plan(&whom).rows().contains_key(&("doctors".to_owned(), "delete".to_owned())));
        shop.write_policy(&policy("unlink = { data = \"doctors\", by = \"chief\" }"));
        shop.erase(&whom, &shop.plan(&whom), "");
        assert_eq!(shop.sql("SELECT id, chief IS NULL FROM doctors;").split_whitespace().next(), Some("2"));
        assert_eq!(shop.sql("SELECT count(*) FROM patients WHERE name IS NOT NULL;"), "2\n");
        assert_eq!(shop.sql("SELECT id FROM patients WHERE doctor_id = 1;"), "");
        assert_eq!(shop.sql("SELECT id FROM visits ORDER BY id;"), "1\n2\n", "the third was the doctor's alone");
        assert_eq!(shop.sql("SELECT id FROM visits WHERE doctor_id = 1;"), "");
    }
}

/// Calls of customers, some with a recording.
fn calls(engine: Engine) -> Shop {
    let time = engine.pick("TEXT", "TIMESTAMP", "DATETIME");
    let schema = format!(
        "CREATE TABLE calls (id BIGINT NOT NULL PRIMARY KEY, caller VARCHAR(40), at {time}, sound VARCHAR(40), agent BIGINT);
         CREATE INDEX calls_at ON calls (at);
         INSERT INTO calls VALUES (1, '+358401234567', '2024-01-01 10:00:00', 'a.wav', 1), (2, '0401234567', '2025-01-01 10:00:00', 'shared.wav', 2),
             (3, '0407654321', '2025-01-01 10:00:00', 'shared.wav', 1), (4, '040 123 45 67', NULL, NULL, NULL);"
    );
    let format = engine.pick(", format = \"%Y-%m-%d %H:%M:%S\"", "", "");
    let policy = "[people.customer]\nidentifiers = [\"phone\"]\n[categories.sound]\nbeyond_reach = \"Tapes in the cellar\"\n\
                  [stores.voice]\nurl = \"file:VOICE\"\n"
        .to_owned()
        + &entry(
            "calls",
            &format!(
                "time = {{ column = \"at\", zone = \"UTC\"{format} }}\ncustomer = {{ phone = \"caller\" }}\nfile = {{ store = \"voice\", path = \"sound\" }}"
            ),
        )
        .replace("category = \"some\"", "category = \"sound\"");
    let voice = tempfile::tempdir().unwrap().keep();
    for file in ["a.wav", "shared.wav"] {
        std::fs::write(voice.join(file), file).unwrap();
    }
    let shop = Shop::new(engine, &policy.replace("VOICE", &voice.display().to_string()), &schema);
    assert_eq!(shop.run(&["init", "voice"]).code, 0);
    shop
}

#[test]
fn files_go_by_way_of_the_trash_and_one_that_another_names_stays() {
    for engine in ENGINES {
        let shop = calls(engine);
        let whom = words(&["--customer", "phone=358401234567"]);
        let plan = shop.plan(&whom);
        assert_eq!(plan.json["jobs"][0]["rows"], 3);
        let done = shop.erase(&whom, &plan, "");
        assert_eq!(shop.sql("SELECT id FROM calls;"), "3\n");
        assert_eq!(done.json["jobs"][0]["files"], 1, "{done:#?}");
        let receipt = &done.json["receipt"];
        assert_eq!(receipt["beyond_reach"][0]["copies"], "Tapes in the cellar");
        assert!(receipt["backups_expire"].is_string());
        for secret in ["358401234567", "401234567"] {
            assert!(!done.json.to_string().contains(secret), "the receipt tells the number: {done:#?}");
            let state = std::fs::read(shop.folder.path().join("state.db")).unwrap();
            assert!(!String::from_utf8_lossy(&state).contains(secret), "the state tells the number");
        }
    }
}

#[test]
fn a_range_narrows_the_search_and_leaves_rows_without_a_time() {
    for engine in ENGINES {
        let shop = calls(engine);
        let whom = words(&["--customer", "phone=0401234567", "--from", "2024-06-01", "--to", "2025-06-01"]);
        shop.erase(&whom, &shop.plan(&whom), "");
        assert_eq!(shop.sql("SELECT id FROM calls ORDER BY id;"), "1\n3\n4\n");
        let turned =
            shop.run(&["erase", "--customer", "phone=0401234567", "--from", "2025-01-01", "--to", "2024-01-01"]);
        assert_eq!(turned.code, 2, "{turned:#?}");
    }
}

#[test]
fn too_many_rows_are_nobodys() {
    for engine in ENGINES {
        let shop = calls(engine);
        let mut sql = String::new();
        for id in 10..1_011 {
            write!(sql, "INSERT INTO calls VALUES ({id}, '0401234567', '2025-02-01 10:00:00', NULL, NULL);").unwrap();
        }
        shop.sql(&format!("BEGIN;{sql}COMMIT;"));
        let wide = shop.run(&["erase", "--customer", "phone=0401234567", "--dry-run"]);
        assert_eq!(wide.code, 4, "{wide:#?}");
        assert!(wide.stderr.contains("more than 1000 rows"), "{wide:#?}");
        let narrow = words(&["--customer", "phone=0401234567", "--to", "2025-01-15"]);
        assert_eq!(shop.plan(&narrow).json["jobs"][0]["rows"], 2);
        for short in ["phone=12", "phone=", "phone=a@b", "fone=0401234567", "0401234567"] {
            assert_eq!(shop.run(&["erase", "--customer", short, "--dry-run"]).code, 2, "{short}");
        }
    }
}

/// Nothing goes before somebody has confirmed, and the identifier can stay off the command line.
#[test]
fn only_the_very_plan_is_confirmed() {
    let shop = calls(Engine::Sqlite);
    let whom = words(&["--customer", "phone=0401234567"]);
    let plan = shop.plan(&whom);
    assert!(plan.stderr.contains("warning: the identifier stands on the command line"), "{plan:#?}");
    let before = shop.sql("SELECT * FROM calls ORDER BY id;");
    let unconfirmed = shop.run(&["erase", "--customer", "phone=0401234567"]);
    assert_eq!(unconfirmed.code, 4, "{unconfirmed:#?}");
    assert!(unconfirmed.stderr.contains(&format!("--yes-i-mean {}", plan.name())), "{unconfirmed:#?}");
    let other = shop.run(&["erase", "--customer", "phone=0407654321", "--yes-i-mean", &plan.name()]);
    assert_eq!(other.code, 4, "another person: {other:#?}");
    shop.sql("INSERT INTO calls VALUES (5, '0401234567', NULL, NULL, NULL);");
    let moved = shop.run(&["erase", "--customer", "phone=0401234567", "--yes-i-mean", &plan.name()]);
    assert_eq!(moved.code, 4, "one row more than was looked at: {moved:#?}");
    shop.sql("DELETE FROM calls WHERE id = 5;");
    assert_eq!(shop.sql("SELECT * FROM calls ORDER BY id;"), before);
    // From a file, and from standard input.
    let file = shop.folder.path().join("who");
    std::fs::write(&file, "phone=0401234567\n").unwrap();
    let by_file = shop.run(&["erase", "--customer", "@who", "--dry-run"]);
    assert_eq!((by_file.code, by_file.name()), (0, plan.name()), "{by_file:#?}");
    assert!(!by_file.stderr.contains("warning: the identifier"), "{by_file:#?}");
    // Where no receipt can be written nothing goes.
    let nowhere = shop.run(&["erase", "--customer", "@who", "--yes-i-mean", &plan.name(), "--out", "who"]);
    assert_eq!(nowhere.code, 2, "{nowhere:#?}");
    assert_eq!(shop.sql("SELECT * FROM calls ORDER BY id;"), before);
    let mut child = shop
        .command(&["erase", "--customer", "phone=-", "--yes-i-mean", &plan.name(), "--out", "receipts"])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"0401234567\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(shop.sql("SELECT id FROM calls;"), "3\n");
    let written = std::fs::read_dir(shop.folder.path().join("receipts")).unwrap().filter_map(Result::ok);
    let receipts = written.filter(|file| file.file_name().to_string_lossy().starts_with("erasure-")).count();
    assert_eq!(receipts, 2, "as text and as JSON");
}

/// A customer's rows under a hold: neither a purge nor an erasure takes them, nor their files, until the case is over.
#[test]
fn a_held_customer_keeps_rows_and_files() {
    for engine in ENGINES {
        let shop = calls(engine);
        let policy = std::fs::read_to_string(shop.folder.path().join("jobs.toml")).unwrap();
        let job = "[jobs.old]\nkind = \"retention_purge\"\ndata = [\"calls\"]\nkeep = \"30 days\"\n";
        std::fs::write(shop.folder.path().join("jobs.toml"), format!("{policy}{job}")).unwrap();
        shop.sql("INSERT INTO calls VALUES (9, '0400000000', '2024-01-01 10:00:00', 'b.wav', 2);");
        let voice = voice_of(&policy);
        std::fs::write(voice.join("b.wav"), "b.wav").unwrap();
        let held = shop.run(&["hold", "add", "court", "--customer", "phone=+358 40 123 4567", "--why", "asked"]);
        assert_eq!((held.code, held.json["rows"]["shop"].as_u64()), (0, Some(3)), "{engine:?} {held:#?}");
        // Calls 3 and 9 are old and nobody's hold; 3 shares its file with a held one.
        let run = shop.run(&["run", "old"]);
        assert_eq!((run.code, run.json["jobs"][0]["rows"].as_u64()), (0, Some(2)), "{engine:?} {run:#?}");
        assert_eq!(shop.sql("SELECT id FROM calls ORDER BY id;"), "1\n2\n4\n", "{engine:?}");
        let there = |file: &str| voice.join(file).exists();
        assert_eq!((there("a.wav"), there("shared.wav"), there("b.wav")), (true, true, false), "{engine:?}");
        let again = shop.run(&["run", "old"]);
        assert_eq!((again.code, &again.json["jobs"][0]["outcome"]), (4, &"held".into()), "{engine:?} {again:#?}");
        let whom = words(&["--customer", "phone=0401234567"]);
        let plan = shop.plan(&whom);
        let erased = shop.run(&["erase", "--customer", "phone=0401234567", "--yes-i-mean", &plan.name()]);
        assert_eq!(erased.code, 4, "{engine:?} {erased:#?}");
        assert_eq!(shop.sql("SELECT id FROM calls ORDER BY id;"), "1\n2\n4\n", "{engine:?}");
        assert!(there("a.wav") && there("shared.wav"), "{engine:?}");
        let released = shop.run(&["hold", "release", "court", "--approve-as", "nobody"]);
        assert_eq!(released.code, 0, "{engine:?} {released:#?}");
        shop.erase(&whom, &shop.plan(&whom), "");
        assert_eq!(shop.sql("SELECT count(*) FROM calls;"), "0\n", "{engine:?}");
        assert!(!there("a.wav") && !there("shared.wav"), "{engine:?}");
    }
}

/// A user's own row knows the address by which a held row names them: it stays until that row can be changed.
#[test]
fn what_finds_a_user_stays_while_anything_is_held() {
    for engine in ENGINES {
        let policy = "[people.user]\ndata = \"staff\"\nidentifiers = { email = \"email\" }\n\
             [data.staff]\nstore = \"shop\"\ntable = \"staff\"\ncategory = \"some\"\n\
             [data.notes]\nstore = \"shop\"\ntable = \"notes\"\ncategory = \"some\"\nuser = \"owner\"\nmentions = { email = [\"cc\"] }\n";
        let schema = "CREATE TABLE staff (id BIGINT NOT NULL PRIMARY KEY, email VARCHAR(60));
             CREATE TABLE notes (id BIGINT NOT NULL PRIMARY KEY, owner BIGINT, cc VARCHAR(60));
             CREATE INDEX notes_owner ON notes (owner);
             INSERT INTO staff VALUES (7, 'anna@example.org'), (8, 'bert@example.org');
             INSERT INTO notes VALUES (1, 7, NULL), (2, 8, 'Anna@example.org'), (3, 8, NULL);";
        let shop = Shop::new(engine, policy, schema);
        let left = || {
            let rows = shop.sql("SELECT id FROM staff ORDER BY id;") + &shop.sql("SELECT id FROM notes ORDER BY id;");
            let named = shop.sql("SELECT count(*) FROM notes WHERE cc IS NOT NULL;");
            (rows.split_whitespace().collect::<Vec<_>>().join(" "), named.trim() == "1")
        };
        let held = shop.run(&["hold", "add", "court", "--data", "notes", "--where", "id = [2]", "--why", "asked"]);
        assert_eq!(held.code, 0, "{engine:?} {held:#?}");
        let whom = words(&["--user", "7"]);
        let erased = shop.run(&["erase", "--user", "7", "--yes-i-mean", &shop.plan(&whom).name()]);
        assert_eq!(erased.code, 0, "{engine:?} {erased:#?}");
        assert!(erased.json.to_string().contains("they find what a legal hold keeps"), "{engine:?} {erased:#?}");
        assert_eq!(left(), ("7 8 2 3".to_owned(), true), "{engine:?}");
        let again = shop.plan(&whom);
        assert_eq!(again.rows().values().sum::<u64>(), 0, "{engine:?} {again:#?}");
        let released = shop.run(&["hold", "release", "court", "--approve-as", "nobody"]);
        assert_eq!(released.code, 0, "{engine:?} {released:#?}");
        shop.erase(&whom, &shop.plan(&whom), "");
        assert_eq!(left(), ("8 2 3".to_owned(), false), "{engine:?}");
    }
}

/// The folder of the recordings.
fn voice_of(policy: &str) -> std::path::PathBuf {
    let (_, rest) = policy.split_once("file:").unwrap();
    rest.split_once('"').unwrap().0.into()
}

/// A hold by an address that many rows bear is somebody's mistake, unless it is said to be none.
#[test]
fn a_hold_on_very_many_rows_must_be_meant() {
    for engine in ENGINES {
        let shop = calls(engine);
        let mut sql = String::new();
        for id in 10..1_011 {
            write!(sql, "INSERT INTO calls VALUES ({id}, '0401234567', '2025-02-01 10:00:00', NULL, NULL);").unwrap();
        }
        shop.sql(&format!("BEGIN;{sql}COMMIT;"));
        let add = ["hold", "add", "court", "--customer", "phone=0401234567", "--why", "asked"];
        let wide = shop.run(&add);
        assert_eq!(wide.code, 4, "{wide:#?}");
        assert!(wide.stderr.contains("more than 1000 rows") && wide.stderr.contains("--wide"), "{wide:#?}");
        assert_eq!(shop.sql("SELECT count(*) FROM retentiond_held;"), "0\n", "{engine:?}: nothing is held by halves");
        let meant = shop.run(&[&add[..], &["--wide"]].concat());
        assert_eq!((meant.code, meant.json["rows"]["shop"].as_u64()), (0, Some(1_004)), "{engine:?} {meant:#?}");
    }
}

/// Rows that go together or not at all: a person's own go, those tied to somebody else's stay and are named.
#[test]
fn rows_tied_to_somebody_elses_stay() {
    for engine in ENGINES {
        let schema = "CREATE TABLE tickets (id BIGINT NOT NULL PRIMARY KEY, phone VARCHAR(40), merged_into BIGINT);
             CREATE INDEX tickets_merged ON tickets (merged_into);
             INSERT INTO tickets VALUES (1, '0401234567', 2), (2, '0401234567', NULL), (3, '0401234567', 4), (4, '0407654321', NULL),
                 (5, '0407654321', 6), (6, '0401234567', 7), (7, '0401234567', NULL), (8, '0401234567', NULL);";
        let policy = "[people.customer]\nidentifiers = [\"phone\"]\n".to_owned()
            + &entry(
                "tickets",
                "customer = { phone = \"phone\" }\ngoes_with = { data = \"tickets\", by = \"merged_into\" }",
            );
        let shop = Shop::new(engine, &policy, schema);
        let whom = words(&["--customer", "phone=0401234567"]);
        let plan = shop.plan(&whom);
        assert_eq!(plan.json["jobs"][0]["rows"], 3, "{engine:?} {plan:#?}");
        let done = shop.run(&["erase", "--customer", "phone=0401234567", "--yes-i-mean", &plan.name()]);
        assert_eq!(done.code, 0, "{engine:?} {done:#?}");
        // 3 is tied to 4, and 7 by way of 6 to 5: both somebody else's.
        assert_eq!(shop.sql("SELECT id FROM tickets ORDER BY id;"), "3\n4\n5\n6\n7\n", "{engine:?}");
        let remains = done.json["receipt"]["remains"].as_array().unwrap();
        let tied: Vec<u64> = remains
            .iter()
            .filter(|left| left["ground"].as_str().unwrap().contains("go together with rows that stay"))
            .map(|left| left["rows"].as_u64().unwrap())
            .collect();
        assert_eq!(tied, [3], "{engine:?} {done:#?}");
        assert_eq!(shop.plan(&whom).json["jobs"][0]["rows"], 0, "{engine:?}: a second erasure finds nothing");
    }
}
