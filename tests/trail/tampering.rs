//! Mutations of a trail below a checkpoint that was kept elsewhere, and prunings that are none.

use chrono::{DateTime, TimeDelta, Utc};
use retentiond::clock::Clock;
use retentiond::trail::export::verify_text;
use retentiond::trail::note::find_note;
use retentiond::trail::{Known, Proof, Verdict};

use crate::python::Python;
use crate::support::{Random, run_sql};
use crate::written::Trail;

fn long() -> bool {
    std::env::var("RETENTIOND_TORTURE").is_ok_and(|length| length == "long")
}

pub fn now() -> DateTime<Utc> {
    Clock::system().now()
}

fn verify(export: &[u8], known: &[&[u8]]) -> Proof {
    let known: Vec<Known> =
        known.iter().map(|note| Known { label: "kept".to_owned(), note: find_note(note) }).collect();
    verify_text(export, &known, &[], now()).unwrap()
}

/// A trail over four months, some of it pruned or not, and the checkpoint at its end.
pub fn sample(folder: &std::path::Path, random: &mut Random, pruned: bool) -> (Vec<u8>, String) {
    let mut trail = Trail::new(folder);
    for month in 0..4 {
        (0..2).for_each(|_| trail.run(random));
        if month == 1 {
            trail.checkpoint().unwrap();
        }
        trail.next_month();
    }
    if pruned {
        assert!(trail.prune(trail.now - TimeDelta::days(60)) > 0);
    }
    let signed = trail.checkpoint().unwrap();
    (trail.export(), signed.note)
}

/// One random change of a trail's export.
fn mutate(export: &[u8], random: &mut Random) -> (String, Vec<u8>) {
    let mut lines: Vec<Vec<u8>> = export.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    let place = |random: &mut Random, most: usize| usize::try_from(random.below(most as u64)).unwrap();
    let line = place(random, lines.len());
    let what = match random.below(6) {
        0..=2 => {
            let (byte, bit) = (place(random, lines[line].len()), random.below(8));
            lines[line][byte] ^= 1 << bit;
            format!("bit {bit} of byte {byte} of line {line}")
        }
        3 => {
            lines.remove(line);
            format!("line {line} dropped")
        }
        4 => {
            let other = (line + 1 + place(random, lines.len() - 1)) % lines.len();
            lines.swap(line, other);
            format!("lines {line} and {other} swapped")
        }
        _ => {
            lines.insert(place(random, lines.len()), lines[line].clone());
            format!("line {line} repeated")
        }
    };
    (what, lines.concat())
}

#[test]
fn every_mutation_below_a_checkpoint_is_found() {
    let mut random = Random::seeded("mutations");
    let (mut python, mut done) = (Python::start(), 0);
    let (trails, each) = if long() { (20, 500) } else { (2, 200) };
    for number in 0..trails {
        let folder = tempfile::tempdir().unwrap();
        let (export, note) = sample(folder.path(), &mut random, number % 2 == 1);
        let whole = verify(&export, &[note.as_bytes()]);
        assert_eq!(whole.verdict(), Verdict::Proved, "{:?}", whole.findings);
        assert_eq!(python.verify(&export, &[note.as_bytes()]).0, 0);
        assert_eq!(verify(&export, &[]).verdict(), Verdict::Unanchored);
        assert_eq!(python.verify(&export, &[]).0, 4);
        for _ in 0..each {
            let (what, changed) = mutate(&export, &mut random);
            assert_eq!(verify(&changed, &[note.as_bytes()]).verdict(), Verdict::Tampered, "{what}");
            assert_eq!(python.verify(&changed, &[note.as_bytes()]).0, 1, "{what}");
            done += 1;
        }
    }
    eprintln!("{done} mutations, all found by both");
}

#[test]
fn a_trail_cut_at_any_record_is_found() {
    let mut random = Random::seeded("cuts");
    let folder = tempfile::tempdir().unwrap();
    let (export, note) = sample(folder.path(), &mut random, false);
    let mut python = Python::start();
    let lines: Vec<&[u8]> = export.split_inclusive(|byte| *byte == b'\n').collect();
    let size = lines.iter().filter(|line| line.windows(7).any(|word| word == b"\"leaf\":")).count();
    for cut in 0..size {
        // The header tells the lie too, and the checkpoints that the cut outdates are gone.
        let header = String::from_utf8(lines[0].to_vec()).unwrap();
        let header = header.replace(&format!("\"size\":{size}"), &format!("\"size\":{cut}"));
        let header = header.replace("\"checkpoints\":2", "\"checkpoints\":0");
        let text = [header.as_bytes(), &lines[1..=cut].concat()].concat();
        let proof = verify(&text, &[note.as_bytes()]);
        assert_eq!(proof.verdict(), Verdict::Tampered, "cut at {cut}");
        assert!(proof.findings.iter().any(|finding| finding.what.contains("cut off")), "{:?}", proof.findings);
        assert_eq!(python.verify(&text, &[note.as_bytes()]).0, 1, "cut at {cut}");
    }
}

#[test]
fn pruning_is_no_tampering() {
    let mut random = Random::seeded("prunings");
    let (mut python, mut prunings, mut went) = (Python::start(), 0, 0);
    let wanted = if long() { 1_000 } else { 40 };
    while prunings < wanted {
        let folder = tempfile::tempdir().unwrap();
        let mut trail = Trail::new(folder.path());
        let mut kept: Vec<String> = Vec::new();
        for _ in 0..20 {
            (0..=random.below(2)).for_each(|_| trail.run(&mut random));
            if random.coin() {
                trail.next_month();
            }
            if random.coin() {
                kept.extend(trail.checkpoint().map(|signed| signed.note));
            }
            let age = TimeDelta::days(i64::try_from(random.below(120)).unwrap());
            went += u64::from(trail.prune(trail.now - age) > 0);
            prunings += 1;
            let (export, known) = (trail.export(), kept.iter().map(String::as_bytes).collect::<Vec<_>>());
            let proof = verify(&export, &known);
            let expected = if kept.is_empty() { (Verdict::Unanchored, 4) } else { (Verdict::Proved, 0) };
            assert_eq!(proof.verdict(), expected.0, "{:?}", proof.findings);
            let (code, said) = python.verify(&export, &known);
            assert_eq!(code, expected.1, "{said}");
        }
    }
    assert!(went * 10 > prunings, "only {went} of {prunings} prunings removed anything");
    eprintln!("{prunings} prunings, {went} of which removed something; no false alarm by either");
}

#[test]
fn an_unrecorded_pruning_is_tampering() {
    let mut random = Random::seeded("unrecorded");
    let folder = tempfile::tempdir().unwrap();
    let (export, note) = sample(folder.path(), &mut random, false);
    let text = String::from_utf8(export).unwrap();
    let body = text.find("\"body\":").unwrap();
    let end = body + text[body..].find(",\"leaf\"").unwrap();
    let pruned = text[..body].to_owned() + &text[end + 1..];
    assert_eq!(verify(pruned.as_bytes(), &[note.as_bytes()]).verdict(), Verdict::Tampered);
    let admitted = pruned.replace("\"pruned\":0", "\"pruned\":1");
    assert_eq!(verify(admitted.as_bytes(), &[note.as_bytes()]).verdict(), Verdict::Tampered);
    assert_eq!(Python::start().verify(admitted.as_bytes(), &[note.as_bytes()]).0, 1);
}

/// What an administrator of the state's database could do with one statement.
const STATEMENTS: [&str; 28] = [
    "UPDATE trail_records SET body = replace(body, '\"uid\":', '\"uid\":1') WHERE seq = 3",
    "UPDATE trail_records SET kind = 'pause' WHERE seq = 2",
    "UPDATE trail_records SET job = 'other' WHERE seq = 2",
    "UPDATE trail_records SET run = NULL WHERE seq = 2",
    "UPDATE trail_leaves SET leaf = replace(leaf, '0', '1') WHERE seq = 2",
    "DELETE FROM trail_records WHERE seq = 2",
    "DELETE FROM trail_records WHERE seq < 4",
    "DELETE FROM trail_leaves WHERE seq = 2",
    "DELETE FROM trail_leaves WHERE seq = (SELECT max(seq) FROM trail_leaves)",
    "DELETE FROM trail_records; DELETE FROM trail_leaves; UPDATE trail_head SET size = 0, frontier = ''",
    "UPDATE trail_head SET size = size + 1",
    "UPDATE trail_head SET frontier = substr(frontier, 2) || 'a'",
    "UPDATE trail_head SET origin = 'another'",
    "UPDATE trail_segments SET secret = substr(secret, 2) || 'a' WHERE first_seq = 0",
    "UPDATE trail_checkpoints SET note = replace(note, '1', '2')",
    "UPDATE trail_signers SET public_key = substr(public_key, 2) || 'a'",
    "INSERT INTO trail_signers VALUES ('no key', '2026-01-01 00:00:00')",
    "UPDATE trail_head SET last_hash = substr(last_hash, 2) || 'a'",
    "UPDATE trail_head SET last_hash = 'none'",
    "UPDATE trail_head SET segment = 0",
    "UPDATE trail_head SET segment_month = '2020-01'",
    "DELETE FROM trail_head",
    "UPDATE trail_leaves SET seq = 9223372036854775807 WHERE seq = 2",
    "INSERT INTO trail_leaves VALUES (9223372036854775807, 'none')",
    "INSERT INTO trail_leaves SELECT -5, leaf FROM trail_leaves WHERE seq = 2",
    "UPDATE trail_leaves SET seq = 'two' WHERE seq = 2",
    "UPDATE trail_leaves SET leaf = x'ff00' WHERE seq = 2",
    "UPDATE trail_checkpoints SET size = size + 1000",
];

#[test]
fn changes_in_the_state_are_found() {
    let mut random = Random::seeded("statements");
    let folder = tempfile::tempdir().unwrap();
    let (_, note) = sample(folder.path(), &mut random, false);
    let known = [Known { label: "kept".to_owned(), note }];
    let whole = folder.path().join("state.db");
    run_sql(&format!("sqlite:{}", whole.display()), "PRAGMA wal_checkpoint(TRUNCATE);");
    for statement in STATEMENTS {
        let copy = folder.path().join("copy.db");
        std::fs::copy(&whole, &copy).unwrap();
        let url = format!("sqlite:{}", copy.display());
        run_sql(&url, &format!("PRAGMA journal_mode = DELETE; {statement};"));
        let memory = crate::written::open(&url);
        let proof =
            retentiond::trail::export::verify_state(&mut memory.conn().unwrap(), &known, &[], now()).unwrap().unwrap();
        assert_eq!(proof.verdict(), Verdict::Tampered, "{statement}");
    }
}
