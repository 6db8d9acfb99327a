//! The trail as JSON lines, with all that it takes to verify it elsewhere.
//!
//! The first line says what follows; then comes one line for each record ever written, without its text where that was
//! pruned; then one for each of the trail's own checkpoints. Each line is written by RFC 8785, so that a byte that was
//! changed is another line.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::canonical;
use super::hex;
use super::note::{Checkpoint, NoteError, VerifierKey};
use super::proof::{Claims, Head, Known, Proof};
use super::verify::Check;
use super::{TrailError, append::Tip};
use crate::store::state::{self, StoredRecord, StoredRow, TrailHead};
use crate::store::{Conn, ErrorKind};

/// The format's name, in the first line.
pub const FORMAT: &str = "retentiond-trail/1";
const PAGE: i64 = 1_000;

fn line(value: &Value) -> String {
    canonical::encode(value).unwrap_or_default() + "\n"
}

/// What the state says of its trail.
///
/// # Errors
/// When the state cannot be read.
pub fn claims(conn: &mut Conn) -> Result<Claims, TrailError> {
    let mut broken = Vec::new();
    let head = state::find_trail_head(conn)?.unwrap_or_else(|| {
        broken.push("the row that stands for the whole trail is gone".to_owned());
        TrailHead { segment: -1, ..TrailHead::default() }
    });
    let tip = Tip::of(&head).ok();
    let mut keys = Vec::new();
    for key in state::trail_signers(conn)? {
        match hex::hash(&key).and_then(|key| VerifierKey::new(&head.origin, &key)) {
            Some(key) => keys.push(key),
            None => broken.push("a key among those who have signed is none".to_owned()),
        }
    }
    let mut segments = BTreeMap::new();
    for (first, key) in state::trail_segments(conn)? {
        match (u64::try_from(first), hex::hash(&key)) {
            (Ok(first), Some(key)) => drop(segments.insert(first, key.to_vec())),
            _ => broken.push(format!("the key of the records from {first} on is none")),
        }
    }
    let checkpoints = state::checkpoints(conn)?.into_iter();
    Ok(Claims {
        origin: head.origin.clone(),
        size: unsigned(head.size),
        pruned: unsigned(head.pruned),
        head: Some(Head {
            last_hash: tip.as_ref().map(|tip| tip.last_hash),
            tree: tip.map(|tip| tip.frontier),
            segment: u64::try_from(head.segment).ok(),
            month: head.segment_month,
        }),
        keys,
        trusted: Vec::new(),
        segments,
        checkpoints: checkpoints.map(|(size, note)| (Some(unsigned(size)), note)).collect(),
        broken,
    })
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// Hands all rows of the state's trail out, in order; gives the number of those that are whole.
///
/// # Errors
/// When the state cannot be read, or a row cannot be taken.
pub fn each_row(
    conn: &mut Conn,
    mut take: impl FnMut(&StoredRow) -> Result<(), TrailError>,
) -> Result<u64, TrailError> {
    // From the lowest number on: one that nobody gave out is somebody's doing.
    let (mut next, mut records) = (i64::MIN, 0);
    loop {
        let rows = state::trail_rows(conn, next, PAGE)?;
        for row in &rows {
            take(row)?;
            records += u64::from(row.record.is_some());
        }
        // SQLite may hold a number that is none, which comes last and again and again.
        match rows.last().and_then(|last| last.seq.checked_add(1)).filter(|after| *after > next) {
            Some(after) => next = after,
            None => return Ok(records),
        }
    }
}

/// Verifies the state's trail, in a transaction that sees one instant of it. `keys`: whose signatures count; those that the
/// trail names, where none are given. `now`: when that is.
///
/// # Errors
/// When the state cannot be read, or a known checkpoint is none.
pub fn verify_state(
    conn: &mut Conn,
    known: &[Known],
    keys: &[VerifierKey],
    now: DateTime<Utc>,
) -> Result<Result<Proof, (String, NoteError)>, TrailError> {
    conn.transaction(crate::store::Access::ReadOnly, |conn| {
        let claims = match claims(conn) {
            Ok(claims) => Claims { trusted: keys.to_vec(), ..claims },
            Err(error) => Claims { broken: vec![garbled(error)?], head: Some(Head::default()), ..Claims::default() },
        };
        let mut check = match Check::begin(claims, known, now) {
            Ok(check) => check,
            Err(wrong) => return Ok(Err(wrong)),
        };
        let read = each_row(conn, |row| {
            check.row(row);
            Ok(())
        });
        let mut proof = check.finish();
        match read {
            Err(error) => proof.find(None, garbled(error)?),
            Ok(seen) => match unsigned(state::count_trail_records(conn)?) {
                records if records > seen => proof.find(None, format!("{} records have no leaf", records - seen)),
                records if records < seen => proof.find(None, "there are records with the same number"),
                _ => {}
            },
        }
        Ok(Ok(proof))
    })
}

/// What an error says about the trail; one that only says that the state cannot be read accuses nobody, and is an error.
fn garbled(error: TrailError) -> Result<String, TrailError> {
    match error {
        TrailError::Store(error) if error.kind == ErrorKind::Garbled => {
            Ok(format!("a value in the state is none of its kind: {error}"))
        }
        other => Err(other),
    }
}

/// Writes the state's trail, line by line.
///
/// # Errors
/// When the state cannot be read, or a line cannot be taken.
pub fn write(conn: &mut Conn, mut take: impl FnMut(&str) -> std::io::Result<()>) -> Result<(), TrailError> {
    let mut put = |text: &str| take(text).map_err(|error| TrailError::Export(error.to_string()));
    conn.transaction(crate::store::Access::ReadOnly, |conn| {
        let claims = claims(conn)?;
        put(&line(&header(&claims)))?;
        each_row(conn, |row| put(&line(&of_row(row))))?;
        claims.checkpoints.iter().try_for_each(|(_, note)| put(&line(&json!({ "checkpoint": note }))))
    })
}

fn header(claims: &Claims) -> Value {
    let keys: Vec<String> = claims.keys.iter().map(ToString::to_string).collect();
    let segments: Vec<Value> =
        claims.segments.iter().map(|(first, key)| json!({ "first": first, "key": hex::encode(key) })).collect();
    json!({
        "format": FORMAT,
        "origin": claims.origin,
        "size": claims.size,
        "pruned": claims.pruned,
        "checkpoints": claims.checkpoints.len(),
        "keys": keys,
        "segments": segments,
    })
}

fn of_row(row: &StoredRow) -> Value {
    let mut value = Map::new();
    value.insert("seq".to_owned(), row.seq.into());
    value.insert("leaf".to_owned(), row.leaf.as_str().into());
    if let Some(record) = &row.record {
        value.insert("body".to_owned(), record.body.as_str().into());
    }
    Value::Object(value)
}

/// Verifies an export. `keys`: whose signatures count; those that the export names, where none are given. `now`: when that is.
///
/// # Errors
/// When a known checkpoint is none.
pub fn verify_text(
    text: &[u8],
    known: &[Known],
    keys: &[VerifierKey],
    now: DateTime<Utc>,
) -> Result<Proof, (String, NoteError)> {
    for known in known {
        if let Err(error @ NoteError::Malformed(_)) = Checkpoint::open(&known.note, &[]) {
            return Err((format!("the checkpoint {}", known.label), error));
        }
    }
    let lines: Vec<Option<Value>> = text
        .split_inclusive(|byte| *byte == b'\n')
        .map(|line| canonical::decode(std::str::from_utf8(line).ok()?.strip_suffix('\n')?))
        .collect();
    let mut lines = lines.into_iter();
    let Some((mut claims, announced)) = lines.next().flatten().as_ref().and_then(read_header) else {
        let mut proof = Proof::default();
        proof.find(None, "the first line is not the one of an exported trail");
        return Ok(proof);
    };
    claims.trusted = keys.to_vec();
    let (mut rows, mut wrong) = (Vec::new(), Vec::new());
    for (place, value) in lines.enumerate() {
        match value.as_ref().map(read_line) {
            Some(Some(Line::Row(row))) if claims.checkpoints.is_empty() => rows.push(row),
            Some(Some(Line::Checkpoint(note))) => claims.checkpoints.push((None, note)),
            _ => wrong.push(place + 2),
        }
    }
    if claims.checkpoints.len() as u64 != announced {
        wrong.push(1);
    }
    let mut check = Check::begin(claims, known, now)?;
    rows.iter().for_each(|row| check.row(row));
    let mut proof = check.finish();
    for place in wrong {
        proof.find(None, format!("line {place} is not what an exported trail has there"));
    }
    Ok(proof)
}

fn read_header(value: &Value) -> Option<(Claims, u64)> {
    let value = value.as_object().filter(|value| value.len() == 7)?;
    let number = |name: &str| value.get(name)?.as_u64();
    value.get("format").filter(|format| *format == FORMAT)?;
    let keys = value.get("keys")?.as_array()?.iter().map(|key| VerifierKey::parse(key.as_str()?));
    let segment = |segment: &Value| {
        let segment = segment.as_object().filter(|segment| segment.len() == 2)?;
        Some((segment.get("first")?.as_u64()?, hex::hash(segment.get("key")?.as_str()?)?.to_vec()))
    };
    let claims = Claims {
        origin: value.get("origin")?.as_str()?.to_owned(),
        size: number("size")?,
        pruned: number("pruned")?,
        head: None,
        trusted: Vec::new(),
        broken: Vec::new(),
        keys: keys.collect::<Option<_>>()?,
        segments: value.get("segments")?.as_array()?.iter().map(segment).collect::<Option<_>>()?,
        checkpoints: Vec::new(),
    };
    Some((claims, number("checkpoints")?))
}

enum Line {
    Row(StoredRow),
    Checkpoint(String),
}

fn read_line(value: &Value) -> Option<Line> {
    let value = value.as_object()?;
    if let Some(note) = value.get("checkpoint") {
        return (value.len() == 1).then(|| note.as_str().map(|note| Line::Checkpoint(note.to_owned())))?;
    }
    let body = value.get("body").map(|body| body.as_str().map(str::to_owned));
    let body = match body {
        Some(body) => Some(body?),
        None => None,
    };
    if value.len() != 2 + usize::from(body.is_some()) {
        return None;
    }
    // An export has no columns beside the record; they are what the record says.
    let record = body.map(|body| {
        let said = canonical::decode(&body).unwrap_or_default();
        let text = |name: &str| said.get(name).and_then(Value::as_str).map(str::to_owned);
        StoredRecord { kind: text("type").unwrap_or_default(), job: text("job"), run: text("run"), body }
    });
    let seq = i64::try_from(value.get("seq")?.as_u64()?).ok()?;
    Some(Line::Row(StoredRow { seq, leaf: value.get("leaf")?.as_str()?.to_owned(), record }))
}
