//! Both verifiers, side by side: what they must refuse, what they must take, and that they never fall over.

use std::process::Command;

use chrono::TimeDelta;
use retentiond::clock::Clock;
use retentiond::store::state;
use retentiond::trail::export::verify_text;
use retentiond::trail::note::{Checkpoint, VerifierKey, find_note};
use retentiond::trail::tree::{Frontier, leaf_hash};
use retentiond::trail::{self, Act, Digest, Entry, Known, Proof, Signer, Verdict, canonical, hex};
use serde_json::{Value, json};

use crate::python::Python;
use crate::support::{Project, Random, run_sql};
use crate::tampering::{now, sample};
use crate::written::Trail;

/// What `audit verify --export` says; nothing when a checkpoint is none.
fn rust(export: &[u8], known: &[&[u8]], keys: &[String]) -> Option<Proof> {
    let known: Vec<Known> =
        known.iter().map(|note| Known { label: "kept".to_owned(), note: find_note(note) }).collect();
    let keys: Vec<VerifierKey> = keys.iter().map(|key| VerifierKey::parse(key).unwrap()).collect();
    verify_text(export, &known, &keys, now()).ok()
}

fn code(proof: Option<&Proof>) -> i32 {
    proof.map_or(2, |proof| match proof.verdict() {
        Verdict::Proved => 0,
        Verdict::Tampered => 1,
        Verdict::Unanchored => 4,
    })
}

/// Something that does not belong there.
fn oddity(random: &mut Random) -> Value {
    let nested = (0..100).fold(json!(1), |inner, _| json!([inner]));
    random
        .pick(&[
            json!(null),
            json!(-1),
            json!(i64::MIN),
            json!(9_007_199_254_740_991_i64),
            json!(1.5),
            json!(""),
            json!("é\u{1b}[2J"),
            json!([]),
            json!({}),
            json!([null]),
            json!(true),
            nested,
        ])
        .clone()
}

/// Changes one value somewhere within another, or takes one away, or adds one.
fn distort(value: &mut Value, random: &mut Random) {
    let inner = match value {
        Value::Object(items) if !items.is_empty() && random.below(4) > 0 => {
            let name = random.pick(&items.keys().cloned().collect::<Vec<_>>()).clone();
            match random.below(3) {
                0 => return drop(items.remove(&name)),
                1 => return drop(items.insert("more".to_owned(), oddity(random))),
                _ => items.get_mut(&name),
            }
        }
        Value::Array(items) if !items.is_empty() && random.coin() => {
            let place = usize::try_from(random.below(items.len() as u64)).unwrap();
            items.get_mut(place)
        }
        _ => None,
    };
    match inner {
        Some(inner) if random.coin() => distort(inner, random),
        Some(inner) => *inner = oddity(random),
        None => *value = oddity(random),
    }
}

#[test]
fn no_line_makes_a_verifier_fall_over() {
    let mut random = Random::seeded("distorted");
    let folder = tempfile::tempdir().unwrap();
    let (export, note) = sample(folder.path(), &mut random, true);
    let mut python = Python::start();
    let lines: Vec<&str> = std::str::from_utf8(&export).unwrap().split_inclusive('\n').collect();
    for round in 0..1_500_usize {
        // The first line, which says most, has its turn as often as all others.
        let place = if round % 2 == 0 { 0 } else { usize::try_from(random.below(lines.len() as u64)).unwrap() };
        let mut value: Value = serde_json::from_str(lines[place]).unwrap();
        distort(&mut value, &mut random);
        let line = canonical::encode(&value).unwrap_or_else(|| value.to_string()) + "\n";
        if line == lines[place] {
            continue;
        }
        let text = [&lines[..place], &[line.as_str()], &lines[place + 1..]].concat().concat();
        assert_eq!(code(rust(text.as_bytes(), &[note.as_bytes()], &[]).as_ref()), 1, "{line}");
        let (found, said) = python.verify(text.as_bytes(), &[note.as_bytes()]);
        assert_eq!(found, 1, "{line}: {said}");
    }
    for text in ["", "\n", "{}\n", "null\n", "[]\n", "{\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1,\"g\":1}\n"] {
        assert_eq!(code(rust(text.as_bytes(), &[], &[]).as_ref()), 1, "{text:?}");
        assert_eq!(python.verify(text.as_bytes(), &[]).0, 1, "{text:?}");
    }
}

#[test]
fn a_checkpoint_is_taken_as_it_was_saved_and_no_other() {
    let mut random = Random::seeded("notes");
    let folder = tempfile::tempdir().unwrap();
    let (export, note) = sample(folder.path(), &mut random, false);
    let mut python = Python::start();
    let mut agree = |text: &[u8], what: &str| {
        let found = code(rust(&export, &[text], &[]).as_ref());
        let (theirs, said) = python.verify(&export, &[text]);
        assert_eq!(found, theirs, "{what}: {said}");
        found
    };
    let mail = format!("Subject: a checkpoint\r\n\r\nThe trail:\r\n\r\n    {}\r\n", note.replace('\n', "\r\n    "));
    let quoted =
        mail.replace('=', "=3D").replace('\u{2014}', "=E2=80=94").replacen("/retentiond", "/ret=\r\nentiond", 2);
    let quoted = quoted.replacen("\r\n\r\n", "\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n", 1);
    for whole in [note.clone(), note.trim_end().to_owned(), mail, quoted] {
        assert_eq!(agree(whole.as_bytes(), &whole), 0, "{whole}");
    }
    // The last digit of a hash in base64 stands for four bits, of which two are nobody's.
    let root = note.lines().nth(2).unwrap();
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let last = digits.iter().position(|digit| *digit == root.as_bytes()[42]).unwrap();
    let other = format!("{}{}=", &root[..42], char::from(digits[last ^ 1]));
    for none in [note.replace(root, &other), String::new(), "no checkpoint\n".to_owned(), "\u{2014} a\n".to_owned()] {
        assert_eq!(agree(none.as_bytes(), &none), 2, "{none}");
    }
    assert_eq!(agree(b"\xff\xfe", "no text"), 2);
    for _ in 0..400 {
        let mut bytes = note.clone().into_bytes();
        let place = usize::try_from(random.below(bytes.len() as u64)).unwrap();
        bytes[place] ^= 1 << random.below(8);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert_ne!(agree(&bytes, &text), 4, "{text}");
    }
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/verify_trail.py");
    let trail = folder.path().join("trail.jsonl");
    std::fs::write(&trail, &export).unwrap();
    let missing = Command::new("python3").args([&script, &trail, &folder.path().join("none")]).output().unwrap();
    assert_eq!(missing.status.code(), Some(2), "{missing:?}");
    let usage = Command::new("python3").arg(&script).output().unwrap();
    assert_eq!(usage.status.code(), Some(2), "{usage:?}");
}

#[test]
fn a_changed_key_is_no_tampering() {
    let mut random = Random::seeded("keys");
    let folder = tempfile::tempdir().unwrap();
    let mut trail = Trail::new(folder.path());
    let mut python = Python::start();
    let mut keys = Vec::new();
    let mut notes = Vec::new();
    for place in ["first", "second"] {
        let own = folder.path().join(place);
        std::fs::create_dir(&own).unwrap();
        trail.signer = Signer::open(None, Some(&own)).unwrap();
        trail.run(&mut random);
        let note = trail.checkpoint().unwrap().note;
        keys.push(trail.signer.verifier(note.lines().next().unwrap()).unwrap().to_string());
        notes.push(note);
    }
    let export = trail.export();
    let mut check = |known: &str, keys: &[String]| {
        let proof = rust(&export, &[known.as_bytes()], keys).unwrap();
        let (theirs, said) = python.verify_by(&export, &[known.as_bytes()], keys);
        assert_eq!(code(Some(&proof)), theirs, "{:?}: {said}", proof.findings);
        proof
    };
    assert_eq!(check(&notes[1], &[]).verdict(), Verdict::Proved);
    assert_eq!(check(&notes[1], &keys).verdict(), Verdict::Proved, "both keys are named");
    let old = check(&notes[0], &keys[..1]);
    assert_eq!((old.verdict(), old.strangers), (Verdict::Proved, 1), "what the old key vouches for stays proved");
    let unnamed = check(&notes[1], &keys[..1]);
    assert!(unnamed.findings[0].what.contains("name both"), "{:?}", unnamed.findings);
}

/// A state whose first records went, excused by a record that somebody made up.
fn forge(folder: &std::path::Path, to: u64, age: TimeDelta, with_key: bool) -> (Trail, String) {
    let mut random = Random::seeded("forged");
    let mut trail = Trail::new(folder);
    for _ in 0..3 {
        (0..3).for_each(|_| trail.run(&mut random));
        trail.next_month();
    }
    let kept = trail.checkpoint().unwrap().note;
    let mut conn = trail.memory.conn().unwrap();
    let second = u64::try_from(state::trail_segments(&mut conn).unwrap()[1].0).unwrap();
    let to = if to == 0 { second } else { to };
    let mut tree = Frontier::default();
    for (_, leaf) in state::trail_leaves(&mut conn, 0, i64::try_from(to).unwrap()).unwrap() {
        tree.push(leaf_hash(&hex::decode(&leaf).unwrap()));
    }
    let prune = Act::Prune { to, before: trail.now - age, root: Digest::of(&tree.root()) };
    trail::append(&mut conn, Clock::fixed(trail.now), &[Entry::new(prune)]).unwrap();
    drop(conn);
    let key = if with_key { format!("DELETE FROM trail_segments WHERE first_seq < {to};") } else { String::new() };
    run_sql(
        &format!("sqlite:{}", folder.join("state.db").display()),
        &format!("DELETE FROM trail_records WHERE seq < {to}; UPDATE trail_head SET pruned = {to}; {key}"),
    );
    (trail, kept)
}

#[test]
fn a_pruning_that_was_made_up_is_found_or_called_what_it_is() {
    let mut python = Python::start();
    let old = TimeDelta::days(20);
    for (to, age, with_key, what) in [
        (0, TimeDelta::days(-400), true, "was not older than itself"),
        (0, old, false, "the key that hid them was left"),
        (3, old, true, "the key of its segment is gone"),
        (3, old, false, "the key that hid them was left"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (trail, kept) = forge(folder.path(), to, age, with_key);
        let export = trail.export();
        let proof = rust(&export, &[kept.as_bytes()], &[]).unwrap();
        let found = proof.findings.iter().any(|finding| finding.what.contains(what));
        assert!(found, "{what}: {:?}", proof.findings);
        let (code, said) = python.verify(&export, &[kept.as_bytes()]);
        assert_eq!(code, 1, "{what}: {said}");
    }
    // One in which nothing is wrong: nobody can tell, but it is said who vouches for it.
    let folder = tempfile::tempdir().unwrap();
    let (mut trail, kept) = forge(folder.path(), 0, old, true);
    let export = trail.export();
    let proof = rust(&export, &[kept.as_bytes()], &[]).unwrap();
    assert_eq!(proof.verdict(), Verdict::Proved, "{:?}", proof.findings);
    assert!(proof.pruning.is_some() && !proof.pruning_is_proved());
    let (code, said) = python.verify(&export, &[kept.as_bytes()]);
    assert!(code == 0 && said.contains("no known checkpoint tells"), "{said}");
    let later = trail.checkpoint().unwrap().note;
    let export = trail.export();
    assert!(rust(&export, &[later.as_bytes()], &[]).unwrap().pruning_is_proved());
    assert!(!python.verify(&export, &[later.as_bytes()]).1.contains("no known checkpoint tells"));
    assert!(Checkpoint::open(&later, &[]).is_err());
}

#[test]
fn nothing_of_a_changed_trail_reaches_the_terminal() {
    let project = Project::new("[state]\nurl = \"sqlite:{dir}/state.db\"\n");
    project.run(&["audit", "verify"]).expect_code(4);
    let url = format!("sqlite:{}", project.path("state.db").display());
    run_sql(&url, "UPDATE trail_head SET origin = char(27) || '[2J' || char(8238);");
    run_sql(&url, "INSERT INTO trail_checkpoints VALUES (7, char(27) || '[2J', '2026-01-01 00:00:00', NULL);");
    let said = project.run(&["audit", "verify"]).expect_code(1).stdout;
    assert!(said.starts_with("TAMPERED") && !said.contains(['\u{1b}', '\u{202e}']), "{said:?}");
}
